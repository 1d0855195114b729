/* export_csv.h - for export.c: contacts' objects as records of a CSV file. Pure. */
#ifndef INTERACTD_TIMELINE_EXPORT_CSV_H
#define INTERACTD_TIMELINE_EXPORT_CSV_H

#include <buf.h>
#include <jansson.h>

#define EXPORT_ADDRESSES_MAX  20  /* columns of one kind */
#define EXPORT_ATTRIBUTES_MAX 150 /* an import takes 256 columns */

struct export_columns {
	unsigned phones, emails, externals; /* columns of each */
	json_t *attributes;		    /* names, in order; ours */
};
void export_columns_fini(struct export_columns *);

/* The mark that tells a spreadsheet UTF-8, and the names. */
void export_csv_header(const struct export_columns *, struct buf *);
/* contact: the object of contract.md. */
void
export_csv_record(const struct export_columns *, const json_t *contact, struct buf *);

#endif
