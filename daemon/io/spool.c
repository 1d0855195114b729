/* spool.c - appending, replaying and releasing. See spool.h for what it promises and
 * spool_priv.h for the bytes and for struct spool's invariants.
 *
 * After any failed write the segment is given up and the next append begins a new one:
 * a half-written record at the end of a segment is a torn tail, which readers know. */
#include "io/spool.h"

#include "io/spool_priv.h"

#include <clock.h>
#include <log.h>
#include <mem.h>
#include <str.h>

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RETRY_US 1000000
/* No segment is appended to for longer: a quiet system's is never full. */
#define TURN_US (3600 * INT64_C(1000000))
/* Where a whole segment finds no room a smaller one may, down to this. */
#define SMALLEST 16384

char *
spool_segment_name(char dst[SPOOL_NAME_LEN], uint64_t first)
{
	snprintf(dst, SPOOL_NAME_LEN, "%016" PRIx64 ".spool", first);
	return dst;
}

struct spool_segment *
spool_add_segment(struct spool *s, uint64_t first, int64_t size)
{
	struct spool_segment *g = xcalloc(1, sizeof(*g));

	g->first = first;
	g->last = first - 1;
	g->size = size;
	list_append(&s->segments, &g->link);
	s->bytes += size;
	return g;
}

static struct spool_segment *
segment_last(struct spool *s)
{
	return LIST_ENTRY(s->segments.prev, struct spool_segment, link);
}

unsigned char *
spool_read_segment(struct spool *s, const struct spool_segment *g, size_t *len_r)
{
	char name[SPOOL_NAME_LEN];
	int fd = openat(
		s->dir_fd, spool_segment_name(name, g->first), O_RDONLY | O_CLOEXEC);
	struct stat st;
	unsigned char *data = NULL;
	size_t got = 0;

	if (fd >= 0 && fstat(fd, &st) == 0) {
		data = xmalloc((size_t)st.st_size + 1);
		while (got < (size_t)st.st_size) {
			ssize_t n = pread(
				fd, data + got, (size_t)st.st_size - got, (off_t)got);
			if (n <= 0)
				break;
			got += (size_t)n;
		}
		if (got < (size_t)st.st_size)
			xfree(&data);
	}
	if (!data)
		log_error(s->who, "cannot read %s", name);
	if (fd >= 0)
		close(fd);
	*len_r = got;
	return data;
}

void
spool_report_damage(struct spool *s, const struct spool_segment *g,
	const unsigned char *data, size_t off, size_t len)
{
	char name[SPOOL_NAME_LEN];

	spool_segment_name(name, g->first);
	if (!spool_aside_damage(s, name, off, data + off, len))
		return;
	s->damaged++;
	log_errorx(s->who, "%s: %zu damaged bytes at %zu; a copy is in damaged/", name,
		len, off);
}

/* Hands the file appended to to the thread, which closes it. */
static void
segment_finish(struct spool *s)
{
	if (s->fd < 0)
		return;
	if (s->sync)
		spool_sync_retire(s->sync, s->fd, s->next_seq - 1);
	else
		close(s->fd);
	s->fd = -1;
}

static void
segment_forget(struct spool *s, struct spool_segment *g)
{
	list_remove(&g->link);
	s->bytes -= g->size;
	mem_free(g);
}

static void
segment_delete(struct spool *s, struct spool_segment *g)
{
	char name[SPOOL_NAME_LEN];

	spool_segment_name(name, g->first);
	if (s->sync)
		spool_sync_unlink(s->sync, name);
	else
		unlinkat(s->dir_fd, name, 0);
	segment_forget(s, g);
}

static void
release_segments(struct spool *s)
{
	list_for_each_safe (&s->segments, it) {
		struct spool_segment *g = LIST_ENTRY(it, struct spool_segment, link);
		bool current = s->fd >= 0 && g == segment_last(s);
		if (g->last > s->released || current)
			break;
		segment_delete(s, g);
	}
}

/* The oldest segment makes room. Its records that nobody has released are lost to the
 * daemon; the file goes to overflow/. */
static void
segment_overflow(struct spool *s)
{
	struct spool_segment *g =
		LIST_ENTRY(s->segments.next, struct spool_segment, link);
	uint64_t from = s->released >= g->first ? s->released + 1 : g->first;
	uint64_t lost = g->last >= from ? g->last - from + 1 : 0;
	char name[SPOOL_NAME_LEN];

	if (lost == 0) {
		segment_delete(s, g);
		return;
	}
	spool_segment_name(name, g->first);
	log_errorx(s->who,
		"full: %" PRIu64 " records from %" PRIu64
		" on are set aside in overflow/%s",
		lost, from, name);
	s->dropped += lost;
	spool_aside_overflow(s, name);
	if (s->sync)
		spool_sync_dir(s->sync);
	segment_forget(s, g);
}

/* A file made on the spot: sparse zeros whose blocks are reserved, if the file system
 * can. Returns the file, or -1 and errno. */
static int
segment_create(struct spool *s, const char *name, int64_t size)
{
	int fd = openat(s->dir_fd, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0)
		return -1;
	if (fallocate(fd, 0, 0, size) == 0 ||
		(errno == EOPNOTSUPP && ftruncate(fd, size) == 0)) {
		if (s->sync)
			spool_sync_dir(s->sync);
		return fd;
	}
	int error = errno;
	close(fd);
	unlinkat(s->dir_fd, name, 0);
	errno = error;
	return -1;
}

/* On a disk nearly full what is left is used up before an append fails. */
static int
segment_create_smaller(struct spool *s, const char *name, size_t room, int64_t *size)
{
	int fd = segment_create(s, name, *size);

	while (fd < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EFBIG) &&
		*size / 8 >= SMALLEST && *size / 8 >= (int64_t)room) {
		*size = *size / 8 & ~INT64_C(7);
		fd = segment_create(s, name, *size);
	}
	return fd;
}

/* Notes why appends fail, loudly when that is news. Returns -1. */
static int
append_failed(struct spool *s, struct err *e, const char *what)
{
	struct err mine;

	err_errno(&mine, "%s: cannot %s", s->who, what);
	if (strcmp(s->append_error, mine.text) != 0)
		log_errorx(NULL, "%s; records go on without being spooled", mine.text);
	str_copy(s->append_error, sizeof(s->append_error), mine.text);
	s->write_errors++;
	if (e)
		*e = mine;
	return -1;
}

static int
segment_begin(struct spool *s, size_t room, struct err *e)
{
	int64_t size = s->segment_bytes;
	char name[SPOOL_NAME_LEN];

	if (s->retry_us && clock_mono_us() < s->retry_us) {
		s->write_errors++;
		return err_set(e, "%s", s->append_error);
	}
	if ((int64_t)room > size)
		size = (int64_t)room;
	if (!s->replaying)
		release_segments(s);
	while (!list_is_empty(&s->segments) && s->bytes + size > s->max_bytes)
		segment_overflow(s);
	spool_segment_name(name, s->next_seq);
	s->fd = -1;
	if (s->sync && size == s->segment_bytes)
		s->fd = spool_sync_take_spare(s->sync, name, &size);
	if (s->fd < 0)
		s->fd = segment_create_smaller(s, name, room, &size);
	if (s->fd < 0) {
		s->retry_us = clock_mono_us() + RETRY_US;
		s->no_room = true;
		return append_failed(s, e, "begin a segment");
	}
	s->retry_us = 0;
	s->begun_us = clock_mono_us();
	s->write_off = 0;
	spool_add_segment(s, s->next_seq, size);
	return 0;
}

/* Ends the segment; if nothing is in it, its file too, for the next one begins with
 * the same sequence. */
static void
segment_give_up(struct spool *s)
{
	struct spool_segment *g = segment_last(s);
	bool empty = g->last < g->first;
	char name[SPOOL_NAME_LEN];

	segment_finish(s);
	if (!empty)
		return;
	unlinkat(s->dir_fd, spool_segment_name(name, g->first), 0);
	segment_forget(s, g);
}

/* A file whose fdatasync failed gets nothing any more. */
static void
segment_check_sync(struct spool *s)
{
	int fd, error;

	if (!s->sync || !spool_sync_failed(s->sync, &fd, &error))
		return;
	snprintf(s->sync_error, sizeof(s->sync_error), "fdatasync failed: %s",
		strerror(error));
	s->write_errors++;
	if (s->fd >= 0 && fd == s->fd)
		segment_give_up(s);
}

static int
segment_write(struct spool *s, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t n = pwrite(s->fd, s->scratch + done, size - done,
			s->write_off + (int64_t)done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		done += (size_t)n;
	}
	return 0;
}

static void
append_works(struct spool *s)
{
	if (s->append_error[0])
		log_info(s->who, "appends work again");
	s->append_error[0] = '\0';
	s->no_room = false;
}

void
spool_turn(struct spool *s)
{
	if (s->replaying || s->fd < 0 || segment_last(s)->last < segment_last(s)->first)
		return;
	segment_give_up(s);
	release_segments(s);
}

void
spool_look(struct spool *s)
{
	struct err e;

	segment_check_sync(s);
	if (clock_mono_us() - s->begun_us > TURN_US)
		spool_turn(s);
	if (s->no_room && clock_mono_us() >= s->retry_us &&
		segment_begin(s, 0, &e) == 0)
		append_works(s);
}

int
spool_append(
	struct spool *s, const void *data, size_t len, uint64_t *seq_r, struct err *e)
{
	size_t size = spool_record_size(len);

	if (len > SPOOL_RECORD_MAX)
		return err_set(e, "%s: a record of %zu bytes is above the limit of %d",
			s->who, len, SPOOL_RECORD_MAX);
	segment_check_sync(s);
	if (s->fd >= 0 && s->write_off + (int64_t)size > segment_last(s)->size)
		segment_give_up(s);
	if (s->fd < 0 && segment_begin(s, size, e) < 0)
		return -1;
	spool_record_put(s->scratch, s->next_seq, data, len);
	if (segment_write(s, size) < 0) {
		append_failed(s, e, "write a record");
		s->no_room = false;
		segment_give_up(s);
		s->retry_us = clock_mono_us() + RETRY_US;
		return -1;
	}
	append_works(s);
	s->write_off += (int64_t)size;
	segment_last(s)->last = s->next_seq;
	*seq_r = s->next_seq++;
	s->appended++;
	if (s->sync)
		spool_sync_written(s->sync, s->fd, *seq_r);
	return 0;
}

struct replay {
	struct spool *spool;
	uint64_t expected, end; /* [expected, end) is still to come */
	uint64_t given, gap;
	spool_record_fn *fn;
	void *arg;
};

/* Returns false when the caller has had enough, or the end is reached. A record above
 * the segment's last is one whose append failed at the last moment: its sequence was
 * given again, to the next segment. */
static bool
replay_record(
	struct replay *r, const struct spool_segment *g, const struct spool_item *it)
{
	if (it->seq < r->expected || it->seq > g->last)
		return true;
	if (it->seq >= r->end)
		return false;
	r->gap += it->seq - r->expected;
	r->expected = it->seq + 1;
	r->given++;
	return r->fn(r->arg, it->seq, it->payload, it->payload_len);
}

/* A torn tail is damage unless the next segment goes on right after it: then it is an
 * append that failed, and was told so. */
static void
replay_tail(struct replay *r, const struct spool_segment *g, const unsigned char *data,
	const struct spool_walk *w, const struct spool_item *it)
{
	if (it->type == SPOOL_TORN && w->next_seq <= g->last)
		spool_report_damage(r->spool, g, data, it->off, it->len);
}

static bool
replay_segment(struct replay *r, const struct spool_segment *g)
{
	size_t len;
	unsigned char *data = spool_read_segment(r->spool, g, &len);
	struct spool_segment copy = *g; /* the callback may release or append */
	bool more = true;

	if (!data)
		return true;
	struct spool_walk w = {.data = data, .len = len, .next_seq = g->first};
	struct spool_item it;
	while (more) {
		spool_walk_next(&w, &it);
		if (it.type == SPOOL_RECORD)
			more = replay_record(r, &copy, &it);
		else if (it.type == SPOOL_DAMAGE)
			spool_report_damage(r->spool, &copy, data, it.off, it.len);
		else
			break;
	}
	if (more)
		replay_tail(r, &copy, data, &w, &it);
	mem_free(data);
	return more;
}

struct spool_segment *
spool_segment_find(struct spool *s, uint64_t seq, uint64_t after)
{
	list_for_each (&s->segments, it) {
		struct spool_segment *g = LIST_ENTRY(it, struct spool_segment, link);
		if (g->first > after && g->last >= seq && g->last >= g->first)
			return g;
	}
	return NULL;
}

uint64_t
spool_replay(
	struct spool *s, uint64_t from, spool_record_fn *fn, void *arg, uint64_t *gap_r)
{
	struct replay r = {.spool = s,
		.expected = from > 0 ? from : 1,
		.end = s->next_seq,
		.fn = fn,
		.arg = arg};
	struct spool_segment *g;
	uint64_t after = 0;
	bool more = true;

	assert(!s->replaying);
	s->replaying = true;
	while (more && r.expected < r.end &&
		(g = spool_segment_find(s, r.expected, after))) {
		after = g->first;
		more = replay_segment(&r, g);
	}
	if (more && r.expected < r.end)
		r.gap += r.end - r.expected;
	s->replaying = false;
	release_segments(s);
	*gap_r = r.gap;
	return r.given;
}

void
spool_release(struct spool *s, uint64_t upto)
{
	if (upto >= s->next_seq)
		upto = s->next_seq - 1;
	if (upto <= s->released)
		return;
	s->released = upto;
	if (s->sync && s->sync_error[0] && spool_sync_released(s->sync, upto))
		s->sync_error[0] = '\0';
	if (!s->replaying)
		release_segments(s);
}

void
spool_get_stats(const struct spool *s, struct spool_stats *st)
{
	struct list *first = s->segments.next;

	*st = (struct spool_stats){.first_seq = s->next_seq,
		.last_seq = s->next_seq - 1,
		.synced_seq = s->sync ? spool_sync_synced(s->sync) : 0,
		.bytes = s->bytes,
		.appended = s->appended,
		.dropped = s->dropped,
		.damaged = s->damaged,
		.write_errors = s->write_errors};
	if (s->sync)
		st->sync = spool_sync_times(s->sync);
	if (!list_is_empty(&s->segments))
		st->first_seq = LIST_ENTRY(first, struct spool_segment, link)->first;
	if (s->released >= st->first_seq)
		st->first_seq = s->released + 1;
	if (s->append_error[0])
		st->write_error = s->append_error;
	else if (s->sync_error[0])
		st->write_error = s->sync_error;
}

void
spool_close(struct spool **sp)
{
	struct spool *s = *sp;

	if (!s)
		return;
	*sp = NULL;
	assert(!s->replaying);
	segment_finish(s);
	spool_sync_stop(&s->sync);
	while (!list_is_empty(&s->segments))
		segment_forget(
			s, LIST_ENTRY(s->segments.next, struct spool_segment, link));
	if (s->dir_fd >= 0)
		close(s->dir_fd);
	if (s->lock_fd >= 0)
		close(s->lock_fd); /* and with it the lock */
	mem_free(s->scratch);
	mem_free(s);
}
