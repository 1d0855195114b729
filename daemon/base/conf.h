/* conf.h - reading interactd.conf (INI, through inih) into structs described by rows.
 *
 * The rows are include/conf.h's. A file is parsed whole into a new struct conf before
 * anything looks at it; a bad file leaves the old one in force (see conf_load). */
#ifndef INTERACTD_BASE_CONF_H
#define INTERACTD_BASE_CONF_H

#include <conf.h>
#include <err.h>

/* One kind of section: "[daemon]" (named = false) or "[tenant NAME]" (named = true). */
struct conf_section_def {
	const char *name;
	bool named;
	size_t size; /* of the struct its keys fill */
	const struct conf_key *keys;
	/* Optional: rows that depend on a value in the section ("driver = asterisk"
	 * brings the driver's own). Given the selector's value, sets keys and size of a
	 * second struct, or returns -1 with a sentence that names what is allowed. */
	const char *selector;
	int (*extend)(const char *value, const struct conf_key **keys_r, size_t *size_r,
		struct err *);
};

struct conf_section {
	const struct conf_section_def *def;
	char *name;	 /* NAME of "[tenant NAME]"; NULL if not named */
	void *values;	 /* struct of def->size */
	void *extension; /* struct of extend's size, or NULL */
	const struct conf_key *extension_keys;
	const char *file; /* where it begins, for messages */
	int line;
};

struct conf {
	struct conf_section *sections; /* in the file's order; unnamed ones not in the
					  file exist too, with defaults, line 0 */
	size_t n;
	/* private */
	char **files;
	size_t n_files;
};

/* Reads path ("include = PATH" at the start of a line outside or inside a section reads
 * another file, relative to this one, at most 8 deep; NAME_file = PATH takes a value
 * from a file, trailing newline cut). A blank or "#"/";" line is a comment; a value
 * ends at the line's end (" #" or " ;" after a blank starts a comment unless the value
 * is "quoted"; inside quotes nothing is special but the closing quote). Blanks before a
 * line mean nothing; a line has at most 4096 bytes, a file 1 MiB, a NAME_file's content
 * 64 KiB (taken as it is: no quotes, no comments). NAMEs of sections are ids
 * (str_is_id). Every mistake is an error: unknown section or key (with the nearest
 * allowed one), twice the same key or section, value out of range, missing required
 * key. err says "file:line: what is wrong and what is allowed". Returns NULL then. */
struct conf *conf_load(const char *path, const struct conf_section_def *defs,
	size_t n_defs, struct err *);
/* The same from memory, `name` standing for the file's name (tests, fuzzing, defaults).
 */
struct conf *conf_parse(const char *name, const char *text, size_t len,
	const struct conf_section_def *defs, size_t n_defs, struct err *);
void conf_free(struct conf **);

/* The struct of "[section]" (the unnamed section's values); never NULL for a def that
 * was given. */
void *conf_values(const struct conf *, const char *section);
/* The n-th section of that kind, or NULL. */
struct conf_section *conf_nth(const struct conf *, const char *section, size_t n);

/* The names ("[section] key") of changed keys that only a restart applies, appended to
 * out as "a, b"; returns how many. Both confs come from the same defs. */
size_t conf_restart_needed(
	const struct conf *old, const struct conf *new, char *out, size_t cap);

/* Writes every key of a kind of section with help, default and range as a commented
 * sample; tests compare it with conf/interactd.conf, docs are made from it. */
struct buf;
void conf_print_sample(struct buf *, const char *section, const struct conf_key *keys);

#endif
