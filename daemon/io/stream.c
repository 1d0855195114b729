/* stream.c - a client connection: resolve, connect, TLS, then bytes both ways.
 *
 * Its life is one line: RESOLVING -> CONNECTING -> HANDSHAKE (TLS only) -> UP -> ended.
 * `why` is set once, by whatever ends it, and nothing but stream_pump calls on_data and
 * on_down; it runs from libevent's (deferred) callbacks and from the `kick` timer, so
 * never inside a call of the owner's. An end that the peer caused lets the data which
 * came before be read first; one that we caused (`hard`) does not.
 *
 * stream_free tears down sockets at once and leaves the struct to loop_free_later:
 * after every callback of the owner's, `freed` tells whether to go on.
 *
 * Before UP there is no bufferevent: connecting is a plain non-blocking connect() so
 * that the addresses of a name can be tried in turn, each with its share of the time.
 */
#include <stream.h>

#include <buf.h>
#include <clock.h>
#include <log.h>
#include <mem.h>
#include <str.h>

#include "io/loop.h"
#include "io/resolve.h"
#include "io/stream_tls.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <openssl/ssl.h>

#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define DATA_MAX	   (1024 * 1024) /* given to on_data at once */
#define OUTPUT_DEFAULT	   (1024 * 1024)
#define KEEPALIVE_IDLE_S   30
#define KEEPALIVE_PERIOD_S 10
#define KEEPALIVE_PROBES   3

enum stream_state {
	STREAM_RESOLVING,
	STREAM_CONNECTING, /* addrs[next - 1] is being tried, or the kick will start */
	STREAM_HANDSHAKE,
	STREAM_UP,
};

struct stream {
	struct loop *loop;
	struct stream_callbacks cb;
	void *arg;
	char *address, *tls_ca;
	struct stream_opts opts; /* strings: our copies above */
	char host[256];		 /* of the address; empty for a Unix socket */
	enum stream_state state;
	bool paused, freed, hard, told;
	bool pumping;  /* on the stack: callbacks of the owner's run */
	char why[256]; /* not empty: ended */
	struct resolve *resolve;
	struct resolve_addr addrs[RESOLVE_MAX];
	size_t n_addrs, next;
	size_t seen; /* bytes at the front of the input that on_data has left there */
	int fd;	     /* while connecting; then the bufferevent's */
	struct event *connect_ev;
	int64_t deadline_us; /* of connecting, on the monotonic clock */
	struct loop_timer *deadline, *kick;
	struct bufferevent *bev;
	struct buf early; /* written before UP */
};

static void stream_try_next(struct stream *);

/* The first reason stays: what follows from it is noise. */
static void
	PRINTF_LIKE(3, 4) stream_end(struct stream *s, bool hard, const char *fmt, ...)
{
	va_list ap;

	if (s->why[0])
		return;
	va_start(ap, fmt);
	vsnprintf(s->why, sizeof(s->why), fmt, ap);
	va_end(ap);
	s->hard = hard;
	loop_timer_stop(s->deadline);
	resolve_cancel(&s->resolve);
	if (s->connect_ev)
		event_del(s->connect_ev);
	if (s->bev)
		bufferevent_disable(s->bev, EV_READ);
	loop_timer_start(s->kick, 0);
}

/* One on_data with what there is. Returns false when there is nothing (more) to do. */
static bool
stream_give(struct stream *s)
{
	struct evbuffer *in = bufferevent_get_input(s->bev);
	size_t total = evbuffer_get_length(in);
	size_t len = total < DATA_MAX ? total : DATA_MAX;

	if (total <= s->seen)
		return false;
	const char *data = (const char *)evbuffer_pullup(in, (ev_ssize_t)len);
	size_t used = s->cb.on_data(s->arg, data, len);
	if (s->freed)
		return false;
	assert(used <= len);
	evbuffer_drain(in, used);
	s->seen = len - used;
	if (used == 0 && len == DATA_MAX)
		stream_end(s, true,
			"the peer sent more than %d bytes that make no message",
			DATA_MAX);
	return len < total;
}

/* The one place that calls on_data and on_down. */
static void
stream_pump(struct stream *s)
{
	if (s->freed || s->told)
		return;
	assert(!s->pumping);
	s->pumping = true;
	while (s->state == STREAM_UP && !s->paused && !s->freed && !s->hard)
		if (!stream_give(s))
			break;
	if (!s->freed && s->why[0] && (s->hard || !s->paused)) {
		s->told = true;
		loop_timer_stop(s->kick);
		s->cb.on_down(s->arg, s->why);
	}
	s->pumping = false;
}

static void
stream_set_up(struct stream *s)
{
	loop_timer_stop(s->deadline);
	s->state = STREAM_UP;
	if (s->early.len > 0)
		bufferevent_write(s->bev, s->early.data, s->early.len);
	buf_fini(&s->early);
	if (s->paused)
		bufferevent_disable(s->bev, EV_READ);
	else
		bufferevent_enable(s->bev, EV_READ);
	s->cb.on_up(s->arg);
}

static void
on_bev_read(struct bufferevent *bev, void *arg)
{
	(void)bev;
	stream_pump(arg);
}

static void
explain_error(struct stream *s, short what, char *dst, size_t cap)
{
	SSL *ssl = bufferevent_openssl_get_ssl(s->bev);
	unsigned long code = ssl ? bufferevent_get_openssl_error(s->bev) : 0;

	if (ssl && (code || s->state == STREAM_HANDSHAKE))
		stream_tls_explain(ssl, code, dst, cap);
	else if (what & BEV_EVENT_EOF)
		str_copy(dst, cap, "the peer closed the connection");
	else
		snprintf(dst, cap, "connection lost: %s",
			errno ? strerror(errno) : "unknown error");
}

static void
on_bev_event(struct bufferevent *bev, short what, void *arg)
{
	struct stream *s = arg;
	char text[200];

	(void)bev;
	if (what & BEV_EVENT_CONNECTED) {
		if (s->state == STREAM_HANDSHAKE && !s->why[0])
			stream_set_up(s);
		return;
	}
	if (!(what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)))
		return;
	explain_error(s, what, text, sizeof(text));
	stream_end(s, s->state != STREAM_UP, "%s: %s", s->address, text);
	stream_pump(s);
}

static void
on_bev_write(struct bufferevent *bev, void *arg)
{
	(void)bev;
	(void)arg;
}

/* The socket is connected: from here on it is the bufferevent's. Deferred callbacks,
 * because OpenSSL's filter may notice an error inside our own bufferevent_write. */
static void
stream_socket_up(struct stream *s)
{
	int options = BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS;
	struct event_base *base = loop_base(s->loop);
	struct err e;

	if (s->opts.tls) {
		SSL *ssl = stream_tls_new(&s->opts, s->host, &e);
		if (!ssl) {
			stream_end(s, true, "%s: %s", s->address, e.text);
			return;
		}
		s->bev = bufferevent_openssl_socket_new(
			base, s->fd, ssl, BUFFEREVENT_SSL_CONNECTING, options);
		if (!s->bev)
			SSL_free(ssl);
	} else {
		s->bev = bufferevent_socket_new(base, s->fd, options);
	}
	if (!s->bev) {
		stream_end(s, true, "%s: libevent takes no connection", s->address);
		return;
	}
	s->fd = -1;
	bufferevent_setcb(s->bev, on_bev_read, on_bev_write, on_bev_event, s);
	bufferevent_setwatermark(s->bev, EV_READ, 0, DATA_MAX);
	if (s->opts.tls) {
		s->state = STREAM_HANDSHAKE;
		bufferevent_enable(s->bev, EV_READ | EV_WRITE);
	} else {
		stream_set_up(s);
	}
}

static void
socket_set_options(int fd, int family)
{
	const int on = 1, idle = KEEPALIVE_IDLE_S, period = KEEPALIVE_PERIOD_S,
		  probes = KEEPALIVE_PROBES;
	/* Data without acknowledgement ends the connection when keepalive would. */
	const unsigned lost_ms = 1000 * (KEEPALIVE_IDLE_S + 3 * KEEPALIVE_PERIOD_S);

	if (family == AF_UNIX)
		return;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &period, sizeof(period));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &lost_ms, sizeof(lost_ms));
}

static void
socket_close(struct stream *s)
{
	if (s->connect_ev)
		event_free(s->connect_ev);
	s->connect_ev = NULL;
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

/* An address failed: says so if it was the last, else the next is tried. */
static void
stream_address_failed(struct stream *s, int error)
{
	char text[RESOLVE_TEXT_LEN];

	socket_close(s);
	resolve_text(text, &s->addrs[s->next - 1]);
	log_debug(s->address, "cannot connect to %s: %s", text, strerror(error));
	if (s->next == s->n_addrs)
		stream_end(s, true, "cannot connect to %s%s%s%s: %s", s->address,
			s->host[0] ? " (" : "", s->host[0] ? text : "",
			s->host[0] ? ")" : "", strerror(error));
	else
		stream_try_next(s);
}

static void
on_connect(evutil_socket_t fd, short what, void *arg)
{
	struct stream *s = arg;
	int error = 0;
	socklen_t len = sizeof(error);

	if (what & EV_TIMEOUT)
		error = ETIMEDOUT;
	else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	if (error) {
		stream_address_failed(s, error);
		return;
	}
	event_free(s->connect_ev);
	s->connect_ev = NULL;
	stream_socket_up(s);
}

/* What is left of the time, shared among the addresses left. */
static struct timeval
stream_share(const struct stream *s)
{
	int64_t left = s->deadline_us - clock_mono_us();
	int64_t us = left / (int64_t)(s->n_addrs - s->next + 1);

	if (us < 1000)
		us = 1000;
	return (struct timeval){.tv_sec = us / 1000000, .tv_usec = us % 1000000};
}

/* At most RESOLVE_MAX deep: each round takes one address. */
static void
stream_try_next(struct stream *s)
{
	const struct resolve_addr *a = &s->addrs[s->next++];
	struct timeval share = stream_share(s);

	s->fd = socket(a->sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->fd < 0) {
		stream_address_failed(s, errno);
		return;
	}
	socket_set_options(s->fd, a->sa.ss_family);
	if (connect(s->fd, (const struct sockaddr *)&a->sa, a->len) == 0) {
		stream_socket_up(s);
		return;
	}
	if (errno != EINPROGRESS) {
		stream_address_failed(s, errno);
		return;
	}
	s->connect_ev = event_new(loop_base(s->loop), s->fd, EV_WRITE, on_connect, s);
	if (!s->connect_ev || event_add(s->connect_ev, &share) < 0)
		stream_address_failed(s, ENOMEM);
}

static void
on_resolved(void *arg, const struct resolve_addr *addrs, size_t n, const char *why)
{
	struct stream *s = arg;

	s->resolve = NULL;
	if (n == 0) {
		stream_end(s, true, "%s", why);
		return;
	}
	memcpy(s->addrs, addrs, n * sizeof(*addrs));
	s->n_addrs = n;
	s->state = STREAM_CONNECTING;
	stream_try_next(s);
}

static void
on_deadline(void *arg)
{
	struct stream *s = arg;
	const char *what = s->state == STREAM_RESOLVING	  ? "no address"
			   : s->state == STREAM_HANDSHAKE ? "no TLS handshake"
							  : "no connection";

	stream_end(s, true, "%s: %s within %u ms", s->address, what,
		s->opts.connect_timeout_ms);
}

static void
on_kick(void *arg)
{
	struct stream *s = arg;

	if (s->state == STREAM_CONNECTING && s->next == 0 && !s->why[0])
		stream_try_next(s);
	else
		stream_pump(s);
}

static void
stream_start_unix(struct stream *s, const char *path)
{
	struct sockaddr_un *un = (struct sockaddr_un *)&s->addrs[0].sa;

	if (str_copy(un->sun_path, sizeof(un->sun_path), path) >=
			sizeof(un->sun_path) ||
		!*path) {
		stream_end(s, true, "\"%s\": a Unix socket's path has 1 to %zu bytes",
			s->address, sizeof(un->sun_path) - 1);
		return;
	}
	un->sun_family = AF_UNIX;
	s->addrs[0].len = sizeof(*un);
	s->n_addrs = 1;
	s->state = STREAM_CONNECTING;
	loop_timer_start(s->kick, 0);
}

static void
stream_start(struct stream *s)
{
	unsigned port;

	if (str_starts(s->address, "unix:")) {
		stream_start_unix(s, s->address + strlen("unix:"));
		return;
	}
	if (!resolve_split(s->address, 0, s->host, sizeof(s->host), &port)) {
		stream_end(s, true,
			"\"%s\" is no address: host:port, [v6]:port or unix:PATH",
			s->address);
		return;
	}
	s->resolve = resolve_start(
		s->loop, s->host, port, s->opts.connect_timeout_ms, on_resolved, s);
}

struct stream *
stream_connect(struct loop *l, const struct stream_opts *opts,
	const struct stream_callbacks *cb, void *arg)
{
	struct stream *s = xcalloc(1, sizeof(*s));

	s->loop = l;
	s->cb = *cb;
	s->arg = arg;
	s->fd = -1;
	s->address = xstrdup(opts->address ? opts->address : "");
	s->tls_ca = xstrdup(opts->tls_ca);
	s->opts = *opts;
	s->opts.address = s->address;
	s->opts.tls_ca = s->tls_ca;
	if (s->opts.max_output == 0)
		s->opts.max_output = OUTPUT_DEFAULT;
	s->deadline = loop_timer_new(l, on_deadline, s);
	s->kick = loop_timer_new(l, on_kick, s);
	s->deadline_us = clock_mono_us() + (int64_t)opts->connect_timeout_ms * 1000;
	loop_timer_start(s->deadline, opts->connect_timeout_ms);
	if (opts->tls && opts->tls_no_verify)
		log_warnx(s->address, "TLS without checking the certificate");
	stream_start(s);
	return s;
}

void
stream_write(struct stream *s, const void *data, size_t len)
{
	if (s->why[0] || s->freed)
		return;
	bool up = s->state == STREAM_UP;
	size_t queued =
		up ? evbuffer_get_length(bufferevent_get_output(s->bev)) : s->early.len;
	if (len > s->opts.max_output || queued > s->opts.max_output - len)
		stream_end(s, true, "%s: the peer does not read: %zu bytes wait",
			s->address, queued);
	else if (up)
		bufferevent_write(s->bev, data, len);
	else
		buf_add(&s->early, data, len);
}

void
stream_pause(struct stream *s, bool paused)
{
	if (s->freed || s->paused == paused)
		return;
	s->paused = paused;
	if (s->state != STREAM_UP || s->hard)
		return;
	if (paused) {
		bufferevent_disable(s->bev, EV_READ);
		return;
	}
	if (!s->why[0])
		bufferevent_enable(s->bev, EV_READ);
	s->seen = 0; /* what came in before the pause is given again */
	loop_timer_start(s->kick, 0);
}

/* What the owner wrote last (a logoff) goes out as far as the socket takes it now. */
static void
stream_flush(struct stream *s)
{
	struct evbuffer *out = bufferevent_get_output(s->bev);
	SSL *ssl = bufferevent_openssl_get_ssl(s->bev);

	if (s->state != STREAM_UP || s->why[0])
		return;
	size_t len = evbuffer_get_length(out);
	if (ssl) {
		size_t n = len < 16384 ? len : 16384;
		stream_tls_goodbye(ssl, evbuffer_pullup(out, (ev_ssize_t)n), n);
	} else if (len > 0) {
		evbuffer_unfreeze(out, 1);
		evbuffer_write(out, bufferevent_getfd(s->bev));
	}
}

static void
stream_destroy(void *arg)
{
	struct stream *s = arg;

	xfree(&s->address);
	xfree(&s->tls_ca);
	buf_fini(&s->early);
	mem_free(s);
}

void
stream_free(struct stream **sp)
{
	struct stream *s = *sp;

	if (!s)
		return;
	*sp = NULL;
	if (s->bev) {
		stream_flush(s);
		bufferevent_free(s->bev);
	}
	s->freed = true;
	resolve_cancel(&s->resolve);
	socket_close(s);
	loop_timer_free(&s->deadline);
	loop_timer_free(&s->kick);
	loop_free_later(s->loop, stream_destroy, s);
}
