/* pop_feed.c - an agent's live stream: what came since, then what comes, each once.
 *
 *	subscribed -> READING: pop_feed.lua says what is missing -> LIVE
 *	                  ^------- a number skipped, another epoch, a gap ------'
 *
 * A feed knows the last number it gave and its epoch. LIVE, it gives on the message
 * that has the next number; one it has had is dropped; anything else means that
 * something was missed, and it reads. While it reads, messages are only noted
 * (`ahead`): the stream has them all. So nothing is lost, doubled or out of order, and
 * nothing is stored here.
 *
 * Reading begins when the subscription is in force; what is published in between comes
 * by both ways and is known by its number. */
#include <desk/pop_priv.h>

#include <mem.h>
#include <str.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE 100

struct pop_feed {
	struct list link;  /* in pops.feeds */
	struct pops *pops; /* NULL: gone, only to be closed now */
	struct loop *loop;
	struct pop_list *list;
	struct redis_sub *sub;
	pop_feed_fn *fn;
	void *arg;
	uint64_t last;
	char epoch[POP_EPOCH_LEN]; /* "" = not known yet */
	bool ready;		   /* the subscription is in force */
	bool live, reading, closed;
	struct pop_head
		ahead;	 /* the newest message that came while it read; seq 0 = none */
	struct buf json; /* of an object shown as pop.open */
};

/* ---- Reading what a list holds ---- */

void
pop_list_read(struct pop_list *l, uint64_t after, const char *epoch, redis_reply_fn *fn,
	void *arg)
{
	struct pops *ps = l->tenant->pops;
	char from[24], count[16];
	snprintf(from, sizeof(from), "%" PRIu64, after);
	snprintf(count, sizeof(count), "%d", PAGE);
	const char *words[] = {l->keys[0], l->keys[1], l->keys[2], from, epoch, count};
	redis_eval(
		ps->redis, ps->feed_script, 3, ARRAY_LEN(words), words, NULL, fn, arg);
}

bool
pop_read_parse(const struct redis_reply *r, struct pop_read *read)
{
	if (redis_type(r) != REDIS_ARRAY || redis_len(r) < 3)
		return false;
	read->epoch = redis_str(redis_at(r, 0), NULL);
	read->last = (uint64_t)redis_int(redis_at(r, 1));
	int64_t kind = redis_int(redis_at(r, 2));
	read->kind = kind == 0	 ? POP_READ_GOES_ON
		     : kind == 1 ? POP_READ_SNAPSHOT
				 : POP_READ_WAIT;
	read->more = kind == 0 && redis_len(r) - 3 == PAGE;
	return true;
}

struct entry {
	struct pop_head head;
	const char *json;
	size_t len;
};

static int
by_seq(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	return (x->head.seq > y->head.seq) - (x->head.seq < y->head.seq);
}

void
pop_read_each(const struct redis_reply *r, pop_read_fn *fn, void *arg)
{
	size_t n = 0;
	struct entry *all = xcalloc(redis_len(r) + 1, sizeof(*all));
	for (size_t i = 3; i < redis_len(r); i++) {
		all[n].json = redis_str(redis_at(r, i), &all[n].len);
		if (pop_json_head(all[n].json, all[n].len, &all[n].head))
			n++;
	}
	qsort(all, n, sizeof(*all), by_seq);
	for (size_t i = 0; i < n; i++)
		if (!fn(arg, &all[i].head, all[i].json, all[i].len))
			break;
	mem_free(all);
}

/* ---- A feed ---- */

static void
free_feed(void *arg)
{
	struct pop_feed *f = arg;
	buf_fini(&f->json);
	mem_free(f);
}

static void
give(struct pop_feed *f, uint64_t seq, const char *json, size_t len)
{
	f->last = seq;
	f->fn(f->arg, seq, json, len);
}

static bool
give_entry(void *arg, const struct pop_head *h, const char *json, size_t len)
{
	struct pop_feed *f = arg;
	give(f, h->seq, json, len);
	return !f->closed;
}

/* For a reader who may not know it: whatever came last, as an open. */
static bool
give_open(void *arg, const struct pop_head *h, const char *json, size_t len)
{
	struct pop_feed *f = arg;
	buf_clear(&f->json);
	buf_add(&f->json, json, (size_t)(h->type - json));
	buf_adds(&f->json, "pop.open\"");
	buf_add(&f->json, h->rest, len - (size_t)(h->rest - json));
	give(f, h->seq, f->json.data, f->json.len);
	return !f->closed;
}

static void on_read(struct pop_call *c, const struct redis_reply *r);

static void
read_list(struct pop_feed *f)
{
	f->live = false;
	if (f->reading || !f->ready)
		return;
	if (!pops_can_send(f->pops)) {
		pops_hold(f->pops);
		return;
	}
	struct pop_call *c = pop_call_new(f->pops, on_read);
	c->arg = f;
	f->reading = true;
	f->ahead.seq = 0;
	pop_list_read(f->list, f->last, f->epoch, pop_call_done, c);
}

static bool
has_had(const struct pop_feed *f, const struct pop_head *h)
{
	return str_eq(f->epoch, h->epoch) && h->seq <= f->last;
}

static void
take_page(struct pop_feed *f, const struct redis_reply *r, const struct pop_read *read)
{
	if (read->kind == POP_READ_WAIT)
		return; /* the first pop of the new epoch says the rest */
	str_copy(f->epoch, sizeof(f->epoch), read->epoch);
	pop_read_each(r, read->kind == POP_READ_SNAPSHOT ? give_open : give_entry, f);
	if (!read->more)
		f->last = read->last;
}

static void
on_read(struct pop_call *c, const struct redis_reply *r)
{
	struct pop_feed *f = c->arg;
	struct pop_read read;
	f->reading = false;
	if (f->closed) {
		free_feed(f);
		return;
	}
	if (!pop_read_parse(r, &read)) {
		pops_hold(f->pops);
		return;
	}
	f->reading = true; /* the callback may close the feed */
	take_page(f, r, &read);
	f->reading = false;
	if (f->closed)
		free_feed(f);
	else if (read.more || (f->ahead.seq && !has_had(f, &f->ahead)))
		read_list(f);
	else
		f->live = true;
}

static void
on_message(void *arg, const char *json, size_t len)
{
	struct pop_feed *f = arg;
	struct pop_head h;
	if (!pop_json_head(json, len, &h) || has_had(f, &h))
		return;
	if (!f->live) {
		f->ahead = h;
		return;
	}
	bool first = !f->epoch[0] && !f->last && h.seq == 1;
	if (first)
		str_copy(f->epoch, sizeof(f->epoch), h.epoch);
	if (str_eq(f->epoch, h.epoch) && h.seq == f->last + 1)
		give(f, h.seq, json, len);
	else
		read_list(f);
}

static void
on_ready(void *arg)
{
	struct pop_feed *f = arg;
	f->ready = true;
	read_list(f);
}

static void
on_gap(void *arg)
{
	read_list(arg);
}

struct pop_feed *
pop_feed_open(struct pops *ps, const struct tenant *tenant, const char *agent,
	uint64_t after, pop_feed_fn *fn, void *arg)
{
	struct pop_feed *f = xcalloc(1, sizeof(*f));
	f->pops = ps;
	f->loop = ps->store->loop;
	f->list = pop_list_get(ps, tenant, agent, false);
	f->fn = fn;
	f->arg = arg;
	f->last = after;
	list_append(&ps->feeds, &f->link);
	f->sub = redis_subscribe(ps->redis, f->list->channel, on_message, on_gap, f);
	redis_sub_on_ready(f->sub, on_ready);
	return f;
}

void
pop_feed_close(struct pop_feed **fp)
{
	struct pop_feed *f = *fp;
	if (!f)
		return;
	*fp = NULL;
	f->closed = true;
	list_remove(&f->link);
	if (f->sub)
		redis_unsubscribe(&f->sub);
	if (!f->reading)
		loop_free_later(f->loop, free_feed, f);
}

/* ---- For the other files ---- */

void
pop_feeds_go_on(struct pops *ps)
{
	list_for_each (&ps->feeds, it) {
		struct pop_feed *f = LIST_ENTRY(it, struct pop_feed, link);
		if (!f->live)
			read_list(f);
	}
}

void
pop_feeds_orphan(struct pops *ps)
{
	list_for_each_safe (&ps->feeds, it) {
		struct pop_feed *f = LIST_ENTRY(it, struct pop_feed, link);
		list_remove(&f->link);
		redis_unsubscribe(&f->sub);
		f->pops = NULL;
		f->reading = false;
	}
	list_remove(&ps->feeds);
	/* Closed, but its answer was still to come: nobody else knows it any more. */
	list_for_each (&ps->calls, it) {
		struct pop_call *c = LIST_ENTRY(it, struct pop_call, link);
		struct pop_feed *f = c->on_reply == on_read ? c->arg : NULL;
		if (f && f->closed)
			free_feed(f);
	}
}
