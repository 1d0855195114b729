/* import_row.h - for import_read.c only: what one row of an import says of a contact. */
#ifndef INTERACTD_PEOPLE_IMPORT_ROW_H
#define INTERACTD_PEOPLE_IMPORT_ROW_H

#include <people/store.h>

/* One column of a CSV file. */
struct import_column {
	char *name; /* as in the file, trimmed; ours */
	enum import_column_kind {
		COLUMN_TEXT, /* as it is: name, language, timezone, organisation, addresses */
		COLUMN_ROLES,
		COLUMN_BOOL,
		COLUMN_ATTRIBUTE,
		COLUMN_IGNORED, /* what an export tells and nobody sets */
	} kind;
};

/* False with a sentence if there is no such field. */
bool
import_column_parse(struct import_column *, const char *header, char *why, size_t cap);
/* Puts a cell into the row's object; false with a sentence if it cannot be. */
bool import_column_put(const struct import_column *, const char *cell, json_t *body,
	char *why, size_t cap);

/* The row as the database takes it, or false with a sentence. Changes body. */
bool import_row_make(json_t *body, const struct tenant *, char **json_r, char why[200]);

#endif
