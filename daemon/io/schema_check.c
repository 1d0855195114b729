/* schema_check.c - drift between a database and what its migrations make.
 *
 * Nothing is known here of single tables: what ought to be there is made, in a schema
 * that nobody else sees and that is rolled back. Both catalogues are read by one query,
 * each under a search_path of its schema alone, so that definitions read the same.
 * Partitions differ with the calendar and are looked at by themselves; so is whether
 * indexes are valid.
 *
 * A row of a catalogue is (kind, object, definition), sorted by the first two; comparing
 * is merging. */
#include <io/schema_check.h>

#include <buf.h>
#include <io/migrate.h>
#include <mem.h>
#include <str.h>

#include <stdlib.h>
#include <string.h>

#define SCRATCH "interactd_check" /* never committed */

/* $1: the schema. Partitions, and what they inherit, are left out. */
static const char catalogue_sql[] =
	"WITH ns AS (SELECT oid, nspname FROM pg_namespace WHERE nspname = $1), "
	"rel AS (SELECT c.* FROM pg_class c JOIN ns ON ns.oid = c.relnamespace "
	"WHERE NOT c.relispartition), "
	"tab AS (SELECT * FROM rel WHERE relkind IN ('r', 'p')) "
	"SELECT k, o, replace(d, (SELECT quote_ident(nspname) FROM ns) || '.', '') FROM ("
	"SELECT 'table' k, relname::text o, "
	"  CASE relkind WHEN 'p' THEN 'partitioned by ' || pg_get_partkeydef(oid) "
	"  ELSE 'plain' END || CASE relpersistence WHEN 'p' THEN '' ELSE ', not logged' END "
	"  d FROM tab "
	"UNION ALL SELECT 'column', t.relname || '.' || a.attname, "
	"  format_type(a.atttypid, a.atttypmod) || "
	"  CASE WHEN a.attnotnull THEN ' not null' ELSE '' END || "
	"  CASE a.attidentity WHEN '' THEN '' ELSE ' identity' END || "
	"  coalesce(' default ' || pg_get_expr(f.adbin, f.adrelid), '') "
	"  FROM tab t JOIN pg_attribute a ON a.attrelid = t.oid "
	"  LEFT JOIN pg_attrdef f ON f.adrelid = t.oid AND f.adnum = a.attnum "
	"  WHERE a.attnum > 0 AND NOT a.attisdropped "
	"UNION ALL SELECT 'constraint', t.relname || '.' || c.conname, "
	"  pg_get_constraintdef(c.oid) FROM tab t JOIN pg_constraint c "
	"  ON c.conrelid = t.oid "
	"UNION ALL SELECT 'index', t.relname || '.' || i.relname, pg_get_indexdef(i.oid) "
	"  FROM tab t JOIN pg_index x ON x.indrelid = t.oid "
	"  JOIN rel i ON i.oid = x.indexrelid "
	"UNION ALL SELECT 'trigger', t.relname || '.' || g.tgname, pg_get_triggerdef(g.oid) "
	"  || CASE g.tgenabled WHEN 'D' THEN ' (disabled)' ELSE '' END "
	"  FROM tab t JOIN pg_trigger g ON g.tgrelid = t.oid WHERE NOT g.tgisinternal "
	"UNION ALL SELECT 'view', relname, pg_get_viewdef(oid) FROM rel "
	"  WHERE relkind IN ('v', 'm') "
	"UNION ALL SELECT 'sequence', relname, '' FROM rel WHERE relkind = 'S' "
	"UNION ALL SELECT 'function', "
	"  p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')', "
	"  pg_get_functiondef(p.oid) FROM pg_proc p JOIN ns ON ns.oid = p.pronamespace "
	"  WHERE p.prokind IN ('f', 'p') AND NOT EXISTS (SELECT FROM pg_depend d "
	"  WHERE d.objid = p.oid AND d.deptype = 'e')) x "
	"ORDER BY k COLLATE \"C\", o COLLATE \"C\"";

/* The names are those that create_month gives; the daemon makes them two months ahead. */
static const char partitions_sql[] =
	"SELECT p.relname || '_' || to_char(m, 'YYYYMM') FROM pg_class p "
	"CROSS JOIN generate_series(date_trunc('month', now() AT TIME ZONE 'UTC'), "
	"  date_trunc('month', (now() + interval '1 month') AT TIME ZONE 'UTC'), "
	"  interval '1 month') m "
	"WHERE p.relkind = 'p' AND p.relnamespace = quote_ident($1)::regnamespace "
	"AND NOT EXISTS (SELECT FROM pg_inherits h JOIN pg_class c ON c.oid = h.inhrelid "
	"  WHERE h.inhparent = p.oid AND c.relname IN (p.relname || '_' || "
	"  to_char(m, 'YYYYMM'), p.relname || '_' || to_char(m, 'YYYY'))) ORDER BY 1";

static const char invalid_sql[] =
	"SELECT c.relname FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid "
	"WHERE c.relnamespace = quote_ident($1)::regnamespace AND NOT (x.indisvalid AND x.indisready) "
	"ORDER BY 1";

struct check {
	schema_finding_fn *fn;
	void *arg;
	struct buf sql; /* migrations applied, with our text */
	int applied, unsure;
	struct err err;
};

static void
tell(struct check *c, const struct schema_finding *f)
{
	c->fn(c->arg, f);
}

/* ---- Migrations ------------------------------------------------------------------- */

static void
tell_migration(struct check *c, const struct migration_info *m, const char *what,
	const char *todo, bool note)
{
	struct schema_finding f = {.kind = "migration",
		.object = m->name,
		.what = what,
		.todo = todo,
		.note = note};
	tell(c, &f);
}

static void
on_migration(void *arg, const struct migration_info *m)
{
	struct check *c = arg;
	switch (m->state) {
	case MIGRATION_APPLIED:
		c->applied++;
		buf_adds(&c->sql, m->sql);
		buf_adds(&c->sql, "\n;\n");
		break;
	case MIGRATION_PENDING:
		tell_migration(c, m, "is not applied",
			"run interactctl db migrate, or start the daemon", false);
		break;
	case MIGRATION_SKIPPED:
		c->unsure++;
		tell_migration(c, m, "is not applied, but one after it is",
			"restore a backup made before that one, and upgrade in order",
			false);
		break;
	case MIGRATION_CHANGED:
		c->unsure++;
		tell_migration(c, m,
			"was applied with another text than this program has",
			"use the version of interactd that made this database, or a "
			"release made after it",
			false);
		break;
	case MIGRATION_NEWER:
		c->unsure++;
		if (m->compatible)
			tell_migration(c, m,
				"is of a newer version, and this one may go on beside it",
				"upgrade this program", true);
		else
			tell_migration(c, m,
				"is of a newer version, and this one refuses to start",
				"run that version, or restore a backup made before it",
				false);
		break;
	}
}

/* ---- Catalogues ------------------------------------------------------------------- */

struct object {
	char *kind, *name, *definition;
};

struct catalogue {
	struct object *items;
	size_t n;
};

static void
on_object(void *arg, int n, char *const *cols)
{
	struct catalogue *k = arg;
	(void)n;
	if ((k->n & (k->n + 1)) == 0) /* 0, 1, 3, 7 …: room for as many again */
		k->items = xrealloc(k->items, (2 * k->n + 2) * sizeof(*k->items));
	k->items[k->n++] = (struct object){
		xstrdup(cols[0]), xstrdup(cols[1]), xstrdup(cols[2] ? cols[2] : "")};
}

static void
catalogue_fini(struct catalogue *k)
{
	for (size_t i = 0; i < k->n; i++) {
		xfree(&k->items[i].kind);
		xfree(&k->items[i].name);
		xfree(&k->items[i].definition);
	}
	xfree(&k->items);
}

/* In the order of the query. */
static int
object_cmp(const struct object *a, const struct object *b)
{
	int order = strcmp(a->kind, b->kind);
	return order ? order : strcmp(a->name, b->name);
}

static bool
has_table(const struct catalogue *k, const char *name)
{
	for (size_t i = 0; i < k->n; i++)
		if (strcmp(k->items[i].kind, "table") == 0 &&
			strcmp(k->items[i].name, name) == 0)
			return true;
	return false;
}

/* What nobody of ours made matters where it is on a table of ours; an index more is the
 * operator's own affair. */
static void
tell_extra(struct check *c, const struct catalogue *wanted, const struct object *o)
{
	char *table = xstrndup(o->name, strcspn(o->name, "."));
	if (strchr(o->name, '.') && has_table(wanted, table)) {
		struct schema_finding f = {.kind = o->kind,
			.object = o->name,
			.found = o->definition,
			.what = "is not of interactd's making"};
		f.note = strcmp(o->kind, "index") == 0;
		f.todo = f.note ? "keep it if it serves you; no upgrade knows of it"
				: "take it away, if it is not meant";
		tell(c, &f);
	}
	xfree(&table);
}

/* What belongs to a table that is missing is not told one by one. */
static bool
is_of_missing_table(const struct catalogue *found, const struct object *o)
{
	char *table = xstrndup(o->name, strcspn(o->name, "."));
	bool missing = strcmp(o->kind, "function") != 0 && strchr(o->name, '.') &&
		       !has_table(found, table);
	xfree(&table);
	return missing;
}

static void
tell_missing(struct check *c, const struct catalogue *found, const struct object *o)
{
	if (is_of_missing_table(found, o))
		return;
	struct schema_finding f = {.kind = o->kind,
		.object = o->name,
		.wanted = o->definition,
		.what = "is missing",
		.todo = "make it as shown, or restore a backup"};
	tell(c, &f);
}

static void
tell_differs(struct check *c, const struct object *wanted, const struct object *found)
{
	struct schema_finding f = {.kind = wanted->kind,
		.object = wanted->name,
		.wanted = wanted->definition,
		.found = found->definition,
		.what = "differs from what the migrations make",
		.todo = "change it to what is shown"};
	tell(c, &f);
}

static void
compare(struct check *c, const struct catalogue *wanted, const struct catalogue *found)
{
	size_t w = 0, f = 0;
	while (w < wanted->n || f < found->n) {
		const struct object *a = &wanted->items[w], *b = &found->items[f];
		int order = w == wanted->n ? 1 : f == found->n ? -1 : object_cmp(a, b);
		if (order < 0)
			tell_missing(c, found, a);
		else if (order > 0)
			tell_extra(c, wanted, b);
		else if (strcmp(a->definition, b->definition) != 0)
			tell_differs(c, a, b);
		w += order <= 0;
		f += order >= 0;
	}
}

static int
catalogue_read(
	struct pg_sync *pg, const char *schema, struct catalogue *k, struct err *err)
{
	const char *params[] = {schema};
	if (pg_sync_query(pg, "SELECT set_config('search_path', quote_ident($1), true)",
		    1, params, NULL, NULL, err) < 0)
		return -1;
	return pg_sync_query(pg, catalogue_sql, 1, params, on_object, k, err);
}

/* Inside the transaction. */
static int
catalogues_read(struct check *c, struct pg_sync *pg, const char *schema,
	struct catalogue *wanted, struct catalogue *found, struct err *err)
{
	if (catalogue_read(pg, schema, found, err) < 0 ||
		pg_sync_exec(pg,
			"SET LOCAL lock_timeout = '10s'; CREATE SCHEMA " SCRATCH
			"; SET LOCAL search_path = " SCRATCH,
			err) < 0 ||
		pg_sync_exec(pg, migrate_table_sql, err) < 0 ||
		pg_sync_exec(pg, buf_str(&c->sql), err) < 0)
		return -1;
	return catalogue_read(pg, SCRATCH, wanted, err);
}

static int
compare_schemas(
	struct check *c, struct pg_sync *pg, const char *schema, struct err *err)
{
	struct catalogue wanted = {0}, found = {0};
	struct err ignored;
	if (pg_sync_exec(pg, "BEGIN", err) < 0)
		return -1;
	int rc = catalogues_read(c, pg, schema, &wanted, &found, err);
	if (pg_sync_exec(pg, "ROLLBACK", rc == 0 ? err : &ignored) < 0)
		rc = -1;
	if (rc == 0)
		compare(c, &wanted, &found);
	rc = rc == 0 ? (int)wanted.n : -1;
	catalogue_fini(&wanted);
	catalogue_fini(&found);
	return rc;
}

/* ---- Partitions and indexes ------------------------------------------------------- */

static void
on_partition(void *arg, int n, char *const *cols)
{
	struct schema_finding f = {.kind = "partition",
		.object = cols[0],
		.what = "is missing, and soon needed",
		.todo = "start the daemon, which makes it; or by hand: SELECT "
			"ensure_partitions(now(), now() + interval '2 months')"};
	(void)n;
	tell(arg, &f);
}

static void
on_invalid(void *arg, int n, char *const *cols)
{
	char *todo = xasprintf("REINDEX INDEX CONCURRENTLY %s", cols[0]);
	struct schema_finding f = {.kind = "index",
		.object = cols[0],
		.what = "is not valid, and not used",
		.todo = todo};
	(void)n;
	tell(arg, &f);
	xfree(&todo);
}

static void
on_schema(void *arg, int n, char *const *cols)
{
	char **schema = arg;
	(void)n;
	*schema = xstrdup(cols[0]);
}

static int
check_made(struct check *c, struct pg_sync *pg, const char *schema, struct err *err)
{
	const char *params[] = {schema};
	int compared = 0;
	/* What other versions made cannot be told from what somebody did by hand. */
	if (!c->unsure && (compared = compare_schemas(c, pg, schema, err)) < 0)
		return -1;
	if (pg_sync_query(pg, partitions_sql, 1, params, on_partition, c, err) < 0 ||
		pg_sync_query(pg, invalid_sql, 1, params, on_invalid, c, err) < 0)
		return -1;
	return compared;
}

int
schema_check(struct pg_sync *pg, schema_finding_fn *fn, void *arg, struct err *err)
{
	struct check c = {.fn = fn, .arg = arg, .sql = BUF_INIT};
	char *schema = NULL;
	int rc = migrate_list(pg, on_migration, &c, err);
	if (rc == 0)
		rc = pg_sync_query(pg,
			"SELECT n.nspname FROM pg_class c JOIN pg_namespace n "
			"ON n.oid = c.relnamespace "
			"WHERE c.oid = to_regclass('schema_migration')",
			0, NULL, on_schema, &schema, err);
	if (rc == 0 && schema)
		rc = check_made(&c, pg, schema, err);
	buf_fini(&c.sql);
	xfree(&schema);
	return rc;
}
