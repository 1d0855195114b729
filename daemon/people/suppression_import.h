/* suppression_import.h - a do-not-call list from a file, any length of it: read on a
 * thread, stored in batches.
 *
 *	feed -> waiting bytes -> reader (thread) -> batch -> PostgreSQL
 *
 * At most 256 KiB of the file, one batch being read and one being stored are in memory.
 * A list that is replaced is written beside the one that counts; the last statement makes
 * it the list, so there is no moment without one, and a broken transfer changes nothing.
 * A file with nothing valid in it, or more than one line in ten wrong, replaces nothing: it
 * would free everybody. Callbacks come later, never inside a call. */
#ifndef INTERACTD_PEOPLE_SUPPRESSION_IMPORT_H
#define INTERACTD_PEOPLE_SUPPRESSION_IMPORT_H

#include <people/store.h>
#include <people/suppression_read.h>

struct suppression_import;

/* Strings borrowed until return. */
struct suppression_import_opts {
	const char *list;   /* a word as of a tenant */
	const char *kind;   /* "phone", "email" */
	const char *region; /* for numbers without a country; "" = none */
	const char *source;
	bool replace; /* else the addresses come beside those there */
};

struct suppression_import_result {
	int status;	    /* HTTP's: 200, 409, 422, 503 */
	const char *detail; /* a sentence, "" with 200 */
	/* valid: with what comes twice; added: that were not on the list (of a list that
	 * is replaced: all of it) */
	uint64_t valid, added, rejected;
	const struct suppression_rejected *told;
	size_t n_told;
};

struct suppression_import_callbacks {
	void (*on_room)(void *arg); /* feed said false; now there is room */
	/* Exactly once, unless freed before. Borrowed until it returns. */
	void (*on_done)(void *arg, const struct suppression_import_result *);
};

/* The actor is copied. */
struct suppression_import *suppression_import_begin(struct store *,
	const struct actor *, const struct suppression_import_opts *,
	const struct suppression_import_callbacks *, void *arg);
/* The next bytes; copied. False: no more before on_room. */
bool suppression_import_feed(struct suppression_import *, const char *data, size_t len);
/* That was all. on_done follows when all of it is stored. */
void suppression_import_end(struct suppression_import *);
/* Also before on_done: then a replacement does not take place. NULL-safe. */
void suppression_import_free(struct suppression_import **);

#endif
