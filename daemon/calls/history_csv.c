/* history_csv.c - reading comma-separated values, one record at a time.
 *
 * A record ends with a newline outside quotes (CR before it is dropped). One that grows
 * past CSV_RECORD_MAX is refused up to its next newline, inside quotes or not: a quote
 * that nobody closed must not swallow the file. */
#include <calls/history_csv.h>

#include <string.h>

static enum csv_result
refuse(const char **at, const char *end)
{
	const char *newline = memchr(*at, '\n', (size_t)(end - *at));

	if (!newline)
		return CSV_MORE;
	*at = newline + 1;
	return CSV_REFUSED;
}

struct scan {
	struct csv_record *r;
	size_t used;
	bool quoted, begun; /* inside quotes; something of the field was there */
};

static void
field_begin(struct scan *s)
{
	s->r->fields[s->r->n++] = s->r->text + s->used;
	s->begun = false;
}

static void
field_add(struct scan *s, char c)
{
	s->begun = true;
	if (c)
		s->r->text[s->used++] = c;
}

/* The end of a field: a CR before a newline is none of its text. */
static void
field_end(struct scan *s, bool last)
{
	char *start = s->r->text + (s->r->fields[s->r->n - 1] - s->r->text);

	if (last && s->r->text + s->used > start && s->r->text[s->used - 1] == '\r')
		s->used--;
	s->r->text[s->used++] = '\0';
}

enum csv_result
csv_next(const char **at, const char *end, struct csv_record *r)
{
	struct scan s = {.r = r};
	const char *p;

	while (*at < end && (**at == '\n' || **at == '\r'))
		(*at)++;
	r->n = 0;
	field_begin(&s);
	for (p = *at; p < end; p++) {
		if (p - *at >= CSV_RECORD_MAX)
			return refuse(at, end);
		if (s.quoted && *p == '"' && p + 1 == end)
			return CSV_MORE;
		if (s.quoted && *p == '"' && p[1] == '"') {
			field_add(&s, *p++);
		} else if (*p == '"' && (s.quoted || !s.begun)) {
			s.quoted = !s.quoted;
			s.begun = true;
		} else if (s.quoted || (*p != ',' && *p != '\n')) {
			field_add(&s, *p);
		} else if (*p == '\n') {
			field_end(&s, true);
			*at = p + 1;
			return CSV_RECORD;
		} else {
			field_end(&s, false);
			if (r->n == CSV_FIELDS_MAX)
				return refuse(at, end);
			field_begin(&s);
		}
	}
	return CSV_MORE;
}
