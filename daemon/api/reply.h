/* reply.h - between HTTP and the rooms: request bodies as JSON, answers as documents.
 */
#ifndef INTERACTD_API_REPLY_H
#define INTERACTD_API_REPLY_H

#include <api/caller.h>

/* A store_answer_fn whose arg is the request: turns it into the HTTP answer (RFC 9457
 * problems, 201 with Location, 503 with Retry-After, replays). */
void reply_from_store(void *request, const struct store_answer *);

/* The body as a JSON object, or NULL after a 400 or 415 has been answered. The caller
 * frees it with json_decref. */
json_t *reply_body(struct http_request *);
/* Fills idem from the Idempotency-Key header; NULL if there is none; false after a 400
 * has been answered. *idem_r points to idem or is NULL. */
bool reply_idempotency(struct http_request *, struct idempotency *idem,
	const struct idempotency **idem_r);
/* The first {} of the path as an id, or false after a 404 has been answered. */
bool reply_path_uuid(struct http_request *, struct uuid *id_r);
/* ?limit=, 1 to max; false after a 400. */
bool reply_limit(struct http_request *, unsigned def, unsigned max, unsigned *limit_r);
/* ?name=true or false (or 1, 0); false after a 400. */
bool reply_flag(struct http_request *, const char *name, bool def, bool *flag_r);
/* Only these query parameters are known (NULL-terminated); false after a 400. */
bool reply_query_known(struct http_request *, const char *const *names);

#endif
