/* map.c - string to pointer, chained hashing.
 *
 * Keys come from phone systems and visitors, so the hash is keyed (SipHash-2-4) with
 * random bytes per map: nobody outside can choose keys that fall into one slot.
 * Invariant: n_slots is 0 or a power of two, and len <= n_slots. */
#include <map.h>

#include <mem.h>

#include <sodium.h>

#include <assert.h>
#include <stdint.h>
#include <string.h>

#define MAP_MIN_SLOTS 16

_Static_assert(sizeof(((struct map *)0)->seed) == crypto_shorthash_KEYBYTES,
	"the seed is SipHash's key");

struct map_entry {
	struct map_entry *next;
	uint64_t hash;
	void *value;
	char key[];
};

void
map_init(struct map *m)
{
	*m = (struct map){0};
	randombytes_buf(m->seed, sizeof(m->seed));
}

void
map_fini(struct map *m)
{
	for (size_t i = 0; i < m->n_slots; i++) {
		for (struct map_entry *e = m->slots[i], *next; e; e = next) {
			next = e->next;
			mem_free(e);
		}
	}
	xfree(&m->slots);
	m->n_slots = m->len = 0;
}

static uint64_t
map_hash(const struct map *m, const char *key)
{
	unsigned char out[crypto_shorthash_BYTES];
	uint64_t hash;

	crypto_shorthash(out, (const unsigned char *)key, strlen(key), m->seed);
	memcpy(&hash, out, sizeof(hash));
	return hash;
}

/* The pointer that points at the key's entry, or at the NULL where it would go. */
static struct map_entry **
map_place(const struct map *m, const char *key, uint64_t hash)
{
	struct map_entry **at = &m->slots[hash & (m->n_slots - 1)];

	while (*at && ((*at)->hash != hash || strcmp((*at)->key, key) != 0))
		at = &(*at)->next;
	return at;
}

static void
map_grow(struct map *m)
{
	struct map_entry **old = m->slots;
	size_t n_old = m->n_slots;

	m->n_slots = n_old ? 2 * n_old : MAP_MIN_SLOTS;
	m->slots = xcalloc(m->n_slots, sizeof(*m->slots));
	for (size_t i = 0; i < n_old; i++) {
		for (struct map_entry *e = old[i], *next; e; e = next) {
			next = e->next;
			struct map_entry **slot = &m->slots[e->hash & (m->n_slots - 1)];
			e->next = *slot;
			*slot = e;
		}
	}
	xfree(&old);
}

void *
map_find(const struct map *m, const char *key)
{
	if (!m->len)
		return NULL;
	const struct map_entry *e = *map_place(m, key, map_hash(m, key));
	return e ? e->value : NULL;
}

void *
map_put(struct map *m, const char *key, void *value)
{
	assert(value);
	if (m->len == m->n_slots)
		map_grow(m);
	uint64_t hash = map_hash(m, key);
	struct map_entry **at = map_place(m, key, hash);
	if (*at) {
		void *old = (*at)->value;
		(*at)->value = value;
		return old;
	}
	size_t size = strlen(key) + 1;
	struct map_entry *e = xmalloc(sizeof(*e) + size);
	*e = (struct map_entry){.hash = hash, .value = value};
	memcpy(e->key, key, size);
	*at = e;
	m->len++;
	return NULL;
}

void *
map_remove(struct map *m, const char *key)
{
	if (!m->len)
		return NULL;
	struct map_entry **at = map_place(m, key, map_hash(m, key));
	struct map_entry *e = *at;
	if (!e)
		return NULL;
	void *value = e->value;
	*at = e->next;
	m->len--;
	mem_free(e);
	return value;
}

void
map_each(struct map *m, map_fn *fn, void *arg)
{
	for (size_t i = 0; i < m->n_slots; i++) {
		for (struct map_entry *e = m->slots[i], *next; e; e = next) {
			next = e->next;
			fn(e->key, e->value, arg);
		}
	}
}
