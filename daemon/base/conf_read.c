/* conf_read.c - from files to sections, keys and texts, each with its file and line.
 *
 * inih splits "key = value"; it gets its lines from reader_next(), which keeps to
 * itself all that inih would do silently or without a line number: it counts lines per
 * file, follows "include = PATH", reads section headers (inih cuts names at 49 bytes
 * and says nothing of a section without keys), and refuses long lines instead of
 * cutting them. Lines reach inih without leading blanks, so its continuation of a value
 * over several lines can never begin.
 *
 * Invariant: the section in force after an include is the one before it. */
#include "conf_priv.h"

#include <mem.h>
#include <str.h>

#include <ini.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NO_SECTION ((size_t)-1)

struct source {
	struct conf_place at;
	struct buf text;
	size_t pos;
	size_t section_outside; /* comes back in force when this source ends */
};

struct reader {
	struct conf_raw *raw;
	struct source stack[CONF_DEPTH_MAX + 1];
	unsigned depth; /* sources open; the last one is read */
	size_t section; /* index into raw->sections, or NO_SECTION */
	bool failed;
	struct err *err;
};

static struct conf_place
reader_place(const struct reader *r)
{
	return r->stack[r->depth - 1].at;
}

/* Blocking opens and endless files are refused where a regular file is expected; the
 * configuration itself may come through a pipe. */
static int
read_whole(struct buf *out, const char *path, bool regular, size_t max, struct err *why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | (regular ? O_NONBLOCK : 0));
	size_t begin = out->len;
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return err_errno(why, "cannot be opened");
	if (fstat(fd, &st) < 0 || S_ISDIR(st.st_mode) ||
		(regular && !S_ISREG(st.st_mode))) {
		close(fd);
		return err_set(why, "is not a regular file");
	}
	do {
		buf_reserve(out, 4096);
		n = read(fd, out->data + out->len, 4096);
		if (n > 0)
			out->len += (size_t)n;
	} while ((n > 0 && out->len - begin <= max) || (n < 0 && errno == EINTR));
	if (n < 0)
		err_errno(why, "cannot be read");
	else if (out->len - begin > max)
		err_set(why, "is longer than %zu KiB", max >> 10);
	close(fd);
	out->data[out->len] = '\0';
	return n < 0 || out->len - begin > max ? -1 : 0;
}

/* Returns path as seen from the file it is written in; caller frees. */
static char *
path_beside(const char *path, const char *file)
{
	const char *slash = strrchr(file, '/');

	if (*path == '/' || !slash)
		return xstrdup(path);
	return xasprintf("%.*s/%s", (int)(slash - file), file, path);
}

int
conf_read_value(
	struct buf *out, const char *path, struct conf_place at, struct err *why)
{
	char *full = path_beside(path, at.file);
	int rc = read_whole(out, full, true, CONF_VALUE_MAX, why);

	xfree(&full);
	if (rc < 0)
		return -1;
	if (memchr(buf_str(out), '\0', out->len) || !utf8_valid(buf_str(out), out->len))
		return err_set(why, "is not text in UTF-8");
	if (out->len && out->data[out->len - 1] == '\n')
		out->data[--out->len] = '\0';
	if (out->len && out->data[out->len - 1] == '\r')
		out->data[--out->len] = '\0';
	return 0;
}

static const char *
raw_add_file(struct conf_raw *raw, char *name)
{
	raw->files = xrealloc(raw->files, (raw->n_files + 1) * sizeof(*raw->files));
	raw->files[raw->n_files++] = name;
	return name;
}

/* Takes name and text. */
static void
reader_push(struct reader *r, char *name, struct buf text)
{
	bool bom = str_starts(buf_str(&text), "\xef\xbb\xbf");

	r->stack[r->depth++] = (struct source){
		.at = {raw_add_file(r->raw, name), 0},
		.text = text,
		.pos = bom ? 3 : 0,
		.section_outside = r->section,
	};
}

static void
reader_pop(struct reader *r)
{
	struct source *s = &r->stack[--r->depth];

	r->section = s->section_outside;
	buf_fini(&s->text);
}

static int
reader_include(struct reader *r, const char *path)
{
	struct conf_place at = reader_place(r);
	struct buf text = BUF_INIT;
	struct err why;

	if (str_empty(path))
		return conf_fail(r->err, at, "include: the path is missing");
	if (r->depth > CONF_DEPTH_MAX)
		return conf_fail(r->err, at,
			"include = %.*s: files include one another more than %d deep",
			CONF_SHOWN(path, 200), CONF_DEPTH_MAX);
	if (r->raw->n_files >= CONF_FILES_MAX)
		return conf_fail(r->err, at, "include = %.*s: more than %d files",
			CONF_SHOWN(path, 200), CONF_FILES_MAX);
	char *full = path_beside(path, at.file);
	if (read_whole(&text, full, true, CONF_FILE_MAX, &why) < 0) {
		buf_fini(&text);
		xfree(&full);
		return conf_fail(r->err, at, "include = %.*s: %s",
			CONF_SHOWN(path, 200), why.text);
	}
	reader_push(r, full, text);
	return 0;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Cuts blanks off both ends of [s, s + *len_r). */
static const char *
trim(const char *s, size_t *len_r)
{
	size_t len = *len_r;

	while (len && is_blank(s[len - 1]))
		len--;
	while (len && is_blank(*s))
		s++, len--;
	*len_r = len;
	return s;
}

/* Whether nothing but blanks and a comment stands here. */
static bool
is_rest(const char *s)
{
	const char *begin = s;

	while (is_blank(*s))
		s++;
	return !*s || (s > begin && (*s == '#' || *s == ';'));
}

/* Cuts the comment off a value, and the quotes around it; in place. */
static int
reader_unquote(struct reader *r, const char *key, char *value, char **value_r)
{
	*value_r = value;
	if (*value == '"') {
		char *end = strchr(value + 1, '"');
		if (!end)
			return conf_fail(r->err, reader_place(r),
				"%.*s: the quote is not closed", CONF_SHOWN(key, 64));
		if (!is_rest(end + 1))
			return conf_fail(r->err, reader_place(r),
				"%.*s: text after the closing quote",
				CONF_SHOWN(key, 64));
		*end = '\0';
		*value_r = value + 1;
		return 0;
	}
	if (*value == '#' || *value == ';')
		return conf_fail(r->err, reader_place(r),
			"%.*s: a value that begins with \"%c\" must be \"quoted\"",
			CONF_SHOWN(key, 64), *value);
	for (char *c = value; *c; c++) {
		if (is_blank(*c) && is_rest(c)) {
			*c = '\0';
			break;
		}
	}
	return 0;
}

/* inih's callback: the line it was given last, split. */
static int
reader_on_pair(void *arg, const char *section, const char *key, const char *value)
{
	struct reader *r = arg;
	char *copy = xstrdup(value), *clean;

	(void)section;
	r->failed = reader_unquote(r, key, copy, &clean) < 0;
	if (!r->failed) {
		struct conf_raw_section *s = &r->raw->sections[r->section];
		/* Grows at powers of two. */
		if (!(s->n & (s->n - 1)))
			s->entries = xrealloc(s->entries,
				(s->n ? 2 * s->n : 1) * sizeof(*s->entries));
		s->entries[s->n++] = (struct conf_entry){
			.at = reader_place(r),
			.key = xstrdup(key),
			.value = xstrdup(clean),
		};
	}
	xfree(&copy);
	return !r->failed;
}

static int
reader_add_section(struct reader *r, const char *title, size_t kind_len)
{
	struct conf_raw *raw = r->raw;
	size_t i = (size_t)(uintptr_t)map_find(&raw->by_title, title);

	if (i)
		return conf_fail(r->err, reader_place(r),
			"[%.*s]: given twice (first at %s:%d)", CONF_SHOWN(title, 120),
			raw->sections[i - 1].at.file, raw->sections[i - 1].at.line);
	if (!(raw->n & (raw->n - 1)))
		raw->sections = xrealloc(raw->sections,
			(raw->n ? 2 * raw->n : 1) * sizeof(*raw->sections));
	raw->sections[raw->n++] = (struct conf_raw_section){
		.kind = xstrndup(title, kind_len),
		.name = title[kind_len] ? xstrdup(title + kind_len + 1) : NULL,
		.at = reader_place(r),
	};
	r->section = raw->n - 1;
	map_put(&raw->by_title, title, (void *)(uintptr_t)raw->n);
	return 0;
}

/* "[kind]" or "[kind name]", and a comment. */
static int
reader_header(struct reader *r, const char *line)
{
	const char *end = strchr(line, ']');

	if (!end || !is_rest(end + 1))
		return conf_fail(r->err, reader_place(r),
			"a section is written [name], alone on its line");
	size_t len = (size_t)(end - line - 1);
	const char *inner = trim(line + 1, &len);
	size_t kind_len = 0;
	while (kind_len < len && !is_blank(inner[kind_len]))
		kind_len++;
	size_t name_len = len - kind_len;
	const char *name = trim(inner + kind_len, &name_len);
	if (!kind_len)
		return conf_fail(
			r->err, reader_place(r), "[]: the section's name is missing");
	char *title = xasprintf("%.*s%s%.*s", (int)kind_len, inner, name_len ? " " : "",
		(int)name_len, name);
	int rc = reader_add_section(r, title, kind_len);
	xfree(&title);
	return rc;
}

/* The path of an include line, NULL if it is no such line. */
static char *
include_path(char *line)
{
	if (!str_starts(line, "include"))
		return NULL;
	char *c = line + strlen("include");
	while (is_blank(*c))
		c++;
	if (*c++ != '=')
		return NULL;
	while (is_blank(*c))
		c++;
	return c;
}

static int
reader_no_section(struct reader *r, const char *line, size_t key_len)
{
	const char *key = trim(line, &key_len);

	return conf_fail(r->err, reader_place(r),
		"%.*s: a key before the first [section]",
		(int)utf8_cut(key, key_len, 64), key);
}

/* Copies a "key = value" line for inih after all that inih would swallow is refused.
 * The line is not shown: it may be a piece of a secret. */
static int
reader_pair_line(struct reader *r, const char *line, char *dst, size_t cap)
{
	struct conf_place at = reader_place(r);
	size_t key_len = strcspn(line, "=:"), len = strlen(line);

	if (line[key_len] != '=')
		return conf_fail(r->err, at,
			"expected \"key = value\", \"[section]\" or \"include = "
			"PATH\"");
	if (!key_len)
		return conf_fail(r->err, at, "the key before \"=\" is missing");
	if (len > CONF_LINE_MAX || len >= cap)
		return conf_fail(r->err, at,
			"the line is longer than %d bytes (a long value can be put "
			"into a "
			"file: NAME_file = PATH)",
			CONF_LINE_MAX);
	if (r->section == NO_SECTION)
		return reader_no_section(r, line, key_len);
	memcpy(dst, line, len + 1);
	return 0;
}

/* Takes the next line of the source being read into line; false at its end. */
static bool
source_line(struct source *s, struct buf *line)
{
	size_t left = s->text.len - s->pos;

	if (!left)
		return false;
	const char *begin = s->text.data + s->pos;
	const char *newline = memchr(begin, '\n', left);
	size_t len = newline ? (size_t)(newline - begin) : left;
	s->pos += len + (newline != NULL);
	s->at.line++;
	if (len && begin[len - 1] == '\r')
		len--;
	begin = trim(begin, &len);
	buf_clear(line);
	buf_add(line, begin, len);
	return true;
}

static int
reader_check_text(struct reader *r, const struct buf *line)
{
	for (size_t i = 0; i < line->len; i++) {
		unsigned char c = (unsigned char)line->data[i];
		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return conf_fail(r->err, reader_place(r),
				"control character 0x%02x in the line", c);
	}
	if (!utf8_valid(buf_str(line), line->len))
		return conf_fail(
			r->err, reader_place(r), "the line is not valid UTF-8");
	return 0;
}

/* One line that is not blank and no comment; sets *ready_r if inih shall split it. */
static int
reader_line(struct reader *r, struct buf *line, char *dst, size_t cap, bool *ready_r)
{
	char *path, *clean;

	if (reader_check_text(r, line) < 0)
		return -1;
	if (line->data[0] == '[')
		return reader_header(r, line->data);
	path = include_path(line->data);
	if (path) {
		if (reader_unquote(r, "include", path, &clean) < 0)
			return -1;
		return reader_include(r, clean);
	}
	*ready_r = true;
	return reader_pair_line(r, line->data, dst, cap);
}

/* inih's source of lines, as fgets: NULL ends the parsing. */
static char *
reader_next(char *dst, int cap, void *arg)
{
	struct reader *r = arg;
	struct buf line = BUF_INIT;
	bool ready = false;

	while (!r->failed && !ready && r->depth) {
		if (!source_line(&r->stack[r->depth - 1], &line))
			reader_pop(r);
		else if (line.len && line.data[0] != '#' && line.data[0] != ';')
			r->failed = reader_line(r, &line, dst, (size_t)cap, &ready) < 0;
	}
	buf_fini(&line);
	return ready && !r->failed ? dst : NULL;
}

/* Debian's inih has its switches as variables. Set before each use, and in one thread:
 * configuration is read at start and on SIGHUP. */
static int
reader_run(struct reader *r)
{
	ini_allow_multiline = false;
	ini_allow_inline_comments = false;
	ini_allow_no_value = false;
	ini_use_stack = true;
	ini_max_line = CONF_LINE_MAX + 3;
	int rc = ini_parse_stream(reader_next, r, reader_on_pair, r);

	if (!r->failed && rc != 0)
		r->failed =
			err_set(r->err, "%s: inih refuses line %d that it was given",
				r->raw->files[0], rc) < 0;
	while (r->depth)
		reader_pop(r);
	return r->failed ? -1 : 0;
}

int
conf_read(struct conf_raw *raw, const char *name, const char *text, size_t len,
	struct err *e)
{
	struct reader r = {.raw = raw, .section = NO_SECTION, .err = e};
	struct buf whole = BUF_INIT;
	struct err why;

	map_init(&raw->by_title);
	if (text) {
		buf_add(&whole, text, len);
	} else if (read_whole(&whole, name, false, CONF_FILE_MAX, &why) < 0) {
		buf_fini(&whole);
		return err_set(e, "%s:1: the file %s", name, why.text);
	}
	reader_push(&r, xstrdup(name), whole);
	return reader_run(&r);
}

void
conf_raw_fini(struct conf_raw *raw)
{
	for (size_t i = 0; i < raw->n; i++) {
		struct conf_raw_section *s = &raw->sections[i];
		for (size_t k = 0; k < s->n; k++) {
			xfree(&s->entries[k].key);
			xfree(&s->entries[k].value);
		}
		xfree(&s->entries);
		xfree(&s->kind);
		xfree(&s->name);
	}
	xfree(&raw->sections);
	for (size_t i = 0; i < raw->n_files; i++)
		xfree(&raw->files[i]);
	xfree(&raw->files);
	map_fini(&raw->by_title);
}
