/* Events over a real Redis that goes and comes back (tests/lib/with-servers; skipped
 * with 77 without it). */
#include <clock.h>
#include <desk/events.h>
#include <io/loop.h>
#include <lib/test.h>
#include <mem.h>
#include <str.h>

#include <jansson.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEEN_MAX 2000

static struct {
	struct loop *loop;
	struct redis *redis, *listener;
	struct events *events;
	struct tenant tenant;
	bool ready;
	int n, numbers[SEEN_MAX];
	char last[1024];
} e;

#define UNTIL(cond)                                                                    \
	do {                                                                           \
		int64_t end_us = clock_mono_us() + 15000000;                           \
		while (!(cond) && clock_mono_us() < end_us)                            \
			loop_run_once(e.loop, 20);                                     \
		if (!(cond))                                                           \
			test_fail(__FILE__, __LINE__, "never: %s", #cond);             \
	} while (0)

static void
on_message(void *arg, const char *json, size_t len)
{
	json_t *o = json_loadb(json, len, 0, NULL);
	(void)arg;
	CHECK(o && e.n < SEEN_MAX);
	str_copy(e.last, sizeof(e.last), json);
	e.numbers[e.n++] = (int)json_integer_value(
		json_object_get(json_object_get(o, "object"), "n"));
	json_decref(o);
}

static void
on_ready(void *arg)
{
	(void)arg;
	e.ready = true;
}

static void
on_gap(void *arg)
{
	(void)arg;
	e.ready = true;
}

static void
publish(int n)
{
	char object[32];
	snprintf(object, sizeof(object), "{\"n\":%d}", n);
	events_publish(e.events, &e.tenant, "interaction.created", object, NULL);
}

static void
ctl(const char *what)
{
	char *cmd = xasprintf("%s %s", getenv("TEST_REDIS_CTL"), what);
	CHECK_INT(system(cmd), 0);
	xfree(&cmd);
}

static void
test_events_are_kept_while_redis_is_away(void)
{
	char *address = getenv("TEST_REDIS");
	struct conf_list list = {&address, 1};
	struct redis_opts o = {
		.addresses = &list, .command_timeout_ms = 2000, .max_pending = 5000};
	memset(&e, 0, sizeof(e));
	str_copy(e.tenant.name, sizeof(e.tenant.name), "default");
	e.loop = loop_new();
	e.redis = redis_open(e.loop, &o);
	e.listener = redis_open(e.loop, &o);
	e.events = events_new(e.loop, e.redis);
	publish(0);
	struct redis_sub *sub = redis_subscribe(
		e.listener, "interactd:default:events", on_message, on_gap, NULL);
	redis_sub_on_ready(sub, on_ready);
	UNTIL(e.ready && redis_is_up(e.redis));
	publish(1);
	UNTIL(e.n && e.numbers[e.n - 1] == 1);
	CHECK(strstr(e.last, "\"v\":1,\"id\":\""));
	CHECK(strstr(e.last, "\"type\":\"interaction.created\",\"at\":\"2"));
	CHECK(strstr(
		e.last, "\"tenant\":\"default\",\"object\":{\"n\":1},\"changes\":{}}"));
	e.n = 0;
	e.ready = false;
	test_expect_log("not connected");
	test_expect_log("not connected");
	ctl("kill");
	UNTIL(!redis_is_up(e.redis) && !redis_is_up(e.listener));
	test_expect_log("events are dropped");
	for (int i = 0; i < 1010; i++)
		publish(100 + i);
	CHECK_INT((int64_t)events_dropped(e.events), 10);
	ctl("start");
	/* Held back until the listener is there again: only then does the test look. */
	UNTIL(redis_is_up(e.redis));
	UNTIL(e.ready);
	for (int i = 0; i < 50; i++)
		loop_run_once(e.loop, 5);
	publish(9999);
	UNTIL(e.n && e.numbers[e.n - 1] == 9999);
	for (int i = 1; i < e.n; i++)
		CHECK(e.numbers[i] > e.numbers[i - 1]);
	CHECK_INT((int64_t)events_dropped(e.events), 10);
	publish(1);
	events_free(&e.events);
	redis_unsubscribe(&sub);
	redis_close(&e.redis);
	redis_close(&e.listener);
	loop_free(&e.loop);
}

int
main(void)
{
	if (!getenv("TEST_REDIS") || !getenv("TEST_REDIS_CTL")) {
		fputs("SKIP: no TEST_REDIS; run it under tests/lib/with-servers\n",
			stderr);
		return 77;
	}
	TEST(test_events_are_kept_while_redis_is_away);
	return test_done();
}
