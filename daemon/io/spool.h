/* spool.h - an append-only file of records on local disk, one per channel.
 *
 * What nobody will send again is appended here before it is applied, and replayed after
 * a crash from the checkpoint the database holds. Layout: DIR/NAME/%016llx.spool,
 * preallocated segments named by their first sequence; a record is length, sequence,
 * CRC-32C, payload. An append is in the file (survives the process) when the call
 * returns; it is on the disk (survives the machine) soon after: a thread groups
 * fdatasync calls. A torn last record is cut off at open; anything else damaged is
 * copied to DIR/NAME/damaged/SEGMENT.OFFSET and reported once, never skipped silently;
 * the good records before and after it are replayed. A segment is deleted when all its
 * records are below the checkpoint.
 *
 * When full (max_bytes of records not yet released): the oldest segment is set aside to
 * damaged/-like "overflow/" and counted loudly, because live events are worth more than
 * old ones; `dropped` of spool_stats tells how many records that was. damaged/ and
 * overflow/ keep at most max_bytes each. When the disk is full or fails, append returns
 * -1 once per record and the caller goes on without; the disk is tried again once a
 * second. After a failed fdatasync that file is never synced again (the kernel may have
 * dropped its pages): a new segment begins, write_error tells, and synced_seq stays
 * below those records until they are released. All calls from the loop's thread. */
#ifndef INTERACTD_IO_SPOOL_H
#define INTERACTD_IO_SPOOL_H

#include <err.h>
#include <histogram.h>
#include <loop.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct spool;

struct spool_opts {
	const char *dir;       /* made if missing, mode 0700 */
	const char *name;      /* [A-Za-z0-9._-]+ */
	int64_t segment_bytes; /* 8 MiB suits */
	int64_t max_bytes;
	bool sync; /* false: tests that do not pay for fdatasync */
};

#define SPOOL_RECORD_MAX (256 * 1024)

struct spool_stats {
	uint64_t first_seq, last_seq; /* held; first > last = empty */
	uint64_t synced_seq;
	int64_t bytes;	       /* of segments on disk */
	struct histogram sync; /* how long one fdatasync took */
	/* Since open; damaged counts the pieces set aside. */
	uint64_t appended, dropped, damaged, write_errors;
	/* Why appends fail or do not reach the disk; NULL if all is well. */
	const char *write_error;
};

/* min_next_seq where the checkpoint is not known: the database cannot say now. */
#define SPOOL_SEQ_UNKNOWN UINT64_MAX

/* Sequences go on where the files end; from 1 in an empty directory, or from
 * min_next_seq (checkpoint + 1) if that is higher: the directory was lost. If the
 * checkpoint is unknown, an empty directory begins with the time in microseconds, which
 * is above all that a lost one can have counted to. One opener
 * at a time (flock on DIR/NAME/lock). Reads the last segment, so it may take some 10
 * ms. Returns NULL and err on failure. loop may be NULL. */
struct spool *spool_open(
	struct loop *, const struct spool_opts *, uint64_t min_next_seq, struct err *);
void spool_close(struct spool **); /* syncs */
/* Returns 0 and the record's sequence. */
int spool_append(struct spool *, const void *data, size_t len, uint64_t *seq_r,
	struct err *) MUST_CHECK;
/* Ends the segment appended to, so that it can go as soon as it is released: what is to be
 * forgotten must not wait for it to be full. Happens by itself after an hour. */
void spool_turn(struct spool *);
/* Which files below DIR (all spools') hold one of these texts, and of when; those written
 * to later than until_us (0: none) do not count. Blocking, so for a thread. erase: those in damaged/ and overflow/, which nobody replays, go. */
struct spool_found {
	unsigned files, erased;	      /* erased: of these */
	int64_t oldest_us, newest_us; /* their times; 0 = none */
};
void spool_find(const char *dir, const char *const *texts, size_t n, int64_t until_us,
	bool erase, struct spool_found *found_r);
/* To be called every second or so: finds out that there is room again, though nothing is
 * appended. */
void spool_look(struct spool *);
/* Every record with seq >= from, in order; fn returns false to stop. data is borrowed.
 * Returns how many were given; *gap_r = sequences missing in [from, the end), or up to
 * where fn stopped. fn may append (not replayed now) and release, not replay or close.
 */
typedef bool spool_record_fn(void *arg, uint64_t seq, const void *data, size_t len);
uint64_t spool_replay(
	struct spool *, uint64_t from, spool_record_fn *, void *arg, uint64_t *gap_r);
/* Reading along, a little at a time, while others append and release: from `from` on. It
 * holds one segment in memory. Gone before its spool. */
struct spool_cursor;
struct spool_cursor *spool_cursor_new(struct spool *, uint64_t from);
void spool_cursor_free(struct spool_cursor **);
/* The next records, at most max, to fn (which must not close the spool; false stops).
 * Returns how many; 0 = all there are now have been read. *gap_r += sequences missing. */
size_t spool_cursor_read(struct spool_cursor *, size_t max, spool_record_fn *,
	void *arg, uint64_t *gap_r);
/* All records with seq <= upto are committed elsewhere: whole segments go. */
void spool_release(struct spool *, uint64_t upto);
void spool_get_stats(const struct spool *, struct spool_stats *);

/* The reader by itself, for fuzzing and `interactctl spool`: walks the bytes of one
 * segment. Returns the offset after the last good record; *torn_r = the rest is a torn
 * tail (not damage). */
size_t spool_scan(const void *segment, size_t len, uint64_t first_seq,
	spool_record_fn *, void *arg, bool *torn_r);

#endif
