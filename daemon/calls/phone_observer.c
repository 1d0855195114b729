/* phone_observer.c - what the tracker tells, as pops and savings.
 *
 * A call that begins is saved at once (its contact exists from then on), its changes
 * are saved together every second, its end is saved at once with the checkpoint. While
 * one saving of a call waits, its changes do too: an outage of the database costs two
 * savings per call, however long it talks. Pops do not wait for any of it. Events on
 * Redis follow a commit. */
#include <calls/phone_priv.h>

#include <clock.h>
#include <log.h>
#include <mem.h>
#include <str.h>

#include <stdio.h>
#include <string.h>

/* Bounds what is remembered of calls in the spool only; more of them are written too, but
 * without the event of their end if their beginning was written. */
#define REFUSED_MAX 20000

/* ---- Savings ----------------------------------------------------------------------
 */

/* What must be known when a saving is committed; the call may be gone by then. */
struct saving {
	phone_saved_fn *past_done; /* of a call of the history; else NULL */
	void *past_arg;
	struct phone *phone;
	struct uuid id;
	bool ended, gone; /* gone: absorbed by another call */
	bool quiet;	  /* replayed: told before, unless it turns out to be new */
	bool found;	  /* by the healing */
	struct buf json;  /* the interaction as saved, its contact still null */
	struct address remote;
	struct event_stamp stamp;
};

static struct phone_call *
find_call(struct phone *ph, const struct uuid *id)
{
	char text[UUID_TEXT_LEN];
	return map_find(&ph->by_id, uuid_format(text, id));
}

/* The events of one saving, as 022-webhooks.sql counts them. */
enum { EVENT_CONTACT_CREATED, EVENT_CREATED, EVENT_UPDATED, EVENT_ENDED };

/* The saved object with the contact that the commit found. No value can hold the
 * searched text: quotes inside strings are escaped. */
static void
put_contact(struct buf *out, const struct buf *json, const struct uuid *contact)
{
	static const char null_contact[] = "\"contact\":null";
	char text[UUID_TEXT_LEN];
	const char *at = strstr(buf_str(json), null_contact);
	if (!at || uuid_is_nil(contact)) {
		buf_add(out, buf_str(json), json->len);
		return;
	}
	buf_add(out, json->data, (size_t)(at - json->data));
	buf_printf(out, "\"contact\":\"%s\"", uuid_format(text, contact));
	buf_adds(out, at + strlen(null_contact));
}

static void
publish(struct saving *s, const struct write_result *result)
{
	struct phone *ph = s->phone;
	const char *type = s->ended	     ? "interaction.ended"
			   : result->created ? "interaction.created"
					     : "interaction.updated";
	unsigned nth = s->ended		 ? EVENT_ENDED
		       : result->created ? EVENT_CREATED
					 : EVENT_UPDATED;
	struct buf object = BUF_INIT;
	if (result->contact_created) {
		char *contact =
			card_unnamed_json(&result->contact, &s->remote, TRUST_NETWORK);
		events_told(ph->events, ph->tenant, &s->stamp, EVENT_CONTACT_CREATED,
			"contact.created", contact, NULL);
		xfree(&contact);
	}
	put_contact(&object, &s->json, &result->contact);
	if (s->ended && result->created)
		events_told(ph->events, ph->tenant, &s->stamp, EVENT_CREATED,
			"interaction.created", buf_str(&object), NULL);
	events_told(
		ph->events, ph->tenant, &s->stamp, nth, type, buf_str(&object), NULL);
	buf_fini(&object);
}

/* The writer refuses when too many calls wait: from then on the spool alone keeps them,
 * and nothing may be cut from it until phone_heal.c has read it again (or the next start
 * has). To be called before the refused saving's checkpoint is computed, which would pass
 * it by. */
static void
freeze(struct phone *ph)
{
	unsigned long quiet;
	ph->frozen = true;
	if (log_once_due(&ph->refused_log, 60, &quiet))
		log_errorx(ph->who,
			"too many calls wait for the database; from here on they are "
			"kept in the spool only, and written when there is room "
			"(%lu more since the last message)",
			quiet);
}

/* The healing finds the call; that its end is news must be known then. */
static void
note_refused(struct phone *ph, const struct saving *s)
{
	char text[UUID_TEXT_LEN];
	struct phone_call *pc = find_call(ph, &s->id);
	if (pc && !pc->dirty_link.next)
		list_append(&ph->dirty, &pc->dirty_link);
	if (s->ended && !s->found && ph->refused.len < REFUSED_MAX)
		map_put(&ph->refused, uuid_format(text, &s->id), ph);
}

static void
on_saved(void *arg, const struct write_result *result)
{
	struct saving *s = arg;
	struct phone *ph = s->phone;
	struct phone_call *pc = find_call(ph, &s->id);
	if (pc && pc->savings && !s->found)
		pc->savings--;
	if (s->found && --ph->heal_savings == 0 && ph->heal)
		loop_timer_start(ph->heal_timer, 0);
	if (result->status == WRITE_REFUSED && !ph->closed)
		note_refused(ph, s);
	if (result->status == WRITE_DONE && !s->gone) {
		if (pc) {
			pc->contact = result->contact;
			subject_contact(pc->subject, &result->contact);
		}
		if (!s->quiet || result->created)
			publish(s, result);
	}
	if (s->past_done)
		s->past_done(s->past_arg, result->status == WRITE_DONE);
	buf_fini(&s->json);
	mem_free(s);
	if (--ph->savings == 0 && ph->closed)
		phone_free(ph);
}

static void
fill_record(struct phone_call *pc, struct call_record *r, const char *source)
{
	struct phone *ph = pc->phone;
	call_record_init(r, pc->call, ph->tenant, phone_region(ph), source);
	if (r->in.remote_value && phone_is_own_number(ph, pc->call->number))
		r->in.no_contact = true;
	if (r->in.remote_value && !r->in.no_contact)
		r->in.new_contact =
			card_new_contact_id(ph->tenant, &r->remote, pc->call->at_us);
	phone_hide(pc, r);
}

/* What the saving's transaction writes for webhooks; NULL if nobody wants it. The nil id
 * stands for the contact that may be made. */
static const struct interaction_event *
fill_event(struct saving *s, struct interaction_event *event)
{
	struct uuid nil = {{0}};
	s->stamp = events_stamp(s->phone->events, s->phone->tenant);
	if (!s->stamp.kept)
		return NULL;
	*event = (struct interaction_event){.stamp = s->stamp,
		.ended = s->ended,
		.quiet = s->quiet,
		.object = buf_str(&s->json)};
	if (s->remote.value[0])
		event->new_contact = card_unnamed_json(&nil, &s->remote, TRUST_NETWORK);
	return event;
}

static void
free_event(struct interaction_event *event)
{
	mem_free((void *)(uintptr_t)event->new_contact);
}

/* absorbed_by: nil, or the call this one turned out to be part of. source: NULL, or the
 * history's. Fills r, which the caller finishes. */
static struct saving *
saving_new(struct phone_call *pc, const struct uuid *absorbed_by, const char *source,
	struct call_record *r)
{
	struct saving *s = xcalloc(1, sizeof(*s));
	struct uuid nobody = {{0}};
	struct json_out j;
	fill_record(pc, r, source);
	r->in.absorbed_by = *absorbed_by;
	s->phone = pc->phone;
	s->id = pc->call->id;
	s->ended = pc->call->phase == CALL_PHASE_ENDED;
	s->gone = !uuid_is_nil(absorbed_by);
	s->quiet = pc->phone->replaying;
	s->remote = r->remote;
	buf_reserve(&s->json, 1000);
	json_out_init(&j, &s->json);
	call_record_json(&j, NULL, r, &nobody);
	return s;
}

/* Hands it over, with what webhooks are to hear of it. Ends r. */
static void
hand_over(struct saving *s, struct call_record *r, const struct checkpoint *checkpoint)
{
	struct interaction_event event;
	if (!s->gone)
		r->in.event = fill_event(s, &event);
	s->phone->savings++;
	writer_save(s->phone->writer, &r->in, checkpoint, on_saved, s);
	if (r->in.event)
		free_event(&event);
	call_record_fini(r);
}

void
phone_save_past(struct phone *ph, struct call *c, const char *source,
	phone_saved_fn *done, void *arg)
{
	struct phone_call once = {.phone = ph, .call = c};
	struct uuid nobody = {{0}};
	struct call_record r;
	struct saving *s = saving_new(&once, &nobody, source, &r);
	s->ended = false; /* long ago: no news */
	s->past_done = done;
	s->past_arg = arg;
	hand_over(s, &r, NULL);
}

bool
phone_save_found(struct phone *ph, struct call *c, const struct uuid *absorbed_by)
{
	struct phone_call once = {.phone = ph, .call = c};
	struct call_record r;
	char text[UUID_TEXT_LEN];
	if (find_call(ph, &c->id))
		return true;
	if (writer_is_full(ph->writer))
		return false;
	struct saving *s = saving_new(&once, absorbed_by, NULL, &r);
	s->found = true;
	s->quiet = !map_remove(&ph->refused, uuid_format(text, &c->id));
	ph->heal_savings++;
	hand_over(s, &r, NULL);
	return true;
}

static void
save(struct phone_call *pc, const struct uuid *absorbed_by)
{
	struct phone *ph = pc->phone;
	struct call_record r;
	struct saving *s = saving_new(pc, absorbed_by, NULL, &r);

	if (writer_is_full(ph->writer))
		freeze(ph);
	struct checkpoint checkpoint = {ph->channel, phone_checkpoint(ph)};
	ph->sent_checkpoint = checkpoint.seq;
	pc->savings++;
	hand_over(s, &r, &checkpoint);
	list_remove(&pc->dirty_link);
}

static void
mark_dirty(struct phone_call *pc)
{
	if (!pc->dirty_link.next)
		list_append(&pc->phone->dirty, &pc->dirty_link);
}

void
phone_flush(struct phone *ph)
{
	struct uuid nobody = {{0}};
	ph->flushed = ph->last_seq;
	if (writer_is_full(ph->writer) && !ph->closing)
		return; /* they stay dirty */
	list_for_each_safe (&ph->dirty, it) {
		struct phone_call *pc = LIST_ENTRY(it, struct phone_call, dirty_link);
		if (!pc->savings || ph->closing)
			save(pc, &nobody);
	}
	struct checkpoint checkpoint = {ph->channel, phone_checkpoint(ph)};
	if (checkpoint.seq <= ph->sent_checkpoint)
		return;
	ph->sent_checkpoint = checkpoint.seq;
	writer_checkpoint(ph->writer, ph->tenant, &checkpoint);
}

/* ---- Subjects ---------------------------------------------------------------------
 */

static void
with_subject_info(struct phone_call *pc,
	void (*use)(struct phone_call *, const struct subject_info *))
{
	struct call_record r;
	fill_record(pc, &r, NULL);
	struct subject_info info = {
		.tenant = pc->phone->tenant,
		.interaction = pc->call->id,
		.channel = r.in.channel,
		.kind = r.in.kind,
		.direction = r.in.direction,
		.queue = r.in.queue,
		.call_id = pc->call->linked,
		.remote_kind = r.in.remote_kind,
		.remote_display = r.in.remote_display,
		.remote_value = r.in.remote_value,
		.remote_normal = r.in.remote_normal,
		.withheld = r.in.withheld,
		.no_contact = r.in.no_contact,
		.trust = r.in.trust,
		.local = r.in.local,
		.variables = r.in.variables,
		.at_us = r.in.at_us,
	};
	use(pc, &info);
	call_record_fini(&r);
}

static void
begin_subject(struct phone_call *pc, const struct subject_info *info)
{
	pc->subject = subject_begin(pc->phone->pops, info);
}

static void
update_subject(struct phone_call *pc, const struct subject_info *info)
{
	subject_update(pc->subject, info);
}

void
phone_call_free(struct phone_call *pc)
{
	char text[UUID_TEXT_LEN];
	map_remove(&pc->phone->by_id, uuid_format(text, &pc->call->id));
	list_remove(&pc->link);
	list_remove(&pc->dirty_link);
	pc->call->user = NULL;
	mem_free(pc);
}

/* ---- What the tracker tells -------------------------------------------------------
 */

static void
call_begun(void *arg, struct call *c)
{
	struct phone *ph = arg;
	struct phone_call *pc = xcalloc(1, sizeof(*pc));
	struct uuid nobody = {{0}};
	char text[UUID_TEXT_LEN];
	pc->phone = ph;
	pc->call = c;
	c->user = pc;
	list_append(&ph->calls, &pc->link);
	map_put(&ph->by_id, uuid_format(text, &c->id), pc);
	with_subject_info(pc, begin_subject);
	if (ph->replaying)
		mark_dirty(pc); /* most have ended before the replay is through */
	else
		save(pc, &nobody);
	log_debug(ph->who, "call %s begins (%s)", text, c->linked);
}

static void
call_changed(void *arg, struct call *c)
{
	struct phone_call *pc = c->user;
	(void)arg;
	with_subject_info(pc, update_subject);
	mark_dirty(pc);
}

static void
call_ended(void *arg, struct call *c)
{
	struct phone *ph = arg;
	struct phone_call *pc = c->user;
	struct uuid nobody = {{0}};
	const char *how = call_disposition_text(c->disposition);
	save(pc, &nobody);
	ph->forgotten |= c->forgotten;
	log_debug(ph->who, "call %s ended: %s", c->linked, how ? how : "");
	subject_end(&pc->subject);
	phone_call_free(pc);
}

/* What we had lost sight of did end, later than we thought: the row is saved again. */
static void
call_corrected(void *arg, struct call *c)
{
	struct phone_call once = {.phone = arg, .call = c};
	struct uuid nobody = {{0}};
	save(&once, &nobody);
}

static void
call_absorbed(void *arg, struct call *absorbed, struct call *into)
{
	struct phone *ph = arg;
	struct phone_call *pc = absorbed->user;
	log_debug(
		ph->who, "call %s is part of call %s", absorbed->linked, into->linked);
	save(pc, &into->id);
	subject_end(&pc->subject);
	phone_call_free(pc);
}

static const char *
leg_pop_state(const struct call_leg *leg)
{
	static const char *const text[] = {"ringing", "talking", "held", "ended"};
	return text[leg->state];
}

static void
fill_pop(struct pop_info *info, const struct call *c, const struct call_leg *leg)
{
	const struct phone_call *pc = c->user;
	int64_t since = c->queue_since_us ? c->queue_since_us : c->at_us;
	memset(info, 0, sizeof(*info));
	info->pop = leg->id;
	info->agent = leg->agent;
	info->queue = leg->queue;
	info->state = leg_pop_state(leg);
	info->at_us = leg->state == LEG_RINGING ? leg->at_us
		      : pc->phone->event_us	? pc->phone->event_us
						: phone_now(pc->phone);
	info->waited_ms = (leg->at_us - since) / 1000;
	if (info->waited_ms < 0 || c->direction == CALL_OUT)
		info->waited_ms = 0;
}

/* Who talks is busy, beside whatever their state is. */
static void
note_talk(struct phone *ph, const struct call_leg *leg)
{
	if (!ph->states || !leg->agent)
		return;
	if (leg->state == LEG_ENDED)
		agent_states_call_over(ph->states, &leg->id,
			ph->replaying ? leg->ended_us : clock_wall_us());
	else if (leg->state == LEG_TALKING || leg->state == LEG_HELD)
		agent_states_on_call(ph->states, ph->tenant, leg->agent, &leg->id);
}

static void
leg_begun(void *arg, struct call *c, struct call_leg *leg)
{
	struct phone_call *pc = c->user;
	struct pop_info info;
	note_talk(arg, leg);
	fill_pop(&info, c, leg);
	pop_open(pc->subject, &info);
}

static void
leg_changed(void *arg, struct call *c, struct call_leg *leg)
{
	struct phone_call *pc = c->user;
	struct pop_info info;
	note_talk(arg, leg);
	fill_pop(&info, c, leg);
	pop_update(pc->subject, &info);
}

static void
leg_ended(void *arg, struct call *c, struct call_leg *leg)
{
	struct phone_call *pc = c->user;
	note_talk(arg, leg);
	pop_close(pc->subject, &leg->id, call_reason_text(leg->result), leg->ended_us);
}

static void
queue_changed(void *arg, struct call *c, struct call_leg *leg)
{
	struct phone_call *pc = c->user;
	struct pop_info info;
	if (leg->state == LEG_ENDED) {
		leg_ended(arg, c, leg);
		return;
	}
	fill_pop(&info, c, leg);
	info.agent = NULL;
	info.state = "waiting";
	info.waited_ms = 0;
	pop_open(pc->subject, &info);
}

const struct tracker_observer phone_observer = {
	.call_begun = call_begun,
	.call_changed = call_changed,
	.call_ended = call_ended,
	.call_corrected = call_corrected,
	.call_absorbed = call_absorbed,
	.leg_begun = leg_begun,
	.leg_changed = leg_changed,
	.leg_ended = leg_ended,
	.queue_changed = queue_changed,
	.call_missed = phone_call_missed,
	.compared = phone_compared,
};
