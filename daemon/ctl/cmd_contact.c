/* cmd_contact.c - contact find, show, people, add, set: who they are. */
#include <ctl/cmd.h>

#include <mem.h>
#include <str.h>

#include <stdio.h>
#include <string.h>

#define GROUP "People"

/* ---- find ------------------------------------------------------------------------- */

static void
add_identities(struct buf *out, const json_t *contact)
{
	const json_t *list = value_at(contact, "identities");
	for (size_t i = 0; i < json_array_size(list); i++) {
		buf_adds(out, i ? ", " : "");
		cmd_identity(out, json_array_get(list, i));
	}
}

static void
add_contact(struct table *t, const json_t *o)
{
	struct buf b = BUF_INIT;
	table_cell(t, value_text(o, "id"));
	table_cell(t, value_text(o, "name"));
	json_t *roles = value_at(o, "roles");
	value_join(&b, roles);
	table_cell(t, buf_str(&b));
	buf_clear(&b);
	add_identities(&b, o);
	table_cell(t, buf_str(&b));
	buf_fini(&b);
}

static int
show_found(const struct ctl *ctl, const json_t *o)
{
	const json_t *items = value_at(o, "items");
	struct table *t = table_new(ctl, "ID|~NAME|ROLES|~ADDRESSES");
	for (size_t i = 0; i < json_array_size(items); i++)
		add_contact(t, json_array_get(items, i));
	table_end(&t, "Nobody found.");
	cmd_more(o, "--cursor");
	return json_array_size(items) ? CTL_OK : CTL_NOT_FOUND;
}

static int
run_find(struct ctl *ctl, const struct ctl_args *a)
{
	struct buf path = BUF_INIT;
	struct client_answer answer;
	cmd_contact_path(&path, a->words[0]);
	client_query_add(&path, "limit", args_get(a, "limit"));
	client_query_add(&path, "cursor", args_get(a, "cursor"));
	int rc = client_call(ctl, "GET", buf_str(&path), NULL, &answer);
	if (!rc && ctl->json)
		client_print(&answer);
	if (!rc)
		rc = ctl->json ? json_array_size(value_at(answer.json, "items"))
					 ? CTL_OK
					 : CTL_NOT_FOUND
			       : show_found(ctl, answer.json);
	client_answer_fini(&answer);
	buf_fini(&path);
	return rc;
}

static const struct ctl_option find_options[] = {
	{"limit", "N", "at most N, 1 to 200 (50)"},
	{"cursor", "CURSOR", "go on where the last page ended"},
	{NULL, NULL, NULL},
};

const struct ctl_command cmd_contact_find = {
	.name = "contact find",
	.usage = "IDENTITY|NAME [--limit N]",
	.group = GROUP,
	.summary = "look people up by number, address or name",
	.help = "IDENTITY is KIND:VALUE (phone:, email:, visitor:, external:), or just a\n"
		"number or an e-mail address. Numbers may be written as people write them;\n"
		"one without a country is read in the tenant's region. Everything else is\n"
		"a name, or its beginning. Exit code 4 if nobody is found.\n\n"
		"  interactctl contact find +8613800138000\n"
		"  interactctl contact find '0912-345-678'\n"
		"  interactctl contact find external:crm:42\n"
		"  interactctl contact find 示例\n",
	.options = find_options,
	.min_words = 1,
	.max_words = 1,
	.run = run_find,
};

/* ---- show ------------------------------------------------------------------------- */

static void
show_identities(const struct ctl *ctl, const json_t *o)
{
	const json_t *list = value_at(o, "identities");
	struct table *t = table_new(ctl, "~ADDRESS|TRUST|FROM|LAST SEEN");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *it = json_array_get(list, i);
		struct buf b = BUF_INIT;
		cmd_identity(&b, it);
		table_cell(t, buf_str(&b));
		table_cell(t, value_text(it, "trust"));
		table_cell(t, value_text(it, "source"));
		table_cell_time(t, value_text(it, "last_seen"));
		buf_fini(&b);
	}
	table_end(&t, "No addresses.");
}

int
cmd_contact_print(const struct ctl *ctl, const json_t *o)
{
	json_t *rest = json_copy((json_t *)(uintptr_t)o);
	const char *name = value_text(o, "name");
	printf("%s", print_color(ctl, COLOR_BOLD));
	print_text(str_empty(name) ? "(no name)" : name);
	printf("%s%s\n", print_color(ctl, COLOR_NONE),
		value_flag(o, "vip") ? "  [VIP]" : "");
	json_object_del(rest, "name");
	json_object_del(rest, "vip");
	json_object_del(rest, "identities");
	value_print(ctl, rest);
	json_decref(rest);
	putchar('\n');
	show_identities(ctl, o);
	return CTL_OK;
}

static int
run_show(struct ctl *ctl, const struct ctl_args *a)
{
	char id[37];
	struct buf path = BUF_INIT;
	int rc = cmd_contact_id(ctl, a->words[0], id);
	if (rc)
		return rc;
	buf_printf(&path, "/v1/contacts/%s", id);
	rc = cmd_run(ctl, "GET", buf_str(&path), NULL, cmd_contact_print);
	buf_fini(&path);
	return rc;
}

const struct ctl_command cmd_contact_show = {
	.name = "contact show",
	.usage = "ID",
	.group = GROUP,
	.summary = "all that is known of one contact",
	.help = "ID is a contact's id, or whatever `contact find` takes if it leads to one\n"
		"contact only. The id of a merged contact shows the one it is part of.\n\n"
		"  interactctl contact show +8613800138000\n",
	.min_words = 1,
	.max_words = 1,
	.run = run_show,
};

/* ---- people ----------------------------------------------------------------------- */

static int
show_people(const struct ctl *ctl, const json_t *o)
{
	const json_t *items = value_at(o, "items");
	struct table *t = table_new(ctl, "ID|~NAME|ROLES|~ADDRESSES");
	for (size_t i = 0; i < json_array_size(items); i++)
		add_contact(t, json_array_get(items, i));
	table_end(&t, "Nobody belongs to it.");
	cmd_more(o, "--cursor");
	return CTL_OK;
}

static int
run_people(struct ctl *ctl, const struct ctl_args *a)
{
	char id[37];
	struct buf path = BUF_INIT;
	int rc = cmd_contact_id(ctl, a->words[0], id);
	if (rc)
		return rc;
	buf_printf(&path, "/v1/contacts/%s/people", id);
	client_query_add(&path, "limit", args_get(a, "limit"));
	client_query_add(&path, "cursor", args_get(a, "cursor"));
	rc = cmd_run(ctl, "GET", buf_str(&path), NULL, show_people);
	buf_fini(&path);
	return rc;
}

const struct ctl_command cmd_contact_people = {
	.name = "contact people",
	.usage = "ORGANISATION [--limit N]",
	.group = GROUP,
	.summary = "who belongs to an organisation",
	.help = "ORGANISATION as in `contact show`. `contact set ID --organisation ID` says that\n"
		"somebody belongs to one.\n\n"
		"  interactctl contact people 'Bolts & Co'\n"
		"  interactctl contact people external:erp:77 --json\n",
	.options = find_options,
	.min_words = 1,
	.max_words = 1,
	.run = run_people,
};

/* ---- add, set --------------------------------------------------------------------- */

/* KIND:VALUE, or a value whose kind the option says. */
static int
add_identity(json_t *list, const char *option, const char *kind, const char *text)
{
	json_t *o = json_object();
	const char *colon = kind ? NULL : strchr(text, ':');
	if (!kind && !colon) {
		json_decref(o);
		return args_wrong(NULL, "--%s %s: KIND:VALUE, as in external:crm:42",
			option, text);
	}
	json_object_set_new(o, "kind",
		kind ? json_string(kind) : json_stringn(text, (size_t)(colon - text)));
	json_object_set_new(o, "value", json_string(kind ? text : colon + 1));
	if (str_eq(option, "remove"))
		json_object_set_new(o, "remove", json_true());
	json_array_append_new(list, o);
	return 0;
}

static int
read_identities(const struct ctl_args *a, json_t *body)
{
	static const char *const kinds[][2] = {{"phone", "phone"}, {"email", "email"},
		{"identity", NULL}, {"remove", NULL}};
	json_t *list = json_array();
	const char *text;
	int rc = 0;
	for (size_t k = 0; k < ARRAY_LEN(kinds); k++)
		for (unsigned n = 0; !rc && (text = args_nth(a, kinds[k][0], n)); n++)
			rc = add_identity(list, kinds[k][0], kinds[k][1], text);
	if (json_array_size(list))
		json_object_set(body, "identities", list);
	json_decref(list);
	return rc;
}

/* NAME=TEXT, or NAME:=JSON. */
static int
read_attributes(const struct ctl_args *a, json_t *body)
{
	json_t *o = json_object();
	const char *text;
	int rc = 0;
	for (unsigned n = 0; !rc && (text = args_nth(a, "attribute", n)); n++) {
		const char *eq = strchr(text, '=');
		bool raw = eq && eq > text && eq[-1] == ':';
		size_t len = eq ? (size_t)(eq - text) - raw : 0;
		json_t *value = !eq   ? NULL
				: raw ? json_loads(eq + 1, JSON_DECODE_ANY, NULL)
				      : json_string(eq + 1);
		char *name = xstrndup(text, len);
		if (len && value)
			json_object_set(o, name, value);
		else
			rc = args_wrong(
				NULL, "--attribute %s: NAME=TEXT or NAME:=JSON", text);
		json_decref(value);
		xfree(&name);
	}
	if (json_object_size(o))
		json_object_set(body, "attributes", o);
	json_decref(o);
	return rc;
}

/* "" takes away what is there. */
static void
read_texts(const struct ctl_args *a, json_t *body)
{
	static const char *const names[] = {
		"name", "type", "language", "timezone", "organisation"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const char *text = args_get(a, names[i]);
		if (text)
			json_object_set_new(body, names[i],
				*text ? json_string(text) : json_null());
	}
}

static int
read_vip(const struct ctl_args *a, json_t *body)
{
	const char *text = args_get(a, "vip");
	bool yes = str_eq(text, "yes"), no = str_eq(text, "no");
	if (text && !yes && !no)
		return args_wrong(NULL, "--vip %s: yes or no", text);
	if (text)
		json_object_set_new(body, "vip", json_boolean(yes));
	return 0;
}

static int
read_contact(const struct ctl_args *a, json_t *body)
{
	json_t *roles = json_array();
	const char *text;
	read_texts(a, body);
	for (unsigned n = 0; (text = args_nth(a, "role", n)); n++)
		if (*text)
			json_array_append_new(roles, json_string(text));
	if (args_has(a, "role"))
		json_object_set(body, "roles", roles);
	json_decref(roles);
	if (args_has(a, "shared"))
		json_object_set_new(body, "shared", json_true());
	int rc = read_vip(a, body);
	if (!rc)
		rc = read_identities(a, body);
	return rc ? rc : read_attributes(a, body);
}

/* The API replaces all attributes; here those that are not named stay. */
static int
keep_attributes(struct ctl *ctl, const char *path, json_t *body)
{
	struct client_answer a;
	json_t *given = json_object_get(body, "attributes");
	if (!given)
		return 0;
	int rc = client_call(ctl, "GET", path, NULL, &a);
	json_t *all = json_deep_copy(value_at(a.json, "attributes"));
	const char *name;
	json_t *value;
	if (!rc && all) {
		json_object_foreach(given, name, value)
		{
			if (json_is_null(value))
				json_object_del(all, name);
			else
				json_object_set(all, name, value);
		}
		json_object_set(body, "attributes", all);
	}
	json_decref(all);
	client_answer_fini(&a);
	return rc;
}

static int
send_contact(
	struct ctl *ctl, const struct ctl_args *a, const char *method, const char *path)
{
	json_t *body = json_object();
	int rc = read_contact(a, body);
	if (!rc && !json_object_size(body))
		rc = args_wrong(NULL, "say what: --name, --phone …");
	if (!rc && str_eq(method, "PATCH"))
		rc = keep_attributes(ctl, path, body);
	if (!rc)
		rc = cmd_run(ctl, method, path, body, cmd_contact_print);
	json_decref(body);
	return rc;
}

static int
run_add(struct ctl *ctl, const struct ctl_args *a)
{
	return send_contact(ctl, a, "POST", "/v1/contacts");
}

static int
run_set(struct ctl *ctl, const struct ctl_args *a)
{
	char id[37];
	struct buf path = BUF_INIT;
	int rc = cmd_contact_id(ctl, a->words[0], id);
	if (rc)
		return rc;
	buf_printf(&path, "/v1/contacts/%s", id);
	rc = send_contact(ctl, a, "PATCH", buf_str(&path));
	buf_fini(&path);
	return rc;
}

/* `contact add` knows all but the first. */
static const struct ctl_option change_options[] = {
	{"remove", "KIND:VALUE", "take this address away; may be given several times"},
	{"name", "TEXT", "name of the person or organisation"},
	{"type", "person|organisation",
		"what it is; one that others belong to is an organisation"},
	{"phone", "NUMBER", "one more number; may be given several times"},
	{"email", "ADDRESS", "one more e-mail address; may be given several times"},
	{"identity", "KIND:VALUE", "one more address of any kind (external:crm:42)"},
	{"role", "ROLE",
		"customer, partner, supplier, distributor, agency, franchisee, "
		"competitor, lead; may be given several times; replaces the roles"},
	{"language", "TAG", "language they are spoken to in: zh-CN, en"},
	{"timezone", "ZONE", "their time zone: Asia/Taipei"},
	{"vip", "yes|no", "shown on every screen pop"},
	{"organisation", "ID", "the contact that they belong to"},
	{"attribute", "NAME=TEXT",
		"anything else (NAME:=JSON for numbers and lists); may be given "
		"several times"},
	{"shared", NULL, "the addresses may be another named contact's too"},
	{NULL, NULL, NULL},
};

const struct ctl_command cmd_contact_add = {
	.name = "contact add",
	.usage = "[--name TEXT] [--phone NUMBER] ...",
	.group = GROUP,
	.summary = "a new contact",
	.help = "An address that an unnamed contact holds (somebody who called before)\n"
		"brings that contact's history along. One that a named contact holds is\n"
		"refused, with its id, unless --shared.\n\n"
		"  interactctl contact add --name 示例客户 --phone +8613800138000 "
		"--role customer\n"
		"  interactctl contact add --name 'Ada Ltd' --email office@ada.example \\\n"
		"      --identity external:crm:42 --vip yes --attribute segment=gold\n"
		"  interactctl contact add --name 'Bolts & Co' --type organisation "
		"--role supplier\n",
	.options = &change_options[1],
	.run = run_add,
};

const struct ctl_command cmd_contact_set = {
	.name = "contact set",
	.usage = "ID [--name TEXT] [--phone NUMBER] ...",
	.group = GROUP,
	.summary = "change a contact, add an address",
	.help = "ID as in `contact show`. What is not given stays; an empty text takes it\n"
		"away. Addresses are added; attributes that are not named stay, and\n"
		"NAME:=null takes one away.\n\n"
		"  interactctl contact set +8613800138000 --name 示例客户\n"
		"  interactctl contact set +8613800138000 --email li@example.cn --vip yes\n",
	.options = change_options,
	.min_words = 1,
	.max_words = 1,
	.run = run_set,
};
