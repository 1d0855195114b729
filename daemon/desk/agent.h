/* agent.h - the directory of agents: who answers, on which interfaces, in which queues.
 *
 * In memory, loaded from PostgreSQL at start and again when something changed (also by
 * another instance); an agent found by a channel's `agents` pattern needs no row and is
 * remembered for as long as the daemon runs. */
#ifndef INTERACTD_DESK_AGENT_H
#define INTERACTD_DESK_AGENT_H

#include <json.h>
#include <people/store.h>

struct agents;

struct agents *agents_new(struct store *);
void agents_free(struct agents **);
/* (Re)loads from the database; done(arg, ok) later. The old ones stay until then. */
void agents_load(struct agents *, void (*done)(void *arg, bool ok), void *arg);

/* calls/tracker.h's question: the agent of `endpoint` on `channel`. First those with
 * "channel:endpoint" or "endpoint" among their interfaces, then pattern_agent (unless
 * that id is already bound to another channel: refused and logged once). Learnt agents
 * are bound to the channel they were first seen on. NULL: nobody's. */
const char *agents_of_endpoint(struct agents *, const char *tenant, const char *channel,
	const char *endpoint, const char *pattern_agent);
bool agents_exists(
	const struct agents *, const char *tenant, const char *id); /* or learnt */

/* What of the contacts an agent may see; borrowed until the loop's next turn. NULL,
 * everything, unless the directory says otherwise; nobody while it was never loaded. */
const struct sight *
agents_sight(const struct agents *, const char *tenant, const char *id);
/* Called when it may have become another: of this agent, or of any (id NULL). */
typedef void agent_sight_fn(void *arg, const char *tenant, const char *id);
void agents_on_sight(struct agents *, agent_sight_fn *, void *arg);

/* Rises whenever an endpoint may have become another agent's. */
unsigned long agents_generation(const struct agents *);
/* Every agent of the directory, then those learnt that are not in it. */
typedef void agents_fn(void *arg, const char *tenant, const char *id);
void agents_each(struct agents *, agents_fn *, void *arg);
/* fn adds members to an agent's object in lists and answers of GET. */
typedef void
agent_members_fn(void *arg, const struct tenant *, const char *id, struct json_out *);
void agents_set_members(struct agents *, agent_members_fn *, void *arg);

/* Each phone of an agent: of its interfaces, in their order (channel NULL: on any phone
 * system); then the one that a channel's pattern has found (learnt). All is borrowed. */
typedef void
agent_phone_fn(void *arg, const char *channel, const char *endpoint, bool learnt);
void agents_phones(const struct agents *, const char *tenant, const char *id,
	agent_phone_fn *, void *arg);

/* GET/POST/PATCH /v1/agents: id, name, interfaces[], queues[], capacity, contact_roles[],
 * attributes[] (sight.h). A list holds
 * learnt agents too ("learnt": true). */
void agent_list(struct agents *, const struct tenant *, store_answer_fn *, void *arg);
void agent_get(struct agents *, const struct tenant *, const char *id,
	store_answer_fn *, void *arg);
void agent_create(struct agents *, const struct actor *, const json_t *body,
	const struct idempotency *, store_answer_fn *, void *arg);
void agent_patch(struct agents *, const struct actor *, const char *id,
	const json_t *body, store_answer_fn *, void *arg);

#endif
