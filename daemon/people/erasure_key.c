/* erasure_key.c - see erasure_key.h. The database hashes as address_hash of
 * conf/sql/031-wishes.sql does: HMAC-SHA256 from its two padded keys. */
#include <people/erasure_key.h>

#include <mem.h>
#include <str.h>

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BLOCK	    64 /* SHA-256's, in bytes */
#define HEX_LEN	    (ERASURE_KEY_BYTES * 2)
#define INNER_PAD   0x36
#define OUTER_PAD   0x5c
#define KEY_FILE    "erasure.key"
#define NEW_KEY	    "erasure.key.new"
#define OPTION_NAME "-c interactd.erasure_key="

static int
parse(const char *hex, unsigned char key[ERASURE_KEY_BYTES], struct err *err)
{
	size_t len = 0;
	const char *end = NULL;

	if (strlen(hex) == HEX_LEN &&
		sodium_hex2bin(
			key, ERASURE_KEY_BYTES, hex, HEX_LEN, NULL, &len, &end) == 0 &&
		len == ERASURE_KEY_BYTES)
		return 0;
	return err_set(err, "it must be %d hexadecimal digits (openssl rand -hex %d)",
		HEX_LEN, ERASURE_KEY_BYTES);
}

int
erasure_key_check(const char *configured, struct err *err)
{
	unsigned char key[ERASURE_KEY_BYTES];
	int rc = str_empty(configured) ? 0 : parse(configured, key, err);

	sodium_memzero(key, sizeof(key));
	return rc;
}

static int
write_all(int fd, const char *hex)
{
	char line[HEX_LEN + 2];

	snprintf(line, sizeof(line), "%s\n", hex);
	int rc = write(fd, line, HEX_LEN + 1) == HEX_LEN + 1 && fsync(fd) == 0 ? 0 : -1;
	sodium_memzero(line, sizeof(line));
	return rc;
}

/* Whole or not at all: a new name, then the right one, unless somebody was faster. */
static int
make_file(int dir, const char *path, struct err *err)
{
	unsigned char key[ERASURE_KEY_BYTES];
	char hex[HEX_LEN + 1];

	randombytes_buf(key, sizeof(key));
	hex_encode(hex, key, sizeof(key));
	int fd = openat(dir, NEW_KEY, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int rc = fd >= 0 ? write_all(fd, hex) : -1;
	if (rc == 0 && linkat(dir, NEW_KEY, dir, KEY_FILE, 0) < 0 && errno != EEXIST)
		rc = -1;
	if (rc < 0)
		err_errno(err, "cannot make %s", path);
	if (fd >= 0)
		close(fd);
	unlinkat(dir, NEW_KEY, 0);
	if (rc == 0)
		fsync(dir);
	sodium_memzero(key, sizeof(key));
	sodium_memzero(hex, sizeof(hex));
	return rc;
}

static int
read_file(int dir, const char *path, unsigned char key[ERASURE_KEY_BYTES],
	struct err *err)
{
	char hex[HEX_LEN + 2] = "";
	int fd = openat(dir, KEY_FILE, O_RDONLY | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT) {
		if (make_file(dir, path, err) < 0)
			return -1;
		fd = openat(dir, KEY_FILE, O_RDONLY | O_CLOEXEC);
	}
	ssize_t n = fd >= 0 ? read(fd, hex, sizeof(hex) - 1) : -1;
	if (n < 0)
		err_errno(err, "cannot read %s", path);
	if (fd >= 0)
		close(fd);
	if (n < 0)
		return -1;
	hex[strcspn(hex, "\r\n")] = '\0';
	struct err why;
	int rc = parse(hex, key, &why);
	if (rc < 0)
		err_set(err, "%s is damaged: %s; put the copy from your backup there",
			path, why.text);
	sodium_memzero(hex, sizeof(hex));
	return rc;
}

static int
from_state_dir(
	const char *state_dir, unsigned char key[ERASURE_KEY_BYTES], struct err *err)
{
	int dir = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char *path = xasprintf("%s/" KEY_FILE, state_dir);
	int rc = dir < 0 ? err_errno(err, "cannot open %s", state_dir)
			 : read_file(dir, path, key, err);

	if (dir >= 0)
		close(dir);
	xfree(&path);
	return rc;
}

static char *
put_padded(char *at, const unsigned char key[ERASURE_KEY_BYTES], unsigned char pad)
{
	unsigned char block[BLOCK];

	for (size_t i = 0; i < BLOCK; i++)
		block[i] = pad ^ (i < ERASURE_KEY_BYTES ? key[i] : 0);
	hex_encode(at, block, sizeof(block));
	sodium_memzero(block, sizeof(block));
	return at + 2 * sizeof(block);
}

int
erasure_key_options(const char *configured, const char *state_dir,
	char options_r[ERASURE_OPTIONS_LEN], struct err *err)
{
	unsigned char key[ERASURE_KEY_BYTES];
	int rc = str_empty(configured) ? from_state_dir(state_dir, key, err)
				       : parse(configured, key, err);

	options_r[0] = '\0';
	if (rc == 0) {
		char *at = options_r;
		at += str_copy(options_r, ERASURE_OPTIONS_LEN, OPTION_NAME);
		at = put_padded(at, key, INNER_PAD);
		*at++ = '.';
		put_padded(at, key, OUTER_PAD);
	}
	sodium_memzero(key, sizeof(key));
	return rc;
}
