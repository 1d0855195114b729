/* sight.h - what of the contacts somebody may see: those that have one of some roles, and
 * of these only some attributes. NULL is everything, which is what most have.
 *
 * A key of the API and an agent have one; the caller of a request carries it to the rooms
 * in struct actor, whose statements take it as two parameters (conf/sql/032-access.sql),
 * and an agent's pops are made with it. Counted and never changed; the loop's thread
 * only. */
#ifndef INTERACTD_PEOPLE_SIGHT_H
#define INTERACTD_PEOPLE_SIGHT_H

#include <io/pg.h>
#include <jansson.h>
#include <stdbool.h>

#define SIGHT_ATTRIBUTES_MAX 100

struct sight;

/* The members contact_roles and attributes of a key or an agent: arrays of strings, or
 * null (NULL) for all. NULL if neither limits anything. Caller unrefs. */
const struct sight *sight_new(const json_t *roles, const json_t *attributes);
/* The same from JSON texts, as the database gives them; NULL texts are null. */
const struct sight *sight_parse(const char *roles, const char *attributes);
/* That of somebody of whom it is not known yet: nobody. Never freed. */
const struct sight *sight_of_nobody(void);
const struct sight *sight_ref(const struct sight *); /* NULL-safe, as the rest */
void sight_unref(const struct sight **);
bool sight_eq(const struct sight *, const struct sight *);

/* What is wrong with such a member from outside, as a sentence; NULL if nothing is. */
const char *sight_check_roles(const json_t *);
const char *sight_check_attributes(const json_t *);

/* Two parameters, text[]: the roles and the attributes, NULL = all. */
void sight_param(struct pg_unit *, const struct sight *);
/* The first of them alone. */
void sight_param_roles(struct pg_unit *, const struct sight *);
/* Whether it shows an attribute, a role. */
bool sight_shows_attribute(const struct sight *, const char *name);
bool sight_shows_role(const struct sight *, const char *role);
/* The lists themselves, arrays of strings; NULL = all. */
const json_t *sight_roles(const struct sight *);
const json_t *sight_attributes(const struct sight *);
/* Whether contacts with these roles (an array; NULL is none) are seen. */
bool sight_has(const struct sight *, const json_t *roles);
/* Takes from a contact's object what is not to be seen: attributes, other roles, and an
 * `organisation` that is an object. False: the contact as a whole is not. */
bool sight_filter(const struct sight *, json_t *contact);

#endif
