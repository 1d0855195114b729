/* cmd_db_check.c - db check: does the database hold what this version needs, no less and
 * nothing else? The comparing is daemon/io/schema_check.c; here it is shown. */
#include <ctl/ctl.h>
#include <ctl/print.h>

#include <io/schema_check.h>
#include <mem.h>

#include <jansson.h>

#include <stdio.h>
#include <string.h>

struct shown {
	const struct ctl *ctl;
	json_t *findings, *notes;
};

static json_t *
text_or_null(const char *s)
{
	return s ? json_string(s) : json_null();
}

static void
show_definition(const struct ctl *ctl, const char *label, const char *definition)
{
	struct buf b = BUF_INIT;
	if (!definition || !*definition)
		return;
	for (const char *line = definition; *line;) {
		size_t len = strcspn(line, "\n");
		char *text = xstrndup(line, len);
		buf_clear(&b);
		print_safe(&b, text);
		xfree(&text);
		printf("  %s%-6s%s %s\n", print_color(ctl, COLOR_DIM),
			line == definition ? label : "", print_color(ctl, COLOR_NONE),
			buf_str(&b));
		line += len + (line[len] == '\n');
	}
	buf_fini(&b);
}

static void
show_finding(const struct ctl *ctl, const struct schema_finding *f)
{
	struct buf object = BUF_INIT;
	print_safe(&object, f->object);
	printf("%s%s %s%s %s.\n", print_color(ctl, f->note ? COLOR_WARN : COLOR_BAD),
		f->kind, buf_str(&object), print_color(ctl, COLOR_NONE), f->what);
	buf_fini(&object);
	show_definition(ctl, "wanted", f->wanted);
	show_definition(ctl, "found", f->found);
	printf("  %s.\n", f->todo);
}

static void
on_finding(void *arg, const struct schema_finding *f)
{
	struct shown *s = arg;
	json_array_append_new(f->note ? s->notes : s->findings,
		json_pack("{s:s,s:s,s:s,s:s,s:o,s:o}", "kind", f->kind, "object",
			f->object, "what", f->what, "todo", f->todo, "wanted",
			text_or_null(f->wanted), "found", text_or_null(f->found)));
	if (!s->ctl->json)
		show_finding(s->ctl, f);
}

static void
show_end(const struct shown *s, int compared)
{
	size_t n = json_array_size(s->findings);
	if (s->ctl->json) {
		json_t *o = json_pack("{s:b,s:i,s:O,s:O}", "ok", n == 0, "compared",
			compared, "findings", s->findings, "notes", s->notes);
		json_dumpf(o, stdout, JSON_COMPACT);
		putchar('\n');
		json_decref(o);
		return;
	}
	if (!compared)
		puts("Tables, columns, indexes and functions were not compared: what "
		     "was said of the migrations comes first.");
	if (n)
		printf("%s%zu to be mended%s.\n", print_color(s->ctl, COLOR_BAD), n,
			print_color(s->ctl, COLOR_NONE));
	else if (compared)
		printf("%sAll is as it should be%s: %d objects compared.\n",
			print_color(s->ctl, COLOR_GOOD),
			print_color(s->ctl, COLOR_NONE), compared);
}

static int
run_check(struct ctl *ctl, const struct ctl_args *a)
{
	struct err err;
	int rc;
	(void)a;
	struct pg_sync *pg = ctl_connect_db(ctl, &rc);
	if (!pg)
		return rc;
	struct shown s = {ctl, json_array(), json_array()};
	int compared = schema_check(pg, on_finding, &s, &err);
	if (compared < 0) {
		struct buf b = BUF_INIT;
		print_safe(&b, err.text);
		fprintf(stderr, "interactctl: the database cannot be checked: %s\n",
			buf_str(&b));
		buf_fini(&b);
		rc = CTL_REFUSED;
	} else {
		show_end(&s, compared);
		rc = json_array_size(s.findings) ? CTL_REFUSED : CTL_OK;
	}
	json_decref(s.findings);
	json_decref(s.notes);
	pg_sync_close(&pg);
	return rc;
}

const struct ctl_command cmd_db_check = {
	.name = "db check",
	.usage = "",
	.group = "Keeping it running",
	.summary = "does the database hold what its migrations make",
	.help = "Makes the schema once more inside a transaction that is rolled back, and\n"
		"compares: migrations missing, unknown or edited; tables, columns,\n"
		"constraints, indexes, triggers and functions that differ; partitions\n"
		"missing ahead; indexes that are not valid. Says of each what to do. Ends\n"
		"with 0 if nothing is to be mended, else with 1. Works while the daemon runs,\n"
		"and while it is down.\n\n"
		"  interactctl db check\n"
		"  interactctl db check --json\n",
	.run = run_check,
};
