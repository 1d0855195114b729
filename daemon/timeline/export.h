/* export.h - what is held, as text of any length: contacts as NDJSON or CSV, or all of one
 * contact as one JSON document. It comes in pieces, each when it is asked for.
 *
 * A line of NDJSON is the contact's object, with `preferences` if there are any, and an
 * import takes it as it is, but for the preferences: who allows what is said by them alone,
 * in the ledger. CSV has the
 * columns that an import reads: phone, email and external with trust recorded or better,
 * attributes as text. Contacts come by id, so an export goes on after the id of the last
 * line that was seen. */
#ifndef INTERACTD_TIMELINE_EXPORT_H
#define INTERACTD_TIMELINE_EXPORT_H

#include <people/store.h>

struct export;

enum export_format { EXPORT_NDJSON, EXPORT_CSV };

struct export_piece {
	const char *text;
	size_t len;
	size_t rows; /* in this piece */
	bool end;    /* it was the last one */
	int status;  /* 0, or why there is no piece: 404, 422, 503 */
	const char *why;
};
/* Borrowed until return; the export may be freed in it. */
typedef void export_piece_fn(void *arg, const struct export_piece *);

struct export_opts {
	const struct tenant *tenant;
	enum export_format format;
	const json_t *filter;	   /* segment_filter.h; NULL = everybody */
	const struct sight *sight; /* what the caller sees */
	struct uuid after;	   /* nil = from the beginning */
};

/* NULL with a sentence if the filter is none. */
struct export *export_contacts(struct store *, const struct export_opts *,
	export_piece_fn *, void *arg, struct err *);
/* Everything about one contact (a root or an absorbed one), its members included: the parts
 * are listed in export_contact.c. That it is in the actor's sight is for the caller to
 * see to; what of it is, is seen to here. */
struct export *export_contact(struct store *, const struct actor *,
	const struct uuid *id, export_piece_fn *, void *arg);
/* Asks for the next piece: one callback, later. Not before the last one has come. */
void export_next(struct export *);
void export_free(struct export **); /* NULL-safe; no callback after it */

#endif
