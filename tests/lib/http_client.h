/* http_client.h - a raw client socket that shares the server's loop, for unit tests.
 * What it sends is exactly what it is given; what comes back is kept as text. */
#ifndef INTERACTD_TESTS_HTTP_CLIENT_H
#define INTERACTD_TESTS_HTTP_CLIENT_H

#include <io/loop.h>
#include <stdbool.h>
#include <stddef.h>

struct client;

struct client *client_open(struct loop *, int port);  /* 127.0.0.1; aborts on failure */
struct client *client_open6(struct loop *, int port); /* ::1 */
struct client *client_open_unix(struct loop *, const char *path);
void client_free(struct client **);
void client_reset(struct client **);   /* closes with RST */
void client_shutdown(struct client *); /* no more is sent */
/* Sends all of it, running the loop while the socket is full. */
void client_send(struct client *, const void *data, size_t len);
/* Runs the loop and reads what comes, for that long. */
void client_run(struct client *, int ms);
/* Runs the loop until `part` has come; false if it has not within 5 s or at the end. */
bool client_wait(struct client *, const char *part);
/* Until that many bytes have come. */
bool client_wait_len(struct client *, size_t len);
bool client_wait_end(struct client *); /* until the server has closed */
/* All that has come; NULs inside are kept, *len_r (may be NULL) counts them. */
const char *client_bytes(const struct client *, size_t *len_r);
const char *client_text(const struct client *);
void client_forget(struct client *); /* what has come so far */

#endif
