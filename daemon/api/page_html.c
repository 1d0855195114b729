/* page_html.c - see page_html.h. */
#include <api/page_html.h>

#include <api/page_rows.h>
#include <base/embedded.h>

#include <mem.h>
#include <str.h>

#include <sodium.h>

#include <stdio.h>
#include <string.h>

#define CSS	   "daemon/web/page/page.css"
#define DATE_CHARS 10 /* 2026-11-21 */
#define STARS	   "****"

/* ---- Pieces ------------------------------------------------------------------------- */

static void
add_escaped(struct buf *out, const char *s)
{
	static const struct {
		char c;
		const char *as;
	} escapes[] = {{'<', "&lt;"}, {'>', "&gt;"}, {'&', "&amp;"}, {'"', "&quot;"},
		{'\'', "&#39;"}};

	for (; *s; s++) {
		const char *as = NULL;
		for (size_t i = 0; i < ARRAY_LEN(escapes); i++)
			if (*s == escapes[i].c)
				as = escapes[i].as;
		if (as)
			buf_adds(out, as);
		else
			buf_addc(out, *s);
	}
}

static void
add_text(struct buf *out, const struct page_view *v, enum page_text text)
{
	buf_adds(out, page_text(v->lang, text));
}

static const char *
text_of(const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));
	return s ? s : "";
}

static const char *
style(void)
{
	const struct embedded *css = embedded_find(CSS);
	return css->data;
}

const char *
page_style_hash(void)
{
	static char text[80];
	unsigned char hash[crypto_hash_sha256_BYTES];

	if (!*text) {
		const char *css = style();
		crypto_hash_sha256(hash, (const unsigned char *)css, strlen(css));
		size_t n = (size_t)snprintf(text, sizeof(text), "sha256-");
		sodium_bin2base64(text + n, sizeof(text) - n, hash, sizeof(hash),
			sodium_base64_VARIANT_ORIGINAL);
	}
	return text;
}

static void
add_head(struct buf *out, enum page_lang lang, enum page_text title)
{
	buf_printf(out,
		"<!DOCTYPE html>\n<html lang=\"%s\">\n<head>\n<meta charset=\"utf-8\">\n"
		"<meta name=\"viewport\" content=\"width=device-width, "
		"initial-scale=1\">\n<meta name=\"robots\" content=\"noindex\">\n"
		"<title>%s</title>\n<style>%s</style>\n</head>\n<body>\n<main>\n",
		page_lang_tag(lang), page_text(lang, title), style());
}

static void
add_foot(struct buf *out)
{
	buf_adds(out, "</main>\n</body>\n</html>\n");
}

/* ---- Left out ----------------------------------------------------------------------- */

/* Digits of a country code (ITU-T E.164, its list of assigned ones). */
static size_t
country_digits(const char *digits)
{
	static const char two[] =
		"20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 "
		"56 57 58 60 61 62 63 64 65 66 81 82 84 86 90 91 92 93 94 95 98 ";
	char code[4];

	if (*digits == '1' || *digits == '7')
		return 1;
	snprintf(code, sizeof(code), "%.2s ", digits);
	return strstr(two, code) ? 2 : 3;
}

static void
mask_phone(struct buf *out, const char *value)
{
	const char *rest = value;

	if (*value == '+' && strlen(value) > 5) {
		size_t n = 1 + country_digits(value + 1);
		buf_add(out, value, n);
		buf_addc(out, ' ');
		rest = value + n;
	}
	size_t len = strlen(rest), head = len * 3 / 11, tail = len * 4 / 11;
	head = head < 3 ? head : 3;
	tail = tail < 4 ? tail : 4;
	buf_add(out, rest, head);
	buf_adds(out, STARS);
	buf_add(out, rest + len - tail, tail);
}

void
page_mask_name(struct buf *out, const char *name)
{
	size_t n = *name ? utf8_next(name, strlen(name)) : 0;

	buf_add(out, name, n);
	buf_adds(out, "**");
}

void
page_mask_address(struct buf *out, const char *kind, const char *value)
{
	const char *at = strrchr(value, '@');

	if (str_eq(kind, "phone")) {
		mask_phone(out, value);
	} else if (str_eq(kind, "email") && at) {
		buf_add(out, value, utf8_next(value, strlen(value)));
		buf_adds(out, "***");
		buf_adds(out, at);
	} else {
		/* A key of another system: its namespace says enough. */
		size_t n = str_eq(kind, "external") ? strcspn(value, ":") : 0;
		buf_add(out, value, value[n] == ':' ? n + 1 : 0);
		buf_adds(out, STARS);
	}
}

static void
add_masked(struct buf *out, const json_t *identity)
{
	struct buf b = BUF_INIT;

	page_mask_address(&b, text_of(identity, "kind"), text_of(identity, "value"));
	add_escaped(out, buf_str(&b));
	buf_fini(&b);
}

/* ---- The form ----------------------------------------------------------------------- */

static void
begin_form(struct buf *out, const struct page_view *v, const char *what)
{
	buf_printf(out,
		"<form method=\"post\" action=\"?lang=%s\"%s>\n"
		"<input type=\"hidden\" name=\"form\" value=\"%s\">\n"
		"<input type=\"hidden\" name=\"do\" value=\"%s\">\n",
		page_lang_tag(v->lang), str_eq(what, "save") ? " class=\"card\"" : "",
		v->nonce, what);
}

static void
add_pick(struct buf *out, const struct page_view *v, const char *field,
	const char *value, bool checked, enum page_text label)
{
	buf_printf(out,
		"<label><input type=\"radio\" name=\"%s\" value=\"%s\"%s> %s</label>",
		field, value, checked ? " checked" : "", page_text(v->lang, label));
}

static void
add_row(struct buf *out, const struct page_view *v, const struct page_kind *kind,
	const struct page_word *purpose)
{
	char field[PAGE_FIELD_LEN];
	const char *state = page_row_state(v->page, kind, purpose->name);

	snprintf(field, sizeof(field), "%s.%s", kind->name, purpose->name);
	buf_printf(out,
		"<div class=\"row\" role=\"radiogroup\" aria-labelledby=\"l.%s\">"
		"<span id=\"l.%s\">%s</span><span class=\"pick\">",
		field, field, page_text(v->lang, purpose->label));
	add_pick(out, v, field, "yes", str_eq(state, "yes"), PAGE_TEXT_YES);
	add_pick(out, v, field, "no", str_eq(state, "no"), PAGE_TEXT_NO);
	buf_printf(out,
		"</span><input type=\"hidden\" name=\"was.%s\" value=\"%s\"></div>\n",
		field, state);
}

/* Noes to other addresses than the one of the row: seen, and not changed here. */
static void
add_other_noes(struct buf *out, const struct page_view *v, const struct page_kind *kind)
{
	const json_t *list = page_wishes(v->page, "denied");
	bool bound, any = false;
	const json_t *own = page_own(v->page, kind, &bound);

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *w = json_array_get(list, i);
		const json_t *about = json_object_get(w, "identity");
		if (!str_eq(text_of(w, "kind"), kind->name) || !about ||
			(own && json_equal(own, about)))
			continue;
		if (!any)
			buf_printf(out, "<p class=\"soft\">%s",
				page_text(v->lang, PAGE_TEXT_ALSO_DENIED));
		for (const struct page_word *p = page_purposes; p->name; p++)
			if (str_eq(p->name, text_of(w, "purpose")))
				buf_printf(out, "%s %s, ", any ? ";" : "",
					page_text(v->lang, p->label));
		add_masked(out, about);
		any = true;
	}
	if (any)
		buf_adds(out, "</p>\n");
}

static void
add_ways(struct buf *out, const struct page_view *v)
{
	buf_printf(out, "<h2>%s</h2>\n<p class=\"soft\">%s</p>\n",
		page_text(v->lang, PAGE_TEXT_WAYS),
		page_text(v->lang, PAGE_TEXT_WAYS_HELP));
	for (const struct page_kind *k = page_kinds; k->name; k++) {
		if (!page_kind_is_shown(v->page, k))
			continue;
		buf_printf(out, "<fieldset><legend>%s</legend>\n",
			page_text(v->lang, k->label));
		for (const struct page_word *p = page_purposes; p->name; p++)
			add_row(out, v, k, p);
		add_other_noes(out, v, k);
		buf_adds(out, "</fieldset>\n");
	}
}

static void
add_option(struct buf *out, const char *value, const char *chosen, const char *label)
{
	buf_adds(out, "<option value=\"");
	add_escaped(out, value);
	buf_printf(out, "\"%s>", str_eq(value, chosen) ? " selected" : "");
	add_escaped(out, label);
	buf_adds(out, "</option>");
}

static void
add_preferred(struct buf *out, const struct page_view *v)
{
	const char *first =
		json_string_value(json_array_get(page_wishes(v->page, "preferred"), 0));
	bool known = false;

	first = first ? first : "";
	buf_printf(out,
		"<fieldset><legend>%s</legend>\n<label class=\"pref\">"
		"<select name=\"preferred\" aria-label=\"%s\">",
		page_text(v->lang, PAGE_TEXT_PREFERRED),
		page_text(v->lang, PAGE_TEXT_PREFERRED));
	add_option(out, "", first, page_text(v->lang, PAGE_TEXT_NO_PREFERENCE));
	for (const struct page_kind *k = page_kinds; k->name; k++) {
		known |= str_eq(k->name, first);
		if (page_kind_is_shown(v->page, k) || str_eq(k->name, first))
			add_option(out, k->name, first, page_text(v->lang, k->label));
	}
	if (*first && !known)
		add_option(out, first, first, first);
	buf_adds(out,
		"</select></label>\n<input type=\"hidden\" name=\"was.preferred\" "
		"value=\"");
	add_escaped(out, first);
	buf_adds(out, "\"></fieldset>\n");
}

static void
add_time(struct buf *out, const struct page_view *v, size_t i, char end,
	enum page_text label, const char *value)
{
	buf_printf(out, "<label>%s<input type=\"time\" name=\"q%zu%c\" value=\"",
		page_text(v->lang, label), i, end);
	add_escaped(out, value);
	buf_adds(out, "\"></label>");
}

/* line NULL: an empty one. */
static void
add_quiet_line(struct buf *out, const struct page_view *v, size_t i, const json_t *line)
{
	const char *days = text_of(line, "days");
	bool known = !*days;

	buf_printf(out, "<div class=\"quiet\"><label>%s<select name=\"q%zud\">",
		page_text(v->lang, PAGE_TEXT_DAYS), i);
	add_option(out, "", days, page_text(v->lang, PAGE_TEXT_NO_DAYS));
	for (const struct page_word *d = page_days; d->name; d++) {
		known |= str_eq(d->name, days);
		add_option(out, d->name, days, page_text(v->lang, d->label));
	}
	if (!known)
		add_option(out, days, days, days);
	buf_adds(out, "</select></label>");
	add_time(out, v, i, 'f', PAGE_TEXT_FROM, page_quiet_time(line, "from"));
	add_time(out, v, i, 't', PAGE_TEXT_TO, page_quiet_time(line, "to"));
	buf_adds(out, "</div>\n");
}

static void
add_quiet(struct buf *out, const struct page_view *v)
{
	const json_t *list = page_wishes(v->page, "quiet_hours");
	const char *zone = text_of(v->page, "timezone");
	char was[PAGE_QUIET_TEXT];
	size_t n = json_array_size(list);

	buf_printf(out, "<fieldset><legend>%s</legend>\n<p class=\"soft\">%s ",
		page_text(v->lang, PAGE_TEXT_QUIET),
		page_text(v->lang, n > PAGE_QUIET_MAX ? PAGE_TEXT_QUIET_MANY
						      : PAGE_TEXT_QUIET_HELP));
	add_escaped(out, *zone ? zone : v->timezone);
	buf_adds(out, "</p>\n");
	if (n <= PAGE_QUIET_MAX) {
		for (size_t i = 0; i <= n; i++)
			add_quiet_line(out, v, i, json_array_get(list, i));
		page_quiet_text(list, was);
		buf_adds(out, "<input type=\"hidden\" name=\"quiet\" value=\"1\">"
			      "<input type=\"hidden\" name=\"was.quiet\" value=\"");
		add_escaped(out, was);
		buf_adds(out, "\">\n");
	}
	buf_adds(out, "</fieldset>\n");
}

static void
add_settings(struct buf *out, const struct page_view *v)
{
	begin_form(out, v, "save");
	add_ways(out, v);
	add_preferred(out, v);
	add_quiet(out, v);
	buf_printf(out, "<button>%s</button>\n</form>\n",
		page_text(v->lang, PAGE_TEXT_SAVE));
}

/* ---- The rest of the page ------------------------------------------------------------ */

static void
add_stop(struct buf *out, const struct page_view *v)
{
	bool stopped = json_is_true(page_wishes(v->page, "do_not_contact"));

	buf_printf(out, "<section>\n<h2>%s</h2>\n<p>%s</p>\n",
		page_text(v->lang, PAGE_TEXT_STOP_TITLE),
		page_text(v->lang,
			stopped ? PAGE_TEXT_STOPPED_NOW : PAGE_TEXT_STOP_HELP));
	if (stopped)
		buf_printf(out, "<p class=\"soft\">%s</p>\n",
			page_text(v->lang, PAGE_TEXT_RESUME_HELP));
	begin_form(out, v, stopped ? "resume" : "stop");
	buf_printf(out, "<button%s>%s</button>\n</form>\n</section>\n",
		stopped ? "" : " class=\"bad\"",
		page_text(v->lang, stopped ? PAGE_TEXT_RESUME : PAGE_TEXT_STOP));
}

static enum page_text
address_label(const char *kind)
{
	return str_eq(kind, "phone")   ? PAGE_TEXT_ADDRESS_PHONE
	       : str_eq(kind, "email") ? PAGE_TEXT_ADDRESS_EMAIL
				       : PAGE_TEXT_ADDRESS_OTHER;
}

static void
add_addresses(struct buf *out, const struct page_view *v)
{
	const json_t *list = json_object_get(v->page, "identities");
	const char *name = text_of(v->page, "name");

	buf_adds(out, "<dl>\n");
	if (*name) {
		struct buf b = BUF_INIT;
		page_mask_name(&b, name);
		buf_printf(out, "<div><dt>%s</dt><dd>",
			page_text(v->lang, PAGE_TEXT_NAME));
		add_escaped(out, buf_str(&b));
		buf_adds(out, "</dd></div>\n");
		buf_fini(&b);
	}
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *a = json_array_get(list, i);
		buf_printf(out, "<div><dt>%s</dt><dd>",
			page_text(v->lang, address_label(text_of(a, "kind"))));
		add_masked(out, a);
		buf_adds(out, "</dd></div>\n");
	}
	buf_adds(out, "</dl>\n");
}

static enum page_text
kind_label(const char *kind)
{
	for (const struct page_kind *k = page_kinds; k->name; k++)
		if (str_eq(k->name, kind))
			return k->label;
	return str_eq(kind, "call")   ? PAGE_TEXT_CALL
	       : str_eq(kind, "note") ? PAGE_TEXT_NOTE
				      : PAGE_TEXT_OTHER_KIND;
}

static void
add_date(struct buf *out, const char *time)
{
	buf_printf(out, "<time datetime=\"%.*s\">%.*s</time>", DATE_CHARS, time,
		DATE_CHARS, time);
}

static void
add_held(struct buf *out, const struct page_view *v)
{
	const json_t *list = json_object_get(v->page, "held");

	buf_printf(out, "<section>\n<h2>%s</h2>\n", page_text(v->lang, PAGE_TEXT_HELD));
	add_addresses(out, v);
	buf_printf(out, "<p class=\"soft\">%s</p>\n<ul>\n",
		page_text(v->lang, PAGE_TEXT_HELD_HISTORY));
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *k = json_array_get(list, i);
		buf_printf(out, "<li><span>%s</span><span>%lld · ",
			page_text(v->lang, kind_label(text_of(k, "kind"))),
			(long long)json_integer_value(json_object_get(k, "count")));
		add_date(out, text_of(k, "last"));
		buf_adds(out, "</span></li>\n");
	}
	if (!json_array_size(list))
		buf_printf(out, "<li>%s</li>\n",
			page_text(v->lang, PAGE_TEXT_HELD_NOTHING));
	buf_printf(out, "</ul>\n<p class=\"soft\">%s</p>\n</section>\n",
		page_text(v->lang, PAGE_TEXT_HELD_HELP));
}

static void
add_erasure(struct buf *out, const struct page_view *v)
{
	const char *asked = text_of(v->page, "erasure_requested_at");

	buf_adds(out, "<section>\n");
	if (*asked) {
		buf_printf(out, "<h2>%s</h2>\n<p>%s ",
			page_text(v->lang, PAGE_TEXT_ERASE_TITLE),
			page_text(v->lang, PAGE_TEXT_ERASE_ASKED));
		add_date(out, asked);
		buf_adds(out, "</p>\n</section>\n");
		return;
	}
	buf_printf(out, "<details>\n<summary>%s</summary>\n<p>%s</p>\n",
		page_text(v->lang, PAGE_TEXT_ERASE_TITLE),
		page_text(v->lang, PAGE_TEXT_ERASE_HELP));
	begin_form(out, v, "erase");
	buf_printf(out,
		"<label class=\"agree\"><input type=\"checkbox\" name=\"agree\" "
		"value=\"yes\" required> %s</label>\n<button class=\"bad\">%s</button>\n"
		"</form>\n</details>\n</section>\n",
		page_text(v->lang, PAGE_TEXT_ERASE_AGREE),
		page_text(v->lang, PAGE_TEXT_ERASE));
}

static void
add_top(struct buf *out, const struct page_view *v)
{
	enum page_lang other = v->lang == PAGE_EN ? PAGE_ZH_CN : PAGE_EN;
	const json_t *sent_to = json_object_get(v->page, "identity");

	buf_adds(out, "<header><p>");
	add_escaped(out, v->owner ? v->owner : "");
	buf_printf(out, "</p><a href=\"?lang=%s\" lang=\"%s\">%s</a></header>\n",
		page_lang_tag(other), page_lang_tag(other),
		page_text(v->lang, PAGE_TEXT_OTHER_LANG));
	buf_printf(out, "<h1>%s</h1>\n", page_text(v->lang, PAGE_TEXT_TITLE));
	if (v->notice)
		buf_printf(out, "<p class=\"%s\" role=\"%s\">%s</p>\n",
			v->notice_is_bad ? "wrong" : "done",
			v->notice_is_bad ? "alert" : "status", v->notice);
	buf_printf(out, "<p>%s</p>\n", page_text(v->lang, PAGE_TEXT_INTRO));
	if (json_is_object(sent_to)) {
		buf_printf(
			out, "<p>%s <strong>", page_text(v->lang, PAGE_TEXT_SENT_TO));
		add_masked(out, sent_to);
		buf_adds(out, "</strong></p>\n");
	}
	if (json_is_true(page_wishes(v->page, "do_not_contact")))
		buf_printf(out, "<p class=\"wrong\">%s</p>\n",
			page_text(v->lang, PAGE_TEXT_STOPPED_NOW));
}

void
page_render(struct buf *out, const struct page_view *v)
{
	add_head(out, v->lang, PAGE_TEXT_TITLE);
	add_top(out, v);
	add_settings(out, v);
	add_stop(out, v);
	add_held(out, v);
	add_erasure(out, v);
	buf_adds(out, "<p class=\"soft\">");
	add_text(out, v, PAGE_TEXT_VALID_UNTIL);
	buf_addc(out, ' ');
	add_date(out, text_of(v->page, "expires_at"));
	buf_adds(out, "</p>\n");
	add_foot(out);
}

void
page_render_message(struct buf *out, enum page_lang lang, enum page_text title,
	enum page_text sentence)
{
	add_head(out, lang, title);
	buf_printf(out, "<h1>%s</h1>\n<p>%s</p>\n", page_text(lang, title),
		page_text(lang, sentence));
	add_foot(out);
}
