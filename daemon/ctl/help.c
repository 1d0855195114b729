/* help.c - the overview, and each command's page: all from the commands' tables. */
#include <ctl/ctl.h>
#include <ctl/print.h>

#include <mem.h>
#include <str.h>

#include <stdio.h>
#include <string.h>

#define LEFT_WIDTH 28
#define PAGE_WIDTH 96

static void
heading(const struct ctl *ctl, const char *text)
{
	printf("\n%s%s%s\n", print_color(ctl, COLOR_BOLD), text,
		print_color(ctl, COLOR_NONE));
}

/* As many words of text as fit in `width` columns; returns where the rest begins. */
static const char *
put_words(const char *text, size_t width)
{
	size_t len = strlen(text);
	if (len > width) {
		len = width;
		while (len > 0 && text[len] != ' ')
			len--;
	}
	if (len == 0)
		len = strlen(text);
	printf("%.*s\n", (int)len, text);
	return text + len + (text[len] == ' ');
}

static void
print_entry(const struct ctl *ctl, const char *left, const char *right)
{
	size_t page =
		ctl->columns && ctl->columns < PAGE_WIDTH ? ctl->columns : PAGE_WIDTH;
	size_t width = page > LEFT_WIDTH + 24 ? page - LEFT_WIDTH - 4 : 20;
	if (strlen(left) > LEFT_WIDTH)
		printf("  %s\n  %*s  ", left, LEFT_WIDTH, "");
	else
		printf("  %-*s  ", LEFT_WIDTH, left);
	for (right = put_words(right, width); *right; right = put_words(right, width))
		printf("  %*s  ", LEFT_WIDTH, "");
}

static void
print_options(const struct ctl *ctl, const struct ctl_option *o)
{
	for (; o && o->name; o++) {
		char left[80];
		snprintf(left, sizeof(left), "--%s%s%s", o->name, o->value ? " " : "",
			o->value ? o->value : "");
		print_entry(ctl, left, o->help);
	}
}

static void
print_commands(const struct ctl *ctl)
{
	const char *group = "";
	for (size_t i = 0; ctl_commands[i]; i++) {
		const struct ctl_command *c = ctl_commands[i];
		char left[160];
		if (!str_eq(group, c->group))
			heading(ctl, c->group);
		group = c->group;
		/* Options are told on the command's own page. */
		snprintf(left, sizeof(left), "%s %.*s", c->name,
			(int)strcspn(c->usage, "["), c->usage);
		print_entry(ctl, left, c->summary);
	}
}

void
help_overview(const struct ctl *ctl)
{
	printf("interactctl: operate interactd, the call-center and interaction daemon\n"
	       "\nusage: interactctl [OPTIONS] COMMAND [ARGUMENTS]\n"
	       "       interactctl help COMMAND      its options, with examples\n");
	print_commands(ctl);
	heading(ctl, "Options of every command");
	print_options(ctl, ctl_global_options);
	heading(ctl, "Reaching the daemon");
	printf("  On its machine, as root or as the daemon's own user, no key is needed:\n"
	       "  the socket is found through %s. From elsewhere, make a\n"
	       "  key there (interactctl apikey create NAME --role admin) and use it:\n"
	       "    export INTERACTD_URL=https://calls.example.com "
	       "INTERACTD_KEY=ik_...\n",
		CTL_DEFAULT_CONF);
	heading(ctl, "First steps");
	printf("  interactctl status            is everything working?\n"
	       "  interactctl pops              watch screen pops; call a phone\n"
	       "  interactctl calls             who is on the phone now\n"
	       "  interactctl timeline +8613800138000\n");
	heading(ctl, "Exit codes");
	printf("  0 done   1 the daemon said no   2 wrong usage   "
	       "3 cannot reach the daemon\n  4 there is no such thing\n");
}

void
help_command(const struct ctl *ctl, const struct ctl_command *c)
{
	printf("%sinteractctl %s%s%s%s: %s\n", print_color(ctl, COLOR_BOLD), c->name,
		c->usage[0] ? " " : "", c->usage, print_color(ctl, COLOR_NONE),
		c->summary);
	if (c->help)
		printf("\n%s", c->help);
	if (c->options && c->options->name) {
		heading(ctl, "Options");
		print_options(ctl, c->options);
	}
	printf("\nOptions of every command: interactctl help\n");
}

bool
help_topic(const struct ctl *ctl, const char *topic)
{
	size_t n = strlen(topic), shown = 0;
	for (size_t i = 0; ctl_commands[i]; i++) {
		const char *name = ctl_commands[i]->name;
		if (strncmp(name, topic, n) != 0 || (name[n] != '\0' && name[n] != ' '))
			continue;
		if (shown++)
			printf("\n----\n\n");
		help_command(ctl, ctl_commands[i]);
	}
	return shown > 0;
}

/* ---- "Did you mean" --------------------------------------------------------------- */

#define WORD_MAX 40

static unsigned
min3(unsigned a, unsigned b, unsigned c)
{
	unsigned m = a < b ? a : b;
	return m < c ? m : c;
}

/* Levenshtein's; words longer than WORD_MAX are far from everything. */
static unsigned
distance(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b);
	unsigned row[WORD_MAX + 1];
	if (n > WORD_MAX || m > WORD_MAX)
		return WORD_MAX;
	for (size_t k = 0; k <= m; k++)
		row[k] = (unsigned)k;
	for (size_t i = 1; i <= n; i++) {
		unsigned diagonal = row[0];
		row[0] = (unsigned)i;
		for (size_t k = 1; k <= m; k++) {
			unsigned above = row[k];
			row[k] = min3(above + 1, row[k - 1] + 1,
				diagonal + (a[i - 1] != b[k - 1]));
			diagonal = above;
		}
	}
	return row[m];
}

const char *
help_nearest(const char *word)
{
	const char *best = NULL;
	unsigned least = 4;
	for (size_t i = 0; ctl_commands[i]; i++) {
		const char *name = ctl_commands[i]->name;
		char first[WORD_MAX];
		unsigned d = distance(word, name);
		str_copy(first, sizeof(first), name);
		first[strcspn(first, " ")] = '\0';
		if (distance(word, first) < d)
			d = distance(word, first);
		if (d < least) {
			least = d;
			best = name;
		}
	}
	return best;
}
