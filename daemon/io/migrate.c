/* migrate.c - brings the schema to what this binary was built with.
 *
 * Migrations are the embedded files conf/sql/NNN-what.sql, in the order of their names.
 * What was applied is recorded with a hash of its text: a migration is never edited
 * once it was released, and if one was, or if one is missing in the middle, we refuse
 * to go on rather than guess. The advisory lock is the session's, so two daemons that
 * start at once take turns and the second finds nothing left to do. */
#include <io/migrate.h>

#include <base/embedded.h>
#include <log.h>
#include <mem.h>
#include <str.h>

#include <sodium.h>

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define PREFIX	   "conf/sql/"
#define KNOWN_MAX  512
#define NEWER_MAX  64
#define HASH_BYTES 16
#define LOCK_KEY   "7308323145" /* any number, the same for ever */
#define COMPATIBLE "-- compatible: yes"

const char migrate_table_sql[] =
	"CREATE TABLE IF NOT EXISTS schema_migration ("
	"name text PRIMARY KEY, hash text NOT NULL, compatible boolean NOT NULL, "
	"applied_at timestamptz NOT NULL DEFAULT now())";

struct migration {
	const char *name; /* "001-base" and so on, not ending with NUL: see name_len */
	size_t name_len;
	const char *sql;
	char hash[HASH_BYTES * 2 + 1];
	bool applied, changed;
};

struct newer {
	char name[64];
	bool compatible;
};

struct plan {
	struct migration known[KNOWN_MAX];
	struct newer unknown[NEWER_MAX]; /* the first of them */
	int n, applied, newer;
	bool newer_is_compatible;
	char last[64];
	char newest[64];  /* of those we do not know */
	char changed[64]; /* one whose text is not what was applied; "" = none */
};

static void
plan_add(struct plan *p, const struct embedded *file)
{
	struct migration *m = &p->known[p->n++];
	unsigned char hash[HASH_BYTES];

	assert(p->n < KNOWN_MAX);
	m->name = file->name + strlen(PREFIX);
	m->name_len = strcspn(m->name, ".");
	m->sql = file->data;
	crypto_generichash(hash, sizeof(hash), (const unsigned char *)file->data,
		file->len, NULL, 0);
	hex_encode(m->hash, hash, sizeof(hash));
}

static struct migration *
plan_find(struct plan *p, const char *name)
{
	for (int i = 0; i < p->n; i++)
		if (strlen(name) == p->known[i].name_len &&
			!strncmp(name, p->known[i].name, p->known[i].name_len))
			return &p->known[i];
	return NULL;
}

/* One row of schema_migration: name, hash, compatible. In the order of names. */
static void
on_applied(void *arg, int n, char *const *cols)
{
	struct plan *p = arg;
	struct migration *m = plan_find(p, cols[0]);

	(void)n;
	p->applied++;
	str_copy(p->last, sizeof(p->last), cols[0]);
	if (!m) {
		if (p->newer < NEWER_MAX) {
			struct newer *u = &p->unknown[p->newer];
			str_copy(u->name, sizeof(u->name), cols[0]);
			u->compatible = cols[2][0] == 't';
		}
		p->newer++;
		p->newer_is_compatible &= cols[2][0] == 't';
		str_copy(p->newest, sizeof(p->newest), cols[0]);
		return;
	}
	m->applied = true;
	m->changed = strcmp(m->hash, cols[1]) != 0;
	if (m->changed)
		str_copy(p->changed, sizeof(p->changed), cols[0]);
}

static void
on_exists(void *arg, int n, char *const *cols)
{
	(void)n;
	*(bool *)arg = cols[0][0] == 't';
}

/* Reads what the database has; makes nothing. */
static int
plan_load(struct plan *p, struct pg_sync *pg, struct err *err)
{
	bool exists = false;

	memset(p, 0, sizeof(*p));
	p->newer_is_compatible = true;
	for (const struct embedded *f = embedded_files; f->name; f++)
		if (str_starts(f->name, PREFIX))
			plan_add(p, f);
	if (pg_sync_query(pg, "SELECT to_regclass('schema_migration') IS NOT NULL", 0,
		    NULL, on_exists, &exists, err) < 0)
		return -1;
	if (!exists)
		return 0;
	return pg_sync_query(pg,
		"SELECT name, hash, compatible FROM schema_migration "
		"ORDER BY name COLLATE \"C\"",
		0, NULL, on_applied, p, err);
}

/* Is this database one that we may work on? */
static int
plan_check(const struct plan *p, struct err *err)
{
	bool missing = false;

	if (p->changed[0])
		return err_set(err,
			"migration %s was applied to the database with another text: "
			"this is "
			"not the schema this program was built for",
			p->changed);
	if (p->newer && !p->newer_is_compatible)
		return err_set(err,
			"the database was migrated by a newer version (%s): run that "
			"one, or "
			"restore a backup made before",
			p->newest);
	for (int i = 0; i < p->n; i++) {
		if (missing && p->known[i].applied)
			return err_set(err,
				"migration %.*s is applied but one before it is not",
				(int)p->known[i].name_len, p->known[i].name);
		missing |= !p->known[i].applied;
	}
	return 0;
}

int
migrate_status(struct pg_sync *pg, struct migration_status *st, struct err *err)
{
	struct plan *p = xmalloc(sizeof(*p));
	int rc = plan_load(p, pg, err);

	memset(st, 0, sizeof(*st));
	if (rc == 0) {
		st->known = p->n;
		st->applied = p->applied - p->newer;
		st->pending = p->n - st->applied;
		st->newer = p->newer;
		str_copy(st->last, sizeof(st->last), p->last);
	}
	xfree(&p);
	return rc;
}

static bool
is_compatible(const struct migration *m)
{
	const char *found = strstr(m->sql, COMPATIBLE);

	return found && found < m->sql + strcspn(m->sql, "\n");
}

static enum migration_state
state_of(const struct plan *p, int i)
{
	const struct migration *m = &p->known[i];

	if (m->applied)
		return m->changed ? MIGRATION_CHANGED : MIGRATION_APPLIED;
	while (++i < p->n)
		if (p->known[i].applied)
			return MIGRATION_SKIPPED;
	return MIGRATION_PENDING;
}

int
migrate_list(struct pg_sync *pg, migration_fn *fn, void *arg, struct err *err)
{
	struct plan *p = xmalloc(sizeof(*p));
	int rc = plan_load(p, pg, err);

	for (int i = 0; rc == 0 && i < p->n; i++) {
		const struct migration *m = &p->known[i];
		char name[64];
		snprintf(name, sizeof(name), "%.*s", (int)m->name_len, m->name);
		struct migration_info info = {
			name, state_of(p, i), is_compatible(m), m->sql};
		fn(arg, &info);
	}
	for (int i = 0; rc == 0 && i < p->newer && i < NEWER_MAX; i++) {
		struct migration_info info = {p->unknown[i].name, MIGRATION_NEWER,
			p->unknown[i].compatible, NULL};
		fn(arg, &info);
	}
	xfree(&p);
	return rc;
}

static int
migration_record(struct pg_sync *pg, const struct migration *m, const char *name,
	struct err *err)
{
	const char *params[] = {name, m->hash, is_compatible(m) ? "t" : "f"};

	return pg_sync_query(pg,
		"INSERT INTO schema_migration (name, hash, compatible) VALUES ($1, $2, "
		"$3)",
		3, params, NULL, NULL, err);
}

static int
migration_apply(struct pg_sync *pg, const struct migration *m, const char *name,
	struct err *err)
{
	struct err why, ignored;

	if (pg_sync_exec(pg, "BEGIN", err) < 0)
		return -1;
	if (pg_sync_exec(pg, m->sql, &why) == 0 &&
		migration_record(pg, m, name, &why) == 0 &&
		pg_sync_exec(pg, "COMMIT", &why) == 0)
		return 0;
	if (pg_sync_exec(pg, "ROLLBACK", &ignored) < 0)
		log_debug("pg", "rolling back %s: %s", name, ignored.text);
	err_set(err, "migration %s: %s", name, why.text);
	if (err)
		err->code = why.code;
	return -1;
}

static int
apply_pending(struct pg_sync *pg, const struct plan *p,
	void (*on_step)(void *arg, const char *name), void *arg, struct err *err)
{
	for (int i = 0; i < p->n; i++) {
		const struct migration *m = &p->known[i];
		char name[64];

		if (m->applied)
			continue;
		snprintf(name, sizeof(name), "%.*s", (int)m->name_len, m->name);
		if (on_step)
			on_step(arg, name);
		if (migration_apply(pg, m, name, err) < 0)
			return -1;
	}
	return 0;
}

/* The rest of migrate_apply, under the lock. */
static int
apply_locked(struct pg_sync *pg, void (*on_step)(void *arg, const char *name),
	void *arg, struct err *err)
{
	struct plan *p = xmalloc(sizeof(*p));
	int rc = -1;

	if (plan_load(p, pg, err) == 0 && plan_check(p, err) == 0)
		rc = pg_sync_exec(pg, migrate_table_sql, err);
	if (rc == 0)
		rc = apply_pending(pg, p, on_step, arg, err);
	xfree(&p);
	return rc;
}

static void
on_encoding(void *arg, int n, char *const *cols)
{
	(void)n;
	*(bool *)arg = !strcmp(cols[0], "UTF8");
}

int
migrate_apply(struct pg_sync *pg, void (*on_step)(void *arg, const char *name),
	void *arg, struct err *err)
{
	struct err ignored;
	bool utf8 = false;

	if (pg_sync_query(
		    pg, "SHOW server_encoding", 0, NULL, on_encoding, &utf8, err) < 0)
		return -1;
	if (!utf8)
		return err_set(err, "the database's encoding must be UTF8");
	if (pg_sync_exec(pg, "SELECT pg_advisory_lock(" LOCK_KEY ")", err) < 0)
		return -1;
	int rc = apply_locked(pg, on_step, arg, err);
	if (pg_sync_exec(pg, "SELECT pg_advisory_unlock(" LOCK_KEY ")", &ignored) < 0)
		log_debug("pg", "unlocking: %s", ignored.text);
	return rc;
}
