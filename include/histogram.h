/* histogram.h - how long something took, counted in buckets of fixed bounds, from 100 us
 * to 10 s. The same bounds everywhere, so that stages can be laid over one another. */
#ifndef INTERACTD_HISTOGRAM_H
#define INTERACTD_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_BOUNDS 16

struct histogram {
	/* Times up to bound i and above bound i - 1; the last: above all bounds. */
	unsigned long long counts[HISTOGRAM_BOUNDS + 1];
	int64_t sum_us;
};

/* Upper bounds in microseconds, rising. */
extern const int64_t histogram_bounds_us[HISTOGRAM_BOUNDS];

void histogram_add(struct histogram *, int64_t took_us); /* below 0 counts as 0 */

#endif
