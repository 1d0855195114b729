/* asterisk_md5.c - the digest of the manager's challenge login; OpenSSL stays in here.
 *
 * MD5 is what the protocol has, no choice of ours: it keeps the secret from being read
 * on the wire, nothing more. Where the network is not trusted, set tls = yes. */
#include "asterisk.h"

#include <buf.h>
#include <str.h>

#include <openssl/evp.h>

#include <stdlib.h>

void
asterisk_md5_key(
	char key_r[ASTERISK_MD5_LEN], const char *challenge, const char *secret)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	struct buf text = BUF_INIT;
	unsigned len = 0;

	buf_adds(&text, challenge);
	buf_adds(&text, secret);
	key_r[0] = '\0'; /* without MD5 (FIPS) no key fits, and the login is refused */
	if (EVP_Digest(text.data, text.len, digest, &len, EVP_md5(), NULL) == 1 &&
		len == (ASTERISK_MD5_LEN - 1) / 2)
		hex_encode(key_r, digest, len);
	OPENSSL_cleanse(text.data, text.len);
	buf_fini(&text);
}
