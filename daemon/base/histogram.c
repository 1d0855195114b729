/* histogram.c - see histogram.h. */
#include <histogram.h>

const int64_t histogram_bounds_us[HISTOGRAM_BOUNDS] = {100, 250, 500, 1000, 2500, 5000,
	10000, 25000, 50000, 100000, 250000, 500000, 1000000, 2500000, 5000000,
	10000000};

void
histogram_add(struct histogram *h, int64_t took_us)
{
	unsigned i = 0;

	while (i < HISTOGRAM_BOUNDS && took_us > histogram_bounds_us[i])
		i++;
	h->counts[i]++;
	h->sum_us += took_us > 0 ? took_us : 0;
}
