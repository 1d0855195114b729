/* page_html.h - the customer's page as HTML, and what its form says.
 *
 * No script and nothing from elsewhere: it works in any browser. Whatever comes from the
 * database is escaped; addresses and names are shortened (a link can be forwarded). */
#ifndef INTERACTD_API_PAGE_HTML_H
#define INTERACTD_API_PAGE_HTML_H

#include <api/form.h>
#include <api/page_text.h>
#include <buf.h>
#include <jansson.h>

/* Goes into the evidence of what is said; another when the form asks something else. */
#define PAGE_FORM_VERSION "page-1"

struct page_view {
	enum page_lang lang;
	const char *owner;  /* whose page it is: a company's name; NULL or "" */
	const char *nonce;  /* of its forms */
	const char *notice; /* a sentence above all, of page_text; NULL */
	bool notice_is_bad;
	const char *timezone; /* of the tenant, if the contact has none */
	const json_t *page;   /* as customer_page_open gives it */
};

void page_render(struct buf *out, const struct page_view *);
/* A page that says one thing and shows nothing of anybody. */
void page_render_message(
	struct buf *out, enum page_lang, enum page_text title, enum page_text sentence);
/* The style sheet's place in Content-Security-Policy: "sha256-…". Borrowed. */
const char *page_style_hash(void);

/* What a form says against how it was shown: a body for preference_put, with what it does
 * not change as it is now. NULL: quiet hours that are none. Caller frees. */
json_t *page_form_wishes(const struct form *, const json_t *page);

/* Appended with what would tell it to a stranger left out: "+86 138****8000",
 * "z***@example.com". Not escaped. */
void page_mask_address(struct buf *out, const char *kind, const char *value);
void page_mask_name(struct buf *out, const char *name); /* "示**" */

#endif
