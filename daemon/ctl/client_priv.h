/* client_priv.h - what client.c and client_stream.c share; nobody else includes it. */
#ifndef INTERACTD_CTL_CLIENT_PRIV_H
#define INTERACTD_CTL_CLIENT_PRIV_H

#include <ctl/client.h>
#include <ctl/print.h>

#include <curl/curl.h>

struct client_target {
	const char *socket; /* NULL = by base */
	const char *key;
	char base[512];
};

struct client_request {
	CURL *curl;
	struct curl_slist *headers;
	char *body; /* json_dumps' */
	struct client_target target;
	char error[CURL_ERROR_SIZE];
};

/* 0, or an exit code after a message; fini in any case. The headers are complete, and
 * CURLOPT_HTTPHEADER is set, when the caller has added its own. */
int client_request_init(struct ctl *, struct client_request *, const char *path);
void client_request_fini(struct client_request *);
const char *client_curl_error(const struct client_request *, CURLcode);
/* CURLOPT_WRITEFUNCTION for a struct buf: at most 64 MiB. */
size_t client_on_body(char *data, size_t size, size_t n, void *text);
int client_unreachable(const struct ctl *, const struct client_request *, CURLcode);

#endif
