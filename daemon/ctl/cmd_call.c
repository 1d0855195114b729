/* cmd_call.c - call dial: an agent's phone rings, then somebody is called. */
#include <ctl/cmd.h>

#include <mem.h>
#include <str.h>

#include <stdio.h>

static int
show_placed(const struct ctl *ctl, const json_t *o)
{
	(void)ctl;
	printf("%s rings; picked up, it calls %s by %s.\n"
	       "interactctl interaction show %s\n",
		value_text(o, "interface"), value_text(o, "to"),
		value_text(o, "channel"), value_text(o, "id"));
	return CTL_OK;
}

static int
run_dial(struct ctl *ctl, const struct ctl_args *a)
{
	json_t *body = json_pack("{s:s, s:s}", "agent", a->words[0], "to", a->words[1]);
	const char *channel = args_get(a, "channel");
	if (!body)
		return args_wrong("call dial", "AGENT and NUMBER must be UTF-8 text");
	if (channel)
		json_object_set_new(body, "channel", json_string(channel));
	int rc = cmd_run(ctl, "POST", "/v1/calls", body, show_placed);
	json_decref(body);
	return rc;
}

static const struct ctl_option dial_options[] = {
	{"channel", "NAME",
		"the phone system; else the one where the agent has a phone"},
	{NULL, NULL, NULL},
};

const struct ctl_command cmd_call_dial = {
	.name = "call dial",
	.usage = "AGENT NUMBER [--channel NAME]",
	.group = "What is going on",
	.summary = "ring an agent's phone, then call a number",
	.help = "The agent's phone rings first; once it is picked up, the number is called\n"
		"through the dialplan (dial_context). Which numbers may be called says the\n"
		"channel's dial_allow. How it went is in the interaction.\n\n"
		"  interactctl call dial 1001 0912-345-678\n",
	.options = dial_options,
	.min_words = 2,
	.max_words = 2,
	.run = run_dial,
};
