/* cmd_access.c - apikey create, set, list, revoke; audit: who may, and who did. */
#include <ctl/cmd.h>

#include <str.h>

#include <stdio.h>

#define GROUP "Access"

static int
show_key(const struct ctl *ctl, const json_t *o)
{
	(void)ctl;
	print_text(value_text(o, "key"));
	putchar('\n');
	fflush(stdout);
	fputs("Keep it now: it is stored as a hash and not shown again.\n", stderr);
	return CTL_OK;
}

static int
run_create(struct ctl *ctl, const struct ctl_args *a)
{
	const char *role = args_get(a, "role");
	if (!role)
		return args_wrong("apikey create",
			"give --role: admin, supervisor, agent, "
			"integration or readonly");
	json_t *body = json_pack("{s:s,s:s}", "name", a->words[0], "role", role);
	if (!body)
		return args_wrong("apikey create", "the name must be UTF-8");
	cmd_set_limit(body, a, "contact-role", "contact_roles");
	cmd_set_limit(body, a, "attribute", "attributes");
	int rc = cmd_run(ctl, "POST", "/v1/api-keys", body, show_key);
	json_decref(body);
	return rc;
}

#define OPTION_CONTACT_ROLE                                                            \
	{                                                                              \
		"contact-role", "ROLE",                                                \
			"sees only contacts with this role (customer, partner, "       \
			"supplier, distributor, agency, franchisee, competitor, "      \
			"lead); may be given several times; all: every contact"        \
	}
#define OPTION_ATTRIBUTE                                                               \
	{                                                                              \
		"attribute", "NAME",                                                   \
			"of the contacts' attributes sees only this one; may be "      \
			"given several times; all: every one"                          \
	}

static const struct ctl_option create_options[] = {
	{"role", "ROLE", "admin, supervisor, agent, integration or readonly"},
	OPTION_CONTACT_ROLE,
	OPTION_ATTRIBUTE,
	{NULL, NULL, NULL},
};

static const struct ctl_option set_options[] = {
	{"name", "TEXT", "another name"},
	OPTION_CONTACT_ROLE,
	OPTION_ATTRIBUTE,
	{NULL, NULL, NULL},
};

const struct ctl_command cmd_apikey_create = {
	.name = "apikey create",
	.usage = "NAME --role ROLE [--contact-role ROLE] [--attribute NAME]",
	.group = GROUP,
	.summary = "a key for another system",
	.help = "The key alone goes to stdout. Roles: admin may do everything; supervisor\n"
		"leads agents; agent works with contacts; integration is another system\n"
		"(CRM, softphone server); readonly reads. Any but admin may be limited to\n"
		"contacts of some roles, and to some of their attributes: what it may not\n"
		"see is not there for it.\n\n"
		"  interactctl apikey create crm --role integration >crm.key\n"
		"  interactctl apikey create buying --role agent --contact-role supplier \\\n"
		"      --attribute terms --attribute grade >buying.key\n",
	.options = create_options,
	.min_words = 1,
	.max_words = 1,
	.run = run_create,
};

static int
show_changed(const struct ctl *ctl, const json_t *o)
{
	value_print(ctl, o);
	return CTL_OK;
}

static int
run_set(struct ctl *ctl, const struct ctl_args *a)
{
	struct buf path = BUF_INIT;
	json_t *body = json_object();
	buf_adds(&path, "/v1/api-keys");
	client_path_add(&path, a->words[0]);
	if (args_has(a, "name"))
		json_object_set_new(body, "name", json_string(args_get(a, "name")));
	cmd_set_limit(body, a, "contact-role", "contact_roles");
	cmd_set_limit(body, a, "attribute", "attributes");
	int rc = json_object_size(body)
			 ? cmd_run(ctl, "PATCH", buf_str(&path), body, show_changed)
			 : args_wrong("apikey set",
				   "say what: --name, --contact-role, --attribute");
	json_decref(body);
	buf_fini(&path);
	return rc;
}

const struct ctl_command cmd_apikey_set = {
	.name = "apikey set",
	.usage = "ID [--contact-role ROLE] [--attribute NAME]",
	.group = GROUP,
	.summary = "change what a key may see",
	.help = "What is given replaces what was there; `all` takes the limit away. It holds\n"
		"within 5 seconds, and streams opened with the key end.\n\n"
		"  interactctl apikey set 0199a3c5-6f1e-7abc-8def-0123456789ab \\\n"
		"      --contact-role supplier --contact-role agency\n"
		"  interactctl apikey set 0199a3c5-6f1e-7abc-8def-0123456789ab \\\n"
		"      --contact-role all\n",
	.options = set_options,
	.min_words = 1,
	.max_words = 1,
	.run = run_set,
};

static void
add_limit(struct table *t, const json_t *list)
{
	struct buf b = BUF_INIT;
	cmd_limit(&b, list);
	table_cell(t, buf_str(&b));
	buf_fini(&b);
}

static int
show_keys(const struct ctl *ctl, const json_t *o)
{
	const json_t *items = value_at(o, "items");
	struct table *t =
		table_new(ctl, "ID|~NAME|ROLE|~CONTACTS|~ATTRIBUTES|MADE|LAST USED");
	for (size_t i = 0; i < json_array_size(items); i++) {
		const json_t *it = json_array_get(items, i);
		table_cell(t, value_text(it, "id"));
		table_cell(t, value_text(it, "name"));
		table_cell(t, value_text(it, "role"));
		add_limit(t, value_at(it, "contact_roles"));
		add_limit(t, value_at(it, "attributes"));
		table_cell_time(t, value_text(it, "created_at"));
		table_cell_time(t, value_text(it, "last_used_at"));
	}
	table_end(&t, "No keys.");
	return CTL_OK;
}

static int
run_list(struct ctl *ctl, const struct ctl_args *a)
{
	(void)a;
	return cmd_run(ctl, "GET", "/v1/api-keys", NULL, show_keys);
}

const struct ctl_command cmd_apikey_list = {
	.name = "apikey list",
	.usage = "",
	.group = GROUP,
	.summary = "the keys that are good, and when they were used",
	.run = run_list,
};

static int
show_revoked(const struct ctl *ctl, const json_t *o)
{
	(void)ctl;
	(void)o;
	puts("Revoked; it ends within 5 seconds everywhere.");
	return CTL_OK;
}

static int
run_revoke(struct ctl *ctl, const struct ctl_args *a)
{
	struct buf path = BUF_INIT;
	buf_adds(&path, "/v1/api-keys");
	client_path_add(&path, a->words[0]);
	int rc = cmd_run(ctl, "DELETE", buf_str(&path), NULL, show_revoked);
	buf_fini(&path);
	return rc;
}

const struct ctl_command cmd_apikey_revoke = {
	.name = "apikey revoke",
	.usage = "ID",
	.group = GROUP,
	.summary = "end a key",
	.help = "ID is of `interactctl apikey list`, not the key itself.\n",
	.min_words = 1,
	.max_words = 1,
	.run = run_revoke,
};

/* ---- audit ------------------------------------------------------------------------ */

static void
add_change(struct table *t, const json_t *it)
{
	struct buf b = BUF_INIT;
	table_cell_time(t, value_text(it, "at"));
	table_cell(t, value_text(it, "actor"));
	table_cell(t, value_text(it, "role"));
	table_cell(t, value_text(it, "action"));
	print_safe(&b, value_text(it, "object.kind"));
	buf_addc(&b, ':');
	print_safe(&b, value_text(it, "object.id"));
	table_cell(t, buf_str(&b));
	buf_clear(&b);
	value_join(&b, value_at(it, "fields"));
	table_cell(t, buf_str(&b));
	buf_fini(&b);
}

static int
show_audit(const struct ctl *ctl, const json_t *o)
{
	const json_t *items = value_at(o, "items");
	struct table *t = table_new(ctl, "WHEN|~WHO|ROLE|ACTION|OBJECT|~FIELDS");
	for (size_t i = 0; i < json_array_size(items); i++)
		add_change(t, json_array_get(items, i));
	table_end(&t, "Nothing was changed.");
	cmd_more(o, "--before");
	return CTL_OK;
}

static int
run_audit(struct ctl *ctl, const struct ctl_args *a)
{
	struct buf path = BUF_INIT;
	buf_adds(&path, "/v1/audit");
	client_query_add(&path, "limit", args_get(a, "limit"));
	client_query_add(&path, "before", args_get(a, "before"));
	client_query_add(&path, "object", args_get(a, "object"));
	client_query_add(&path, "actor", args_get(a, "actor"));
	client_query_add(&path, "action", args_get(a, "action"));
	client_query_add(&path, "from", args_get(a, "from"));
	client_query_add(&path, "to", args_get(a, "to"));
	int rc = cmd_run(ctl, "GET", buf_str(&path), NULL, show_audit);
	buf_fini(&path);
	return rc;
}

static const struct ctl_option audit_options[] = {
	{"object", "KIND:ID", "only of this object: contact:..., agent:1001"},
	{"actor", "WHO", "only what they did: agent:1001, key:crm"},
	{"action", "ACTION", "only this: contact.read, contact.*"},
	{"from", "TIME", "not before (2026-11-21T08:00:00Z)"},
	{"to", "TIME", "before"},
	{"limit", "N", "at most N, 1 to 200 (50)"},
	{"before", "CURSOR", "go on where the last page ended"},
	{NULL, NULL, NULL},
};

const struct ctl_command cmd_audit = {
	.name = "audit",
	.usage = "[--object KIND:ID] [--actor WHO] [--action ACTION]",
	.group = GROUP,
	.summary = "who changed or read what, newest first",
	.help = "Names of fields and ids of objects, never values. WHO is a key (key:crm),\n"
		"an agent (agent:1001) or a user of this machine (uid:0).\n\n"
		"  interactctl audit --limit 10\n"
		"  interactctl audit --object agent:1001\n"
		"  interactctl audit --actor agent:1001 --action contact.read\n",
	.options = audit_options,
	.run = run_audit,
};
