/* test_event_codec.c - call events survive the spool; damaged records are recognised. */
#include <calls/event_codec.h>

#include "lib/test.h"

#include <mem.h>
#include <str.h>

#include <stddef.h>
#include <string.h>

static void
check_equal(const struct call_event *a, const struct call_event *b)
{
	CHECK_INT(a->type, b->type);
	CHECK_INT(a->state, b->state);
	CHECK_INT(a->other_state, b->other_state);
	CHECK_INT(a->result, b->result);
	CHECK_INT(a->flags, b->flags);
	CHECK_INT(a->cause, b->cause);
	CHECK_INT(a->position, b->position);
	CHECK_INT(a->age_ms, b->age_ms);
	CHECK_INT(a->at_us, b->at_us);
#define T(name, help) CHECK_STR(a->name, b->name);
	CALL_EVENT_TEXTS(T)
#undef T
	CHECK_INT((int64_t)a->n_vars, (int64_t)b->n_vars);
	for (size_t i = 0; i < a->n_vars && i < b->n_vars; i++) {
		CHECK_STR(a->vars[i].name, b->vars[i].name);
		CHECK_STR(a->vars[i].value, b->vars[i].value);
	}
}

/* Every field set to something of its own. */
static struct call_event
full_event(const struct call_var *vars, size_t n)
{
	struct call_event ev = {.type = CALL_SYSTEM_STOPPED,
		.state = CALL_STATE_BUSY,
		.other_state = CALL_STATE_RINGING,
		.result = CALL_RESULT_INVALID,
		.flags = CALL_EXTERNAL | CALL_LOCAL,
		.cause = 127,
		.position = 70000,
		.age_ms = -5,
		.at_us = INT64_C(1795277508123456),
		.vars = vars,
		.n_vars = n};

#define T(name, help) ev.name = "text of " #name;
	CALL_EVENT_TEXTS(T)
#undef T
	return ev;
}

static void
test_there_and_back(void)
{
	static const struct call_var vars[] = {{"A", "1"}, {"B", ""}, {"名", "值"}};
	struct call_event empty = {0}, full = full_event(vars, 3), got;
	const struct call_event *const cases[] = {&empty, &full};
	struct call_var room[CALL_VARS_MAX];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct buf b = BUF_INIT;
		call_event_encode(&b, cases[i]);
		CHECK_INT(call_event_decode(b.data, b.len, &got, room), 0);
		check_equal(&got, cases[i]);
		buf_fini(&b);
	}
}

static void
test_every_cut_is_damage_or_a_shorter_event(void)
{
	static const struct call_var vars[] = {{"A", "1"}};
	struct call_event full = full_event(vars, 1), got;
	struct call_var room[CALL_VARS_MAX];
	struct buf b = BUF_INIT;

	call_event_encode(&b, &full);
	for (size_t len = 0; len < b.len; len++) {
		/* exactly as long as it says: a read beyond is an error of ours */
		char *copy = xmalloc(len + 1);
		memcpy(copy, b.data, len);
		copy = xrealloc(copy, len ? len : 1);
		if (call_event_decode(copy, len, &got, room) == 0)
			CHECK(len > 0);
		xfree(&copy);
	}
	buf_fini(&b);
}

static void
test_fields_of_a_newer_daemon_are_skipped(void)
{
	struct call_event ev = {.type = CALL_HOLD, .uid = "u"}, got;
	struct call_var room[CALL_VARS_MAX];
	struct buf b = BUF_INIT;

	call_event_encode(&b, &ev);
	buf_add(&b, "\xf2\x07\x05", 3);	     /* a number, field 505 */
	buf_add(&b, "\xf5\x07\x03new\0", 7); /* a text, field 506 */
	CHECK_INT(call_event_decode(b.data, b.len, &got, room), 0);
	check_equal(&got, &ev);
	buf_fini(&b);
}

static void
test_damage(void)
{
	static const struct {
		const char *data;
		size_t len;
	} bad[] = {
		{"", 0},
		{"\x02", 1},		     /* another version */
		{"\x01\x02\xff\x7f", 4},     /* a type nobody has */
		{"\x01\x43\x05hello", 8},    /* no NUL after the text */
		{"\x01\x43\x05he\0lo\0", 9}, /* one inside it */
		{"\x01\x43\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01x", 13},
		{"\x01\x17\x01v\0", 5}, /* a value without its name */
		{"\x01\x82", 2},
	};
	struct call_event got;
	struct call_var room[CALL_VARS_MAX];

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (call_event_decode(bad[i].data, bad[i].len, &got, room) != -1)
			test_fail(__FILE__, __LINE__, "bad[%zu] was taken", i);
}

static void
test_more_variables_than_there_is_room_for(void)
{
	struct call_var many[CALL_VARS_MAX + 10], room[CALL_VARS_MAX];
	struct call_event ev = {.type = CALL_VARIABLE, .vars = many}, got;
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < ARRAY_LEN(many); i++)
		many[i] = (struct call_var){"n", "v"};
	ev.n_vars = ARRAY_LEN(many);
	call_event_encode(&b, &ev);
	CHECK_INT(call_event_decode(b.data, b.len, &got, room), 0);
	CHECK_INT((int64_t)got.n_vars, CALL_VARS_MAX);
	buf_fini(&b);
}

int
main(void)
{
	TEST(test_there_and_back);
	TEST(test_every_cut_is_damage_or_a_shorter_event);
	TEST(test_fields_of_a_newer_daemon_are_skipped);
	TEST(test_damage);
	TEST(test_more_variables_than_there_is_room_for);
	return test_done();
}
