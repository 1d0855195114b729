/* The check of the consent ledger: what somebody with every right does to its rows is
 * found, with its place (needs tests/lib/with-servers). */
#include <people/consent_verify.h>

#include <io/loop.h>
#include <lib/store_env.h>
#include <lib/test.h>
#include <mem.h>
#include <people/wishes_keeper.h>
#include <str.h>

#include <clock.h>
#include <stdio.h>
#include <string.h>

static struct store_env env;

struct found {
	char text[8192];
};

static void
on_finding(void *arg, const char *where, const char *what)
{
	struct found *f = arg;
	size_t n = strlen(f->text);

	snprintf(f->text + n, sizeof(f->text) - n, "%s: %s\n", where, what);
}

static struct consent_verified
check(struct found *f, const struct consent_head *known)
{
	struct consent_verified v;
	struct err err;

	f->text[0] = '\0';
	if (consent_verify(env.sync, 1, known, on_finding, f, &v, &err) < 0)
		test_fail(__FILE__, __LINE__, "%s", err.text);
	return v;
}

/* Five contacts with two entries each, in seals of two. */
static void
make_ledger(void)
{
	store_env_exec(&env,
		"INSERT INTO contact (tenant_id, id, name) SELECT 1, "
		"('01900000-0000-7000-8000-00000000000' || n)::uuid, 'P' || n "
		"FROM generate_series(1, 5) n;"
		"SELECT consent_record(1, 'key:crm', 'admin', "
		"('01900000-0000-7000-8000-00000000000' || n)::uuid, jsonb_build_object("
		"'decision', d, 'kind', 'sms', 'purpose', 'marketing', 'source', 'form', "
		"'evidence', '{}'::jsonb), NULL, NULL, NULL, NULL, NULL, NULL, 0) "
		"FROM generate_series(1, 5) n, unnest('{allowed,denied}'::text[]) d "
		"ORDER BY n, d;"
		"SELECT consent_seal_due(2) FROM generate_series(1, 5)");
}

static void
test_an_honest_ledger_is_all_right(void)
{
	struct found f;
	struct consent_verified v = check(&f, NULL);

	CHECK_STR(f.text, "");
	CHECK_INT(v.seals, 5);
	CHECK_INT(v.entries, 10);
	CHECK_INT(v.head.number, 5);
	CHECK_INT(strlen(v.head.hash), 64);
	CHECK_INT(v.findings + v.erased + v.unsealed, 0);
	struct consent_head head = v.head;
	CHECK_INT(check(&f, &head).findings, 0);
}

static const struct tampering {
	const char *done;
	const char *found[3]; /* each in what is told */
} tamperings[] = {
	{"UPDATE consent_detail SET payload = replace(payload, 'allowed', 'denied') "
	 "WHERE seq = 3",
		{"entry 3 (", "what it says was changed"}},
	{"UPDATE consent_detail SET salt = '\\x00' WHERE seq = 3",
		{"entry 3 (", "what it says was changed"}},
	/* with a commitment that fits: then the seal shows it */
	{"UPDATE consent_detail SET payload = replace(payload, 'allowed', 'denied') "
	 "WHERE seq = 3;"
	 "UPDATE consent c SET commitment = sha256(d.salt || convert_to(d.payload, 'UTF8')) "
	 "FROM consent_detail d WHERE d.seq = c.seq AND c.seq = 3",
		{"entry 3 (", "is not what was sealed"}},
	/* and a leaf that fits too */
	{"UPDATE consent_detail SET payload = replace(payload, 'allowed', 'denied') "
	 "WHERE seq = 3;"
	 "UPDATE consent c SET commitment = sha256(d.salt || convert_to(d.payload, 'UTF8')) "
	 "FROM consent_detail d WHERE d.seq = c.seq AND c.seq = 3;"
	 "UPDATE consent_seal s SET leaves = ARRAY[consent_leaf(c.seq, c.id, c.at, "
	 "c.commitment), s.leaves[2]] FROM consent c WHERE c.seq = 3 AND s.number = 2",
		{"seal 2: its hash is of something else"}},
	/* and the seal's own hash: then the next one shows it */
	{"UPDATE consent_detail SET payload = replace(payload, 'allowed', 'denied') "
	 "WHERE seq = 3;"
	 "UPDATE consent c SET commitment = sha256(d.salt || convert_to(d.payload, 'UTF8')) "
	 "FROM consent_detail d WHERE d.seq = c.seq AND c.seq = 3;"
	 "UPDATE consent_seal s SET leaves = ARRAY[consent_leaf(c.seq, c.id, c.at, "
	 "c.commitment), s.leaves[2]] FROM consent c WHERE c.seq = 3 AND s.number = 2;"
	 "UPDATE consent_seal s SET hash = consent_seal_hash((SELECT hash FROM consent_seal "
	 "WHERE number = 1), 2, s.sealed_at, s.leaves) WHERE number = 2",
		{"seal 3: its hash is of something else"}},
	{"UPDATE consent SET at = at - interval '1 hour' WHERE seq = 4",
		{"entry 4 (", "is not what was sealed"}},
	{"DELETE FROM consent WHERE seq = 5",
		{"entry 5: was sealed and is not there any more"}},
	{"DELETE FROM consent WHERE seq = 5; DELETE FROM consent_detail WHERE seq = 5;"
	 "UPDATE consent_seal SET entries = entries[2:], leaves = leaves[2:] "
	 "WHERE number = 3",
		{"seal 3: its hash is of something else"}},
	{"DELETE FROM consent_detail WHERE seq = 6",
		{"entry 6: what it says was removed, and by no erasure"}},
	{"DELETE FROM consent_seal WHERE number = 4",
		{"seal 4: is not there any more", "entry 7 (", "is in no seal"}},
	{"UPDATE consent_seal SET entries = ARRAY[entries[2], entries[1]], "
	 "leaves = ARRAY[leaves[2], leaves[1]] WHERE number = 2",
		{"seal 2: its hash is of something else"}},
	{"UPDATE consent_seal SET entries = ARRAY[entries[2], entries[1]] WHERE number = 2",
		{"entry 4 (", "is not what was sealed"}},
	/* two entries change places with all they say */
	{"CREATE TEMP TABLE two AS SELECT tenant_id, 7 - seq AS seq, id, commitment, at "
	 "FROM consent WHERE seq IN (3, 4); DELETE FROM consent WHERE seq IN (3, 4);"
	 "INSERT INTO consent OVERRIDING SYSTEM VALUE TABLE two; DROP TABLE two;"
	 "UPDATE consent_detail SET seq = -seq WHERE seq IN (3, 4);"
	 "UPDATE consent_detail SET seq = 7 + seq WHERE seq IN (-3, -4)",
		{"entry 3 (", "entry 4 (", "is not what was sealed"}},
	/* put in long after */
	{"INSERT INTO consent OVERRIDING SYSTEM VALUE VALUES (1, 100, gen_random_uuid(), sha256('x'), "
	 "now() - interval '1 hour')",
		{"entry 100 (", "is in no seal and waits for none"}},
	{"INSERT INTO consent OVERRIDING SYSTEM VALUE VALUES (1, 100, gen_random_uuid(), sha256('x'), "
	 "now() - interval '1 hour'); INSERT INTO consent_unsealed VALUES (1, 100)",
		{"entry 100 (", "is in no seal though it is old"}},
	{"INSERT INTO consent OVERRIDING SYSTEM VALUE VALUES (1, 100, gen_random_uuid(), "
	 "sha256('x'), now() - interval '1 hour');"
	 "INSERT INTO consent_unsealed VALUES (1, 100); SELECT consent_seal_due(10)",
		{"entry 100 (", "put in later"}},
	{"INSERT INTO consent OVERRIDING SYSTEM VALUE VALUES (1, 100, gen_random_uuid(), sha256('x'), now());"
	 "UPDATE consent_seal SET entries = entries || 100::bigint, "
	 "leaves = leaves || sha256('x') WHERE number = 5",
		{"seal 5: its hash is of something else", "entry 100 ("}},
	/* filed under somebody else */
	{"UPDATE consent_detail SET contact_id = '01900000-0000-7000-8000-000000000001' "
	 "WHERE seq = 9",
		{"entry 9 (", "filed under another"}},
	{"UPDATE consent_detail a SET payload = b.payload, salt = b.salt "
	 "FROM consent_detail b WHERE a.seq = 9 AND b.seq = 7",
		{"entry 9 (", "what it says was changed"}},
	/* what stands */
	{"UPDATE wish SET own = 'allowed' WHERE contact_id = "
	 "'01900000-0000-7000-8000-000000000002'",
		{"contact 01900000-0000-7000-8000-000000000002, sms marketing",
			"not what its entry in the ledger says"}},
};

/* As a superuser who has switched the triggers off. */
static void
test_tampering_is_found(void)
{
	static struct found f;
	struct consent_head head = check(&f, NULL).head;

	store_env_exec(&env, "CREATE SCHEMA kept;"
			     "CREATE TABLE kept.consent AS TABLE consent;"
			     "CREATE TABLE kept.consent_detail AS TABLE consent_detail;"
			     "CREATE TABLE kept.consent_seal AS TABLE consent_seal;"
			     "CREATE TABLE kept.wish AS TABLE wish;"
			     "SET session_replication_role = replica");
	for (size_t i = 0; i < ARRAY_LEN(tamperings); i++) {
		const struct tampering *t = &tamperings[i];
		store_env_exec(&env, t->done);
		check(&f, &head);
		for (size_t k = 0; k < ARRAY_LEN(t->found) && t->found[k]; k++)
			if (!strstr(f.text, t->found[k]))
				test_fail(__FILE__, __LINE__,
					"after %s:\nnot told: %s\nbut: %s", t->done,
					t->found[k], f.text);
		store_env_exec(&env,
			"DELETE FROM consent; DELETE FROM consent_detail;"
			"DELETE FROM consent_unsealed;"
			"DELETE FROM consent_seal; DELETE FROM wish;"
			"INSERT INTO consent OVERRIDING SYSTEM VALUE TABLE kept.consent;"
			"INSERT INTO consent_detail TABLE kept.consent_detail;"
			"INSERT INTO consent_seal TABLE kept.consent_seal;"
			"INSERT INTO wish TABLE kept.wish");
		if (check(&f, &head).findings)
			test_fail(__FILE__, __LINE__, "not put back: %s", f.text);
	}
	store_env_exec(&env, "SET session_replication_role = origin");
}

static void
test_a_noted_head_shows_what_was_cut_off(void)
{
	struct found f;
	struct consent_head head = check(&f, NULL).head;

	store_env_exec(&env, "SET session_replication_role = replica;"
			     "DELETE FROM consent_seal WHERE number = 5;"
			     "DELETE FROM consent WHERE seq > 8;"
			     "DELETE FROM consent_detail WHERE seq > 8;"
			     "DELETE FROM wish WHERE own_seq > 8;"
			     "SET session_replication_role = origin");
	CHECK_INT(check(&f, NULL).findings, 0);
	CHECK_INT(check(&f, &head).findings, 1);
	CHECK(strstr(f.text, "seal 5: was noted and is not there any more"));
	head.number = 4;
	CHECK_INT(check(&f, &head).findings, 1);
	CHECK(strstr(f.text, "seal 4: is not the one whose hash was noted"));
}

static void
test_what_was_erased_is_told_as_such(void)
{
	struct found f;

	store_env_exec(&env, "SELECT wishes_erase(1, 'key:crm', 'admin', "
			     "ARRAY['01900000-0000-7000-8000-000000000001']::uuid[], "
			     "'{}', '{}', false);"
			     "SELECT consent_seal_due(10)");
	struct consent_verified v = check(&f, NULL);
	CHECK_STR(f.text, "");
	CHECK_INT(v.erased, 2);
	CHECK_INT(v.entries, 9);
	CHECK_STR(store_env_value(&env, "SELECT count(*) FROM consent_detail WHERE "
					"contact_id = "
					"'01900000-0000-7000-8000-000000000001'"),
		"0");
}

static void
test_the_keeper_seals_within_a_second(void)
{
	struct wishes_keeper *k = wishes_keeper_new(&env.store);
	int64_t until = clock_mono_us() + 20000000;

	store_env_exec(
		&env, "SELECT consent_append(1, 'a', '', NULL, uuid_now(), '{}')");
	while (str_eq(store_env_value(&env, "SELECT count(*) FROM consent_unsealed"),
		       "1") &&
		clock_mono_us() < until)
		loop_run_once(env.loop, 20);
	CHECK_STR(store_env_value(&env, "SELECT count(*) FROM consent_unsealed"), "0");
	/* what came last is sealed at the end */
	store_env_exec(
		&env, "SELECT consent_append(1, 'a', '', NULL, uuid_now(), '{}')");
	wishes_keeper_free(&k);
	CHECK_STR(store_env_value(&env, "SELECT count(*) FROM consent_unsealed"), "0");
	struct found f;
	CHECK_INT(check(&f, NULL).findings, 0);
	CHECK_STR(f.text, "");
}

int
main(void)
{
	if (!store_env_available())
		return 0;
	store_env_start(&env, "test_consent_verify");
	make_ledger();
	TEST(test_an_honest_ledger_is_all_right);
	TEST(test_tampering_is_found);
	TEST(test_a_noted_head_shows_what_was_cut_off);
	TEST(test_what_was_erased_is_told_as_such);
	TEST(test_the_keeper_seals_within_a_second);
	store_env_stop(&env);
	return test_done();
}
