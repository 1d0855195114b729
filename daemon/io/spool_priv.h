/* spool_priv.h - what the spool's own files share; everybody else includes spool.h.
 *
 * A record, 8-byte aligned, little endian:
 *
 *	offset 0   u32 length of the payload
 *	       4   u32 CRC-32C over length, sequence and payload
 *	       8   u64 sequence, from 1
 *	      16   payload, then zeros up to the next multiple of 8
 *
 * A segment is records from offset 0 with sequences that rise by one, the first being
 * the file's name; zeros follow up to the file's end. */
#ifndef INTERACTD_IO_SPOOL_PRIV_H
#define INTERACTD_IO_SPOOL_PRIV_H

#include <err.h>
#include <list.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/spool.h"

#define SPOOL_HEADER   16
#define SPOOL_NAME_LEN 32 /* "%016llx.spool" */
#define SPOOL_LARGEST  (SPOOL_HEADER + SPOOL_RECORD_MAX)
#define SPOOL_SPARE    "next.tmp" /* the next segment, made ahead by the thread */

/* --- spool_scan.c: reading */

struct spool_walk {
	const unsigned char *data;
	size_t len, off;
	uint64_t next_seq; /* no record below it is accepted */
};

enum spool_item_type {
	SPOOL_RECORD,
	SPOOL_DAMAGE, /* bytes between good records that are none */
	SPOOL_TORN,   /* bytes after the last good record that are none */
	SPOOL_END,    /* zeros, or nothing, up to the end */
};

struct spool_item {
	enum spool_item_type type;
	size_t off, len; /* in the segment, padding included */
	uint64_t seq;	 /* of a record */
	const unsigned char *payload;
	size_t payload_len;
};

/* After TORN or END it stays there. */
void spool_walk_next(struct spool_walk *, struct spool_item *);
size_t spool_record_size(size_t payload_len); /* header and padding included */
/* Writes a whole record, spool_record_size bytes. */
void spool_record_put(unsigned char *dst, uint64_t seq, const void *data, size_t len);

/* --- spool_sync.c: the thread that waits for the disk */

struct spool_sync;

/* Makes segments of segment_bytes ahead, in the directory dir_fd (borrowed). */
struct spool_sync *spool_sync_start(int dir_fd, int64_t segment_bytes, const char *who);
/* Finishes all that was asked for, then ends the thread. */
void spool_sync_stop(struct spool_sync **);
/* Records up to seq are written to fd. From now on only the thread closes fd. */
void spool_sync_written(struct spool_sync *, int fd, uint64_t seq);
/* fd gets nothing any more: sync it (unless that failed before), then close it. */
void spool_sync_retire(struct spool_sync *, int fd, uint64_t seq);
/* A file nothing is appended to through us: opened, synced, closed. */
void spool_sync_file(struct spool_sync *, const char *name, uint64_t seq);
void spool_sync_unlink(struct spool_sync *, const char *name);
void spool_sync_dir(struct spool_sync *); /* entries were created or renamed */
/* The segment made ahead, renamed to name: its file and size; -1 if none is ready. */
int spool_sync_take_spare(struct spool_sync *, const char *name, int64_t *size_r);
/* All records up to it reached the disk. */
uint64_t spool_sync_synced(struct spool_sync *);
struct histogram spool_sync_times(struct spool_sync *); /* of one fdatasync */
/* Records up to upto are needed no more; true if none is left that a failed fdatasync
 * has lost sight of. */
bool spool_sync_released(struct spool_sync *, uint64_t upto);
/* True once per failed fdatasync: of which file, and errno. */
bool spool_sync_failed(struct spool_sync *, int *fd_r, int *error_r);

/* --- spool_aside.c: what is taken out of the row but kept for a person to look at */

/* Copies bytes to damaged/NAME.OFFSET. False if that file is there already: reported by
 * an earlier run. damaged/ and overflow/ keep at most max_bytes each: the oldest go. */
bool spool_aside_damage(
	struct spool *, const char *name, size_t off, const void *data, size_t len);
/* Moves a segment to overflow/; deletes it if that is not possible. */
void spool_aside_overflow(struct spool *, const char *name);

/* --- spool.c and spool_open.c */

struct spool_segment {
	struct list link;
	uint64_t first; /* its name */
	uint64_t last;	/* first - 1 while empty */
	int64_t size;	/* of the file */
};

/* The order of things: segments are sorted by first and do not overlap; appends go to
 * the last one, at write_off, if fd >= 0; next_seq > every last. */
struct spool {
	char who[96]; /* "spool NAME" */
	int64_t segment_bytes, max_bytes;
	int dir_fd, lock_fd;
	int fd; /* of the segment appended to, or -1: the next append begins one */
	int64_t write_off;
	uint64_t next_seq, released;
	int64_t begun_us; /* monotonic: when this process began to append to fd's file */
	struct list segments;	 /* of struct spool_segment */
	int64_t bytes;		 /* sum of their sizes */
	struct spool_sync *sync; /* NULL: nothing is synced */
	bool replaying;
	int64_t retry_us; /* a segment could not be begun: not again before this */
	bool no_room;	  /* append_error is of beginning one */
	char append_error[ERR_TEXT_MAX], sync_error[128]; /* current, or "" */
	uint64_t appended, dropped, damaged, write_errors;
	unsigned char *scratch; /* one record */
};

char *spool_segment_name(char dst[SPOOL_NAME_LEN], uint64_t first);
struct spool_segment *spool_add_segment(struct spool *, uint64_t first, int64_t size);
/* The whole file, mallocated; NULL and logged if it cannot be read. */
unsigned char *
spool_read_segment(struct spool *, const struct spool_segment *, size_t *len_r);
/* The first segment after the one named `after` which may hold seq, or NULL. */
struct spool_segment *spool_segment_find(struct spool *, uint64_t seq, uint64_t after);
/* Counts, logs and sets aside what is no record. */
void spool_report_damage(struct spool *, const struct spool_segment *,
	const unsigned char *data, size_t off, size_t len);

#endif
