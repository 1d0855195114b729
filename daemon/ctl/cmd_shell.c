/* cmd_shell.c - completion and manual: what a shell and man(1) want to know, made from
 * the commands' own tables, so that neither can be behind. */
#include <ctl/cmd.h>

#include <str.h>

#include <stdio.h>
#include <string.h>

#define GROUP "Keeping it running"

/* ---- completion bash -------------------------------------------------------------- */

static void
print_words(const struct ctl_option *o)
{
	for (; o && o->name; o++)
		printf("%s--%s", o == ctl_global_options ? "" : " ", o->name);
}

/* Names that the daemon is asked for; nothing if it cannot be reached. */
static const char *
completer_of(const struct ctl_command *c)
{
	if (str_starts(c->name, "agent ") && str_starts(c->usage, "ID") &&
		!str_eq(c->name, "agent add"))
		return "agents";
	if (str_starts(c->name, "channel ") && str_starts(c->usage, "NAME"))
		return "channels";
	if (str_starts(c->usage, "FILE"))
		return "files";
	return "none";
}

static void
print_command_case(const struct ctl_command *c)
{
	printf("\t\t'%s') options='", c->name);
	print_words(c->options);
	printf("'; what=%s;;\n", completer_of(c));
}

static void
print_value_options(const struct ctl_option *o)
{
	for (; o && o->name; o++)
		if (o->value)
			printf("|--%s", o->name);
}

static void
print_file_options(const struct ctl_option *o)
{
	for (; o && o->name; o++)
		if (o->value && (str_eq(o->value, "FILE") || str_eq(o->value, "PATH")))
			printf("|--%s", o->name);
}

static void
each_table(void (*print)(const struct ctl_option *))
{
	print(ctl_global_options);
	for (size_t i = 0; ctl_commands[i]; i++)
		print(ctl_commands[i]->options);
}

static void
print_command_names(void)
{
	for (size_t i = 0; ctl_commands[i]; i++)
		printf("%s\n", ctl_commands[i]->name);
	puts("help");
}

static const char bash_head[] =
	"# bash completion of interactctl(1); made by `interactctl completion bash`.\n"
	"\n"
	"# The names of what the daemon has: agents' ids or channels' names.\n"
	"_interactctl_names() {\n"
	"\tlocal key=name path=$1\n"
	"\t[ \"$1\" = agents ] && key=id && path='agent list'\n"
	"\tinteractctl --json $path 2>/dev/null |\n"
	"\t\tgrep -oE \"\\\"$key\\\" ?: ?\\\"[A-Za-z0-9._-]+\\\"\" | sed 's/.*\"\\(.*\\)\"/\\1/'\n"
	"}\n"
	"\n"
	"_interactctl() {\n"
	"\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
	"\tlocal i word words='' after=0 command='' options='' what=none\n"
	"\tCOMPREPLY=()\n";

static const char bash_tail[] =
	"\tesac\n"
	"\tif [[ $cur == -* ]]; then\n"
	"\t\tmapfile -t COMPREPLY < <(compgen -W \"$options $global\" -- \"$cur\")\n"
	"\telif [ -z \"$what\" ]; then\n"
	"\t\tmapfile -t COMPREPLY < <(grep -E \"^$words\" <<<\"$commands\" |\n"
	"\t\t\tcut -d' ' -f$((after + 1)) | sort -u | compgen -W \"$(cat)\" -- "
	"\"$cur\")\n"
	"\telif [ \"$what\" = files ]; then\n"
	"\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
	"\telif [ \"$what\" != none ]; then\n"
	"\t\tmapfile -t COMPREPLY < <(compgen -W \"$(_interactctl_names $what)\" -- "
	"\"$cur\")\n"
	"\tfi\n"
	"}\n"
	"complete -F _interactctl interactctl\n";

static void
print_bash(void)
{
	fputs(bash_head, stdout);
	fputs("\tlocal commands='", stdout);
	print_command_names();
	fputs("' global='", stdout);
	print_words(ctl_global_options);
	fputs("'\n\tcase $prev in\n\t-c", stdout);
	each_table(print_file_options);
	fputs(") mapfile -t COMPREPLY < <(compgen -f -- \"$cur\"); return;;\n\t-c",
		stdout);
	each_table(print_value_options);
	fputs(") return;;\n\tesac\n", stdout);
	/* The words before the cursor that are no options nor their values. */
	fputs("\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	      "\t\tword=${COMP_WORDS[i]}\n"
	      "\t\tcase $word in\n"
	      "\t\t-c",
		stdout);
	each_table(print_value_options);
	fputs(") i=$((i + 1));;\n"
	      "\t\t-*) ;;\n"
	      "\t\t*) words+=\"$word \"; after=$((after + 1));;\n"
	      "\t\tesac\n"
	      "\tdone\n"
	      "\tcommand=${words% }\n"
	      "\t[ $after -gt 2 ] && command=$(cut -d' ' -f1,2 <<<\"$command\")\n"
	      "\tcase $command in\n",
		stdout);
	for (size_t i = 0; ctl_commands[i]; i++)
		print_command_case(ctl_commands[i]);
	fputs("\t\t*) what='';;\n", stdout);
	fputs(bash_tail, stdout);
}

static int
run_completion(struct ctl *ctl, const struct ctl_args *a)
{
	(void)ctl;
	if (!str_eq(a->words[0], "bash"))
		return args_wrong(
			"completion", "only bash is known, not %s", a->words[0]);
	print_bash();
	return CTL_OK;
}

const struct ctl_command cmd_completion = {
	.name = "completion",
	.usage = "bash",
	.group = GROUP,
	.summary = "a script that completes commands in the shell",
	.help = "Commands, options, files, and the names of agents and channels, for\n"
		"which the daemon is asked.\n"
		"\n"
		"  . <(interactctl completion bash)\n"
		"  interactctl completion bash >/etc/bash_completion.d/interactctl\n",
	.min_words = 1,
	.max_words = 1,
	.run = run_completion,
};

/* ---- manual ----------------------------------------------------------------------- */

/* Text of roff (mdoc(7)): no line may begin with a control character, a backslash is
 * written as such and a minus stays one that can be copied. */
static void
put_roff(const char *s)
{
	bool at_start = true;
	for (; *s; s++) {
		if (at_start && (*s == '.' || *s == '\''))
			fputs("\\&", stdout);
		if (*s == '\\')
			fputs("\\e", stdout);
		else if (*s == '-')
			fputs("\\-", stdout);
		else
			putchar(*s);
		at_start = *s == '\n';
	}
}

static void
put_line(const char *text)
{
	put_roff(text);
	putchar('\n');
}

static void
put_options(const struct ctl_option *o)
{
	puts(".Bl -tag -width Ds");
	for (; o && o->name; o++) {
		printf(".It Fl \\-");
		put_roff(o->name);
		if (o->value) {
			fputs(" Ar ", stdout);
			put_roff(o->value);
		}
		putchar('\n');
		put_line(o->help);
	}
	puts(".El");
}

static void
put_command(const struct ctl_command *c)
{
	fputs(".It ", stdout);
	put_roff(c->name);
	if (c->usage[0]) {
		putchar(' ');
		put_roff(c->usage);
	}
	putchar('\n');
	put_line(c->summary);
	if (c->help) {
		puts(".Bd -literal");
		put_roff(c->help);
		puts(".Ed");
	}
	if (c->options && c->options->name)
		put_options(c->options);
}

static void
put_commands(void)
{
	const char *group = "";
	for (size_t i = 0; ctl_commands[i]; i++) {
		const struct ctl_command *c = ctl_commands[i];
		if (!str_eq(group, c->group)) {
			if (*group)
				puts(".El");
			printf(".Ss ");
			put_line(c->group);
			puts(".Bl -tag -width Ds");
		}
		group = c->group;
		put_command(c);
	}
	puts(".El");
}

static const char manual_head[] =
	".Dd November 21, 2026\n.Dt INTERACTCTL 1\n.Os\n"
	".Sh NAME\n.Nm interactctl\n.Nd operate interactd\n"
	".Sh SYNOPSIS\n.Nm\n.Op Ar options\n.Ar command\n.Op Ar arguments\n"
	".Nm\n.Cm help\n.Op Ar command\n"
	".Sh DESCRIPTION\n"
	"Everything that an operator of\n.Xr interactd 8\ndoes.\n"
	"It speaks the daemon's HTTP API:\n"
	"over the operator's Unix socket, where root and the daemon's own user need no "
	"key,\nor to\n.Fl \\-url\nwith a\n.Fl \\-key .\n"
	"Results go to standard output, everything else to standard error.\n"
	".Pp\nOptions of every command:\n";

static const char manual_tail[] =
	".Sh ENVIRONMENT\n.Bl -tag -width Ds\n"
	".It Ev INTERACTD_URL , Ev INTERACTD_KEY\n"
	"The same as\n.Fl \\-url\nand\n.Fl \\-key .\n"
	".It Ev NO_COLOR\nNo colours.\n.El\n"
	".Sh FILES\n.Bl -tag -width Ds\n"
	".It Pa " CTL_DEFAULT_CONF "\nWhere the socket is read from.\n"
	".It Pa " CTL_DEFAULT_SOCKET
	"\nThe socket, where the configuration says nothing.\n"
	".El\n"
	".Sh EXIT STATUS\n.Bl -tag -width Ds\n"
	".It 0\nDone.\n"
	".It 1\nThe daemon, or the database, said no.\n"
	".It 2\nThe command line or the configuration is wrong.\n"
	".It 3\nNobody answered.\n"
	".It 4\nThere is no such thing.\n.El\n"
	".Sh SEE ALSO\n.Xr interactd.conf 5 ,\n.Xr interactd-driver 7 ,\n.Xr interactd 8\n";

static int
run_manual(struct ctl *ctl, const struct ctl_args *a)
{
	(void)ctl;
	(void)a;
	fputs(manual_head, stdout);
	put_options(ctl_global_options);
	puts(".Sh COMMANDS");
	put_commands();
	fputs(manual_tail, stdout);
	return CTL_OK;
}

const struct ctl_command cmd_manual = {
	.name = "manual",
	.usage = "",
	.group = GROUP,
	.summary = "this program's manual page, as man(1) reads it",
	.help = "All commands with their options and examples on one page.\n"
		"\n"
		"  interactctl manual | man -l -\n",
	.run = run_manual,
};
