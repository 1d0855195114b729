/* conf.c - from texts and rows to structs.
 *
 * The file was read whole by conf_read.c; here each section finds its definition, the
 * selector (driver = ...) brings its rows first, then the keys are taken in the file's
 * order, and at last come defaults and what is missing. The first mistake ends it, and
 * nothing that was in force before has been touched. */
#include <base/conf.h>

#include "conf_priv.h"

#include <mem.h>
#include <str.h>

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* One section being filled. */
struct filler {
	struct conf_section *section;
	const struct conf_raw_section *raw; /* NULL: not in the file */
	struct conf_place at;		    /* of the header */
	char title[160];		    /* "tenant acme" */
	const char *selected;		    /* the selector's value, or NULL */
	struct map given;		    /* key -> the entry that gave it */
	struct err *err;
};

static int conf_vfail(struct err *e, struct conf_place at, const char *fmt, va_list ap)
	PRINTF_LIKE(3, 0);

static int
conf_vfail(struct err *e, struct conf_place at, const char *fmt, va_list ap)
{
	char text[2 * ERR_TEXT_MAX]; /* err_set cuts it between characters */

	vsnprintf(text, sizeof(text), fmt, ap);
	return err_set(e, "%s:%d: %s", at.file, at.line, text);
}

int
conf_fail(struct err *e, struct conf_place at, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	conf_vfail(e, at, fmt, ap);
	va_end(ap);
	return -1;
}

static const struct conf_key *
row_find(const struct conf_key *keys, const char *name, size_t len)
{
	for (; keys && keys->name; keys++)
		if (strlen(keys->name) == len && !memcmp(keys->name, name, len))
			return keys;
	return NULL;
}

/* The row a key in the file means, and the struct it fills; NAME_file means NAME unless
 * there is a row of that very name. */
static const struct conf_key *
filler_row(const struct filler *f, const char *key, void **values_r, bool *is_file_r)
{
	const struct conf_section *s = f->section;
	size_t len = strlen(key), tail = strlen("_file");
	bool file = len > tail && str_eq(key + len - tail, "_file");

	for (int cut = 0; cut <= (file ? 1 : 0); cut++) {
		size_t n = cut ? len - tail : len;
		const struct conf_key *row = row_find(s->def->keys, key, n);
		*values_r = s->values;
		if (!row) {
			row = row_find(s->extension_keys, key, n);
			*values_r = s->extension;
		}
		*is_file_r = cut;
		if (row)
			return row;
	}
	return NULL;
}

static int
filler_unknown(const struct filler *f, const struct conf_entry *entry)
{
	const struct conf_section_def *def = f->section->def;
	struct conf_words words = {NULL, 0};
	struct buf text = BUF_INIT;

	for (const struct conf_key *k = def->keys; k && k->name; k++)
		conf_words_add(&words, k->name);
	for (const struct conf_key *k = f->section->extension_keys; k && k->name; k++)
		conf_words_add(&words, k->name);
	if (f->selected)
		buf_printf(&text, " with %s = %.*s", def->selector,
			CONF_SHOWN(f->selected, 64));
	/* "adress_file" is a slip in "address". */
	size_t len = strlen(entry->key), tail = strlen("_file");
	bool file = len > tail && str_eq(entry->key + len - tail, "_file");
	char *stem = xstrndup(entry->key, file ? len - tail : len);
	conf_words_explain(&text, &words, stem);
	xfree(&stem);
	conf_fail(f->err, entry->at, "[%s] %.*s: no such key%s", f->title,
		CONF_SHOWN(entry->key, 64), buf_str(&text));
	buf_fini(&text);
	conf_words_fini(&words);
	return -1;
}

/* The value of an entry, from its file if it is NAME_file; appended to out. */
static int
filler_text(const struct filler *f, const struct conf_entry *entry, bool is_file,
	struct buf *out)
{
	struct err why;

	if (!is_file) {
		buf_adds(out, entry->value);
		return 0;
	}
	if (conf_read_value(out, entry->value, entry->at, &why) < 0)
		return conf_fail(f->err, entry->at, "[%s] %s = %.*s: %s", f->title,
			entry->key, CONF_SHOWN(entry->value, 200), why.text);
	return 0;
}

static int
filler_set(struct filler *f, const struct conf_entry *entry)
{
	struct buf text = BUF_INIT;
	struct err why;
	void *values;
	bool is_file;
	const struct conf_key *row = filler_row(f, entry->key, &values, &is_file);

	if (!row)
		return filler_unknown(f, entry);
	const struct conf_entry *before =
		map_put(&f->given, row->name, (void *)(uintptr_t)entry);
	if (before)
		return conf_fail(f->err, entry->at,
			"[%s] %s: given twice (first at %s:%d)", f->title, row->name,
			before->at.file, before->at.line);
	int rc = filler_text(f, entry, is_file, &text);
	if (rc == 0 && (row->flags & CONF_REQUIRED) && !text.len)
		rc = conf_fail(f->err, entry->at, "[%s] %s: required, but empty",
			f->title, row->name);
	if (rc == 0 && conf_value_parse(row, buf_str(&text), values, &why) < 0) {
		const char *shown = row->flags & CONF_SECRET ? "(hidden)"
				    : is_file		     ? "(from its file)"
							     : buf_str(&text);
		rc = conf_fail(f->err, entry->at, "[%s] %s = %.*s: %s", f->title,
			row->name, CONF_SHOWN(shown, 80), why.text);
	}
	buf_fini(&text);
	return rc;
}

/* Defaults for what the file does not give; what is required must have been given. */
static int
filler_rest(struct filler *f, const struct conf_key *keys, void *values)
{
	struct err why;

	for (const struct conf_key *k = keys; k && k->name; k++) {
		if (map_find(&f->given, k->name))
			continue;
		if (k->flags & CONF_REQUIRED)
			return conf_fail(f->err, f->at,
				"[%s] %s: required, but missing", f->title, k->name);
		if (k->def && conf_value_parse(k, k->def, values, &why) < 0)
			return conf_fail(f->err, f->at, "[%s] %s: its default, %s, %s",
				f->title, k->name, k->def, why.text);
	}
	return 0;
}

/* Lets the selector's value bring its rows. Its own mistakes, and those of the value it
 * has, are found again in the file's order later; here only the text is needed. */
static int
filler_extend(struct filler *f, struct buf *selected)
{
	const struct conf_section_def *def = f->section->def;
	const struct conf_key *row =
		row_find(def->keys, def->selector, strlen(def->selector));
	const struct conf_entry *entry = NULL;
	size_t size = 0;
	struct err why;

	assert(row);
	for (size_t i = 0; f->raw && i < f->raw->n && !entry; i++) {
		void *values;
		bool is_file;
		if (filler_row(f, f->raw->entries[i].key, &values, &is_file) != row)
			continue;
		entry = &f->raw->entries[i];
		if (filler_text(f, entry, is_file, selected) < 0)
			return -1;
	}
	if (!entry && row->def)
		buf_adds(selected, row->def);
	if (!selected->len)
		return 0;
	f->selected = buf_str(selected);
	if (def->extend(f->selected, &f->section->extension_keys, &size, &why) < 0)
		return conf_fail(f->err, entry ? entry->at : f->at,
			"[%s] %s = %.*s: %s", f->title, def->selector,
			CONF_SHOWN(f->selected, 64), why.text);
	f->section->extension = xcalloc(1, size);
	return 0;
}

static int
filler_run(struct filler *f)
{
	struct conf_section *s = f->section;
	struct buf selected = BUF_INIT;
	int rc = 0;

	map_init(&f->given);
	if (s->def->selector)
		rc = filler_extend(f, &selected);
	for (size_t i = 0; rc == 0 && f->raw && i < f->raw->n; i++)
		rc = filler_set(f, &f->raw->entries[i]);
	if (rc == 0)
		rc = filler_rest(f, s->def->keys, s->values);
	if (rc == 0)
		rc = filler_rest(f, s->extension_keys, s->extension);
	map_fini(&f->given);
	buf_fini(&selected);
	return rc;
}

static int
section_unknown(const struct conf_raw_section *raw, const struct conf_section_def *defs,
	size_t n_defs, struct err *e)
{
	struct conf_words words = {NULL, 0};
	struct buf text = BUF_INIT;

	for (size_t i = 0; i < n_defs; i++)
		conf_words_add(&words, defs[i].name);
	conf_words_explain(&text, &words, raw->kind);
	conf_fail(e, raw->at, "[%.*s]: no such section%s", CONF_SHOWN(raw->kind, 64),
		buf_str(&text));
	buf_fini(&text);
	conf_words_fini(&words);
	return -1;
}

/* The definition of a section in the file; NULL after a mistake in its header. */
static const struct conf_section_def *
section_def(const struct conf_raw_section *raw, const struct conf_section_def *defs,
	size_t n_defs, struct err *e)
{
	const struct conf_section_def *def = NULL;

	for (size_t i = 0; i < n_defs && !def; i++)
		if (str_eq(defs[i].name, raw->kind))
			def = &defs[i];
	if (!def) {
		section_unknown(raw, defs, n_defs, e);
	} else if (def->named && !raw->name) {
		conf_fail(e, raw->at, "[%s]: needs a name: [%s NAME]", raw->kind,
			raw->kind);
		def = NULL;
	} else if (!def->named && raw->name) {
		conf_fail(e, raw->at, "[%s %.*s]: this section takes no name: [%s]",
			raw->kind, CONF_SHOWN(raw->name, 64), raw->kind);
		def = NULL;
	} else if (raw->name && !str_is_id(raw->name)) {
		conf_fail(e, raw->at,
			"[%s %.*s]: a name has 1 to 64 characters of "
			"A-Z a-z 0-9 . _ -",
			raw->kind, CONF_SHOWN(raw->name, 80));
		def = NULL;
	}
	return def;
}

/* Adds a section of that kind and fills it; raw is NULL if the file has none. */
static int
conf_add(struct conf *c, const struct conf_section_def *def,
	const struct conf_raw_section *raw, struct err *e)
{
	struct conf_section *s = &c->sections[c->n++];
	struct filler f = {.section = s, .raw = raw, .err = e};

	f.at = raw ? raw->at : (struct conf_place){c->files[0], 1};
	*s = (struct conf_section){
		.def = def,
		.name = raw ? xstrdup(raw->name) : NULL,
		.values = xcalloc(1, def->size),
		.file = f.at.file,
		.line = raw ? raw->at.line : 0,
	};
	snprintf(f.title, sizeof(f.title), "%s%s%s", def->name, s->name ? " " : "",
		s->name ? s->name : "");
	return filler_run(&f);
}

static int
conf_fill(struct conf *c, const struct conf_raw *raw,
	const struct conf_section_def *defs, size_t n_defs, struct err *e)
{
	c->sections = xcalloc(raw->n + n_defs, sizeof(*c->sections));
	for (size_t i = 0; i < raw->n; i++) {
		const struct conf_section_def *def =
			section_def(&raw->sections[i], defs, n_defs, e);
		if (!def || conf_add(c, def, &raw->sections[i], e) < 0)
			return -1;
	}
	for (size_t i = 0; i < n_defs; i++)
		if (!defs[i].named && !conf_nth(c, defs[i].name, 0) &&
			conf_add(c, &defs[i], NULL, e) < 0)
			return -1;
	return 0;
}

static struct conf *
conf_build(const char *name, const char *text, size_t len,
	const struct conf_section_def *defs, size_t n_defs, struct err *e)
{
	struct conf *c = xcalloc(1, sizeof(*c));
	struct conf_raw raw = {0};
	int rc = conf_read(&raw, name, text, len, e);

	/* The names of the files outlive the raw form: sections point at them. */
	c->files = raw.files;
	c->n_files = raw.n_files;
	if (rc == 0)
		rc = conf_fill(c, &raw, defs, n_defs, e);
	raw.files = NULL;
	raw.n_files = 0;
	conf_raw_fini(&raw);
	if (rc < 0)
		conf_free(&c);
	return c;
}

struct conf *
conf_load(const char *path, const struct conf_section_def *defs, size_t n_defs,
	struct err *e)
{
	return conf_build(path, NULL, 0, defs, n_defs, e);
}

struct conf *
conf_parse(const char *name, const char *text, size_t len,
	const struct conf_section_def *defs, size_t n_defs, struct err *e)
{
	return conf_build(name, text ? text : "", len, defs, n_defs, e);
}

static void
values_free(const struct conf_key *keys, void *values)
{
	for (; values && keys && keys->name; keys++)
		conf_value_free(keys, values);
}

void
conf_free(struct conf **cp)
{
	struct conf *c = *cp;

	if (!c)
		return;
	for (size_t i = 0; i < c->n; i++) {
		struct conf_section *s = &c->sections[i];
		values_free(s->def->keys, s->values);
		values_free(s->extension_keys, s->extension);
		xfree(&s->values);
		xfree(&s->extension);
		xfree(&s->name);
	}
	xfree(&c->sections);
	for (size_t i = 0; i < c->n_files; i++)
		xfree(&c->files[i]);
	xfree(&c->files);
	xfree(cp);
}

struct conf_section *
conf_nth(const struct conf *c, const char *section, size_t n)
{
	for (size_t i = 0; i < c->n; i++)
		if (str_eq(c->sections[i].def->name, section) && n-- == 0)
			return &c->sections[i];
	return NULL;
}

void *
conf_values(const struct conf *c, const char *section)
{
	struct conf_section *s = conf_nth(c, section, 0);

	assert(s && !s->def->named);
	return s->values;
}
