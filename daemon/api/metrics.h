/* metrics.h - what Prometheus reads: counters of requests, and everything the rooms
 * count by themselves, written at the moment it is asked for. */
#ifndef INTERACTD_API_METRICS_H
#define INTERACTD_API_METRICS_H

#include <buf.h>
#include <stdint.h>

struct app;
struct metrics;

struct metrics *metrics_new(void);
void metrics_free(struct metrics **);
/* pattern: the route's, or NULL for requests that had none. */
void
metrics_request(struct metrics *, const char *pattern, int status, int64_t took_us);
/* The text exposition format, version 0.0.4. */
void metrics_write(struct buf *, struct app *);

/* Between the files of metrics: a family's head, and a histogram's samples (label NULL:
 * it has none). */
struct histogram;
void metrics_head(struct buf *, const char *name, const char *type, const char *help);
void metrics_put_times(struct buf *, const char *name, const char *label,
	const char *value, const struct histogram *);
void metrics_write_lookups(struct buf *, struct app *);

#endif
