/* agent_state.c - /v1/agents/{id}/state: what an agent does now, and saying so.
 *
 * Answered from memory: it works while the database is away. An agent's own token may
 * say it before anybody else has heard of that agent (a softphone that starts first), and
 * after a restart a learnt agent is known before the phone system has told of it again. */
#include <api/reply.h>
#include <api/routes.h>

#include <clock.h>
#include <desk/agent_states.h>
#include <json.h>
#include <str.h>

#include <jansson.h>

#include <string.h>

static bool
agent_is_known(struct http_request *r, struct app *app, const char *id)
{
	const struct caller *caller = caller_of(r);
	return agents_exists(app->agents, caller->tenant->name, id) ||
	       agent_states_knows(app->states, caller->tenant, id) ||
	       str_eq(caller->agent, id);
}

/* The agent of the path; NULL after an answer. */
static const char *
path_agent(struct http_request *r, struct app *app)
{
	const char *id = http_path_arg(r, 0);
	if (str_is_id(id) && !caller_may_see_agent(r, id))
		return NULL;
	if (!agent_states_is_loaded(app->states)) {
		http_add_header(r, "Retry-After", "2");
		http_problem(r, 503, NULL, "the agents' states are being read");
		return NULL;
	}
	if (!str_is_id(id) || !agent_is_known(r, app, id)) {
		http_problem(r, 404, NULL, "there is no agent with this id");
		return NULL;
	}
	return id;
}

static void
answer_state(struct http_request *r, struct app *app, const char *id)
{
	struct buf b = BUF_INIT;
	struct json_out j;
	json_out_init(&j, &b);
	json_put_object(&j, NULL);
	json_put_string(&j, "id", id);
	agent_states_put(app->states, caller_of(r)->tenant, id, &j);
	json_put_object_end(&j);
	http_answer_json(r, 200, &b);
	buf_fini(&b);
}

void
route_agent_state_get(struct http_request *r, void *arg)
{
	const char *id = path_agent(r, arg);
	if (id)
		answer_state(r, arg, id);
}

/* ---- Saying it ---- */

/* One line of text that a phone system can be told. */
static bool
is_line(const char *s, size_t len)
{
	if (strlen(s) != len || len >= AGENT_REASON_LEN)
		return false;
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return false;
	return true;
}

/* What is wrong with a member; NULL if nothing is. null is as if it were not there. */
static const char *
read_member(struct agent_wish *wish, int *mode, const char *name, const json_t *v)
{
	const char *text = json_string_value(v);
	bool is_null = json_is_null(v);
	if (str_eq(name, "state")) {
		*mode = agent_mode_parse(text);
		return *mode < 0 ? "state: available, paused, wrapup or offline" : NULL;
	}
	if (str_eq(name, "reason")) {
		wish->reason = text;
		return is_null || (text && is_line(text, json_string_length(v)))
			       ? NULL
			       : "reason: one line of at most 79 bytes";
	}
	if (str_eq(name, "until"))
		return is_null || (text && clock_parse(text, &wish->until_us))
			       ? NULL
			       : "until: a time (RFC 3339)";
	return "only state, reason and until";
}

static const char *
check_wish(const struct agent_wish *wish)
{
	int64_t now = clock_wall_us();
	if (!str_empty(wish->reason) && wish->mode != AGENT_PAUSED &&
		wish->mode != AGENT_OFFLINE)
		return "reason: of paused and offline only";
	if (!str_empty(wish->reason) && agent_reason_is_mark(wish->reason) &&
		wish->mode == AGENT_PAUSED)
		return "reason: not the name of a state";
	if (wish->until_us && wish->mode != AGENT_WRAPUP)
		return "until: of wrapup only";
	if (wish->until_us &&
		(wish->until_us <= now || wish->until_us > now + AGENT_UNTIL_MAX_US))
		return "until: later than now, by a day at most";
	return NULL;
}

/* Strings are borrowed from the body. */
static bool
read_wish(struct http_request *r, json_t *body, struct agent_wish *wish)
{
	const char *name, *why = NULL;
	json_t *value;
	int mode = -1;
	json_object_foreach(body, name, value)
	{
		if (!why)
			why = read_member(wish, &mode, name, value);
	}
	if (!why && mode < 0)
		why = "state: missing";
	wish->mode = (enum agent_mode)(mode < 0 ? 0 : mode);
	if (!why)
		why = check_wish(wish);
	if (why)
		http_problem(r, 422, NULL, "%s", why);
	return !why;
}

void
route_agent_state_put(struct http_request *r, void *arg)
{
	struct app *app = arg;
	struct agent_wish wish = {.by = caller_of(r)->name};
	const char *id = path_agent(r, app);
	json_t *body = id ? reply_body(r) : NULL;
	if (!body)
		return;
	if (read_wish(r, body, &wish)) {
		agent_states_set(app->states, caller_of(r)->tenant, id, &wish);
		answer_state(r, app, id);
	}
	json_decref(body);
}
