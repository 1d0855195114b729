/* value.h - the API's JSON: read by path, printed as a list of names and values. */
#ifndef INTERACTD_CTL_VALUE_H
#define INTERACTD_CTL_VALUE_H

#include <buf.h>
#include <ctl/ctl.h>
#include <jansson.h>

/* Members by a path with dots: "remote.value". NULL, 0, false if there is none. */
json_t *value_at(const json_t *, const char *path);
const char *value_text(const json_t *, const char *path);
int64_t value_int(const json_t *, const char *path);
bool value_flag(const json_t *, const char *path);
/* "a, b": the strings of an array. */
void value_join(struct buf *, const json_t *array);

/* Every member of an object, one a line, nested names joined with dots. */
void value_print(const struct ctl *, const json_t *);
/* One line "name   value" of such a list; the value is made safe. */
void value_print_field(const struct ctl *, const char *name, const char *value);

#endif
