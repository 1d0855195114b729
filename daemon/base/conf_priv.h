/* conf_priv.h - what the parts of the configuration share; nobody else includes it.
 *
 *	conf_read.c	files and lines -> struct conf_raw (sections, keys, places)
 *	conf.c		conf_raw and the rows -> struct conf
 *	conf_value.c	one text -> one typed field, and what is allowed instead
 *	conf_words.c	"did you mean"
 *	conf_sample.c	the rows -> a commented sample */
#ifndef INTERACTD_BASE_CONF_PRIV_H
#define INTERACTD_BASE_CONF_PRIV_H

#include <base/conf.h>
#include <buf.h>
#include <map.h>
#include <str.h>

#include <string.h>

#define CONF_LINE_MAX  4096		  /* bytes of a "key = value" line */
#define CONF_FILE_MAX  ((size_t)1 << 20)  /* bytes of one file */
#define CONF_VALUE_MAX ((size_t)64 << 10) /* bytes of a NAME_file's content */
#define CONF_FILES_MAX 256		  /* files read in all */
#define CONF_DEPTH_MAX 8		  /* includes inside one another */

struct conf_place {
	const char *file; /* borrowed from conf_raw.files */
	int line;
};

struct conf_entry {
	struct conf_place at;
	char *key, *value; /* value without quotes and comment */
};

struct conf_raw_section {
	char *kind; /* "tenant" of "[tenant NAME]" */
	char *name; /* "NAME", or NULL */
	struct conf_place at;
	struct conf_entry *entries;
	size_t n;
};

struct conf_raw {
	struct conf_raw_section *sections;
	size_t n;
	char **files;
	size_t n_files;
	struct map by_title; /* "kind" or "kind name" -> index + 1 */
};

/* For "%.*s": at most max bytes of a text from the file, cut between characters. */
#define CONF_SHOWN(s, max) (int)utf8_cut((s), strlen(s), (max)), (s)

/* Sets err to "file:line: sentence". Returns -1. */
int conf_fail(struct err *, struct conf_place, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* --- conf_read.c --- */

/* text NULL: reads the file `name`. raw is zeroed by the caller and to be freed with
 * conf_raw_fini also after an error. */
int conf_read(struct conf_raw *raw, const char *name, const char *text, size_t len,
	struct err *) MUST_CHECK;
void conf_raw_fini(struct conf_raw *);
/* The content of the file that a key NAME_file names, relative to at.file; appended to
 * out without its last newline. */
int conf_read_value(struct buf *out, const char *path, struct conf_place at,
	struct err *why) MUST_CHECK;

/* --- conf_value.c --- */

/* Parses text into the field (of values) that the row names. The field holds its zero
 * value before. On -1, why is what is allowed ("must be between 1 and 5"), and the
 * field is as it was. */
int conf_value_parse(const struct conf_key *, const char *text, void *values,
	struct err *why) MUST_CHECK;
void conf_value_free(const struct conf_key *, void *values);
bool conf_value_equal(const struct conf_key *, const void *a, const void *b);
/* Appends what is allowed: "between 10 and 10000 (milliseconds)", "one of a, b". */
void conf_value_allowed(struct buf *, const struct conf_key *);

/* --- conf_words.c --- */

/* --- conf_words.c --- */

/* Words to choose from, for messages. */
struct conf_words {
	const char **items; /* borrowed */
	size_t n;
};
void conf_words_add(struct conf_words *, const char *word);
void conf_words_fini(struct conf_words *);
/* Appends `; did you mean "address"? (allowed: a, b, ...)`. */
void conf_words_explain(struct buf *, const struct conf_words *, const char *wrong);

#endif
