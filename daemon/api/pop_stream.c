/* pop_stream.c - GET /v1/pops/stream: the tenant's pops as they happen, of all agents and
 * queues or of those asked for, whichever instance sends them. For people who watch
 * (interactctl pops, a wallboard); a softphone reads its own agent's stream, which can go
 * on where it was (agent_stream.c).
 *
 * Server-Sent Events: the pops as they stand on Redis, and two objects that are no pops:
 * {"v":1,"type":"ready"} once nothing is missed from now on, and {"v":1,"type":"gap"}
 * after the connection to Redis was lost, when something may have been (it may come
 * twice, once per subscription). */
#include <api/reply.h>
#include <api/routes.h>
#include <api/stream_guard.h>
#include <desk/pop.h>
#include <mem.h>
#include <str.h>

#include <stdio.h>
#include <string.h>

#define SUBS_MAX 2

struct pop_stream {
	struct http_stream *http;
	struct redis_sub *subs[SUBS_MAX];
	unsigned n_subs, n_ready;
	struct stream_guard *guard;
	const struct sight *sight;
};

static void
send_type(struct pop_stream *s, const char *type)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "{\"v\":1,\"type\":\"%s\"}", type);
	http_stream_send(s->http, NULL, text, (size_t)n);
}

static void
on_pop(void *arg, const char *channel, const char *json, size_t len)
{
	struct pop_stream *s = arg;
	struct buf seen = BUF_INIT;
	(void)channel;
	if (!s->sight)
		http_stream_send(s->http, NULL, json, len);
	else if (pop_json_seen(&seen, json, len, s->sight))
		http_stream_send(s->http, NULL, seen.data, seen.len);
	buf_fini(&seen);
}

static void
on_ready(void *arg)
{
	struct pop_stream *s = arg;
	if (++s->n_ready == s->n_subs)
		send_type(s, "ready");
}

static void
on_gap(void *arg)
{
	struct pop_stream *s = arg;
	send_type(s, "gap");
}

static void
on_close(void *arg)
{
	struct pop_stream *s = arg;
	for (unsigned i = 0; i < s->n_subs; i++)
		redis_unsubscribe(&s->subs[i]);
	stream_guard_free(&s->guard);
	sight_unref(&s->sight);
	mem_free(s);
}

/* Ids hold no character that a pattern would read as its own; "*" is all of them. */
static void
subscribe(struct pop_stream *s, struct app *app, const struct tenant *tenant,
	const char *what, const char *id)
{
	char *name = xasprintf("interactd:%s:%s:%s", tenant->name, what, id);
	struct redis_sub *sub = redis_psubscribe(app->redis, name, on_pop, on_gap, s);
	redis_sub_on_ready(sub, on_ready);
	s->subs[s->n_subs++] = sub;
	xfree(&name);
}

/* NULL = not asked for; false after an answer. */
static bool
read_id(struct http_request *r, const char *name, const char **id_r)
{
	*id_r = http_query(r, name);
	if (!*id_r || str_is_id(*id_r))
		return true;
	http_problem(r, 400, NULL,
		"%s: an id, 1 to 64 letters, digits, '.', '_' or '-'", name);
	return false;
}

static bool
wants_events(struct http_request *r)
{
	const char *accept = http_header(r, "Accept");
	if (accept && strstr(accept, "text/event-stream"))
		return true;
	http_problem(r, 406, NULL,
		"these are Server-Sent Events: send Accept: text/event-stream");
	return false;
}

void
route_pop_stream(struct http_request *r, void *arg)
{
	static const char *const known[] = {"agent", "queue", NULL};
	static const struct http_stream_callbacks callbacks = {NULL, on_close};
	struct app *app = arg;
	const char *agent, *queue;
	const struct tenant *tenant = caller_of(r)->tenant;
	if (!reply_query_known(r, known) || !read_id(r, "agent", &agent) ||
		!read_id(r, "queue", &queue) || !wants_events(r))
		return;
	bool all = !agent && !queue;
	char hash[CALLER_HASH_LEN];
	str_copy(hash, sizeof(hash), caller_of(r)->hash);
	struct pop_stream *s = xcalloc(1, sizeof(*s));
	s->sight = sight_ref(caller_of(r)->sight);
	if (all || agent)
		subscribe(s, app, tenant, "agent", agent ? agent : "*");
	if (all || queue)
		subscribe(s, app, tenant, "queue", queue ? queue : "*");
	/* The request's memory may go with it: nothing of it is read from here on. */
	s->http = http_sse(r, &callbacks, s);
	s->guard = stream_guard_new(app, s->http, hash, s->sight);
}
