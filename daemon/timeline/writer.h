/* writer.h - group commit: what waited while the last commit ran is the next batch.
 *
 * At most 64 units a batch; one that is not full begins 5 ms after its oldest unit was
 * given, and 25 ms after the one before at the earliest, so that batches are not of one
 * unit each, and pops go first. A batch that fails is rolled back and its units run
 * singly; one that fails alone goes to quarantine (a row with its payload and the
 * error) and blocks nobody. While the database is away units wait, at most max_waiting;
 * a lost commit is repeated (saving is idempotent). Two savings of one interaction in
 * one batch become one. Contacts' rows are locked in id order. The checkpoints of the
 * spools are written in the same transaction as what they cover. */
#ifndef INTERACTD_TIMELINE_WRITER_H
#define INTERACTD_TIMELINE_WRITER_H

#include <histogram.h>
#include <timeline/interaction.h>

struct writer;

struct writer_opts {
	size_t max_waiting;   /* units; 0 = 50000 */
	unsigned deadline_ms; /* of one batch; then it counts as lost and is repeated */
};

struct writer *writer_new(struct store *, const struct writer_opts *);
/* Tries to commit what waits until deadline_ms, running the loop; then frees. */
void writer_close(struct writer **, unsigned deadline_ms);

/* While held (the daemon does not know yet whether it may write) units only wait. */
void writer_hold(struct writer *, bool held);

enum write_status {
	WRITE_DONE,
	WRITE_QUARANTINED,
	WRITE_REFUSED, /* max_waiting reached: not taken; the caller's spool keeps it */
};

struct write_result {
	enum write_status status;
	bool created;	     /* the interaction was not there before */
	struct uuid contact; /* the resolved contact it now hangs on, or nil */
	bool contact_created;
	int64_t took_us; /* from writer_save to commit */
};
typedef void write_done_fn(void *arg, const struct write_result *);

/* Where a spool may be cut once this unit is committed. channel NULL = none. */
struct checkpoint {
	const char *channel;
	uint64_t seq; /* all records <= seq are no longer needed */
};

/* Copies. done comes once, later; may be NULL. */
void writer_save(struct writer *, const struct interaction *, const struct checkpoint *,
	write_done_fn *done, void *arg);
/* True: the next writer_save would be refused. What is refused must not lie below the
 * checkpoint of a later saving, so ask before computing one. */
bool writer_is_full(const struct writer *);
/* True if not even half of what may wait does. */
bool writer_has_room(const struct writer *);
/* A checkpoint alone (nothing to write happened for long). */
void
writer_checkpoint(struct writer *, const struct tenant *, const struct checkpoint *);
/* The checkpoint last committed for a channel: for releasing the spool. */
uint64_t
writer_committed(const struct writer *, const char *tenant, const char *channel);

struct writer_stats {
	size_t waiting, in_batch;
	unsigned long long units, batches, batch_failures, lost, quarantined, refused;
	struct histogram commit; /* from writer_save to commit */
	int64_t oldest_us; /* wall time the oldest waiting unit was given, 0 = none */
	int64_t oldest_age_us; /* for how long it has been waiting */
};
/* Why what waits is not committed, though it was tried again, and since when (wall time);
 * NULL if nothing hinders. */
const char *writer_why(const struct writer *, int64_t *since_us_r);
void writer_get_stats(const struct writer *, struct writer_stats *);

/* Blocking, at start: the checkpoint of (tenant, channel), 0 if none. */
int writer_load_checkpoint(struct pg_sync *, const char *tenant, const char *channel,
	uint64_t *seq_r, struct err *) MUST_CHECK;

/* Quarantine, for the operator. list: {"items":[{id, at, error, summary…}],"next"};
 * retry: puts them through the writer again; id nil = all. Payload is the unit as JSON. */
void quarantine_list(struct store *, const struct tenant *, unsigned limit,
	const char *cursor, store_answer_fn *, void *arg);
void quarantine_retry(struct writer *, const struct actor *, const struct uuid *id,
	store_answer_fn *, void *arg);

#endif
