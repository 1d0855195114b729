/* cmd_preference.c - preferences: what a contact wants, shown and changed. */
#include <ctl/cmd.h>
#include <ctl/wish.h>

#include <mem.h>
#include <str.h>

#include <stdio.h>
#include <string.h>

/* ---- Words of options --------------------------------------------------------------- */

json_t *
wish_parse(const char *text)
{
	size_t n = strcspn(text, ":");
	const char *purpose = text[n] ? text + n + 1 : "";
	size_t m = strcspn(purpose, ":");
	const char *address = purpose[m] ? purpose + m + 1 : NULL;
	const char *colon = address ? strchr(address, ':') : NULL;

	if (!n || !m || (address && (!colon || !colon[1])))
		return NULL;
	json_t *o = json_object();
	json_object_set_new(o, "kind", json_stringn(text, n));
	json_object_set_new(o, "purpose", json_stringn(purpose, m));
	if (address)
		json_object_set_new(o, "identity",
			json_pack("{s:s%, s:s}", "kind", address,
				(size_t)(colon - address), "value", colon + 1));
	return o;
}

/* "mon-fri 21:00-08:00" */
static json_t *
parse_quiet(const char *text)
{
	size_t n = strcspn(text, " ");
	const char *from = text[n] ? text + n + 1 : "";
	const char *to = strchr(from, '-');

	if (!n || !to)
		return NULL;
	return json_pack("{s:s%, s:s%, s:s}", "days", text, n, "from", from,
		(size_t)(to - from), "to", to + 1);
}

/* ---- Showing ------------------------------------------------------------------------ */

void
wish_text(struct buf *out, const json_t *wish)
{
	const json_t *identity = value_at(wish, "identity");

	print_safe(out, value_text(wish, "kind"));
	buf_addc(out, ':');
	print_safe(out, value_text(wish, "purpose"));
	if (json_is_object(identity)) {
		buf_addc(out, ':');
		cmd_identity(out, identity);
	}
}

static void
show_wishes(const struct ctl *ctl, const char *name, const json_t *list)
{
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < json_array_size(list); i++) {
		buf_adds(&b, i ? ", " : "");
		wish_text(&b, json_array_get(list, i));
	}
	value_print_field(ctl, name, b.len ? buf_str(&b) : "-");
	buf_fini(&b);
}

static void
show_quiet(const struct ctl *ctl, const json_t *list)
{
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *q = json_array_get(list, i);
		buf_printf(&b, "%s%s %s-%s", i ? ", " : "", value_text(q, "days"),
			value_text(q, "from"), value_text(q, "to"));
	}
	value_print_field(ctl, "quiet_hours", b.len ? buf_str(&b) : "-");
	buf_fini(&b);
}

static int
show_preferences(const struct ctl *ctl, const json_t *o)
{
	struct buf b = BUF_INIT;

	if (value_flag(o, "do_not_contact"))
		printf("%sDo not contact%s\n", print_color(ctl, COLOR_BAD),
			print_color(ctl, COLOR_NONE));
	value_join(&b, value_at(o, "preferred"));
	value_print_field(ctl, "contact", value_text(o, "contact"));
	value_print_field(ctl, "preferred", b.len ? buf_str(&b) : "-");
	show_wishes(ctl, "denied", value_at(o, "denied"));
	show_wishes(ctl, "allowed", value_at(o, "allowed"));
	show_quiet(ctl, value_at(o, "quiet_hours"));
	if (value_text(o, "source"))
		value_print_field(ctl, "source", value_text(o, "source"));
	buf_fini(&b);
	return CTL_OK;
}

/* ---- Changing ----------------------------------------------------------------------- */

/* Each value of an option into a list; "" gives an empty one. */
static int
add_list(const struct ctl_args *a, const char *option, const char *member,
	json_t *(*parse)(const char *), const char *form, json_t *body)
{
	json_t *list = json_array();
	const char *text;
	int rc = 0;

	for (unsigned n = 0; !rc && (text = args_nth(a, option, n)); n++) {
		json_t *v = *text ? parse(text) : NULL;
		if (v)
			json_array_append_new(list, v);
		else if (*text)
			rc = args_wrong(
				"preferences", "--%s %s: %s", option, text, form);
	}
	if (args_has(a, option))
		json_object_set(body, member, list);
	json_decref(list);
	return rc;
}

static int
read_options(const struct ctl_args *a, json_t *body)
{
	static const char form[] = "KIND:PURPOSE, maybe with an address, as in "
				   "sms:marketing:phone:+886912345678";
	const char *silent = args_get(a, "do-not-contact");
	const char *source = args_get(a, "source");
	int rc = add_list(a, "preferred", "preferred", json_string, "a kind", body);

	if (!rc)
		rc = add_list(a, "quiet", "quiet_hours", parse_quiet,
			"DAYS FROM-TO, as in 'mon-fri 21:00-08:00'", body);
	if (!rc)
		rc = add_list(a, "deny", "denied", wish_parse, form, body);
	if (!rc)
		rc = add_list(a, "allow", "allowed", wish_parse, form, body);
	if (!rc && silent && !str_eq(silent, "yes") && !str_eq(silent, "no"))
		rc = args_wrong(
			"preferences", "--do-not-contact %s: yes or no", silent);
	if (silent)
		json_object_set_new(
			body, "do_not_contact", json_boolean(str_eq(silent, "yes")));
	if (!rc && !json_object_size(body))
		rc = args_wrong("preferences", "say what: --preferred, --deny …");
	if (source)
		json_object_set_new(body, "source", json_string(source));
	return rc;
}

/* The API replaces these two; here what is not given stays. */
static int
keep_rest(struct ctl *ctl, const char *path, json_t *body)
{
	static const char *const kept[] = {"preferred", "quiet_hours"};
	struct client_answer a;
	int rc = client_call(ctl, "GET", path, NULL, &a);

	for (size_t i = 0; !rc && i < ARRAY_LEN(kept); i++)
		if (!json_object_get(body, kept[i]))
			json_object_set(body, kept[i], value_at(a.json, kept[i]));
	client_answer_fini(&a);
	return rc;
}

static int
change(struct ctl *ctl, const struct ctl_args *a, const char *path)
{
	json_t *body = json_object();
	int rc = read_options(a, body);

	if (!rc)
		rc = keep_rest(ctl, path, body);
	if (!rc)
		rc = cmd_run(ctl, "PUT", path, body, show_preferences);
	json_decref(body);
	return rc;
}

/* ---- Their own page ------------------------------------------------------------------ */

static int
show_link(const struct ctl *ctl, const json_t *o)
{
	value_print_field(ctl, "url",
		value_text(o, "url") ? value_text(o, "url") : "told before, once");
	value_print_field(ctl, "expires", value_text(o, "expires_at"));
	return CTL_OK;
}

static int
show_revoked(const struct ctl *ctl, const json_t *o)
{
	(void)ctl;
	printf("%lld links ended\n",
		(long long)json_integer_value(value_at(o, "revoked")));
	return CTL_OK;
}

static int
run_link(struct ctl *ctl, const struct ctl_args *a, const char *id)
{
	const char *to = args_get(a, "to"), *colon = to ? strchr(to, ':') : NULL;
	bool revoke = args_has(a, "revoke");
	struct buf path = BUF_INIT;
	json_t *body = json_object();
	int rc = 0;

	if (a->n_given != (revoke ? 1u : to ? 1u : 0u))
		rc = args_wrong("preferences", "link: --to ADDRESS or --revoke alone");
	else if (to && !colon)
		rc = args_wrong("preferences",
			"--to %s: an address as in phone:+886912345678", to);
	else if (to)
		json_object_set_new(body, "identity",
			json_pack("{s:s%, s:s}", "kind", to, (size_t)(colon - to),
				"value", colon + 1));
	buf_printf(&path, "/v1/contacts/%s/page", id);
	if (!rc && revoke)
		rc = cmd_run(ctl, "DELETE", buf_str(&path), NULL, show_revoked);
	else if (!rc)
		rc = cmd_run(ctl, "POST", buf_str(&path), body, show_link);
	json_decref(body);
	buf_fini(&path);
	return rc;
}

static int
run_preferences(struct ctl *ctl, const struct ctl_args *a)
{
	char id[37];
	struct buf path = BUF_INIT;
	bool link = a->n_words == 2 && str_eq(a->words[1], "link");
	bool set = a->n_words == 2 && !link;

	if (set && !str_eq(a->words[1], "set"))
		return args_wrong("preferences", "%s: only `set` and `link` are known",
			a->words[1]);
	if (!link && (args_has(a, "to") || args_has(a, "revoke")))
		return args_wrong("preferences", "--to and --revoke are of `link`");
	if (!set && !link && a->n_given)
		return args_wrong("preferences",
			"to change them say `preferences %s set`", a->words[0]);
	int rc = cmd_contact_id(ctl, a->words[0], id);
	if (rc)
		return rc;
	if (link)
		return run_link(ctl, a, id);
	buf_printf(&path, "/v1/contacts/%s/preferences", id);
	rc = set ? change(ctl, a, buf_str(&path))
		 : cmd_run(ctl, "GET", buf_str(&path), NULL, show_preferences);
	buf_fini(&path);
	return rc;
}

static const struct ctl_option options[] = {
	{"preferred", "KIND",
		"how they like to be reached: sms, phone, email, chat, letter, visit, fax; "
		"may be given several times, the best first; '' takes the order away"},
	{"deny", "KIND:PURPOSE[:ADDRESS]",
		"no more of it: transactional, service, survey or marketing; may be given "
		"several times"},
	{"allow", "KIND:PURPOSE[:ADDRESS]",
		"they want it; ends a denial of the same; may be given several times"},
	{"quiet", "DAYS FROM-TO",
		"when not, in their own time zone: 'mon-fri 21:00-08:00'; may be given "
		"several times; '' takes them away"},
	{"do-not-contact", "yes|no", "leave them alone"},
	{"source", "TEXT", "where that was said: a form, a call"},
	{"to", "KIND:ADDRESS", "of `link`: the address of theirs that it is sent to"},
	{"revoke", NULL, "of `link`: ends all their links"},
	{NULL, NULL, NULL},
};

const struct ctl_command cmd_preferences = {
	.name = "preferences",
	.usage = "CONTACT [set --deny sms:marketing ...|link]",
	.group = "People",
	.summary = "what a contact wants: channels, consent, quiet hours",
	.help = "CONTACT as in `contact show`. What is not given stays. What is denied stays\n"
		"denied until the same is allowed. Of merged contacts the strictest counts.\n"
		"`link` makes a link to their own page, for a mail or an SMS.\n\n"
		"  interactctl preferences +8613800138000\n"
		"  interactctl preferences +8613800138000 set --preferred sms \\\n"
		"      --deny email:marketing --quiet 'mon-fri 21:00-08:00'\n"
		"  interactctl preferences +8613800138000 set --do-not-contact yes\n"
		"  interactctl preferences +8613800138000 link --to phone:+8613800138000\n",
	.options = options,
	.min_words = 1,
	.max_words = 2,
	.run = run_preferences,
};
