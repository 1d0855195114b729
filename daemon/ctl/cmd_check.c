/* cmd_check.c - channel check: is everything right between us and a phone system?
 *
 * Speaks to the phone system itself, by the daemon's configuration and with the driver's
 * own session, so it says the same of a wrong secret as the daemon would; it works
 * without a daemon, and beside one. */
#include <ctl/cmd.h>

#include <base/conf.h>
#include <base/settings.h>
#include <io/channel.h>
#include <io/loop.h>
#include <log.h>
#include <mem.h>
#include <str.h>

#include <stdio.h>
#include <stdlib.h>

#define GROUP	    "Keeping it running"
#define LISTEN_S    3
#define CLOSE_MS    3000
#define PATIENCE_MS 60000 /* past the drivers' own deadlines */

struct check {
	struct ctl *ctl;
	struct loop *loop;
	const char *name;
	json_t *findings;
	enum channel_level worst;
	char *to_write;
	bool done, closed;
};

static const struct {
	const char *word;
	enum color color;
} levels[] = {
	[CHANNEL_OK] = {"ok", COLOR_GOOD},
	[CHANNEL_NOTE] = {"note", COLOR_DIM},
	[CHANNEL_WARNING] = {"warning", COLOR_WARN},
	[CHANNEL_PROBLEM] = {"problem", COLOR_BAD},
};

/* ---- What is found ---------------------------------------------------------------- */

static void
print_finding(const struct check *c, enum channel_level level, const char *what,
	const char *advice)
{
	struct buf b = BUF_INIT;
	print_safe(&b, what);
	printf("%s%-7s%s  %s\n", print_color(c->ctl, levels[level].color),
		levels[level].word, print_color(c->ctl, COLOR_NONE), buf_str(&b));
	buf_clear(&b);
	print_safe(&b, advice);
	if (advice)
		printf("         -> %s\n", buf_str(&b));
	buf_fini(&b);
	fflush(stdout);
}

static void
on_finding(void *arg, enum channel_level level, const char *what, const char *advice)
{
	struct check *c = arg;
	if (level > c->worst)
		c->worst = level;
	if (!c->ctl->json) {
		print_finding(c, level, what, advice);
		return;
	}
	json_array_append_new(
		c->findings, json_pack("{s:s, s:s, s:s?}", "level", levels[level].word,
				     "what", what, "do", advice));
}

static void
on_checked(void *arg, const char *to_write)
{
	struct check *c = arg;
	c->done = true;
	xfree(&c->to_write);
	c->to_write = xstrdup(to_write);
}

static void
print_json(const struct check *c)
{
	json_t *o = json_pack("{s:s, s:s, s:O, s:s?}", "channel", c->name, "level",
		levels[c->worst].word, "findings", c->findings, "write", c->to_write);
	char *text = json_dumps(o, JSON_INDENT(2));
	puts(text ? text : "{}");
	free(text);
	json_decref(o);
}

static void
print_to_write(const struct check *c)
{
	if (c->to_write)
		printf("\nWhat the phone system's configuration should say:\n\n%s",
			c->to_write);
}

/* ---- The check ---------------------------------------------------------------------- */

static void
on_closed(void *arg)
{
	struct check *c = arg;
	c->closed = true;
}

static void
run_until(struct check *c, const bool *flag, int64_t max_ms, loop_fn *late)
{
	struct loop_timer *timer = loop_timer_new(c->loop, late, c);
	loop_timer_start(timer, max_ms);
	while (!*flag)
		loop_run_once(c->loop, 1000);
	loop_timer_free(&timer);
}

static void
on_patience_over(void *arg)
{
	struct check *c = arg;
	on_finding(c, CHANNEL_PROBLEM, "the check does not come to an end", NULL);
	c->done = true;
}

static int
check_channel(struct check *c, const struct conf_section *s, int64_t listen_ms)
{
	const struct channel_ops *ops = settings_driver(s);
	const struct channel_settings *values = s->values;
	const struct channel_sink sink = {0};
	struct channel_opts opts = {ops, s->name, values->tenant, s->extension, 0};
	struct channel_core *core = channel_core_new(c->loop, &sink);
	struct err err;
	struct channel *ch = channel_core_open(core, &opts, &err);
	if (!ch) {
		on_finding(c, CHANNEL_PROBLEM, err.text, NULL);
	} else {
		ops->check(ch, listen_ms, on_finding, on_checked, c);
		run_until(c, &c->done, PATIENCE_MS + listen_ms, on_patience_over);
		channel_core_close(ch, on_closed, c);
		run_until(c, &c->closed, CLOSE_MS, on_closed);
	}
	channel_core_free(&core);
	return c->worst == CHANNEL_PROBLEM ? 2 : c->worst == CHANNEL_WARNING ? 1 : 0;
}

static const struct conf_section *
find_channel(const struct conf *conf, const char *name)
{
	const struct conf_section *s;
	for (size_t i = 0; (s = conf_nth(conf, "channel", i)); i++)
		if (str_eq(s->name, name))
			return s;
	return NULL;
}

static int
run_check(struct ctl *ctl, const struct ctl_args *a)
{
	int rc;
	int64_t listen_s = LISTEN_S;
	struct check c = {.ctl = ctl, .name = a->words[0]};
	const struct conf *conf = ctl_conf(ctl, &rc);
	if (!conf || args_int(a, "listen", 1, 3600, &listen_s))
		return CTL_USAGE;
	const struct conf_section *s = find_channel(conf, c.name);
	if (!s) {
		fprintf(stderr, "interactctl: %s has no [channel %s]\n", ctl->conf_path,
			c.name);
		return CTL_NOT_FOUND;
	}
	if (!settings_driver(s)->check) {
		fprintf(stderr, "interactctl: the driver %s has no check\n",
			settings_driver(s)->driver);
		return CTL_REFUSED;
	}
	log_set_level(LOG_LVL_ERROR); /* what the session would log is reported */
	c.loop = loop_new();
	c.findings = json_array();
	rc = check_channel(&c, s, listen_s * 1000);
	if (ctl->json)
		print_json(&c);
	else
		print_to_write(&c);
	json_decref(c.findings);
	xfree(&c.to_write);
	loop_free(&c.loop);
	return rc;
}

static const struct ctl_option check_options[] = {
	{"listen", "SECONDS", "listen so long to what comes by itself (3)"},
	{NULL, NULL, NULL},
};

const struct ctl_command cmd_channel_check = {
	.name = "channel check",
	.usage = "NAME [--listen SECONDS]",
	.group = GROUP,
	.summary =
		"log in to a phone system; say what is missing there, and how to write it",
	.help = "Reads the daemon's configuration file (-c FILE, as root or the daemon's user)\n"
		"and talks to the phone system itself: with no daemon running, or beside it.\n"
		"Says whether login, version, permissions, events and times are as they should\n"
		"be, and which endpoints are trunks, agents or internal by your patterns.\n"
		"Changes nothing. Exit code: 0 all is well, 1 warnings, 2 problems.\n\n"
		"  interactctl channel check pbx-main\n"
		"  interactctl channel check pbx-main --listen 30    # and make a call\n",
	.options = check_options,
	.min_words = 1,
	.max_words = 1,
	.run = run_check,
};
