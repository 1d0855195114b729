/* cmd_status.c - status, channels, calls: what is going on. */
#include <ctl/cmd.h>

#include <clock.h>
#include <mem.h>
#include <str.h>

#include <inttypes.h>
#include <stdio.h>

#define GROUP "What is going on"

/* ---- status ----------------------------------------------------------------------- */

static void
label(const struct ctl *ctl, const char *name)
{
	printf("%s%-12s%s", print_color(ctl, COLOR_BOLD), name,
		print_color(ctl, COLOR_NONE));
}

static void
show_part(const struct ctl *ctl, const char *name, const json_t *part)
{
	struct buf b = BUF_INIT;
	label(ctl, name);
	if (value_flag(part, "ok")) {
		printf("%sok%s\n", print_color(ctl, COLOR_GOOD),
			print_color(ctl, COLOR_NONE));
		return;
	}
	print_safe(&b, value_text(part, "reason"));
	printf("%sdown%s: %s", print_color(ctl, COLOR_BAD),
		print_color(ctl, COLOR_NONE), buf_str(&b));
	buf_clear(&b);
	print_time(&b, value_text(part, "since"));
	printf(" (since %s)\n", buf_str(&b));
	buf_fini(&b);
}

static void
show_head(const struct ctl *ctl, const json_t *o)
{
	struct buf since = BUF_INIT, up = BUF_INIT, version = BUF_INIT,
		   state = BUF_INIT;
	bool running = str_eq(value_text(o, "state"), "running");
	print_time(&since, value_text(o, "started_at"));
	print_duration(&up, value_int(o, "uptime_s") * 1000);
	print_safe(&version, value_text(o, "version"));
	print_safe(&state, value_text(o, "state"));
	label(ctl, "interactd");
	printf("%s, %s%s%s since %s (%s)\n", buf_str(&version),
		print_color(ctl, running ? COLOR_GOOD : COLOR_WARN), buf_str(&state),
		print_color(ctl, COLOR_NONE), buf_str(&since), buf_str(&up));
	buf_fini(&since);
	buf_fini(&up);
	buf_fini(&version);
	buf_fini(&state);
}

static void
show_pops(const struct ctl *ctl, const json_t *o)
{
	label(ctl, "pops");
	printf("%" PRId64 " open, %" PRId64 " waiting for data; %" PRId64
	       " opened since the start, %" PRId64 " degraded, %" PRId64 " re-issued\n",
		value_int(o, "pops.open"), value_int(o, "pops.pending"),
		value_int(o, "pops.opened"), value_int(o, "pops.degraded"),
		value_int(o, "pops.reissued"));
}

static void
show_backlog(const struct ctl *ctl, const json_t *o)
{
	const char *oldest = value_text(o, "backlog.oldest");
	int64_t quarantined = value_int(o, "backlog.quarantined"),
		refused = value_int(o, "backlog.refused");
	struct buf b = BUF_INIT;
	label(ctl, "writing");
	printf("%" PRId64 " wait, %" PRId64 " committed since the start",
		value_int(o, "backlog.waiting") + value_int(o, "backlog.in_batch"),
		value_int(o, "backlog.committed"));
	if (oldest) {
		print_clock(&b, oldest);
		printf("; the oldest since %s", buf_str(&b));
	}
	putchar('\n');
	buf_fini(&b);
	if (quarantined || refused)
		printf("%-12s%s%" PRId64 " in quarantine, %" PRId64
		       " refused since the start%s (interactctl quarantine list)\n",
			"", print_color(ctl, COLOR_BAD), quarantined, refused,
			print_color(ctl, COLOR_NONE));
}

static void
show_instances(const struct ctl *ctl, const json_t *o)
{
	const json_t *list = value_at(o, "instances");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *it = json_array_get(list, i);
		label(ctl, i ? "" : "instance");
		print_text(value_text(it, "name"));
		puts(value_flag(it, "active") ? ", active" : ", not active");
	}
}

static enum color
state_color(const char *state)
{
	return str_eq(state, "up") ? COLOR_GOOD : COLOR_BAD;
}

static void
add_channel(struct table *t, const json_t *ch)
{
	const char *state = value_text(ch, "state"), *why = value_text(ch, "why");
	bool phone = value_at(ch, "phone");
	table_cell(t, value_text(ch, "name"));
	table_cell(t, value_text(ch, "driver"));
	table_cell(t, value_text(ch, "tenant"));
	table_cell_color(t, state_color(state), state);
	table_cell_time(t, value_text(ch, "since"));
	if (phone)
		table_cell_fmt(t, "%" PRId64, value_int(ch, "phone.calls"));
	else
		table_cell(t, NULL);
	table_cell(t, why ? why : value_text(ch, "peer"));
}

static void
show_channel_table(const struct ctl *ctl, const json_t *o)
{
	const json_t *list = value_at(o, "channels");
	struct table *t =
		table_new(ctl, "CHANNEL|DRIVER|TENANT|STATE|SINCE|>CALLS|~PEER");
	for (size_t i = 0; i < json_array_size(list); i++)
		add_channel(t, json_array_get(list, i));
	table_end(&t,
		"No channels are configured: see [channel NAME] in interactd.conf.");
}

/* What to do is said once, under what is wrong. */
static void
show_failing(const struct ctl *ctl, const json_t *o)
{
	const json_t *list = value_at(o, "failing");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *it = json_array_get(list, i);
		struct buf b = BUF_INIT;
		label(ctl, i ? "" : "failing");
		print_safe(&b, value_text(it, "what"));
		buf_adds(&b, ": ");
		print_safe(&b, value_text(it, "why"));
		buf_adds(&b, " -> ");
		print_safe(&b, value_text(it, "do"));
		printf("%s%s%s\n", print_color(ctl, COLOR_BAD), buf_str(&b),
			print_color(ctl, COLOR_NONE));
		buf_fini(&b);
	}
}

static int
show_status(const struct ctl *ctl, const json_t *o)
{
	show_head(ctl, o);
	show_part(ctl, "postgresql", value_at(o, "postgresql"));
	show_part(ctl, "redis", value_at(o, "redis"));
	show_pops(ctl, o);
	show_backlog(ctl, o);
	show_instances(ctl, o);
	show_failing(ctl, o);
	putchar('\n');
	show_channel_table(ctl, o);
	return CTL_OK;
}

static int
run_status(struct ctl *ctl, const struct ctl_args *a)
{
	(void)a;
	return cmd_run(ctl, "GET", "/v1/status", NULL, show_status);
}

const struct ctl_command cmd_status = {
	.name = "status",
	.usage = "",
	.group = GROUP,
	.summary = "is everything working, and what is not",
	.help = "Version and uptime, PostgreSQL and Redis, screen pops, what waits to be\n"
		"written, and each channel's connection.\n\n"
		"  interactctl status\n"
		"  interactctl status --json | jq .backlog\n",
	.run = run_status,
};

/* ---- channels --------------------------------------------------------------------- */

static int
show_channels(const struct ctl *ctl, const json_t *o)
{
	show_channel_table(ctl, o);
	return CTL_OK;
}

static const json_t *
find_channel(const json_t *o, const char *name)
{
	const json_t *list = value_at(o, "channels");
	for (size_t i = 0; i < json_array_size(list); i++)
		if (str_eq(value_text(json_array_get(list, i), "name"), name))
			return json_array_get(list, i);
	return NULL;
}

static int
run_channel(struct ctl *ctl, const char *name)
{
	struct client_answer a;
	int rc = client_call(ctl, "GET", "/v1/status", NULL, &a);
	const json_t *item = rc ? NULL : find_channel(a.json, name);
	if (item && ctl->json) {
		json_dumpf(item, stdout, JSON_COMPACT);
		putchar('\n');
	} else if (item) {
		value_print(ctl, item);
	} else if (!rc) {
		fputs("interactctl: there is no channel with this name; see: "
		      "interactctl channels\n",
			stderr);
		rc = CTL_NOT_FOUND;
	}
	client_answer_fini(&a);
	return rc;
}

static int
run_channels(struct ctl *ctl, const struct ctl_args *a)
{
	struct client_answer answer;
	if (a->n_words)
		return run_channel(ctl, a->words[0]);
	int rc = client_call(ctl, "GET", "/v1/status", NULL, &answer);
	if (!rc && ctl->json) {
		json_dumpf(value_at(answer.json, "channels"), stdout, JSON_COMPACT);
		putchar('\n');
	} else if (!rc) {
		rc = show_channels(ctl, answer.json);
	}
	client_answer_fini(&answer);
	return rc;
}

const struct ctl_command cmd_channels = {
	.name = "channels",
	.usage = "[NAME]",
	.group = GROUP,
	.summary = "phone systems and other channels; one with its counters",
	.help = "Each [channel NAME] of the configuration with its connection. With a name,\n"
		"all that is known of it: counters, what was refused, its spool.\n\n"
		"  interactctl channels\n"
		"  interactctl channels pbx-main\n",
	.max_words = 1,
	.run = run_channels,
};

/* ---- calls ------------------------------------------------------------------------ */

static void
add_call(struct table *t, const json_t *call, int64_t now_us)
{
	struct buf b = BUF_INIT;
	int64_t at = now_us;
	clock_parse(value_text(call, "at") ? value_text(call, "at") : "", &at);
	print_clock(&b, value_text(call, "at"));
	table_cell(t, buf_str(&b));
	buf_clear(&b);
	print_duration(&b, now_us > at ? (now_us - at) / 1000 : 0);
	table_cell(t, buf_str(&b));
	table_cell(t, cmd_direction(call));
	table_cell(t, value_text(call, "state"));
	buf_clear(&b);
	cmd_remote(&b, value_at(call, "remote"));
	table_cell(t, buf_str(&b));
	table_cell(t, value_text(call, "remote.display"));
	table_cell(t, value_text(call, "local"));
	table_cell(t, value_text(call, "agent"));
	table_cell(t, value_text(call, "queue"));
	table_cell(t, value_text(call, "channel"));
	table_cell(t, value_text(call, "id"));
	buf_fini(&b);
}

static int
show_calls(const struct ctl *ctl, const json_t *o)
{
	const json_t *items = value_at(o, "items");
	int64_t now_us = clock_wall_us();
	struct table *t =
		table_new(ctl, "SINCE|>FOR|DIR|STATE|NUMBER|~NAME|~CALLED|AGENT|"
			       "QUEUE|~CHANNEL|ID");
	for (size_t i = 0; i < json_array_size(items); i++)
		add_call(t, json_array_get(items, i), now_us);
	table_end(&t, "Nobody is on the phone.");
	return CTL_OK;
}

static int
run_calls(struct ctl *ctl, const struct ctl_args *a)
{
	(void)a;
	return cmd_run(ctl, "GET", "/v1/calls", NULL, show_calls);
}

const struct ctl_command cmd_calls = {
	.name = "calls",
	.usage = "",
	.group = GROUP,
	.summary = "the calls with outside parties that are up now",
	.help = "Calls between agents are not listed: they are no interactions.\n\n"
		"  interactctl calls\n"
		"  interactctl calls --json | jq '.items[].remote.value'\n",
	.run = run_calls,
};
