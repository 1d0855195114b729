/* dial_number.c - from what a person typed to what a phone system is given, or a no.
 *
 * Two things are kept apart. Reading is about text: after it there are digits and at most
 * one '+', nothing that a dialplan, a manager's wire or a regular expression could take
 * for anything else. Checking is about numbers: what no agent may ever call from here
 * (emergency services: a call placed by a machine ties up a line and tells the wrong
 * place; our own numbers), what costs more than a call should (dial_premium), and what
 * the operator lets people call (dial_allow, nothing if it is absent). */
#include <calls/dial_number.h>

#include <people/address.h>

#include <mem.h>
#include <str.h>

#include <stdio.h>
#include <string.h>

#define TYPED_MAX 64

static const char *const refusal_texts[] = {
#define R(name, text) [DIAL_##name] = text,
	DIAL_REFUSALS(R)
#undef R
};

const char *
dial_refusal_text(enum dial_refusal refusal)
{
	return refusal_texts[refusal];
}

/* ---- Reading ---------------------------------------------------------------------- */

/* The ASCII character that a full-width or typographic one stands for; 0 if none. */
static char
narrow(const char *s, size_t n)
{
	static const struct {
		const char *wide;
		char narrow;
	} others[] = {{"\xc2\xa0", ' '}, {"\xe3\x80\x80", ' '}, {"\xe2\x80\x90", '-'},
		{"\xe2\x80\x91", '-'}, {"\xe2\x80\x92", '-'}, {"\xe2\x80\x93", '-'},
		{"\xe2\x88\x92", '-'}};
	const unsigned char *u = (const unsigned char *)s;

	if (n == 1)
		return *s;
	if (n == 3 && u[0] == 0xef && u[1] == 0xbc && u[2] >= 0x81)
		return (char)(u[2] - 0x80 + 0x20); /* U+FF01 to U+FF3F */
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		if (strlen(others[i].wide) == n && !memcmp(s, others[i].wide, n))
			return others[i].narrow;
	return '\0';
}

static int
refuse_char(const char *s, size_t n, struct err *err)
{
	if (n > 1 || (*s > 0x20 && *s < 0x7f))
		return err_set(
			err, "to: \"%.*s\" is no part of a phone number", (int)n, s);
	return err_set(err, "to: a control character is no part of a phone number");
}

bool
dial_number_read(const char *raw, char digits_r[DIAL_NUMBER_MAX], struct err *err)
{
	size_t left = strlen(raw), n, len = 0;

	if (left > TYPED_MAX * 3 || !utf8_valid(raw, left)) {
		err_set(err, "to: this is no phone number");
		return false;
	}
	for (const char *s = raw; left; s += n, left -= n) {
		n = utf8_next(s, left);
		char c = narrow(s, n);
		if ((c >= '0' && c <= '9') || (c == '+' && len == 0)) {
			if (len + 1 == DIAL_NUMBER_MAX)
				break;
			digits_r[len++] = c;
		} else if (!c || !strchr(" -.()/", c)) {
			refuse_char(s, n, err);
			return false;
		}
	}
	digits_r[len] = '\0';
	if (!left && len > (digits_r[0] == '+'))
		return true;
	err_set(err, left ? "to: too many digits" : "to: there is no digit in it");
	return false;
}

/* ---- Checking --------------------------------------------------------------------- */

static bool
matches(const struct conf_regex *re, const char *s)
{
	return re->text && regexec(&re->re, s, 0, NULL, 0) == 0;
}

static bool
is_own(const struct phone_conf *conf, const char *region, const char *to)
{
	struct address own;

	for (size_t i = 0; i < conf->own_numbers.n; i++)
		if (address_make("phone", conf->own_numbers.items[i], region, &own) &&
			str_eq(own.value, to))
			return true;
	return false;
}

static void
write_number(const struct phone_conf *conf, const struct phone_target *target,
	struct dial_number *out)
{
	str_copy(out->to, sizeof(out->to),
		target->e164[0] ? target->e164 : target->dialled);
	if (!target->e164[0] || conf->dial_format == PHONE_DIAL_NATIONAL)
		str_copy(out->number, sizeof(out->number), target->dialled);
	else
		str_copy(out->number, sizeof(out->number),
			target->e164 + (conf->dial_format == PHONE_DIAL_DIGITS));
}

static enum dial_refusal
refuse(enum dial_refusal why, struct err *err, const char *to, const char *sentence)
{
	err_set(err, "%s %s", to, sentence);
	return why;
}

enum dial_refusal
dial_number_check(const struct phone_conf *conf, const char *region, const char *digits,
	struct dial_number *out, struct err *err)
{
	struct phone_target target, typed;
	struct address a;

	/* As everybody else here reads it, so that it is the same contact's. */
	bool normal = address_make("phone", digits, region, &a) && a.normal;
	phone_examine(digits, region, &typed);
	phone_examine(normal ? a.value : digits, region, &target);
	if (typed.emergency || target.emergency)
		return refuse(DIAL_EMERGENCY, err, digits,
			"reaches an emergency service: call it from a phone");
	if (!target.possible)
		return refuse(DIAL_NOT_A_NUMBER, err, digits,
			region ? "is no phone number, here or with its country"
			       : "is no phone number: give it with its country (+86…), "
				 "or the tenant or channel its region");
	write_number(conf, &target, out);
	/* As a phone there would dial it, it may begin like an emergency number. */
	phone_examine(out->number, region, &typed);
	if (typed.emergency)
		return refuse(DIAL_EMERGENCY, err, digits,
			"reaches an emergency service: call it from a phone");
	if (is_own(conf, region, out->to) || is_own(conf, region, digits))
		return refuse(DIAL_OWN_NUMBER, err, out->to,
			"is one of our own numbers (own_numbers)");
	if (target.costly && !conf->dial_premium)
		return refuse(DIAL_PREMIUM, err, out->to,
			"is a premium-rate or shared-cost number (dial_premium)");
	if (!conf->dial_allow.text)
		return refuse(DIAL_NOT_ALLOWED, err, out->to,
			"may not be dialled: the channel has no dial_allow");
	if (!matches(&conf->dial_allow, out->to) &&
		!matches(&conf->dial_allow, out->number))
		return refuse(DIAL_NOT_ALLOWED, err, out->to,
			"is not among the numbers that may be dialled (dial_allow)");
	return DIAL_NONE;
}
