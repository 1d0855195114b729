/* cmd_decide.c - decide: may this contact be contacted, how, and if not: why? */
#include <ctl/cmd.h>

#include <str.h>

#include <stdio.h>
#include <string.h>

static void
add_way(struct table *t, const json_t *way)
{
	const char *reason = value_text(way, "reason");
	bool open = str_eq(reason, "preferred") || str_eq(reason, "fallback") ||
		    str_eq(reason, "requested");
	struct buf to = BUF_INIT;

	if (json_is_object(value_at(way, "identity")))
		cmd_identity(&to, value_at(way, "identity"));
	table_cell(t, value_text(way, "kind"));
	table_cell(t, buf_str(&to));
	table_cell_color(t, open ? COLOR_GOOD : COLOR_WARN, reason);
	table_cell(t, value_text(way, "text"));
	table_cell_time(t, value_text(way, "until"));
	buf_fini(&to);
}

/* "yes, by sms to phone:+886…: the contact prefers this kind" */
static void
put_verdict(const struct ctl *ctl, const json_t *o)
{
	bool yes = value_flag(o, "allowed");
	const char *until = value_text(o, "until"), *kind = value_text(o, "kind");
	struct buf b = BUF_INIT;

	if (kind) {
		buf_adds(&b, ", by ");
		print_safe(&b, kind);
	}
	if (json_is_object(value_at(o, "identity"))) {
		buf_adds(&b, " to ");
		cmd_identity(&b, value_at(o, "identity"));
	}
	buf_adds(&b, ": ");
	print_safe(&b, value_text(o, "text"));
	if (until) {
		buf_adds(&b, "; from ");
		print_time(&b, until);
		buf_adds(&b, " on");
	}
	printf("%s%s%s%s\n", print_color(ctl, yes ? COLOR_GOOD : COLOR_BAD),
		yes	? "yes"
		: until ? "not now"
			: "no",
		print_color(ctl, COLOR_NONE), buf_str(&b));
	buf_fini(&b);
}

static int
show_decision(const struct ctl *ctl, const json_t *o)
{
	const json_t *ways = value_at(o, "considered");

	put_verdict(ctl, o);
	if (json_array_size(ways)) {
		putchar('\n');
		struct table *t = table_new(ctl, "WAY|~TO|REASON|~WHY|UNTIL");
		for (size_t i = 0; i < json_array_size(ways); i++)
			add_way(t, json_array_get(ways, i));
		table_end(&t, "");
	}
	return value_flag(o, "allowed") ? CTL_OK : CTL_REFUSED;
}

/* "phone:+886…" to {kind, value}; the daemon says what is wrong with them. */
static int
add_identity(json_t *body, const char *text)
{
	size_t n = text ? strcspn(text, ":") : 0;

	if (!text)
		return 0;
	if (!n || !text[n])
		return args_wrong("decide",
			"--identity %s: KIND:VALUE, as in phone:+886912345678", text);
	json_object_set_new(body, "identity",
		json_pack("{s:s%, s:s}", "kind", text, n, "value", text + n + 1));
	return 0;
}

static int
run_decide(struct ctl *ctl, const struct ctl_args *a)
{
	static const char *const texts[] = {"purpose", "kind", "at", "expires"};
	struct buf path = BUF_INIT;
	char id[37];
	json_t *body = json_object();
	int rc = args_has(a, "purpose")
			 ? add_identity(body, args_get(a, "identity"))
			 : args_wrong("decide", "say what for: --purpose service, …");

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (args_has(a, texts[i]))
			json_object_set_new(
				body, texts[i], json_string(args_get(a, texts[i])));
	if (args_has(a, "requested"))
		json_object_set_new(body, "requested", json_true());
	if (!rc)
		rc = cmd_contact_id(ctl, a->words[0], id);
	if (!rc) {
		buf_printf(&path, "/v1/contacts/%s/decide", id);
		rc = cmd_run(ctl, "POST", buf_str(&path), body, show_decision);
	}
	json_decref(body);
	buf_fini(&path);
	return rc;
}

static const struct ctl_option options[] = {
	{"purpose", "PURPOSE", "transactional, service, survey or marketing"},
	{"kind", "KIND",
		"by this only: email, sms, chat, fax, letter, phone or visit; auto, "
		"whichever may carry a message, without it"},
	{"identity", "KIND:VALUE", "to this address of theirs only"},
	{"at", "TIME", "then instead of now: 2026-12-24T20:00:00+08:00"},
	{"expires", "TIME", "of no use later than this"},
	{"requested", NULL,
		"the customer asked for it just now, e.g. for a code; transactional only"},
	{NULL, NULL, NULL},
};

const struct ctl_command cmd_decide = {
	.name = "decide",
	.usage = "CONTACT --purpose PURPOSE [--at TIME]",
	.group = "People",
	.summary = "may we contact them, how, and if not: why, and when then?",
	.help = "What the gate would say, without sending anything: each way in the order in\n"
		"which it was tried, what stopped it, and until when. CONTACT as in `contact\n"
		"show`. Exit code 1 if it may not go now.\n\n"
		"  interactctl decide +8613800138000 --purpose marketing\n"
		"  interactctl decide +8613800138000 --purpose service --kind phone \\\n"
		"      --at 2026-12-24T20:00:00+08:00\n",
	.options = options,
	.min_words = 1,
	.max_words = 1,
	.run = run_decide,
};
