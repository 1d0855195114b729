/* segment_wishes.c - conditions on what contacts want, of all their members the strictest:
 * set functions of conf/sql/033-segments.sql, joined like what is asked of history. */
#include <timeline/segment_priv.h>

#include <people/address.h>
#include <people/preference.h>
#include <str.h>

static void
wish_is_there(struct buf *w, unsigned n, bool there)
{
	segment_join_name(w, n);
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

void
segment_on_consent(struct compiler *c, const json_t *v, const char *what)
{
	struct buf *j = &c->f->joins, *w = &c->f->where;
	unsigned n = segment_join_next(c);
	struct check k;

	if (!n)
		return;
	check_init(&k, v);
	PUT(j, "\n\tLEFT JOIN segment_consents($1::int, $2::uuid, $3::uuid, ");
	segment_value(c, j, take_word(&k, "kind"));
	PUT(j, "::text, ");
	const char *purpose = take_word(&k, "purpose"), *is = take_word(&k, "is");
	segment_value(c, j, purpose);
	PUT(j, "::text) ");
	segment_join_on(j, n);
	if (!preference_purpose_is_known(purpose))
		check_fail(&k, "purpose: transactional, service, survey or marketing");
	wish_is_there(w, n, !str_eq(is, "none"));
	if (str_eq(is, "allowed") || str_eq(is, "denied")) {
		PUT(w, " AND ");
		segment_join_name(w, n);
		PUT(w, ".denied = ");
		segment_value(c, w, str_eq(is, "denied") ? "t" : "f");
		PUT(w, "::bool");
	} else if (!str_eq(is, "none")) {
		check_fail(&k, "is: allowed, denied or none");
	}
	segment_done(c, &k, what);
}

void
segment_on_do_not_contact(struct compiler *c, const json_t *v, const char *what)
{
	unsigned n = segment_join_next(c);

	if (!json_is_boolean(v))
		segment_fail(c, what, "true or false");
	if (!n)
		return;
	PUT(&c->f->joins, "\n\tLEFT JOIN segment_silent($1::int, $2::uuid, $3::uuid) ");
	segment_join_on(&c->f->joins, n);
	wish_is_there(&c->f->where, n, json_is_true(v));
}

void
segment_on_preferred(struct compiler *c, const json_t *v, const char *what)
{
	unsigned n = segment_join_next(c);

	if (!n)
		return;
	PUT(&c->f->joins,
		"\n\tLEFT JOIN segment_preferred($1::int, $2::uuid, $3::uuid) ");
	segment_join_on(&c->f->joins, n);
	segment_join_name(&c->f->where, n);
	PUT(&c->f->where, ".preferred && ");
	segment_value_texts(c, &c->f->where, what, v);
	PUT(&c->f->where, "::text[]");
}

void
segment_on_suppressed(struct compiler *c, const json_t *v, const char *what)
{
	struct buf *j = &c->f->joins;
	unsigned n = segment_join_next(c);
	struct check k;

	if (!n)
		return;
	check_init(&k, v);
	const char *kind = check_text(&k, "kind", ADDRESS_KIND_MAX);

	PUT(j, "\n\tLEFT JOIN segment_suppressed($1::int, $2::uuid, $3::uuid, ");
	if (kind)
		segment_value(c, j, kind);
	else
		PUT(j, "NULL");
	PUT(j, "::text) ");
	segment_join_on(j, n);
	wish_is_there(&c->f->where, n, true);
	segment_done(c, &k, what);
}
