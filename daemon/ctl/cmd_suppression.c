/* cmd_suppression.c - suppression list, add, remove, import: addresses that nobody may
 * write to or call. */
#include <ctl/cmd.h>

#include <clock.h>
#include <str.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define GROUP	 "People"
#define TOLD_MAX 20 /* rejected lines on stderr */

/* ---- list --------------------------------------------------------------------------- */

static void
add_item(struct table *t, const json_t *it)
{
	struct buf b = BUF_INIT;

	if (json_is_object(value_at(it, "identity")))
		cmd_identity(&b, value_at(it, "identity"));
	else
		buf_printf(&b, "%s:(erased)", value_text(it, "kind"));
	table_cell(t, buf_str(&b));
	table_cell(t, value_text(it, "reason"));
	table_cell(t, value_text(it, "list"));
	table_cell(t, value_text(it, "source"));
	table_cell_time(t, value_text(it, "at"));
	buf_fini(&b);
}

static int
show_items(const struct ctl *ctl, const json_t *o)
{
	const json_t *items = value_at(o, "items");
	struct table *t = table_new(ctl, "~ADDRESS|REASON|LIST|~SOURCE|AT");

	for (size_t i = 0; i < json_array_size(items); i++)
		add_item(t, json_array_get(items, i));
	table_end(&t, "Nothing is suppressed.");
	cmd_more(o, "--cursor");
	return CTL_OK;
}

static int
show_lists(const struct ctl *ctl, const json_t *o)
{
	const json_t *items = value_at(o, "items");
	struct table *t = table_new(ctl, "LIST|>ADDRESSES|~SOURCE|IMPORTED|STATE");

	for (size_t i = 0; i < json_array_size(items); i++) {
		const json_t *it = json_array_get(items, i);
		table_cell(t, value_text(it, "name"));
		table_cell_fmt(t, "%lld", (long long)value_int(it, "rows"));
		table_cell(t, value_text(it, "source"));
		table_cell_time(t, value_text(it, "replaced_at"));
		table_cell(t, value_flag(it, "importing") ? "importing" : "");
	}
	table_end(&t, "There are no lists.");
	return CTL_OK;
}

/* ?identity= from "phone:…", a bare number or an e-mail address. */
static void
add_identity(struct buf *path, const char *what)
{
	struct buf b = BUF_INIT;

	if (!strchr(what, ':'))
		buf_adds(&b, strchr(what, '@') ? "email:" : "phone:");
	buf_adds(&b, what);
	client_query_add(path, "identity", buf_str(&b));
	buf_fini(&b);
}

static int
run_list(struct ctl *ctl, const struct ctl_args *a)
{
	static const char *const options[] = {"reason", "list", "limit", "cursor"};
	struct buf path = BUF_INIT;
	int rc;

	if (args_has(a, "lists"))
		return cmd_run(ctl, "GET", "/v1/suppressions/lists", NULL, show_lists);
	buf_adds(&path, "/v1/suppressions");
	if (a->n_words)
		add_identity(&path, a->words[0]);
	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++)
		client_query_add(&path, options[i], args_get(a, options[i]));
	rc = cmd_run(ctl, "GET", buf_str(&path), NULL, show_items);
	buf_fini(&path);
	return rc;
}

static const struct ctl_option list_options[] = {
	{"lists", NULL, "the lists that were imported"},
	{"list", "NAME", "what is on this one"},
	{"reason", "REASON", "bounced, complained, do_not_call, manual or erased"},
	{"limit", "N", "at most N, 1 to 200 (50)"},
	{"cursor", "CURSOR", "go on where the last page ended"},
	{NULL, NULL, NULL},
};

const struct ctl_command cmd_suppression_list = {
	.name = "suppression list",
	.usage = "[IDENTITY] [--lists]",
	.group = GROUP,
	.summary = "addresses that nobody may write to or call",
	.help = "With IDENTITY, why that one is suppressed.\n\n"
		"  interactctl suppression list\n"
		"  interactctl suppression list +8613800138000\n"
		"  interactctl suppression list --lists\n",
	.options = list_options,
	.max_words = 1,
	.run = run_list,
};

/* ---- add, remove -------------------------------------------------------------------- */

static int
show_added(const struct ctl *ctl, const json_t *o)
{
	struct buf b = BUF_INIT;

	(void)ctl;
	cmd_identity(&b, value_at(o, "identity"));
	printf("Suppressed: %s (%s)\n", buf_str(&b), value_text(o, "reason"));
	buf_fini(&b);
	return CTL_OK;
}

static int
run_add(struct ctl *ctl, const struct ctl_args *a)
{
	const char *what = a->words[0], *colon = strchr(what, ':');
	json_t *body = json_object();

	json_object_set_new(body, "kind",
		colon		    ? json_stringn(what, (size_t)(colon - what))
		: strchr(what, '@') ? json_string("email")
				    : json_string("phone"));
	json_object_set_new(body, "value", json_string(colon ? colon + 1 : what));
	if (args_has(a, "reason"))
		json_object_set_new(body, "reason", json_string(args_get(a, "reason")));
	if (args_has(a, "source"))
		json_object_set_new(body, "source", json_string(args_get(a, "source")));
	int rc = cmd_run(ctl, "POST", "/v1/suppressions", body, show_added);
	json_decref(body);
	return rc;
}

static const struct ctl_option add_options[] = {
	{"reason", "REASON",
		"bounced, complained, do_not_call or manual (the default)"},
	{"source", "TEXT", "where that is known from"},
	{NULL, NULL, NULL},
};

const struct ctl_command cmd_suppression_add = {
	.name = "suppression add",
	.usage = "IDENTITY [--reason REASON]",
	.group = GROUP,
	.summary = "never again to this address, whoever has it",
	.help = "  interactctl suppression add +8613800138000 --source 'call of 3 May'\n",
	.options = add_options,
	.min_words = 1,
	.max_words = 1,
	.run = run_add,
};

static int
show_removed(const struct ctl *ctl, const json_t *o)
{
	(void)ctl;
	(void)o;
	puts("Removed.");
	return CTL_OK;
}

static int
run_remove(struct ctl *ctl, const struct ctl_args *a)
{
	struct buf path = BUF_INIT;

	if ((a->n_words == 1) == args_has(a, "list"))
		return args_wrong("suppression remove", "give an IDENTITY, or --list");
	buf_adds(&path, "/v1/suppressions");
	if (a->n_words)
		add_identity(&path, a->words[0]);
	client_query_add(&path, "list", args_get(a, "list"));
	client_query_add(&path, "reason", args_get(a, "reason"));
	int rc = cmd_run(ctl, "DELETE", buf_str(&path), NULL, show_removed);
	buf_fini(&path);
	return rc;
}

static const struct ctl_option remove_options[] = {
	{"reason", "REASON", "only what stands there for it; needed for erased"},
	{"list", "NAME", "a whole list instead"},
	{NULL, NULL, NULL},
};

const struct ctl_command cmd_suppression_remove = {
	.name = "suppression remove",
	.usage = "[IDENTITY] [--list NAME]",
	.group = GROUP,
	.summary = "this address may be used again",
	.help = "From lists too, until they are imported again.\n\n"
		"  interactctl suppression remove +8613800138000\n"
		"  interactctl suppression remove --list do-not-call\n",
	.options = remove_options,
	.max_words = 1,
	.run = run_remove,
};

/* ---- import ------------------------------------------------------------------------- */

struct sending {
	const char *path;
	int fd;
	int64_t size, sent; /* bytes; size -1 = not known */
	unsigned long long lines;
	int64_t began_us, shown_us;
	bool shown;
};

static void
show_progress(struct sending *s)
{
	int64_t now = clock_mono_us();
	double took = (double)(now - s->began_us) / 1e6;

	if (!s->shown || now - s->shown_us < 200000)
		return;
	s->shown_us = now;
	fputc('\r', stderr);
	if (s->size > 0)
		fprintf(stderr, "%3d%%  ", (int)(s->sent * 100 / s->size));
	fprintf(stderr, "%llu lines  %.0f/s\x1b[K", s->lines,
		took > 0 ? (double)s->lines / took : 0);
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
	struct sending *s = arg;
	ssize_t n;

	do
		n = read(s->fd, dst, cap);
	while (n < 0 && errno == EINTR);
	if (n < 0) {
		fprintf(stderr, "\ninteractctl: cannot read %s: %s\n", s->path,
			strerror(errno));
		return -1;
	}
	s->sent += n;
	for (ssize_t i = 0; i < n; i++)
		s->lines += dst[i] == '\n';
	show_progress(s);
	return (int)n;
}

static int
open_file(struct sending *s)
{
	struct stat st;

	s->size = -1;
	s->fd = STDIN_FILENO;
	if (str_eq(s->path, "-"))
		return CTL_OK;
	s->fd = open(s->path, O_RDONLY | O_CLOEXEC);
	if (s->fd < 0) {
		fprintf(stderr, "interactctl: %s: %s\n", s->path, strerror(errno));
		return CTL_USAGE;
	}
	if (fstat(s->fd, &st) == 0 && S_ISREG(st.st_mode))
		s->size = st.st_size;
	return CTL_OK;
}

static int
show_imported(const struct ctl *ctl, const struct client_answer *answer)
{
	const json_t *list = value_at(answer->json, "rejected_lines");
	long long rejected = (long long)value_int(answer->json, "rejected");

	if (ctl->json)
		client_print(answer);
	else
		printf("%lld addresses, %lld of them new, %lld lines rejected\n",
			(long long)value_int(answer->json, "valid"),
			(long long)value_int(answer->json, "added"), rejected);
	fflush(stdout);
	for (size_t i = 0; i < json_array_size(list) && i < TOLD_MAX; i++) {
		const json_t *one = json_array_get(list, i);
		fprintf(stderr, "line %lld: %s\n", (long long)value_int(one, "line"),
			value_text(one, "reason"));
	}
	if (rejected > TOLD_MAX)
		fprintf(stderr, "… and %lld more\n", rejected - TOLD_MAX);
	return rejected ? CTL_REFUSED : CTL_OK;
}

static int
run_import(struct ctl *ctl, const struct ctl_args *a)
{
	static const char *const options[] = {"list", "kind", "region", "source"};
	struct sending s = {.path = a->words[0]};
	struct client_answer answer;
	struct buf path = BUF_INIT;

	if (!args_has(a, "list"))
		return args_wrong("suppression import", "give --list NAME");
	int rc = open_file(&s);
	if (rc)
		return rc;
	s.began_us = clock_mono_us();
	s.shown = isatty(STDERR_FILENO) && !ctl->json;
	struct client_upload up = {.type = "text/csv",
		.size = s.size,
		.fill = on_fill,
		.tick = s.shown ? on_tick : NULL,
		.arg = &s};
	buf_adds(&path, "/v1/suppressions/import");
	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++)
		client_query_add(&path, options[i], args_get(a, options[i]));
	client_query_add(&path, "mode", args_has(a, "add") ? "add" : NULL);
	rc = client_upload(ctl, buf_str(&path), &up, &answer);
	if (s.shown)
		fputs("\r\x1b[K", stderr);
	if (!rc)
		rc = show_imported(ctl, &answer);
	client_answer_fini(&answer);
	buf_fini(&path);
	if (s.fd != STDIN_FILENO)
		close(s.fd);
	return rc;
}

static const struct ctl_option import_options[] = {
	{"list", "NAME", "of the list; the same name again replaces it as a whole"},
	{"add", NULL, "put them beside what is on the list instead"},
	{"kind", "KIND", "phone (the default) or email"},
	{"region", "REGION", "of numbers without a country: TW (the tenant's)"},
	{"source", "TEXT", "where the list comes from"},
	{NULL, NULL, NULL},
};

const struct ctl_command cmd_suppression_import = {
	.name = "suppression import",
	.usage = "FILE|- --list NAME",
	.group = GROUP,
	.summary = "a do-not-call list, of any length",
	.help = "One number a line; of a CSV file the first field counts. The list of that\n"
		"name is replaced when all of it is there, at one moment: numbers that are no\n"
		"longer on it are free. A file with nothing valid in it, or more than one line\n"
		"in ten wrong, replaces nothing. Exit code 1 if lines were rejected.\n\n"
		"  interactctl suppression import dnc.csv --list national\n"
		"  zcat dnc.txt.gz | interactctl suppression import - --list national\n",
	.options = import_options,
	.min_words = 1,
	.max_words = 1,
	.run = run_import,
};
