/* asterisk_history.h - Asterisk's own records of past calls as call events: CDRs (call
 * detail records) and CELs (channel event log). Pure: no I/O, and any thread.
 *
 * asterisk_history.c has what both share, asterisk_cel.c and asterisk_cdr.c the two
 * formats. The records of a period are collected, then told as the events that would have
 * made them, as far as they tell. */
#ifndef INTERACTD_ASTERISK_HISTORY_H
#define INTERACTD_ASTERISK_HISTORY_H

#include <channel.h>

extern const struct channel_history asterisk_cel, asterisk_cdr;

/* Both are written in the phone system's local time, unless told otherwise, and none of
 * them says which that is. Unique ids begin with the seconds since 1970 at which their
 * channel was made, so a record made with its channel tells how far local time is off. */
struct history_zone {
	bool known;
	int64_t offset_us;
};

/* The us of a channel's making in "[system-]SECONDS.N"; 0 if it is no such id. */
int64_t history_uid_us(const char *uid);
/* "SECONDS.MICROSECONDS", or a date and time with or without a zone; false if neither.
 * *local_r: it has no zone. */
bool history_time(const char *text, int64_t *us_r, bool *local_r);
/* A local time as UTC. uid: of the record, which may teach the zone. */
int64_t history_utc(struct history_zone *, int64_t local_us, const char *uid);
/* The same by this record alone, to some minutes: for finding a place in a file. */
bool history_near(const char *text, const char *uid, int64_t *us_r);

/* PJSIP/1001-0000005c -> PJSIP/1001; Local/1004@agents-0000001;2 -> Local/1004@agents. */
void history_endpoint(char *dst, size_t cap, const char *name);
/* What a Dial's data hands to the endpoint: "PJSIP/0911@trunk,60" for PJSIP/trunk gives
 * 0911; "" if it is not there. */
void history_dialled(char *dst, size_t cap, const char *data, const char *endpoint);
/* data up to its first comma: a queue's name. */
void history_word(char *dst, size_t cap, const char *data);
/* NULL for "". */
const char *history_text(const char *s);

#endif
