/* The spool against crashes: torn tails, flipped bits, kill -9, full and failing disks.
 *
 * fdatasync and fallocate are replaced here, so that the disk can be made to fail. */
#include <clock.h>
#include <lib/test.h>
#include <log.h>
#include <mem.h>

#include "io/crc32c.h"
#include "io/spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int fdatasync_error, fallocate_error;
static char top[64];

int
fdatasync(int fd)
{
	int error = __atomic_load_n(&fdatasync_error, __ATOMIC_SEQ_CST);
	if (error) {
		errno = error;
		return -1;
	}
	return (int)syscall(SYS_fdatasync, fd);
}

int
fallocate(int fd, int mode, off_t off, off_t len)
{
	int error = __atomic_load_n(&fallocate_error, __ATOMIC_SEQ_CST);
	if (error) {
		errno = error;
		return -1;
	}
	return (int)syscall(SYS_fallocate, fd, mode, off, len);
}

/* Bytes after which pwrite fails with EIO; -1 = never. */
static long pwrite_limit = -1;

ssize_t
pwrite(int fd, const void *data, size_t len, off_t off)
{
	long limit = __atomic_load_n(&pwrite_limit, __ATOMIC_SEQ_CST);

	if (limit == 0) {
		errno = EIO;
		return -1;
	}
	if (limit > 0 && (long)len > limit)
		len = (size_t)limit;
	if (limit > 0)
		__atomic_fetch_sub(&pwrite_limit, (long)len, __ATOMIC_SEQ_CST);
	return syscall(SYS_pwrite64, fd, data, len, off);
}

static void
set_error(int *which, int error)
{
	__atomic_store_n(which, error, __ATOMIC_SEQ_CST);
}

static void
ignore_log(enum log_level level, const char *who, const char *text, void *arg)
{
	(void)level;
	(void)who;
	(void)text;
	(void)arg;
}

/* For the rest of the case: what matters there is what comes back. */
static void
expect_any_log(void)
{
	log_set_hook(ignore_log, NULL);
}

/* A new empty directory for each case. */
static void
new_dir(void)
{
	char cmd[128];
	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", top);
	if (system(cmd) != 0)
		abort();
}

static struct spool *
open_with(int64_t segment_bytes, int64_t max_bytes, bool sync, uint64_t min_next)
{
	struct spool_opts o = {.dir = top,
		.name = "pbx",
		.segment_bytes = segment_bytes,
		.max_bytes = max_bytes,
		.sync = sync};
	struct err e = {0};
	struct spool *s = spool_open(NULL, &o, min_next, &e);

	if (!s)
		test_fail(__FILE__, __LINE__, "%s", e.text);
	return s;
}

static void
record_text(char dst[64], uint64_t seq)
{
	int pad = (int)(seq * 7 % 23);
	snprintf(dst, 64, "record %llu %.*s", (unsigned long long)seq, pad,
		"abcdefghijklmnopqrstuvwxyz");
}

/* Appends records whose text follows from their sequence. */
static uint64_t
append_n(struct spool *s, int n)
{
	struct err e;
	uint64_t seq = 0;
	char text[64];
	struct spool_stats st;

	while (n-- > 0) {
		spool_get_stats(s, &st);
		record_text(text, st.last_seq + 1);
		if (spool_append(s, text, strlen(text), &seq, &e) < 0)
			test_fail(__FILE__, __LINE__, "%s", e.text);
		CHECK_INT(seq, st.last_seq + 1);
	}
	return seq;
}

struct seen {
	uint64_t n, first, last, wrong, stop_after;
	struct spool *release;
};

static bool
on_record(void *arg, uint64_t seq, const void *data, size_t len)
{
	struct seen *v = arg;
	char text[64];

	record_text(text, seq);
	if (len != strlen(text) || memcmp(text, data, len) != 0 || seq <= v->last)
		v->wrong++;
	if (v->n++ == 0)
		v->first = seq;
	v->last = seq;
	if (v->release)
		spool_release(v->release, seq);
	return v->n != v->stop_after;
}

static struct seen
replay(struct spool *s, uint64_t from, uint64_t *gap_r)
{
	struct seen v = {0};
	uint64_t n = spool_replay(s, from, on_record, &v, gap_r);
	CHECK_INT(n, v.n);
	CHECK_INT(v.wrong, 0);
	return v;
}

static void
check_replay(
	struct spool *s, uint64_t from, uint64_t first, uint64_t last, uint64_t gap)
{
	uint64_t gap_got;
	struct seen v = replay(s, from, &gap_got);
	CHECK_INT(v.first, first);
	CHECK_INT(v.last, last);
	CHECK_INT(gap_got, gap);
}

static int
count_files(const char *sub, const char *ending)
{
	char path[128];
	int n = 0;
	snprintf(path, sizeof(path), "%s/pbx/%s", top, sub);
	DIR *d = opendir(path);
	struct dirent *e;
	while (d && (e = readdir(d))) {
		size_t len = strlen(e->d_name), end = strlen(ending);
		if (e->d_name[0] != '.' && len >= end &&
			strcmp(e->d_name + len - end, ending) == 0)
			n++;
	}
	if (d)
		closedir(d);
	return n;
}

static char *
first_segment(char path[128], uint64_t first)
{
	snprintf(path, 128, "%s/pbx/%016llx.spool", top, (unsigned long long)first);
	return path;
}

static size_t
read_file(const char *path, unsigned char *dst, size_t cap)
{
	FILE *f = fopen(path, "r");
	size_t n = f ? fread(dst, 1, cap, f) : 0;
	if (f)
		fclose(f);
	return n;
}

static void
write_file(const char *path, const unsigned char *data, size_t len)
{
	FILE *f = fopen(path, "w");
	if (!f || fwrite(data, 1, len, f) != len)
		test_fail(__FILE__, __LINE__, "cannot write %s", path);
	if (f)
		fclose(f);
}

static void
test_crc32c_known_values(void)
{
	unsigned char data[108];
	/* RFC 3720 B.4 */
	memset(data, 0, 32);
	CHECK_INT(crc32c(0, data, 32), 0x8a9136aa);
	CHECK_INT(crc32c_soft(0, data, 32), 0x8a9136aa);
	memset(data, 0xff, 32);
	CHECK_INT(crc32c(0, data, 32), 0x62a8ab43);
	CHECK_INT(crc32c(0, "123456789", 9), 0xe3069283);
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (unsigned char)(i * 37);
	for (size_t i = 0; i < 100; i++) {
		CHECK_INT(crc32c(1, data + i % 8, i), crc32c_soft(1, data + i % 8, i));
		CHECK_INT(crc32c(crc32c(0, data, i), data + i, sizeof(data) - i),
			crc32c_soft(0, data, sizeof(data)));
	}
}

static void
test_append_replay_release_reopen(void)
{
	for (int sync = 0; sync < 2; sync++) {
		struct spool_stats st;
		new_dir();
		struct spool *s = open_with(512, 1 << 20, sync, 0);
		check_replay(s, 1, 0, 0, 0);
		append_n(s, 100);
		check_replay(s, 1, 1, 100, 0);
		check_replay(s, 42, 42, 100, 0);
		check_replay(s, 101, 0, 0, 0);
		spool_release(s, 60);
		check_replay(s, 61, 61, 100, 0);
		spool_get_stats(s, &st);
		CHECK_INT(st.first_seq, 61);
		CHECK_INT(st.last_seq, 100);
		CHECK_INT(st.appended, 100);
		spool_close(&s);
		int left = count_files("", ".spool");
		CHECK(left > 2 && left < 8);
		s = open_with(512, 1 << 20, sync, 61);
		check_replay(s, 61, 61, 100, 0);
		append_n(s, 5);
		check_replay(s, 61, 61, 105, 0);
		spool_release(s, 1000);
		spool_get_stats(s, &st);
		CHECK_INT(st.first_seq, 106);
		CHECK_INT(st.last_seq, 105);
		spool_close(&s);
		CHECK_INT(count_files("", ".spool"), 1);
		spool_close(&s);
	}
}

static void
test_sync_reaches_the_disk(void)
{
	struct spool_stats st = {0};

	new_dir();
	struct spool *s = open_with(4096, 1 << 20, true, 0);
	append_n(s, 500);
	for (int64_t end = clock_mono_us() + 20000000;
		st.synced_seq < 500 && clock_mono_us() < end;) {
		spool_get_stats(s, &st);
		usleep(100); /* the thread has no event to wait for from outside */
	}
	CHECK_INT(st.synced_seq, 500);
	CHECK(!st.write_error);
	check_replay(s, 1, 1, 500, 0);
	spool_close(&s);
	s = open_with(4096, 1 << 20, true, 0);
	check_replay(s, 1, 1, 500, 0);
	spool_close(&s);
}

static void
test_replay_stops_and_releases_inside(void)
{
	uint64_t gap;
	struct seen v = {.stop_after = 10};

	new_dir();
	struct spool *s = open_with(256, 1 << 20, false, 0);
	append_n(s, 50);
	CHECK_INT(spool_replay(s, 1, on_record, &v, &gap), 10);
	CHECK_INT(gap, 0);
	v = (struct seen){.release = s};
	CHECK_INT(spool_replay(s, 1, on_record, &v, &gap), 50);
	CHECK_INT(v.wrong, 0);
	CHECK_INT(count_files("", ".spool"), 1);
	spool_close(&s);
}

static void
test_min_next_seq_and_gap(void)
{
	new_dir();
	struct spool *s = open_with(512, 1 << 20, false, 1000);
	CHECK_INT(append_n(s, 3), 1002);
	spool_close(&s);
	s = open_with(512, 1 << 20, false, 2000);
	CHECK_INT(append_n(s, 3), 2002);
	check_replay(s, 1000, 1000, 2002, 997);
	spool_close(&s);
	s = open_with(512, 1 << 20, false, 5);
	CHECK_INT(append_n(s, 1), 2003);
	check_replay(s, 990, 1000, 2003, 10 + 997);
	spool_close(&s);
	/* Nothing but an empty segment: it does not keep its name. */
	new_dir();
	s = open_with(512, 1 << 20, false, 0);
	append_n(s, 1);
	char path[128];
	CHECK(truncate(first_segment(path, 1), 0) == 0);
	spool_close(&s);
	s = open_with(512, 1 << 20, false, 7);
	CHECK_INT(append_n(s, 1), 7);
	check_replay(s, 7, 7, 7, 0);
	spool_close(&s);
}

static void
test_torn_tail_at_every_byte(void)
{
	unsigned char whole[2048], torn[2048];
	char path[128];

	new_dir();
	struct spool *s = open_with(1024, 1 << 20, false, 0);
	append_n(s, 5);
	spool_close(&s);
	size_t len = read_file(first_segment(path, 1), whole, sizeof(whole));
	size_t end = len;
	while (whole[end - 1] == 0)
		end--;
	size_t start = 0;
	for (int i = 0; i < 4; i++)
		start += (16 + whole[start] + 7) & ~7u;
	for (size_t cut = start; cut <= end; cut++) {
		for (int truncated = 0; truncated < 2; truncated++) {
			memcpy(torn, whole, len);
			memset(torn + cut, 0, len - cut);
			write_file(path, torn, truncated ? cut : len);
			if (cut > start && cut < end)
				test_expect_log("an append that a crash interrupted");
			s = open_with(1024, 1 << 20, false, 0);
			check_replay(s, 1, 1, cut == end ? 5 : 4, 0);
			append_n(s, 2);
			check_replay(s, 1, 1, cut == end ? 7 : 6, 0);
			spool_close(&s);
			s = open_with(1024, 1 << 20, false, 0);
			check_replay(s, 1, 1, cut == end ? 7 : 6, 0);
			spool_close(&s);
			new_dir();
			s = open_with(1024, 1 << 20, false, 0);
			spool_close(&s);
		}
	}
	CHECK_INT(count_files("damaged", ""), 0);
}

/* Pure reader: whatever bit flips, no record is wrong, and only one can be missing. */
static void
test_flipped_bit_never_gives_a_wrong_record(void)
{
	unsigned char data[2048];
	char path[128];
	bool torn;

	new_dir();
	struct spool *s = open_with(1024, 1 << 20, false, 0);
	append_n(s, 12);
	spool_close(&s);
	size_t len = read_file(first_segment(path, 1), data, sizeof(data));
	size_t good = spool_scan(data, len, 1, NULL, NULL, &torn);
	CHECK(good > 300 && !torn);
	for (size_t bit = 0; bit < len * 8; bit++) {
		struct seen v = {0};
		data[bit / 8] ^= (unsigned char)(1 << bit % 8);
		spool_scan(data, len, 1, on_record, &v, &torn);
		CHECK_INT(v.wrong, 0);
		CHECK(v.n >= 11);
		if (bit / 8 >= good)
			CHECK(v.n == 12 && torn);
		data[bit / 8] ^= (unsigned char)(1 << bit % 8);
	}
	/* The same through files, a bit of every byte. */
	expect_any_log();
	for (size_t i = 0; i < good; i++) {
		new_dir();
		s = open_with(1024, 1 << 20, false, 0);
		spool_close(&s);
		data[i] ^= 4;
		write_file(path, data, len);
		data[i] ^= 4;
		struct err e;
		struct spool_opts o = {.dir = top,
			.name = "pbx",
			.segment_bytes = 1024,
			.max_bytes = 1 << 20};
		s = spool_open(NULL, &o, 0, &e);
		uint64_t gap;
		struct seen v = replay(s, 1, &gap);
		CHECK(v.n >= 11 && v.n + gap >= 11);
		spool_close(&s);
	}
}

static void
test_damage_is_kept_and_reported_once(void)
{
	unsigned char data[4096];
	struct spool_stats st;
	char path[128];

	new_dir();
	struct spool *s = open_with(1024, 1 << 20, false, 0);
	append_n(s, 100);
	spool_close(&s);
	/* in the first segment: not read before it is replayed */
	size_t len = read_file(first_segment(path, 1), data, sizeof(data));
	memset(data + 104, 0xee, 20);
	write_file(path, data, len);
	for (int run = 0; run < 2; run++) {
		s = open_with(1024, 1 << 20, false, 0);
		if (run == 0)
			test_expect_log("damaged bytes at");
		uint64_t gap;
		struct seen v = replay(s, 1, &gap);
		CHECK_INT(v.first, 1);
		CHECK_INT(v.last, 100);
		CHECK(gap >= 1 && gap <= 2 && v.n + gap == 100);
		spool_get_stats(s, &st);
		CHECK_INT(st.damaged, run == 0);
		spool_close(&s);
		CHECK_INT(count_files("damaged", ""), 1);
	}
}

static void
test_kill_9_loses_nothing_appended(void)
{
	int pipe_fd[2];
	uint64_t told = 0, one, gap;

	new_dir();
	if (pipe(pipe_fd) < 0)
		abort();
	pid_t child = fork();
	if (child == 0) {
		struct spool *s = open_with(4096, 1 << 30, true, 0);
		for (;;) {
			one = append_n(s, 1);
			if (write(pipe_fd[1], &one, sizeof(one)) < 0)
				_exit(1);
		}
	}
	close(pipe_fd[1]);
	while (told < 3000 && read(pipe_fd[0], &one, sizeof(one)) == sizeof(one))
		told = one;
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	while (read(pipe_fd[0], &one, sizeof(one)) == sizeof(one))
		told = one;
	close(pipe_fd[0]);
	struct spool *s = open_with(4096, 1 << 30, true, 0);
	struct seen v = replay(s, 1, &gap);
	CHECK_INT(gap, 0);
	CHECK(told >= 3000);
	CHECK(v.last == told || v.last == told + 1);
	append_n(s, 10);
	spool_close(&s);
}

static void
test_full_sets_the_oldest_aside(void)
{
	struct spool_stats st;
	uint64_t gap;

	new_dir();
	expect_any_log();
	struct spool *s = open_with(512, 2048, false, 0);
	for (int i = 0; i < 100; i++) {
		spool_get_stats(s, &st);
		append_n(s, 1);
	}
	spool_get_stats(s, &st);
	CHECK(st.dropped > 50 && st.bytes <= 2048);
	struct seen v = replay(s, 1, &gap);
	CHECK_INT(v.last, 100);
	CHECK_INT(v.first, st.first_seq);
	CHECK_INT(gap, st.dropped);
	CHECK_INT(v.n + gap, 100);
	CHECK_INT(count_files("overflow", ".spool"), 4);
	/* Released records are not dropped. */
	spool_release(s, 100);
	uint64_t dropped = st.dropped;
	append_n(s, 10);
	spool_get_stats(s, &st);
	CHECK_INT(st.dropped, dropped);
	append_n(s, 40);
	spool_release(s, 150);
	append_n(s, 20);
	CHECK_INT(count_files("overflow", ".spool"), 4);
	spool_close(&s);
}

static void
test_second_opener_is_refused(void)
{
	struct err e = {0};
	struct spool_opts o = {
		.dir = top, .name = "pbx", .segment_bytes = 1024, .max_bytes = 1 << 20};

	new_dir();
	struct spool *s = open_with(1024, 1 << 20, false, 0);
	CHECK(!spool_open(NULL, &o, 0, &e));
	CHECK(strstr(e.text, "in use by another process"));
	spool_close(&s);
	s = open_with(1024, 1 << 20, false, 0);
	spool_close(&s);
	o.name = "../pbx";
	CHECK(!spool_open(NULL, &o, 0, &e));
	CHECK(strstr(e.text, "is no spool name"));
	o.name = "pbx";
	o.dir = "/proc/nowhere";
	CHECK(!spool_open(NULL, &o, 0, &e));
	CHECK(strstr(e.text, "cannot make /proc/nowhere"));
}

static void
test_big_and_empty_records(void)
{
	char *big = xcalloc(1, SPOOL_RECORD_MAX + 1);
	struct err e = {0};
	uint64_t seq, gap;
	struct seen v = {0};

	new_dir();
	struct spool *s = open_with(1024, 1 << 20, false, 0);
	CHECK_INT(spool_append(s, big, SPOOL_RECORD_MAX, &seq, &e), 0);
	CHECK_INT(spool_append(s, "", 0, &seq, &e), 0);
	CHECK_INT(spool_append(s, big, SPOOL_RECORD_MAX + 1, &seq, &e), -1);
	CHECK(strstr(e.text, "above the limit"));
	CHECK_INT(spool_replay(s, 1, on_record, &v, &gap), 2);
	spool_close(&s);
	s = open_with(1024, 1 << 20, false, 0);
	CHECK_INT(spool_replay(s, 1, on_record, &v, &gap), 2);
	spool_close(&s);
	mem_free(big);
}

static void
test_disk_full_fails_appends_until_there_is_room(void)
{
	struct err e = {0};
	struct spool_stats st;
	uint64_t seq;
	int64_t wall = 1000000000, mono = 1000000000;

	new_dir();
	clock_fake(wall, mono);
	struct spool *s = open_with(512, 1 << 20, false, 0);
	append_n(s, 3);
	set_error(&fallocate_error, ENOSPC);
	test_expect_log("No space left on device");
	int failed = 0;
	for (int i = 0; i < 30; i++)
		failed += spool_append(s, "x", 1, &seq, &e) < 0;
	CHECK(failed > 0 && failed < 30);
	CHECK(strstr(e.text, "No space left on device"));
	spool_get_stats(s, &st);
	CHECK_INT(st.write_errors, failed);
	CHECK(st.write_error && strstr(st.write_error, "No space"));
	set_error(&fallocate_error, 0);
	CHECK(spool_append(s, "x", 1, &seq, &e) < 0); /* not tried again at once */
	clock_fake(wall, mono + 1000001);
	CHECK_INT(spool_append(s, "x", 1, &seq, &e), 0);
	CHECK_INT(seq, st.last_seq + 1);
	spool_get_stats(s, &st);
	CHECK(!st.write_error);
	spool_close(&s);
	clock_fake(0, 0);
}

/* Nothing is appended for hours, and it is known all the same that there is room. */
static void
test_room_again_is_found_without_an_append(void)
{
	int64_t wall = 1000000000, mono = 1000000000;
	struct err e = {0};
	struct spool_stats st;
	uint64_t seq;

	new_dir();
	clock_fake(wall, mono);
	struct spool *s = open_with(512, 1 << 20, false, 0);
	set_error(&fallocate_error, ENOSPC);
	test_expect_log("No space left on device");
	CHECK(spool_append(s, "x", 1, &seq, &e) < 0);
	clock_fake(wall, mono += 1000001);
	spool_look(s);
	spool_get_stats(s, &st);
	CHECK(st.write_error != NULL);
	set_error(&fallocate_error, 0);
	clock_fake(wall, mono += 1000001);
	spool_look(s);
	spool_get_stats(s, &st);
	CHECK(!st.write_error);
	CHECK_INT(append_n(s, 3), 3);
	check_replay(s, 1, 1, 3, 0);
	spool_close(&s);
	s = open_with(512, 1 << 20, false, 0);
	check_replay(s, 1, 1, 3, 0);
	spool_close(&s);
	clock_fake(0, 0);
}

static void
put_aside(const char *dir, const char *name, const char *text)
{
	char path[200];
	snprintf(path, sizeof(path), "%s/pbx/%s", top, dir);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/pbx/%s/%s", top, dir, name);
	FILE *f = fopen(path, "w");
	fputs(text, f);
	fclose(f);
}

/* What is to be forgotten does not wait for a segment to be full. */
static void
test_a_segment_that_is_turned_goes_when_it_is_released(void)
{
	static const char *const five[] = {"record 5 "}, *const none[] = {"record 99"};
	struct spool_found found;
	struct spool_stats st;

	new_dir();
	struct spool *s = open_with(4096, 1 << 20, false, 0);
	spool_turn(s); /* nothing is in it: nothing happens */
	append_n(s, 5);
	spool_find(top, five, 1, 0, false, &found);
	CHECK_INT(found.files, 1);
	CHECK(found.oldest_us > 0 && found.oldest_us == found.newest_us);
	spool_find(top, five, 1, found.oldest_us - 1, false, &found);
	CHECK_INT(found.files, 0);
	spool_release(s, 5);
	spool_find(top, five, 1, 0, true, &found); /* a live segment stays */
	CHECK_INT(found.files, 1);
	CHECK_INT(found.erased, 0);
	spool_turn(s);
	spool_find(top, five, 1, 0, false, &found);
	CHECK_INT(found.files, 0);
	CHECK_INT((int64_t)append_n(s, 2), 7);
	spool_get_stats(s, &st);
	CHECK_INT((int64_t)st.first_seq, 6);
	check_replay(s, 6, 6, 7, 0);

	/* By itself after an hour. */
	int64_t wall = clock_wall_us(), mono = clock_mono_us();
	spool_release(s, 7);
	clock_fake(wall, mono + INT64_C(3601000000));
	spool_look(s);
	clock_fake(0, 0);
	spool_get_stats(s, &st);
	CHECK_INT(st.bytes, 0);

	put_aside("damaged", "1.0", "xx record 5 xx");
	put_aside("overflow", "2.spool", "record 6 ");
	spool_find(top, none, 1, 0, true, &found);
	CHECK_INT(found.files, 0);
	spool_find(top, five, 1, 0, true, &found);
	CHECK_INT(found.files, 1);
	CHECK_INT(found.erased, 1);
	spool_find(top, five, 1, 0, false, &found);
	CHECK_INT(found.files, 0);
	spool_find("/nonexistent", five, 1, 0, false, &found);
	CHECK_INT(found.files, 0);
	spool_close(&s);
}

/* The clock is where a spool whose checkpoint nobody knows begins to count. */
static void
test_an_unknown_checkpoint_counts_from_the_clock_in_an_empty_directory(void)
{
	struct spool_stats st;
	uint64_t seq;

	new_dir();
	clock_fake(INT64_C(1795277508000000), 1000000000);
	struct spool *s = open_with(512, 1 << 20, false, SPOOL_SEQ_UNKNOWN);
	CHECK_INT(append_n(s, 1), INT64_C(1795277508000000));
	spool_close(&s);
	/* It goes on where it was, also when the clock went back. */
	clock_fake(INT64_C(1795270000000000), 1000000000);
	s = open_with(512, 1 << 20, false, SPOOL_SEQ_UNKNOWN);
	spool_get_stats(s, &st);
	CHECK_INT((int64_t)st.last_seq, INT64_C(1795277508000000));
	seq = append_n(s, 1);
	CHECK_INT((int64_t)seq, INT64_C(1795277508000001));
	check_replay(s, seq - 1, seq - 1, seq, 0);
	spool_close(&s);
	clock_fake(0, 0);
}

/* Reading along over many segments while the writer goes on and releases. */
static void
test_a_cursor_reads_along(void)
{
	struct seen v = {0};
	uint64_t gap = 0;

	new_dir();
	struct spool *s = open_with(512, 1 << 20, false, 0);
	struct spool_cursor *c = spool_cursor_new(s, 3);
	CHECK_INT((int64_t)spool_cursor_read(c, 10, on_record, &v, &gap), 0);
	append_n(s, 100);
	for (size_t n = 0; n < 98; n += 7) {
		CHECK_INT((int64_t)spool_cursor_read(c, 7, on_record, &v, &gap), 7);
	}
	CHECK_INT((int64_t)spool_cursor_read(c, 7, on_record, &v, &gap), 0);
	append_n(s, 1);
	CHECK_INT((int64_t)spool_cursor_read(c, 7, on_record, &v, &gap), 1);
	append_n(s, 200);
	spool_release(s, 250); /* whole segments of what was not read go */
	while (spool_cursor_read(c, 7, on_record, &v, &gap))
		;
	CHECK_INT((int64_t)(v.n + gap), 301 - 2);
	CHECK(gap > 0);
	spool_cursor_free(&c);
	spool_close(&s);
}

/* A write that fails after any number of bytes: the sequence is given again, and
 * neither the half-written record nor a whole one without its padding takes its place.
 */
static void
test_failed_write_gives_the_sequence_again(void)
{
	int64_t wall = 1000000000, mono = 1000000000;
	struct err e = {0};
	uint64_t seq;

	for (long limit = 0; limit < 24; limit++) {
		for (int n = 0; n < 4; n += 3) {
			new_dir();
			clock_fake(wall, mono);
			struct spool *s = open_with(1024, 1 << 20, false, 0);
			append_n(s, n);
			pwrite_limit = limit;
			test_expect_log("cannot write a record: Input/output error");
			CHECK_INT(spool_append(s, "x", 1, &seq, &e), -1);
			pwrite_limit = -1;
			CHECK_INT(spool_append(s, "x", 1, &seq, &e), -1);
			clock_fake(wall, mono + 1000001);
			CHECK_INT(append_n(s, 5), n + 5);
			check_replay(s, 1, 1, n + 5, 0);
			spool_close(&s);
			s = open_with(1024, 1 << 20, false, 0);
			check_replay(s, 1, 1, n + 5, 0);
			spool_close(&s);
			CHECK_INT(count_files("damaged", ""), 0);
		}
	}
	clock_fake(0, 0);
}

static void
test_failed_fdatasync_starts_a_new_segment(void)
{
	struct spool_stats st = {0};

	new_dir();
	expect_any_log(); /* also of the segment made ahead */
	struct spool *s = open_with(4096, 1 << 20, true, 0);
	append_n(s, 1);
	int before = count_files("", ".spool");
	set_error(&fdatasync_error, EIO);
	for (int64_t end = clock_mono_us() + 10000000;
		!st.write_error && clock_mono_us() < end;) {
		append_n(s, 1);
		spool_get_stats(s, &st);
		usleep(100);
	}
	set_error(&fdatasync_error, 0);
	CHECK(st.write_error && strstr(st.write_error, "fdatasync failed"));
	append_n(s, 3);
	CHECK(count_files("", ".spool") > before);
	spool_get_stats(s, &st);
	uint64_t last = st.last_seq;
	CHECK(st.synced_seq < last);
	check_replay(s, 1, 1, last, 0);
	spool_release(s, last);
	append_n(s, 1);
	spool_close(&s);
	s = open_with(4096, 1 << 20, true, 0);
	check_replay(s, last + 1, last + 1, last + 1, 0);
	spool_close(&s);
}

int
main(void)
{
	snprintf(top, sizeof(top), "/tmp/test_spool.%d/a/b", (int)getpid());
	TEST(test_crc32c_known_values);
	TEST(test_append_replay_release_reopen);
	TEST(test_sync_reaches_the_disk);
	TEST(test_replay_stops_and_releases_inside);
	TEST(test_min_next_seq_and_gap);
	TEST(test_torn_tail_at_every_byte);
	TEST(test_flipped_bit_never_gives_a_wrong_record);
	TEST(test_damage_is_kept_and_reported_once);
	TEST(test_kill_9_loses_nothing_appended);
	TEST(test_full_sets_the_oldest_aside);
	TEST(test_second_opener_is_refused);
	TEST(test_big_and_empty_records);
	TEST(test_disk_full_fails_appends_until_there_is_room);
	TEST(test_room_again_is_found_without_an_append);
	TEST(test_an_unknown_checkpoint_counts_from_the_clock_in_an_empty_directory);
	TEST(test_a_segment_that_is_turned_goes_when_it_is_released);
	TEST(test_a_cursor_reads_along);
	TEST(test_failed_write_gives_the_sequence_again);
	TEST(test_failed_fdatasync_starts_a_new_segment);
	int rc = test_done();
	snprintf(top, sizeof(top), "/tmp/test_spool.%d", (int)getpid());
	new_dir();
	return rc;
}
