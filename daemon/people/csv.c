/* csv.c - see csv.h.
 *
 *	field: START -> PLAIN | QUOTED <-> QUOTE (a quote in quotes: the end, or one of two)
 *	SKIP: the rest of a bad record's line
 *
 * One byte at a time; every event comes at a fixed byte. Until the separator is known the
 * first record is kept as it came (head) and read again from there. */
#include <people/csv.h>

#include <mem.h>
#include <str.h>

#include <string.h>

enum { START, PLAIN, QUOTED, QUOTE, SKIP };

void
csv_init(struct csv *c)
{
	memset(c, 0, sizeof(*c));
	c->line = c->at_line = 1;
}

void
csv_fini(struct csv *c)
{
	buf_fini(&c->text);
	buf_fini(&c->head);
}

const char *
csv_field(const struct csv *c, size_t i)
{
	return i < c->n ? c->text.data + c->starts[i] : "";
}

static enum csv_event
finish(struct csv *c, enum csv_event ev)
{
	c->done = true;
	c->lines = (unsigned)(c->at_line - c->line);
	if (!c->lines)
		c->lines = 1;
	return ev;
}

static enum csv_event
bad(struct csv *c, const char *why)
{
	c->why = why;
	c->state = SKIP;
	return finish(c, CSV_BAD);
}

static enum csv_event
end_field(struct csv *c)
{
	if (c->n == CSV_FIELDS_MAX)
		return bad(c, "more than 256 fields");
	c->starts[c->n] = c->n ? c->starts[c->n] : 0;
	buf_addc(&c->text, '\0');
	c->n++;
	if (c->n < CSV_FIELDS_MAX)
		c->starts[c->n] = (uint32_t)c->text.len;
	c->state = START;
	return CSV_MORE;
}

static enum csv_event
end_record(struct csv *c)
{
	if (c->state == START && !c->n) { /* a blank line */
		c->line = c->at_line;
		return CSV_MORE;
	}
	if (end_field(c) == CSV_BAD) {
		c->state = START; /* its line is over */
		return CSV_BAD;
	}
	return finish(c, CSV_RECORD);
}

static enum csv_event
add(struct csv *c, char ch, int next)
{
	if (!ch)
		return bad(c, "a NUL byte");
	if (c->text.len >= CSV_RECORD_MAX)
		return bad(c, "longer than 64 KiB (is a quote left open?)");
	buf_addc(&c->text, ch);
	c->state = next;
	return CSV_MORE;
}

static enum csv_event
take_in_quotes(struct csv *c, char ch)
{
	if (c->state == QUOTED && ch == '"') {
		c->state = QUOTE;
		return CSV_MORE;
	}
	if (c->state == QUOTED || ch == '"')
		return add(c, ch, QUOTED);
	if (ch == ' ' || ch == '\t')
		return CSV_MORE;
	return bad(c, "text after a closing quote");
}

static enum csv_event
take(struct csv *c, char ch)
{
	bool second = ch == '\n' && c->last_cr;
	bool ends = (ch == '\n' || ch == '\r') && !second;

	c->last_cr = ch == '\r';
	c->at_line += ends;
	if (second && c->state != QUOTED)
		return CSV_MORE;
	if (c->state == SKIP) {
		if (ends) {
			c->state = START;
			c->line = c->at_line;
		}
		return CSV_MORE;
	}
	if (c->state == QUOTED)
		return take_in_quotes(c, ch);
	if (ends)
		return end_record(c);
	if (ch == c->separator)
		return end_field(c);
	if (c->state == QUOTE)
		return take_in_quotes(c, ch);
	if (c->state == START && ch == '"') {
		c->state = QUOTED;
		return CSV_MORE;
	}
	return add(c, ch, PLAIN);
}

/* The fields of an event are read by the caller before the next byte. */
static void
begin(struct csv *c)
{
	if (!c->done)
		return;
	c->done = false;
	c->n = 0;
	c->starts[0] = 0;
	buf_clear(&c->text);
	if (c->state != SKIP)
		c->line = c->at_line;
}

static size_t
run(struct csv *c, const char *data, size_t len, enum csv_event *ev_r)
{
	size_t i = 0;

	*ev_r = CSV_MORE;
	begin(c);
	while (i < len && *ev_r == CSV_MORE)
		*ev_r = take(c, data[i++]);
	return i;
}

/* ---- The separator ---------------------------------------------------------------- */

static size_t
count(const struct buf *b, char separator)
{
	bool quoted = false;
	size_t n = 0;

	for (size_t i = 0; i < b->len; i++) {
		quoted ^= b->data[i] == '"';
		n += !quoted && b->data[i] == separator;
	}
	return n;
}

static char
most_frequent(const struct buf *b)
{
	char best = ',';
	static const char all[] = ",;\t";

	for (const char *s = all; *s; s++)
		if (count(b, *s) > count(b, best))
			best = *s;
	return best;
}

/* "sep=;" */
static bool
names_separator(struct csv *c)
{
	size_t n = c->head.len;

	while (n && (c->head.data[n - 1] == '\n' || c->head.data[n - 1] == '\r'))
		n--;
	if (n != 5 || memcmp(c->head.data, "sep=", 4) != 0)
		return false;
	c->separator = c->head.data[4];
	return true;
}

static enum csv_event
read_head(struct csv *c)
{
	enum csv_event ev = CSV_MORE;

	if (names_separator(c)) {
		c->line = ++c->at_line;
		buf_clear(&c->head);
		return CSV_MORE;
	}
	c->separator = most_frequent(&c->head);
	c->last_cr = false;
	run(c, c->head.data, c->head.len, &ev);
	if (ev == CSV_MORE && !c->text.len) /* blank lines: still not known */
		c->separator = '\0';
	buf_clear(&c->head);
	return ev;
}

static enum csv_event
take_head(struct csv *c, char ch)
{
	bool second = ch == '\n' && c->last_cr && !c->head.len;

	if (second) {
		c->last_cr = false;
		return CSV_MORE;
	}
	buf_addc(&c->head, ch);
	c->head_quoted ^= ch == '"';
	if (c->head.len > CSV_RECORD_MAX ||
		((ch == '\n' || ch == '\r') && !c->head_quoted)) {
		enum csv_event ev = read_head(c);
		c->last_cr = ch == '\r';
		return ev;
	}
	return CSV_MORE;
}

size_t
csv_feed(struct csv *c, const char *data, size_t len, enum csv_event *ev_r)
{
	size_t i = 0;

	*ev_r = CSV_MORE;
	while (!c->separator && i < len && *ev_r == CSV_MORE) {
		begin(c);
		*ev_r = take_head(c, data[i++]);
	}
	if (*ev_r == CSV_MORE && i < len)
		i += run(c, data + i, len - i, ev_r);
	return i;
}

enum csv_event
csv_end(struct csv *c)
{
	enum csv_event ev;

	begin(c);
	if (!c->separator && c->head.len) {
		ev = read_head(c);
		if (ev != CSV_MORE)
			return ev;
	}
	if (c->state == QUOTED)
		return bad(c, "a quote is left open");
	if (c->state == SKIP || (c->state == START && !c->n))
		return CSV_MORE;
	c->at_line++;
	ev = end_record(c);
	return ev;
}
