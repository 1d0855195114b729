/* regimes.c - words of a configuration to gate_rules. */
#include <outreach/regimes.h>

#include <base/calendar.h>
#include <base/settings.h>
#include <clock.h>
#include <log.h>
#include <map.h>
#include <mem.h>
#include <str.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW_MAX_US (400 * 86400 * INT64_C(1000000))
#define CAP_MAX	      GATE_SENT_MAX

struct regime {
	struct gate_rules rules;
	struct holidays *holidays[GATE_CALENDARS_MAX]; /* the rules' */
};
struct regimes {
	struct zones *zones;
	struct map by_tenant;	  /* struct regime, owned */
	struct gate_rules others; /* of a tenant without a section */
};

/* What is being read, for messages. */
struct source {
	const struct conf_section *section;
	const char *holidays_dir;
	const struct zones *zones; /* NULL: only checked */
	struct err *err;
};

static int
mistake(const struct source *in, const char *key, const char *value, const char *why)
{
	const struct conf_section *s = in->section;

	return err_set(in->err, "%s:%d: [%s %s] %s = %s: %s", s->file ? s->file : "",
		s->line, s->def->name, s->name, key, value, why);
}

/* ---- Words ---- */

static int
take_purposes(const struct source *in, const char *key, const struct conf_list *list,
	uint32_t *mask_r)
{
	*mask_r = 0;
	for (size_t i = 0; i < list->n; i++) {
		int purpose = gate_purpose_parse(list->items[i]);
		if (purpose < 0)
			return mistake(in, key, list->items[i],
				"a purpose is transactional, service, survey or "
				"marketing");
		*mask_r |= 1u << purpose;
	}
	return 0;
}

/* "21:00-08:00" */
static bool
parse_hours(const char *word, struct quiet_rule *r)
{
	char from[6], to[6];

	if (strlen(word) != 11 || word[5] != '-')
		return false;
	str_copy(from, sizeof(from), word);
	str_copy(to, sizeof(to), word + 6);
	return quiet_time_parse(from, false, &r->from) &&
	       quiet_time_parse(to, true, &r->to);
}

static int
take_quiet(
	const struct source *in, const struct conf_list *list, struct gate_rules *rules)
{
	struct quiet_rule rule = {0, 0, 0};

	for (size_t i = 0; i < list->n; i++) {
		const char *word = list->items[i];
		uint8_t days;
		if (quiet_days_parse(word, &days)) {
			rule.days |= days;
			continue;
		}
		if (!parse_hours(word, &rule))
			return mistake(in, "quiet_hours", word,
				"days and hours, such as mon-fri 21:00-08:00");
		if (!rule.days)
			return mistake(in, "quiet_hours", word,
				"days come before hours, such as daily 21:00-08:00");
		if (rules->n_quiet == QUIET_RULES_MAX)
			return mistake(in, "quiet_hours", word, "too many");
		rules->quiet[rules->n_quiet++] = rule;
		rule.days = 0;
	}
	if (rule.days)
		return mistake(in, "quiet_hours", list->items[list->n - 1],
			"hours follow the days, such as 21:00-08:00");
	return 0;
}

/* "2/7d", with s, m, h or d. */
static bool
parse_cap(const char *word, struct gate_cap *cap)
{
	static const struct {
		char unit;
		int64_t seconds;
	} units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
	char most[8], window[8];
	const char *slash = strchr(word, '/');
	size_t n = strlen(word);
	int64_t number, span;

	if (!slash || slash - word >= 8 || n - (size_t)(slash - word) > 9)
		return false;
	memcpy(most, word, (size_t)(slash - word));
	most[slash - word] = '\0';
	str_copy(window, sizeof(window), slash + 1);
	if (!*window)
		return false;
	char unit = window[strlen(window) - 1];
	window[strlen(window) - 1] = '\0';
	if (!str_int(most, 0, CAP_MAX, &number) || !str_int(window, 1, 9999999, &span))
		return false;
	cap->most = (unsigned)number;
	cap->window_us = 0;
	for (size_t i = 0; i < ARRAY_LEN(units); i++)
		if (units[i].unit == unit)
			cap->window_us = span * units[i].seconds * 1000000;
	return cap->window_us > 0 && cap->window_us <= WINDOW_MAX_US;
}

static int
take_caps(
	const struct source *in, const struct conf_list *list, struct gate_rules *rules)
{
	static const char key[] = "frequency_caps";
	struct gate_cap cap = {0, 0, 0, 0};

	for (size_t i = 0; i < list->n; i++) {
		const char *word = list->items[i];
		int purpose = gate_purpose_parse(word);
		int kind = gate_kind_find(rules, word);
		if (purpose >= 0) {
			cap.purposes |= 1u << purpose;
		} else if (kind >= 0) {
			cap.kinds |= 1u << kind;
		} else if (!parse_cap(word, &cap)) {
			return mistake(in, key, word,
				"kinds or purposes, and how many in what time: "
				"marketing 2/7d");
		} else if (rules->n_caps == GATE_CAPS_MAX) {
			return mistake(in, key, word, "more than 16 caps");
		} else {
			cap.purposes = cap.purposes ? cap.purposes : GATE_ALL;
			cap.kinds = cap.kinds ? cap.kinds : GATE_ALL;
			rules->caps[rules->n_caps++] = cap;
			cap.purposes = cap.kinds = 0;
		}
	}
	if (cap.purposes || cap.kinds)
		return mistake(in, key, list->items[list->n - 1],
			"how many in what time follows, such as 2/7d");
	return 0;
}

/* ---- Zones and holidays ---- */

static int
take_zone(const struct source *in, const char *name, struct gate_rules *rules)
{
	if (!in->zones && !zones_has(ZONES_DIR, name))
		return mistake(in, "timezone", name,
			"no time zone of " ZONES_DIR ", such as Asia/Shanghai");
	if (in->zones)
		rules->zone = zones_find(in->zones, name);
	if (!rules->zone)
		return mistake(in, "timezone", name, "no time zone");
	return 0;
}

/* A file that ends before this year does would leave its holidays unkept unseen. */
static void
warn_if_old(const struct source *in, const struct holidays *h)
{
	int year, month, day;

	calendar_date(
		clock_wall_us() / (86400 * INT64_C(1000000)), &year, &month, &day);
	if (in->zones && !holidays_cover_year(h, year))
		log_warnx(NULL,
			"[tenant %s] holidays: %s/%s has none of %d; they are days like "
			"any other until it has",
			in->section->name, in->holidays_dir, holidays_region(h), year);
}

static int
take_holidays(
	const struct source *in, const struct conf_list *list, struct regime *regime)
{
	struct gate_rules *rules = &regime->rules;
	struct err why;

	for (size_t i = 0; i < list->n; i++) {
		struct holidays *h =
			holidays_load(in->holidays_dir, list->items[i], &why);
		if (!h)
			return mistake(in, "holidays", list->items[i], why.text);
		warn_if_old(in, h);
		regime->holidays[rules->n_holidays] = h;
		rules->holidays[rules->n_holidays++] = h;
	}
	return 0;
}

/* ---- Regimes ---- */

static void
regime_free(struct regime **rp)
{
	if (!*rp)
		return;
	for (size_t i = 0; i < GATE_CALENDARS_MAX; i++)
		holidays_free(&(*rp)->holidays[i]);
	xfree(rp);
}

static struct regime *
regime_new(const struct source *in)
{
	const struct tenant_settings *t = in->section->values;
	struct regime *regime = xcalloc(1, sizeof(*regime));
	struct gate_rules *rules = &regime->rules;

	gate_rules_init(rules);
	rules->answer_us = t->answer_ms * 1000;
	if (take_zone(in, t->timezone, rules) < 0 ||
		take_purposes(in, "consent_for", &t->consent_for,
			&rules->needs_consent) < 0 ||
		take_quiet(in, &t->quiet_hours, rules) < 0 ||
		take_purposes(in, "quiet_for", &t->quiet_for, &rules->quiet_purposes) <
			0 ||
		take_caps(in, &t->frequency_caps, rules) < 0 ||
		take_holidays(in, &t->holidays, regime) < 0)
		regime_free(&regime);
	return regime;
}

static void
free_one(const char *tenant, void *value, void *arg)
{
	struct regime *regime = value;

	(void)tenant, (void)arg;
	regime_free(&regime);
}

static void
free_all(struct map *by_tenant)
{
	map_each(by_tenant, free_one, NULL);
	map_fini(by_tenant);
}

/* Fills a new map; on -1 it is empty. */
static int
read_all(const struct conf *conf, const struct zones *zones, struct map *by_tenant,
	struct err *err)
{
	const struct outreach_settings *o = conf_values(conf, "outreach");
	struct source in = {
		.holidays_dir = o->holidays_dir, .zones = zones, .err = err};

	map_init(by_tenant);
	for (size_t i = 0; (in.section = conf_nth(conf, "tenant", i)); i++) {
		struct regime *regime = regime_new(&in);
		if (!regime) {
			free_all(by_tenant);
			return -1;
		}
		map_put(by_tenant, in.section->name, regime);
	}
	return 0;
}

struct regimes *
regimes_new(struct err *err)
{
	struct zones *zones = zones_load(ZONES_DIR, err);
	struct regimes *r;

	if (!zones)
		return NULL;
	r = xcalloc(1, sizeof(*r));
	r->zones = zones;
	map_init(&r->by_tenant);
	gate_rules_init(&r->others);
	return r;
}

void
regimes_free(struct regimes **rp)
{
	if (!*rp)
		return;
	free_all(&(*rp)->by_tenant);
	zones_free(&(*rp)->zones);
	xfree(rp);
}

int
regimes_set(struct regimes *r, const struct conf *conf, struct err *err)
{
	struct map by_tenant;

	if (read_all(conf, r->zones, &by_tenant, err) < 0)
		return -1;
	free_all(&r->by_tenant);
	r->by_tenant = by_tenant;
	return 0;
}

int
regimes_check(const struct conf *conf, struct err *err)
{
	struct map by_tenant;

	if (read_all(conf, NULL, &by_tenant, err) < 0)
		return -1;
	free_all(&by_tenant);
	return 0;
}

const struct gate_rules *
regimes_rules(const struct regimes *r, const char *tenant)
{
	const struct regime *regime = map_find(&r->by_tenant, tenant);

	return regime ? &regime->rules : &r->others;
}

const struct zones *
regimes_zones(const struct regimes *r)
{
	return r->zones;
}
