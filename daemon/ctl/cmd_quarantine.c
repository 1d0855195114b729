/* cmd_quarantine.c - quarantine list, retry: what the database refused by itself. */
#include <ctl/cmd.h>

#include <inttypes.h>
#include <stdio.h>

#define GROUP "Keeping it running"

static int
show_list(const struct ctl *ctl, const json_t *o)
{
	const json_t *items = value_at(o, "items");
	struct table *t = table_new(ctl, "ID|WHEN|CHANNEL|KIND|>TRIES|CODE|~ERROR");
	for (size_t i = 0; i < json_array_size(items); i++) {
		const json_t *it = json_array_get(items, i);
		table_cell(t, value_text(it, "id"));
		table_cell_time(t, value_text(it, "at"));
		table_cell(t, value_text(it, "channel"));
		table_cell(t, value_text(it, "kind"));
		table_cell_fmt(t, "%" PRId64, value_int(it, "tries"));
		table_cell(t, value_text(it, "sqlstate"));
		table_cell(t, value_text(it, "error"));
	}
	table_end(&t, "The quarantine is empty.");
	cmd_more(o, "--cursor");
	return CTL_OK;
}

static int
run_list(struct ctl *ctl, const struct ctl_args *a)
{
	struct buf path = BUF_INIT;
	buf_adds(&path, "/v1/quarantine");
	client_query_add(&path, "limit", args_get(a, "limit"));
	client_query_add(&path, "cursor", args_get(a, "cursor"));
	int rc = cmd_run(ctl, "GET", buf_str(&path), NULL, show_list);
	buf_fini(&path);
	return rc;
}

static const struct ctl_option list_options[] = {
	{"limit", "N", "at most N, 1 to 200 (50)"},
	{"cursor", "CURSOR", "go on where the last page ended"},
	{NULL, NULL, NULL},
};

const struct ctl_command cmd_quarantine_list = {
	.name = "quarantine list",
	.usage = "[--limit N]",
	.group = GROUP,
	.summary = "interactions that the database refused",
	.help = "An interaction that cannot be stored even by itself is set aside with\n"
		"what PostgreSQL said, and blocks nobody. --json shows its content too.\n\n"
		"  interactctl quarantine list\n"
		"  interactctl quarantine list --json | jq '.items[0].payload'\n",
	.options = list_options,
	.run = run_list,
};

static int
show_retried(const struct ctl *ctl, const json_t *o)
{
	value_print(ctl, o);
	return CTL_OK;
}

static int
run_retry(struct ctl *ctl, const struct ctl_args *a)
{
	json_t *body = a->n_words ? json_pack("{s:s}", "id", a->words[0]) : NULL;
	int rc = cmd_run(ctl, "POST", "/v1/quarantine/retry", body, show_retried);
	json_decref(body);
	return rc;
}

const struct ctl_command cmd_quarantine_retry = {
	.name = "quarantine retry",
	.usage = "[ID]",
	.group = GROUP,
	.summary = "store them again, once the cause is mended",
	.help = "All of them without ID. What fails again stays, with its new error.\n\n"
		"  interactctl quarantine retry\n",
	.max_words = 1,
	.run = run_retry,
};
