/* cmd_webhook.c - webhook add, list, show, set, remove, test, deliveries, replay. */
#include <ctl/cmd.h>

#include <str.h>

#include <stdio.h>

#define GROUP "Webhooks"

static void
path_of(struct buf *path, const char *id, const char *rest)
{
	buf_adds(path, "/v1/webhooks");
	if (id)
		client_path_add(path, id);
	buf_adds(path, rest);
}

/* ---- add, set ----------------------------------------------------------------------- */

static void
say_secret(const json_t *o)
{
	if (!value_text(o, "secret"))
		return;
	print_text(value_text(o, "secret"));
	putchar('\n');
	fflush(stdout);
	fputs("Keep the secret now: it is not shown again.\n", stderr);
}

static int
show_made(const struct ctl *ctl, const json_t *o)
{
	(void)ctl;
	fprintf(stderr, "Webhook %.36s\n", value_text(o, "id"));
	say_secret(o);
	return CTL_OK;
}

static void
add_events(json_t *body, const struct ctl_args *a)
{
	json_t *events = json_array();
	const char *event;

	for (unsigned i = 0; (event = args_nth(a, "event", i)); i++)
		json_array_append_new(events, json_string(event));
	if (json_array_size(events))
		json_object_set(body, "events", events);
	json_decref(events);
}

static void
add_text(json_t *body, const struct ctl_args *a, const char *option)
{
	if (args_has(a, option))
		json_object_set_new(body, option, json_string(args_get(a, option)));
}

static int
run_add(struct ctl *ctl, const struct ctl_args *a)
{
	json_t *body = json_pack("{s:s}", "url", a->words[0]);
	if (!body)
		return args_wrong("webhook add", "the URL must be UTF-8");
	add_events(body, a);
	if (!json_object_get(body, "events"))
		json_object_set_new(body, "events", json_pack("[s]", "*"));
	add_text(body, a, "secret");
	add_text(body, a, "description");
	int rc = cmd_run(ctl, "POST", "/v1/webhooks", body, show_made);
	json_decref(body);
	return rc;
}

static const struct ctl_option add_options[] = {
	{"event", "TYPE",
		"interaction.ended, contact.*; may be given several times (all)"},
	{"secret", "SECRET", "one of your own; else one is made"},
	{"description", "TEXT", "what it is for"},
	{NULL, NULL, NULL},
};

const struct ctl_command cmd_webhook_add = {
	.name = "webhook add",
	.usage = "URL [--event TYPE]...",
	.group = GROUP,
	.summary = "have events delivered to another system",
	.help = "The secret alone goes to stdout: the receiver checks signatures with it.\n\n"
		"  interactctl webhook add https://crm.example.com/hook --event 'contact.*'\n",
	.options = add_options,
	.min_words = 1,
	.max_words = 1,
	.run = run_add,
};

static int
show_set(const struct ctl *ctl, const json_t *o)
{
	(void)ctl;
	fputs("Changed.\n", stderr);
	say_secret(o);
	return CTL_OK;
}

static int
run_set(struct ctl *ctl, const struct ctl_args *a)
{
	struct buf path = BUF_INIT;
	json_t *body = json_object();
	if (args_has(a, "enable") || args_has(a, "disable"))
		json_object_set_new(
			body, "enabled", json_boolean(args_has(a, "enable")));
	if (args_has(a, "new-secret"))
		json_object_set_new(body, "secret", json_null());
	if (args_has(a, "end-rotation"))
		json_object_set_new(body, "old_secret_until", json_null());
	add_text(body, a, "url");
	add_text(body, a, "description");
	add_events(body, a);
	path_of(&path, a->words[0], "");
	int rc = json_object_size(body)
			 ? cmd_run(ctl, "PATCH", buf_str(&path), body, show_set)
			 : args_wrong("webhook set", "say what: see --help");
	buf_fini(&path);
	json_decref(body);
	return rc;
}

static const struct ctl_option set_options[] = {
	{"url", "URL", "where to"},
	{"event", "TYPE", "these instead; may be given several times"},
	{"description", "TEXT", "what it is for"},
	{"enable", NULL, "deliver (again), also after 410 Gone"},
	{"disable", NULL, "keep nothing for it and deliver nothing"},
	{"new-secret", NULL, "make one and show it; the old one signs too for a while"},
	{"end-rotation", NULL, "from now on the new secret alone signs"},
	{NULL, NULL, NULL},
};

const struct ctl_command cmd_webhook_set = {
	.name = "webhook set",
	.usage = "ID [--enable] [--new-secret] ...",
	.group = GROUP,
	.summary = "change a webhook",
	.help = "  interactctl webhook set 0190... --new-secret >crm.secret\n",
	.options = set_options,
	.min_words = 1,
	.max_words = 1,
	.run = run_set,
};

/* ---- list, show, remove, test ------------------------------------------------------- */

static enum color
state_color(const char *state)
{
	if (str_eq(state, "ok") || str_eq(state, "delivered"))
		return COLOR_GOOD;
	if (str_eq(state, "waiting"))
		return COLOR_WARN;
	return str_eq(state, "disabled") ? COLOR_DIM : COLOR_BAD;
}

static int
show_list(const struct ctl *ctl, const json_t *o)
{
	const json_t *items = value_at(o, "items");
	struct table *t = table_new(
		ctl, "ID|~URL|~EVENTS|STATE|>WAITING|LAST DELIVERED|~LAST ERROR");
	for (size_t i = 0; i < json_array_size(items); i++) {
		const json_t *it = json_array_get(items, i);
		struct buf events = BUF_INIT;
		value_join(&events, value_at(it, "events"));
		table_cell(t, value_text(it, "id"));
		table_cell(t, value_text(it, "url"));
		table_cell(t, buf_str(&events));
		table_cell_color(t, state_color(value_text(it, "state")),
			value_text(it, "state"));
		table_cell_fmt(t, "%lld",
			(long long)json_integer_value(value_at(it, "waiting")));
		table_cell_time(t, value_text(it, "last_delivered_at"));
		table_cell(t, value_text(it, "last_error"));
		buf_fini(&events);
	}
	table_end(&t, "No webhooks.");
	return CTL_OK;
}

static int
run_list(struct ctl *ctl, const struct ctl_args *a)
{
	(void)a;
	return cmd_run(ctl, "GET", "/v1/webhooks", NULL, show_list);
}

const struct ctl_command cmd_webhook_list = {
	.name = "webhook list",
	.usage = "",
	.group = GROUP,
	.summary = "the webhooks, and how they stand",
	.help = "`failing` has only failed for long and is probed; `gone` answered 410 and\n"
		"was disabled.\n",
	.run = run_list,
};

static int
show_one(const struct ctl *ctl, const json_t *o)
{
	static const char *const names[] = {"id", "url", "description", "state",
		"failing_since", "old_secret_until", "last_error", "last_tried_at",
		"last_delivered_at", "created_at", "created_by"};
	(void)ctl;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		const char *text = value_text(o, names[i]);
		if (str_empty(text))
			continue;
		printf("%-18s ", names[i]);
		print_text(text);
		putchar('\n');
	}
	struct buf events = BUF_INIT;
	value_join(&events, value_at(o, "events"));
	printf("%-18s %s\n", "events", buf_str(&events));
	printf("%-18s %lld\n", "waiting",
		(long long)json_integer_value(value_at(o, "waiting")));
	buf_fini(&events);
	return CTL_OK;
}

static int
run_one(struct ctl *ctl, const char *method, const struct ctl_args *a, const char *rest,
	cmd_show_fn *show)
{
	struct buf path = BUF_INIT;
	path_of(&path, a->words[0], rest);
	int rc = cmd_run(ctl, method, buf_str(&path), NULL, show);
	buf_fini(&path);
	return rc;
}

static int
run_show(struct ctl *ctl, const struct ctl_args *a)
{
	return run_one(ctl, "GET", a, "", show_one);
}

const struct ctl_command cmd_webhook_show = {
	.name = "webhook show",
	.usage = "ID",
	.group = GROUP,
	.summary = "one webhook",
	.min_words = 1,
	.max_words = 1,
	.run = run_show,
};

static int
show_removed(const struct ctl *ctl, const json_t *o)
{
	(void)ctl;
	(void)o;
	puts("Removed; what waited for it is dropped.");
	return CTL_OK;
}

static int
run_remove(struct ctl *ctl, const struct ctl_args *a)
{
	return run_one(ctl, "DELETE", a, "", show_removed);
}

const struct ctl_command cmd_webhook_remove = {
	.name = "webhook remove",
	.usage = "ID",
	.group = GROUP,
	.summary = "end a webhook",
	.min_words = 1,
	.max_words = 1,
	.run = run_remove,
};

static int
show_tested(const struct ctl *ctl, const json_t *o)
{
	bool ok = json_is_true(value_at(o, "delivered"));
	long long status = json_integer_value(value_at(o, "status"));
	long long ms = json_integer_value(value_at(o, "took_ms"));
	(void)ctl;
	if (status)
		printf("%s: it answered %lld after %lld ms\n",
			ok ? "Delivered" : "Refused", status, ms);
	else
		print_text(value_text(o, "error"));
	if (!status)
		putchar('\n');
	return ok ? CTL_OK : CTL_REFUSED;
}

static int
run_test(struct ctl *ctl, const struct ctl_args *a)
{
	return run_one(ctl, "POST", a, "/test", show_tested);
}

const struct ctl_command cmd_webhook_test = {
	.name = "webhook test",
	.usage = "ID",
	.group = GROUP,
	.summary = "send a webhook.test event now, and say what came of it",
	.min_words = 1,
	.max_words = 1,
	.run = run_test,
};

/* ---- deliveries, replay ------------------------------------------------------------- */

static int
show_deliveries(const struct ctl *ctl, const json_t *o)
{
	const json_t *items = value_at(o, "items");
	struct table *t =
		table_new(ctl, "DELIVERY|WEBHOOK|EVENT|STATE|>TRIES|QUEUED|~ERROR");
	for (size_t i = 0; i < json_array_size(items); i++) {
		const json_t *it = json_array_get(items, i);
		table_cell(t, value_text(it, "id"));
		table_cell(t, value_text(it, "webhook"));
		table_cell(t, value_text(it, "type"));
		table_cell_color(t, state_color(value_text(it, "state")),
			value_text(it, "state"));
		table_cell_fmt(t, "%lld",
			(long long)json_integer_value(value_at(it, "tries")));
		table_cell_time(t, value_text(it, "queued_at"));
		table_cell(t, value_text(it, "error"));
	}
	table_end(&t, "No deliveries.");
	cmd_more(o, "--before");
	return CTL_OK;
}

static int
run_deliveries(struct ctl *ctl, const struct ctl_args *a)
{
	struct buf path = BUF_INIT;
	bool all = a->n_words == 0;
	if (all && args_has(a, "state"))
		return args_wrong("webhook deliveries",
			"--state goes with an ID; without one dead letters are shown");
	path_of(&path, all ? NULL : a->words[0], all ? "/dead-letters" : "/deliveries");
	client_query_add(&path, "state", args_get(a, "state"));
	client_query_add(&path, "limit", args_get(a, "limit"));
	client_query_add(&path, "before", args_get(a, "before"));
	int rc = cmd_run(ctl, "GET", buf_str(&path), NULL, show_deliveries);
	buf_fini(&path);
	return rc;
}

static const struct ctl_option deliveries_options[] = {
	{"state", "STATE", "waiting, delivered or dead"},
	{"limit", "N", "at most N, 1 to 200 (50)"},
	{"before", "CURSOR", "go on where the last page ended"},
	{NULL, NULL, NULL},
};

const struct ctl_command cmd_webhook_deliveries = {
	.name = "webhook deliveries",
	.usage = "[ID] [--state STATE]",
	.group = GROUP,
	.summary = "what was and will be sent; without ID: all dead letters",
	.help = "Newest first.\n\n"
		"  interactctl webhook deliveries 0190... --state waiting\n",
	.options = deliveries_options,
	.max_words = 1,
	.run = run_deliveries,
};

static int
show_replayed(const struct ctl *ctl, const json_t *o)
{
	(void)ctl;
	printf("%lld wait again.%s\n",
		(long long)json_integer_value(value_at(o, "replayed")),
		json_is_true(value_at(o, "more")) ? " There are more: repeat this."
						  : "");
	return CTL_OK;
}

static int
run_replay(struct ctl *ctl, const struct ctl_args *a)
{
	struct buf path = BUF_INIT;
	json_t *body = NULL;
	if ((a->n_words == 2) == args_has(a, "from"))
		return args_wrong(
			"webhook replay", "give a DELIVERY, or --from and maybe --to");
	path_of(&path, a->words[0], a->n_words == 2 ? "/deliveries" : "");
	if (a->n_words == 2) {
		client_path_add(&path, a->words[1]);
	} else {
		body = json_object();
		add_text(body, a, "from");
		add_text(body, a, "to");
		add_text(body, a, "state");
	}
	buf_adds(&path, "/replay");
	int rc = cmd_run(ctl, "POST", buf_str(&path), body, show_replayed);
	buf_fini(&path);
	json_decref(body);
	return rc;
}

static const struct ctl_option replay_options[] = {
	{"from", "TIME", "those queued since then: 2026-11-21T08:00:00Z"},
	{"to", "TIME", "and before then (now)"},
	{"state", "STATE", "dead (the default), delivered or all"},
	{NULL, NULL, NULL},
};

const struct ctl_command cmd_webhook_replay = {
	.name = "webhook replay",
	.usage = "ID DELIVERY | ID --from TIME [--to TIME] [--state STATE]",
	.group = GROUP,
	.summary = "deliver again: one, or those of a period",
	.help = "They keep their ids, so a receiver can tell what it has seen.\n\n"
		"  interactctl webhook replay 0190... --from 2026-11-21T08:00:00Z\n",
	.options = replay_options,
	.min_words = 1,
	.max_words = 2,
	.run = run_replay,
};
