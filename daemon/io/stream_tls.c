/* stream_tls.c - what a client connection wants from OpenSSL.
 *
 * Each connection has its own SSL_CTX: connections are few and long, and a CA file
 * replaced on disk is used from the next connection on. Debian's system store is a
 * directory OpenSSL looks into as needed, so making one is cheap. */
#include "io/stream_tls.h"

#include <log.h>
#include <str.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <arpa/inet.h>
#include <stdio.h>

static int
ssl_error(struct err *e, const char *what, const char *on)
{
	char text[160];

	ERR_error_string_n(ERR_get_error(), text, sizeof(text));
	ERR_clear_error();
	return err_set(e, "cannot %s %s: %s", what, on, text);
}

static bool
is_numeric(const char *host)
{
	struct in6_addr a;

	return inet_pton(AF_INET, host, &a) == 1 || inet_pton(AF_INET6, host, &a) == 1;
}

static SSL_CTX *
ctx_new(const struct stream_opts *o, struct err *e)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	if (!ctx) {
		ssl_error(e, "start", "TLS");
		return NULL;
	}
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
				      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	if (o->tls_no_verify) {
		SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
		return ctx;
	}
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	int ok = o->tls_ca ? SSL_CTX_load_verify_locations(ctx, o->tls_ca, NULL)
			   : SSL_CTX_set_default_verify_paths(ctx);
	if (ok != 1) {
		ssl_error(e, "read certificates from",
			o->tls_ca ? o->tls_ca : "the system's store");
		SSL_CTX_free(ctx);
		return NULL;
	}
	return ctx;
}

/* The certificate must be for host; without this any valid certificate would do. */
static bool
ssl_set_peer(SSL *ssl, const char *host)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
	char name[256]; /* the macro below takes no const */

	if (is_numeric(host))
		return X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1;
	str_copy(name, sizeof(name), host);
	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return X509_VERIFY_PARAM_set1_host(param, host, 0) == 1 &&
	       SSL_set_tlsext_host_name(ssl, name) == 1;
}

SSL *
stream_tls_new(const struct stream_opts *o, const char *host, struct err *e)
{
	SSL_CTX *ctx = ctx_new(o, e);
	SSL *ssl;

	if (!ctx)
		return NULL;
	ssl = SSL_new(ctx);
	SSL_CTX_free(ctx); /* ssl holds it */
	if (!ssl || !ssl_set_peer(ssl, host)) {
		ssl_error(e, "prepare TLS for", host);
		SSL_free(ssl);
		return NULL;
	}
	return ssl;
}

void
stream_tls_explain(SSL *ssl, unsigned long code, char *dst, size_t cap)
{
	long verify = SSL_get_verify_result(ssl);

	if (verify != X509_V_OK && SSL_get_verify_mode(ssl) != SSL_VERIFY_NONE)
		snprintf(dst, cap, "TLS certificate refused: %s",
			X509_verify_cert_error_string(verify));
	else if (code && ERR_reason_error_string(code))
		snprintf(dst, cap, "TLS: %s", ERR_reason_error_string(code));
	else if (code)
		snprintf(dst, cap, "TLS: error %lx", code);
	else
		str_copy(dst, cap, "TLS: the peer closed the connection");
}

void
stream_tls_goodbye(SSL *ssl, const void *data, size_t len)
{
	if (!SSL_is_init_finished(ssl))
		return;
	ERR_clear_error();
	if (len > 0 && SSL_write(ssl, data, len > 16384 ? 16384 : (int)len) <= 0) {
		ERR_clear_error();
		return;
	}
	SSL_shutdown(ssl);
	ERR_clear_error();
}
