/* conf.h - declarative configuration: one row per key.
 *
 * From the rows come parser, defaults, range errors with file and line, the commented
 * sample and the manual's key list (tests compare them). A section's values live in a
 * struct whose fields the rows name; a driver declares its own rows in struct
 * channel_ops.keys and reads its struct. */
#ifndef INTERACTD_CONF_H
#define INTERACTD_CONF_H

#include <regex.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum conf_type {
	CONF_STRING,   /* char *; NULL if absent and without default */
	CONF_INT,      /* int64_t in [min, max] */
	CONF_BOOL,     /* bool: yes/no, true/false, on/off, 1/0 */
	CONF_DURATION, /* int64_t milliseconds: 250, 250ms, 5s, 2m, 1h, 1d; in [min,
			  max]; a bare number is in the unit the key's name ends in
			  (_ms, _s) */
	CONF_SIZE,     /* int64_t bytes: 64k, 10M, 1G; in [min, max] */
	CONF_LIST,     /* struct conf_list: words separated by commas or blanks */
	CONF_REGEX,    /* struct conf_regex: POSIX extended, compiled */
	CONF_CHOICE,   /* int: index into choices */
};

struct conf_list {
	char **items;
	size_t n;
};
struct conf_regex {
	char *text; /* NULL if absent */
	regex_t re;
};

#define CONF_REQUIRED 1u
#define CONF_RELOAD   2u /* SIGHUP applies it; others are said to need a restart */
#define CONF_SECRET   4u /* masked in logs and in --check-config's output */

struct conf_key {
	const char *name;
	enum conf_type type;
	size_t offset;	 /* of the field in the section's struct */
	const char *def; /* default as written in a file, or NULL */
	/* Of the number; of the bytes of a CONF_STRING, the words of a CONF_LIST, the
	 * groups of a CONF_REGEX (min only). Both 0: anything (a number: from 0 up).
	 * Durations in ms, sizes in bytes. */
	int64_t min, max;
	unsigned flags;
	const char *const *choices; /* NULL-terminated, for CONF_CHOICE */
	const char *help;	    /* one or two sentences, for sample and manual */
};
/* Ends an array of rows. */
#define CONF_END                                                                       \
	{                                                                              \
		NULL, CONF_STRING, 0, NULL, 0, 0, 0, NULL, NULL                        \
	}

#endif
