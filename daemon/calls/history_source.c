/* history_source.c - the records of a period, out of a file or a table.
 *
 * A file is in the order of time, or nearly: from its end we step back by STEP until a
 * record is old enough, and read on from there. A step may land inside a quoted field, so
 * a line counts only if it is a record that the format can date. What began before the
 * file did may be in the one that was rotated away, PATH.1, which is read first then. */
#include <calls/history_source.h>

#include <calls/event_codec.h>
#include <calls/history_csv.h>
#include <clock.h>
#include <io/pg.h>
#include <jansson.h>
#include <mem.h>
#include <str.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define STEP	   (1024 * 1024)
#define EVENTS_MAX (512u * 1024 * 1024)
#define ROWS_TEXT  "500001"
#define TRIES	   64 /* lines from a place on, to find one that is a record */

struct reading {
	struct history_job *job;
	void *state;
	int order[HISTORY_COLUMNS_MAX];
	struct csv_record *record;
	const char *values[HISTORY_COLUMNS_MAX];
	struct buf clean[HISTORY_COLUMNS_MAX]; /* values that were not valid UTF-8 */
};

void
history_job_free(void *arg)
{
	struct history_job *job = arg;

	mem_free(job->path);
	mem_free(job->conninfo);
	mem_free(job->table);
	for (size_t i = 0; i < job->n_column_names; i++)
		mem_free(job->column_names[i]);
	mem_free(job->column_names);
	buf_fini(&job->events);
	mem_free(job);
}

/* ---- Columns ------------------------------------------------------------------------- */

bool
history_name_is(const char *names, const char *name)
{
	size_t len = strlen(name);

	while (len) {
		size_t n = strcspn(names, "|");
		if (n == len && strncasecmp(names, name, n) == 0)
			return true;
		if (!names[n])
			break;
		names += n + 1;
	}
	return false;
}

size_t
history_order(const struct channel_history *format, const char *const *names, size_t n,
	int order[HISTORY_COLUMNS_MAX])
{
	size_t found = 0;

	for (size_t i = 0; i < HISTORY_COLUMNS_MAX; i++)
		order[i] = -1;
	for (size_t i = 0; format->columns[i] && i < HISTORY_COLUMNS_MAX; i++)
		for (size_t k = 0; k < n && order[i] < 0; k++)
			if (history_name_is(format->columns[i], names[k])) {
				order[i] = (int)k;
				found++;
			}
	return found;
}

static void
usual_order(struct reading *rd)
{
	const struct history_job *job = rd->job;
	const char *const *names = job->format->csv_order;
	size_t n = 0;

	while (names[n])
		n++;
	if (job->n_column_names)
		history_order(job->format,
			(const char *const *)(const void *)job->column_names,
			job->n_column_names, rd->order);
	else
		history_order(job->format, names, n, rd->order);
}

/* A first line that names columns. */
static void
take_header(struct reading *rd, FILE *f)
{
	char line[4096];
	size_t n = fread(line, 1, sizeof(line), f);
	const char *at = line;
	int order[HISTORY_COLUMNS_MAX];

	rewind(f);
	if (rd->job->n_column_names ||
		csv_next(&at, line + n, rd->record) != CSV_RECORD)
		return;
	if (history_order(rd->job->format, rd->record->fields, rd->record->n, order) >=
		3)
		memcpy(rd->order, order, sizeof(order));
}

static void
take_value(struct reading *rd, size_t i, const char *text)
{
	size_t len = strlen(text);

	if (!utf8_valid(text, len)) {
		buf_clear(&rd->clean[i]);
		utf8_clean(&rd->clean[i], text, len);
		text = buf_str(&rd->clean[i]);
	}
	rd->values[i] = text;
}

static void
take_record(struct reading *rd)
{
	for (size_t i = 0; i < HISTORY_COLUMNS_MAX; i++) {
		bool there = rd->order[i] >= 0 && (size_t)rd->order[i] < rd->record->n;
		take_value(rd, i, there ? rd->record->fields[rd->order[i]] : "");
	}
}

/* The record in rd->values, if it is of the time we want. False: enough. */
static bool
use_values(struct reading *rd)
{
	struct history_job *job = rd->job;
	int64_t near_us;

	if (!job->format->near(rd->values, &near_us)) {
		job->refused++;
		return true;
	}
	if (near_us < job->from_us - HISTORY_BEFORE_US)
		return true;
	if (near_us > job->until_us + HISTORY_AFTER_US)
		return false;
	if (job->records == HISTORY_RECORDS_MAX) {
		err_set(&job->err, "more than %d records for one gap",
			HISTORY_RECORDS_MAX);
		return false;
	}
	if (job->format->add(rd->state, rd->values))
		job->records++;
	else
		job->refused++;
	return true;
}

/* ---- Files --------------------------------------------------------------------------- */

/* The time of the first record at or after a line's end from pos on; 0 = none seen. */
static int64_t
time_at(struct reading *rd, FILE *f, int64_t pos, char *block)
{
	const char *at = block, *end;
	int64_t us;
	size_t n;

	if (fseeko(f, pos, SEEK_SET) < 0 || !(n = fread(block, 1, STEP, f)))
		return 0;
	end = block + n;
	for (int tries = 0; tries < TRIES; tries++) {
		const char *line;
		if (pos || tries) {
			at = memchr(at, '\n', (size_t)(end - at));
			if (!at++)
				return 0;
		}
		line = at;
		if (csv_next(&line, end, rd->record) != CSV_RECORD)
			continue;
		take_record(rd);
		if (rd->job->format->near(rd->values, &us))
			return us;
	}
	return 0;
}

/* Where to begin, so that what is before is older than we want. */
static int64_t
find_start(struct reading *rd, FILE *f, int64_t size)
{
	char *block = xmalloc(STEP);
	int64_t pos = size, least = size - HISTORY_BYTES_MAX, us = 0;

	do {
		pos = pos > STEP ? pos - STEP : 0;
		us = time_at(rd, f, pos, block);
	} while (pos > 0 && pos > least &&
		 (!us || us >= rd->job->from_us - HISTORY_BEFORE_US));
	mem_free(block);
	return pos;
}

/* What of it is whole; what is left is moved to the front. False: enough. */
static bool
use_block(struct reading *rd, struct buf *b, bool *skip)
{
	const char *at = b->data, *end = b->data + b->len;
	enum csv_result result = CSV_RECORD;
	bool more = true;

	if (*skip) { /* the line that we began in the middle of */
		at = memchr(at, '\n', b->len);
		*skip = !at;
		at = at ? at + 1 : end;
	}
	while (more && at < end &&
		(result = csv_next(&at, end, rd->record)) != CSV_MORE) {
		if (result == CSV_REFUSED) {
			rd->job->refused++;
			continue;
		}
		take_record(rd);
		more = use_values(rd);
	}
	buf_drop_front(b, (size_t)(at - b->data));
	if (b->len > CSV_RECORD_MAX * 2) { /* one line without an end */
		rd->job->refused++;
		buf_clear(b);
		*skip = true;
	}
	return more;
}

static void
read_from(struct reading *rd, FILE *f, int64_t pos)
{
	struct buf b = BUF_INIT;
	char *block = xmalloc(STEP);
	bool skip = pos > 0;
	size_t n;

	if (fseeko(f, pos, SEEK_SET) == 0)
		while ((n = fread(block, 1, STEP, f)) > 0) {
			buf_add(&b, block, n);
			if (!use_block(rd, &b, &skip))
				break;
		}
	if (ferror(f))
		err_errno(&rd->job->err, "cannot read %s", rd->job->path);
	mem_free(block);
	buf_fini(&b);
}

/* The time of a file's first record; 0 = it has none. */
static int64_t
file_begins(struct reading *rd, FILE *f)
{
	char *block = xmalloc(STEP);
	int64_t us = time_at(rd, f, 0, block);

	mem_free(block);
	return us;
}

static void
use_file(struct reading *rd, FILE *f)
{
	int64_t size = fseeko(f, 0, SEEK_END) == 0 ? ftello(f) : 0;

	read_from(rd, f, size > STEP ? find_start(rd, f, size) : 0);
}

/* A pipe without a writer would hold the thread, and the daemon's end, for ever. */
static FILE *
open_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	FILE *f = NULL;

	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		f = fdopen(fd, "r");
	else
		errno = EINVAL;
	if (!f)
		close(fd);
	return f;
}

/* False: there is none. */
static bool
read_rotated(struct reading *rd)
{
	char *path = xasprintf("%s.1", rd->job->path);
	FILE *f = open_file(path);

	mem_free(path);
	if (!f)
		return false;
	use_file(rd, f);
	fclose(f);
	return true;
}

static void
cannot_read(struct history_job *job, int why)
{
	if (why == EINVAL)
		err_set(&job->err, "history = %s is no file", job->path);
	else
		err_set(&job->err, "cannot read history = %s: %s", job->path,
			strerror(why));
}

static void
read_file(struct reading *rd)
{
	struct history_job *job = rd->job;
	FILE *f = open_file(job->path);
	int why = errno;
	int64_t begins;

	usual_order(rd);
	if (!f) { /* rotated away a moment ago, and nothing written since? */
		if (why != ENOENT || !read_rotated(rd))
			cannot_read(job, why);
		return;
	}
	take_header(rd, f);
	begins = file_begins(rd, f);
	if (!begins || begins > job->from_us - HISTORY_BEFORE_US)
		read_rotated(rd);
	use_file(rd, f);
	fclose(f);
	if (!job->err.text[0] && !job->records && job->refused)
		err_set(&job->err,
			"%s has no readable %s records (%zu others): is history_format "
			"right, and history_columns?",
			job->path, job->format->format, job->refused);
}

/* ---- Tables -------------------------------------------------------------------------- */

struct table {
	char name[200], column[80], type[80];
	const struct channel_history *format;
};

/* name, column and type of each column of the table: the one with the times is kept. */
static void
on_column(void *arg, int n, char *const *cols)
{
	struct table *t = arg;

	if (n < 3 || !cols[0] || !cols[1] || !cols[2])
		return;
	str_copy(t->name, sizeof(t->name), cols[0]);
	if (t->column[0] || !history_name_is(t->format->time_column, cols[1]))
		return;
	str_copy(t->column, sizeof(t->column), cols[1]);
	str_copy(t->type, sizeof(t->type), cols[2]);
}

static void
on_row(void *arg, int n, char *const *cols)
{
	struct reading *rd = arg;
	struct history_job *job = rd->job;
	json_t *row = n && cols[0] ? json_loads(cols[0], 0, NULL) : NULL;
	char numbers[HISTORY_COLUMNS_MAX][32];
	const char *key;
	json_t *value;

	for (size_t i = 0; i < HISTORY_COLUMNS_MAX; i++)
		rd->values[i] = "";
	json_object_foreach(row, key, value) for (size_t i = 0; job->format->columns[i];
						  i++)
	{
		if (*rd->values[i] || !history_name_is(job->format->columns[i], key))
			continue;
		if (json_is_integer(value)) {
			snprintf(numbers[i], sizeof(numbers[i]),
				"%" JSON_INTEGER_FORMAT, json_integer_value(value));
			rd->values[i] = numbers[i];
		} else if (json_is_string(value)) {
			rd->values[i] = json_string_value(value);
		}
	}
	if (!job->err.text[0])
		use_values(rd);
	json_decref(row);
}

/* The table's own name for itself is an identifier with its quotes, safe in SQL. */
static int
find_table(struct pg_sync *pg, struct table *t, const char *name, struct err *err)
{
	const char *params[] = {name};
	const char *all = t->format->time_column;

	/* in the order of preference */
	while (*all) {
		char word[40];
		size_t n = strcspn(all, "|");
		str_copy(word, n + 1 < sizeof(word) ? n + 1 : sizeof(word), all);
		const char *two[] = {params[0], word};
		if (pg_sync_query(pg,
			    "SELECT $1::regclass::text, quote_ident(a.attname), "
			    "format_type(a.atttypid, NULL) FROM pg_attribute a "
			    "WHERE a.attrelid = $1::regclass AND a.attname = $2",
			    2, two, on_column, t, err) < 0)
			return -1;
		if (t->column[0])
			return 0;
		all += n + (all[n] == '|');
	}
	return err_set(err, "history_table = %s has no column %s", name,
		t->format->time_column);
}

/* Without a zone it is some local time: a day more at either end, as no zone is farther. */
static void
bound(char *dst, size_t cap, int64_t us, const char *type, int sign)
{
	bool zoned = strstr(type, "with time zone") && !strstr(type, "without");
	char text[CLOCK_RFC3339_LEN];

	if (!zoned)
		us += sign * 14 * 3600 * INT64_C(1000000);
	clock_format(text, us);
	str_copy(dst, cap, text);
	if (!zoned)
		dst[strcspn(dst, "Z")] = '\0';
}

static void
read_rows(struct reading *rd, struct pg_sync *pg, const struct table *t)
{
	struct history_job *job = rd->job;
	char from[40], until[40];
	const char *params[] = {from, until};
	char *sql = xasprintf(
		"SELECT row_to_json(t)::text FROM %s t WHERE t.%s >= $1::text::%s "
		"AND t.%s <= $2::text::%s ORDER BY t.%s LIMIT " ROWS_TEXT,
		t->name, t->column, t->type, t->column, t->type, t->column);

	bound(from, sizeof(from), job->from_us - HISTORY_BEFORE_US, t->type, -1);
	bound(until, sizeof(until), job->until_us + HISTORY_AFTER_US, t->type, 1);
	if (pg_sync_exec(pg, "SET statement_timeout TO '60s'", &job->err) < 0 ||
		pg_sync_query(pg, sql, 2, params, on_row, rd, &job->err) < 0)
		job->records = 0;
	mem_free(sql);
}

static void
read_table(struct reading *rd)
{
	struct history_job *job = rd->job;
	struct table t = {.format = job->format};
	struct pg_sync *pg = pg_sync_open(job->conninfo, &job->err);

	if (!pg)
		return;
	if (find_table(pg, &t, job->table, &job->err) == 0)
		read_rows(rd, pg, &t);
	pg_sync_close(&pg);
}

/* ---- The job ------------------------------------------------------------------------- */

static void
on_event(void *arg, const struct call_event *ev)
{
	struct history_job *job = arg;
	size_t at = job->events.len;
	uint32_t len = 0;

	if (job->events.len > EVENTS_MAX) {
		err_set(&job->err, "too many events for one gap");
		return;
	}
	buf_add(&job->events, &len, sizeof(len));
	call_event_encode(&job->events, ev);
	len = (uint32_t)(job->events.len - at - sizeof(len));
	memcpy(job->events.data + at, &len, sizeof(len));
}

void
history_job_run(void *arg)
{
	struct history_job *job = arg;
	struct reading rd = {.job = job};

	job->err.text[0] = '\0';
	rd.state = job->format->begin();
	rd.record = xcalloc(1, sizeof(*rd.record));
	if (job->path)
		read_file(&rd);
	else
		read_table(&rd);
	if (!job->err.text[0])
		job->format->emit(rd.state, on_event, job);
	job->format->end(rd.state);
	for (size_t i = 0; i < HISTORY_COLUMNS_MAX; i++)
		buf_fini(&rd.clean[i]);
	mem_free(rd.record);
}

bool
history_job_next(const struct history_job *job, size_t *offset, struct call_event *ev,
	struct call_var *vars)
{
	uint32_t len;

	while (*offset + sizeof(len) <= job->events.len) {
		memcpy(&len, job->events.data + *offset, sizeof(len));
		const char *data = job->events.data + *offset + sizeof(len);
		*offset += sizeof(len) + len;
		if (call_event_decode(data, len, ev, vars) == 0)
			return true;
	}
	return false;
}
