/* pop_follow.c - a contact that changes while an agent looks at it.
 *
 * Whoever is shown may get a name, be merged or be taken apart meanwhile, by an agent, a
 * colleague or another system. Each such change is an event with the contact's object; it
 * is read once, and the card is fetched again for every subject that shows one of the
 * contacts it names, or whose address is among the contact's. Whether anything is
 * different then is seen by comparing the cards (pop_subject.c). */
#include <desk/pop_priv.h>

#include <str.h>

#include <jansson.h>

static bool
names_id(const json_t *value, const struct uuid *id)
{
	struct uuid other;
	return uuid_parse(json_string_value(value), &other) && uuid_eq(&other, id);
}

static bool
lists_id(const json_t *ids, const struct uuid *id)
{
	for (size_t i = 0; i < json_array_size(ids); i++)
		if (names_id(json_array_get(ids, i), id))
			return true;
	return false;
}

static bool
has_address(const json_t *contact, const struct address *a)
{
	const json_t *list = json_object_get(contact, "identities");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *it = json_array_get(list, i);
		if (str_eq(json_string_value(json_object_get(it, "value")), a->value) &&
			str_eq(json_string_value(json_object_get(it, "kind")), a->kind))
			return true;
	}
	return false;
}

static bool
is_concerned(const struct subject *s, const json_t *contact, bool made)
{
	bool itself = names_id(json_object_get(contact, "id"), &s->shown);
	if (!s->wants_card || s->ended || s->storing)
		return false;
	/* The contact that was made for this call: shown already. */
	if (itself && made)
		return false;
	return itself || lists_id(json_object_get(contact, "absorbed"), &s->shown) ||
	       lists_id(json_object_get(contact, "released"), &s->shown) ||
	       has_address(contact, &s->address);
}

void
pops_follow_contact(
	struct pops *ps, const struct tenant *t, const char *type, const char *object)
{
	if (list_is_empty(&ps->subjects) || ps->silent)
		return;
	json_t *contact = json_loads(object, 0, NULL);
	bool made = str_eq(type, "contact.created");
	list_for_each (&ps->subjects, it) {
		struct subject *s = LIST_ENTRY(it, struct subject, link);
		if (s->tenant->tenant->id == t->id && is_concerned(s, contact, made))
			subject_card_changed(s);
	}
	json_decref(contact);
}
