/* pop_subject.c - subjects and their cards: what all pops of one interaction say.
 *
 * The card is asked for once, when the subject begins. Pops wait for it
 * (subject_is_ready) until it comes or pop_timeout_ms are over; then `late` is set,
 * they go out without it, and are updated when it comes. A database that says it cannot
 * is asked again, with growing pauses, as long as the subject lives.
 *
 * The writer decides who it is (subject_contact). Where it differs from what the card
 * showed - two first calls of one stranger at the same moment, a merge in between - the
 * card is fetched once more and the old one shown until the new one is there. */
#include <desk/pop_priv.h>

#include <clock.h>
#include <mem.h>
#include <str.h>

#include <string.h>

#define RETRY_BASE_MS 500
#define RETRY_CAP_MS  5000

/* Replaces a string and says whether that made a difference. */
static bool
put(char **dst, const char *src)
{
	if (str_eq(*dst, src))
		return false;
	xfree(dst);
	*dst = xstrdup(src);
	return true;
}

/* Takes what pops show; true if anything is different now. */
static bool
take_info(struct subject *s, const struct subject_info *in)
{
	bool changed = s->withheld != in->withheld || s->trust != in->trust;
	changed |= put(&s->channel, in->channel);
	changed |= put(&s->kind, in->kind);
	changed |= put(&s->direction, in->direction);
	changed |= put(&s->queue, in->queue);
	changed |= put(&s->call_id, in->call_id);
	changed |= put(&s->remote_kind, in->remote_kind);
	const bool hide = in->withheld || s->forgotten;
	changed |= put(&s->remote_value, hide ? NULL : in->remote_value);
	changed |= put(&s->remote_display, s->forgotten ? NULL : in->remote_display);
	changed |= put(&s->local, in->local);
	changed |= put(
		&s->variables, in->variables && !s->forgotten ? in->variables : "{}");
	s->withheld = in->withheld;
	s->trust = in->trust;
	s->no_contact = in->no_contact;
	return changed;
}

/* The address to look up; true if it is another than before. */
static bool
take_address(struct subject *s, const struct subject_info *in)
{
	bool wants = !in->withheld && !in->no_contact && !s->forgotten &&
		     in->remote_kind && !str_empty(in->remote_value);
	struct address a = {.normal = in->remote_normal};
	if (wants) {
		wants = str_copy(a.kind, sizeof(a.kind), in->remote_kind) <
			sizeof(a.kind);
		wants = wants && str_copy(a.value, sizeof(a.value), in->remote_value) <
					 sizeof(a.value);
	}
	bool same = wants == s->wants_card &&
		    (!wants || (str_eq(a.kind, s->address.kind) &&
				       str_eq(a.value, s->address.value) &&
				       a.normal == s->address.normal));
	s->wants_card = wants;
	s->address = a;
	return !same;
}

bool
subject_is_ready(const struct subject *s)
{
	return (s->card && !s->waits_for_lookup) || s->late || !s->wants_card;
}

bool
subject_is_degraded(const struct subject *s)
{
	return s->wants_card && !s->card;
}

/* ---- The card ---- */

static void
touch_pops(struct subject *s, int64_t at_us)
{
	list_for_each_safe (&s->shown_pops, it) {
		struct pop *p = LIST_ENTRY(it, struct pop, link);
		if (pop_is_live(p))
			pop_touch(p, p->issued == POP_NOT_ISSUED ? 0 : at_us);
	}
}

/* The card is there, or nobody waits for it any more. */
static void
release_pops(struct subject *s)
{
	list_for_each_safe (&s->shown_pops, it)
		pop_issue(LIST_ENTRY(it, struct pop, link));
}

static void
on_deadline(void *arg)
{
	struct subject *s = arg;
	s->late = true;
	s->waits_for_lookup = false;
	/* The database may be long in coming; the other one may know. */
	if (!s->card)
		subject_look_up(s);
	release_pops(s);
}

static void
start_deadline(struct subject *s)
{
	unsigned ms = s->pops->opts.pop_timeout_ms;
	if (s->late || s->card)
		return;
	if (!ms) {
		s->late = true;
		return;
	}
	if (!s->deadline)
		s->deadline = loop_timer_new(s->pops->store->loop, on_deadline, s);
	loop_timer_start(s->deadline, ms);
}

static void on_card(void *arg, enum card_status status, struct card *card);

static void
ask_card(struct subject *s)
{
	if (s->query || !s->wants_card || s->pops->store->held)
		return;
	s->asked_us = clock_mono_us();
	s->query = card_fetch(s->pops->store, s->tenant->tenant, &s->address, s->trust,
		&s->interaction, on_card, s);
}

void
subject_fetch(struct subject *s)
{
	if (s->pops->silent || s->card || s->query || !s->wants_card)
		return;
	if (s->retry && loop_timer_is_running(s->retry))
		return;
	if (s->pops->store->held) {
		s->late = true; /* nobody can be asked: there is nothing to wait for */
		subject_look_up(s);
		return;
	}
	ask_card(s);
	start_deadline(s);
	if (s->pops->opts.lookups && !pg_is_up(s->pops->store->reads))
		subject_look_up(s);
}

void
pops_ask_again(struct pops *ps)
{
	list_for_each (&ps->subjects, it) {
		struct subject *s = LIST_ENTRY(it, struct subject, link);
		if (!s->ended && !s->card)
			ask_card(s);
	}
}

void
subject_ask_again(struct subject *s)
{
	ask_card(s);
}

void
subject_card_changed(struct subject *s)
{
	if (!s->card && !s->query)
		return;	 /* it comes, or nobody asks */
	s->told = false; /* what was told is from before */
	s->stale = s->query != NULL;
	ask_card(s);
}

struct uuid
subject_who(const struct subject *s, const struct uuid *otherwise)
{
	return s && s->card && s->wants_card ? s->shown : *otherwise;
}

void
subject_release(struct subject *s)
{
	if (s->deadline)
		loop_timer_stop(s->deadline);
	release_pops(s);
}

void
subject_touch(struct subject *s)
{
	if (s->deadline)
		loop_timer_stop(s->deadline);
	touch_pops(s, clock_wall_us());
}

static void
on_retry(void *arg)
{
	ask_card(arg);
}

static void
ask_again_later(struct subject *s)
{
	if (!s->retry)
		s->retry = loop_timer_new(s->pops->store->loop, on_retry, s);
	loop_timer_start(
		s->retry, loop_backoff_ms(s->attempts++, RETRY_BASE_MS, RETRY_CAP_MS));
}

static void
drop_card(struct subject *s)
{
	card_cancel(&s->query);
	card_free(&s->card);
	subject_forget_lookup(s);
	xfree(&s->unnamed);
	s->shown = (struct uuid){{0}};
	s->late = s->stale = false;
	s->attempts = 0;
	if (s->deadline)
		loop_timer_stop(s->deadline);
	if (s->retry)
		loop_timer_stop(s->retry);
}

static bool
same_card(const struct card *a, const struct card *b)
{
	return a && b && a->found == b->found &&
	       str_eq(a->contact_json, b->contact_json) &&
	       str_eq(a->candidates_json, b->candidates_json) &&
	       str_eq(a->recent_json, b->recent_json);
}

/* Who the card says it is; for an address nobody had, the contact that is just being
 * made for it, so that the agent has an id at once. */
static bool
take_card(struct subject *s, struct card *card)
{
	struct uuid before = s->shown;
	bool same = same_card(s->card, card);
	bool unnamed = !card->found && !(s->told && uuid_is_nil(&s->contact));
	card_free(&s->card);
	s->card = card;
	xfree(&s->unnamed);
	s->shown = card->contact;
	if (unnamed) {
		s->shown = s->told ? s->contact
				   : card_new_contact_id(
					     s->tenant->tenant, &s->address, s->at_us);
		s->unnamed = card_unnamed_json(&s->shown, &s->address, s->trust);
	}
	subject_show_found(s);
	return !same || !uuid_eq(&before, &s->shown);
}

/* Nobody in particular, or somebody without a name. */
static bool
is_stranger(const struct subject *s)
{
	return s->unnamed || (!uuid_is_nil(&s->card->contact) && !s->card->named);
}

static void
on_card(void *arg, enum card_status status, struct card *card)
{
	struct subject *s = arg;
	s->query = NULL;
	if (status != CARD_READY) {
		card_free(&card);
		s->late = s->late || !s->card;
		ask_again_later(s);
		subject_look_up(s);
		release_pops(s);
		return;
	}
	bool was_told = s->told;
	s->attempts = 0;
	histogram_add(&s->pops->stats.cards, clock_mono_us() - s->asked_us);
	bool changed = take_card(s, card);
	bool in_time = s->deadline && loop_timer_is_running(s->deadline);
	s->waits_for_lookup = is_stranger(s) && subject_look_up(s) && in_time;
	if (s->deadline && !s->waits_for_lookup)
		loop_timer_stop(s->deadline);
	if (changed)
		touch_pops(s, clock_wall_us());
	else
		release_pops(s);
	/* It may have been read before the commit that made the contact. */
	if (was_told && !uuid_eq(&s->shown, &s->contact)) {
		s->told = false;
		s->stale = true;
	}
	if (s->stale) {
		s->stale = false;
		ask_card(s);
	}
}

void
subject_contact(struct subject *s, const struct uuid *contact)
{
	if (s->told && uuid_eq(&s->contact, contact))
		return;
	s->told = true;
	s->contact = *contact;
	if (s->card && !uuid_eq(&s->shown, contact) && !s->pops->silent)
		ask_card(s);
}

/* ---- Beginning, changing, ending ---- */

struct subject *
subject_begin(struct pops *ps, const struct subject_info *in)
{
	struct subject *s = xcalloc(1, sizeof(*s));
	s->pops = ps;
	s->tenant = pop_tenant_get(ps, in->tenant);
	s->interaction = in->interaction;
	s->at_us = in->at_us;
	list_init(&s->shown_pops);
	list_append(&ps->subjects, &s->link);
	take_info(s, in);
	take_address(s, in);
	subject_fetch(s);
	return s;
}

void
subject_update(struct subject *s, const struct subject_info *in)
{
	bool changed = take_info(s, in);
	if (take_address(s, in)) {
		drop_card(s);
		s->told = false;
		subject_fetch(s);
		changed = true;
	}
	if (changed)
		touch_pops(s, s->pops->silent ? 0 : clock_wall_us());
}

void
subject_forget(struct subject *s)
{
	s->forgotten = true;
	drop_card(s);
	s->wants_card = s->told = false;
	s->contact = (struct uuid){{0}};
	put(&s->remote_value, NULL);
	put(&s->remote_display, NULL);
	put(&s->variables, "{}");
	memset(&s->address, 0, sizeof(s->address));
	touch_pops(s, clock_wall_us());
}

void
subject_free(struct subject **sp)
{
	struct subject *s = *sp;
	if (!s)
		return;
	*sp = NULL;
	s->ended = false; /* or its last pop would free it again */
	list_for_each_safe (&s->shown_pops, it) {
		struct pop *p = LIST_ENTRY(it, struct pop, link);
		pop_free(&p);
	}
	drop_card(s);
	loop_timer_free(&s->deadline);
	loop_timer_free(&s->retry);
	list_remove(&s->link);
	char **strings[] = {&s->channel, &s->kind, &s->direction, &s->queue,
		&s->call_id, &s->remote_kind, &s->remote_value, &s->remote_display,
		&s->local, &s->variables};
	for (size_t i = 0; i < ARRAY_LEN(strings); i++)
		xfree(strings[i]);
	mem_free(s);
}

void
subject_end(struct subject **sp)
{
	struct subject *s = *sp;
	if (!s)
		return;
	*sp = NULL;
	list_for_each_safe (&s->shown_pops, it) {
		struct pop *p = LIST_ENTRY(it, struct pop, link);
		if (p->phase != POP_OPEN)
			continue;
		/* Ours to mend, but no reason to drop every other call. */
		log_errorx(s->channel,
			"pop %s was left open by its %s; it is closed now", p->text,
			s->kind);
		pop_close(s, &p->id, "interrupted", clock_wall_us());
	}
	s->ended = true;
	if (list_is_empty(&s->shown_pops))
		subject_free(&s);
}
