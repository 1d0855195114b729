/* retention.h - what has been kept for long enough goes: a month in whole where it has
 * expired for everybody, the rest in small steps (conf/sql/034-privacy.sql).
 *
 * One daemon does it at a time (the lease "retention"), from a few seconds after it got
 * that, then every hour; at most 20,000 entries a second are looked at. */
#ifndef INTERACTD_TIMELINE_RETENTION_H
#define INTERACTD_TIMELINE_RETENTION_H

#include <people/store.h>

struct retention;

/* Kept for days (> 0), then deleted. tenant is borrowed for life. */
struct retention_rule {
	const struct tenant *tenant;
	const char *kind;
	int64_t days;
};

/* Copies the rules, whose kinds are borrowed for life. Nothing happens before begin. */
struct retention *
retention_new(struct store *, const struct retention_rule *, size_t n);
/* The store is not held any more. Without rules: nothing. */
void retention_begin(struct retention *);
/* Gives the lease back, running the loop until that is answered. */
void retention_stop(struct retention *);
/* After the pools are closed. */
void retention_free(struct retention **);

/* {"items":[{kind, days, before, due, oldest, looked_at}]} of the tenant, one per kind. */
void retention_due(struct store *, const struct tenant *, const char *const *kinds,
	const int64_t *days, size_t n, store_answer_fn *, void *arg);

struct retention_stats {
	unsigned long long deleted, months;
	int64_t run_us; /* wall time the last run ended, 0 = none has */
};
void retention_get_stats(const struct retention *, struct retention_stats *);

#endif
