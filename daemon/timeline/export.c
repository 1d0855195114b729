/* export.c - contacts as NDJSON or CSV; see export.h. Finding them is contact_walk.c's.
 *
 * CSV wants to know its columns first: what attributes there are and how many addresses the
 * one with most has. That is asked once, over all contacts that the caller sees. */
#include <timeline/export_priv.h>

#include <mem.h>
#include <str.h>
#include <timeline/contact_walk.h>
#include <timeline/export_csv.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE	    500
#define PATIENCE_MS 60000
#define COLUMNS_MS  60000

void
export_next(struct export *e)
{
	e->ops->next(e);
}

void
export_free(struct export **ep)
{
	if (*ep)
		(*ep)->ops->free(*ep);
	*ep = NULL;
}

void
export_failed(struct export *e, int status, const char *why)
{
	struct export_piece p = {.status = status, .why = why};

	e->fn(e->arg, &p);
}

struct list_export {
	struct export base;
	enum export_format format;
	struct contact_walk *walk;
	int tenant;
	const struct sight *sight; /* counted */
	struct export_columns columns;
	bool knows_columns, wants_header;
	struct asking *asking; /* for the columns */
};

struct asking {
	struct list_export *export; /* NULL: gone */
};

static void
add_contact(
	struct list_export *e, const struct pg_answer *a, size_t row, struct buf *out)
{
	const char *text = pg_text(a, 1, row, 1);
	size_t len = pg_text_len(a, 1, row, 1);

	if (e->format == EXPORT_NDJSON) {
		buf_add(out, text, len);
		buf_addc(out, '\n');
		return;
	}
	json_t *contact = json_loadb(text, len, 0, NULL);
	export_csv_record(&e->columns, contact, out);
	json_decref(contact);
}

static void
on_page(void *arg, const struct contact_page *page)
{
	struct list_export *e = arg;
	struct buf out = BUF_INIT;

	if (page->failed) {
		export_failed(&e->base, 503, page->failed);
		return;
	}
	if (e->wants_header)
		export_csv_header(&e->columns, &out);
	e->wants_header = false;
	for (size_t i = 0; i < page->n; i++)
		add_contact(e, page->answer, i, &out);
	struct export_piece p = {.text = buf_str(&out),
		.len = out.len,
		.rows = page->n,
		.end = page->end};

	e->base.fn(e->base.arg, &p);
	buf_fini(&out);
}

static unsigned
at_most(int64_t n)
{
	return n > EXPORT_ADDRESSES_MAX ? EXPORT_ADDRESSES_MAX
	       : n < 1			? 1
					: (unsigned)n;
}

static void
on_columns(void *arg, const struct pg_answer *a)
{
	struct asking *q = arg;
	struct list_export *e = q->export;

	xfree(&q);
	if (!e)
		return;
	e->asking = NULL;
	if (a->status != PG_OK) {
		export_failed(&e->base, 503, a->message);
		return;
	}
	e->columns.externals = at_most(pg_int(a, 1, 0, 0));
	e->columns.phones = at_most(pg_int(a, 1, 0, 1));
	e->columns.emails = at_most(pg_int(a, 1, 0, 2));
	e->columns.attributes =
		json_loadb(pg_text(a, 1, 0, 3), pg_text_len(a, 1, 0, 3), 0, NULL);
	if (json_array_size(e->columns.attributes) > EXPORT_ATTRIBUTES_MAX) {
		export_failed(&e->base, 422,
			"format: there are more than 150 attributes, which are no columns "
			"any more; take ndjson");
		return;
	}
	e->knows_columns = true;
	contact_walk_next(e->walk);
}

static void
ask_columns(struct list_export *e)
{
	struct pg_unit *u = pg_unit_new(e->base.store->reports);
	char text[16];

	e->asking = xcalloc(1, sizeof(*e->asking));
	e->asking->export = e;
	snprintf(text, sizeof(text), "%d", COLUMNS_MS);
	pg_add(u, "report_guard");
	pg_param_text(u, text);
	pg_add(u, "export_columns");
	pg_param_int(u, e->tenant);
	pg_param_int(u, EXPORT_ATTRIBUTES_MAX + 1);
	sight_param(u, e->sight);
	pg_submit(&u, COLUMNS_MS + 1000, on_columns, e->asking);
}

static void
list_next(struct export *base)
{
	struct list_export *e = (struct list_export *)base;

	if (e->format == EXPORT_CSV && !e->knows_columns)
		ask_columns(e);
	else
		contact_walk_next(e->walk);
}

static void
list_free(struct export *base)
{
	struct list_export *e = (struct list_export *)base;

	if (e->asking)
		e->asking->export = NULL;
	contact_walk_free(&e->walk);
	export_columns_fini(&e->columns);
	sight_unref(&e->sight);
	mem_free(e);
}

struct export *
export_contacts(struct store *store, const struct export_opts *opts,
	export_piece_fn *fn, void *arg, struct err *err)
{
	static const struct export_ops ops = {list_next, list_free};
	struct contact_walk_opts w = {.tenant = opts->tenant,
		.filter = opts->filter,
		.sight = opts->sight,
		.wishes = opts->format == EXPORT_NDJSON,
		.after = opts->after,
		.page = PAGE,
		.patience_ms = PATIENCE_MS,
		.waits_for_database = true};
	struct list_export *e = xcalloc(1, sizeof(*e));

	e->base = (struct export){&ops, store, fn, arg};
	e->format = opts->format;
	e->tenant = opts->tenant->id;
	e->wants_header = opts->format == EXPORT_CSV && uuid_is_nil(&opts->after);
	e->sight = sight_ref(opts->sight);
	e->walk = contact_walk_new(store, &w, on_page, e, err);
	if (!e->walk) {
		sight_unref(&e->sight);
		xfree(&e);
		return NULL;
	}
	return &e->base;
}
