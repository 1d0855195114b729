/* agent_priv.h - what agent.c (the directory in memory) and agent_store.c (the resource)
 * share. */
#ifndef INTERACTD_DESK_AGENT_PRIV_H
#define INTERACTD_DESK_AGENT_PRIV_H

#include <desk/agent.h>
#include <list.h>
#include <log.h>
#include <map.h>

struct agent_row {
	char *tenant, *id;
	char **interfaces;
	size_t n_interfaces;
	const struct sight *sight; /* what of the contacts they may see */
};

/* Keys are "tenant\nwhat". */
struct directory {
	struct map rows;       /* id -> struct agent_row */
	struct map interfaces; /* interface -> struct agent_row, of rows */
};

struct agents {
	struct store *store;
	struct directory dir;
	struct map learnt;   /* id -> struct learnt_agent */
	struct map channels; /* every channel that has asked -> itself */
	struct map refused;  /* what was logged once -> itself */
	struct list calls;   /* struct agent_call, under way */
	struct list waiting; /* struct agent_waiter, for the load under way */
	bool loading, load_again, loaded;
	char *version; /* of the table, as loaded */
	struct loop_timer *poll;
	unsigned long generation;
	agent_members_fn *members; /* or NULL */
	void *members_arg;
	agent_sight_fn *sight_changed; /* or NULL */
	void *sight_arg;
};

struct learnt_agent {
	char *id, *channel;
	char *endpoint; /* the phone it was last seen with */
};

/* A statement under way; the agents may be gone when its answer comes. */
struct agent_call {
	struct list link;
	struct agents *agents; /* NULL: freed meanwhile */
	struct store_ask *ask; /* NULL: the directory's own */
	const struct tenant *tenant;
	char *text; /* the agent's id */
};

struct agent_call *agent_call_new(struct agents *);
void agent_call_free(struct agent_call *);
const struct learnt_agent *
agents_learnt(const struct agents *, const char *tenant, const char *id); /* or NULL */
/* After a change of ours: known here at once, without a load. agent: its object. */
void
agents_note(struct agents *, const char *tenant, const char *id, const json_t *agent);

#endif
