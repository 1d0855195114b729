/* ami_rate.c - how fast AMI bytes become call events, beside what merely splitting them
 * into lines, keys and values costs (memchr), on the same recorded bytes in the same run.
 *
 * usage: ami_rate TRACE.ami [SECONDS]. Prints medians of five runs each. */
#include <asterisk/ami.h>
#include <asterisk/ami_events.h>
#include <buf.h>
#include <clock.h>
#include <mem.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RUNS  5
#define CHUNK 65536

struct result {
	uint64_t messages, bytes;
	int64_t took_us;
};

static struct buf stream;
static volatile size_t sink; /* so that nothing is optimised away */

/* The floor: every message framed, every line cut into key and value, nothing kept. */
static void
split_all(struct result *r)
{
	const char *p = stream.data, *end = p + stream.len;
	while (p < end) {
		const char *eol = memchr(p, '\n', (size_t)(end - p));
		if (!eol)
			break;
		size_t len = (size_t)(eol - p);
		if (len <= 1) {
			r->messages++;
		} else {
			const char *colon = memchr(p, ':', len);
			sink += colon ? (size_t)(colon - p) : 0;
		}
		p = eol + 1;
	}
	r->bytes += stream.len;
}

static void
on_event(void *arg, const struct call_event *ev)
{
	(void)arg;
	sink += (size_t)ev->type;
}

struct ours {
	struct ami_events *events;
	struct result *result;
};

static void
on_message(void *arg, const struct ami_message *m)
{
	struct ours *o = arg;
	o->result->messages++;
	ami_events_translate(o->events, m, 1, on_event, NULL);
}

static void
on_banner(void *arg, const char *line)
{
	(void)arg;
	(void)line;
}

static void
on_refused(void *arg, enum ami_refusal why, const char *detail)
{
	(void)arg;
	(void)why;
	(void)detail;
}

static void
parse_all(struct result *r)
{
	static const struct ami_parser_callbacks callbacks = {
		on_banner, on_message, on_refused};
	struct ours o = {ami_events_new(), r};
	struct ami_parser *parser = ami_parser_new(&callbacks, &o);
	const char *why;
	for (size_t at = 0; at < stream.len; at += CHUNK) {
		size_t n = stream.len - at < CHUNK ? stream.len - at : CHUNK;
		if (!ami_parser_feed(parser, stream.data + at, n, &why))
			exit(1);
	}
	r->bytes += stream.len;
	ami_parser_free(&parser);
	ami_events_free(&o.events);
}

static int
by_rate(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

static double
measure(const char *name, void (*fn)(struct result *), int64_t run_us)
{
	double rates[RUNS];
	double bytes = 0;
	for (int i = 0; i < RUNS; i++) {
		struct result r = {0};
		int64_t begin = clock_mono_us();
		while ((r.took_us = clock_mono_us() - begin) < run_us)
			fn(&r);
		rates[i] = (double)r.messages * 1e6 / (double)r.took_us;
		bytes = (double)r.bytes / (double)r.took_us;
	}
	qsort(rates, RUNS, sizeof(*rates), by_rate);
	printf("%-28s %12.0f messages/s %8.0f MB/s\n", name, rates[RUNS / 2], bytes);
	return rates[RUNS / 2];
}

static int
read_file(const char *path)
{
	char block[65536];
	size_t n;
	FILE *f = fopen(path, "rb");
	if (!f)
		return -1;
	while ((n = fread(block, 1, sizeof(block), f)) > 0)
		buf_add(&stream, block, n);
	fclose(f);
	return 0;
}

int
main(int argc, char **argv)
{
	int64_t run_us = argc > 2 ? atoll(argv[2]) * 1000000 / RUNS : 1000000;
	if (argc < 2 || read_file(argv[1]) < 0) {
		fprintf(stderr, "usage: ami_rate TRACE.ami [SECONDS]\n");
		return 2;
	}
	double floor = measure("floor: memchr split", split_all, run_us);
	double ours = measure("interactd: to call events", parse_all, run_us);
	printf("ratio %.2f\n", ours / floor);
	buf_fini(&stream);
	return 0;
}
