/* address.c - addresses as people and channels write them, made the same for everybody.
 *
 * Text is first made sound: valid UTF-8, no control characters, full-width forms folded
 * to ASCII, blanks at the ends cut. A kind then has its own way (phone, email,
 * external); every other kind is kept as its driver gave it. What has no form that is
 * the same for everybody is kept as given and marked, so that it never merges anybody.
 *
 * Readings of a phone number are tried in this order, the first valid one wins:
 *   1. as it stands, in the region          "0912-345-678", "+886 912 345 678"
 *   2. a blank in front read as '+'         " 886912345678" (a query's undecoded +)
 *   3. a leading 00 read as '+'             "00886912345678" (a trunk's habit)
 * so the region's own reading of 00... comes before ours. */
#include <people/address.h>

#include <io/domain.h>
#include <people/phone.h>

#include <buf.h>
#include <mem.h>
#include <str.h>

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define RAW_MAX 1024 /* longer than anything that is an address in any encoding */

static const char *const trust_names[] = {"claimed", "recorded", "network", "verified"};

const char *
trust_text(enum trust t)
{
	return trust_names[t];
}

int
trust_parse(const char *s)
{
	for (size_t i = 0; i < ARRAY_LEN(trust_names); i++)
		if (str_eq(s, trust_names[i]))
			return (int)i;
	return -1;
}

/* --- making text sound --- */

/* The code point of a three-byte sequence, 0 for any other. */
static unsigned
wide_char(const char *s, size_t n)
{
	const unsigned char *u = (const unsigned char *)s;

	return n == 3 ? (u[0] & 15u) << 12 | (u[1] & 63u) << 6 | (u[2] & 63u) : 0;
}

static bool
is_wide_blank(unsigned c)
{
	return c == 0x3000 || (c >= 0x2000 && c <= 0x200f) || c == 0x202f ||
	       c == 0x2060 || c == 0xfeff || (c >= 0x202a && c <= 0x202e) ||
	       (c >= 0x2066 && c <= 0x2069);
}

static bool
is_wide_dash(unsigned c)
{
	return (c >= 0x2010 && c <= 0x2015) || c == 0x2212 || c == 0x30fc;
}

/* Full-width ASCII (U+FF01 to U+FF5E), blanks and dashes of typography, controls. */
static void
fold_one(struct buf *out, const char *s, size_t n)
{
	unsigned c = wide_char(s, n);

	if (c >= 0xff01 && c <= 0xff5e)
		buf_addc(out, (char)(c - 0xfee0));
	else if (is_wide_blank(c) || (n == 2 && !memcmp(s, "\xc2\xa0", 2)))
		buf_addc(out, ' ');
	else if (is_wide_dash(c))
		buf_addc(out, '-');
	else if (n > 1 || ((unsigned char)*s >= 0x20 && *s != 0x7f))
		buf_add(out, s, n);
	else if (strchr("\t\r\n", *s))
		buf_addc(out, ' ');
}

static void
text_fold(struct buf *out, const char *raw)
{
	struct buf clean = BUF_INIT;
	const char *s;

	utf8_clean(&clean, raw, strlen(raw));
	s = buf_str(&clean);
	for (size_t n, left = clean.len; left; s += n, left -= n) {
		n = utf8_next(s, left);
		if (!n)
			n = 1;
		fold_one(out, s, n);
	}
	buf_fini(&clean);
}

/* Only makes other kinds sound: no control characters, no blanks at the ends. */
static void
text_keep(struct buf *out, const char *raw)
{
	struct buf clean = BUF_INIT;

	utf8_clean(&clean, raw, strlen(raw));
	for (size_t i = 0; i < clean.len; i++)
		if ((unsigned char)clean.data[i] >= 0x20 && clean.data[i] != 0x7f)
			buf_addc(out, clean.data[i]);
	buf_fini(&clean);
}

static const char *
skip_blanks(const char *s)
{
	return s + strspn(s, " ");
}

static void
trim_end(char *s)
{
	size_t len = strlen(s);

	while (len && s[len - 1] == ' ')
		s[--len] = '\0';
}

/* --- phone --- */

static bool
has_digit(const char *s)
{
	return strpbrk(s, "0123456789") != NULL;
}

static bool
has_letter(const char *s)
{
	for (; *s; s++)
		if ((*s | 0x20) >= 'a' && (*s | 0x20) <= 'z')
			return true;
		else if ((unsigned char)*s >= 0x80)
			return true;
	return false;
}

static bool
try_plus(const char *digits, char dst[PHONE_E164_MAX])
{
	char *with_plus = xasprintf("+%s", digits);
	bool ok = phone_to_e164(with_plus, NULL, dst);

	xfree(&with_plus);
	return ok;
}

static bool
phone_read(const char *text, const char *region, char dst[PHONE_E164_MAX])
{
	const char *s = skip_blanks(text);

	/* Words that happen to hold digits are nobody's number ("agent2001"). */
	if (has_letter(s) && !strchr("+0123456789(", *s))
		return false;
	if (phone_to_e164(s, region, dst))
		return true;
	if (s != text && has_digit(s) && try_plus(s, dst))
		return true;
	return s[0] == '0' && s[1] == '0' && try_plus(s + 2, dst);
}

/* The digits as given; with letters in it, all of it. */
static void
phone_keep(const char *s, char *dst, size_t cap)
{
	size_t n = 0;

	if (has_letter(s)) {
		str_copy(dst, cap, s);
		trim_end(dst);
		return;
	}
	for (const char *p = s; *p && n + 1 < cap; p++)
		if ((*p >= '0' && *p <= '9') || *p == '*' || *p == '#' ||
			(*p == '+' && n == 0))
			dst[n++] = *p;
	dst[n] = '\0';
	if (!strcmp(dst, "+"))
		dst[0] = '\0';
}

static void
make_phone(const char *folded, const char *region, struct address *addr)
{
	char e164[PHONE_E164_MAX];

	if (!strncasecmp(skip_blanks(folded), "tel:", 4))
		folded = skip_blanks(folded) + 4;
	addr->normal = phone_read(folded, region, e164);
	if (addr->normal)
		str_copy(addr->value, sizeof(addr->value), e164);
	else
		phone_keep(skip_blanks(folded), addr->value, sizeof(addr->value));
}

/* Lower-case ASCII letters, digits and everything beyond ASCII; nothing else. */
static void
squeeze(const char *s, char *dst, size_t cap)
{
	size_t n = 0;

	for (; *s && n + 1 < cap; s++) {
		unsigned char c = (unsigned char)*s;

		if (c >= 'A' && c <= 'Z')
			c |= 0x20;
		if (c >= 0x80 || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
			dst[n++] = (char)c;
	}
	dst[n] = '\0';
}

bool
address_phone_is_nobody(const char *raw)
{
	/* The numbers are the words on a telephone's keys (RFC 3323 has no digits for
	 * them; some exchanges send these). */
	static const char *const words[] = {"", "anonymous", "unknown", "restricted",
		"private", "privat", "withheld", "unavailable", "notavailable",
		"blocked", "hidden", "nocallerid", "callerid", "nonumber", "nocli",
		"idunavailable", "outofarea", "asterisk", "anonym", "unbekannt", "null",
		"none", "nobody", "payphone", "coinline", "unknownnumber",
		"unknowncaller", "privatenumber", "privatecaller", "anonymousinvalid",
		"anonymousanonymousinvalid", "匿名", "未知", "未知号码", "未知號碼",
		"私人号码", "私人號碼", "不显示号码", "未顯示號碼", "266696687",
		"7378742833", "2562533", "8656696", "86282452253"};
	struct buf folded = BUF_INIT;
	char word[128];
	bool nobody = false;

	if (!raw || strlen(raw) > RAW_MAX)
		return !raw;
	text_fold(&folded, raw);
	squeeze(buf_str(&folded), word, sizeof(word));
	buf_fini(&folded);
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		nobody |= !strcmp(word, words[i]);
	return nobody || strspn(word, "0") == strlen(word);
}

/* --- the other kinds --- */

/* RFC 5321 §4.1.2, less quoted local parts with blanks: those are kept, not normal. */
static bool
local_part_is_sound(const char *s, size_t len)
{
	if (len == 0 || len > 64)
		return false;
	for (size_t i = 0; i < len; i++)
		if (strchr(" <>()[],;:\\\"", s[i]))
			return false;
	return true;
}

static void
make_email(char *text, struct address *addr)
{
	char domain[DOMAIN_MAX + 1];
	char *s = text, *at;

	if (!strncasecmp(s, "mailto:", 7))
		s += 7;
	at = strrchr(s, '@');
	addr->normal = at && local_part_is_sound(s, (size_t)(at - s)) &&
		       domain_normalise(at + 1, domain) &&
		       (size_t)(at - s) + 1 + strlen(domain) <= ADDRESS_VALUE_MAX;
	if (addr->normal) {
		memcpy(addr->value, s, (size_t)(at + 1 - s));
		str_copy(addr->value + (at + 1 - s), DOMAIN_MAX + 1, domain);
	} else
		str_copy(addr->value, sizeof(addr->value), s);
}

static bool
external_is_sound(const char *s)
{
	size_t n = strcspn(s, ":");
	char space[65];

	if (s[n] != ':' || !s[n + 1] || n >= sizeof(space))
		return false;
	str_copy(space, n + 1, s);
	return str_is_id(space);
}

static bool
kind_is_sound(const char *s)
{
	static const char rest[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";

	return s && *s >= 'a' && *s <= 'z' && strspn(s, rest) == strlen(s) &&
	       strlen(s) <= ADDRESS_KIND_MAX;
}

static void
make_other(const char *kind, const char *raw, struct address *addr)
{
	struct buf kept = BUF_INIT;
	const char *s;

	if (!strcmp(kind, "email"))
		text_fold(&kept, raw);
	else
		text_keep(&kept, raw);
	buf_addc(&kept, '\0');
	trim_end(kept.data);
	s = skip_blanks(kept.data);
	if (strlen(s) > ADDRESS_VALUE_MAX + 7) {
		buf_fini(&kept);
		return;
	}
	if (!strcmp(kind, "email")) {
		make_email(kept.data + (s - kept.data), addr);
	} else if (strlen(s) <= ADDRESS_VALUE_MAX) {
		str_copy(addr->value, sizeof(addr->value), s);
		addr->normal = strcmp(kind, "external") != 0 || external_is_sound(s);
	}
	buf_fini(&kept);
}

bool
address_make(
	const char *kind, const char *raw, const char *region, struct address *addr_r)
{
	memset(addr_r, 0, sizeof(*addr_r));
	if (!kind_is_sound(kind) || !raw || strlen(raw) > RAW_MAX)
		return false;
	str_copy(addr_r->kind, sizeof(addr_r->kind), kind);
	if (strcmp(kind, "phone") != 0) {
		make_other(kind, raw, addr_r);
		return addr_r->value[0] != '\0';
	}
	struct buf folded = BUF_INIT;

	text_fold(&folded, raw);
	if (folded.len <= ADDRESS_VALUE_MAX)
		make_phone(buf_str(&folded), region, addr_r);
	buf_fini(&folded);
	return addr_r->value[0] != '\0';
}

bool
address_parse(const char *text, const char *region, struct address *addr_r)
{
	size_t n = strcspn(text, ":");
	char kind[ADDRESS_KIND_MAX + 1];

	memset(addr_r, 0, sizeof(*addr_r));
	if (text[n] != ':' || n > ADDRESS_KIND_MAX)
		return false;
	memcpy(kind, text, n);
	kind[n] = '\0';
	return address_make(kind, text + n + 1, region, addr_r);
}
