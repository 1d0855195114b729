/* lookup_cache.c - answers remembered: the ones used least go first, by number and by
 * size. Keys are URLs, so that a changed configuration asks anew. */
#include <people/lookup_priv.h>

#include <mem.h>
#include <str.h>

#include <string.h>

#define ENTRIES_MAX 10000
#define BYTES_MAX   (16 * 1024 * 1024)

struct entry {
	struct list link;
	char *key;
	json_t *person; /* NULL: not known */
	int64_t until_us;
	size_t bytes;
};

void
lookup_cache_init(struct lookup_cache *c)
{
	map_init(&c->entries);
	list_init(&c->by_use);
	c->bytes = 0;
}

static void
drop(struct lookup_cache *c, struct entry *e)
{
	map_remove(&c->entries, e->key);
	list_remove(&e->link);
	c->bytes -= e->bytes;
	json_decref(e->person);
	xfree(&e->key);
	mem_free(e);
}

void
lookup_cache_fini(struct lookup_cache *c)
{
	list_for_each_safe (&c->by_use, it)
		drop(c, LIST_ENTRY(it, struct entry, link));
	map_fini(&c->entries);
}

bool
lookup_cache_get(
	struct lookup_cache *c, const char *key, int64_t now_us, json_t **person_r)
{
	struct entry *e = map_find(&c->entries, key);

	*person_r = NULL;
	if (e && now_us >= e->until_us) {
		drop(c, e);
		e = NULL;
	}
	if (!e)
		return false;
	list_remove(&e->link);
	list_prepend(&c->by_use, &e->link);
	*person_r = e->person;
	return true;
}

void
lookup_cache_put(
	struct lookup_cache *c, const char *key, json_t *person, int64_t until_us)
{
	struct entry *e = map_find(&c->entries, key);

	if (e)
		drop(c, e);
	e = xcalloc(1, sizeof(*e));
	e->key = xstrdup(key);
	e->person = json_incref(person);
	e->until_us = until_us;
	/* Jansson's tree takes some three times its text. */
	e->bytes = sizeof(*e) + 2 * strlen(key) +
		   (person ? 3 * json_dumpb(person, NULL, 0, JSON_COMPACT) : 0);
	c->bytes += e->bytes;
	map_put(&c->entries, key, e);
	list_prepend(&c->by_use, &e->link);
	while (c->entries.len > ENTRIES_MAX || c->bytes > BYTES_MAX)
		drop(c, LIST_ENTRY(c->by_use.prev, struct entry, link));
}

void
lookup_cache_forget(struct lookup_cache *c, const char *beginning)
{
	list_for_each_safe (&c->by_use, it) {
		struct entry *e = LIST_ENTRY(it, struct entry, link);
		if (str_starts(e->key, beginning))
			drop(c, e);
	}
}
