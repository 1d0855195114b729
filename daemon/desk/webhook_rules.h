/* webhook_rules.h - what can be decided about a webhook without asking anybody. */
#ifndef INTERACTD_DESK_WEBHOOK_RULES_H
#define INTERACTD_DESK_WEBHOOK_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "*", "contact.*", "interaction.ended". */
bool webhook_pattern_is_sound(const char *pattern);
bool webhook_pattern_matches(const char *pattern, const char *type);

/* 16 to 200 printable ASCII characters without blanks. */
bool webhook_secret_is_sound(const char *secret);
#define WEBHOOK_SECRET_LEN 64
/* "whsec_" and 256 random bits. */
void webhook_secret_make(char dst[WEBHOOK_SECRET_LEN]);

#define WEBHOOK_SIGNATURE_LEN 200
/* "t=…,v1=…", and a second v1 with old_secret (NULL = none): hex of the HMAC-SHA256 (RFC
 * 2104, FIPS 180-4) of "<t>.<body>", keyed with the secret's characters. */
void webhook_sign(char dst[WEBHOOK_SIGNATURE_LEN], const char *secret,
	const char *old_secret, int64_t t, const char *body, size_t len);

/* What an answer means. status 0 = there was none. */
enum webhook_verdict {
	WEBHOOK_DELIVERED, /* 2xx */
	WEBHOOK_RETRY,
	WEBHOOK_WAIT, /* 429, 503 with Retry-After: the whole webhook pauses */
	WEBHOOK_GONE, /* 410 */
};
enum webhook_verdict webhook_judge(int status, int64_t retry_after_s);

#endif
