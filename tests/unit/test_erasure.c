/* Erasure beside merges, wishes and imports, against a real PostgreSQL
 * (tests/lib/with-servers): what goes, what stays closed, and whose the rest is. */
#include <people/consent_verify.h>

#include <lib/store_env.h>
#include <lib/test.h>
#include <mem.h>
#include <str.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static struct store_env env;

/* ---- Contacts --------------------------------------------------------------------- */

/* Contacts are numbered: this is n's id, quoted. */
static const char *
id(unsigned n)
{
	static char ids[4][48];
	static unsigned at;
	char *text = ids[at++ % 4];

	snprintf(text, 48, "'01900000-0000-7000-8000-%012x'", n);
	return text;
}

static const char *
ask(const char *fmt, ...)
{
	char sql[2000];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(sql, sizeof(sql), fmt, ap);
	va_end(ap);
	return store_env_value(&env, sql);
}

/* Contact n has the number +8869110NNNNN. */
static void
has(unsigned n, unsigned number)
{
	ask("INSERT INTO address VALUES (1, 'phone', '+8869110%05u') "
	    "ON CONFLICT DO NOTHING",
		number);
	ask("INSERT INTO identity (tenant_id, kind, value, contact_id, trust) VALUES "
	    "(1, 'phone', '+8869110%05u', %s, 1)",
		number, id(n));
}

static void
person(unsigned n)
{
	ask("INSERT INTO contact (tenant_id, id, name) VALUES (1, %s, 'P%u')", id(n),
		n);
	has(n, n);
}

static void
merge(unsigned survivor, unsigned absorbed)
{
	CHECK_STR(
		ask("SELECT state FROM contact_merge_make(1, 'key:t', 'admin', %s, %s, "
		    "true, '{}')",
			id(survivor), id(absorbed)),
		"merged");
}

static void
unmerge(unsigned root, unsigned member)
{
	CHECK_STR(
		ask("SELECT state FROM contact_merge_undo(1, 'key:t', 'admin', %s, %s)",
			id(root), id(member)),
		"released");
}

/* number: what it is about, or 0 = everything of that kind. */
static void
say(unsigned n, const char *decision, const char *kind, unsigned number)
{
	CHECK_STR(
		ask("SELECT state FROM consent_record(1, 'key:t', 'admin', %s, "
		    "jsonb_strip_nulls(jsonb_build_object('decision', '%s', "
		    "'kind', nullif('%s', '*'), 'purpose', case when '%s' <> '*' then "
		    "'marketing' end, 'do_not_contact', case when '%s' = '*' then true end, "
		    "'address_kind', case when %u > 0 then 'phone' end, "
		    "'address_value', case when %u > 0 then '+8869110' || "
		    "lpad('%u', 5, '0') end, 'source', 'form', "
		    "'evidence', '{}'::jsonb)), null, null, null, null, null, null, 0)",
			id(n), decision, kind, kind, kind, number, number, number),
		"created");
}

static void
erase(unsigned n, bool bar)
{
	CHECK(strstr(
		ask("SELECT json FROM contact_erase(1, 'key:t', 'admin', %s, %d::bool)",
			id(n), bar),
		"\"complete\""));
	CHECK_STR(ask("SELECT count(*) FROM contact WHERE id = %s", id(n)), "0");
}

/* What the gate is told against number as an address of n. */
static const char *
suppressed(unsigned n, unsigned number)
{
	return ask("SELECT a->'suppressed' FROM gate_contact(1, %s) g, "
		   "jsonb_array_elements(g->'addresses') a "
		   "WHERE a->>'value' = '+8869110' || lpad('%u', 5, '0')",
		id(n), number);
}

/* Tables that still tell of number. */
static const char *
told_of(unsigned number)
{
	return ask("SELECT coalesce(string_agg(t, ' ' ORDER BY t), '') FROM "
		   "(SELECT DISTINCT relation AS t FROM privacy_place) p, "
		   "query_to_xml('SELECT 1 FROM ' || t || ' x WHERE x::text LIKE "
		   "''%%+8869110' || lpad('%u', 5, '0') || '%%''', true, false, '') q "
		   "WHERE q::text LIKE '%%row%%'",
		number);
}

/* ---- Who was not to be contacted -------------------------------------------------- */

static void
test_who_is_seen_again_is_a_stranger_whom_the_gate_refuses(void)
{
	person(1);
	person(2);
	CHECK_STR(suppressed(1, 1), "[]");
	erase(1, true);
	say(2, "denied", "*", 0);
	erase(2, false);
	CHECK_STR(told_of(1), "erasure");
	ask("UPDATE erasure SET pending = null");
	for (unsigned n = 1; n <= 2; n++) {
		CHECK_STR(told_of(n), "");
		ask("INSERT INTO contact (tenant_id, id) VALUES (1, %s)", id(10 + n));
		has(10 + n, n);
		CHECK_STR(suppressed(10 + n, n), "[\"erased\"]");
	}
	/* not for another tenant, nor another's number */
	CHECK_STR(ask("SELECT suppression_reasons(2, 'phone', '+886911000001')"), "{}");
	CHECK_STR(ask("SELECT suppression_reasons(1, 'phone', '+886911000003')"), "{}");
	CHECK_STR(ask("SELECT count(*) FROM suppression WHERE reason = 'erased' "
		      "AND value ~ '^#[0-9a-f]{64}$'"),
		"2");
}

static void
test_what_was_suppressed_stays_so(void)
{
	person(20);
	ask("SELECT suppression_add(1, 'key:t', 'admin', 'phone', '+886911000020', "
	    "'complained', 'them', null, null, null, null, null)");
	erase(20, false);
	ask("UPDATE erasure SET pending = null");
	CHECK_STR(told_of(20), "");
	CHECK_STR(ask("SELECT suppression_reasons(1, 'phone', '+886911000020')"),
		"{erased}");
	/* who comes back and wants to be written to says so, and it is meant */
	CHECK_STR(ask("SELECT suppression_remove(1, 'key:t', 'admin', 'phone', "
		      "'+886911000020', null)"),
		"0");
	CHECK_STR(ask("SELECT suppression_remove(1, 'key:t', 'admin', 'phone', "
		      "'+886911000020', 'erased')"),
		"1");
	CHECK_STR(ask("SELECT suppression_reasons(1, 'phone', '+886911000020')"), "{}");
}

/* What a colleague ticks while erasing closes nobody else's number; what they said
 * themselves closed it before, and still does. */
static void
test_a_number_that_two_have(void)
{
	for (unsigned n = 30; n <= 32; n++)
		person(n);
	has(30, 32);
	has(31, 32);
	say(32, "denied", "sms", 32);
	erase(30, true);
	CHECK_STR(suppressed(31, 32), "[]");
	say(31, "denied", "*", 0);
	erase(31, false);
	CHECK_STR(suppressed(32, 32), "[\"erased\"]");
	CHECK_STR(
		ask("SELECT count(*) FROM wish WHERE contact_id = %s AND own = 'denied'",
			id(32)),
		"1");
}

/* A session that cannot know whom we must not contact is told nothing at all. */
static void
test_no_key_no_answer(void)
{
	struct err err;
	static const char *const without[] = {
		"SELECT suppression_reasons(1, 'phone', '+886911000001')",
		"SELECT gate_contact(1, '01900000-0000-7000-8000-00000000000b')",
		"SELECT contact_erase(1, 'key:t', 'admin', "
		"'01900000-0000-7000-8000-00000000000b', true)"};

	store_env_exec(&env, "SET interactd.erasure_key = ''");
	for (size_t i = 0; i < ARRAY_LEN(without); i++)
		CHECK(pg_sync_exec(env.sync, without[i], &err) < 0 &&
			strstr(err.text, "has no key for the hashes"));
	store_env_exec(&env, "RESET interactd.erasure_key");
	CHECK_STR(ask("SELECT count(*) FROM contact WHERE id = %s", id(11)), "1");
}

/* ---- Merges ----------------------------------------------------------------------- */

static const char *
allowed(unsigned n)
{
	return ask("SELECT wishes_json(1, %s)->'allowed'", id(n));
}

static void
test_an_allowance_that_ended_with_a_merge_does_not_come_back(void)
{
	person(40);
	person(41);
	merge(40, 41);
	say(40, "allowed", "sms", 0);
	CHECK(strstr(allowed(40), "sms"));
	unmerge(40, 41);
	CHECK_STR(allowed(40), "[]");
	CHECK_STR(allowed(41), "[]");
	erase(41, false);
	CHECK_STR(allowed(40), "[]");
}

static struct consent_verified
verify(void)
{
	struct consent_verified v;
	struct err err;

	ask("SELECT consent_seal_due(1000)");
	if (consent_verify(env.sync, 1, NULL, NULL, NULL, &v, &err) < 0)
		test_fail(__FILE__, __LINE__, "%s", err.text);
	return v;
}

/* What was recorded for the other as well, while they were one. */
static void
test_what_others_said_of_their_address_goes_too(void)
{
	person(50);
	person(51);
	merge(50, 51);
	say(50, "denied", "sms", 51);
	say(50, "denied", "email", 0);
	say(50, "allowed", "phone", 51);
	unmerge(50, 51);
	uint64_t erased = verify().erased;
	erase(51, false);
	ask("UPDATE erasure SET pending = null");
	CHECK_STR(told_of(51), "");
	/* their word for themselves stays */
	CHECK_STR(ask("SELECT wishes_json(1, %s)->'denied'", id(50)),
		"[{\"kind\": \"email\", \"purpose\": \"marketing\"}]");
	CHECK_STR(ask("SELECT count(*) FROM consent_detail WHERE contact_id = %s",
			  id(50)),
		"1");
	struct consent_verified v = verify();
	CHECK_INT(v.findings, 0);
	CHECK_INT(v.erased - erased, 4);
}

static void
test_merges_of_others_forget_their_address(void)
{
	for (unsigned n = 60; n <= 64; n++)
		person(n);
	has(60, 65);
	has(61, 65);
	ask("SELECT contact_suggest(1, %s)", id(60));
	ask("UPDATE identity SET trust = 0 WHERE value = '+886911000065' AND "
	    "contact_id = %s",
		id(61));
	ask("SELECT contact_suggest(1, %s)", id(60));
	CHECK_STR(ask("SELECT evidence->0->>'value' FROM merge_suggestion WHERE a = %s",
			  id(60)),
		"+886911000065");
	ask("SELECT contact_merge_make(1, 'key:t', 'admin', %s, %s, true, "
	    "'{\"addresses\": [{\"kind\": \"phone\", \"value\": \"+886911000065\"}]}')",
		id(62), id(63));
	/* it is only 64's by now */
	ask("DELETE FROM identity WHERE value = '+886911000065'");
	has(64, 65);
	erase(64, false);
	ask("UPDATE erasure SET pending = null");
	CHECK_STR(told_of(65), "");
	CHECK_STR(ask("SELECT json::json->>'evidence' FROM merge_suggestion s, "
		      "suggestion_json(s) json WHERE a = %s",
			  id(60)),
		"[]");
	CHECK_STR(ask("SELECT merged_into = %s FROM contact WHERE id = %s", id(62),
			  id(63)),
		"t");
}

/* ---- Imports ---------------------------------------------------------------------- */

static void
test_what_was_rejected_tells_nothing_of_them(void)
{
	person(70);
	ask("SELECT import_run_begin(1, %s, 'csv', 'key:t', 0)", id(700));
	ask("SELECT import_run_reject(1, %s, 9, '{7,8}', '{1,1}', array["
	    "'belongs to another contact: ' || %s, 'name: too long'])",
		id(700), id(70));
	ask("UPDATE import_run SET detail = 'line 9: +886911000070'");
	erase(70, false);
	ask("UPDATE erasure SET pending = null");
	CHECK_STR(told_of(70), "");
	CHECK_STR(ask("SELECT string_agg(line || ' ' || reason, ', ' ORDER BY line) "
		      "FROM import_rejected"),
		"7 it told of somebody who was erased, 8 name: too long");
}

/* ---- The receipt ------------------------------------------------------------------ */

static void
test_the_receipt_counts_every_place(void)
{
	person(80);
	say(80, "denied", "sms", 0);
	say(80, "allowed", "email", 0);
	erase(80, false);
	CHECK_STR(ask("SELECT string_agg((c->>'place') || ' ' || (c->>'count'), ', ' "
		      "ORDER BY c->>'place') FROM erasure e, "
		      "jsonb_array_elements(e.counts) c WHERE contact_id = %s "
		      "AND c->>'count' <> '0'",
			  id(80)),
		"addresses 1, consent evidence 2, contact 1, identities 1, preferences 1, "
		"wishes 2");
	CHECK_STR(
		ask("SELECT count(*) FROM erasure e, jsonb_array_elements(e.counts) c "
		    "WHERE contact_id = %s",
			id(80)),
		ask("SELECT count(*) FROM privacy_place WHERE how <> 'keep'"));
}

int
main(void)
{
	if (!store_env_available())
		return 77;
	store_env_start(&env, "test_erasure");
	TEST(test_who_is_seen_again_is_a_stranger_whom_the_gate_refuses);
	TEST(test_what_was_suppressed_stays_so);
	TEST(test_a_number_that_two_have);
	TEST(test_no_key_no_answer);
	TEST(test_an_allowance_that_ended_with_a_merge_does_not_come_back);
	TEST(test_what_others_said_of_their_address_goes_too);
	TEST(test_merges_of_others_forget_their_address);
	TEST(test_what_was_rejected_tells_nothing_of_them);
	TEST(test_the_receipt_counts_every_place);
	store_env_stop(&env);
	return test_done();
}
