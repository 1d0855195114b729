/* spool_open.c - opening a spool: its directory, its lock, and where its row ends.
 *
 * Only the last segment is read here, because appends go on in it: its torn tail, if
 * any, is zeroed first. The others are read when they are replayed. */
#include "io/spool.h"

#include "io/spool_priv.h"

#include <clock.h>
#include <log.h>
#include <mem.h>
#include <str.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* mkdir -p; what exists keeps its mode. */
static int
make_dirs(const char *path, struct err *e)
{
	char *copy = xstrdup(path);
	int rc = 0;
	char end;

	for (char *p = copy + 1; rc == 0; p++) {
		if (*p && *p != '/')
			continue;
		end = *p;
		*p = '\0';
		if (mkdir(copy, 0700) < 0 && errno != EEXIST)
			rc = err_errno(e, "cannot make %s", copy);
		*p = end;
		if (!end)
			break;
	}
	mem_free(copy);
	return rc;
}

static bool
is_file_name(const char *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
			     "0123456789._-");

	return n > 0 && n < 64 && !s[n] && s[0] != '.';
}

static int
open_dir(struct spool *s, const struct spool_opts *o, struct err *e)
{
	char *path = xasprintf("%s/%s", o->dir, o->name);
	int rc = make_dirs(path, e);

	if (rc == 0) {
		s->dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (s->dir_fd < 0)
			rc = err_errno(e, "cannot open the spool %s", path);
	}
	if (rc == 0) {
		s->lock_fd =
			openat(s->dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		if (s->lock_fd < 0)
			rc = err_errno(e, "cannot open %s/lock", path);
		else if (flock(s->lock_fd, LOCK_EX | LOCK_NB) < 0)
			rc = errno == EWOULDBLOCK
				     ? err_set(e,
					       "the spool %s is in use by another "
					       "process",
					       path)
				     : err_errno(e, "cannot lock %s/lock", path);
	}
	mem_free(path);
	return rc;
}

/* "%016llx.spool" and nothing else. */
static bool
parse_name(const char *name, uint64_t *first_r)
{
	if (strlen(name) != 22 || strcmp(name + 16, ".spool") != 0 ||
		strspn(name, "0123456789abcdef") != 16)
		return false;
	*first_r = strtoull(name, NULL, 16);
	return *first_r > 0;
}

static int
compare_first(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static int
list_segments(struct spool *s, uint64_t **firsts_r, size_t *n_r, struct err *e)
{
	int fd = openat(s->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	size_t n = 0;
	uint64_t first, *firsts = NULL;

	if (!d) {
		if (fd >= 0)
			close(fd);
		return err_errno(e, "cannot list the directory of %s", s->who);
	}
	while ((entry = readdir(d))) {
		if (!parse_name(entry->d_name, &first))
			continue;
		if ((n & (n + 1)) == 0)
			firsts = xrealloc(firsts, (2 * n + 1) * sizeof(*firsts));
		firsts[n++] = first;
	}
	closedir(d);
	if (n > 0)
		qsort(firsts, n, sizeof(*firsts), compare_first);
	*firsts_r = firsts;
	*n_r = n;
	return 0;
}

static int
load_segments(struct spool *s, struct err *e)
{
	uint64_t *firsts = NULL;
	size_t n = 0;

	if (list_segments(s, &firsts, &n, e) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		char name[SPOOL_NAME_LEN];
		struct stat st = {0};
		if (fstatat(s->dir_fd, spool_segment_name(name, firsts[i]), &st, 0) < 0)
			log_warn(s->who, "cannot look at %s", name);
		struct spool_segment *g = spool_add_segment(s, firsts[i], st.st_size);
		/* What the name of the next one tells; replay finds out what is there.
		 */
		if (i + 1 < n)
			g->last = firsts[i + 1] - 1;
	}
	mem_free(firsts);
	return 0;
}

/* Zeroes what an append began and a crash cut short, so that nothing of it can ever be
 * taken for part of a later record. */
static int
cut_tail(struct spool *s, int fd, const char *name, const struct spool_item *tail,
	struct err *e)
{
	unsigned char *zeros = xcalloc(1, tail->len);
	ssize_t n = pwrite(fd, zeros, tail->len, (off_t)tail->off);

	mem_free(zeros);
	if (n != (ssize_t)tail->len || fdatasync(fd) < 0)
		return err_errno(e, "%s: cannot cut the torn end of %s", s->who, name);
	log_warnx(s->who, "%s: cut off %zu bytes of an append that a crash interrupted",
		name, tail->len);
	return 0;
}

/* Walks the last segment: its last sequence, and where appends go on. */
static int
open_last(struct spool *s, struct spool_segment *g, struct err *e)
{
	char name[SPOOL_NAME_LEN];
	size_t len;
	unsigned char *data = spool_read_segment(s, g, &len);
	int rc = 0;

	spool_segment_name(name, g->first);
	if (!data)
		return err_set(e, "%s: cannot read %s", s->who, name);
	struct spool_walk w = {.data = data, .len = len, .next_seq = g->first};
	struct spool_item it;
	for (spool_walk_next(&w, &it);
		it.type == SPOOL_RECORD || it.type == SPOOL_DAMAGE;
		spool_walk_next(&w, &it)) {
		if (it.type == SPOOL_RECORD)
			g->last = it.seq;
		else
			spool_report_damage(s, g, data, it.off, it.len);
	}
	s->fd = openat(s->dir_fd, name, O_RDWR | O_CLOEXEC);
	if (s->fd < 0)
		rc = err_errno(e, "%s: cannot open %s", s->who, name);
	else if (it.type == SPOOL_TORN)
		rc = cut_tail(s, s->fd, name, &it, e);
	s->write_off = (int64_t)((it.off + 7) & ~(size_t)7);
	mem_free(data);
	return rc;
}

/* Where the files end, or further on if the database knows more. */
static int
open_row(struct spool *s, uint64_t min_next_seq, struct err *e)
{
	bool unknown = min_next_seq == SPOOL_SEQ_UNKNOWN;
	s->next_seq = min_next_seq > 0 && !unknown ? min_next_seq : 1;
	if (list_is_empty(&s->segments)) {
		if (unknown && clock_wall_us() > 1)
			s->next_seq = (uint64_t)clock_wall_us();
		return 0;
	}
	struct spool_segment *g =
		LIST_ENTRY(s->segments.prev, struct spool_segment, link);
	if (open_last(s, g, e) < 0)
		return -1;
	if (g->last + 1 >= s->next_seq) {
		s->next_seq = g->last + 1;
		return 0;
	}
	/* The row is interrupted: a new segment. An empty one would keep its name. */
	close(s->fd);
	s->fd = -1;
	if (g->last < g->first) {
		char name[SPOOL_NAME_LEN];
		unlinkat(s->dir_fd, spool_segment_name(name, g->first), 0);
		list_remove(&g->link);
		s->bytes -= g->size;
		mem_free(g);
	}
	return 0;
}

/* What an earlier process wrote last may still be in memory only. */
static void
start_sync(struct spool *s)
{
	s->sync = spool_sync_start(s->dir_fd, s->segment_bytes, s->who);
	spool_sync_dir(s->sync);
	list_for_each (&s->segments, it) {
		struct spool_segment *g = LIST_ENTRY(it, struct spool_segment, link);
		char name[SPOOL_NAME_LEN];
		spool_sync_file(s->sync, spool_segment_name(name, g->first), g->last);
	}
}

struct spool *
spool_open(struct loop *l, const struct spool_opts *o, uint64_t min_next_seq,
	struct err *e)
{
	struct spool *s = xcalloc(1, sizeof(*s));

	(void)l; /* appends and replays are synchronous; the disk's thread needs no loop
		  */
	snprintf(s->who, sizeof(s->who), "spool %s", o->name);
	s->segment_bytes = o->segment_bytes < 64 ? 64 : (o->segment_bytes + 7) & ~7ll;
	s->max_bytes = o->max_bytes;
	s->dir_fd = s->lock_fd = s->fd = -1;
	s->scratch = xmalloc(SPOOL_HEADER + SPOOL_RECORD_MAX + 8);
	list_init(&s->segments);
	int rc = is_file_name(o->name) ? open_dir(s, o, e)
				       : err_set(e,
						 "\"%s\" is no spool name: 1 to 63 of "
						 "A-Z a-z 0-9 . _ -",
						 o->name);
	if (rc < 0 || load_segments(s, e) < 0 || open_row(s, min_next_seq, e) < 0) {
		spool_close(&s);
		return NULL;
	}
	unlinkat(s->dir_fd, SPOOL_SPARE, 0);
	s->begun_us = clock_mono_us();
	if (o->sync)
		start_sync(s);
	return s;
}
