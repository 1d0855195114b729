/* contact_walk.h - contacts by the order of their ids, page by page: all of a tenant, or
 * those that a filter finds.
 *
 * A page is asked for within a range of ids that has some thousand contacts in it, so that
 * no statement is long however few are found: a range that gives little is followed by a
 * larger one, one that takes too long by a smaller. Nothing is held in the database
 * between pages: a walk goes on after a lost connection, and anywhere else from `after`.
 * What is changed meanwhile may be seen or not; nobody is seen twice. */
#ifndef INTERACTD_TIMELINE_CONTACT_WALK_H
#define INTERACTD_TIMELINE_CONTACT_WALK_H

#include <people/store.h>
#include <timeline/segment_filter.h>

struct contact_walk;

struct contact_walk_opts {
	const struct tenant *tenant;
	const json_t *filter;	   /* NULL = everybody */
	const struct sight *sight; /* segment_filter.h; NULL = everything */
	bool wishes;		   /* the objects have them */
	struct uuid after;	   /* nil = from the beginning */
	unsigned page;		   /* contacts at most */
	unsigned patience_ms;	   /* then a page may come with fewer, or none */
	bool waits_for_database;   /* a lost connection is waited for, up to a minute */
};

struct contact_page {
	const struct pg_answer *answer; /* NULL: no rows */
	size_t n;			/* rows (id, object) of its statement 1 */
	bool end;			/* there are no more */
	struct uuid after;		/* where to go on */
	const char *failed;		/* a sentence, or NULL */
};
/* The page is borrowed until return; the walk may be freed in it. */
typedef void contact_page_fn(void *arg, const struct contact_page *);

/* NULL with a sentence if the filter is none. */
struct contact_walk *contact_walk_new(struct store *, const struct contact_walk_opts *,
	contact_page_fn *, void *arg, struct err *);
/* Asks for the next page: one callback, later. Not before the last one has come. */
void contact_walk_next(struct contact_walk *);
void contact_walk_free(struct contact_walk **); /* NULL-safe; no callback after it */

#endif
