/* suppression_read.c - see suppression_read.h. */
#include <people/suppression_read.h>

#include <mem.h>
#include <str.h>

#include <string.h>

#define LINE_MAX_BYTES 1000

struct suppression_reader *
suppression_reader_new(const char *kind, const char *region)
{
	struct suppression_reader *r = xcalloc(1, sizeof(*r));

	str_copy(r->kind, sizeof(r->kind), kind);
	str_copy(r->region, sizeof(r->region), region);
	return r;
}

void
suppression_reader_free(struct suppression_reader **rp)
{
	if (!*rp)
		return;
	buf_fini(&(*rp)->text);
	xfree(rp);
}

void
suppression_rows_fini(struct suppression_rows *rows)
{
	buf_fini(&rows->values);
	rows->n = 0;
}

/* The beginning of a line that is too long is not kept; 3: of a byte order mark. */
static void
drop_long(struct suppression_reader *r)
{
	size_t left = r->text.len - r->at;

	if (left <= LINE_MAX_BYTES + 3 || memchr(buf_str(&r->text) + r->at, '\n', left))
		return;
	r->too_long = true;
	r->at += left;
}

void
suppression_reader_feed(
	struct suppression_reader *r, const char *data, size_t len, bool at_end)
{
	buf_drop_front(&r->text, r->at);
	r->at = 0;
	buf_add(&r->text, data, len);
	r->at_end = at_end;
	drop_long(r);
}

static void
reject(struct suppression_reader *r, const char *why)
{
	if (r->n_rejected < SUPPRESSION_TOLD_MAX)
		r->rejected[r->n_rejected] =
			(struct suppression_rejected){r->line, why};
	r->n_rejected++;
}

/* The first field, without its quotes and the blanks around it. */
static void
first_field(const char *s, size_t len, char dst[LINE_MAX_BYTES + 1])
{
	char ends[] = ",;\t";
	size_t n = 0;

	while (len && strchr(" \t\r", *s)) {
		s++;
		len--;
	}
	if (len && *s == '"') {
		str_copy(ends, sizeof(ends), "\"");
		s++;
		len--;
	}
	while (n < len && !strchr(ends, s[n]))
		n++;
	while (n && strchr(" \t\r", s[n - 1]))
		n--;
	memcpy(dst, s, n);
	dst[n] = '\0';
}

static const char *
not_an_address(const struct suppression_reader *r)
{
	if (!str_eq(r->kind, "phone"))
		return "is no valid address";
	return r->region[0] ? "is no valid number in this region"
			    : "is no valid number (give a region for those without a "
			      "country)";
}

static void
read_line(struct suppression_reader *r, struct suppression_rows *rows, const char *s,
	size_t len)
{
	char field[LINE_MAX_BYTES + 1];
	struct address a;

	r->line++;
	if (r->line == 1 && len >= 3 && memcmp(s, "\xef\xbb\xbf", 3) == 0) {
		s += 3;
		len -= 3;
	}
	if (r->too_long || len > LINE_MAX_BYTES) {
		r->too_long = false;
		reject(r, "is longer than 1000 bytes");
		return;
	}
	if (memchr(s, '\0', len)) {
		reject(r, "is no text (UTF-8 is)");
		return;
	}
	first_field(s, len, field);
	if (!utf8_valid(field, strlen(field))) {
		reject(r, "is no valid UTF-8");
		return;
	}
	if (!field[0] || field[0] == '#' ||
		(r->line == 1 && !strpbrk(field, "0123456789@") &&
			!strstr(field, "\xef\xbc"))) /* full-width digits */
		return;
	if (!address_make(r->kind, field, r->region[0] ? r->region : NULL, &a) ||
		!a.normal) {
		reject(r, not_an_address(r));
	} else {
		buf_add(&rows->values, a.value, strlen(a.value) + 1);
		rows->n++;
		r->valid++;
	}
}

/* False: no whole line is there. */
static bool
next_line(struct suppression_reader *r, struct suppression_rows *rows)
{
	const char *s = buf_str(&r->text) + r->at;
	size_t left = r->text.len - r->at;
	const char *end = left ? memchr(s, '\n', left) : NULL;

	if (end) {
		r->at += (size_t)(end - s) + 1;
		read_line(r, rows, s, (size_t)(end - s));
		return true;
	}
	if (r->at_end && (left || r->too_long)) {
		r->at += left;
		read_line(r, rows, s, left);
		return true;
	}
	return false;
}

void
suppression_reader_next(
	struct suppression_reader *r, struct suppression_rows *rows, size_t max)
{
	while (rows->n < max && next_line(r, rows))
		;
}

bool
suppression_reader_is_empty(const struct suppression_reader *r)
{
	size_t left = r->text.len - r->at;

	if (r->at_end)
		return !left && !r->too_long;
	return !left || !memchr(buf_str(&r->text) + r->at, '\n', left);
}
