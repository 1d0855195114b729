/* check.h - the members of a request's object, taken one by one with their limits.
 *
 *	struct check c;  check_init(&c, body);
 *	const char *name = check_text(&c, "name", 200);
 *	...
 *	if (!check_done(&c)) refuse with c.why
 *
 * The first thing wrong is kept in `why`, naming the field; later calls change nothing.
 * What was not taken at the end is an unknown field. */
#ifndef INTERACTD_PEOPLE_CHECK_H
#define INTERACTD_PEOPLE_CHECK_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <uuid.h>

#define CHECK_FIELDS_MAX 24

struct check {
	const json_t *object;
	const char *taken[CHECK_FIELDS_MAX];
	unsigned n_taken;
	char why[160]; /* "" = all well so far */
};

void check_init(struct check *, const json_t *object);
bool check_done(struct check *); /* nothing wrong and nothing left */
void
check_fail(struct check *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The member, or NULL if absent; it counts as taken. */
const json_t *check_take(struct check *, const char *name);
/* As check_take for what the value must be; a JSON null counts as absent. */
const char *check_text(struct check *, const char *name, size_t max_chars);
bool check_bool(struct check *, const char *name, bool def);
bool
check_uuid(struct check *, const char *name, struct uuid *out_r); /* false: absent */
bool check_time(struct check *, const char *name, int64_t *us_r); /* false: absent */
/* An object whose text is at most max_bytes, of at most 32 levels, with no number that
 * PostgreSQL would write out in more digits than readers take; NULL if absent. */
const json_t *check_object(struct check *, const char *name, size_t max_bytes);

#endif
