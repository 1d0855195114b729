/* Redis against a real server (tests/lib/with-servers gives TEST_REDIS and
 * TEST_REDIS_CTL; skipped with 77 without them), and against a scripted one for what a
 * real one says seldom: LOADING, replica, wrong password, Sentinel. */
#include <clock.h>
#include <io/loop.h>
#include <io/redis.h>
#include <lib/test.h>
#include <mem.h>
#include <str.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct env {
	struct loop *loop;
	struct redis *redis;
	int ups, downs;
};

struct got {
	int calls, lost;
	enum redis_type type;
	int64_t number;
	char text[128];
	bool inside;
};

static char *address;

static void
on_state(void *arg, bool up)
{
	struct env *e = arg;

	if (up)
		e->ups++;
	else
		e->downs++;
}

static struct redis_opts
opts(struct env *e, struct conf_list *list)
{
	return (struct redis_opts){.addresses = list,
		.command_timeout_ms = 2000,
		.max_pending = 5000,
		.on_state = on_state,
		.arg = e};
}

static void
env_open(struct env *e, const struct redis_opts *o)
{
	if (!e->loop)
		e->loop = loop_new();
	e->redis = redis_open(e->loop, o);
	CHECK(!redis_is_up(e->redis));
}

static bool
until(struct env *e, const int *counter, int n)
{
	int64_t end = clock_mono_us() + 20 * 1000 * 1000;

	while (*counter < n && clock_mono_us() < end)
		loop_run_once(e->loop, 100);
	CHECK(*counter >= n);
	return *counter >= n;
}

static void
env_start(struct env *e)
{
	struct conf_list list = {&address, 1};
	struct redis_opts o = opts(e, &list);

	*e = (struct env){NULL, NULL, 0, 0};
	env_open(e, &o);
	until(e, &e->ups, 1);
}

static void
env_end(struct env *e)
{
	redis_close(&e->redis);
	CHECK(!e->redis);
	loop_free(&e->loop);
}

static void
on_reply(void *arg, const struct redis_reply *r)
{
	struct got *g = arg;

	CHECK(!g->inside);
	g->calls++;
	g->lost += !r;
	g->type = redis_type(r);
	g->number = redis_int(r);
	str_copy(g->text, sizeof(g->text), redis_str(r, NULL));
}

/* Splits at blanks. */
static void
command(struct env *e, const char *line, struct got *g)
{
	const char *argv[16];
	size_t lens[16];
	int n = 0;

	for (const char *s = line; *s; s += *s == ' ') {
		argv[n] = s;
		lens[n] = strcspn(s, " ");
		s += lens[n++];
	}
	if (g)
		g->inside = true;
	redis_command(e->redis, n, argv, lens, g ? on_reply : NULL, g);
	if (g)
		g->inside = false;
}

static void
run(struct env *e, const char *line, struct got *g)
{
	memset(g, 0, sizeof(*g));
	command(e, line, g);
	until(e, &g->calls, 1);
}

static void
ctl(const char *what)
{
	char *cmd = xasprintf("%s %s", getenv("TEST_REDIS_CTL"), what);

	CHECK_INT(system(cmd), 0);
	xfree(&cmd);
}

static void
test_replies_by_type(void)
{
	struct env e;
	struct got g;

	env_start(&e);
	run(&e, "SET k v", &g);
	CHECK_INT(g.type, REDIS_STRING);
	CHECK_STR(g.text, "OK");
	run(&e, "GET k", &g);
	CHECK_STR(g.text, "v");
	run(&e, "GET none", &g);
	CHECK_INT(g.type, REDIS_NIL);
	run(&e, "INCR n", &g);
	CHECK_INT(g.type, REDIS_INTEGER);
	CHECK_INT(g.number, 1);
	run(&e, "GET n", &g);
	CHECK_INT(g.number, 1);
	run(&e, "LRANGE k 0 1", &g);
	CHECK_INT(g.type, REDIS_FAILED);
	CHECK(str_starts(g.text, "WRONGTYPE"));
	CHECK_INT(g.lost, 0);
	CHECK_INT(redis_type(NULL), REDIS_FAILED);
	CHECK_STR(redis_str(NULL, NULL), "");
	CHECK(!redis_at(NULL, 0));
	run(&e, "FLUSHALL", &g);
	env_end(&e);
}

static void
on_array(void *arg, const struct redis_reply *r)
{
	size_t len;

	CHECK_INT(redis_type(r), REDIS_ARRAY);
	CHECK_INT((int64_t)redis_len(r), 2);
	CHECK_INT(memcmp(redis_str(redis_at(r, 0), &len), "a\0b", 3), 0);
	CHECK_INT((int64_t)len, 3);
	CHECK_STR(redis_str(redis_at(r, 1), NULL), "");
	CHECK(!redis_at(r, 2));
	++*(int *)arg;
}

static void
test_bytes_go_and_come_whole(void)
{
	const char *argv[] = {"RPUSH", "bytes", "a\0b", ""};
	const size_t lens[] = {5, 5, 3, 0};
	struct env e;
	int calls = 0;

	env_start(&e);
	command(&e, "DEL bytes", NULL);
	redis_command(e.redis, 4, argv, lens, NULL, NULL);
	redis_command(e.redis, 4, (const char *const[]){"LRANGE", "bytes", "0", "-1"},
		NULL, on_array, &calls);
	until(&e, &calls, 1);
	env_end(&e);
}

struct order {
	int next, calls;
};

static void
on_ordered(void *arg, const struct redis_reply *r)
{
	struct order *o = arg;

	CHECK_INT(redis_int(r), ++o->next);
	o->calls++;
}

static void
test_thousand_commands_are_answered_in_order(void)
{
	struct env e;
	struct order o = {0, 0};

	env_start(&e);
	command(&e, "DEL n", NULL);
	for (int i = 0; i < 1000; i++)
		redis_command(e.redis, 2, (const char *const[]){"INCR", "n"}, NULL,
			on_ordered, &o);
	CHECK_INT(o.calls, 0);
	until(&e, &o.calls, 1000);
	env_end(&e);
}

static void
eval(struct env *e, struct redis_script *s, struct got *g)
{
	memset(g, 0, sizeof(*g));
	g->inside = true;
	redis_eval(e->redis, s, 1, 2, (const char *const[]){"key", "41"}, NULL,
		on_reply, g);
	g->inside = false;
}

static void
test_script_survives_flush(void)
{
	struct env e;
	struct got g, h;

	env_start(&e);
	struct redis_script *s =
		redis_script_new(e.redis, "return {KEYS[1], ARGV[1] + 1}[2]");
	struct redis_script *bad = redis_script_new(e.redis, "this is not Lua");
	redis_script_free(&s);
	s = redis_script_new(e.redis, "return ARGV[1] + 1");
	eval(&e, s, &g);
	until(&e, &g.calls, 1);
	CHECK_INT(g.number, 42);
	run(&e, "SCRIPT FLUSH", &g);
	eval(&e, s, &g);
	eval(&e, s, &h);
	until(&e, &h.calls, 1);
	CHECK_INT(g.calls, 1);
	CHECK_INT(g.number, 42);
	CHECK_INT(h.number, 42);
	run(&e, "SCRIPT FLUSH", &g);
	eval(&e, bad, &g);
	until(&e, &g.calls, 1);
	CHECK_INT(g.type, REDIS_FAILED);
	redis_script_free(&bad);
	redis_close(&e.redis);
	redis_script_free(&s);
	env_end(&e);
}

static void
test_restart_loses_replies_and_comes_back(void)
{
	struct env e;
	struct got g[3], h;

	env_start(&e);
	memset(g, 0, sizeof(g));
	struct redis_script *s = redis_script_new(e.redis, "return ARGV[1] + 1");
	for (int i = 0; i < 3; i++)
		command(&e, "BLPOP nothing 30", &g[i]);
	loop_run_once(e.loop, 50);
	test_expect_log("not connected");
	ctl("kill");
	until(&e, &e.downs, 1);
	for (int i = 0; i < 3; i++) {
		until(&e, &g[i].calls, 1);
		CHECK_INT(g[i].lost, 1);
	}
	run(&e, "PING", &h);
	CHECK_INT(h.lost, 1);
	for (int i = 0; i < 5; i++)
		loop_run_once(e.loop, 100);
	int64_t since;
	CHECK(*redis_down_reason(e.redis, &since) && since > 0);
	CHECK_INT(e.downs, 1);
	ctl("start");
	until(&e, &e.ups, 2);
	CHECK_STR(redis_down_reason(e.redis, &since), "");
	eval(&e, s, &h);
	until(&e, &h.calls, 1);
	CHECK_INT(h.number, 42);
	redis_script_free(&s);
	env_end(&e);
}

static void
test_timeout_answers_null_then_gives_up(void)
{
	struct conf_list list = {&address, 1};
	struct env e = {NULL, NULL, 0, 0};
	struct redis_opts o = opts(&e, &list);
	struct got slow, second, g;

	o.command_timeout_ms = 300;
	env_open(&e, &o);
	until(&e, &e.ups, 1);
	/* Shorter than twice the timeout: answered NULL, the connection stays. */
	run(&e, "BLPOP nothing 0.45", &slow);
	CHECK_INT(slow.lost, 1);
	run(&e, "ECHO x", &g);
	CHECK_STR(g.text, "x");
	CHECK_INT(slow.calls, 1);
	CHECK_INT(e.downs, 0);
	/* Longer: the connection is given up, and another is made. */
	memset(&slow, 0, sizeof(slow));
	memset(&second, 0, sizeof(second));
	test_expect_log("does not answer");
	command(&e, "BLPOP nothing 30", &slow);
	command(&e, "ECHO y", &second);
	until(&e, &e.ups, 2);
	until(&e, &second.calls, 1);
	CHECK_INT(slow.calls, 1);
	CHECK_INT(second.lost, 1);
	run(&e, "ECHO z", &g);
	CHECK_STR(g.text, "z");
	env_end(&e);
}

static void
test_full_queue_and_close_answer_null(void)
{
	struct conf_list list = {&address, 1};
	struct env e = {NULL, NULL, 0, 0};
	struct redis_opts o = opts(&e, &list);
	struct got g[8];

	o.max_pending = 4;
	env_open(&e, &o);
	until(&e, &e.ups, 1);
	memset(g, 0, sizeof(g));
	for (int i = 0; i < 8; i++)
		command(&e, "ECHO x", &g[i]);
	for (int i = 0; i < 8; i++) {
		until(&e, &g[i].calls, 1);
		CHECK_INT(g[i].lost, i >= 4);
	}
	memset(g, 0, sizeof(g));
	for (int i = 0; i < 8; i++)
		command(&e, "ECHO x", &g[i]);
	env_end(&e);
	for (int i = 0; i < 8; i++) {
		CHECK_INT(g[i].calls, 1);
		CHECK_INT(g[i].lost, 1);
	}
}

struct closer {
	struct env *env;
	int calls;
};

static void
on_reply_close(void *arg, const struct redis_reply *r)
{
	struct closer *c = arg;

	(void)r;
	c->calls++;
	if (c->env->redis)
		redis_close(&c->env->redis);
}

static void
test_close_inside_a_callback(void)
{
	struct env e;
	struct closer c = {&e, 0};

	env_start(&e);
	for (int i = 0; i < 3; i++)
		redis_command(e.redis, 1, (const char *const[]){"PING"}, NULL,
			on_reply_close, &c);
	until(&e, &c.calls, 3);
	loop_run_once(e.loop, 10);
	CHECK_INT(c.calls, 3);
	loop_free(&e.loop);
}

static void
test_close_before_it_is_up(void)
{
	struct conf_list list = {&address, 1};
	struct env e = {NULL, NULL, 0, 0};
	struct redis_opts o = opts(&e, &list);

	for (int turns = 0; turns < 4; turns++) {
		env_open(&e, &o);
		for (int i = 0; i < turns; i++)
			loop_run_once(e.loop, 5);
		redis_close(&e.redis);
	}
	loop_free(&e.loop);
}

/* --- subscriptions --- */

struct listener {
	struct redis_sub *sub;
	int messages, gaps, readies, leave_after;
	char last[64];
};

static void
on_message(void *arg, const char *message, size_t len)
{
	struct listener *l = arg;

	l->messages++;
	snprintf(l->last, sizeof(l->last), "%.*s", (int)len, message);
	if (l->leave_after && l->messages == l->leave_after)
		redis_unsubscribe(&l->sub);
}

static void
on_gap(void *arg)
{
	((struct listener *)arg)->gaps++;
}

static void
on_ready(void *arg)
{
	((struct listener *)arg)->readies++;
}

static void
subscribe(struct env *e, struct listener *l, const char *channel)
{
	l->sub = redis_subscribe(e->redis, channel, on_message, on_gap, l);
	redis_sub_on_ready(l->sub, on_ready);
	CHECK_INT(l->readies, 0);
}

static void
test_subscription_survives_restart_and_tells_of_the_gap(void)
{
	struct env e;
	struct listener a = {.messages = 0}, b = {.messages = 0};

	env_start(&e);
	subscribe(&e, &a, "one");
	until(&e, &a.readies, 1);
	subscribe(&e, &b, "one");
	until(&e, &b.readies, 1);
	command(&e, "PUBLISH one first", NULL);
	until(&e, &a.messages, 1);
	until(&e, &b.messages, 1);
	CHECK_STR(a.last, "first");
	test_expect_log("not connected");
	ctl("restart");
	until(&e, &e.ups, 2);
	until(&e, &a.gaps, 1);
	until(&e, &b.gaps, 1);
	command(&e, "PUBLISH one second", NULL);
	until(&e, &b.messages, 2);
	CHECK_STR(a.last, "second");
	CHECK_INT(a.readies + b.readies, 2);
	CHECK_INT(a.gaps + b.gaps, 2);
	redis_unsubscribe(&a.sub);
	CHECK(!a.sub);
	redis_close(&e.redis);
	redis_unsubscribe(&b.sub);
	env_end(&e);
}

static void
test_subscribers_may_leave_while_told(void)
{
	struct env e;
	struct listener l[4] = {{.leave_after = 1}, {.leave_after = 1},
		{.leave_after = 2}, {.leave_after = 0}};
	struct got g;

	env_start(&e);
	for (int i = 0; i < 4; i++) {
		subscribe(&e, &l[i], "two");
		until(&e, &l[i].readies, 1);
	}
	for (int i = 0; i < 3; i++)
		run(&e, "PUBLISH two x", &g);
	until(&e, &l[3].messages, 3);
	CHECK_INT(l[0].messages, 1);
	CHECK_INT(l[1].messages, 1);
	CHECK_INT(l[2].messages, 2);
	redis_unsubscribe(&l[3].sub);
	/* The server forgets it, and it can be taken up again. */
	run(&e, "PING", &g);
	for (int i = 0; i < 100 && (run(&e, "PUBLISH two x", &g), g.number); i++)
		loop_run_once(e.loop, 10);
	CHECK_INT(g.number, 0);
	l[0] = (struct listener){.leave_after = 0};
	subscribe(&e, &l[0], "two");
	until(&e, &l[0].readies, 1);
	run(&e, "PUBLISH two again", &g);
	until(&e, &l[0].messages, 1);
	redis_unsubscribe(&l[0].sub);
	env_end(&e);
}

struct sub_closer {
	struct env *env;
	int calls;
};

static void
on_message_close(void *arg, const char *message, size_t len)
{
	struct sub_closer *c = arg;

	(void)message;
	(void)len;
	c->calls++;
	redis_close(&c->env->redis);
}

static void
test_close_while_told_a_message(void)
{
	struct env e;
	struct sub_closer c = {&e, 0};
	struct listener l = {.messages = 0};

	env_start(&e);
	struct redis_sub *first =
		redis_subscribe(e.redis, "three", on_message_close, NULL, &c);
	subscribe(&e, &l, "three");
	until(&e, &l.readies, 1);
	command(&e, "PUBLISH three x", NULL);
	until(&e, &c.calls, 1);
	CHECK_INT(l.messages, 0);
	redis_unsubscribe(&first);
	redis_unsubscribe(&l.sub);
	loop_run_once(e.loop, 10);
	loop_free(&e.loop);
}

/* --- a server that says what it is told to --- */

struct fake {
	struct evconnlistener *listener;
	const char *auth, *ping, *role, *sentinel, *other;
	char address[64];
	char seen[256];
	int connections;
};

static void
fake_answer(struct fake *f, struct bufferevent *bev, const char *word)
{
	const char *say = f->other;

	if (strcmp(word, "AUTH") == 0)
		say = f->auth;
	else if (strcmp(word, "PING") == 0)
		say = f->ping;
	else if (strcmp(word, "ROLE") == 0)
		say = f->role;
	else if (strcmp(word, "SENTINEL") == 0)
		say = f->sentinel;
	bufferevent_write(bev, say, strlen(say));
}

/* Commands come whole in these tests: "*n", then n times "$len" and a word. */
static void
fake_read(struct bufferevent *bev, void *arg)
{
	struct fake *f = arg;
	struct evbuffer *in = bufferevent_get_input(bev);
	char *line;

	while ((line = evbuffer_readln(in, NULL, EVBUFFER_EOL_CRLF))) {
		int n = atoi(line + 1);
		free(line);
		for (int i = 0; i < n; i++) {
			free(evbuffer_readln(in, NULL, EVBUFFER_EOL_CRLF));
			line = evbuffer_readln(in, NULL, EVBUFFER_EOL_CRLF);
			if (strlen(f->seen) + strlen(line) + 2 < sizeof(f->seen)) {
				strcat(f->seen, line);
				strcat(f->seen, " ");
			}
			if (i == 0)
				fake_answer(f, bev, line);
			free(line);
		}
	}
}

static void
fake_event(struct bufferevent *bev, short what, void *arg)
{
	(void)arg;
	if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
		bufferevent_free(bev);
}

static void
fake_accept(struct evconnlistener *ln, evutil_socket_t fd, struct sockaddr *sa, int len,
	void *arg)
{
	struct fake *f = arg;
	struct bufferevent *bev = bufferevent_socket_new(
		evconnlistener_get_base(ln), fd, BEV_OPT_CLOSE_ON_FREE);

	(void)sa;
	(void)len;
	f->connections++;
	bufferevent_setcb(bev, fake_read, NULL, fake_event, f);
	bufferevent_enable(bev, EV_READ | EV_WRITE);
}

static void
fake_start(struct fake *f, struct loop *loop, const char *host)
{
	struct sockaddr_in sin = {.sin_family = AF_INET};
	socklen_t len = sizeof(sin);

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	*f = (struct fake){.auth = "+OK\r\n",
		.ping = "+PONG\r\n",
		.role = "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n",
		.sentinel = "*-1\r\n",
		.other = "+OK\r\n"};
	f->listener = evconnlistener_new_bind(loop_base(loop), fake_accept, f,
		LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, -1,
		(struct sockaddr *)&sin, sizeof(sin));
	CHECK(f->listener != NULL);
	getsockname(evconnlistener_get_fd(f->listener), (struct sockaddr *)&sin, &len);
	snprintf(f->address, sizeof(f->address), "%s:%u", host, ntohs(sin.sin_port));
}

/* Lets the server's ends of connections see the close. */
static void
fakes_end(struct env *e, struct fake *f, int n)
{
	redis_close(&e->redis);
	for (int i = 0; i < 5; i++)
		loop_run_once(e->loop, 10);
	for (int i = 0; i < n; i++)
		evconnlistener_free(f[i].listener);
	loop_free(&e->loop);
}

static void
test_greeting_sends_user_and_password(void)
{
	struct env e = {loop_new(), NULL, 0, 0};
	struct fake f;

	fake_start(&f, e.loop, "127.0.0.1");
	char *items[] = {f.address};
	struct conf_list list = {items, 1};
	struct redis_opts o = opts(&e, &list);
	o.username = "interactd";
	o.password = "secret";
	env_open(&e, &o);
	until(&e, &e.ups, 1);
	CHECK_STR(f.seen, "AUTH interactd secret PING ROLE ");
	fakes_end(&e, &f, 1);
}

static void
refused_case(const char *auth, const char *ping, const char *role, const char *log)
{
	struct env e = {loop_new(), NULL, 0, 0};
	struct fake f[2];
	struct got g;

	fake_start(&f[0], e.loop, "127.0.0.1");
	fake_start(&f[1], e.loop, "127.0.0.1");
	f[0].auth = auth ? auth : f[0].auth;
	f[0].ping = ping ? ping : f[0].ping;
	f[0].role = role ? role : f[0].role;
	char *items[] = {f[0].address, f[1].address};
	struct conf_list list = {items, 2};
	struct redis_opts o = opts(&e, &list);
	o.password = "secret";
	test_expect_log(log);
	env_open(&e, &o);
	until(&e, &e.ups, 1);
	CHECK_INT(f[0].connections, 1);
	CHECK_INT(f[1].connections, 1);
	run(&e, "GET x", &g);
	CHECK_STR(g.text, "OK");
	CHECK_INT(e.downs, 0);
	fakes_end(&e, f, 2);
}

static void
test_unfit_server_is_not_up_and_the_next_is_tried(void)
{
	refused_case("-WRONGPASS invalid username-password pair\r\n",
		"-NOAUTH Authentication required.\r\n", "-NOAUTH x\r\n",
		"cannot connect until this is put right: WRONGPASS");
	refused_case(NULL, "-LOADING Redis is loading the dataset in memory\r\n", NULL,
		"LOADING");
	refused_case(NULL, NULL,
		"*5\r\n$5\r\nslave\r\n$1\r\nx\r\n:1\r\n$7\r\nconnect\r\n:0\r\n",
		"replica");
}

static void
test_master_that_turns_replica_is_left(void)
{
	struct env e = {loop_new(), NULL, 0, 0};
	struct fake f;
	struct got g;

	fake_start(&f, e.loop, "127.0.0.1");
	char *items[] = {f.address};
	struct conf_list list = {items, 1};
	struct redis_opts o = opts(&e, &list);
	env_open(&e, &o);
	until(&e, &e.ups, 1);
	f.other = "-READONLY You can't write against a read only replica.\r\n";
	test_expect_log("has become a replica");
	run(&e, "SET x y", &g);
	CHECK_INT(g.type, REDIS_FAILED);
	CHECK_INT(g.lost, 0);
	until(&e, &e.ups, 2);
	CHECK_INT(e.downs, 1);
	fakes_end(&e, &f, 1);
}

static void
test_sentinel_names_the_master(void)
{
	struct env e = {loop_new(), NULL, 0, 0};
	struct fake f[3];
	char answer[128];

	for (int i = 0; i < 3; i++)
		fake_start(&f[i], e.loop, "127.0.0.1");
	const char *port = strchr(f[2].address, ':') + 1;
	snprintf(answer, sizeof(answer), "*2\r\n$9\r\n127.0.0.1\r\n$%zu\r\n%s\r\n",
		strlen(port), port);
	f[1].sentinel = answer;
	char *items[] = {f[0].address, f[1].address};
	struct conf_list list = {items, 2};
	struct redis_opts o = opts(&e, &list);
	o.sentinel = "mymaster";
	o.password = "secret";
	test_expect_log("Sentinel knows no master \"mymaster\"");
	env_open(&e, &o);
	until(&e, &e.ups, 1);
	CHECK_STR(f[0].seen, "SENTINEL get-master-addr-by-name mymaster ");
	CHECK_STR(f[1].seen, "SENTINEL get-master-addr-by-name mymaster ");
	CHECK_STR(f[2].seen, "AUTH secret PING ROLE ");
	fakes_end(&e, f, 3);
}

/* hiredis asserts on nothing here: what is no protocol ends the connection. */
static void
test_server_that_speaks_something_else(void)
{
	struct env e = {loop_new(), NULL, 0, 0};
	struct fake f;

	fake_start(&f, e.loop, "127.0.0.1");
	f.ping = "HTTP/1.1 400 Bad Request\r\n\r\n";
	char *items[] = {f.address};
	struct conf_list list = {items, 1};
	struct redis_opts o = opts(&e, &list);
	test_expect_log("Protocol error");
	env_open(&e, &o);
	until(&e, &f.connections, 3);
	CHECK_INT(e.ups, 0);
	CHECK(strstr(redis_down_reason(e.redis, NULL), "Protocol error"));
	fakes_end(&e, &f, 1);
}

static void
test_addresses(void)
{
	static const char *const good[] = {
		"unix:/run/redis.sock", "localhost", "127.0.0.1:6380", "[::1]:6379"};
	static const char *const bad[] = {
		"", "unix:", "unix:relative", "host:0", "host:70000", "host:x"};
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		CHECK_INT(redis_check_address(good[i], &err), 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		CHECK_INT(redis_check_address(bad[i], &err), -1);
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
	TEST(test_replies_by_type);
	TEST(test_bytes_go_and_come_whole);
	TEST(test_thousand_commands_are_answered_in_order);
	TEST(test_script_survives_flush);
	TEST(test_restart_loses_replies_and_comes_back);
	TEST(test_timeout_answers_null_then_gives_up);
	TEST(test_full_queue_and_close_answer_null);
	TEST(test_close_inside_a_callback);
	TEST(test_close_before_it_is_up);
	TEST(test_subscription_survives_restart_and_tells_of_the_gap);
	TEST(test_subscribers_may_leave_while_told);
	TEST(test_close_while_told_a_message);
	TEST(test_greeting_sends_user_and_password);
	TEST(test_unfit_server_is_not_up_and_the_next_is_tried);
	TEST(test_master_that_turns_replica_is_left);
	TEST(test_sentinel_names_the_master);
	TEST(test_server_that_speaks_something_else);
	TEST(test_addresses);
	return test_done();
}
