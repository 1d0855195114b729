/* args.c - the command line: options may stand anywhere, commands are one or two words.
 *
 * Until a command is known only the global options are; `--` ends options. What is wrong
 * is said with the page to read. */
#include <ctl/ctl.h>

#include <mem.h>
#include <str.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const struct ctl_option ctl_global_options[] = {
	{"tenant", "NAME", "whose data (default: default)"},
	{"socket", "PATH", "the daemon's Unix socket"},
	{"config", "FILE",
		"-c FILE: read the socket from there (default: " CTL_DEFAULT_CONF ")"},
	{"url", "URL", "reach the daemon by HTTP instead (also INTERACTD_URL)"},
	{"key", "KEY", "API key for --url (also INTERACTD_KEY)"},
	{"key-file", "FILE", "the same from a file, so that `ps` does not show it"},
	{"ca-file", "FILE", "trust this CA (PEM) for --url https://..."},
	{"json", NULL, "print the API's JSON as it is, for scripts"},
	{"no-color", NULL, "no colours (also NO_COLOR)"},
	{"help", NULL, "-h: help, also of a command"},
	{"version", NULL, "print the version"},
	{NULL, NULL, NULL},
};

struct parse {
	int argc, at;
	char **argv;
	const char *first; /* word of a two-word command whose second is to come */
	const struct ctl_command *command;
	struct ctl_args *args;
	bool only_words, help, version;
	struct ctl_args global;
};

int
args_wrong(const char *command, const char *fmt, ...)
{
	va_list ap;
	fprintf(stderr, "interactctl%s%s: ", command ? " " : "",
		command ? command : "");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\ntry: interactctl help%s%s\n", command ? " " : "",
		command ? command : "");
	return CTL_USAGE;
}

static void
give(struct ctl_args *a, const struct ctl_option *option, const char *value)
{
	a->given = xrealloc(a->given, (a->n_given + 1) * sizeof(*a->given));
	a->given[a->n_given++] = (struct ctl_given){option, value};
}

static const struct ctl_option *
find_option(const struct ctl_option *table, const char *name, size_t len)
{
	for (; table && table->name; table++)
		if (strlen(table->name) == len && strncmp(table->name, name, len) == 0)
			return table;
	return NULL;
}

static const char *
command_name(const struct parse *p)
{
	return p->command ? p->command->name : p->first;
}

/* argv[at] is "--name", "--name=value", "-c" or "-h". */
static int
parse_option(struct parse *p)
{
	const char *text = p->argv[p->at++];
	const char *name = str_eq(text, "-c")	? "config"
			   : str_eq(text, "-h") ? "help"
						: text + 2;
	size_t len = strcspn(name, "=");
	bool global = false;
	const struct ctl_option *o =
		text[0] == '-' && (text[1] == '-' || name != text + 2)
			? find_option(
				  p->command ? p->command->options : NULL, name, len)
			: NULL;
	if (!o && (text[1] == '-' || name != text + 2)) {
		o = find_option(ctl_global_options, name, len);
		global = o;
	}
	if (!o)
		return args_wrong(command_name(p), "there is no option %s", text);
	if (!o->value && name[len] == '=')
		return args_wrong(command_name(p), "--%s takes no value", o->name);
	const char *value = name[len] == '=' ? name + len + 1 : NULL;
	if (o->value && !value && p->at >= p->argc)
		return args_wrong(
			command_name(p), "--%s: give a value (%s)", o->name, o->value);
	if (o->value && !value)
		value = p->argv[p->at++];
	give(global ? &p->global : p->args, o, value);
	p->help |= global && str_eq(o->name, "help");
	p->version |= global && str_eq(o->name, "version");
	return 0;
}

static const struct ctl_command *
find_command(const char *first, const char *second)
{
	char name[128];
	snprintf(name, sizeof(name), "%s%s%s", first, second ? " " : "",
		second ? second : "");
	for (size_t i = 0; ctl_commands[i]; i++)
		if (str_eq(ctl_commands[i]->name, name))
			return ctl_commands[i];
	return NULL;
}

static bool
is_family(const char *word)
{
	size_t n = strlen(word);
	for (size_t i = 0; ctl_commands[i]; i++)
		if (strncmp(ctl_commands[i]->name, word, n) == 0 &&
			ctl_commands[i]->name[n] == ' ')
			return true;
	return false;
}

/* "find, show, add": the second words of a family. */
static void
list_family(char *dst, size_t cap, const char *family)
{
	size_t n = strlen(family), used = 0;
	dst[0] = '\0';
	for (size_t i = 0; ctl_commands[i]; i++) {
		const char *name = ctl_commands[i]->name;
		if (strncmp(name, family, n) == 0 && name[n] == ' ' && used < cap)
			used += (size_t)snprintf(dst + used, cap - used, "%s%s",
				used ? ", " : "", name + n + 1);
	}
}

static int
unknown_command(const struct parse *p, const char *word)
{
	char full[160], list[256];
	const char *near;
	snprintf(full, sizeof(full), "%s%s%.64s", p->first ? p->first : "",
		p->first ? " " : "", word);
	near = help_nearest(full);
	if (p->first) {
		list_family(list, sizeof(list), p->first);
		return args_wrong(
			p->first, "there is no `%s`; there are: %s", full, list);
	}
	if (near)
		return args_wrong(NULL, "there is no command `%s`; did you mean `%s`?",
			full, near);
	return args_wrong(NULL, "there is no command `%s`", full);
}

static int
parse_word(struct parse *p)
{
	const char *word = p->argv[p->at++];
	struct ctl_args *a = p->args;
	if (p->command) {
		a->words = xrealloc(a->words, (a->n_words + 1) * sizeof(*a->words));
		a->words[a->n_words++] = word;
		return 0;
	}
	p->command = p->first ? find_command(p->first, word) : find_command(word, NULL);
	if (p->command)
		return 0;
	if (p->first || !is_family(word))
		return unknown_command(p, word);
	p->first = word;
	return 0;
}

/* `help`, `help contact`, `help contact find`: the rest are the topic's words. */
static void
read_topic(const struct parse *p, char help[128])
{
	help[0] = '\0';
	for (int i = p->at; i < p->argc; i++) {
		size_t used = strlen(help);
		if (p->argv[i][0] != '-')
			snprintf(help + used, 128 - used, "%s%s", used ? " " : "",
				p->argv[i]);
	}
}

static int
parse_next(struct parse *p)
{
	const char *text = p->argv[p->at];
	if (!p->only_words && str_eq(text, "--")) {
		p->only_words = true;
		p->at++;
		return 0;
	}
	if (!p->only_words && text[0] == '-' && text[1] != '\0')
		return parse_option(p);
	return parse_word(p);
}

static void
apply_globals(struct ctl *ctl, const struct parse *p)
{
	const struct ctl_args *g = &p->global;
	ctl->tenant = args_get(g, "tenant");
	ctl->url = args_get(g, "url");
	ctl->key = args_get(g, "key");
	ctl->ca_file = args_get(g, "ca-file");
	ctl->socket = args_get(g, "socket");
	ctl->conf_path = args_get(g, "config");
	ctl->conf_given = ctl->conf_path;
	ctl->json = args_has(g, "json");
	if (args_has(g, "no-color"))
		ctl->color = false;
	if (!ctl->conf_path)
		ctl->conf_path = CTL_DEFAULT_CONF;
}

static int
read_key_file(struct ctl *ctl, const char *path)
{
	char line[1024];
	FILE *f = path ? fopen(path, "r") : NULL;
	if (!path)
		return 0;
	if (!f || !fgets(line, sizeof(line), f)) {
		if (f)
			fclose(f);
		return args_wrong(
			NULL, "--key-file %s: cannot be read, or is empty: %m", path);
	}
	fclose(f);
	line[strcspn(line, "\r\n")] = '\0';
	ctl->key = ctl->key_text = xstrdup(line);
	return 0;
}

static int
check_words(const struct ctl_command *c, const struct ctl_args *a)
{
	if (a->n_words < c->min_words)
		return args_wrong(
			c->name, "usage: interactctl %s %s", c->name, c->usage);
	if (a->n_words > c->max_words)
		return args_wrong(c->name,
			"`%s` is one word too many (quote what "
			"belongs together)",
			a->words[c->max_words]);
	return 0;
}

static int
finish(struct ctl *ctl, struct parse *p, char help[128])
{
	if (p->version) {
		puts("interactctl " INTERACTD_VERSION);
		p->command = NULL;
		str_copy(help, 128, "-");
		return 0;
	}
	if (p->help) {
		str_copy(help, 128, command_name(p) ? command_name(p) : "");
		p->command = NULL;
		return 0;
	}
	if (p->first && !p->command) {
		char list[256];
		list_family(list, sizeof(list), p->first);
		return args_wrong(p->first, "which one? %s", list);
	}
	if (!p->command)
		return args_wrong(NULL, "give a command");
	if (read_key_file(ctl, args_get(&p->global, "key-file")))
		return CTL_USAGE;
	return check_words(p->command, p->args);
}

int
args_parse(struct ctl *ctl, int argc, char **argv, const struct ctl_command **command_r,
	struct ctl_args *args, char help[128])
{
	struct parse p = {.argc = argc, .at = 1, .argv = argv, .args = args};
	int rc = 0;
	memset(args, 0, sizeof(*args));
	help[0] = '\0';
	*command_r = NULL;
	while (!rc && p.at < argc) {
		if (!p.command && !p.first && str_eq(argv[p.at], "help")) {
			p.at++;
			p.help = true;
			apply_globals(ctl, &p);
			read_topic(&p, help);
			args_fini(&p.global);
			return 0;
		}
		rc = parse_next(&p);
	}
	apply_globals(ctl, &p);
	if (!rc)
		rc = finish(ctl, &p, help);
	args_fini(&p.global);
	*command_r = rc ? NULL : p.command;
	return rc;
}

void
args_fini(struct ctl_args *a)
{
	xfree(&a->words);
	xfree(&a->given);
	a->n_words = a->n_given = 0;
}

const char *
args_nth(const struct ctl_args *a, const char *name, unsigned n)
{
	for (unsigned i = 0; i < a->n_given; i++)
		if (str_eq(a->given[i].option->name, name) && n-- == 0)
			return a->given[i].value ? a->given[i].value : "";
	return NULL;
}

const char *
args_get(const struct ctl_args *a, const char *name)
{
	const char *last = NULL, *value;
	for (unsigned n = 0; (value = args_nth(a, name, n)); n++)
		last = value;
	return last;
}

bool
args_has(const struct ctl_args *a, const char *name)
{
	return args_get(a, name);
}

int
args_int(const struct ctl_args *a, const char *name, int64_t min, int64_t max,
	int64_t *n_r)
{
	const char *text = args_get(a, name);
	if (!text || str_int(text, min, max, n_r))
		return 0;
	return args_wrong(NULL, "--%s: a number from %lld to %lld", name,
		(long long)min, (long long)max);
}

int
args_seconds(const char *command, const char *option, const char *text, int64_t *s_r)
{
	static const struct {
		char unit;
		int64_t s;
	} units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
	char number[24];
	int64_t n, scale = 1;
	if (!text)
		return 0;
	size_t len = strlen(text);
	for (size_t i = 0; len && i < ARRAY_LEN(units); i++)
		if (text[len - 1] == units[i].unit) {
			scale = units[i].s;
			len--;
			break;
		}
	snprintf(number, sizeof(number), "%.*s", len < 23 ? (int)len : 22, text);
	if (len > 10 || !str_int(number, 1, INT64_C(10000000000) / scale, &n))
		return args_wrong(
			command, "--%s %s: seconds, or 30m, 12h, 7d", option, text);
	*s_r = n * scale;
	return 0;
}
