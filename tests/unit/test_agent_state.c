/* One agent's state, from what was said and when: in whatever order it arrives. */
#include <desk/agent_state.h>
#include <lib/test.h>
#include <mem.h>
#include <str.h>

#include <stdio.h>
#include <string.h>

#define S INT64_C(1000000)

static void
choose(struct agent_facts *f, enum agent_mode mode, int64_t at_s, enum agent_source by,
	const char *reason)
{
	struct agent_choice c = {.mode = mode, .at_us = at_s * S, .source = by};

	str_copy(c.reason, sizeof(c.reason), reason);
	agent_facts_choose(f, &c);
}

static void
wrap(struct agent_facts *f, int64_t at_s, int64_t until_s)
{
	struct agent_wrapup w = {
		.at_us = at_s * S, .until_us = until_s * S, .source = AGENT_BY_CALL};

	agent_facts_wrapup(f, &w);
}

/* "paused/lunch 12-0 api" */
static const char *
state(const struct agent_facts *f, int64_t now_s)
{
	static char text[256];
	struct agent_state s;

	agent_state_of(f, now_s * S, &s);
	snprintf(text, sizeof(text), "%s/%s %lld-%lld %s", agent_mode_text(s.mode),
		s.reason, (long long)(s.since_us / S), (long long)(s.until_us / S),
		agent_source_text(s.source));
	return text;
}

static void
test_words(void)
{
	for (int i = 0; i < AGENT_MODE_COUNT; i++)
		CHECK_INT(agent_mode_parse(agent_mode_text((enum agent_mode)i)), i);
	CHECK_INT(agent_mode_parse("busy"), -1);
	CHECK_INT(agent_mode_parse(NULL), -1);
	CHECK_INT(agent_source_parse("phone"), AGENT_BY_PHONE);
	CHECK_INT(agent_source_parse(""), -1);
}

static void
test_who_was_never_heard_of_is_offline_and_who_was_is_available(void)
{
	struct agent_facts f = {.seen_us = 0};

	CHECK_STR(state(&f, 10), "offline/ 0-0 none");
	CHECK(agent_facts_see(&f, 7 * S));
	CHECK(!agent_facts_see(&f, 9 * S));
	CHECK_STR(state(&f, 10), "available/ 7-0 phone");
}

static void
test_the_latest_choice_by_its_own_time_holds(void)
{
	struct agent_facts f = {.seen_us = 0};

	choose(&f, AGENT_PAUSED, 10, AGENT_BY_API, "lunch");
	choose(&f, AGENT_AVAILABLE, 8, AGENT_BY_PHONE, "");
	CHECK_STR(state(&f, 20), "paused/lunch 10-0 api");
	choose(&f, AGENT_AVAILABLE, 12, AGENT_BY_PHONE, "");
	CHECK_STR(state(&f, 20), "available/ 12-0 phone");
	/* At the same moment a person at the API has the last word. */
	choose(&f, AGENT_OFFLINE, 12, AGENT_BY_API, "home");
	choose(&f, AGENT_PAUSED, 12, AGENT_BY_PHONE, "");
	CHECK_STR(state(&f, 20), "offline/home 12-0 api");
}

static void
test_wrapup_covers_the_choice_until_its_time_is_over(void)
{
	struct agent_facts f = {.seen_us = 0};

	choose(&f, AGENT_AVAILABLE, 5, AGENT_BY_API, "");
	wrap(&f, 10, 40);
	CHECK_STR(state(&f, 20), "wrapup/ 10-40 call");
	CHECK_STR(state(&f, 40), "available/ 40-0 timer");
	/* Its timer came, and the wall clock has jumped back. */
	f.wrapup.over = true;
	CHECK_STR(state(&f, 20), "available/ 40-0 timer");
	/* A pause asked for meanwhile waits for its end. */
	f.wrapup.over = false;
	choose(&f, AGENT_PAUSED, 20, AGENT_BY_API, "lunch");
	CHECK_STR(state(&f, 30), "wrapup/ 10-40 call");
	CHECK_STR(state(&f, 50), "paused/lunch 40-0 api");
}

static void
test_available_and_offline_end_a_wrapup(void)
{
	static const enum agent_mode ends[] = {AGENT_AVAILABLE, AGENT_OFFLINE};

	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		struct agent_facts f = {.seen_us = 0};
		wrap(&f, 10, 40);
		choose(&f, ends[i], 15, AGENT_BY_API, "");
		CHECK(!agent_is_wrapping_up(&f, 20 * S));
		/* Also when something else was chosen since. */
		choose(&f, AGENT_PAUSED, 18, AGENT_BY_API, "");
		CHECK_STR(state(&f, 20), "paused/ 18-0 api");
		wrap(&f, 25, 60);
		CHECK_STR(state(&f, 30), "wrapup/ 25-60 call");
	}
}

static void
test_out_of_reach_is_offline_and_comes_back_to_what_it_was(void)
{
	struct agent_facts f = {.seen_us = 0};

	choose(&f, AGENT_PAUSED, 5, AGENT_BY_API, "lunch");
	CHECK(agent_facts_reach(&f, false, 10 * S));
	CHECK(!agent_facts_reach(&f, false, 11 * S));
	CHECK_STR(state(&f, 12), "offline/ 10-0 phone");
	CHECK(agent_facts_reach(&f, true, 15 * S));
	CHECK_STR(state(&f, 20), "paused/lunch 15-0 api");
	choose(&f, AGENT_AVAILABLE, 16, AGENT_BY_API, "");
	agent_facts_reach(&f, false, 17 * S);
	agent_facts_reach(&f, true, 18 * S);
	CHECK_STR(state(&f, 20), "available/ 18-0 phone");
	/* Who went home is not brought back by a phone. */
	choose(&f, AGENT_OFFLINE, 19, AGENT_BY_API, "");
	agent_facts_reach(&f, false, 21 * S);
	agent_facts_reach(&f, true, 22 * S);
	CHECK_STR(state(&f, 30), "offline/ 19-0 api");
}

/* ---- Any order ---- */

struct said {
	bool is_wrapup;
	enum agent_mode mode;
	int64_t at_s, until_s;
	enum agent_source source;
	const char *reason;
};

#define SAID 5

static void
say(struct agent_facts *f, const struct said *s)
{
	if (s->is_wrapup)
		wrap(f, s->at_s, s->until_s);
	else
		choose(f, s->mode, s->at_s, s->source, s->reason);
}

static unsigned
next_random(unsigned *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

static void
make_said(struct said said[SAID], unsigned *seed)
{
	static const enum agent_mode modes[] = {
		AGENT_OFFLINE, AGENT_AVAILABLE, AGENT_PAUSED};
	static const char *const reasons[] = {"", "lunch", "meeting"};

	for (int i = 0; i < SAID; i++) {
		int64_t at = 1 + next_random(seed) % 6;
		said[i] = (struct said){next_random(seed) % 3 == 0,
			modes[next_random(seed) % 3], at,
			at + 1 + next_random(seed) % 5,
			next_random(seed) % 2 ? AGENT_BY_API : AGENT_BY_PHONE,
			reasons[next_random(seed) % 3]};
	}
}

/* All orders of said[0..n), each compared with the first one. */
static void
permute(struct said said[SAID], int n, char expected[12][256])
{
	if (n > 1) {
		for (int i = 0; i < n; i++) {
			struct said kept = said[i];
			said[i] = said[n - 1];
			said[n - 1] = kept;
			permute(said, n - 1, expected);
			said[n - 1] = said[i];
			said[i] = kept;
		}
		return;
	}
	struct agent_facts f = {.seen_us = 0};
	for (int i = 0; i < SAID; i++)
		say(&f, &said[i]);
	for (int now = 0; now < 12; now++) {
		if (!expected[now][0])
			str_copy(expected[now], 256, state(&f, now));
		CHECK_STR(state(&f, now), expected[now]);
	}
}

static void
test_the_same_facts_in_any_order_give_the_same_state(void)
{
	unsigned seed = 7;

	for (int round = 0; round < 300; round++) {
		struct said said[SAID];
		char expected[12][256] = {{0}};
		make_said(said, &seed);
		permute(said, SAID, expected);
	}
}

/* Two copies that heard halves, merged either way, know what one that heard all does. */
static void
test_what_was_kept_is_merged_by_its_times(void)
{
	unsigned seed = 11;

	for (int round = 0; round < 1000; round++) {
		struct said said[SAID];
		struct agent_facts all = {.seen_us = 0}, a = all, b = all, ab, ba;
		make_said(said, &seed);
		for (int i = 0; i < SAID; i++) {
			say(&all, &said[i]);
			say(i % 2 ? &a : &b, &said[i]);
		}
		ab = a;
		ba = b;
		agent_facts_merge(&ab, &b);
		agent_facts_merge(&ba, &a);
		CHECK(!agent_facts_merge(&ab, &a) && !agent_facts_merge(&ab, &b));
		for (int now = 0; now < 12; now++) {
			char expected[256];
			str_copy(expected, sizeof(expected), state(&all, now));
			CHECK_STR(state(&ab, now), expected);
			CHECK_STR(state(&ba, now), expected);
		}
	}
}

/* ---- What the phone systems' queues are to do ---- */

static void
test_what_is_passed_on(void)
{
	struct agent_facts f = {.seen_us = 1};
	const char *reason;

	CHECK_INT(agent_wants_pause(&f, 1, &reason), -1);
	wrap(&f, 2, 4);
	CHECK_INT(agent_wants_pause(&f, 3 * S, &reason), 1);
	CHECK_STR(reason, "wrapup");
	CHECK(agent_reason_is_mark(reason));
	/* Nobody is left paused by a wrap-up that is over. */
	CHECK_INT(agent_wants_pause(&f, 5 * S, &reason), 0);
	choose(&f, AGENT_PAUSED, 6, AGENT_BY_API, "lunch");
	CHECK_INT(agent_wants_pause(&f, 7 * S, &reason), 1);
	CHECK_STR(reason, "lunch");
	choose(&f, AGENT_OFFLINE, 8, AGENT_BY_API, "");
	CHECK_INT(agent_wants_pause(&f, 9 * S, &reason), 1);
	CHECK(agent_reason_is_mark(reason));
	choose(&f, AGENT_AVAILABLE, 9, AGENT_BY_API, "");
	CHECK_INT(agent_wants_pause(&f, 9 * S, &reason), 0);
	/* Phones out of reach change nothing about it. */
	agent_facts_reach(&f, false, 9 * S);
	CHECK_INT(agent_wants_pause(&f, 10 * S, &reason), 0);
}

/* An item of a list, found at 100 s. */
static const struct {
	const char *what;
	enum agent_mode mode;
	int64_t at_s; /* of the choice, and half a second; 0 = none */
	bool paused;
	const char *reason;
	int64_t last_pause_s;
	bool agreed;
	int tells;
} items[] = {
	{"nothing chosen: what is there is taken", 0, 0, true, "tea", 0, true, 1},
	{"nothing chosen, nothing there", 0, 0, false, "", 0, true, -1},
	{"paused there later", AGENT_AVAILABLE, 50, true, "tea", 51, true, 1},
	{"paused there before", AGENT_AVAILABLE, 50, true, "tea", 49, true, -1},
	{"paused there in the same second: maybe before", AGENT_AVAILABLE, 50, true,
		"tea", 50, true, -1},
	{"paused there, nobody says when", AGENT_AVAILABLE, 50, true, "tea", 0, true,
		-1},
	{"our wrap-up's mark is nobody's pause", AGENT_AVAILABLE, 50, true, "wrapup",
		60, true, -1},
	{"our own pause, passed on late", AGENT_PAUSED, 50, true, "lunch", 60, true,
		-1},
	{"another reason, later", AGENT_PAUSED, 50, true, "tea", 60, true, 1},
	{"taken back there", AGENT_PAUSED, 50, false, "", 50, true, 0},
	{"taken back there, passed on late", AGENT_PAUSED, 50, false, "", 70, true, 0},
	{"the pause never came there", AGENT_PAUSED, 50, false, "", 40, true, -1},
	{"never passed on since", AGENT_PAUSED, 50, false, "", 50, false, -1},
	{"lost by a restart", AGENT_PAUSED, 50, false, "", 0, true, -1},
	{"went home, and logged in at the phone", AGENT_OFFLINE, 50, false, "", 50,
		true, 0},
	{"went home", AGENT_OFFLINE, 50, true, "offline", 50, true, -1},
	{"available on both sides", AGENT_AVAILABLE, 50, false, "", 70, true, -1},
};

static void
test_what_a_list_tells(void)
{
	for (size_t i = 0; i < ARRAY_LEN(items); i++) {
		struct agent_facts f = {.seen_us = 1};
		struct agent_choice c = {.mode = items[i].mode, .source = AGENT_BY_API};
		c.at_us = items[i].at_s ? items[i].at_s * S + S / 2 : 0;
		str_copy(c.reason, sizeof(c.reason),
			items[i].mode == AGENT_PAUSED ? "lunch" : "");
		if (c.at_us)
			agent_facts_choose(&f, &c);
		int tells = agent_item_tells(&f, 100 * S, items[i].paused,
			items[i].reason, items[i].last_pause_s * S, items[i].agreed);
		if (tells != items[i].tells)
			test_fail(__FILE__, __LINE__, "%s: %d", items[i].what, tells);
	}
}

int
main(void)
{
	TEST(test_words);
	TEST(test_who_was_never_heard_of_is_offline_and_who_was_is_available);
	TEST(test_the_latest_choice_by_its_own_time_holds);
	TEST(test_wrapup_covers_the_choice_until_its_time_is_over);
	TEST(test_available_and_offline_end_a_wrapup);
	TEST(test_out_of_reach_is_offline_and_comes_back_to_what_it_was);
	TEST(test_the_same_facts_in_any_order_give_the_same_state);
	TEST(test_what_was_kept_is_merged_by_its_times);
	TEST(test_what_is_passed_on);
	TEST(test_what_a_list_tells);
	return test_done();
}
