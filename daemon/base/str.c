/* str.c - text from outside: bounded copies, whole numbers, UTF-8 made valid.
 *
 * All of UTF-8's rules are in utf8_next(); everything else that walks text (here, in
 * json.c and in log.c) asks it. Nothing here depends on the locale. */
#include <str.h>

#include <string.h>

size_t
str_copy(char *dst, size_t cap, const char *src)
{
	size_t len = strlen(src);

	if (!cap)
		return len;
	size_t n = utf8_cut(src, len, cap - 1);
	memcpy(dst, src, n);
	dst[n] = '\0';
	return len;
}

bool
str_empty(const char *s)
{
	return !s || !*s;
}

bool
str_eq(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

static unsigned char
ascii_lower(char c)
{
	return (unsigned char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

bool
str_ieq(const char *a, const char *b)
{
	if (a == b)
		return true;
	if (!a || !b)
		return false;
	while (*a && ascii_lower(*a) == ascii_lower(*b))
		a++, b++;
	return ascii_lower(*a) == ascii_lower(*b);
}

bool
str_starts(const char *s, const char *prefix)
{
	return !strncmp(s, prefix, strlen(prefix));
}

bool
str_int(const char *s, int64_t min, int64_t max, int64_t *out_r)
{
	if (!s)
		return false;
	bool negative = *s == '-';
	int64_t value = 0;

	s += negative;
	if (!*s)
		return false;
	/* Built downwards: INT64_MIN has no positive twin. */
	for (; *s; s++) {
		if (*s < '0' || *s > '9' || __builtin_mul_overflow(value, 10, &value) ||
			__builtin_sub_overflow(value, *s - '0', &value))
			return false;
	}
	if (!negative && __builtin_sub_overflow((int64_t)0, value, &value))
		return false;
	if (value < min || value > max)
		return false;
	if (out_r)
		*out_r = value;
	return true;
}

bool
str_is_id(const char *s)
{
	size_t n = 0;

	if (!s)
		return false;
	for (; s[n]; n++) {
		char c = s[n];
		bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			    (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
		if (!good || n == 64)
			return false;
	}
	return n > 0;
}

static bool
is_tail(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

size_t
utf8_next(const char *s, size_t len)
{
	if (!len)
		return 0;
	unsigned char c = (unsigned char)s[0];
	if (c < 0x80)
		return 1;
	size_t n = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
	if (c < 0xc2 || c > 0xf4 || n > len)
		return 0;
	for (size_t i = 1; i < n; i++)
		if (!is_tail(s[i]))
			return 0;
	unsigned char d = (unsigned char)s[1];
	/* Overlong forms, surrogates, and what lies above U+10FFFF (RFC 3629 §4). */
	if ((c == 0xe0 && d < 0xa0) || (c == 0xed && d > 0x9f) ||
		(c == 0xf0 && d < 0x90) || (c == 0xf4 && d > 0x8f))
		return 0;
	return n;
}

bool
utf8_valid(const char *s, size_t len)
{
	for (size_t i = 0, n; i < len; i += n) {
		n = utf8_next(s + i, len - i);
		if (!n)
			return false;
	}
	return true;
}

void
utf8_clean(struct buf *out, const char *s, size_t len)
{
	buf_reserve(out, len);
	for (size_t i = 0, n; i < len; i += n ? n : 1) {
		n = utf8_next(s + i, len - i);
		unsigned char c = (unsigned char)s[i];
		if (!n)
			buf_add(out, "\xef\xbf\xbd", 3);
		else if (c >= 0x20 || c == '\t' || c == '\r' || c == '\n')
			buf_add(out, s + i, n);
	}
}

size_t
utf8_cut(const char *s, size_t len, size_t max)
{
	if (len <= max)
		return len;
	size_t at = max;
	/* Bytes that are no UTF-8 have no boundary: after three tails cut anywhere. */
	while (at > 0 && max - at < 4 && is_tail(s[at]))
		at--;
	return max - at < 4 && !is_tail(s[at]) ? at : max;
}

void
hex_encode(char *dst, const void *src, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *b = src;

	for (size_t i = 0; i < len; i++) {
		*dst++ = digits[b[i] >> 4];
		*dst++ = digits[b[i] & 15];
	}
	*dst = '\0';
}

uint64_t
str_hash(const char *s)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * 0x100000001b3u;
	return h;
}
