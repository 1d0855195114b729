/* redis_link.c - one connection to Redis that keeps itself up.
 *
 *	DOWN -> RESOLVING -> CONNECTING -> GREETING -> UP
 *
 * With Sentinels the way is gone twice: to a Sentinel, which names the master (ASKING
 * in the greeting's place), then to the master. The greeting is AUTH, PING and ROLE: a
 * server that loads its data, is a replica, or refuses us is not up.
 *
 * hiredis frees a context by itself when a connection breaks, runs reply callbacks
 * with NULL then, and must not be freed under its own callbacks. So a `struct handle`
 * stands between: it is what the context points at, it forgets the link when the link
 * lets go, and it forgets the context when hiredis frees that. What is left is freed
 * at the end of the turn. Errors of Redis are texts whose first word is a code. */
#include "io/redis_priv.h"

#include <clock.h>
#include <mem.h>
#include <str.h>

#include "io/loop.h"
#include "io/resolve.h"

#include <event2/event.h>
#include <hiredis/adapters/libevent.h>
#include <hiredis/async.h>
#include <hiredis/hiredis.h>

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 5000
/* Name, connection and greeting of one attempt (twice with Sentinel). */
#define CONNECT_TIMEOUT_MS 4000
#define DEFAULT_PORT	   6379
#define SENTINEL_PORT	   26379

#define REDIS_LINK_STATES(S)                                                           \
	S(DOWN, "waits for its next attempt")                                          \
	S(RESOLVING, "a name is being looked up")                                      \
	S(CONNECTING, "the socket is connecting")                                      \
	S(ASKING, "a Sentinel is asked for the master")                                \
	S(GREETING, "AUTH, PING and ROLE are on their way")                            \
	S(UP, "takes commands")

enum link_state {
#define S(name, doc) LINK_##name,
	REDIS_LINK_STATES(S)
#undef S
};

static const char *const state_names[] = {
#define S(name, doc) #name,
	REDIS_LINK_STATES(S)
#undef S
};

/* To DOWN from everywhere. */
static const unsigned state_next[] = {
	[LINK_DOWN] = 1u << LINK_RESOLVING | 1u << LINK_CONNECTING,
	[LINK_RESOLVING] = 1u << LINK_CONNECTING,
	[LINK_CONNECTING] = 1u << LINK_ASKING | 1u << LINK_GREETING,
	[LINK_ASKING] = 1u << LINK_RESOLVING,
	[LINK_GREETING] = 1u << LINK_UP,
	[LINK_UP] = 0,
};

struct handle {
	struct redis_link *link; /* NULL: let go */
	redisAsyncContext *ac;	 /* NULL: freed by hiredis */
};

enum greeting { GREET_AUTH, GREET_PING, GREET_ROLE, GREET_DONE };

struct redis_link {
	struct loop *loop;
	const char *who;
	enum log_level loud; /* of the line that tells of an outage */
	const struct redis_target *target;
	struct redis_link_ops ops;
	void *arg;
	enum link_state state;
	struct handle *handle;
	struct resolve *resolving;
	struct loop_timer *timer; /* by state: next attempt, deadline, tick */
	unsigned attempt;	  /* since it was up */
	bool to_sentinel;
	unsigned port;		/* of the name being resolved */
	enum greeting greeting; /* whose reply comes next */
	int64_t down_since_us, down_since_mono_us;
	bool outage_logged;
	char reason[256];
};

static void link_down(struct redis_link *, const char *reason);

static void
link_set_state(struct redis_link *l, enum link_state next)
{
	assert(next == LINK_DOWN || state_next[l->state] & 1u << next);
	log_debug(l->who, "%s -> %s", state_names[l->state], state_names[next]);
	l->state = next;
	if (next == LINK_DOWN)
		loop_timer_start(l->timer,
			loop_backoff_ms(l->attempt++, BACKOFF_MIN_MS, BACKOFF_MAX_MS));
	else if (next == LINK_UP)
		loop_timer_start(l->timer, REDIS_TICK_MS);
}

/* --- letting go of hiredis --- */

static void
handle_free(void *arg)
{
	struct handle *h = arg;

	if (h->ac)
		redisAsyncFree(h->ac); /* its callbacks find no link */
	xfree(&h);
}

/* From now on no event reaches the context and no callback the link. */
static void
link_detach(struct redis_link *l)
{
	struct handle *h = l->handle;

	resolve_cancel(&l->resolving);
	l->handle = NULL;
	if (!h)
		return;
	h->link = NULL;
	if (h->ac && h->ac->ev.cleanup)
		h->ac->ev.cleanup(h->ac->ev.data);
	if (h->ac)
		memset(&h->ac->ev, 0, sizeof(h->ac->ev));
	loop_free_later(l->loop, handle_free, h);
}

/* --- down and up --- */

/* What waiting does not mend. */
static bool
reason_is_permanent(const char *reason)
{
	static const char *const codes[] = {
		"WRONGPASS", "NOAUTH", "NOPERM", "ERR invalid password", "ERR AUTH"};

	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		if (str_starts(reason, codes[i]))
			return true;
	}
	return false;
}

static void
outage_log(struct redis_link *l, const char *reason)
{
	bool same = strcmp(l->reason, reason) == 0;

	if (reason_is_permanent(reason) && (!l->outage_logged || !same))
		log_errorx(
			l->who, "cannot connect until this is put right: %s", reason);
	else if (!l->outage_logged)
		log_line(l->loud, l->who, "not connected: %s", reason);
	else
		log_debug(l->who, "still not connected: %s", reason);
	l->outage_logged = true;
}

static void
link_down(struct redis_link *l, const char *reason)
{
	bool was_up = l->state == LINK_UP;

	outage_log(l, reason);
	if (reason != l->reason)
		str_copy(l->reason, sizeof(l->reason), reason);
	link_detach(l);
	link_set_state(l, LINK_DOWN);
	if (was_up) {
		l->down_since_us = clock_wall_us();
		l->down_since_mono_us = clock_mono_us();
		l->ops.on_down(l->arg);
	}
}

void
redis_link_fail(struct redis_link *l, const char *reason)
{
	if (l->state == LINK_UP)
		link_down(l, reason);
}

static void
link_up(struct redis_link *l)
{
	int64_t away_ms = (clock_mono_us() - l->down_since_mono_us) / 1000;

	l->attempt = 0;
	link_set_state(l, LINK_UP);
	if (l->outage_logged)
		log_info(l->who, "connected, after %.1f s without",
			(double)away_ms / 1000.0);
	else
		log_info(l->who, "connected");
	l->outage_logged = false;
	l->reason[0] = '\0';
	l->ops.on_up(l->arg);
}

/* --- hiredis' callbacks --- */

static const char *
context_error(const redisAsyncContext *ac)
{
	return ac->c.errstr[0] ? ac->c.errstr : "the server closed the connection";
}

static void link_on_reply(struct redis_link *, const redisReply *);

/* For commands (privdata NULL) and subscriptions alike. */
static void
reply_cb(redisAsyncContext *ac, void *reply, void *privdata)
{
	struct handle *h = ac->data;
	struct redis_link *l = h->link;

	if (!l)
		return;
	if (!reply)
		link_down(l, context_error(ac));
	else if (privdata)
		l->ops.on_push(l->arg, reply);
	else
		link_on_reply(l, reply);
}

/* The events are gone already, and the context follows. */
static void
disconnect_cb(const redisAsyncContext *ac, int status)
{
	struct handle *h = ac->data;

	(void)status;
	h->ac = NULL;
	if (h->link)
		link_down(h->link, context_error(ac));
}

static void
send_words(struct redis_link *l, size_t n, const char *const *words)
{
	struct buf b = BUF_INIT;

	redis_put_head(&b, n);
	redis_put_words(&b, n, words);
	redisAsyncFormattedCommand(l->handle->ac, reply_cb, NULL, b.data, b.len);
	buf_fini(&b);
}

static void
link_greet(struct redis_link *l)
{
	const struct redis_target *t = l->target;
	const char *auth[] = {"AUTH", t->username, t->password};
	const char *auth_old[] = {"AUTH", t->password};

	link_set_state(l, LINK_GREETING);
	l->greeting = t->password ? GREET_AUTH : GREET_PING;
	if (t->password && t->username)
		send_words(l, 3, auth);
	else if (t->password)
		send_words(l, 2, auth_old);
	send_words(l, 1, (const char *const[]){"PING"});
	send_words(l, 1, (const char *const[]){"ROLE"});
}

static void
link_ask(struct redis_link *l)
{
	const char *words[] = {
		"SENTINEL", "get-master-addr-by-name", l->target->sentinel};

	link_set_state(l, LINK_ASKING);
	send_words(l, ARRAY_LEN(words), words);
}

/* hiredis frees a context that could not connect when this returns. */
static void
connect_cb(const redisAsyncContext *ac, int status)
{
	struct handle *h = ac->data;
	struct redis_link *l = h->link;

	if (l && status != REDIS_OK)
		link_down(l, context_error(ac));
	else if (l && l->to_sentinel)
		link_ask(l);
	else if (l)
		link_greet(l);
	if (status != REDIS_OK)
		h->ac = NULL;
}

/* --- connecting --- */

/* Takes ac, which may be NULL or have failed at once. */
static void
link_connect(struct redis_link *l, redisAsyncContext *ac)
{
	char why[160];

	link_set_state(l, LINK_CONNECTING);
	if (!ac || ac->err) {
		str_copy(why, sizeof(why), ac ? context_error(ac) : "out of memory");
		if (ac)
			redisAsyncFree(ac); /* has no callbacks yet */
		link_down(l, why);
		return;
	}
	l->handle = xcalloc(1, sizeof(*l->handle));
	*l->handle = (struct handle){l, ac};
	ac->data = l->handle;
	if (ac->c.connection_type == REDIS_CONN_TCP)
		redisEnableKeepAlive(&ac->c);
	redisLibeventAttach(ac, loop_base(l->loop));
	redisAsyncSetConnectCallback(ac, connect_cb);
	redisAsyncSetDisconnectCallback(ac, disconnect_cb);
}

static void
on_resolved(void *arg, const struct resolve_addr *addrs, size_t n, const char *why)
{
	struct redis_link *l = arg;
	char ip[RESOLVE_TEXT_LEN];

	l->resolving = NULL;
	if (!n) {
		link_down(l, why);
		return;
	}
	/* One address per attempt: the next attempt takes the next. */
	const struct resolve_addr *a = &addrs[l->attempt / l->target->n_addresses % n];
	link_connect(l, redisAsyncConnect(resolve_text(ip, a), (int)l->port));
}

static void
link_aim(struct redis_link *l, const char *host, unsigned port)
{
	link_set_state(l, LINK_RESOLVING);
	l->port = port;
	l->resolving =
		resolve_start(l->loop, host, port, CONNECT_TIMEOUT_MS, on_resolved, l);
}

static void
link_attempt(struct redis_link *l)
{
	const struct redis_target *t = l->target;
	const char *address = t->addresses[l->attempt % t->n_addresses];
	char host[256];
	unsigned port;

	l->to_sentinel = t->sentinel != NULL;
	loop_timer_start(l->timer, CONNECT_TIMEOUT_MS);
	if (str_starts(address, "unix:"))
		link_connect(l, redisAsyncConnectUnix(address + strlen("unix:")));
	else if (resolve_split(address, l->to_sentinel ? SENTINEL_PORT : DEFAULT_PORT,
			 host, sizeof(host), &port))
		link_aim(l, host, port);
	else
		link_down(l, "ERR address is neither unix:PATH nor host:port");
}

/* --- replies before it is up --- */

static const redisReply *
reply_at(const redisReply *r, size_t i)
{
	return r->type == REDIS_REPLY_ARRAY && i < r->elements ? r->element[i] : NULL;
}

static const char *
reply_text(const redisReply *r)
{
	return r && r->str ? r->str : "";
}

static void
link_on_master(struct redis_link *l, const redisReply *r)
{
	char host[256], why[160];
	int64_t port;

	str_copy(host, sizeof(host), reply_text(reply_at(r, 0)));
	if (!*host || !str_int(reply_text(reply_at(r, 1)), 1, 65535, &port)) {
		snprintf(why, sizeof(why), "Sentinel knows no master \"%.64s\"%s%.60s",
			l->target->sentinel, *reply_text(r) ? ": " : "", reply_text(r));
		link_down(l, why);
		return;
	}
	link_detach(l);
	l->to_sentinel = false;
	link_aim(l, host, (unsigned)port);
}

/* An account may lack the right to ask; then the first write will tell. */
static bool
role_is_master(const redisReply *r)
{
	return r->type == REDIS_REPLY_ERROR ||
	       strcmp(reply_text(reply_at(r, 0)), "master") == 0;
}

static void
link_on_greeting(struct redis_link *l, const redisReply *r)
{
	char why[160];

	if (l->greeting == GREET_ROLE && !role_is_master(r)) {
		link_down(l, "this Redis is a replica, not the master");
		return;
	}
	if (l->greeting != GREET_ROLE && r->type == REDIS_REPLY_ERROR) {
		str_copy(why, sizeof(why), reply_text(r));
		link_down(l, why);
		return;
	}
	if (++l->greeting == GREET_DONE)
		link_up(l);
}

static void
link_on_reply(struct redis_link *l, const redisReply *r)
{
	switch (l->state) {
	case LINK_ASKING: link_on_master(l, r); break;
	case LINK_GREETING: link_on_greeting(l, r); break;
	case LINK_UP: l->ops.on_reply(l->arg, r); break;
	default: break;
	}
}

static void
link_on_timer(void *arg)
{
	struct redis_link *l = arg;

	switch (l->state) {
	case LINK_DOWN: link_attempt(l); break;
	case LINK_UP:
		loop_timer_start(l->timer, REDIS_TICK_MS);
		l->ops.on_tick(l->arg);
		break;
	default: link_down(l, "no connection in time"); break;
	}
}

/* --- for its user --- */

struct redis_link *
redis_link_new(struct loop *loop, const char *who, enum log_level loud,
	const struct redis_target *target, const struct redis_link_ops *ops, void *arg)
{
	struct redis_link *l = xcalloc(1, sizeof(*l));

	l->loop = loop;
	l->who = who;
	l->loud = loud;
	l->target = target;
	l->ops = *ops;
	l->arg = arg;
	l->down_since_us = clock_wall_us();
	l->down_since_mono_us = clock_mono_us();
	l->timer = loop_timer_new(loop, link_on_timer, l);
	loop_timer_start(l->timer, 0);
	return l;
}

static void
link_free(void *arg)
{
	struct redis_link *l = arg;

	xfree(&l);
}

void
redis_link_free(struct redis_link **lp)
{
	struct redis_link *l = *lp;

	*lp = NULL;
	if (!l)
		return;
	link_detach(l);
	loop_timer_free(&l->timer);
	loop_free_later(l->loop, link_free, l);
}

bool
redis_link_is_up(const struct redis_link *l)
{
	return l->state == LINK_UP;
}

const char *
redis_link_reason(const struct redis_link *l, int64_t *since_us_r)
{
	if (since_us_r)
		*since_us_r = l->state == LINK_UP ? 0 : l->down_since_us;
	if (l->state == LINK_UP)
		return "";
	return l->reason[0] ? l->reason : "not yet connected";
}

void
redis_link_send(struct redis_link *l, const struct buf *command, bool push)
{
	static char is_push;

	assert(l->state == LINK_UP);
	redisAsyncFormattedCommand(l->handle->ac, reply_cb, push ? &is_push : NULL,
		command->data, command->len);
}

void
redis_put_head(struct buf *b, size_t words)
{
	buf_printf(b, "*%zu\r\n", words);
}

void
redis_put_word(struct buf *b, const char *s, size_t len)
{
	buf_addc(b, '$');
	buf_add_int(b, (int64_t)len);
	buf_add(b, "\r\n", 2);
	buf_add(b, s, len);
	buf_add(b, "\r\n", 2);
}

void
redis_put_words(struct buf *b, size_t n, const char *const *words)
{
	for (size_t i = 0; i < n; i++)
		redis_put_word(b, words[i], strlen(words[i]));
}
