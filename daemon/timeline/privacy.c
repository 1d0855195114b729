/* privacy.c - see privacy.h. */
#include <timeline/privacy.h>

#include <people/store_ask.h>

#include <mem.h>
#include <str.h>

#include <jansson.h>

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One erasure may touch every table once, some of them in whole. */
#define ERASE_DEADLINE_MS 60000
#define WORD_MIN	  5
/* Of a number's digits: the same however it is written, but for a few extensions. */
#define PHONE_TAIL 8
/* What was on its way when they were erased is theirs too. */
#define LATE_US 2000000

void
privacy_subject_free(struct privacy_subject **sp)
{
	if (!*sp)
		return;
	xfree(&(*sp)->ids);
	xfree(&(*sp)->addresses);
	xfree(sp);
}

bool
privacy_has_id(const struct privacy_subject *s, const struct uuid *id)
{
	for (size_t i = 0; i < s->n_ids; i++)
		if (uuid_eq(&s->ids[i], id))
			return true;
	return false;
}

bool
privacy_has_address(
	const struct privacy_subject *s, const char *kind, const char *value)
{
	for (size_t i = 0; i < s->n_addresses; i++)
		if (str_eq(s->addresses[i].kind, kind) &&
			str_eq(s->addresses[i].value, value))
			return true;
	return false;
}

/* ---- Words ------------------------------------------------------------------------- */

static char *
phone_tail(const char *value)
{
	char digits[ADDRESS_VALUE_MAX + 1];
	size_t n = 0;

	for (; *value; value++)
		if (isdigit((unsigned char)*value))
			digits[n++] = *value;
	digits[n] = '\0';
	return xstrdup(n > PHONE_TAIL ? digits + n - PHONE_TAIL : digits);
}

char **
privacy_words(const struct privacy_subject *s, bool phone_tails, size_t *n_r)
{
	char **words = xcalloc(s->n_ids + s->n_addresses + 1, sizeof(*words));
	size_t n = 0;

	for (size_t i = 0; i < s->n_ids; i++) {
		char text[UUID_TEXT_LEN];
		words[n++] = xstrdup(uuid_format(text, &s->ids[i]));
	}
	for (size_t i = 0; i < s->n_addresses; i++) {
		const struct address *a = &s->addresses[i];
		char *word = phone_tails && str_eq(a->kind, "phone")
				     ? phone_tail(a->value)
				     : xstrdup(a->value);
		if (strlen(word) >= WORD_MIN)
			words[n++] = word;
		else
			xfree(&word);
	}
	*n_r = n;
	return words;
}

void
privacy_words_free(char **words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		xfree(&words[i]);
	mem_free(words);
}

/* ---- From the database's answer ---------------------------------------------------- */

static struct privacy_subject *
subject_new(const struct tenant *tenant, const char *root, const json_t *ids,
	const json_t *kinds, const json_t *values)
{
	struct privacy_subject *s = xcalloc(1, sizeof(*s));
	json_t *it;
	size_t i;

	s->tenant = tenant;
	s->ids = xcalloc(json_array_size(ids) + 1, sizeof(*s->ids));
	s->addresses = xcalloc(json_array_size(kinds) + 1, sizeof(*s->addresses));
	if (!uuid_parse(root, &s->root)) {
		privacy_subject_free(&s);
		return NULL;
	}
	json_array_foreach(ids, i, it) if (uuid_parse(json_string_value(it),
						   &s->ids[s->n_ids])) s->n_ids++;
	json_array_foreach(kinds, i, it)
	{
		struct address *a = &s->addresses[s->n_addresses++];
		str_copy(a->kind, sizeof(a->kind), json_string_value(it));
		str_copy(a->value, sizeof(a->value),
			json_string_value(json_array_get(values, i)));
	}
	return s;
}

struct ask {
	struct store *store;
	const struct tenant *tenant;
	privacy_fn *cb;
	void *arg;
	struct privacy_subject *subject;
};

/* store_ask's callback: hands the answer on, with whom it is about. */
static void
on_answer(void *arg, const struct store_answer *a)
{
	struct ask *ask = arg;

	ask->cb(ask->arg, a, ask->subject);
	mem_free(ask);
}

static struct ask *
ask_new(struct store *store, const struct tenant *tenant, privacy_fn *cb, void *arg)
{
	struct ask *ask = xcalloc(1, sizeof(*ask));

	ask->store = store;
	ask->tenant = tenant;
	ask->cb = cb;
	ask->arg = arg;
	return ask;
}

static const char no_contact[] = "there is no contact with this id";

/* Column 0 of row 0: the report, with the addresses in members that are not shown. */
static void
on_reported(void *arg, const struct pg_answer *a)
{
	struct ask *ask = arg;
	struct store_ask *done = store_ask_new(ask->store, on_answer, ask);

	if (a->status != PG_OK) {
		store_ask_failed(done, a);
		return;
	}
	json_t *o = json_loads(pg_text(a, 0, 0, 0) ? pg_text(a, 0, 0, 0) : "", 0, NULL);
	if (!o) {
		store_ask_done(done, STORE_NOT_FOUND, NULL, 0, no_contact);
		return;
	}
	ask->subject = subject_new(ask->tenant,
		json_string_value(json_object_get(o, "contact")),
		json_object_get(o, "members"), json_object_get(o, "_kinds"),
		json_object_get(o, "_values"));
	json_object_del(o, "_kinds");
	json_object_del(o, "_values");
	char *text = json_dumps(o, JSON_COMPACT);
	store_ask_done(done, STORE_OK, text, strlen(text), NULL);
	free(text);
	json_decref(o);
}

void
privacy_report(struct store *store, const struct tenant *tenant, const struct uuid *id,
	privacy_fn *cb, void *arg)
{
	struct pg_unit *u = pg_unit_new(store->upkeep);

	pg_add(u, "privacy_report");
	pg_param_int(u, tenant->id);
	pg_param_uuid(u, id);
	pg_submit(&u, ERASE_DEADLINE_MS, on_reported, ask_new(store, tenant, cb, arg));
}

static struct privacy_subject *
subject_of_row(const struct tenant *tenant, const struct pg_answer *a, int col)
{
	struct privacy_subject *s = NULL;

	if (!pg_text(a, 0, 0, col))
		return NULL;
	json_t *ids = json_loads(pg_text(a, 0, 0, col + 1), 0, NULL);
	json_t *kinds = json_loads(pg_text(a, 0, 0, col + 2), 0, NULL);
	json_t *values = json_loads(pg_text(a, 0, 0, col + 3), 0, NULL);
	if (ids && kinds && values)
		s = subject_new(tenant, pg_text(a, 0, 0, col), ids, kinds, values);
	json_decref(ids);
	json_decref(kinds);
	json_decref(values);
	return s;
}

/* Row 0: receipt (null: nobody), root, members, kinds, values (null: erased before). */
static void
on_erased(void *arg, const struct pg_answer *a)
{
	struct ask *ask = arg;
	struct store_ask *done = store_ask_new(ask->store, on_answer, ask);

	if (a->status != PG_OK) {
		store_ask_failed(done, a);
	} else if (!pg_text(a, 0, 0, 0)) {
		store_ask_done(done, STORE_NOT_FOUND, NULL, 0, no_contact);
	} else {
		ask->subject = subject_of_row(ask->tenant, a, 1);
		store_ask_done_row(done, STORE_OK, a, 0, 0);
	}
}

void
privacy_erase(struct store *store, const struct actor *actor, const struct uuid *id,
	bool bar, privacy_fn *cb, void *arg)
{
	struct pg_unit *u = pg_unit_new(store->upkeep);

	pg_add(u, "contact_erase");
	pg_param_int(u, actor->tenant->id);
	pg_param_text(u, actor->name);
	pg_param_text(u, actor->role);
	pg_param_uuid(u, id);
	pg_param_bool(u, bar);
	event_param(u, actor->event);
	pg_submit(&u, ERASE_DEADLINE_MS, on_erased,
		ask_new(store, actor->tenant, cb, arg));
}

static void
on_receipt(void *arg, const struct pg_answer *a)
{
	store_ask_done_object(arg, a, "erasure");
}

void
privacy_erased(struct store *store, const struct tenant *tenant,
	const struct uuid *root, const char *counts, bool complete, store_answer_fn *cb,
	void *arg)
{
	struct pg_unit *u = pg_unit_new(store->writes);

	pg_add(u, "erasure_done");
	pg_param_int(u, tenant->id);
	pg_param_uuid(u, root);
	pg_param_text(u, counts);
	pg_param_bool(u, complete);
	pg_submit(&u, STORE_DEADLINE_MS, on_receipt, store_ask_new(store, cb, arg));
}

struct pending {
	struct store *store;
	privacy_pending_fn *cb;
	void *arg;
};

static void
on_pending(void *arg, const struct pg_answer *a)
{
	struct pending *p = arg;
	const struct tenant *tenant = NULL;
	struct privacy_subject *s = NULL;

	if (a->status == PG_OK && pg_rows(a, 0))
		tenant = store_tenant_by_id(p->store, (int)pg_int(a, 0, 0, 0));
	if (tenant)
		s = subject_of_row(tenant, a, 1);
	if (s)
		s->until_us = pg_int(a, 0, 0, 5) + LATE_US;
	p->cb(p->arg, s);
	mem_free(p);
}

void
privacy_pending(struct store *store, privacy_pending_fn *cb, void *arg)
{
	struct pending *p = xcalloc(1, sizeof(*p));
	struct pg_unit *u = pg_unit_new(store->reads);

	p->store = store;
	p->cb = cb;
	p->arg = arg;
	pg_add(u, "erasure_pending");
	pg_submit(&u, STORE_DEADLINE_MS, on_pending, p);
}
