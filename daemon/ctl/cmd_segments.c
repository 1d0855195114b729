/* cmd_segments.c - segments list, show, create, set, count, preview, delete. */
#include <ctl/cmd.h>

#include <str.h>
#include <uuid.h>

#include <stdio.h>
#include <stdlib.h>

#define GROUP "People"

/* ---- Which -------------------------------------------------------------------------- */

/* Looks through one page of the list; more_r: the next one's cursor, the caller's. */
static int
find_in_page(struct ctl *ctl, const char *name, char id_r[37], struct buf *cursor)
{
	struct client_answer a;
	struct buf path = BUF_INIT;
	int rc;

	buf_adds(&path, "/v1/segments");
	client_query_add(&path, "cursor", cursor->len ? buf_str(cursor) : NULL);
	rc = client_call(ctl, "GET", buf_str(&path), NULL, &a);
	const json_t *items = rc ? NULL : value_at(a.json, "items");

	buf_clear(cursor);
	if (!rc && value_text(a.json, "next"))
		buf_adds(cursor, value_text(a.json, "next"));
	if (!rc)
		rc = CTL_NOT_FOUND;
	for (size_t i = 0; i < json_array_size(items); i++) {
		const json_t *one = json_array_get(items, i);
		if (!str_eq(value_text(one, "name"), name))
			continue;
		str_copy(id_r, 37, value_text(one, "id"));
		rc = CTL_OK;
	}
	client_answer_fini(&a);
	buf_fini(&path);
	return rc;
}

int
cmd_segment_id(struct ctl *ctl, const char *what, char id_r[37])
{
	struct buf cursor = BUF_INIT;
	struct uuid id;
	int rc;

	if (uuid_parse(what, &id)) {
		str_copy(id_r, 37, what);
		return CTL_OK;
	}
	do
		rc = find_in_page(ctl, what, id_r, &cursor);
	while (rc == CTL_NOT_FOUND && cursor.len);
	if (rc == CTL_NOT_FOUND)
		fprintf(stderr, "interactctl: there is no segment of this name\n");
	buf_fini(&cursor);
	return rc;
}

static int
path_of(struct ctl *ctl, const char *what, const char *rest, struct buf *path)
{
	char id[37] = "";
	int rc = cmd_segment_id(ctl, what, id);

	buf_adds(path, "/v1/segments");
	client_path_add(path, id);
	buf_adds(path, rest);
	return rc;
}

/* The JSON of --filter, or of the file after its @; NULL after a message. */
static json_t *
filter_of(const char *command, const char *text)
{
	json_error_t why;
	json_t *filter = *text == '@' ? json_load_file(text + 1, 0, &why)
				      : json_loads(text, 0, &why);

	if (!filter)
		args_wrong(command, "--filter: no valid JSON: %s", why.text);
	return filter;
}

/* ---- list, show --------------------------------------------------------------------- */

static void
cell_filter(struct table *t, const json_t *o)
{
	char *text = json_dumps(value_at(o, "filter"), JSON_COMPACT);

	table_cell(t, text);
	free(text);
}

static int
show_list(const struct ctl *ctl, const json_t *list)
{
	const json_t *items = value_at(list, "items");
	struct table *t = table_new(ctl, "Name|~Filter|~Description|Changed");

	for (size_t i = 0; i < json_array_size(items); i++) {
		const json_t *o = json_array_get(items, i);
		table_cell(t, value_text(o, "name"));
		cell_filter(t, o);
		table_cell(t, value_text(o, "description"));
		table_cell_time(t, value_text(o, "updated_at"));
	}
	table_end(&t, "There are no segments.");
	cmd_more(list, "--cursor");
	return CTL_OK;
}

static int
run_list(struct ctl *ctl, const struct ctl_args *a)
{
	struct buf path = BUF_INIT;

	buf_adds(&path, "/v1/segments");
	client_query_add(&path, "cursor", args_get(a, "cursor"));
	int rc = cmd_run(ctl, "GET", buf_str(&path), NULL, show_list);
	buf_fini(&path);
	return rc;
}

static const struct ctl_option list_options[] = {
	{"cursor", "NAME", "go on after a page"},
	{NULL, NULL, NULL},
};

const struct ctl_command cmd_segments_list = {
	.name = "segments list",
	.usage = "",
	.group = GROUP,
	.summary = "the segments there are",
	.help = "  interactctl segments list\n",
	.options = list_options,
	.run = run_list,
};

static int
show_one(const struct ctl *ctl, const json_t *o)
{
	char *text = json_dumps(value_at(o, "filter"), JSON_INDENT(2));

	value_print_field(ctl, "name", value_text(o, "name"));
	value_print_field(ctl, "id", value_text(o, "id"));
	value_print_field(ctl, "description", value_text(o, "description"));
	value_print_field(ctl, "created by", value_text(o, "created_by"));
	print_text(text);
	putchar('\n');
	free(text);
	return CTL_OK;
}

/* One that is kept, by its name. */
static int
run_on(struct ctl *ctl, const struct ctl_args *a, const char *method, const char *rest,
	cmd_show_fn *show)
{
	struct buf path = BUF_INIT;
	int rc = path_of(ctl, a->words[0], rest, &path);

	if (!rc)
		rc = cmd_run(ctl, method, buf_str(&path), NULL, show);
	buf_fini(&path);
	return rc;
}

static int
run_show(struct ctl *ctl, const struct ctl_args *a)
{
	return run_on(ctl, a, "GET", "", show_one);
}

const struct ctl_command cmd_segments_show = {
	.name = "segments show",
	.usage = "SEGMENT",
	.group = GROUP,
	.summary = "one segment and its filter",
	.help = "  interactctl segments show VIPs\n",
	.min_words = 1,
	.max_words = 1,
	.run = run_show,
};

/* ---- create, set, delete ------------------------------------------------------------ */

static int
show_made(const struct ctl *ctl, const json_t *o)
{
	(void)ctl;
	print_text(value_text(o, "id"));
	putchar('\n');
	return CTL_OK;
}

static int
run_create(struct ctl *ctl, const struct ctl_args *a)
{
	const char *text = args_get(a, "filter"), *about = args_get(a, "description");

	if (!text)
		return args_wrong("segments create", "give --filter JSON or @FILE");
	json_t *filter = filter_of("segments create", text);
	if (!filter)
		return CTL_USAGE;
	json_t *body = json_pack("{s:s, s:o, s:s*}", "name", a->words[0], "filter",
		filter, "description", about);
	int rc = body ? cmd_run(ctl, "POST", "/v1/segments", body, show_made)
		      : args_wrong("segments create", "the name must be UTF-8");
	json_decref(body);
	return rc;
}

static const struct ctl_option create_options[] = {
	{"filter", "JSON|@FILE", "whom it finds; {} finds everybody"},
	{"description", "TEXT", "what it is for"},
	{NULL, NULL, NULL},
};

const struct ctl_command cmd_segments_create = {
	.name = "segments create",
	.usage = "NAME --filter JSON|@FILE",
	.group = GROUP,
	.summary = "keep a filter over contacts under a name",
	.help = "A filter is a condition, or several in \"all\", \"any\" and \"not\":\n"
		"role, language, timezone, vip, name, attribute, organisation, identity,\n"
		"created, updated, interaction (how many), last_interaction (when). Times\n"
		"are dates, or how long ago: 12h, 90d, 8w, 1y.\n\n"
		"  interactctl segments create Silent --filter \\\n"
		"    '{\"all\":[{\"role\":\"customer\"},{\"last_interaction\":{\"before\":\"90d\"}}]}'\n",
	.options = create_options,
	.min_words = 1,
	.max_words = 1,
	.run = run_create,
};

static int
show_set(const struct ctl *ctl, const json_t *o)
{
	(void)ctl;
	(void)o;
	fputs("Changed.\n", stderr);
	return CTL_OK;
}

static int
run_set(struct ctl *ctl, const struct ctl_args *a)
{
	struct buf path = BUF_INIT;
	const char *text = args_get(a, "filter");
	json_t *body = json_object();
	int rc = CTL_OK;

	if (text)
		rc = json_object_set_new(
			     body, "filter", filter_of("segments set", text)) < 0
			     ? CTL_USAGE
			     : CTL_OK;
	if (args_get(a, "name"))
		json_object_set_new(body, "name", json_string(args_get(a, "name")));
	if (args_get(a, "description"))
		json_object_set_new(
			body, "description", json_string(args_get(a, "description")));
	if (!rc && !json_object_size(body))
		rc = args_wrong("segments set", "nothing to change was given");
	if (!rc)
		rc = path_of(ctl, a->words[0], "", &path);
	if (!rc)
		rc = cmd_run(ctl, "PATCH", buf_str(&path), body, show_set);
	json_decref(body);
	buf_fini(&path);
	return rc;
}

static const struct ctl_option set_options[] = {
	{"filter", "JSON|@FILE", "whom it finds"},
	{"name", "NAME", "its new name"},
	{"description", "TEXT", "what it is for"},
	{NULL, NULL, NULL},
};

const struct ctl_command cmd_segments_set = {
	.name = "segments set",
	.usage = "SEGMENT [--filter JSON|@FILE] [--name NAME]",
	.group = GROUP,
	.summary = "change a segment",
	.help = "  interactctl segments set Silent --filter @silent.json\n",
	.options = set_options,
	.min_words = 1,
	.max_words = 1,
	.run = run_set,
};

static int
show_deleted(const struct ctl *ctl, const json_t *o)
{
	(void)ctl;
	(void)o;
	fputs("Deleted.\n", stderr);
	return CTL_OK;
}

static int
run_delete(struct ctl *ctl, const struct ctl_args *a)
{
	return run_on(ctl, a, "DELETE", "", show_deleted);
}

const struct ctl_command cmd_segments_delete = {
	.name = "segments delete",
	.usage = "SEGMENT",
	.group = GROUP,
	.summary = "forget a segment; its contacts stay",
	.help = "  interactctl segments delete Silent\n",
	.min_words = 1,
	.max_words = 1,
	.run = run_delete,
};

/* ---- count, preview ----------------------------------------------------------------- */

static int
show_count(const struct ctl *ctl, const json_t *o)
{
	(void)ctl;
	printf("%lld\n", (long long)value_int(o, "count"));
	return CTL_OK;
}

static int
show_contacts(const struct ctl *ctl, const json_t *list)
{
	const json_t *items = value_at(list, "items");
	struct table *t = table_new(ctl, "Id|~Name|Roles|~Identities");

	for (size_t i = 0; i < json_array_size(items); i++) {
		const json_t *o = json_array_get(items, i);
		const json_t *held = value_at(o, "identities");
		struct buf b = BUF_INIT;
		table_cell(t, value_text(o, "id"));
		table_cell(t, value_text(o, "name"));
		value_join(&b, value_at(o, "roles"));
		table_cell(t, buf_str(&b));
		buf_clear(&b);
		for (size_t k = 0; k < json_array_size(held) && k < 3; k++) {
			if (k)
				buf_adds(&b, ", ");
			buf_adds(&b, value_text(json_array_get(held, k), "value"));
		}
		table_cell(t, buf_str(&b));
		buf_fini(&b);
	}
	table_end(&t, "Nobody is in it.");
	cmd_more(list, "--after");
	return CTL_OK;
}

/* Of a segment, or of a filter that is only tried. */
static int
ask(struct ctl *ctl, const struct ctl_args *a, const char *command, bool counts)
{
	const char *text = args_get(a, "filter");
	struct buf path = BUF_INIT;
	json_t *filter = NULL, *body = NULL;
	int rc = CTL_OK;

	if ((text != NULL) == (a->n_words == 1))
		return args_wrong(command, "give a segment, or --filter to try one");
	if (text && !(filter = filter_of(command, text)))
		return CTL_USAGE;
	if (filter) {
		body = json_pack("{s:o}", "filter", filter);
		buf_adds(&path, "/v1/segments");
		buf_adds(&path, counts ? "/count" : "/preview");
	} else {
		rc = path_of(ctl, a->words[0], counts ? "/count" : "/preview", &path);
	}
	if (!counts) {
		client_query_add(&path, "limit", args_get(a, "limit"));
		client_query_add(&path, "after", args_get(a, "after"));
	}
	if (!rc)
		rc = cmd_run(ctl, body ? "POST" : "GET", buf_str(&path), body,
			counts ? show_count : show_contacts);
	json_decref(body);
	buf_fini(&path);
	return rc;
}

static int
run_count(struct ctl *ctl, const struct ctl_args *a)
{
	return ask(ctl, a, "segments count", true);
}

static int
run_preview(struct ctl *ctl, const struct ctl_args *a)
{
	return ask(ctl, a, "segments preview", false);
}

static const struct ctl_option count_options[] = {
	{"filter", "JSON|@FILE", "try this instead of a segment"},
	{NULL, NULL, NULL},
};

const struct ctl_command cmd_segments_count = {
	.name = "segments count",
	.usage = "SEGMENT|--filter JSON|@FILE",
	.group = GROUP,
	.summary = "how many contacts a segment finds",
	.help = "  interactctl segments count VIPs\n"
		"  interactctl segments count --filter '{\"vip\":true}'\n",
	.options = count_options,
	.max_words = 1,
	.run = run_count,
};

static const struct ctl_option preview_options[] = {
	{"filter", "JSON|@FILE", "try this instead of a segment"},
	{"limit", "N", "that many, at most 200 (20)"},
	{"after", "ID", "go on after a page"},
	{NULL, NULL, NULL},
};

const struct ctl_command cmd_segments_preview = {
	.name = "segments preview",
	.usage = "SEGMENT|--filter JSON|@FILE [--limit N]",
	.group = GROUP,
	.summary = "the first contacts that a segment finds",
	.help = "  interactctl segments preview VIPs --limit 5\n",
	.options = preview_options,
	.max_words = 1,
	.run = run_preview,
};
