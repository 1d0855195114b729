/* pop_adopt.c - after a restart: what Redis holds as open, compared with what lives;
 * and the pops open now, for GET /v1/agents/{id}/pops.
 *
 * The replay has put the calls that live into memory, silently. For each tenant, each
 * list in Redis' open-index is read:
 *
 *	in Redis and in memory    goes on; updated if it says something else by now
 *	in Redis alone            closed: as the replay saw it end, else as interrupted
 *	in memory alone           stays silent until something happens to it, for a
 *	                          replay never opens a pop; unless Redis has no epoch,
 *	                          so has lost everything: then it is opened again
 *
 * One command at a time; the step that an outage hits is repeated when Redis is back.
 * Closing goes through the script and its memory of closed pops, so two daemons that
 * compare at once close each pop once. */
#include <desk/pop_priv.h>

#include <clock.h>
#include <json.h>
#include <mem.h>
#include <str.h>

#include <jansson.h>

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct leftover {
	struct list link;
	struct pop_list *list;
	char *pop;
	struct buf tail;
	int64_t at_us;
};

struct adopt {
	struct list tenants;   /* struct adopt_tenant, still to be looked at */
	struct list lists;     /* struct adopt_list, to be read */
	struct list leftovers; /* to be closed */
	bool running;	       /* a command is under way */
	void (*done)(void *arg);
	void *arg;
};

enum adopt_step { ADOPT_EPOCH, ADOPT_INDEX };

struct adopt_tenant {
	struct list link;
	struct pop_tenant *tenant;
	enum adopt_step step;
};

struct adopt_list {
	struct list link;
	struct pop_list *list;
};

static void go_on(struct pops *ps);

/* ---- Memory against Redis ---- */

/* Keeps the time and wait that screens already have, so that nothing is told again only
 * because the daemon restarted. */
static void
take_stored(struct pop *p, const struct pop_head *h, const char *json)
{
	json_t *o = json_loads(json, 0, NULL);
	const char *state = json_string_value(json_object_get(o, "state"));
	const char *at = json_string_value(json_object_get(o, "at"));
	int64_t at_us;
	if (str_eq(state, p->state) && at && clock_parse(at, &at_us)) {
		p->at_us = at_us;
		p->waited_ms = json_integer_value(json_object_get(o, "waited_ms"));
	}
	json_decref(o);
	p->counted = true;
	if (!p->quiet)
		return; /* something has happened to it meanwhile */
	p->quiet = false;
	p->needs_card = true;
	p->issued = POP_ISSUED;
	str_copy(p->epoch, sizeof(p->epoch), h->epoch);
	subject_fetch(p->subject);
	pop_touch(p, 0);
}

static void
add_leftover(struct pop_list *l, struct adopt *a, const char *id, const char *json)
{
	struct pops *ps = l->tenant->pops;
	const struct replayed_end *end = map_find(&ps->replayed, id);
	struct leftover *left = xcalloc(1, sizeof(*left));
	left->list = l;
	left->pop = xstrdup(id);
	left->at_us = end ? end->at_us : clock_wall_us();
	if (!pop_json_close_tail(&left->tail, json, end ? end->reason : "interrupted",
		    left->at_us)) {
		struct json_out j;
		buf_addc(&left->tail, ',');
		json_out_init(&j, &left->tail);
		json_put_string(&j, "pop", id);
		json_put_string(&j, "state", "ended");
		json_put_string(&j, "reason", "interrupted");
		buf_addc(&left->tail, '}');
	}
	list_append(&a->leftovers, &left->link);
}

static void
compare(struct pop_list *l, const char *id, const char *json, size_t len)
{
	struct pops *ps = l->tenant->pops;
	struct pop *p = map_find(&ps->by_id, id);
	struct pop_head h;
	if (!p)
		add_leftover(l, ps->adopt, id, json);
	else if (pop_is_live(p) && pop_json_head(json, len, &h))
		take_stored(p, &h, json);
}

/* All lists of a tenant have been read: what is still silent, Redis does not have. */
static void
settle(struct pop_tenant *t, bool lost)
{
	list_for_each (&t->pops->subjects, it) {
		struct subject *s = LIST_ENTRY(it, struct subject, link);
		if (s->tenant != t)
			continue;
		list_for_each (&s->shown_pops, at) {
			struct pop *p = LIST_ENTRY(at, struct pop, link);
			if (!p->quiet || p->issued != POP_UNSURE)
				continue;
			p->issued = POP_NOT_ISSUED;
			p->quiet = !lost;
			pop_issue(p);
		}
	}
}

/* ---- Steps ---- */

static void
free_leftover(struct leftover *left)
{
	list_remove(&left->link);
	buf_fini(&left->tail);
	xfree(&left->pop);
	mem_free(left);
}

void
pops_adopt_free(struct pops *ps)
{
	struct adopt *a = ps->adopt;
	if (!a)
		return;
	ps->adopt = NULL;
	list_for_each_safe (&a->tenants, t)
		mem_free(LIST_ENTRY(t, struct adopt_tenant, link));
	list_for_each_safe (&a->lists, l)
		mem_free(LIST_ENTRY(l, struct adopt_list, link));
	list_for_each_safe (&a->leftovers, it)
		free_leftover(LIST_ENTRY(it, struct leftover, link));
	mem_free(a);
}

/* True if the answer can be used; else the step is done again on the next tick. */
static bool
answered(struct pop_call *c, const struct redis_reply *r)
{
	c->pops->adopt->running = false;
	if (redis_type(r) != REDIS_FAILED)
		return true;
	pops_hold(c->pops);
	return false;
}

static void
next_tenant(struct pops *ps)
{
	struct adopt_tenant *t =
		LIST_ENTRY(ps->adopt->tenants.next, struct adopt_tenant, link);
	list_remove(&t->link);
	mem_free(t);
}

static void
on_tenant(struct pop_call *c, const struct redis_reply *r)
{
	struct pops *ps = c->pops;
	struct adopt *a = ps->adopt;
	struct adopt_tenant *at =
		LIST_ENTRY(a->tenants.next, struct adopt_tenant, link);
	if (!answered(c, r))
		return;
	if (at->step == ADOPT_EPOCH) {
		at->step = ADOPT_INDEX;
		if (redis_type(r) == REDIS_NIL) {
			settle(at->tenant, true);
			next_tenant(ps);
		} else {
			pop_tenant_learn(at->tenant, redis_str(r, NULL));
		}
		go_on(ps);
		return;
	}
	for (size_t i = 0; i < redis_len(r); i++) {
		struct pop_list *l =
			pop_list_of_member(at->tenant, redis_str(redis_at(r, i), NULL));
		if (!l)
			continue;
		struct adopt_list *al = xcalloc(1, sizeof(*al));
		al->list = l;
		list_append(&a->lists, &al->link);
	}
	if (list_is_empty(&a->lists)) {
		settle(at->tenant, false);
		next_tenant(ps);
	}
	go_on(ps);
}

static void
on_list(struct pop_call *c, const struct redis_reply *r)
{
	struct adopt *a = c->pops->adopt;
	if (!answered(c, r))
		return;
	struct adopt_list *al = LIST_ENTRY(a->lists.next, struct adopt_list, link);
	for (size_t i = 0; i + 1 < redis_len(r); i += 2) {
		size_t len;
		const char *json = redis_str(redis_at(r, i + 1), &len);
		compare(al->list, redis_str(redis_at(r, i), NULL), json, len);
	}
	list_remove(&al->link);
	mem_free(al);
	if (list_is_empty(&a->lists)) {
		settle(c->tenant, false);
		next_tenant(c->pops);
	}
	go_on(c->pops);
}

static void
on_leftover(struct pop_call *c, const struct redis_reply *r)
{
	struct adopt *a = c->pops->adopt;
	if (!answered(c, r))
		return;
	struct leftover *left = LIST_ENTRY(a->leftovers.next, struct leftover, link);
	if (redis_int(redis_at(r, 2)) == 3)
		c->pops->stats.closed++;
	free_leftover(left);
	go_on(c->pops);
}

static void
ask(struct pops *ps, struct pop_tenant *t, const char *verb, const char *key,
	void (*on_reply)(struct pop_call *, const struct redis_reply *))
{
	struct pop_call *c = pop_call_new(ps, on_reply);
	const char *argv[] = {verb, key};
	const size_t lens[] = {strlen(verb), strlen(key)};
	c->tenant = t;
	redis_command(ps->redis, 2, argv, lens, pop_call_done, c);
}

static void
ask_tenant(struct pops *ps, const struct adopt_tenant *at)
{
	const bool epoch = at->step == ADOPT_EPOCH;
	char *key = pop_key(at->tenant->tenant, epoch ? "epoch" : "open-index", NULL);
	ask(ps, at->tenant, epoch ? "GET" : "SMEMBERS", key, on_tenant);
	xfree(&key);
}

static void
close_leftover(const struct leftover *left)
{
	const struct pop_script_args args = {
		.op = "close",
		.pop = left->pop,
		.at_us = left->at_us,
		.tail = left->tail.data,
		.tail_len = left->tail.len,
	};
	pop_list_run(
		left->list, &args, pop_call_new(left->list->tenant->pops, on_leftover));
}

static void
forget_replayed(const char *id, void *value, void *arg)
{
	struct pops *ps = arg;
	map_remove(&ps->replayed, id);
	mem_free(value);
}

static void
finish(struct pops *ps)
{
	void (*done)(void *) = ps->adopt->done;
	void *arg = ps->adopt->arg;
	map_each(&ps->replayed, forget_replayed, ps);
	pops_adopt_free(ps);
	if (done)
		done(arg);
}

static void
go_on(struct pops *ps)
{
	struct adopt *a = ps->adopt;
	if (!a || a->running)
		return;
	if (!pops_can_send(ps)) {
		pops_hold(ps);
		return;
	}
	a->running = true;
	if (!list_is_empty(&a->lists)) {
		struct pop_list *l =
			LIST_ENTRY(a->lists.next, struct adopt_list, link)->list;
		ask(ps, l->tenant, "HGETALL", l->keys[2], on_list);
	} else if (!list_is_empty(&a->leftovers)) {
		close_leftover(LIST_ENTRY(a->leftovers.next, struct leftover, link));
	} else if (!list_is_empty(&a->tenants)) {
		ask_tenant(ps, LIST_ENTRY(a->tenants.next, struct adopt_tenant, link));
	} else {
		finish(ps);
	}
}

void
pops_adopt_go_on(struct pops *ps)
{
	go_on(ps);
}

static void
add_tenant(const char *name, void *tenant, void *arg)
{
	struct pops *ps = arg;
	struct adopt_tenant *at = xcalloc(1, sizeof(*at));
	(void)name;
	at->tenant = pop_tenant_get(ps, tenant);
	list_append(&ps->adopt->tenants, &at->link);
}

static void
begin(void *arg)
{
	struct pop_call *c = arg;
	struct pops *ps = c->pops;
	pop_call_done(c, NULL);
	if (ps)
		go_on(ps);
}

static void
ignore_answer(struct pop_call *c, const struct redis_reply *r)
{
	(void)c, (void)r;
}

void
pops_adopt(struct pops *ps, void (*done)(void *arg), void *arg)
{
	struct adopt *a = xcalloc(1, sizeof(*a));
	assert(!ps->adopt);
	list_init(&a->tenants);
	list_init(&a->lists);
	list_init(&a->leftovers);
	a->done = done;
	a->arg = arg;
	ps->adopt = a;
	map_each(&ps->store->tenants, add_tenant, ps);
	/* Deferred, as done must not come before this returns. */
	loop_defer(ps->store->loop, begin, pop_call_new(ps, ignore_answer));
}

/* ---- The pops open now ---- */

struct listing {
	store_answer_fn *fn;
	void *arg;
	const struct sight *sight;
	struct json_out json;
	struct buf buf;
};

static bool
add_item(void *arg, const struct pop_head *h, const char *json, size_t len)
{
	struct listing *ls = arg;
	struct buf seen = BUF_INIT;
	(void)h;
	if (!ls->sight)
		json_put_raw(&ls->json, NULL, json);
	else if (pop_json_seen(&seen, json, len, ls->sight))
		json_put_raw(&ls->json, NULL, buf_str(&seen));
	buf_fini(&seen);
	return true;
}

static void
answer_listing(void *arg, const struct redis_reply *r)
{
	struct listing *ls = arg;
	struct store_answer a = {.status = STORE_UNAVAILABLE,
		.detail = "Redis, which holds the open pops, cannot be reached"};
	struct pop_read read;
	if (pop_read_parse(r, &read)) {
		json_out_init(&ls->json, &ls->buf);
		json_put_object(&ls->json, NULL);
		json_put_array(&ls->json, "items");
		if (read.kind == POP_READ_SNAPSHOT)
			pop_read_each(r, add_item, ls);
		json_put_array_end(&ls->json);
		json_put_null(&ls->json, "next");
		json_put_object_end(&ls->json);
		a = (struct store_answer){.status = STORE_OK,
			.json = ls->buf.data,
			.json_len = ls->buf.len,
			.detail = ""};
	}
	ls->fn(ls->arg, &a);
	sight_unref(&ls->sight);
	buf_fini(&ls->buf);
	mem_free(ls);
}

void
pops_list(struct pops *ps, const struct tenant *tenant, const char *agent,
	const struct sight *sight, store_answer_fn *fn, void *arg)
{
	struct listing *ls = xcalloc(1, sizeof(*ls));
	ls->fn = fn;
	ls->arg = arg;
	ls->sight = sight_ref(sight);
	pop_list_read(
		pop_list_get(ps, tenant, agent, false), 0, "", answer_listing, ls);
}
