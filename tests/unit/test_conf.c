/* test_conf.c - the configuration: what it accepts, and for each mistake the sentence a
 * person gets, with file and line. The rows resemble the daemon's own. */
#include <base/conf.h>

#include <buf.h>
#include <lib/test.h>
#include <mem.h>
#include <str.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct daemon_values {
	char *state_dir;
	int log_level;
	int64_t pop_timeout_ms, idle_s, keep, body_max, workers;
	bool banner;
};
struct redis_values {
	struct conf_list address;
	char *username, *password;
};
struct tenant_values {
	char *region;
};
struct channel_values {
	char *driver, *tenant;
};
struct phone_values {
	char *address;
	struct conf_regex trunks;
	char *agent_prefix;
};
struct mail_values {
	char *from;
};

static const char *const levels[] = {"error", "warning", "info", "debug", NULL};
#define AT(type, field) offsetof(struct type, field)
static const struct conf_key daemon_keys[] = {
	{"state_dir", CONF_STRING, AT(daemon_values, state_dir), "/var/lib/interactd",
		0, 0, 0, NULL, "Where the spool and attachments live."},
	{"log_level", CONF_CHOICE, AT(daemon_values, log_level), "info", 0, 0,
		CONF_RELOAD, levels, "How much is logged."},
	{"pop_timeout_ms", CONF_DURATION, AT(daemon_values, pop_timeout_ms), "250", 10,
		10000, CONF_RELOAD, NULL, "How long a pop waits for the database."},
	{"idle_s", CONF_DURATION, AT(daemon_values, idle_s), "60", 1000, 3600000, 0,
		NULL, "When an idle connection is closed."},
	{"keep", CONF_DURATION, AT(daemon_values, keep), "1d", 60000, 864000000, 0,
		NULL, "How long."},
	{"body_max", CONF_SIZE, AT(daemon_values, body_max), "1M", 1024, 1 << 30, 0,
		NULL, "Largest body."},
	{"workers", CONF_INT, AT(daemon_values, workers), "4", 1, 64, 0, NULL,
		"Threads."},
	{"banner", CONF_BOOL, AT(daemon_values, banner), "yes", 0, 0, 0, NULL,
		"Hello."},
	CONF_END,
};
static const struct conf_key redis_keys[] = {
	{"address", CONF_LIST, AT(redis_values, address), NULL, 1, 3, CONF_REQUIRED,
		NULL, "Where Redis is: unix:PATH or host:port, several allowed."},
	{"username", CONF_STRING, AT(redis_values, username), NULL, 0, 8, 0, NULL,
		"User."},
	{"password", CONF_STRING, AT(redis_values, password), NULL, 0, 0, CONF_SECRET,
		NULL, "Its password."},
	CONF_END,
};
static const struct conf_key tenant_keys[] = {
	{"region", CONF_STRING, AT(tenant_values, region), "US", 2, 2, CONF_RELOAD,
		NULL, "For numbers without a country."},
	CONF_END,
};
static const struct conf_key channel_keys[] = {
	{"driver", CONF_STRING, AT(channel_values, driver), NULL, 0, 0, CONF_REQUIRED,
		NULL, "What it talks to."},
	{"tenant", CONF_STRING, AT(channel_values, tenant), "default", 0, 0, 0, NULL,
		"Whose it is."},
	CONF_END,
};
static const struct conf_key phone_keys[] = {
	{"address", CONF_STRING, AT(phone_values, address), NULL, 0, 0, CONF_REQUIRED,
		NULL, "host:port of the manager."},
	{"trunks", CONF_REGEX, AT(phone_values, trunks), "^PJSIP/trunk", 0, 0, 0, NULL,
		"Endpoints that lead outside."},
	{"agent_prefix", CONF_STRING, AT(phone_values, agent_prefix), "", 0, 0, 0, NULL,
		"Put before ids."},
	CONF_END,
};
static const struct conf_key mail_keys[] = {
	{"from", CONF_STRING, AT(mail_values, from), NULL, 0, 0, 0, NULL, "Sender."},
	CONF_END,
};

static int
extend(const char *driver, const struct conf_key **keys_r, size_t *size_r,
	struct err *e)
{
	if (str_eq(driver, "asterisk")) {
		*keys_r = phone_keys;
		*size_r = sizeof(struct phone_values);
		return 0;
	}
	if (str_eq(driver, "email")) {
		*keys_r = mail_keys;
		*size_r = sizeof(struct mail_values);
		return 0;
	}
	return err_set(e, "no such driver (allowed: asterisk, email)");
}

static const struct conf_section_def defs[] = {
	{"daemon", false, sizeof(struct daemon_values), daemon_keys, NULL, NULL},
	{"redis", false, sizeof(struct redis_values), redis_keys, NULL, NULL},
	{"tenant", true, sizeof(struct tenant_values), tenant_keys, NULL, NULL},
	{"channel", true, sizeof(struct channel_values), channel_keys, "driver",
		extend},
};

#define REDIS "[redis]\naddress = x:1\n"
static char dir[] = "/tmp/test_conf.XXXXXX";

static struct conf *
parse(const char *text, struct err *e)
{
	e->text[0] = '\0';
	return conf_parse("x.conf", text, strlen(text), defs, ARRAY_LEN(defs), e);
}

static struct conf *
parse_good(const char *text)
{
	struct err e;
	struct conf *c = parse(text, &e);

	if (!c) {
		test_fail(__FILE__, __LINE__, "%s\nrefused: %s", text, e.text);
		abort();
	}
	return c;
}

/* Checks that text is refused with exactly this sentence. */
static void
check_bad(const char *text, const char *want)
{
	struct err e;
	struct conf *c = parse(text, &e);

	if (c)
		test_fail(__FILE__, __LINE__, "accepted: %s", text);
	CHECK_STR(e.text, want);
	conf_free(&c);
}

static void
write_file(const char *name, const char *text, size_t len)
{
	char path[200];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	FILE *f = fopen(path, "w");
	if (!f || fwrite(text, 1, len, f) != len || fclose(f) != 0)
		abort();
}

static struct conf *
load(const char *name, struct err *e)
{
	char path[200];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return conf_load(path, defs, ARRAY_LEN(defs), e);
}

static void
test_everything_that_is_allowed(void)
{
	struct conf *c = parse_good("\xef\xbb\xbf# comment\r\n; another\r\n"
				    "[daemon] # here too\r\n"
				    "  log_level = Debug\n"
				    "\tpop_timeout_ms=1s\n"
				    "idle_s = 5 # seconds\n"
				    "keep = 2h\n"
				    "body_max = 64k\n"
				    "workers = 64\n"
				    "banner = off\n"
				    "state_dir = \"/a b # c\" ; quoted\n"
				    "[redis]\n"
				    "address = unix:/run/r.sock, h:6379\t[::1]:1;x\n"
				    "password = a;b#c=d\"\n"
				    "[tenant acme]\n"
				    "[ channel\t pbx-main ]\n"
				    "trunks = ^PJSIP/(a|b){1,3}$\n"
				    "driver = asterisk\n"
				    "address = 127.0.0.1:5038");
	const struct daemon_values *d = conf_values(c, "daemon");
	const struct redis_values *r = conf_values(c, "redis");

	CHECK_INT(d->log_level, 3);
	CHECK_INT(d->pop_timeout_ms, 1000);
	CHECK_INT(d->idle_s, 5000);
	CHECK_INT(d->keep, 7200000);
	CHECK_INT(d->body_max, 65536);
	CHECK_INT(d->workers, 64);
	CHECK(!d->banner);
	CHECK_STR(d->state_dir, "/a b # c");
	CHECK_INT((int64_t)r->address.n, 3);
	CHECK_STR(r->address.items[0], "unix:/run/r.sock");
	CHECK_STR(r->address.items[1], "h:6379");
	CHECK_STR(r->address.items[2], "[::1]:1;x");
	CHECK_STR(r->password, "a;b#c=d\"");
	CHECK_STR(r->username, NULL);
	const struct conf_section *t = conf_nth(c, "tenant", 0);
	CHECK_STR(t->name, "acme");
	CHECK_INT(t->line, 15);
	CHECK_STR(((struct tenant_values *)t->values)->region, "US");
	CHECK(!conf_nth(c, "tenant", 1));
	const struct conf_section *ch = conf_nth(c, "channel", 0);
	const struct phone_values *p = ch->extension;
	CHECK_STR(ch->name, "pbx-main");
	CHECK_STR(ch->file, "x.conf");
	CHECK(ch->extension_keys == phone_keys);
	CHECK_STR(((struct channel_values *)ch->values)->tenant, "default");
	CHECK_STR(p->address, "127.0.0.1:5038");
	CHECK_STR(p->agent_prefix, "");
	CHECK_INT(regexec(&p->trunks.re, "PJSIP/ab", 0, NULL, 0), 0);
	conf_free(&c);
	CHECK(!c);
}

static void
test_defaults_without_a_section(void)
{
	struct conf *c = parse_good(REDIS);
	const struct daemon_values *d = conf_values(c, "daemon");

	CHECK_INT(d->pop_timeout_ms, 250);
	CHECK_INT(d->idle_s, 60000);
	CHECK_INT(d->keep, 86400000);
	CHECK_INT(d->body_max, 1 << 20);
	CHECK_INT(d->log_level, 2);
	CHECK(d->banner);
	CHECK_INT(conf_nth(c, "daemon", 0)->line, 0);
	CHECK_INT(conf_nth(c, "redis", 0)->line, 1);
	conf_free(&c);
}

/* inih cuts section names at 49 bytes; tenants may have 64. */
static void
test_long_section_name_is_kept_whole(void)
{
	char name[65], text[200];

	memset(name, 'n', 64);
	name[64] = '\0';
	snprintf(text, sizeof(text), REDIS "[tenant %s]\nregion = CN\n", name);
	struct conf *c = parse_good(text);
	CHECK_STR(conf_nth(c, "tenant", 0)->name, name);
	CHECK_STR(((struct tenant_values *)conf_nth(c, "tenant", 0)->values)->region,
		"CN");
	conf_free(&c);
}

static const struct {
	const char *text, *want;
} bad[] = {
	/* words */
	{"[redis]\n\nadress = x\n",
		"x.conf:3: [redis] adress: no such key; did you mean \"address\"? "
		"(allowed: address, username, password)"},
	{REDIS "zzz = 1", "x.conf:3: [redis] zzz: no such key (allowed: address, "
			  "username, password)"},
	{"[redsi]\n", "x.conf:1: [redsi]: no such section; did you mean \"redis\"? "
		      "(allowed: daemon, redis, tenant, channel)"},
	{"[channel a]\nport = 1\ndriver = asterisk\n",
		"x.conf:2: [channel a] port: no such key with driver = asterisk "
		"(allowed: driver, tenant, address, trunks, agent_prefix)"},
	{"[channel a]\nadress_file = 1\ndriver = asterisk\n",
		"x.conf:2: [channel a] adress_file: no such key with driver = "
		"asterisk; "
		"did you mean \"address\"? "
		"(allowed: driver, tenant, address, trunks, agent_prefix)"},
	/* values */
	{"[daemon]\npop_timeout_ms = 0\n",
		"x.conf:2: [daemon] pop_timeout_ms = 0: must be "
		"between 10 and 10000 (milliseconds)"},
	{"[daemon]\npop_timeout_ms = 11s\n",
		"x.conf:2: [daemon] pop_timeout_ms = 11s: must be "
		"between 10 and 10000 (milliseconds)"},
	{"[daemon]\nidle_s = 1x\n",
		"x.conf:2: [daemon] idle_s = 1x: must be between 1 and 3600 (seconds)"},
	{"[daemon]\nidle_s = 99999999999999999999999999\n",
		"x.conf:2: [daemon] idle_s = 99999999999999999999999999: must be "
		"between 1 "
		"and 3600 (seconds)"},
	{"[daemon]\nidle_s = 9223372036854775807d\n",
		"x.conf:2: [daemon] idle_s = 9223372036854775807d: must be between 1 "
		"and "
		"3600 (seconds)"},
	{"[daemon]\nkeep = 60000\n",
		"x.conf:2: [daemon] keep = 60000: must be between 1m "
		"and 10d (with ms, s, m, h or d)"},
	{"[daemon]\nbody_max = 2G\n",
		"x.conf:2: [daemon] body_max = 2G: must be between "
		"1k and 1G (bytes, or with k, M or G)"},
	{"[daemon]\nworkers = 1.5\n", "x.conf:2: [daemon] workers = 1.5: must be a "
				      "whole number between 1 and 64"},
	{"[daemon]\nworkers =\n", "x.conf:2: [daemon] workers = : must be a whole "
				  "number between 1 and 64"},
	{"[daemon]\nbanner = maybe\n",
		"x.conf:2: [daemon] banner = maybe: must be yes or "
		"no (or true, false, on, off, 1, 0)"},
	{"[daemon]\nlog_level = warn\n",
		"x.conf:2: [daemon] log_level = warn: no such choice; did you mean "
		"\"warning\"? (allowed: error, warning, info, debug)"},
	{"[channel a]\ndriver = asterisk\naddress = x\ntrunks = (a\n",
		"x.conf:4: [channel a] trunks = (a: must be a POSIX extended regular "
		"expression (Unmatched ( or \\()"},
	{"[channel a]\ndriver = asterisk\naddress = x\ntrunks =\n",
		"x.conf:4: [channel a] trunks = : is empty: give a regular expression, "
		"or "
		"remove the line"},
	{"[channel a]\ndriver = asterisk\naddress = x\ntrunks = ((a{99}){99}){99}\n",
		"x.conf:4: [channel a] trunks = ((a{99}){99}){99}: is too large a "
		"regular "
		"expression"},
	/* Each "+" doubles what regcomp builds: these ask for gigabytes. */
	{"[channel a]\ndriver = asterisk\naddress = x\ntrunks = "
	 "a++++++++++++++++++++++++\n",
		"x.conf:4: [channel a] trunks = a++++++++++++++++++++++++: is too "
		"large a "
		"regular expression"},
	{"[channel a]\ndriver = sip\n", "x.conf:2: [channel a] driver = sip: no such "
					"driver (allowed: asterisk, email)"},
	{REDIS "[tenant t]\nregion = CHN\n",
		"x.conf:4: [tenant t] region = CHN: must be text of 2 bytes"},
	{REDIS "username = 123456789\n", "x.conf:3: [redis] username = 123456789: must "
					 "be text of at most 8 bytes"},
	{"[redis]\naddress = a b, c d\n", "x.conf:2: [redis] address = a b, c d: must "
					  "be 1 to 3 words separated by "
					  "commas or blanks"},
	{"[redis]\naddress = ,\n",
		"x.conf:2: [redis] address = ,: must be 1 to 3 words "
		"separated by commas or blanks"},
	/* missing, twice */
	{"[daemon]\n", "x.conf:1: [redis] address: required, but missing"},
	{"\n\n[redis]\n", "x.conf:3: [redis] address: required, but missing"},
	{"[redis]\naddress =\n", "x.conf:2: [redis] address: required, but empty"},
	{"[channel a]\n", "x.conf:1: [channel a] driver: required, but missing"},
	{"[channel a]\ndriver = asterisk\n",
		"x.conf:1: [channel a] address: required, but missing"},
	{REDIS "address = y:1\n",
		"x.conf:3: [redis] address: given twice (first at x.conf:2)"},
	{REDIS "password = a\npassword_file = b\n",
		"x.conf:4: [redis] password: given twice (first at x.conf:3)"},
	{REDIS "[tenant  a]\n[tenant a ]\n",
		"x.conf:4: [tenant a]: given twice (first at x.conf:3)"},
	/* names of sections */
	{"[tenant "
	 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	 "aaaa\xe5\xae\xa2]\n",
		"x.conf:1: [tenant "
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		"aaaaaaaaaaaaaaaaaaaaaa]: a name has 1 to 64 characters of "
		"A-Z a-z 0-9 . _ -"},
	{"[tenant]\n", "x.conf:1: [tenant]: needs a name: [tenant NAME]"},
	{"[redis x]\n", "x.conf:1: [redis x]: this section takes no name: [redis]"},
	{"[tenant a b]\n", "x.conf:1: [tenant a b]: a name has 1 to 64 characters of "
			   "A-Z a-z 0-9 . _ -"},
	{"[ ]\n", "x.conf:1: []: the section's name is missing"},
	{"[redis\n", "x.conf:1: a section is written [name], alone on its line"},
	{"[redis] address = 1\n", "x.conf:1: a section is written [name], alone on its "
				  "line"},
	/* lines */
	{"\naddress = x\n", "x.conf:2: address: a key before the first [section]"},
	{"[redis]\nsecret-piece\n",
		"x.conf:2: expected \"key = value\", \"[section]\" or "
		"\"include = PATH\""},
	{"[redis]\naddress: x\n",
		"x.conf:2: expected \"key = value\", \"[section]\" or "
		"\"include = PATH\""},
	{"[redis]\n= x\n", "x.conf:2: the key before \"=\" is missing"},
	{"[redis]\naddress = \"x\n", "x.conf:2: address: the quote is not closed"},
	{"[redis]\naddress = \"x\"#\n",
		"x.conf:2: address: text after the closing quote"},
	{"[redis]\npassword = #x\n",
		"x.conf:2: password: a value that begins with \"#\" "
		"must be \"quoted\""},
	{"[redis]\naddress = a\x01\n", "x.conf:2: control character 0x01 in the line"},
	{"[redis]\naddress = \xc3\n", "x.conf:2: the line is not valid UTF-8"},
	/* An indented line is a line: inih would join it to the value before. */
	{REDIS "  more\n", "x.conf:3: expected \"key = value\", \"[section]\" or "
			   "\"include = PATH\""},
	/* files */
	{"include =\n", "x.conf:1: include: the path is missing"},
	{"include = /nonexistent/a\n", "x.conf:1: include = /nonexistent/a: cannot be "
				       "opened: No such file or directory"},
	{"include = /dev/zero\n",
		"x.conf:1: include = /dev/zero: is not a regular file"},
	{"[redis]\naddress_file = /nonexistent/a\n",
		"x.conf:2: [redis] address_file = /nonexistent/a: cannot be opened: No "
		"such "
		"file or directory"},
	{"[redis]\naddress_file = /\n",
		"x.conf:2: [redis] address_file = /: is not a regular file"},
};

static void
test_each_mistake_has_its_sentence(void)
{
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		check_bad(bad[i].text, bad[i].want);
}

static void
test_long_line_is_refused_not_cut(void)
{
	char text[5000] = "[redis]\naddress = ";
	size_t head = strlen(text), line = head - strlen("[redis]\n");

	memset(text + head, 'a', 4096 - line);
	text[head + 4096 - line] = '\0';
	struct conf *c = parse_good(text);
	CHECK_INT((int64_t)strlen(((struct redis_values *)conf_values(c, "redis"))
					  ->address.items[0]),
		(int64_t)(4096 - line));
	conf_free(&c);
	strcat(text, "a");
	check_bad(text,
		"x.conf:2: the line is longer than 4096 bytes (a long value can be "
		"put into a file: NAME_file = PATH)");
	memset(text, '#', 4990);
	text[4990] = '\0';
	strcat(text, "\n");
	check_bad(text, "x.conf:1: [redis] address: required, but missing");
}

static void
test_nul_is_refused(void)
{
	static const char text[] = "[redis]\naddress = a\0b\n";
	struct err e;

	CHECK(!conf_parse("x.conf", text, sizeof(text) - 1, defs, ARRAY_LEN(defs), &e));
	CHECK_STR(e.text, "x.conf:2: control character 0x00 in the line");
}

static void
test_secret_is_not_shown(void)
{
	static const struct conf_key keys[] = {
		{"pin", CONF_INT, 0, NULL, 0, 9, CONF_SECRET, NULL, "Secret."},
		CONF_END};
	static const struct conf_section_def def = {
		"s", false, sizeof(int64_t), keys, NULL, NULL};
	static const char text[] = "[s]\npin = hunter2\n";
	struct err e;

	CHECK(!conf_parse("x.conf", text, sizeof(text) - 1, &def, 1, &e));
	CHECK_STR(e.text,
		"x.conf:2: [s] pin = (hidden): must be a whole number between 0 "
		"and 9");
}

/* Only the path of a NAME_file is in the text of the file; its content is taken whole.
 */
static void
test_value_from_a_file(void)
{
	static const char conf[] = "[redis]\naddress = a\npassword_file = secret\n";
	struct err e;
	char want[400];

	write_file("secret", "p # \"q\"\n\n", 9);
	write_file("a.conf", conf, sizeof(conf) - 1);
	struct conf *c = load("a.conf", &e);
	CHECK(c);
	if (c)
		CHECK_STR(((struct redis_values *)conf_values(c, "redis"))->password,
			"p # \"q\"\n");
	conf_free(&c);

	write_file("secret", "a\0b", 3);
	CHECK(!load("a.conf", &e));
	snprintf(want, sizeof(want),
		"%s/a.conf:3: [redis] password_file = secret: is not "
		"text in UTF-8",
		dir);
	CHECK_STR(e.text, want);

	char *big = xmalloc(65537);
	memset(big, 'x', 65537);
	write_file("secret", big, 65536);
	c = load("a.conf", &e);
	CHECK(c);
	conf_free(&c);
	write_file("secret", big, 65537);
	CHECK(!load("a.conf", &e));
	snprintf(want, sizeof(want),
		"%s/a.conf:3: [redis] password_file = secret: is "
		"longer than 64 KiB",
		dir);
	CHECK_STR(e.text, want);
	xfree(&big);
}

static void
test_include_keeps_lines_and_sections(void)
{
	static const char a[] = "[redis]\ninclude = sub/b.conf # more\nusername = u\n"
				"x = 1\n";
	static const char b[] = "address = from-b\n[tenant t]\ninclude = c.conf\n";
	static const char c_text[] = "region = TW\n\n";
	static const char c_bad[] = "\n\nregoin = TW\n";
	char path[200], want[400];
	struct err e;

	snprintf(path, sizeof(path), "%s/sub", dir);
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		abort();
	write_file("sub/b.conf", b, sizeof(b) - 1);
	write_file("sub/c.conf", c_text, sizeof(c_text) - 1);
	write_file("a.conf", a, sizeof(a) - 1);
	CHECK(!load("a.conf", &e));
	snprintf(want, sizeof(want),
		"%s/a.conf:4: [redis] x: no such key (allowed: "
		"address, username, password)",
		dir);
	CHECK_STR(e.text, want);

	write_file("a.conf", a, sizeof(a) - 1 - strlen("x = 1\n"));
	struct conf *c = load("a.conf", &e);
	CHECK(c);
	if (c) {
		const struct redis_values *r = conf_values(c, "redis");
		CHECK_STR(r->address.items[0], "from-b");
		CHECK_STR(r->username, "u");
		const struct conf_section *t = conf_nth(c, "tenant", 0);
		CHECK_STR(((struct tenant_values *)t->values)->region, "TW");
		snprintf(want, sizeof(want), "%s/sub/b.conf", dir);
		CHECK_STR(t->file, want);
		CHECK_INT(t->line, 2);
	}
	conf_free(&c);

	write_file("sub/c.conf", c_bad, sizeof(c_bad) - 1);
	CHECK(!load("a.conf", &e));
	snprintf(want, sizeof(want),
		"%s/sub/c.conf:3: [tenant t] regoin: no such key; did "
		"you mean \"region\"? (allowed: region)",
		dir);
	CHECK_STR(e.text, want);
}

static void
test_include_of_itself_ends(void)
{
	static const char a[] = "include = loop.conf\n";
	char want[400];
	struct err e;

	write_file("loop.conf", a, sizeof(a) - 1);
	CHECK(!load("loop.conf", &e));
	snprintf(want, sizeof(want),
		"%s/loop.conf:1: include = loop.conf: files include "
		"one another more than 8 deep",
		dir);
	CHECK_STR(e.text, want);
	CHECK(!load("absent.conf", &e));
	snprintf(want, sizeof(want),
		"%s/absent.conf:1: the file cannot be opened: No such "
		"file or directory",
		dir);
	CHECK_STR(e.text, want);
}

static void
test_what_only_a_restart_applies(void)
{
	struct conf *old = parse_good(
		REDIS "[daemon]\nworkers = 3\nlog_level = info\n"
		      "[tenant gone]\n[channel a]\ndriver = asterisk\naddress = x\n"
		      "[channel b]\ndriver = asterisk\naddress = x\n");
	struct conf *new = parse_good(
		REDIS "password = x\n[daemon]\nlog_level = debug\n"
		      "pop_timeout_ms = 99\n[tenant new]\n"
		      "[channel a]\ndriver = asterisk\naddress = x\ntrunks = y\n"
		      "[channel b]\ndriver = email\n[channel c]\ndriver = email\n");
	char out[200], small[20];

	CHECK_INT((int64_t)conf_restart_needed(old, new, out, sizeof(out)), 5);
	CHECK_STR(out, "[redis] password, [daemon] workers, [channel a] trunks, "
		       "[channel b] driver, [channel c]");
	CHECK_INT((int64_t)conf_restart_needed(old, new, small, sizeof(small)), 5);
	CHECK_STR(small, "[redis] password, [");
	CHECK_INT((int64_t)conf_restart_needed(old, old, out, sizeof(out)), 0);
	CHECK_STR(out, "");
	conf_free(&old);
	conf_free(&new);
}

static void
test_sample_can_be_read_back(void)
{
	struct buf out = BUF_INIT;
	struct err e;

	conf_print_sample(&out, "daemon", daemon_keys);
	buf_addc(&out, '\n');
	conf_print_sample(&out, "redis", redis_keys);
	CHECK(strstr(buf_str(&out),
		"\n# How long a pop waits for the database. (between "
		"10 and 10000\n# (milliseconds); default 250)\n"
		"#pop_timeout_ms = 250\n"));
	CHECK(strstr(
		buf_str(&out), "required; a change needs a restart)\naddress =\n"));
	CHECK(!conf_parse("s", out.data, out.len, defs, ARRAY_LEN(defs), &e));
	CHECK(strstr(e.text, "[redis] address: required, but empty"));
	buf_fini(&out);
}

int
main(void)
{
	if (!mkdtemp(dir))
		abort();
	TEST(test_everything_that_is_allowed);
	TEST(test_defaults_without_a_section);
	TEST(test_long_section_name_is_kept_whole);
	TEST(test_each_mistake_has_its_sentence);
	TEST(test_long_line_is_refused_not_cut);
	TEST(test_nul_is_refused);
	TEST(test_secret_is_not_shown);
	TEST(test_value_from_a_file);
	TEST(test_include_keeps_lines_and_sections);
	TEST(test_include_of_itself_ends);
	TEST(test_what_only_a_restart_applies);
	TEST(test_sample_can_be_read_back);
	char *cleanup = xasprintf("rm -rf %s", dir);
	int rc = system(cleanup);
	xfree(&cleanup);
	return rc ? 1 : test_done();
}
