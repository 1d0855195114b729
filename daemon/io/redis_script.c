/* redis_script.c - Lua scripts: sent by their SHA-1, with the text only when needed.
 *
 * Scripts are loaded whenever the link comes up, before anything else is sent on it, so
 * that EVALSHA normally hits. After a SCRIPT FLUSH in between, each EVALSHA that misses
 * is sent once more as EVAL; order among commands is not kept then. */
#include "io/redis_priv.h"

#include <mem.h>
#include <str.h>

#include <openssl/evp.h>

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* Room for a command's head and the name of the script. */
#define HEAD_MAX 128

struct redis_script {
	struct list link;
	const char *lua;
	char sha1[41];
};

static void
script_load(struct redis *r, const struct redis_script *s)
{
	const char *words[] = {"SCRIPT", "LOAD", s->lua};
	struct buf b = BUF_INIT;

	redis_put_head(&b, ARRAY_LEN(words));
	redis_put_words(&b, ARRAY_LEN(words), words);
	redis_send(r, &b, NULL, NULL, NULL);
	buf_fini(&b);
}

void
redis_scripts_load(struct redis *r)
{
	list_for_each (&r->scripts, it)
		script_load(r, LIST_ENTRY(it, struct redis_script, link));
}

/* Scripts may outlive the connection they were made for. */
void
redis_scripts_detach(struct redis *r)
{
	while (!list_is_empty(&r->scripts))
		list_remove(r->scripts.next);
}

struct redis_script *
redis_script_new(struct redis *r, const char *lua)
{
	struct redis_script *s = xcalloc(1, sizeof(*s));
	unsigned char md[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	s->lua = lua;
	/* Redis names scripts so; no security hangs on it. */
	int ok = EVP_Digest(lua, strlen(lua), md, &len, EVP_sha1(), NULL);
	assert(ok && len == 20);
	(void)ok;
	hex_encode(s->sha1, md, 20);
	list_append(&r->scripts, &s->link);
	if (redis_is_up(r))
		script_load(r, s);
	return s;
}

void
redis_script_free(struct redis_script **sp)
{
	if (!*sp)
		return;
	list_remove(&(*sp)->link);
	xfree(sp);
}

void
redis_eval(struct redis *r, struct redis_script *s, int n_keys, int n,
	const char *const *keys_and_args, const size_t *lens, redis_reply_fn *cb,
	void *arg)
{
	const char *by_sha[] = {"EVALSHA", s->sha1}, *by_text[] = {"EVAL", s->lua};
	struct buf tail = BUF_INIT, first = BUF_INIT, again = BUF_INIT;
	char number[16];

	snprintf(number, sizeof(number), "%d", n_keys);
	redis_put_word(&tail, number, strlen(number));
	for (int i = 0; i < n; i++)
		redis_put_word(&tail, keys_and_args[i],
			lens ? lens[i] : strlen(keys_and_args[i]));
	buf_reserve(&first, tail.len + HEAD_MAX);
	buf_reserve(&again, tail.len + strlen(s->lua) + HEAD_MAX);
	redis_put_head(&first, (size_t)n + 3);
	redis_put_words(&first, 2, by_sha);
	buf_add(&first, tail.data, tail.len);
	redis_put_head(&again, (size_t)n + 3);
	redis_put_words(&again, 2, by_text);
	buf_add(&again, tail.data, tail.len);
	redis_send(r, &first, &again, cb, arg);
	buf_fini(&tail);
	buf_fini(&first);
	buf_fini(&again);
}
