/* csv_write.c - see csv_write.h. */
#include <people/csv_write.h>

#include <mem.h>

#include <string.h>

/* U+FF1D, U+FF0B, U+FF0D, U+FF20: = + - @ in full width. */
static const char *const wide[] = {
	"\xef\xbc\x9d", "\xef\xbc\x8b", "\xef\xbc\x8d", "\xef\xbc\xa0"};

/* s ends with NUL. */
static bool
begins_formula(const char *s)
{
	if (*s && strchr("=+-@\t\r\n", *s))
		return true;
	for (size_t i = 0; i < ARRAY_LEN(wide); i++)
		if (strncmp(s, wide[i], strlen(wide[i])) == 0)
			return true;
	return false;
}

static bool
is_guarded(const char *s)
{
	return *s == '\'' && (s[1] == '\'' || begins_formula(s + 1));
}

const char *
csv_unguard(const char *s)
{
	return is_guarded(s) ? s + 1 : s;
}

static bool
needs_quotes(const char *s, size_t len)
{
	if (len && (s[0] == ' ' || s[len - 1] == ' '))
		return true;
	for (size_t i = 0; i < len; i++)
		if (strchr(",;\"\t\r\n", s[i]))
			return true;
	return false;
}

void
csv_put(struct buf *out, const char *text, size_t len, bool first)
{
	bool quotes = needs_quotes(text, len);

	if (!first)
		buf_addc(out, ',');
	if (quotes)
		buf_addc(out, '"');
	if (begins_formula(text) || is_guarded(text))
		buf_addc(out, '\'');
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '"')
			buf_addc(out, '"');
		buf_addc(out, text[i]);
	}
	if (quotes)
		buf_addc(out, '"');
}

void
csv_put_end(struct buf *out)
{
	buf_add(out, "\r\n", 2);
}
