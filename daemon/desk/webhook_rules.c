/* webhook_rules.c - patterns, secrets, signatures, and what an answer means. */
#include <desk/webhook_rules.h>

#include <str.h>

#include <sodium.h>

#include <stdio.h>
#include <string.h>

#define SECRET_PREFIX "whsec_"
#define SECRET_BYTES  32

/* How long a word of a type is; 0 = none stands here. */
static size_t
word_len(const char *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz_");

	return n <= 32 ? n : 0;
}

bool
webhook_pattern_is_sound(const char *p)
{
	size_t n = word_len(p);

	if (str_eq(p, "*"))
		return true;
	if (n == 0 || p[n] != '.')
		return false;
	p += n + 1;
	return str_eq(p, "*") || (word_len(p) > 0 && !p[word_len(p)]);
}

bool
webhook_pattern_matches(const char *p, const char *type)
{
	size_t n = strlen(p);

	if (str_eq(p, "*") || str_eq(p, type))
		return true;
	return n > 2 && str_eq(p + n - 2, ".*") && strncmp(p, type, n - 1) == 0;
}

bool
webhook_secret_is_sound(const char *s)
{
	size_t n = strlen(s);

	for (const char *c = s; *c; c++)
		if (*c < 0x21 || *c > 0x7e)
			return false;
	return n >= 16 && n <= 200;
}

void
webhook_secret_make(char dst[WEBHOOK_SECRET_LEN])
{
	unsigned char bytes[SECRET_BYTES];
	size_t n = strlen(SECRET_PREFIX);

	randombytes_buf(bytes, sizeof(bytes));
	memcpy(dst, SECRET_PREFIX, n);
	sodium_bin2base64(dst + n, WEBHOOK_SECRET_LEN - n, bytes, sizeof(bytes),
		sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	sodium_memzero(bytes, sizeof(bytes));
}

static void
hmac_hex(char hex[65], const char *secret, const char *t, const char *body, size_t len)
{
	crypto_auth_hmacsha256_state st;
	unsigned char mac[crypto_auth_hmacsha256_BYTES];

	crypto_auth_hmacsha256_init(&st, (const unsigned char *)secret, strlen(secret));
	crypto_auth_hmacsha256_update(&st, (const unsigned char *)t, strlen(t));
	crypto_auth_hmacsha256_update(&st, (const unsigned char *)".", 1);
	crypto_auth_hmacsha256_update(&st, (const unsigned char *)body, len);
	crypto_auth_hmacsha256_final(&st, mac);
	hex_encode(hex, mac, sizeof(mac));
	sodium_memzero(&st, sizeof(st));
}

void
webhook_sign(char dst[WEBHOOK_SIGNATURE_LEN], const char *secret,
	const char *old_secret, int64_t t, const char *body, size_t len)
{
	char time[24], hex[65];

	snprintf(time, sizeof(time), "%lld", (long long)t);
	hmac_hex(hex, secret, time, body, len);
	int n = snprintf(dst, WEBHOOK_SIGNATURE_LEN, "t=%s,v1=%s", time, hex);
	if (!old_secret)
		return;
	hmac_hex(hex, old_secret, time, body, len);
	snprintf(dst + n, WEBHOOK_SIGNATURE_LEN - (size_t)n, ",v1=%s", hex);
}

enum webhook_verdict
webhook_judge(int status, int64_t retry_after_s)
{
	if (status >= 200 && status < 300)
		return WEBHOOK_DELIVERED;
	if (status == 410)
		return WEBHOOK_GONE;
	if ((status == 429 || status == 503) && retry_after_s >= 0)
		return WEBHOOK_WAIT;
	return WEBHOOK_RETRY;
}
