/* import.h - contacts from a file, any length of it: read on a thread, stored in batches.
 *
 *	import_feed -> waiting bytes -> reader (thread) -> batch -> PostgreSQL -> counts
 *
 * At most 256 KiB of the file, one batch being read and one being stored are in memory.
 * A batch is one transaction; one that cannot be stored is stored row by row, so that one
 * row costs no other. A connection that breaks is waited for, up to a minute: rows are
 * upserts, so that doing one again does no harm. What is stored stays, whatever becomes
 * of the rest. Callbacks come later, never inside a call. */
#ifndef INTERACTD_PEOPLE_IMPORT_H
#define INTERACTD_PEOPLE_IMPORT_H

#include <people/import_read.h>

struct import;

struct import_opts {
	enum import_format format;
	const char *charset; /* NULL = found out */
	struct uuid id;	     /* under which its progress is noted; nil = a new one */
	uint64_t after;	     /* the file's lines that were stored before are left out */
	bool dry_run;	     /* everything but the storing */
	/* on_object is called for each contact made or changed; at most some thousands
	 * per second then. */
	bool objects;
};

struct import_counts {
	unsigned long long created, updated, unchanged, rejected;
};

#define IMPORT_TOLD_MAX 1000 /* rejected rows in the result; import_rejected has all */

struct import_told {
	uint64_t line;
	unsigned lines;
	char *why;
};

struct import_result {
	int status;	     /* HTTP's: 200, 422 (no such file can be imported), 503 */
	const char *detail;  /* a sentence, "" with 200 */
	const char *charset; /* as read; "" if it was all ASCII */
	struct uuid id;
	struct import_counts counts;
	const struct import_told *told; /* by line */
	size_t n_told;
};

struct import_callbacks {
	void (*on_room)(void *arg); /* import_feed said false; now there is room */
	/* state: "created" or "updated"; the contact's JSON object. It is told as the
	 * nth event of the stamp. */
	void (*on_object)(void *arg, const struct event_stamp *, unsigned nth,
		const char *state, const char *json);
	/* Exactly once, unless freed before. Borrowed until it returns. */
	void (*on_done)(void *arg, const struct import_result *);
	event_stamp_fn *stamp; /* for a batch; NULL: its events are not kept */
};

/* The actor is copied. NULL with a sentence if charset is none. */
struct import *
import_begin(struct store *, const struct actor *, const struct import_opts *,
	const struct import_callbacks *, void *arg, struct err *);
/* The next bytes; copied. False: no more before on_room. */
bool import_feed(struct import *, const char *data, size_t len);
/* How far one has come: {"id","state","line",…}; state "interrupted" unless `runs` says that
 * it is on its way. */
void import_get(struct store *, const struct tenant *, const struct uuid *id, bool runs,
	store_answer_fn *, void *arg);
/* {"items":[{"line","lines","reason"}],"next":…}: the lines it rejected, after a line. */
void import_rejected(struct store *, const struct tenant *, const struct uuid *id,
	uint64_t after, unsigned limit, store_answer_fn *, void *arg);
/* That was all. on_done follows when all of it is stored. */
void import_end(struct import *);
/* No more will come, and what has not been handed to the database need not be stored.
 * on_done follows (status 499) when nothing is on its way any more. */
void import_abandon(struct import *);
/* Also before on_done: what is being stored is not undone, nothing else is. NULL-safe. */
void import_free(struct import **);

#endif
