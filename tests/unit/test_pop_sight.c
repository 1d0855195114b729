/* A pop as somebody may see it who sees some contacts only: what is left of whole ones. */
#include <desk/pop.h>

#include <lib/test.h>
#include <mem.h>
#include <str.h>

#include <stdlib.h>
#include <string.h>

#define REMOTE "\"remote\":{\"value\":\"+1\",\"display\":\"Ann\"}"

static const struct {
	const char *roles, *attributes, *pop, *seen;
} cases[] = {
	/* in sight: as it was, but for other roles and attributes */
	{"[\"supplier\"]", "[\"a\"]",
		"{\"seq\":1," REMOTE
		",\"variables\":{\"V\":\"1\"},\"contact\":{\"id\":\"x\","
		"\"roles\":[\"lead\",\"supplier\"],\"attributes\":{\"a\":1,\"b\":2}},"
		"\"candidates\":[],\"recent\":[{\"id\":\"r\"}]}",
		"{\"seq\":1," REMOTE
		",\"variables\":{\"V\":\"1\"},\"contact\":{\"id\":\"x\","
		"\"roles\":[\"supplier\"],\"attributes\":{\"a\":1}},\"candidates\":[],"
		"\"recent\":[{\"id\":\"r\"}]}"},
	/* out of sight: the number */
	{"[\"supplier\"]", NULL,
		"{" REMOTE ",\"variables\":{\"V\":\"1\"},\"contact\":{\"id\":\"x\","
		"\"roles\":[\"lead\"]},\"candidates\":[],\"recent\":[{\"id\":\"r\"}]}",
		"{\"remote\":{\"value\":\"+1\",\"display\":null},\"variables\":{},"
		"\"contact\":null,\"candidates\":[],\"recent\":[]}"},
	/* a stranger, and nobody yet: the same */
	{"[\"supplier\"]", NULL,
		"{" REMOTE
		",\"variables\":{\"V\":\"1\"},\"contact\":{\"id\":\"x\",\"roles\":"
		"[]},\"candidates\":[],\"recent\":[]}",
		"{\"remote\":{\"value\":\"+1\",\"display\":null},\"variables\":{},"
		"\"contact\":null,\"candidates\":[],\"recent\":[]}"},
	{"[\"supplier\"]", NULL,
		"{" REMOTE
		",\"variables\":{\"V\":\"1\"},\"contact\":null,\"candidates\":[],"
		"\"recent\":[]}",
		"{\"remote\":{\"value\":\"+1\",\"display\":null},\"variables\":{},"
		"\"contact\":null,\"candidates\":[],\"recent\":[]}"},
	/* candidates: those in sight */
	{"[\"supplier\"]", NULL,
		"{" REMOTE
		",\"variables\":{},\"contact\":null,\"candidates\":[{\"id\":\"x\","
		"\"roles\":[\"lead\"]},{\"id\":\"y\",\"roles\":[\"supplier\"]},{\"id\":\"z\","
		"\"roles\":[]}],\"recent\":[]}",
		"{\"remote\":{\"value\":\"+1\",\"display\":null},\"variables\":{},"
		"\"contact\":null,\"candidates\":[{\"id\":\"y\",\"roles\":[\"supplier\"]}],"
		"\"recent\":[]}"},
	/* what the company's own system says while the database is away */
	{"[\"supplier\"]", "[]",
		"{" REMOTE
		",\"variables\":{},\"contact\":null,\"candidates\":[],\"recent\":[],"
		"\"lookup\":{\"name\":\"N\",\"roles\":[\"supplier\"],\"attributes\":{\"a\":1}}}",
		"{" REMOTE
		",\"variables\":{},\"contact\":null,\"candidates\":[],\"recent\":[],"
		"\"lookup\":{\"name\":\"N\",\"roles\":[\"supplier\"],\"attributes\":{}}}"},
	{"[\"supplier\"]", NULL,
		"{" REMOTE
		",\"variables\":{},\"contact\":null,\"candidates\":[],\"recent\":[],"
		"\"lookup\":{\"name\":\"N\"}}",
		"{\"remote\":{\"value\":\"+1\",\"display\":null},\"variables\":{},"
		"\"contact\":null,\"candidates\":[],\"recent\":[]}"},
	/* limited by attributes alone: everybody is seen */
	{NULL, "[]",
		"{" REMOTE ",\"variables\":{\"V\":\"1\"},\"contact\":{\"roles\":[],"
		"\"attributes\":{\"a\":1}},\"candidates\":[],\"recent\":[1]}",
		"{" REMOTE ",\"variables\":{\"V\":\"1\"},\"contact\":{\"roles\":[],"
		"\"attributes\":{}},\"candidates\":[],\"recent\":[1]}"},
	/* of a close without them (pop_adopt.c) there is nothing to take */
	{"[]", NULL, "{\"pop\":\"p\"}",
		"{\"pop\":\"p\",\"contact\":null,\"recent\":[],\"variables\":{}}"},
};

static void
test_what_is_left(void)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct sight *s =
			sight_parse(cases[i].roles, cases[i].attributes);
		struct buf out = BUF_INIT;
		CHECK(pop_json_seen(&out, cases[i].pop, strlen(cases[i].pop), s));
		CHECK_STR(buf_str(&out), cases[i].seen);
		/* again: nothing more goes */
		struct buf again = BUF_INIT;
		CHECK(pop_json_seen(&again, out.data, out.len, s));
		CHECK_STR(buf_str(&again), cases[i].seen);
		buf_fini(&again);
		buf_fini(&out);
		sight_unref(&s);
	}
}

static void
test_what_is_no_pop_is_not_shown(void)
{
	static const char *const bad[] = {"", "[]", "null", "{", "{\"a\":1e999}"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct buf out = BUF_INIT;
		CHECK(!pop_json_seen(&out, bad[i], strlen(bad[i]), sight_of_nobody()));
		CHECK(!out.len);
		buf_fini(&out);
	}
}

int
main(void)
{
	TEST(test_what_is_left);
	TEST(test_what_is_no_pop_is_not_shown);
	return test_done();
}
