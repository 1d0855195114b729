/* charset.c - see charset.h.
 *
 *	START (a mark may come) -> ASCII (nothing else so far) -> HOLD (deciding) -> RUN
 *
 * Everything but UTF-8 goes through iconv, which keeps its own state between pieces; the
 * bytes of a character that is not whole yet wait in `hold`. */
#include <base/charset.h>

#include <mem.h>
#include <str.h>

#include <errno.h>
#include <iconv.h>
#include <string.h>

#define HOLD_MAX (64 * 1024)
#define BROKEN	 '\xff'

const char charset_names[] = "utf-8, gb18030, gbk, gb2312, big5, shift_jis, euc-kr, "
			     "utf-16, utf-16le, utf-16be, iso-8859-1, windows-1252";

enum state { START, ASCII, HOLD, RUN };

struct charset {
	enum state state;
	const char *name; /* given or found; NULL = not decided */
	iconv_t cd;	  /* (iconv_t)-1: UTF-8, passed on as it is */
	struct buf hold;
};

static const struct {
	const char *name, *iconv; /* iconv NULL: UTF-8 */
} known[] = {
	{"utf-8", NULL},
	{"utf8", NULL},
	{"gb18030", "GB18030"},
	{"gbk", "GB18030"},
	{"gb2312", "GB18030"},
	{"big5", "CP950"},
	{"shift_jis", "CP932"},
	{"euc-kr", "CP949"},
	{"utf-16", "UTF-16LE"},
	{"utf-16le", "UTF-16LE"},
	{"utf-16be", "UTF-16BE"},
	{"iso-8859-1", "ISO-8859-1"},
	{"windows-1252", "CP1252"},
};

/* False if the name, or this machine's iconv, does not have it. */
static bool
set_name(struct charset *c, const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		if (!str_ieq(known[i].name, name))
			continue;
		if (known[i].iconv) {
			c->cd = iconv_open("UTF-8", known[i].iconv);
			if (c->cd == (iconv_t)-1)
				return false;
		}
		c->name = known[i].name;
		return true;
	}
	return false;
}

struct charset *
charset_new(const char *name)
{
	struct charset *c = xcalloc(1, sizeof(*c));

	c->cd = (iconv_t)-1;
	if (!str_empty(name) && !set_name(c, name))
		charset_free(&c);
	return c;
}

void
charset_free(struct charset **cp)
{
	if (!*cp)
		return;
	if ((*cp)->cd != (iconv_t)-1)
		iconv_close((*cp)->cd);
	buf_fini(&(*cp)->hold);
	xfree(cp);
}

const char *
charset_found(const struct charset *c)
{
	return c->name ? c->name : "";
}

/* Converts all of hold but a character that is not whole. Returns how many could not be
 * read. */
static size_t
convert(struct charset *c, struct buf *out, bool at_end)
{
	char *in = c->hold.data, text[4096];
	size_t left = c->hold.len, broken = 0;

	while (left) {
		char *dst = text;
		size_t room = sizeof(text);
		size_t r = iconv(c->cd, &in, &left, &dst, &room);
		buf_add(out, text, sizeof(text) - room);
		if (r != (size_t)-1 || errno == E2BIG)
			continue;
		if (errno == EINVAL && !at_end)
			break;
		buf_addc(out, BROKEN);
		broken++;
		in++;
		left--;
	}
	buf_drop_front(&c->hold, c->hold.len - left);
	return broken;
}

static void
run(struct charset *c, struct buf *out, bool at_end)
{
	if (c->cd != (iconv_t)-1) {
		convert(c, out, at_end);
	} else {
		buf_add(out, buf_str(&c->hold), c->hold.len);
		buf_clear(&c->hold);
	}
}

/* Valid, but for a last character that may be cut. */
static bool
is_utf8_so_far(const char *s, size_t len)
{
	size_t n;

	for (; len && (n = utf8_next(s, len)); s += n)
		len -= n;
	return len < 4 && (!len || (unsigned char)*s >= 0xc2);
}

static bool
is_gb18030_so_far(const struct charset *c)
{
	struct charset try = {.cd = (iconv_t)-1};
	struct buf out = BUF_INIT;
	bool ok;

	if (!set_name(&try, "gb18030"))
		return false;
	buf_add(&try.hold, c->hold.data, c->hold.len);
	ok = convert(&try, &out, false) == 0;
	iconv_close(try.cd);
	buf_fini(&try.hold);
	buf_fini(&out);
	return ok;
}

static void
decide(struct charset *c, struct buf *out, bool at_end)
{
	bool utf8 = at_end ? utf8_valid(buf_str(&c->hold), c->hold.len)
			   : is_utf8_so_far(buf_str(&c->hold), c->hold.len);

	set_name(c, utf8 || !is_gb18030_so_far(c) ? "utf-8" : "gb18030");
	c->state = RUN;
	run(c, out, at_end);
}

/* The mark, if there is one, goes; it names what was not given. */
static void
take_mark(struct charset *c)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *name;
	} marks[] = {{"\xef\xbb\xbf", 3, "utf-8"}, {"\xff\xfe", 2, "utf-16le"},
		{"\xfe\xff", 2, "utf-16be"}, {"\x84\x31\x95\x33", 4, "gb18030"}};

	for (size_t i = 0; i < ARRAY_LEN(marks); i++) {
		if (c->hold.len < marks[i].len ||
			memcmp(c->hold.data, marks[i].bytes, marks[i].len) != 0)
			continue;
		if (c->name && !str_ieq(c->name, marks[i].name) &&
			!(str_eq(c->name, "utf-16") && marks[i].len == 2))
			continue;
		if (c->cd != (iconv_t)-1)
			iconv_close(c->cd);
		c->cd = (iconv_t)-1;
		set_name(c, marks[i].name);
		buf_drop_front(&c->hold, marks[i].len);
		break;
	}
	c->state = c->name ? RUN : ASCII;
}

static size_t
ascii_prefix(const struct buf *b)
{
	size_t n = 0;

	while (n < b->len && (unsigned char)b->data[n] < 0x80)
		n++;
	return n;
}

static void
go_on(struct charset *c, struct buf *out, bool at_end)
{
	if (c->state == START) {
		if (c->hold.len < 4 && !at_end)
			return;
		take_mark(c);
	}
	if (c->state == ASCII) {
		size_t n = ascii_prefix(&c->hold);
		buf_add(out, buf_str(&c->hold), n);
		buf_drop_front(&c->hold, n);
		if (c->hold.len)
			c->state = HOLD;
	}
	if (c->state == HOLD && (at_end || c->hold.len >= HOLD_MAX))
		decide(c, out, at_end);
	else if (c->state == RUN)
		run(c, out, at_end);
}

void
charset_feed(struct charset *c, const char *data, size_t len, struct buf *out)
{
	buf_add(&c->hold, data, len);
	go_on(c, out, false);
}

void
charset_end(struct charset *c, struct buf *out)
{
	go_on(c, out, true);
}
