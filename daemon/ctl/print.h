/* print.h - what people read: tables, colours, times, durations; and safe text.
 *
 * Names, summaries and numbers come from strangers. Whatever is printed goes through
 * print_safe first: control characters (C0, DEL, C1), characters that change the
 * direction of text or end lines, and bytes that are no UTF-8 are shown as escapes, so
 * that nobody moves an operator's cursor. */
#ifndef INTERACTD_CTL_PRINT_H
#define INTERACTD_CTL_PRINT_H

#include <buf.h>
#include <ctl/ctl.h>
#include <stdio.h>

enum color {
	COLOR_NONE, /* ends what another began */
	COLOR_BOLD,
	COLOR_DIM,
	COLOR_GOOD,
	COLOR_BAD,
	COLOR_WARN,
	COLOR_NAME,
};

/* Looks at stdout and the environment (NO_COLOR, TERM, COLUMNS). */
void print_init(struct ctl *);
/* The sequence that begins it, "" without colours. */
const char *print_color(const struct ctl *, enum color);

/* Appends s made safe; NULL is nothing. */
void print_safe(struct buf *, const char *s);
/* Columns that safe text takes: 2 for East Asian wide characters, 0 for combining. */
unsigned print_width(const char *s);
/* A string of JSON, made safe, to stdout. */
void print_text(const char *s);

/* "2026-11-21 16:00:05" in the local time zone, from RFC 3339; the text itself, made
 * safe, if it is none; "-" if NULL. */
void print_time(struct buf *, const char *rfc3339);
/* "16:00:05", of a live line. */
void print_clock(struct buf *, const char *rfc3339);
/* "0:05", "1:02:03"; "-" if negative. */
void print_duration(struct buf *, int64_t ms);
/* "812 B", "4.0 MiB". */
void print_bytes(struct buf *, int64_t bytes);

/* A table: rows of cells, as wide as what they hold; on a terminal the widest cells of
 * flexible columns are cut with an ellipsis so that a row stays on its line. */
struct table;
/* Headings separated by '|'; a leading '~' marks a flexible column, '>' one of numbers. */
struct table *table_new(const struct ctl *, const char *headings);
/* The next cell of the current row; a row is full after as many as there are headings.
 * Text is made safe here. NULL and "" are shown as "-". */
void table_cell(struct table *, const char *text);
void table_cell_color(struct table *, enum color, const char *text);
void table_cell_fmt(struct table *, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void table_cell_time(struct table *, const char *rfc3339);
/* Prints it, or `none` on a line of its own if there are no rows; frees. */
void table_end(struct table **, const char *none);

#endif
