/* events.c - what changed, published on interactd:<tenant>:events.
 *
 *	waiting (oldest first, at most WAITING_MAX) -> sent (on the wire) -> gone
 *
 * Order is kept. An event whose answer was lost goes back to the head and is published
 * again under the same id: a receiver that counts looks at the id. Redis' return is seen
 * by a timer that runs only while something waits. */
#include <desk/events.h>

#include <buf.h>
#include <json.h>
#include <list.h>
#include <log.h>
#include <mem.h>

#include <stdio.h>
#include <string.h>

#define WAITING_MAX 1000
#define RETRY_MS    100

struct event {
	struct list link;      /* in waiting or sent */
	struct events *events; /* NULL: freed meanwhile */
	unsigned long long order;
	char *channel, *json;
	size_t len;
};

struct events {
	struct redis *redis;
	struct list waiting, sent;
	size_t n_waiting;
	bool held; /* an answer was lost: not before the timer */
	struct loop_timer *retry;
	unsigned long long published, dropped;
	struct log_once dropped_log;
	const struct events_keeper *keeper; /* or NULL */
	void *keeper_arg;
	events_contact_fn *on_contact; /* or NULL */
	void *on_contact_arg;
};

static void
free_event(struct event *ev)
{
	list_remove(&ev->link);
	xfree(&ev->channel);
	xfree(&ev->json);
	mem_free(ev);
}

static void
drop_oldest(struct events *es)
{
	unsigned long quiet;
	free_event(LIST_ENTRY(es->waiting.next, struct event, link));
	es->n_waiting--;
	es->dropped++;
	if (log_once_due(&es->dropped_log, 60, &quiet))
		log_warnx("redis",
			"events are dropped while Redis is away (%llu so far)",
			es->dropped);
}

static void
hold(struct events *es)
{
	es->held = true;
	loop_timer_start(es->retry, RETRY_MS);
}

static void
on_published(void *arg, const struct redis_reply *r)
{
	struct event *ev = arg;
	struct events *es = ev->events;
	if (!es || redis_type(r) == REDIS_INTEGER) {
		free_event(ev);
		return;
	}
	/* Back to its place: behind those lost before it. */
	list_remove(&ev->link);
	struct list *at = &es->waiting;
	while (at->next != &es->waiting &&
		LIST_ENTRY(at->next, struct event, link)->order < ev->order)
		at = at->next;
	list_prepend(at, &ev->link);
	if (++es->n_waiting > WAITING_MAX)
		drop_oldest(es);
	hold(es);
}

static void
send_event(struct events *es, struct event *ev)
{
	const char *argv[] = {"PUBLISH", ev->channel, ev->json};
	const size_t lens[] = {7, strlen(ev->channel), ev->len};
	list_remove(&ev->link);
	list_append(&es->sent, &ev->link);
	es->n_waiting--;
	redis_command(es->redis, 3, argv, lens, on_published, ev);
}

static void
pump(struct events *es)
{
	while (!es->held && redis_is_up(es->redis) && !list_is_empty(&es->waiting))
		send_event(es, LIST_ENTRY(es->waiting.next, struct event, link));
	if (!list_is_empty(&es->waiting) && !loop_timer_is_running(es->retry))
		hold(es);
}

static void
on_retry(void *arg)
{
	struct events *es = arg;
	es->held = false;
	pump(es);
}

struct events *
events_new(struct loop *loop, struct redis *redis)
{
	struct events *es = xcalloc(1, sizeof(*es));
	es->redis = redis;
	list_init(&es->waiting);
	list_init(&es->sent);
	es->retry = loop_timer_new(loop, on_retry, es);
	return es;
}

void
events_free(struct events **esp)
{
	struct events *es = *esp;
	if (!es)
		return;
	*esp = NULL;
	while (!list_is_empty(&es->waiting))
		free_event(LIST_ENTRY(es->waiting.next, struct event, link));
	while (!list_is_empty(&es->sent)) {
		struct event *ev = LIST_ENTRY(es->sent.next, struct event, link);
		list_remove(&ev->link);
		ev->events = NULL; /* freed by its answer */
	}
	loop_timer_free(&es->retry);
	mem_free(es);
}

/* event_body in conf/sql/022-webhooks.sql makes the same text. */
static struct event *
new_event(const struct tenant *tenant, const struct event_stamp *stamp, unsigned nth,
	const char *type, const char *object, const char *changes)
{
	char id[UUID_TEXT_LEN];
	struct uuid uuid = event_nth(stamp, nth);
	struct event *ev = xcalloc(1, sizeof(*ev));
	struct buf b = BUF_INIT;
	struct json_out j;

	json_out_init(&j, &b);
	json_put_object(&j, NULL);
	json_put_int(&j, "v", 1);
	json_put_string(&j, "id", uuid_format(id, &uuid));
	json_put_string(&j, "type", type);
	json_put_time(&j, "at", stamp->at_us);
	json_put_string(&j, "tenant", tenant->name);
	json_put_raw(&j, "object", object);
	json_put_raw(&j, "changes", changes ? changes : "{}");
	json_put_object_end(&j);
	ev->len = b.len;
	ev->json = buf_steal(&b);
	ev->channel = xasprintf("interactd:%s:events", tenant->name);
	return ev;
}

static void
publish(struct events *es, struct event *ev)
{
	if (es->n_waiting >= WAITING_MAX)
		drop_oldest(es);
	ev->events = es;
	ev->order = es->published++;
	list_append(&es->waiting, &ev->link);
	es->n_waiting++;
	pump(es);
}

static void
tell_here(const struct events *es, const struct tenant *tenant, const char *type,
	const char *object)
{
	if (es->on_contact && !strncmp(type, "contact.", 8))
		es->on_contact(es->on_contact_arg, tenant, type, object);
}

static bool
is_wanted(const struct events *es, const struct tenant *tenant, const char *type)
{
	return es->keeper && es->keeper->wants(es->keeper_arg, tenant, type);
}

struct event_stamp
events_stamp(const struct events *es, const struct tenant *tenant)
{
	return event_stamp_new(is_wanted(es, tenant, NULL));
}

void
events_keep(struct pg_unit *u, const struct tenant *tenant,
	const struct event_stamp *stamp, unsigned nth, const char *type,
	const char *object, const char *changes)
{
	struct uuid id = event_nth(stamp, nth);

	if (!stamp->kept)
		return;
	pg_add(u, "event_keep");
	pg_param_int(u, tenant->id);
	pg_param_uuid(u, &id);
	pg_param_text(u, type);
	pg_param_int(u, stamp->at_us);
	pg_param_text(u, object);
	pg_param_text(u, changes);
}

void
events_told(struct events *es, const struct tenant *tenant,
	const struct event_stamp *stamp, unsigned nth, const char *type,
	const char *object, const char *changes)
{
	publish(es, new_event(tenant, stamp, nth, type, object, changes));
	tell_here(es, tenant, type, object);
	if (stamp->kept && es->keeper)
		es->keeper->kept(es->keeper_arg, tenant, type);
}

void
events_publish(struct events *es, const struct tenant *tenant, const char *type,
	const char *object, const char *changes)
{
	struct event_stamp stamp = event_stamp_new(is_wanted(es, tenant, type));

	publish(es, new_event(tenant, &stamp, 0, type, object, changes));
	tell_here(es, tenant, type, object);
	if (stamp.kept)
		es->keeper->keep(es->keeper_arg, tenant, &stamp, type, object, changes);
}

void
events_set_keeper(struct events *es, const struct events_keeper *keeper, void *arg)
{
	es->keeper = keeper;
	es->keeper_arg = arg;
}

void
events_on_contact(struct events *es, events_contact_fn *fn, void *arg)
{
	es->on_contact = fn;
	es->on_contact_arg = arg;
}

unsigned long long
events_dropped(const struct events *es)
{
	return es->dropped;
}
