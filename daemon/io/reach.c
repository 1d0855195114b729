/* reach.c - the special-purpose address registries of IANA (RFC 6890) as two tables.
 *
 * The first matching row decides; what matches none is public. An IPv6 address that
 * carries an IPv4 one (mapped, NAT64, 6to4) leads to that one, and is judged as it.
 * Metadata services of clouds that live outside link-local have rows of their own. */
#include "io/reach.h"

#include <mem.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

struct row4 {
	const char *net;
	unsigned bits;
	enum reach reach;
};

static const struct row4 v4[] = {
	{"100.100.100.200", 32, REACH_NEVER}, /* Alibaba Cloud's metadata */
	{"168.63.129.16", 32, REACH_NEVER},   /* Azure's */
	{"0.0.0.0", 8, REACH_NEVER}, {"10.0.0.0", 8, REACH_PRIVATE},
	{"100.64.0.0", 10, REACH_PRIVATE}, {"127.0.0.0", 8, REACH_PRIVATE},
	{"169.254.0.0", 16, REACH_NEVER}, {"172.16.0.0", 12, REACH_PRIVATE},
	{"192.0.0.0", 24, REACH_NEVER}, {"192.0.2.0", 24, REACH_NEVER},
	{"192.88.99.0", 24, REACH_NEVER}, {"192.168.0.0", 16, REACH_PRIVATE},
	{"198.18.0.0", 15, REACH_NEVER}, {"198.51.100.0", 24, REACH_NEVER},
	{"203.0.113.0", 24, REACH_NEVER},
	{"224.0.0.0", 3, REACH_NEVER}, /* multicast, reserved, broadcast */
};

static const struct row4 v6[] = {
	{"::1", 128, REACH_PRIVATE},
	{"fd00:ec2::254", 128, REACH_NEVER}, /* AWS's metadata */
	{"fd20:ce::254", 128, REACH_NEVER},  /* Google's */
	{"fc00::", 7, REACH_PRIVATE}, {"2001:db8::", 32, REACH_NEVER},
	{"2001::", 23, REACH_NEVER}, /* Teredo, benchmarking, ORCHID */
	{"2000::", 3, REACH_PUBLIC},
	{"::", 0, REACH_NEVER}, /* all that is not global unicast */
};

/* Prefixes after which an IPv4 address stands, and where. */
static const struct {
	const char *net;
	unsigned bits, at;
} carriers[] = {
	{"::ffff:0:0", 96, 12},	 /* mapped, RFC 4291 §2.5.5.2 */
	{"64:ff9b::", 96, 12},	 /* NAT64, RFC 6052 §2.1 */
	{"64:ff9b:1::", 48, 12}, /* NAT64 of one's own, RFC 8215 */
	{"2002::", 16, 2},	 /* 6to4, RFC 3056 §2 */
};

static bool
in_net(int family, const unsigned char *a, const char *net, unsigned bits)
{
	unsigned char n[16];
	unsigned whole = bits / 8, rest = bits % 8;

	if (inet_pton(family, net, n) != 1 || memcmp(a, n, whole) != 0)
		return false;
	return rest == 0 || (a[whole] ^ n[whole]) >> (8 - rest) == 0;
}

static enum reach
reach_of_v4(const unsigned char *a)
{
	for (size_t i = 0; i < ARRAY_LEN(v4); i++)
		if (in_net(AF_INET, a, v4[i].net, v4[i].bits))
			return v4[i].reach;
	return REACH_PUBLIC;
}

static enum reach
reach_of_v6(const unsigned char *a)
{
	for (size_t i = 0; i < ARRAY_LEN(carriers); i++)
		if (in_net(AF_INET6, a, carriers[i].net, carriers[i].bits))
			return reach_of_v4(a + carriers[i].at);
	for (size_t i = 0; i < ARRAY_LEN(v6); i++)
		if (in_net(AF_INET6, a, v6[i].net, v6[i].bits))
			return v6[i].reach;
	return REACH_NEVER;
}

enum reach
reach_of(const struct sockaddr *sa)
{
	if (sa->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)sa;
		return reach_of_v4((const unsigned char *)&in->sin_addr);
	}
	if (sa->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const void *)sa;
		return reach_of_v6(in6->sin6_addr.s6_addr);
	}
	return REACH_NEVER;
}

bool
reach_of_text(const char *text, enum reach *out_r)
{
	unsigned char a[16];

	if (inet_pton(AF_INET, text, a) == 1)
		*out_r = reach_of_v4(a);
	else if (inet_pton(AF_INET6, text, a) == 1)
		*out_r = reach_of_v6(a);
	else
		return false;
	return true;
}
