/* Suppressed addresses: the lines of a list, however they are cut, and what is stored of
 * them (needs tests/lib/with-servers). */
#include <people/suppression.h>
#include <people/suppression_import.h>

#include <io/loop.h>
#include <lib/store_env.h>
#include <lib/test.h>
#include <mem.h>
#include <people/wishes_keeper.h>
#include <str.h>

#include <clock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct store_env env;
static struct store_got got;
static struct actor staff = {.name = "key:crm", .role = "admin"};

/* ---- Lines ------------------------------------------------------------------------ */

static const struct lines {
	const char *kind, *region, *text;
	const char *values; /* with blanks between */
	const char *wrong;  /* "line: why;" of each */
} cases[] = {
	{"phone", "TW", "0912345678\n+886 912-345-679\n", "+886912345678 +886912345679",
		""},
	{"phone", "TW", "0912345678", "+886912345678", ""},
	{"phone", "TW",
		"\xef\xbb\xbf"
		"0912345678\r\n",
		"+886912345678", ""},
	{"phone", "TW", "number;since\n\"0912 345 678\";2020\n", "+886912345678", ""},
	{"phone", "TW", "# a comment\n\n  \n0912345678,x,y\n", "+886912345678", ""},
	{"phone", "TW",
		"\xef\xbc\x90\xef\xbc\x99"
		"12345678\n",
		"+886912345678", ""},
	{"phone", "TW", "number\nnumber\n", "",
		"2: is no valid number in this region;"},
	{"phone", "", "0912345678\n+8613800138000\n", "+8613800138000",
		"1: is no valid number (give a region for those without a country);"},
	{"phone", "TW", "12\nanonymous\n", "",
		"1: is no valid number in this region;2: is no valid number in this "
		"region;"},
	{"phone", "TW", "\xff\xfe\n0912345678\n", "+886912345678",
		"1: is no valid UTF-8;"},
	{"email", "TW", "email\nA@EXAMPLE.com\nno-address\n", "A@example.com",
		"3: is no valid address;"},
	{"phone", "TW", "", "", ""},
};

static void
take(struct suppression_reader *r, struct buf *out)
{
	while (!suppression_reader_is_empty(r)) {
		struct suppression_rows rows = {BUF_INIT, 0};
		suppression_reader_next(r, &rows, 2);
		const char *at = rows.values.data;
		for (size_t i = 0; i < rows.n; i++, at += strlen(at) + 1)
			buf_printf(out, "%s%s", out->len ? " " : "", at);
		suppression_rows_fini(&rows);
	}
}

static void
read_case(const struct lines *c, size_t step)
{
	struct suppression_reader *r = suppression_reader_new(c->kind, c->region);
	struct buf values = BUF_INIT, wrong = BUF_INIT;
	size_t size = strlen(c->text);

	for (size_t at = 0; at < size; at += step) {
		suppression_reader_feed(
			r, c->text + at, size - at < step ? size - at : step, false);
		take(r, &values);
	}
	suppression_reader_feed(r, "", 0, true);
	take(r, &values);
	for (size_t i = 0; i < r->n_rejected; i++)
		buf_printf(&wrong, "%u: %s;", (unsigned)r->rejected[i].line,
			r->rejected[i].why);
	CHECK_STR(buf_str(&values), c->values);
	CHECK_STR(buf_str(&wrong), c->wrong);
	buf_fini(&values);
	buf_fini(&wrong);
	suppression_reader_free(&r);
}

static void
test_lines_are_read_however_they_are_cut(void)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		read_case(&cases[i], 1);
		read_case(&cases[i], 3);
		read_case(&cases[i], 10000);
	}
}

static void
test_a_long_line_is_one_wrong_line(void)
{
	struct suppression_reader *r = suppression_reader_new("phone", "TW");
	struct buf values = BUF_INIT;

	for (int i = 0; i < 100; i++) {
		char piece[500];
		memset(piece, '1', sizeof(piece));
		suppression_reader_feed(r, piece, sizeof(piece), false);
		take(r, &values);
		CHECK(r->text.len < 2000);
	}
	suppression_reader_feed(r, "\n0912345678\n", 12, true);
	take(r, &values);
	CHECK_STR(buf_str(&values), "+886912345678");
	CHECK_INT(r->n_rejected, 1);
	CHECK_INT(r->rejected[0].line, 1);
	buf_fini(&values);
	suppression_reader_free(&r);
}

/* ---- Single ones ------------------------------------------------------------------ */

static enum store_status
add(const char *json)
{
	json_t *body = json_loads(json, 0, NULL);

	suppression_add(&env.store, &staff, body, NULL, store_got_answer, &got);
	json_decref(body);
	return store_env_answer(&env, &got);
}

static struct address
number(const char *text)
{
	struct address a;

	CHECK(address_make("phone", text, "TW", &a));
	return a;
}

static enum store_status
find(const char *text, const char *list)
{
	struct address a;
	struct suppression_filter f = {.list = list};

	if (text) {
		a = number(text);
		f.address = &a;
	}
	suppression_list(
		&env.store, staff.tenant, &f, 50, NULL, store_got_answer, &got);
	return store_env_answer(&env, &got);
}

static enum store_status
drop(const char *text, const char *reason, const char *list)
{
	struct address a;
	struct suppression_filter f = {.reason = reason, .list = list};

	if (text) {
		a = number(text);
		f.address = &a;
	}
	suppression_remove(&env.store, &staff, &f, store_got_answer, &got);
	return store_env_answer(&env, &got);
}

static void
test_one_address(void)
{
	CHECK_INT(
		add("{\"kind\":\"phone\",\"value\":\"0912000001\",\"reason\":\"bounced\"}"),
		STORE_CREATED);
	CHECK(strstr(got.json, "+886912000001") && strstr(got.json, "key:crm"));
	CHECK_INT(
		add("{\"kind\":\"phone\",\"value\":\"0912000001\",\"reason\":\"bounced\"}"),
		STORE_OK);
	CHECK_INT(add("{\"kind\":\"phone\",\"value\":\"0912000001\"}"), STORE_CREATED);
	CHECK_INT(find("+886912000001", NULL), STORE_OK);
	CHECK(strstr(got.json, "bounced") && strstr(got.json, "manual"));
	staff.tenant = &env.tenants[1];
	find("+886912000001", NULL);
	CHECK_STR(got.json, "{\"items\":[],\"next\":null}");
	CHECK_INT(drop("+886912000001", NULL, NULL), STORE_NOT_FOUND);
	staff.tenant = &env.tenants[0];
	CHECK_INT(drop("0912000001", "bounced", NULL), STORE_OK);
	CHECK_STR(store_env_value(&env,
			  "SELECT suppression_reasons(1, 'phone', '+886912000001')"),
		"{manual}");
	CHECK_INT(drop("0912000001", NULL, NULL), STORE_OK);
	CHECK_INT(drop("0912000001", NULL, NULL), STORE_NOT_FOUND);
	/* no value in the audit */
	CHECK_STR(
		store_env_value(&env, "SELECT count(*) FROM audit WHERE object_id LIKE "
				      "'%912000001%'"),
		"0");
}

static void
test_bad_ones_are_refused(void)
{
	static const char *const bad[][2] = {
		{"{\"kind\":\"phone\"}", "value: "},
		{"{\"kind\":\"Phone\",\"value\":\"0912000001\"}", "value: "},
		{"{\"kind\":\"phone\",\"value\":\"0912000001\",\"reason\":\"erased\"}",
			"reason: "},
		{"{\"kind\":\"phone\",\"value\":\"0912000001\",\"why\":\"x\"}",
			"why: "},
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (add(bad[i][0]) != STORE_INVALID || !strstr(got.detail, bad[i][1]))
			test_fail(__FILE__, __LINE__, "%s: %s", bad[i][0], got.detail);
}

static void
test_pages_come_in_order(void)
{
	struct suppression_filter f = {0};
	char cursor[2000] = "";
	int n = 0;

	store_env_exec(&env, "INSERT INTO suppression (tenant_id, kind, value, reason) "
			     "SELECT 1, 'phone', '+88691300' || n, 'manual' "
			     "FROM generate_series(1000, 1009) n");
	for (;;) {
		suppression_list(&env.store, staff.tenant, &f, 3,
			cursor[0] ? cursor : NULL, store_got_answer, &got);
		CHECK_INT(store_env_answer(&env, &got), STORE_OK);
		json_t *o = json_loads(got.json, 0, NULL);
		json_t *items = json_object_get(o, "items");
		for (size_t i = 0; i < json_array_size(items); i++) {
			char want[32];
			snprintf(want, sizeof(want), "+88691300%d", 1000 + n++);
			CHECK_STR(json_string_value(json_object_get(
					  json_object_get(
						  json_array_get(items, i), "identity"),
					  "value")),
				want);
		}
		const char *next = json_string_value(json_object_get(o, "next"));
		str_copy(cursor, sizeof(cursor), next ? next : "");
		json_decref(o);
		if (!cursor[0])
			break;
	}
	CHECK_INT(n, 10);
	suppression_list(&env.store, staff.tenant, &f, 3, "zz", store_got_answer, &got);
	CHECK_INT(store_env_answer(&env, &got), STORE_INVALID);
	suppression_list(&env.store, staff.tenant, &f, 3, "ab", store_got_answer, &got);
	CHECK_INT(store_env_answer(&env, &got), STORE_INVALID);
	store_env_exec(&env, "DELETE FROM suppression");
}

/* ---- Lists ------------------------------------------------------------------------ */

struct imported {
	int n, rooms;
	struct suppression_import_result result;
	char detail[200];
};

static void
on_room(void *arg)
{
	struct imported *i = arg;

	i->rooms++;
}

static void
on_done(void *arg, const struct suppression_import_result *r)
{
	struct imported *i = arg;

	i->n++;
	i->result = *r;
	str_copy(i->detail, sizeof(i->detail), r->detail);
}

static struct suppression_import *
begin(struct imported *i, bool replace)
{
	static const struct suppression_import_callbacks cb = {on_room, on_done};
	struct suppression_import_opts o = {.list = "dnc",
		.kind = "phone",
		.region = "TW",
		.source = "file",
		.replace = replace};

	memset(i, 0, sizeof(*i));
	return suppression_import_begin(&env.store, &staff, &o, &cb, i);
}

static struct imported
import(const char *text, bool replace)
{
	struct imported i;
	struct suppression_import *im = begin(&i, replace);

	CHECK(suppression_import_feed(im, text, strlen(text)));
	suppression_import_end(im);
	CHECK_INT(i.n, 0);
	CHECK(store_env_wait(&env, &i.n, 1));
	suppression_import_free(&im);
	return i;
}

static const char *
listed(void)
{
	return store_env_value(&env,
		"SELECT coalesce(string_agg(value, ' ' ORDER BY value), '') FROM "
		"suppression_list l JOIN suppression_listed s ON s.list_id = l.id "
		"AND s.generation = l.generation WHERE l.name = 'dnc'");
}

static void
test_a_list_is_replaced_as_a_whole(void)
{
	struct imported i = import("0912000001\n0912000002\n0912000001\nx\n", false);

	CHECK_INT(i.result.status, 200);
	CHECK_INT(i.result.valid, 3);
	CHECK_INT(i.result.added, 2);
	CHECK_INT(i.result.rejected, 1);
	CHECK_STR(listed(), "+886912000001 +886912000002");
	i = import("0912000003\n0912000002\n", true);
	CHECK_INT(i.result.status, 200);
	CHECK_INT(i.result.added, 2);
	CHECK_STR(listed(), "+886912000002 +886912000003");
	CHECK_STR(store_env_value(&env,
			  "SELECT suppression_reasons(1, 'phone', '+886912000001')"),
		"{}");
	CHECK_STR(store_env_value(&env,
			  "SELECT suppression_reasons(1, 'phone', '+886912000003')"),
		"{do_not_call}");
	CHECK_INT(import("0912000004\n", false).result.added, 1);
	CHECK_STR(listed(), "+886912000002 +886912000003 +886912000004");
	suppression_lists(&env.store, staff.tenant, store_got_answer, &got);
	CHECK_INT(store_env_answer(&env, &got), STORE_OK);
	CHECK(strstr(got.json, "\"rows\" : 3"));
	CHECK_INT(find(NULL, "dnc"), STORE_OK);
	CHECK(strstr(got.json, "+886912000004") && strstr(got.json, "do_not_call"));
	CHECK_INT(drop("0912000004", NULL, NULL), STORE_OK);
	CHECK_STR(listed(), "+886912000002 +886912000003");
}

static void
test_a_bad_file_frees_nobody(void)
{
	struct imported i = import("", true);

	CHECK_INT(i.result.status, 422);
	CHECK(strstr(i.detail, "stays as it was"));
	i = import("number\n0912000001\nx\n", true);
	CHECK_INT(i.result.status, 422);
	CHECK(strstr(i.detail, "one line in ten"));
	CHECK_STR(listed(), "+886912000002 +886912000003");
}

static void
test_a_broken_transfer_changes_nothing(void)
{
	struct imported i;
	struct suppression_import *im = begin(&i, true);
	static char line[] = "0912000009\n";

	CHECK(suppression_import_feed(im, line, strlen(line)));
	int64_t until = clock_mono_us() + 20000000;
	while (!strstr(store_env_value(&env, "SELECT count(*) FROM suppression_listed "
					     "WHERE value = '+886912000009'"),
		       "1") &&
		clock_mono_us() < until)
		loop_run_once(env.loop, 20);
	/* meanwhile another of the same name has to wait */
	CHECK_INT(import("0912000008\n", true).result.status, 409);
	suppression_import_free(&im);
	CHECK_STR(listed(), "+886912000002 +886912000003");
	struct imported next = import("0912000008\n", true);
	while (next.result.status == 409 && clock_mono_us() < until)
		next = import("0912000008\n", true);
	CHECK_INT(next.result.status, 200);
	CHECK_STR(listed(), "+886912000008");
}

static void
test_what_no_list_has_any_more_is_swept(void)
{
	CHECK(atoi(store_env_value(&env, "SELECT count(*) FROM suppression_listed")) >
		1);
	while (atoi(store_env_value(&env, "SELECT suppression_sweep(2)")) > 0)
		;
	CHECK_STR(listed(), "+886912000008");
	CHECK_STR(
		store_env_value(&env, "SELECT count(*) FROM suppression_listed"), "1");
	CHECK_INT(drop(NULL, NULL, "dnc"), STORE_OK);
	CHECK_INT(drop(NULL, NULL, "dnc"), STORE_NOT_FOUND);
	CHECK_STR(store_env_value(&env, "SELECT suppression_sweep(10)"), "1");
}

static void
test_a_long_list_gives_its_sender_pauses(void)
{
	struct imported i;
	struct suppression_import *im = begin(&i, true);
	char line[256];
	int n = 5000; /* 1 MB */

	for (int k = 0; k < n; k++) {
		int rooms = i.rooms;
		snprintf(line, sizeof(line), "09%08d,%200s\n", 10000000 + k, "");
		if (!suppression_import_feed(im, line, strlen(line)))
			CHECK(store_env_wait(&env, &i.rooms, rooms + 1));
	}
	suppression_import_end(im);
	CHECK(store_env_wait(&env, &i.n, 1));
	CHECK_INT(i.result.status, 200);
	CHECK_INT(i.result.added, n);
	CHECK(i.rooms > 0);
	suppression_import_free(&im);
}

int
main(void)
{
	TEST(test_lines_are_read_however_they_are_cut);
	TEST(test_a_long_line_is_one_wrong_line);
	if (!store_env_available())
		return test_done();
	store_env_start(&env, "test_suppression");
	staff.tenant = &env.tenants[0];
	TEST(test_one_address);
	TEST(test_bad_ones_are_refused);
	TEST(test_pages_come_in_order);
	TEST(test_a_list_is_replaced_as_a_whole);
	TEST(test_a_bad_file_frees_nobody);
	TEST(test_a_broken_transfer_changes_nothing);
	TEST(test_what_no_list_has_any_more_is_swept);
	TEST(test_a_long_list_gives_its_sender_pauses);
	store_env_stop(&env);
	return test_done();
}
