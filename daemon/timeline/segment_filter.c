/* segment_filter.c - see segment_filter.h.
 *
 * PUT takes literals only (the "" before its argument does not compile with anything
 * else; besides there is one table of constants), and segment_value writes $n and nothing
 * of the value: so no byte of a filter can be in the SQL.
 *
 * What is asked of history is one derived table each, grouped by root, joined to the
 * contacts: the planner hashes or merges them, whatever and/or/not is made of them
 * afterwards; a subselect inside an OR could be run once per contact. Each is cut to the
 * range of ids that is asked for, so that a page costs a page. */
#include <timeline/segment_priv.h>

#include <mem.h>
#include <people/address.h>
#include <people/check.h>
#include <str.h>
#include <uuid.h>

#include <stdio.h>
#include <string.h>

/* ---- Conditions on the contact itself ----------------------------------------------- */

/* Of contacts that are seen for another role. */
static void
check_roles(struct compiler *c, const json_t *v, const char *what)
{
	size_t n = json_is_array(v) ? json_array_size(v) : 1;

	for (size_t i = 0; i < n; i++)
		if (!sight_shows_role(c->sight,
			    json_string_value(
				    json_is_array(v) ? json_array_get(v, i) : v)))
			segment_fail(c, what,
				"this caller may not see contacts of that role");
}

static void
on_role(struct compiler *c, const json_t *v, const char *what)
{
	check_roles(c, v, what);
	PUT(&c->f->where, "c.roles && ");
	segment_value_texts(c, &c->f->where, what, v);
	PUT(&c->f->where, "::text[]");
}

static void
on_language(struct compiler *c, const json_t *v, const char *what)
{
	PUT(&c->f->where, "EXISTS (SELECT FROM unnest(");
	segment_value_texts(c, &c->f->where, what, v);
	PUT(&c->f->where, "::text[]) l WHERE lower(c.language) = lower(l) "
			  "OR starts_with(lower(c.language), lower(l) || '-'))");
}

static void
on_timezone(struct compiler *c, const json_t *v, const char *what)
{
	PUT(&c->f->where, "c.timezone = ANY (");
	segment_value_texts(c, &c->f->where, what, v);
	PUT(&c->f->where, "::text[])");
}

static void
on_vip(struct compiler *c, const json_t *v, const char *what)
{
	if (!json_is_boolean(v))
		segment_fail(c, what, "true or false");
	PUT(&c->f->where, "c.vip = ");
	segment_value(c, &c->f->where, json_is_true(v) ? "t" : "f");
	PUT(&c->f->where, "::bool");
}

/* equals, begins, contains or exists of an expression (constants and $n); the number of
 * them that were there. */
static unsigned
match_text(struct compiler *c, struct check *k, const struct buf *expr)
{
	struct buf *w = &c->f->where;
	const json_t *equals = check_take(k, "equals"),
		     *exists = check_take(k, "exists");
	const char *begins = check_text(k, "begins", TEXT_MAX);
	const char *contains = check_text(k, "contains", TEXT_MAX);
	char text[40];

	if (equals) {
		buf_add(w, expr->data, expr->len);
		PUT(w, " = ");
		if (json_is_string(equals))
			segment_value(c, w, json_string_value(equals));
		else if (json_is_boolean(equals))
			segment_value(c, w, json_is_true(equals) ? "true" : "false");
		else if (json_is_integer(equals)) {
			snprintf(text, sizeof(text), "%lld",
				(long long)json_integer_value(equals));
			segment_value(c, w, text);
		} else
			check_fail(
				k, "equals: a string, a whole number, true or false");
		PUT(w, "::text");
	} else if (exists) {
		if (!json_is_boolean(exists))
			check_fail(k, "exists: true or false");
		PUT(w, "(");
		buf_add(w, expr->data, expr->len);
		PUT(w, " IS NOT NULL) = ");
		segment_value(c, w, json_is_true(exists) ? "t" : "f");
		PUT(w, "::bool");
	} else if (begins) {
		PUT(w, "starts_with(lower(");
		buf_add(w, expr->data, expr->len);
		PUT(w, "), lower(");
		segment_value(c, w, begins);
		PUT(w, "::text))");
	} else if (contains) {
		PUT(w, "strpos(lower(");
		buf_add(w, expr->data, expr->len);
		PUT(w, "), lower(");
		segment_value(c, w, contains);
		PUT(w, "::text)) > 0");
	}
	return (equals != NULL) + (exists != NULL) + (begins != NULL) +
	       (contains != NULL);
}

static void
on_name(struct compiler *c, const json_t *v, const char *what)
{
	struct check k;
	struct buf expr = BUF_INIT;

	check_init(&k, v);
	PUT(&expr, "c.name");
	if (match_text(c, &k, &expr) != 1)
		check_fail(&k, "one of equals, begins, contains, exists");
	segment_done(c, &k, what);
	buf_fini(&expr);
}

/* gt, gte, lt, lte; how many. */
static unsigned
match_number(struct compiler *c, struct check *k, const char *name)
{
	struct buf *w = &c->f->where;
	unsigned n = 0;
	static const char *const names[] = {"gt", "gte", "lt", "lte"};

	for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
		const json_t *v = check_take(k, names[i]);
		if (!v)
			continue;
		if (!json_is_number(v))
			check_fail(k, "%s: a number", names[i]);
		if (n++)
			PUT(w, " AND ");
		PUT(w, "attribute_number(c.attributes->");
		segment_value(c, w, name);
		PUT(w, "::text)");
		switch (i) {
		case 0: PUT(w, " > "); break;
		case 1: PUT(w, " >= "); break;
		case 2: PUT(w, " < "); break;
		default: PUT(w, " <= "); break;
		}
		segment_value_number(c, w, v);
		PUT(w, "::numeric");
	}
	return n;
}

static void
on_attribute(struct compiler *c, const json_t *v, const char *what)
{
	struct check k;
	struct buf expr = BUF_INIT;

	check_init(&k, v);
	const char *name = check_text(&k, "name", TEXT_MAX);
	if (!name || !*name)
		check_fail(&k, "name: is required");
	else if (!sight_shows_attribute(c->sight, name))
		check_fail(&k,
			"this caller may not see that attribute, and whom it finds "
			"would tell it");
	unsigned numbers = match_number(c, &k, name ? name : "");
	unsigned texts = 0;
	if (!numbers) {
		PUT(&expr, "c.attributes->>");
		segment_value(c, &expr, name ? name : "");
		PUT(&expr, "::text");
	}
	struct buf wrapped = BUF_INIT;
	PUT(&wrapped, "(");
	buf_add(&wrapped, buf_str(&expr), expr.len);
	PUT(&wrapped, ")");
	texts = match_text(c, &k, &wrapped);
	if (!(numbers ? !texts : texts == 1))
		check_fail(&k,
			"one of equals, begins, contains, exists, or gt, gte, lt, lte");
	segment_done(c, &k, what);
	buf_fini(&expr);
	buf_fini(&wrapped);
}

/* One that is out of sight is none. */
static void
organisation_is_seen(struct compiler *c)
{
	struct buf *w = &c->f->where;

	if (!c->f->roles)
		return;
	PUT(w, " AND contact_in_sight($1::int, c.organisation, ");
	segment_put_sight(w, c->f->roles);
	PUT(w, ")");
}

static void
on_organisation(struct compiler *c, const json_t *v, const char *what)
{
	struct buf *w = &c->f->where;
	struct uuid id;
	struct check k;
	char text[UUID_TEXT_LEN];

	if (json_is_string(v)) {
		if (!uuid_parse(json_string_value(v), &id)) {
			segment_fail(c, what, "a contact's id");
			return;
		}
		PUT(w, "c.organisation IN (SELECT contact_members($1::int, "
		       "contact_root($1::int, ");
		segment_value(c, w, uuid_format(text, &id));
		PUT(w, "::uuid)))");
		organisation_is_seen(c);
		return;
	}
	check_init(&k, v);
	const json_t *exists = check_take(&k, "exists");
	if (!json_is_boolean(exists))
		check_fail(&k, "an id, or {\"exists\": true or false}");
	PUT(w, "(c.organisation IS NOT NULL");
	organisation_is_seen(c);
	PUT(w, ") = ");
	segment_value(c, w, json_is_true(exists) ? "t" : "f");
	PUT(w, "::bool");
	segment_done(c, &k, what);
}

/* after and before of a column. */
static void
match_times(struct compiler *c, const json_t *v, const char *what, bool updated)
{
	struct buf *w = &c->f->where;
	struct check k;
	int64_t us;

	check_init(&k, v);
	PUT(w, "true");
	if (!json_object_get(v, "after") && !json_object_get(v, "before"))
		check_fail(&k, "after, before or both");
	if (segment_take_when(c, &k, "after", &us)) {
		if (updated)
			PUT(w, " AND c.updated_at >= us_to_time(");
		else
			PUT(w, " AND c.created_at >= us_to_time(");
		segment_value_int(c, w, us);
		PUT(w, "::bigint)");
	}
	if (segment_take_when(c, &k, "before", &us)) {
		if (updated)
			PUT(w, " AND c.updated_at < us_to_time(");
		else
			PUT(w, " AND c.created_at < us_to_time(");
		segment_value_int(c, w, us);
		PUT(w, "::bigint)");
	}
	segment_done(c, &k, what);
}

static void
on_created(struct compiler *c, const json_t *v, const char *what)
{
	match_times(c, v, what, false);
}

static void
on_updated(struct compiler *c, const json_t *v, const char *what)
{
	match_times(c, v, what, true);
}

/* ---- Conditions on what belongs to it ----------------------------------------------- */

void
segment_join_name(struct buf *sql, unsigned n)
{
	PUT(sql, "j");
	buf_add_int(sql, n);
}

unsigned
segment_join_next(struct compiler *c)
{
	if (c->f->n_joins == SEGMENT_JOINS_MAX) {
		segment_fail(c, "",
			"at most 10 conditions on interactions, identities and wishes");
		return 0;
	}
	return ++c->f->n_joins;
}

static bool
join_begin(struct compiler *c, unsigned *n_r)
{
	*n_r = segment_join_next(c);
	if (*n_r)
		PUT(&c->f->joins, "\n\tLEFT JOIN (SELECT s.root, count(*) AS n");
	return *n_r > 0;
}

void
segment_join_on(struct buf *j, unsigned n)
{
	segment_join_name(j, n);
	PUT(j, " ON ");
	segment_join_name(j, n);
	PUT(j, ".root = c.id");
}

static void
join_end(struct compiler *c, unsigned n)
{
	PUT(&c->f->joins, ") s GROUP BY s.root) ");
	segment_join_on(&c->f->joins, n);
}

static void
on_identity(struct compiler *c, const json_t *v, const char *what)
{
	struct buf conds = BUF_INIT, *j = &c->f->joins;
	struct check k;
	unsigned n;

	if (!join_begin(c, &n))
		return;
	check_init(&k, v);
	const char *kind = check_text(&k, "kind", ADDRESS_KIND_MAX);
	const char *trust = check_text(&k, "trust", 20);
	const char *begins = check_text(&k, "begins", TEXT_MAX);
	if (kind) {
		PUT(&conds, " AND i.kind = ");
		segment_value(c, &conds, kind);
		PUT(&conds, "::text");
	}
	if (trust && trust_parse(trust) < 0)
		check_fail(&k, "trust: claimed, recorded, network or verified");
	if (trust) {
		PUT(&conds, " AND i.trust >= ");
		segment_value_int(c, &conds, trust_parse(trust));
		PUT(&conds, "::int");
	}
	if (begins) {
		PUT(&conds, " AND starts_with(i.value, ");
		segment_value(c, &conds, begins);
		PUT(&conds, "::text)");
	}
	segment_done(c, &k, what);
	PUT(j, " FROM (\n\t\tSELECT i.contact_id AS root FROM identity i "
	       "WHERE i.tenant_id = $1::int AND i.contact_id > $2::uuid "
	       "AND i.contact_id <= $3::uuid");
	buf_add(j, buf_str(&conds), conds.len);
	PUT(j, "\n\t\tUNION ALL SELECT m.merged_into FROM contact m "
	       "JOIN identity i ON i.tenant_id = m.tenant_id AND i.contact_id = m.id "
	       "WHERE m.tenant_id = $1::int AND m.merged_into > $2::uuid "
	       "AND m.merged_into <= $3::uuid");
	buf_add(j, buf_str(&conds), conds.len);
	join_end(c, n);
	segment_join_name(&c->f->where, n);
	PUT(&c->f->where, ".n > 0");
	buf_fini(&conds);
}

/* The smallest id of that time (see uuid_floor in 001-base.sql). */
static void
value_floor(struct compiler *c, struct buf *sql, int64_t us)
{
	char hex[40];
	long long ms = us / 1000;

	snprintf(hex, sizeof(hex), "%08llx-%04llx-0000-0000-000000000000",
		(unsigned long long)ms >> 16 & 0xffffffffULL,
		(unsigned long long)ms & 0xffffULL);
	segment_value(c, sql, hex);
	PUT(sql, "::uuid");
}

/* What interactions are meant, but for their time. */
static void
history_words(struct compiler *c, struct check *k, struct buf *conds)
{
	static const struct {
		const char *name, *sql;
	} words[] = {{"kind", " AND t.kind = "}, {"direction", " AND t.direction = "},
		{"channel", " AND t.channel = "}, {"agent", " AND t.agent = "},
		{"disposition", " AND t.disposition = "}};

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		const char *text = check_text(k, words[i].name, 64);
		if (!text)
			continue;
		if (str_eq(words[i].name, "direction") && !str_eq(text, "in") &&
			!str_eq(text, "out"))
			check_fail(k, "direction: in or out");
		buf_adds(conds, words[i].sql);
		segment_value(c, conds, text);
		PUT(conds, "::text");
	}
}

static void
history_tables(struct buf *j, const struct buf *conds)
{
	PUT(j, " FROM (\n\t\tSELECT t.contact_id AS root, t.id FROM timeline t "
	       "WHERE t.tenant_id = $1::int AND t.contact_id > $2::uuid "
	       "AND t.contact_id <= $3::uuid");
	buf_add(j, buf_str(conds), conds->len);
	PUT(j, "\n\t\tUNION ALL SELECT m.merged_into, t.id FROM contact m "
	       "JOIN timeline t ON t.tenant_id = m.tenant_id AND t.contact_id = m.id "
	       "WHERE m.tenant_id = $1::int AND m.merged_into > $2::uuid "
	       "AND m.merged_into <= $3::uuid");
	buf_add(j, buf_str(conds), conds->len);
}

static void
on_interaction(struct compiler *c, const json_t *v, const char *what)
{
	struct buf conds = BUF_INIT, *w = &c->f->where;
	int64_t us, least = 1, most;
	struct check k;
	unsigned n;

	if (!join_begin(c, &n))
		return;
	check_init(&k, v);
	history_words(c, &k, &conds);
	if (segment_take_when(c, &k, "after", &us)) {
		PUT(&conds, " AND t.id >= ");
		value_floor(c, &conds, us);
	}
	if (segment_take_when(c, &k, "before", &us)) {
		PUT(&conds, " AND t.id < ");
		value_floor(c, &conds, us);
	}
	history_tables(&c->f->joins, &conds);
	join_end(c, n);
	bool has_least = segment_take_int(&k, "at_least", &least);
	bool has_most = segment_take_int(&k, "at_most", &most);
	if (has_least || !has_most) {
		if (least == 0)
			check_fail(&k, "at_least: 1 or more");
		segment_join_name(w, n);
		PUT(w, ".n >= ");
		segment_value_int(c, w, least);
		PUT(w, "::bigint");
	}
	if (has_most) {
		if (has_least)
			PUT(w, " AND ");
		PUT(w, "coalesce(");
		segment_join_name(w, n);
		PUT(w, ".n, 0) <= ");
		segment_value_int(c, w, most);
		PUT(w, "::bigint");
	}
	segment_done(c, &k, what);
	buf_fini(&conds);
}

/* There is one after A; and none from B on. */
static void
on_last(struct compiler *c, const json_t *v, const char *what)
{
	struct buf conds = BUF_INIT, *j = &c->f->joins, *w = &c->f->where;
	struct check k;
	int64_t us;
	unsigned n;

	if (!join_begin(c, &n))
		return;
	check_init(&k, v);
	history_words(c, &k, &conds);
	if (!json_object_get(v, "after") && !json_object_get(v, "before"))
		check_fail(&k, "after, before or both");
	if (segment_take_when(c, &k, "after", &us)) {
		PUT(&conds, " AND t.id >= ");
		value_floor(c, &conds, us);
	}
	bool before = segment_take_when(c, &k, "before", &us);
	if (before) {
		PUT(j, ", count(*) FILTER (WHERE s.id >= ");
		value_floor(c, j, us);
		PUT(j, ") AS late");
	}
	history_tables(j, &conds);
	join_end(c, n);
	segment_join_name(w, n);
	PUT(w, ".n > 0");
	if (before) {
		PUT(w, " AND ");
		segment_join_name(w, n);
		PUT(w, ".late = 0");
	}
	segment_done(c, &k, what);
	buf_fini(&conds);
}

/* ---- The tree ----------------------------------------------------------------------- */

static const struct {
	const char *name;
	void (*compile)(struct compiler *, const json_t *value, const char *what);
} conditions[] = {
	{"role", on_role},
	{"language", on_language},
	{"timezone", on_timezone},
	{"vip", on_vip},
	{"name", on_name},
	{"attribute", on_attribute},
	{"organisation", on_organisation},
	{"identity", on_identity},
	{"created", on_created},
	{"updated", on_updated},
	{"interaction", on_interaction},
	{"last_interaction", on_last},
	{"consent", segment_on_consent},
	{"do_not_contact", segment_on_do_not_contact},
	{"preferred", segment_on_preferred},
	{"suppressed", segment_on_suppressed},
};

static void compile(struct compiler *c, const json_t *v);

static void
compile_list(struct compiler *c, const json_t *list, bool any)
{
	struct buf *w = &c->f->where;

	if (!json_is_array(list) || json_array_size(list) > SEGMENT_CONDITIONS_MAX) {
		segment_fail(c, any ? "any" : "all", "a list of at most 50");
		return;
	}
	PUT(w, "(");
	for (size_t i = 0; i < json_array_size(list) && !c->f->why[0]; i++) {
		if (i && any)
			PUT(w, " OR ");
		else if (i)
			PUT(w, " AND ");
		compile(c, json_array_get(list, i));
	}
	if (!json_array_size(list) && any)
		PUT(w, "false");
	else if (!json_array_size(list))
		PUT(w, "true");
	PUT(w, ")");
}

/* Not known is no: a contact without the attribute has not this value of it. */
static void
compile_condition(struct compiler *c, const char *name, const json_t *value)
{
	for (size_t i = 0; i < ARRAY_LEN(conditions); i++) {
		if (!str_eq(conditions[i].name, name))
			continue;
		if (c->f->n_conditions++ == SEGMENT_CONDITIONS_MAX) {
			segment_fail(c, "", "at most 50 conditions");
			return;
		}
		PUT(&c->f->where, "(");
		conditions[i].compile(c, value, conditions[i].name);
		PUT(&c->f->where, ") IS TRUE");
		return;
	}
	segment_fail(c, "",
		"a condition is one of all, any, not, role, language, timezone, vip, name, "
		"attribute, organisation, identity, created, updated, interaction, "
		"last_interaction, consent, do_not_contact, preferred, suppressed");
}

static void
compile(struct compiler *c, const json_t *v)
{
	void *it = json_object_iter((json_t *)(uintptr_t)v);

	if (!json_is_object(v) || json_object_size(v) != 1) {
		segment_fail(c, "", "each part is an object with one member");
		return;
	}
	if (++c->depth > SEGMENT_DEPTH_MAX) {
		segment_fail(c, "", "nested more than 8 deep");
		return;
	}
	const char *name = json_object_iter_key(it);
	const json_t *value_of = json_object_iter_value(it);

	if (str_eq(name, "all") || str_eq(name, "any")) {
		compile_list(c, value_of, str_eq(name, "any"));
	} else if (str_eq(name, "not")) {
		PUT(&c->f->where, "NOT (");
		compile(c, value_of);
		PUT(&c->f->where, ")");
	} else {
		compile_condition(c, name, value_of);
	}
	c->depth--;
}

static bool
is_everybody(const json_t *filter)
{
	return !filter || (json_is_object(filter) && !json_object_size(filter));
}

bool
segment_filter_init(struct segment_filter *f, const json_t *filter,
	const struct sight *sight, int64_t now_us)
{
	struct compiler c = {.f = f, .sight = sight, .now_us = now_us};

	memset(f, 0, sizeof(*f));
	f->is_limited = sight != NULL;
	f->roles = segment_value_sight(&c, sight_roles(sight));
	f->attributes = segment_value_sight(&c, sight_attributes(sight));
	PUT(&f->where, "true");
	if (f->roles) {
		PUT(&f->where, " AND c.roles && ");
		segment_put_sight(&f->where, f->roles);
	}
	if (f->attributes) { /* of a value without a place the type is not known */
		PUT(&f->where, " AND ");
		segment_put_sight(&f->where, f->attributes);
		PUT(&f->where, " IS NOT NULL");
	}
	if (!is_everybody(filter)) {
		PUT(&f->where, " AND ");
		compile(&c, filter);
	}
	return !f->why[0];
}

void
segment_filter_fini(struct segment_filter *f)
{
	buf_fini(&f->joins);
	buf_fini(&f->where);
	buf_fini(&f->values);
}

static void
put_from(const struct segment_filter *f, struct buf *sql)
{
	PUT(sql, " FROM contact c");
	buf_add(sql, buf_str(&f->joins), f->joins.len);
	PUT(sql, "\n\tWHERE c.tenant_id = $1::int AND c.merged_into IS NULL "
		 "AND c.id > $2::uuid AND c.id <= $3::uuid AND ");
	buf_add(sql, buf_str(&f->where), f->where.len);
}

void
segment_filter_page_sql(const struct segment_filter *f, bool wishes, struct buf *sql)
{
	PUT(sql, "SELECT x.id, ");
	if (f->is_limited) {
		PUT(sql, "contact_seen($1::int, x.object, ");
		segment_put_sight(sql, f->roles);
		PUT(sql, ", ");
		segment_put_sight(sql, f->attributes);
		PUT(sql, ") FROM ");
	} else {
		PUT(sql, "x.object FROM ");
	}
	if (wishes)
		PUT(sql, "contacts_export_json");
	else
		PUT(sql, "contacts_json");
	PUT(sql, "($1::int, ARRAY(SELECT c.id");
	put_from(f, sql);
	PUT(sql, "\n\tORDER BY c.id LIMIT $4::bigint)) x ORDER BY x.id");
}

void
segment_filter_count_sql(const struct segment_filter *f, struct buf *sql)
{
	PUT(sql, "SELECT count(*) FROM (SELECT");
	put_from(f, sql);
	PUT(sql, "\n\tLIMIT $4::bigint) x");
}
