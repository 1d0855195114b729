/* ami.h - the Asterisk Manager Interface's wire format: bytes to messages, and back.
 *
 * Pure: no I/O. A message is "Key: value" lines ended by CRLF, closed by an empty line; a
 * bare LF may stand inside a value. Keys repeat. The first line of a connection is a
 * banner without an empty line. See Asterisk's manager documentation ("AMI v2
 * Specification"); what real ones send is in tests/data. */
#ifndef INTERACTD_ASTERISK_AMI_H
#define INTERACTD_ASTERISK_AMI_H

#include <buf.h>
#include <stdbool.h>
#include <stddef.h>

#define AMI_LINES_MAX	512	    /* more lines: the message is refused */
#define AMI_MESSAGE_MAX (64 * 1024) /* longer: refused, skipped to its end */

struct ami_line {
	const char *key,
		*value; /* end with NUL; value is as on the wire (not unescaped) */
	size_t key_len, value_len;
};

/* One message; lines point into the parser's memory, valid inside the callback only. */
struct ami_message {
	struct ami_line lines[AMI_LINES_MAX];
	size_t n;
};

enum ami_refusal { AMI_TOO_LONG, AMI_TOO_MANY_LINES, AMI_NO_COLON, AMI_NUL };
const char *ami_refusal_text(enum ami_refusal);

struct ami_parser_callbacks {
	void (*on_banner)(void *arg, const char *line);
	void (*on_message)(void *arg, const struct ami_message *);
	/* A line without a colon is left out and its message still given; a message that is
	 * too long is skipped whole. `detail` is the start of it, made printable. */
	void (*on_refused)(void *arg, enum ami_refusal, const char *detail);
};

struct ami_parser;
struct ami_parser *ami_parser_new(const struct ami_parser_callbacks *, void *arg);
void ami_parser_free(struct ami_parser **); /* also inside a callback */
/* Any cut of the stream gives the same messages. Returns false once the stream cannot be
 * AMI (no banner in the first 1 KiB); *why_r says it then. */
bool
ami_parser_feed(struct ami_parser *, const char *data, size_t len, const char **why_r);

/* The first line of that key (case-insensitive, as Asterisk's own), or NULL. */
const char *ami_get(const struct ami_message *, const char *key);
/* The same, with the spellings of "nothing" ("", "<unknown>", "<none>") as NULL. */
const char *ami_get_known(const struct ami_message *, const char *key);
/* The n-th line of that key, or NULL. */
const char *ami_get_nth(const struct ami_message *, const char *key, size_t n);
/* Undoes AMI's C escapes (\" \\ \t \n \r), in place over a copy appended to out. */
void ami_unescape(struct buf *out, const char *value);

/* Writing an action: CR, LF and NUL in keys or values end up as a blank, so no field can
 * smuggle a line. */
void ami_action_begin(struct buf *, const char *action, const char *action_id);
void ami_action_add(struct buf *, const char *key, const char *value);
void ami_action_end(struct buf *);

#endif
