/* page_rows.h - for page_html.c and page_form.c only: the rows of the form, so that what is
 * shown and what is read are the same.
 *
 * A row is a kind and a purpose; its fields are "sms.marketing" and, as it was shown,
 * "was.sms.marketing". What a row says is of the kind as a whole and of the address that
 * the link was sent to, or the only one that the kind goes to: `own`. */
#ifndef INTERACTD_API_PAGE_ROWS_H
#define INTERACTD_API_PAGE_ROWS_H

#include <api/page_text.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define PAGE_QUIET_MAX	20 /* lines of quiet hours that can be changed here */
#define PAGE_FIELD_LEN	64
#define PAGE_QUIET_TEXT 1024

struct page_kind {
	const char *name, *address; /* the kind of address it goes to; NULL: any */
	enum page_text label;
	bool always; /* shown to everybody who has such an address */
};
struct page_word {
	const char *name;
	enum page_text label;
};
extern const struct page_kind page_kinds[]; /* end with a NULL name, as the others */
extern const struct page_word page_purposes[];
extern const struct page_word page_days[]; /* "mon-sun", … */

bool page_kind_is_shown(const json_t *page, const struct page_kind *);
/* {kind, value}, borrowed; NULL. bound_r: the link was sent to it. */
const json_t *page_own(const json_t *page, const struct page_kind *, bool *bound_r);
/* Whether the wishes' list ("denied", "allowed") has this; identity NULL: without one. */
bool page_has_wish(const json_t *page, const char *list, const char *kind,
	const char *purpose, const json_t *identity);
/* "yes", "no" or "" (nothing was said). */
const char *
page_row_state(const json_t *page, const struct page_kind *, const char *purpose);
/* The quiet hours as a browser's time fields have them: "mon-fri 21:00-08:00;…". */
void page_quiet_text(const json_t *quiet_hours, char dst[PAGE_QUIET_TEXT]);
/* As a browser's time field has it: it knows no 24:00. */
const char *page_quiet_time(const json_t *line, const char *member);
const json_t *page_wishes(const json_t *page, const char *name);

#endif
