/* json.c - writing JSON straight into a buf.
 *
 * comma[depth] says whether something stands before the next member of the innermost
 * open object or array. Whatever the bytes of a string are, what comes out is valid
 * JSON in valid UTF-8 (RFC 8259 §7, §8.1), and PostgreSQL's jsonb takes it: NUL is
 * dropped, since jsonb has no form for it. */
#include <json.h>

#include <clock.h>
#include <str.h>

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
json_out_init(struct json_out *o, struct buf *buf)
{
	*o = (struct json_out){.buf = buf};
}

static void
json_escape(struct buf *out, unsigned char c)
{
	static const char short_forms[] = "\"\"\\\\\bb\ff\nn\rr\tt";

	for (const char *f = short_forms; *f; f += 2) {
		if ((unsigned char)f[0] == c) {
			char pair[2] = {'\\', f[1]};
			buf_add(out, pair, 2);
			return;
		}
	}
	buf_printf(out, "\\u%04x", c);
}

/* Characters that stand for themselves; nearly all of nearly every string. */
static bool
is_plain(unsigned char c)
{
	return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

#define EVERY_BYTE(c) (UINT64_C(0x0101010101010101) * (c))

/* True if some byte of the eight is no plain one: below blank, the quote, the backslash,
 * or beyond ASCII. May take a plain one that follows such a byte for one, too. */
static bool
has_special(uint64_t w)
{
	uint64_t quote = w ^ EVERY_BYTE('"'), backslash = w ^ EVERY_BYTE('\\');
	uint64_t found = (w - EVERY_BYTE(0x20)) | (quote - EVERY_BYTE(1)) |
			 (backslash - EVERY_BYTE(1)) | w;

	return found & EVERY_BYTE(0x80);
}

/* How many bytes from the beginning are plain. */
static size_t
plain_run(const char *s, size_t len)
{
	size_t i = 0;
	uint64_t w;

	for (; i + sizeof(w) <= len; i += sizeof(w)) {
		memcpy(&w, s + i, sizeof(w));
		if (has_special(w))
			break;
	}
	while (i < len && is_plain((unsigned char)s[i]))
		i++;
	return i;
}

/* Appends one sequence that is not plain; returns its length in s. */
static size_t
quote_special(struct buf *out, const char *s, size_t len)
{
	unsigned char c = (unsigned char)*s;
	size_t n = utf8_next(s, len);

	if (n > 1)
		buf_add(out, s, n);
	else if (!n)
		buf_add(out, "\xef\xbf\xbd", 3);
	else if (c)
		json_escape(out, c);
	return n ? n : 1;
}

void
json_quote(struct buf *out, const char *s, size_t len)
{
	buf_reserve(out, len + 2);
	buf_addc(out, '"');
	while (len > 0) {
		size_t n = plain_run(s, len);
		buf_add(out, s, n);
		s += n;
		len -= n;
		if (len > 0) {
			n = quote_special(out, s, len);
			s += n;
			len -= n;
		}
	}
	buf_addc(out, '"');
}

/* What stands before any value: the comma, and the key in an object. */
static void
json_begin(struct json_out *o, const char *key)
{
	if (o->comma[o->depth])
		buf_addc(o->buf, ',');
	o->comma[o->depth] = true;
	if (key) { /* perhaps a stranger's: names of variables are */
		json_quote(o->buf, key, strlen(key));
		buf_addc(o->buf, ':');
	}
}

static void
json_open(struct json_out *o, const char *key, char bracket)
{
	json_begin(o, key);
	assert(o->depth + 1 < sizeof(o->comma) / sizeof(o->comma[0]));
	o->comma[++o->depth] = false;
	buf_addc(o->buf, bracket);
}

static void
json_close(struct json_out *o, char bracket)
{
	assert(o->depth > 0);
	o->depth--;
	buf_addc(o->buf, bracket);
}

void
json_put_object(struct json_out *o, const char *key)
{
	json_open(o, key, '{');
}

void
json_put_object_end(struct json_out *o)
{
	json_close(o, '}');
}

void
json_put_array(struct json_out *o, const char *key)
{
	json_open(o, key, '[');
}

void
json_put_array_end(struct json_out *o)
{
	json_close(o, ']');
}

void
json_put_string(struct json_out *o, const char *key, const char *value)
{
	if (value)
		json_put_string_len(o, key, value, strlen(value));
	else
		json_put_null(o, key);
}

void
json_put_string_len(struct json_out *o, const char *key, const char *value, size_t len)
{
	json_begin(o, key);
	json_quote(o->buf, value, len);
}

void
json_put_int(struct json_out *o, const char *key, int64_t value)
{
	json_begin(o, key);
	buf_add_int(o->buf, value);
}

void
json_put_double(struct json_out *o, const char *key, double value)
{
	char text[40];

	/* RFC 8259 §6: there is no NaN and no infinity. */
	if (!isfinite(value)) {
		json_put_null(o, key);
		return;
	}
	json_begin(o, key);
	snprintf(text, sizeof(text), "%.15g", value);
	if (strtod(text, NULL) != value)
		snprintf(text, sizeof(text), "%.17g", value);
	buf_adds(o->buf, text);
}

void
json_put_bool(struct json_out *o, const char *key, bool value)
{
	json_put_raw(o, key, value ? "true" : "false");
}

void
json_put_null(struct json_out *o, const char *key)
{
	json_put_raw(o, key, "null");
}

void
json_put_time(struct json_out *o, const char *key, int64_t wall_us)
{
	char text[CLOCK_RFC3339_LEN];

	json_put_string(o, key, wall_us ? clock_format(text, wall_us) : NULL);
}

void
json_put_raw(struct json_out *o, const char *key, const char *json)
{
	json_begin(o, key);
	buf_adds(o->buf, json ? json : "null");
}
