/* main.c - interactctl: arguments and dispatch. The commands are in cmd_*.c; begin with
 * ctl.h. */
#include <ctl/ctl.h>
#include <ctl/print.h>

#include <base/conf.h>
#include <log.h>
#include <mem.h>
#include <str.h>

#include <curl/curl.h>
#include <sodium.h>

#include <stdio.h>

static int
show_help(const struct ctl *ctl, const char *topic)
{
	if (str_eq(topic, "-"))
		return CTL_OK; /* --version has been answered */
	if (str_empty(topic)) {
		help_overview(ctl);
		return CTL_OK;
	}
	if (help_topic(ctl, topic))
		return CTL_OK;
	const char *near = help_nearest(topic);
	fprintf(stderr, "interactctl: there is no command `%s`", topic);
	if (near)
		fprintf(stderr, "; did you mean `%s`?", near);
	fputs("\ntry: interactctl help\n", stderr);
	return CTL_USAGE;
}

/* A full disk or a closed pipe must not look like success. */
static int
flush_output(const struct ctl *ctl, int rc)
{
	if (ctl->reader_gone || (fflush(stdout) == 0 && !ferror(stdout)))
		return rc;
	fprintf(stderr, "interactctl: cannot write its output: %m\n");
	return rc ? rc : CTL_REFUSED;
}

int
main(int argc, char **argv)
{
	struct ctl ctl = {0};
	struct ctl_args args;
	const struct ctl_command *command;
	char help[128];
	log_init(LOG_LVL_WARNING);
	if (sodium_init() < 0 || curl_global_init(CURL_GLOBAL_DEFAULT) != 0) {
		fputs("interactctl: its libraries do not start\n", stderr);
		return CTL_UNREACHABLE;
	}
	print_init(&ctl);
	int rc = args_parse(&ctl, argc, argv, &command, &args, help);
	if (!rc)
		rc = command ? command->run(&ctl, &args) : show_help(&ctl, help);
	args_fini(&args);
	conf_free(&ctl.conf);
	xfree(&ctl.key_text);
	curl_global_cleanup();
	return flush_output(&ctl, rc);
}
