/* card.c - a contact and its recent past for a screen pop, in one round trip.
 *
 * One statement gives tagged rows (see `card` in timeline.sql); it is made for the address
 * of one contact that was never merged, and says so if that is not the case: then a second
 * one, three times as dear, takes everything into account. The JSON is put together
 * here, which is a third faster than in SQL. An entry's time is read from its id, so the
 * narrow table needs no column for it. Who is shown follows the rule by which the writer
 * files the call (interactions_save_find): pop and timeline agree. */
#include <timeline/card.h>

#include <json.h>
#include <mem.h>
#include <str.h>

#include <stdio.h>
#include <string.h>

#define CARD_DEADLINE_MS 5000
#define TEXT_USUAL	 1000 /* bytes: what most JSON texts here need */

struct card_query {
	card_fn *cb; /* NULL: cancelled */
	void *arg;
	struct store *store;
	const struct tenant *tenant;
	struct address addr;
	enum trust trust;
	struct uuid except;
};

struct card *
card_new_unknown(void)
{
	struct card *c = xcalloc(1, sizeof(*c));

	c->contact_json = xstrdup("null");
	c->candidates_json = xstrdup("[]");
	c->recent_json = xstrdup("[]");
	return c;
}

void
card_free(struct card **cp)
{
	if (!*cp)
		return;
	xfree(&(*cp)->contact_json);
	xfree(&(*cp)->candidates_json);
	xfree(&(*cp)->recent_json);
	xfree(cp);
}

struct uuid
card_new_contact_id(
	const struct tenant *tenant, const struct address *addr, int64_t at_us)
{
	char name[TENANT_NAME_MAX + ADDRESS_KIND_MAX + ADDRESS_VALUE_MAX + 16];

	snprintf(name, sizeof(name), "contact/%s/%s:%s", tenant->name, addr->kind,
		addr->value);
	return uuid_derive(at_us, name);
}

/* The wishes: JSON arrays as the database has made them. That somebody wants to be left
 * alone is said only then. */
static void
put_preferences(
	struct json_out *j, const char *preferred, const char *denied, bool silent)
{
	json_put_object(j, "preferences");
	json_put_raw(j, "preferred", preferred);
	json_put_raw(j, "denied", denied);
	if (silent)
		json_put_bool(j, "do_not_contact", true);
	json_put_object_end(j);
}

static void
put_identity(struct json_out *j, const char *kind, const char *value, int trust)
{
	json_put_object(j, NULL);
	json_put_string(j, "kind", kind);
	json_put_string(j, "value", value);
	json_put_string(j, "trust", trust_text((enum trust)trust));
	json_put_object_end(j);
}

char *
card_unnamed_json(
	const struct uuid *contact, const struct address *addr, enum trust trust)
{
	struct buf out = BUF_INIT;
	struct json_out j;
	char id[UUID_TEXT_LEN];

	json_out_init(&j, &out);
	json_put_object(&j, NULL);
	json_put_string(&j, "id", uuid_format(id, contact));
	json_put_null(&j, "name");
	json_put_raw(&j, "roles", "[]");
	json_put_null(&j, "language");
	json_put_null(&j, "timezone");
	json_put_bool(&j, "vip", false);
	json_put_array(&j, "identities");
	put_identity(&j, addr->kind, addr->value, trust);
	json_put_array_end(&j);
	put_preferences(&j, "[]", "[]", false);
	json_put_raw(&j, "attributes", "{}");
	json_put_null(&j, "organisation");
	json_put_object_end(&j);
	return buf_steal(&out);
}

/* Columns of `card`: tag, id, n and then a to f, which each tag uses in its own way. */
enum { COL_TAG, COL_ID, COL_N, COL_A, COL_B, COL_C, COL_D, COL_E, COL_F };

static char
row_tag(const struct pg_answer *a, size_t row)
{
	return pg_text(a, 0, row, COL_TAG)[0];
}

static size_t
rows_tagged(const struct pg_answer *a, char tag)
{
	size_t n = 0;

	for (size_t row = 0; row < pg_rows(a, 0); row++)
		n += row_tag(a, row) == tag;
	return n;
}

static void
put_identities(struct json_out *j, const struct pg_answer *a)
{
	json_put_array(j, "identities");
	for (size_t row = 0; row < pg_rows(a, 0); row++)
		if (row_tag(a, row) == 'i')
			put_identity(j, pg_text(a, 0, row, COL_A),
				pg_text(a, 0, row, COL_B),
				(int)pg_int(a, 0, row, COL_N));
	json_put_array_end(j);
}

/* Whom they belong to: a supplier's employee is shown with the supplier. */
static void
put_organisation(struct json_out *j, const struct pg_answer *a)
{
	for (size_t row = 0; row < pg_rows(a, 0); row++) {
		if (row_tag(a, row) != 'o')
			continue;
		json_put_object(j, "organisation");
		json_put_string(j, "id", pg_text(a, 0, row, COL_ID));
		json_put_string(j, "name", pg_text(a, 0, row, COL_A));
		json_put_raw(j, "roles", pg_text(a, 0, row, COL_E));
		json_put_object_end(j);
		return;
	}
	json_put_null(j, "organisation");
}

/* Nearly nobody has any. */
static void
put_wishes(struct json_out *j, const struct pg_answer *a)
{
	size_t row = 0, n = pg_rows(a, 0);

	while (row < n && row_tag(a, row) != 'w')
		row++;
	if (row == n)
		put_preferences(j, "[]", "[]", false);
	else
		put_preferences(j, pg_text(a, 0, row, COL_A), pg_text(a, 0, row, COL_B),
			str_eq(pg_text(a, 0, row, COL_C), "true"));
}

/* A candidate is shown by who it is; its addresses are another matter. */
static void
put_contact(struct json_out *j, const struct pg_answer *a, size_t row, bool alone)
{
	json_put_object(j, NULL);
	json_put_string(j, "id", pg_text(a, 0, row, COL_ID));
	json_put_string(j, "name", pg_text(a, 0, row, COL_A));
	json_put_raw(j, "roles", pg_text(a, 0, row, COL_E));
	json_put_string(j, "language", pg_text(a, 0, row, COL_B));
	json_put_string(j, "timezone", pg_text(a, 0, row, COL_C));
	json_put_bool(j, "vip", str_eq(pg_text(a, 0, row, COL_D), "true"));
	if (alone) {
		put_identities(j, a);
		put_wishes(j, a);
		json_put_raw(j, "attributes", pg_text(a, 0, row, COL_F));
		put_organisation(j, a);
	}
	json_put_object_end(j);
}

static void
put_recent(struct json_out *j, const struct pg_answer *a, size_t row)
{
	struct uuid id = pg_uuid(a, 0, row, COL_ID);

	json_put_object(j, NULL);
	json_put_string(j, "id", pg_text(a, 0, row, COL_ID));
	json_put_string(j, "kind", pg_text(a, 0, row, COL_A));
	json_put_string(j, "direction", pg_text(a, 0, row, COL_B));
	json_put_time(j, "at", uuid_time_us(&id));
	json_put_string(j, "channel", pg_text(a, 0, row, COL_F));
	json_put_string(j, "agent", pg_text(a, 0, row, COL_C));
	json_put_string(j, "disposition", pg_text(a, 0, row, COL_E));
	json_put_string(j, "summary", pg_text(a, 0, row, COL_D));
	json_put_object_end(j);
}

/* The first row with this tag; there is one. */
static size_t
row_find(const struct pg_answer *a, char tag)
{
	size_t row = 0;

	while (row_tag(a, row) != tag)
		row++;
	return row;
}

static char *
contact_text(const struct pg_answer *a, size_t row)
{
	struct buf out = BUF_INIT;
	struct json_out j;

	buf_reserve(&out, TEXT_USUAL);
	json_out_init(&j, &out);
	put_contact(&j, a, row, true);
	return buf_steal(&out);
}

/* Every row with this tag as an array: 'c' candidates, 'h' earlier holders (candidates
 * too, beside whoever has the address now), 'r' recent entries. */
static char *
array_text(const struct pg_answer *a, char tag)
{
	struct buf out = BUF_INIT;
	struct json_out j;

	buf_reserve(&out, rows_tagged(a, tag) ? TEXT_USUAL : 0);
	json_out_init(&j, &out);
	json_put_array(&j, NULL);
	for (size_t row = 0; row < pg_rows(a, 0); row++) {
		if (row_tag(a, row) != tag)
			continue;
		if (tag != 'r')
			put_contact(&j, a, row, false);
		else
			put_recent(&j, a, row);
	}
	json_put_array_end(&j);
	return buf_steal(&out);
}

/* The statement gives one holder's addresses only if that one is meant. */
static struct card *
card_build(const struct pg_answer *a)
{
	struct card *c;

	if (rows_tagged(a, 'c') == 0) {
		c = card_new_unknown();
		xfree(&c->candidates_json);
		c->candidates_json = array_text(a, 'h');
		return c;
	}
	size_t first = row_find(a, 'c');

	c = xcalloc(1, sizeof(*c));
	c->found = true;
	c->trust = (enum trust)pg_int(a, 0, first, COL_N);
	if (rows_tagged(a, 'i')) {
		c->contact = pg_uuid(a, 0, first, COL_ID);
		c->named = pg_text(a, 0, first, COL_A) != NULL;
		c->contact_json = contact_text(a, first);
		c->candidates_json = array_text(a, 'h');
	} else {
		c->contact_json = xstrdup("null");
		c->candidates_json = array_text(a, 'c');
	}
	c->recent_json = array_text(a, 'r');
	return c;
}

/* Not for the statement that is made for one contact. */
static bool
is_shared(const struct pg_answer *a)
{
	return rows_tagged(a, 'm') || rows_tagged(a, 'c') > 1;
}

static void
card_answer(struct card_query *q, const struct pg_answer *a)
{
	if (q->cb && a->status == PG_OK)
		q->cb(q->arg, CARD_READY, card_build(a));
	else if (q->cb)
		q->cb(q->arg, CARD_UNAVAILABLE, card_new_unknown());
	xfree(&q);
}

static void
on_shared_card(void *arg, const struct pg_answer *a)
{
	card_answer(arg, a);
}

static void
card_ask(struct card_query *q, const char *statement, pg_answer_fn *on_answer)
{
	struct pg_unit *u = pg_unit_new(q->store->reads);

	pg_add(u, statement);
	pg_param_int(u, q->tenant->id);
	pg_param_text(u, q->addr.kind);
	pg_param_text(u, q->addr.value);
	pg_param_uuid(u, &q->except);
	if (on_answer == on_shared_card)
		pg_param_int(u, q->trust);
	pg_submit(&u, CARD_DEADLINE_MS, on_answer, q);
}

static void
on_card(void *arg, const struct pg_answer *a)
{
	struct card_query *q = arg;

	if (q->cb && a->status == PG_OK && is_shared(a))
		card_ask(q, "card_shared", on_shared_card);
	else
		card_answer(q, a);
}

struct card_query *
card_fetch(struct store *store, const struct tenant *tenant, const struct address *addr,
	enum trust trust, const struct uuid *except, card_fn *cb, void *arg)
{
	struct card_query *q = xcalloc(1, sizeof(*q));

	/* A claim finds whom the address finds; showing it is the pop's. */
	q->trust = trust;
	q->cb = cb;
	q->arg = arg;
	q->store = store;
	q->tenant = tenant;
	q->addr = *addr;
	if (except)
		q->except = *except;
	card_ask(q, "card", on_card);
	return q;
}

void
card_cancel(struct card_query **qp)
{
	if (*qp)
		(*qp)->cb = NULL;
	*qp = NULL;
}
