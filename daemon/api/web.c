/* web.c - GET of the files in daemon/web: interactd.js, the example page.
 *
 * They are the same for everybody and need no key. A browser asks again each time and is
 * answered 304 as long as the binary is the same (RFC 9110 §13.1.2), so that nobody runs
 * yesterday's page after an upgrade. Nothing but the page's own files may run in it. */
#include <api/web.h>

#include <base/embedded.h>
#include <mem.h>
#include <str.h>

#include <sodium.h>

#include <stdio.h>
#include <string.h>

#define ROOT	 "daemon/web/"
#define INDEX	 "index.html"
#define ETAG_LEN 35 /* 32 hex digits in quotes, with the NUL */

static const char policy[] =
	"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
	"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

static const struct {
	const char *suffix, *type;
} types[] = {
	{".html", "text/html; charset=utf-8"},
	{".js", "text/javascript; charset=utf-8"},
	{".css", "text/css; charset=utf-8"},
	{".svg", "image/svg+xml"},
};

static const char *
type_of(const char *name)
{
	size_t len = strlen(name);
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		size_t n = strlen(types[i].suffix);
		if (len > n && str_eq(name + len - n, types[i].suffix))
			return types[i].type;
	}
	return "application/octet-stream";
}

static void
make_etag(const struct embedded *f, char etag_r[ETAG_LEN])
{
	unsigned char hash[16];
	crypto_generichash(
		hash, sizeof(hash), (const unsigned char *)f->data, f->len, NULL, 0);
	etag_r[0] = '"';
	sodium_bin2hex(etag_r + 1, 33, hash, sizeof(hash));
	memcpy(etag_r + 33, "\"", 2);
}

static void
answer_file(struct http_request *r, void *arg)
{
	const struct embedded *f = arg;
	char etag[ETAG_LEN];
	const char *known = http_header(r, "If-None-Match");
	make_etag(f, etag);
	http_add_header(r, "ETag", etag);
	http_add_header(r, "Cache-Control", "no-cache");
	http_add_header(r, "Content-Security-Policy", policy);
	http_add_header(r, "X-Content-Type-Options", "nosniff");
	http_add_header(r, "Referrer-Policy", "no-referrer");
	/* A page of another origin imports the module; the files say nothing of anybody. */
	http_add_header(r, "Access-Control-Allow-Origin", "*");
	http_add_header(r, "Cross-Origin-Resource-Policy", "cross-origin");
	if (known && strstr(known, etag))
		http_answer(r, 304, type_of(f->name), "", 0);
	else
		http_answer(r, 200, type_of(f->name), f->data, f->len);
}

static void
register_file(struct http_server *http, const struct embedded *f)
{
	const char *path = f->name + strlen(ROOT);
	size_t len = strlen(path), n = strlen(INDEX);
	bool is_index = len >= n && str_eq(path + len - n, INDEX);
	char *route = xasprintf("GET /%.*s", (int)(is_index ? len - n : len), path);
	http_route(http, route, answer_file, (void *)(uintptr_t)f);
	xfree(&route);
}

void
web_register(struct http_server *http)
{
	for (const struct embedded *f = embedded_files; f->name; f++)
		if (str_starts(f->name, ROOT))
			register_file(http, f);
}
