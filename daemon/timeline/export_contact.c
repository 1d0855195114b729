/* export_contact.c - everything that is held on one contact, as one JSON document:
 *
 *	{"exported_at":…, "contact":{…}, "members":[…], …, "complete":true}
 *
 * A part is a line of `parts` and a statement of segment.sql with the parameters tenant,
 * root, after (text, null at first), limit; its rows are (cursor, object) in the order of
 * the cursor. Whoever adds a table that has something of a contact adds its part here, and
 * says what of it a limited caller (people/sight.h) may see: all, what the statement leaves
 * of it when it is given the roles or the whole sight as well, or nothing, and then the part is
 * not in the document. */
#include <timeline/export_priv.h>

#include <clock.h>
#include <mem.h>
#include <str.h>

#include <stdio.h>
#include <string.h>

#define PAGE	200
#define STEP_MS 15000

static const struct part {
	const char *name;
	const char *statement;
	bool is_one; /* an object, not a list */
	enum { SHOWS_ALL, TAKES_ROLES, TAKES_SIGHT, HIDDEN } sight;
} parts[] = {
	{"contact", "export_contact", true, TAKES_SIGHT},
	{"members", "export_members", false, TAKES_SIGHT},
	{"merges", "export_merges", false, TAKES_ROLES},
	{"merge_suggestions", "export_suggestions", false, TAKES_ROLES},
	{"identities", "export_identities", false, SHOWS_ALL},
	{"preferences", "export_preferences", true, SHOWS_ALL},
	{"consents", "export_consents", false, SHOWS_ALL},
	{"suppressions", "export_suppressions", false, SHOWS_ALL},
	{"interactions", "export_interactions", false, SHOWS_ALL},
	{"audit", "export_audit", false, HIDDEN},
};

struct document {
	struct export base;
	int tenant;
	const struct sight *sight; /* counted */
	struct uuid asked, root;
	size_t part;	  /* being read; past the last: done */
	char *after;	  /* cursor in it, or NULL */
	bool begun, item; /* of the document; of the list */
	struct step *step;
};

struct step {
	struct document *document; /* NULL: gone */
};

static void ask_part(struct document *d);

static struct document *
step_end(void *arg)
{
	struct step *s = arg;
	struct document *d = s->document;

	xfree(&s);
	if (d)
		d->step = NULL;
	return d;
}

static struct pg_unit *
unit_new(struct document *d)
{
	struct pg_unit *u = pg_unit_new(d->base.store->reports);
	char text[16];

	d->step = xcalloc(1, sizeof(*d->step));
	d->step->document = d;
	snprintf(text, sizeof(text), "%d", STEP_MS);
	pg_add(u, "report_guard");
	pg_param_text(u, text);
	return u;
}

static void
put_head(struct document *d, struct buf *out)
{
	char at[CLOCK_RFC3339_LEN];

	if (!d->begun)
		buf_printf(out, "{\"exported_at\":\"%s\"",
			clock_format(at, clock_wall_us()));
	d->begun = true;
}

static void
next_part(struct document *d)
{
	do
		d->part++;
	while (d->sight && d->part < ARRAY_LEN(parts) &&
		parts[d->part].sight == HIDDEN);
}

/* The next part's name, when its first rows are there. */
static void
put_rows(struct document *d, const struct pg_answer *a, struct buf *out)
{
	const struct part *p = &parts[d->part];
	size_t n = pg_rows(a, 1);

	if (!d->after) {
		buf_printf(out, ",\n\"%s\":%s", p->name, p->is_one ? "" : "[");
		d->item = false;
	}
	for (size_t i = 0; i < n; i++) {
		if (!p->is_one)
			buf_adds(out, d->item ? ",\n" : "\n");
		d->item = true;
		buf_add(out, pg_text(a, 1, i, 1), pg_text_len(a, 1, i, 1));
	}
	if (p->is_one && !n)
		buf_adds(out, "null");
	xfree(&d->after);
	if (n < PAGE || p->is_one) {
		buf_adds(out, p->is_one ? "" : "]");
		next_part(d);
	} else {
		d->after = xstrdup(pg_text(a, 1, n - 1, 0));
	}
}

static void
on_part(void *arg, const struct pg_answer *a)
{
	struct document *d = step_end(arg);
	struct buf out = BUF_INIT;

	if (!d)
		return;
	if (a->status != PG_OK) {
		export_failed(&d->base, 503, a->message);
		return;
	}
	put_head(d, &out);
	put_rows(d, a, &out);
	bool end = d->part == ARRAY_LEN(parts);

	if (end)
		buf_adds(&out, ",\n\"complete\":true}\n");
	struct export_piece p = {
		.text = buf_str(&out), .len = out.len, .rows = end, .end = end};

	d->base.fn(d->base.arg, &p);
	buf_fini(&out);
}

static void
ask_part(struct document *d)
{
	struct pg_unit *u = unit_new(d);

	pg_add(u, parts[d->part].statement);
	pg_param_int(u, d->tenant);
	pg_param_uuid(u, &d->root);
	pg_param_text(u, d->after);
	pg_param_int(u, PAGE);
	if (parts[d->part].sight == TAKES_ROLES)
		sight_param_roles(u, d->sight);
	else if (parts[d->part].sight == TAKES_SIGHT)
		sight_param(u, d->sight);
	pg_submit(&u, STEP_MS + 1000, on_part, d->step);
}

static void
on_root(void *arg, const struct pg_answer *a)
{
	struct document *d = step_end(arg);

	if (!d)
		return;
	if (a->status != PG_OK) {
		export_failed(&d->base, 503, a->message);
		return;
	}
	d->root = pg_uuid(a, 1, 0, 0);
	if (uuid_is_nil(&d->root))
		export_failed(&d->base, 404, "there is no contact with this id");
	else
		ask_part(d);
}

static void
document_next(struct export *base)
{
	struct document *d = (struct document *)base;

	if (!uuid_is_nil(&d->root)) {
		ask_part(d);
		return;
	}
	struct pg_unit *u = unit_new(d);

	pg_add(u, "timeline_contact");
	pg_param_int(u, d->tenant);
	pg_param_uuid(u, &d->asked);
	sight_param_roles(u, d->sight);
	pg_submit(&u, STEP_MS + 1000, on_root, d->step);
}

static void
document_free(struct export *base)
{
	struct document *d = (struct document *)base;

	if (d->step)
		d->step->document = NULL;
	mem_free(d->after);
	sight_unref(&d->sight);
	mem_free(d);
}

struct export *
export_contact(struct store *store, const struct actor *actor, const struct uuid *id,
	export_piece_fn *fn, void *arg)
{
	static const struct export_ops ops = {document_next, document_free};
	struct document *d = xcalloc(1, sizeof(*d));

	d->base = (struct export){&ops, store, fn, arg};
	d->tenant = actor->tenant->id;
	d->sight = sight_ref(actor->sight);
	d->asked = *id;
	return &d->base;
}
