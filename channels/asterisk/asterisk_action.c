/* asterisk_action.c - actions sent to the manager, and whose answer a response is.
 *
 * An ActionID is "interactd-<random>-<n>", the random part new for each connection: an
 * answer meant for an older one, or for another client behind a proxy, is nobody's. All
 * actions have the same time to be answered, so the list's head is due first and one
 * timer serves all. */
#include "asterisk.h"

#include <clock.h>
#include <mem.h>
#include <str.h>
#include <uuid.h>

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct pending {
	struct list link;
	uint64_t id;
	int64_t due_us; /* monotonic */
	asterisk_answer_fn *fn;
};

static void
timer_rearm(struct asterisk *a)
{
	if (list_is_empty(&a->pending)) {
		loop_timer_stop(a->action_timer);
		return;
	}
	struct pending *p = LIST_ENTRY(a->pending.next, struct pending, link);
	int64_t left_us = p->due_us - clock_mono_us();
	loop_timer_start(a->action_timer, left_us > 0 ? left_us / 1000 + 1 : 0);
}

/* Takes it out and tells its owner. */
static void
pending_end(struct asterisk *a, struct pending *p, const struct ami_message *answer)
{
	asterisk_answer_fn *fn = p->fn;
	uint64_t id = p->id;

	list_remove(&p->link);
	a->n_pending--;
	mem_free(p);
	fn(a, id, answer);
}

static void
on_due(void *arg)
{
	struct asterisk *a = arg;
	int64_t now = clock_mono_us();

	/* An owner may end the connection, and so the list, when none came. */
	while (!list_is_empty(&a->pending)) {
		struct pending *p = LIST_ENTRY(a->pending.next, struct pending, link);
		if (p->due_us > now)
			break;
		channel_count(a->channel, "answers_missing", 1);
		pending_end(a, p, NULL);
	}
	timer_rearm(a);
}

void
asterisk_actions_init(struct asterisk *a)
{
	list_init(&a->pending);
	a->action_timer = loop_timer_new(channel_loop(a->channel), on_due, a);
}

void
asterisk_actions_reset(struct asterisk *a)
{
	struct uuid u = uuid_new(clock_wall_us());
	char hex[9];

	assert(list_is_empty(&a->pending));
	hex_encode(hex, u.b + 12, 4);
	snprintf(a->id_prefix, sizeof(a->id_prefix), "interactd-%s-", hex);
}

void
asterisk_actions_cancel(struct asterisk *a)
{
	loop_timer_stop(a->action_timer);
	while (!list_is_empty(&a->pending))
		pending_end(a, LIST_ENTRY(a->pending.next, struct pending, link), NULL);
}

void
asterisk_actions_fini(struct asterisk *a)
{
	loop_timer_free(&a->action_timer);
}

uint64_t
asterisk_action(struct asterisk *a, const char *action, const char *const (*fields)[2],
	asterisk_answer_fn *fn)
{
	struct buf out = BUF_INIT;
	char id[64];

	assert(a->stream);
	if (fn && a->n_pending == ASTERISK_PENDING_MAX) {
		channel_count(a->channel, "actions_refused", 1);
		return 0;
	}
	snprintf(id, sizeof(id), "%s%" PRIu64, a->id_prefix, ++a->last_id);
	ami_action_begin(&out, action, id);
	for (; fields && (*fields)[0]; fields++)
		ami_action_add(&out, (*fields)[0], (*fields)[1]);
	ami_action_end(&out);
	stream_write(a->stream, out.data, out.len);
	buf_fini(&out);
	if (!fn)
		return a->last_id;
	struct pending *p = xcalloc(1, sizeof(*p));
	p->id = a->last_id;
	p->due_us = clock_mono_us() + a->conf->answer_ms * 1000;
	p->fn = fn;
	list_append(&a->pending, &p->link);
	a->n_pending++;
	if (a->n_pending == 1)
		timer_rearm(a);
	return p->id;
}

uint64_t
asterisk_action_id(const struct asterisk *a, const struct ami_message *m)
{
	const char *id = ami_get(m, "ActionID");
	int64_t n;

	if (!id || !str_starts(id, a->id_prefix))
		return 0;
	return str_int(id + strlen(a->id_prefix), 1, INT64_MAX, &n) ? (uint64_t)n : 0;
}

bool
asterisk_action_answered(struct asterisk *a, const struct ami_message *m)
{
	uint64_t id = asterisk_action_id(a, m);

	if (!id)
		return false;
	list_for_each_safe (&a->pending, it) {
		struct pending *p = LIST_ENTRY(it, struct pending, link);
		if (p->id != id)
			continue;
		bool was_head = a->pending.next == it;
		pending_end(a, p, m);
		if (was_head)
			timer_rearm(a);
		return true;
	}
	return false;
}
