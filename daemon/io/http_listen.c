/* http_listen.c - where the server listens: TCP addresses, the operator's socket, and
 * sockets that a service manager opened before us.
 *
 * An inherited socket takes the place of the address it is bound to, so that nobody who
 * connects while the daemon restarts is refused; one that the configuration does not
 * name is an error, as clients would wait in it for ever. Accepting pauses when all
 * connections are taken and when descriptors ran out. */
#include "io/http_priv.h"

#include <log.h>
#include <mem.h>
#include <str.h>

#include <event2/listener.h>
#include <event2/util.h>

#include "io/loop.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG		511
#define UNIX_RESERVE	16 /* connections the operator has when the public took all */
#define ACCEPT_PAUSE_MS 1000

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

void
http_server_resume(void *arg)
{
	struct http_server *s = arg;

	s->paused = false;
	http_server_update_listeners(s);
}

static void
accept_cb(struct evconnlistener *ev, evutil_socket_t fd, struct sockaddr *sa, int len,
	void *arg)
{
	(void)ev;
	(void)len;
	http_conn_accept(arg, fd, sa);
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

/* Takes fd, which listens already if a service manager passed it. The server's listeners array must have its final size. */
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
	s->n_tcp += !is_unix;
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
	return listener_add(s, fd, false, address, e);
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

/* ---- Inherited sockets ------------------------------------------------------------ */

struct inherited {
	const int *fds;
	size_t n;
	bool *taken;
};

static bool
is_bound_to_path(int fd, const char *path)
{
	struct sockaddr_un sun = {0};
	socklen_t len = sizeof(sun) - 1;

	return getsockname(fd, (struct sockaddr *)&sun, &len) == 0 &&
	       sun.sun_family == AF_UNIX && strcmp(sun.sun_path, path) == 0;
}

static bool
is_bound_to_address(int fd, const char *address)
{
	struct sockaddr_storage want, have;
	socklen_t have_len = sizeof(have);
	int len;

	if (parse_address(address, &want, &len) ||
		getsockname(fd, (struct sockaddr *)&have, &have_len))
		return false;
	return have.ss_family == want.ss_family &&
	       evutil_sockaddr_cmp(
		       (struct sockaddr *)&have, (struct sockaddr *)&want, 1) == 0;
}

/* The inherited socket bound to name, or -1. */
static int
take_inherited(struct inherited *in, bool is_unix, const char *name)
{
	for (size_t i = 0; i < in->n; i++) {
		int one = 1;
		if (in->taken[i] || !(is_unix ? is_bound_to_path(in->fds[i], name)
					      : is_bound_to_address(in->fds[i], name)))
			continue;
		in->taken[i] = true;
		evutil_make_socket_nonblocking(in->fds[i]);
		if (!is_unix)
			setsockopt(in->fds[i], IPPROTO_TCP, TCP_NODELAY, &one,
				sizeof(one));
		return in->fds[i];
	}
	return -1;
}

static int
check_all_taken(const struct inherited *in, struct err *e)
{
	for (size_t i = 0; i < in->n; i++)
		if (!in->taken[i])
			return err_set(e,
				"the service manager passes a socket (the %zu. of its "
				"socket unit) that is neither [http] socket nor in "
				"[http] listen: write the same addresses in both",
				i + 1);
	return 0;
}

/* ---- All of them ------------------------------------------------------------------ */

static int
listen_on(struct http_server *s, struct inherited *in, bool is_unix, const char *name,
	struct err *e)
{
	int fd = take_inherited(in, is_unix, name);

	if (fd >= 0)
		return listener_add(s, fd, is_unix, name, e);
	return is_unix ? listen_unix(s, name, e) : listen_tcp(s, name, e);
}

int
http_server_listen(struct http_server *s, const struct http_opts *o, struct err *e)
{
	size_t n = o->listen ? o->listen->n : 0;
	struct inherited in = {o->inherited, o->n_inherited, NULL};
	int rc = 0;

	s->listeners = xcalloc(n + 1, sizeof(*s->listeners));
	in.taken = xcalloc(in.n + 1, sizeof(*in.taken));
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = listen_on(s, &in, false, o->listen->items[i], e);
	if (rc == 0 && !str_empty(o->socket))
		rc = listen_on(s, &in, true, o->socket, e);
	if (rc == 0)
		rc = check_all_taken(&in, e);
	mem_free(in.taken);
	return rc;
}

static void
remove_socket(const struct http_server *s, const struct http_listener *l)
{
	struct stat st;

	if (l->is_unix && s->socket && lstat(s->socket, &st) == 0 &&
		st.st_dev == l->dev && st.st_ino == l->ino)
		unlink(s->socket);
}

void
http_server_unlisten(struct http_server *s)
{
	for (size_t i = 0; i < s->n_listeners; i++) {
		remove_socket(s, &s->listeners[i]);
		evconnlistener_free(s->listeners[i].ev);
	}
	s->n_listeners = 0;
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
