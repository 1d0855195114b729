/* cmd_timeline.c - timeline, interaction show: what happened. */
#include <ctl/cmd.h>

#include <str.h>

#include <stdio.h>

#define GROUP "People"

static void
add_item(struct table *t, const json_t *o)
{
	struct buf b = BUF_INIT;
	const char *how = value_text(o, "disposition");
	const json_t *talk = value_at(o, "talk_ms");
	table_cell_time(t, value_text(o, "at"));
	table_cell(t, value_text(o, "kind"));
	table_cell(t, cmd_direction(o));
	table_cell(t, how ? how : value_text(o, "state"));
	print_duration(&b, json_is_integer(talk) ? json_integer_value(talk) : -1);
	table_cell(t, buf_str(&b));
	table_cell(t, value_text(o, "agent"));
	table_cell(t, value_text(o, "queue"));
	buf_clear(&b);
	cmd_remote(&b, value_at(o, "remote"));
	table_cell(t, buf_str(&b));
	table_cell(t, value_text(o, "summary"));
	table_cell(t, value_text(o, "id"));
	buf_fini(&b);
}

static int
show_timeline(const struct ctl *ctl, const json_t *o)
{
	const json_t *items = value_at(o, "items");
	struct table *t = table_new(ctl, "WHEN|KIND|DIR|HOW|>TALK|AGENT|QUEUE|~ADDRESS|"
					 "~SUMMARY|ID");
	for (size_t i = 0; i < json_array_size(items); i++)
		add_item(t, json_array_get(items, i));
	table_end(&t, "Nothing yet.");
	cmd_more(o, "--before");
	return CTL_OK;
}

static int
run_timeline(struct ctl *ctl, const struct ctl_args *a)
{
	char id[37];
	struct buf path = BUF_INIT;
	int rc = cmd_contact_id(ctl, a->words[0], id);
	if (rc)
		return rc;
	buf_printf(&path, "/v1/contacts/%s/timeline", id);
	client_query_add(&path, "limit", args_get(a, "limit"));
	client_query_add(&path, "kind", args_get(a, "kind"));
	client_query_add(&path, "before", args_get(a, "before"));
	client_query_add(&path, "people", args_has(a, "people") ? "true" : NULL);
	rc = cmd_run(ctl, "GET", buf_str(&path), NULL, show_timeline);
	buf_fini(&path);
	return rc;
}

static const struct ctl_option timeline_options[] = {
	{"limit", "N", "at most N, 1 to 200 (50)"},
	{"kind", "KIND", "only call, email, sms, chat, visit, letter, fax, note ..."},
	{"before", "CURSOR", "go on where the last page ended"},
	{"people", NULL, "with the people of an organisation"},
	{NULL, NULL, NULL},
};

const struct ctl_command cmd_timeline = {
	.name = "timeline",
	.usage = "CONTACT [--limit N] [--kind K] [--people]",
	.group = GROUP,
	.summary = "what happened with a contact, newest first",
	.help = "All channels, and all contacts that were merged into this one. CONTACT is\n"
		"an id, an address (phone:+86...), just a number, or a name that only one\n"
		"contact has. Times are in the local time zone.\n\n"
		"  interactctl timeline +8613800138000\n"
		"  interactctl timeline 0912345678 --kind call --limit 5\n"
		"  interactctl timeline 'Bolts & Co' --people\n"
		"  interactctl timeline external:crm:42 --json | jq '.items[0]'\n",
	.options = timeline_options,
	.min_words = 1,
	.max_words = 1,
	.run = run_timeline,
};

/* ---- interaction show ------------------------------------------------------------- */

static void
show_legs(const struct ctl *ctl, const json_t *legs)
{
	struct table *t = table_new(
		ctl, "BEGAN|LEG|AGENT|QUEUE|~INTERFACE|ANSWERED|ENDED|RESULT");
	for (size_t i = 0; i < json_array_size(legs); i++) {
		static const char *const times[] = {"answered_at", "ended_at"};
		const json_t *leg = json_array_get(legs, i);
		struct buf b = BUF_INIT;
		table_cell_time(t, value_text(leg, "at"));
		table_cell(t, value_text(leg, "type"));
		table_cell(t, value_text(leg, "agent"));
		table_cell(t, value_text(leg, "queue"));
		table_cell(t, value_text(leg, "interface"));
		for (int k = 0; k < 2; k++) {
			buf_clear(&b);
			print_clock(&b, value_text(leg, times[k]));
			table_cell(t, buf_str(&b));
		}
		table_cell(t, value_text(leg, "result"));
		buf_fini(&b);
	}
	table_end(&t, "No legs.");
}

static void
show_history(const struct ctl *ctl, const json_t *history)
{
	struct table *t = table_new(ctl, "CHANGED|~WHO|WHAT|~FIELDS");
	for (size_t i = 0; i < json_array_size(history); i++) {
		const json_t *it = json_array_get(history, i);
		struct buf b = BUF_INIT;
		table_cell_time(t, value_text(it, "at"));
		table_cell(t, value_text(it, "actor"));
		table_cell(t, value_text(it, "action"));
		value_join(&b, value_at(it, "fields"));
		table_cell(t, buf_str(&b));
		buf_fini(&b);
	}
	table_end(&t, "Not changed.");
}

static int
show_interaction(const struct ctl *ctl, const json_t *o)
{
	json_t *rest = json_copy((json_t *)(uintptr_t)o);
	const json_t *legs = value_at(o, "legs"), *history = value_at(o, "history");
	json_object_del(rest, "legs");
	json_object_del(rest, "history");
	value_print(ctl, rest);
	json_decref(rest);
	if (json_array_size(legs)) {
		putchar('\n');
		show_legs(ctl, legs);
	}
	if (json_array_size(history)) {
		putchar('\n');
		show_history(ctl, history);
	}
	return CTL_OK;
}

static int
run_interaction(struct ctl *ctl, const struct ctl_args *a)
{
	struct buf path = BUF_INIT;
	buf_adds(&path, "/v1/interactions");
	client_path_add(&path, a->words[0]);
	int rc = cmd_run(ctl, "GET", buf_str(&path), NULL, show_interaction);
	buf_fini(&path);
	return rc;
}

const struct ctl_command cmd_interaction_show = {
	.name = "interaction show",
	.usage = "ID",
	.group = GROUP,
	.summary = "one entry of a timeline with its details",
	.help = "A call with its legs: who rang, who talked, holds and transfers.\n\n"
		"  interactctl interaction show 0199a3c5-6f1e-7abc-8def-0123456789ab\n",
	.min_words = 1,
	.max_words = 1,
	.run = run_interaction,
};
