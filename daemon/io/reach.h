/* reach.h - what kind of place an address is, for requests whose URL others may choose.
 *
 * A URL given by a user must not make the daemon speak to what only it can reach. So
 * the address itself is judged, after the name was resolved: a name proves nothing. */
#ifndef INTERACTD_IO_REACH_H
#define INTERACTD_IO_REACH_H

#include <stdbool.h>
#include <sys/socket.h>

enum reach {
	REACH_PUBLIC,  /* globally routed */
	REACH_PRIVATE, /* this machine, RFC 1918, RFC 6598, RFC 4193 */
	/* Link-local (where clouds keep their metadata), their other metadata addresses,
	 * multicast, unspecified, reserved: nobody's web server is there. */
	REACH_NEVER,
};

/* IPv4 and IPv6 (an embedded IPv4 address counts as itself); all else is REACH_NEVER. */
enum reach reach_of(const struct sockaddr *);
/* The same for text as inet_pton(3) takes it; false if it is no address. */
bool reach_of_text(const char *, enum reach *out_r);

#endif
