/* call_record.c - a call as an interaction of the timeline.
 *
 * The row and the JSON come from the same struct interaction, so what an event says and
 * what GET /v1/interactions/{id} says cannot differ. */
#include <calls/call_record.h>

#include <mem.h>
#include <str.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void
call_variables_json(struct buf *out, const struct call *c)
{
	struct json_out j;
	json_out_init(&j, out);
	json_put_object(&j, NULL);
	for (unsigned i = 0; i < c->n_vars; i++)
		json_put_string(&j, c->vars[i].name, c->vars[i].value);
	json_put_object_end(&j);
}

/* Recordings and voicemail: references as the phone system gave them. The source is kept
 * here: see interaction_history_rule in conf/sql/020-gaps.sql. */
static void
details_json(struct buf *out, const struct call *c, const char *source)
{
	struct json_out j;
	json_out_init(&j, out);
	json_put_object(&j, NULL);
	if (c->n_recordings) {
		json_put_array(&j, "recordings");
		for (unsigned i = 0; i < c->n_recordings; i++)
			json_put_string(&j, NULL, c->recordings[i]);
		json_put_array_end(&j);
	}
	if (c->voicemail)
		json_put_string(&j, "voicemail", c->voicemail);
	if (c->language)
		json_put_string(&j, "language", c->language);
	if (c->recovered)
		json_put_bool(&j, "recovered", true);
	if (source)
		json_put_string(&j, "source", source);
	json_put_object_end(&j);
}

static void
add_duration(struct buf *out, int64_t ms)
{
	int64_t s = ms / 1000;
	if (s >= 3600)
		buf_printf(out, "%" PRId64 ":%02" PRId64 ":%02" PRId64, s / 3600,
			s / 60 % 60, s % 60);
	else
		buf_printf(out, "%" PRId64 ":%02" PRId64, s / 60, s % 60);
}

/* One line for people: never a number or a name of the customer's. */
static void
summarise(struct buf *out, const struct call *c)
{
	const char *end = call_disposition_text(c->disposition);
	if (c->phase != CALL_PHASE_ENDED) {
		buf_adds(out, call_phase_text(c->phase));
		if (c->agent)
			buf_printf(out, ", agent %s", c->agent);
		else if (c->queue)
			buf_printf(out, " in %s", c->queue);
		return;
	}
	buf_adds(out, end ? end : "ended");
	for (char *p = out->data; p && *p; p++)
		if (*p == '_')
			*p = ' ';
	if (c->disposition == CALL_DISP_ANSWERED && c->agent)
		buf_printf(out, c->direction == CALL_IN ? " by %s" : ", called by %s",
			c->agent);
	if (c->queue)
		buf_printf(out, ", queue %s", c->queue);
	buf_adds(out, ", waited ");
	add_duration(out, c->wait_ms);
	if (c->answered_us) {
		buf_adds(out, ", talked ");
		add_duration(out, c->talk_ms);
	}
	if (c->hold_ms >= 500) {
		buf_adds(out, ", held ");
		add_duration(out, c->hold_ms);
	}
}

/* The phone system's clock may have been put back in mid-call. 0 stays 0. */
static int64_t
not_before(int64_t us, int64_t earliest_us)
{
	return us && us < earliest_us ? earliest_us : us;
}

static void
fill_legs(struct call_record *r, const struct call *c)
{
	size_t n = 0;
	list_for_each (&c->legs, it)
		n++;
	r->legs = xcalloc(n + 1, sizeof(*r->legs));
	list_for_each (&c->legs, it) {
		const struct call_leg *leg = LIST_ENTRY(it, struct call_leg, link);
		struct interaction_leg *to = &r->legs[r->in.n_legs++];
		to->id = leg->id;
		to->type = leg_type_text(leg->type);
		to->agent = leg->agent;
		to->interface = leg->interface;
		to->queue = leg->queue;
		to->result = call_reason_text(leg->result);
		to->at_us = leg->at_us;
		to->answered_us = not_before(leg->answered_us, leg->at_us);
		to->ended_us = not_before(
			leg->ended_us, to->answered_us ? to->answered_us : leg->at_us);
	}
	r->in.legs = r->legs;
}

static void
fill_remote(struct call_record *r, const struct call *c, const char *region)
{
	r->in.remote_kind = "phone";
	r->in.remote_display = c->display;
	r->in.withheld = c->withheld;
	r->in.trust = TRUST_NETWORK;
	r->in.no_contact = true;
	if (c->withheld || !c->number || address_phone_is_nobody(c->number)) {
		r->in.withheld = c->withheld || c->number;
		return;
	}
	if (!address_make("phone", c->number, region, &r->remote))
		return;
	r->in.remote_value = r->remote.value;
	r->in.remote_normal = r->remote.normal;
	r->in.no_contact = false;
}

void
call_record_init(struct call_record *r, const struct call *c,
	const struct tenant *tenant, const char *region, const char *source)
{
	memset(r, 0, sizeof(*r));
	snprintf(r->external_id, sizeof(r->external_id), "%s", c->key);
	call_variables_json(&r->variables, c);
	r->source = source ? source : "events";
	r->gap = c->missed != 0 || source;
	details_json(&r->details, c, source);
	summarise(&r->summary, c);
	bool ended = c->phase == CALL_PHASE_ENDED;
	r->in.tenant = tenant;
	r->in.id = c->id;
	r->in.kind = "call";
	r->in.direction = c->direction == CALL_IN ? "in" : "out";
	r->in.channel = c->channel;
	r->in.external_id = r->external_id;
	r->in.state = call_phase_text(c->phase);
	r->in.agent = c->agent;
	r->in.queue = c->queue;
	r->in.local = c->local;
	r->in.at_us = c->at_us;
	r->in.answered_us = not_before(c->answered_us, c->at_us);
	r->in.ended_us = not_before(
		c->ended_us, r->in.answered_us ? r->in.answered_us : c->at_us);
	r->in.summary = buf_str(&r->summary);
	r->in.variables = buf_str(&r->variables);
	r->in.details = buf_str(&r->details);
	r->in.disposition = call_disposition_text(c->disposition);
	r->in.wait_ms = ended ? c->wait_ms : -1;
	r->in.talk_ms = ended ? c->talk_ms : -1;
	r->in.hold_ms = ended ? c->hold_ms : -1;
	fill_remote(r, c, region);
	fill_legs(r, c);
}

void
call_record_fini(struct call_record *r)
{
	xfree(&r->legs);
	buf_fini(&r->summary);
	buf_fini(&r->variables);
	buf_fini(&r->details);
}

static void
add_ms(struct json_out *j, const char *key, int64_t ms)
{
	if (ms < 0)
		json_put_null(j, key);
	else
		json_put_int(j, key, ms);
}

static void
add_uuid(struct json_out *j, const char *key, const struct uuid *id)
{
	char text[UUID_TEXT_LEN];
	json_put_string(j, key, uuid_is_nil(id) ? NULL : uuid_format(text, id));
}

static void
add_remote(struct json_out *j, const struct interaction *in)
{
	json_put_object(j, "remote");
	json_put_string(j, "kind", in->remote_kind);
	json_put_string(j, "value", in->remote_value);
	json_put_string(j, "display", in->remote_display);
	json_put_bool(j, "withheld", in->withheld);
	json_put_object_end(j);
}

static void
add_leg(struct json_out *j, const struct interaction_leg *leg)
{
	json_put_object(j, NULL);
	json_put_string(j, "type", leg->type);
	json_put_string(j, "agent", leg->agent);
	json_put_string(j, "interface", leg->interface);
	json_put_string(j, "queue", leg->queue);
	json_put_time(j, "at", leg->at_us);
	json_put_time(j, "answered_at", leg->answered_us);
	json_put_time(j, "ended_at", leg->ended_us);
	json_put_string(j, "result", leg->result);
	json_put_object_end(j);
}

void
call_record_json(struct json_out *j, const char *key, const struct call_record *r,
	const struct uuid *contact)
{
	const struct interaction *in = &r->in;
	json_put_object(j, key);
	add_uuid(j, "id", &in->id);
	json_put_string(j, "kind", in->kind);
	json_put_string(j, "direction", in->direction);
	json_put_string(j, "channel", in->channel);
	json_put_string(j, "external_id", in->external_id);
	json_put_string(j, "state", in->state);
	add_uuid(j, "contact", contact);
	json_put_null(j, "conversation");
	json_put_string(j, "agent", in->agent);
	json_put_string(j, "queue", in->queue);
	add_remote(j, in);
	json_put_string(j, "local", in->local);
	json_put_time(j, "at", in->at_us);
	json_put_time(j, "answered_at", in->answered_us);
	json_put_time(j, "ended_at", in->ended_us);
	json_put_string(j, "summary", in->summary);
	json_put_raw(j, "variables", in->variables);
	json_put_string(j, "disposition", in->disposition);
	add_ms(j, "wait_ms", in->wait_ms);
	add_ms(j, "talk_ms", in->talk_ms);
	add_ms(j, "hold_ms", in->hold_ms);
	json_put_string(j, "source", r->source);
	json_put_bool(j, "gap", r->gap);
	json_put_array(j, "legs");
	for (size_t i = 0; i < in->n_legs; i++)
		add_leg(j, &in->legs[i]);
	json_put_array_end(j);
	json_put_object_end(j);
}
