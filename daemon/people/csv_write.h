/* csv_write.h - comma separated values for spreadsheets, and what they make of them.
 *
 * A spreadsheet runs a cell that begins with = + - @ TAB or CR (also in their full width)
 * as a formula, whoever wrote it. So such a cell gets an apostrophe in front, which a
 * spreadsheet does not show; and so does one that begins with an apostrophe followed by one
 * of these, so that taking it away again (csv_unguard, on import) gives what was there. */
#ifndef INTERACTD_PEOPLE_CSV_WRITE_H
#define INTERACTD_PEOPLE_CSV_WRITE_H

#include <buf.h>
#include <stdbool.h>
#include <stddef.h>

/* Appends a cell, with the comma before it unless it is the record's first. */
void csv_put(struct buf *, const char *text, size_t len, bool first);
void csv_put_end(struct buf *); /* CR LF (RFC 4180) */
/* The text without the apostrophe that csv_put put in front; s itself if it did not. */
const char *csv_unguard(const char *s);

#endif
