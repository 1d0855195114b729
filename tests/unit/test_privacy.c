/* test_privacy.c - words by which traces are recognised, and the key of the hashes. */
#include <lib/test.h>

#include <mem.h>
#include <people/erasure_key.h>
#include <str.h>
#include <timeline/privacy.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void
test_words_mean_somebody(void)
{
	static const struct {
		const char *kind, *value, *word, *tail; /* NULL: none */
	} cases[] = {
		{"phone", "+886912345678", "+886912345678", "12345678"},
		{"phone", "12345678", "12345678", "12345678"},
		{"phone", "119", NULL, NULL},
		{"phone", "+1 (415) 555-2671", "+1 (415) 555-2671", "55552671"},
		{"email", "a@example.com", "a@example.com", "a@example.com"},
		{"email", "a@b", NULL, NULL},
		{"external", "crm:42", "crm:42", "crm:42"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct address a = {.normal = true};
		struct privacy_subject s = {.addresses = &a, .n_addresses = 1};
		str_copy(a.kind, sizeof(a.kind), cases[i].kind);
		str_copy(a.value, sizeof(a.value), cases[i].value);
		for (int tails = 0; tails < 2; tails++) {
			const char *want = tails ? cases[i].tail : cases[i].word;
			size_t n;
			char **words = privacy_words(&s, tails, &n);
			CHECK_INT((int64_t)n, want != NULL);
			if (n && want)
				CHECK_STR(words[0], want);
			privacy_words_free(words, n);
		}
	}
}

static void
test_ids_are_words(void)
{
	struct uuid ids[2];
	struct privacy_subject s = {.ids = ids, .n_ids = 2};
	size_t n;
	CHECK(uuid_parse("01890000-0000-7000-8000-000000000001", &ids[0]));
	CHECK(uuid_parse("01890000-0000-7000-8000-000000000002", &ids[1]));
	char **words = privacy_words(&s, true, &n);
	CHECK_INT((int64_t)n, 2);
	CHECK_STR(words[1], "01890000-0000-7000-8000-000000000002");
	privacy_words_free(words, n);
	CHECK(privacy_has_id(&s, &ids[1]));
	struct uuid nil = {{0}};
	CHECK(!privacy_has_id(&s, &nil));
	CHECK(!privacy_has_address(&s, "phone", "+886912345678"));
}

/* RFC 4231 knows no key of 32 bytes; the pads are RFC 2104's by hand. */
static void
test_the_options_are_both_padded_keys(void)
{
	char options[ERASURE_OPTIONS_LEN], want[ERASURE_OPTIONS_LEN], key[65];
	struct err err;
	memset(key, '0', 64);
	key[64] = '\0';
	CHECK_INT(erasure_key_options(key, "/nonexistent", options, &err), 0);
	char *at = want + sprintf(want, "-c interactd.erasure_key=");
	for (int i = 0; i < 64; i++)
		at += sprintf(at, "36");
	*at++ = '.';
	for (int i = 0; i < 64; i++)
		at += sprintf(at, "5c");
	CHECK_STR(options, want);
}

static void
test_keys_are_checked(void)
{
	static const char *const bad[] = {"0", "zz",
		"000000000000000000000000000000000000000000000000000000000000000g",
		"00000000000000000000000000000000000000000000000000000000000000000"};
	struct err err;
	CHECK_INT(erasure_key_check(NULL, &err), 0);
	CHECK_INT(erasure_key_check("", &err), 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		CHECK_INT(erasure_key_check(bad[i], &err), -1);
		CHECK(strstr(err.text, "64 hexadecimal digits"));
	}
}

static void
test_a_key_is_made_once_and_kept(void)
{
	char dir[] = "/tmp/interactd-key.XXXXXX", path[100];
	char one[ERASURE_OPTIONS_LEN], two[ERASURE_OPTIONS_LEN];
	struct err err;
	struct stat st;
	CHECK(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/erasure.key", dir);
	CHECK_INT(erasure_key_options(NULL, dir, one, &err), 0);
	CHECK_INT(erasure_key_options("", dir, two, &err), 0);
	CHECK_STR(one, two);
	CHECK_INT(stat(path, &st), 0);
	CHECK_INT(st.st_mode & 0777, 0600);
	CHECK_INT(st.st_size, 65);
	/* Damaged: the start says so, and nothing is made in its place. */
	FILE *f = fopen(path, "w");
	fputs("half a key\n", f);
	fclose(f);
	CHECK_INT(erasure_key_options(NULL, dir, one, &err), -1);
	CHECK(strstr(err.text, "is damaged") && strstr(err.text, "backup"));
	CHECK_INT(stat(path, &st), 0);
	CHECK_INT(st.st_size, 11);
	unlink(path);
	rmdir(dir);
	CHECK_INT(erasure_key_options(NULL, dir, one, &err), -1);
}

int
main(void)
{
	TEST(test_words_mean_somebody);
	TEST(test_ids_are_words);
	TEST(test_the_options_are_both_padded_keys);
	TEST(test_keys_are_checked);
	TEST(test_a_key_is_made_once_and_kept);
	return test_done();
}
