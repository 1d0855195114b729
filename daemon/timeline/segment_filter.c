/* segment_filter.c - see segment_filter.h.
 *
 * PUT takes literals only (the "" before its argument does not compile with anything
 * else; besides there is one table of constants), and value() writes $n and nothing of the value: so no byte of a filter can be in
 * the SQL.
 *
 * What is asked of history is one derived table each, grouped by root, joined to the
 * contacts: the planner hashes or merges them, whatever and/or/not is made of them
 * afterwards; a subselect inside an OR could be run once per contact. Each is cut to the
 * range of ids that is asked for, so that a page costs a page. */
#include <timeline/segment_filter.h>

#include <clock.h>
#include <mem.h>
#include <people/address.h>
#include <people/check.h>
#include <people/preference.h>
#include <str.h>
#include <uuid.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PUT(buf, literal) buf_adds(buf, "" literal)

#define DAY_S	  86400
#define LIST_MAX  50
#define TEXT_MAX  200
#define COUNT_MAX 1000000

struct compiler {
	struct segment_filter *f;
	const struct sight *sight;
	int64_t now_us;
	unsigned depth;
};

static void
fail(struct compiler *c, const char *what, const char *why)
{
	if (!c->f->why[0])
		snprintf(c->f->why, sizeof(c->f->why), "filter: %s%s%s", what,
			*what ? ": " : "", why);
}

/* ---- Values ------------------------------------------------------------------------- */

static void
value_len(struct compiler *c, struct buf *sql, const char *text, size_t len)
{
	struct segment_filter *f = c->f;

	if (f->n_values == SEGMENT_VALUES_MAX) {
		fail(c, "", "too many values");
		return;
	}
	f->offsets[f->n_values] = f->values.len;
	buf_add(&f->values, text, len);
	buf_addc(&f->values, '\0');
	buf_addc(sql, '$');
	buf_add_int(sql, SEGMENT_FIRST_VALUE + (int64_t)f->n_values++);
}

static void
value(struct compiler *c, struct buf *sql, const char *text)
{
	value_len(c, sql, text, strlen(text));
}

static void
value_int(struct compiler *c, struct buf *sql, int64_t v)
{
	char text[24];

	snprintf(text, sizeof(text), "%lld", (long long)v);
	value(c, sql, text);
}

static void
value_number(struct compiler *c, struct buf *sql, const json_t *v)
{
	char text[40];

	if (json_is_integer(v))
		snprintf(text, sizeof(text), "%lld", (long long)json_integer_value(v));
	else
		snprintf(text, sizeof(text), "%.17g", json_real_value(v));
	value(c, sql, text);
}

static void
array_item(struct buf *out, const char *s)
{
	buf_addc(out, '"');
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			buf_addc(out, '\\');
		buf_addc(out, *s);
	}
	buf_addc(out, '"');
}

/* A string or a list of them, as a text[]. */
static void
value_texts(struct compiler *c, struct buf *sql, const char *what, const json_t *v)
{
	struct buf list = BUF_INIT;
	size_t n = json_is_array(v) ? json_array_size(v) : 1;
	bool sound = n >= 1 && n <= LIST_MAX;

	buf_addc(&list, '{');
	for (size_t i = 0; i < n && sound; i++) {
		const char *s =
			json_string_value(json_is_array(v) ? json_array_get(v, i) : v);
		sound = s && *s && strlen(s) <= TEXT_MAX;
		if (i)
			buf_addc(&list, ',');
		if (sound)
			array_item(&list, s);
	}
	buf_addc(&list, '}');
	if (sound)
		value_len(c, sql, list.data, list.len);
	else
		fail(c, what, "a string, or a list of at most 50, of 1 to 200 bytes");
	buf_fini(&list);
}

/* Of a sight's list: its $n. 0: there is none, which is all. */
static unsigned
value_sight(struct compiler *c, const json_t *list)
{
	struct buf text = BUF_INIT, sql = BUF_INIT;

	if (!list)
		return 0;
	buf_addc(&text, '{');
	for (size_t i = 0; i < json_array_size(list); i++) {
		if (i)
			buf_addc(&text, ',');
		array_item(&text, json_string_value(json_array_get(list, i)));
	}
	buf_addc(&text, '}');
	value_len(c, &sql, text.data, text.len);
	buf_fini(&text);
	buf_fini(&sql);
	return SEGMENT_FIRST_VALUE + c->f->n_values - 1;
}

static void
put_sight(struct buf *sql, unsigned n)
{
	if (n) {
		buf_addc(sql, '$');
		buf_add_int(sql, n);
	} else {
		PUT(sql, "NULL");
	}
	PUT(sql, "::text[]");
}

/* "12h", "90d", "8w", "1y": that long before now. */
static bool
parse_ago(const char *s, int64_t now_us, int64_t *us_r)
{
	size_t n = strspn(s, "0123456789");
	static const struct {
		char unit;
		int64_t s;
	} units[] = {{'h', 3600}, {'d', DAY_S}, {'w', 7 * DAY_S}, {'y', 365 * DAY_S}};

	if (n < 1 || n > 4 || strlen(s) != n + 1)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		if (units[i].unit != s[n])
			continue;
		*us_r = now_us - strtoll(s, NULL, 10) * units[i].s * 1000000;
		return *us_r > 0;
	}
	return false;
}

static bool
parse_when(const char *s, int64_t now_us, int64_t *us_r)
{
	char day[32];

	if (strlen(s) == 10) {
		snprintf(day, sizeof(day), "%sT00:00:00Z", s);
		return clock_parse(day, us_r);
	}
	return parse_ago(s, now_us, us_r) || clock_parse(s, us_r);
}

/* False: absent, or wrong (then it has failed). */
static bool
take_when(struct compiler *c, struct check *k, const char *name, int64_t *us_r)
{
	const char *text = check_text(k, name, 40);

	if (!text)
		return false;
	if (parse_when(text, c->now_us, us_r) && *us_r >= 0)
		return true;
	check_fail(k, "%s: a time, a date, or how long ago (12h, 90d, 8w, 1y)", name);
	return false;
}

static bool
take_int(struct check *k, const char *name, int64_t *n_r)
{
	const json_t *v = check_take(k, name);

	if (!v)
		return false;
	*n_r = json_integer_value(v);
	if (!json_is_integer(v) || *n_r < 0 || *n_r > COUNT_MAX)
		check_fail(k, "%s: 0 to %d", name, COUNT_MAX);
	return true;
}

static void
done(struct compiler *c, struct check *k, const char *what)
{
	if (!check_done(k))
		fail(c, what, k->why);
}

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
			fail(c, what, "this caller may not see contacts of that role");
}

static void
on_role(struct compiler *c, const json_t *v, const char *what)
{
	check_roles(c, v, what);
	PUT(&c->f->where, "c.roles && ");
	value_texts(c, &c->f->where, what, v);
	PUT(&c->f->where, "::text[]");
}

static void
on_language(struct compiler *c, const json_t *v, const char *what)
{
	PUT(&c->f->where, "EXISTS (SELECT FROM unnest(");
	value_texts(c, &c->f->where, what, v);
	PUT(&c->f->where, "::text[]) l WHERE lower(c.language) = lower(l) "
			  "OR starts_with(lower(c.language), lower(l) || '-'))");
}

static void
on_timezone(struct compiler *c, const json_t *v, const char *what)
{
	PUT(&c->f->where, "c.timezone = ANY (");
	value_texts(c, &c->f->where, what, v);
	PUT(&c->f->where, "::text[])");
}

static void
on_vip(struct compiler *c, const json_t *v, const char *what)
{
	if (!json_is_boolean(v))
		fail(c, what, "true or false");
	PUT(&c->f->where, "c.vip = ");
	value(c, &c->f->where, json_is_true(v) ? "t" : "f");
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
			value(c, w, json_string_value(equals));
		else if (json_is_boolean(equals))
			value(c, w, json_is_true(equals) ? "true" : "false");
		else if (json_is_integer(equals)) {
			snprintf(text, sizeof(text), "%lld",
				(long long)json_integer_value(equals));
			value(c, w, text);
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
		value(c, w, json_is_true(exists) ? "t" : "f");
		PUT(w, "::bool");
	} else if (begins) {
		PUT(w, "starts_with(lower(");
		buf_add(w, expr->data, expr->len);
		PUT(w, "), lower(");
		value(c, w, begins);
		PUT(w, "::text))");
	} else if (contains) {
		PUT(w, "strpos(lower(");
		buf_add(w, expr->data, expr->len);
		PUT(w, "), lower(");
		value(c, w, contains);
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
	done(c, &k, what);
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
		value(c, w, name);
		PUT(w, "::text)");
		switch (i) {
		case 0: PUT(w, " > "); break;
		case 1: PUT(w, " >= "); break;
		case 2: PUT(w, " < "); break;
		default: PUT(w, " <= "); break;
		}
		value_number(c, w, v);
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
		value(c, &expr, name ? name : "");
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
	done(c, &k, what);
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
	put_sight(w, c->f->roles);
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
			fail(c, what, "a contact's id");
			return;
		}
		PUT(w, "c.organisation IN (SELECT contact_members($1::int, "
		       "contact_root($1::int, ");
		value(c, w, uuid_format(text, &id));
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
	value(c, w, json_is_true(exists) ? "t" : "f");
	PUT(w, "::bool");
	done(c, &k, what);
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
	if (take_when(c, &k, "after", &us)) {
		if (updated)
			PUT(w, " AND c.updated_at >= us_to_time(");
		else
			PUT(w, " AND c.created_at >= us_to_time(");
		value_int(c, w, us);
		PUT(w, "::bigint)");
	}
	if (take_when(c, &k, "before", &us)) {
		if (updated)
			PUT(w, " AND c.updated_at < us_to_time(");
		else
			PUT(w, " AND c.created_at < us_to_time(");
		value_int(c, w, us);
		PUT(w, "::bigint)");
	}
	done(c, &k, what);
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

static void
join_name(struct buf *sql, unsigned n)
{
	PUT(sql, "j");
	buf_add_int(sql, n);
}

/* The number of the next derived table; 0 if there are too many. */
static unsigned
join_next(struct compiler *c)
{
	if (c->f->n_joins == SEGMENT_JOINS_MAX) {
		fail(c, "",
			"at most 10 conditions on interactions, identities and wishes");
		return 0;
	}
	return ++c->f->n_joins;
}

static bool
join_begin(struct compiler *c, unsigned *n_r)
{
	*n_r = join_next(c);
	if (*n_r)
		PUT(&c->f->joins, "\n\tLEFT JOIN (SELECT s.root, count(*) AS n");
	return *n_r > 0;
}

/* A table's name, and what it is joined by. */
static void
join_on(struct buf *j, unsigned n)
{
	join_name(j, n);
	PUT(j, " ON ");
	join_name(j, n);
	PUT(j, ".root = c.id");
}

static void
join_end(struct compiler *c, unsigned n)
{
	PUT(&c->f->joins, ") s GROUP BY s.root) ");
	join_on(&c->f->joins, n);
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
		value(c, &conds, kind);
		PUT(&conds, "::text");
	}
	if (trust && trust_parse(trust) < 0)
		check_fail(&k, "trust: claimed, recorded, network or verified");
	if (trust) {
		PUT(&conds, " AND i.trust >= ");
		value_int(c, &conds, trust_parse(trust));
		PUT(&conds, "::int");
	}
	if (begins) {
		PUT(&conds, " AND starts_with(i.value, ");
		value(c, &conds, begins);
		PUT(&conds, "::text)");
	}
	done(c, &k, what);
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
	join_name(&c->f->where, n);
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
	value(c, sql, hex);
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
		value(c, conds, text);
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
	if (take_when(c, &k, "after", &us)) {
		PUT(&conds, " AND t.id >= ");
		value_floor(c, &conds, us);
	}
	if (take_when(c, &k, "before", &us)) {
		PUT(&conds, " AND t.id < ");
		value_floor(c, &conds, us);
	}
	history_tables(&c->f->joins, &conds);
	join_end(c, n);
	bool has_least = take_int(&k, "at_least", &least);
	bool has_most = take_int(&k, "at_most", &most);
	if (has_least || !has_most) {
		if (least == 0)
			check_fail(&k, "at_least: 1 or more");
		join_name(w, n);
		PUT(w, ".n >= ");
		value_int(c, w, least);
		PUT(w, "::bigint");
	}
	if (has_most) {
		if (has_least)
			PUT(w, " AND ");
		PUT(w, "coalesce(");
		join_name(w, n);
		PUT(w, ".n, 0) <= ");
		value_int(c, w, most);
		PUT(w, "::bigint");
	}
	done(c, &k, what);
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
	if (take_when(c, &k, "after", &us)) {
		PUT(&conds, " AND t.id >= ");
		value_floor(c, &conds, us);
	}
	bool before = take_when(c, &k, "before", &us);
	if (before) {
		PUT(j, ", count(*) FILTER (WHERE s.id >= ");
		value_floor(c, j, us);
		PUT(j, ") AS late");
	}
	history_tables(j, &conds);
	join_end(c, n);
	join_name(w, n);
	PUT(w, ".n > 0");
	if (before) {
		PUT(w, " AND ");
		join_name(w, n);
		PUT(w, ".late = 0");
	}
	done(c, &k, what);
	buf_fini(&conds);
}

/* ---- Conditions on what it wants ---------------------------------------------------- */

static void
wish_is_there(struct buf *w, unsigned n, bool there)
{
	join_name(w, n);
	if (there)
		PUT(w, ".root IS NOT NULL");
	else
		PUT(w, ".root IS NULL");
}

static const char *
take_word(struct check *k, const char *name)
{
	const char *text = check_text(k, name, ADDRESS_KIND_MAX);

	if (!text || !*text)
		check_fail(k, "%s: is required", name);
	return text ? text : "";
}

static void
on_consent(struct compiler *c, const json_t *v, const char *what)
{
	struct buf *j = &c->f->joins, *w = &c->f->where;
	unsigned n = join_next(c);
	struct check k;

	if (!n)
		return;
	check_init(&k, v);
	PUT(j, "\n\tLEFT JOIN segment_consents($1::int, $2::uuid, $3::uuid, ");
	value(c, j, take_word(&k, "kind"));
	PUT(j, "::text, ");
	const char *purpose = take_word(&k, "purpose"), *is = take_word(&k, "is");
	value(c, j, purpose);
	PUT(j, "::text) ");
	join_on(j, n);
	if (!preference_purpose_is_known(purpose))
		check_fail(&k, "purpose: transactional, service, survey or marketing");
	wish_is_there(w, n, !str_eq(is, "none"));
	if (str_eq(is, "allowed") || str_eq(is, "denied")) {
		PUT(w, " AND ");
		join_name(w, n);
		PUT(w, ".denied = ");
		value(c, w, str_eq(is, "denied") ? "t" : "f");
		PUT(w, "::bool");
	} else if (!str_eq(is, "none")) {
		check_fail(&k, "is: allowed, denied or none");
	}
	done(c, &k, what);
}

static void
on_do_not_contact(struct compiler *c, const json_t *v, const char *what)
{
	unsigned n = join_next(c);

	if (!json_is_boolean(v))
		fail(c, what, "true or false");
	if (!n)
		return;
	PUT(&c->f->joins, "\n\tLEFT JOIN segment_silent($1::int, $2::uuid, $3::uuid) ");
	join_on(&c->f->joins, n);
	wish_is_there(&c->f->where, n, json_is_true(v));
}

static void
on_preferred(struct compiler *c, const json_t *v, const char *what)
{
	unsigned n = join_next(c);

	if (!n)
		return;
	PUT(&c->f->joins,
		"\n\tLEFT JOIN segment_preferred($1::int, $2::uuid, $3::uuid) ");
	join_on(&c->f->joins, n);
	join_name(&c->f->where, n);
	PUT(&c->f->where, ".preferred && ");
	value_texts(c, &c->f->where, what, v);
	PUT(&c->f->where, "::text[]");
}

static void
on_suppressed(struct compiler *c, const json_t *v, const char *what)
{
	struct buf *j = &c->f->joins;
	unsigned n = join_next(c);
	struct check k;

	if (!n)
		return;
	check_init(&k, v);
	const char *kind = check_text(&k, "kind", ADDRESS_KIND_MAX);

	PUT(j, "\n\tLEFT JOIN segment_suppressed($1::int, $2::uuid, $3::uuid, ");
	if (kind)
		value(c, j, kind);
	else
		PUT(j, "NULL");
	PUT(j, "::text) ");
	join_on(j, n);
	wish_is_there(&c->f->where, n, true);
	done(c, &k, what);
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
	{"consent", on_consent},
	{"do_not_contact", on_do_not_contact},
	{"preferred", on_preferred},
	{"suppressed", on_suppressed},
};

static void compile(struct compiler *c, const json_t *v);

static void
compile_list(struct compiler *c, const json_t *list, bool any)
{
	struct buf *w = &c->f->where;

	if (!json_is_array(list) || json_array_size(list) > SEGMENT_CONDITIONS_MAX) {
		fail(c, any ? "any" : "all", "a list of at most 50");
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
			fail(c, "", "at most 50 conditions");
			return;
		}
		PUT(&c->f->where, "(");
		conditions[i].compile(c, value, conditions[i].name);
		PUT(&c->f->where, ") IS TRUE");
		return;
	}
	fail(c, "",
		"a condition is one of all, any, not, role, language, timezone, vip, name, "
		"attribute, organisation, identity, created, updated, interaction, "
		"last_interaction, consent, do_not_contact, preferred, suppressed");
}

static void
compile(struct compiler *c, const json_t *v)
{
	void *it = json_object_iter((json_t *)(uintptr_t)v);

	if (!json_is_object(v) || json_object_size(v) != 1) {
		fail(c, "", "each part is an object with one member");
		return;
	}
	if (++c->depth > SEGMENT_DEPTH_MAX) {
		fail(c, "", "nested more than 8 deep");
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
	f->roles = value_sight(&c, sight_roles(sight));
	f->attributes = value_sight(&c, sight_attributes(sight));
	PUT(&f->where, "true");
	if (f->roles) {
		PUT(&f->where, " AND c.roles && ");
		put_sight(&f->where, f->roles);
	}
	if (f->attributes) { /* of a value without a place the type is not known */
		PUT(&f->where, " AND ");
		put_sight(&f->where, f->attributes);
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
		put_sight(sql, f->roles);
		PUT(sql, ", ");
		put_sight(sql, f->attributes);
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
