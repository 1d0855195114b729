/* pop.c - pops: opening, changing, closing, wrap-up.
 *
 * A pop is changed here in memory and marked dirty; pop_issue.c brings Redis to the
 * state that memory has, at its own pace. So a change never waits and never fails, and
 * what Redis missed needs no queue: only the newest state is ever told.
 *
 *	OPEN -> WRAPUP -> CLOSING -> gone     a pop lives until its close is confirmed,
 *	   `---------------^                  and its subject with it
 *
 * Invariants: a pop is in by_id, in its subject's list, and at most once in its list's
 * queue; a pop that Redis has certainly not seen disappears without a trace when it is
 * closed. Next: pop_subject.c (the card), pop_issue.c (the numbers). */
#include <desk/pop_priv.h>

#include <base/embedded.h>
#include <clock.h>
#include <mem.h>
#include <str.h>

#include <sodium.h>

#include <assert.h>
#include <string.h>

#define STREAM_MAX_DEFAULT 1000
#define REPLAYED_MAX	   20000

static struct redis_script *
load_script(struct redis *r, const char *name)
{
	const struct embedded *lua = embedded_find(name);
	assert(lua);
	return redis_script_new(r, lua->data);
}

struct pops *
pops_new(struct store *st, struct redis *r, const struct pops_opts *opts)
{
	struct pops *ps = xcalloc(1, sizeof(*ps));
	ps->store = st;
	ps->redis = r;
	ps->opts = *opts;
	if (!ps->opts.stream_max)
		ps->opts.stream_max = STREAM_MAX_DEFAULT;
	ps->script = load_script(r, "daemon/desk/pop.lua");
	ps->feed_script = load_script(r, "daemon/desk/pop_feed.lua");
	ps->find_script = load_script(r, "daemon/desk/pop_find.lua");
	map_init(&ps->tenants);
	map_init(&ps->by_id);
	map_init(&ps->replayed);
	list_init(&ps->subjects);
	list_init(&ps->calls);
	list_init(&ps->feeds);
	ps->tick = loop_timer_new(st->loop, pops_on_tick, ps);
	return ps;
}

static void
free_list(const char *member, void *value, void *arg)
{
	struct pop_list *l = value;
	(void)member, (void)arg;
	for (size_t i = 0; i < POP_KEYS; i++)
		xfree(&l->keys[i]);
	xfree(&l->id);
	xfree(&l->member);
	xfree(&l->channel);
	mem_free(l);
}

static void
free_tenant(const char *name, void *value, void *arg)
{
	struct pop_tenant *t = value;
	map_each(&t->lists, free_list, NULL);
	map_fini(&t->lists);
	mem_free(t);
	(void)name, (void)arg;
}

static void
free_replayed(const char *id, void *value, void *arg)
{
	(void)id, (void)arg;
	mem_free(value);
}

void
pops_free(struct pops **psp)
{
	struct pops *ps = *psp;
	if (!ps)
		return;
	*psp = NULL;
	pops_adopt_free(ps);
	pop_feeds_orphan(ps);
	list_for_each (&ps->calls, it)
		LIST_ENTRY(it, struct pop_call, link)->pops = NULL;
	list_init(&ps->calls);
	while (!list_is_empty(&ps->subjects)) {
		struct subject *s = LIST_ENTRY(ps->subjects.next, struct subject, link);
		subject_free(&s);
	}
	map_each(&ps->tenants, free_tenant, NULL);
	map_each(&ps->replayed, free_replayed, NULL);
	map_fini(&ps->tenants);
	map_fini(&ps->by_id);
	map_fini(&ps->replayed);
	redis_script_free(&ps->script);
	redis_script_free(&ps->feed_script);
	redis_script_free(&ps->find_script);
	loop_timer_free(&ps->tick);
	buf_fini(&ps->json);
	mem_free(ps);
}

void
pops_set_timeout(struct pops *ps, unsigned pop_timeout_ms)
{
	ps->opts.pop_timeout_ms = pop_timeout_ms;
}

void
pops_set_silent(struct pops *ps, bool silent)
{
	if (ps->silent == silent)
		return;
	ps->silent = silent;
	if (silent)
		return;
	list_for_each (&ps->subjects, it)
		subject_fetch(LIST_ENTRY(it, struct subject, link));
	pops_pump(ps);
}

const char *
pops_refused(const struct pops *ps, int64_t *since_us_r)
{
	*since_us_r = ps->stats.refused_us;
	return pops_are_refused(ps) ? ps->stats.refused : NULL;
}

void
pops_get_stats(const struct pops *ps, struct pops_stats *st)
{
	*st = ps->stats;
	st->open = st->pending = 0;
	st->redis_up = redis_is_up(ps->redis);
	if (!pops_are_refused(ps))
		st->refused[0] = '\0';
	list_for_each (&ps->subjects, it) {
		struct subject *s = LIST_ENTRY(it, struct subject, link);
		list_for_each (&s->shown_pops, at) {
			struct pop *p = LIST_ENTRY(at, struct pop, link);
			if (!pop_is_live(p))
				continue;
			if (p->issued == POP_NOT_ISSUED && !subject_is_ready(s))
				st->pending++;
			else
				st->open++;
		}
	}
}

/* ---- One pop ---- */

bool
pop_is_live(const struct pop *p)
{
	return p->phase != POP_CLOSING;
}

static struct pop *
find_pop(struct pops *ps, const struct uuid *id)
{
	char text[UUID_TEXT_LEN];
	return map_find(&ps->by_id, uuid_format(text, id));
}

void
pop_free(struct pop **pp)
{
	struct pop *p = *pp;
	struct subject *s = p->subject;
	*pp = NULL;
	if (p->in_flight)
		pop_calls_forget(p);
	if (map_find(&s->pops->by_id, p->text) == p)
		map_remove(&s->pops->by_id, p->text);
	list_remove(&p->link);
	list_remove(&p->wait);
	loop_timer_free(&p->wrapup);
	xfree(&p->queue);
	mem_free(p);
	if (s->ended && list_is_empty(&s->shown_pops))
		subject_free(&s);
}

void
pop_touch(struct pop *p, int64_t at_us)
{
	if (at_us)
		p->at_us = at_us;
	p->dirty = true;
	pop_issue(p);
}

static void
set_state(struct pop *p, const struct pop_info *in)
{
	str_copy(p->state, sizeof(p->state), in->state);
	if (!str_eq(p->queue, in->queue)) {
		xfree(&p->queue);
		p->queue = xstrdup(in->queue);
	}
	p->talked = p->talked || str_eq(in->state, "talking");
	p->waited_ms = in->waited_ms;
}

static struct pop *
pop_new(struct subject *s, const struct pop_info *in)
{
	struct pop *p = xcalloc(1, sizeof(*p));
	p->subject = s;
	p->list = pop_list_get(s->pops, s->tenant->tenant,
		in->agent ? in->agent : in->queue, !in->agent);
	p->id = in->pop;
	uuid_format(p->text, &in->pop);
	p->began_us = p->at_us = in->at_us;
	list_append(&s->shown_pops, &p->link);
	map_put(&s->pops->by_id, p->text, p);
	set_state(p, in);
	return p;
}

/* A leg that moved to another call takes its pop along. */
static void
move_pop(struct pop *p, struct subject *s)
{
	struct subject *old = p->subject;
	if (old == s)
		return;
	list_remove(&p->link);
	list_append(&s->shown_pops, &p->link);
	p->subject = s;
	p->dirty = true;
	if (old->ended && list_is_empty(&old->shown_pops))
		subject_free(&old);
}

/* What happens to a pop outside a replay ends its silence. */
static void
wake_pop(struct pop *p)
{
	if (p->subject->pops->silent)
		return;
	p->quiet = p->needs_card = false;
	subject_fetch(p->subject);
}

static void
change_pop(struct pop *p, const struct pop_info *in)
{
	if (p->phase == POP_OPEN && str_eq(p->state, in->state) &&
		str_eq(p->queue, in->queue))
		return;
	if (p->phase == POP_WRAPUP) {
		p->phase = POP_OPEN;
		loop_timer_free(&p->wrapup);
	}
	set_state(p, in);
	wake_pop(p);
	pop_touch(p, in->at_us);
}

void
pop_open(struct subject *s, const struct pop_info *in)
{
	struct pop *p = find_pop(s->pops, &in->pop);
	if (!in->agent && !in->queue)
		return;
	if (p && p->phase == POP_CLOSING) {
		/* Its close goes on by itself; this is the next pop of that id. */
		map_remove(&s->pops->by_id, p->text);
		p = NULL;
	}
	if (p) {
		move_pop(p, s);
		change_pop(p, in);
		return;
	}
	p = pop_new(s, in);
	if (s->pops->silent) {
		p->quiet = true;
		p->issued = POP_UNSURE;
		p->dirty = true;
		return;
	}
	p->asked_us = clock_mono_us();
	subject_fetch(s);
	pop_touch(p, 0);
}

void
pop_update(struct subject *s, const struct pop_info *in)
{
	struct pop *p = find_pop(s->pops, &in->pop);
	if (!p || !pop_is_live(p))
		return;
	move_pop(p, s);
	change_pop(p, in);
}

/* ---- Closing ---- */

/* The end of a replayed pop: if Redis still holds it, pops_adopt closes it so. */
static void
remember_end(struct pop *p, const char *reason, int64_t at_us)
{
	struct map *m = &p->subject->pops->replayed;
	if (m->len >= REPLAYED_MAX)
		return;
	struct replayed_end *end = xcalloc(1, sizeof(*end));
	str_copy(end->reason, sizeof(end->reason), reason);
	end->at_us = at_us;
	mem_free(map_put(m, p->text, end));
}

/* The end proper, after wrap-up. */
static void
finish_pop(struct pop *p, int64_t at_us)
{
	loop_timer_free(&p->wrapup);
	p->phase = POP_CLOSING;
	str_copy(p->state, sizeof(p->state), "ended");
	if (p->issued == POP_NOT_ISSUED) {
		pop_free(&p);
		return;
	}
	p->quiet = p->needs_card = false;
	pop_touch(p, at_us);
}

static void
on_wrapup_over(void *arg)
{
	struct pop *p = arg;
	finish_pop(p, p->at_us + (int64_t)p->subject->pops->opts.wrapup_ms * 1000);
}

static void
begin_wrapup(struct pop *p, int64_t at_us)
{
	struct pops *ps = p->subject->pops;
	p->phase = POP_WRAPUP;
	str_copy(p->state, sizeof(p->state), "wrapup");
	p->wrapup = loop_timer_new(ps->store->loop, on_wrapup_over, p);
	loop_timer_start(p->wrapup, ps->opts.wrapup_ms);
	wake_pop(p);
	pop_touch(p, at_us);
}

static struct pop *
find_wrapup(struct pops *ps, const struct tenant *t, const char *agent)
{
	list_for_each (&ps->subjects, it) {
		struct subject *s = LIST_ENTRY(it, struct subject, link);
		list_for_each (&s->shown_pops, at) {
			struct pop *p = LIST_ENTRY(at, struct pop, link);
			if (p->phase == POP_WRAPUP && p->list->tenant->tenant == t &&
				!p->list->is_queue && str_eq(p->list->id, agent))
				return p;
		}
	}
	return NULL;
}

void
pops_end_wrapup(struct pops *ps, const struct tenant *t, const char *agent)
{
	struct pop *p;
	while ((p = find_wrapup(ps, t, agent)))
		finish_pop(p, clock_wall_us());
}

void
pop_close(struct subject *s, const struct uuid *id, const char *reason, int64_t at_us)
{
	struct pop *p = find_pop(s->pops, id);
	if (!p || p->phase != POP_OPEN)
		return;
	str_copy(p->reason, sizeof(p->reason), reason ? reason : "interrupted");
	if (s->pops->silent) {
		remember_end(p, p->reason, at_us);
		pop_free(&p);
		return;
	}
	if (s->pops->opts.wrapup_ms && p->talked && !p->list->is_queue)
		begin_wrapup(p, at_us);
	else
		finish_pop(p, at_us);
}
