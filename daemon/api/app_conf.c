/* app_conf.c - the configuration, checked by those who will use it.
 *
 * base/settings.c reads rows and what concerns several of them; what a conninfo, an
 * address or a region is, the rooms above it know. A mistake found here stops
 * --check-config, the start and a reload alike, with the line its section begins at. */
#include <api/app.h>

#include <base/settings.h>
#include <calls/history.h>
#include <outreach/regimes.h>
#include <people/lookup.h>
#include <people/phone.h>
#include <str.h>

#include <string.h>

static int
mistake(const struct conf_section *s, const char *key, const char *value,
	const char *why, struct err *err)
{
	return err_set(err, "%s:%d: [%s%s%s] %s%s%s: %s", s->file ? s->file : "",
		s->line, s->def->name, s->name ? " " : "", s->name ? s->name : "", key,
		value ? " = " : "", value ? value : "", why);
}

static int
check_region(const struct conf_section *s, const char *region, struct err *err)
{
	if (str_empty(region) || phone_region_is_known(region))
		return 0;
	return mistake(s, "region", region,
		"no country of ISO 3166 in capitals, such as CN, TW, US or GB", err);
}

/* The timer's jitter halves it at most: never two in 5 s. */
static int
check_resync(
	const struct conf_section *s, const struct phone_conf *phone, struct err *err)
{
	if (!phone->resync_ms || phone->resync_ms >= 10000)
		return 0;
	return mistake(s, "resync_s", NULL, "0 (never), or at least 10 s", err);
}

static int
check_history(
	const struct conf_section *s, const struct phone_conf *phone, struct err *err)
{
	struct err why;
	if (history_check(phone, settings_driver(s)->history, &why) == 0)
		return 0;
	return err_set(err, "%s:%d: [channel %s] %s", s->file ? s->file : "", s->line,
		s->name, why.text);
}

static int
check_lookup(const struct conf_section *s, const struct tenant_settings *values,
	struct err *err)
{
	struct err why;
	if (!str_empty(values->lookup_url) &&
		lookup_check_url(values->lookup_url, &why) < 0)
		return mistake(s, "lookup_url", values->lookup_url, why.text, err);
	/* Not shown: they are secrets. */
	if (!str_empty(values->lookup_header) &&
		lookup_check_header(values->lookup_header, &why) < 0)
		return mistake(s, "lookup_header", NULL, why.text, err);
	if (values->lookup_bearer && strpbrk(values->lookup_bearer, "\r\n"))
		return mistake(s, "lookup_bearer", NULL, "more than one line", err);
	return 0;
}

static int
check_regions(const struct conf *conf, struct err *err)
{
	const struct conf_section *s;
	for (size_t i = 0; (s = conf_nth(conf, "tenant", i)); i++) {
		const struct tenant_settings *values = s->values;
		if (check_region(s, values->region, err) < 0 ||
			check_lookup(s, values, err) < 0)
			return -1;
	}
	for (size_t i = 0; (s = conf_nth(conf, "channel", i)); i++) {
		const struct phone_conf *phone = s->extension;
		if (settings_driver(s)->caps & CHANNEL_PHONE &&
			(check_region(s, phone->region, err) < 0 ||
				check_resync(s, phone, err) < 0 ||
				check_history(s, phone, err) < 0))
			return -1;
	}
	return 0;
}

static int
check_servers(const struct conf *conf, struct err *err)
{
	const struct postgresql_settings *pg = conf_values(conf, "postgresql");
	const struct redis_settings *redis = conf_values(conf, "redis");
	const struct http_settings *http = conf_values(conf, "http");
	const struct daemon_settings *daemon = conf_values(conf, "daemon");
	struct err why;
	if (erasure_key_check(daemon->erasure_key, &why) < 0)
		return mistake(conf_nth(conf, "daemon", 0), "erasure_key", NULL,
			why.text, err);
	/* Not shown: there may be a password in it. */
	if (pg_check_conninfo(pg->conninfo, &why) < 0)
		return mistake(conf_nth(conf, "postgresql", 0), "conninfo", NULL,
			why.text, err);
	for (size_t i = 0; i < redis->address.n; i++)
		if (redis_check_address(redis->address.items[i], &why) < 0)
			return mistake(conf_nth(conf, "redis", 0), "address",
				redis->address.items[i], why.text, err);
	for (size_t i = 0; i < http->listen.n; i++)
		if (http_check_listen(http->listen.items[i], &why) < 0)
			return mistake(conf_nth(conf, "http", 0), "listen",
				http->listen.items[i], why.text, err);
	return 0;
}

struct conf *
app_load_conf(const char *path, struct err *err)
{
	struct conf *conf = settings_load(path, err);
	if (conf && (check_servers(conf, err) < 0 || check_regions(conf, err) < 0 ||
			    regimes_check(conf, err) < 0))
		conf_free(&conf);
	return conf;
}
