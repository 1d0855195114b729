/* calls_seen.h - a tracker's observer that writes down everything it is told, checks that
 * it makes sense (each pop opened and closed once, no state told twice), and prints it in
 * one canonical text for comparisons. */
#ifndef INTERACTD_CALLS_SEEN_H
#define INTERACTD_CALLS_SEEN_H

#include <buf.h>
#include <calls/tracker.h>

struct seen_pop {
	struct uuid id, call;
	char agent[32], queue[32]; /* agent "" = a queue pop */
	char states[128];	   /* "ringing talking" */
	enum call_reason reason;
	enum leg_state state;
	bool open;
	int64_t at_us, answered_us, ended_us;
};

struct seen_leg {
	enum leg_type type;
	char agent[32], queue[32];
	int64_t at_us, answered_us, ended_us;
	enum call_reason result;
};

struct seen_call {
	struct uuid id, absorbed_by;
	enum call_direction direction;
	enum call_phase phase;
	enum call_disposition disposition;
	char number[128], display[400], local[64], queue[32], agent[32], language[16];
	char vars[1024], recordings[512], voicemail[256];
	bool withheld, ended, recovered, absorbed, corrected;
	int64_t at_us, ended_us, wait_ms, talk_ms, hold_ms;
	struct seen_leg legs[64];
	unsigned n_legs;
	unsigned missed; /* bits of enum tracker_missed */
};

#define SEEN_MAX 256
struct seen {
	struct seen_call calls[SEEN_MAX];
	struct seen_pop pops[SEEN_MAX];
	unsigned n_calls, n_pops, n_compared;
	struct tracker_compared compared; /* the last */
	unsigned errors;		  /* what an observer must never be told */
	char error[256];
	unsigned told;
};

extern struct seen seen; /* for tests that need but one */
extern const struct tracker_observer seen_observer;
/* The agents and trunks of the recordings. */
const struct phone_conf *seen_phone_conf(void);
struct tracker *seen_tracker(struct seen *);
/* All of it as text, without ids. */
void seen_print(struct buf *, const struct seen *);
unsigned seen_count_open(const struct seen *);
const struct seen_call *seen_find(const struct seen *, const char *number);

#endif
