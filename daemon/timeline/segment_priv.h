/* segment_priv.h - for daemon/timeline/segment_*.c only: what compiles a filter.
 *
 *	segment_filter.c  conditions on contacts and what happened, the tree, the statements
 *	segment_values.c  values: every one becomes a $n
 *	segment_wishes.c  conditions on what contacts want */
#ifndef INTERACTD_TIMELINE_SEGMENT_PRIV_H
#define INTERACTD_TIMELINE_SEGMENT_PRIV_H

#include <people/check.h>
#include <timeline/segment_filter.h>

/* Nothing but a literal compiles. */
#define PUT(buf, literal) buf_adds(buf, "" literal)

#define TEXT_MAX 200 /* bytes */

struct compiler {
	struct segment_filter *f;
	const struct sight *sight;
	int64_t now_us;
	unsigned depth;
};

/* The first reason is kept. */
void segment_fail(struct compiler *, const char *what, const char *why);

/* Each keeps the value and writes its $n, nothing of it. */
void segment_value(struct compiler *, struct buf *sql, const char *text);
void segment_value_int(struct compiler *, struct buf *sql, int64_t);
void segment_value_number(struct compiler *, struct buf *sql, const json_t *);
/* A string or a list of them, as a text[]. */
void segment_value_texts(
	struct compiler *, struct buf *sql, const char *what, const json_t *);
/* Of a sight's list: its $n. 0: there is none, which is all. */
unsigned segment_value_sight(struct compiler *, const json_t *list);
void segment_put_sight(struct buf *sql, unsigned n);

/* Members of a condition. False: absent, or wrong (then it has failed). */
bool
segment_take_when(struct compiler *, struct check *, const char *name, int64_t *us_r);
bool segment_take_int(struct check *, const char *name, int64_t *n_r);
void segment_done(struct compiler *, struct check *, const char *what);

/* The number of the next derived table; 0 if there are too many. */
unsigned segment_join_next(struct compiler *);
void segment_join_name(struct buf *sql, unsigned n);
/* A table's name, and what it is joined by. */
void segment_join_on(struct buf *joins, unsigned n);

typedef void segment_condition_fn(struct compiler *, const json_t *, const char *what);
segment_condition_fn segment_on_consent, segment_on_do_not_contact,
	segment_on_preferred, segment_on_suppressed;

#endif
