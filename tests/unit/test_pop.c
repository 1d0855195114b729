/* Screen pops against a real Redis (tests/lib/with-servers gives TEST_REDIS and
 * TEST_REDIS_CTL; skipped with 77 without them). The card is this file's own, so that a
 * test says what the database answers and when; what a softphone sees is collected by a
 * second connection. */
#include <clock.h>
#include <desk/pop.h>
#include <io/loop.h>
#include <io/redis.h>
#include <lib/test.h>
#include <mem.h>
#include <str.h>

#include <jansson.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEEN_MAX 256
#define T0	 INT64_C(1795248000000000) /* 2026-11-21T08:00:00Z */
#define S	 INT64_C(1000000)

/* ---- The card, as a test wants it ---- */

static struct {
	int64_t delay_ms; /* < 0: never */
	bool unavailable, unknown;
	struct uuid contact;
	const char *contact_json, *candidates_json, *recent_json;
	int asked, running;
} fake;

struct card_query {
	struct loop_timer *timer;
	card_fn *fn;
	void *arg;
};

struct card *
card_new_unknown(void)
{
	struct card *c = xcalloc(1, sizeof(*c));
	c->contact_json = xstrdup("null");
	c->candidates_json = xstrdup("[]");
	c->recent_json = xstrdup("[]");
	return c;
}

void
card_free(struct card **cp)
{
	struct card *c = *cp;
	if (!c)
		return;
	*cp = NULL;
	xfree(&c->contact_json);
	xfree(&c->candidates_json);
	xfree(&c->recent_json);
	mem_free(c);
}

char *
card_unnamed_json(const struct uuid *id, const struct address *a, enum trust trust)
{
	char text[UUID_TEXT_LEN];
	return xasprintf(
		"{\"id\":\"%s\",\"name\":null,\"identities\":[{\"kind\":\"%s\","
		"\"value\":\"%s\",\"trust\":\"%s\"}]}",
		uuid_format(text, id), a->kind, a->value, trust_text(trust));
}

struct uuid
card_new_contact_id(const struct tenant *t, const struct address *a, int64_t at_us)
{
	char name[400];
	snprintf(name, sizeof(name), "%s %s:%s", t->name, a->kind, a->value);
	return uuid_derive(at_us, name);
}

static void
give_card(void *arg)
{
	struct card_query *q = arg;
	struct card *c = card_new_unknown(); /* given in any case */
	bool unavailable = fake.unavailable;
	if (!unavailable) {
		c->found = !fake.unknown;
		c->contact = fake.contact;
		if (fake.contact_json) {
			xfree(&c->contact_json);
			c->contact_json = xstrdup(fake.contact_json);
		}
		if (fake.candidates_json) {
			xfree(&c->candidates_json);
			c->candidates_json = xstrdup(fake.candidates_json);
		}
		if (fake.recent_json) {
			xfree(&c->recent_json);
			c->recent_json = xstrdup(fake.recent_json);
		}
	}
	card_fn *fn = q->fn;
	void *fn_arg = q->arg;
	card_cancel(&q);
	fn(fn_arg, unavailable ? CARD_UNAVAILABLE : CARD_READY, c);
}

struct card_query *
card_fetch(struct store *st, const struct tenant *t, const struct address *a,
	enum trust trust, const struct uuid *except, card_fn *fn, void *arg)
{
	struct card_query *q = xcalloc(1, sizeof(*q));
	(void)t, (void)a, (void)trust, (void)except;
	q->fn = fn;
	q->arg = arg;
	q->timer = loop_timer_new(st->loop, give_card, q);
	if (fake.delay_ms >= 0)
		loop_timer_start(q->timer, fake.delay_ms);
	fake.asked++;
	fake.running++;
	return q;
}

void
card_cancel(struct card_query **qp)
{
	struct card_query *q = *qp;
	if (!q)
		return;
	*qp = NULL;
	loop_timer_free(&q->timer);
	mem_free(q);
	fake.running--;
}

/* ---- The scene ---- */

struct env {
	struct loop *loop;
	struct redis *redis, *softphone;
	struct store store;
	struct tenant tenant;
	struct pops *pops;
	struct redis_sub *subs[4];
	int n_subs, ready;
	char *seen[SEEN_MAX]; /* by the softphones, all channels */
	int n_seen;
	char answer[512];
	int64_t number;
	bool answered;
	int adopted, downs;
	unsigned timeout_ms; /* of the daemon's commands */
};

static char *address;
static struct env e;

static void
on_state(void *arg, bool up)
{
	(void)arg;
	e.downs += !up;
	if (e.pops)
		pops_on_redis(e.pops, up);
}

static struct redis *
open_redis(bool tell)
{
	struct conf_list list = {&address, 1};
	struct redis_opts o = {
		.addresses = &list,
		.command_timeout_ms = tell && e.timeout_ms ? e.timeout_ms : 2000,
		.max_pending = 5000,
		.on_state = tell ? on_state : NULL,
	};
	return redis_open(e.loop, &o);
}

#define UNTIL(cond)                                                                    \
	do {                                                                           \
		int64_t end_us = clock_mono_us() + 15 * S;                             \
		while (!(cond) && clock_mono_us() < end_us)                            \
			loop_run_once(e.loop, 20);                                     \
		if (!(cond))                                                           \
			test_fail(__FILE__, __LINE__, "never: %s", #cond);             \
	} while (0)

static void
on_answer(void *arg, const struct redis_reply *r)
{
	(void)arg;
	str_copy(e.answer, sizeof(e.answer), redis_str(r, NULL));
	e.number = redis_type(r) == REDIS_ARRAY ? (int64_t)redis_len(r) : redis_int(r);
	e.answered = true;
}

/* Asks Redis past the daemon; words are split at blanks. */
static int64_t
ask(const char *line)
{
	const char *argv[16];
	size_t lens[16];
	int n = 0;
	for (const char *s = line; *s; s += *s == ' ') {
		argv[n] = s;
		lens[n] = strcspn(s, " ");
		s += lens[n++];
	}
	e.answered = false;
	redis_command(e.softphone, n, argv, lens, on_answer, NULL);
	UNTIL(e.answered);
	return e.number;
}

static void
on_message(void *arg, const char *json, size_t len)
{
	(void)arg;
	if (e.n_seen < SEEN_MAX)
		e.seen[e.n_seen++] = xstrndup(json, len);
}

static void
on_ready(void *arg)
{
	(void)arg;
	e.ready++;
}

static void
listen_to(const char *channel)
{
	e.subs[e.n_subs] =
		redis_subscribe(e.softphone, channel, on_message, NULL, NULL);
	redis_sub_on_ready(e.subs[e.n_subs++], on_ready);
	UNTIL(e.ready == e.n_subs);
}

static void
forget_seen(void)
{
	for (int i = 0; i < e.n_seen; i++)
		xfree(&e.seen[i]);
	e.n_seen = 0;
}

static struct pops *
new_pops(struct redis *r, unsigned wrapup_ms)
{
	struct pops_opts o = {.pop_timeout_ms = 250, .wrapup_ms = wrapup_ms};
	return pops_new(&e.store, r, &o);
}

static void
begin_slow(unsigned wrapup_ms, unsigned timeout_ms)
{
	memset(&e, 0, sizeof(e));
	e.timeout_ms = timeout_ms;
	memset(&fake, 0, sizeof(fake));
	fake.contact = uuid_derive(T0, "contact");
	fake.contact_json = "{\"id\":\"c1\",\"name\":\"示例客户\",\"attributes\":{}}";
	e.loop = loop_new();
	e.store.loop = e.loop;
	map_init(&e.store.tenants);
	str_copy(e.tenant.name, sizeof(e.tenant.name), "default");
	map_put(&e.store.tenants, "default", &e.tenant);
	e.redis = open_redis(true);
	e.softphone = open_redis(false);
	UNTIL(redis_is_up(e.redis) && redis_is_up(e.softphone));
	ask("FLUSHALL");
	e.pops = new_pops(e.redis, wrapup_ms);
	listen_to("interactd:default:agent:1001");
}

static void
begin(unsigned wrapup_ms)
{
	begin_slow(wrapup_ms, 0);
}

static void
end(void)
{
	pops_free(&e.pops);
	for (int i = 0; i < e.n_subs; i++)
		redis_unsubscribe(&e.subs[i]);
	redis_close(&e.redis);
	redis_close(&e.softphone);
	forget_seen();
	map_fini(&e.store.tenants);
	loop_free(&e.loop);
	CHECK_INT(fake.running, 0);
}

static void
ctl(const char *what)
{
	char *cmd = xasprintf("%s %s", getenv("TEST_REDIS_CTL"), what);
	CHECK_INT(system(cmd), 0);
	xfree(&cmd);
}

/* Lets everything that is under way come to an end. */
static void
settle(void)
{
	ask("PING");
	ask("PING");
	for (int i = 0; i < 3; i++)
		loop_run_once(e.loop, 1);
}

/* ---- Calls ---- */

static struct subject_info
call_info(const char *name)
{
	return (struct subject_info){
		.tenant = &e.tenant,
		.interaction = uuid_derive(T0, name),
		.channel = "pbx-main",
		.kind = "call",
		.direction = "in",
		.queue = "support",
		.call_id = "1795248000.7",
		.remote_kind = "phone",
		.remote_display = "示例客户",
		.remote_value = "+8613800138000",
		.remote_normal = true,
		.trust = TRUST_NETWORK,
		.local = "4008001234",
		.variables = "{\"CUSTOMER_ID\":\"42\"}",
		.at_us = T0,
	};
}

static struct subject *
call_begin(struct pops *ps, const char *name)
{
	struct subject_info in = call_info(name);
	return subject_begin(ps, &in);
}

static struct pop_info
pop(const char *name, const char *agent, const char *state, int64_t at_us)
{
	return (struct pop_info){
		.pop = uuid_derive(T0, name),
		.agent = agent,
		.queue = "support",
		.state = state,
		.at_us = at_us,
		.waited_ms = 5200,
	};
}

static void
open_pop(struct subject *s, const char *name, const char *agent, int64_t at_us)
{
	struct pop_info in = pop(name, agent, agent ? "ringing" : "waiting", at_us);
	pop_open(s, &in);
}

static void
talk(struct subject *s, const char *name, const char *agent, int64_t at_us)
{
	struct pop_info in = pop(name, agent, "talking", at_us);
	pop_update(s, &in);
}

static void
close_pop(struct subject *s, const char *name, const char *reason, int64_t at_us)
{
	struct uuid id = uuid_derive(T0, name);
	pop_close(s, &id, reason, at_us);
}

/* ---- Looking at what was seen ---- */

/* "seq type state", of the i-th object seen; degraded ones end with '!'. */
static const char *
brief(int i)
{
	static char text[8][128];
	static int turn;
	char *t = text[turn++ % 8];
	*t = '\0';
	json_t *o = i < e.n_seen ? json_loads(e.seen[i], 0, NULL) : NULL;
	if (!o)
		return "(none)";
	snprintf(t, 128, "%d %s %s%s",
		(int)json_integer_value(json_object_get(o, "seq")),
		json_string_value(json_object_get(o, "type")),
		json_string_value(json_object_get(o, "state")),
		json_is_true(json_object_get(o, "degraded")) ? "!" : "");
	json_decref(o);
	return t;
}

static json_t *
parsed(int i)
{
	json_t *o = i < e.n_seen ? json_loads(e.seen[i], 0, NULL) : NULL;
	CHECK(o);
	return o;
}

/* A text member ("remote" "value": two keys; or one and NULL). */
static const char *
text_of(int i, const char *key, const char *inner)
{
	static char text[4][256];
	static int turn;
	char *t = text[turn++ % 4];
	json_t *o = parsed(i);
	json_t *v = json_object_get(o, key);
	if (inner)
		v = json_object_get(v, inner);
	str_copy(t, 256,
		json_is_string(v) ? json_string_value(v)
		: json_is_null(v) ? "null"
				  : "(absent)");
	json_decref(o);
	return t;
}

static int
count_seen(const char *type)
{
	int n = 0;
	for (int i = 0; i < e.n_seen; i++)
		n += strstr(e.seen[i], type) != NULL;
	return n;
}

/* ---- Cases ---- */

static void
test_open_update_close(void)
{
	begin(0);
	struct subject *s = call_begin(e.pops, "call");
	open_pop(s, "a", "1001", T0 + S);
	UNTIL(e.n_seen == 1);
	CHECK_STR(brief(0), "1 pop.open ringing");
	CHECK_STR(text_of(0, "remote", "value"), "+8613800138000");
	CHECK_STR(text_of(0, "remote", "trust"), "network");
	CHECK_STR(text_of(0, "contact", "name"), "示例客户");
	CHECK_STR(text_of(0, "at", NULL), "2026-11-21T08:00:01.000Z");
	CHECK_STR(text_of(0, "reason", NULL), "null");
	CHECK_INT(ask("HLEN interactd:default:open:1001"), 1);
	CHECK_INT(ask("SISMEMBER interactd:default:open-index agent:1001"), 1);
	talk(s, "a", "1001", T0 + 2 * S);
	UNTIL(e.n_seen == 2);
	CHECK_STR(brief(1), "2 pop.update talking");
	CHECK_INT(ask("HLEN interactd:default:open:1001"), 1);
	close_pop(s, "a", "completed", T0 + 9 * S);
	subject_end(&s);
	UNTIL(e.n_seen == 3);
	CHECK_STR(brief(2), "3 pop.close ended");
	CHECK_STR(text_of(2, "reason", NULL), "completed");
	CHECK_STR(text_of(2, "epoch", NULL), text_of(0, "epoch", NULL));
	CHECK_INT(ask("HLEN interactd:default:open:1001"), 0);
	CHECK_INT(ask("EXISTS interactd:default:open-index"), 0);
	CHECK_INT(ask("XRANGE interactd:default:pops:1001 - +"), 3);
	CHECK_INT(ask("XRANGE interactd:default:pops:1001 3-0 3-0"), 1);
	settle();
	CHECK_INT(e.n_seen, 3);
	struct pops_stats st;
	pops_get_stats(e.pops, &st);
	CHECK_INT(st.open, 0);
	CHECK_INT((int64_t)(st.opened * 100 + st.updated * 10 + st.closed), 111);
	end();
}

static void
test_members_are_the_contracts_in_its_order(void)
{
	static const char *const keys[] = {"v", "type", "epoch", "seq", "at", "tenant",
		"agent", "pop", "interaction", "conversation", "channel", "kind",
		"direction", "state", "reason", "queue", "waited_ms", "call_id",
		"remote", "local", "variables", "contact", "candidates", "recent",
		"degraded"};
	size_t i = 0;
	const char *key;
	json_t *value;
	begin(0);
	struct subject *s = call_begin(e.pops, "call");
	open_pop(s, "a", "1001", T0);
	UNTIL(e.n_seen == 1);
	json_t *o = parsed(0);
	json_object_foreach(o, key, value)
	{
		CHECK(i < ARRAY_LEN(keys));
		CHECK_STR(key, i < ARRAY_LEN(keys) ? keys[i] : "");
		i++;
	}
	CHECK_INT((int64_t)i, ARRAY_LEN(keys));
	CHECK_INT(json_integer_value(json_object_get(o, "waited_ms")), 5200);
	json_decref(o);
	CHECK_STR(text_of(0, "variables", "CUSTOMER_ID"), "42");
	close_pop(s, "a", "completed", T0);
	subject_end(&s);
	end();
}

static void
test_repeated_events_say_nothing_twice(void)
{
	begin(0);
	struct subject *s = call_begin(e.pops, "call");
	open_pop(s, "a", "1001", T0);
	open_pop(s, "a", "1001", T0);
	UNTIL(e.n_seen == 1);
	talk(s, "a", "1001", T0 + S);
	talk(s, "a", "1001", T0 + S);
	struct subject_info in = call_info("call");
	subject_update(s, &in);
	close_pop(s, "a", "completed", T0 + 2 * S);
	close_pop(s, "a", "completed", T0 + 2 * S);
	talk(s, "a", "1001", T0 + S);
	talk(s, "never", "1001", T0 + S);
	subject_end(&s);
	UNTIL(e.n_seen == 3);
	settle();
	CHECK_INT(e.n_seen, 3);
	end();
}

static void
test_seq_rises_by_one_across_two_daemons(void)
{
	begin(0);
	struct redis *r2 = open_redis(false);
	UNTIL(redis_is_up(r2));
	struct pops *other = new_pops(r2, 0);
	struct subject *s = call_begin(e.pops, "one"), *t = call_begin(other, "two");
	open_pop(s, "a", "1001", T0);
	UNTIL(e.n_seen == 1);
	open_pop(t, "b", "1001", T0);
	UNTIL(e.n_seen == 2);
	close_pop(s, "a", "completed", T0 + S);
	UNTIL(e.n_seen == 3);
	close_pop(t, "b", "completed", T0 + S);
	UNTIL(e.n_seen == 4);
	CHECK_STR(brief(0), "1 pop.open ringing");
	CHECK_STR(brief(1), "2 pop.open ringing");
	CHECK_STR(brief(2), "3 pop.close ended");
	CHECK_STR(brief(3), "4 pop.close ended");
	CHECK_STR(text_of(3, "epoch", NULL), text_of(0, "epoch", NULL));
	subject_end(&s);
	subject_end(&t);
	pops_free(&other);
	redis_close(&r2);
	end();
}

static void
kill_redis(void)
{
	test_expect_log("not connected");
	test_expect_log("not connected");
	ctl("kill");
	UNTIL(!redis_is_up(e.redis) && !redis_is_up(e.softphone));
}

/* The softphone listens again, too. */
static void
start_redis(void)
{
	ctl("start");
	UNTIL(redis_is_up(e.redis) && redis_is_up(e.softphone));
}

static void
test_empty_redis_gets_the_open_pops_again_under_a_new_epoch(void)
{
	char first[64];
	begin(0);
	struct subject *s = call_begin(e.pops, "call");
	open_pop(s, "stays", "1001", T0);
	open_pop(s, "ended", "1001", T0);
	UNTIL(e.n_seen == 2);
	close_pop(s, "ended", "completed", T0 + S);
	UNTIL(e.n_seen == 3);
	str_copy(first, sizeof(first), text_of(0, "epoch", NULL));
	kill_redis();
	test_expect_log("Redis has lost its data");
	start_redis();
	UNTIL(ask("HLEN interactd:default:open:1001") == 1);
	CHECK_INT(ask("XRANGE interactd:default:pops:1001 - +"), 1);
	CHECK_INT(ask("HEXISTS interactd:default:open:1001 x"), 0);
	ask("GET interactd:default:epoch");
	CHECK(*e.answer && !str_eq(e.answer, first));
	struct pops_stats st;
	pops_get_stats(e.pops, &st);
	CHECK_INT((int64_t)st.reissued, 1);
	close_pop(s, "stays", "completed", T0 + S);
	subject_end(&s);
	UNTIL(ask("HLEN interactd:default:open:1001") == 0);
	CHECK_INT(ask("XRANGE interactd:default:pops:1001 - +"), 2);
	end();
}

static void
test_flush_without_a_lost_connection_is_noticed(void)
{
	begin(0);
	struct subject *s = call_begin(e.pops, "call");
	open_pop(s, "a", "1001", T0);
	open_pop(s, "q", NULL, T0);
	UNTIL(e.n_seen == 1 && ask("HLEN interactd:default:queue-open:support") == 1);
	test_expect_log("Redis has lost its data");
	ask("FLUSHALL");
	UNTIL(e.n_seen == 2);
	CHECK_STR(brief(1), "1 pop.open ringing");
	CHECK(!str_eq(text_of(0, "epoch", NULL), text_of(1, "epoch", NULL)));
	UNTIL(ask("HLEN interactd:default:queue-open:support") == 1);
	close_pop(s, "a", "completed", T0 + S);
	close_pop(s, "q", "answered", T0 + S);
	subject_end(&s);
	UNTIL(e.n_seen == 3);
	end();
}

/* A restored copy: the epoch is there, but the stream ends before what we issued. */
static void
test_redis_restored_from_an_old_copy_is_a_new_epoch(void)
{
	char stale[UUID_TEXT_LEN];
	struct uuid id = uuid_derive(T0, "gone");
	begin(0);
	struct subject *s = call_begin(e.pops, "call");
	open_pop(s, "a", "1001", T0);
	UNTIL(e.n_seen == 1);
	ask("COPY interactd:default:pops:1001 old-stream");
	ask("COPY interactd:default:open:1001 old-open");
	open_pop(s, "gone", "1001", T0);
	UNTIL(e.n_seen == 2);
	ask("COPY interactd:default:open:1001 old-open REPLACE");
	close_pop(s, "gone", "completed", T0 + S);
	UNTIL(e.n_seen == 3);
	ask("RENAME old-stream interactd:default:pops:1001");
	ask("RENAME old-open interactd:default:open:1001");
	ask("DEL interactd:default:closed:1001");
	test_expect_log("Redis has lost its data");
	talk(s, "a", "1001", T0 + 2 * S);
	UNTIL(e.n_seen == 4);
	CHECK_STR(brief(3), "2 pop.open talking");
	CHECK(!str_eq(text_of(3, "epoch", NULL), text_of(0, "epoch", NULL)));
	char *line = xasprintf(
		"HEXISTS interactd:default:open:1001 %s", uuid_format(stale, &id));
	CHECK_INT(ask(line), 0);
	xfree(&line);
	close_pop(s, "a", "completed", T0 + 3 * S);
	subject_end(&s);
	UNTIL(e.n_seen == 5);
	settle();
	CHECK_INT(e.n_seen, 5);
	end();
}

/* What Redis had before it went is there again (a saved copy), or not. */
static void
while_redis_is_away(bool saved)
{
	char *copy = xasprintf("%s/dump.rdb", getenv("TEST_DIR"));
	begin(0);
	struct subject *s = call_begin(e.pops, "call");
	open_pop(s, "before", "1001", T0);
	open_pop(s, "unchanged", "1001", T0);
	UNTIL(e.n_seen == 2);
	if (saved)
		ask("SAVE");
	kill_redis();
	open_pop(s, "flash", "1001", T0 + S);
	talk(s, "flash", "1001", T0 + 2 * S);
	close_pop(s, "flash", "completed", T0 + 3 * S);
	open_pop(s, "stays", "1001", T0 + S);
	talk(s, "stays", "1001", T0 + 2 * S);
	close_pop(s, "before", "completed", T0 + 2 * S);
	struct pops_stats st;
	pops_get_stats(e.pops, &st);
	CHECK(!st.redis_up);
	CHECK_INT(e.n_seen, 2);
	/* Nobody hears it on the channel: what the stream holds is what was issued.
	 * Saved: two opens, the close, one open. Lost: the close, and two opens. */
	if (!saved)
		test_expect_log("Redis has lost its data");
	start_redis();
	UNTIL(ask("XLEN interactd:default:pops:1001") == (saved ? 4 : 3));
	settle();
	CHECK_INT(ask("XLEN interactd:default:pops:1001"), saved ? 4 : 3);
	CHECK_INT(ask("HLEN interactd:default:open:1001"), 2);
	close_pop(s, "stays", "completed", T0 + 4 * S);
	close_pop(s, "unchanged", "completed", T0 + 4 * S);
	subject_end(&s);
	UNTIL(ask("HLEN interactd:default:open:1001") == 0);
	CHECK_INT(ask("XLEN interactd:default:pops:1001"), saved ? 6 : 5);
	end();
	remove(copy);
	xfree(&copy);
}

static void
test_while_redis_is_away_only_what_stays_true_is_issued(void)
{
	while_redis_is_away(true);
	while_redis_is_away(false);
}

/* Redis does nothing for so long, and then what it was sent meanwhile. */
static void
stall_redis(int ms)
{
	char until[32];
	static const char lua[] = "local t repeat t = redis.call('TIME') "
				  "until t[1] * 1000000 + t[2] > tonumber(ARGV[1])";
	snprintf(until, sizeof(until), "%" PRId64, clock_wall_us() + ms * 1000);
	const char *argv[] = {"EVAL", lua, "0", until};
	redis_command(e.softphone, 4, argv, NULL, NULL, NULL);
	for (int64_t end_us = clock_mono_us() + 5000; clock_mono_us() < end_us;)
		loop_run_once(e.loop, 1);
}

/* Answers come too late: the commands have been done, and nobody knew. After twice the
 * timeout the connection is given up, too. */
static void
test_lost_answers_open_and_close_once(void)
{
	static const int stalls_ms[] = {150, 500};
	for (size_t i = 0; i < ARRAY_LEN(stalls_ms); i++) {
		begin_slow(0, 100);
		struct subject *s = call_begin(e.pops, "call");
		if (i)
			for (int k = 0; k < 2; k++)
				test_expect_log("does not answer");
		while (fake.running)
			loop_run_once(e.loop, 1);
		stall_redis(stalls_ms[i]);
		open_pop(s, "a", "1001", T0 + S);
		UNTIL(e.n_seen == 1 && e.downs == (int)i && redis_is_up(e.redis));
		for (int k = 0; k < 30; k++)
			loop_run_once(e.loop, 10);
		stall_redis(stalls_ms[i]);
		talk(s, "a", "1001", T0 + 2 * S);
		close_pop(s, "a", "completed", T0 + 3 * S);
		UNTIL(count_seen("\"pop.close\"") == 1);
		UNTIL(redis_is_up(e.redis));
		for (int k = 0; k < 30; k++)
			loop_run_once(e.loop, 10);
		settle();
		CHECK_STR(brief(0), "1 pop.open ringing");
		CHECK_STR(brief(1), "2 pop.update talking");
		CHECK_STR(brief(2), "3 pop.close ended");
		CHECK_INT(e.n_seen, 3);
		CHECK_INT(e.downs, i ? 2 : 0);
		subject_end(&s);
		end();
	}
}

static void
test_killed_connections_open_and_close_once(void)
{
	begin(0);
	struct subject *s = call_begin(e.pops, "call");
	for (int round = 0; round < 20; round++) {
		char name[16];
		snprintf(name, sizeof(name), "pop%d", round);
		test_expect_log("not connected");
		if (round % 2 == 0)
			redis_command(e.softphone, 6,
				(const char *const[]){"CLIENT", "KILL", "TYPE",
					"normal", "SKIPME", "yes"},
				NULL, NULL, NULL);
		open_pop(s, name, "1001", T0 + S);
		if (round % 2) {
			UNTIL(count_seen("\"pop.open\"") == round + 1);
			close_pop(s, name, "completed", T0 + 2 * S);
			ask("CLIENT KILL TYPE normal SKIPME yes");
		}
		UNTIL(e.downs == round + 1 && redis_is_up(e.redis));
		UNTIL(count_seen("\"pop.open\"") == round + 1);
		close_pop(s, name, "completed", T0 + 2 * S);
		UNTIL(count_seen("\"pop.close\"") == round + 1);
	}
	subject_end(&s);
	settle();
	CHECK_INT(count_seen("\"pop.open\""), 20);
	CHECK_INT(count_seen("\"pop.close\""), 20);
	CHECK_INT(e.n_seen, 40);
	end();
}

static void
test_degraded_then_updated_when_the_card_comes(void)
{
	begin(0);
	pops_set_timeout(e.pops, 30);
	fake.delay_ms = 120;
	struct subject *s = call_begin(e.pops, "call");
	open_pop(s, "a", "1001", T0);
	struct pops_stats st;
	pops_get_stats(e.pops, &st);
	CHECK_INT(st.pending, 1);
	UNTIL(e.n_seen == 1);
	CHECK_STR(brief(0), "1 pop.open ringing!");
	CHECK_STR(text_of(0, "contact", NULL), "null");
	UNTIL(e.n_seen == 2);
	CHECK_STR(brief(1), "2 pop.update ringing");
	CHECK_STR(text_of(1, "contact", "name"), "示例客户");
	pops_get_stats(e.pops, &st);
	CHECK_INT((int64_t)st.degraded, 1);
	close_pop(s, "a", "completed", T0 + S);
	subject_end(&s);
	UNTIL(e.n_seen == 3);
	end();
}

static void
test_card_in_time_opens_once(void)
{
	begin(0);
	fake.delay_ms = 20;
	struct subject *s = call_begin(e.pops, "call");
	open_pop(s, "a", "1001", T0);
	UNTIL(e.n_seen == 1);
	CHECK_STR(brief(0), "1 pop.open ringing");
	CHECK_INT(fake.asked, 1);
	close_pop(s, "a", "completed", T0 + S);
	subject_end(&s);
	UNTIL(e.n_seen == 2);
	settle();
	CHECK_INT(e.n_seen, 2);
	end();
}

static void
test_timeout_zero_waits_for_nothing(void)
{
	begin(0);
	pops_set_timeout(e.pops, 0);
	fake.delay_ms = -1;
	struct subject *s = call_begin(e.pops, "call");
	open_pop(s, "a", "1001", T0);
	UNTIL(e.n_seen == 1);
	CHECK_STR(brief(0), "1 pop.open ringing!");
	close_pop(s, "a", "completed", T0 + S);
	subject_end(&s);
	UNTIL(e.n_seen == 2);
	end();
}

static void
test_closed_while_pending_was_never_opened(void)
{
	begin(0);
	fake.delay_ms = -1;
	struct subject *s = call_begin(e.pops, "call");
	open_pop(s, "a", "1001", T0);
	close_pop(s, "a", "no_answer", T0 + S);
	subject_end(&s);
	settle();
	CHECK_INT(e.n_seen, 0);
	CHECK_INT(fake.running, 0);
	end();
}

static void
test_unavailable_database_is_asked_again(void)
{
	begin(0);
	pops_set_timeout(e.pops, 5000);
	fake.unavailable = true;
	struct subject *s = call_begin(e.pops, "call");
	open_pop(s, "a", "1001", T0);
	UNTIL(e.n_seen == 1);
	CHECK_STR(brief(0), "1 pop.open ringing!");
	fake.unavailable = false;
	UNTIL(e.n_seen == 2);
	CHECK_STR(brief(1), "2 pop.update ringing");
	CHECK(fake.asked >= 2);
	close_pop(s, "a", "completed", T0 + S);
	subject_end(&s);
	UNTIL(e.n_seen == 3);
	end();
}

static void
test_unknown_number_gets_a_contact_id_at_once(void)
{
	char want[UUID_TEXT_LEN];
	struct address a = {"phone", "+8613800138000", true};
	begin(0);
	fake.unknown = true;
	fake.contact = (struct uuid){{0}};
	fake.contact_json = NULL;
	struct subject *s = call_begin(e.pops, "call");
	open_pop(s, "a", "1001", T0);
	UNTIL(e.n_seen == 1);
	struct uuid id = card_new_contact_id(&e.tenant, &a, T0);
	CHECK_STR(text_of(0, "contact", "id"), uuid_format(want, &id));
	subject_contact(s, &id);
	settle();
	CHECK_INT(fake.asked, 1);
	/* Another daemon was first: the writer says so, the card now knows. */
	fake.unknown = false;
	fake.contact = uuid_derive(T0, "elsewhere");
	fake.contact_json = "{\"id\":\"elsewhere\"}";
	subject_contact(s, &fake.contact);
	UNTIL(e.n_seen == 2);
	CHECK_STR(text_of(1, "contact", "id"), "elsewhere");
	close_pop(s, "a", "completed", T0 + S);
	subject_end(&s);
	UNTIL(e.n_seen == 3);
	CHECK_INT(fake.asked, 2);
	end();
}

static void
test_withheld_and_own_numbers_have_no_contact(void)
{
	begin(0);
	struct subject_info in = call_info("hidden");
	in.withheld = true;
	in.remote_value = NULL;
	in.remote_display = NULL;
	struct subject *s = subject_begin(e.pops, &in);
	open_pop(s, "a", "1001", T0);
	UNTIL(e.n_seen == 1);
	CHECK_STR(brief(0), "1 pop.open ringing");
	CHECK_STR(text_of(0, "contact", NULL), "null");
	CHECK_STR(text_of(0, "remote", "value"), "null");
	CHECK(strstr(e.seen[0], "\"withheld\":true"));
	in = call_info("own");
	in.no_contact = true;
	struct subject *t = subject_begin(e.pops, &in);
	open_pop(t, "b", "1001", T0);
	UNTIL(e.n_seen == 2);
	CHECK_STR(text_of(1, "contact", NULL), "null");
	CHECK_INT(fake.asked, 0);
	close_pop(s, "a", "completed", T0);
	close_pop(t, "b", "completed", T0);
	subject_end(&s);
	subject_end(&t);
	UNTIL(e.n_seen == 4);
	end();
}

static void
test_shared_number_shows_candidates(void)
{
	begin(0);
	fake.contact = (struct uuid){{0}};
	fake.contact_json = "null";
	fake.candidates_json = "[{\"id\":\"c1\"},{\"id\":\"c2\"}]";
	struct subject *s = call_begin(e.pops, "call");
	open_pop(s, "a", "1001", T0);
	UNTIL(e.n_seen == 1);
	CHECK_STR(text_of(0, "contact", NULL), "null");
	CHECK(strstr(e.seen[0], "\"candidates\":[{\"id\":\"c1\"},{\"id\":\"c2\"}]"));
	close_pop(s, "a", "completed", T0);
	subject_end(&s);
	UNTIL(e.n_seen == 2);
	end();
}

static void
test_ring_all_of_three(void)
{
	begin(0);
	listen_to("interactd:default:agent:1002");
	listen_to("interactd:default:agent:1003");
	struct subject *s = call_begin(e.pops, "call");
	open_pop(s, "a", "1001", T0);
	open_pop(s, "b", "1002", T0);
	open_pop(s, "c", "1003", T0);
	UNTIL(e.n_seen == 3);
	talk(s, "b", "1002", T0 + S);
	close_pop(s, "a", "answered_elsewhere", T0 + S);
	close_pop(s, "c", "answered_elsewhere", T0 + S);
	UNTIL(e.n_seen == 6);
	CHECK_INT(fake.asked, 1);
	CHECK_INT(count_seen("\"pop.update\""), 1);
	CHECK_INT(count_seen("\"answered_elsewhere\""), 2);
	for (int i = 0; i < 6; i++)
		CHECK(str_starts(brief(i), i < 3 ? "1 " : "2 "));
	close_pop(s, "b", "completed", T0 + 2 * S);
	subject_end(&s);
	UNTIL(e.n_seen == 7);
	end();
}

static void
test_queue_pop_has_its_own_numbers_and_no_agent(void)
{
	begin(0);
	listen_to("interactd:default:queue:support");
	struct subject *s = call_begin(e.pops, "call");
	open_pop(s, "q", NULL, T0);
	UNTIL(e.n_seen == 1);
	CHECK_STR(brief(0), "1 pop.open waiting");
	CHECK_STR(text_of(0, "agent", NULL), "null");
	CHECK_STR(text_of(0, "queue", NULL), "support");
	CHECK_INT(ask("HLEN interactd:default:queue-open:support"), 1);
	CHECK_INT(ask("SISMEMBER interactd:default:open-index queue:support"), 1);
	close_pop(s, "q", "answered", T0 + S);
	subject_end(&s);
	UNTIL(e.n_seen == 2);
	CHECK_STR(text_of(1, "reason", NULL), "answered");
	CHECK_INT(ask("EXISTS interactd:default:pops:support"), 0);
	end();
}

static void
test_wrapup_is_an_update_and_the_close_follows(void)
{
	begin(60);
	struct subject *s = call_begin(e.pops, "call");
	open_pop(s, "a", "1001", T0);
	open_pop(s, "b", "1001", T0);
	UNTIL(e.n_seen == 2);
	talk(s, "a", "1001", T0 + S);
	close_pop(s, "b", "no_answer", T0 + S);
	close_pop(s, "a", "completed", T0 + 9 * S);
	subject_end(&s);
	UNTIL(e.n_seen == 6);
	CHECK_STR(brief(2), "3 pop.update talking");
	CHECK_STR(brief(3), "4 pop.close ended");
	CHECK_STR(brief(4), "5 pop.update wrapup");
	CHECK_STR(text_of(4, "reason", NULL), "null");
	CHECK_STR(brief(5), "6 pop.close ended");
	CHECK_STR(text_of(5, "reason", NULL), "completed");
	CHECK_STR(text_of(5, "at", NULL), "2026-11-21T08:00:09.060Z");
	end();
}

static void
test_what_changes_is_told_to_the_open_pops(void)
{
	begin(0);
	struct subject *s = call_begin(e.pops, "call");
	open_pop(s, "a", "1001", T0);
	UNTIL(e.n_seen == 1);
	struct subject_info in = call_info("call");
	in.variables = "{\"CUSTOMER_ID\":\"43\"}";
	subject_update(s, &in);
	UNTIL(e.n_seen == 2);
	CHECK_STR(brief(1), "2 pop.update ringing");
	CHECK_STR(text_of(1, "variables", "CUSTOMER_ID"), "43");
	/* Another number: another card. */
	in.remote_value = "+886912345678";
	fake.contact = uuid_derive(T0, "other");
	fake.contact_json = "{\"id\":\"other\"}";
	subject_update(s, &in);
	UNTIL(e.n_seen == 3);
	CHECK_STR(text_of(2, "remote", "value"), "+886912345678");
	CHECK_STR(text_of(2, "contact", "id"), "other");
	CHECK_INT(fake.asked, 2);
	close_pop(s, "a", "completed", T0 + S);
	subject_end(&s);
	UNTIL(e.n_seen == 4);
	end();
}

static void
test_leg_that_moves_to_another_call_keeps_its_pop(void)
{
	begin(0);
	struct subject *s = call_begin(e.pops, "first"),
		       *t = call_begin(e.pops, "second");
	open_pop(s, "a", "1001", T0);
	UNTIL(e.n_seen == 1);
	struct pop_info in = pop("a", "1001", "talking", T0 + S);
	pop_open(t, &in);
	subject_end(&s);
	UNTIL(e.n_seen == 2);
	CHECK_STR(brief(1), "2 pop.update talking");
	CHECK(!str_eq(
		text_of(0, "interaction", NULL), text_of(1, "interaction", NULL)));
	close_pop(t, "a", "completed", T0 + 2 * S);
	subject_end(&t);
	UNTIL(e.n_seen == 3);
	end();
}

static void
test_pop_left_open_is_closed_with_its_call(void)
{
	begin(0);
	struct subject *s = call_begin(e.pops, "call");
	open_pop(s, "a", "1001", T0);
	UNTIL(e.n_seen == 1);
	test_expect_log("was left open by its call");
	subject_end(&s);
	UNTIL(e.n_seen == 2);
	CHECK_STR(text_of(1, "reason", NULL), "interrupted");
	end();
}

static char *
repeat(const char *head, const char *item, int n, const char *tail)
{
	struct buf b = BUF_INIT;
	buf_adds(&b, head);
	for (int i = 0; i < n; i++) {
		buf_adds(&b, i ? "," : "");
		buf_printf(&b, "%s", item);
	}
	buf_adds(&b, tail);
	return buf_steal(&b);
}

static void
test_never_more_than_64_kib(void)
{
	char *word = repeat("\"", "0123456789abcdef", 200, "\"");
	char *item = repeat("{\"summary\":", word, 1, "}");
	char *recent = repeat("[", item, 10, "]");
	char *many = repeat("[", item, 40, "]");
	char *vars = repeat("{\"v\":", many, 1, "}");
	char *contact =
		repeat("{\"id\":\"c1\",\"identities\":[],\"attributes\":{\"a\":", many,
			1, "}}");
	char *worse = repeat("{\"id\":\"c1\",\"identities\":", many, 1, "}");
	begin(0);
	fake.recent_json = recent;
	struct subject_info in = call_info("call");
	char *half = repeat("{\"v\":[", item, 13, "]}");
	in.variables = half;
	struct subject *s = subject_begin(e.pops, &in);
	open_pop(s, "a", "1001", T0);
	UNTIL(e.n_seen == 1);
	CHECK(strlen(e.seen[0]) <= 65536 && strlen(e.seen[0]) > 60000);
	json_t *o = parsed(0);
	CHECK(json_array_size(json_object_get(o, "recent")) > 0);
	CHECK(json_array_size(json_object_get(o, "recent")) < 10);
	json_decref(o);
	in.variables = vars;
	subject_update(s, &in);
	UNTIL(e.n_seen == 2);
	CHECK(strlen(e.seen[1]) <= 65536);
	CHECK(strstr(e.seen[1], "\"variables\":{}"));
	fake.contact = uuid_derive(T0, "big");
	fake.contact_json = contact;
	subject_contact(s, &fake.contact);
	UNTIL(e.n_seen == 3);
	CHECK(strlen(e.seen[2]) <= 65536);
	CHECK(strstr(e.seen[2], "\"attributes\":{}"));
	fake.contact = uuid_derive(T0, "worse");
	fake.contact_json = worse;
	subject_contact(s, &fake.contact);
	UNTIL(e.n_seen == 4);
	CHECK(strlen(e.seen[3]) <= 65536);
	CHECK_STR(text_of(3, "contact", "id"), "c1");
	close_pop(s, "a", "completed", T0 + S);
	subject_end(&s);
	UNTIL(e.n_seen == 5);
	end();
	char **all[] = {&word, &item, &recent, &many, &vars, &contact, &worse, &half};
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		xfree(all[i]);
}

/* ---- Restart ---- */

static void
on_adopted(void *arg)
{
	(void)arg;
	e.adopted++;
}

static void
test_restart_closes_what_is_gone_and_keeps_what_lives(void)
{
	begin(0);
	struct subject *s = call_begin(e.pops, "call");
	open_pop(s, "lives", "1001", T0);
	open_pop(s, "gone", "1001", T0);
	open_pop(s, "ended", "1001", T0);
	open_pop(s, "waits", NULL, T0);
	UNTIL(e.n_seen == 3 && ask("SCARD interactd:default:open-index") == 2);
	pops_free(&e.pops);
	forget_seen();

	e.pops = new_pops(e.redis, 0);
	pops_set_silent(e.pops, true);
	s = call_begin(e.pops, "call");
	open_pop(s, "lives", "1001", T0);
	open_pop(s, "unseen", "1001", T0 + S);
	open_pop(s, "ended", "1001", T0);
	close_pop(s, "ended", "caller_hangup", T0 + 3 * S);
	CHECK_INT(fake.asked, 1);
	pops_set_silent(e.pops, false);
	pops_adopt(e.pops, on_adopted, NULL);
	CHECK_INT(e.adopted, 0);
	UNTIL(e.adopted == 1 && e.n_seen == 2);
	settle();
	CHECK_INT(e.n_seen, 2);
	CHECK_INT(count_seen("\"pop.close\""), 2);
	CHECK_INT(count_seen("\"interrupted\""), 1);
	CHECK_INT(count_seen("\"caller_hangup\""), 1);
	CHECK_INT(ask("HLEN interactd:default:open:1001"), 1);
	CHECK_INT(ask("EXISTS interactd:default:queue-open:support"), 0);
	/* The close has all that the open had. */
	CHECK_STR(text_of(0, "remote", "value"), "+8613800138000");
	CHECK_STR(text_of(0, "state", NULL), "ended");
	/* Life goes on; what was never shown is shown once something happens to it. */
	talk(s, "lives", "1001", T0 + 4 * S);
	UNTIL(e.n_seen == 3);
	CHECK_STR(brief(2), "6 pop.update talking");
	talk(s, "unseen", "1001", T0 + 4 * S);
	UNTIL(e.n_seen == 4);
	CHECK_STR(brief(3), "7 pop.open talking");
	close_pop(s, "lives", "completed", T0 + 5 * S);
	close_pop(s, "unseen", "completed", T0 + 5 * S);
	subject_end(&s);
	UNTIL(e.n_seen == 6);
	/* Nothing is left, so nothing is closed a second time. */
	pops_adopt(e.pops, on_adopted, NULL);
	UNTIL(e.adopted == 2);
	settle();
	CHECK_INT(e.n_seen, 6);
	end();
}

static void
test_restart_of_both_opens_what_lives(void)
{
	begin(0);
	pops_set_silent(e.pops, true);
	struct subject *s = call_begin(e.pops, "call");
	open_pop(s, "lives", "1001", T0);
	pops_set_silent(e.pops, false);
	pops_adopt(e.pops, on_adopted, NULL);
	UNTIL(e.adopted == 1 && e.n_seen == 1);
	CHECK_STR(brief(0), "1 pop.open ringing");
	close_pop(s, "lives", "completed", T0 + S);
	subject_end(&s);
	UNTIL(e.n_seen == 2);
	end();
}

static void
test_adopt_waits_for_redis(void)
{
	begin(0);
	kill_redis();
	pops_adopt(e.pops, on_adopted, NULL);
	for (int i = 0; i < 10; i++)
		loop_run_once(e.loop, 20);
	CHECK_INT(e.adopted, 0);
	start_redis();
	UNTIL(e.adopted == 1);
	end();
}

/* An open that was under way over a connection given up, and comes after its close. */
static void
test_late_open_after_close_opens_nothing(void)
{
	begin(0);
	struct redis *r2 = open_redis(false);
	UNTIL(redis_is_up(r2));
	struct pops *other = new_pops(r2, 0);
	struct subject *s = call_begin(e.pops, "call"), *t = call_begin(other, "call");
	open_pop(s, "a", "1001", T0);
	UNTIL(e.n_seen == 1);
	close_pop(s, "a", "completed", T0 + S);
	UNTIL(e.n_seen == 2);
	open_pop(t, "a", "1001", T0);
	settle();
	loop_run_once(e.loop, 20);
	settle();
	CHECK_INT(e.n_seen, 2);
	CHECK_INT(ask("EXISTS interactd:default:open:1001"), 0);
	close_pop(t, "a", "completed", T0 + S);
	/* The same leg, come back to life after it was given up: a new pop. */
	open_pop(s, "a", "1001", T0 + 2 * S);
	UNTIL(e.n_seen == 3);
	CHECK_STR(brief(2), "3 pop.open ringing");
	close_pop(s, "a", "completed", T0 + 3 * S);
	subject_end(&s);
	subject_end(&t);
	UNTIL(e.n_seen == 4);
	pops_free(&other);
	redis_close(&r2);
	end();
}

/* ---- Listing and feeds ---- */

static char *listed;
static enum store_status listed_status;

static void
on_listed(void *arg, const struct store_answer *a)
{
	(void)arg;
	listed_status = a->status;
	listed = xstrdup(a->json ? a->json : a->detail);
}

static void
test_list_of_the_open_pops(void)
{
	begin(0);
	struct subject *s = call_begin(e.pops, "call");
	pops_list(e.pops, &e.tenant, "1001", NULL, on_listed, NULL);
	UNTIL(listed);
	CHECK_STR(listed, "{\"items\":[],\"next\":null}");
	xfree(&listed);
	open_pop(s, "a", "1001", T0);
	open_pop(s, "b", "1001", T0);
	talk(s, "a", "1001", T0 + S);
	UNTIL(e.n_seen == 3);
	pops_list(e.pops, &e.tenant, "1001", NULL, on_listed, NULL);
	UNTIL(listed);
	CHECK_INT(listed_status, STORE_OK);
	json_t *o = json_loads(listed, 0, NULL);
	json_t *items = json_object_get(o, "items");
	CHECK_INT((int64_t)json_array_size(items), 2);
	CHECK_STR(json_string_value(json_object_get(json_array_get(items, 1), "state")),
		"talking");
	json_decref(o);
	xfree(&listed);
	close_pop(s, "a", "completed", T0 + S);
	close_pop(s, "b", "completed", T0 + S);
	subject_end(&s);
	UNTIL(e.n_seen == 5);
	kill_redis();
	pops_list(e.pops, &e.tenant, "1001", NULL, on_listed, NULL);
	UNTIL(listed);
	CHECK_INT(listed_status, STORE_UNAVAILABLE);
	xfree(&listed);
	start_redis();
	end();
}

struct fed {
	struct pop_feed *feed;
	uint64_t seqs[SEEN_MAX];
	char types[SEEN_MAX][16], states[SEEN_MAX][16];
	int n, close_at;
};

static void
on_fed(void *arg, uint64_t seq, const char *json, size_t len)
{
	struct fed *f = arg;
	json_t *o = json_loadb(json, len, 0, NULL);
	CHECK(o && f->n < SEEN_MAX);
	f->seqs[f->n] = seq;
	CHECK_INT(json_integer_value(json_object_get(o, "seq")), (int64_t)seq);
	str_copy(f->types[f->n], 16, json_string_value(json_object_get(o, "type")));
	str_copy(f->states[f->n], 16, json_string_value(json_object_get(o, "state")));
	json_decref(o);
	f->n++;
	if (f->n == f->close_at)
		pop_feed_close(&f->feed);
}

static void
feed(struct fed *f, uint64_t after)
{
	memset(f, 0, sizeof(*f));
	f->feed = pop_feed_open(e.pops, &e.tenant, "1001", after, on_fed, f);
	CHECK_INT(f->n, 0);
}

static void
test_feed_from_now_after_and_too_old(void)
{
	static struct fed now, after, old, ahead;
	begin(0);
	struct subject *s = call_begin(e.pops, "call");
	open_pop(s, "a", "1001", T0);
	open_pop(s, "b", "1001", T0);
	UNTIL(e.n_seen == 2);
	talk(s, "a", "1001", T0 + S);
	UNTIL(e.n_seen == 3);
	feed(&now, 0);
	feed(&after, 1);
	feed(&ahead, 77);
	UNTIL(now.n == 2 && after.n == 2 && ahead.n == 2);
	/* b's open, a's latest: both as opens, in order. */
	CHECK_INT((int64_t)(now.seqs[0] * 10 + now.seqs[1]), 23);
	CHECK_STR(now.types[1], "pop.open");
	CHECK_STR(now.states[1], "talking");
	CHECK_INT((int64_t)(after.seqs[0] * 10 + after.seqs[1]), 23);
	CHECK_STR(after.types[1], "pop.update");
	CHECK_STR(ahead.types[1], "pop.open");
	ask("XTRIM interactd:default:pops:1001 MAXLEN 1");
	feed(&old, 1);
	UNTIL(old.n == 2);
	CHECK_STR(old.types[1], "pop.open");
	for (int i = 0; i < 30; i++) {
		struct pop_info in =
			pop("b", "1001", i % 2 ? "held" : "talking", T0 + i * S);
		pop_update(s, &in);
		if (i % 3 == 0)
			loop_run_once(e.loop, 1);
	}
	close_pop(s, "a", "completed", T0 + S);
	close_pop(s, "b", "completed", T0 + S);
	subject_end(&s);
	UNTIL(count_seen("\"pop.close\"") == 2);
	struct fed *all[] = {&now, &after, &old, &ahead};
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		struct fed *f = all[i];
		UNTIL(f->n && f->seqs[f->n - 1] == (uint64_t)e.n_seen);
		for (int k = 1; k < f->n; k++)
			CHECK_INT((int64_t)f->seqs[k], (int64_t)f->seqs[k - 1] + 1);
		pop_feed_close(&f->feed);
	}
	end();
}

static void
test_feed_reads_many_pages_and_may_close_inside(void)
{
	static struct fed all, some;
	begin(0);
	struct subject *s = call_begin(e.pops, "call");
	for (int i = 0; i < 125; i++) {
		char name[16];
		snprintf(name, sizeof(name), "pop%d", i);
		open_pop(s, name, "1001", T0);
		UNTIL(e.n_seen == 2 * i + 1);
		close_pop(s, name, "completed", T0 + S);
		UNTIL(e.n_seen == 2 * i + 2);
	}
	feed(&all, 1);
	feed(&some, 1);
	some.close_at = 150;
	UNTIL(all.n == 249);
	CHECK_INT(some.n, 150);
	for (int k = 0; k < all.n; k++)
		CHECK_INT((int64_t)all.seqs[k], k + 2);
	pop_feed_close(&all.feed);
	subject_end(&s);
	end();
}

static void
test_feed_goes_on_over_a_reconnect_and_a_new_epoch(void)
{
	static struct fed f;
	begin(0);
	struct subject *s = call_begin(e.pops, "call");
	feed(&f, 0);
	open_pop(s, "a", "1001", T0);
	UNTIL(f.n == 1);
	CHECK_STR(f.types[0], "pop.open");
	/* A gap with nothing lost. */
	test_expect_log("not connected");
	ask("CLIENT KILL TYPE normal SKIPME yes");
	ask("CLIENT KILL TYPE pubsub");
	talk(s, "a", "1001", T0 + S);
	UNTIL(f.n == 2);
	CHECK_INT((int64_t)f.seqs[1], 2);
	UNTIL(redis_is_up(e.redis));
	/* All lost: what is open comes again, what ended meanwhile is told. */
	open_pop(s, "b", "1001", T0 + S);
	UNTIL(f.n == 3);
	kill_redis();
	close_pop(s, "b", "completed", T0 + 2 * S);
	test_expect_log("Redis has lost its data");
	start_redis();
	UNTIL(f.n == 5);
	CHECK_INT(str_eq(f.types[3], "pop.open") + str_eq(f.types[4], "pop.open"), 1);
	CHECK_INT(str_eq(f.types[3], "pop.close") + str_eq(f.types[4], "pop.close"), 1);
	CHECK_INT((int64_t)f.seqs[4], 2);
	close_pop(s, "a", "completed", T0 + 3 * S);
	UNTIL(f.n == 6);
	subject_end(&s);
	/* Gone before its feed is closed. */
	pops_free(&e.pops);
	pop_feed_close(&f.feed);
	end();
}

static void
test_one_poisoned_key_stops_only_its_agent(void)
{
	begin(0);
	ask("SET interactd:default:pops:1002 poison");
	struct subject *s = call_begin(e.pops, "call");
	test_expect_log("are refused");
	open_pop(s, "bad", "1002", T0);
	open_pop(s, "a", "1001", T0);
	UNTIL(e.n_seen == 1);
	ask("DEL interactd:default:pops:1002");
	UNTIL(ask("HLEN interactd:default:open:1002") == 1);
	close_pop(s, "a", "completed", T0 + S);
	close_pop(s, "bad", "completed", T0 + S);
	subject_end(&s);
	UNTIL(ask("EXISTS interactd:default:open-index") == 0);
	end();
}

static void
test_stop_with_everything_under_way(void)
{
	static struct fed f;
	begin(0);
	fake.delay_ms = 5;
	struct subject *s = call_begin(e.pops, "call");
	struct subject *t = call_begin(e.pops, "pending");
	fake.delay_ms = -1;
	struct subject *u = call_begin(e.pops, "stuck");
	feed(&f, 0);
	open_pop(s, "a", "1001", T0);
	open_pop(t, "b", "1001", T0);
	open_pop(u, "c", "1001", T0);
	loop_run_once(e.loop, 7);
	loop_run_once(e.loop, 7);
	pops_adopt(e.pops, on_adopted, NULL);
	pops_list(e.pops, &e.tenant, "1001", NULL, on_listed, NULL);
	pops_free(&e.pops);
	UNTIL(listed);
	xfree(&listed);
	pop_feed_close(&f.feed);
	settle();
	CHECK_INT(e.adopted, 0);
	end();
}

int
main(void)
{
	address = getenv("TEST_REDIS");
	if (!address || !getenv("TEST_REDIS_CTL")) {
		fputs("SKIP: no TEST_REDIS; run it under tests/lib/with-servers\n",
			stderr);
		return 77;
	}
	TEST(test_open_update_close);
	TEST(test_members_are_the_contracts_in_its_order);
	TEST(test_repeated_events_say_nothing_twice);
	TEST(test_seq_rises_by_one_across_two_daemons);
	TEST(test_empty_redis_gets_the_open_pops_again_under_a_new_epoch);
	TEST(test_flush_without_a_lost_connection_is_noticed);
	TEST(test_redis_restored_from_an_old_copy_is_a_new_epoch);
	TEST(test_while_redis_is_away_only_what_stays_true_is_issued);
	TEST(test_lost_answers_open_and_close_once);
	TEST(test_killed_connections_open_and_close_once);
	TEST(test_degraded_then_updated_when_the_card_comes);
	TEST(test_card_in_time_opens_once);
	TEST(test_timeout_zero_waits_for_nothing);
	TEST(test_closed_while_pending_was_never_opened);
	TEST(test_unavailable_database_is_asked_again);
	TEST(test_unknown_number_gets_a_contact_id_at_once);
	TEST(test_withheld_and_own_numbers_have_no_contact);
	TEST(test_shared_number_shows_candidates);
	TEST(test_ring_all_of_three);
	TEST(test_queue_pop_has_its_own_numbers_and_no_agent);
	TEST(test_wrapup_is_an_update_and_the_close_follows);
	TEST(test_what_changes_is_told_to_the_open_pops);
	TEST(test_leg_that_moves_to_another_call_keeps_its_pop);
	TEST(test_pop_left_open_is_closed_with_its_call);
	TEST(test_never_more_than_64_kib);
	TEST(test_restart_closes_what_is_gone_and_keeps_what_lives);
	TEST(test_restart_of_both_opens_what_lives);
	TEST(test_adopt_waits_for_redis);
	TEST(test_late_open_after_close_opens_nothing);
	TEST(test_list_of_the_open_pops);
	TEST(test_feed_from_now_after_and_too_old);
	TEST(test_feed_reads_many_pages_and_may_close_inside);
	TEST(test_feed_goes_on_over_a_reconnect_and_a_new_epoch);
	TEST(test_one_poisoned_key_stops_only_its_agent);
	TEST(test_stop_with_everything_under_way);
	return test_done();
}
