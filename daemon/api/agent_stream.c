/* agent_stream.c - GET /v1/agents/{id}/stream: an agent's pops as they happen, by
 * WebSocket or Server-Sent Events.
 *
 * ?after=SEQ (or Last-Event-ID) goes on where the client was; without it the client
 * first gets the pops open now. The same objects as on Redis. */
#include <api/reply.h>
#include <api/routes.h>
#include <api/stream_guard.h>
#include <desk/pop.h>
#include <mem.h>
#include <str.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define PROTOCOL "interactd.v1"

struct agent_stream {
	struct app *app;
	const struct tenant *tenant;
	char session[65]; /* the agent whose own session it is; "" = somebody watches */
	const struct sight *sight; /* of somebody who watches */
	struct http_stream *http;
	struct pop_feed *feed;
	struct stream_guard *guard;
};

static void
on_pop(void *arg, uint64_t seq, const char *json, size_t len)
{
	struct agent_stream *s = arg;
	struct buf seen = BUF_INIT;
	char id[24];
	/* An agent's own as it is by now: the stream may hold pops from before. */
	const struct sight *sight = s->session[0] ? agents_sight(s->app->agents,
							    s->tenant->name, s->session)
						  : s->sight;
	snprintf(id, sizeof(id), "%" PRIu64, seq);
	if (!sight)
		http_stream_send(s->http, id, json, len);
	else if (pop_json_seen(&seen, json, len, sight))
		http_stream_send(s->http, id, seen.data, seen.len);
	buf_fini(&seen);
}

static void
on_close(void *arg)
{
	struct agent_stream *s = arg;
	if (s->session[0])
		agent_states_session(s->app->states, s->tenant, s->session, -1);
	pop_feed_close(&s->feed);
	stream_guard_free(&s->guard);
	sight_unref(&s->sight);
	mem_free(s);
}

/* The subprotocol to agree on: ours if it is offered; none if none is. */
static const char *
choose_protocol(const struct http_request *r)
{
	char word[512];
	for (size_t i = 0; http_websocket_protocol(r, i, word, sizeof(word)); i++)
		if (str_eq(word, PROTOCOL))
			return PROTOCOL;
	return NULL;
}

static bool
read_after(struct http_request *r, uint64_t *after_r)
{
	int64_t n = 0;
	const char *text = http_query(r, "after");
	if (!text)
		text = http_header(r, "Last-Event-ID");
	if (!str_empty(text) && !str_int(text, 0, INT64_MAX, &n)) {
		http_problem(r, 400, NULL, "after: the seq of the last pop seen");
		return false;
	}
	*after_r = (uint64_t)n;
	return true;
}

static bool
wants_events(const struct http_request *r)
{
	const char *accept = http_header(r, "Accept");
	return accept && strstr(accept, "text/event-stream");
}

void
route_agent_stream(struct http_request *r, void *arg)
{
	static const char *const known[] = {"after", "ticket", NULL};
	static const struct http_stream_callbacks callbacks = {NULL, on_close};
	struct app *app = arg;
	uint64_t after;
	char agent[65], hash[CALLER_HASH_LEN];
	const struct tenant *tenant = caller_of(r)->tenant;
	str_copy(agent, sizeof(agent), http_path_arg(r, 0));
	if (!str_is_id(http_path_arg(r, 0))) {
		http_problem(r, 404, NULL, "there is no agent with this id");
		return;
	}
	if (!caller_may_see_agent(r, agent) || !reply_query_known(r, known) ||
		!read_after(r, &after))
		return;
	bool websocket = http_wants_websocket(r);
	if (!websocket && !wants_events(r)) {
		http_add_header(r, "Upgrade", "websocket");
		http_problem(r, 426, NULL,
			"connect as WebSocket, or send Accept: text/event-stream");
		return;
	}
	str_copy(hash, sizeof(hash), caller_of(r)->hash);
	struct agent_stream *s = xcalloc(1, sizeof(*s));
	s->app = app;
	s->tenant = tenant;
	str_copy(s->session, sizeof(s->session), caller_of(r)->agent);
	s->sight = sight_ref(s->session[0] ? NULL : caller_of(r)->sight);
	s->http = websocket ? http_websocket(r, choose_protocol(r), &callbacks, s)
			    : http_sse(r, &callbacks, s);
	if (!s->http) {
		sight_unref(&s->sight);
		mem_free(s);
		return;
	}
	if (s->session[0])
		agent_states_session(app->states, tenant, s->session, 1);
	s->guard = stream_guard_new(app, s->http, hash, s->sight);
	s->feed = pop_feed_open(app->pops, tenant, agent, after, on_pop, s);
}
