/* spool_aside.c - damaged/ and overflow/: bytes nobody replays, kept for a person.
 *
 * Both are bounded by the spool's max_bytes. Names begin with the segment's sequence in
 * hex, so the smallest name is the oldest. */
#include "io/spool_priv.h"

#include <log.h>
#include <mem.h>
#include <str.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ASIDE_NAME_LEN 64

static int
aside_open(struct spool *s, const char *dir)
{
	int fd;

	if (mkdirat(s->dir_fd, dir, 0700) < 0 && errno != EEXIST)
		return -1;
	fd = openat(s->dir_fd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd;
}

/* Sums the sizes and finds the oldest file. Returns false if there is none. */
static bool
aside_survey(int fd, int64_t *bytes_r, char *oldest)
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *e;
	struct stat st;

	*bytes_r = 0;
	oldest[0] = '\0';
	while (d && (e = readdir(d))) {
		if (e->d_name[0] == '.' || strlen(e->d_name) >= ASIDE_NAME_LEN ||
			fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		*bytes_r += st.st_size;
		if (!oldest[0] || strcmp(e->d_name, oldest) < 0)
			str_copy(oldest, ASIDE_NAME_LEN, e->d_name);
	}
	if (d)
		closedir(d);
	else if (copy >= 0)
		close(copy);
	return oldest[0] != '\0';
}

/* Makes room for `more` bytes. */
static void
aside_trim(struct spool *s, const char *dir, int fd, int64_t more)
{
	char oldest[ASIDE_NAME_LEN];
	int64_t bytes;

	while (aside_survey(fd, &bytes, oldest) && bytes + more > s->max_bytes) {
		log_warnx(s->who, "%s/ is full: deleted %s", dir, oldest);
		if (unlinkat(fd, oldest, 0) < 0)
			return;
	}
}

bool
spool_aside_damage(
	struct spool *s, const char *name, size_t off, const void *data, size_t len)
{
	char copy[ASIDE_NAME_LEN];
	int dir = aside_open(s, "damaged");
	int fd = -1;

	snprintf(copy, sizeof(copy), "%s.%zu", name, off);
	if (dir >= 0 && faccessat(dir, copy, F_OK, 0) == 0) {
		close(dir);
		return false;
	}
	if (dir >= 0) {
		aside_trim(s, "damaged", dir, (int64_t)len);
		fd = openat(dir, copy, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	}
	if (fd < 0 || write(fd, data, len) != (ssize_t)len)
		log_warn(s->who, "cannot keep %zu damaged bytes in damaged/%s", len,
			copy);
	if (fd >= 0)
		close(fd);
	if (dir >= 0)
		close(dir);
	return true;
}

void
spool_aside_overflow(struct spool *s, const char *name)
{
	int dir = aside_open(s, "overflow");
	struct stat st;

	if (dir >= 0) {
		if (fstatat(s->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			aside_trim(s, "overflow", dir, st.st_size);
		int rc = renameat(s->dir_fd, name, dir, name);
		close(dir);
		if (rc == 0)
			return;
	}
	log_warn(s->who, "cannot move %s to overflow/: it is deleted", name);
	unlinkat(s->dir_fd, name, 0);
}
