/* ctl.h - interactctl: what its files share.
 *
 *	main.c          arguments, dispatch
 *	args.c          reading options and words, by a command's table
 *	help.c          the overview and each command's page
 *	client.c        HTTP to the daemon; client_stream.c, sse.c: its streams;
 *	                client_upload.c, client_download.c: long bodies
 *	print.c         tables, colours, widths, safe text
 *	value.c         the API's JSON
 *	cmd_*.c         the commands, by subject
 *
 * interactctl speaks the HTTP API only; `db` goes to PostgreSQL itself and `spool status
 * --dir` reads files, because both must work while the daemon is down. Results go to
 * stdout, everything else to stderr. */
#ifndef INTERACTD_CTL_CTL_H
#define INTERACTD_CTL_CTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ctl_exit {
	CTL_OK = 0,
	CTL_REFUSED = 1,     /* the daemon (or the database) said no */
	CTL_USAGE = 2,	     /* the command line or the configuration is wrong */
	CTL_UNREACHABLE = 3, /* nobody answered */
	CTL_NOT_FOUND = 4,
};

#define CTL_DEFAULT_CONF   "/etc/interactd/interactd.conf"
#define CTL_DEFAULT_SOCKET "/run/interactd/interactd.sock"

struct conf;

struct pg_sync;

/* What the options that every command takes said, and the terminal. */
struct ctl {
	const char *tenant;    /* NULL = the daemon's choice, "default" */
	const char *url, *key; /* over TCP; else the socket */
	char *key_text;	       /* what a key's file held, or NULL; ours */
	const char *ca_file;
	const char *socket; /* --socket */
	const char *conf_path;
	bool conf_given; /* -c was: a file that cannot be read is an error then */
	struct conf *conf;
	char reached[600]; /* for messages: what is, or was, tried */
	bool json;
	bool reader_gone; /* stdout's: `… | head` has seen enough, that is no failure */
	bool color;	  /* stdout is a terminal that has some */
	unsigned columns; /* of the terminal; 0: not one, nothing is cut */
};

/* One `--name`, or `--name VALUE`; a table ends with a NULL name. */
struct ctl_option {
	const char *name;
	const char *value; /* what the help calls its value; NULL: it takes none */
	const char *help;  /* "may be given several times" is said here */
};

struct ctl_given {
	const struct ctl_option *option;
	const char *value; /* NULL if it takes none */
};

struct ctl_args {
	const char **words; /* after the command's own */
	unsigned n_words;
	struct ctl_given *given;
	unsigned n_given;
};

struct ctl_command {
	const char *name;  /* "contact find" */
	const char *usage; /* "IDENTITY|NAME [--limit N]" */
	const char *group; /* heading of the overview */
	const char *summary;
	const char *help; /* what it does and examples */
	const struct ctl_option *options;
	unsigned min_words, max_words;
	int (*run)(struct ctl *, const struct ctl_args *); /* enum ctl_exit */
};

extern const struct ctl_command *const ctl_commands[]; /* ends with NULL */
extern const struct ctl_option ctl_global_options[];

/* args.c. 0, or CTL_USAGE after a message. *command_r is NULL if no command was given,
 * or for `help`, `--help`: then *help_r is what about ("" = everything). */
int args_parse(struct ctl *, int argc, char **argv,
	const struct ctl_command **command_r, struct ctl_args *, char help_r[128]);
void args_fini(struct ctl_args *);
/* The last value given for --name; NULL if none. */
const char *args_get(const struct ctl_args *, const char *name);
bool args_has(const struct ctl_args *, const char *name);
/* The n-th value of an option that may come several times; NULL past the end. */
const char *args_nth(const struct ctl_args *, const char *name, unsigned n);
/* Fails with CTL_USAGE after a message; 0 and *n_r (untouched if not given) else. */
int args_int(const struct ctl_args *, const char *name, int64_t min, int64_t max,
	int64_t *n_r);
/* "3600", "30m", "12h", "7d" to seconds: 0 and *s_r (untouched if text is NULL), or
 * CTL_USAGE after a message about COMMAND's --OPTION. */
int
args_seconds(const char *command, const char *option, const char *text, int64_t *s_r);
/* Says on stderr what is wrong with how COMMAND was called. Returns CTL_USAGE. */
int args_wrong(const char *command, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* help.c */
void help_overview(const struct ctl *);
void help_command(const struct ctl *, const struct ctl_command *);
/* `help contact`: every command that begins so; false if there is none. */
bool help_topic(const struct ctl *, const char *topic);
/* The command nearest to a mistyped one, or NULL. */
const char *help_nearest(const char *word);

/* client.c: the configuration, read once and only when asked for; NULL and *rc_r after
 * a message if it cannot be. */
const struct conf *ctl_conf(struct ctl *, int *rc_r);

/* cmd_db.c: a connection by the configuration's conninfo; NULL and *rc_r after a
 * message. */
struct pg_sync *ctl_connect_db(struct ctl *, int *rc_r);

/* cmd_*.c */
extern const struct ctl_command cmd_status, cmd_channels, cmd_calls, cmd_call_dial,
	cmd_pops;
extern const struct ctl_command cmd_contact_find, cmd_contact_show, cmd_contact_people,
	cmd_contact_add, cmd_contact_set, cmd_import, cmd_export, cmd_timeline,
	cmd_interaction_show;
extern const struct ctl_command cmd_contact_merge, cmd_contact_unmerge,
	cmd_suggestions_list, cmd_suggestions_accept, cmd_suggestions_reject;
extern const struct ctl_command cmd_preferences, cmd_decide, cmd_consent_list,
	cmd_consent_record, cmd_consent_verify, cmd_suppression_list,
	cmd_suppression_add, cmd_suppression_remove, cmd_suppression_import;
extern const struct ctl_command cmd_segments_list, cmd_segments_show,
	cmd_segments_create, cmd_segments_set, cmd_segments_delete, cmd_segments_count,
	cmd_segments_preview;
extern const struct ctl_command cmd_agent_list, cmd_agent_show, cmd_agent_add,
	cmd_agent_set, cmd_agent_state, cmd_agent_token, cmd_agent_tokens,
	cmd_agent_revoke;
extern const struct ctl_command cmd_apikey_create, cmd_apikey_set, cmd_apikey_list,
	cmd_apikey_revoke, cmd_audit;
extern const struct ctl_command cmd_db_migrate, cmd_db_check, cmd_db_status,
	cmd_channel_check, cmd_channel_resync, cmd_lookup, cmd_channel_gaps,
	cmd_spool_status, cmd_quarantine_list, cmd_quarantine_retry;
extern const struct ctl_command cmd_webhook_add, cmd_webhook_list, cmd_webhook_show,
	cmd_webhook_set, cmd_webhook_remove, cmd_webhook_test, cmd_webhook_deliveries,
	cmd_webhook_replay;
extern const struct ctl_command cmd_privacy_report, cmd_privacy_erase,
	cmd_privacy_retention, cmd_tenant_report_role;
extern const struct ctl_command cmd_completion, cmd_manual;

#endif
