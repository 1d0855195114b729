/* webhook_priv.h - what the files of webhook share; nobody else includes it.
 *
 *	webhook.c         who they are, kept in step with the database; polling
 *	webhook_keep.c    which events are kept; those that no transaction writes
 *	webhook_send.c    claiming keys, sending their deliveries, reporting
 *	webhook_api.c     made, changed, deleted, tried out
 *	webhook_log.c     deliveries listed and replayed
 *	webhook_rules.c   what needs nobody else
 *
 * A run is a claimed key with its first deliveries. It is in exactly one list of its
 * webhook: queued -> running -> finished -> reporting -> gone. */
#ifndef INTERACTD_DESK_WEBHOOK_PRIV_H
#define INTERACTD_DESK_WEBHOOK_PRIV_H

#include <desk/webhook.h>
#include <desk/webhook_rules.h>
#include <fetch.h>
#include <list.h>
#include <log.h>
#include <people/store_ask.h>

#define WEBHOOK_PATTERNS_MAX 32
#define WEBHOOK_ERROR_LEN    200

struct webhook_job {
	int64_t seq, queued_us;
	char *id, *type, *body;
	unsigned tries;
	const char *outcome; /* NULL: not tried; else the row's new state */
	int status;
	char error[WEBHOOK_ERROR_LEN];
};

struct webhook_run {
	struct list link;
	struct webhook *webhook;
	char *key;
	struct webhook_job *jobs;
	size_t n_jobs, at;
	int64_t delay_ms;   /* until the key is due again, for the report */
	int64_t claimed_us; /* monotonic, as begun_us */
	int64_t begun_us;
	struct fetch_job *fetch; /* NULL: no request under way */
};

struct webhook {
	struct list link;
	struct webhooks *all;
	const struct tenant *tenant;
	struct uuid id;
	char *url, *secret, *old_secret;
	char who[128]; /* in the log: id and host, for a URL may hold a secret */
	char *patterns[WEBHOOK_PATTERNS_MAX];
	size_t n_patterns;
	int64_t old_until_us, failing_since_us; /* wall; 0 = none */
	int64_t updated_us; /* the row's: it was changed by the API */
	bool enabled, failing, gone;
	bool seen; /* while the list is read */
	struct list queued, running, finished, reporting;
	unsigned n_queued, n_running;
	unsigned failures, gones, probes; /* in a row */
	int64_t hold_until_us;		  /* monotonic: nothing is sent before */
	bool due, again;		  /* there may be something to claim */
	bool claiming, wake;		  /* wake: keys put off are due again */
};

struct webhooks {
	struct store *store;
	struct pg *pg;
	struct events *events;
	const struct webhooks_settings *conf;
	struct fetch *fetch;
	struct list list; /* of struct webhook */
	struct loop_timer *poll, *retry_load;
	char *version; /* of the rows last read; NULL: never yet */
	bool loading, load_again, begun, closing;
	bool polling, maintaining;
	unsigned asking; /* statements whose answers come here */
	int64_t next_stats_us, next_maintain_us, next_version_us; /* monotonic */
	struct list loads;					  /* of struct load */
	struct webhooks_stats stats;
	struct log_once report_log, keep_log;
	struct list keeps;	     /* of struct keeping, webhook_keep.c */
	unsigned n_keeps, n_keeping; /* all; those asked for, the first */
	unsigned n_singly;	     /* the first so many go one by one */
};

/* webhook.c */
struct webhook *webhook_find(struct webhooks *, int tenant_id, const struct uuid *id);
void webhook_run_free(struct webhook_run *);
/* A key is due in ms: not to be found by the poll of each second only. */
void webhooks_poll_within(struct webhooks *, int64_t ms);
/* What a request to the webhook may reach: FETCH_TO_*. */
unsigned webhook_reach(const struct webhooks *);
/* webhook_keep.c */
extern const struct events_keeper webhooks_keeper;
void webhooks_keeps_pump(struct webhooks *);
void webhooks_keeps_free(struct webhooks *);
/* There may be something new to send for the tenant's webhooks that want type (NULL =
 * any). */
void webhooks_kick(struct webhooks *, const struct tenant *, const char *type);

/* webhook_send.c */
/* Claims, sends and reports as far as it may now. */
void webhook_go(struct webhook *);
/* Nothing more goes out: what is claimed and not begun is given back. */
void webhook_give_back(struct webhook *);
bool webhook_is_idle(const struct webhook *);

/* A request to a webhook: its headers are made from these and live until fetch_start has
 * returned. */
struct fetch_job *webhook_post(struct webhooks *, const char *url, const char *secret,
	const char *old_secret, const char *type, const char *delivery,
	const char *body, fetch_fn *, void *arg);

#endif
