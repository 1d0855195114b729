/* print.c - see print.h: safe text, widths, colours, tables, objects. */
#include <ctl/print.h>

#include <clock.h>
#include <mem.h>
#include <str.h>

#include <inttypes.h>
#include <locale.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

void
print_init(struct ctl *ctl)
{
	struct winsize size;
	const char *term = getenv("TERM"), *columns = getenv("COLUMNS");
	int64_t n;
	bool terminal = isatty(STDOUT_FILENO);
	/* wcwidth() knows widths under a UTF-8 locale only, and text is UTF-8 here. */
	if (!setlocale(LC_CTYPE, "C.UTF-8"))
		setlocale(LC_CTYPE, "");
	tzset();
	ctl->color = terminal && str_empty(getenv("NO_COLOR")) && !str_empty(term) &&
		     !str_eq(term, "dumb");
	if (!terminal)
		return;
	if (str_int(columns, 20, 10000, &n))
		ctl->columns = (unsigned)n;
	else if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 20)
		ctl->columns = size.ws_col;
	else
		ctl->columns = 80;
}

const char *
print_color(const struct ctl *ctl, enum color c)
{
	static const char *const sequences[] = {
		[COLOR_NONE] = "\033[0m",
		[COLOR_BOLD] = "\033[1m",
		[COLOR_DIM] = "\033[2m",
		[COLOR_GOOD] = "\033[32m",
		[COLOR_BAD] = "\033[31m",
		[COLOR_WARN] = "\033[33m",
		[COLOR_NAME] = "\033[36m",
	};
	return ctl->color ? sequences[c] : "";
}

/* ---- Safe text -------------------------------------------------------------------- */

/* s is a valid sequence of n bytes. */
static uint32_t
decode(const char *s, size_t n)
{
	static const unsigned char masks[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
	uint32_t c = (unsigned char)s[0] & masks[n];
	for (size_t i = 1; i < n; i++)
		c = c << 6 | ((unsigned char)s[i] & 0x3f);
	return c;
}

/* What moves the cursor, turns text around or hides it (Unicode's bidirectional controls,
 * line separators, tags, and zero-width marks that make two names look the same). */
static bool
is_unsafe(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0xad || c == 0x61c ||
	       (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
	       (c >= 0x2060 && c <= 0x206f) || c == 0xfeff ||
	       (c >= 0xfff9 && c <= 0xfffb) || (c >= 0xe0000 && c <= 0xe007f);
}

static void
add_escape(struct buf *out, uint32_t c)
{
	if (c == '\n')
		buf_adds(out, "\\n");
	else if (c == '\t')
		buf_adds(out, "\\t");
	else if (c == '\r')
		buf_adds(out, "\\r");
	else if (c < 0x100)
		buf_printf(out, "\\x%02x", (unsigned)c);
	else
		buf_printf(out, "\\u{%x}", (unsigned)c);
}

void
print_safe(struct buf *out, const char *s)
{
	size_t len = s ? strlen(s) : 0;
	while (len > 0) {
		size_t n = utf8_next(s, len);
		uint32_t c = n ? decode(s, n) : (unsigned char)*s;
		if (!n || is_unsafe(c))
			add_escape(out, c);
		else
			buf_add(out, s, n);
		n += !n;
		s += n;
		len -= n;
	}
}

void
print_text(const char *s)
{
	struct buf b = BUF_INIT;
	print_safe(&b, s);
	fputs(buf_str(&b), stdout);
	buf_fini(&b);
}

static unsigned
char_width(uint32_t c)
{
	int n = wcwidth((wchar_t)c);
	return n < 0 ? 1 : (unsigned)n;
}

unsigned
print_width(const char *s)
{
	size_t len = strlen(s), n;
	unsigned width = 0;
	for (; len > 0 && (n = utf8_next(s, len)); s += n, len -= n)
		width += char_width(decode(s, n));
	return width;
}

/* ---- Times ------------------------------------------------------------------------ */

/* In local time; false if text is no time: it was added as it is then. */
static bool
to_local(struct buf *out, const char *text, struct tm *tm)
{
	int64_t us;
	if (!text || !clock_parse(text, &us)) {
		print_safe(out, text ? text : "-");
		return false;
	}
	time_t t = (time_t)(us / 1000000);
	localtime_r(&t, tm);
	return true;
}

void
print_time(struct buf *out, const char *text)
{
	char dst[64];
	struct tm tm;
	if (!to_local(out, text, &tm))
		return;
	strftime(dst, sizeof(dst), "%Y-%m-%d %H:%M:%S", &tm);
	buf_adds(out, dst);
}

void
print_clock(struct buf *out, const char *text)
{
	struct tm tm;
	if (to_local(out, text, &tm))
		buf_printf(out, "%02d:%02d:%02d", tm.tm_hour, tm.tm_min, tm.tm_sec);
}

void
print_duration(struct buf *out, int64_t ms)
{
	int64_t s = ms / 1000;
	if (ms < 0)
		buf_adds(out, "-");
	else if (s >= 24 * 3600)
		buf_printf(out, "%" PRId64 " d %" PRId64 ":%02" PRId64, s / 86400,
			s / 3600 % 24, s / 60 % 60);
	else if (s >= 3600)
		buf_printf(out, "%" PRId64 ":%02" PRId64 ":%02" PRId64, s / 3600,
			s / 60 % 60, s % 60);
	else
		buf_printf(out, "%" PRId64 ":%02" PRId64, s / 60, s % 60);
}

void
print_bytes(struct buf *out, int64_t bytes)
{
	static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
	double n = (double)bytes;
	size_t u = 0;
	if (bytes < 1024) {
		buf_printf(out, "%" PRId64 " B", bytes);
		return;
	}
	for (n /= 1024; n >= 1024 && u + 1 < ARRAY_LEN(units); u++)
		n /= 1024;
	buf_printf(out, "%.1f %s", n, units[u]);
}

/* ---- Tables ----------------------------------------------------------------------- */

#define COLUMNS_MAX 16
#define FLEX_MIN    8

struct cell {
	char *text; /* safe */
	enum color color;
	unsigned width;
};

struct table {
	const struct ctl *ctl;
	unsigned n_columns;
	struct {
		bool flexible, number;
		unsigned width;
	} columns[COLUMNS_MAX];
	struct cell *cells; /* the headings are the first row */
	size_t n_cells;
};

static void
add_cell(struct table *t, enum color color, const char *text)
{
	struct buf b = BUF_INIT;
	unsigned column = (unsigned)(t->n_cells % t->n_columns);
	print_safe(&b, str_empty(text) ? "-" : text);
	t->cells = xrealloc(t->cells, (t->n_cells + 1) * sizeof(*t->cells));
	struct cell *c = &t->cells[t->n_cells++];
	c->width = print_width(buf_str(&b));
	c->text = buf_steal(&b);
	c->color = color;
	if (c->width > t->columns[column].width)
		t->columns[column].width = c->width;
}

struct table *
table_new(const struct ctl *ctl, const char *headings)
{
	struct table *t = xcalloc(1, sizeof(*t));
	t->ctl = ctl;
	t->n_columns = 1;
	for (const char *s = headings; *s; s++)
		t->n_columns += *s == '|';
	for (unsigned i = 0; i < t->n_columns; i++) {
		size_t n = strcspn(headings, "|");
		t->columns[i].flexible = *headings == '~';
		t->columns[i].number = *headings == '>';
		size_t mark = t->columns[i].flexible || t->columns[i].number;
		char *text = xstrndup(headings + mark, n - mark);
		add_cell(t, COLOR_BOLD, text);
		xfree(&text);
		headings += n + 1;
	}
	return t;
}

void
table_cell(struct table *t, const char *text)
{
	add_cell(t, COLOR_NONE, text);
}

void
table_cell_color(struct table *t, enum color color, const char *text)
{
	add_cell(t, color, text);
}

void
table_cell_fmt(struct table *t, const char *fmt, ...)
{
	char text[512];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	add_cell(t, COLOR_NONE, text);
}

void
table_cell_time(struct table *t, const char *text)
{
	struct buf b = BUF_INIT;
	print_time(&b, text);
	add_cell(t, COLOR_NONE, buf_str(&b));
	buf_fini(&b);
}

/* Takes columns from the widest flexible one until a row fits. */
static void
fit(struct table *t)
{
	unsigned total = 0;
	for (unsigned i = 0; i < t->n_columns; i++)
		total += t->columns[i].width + (i ? 2 : 0);
	while (t->ctl->columns && total > t->ctl->columns) {
		unsigned widest = t->n_columns;
		for (unsigned i = 0; i < t->n_columns; i++)
			if (t->columns[i].flexible && t->columns[i].width > FLEX_MIN &&
				(widest == t->n_columns ||
					t->columns[i].width > t->columns[widest].width))
				widest = i;
		if (widest == t->n_columns)
			return;
		t->columns[widest].width--;
		total--;
	}
}

/* Prints at most `max` columns of it; returns how many. */
static unsigned
put_cut(const struct cell *c, unsigned max)
{
	const char *s = c->text;
	size_t len = strlen(s), n;
	unsigned width = 0;
	if (c->width <= max) {
		fputs(s, stdout);
		return c->width;
	}
	for (; len > 0 && (n = utf8_next(s, len)); s += n, len -= n) {
		unsigned w = char_width(decode(s, n));
		if (width + w > max - 1)
			break;
		fwrite(s, 1, n, stdout);
		width += w;
	}
	fputs("…", stdout);
	return width + 1;
}

static void
put_row(const struct table *t, const struct cell *row)
{
	for (unsigned i = 0; i < t->n_columns; i++) {
		unsigned width = t->columns[i].width;
		bool colored = row[i].color != COLOR_NONE;
		if (i)
			fputs("  ", stdout);
		if (t->columns[i].number && row[i].width < width)
			printf("%*s", (int)(width - row[i].width), "");
		if (colored)
			fputs(print_color(t->ctl, row[i].color), stdout);
		unsigned done = put_cut(&row[i], width);
		if (colored)
			fputs(print_color(t->ctl, COLOR_NONE), stdout);
		if (!t->columns[i].number && done < width && i + 1 < t->n_columns)
			printf("%*s", (int)(width - done), "");
	}
	putchar('\n');
}

void
table_end(struct table **tp, const char *none)
{
	struct table *t = *tp;
	fit(t);
	if (t->n_cells == t->n_columns)
		puts(none);
	else
		for (size_t at = 0; at + t->n_columns <= t->n_cells; at += t->n_columns)
			put_row(t, t->cells + at);
	for (size_t i = 0; i < t->n_cells; i++)
		xfree(&t->cells[i].text);
	xfree(&t->cells);
	xfree(tp);
}
