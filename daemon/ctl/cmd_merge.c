/* cmd_merge.c - contact merge, unmerge; suggestions list, accept, reject. */
#include <ctl/cmd.h>

#include <str.h>

#include <stdio.h>

#define GROUP "People"

/* ---- merge, unmerge --------------------------------------------------------------- */

/* POST /v1/contacts/{words[0]}/VERB {MEMBER: words[1]}. */
static int
send_pair(struct ctl *ctl, const struct ctl_args *a, const char *verb,
	const char *member, bool force)
{
	char id[37], other[37];
	struct buf path = BUF_INIT;
	int rc = cmd_contact_id(ctl, a->words[0], id);
	if (!rc)
		rc = cmd_contact_id(ctl, a->words[1], other);
	if (rc)
		return rc;
	json_t *body = json_pack("{s:s}", member, other);
	if (force)
		json_object_set_new(body, "force", json_true());
	buf_printf(&path, "/v1/contacts/%s/%s", id, verb);
	rc = cmd_run(ctl, "POST", buf_str(&path), body, cmd_contact_print);
	json_decref(body);
	buf_fini(&path);
	return rc;
}

static int
run_merge(struct ctl *ctl, const struct ctl_args *a)
{
	return send_pair(ctl, a, "merge", "from", args_has(a, "force"));
}

static const struct ctl_option merge_options[] = {
	{"force", NULL, "also if they have different external ids of one namespace"},
	{NULL, NULL, NULL},
};

const struct ctl_command cmd_contact_merge = {
	.name = "contact merge",
	.usage = "INTO FROM [--force]",
	.group = GROUP,
	.summary = "two contacts are one person: FROM becomes part of INTO",
	.help = "INTO and FROM as in `contact show`. Addresses and timeline are one from then\n"
		"on; FROM's id shows INTO. Nothing is lost: see `contact unmerge`.\n\n"
		"  interactctl contact merge +8613800138000 li@example.cn\n",
	.options = merge_options,
	.min_words = 2,
	.max_words = 2,
	.run = run_merge,
};

static int
run_unmerge(struct ctl *ctl, const struct ctl_args *a)
{
	return send_pair(ctl, a, "unmerge", "contact", false);
}

const struct ctl_command cmd_contact_unmerge = {
	.name = "contact unmerge",
	.usage = "CONTACT MEMBER",
	.group = GROUP,
	.summary = "take a merged contact out again, as it was",
	.help = "MEMBER is the id of the contact that was merged (`interactctl audit\n"
		"--object contact` and the merge's answer have it). It has its addresses and\n"
		"entries again, with those that came by its addresses meanwhile.\n\n"
		"  interactctl contact unmerge +8613800138000 0190e5a1-...\n",
	.min_words = 2,
	.max_words = 2,
	.run = run_unmerge,
};

/* ---- suggestions ------------------------------------------------------------------ */

static void
add_evidence(struct buf *out, const json_t *list)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *e = json_array_get(list, i);
		const json_t *trust = value_at(e, "trust");
		buf_adds(out, i ? ", " : "");
		cmd_identity(out, e);
		buf_addc(out, ' ');
		print_safe(out, json_string_value(json_array_get(trust, 0)));
		buf_addc(out, '/');
		print_safe(out, json_string_value(json_array_get(trust, 1)));
	}
}

static void
add_contact(struct table *t, const json_t *o)
{
	struct buf b = BUF_INIT;
	const char *name = value_text(o, "name");
	print_safe(&b, str_empty(name) ? "(no name)" : name);
	buf_printf(&b, " %.36s", value_text(o, "id"));
	table_cell(t, buf_str(&b));
	buf_fini(&b);
}

static int
show_list(const struct ctl *ctl, const json_t *o)
{
	const json_t *items = value_at(o, "items");
	struct table *t =
		table_new(ctl, "ID|~ONE|~OTHER|~WHY|~EVIDENCE (TRUST OF BOTH)|MADE");
	for (size_t i = 0; i < json_array_size(items); i++) {
		const json_t *s = json_array_get(items, i);
		const json_t *contacts = value_at(s, "contacts");
		struct buf evidence = BUF_INIT;
		add_evidence(&evidence, value_at(s, "evidence"));
		table_cell(t, value_text(s, "id"));
		add_contact(t, json_array_get(contacts, 0));
		add_contact(t, json_array_get(contacts, 1));
		table_cell(t, value_text(s, "reason"));
		table_cell(t, buf_str(&evidence));
		table_cell_time(t, value_text(s, "made_at"));
		buf_fini(&evidence);
	}
	table_end(&t, "No suggestions.");
	cmd_more(o, "--cursor");
	return CTL_OK;
}

static int
run_list(struct ctl *ctl, const struct ctl_args *a)
{
	struct buf path = BUF_INIT;
	buf_adds(&path, "/v1/merge-suggestions");
	client_query_add(&path, "state", args_get(a, "state"));
	client_query_add(&path, "limit", args_get(a, "limit"));
	client_query_add(&path, "cursor", args_get(a, "cursor"));
	int rc = cmd_run(ctl, "GET", buf_str(&path), NULL, show_list);
	buf_fini(&path);
	return rc;
}

static const struct ctl_option list_options[] = {
	{"state", "STATE", "open, accepted or rejected (open)"},
	{"limit", "N", "at most N, 1 to 200 (50)"},
	{"cursor", "CURSOR", "go on where the last page ended"},
	{NULL, NULL, NULL},
};

const struct ctl_command cmd_suggestions_list = {
	.name = "suggestions list",
	.usage = "[--state STATE]",
	.group = GROUP,
	.summary = "contacts that may be one person",
	.help = "Why: claimed_address, one of them only says that it has the other's\n"
		"address; earlier_holder, a number was silent for long and calls again;\n"
		"same_name, they share an address and a name.\n",
	.options = list_options,
	.run = run_list,
};

static int
send_decision(struct ctl *ctl, const char *id, const char *verb, const json_t *body,
	cmd_show_fn *show)
{
	struct buf path = BUF_INIT;
	buf_adds(&path, "/v1/merge-suggestions");
	client_path_add(&path, id);
	buf_printf(&path, "/%s", verb);
	int rc = cmd_run(ctl, "POST", buf_str(&path), body, show);
	buf_fini(&path);
	return rc;
}

static int
run_accept(struct ctl *ctl, const struct ctl_args *a)
{
	char survivor[37] = "";
	int rc = args_has(a, "survivor")
			 ? cmd_contact_id(ctl, args_get(a, "survivor"), survivor)
			 : CTL_OK;
	if (rc)
		return rc;
	json_t *body = json_object();
	if (*survivor)
		json_object_set_new(body, "survivor", json_string(survivor));
	if (args_has(a, "force"))
		json_object_set_new(body, "force", json_true());
	rc = send_decision(ctl, a->words[0], "accept", body, cmd_contact_print);
	json_decref(body);
	return rc;
}

static const struct ctl_option accept_options[] = {
	{"survivor", "ID", "which of the two stays (the named one, else the elder)"},
	{"force", NULL, "also if they have different external ids of one namespace"},
	{NULL, NULL, NULL},
};

const struct ctl_command cmd_suggestions_accept = {
	.name = "suggestions accept",
	.usage = "ID [--survivor ID]",
	.group = GROUP,
	.summary = "they are one: merge them",
	.help = "Undone by `contact unmerge`.\n",
	.options = accept_options,
	.min_words = 1,
	.max_words = 1,
	.run = run_accept,
};

static int
show_rejected(const struct ctl *ctl, const json_t *o)
{
	(void)ctl;
	(void)o;
	puts("Rejected; these two are not suggested again.");
	return CTL_OK;
}

static int
run_reject(struct ctl *ctl, const struct ctl_args *a)
{
	return send_decision(ctl, a->words[0], "reject", NULL, show_rejected);
}

const struct ctl_command cmd_suggestions_reject = {
	.name = "suggestions reject",
	.usage = "ID",
	.group = GROUP,
	.summary = "they are two: never suggest this again",
	.min_words = 1,
	.max_words = 1,
	.run = run_reject,
};
