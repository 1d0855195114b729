/* URLs that users choose, for webhooks: what is accepted has the form it must have, does
 * not lead where it must not, and is the same when it is read again from curl's own
 * spelling of it. */
#include <io/fetch_priv.h>

#include <io/reach.h>
#include <mem.h>
#include <str.h>

#include <assert.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
check_again(const struct fetch_target *t)
{
	struct fetch_target again;
	struct err e;
	char *text = NULL;

	if (curl_url_get(t->url, CURLUPART_URL, &text, 0) != CURLUE_OK ||
		strlen(text) > 2048) {
		curl_free(text);
		return;
	}
	assert(fetch_url_parse(text, &again, &e) == 0);
	assert(str_eq(again.host, t->host) && again.port == t->port);
	assert(again.plain == t->plain);
	curl_url_cleanup(again.url);
	curl_free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct fetch_target t;
	struct err e;
	enum reach reach;
	char *text = xstrndup((const char *)data, len);

	if (fetch_url_parse(text, &t, &e) == 0) {
		assert(t.host[0] && t.port >= 1 && t.port <= 65535);
		for (const char *p = t.host; *p; p++)
			assert((unsigned char)*p > ' ' && (unsigned char)*p < 0x7f);
		assert(!strpbrk(t.host, "@/?#%[]"));
		if (fetch_check_url_to(text, FETCH_TO_PUBLIC, &e) == 0) {
			assert(!t.plain);
			assert(!reach_of_text(t.host, &reach) || reach == REACH_PUBLIC);
		}
		check_again(&t);
		curl_url_cleanup(t.url);
	}
	if (fetch_header_is_sound(text))
		assert(!strpbrk(text, "\r\n") && strchr(text, ':'));
	mem_free(text);
	return 0;
}
