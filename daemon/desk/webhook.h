/* webhook.h - signed deliveries of events to other systems.
 *
 * The body is the event of desk/events.h, byte for byte. Deliveries are rows, written by
 * the transaction that makes the effect (conf/sql/022-webhooks.sql); what is here claims
 * them, sends them and reports. A delivery is sent at least once, under one id. Those of
 * one contact (or of one object, for events without a contact) go to a webhook one after
 * another: the next waits until the earlier is delivered or dead. Different contacts and
 * different webhooks wait for nobody. */
#ifndef INTERACTD_DESK_WEBHOOK_H
#define INTERACTD_DESK_WEBHOOK_H

#include <base/settings.h>
#include <desk/events.h>
#include <people/store.h>

struct webhooks;

/* Takes a pool of its own, so that sending never waits behind the writer or the API, nor
 * they behind it. Keeps the events of `events` from now on. Borrows all; the settings too.
 */
struct webhooks *webhooks_new(
	struct store *, struct pg *, struct events *, const struct webhooks_settings *);
/* Keeps and begins nothing more; lets requests under way end for at most deadline_ms,
 * running the loop. */
void webhooks_stop(struct webhooks *, unsigned deadline_ms);
/* Answers all that was asked, and the requests still under way. NULL-safe. */
void webhooks_free(struct webhooks **);

/* Reads who wants to be told; done(arg) (may be NULL) when that is known, however long the
 * database takes, or by webhooks_free. Until it was read once, every stamp is kept. */
void webhooks_load(struct webhooks *, void (*done)(void *arg), void *arg);
/* Only one daemon may send: it takes over what another one had claimed. */
void webhooks_begin(struct webhooks *);

struct webhooks_stats {
	unsigned long long delivered, retried, dead;
	/* As last asked of the database, at most 15 s ago. */
	int64_t waiting, dead_kept, failing;
	int64_t oldest_us; /* wall time the oldest waiting was queued; 0 = none */
	unsigned running;
};
void webhooks_get_stats(const struct webhooks *, struct webhooks_stats *);

/* The API. Callbacks as for every room (people/store.h). Answers never hold a secret, but
 * that of webhook_create, and of webhook_patch if it made one. */
void webhook_create(struct webhooks *, const struct actor *, const json_t *body,
	const struct idempotency *, store_answer_fn *, void *arg);
void
webhook_list(struct webhooks *, const struct tenant *, store_answer_fn *, void *arg);
void webhook_get(struct webhooks *, const struct tenant *, const struct uuid *id,
	store_answer_fn *, void *arg);
void webhook_patch(struct webhooks *, const struct actor *, const struct uuid *id,
	const json_t *body, store_answer_fn *, void *arg);
void webhook_delete(struct webhooks *, const struct actor *, const struct uuid *id,
	store_answer_fn *, void *arg);
/* Sends a webhook.test event now and answers what came of it. */
void webhook_test(struct webhooks *, const struct tenant *, const struct uuid *id,
	store_answer_fn *, void *arg);
/* Newest first. webhook nil = all of the tenant's; state NULL = any. */
void webhook_deliveries(struct webhooks *, const struct tenant *,
	const struct uuid *webhook, const char *state, unsigned limit,
	const char *before, store_answer_fn *, void *arg);
/* One, with its body. */
void
webhook_delivery(struct webhooks *, const struct tenant *, const struct uuid *webhook,
	const struct uuid *delivery, store_answer_fn *, void *arg);
/* delivery not nil: that one. Else body {"from","to","state"} names a period; at most
 * 10,000 a call. {"replayed":n,"more":bool}. */
void webhook_replay(struct webhooks *, const struct actor *, const struct uuid *webhook,
	const struct uuid *delivery, const json_t *body, store_answer_fn *, void *arg);

#endif
