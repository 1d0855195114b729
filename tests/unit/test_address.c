/* Addresses as people type them and trunks send them, for four countries. */
#include <people/address.h>
#include <people/phone.h>

#include <mem.h>
#include <str.h>

#include <lib/test.h>

#include <stdio.h>
#include <string.h>

struct good {
	const char *kind, *region, *raw, *value;
	bool normal;
};

static const struct good good[] = {
	{"phone", "CN", "13800138000", "+8613800138000", true},
	{"phone", "CN", "138 0013 8000", "+8613800138000", true},
	{"phone", "CN", "138-0013-8000", "+8613800138000", true},
	{"phone", "CN", "+86 138 0013 8000", "+8613800138000", true},
	{"phone", "CN", "0086 13800138000", "+8613800138000", true},
	{"phone", "CN", "8613800138000", "+8613800138000", true},
	{"phone", "CN", "(010) 6552 9988", "+861065529988", true},
	{"phone", "CN", "010-65529988", "+861065529988", true},
	{"phone", "CN", "１３８００１３８０００", "+8613800138000", true},
	{"phone", "CN", "＋８６　１３８００１３８０００", "+8613800138000", true},
	{"phone", "CN", "tel:+86-138-0013-8000", "+8613800138000", true},
	{"phone", "TW", "0912-345-678", "+886912345678", true},
	{"phone", "TW", "0912 345 678", "+886912345678", true},
	{"phone", "TW", "(02) 2345-6789", "+886223456789", true},
	{"phone", "TW", "+886 (0)912 345 678", "+886912345678", true},
	{"phone", "TW", "00886912345678", "+886912345678", true},
	{"phone", "TW", " 886912345678", "+886912345678", true},
	{"phone", "TW", " 0912345678", "+886912345678", true},
	{"phone", "TW", "０９１２－３４５－６７８", "+886912345678", true},
	{"phone", "TW",
		"0912\xe2\x80\x93"
		"345\xc2\xa0"
		"678",
		"+886912345678", true},
	{"phone", "US", "(212) 555-2368", "+12125552368", true},
	{"phone", "US", "212.555.2368", "+12125552368", true},
	{"phone", "US", "1 212 555 2368", "+12125552368", true},
	{"phone", "US", "011 44 20 7946 0958", "+442079460958", true},
	{"phone", "US", "00442079460958", "+442079460958", true},
	{"phone", "US", "212-555-2368 ext. 12", "+12125552368", true},
	{"phone", "US", "1-800-FLOWERS", "+18003569377", true},
	{"phone", "DE", "030/123456", "+4930123456", true},
	{"phone", "DE", "+49 (0)30 123456", "+4930123456", true},
	{"phone", "DE", "0049 30 123456", "+4930123456", true},
	{"phone", "DE", "0171 / 123 45 67", "+491711234567", true},
	{"phone", "DE", "+39 06 698 1234", "+39066981234", true},
	{"phone", NULL, "+8613800138000", "+8613800138000", true},
	{"phone", NULL, " 8613800138000", "+8613800138000", true},
	{"phone", "", "008613800138000", "+8613800138000", true},
	/* Short codes, extensions, what has no country: as given. */
	{"phone", "DE", "110", "110", false},
	{"phone", "CN", "10086", "10086", false},
	{"phone", "CN", "95588", "95588", false},
	{"phone", "DE", "2001", "2001", false},
	{"phone", "US", "*97", "*97", false},
	{"phone", NULL, "0912 345-678", "0912345678", false},
	{"phone", "TW", "+999 123", "+999123", false},
	{"phone", "DE", "agent2001", "agent2001", false},
	{"phone", "DE", "alice ", "alice", false},
	{"email", NULL, "Bob@Example.COM", "Bob@example.com", true},
	{"email", NULL, " bob@example.com. ", "bob@example.com", true},
	{"email", NULL, "mailto:bob@example.com", "bob@example.com", true},
	{"email", NULL, "bob@BÜCHER.example", "bob@xn--bcher-kva.example", true},
	{"email", NULL, "客户@例え.jp", "客户@xn--r8jz45g.jp", true},
	{"email", NULL, "bob＠example.com", "bob@example.com", true},
	{"email", NULL, "bob@[192.0.2.1]", "bob@[192.0.2.1]", true},
	{"email", NULL, "bob", "bob", false},
	{"email", NULL, "bob@", "bob@", false},
	{"email", NULL, "bob@exa mple.com", "bob@exa mple.com", false},
	{"email", NULL, "Bob <bob@example.com>", "Bob <bob@example.com>", false},
	{"email", NULL, "a@-x.example", "a@-x.example", false},
	{"external", NULL, "crm:42", "crm:42", true},
	{"external", NULL, " crm:A 4:2 ", "crm:A 4:2", true},
	{"external", NULL, "42", "42", false},
	{"external", NULL, "c r m:42", "c r m:42", false},
	{"visitor", NULL, "v-0192", "v-0192", true},
	{"wechat", NULL, "oXyZ", "oXyZ", true},
};

static void
test_what_people_type(void)
{
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		struct address a;
		/* twice: the second answer is the cache's */
		for (int again = 0; again < 2; again++) {
			if (!address_make(
				    good[i].kind, good[i].raw, good[i].region, &a))
				test_fail(
					__FILE__, __LINE__, "refused: %s", good[i].raw);
			CHECK_STR(a.value, good[i].value);
			CHECK_STR(a.kind, good[i].kind);
			if (a.normal != good[i].normal)
				test_fail(
					__FILE__, __LINE__, "normal: %s", good[i].raw);
		}
	}
}

static void
test_nothing_left_is_refused(void)
{
	static const char *const bad[][2] = {{"phone", ""}, {"phone", "   "},
		{"phone", "-/-"}, {"phone", "+"}, {"email", "  "}, {"Phone", "110"},
		{"", "110"}, {"9x", "110"}, {"a b", "110"}, {"external", "\x01\x02"}};
	char longest[2000];
	struct address a;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		CHECK(!address_make(bad[i][0], bad[i][1], "DE", &a));
	memset(longest, '1', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	CHECK(!address_make("phone", longest, "DE", &a));
	CHECK(!address_make("email", longest, "DE", &a));
	longest[254] = '\0';
	CHECK(address_make("visitor", longest, NULL, &a));
	CHECK_INT((int64_t)strlen(a.value), 254);
	CHECK(!address_make("phone", NULL, NULL, &a));
}

static void
test_nobodys_numbers(void)
{
	static const char *const nobody[] = {"", "anonymous", "Anonymous", "ANONYMOUS ",
		"unknown", "<unknown>", "Restricted", "private", "Unavailable",
		"not available", "+266696687", "266696687", "+7378742833", "0",
		"0000000", "匿名", "未知", "-", "asterisk", "No Caller ID",
		"anonymous@anonymous.invalid"};
	static const char *const somebody[] = {
		"+8613800138000", "110", "100", "2001", "agent2001", "0912345678"};

	for (size_t i = 0; i < ARRAY_LEN(nobody); i++)
		if (!address_phone_is_nobody(nobody[i]))
			test_fail(__FILE__, __LINE__, "somebody: \"%s\"", nobody[i]);
	for (size_t i = 0; i < ARRAY_LEN(somebody); i++)
		if (address_phone_is_nobody(somebody[i]))
			test_fail(__FILE__, __LINE__, "nobody: \"%s\"", somebody[i]);
	CHECK(address_phone_is_nobody(NULL));
}

static void
test_parse_splits_at_the_first_colon(void)
{
	struct address a;

	CHECK(address_parse("phone:0912-345-678", "TW", &a));
	CHECK_STR(a.value, "+886912345678");
	CHECK(address_parse("external:crm:4:2", NULL, &a));
	CHECK_STR(a.kind, "external");
	CHECK_STR(a.value, "crm:4:2");
	CHECK(!address_parse("0912345678", "TW", &a));
	CHECK(!address_parse(":0912345678", "TW", &a));
	CHECK(!address_parse("phone:", "TW", &a));
}

static void
test_trust_words(void)
{
	CHECK_INT(trust_parse("claimed"), TRUST_CLAIMED);
	CHECK_INT(trust_parse("verified"), TRUST_VERIFIED);
	CHECK_INT(trust_parse("Verified"), -1);
	CHECK_INT(trust_parse(NULL), -1);
	CHECK_STR(trust_text(TRUST_NETWORK), "network");
}

static void
test_countries(void)
{
	static const struct {
		const char *number, *country;
	} cases[] = {{"+886912345678", "TW"}, {"+8613800138000", "CN"},
		{"+12125550100", "US"}, {"+14165550100", "CA"}, {"+18005550100", "US"},
		{"+441481700000", "GG"}, {"+442070000000", "GB"},
		{"+77010000000", "KZ"}, {"+79161234567", "RU"}, {"+80012345678", ""},
		{"+88299123456", ""}, {"+9991234567", ""}, {"912345678", ""}, {"", ""},
		{"+", ""}};
	char country[3];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		bool known = phone_country(cases[i].number, country);
		CHECK_INT(known, *cases[i].country != '\0');
		CHECK_STR(country, cases[i].country);
	}
}

int
main(void)
{
	TEST(test_what_people_type);
	TEST(test_nothing_left_is_refused);
	TEST(test_nobodys_numbers);
	TEST(test_parse_splits_at_the_first_colon);
	TEST(test_trust_words);
	TEST(test_countries);
	return test_done();
}
