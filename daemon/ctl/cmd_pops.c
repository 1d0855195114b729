/* cmd_pops.c - pops: screen pops as they happen, a line each. */
#include <ctl/cmd.h>

#include <mem.h>
#include <str.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct watch {
	struct ctl *ctl;
	int64_t left;	/* pops to show; < 0 = no end */
	bool after_gap; /* told already */
};

static enum color
pop_color(const char *type, const char *state)
{
	if (str_eq(type, "pop.close"))
		return COLOR_DIM;
	return str_eq(state, "talking") || str_eq(state, "active") ? COLOR_GOOD
	       : str_eq(state, "held") || str_eq(state, "wrapup")  ? COLOR_NAME
								   : COLOR_WARN;
}

/* Left-aligned to `width` columns and two blanks; text is safe. */
static void
add_padded(struct buf *b, const char *text, unsigned width)
{
	unsigned w = print_width(text);
	buf_adds(b, text);
	buf_printf(b, "%*s", w < width ? (int)(width - w + 2) : 2, "");
}

/* Who is at the other end: number, name, how sure that is. */
static void
add_who(struct buf *b, const json_t *pop)
{
	const char *name = value_text(pop, "contact.name");
	const char *organisation = value_text(pop, "contact.organisation.name");
	size_t candidates = json_array_size(value_at(pop, "candidates"));
	const char *trust = value_text(pop, "remote.trust");
	if (!name)
		name = value_text(pop, "remote.display");
	cmd_remote(b, value_at(pop, "remote"));
	if (!str_empty(name)) {
		buf_addc(b, ' ');
		print_safe(b, name);
	}
	if (!str_empty(organisation)) {
		buf_adds(b, ", ");
		print_safe(b, organisation);
	}
	if (value_flag(pop, "contact.vip"))
		buf_adds(b, " [VIP]");
	if (candidates)
		buf_printf(b, " (one of %zu contacts)", candidates);
	else if (str_eq(trust, "claimed"))
		buf_adds(b, " (unverified)");
	else if (trust && value_text(pop, "remote.value")) {
		buf_adds(b, " (");
		print_safe(b, trust);
		buf_addc(b, ')');
	}
}

static void
add_details(struct buf *b, const json_t *pop)
{
	const char *queue = value_text(pop, "queue"),
		   *reason = value_text(pop, "reason");
	bool opens = str_eq(value_text(pop, "type"), "pop.open");
	bool to_agent = value_text(pop, "agent");
	const char *sep = "  ";
	if (reason) {
		buf_adds(b, sep);
		print_safe(b, reason);
		sep = ", ";
	}
	if (opens && str_eq(value_text(pop, "direction"), "out")) {
		buf_printf(b, "%soutgoing", sep);
		sep = ", ";
	}
	if (opens && queue && to_agent) {
		buf_printf(b, "%squeue ", sep);
		print_safe(b, queue);
		sep = ", ";
	}
	if (opens && value_int(pop, "waited_ms") > 0) {
		buf_printf(b, "%swaited ", sep);
		print_duration(b, value_int(pop, "waited_ms"));
		sep = ", ";
	}
	if (value_flag(pop, "degraded"))
		buf_printf(b, "%sdegraded: no contact data yet", sep);
}

static void
add_target(struct buf *b, const json_t *pop)
{
	struct buf who = BUF_INIT;
	const char *agent = value_text(pop, "agent");
	if (!agent)
		buf_adds(&who, "queue ");
	print_safe(&who, agent ? agent : value_text(pop, "queue"));
	add_padded(b, buf_str(&who), 8);
	buf_fini(&who);
}

/* 15:04:05  1002      ringing   +886912345678 示例客户 (network)  queue support, … */
static void
show_pop(const struct ctl *ctl, const json_t *pop)
{
	const char *type = value_text(pop, "type"), *state = value_text(pop, "state");
	bool closes = str_eq(type, "pop.close");
	struct buf b = BUF_INIT, word = BUF_INIT;
	print_clock(&b, value_text(pop, "at"));
	buf_adds(&b, "  ");
	add_target(&b, pop);
	buf_adds(&b, print_color(ctl, pop_color(type, state)));
	print_safe(&word, closes ? "closed" : state);
	add_padded(&b, buf_str(&word), 8);
	buf_adds(&b, print_color(ctl, COLOR_NONE));
	add_who(&b, pop);
	add_details(&b, pop);
	buf_printf(&b, "   %sseq %" PRId64 "%s", print_color(ctl, COLOR_DIM),
		value_int(pop, "seq"), print_color(ctl, COLOR_NONE));
	puts(buf_str(&b));
	buf_fini(&b);
	buf_fini(&word);
}

/* What is no pop: ready, gap. */
static void
note(struct watch *w, const char *type)
{
	if (str_eq(type, "ready"))
		fprintf(stderr, "Watching %s of tenant %s; Ctrl-C ends.\n",
			"screen pops", w->ctl->tenant ? w->ctl->tenant : "default");
	else if (str_eq(type, "gap") && !w->after_gap)
		fputs("The daemon lost its connection to Redis for a while; some pops "
		      "may not have been shown.\n",
			stderr);
	w->after_gap = str_eq(type, "gap");
}

static bool
on_data(void *arg, const char *data, size_t len)
{
	struct watch *w = arg;
	json_t *o = json_loadb(data, len, 0, NULL);
	const char *type = value_text(o, "type");
	bool is_pop = str_starts(type ? type : "", "pop.");
	if (is_pop && w->ctl->json)
		puts(data);
	else if (is_pop)
		show_pop(w->ctl, o);
	else if (type)
		note(w, type);
	if (is_pop) {
		w->after_gap = false;
		w->left -= w->left > 0;
	}
	json_decref(o);
	/* A reader that has gone away ends the watch. */
	bool written = fflush(stdout) == 0;
	w->ctl->reader_gone = !written && errno == EPIPE;
	return w->left != 0 && written;
}

static void
on_lost(void *arg, const char *why)
{
	(void)arg;
	if (why)
		fprintf(stderr,
			"Lost the daemon (%s); trying again. Pops meanwhile are not "
			"shown.\n",
			why);
	else
		fputs("Connected again.\n", stderr);
}

static int
run_pops(struct ctl *ctl, const struct ctl_args *a)
{
	struct watch w = {.ctl = ctl, .left = -1};
	const struct client_stream to = {on_data, on_lost, &w};
	struct buf path = BUF_INIT;
	int rc = args_int(a, "count", 1, INT64_C(1000000000), &w.left);
	if (rc)
		return rc;
	buf_adds(&path, "/v1/pops/stream");
	client_query_add(&path, "agent", args_get(a, "agent"));
	client_query_add(&path, "queue", args_get(a, "queue"));
	rc = client_stream(ctl, buf_str(&path), &to);
	buf_fini(&path);
	return rc;
}

static const struct ctl_option options[] = {
	{"agent", "ID", "only this agent's"},
	{"queue", "ID", "only this queue's: what waits before an agent is chosen"},
	{"count", "N", "end after N pops"},
	{NULL, NULL, NULL},
};

const struct ctl_command cmd_pops = {
	.name = "pops",
	.usage = "[--agent A] [--queue Q] [--count N]",
	.group = "What is going on",
	.summary = "watch screen pops as they happen",
	.help = "One line for each pop that opens, changes or closes: when, whose screen,\n"
		"what the call does, who is at the other end and how sure that is\n"
		"(network: the phone system says so; unverified: only the sender does).\n"
		"Reconnects by itself. With --json each pop is one line, as on Redis.\n\n"
		"  interactctl pops\n"
		"  interactctl pops --agent 1002\n"
		"  interactctl pops --json | jq -c '[.agent, .state, .contact.name]'\n",
	.options = options,
	.run = run_pops,
};
