/* csv.h - comma separated values (RFC 4180, and what spreadsheets really write), from
 * UTF-8 text in pieces.
 *
 * The separator is found in the first record: whichever of , ; TAB it has most of, or the
 * one that a first line "sep=;" names. Records end in LF, CR LF or CR, except inside
 * quotes; "" in quotes is one quote; a quote within plain text is text. Blank lines are
 * no records. What comes out does not depend on how the text was cut into pieces. */
#ifndef INTERACTD_PEOPLE_CSV_H
#define INTERACTD_PEOPLE_CSV_H

#include <buf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CSV_RECORD_MAX (64 * 1024) /* bytes */
#define CSV_FIELDS_MAX 256

enum csv_event {
	CSV_MORE,   /* all was taken, more is needed */
	CSV_RECORD, /* n fields */
	CSV_BAD,    /* a record that is none; `why`. The next one is read as usual */
};

struct csv {
	char separator;	 /* 0 = not found yet */
	struct buf text; /* the fields, each ended by NUL */
	uint32_t starts[CSV_FIELDS_MAX];
	size_t n;
	uint64_t line;	/* where the record begins, from 1 */
	unsigned lines; /* how many it has */
	const char *why;

	/* private */
	int state;
	struct buf head; /* the first record, raw, until the separator is known */
	bool head_quoted, done, last_cr, skipping;
	uint64_t at_line; /* of the next byte */
};

void csv_init(struct csv *);
void csv_fini(struct csv *);
/* Takes some of data and returns how much; *ev_r says what that made. */
size_t csv_feed(struct csv *, const char *data, size_t len, enum csv_event *ev_r);
/* There is no more: the last record, if its line had no end; else CSV_MORE. */
enum csv_event csv_end(struct csv *);
const char *csv_field(const struct csv *, size_t i); /* "" past the last */

#endif
