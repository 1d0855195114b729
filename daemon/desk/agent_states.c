/* agent_states.c - the agents' records: what changes them, their timers, their JSON.
 *
 * Whatever is said ends in agent_record_changed, which compares the state that follows
 * with the one told last: it is published if it differs, written if it is of what is
 * kept, and passed on to the phone systems. What comes of calls is shown beside the
 * state (on_call) and is not published: the interactions' own events tell it.
 *
 * A wrap-up's end is a timer on the monotonic clock: a jump of the wall clock neither
 * prolongs it nor cuts it short. Next: agent_phones.c. */
#include <desk/agent_states.h>
#include <desk/agent_states_priv.h>

#include <clock.h>
#include <mem.h>
#include <str.h>

#include <stdio.h>
#include <string.h>

#define RECORDS_MAX	  100000
#define WRAPUP_DEFAULT_MS 60000
#define KEY_MAX		  160

/* ---- Records ---- */

static const char *
make_key(char key[KEY_MAX], const char *tenant, const char *id)
{
	snprintf(key, KEY_MAX, "%s\n%s", tenant, id);
	return key;
}

struct agent_record *
agent_record_find(const struct agent_states *as, const char *tenant, const char *id)
{
	char key[KEY_MAX];

	return map_find(&as->by_id, make_key(key, tenant, id));
}

struct agent_record *
agent_record_get(struct agent_states *as, const char *tenant, const char *id)
{
	char key[KEY_MAX];
	struct agent_record *r = agent_record_find(as, tenant, id);
	const struct tenant *t = store_tenant(as->opts.store, tenant);

	if (r || !t || as->by_id.len >= RECORDS_MAX)
		return r;
	r = xcalloc(1, sizeof(*r));
	r->tenant = t;
	r->id = xstrdup(id);
	list_init(&r->phones);
	list_append(&as->records, &r->link);
	map_put(&as->by_id, make_key(key, tenant, id), r);
	return r;
}

static void
record_free(struct agent_record *r)
{
	list_remove(&r->link);
	list_remove(&r->dirty);
	list_remove(&r->wrapping);
	mem_free(r->id);
	mem_free(r);
}

bool
agent_states_knows(
	const struct agent_states *as, const struct tenant *t, const char *id)
{
	return agent_record_find(as, t->name, id) != NULL;
}

/* ---- JSON ---- */

static void
put_or_null(struct json_out *j, const char *key, const char *text)
{
	json_put_string(j, key, str_empty(text) ? NULL : text);
}

static void
put_state(const struct agent_record *r, struct json_out *j)
{
	struct agent_state s;
	const char *why;

	agent_state_of(&r->facts, clock_wall_us(), &s);
	json_put_string(j, "state", agent_mode_text(s.mode));
	put_or_null(j, "reason", s.reason);
	json_put_time(j, "since", s.since_us);
	json_put_time(j, "until", s.until_us);
	json_put_string(j, "source", agent_source_text(s.source));
	put_or_null(j, "by", s.by);
	json_put_bool(j, "on_call", r->calls > 0);
	json_put_int(j, "calls", r->calls);
	json_put_string(j, "phone", agent_orders_text(r, &why));
	json_put_string(j, "phone_why", why);
}

/* What is known of an agent, or `nobody`, made here, of whom nothing is. */
static const struct agent_record *
record_or(const struct agent_states *as, const struct tenant *t, const char *id,
	struct agent_record *nobody)
{
	const struct agent_record *r = agent_record_find(as, t->name, id);

	memset(nobody, 0, sizeof(*nobody));
	list_init(&nobody->phones);
	return r ? r : nobody;
}

void
agent_states_put(struct agent_states *as, const struct tenant *t, const char *id,
	struct json_out *j)
{
	struct agent_record nobody;

	agent_phones_refresh(as);
	put_state(record_or(as, t, id, &nobody), j);
}

static void
put_members(void *arg, const struct tenant *t, const char *id, struct json_out *j)
{
	struct agent_record nobody;

	json_put_object(j, "state");
	agent_states_put(arg, t, id, j);
	json_put_object_end(j);
	agent_phones_put(record_or(arg, t, id, &nobody), j);
}

/* ---- Changes ---- */

static void
put_change(struct json_out *j, const char *name, const char *from, const char *to)
{
	if (str_eq(from, to))
		return;
	json_put_object(j, name);
	put_or_null(j, "from", from);
	put_or_null(j, "to", to);
	json_put_object_end(j);
}

static void
publish(struct agent_states *as, const struct agent_record *r,
	const struct agent_state *s)
{
	struct buf object = BUF_INIT, changes = BUF_INIT;
	struct json_out j;

	json_out_init(&j, &object);
	json_put_object(&j, NULL);
	json_put_string(&j, "id", r->id);
	json_put_object(&j, "state");
	put_state(r, &j);
	json_put_object_end(&j);
	json_put_object_end(&j);
	json_out_init(&j, &changes);
	json_put_object(&j, NULL);
	put_change(
		&j, "state", agent_mode_text(r->told_mode), agent_mode_text(s->mode));
	put_change(&j, "reason", r->told_reason, s->reason);
	json_put_object_end(&j);
	events_publish(as->opts.events, r->tenant, "agent.state_changed",
		buf_str(&object), buf_str(&changes));
	buf_fini(&object);
	buf_fini(&changes);
}

static void
tell(struct agent_states *as, struct agent_record *r)
{
	struct agent_state s;

	agent_state_of(&r->facts, clock_wall_us(), &s);
	if (s.mode == r->told_mode && s.until_us == r->told_until_us &&
		str_eq(s.reason, r->told_reason))
		return;
	log_debug("agents", "%s/%s: %s -> %s (%s)", r->tenant->name, r->id,
		agent_mode_text(r->told_mode), agent_mode_text(s.mode),
		agent_source_text(s.source));
	if (as->loaded)
		publish(as, r, &s);
	if (r->told_mode == AGENT_WRAPUP && as->opts.wrapup_ended &&
		!agent_is_wrapping_up(&r->facts, clock_wall_us()))
		as->opts.wrapup_ended(as->opts.arg, r->tenant, r->id);
	r->told_mode = s.mode;
	r->told_until_us = s.until_us;
	str_copy(r->told_reason, sizeof(r->told_reason), s.reason);
}

void
agent_record_changed(struct agent_states *as, struct agent_record *r, bool kept)
{
	if (kept && !r->dirty.next)
		list_append(&as->dirty, &r->dirty);
	if (kept && as->loaded && !as->saving)
		loop_timer_start(as->save, 0);
	agent_record_arm(as, r);
	tell(as, r);
	agent_orders_pump(as, r);
}

/* ---- Wrap-up ---- */

static void
arm_timer(struct agent_states *as)
{
	int64_t due = INT64_MAX, now = clock_mono_us();

	list_for_each (&as->wrapping, it) {
		const struct agent_record *r =
			LIST_ENTRY(it, struct agent_record, wrapping);
		due = r->wrapup_due_us < due ? r->wrapup_due_us : due;
	}
	if (due == INT64_MAX)
		loop_timer_stop(as->wrapup);
	else
		loop_timer_start(as->wrapup, due > now ? (due - now) / 1000 + 1 : 0);
}

void
agent_record_arm(struct agent_states *as, struct agent_record *r)
{
	int64_t now = clock_wall_us();
	bool runs = agent_is_wrapping_up(&r->facts, now);

	if (!runs && !r->wrapping.next)
		return;
	list_remove(&r->wrapping);
	if (runs) {
		list_append(&as->wrapping, &r->wrapping);
		r->wrapup_due_us = clock_mono_us() + r->facts.wrapup.until_us - now;
	}
	arm_timer(as);
}

static void
on_wrapup_timer(void *arg)
{
	struct agent_states *as = arg;
	int64_t now = clock_mono_us();
	struct list ended;

	list_init(&ended);
	list_for_each_safe (&as->wrapping, it) {
		struct agent_record *r = LIST_ENTRY(it, struct agent_record, wrapping);
		if (r->wrapup_due_us > now)
			continue;
		list_remove(&r->wrapping);
		list_append(&ended, &r->wrapping);
	}
	arm_timer(as);
	while (!list_is_empty(&ended)) {
		struct agent_record *r =
			LIST_ENTRY(ended.next, struct agent_record, wrapping);
		list_remove(&r->wrapping);
		r->facts.wrapup.over = true;
		agent_record_changed(as, r, false);
	}
}

static bool
begin_wrapup(struct agent_record *r, int64_t at_us, int64_t until_us,
	enum agent_source source, const char *by)
{
	struct agent_wrapup w = {
		.at_us = at_us, .until_us = until_us, .source = source};

	str_copy(w.by, sizeof(w.by), by);
	return agent_facts_wrapup(&r->facts, &w);
}

/* ---- The API ---- */

void
agent_states_set(struct agent_states *as, const struct tenant *t, const char *id,
	const struct agent_wish *wish)
{
	struct agent_record *r = agent_record_get(as, t->name, id);
	int64_t now = clock_wall_us();
	struct agent_choice c = {.at_us = now, .source = AGENT_BY_API};

	if (!r)
		return;
	agent_phones_refresh(as);
	/* Nothing that was said before is later, whatever clock it was said by. */
	if (c.at_us <= r->facts.choice.at_us)
		c.at_us = r->facts.choice.at_us + 1;
	c.mode = wish->mode == AGENT_WRAPUP ? AGENT_AVAILABLE : wish->mode;
	str_copy(c.reason, sizeof(c.reason), wish->reason ? wish->reason : "");
	str_copy(c.by, sizeof(c.by), wish->by);
	agent_facts_choose(&r->facts, &c);
	if (wish->mode == AGENT_WRAPUP) {
		unsigned ms =
			as->opts.wrapup_ms ? as->opts.wrapup_ms : WRAPUP_DEFAULT_MS;
		begin_wrapup(r, c.at_us,
			wish->until_us ? wish->until_us : now + ms * INT64_C(1000),
			AGENT_BY_API, wish->by);
	}
	agent_record_changed(as, r, true);
}

void
agent_states_session(
	struct agent_states *as, const struct tenant *t, const char *id, int change)
{
	struct agent_record *r = agent_record_get(as, t->name, id);
	int64_t now = clock_wall_us();

	if (!r || (change < 0 && !r->sessions))
		return;
	r->sessions += change < 0 ? -1u : 1u;
	if (r->sessions)
		agent_facts_see(&r->facts, now);
	agent_phones_reach(r, now);
	agent_record_changed(as, r, false);
}

struct count {
	const struct agent_states *states;
	unsigned long *counts;
	int64_t now_us;
};

static void
count_agent(void *arg, const char *tenant, const char *id)
{
	const struct count *c = arg;
	const struct agent_record *r = agent_record_find(c->states, tenant, id);
	const struct agent_facts none = {.seen_us = 0};
	struct agent_state s;

	agent_state_of(r ? &r->facts : &none, c->now_us, &s);
	c->counts[s.mode]++;
}

void
agent_states_count(struct agent_states *as, unsigned long counts_r[AGENT_MODE_COUNT])
{
	struct count c = {as, counts_r, clock_wall_us()};

	memset(counts_r, 0, AGENT_MODE_COUNT * sizeof(*counts_r));
	agents_each(as->opts.agents, count_agent, &c);
}

/* ---- Calls ---- */

void
agent_states_on_call(struct agent_states *as, const struct tenant *t, const char *agent,
	const struct uuid *leg)
{
	char text[UUID_TEXT_LEN];
	struct agent_record *r = agent_record_get(as, t->name, agent);
	struct agent_record *was;

	if (!r)
		return;
	was = map_put(&as->legs, uuid_format(text, leg), r);
	if (was == r)
		return;
	if (was)
		was->calls--;
	r->calls++;
	if (agent_facts_see(&r->facts, clock_wall_us()))
		agent_record_changed(as, r, false);
}

/* The phone system's clock may be ahead of ours. */
void
agent_states_call_over(struct agent_states *as, const struct uuid *leg, int64_t at_us)
{
	char text[UUID_TEXT_LEN];
	struct agent_record *r = map_remove(&as->legs, uuid_format(text, leg));
	int64_t now = clock_wall_us();

	if (!r)
		return;
	r->calls--;
	at_us = at_us && at_us < now ? at_us : now;
	if (as->opts.wrapup_ms &&
		begin_wrapup(r, at_us, at_us + as->opts.wrapup_ms * INT64_C(1000),
			AGENT_BY_CALL, ""))
		agent_record_changed(as, r, true);
}

/* ---- Beginning and end ---- */

struct agent_states *
agent_states_new(const struct agent_states_opts *opts)
{
	struct agent_states *as = xcalloc(1, sizeof(*as));

	as->opts = *opts;
	map_init(&as->by_id);
	map_init(&as->legs);
	list_init(&as->records);
	list_init(&as->dirty);
	list_init(&as->wrapping);
	list_init(&as->sources);
	list_init(&as->orders);
	list_init(&as->savings);
	as->wrapup = loop_timer_new(opts->store->loop, on_wrapup_timer, as);
	as->save = loop_timer_new(opts->store->loop, agent_states_save, as);
	as->load = loop_timer_new(opts->store->loop, agent_states_begin_load, as);
	agents_set_members(opts->agents, put_members, as);
	return as;
}

void
agent_states_free(struct agent_states **asp)
{
	struct agent_states *as = *asp;

	if (!as)
		return;
	*asp = NULL;
	agents_set_members(as->opts.agents, NULL, NULL);
	agent_orders_forget(as);
	agent_states_store_free(as);
	agent_sources_free(as);
	while (!list_is_empty(&as->records))
		record_free(LIST_ENTRY(as->records.next, struct agent_record, link));
	map_fini(&as->by_id);
	map_fini(&as->legs);
	loop_timer_free(&as->wrapup);
	loop_timer_free(&as->save);
	loop_timer_free(&as->load);
	mem_free(as);
}
