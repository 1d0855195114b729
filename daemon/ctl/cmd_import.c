/* cmd_import.c - import: contacts from a file, with a progress bar on a terminal.
 *
 * The daemon reads as fast as it stores, so what has been sent is what is done but for
 * the last few hundred lines. */
#include <ctl/cmd.h>

#include <clock.h>
#include <mem.h>
#include <str.h>
#include <uuid.h>

#include <sodium.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define TOLD_MAX  20 /* rejected lines on stderr */
#define BAR_CELLS 24

struct import {
	const char *path;
	int fd;
	int64_t size, sent; /* bytes; size -1 = not known */
	unsigned long long lines;
	int64_t began_us, shown_us;
	bool bar, csv, dry_run;
	char id[UUID_TEXT_LEN]; /* of this file as it is now; "" = none */
	int64_t after;		/* lines that are stored already */
	struct buf head;	/* to be sent first: the header again */
};

/* ---- Progress --------------------------------------------------------------------- */

static void
show_bar(const struct import *im)
{
	char cells[BAR_CELLS + 1];
	int full = im->size > 0 ? (int)(im->sent * BAR_CELLS / im->size) : 0;

	memset(cells, '.', BAR_CELLS);
	memset(cells, '#', full > BAR_CELLS ? BAR_CELLS : (size_t)full);
	cells[BAR_CELLS] = '\0';
	if (im->size > 0)
		fprintf(stderr, "[%s] %3d%%  ", cells,
			(int)(im->sent * 100 / im->size));
}

static void
show_progress(struct import *im)
{
	int64_t now = clock_mono_us(), took = now - im->began_us;
	double s = (double)took / 1e6;

	if (!im->bar || now - im->shown_us < 200000)
		return;
	im->shown_us = now;
	fputc('\r', stderr);
	show_bar(im);
	fprintf(stderr, "%.1f MB  %llu lines  %.0f/s", (double)im->sent / 1e6,
		im->lines, s > 0 ? (double)im->lines / s : 0);
	if (im->size > 0 && im->sent > 0 && im->sent < im->size) {
		long left =
			(long)(s * (double)(im->size - im->sent) / (double)im->sent);
		fprintf(stderr, "  %ld:%02ld left", left / 60, left % 60);
	} else if (im->sent == im->size) {
		fputs("  storing the last", stderr);
	}
	fputs("\x1b[K", stderr);
	fflush(stderr);
}

static void
on_tick(void *arg)
{
	show_progress(arg);
}

static int
on_fill(void *arg, char *dst, size_t cap)
{
	struct import *im = arg;
	ssize_t n;

	if (im->head.len) {
		n = (ssize_t)(im->head.len < cap ? im->head.len : cap);
		memcpy(dst, im->head.data, (size_t)n);
		buf_drop_front(&im->head, (size_t)n);
		return (int)n;
	}
	do
		n = read(im->fd, dst, cap);
	while (n < 0 && errno == EINTR);
	if (n < 0) {
		fprintf(stderr, "\ninteractctl: cannot read %s: %s\n", im->path,
			strerror(errno));
		return -1;
	}
	im->sent += n;
	for (ssize_t i = 0; i < n; i++)
		im->lines += dst[i] == '\n';
	show_progress(im);
	return (int)n;
}

/* ---- Rejected lines --------------------------------------------------------------- */

/* Copies what stands at the lines first to last (from 1) of the file. Lines are counted
 * as the daemon does: LF, CR LF or CR ends one. */
struct lines {
	FILE *in, *out;
	uint64_t at;
	bool last_cr;
};

static void
copy_lines(struct lines *l, uint64_t first, uint64_t last)
{
	int c;

	while (l->at <= last && (c = getc(l->in)) != EOF) {
		bool second = c == '\n' && l->last_cr;
		if (second ? l->at > first && l->at - 1 <= last : l->at >= first)
			putc(c, l->out);
		l->last_cr = c == '\r';
		if ((c == '\n' || c == '\r') && !second)
			l->at++;
	}
	/* the LF of a CR LF belongs to the line before */
	if (l->last_cr && l->at == last + 1) {
		c = getc(l->in);
		if (c == '\n')
			putc(c, l->out);
		else if (c != EOF)
			ungetc(c, l->in);
		l->last_cr = false;
	}
}

static void
copy_rejected(struct lines *l, const json_t *list)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *one = json_array_get(list, i);
		uint64_t line = (uint64_t)value_int(one, "line");
		copy_lines(l, line, line + (uint64_t)value_int(one, "lines") - 1);
	}
}

/* All of them, page by page, as the daemon keeps them. */
static int
copy_kept(struct ctl *ctl, struct lines *l, const char *id)
{
	long long after = 0;
	int rc = CTL_OK;

	while (!rc && after >= 0) {
		struct client_answer a;
		char path[120];
		snprintf(path, sizeof(path),
			"/v1/contacts/import/%.36s/rejected?after=%lld", id, after);
		rc = client_call(ctl, "GET", path, NULL, &a);
		after = -1;
		if (!rc) {
			const char *next = value_text(a.json, "next");
			copy_rejected(l, value_at(a.json, "items"));
			after = next ? strtoll(next, NULL, 10) : -1;
		}
		client_answer_fini(&a);
	}
	return rc;
}

static int
write_rejected(struct ctl *ctl, const char *path, const char *to, bool csv,
	const json_t *answer)
{
	const char *charset = value_text(answer, "charset");
	const char *id = value_text(answer, "id");
	struct lines l = {.in = fopen(path, "rb"), .at = 1};
	int rc = CTL_OK;

	if (charset && str_starts(charset, "utf-16")) {
		fputs("interactctl: --rejected cannot cut a file in UTF-16\n", stderr);
		rc = CTL_USAGE;
	} else if (!l.in || !(l.out = fopen(to, "wb"))) {
		fprintf(stderr, "interactctl: %s: %s\n", l.in ? to : path,
			strerror(errno));
		rc = CTL_USAGE;
	}
	if (!rc && csv)
		copy_lines(&l, 1, 1);
	if (!rc && id)
		rc = copy_kept(ctl, &l, id);
	else if (!rc)
		copy_rejected(&l, value_at(answer, "rejected_lines"));
	if (l.in)
		fclose(l.in);
	if (l.out && fclose(l.out) != 0 && !rc) {
		fprintf(stderr, "interactctl: %s: %s\n", to, strerror(errno));
		rc = CTL_USAGE;
	}
	return rc;
}

static void
tell_rejected(const json_t *answer)
{
	const json_t *list = value_at(answer, "rejected_lines");
	size_t n = json_array_size(list);
	unsigned long long all = (unsigned long long)value_int(answer, "rejected");

	for (size_t i = 0; i < n && i < TOLD_MAX; i++) {
		const json_t *one = json_array_get(list, i);
		struct buf b = BUF_INIT;
		print_safe(&b, value_text(one, "reason"));
		fprintf(stderr, "line %lld: %s\n", (long long)value_int(one, "line"),
			buf_str(&b));
		buf_fini(&b);
	}
	if (all > TOLD_MAX)
		fprintf(stderr, "… and %llu more%s\n", all - TOLD_MAX,
			all > n ? "; --rejected FILE writes all of them" : "");
}

/* ---- The command ------------------------------------------------------------------ */

static const char *
format_of(const struct ctl_args *a)
{
	static const struct {
		const char *end, *format;
	} ends[] = {{".csv", "csv"}, {".tsv", "csv"}, {".txt", "csv"},
		{".ndjson", "ndjson"}, {".jsonl", "ndjson"}};
	const char *given = args_get(a, "format"), *path = a->words[0];

	if (given)
		return str_eq(given, "csv") || str_eq(given, "ndjson") ? given : NULL;
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		size_t n = strlen(ends[i].end), len = strlen(path);
		if (len > n && str_ieq(path + len - n, ends[i].end))
			return ends[i].format;
	}
	return NULL;
}

/* A file as it is now has one id: so --resume needs none. */
static void
name_file(struct import *im, const struct stat *st)
{
	char text[160];
	struct uuid id;

	snprintf(text, sizeof(text), "%llu %llu %lld %lld.%09ld %d",
		(unsigned long long)st->st_dev, (unsigned long long)st->st_ino,
		(long long)st->st_size, (long long)st->st_mtim.tv_sec,
		(long)st->st_mtim.tv_nsec, im->csv);
	crypto_generichash(
		id.b, sizeof(id.b), (const unsigned char *)text, strlen(text), NULL, 0);
	id.b[6] = (unsigned char)((id.b[6] & 0x0f) | 0x80); /* RFC 9562, version 8 */
	id.b[8] = (unsigned char)((id.b[8] & 0x3f) | 0x80);
	uuid_format(im->id, &id);
}

static int
open_file(struct import *im)
{
	struct stat st;

	im->size = -1;
	im->fd = STDIN_FILENO;
	if (!str_eq(im->path, "-")) {
		im->fd = open(im->path, O_RDONLY | O_CLOEXEC);
		if (im->fd < 0) {
			fprintf(stderr, "interactctl: %s: %s\n", im->path,
				strerror(errno));
			return CTL_USAGE;
		}
	}
	if (fstat(im->fd, &st) == 0 && S_ISREG(st.st_mode) && im->fd != STDIN_FILENO)
		im->size = st.st_size;
	if (im->size >= 0 && !im->dry_run)
		name_file(im, &st);
	return CTL_OK;
}

/* ---- Going on ----------------------------------------------------------------------- */

/* Past `after` lines, as the daemon counts them; the header of a CSV file (with a line
 * "sep=;" before it) is kept to be sent again. */
static int
skip_lines(struct import *im)
{
	FILE *in = fdopen(dup(im->fd), "rb");
	int64_t line = 0, at = 0, head_lines = im->csv ? 1 : 0;
	bool last_cr = false;
	int c;

	while (in && line < im->after && (c = getc(in)) != EOF) {
		bool second = c == '\n' && last_cr;
		if (line < head_lines)
			buf_addc(&im->head, (char)c);
		at++;
		last_cr = c == '\r';
		line += (c == '\n' || c == '\r') && !second;
		if (line == 1 && head_lines == 1 &&
			str_starts(buf_str(&im->head), "sep="))
			head_lines = 2;
	}
	if (in && last_cr && (c = getc(in)) == '\n')
		at++;
	if (in)
		fclose(in);
	if (lseek(im->fd, at, SEEK_SET) < 0 || !in) {
		fprintf(stderr, "interactctl: %s: %s\n", im->path, strerror(errno));
		return CTL_USAGE;
	}
	if (im->head.len && memchr(im->head.data, '\0', im->head.len))
		return args_wrong("import", "--resume cannot cut a file in UTF-16");
	im->size += (int64_t)im->head.len - at;
	return CTL_OK;
}

/* What the daemon says of this file. A client that was killed a moment ago may still have
 * a batch on its way: waited for, some seconds. */
static int
ask_run(struct ctl *ctl, const struct import *im, struct client_answer *a)
{
	static const struct timespec pause = {0, 200 * 1000 * 1000};
	char path[80];

	snprintf(path, sizeof(path), "/v1/contacts/import/%s", im->id);
	for (int left = 50;; left--) {
		int rc = client_call_any(ctl, "GET", path, NULL, a);
		if (rc || a->status != 200 || left == 0 ||
			!str_eq(value_text(a->json, "state"), "running"))
			return rc;
		client_answer_fini(a);
		nanosleep(&pause, NULL);
	}
}

/* Asks how far it came. CTL_OK: to be sent, from there; *done_r: nothing is left. */
static int
find_place(struct ctl *ctl, struct import *im, bool *done_r)
{
	struct client_answer a;
	int rc = ask_run(ctl, im, &a);

	if (!rc && a.status == 200) {
		im->after = value_int(a.json, "line");
		*done_r = str_eq(value_text(a.json, "state"), "done");
		fprintf(stderr,
			*done_r ? "This file was imported whole: %lld lines.\n"
				: "%lld lines are stored already.\n",
			(long long)im->after);
	} else if (!rc && a.status == 404) {
		fputs("Nothing of this file, as it is now, was imported: from the "
		      "beginning.\n",
			stderr);
	} else if (!rc) {
		rc = client_refused(ctl, &a);
	}
	client_answer_fini(&a);
	if (!rc && !*done_r && im->after > 0)
		rc = skip_lines(im);
	return rc;
}

static int
show_counts(const struct ctl *ctl, const json_t *answer)
{
	(void)ctl;
	printf("%s%lld created, %lld updated, %lld unchanged, %lld rejected\n",
		value_flag(answer, "dry_run") ? "nothing stored; would be: " : "",
		(long long)value_int(answer, "created"),
		(long long)value_int(answer, "updated"),
		(long long)value_int(answer, "unchanged"),
		(long long)value_int(answer, "rejected"));
	return value_int(answer, "rejected") ? CTL_REFUSED : CTL_OK;
}

static int
show_result(struct ctl *ctl, const struct ctl_args *a, const char *format,
	const struct client_answer *answer)
{
	const char *to = args_get(a, "rejected");
	int rc = value_int(answer->json, "rejected") ? CTL_REFUSED : CTL_OK,
	    cut = CTL_OK;

	if (ctl->json)
		client_print(answer);
	else
		rc = show_counts(ctl, answer->json);
	fflush(stdout);
	tell_rejected(answer->json);
	if (to)
		cut = write_rejected(
			ctl, a->words[0], to, str_eq(format, "csv"), answer->json);
	return cut ? cut : rc;
}

static int
send_file(struct ctl *ctl, const struct ctl_args *a, const char *format,
	struct import *im)
{
	struct client_answer answer;
	struct buf path = BUF_INIT;
	char after[24];
	struct client_upload up = {
		.type = str_eq(format, "csv") ? "text/csv" : "application/x-ndjson",
		.size = im->size,
		.fill = on_fill,
		.tick = im->bar ? on_tick : NULL,
		.arg = im,
	};

	buf_adds(&path, "/v1/contacts/import");
	client_query_add(&path, "charset", args_get(a, "charset"));
	client_query_add(&path, "dry_run", args_has(a, "dry-run") ? "true" : NULL);
	client_query_add(&path, "events", args_has(a, "no-events") ? "false" : NULL);
	client_query_add(&path, "id", im->id[0] ? im->id : NULL);
	if (im->after) {
		snprintf(after, sizeof(after), "%lld", (long long)im->after);
		client_query_add(&path, "after", after);
	}
	int rc = client_upload(ctl, buf_str(&path), &up, &answer);
	if (im->bar)
		fputs("\r\x1b[K", stderr);
	if (rc && rc != CTL_USAGE && im->id[0] && im->sent > 0)
		fputs("interactctl: the same again with --resume goes on from what is "
		      "stored\n",
			stderr);
	if (!rc)
		rc = show_result(ctl, a, format, &answer);
	client_answer_fini(&answer);
	buf_fini(&path);
	return rc;
}

static int
run_import(struct ctl *ctl, const struct ctl_args *a)
{
	struct import im = {.path = a->words[0], .dry_run = args_has(a, "dry-run")};
	const char *format = format_of(a);
	bool done = false;

	if (!format)
		return args_wrong("import", "give --format csv or --format ndjson");
	if (args_get(a, "rejected") && str_eq(im.path, "-"))
		return args_wrong("import", "--rejected needs a file to cut from");
	if (args_has(a, "resume") && (str_eq(im.path, "-") || im.dry_run))
		return args_wrong("import", "--resume needs the file that was begun");
	im.csv = str_eq(format, "csv");
	int rc = open_file(&im);
	if (!rc && args_has(a, "resume"))
		rc = find_place(ctl, &im, &done);
	if (rc || done)
		return rc;
	im.began_us = clock_mono_us();
	im.bar = isatty(STDERR_FILENO) && !ctl->json;
	rc = send_file(ctl, a, format, &im);
	if (im.fd != STDIN_FILENO)
		close(im.fd);
	buf_fini(&im.head);
	return rc;
}

static const struct ctl_option import_options[] = {
	{"format", "csv|ndjson", "of what has no telling name"},
	{"charset", "NAME", "gb18030, big5, utf-16, … (found out)"},
	{"dry-run", NULL, "say what would be done, do nothing"},
	{"rejected", "FILE", "write all rejected lines there, as they are"},
	{"resume", NULL, "go on with a file whose import was interrupted"},
	{"no-events", NULL, "tell nobody of each contact: faster"},
	{NULL, NULL, NULL},
};

const struct ctl_command cmd_import = {
	.name = "import",
	.usage = "FILE.csv|FILE.ndjson|- [--dry-run]",
	.group = "People",
	.summary = "contacts from a file, new ones and changes",
	.help = "CSV: the first line names the fields: name, phone, email, external (also\n"
		"phone2, email2, …), roles, language, timezone, vip, organisation,\n"
		"attributes.NAME; separated by comma, semicolon or tab; UTF-8, UTF-16 or\n"
		"GB18030. NDJSON: one object per line, as POST /v1/contacts takes it.\n"
		"A line means the contact with its external id (crm:42), else the one that\n"
		"has its number or address, else a new one; empty fields change nothing.\n"
		"A file may be imported again and again. Exit code 1 if lines were rejected:\n"
		"mend them in the --rejected file and import that.\n\n"
		"  interactctl import customers.csv --dry-run\n"
		"  interactctl import customers.csv --rejected mend.csv\n"
		"  interactctl import customers.csv --resume\n"
		"  zcat big.ndjson.gz | interactctl import - --format ndjson\n",
	.options = import_options,
	.min_words = 1,
	.max_words = 1,
	.run = run_import,
};
