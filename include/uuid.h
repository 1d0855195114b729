/* uuid.h - UUIDv7 (RFC 9562 §5.7), random or derived.
 *
 * Ids are made from the time of what they name, so that tables partitioned by id are
 * partitioned by time. A derived id is the same wherever it is computed: its 74 random
 * bits are the first bytes of the BLAKE2b-128 hash of a name (RFC 7693), with version
 * and variant put over them. */
#ifndef INTERACTD_UUID_H
#define INTERACTD_UUID_H

#include <stdbool.h>
#include <stdint.h>

#define UUID_TEXT_LEN 37
struct uuid {
	unsigned char b[16];
};

struct uuid uuid_new(int64_t wall_us);
/* name: any string; the same (wall_us in whole ms, name) gives the same id. */
struct uuid uuid_derive(int64_t wall_us, const char *name);
int64_t uuid_time_us(const struct uuid *); /* the milliseconds inside, as us */
bool uuid_is_nil(const struct uuid *);
bool uuid_eq(const struct uuid *, const struct uuid *);
char *uuid_format(char dst[UUID_TEXT_LEN], const struct uuid *); /* returns dst */
/* Exactly the 36-character form, either case. */
bool uuid_parse(const char *s, struct uuid *out_r);

#endif
