/* cmd_privacy.c - privacy report, erase, retention; tenant report-role: what is kept of
 * whom, until when, and who may read it. */
#include <ctl/cmd.h>

#include <io/pg.h>
#include <mem.h>
#include <str.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define GROUP "Privacy"

static void
cell_count(struct table *t, const json_t *place)
{
	if (json_is_integer(value_at(place, "count")))
		table_cell_fmt(t, "%" PRId64, value_int(place, "count"));
	else
		table_cell(t, "?");
}

static int
show_report(const struct ctl *ctl, const json_t *o)
{
	const json_t *places = value_at(o, "places");
	struct table *t =
		table_new(ctl, "PLACE|~WHERE|>COUNT|OLDEST|NEWEST|ERASED|~KEPT");
	for (size_t i = 0; i < json_array_size(places); i++) {
		const json_t *p = json_array_get(places, i);
		table_cell(t, value_text(p, "place"));
		table_cell(t, value_text(p, "where"));
		cell_count(t, p);
		table_cell_time(t, value_text(p, "oldest"));
		table_cell_time(t, value_text(p, "newest"));
		table_cell(t, json_is_true(value_at(p, "erased")) ? "yes" : "no");
		table_cell(t, value_text(p, "kept"));
	}
	table_end(&t, "Nothing.");
	if (value_text(o, "erased_at"))
		puts("They were erased; what is counted here stays.");
	return CTL_OK;
}

/* The path of the contact that was meant, by id, address or name. */
static int
contact_path(struct ctl *ctl, const char *what, const char *rest, struct buf *path)
{
	char id[37];
	int rc = cmd_contact_id(ctl, what, id);
	if (!rc)
		buf_printf(path, "/v1/contacts/%s%s", id, rest);
	return rc;
}

static int
run_report(struct ctl *ctl, const struct ctl_args *a)
{
	struct buf path = BUF_INIT;
	int rc = contact_path(ctl, a->words[0], "/privacy", &path);
	if (!rc)
		rc = cmd_run(ctl, "GET", buf_str(&path), NULL, show_report);
	buf_fini(&path);
	return rc;
}

const struct ctl_command cmd_privacy_report = {
	.name = "privacy report",
	.usage = "CONTACT",
	.group = GROUP,
	.summary = "where anything of a contact is, and until when",
	.help = "CONTACT is an id, an address or a name. Counts, never contents; all that\n"
		"was merged into the contact counts. ERASED says whether `privacy erase`\n"
		"takes it away. The id of an erased contact shows what is left.\n\n"
		"  interactctl privacy report 0912-345-678\n",
	.min_words = 1,
	.max_words = 1,
	.run = run_report,
};

/* ---- erase ------------------------------------------------------------------------ */

static int
show_receipt(const struct ctl *ctl, const json_t *o)
{
	const json_t *places = value_at(o, "places");
	struct table *t = table_new(ctl, "PLACE|>ERASED");
	for (size_t i = 0; i < json_array_size(places); i++) {
		const json_t *p = json_array_get(places, i);
		if (value_int(p, "count") <= 0)
			continue;
		table_cell(t, value_text(p, "place"));
		cell_count(t, p);
	}
	table_end(&t, "There was nothing.");
	fputs("Contact ", stdout);
	print_text(value_text(o, "contact"));
	puts(json_is_true(value_at(o, "complete"))
			? " is erased."
			: " is erased from the database; the daemon goes on with Redis and "
			  "the spool until they are clean too.");
	return CTL_OK;
}

static int
run_erase(struct ctl *ctl, const struct ctl_args *a)
{
	struct buf path = BUF_INIT;
	if (!args_has(a, "yes"))
		return args_wrong("privacy erase",
			"nobody gets an erased contact back: look at `interactctl "
			"privacy report %s` first, then give --yes",
			a->words[0]);
	int rc = contact_path(ctl, a->words[0], "", &path);
	if (!rc && args_has(a, "do-not-contact"))
		client_query_add(&path, "do_not_contact", "true");
	if (!rc)
		rc = cmd_run(ctl, "DELETE", buf_str(&path), NULL, show_receipt);
	buf_fini(&path);
	return rc;
}

static const struct ctl_option erase_options[] = {
	{"yes", NULL, "do it"},
	{"do-not-contact", NULL, "remember, as hashes, not to contact their addresses"},
	{NULL, NULL, NULL},
};

const struct ctl_command cmd_privacy_erase = {
	.name = "privacy erase",
	.usage = "CONTACT --yes [--do-not-contact]",
	.group = GROUP,
	.summary = "forget a contact for good",
	.help = "CONTACT is an id, an address or a name; all that was merged into it goes\n"
		"too. What happened stays without a person: times, queues, agents. Backups\n"
		"are yours to let expire.\n\n"
		"  interactctl privacy erase 0912-345-678 --yes\n",
	.options = erase_options,
	.min_words = 1,
	.max_words = 1,
	.run = run_erase,
};

/* ---- retention -------------------------------------------------------------------- */

static int
show_retention(const struct ctl *ctl, const json_t *o)
{
	const json_t *items = value_at(o, "items");
	struct table *t = table_new(ctl, "KIND|>DAYS|>DUE|OLDEST|LAST LOOKED AT");
	for (size_t i = 0; i < json_array_size(items); i++) {
		const json_t *it = json_array_get(items, i);
		table_cell(t, value_text(it, "kind"));
		if (value_int(it, "days"))
			table_cell_fmt(t, "%" PRId64, value_int(it, "days"));
		else
			table_cell(t, "for ever");
		table_cell_fmt(t, "%" PRId64, value_int(it, "due"));
		table_cell_time(t, value_text(it, "oldest"));
		table_cell_time(t, value_text(it, "looked_at"));
	}
	table_end(&t, "Nothing.");
	return CTL_OK;
}

static int
run_retention(struct ctl *ctl, const struct ctl_args *a)
{
	(void)a;
	return cmd_run(ctl, "GET", "/v1/privacy/retention", NULL, show_retention);
}

const struct ctl_command cmd_privacy_retention = {
	.name = "privacy retention",
	.usage = "",
	.group = GROUP,
	.summary = "how long interactions are kept, and how many are due to go",
	.help = "The days are retention_call_days and the like of the tenant's section; the\n"
		"daemon looks every hour. DUE is counted up to 100000.\n\n"
		"  interactctl --tenant shop privacy retention\n",
	.run = run_retention,
};

/* ---- tenant report-role ----------------------------------------------------------- */

static void
show_by_hand(const char *login)
{
	struct buf b = BUF_INIT;
	print_safe(&b, login);
	fprintf(stderr,
		"If it is roles that may not be made: as a superuser of PostgreSQL\n"
		"  CREATE ROLE interactd_report NOLOGIN;\n"
		"  CREATE ROLE \"%s\" LOGIN;\n"
		"  GRANT interactd_report TO \"%s\";\n"
		"and then this command again.\n",
		buf_str(&b), buf_str(&b));
	buf_fini(&b);
}

static int
run_report_role(struct ctl *ctl, const struct ctl_args *a)
{
	const char *params[] = {a->words[0], a->words[1]};
	struct err err;
	struct buf b = BUF_INIT;
	int rc;
	struct pg_sync *pg = ctl_connect_db(ctl, &rc);
	if (!pg)
		return rc;
	rc = CTL_OK;
	if (pg_sync_query(pg, "SELECT report_role($1, $2)", 2, params, NULL, NULL,
		    &err) < 0) {
		print_safe(&b, err.text);
		fprintf(stderr, "interactctl: %s\n", buf_str(&b));
		show_by_hand(a->words[1]);
		rc = CTL_REFUSED;
	} else if (ctl->json) {
		json_t *o = json_pack(
			"{s:s, s:s}", "tenant", params[0], "login", params[1]);
		json_dumpf(o, stdout, JSON_COMPACT);
		putchar('\n');
		json_decref(o);
	} else {
		puts("It reads this tenant's rows and nothing else. Give it a password "
		     "(psql: \\password), or a line of pg_hba.conf.");
	}
	buf_fini(&b);
	pg_sync_close(&pg);
	return rc;
}

const struct ctl_command cmd_tenant_report_role = {
	.name = "tenant report-role",
	.usage = "TENANT LOGIN",
	.group = GROUP,
	.summary = "a login of PostgreSQL that reads one tenant",
	.help = "For reporting tools: LOGIN sees TENANT's rows of the tables that hold\n"
		"no secrets, by row-level security, and can change nothing. Goes to\n"
		"PostgreSQL itself, by [postgresql] conninfo; works while the daemon is\n"
		"down. Again: nothing changes, but tables of newer versions are added.\n\n"
		"  interactctl tenant report-role default grafana\n",
	.min_words = 2,
	.max_words = 2,
	.run = run_report_role,
};
