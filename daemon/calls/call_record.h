/* call_record.h - a call as an interaction: the row, the JSON, the one-line summary. */
#ifndef INTERACTD_CALLS_CALL_RECORD_H
#define INTERACTD_CALLS_CALL_RECORD_H

#include <calls/call.h>
#include <json.h>
#include <timeline/interaction.h>

/* Everything a struct interaction borrows while it is being saved. */
struct call_record {
	struct interaction in;
	struct address remote;
	struct interaction_leg *legs;
	struct buf summary, variables, details;
	char external_id[256];
	const char *source; /* "events", or the history's format */
	bool gap;	    /* something of it was not heard */
};

/* Fills the record from the call as it is now. region: for its number; source: NULL if
 * events told it, else "cdr" or "cel". Freed with call_record_fini. The caller sets in.no_contact for numbers of our own. */
void call_record_init(struct call_record *, const struct call *, const struct tenant *,
	const char *region, const char *source);
void call_record_fini(struct call_record *);

/* {"CUSTOMER_ID":"42",…} appended. */
void call_variables_json(struct buf *, const struct call *);
/* The interaction's object (contract.md) with legs. contact: nil = null. */
void call_record_json(struct json_out *, const char *key, const struct call_record *,
	const struct uuid *contact);

#endif
