/* history_csv.h - records of comma-separated values (RFC 4180) out of a run of bytes. */
#ifndef INTERACTD_CALLS_HISTORY_CSV_H
#define INTERACTD_CALLS_HISTORY_CSV_H

#include <stdbool.h>
#include <stddef.h>

#define CSV_FIELDS_MAX 64
#define CSV_RECORD_MAX (64 * 1024)

enum csv_result {
	CSV_RECORD,
	CSV_MORE, /* the record's end is not there (yet): a torn one, at a file's end */
	CSV_REFUSED, /* too long, or with too many fields; passed over */
};

struct csv_record {
	const char *fields[CSV_FIELDS_MAX]; /* end with NUL; bytes as they were */
	size_t n;
	char text[CSV_RECORD_MAX + CSV_FIELDS_MAX];
};

/* The record at *at, which moves behind it. Quotes may hold commas, newlines and doubled
 * quotes; NUL bytes are dropped; empty lines are nothing. */
enum csv_result csv_next(const char **at, const char *end, struct csv_record *);

#endif
