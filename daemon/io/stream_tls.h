/* stream_tls.h - private to stream.c: the OpenSSL side of a client connection. */
#ifndef INTERACTD_IO_STREAM_TLS_H
#define INTERACTD_IO_STREAM_TLS_H

#include <err.h>
#include <stream.h>

struct ssl_st;

/* A client's TLS state for a peer known as host (name for SNI and the certificate, or a
 * numeric address for the certificate only). Returns, caller frees with SSL_free (or
 * gives it to a bufferevent); NULL and err when the CA file cannot be read. */
struct ssl_st *
stream_tls_new(const struct stream_opts *, const char *host, struct err *);
/* Why the handshake or connection failed, for a person; code as
 * bufferevent_get_openssl_error gives it, 0 if there is none. */
void stream_tls_explain(struct ssl_st *, unsigned long code, char *dst, size_t cap);
/* Sends what fits in one record, then close_notify (RFC 8446 §6.1), as far as the
 * socket takes it at once. */
void stream_tls_goodbye(struct ssl_st *, const void *data, size_t len);

#endif
