/* http.c - the HTTP server as a whole: options, TLS, counters, its end.
 *
 * The parser is our own (http_parser.c) on libevent's bufferevents and not evhttp:
 * evhttp 2.1 takes "Host : a" and NULs in values, restarts its time-outs with every
 * byte that drips in, knows no limit of connections, and answers refusals in HTML.
 * http_priv.h says which file does what. */
#include "io/http_priv.h"

#include <clock.h>
#include <log.h>
#include <mem.h>
#include <str.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "io/loop.h"

#include <assert.h>
#include <string.h>

#define LOG_EVERY_US (60 * 1000000LL)

void
http_server_log(
	struct http_server *s, enum http_cause cause, const char *peer, const char *why)
{
	int64_t now = clock_mono_us();

	log_debug("http", "refused %s: %s", peer, why);
	if (s->logged_us[cause] && now - s->logged_us[cause] < LOG_EVERY_US) {
		s->unlogged[cause]++;
		return;
	}
	if (s->unlogged[cause])
		log_info("http", "refused %s: %s (%u more of this kind since)", peer,
			why, s->unlogged[cause]);
	else
		log_info("http", "refused %s: %s", peer, why);
	s->logged_us[cause] = now;
	s->unlogged[cause] = 0;
}

bool
http_server_allows_origin(const struct http_server *s, const char *origin)
{
	if (!s || !*origin)
		return false;
	if (s->n_origins == 1 && strcmp(s->origins[0], "*") == 0)
		return true;
	for (size_t i = 0; i < s->n_origins; i++)
		if (str_ieq(s->origins[i], origin))
			return true;
	return false;
}

/* OpenSSL's own words for what it could not do with a file. */
static SSL_CTX *
tls_fail(SSL_CTX *ctx, const char *what, const char *path, struct err *e)
{
	char text[160];

	ERR_error_string_n(ERR_peek_last_error(), text, sizeof(text));
	ERR_clear_error();
	err_set(e, "cannot use %s %s: %s", what, path, text);
	SSL_CTX_free(ctx);
	return NULL;
}

static SSL_CTX *
tls_new(const char *cert, const char *key, struct err *e)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	if (!ctx)
		return tls_fail(NULL, "TLS with", cert, e);
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	if (SSL_CTX_use_certificate_chain_file(ctx, cert) != 1)
		return tls_fail(ctx, "the certificate tls_cert =", cert, e);
	if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1 ||
		SSL_CTX_check_private_key(ctx) != 1)
		return tls_fail(ctx, "the key tls_key =", key, e);
	return ctx;
}

int
http_reload_tls(struct http_server *s, const char *cert, const char *key, struct err *e)
{
	SSL_CTX *ctx;

	assert(s->tls && cert && key);
	ctx = tls_new(cert, key, e);
	if (!ctx)
		return -1;
	SSL_CTX_free(s->tls); /* open connections hold it on */
	s->tls = ctx;
	return 0;
}

static int
server_setup(struct http_server *s, const struct http_opts *o, struct err *e)
{
	if (!!o->tls_cert != !!o->tls_key)
		return err_set(e, "tls_cert and tls_key go together");
	if (o->tls_cert) {
		s->tls = tls_new(o->tls_cert, o->tls_key, e);
		if (!s->tls)
			return -1;
	}
	return http_server_listen(s, o, e);
}

static void
origins_set(struct http_server *s, const struct conf_list *l)
{
	for (size_t i = 0; i < s->n_origins; i++)
		mem_free(s->origins[i]);
	xfree(&s->origins);
	s->n_origins = l ? l->n : 0;
	s->origins = s->n_origins ? xcalloc(s->n_origins, sizeof(char *)) : NULL;
	for (size_t i = 0; i < s->n_origins; i++)
		s->origins[i] = xstrdup(l->items[i]);
}

void
http_reload_origins(struct http_server *s, const struct conf_list *origins)
{
	origins_set(s, origins);
}

struct http_server *
http_open(struct loop *loop, const struct http_opts *o, struct err *e)
{
	struct http_server *s = xcalloc(1, sizeof(*s));

	s->loop = loop;
	s->opts = *o;
	if (!s->opts.ping_ms)
		s->opts.ping_ms = 30000;
	list_init(&s->conns);
	list_init(&s->requests);
	list_init(&s->streams);
	map_init(&s->peers);
	s->resume = loop_timer_new(loop, http_server_resume, s);
	origins_set(s, o->origins);
	if (server_setup(s, o, e))
		http_close(&s);
	return s;
}

static void
server_free(void *arg)
{
	struct http_server *s = arg;

	for (size_t i = 0; i < s->n_routes; i++)
		http_route_free(s->routes[i]);
	mem_free(s->routes);
	mem_free(s->listeners);
	mem_free(s->socket);
	origins_set(s, NULL);
	map_fini(&s->peers);
	SSL_CTX_free(s->tls);
	mem_free(s);
}

void
http_close(struct http_server **server)
{
	struct http_server *s = *server;

	*server = NULL;
	if (!s)
		return;
	s->closing = true;
	http_server_unlisten(s);
	while (!list_is_empty(&s->streams))
		http_stream_shutdown(
			LIST_ENTRY(s->streams.next, struct http_stream, link));
	while (!list_is_empty(&s->requests)) { /* their handlers answer into nothing */
		struct http_request *r =
			LIST_ENTRY(s->requests.next, struct http_request, link);
		list_remove(&r->link);
		r->server = NULL;
	}
	while (!list_is_empty(&s->conns)) {
		struct http_conn *c = LIST_ENTRY(s->conns.next, struct http_conn, link);
		http_conn_flush_now(c);
		http_conn_close(c, "the server ends");
	}
	loop_timer_free(&s->resume);
	loop_free_later(s->loop, server_free, s);
}

void
http_set_before(struct http_server *s, http_before_fn *fn, void *arg)
{
	s->before = fn;
	s->before_arg = arg;
}

void
http_set_after(struct http_server *s, http_after_fn *fn, void *arg)
{
	s->after = fn;
	s->after_arg = arg;
}

void
http_get_counters(const struct http_server *s, struct http_counters *dst)
{
	*dst = s->counters;
}
