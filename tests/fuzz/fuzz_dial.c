/* What somebody wants to call, from outside bytes: the first byte chooses region and
 * format, the rest is what was typed. Whatever is let through is digits with at most one
 * '+' in front, in every form, and what is dialled reaches no emergency service. */
#include <calls/dial_number.h>

#include <mem.h>
#include <str.h>

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
check_digits(const char *s)
{
	size_t plus = s[0] == '+';

	assert(s[plus] && strspn(s + plus, "0123456789") == strlen(s + plus));
	assert(strlen(s) < DIAL_NUMBER_MAX);
}

static struct phone_conf *
make_conf(int format)
{
	static struct phone_conf conf;

	if (!conf.dial_allow.text) {
		conf.dial_allow.text = xstrdup(".");
		assert(regcomp(&conf.dial_allow.re, ".", REG_EXTENDED) == 0);
	}
	conf.dial_format = format;
	conf.dial_premium = true;
	return &conf;
}

static void
check_number(const char *digits, const char *region, int format)
{
	struct phone_conf *conf = make_conf(format);
	struct dial_number out;
	struct phone_target again;
	struct err err;

	if (dial_number_check(conf, region, digits, &out, &err) != DIAL_NONE)
		return;
	check_digits(out.to);
	check_digits(out.number);
	phone_examine(out.number, region, &again);
	assert(format != PHONE_DIAL_NATIONAL || !again.emergency);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const char *const regions[] = {
		"CN", "TW", "US", "DE", "HK", NULL, "GB", "IT"};
	char digits[DIAL_NUMBER_MAX];
	struct err err = {0};

	if (!len)
		return 0;
	char *typed = xstrndup((const char *)data + 1, len - 1);
	if (dial_number_read(typed, digits, &err)) {
		check_digits(digits);
		check_number(digits, regions[data[0] >> 2 & 7], data[0] % 3);
	} else {
		assert(err.text[0] && utf8_valid(err.text, strlen(err.text)));
	}
	xfree(&typed);
	return 0;
}
