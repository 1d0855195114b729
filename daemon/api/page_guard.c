/* page_guard.c - see page_guard.h. Counted per instance, in windows that begin with an
 * address's first failure. At most ADDRESSES_MAX are remembered; past that all are
 * forgotten: whoever has so many addresses is not held up by a count per address. */
#include <api/page_guard.h>

#include <clock.h>
#include <map.h>
#include <mem.h>
#include <str.h>

#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define ADDRESSES_MAX 20000

struct tries {
	int64_t since_us; /* monotonic */
	unsigned failures;
};

struct page_guard {
	struct map tries; /* address -> struct tries */
};

struct page_guard *
page_guard_new(void)
{
	struct page_guard *g = xcalloc(1, sizeof(*g));

	map_init(&g->tries);
	return g;
}

static void
forget(const char *peer, void *value, void *arg)
{
	struct page_guard *g = arg;

	map_remove(&g->tries, peer);
	mem_free(value);
}

void
page_guard_free(struct page_guard **gp)
{
	if (!*gp)
		return;
	map_each(&(*gp)->tries, forget, *gp);
	map_fini(&(*gp)->tries);
	xfree(gp);
}

static bool
is_local(const char *peer)
{
	return str_eq(peer, "unix") || str_starts(peer, "127.") || str_eq(peer, "::1");
}

void
page_guard_peer(const char *peer, const char *forwarded, char dst[PAGE_GUARD_PEER_LEN])
{
	struct in6_addr six;

	if (forwarded && is_local(peer)) {
		const char *comma = strrchr(forwarded, ',');
		peer = comma ? comma + 1 : forwarded;
		peer += strspn(peer, " \t");
	}
	str_copy(dst, PAGE_GUARD_PEER_LEN, peer);
	if (inet_pton(AF_INET6, dst, &six) == 1) {
		memset(six.s6_addr + 8, 0, 8);
		inet_ntop(AF_INET6, &six, dst, PAGE_GUARD_PEER_LEN);
	}
}

/* NULL: none in the window. */
static struct tries *
find(struct page_guard *g, const char *peer)
{
	struct tries *t = map_find(&g->tries, peer);

	if (t && clock_mono_us() - t->since_us > PAGE_GUARD_S * INT64_C(1000000)) {
		forget(peer, t, g);
		t = NULL;
	}
	return t;
}

bool
page_guard_blocks(struct page_guard *g, const char *peer)
{
	const struct tries *t = find(g, peer);

	return t && t->failures >= PAGE_GUARD_FAILURES;
}

void
page_guard_failed(struct page_guard *g, const char *peer)
{
	struct tries *t = find(g, peer);

	if (!t) {
		if (g->tries.len >= ADDRESSES_MAX)
			map_each(&g->tries, forget, g);
		t = xcalloc(1, sizeof(*t));
		t->since_us = clock_mono_us();
		map_put(&g->tries, peer, t);
	}
	t->failures++;
}
