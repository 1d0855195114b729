/* http.c - the HTTP server as a whole: options, listeners, TLS, counters, its end.
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

#include <event2/event.h>
#include <event2/listener.h>
#include <event2/util.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "io/loop.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG		511
#define UNIX_RESERVE	16 /* connections the operator has when the public took all */
#define ACCEPT_PAUSE_MS 1000
#define LOG_EVERY_US	(60 * 1000000LL)

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

void
http_server_update_listeners(struct http_server *s)
{
	unsigned n = s->counters.connections, max = s->opts.max_connections;

	if (s->closing)
		return;
	if (max && n == max)
		http_server_log(s, HTTP_CAUSE_TOTAL_LIMIT, "more connections",
			"max_connections is reached, accepting pauses");
	for (size_t i = 0; i < s->n_listeners; i++) {
		struct http_listener *l = &s->listeners[i];
		unsigned own_max = max + (l->is_unix ? UNIX_RESERVE : 0);
		if (s->paused || (max && n >= own_max))
			evconnlistener_disable(l->ev);
		else
			evconnlistener_enable(l->ev);
	}
}

static void
accept_cb(struct evconnlistener *ev, evutil_socket_t fd, struct sockaddr *sa, int len,
	void *arg)
{
	(void)ev;
	(void)len;
	http_conn_accept(arg, fd, sa);
}

static void
on_resume(void *arg)
{
	struct http_server *s = arg;

	s->paused = false;
	http_server_update_listeners(s);
}

/* Most likely out of descriptors: the connection stays in the backlog, so trying at
 * once would spin. */
static void
accept_error_cb(struct evconnlistener *ev, void *arg)
{
	struct http_listener *l = arg;

	(void)ev;
	http_server_log(l->server, HTTP_CAUSE_ACCEPT, "a connection",
		evutil_socket_error_to_string(EVUTIL_SOCKET_ERROR()));
	l->server->paused = true;
	http_server_update_listeners(l->server);
	loop_timer_start(l->server->resume, ACCEPT_PAUSE_MS);
}

/* Takes fd. The server's listeners array must have its final size. */
static int
listener_add(
	struct http_server *s, int fd, bool is_unix, const char *name, struct err *e)
{
	struct http_listener *l = &s->listeners[s->n_listeners];

	l->server = s;
	l->is_unix = is_unix;
	l->ev = evconnlistener_new(loop_base(s->loop), accept_cb, l,
		LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, BACKLOG, fd);
	if (!l->ev) {
		err_errno(e, "cannot listen on %s", name);
		close(fd);
		return -1;
	}
	evconnlistener_set_error_cb(l->ev, accept_error_cb);
	s->n_listeners++;
	return 0;
}

/* "127.0.0.1:8080" or "[::1]:8080"; port 0 lets the kernel choose. */
static int
parse_address(const char *s, struct sockaddr_storage *ss, int *len_r)
{
	const char *colon = strrchr(s, ':');
	char host[80];
	int64_t port;

	*len_r = sizeof(*ss);
	memset(ss, 0, sizeof(*ss));
	if (!colon || !str_int(colon + 1, 0, 65535, &port) ||
		(size_t)(colon - s) >= sizeof(host))
		return -1;
	memcpy(host, s, (size_t)(colon - s));
	host[colon - s] = '\0';
	if (*host != '[' && strchr(host, ':'))
		return -1;
	if (evutil_parse_sockaddr_port(host, (struct sockaddr *)ss, len_r))
		return -1;
	if (ss->ss_family == AF_INET6)
		((struct sockaddr_in6 *)ss)->sin6_port = htons((uint16_t)port);
	else
		((struct sockaddr_in *)ss)->sin_port = htons((uint16_t)port);
	return 0;
}

int
http_check_listen(const char *address, struct err *e)
{
	struct sockaddr_storage ss;
	int len;

	if (parse_address(address, &ss, &len) == 0)
		return 0;
	return err_set(e, "write an IP address and a port, as in 127.0.0.1:8080 or "
			  "[::1]:8080");
}

static int
listen_tcp(struct http_server *s, const char *address, struct err *e)
{
	struct sockaddr_storage ss;
	struct err why;
	int len, fd, one = 1;

	if (http_check_listen(address, &why))
		return err_set(e, "cannot listen on %s: %s", address, why.text);
	parse_address(address, &ss, &len);
	fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_errno(e, "cannot listen on %s", address);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	/* Inherited by what is accepted; without it a TLS handshake costs 40 ms more.
	 */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&ss, (socklen_t)len)) {
		err_errno(e, "cannot listen on %s", address);
		close(fd);
		return -1;
	}
	if (listener_add(s, fd, false, address, e))
		return -1;
	s->n_tcp++;
	return 0;
}

/* A socket file that nobody listens on any more is what a crash leaves. */
static int
remove_stale(const char *path, const struct sockaddr_un *sun, struct err *e)
{
	struct stat st;
	int fd, r;

	if (lstat(path, &st))
		return errno == ENOENT ? 0 : err_errno(e, "cannot look at %s", path);
	if (!S_ISSOCK(st.st_mode))
		return err_set(
			e, "cannot listen on %s: it is there and no socket", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_errno(e, "cannot listen on %s", path);
	r = connect(fd, (const struct sockaddr *)sun, sizeof(*sun)) ? errno : 0;
	close(fd);
	if (r == 0 || r == EAGAIN)
		return err_set(e,
			"cannot listen on %s: another process listens there already",
			path);
	errno = r;
	if (r != ECONNREFUSED)
		return err_errno(
			e, "cannot tell whether the socket %s is in use", path);
	if (unlink(path))
		return err_errno(e, "cannot remove the stale socket %s", path);
	return 0;
}

static int
listen_unix(struct http_server *s, const char *path, struct err *e)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	struct stat st;
	int fd, r;

	if (str_copy(sun.sun_path, sizeof(sun.sun_path), path) >= sizeof(sun.sun_path))
		return err_set(e,
			"cannot listen on %s: a socket's path has at most %zu bytes",
			path, sizeof(sun.sun_path) - 1);
	if (remove_stale(path, &sun, e))
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_errno(e, "cannot listen on %s", path);
	mode_t mask =
		umask(0177); /* never open to more than we say, not for a moment */
	r = bind(fd, (struct sockaddr *)&sun, sizeof(sun));
	umask(mask);
	if (r || chmod(path, 0660) || lstat(path, &st)) {
		err_errno(e, "cannot listen on %s", path);
		close(fd);
		return -1;
	}
	if (listener_add(s, fd, true, path, e))
		return -1;
	s->listeners[s->n_listeners - 1].dev = st.st_dev;
	s->listeners[s->n_listeners - 1].ino = st.st_ino;
	s->socket = xstrdup(path);
	return 0;
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
	size_t n = o->listen ? o->listen->n : 0;

	if (!!o->tls_cert != !!o->tls_key)
		return err_set(e, "tls_cert and tls_key go together");
	if (o->tls_cert) {
		s->tls = tls_new(o->tls_cert, o->tls_key, e);
		if (!s->tls)
			return -1;
	}
	s->listeners = xcalloc(n + 1, sizeof(*s->listeners));
	for (size_t i = 0; i < n; i++)
		if (listen_tcp(s, o->listen->items[i], e))
			return -1;
	return str_empty(o->socket) ? 0 : listen_unix(s, o->socket, e);
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
	s->resume = loop_timer_new(loop, on_resume, s);
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

static void
remove_socket(const struct http_server *s, const struct http_listener *l)
{
	struct stat st;

	if (l->is_unix && lstat(s->socket, &st) == 0 && st.st_dev == l->dev &&
		st.st_ino == l->ino)
		unlink(s->socket);
}

void
http_close(struct http_server **server)
{
	struct http_server *s = *server;

	*server = NULL;
	if (!s)
		return;
	s->closing = true;
	for (size_t i = 0; i < s->n_listeners; i++) {
		if (s->socket)
			remove_socket(s, &s->listeners[i]);
		evconnlistener_free(s->listeners[i].ev);
	}
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

int
http_port(const struct http_server *s, size_t i)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	if (i >= s->n_tcp || getsockname(evconnlistener_get_fd(s->listeners[i].ev),
				     (struct sockaddr *)&ss, &len))
		return 0;
	if (ss.ss_family == AF_INET6)
		return ntohs(((struct sockaddr_in6 *)&ss)->sin6_port);
	return ntohs(((struct sockaddr_in *)&ss)->sin_port);
}
