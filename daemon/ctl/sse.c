/* sse.c - see sse.h. Lines end with LF, CR or CRLF, wherever the pieces are cut; only the
 * data of events is of interest here, and an event without data is none. NUL is dropped:
 * JSON holds none, and the data is handed on as a string. */
#include <ctl/sse.h>

#include <str.h>

#include <string.h>

static bool
dispatch(struct sse *s, sse_event_fn *fn, void *arg)
{
	bool more = !s->has_data || fn(arg, buf_str(&s->data), s->data.len);
	s->has_data = false;
	buf_clear(&s->data);
	return more;
}

/* "data:x", "data: x" or "data" alone; other fields and comments are passed over. */
static void
take_field(struct sse *s)
{
	const char *line = buf_str(&s->line);
	size_t n = strlen("data");
	if (strncmp(line, "data", n) != 0 || (line[n] != ':' && line[n] != '\0'))
		return;
	if (s->has_data)
		buf_addc(&s->data, '\n');
	line += n + (line[n] == ':');
	buf_adds(&s->data, line + (*line == ' '));
	s->has_data = true;
}

static bool
end_line(struct sse *s, sse_event_fn *fn, void *arg)
{
	bool more = true;
	if (s->line.len == 0)
		more = dispatch(s, fn, arg);
	else
		take_field(s);
	buf_clear(&s->line);
	return more;
}

enum sse_result
sse_feed(struct sse *s, const char *bytes, size_t len, sse_event_fn *fn, void *arg)
{
	for (size_t i = 0; i < len; i++) {
		char c = bytes[i];
		bool second = c == '\n' && s->after_cr;
		s->after_cr = c == '\r';
		if (second || c == '\0')
			continue;
		if (c != '\n' && c != '\r') {
			if (s->line.len + s->data.len >= SSE_EVENT_MAX)
				return SSE_TOO_LONG;
			buf_addc(&s->line, c);
		} else if (!end_line(s, fn, arg)) {
			return SSE_ENDED;
		}
	}
	return SSE_MORE;
}

void
sse_clear(struct sse *s)
{
	buf_clear(&s->line);
	buf_clear(&s->data);
	s->has_data = s->after_cr = false;
}

void
sse_fini(struct sse *s)
{
	buf_fini(&s->line);
	buf_fini(&s->data);
}
