/* agents.c - /v1/agents…: the directory, an agent's open pops, tokens and tickets. The
 * live stream is in agent_stream.c. */
#include <api/reply.h>
#include <api/routes.h>
#include <desk/agent.h>
#include <desk/agent_token.h>
#include <desk/pop.h>
#include <str.h>

#include <jansson.h>

#define TOKEN_TTL_S (12 * 3600)

/* The agent of the path; NULL after an answer. Any sound id: agents found by a
 * channel's pattern need not exist before. */
static const char *
path_agent(struct http_request *r)
{
	const char *id = http_path_arg(r, 0);
	if (!str_is_id(id)) {
		http_problem(r, 404, NULL, "there is no agent with this id");
		return NULL;
	}
	return caller_may_see_agent(r, id) ? id : NULL;
}

void
route_agent_list(struct http_request *r, void *arg)
{
	struct app *app = arg;
	agent_list(app->agents, caller_of(r)->tenant, reply_from_store, r);
}

void
route_agent_get(struct http_request *r, void *arg)
{
	struct app *app = arg;
	const char *id = path_agent(r);
	if (id)
		agent_get(app->agents, caller_of(r)->tenant, id, reply_from_store, r);
}

void
route_agent_create(struct http_request *r, void *arg)
{
	struct app *app = arg;
	struct idempotency idem;
	const struct idempotency *key;
	if (!reply_idempotency(r, &idem, &key))
		return;
	json_t *body = reply_body(r);
	if (!body)
		return;
	struct actor actor = caller_actor(r);
	agent_create(app->agents, &actor, body, key, reply_from_store, r);
	json_decref(body);
}

void
route_agent_patch(struct http_request *r, void *arg)
{
	struct app *app = arg;
	const char *id = path_agent(r);
	json_t *body = id ? reply_body(r) : NULL;
	if (!body)
		return;
	struct actor actor = caller_actor(r);
	agent_patch(app->agents, &actor, id, body, reply_from_store, r);
	json_decref(body);
}

void
route_agent_pops(struct http_request *r, void *arg)
{
	struct app *app = arg;
	const char *id = path_agent(r);
	if (id)
		pops_list(app->pops, caller_of(r)->tenant, id, caller_of(r)->sight,
			reply_from_store, r);
}

/* {"ttl_s": seconds}; an empty body is allowed. */
static bool
read_ttl(struct http_request *r, int64_t *ttl_s_r)
{
	const char *name;
	json_t *value;
	size_t len;
	bool ok = true;
	*ttl_s_r = TOKEN_TTL_S;
	http_body(r, &len);
	if (len == 0)
		return true;
	json_t *body = reply_body(r);
	if (!body)
		return false;
	json_object_foreach(body, name, value)
	{
		if (ok && str_eq(name, "ttl_s") && json_is_integer(value)) {
			*ttl_s_r = json_integer_value(value);
			continue;
		}
		if (ok)
			http_problem(r, 422, NULL, "%.64s: only ttl_s, a whole number",
				name);
		ok = false;
	}
	json_decref(body);
	return ok;
}

void
route_token_create(struct http_request *r, void *arg)
{
	struct app *app = arg;
	struct idempotency idem;
	const struct idempotency *key;
	int64_t ttl_s;
	const char *id = path_agent(r);
	if (!id || !reply_idempotency(r, &idem, &key) || !read_ttl(r, &ttl_s))
		return;
	struct actor actor = caller_actor(r);
	agent_token_create(app->tokens, &actor, id, ttl_s, key, reply_from_store, r);
}

void
route_token_list(struct http_request *r, void *arg)
{
	struct app *app = arg;
	const char *id = path_agent(r);
	if (id)
		agent_token_list(
			app->tokens, caller_of(r)->tenant, id, reply_from_store, r);
}

void
route_token_revoke(struct http_request *r, void *arg)
{
	struct app *app = arg;
	struct uuid token;
	const char *id = path_agent(r);
	if (!id)
		return;
	if (!uuid_parse(http_path_arg(r, 1), &token)) {
		http_problem(r, 404, NULL, "there is no token with this id");
		return;
	}
	struct actor actor = caller_actor(r);
	agent_token_revoke(app->tokens, &actor, id, &token, reply_from_store, r);
}

void
route_ticket_create(struct http_request *r, void *arg)
{
	struct app *app = arg;
	const char *id = path_agent(r);
	if (id)
		agent_ticket_create(app->tokens, caller_of(r)->tenant, id,
			caller_of(r)->hash, reply_from_store, r);
}
