/* Subscriptions to patterns, and names that are left and taken again at once. Against a
 * real server: tests/lib/with-servers gives TEST_REDIS and TEST_REDIS_CTL (77 = skipped
 * without them). */
#include <clock.h>
#include <io/loop.h>
#include <io/redis.h>
#include <lib/test.h>
#include <mem.h>
#include <str.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct env {
	struct loop *loop;
	struct redis *redis;
	int ups;
};

struct heard {
	int messages, ready, gaps;
	char channel[128], text[128];
};

static char *address;

static void
on_state(void *arg, bool up)
{
	struct env *e = arg;

	e->ups += up;
}

static void
until(struct env *e, const int *counter, int n)
{
	int64_t end = clock_mono_us() + 20 * 1000 * 1000;

	while (*counter < n && clock_mono_us() < end)
		loop_run_once(e->loop, 100);
	CHECK_INT(*counter, n);
}

static void
env_start(struct env *e)
{
	struct conf_list list = {&address, 1};
	struct redis_opts o = {.addresses = &list,
		.command_timeout_ms = 2000,
		.max_pending = 100,
		.on_state = on_state,
		.arg = e};

	e->ups = 0;
	e->loop = loop_new();
	e->redis = redis_open(e->loop, &o);
	until(e, &e->ups, 1);
}

static void
env_end(struct env *e)
{
	redis_close(&e->redis);
	loop_free(&e->loop);
}

static void
publish(struct env *e, const char *channel, const char *text)
{
	const char *argv[] = {"PUBLISH", channel, text};
	const size_t lens[] = {7, strlen(channel), strlen(text)};

	redis_command(e->redis, 3, argv, lens, NULL, NULL);
}

static void
hear(struct heard *h, const char *message, size_t len)
{
	h->messages++;
	snprintf(h->text, sizeof(h->text), "%.*s", (int)len, message);
}

static void
on_message(void *arg, const char *message, size_t len)
{
	hear(arg, message, len);
}

static void
on_pattern_message(void *arg, const char *channel, const char *message, size_t len)
{
	struct heard *h = arg;

	str_copy(h->channel, sizeof(h->channel), channel);
	hear(h, message, len);
}

static void
on_ready(void *arg)
{
	struct heard *h = arg;

	h->ready++;
}

static void
on_gap(void *arg)
{
	struct heard *h = arg;

	h->gaps++;
}

static struct redis_sub *
listen_pattern(struct env *e, const char *pattern, struct heard *h)
{
	struct redis_sub *s =
		redis_psubscribe(e->redis, pattern, on_pattern_message, on_gap, h);

	redis_sub_on_ready(s, on_ready);
	return s;
}

static void
test_pattern_tells_the_channel(void)
{
	struct env e;
	struct heard agents = {0}, one = {0};

	env_start(&e);
	struct redis_sub *a = listen_pattern(&e, "t:agent:*", &agents);
	struct redis_sub *b =
		redis_subscribe(e.redis, "t:agent:1", on_message, NULL, &one);
	redis_sub_on_ready(b, on_ready);
	until(&e, &agents.ready, 1);
	until(&e, &one.ready, 1);
	publish(&e, "t:queue:1", "not for us");
	publish(&e, "t:agent:1", "x");
	publish(&e, "t:agent:2", "y");
	until(&e, &agents.messages, 2);
	CHECK_STR(agents.channel, "t:agent:2");
	CHECK_STR(agents.text, "y");
	CHECK_INT(one.messages, 1);
	redis_unsubscribe(&a);
	redis_unsubscribe(&b);
	env_end(&e);
}

static void
test_pattern_survives_restart_and_tells_of_the_gap(void)
{
	struct env e;
	struct heard h = {0};
	char command[512];

	env_start(&e);
	struct redis_sub *s = listen_pattern(&e, "t:*", &h);
	until(&e, &h.ready, 1);
	snprintf(command, sizeof(command), "%s restart", getenv("TEST_REDIS_CTL"));
	test_expect_log("not connected");
	CHECK_INT(system(command), 0);
	until(&e, &h.gaps, 1);
	until(&e, &e.ups, 2);
	publish(&e, "t:1", "after");
	until(&e, &h.messages, 1);
	CHECK_STR(h.text, "after");
	CHECK_INT(h.ready, 1);
	redis_unsubscribe(&s);
	env_end(&e);
}

/* Whoever comes within that round trip is told ready by their own confirmation. */
static void
test_name_taken_again_before_its_unsubscribe_is_answered(void)
{
	struct env e;
	struct heard h = {0}, p = {0};

	env_start(&e);
	struct redis_sub *s = redis_subscribe(e.redis, "t:again", on_message, NULL, &h);
	struct redis_sub *q = listen_pattern(&e, "t:ag*", &p);
	redis_sub_on_ready(s, on_ready);
	until(&e, &h.ready, 1);
	until(&e, &p.ready, 1);
	redis_unsubscribe(&s);
	redis_unsubscribe(&q);
	s = redis_subscribe(e.redis, "t:again", on_message, NULL, &h);
	q = listen_pattern(&e, "t:ag*", &p);
	redis_sub_on_ready(s, on_ready);
	until(&e, &h.ready, 2);
	until(&e, &p.ready, 2);
	publish(&e, "t:again", "x");
	until(&e, &h.messages, 1);
	until(&e, &p.messages, 1);
	redis_unsubscribe(&s);
	redis_unsubscribe(&q);
	env_end(&e);
}

static void
test_subscriber_may_outlive_redis(void)
{
	struct env e;
	struct heard h = {0};

	env_start(&e);
	struct redis_sub *left = listen_pattern(&e, "t:left", &h);
	struct redis_sub *s = listen_pattern(&e, "t:*", &h);
	until(&e, &h.ready, 2);
	redis_unsubscribe(&left); /* not yet confirmed when all ends */
	env_end(&e);
	redis_unsubscribe(&s);
	CHECK(!s);
}

int
main(void)
{
	if (!getenv("TEST_REDIS") || !getenv("TEST_REDIS_CTL"))
		return 77;
	address = xstrdup(getenv("TEST_REDIS"));
	TEST(test_pattern_tells_the_channel);
	TEST(test_pattern_survives_restart_and_tells_of_the_gap);
	TEST(test_name_taken_again_before_its_unsubscribe_is_answered);
	TEST(test_subscriber_may_outlive_redis);
	xfree(&address);
	return test_done();
}
