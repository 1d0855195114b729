/* Server-Sent Events: the data of each, however the bytes are cut. */
#include <ctl/sse.h>
#include <lib/test.h>
#include <mem.h>

#include <string.h>

struct heard {
	struct buf all; /* each event's data and '|' */
	unsigned left;	/* events to hear; 0 = no end */
};

static bool
on_event(void *arg, const char *data, size_t len)
{
	struct heard *h = arg;
	CHECK(strlen(data) == len);
	buf_add(&h->all, data, len);
	buf_addc(&h->all, '|');
	return !h->left || --h->left > 0;
}

static const struct {
	const char *bytes, *events;
} cases[] = {
	{"data: x\n\n", "x|"},
	{"data:x\n\n", "x|"},
	{"data:  x\n\n", " x|"},
	{"data\n\n", "|"},
	{"data: a\ndata: b\n\n", "a\nb|"},
	{"data: a\n\ndata: b\n\n", "a|b|"},
	{"data: a\r\n\r\ndata: b\r\n\r\n", "a|b|"},
	{"data: a\r\rdata: b\r\r", "a|b|"},
	{"data: a\r\n\ndata: b\n\r", "a|b|"},
	{": comment\n\nid: 7\ndata: x\nretry: 10\nevent: y\n\n", "x|"},
	{"\n\n\n", ""},
	{"id: 7\n\n", ""},
	{"database: x\n\n", ""},
	{"data: cut off", ""},
	{"data: cut off\n", ""},
};

static void
test_events_however_they_are_cut(void)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		for (size_t piece = 1; piece <= strlen(cases[i].bytes); piece++) {
			struct sse s = {.has_data = false};
			struct heard h = {BUF_INIT, 0};
			size_t len = strlen(cases[i].bytes);
			for (size_t at = 0; at < len; at += piece)
				CHECK(sse_feed(&s, cases[i].bytes + at,
					      len - at < piece ? len - at : piece,
					      on_event, &h) == SSE_MORE);
			CHECK_STR(buf_str(&h.all), cases[i].events);
			sse_fini(&s);
			buf_fini(&h.all);
		}
}

static void
test_the_listener_may_end_it(void)
{
	static const char bytes[] = "data: a\n\ndata: b\n\ndata: c\n\n";
	struct sse s = {.has_data = false};
	struct heard h = {BUF_INIT, 2};
	CHECK(sse_feed(&s, bytes, strlen(bytes), on_event, &h) == SSE_ENDED);
	CHECK_STR(buf_str(&h.all), "a|b|");
	sse_fini(&s);
	buf_fini(&h.all);
}

static void
test_an_event_without_end_is_refused(void)
{
	char line[4096];
	struct sse s = {.has_data = false};
	struct heard h = {BUF_INIT, 0};
	enum sse_result r = SSE_MORE;
	size_t fed = 0;
	memset(line, 'x', sizeof(line));
	memcpy(line, "data: ", 6);
	line[sizeof(line) - 1] = '\n';
	for (; r == SSE_MORE && fed < 2 * SSE_EVENT_MAX; fed += sizeof(line))
		r = sse_feed(&s, line, sizeof(line), on_event, &h);
	CHECK(r == SSE_TOO_LONG);
	CHECK(fed <= SSE_EVENT_MAX + 2 * sizeof(line));
	sse_clear(&s);
	CHECK(sse_feed(&s, "data: y\n\n", 9, on_event, &h) == SSE_MORE);
	CHECK_STR(buf_str(&h.all), "y|");
	sse_fini(&s);
	buf_fini(&h.all);
}

static void
test_nul_is_dropped(void)
{
	struct sse s = {.has_data = false};
	struct heard h = {BUF_INIT, 0};
	CHECK(sse_feed(&s, "data: a\0b\n\n", 11, on_event, &h) == SSE_MORE);
	CHECK_STR(buf_str(&h.all), "ab|");
	sse_fini(&s);
	buf_fini(&h.all);
}

int
main(void)
{
	TEST(test_events_however_they_are_cut);
	TEST(test_the_listener_may_end_it);
	TEST(test_an_event_without_end_is_refused);
	TEST(test_nul_is_dropped);
	return test_done();
}
