/* client.h - HTTP to the daemon: over the operator's Unix socket, or --url with a key.
 *
 * A failure has been told on stderr when these return its exit code, with the problem's
 * detail as the daemon gave it. */
#ifndef INTERACTD_CTL_CLIENT_H
#define INTERACTD_CTL_CLIENT_H

#include <buf.h>
#include <ctl/ctl.h>
#include <jansson.h>

struct client_answer {
	long status;
	struct buf text; /* as it came, at most 64 MiB */
	json_t *json;	 /* NULL if it is none (204) */
};
void client_answer_fini(struct client_answer *);

/* body (borrowed) may be NULL. CTL_OK on 2xx; the answer is to be freed in any case. */
int client_call(struct ctl *, const char *method, const char *path, const json_t *body,
	struct client_answer *);
/* For answers that are results whatever their status is. */
int client_call_any(struct ctl *, const char *method, const char *path,
	const json_t *body, struct client_answer *);
/* Tells what a status above 299 means. */
int client_refused(const struct ctl *, const struct client_answer *);
/* The answer's JSON as it is, on stdout. */
void client_print(const struct client_answer *);

/* A body of any length, sent as the daemon takes it (client_upload.c). CTL_OK on 2xx. */
struct client_upload {
	const char *type; /* Content-Type */
	int64_t size;	  /* bytes; -1 = not known */
	/* Puts the next bytes, 0 at the end; -1 gives up. */
	int (*fill)(void *arg, char *dst, size_t cap);
	void (*tick)(void *arg); /* now and then; may be NULL */
	void *arg;
};
int client_upload(struct ctl *, const char *path, const struct client_upload *,
	struct client_answer *);

/* An answer of any length (client_download.c). CTL_OK if it came whole; CTL_REFUSED after a
 * message if it was cut off, CTL_USAGE if take gave up. */
struct client_download {
	bool (*take)(void *arg, const char *data, size_t len);
	void *arg;
};
int client_download(struct ctl *, const char *path, const struct client_download *);

/* Server-Sent Events, for as long as they come. on_data is given each event's data, ending
 * with NUL, and returns false to end. Connects again by itself once it has been connected;
 * on_lost tells each time (why; NULL = it is back). CTL_OK if on_data ended it. */
struct client_stream {
	bool (*on_data)(void *arg, const char *data, size_t len);
	void (*on_lost)(void *arg, const char *why);
	void *arg;
};
int client_stream(struct ctl *, const char *path, const struct client_stream *);

/* Appends one segment of a path, a query's parameter (nothing if value is NULL). */
void client_path_add(struct buf *path, const char *segment);
void client_query_add(struct buf *path, const char *name, const char *value);

#endif
