/* history.h - calls made while a phone system was not heard, filled in from what it keeps
 * itself: CDRs or CELs, in a file or a table (struct phone_conf's history_…).
 *
 * After each gap its records are read on a thread, made events again, and played to a
 * tracker of their own: the same calls get the same ids, legs and dispositions as if they
 * had been heard. Those that the timeline does not have, or not to their end, are written
 * through the writer like any call, marked with their source. No pop, no spool. */
#ifndef INTERACTD_CALLS_HISTORY_H
#define INTERACTD_CALLS_HISTORY_H

#include <calls/gap.h>
#include <err.h>
#include <people/store.h>

struct history;

struct history_opts {
	struct loop *loop;
	struct store *store;
	const struct tenant *tenant;
	const char *channel;
	const struct phone_conf *conf;
	const struct channel_history *format;
	struct tracker_directory directory;
	/* True while a call of that id is up: events know it better. */
	bool (*is_up)(void *arg, const struct uuid *call);
	/* Writes one; done comes once, later. False: not now, there is no room. */
	bool (*save)(void *arg, struct call *, void (*done)(void *, bool ok),
		void *done_arg);
	/* A gap is filled, or cannot be (error): calls are those that only it knew. */
	void (*filled)(void *arg, const struct uuid *gap, const char *error,
		unsigned completed, const struct uuid *calls, size_t n);
	void *arg;
};

/* The format that a channel's keys ask for; NULL if they ask for none. */
const struct channel_history *
history_format(const struct phone_conf *, const struct channel_history *const *formats);
/* What rows cannot say of history_…: -1 and a sentence about the key. */
int history_check(const struct phone_conf *,
	const struct channel_history *const *formats, struct err *) MUST_CHECK;

struct history *history_new(const struct history_opts *);
/* What is under way ends without a word; such a gap waits for the next start. */
void history_free(struct history **);
/* Fills this gap, after those asked for before it. */
void history_fill(struct history *, const struct gap_period *);

#endif
