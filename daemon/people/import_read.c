/* import_read.c - see import_read.h: text to lines or records. What one row says is
 * import_row.c's. */
#include <people/import_read.h>

#include <people/csv.h>
#include <people/import_row.h>

#include <base/charset.h>
#include <mem.h>
#include <str.h>

#include <string.h>

#define LINE_MAX_BYTES CSV_RECORD_MAX

struct import_reader {
	enum import_format format;
	struct tenant tenant;
	struct charset *charset;
	struct buf text; /* UTF-8, from `at` on not read yet */
	size_t at;
	bool at_end, finished;
	struct csv csv;
	struct import_column columns[CSV_FIELDS_MAX];
	size_t n_columns;
	bool has_header;
	uint64_t after; /* lines left out; of CSV `shift` of them are to be added */
	int64_t shift;
	char refusal[200];
	/* NDJSON */
	struct buf line; /* begun in an earlier text */
	uint64_t line_no;
	bool too_long;
};

struct import_reader *
import_reader_new(enum import_format format, const char *charset, uint64_t after,
	const struct tenant *tenant, struct err *err)
{
	struct charset *c = charset_new(charset);
	struct import_reader *r;

	if (!c) {
		err_set(err, "charset: one of %s", charset_names);
		return NULL;
	}
	r = xcalloc(1, sizeof(*r));
	r->format = format;
	r->tenant = *tenant;
	r->charset = c;
	r->after = after;
	r->line_no = format == IMPORT_NDJSON ? after + 1 : 1;
	csv_init(&r->csv);
	return r;
}

void
import_reader_free(struct import_reader **rp)
{
	struct import_reader *r = *rp;

	if (!r)
		return;
	charset_free(&r->charset);
	csv_fini(&r->csv);
	buf_fini(&r->text);
	buf_fini(&r->line);
	for (size_t i = 0; i < r->n_columns; i++)
		xfree(&r->columns[i].name);
	xfree(rp);
}

void
import_rows_fini(struct import_rows *rows)
{
	for (size_t i = 0; i < rows->n; i++) {
		xfree(&rows->rows[i].json);
		xfree(&rows->rows[i].why);
	}
	xfree(&rows->rows);
	memset(rows, 0, sizeof(*rows));
}

static struct import_row *
add_row(struct import_rows *rows, uint64_t line, unsigned lines)
{
	if (rows->n == rows->cap) {
		rows->cap = rows->cap ? rows->cap * 2 : 64;
		rows->rows = xrealloc(rows->rows, rows->cap * sizeof(*rows->rows));
	}
	struct import_row *row = &rows->rows[rows->n++];
	*row = (struct import_row){.line = line, .lines = lines};
	if (line + lines - 1 > rows->end_line)
		rows->end_line = line + lines - 1;
	return row;
}

void
import_rows_reject(
	struct import_rows *rows, uint64_t line, unsigned lines, const char *why)
{
	add_row(rows, line, lines)->why = xstrdup(why);
}

void
import_reader_feed(struct import_reader *r, const char *data, size_t len, bool at_end)
{
	buf_drop_front(&r->text, r->at);
	r->at = 0;
	charset_feed(r->charset, data, len, &r->text);
	if (at_end)
		charset_end(r->charset, &r->text);
	r->at_end = at_end;
}

bool
import_reader_is_empty(const struct import_reader *r)
{
	return r->refusal[0] || (r->at == r->text.len && (!r->at_end || r->finished));
}

const char *
import_reader_refusal(const struct import_reader *r)
{
	return r->refusal[0] ? r->refusal : NULL;
}

const char *
import_reader_column(const struct import_reader *r, size_t i)
{
	return i < r->n_columns ? r->columns[i].name : NULL;
}

const char *
import_reader_charset(const struct import_reader *r)
{
	return charset_found(r->charset);
}

/* The object that a line gives, checked. Takes body. */
static void
add_checked(struct import_reader *r, struct import_rows *rows, uint64_t line,
	unsigned lines, json_t *body, const char *why)
{
	struct import_row *row = add_row(rows, line, lines);
	char text[200];

	if (!why && !import_row_make(body, &r->tenant, &row->json, text))
		why = text;
	if (row->json)
		rows->bytes += strlen(row->json);
	else
		row->why = xstrdup(why);
	json_decref(body);
}

/* ---- CSV -------------------------------------------------------------------------- */

static void
read_header(struct import_reader *r, enum csv_event ev)
{
	struct csv *c = &r->csv;

	r->has_header = true;
	if (r->after)
		r->shift = (int64_t)r->after - (int64_t)(c->line + c->lines - 1);
	if (ev == CSV_BAD) {
		snprintf(r->refusal, sizeof(r->refusal), "line %u: %s",
			(unsigned)c->line, c->why);
		return;
	}
	for (size_t i = 0; i < c->n && !r->refusal[0]; i++) {
		if (!utf8_valid(csv_field(c, i), strlen(csv_field(c, i))))
			str_copy(r->refusal, sizeof(r->refusal),
				"the header is no UTF-8; give ?charset=");
		else if (import_column_parse(&r->columns[i], csv_field(c, i),
				 r->refusal, sizeof(r->refusal)))
			r->n_columns = i + 1;
	}
	for (size_t i = 0; i < r->n_columns; i++)
		for (size_t k = 0; k < i; k++)
			if (str_eq(r->columns[i].name, r->columns[k].name))
				snprintf(r->refusal, sizeof(r->refusal),
					"column %.64s comes twice", r->columns[i].name);
}

static void
read_record(struct import_reader *r, struct import_rows *rows, enum csv_event ev)
{
	struct csv *c = &r->csv;
	const char *why = ev == CSV_BAD ? c->why : NULL;
	json_t *body = json_object();
	char text[200];

	if (!why && c->n > r->n_columns)
		why = "more fields than the header has";
	for (size_t i = 0; i < c->n && !why; i++)
		if (!import_column_put(
			    &r->columns[i], csv_field(c, i), body, text, sizeof(text)))
			why = text;
	if (why || json_object_size(body))
		add_checked(r, rows, (uint64_t)((int64_t)c->line + r->shift), c->lines,
			body, why);
	else /* separators only */
		json_decref(body);
}

static void
on_csv(struct import_reader *r, struct import_rows *rows, enum csv_event ev)
{
	if (ev == CSV_MORE)
		return;
	if (!r->has_header)
		read_header(r, ev);
	else
		read_record(r, rows, ev);
}

static void
next_csv(struct import_reader *r, struct import_rows *rows)
{
	enum csv_event ev = CSV_MORE;

	if (r->at < r->text.len) {
		r->at += csv_feed(
			&r->csv, r->text.data + r->at, r->text.len - r->at, &ev);
	} else if (r->at_end) {
		ev = csv_end(&r->csv);
		r->finished = true;
		if (ev == CSV_MORE && !r->has_header)
			str_copy(r->refusal, sizeof(r->refusal), "the file is empty");
	}
	on_csv(r, rows, ev);
}

/* ---- NDJSON ----------------------------------------------------------------------- */

static void
read_line(struct import_reader *r, struct import_rows *rows, const char *s, size_t len)
{
	uint64_t line = r->line_no++;
	json_error_t why;
	char text[200];
	json_t *body;

	while (len && strchr(" \t\r\n", s[len - 1]))
		len--;
	if (r->too_long || len > LINE_MAX_BYTES) {
		r->too_long = false;
		import_rows_reject(rows, line, 1, "longer than 64 KiB");
		return;
	}
	if (!len)
		return;
	body = json_loadb(s, len, JSON_REJECT_DUPLICATES, &why);
	if (body) {
		add_checked(r, rows, line, 1, body,
			json_is_object(body) ? NULL : "the line is no JSON object");
		return;
	}
	/* not what the line says there: the reason is kept, and may be read, for 30 days */
	char *quoted = strstr(why.text, " near '");
	if (quoted)
		*quoted = '\0';
	snprintf(text, sizeof(text), "no valid JSON: at character %d: %.150s",
		why.column, why.text);
	import_rows_reject(rows, line, 1, text);
}

static void
next_line(struct import_reader *r, struct import_rows *rows)
{
	const char *s = buf_str(&r->text) + r->at;
	size_t left = r->text.len - r->at;
	const char *end = memchr(s, '\n', left);
	size_t n = end ? (size_t)(end - s) + 1 : left;

	r->at += n;
	if (!r->line.len && end) {
		read_line(r, rows, s, n);
		return;
	}
	r->too_long |= r->line.len + n > LINE_MAX_BYTES + 2;
	if (r->too_long)
		buf_clear(&r->line);
	else
		buf_add(&r->line, s, n);
	if (!end && !(r->at_end && r->at == r->text.len))
		return;
	r->finished = r->at_end && r->at == r->text.len;
	if (r->line.len || r->too_long)
		read_line(r, rows, buf_str(&r->line), r->line.len);
	buf_clear(&r->line);
}

void
import_reader_next(
	struct import_reader *r, struct import_rows *rows, size_t max, size_t max_bytes)
{
	while (!import_reader_is_empty(r) && rows->n < max && rows->bytes < max_bytes)
		if (r->format == IMPORT_CSV)
			next_csv(r, rows);
		else
			next_line(r, rows);
}
