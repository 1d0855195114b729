/* cmd_channel.c - channel resync, channel gaps: what was missed of a phone system. */
#include <ctl/cmd.h>

#include <clock.h>
#include <str.h>

#include <inttypes.h>
#include <stdio.h>

#define GROUP "Keeping it running"

static const struct {
	const char *kind, *one, *several;
} missed_words[] = {
	{"begin", "beginning", "beginnings"},
	{"end", "end", "ends"},
	{"leg", "offer to a phone", "offers to phones"},
	{"answer", "answer", "answers"},
	{"bridge", "connection", "connections"},
	{"queue", "queue change", "queue changes"},
	{"park", "parking", "parkings"},
};

/* "2 beginnings, 1 end"; "nothing". */
static void
add_missed(struct buf *b, const json_t *missed)
{
	size_t before = b->len;

	for (size_t i = 0; i < sizeof(missed_words) / sizeof(missed_words[0]); i++) {
		int64_t n = value_int(missed, missed_words[i].kind);
		if (n)
			buf_printf(b, "%s%" PRId64 " %s", b->len > before ? ", " : "",
				n,
				n == 1 ? missed_words[i].one : missed_words[i].several);
	}
	if (b->len == before)
		buf_adds(b, "nothing");
}

/* ---- channel resync ----------------------------------------------------------------- */

static int
show_resync(const struct ctl *ctl, const json_t *o)
{
	const char *gap = value_text(o, "gap"), *since = value_text(o, "since");
	struct buf b = BUF_INIT, when = BUF_INIT;
	bool clean = value_int(o, "events_at_least") == 0;

	if (!value_at(o, "compared_at")) {
		puts("Asked for a snapshot.");
		return CTL_OK;
	}
	print_time(&when, since);
	add_missed(&b, value_at(o, "missed"));
	printf("%s%s%s%s%s\n", print_color(ctl, clean ? COLOR_GOOD : COLOR_WARN),
		clean ? "Nothing was missed" : "Missed", print_color(ctl, COLOR_NONE),
		since ? " since " : "", since ? buf_str(&when) : "");
	if (!clean)
		printf("  %s (of the phone system's channels); at least %" PRId64
		       " events\n",
			buf_str(&b), value_int(o, "events_at_least"));
	if (gap && !clean)
		puts("Recorded: see interactctl channel gaps NAME.");
	buf_fini(&b);
	buf_fini(&when);
	return CTL_OK;
}

static int
run_resync(struct ctl *ctl, const struct ctl_args *a)
{
	struct buf path = BUF_INIT;
	buf_adds(&path, "/v1/channels");
	client_path_add(&path, a->words[0]);
	buf_adds(&path, "/resync");
	client_query_add(&path, "wait", "true");
	int rc = cmd_run(ctl, "POST", buf_str(&path), NULL, show_resync);
	buf_fini(&path);
	return rc;
}

const struct ctl_command cmd_channel_resync = {
	.name = "channel resync",
	.usage = "NAME",
	.group = GROUP,
	.summary = "compare a phone system's calls with ours now",
	.help = "Asks the phone system for a snapshot of its calls, as after every\n"
		"reconnect, ends the calls that it no longer knows, and says what we had\n"
		"missed. At most every 5 s, and not while it is slow to answer.\n\n"
		"  interactctl channel resync pbx-main\n",
	.min_words = 1,
	.max_words = 1,
	.run = run_resync,
};

/* ---- channel gaps ------------------------------------------------------------------- */

static void
add_history(struct table *t, const json_t *gap)
{
	const char *state = value_text(gap, "history.state");

	if (str_eq(state, "read"))
		table_cell_fmt(t, "%" PRId64 " added, %" PRId64 " completed",
			value_int(gap, "history.written"),
			value_int(gap, "history.completed"));
	else if (str_eq(state, "failed"))
		table_cell_color(t, COLOR_BAD, value_text(gap, "history.error"));
	else
		table_cell(t, state);
}

static void
add_gap(struct table *t, const json_t *gap)
{
	int64_t from = 0, until = 0;
	struct buf b = BUF_INIT;

	if (clock_parse(value_text(gap, "began_at") ? value_text(gap, "began_at") : "",
		    &from) &&
		clock_parse(
			value_text(gap, "ended_at") ? value_text(gap, "ended_at") : "",
			&until))
		print_duration(&b, (until - from) / 1000);
	table_cell_time(t, value_text(gap, "began_at"));
	table_cell(t, buf_str(&b));
	table_cell(t, value_text(gap, "cause"));
	table_cell_fmt(t, "%" PRId64, value_int(gap, "calls"));
	table_cell_fmt(t, "%" PRId64, value_int(gap, "interactions"));
	table_cell_fmt(t, "%" PRId64, value_int(gap, "contacts"));
	buf_clear(&b);
	add_missed(&b, value_at(gap, "missed"));
	table_cell(t, buf_str(&b));
	add_history(t, gap);
	buf_fini(&b);
}

static int
show_gaps(const struct ctl *ctl, const json_t *o)
{
	const json_t *items = value_at(o, "items");
	struct table *t = table_new(
		ctl, "BEGAN|>FOR|CAUSE|>CALLS|>TOUCHED|>CONTACTS|MISSED|HISTORY");

	for (size_t i = 0; i < json_array_size(items); i++)
		add_gap(t, json_array_get(items, i));
	table_end(&t, "It has been heard all the time.");
	cmd_more(o, "--cursor");
	return CTL_OK;
}

static int
run_gaps(struct ctl *ctl, const struct ctl_args *a)
{
	struct buf path = BUF_INIT;
	buf_adds(&path, "/v1/channels");
	client_path_add(&path, a->words[0]);
	buf_adds(&path, "/gaps");
	client_query_add(&path, "limit", args_get(a, "limit"));
	client_query_add(&path, "cursor", args_get(a, "cursor"));
	int rc = cmd_run(ctl, "GET", buf_str(&path), NULL, show_gaps);
	buf_fini(&path);
	return rc;
}

static const struct ctl_option gaps_options[] = {
	{"limit", "N", "at most N, 1 to 200 (50)"},
	{"cursor", "CURSOR", "go on where the last page ended"},
	{NULL, NULL, NULL},
};

const struct ctl_command cmd_channel_gaps = {
	.name = "channel gaps",
	.usage = "NAME [--limit N]",
	.group = GROUP,
	.summary = "when a phone system was not heard, and what was missed",
	.help = "Newest first: from when and for how long, why, how many calls began or\n"
		"ended unheard, how many interactions and contacts that touches, what\n"
		"comparisons proved missed, and what the phone system's own records (history\n"
		"in interactd.conf) gave afterwards. An interaction says by itself whether a\n"
		"gap touches it: see interactctl interaction show.\n\n"
		"  interactctl channel gaps pbx-main\n",
	.options = gaps_options,
	.min_words = 1,
	.max_words = 1,
	.run = run_gaps,
};
