/* pop_issue.c - what is sent to Redis, in which order, and again.
 *
 * One list per agent and per queue. Its commands go over one connection in the order of
 * its changes; at most IN_FLIGHT_MAX are without an answer, then changes wait, and what
 * changes while it waits is told once, in its newest state: a pop that ends before its
 * open was sent is never told at all.
 *
 * Two ideas carry the rest. The script is idempotent (see pop.lua), so that any doubt -
 * an answer lost, Redis back after an outage - is resolved by giving the newest state
 * again; nothing needs to be known of what happened to the command before. And a pop
 * remembers the epoch it was issued under: when an answer names another one, Redis had
 * lost its data, and every pop of the tenant that is still true is put again under the
 * new.
 *
 * A lost answer holds everything for one tick (100 ms), so that a broken Redis is not
 * asked in a circle. While pops are open the epochs are looked at every 2 s, because a
 * FLUSHALL breaks no connection. */
#include <desk/pop_priv.h>

#include <clock.h>
#include <mem.h>
#include <str.h>

#include <sodium.h>

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define IN_FLIGHT_MAX 16
#define TICK_MS	      100
#define WATCH_MS      2000
#define REFUSED_US    INT64_C(3000000)
#define ID_MAX	      64
#define SCRIPT_ARGS   11

/* ---- Keys ---- */

/* All keys of one call of a script are made here. In cluster mode the prefix becomes
 * "interactd:{<tenant>}:": one tag, so one slot, per tenant, as the epoch is. */
char *
pop_key(const struct tenant *t, const char *what, const char *id)
{
	return xasprintf("interactd:%s:%s%s", t->name, what, id ? id : "");
}

struct pop_tenant *
pop_tenant_get(struct pops *ps, const struct tenant *tenant)
{
	struct pop_tenant *t = map_find(&ps->tenants, tenant->name);
	if (t)
		return t;
	t = xcalloc(1, sizeof(*t));
	t->pops = ps;
	t->tenant = tenant;
	map_init(&t->lists);
	map_put(&ps->tenants, tenant->name, t);
	return t;
}

static void
set_keys(struct pop_list *l)
{
	const struct tenant *t = l->tenant->tenant;
	const bool q = l->is_queue;
	l->keys[0] = pop_key(t, "epoch", NULL);
	l->keys[1] = pop_key(t, q ? "queue-pops:" : "pops:", l->id);
	l->keys[2] = pop_key(t, q ? "queue-open:" : "open:", l->id);
	l->keys[3] = pop_key(t, "open-index", NULL);
	l->keys[4] = pop_key(t, q ? "queue-closed:" : "closed:", l->id);
	l->channel = pop_key(t, q ? "queue:" : "agent:", l->id);
}

struct pop_list *
pop_list_get(struct pops *ps, const struct tenant *tenant, const char *id, bool queue)
{
	struct pop_tenant *t = pop_tenant_get(ps, tenant);
	char clean[ID_MAX + 1], member[ID_MAX + 16];

	str_copy(clean, sizeof(clean), id);
	for (char *c = clean; *c; c++) {
		char one[2] = {*c, '\0'};
		if (!str_is_id(one))
			*c = '_';
	}
	snprintf(member, sizeof(member), "%s:%s", queue ? "queue" : "agent", clean);
	struct pop_list *l = map_find(&t->lists, member);
	if (l)
		return l;
	l = xcalloc(1, sizeof(*l));
	l->tenant = t;
	l->is_queue = queue;
	l->id = xstrdup(clean);
	l->member = xstrdup(member);
	list_init(&l->waiting);
	set_keys(l);
	map_put(&t->lists, member, l);
	return l;
}

struct pop_list *
pop_list_of_member(struct pop_tenant *t, const char *member)
{
	const char *id = strchr(member, ':');
	bool queue = str_starts(member, "queue:");
	if (!id || !str_is_id(id + 1) || (!queue && !str_starts(member, "agent:")))
		return NULL;
	return pop_list_get(t->pops, t->tenant, id + 1, queue);
}

/* ---- Calls and their answers ---- */

struct pop_call *
pop_call_new(struct pops *ps,
	void (*on_reply)(struct pop_call *, const struct redis_reply *))
{
	struct pop_call *c = xcalloc(1, sizeof(*c));
	c->pops = ps;
	c->on_reply = on_reply;
	list_append(&ps->calls, &c->link);
	return c;
}

void
pop_call_done(void *call, const struct redis_reply *r)
{
	struct pop_call *c = call;
	if (c->pops) {
		list_remove(&c->link);
		c->on_reply(c, r);
	}
	xfree(&c->text);
	mem_free(c);
}

void
pop_calls_forget(const struct pop *p)
{
	list_for_each (&p->subject->pops->calls, it) {
		struct pop_call *c = LIST_ENTRY(it, struct pop_call, link);
		if (c->pop == p)
			c->pop = NULL;
	}
}

bool
pops_can_send(const struct pops *ps)
{
	return !ps->held && redis_is_up(ps->redis);
}

/* In ms from now, or earlier if that was asked for before. */
static void
start_tick(struct pops *ps, int64_t ms)
{
	const int64_t at = clock_mono_us() + ms * 1000;
	if (loop_timer_is_running(ps->tick) && ps->tick_us <= at)
		return;
	ps->tick_us = at;
	loop_timer_start(ps->tick, ms);
}

void
pops_hold(struct pops *ps)
{
	ps->held = true;
	start_tick(ps, TICK_MS);
}

/* The server's state, not one key's. */
static bool
is_servers_refusal(const char *error)
{
	static const char *const codes[] = {"OOM ", "MISCONF ", "NOPERM ",
		"NOREPLICAS ", "LOADING ", "BUSY ", "READONLY ", "CLUSTERDOWN "};
	for (size_t i = 0; i < ARRAY_LEN(codes); i++)
		if (str_starts(error, codes[i]))
			return true;
	return false;
}

static void
note_refusal(struct pops *ps, const char *error)
{
	if (!pops_are_refused(ps))
		ps->stats.refused_us = clock_wall_us();
	ps->refused_mono_us = clock_mono_us();
	str_copy(ps->stats.refused, sizeof(ps->stats.refused), error);
}

/* What waits is tried again ten times a second: silence means that nothing waits. */
bool
pops_are_refused(const struct pops *ps)
{
	return ps->stats.refused[0] &&
	       clock_mono_us() - ps->refused_mono_us < REFUSED_US;
}

/* Redis answered, and said no: out of memory, still loading, a key of another type.
 * Only this list waits then. */
static void
on_refusal(struct pop_list *l, const struct redis_reply *r)
{
	struct pops *ps = l->tenant->pops;
	unsigned long quiet;
	l->held = true;
	start_tick(ps, TICK_MS);
	if (is_servers_refusal(redis_str(r, NULL)))
		note_refusal(ps, redis_str(r, NULL));
	if (log_once_due(&ps->refused_log, 60, &quiet))
		log_errorx("redis", "pops of %s are refused: %s (%lu more like this)",
			l->member, redis_str(r, NULL), quiet);
}

/* ---- Epochs ---- */

static const char *
get_fresh_epoch(struct pops *ps)
{
	static const char letters[] = "abcdefghijkmnpqrstuvwxyz23456789";
	if (ps->fresh_epoch[0])
		return ps->fresh_epoch;
	for (size_t i = 0; i < 8; i++)
		ps->fresh_epoch[i] = letters[randombytes_uniform(sizeof(letters) - 1)];
	ps->fresh_epoch[8] = '\0';
	return ps->fresh_epoch;
}

/* Whatever was issued under another epoch than the tenant's is put again. */
static void
reissue(struct pop_tenant *t)
{
	list_for_each (&t->pops->subjects, it) {
		struct subject *s = LIST_ENTRY(it, struct subject, link);
		if (s->tenant != t)
			continue;
		list_for_each (&s->shown_pops, at) {
			struct pop *p = LIST_ENTRY(at, struct pop, link);
			if (p->issued != POP_ISSUED || str_eq(p->epoch, t->epoch))
				continue;
			p->issued = POP_UNSURE;
			if (pop_is_live(p))
				pop_touch(p, 0);
		}
	}
}

static void
on_swept(struct pop_call *c, const struct redis_reply *r)
{
	if (redis_type(r) == REDIS_FAILED)
		pops_hold(c->pops);
}

static void
on_index(struct pop_call *c, const struct redis_reply *r)
{
	const struct pop_script_args sweep = {.op = "sweep", .pop = "", .tail = ""};
	if (redis_type(r) != REDIS_ARRAY)
		return;
	for (size_t i = 0; i < redis_len(r); i++) {
		struct pop_list *l =
			pop_list_of_member(c->tenant, redis_str(redis_at(r, i), NULL));
		if (l)
			pop_list_run(l, &sweep, pop_call_new(c->pops, on_swept));
	}
}

/* Lists that a restored copy of Redis holds as they were, though nobody puts anything
 * into them now. */
static void
sweep_all(struct pop_tenant *t)
{
	struct pop_call *c = pop_call_new(t->pops, on_index);
	c->tenant = t;
	c->text = pop_key(t->tenant, "open-index", NULL);
	const char *argv[] = {"SMEMBERS", c->text};
	const size_t lens[] = {8, strlen(c->text)};
	redis_command(t->pops->redis, 2, argv, lens, pop_call_done, c);
}

void
pop_tenant_learn(struct pop_tenant *t, const char *epoch)
{
	if (str_eq(t->epoch, epoch))
		return;
	bool changed = t->epoch[0] != '\0';
	str_copy(t->epoch, sizeof(t->epoch), epoch);
	if (str_eq(t->pops->fresh_epoch, epoch))
		t->pops->fresh_epoch[0] = '\0';
	if (!changed || !epoch[0])
		return;
	log_warnx("redis",
		"tenant %s: Redis has lost its data; the open pops are issued again",
		t->tenant->name);
	reissue(t);
	sweep_all(t);
}

/* ---- Sending ---- */

void
pop_list_run(struct pop_list *l, const struct pop_script_args *a, struct pop_call *c)
{
	struct pops *ps = l->tenant->pops;
	const char *words[POP_KEYS + SCRIPT_ARGS];
	size_t lens[POP_KEYS + SCRIPT_ARGS];
	char max[16], seq[24], at[24];

	snprintf(max, sizeof(max), "%u", ps->opts.stream_max);
	snprintf(seq, sizeof(seq), "%" PRIu64, l->known_seq);
	snprintf(at, sizeof(at), "%" PRId64, a->at_us / 1000);
	memcpy(words, l->keys, sizeof(l->keys));
	const char *args[SCRIPT_ARGS] = {a->op, a->pop, l->channel, l->member, max,
		get_fresh_epoch(ps), l->known_epoch, seq,
		a->pop_epoch ? a->pop_epoch : "", at, a->tail};
	memcpy(words + POP_KEYS, args, sizeof(args));
	for (size_t i = 0; i + 1 < ARRAY_LEN(words); i++)
		lens[i] = strlen(words[i]);
	lens[ARRAY_LEN(words) - 1] = a->tail_len;
	c->list = l;
	redis_eval(ps->redis, ps->script, POP_KEYS, ARRAY_LEN(words), words, lens,
		pop_call_done, c);
}

enum pop_outcome { POP_NOTHING, POP_OPENED, POP_UPDATED, POP_CLOSED, POP_REFUSED };

static void
count_outcome(struct pop *p, enum pop_outcome what)
{
	struct pops_stats *st = &p->subject->pops->stats;
	if (what == POP_UPDATED)
		st->updated++;
	else if (what == POP_CLOSED)
		st->closed++;
	else if (what == POP_OPENED && p->counted)
		st->reissued++;
	else if (what == POP_OPENED) {
		st->opened++;
		if (p->asked_us)
			histogram_add(&st->shown, clock_mono_us() - p->asked_us);
	}
	p->counted = p->counted || what == POP_OPENED || what == POP_UPDATED;
}

static void
on_pop_answer(struct pop *p, const char *epoch, enum pop_outcome what, bool closes)
{
	count_outcome(p, what);
	if (closes) {
		pop_free(&p);
		return;
	}
	if (what == POP_REFUSED) {
		/* Closed by somebody else, for good. */
		p->quiet = true;
		p->issued = POP_NOT_ISSUED;
		return;
	}
	p->issued = POP_ISSUED;
	str_copy(p->epoch, sizeof(p->epoch), epoch);
}

static void
on_lost(struct pop_call *c, const struct redis_reply *r)
{
	if (r)
		on_refusal(c->list, r);
	else
		pops_hold(c->pops);
	if (!c->pop)
		return;
	c->pop->issued = POP_UNSURE;
	c->pop->dirty = true;
	pop_issue(c->pop);
}

static void pump(struct pop_list *l);

static void
on_issued(struct pop_call *c, const struct redis_reply *r)
{
	struct pop_list *l = c->list;
	l->in_flight--;
	if (c->pop)
		c->pop->in_flight--;
	if (redis_type(r) != REDIS_ARRAY || redis_len(r) != 3) {
		on_lost(c, r);
		return;
	}
	l->tenant->pops->stats.refused[0] = '\0';
	const char *epoch = redis_str(redis_at(r, 0), NULL);
	uint64_t seq = (uint64_t)redis_int(redis_at(r, 1));
	if (!str_eq(l->known_epoch, epoch) || seq > l->known_seq) {
		str_copy(l->known_epoch, sizeof(l->known_epoch), epoch);
		l->known_seq = seq;
	}
	if (c->pop)
		on_pop_answer(c->pop, epoch,
			(enum pop_outcome)redis_int(redis_at(r, 2)), c->closes);
	pop_tenant_learn(l->tenant, epoch);
	pump(l);
}

static void
send_pop(struct pop *p)
{
	struct pops *ps = p->subject->pops;
	const bool closes = p->phase == POP_CLOSING;
	struct pop_call *c = pop_call_new(ps, on_issued);

	list_remove(&p->wait);
	buf_clear(&ps->json);
	pop_json_tail(&ps->json, p);
	struct pop_script_args a = {
		.op = closes ? "close" : "put",
		.pop = p->text,
		.pop_epoch = p->epoch,
		/* An end before its beginning would not keep a late open out. */
		.at_us = closes && p->at_us > p->began_us ? p->at_us : p->began_us,
		.tail = ps->json.data,
		.tail_len = ps->json.len,
	};
	if (!closes && p->issued == POP_NOT_ISSUED && subject_is_degraded(p->subject))
		ps->stats.degraded++;
	if (p->issued == POP_NOT_ISSUED)
		p->issued = POP_UNSURE;
	p->dirty = false;
	p->in_flight++;
	p->list->in_flight++;
	c->pop = p;
	c->closes = closes;
	pop_list_run(p->list, &a, c);
}

static void
pump(struct pop_list *l)
{
	while (l->in_flight < IN_FLIGHT_MAX && !list_is_empty(&l->waiting) &&
		!l->held && pops_can_send(l->tenant->pops))
		send_pop(LIST_ENTRY(l->waiting.next, struct pop, wait));
}

/* Nothing is to be sent before something happens that has not happened yet. */
static bool
must_wait(const struct pop *p)
{
	const struct subject *s = p->subject;
	if (p->phase == POP_CLOSING)
		return false;
	return p->quiet || !subject_is_ready(s) ||
	       (p->needs_card && subject_is_degraded(s));
}

void
pop_issue(struct pop *p)
{
	struct pops *ps = p->subject->pops;
	if (!p->dirty || must_wait(p))
		return;
	if (!p->wait.next)
		list_append(&p->list->waiting, &p->wait);
	start_tick(ps, pops_can_send(ps) ? WATCH_MS : TICK_MS);
	pump(p->list);
}

/* ---- Redis comes and goes ---- */

static void
pump_list(const char *member, void *list, void *arg)
{
	struct pop_list *l = list;
	(void)member, (void)arg;
	l->held = false;
	pump(l);
}

static void
pump_tenant(const char *name, void *tenant, void *arg)
{
	struct pop_tenant *t = tenant;
	(void)name, (void)arg;
	map_each(&t->lists, pump_list, NULL);
}

void
pops_pump(struct pops *ps)
{
	if (pops_can_send(ps))
		map_each(&ps->tenants, pump_tenant, NULL);
}

/* After an outage: Redis may have come back with less than it had. Giving what is shown
 * again costs nothing if it is all there. */
static void
give_all_again(struct pops *ps)
{
	list_for_each (&ps->subjects, it) {
		struct subject *s = LIST_ENTRY(it, struct subject, link);
		list_for_each (&s->shown_pops, at) {
			struct pop *p = LIST_ENTRY(at, struct pop, link);
			if (p->issued == POP_ISSUED && pop_is_live(p))
				pop_touch(p, 0);
		}
	}
}

static void
on_epoch(struct pop_call *c, const struct redis_reply *r)
{
	struct pop_tenant *t = c->tenant;
	t->asked = false;
	if (redis_type(r) == REDIS_FAILED)
		return;
	/* None: the first pop given again makes one. */
	if (redis_type(r) == REDIS_NIL && t->epoch[0])
		give_all_again(c->pops);
	else if (redis_type(r) == REDIS_STRING)
		pop_tenant_learn(t, redis_str(r, NULL));
}

static void
ask_epoch(const char *name, void *tenant, void *arg)
{
	struct pop_tenant *t = tenant;
	(void)name, (void)arg;
	if (t->asked)
		return;
	struct pop_call *c = pop_call_new(t->pops, on_epoch);
	t->asked = true;
	c->tenant = t;
	c->text = pop_key(t->tenant, "epoch", NULL);
	const char *argv[] = {"GET", c->text};
	const size_t lens[] = {3, strlen(c->text)};
	redis_command(t->pops->redis, 2, argv, lens, pop_call_done, c);
}

void
pops_on_redis(struct pops *ps, bool up)
{
	if (!up || ps->was_up) {
		ps->was_up = up;
		return;
	}
	ps->was_up = true;
	ps->held = false;
	give_all_again(ps);
	pops_pump(ps);
	pops_adopt_go_on(ps);
	pop_feeds_go_on(ps);
}

static bool
has_work(const struct pops *ps)
{
	return ps->adopt || !list_is_empty(&ps->feeds) || !list_is_empty(&ps->subjects);
}

void
pops_on_tick(void *arg)
{
	struct pops *ps = arg;
	const int64_t now = clock_mono_us();
	bool was_up = ps->was_up;

	ps->held = false;
	pops_on_redis(ps, redis_is_up(ps->redis));
	if (was_up && ps->was_up) {
		pops_pump(ps);
		pops_adopt_go_on(ps);
		pop_feeds_go_on(ps);
	}
	if (ps->was_up && now - ps->watched_us >= WATCH_MS * 1000) {
		ps->watched_us = now;
		map_each(&ps->tenants, ask_epoch, NULL);
	}
	if (has_work(ps))
		start_tick(ps, pops_can_send(ps) ? WATCH_MS : TICK_MS);
}
