/* agent.c - the directory in memory: which agent has an endpoint.
 *
 * Asked for every leg of every call, so it never waits for the database: it answers from
 * the rows last loaded. Whether they have changed is looked at every POLL_MS by one row
 * (agent_version), which finds what another instance changed; changes made here are noted
 * at once (agents_note).
 *
 * An agent that only a channel's pattern knows is learnt: bound to the channel it was
 * first seen on, for as long as the daemon runs. Two phone systems that both have a phone
 * 1001 thus never share an agent by accident. Next: agent_store.c. */
#include <desk/agent_priv.h>

#include <mem.h>
#include <str.h>

#include <stdio.h>
#include <string.h>

#define POLL_MS	    4000
#define LOAD_MS	    5000
#define LEARNT_MAX  20000
#define KEY_MAX	    512
#define CHANNEL_MAX 128

struct agent_waiter {
	struct list link;
	void (*done)(void *arg, bool ok);
	void *arg;
};

static void on_poll(void *arg);

static const char *
make_key(char key[KEY_MAX], const char *tenant, const char *a, const char *b)
{
	snprintf(key, KEY_MAX, "%s\n%s%s%s", tenant, a, b ? ":" : "", b ? b : "");
	return key;
}

/* ---- The directory ---- */

static void
free_row(struct agent_row *row)
{
	for (size_t i = 0; i < row->n_interfaces; i++)
		xfree(&row->interfaces[i]);
	xfree(&row->interfaces);
	sight_unref(&row->sight);
	xfree(&row->tenant);
	xfree(&row->id);
	mem_free(row);
}

static void
free_row_entry(const char *key, void *row, void *arg)
{
	(void)key, (void)arg;
	free_row(row);
}

static void
directory_init(struct directory *d)
{
	map_init(&d->rows);
	map_init(&d->interfaces);
}

static void
directory_fini(struct directory *d)
{
	map_each(&d->rows, free_row_entry, NULL);
	map_fini(&d->rows);
	map_fini(&d->interfaces);
}

static void
directory_remove(struct directory *d, const char *tenant, const char *id)
{
	char key[KEY_MAX];
	struct agent_row *row = map_remove(&d->rows, make_key(key, tenant, id, NULL));
	if (!row)
		return;
	for (size_t i = 0; i < row->n_interfaces; i++) {
		make_key(key, tenant, row->interfaces[i], NULL);
		if (map_find(&d->interfaces, key) == row)
			map_remove(&d->interfaces, key);
	}
	free_row(row);
}

/* Takes sight. */
static void
directory_put(struct directory *d, const char *tenant, const char *id,
	const json_t *interfaces, const struct sight *sight)
{
	char key[KEY_MAX];
	directory_remove(d, tenant, id);
	struct agent_row *row = xcalloc(1, sizeof(*row));
	row->tenant = xstrdup(tenant);
	row->id = xstrdup(id);
	row->sight = sight;
	row->interfaces =
		xcalloc(json_array_size(interfaces) + 1, sizeof(*row->interfaces));
	for (size_t i = 0; i < json_array_size(interfaces); i++) {
		const char *s = json_string_value(json_array_get(interfaces, i));
		if (!s)
			continue;
		row->interfaces[row->n_interfaces++] = xstrdup(s);
		make_key(key, tenant, s, NULL);
		/* The first agent keeps one that two have. */
		if (!map_find(&d->interfaces, key))
			map_put(&d->interfaces, key, row);
	}
	map_put(&d->rows, make_key(key, tenant, id, NULL), row);
}

static void
tell_sight(const struct agents *as, const char *tenant, const char *id)
{
	if (as->sight_changed)
		as->sight_changed(as->sight_arg, tenant, id);
}

void
agents_note(struct agents *as, const char *tenant, const char *id, const json_t *agent)
{
	const struct sight *sight = sight_new(json_object_get(agent, "contact_roles"),
		json_object_get(agent, "attributes"));
	bool same = sight_eq(sight, agents_sight(as, tenant, id));

	directory_put(
		&as->dir, tenant, id, json_object_get(agent, "interfaces"), sight);
	as->generation++;
	as->load_again = as->loading; /* what is being loaded may be older */
	if (!same)
		tell_sight(as, tenant, id);
}

/* ---- Loading ---- */

struct agent_call *
agent_call_new(struct agents *as)
{
	struct agent_call *c = xcalloc(1, sizeof(*c));
	c->agents = as;
	list_append(&as->calls, &c->link);
	return c;
}

void
agent_call_free(struct agent_call *c)
{
	if (c->agents)
		list_remove(&c->link);
	xfree(&c->text);
	mem_free(c);
}

struct tenant_names {
	int64_t id;
	const char *name;
};

static void
match_tenant(const char *name, void *value, void *arg)
{
	const struct tenant *t = value;
	struct tenant_names *n = arg;
	if (t->id == n->id)
		n->name = name;
}

static void
take_rows(struct agents *as, const struct pg_answer *a)
{
	struct tenant_names tenant = {0, NULL};
	directory_fini(&as->dir);
	directory_init(&as->dir);
	as->generation++;
	for (size_t i = 0; i < pg_rows(a, 1); i++) {
		if (!i || tenant.id != pg_int(a, 1, i, 0)) {
			tenant = (struct tenant_names){pg_int(a, 1, i, 0), NULL};
			map_each(&as->store->tenants, match_tenant, &tenant);
		}
		if (!tenant.name)
			continue; /* of a tenant that is not configured */
		json_t *interfaces = json_loads(pg_text(a, 1, i, 2), 0, NULL);
		directory_put(&as->dir, tenant.name, pg_text(a, 1, i, 1), interfaces,
			sight_parse(pg_text(a, 1, i, 3), pg_text(a, 1, i, 4)));
		json_decref(interfaces);
	}
	as->loaded = true;
	tell_sight(as, NULL, NULL);
}

static void
tell_waiters(struct list *waiting, bool ok)
{
	while (!list_is_empty(waiting)) {
		struct agent_waiter *w =
			LIST_ENTRY(waiting->next, struct agent_waiter, link);
		list_remove(&w->link);
		w->done(w->arg, ok);
		mem_free(w);
	}
}

static void start_load(struct agents *as);

static void
on_loaded(void *arg, const struct pg_answer *a)
{
	struct agent_call *c = arg;
	struct agents *as = c->agents;
	bool ok = a->status == PG_OK;
	agent_call_free(c);
	if (!as)
		return;
	as->loading = false;
	loop_timer_start(as->poll, POLL_MS);
	if (ok && as->load_again) {
		start_load(as);
		return;
	}
	if (ok) {
		take_rows(as, a);
		xfree(&as->version);
		as->version = xstrdup(pg_text(a, 0, 0, 0));
	}
	/* A waiter may free the agents. */
	struct list told;
	list_init(&told);
	while (!list_is_empty(&as->waiting)) {
		struct list *first = as->waiting.next;
		list_remove(first);
		list_append(&told, first);
	}
	tell_waiters(&told, ok);
}

static void
start_load(struct agents *as)
{
	struct pg_unit *u = pg_unit_new(as->store->reads);
	as->loading = true;
	as->load_again = false;
	/* In this order: a change in between is loaded, and seen again at the next poll. */
	pg_add(u, "agent_version");
	pg_add(u, "agent_load");
	pg_submit(&u, LOAD_MS, on_loaded, agent_call_new(as));
}

void
agents_load(struct agents *as, void (*done)(void *arg, bool ok), void *arg)
{
	if (done) {
		struct agent_waiter *w = xcalloc(1, sizeof(*w));
		w->done = done;
		w->arg = arg;
		list_append(&as->waiting, &w->link);
	}
	if (as->loading)
		as->load_again = true;
	else
		start_load(as);
}

static void
on_version(void *arg, const struct pg_answer *a)
{
	struct agent_call *c = arg;
	struct agents *as = c->agents;
	agent_call_free(c);
	if (!as)
		return;
	loop_timer_start(as->poll, POLL_MS);
	if (a->status == PG_OK && !str_eq(pg_text(a, 0, 0, 0), as->version))
		agents_load(as, NULL, NULL);
}

static void
on_poll(void *arg)
{
	struct agents *as = arg;
	if (as->loading)
		return;
	struct pg_unit *u = pg_unit_new(as->store->reads);
	pg_add(u, "agent_version");
	pg_submit(&u, LOAD_MS, on_version, agent_call_new(as));
}

/* ---- Beginning and end ---- */

struct agents *
agents_new(struct store *store)
{
	struct agents *as = xcalloc(1, sizeof(*as));
	as->store = store;
	directory_init(&as->dir);
	map_init(&as->learnt);
	map_init(&as->channels);
	map_init(&as->refused);
	list_init(&as->calls);
	list_init(&as->waiting);
	as->poll = loop_timer_new(store->loop, on_poll, as);
	return as;
}

static void
free_learnt(const char *key, void *value, void *arg)
{
	struct learnt_agent *l = value;
	(void)key, (void)arg;
	xfree(&l->id);
	xfree(&l->channel);
	xfree(&l->endpoint);
	mem_free(l);
}

static void
free_name(const char *key, void *value, void *arg)
{
	(void)key, (void)arg;
	mem_free(value);
}

void
agents_free(struct agents **asp)
{
	struct agents *as = *asp;
	if (!as)
		return;
	*asp = NULL;
	while (!list_is_empty(&as->calls)) {
		struct agent_call *c =
			LIST_ENTRY(as->calls.next, struct agent_call, link);
		list_remove(&c->link);
		c->agents = NULL;
	}
	loop_timer_free(&as->poll);
	tell_waiters(&as->waiting, false);
	directory_fini(&as->dir);
	map_each(&as->learnt, free_learnt, NULL);
	map_fini(&as->learnt);
	map_each(&as->channels, free_name, NULL);
	map_fini(&as->channels);
	map_fini(&as->refused);
	xfree(&as->version);
	mem_free(as);
}

/* ---- Looking up ---- */

const struct learnt_agent *
agents_learnt(const struct agents *as, const char *tenant, const char *id)
{
	char key[KEY_MAX];
	return map_find(&as->learnt, make_key(key, tenant, id, NULL));
}

bool
agents_exists(const struct agents *as, const char *tenant, const char *id)
{
	char key[KEY_MAX];
	return map_find(&as->dir.rows, make_key(key, tenant, id, NULL)) ||
	       agents_learnt(as, tenant, id);
}

const struct sight *
agents_sight(const struct agents *as, const char *tenant, const char *id)
{
	char key[KEY_MAX];
	const struct agent_row *row =
		map_find(&as->dir.rows, make_key(key, tenant, id, NULL));
	if (row)
		return row->sight;
	return as->loaded ? NULL : sight_of_nobody();
}

void
agents_on_sight(struct agents *as, agent_sight_fn *fn, void *arg)
{
	as->sight_changed = fn;
	as->sight_arg = arg;
}

unsigned long
agents_generation(const struct agents *as)
{
	return as->generation;
}

void
agents_set_members(struct agents *as, agent_members_fn *fn, void *arg)
{
	as->members = fn;
	as->members_arg = arg;
}

struct each {
	const struct agents *agents;
	agents_fn *fn;
	void *arg;
};

static void
each_row(const char *key, void *value, void *arg)
{
	const struct agent_row *row = value;
	const struct each *e = arg;
	(void)key;
	e->fn(e->arg, row->tenant, row->id);
}

static void
each_learnt(const char *key, void *value, void *arg)
{
	const struct learnt_agent *l = value;
	const struct each *e = arg;
	char tenant[TENANT_NAME_MAX + 1];
	if (map_find(&e->agents->dir.rows, key))
		return;
	snprintf(tenant, sizeof(tenant), "%.*s", (int)strcspn(key, "\n"), key);
	e->fn(e->arg, tenant, l->id);
}

void
agents_each(struct agents *as, agents_fn *fn, void *arg)
{
	struct each e = {as, fn, arg};
	map_each(&as->dir.rows, each_row, &e);
	map_each(&as->learnt, each_learnt, &e);
}

/* True the first time for (channel, id); bounded like what is learnt. */
static bool
refuse_once(struct agents *as, const char *channel, const char *id)
{
	char key[KEY_MAX];
	make_key(key, channel, id, NULL);
	if (map_find(&as->refused, key) || as->refused.len >= LEARNT_MAX)
		return false;
	map_put(&as->refused, key, as);
	return true;
}

/* The channel that a row's interfaces name, other than this one; NULL if they name this
 * one, or none. */
static const char *
bound_elsewhere(
	const struct agents *as, const struct agent_row *row, const char *channel)
{
	const char *other = NULL;
	for (size_t i = 0; i < row->n_interfaces; i++) {
		char name[128];
		const char *s = row->interfaces[i];
		size_t n = strcspn(s, ":");
		if (!s[n] || n >= sizeof(name))
			continue;
		memcpy(name, s, n);
		name[n] = '\0';
		if (str_eq(name, channel))
			return NULL;
		const char *known = map_find(&as->channels, name);
		other = known ? known : other;
	}
	return other;
}

/* An id that only a pattern knows: bound to the channel that sees it first. */
static const char *
learn(struct agents *as, const char *tenant, const char *channel, const char *endpoint,
	const char *id)
{
	char key[KEY_MAX];
	const struct agent_row *row =
		map_find(&as->dir.rows, make_key(key, tenant, id, NULL));
	struct learnt_agent *l = map_find(&as->learnt, key);
	const char *other = row ? bound_elsewhere(as, row, channel) : NULL;

	if (!other && l && !str_eq(l->channel, channel))
		other = l->channel;
	if (other) {
		if (refuse_once(as, channel, id))
			log_warnx(channel,
				"agent %s is already bound to channel %s: not taken from "
				"here (agent_prefix, or the agent's interfaces, tell them "
				"apart)",
				id, other);
		return NULL;
	}
	if (!l && as->learnt.len >= LEARNT_MAX)
		return NULL;
	if (!l) {
		l = xcalloc(1, sizeof(*l));
		l->id = xstrdup(id);
		l->channel = xstrdup(channel);
		map_put(&as->learnt, key, l);
	}
	if (!str_empty(endpoint) && !str_eq(l->endpoint, endpoint)) {
		xfree(&l->endpoint);
		l->endpoint = xstrdup(endpoint);
	}
	return l->id;
}

const char *
agents_of_endpoint(struct agents *as, const char *tenant, const char *channel,
	const char *endpoint, const char *pattern_agent)
{
	char key[KEY_MAX];
	if (!map_find(&as->channels, channel))
		map_put(&as->channels, channel, xstrdup(channel));
	if (!str_empty(endpoint)) {
		const struct agent_row *row = map_find(
			&as->dir.interfaces, make_key(key, tenant, channel, endpoint));
		if (!row)
			row = map_find(&as->dir.interfaces,
				make_key(key, tenant, endpoint, NULL));
		if (row)
			return row->id;
	}
	if (str_empty(pattern_agent))
		return NULL;
	if (!str_is_id(pattern_agent)) {
		if (refuse_once(as, channel, pattern_agent))
			log_warnx(channel,
				"the `agents` pattern gives \"%s\", which is no agent id "
				"([A-Za-z0-9._-]{1,64})",
				pattern_agent);
		return NULL;
	}
	return learn(as, tenant, channel, endpoint, pattern_agent);
}

/* ---- An agent's phones ---- */

/* "pbx-main:PJSIP/1001" names its channel; a colon after a slash is the phone's. */
static const char *
split_interface(const char *s, char channel[CHANNEL_MAX])
{
	size_t n = strcspn(s, ":/");
	channel[0] = '\0';
	if (s[n] != ':' || n >= CHANNEL_MAX)
		return s;
	memcpy(channel, s, n);
	channel[n] = '\0';
	return s + n + 1;
}

void
agents_phones(const struct agents *as, const char *tenant, const char *id,
	agent_phone_fn *fn, void *arg)
{
	char key[KEY_MAX], channel[CHANNEL_MAX];
	const struct agent_row *row =
		map_find(&as->dir.rows, make_key(key, tenant, id, NULL));
	const struct learnt_agent *l = agents_learnt(as, tenant, id);
	for (size_t i = 0; row && i < row->n_interfaces; i++) {
		const char *endpoint = split_interface(row->interfaces[i], channel);
		fn(arg, channel[0] ? channel : NULL, endpoint, false);
	}
	if (l && l->endpoint)
		fn(arg, l->channel, l->endpoint, true);
}
