/* asterisk_resync.c - snapshots: what Asterisk says is there now.
 *
 * Four lists are asked for at once: channels, queues (who waits, and their members),
 * parked calls, phones. Their items are translated like any event, among live ones; here
 * they are only counted and bracketed. SNAPSHOT_END closes whatever was not listed, so it
 * is given only if the list of channels is known to be whole: "Complete" came, and as
 * many items as it says. The others only add detail; a user who may not ask for them, or
 * an Asterisk without queues, costs nothing but that. */
#include "asterisk.h"

#include <clock.h>
#include <str.h>

struct list_def {
	const char *action, *item, *complete;
	enum log_level level; /* of not having it */
	const char *without;
};

static const struct list_def list_defs[ASTERISK_LISTS] = {
	[ASTERISK_LIST_CHANNELS] = {"CoreShowChannels", "CoreShowChannel",
		"CoreShowChannelsComplete", LOG_LVL_WARNING,
		"calls that began or ended unseen stay so; the manager user needs "
		"\"write = reporting\" (or system) in manager.conf"},
	[ASTERISK_LIST_QUEUES] = {"QueueStatus", "QueueEntry", "QueueStatusComplete",
		LOG_LVL_INFO,
		"of callers already waiting, the place in the queue is "
		"not known, and agents' pauses only from their next change on"},
	[ASTERISK_LIST_DEVICES] = {"DeviceStateList", "DeviceStateChange",
		"DeviceStateListComplete", LOG_LVL_INFO,
		"of phones that are no queue members, whether they can be reached is "
		"known from their next change on"},
	[ASTERISK_LIST_PARKED] = {"ParkedCalls", "ParkedCall", "ParkedCallsComplete",
		LOG_LVL_INFO, "calls already parked look like calls on hold"},
};

static bool
lists_running(const struct asterisk_resync *r)
{
	for (size_t i = 0; i < ASTERISK_LISTS; i++)
		if (r->lists[i].state == ASTERISK_LIST_ASKED)
			return true;
	return false;
}

static bool
list_is_done(const struct asterisk_resync *r, size_t i)
{
	return r->lists[i].state == ASTERISK_LIST_DONE;
}

static void
members_mark(struct asterisk *a, enum member_mark mark)
{
	struct member_event ev = {.mark = mark,
		.paused = -1,
		.device_said = list_is_done(&a->resync, ASTERISK_LIST_DEVICES)};

	channel_member_event(a->channel, &ev);
}

static void
resync_end(struct asterisk *a)
{
	struct asterisk_resync *r = &a->resync;
	const struct asterisk_list *channels = &r->lists[ASTERISK_LIST_CHANNELS];

	r->running = false;
	r->ended_us = clock_wall_us();
	r->channels = channels->items;
	r->complete = channels->state == ASTERISK_LIST_DONE;
	loop_timer_stop(r->deadline);
	if (r->complete) {
		asterisk_emit(a, CALL_SNAPSHOT_END);
		channel_count(a->channel, "snapshots", 1);
	} else {
		channel_count(a->channel, "snapshots_incomplete", 1);
	}
	members_mark(a,
		list_is_done(r, ASTERISK_LIST_QUEUES) ? MEMBERS_END : MEMBERS_FAILED);
	log_debug(channel_who(a->channel), "snapshot %s, %u channels",
		r->complete ? "complete" : "incomplete", r->channels);
	if (r->again)
		asterisk_resync_start(a);
}

/* The only writer of a list's end. */
static void
list_end(struct asterisk *a, size_t i, enum asterisk_list_state state, const char *why)
{
	struct asterisk_list *l = &a->resync.lists[i];
	const struct list_def *def = &list_defs[i];

	if (!a->resync.running || l->state != ASTERISK_LIST_ASKED)
		return;
	l->state = state;
	if (state == ASTERISK_LIST_DONE) {
		l->told = false;
	} else {
		channel_count(a->channel, "lists_missing", 1);
		if (!l->told)
			log_line(def->level, channel_who(a->channel),
				"no list by %s (%s): %s", def->action, why,
				def->without);
		l->told = true;
	}
	if (!lists_running(&a->resync))
		resync_end(a);
}

static size_t
list_of(const struct asterisk *a, uint64_t id)
{
	for (size_t i = 0; id && i < ASTERISK_LISTS; i++)
		if (a->resync.lists[i].id == id)
			return i;
	return ASTERISK_LISTS;
}

/* The answer to the action, before the items. */
static void
on_answer(struct asterisk *a, uint64_t id, const struct ami_message *m)
{
	size_t i = list_of(a, id);

	if (i == ASTERISK_LISTS || !a->resync.running)
		return;
	if (!m)
		list_end(a, i, ASTERISK_LIST_FAILED, "no answer");
	else if (!str_ieq(ami_get(m, "Response"), "Success")) {
		const char *why = ami_get(m, "Message");
		list_end(a, i, ASTERISK_LIST_FAILED, why ? why : "refused");
	}
}

/* "ListItems" counts other things too in other lists (queues and their members). */
static bool
channels_all_there(const struct asterisk *a, const struct ami_message *complete)
{
	const struct asterisk_list *l = &a->resync.lists[ASTERISK_LIST_CHANNELS];
	const char *text = ami_get(complete, "ListItems");
	int64_t said;

	return !text || !str_int(text, 0, INT64_MAX, &said) ||
	       l->items >= (uint64_t)said;
}

void
asterisk_resync_event(
	struct asterisk *a, const struct ami_message *m, const char *event)
{
	size_t i = a->resync.running ? list_of(a, asterisk_action_id(a, m))
				     : ASTERISK_LISTS;
	const char *mark = ami_get(m, "EventList");

	if (i == ASTERISK_LISTS)
		return;
	if (str_ieq(event, list_defs[i].item))
		a->resync.lists[i].items++;
	else if (str_ieq(mark, "cancelled"))
		list_end(a, i, ASTERISK_LIST_FAILED, "cancelled");
	else if (!str_ieq(event, list_defs[i].complete) && !str_ieq(mark, "Complete"))
		return;
	else if (i == ASTERISK_LIST_CHANNELS && !channels_all_there(a, m))
		list_end(a, i, ASTERISK_LIST_FAILED, "items are missing");
	else
		list_end(a, i, ASTERISK_LIST_DONE, NULL);
}

static void
on_deadline(void *arg)
{
	struct asterisk *a = arg;

	for (size_t i = 0; i < ASTERISK_LISTS; i++)
		list_end(a, i, ASTERISK_LIST_FAILED, "not complete in time");
}

void
asterisk_resync_start(struct asterisk *a)
{
	struct asterisk_resync *r = &a->resync;

	if (a->state != ASTERISK_READY)
		return;
	if (r->running) {
		r->again = true;
		return;
	}
	if (!r->deadline)
		r->deadline = loop_timer_new(channel_loop(a->channel), on_deadline, a);
	r->running = true;
	r->again = false;
	asterisk_emit(a, CALL_SNAPSHOT_BEGIN);
	members_mark(a, MEMBERS_BEGIN);
	for (size_t i = 0; i < ASTERISK_LISTS; i++) {
		struct asterisk_list *l = &r->lists[i];
		l->items = 0;
		l->state = ASTERISK_LIST_ASKED;
		l->id = asterisk_action(a, list_defs[i].action, NULL, on_answer);
	}
	loop_timer_start(r->deadline, a->conf->answer_ms);
	for (size_t i = 0; i < ASTERISK_LISTS; i++)
		if (!r->lists[i].id)
			list_end(a, i, ASTERISK_LIST_FAILED, "too many actions wait");
}

void
asterisk_resync_abort(struct asterisk *a)
{
	struct asterisk_resync *r = &a->resync;

	if (!r->running)
		return;
	r->running = r->again = r->complete = false;
	loop_timer_stop(r->deadline);
	channel_count(a->channel, "snapshots_incomplete", 1);
}

void
asterisk_resync_fini(struct asterisk *a)
{
	loop_timer_free(&a->resync.deadline);
}
