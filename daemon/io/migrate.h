/* migrate.h - the schema's migrations: conf/sql/NNN-what.sql, embedded in the binary.
 *
 * Applied in order, each in its own transaction, under one advisory lock, and recorded
 * with a hash of their text in schema_migration. Blocking: at start and in interactctl.
 * A database with more migrations than this binary knows is refused with a sentence,
 * except those marked "-- compatible: yes" in their first line. */
#ifndef INTERACTD_IO_MIGRATE_H
#define INTERACTD_IO_MIGRATE_H

#include <err.h>
#include <io/pg.h>
#include <stdbool.h>

struct migration_status {
	int known, applied, pending, newer; /* counts */
	char last[64]; /* name of the last one applied, "" if none */
};
int
migrate_status(struct pg_sync *, struct migration_status *, struct err *) MUST_CHECK;

enum migration_state {
	MIGRATION_APPLIED,
	MIGRATION_PENDING,
	MIGRATION_CHANGED, /* applied with another text than ours */
	MIGRATION_SKIPPED, /* not applied, but one after it is */
	MIGRATION_NEWER,   /* applied, and not known to this program */
};
struct migration_info {
	const char *name;
	enum migration_state state;
	bool compatible; /* older programs may go on beside it */
	const char *sql; /* NULL if newer */
};
/* Tells each that this program or the database knows, ours first, in order. Borrowed
 * until fn returns. */
typedef void migration_fn(void *arg, const struct migration_info *);
int migrate_list(struct pg_sync *, migration_fn *, void *arg, struct err *) MUST_CHECK;
/* What records them; the first that migrate_apply makes. */
extern const char migrate_table_sql[];

/* Applies what is pending; on_step is told each name before it runs; may be NULL. */
int migrate_apply(struct pg_sync *, void (*on_step)(void *arg, const char *name),
	void *arg, struct err *) MUST_CHECK;

#endif
