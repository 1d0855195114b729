/* channel.c - the instances of configured channels, and what their drivers call.
 *
 * A channel lives in its core's list from channel_core_open until it has been closed.
 * Only state_set changes its state, and tells the sink. The end has two sides: the
 * driver says channel_closed, or the core's patience (CLOSE_MS) runs out; whichever is
 * first calls `done`. A driver that is late may still hold the channel's memory, so
 * that is kept until it does say channel_closed.
 *
 * Counters are found by linear search over at most COUNTERS_MAX names. */
#include "io/channel.h"

#include <clock.h>
#include <list.h>
#include <log.h>
#include <mem.h>
#include <str.h>

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define CLOSE_MS	2000
#define COUNTERS_MAX	64
#define RESYNC_PAUSE_US 5000000 /* between a wish and any other */
#define RESYNC_BUSY_MS	30000	/* then the timer tries again */
#define REFUSED_LOG_S	60

struct counter {
	char *name;
	unsigned long long value;
	struct log_once once; /* of a refusal's cause */
};

struct counters {
	struct counter items[COUNTERS_MAX];
	size_t n;
	unsigned long long others; /* under names that found no room */
};

struct channel_core {
	struct loop *loop;
	struct channel_sink sink;
	struct list channels; /* of struct channel, in the order they were opened */
};

struct channel {
	struct list link;
	struct channel_core *core; /* NULL once done was called: nobody listens */
	struct loop *loop;
	const struct channel_ops *ops;
	const void *conf;
	char *name, *tenant, *who;
	void *private, *user;

	enum channel_state state;
	int64_t since_us;
	char *why, *peer;
	struct counters counted, refused;
	unsigned long long call_events[CALL_EVENT_TYPES];

	int64_t resync_ms;
	int64_t resynced_us, wished_us; /* by timer, by hand; monotonic, 0 = never */
	struct loop_timer *resync_timer;

	bool closed;	/* the driver let go */
	bool abandoned; /* done was called before it did */
	struct loop_timer *close_timer;
	loop_fn *done;
	void *done_arg;
};

static const char *const state_texts[] = {
#define S(name, text, help) [CHANNEL_##name] = text,
	CHANNEL_STATES(S)
#undef S
};

const char *
channel_state_text(enum channel_state state)
{
	return state_texts[state];
}

static const char *const call_event_names[] = {
#define E(name, help) [CALL_##name] = #name,
	CALL_EVENTS(E)
#undef E
};

const char *
call_event_name(enum call_event_type type)
{
	return (unsigned)type < CALL_EVENT_TYPES ? call_event_names[type] : "UNKNOWN";
}

/* ---- Life ---------------------------------------------------------------- */

static void
counters_fini(struct counters *c)
{
	for (size_t i = 0; i < c->n; i++)
		mem_free(c->items[i].name);
}

static void
channel_free(void *arg)
{
	struct channel *ch = arg;

	list_remove(&ch->link);
	loop_timer_free(&ch->resync_timer);
	loop_timer_free(&ch->close_timer);
	counters_fini(&ch->counted);
	counters_fini(&ch->refused);
	mem_free(ch->name);
	mem_free(ch->tenant);
	mem_free(ch->who);
	mem_free(ch->why);
	mem_free(ch->peer);
	mem_free(ch->private);
	mem_free(ch);
}

/* The only writer of state. */
static void
state_set(struct channel *ch, enum channel_state next)
{
	bool was_up = ch->state == CHANNEL_UP, is_up = next == CHANNEL_UP;

	if (ch->state == next)
		return;
	log_debug(ch->who, "%s -> %s", state_texts[ch->state], state_texts[next]);
	ch->state = next;
	ch->since_us = clock_wall_us();
	if (is_up && ch->resync_timer)
		loop_timer_start(ch->resync_timer,
			loop_backoff_ms(0, ch->resync_ms, ch->resync_ms));
	if (!is_up && ch->resync_timer)
		loop_timer_stop(ch->resync_timer);
	if (was_up != is_up && ch->core && ch->core->sink.state)
		ch->core->sink.state(ch->core->sink.arg, ch, is_up);
}

static void
on_resync_due(void *arg)
{
	struct channel *ch = arg;
	int64_t next = loop_backoff_ms(0, ch->resync_ms, ch->resync_ms);
	int64_t now = clock_mono_us();

	if (ch->ops->busy && ch->ops->busy(ch)) {
		channel_count(ch, "snapshots_put_off", 1);
		next = next < RESYNC_BUSY_MS ? next : RESYNC_BUSY_MS;
	} else if (!ch->wished_us || now - ch->wished_us >= RESYNC_PAUSE_US) {
		ch->resynced_us = now;
		ch->ops->resync(ch);
	}
	loop_timer_start(ch->resync_timer, next);
}

struct channel_core *
channel_core_new(struct loop *loop, const struct channel_sink *sink)
{
	struct channel_core *core = xcalloc(1, sizeof(*core));

	core->loop = loop;
	core->sink = *sink;
	list_init(&core->channels);
	return core;
}

void
channel_core_free(struct channel_core **corep)
{
	struct channel_core *core = *corep;

	if (!core)
		return;
	*corep = NULL;
	list_for_each_safe (&core->channels, it) {
		struct channel *ch = LIST_ENTRY(it, struct channel, link);
		list_remove(&ch->link);
		ch->done = NULL;
		if (ch->state != CHANNEL_CLOSING)
			ch->ops->close(ch);
		ch->core = NULL;
		/* A driver that still waits for its wire keeps its memory: the loop
		 * that would tell us when it may go is about to end. */
		if (ch->closed)
			channel_free(ch);
	}
	mem_free(core);
}

static struct channel *
channel_new(struct channel_core *core, const struct channel_opts *opts)
{
	struct channel *ch = xcalloc(1, sizeof(*ch));

	ch->core = core;
	ch->loop = core->loop;
	ch->ops = opts->ops;
	ch->conf = opts->conf;
	ch->name = xstrdup(opts->name);
	ch->tenant = xstrdup(opts->tenant);
	ch->who = xasprintf("channel %s", opts->name);
	ch->private = xcalloc(1, opts->ops->size ? opts->ops->size : 1);
	ch->since_us = clock_wall_us();
	ch->resync_ms = opts->resync_ms;
	if (opts->resync_ms > 0 && opts->ops->resync)
		ch->resync_timer = loop_timer_new(core->loop, on_resync_due, ch);
	list_append(&core->channels, &ch->link);
	return ch;
}

struct channel *
channel_core_open(
	struct channel_core *core, const struct channel_opts *opts, struct err *err)
{
	assert(opts->ops->open && opts->ops->close);
	if (channel_core_find(core, opts->name)) {
		err_set(err, "there is a channel \"%s\" already", opts->name);
		return NULL;
	}
	struct channel *ch = channel_new(core, opts);
	if (ch->ops->open(ch, ch->conf, err) == 0)
		return ch;
	channel_free(ch);
	return NULL;
}

static void
close_done(void *arg)
{
	struct channel *ch = arg;

	if (ch->done)
		ch->done(ch->done_arg);
	ch->done = NULL;
	list_remove(&ch->link);
	ch->core = NULL;
	if (ch->closed)
		loop_free_later(ch->loop, channel_free, ch);
	else
		ch->abandoned = true;
}

static void
on_close_late(void *arg)
{
	struct channel *ch = arg;

	if (!ch->closed)
		log_warnx(ch->who, "did not let go in %d s", CLOSE_MS / 1000);
	close_done(ch);
}

void
channel_core_close(struct channel *ch, loop_fn *done, void *arg)
{
	assert(ch->state != CHANNEL_CLOSING);
	ch->done = done;
	ch->done_arg = arg;
	state_set(ch, CHANNEL_CLOSING);
	ch->close_timer = loop_timer_new(ch->loop, on_close_late, ch);
	loop_timer_start(ch->close_timer, CLOSE_MS);
	ch->ops->close(ch);
}

void
channel_closed(struct channel *ch)
{
	assert(!ch->closed);
	ch->closed = true;
	if (ch->abandoned) {
		loop_free_later(ch->loop, channel_free, ch);
	} else if (ch->close_timer) {
		/* Through the timer: never before channel_core_close returns. */
		loop_timer_start(ch->close_timer, 0);
	}
}

struct channel *
channel_core_find(const struct channel_core *core, const char *name)
{
	list_for_each (&core->channels, it) {
		struct channel *ch = LIST_ENTRY(it, struct channel, link);
		if (ch->state != CHANNEL_CLOSING && str_eq(ch->name, name))
			return ch;
	}
	return NULL;
}

void
channel_core_each(struct channel_core *core, channel_core_fn *fn, void *arg)
{
	list_for_each_safe (&core->channels, it)
		fn(arg, LIST_ENTRY(it, struct channel, link));
}

size_t
channel_core_count(const struct channel_core *core)
{
	size_t n = 0;

	list_for_each (&core->channels, it)
		n++;
	return n;
}

int
channel_core_resync(struct channel *ch, struct err *err)
{
	int64_t now = clock_mono_us();
	const char *busy;

	if (!ch->ops->resync)
		return err_set(
			err, "driver %s has nothing to compare with", ch->ops->driver);
	if (ch->state != CHANNEL_UP)
		return err_set(err, "channel %s is not up: %s", ch->name,
			ch->why ? ch->why : state_texts[ch->state]);
	if ((ch->resynced_us && now - ch->resynced_us < RESYNC_PAUSE_US) ||
		(ch->wished_us && now - ch->wished_us < RESYNC_PAUSE_US))
		return err_set(err, "channel %s was asked a moment ago", ch->name);
	if (ch->ops->busy && (busy = ch->ops->busy(ch)))
		return err_set(err, "channel %s: %s", ch->name, busy);
	ch->wished_us = now;
	ch->ops->resync(ch);
	return 0;
}

/* ---- What the driver calls ----------------------------------------------- */

void
channel_up(struct channel *ch, const char *peer)
{
	if (ch->state == CHANNEL_CLOSING)
		return;
	if (ch->state != CHANNEL_UP || !str_eq(peer, ch->peer))
		log_info(ch->who, "up: %s", peer ? peer : "connected");
	mem_free(ch->peer);
	ch->peer = xstrdup(peer);
	xfree(&ch->why);
	state_set(ch, CHANNEL_UP);
}

void
channel_down(struct channel *ch, const char *why)
{
	if (ch->state == CHANNEL_CLOSING)
		return;
	if (ch->state != CHANNEL_DOWN || !str_eq(why, ch->why))
		log_warnx(ch->who, "down: %s", why);
	char *copy = xstrdup(why);
	mem_free(ch->why);
	ch->why = copy;
	xfree(&ch->peer);
	state_set(ch, CHANNEL_DOWN);
}

/* NULL if there is no room for another name. */
static struct counter *
counter_find(struct counters *c, const char *name)
{
	for (size_t i = 0; i < c->n; i++)
		if (!strcmp(c->items[i].name, name))
			return &c->items[i];
	if (c->n == COUNTERS_MAX)
		return NULL;
	c->items[c->n].name = xstrdup(name);
	return &c->items[c->n++];
}

void
channel_count(struct channel *ch, const char *counter, unsigned n)
{
	struct counter *c = counter_find(&ch->counted, counter);

	if (c)
		c->value += n;
	else
		ch->counted.others += n;
}

void
channel_refused(struct channel *ch, const char *cause, const char *detail_fmt, ...)
{
	struct counter *c = counter_find(&ch->refused, cause);
	unsigned long more = 0;
	char detail[512];
	va_list ap;

	if (!c) {
		ch->refused.others++;
		return;
	}
	c->value++;
	if (!log_once_due(&c->once, REFUSED_LOG_S, &more))
		return;
	va_start(ap, detail_fmt);
	vsnprintf(detail, sizeof(detail), detail_fmt, ap);
	va_end(ap);
	if (more)
		log_warnx(ch->who, "refused (%s): %s (and %lu more since)", cause,
			detail, more);
	else
		log_warnx(ch->who, "refused (%s): %s", cause, detail);
}

void
channel_call_event(struct channel *ch, const struct call_event *ev)
{
	struct call_event stamped;

	if (!ch->core)
		return;
	if (!ev->at_us) {
		stamped = *ev;
		stamped.at_us = clock_wall_us();
		ev = &stamped;
	}
	ch->call_events[ev->type]++;
	if (ch->core->sink.call_event)
		ch->core->sink.call_event(ch->core->sink.arg, ch, ev);
}

void
channel_member_event(struct channel *ch, const struct member_event *ev)
{
	struct member_event stamped = *ev;

	if (!ch->core || !ch->core->sink.member_event)
		return;
	if (!stamped.at_us)
		stamped.at_us = clock_wall_us();
	ch->core->sink.member_event(ch->core->sink.arg, ch, &stamped);
}

const char *const phone_dial_formats[] = {"national", "e164", "digits", NULL};

bool
phone_conf_is_trunk(const struct phone_conf *conf, const char *endpoint)
{
	return conf->trunks.text && !str_empty(endpoint) &&
	       regexec(&conf->trunks.re, endpoint, 0, NULL, 0) == 0;
}

char *
phone_conf_agent(const struct phone_conf *conf, const char *endpoint)
{
	regmatch_t m[2];

	if (!conf->agents.text || !endpoint ||
		regexec(&conf->agents.re, endpoint, 2, m, 0) != 0)
		return NULL;
	int n = m[1].rm_so >= 0 ? 1 : 0;
	return xasprintf("%s%.*s", conf->agent_prefix ? conf->agent_prefix : "",
		(int)(m[n].rm_eo - m[n].rm_so), endpoint + m[n].rm_so);
}

/* ---- What is known of one ------------------------------------------------ */

void *
channel_private(const struct channel *ch)
{
	return ch->private;
}

const void *
channel_conf(const struct channel *ch)
{
	return ch->conf;
}

const char *
channel_name(const struct channel *ch)
{
	return ch->name;
}

const char *
channel_tenant(const struct channel *ch)
{
	return ch->tenant;
}

const char *
channel_who(const struct channel *ch)
{
	return ch->who;
}

struct loop *
channel_loop(const struct channel *ch)
{
	return ch->loop;
}

const struct channel_ops *
channel_core_ops(const struct channel *ch)
{
	return ch->ops;
}

enum channel_state
channel_core_state(const struct channel *ch)
{
	return ch->state;
}

int64_t
channel_core_since_us(const struct channel *ch)
{
	return ch->since_us;
}

const char *
channel_core_why(const struct channel *ch)
{
	return ch->why;
}

const char *
channel_core_peer(const struct channel *ch)
{
	return ch->peer;
}

void
channel_set_user(struct channel *ch, void *user)
{
	ch->user = user;
}

void *
channel_user(const struct channel *ch)
{
	return ch->user;
}

static void
counters_each(const struct counters *c, bool refused, channel_counter_fn *fn, void *arg)
{
	for (size_t i = 0; i < c->n; i++)
		fn(arg, c->items[i].name, refused, c->items[i].value);
	if (c->others)
		fn(arg, "others", refused, c->others);
}

void
channel_core_counters(const struct channel *ch, channel_counter_fn *fn, void *arg)
{
	counters_each(&ch->counted, false, fn, arg);
	for (size_t i = 0; i < CALL_EVENT_TYPES; i++)
		if (ch->call_events[i])
			fn(arg, call_event_names[i], false, ch->call_events[i]);
	counters_each(&ch->refused, true, fn, arg);
}

struct counter_write {
	struct json_out *json;
	bool refused; /* the kind to write */
};

static void
counter_write(void *arg, const char *name, bool refused, unsigned long long value)
{
	struct counter_write *w = arg;

	if (refused == w->refused)
		json_put_int(w->json, name, (int64_t)value);
}

void
channel_core_put(const struct channel *ch, struct json_out *json)
{
	json_put_string(json, "name", ch->name);
	json_put_string(json, "tenant", ch->tenant);
	json_put_string(json, "driver", ch->ops->driver);
	json_put_string(json, "state", state_texts[ch->state]);
	json_put_time(json, "since", ch->since_us);
	json_put_string(json, "why", ch->why);
	json_put_string(json, "peer", ch->peer);
	json_put_object(json, "counters");
	channel_core_counters(ch, counter_write,
		&(struct counter_write){.json = json, .refused = false});
	json_put_object_end(json);
	json_put_object(json, "refused");
	channel_core_counters(ch, counter_write,
		&(struct counter_write){.json = json, .refused = true});
	json_put_object_end(json);
	if (ch->ops->status)
		ch->ops->status(ch, json);
}
