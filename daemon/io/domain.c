/* domain.c - domains of e-mail addresses.
 *
 * IDNA comes from libcurl's URL parser, which carries libidn2 with the right flags
 * (non-transitional UTS 46). It reads text in the locale's encoding, and the daemon
 * runs in whatever locale it was given: so it is asked with this thread in C.UTF-8. */
#include <io/domain.h>

#include <str.h>

#include <curl/curl.h>

#include <locale.h>
#include <string.h>

#define LABEL_MAX 63

static bool
is_ascii(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s >= 0x80)
			return false;
	return true;
}

static bool
label_is_sound(const char *s, size_t len)
{
	if (len == 0 || len > LABEL_MAX || s[0] == '-' || s[len - 1] == '-')
		return false;
	for (size_t i = 0; i < len; i++)
		if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789-_", s[i]))
			return false;
	return true;
}

static bool
labels_are_sound(const char *s)
{
	for (;;) {
		size_t len = strcspn(s, ".");

		if (!label_is_sound(s, len))
			return false;
		if (!s[len])
			return true;
		s += len + 1;
	}
}

static bool
is_literal(const char *s)
{
	size_t len = strlen(s);

	return len > 2 && s[0] == '[' && s[len - 1] == ']' &&
	       strspn(s + 1, "0123456789abcdefipv.:") == len - 2;
}

static bool
to_ascii(const char *name, char dst[DOMAIN_MAX + 1])
{
	locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	locale_t before;
	char *host = NULL;
	CURLU *url;

	if (!utf8)
		return false;
	before = uselocale(utf8);
	url = curl_url();
	bool ok = url && !curl_url_set(url, CURLUPART_SCHEME, "http", 0) &&
		  !curl_url_set(url, CURLUPART_HOST, name, 0) &&
		  !curl_url_get(url, CURLUPART_HOST, &host, CURLU_PUNYCODE) &&
		  strlen(host) <= DOMAIN_MAX && is_ascii(host);
	if (ok)
		str_copy(dst, DOMAIN_MAX + 1, host);
	curl_free(host);
	curl_url_cleanup(url);
	uselocale(before);
	freelocale(utf8);
	return ok;
}

bool
domain_normalise(const char *name, char dst[DOMAIN_MAX + 1])
{
	size_t len = strlen(name);

	if (len == 0 || len > DOMAIN_MAX + 1)
		return false;
	if (!is_ascii(name)) {
		if (!to_ascii(name, dst))
			return false;
	} else if (str_copy(dst, DOMAIN_MAX + 1, name) > DOMAIN_MAX &&
		   name[len - 1] != '.') {
		return false;
	}
	for (char *p = dst; *p; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p | 0x20);
	len = strlen(dst);
	if (len && dst[len - 1] == '.')
		dst[len - 1] = '\0';
	return is_literal(dst) || labels_are_sound(dst);
}
