/* test_settings.c - the rows, conf/interactd.conf and interactd.conf(5) say the same, and
 * what the rows cannot say is checked. Run from the top of the source tree. */
#include <base/settings.h>
#include <buf.h>
#include <channel.h>
#include <lib/test.h>
#include <mem.h>
#include <str.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *
read_file(const char *path)
{
	struct buf b = BUF_INIT;
	char block[4096];
	size_t n;
	FILE *f = fopen(path, "r");
	if (!f)
		return NULL;
	while ((n = fread(block, 1, sizeof(block), f)) > 0)
		buf_add(&b, block, n);
	fclose(f);
	return buf_steal(&b);
}

/* "key =" at the start of a line, commented out or not. */
static bool
sample_has(const char *text, const char *key)
{
	size_t n = strlen(key);
	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		const char *at = line + (*line == '#');
		if (strncmp(at, key, n) == 0 && strncmp(at + n, " =", 2) == 0)
			return true;
	}
	return false;
}

static void
check_keys(const char *section, const struct conf_key *keys, const char *sample,
	const char *manual)
{
	char item[200];
	for (; keys->name; keys++) {
		snprintf(item, sizeof(item), ".It Cm %s No", keys->name);
		if (!sample_has(sample, keys->name))
			test_fail(__FILE__, __LINE__,
				"[%s] %s is missing in conf/interactd.conf", section,
				keys->name);
		if (!strstr(manual, item))
			test_fail(__FILE__, __LINE__,
				"[%s] %s is missing in conf/interactd.conf.5", section,
				keys->name);
		if (!keys->help || strlen(keys->help) < 5)
			test_fail(__FILE__, __LINE__, "[%s] %s has no help", section,
				keys->name);
	}
}

static void
every_key_is_in_sample_and_manual(void)
{
	char *sample = read_file("conf/interactd.conf");
	char *manual = read_file("conf/interactd.conf.5");
	CHECK(sample && manual);
	if (!sample || !manual)
		return;
	for (size_t i = 0; i < settings_n_sections; i++)
		check_keys(settings_sections[i].name, settings_sections[i].keys, sample,
			manual);
	for (const struct channel_ops *const *ops = channel_drivers; *ops; ops++)
		check_keys((*ops)->driver, (*ops)->keys, sample, manual);
	xfree(&sample);
	xfree(&manual);
}

static void
the_sample_is_valid(void)
{
	struct err err = {0};
	struct conf *conf = settings_load("conf/interactd.conf", &err);
	CHECK_STR(err.text, "");
	CHECK(conf != NULL);
	conf_free(&conf);
}

#define CHANNEL                                                                        \
	"driver = asterisk\naddress = 127.0.0.1\nusername = u\nsecret = s\n"           \
	"trunks = ^PJSIP/trunk\n"
#define HEAD "[postgresql]\nconninfo = x\n"

static const struct {
	const char *text, *message; /* after "FILE" */
} bad[] = {
	{HEAD "[channel pbx 1]\n" CHANNEL, "[channel pbx 1]"},
	{HEAD "[channel p]\n" CHANNEL "tenant = nobody\n",
		"there is no [tenant nobody]"},
	{HEAD "[channel p]\ndriver = asterix\n", "no such driver; allowed: asterisk"},
	{HEAD "[channel p]\n" CHANNEL "reconnect_min_ms = 60s\n", "reconnect_min_ms"},
	{HEAD "[channel p]\n" CHANNEL "agents = ^PJSIP/1001$\n", "needs a group"},
	{HEAD "[http]\ntls_cert = a\n", "give both or neither"},
	{"[daemon]\n", "conninfo"},
};

static void
what_rows_cannot_say_is_checked(void)
{
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		char path[] = "/tmp/test-settings-XXXXXX";
		struct err err = {0};
		int fd = mkstemp(path);
		size_t len = strlen(bad[i].text);
		CHECK(write(fd, bad[i].text, len) == (ssize_t)len);
		close(fd);
		struct conf *conf = settings_load(path, &err);
		if (conf || !strstr(err.text, bad[i].message) ||
			!str_starts(err.text, path))
			test_fail(__FILE__, __LINE__, "case %zu: \"%s\"", i, err.text);
		conf_free(&conf);
		unlink(path);
	}
}

int
main(void)
{
	TEST(every_key_is_in_sample_and_manual);
	TEST(the_sample_is_valid);
	TEST(what_rows_cannot_say_is_checked);
	return test_done();
}
