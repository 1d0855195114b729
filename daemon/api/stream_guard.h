/* stream_guard.h - a stream lives no longer than the key or token that opened it.
 *
 * Nor than a key's sight: whoever changes it ends the streams opened with it.
 * Every STREAM_GUARD_MS the database is asked whether that credential still holds; when
 * it was revoked or has expired, the stream is closed (WebSocket: 1008). While the
 * database is away streams stay. */
#ifndef INTERACTD_API_STREAM_GUARD_H
#define INTERACTD_API_STREAM_GUARD_H

#include <api/caller.h>

#define STREAM_GUARD_MS 10000

struct stream_guard;

/* hash and sight: struct caller's; "" (the operator's socket): nothing is asked. The
 * stream is borrowed: the guard goes in its on_close. */
struct stream_guard *stream_guard_new(
	struct app *, struct http_stream *, const char *hash, const struct sight *);
void stream_guard_free(struct stream_guard **);

#endif
