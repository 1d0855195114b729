/* test_dial_number.c - what people type, and which of it agents may call. */
#include <calls/dial_number.h>
#include <lib/test.h>
#include <mem.h>
#include <str.h>

#include <string.h>

static const struct {
	const char *typed, *digits; /* NULL: refused */
} typed[] = {
	{"0912345678", "0912345678"},
	{" 0912-345-678 ", "0912345678"},
	{"+886 (0)2 / 8555.0100", "+8860285550100"},
	{"０９１２", "0912"},
	{"＋８６－１３８", "+86138"},
	{"\xe3\x80\x80"
	 "02\xe2\x80\x93"
	 "8555",
		"028555"},
	{"", NULL},
	{"+", NULL},
	{" - ", NULL},
	{"++886", NULL},
	{"886+2", NULL},
	{"0912\r\nAction: Command", NULL},
	{"0912\n", NULL},
	{"0912\t1", NULL},
	{"0912\x01", NULL},
	{"0912\x7f", NULL},
	{"${EXTEN}", NULL},
	{"$[1+1]", NULL},
	{"0912,1", NULL},
	{"0912|1", NULL},
	{"0912;1", NULL},
	{"0912&1", NULL},
	{"0912@x", NULL},
	{"0912^1", NULL},
	{"\"0912\"", NULL},
	{"<0912>", NULL},
	{"0912\\1", NULL},
	{"*21*0912#", NULL},
	{"0800FLOWERS", NULL},
	{"0912ext5", NULL},
	{"tel:0912", NULL},
	{"0912，1", NULL},
	{"0912；1", NULL},
	{"＄｛0912｝", NULL},
	{"\xff\xfe", NULL},
	{"0912\xc0\xaf", NULL},
	{"0912\xe2\x80\xa8", NULL}, /* U+2028, a line's end to some */
	{"0912\xe2\x80\xae"
	 "8",
		NULL}, /* U+202E: shown backwards */
	{"٠٩١٢", NULL},
	{"0123456789012345678901234567890123456789", NULL},
};

static void
test_what_is_typed(void)
{
	for (size_t i = 0; i < ARRAY_LEN(typed); i++) {
		char digits[DIAL_NUMBER_MAX];
		struct err err = {0};
		bool ok = dial_number_read(typed[i].typed, digits, &err);
		if (ok != (typed[i].digits != NULL) ||
			(ok && strcmp(digits, typed[i].digits) != 0))
			test_fail(__FILE__, __LINE__, "%s: %s %s", typed[i].typed,
				ok ? "read as" : "refused", ok ? digits : err.text);
		if (!ok && !err.text[0])
			test_fail(__FILE__, __LINE__, "%s: no reason", typed[i].typed);
	}
}

static char *own[] = {(char *)(uintptr_t) "02-8555-0100", (char *)(uintptr_t) "6000"};

static void
make_conf(struct phone_conf *conf, const char *allow)
{
	memset(conf, 0, sizeof(*conf));
	conf->own_numbers.items = own;
	conf->own_numbers.n = ARRAY_LEN(own);
	if (!allow)
		return;
	conf->dial_allow.text = xstrdup(allow);
	CHECK_INT(regcomp(&conf->dial_allow.re, allow, REG_EXTENDED), 0);
}

static void
free_conf(struct phone_conf *conf)
{
	if (conf->dial_allow.text)
		regfree(&conf->dial_allow.re);
	xfree(&conf->dial_allow.text);
}

#define ANY "^[+0-9]"

static const struct {
	const char *digits, *region, *allow;
	enum dial_refusal why;
	const char *to, *number;
} checked[] = {
	{"0912345678", "TW", ANY, DIAL_NONE, "+886912345678", "0912345678"},
	{"+886912345678", "TW", ANY, DIAL_NONE, "+886912345678", "0912345678"},
	{"886912345678", "TW", ANY, DIAL_NONE, "+886912345678", "0912345678"},
	{"+886912345678", NULL, ANY, DIAL_NONE, "+886912345678", "+886912345678"},
	{"0912345678", NULL, ANY, DIAL_NOT_A_NUMBER, NULL, NULL},
	{"13800138000", "CN", ANY, DIAL_NONE, "+8613800138000", "13800138000"},
	{"01065551234", "CN", ANY, DIAL_NONE, "+861065551234", "01065551234"},
	{"+886912345678", "CN", ANY, DIAL_NONE, "+886912345678", "00886912345678"},
	{"2025550123", "US", ANY, DIAL_NONE, "+12025550123", "12025550123"},
	{"+442079460000", "US", ANY, DIAL_NONE, "+442079460000", "011442079460000"},
	/* the operator's list, either way of writing */
	{"0912345678", "TW", "^\\+886", DIAL_NONE, "+886912345678", "0912345678"},
	{"0912345678", "TW", "^09", DIAL_NONE, "+886912345678", "0912345678"},
	{"0912345678", "TW", "^02", DIAL_NOT_ALLOWED, NULL, NULL},
	{"+8613800138000", "TW", "^\\+886", DIAL_NOT_ALLOWED, NULL, NULL},
	{"0912345678", "TW", NULL, DIAL_NOT_ALLOWED, NULL, NULL},
	/* emergency services, with digits after them too */
	{"110", "CN", ANY, DIAL_EMERGENCY, NULL, NULL},
	{"120", "CN", ANY, DIAL_EMERGENCY, NULL, NULL},
	{"119", "TW", ANY, DIAL_EMERGENCY, NULL, NULL},
	{"112", "TW", ANY, DIAL_EMERGENCY, NULL, NULL},
	{"1190", "TW", ANY, DIAL_EMERGENCY, NULL, NULL},
	{"911", "US", ANY, DIAL_EMERGENCY, NULL, NULL},
	{"9115550123", "US", ANY, DIAL_EMERGENCY, NULL, NULL},
	{"999", "GB", ANY, DIAL_EMERGENCY, NULL, NULL},
	{"112", "DE", ANY, DIAL_EMERGENCY, NULL, NULL},
	{"+911", "US", ANY, DIAL_NOT_A_NUMBER, NULL, NULL},
	/* our own */
	{"0285550100", "TW", ANY, DIAL_OWN_NUMBER, NULL, NULL},
	{"+886285550100", "TW", ANY, DIAL_OWN_NUMBER, NULL, NULL},
	/* what costs */
	{"0204123456", "TW", ANY, DIAL_PREMIUM, NULL, NULL},
	{"9005550123", "US", ANY, DIAL_PREMIUM, NULL, NULL},
	{"09012345678", "GB", ANY, DIAL_PREMIUM, NULL, NULL},
	{"08431234567", "GB", ANY, DIAL_PREMIUM, NULL, NULL}, /* shared cost */
	{"0900123456", "NL", ANY, DIAL_PREMIUM, NULL, NULL},
	/* nobody's */
	{"12", "TW", ANY, DIAL_NOT_A_NUMBER, NULL, NULL},
	{"1", "TW", ANY, DIAL_NOT_A_NUMBER, NULL, NULL},
	{"091234567890123456", "TW", ANY, DIAL_NOT_A_NUMBER, NULL, NULL},
	{"+999123456789", "TW", ANY, DIAL_NOT_A_NUMBER, NULL, NULL},
};

static void
test_what_may_be_called(void)
{
	for (size_t i = 0; i < ARRAY_LEN(checked); i++) {
		struct phone_conf conf;
		struct dial_number out = {0};
		struct err err = {0};
		make_conf(&conf, checked[i].allow);
		enum dial_refusal why = dial_number_check(
			&conf, checked[i].region, checked[i].digits, &out, &err);
		if (why != checked[i].why)
			test_fail(__FILE__, __LINE__, "%s in %s: \"%s\", %s",
				checked[i].digits, checked[i].region,
				dial_refusal_text(why), err.text);
		else if (checked[i].to) {
			CHECK_STR(out.to, checked[i].to);
			CHECK_STR(out.number, checked[i].number);
		}
		free_conf(&conf);
	}
}

static void
test_formats_and_premium(void)
{
	struct phone_conf conf;
	struct dial_number out;
	struct err err;

	make_conf(&conf, ANY);
	conf.dial_format = PHONE_DIAL_E164;
	CHECK_INT(dial_number_check(&conf, "TW", "0912345678", &out, &err), DIAL_NONE);
	CHECK_STR(out.number, "+886912345678");
	conf.dial_format = PHONE_DIAL_DIGITS;
	CHECK_INT(dial_number_check(&conf, "TW", "0912345678", &out, &err), DIAL_NONE);
	CHECK_STR(out.number, "886912345678");
	conf.dial_premium = true;
	CHECK_INT(dial_number_check(&conf, "US", "9005550123", &out, &err), DIAL_NONE);
	CHECK_INT(dial_number_check(&conf, "US", "911", &out, &err), DIAL_EMERGENCY);
	free_conf(&conf);
}

int
main(void)
{
	TEST(test_what_is_typed);
	TEST(test_what_may_be_called);
	TEST(test_formats_and_premium);
	return test_done();
}
