/* test_regimes.c - what a [tenant] section lays down for the gate: the rules it makes, and
 * for each mistake the sentence a person gets. Run from the top of the source tree. */
#include <outreach/regimes.h>

#include <base/settings.h>
#include <lib/test.h>
#include <mem.h>
#include <str.h>

#include <stdio.h>
#include <string.h>

#define HEAD                                                                           \
	"[postgresql]\nconninfo = x\n[outreach]\nholidays_dir = conf/holidays\n"       \
	"[tenant shop]\n"
#define DAY_US (86400 * INT64_C(1000000))

static struct conf *
conf_of(const char *text)
{
	struct err err = {0};
	struct conf *conf = conf_parse("test.conf", text, strlen(text),
		settings_sections, settings_n_sections, &err);

	CHECK_STR(err.text, "");
	return conf;
}

static struct regimes *regimes;

static void
set(const char *text)
{
	struct conf *conf = conf_of(text);
	struct err err = {0};

	CHECK_INT(regimes_check(conf, &err), 0);
	CHECK_INT(regimes_set(regimes, conf, &err), 0);
	CHECK_STR(err.text, "");
	conf_free(&conf);
}

static void
without_a_word(void)
{
	set(HEAD);
	const struct gate_rules *r = regimes_rules(regimes, "shop");
	CHECK(r != regimes_rules(regimes, "default"));
	CHECK_STR(zone_name(r->zone), "UTC");
	CHECK_INT(r->needs_consent, 1u << GATE_MARKETING);
	CHECK_INT(r->quiet_purposes, 1u << GATE_MARKETING | 1u << GATE_SURVEY);
	CHECK(r->n_caps == 0 && r->n_quiet == 0 && r->n_holidays == 0);
	CHECK_INT(r->answer_us, 30 * DAY_US);
	r = regimes_rules(regimes, "default");
	CHECK_STR(zone_name(r->zone), "UTC");
	CHECK_INT(r->needs_consent, 1u << GATE_MARKETING);
	CHECK(zones_find(regimes_zones(regimes), "Asia/Taipei") != NULL);
}

static void
with_all_words(void)
{
	set(HEAD
		"timezone = Asia/Taipei\nconsent_for = marketing, survey\n"
		"quiet_hours = mon-fri 21:00-08:00, sat sun 20:00-00:00\n"
		"quiet_for = marketing\nholidays = TW, DE\n"
		"frequency_caps = marketing 2/7d, sms email survey marketing 1/24h, 0/90s\n"
		"answer_s = 0\n");
	const struct gate_rules *r = regimes_rules(regimes, "shop");
	uint32_t sms_email =
		1u << gate_kind_find(r, "sms") | 1u << gate_kind_find(r, "email");
	CHECK_STR(zone_name(r->zone), "Asia/Taipei");
	CHECK_INT(r->needs_consent, 1u << GATE_MARKETING | 1u << GATE_SURVEY);
	CHECK_INT(r->quiet_purposes, 1u << GATE_MARKETING);
	CHECK_INT(r->n_quiet, 2);
	CHECK(r->quiet[0].days == 0x1f && r->quiet[0].from == 1260 &&
		r->quiet[0].to == 480);
	CHECK(r->quiet[1].days == 0x60 && r->quiet[1].from == 1200 &&
		r->quiet[1].to == 1440);
	CHECK_INT(r->n_caps, 3);
	CHECK(r->caps[0].purposes == 1u << GATE_MARKETING &&
		r->caps[0].kinds == GATE_ALL && r->caps[0].most == 2 &&
		r->caps[0].window_us == 7 * DAY_US);
	CHECK(r->caps[1].kinds == sms_email && r->caps[1].window_us == DAY_US);
	CHECK(r->caps[2].purposes == GATE_ALL && r->caps[2].most == 0 &&
		r->caps[2].window_us == 90000000);
	CHECK_INT(r->n_holidays, 2);
	CHECK_STR(holidays_region(r->holidays[1]), "DE");
	CHECK_INT(r->answer_us, 0);
	set(HEAD "consent_for =\nquiet_for =\n"); /* an opt-out regime; a reload */
	r = regimes_rules(regimes, "shop");
	CHECK(r->needs_consent == 0 && r->quiet_purposes == 0 && r->n_caps == 0);
}

static const struct {
	const char *text, *message;
} bad[] = {
	{"timezone = Mars/Phobos", "timezone = Mars/Phobos: no time zone of "
				   "/usr/share/zoneinfo, such as Asia/Shanghai"},
	{"timezone = ../zoneinfo/UTC", "timezone = ../zoneinfo/UTC: no time zone of"},
	{"timezone = /usr/share/zoneinfo/UTC", "no time zone of"},
	{"consent_for = spam", "consent_for = spam: a purpose is transactional"},
	{"quiet_for = sms", "quiet_for = sms: a purpose is transactional"},
	{"quiet_hours = 21:00-08:00", "days come before hours"},
	{"quiet_hours = mon-fri", "quiet_hours = mon-fri: hours follow the days"},
	{"quiet_hours = mon 21-08", "quiet_hours = 21-08: days and hours"},
	{"quiet_hours = mon 24:00-08:00", "days and hours"},
	{"quiet_hours = someday 21:00-08:00", "quiet_hours = someday: days and hours"},
	{"frequency_caps = marketing", "how many in what time follows"},
	{"frequency_caps = spam 2/7d", "frequency_caps = spam: kinds or purposes"},
	{"frequency_caps = 2/0d", "frequency_caps = 2/0d: kinds or purposes"},
	{"frequency_caps = 2/7", "kinds or purposes"},
	{"frequency_caps = 2/7w", "kinds or purposes"},
	{"frequency_caps = /7d", "kinds or purposes"},
	{"frequency_caps = 2/", "kinds or purposes"},
	{"frequency_caps = 2/d", "kinds or purposes"},
	{"frequency_caps = 257/7d", "kinds or purposes"},
	{"frequency_caps = 2/401d", "kinds or purposes"},
	{"frequency_caps = 2/9999999d", "kinds or purposes"},
	{"frequency_caps = 12345678901/7d", "kinds or purposes"},
	{"frequency_caps = 2/12345678901d", "kinds or purposes"},
	{"holidays = ZZ",
		"holidays = ZZ: no holidays of ZZ: conf/holidays/ZZ: No such"},
	{"holidays = ../sql", "holidays = ../sql: \"../sql\" is no region"},
};

static void
mistakes_are_told(void)
{
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		char text[500];
		struct err err = {0}, same = {0};
		snprintf(text, sizeof(text), HEAD "%s\n", bad[i].text);
		struct conf *conf = conf_of(text);
		CHECK_INT(regimes_check(conf, &err), -1);
		CHECK_INT(regimes_set(regimes, conf, &same), -1);
		if (!str_starts(err.text, "test.conf:5: [tenant shop] ") ||
			!strstr(err.text, bad[i].message))
			test_fail(__FILE__, __LINE__, "%s: \"%s\"", bad[i].text,
				err.text);
		conf_free(&conf);
	}
}

/* What was in force stays so. */
static void
a_mistake_changes_nothing(void)
{
	struct err err;
	struct conf *conf = conf_of(HEAD "quiet_hours = nonsense\n");

	set(HEAD "timezone = Asia/Taipei\nholidays = CN\n");
	CHECK_INT(regimes_set(regimes, conf, &err), -1);
	const struct gate_rules *r = regimes_rules(regimes, "shop");
	CHECK_STR(zone_name(r->zone), "Asia/Taipei");
	CHECK_STR(holidays_region(r->holidays[0]), "CN");
	conf_free(&conf);
}

int
main(void)
{
	struct err err;

	regimes = regimes_new(&err);
	if (!regimes) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	TEST(without_a_word);
	TEST(with_all_words);
	TEST(mistakes_are_told);
	TEST(a_mistake_changes_nothing);
	regimes_free(&regimes);
	return test_done();
}
