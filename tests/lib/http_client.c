/* http_client.c - a test's raw client; every wait runs the loop the server lives on. */
#include "lib/http_client.h"

#include <buf.h>
#include <clock.h>
#include <mem.h>
#include <str.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PATIENCE_US (5 * 1000000LL)

struct client {
	struct loop *loop;
	int fd;
	struct buf in;
	bool end;
};

static struct client *
client_new(struct loop *loop, const struct sockaddr *sa, socklen_t len)
{
	struct client *c = xcalloc(1, sizeof(*c));

	c->loop = loop;
	c->fd = socket(sa->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || (connect(c->fd, sa, len) && errno != EINPROGRESS)) {
		perror("client");
		abort();
	}
	return c;
}

struct client *
client_open(struct loop *loop, int port)
{
	struct sockaddr_in in = {.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	return client_new(loop, (struct sockaddr *)&in, sizeof(in));
}

struct client *
client_open6(struct loop *loop, int port)
{
	struct sockaddr_in6 in = {.sin6_family = AF_INET6,
		.sin6_port = htons((uint16_t)port),
		.sin6_addr = IN6ADDR_LOOPBACK_INIT};

	return client_new(loop, (struct sockaddr *)&in, sizeof(in));
}

struct client *
client_open_unix(struct loop *loop, const char *path)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};

	str_copy(sun.sun_path, sizeof(sun.sun_path), path);
	return client_new(loop, (struct sockaddr *)&sun, sizeof(sun));
}

void
client_free(struct client **cp)
{
	struct client *c = *cp;

	*cp = NULL;
	close(c->fd);
	buf_fini(&c->in);
	mem_free(c);
}

void
client_reset(struct client **cp)
{
	struct linger now = {.l_onoff = 1, .l_linger = 0};

	setsockopt((*cp)->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	client_free(cp);
}

void
client_shutdown(struct client *c)
{
	shutdown(c->fd, SHUT_WR);
}

static void
step(struct client *c, int ms)
{
	char bytes[65536];
	ssize_t n;

	loop_run_once(c->loop, ms);
	while (!c->end && (n = recv(c->fd, bytes, sizeof(bytes), 0)) != -1) {
		buf_add(&c->in, bytes, (size_t)n);
		c->end = n == 0;
	}
	if (!c->end && errno != EAGAIN && errno != EINPROGRESS)
		c->end = true;
}

void
client_send(struct client *c, const void *data, size_t len)
{
	int64_t until = clock_mono_us() + PATIENCE_US;

	while (len && clock_mono_us() < until) {
		ssize_t n = send(c->fd, data, len, MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN)
			return; /* the test sees it in what has come, or has not */
		if (n > 0) {
			data = (const char *)data + n;
			len -= (size_t)n;
		}
		if (len)
			step(c, 1);
	}
}

void
client_run(struct client *c, int ms)
{
	int64_t until = clock_mono_us() + ms * 1000LL;

	do
		step(c, 1);
	while (clock_mono_us() < until);
}

bool
client_wait(struct client *c, const char *part)
{
	int64_t until = clock_mono_us() + PATIENCE_US;

	while (!memmem(buf_str(&c->in), c->in.len, part, strlen(part))) {
		if (c->end || clock_mono_us() > until)
			return false;
		step(c, 5);
	}
	return true;
}

bool
client_wait_len(struct client *c, size_t len)
{
	int64_t until = clock_mono_us() + PATIENCE_US;

	while (c->in.len < len && !c->end && clock_mono_us() < until)
		step(c, 5);
	return c->in.len >= len;
}

bool
client_wait_end(struct client *c)
{
	int64_t until = clock_mono_us() + PATIENCE_US;

	while (!c->end && clock_mono_us() < until)
		step(c, 5);
	return c->end;
}

const char *
client_bytes(const struct client *c, size_t *len_r)
{
	if (len_r)
		*len_r = c->in.len;
	return buf_str(&c->in);
}

const char *
client_text(const struct client *c)
{
	return client_bytes(c, NULL);
}

void
client_forget(struct client *c)
{
	buf_clear(&c->in);
}
