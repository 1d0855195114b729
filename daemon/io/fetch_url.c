/* fetch_url.c - URLs taken apart by curl's own parser, so that what is checked is what is
 * fetched (two parsers that disagree about a host are a hole). Non-ASCII host names go
 * through IDNA here and are put back as ASCII. */
#include "io/fetch_priv.h"

#include <mem.h>
#include <str.h>

#include "io/domain.h"
#include "io/reach.h"

#include <stdio.h>
#include <string.h>

#define URL_MAX 2048

static bool
has_odd_bytes(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s <= ' ' || *s == 0x7f)
			return true;
	return false;
}

/* One part as text of ours; "" if it has none. */
static void
url_part(CURLU *u, CURLUPart what, unsigned flags, char *dst, size_t cap)
{
	char *part = NULL;

	dst[0] = '\0';
	if (curl_url_get(u, what, &part, flags) == CURLUE_OK && part)
		str_copy(dst, cap, part);
	curl_free(part);
}

/* "1.2.3" or "169592" after a last dot was taken off, "0x7f": some parsers take them for
 * IPv4 addresses and others for names, so they are neither. No top level domain is so. */
static bool
ends_in_number(const char *name)
{
	const char *dot = strrchr(name, '.'), *last = dot ? dot + 1 : name;

	return strspn(last, "0123456789") == strlen(last) || str_starts(last, "0x");
}

/* Lower case, ASCII, without the last dot; the URL is changed to say the same. */
static int
url_settle_host(CURLU *u, char host[256], struct err *e)
{
	char name[DOMAIN_MAX + 1];

	if (strchr(host, '%'))
		return err_set(e, "the URL's host has a zone or an escape");
	if (host[0] == '[' || reach_of_text(host, &(enum reach){0}))
		return 0;
	if (!domain_normalise(host, name) || ends_in_number(name))
		return err_set(e, "the URL's host is no name");
	if (curl_url_set(u, CURLUPART_HOST, name, 0) != CURLUE_OK)
		return err_set(e, "the URL's host cannot be used");
	url_part(u, CURLUPART_HOST, 0, host, 256);
	return 0;
}

static int
url_take_apart(const char *url, struct fetch_target *t, struct err *e)
{
	char text[256];
	CURLUcode rc = curl_url_set(t->url, CURLUPART_URL, url, 0);

	if (rc != CURLUE_OK)
		return err_set(e, "this is no URL: %s", curl_url_strerror(rc));
	url_part(t->url, CURLUPART_SCHEME, 0, text, sizeof(text));
	t->plain = str_ieq(text, "http");
	if (!t->plain && !str_ieq(text, "https"))
		return err_set(e, "the URL must begin with http:// or https://");
	for (unsigned i = 0; i < 2; i++) {
		url_part(t->url, i ? CURLUPART_PASSWORD : CURLUPART_USER, 0, text,
			sizeof(text));
		if (text[0])
			return err_set(e, "the URL must not hold a user or password");
	}
	url_part(t->url, CURLUPART_HOST, 0, t->host, sizeof(t->host));
	/* curl takes "http:///x" for "http://x". */
	if (!t->host[0] || str_starts(strchr(url, ':'), ":///"))
		return err_set(e, "the URL has no host");
	url_part(t->url, CURLUPART_ZONEID, 0, text, sizeof(text));
	if (text[0])
		return err_set(e, "the URL's address must not have a zone");
	if (url_settle_host(t->url, t->host, e) < 0)
		return -1;
	url_part(t->url, CURLUPART_PORT, CURLU_DEFAULT_PORT, text, sizeof(text));
	int64_t port = 0;
	if (!str_int(text, 1, 65535, &port))
		return err_set(e, "the URL's port is not 1 to 65535");
	t->port = (unsigned)port;
	size_t len = strlen(t->host);
	if (t->host[0] == '[') {
		memmove(t->host, t->host + 1, len - 2);
		t->host[len - 2] = '\0';
	}
	return 0;
}

int
fetch_url_parse(const char *url, struct fetch_target *t, struct err *e)
{
	*t = (struct fetch_target){0};
	if (str_empty(url) || strlen(url) > URL_MAX)
		return err_set(e, "a URL has 1 to %d bytes", URL_MAX);
	if (has_odd_bytes(url))
		return err_set(e, "the URL has blanks or control characters");
	t->url = curl_url();
	if (!t->url)
		return err_set(e, "no memory for a URL");
	if (url_take_apart(url, t, e) == 0)
		return 0;
	curl_url_cleanup(t->url);
	t->url = NULL;
	return -1;
}

int
fetch_check_url(const char *url, struct err *e)
{
	return fetch_check_url_to(url, 0, e);
}

static bool
reach_is_allowed(unsigned to, enum reach reach)
{
	switch (reach) {
	case REACH_PUBLIC: return !to || (to & FETCH_TO_PUBLIC);
	case REACH_PRIVATE: return !to || (to & FETCH_TO_PRIVATE);
	default: return !to;
	}
}

int
fetch_check_url_to(const char *url, unsigned to, struct err *e)
{
	struct fetch_target t;
	enum reach reach;

	if (fetch_url_parse(url, &t, e) < 0)
		return -1;
	curl_url_cleanup(t.url);
	if (to && t.plain && !(to & FETCH_TO_PRIVATE))
		return err_set(e, "the URL must begin with https://");
	if (t.plain && to)
		to = FETCH_TO_PRIVATE;
	if (reach_of_text(t.host, &reach) && !reach_is_allowed(to, reach))
		return err_set(e, "requests to %s are not allowed", t.host);
	return 0;
}

bool
fetch_may_go(unsigned to, const struct sockaddr *sa)
{
	return reach_is_allowed(to, reach_of(sa));
}

bool
fetch_header_is_sound(const char *line)
{
	const char *colon = strchr(line, ':');

	if (!colon || colon == line)
		return false;
	for (const char *p = line; *p; p++) {
		unsigned char c = (unsigned char)*p;
		if ((c < ' ' && c != '\t') || c == 0x7f || (p < colon && c == ' '))
			return false;
	}
	return true;
}
