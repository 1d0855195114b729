/* cmd_consent.c - consent list, record, verify: the record of what was allowed and denied.
 *
 * `consent verify` reads the tables itself and computes every hash anew
 * (people/consent_verify.h), so that it works while the daemon is down, and believes
 * neither the daemon nor the database's functions. */
#include <ctl/cmd.h>
#include <ctl/wish.h>

#include <people/consent_verify.h>

#include <mem.h>
#include <str.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GROUP "People"

/* ---- list --------------------------------------------------------------------------- */

static void
add_entry(struct table *t, const json_t *it)
{
	struct buf what = BUF_INIT;
	bool denied = str_eq(value_text(it, "decision"), "denied");
	bool pending = str_eq(value_text(it, "state"), "pending");

	if (value_text(it, "kind"))
		wish_text(&what, it);
	else
		buf_adds(&what, denied ? "do not contact" : "may be contacted again");
	table_cell_time(t, value_text(it, "at"));
	table_cell_color(t,
		pending	 ? COLOR_WARN
		: denied ? COLOR_BAD
			 : COLOR_GOOD,
		pending ? "pending" : value_text(it, "decision"));
	table_cell(t, buf_str(&what));
	table_cell(t, value_text(it, "source"));
	table_cell(t, value_text(it, "actor"));
	table_cell(t, value_text(it, "id"));
	buf_fini(&what);
}

static int
show_entries(const struct ctl *ctl, const json_t *o)
{
	const json_t *items = value_at(o, "items");
	struct table *t = table_new(ctl, "AT|DECISION|~WHAT|~SOURCE|BY|ID");

	for (size_t i = 0; i < json_array_size(items); i++)
		add_entry(t, json_array_get(items, i));
	table_end(&t, "Nothing is on record.");
	cmd_more(o, "--cursor");
	return CTL_OK;
}

static int
contact_path(struct ctl *ctl, const struct ctl_args *a, struct buf *path)
{
	char id[37];
	int rc = cmd_contact_id(ctl, a->words[0], id);

	if (!rc)
		buf_printf(path, "/v1/contacts/%s/consents", id);
	return rc;
}

static int
run_list(struct ctl *ctl, const struct ctl_args *a)
{
	struct buf path = BUF_INIT;
	int rc = contact_path(ctl, a, &path);

	client_query_add(&path, "limit", args_get(a, "limit"));
	client_query_add(&path, "cursor", args_get(a, "cursor"));
	if (!rc)
		rc = cmd_run(ctl, "GET", buf_str(&path), NULL, show_entries);
	buf_fini(&path);
	return rc;
}

static const struct ctl_option list_options[] = {
	{"limit", "N", "at most N, 1 to 200 (50)"},
	{"cursor", "CURSOR", "go on where the last page ended"},
	{NULL, NULL, NULL},
};

const struct ctl_command cmd_consent_list = {
	.name = "consent list",
	.usage = "CONTACT [--limit N]",
	.group = GROUP,
	.summary = "what a contact allowed and denied, and the proof",
	.help = "Newest first. --json has the evidence too.\n\n"
		"  interactctl consent list +8613800138000\n",
	.options = list_options,
	.min_words = 1,
	.max_words = 1,
	.run = run_list,
};

/* ---- record ------------------------------------------------------------------------- */

static int
read_decision(const struct ctl_args *a, json_t *body)
{
	const char *allow = args_get(a, "allow"), *deny = args_get(a, "deny");
	bool silent = args_has(a, "do-not-contact");

	if (!!allow + !!deny + silent != 1)
		return args_wrong("consent record",
			"give one of --allow, --deny and --do-not-contact");
	json_t *wish = silent ? NULL : wish_parse(allow ? allow : deny);
	if (!silent && !wish)
		return args_wrong("consent record",
			"%s: KIND:PURPOSE, maybe with an address, as in "
			"sms:marketing:phone:+886912345678",
			allow ? allow : deny);
	json_object_set_new(
		body, "decision", json_string(allow ? "allowed" : "denied"));
	if (silent)
		json_object_set_new(body, "do_not_contact", json_true());
	json_object_update(body, wish);
	json_decref(wish);
	if (args_has(a, "double-opt-in"))
		json_object_set_new(body, "double_opt_in", json_true());
	return 0;
}

/* The token alone goes to stdout. */
static int
show_recorded(const struct ctl *ctl, const json_t *o)
{
	(void)ctl;
	fprintf(stderr, "Recorded: %.36s\n", value_text(o, "id"));
	if (!value_text(o, "token"))
		return CTL_OK;
	fputs("It counts once it is confirmed with this token:\n", stderr);
	print_text(value_text(o, "token"));
	putchar('\n');
	return CTL_OK;
}

static int
run_record(struct ctl *ctl, const struct ctl_args *a)
{
	static const char *const texts[][2] = {{"source", "source"}, {"who", "who"},
		{"message-id", "message_id"}, {"form-version", "form_version"},
		{"at", "at"}};
	struct buf path = BUF_INIT;
	json_t *body = json_object();
	int rc = read_decision(a, body);

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (args_has(a, texts[i][0]))
			json_object_set_new(body, texts[i][1],
				json_string(args_get(a, texts[i][0])));
	if (!rc)
		rc = contact_path(ctl, a, &path);
	if (!rc)
		rc = cmd_run(ctl, "POST", buf_str(&path), body, show_recorded);
	buf_fini(&path);
	json_decref(body);
	return rc;
}

static const struct ctl_option record_options[] = {
	{"allow", "KIND:PURPOSE[:ADDRESS]", "they want it: sms:marketing"},
	{"deny", "KIND:PURPOSE[:ADDRESS]", "they do not"},
	{"do-not-contact", NULL, "they want to be left alone"},
	{"double-opt-in", NULL, "it counts only once its token has come back"},
	{"source", "TEXT", "where it comes from: a form, a letter, a call"},
	{"message-id", "TEXT", "of the message that says so"},
	{"form-version", "TEXT", "of the text that they agreed to"},
	{"who", "TEXT", "who said it, or took it down"},
	{"at", "TIME", "when: 2026-11-21T08:00:00Z"},
	{NULL, NULL, NULL},
};

const struct ctl_command cmd_consent_record = {
	.name = "consent record",
	.usage = "CONTACT [--allow KIND:PURPOSE] [--deny KIND:PURPOSE] ...",
	.group = GROUP,
	.summary = "put on record what was said elsewhere",
	.help = "With its evidence. An entry is never changed; the newest counts.\n\n"
		"  interactctl consent record +8613800138000 --allow sms:marketing \\\n"
		"      --source 'paper form' --form-version 2026-03\n",
	.options = record_options,
	.min_words = 1,
	.max_words = 1,
	.run = run_record,
};

/* ---- verify ------------------------------------------------------------------------- */

struct tenants {
	struct {
		int id;
		char name[65];
	} * v;
	size_t n;
};

static void
on_tenant(void *arg, int n, char *const *cols)
{
	struct tenants *t = arg;

	(void)n;
	t->v = xrealloc(t->v, (t->n + 1) * sizeof(*t->v));
	t->v[t->n].id = atoi(cols[0]);
	str_copy(t->v[t->n++].name, sizeof(t->v->name), cols[1]);
}

struct shown {
	const struct ctl *ctl;
	json_t *findings;
};

static void
on_finding(void *arg, const char *where, const char *what)
{
	struct shown *s = arg;
	struct buf b = BUF_INIT;

	if (s->ctl->json) {
		json_array_append_new(s->findings,
			json_pack("{s:s, s:s}", "where", where, "what", what));
		return;
	}
	print_safe(&b, where);
	printf("%s%s%s: %s.\n", print_color(s->ctl, COLOR_BAD), buf_str(&b),
		print_color(s->ctl, COLOR_NONE), what);
	buf_fini(&b);
}

static void
show_verified(const struct ctl *ctl, const char *tenant,
	const struct consent_verified *v, json_t *findings)
{
	if (ctl->json) {
		json_t *o = json_pack("{s:s, s:b, s:I, s:I, s:I, s:I, s:I, s:s, s:O}",
			"tenant", tenant, "ok", v->findings == 0, "seals",
			(json_int_t)v->seals, "entries", (json_int_t)v->entries,
			"erased", (json_int_t)v->erased, "unsealed",
			(json_int_t)v->unsealed, "head_number",
			(json_int_t)v->head.number, "head_hash", v->head.hash,
			"findings", findings);
		json_dumpf(o, stdout, JSON_COMPACT);
		putchar('\n');
		json_decref(o);
		return;
	}
	printf("%s%s%s: %llu entries in %llu seals, %llu of them erased, %llu not sealed "
	       "yet; %llu found.\n",
		print_color(ctl, v->findings ? COLOR_BAD : COLOR_GOOD), tenant,
		print_color(ctl, COLOR_NONE), (unsigned long long)v->entries,
		(unsigned long long)v->seals, (unsigned long long)v->erased,
		(unsigned long long)v->unsealed, (unsigned long long)v->findings);
	if (v->head.number)
		printf("head %lld:%s\n", (long long)v->head.number, v->head.hash);
}

/* "12:HEX"; CTL_USAGE after a message. */
static int
read_head(const struct ctl_args *a, struct consent_head *head)
{
	const char *text = args_get(a, "head");
	const char *colon = text ? strchr(text, ':') : NULL;

	if (!text)
		return 0;
	head->number = strtoll(text, NULL, 10);
	if (!colon || head->number < 1 || strlen(colon + 1) != CONSENT_HASH_LEN - 1 ||
		strspn(colon + 1, "0123456789abcdef") != CONSENT_HASH_LEN - 1)
		return args_wrong("consent verify",
			"--head %s: NUMBER:HASH as an earlier check has told it", text);
	str_copy(head->hash, sizeof(head->hash), colon + 1);
	return 0;
}

static int
verify_one(struct ctl *ctl, struct pg_sync *pg, int tenant, const char *name,
	const struct consent_head *head)
{
	struct shown s = {ctl, json_array()};
	struct consent_verified v;
	struct err err;
	int rc = CTL_OK;

	if (consent_verify(pg, tenant, head->number ? head : NULL, on_finding, &s, &v,
		    &err) < 0) {
		struct buf b = BUF_INIT;
		print_safe(&b, err.text);
		fprintf(stderr, "interactctl: the ledger cannot be read: %s\n",
			buf_str(&b));
		buf_fini(&b);
		rc = CTL_REFUSED;
	} else {
		show_verified(ctl, name, &v, s.findings);
		rc = v.findings ? CTL_REFUSED : CTL_OK;
	}
	json_decref(s.findings);
	return rc;
}

static int
find_tenants(struct ctl *ctl, struct pg_sync *pg, const char *name, struct tenants *t)
{
	const char *params[] = {name};
	struct err err;

	(void)ctl;
	if (pg_sync_query(pg,
		    "SELECT id, name FROM tenant WHERE name = coalesce($1::text, name) "
		    "ORDER BY id",
		    1, params, on_tenant, t, &err) < 0) {
		struct buf b = BUF_INIT;
		print_safe(&b, err.text);
		fprintf(stderr, "interactctl: %s\n", buf_str(&b));
		buf_fini(&b);
		return CTL_REFUSED;
	}
	if (t->n)
		return CTL_OK;
	fputs("interactctl: there is no such tenant\n", stderr);
	return CTL_NOT_FOUND;
}

static int
run_verify(struct ctl *ctl, const struct ctl_args *a)
{
	struct consent_head head = {0};
	struct tenants t = {NULL, 0};
	const char *only = ctl->tenant		 ? ctl->tenant
			   : args_has(a, "head") ? "default"
						 : NULL;
	int rc = read_head(a, &head);
	struct pg_sync *pg = rc ? NULL : ctl_connect_db(ctl, &rc);

	if (!pg)
		return rc;
	rc = find_tenants(ctl, pg, only, &t);
	for (size_t i = 0; i < t.n; i++) {
		int one = verify_one(ctl, pg, t.v[i].id, t.v[i].name, &head);
		rc = rc ? rc : one;
	}
	xfree(&t.v);
	pg_sync_close(&pg);
	return rc;
}

static const struct ctl_option verify_options[] = {
	{"head", "NUMBER:HASH",
		"what an earlier check has told: it must still be there"},
	{NULL, NULL, NULL},
};

const struct ctl_command cmd_consent_verify = {
	.name = "consent verify",
	.usage = "[--head NUMBER:HASH]",
	.group = GROUP,
	.summary = "is the record of consents what was once written",
	.help = "Computes every hash of the ledger anew, from the tables, of all tenants (or\n"
		"the one of --tenant), and says which entries were changed, removed, put in\n"
		"or moved. What was erased is counted as such. Note the head elsewhere: with\n"
		"--head the next check also sees if the end was cut off or all was forged.\n"
		"Ends with 0 if nothing was found, else with 1. Works while the daemon runs,\n"
		"and while it is down.\n\n"
		"  interactctl consent verify\n"
		"  interactctl consent verify --tenant shop --head 41:9f86d081...\n",
	.options = verify_options,
	.run = run_verify,
};
