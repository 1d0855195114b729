/* import_read.h - contacts out of a CSV or NDJSON file, row by row, checked.
 *
 * CSV: the first record names the fields: name, roles, language, timezone, vip,
 * organisation (an id, or another contact's external id), phone, email, external (these
 * three also as phone2, phone3, …) and attributes.NAME. An empty cell says nothing.
 * NDJSON: one object per line, as POST /v1/contacts takes it, or with these short
 * members. Nothing here knows the loop or the database, so that it may run on a thread;
 * one thread at a time. */
#ifndef INTERACTD_PEOPLE_IMPORT_READ_H
#define INTERACTD_PEOPLE_IMPORT_READ_H

#include <people/store.h>

enum import_format { IMPORT_CSV, IMPORT_NDJSON };

struct import_row {
	uint64_t line;
	unsigned lines; /* more than one: a CSV record with line ends in quotes */
	char *json;	/* {"id","set","add","organisation"}, or NULL: rejected */
	char *why;	/* then */
};

struct import_rows {
	struct import_row *rows;
	size_t n, cap, bytes;
	uint64_t end_line; /* the last line read */
};
void import_rows_fini(struct import_rows *);
void import_rows_reject(
	struct import_rows *, uint64_t line, unsigned lines, const char *why);

struct import_reader;

/* charset: as in charset.h. after: of the file this many lines are left out (after the
 * header of a CSV file); lines are told as they are in the whole file. NULL with a sentence
 * if charset is none. The tenant is copied. */
struct import_reader *import_reader_new(enum import_format, const char *charset,
	uint64_t after, const struct tenant *, struct err *);
void import_reader_free(struct import_reader **);
/* Bytes of the file, in order; at_end: the last ones. Only when import_reader_is_empty. */
void
import_reader_feed(struct import_reader *, const char *data, size_t len, bool at_end);
/* Appends rows until there are max, or max_bytes of them, or the text is used up. */
void import_reader_next(
	struct import_reader *, struct import_rows *, size_t max, size_t max_bytes);
/* All that was fed has become rows, but for one that has not ended. */
bool import_reader_is_empty(const struct import_reader *);
/* Why this file can be no import at all (its header is wrong); NULL if it can. */
const char *import_reader_refusal(const struct import_reader *);
/* The columns, for the audit; NULL past the end. NDJSON has none. */
const char *import_reader_column(const struct import_reader *, size_t i);
const char *import_reader_charset(const struct import_reader *);

#endif
