/* holidays.h - the public holidays of a region, from a file that people can write:
 *
 *	# Taiwan. Source: …
 *	2026-01-01              Founding Day
 *	2026-02-14..2026-02-22  Lunar New Year
 *
 * A line is a day, or a first and a last one, and a name. Blank lines and those that
 * begin with '#' say nothing. Immutable once made; any thread may ask. */
#ifndef INTERACTD_OUTREACH_HOLIDAYS_H
#define INTERACTD_OUTREACH_HOLIDAYS_H

#include <err.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HOLIDAYS_FILE_MAX   (256 * 1024)
#define HOLIDAYS_LINES_MAX  4000
#define HOLIDAYS_LENGTH_MAX 60 /* days of one holiday: more is a slip of the pen */
#define HOLIDAYS_REGION_MAX 8

struct holidays;

/* region: "CN", or one of its parts as "DE-BY". err says "line N: …". Returns, caller
 * frees; NULL and err if any line is wrong. */
struct holidays *
holidays_parse(const char *region, const char *text, size_t len, struct err *);
/* DIR/REGION; regions are [A-Z0-9-]{2,8}, so that none leads out of dir. */
struct holidays *holidays_load(const char *dir, const char *region, struct err *);
void holidays_free(struct holidays **);

const char *holidays_region(const struct holidays *);
/* The country it is of: "DE" of "DE-BY". */
bool holidays_is_of_country(const struct holidays *, const char *country);
/* day: since 1970-01-01. The name of the holiday that it is, or NULL. */
const char *holidays_name(const struct holidays *, int64_t day);
/* It has a holiday in that year, so that it may be thought complete there. */
bool holidays_cover_year(const struct holidays *, int year);

#endif
