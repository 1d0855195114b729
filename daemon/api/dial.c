/* dial.c - POST /v1/calls: an agent's phone rings, then somebody outside is called.
 *
 * Here is only who may ask, and what `to` is: a number, an identity, or a contact, whose
 * most trusted number is taken. Whether it may be called, and from which phone, is
 * decided in calls/dial.c. */
#include <api/reply.h>
#include <api/routes.h>

#include <mem.h>
#include <people/check.h>
#include <people/contact.h>
#include <str.h>

#include <stdio.h>
#include <string.h>

#define TO_MAX 200

/* A request while its contact is looked up. */
struct asked {
	struct http_request *request;
	char *agent, *channel;
};

static void
asked_free(struct asked *a)
{
	xfree(&a->agent);
	xfree(&a->channel);
	mem_free(a);
}

/* ---- The answer ------------------------------------------------------------------- */

static void
answer_placed(struct http_request *r, const struct dial_answer *a)
{
	json_t *object = json_loadb(a->json, a->json_len, 0, NULL);
	const char *id = json_string_value(json_object_get(object, "id"));
	char location[128];

	if (a->replayed)
		http_add_header(r, "Idempotency-Replayed", "true");
	if (id) {
		snprintf(location, sizeof(location), "/v1/interactions/%s", id);
		http_add_header(r, "Location", location);
	}
	http_answer(r, a->status, "application/json", a->json, a->json_len);
	json_decref(object);
}

static void
on_dialled(void *arg, const struct dial_answer *a)
{
	struct http_request *r = arg;
	char extra[64], seconds[16];

	if (a->retry_after_s) {
		snprintf(seconds, sizeof(seconds), "%d", a->retry_after_s);
		http_add_header(r, "Retry-After", seconds);
	}
	snprintf(extra, sizeof(extra), "\"reason\":\"%s\"",
		dial_refusal_text(a->refusal));
	if (a->json)
		answer_placed(r, a);
	else
		http_problem(r, a->status, a->refusal ? extra : NULL, "%s", a->detail);
}

static void
dial(struct http_request *r, const char *agent, const char *channel, const char *to)
{
	struct idempotency idem;
	struct dial_request q = {
		.actor = caller_actor(r), .agent = agent, .to = to, .channel = channel};

	if (reply_idempotency(r, &idem, &q.idem))
		dial_start(caller_of(r)->app->dialler, &q, on_dialled, r);
}

/* ---- Whom ---------------------------------------------------------------------------- */

static int
trust_of(const json_t *identity)
{
	const char *trust = json_string_value(json_object_get(identity, "trust"));
	return trust_parse(trust);
}

/* The number of the contact that is trusted most; of several alike the first. */
static const char *
best_phone(const json_t *contact)
{
	const json_t *best = NULL, *all = json_object_get(contact, "identities");

	for (size_t i = 0; i < json_array_size(all); i++) {
		const json_t *one = json_array_get(all, i);
		const char *kind = json_string_value(json_object_get(one, "kind"));
		if (str_eq(kind, "phone") && (!best || trust_of(one) > trust_of(best)))
			best = one;
	}
	return json_string_value(json_object_get(best, "value"));
}

static void
on_contact(void *arg, const struct store_answer *answer)
{
	struct asked *a = arg;
	struct http_request *r = a->request;
	json_t *contact = answer->status == STORE_OK
				  ? json_loadb(answer->json, answer->json_len, 0, NULL)
				  : NULL;
	const char *to = best_phone(contact);

	if (answer->status == STORE_NOT_FOUND)
		http_problem(r, 404, NULL, "to: there is no such contact");
	else if (answer->status != STORE_OK)
		reply_from_store(r, answer);
	else if (!to)
		http_problem(r, 422, "\"reason\":\"not_a_number\"",
			"to: this contact has no phone number");
	else
		dial(r, a->agent, a->channel, to);
	json_decref(contact);
	asked_free(a);
}

static void
dial_contact(struct http_request *r, const char *agent, const char *channel,
	const struct uuid *id)
{
	struct actor actor = caller_actor(r);
	struct asked *a = xcalloc(1, sizeof(*a));

	a->request = r;
	a->agent = xstrdup(agent);
	a->channel = xstrdup(channel);
	contact_get(&caller_of(r)->app->store, &actor, id, on_contact, a);
}

/* ---- The request --------------------------------------------------------------------- */

/* The text of a string that holds no NUL; else NULL. */
static const char *
sound_text(const json_t *v)
{
	const char *s = json_string_value(v);
	return s && strlen(s) == json_string_length(v) && strlen(s) <= TO_MAX ? s
									      : NULL;
}

/* {"kind":"phone","value":"…"} */
static const char *
number_of_identity(struct check *outer, const json_t *identity)
{
	struct check c;

	check_init(&c, identity);
	const char *kind = check_text(&c, "kind", 32);
	const char *value = sound_text(check_take(&c, "value"));
	if (!check_done(&c) || !str_eq(kind, "phone") || !value) {
		check_fail(outer, "to: identity: {\"kind\":\"phone\",\"value\":\"…\"}");
		return NULL;
	}
	return value;
}

/* A number, {"identity":{…}}, or {"contact":id}: then true and NULL, and the id. */
static bool
read_to(struct check *c, const char **number_r, struct uuid *contact_r)
{
	const json_t *to = check_take(c, "to");
	const json_t *identity = json_object_get(to, "identity");
	const char *contact = json_string_value(json_object_get(to, "contact"));

	*number_r = sound_text(to);
	if (*number_r)
		return true;
	if (json_object_size(to) == 1 && json_is_object(identity))
		*number_r = number_of_identity(c, identity);
	else if (json_object_size(to) != 1 || !contact ||
		 !uuid_parse(contact, contact_r))
		check_fail(c, "to: a phone number, {\"contact\":id} or "
			      "{\"identity\":{\"kind\":\"phone\",\"value\":\"…\"}}");
	return !c->why[0];
}

/* An agent's token may leave `agent` out: itself. */
static const char *
read_agent(struct http_request *r, struct check *c)
{
	const char *agent = check_text(c, "agent", 64);

	if (!agent && caller_of(r)->agent[0])
		agent = caller_of(r)->agent;
	if (!agent || !str_is_id(agent))
		check_fail(c, "agent: an agent's id");
	return agent;
}

void
route_call_dial(struct http_request *r, void *arg)
{
	struct check c;
	struct uuid contact;
	const char *number = NULL;

	(void)arg;
	json_t *body = reply_body(r);
	if (!body)
		return;
	check_init(&c, body);
	const char *agent = read_agent(r, &c);
	const char *channel = check_text(&c, "channel", 64);
	read_to(&c, &number, &contact);
	if (!check_done(&c))
		http_problem(r, 422, NULL, "%s", c.why);
	else if (caller_may_see_agent(r, agent)) {
		if (number)
			dial(r, agent, channel, number);
		else
			dial_contact(r, agent, channel, &contact);
	}
	json_decref(body);
}
