/* pop_json.c - the object an agent's screen gets, as contract.md gives it.
 *
 *	{"v":1,"type":"pop.open","epoch":"k3v9","seq":42 ,"at":"…","tenant":…}
 *	|                                               ||                    |
 *	 head: put before it by pop.lua, which numbers    tail: rendered here
 *
 * The head's form is fixed (no blanks, this order): the scripts and pop_json_head read
 * it without parsing JSON. The tail depends on nothing but the state of pop, subject
 * and card, so that the same state gives the same bytes: that is how pop.lua knows a
 * command it has had before.
 *
 * An object is at most 64 KiB. What is too much goes in this order: the oldest of
 * `recent`, the variables, attributes, candidates, the other identities, and at last
 * the contact but for its id. */
#include <desk/pop_priv.h>

#include <clock.h>
#include <json.h>
#include <mem.h>
#include <str.h>

#include <jansson.h>

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define TAIL_MAX (POP_MAX - POP_HEAD_MAX)
#define COMPACT	 (JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_ENCODE_ANY)
/* No single string of the object may be longer; customers' systems send odd ones. */
#define TEXT_MAX 1024

/* The parts that may have to be cut; JSON texts. */
struct parts {
	const char *variables, *contact, *candidates, *recent;
};

static void
put_text(struct json_out *j, const char *key, const char *s)
{
	if (!s)
		json_put_null(j, key);
	else
		json_put_string_len(j, key, s, utf8_cut(s, strlen(s), TEXT_MAX));
}

static void
put_uuid(struct json_out *j, const char *key, const struct uuid *id)
{
	char text[UUID_TEXT_LEN];
	json_put_string(j, key, uuid_format(text, id));
}

static void
put_remote(struct json_out *j, const struct subject *s)
{
	json_put_object(j, "remote");
	json_put_string(j, "kind", s->remote_kind);
	put_text(j, "value", s->remote_value);
	put_text(j, "display", s->remote_display);
	json_put_bool(j, "withheld", s->withheld);
	json_put_string(j, "trust", trust_text(s->trust));
	json_put_object_end(j);
}

/* What the company's own system says, while the database cannot say whose it is. */
static void
put_found(struct json_out *j, const json_t *person)
{
	json_t *o = json_copy(json_object_get(person, "set"));
	const json_t *external = json_object_get(person, "external");
	if (external)
		json_object_set(o, "external", (json_t *)(uintptr_t)external);
	char *text = json_dumps(o, COMPACT);
	json_put_raw(j, "lookup", text ? text : "null");
	free(text);
	json_decref(o);
}

static void
render(struct buf *out, const struct pop *p, const struct parts *parts)
{
	const struct subject *s = p->subject;
	struct json_out j;

	json_out_init(&j, out);
	json_put_object(&j, NULL);
	json_put_time(&j, "at", p->at_us);
	json_put_string(&j, "tenant", s->tenant->tenant->name);
	json_put_string(&j, "agent", p->list->is_queue ? NULL : p->list->id);
	put_uuid(&j, "pop", &p->id);
	put_uuid(&j, "interaction", &s->interaction);
	json_put_null(&j, "conversation");
	put_text(&j, "channel", s->channel);
	put_text(&j, "kind", s->kind);
	put_text(&j, "direction", s->direction);
	json_put_string(&j, "state", p->state);
	json_put_string(&j, "reason", pop_is_live(p) ? NULL : p->reason);
	put_text(&j, "queue", p->queue ? p->queue : s->queue);
	json_put_int(&j, "waited_ms", p->waited_ms);
	put_text(&j, "call_id", s->call_id);
	put_remote(&j, s);
	put_text(&j, "local", s->local);
	json_put_raw(&j, "variables", parts->variables);
	json_put_raw(&j, "contact", parts->contact);
	json_put_raw(&j, "candidates", parts->candidates);
	json_put_raw(&j, "recent", parts->recent);
	json_put_bool(&j, "degraded", subject_is_degraded(s));
	if (s->person && !s->card)
		put_found(&j, s->person);
	json_put_object_end(&j);
}

/* ---- Cutting ---- */

/* Takes the last items out of a JSON array until `excess` bytes are gone. */
static char *
cut_array(const char *json, size_t excess)
{
	json_t *a = json_loads(json, 0, NULL);
	size_t gone = 0;
	while (json_array_size(a) && gone < excess) {
		size_t last = json_array_size(a) - 1;
		gone += json_dumpb(json_array_get(a, last), NULL, 0, COMPACT) + 1;
		json_array_remove(a, last);
	}
	char *text = a ? json_dumps(a, COMPACT) : NULL;
	json_decref(a);
	return text ? text : strdup("[]");
}

static void
empty_attributes(json_t *contact)
{
	if (json_object_get(contact, "attributes"))
		json_object_set_new(contact, "attributes", json_object());
}

/* A contact, or an array of them, with less and less in it. */
static char *
cut_contacts(const char *json, unsigned level)
{
	json_t *all = json_loads(json, JSON_DECODE_ANY, NULL);
	json_t *item;
	size_t i;
	if (level >= 3 && json_is_object(all)) {
		item = json_incref(json_object_get(all, "id"));
		json_object_clear(all);
		json_object_set_new(all, "id", item);
	} else if (level >= 2 && json_is_object(all)) {
		json_object_set_new(all, "identities", json_array());
	}
	empty_attributes(all);
	json_array_foreach(all, i, item) empty_attributes(item);
	char *text = all ? json_dumps(all, COMPACT) : NULL;
	json_decref(all);
	return text ? text : strdup("null");
}

/* One step less of what is shown; old parts that were made here are freed by the caller
 * through `made`. */
static void
cut_parts(struct parts *parts, unsigned step, size_t excess, char *made[2])
{
	switch (step) {
	case 1: parts->recent = made[0] = cut_array(parts->recent, excess); break;
	case 2: parts->variables = "{}"; break;
	case 3:
		parts->contact = made[0] = cut_contacts(parts->contact, 1);
		parts->candidates = made[1] = cut_contacts(parts->candidates, 1);
		break;
	case 4: parts->candidates = "[]"; break;
	case 5: parts->contact = made[0] = cut_contacts(parts->contact, 2); break;
	default: parts->contact = made[0] = cut_contacts(parts->contact, 3); break;
	}
}

#define CUT_STEPS 6

static struct parts
get_parts(const struct subject *s)
{
	struct parts parts = {s->variables, "null", "[]", "[]"};
	if (s->card) {
		parts.contact = s->named     ? s->named
				: s->unnamed ? s->unnamed
					     : s->card->contact_json;
		parts.candidates = s->card->candidates_json;
		parts.recent = s->card->recent_json;
	}
	return parts;
}

/* What stands from start on becomes what somebody limited may see of it. */
static void
filter_tail(
	struct buf *out, size_t start, const struct pop *p, const struct sight *sight)
{
	static const struct parts nothing = {"{}", "null", "[]", "[]"};
	struct buf seen = BUF_INIT;
	if (!pop_json_seen(&seen, out->data + start, out->len - start, sight)) {
		/* A number in it that no reader takes: then without all of it. */
		out->len = start;
		render(out, p, &nothing);
		pop_json_seen(&seen, out->data + start, out->len - start, sight);
	}
	out->len = start;
	buf_add(out, seen.data, seen.len);
	buf_fini(&seen);
}

void
pop_json_tail(struct buf *out, const struct pop *p)
{
	struct parts parts = get_parts(p->subject);
	char *made[CUT_STEPS + 1][2] = {{NULL}};
	size_t start = out->len;

	render(out, p, &parts);
	for (unsigned step = 1; out->len - start > TAIL_MAX && step <= CUT_STEPS;
		step++) {
		cut_parts(&parts, step, out->len - start - TAIL_MAX, made[step]);
		out->len = start;
		render(out, p, &parts);
	}
	const struct sight *sight = pop_sight(p);
	if (sight)
		filter_tail(out, start, p, sight);
	out->data[start] = ',';
	for (unsigned step = 1; step <= CUT_STEPS; step++) {
		xfree(&made[step][0]);
		xfree(&made[step][1]);
	}
}

/* ---- Reading what we wrote ---- */

static bool
skip(const char **at, const char *end, const char *word)
{
	size_t n = strlen(word);
	if ((size_t)(end - *at) < n || memcmp(*at, word, n) != 0)
		return false;
	*at += n;
	return true;
}

bool
pop_json_head(const char *json, size_t len, struct pop_head *h)
{
	const char *at = json, *end = json + len;
	size_t n = 0;

	if (!skip(&at, end, "{\"v\":1,\"type\":\""))
		return false;
	h->type = at;
	while (at < end && (islower((unsigned char)*at) || *at == '.'))
		at++;
	h->type_len = (size_t)(at - h->type);
	if (!skip(&at, end, "\""))
		return false;
	h->rest = at;
	if (!skip(&at, end, ",\"epoch\":\""))
		return false;
	for (; at < end && *at != '"' && n + 1 < sizeof(h->epoch); at++)
		h->epoch[n++] = *at;
	h->epoch[n] = '\0';
	if (!skip(&at, end, "\",\"seq\":"))
		return false;
	h->seq = 0;
	const char *digits = at;
	for (; at < end && isdigit((unsigned char)*at) && at - digits < 19; at++)
		h->seq = h->seq * 10 + (uint64_t)(*at - '0');
	return at > digits && at < end && *at == ',';
}

bool
pop_json_close_tail(
	struct buf *out, const char *json, const char *reason, int64_t at_us)
{
	char at[CLOCK_RFC3339_LEN];
	json_t *o = json_loads(json, 0, NULL);
	if (!json_is_object(o)) {
		json_decref(o);
		return false;
	}
	/* The rest keeps its place and order. */
	json_object_set_new(o, "at", json_string(clock_format(at, at_us)));
	json_object_set_new(o, "state", json_string("ended"));
	json_object_set_new(o, "reason", json_string(reason));
	json_object_del(o, "v");
	json_object_del(o, "type");
	json_object_del(o, "epoch");
	json_object_del(o, "seq");
	char *text = json_dumps(o, COMPACT);
	json_decref(o);
	if (!text)
		return false;
	buf_addc(out, ',');
	buf_adds(out, text + 1);
	free(text);
	return true;
}
