/* map.h - string to pointer, open hashing, insertion order not kept.
 *
 * Keys are copied; values are borrowed (their owner frees them). Lookups are O(1); the
 * table grows by doubling. The hash is keyed per map, so that keys from outside cannot
 * be chosen to collide; the order of map_each therefore differs from run to run. */
#ifndef INTERACTD_MAP_H
#define INTERACTD_MAP_H

#include <stddef.h>

struct map_entry;
struct map {
	struct map_entry **slots;
	size_t n_slots, len;
	unsigned char seed[16];
};

void map_init(struct map *);
void map_fini(struct map *); /* frees keys and table, not values */
void *map_find(const struct map *, const char *key); /* NULL if absent */
/* Replaces a value present before and returns that one, else NULL. value != NULL. */
void *map_put(struct map *, const char *key, void *value);
void *map_remove(struct map *, const char *key); /* the value, or NULL if absent */
/* Calls fn for every entry; fn may remove the entry it is given, and no other. */
typedef void map_fn(const char *key, void *value, void *arg);
void map_each(struct map *, map_fn *fn, void *arg);

#endif
