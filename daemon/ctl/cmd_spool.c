/* cmd_spool.c - spool status: of the running daemon, or from the files when it is down.
 *
 * The files are only read; a daemon may be writing them, so a torn end is no damage. */
#include <ctl/cmd.h>

#include <io/spool.h>
#include <mem.h>
#include <str.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SUFFIX	    ".spool"
#define NAME_DIGITS 16

/* ---- Of the daemon ---------------------------------------------------------------- */

static void
add_spool(struct table *t, const char *channel, const json_t *spool)
{
	const char *error = value_text(spool, "error");
	struct buf b = BUF_INIT;
	table_cell(t, channel);
	table_cell_fmt(t, "%" PRId64, value_int(spool, "last"));
	table_cell_fmt(t, "%" PRId64, value_int(spool, "checkpoint"));
	table_cell_fmt(t, "%" PRId64,
		value_int(spool, "last") - value_int(spool, "checkpoint"));
	print_bytes(&b, value_int(spool, "bytes"));
	table_cell(t, buf_str(&b));
	table_cell_fmt(t, "%" PRId64, value_int(spool, "dropped"));
	table_cell_fmt(t, "%" PRId64, value_int(spool, "damaged"));
	table_cell_fmt(t, "%" PRId64, value_int(spool, "not_spooled"));
	table_cell_color(t, error ? COLOR_BAD : COLOR_GOOD, error ? error : "ok");
	buf_fini(&b);
}

/* {"items":[{"channel", "spool"}]}: the part of /v1/status that this is about. */
static void
print_spools_json(const json_t *channels)
{
	json_t *items = json_array();
	for (size_t i = 0; i < json_array_size(channels); i++) {
		const json_t *it = json_array_get(channels, i);
		json_t *spool = value_at(it, "phone.spool");
		if (spool)
			json_array_append_new(
				items, json_pack("{s:s,s:O}", "channel",
					       value_text(it, "name"), "spool", spool));
	}
	json_t *o = json_pack("{s:o,s:n}", "items", items, "next");
	json_dumpf(o, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(o);
}

static void
show_daemon(const struct ctl *ctl, const json_t *o)
{
	const json_t *list = value_at(o, "channels");
	struct table *t =
		table_new(ctl, "CHANNEL|>LAST|>COMMITTED|>TO DO|>ON DISK|>DROPPED|"
			       ">DAMAGED|>NOT KEPT|~STATE");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *it = json_array_get(list, i);
		const json_t *spool = value_at(it, "phone.spool");
		if (spool)
			add_spool(t, value_text(it, "name"), spool);
	}
	table_end(&t, "No phone system is configured.");
}

static int
status_of_daemon(struct ctl *ctl)
{
	struct client_answer a;
	int rc = client_call(ctl, "GET", "/v1/status", NULL, &a);
	if (!rc && ctl->json)
		print_spools_json(value_at(a.json, "channels"));
	else if (!rc)
		show_daemon(ctl, a.json);
	if (rc == CTL_UNREACHABLE)
		fputs("While it is down: interactctl spool status --dir "
		      "STATE_DIR/spool\n",
			stderr);
	client_answer_fini(&a);
	return rc;
}

/* ---- Of the files ----------------------------------------------------------------- */

struct found {
	const char *channel;
	uint64_t first, last, records, missing;
	int64_t bytes;
	unsigned segments, unreadable, damaged_files, overflow_files;
	bool torn;
};

static bool
on_record(void *arg, uint64_t seq, const void *data, size_t len)
{
	struct found *f = arg;
	(void)data;
	(void)len;
	if (f->records && seq > f->last)
		f->missing += seq - f->last - 1;
	if (!f->records)
		f->first = seq;
	f->last = seq;
	f->records++;
	return true;
}

static int
scan_segment(struct found *f, const char *path, uint64_t first_seq)
{
	struct stat st;
	bool torn;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0) {
		if (fd >= 0)
			close(fd);
		return -1;
	}
	f->segments++;
	f->bytes += st.st_size;
	void *bytes = st.st_size ? mmap(NULL, (size_t)st.st_size, PROT_READ,
					   MAP_PRIVATE, fd, 0)
				 : NULL;
	close(fd);
	if (bytes == MAP_FAILED)
		return -1;
	if (bytes) {
		spool_scan(bytes, (size_t)st.st_size, first_seq, on_record, f, &torn);
		f->torn = torn;
		munmap(bytes, (size_t)st.st_size);
	}
	return 0;
}

static bool
segment_seq(const char *name, uint64_t *seq_r)
{
	char *end;
	if (strlen(name) != NAME_DIGITS + strlen(SUFFIX) ||
		strspn(name, "0123456789abcdef") != NAME_DIGITS ||
		!str_eq(name + NAME_DIGITS, SUFFIX))
		return false;
	*seq_r = strtoull(name, &end, 16);
	return true;
}

static int
is_segment(const struct dirent *e)
{
	uint64_t seq;
	return segment_seq(e->d_name, &seq);
}

static int
is_visible(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

static void
free_names(struct dirent **names, int n)
{
	for (int i = 0; i < n; i++)
		free(names[i]); /* scandir's */
	free(names);
}

static unsigned
count_files(const char *dir, const char *sub)
{
	struct dirent **names;
	char *path = xasprintf("%s/%s", dir, sub);
	int n = scandir(path, &names, is_visible, NULL);
	if (n >= 0)
		free_names(names, n);
	xfree(&path);
	return n > 0 ? (unsigned)n : 0;
}

/* False if there are no segments in it. */
static bool
scan_channel(struct found *f, const char *dir)
{
	struct dirent **names;
	uint64_t seq = 0;
	int n = scandir(dir, &names, is_segment, alphasort);
	for (int i = 0; i < n; i++) {
		char *path = xasprintf("%s/%s", dir, names[i]->d_name);
		segment_seq(names[i]->d_name, &seq);
		f->unreadable += scan_segment(f, path, seq) < 0;
		xfree(&path);
	}
	if (n >= 0)
		free_names(names, n);
	f->damaged_files = count_files(dir, "damaged");
	f->overflow_files = count_files(dir, "overflow");
	return n > 0;
}

static json_t *
found_json(const struct found *f)
{
	return json_pack("{s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:i,s:b,s:i,s:i}", "channel",
		f->channel, "segments", (json_int_t)f->segments, "bytes",
		(json_int_t)f->bytes, "records", (json_int_t)f->records, "first",
		(json_int_t)f->first, "last", (json_int_t)f->last, "missing",
		(json_int_t)f->missing, "unreadable", (int)f->unreadable, "torn_end",
		(int)f->torn, "damaged_files", (int)f->damaged_files, "overflow_files",
		(int)f->overflow_files);
}

static void
add_found(struct table *t, const json_t *f)
{
	static const char *const counts[] = {
		"missing", "damaged_files", "overflow_files", "unreadable"};
	struct buf b = BUF_INIT;
	table_cell(t, value_text(f, "channel"));
	table_cell_fmt(t, "%" PRId64, value_int(f, "segments"));
	print_bytes(&b, value_int(f, "bytes"));
	table_cell(t, buf_str(&b));
	table_cell_fmt(t, "%" PRId64, value_int(f, "records"));
	if (value_int(f, "records"))
		table_cell_fmt(t, "%" PRId64 "-%" PRId64, value_int(f, "first"),
			value_int(f, "last"));
	else
		table_cell(t, NULL);
	for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
		char text[24];
		int64_t n = value_int(f, counts[i]);
		snprintf(text, sizeof(text), "%" PRId64, n);
		table_cell_color(t, n ? COLOR_BAD : COLOR_NONE, text);
	}
	buf_fini(&b);
}

/* dir is one channel's, or holds one directory per channel. */
static int
scan_dirs(const char *dir, json_t *items)
{
	struct dirent **names;
	const char *slash = strrchr(dir, '/');
	struct found f = {.channel = slash && slash[1] ? slash + 1 : dir};
	if (scan_channel(&f, dir)) {
		json_array_append_new(items, found_json(&f));
		return 0;
	}
	int n = scandir(dir, &names, is_visible, alphasort);
	for (int i = 0; i < n; i++) {
		char *path = xasprintf("%s/%s", dir, names[i]->d_name);
		f = (struct found){.channel = names[i]->d_name};
		if (scan_channel(&f, path) || f.damaged_files || f.overflow_files)
			json_array_append_new(items, found_json(&f));
		xfree(&path);
	}
	if (n >= 0)
		free_names(names, n);
	return n < 0 ? -1 : 0;
}

static int
status_of_files(struct ctl *ctl, const char *dir)
{
	json_t *items = json_array();
	int rc = scan_dirs(dir, items);
	if (rc < 0) {
		fprintf(stderr, "interactctl: %s: %s\n", dir, strerror(errno));
		rc = errno == ENOENT ? CTL_NOT_FOUND : CTL_REFUSED;
	} else if (ctl->json) {
		json_t *o = json_pack("{s:O,s:n}", "items", items, "next");
		json_dumpf(o, stdout, JSON_COMPACT);
		putchar('\n');
		json_decref(o);
	} else {
		struct table *t = table_new(ctl,
			"CHANNEL|>FILES|>ON DISK|>RECORDS|NUMBERS|>MISSING|>DAMAGED|"
			">SET ASIDE|>UNREADABLE");
		for (size_t i = 0; i < json_array_size(items); i++)
			add_found(t, json_array_get(items, i));
		table_end(&t, "No spool here.");
	}
	json_decref(items);
	return rc;
}

static int
run_spool(struct ctl *ctl, const struct ctl_args *a)
{
	const char *dir = args_get(a, "dir");
	return dir ? status_of_files(ctl, dir) : status_of_daemon(ctl);
}

static const struct ctl_option options[] = {
	{"dir", "DIR",
		"read the files in DIR ([daemon] state_dir, then /spool) instead"},
	{NULL, NULL, NULL},
};

const struct ctl_command cmd_spool_status = {
	.name = "spool status",
	.usage = "[--dir DIR]",
	.group = "Keeping it running",
	.summary = "phone events kept on disk until they are committed",
	.help = "TO DO is what PostgreSQL does not have yet: it grows while the database\n"
		"is away and is replayed in order. DROPPED: the spool was full, the oldest\n"
		"went; NOT KEPT: the disk failed. With --dir the files themselves are\n"
		"read, also while the daemon is down; nothing is changed.\n\n"
		"  interactctl spool status\n"
		"  interactctl spool status --dir /var/lib/interactd/spool\n",
	.options = options,
	.run = run_spool,
};
