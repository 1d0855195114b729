/* channel.h - the core's side of include/channel.h: the channels this daemon has.
 *
 * A struct channel_core holds every configured channel of the daemon. Main opens one
 * per [channel NAME] section and gives a sink, which hears the call events and the ups
 * and downs of all of them. Everything runs on the loop's thread.
 *
 * The core keeps what every channel has, whatever its driver: its state and since when
 * and why, what is at the other end, counters, and what was refused. It asks the driver
 * for a resync on a slow timer, and at the operator's wish. */
#ifndef INTERACTD_IO_CHANNEL_H
#define INTERACTD_IO_CHANNEL_H

#include <channel.h>

struct channel_core;

/* One list: the enum, and the words in /v1/status. */
#define CHANNEL_STATES(S)                                                              \
	S(STARTING, "starting", "opened; has not been up yet, and not failed either")  \
	S(UP, "up", "connected, logged in and listening")                              \
	S(DOWN, "down", "not connected (channel_core_why)")                            \
	S(CLOSING, "closing", "being let go")

enum channel_state {
#define S(name, text, help) CHANNEL_##name,
	CHANNEL_STATES(S)
#undef S
};
const char *channel_state_text(enum channel_state);

/* Both may be NULL. They may not close a channel themselves (defer it). */
struct channel_sink {
	/* ev is borrowed until return; its at_us is set. */
	void (*call_event)(void *arg, struct channel *, const struct call_event *ev);
	/* What a phone system says of a queue member or a phone; borrowed, at_us is set. */
	void (*member_event)(
		void *arg, struct channel *, const struct member_event *ev);
	/* It came up, or is not up any more; at each change, not each time it is said.
	 */
	void (*state)(void *arg, struct channel *, bool up);
	void *arg;
};

/* ---- All channels -------------------------------------------------------- */

/* Copies the sink. */
struct channel_core *channel_core_new(struct loop *, const struct channel_sink *);
/* NULL-safe. Channels still in it are let go without a word: close them before. */
void channel_core_free(struct channel_core **);

struct channel_opts {
	const struct channel_ops *ops;
	const char *name, *tenant; /* copied */
	const void *conf;  /* struct of ops->conf_size; borrowed until it is closed */
	int64_t resync_ms; /* about how often ops->resync is asked for; 0 = never */
};

/* Makes a channel and opens it. NULL with a sentence if its driver refuses the
 * configuration or the name is taken. */
struct channel *channel_core_open(
	struct channel_core *, const struct channel_opts *, struct err *) MUST_CHECK;

/* Lets go of it: done(arg) comes exactly once, never before this returns, when the
 * driver has let go or after 2 s. In done the channel still is there, in state CLOSING;
 * after it it is freed. done may be NULL. Once per channel. */
void channel_core_close(struct channel *, loop_fn *done, void *arg);

/* By NAME of its section; NULL if there is none or it is closing. */
struct channel *channel_core_find(const struct channel_core *, const char *name);
typedef void channel_core_fn(void *arg, struct channel *);
/* In the order they were opened; fn may close the one it is given. */
void channel_core_each(struct channel_core *, channel_core_fn *, void *arg);
size_t channel_core_count(const struct channel_core *);

/* ---- One channel --------------------------------------------------------- */

const struct channel_ops *channel_core_ops(const struct channel *);
enum channel_state channel_core_state(const struct channel *);
int64_t
channel_core_since_us(const struct channel *);	      /* wall time of the last change */
const char *channel_core_why(const struct channel *); /* of DOWN; else NULL */
const char *channel_core_peer(const struct channel *); /* of UP; NULL if unknown */

/* Whatever main keeps for it (its tracker, its spool). */
void channel_set_user(struct channel *, void *user);
void *channel_user(const struct channel *);

/* Asks the driver to compare with the phone system now: -1 with a sentence if it is not
 * up or slow to answer, the driver cannot, or it was asked less than 5 s ago. */
int channel_core_resync(struct channel *, struct err *) MUST_CHECK;

/* Every counter, in the order of first use: those of channel_count, then call events by
 * type (refused = false), then causes of refusals (refused = true). */
typedef void
channel_counter_fn(void *arg, const char *name, bool refused, unsigned long long value);
void channel_core_counters(const struct channel *, channel_counter_fn *, void *arg);

/* The members of the channel's object in /v1/status: name, tenant, driver, state, since,
 * why, peer, counters, refused, and what the driver adds. */
void channel_core_put(const struct channel *, struct json_out *);

#endif
