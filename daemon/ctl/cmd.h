/* cmd.h - what several commands do alike. */
#ifndef INTERACTD_CTL_CMD_H
#define INTERACTD_CTL_CMD_H

#include <ctl/client.h>
#include <ctl/ctl.h>
#include <ctl/print.h>
#include <ctl/value.h>

/* Asks, and prints the answer's JSON with --json, else by show. Returns the exit code. */
typedef int cmd_show_fn(const struct ctl *, const json_t *answer);
int cmd_run(struct ctl *, const char *method, const char *path, const json_t *body,
	cmd_show_fn *show);

/* The contact that was meant: an id, an address (phone:+86…, a bare number, an e-mail
 * address) or a name. CTL_OK and its id; CTL_NOT_FOUND or CTL_REFUSED (several) after a
 * message. */
int cmd_contact_id(struct ctl *, const char *what, char id_r[37]);
/* The segment of that name or id. CTL_OK and its id, or CTL_NOT_FOUND after a message. */
int cmd_segment_id(struct ctl *, const char *what, char id_r[37]);
/* The path that finds contacts by it: ?identity= or ?q=. */
struct buf;
void cmd_contact_path(struct buf *path, const char *what);

/* cmd_contact.c: one contact, as `contact show` prints it. */
cmd_show_fn cmd_contact_print;
/* "phone:+86…" from { kind, value }; safe text. */
void cmd_identity(struct buf *, const json_t *identity);
/* The other end of a call or message: number, name, withheld. Safe text. */
void cmd_remote(struct buf *, const json_t *remote);
/* "call in", "email out". */
const char *cmd_direction(const json_t *interaction);
/* An agent's state as two cells: what (with its reason), and since when. */
struct table;
void cmd_agent_state_cells(struct table *, const json_t *state);
/* The option's values as an array at body[name]; "" = an empty one, `all` = null. Nothing
 * if the option was not given. */
void cmd_set_limit(
	json_t *body, const struct ctl_args *, const char *option, const char *name);
/* "supplier, agency", or "all" for null. */
void cmd_limit(struct buf *, const json_t *list);
/* A list's page ended before the list: how to read on, on stderr. */
void cmd_more(const json_t *list, const char *option);

#endif
