/* spool_cursor.c - reading along while the spool goes on.
 *
 * A segment is read whole and walked in pieces; its bytes up to where the walk stands do
 * not change, so that of the segment appended to only a newer copy is needed when all of
 * the old one has been walked. Damage is not reported here: the replay at the next start
 * does that, if the records are still wanted then. */
#include "io/spool.h"

#include "io/spool_priv.h"

#include <mem.h>

struct spool_cursor {
	struct spool *spool;
	uint64_t expected; /* the next sequence */
	uint64_t first;	   /* of the segment in memory; 0 = none */
	unsigned char *data;
	struct spool_walk walk;
};

struct spool_cursor *
spool_cursor_new(struct spool *s, uint64_t from)
{
	struct spool_cursor *c = xcalloc(1, sizeof(*c));

	c->spool = s;
	c->expected = from > 0 ? from : 1;
	return c;
}

void
spool_cursor_free(struct spool_cursor **cp)
{
	struct spool_cursor *c = *cp;

	if (!c)
		return;
	*cp = NULL;
	mem_free(c->data);
	mem_free(c);
}

static struct spool_segment *
segment_named(struct spool *s, uint64_t first)
{
	list_for_each (&s->segments, it) {
		struct spool_segment *g = LIST_ENTRY(it, struct spool_segment, link);
		if (g->first == first)
			return g;
	}
	return NULL;
}

/* Takes the segment's bytes as they are now; the walk goes on where it stood if it is the
 * same. False if it cannot be read. */
static bool
load(struct spool_cursor *c, const struct spool_segment *g)
{
	bool same = g->first == c->first;
	size_t len;
	unsigned char *data = spool_read_segment(c->spool, g, &len);

	if (!data)
		return false;
	mem_free(c->data);
	c->data = data;
	if (!same)
		c->walk = (struct spool_walk){.next_seq = g->first};
	c->walk.data = data;
	c->walk.len = len;
	c->first = g->first;
	return true;
}

/* The next record, from the segment in memory. False at its end. A record above the
 * segment's last is one whose append failed: its sequence was given again. */
static bool
next_here(struct spool_cursor *c, struct spool_item *it)
{
	const struct spool_segment *g =
		c->first ? segment_named(c->spool, c->first) : NULL;

	while (g) {
		spool_walk_next(&c->walk, it);
		if (it->type == SPOOL_TORN || it->type == SPOOL_END)
			return false;
		if (it->type == SPOOL_RECORD && it->seq > g->last)
			return false;
		if (it->type == SPOOL_RECORD && it->seq >= c->expected)
			return true;
	}
	return false;
}

/* More bytes of the same segment, or the next one. False if there are none. */
static bool
advance(struct spool_cursor *c)
{
	struct spool_segment *g = c->first ? segment_named(c->spool, c->first) : NULL;

	if (c->expected >= c->spool->next_seq)
		return false;
	if (!g || g->last < c->expected)
		g = spool_segment_find(c->spool, c->expected, c->first);
	return g && load(c, g);
}

size_t
spool_cursor_read(struct spool_cursor *c, size_t max, spool_record_fn *fn, void *arg,
	uint64_t *gap_r)
{
	struct spool_item it;
	size_t given = 0;
	bool more = true, loaded = false;

	while (more && given < max) {
		if (!next_here(c, &it)) {
			/* Twice without a record: what is missing cannot be read. */
			if (loaded || !advance(c))
				break;
			loaded = true;
			continue;
		}
		loaded = false;
		*gap_r += it.seq - c->expected;
		c->expected = it.seq + 1;
		given++;
		more = fn(arg, it.seq, it.payload, it.payload_len);
	}
	return given;
}
