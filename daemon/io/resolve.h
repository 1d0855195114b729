/* resolve.h - names to addresses without blocking the loop.
 *
 * getaddrinfo(3) runs on at most 4 threads per loop, with at most 64 questions waiting.
 * A question has its own deadline; a thread stuck in getaddrinfo past it answers into
 * the void. Numeric addresses need no thread. */
#ifndef INTERACTD_IO_RESOLVE_H
#define INTERACTD_IO_RESOLVE_H

#include <loop.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#define RESOLVE_MAX 16 /* addresses per answer; further ones are left out */
/* numeric IPv6 with a scope fits */
#define RESOLVE_TEXT_LEN 64

struct resolve;	 /* a question that runs */
struct resolver; /* the threads of one loop */

struct resolve_addr {
	struct sockaddr_storage sa;
	socklen_t len;
};

/* n > 0: addresses in the order to try (RFC 6724); n = 0: none, and why (never NULL).
 * Borrowed until the callback returns. The question is gone when it is called. */
typedef void
resolve_fn(void *arg, const struct resolve_addr *addrs, size_t n, const char *why);

/* Asks for host ("pbx.example.net", "192.0.2.1", "2001:db8::1", "fe80::1%eth0"; copied)
 * as TCP addresses with port. cb comes exactly once, never before this returns, at the
 * latest after timeout_ms; or never, if it is cancelled. The returned handle is valid
 * until cb is called. */
struct resolve *resolve_start(struct loop *, const char *host, unsigned port,
	unsigned timeout_ms, resolve_fn *cb, void *arg);
/* NULL-safe; clears *rp. cb is not called any more. */
void resolve_cancel(struct resolve **rp);

/* "host:port", "[v6]:port" or a bare "host" with default_port (0 = a port is required).
 * Copies the host without brackets. Returns false if it is none of these, the host is
 * empty or does not fit, or the port is not 1..65535. */
bool resolve_split(const char *address, unsigned default_port, char *host, size_t cap,
	unsigned *port_r);
/* The address as text without the port ("192.0.2.1"), for libpq's hostaddr and logs; a
 * Unix socket gives its path. Returns dst. */
const char *resolve_text(char dst[RESOLVE_TEXT_LEN], const struct resolve_addr *);

/* Called by loop_free. Threads still inside getaddrinfo end by themselves later. */
void resolver_free(struct resolver **);

#endif
