/* audit.h - reading who changed what. Writing happens beside each change, in its
 * transaction (audit_add of conf/sql/001-base.sql): field names and ids, never values. */
#ifndef INTERACTD_TIMELINE_AUDIT_H
#define INTERACTD_TIMELINE_AUDIT_H

#include <people/store.h>

/* {"items":[{"id","at","actor","role","action","object":{"kind","id"},"fields":[…]}],
 * "next"}, newest first. before: the previous page's "next", or NULL. object: "kind:id" or
 * an id alone; NULL members: everything. */
struct audit_filter {
	const char *object, *actor;
	const char *action;	/* "contact.read", or "contact.*" */
	int64_t from_us, to_us; /* [from, to); 0 = open */
};
void audit_list(struct store *, const struct tenant *, unsigned limit,
	const char *before, const struct audit_filter *, store_answer_fn *, void *arg);

#endif
