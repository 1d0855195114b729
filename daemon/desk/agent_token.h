/* agent_token.h - short-lived, revocable tokens for an agent's browser or softphone, and
 * one-time tickets for opening a stream where no header can be set.
 *
 * A token is AGENT_TOKEN_PREFIX and 32 random bytes in base64url; stored is its BLAKE2b
 * hash. Verified ones are believed for 5 s, so that a revocation holds everywhere within
 * that time. A ticket lives 30 s in Redis and is good for one use. */
#ifndef INTERACTD_DESK_AGENT_TOKEN_H
#define INTERACTD_DESK_AGENT_TOKEN_H

#include <io/redis.h>
#include <people/store.h>

#define AGENT_TOKEN_PREFIX "ia_"
#define AGENT_TICKET_S	   30

struct agent_tokens;

struct agent_tokens *agent_tokens_new(struct store *, struct redis *);
void agent_tokens_free(struct agent_tokens **); /* pending questions end UNAVAILABLE */

/* {"id","agent","token","expires_at"}; ttl_s 60 to 30 days. A token's text is shown once. */
void agent_token_create(struct agent_tokens *, const struct actor *, const char *agent,
	int64_t ttl_s, const struct idempotency *, store_answer_fn *, void *arg);
/* {"items":[{id, created_at, expires_at, created_by}],"next":null}; live ones only. */
void agent_token_list(struct agent_tokens *, const struct tenant *, const char *agent,
	store_answer_fn *, void *arg);
void agent_token_revoke(struct agent_tokens *, const struct actor *, const char *agent,
	const struct uuid *id, store_answer_fn *, void *arg);
/* {"ticket","expires_at"}; STORE_UNAVAILABLE while Redis is away. hash: of the token or
 * key that asks for it, "" if none; given back when it is redeemed. */
void agent_ticket_create(struct agent_tokens *, const struct tenant *,
	const char *agent, const char *hash, store_answer_fn *, void *arg);

enum agent_token_status {
	AGENT_TOKEN_VALID,
	AGENT_TOKEN_INVALID, /* unknown, expired or revoked; a ticket used before */
	AGENT_TOKEN_UNAVAILABLE,
};
/* tenant, agent and hash (hex; of the token, or what the ticket was made with) are given
 * when VALID; borrowed until return. Later, exactly once. */
typedef void agent_token_fn(void *arg, enum agent_token_status, const struct tenant *,
	const char *agent, const char *hash);
void agent_token_verify(
	struct agent_tokens *, const char *token, agent_token_fn *, void *arg);
void agent_ticket_redeem(
	struct agent_tokens *, const char *ticket, agent_token_fn *, void *arg);

#endif
