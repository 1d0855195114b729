/* pop_find.c - what is shown, or was, of somebody who is to be forgotten: in memory, and
 * in Redis' lists of pops.
 *
 * In memory first: what lives goes on without a name or number, and that is told. Then all
 * lists of the tenant are gone through, a key at a time, by pop_find.lua. A word that is
 * still in a hash of open pops has not been told away yet (Redis is slow, another daemon
 * shows it): the caller comes again later. */
#include <desk/pop_priv.h>

#include <clock.h>
#include <mem.h>
#include <str.h>

#include <string.h>

#define SCAN_COUNT "500"
#define CURSOR_LEN 32

struct list_kind {
	const char *what; /* as in pop_key */
	bool is_stream;
};
static const struct list_kind kinds[] = {
	{"pops:", true},
	{"queue-pops:", true},
	{"open:", false},
	{"queue-open:", false},
};

struct pop_finder {
	struct pops *pops;
	struct redis *redis;
	pops_found_fn *cb; /* NULL: cancelled */
	void *arg;
	char *prefix, *pattern;
	char cursor
		[CURSOR_LEN]; /* of the next SCAN; "0" at the beginning and the end */
	char **keys;	      /* of the last page, still to be looked at */
	size_t n_keys, next_key;
	bool is_stream; /* the key being looked at */
	char until[CLOCK_RFC3339_LEN];
	char **words;
	size_t n_words;
	bool erase;
	struct pops_found found;
};

static void go_on(struct pop_finder *f);

static void
drop_keys(struct pop_finder *f)
{
	for (size_t i = 0; i < f->n_keys; i++)
		xfree(&f->keys[i]);
	xfree(&f->keys);
	f->n_keys = f->next_key = 0;
}

static void
end(struct pop_finder *f, bool reached)
{
	f->found.reached = reached;
	if (f->cb)
		f->cb(f->arg, &f->found);
	drop_keys(f);
	for (size_t i = 0; i < f->n_words; i++)
		xfree(&f->words[i]);
	xfree(&f->words);
	xfree(&f->prefix);
	xfree(&f->pattern);
	mem_free(f);
}

/* False: it is none of the lists. */
static bool
kind_of(const struct pop_finder *f, const char *key, bool *is_stream_r)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (!str_starts(key + strlen(f->prefix), kinds[i].what))
			continue;
		*is_stream_r = kinds[i].is_stream;
		return true;
	}
	return false;
}

/* ---- One key ---- */

static void
note_time(char *to, const char *at, bool earlier)
{
	if (*at && (!*to || (strcmp(at, to) < 0) == earlier))
		str_copy(to, CLOCK_RFC3339_LEN, at);
}

static void
on_looked(void *arg, const struct redis_reply *r)
{
	struct pop_finder *f = arg;
	if (!f->cb || redis_type(r) != REDIS_ARRAY || redis_len(r) != 4) {
		end(f, false);
		return;
	}
	unsigned n = (unsigned)redis_int(redis_at(r, 0));
	if (f->is_stream) {
		f->found.entries += n;
		f->found.erased += (unsigned)redis_int(redis_at(r, 1));
	} else {
		f->found.open += n;
	}
	note_time(f->found.oldest, redis_str(redis_at(r, 2), NULL), true);
	note_time(f->found.newest, redis_str(redis_at(r, 3), NULL), false);
	go_on(f);
}

static void
look_at_key(struct pop_finder *f, const char *key)
{
	const char **args = xcalloc(f->n_words + 4, sizeof(*args));
	args[0] = key;
	args[1] = f->is_stream ? "stream" : "hash";
	args[2] = f->erase ? "1" : "0";
	args[3] = f->until;
	for (size_t i = 0; i < f->n_words; i++)
		args[4 + i] = f->words[i];
	redis_eval(f->redis, f->pops->find_script, 1, (int)f->n_words + 4, args, NULL,
		on_looked, f);
	mem_free(args);
}

/* ---- Pages of keys ---- */

static void
on_page(void *arg, const struct redis_reply *r)
{
	struct pop_finder *f = arg;
	const struct redis_reply *page = redis_len(r) == 2 ? redis_at(r, 1) : NULL;
	if (!f->cb || redis_type(r) != REDIS_ARRAY || !page) {
		end(f, false);
		return;
	}
	str_copy(f->cursor, sizeof(f->cursor), redis_str(redis_at(r, 0), NULL));
	drop_keys(f);
	f->keys = xcalloc(redis_len(page) + 1, sizeof(*f->keys));
	for (size_t i = 0; i < redis_len(page); i++) {
		const char *key = redis_str(redis_at(page, i), NULL);
		bool is_stream;
		if (str_starts(key, f->prefix) && kind_of(f, key, &is_stream))
			f->keys[f->n_keys++] = xstrdup(key);
	}
	f->found.asked = true;
	go_on(f);
}

static void
ask_for_page(struct pop_finder *f)
{
	const char *argv[] = {
		"SCAN", f->cursor, "MATCH", f->pattern, "COUNT", SCAN_COUNT};
	size_t lens[ARRAY_LEN(argv)];
	for (size_t i = 0; i < ARRAY_LEN(argv); i++)
		lens[i] = strlen(argv[i]);
	redis_command(f->redis, ARRAY_LEN(argv), argv, lens, on_page, f);
}

static void
go_on(struct pop_finder *f)
{
	if (f->next_key < f->n_keys) {
		const char *key = f->keys[f->next_key++];
		kind_of(f, key, &f->is_stream);
		look_at_key(f, key);
	} else if (f->found.asked && str_eq(f->cursor, "0")) {
		end(f, true);
	} else {
		ask_for_page(f);
	}
}

struct pop_finder *
pops_find(struct pops *ps, const struct privacy_subject *s, bool erase,
	pops_found_fn *cb, void *arg)
{
	struct pop_finder *f = xcalloc(1, sizeof(*f));
	f->pops = ps;
	f->redis = ps->redis;
	f->cb = cb;
	f->arg = arg;
	f->erase = erase;
	f->prefix = pop_key(s->tenant, "", NULL);
	f->pattern = xasprintf("%s*", f->prefix);
	f->words = privacy_words(s, false, &f->n_words);
	if (s->until_us)
		clock_format(f->until, s->until_us);
	else
		str_copy(f->until, sizeof(f->until), "9");
	str_copy(f->cursor, sizeof(f->cursor), "0");
	ask_for_page(f);
	return f;
}

void
pops_find_cancel(struct pop_finder **fp)
{
	if (*fp)
		(*fp)->cb = NULL;
	*fp = NULL;
}

/* ---- Memory ---- */

static bool
is_theirs(const struct subject *s, const struct privacy_subject *who)
{
	return privacy_has_id(who, &s->shown) || privacy_has_id(who, &s->contact) ||
	       (s->wants_card &&
		       privacy_has_address(who, s->address.kind, s->address.value));
}

/* One of several who may be calling, or named by what is shown of another. */
static bool
is_named_there(const struct subject *s, const struct privacy_subject *who)
{
	char text[UUID_TEXT_LEN];
	for (size_t i = 0; s->card && i < who->n_ids; i++) {
		uuid_format(text, &who->ids[i]);
		if (strstr(s->card->candidates_json, text) ||
			strstr(s->card->contact_json, text))
			return true;
	}
	return false;
}

unsigned
pops_forget(struct pops *ps, const struct privacy_subject *who)
{
	unsigned n = 0;
	list_for_each_safe (&ps->subjects, it) {
		struct subject *s = LIST_ENTRY(it, struct subject, link);
		if (s->tenant->tenant != who->tenant)
			continue;
		if (is_theirs(s, who)) {
			subject_forget(s);
			n++;
		} else if (is_named_there(s, who)) {
			subject_ask_again(s);
		}
	}
	return n;
}
