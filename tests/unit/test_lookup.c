/* test_lookup.c - when a failing system is left alone, what is remembered, what an answer
 * may say, and how a number gets into a URL. */
#include "lib/test.h"

#include <fetch.h>
#include <mem.h>
#include <people/breaker.h>
#include <people/lookup_priv.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define S INT64_C(1000000)

static const struct tenant tenant = {.id = 1, .name = "default", .region = "TW"};

/* ---- The breaker -------------------------------------------------------------------- */

static bool
ask(struct breaker *b, bool ok, int64_t at_us)
{
	if (!breaker_may(b, at_us))
		return false;
	breaker_done(b, ok, at_us);
	return true;
}

static void
test_breaker_opens_and_tries_again(void)
{
	struct breaker b;

	breaker_init(&b, 3, 30);
	CHECK(ask(&b, false, 1 * S) && ask(&b, false, 2 * S));
	CHECK_STR(breaker_text(&b), "closed");
	CHECK(ask(&b, false, 3 * S));
	CHECK_STR(breaker_text(&b), "open");
	CHECK(!ask(&b, true, 4 * S) && !ask(&b, true, 32 * S));
	CHECK(breaker_may(&b, 33 * S)); /* one tries */
	CHECK_STR(breaker_text(&b), "half_open");
	CHECK(!breaker_may(&b, 33 * S)); /* and nobody else */
	CHECK(breaker_done(&b, false, 34 * S));
	CHECK(!breaker_may(&b, 63 * S));
	CHECK(breaker_may(&b, 64 * S));
	CHECK(breaker_done(&b, true, 65 * S));
	CHECK_STR(breaker_text(&b), "closed");
	CHECK(ask(&b, false, 66 * S) && ask(&b, true, 66 * S));
}

static void
test_breaker_counts_within_a_window(void)
{
	struct breaker b;

	breaker_init(&b, 3, 30);
	for (int i = 0; i < 50; i++)
		CHECK(ask(&b, false, i * 6 * S)); /* never three in 10 s */
	breaker_init(&b, 3, 30);
	for (int i = 0; i < 300; i++)
		CHECK(ask(
			&b, i % 3 != 0, 100 * S)); /* a third fails: that is not down */
}

static void
test_breaker_ignores_those_from_before(void)
{
	struct breaker b;

	breaker_init(&b, 1, 30);
	CHECK(breaker_may(&b, 1 * S) && breaker_may(&b, 1 * S));
	CHECK(breaker_done(&b, false, 2 * S));
	CHECK(!breaker_done(&b, true, 3 * S));
	CHECK_STR(breaker_text(&b), "open");
	CHECK(breaker_may(&b, 40 * S));
	breaker_forget(&b); /* the one who tried gave up: another may */
	CHECK(breaker_may(&b, 40 * S));
}

/* ---- What is remembered ------------------------------------------------------------- */

static void
test_cache(void)
{
	struct lookup_cache c;
	json_t *person = json_pack("{s:{s:s}}", "set", "name", "Li"), *got;

	lookup_cache_init(&c);
	CHECK(!lookup_cache_get(&c, "a", 1, &got));
	lookup_cache_put(&c, "a", person, 100);
	lookup_cache_put(&c, "b", NULL, 100);
	CHECK(lookup_cache_get(&c, "a", 1, &got) && got == person);
	CHECK(lookup_cache_get(&c, "b", 99, &got) && !got);
	CHECK(!lookup_cache_get(&c, "b", 100, &got)); /* over */
	lookup_cache_put(&c, "a", NULL, 200);
	CHECK(lookup_cache_get(&c, "a", 150, &got) && !got);
	/* Somebody of tenant a is to be forgotten. */
	lookup_cache_put(&c, "a http://x", person, 200);
	lookup_cache_put(&c, "ab http://x", person, 200);
	lookup_cache_forget(&c, "a ");
	CHECK(!lookup_cache_get(&c, "a http://x", 150, &got));
	CHECK(lookup_cache_get(&c, "ab http://x", 150, &got));
	lookup_cache_fini(&c);
	json_decref(person);
}

static void
test_cache_is_bounded(void)
{
	struct lookup_cache c;
	char key[32], *long_text = xmalloc(60001);
	json_t *got;

	memset(long_text, 'x', 60000);
	long_text[60000] = '\0';
	lookup_cache_init(&c);
	for (int i = 0; i < 12000; i++) {
		snprintf(key, sizeof(key), "%d", i);
		lookup_cache_put(&c, key, NULL, 100);
		CHECK(lookup_cache_get(&c, "0", 1, &got) == true); /* used: it stays */
	}
	CHECK(c.entries.len == 10000);
	CHECK(!lookup_cache_get(&c, "1", 1, &got));
	CHECK(lookup_cache_get(&c, "11999", 1, &got));
	for (int i = 0; i < 500; i++) {
		json_t *person = json_pack("{s:s}", "x", long_text);
		snprintf(key, sizeof(key), "long %d", i);
		lookup_cache_put(&c, key, person, 100);
		json_decref(person);
	}
	CHECK(c.bytes <= 16 * 1024 * 1024 && c.entries.len < 100);
	lookup_cache_fini(&c);
	mem_free(long_text);
}

/* ---- Answers ------------------------------------------------------------------------ */

static void
test_answers(void)
{
	static const struct {
		const char *body;
		enum lookup_outcome outcome;
		const char *person; /* sorted */
		int ignored;
	} cases[] = {
		{"{\"name\":\"Li\"}", LOOKUP_FOUND, "{\"set\":{\"name\":\"Li\"}}", 0},
		{"{\"name\":\"Li\",\"what\":{},\"vip\":true,\"external\":\"crm:1\"}",
			LOOKUP_FOUND,
			"{\"external\":\"crm:1\",\"set\":{\"name\":\"Li\",\"vip\":true}}",
			0},
		{"{\"external\":\"crm:1\",\"organisation\":\"crm:7\",\"name\":null}",
			LOOKUP_FOUND,
			"{\"external\":\"crm:1\",\"organisation\":\"crm:7\",\"set\":{}}",
			0},
		{"{\"name\":\"\\t\\n\"}", LOOKUP_UNKNOWN, NULL, 0},
		{"{\"name\":\"a\\nb\\u001b[2J\"}", LOOKUP_FOUND,
			"{\"set\":{\"name\":\"a b[2J\"}}", 0},
		{"{\"name\":7,\"roles\":[\"king\"],\"vip\":1,\"external\":\"x\"}",
			LOOKUP_UNKNOWN, NULL, 4},
		{"{\"name\":\"A\",\"language\":\"?\",\"attributes\":[1]}", LOOKUP_FOUND,
			"{\"set\":{\"name\":\"A\"}}", 2},
		{"{\"name\":\"A\",\"attributes\":{\"n\":1e300}}", LOOKUP_FOUND,
			"{\"set\":{\"name\":\"A\"}}", 1},
		{"{}", LOOKUP_UNKNOWN, NULL, 0},
		{"[]", LOOKUP_FAILED, NULL, 0},
		{"", LOOKUP_FAILED, NULL, 0},
		{"<html>", LOOKUP_FAILED, NULL, 0},
		{"{\"name\":\"A\"} x", LOOKUP_FAILED, NULL, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		json_t *person, *ignored = json_array();
		char why[200] = "";
		enum lookup_outcome o = lookup_answer_parse(cases[i].body,
			strlen(cases[i].body), &tenant, &person, ignored, why);
		CHECK_INT(o, cases[i].outcome);
		char *text = person ? json_dumps(person, JSON_COMPACT | JSON_SORT_KEYS)
				    : NULL;
		CHECK_STR(text, cases[i].person);
		CHECK_INT((int64_t)json_array_size(ignored), cases[i].ignored);
		CHECK((o == LOOKUP_FAILED) == (why[0] != '\0'));
		free(text);
		json_decref(person);
		json_decref(ignored);
	}
}

/* ---- URLs --------------------------------------------------------------------------- */

static void
test_urls(void)
{
	static const struct {
		const char *url, *want;
	} cases[] = {
		{"http://x/{number}", "http://x/886912345678"},
		{"http://x/?n={e164}&c={channel}",
			"http://x/?n=%2B886912345678&c=a%26b%2F"},
		{"http://x/{national}/{tenant}", "http://x/0912345678/default"},
		{"http://x/{queue}{number}", "http://x/886912345678"},
		{"http://x/{other}", "http://x/{other}"},
	};
	static const struct address a = {
		.kind = "phone", .value = "+886912345678", .normal = true};
	const struct lookup_question q = {
		.tenant = &tenant, .address = &a, .channel = "a&b/"};
	static const char *const bad[] = {"", "http://x/", "x/{number}",
		"http://{number}/", "http://x/{numbr}", "http://x/{number}{",
		"gopher://x/{number}", "http://u:p@x/{number}", "http://x/{number}\n"};
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char *url = lookup_url_make(cases[i].url, &q);
		CHECK_STR(url, cases[i].want);
		xfree(&url);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		CHECK(lookup_check_url(bad[i], &err) < 0);
	CHECK(lookup_check_url("https://x:8443/a?n={e164}", &err) == 0);
	CHECK(lookup_check_header("X-Key: 42", &err) == 0);
	CHECK(lookup_check_header("X Key: 42", &err) < 0);
	CHECK(lookup_check_header("X-Key: 42\r\nHost: y", &err) < 0);
}

int
main(void)
{
	TEST(test_breaker_opens_and_tries_again);
	TEST(test_breaker_counts_within_a_window);
	TEST(test_breaker_ignores_those_from_before);
	TEST(test_cache);
	TEST(test_cache_is_bounded);
	TEST(test_answers);
	TEST(test_urls);
	return test_done();
}
