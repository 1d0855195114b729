/* spool_find.c - which files of all spools hold a text: for the report of what is kept of a
 * person, and for their erasure. Live segments are only told of (they go by themselves once
 * they are applied, see spool_turn); copies set aside may be deleted.
 *
 * Files may vanish meanwhile; what cannot be read is passed over. */
#include "io/spool.h"

#include <mem.h>
#include <str.h>

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE	 (1024 * 1024)
#define TEXT_MAX 256 /* of a text; longer ones are found by their beginning */

struct search {
	const char *const *texts;
	size_t n;
	int64_t until_us;
	bool erase;
	unsigned char *piece;
	struct spool_found *found;
};

static bool
piece_holds(const struct search *s, size_t len)
{
	for (size_t i = 0; i < s->n; i++) {
		size_t size = strlen(s->texts[i]);
		if (size > TEXT_MAX)
			size = TEXT_MAX;
		if (size && memmem(s->piece, len, s->texts[i], size))
			return true;
	}
	return false;
}

/* Pieces overlap, so that no text hides between two. */
static bool
file_holds(const struct search *s, int fd)
{
	off_t off = 0;
	ssize_t n;

	while ((n = pread(fd, s->piece, PIECE, off)) > 0) {
		if (piece_holds(s, (size_t)n))
			return true;
		if (n <= TEXT_MAX)
			return false;
		off += n - TEXT_MAX;
	}
	return false;
}

static void
look_at_file(struct search *s, int dir, const char *name, bool aside)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;

	if (fd < 0)
		return;
	bool regular = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
	int64_t us = regular ? (int64_t)st.st_mtime * 1000000 : 0;
	if (regular && us <= s->until_us && file_holds(s, fd)) {
		s->found->files++;
		if (!s->found->oldest_us || us < s->found->oldest_us)
			s->found->oldest_us = us;
		if (us > s->found->newest_us)
			s->found->newest_us = us;
		if (s->erase && aside && unlinkat(dir, name, 0) == 0)
			s->found->erased++;
	}
	close(fd);
}

/* depth 0: a directory per spool; 1: a spool's segments; 2: what was set aside. */
static void
look_at_directory(struct search *s, int fd, unsigned depth)
{
	DIR *d = fdopendir(fd);
	struct dirent *e;

	if (!d) {
		close(fd);
		return;
	}
	while ((e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		int sub = depth < 2 ? openat(dirfd(d), e->d_name,
					      O_RDONLY | O_DIRECTORY | O_CLOEXEC |
						      O_NOFOLLOW)
				    : -1;
		if (sub >= 0)
			look_at_directory(s, sub, depth + 1);
		else if (depth)
			look_at_file(s, dirfd(d), e->d_name, depth == 2);
	}
	closedir(d);
}

void
spool_find(const char *dir, const char *const *texts, size_t n, int64_t until_us,
	bool erase, struct spool_found *found_r)
{
	struct search s = {.texts = texts,
		.n = n,
		.until_us = until_us ? until_us : INT64_MAX,
		.erase = erase,
		.found = found_r};
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	memset(found_r, 0, sizeof(*found_r));
	if (fd < 0)
		return;
	s.piece = xmalloc(PIECE);
	look_at_directory(&s, fd, 0);
	xfree(&s.piece);
}
