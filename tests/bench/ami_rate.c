/* ami_rate.c - how fast AMI bytes become messages, and call events, beside what merely
 * framing messages and splitting their lines into keys and values costs (memmem, memchr),
 * on the same recorded bytes in the same run.
 *
 *	ami_rate TRACE.ami [SECONDS]
 *
 * Prints floor_per_s, messages_per_s (with six fields looked up) and events_per_s:
 * medians of five runs each, all in messages a second. */
#include <asterisk/ami.h>
#include <asterisk/ami_events.h>

#include "bench.h"

#define RUNS	  5
#define CHUNK	  65536
#define LINES_MAX 64

struct result {
	uint64_t messages;
	int64_t took_ns;
};

static struct buf stream;
static volatile size_t sink; /* so that nothing is optimised away */

struct pair {
	const char *key, *value;
	size_t key_len, value_len;
};

/* The lines of one message; returns how many. */
static size_t
split(const char *p, const char *end, struct pair *pairs)
{
	size_t n = 0;

	while (p < end && n < LINES_MAX) {
		const char *eol = memchr(p, '\n', (size_t)(end - p)), *colon;
		if (!eol || eol - p <= 1)
			break;
		colon = memchr(p, ':', (size_t)(eol - p));
		if (colon) {
			const char *value = colon + (colon[1] == ' ' ? 2 : 1);
			pairs[n++] = (struct pair){p, value, (size_t)(colon - p),
				(size_t)(eol - 1 - value)};
		}
		p = eol + 1;
	}
	return n;
}

static void
split_all(struct result *r)
{
	const char *p = stream.data, *end = p + stream.len, *next;
	struct pair pairs[LINES_MAX];

	while ((next = memmem(p, (size_t)(end - p), "\r\n\r\n", 4))) {
		next += 4;
		sink += split(p, next, pairs);
		r->messages++;
		p = next;
	}
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

/* What a driver asks of nearly every message. */
static void
look_up_fields(const struct ami_message *m)
{
	static const char *const keys[] = {"Event", "Channel", "Uniqueid", "Linkedid",
		"ChannelState", "CallerIDNum"};

	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		sink += (size_t)ami_get(m, keys[i]);
}

static void
on_message(void *arg, const struct ami_message *m)
{
	struct ours *o = arg;

	o->result->messages++;
	if (o->events)
		ami_events_translate(o->events, m, 1, on_event, NULL);
	else
		look_up_fields(m);
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
parse_all(struct result *r, struct ami_events *events)
{
	static const struct ami_parser_callbacks callbacks = {
		on_banner, on_message, on_refused};
	struct ours o = {events, r};
	struct ami_parser *parser = ami_parser_new(&callbacks, &o);
	const char *why;

	for (size_t at = 0; at < stream.len; at += CHUNK) {
		size_t n = stream.len - at < CHUNK ? stream.len - at : CHUNK;
		if (!ami_parser_feed(parser, stream.data + at, n, &why))
			die("ami", why);
	}
	ami_parser_free(&parser);
}

static void
to_messages(struct result *r)
{
	parse_all(r, NULL);
}

static void
to_events(struct result *r)
{
	struct ami_events *events = ami_events_new();

	parse_all(r, events);
	ami_events_free(&events);
}

static void
measure(const char *name, void (*fn)(struct result *), int64_t run_ns)
{
	double rates[RUNS];

	for (int i = 0; i < RUNS; i++) {
		struct result r = {0};
		int64_t begin = now_ns();
		while ((r.took_ns = now_ns() - begin) < run_ns)
			fn(&r);
		rates[i] = (double)r.messages * 1e9 / (double)r.took_ns;
	}
	printf("%s_per_s %.0f\n", name, median(rates, RUNS));
}

static void
read_file(const char *path)
{
	char block[65536];
	size_t n;
	FILE *f = fopen(path, "rb");

	if (!f)
		die(path, "cannot be read");
	while ((n = fread(block, 1, sizeof(block), f)) > 0)
		buf_add(&stream, block, n);
	fclose(f);
}

int
main(int argc, char **argv)
{
	int64_t run_ns = (argc > 2 ? atoll(argv[2]) : 5) * 1000000000 / RUNS / 3;

	if (argc < 2)
		die("usage", "ami_rate TRACE.ami [SECONDS]");
	read_file(argv[1]);
	measure("floor", split_all, run_ns);
	measure("messages", to_messages, run_ns);
	measure("events", to_events, run_ns);
	buf_fini(&stream);
	return 0;
}
