/* main.c - arguments and configuration; daemon/api/app.c wires the rest. */
#include <api/app.h>
#include <base/settings.h>
#include <channel.h>
#include <log.h>
#include <mem.h>

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

static void
usage(FILE *to)
{
	fputs("usage: interactd -c FILE [--check-config]\n"
	      "       interactd --version | --drivers | --help\n\n"
	      "  -c, --config FILE  the configuration, see interactd.conf(5)\n"
	      "      --check-config read all of it, say what is wrong, and exit 0 or "
	      "1\n"
	      "      --drivers      list the channel drivers and their keys\n"
	      "      --version      print the version\n\n"
	      "Runs in the foreground and logs to stderr. SIGHUP reads the "
	      "configuration\n"
	      "again, SIGTERM and SIGINT end the daemon.\n",
		to);
}

static void
print_drivers(void)
{
	for (const struct channel_ops *const *ops = channel_drivers; *ops; ops++) {
		struct buf keys = BUF_INIT;
		conf_print_sample(&keys, "channel NAME", (*ops)->keys);
		printf("# driver = %s: %s\n%s\n", (*ops)->driver, (*ops)->summary,
			buf_str(&keys));
		buf_fini(&keys);
	}
}

int
main(int argc, char **argv)
{
	enum { CHECK = 256, DRIVERS, VERSION };
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'},
		{"check-config", no_argument, NULL, CHECK},
		{"drivers", no_argument, NULL, DRIVERS},
		{"version", no_argument, NULL, VERSION},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	const char *path = NULL;
	bool check = false;
	for (int o; (o = getopt_long(argc, argv, "c:h", options, NULL)) != -1;) {
		switch (o) {
		case 'c': path = optarg; break;
		case CHECK: check = true; break;
		case DRIVERS: print_drivers(); return 0;
		case VERSION: puts("interactd " INTERACTD_VERSION); return 0;
		case 'h': usage(stdout); return 0;
		default: usage(stderr); return 2;
		}
	}
	if (!path || optind < argc) {
		usage(stderr);
		return 2;
	}
	struct err err;
	struct conf *conf = app_load_conf(path, &err);
	if (!conf) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	if (check) {
		printf("%s: all right\n", path);
		conf_free(&conf);
		return 0;
	}
	return app_run(path, conf);
}
