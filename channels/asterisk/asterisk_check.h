/* asterisk_check.h - what a check asks, and what it has learnt; for asterisk_check.c (the
 * asking) and asterisk_findings.c (what to say of it). */
#ifndef INTERACTD_ASTERISK_ASTERISK_CHECK_H
#define INTERACTD_ASTERISK_ASTERISK_CHECK_H

#include "asterisk.h"

/* Actions whose permission matters; ListCommands names those that a user may use. */
#define CHECK_ACTIONS(A)                                                               \
	A(CHANNELS, "CoreShowChannels")                                                \
	A(SETTINGS, "CoreSettings")                                                    \
	A(STATUS, "CoreStatus")                                                        \
	A(QUEUES, "QueueStatus")                                                       \
	A(PARKED, "ParkedCalls")                                                       \
	A(FILTER, "Filter")                                                            \
	A(DEVICES, "DeviceStateList")                                                  \
	A(PAUSE, "QueuePause")                                                         \
	A(ORIGINATE, "Originate")                                                      \
	A(PJSIP, "PJSIPShowEndpoints")                                                 \
	A(SIP, "SIPpeers")                                                             \
	A(IAX, "IAXpeerlist")                                                          \
	A(DIALPLAN, "ShowDialPlan")                                                    \
	A(COMMAND, "Command")
enum check_action {
#define A(name, text) CHECK_##name,
	CHECK_ACTIONS(A)
#undef A
		CHECK_ACTIONS_N
};

/* Lists that are asked for. */
enum check_list {
	CHECK_LIST_PJSIP,
	CHECK_LIST_SIP,
	CHECK_LIST_IAX,
	CHECK_LIST_QUEUES,
	CHECK_LIST_DIALPLAN,
	CHECK_LISTS,
};

#define CHECK_NAMES_MAX 5000
#define CHECK_NAME_MAX	128

struct check_names {
	char **items;
	size_t n;
};

/* The classes that a manager's events may have, as we use them. */
#define CHECK_CLASSES_N 6
extern const char *const check_classes[CHECK_CLASSES_N];

struct asterisk_check {
	channel_report_fn *report;
	channel_checked_fn *done; /* NULL: it has been called */
	void *arg;
	int64_t listen_ms;
	bool begun, listed, finished, commands_known;
	struct loop_timer *timer; /* ends the lists, then the listening */
	bool may[CHECK_ACTIONS_N];
	uint64_t command_id, ping_id;
	struct {
		uint64_t id;
		bool asked, running, whole;
		char error[100];
	} lists[CHECK_LISTS];
	int64_t ping_us, ping_took_us; /* -1: no answer */
	struct check_names endpoints;  /* "PJSIP/1001" */
	struct check_names members;    /* "support PJSIP/1001", of queues */
	unsigned heard, by_class[CHECK_CLASSES_N];
	bool heard_timestamp;
};

void check_name_add(struct check_names *, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* ---- asterisk_findings.c ------------------------------------------------- */

/* The connection never came, or was refused: the login's own sentence. */
void findings_refused(struct asterisk *, const char *why);
void findings_all(struct asterisk *);
/* The stanza of manager.conf, the secret masked. */
void findings_to_write(const struct asterisk *, struct buf *out);

#endif
