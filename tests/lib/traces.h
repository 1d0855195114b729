/* traces.h - recorded AMI streams with the truth of what happened (tests/data/README.md). */
#ifndef INTERACTD_TRACES_H
#define INTERACTD_TRACES_H

#include <buf.h>
#include <channel.h>
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

struct trace_read {    /* one recv() of the recording */
	int64_t at_us; /* wall time */
	size_t offset, len;
};

struct trace {
	char name[96]; /* "22/direct-answered" */
	struct buf bytes;
	struct trace_read *reads;
	size_t n_reads;
	const json_t *truth;
};

struct traces {
	struct trace *items;
	size_t n;
	json_t *truth;
};

/* All recordings of both versions, from $TRACES or build/traces. Exits with a message if
 * they are not there. */
void traces_load(struct traces *);
void traces_free(struct traces *);
struct trace *traces_find(struct traces *, const char *name);

/* Calls as translated from bytes, encoded by event_codec, so that they can be kept,
 * reordered and given to a tracker again. */
struct trace_event {
	int64_t at_us;
	char *data;
	size_t len;
	enum call_event_type type;
};
struct trace_events {
	struct trace_event *items;
	size_t n, cap;
};

/* piece: 0 = as received, else every read is cut into pieces of 1 to `piece` bytes, by a
 * generator seeded with `seed`. repeat: every message is translated twice. */
void trace_events_read(struct trace_events *, const struct trace *, size_t piece,
	unsigned seed, unsigned repeat);
/* Parses and translates list messages as Asterisk would send them. */
void trace_events_parse(struct trace_events *, const char *ami, int64_t at_us);
void trace_events_add(struct trace_events *, const struct call_event *);
void trace_events_free(struct trace_events *);
/* Decodes into ev, with variables in vars (CALL_VARS_MAX). */
void trace_event_get(
	const struct trace_event *, struct call_event *ev, struct call_var *vars);

#endif
