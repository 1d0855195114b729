/* pop_lookup.c - a subject's stranger, as the company's own system knows them.
 *
 * Asked when the card shows nobody with a name, or there is no card in time. What is found
 * is shown at once over the card (`named`), and written to the contact; if that turns out
 * to be another (the system's own contact, calling from a new number), the card is asked
 * for again. Pops wait for the answer no longer than for the card: till the deadline. */
#include <desk/pop_priv.h>

#include <mem.h>
#include <str.h>

#include <stdlib.h>
#include <string.h>

#define COMPACT (JSON_COMPACT | JSON_PRESERVE_ORDER)

/* Outlives its subject. */
struct subject_storing {
	struct subject *subject;
};

/* ---- Showing ---- */

/* A member is filled in only where there is nothing yet. */
static void
fill_in(json_t *contact, const char *key, const json_t *set)
{
	json_t *value = json_object_get(set, key),
	       *have = json_object_get(contact, key);
	bool empty = !have || json_is_null(have) || json_is_false(have) ||
		     (json_is_array(have) && !json_array_size(have));
	if (value && empty)
		json_object_set(contact, key, value);
}

static void
fill_attributes(json_t *contact, const json_t *set)
{
	json_t *all = json_object(), *found = json_object_get(set, "attributes");
	if (found)
		json_object_update(all, found);
	json_object_update(all, json_object_get(contact, "attributes"));
	json_object_set_new(contact, "attributes", all);
}

static void
add_external(json_t *contact, const json_t *person)
{
	const char *external = json_string_value(json_object_get(person, "external"));
	if (external)
		json_array_append_new(json_object_get(contact, "identities"),
			json_pack("{s:s, s:s, s:s}", "kind", "external", "value",
				external, "trust", "recorded"));
}

/* The contact's JSON with what was found; NULL if it is none. Caller frees. */
static char *
with_found(const char *contact_json, const json_t *person)
{
	static const char *const keys[] = {
		"name", "roles", "language", "timezone", "vip"};
	json_t *contact = json_loads(contact_json, 0, NULL);
	const json_t *set = json_object_get(person, "set");
	char *text = NULL;
	if (json_is_object(contact)) {
		for (size_t i = 0; i < ARRAY_LEN(keys); i++)
			fill_in(contact, keys[i], set);
		fill_attributes(contact, set);
		add_external(contact, person);
		text = json_dumps(contact, COMPACT);
	}
	json_decref(contact);
	return text;
}

/* ---- Writing ---- */

static void
on_stored(void *arg, const struct store_answer *a)
{
	struct subject_storing *st = arg;
	struct subject *s = st->subject;
	xfree(&st);
	if (!s)
		return;
	s->storing = NULL;
	if (a->status != STORE_OK) {
		s->stored = false; /* with the next card */
		return;
	}
	/* Left as it was (somebody has named it meanwhile), or another contact's. */
	char id[UUID_TEXT_LEN];
	if (!a->json || !strstr(a->json, uuid_format(id, &s->shown)))
		subject_ask_again(s);
}

static void
store_found(struct subject *s)
{
	if (s->stored || s->storing || s->pops->store->held)
		return;
	s->stored = true;
	s->storing = xcalloc(1, sizeof(*s->storing));
	s->storing->subject = s;
	lookup_store(s->pops->opts.lookups, s->tenant->tenant, &s->address, &s->shown,
		s->person, on_stored, s->storing);
}

void
subject_show_found(struct subject *s)
{
	bool named = s->card->named || (!s->unnamed && uuid_is_nil(&s->card->contact));
	xfree(&s->named);
	if (!s->person || named)
		return;
	s->named =
		with_found(s->unnamed ? s->unnamed : s->card->contact_json, s->person);
	store_found(s);
}

/* ---- Asking ---- */

static void
on_looked_up(void *arg, const struct lookup_report *r)
{
	struct subject *s = arg;
	s->lookup = NULL;
	s->looked_up = true;
	bool waited = s->waits_for_lookup;
	s->waits_for_lookup = false;
	if (r->outcome == LOOKUP_FOUND) {
		s->person = json_incref(r->person);
		if (s->card)
			subject_show_found(s);
	}
	if (s->named || (s->person && !s->card && s->late))
		subject_touch(s);
	else if (waited)
		subject_release(s);
}

bool
subject_look_up(struct subject *s)
{
	struct lookups *lookups = s->pops->opts.lookups;
	if (s->lookup)
		return true;
	if (s->looked_up || s->pops->silent || s->ended ||
		!lookup_is_wanted(lookups, s->tenant->tenant, &s->address))
		return false;
	struct lookup_question q = {.tenant = s->tenant->tenant,
		.address = &s->address,
		.channel = s->channel,
		.queue = s->queue};
	s->lookup = lookup_start(lookups, &q, on_looked_up, s);
	return true;
}

void
subject_forget_lookup(struct subject *s)
{
	lookup_cancel(&s->lookup);
	if (s->storing)
		s->storing->subject = NULL;
	s->storing = NULL;
	json_decref(s->person);
	s->person = NULL;
	xfree(&s->named);
	s->looked_up = s->waits_for_lookup = s->stored = false;
}
