/* ami_fields.h - the lines of an AMI message as fields of a call event. For
 * ami_events.c and ami_members.c.
 *
 * Text points into the message, or into an arena where it had to be changed; both live
 * until the event has been handed on. */
#ifndef INTERACTD_ASTERISK_AMI_FIELDS_H
#define INTERACTD_ASTERISK_AMI_FIELDS_H

#include <buf.h>
#include <channel.h>
#include "ami.h"

/* Cleaning text can make it three times as long (a bad byte becomes U+FFFD). */
#define AMI_ARENA_SIZE (4 * AMI_MESSAGE_MAX)

/* Room for one message's changed texts and variables. */
struct ami_fields {
	struct call_var vars[CALL_VARS_MAX];
	struct buf scratch, scratch2;
	size_t used; /* of arena */
	char arena[AMI_ARENA_SIZE];
};

/* A copy of len bytes in the arena, or NULL if it is full. */
const char *ami_keep(struct ami_fields *, const char *s, size_t len);
/* A value as valid UTF-8 without control characters. NULL stays NULL, here and below.
 */
const char *ami_clean(struct ami_fields *, const char *s);
/* The same for a value written with AMI's escapes. */
const char *ami_unescaped(struct ami_fields *, const char *s);
/* PJSIP/1001-0000005c -> PJSIP/1001; Local/1004@agents-0000001;2 -> Local/1004@agents.
 * NULL for a zombie (what is left of a channel whose place another took). */
const char *ami_endpoint(struct ami_fields *, const char *channel_name);
/* The decimal number s begins with, or 0. */
int ami_int(const char *s);

/* The message's own Timestamp in microseconds, or the other one if it has none. */
int64_t ami_timestamp_us(const struct ami_message *, int64_t otherwise_us);

/* The event's own channel (keys without prefix), with its variables. False if the
 * message names none. */
bool
ami_fill_channel(struct ami_fields *, const struct ami_message *, struct call_event *);
/* The channel whose keys begin with prefix, as the event's first or as its other. */
bool ami_fill_first(struct ami_fields *, const struct ami_message *, const char *prefix,
	struct call_event *);
bool ami_fill_other(struct ami_fields *, const struct ami_message *, const char *prefix,
	struct call_event *);

#endif
