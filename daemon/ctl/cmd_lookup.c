/* cmd_lookup.c - lookup: the tenant's own system asked about a number, and what came of
 * it. */
#include <ctl/cmd.h>

#include <str.h>

#include <stdio.h>

static void
show_list(const struct ctl *ctl, const char *name, const json_t *list)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		value_print_field(
			ctl, name, json_string_value(json_array_get(list, i)));
}

static int
show_trial(const struct ctl *ctl, const json_t *o)
{
	const char *outcome = value_text(o, "outcome");
	json_t *shown = json_copy((json_t *)(uintptr_t)o);
	json_object_del(shown, "found");
	json_object_del(shown, "ignored");
	value_print(ctl, shown);
	json_decref(shown);
	show_list(ctl, "ignored", value_at(o, "ignored"));
	if (json_is_object(value_at(o, "found"))) {
		putchar('\n');
		value_print(ctl, value_at(o, "found"));
	}
	return str_eq(outcome, "found")	    ? CTL_OK
	       : str_eq(outcome, "unknown") ? CTL_NOT_FOUND
					    : CTL_REFUSED;
}

static int
run_lookup(struct ctl *ctl, const struct ctl_args *a)
{
	json_t *body = json_pack("{s:s}", "number", a->words[0]);
	const char *channel = args_get(a, "channel"), *queue = args_get(a, "queue");
	if (channel)
		json_object_set_new(body, "channel", json_string(channel));
	if (queue)
		json_object_set_new(body, "queue", json_string(queue));
	int rc = cmd_run(ctl, "POST", "/v1/lookup", body, show_trial);
	json_decref(body);
	return rc;
}

static const struct ctl_option lookup_options[] = {
	{"channel", "NAME", "for {channel} in the URL"},
	{"queue", "NAME", "for {queue} in the URL"},
	{NULL, NULL, NULL},
};

const struct ctl_command cmd_lookup = {
	.name = "lookup",
	.usage = "NUMBER",
	.group = "Keeping it running",
	.summary = "ask your own system (lookup_url) about a number",
	.help = "What a call from a stranger with this number would ask, afresh, and what\n"
		"came of it: the URL, status and time, what was found, which members of\n"
		"the answer were no good; `breaker open` means that calls do not ask for\n"
		"now, because it failed. Nothing is stored. Exit code 4 if the number is\n"
		"not known there, 1 if the system failed.\n\n"
		"  interactctl lookup 0912345678\n",
	.options = lookup_options,
	.min_words = 1,
	.max_words = 1,
	.run = run_lookup,
};
