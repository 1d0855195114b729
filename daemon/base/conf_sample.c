/* conf_sample.c - what else the rows are good for: the commented sample, and which
 * changes between two configurations a reload cannot apply. */
#include <base/conf.h>

#include "conf_priv.h"

#include <buf.h>
#include <str.h>

#include <string.h>

#define SAMPLE_WIDTH 76

/* Appends text as comment lines, broken between words. */
static void
add_wrapped(struct buf *out, const char *text)
{
	size_t column = SAMPLE_WIDTH;

	for (text += strspn(text, " "); *text; text += strspn(text, " ")) {
		size_t len = strcspn(text, " ");
		if (column + 1 + len > SAMPLE_WIDTH) {
			buf_adds(
				out, column == SAMPLE_WIDTH && !out->len ? "#" : "\n#");
			column = 1;
		}
		buf_addc(out, ' ');
		buf_add(out, text, len);
		column += 1 + len;
		text += len;
	}
}

static void
add_key(struct buf *out, const struct conf_key *key)
{
	struct buf text = BUF_INIT;

	if (key->help)
		buf_printf(&text, "%s ", key->help);
	buf_addc(&text, '(');
	conf_value_allowed(&text, key);
	if (key->flags & CONF_REQUIRED)
		buf_adds(&text, "; required");
	else if (key->def && *key->def)
		buf_printf(&text, "; default %s", key->def);
	if (!(key->flags & CONF_RELOAD))
		buf_adds(&text, "; a change needs a restart");
	buf_addc(&text, ')');
	add_wrapped(out, buf_str(&text));
	buf_printf(out, "\n%s%s =%s%s\n", key->flags & CONF_REQUIRED ? "" : "#",
		key->name, str_empty(key->def) ? "" : " ", key->def ? key->def : "");
	buf_fini(&text);
}

void
conf_print_sample(struct buf *out, const char *section, const struct conf_key *keys)
{
	if (section)
		buf_printf(out, "[%s]", section);
	for (; keys && keys->name; keys++)
		add_key(out, keys);
}

/* --- what a reload cannot apply --- */

struct changes {
	char *out;
	size_t cap, len, n;
};

static void
changes_add(struct changes *ch, const struct conf_section *s, const char *key)
{
	struct buf text = BUF_INIT;

	buf_printf(&text, "%s[%s%s%s]%s%s", ch->n ? ", " : "", s->def->name,
		s->name ? " " : "", s->name ? s->name : "", key ? " " : "",
		key ? key : "");
	ch->n++;
	if (ch->len < ch->cap) {
		str_copy(ch->out + ch->len, ch->cap - ch->len, buf_str(&text));
		ch->len += strlen(ch->out + ch->len);
	}
	buf_fini(&text);
}

static void
changes_compare(struct changes *ch, const struct conf_section *s,
	const struct conf_key *keys, const void *old, const void *new)
{
	for (const struct conf_key *k = keys; k && k->name; k++)
		if (!(k->flags & CONF_RELOAD) && !conf_value_equal(k, old, new))
			changes_add(ch, s, k->name);
}

static const struct conf_section *
section_like(const struct conf *c, const struct conf_section *like)
{
	for (size_t i = 0; i < c->n; i++)
		if (str_eq(c->sections[i].def->name, like->def->name) &&
			str_eq(c->sections[i].name, like->name))
			return &c->sections[i];
	return NULL;
}

static bool
needs_restart(const struct conf_key *keys)
{
	for (; keys && keys->name; keys++)
		if (!(keys->flags & CONF_RELOAD))
			return true;
	return false;
}

/* A section that came or went is one change, unless all its keys can be reloaded. */
static void
changes_of_presence(struct changes *ch, const struct conf *in, const struct conf *other)
{
	for (size_t i = 0; i < in->n; i++) {
		const struct conf_section *s = &in->sections[i];
		if (!section_like(other, s) &&
			(needs_restart(s->def->keys) ||
				needs_restart(s->extension_keys)))
			changes_add(ch, s, NULL);
	}
}

size_t
conf_restart_needed(
	const struct conf *old, const struct conf *new, char *out, size_t cap)
{
	struct changes ch = {.out = out, .cap = cap};

	if (cap)
		*out = '\0';
	for (size_t i = 0; i < new->n; i++) {
		const struct conf_section *s = &new->sections[i], *was;
		was = section_like(old, s);
		if (!was)
			continue;
		changes_compare(&ch, s, s->def->keys, was->values, s->values);
		/* Another driver's rows describe another struct; the selector is shown.
		 */
		if (was->extension_keys == s->extension_keys && s->extension)
			changes_compare(&ch, s, s->extension_keys, was->extension,
				s->extension);
	}
	changes_of_presence(&ch, old, new);
	changes_of_presence(&ch, new, old);
	return ch.n;
}
