/* settings.h - what interactd.conf may say, as structs: the rows of every section.
 *
 * Keys of drivers are in their own rows (channel.h); everything else is here. */
#ifndef INTERACTD_BASE_SETTINGS_H
#define INTERACTD_BASE_SETTINGS_H

#include <base/conf.h>

struct daemon_settings {
	char *state_dir, *erasure_key;
	int log_level; /* enum log_level */
	int64_t pop_timeout_ms, wrapup_ms;
	int64_t spool_max; /* bytes, per channel */
};
struct postgresql_settings {
	char *conninfo;
	int64_t connections, connect_timeout_ms;
};
struct redis_settings {
	struct conf_list address;
	char *username, *password, *sentinel;
};
struct http_settings {
	struct conf_list listen, origins;
	char *socket, *tls_cert, *tls_key;
	int64_t max_header, max_body, max_connections, max_connections_per_peer;
	int64_t header_timeout_ms, body_timeout_ms, idle_timeout_ms;
};
struct webhooks_settings {
	bool allow_private;
	char *ca_file;
	int64_t concurrency, timeout_ms;
	int64_t retry_first_ms, retry_max_ms, give_up_ms, failing_after_ms;
	int64_t rotation_ms, retention_ms, dead_retention_ms;
};
struct outreach_settings {
	char *holidays_dir;
	char *page_url; /* where customers reach this daemon; NULL */
	int64_t page_ttl_ms;
};
/* Kinds of interactions whose time to be kept can be set, in the order of the rows. */
enum retention_kind {
	RETAIN_CALL,
	RETAIN_EMAIL,
	RETAIN_SMS,
	RETAIN_CHAT,
	RETAIN_VISIT,
	RETAIN_LETTER,
	RETAIN_FAX,
	RETAIN_NOTE,
	RETAIN_COUNT
};
extern const char *const retention_kinds[RETAIN_COUNT];
struct tenant_settings {
	int64_t retention_days[RETAIN_COUNT]; /* 0 = for ever */
	char *region, *timezone, *page_name;
	struct conf_list languages;
	char *lookup_url, *lookup_header, *lookup_bearer, *lookup_ca;
	int64_t lookup_timeout_ms, lookup_cache_ms, lookup_unknown_ms;
	int64_t lookup_failures, lookup_pause_ms;
	struct conf_list consent_for, quiet_hours, quiet_for, holidays, frequency_caps;
	int64_t answer_ms;
	int64_t identity_age_days;
};
struct channel_settings {
	char *driver, *tenant;
};

/* Rows for conf_load. */
extern const struct conf_section_def settings_sections[];
extern const size_t settings_n_sections;

/* conf_load with these rows, and what rows cannot say: names are ids, a channel's tenant
 * exists, tls_cert comes with tls_key. NULL and err as conf_load. */
struct conf *settings_load(const char *path, struct err *);
/* The channel_ops of a [channel] section; never NULL after settings_load. */
struct channel_ops;
const struct channel_ops *settings_driver(const struct conf_section *);

#endif
