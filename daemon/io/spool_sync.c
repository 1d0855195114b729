/* spool_sync.c - one thread per spool for all that waits for the disk: fdatasync,
 * deleting segments, and making the next segment ahead of its use.
 *
 * Grouping: a sync begins SYNC_PACE_MS after its first record, and covers all that came
 * meanwhile. So a busy spool does not do nothing but sync, beside a database that wants
 * the same disk; and the records of one turn of the loop, which screen pops wait for, do
 * not meet the sync that the first of them would have begun.
 *
 * A segment made ahead is written full of zeros and synced, so that later fdatasync calls
 * carry data only and no metadata (an order of magnitude on ext4). That is done in steps
 * between which records waiting for the disk go first.
 *
 * After a failed fdatasync the kernel may have dropped the dirty pages and say nothing
 * the next time: the file is never synced again, and the spool starts a new one. */
#include "io/spool_priv.h"

#include <clock.h>
#include <log.h>
#include <mem.h>
#include <str.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SPARE_STEP   (512 * 1024)
#define SYNC_PACE_MS 5

struct sync_job {
	struct list link;
	int fd; /* to sync and close; or -1 */
	uint64_t seq;
	char name[SPOOL_NAME_LEN]; /* of a file to open and sync, or to delete; or "" */
	bool remove;
};

enum spare_state {
	SPARE_WANTED,  /* nothing there yet */
	SPARE_FILLING, /* the thread's */
	SPARE_READY,   /* the loop may take it */
	SPARE_FAILED,  /* not tried again before the next segment is begun */
};

struct spool_sync {
	int dir_fd;
	int64_t segment_bytes;
	char who[96];
	pthread_t thread;
	bool has_thread;
	int spare_fd; /* the thread's while FILLING, the loop's when READY */
	int64_t spare_off;
	unsigned char *zeros;
	bool spare_failed; /* the last time, and was logged */

	pthread_mutex_t lock;	     /* guards all below */
	pthread_cond_t work, ending; /* ending: only what cannot wait */
	bool stop, dir_dirty;
	struct list jobs; /* of struct sync_job, in order */
	int fd;		  /* current segment's with records to sync, or -1 */
	uint64_t seq;	  /* written to fd */
	uint64_t synced;  /* all up to it are on the disk, or released */
	uint64_t reached; /* the same, but for those in `lost` */
	uint64_t lost;	  /* highest sequence in a file whose sync failed, or 0 */
	int bad_fd;	  /* never to be synced again, or -1 */
	int error;	  /* of bad_fd, not yet told, or 0 */
	enum spare_state spare;
	struct histogram times;
};

/* With the lock held: what fd has up to seq did or did not reach the disk. */
static void
sync_advance(struct spool_sync *y, uint64_t seq, bool ok)
{
	if (!ok && seq > y->lost)
		y->lost = seq;
	if (ok && seq > y->reached)
		y->reached = seq;
	if (!y->lost)
		y->synced = y->reached;
}

static void
sync_fd(struct spool_sync *y, int fd, uint64_t seq)
{
	bool ok = false;
	int error = 0;
	int64_t took_us = 0;

	pthread_mutex_lock(&y->lock);
	bool tried = fd != y->bad_fd;
	pthread_mutex_unlock(&y->lock);
	if (tried) {
		int64_t began_us = clock_mono_us();
		ok = fdatasync(fd) == 0;
		took_us = clock_mono_us() - began_us;
		error = ok ? 0 : errno;
		if (!ok)
			log_error(y->who, "fdatasync failed: records may not survive "
					  "a power failure");
	}
	pthread_mutex_lock(&y->lock);
	if (error) {
		y->bad_fd = fd;
		y->error = error;
	}
	if (ok)
		histogram_add(&y->times, took_us);
	sync_advance(y, seq, ok);
	pthread_mutex_unlock(&y->lock);
}

static void
sync_job_do(struct spool_sync *y, struct sync_job *j)
{
	if (j->name[0] && !j->remove)
		j->fd = openat(y->dir_fd, j->name, O_RDWR | O_CLOEXEC);
	if (j->fd >= 0) {
		sync_fd(y, j->fd, j->seq);
		close(j->fd);
		/* The number may come back for another file. */
		pthread_mutex_lock(&y->lock);
		if (y->bad_fd == j->fd)
			y->bad_fd = -1;
		pthread_mutex_unlock(&y->lock);
	}
	if (j->remove && unlinkat(y->dir_fd, j->name, 0) < 0 && errno != ENOENT)
		log_warn(y->who, "cannot delete %s", j->name);
	mem_free(j);
}

static void
spare_set(struct spool_sync *y, enum spare_state state)
{
	pthread_mutex_lock(&y->lock);
	y->spare = state;
	pthread_mutex_unlock(&y->lock);
}

static void
spare_fail(struct spool_sync *y)
{
	if (!y->spare_failed)
		log_warn(y->who, "cannot make the next segment ahead");
	y->spare_failed = true;
	if (y->spare_fd >= 0)
		close(y->spare_fd);
	y->spare_fd = -1;
	unlinkat(y->dir_fd, SPOOL_SPARE, 0);
	spare_set(y, SPARE_FAILED);
}

static void
spare_begin(struct spool_sync *y)
{
	y->spare_off = 0;
	y->spare_fd = openat(
		y->dir_fd, SPOOL_SPARE, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (y->spare_fd < 0 || (fallocate(y->spare_fd, 0, 0, y->segment_bytes) < 0 &&
				       errno != EOPNOTSUPP))
		spare_fail(y);
	else
		spare_set(y, SPARE_FILLING);
}

static void
spare_fill(struct spool_sync *y)
{
	int64_t left = y->segment_bytes - y->spare_off;
	size_t n = left < SPARE_STEP ? (size_t)left : SPARE_STEP;
	ssize_t done = pwrite(y->spare_fd, y->zeros, n, y->spare_off);

	if (done <= 0 || fdatasync(y->spare_fd) < 0) {
		spare_fail(y);
		return;
	}
	y->spare_off += done;
	if (y->spare_off < y->segment_bytes)
		return;
	y->spare_failed = false;
	spare_set(y, SPARE_READY);
}

/* With the lock held. */
static bool
has_sync_work(const struct spool_sync *y)
{
	return y->fd >= 0 || y->dir_dirty || !list_is_empty(&y->jobs);
}

static void
sync_dir(struct spool_sync *y)
{
	if (fsync(y->dir_fd) < 0)
		log_error(y->who, "cannot sync the directory");
}

/* One round: what is asked for now, oldest first. Called and returns with the lock. */
static void
sync_round(struct spool_sync *y)
{
	struct list jobs;
	int fd = y->fd;
	uint64_t seq = y->seq;
	bool dir = y->dir_dirty;

	list_init(&jobs);
	while (!list_is_empty(&y->jobs)) {
		struct list *it = y->jobs.next;
		list_remove(it);
		list_append(&jobs, it);
	}
	y->fd = -1;
	y->dir_dirty = false;
	pthread_mutex_unlock(&y->lock);
	/* A record is on the disk only if its file's name is. */
	if (dir)
		sync_dir(y);
	dir = false;
	list_for_each_safe (&jobs, it) {
		struct sync_job *j = LIST_ENTRY(it, struct sync_job, link);
		dir |= j->remove;
		sync_job_do(y, j);
	}
	if (dir)
		sync_dir(y);
	if (fd >= 0)
		sync_fd(y, fd, seq);
	pthread_mutex_lock(&y->lock);
}

static struct timespec
after_ms(int64_t ms)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_nsec += ms * 1000000;
	t.tv_sec += t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	return t;
}

/* A round, when some more may have come. With the lock. */
static void
sync_paced(struct spool_sync *y)
{
	struct timespec then = after_ms(SYNC_PACE_MS);

	while (!y->stop &&
		pthread_cond_timedwait(&y->ending, &y->lock, &then) != ETIMEDOUT)
		continue;
	sync_round(y);
}

static void *
sync_main(void *arg)
{
	struct spool_sync *y = arg;

	pthread_mutex_lock(&y->lock);
	for (;;) {
		bool spare = y->spare == SPARE_WANTED || y->spare == SPARE_FILLING;
		if (has_sync_work(y)) {
			sync_paced(y);
		} else if (y->stop) {
			break;
		} else if (spare) {
			bool begin = y->spare == SPARE_WANTED;
			pthread_mutex_unlock(&y->lock);
			if (begin)
				spare_begin(y);
			else
				spare_fill(y);
			pthread_mutex_lock(&y->lock);
		} else {
			pthread_cond_wait(&y->work, &y->lock);
		}
	}
	pthread_mutex_unlock(&y->lock);
	return NULL;
}

struct spool_sync *
spool_sync_start(int dir_fd, int64_t segment_bytes, const char *who)
{
	struct spool_sync *y = xcalloc(1, sizeof(*y));
	pthread_condattr_t attr;
	sigset_t all, old;
	int rc;

	y->dir_fd = dir_fd;
	y->segment_bytes = segment_bytes;
	str_copy(y->who, sizeof(y->who), who);
	y->fd = y->bad_fd = y->spare_fd = -1;
	y->zeros = xcalloc(1, SPARE_STEP);
	list_init(&y->jobs);
	pthread_mutex_init(&y->lock, NULL);
	pthread_cond_init(&y->work, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&y->ending, &attr);
	pthread_condattr_destroy(&attr);
	sigfillset(&all); /* signals are the main thread's */
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&y->thread, NULL, sync_main, y);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	y->has_thread = rc == 0;
	if (rc != 0)
		log_errorx(who, "cannot start the sync thread: %s", strerror(rc));
	return y;
}

void
spool_sync_stop(struct spool_sync **yp)
{
	struct spool_sync *y = *yp;

	if (!y)
		return;
	*yp = NULL;
	pthread_mutex_lock(&y->lock);
	y->stop = true;
	pthread_cond_signal(&y->work);
	pthread_cond_signal(&y->ending);
	pthread_mutex_unlock(&y->lock);
	if (y->has_thread) {
		pthread_join(y->thread, NULL);
	} else {
		pthread_mutex_lock(&y->lock);
		sync_round(y);
		pthread_mutex_unlock(&y->lock);
	}
	if (y->spare_fd >= 0) {
		close(y->spare_fd);
		unlinkat(y->dir_fd, SPOOL_SPARE, 0);
	}
	pthread_cond_destroy(&y->work);
	pthread_cond_destroy(&y->ending);
	pthread_mutex_destroy(&y->lock);
	mem_free(y->zeros);
	mem_free(y);
}

void
spool_sync_written(struct spool_sync *y, int fd, uint64_t seq)
{
	pthread_mutex_lock(&y->lock);
	if (fd != y->bad_fd) {
		y->fd = fd;
		y->seq = seq;
		pthread_cond_signal(&y->work);
	}
	pthread_mutex_unlock(&y->lock);
}

static void
sync_add_job(struct spool_sync *y, struct sync_job *j)
{
	pthread_mutex_lock(&y->lock);
	list_append(&y->jobs, &j->link);
	if (j->fd >= 0 && j->fd == y->fd)
		y->fd = -1; /* the job does it, and closes the file */
	pthread_cond_signal(&y->work);
	pthread_mutex_unlock(&y->lock);
}

void
spool_sync_retire(struct spool_sync *y, int fd, uint64_t seq)
{
	struct sync_job *j = xcalloc(1, sizeof(*j));

	j->fd = fd;
	j->seq = seq;
	sync_add_job(y, j);
}

void
spool_sync_file(struct spool_sync *y, const char *name, uint64_t seq)
{
	struct sync_job *j = xcalloc(1, sizeof(*j));

	j->fd = -1;
	j->seq = seq;
	str_copy(j->name, sizeof(j->name), name);
	sync_add_job(y, j);
}

void
spool_sync_unlink(struct spool_sync *y, const char *name)
{
	struct sync_job *j = xcalloc(1, sizeof(*j));

	j->fd = -1;
	j->remove = true;
	str_copy(j->name, sizeof(j->name), name);
	sync_add_job(y, j);
}

void
spool_sync_dir(struct spool_sync *y)
{
	pthread_mutex_lock(&y->lock);
	y->dir_dirty = true;
	pthread_cond_signal(&y->work);
	pthread_mutex_unlock(&y->lock);
}

int
spool_sync_take_spare(struct spool_sync *y, const char *name, int64_t *size_r)
{
	int fd = -1;

	pthread_mutex_lock(&y->lock);
	if (y->spare == SPARE_READY &&
		renameat(y->dir_fd, SPOOL_SPARE, y->dir_fd, name) == 0) {
		fd = y->spare_fd;
		*size_r = y->segment_bytes;
		y->spare_fd = -1;
		y->spare = SPARE_WANTED;
		y->dir_dirty = true;
	} else if (y->spare == SPARE_FAILED) {
		y->spare = SPARE_WANTED;
	}
	pthread_cond_signal(&y->work);
	pthread_mutex_unlock(&y->lock);
	return fd;
}

uint64_t
spool_sync_synced(struct spool_sync *y)
{
	pthread_mutex_lock(&y->lock);
	uint64_t seq = y->synced;
	pthread_mutex_unlock(&y->lock);
	return seq;
}

struct histogram
spool_sync_times(struct spool_sync *y)
{
	pthread_mutex_lock(&y->lock);
	struct histogram times = y->times;
	pthread_mutex_unlock(&y->lock);
	return times;
}

bool
spool_sync_released(struct spool_sync *y, uint64_t upto)
{
	pthread_mutex_lock(&y->lock);
	if (y->lost && upto >= y->lost) {
		y->lost = 0;
		y->synced = y->reached > upto ? y->reached : upto;
	}
	bool whole = y->lost == 0;
	pthread_mutex_unlock(&y->lock);
	return whole;
}

bool
spool_sync_failed(struct spool_sync *y, int *fd_r, int *error_r)
{
	pthread_mutex_lock(&y->lock);
	bool failed = y->error != 0;
	*fd_r = y->bad_fd;
	*error_r = y->error;
	y->error = 0;
	pthread_mutex_unlock(&y->lock);
	return failed;
}
