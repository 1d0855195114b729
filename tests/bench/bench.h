/* bench.h - what the bench's programs share: time, samples, talk with the runner.
 *
 * A program prints its figures as lines "name value" to stdout; the runner (run) puts
 * them into the table. Latencies are counted from when something was due, never from
 * when it was in fact sent: a slow machine cannot hide by sending late. */
#ifndef INTERACTD_BENCH_H
#define INTERACTD_BENCH_H

#include <buf.h>
#include <mem.h>

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Times in us; n of them. */
struct samples {
	uint32_t *v;
	size_t n, cap;
};

static inline int64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static inline _Noreturn void
die(const char *what, const char *detail)
{
	fprintf(stderr, "%s: %s\n", what, detail ? detail : "");
	exit(1);
}

static inline void
samples_add(struct samples *s, int64_t us)
{
	if (s->n == s->cap) {
		s->cap = s->cap ? 2 * s->cap : 65536;
		s->v = xrealloc(s->v, s->cap * sizeof(*s->v));
	}
	s->v[s->n++] = us < 0 ? 0 : us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
}

static inline int
samples_compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* The caller has sorted. part: 0.5 = the median. */
static inline unsigned
samples_at(const struct samples *s, double part)
{
	return s->n ? s->v[(size_t)(part * (double)(s->n - 1))] : 0;
}

/* Prints n, p50_us, p99_us and max_us, and empties. */
static inline void
samples_print(struct samples *s)
{
	if (s->n)
		qsort(s->v, s->n, sizeof(*s->v), samples_compare);
	printf("n %zu\np50_us %u\np99_us %u\nmax_us %u\n", s->n, samples_at(s, 0.5),
		samples_at(s, 0.99), samples_at(s, 1));
	s->n = 0;
}

/* xorshift: the same callers in every run. */
static inline uint64_t
next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static inline int
compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static inline double
median(double *v, size_t n)
{
	qsort(v, n, sizeof(*v), compare_doubles);
	return v[n / 2];
}

#endif
