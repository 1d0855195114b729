/* erasure_key.h - the secret under which addresses of erased people are hashed.
 *
 * It lives outside of the database: whoever has a dump cannot try numbers against its
 * hashes. With the key lost, they match nobody any more. */
#ifndef INTERACTD_PEOPLE_ERASURE_KEY_H
#define INTERACTD_PEOPLE_ERASURE_KEY_H

#include <err.h>
#include <stddef.h>

#define ERASURE_KEY_BYTES 32
/* "-c interactd.erasure_key=" and both padded forms in hex. */
#define ERASURE_OPTIONS_LEN 320

/* From the configuration (64 hexadecimal digits), or if that is NULL or "" from
 * STATE_DIR/erasure.key, which is made if there is none. options_r is for pg_opts. */
int erasure_key_options(const char *configured, const char *state_dir,
	char options_r[ERASURE_OPTIONS_LEN], struct err *) MUST_CHECK;
/* Says whether it is one. */
int erasure_key_check(const char *configured, struct err *) MUST_CHECK;

#endif
