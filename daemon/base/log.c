/* log.c - one line per event, written to stderr with one write().
 *
 * A line is built in a buffer on the stack: prefix (journald priority, or time and
 * level), who, text. What goes in passes line_add_escaped(), so that no peer can forge
 * a line or send the operator's terminal a command: control characters (C0, DEL, C1),
 * marks that turn the writing direction, and bytes that are no UTF-8 become visible
 * escapes. One write of less than PIPE_BUF bytes is whole, so threads need no lock. */
#include <log.h>

#include <clock.h>
#include <str.h>

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOG_LINE_MAX 2048 /* with prefix and newline */

static const char *const level_names[] = {"error", "warning", "info", "debug"};
static const char *const level_priorities[] = {"<3>", "<4>", "<6>", "<7>"};

/* The one global: level and hook are set in main() or a test, read everywhere. */
static struct {
	_Atomic int level;
	bool journal;
	log_hook_fn *hook;
	void *hook_arg;
} log_state = {.level = LOG_LVL_INFO};

struct line {
	char text[LOG_LINE_MAX];
	size_t len;
	bool cut;
};

/* systemd names the journal's socket; it is ours only if stderr still is that socket
 * (systemd.exec(5), JOURNAL_STREAM). */
static bool
stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	struct stat st;
	char want[64];

	if (!stream || fstat(STDERR_FILENO, &st) < 0)
		return false;
	snprintf(want, sizeof(want), "%ju:%ju", (uintmax_t)st.st_dev,
		(uintmax_t)st.st_ino);
	return !strcmp(stream, want);
}

void
log_init(enum log_level level)
{
	log_state.journal = stderr_is_journal();
	log_set_level(level);
}

void
log_set_level(enum log_level level)
{
	atomic_store_explicit(&log_state.level, (int)level, memory_order_relaxed);
}

bool
log_wants(enum log_level level)
{
	return (int)level <=
	       atomic_load_explicit(&log_state.level, memory_order_relaxed);
}

int
log_level_parse(const char *name)
{
	for (int i = 0; i <= LOG_LVL_DEBUG; i++)
		if (str_eq(name, level_names[i]))
			return i;
	return -1;
}

void
log_set_hook(log_hook_fn *hook, void *arg)
{
	log_state.hook = hook;
	log_state.hook_arg = arg;
}

/* Keeps room for "..." and the newline; a piece that does not fit ends the line. */
static void
line_add(struct line *l, const char *s, size_t len)
{
	if (l->cut)
		return;
	if (l->len + len > sizeof(l->text) - 5) {
		l->cut = true;
		memcpy(l->text + l->len, "...", 3);
		l->len += 3;
		return;
	}
	memcpy(l->text + l->len, s, len);
	l->len += len;
}

/* Of a sequence of 2 or 3 bytes; nothing longer is dangerous. */
static unsigned
code_point(const unsigned char *u, size_t n)
{
	if (n == 2)
		return (u[0] & 0x1fu) << 6 | (u[1] & 0x3fu);
	if (n == 3)
		return (u[0] & 0x0fu) << 12 | (u[1] & 0x3fu) << 6 | (u[2] & 0x3fu);
	return 0;
}

/* The visible form of the n bytes at s, or NULL if they are harmless. n is 0 where
 * there is no valid character. */
static const char *
escape_of(const char *s, size_t n, char out[16])
{
	const unsigned char *u = (const unsigned char *)s;

	if (n == 1 && u[0] >= 0x20 && u[0] != 0x7f)
		return NULL;
	if (n == 1 && (u[0] == '\n' || u[0] == '\r' || u[0] == '\t'))
		return u[0] == '\n' ? "\\n" : u[0] == '\r' ? "\\r" : "\\t";
	if (n <= 1) {
		snprintf(out, 16, "\\x%02x", u[0]);
		return out;
	}
	unsigned code = code_point(u, n);
	bool control = code >= 0x80 && code < 0xa0;
	bool line_end = code == 0x2028 || code == 0x2029;
	bool turns = (code >= 0x202a && code <= 0x202e) ||
		     (code >= 0x2066 && code <= 0x2069);
	if (!control && !line_end && !turns)
		return NULL;
	snprintf(out, 16, "\\u%04x", code);
	return out;
}

static void
line_add_escaped(struct line *l, const char *s, size_t len)
{
	char out[16];

	for (size_t i = 0, n; i < len && !l->cut; i += n ? n : 1) {
		n = utf8_next(s + i, len - i);
		const char *visible = escape_of(s + i, n, out);
		if (visible)
			line_add(l, visible, strlen(visible));
		else
			line_add(l, s + i, n);
	}
}

static void
line_write(const struct line *l)
{
	size_t done = 0;

	while (done < l->len) {
		ssize_t n = write(STDERR_FILENO, l->text + done, l->len - done);
		if (n < 0 && errno == EINTR)
			continue;
		/* Nobody to tell: a log that cannot be written must not stop calls. */
		if (n <= 0)
			return;
		done += (size_t)n;
	}
}

static void
log_emit(enum log_level level, const char *who, const char *text)
{
	struct line l = {.len = 0};
	char at[CLOCK_RFC3339_LEN];

	if (log_state.journal) {
		line_add(&l, level_priorities[level], 3);
	} else {
		clock_format(at, clock_wall_us());
		line_add(&l, at, strlen(at));
		line_add(&l, " ", 1);
		line_add(&l, level_names[level], strlen(level_names[level]));
		line_add(&l, " ", 1);
	}
	if (who) {
		line_add_escaped(&l, who, strlen(who));
		line_add(&l, ": ", 2);
	}
	size_t begin = l.len;
	line_add_escaped(&l, text, strlen(text));
	l.text[l.len] = '\0';
	if (log_state.hook)
		log_state.hook(level, who, l.text + begin, log_state.hook_arg);
	l.text[l.len++] = '\n';
	line_write(&l);
}

void
log_line(enum log_level level, const char *who, const char *fmt, ...)
{
	char text[LOG_LINE_MAX];
	int saved = errno;
	va_list ap;

	if (!log_wants(level))
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_emit(level, who, text);
	errno = saved;
}

void
log_line_errno(enum log_level level, const char *who, const char *fmt, ...)
{
	char text[LOG_LINE_MAX], cause[128];
	int saved = errno;
	va_list ap;

	if (!log_wants(level))
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	const char *why = strerror_r(saved, cause, sizeof(cause));
	size_t at = strlen(text);
	/* The cause matters more than the end of a long text. */
	if (at + strlen(why) + 3 > sizeof(text) - 256)
		at = utf8_cut(text, at, sizeof(text) - 256 - strlen(why) - 3);
	snprintf(text + at, sizeof(text) - at, ": %s", why);
	log_emit(level, who, text);
	errno = saved;
}

bool
log_once_due(struct log_once *once, unsigned every_s, unsigned long *suppressed_r)
{
	int64_t now = clock_mono_us();

	if (once->last_us && now - once->last_us < (int64_t)every_s * 1000000) {
		once->suppressed++;
		return false;
	}
	if (suppressed_r)
		*suppressed_r = once->suppressed;
	once->suppressed = 0;
	once->last_us = now ? now : 1;
	return true;
}
