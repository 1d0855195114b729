/* cmd.c - see cmd.h. */
#include <ctl/cmd.h>

#include <mem.h>
#include <str.h>
#include <uuid.h>

#include <ctype.h>
#include <stdio.h>
#include <string.h>

int
cmd_run(struct ctl *ctl, const char *method, const char *path, const json_t *body,
	cmd_show_fn *show)
{
	struct client_answer a;
	int rc = client_call(ctl, method, path, body, &a);
	if (!rc && ctl->json)
		client_print(&a);
	else if (!rc)
		rc = show(ctl, a.json);
	client_answer_fini(&a);
	return rc;
}

/* ---- Which contact ---------------------------------------------------------------- */

/* "phone:…": a kind is a word of ASCII letters; names with a colon are looked up as such
 * only if what stands before it is none. */
static bool
has_kind(const char *what)
{
	size_t n = strspn(what, "abcdefghijklmnopqrstuvwxyz0123456789_-");
	return n > 0 && n <= 32 && islower((unsigned char)what[0]) && what[n] == ':';
}

/* Digits as people write them, full-width ones too. */
static bool
is_number(const char *what)
{
	unsigned digits = 0;
	for (const char *s = what; *s; s++) {
		if (strncmp(s, "\xef\xbc", 2) == 0 && (unsigned char)s[2] >= 0x90 &&
			(unsigned char)s[2] <= 0x99) {
			digits++;
			s += 2;
		} else if (isdigit((unsigned char)*s)) {
			digits++;
		} else if (!strchr("+-() ./", *s)) {
			return false;
		}
	}
	return digits >= 3;
}

void
cmd_contact_path(struct buf *path, const char *what)
{
	const char *kind = has_kind(what)      ? ""
			   : is_number(what)   ? "phone:"
			   : strchr(what, '@') ? "email:"
					       : NULL;
	buf_adds(path, "/v1/contacts");
	if (kind) {
		char *identity = xasprintf("%s%s", kind, what);
		client_query_add(path, "identity", identity);
		xfree(&identity);
	} else {
		client_query_add(path, "q", what);
	}
}

static void
list_candidates(const struct ctl *ctl, const json_t *items)
{
	struct buf b = BUF_INIT;
	(void)ctl;
	for (size_t i = 0; i < json_array_size(items); i++) {
		const json_t *o = json_array_get(items, i);
		const char *name = value_text(o, "name");
		buf_printf(&b, "  %s  ", value_text(o, "id"));
		print_safe(&b, name ? name : "(no name)");
		buf_addc(&b, '\n');
	}
	fputs(buf_str(&b), stderr);
	buf_fini(&b);
}

static int
pick_one(const struct ctl *ctl, const json_t *answer, const char *what, char id_r[37])
{
	const json_t *items = value_at(answer, "items");
	const char *id = value_text(json_array_get(items, 0), "id");
	struct buf b = BUF_INIT;
	int rc = CTL_OK;
	print_safe(&b, what);
	if (!id) {
		fprintf(stderr, "interactctl: no contact is known as %s\n",
			buf_str(&b));
		rc = CTL_NOT_FOUND;
	} else if (json_array_size(items) > 1) {
		fprintf(stderr,
			"interactctl: %s may be several contacts; give an id:\n",
			buf_str(&b));
		list_candidates(ctl, items);
		rc = CTL_REFUSED;
	} else {
		str_copy(id_r, 37, id);
	}
	buf_fini(&b);
	return rc;
}

int
cmd_contact_id(struct ctl *ctl, const char *what, char id_r[37])
{
	struct uuid id;
	struct client_answer a;
	struct buf path = BUF_INIT;
	if (uuid_parse(what, &id)) {
		str_copy(id_r, 37, what);
		return CTL_OK;
	}
	cmd_contact_path(&path, what);
	int rc = client_call(ctl, "GET", buf_str(&path), NULL, &a);
	if (!rc)
		rc = pick_one(ctl, a.json, what, id_r);
	client_answer_fini(&a);
	buf_fini(&path);
	return rc;
}

/* ---- Parts of lines --------------------------------------------------------------- */

void
cmd_identity(struct buf *out, const json_t *identity)
{
	const char *value = value_text(identity, "value");
	print_safe(out, value_text(identity, "kind"));
	buf_addc(out, ':');
	print_safe(out, value ? value : "?");
}

void
cmd_remote(struct buf *out, const json_t *remote)
{
	const char *value = value_text(remote, "value");
	if (value_flag(remote, "withheld"))
		buf_adds(out, "withheld");
	else
		print_safe(out, value ? value : "-");
}

const char *
cmd_direction(const json_t *interaction)
{
	return str_eq(value_text(interaction, "direction"), "out") ? "out" : "in";
}

void
cmd_more(const json_t *list, const char *option)
{
	const char *next = value_text(list, "next");
	struct buf b = BUF_INIT;
	if (!next)
		return;
	print_safe(&b, next);
	fflush(stdout);
	fprintf(stderr, "There is more: %s %s\n", option, buf_str(&b));
	buf_fini(&b);
}

void
cmd_set_limit(
	json_t *body, const struct ctl_args *a, const char *option, const char *name)
{
	json_t *list = json_array();
	const char *text;
	bool all = false;
	for (unsigned n = 0; (text = args_nth(a, option, n)); n++) {
		all = all || str_eq(text, "all");
		if (*text)
			json_array_append_new(list, json_string(text));
	}
	if (args_has(a, option))
		json_object_set(body, name, all ? json_null() : list);
	json_decref(list);
}

void
cmd_limit(struct buf *b, const json_t *list)
{
	if (!json_is_array(list))
		buf_adds(b, "all");
	else if (!json_array_size(list))
		buf_adds(b, "none");
	else
		value_join(b, list);
}
