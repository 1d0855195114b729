/* reads.c - see reads.h.
 *
 *	waiting (a list, oldest first) -> writing (one statement) -> gone
 *	                ^--------------------'  the database did not take them
 *
 * An answer that was lost is written again: a read may then stand in the audit twice. */
#include <timeline/reads.h>

#include <clock.h>
#include <io/loop.h>
#include <list.h>
#include <log.h>
#include <mem.h>

#include <string.h>

#define WAITING_MAX 20000
#define BATCH_MAX   1000
#define FLUSH_MS    1000
#define WRITE_MS    10000

struct read {
	struct list link;
	int64_t tenant, at_us;
	char *actor, *role, *action, *kind, *id, *how;
};

struct reads {
	struct store *store;
	struct list waiting, writing;
	size_t n_waiting, n_writing;
	struct loop_timer *timer;
	struct reads_stats stats;
	struct log_once log;
};

struct reads *
reads_new(struct store *store)
{
	struct reads *rs = xcalloc(1, sizeof(*rs));

	rs->store = store;
	list_init(&rs->waiting);
	list_init(&rs->writing);
	return rs;
}

static void
free_all(struct list *list)
{
	list_for_each_safe (list, it) {
		struct read *r = LIST_ENTRY(it, struct read, link);
		char **texts[] = {
			&r->actor, &r->role, &r->action, &r->kind, &r->id, &r->how};
		for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
			xfree(texts[i]);
		list_remove(&r->link);
		mem_free(r);
	}
}

static void flush(struct reads *rs);

static void
on_timer(void *arg)
{
	flush(arg);
}

static void
arm(struct reads *rs)
{
	if (!rs->timer)
		rs->timer = loop_timer_new(rs->store->loop, on_timer, rs);
	if (rs->n_waiting && !loop_timer_is_running(rs->timer))
		loop_timer_start(rs->timer, FLUSH_MS);
}

static void
on_written(void *arg, const struct pg_answer *a)
{
	struct reads *rs = arg;

	if (a->status == PG_OK || a->status == PG_ERROR) {
		if (a->status == PG_OK)
			rs->stats.written += rs->n_writing;
		else
			rs->stats.dropped += rs->n_writing;
		if (a->status == PG_ERROR)
			log_errorx(NULL, "%zu reads could not be audited: %s",
				rs->n_writing, a->message);
		free_all(&rs->writing);
	} else {
		while (!list_is_empty(&rs->writing)) {
			struct list *last = rs->writing.prev;
			list_remove(last);
			list_prepend(&rs->waiting, last);
		}
		rs->n_waiting += rs->n_writing;
	}
	rs->n_writing = 0;
	arm(rs);
}

static void
param_texts(struct reads *rs, struct pg_unit *u, size_t offset)
{
	pg_array_begin(u);
	list_for_each (&rs->writing, it)
		pg_array_add(u, *(char *const *)((const char *)LIST_ENTRY(
							 it, struct read, link) +
						 offset));
	pg_array_end(u);
}

static void
param_ints(struct reads *rs, struct pg_unit *u, size_t offset)
{
	pg_array_begin(u);
	list_for_each (&rs->writing, it)
		pg_array_add_int(u, *(const int64_t *)((const char *)LIST_ENTRY(
							       it, struct read, link) +
						       offset));
	pg_array_end(u);
}

static void
flush(struct reads *rs)
{
	if (rs->n_writing || !rs->n_waiting)
		return;
	if (rs->store->held || !pg_is_up(rs->store->writes)) {
		arm(rs);
		return;
	}
	while (rs->n_writing < BATCH_MAX && rs->n_waiting) {
		struct list *first = rs->waiting.next;
		list_remove(first);
		list_append(&rs->writing, first);
		rs->n_waiting--;
		rs->n_writing++;
	}
	struct pg_unit *u = pg_unit_new(rs->store->writes);
	pg_add(u, "audit_reads");
	param_ints(rs, u, offsetof(struct read, tenant));
	param_texts(rs, u, offsetof(struct read, actor));
	param_texts(rs, u, offsetof(struct read, role));
	param_texts(rs, u, offsetof(struct read, action));
	param_texts(rs, u, offsetof(struct read, kind));
	param_texts(rs, u, offsetof(struct read, id));
	param_texts(rs, u, offsetof(struct read, how));
	param_ints(rs, u, offsetof(struct read, at_us));
	pg_submit(&u, WRITE_MS, on_written, rs);
}

void
reads_note(struct reads *rs, const struct actor *actor, const char *action,
	const char *kind, const char *id, const char *how)
{
	unsigned long quiet;

	if (rs->n_waiting >= WAITING_MAX) {
		rs->stats.dropped++;
		if (log_once_due(&rs->log, 60, &quiet))
			log_errorx(NULL,
				"too many reads wait to be audited: further ones are "
				"not (%lu more like this)",
				quiet);
		return;
	}
	struct read *r = xcalloc(1, sizeof(*r));
	r->tenant = actor->tenant->id;
	r->at_us = clock_wall_us();
	r->actor = xstrdup(actor->name);
	r->role = xstrdup(actor->role);
	r->action = xstrdup(action);
	r->kind = xstrdup(kind);
	r->id = xstrdup(id);
	r->how = xstrdup(how);
	list_append(&rs->waiting, &r->link);
	rs->n_waiting++;
	arm(rs);
}

void
reads_get_stats(const struct reads *rs, struct reads_stats *st)
{
	*st = rs->stats;
	st->waiting = rs->n_waiting + rs->n_writing;
}

void
reads_stop(struct reads *rs, unsigned deadline_ms)
{
	int64_t until = clock_mono_us() + deadline_ms * INT64_C(1000);

	while ((rs->n_waiting || rs->n_writing) && !rs->store->held &&
		pg_is_up(rs->store->writes) && clock_mono_us() < until) {
		flush(rs);
		loop_run_once(rs->store->loop, 20);
	}
}

void
reads_free(struct reads **rsp)
{
	struct reads *rs = *rsp;

	*rsp = NULL;
	if (!rs)
		return;
	loop_timer_free(&rs->timer);
	free_all(&rs->waiting);
	free_all(&rs->writing);
	mem_free(rs);
}
