/* redis_sub.c - subscriptions: a link of their own, one SUBSCRIBE per channel, one
 * PSUBSCRIBE per pattern. Here a pattern is a channel whose messages name theirs.
 *
 * A channel has any number of subscribers; its confirmation carries the link's epoch,
 * so that a subscriber that was in force on an earlier connection learns of the gap,
 * and one that never was learns that it is now.
 *
 * Callbacks may subscribe, unsubscribe and close. So a channel remembers where its
 * delivery stands (`cursor`, moved on when that subscriber leaves) and is freed at the
 * end of the turn.
 *
 * A channel left by its last subscriber stays until the server has confirmed that, and
 * is subscribed again only then if somebody has come meanwhile: so no confirmation of
 * before is taken for theirs, and what is `ready` is in force.
 *
 * The link also subscribes to a channel of nobody's, again on every tick: in subscriber
 * mode a PING's answer does not come through hiredis 0.14, that of a SUBSCRIBE does. */
#include "io/redis_priv.h"

#include <map.h>
#include <mem.h>
#include <str.h>

#include "io/loop.h"

#include <hiredis/hiredis.h>

#include <string.h>

#define ALIVE_CHANNEL "interactd:alive"

struct channel {
	struct redis_subs *subs;
	char *name;
	bool is_pattern;
	bool leaving;	     /* UNSUBSCRIBE was sent and not yet confirmed */
	struct list list;    /* struct redis_sub */
	struct list *cursor; /* next to be told */
	unsigned epoch;	     /* confirmed on this connection; 0 = never */
};

struct redis_sub {
	struct list link;
	struct channel *channel; /* NULL after redis_close */
	redis_message_fn *fn;
	redis_pattern_fn *pattern_fn; /* instead of fn */
	void (*on_gap)(void *arg);
	void (*on_ready)(void *arg);
	void *arg;
	unsigned epoch; /* of the last confirmation it was told of */
};

struct redis_subs {
	struct redis *redis;
	struct redis_link *link;
	struct map channels; /* name to struct channel */
	struct map patterns; /* the same */
	unsigned epoch;	     /* connections so far */
	bool alive_asked;    /* and not answered */
};

static void
subs_send(struct redis_subs *ss, const char *verb, const char *channel)
{
	const char *words[] = {verb, channel};
	struct buf b = BUF_INIT;

	if (!redis_link_is_up(ss->link))
		return;
	redis_put_head(&b, 2);
	redis_put_words(&b, 2, words);
	redis_link_send(ss->link, &b, true);
	buf_fini(&b);
}

/* --- telling subscribers --- */

static struct redis_sub *
channel_next(struct channel *ch)
{
	struct list *it = ch->cursor;

	if (it == &ch->list)
		return NULL;
	ch->cursor = it->next;
	return LIST_ENTRY(it, struct redis_sub, link);
}

/* name: of the channel it came on. */
static void
channel_on_message(struct channel *ch, const char *name, const redisReply *payload)
{
	struct redis_sub *s;

	ch->cursor = ch->list.next;
	while ((s = channel_next(ch))) {
		if (s->pattern_fn)
			s->pattern_fn(s->arg, name, payload->str, (size_t)payload->len);
		else
			s->fn(s->arg, payload->str, (size_t)payload->len);
	}
}

static void
channel_on_confirmed(struct channel *ch)
{
	struct redis_sub *s;

	ch->epoch = ch->subs->epoch;
	ch->cursor = ch->list.next;
	while ((s = channel_next(ch))) {
		unsigned before = s->epoch;
		s->epoch = ch->epoch;
		if (!before && s->on_ready)
			s->on_ready(s->arg);
		else if (before && before != ch->epoch && s->on_gap)
			s->on_gap(s->arg);
	}
}

static struct map *
channel_map(struct redis_subs *ss, bool is_pattern)
{
	return is_pattern ? &ss->patterns : &ss->channels;
}

static void
channel_subscribe(struct channel *ch)
{
	subs_send(ch->subs, ch->is_pattern ? "PSUBSCRIBE" : "SUBSCRIBE", ch->name);
}

static void
channel_free(void *arg)
{
	struct channel *ch = arg;

	xfree(&ch->name);
	xfree(&ch);
}

static void
channel_forget(struct channel *ch)
{
	map_remove(channel_map(ch->subs, ch->is_pattern), ch->name);
	loop_free_later(ch->subs->redis->loop, channel_free, ch);
}

static void
channel_on_left(struct channel *ch)
{
	ch->leaving = false;
	if (list_is_empty(&ch->list))
		channel_forget(ch);
	else
		channel_subscribe(ch);
}

/* ["message", channel, payload], ["pmessage", pattern, channel, payload]; and
 * ["subscribe", channel, n] with its kin, which begin with p for patterns. */
static void
on_push(void *arg, const struct redisReply *r)
{
	struct redis_subs *ss = arg;

	if (r->type != REDIS_REPLY_ARRAY || r->elements < 3 || !r->element[1]->str)
		return;
	const char *kind = r->element[0]->str, *name = r->element[1]->str;
	bool is_pattern = kind[0] == 'p';
	struct channel *ch = map_find(channel_map(ss, is_pattern), name);
	const redisReply *last = r->element[r->elements - 1];

	kind += is_pattern;
	if (str_eq(kind, "subscribe") && strcmp(name, ALIVE_CHANNEL) == 0)
		ss->alive_asked = false;
	else if (ch && str_eq(kind, "subscribe") && !ch->leaving)
		channel_on_confirmed(ch);
	else if (ch && str_eq(kind, "unsubscribe") && ch->leaving)
		channel_on_left(ch);
	else if (ch && str_eq(kind, "message") && last->str)
		channel_on_message(ch, r->element[is_pattern ? 2 : 1]->str, last);
}

/* --- the link --- */

static void
subscribe_again(const char *name, void *value, void *arg)
{
	struct channel *ch = value;

	(void)name;
	(void)arg;
	ch->leaving = false;
	if (list_is_empty(&ch->list))
		channel_forget(ch);
	else
		channel_subscribe(ch);
}

static void
alive_ask(struct redis_subs *ss)
{
	ss->alive_asked = true;
	subs_send(ss, "SUBSCRIBE", ALIVE_CHANNEL);
}

static void
on_up(void *arg)
{
	struct redis_subs *ss = arg;

	ss->epoch++;
	alive_ask(ss);
	map_each(&ss->channels, subscribe_again, NULL);
	map_each(&ss->patterns, subscribe_again, NULL);
}

static void
on_down(void *arg)
{
	(void)arg; /* told as a gap, when it is over */
}

static void
on_tick(void *arg)
{
	struct redis_subs *ss = arg;

	if (ss->alive_asked)
		redis_link_fail(ss->link, "the server does not answer");
	else
		alive_ask(ss);
}

static void
on_reply(void *arg, const struct redisReply *r)
{
	(void)arg;
	(void)r; /* this link sends no commands */
}

static const struct redis_link_ops link_ops = {
	.on_up = on_up,
	.on_down = on_down,
	.on_reply = on_reply,
	.on_push = on_push,
	.on_tick = on_tick,
};

static struct redis_subs *
subs_get(struct redis *r)
{
	struct redis_subs *ss = r->subs;

	if (ss)
		return ss;
	ss = xcalloc(1, sizeof(*ss));
	ss->redis = r;
	map_init(&ss->channels);
	map_init(&ss->patterns);
	ss->link = redis_link_new(r->loop, "redis subscriptions", LOG_LVL_INFO,
		&r->target, &link_ops, ss);
	r->subs = ss;
	return ss;
}

/* --- channels --- */

static struct channel *
channel_get(struct redis_subs *ss, const char *name, bool is_pattern)
{
	struct map *map = channel_map(ss, is_pattern);
	struct channel *ch = map_find(map, name);

	if (ch)
		return ch;
	ch = xcalloc(1, sizeof(*ch));
	ch->subs = ss;
	ch->name = xstrdup(name);
	ch->is_pattern = is_pattern;
	list_init(&ch->list);
	ch->cursor = &ch->list;
	map_put(map, name, ch);
	return ch;
}

static void
sub_leave(struct redis_sub *s)
{
	struct channel *ch = s->channel;

	if (ch->cursor == &s->link)
		ch->cursor = s->link.next;
	list_remove(&s->link);
	s->channel = NULL;
}

static void
channel_close(const char *name, void *value, void *arg)
{
	struct redis_subs *ss = arg;
	struct channel *ch = value;

	(void)name;
	while (!list_is_empty(&ch->list))
		sub_leave(LIST_ENTRY(ch->list.next, struct redis_sub, link));
	loop_free_later(ss->redis->loop, channel_free, ch);
}

static void
subs_free(void *arg)
{
	struct redis_subs *ss = arg;

	xfree(&ss);
}

void
redis_subs_free(struct redis_subs **ssp)
{
	struct redis_subs *ss = *ssp;

	*ssp = NULL;
	if (!ss)
		return;
	redis_link_free(&ss->link);
	map_each(&ss->channels, channel_close, ss);
	map_each(&ss->patterns, channel_close, ss);
	map_fini(&ss->channels);
	map_fini(&ss->patterns);
	loop_free_later(ss->redis->loop, subs_free, ss);
}

/* --- for its user --- */

/* Also for a channel we have: the confirmation is what makes it ready. */
static void
sub_enter(struct redis_sub *s, struct redis *r, const char *name, bool is_pattern)
{
	if (r->closed)
		return;
	s->channel = channel_get(subs_get(r), name, is_pattern);
	list_append(&s->channel->list, &s->link);
	if (!s->channel->leaving)
		channel_subscribe(s->channel);
}

struct redis_sub *
redis_subscribe(struct redis *r, const char *channel, redis_message_fn *fn,
	void (*on_gap)(void *arg), void *arg)
{
	struct redis_sub *s = xcalloc(1, sizeof(*s));

	s->fn = fn;
	s->on_gap = on_gap;
	s->arg = arg;
	sub_enter(s, r, channel, false);
	return s;
}

struct redis_sub *
redis_psubscribe(struct redis *r, const char *pattern, redis_pattern_fn *fn,
	void (*on_gap)(void *arg), void *arg)
{
	struct redis_sub *s = xcalloc(1, sizeof(*s));

	s->pattern_fn = fn;
	s->on_gap = on_gap;
	s->arg = arg;
	sub_enter(s, r, pattern, true);
	return s;
}

void
redis_sub_on_ready(struct redis_sub *s, void (*on_ready)(void *arg))
{
	s->on_ready = on_ready;
}

/* The last subscriber has gone. */
static void
channel_leave(struct channel *ch)
{
	struct redis_subs *ss = ch->subs;

	if (ch->leaving)
		return; /* its confirmation is under way */
	if (!redis_link_is_up(ss->link)) {
		channel_forget(ch);
		return;
	}
	ch->leaving = true;
	subs_send(ss, ch->is_pattern ? "PUNSUBSCRIBE" : "UNSUBSCRIBE", ch->name);
}

void
redis_unsubscribe(struct redis_sub **sp)
{
	struct redis_sub *s = *sp;
	struct channel *ch = s ? s->channel : NULL;

	*sp = NULL;
	if (ch) {
		sub_leave(s);
		if (list_is_empty(&ch->list))
			channel_leave(ch);
	}
	xfree(&s);
}
