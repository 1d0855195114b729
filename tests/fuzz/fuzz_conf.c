/* fuzz_conf.c - any bytes as a configuration file, with rows of every type.
 *
 * What is refused must say where; what is accepted must compare equal to itself and be
 * printable. Files named in the input are read as the daemon would read them, so the
 * input may name nothing outside: paths are refused here. */
#include <base/conf.h>

#include <buf.h>
#include <mem.h>
#include <str.h>

#include <stdlib.h>
#include <string.h>

struct values {
	char *state_dir, *password;
	int64_t pop_timeout_ms, idle_s, keep, body_max, workers;
	struct conf_list listen;
	struct conf_regex trunks;
	int log_level;
	bool banner;
};

#define AT(field) offsetof(struct values, field)
static const char *const levels[] = {"error", "warning", "info", "debug", NULL};
static const struct conf_key keys[] = {
	{"state_dir", CONF_STRING, AT(state_dir), "/var", 0, 4000, 0, NULL, "State."},
	{"password", CONF_STRING, AT(password), NULL, 0, 0, CONF_SECRET, NULL,
		"Secret."},
	{"pop_timeout_ms", CONF_DURATION, AT(pop_timeout_ms), "250", 10, 10000,
		CONF_RELOAD, NULL, "Pops."},
	{"idle_s", CONF_DURATION, AT(idle_s), "60", 100, 3600000, 0, NULL, "Idle."},
	{"keep", CONF_DURATION, AT(keep), "1d", 0, 0, 0, NULL, "Keep."},
	{"body_max", CONF_SIZE, AT(body_max), "1M", 1024, 1 << 30, 0, NULL, "Body."},
	{"workers", CONF_INT, AT(workers), "4", -5, 64, 0, NULL, "Threads."},
	{"listen", CONF_LIST, AT(listen), "a b", 0, 16, 0, NULL, "Addresses."},
	{"trunks", CONF_REGEX, AT(trunks), "^PJSIP/trunk", 0, 0, 0, NULL, "Trunks."},
	{"log_level", CONF_CHOICE, AT(log_level), "info", 0, 0, 0, levels, "Level."},
	{"banner", CONF_BOOL, AT(banner), "yes", 0, 0, 0, NULL, "Hello."},
	CONF_END,
};
static const struct conf_key driver_keys[] = {
	{"driver", CONF_STRING, AT(state_dir), NULL, 1, 64, CONF_REQUIRED, NULL,
		"Driver."},
	CONF_END,
};

static int
extend(const char *driver, const struct conf_key **keys_r, size_t *size_r,
	struct err *e)
{
	if (!str_eq(driver, "asterisk"))
		return err_set(e, "no such driver (allowed: asterisk)");
	*keys_r = keys;
	*size_r = sizeof(struct values);
	return 0;
}

static const struct conf_section_def defs[] = {
	{"daemon", false, sizeof(struct values), keys, NULL, NULL},
	{"tenant", true, sizeof(struct values), keys, NULL, NULL},
	{"channel", true, sizeof(struct values), driver_keys, "driver", extend},
};

/* A path leads away from the empty place the fuzzer works in. */
static bool
names_a_file(const uint8_t *data, size_t size)
{
	bool file = memmem(data, size, "include", 7) || memmem(data, size, "_file", 5);

	return file && (memchr(data, '/', size) || memchr(data, '.', size));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char out[64];
	struct err e = {0, ""};

	if (names_a_file(data, size))
		return 0;
	struct conf *c = conf_parse(
		"f.conf", (const char *)data, size, defs, ARRAY_LEN(defs), &e);
	if (!c) {
		if (!strstr(e.text, "f.conf:") || !utf8_valid(e.text, strlen(e.text)))
			abort();
		return 0;
	}
	if (conf_restart_needed(c, c, out, sizeof(out)) != 0 || *out)
		abort();
	const struct values *v = conf_values(c, "daemon");
	if (v->pop_timeout_ms < 10 || v->pop_timeout_ms > 10000 || v->workers > 64)
		abort();
	regexec(&v->trunks.re, "PJSIP/trunk-1", 0, NULL, 0);
	conf_free(&c);
	return 0;
}
