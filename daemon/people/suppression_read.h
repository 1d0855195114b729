/* suppression_read.h - addresses out of a file, one a line, normalised.
 *
 * A line's first field counts (separated by comma, semicolon or tab, maybe quoted); empty
 * lines, lines that begin with '#' and a first line without any digit or '@' (a heading)
 * say nothing. What is no valid address is rejected: kept as it is, it would protect
 * nobody. Nothing here knows the loop or the database, so that it may run on a thread; one
 * thread at a time. */
#ifndef INTERACTD_PEOPLE_SUPPRESSION_READ_H
#define INTERACTD_PEOPLE_SUPPRESSION_READ_H

#include <people/address.h>

#include <buf.h>
#include <stdint.h>

#define SUPPRESSION_TOLD_MAX                                                           \
	1000 /* rejected lines named; the others are only counted */

struct suppression_rejected {
	uint64_t line;
	const char *why; /* static */
};

struct suppression_rows {
	struct buf values; /* each ends with NUL */
	size_t n;
};
void suppression_rows_fini(struct suppression_rows *);

struct suppression_reader {
	char kind[ADDRESS_KIND_MAX + 1], region[3]; /* region "": none */
	struct buf text;			    /* from `at` on not read yet */
	size_t at;
	bool at_end, too_long;
	uint64_t line; /* the one being read, from 1 */
	uint64_t valid, n_rejected;
	struct suppression_rejected rejected[SUPPRESSION_TOLD_MAX];
};

/* Strings are copied. Returns, caller frees. */
struct suppression_reader *suppression_reader_new(const char *kind, const char *region);
void suppression_reader_free(struct suppression_reader **);
/* Bytes of the file, in order; at_end: the last ones. */
void suppression_reader_feed(
	struct suppression_reader *, const char *data, size_t len, bool at_end);
/* Appends rows until there are max or no whole line is left. */
void suppression_reader_next(
	struct suppression_reader *, struct suppression_rows *, size_t max);
/* Nothing more comes of what was fed. */
bool suppression_reader_is_empty(const struct suppression_reader *);

#endif
