/* stream_guard.c - see stream_guard.h. One question is under way at a time; a guard freed
 * meanwhile waits for its answer. */
#include <api/stream_guard.h>

#include <io/loop.h>
#include <mem.h>
#include <str.h>

#define POLICY_VIOLATION 1008 /* RFC 6455 §7.4.1 */
#define DEADLINE_MS	 3000

struct stream_guard {
	struct app *app;
	struct http_stream *stream;
	struct loop_timer *timer;
	char hash[CALLER_HASH_LEN];
	const struct sight *sight;
	bool asking, closed;
};

static void
on_answer(void *arg, const struct pg_answer *a)
{
	struct stream_guard *g = arg;
	g->asking = false;
	if (g->closed)
		mem_free(g);
	else if (a->status == PG_OK && !pg_bool(a, 0, 0, 0))
		http_stream_close(g->stream, POLICY_VIOLATION,
			"the token has expired or was revoked, or the key was changed");
	else
		loop_timer_start(g->timer, STREAM_GUARD_MS);
}

static void
on_due(void *arg)
{
	struct stream_guard *g = arg;
	struct pg_unit *u = pg_unit_new(g->app->store.reads);
	pg_add(u, "credential_holds");
	pg_param_text(u, g->hash);
	sight_param(u, g->sight);
	g->asking = true;
	pg_submit(&u, DEADLINE_MS, on_answer, g);
}

struct stream_guard *
stream_guard_new(struct app *app, struct http_stream *stream, const char *hash,
	const struct sight *sight)
{
	struct stream_guard *g = xcalloc(1, sizeof(*g));
	g->app = app;
	g->stream = stream;
	str_copy(g->hash, sizeof(g->hash), hash);
	g->sight = sight_ref(sight);
	g->timer = loop_timer_new(app->loop, on_due, g);
	if (*hash)
		loop_timer_start(g->timer, STREAM_GUARD_MS);
	return g;
}

void
stream_guard_free(struct stream_guard **gp)
{
	struct stream_guard *g = *gp;
	*gp = NULL;
	if (!g)
		return;
	loop_timer_free(&g->timer);
	sight_unref(&g->sight);
	g->closed = true;
	if (!g->asking)
		mem_free(g);
}
