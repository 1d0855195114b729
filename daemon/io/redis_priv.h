/* redis_priv.h - what the files of redis share; nobody else includes it.
 *
 *	redis_link.c    a connection that keeps itself up: resolve, Sentinel, AUTH, ROLE
 *	redis.c         commands: what waits for its reply, deadlines, replies read
 *	redis_script.c  Lua scripts by their SHA-1
 *	redis_sub.c     subscriptions, on a link of their own
 *
 * hiredis 0.14 is used by redis_link.c alone, but for its reply type. */
#ifndef INTERACTD_IO_REDIS_PRIV_H
#define INTERACTD_IO_REDIS_PRIV_H

#include <buf.h>
#include <list.h>
#include <log.h>
#include "io/redis.h"

struct redisReply;
struct redis_link;
struct redis_subs;

/* --- redis_link.c --- */

/* Where and as whom: one for both links. Strings are ours. */
struct redis_target {
	char **addresses;
	size_t n_addresses;
	char *username, *password, *sentinel; /* or NULL */
};

/* None is called before the function that made or used the link has returned, but
 * on_down, which redis_link_fail calls. A callback may free the link. */
struct redis_link_ops {
	void (*on_up)(void *arg);   /* commands may be sent */
	void (*on_down)(void *arg); /* it was up; what has no reply gets none */
	void (*on_reply)(void *arg, const struct redisReply *); /* in the order sent */
	void (*on_push)(void *arg, const struct redisReply *);	/* of subscriptions */
	void (*on_tick)(void *arg); /* every REDIS_TICK_MS while up */
};
#define REDIS_TICK_MS 5000

struct redis_link *redis_link_new(struct loop *, const char *who, enum log_level loud,
	const struct redis_target *, const struct redis_link_ops *, void *arg);
void redis_link_free(struct redis_link **); /* on_down is not called */
bool redis_link_is_up(const struct redis_link *);
const char *redis_link_reason(const struct redis_link *, int64_t *since_us_r);
/* A command in the server's protocol; only while up. push: (UN)SUBSCRIBE. */
void redis_link_send(struct redis_link *, const struct buf *, bool push);
/* Closes the connection and tries again. Does nothing if it is not up. */
void redis_link_fail(struct redis_link *, const char *reason);

/* Appends one command's head, and one word of it. */
void redis_put_head(struct buf *, size_t words);
void redis_put_word(struct buf *, const char *s, size_t len);
void redis_put_words(struct buf *, size_t n, const char *const *words);

/* --- redis.c --- */

struct redis {
	struct loop *loop;
	struct redis_opts opts; /* only its numbers and callbacks are used */
	struct redis_target target;
	struct redis_link *link;
	struct redis_subs *subs; /* NULL until the first subscription */
	struct list pending;	 /* sent, in order; struct redis_request */
	struct list failed;	 /* to be answered with NULL, soon */
	struct list scripts;	 /* struct redis_script */
	size_t n_pending;
	struct loop_timer *work;     /* tells state and answers `failed` */
	struct loop_timer *deadline; /* of the first in pending, or sooner */
	bool told_up, closed;
};

/* Sends a command, given as words after the head is known; takes retry (may be NULL):
 * the command to send once if the answer is NOSCRIPT. */
void redis_send(struct redis *, const struct buf *command, struct buf *retry,
	redis_reply_fn *cb, void *arg);
/* The answer to every script's loading is of no interest: EVALSHA will tell. */
void redis_scripts_load(struct redis *);
void redis_scripts_detach(struct redis *);

/* --- redis_sub.c --- */

void redis_subs_free(struct redis_subs **);

#endif
