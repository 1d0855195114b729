/* segment.h - segments: filters over contacts that are kept under a name.
 *
 * A segment holds no contacts: whom it finds is asked each time. Asking goes over the
 * store's pool for reports, read-only and with a time limit, so that it delays nobody. */
#ifndef INTERACTD_TIMELINE_SEGMENT_H
#define INTERACTD_TIMELINE_SEGMENT_H

#include <people/store.h>

/* {"name","description","filter"}; the filter is compiled to see whether it is one. */
void segment_create(struct store *, const struct actor *, const json_t *body,
	const struct idempotency *, store_answer_fn *, void *arg);
void segment_patch(struct store *, const struct actor *, const struct uuid *id,
	const json_t *body, store_answer_fn *, void *arg);
void segment_delete(struct store *, const struct actor *, const struct uuid *id,
	store_answer_fn *, void *arg);
void segment_get(struct store *, const struct tenant *, const struct uuid *id,
	store_answer_fn *, void *arg);
/* By name, 200 at a time. cursor as given in "next", or NULL. */
void segment_list(struct store *, const struct tenant *, const char *cursor,
	store_answer_fn *, void *arg);

/* A kept filter: NULL with the answer that says why (not found, unavailable), else an
 * object that is the callback's to free. */
typedef void
segment_filter_fn(void *arg, json_t *filter, const struct store_answer *why);
void segment_load(struct store *, const struct tenant *, const struct uuid *id,
	segment_filter_fn *, void *arg);

/* Of a filter that need not be kept, as the actor sees them (segment_filter.h).
 * {"count":N}. */
void segment_count(struct store *, const struct actor *, const json_t *filter,
	store_answer_fn *, void *arg);
/* The first contacts from `after` on, by id: {"items":[…],"next":…}. What takes more than
 * some seconds to find comes with the next page. */
void segment_preview(struct store *, const struct actor *, const json_t *filter,
	unsigned limit, const char *after, store_answer_fn *, void *arg);

#endif
