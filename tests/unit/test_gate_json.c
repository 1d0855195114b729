/* test_gate_json.c - preferences and contacts read, decisions written: contract.md's
 * shapes. */
#include <outreach/gate_json.h>
#include <outreach/gate_read.h>

#include <buf.h>
#include <lib/test.h>
#include <mem.h>
#include <str.h>

#include <stdlib.h>
#include <string.h>

static struct gate_rules rules;
static struct gate_health health = {.up = GATE_ALL};

static void
add_address(struct gate_contact *c, const char *kind, const char *value)
{
	struct gate_address *a = &c->addresses[c->n_addresses++];

	a->kind = kind;
	a->value = value;
	a->kinds = gate_kinds_of(&rules, kind);
	a->trust = GATE_RECORDED;
}

/* Single quotes stand for double ones. */
static json_t *
json_of(const char *text)
{
	char *copy = xstrdup(text);

	for (char *c = copy; *c; c++)
		*c = *c == '\'' ? '"' : *c;
	json_t *v = json_loads(copy, JSON_DECODE_ANY, NULL);
	if (!v)
		test_fail(__FILE__, __LINE__, "no JSON: %s", text);
	xfree(&copy);
	return v;
}

static bool
read_wishes(struct gate_contact *c, const char *text)
{
	json_t *v = json_of(text);

	memset(c, 0, sizeof(*c));
	add_address(c, "phone", "+886912345678");
	add_address(c, "phone", "+886223456789");
	add_address(c, "email", "lin@example.com");
	bool ok = gate_wishes_read(&rules, v, c);
	json_decref(v);
	return ok;
}

static void
preferences_are_read(void)
{
	struct gate_contact c;
	int sms = gate_kind_find(&rules, "sms"),
	    phone = gate_kind_find(&rules, "phone");

	CHECK(read_wishes(&c,
		"{'preferred':['sms','phone','pigeon'],"
		"'denied':[{'kind':'email','purpose':'marketing'},"
		" {'kind':'phone','identity':'phone:+886912345678'},"
		" {'purpose':'survey','at':'2026-11-30T02:00:00Z'}],"
		"'allowed':[{'kind':'sms','purpose':'marketing',"
		" 'identity':{'kind':'phone','value':'+886223456789'}},"
		" {'kind':'email','purpose':null,'identity':'lin@example.com'}],"
		"'quiet_hours':[{'days':'mon-fri','from':'21:00','to':'08:00'},"
		" {'from':'12:00','to':'24:00'}],"
		"'do_not_contact':false,'source':'web'}"));
	CHECK(!c.do_not_contact);
	CHECK_INT(c.n_preferred, 2);
	CHECK_INT(c.preferred[0], sms);
	CHECK_INT(c.preferred[1], phone);
	int email = gate_kind_find(&rules, "email");
	CHECK_INT(c.denied[GATE_MARKETING], 1u << email);
	CHECK_INT(c.denied[GATE_SURVEY], GATE_ALL);
	CHECK_INT(c.denied[GATE_SERVICE], 0);
	CHECK_INT(c.addresses[0].denied[GATE_SERVICE], 1u << phone);
	CHECK_INT(c.addresses[1].denied[GATE_SERVICE], 0);
	CHECK_INT(c.allowed[GATE_MARKETING], 0);
	CHECK_INT(c.addresses[1].allowed[GATE_MARKETING], 1u << sms);
	CHECK_INT(c.addresses[0].allowed[GATE_MARKETING], 0);
	CHECK_INT(c.addresses[2].allowed[GATE_TRANSACTIONAL], 1u << email);
	CHECK_INT(c.denied_us, 0); /* one has no time */
	CHECK_INT(c.n_quiet, 2);
	CHECK(c.quiet[0].days == 0x1f && c.quiet[0].from == 1260 &&
		c.quiet[0].to == 480);
	CHECK(c.quiet[1].days == QUIET_EVERY_DAY && c.quiet[1].to == 1440);
	CHECK(read_wishes(&c, "{}") && !c.do_not_contact);
	CHECK(c.denied[GATE_MARKETING] == 0 && c.n_quiet == 0 && c.n_preferred == 0);
	CHECK(read_wishes(&c, "{'denied':[{'kind':'sms','at':'2026-11-30T02:00:00Z'},"
			      "{'kind':'email','at':'2026-11-29T02:00:00Z'}]}"));
	CHECK_INT(c.denied_us, INT64_C(1796004000000000));
	CHECK(read_wishes(&c, "{'do_not_contact':true}") && c.do_not_contact);
}

/* Whom it does not concern; and what cannot be taken as it stands lets nothing go. */
static const struct {
	const char *text;
	bool ok, stop;
	int wishes; /* kinds and purposes in masks, of a contact and its addresses */
} odd[] = {
	{"{'denied':[{'kind':'pigeon','purpose':'marketing'}]}", true, false, 0},
	{"{'denied':[{'kind':'sms','identity':'phone:+886900000000'}]}", true, false,
		0},
	{"{'denied':[{'kind':'sms','identity':'email:+886912345678'}]}", true, false,
		0},
	{"{'allowed':[{'kind':'sms','identity':'+886900000000'}]}", true, false, 0},
	{"{'allowed':[{'kind':'sms','purpose':'spam'},{'kind':'email'}]}", true, false,
		4},
	{"{'allowed':[17]}", true, false, 0},
	{"{'denied':null,'quiet_hours':null,'allowed':null}", true, false, 0},
	{"{'denied':[{}]}", true, false, 4 * 32},
	{"{'denied':[{'kind':'sms','purpose':'spam'}]}", false, true, 0},
	{"{'denied':[{'kind':1}]}", false, true, 0},
	{"{'denied':[{'kind':'sms','identity':1}]}", false, true, 0},
	{"{'denied':[{'kind':'sms','identity':{'value':'x'}}]}", false, true, 0},
	{"{'denied':[17]}", false, true, 0},
	{"{'denied':{}}", false, true, 0},
	{"{'quiet_hours':[{'days':'someday','from':'21:00','to':'08:00'}]}", false,
		true, 0},
	{"{'quiet_hours':[{'days':'mon','from':'21:00'}]}", false, true, 0},
	{"{'quiet_hours':[17]}", false, true, 0},
	{"{'quiet_hours':'never'}", false, true, 0},
	{"{'do_not_contact':'no'}", false, true, 0},
	{"[]", false, true, 0},
	{"null", false, true, 0},
};

static int
count_wishes(const struct gate_contact *c)
{
	int n = 0;

	for (int p = 0; p < GATE_PURPOSES; p++) {
		n += __builtin_popcount(c->denied[p] | c->allowed[p]);
		for (size_t i = 0; i < c->n_addresses; i++)
			n += __builtin_popcount(
				c->addresses[i].denied[p] | c->addresses[i].allowed[p]);
	}
	return n;
}

static void
odd_preferences(void)
{
	struct gate_contact c;

	for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
		bool ok = read_wishes(&c, odd[i].text);
		if (ok != odd[i].ok || c.do_not_contact != odd[i].stop ||
			(ok && count_wishes(&c) != odd[i].wishes))
			test_fail(__FILE__, __LINE__, "%s: %d, %d, %d", odd[i].text, ok,
				c.do_not_contact, count_wishes(&c));
	}
}

static char *
many(const char *list, const char *entry, int n)
{
	struct buf b = BUF_INIT;

	buf_printf(&b, "{'%s':[", list);
	for (int i = 0; i < n; i++)
		buf_printf(&b, "%s%s", i ? "," : "", entry);
	buf_adds(&b, "]}");
	return buf_steal(&b);
}

/* Of wishes there may be any number; of quiet hours not. */
static void
long_lists(void)
{
	static const struct {
		const char *list, *entry;
		int n;
		bool ok;
	} lists[] = {{"denied", "{'kind':'sms'}", 5000, true},
		{"allowed", "{'kind':'sms'}", 5000, true},
		{"preferred", "'sms'", 5000, true},
		{"quiet_hours", "{'from':'21:00','to':'08:00'}", QUIET_RULES_MAX, true},
		{"quiet_hours", "{'from':'21:00','to':'08:00'}", QUIET_RULES_MAX + 1,
			false}};
	struct gate_contact c;

	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		char *text = many(lists[i].list, lists[i].entry, lists[i].n);
		CHECK_INT(read_wishes(&c, text), lists[i].ok);
		CHECK_INT(c.do_not_contact, !lists[i].ok);
		xfree(&text);
	}
}

/* ---- A whole contact ---- */

static const char somebody[] =
	"{'contact':'x','name':'Lin','timezone':'Asia/Taipei',"
	"'wishes':{'preferred':['sms'],'denied':[{'kind':'phone','purpose':'survey'}],"
	" 'allowed':[{'kind':'sms','purpose':'marketing'},"
	" {'kind':'email','purpose':'marketing',"
	"  'identity':{'kind':'email','value':'lin@example.com'}}],"
	" 'quiet_hours':[{'days':'mon-fri','from':'21:00','to':'08:00'}],"
	" 'do_not_contact':false},"
	"'addresses':["
	"{'kind':'phone','value':'+886912345678','trust':'network','suppressed':[],"
	" 'denied':[{'kind':'phone','purpose':'survey'}],"
	" 'allowed':[{'kind':'sms','purpose':'marketing'}],"
	" 'wrote':{'sms':'2026-11-29T02:00:00Z','chat':'2026-11-30T02:00:00Z'}},"
	"{'kind':'phone','value':'+12125550100','trust':'claimed','suppressed':['do_not_call'],"
	" 'denied':[{'kind':'phone','purpose':'survey'},{'kind':'sms','purpose':'service'}],"
	" 'allowed':[],'wrote':{},'shared':true,'others_denied':["
	"{'kind':'sms','purpose':'marketing'},{'kind':'phone','purpose':'survey'},"
	"{'kind':'email','purpose':'service'}]},"
	"{'kind':'email','value':'lin@example.com','trust':'nonsense'},"
	"{'kind':'email'}]}";

static void
a_contact_is_read(void)
{
	struct err err;
	struct zones *zones = zones_load(ZONES_DIR, &err);
	json_t *v = json_of(somebody);
	struct gate_contact c;
	int sms = gate_kind_find(&rules, "sms"),
	    email = gate_kind_find(&rules, "email");

	CHECK(zones && gate_contact_read(&rules, zones, v, &c));
	CHECK(c.zone == zones_find(zones, "Asia/Taipei"));
	CHECK_STR(c.country, ""); /* numbers of two */
	CHECK_INT(c.n_addresses, 3);
	const struct gate_address *a = &c.addresses[0], *b = &c.addresses[1];
	CHECK_INT(a->trust, GATE_NETWORK);
	CHECK(a->zones && a->zones == zones_country(zones, "TW"));
	CHECK_INT(a->wrote_us, INT64_C(1796004000000000));
	CHECK(!a->suppressed && !a->shared);
	CHECK(!(a->uncovered[GATE_MARKETING] >> sms & 1));
	CHECK(b->zones == zones_country(zones, "US") && b->trust == GATE_CLAIMED);
	CHECK(b->suppressed == GATE_ALL && b->shared && b->wrote_us == 0);
	CHECK_INT(b->denied_by_others, 1u << GATE_MARKETING | 1u << GATE_SURVEY);
	CHECK(b->uncovered[GATE_MARKETING] >> sms & 1);
	CHECK_INT(b->denied[GATE_SERVICE], 1u << sms);
	CHECK_INT(c.addresses[2].trust, GATE_CLAIMED);
	CHECK_INT(c.addresses[2].allowed[GATE_MARKETING], 1u << email);
	CHECK_INT(c.addresses[2].uncovered[GATE_MARKETING], 0);
	CHECK_INT(c.allowed[GATE_MARKETING], 1u << sms);
	json_array_remove(json_object_get(v, "addresses"), 1);
	json_object_set_new(v, "timezone", json_string("../../etc/passwd"));
	CHECK(gate_contact_read(&rules, zones, v, &c));
	CHECK_STR(c.country, "TW");
	CHECK(c.zone == NULL);
	json_object_del(v, "wishes");
	CHECK(!gate_contact_read(&rules, zones, v, &c) && c.do_not_contact);
	json_decref(v);
	zones_free(&zones);
}

static void
check_written(
	const struct gate_contact *c, const struct gate_question *q, const char *want)
{
	struct gate_decision d;
	struct buf got = BUF_INIT;
	struct json_out j;
	char *expected = xstrdup(want);

	for (char *s = expected; *s; s++)
		*s = *s == '\'' ? '"' : *s;
	gate_decide(&rules, &health, c, q, &d);
	json_out_init(&j, &got);
	gate_decision_put(&j, NULL, &d, &rules, c);
	CHECK_STR(buf_str(&got), expected);
	buf_fini(&got);
	xfree(&expected);
}

static void
decisions_are_written(void)
{
	struct gate_contact c;
	struct gate_question q = {.purpose = GATE_SERVICE,
		.kind = GATE_ANY,
		.address = GATE_ANY,
		.now_us = INT64_C(1796047200000000)}; /* 14:00 UTC */

	read_wishes(&c, "{'preferred':['phone','sms']}");
	check_written(&c, &q,
		"{'allowed':true,'kind':'sms','identity':{'kind':'phone','value':"
		"'+886912345678'},'reason':'preferred','text':'the contact prefers this "
		"kind','until':null,'considered':[{'kind':'phone','reason':'needs_agent',"
		"'text':'carries no message: an agent has to do it'},{'kind':'sms',"
		"'identity':{'kind':'phone','value':'+886912345678'},'reason':'preferred',"
		"'text':'the contact prefers this kind'}]}");
	read_wishes(
		&c, "{'quiet_hours':[{'days':'daily','from':'12:00','to':'20:00'}]}");
	q.kind = gate_kind_find(&rules, "email");
	check_written(&c, &q,
		"{'allowed':false,'kind':'email','identity':{'kind':'email','value':"
		"'lin@example.com'},'reason':'quiet_hours','text':'it is a quiet time "
		"where the contact is','until':'2026-11-30T20:00:00.000Z','considered':["
		"{'kind':'email','identity':{'kind':'email','value':'lin@example.com'},"
		"'reason':'quiet_hours','text':'it is a quiet time where the contact is',"
		"'until':'2026-11-30T20:00:00.000Z'}]}");
	read_wishes(&c, "{'do_not_contact':true}");
	q.kind = GATE_ANY;
	check_written(&c, &q,
		"{'allowed':false,'kind':null,'identity':null,'reason':'do_not_contact',"
		"'text':'the contact wants to hear nothing at all','until':null,"
		"'considered':[]}");
}

static void
words(void)
{
	for (int i = 0; i < GATE_PURPOSES; i++)
		CHECK_INT(
			gate_purpose_parse(gate_purpose_text((enum gate_purpose)i)), i);
	CHECK_INT(gate_purpose_parse("spam"), -1);
	CHECK_INT(gate_purpose_parse(NULL), -1);
	for (int i = 0; i < GATE_REASON_COUNT; i++)
		CHECK(!str_empty(gate_reason_text((enum gate_reason)i)) &&
			!str_empty(gate_reason_sentence((enum gate_reason)i)));
	struct gate_rules r;
	gate_rules_init(&r);
	CHECK(!gate_rules_add_kind(&r, "sms", "phone", false));
	for (int i = 0; r.n_kinds < GATE_KINDS_MAX; i++) {
		char name[2] = {(char)('a' + i), '\0'};
		CHECK(gate_rules_add_kind(&r, name, name, false));
	}
	CHECK(!gate_rules_add_kind(&r, "z", "z", false));
}

int
main(void)
{
	gate_rules_init(&rules);
	TEST(preferences_are_read);
	TEST(odd_preferences);
	TEST(long_lists);
	TEST(a_contact_is_read);
	TEST(decisions_are_written);
	TEST(words);
	return test_done();
}
