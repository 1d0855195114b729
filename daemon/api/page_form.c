/* page_form.c - what the form of the customer's page says against how it was shown.
 *
 * Only what somebody changed is said: a page that was open for a while must not take back
 * what was said elsewhere meanwhile (a STOP by SMS). A no is for the whole kind. A yes is
 * for the address that the link came to, which proves that it is theirs; and it ends what
 * made the row a no. */
#include <api/page_html.h>
#include <api/page_rows.h>

#include <mem.h>
#include <str.h>

#include <stdio.h>
#include <string.h>

const struct page_kind page_kinds[] = {
	{"sms", "phone", PAGE_TEXT_SMS, true},
	{"phone", "phone", PAGE_TEXT_PHONE, true},
	{"email", "email", PAGE_TEXT_EMAIL, true},
	{"letter", NULL, PAGE_TEXT_LETTER, true},
	{"chat", NULL, PAGE_TEXT_CHAT, false},
	{"fax", "phone", PAGE_TEXT_FAX, false},
	{"visit", NULL, PAGE_TEXT_VISIT, false},
	{NULL, NULL, PAGE_TEXT_OTHER_KIND, false},
};
const struct page_word page_purposes[] = {
	{"transactional", PAGE_TEXT_TRANSACTIONAL},
	{"service", PAGE_TEXT_SERVICE},
	{"survey", PAGE_TEXT_SURVEY},
	{"marketing", PAGE_TEXT_MARKETING},
	{NULL, PAGE_TEXT_OTHER_KIND},
};
const struct page_word page_days[] = {
	{"mon-sun", PAGE_TEXT_EVERY_DAY},
	{"mon-fri", PAGE_TEXT_WORK_DAYS},
	{"sat-sun", PAGE_TEXT_WEEKEND},
	{"mon", PAGE_TEXT_MON},
	{"tue", PAGE_TEXT_TUE},
	{"wed", PAGE_TEXT_WED},
	{"thu", PAGE_TEXT_THU},
	{"fri", PAGE_TEXT_FRI},
	{"sat", PAGE_TEXT_SAT},
	{"sun", PAGE_TEXT_SUN},
	{NULL, PAGE_TEXT_OTHER_KIND},
};

/* ---- Rows --------------------------------------------------------------------------- */

static const char *
text_of(const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));
	return s ? s : "";
}

const json_t *
page_wishes(const json_t *page, const char *name)
{
	return json_object_get(json_object_get(page, "wishes"), name);
}

static const json_t *
nth(const json_t *list, size_t i)
{
	return json_array_get(list, i);
}

/* How many addresses this kind goes to; the last of them in one_r. */
static size_t
count_addresses(const json_t *page, const struct page_kind *kind, const json_t **one_r)
{
	const json_t *list = json_object_get(page, "identities");
	size_t n = 0;

	for (size_t i = 0; kind->address && i < json_array_size(list); i++) {
		if (!str_eq(text_of(nth(list, i), "kind"), kind->address))
			continue;
		*one_r = nth(list, i);
		n++;
	}
	return n;
}

bool
page_kind_is_shown(const json_t *page, const struct page_kind *kind)
{
	static const char *const lists[] = {"denied", "allowed"};
	const json_t *one;

	if (kind->always && (!kind->address || count_addresses(page, kind, &one)))
		return true;
	for (size_t k = 0; k < ARRAY_LEN(lists); k++) {
		const json_t *list = page_wishes(page, lists[k]);
		for (size_t i = 0; i < json_array_size(list); i++)
			if (str_eq(text_of(nth(list, i), "kind"), kind->name))
				return true;
	}
	return false;
}

const json_t *
page_own(const json_t *page, const struct page_kind *kind, bool *bound_r)
{
	const json_t *sent_to = json_object_get(page, "identity"), *one = NULL;

	*bound_r = kind->address && str_eq(text_of(sent_to, "kind"), kind->address);
	if (*bound_r)
		return sent_to;
	return count_addresses(page, kind, &one) == 1 ? one : NULL;
}

bool
page_has_wish(const json_t *page, const char *list_name, const char *kind,
	const char *purpose, const json_t *identity)
{
	const json_t *list = page_wishes(page, list_name);

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *w = nth(list, i), *about = json_object_get(w, "identity");
		if (str_eq(text_of(w, "kind"), kind) &&
			str_eq(text_of(w, "purpose"), purpose) &&
			(identity ? json_equal(about, identity) : !about))
			return true;
	}
	return false;
}

const char *
page_row_state(const json_t *page, const struct page_kind *kind, const char *purpose)
{
	bool bound;
	const json_t *own = page_own(page, kind, &bound);

	if (page_has_wish(page, "denied", kind->name, purpose, NULL) ||
		(own && page_has_wish(page, "denied", kind->name, purpose, own)))
		return "no";
	if (page_has_wish(page, "allowed", kind->name, purpose, NULL) ||
		(own && page_has_wish(page, "allowed", kind->name, purpose, own)))
		return "yes";
	return "";
}

static void
add_wish(json_t *list, const char *kind, const char *purpose, const json_t *identity)
{
	json_t *w = json_pack("{s:s, s:s}", "kind", kind, "purpose", purpose);

	if (identity)
		json_object_set(w, "identity", (json_t *)(uintptr_t)identity);
	json_array_append_new(list, w);
}

static void
add_yes(json_t *list, const json_t *page, const struct page_kind *kind,
	const char *purpose)
{
	bool bound;
	const json_t *own = page_own(page, kind, &bound);
	bool all_denied = page_has_wish(page, "denied", kind->name, purpose, NULL);
	bool own_denied =
		own && page_has_wish(page, "denied", kind->name, purpose, own);

	if (bound || own_denied)
		add_wish(list, kind->name, purpose, own);
	if (all_denied || !(bound || own_denied))
		add_wish(list, kind->name, purpose, NULL);
}

static void
read_rows(const struct form *f, const json_t *page, json_t *denied, json_t *allowed)
{
	char was[PAGE_FIELD_LEN];

	for (const struct page_kind *k = page_kinds; k->name; k++) {
		for (const struct page_word *p = page_purposes; p->name; p++) {
			snprintf(was, sizeof(was), "was.%s.%s", k->name, p->name);
			const char *now = form_get(f, was + strlen("was."));
			if (str_eq(now, form_get(f, was)))
				continue;
			if (str_eq(now, "no"))
				add_wish(denied, k->name, p->name, NULL);
			else if (str_eq(now, "yes"))
				add_yes(allowed, page, k, p->name);
		}
	}
}

/* ---- What they prefer, and when not -------------------------------------------------- */

/* Caller frees. The one chosen goes before the others, which keep their order. */
static json_t *
read_preferred(const struct form *f, const json_t *page)
{
	const json_t *now = page_wishes(page, "preferred");
	const char *first = form_get(f, "preferred");
	json_t *out = json_array();

	if (str_eq(first, form_get(f, "was.preferred"))) {
		json_array_extend(out, (json_t *)(uintptr_t)now);
		return out;
	}
	for (const struct page_kind *k = page_kinds; k->name; k++)
		if (str_eq(first, k->name))
			json_array_append_new(out, json_string(first));
	for (size_t i = 0; json_array_size(out) && i < json_array_size(now); i++)
		if (!str_eq(json_string_value(nth(now, i)), first))
			json_array_append(out, json_array_get(now, i));
	return out;
}

const char *
page_quiet_time(const json_t *line, const char *member)
{
	const char *time = text_of(line, member);

	return str_eq(time, "24:00") ? "00:00" : time;
}

void
page_quiet_text(const json_t *list, char dst[PAGE_QUIET_TEXT])
{
	size_t len = 0;

	dst[0] = '\0';
	for (size_t i = 0; i < json_array_size(list) && len < PAGE_QUIET_TEXT; i++) {
		const json_t *q = nth(list, i);
		len += (size_t)snprintf(dst + len, PAGE_QUIET_TEXT - len, "%s %s-%s;",
			text_of(q, "days"), page_quiet_time(q, "from"),
			page_quiet_time(q, "to"));
	}
}

/* A line that is not empty; false: it is none. "HH:MM:SS" is what some browsers send. */
static bool
add_quiet(json_t *list, const char *days, const char *from, const char *to)
{
	char begin[6], end[6];

	if (!*days)
		return true;
	str_copy(begin, sizeof(begin), from);
	str_copy(end, sizeof(end), to);
	if (strlen(days) > 40 || strlen(begin) != 5 || strlen(end) != 5)
		return false;
	if (str_eq(begin, end) && !str_eq(begin, "00:00"))
		return false;
	json_array_append_new(
		list, json_pack("{s:s, s:s, s:s}", "days", days, "from", begin, "to",
			      str_eq(end, "00:00") ? "24:00" : end));
	return true;
}

/* NULL: they are none. */
static json_t *
read_quiet(const struct form *f, const json_t *page)
{
	json_t *out = json_array(),
	       *now = (json_t *)(uintptr_t)page_wishes(page, "quiet_hours");
	char text[PAGE_QUIET_TEXT], d[8], b[8], e[8];
	bool ok = true;

	for (unsigned i = 0; ok && i < PAGE_QUIET_MAX + 1; i++) {
		snprintf(d, sizeof(d), "q%ud", i);
		snprintf(b, sizeof(b), "q%uf", i);
		snprintf(e, sizeof(e), "q%ut", i);
		ok = add_quiet(out, form_get(f, d), form_get(f, b), form_get(f, e));
	}
	page_quiet_text(out, text);
	if (ok && (!*form_get(f, "quiet") || str_eq(text, form_get(f, "was.quiet")))) {
		json_array_clear(out);
		json_array_extend(out, now);
	}
	if (ok)
		return out;
	json_decref(out);
	return NULL;
}

json_t *
page_form_wishes(const struct form *f, const json_t *page)
{
	json_t *quiet = read_quiet(f, page);

	if (!quiet)
		return NULL;
	json_t *denied = json_array(), *allowed = json_array();
	read_rows(f, page, denied, allowed);
	return json_pack("{s:o, s:o, s:o, s:o}", "preferred", read_preferred(f, page),
		"quiet_hours", quiet, "denied", denied, "allowed", allowed);
}
