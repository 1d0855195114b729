/* cmd_agent.c - agent list, show, add, set, token, tokens, revoke. */
#include <ctl/cmd.h>

#include <mem.h>
#include <str.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GROUP "Agents"

static int
agent_call(struct ctl *ctl, const char *method, const char *id, const char *rest,
	const json_t *body, cmd_show_fn *show)
{
	struct buf path = BUF_INIT;
	buf_adds(&path, "/v1/agents");
	client_path_add(&path, id);
	buf_adds(&path, rest);
	int rc = cmd_run(ctl, method, buf_str(&path), body, show);
	buf_fini(&path);
	return rc;
}

/* ---- list, show ------------------------------------------------------------------- */

static void
add_list(struct table *t, const json_t *array)
{
	struct buf b = BUF_INIT;
	value_join(&b, array);
	table_cell(t, buf_str(&b));
	buf_fini(&b);
}

static int
show_agents(const struct ctl *ctl, const json_t *o)
{
	const json_t *items = value_at(o, "items");
	struct table *t =
		table_new(ctl, "AGENT|STATE|SINCE|~NAME|~INTERFACES|~QUEUES|FROM");
	for (size_t i = 0; i < json_array_size(items); i++) {
		const json_t *it = json_array_get(items, i);
		table_cell(t, value_text(it, "id"));
		cmd_agent_state_cells(t, value_at(it, "state"));
		table_cell(t, value_text(it, "name"));
		add_list(t, value_at(it, "interfaces"));
		add_list(t, value_at(it, "queues"));
		table_cell(t, value_flag(it, "learnt") ? "phone system" : "directory");
	}
	table_end(&t, "No agents yet: interactctl agent add ID, or set `agents` of a "
		      "channel.");
	return CTL_OK;
}

static int
run_list(struct ctl *ctl, const struct ctl_args *a)
{
	(void)a;
	return cmd_run(ctl, "GET", "/v1/agents", NULL, show_agents);
}

const struct ctl_command cmd_agent_list = {
	.name = "agent list",
	.usage = "",
	.group = GROUP,
	.summary = "who answers, on which phones, and what they do now",
	.help = "Agents of the directory, and those that a channel's `agents` pattern has\n"
		"found since the daemon started. (talks) is shown beside the state of who is on a\n"
		"call.\n",
	.run = run_list,
};

static int
show_agent(const struct ctl *ctl, const json_t *o)
{
	value_print(ctl, o);
	return CTL_OK;
}

static int
run_show(struct ctl *ctl, const struct ctl_args *a)
{
	return agent_call(ctl, "GET", a->words[0], "", NULL, show_agent);
}

const struct ctl_command cmd_agent_show = {
	.name = "agent show",
	.usage = "ID",
	.group = GROUP,
	.summary = "one agent",
	.min_words = 1,
	.max_words = 1,
	.run = run_show,
};

/* ---- add, set --------------------------------------------------------------------- */

/* Every value given, as an array; nothing if the option was not given. "" = none. */
static void
set_list(json_t *body, const struct ctl_args *a, const char *option, const char *name)
{
	json_t *list = json_array();
	const char *text;
	for (unsigned n = 0; (text = args_nth(a, option, n)); n++)
		if (*text)
			json_array_append_new(list, json_string(text));
	if (args_has(a, option))
		json_object_set(body, name, list);
	json_decref(list);
}

static json_t *
read_agent(const struct ctl_args *a)
{
	json_t *body = json_object();
	if (args_has(a, "name"))
		json_object_set_new(body, "name", json_string(args_get(a, "name")));
	set_list(body, a, "interface", "interfaces");
	set_list(body, a, "queue", "queues");
	cmd_set_limit(body, a, "contact-role", "contact_roles");
	cmd_set_limit(body, a, "attribute", "attributes");
	return body;
}

static int
run_add(struct ctl *ctl, const struct ctl_args *a)
{
	json_t *body = read_agent(a);
	json_object_set_new(body, "id", json_string(a->words[0]));
	int rc = cmd_run(ctl, "POST", "/v1/agents", body, show_agent);
	json_decref(body);
	return rc;
}

static int
run_set(struct ctl *ctl, const struct ctl_args *a)
{
	json_t *body = read_agent(a);
	int rc = json_object_size(body)
			 ? agent_call(ctl, "PATCH", a->words[0], "", body, show_agent)
			 : args_wrong("agent set",
				   "say what: --name, --interface, --queue, "
				   "--contact-role, --attribute");
	json_decref(body);
	return rc;
}

static const struct ctl_option change_options[] = {
	{"name", "TEXT", "name shown to colleagues"},
	{"interface", "ENDPOINT",
		"a phone: PJSIP/1001, or pbx-main:PJSIP/1001 on one phone system only; may "
		"be given several times"},
	{"queue", "QUEUE", "a queue they serve; may be given several times"},
	{"contact-role", "ROLE",
		"they see only contacts with this role (customer, supplier ...); may be "
		"given several times; all: every contact"},
	{"attribute", "NAME",
		"of the contacts' attributes they see only this one; may be given several "
		"times; all: every one"},
	{NULL, NULL, NULL},
};

const struct ctl_command cmd_agent_add = {
	.name = "agent add",
	.usage = "ID [--name TEXT] [--interface ENDPOINT] [--queue QUEUE]",
	.group = GROUP,
	.summary = "a new agent",
	.help = "ID is 1 to 64 letters, digits, '.', '_' or '-'; pops are published under\n"
		"it. Agents that a channel's `agents` pattern finds need not be added.\n\n"
		"  interactctl agent add 1001 --name 'Li Wei' --interface PJSIP/1001\n"
		"  interactctl agent add anna --interface pbx-main:PJSIP/1001 \\\n"
		"      --interface pbx-2:PJSIP/77 --queue support --queue sales\n"
		"  interactctl agent add 1007 --contact-role supplier --attribute terms\n",
	.options = change_options,
	.min_words = 1,
	.max_words = 1,
	.run = run_add,
};

const struct ctl_command cmd_agent_set = {
	.name = "agent set",
	.usage = "ID [--name TEXT] [--interface ENDPOINT] [--queue QUEUE]",
	.group = GROUP,
	.summary = "change an agent",
	.help = "What is given replaces what was there: all interfaces, all queues; an\n"
		"empty one takes them away.\n\n"
		"  interactctl agent set 1001 --queue support --queue sales\n"
		"  interactctl agent set 1001 --interface ''\n",
	.options = change_options,
	.min_words = 1,
	.max_words = 1,
	.run = run_set,
};

/* ---- tokens ----------------------------------------------------------------------- */

static int
show_token(const struct ctl *ctl, const json_t *o)
{
	struct buf b = BUF_INIT;
	(void)ctl;
	print_text(value_text(o, "token"));
	putchar('\n');
	fflush(stdout);
	print_time(&b, value_text(o, "expires_at"));
	fprintf(stderr,
		"Good until %s for this agent's stream and resources; it is not shown "
		"again.\n",
		buf_str(&b));
	buf_fini(&b);
	return CTL_OK;
}

static int
run_token(struct ctl *ctl, const struct ctl_args *a)
{
	json_t *body = json_object();
	int64_t ttl_s = 0;
	int rc = args_seconds("agent token", "ttl", args_get(a, "ttl"), &ttl_s);
	if (ttl_s)
		json_object_set_new(body, "ttl_s", json_integer(ttl_s));
	if (!rc)
		rc = agent_call(ctl, "POST", a->words[0], "/tokens", body, show_token);
	json_decref(body);
	return rc;
}

static const struct ctl_option token_options[] = {
	{"ttl", "TIME", "how long it is good: 30m, 12h (the default), 7d; at most 30d"},
	{NULL, NULL, NULL},
};

const struct ctl_command cmd_agent_token = {
	.name = "agent token",
	.usage = "ID [--ttl TIME]",
	.group = GROUP,
	.summary = "a token for an agent's browser or softphone",
	.help = "The token alone goes to stdout. It opens that agent's stream of pops and\n"
		"nothing of other agents.\n\n"
		"  interactctl agent token 1001 --ttl 12h\n"
		"  curl -N -H \"Authorization: Bearer $(interactctl agent token 1001)\" \\\n"
		"      -H 'Accept: text/event-stream' "
		"http://127.0.0.1:8080/v1/agents/1001/stream\n",
	.options = token_options,
	.min_words = 1,
	.max_words = 1,
	.run = run_token,
};

static int
show_tokens(const struct ctl *ctl, const json_t *o)
{
	const json_t *items = value_at(o, "items");
	struct table *t = table_new(ctl, "ID|MADE|~BY|EXPIRES|LAST USED");
	for (size_t i = 0; i < json_array_size(items); i++) {
		const json_t *it = json_array_get(items, i);
		table_cell(t, value_text(it, "id"));
		table_cell_time(t, value_text(it, "created_at"));
		table_cell(t, value_text(it, "created_by"));
		table_cell_time(t, value_text(it, "expires_at"));
		table_cell_time(t, value_text(it, "last_used_at"));
	}
	table_end(&t, "No token is good now.");
	return CTL_OK;
}

static int
run_tokens(struct ctl *ctl, const struct ctl_args *a)
{
	return agent_call(ctl, "GET", a->words[0], "/tokens", NULL, show_tokens);
}

const struct ctl_command cmd_agent_tokens = {
	.name = "agent tokens",
	.usage = "ID",
	.group = GROUP,
	.summary = "an agent's tokens that are good now",
	.min_words = 1,
	.max_words = 1,
	.run = run_tokens,
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
	struct buf rest = BUF_INIT;
	buf_adds(&rest, "/tokens");
	client_path_add(&rest, a->words[1]);
	int rc = agent_call(
		ctl, "DELETE", a->words[0], buf_str(&rest), NULL, show_revoked);
	buf_fini(&rest);
	return rc;
}

const struct ctl_command cmd_agent_revoke = {
	.name = "agent revoke",
	.usage = "ID TOKEN-ID",
	.group = GROUP,
	.summary = "end a token before its time",
	.help = "TOKEN-ID is of `interactctl agent tokens ID`.\n",
	.min_words = 2,
	.max_words = 2,
	.run = run_revoke,
};
