/* ami_peer.h - a manager played by a unit test, and the asterisk driver connected to
 * it.
 *
 * The driver and its peer share one loop and one thread: the peer is a plain
 * non-blocking socket that the test reads and writes between turns. UNTIL turns the
 * loop until something is so, and fails the case after five seconds. */
#ifndef INTERACTD_TESTS_AMI_PEER_H
#define INTERACTD_TESTS_AMI_PEER_H

#include <asterisk/asterisk.h>
#include <buf.h>
#include <io/channel.h>
#include <io/loop.h>
#include <lib/test.h>

#define SEEN_MAX 4096

struct rig {
	struct loop *loop;
	struct channel_core *core;
	struct channel *channel;
	struct asterisk *a;
	struct asterisk_conf conf; /* the test may change it before rig_open */
	char address[64];
	int listener, fd; /* the peer's */
	struct buf in;	  /* what the driver wrote */
	enum call_event_type seen[SEEN_MAX];
	unsigned n_seen;
	char last_uid[64];
	bool closed;
};

/* One action as the peer got it. */
struct action {
	char text[2048], name[64], id[128];
};

#define BANNER	    "Asterisk Call Manager/11.0.0\r\n"
#define FULLYBOOTED "Event: FullyBooted\r\nPrivilege: system,all\r\nUptime: 99\r\n\r\n"

#define UNTIL(r, cond)                                                                 \
	do {                                                                           \
		int64_t since_us = rig_now();                                          \
		while (!(cond) && !rig_late(since_us))                                 \
			rig_turn(r);                                                   \
		if (!(cond))                                                           \
			test_fail(__FILE__, __LINE__, "never: %s", #cond);             \
	} while (0)
int64_t rig_now(void);
bool rig_late(int64_t since_us);
void rig_turn(struct rig *); /* one turn of the loop; then what the peer got is read */

/* User "interactd", secret "s3cret"; no waits but long ones, reconnecting at once. */
void rig_init(struct rig *);
void rig_open(struct rig *);
void rig_fini(struct rig *);

/* What the core heard and says. */
unsigned rig_seen(const struct rig *, enum call_event_type);
unsigned rig_last(const struct rig *, enum call_event_type); /* its place in seen[] */
bool rig_is_up(const struct rig *);
bool rig_is_down(const struct rig *);
bool rig_why_has(const struct rig *, const char *part);
unsigned long long rig_counter(const struct rig *, const char *name, bool refused);

bool peer_accepted(struct rig *);
void peer_close(struct rig *);
void peer_write(struct rig *, const char *data, size_t len);
void peer_say(struct rig *, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Takes the next action, which must have that name; Pings in between are answered. */
struct action peer_take(struct rig *, const char *name);
/* Its first line of that key; "" if there is none. */
void action_field(const struct action *, const char *key, char *value, size_t cap);
/* more: further lines, each with its CRLF. */
void
peer_answer(struct rig *, const struct action *, const char *kind, const char *more);

void peer_take_login(struct rig *, const char *banner);
/* Answers what is asked after a login, with this start time; denied: with errors. */
void peer_identify(struct rig *, const char *started);
void peer_identify_denied(struct rig *);
void peer_list_end(struct rig *, const struct action *, int items);
void peer_list_empty(struct rig *, const char *name);
void peer_lists_empty(struct rig *);
/* From nothing to READY, with an empty snapshot. */
void peer_take_session(struct rig *, const char *started);
void peer_say_hangup(struct rig *, const char *uid);

#endif
