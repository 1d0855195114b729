/* redis.h - Redis without blocking: one connection for commands, one for subscriptions.
 *
 * Reconnects by itself (jittered, 100 ms to 5 s; several addresses or Sentinel names are
 * tried in turn). A command's callback comes exactly once, never before the call returns:
 * with the reply, or with NULL when the connection was lost, was down, or the deadline
 * passed (it may have been executed then: our scripts are idempotent). */
#ifndef INTERACTD_IO_REDIS_H
#define INTERACTD_IO_REDIS_H

#include <conf.h>
#include <err.h>
#include <loop.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct redis;
struct redis_reply; /* hiredis' reply, read through the functions below */

struct redis_opts {
	const struct conf_list *addresses; /* "unix:PATH" or "host:port" */
	const char *username, *password;   /* NULL = no AUTH */
	const char *sentinel; /* master's name: addresses are Sentinels then; or NULL */
	unsigned command_timeout_ms;
	unsigned
		max_pending; /* commands without an answer; one more is answered NULL */
	void (*on_state)(
		void *arg, bool up); /* up: connected, authenticated, writable */
	void *arg;
};

/* Says whether an address is one; names are not looked up. */
int redis_check_address(const char *address, struct err *) MUST_CHECK;
/* Copies what opts points at. Sentinels are asked without a password. */
struct redis *redis_open(struct loop *, const struct redis_opts *);
/* Callbacks of what is pending run, with NULL, before this returns. Subscriptions and
 * scripts end here, but are freed by their owners, before or after. */
void redis_close(struct redis **);
bool redis_is_up(const struct redis *);
const char *redis_down_reason(const struct redis *, int64_t *since_us_r); /* "" if up */

typedef void redis_reply_fn(void *arg, const struct redis_reply *); /* NULL = lost */
/* argv of n words with their lengths; copied. cb may be NULL. */
void redis_command(struct redis *, int n, const char *const *argv, const size_t *lens,
	redis_reply_fn *cb, void *arg);
/* A Lua script by its text: EVALSHA, and once EVAL when the server does not know it.
 * script is borrowed for the process's life. Order among commands holds unless somebody
 * flushes the server's scripts. */
struct redis_script;
struct redis_script *redis_script_new(struct redis *, const char *lua);
void redis_script_free(struct redis_script **);
void redis_eval(struct redis *, struct redis_script *, int n_keys, int n,
	const char *const *keys_and_args, const size_t *lens, redis_reply_fn *cb,
	void *arg);

enum redis_type { REDIS_NIL, REDIS_STRING, REDIS_INTEGER, REDIS_ARRAY, REDIS_FAILED };
enum redis_type
redis_type(const struct redis_reply *); /* FAILED: an error reply, or NULL */
const char *redis_str(const struct redis_reply *, size_t *len_r); /* "" if none */
int64_t redis_int(const struct redis_reply *);
size_t redis_len(const struct redis_reply *);
const struct redis_reply *redis_at(const struct redis_reply *, size_t i);

/* SUBSCRIBE on the second connection, kept over reconnects. `message` is borrowed. After
 * a reconnect on_gap tells that messages may have been missed. */
struct redis_sub;
typedef void redis_message_fn(void *arg, const char *message, size_t len);
struct redis_sub *redis_subscribe(struct redis *, const char *channel,
	redis_message_fn *, void (*on_gap)(void *arg), void *arg);
/* The same for a glob pattern (PSUBSCRIBE); `channel` is the one the message came on,
 * borrowed too. Answered as a struct redis_sub: what follows holds for both. */
typedef void
redis_pattern_fn(void *arg, const char *channel, const char *message, size_t len);
struct redis_sub *redis_psubscribe(struct redis *, const char *pattern,
	redis_pattern_fn *, void (*on_gap)(void *arg), void *arg);
/* To be told once when the subscription is in force: from then on no message is missed
 * without on_gap. Call it right after redis_subscribe. */
void redis_sub_on_ready(struct redis_sub *, void (*on_ready)(void *arg));
/* Also inside its own callbacks; none comes after it. */
void redis_unsubscribe(struct redis_sub **);

#endif
