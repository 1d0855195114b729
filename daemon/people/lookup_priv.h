/* lookup_priv.h - what the files of look-ups share; for daemon/people/lookup*.c only.
 *
 *	lookup.c         who asks, who shares, the breaker, the end
 *	lookup_cache.c   what is remembered
 *	lookup_url.c     the URL from its template
 *	lookup_answer.c  what a system answered, checked
 *	lookup_store.c   what was found, written to the contact */
#ifndef INTERACTD_PEOPLE_LOOKUP_PRIV_H
#define INTERACTD_PEOPLE_LOOKUP_PRIV_H

#include <list.h>
#include <map.h>
#include <people/lookup.h>

/* ---- lookup_cache.c: URL (with its tenant) -> person or "not known" ---- */

struct lookup_cache {
	struct map entries;
	struct list by_use; /* the one used last in front */
	size_t bytes;
};
void lookup_cache_init(struct lookup_cache *);
void lookup_cache_fini(struct lookup_cache *);
/* True if remembered: *person_r is borrowed, or NULL for "not known". */
bool lookup_cache_get(
	struct lookup_cache *, const char *key, int64_t now_us, json_t **person_r);
void lookup_cache_put(
	struct lookup_cache *, const char *key, json_t *person, int64_t until_us);
/* All whose key begins so. */
void lookup_cache_forget(struct lookup_cache *, const char *beginning);

/* ---- lookup_url.c ---- */

/* Replaces the placeholders. Returns, caller frees. */
char *lookup_url_make(const char *url, const struct lookup_question *);

/* ---- lookup_answer.c ---- */

/* FOUND and *person_r (caller's), UNKNOWN, or FAILED and why. ignored: an array that gets
 * a sentence for each member that was no good. */
enum lookup_outcome lookup_answer_parse(const char *body, size_t len,
	const struct tenant *, json_t **person_r, json_t *ignored, char why[200]);

struct lookups {
	struct store *store;
	struct fetch *fetch;
	struct map tenants; /* name -> struct lookup_tenant */
	struct map flights; /* key -> struct flight */
	struct lookup_cache cache;
	event_stamp_fn *stamp;
	lookup_changed_fn *changed;
	void *changed_arg;
};

#endif
