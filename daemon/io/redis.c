/* redis.c - commands to Redis, answered in order.
 *
 * `pending` mirrors the wire: replies answer its head. A command that times out is
 * answered NULL at once, but its place stays until the reply comes or, after as long
 * again, the connection is given up. All commands have the same timeout, so deadlines
 * in `pending` only rise and one timer serves them all.
 *
 * Answers of NULL and changes of state are told from a timer of their own, never from
 * the function that caused them. The struct is freed at the end of the turn, because
 * redis_close may be called by any callback.
 * Next: redis_link.c for the connection. */
#include "io/redis_priv.h"

#include <clock.h>
#include <mem.h>
#include <str.h>

#include "io/loop.h"
#include "io/resolve.h"

#include <hiredis/hiredis.h>

#include <assert.h>
#include <string.h>

struct redis_request {
	struct list link;
	redis_reply_fn *cb; /* NULL: nobody waits (any more) */
	void *arg;
	int64_t deadline_us;
	struct buf retry; /* EVAL with the script's text, or empty */
};

static void
request_free(struct redis_request *q)
{
	list_remove(&q->link);
	buf_fini(&q->retry);
	xfree(&q);
}

static void
redis_wake(struct redis *r)
{
	if (!r->closed && !loop_timer_is_running(r->work))
		loop_timer_start(r->work, 0);
}

/* Takes q out of pending; its callback comes with NULL, soon. */
static void
request_fail(struct redis *r, struct redis_request *q)
{
	list_remove(&q->link);
	list_append(&r->failed, &q->link);
	redis_wake(r);
}

static void
failed_answer(struct redis *r)
{
	while (!list_is_empty(&r->failed)) {
		struct redis_request *q =
			LIST_ENTRY(r->failed.next, struct redis_request, link);
		redis_reply_fn *cb = q->cb;
		void *arg = q->arg;
		request_free(q);
		if (cb)
			cb(arg, NULL);
	}
}

static void
pending_fail(struct redis *r)
{
	list_for_each_safe (&r->pending, it)
		request_fail(r, LIST_ENTRY(it, struct redis_request, link));
	r->n_pending = 0;
}

static void
on_work(void *arg)
{
	struct redis *r = arg;
	bool up = redis_link_is_up(r->link);

	if (up != r->told_up) {
		r->told_up = up;
		if (r->opts.on_state)
			r->opts.on_state(r->opts.arg, up);
	}
	failed_answer(r);
}

/* --- deadlines --- */

/* Answers the caller and leaves the place in the queue to nobody. */
static void
request_time_out(struct redis *r, struct redis_request *q)
{
	struct redis_request *told;

	if (!q->cb)
		return;
	told = xcalloc(1, sizeof(*told));
	told->cb = q->cb;
	told->arg = q->arg;
	q->cb = NULL;
	buf_fini(&q->retry);
	request_fail(r, told);
}

static void
on_deadline(void *arg)
{
	struct redis *r = arg;
	int64_t now = clock_mono_us(),
		patience = (int64_t)r->opts.command_timeout_ms * 1000;
	int64_t next = 0;

	if (list_is_empty(&r->pending))
		return;
	const struct redis_request *head =
		LIST_ENTRY(r->pending.next, struct redis_request, link);
	if (head->deadline_us + patience <= now) {
		redis_link_fail(r->link, "the server does not answer");
		return;
	}
	if (head->deadline_us <= now)
		next = head->deadline_us + patience;
	list_for_each (&r->pending, it) {
		struct redis_request *q = LIST_ENTRY(it, struct redis_request, link);
		if (q->deadline_us > now) {
			next = next && next < q->deadline_us ? next : q->deadline_us;
			break;
		}
		request_time_out(r, q);
	}
	loop_timer_start(r->deadline, (next - now) / 1000 + 1);
}

/* --- the link's callbacks --- */

static void
on_up(void *arg)
{
	struct redis *r = arg;

	redis_scripts_load(r);
	redis_wake(r);
}

static void
on_down(void *arg)
{
	struct redis *r = arg;

	pending_fail(r);
	redis_wake(r);
}

static bool
reply_has_code(const redisReply *reply, const char *code)
{
	return reply->type == REDIS_REPLY_ERROR && str_starts(reply->str, code);
}

static void
on_reply(void *arg, const struct redisReply *reply)
{
	struct redis *r = arg;

	assert(!list_is_empty(&r->pending));
	struct redis_request *q =
		LIST_ENTRY(r->pending.next, struct redis_request, link);
	redis_reply_fn *cb = q->cb;
	void *cb_arg = q->arg;

	list_remove(&q->link);
	r->n_pending--;
	if (q->retry.len && cb && reply_has_code(reply, "NOSCRIPT")) {
		redis_send(r, &q->retry, NULL, cb, cb_arg);
		request_free(q);
		return;
	}
	request_free(q);
	if (reply_has_code(reply, "READONLY"))
		redis_link_fail(r->link, "this Redis has become a replica");
	if (cb)
		cb(cb_arg, (const struct redis_reply *)(const void *)reply);
}

/* A peer that vanished without a word is found by asking. */
static void
on_tick(void *arg)
{
	struct redis *r = arg;
	struct buf ping = BUF_INIT;

	if (!list_is_empty(&r->pending))
		return;
	redis_put_head(&ping, 1);
	redis_put_word(&ping, "PING", 4);
	redis_send(r, &ping, NULL, NULL, NULL);
	buf_fini(&ping);
}

static void
on_push(void *arg, const struct redisReply *reply)
{
	(void)arg;
	(void)reply; /* this link never subscribes */
}

static const struct redis_link_ops link_ops = {
	.on_up = on_up,
	.on_down = on_down,
	.on_reply = on_reply,
	.on_push = on_push,
	.on_tick = on_tick,
};

/* --- commands --- */

void
redis_send(struct redis *r, const struct buf *command, struct buf *retry,
	redis_reply_fn *cb, void *arg)
{
	struct redis_request *q = xcalloc(1, sizeof(*q));

	q->cb = cb;
	q->arg = arg;
	if (retry) {
		q->retry = *retry;
		*retry = (struct buf)BUF_INIT;
	}
	if (r->closed || !redis_link_is_up(r->link) ||
		r->n_pending >= r->opts.max_pending) {
		request_fail(r, q);
		return;
	}
	q->deadline_us = clock_mono_us() + (int64_t)r->opts.command_timeout_ms * 1000;
	list_append(&r->pending, &q->link);
	r->n_pending++;
	redis_link_send(r->link, command, false);
	if (!loop_timer_is_running(r->deadline))
		loop_timer_start(r->deadline, r->opts.command_timeout_ms);
}

void
redis_command(struct redis *r, int n, const char *const *argv, const size_t *lens,
	redis_reply_fn *cb, void *arg)
{
	struct buf b = BUF_INIT;

	assert(n > 0);
	redis_put_head(&b, (size_t)n);
	for (int i = 0; i < n; i++)
		redis_put_word(&b, argv[i], lens ? lens[i] : strlen(argv[i]));
	redis_send(r, &b, NULL, cb, arg);
	buf_fini(&b);
}

/* --- opening and closing --- */

int
redis_check_address(const char *address, struct err *err)
{
	char host[256];
	unsigned port;

	if (str_starts(address, "unix:/"))
		return 0;
	if (!str_starts(address, "unix:") &&
		resolve_split(address, 6379, host, sizeof(host), &port))
		return 0;
	return err_set(err,
		"\"%s\" is no address of a Redis: unix:/PATH, host, "
		"host:port or [IPv6]:port",
		address);
}

static void
target_init(struct redis_target *t, const struct redis_opts *o)
{
	t->n_addresses = o->addresses->n;
	t->addresses = xcalloc(t->n_addresses, sizeof(*t->addresses));
	for (size_t i = 0; i < t->n_addresses; i++)
		t->addresses[i] = xstrdup(o->addresses->items[i]);
	t->username = xstrdup(str_empty(o->username) ? NULL : o->username);
	t->password = xstrdup(str_empty(o->password) ? NULL : o->password);
	t->sentinel = xstrdup(str_empty(o->sentinel) ? NULL : o->sentinel);
}

static void
target_fini(struct redis_target *t)
{
	for (size_t i = 0; i < t->n_addresses; i++)
		xfree(&t->addresses[i]);
	xfree(&t->addresses);
	xfree(&t->username);
	xfree(&t->password);
	xfree(&t->sentinel);
}

struct redis *
redis_open(struct loop *loop, const struct redis_opts *opts)
{
	struct redis *r = xcalloc(1, sizeof(*r));

	assert(opts->addresses->n);
	r->loop = loop;
	r->opts = *opts;
	target_init(&r->target, opts);
	list_init(&r->pending);
	list_init(&r->failed);
	list_init(&r->scripts);
	r->work = loop_timer_new(loop, on_work, r);
	r->deadline = loop_timer_new(loop, on_deadline, r);
	r->link = redis_link_new(
		loop, "redis", LOG_LVL_WARNING, &r->target, &link_ops, r);
	return r;
}

static void
redis_free(void *p)
{
	struct redis *r = p;

	target_fini(&r->target);
	xfree(&r);
}

void
redis_close(struct redis **rp)
{
	struct redis *r = *rp;

	if (!r || r->closed)
		return;
	r->closed = true;
	redis_link_free(&r->link);
	redis_subs_free(&r->subs);
	redis_scripts_detach(r);
	loop_timer_free(&r->work);
	loop_timer_free(&r->deadline);
	pending_fail(r);
	failed_answer(r);
	loop_free_later(r->loop, redis_free, r);
	*rp = NULL;
}

bool
redis_is_up(const struct redis *r)
{
	return !r->closed && redis_link_is_up(r->link);
}

const char *
redis_down_reason(const struct redis *r, int64_t *since_us_r)
{
	if (!r->closed)
		return redis_link_reason(r->link, since_us_r);
	if (since_us_r)
		*since_us_r = clock_wall_us();
	return "closed";
}

/* --- reading replies --- */

static const redisReply *
reply_raw(const struct redis_reply *r)
{
	return (const redisReply *)(const void *)r;
}

enum redis_type
redis_type(const struct redis_reply *r)
{
	if (!r)
		return REDIS_FAILED;
	switch (reply_raw(r)->type) {
	case REDIS_REPLY_STRING:
	case REDIS_REPLY_STATUS: return REDIS_STRING;
	case REDIS_REPLY_INTEGER: return REDIS_INTEGER;
	case REDIS_REPLY_ARRAY: return REDIS_ARRAY;
	case REDIS_REPLY_NIL: return REDIS_NIL;
	default: return REDIS_FAILED;
	}
}

const char *
redis_str(const struct redis_reply *r, size_t *len_r)
{
	bool has = r && reply_raw(r)->str;

	if (len_r)
		*len_r = has ? (size_t)reply_raw(r)->len : 0;
	return has ? reply_raw(r)->str : "";
}

/* Scripts and hashes give numbers as strings. */
int64_t
redis_int(const struct redis_reply *r)
{
	int64_t v;

	if (redis_type(r) == REDIS_INTEGER)
		return reply_raw(r)->integer;
	return str_int(redis_str(r, NULL), INT64_MIN, INT64_MAX, &v) ? v : 0;
}

size_t
redis_len(const struct redis_reply *r)
{
	return redis_type(r) == REDIS_ARRAY ? reply_raw(r)->elements : 0;
}

const struct redis_reply *
redis_at(const struct redis_reply *r, size_t i)
{
	if (i >= redis_len(r))
		return NULL;
	return (const struct redis_reply *)(const void *)reply_raw(r)->element[i];
}
