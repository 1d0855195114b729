/* json.h - writing JSON straight into a buf; reading is done with Jansson's json_t.
 *
 * The writer puts commas and quotes itself; nesting is at most 32 deep. Strings are
 * made valid UTF-8 on the way (RFC 8259 §8.1); NUL is dropped, as jsonb cannot hold it.
 * Assert-checked: every open is closed. */
#ifndef INTERACTD_JSON_H
#define INTERACTD_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include "buf.h"

struct json_out {
	struct buf *buf;
	unsigned depth;
	bool comma[33];
};

void json_out_init(struct json_out *, struct buf *); /* appends to buf */
/* key is NULL inside arrays and at the top. A NULL string value writes null. */
void json_put_object(struct json_out *, const char *key);
void json_put_object_end(struct json_out *);
void json_put_array(struct json_out *, const char *key);
void json_put_array_end(struct json_out *);
void json_put_string(struct json_out *, const char *key, const char *value);
void
json_put_string_len(struct json_out *, const char *key, const char *value, size_t len);
void json_put_int(struct json_out *, const char *key, int64_t value);
void json_put_double(struct json_out *, const char *key, double value);
void json_put_bool(struct json_out *, const char *key, bool value);
void json_put_null(struct json_out *, const char *key);
/* RFC 3339 text, or null if wall_us is 0. */
void json_put_time(struct json_out *, const char *key, int64_t wall_us);
/* Text that is JSON already and known to be valid (a jsonb column, an own object). */
void json_put_raw(struct json_out *, const char *key, const char *json);

/* Appends s as a JSON string with its quotes. */
void json_quote(struct buf *, const char *s, size_t len);

#endif
