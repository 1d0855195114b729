/* trace_play.h - playing a recording's events to a tracker, and comparing what it told
 * with what really happened. */
#ifndef INTERACTD_TRACE_PLAY_H
#define INTERACTD_TRACE_PLAY_H

#include "calls_seen.h"
#include "traces.h"

extern struct traces traces_all; /* the recordings */

/* Events [from, to) as they are; all of them at one moment; one without a channel. */
void trace_play(struct tracker *, const struct trace_events *, size_t from, size_t to);
void trace_play_at(struct tracker *, const struct trace_events *, int64_t at_us);
void trace_say(struct tracker *, enum call_event_type, int64_t at_us);
int64_t trace_last_time(const struct trace_events *);
/* Waits long enough for everything that waits. */
void trace_finish(struct tracker *, const struct trace_events *);
/* A new tracker is played them all; nothing may be left of the calls then. */
void trace_run(const struct trace_events *);
bool trace_is(const struct trace *, const char *scenario);

/* A text member of the truth, or NULL. */
const char *trace_text(const json_t *, const char *key);
/* Checks `seen` against the recording's truth. */
void trace_check_truth(const struct trace *);
/* Checks that `seen` prints as `truth`. */
void trace_check_same(const struct trace *, const char *truth, const char *how);

/* Calls way for every recording that begins with its calls, with what a plain run of its
 * events tells, as text. */
typedef void way_fn(struct trace *, struct trace_events *, const char *truth);
void trace_each(way_fn *);

#endif
