/* ami.c - the wire format of the Asterisk Manager Interface.
 *
 * Bytes are copied once into a fixed buffer, cut into lines where CRLF ends them, and a
 * message's lines are pointers into that buffer: nothing is allocated per line or
 * message. Layout of the buffer:
 *
 *	0 ... start ........ scan ........ end ... cap
 *	      this message   line begun    bytes received
 *
 * A bare LF is part of a value (Asterisk sends "Message: Park successful\n"), so only
 * CRLF ends a line; several empty lines between messages are nothing. Read next:
 * ami_events.c, which says what the messages mean. */
#include "ami.h"

#include <mem.h>
#include <str.h>

#include <assert.h>
#include <string.h>
#include <strings.h>

#define BUFFER_SIZE (4 * AMI_MESSAGE_MAX)
#define BANNER_MAX  1024
#define DETAIL_MAX  80

enum parser_state {
	PARSER_BANNER, /* nothing but the greeting is expected */
	PARSER_LINES,  /* collecting the lines of a message */
	PARSER_SKIP,   /* the message is refused; waiting for its empty line */
	PARSER_FAILED, /* not an AMI stream */
};

struct ami_parser {
	struct ami_parser_callbacks cb;
	void *arg;
	enum parser_state state;
	bool nul_seen;	     /* ever: only then are lines searched for one */
	bool feeding, freed; /* freed inside a callback: feed cleans up on return */
	size_t start, scan, end;
	size_t searched; /* no CRLF ends before this */
	struct ami_message message;
	char data[BUFFER_SIZE];
};

const char *
ami_refusal_text(enum ami_refusal why)
{
	switch (why) {
	case AMI_TOO_LONG: return "message too long";
	case AMI_TOO_MANY_LINES: return "message of too many lines";
	case AMI_NO_COLON: return "line without a colon";
	case AMI_NUL: return "NUL byte in a line";
	}
	return "?";
}

struct ami_parser *
ami_parser_new(const struct ami_parser_callbacks *cb, void *arg)
{
	struct ami_parser *p = xmalloc(sizeof(*p));

	memset(p, 0, offsetof(struct ami_parser, message));
	p->message.n = 0;
	p->cb = *cb;
	p->arg = arg;
	return p;
}

void
ami_parser_free(struct ami_parser **pp)
{
	struct ami_parser *p = *pp;

	*pp = NULL;
	if (!p)
		return;
	if (p->feeding)
		p->freed = true;
	else
		mem_free(p);
}

/* Tells of something left out, with the beginning of it made printable. */
static void
refuse(struct ami_parser *p, enum ami_refusal why, const char *at, size_t len)
{
	char detail[DETAIL_MAX + 1];
	size_t n = len < DETAIL_MAX ? len : DETAIL_MAX;

	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)at[i];
		detail[i] = c < ' ' || c > '~' ? '?' : (char)c;
	}
	detail[n] = '\0';
	if (p->cb.on_refused)
		p->cb.on_refused(p->arg, why, detail);
}

static void
skip_message(struct ami_parser *p, enum ami_refusal why)
{
	size_t from = p->start;

	if (p->message.n > 0) { /* its first line, as it was before it was cut */
		const struct ami_line *first = &p->message.lines[0];
		from = (size_t)(first->key - p->data);
		p->data[from + first->key_len] = ':';
	}
	p->state = PARSER_SKIP;
	p->message.n = 0;
	refuse(p, why, p->data + from, p->end - from);
}

/* Drops what is done with, and moves the message begun to the front when room is short;
 * the lines found so far move along. */
static void
make_room(struct ami_parser *p)
{
	size_t by = p->state == PARSER_LINES ? p->start : p->scan;

	if (by == 0)
		return;
	memmove(p->data, p->data + by, p->end - by);
	for (size_t i = 0; i < p->message.n; i++) {
		p->message.lines[i].key -= by;
		p->message.lines[i].value -= by;
	}
	p->start = 0;
	p->scan -= by;
	p->searched -= by;
	p->end -= by;
}

/* Adds one line (len > 0, CRLF already cut off) to the message. */
static void
take_line(struct ami_parser *p, char *line, size_t len)
{
	struct ami_line *l = &p->message.lines[p->message.n];
	char *colon = memchr(line, ':', len);

	if (!colon) {
		refuse(p, AMI_NO_COLON, line, len);
		return;
	}
	if (p->message.n == AMI_LINES_MAX) {
		skip_message(p, AMI_TOO_MANY_LINES);
		return;
	}
	l->key = line;
	l->key_len = (size_t)(colon - line);
	l->value = colon + 1;
	l->value_len = len - l->key_len - 1;
	if (l->value_len && *l->value == ' ') {
		l->value++;
		l->value_len--;
	}
	*colon = '\0';
	line[len] = '\0';
	p->message.n++;
}

static void
take_empty_line(struct ami_parser *p)
{
	if (p->state == PARSER_LINES && p->message.n > 0)
		p->cb.on_message(p->arg, &p->message);
	if (p->freed)
		return;
	p->state = PARSER_LINES;
	p->message.n = 0;
	p->start = p->scan;
}

static bool
take_banner(struct ami_parser *p, char *line, size_t len)
{
	line[len] = '\0';
	if (!str_starts(line, "Asterisk Call Manager"))
		return false;
	p->state = PARSER_LINES;
	p->start = p->scan;
	if (p->cb.on_banner)
		p->cb.on_banner(p->arg, line);
	return true;
}

/* The end of the line that begins at scan (its CR), or NULL while it has not come. */
static char *
find_line_end(struct ami_parser *p)
{
	char *from = p->data + p->searched, *stop = p->data + p->end, *lf;

	while ((lf = memchr(from, '\n', (size_t)(stop - from)))) {
		if (lf > p->data + p->scan && lf[-1] == '\r')
			return lf - 1;
		from = lf + 1;
	}
	p->searched = p->end;
	return NULL;
}

/* Returns false if the stream is no AMI. */
static bool
take_lines(struct ami_parser *p)
{
	char *cr;

	while (!p->freed && (cr = find_line_end(p))) {
		char *line = p->data + p->scan;
		size_t len = (size_t)(cr - line);

		p->scan += len + 2;
		p->searched = p->scan;
		if (p->state == PARSER_BANNER) {
			if (!take_banner(p, line, len))
				return false;
		} else if (len == 0) {
			take_empty_line(p);
		} else if (p->state == PARSER_LINES) {
			if (p->nul_seen && memchr(line, '\0', len))
				refuse(p, AMI_NUL, line, len);
			else
				take_line(p, line, len);
			if (!p->freed && p->state == PARSER_LINES &&
				p->scan - p->start > AMI_MESSAGE_MAX)
				skip_message(p, AMI_TOO_LONG);
		}
	}
	return true;
}

/* What is left without a line's end must not grow for ever. */
static bool
check_rest(struct ami_parser *p)
{
	if (p->state == PARSER_BANNER)
		return p->end < BANNER_MAX;
	if (p->state == PARSER_LINES && p->end - p->start > AMI_MESSAGE_MAX)
		skip_message(p, AMI_TOO_LONG);
	if (!p->freed && p->state == PARSER_SKIP && p->end - p->scan > 2) {
		/* A skipped line needs no room: one byte that says it is not empty, and
		 * the last one, which may be the CR of its end. */
		p->scan = p->end - 2;
		p->data[p->scan] = 'x';
		p->searched = p->scan + 1;
	}
	return true;
}

static bool
feed_bytes(struct ami_parser *p, const char *data, size_t len)
{
	while (len > 0 && !p->freed) {
		if (BUFFER_SIZE - p->end < len || p->scan == p->end)
			make_room(p);
		size_t n = BUFFER_SIZE - p->end;
		n = n < len ? n : len;
		assert(n > 0);
		memcpy(p->data + p->end, data, n);
		p->nul_seen = p->nul_seen || memchr(data, '\0', n);
		p->end += n;
		data += n;
		len -= n;
		if (!take_lines(p) || (!p->freed && !check_rest(p)))
			return false;
	}
	return true;
}

bool
ami_parser_feed(struct ami_parser *p, const char *data, size_t len, const char **why_r)
{
	bool ok;

	assert(!p->feeding);
	p->feeding = true;
	ok = p->state != PARSER_FAILED && feed_bytes(p, data, len);
	if (!ok) {
		p->state = PARSER_FAILED;
		*why_r = "what answers there is no Asterisk manager interface (no "
			 "\"Asterisk Call Manager\" greeting); check the port";
	}
	p->feeding = false;
	if (p->freed)
		mem_free(p);
	return ok;
}

const char *
ami_get_nth(const struct ami_message *m, const char *key, size_t n)
{
	size_t key_len = strlen(key);

	for (size_t i = 0; i < m->n; i++) {
		const struct ami_line *l = &m->lines[i];
		if (l->key_len == key_len && strncasecmp(l->key, key, key_len) == 0 &&
			n-- == 0)
			return l->value;
	}
	return NULL;
}

const char *
ami_get(const struct ami_message *m, const char *key)
{
	return ami_get_nth(m, key, 0);
}

const char *
ami_get_known(const struct ami_message *m, const char *key)
{
	const char *v = ami_get(m, key);

	if (!v || !*v || strcmp(v, "<unknown>") == 0 || strcmp(v, "<none>") == 0)
		return NULL;
	return v;
}

void
ami_unescape(struct buf *out, const char *value)
{
	const char *bs;

	while ((bs = strchr(value, '\\'))) {
		buf_add(out, value, (size_t)(bs - value));
		switch (bs[1]) {
		case 'a': /* bell and the like are no text */
		case 'b':
		case 'f':
		case 'v': break;
		case 'n': buf_addc(out, '\n'); break;
		case 'r': buf_addc(out, '\r'); break;
		case 't': buf_addc(out, '\t'); break;
		case '\\':
		case '"':
		case '\'':
		case '?': buf_addc(out, bs[1]); break;
		default:
			buf_addc(out, '\\'); /* not ours: it stays as it is */
			value = bs + 1;
			continue;
		}
		value = bs + 2;
	}
	buf_adds(out, value);
}

/* Appends s so that it cannot end the line it stands in. */
static void
add_field(struct buf *out, const char *s, bool is_key)
{
	for (; *s; s++)
		buf_addc(out,
			*s == '\r' || *s == '\n' || (is_key && *s == ':') ? ' ' : *s);
}

void
ami_action_add(struct buf *out, const char *key, const char *value)
{
	add_field(out, key, true);
	buf_adds(out, ": ");
	add_field(out, value ? value : "", false);
	buf_adds(out, "\r\n");
}

void
ami_action_begin(struct buf *out, const char *action, const char *action_id)
{
	ami_action_add(out, "Action", action);
	if (action_id)
		ami_action_add(out, "ActionID", action_id);
}

void
ami_action_end(struct buf *out)
{
	buf_adds(out, "\r\n");
}
