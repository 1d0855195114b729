/* form.c - see form.h. Decoding never makes anything longer: one copy of the body holds
 * all names and values, each ended by a NUL in the place of the byte behind it. */
#include <api/form.h>

#include <mem.h>
#include <str.h>

#include <stdbool.h>
#include <string.h>

struct form {
	char *text;
	struct {
		const char *name, *value;
	} fields[FORM_FIELDS_MAX];
	size_t n_fields;
};

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool
is_text(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];
		if ((c < 0x20 && !strchr("\t\r\n", c)) || c == '\0' || c == 0x7f)
			return false;
	}
	return utf8_valid(s, len);
}

/* Decodes len bytes in place and ends them with a NUL, at most at s[len]. */
static bool
decode(char *s, size_t len)
{
	char *dst = s;

	for (size_t i = 0; i < len; i++) {
		if (s[i] != '%') {
			*dst++ = s[i] == '+' ? ' ' : s[i];
			continue;
		}
		int hi = len - i > 2 ? hex_digit(s[i + 1]) : -1;
		int lo = hi < 0 ? -1 : hex_digit(s[i + 2]);
		if (lo < 0)
			return false;
		*dst++ = (char)(hi << 4 | lo);
		i += 2;
	}
	*dst = '\0';
	return is_text(s, (size_t)(dst - s));
}

/* A field is s[0] to s[len - 1]; without "=" its value is "". */
static bool
add_field(struct form *f, char *s, size_t len)
{
	const char *eq = memchr(s, '=', len);
	size_t n = eq ? (size_t)(eq - s) : len;

	if (f->n_fields == FORM_FIELDS_MAX)
		return false;
	s[len] = '\0';
	if (eq && !decode(s + n + 1, len - n - 1))
		return false;
	f->fields[f->n_fields].value = eq ? s + n + 1 : s + len;
	f->fields[f->n_fields].name = s;
	f->n_fields++;
	return decode(s, n);
}

struct form *
form_parse(const char *body, size_t len)
{
	if (len > FORM_BYTES_MAX)
		return NULL;
	struct form *f = xcalloc(1, sizeof(*f));
	f->text = xmalloc(len + 1);
	if (len)
		memcpy(f->text, body, len);
	f->text[len] = '\0';
	for (size_t at = 0; at < len;) {
		const char *end = memchr(f->text + at, '&', len - at);
		size_t n = end ? (size_t)(end - f->text) - at : len - at;
		if (n && !add_field(f, f->text + at, n)) {
			form_free(&f);
			return NULL;
		}
		at += n + 1;
	}
	return f;
}

void
form_free(struct form **fp)
{
	if (!*fp)
		return;
	xfree(&(*fp)->text);
	xfree(fp);
}

const char *
form_get(const struct form *f, const char *name)
{
	for (size_t i = 0; i < f->n_fields; i++)
		if (str_eq(f->fields[i].name, name))
			return f->fields[i].value;
	return "";
}
