/* uuid.c - UUID version 7, random or derived.
 *
 *	bytes 0-5   milliseconds since 1970, big-endian (RFC 9562 §5.7)
 *	byte 6      version 7 in the upper half
 *	byte 8      variant 10 in the two upper bits
 *	the rest    74 bits: random, or of the BLAKE2b hash of a name
 */
#include <uuid.h>

#include <sodium.h>

#include <stdio.h>
#include <string.h>

static struct uuid
uuid_make(int64_t wall_us, const unsigned char tail[10])
{
	uint64_t ms = wall_us > 0 ? (uint64_t)wall_us / 1000 : 0;
	struct uuid u;

	for (int i = 0; i < 6; i++)
		u.b[i] = (unsigned char)(ms >> (40 - 8 * i));
	memcpy(u.b + 6, tail, 10);
	u.b[6] = (unsigned char)(0x70 | (u.b[6] & 0x0f));
	u.b[8] = (unsigned char)(0x80 | (u.b[8] & 0x3f));
	return u;
}

struct uuid
uuid_new(int64_t wall_us)
{
	unsigned char tail[10];

	randombytes_buf(tail, sizeof(tail));
	return uuid_make(wall_us, tail);
}

struct uuid
uuid_derive(int64_t wall_us, const char *name)
{
	unsigned char hash[crypto_generichash_BYTES_MIN];

	_Static_assert(sizeof(hash) >= 10, "ten bytes follow the time");
	crypto_generichash(
		hash, sizeof(hash), (const unsigned char *)name, strlen(name), NULL, 0);
	return uuid_make(wall_us, hash);
}

int64_t
uuid_time_us(const struct uuid *u)
{
	int64_t ms = 0;

	for (int i = 0; i < 6; i++)
		ms = ms << 8 | u->b[i];
	return ms * 1000;
}

bool
uuid_is_nil(const struct uuid *u)
{
	static const struct uuid nil;

	return uuid_eq(u, &nil);
}

bool
uuid_eq(const struct uuid *a, const struct uuid *b)
{
	return !memcmp(a->b, b->b, sizeof(a->b));
}

static bool
is_dash_place(int at)
{
	return at == 8 || at == 13 || at == 18 || at == 23;
}

char *
uuid_format(char dst[UUID_TEXT_LEN], const struct uuid *u)
{
	static const char digits[] = "0123456789abcdef";
	int at = 0;

	for (int i = 0; i < 16; i++) {
		if (is_dash_place(at))
			dst[at++] = '-';
		dst[at++] = digits[u->b[i] >> 4];
		dst[at++] = digits[u->b[i] & 15];
	}
	dst[at] = '\0';
	return dst;
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool
uuid_parse(const char *s, struct uuid *out_r)
{
	struct uuid u;
	int n = 0;

	if (!s || strlen(s) != UUID_TEXT_LEN - 1)
		return false;
	for (int at = 0; at < UUID_TEXT_LEN - 1;) {
		if (is_dash_place(at)) {
			if (s[at++] != '-')
				return false;
			continue;
		}
		int high = hex_value(s[at]), low = hex_value(s[at + 1]);
		if (high < 0 || low < 0)
			return false;
		u.b[n++] = (unsigned char)(high << 4 | low);
		at += 2;
	}
	*out_r = u;
	return true;
}
