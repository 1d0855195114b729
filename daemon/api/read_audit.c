/* read_audit.c - see read_audit.h. */
#include <api/read_audit.h>

#include <api/reply.h>
#include <str.h>

#include <jansson.h>

static bool
is_person(const struct http_request *r)
{
	return caller_of(r)->role != ROLE_INTEGRATION;
}

static void
note(struct http_request *r, const char *action, const char *kind, const char *id,
	const char *how)
{
	struct actor actor = caller_actor(r);
	if (!str_empty(id))
		reads_note(caller_of(r)->app->reads, &actor, action, kind, id, how);
}

static void
note_contact(struct http_request *r, const char *id, const char *how)
{
	note(r, "contact.read", "contact", id, how);
}

static const char *
id_of(const json_t *object)
{
	return json_string_value(json_object_get(object, "id"));
}

void
read_audit_contacts(
	struct http_request *r, const struct store_answer *a, const char *how)
{
	if (a->status == STORE_OK && is_person(r)) {
		json_t *o = json_loadb(a->json, a->json_len, 0, NULL), *it;
		const json_t *items = json_object_get(o, "items");
		size_t i;
		if (items)
			json_array_foreach((json_t *)(uintptr_t)items, i, it)
				note_contact(r, id_of(it), how);
		else
			note_contact(r, id_of(o), how);
		json_decref(o);
	}
	reply_from_store(r, a);
}

void
read_audit_contact(struct http_request *r, const struct store_answer *a,
	const struct uuid *id, const char *how)
{
	char text[UUID_TEXT_LEN];
	if (a->status == STORE_OK && is_person(r))
		note_contact(r, uuid_format(text, id), how);
	reply_from_store(r, a);
}

void
read_audit_interaction(struct http_request *r, const struct store_answer *a)
{
	if (a->status == STORE_OK && is_person(r)) {
		json_t *o = json_loadb(a->json, a->json_len, 0, NULL);
		note(r, "interaction.read", "interaction", id_of(o), "get");
		note_contact(r, json_string_value(json_object_get(o, "contact")),
			"interaction");
		json_decref(o);
	}
	reply_from_store(r, a);
}
