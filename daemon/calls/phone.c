/* phone.c - events of one phone system: into the spool, then to the tracker.
 *
 * Order matters: an event is appended before it is applied, and applied before this
 * returns to the driver, which never waits for anything. What the tracker tells is
 * turned into pops and savings in phone_observer.c.
 *
 * Time: some endings wait for their reason by the phone system's clock, which may
 * differ from ours; between two events it is taken to run as our monotonic clock does.
 */
#include <calls/phone.h>
#include <calls/phone_priv.h>

#include <calls/event_codec.h>
#include <clock.h>
#include <log.h>
#include <mem.h>
#include <str.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Changes of a living call are saved together this often; its end is saved at once. */
#define FLUSH_MS 1000
/* Records behind which a checkpoint is written though no call ended. */
#define CHECKPOINT_EVERY 2000
/* An event so much older than the last: the phone system's clock was put back. */
#define PUT_BACK_US (60 * INT64_C(1000000))
/* Longer than anything a tracker waits for. */
#define SETTLED_US (10 * INT64_C(1000000))
/* No spool counts so far between two checkpoints. */
#define NEW_ROW (UINT64_C(1) << 40)

static void on_tick(void *arg);
static void on_flush(void *arg);

static const char *
directory_agent_of(
	void *arg, const char *channel, const char *endpoint, const char *pattern_agent)
{
	struct phone *ph = arg;
	return agents_of_endpoint(
		ph->agents, ph->tenant->name, channel, endpoint, pattern_agent);
}

struct tracker_directory
phone_directory(struct phone *ph)
{
	return (struct tracker_directory){directory_agent_of, ph};
}

struct tracker *
phone_tracker_new(struct phone *ph, const struct tracker_observer *observer, void *arg)
{
	struct tracker_opts opts = {
		.tenant = ph->tenant->name,
		.channel = ph->channel,
		.conf = ph->conf,
		.directory = phone_directory(ph),
		.observer = observer,
		.observer_arg = arg,
	};
	return tracker_new(&opts);
}

struct phone *
phone_open(const struct phone_opts *opts, struct err *err)
{
	bool unknown = opts->checkpoint == PHONE_CHECKPOINT_UNKNOWN;
	struct spool *spool = spool_open(opts->loop, &opts->spool,
		unknown ? SPOOL_SEQ_UNKNOWN : opts->checkpoint + 1, err);
	struct spool_stats held;
	if (!spool)
		return NULL;
	spool_get_stats(spool, &held);
	struct phone *ph = xcalloc(1, sizeof(*ph));
	ph->loop = opts->loop;
	ph->tenant = opts->tenant;
	ph->channel = xstrdup(opts->channel);
	snprintf(ph->who, sizeof(ph->who), "calls %s", opts->channel);
	ph->conf = opts->conf;
	ph->store = opts->store;
	ph->writer = opts->writer;
	ph->pops = opts->pops;
	ph->events = opts->events;
	ph->agents = opts->agents;
	ph->states = opts->states;
	ph->spool = spool;
	ph->opened_seq = held.last_seq + 1;
	ph->last_seq = ph->sent_checkpoint = ph->flushed =
		unknown ? held.first_seq - 1 : opts->checkpoint;
	/* A new row of numbers begins with the time (spool_open): no gap, a loss. */
	if (held.first_seq > ph->last_seq && held.first_seq - ph->last_seq > NEW_ROW)
		ph->last_seq = ph->sent_checkpoint = ph->flushed = held.first_seq - 1;
	ph->replayed_from = ph->last_seq + 1;
	list_init(&ph->calls);
	list_init(&ph->dirty);
	map_init(&ph->by_id);
	ph->tracker = phone_tracker_new(ph, &phone_observer, ph);
	phone_gap_open(ph, opts);
	ph->tick = loop_timer_new(ph->loop, on_tick, ph);
	ph->flush = loop_timer_new(ph->loop, on_flush, ph);
	ph->heal_timer = loop_timer_new(ph->loop, phone_heal_on_timer, ph);
	map_init(&ph->refused);
	loop_timer_start(ph->flush, FLUSH_MS);
	return ph;
}

void
phone_free(struct phone *ph)
{
	map_fini(&ph->by_id);
	map_fini(&ph->refused);
	xfree(&ph->channel);
	xfree(&ph);
}

/* What lives goes on in the next daemon: its subjects stay with the pops, which leave
 * them open in Redis. Savings under way still need the struct. */
void
phone_close(struct phone **php)
{
	struct phone *ph = *php;
	if (!ph)
		return;
	*php = NULL;
	ph->closing = true;
	phone_heal_end(ph);
	phone_flush(ph);
	phone_gap_close(ph);
	list_for_each_safe (&ph->calls, it)
		phone_call_free(LIST_ENTRY(it, struct phone_call, link));
	tracker_free(&ph->tracker);
	loop_timer_free(&ph->tick);
	loop_timer_free(&ph->flush);
	loop_timer_free(&ph->heal_timer);
	spool_close(&ph->spool);
	buf_fini(&ph->scratch);
	ph->closed = true;
	if (!ph->savings)
		phone_free(ph);
}

/* ---- Time -------------------------------------------------------------------------
 */

int64_t
phone_now(const struct phone *ph)
{
	if (!ph->event_us)
		return clock_wall_us();
	return ph->event_us + (clock_mono_us() - ph->event_mono_us);
}

/* Told by the driver itself, or an item of a list: there is never a time in it but that
 * of receipt, which is our clock's. */
static bool
is_by_our_clock(enum call_event_type type)
{
	return (type >= CALL_SNAPSHOT_BEGIN && type <= CALL_SNAPSHOT_END) ||
	       type == CALL_LINK_LOST || type == CALL_SYSTEM_STOPPED;
}

static void
note_time(struct phone *ph, int64_t at_us)
{
	if (at_us < phone_now(ph) - PUT_BACK_US || at_us > ph->event_us) {
		ph->event_us = at_us;
		ph->event_mono_us = clock_mono_us();
	}
}

static void
arm_tick(struct phone *ph)
{
	int64_t due = tracker_next_due(ph->tracker);
	if (!due) {
		loop_timer_stop(ph->tick);
		return;
	}
	int64_t ms = (due - phone_now(ph) + 999) / 1000;
	loop_timer_start(ph->tick, ms < 0 ? 0 : ms);
}

static void
on_tick(void *arg)
{
	struct phone *ph = arg;
	tracker_tick(ph->tracker, phone_now(ph));
	arm_tick(ph);
}

/* ---- Events -----------------------------------------------------------------------
 */

static uint64_t
append(struct phone *ph, const struct call_event *ev)
{
	struct err err;
	uint64_t seq;
	unsigned long quiet;
	buf_clear(&ph->scratch);
	call_event_encode(&ph->scratch, ev);
	if (spool_append(ph->spool, ph->scratch.data, ph->scratch.len, &seq, &err) == 0)
		return seq;
	ph->not_spooled++;
	if (log_once_due(&ph->not_spooled_log, 60, &quiet))
		log_errorx(ph->who,
			"a phone event could not be kept on disk (%s); the call goes "
			"on, but "
			"a crash now would lose it (%lu more since the last message)",
			err.text, quiet);
	return 0;
}

static void
apply(struct phone *ph, const struct call_event *ev, uint64_t seq)
{
	if (seq)
		ph->last_seq = seq;
	if (!is_by_our_clock(ev->type)) {
		/* Put back: what waits for a moment would wait for it again. */
		if (ph->event_us && ev->at_us < ph->event_us - PUT_BACK_US)
			tracker_tick(ph->tracker, ph->event_us + SETTLED_US);
		note_time(ph, ev->at_us);
	}
	/* One that is not in the spool stands before the next that is. */
	tracker_apply(ph->tracker, ev, seq ? seq : ph->last_seq + 1);
	if (ev->type == CALL_SNAPSHOT_END)
		ph->synced = true;
}

void
phone_event(struct phone *ph, const struct call_event *ev)
{
	struct call_event stamped = *ev;
	int64_t began_us = clock_mono_us();
	if (!stamped.at_us || is_by_our_clock(stamped.type))
		stamped.at_us = phone_now(ph);
	stamped.flags |= tracker_item_flags(ph->tracker, &stamped);
	ph->events_seen++;
	apply(ph, &stamped, append(ph, &stamped));
	phone_gap_event(ph, stamped.type);
	arm_tick(ph);
	if (ph->last_seq - ph->flushed > CHECKPOINT_EVERY)
		phone_flush(ph);
	histogram_add(&ph->handling, clock_mono_us() - began_us);
}

void
phone_agents_loaded(struct phone *ph)
{
	tracker_identify_again(ph->tracker);
	arm_tick(ph);
}

struct replay {
	struct phone *phone;
	uint64_t damaged;
};

static bool
replay_record(void *arg, uint64_t seq, const void *data, size_t len)
{
	struct replay *r = arg;
	struct call_event ev;
	struct call_var vars[CALL_VARS_MAX];
	if (call_event_decode(data, len, &ev, vars) < 0) {
		r->damaged++;
		return true;
	}
	/* Endings that waited for their reason when we died had waited long enough. */
	tracker_tick(r->phone->tracker, ev.at_us);
	r->phone->replayed_us = ev.at_us;
	apply(r->phone, &ev, seq);
	return true;
}

uint64_t
phone_replay(struct phone *ph)
{
	struct replay r = {.phone = ph};
	uint64_t gap = 0;
	ph->replaying = true;
	uint64_t n = spool_replay(
		ph->spool, ph->sent_checkpoint + 1, replay_record, &r, &gap);
	if (n)
		log_info(
			ph->who, "replayed %" PRIu64 " phone events from the spool", n);
	if (gap || r.damaged)
		log_errorx(ph->who,
			"%" PRIu64
			" phone events are missing from the spool and %" PRIu64
			" could not be read; calls of that time may lack details",
			gap, r.damaged);
	/* The phone system has gone on without us: nothing is known until a snapshot.
	 */
	struct call_event lost = {.type = CALL_LINK_LOST, .at_us = phone_now(ph)};
	/* In the spool too: the next replay must make of it what this one did. */
	if (n) {
		gaps_heard_before(ph->gaps, ph->replayed_us);
		apply(ph, &lost, append(ph, &lost));
		tracker_tick(ph->tracker, lost.at_us);
	}
	ph->replaying = ph->synced = false;
	ph->event_us = 0; /* how its clock goes now is not known yet */
	arm_tick(ph);
	return n;
}

/* ---- Checkpoints ------------------------------------------------------------------
 */

bool
phone_take_checkpoint(struct phone *ph, uint64_t checkpoint, uint64_t *back_r)
{
	if (checkpoint >= ph->opened_seq) {
		log_warnx(ph->who,
			"the database knows records of the spool up to %" PRIu64
			", the spool had them only up to %" PRIu64
			": it was lost, or an older one was put back",
			checkpoint, ph->opened_seq - 1);
		*back_r = ph->replayed_from - 1;
		return true;
	}
	if (checkpoint > ph->sent_checkpoint)
		ph->sent_checkpoint = checkpoint;
	return false;
}

uint64_t
phone_checkpoint(const struct phone *ph)
{
	uint64_t oldest = tracker_oldest_seq(ph->tracker);
	if (ph->frozen)
		return ph->sent_checkpoint;
	return oldest <= ph->last_seq ? oldest - 1 : ph->last_seq;
}

static void
on_flush(void *arg)
{
	struct phone *ph = arg;
	if (ph->forgotten)
		spool_turn(ph->spool);
	ph->forgotten = false;
	phone_flush(ph);
	phone_heal_begin(ph);
	spool_look(ph->spool);
	spool_release(
		ph->spool, writer_committed(ph->writer, ph->tenant->name, ph->channel));
	phone_gap_tick(ph);
	loop_timer_start(ph->flush, FLUSH_MS);
}

/* ---- Questions --------------------------------------------------------------------
 */

const char *
phone_region(const struct phone *ph)
{
	if (!str_empty(ph->conf->region))
		return ph->conf->region;
	return ph->tenant->region[0] ? ph->tenant->region : NULL;
}

bool
phone_is_own_number(const struct phone *ph, const char *number)
{
	struct address asked, own;
	const char *region = phone_region(ph);
	if (!number || !ph->conf->own_numbers.n ||
		!address_make("phone", number, region, &asked))
		return false;
	for (size_t i = 0; i < ph->conf->own_numbers.n; i++)
		if (address_make(
			    "phone", ph->conf->own_numbers.items[i], region, &own) &&
			str_eq(own.value, asked.value))
			return true;
	return false;
}

bool
phone_is_synced(const struct phone *ph)
{
	return ph->synced;
}

void
phone_calls_json(struct phone *ph, struct json_out *j)
{
	list_for_each (&ph->calls, it) {
		struct phone_call *pc = LIST_ENTRY(it, struct phone_call, link);
		struct call_record r;
		call_record_init(&r, pc->call, ph->tenant, phone_region(ph), NULL);
		struct uuid contact = subject_who(pc->subject, &pc->contact);
		phone_hide(pc, &r);
		call_record_json(j, NULL, &r, &contact);
		call_record_fini(&r);
	}
}

void
phone_get_stats(const struct phone *ph, struct phone_stats *st)
{
	tracker_get_stats(ph->tracker, &st->tracker);
	spool_get_stats(ph->spool, &st->spool);
	gaps_get_stats(ph->gaps, &st->gaps);
	st->handling = ph->handling;
	st->events = ph->events_seen;
	st->not_spooled = ph->not_spooled;
	st->checkpoint = ph->sent_checkpoint;
	st->frozen = ph->frozen;
	if (ph->frozen && !st->spool.write_error)
		st->spool.write_error =
			"too many calls waited for the database: some are in the spool "
			"only, and are written by and by";
}

void
phone_status_json(const struct phone *ph, struct json_out *j)
{
	struct phone_stats st;
	phone_get_stats(ph, &st);
	json_put_int(j, "calls", st.tracker.calls);
	json_put_int(j, "phone_channels", st.tracker.channels);
	json_put_bool(j, "synced", ph->synced);
	json_put_object(j, "events");
	json_put_int(j, "seen", (int64_t)st.events);
	json_put_int(j, "repeated", (int64_t)st.tracker.duplicates);
	json_put_int(j, "interrupted", (int64_t)st.tracker.interrupted);
	json_put_object_end(j);
	json_put_time(j, "compared_at", st.gaps.compared_us);
	json_put_object(j, "gaps");
	for (unsigned i = 0; i < GAP_CAUSE_COUNT; i++)
		json_put_int(j, gap_cause_text(i), (int64_t)st.gaps.by_cause[i]);
	json_put_int(j, "missed_calls", (int64_t)st.gaps.missed_calls);
	json_put_int(j, "missed_events", (int64_t)st.gaps.missed_events);
	json_put_int(j, "written", (int64_t)st.gaps.written);
	json_put_int(j, "completed", (int64_t)st.gaps.completed);
	json_put_object_end(j);
	json_put_object(j, "spool");
	json_put_int(j, "last", (int64_t)st.spool.last_seq);
	json_put_int(j, "checkpoint", (int64_t)st.checkpoint);
	json_put_int(j, "bytes", st.spool.bytes);
	json_put_int(j, "dropped", (int64_t)st.spool.dropped);
	json_put_int(j, "damaged", (int64_t)st.spool.damaged);
	json_put_int(j, "not_spooled", (int64_t)st.not_spooled);
	json_put_string(j, "error", st.spool.write_error);
	json_put_object_end(j);
}
