/* phone_heal.c - what the writer had no room for is written when there is.
 *
 * While PostgreSQL is away more calls may end than wait in memory. From then on the
 * checkpoint stays where it is (struct phone.frozen), and the spool alone has them. When
 * at most half of the queue is taken again, the spool is read once more from the
 * checkpoint on, in slices between which the loop goes on, into a second tracker. Nobody
 * is shown anything of it: only what ended, and does not live in the phone's own tracker,
 * is saved (once more, for those that had found room: saving is idempotent). What is
 * refused meanwhile is found too, since the reading goes up to the present. When it has
 * caught up the checkpoint moves again: the writer commits in order, so never before what
 * was given here. */
#include <calls/phone_priv.h>

#include <calls/event_codec.h>
#include <clock.h>
#include <mem.h>

#include <inttypes.h>

#define SLICE_RECORDS 500
#define SAVINGS_MAX   256 /* live calls wait behind no more than these */
#define NO_ROOM_MS    100
/* Longer than anything a tracker waits for. */
#define SETTLED_US INT64_C(60000000)

struct heal {
	struct phone *phone;
	struct tracker *tracker;
	struct spool_cursor *cursor;
	uint64_t gap;
	int64_t at_us; /* of the last event */
	unsigned long long calls;
	bool refused; /* one event ended more calls than there was room for */
};

static void
call_ended(void *arg, struct call *c)
{
	struct heal *h = arg;
	struct uuid nobody = {{0}};
	h->calls++;
	h->refused |= !phone_save_found(h->phone, c, &nobody);
}

static void
call_absorbed(void *arg, struct call *absorbed, struct call *into)
{
	struct heal *h = arg;
	h->refused |= !phone_save_found(h->phone, absorbed, &into->id);
}

static const struct tracker_observer observer = {
	.call_ended = call_ended,
	.call_corrected = call_ended,
	.call_absorbed = call_absorbed,
};

void
phone_heal_begin(struct phone *ph)
{
	if (!ph->frozen || ph->heal || ph->store->held || !writer_has_room(ph->writer))
		return;
	struct heal *h = xcalloc(1, sizeof(*h));
	h->phone = ph;
	h->tracker = phone_tracker_new(ph, &observer, h);
	h->cursor = spool_cursor_new(ph->spool, ph->sent_checkpoint + 1);
	ph->heal = h;
	log_info(ph->who,
		"calls that are in the spool only are written now, from record %" PRIu64
		" on",
		ph->sent_checkpoint + 1);
	loop_timer_start(ph->heal_timer, 0);
}

void
phone_heal_end(struct phone *ph)
{
	struct heal *h = ph->heal;
	if (!h)
		return;
	ph->heal = NULL;
	loop_timer_stop(ph->heal_timer);
	tracker_free(&h->tracker);
	spool_cursor_free(&h->cursor);
	mem_free(h);
}

static bool
on_record(void *arg, uint64_t seq, const void *data, size_t len)
{
	struct heal *h = arg;
	struct call_event ev;
	struct call_var vars[CALL_VARS_MAX];
	if (call_event_decode(data, len, &ev, vars) < 0)
		return true;
	tracker_tick(h->tracker,
		ev.at_us < h->at_us - SETTLED_US ? h->at_us + SETTLED_US : ev.at_us);
	tracker_apply(h->tracker, &ev, seq);
	h->at_us = ev.at_us;
	return writer_has_room(h->phone->writer);
}

/* What still lives here and not in the phone's own tracker ended by an event that could
 * not be spooled: that it is over is known, when is not. */
static void
end_leftovers(struct heal *h)
{
	static const enum call_event_type types[] = {
		CALL_LINK_LOST, CALL_SNAPSHOT_BEGIN, CALL_SNAPSHOT_END};
	tracker_tick(h->tracker, phone_now(h->phone));
	for (size_t i = 0; i < 3; i++) {
		struct call_event ev = {.type = types[i], .at_us = h->at_us};
		tracker_apply(h->tracker, &ev, 0);
	}
	tracker_tick(h->tracker, h->at_us + SETTLED_US);
}

static void
forget(const char *id, void *value, void *arg)
{
	struct phone *ph = arg;
	(void)value;
	map_remove(&ph->refused, id);
}

static void
finish(struct heal *h)
{
	struct phone *ph = h->phone;
	end_leftovers(h);
	if (h->refused) {
		phone_heal_end(ph); /* once more from the start */
		return;
	}
	ph->frozen = false;
	map_each(&ph->refused, forget, ph);
	if (h->gap)
		log_errorx(ph->who,
			"%" PRIu64 " phone events are missing from the spool; calls of "
			"that time may lack details",
			h->gap);
	log_info(ph->who, "%llu calls were written from the spool", h->calls);
	phone_heal_end(ph);
	phone_flush(ph);
}

void
phone_heal_on_timer(void *arg)
{
	struct phone *ph = arg;
	struct heal *h = ph->heal;
	if (!h || ph->heal_savings >= SAVINGS_MAX)
		return; /* the last one's answer goes on */
	if (!writer_has_room(ph->writer)) {
		loop_timer_start(ph->heal_timer, NO_ROOM_MS);
		return;
	}
	size_t n = spool_cursor_read(h->cursor, SLICE_RECORDS, on_record, h, &h->gap);
	if (n)
		loop_timer_start(ph->heal_timer, 1);
	else
		finish(h);
}
