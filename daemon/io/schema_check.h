/* schema_check.h - does the database hold what its migrations make?
 *
 * The migrations that are applied are run once more, in a schema of their own inside a
 * transaction that is rolled back, and the two catalogues are compared: tables, columns,
 * constraints, indexes, triggers, functions. Needs the right to create a schema in the
 * database (its owner has it); touches no data and takes no lock on what is there but
 * the one that making partitions takes. Blocking: for interactctl. */
#ifndef INTERACTD_IO_SCHEMA_CHECK_H
#define INTERACTD_IO_SCHEMA_CHECK_H

#include <err.h>
#include <io/pg.h>
#include <stdbool.h>

struct schema_finding {
	const char *kind; /* "migration", "table", "column", "index", "partition" … */
	const char *object; /* "interaction.queue" */
	const char *what;   /* what is wrong, as a sentence without a full stop */
	const char *todo;   /* what to do about it, likewise */
	const char *wanted; /* the definition it should have; NULL = none is known */
	const char *found;  /* the one it has; NULL = it is not there */
	bool note;	    /* worth knowing, and no fault */
};

/* Borrowed until fn returns. */
typedef void schema_finding_fn(void *arg, const struct schema_finding *);
/* Returns how many objects were compared (0: none could be, a finding says why), or -1
 * and err if the database could not be asked. */
int
schema_check(struct pg_sync *, schema_finding_fn *, void *arg, struct err *) MUST_CHECK;

#endif
