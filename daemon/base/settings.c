/* settings.c - the rows of interactd.conf.
 *
 * A new key is one row here, one paragraph in conf/interactd.conf and conf/
 * interactd.conf.5 (a test compares them), and its use. Keys of drivers live with their
 * drivers. */
#include <base/settings.h>

#include <buf.h>
#include <channel.h>
#include <mem.h>
#include <str.h>

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define DAY_MS		 (24 * 3600 * INT64_C(1000))
#define ROW(type, field) offsetof(struct type, field)

static const char *const log_levels[] = {"error", "warning", "info", "debug", NULL};

static const struct conf_key daemon_keys[] = {
	{"state_dir", CONF_STRING, ROW(daemon_settings, state_dir),
		"/var/lib/interactd", 0, 4000, 0, NULL,
		"Where the daemon keeps its spool: a directory on a local disk."},
	{"erasure_key", CONF_STRING, ROW(daemon_settings, erasure_key), NULL, 64, 64,
		CONF_SECRET, NULL,
		"Secret (64 hexadecimal digits) under which the addresses of erased "
		"people who must not be contacted are hashed; none: erasure.key in "
		"state_dir, made at the first start."},
	{"log_level", CONF_CHOICE, ROW(daemon_settings, log_level), "info", 0, 0,
		CONF_RELOAD, log_levels,
		"How much is logged: error, warning, info or debug. Only debug shows "
		"names, "
		"numbers and texts of customers."},
	{"pop_timeout_ms", CONF_DURATION, ROW(daemon_settings, pop_timeout_ms), "250",
		10, 10000, CONF_RELOAD, NULL,
		"How long a screen pop waits for the database before it goes out "
		"without "
		"contact data, marked degraded; an update follows."},
	{"wrapup_s", CONF_DURATION, ROW(daemon_settings, wrapup_ms), "0", 0,
		3600 * 1000, 0, NULL,
		"How long an agent works on a call after its end: their state and its "
		"pop are wrapup, their queues paused; 0 = off."},
	{"spool_max", CONF_SIZE, ROW(daemon_settings, spool_max), "1G",
		16 * 1024 * 1024, INT64_C(1) << 40, 0, NULL,
		"Bytes of phone events kept on local disk per channel while the "
		"database is "
		"away. Past it the oldest are set aside and reported."},
	CONF_END,
};

static const struct conf_key postgresql_keys[] = {
	{"conninfo", CONF_STRING, ROW(postgresql_settings, conninfo), NULL, 1, 4000,
		CONF_REQUIRED | CONF_SECRET, NULL,
		"Connection string of libpq (host=… dbname=… user=…); several hosts "
		"allowed."},
	{"connections", CONF_INT, ROW(postgresql_settings, connections), "2", 1, 32, 0,
		NULL,
		"Connections for reading; two more write, one does what takes long, two send webhooks."},
	{"connect_timeout_s", CONF_DURATION,
		ROW(postgresql_settings, connect_timeout_ms), "5", 100, 60000, 0, NULL,
		"How long one attempt to connect may take."},
	CONF_END,
};

static const struct conf_key redis_keys[] = {
	{"address", CONF_LIST, ROW(redis_settings, address), "127.0.0.1:6379", 1, 16, 0,
		NULL,
		"unix:PATH or host:port; several are tried in turn (or are the "
		"Sentinels)."},
	{"username", CONF_STRING, ROW(redis_settings, username), NULL, 0, 200, 0, NULL,
		"User of Redis' ACL; none: the default user."},
	{"password", CONF_STRING, ROW(redis_settings, password), NULL, 0, 1000,
		CONF_SECRET, NULL, "Its password."},
	{"sentinel", CONF_STRING, ROW(redis_settings, sentinel), NULL, 0, 200, 0, NULL,
		"Name of the master that the Sentinels at `address` watch."},
	CONF_END,
};

static const struct conf_key http_keys[] = {
	{"listen", CONF_LIST, ROW(http_settings, listen), "127.0.0.1:8080", 0, 16, 0,
		NULL,
		"Addresses of the HTTP API (host:port); nothing: only the socket."},
	{"socket", CONF_STRING, ROW(http_settings, socket),
		"/run/interactd/interactd.sock", 0, 100, 0, NULL,
		"Unix socket of the operator (interactctl); root and the daemon's own "
		"user "
		"need no key there."},
	{"tls_cert", CONF_STRING, ROW(http_settings, tls_cert), NULL, 0, 4000,
		CONF_RELOAD, NULL,
		"Certificate chain (PEM); with tls_key, `listen` speaks TLS. A reload "
		"reads "
		"the files again."},
	{"tls_key", CONF_STRING, ROW(http_settings, tls_key), NULL, 0, 4000,
		CONF_RELOAD, NULL, "Its private key (PEM)."},
	{"origins", CONF_LIST, ROW(http_settings, origins), NULL, 0, 100, CONF_RELOAD,
		NULL,
		"Origins of browsers that may call the API and open streams "
		"(https://crm.example.com); * alone = any."},
	{"max_header", CONF_SIZE, ROW(http_settings, max_header), "16k", 1024,
		1024 * 1024, 0, NULL, "Bytes of a request's line and header together."},
	{"max_body", CONF_SIZE, ROW(http_settings, max_body), "1M", 1024,
		64 * 1024 * 1024, 0, NULL, "Bytes of a request's body."},
	{"max_connections", CONF_INT, ROW(http_settings, max_connections), "10000", 10,
		1000000, 0, NULL, "Connections at once; past it accepting pauses."},
	{"max_connections_per_peer", CONF_INT,
		ROW(http_settings, max_connections_per_peer), "1000", 1, 1000000, 0,
		NULL, "Connections at once from one address."},
	{"header_timeout_s", CONF_DURATION, ROW(http_settings, header_timeout_ms), "10",
		100, 600000, 0, NULL,
		"For a whole header, however slowly it drips in."},
	{"body_timeout_s", CONF_DURATION, ROW(http_settings, body_timeout_ms), "30",
		100, 600000, 0, NULL, "For a whole body."},
	{"idle_timeout_s", CONF_DURATION, ROW(http_settings, idle_timeout_ms), "60",
		100, 3600000, 0, NULL, "Between two requests of a connection."},
	CONF_END,
};

static const struct conf_key webhooks_keys[] = {
	{"allow_private", CONF_BOOL, ROW(webhooks_settings, allow_private), "no", 0, 0,
		0, NULL,
		"Whether webhooks may lead to this machine and to private networks, and "
		"there by plain http too. Elsewhere they need https."},
	{"ca_file", CONF_STRING, ROW(webhooks_settings, ca_file), NULL, 0, 4000, 0,
		NULL,
		"Certificates (PEM) that receivers are checked against, instead of the "
		"system's."},
	{"concurrency", CONF_INT, ROW(webhooks_settings, concurrency), "4", 1, 64, 0,
		NULL, "Requests at once to one webhook."},
	{"timeout_s", CONF_DURATION, ROW(webhooks_settings, timeout_ms), "10", 100,
		60000, 0, NULL, "How long a receiver may take to answer."},
	{"retry_first_s", CONF_DURATION, ROW(webhooks_settings, retry_first_ms), "5",
		50, 3600 * 1000, 0, NULL,
		"The wait after the first failure; doubled with each, less up to half "
		"at random."},
	{"retry_max_s", CONF_DURATION, ROW(webhooks_settings, retry_max_ms), "1h", 50,
		DAY_MS, 0, NULL, "The longest wait between two tries."},
	{"give_up_s", CONF_DURATION, ROW(webhooks_settings, give_up_ms), "72h", 1000,
		30 * DAY_MS, 0, NULL,
		"For how long a delivery is tried; then it is a dead letter."},
	{"failing_after_s", CONF_DURATION, ROW(webhooks_settings, failing_after_ms),
		"5m", 100, DAY_MS, 0, NULL,
		"A webhook that has only failed for so long is failing: it is probed "
		"with one request at a time until one is answered."},
	{"rotation_s", CONF_DURATION, ROW(webhooks_settings, rotation_ms), "24h", 0,
		30 * DAY_MS, 0, NULL,
		"How long deliveries are signed with the old secret too, after a new "
		"one was set."},
	{"retention_s", CONF_DURATION, ROW(webhooks_settings, retention_ms), "7d", 1000,
		365 * DAY_MS, 0, NULL, "How long delivered deliveries are kept."},
	{"dead_retention_s", CONF_DURATION, ROW(webhooks_settings, dead_retention_ms),
		"30d", 1000, 365 * DAY_MS, 0, NULL, "How long dead letters are kept."},
	CONF_END,
};

static const struct conf_key outreach_keys[] = {
	{"holidays_dir", CONF_STRING, ROW(outreach_settings, holidays_dir),
		"/etc/interactd/holidays", 1, 4000, CONF_RELOAD, NULL,
		"Directory of the files of public holidays, one per region."},
	{"page_url", CONF_STRING, ROW(outreach_settings, page_url), NULL, 0, 200,
		CONF_RELOAD, NULL,
		"Where customers reach this daemon (https://my.example.com): links to "
		"their own page are this, /p/ and a token. Without it none are made."},
	{"page_ttl_s", CONF_DURATION, ROW(outreach_settings, page_ttl_ms), "30d", 60000,
		731 * DAY_MS, CONF_RELOAD, NULL, "How long such a link leads there."},
	CONF_END,
};
const char *const retention_kinds[RETAIN_COUNT] = {
	"call", "email", "sms", "chat", "visit", "letter", "fax", "note"};

#define RETENTION(name, kind, what)                                                    \
	{                                                                              \
		"retention_" name "_days", CONF_INT,                                   \
			ROW(tenant_settings, retention_days[kind]), "0", 0, 36500, 0,  \
			NULL, "Days after which " what " are deleted; 0 = never."      \
	}

static const struct conf_key tenant_keys[] = {
	{"region", CONF_STRING, ROW(tenant_settings, region), NULL, 2, 2, 0, NULL,
		"Country (ISO 3166: CN, TW, US, …) of phone numbers without one."},
	{"timezone", CONF_STRING, ROW(tenant_settings, timezone), "UTC", 1, 63, 0, NULL,
		"Time zone (Asia/Shanghai) of contacts that have none of their own."},
	{"page_name", CONF_STRING, ROW(tenant_settings, page_name), NULL, 0, 100,
		CONF_RELOAD, NULL, "The company's name on its customers' own pages."},
	{"languages", CONF_LIST, ROW(tenant_settings, languages), NULL, 0, 16, 0, NULL,
		"Languages spoken here, the best first (zh-CN, en)."},
	{"identity_age_days", CONF_INT, ROW(tenant_settings, identity_age_days), "365",
		0, 36500, 0, NULL,
		"A number unseen for so many days no longer tells who calls, unless "
		"somebody recorded or verified it: it may be another's now. 0: it "
		"always does."},
	RETENTION("call", RETAIN_CALL, "calls"),
	RETENTION("email", RETAIN_EMAIL, "e-mails"),
	RETENTION("sms", RETAIN_SMS, "text messages"),
	RETENTION("chat", RETAIN_CHAT, "chat messages"),
	RETENTION("visit", RETAIN_VISIT, "visits"),
	RETENTION("letter", RETAIN_LETTER, "letters"),
	RETENTION("fax", RETAIN_FAX, "faxes"),
	RETENTION("note", RETAIN_NOTE, "notes"),
	{"lookup_url", CONF_STRING, ROW(tenant_settings, lookup_url), NULL, 0, 2000,
		CONF_RELOAD, NULL,
		"Asked (GET) who calls when no named contact has the number, with "
		"{number}, {e164}, {national}, {channel}, {queue} or {tenant} in it; "
		"none: nobody is asked."},
	{"lookup_bearer", CONF_STRING, ROW(tenant_settings, lookup_bearer), NULL, 0,
		4000, CONF_RELOAD | CONF_SECRET, NULL,
		"Sent with it as Authorization: Bearer."},
	{"lookup_header", CONF_STRING, ROW(tenant_settings, lookup_header), NULL, 0,
		4000, CONF_RELOAD | CONF_SECRET, NULL,
		"A header sent with it (X-Api-Key: 42)."},
	{"lookup_ca", CONF_STRING, ROW(tenant_settings, lookup_ca), NULL, 0, 4000,
		CONF_RELOAD, NULL,
		"PEM file of the authorities trusted there; none: the system's."},
	{"lookup_timeout_ms", CONF_DURATION, ROW(tenant_settings, lookup_timeout_ms),
		"200", 10, 30000, CONF_RELOAD, NULL,
		"How long an answer is awaited. What comes within pop_timeout_ms opens "
		"the pop with it, later it is an update."},
	{"lookup_cache_s", CONF_DURATION, ROW(tenant_settings, lookup_cache_ms), "300",
		0, 86400000, CONF_RELOAD, NULL, "How long an answer is remembered."},
	{"lookup_unknown_s", CONF_DURATION, ROW(tenant_settings, lookup_unknown_ms),
		"60", 0, 86400000, CONF_RELOAD, NULL,
		"How long it is remembered that a number is not known there."},
	{"lookup_failures", CONF_INT, ROW(tenant_settings, lookup_failures), "5", 1,
		1000, CONF_RELOAD, NULL,
		"After so many failures or late answers within 10 s nobody is asked "
		"for a while."},
	{"lookup_pause_s", CONF_DURATION, ROW(tenant_settings, lookup_pause_ms), "30",
		1000, 3600000, CONF_RELOAD, NULL,
		"That while; then one call tries again."},
	{"consent_for", CONF_LIST, ROW(tenant_settings, consent_for), "marketing", 0, 4,
		CONF_RELOAD, NULL,
		"Purposes (transactional, service, survey, marketing) for which a "
		"contact must have said yes; nothing: an opt-out regime."},
	{"quiet_hours", CONF_LIST, ROW(tenant_settings, quiet_hours), NULL, 0, 64,
		CONF_RELOAD, NULL,
		"When contacts are left in peace, in their own time zone, beside the "
		"hours that they have set themselves: days and hours (daily "
		"21:00-08:00)."},
	{"quiet_for", CONF_LIST, ROW(tenant_settings, quiet_for), "marketing, survey",
		0, 4, CONF_RELOAD, NULL,
		"Purposes that these quiet hours, and holidays, are kept for."},
	{"holidays", CONF_LIST, ROW(tenant_settings, holidays), NULL, 0, 8, CONF_RELOAD,
		NULL,
		"Regions whose public holidays are quiet days for contacts there: CN, "
		"TW, DE, US, or files of your own in holidays_dir."},
	{"frequency_caps", CONF_LIST, ROW(tenant_settings, frequency_caps), NULL, 0, 64,
		CONF_RELOAD, NULL,
		"How many messages a contact gets at most, over all channels and "
		"campaigns: purposes or kinds, and a number in a time (marketing "
		"2/7d)."},
	{"answer_s", CONF_DURATION, ROW(tenant_settings, answer_ms), "30d", 0,
		3650 * DAY_MS, CONF_RELOAD, NULL,
		"For how long somebody who wrote may be answered at that address; 0: "
		"for ever."},
	CONF_END,
};

static const struct conf_key channel_keys[] = {
	{"driver", CONF_STRING, ROW(channel_settings, driver), NULL, 1, 64,
		CONF_REQUIRED, NULL, "The adapter: see `interactd --drivers`."},
	{"tenant", CONF_STRING, ROW(channel_settings, tenant), "default", 1, 64, 0,
		NULL, "The tenant that this channel's contacts belong to."},
	CONF_END,
};

static const struct channel_ops *
driver_named(const char *name)
{
	for (const struct channel_ops *const *ops = channel_drivers; *ops; ops++)
		if (str_eq((*ops)->driver, name))
			return *ops;
	return NULL;
}

/* Brings a driver's own rows into its [channel] section. */
static int
extend_by_driver(const char *value, const struct conf_key **keys_r, size_t *size_r,
	struct err *err)
{
	const struct channel_ops *ops = driver_named(value);
	if (!ops) {
		struct buf names = BUF_INIT;
		for (const struct channel_ops *const *it = channel_drivers; *it; it++)
			buf_printf(
				&names, "%s%s", names.len ? ", " : "", (*it)->driver);
		err_set(err, "no such driver; allowed: %s", buf_str(&names));
		buf_fini(&names);
		return -1;
	}
	*keys_r = ops->keys;
	*size_r = ops->conf_size;
	return 0;
}

const struct conf_section_def settings_sections[] = {
	{"daemon", false, sizeof(struct daemon_settings), daemon_keys, NULL, NULL},
	{"postgresql", false, sizeof(struct postgresql_settings), postgresql_keys, NULL,
		NULL},
	{"redis", false, sizeof(struct redis_settings), redis_keys, NULL, NULL},
	{"http", false, sizeof(struct http_settings), http_keys, NULL, NULL},
	{"webhooks", false, sizeof(struct webhooks_settings), webhooks_keys, NULL,
		NULL},
	{"outreach", false, sizeof(struct outreach_settings), outreach_keys, NULL,
		NULL},
	{"tenant", true, sizeof(struct tenant_settings), tenant_keys, NULL, NULL},
	{"channel", true, sizeof(struct channel_settings), channel_keys, "driver",
		extend_by_driver},
};
const size_t settings_n_sections = ARRAY_LEN(settings_sections);

const struct channel_ops *
settings_driver(const struct conf_section *s)
{
	const struct channel_settings *values = s->values;
	const struct channel_ops *ops = driver_named(values->driver);
	assert(ops); /* extend_by_driver has seen it */
	return ops;
}

static bool
tenant_is_known(const struct conf *conf, const char *name)
{
	const struct conf_section *s;
	if (str_eq(name, "default"))
		return true;
	for (size_t i = 0; (s = conf_nth(conf, "tenant", i)); i++)
		if (str_eq(s->name, name))
			return true;
	return false;
}

/* Names become parts of Redis keys and URLs: contract.md's ids. */
static int
check_names(const struct conf *conf, const char *kind, struct err *err)
{
	const struct conf_section *s;
	for (size_t i = 0; (s = conf_nth(conf, kind, i)); i++)
		if (!str_is_id(s->name))
			return err_set(err,
				"%s:%d: [%s %s]: a name is 1 to 64 letters, digits, "
				"'.', "
				"'_' or '-'",
				s->file, s->line, kind, s->name);
	return 0;
}

static int
check_channels(const struct conf *conf, struct err *err)
{
	const struct conf_section *s;
	for (size_t i = 0; (s = conf_nth(conf, "channel", i)); i++) {
		const struct channel_settings *values = s->values;
		struct err why;
		if (!tenant_is_known(conf, values->tenant))
			return err_set(err,
				"%s:%d: [channel %s] tenant = %s: there is no [tenant "
				"%s] "
				"section",
				s->file, s->line, s->name, values->tenant,
				values->tenant);
		if (settings_driver(s)->open(NULL, s->extension, &why) < 0)
			return err_set(err, "%s:%d: [channel %s] %s", s->file, s->line,
				s->name, why.text);
	}
	return 0;
}

static int
check_together(const struct conf *conf, const char *path, struct err *err)
{
	const struct http_settings *http = conf_values(conf, "http");
	if (str_empty(http->tls_cert) != str_empty(http->tls_key))
		return err_set(err,
			"%s: [http] tls_cert and tls_key: give both or neither", path);
	const struct outreach_settings *outreach = conf_values(conf, "outreach");
	if (!str_empty(outreach->page_url) &&
		!str_starts(outreach->page_url, "https://") &&
		!str_starts(outreach->page_url, "http://"))
		return err_set(err,
			"%s: [outreach] page_url = %s: must begin with https://", path,
			outreach->page_url);
	if (check_names(conf, "tenant", err) < 0 ||
		check_names(conf, "channel", err) < 0)
		return -1;
	return check_channels(conf, err);
}

struct conf *
settings_load(const char *path, struct err *err)
{
	struct conf *conf =
		conf_load(path, settings_sections, settings_n_sections, err);
	if (conf && check_together(conf, path, err) < 0)
		conf_free(&conf);
	return conf;
}
