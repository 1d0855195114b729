/* cmd_export.c - export: contacts as NDJSON or CSV, or all of one as JSON.
 *
 * Contacts come by id, and each line begins with its own: --resume looks for the last whole
 * line of the file and asks for what comes after it. */
#include <ctl/cmd.h>

#include <clock.h>
#include <mem.h>
#include <str.h>
#include <uuid.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TAIL_BYTES (1024 * 1024) /* a line is much shorter */

struct export
{
	const char *path; /* NULL = stdout */
	FILE *out;
	bool csv, document, bar;
	unsigned long long lines, bytes;
	int64_t total; /* contacts, -1 = not known */
	int64_t began_us, shown_us;
	char after[UUID_TEXT_LEN]; /* "" = from the beginning */
};

static void
show_progress(struct export *e, bool last)
{
	int64_t now = clock_mono_us();
	double s = (double)(now - e->began_us) / 1e6;

	if (!e->bar || (!last && now - e->shown_us < 200000))
		return;
	e->shown_us = now;
	fprintf(stderr, "\r%llu", e->lines);
	if (e->total > 0)
		fprintf(stderr, " of %lld (%d%%)", (long long)e->total,
			(int)(e->lines * 100 / (unsigned long long)e->total));
	fprintf(stderr, "  %.1f MB  %.0f/s\x1b[K%s", (double)e->bytes / 1e6,
		s > 0 ? (double)e->lines / s : 0, last ? "\n" : "");
	fflush(stderr);
}

static bool
on_take(void *arg, const char *data, size_t len)
{
	struct export *e = arg;

	if (fwrite(data, 1, len, e->out) != len) {
		if (!e->path && errno == EPIPE)
			return false;
		fprintf(stderr, "\ninteractctl: cannot write %s: %s\n",
			e->path ? e->path : "stdout", strerror(errno));
		return false;
	}
	e->bytes += len;
	for (const char *s = data, *end = data + len; s < end; s++) {
		s = memchr(s, '\n', (size_t)(end - s));
		if (!s)
			break;
		e->lines++;
	}
	show_progress(e, false);
	return true;
}

/* ---- Going on ----------------------------------------------------------------------- */

/* The id that a record beginning at s has, if one begins there. */
static bool
record_id(const struct export *e, const char *s, size_t len, char id_r[UUID_TEXT_LEN])
{
	static const char before[] = "{\"id\" : \"";
	size_t skip = e->csv ? 0 : sizeof(before) - 1;
	struct uuid id;

	if (len < skip + UUID_TEXT_LEN || (!e->csv && memcmp(s, before, skip) != 0) ||
		(e->csv && s[UUID_TEXT_LEN - 1] != ','))
		return false;
	memcpy(id_r, s + skip, UUID_TEXT_LEN - 1);
	id_r[UUID_TEXT_LEN - 1] = '\0';
	return uuid_parse(id_r, &id);
}

/* The last two records of the text: the last may be cut. Where it begins, or -1. */
static long
last_record(struct export *e, const char *text, size_t len)
{
	char id[UUID_TEXT_LEN];
	long at = -1;

	for (size_t i = len; i-- > 0;) {
		if (i && text[i - 1] != '\n')
			continue;
		if (!record_id(e, text + i, len - i, id))
			continue;
		if (at < 0) {
			at = (long)i;
			continue;
		}
		str_copy(e->after, sizeof(e->after), id);
		return at;
	}
	return -1;
}

/* Cuts the file where it is to go on. */
static int
resume(struct export *e)
{
	int fd = open(e->path, O_RDWR | O_CLOEXEC);
	struct stat st;
	char *text;

	if (fd < 0 || fstat(fd, &st) < 0) {
		fprintf(stderr, "interactctl: %s: %s\n", e->path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return CTL_USAGE;
	}
	off_t from = st.st_size > TAIL_BYTES ? st.st_size - TAIL_BYTES : 0;
	text = xmalloc(TAIL_BYTES);
	ssize_t n = pread(fd, text, TAIL_BYTES, from);
	long at = n > 0 ? last_record(e, text, (size_t)n) : -1;

	if (at < 0) /* hardly begun: from the beginning */
		from = at = 0;
	int rc = ftruncate(fd, from + at) < 0 ? CTL_USAGE : CTL_OK;
	if (rc)
		fprintf(stderr, "interactctl: %s: %s\n", e->path, strerror(errno));
	close(fd);
	xfree(&text);
	return rc;
}

/* ---- What --------------------------------------------------------------------------- */

static int
path_of(struct ctl *ctl, const struct ctl_args *a, struct export *e, struct buf *path)
{
	char id[37];
	int rc = CTL_OK;

	if (args_get(a, "contact")) {
		rc = cmd_contact_id(ctl, args_get(a, "contact"), id);
		buf_adds(path, "/v1/contacts");
		client_path_add(path, id);
		buf_adds(path, "/export");
		return rc;
	}
	if (args_get(a, "segment")) {
		rc = cmd_segment_id(ctl, args_get(a, "segment"), id);
		buf_adds(path, "/v1/segments");
		client_path_add(path, id);
	} else {
		buf_adds(path, "/v1/contacts");
	}
	buf_adds(path, "/export");
	client_query_add(path, "format", e->csv ? "csv" : "ndjson");
	client_query_add(path, "after", e->after[0] ? e->after : NULL);
	return rc;
}

/* For the progress; -1 if it cannot be had. */
static int64_t
count_all(struct ctl *ctl, const struct ctl_args *a)
{
	struct buf path = BUF_INIT;
	struct client_answer answer = {0};
	json_t *body = NULL;
	char id[37];
	int64_t n = -1;

	if (args_get(a, "segment") &&
		!cmd_segment_id(ctl, args_get(a, "segment"), id)) {
		buf_adds(&path, "/v1/segments");
		client_path_add(&path, id);
		buf_adds(&path, "/count");
	} else {
		buf_adds(&path, "/v1/segments/count");
		body = json_pack("{s:{}}", "filter");
	}
	if (!client_call_any(
		    ctl, body ? "POST" : "GET", buf_str(&path), body, &answer) &&
		answer.status == 200)
		n = value_int(answer.json, "count");
	client_answer_fini(&answer);
	json_decref(body);
	buf_fini(&path);
	return n;
}

static int
check_args(const struct ctl_args *a, const struct export *e)
{
	const char *format = args_get(a, "format");

	if (format && !str_eq(format, "csv") && !str_eq(format, "ndjson"))
		return args_wrong("export", "--format is csv or ndjson");
	if (e->document && (format || args_get(a, "segment") || args_has(a, "resume")))
		return args_wrong(
			"export", "--contact stands alone: it is one document");
	if (args_has(a, "resume") && !e->path)
		return args_wrong(
			"export", "--resume needs the --output to go on with");
	return CTL_OK;
}

static int
fetch(struct ctl *ctl, const struct ctl_args *a, struct export *e)
{
	struct client_download to = {.take = on_take, .arg = e};
	struct buf path = BUF_INIT;
	int rc = path_of(ctl, a, e, &path);

	if (!rc) {
		e->out = e->path ? fopen(e->path, args_has(a, "resume") ? "ab" : "wb")
				 : stdout;
		if (!e->out) {
			fprintf(stderr, "interactctl: %s: %s\n", e->path,
				strerror(errno));
			rc = CTL_USAGE;
		}
	}
	if (!rc) {
		e->total = e->bar ? count_all(ctl, a) : -1;
		e->began_us = clock_mono_us();
		rc = client_download(ctl, buf_str(&path), &to);
		show_progress(e, true);
	}
	if (e->out && (e->path ? fclose(e->out) : fflush(stdout)) != 0 && !rc) {
		fprintf(stderr, "interactctl: cannot write %s: %s\n",
			e->path ? e->path : "stdout", strerror(errno));
		rc = CTL_USAGE;
	}
	if (rc == CTL_REFUSED && e->path && e->bytes && !e->document)
		fputs("interactctl: the same again with --resume goes on from there\n",
			stderr);
	buf_fini(&path);
	return rc;
}

static int
run_export(struct ctl *ctl, const struct ctl_args *a)
{
	struct export e = {.path = args_get(a, "output"),
		.csv = str_eq(args_get(a, "format"), "csv"),
		.document = args_get(a, "contact") != NULL};
	int rc = check_args(a, &e);

	if (!rc && args_has(a, "resume"))
		rc = resume(&e);
	e.bar = !e.document && e.path && isatty(STDERR_FILENO);
	return rc ? rc : fetch(ctl, a, &e);
}

static const struct ctl_option export_options[] = {
	{"segment", "SEGMENT", "only whom it finds (name or id)"},
	{"contact", "CONTACT", "everything held on one, as a JSON document"},
	{"format", "ndjson|csv",
		"ndjson loses nothing (default); csv for spreadsheets"},
	{"output", "FILE", "there instead of stdout, with progress"},
	{"resume", NULL, "go on with a file that was cut off"},
	{NULL, NULL, NULL},
};

const struct ctl_command cmd_export = {
	.name = "export",
	.usage = "[--segment SEGMENT|--contact CONTACT] [--output FILE]",
	.group = "People",
	.summary = "contacts to a file, or all that is held on one",
	.help = "What import reads back. A cell of CSV that a spreadsheet would run begins\n"
		"with an apostrophe, which import takes away again; addresses that nobody\n"
		"vouched for, and numbers that are attributes, are kept by ndjson alone.\n"
		"Exit code 1 if it was cut off. Every export is audited.\n\n"
		"  interactctl export --output all.ndjson\n"
		"  interactctl export --segment VIPs --format csv --output vips.csv\n"
		"  interactctl export --contact +8613800138000 --output everything.json\n",
	.options = export_options,
	.max_words = 0,
	.run = run_export,
};
