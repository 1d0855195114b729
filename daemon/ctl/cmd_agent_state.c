/* cmd_agent_state.c - agent state: what an agent does now, and saying so. */
#include <ctl/cmd.h>

#include <clock.h>
#include <mem.h>
#include <str.h>

#include <stdio.h>

static enum color
state_color(const char *state)
{
	if (str_eq(state, "available"))
		return COLOR_GOOD;
	return str_eq(state, "offline") ? COLOR_DIM : COLOR_WARN;
}

void
cmd_agent_state_cells(struct table *t, const json_t *state)
{
	struct buf b = BUF_INIT;
	const char *what = value_text(state, "state"),
		   *reason = value_text(state, "reason");
	buf_adds(&b, what ? what : "");
	if (reason)
		buf_printf(&b, " (%s)", reason);
	if (value_flag(state, "on_call"))
		buf_adds(&b, " (talks)");
	table_cell_color(t, state_color(what), buf_str(&b));
	table_cell_time(t, value_text(state, "since"));
	buf_fini(&b);
}

static int
show_state(const struct ctl *ctl, const json_t *o)
{
	value_print(ctl, o);
	return CTL_OK;
}

/* The wish, or NULL and *rc_r after a message. */
static json_t *
read_wish(const struct ctl_args *a, int *rc_r)
{
	char until[CLOCK_RFC3339_LEN];
	int64_t for_s = 0;
	*rc_r = args_seconds("agent state", "for", args_get(a, "for"), &for_s);
	if (*rc_r)
		return NULL;
	json_t *body = json_object();
	json_object_set_new(body, "state", json_string(a->words[1]));
	if (args_has(a, "reason"))
		json_object_set_new(body, "reason", json_string(args_get(a, "reason")));
	if (for_s)
		json_object_set_new(body, "until",
			json_string(clock_format(
				until, clock_wall_us() + for_s * 1000000)));
	return body;
}

static int
run_state(struct ctl *ctl, const struct ctl_args *a)
{
	struct buf path = BUF_INIT;
	json_t *body = NULL;
	int rc = CTL_OK;
	if (a->n_words > 1)
		body = read_wish(a, &rc);
	else if (args_has(a, "reason") || args_has(a, "for"))
		rc = args_wrong("agent state", "say which state");
	if (rc == CTL_OK) {
		buf_adds(&path, "/v1/agents");
		client_path_add(&path, a->words[0]);
		buf_adds(&path, "/state");
		rc = cmd_run(
			ctl, body ? "PUT" : "GET", buf_str(&path), body, show_state);
	}
	json_decref(body);
	buf_fini(&path);
	return rc;
}

static const struct ctl_option state_options[] = {
	{"reason", "TEXT", "why, of paused and offline"},
	{"for", "TIME", "of wrapup: how long, 90, 5m; at most 1d"},
	{NULL, NULL, NULL},
};

const struct ctl_command cmd_agent_state = {
	.name = "agent state",
	.usage = "ID [available|paused|wrapup|offline] [--reason TEXT] [--for TIME]",
	.group = "Agents",
	.summary = "what an agent does now; or say so for them",
	.help = "What is said is passed to the phone systems' queues too: `phone` is ok when\n"
		"they have it, pending while they are away, refused with phone_why.\n\n"
		"  interactctl agent state 1001\n"
		"  interactctl agent state 1001 paused --reason lunch\n"
		"  interactctl agent state 1001 wrapup --for 5m\n",
	.options = state_options,
	.min_words = 1,
	.max_words = 2,
	.run = run_state,
};
