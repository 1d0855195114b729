/* agent_orders.c - pauses passed on to the phone systems, until they have them.
 *
 * For every phone with memberships there is what we want (agent_wants_pause) and what is
 * so. If they differ, one order is passed on (channel_ops.pause), and one only: the next
 * when it was answered. What was refused is not repeated until something happens there
 * (an event, a list), so nothing is hammered; what could not be passed on is when the
 * channel is up and has listed its members.
 *
 * An order is told back as events, one per queue. They are no news of the agent's: each
 * membership remembers what it will hear, and forgets it with the event or after a time. */
#include <desk/agent_states_priv.h>

#include <clock.h>
#include <mem.h>
#include <str.h>

#include <io/channel.h>

#include <string.h>

#define ECHO_US (10 * INT64_C(1000000)) /* after the answer; the event may come late */

/* ---- Echoes ---- */

static void
echoes_drop(struct agent_queue *q, unsigned n)
{
	q->n_echoes -= n;
	memmove(q->echoes, q->echoes + n, q->n_echoes * sizeof(*q->echoes));
}

bool
agent_echo_take(struct agent_queue *q, bool paused)
{
	int64_t now = clock_mono_us();

	while (q->n_echoes && q->echoes[0].until_us < now)
		echoes_drop(q, 1);
	for (unsigned i = 0; i < q->n_echoes; i++)
		if (q->echoes[i].paused == paused) {
			echoes_drop(q, i + 1);
			return true;
		}
	return false;
}

static void
echo_expect(struct agent_queue *q, bool paused)
{
	if (q->n_echoes == AGENT_ECHOES_MAX)
		echoes_drop(q, 1);
	q->echoes[q->n_echoes++] = (struct agent_echo){paused, INT64_MAX};
}

/* The order was answered: taken, or not. */
static void
echo_answered(struct agent_queue *q, const struct agent_order *o, bool taken)
{
	for (unsigned i = 0; i < q->n_echoes; i++)
		if (q->echoes[i].until_us == INT64_MAX)
			q->echoes[i].until_us = taken ? clock_mono_us() + ECHO_US : 0;
	if (!taken)
		return;
	q->paused = o->paused;
	str_copy(q->reason, sizeof(q->reason), o->paused ? o->reason : "");
}

/* ---- What is so ---- */

static bool
is_as_wished(const struct agent_record *r, const struct agent_phone *p)
{
	if (!p->wish)
		return !agent_phones_all_paused(r, p->source);
	list_for_each (&p->queues, it) {
		const struct agent_queue *q = LIST_ENTRY(it, struct agent_queue, link);
		if (!q->paused || !str_eq(q->reason, p->wish_reason))
			return false;
	}
	return true;
}

/* Taken by the phone system, though what it tells may differ (a reason cut short). */
static bool
was_answered(const struct agent_phone *p, enum order_result result)
{
	return p->result == result && p->ordered == p->wish &&
	       (!p->wish || str_eq(p->ordered_reason, p->wish_reason));
}

static bool
wish_update(const struct agent_record *r, struct agent_phone *p)
{
	const char *reason;
	int want = agent_wants_pause(&r->facts, clock_wall_us(), &reason);

	if (want < 0)
		return false;
	if (p->wished && (p->wish != (want == 1) || !str_eq(p->wish_reason, reason)))
		p->agreed = false;
	p->wished = true;
	p->wish = want == 1;
	str_copy(p->wish_reason, sizeof(p->wish_reason), reason);
	return true;
}

/* ---- Passing on ---- */

static void
log_refusal(struct agent_order *o, const char *why)
{
	struct agent_phone *p = o->phone;
	unsigned long more;

	if (log_once_due(&p->refused_log, 600, &more))
		log_warnx(channel_who(p->source->channel),
			"agent %s cannot be %s there (%s): %s",
			p->agent ? p->agent->id : "?",
			o->paused ? "paused" : "taken back", p->name, why);
}

static void
on_done(void *arg, const char *error)
{
	struct agent_order *o = arg;
	struct agent_phone *p = o->phone;

	list_remove(&o->link);
	if (!o->states || !p) {
		mem_free(o);
		return;
	}
	p->order = NULL;
	list_for_each (&p->queues, it)
		echo_answered(LIST_ENTRY(it, struct agent_queue, link), o, !error);
	/* Without a connection nobody has refused anything. */
	p->result = !error ? ORDER_TAKEN : p->source->up ? ORDER_REFUSED : ORDER_NONE;
	p->ordered = o->paused;
	str_copy(p->ordered_reason, sizeof(p->ordered_reason), o->reason);
	str_copy(p->why, sizeof(p->why), error ? error : "");
	if (p->result == ORDER_REFUSED)
		log_refusal(o, error);
	if (p->agent)
		agent_orders_pump(o->states, p->agent);
	mem_free(o);
}

static void
pass_on(struct agent_states *as, struct agent_phone *p)
{
	const struct channel_ops *ops = channel_core_ops(p->source->channel);
	struct agent_order *o = xcalloc(1, sizeof(*o));
	const struct channel_pause what = {p->name, p->wish, o->reason};
	struct err err;

	o->states = as;
	o->phone = p;
	o->paused = p->wish;
	str_copy(o->reason, sizeof(o->reason), p->wish_reason);
	list_append(&as->orders, &o->link);
	if (ops->pause(p->source->channel, &what, on_done, o, &err) == 0) {
		p->order = o;
		list_for_each (&p->queues, it)
			echo_expect(LIST_ENTRY(it, struct agent_queue, link), p->wish);
		return;
	}
	p->result = ORDER_REFUSED;
	p->ordered = p->wish;
	str_copy(p->ordered_reason, sizeof(p->ordered_reason), p->wish_reason);
	str_copy(p->why, sizeof(p->why), err.text);
	list_remove(&o->link);
	mem_free(o);
}

static void
pump_phone(struct agent_states *as, struct agent_record *r, struct agent_phone *p)
{
	struct phone_source *src = p->source;

	if (!p->n_queues || !wish_update(r, p))
		return;
	if (is_as_wished(r, p)) {
		p->agreed = true;
		return;
	}
	if (p->order || !src->up || !src->listed || was_answered(p, ORDER_TAKEN) ||
		was_answered(p, ORDER_REFUSED) ||
		!channel_core_ops(src->channel)->pause)
		return;
	pass_on(as, p);
}

void
agent_orders_pump(struct agent_states *as, struct agent_record *r)
{
	if (!as->loaded)
		return;
	list_for_each_safe (&r->phones, it)
		pump_phone(as, r, LIST_ENTRY(it, struct agent_phone, link));
}

void
agent_orders_forget(struct agent_states *as)
{
	while (!list_is_empty(&as->orders)) {
		struct agent_order *o =
			LIST_ENTRY(as->orders.next, struct agent_order, link);
		list_remove(&o->link);
		o->states = NULL;
	}
}

/* ---- What is told of it ---- */

enum phone_text { PHONE_NONE, PHONE_OK, PHONE_PENDING, PHONE_REFUSED };

static enum phone_text
phone_text(const struct agent_record *r, const struct agent_phone *p)
{
	if (!p->n_queues)
		return PHONE_NONE;
	if (!p->wished || is_as_wished(r, p) || was_answered(p, ORDER_TAKEN))
		return PHONE_OK;
	if (was_answered(p, ORDER_REFUSED) ||
		!channel_core_ops(p->source->channel)->pause)
		return PHONE_REFUSED;
	return PHONE_PENDING;
}

const char *
agent_orders_text(const struct agent_record *r, const char **why_r)
{
	static const char *const texts[] = {"none", "ok", "pending", "refused"};
	enum phone_text worst = PHONE_NONE;

	*why_r = NULL;
	list_for_each (&r->phones, it) {
		const struct agent_phone *p = LIST_ENTRY(it, struct agent_phone, link);
		enum phone_text text = phone_text(r, p);
		worst = text > worst ? text : worst;
		if (text == PHONE_REFUSED)
			*why_r = *p->why ? p->why : "this driver cannot pause";
	}
	return texts[worst];
}
