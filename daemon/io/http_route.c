/* http_route.c - from a request's target to its handler.
 *
 * The raw path is split at "/" before anything is decoded, so an encoded slash stays
 * inside its segment. Decoded text is valid UTF-8 without NUL or it is refused: it may
 * go to the database and to JSON as it is. */
#include "io/http_priv.h"

#include <mem.h>
#include <str.h>

#include <assert.h>
#include <string.h>

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes len bytes of s to *w, with a NUL, and moves *w behind it. */
static const char *
decode(char **w, const char *s, size_t len, bool plus_is_blank)
{
	char *start = *w, *dst = start;

	for (size_t i = 0; i < len; i++) {
		if (s[i] == '+' && plus_is_blank) {
			*dst++ = ' ';
		} else if (s[i] == '%') {
			int hi = len - i > 2 ? hex_digit(s[i + 1]) : -1;
			int lo = hi < 0 ? -1 : hex_digit(s[i + 2]);
			if (lo < 0 || (hi == 0 && lo == 0))
				return NULL;
			*dst++ = (char)(hi << 4 | lo);
			i += 2;
		} else {
			*dst++ = s[i];
		}
	}
	*dst = '\0';
	*w = dst + 1;
	return utf8_valid(start, (size_t)(dst - start)) ? start : NULL;
}

static const char bad_escape[] =
	"the path or query is not UTF-8 in percent-encoding, or has a NUL";

static const char *
decode_path(struct http_request *r, char **w, const char *s, size_t len)
{
	const char *end = s + len;

	r->path = decode(w, s, len, false);
	if (!r->path)
		return bad_escape;
	while (s < end) { /* s is at a slash */
		size_t n = strcspn(++s, "/");
		if (n > (size_t)(end - s))
			n = (size_t)(end - s);
		if (r->n_segments == HTTP_MAX_SEGMENTS)
			return "the path has too many segments";
		r->segments[r->n_segments] = decode(w, s, n, false);
		if (!r->segments[r->n_segments++])
			return bad_escape;
		s += n;
	}
	return NULL;
}

static const char *
decode_query(struct http_request *r, char **w, const char *s)
{
	size_t max = 1;

	for (const char *p = s; *p; p++)
		max += *p == '&';
	if (max > HTTP_MAX_PARAMS)
		return "the query has too many parameters";
	r->params = xcalloc(max, sizeof(*r->params));
	while (*s) {
		size_t n = strcspn(s, "&"), eq = strcspn(s, "=&");
		struct http_param *p = &r->params[r->n_params];
		if (n) {
			p->name = decode(w, s, eq, true);
			p->value =
				decode(w, s + eq + (eq < n), n - eq - (eq < n), true);
			if (!p->name || !p->value)
				return bad_escape;
			r->n_params++;
		}
		s += n + (s[n] == '&');
	}
	return NULL;
}

const char *
http_request_decode(struct http_request *r)
{
	const char *target = http_message_target(&r->message), *why;
	size_t path_len = strcspn(target, "?");

	/* Path, its segments and the query: none grows by decoding. A segment's NUL
	 * takes its slash's place; a parameter without "=" needs one more. */
	r->text = xmalloc(2 * strlen(target) + HTTP_MAX_PARAMS + 8);
	char *w = r->text;
	if (strcmp(target, "*") == 0) {
		r->path = "*";
		return NULL;
	}
	why = decode_path(r, &w, target, path_len);
	if (!why && target[path_len] == '?')
		why = decode_query(r, &w, target + path_len + 1);
	return why;
}

void
http_route_free(struct http_route *rt)
{
	mem_free(rt->pattern);
	mem_free(rt->text);
	mem_free(rt);
}

static void
add_route(struct http_server *s, const char *method_and_path, http_handler_fn *fn,
	void *arg, bool pieces)
{
	struct http_route *rt = xcalloc(1, sizeof(*rt));
	char *p;

	rt->pattern = xstrdup(method_and_path);
	rt->text = xstrdup(method_and_path);
	rt->method = rt->text;
	rt->fn = fn;
	rt->arg = arg;
	rt->pieces = pieces;
	p = strchr(rt->text, ' ');
	assert(p && p[1] == '/');
	*p++ = '\0';
	while (p) {
		*p++ = '\0';
		assert(rt->n_segments < HTTP_MAX_SEGMENTS);
		rt->segments[rt->n_segments++] = p;
		p = strchr(p, '/');
	}
	s->routes =
		xrealloc(s->routes, (s->n_routes + 1) * sizeof(struct http_route *));
	s->routes[s->n_routes++] = rt;
}

void
http_route(struct http_server *s, const char *method_and_path, http_handler_fn *fn,
	void *arg)
{
	add_route(s, method_and_path, fn, arg, false);
}

void
http_route_pieces(struct http_server *s, const char *method_and_path,
	http_handler_fn *fn, void *arg)
{
	add_route(s, method_and_path, fn, arg, true);
}

/* How a pattern's segment takes a request's. The larger, the more exact. */
enum { SEG_NO, SEG_REST, SEG_ARG, SEG_LITERAL };

static int
match_segment(const char *pattern, const char *segment)
{
	if (strcmp(pattern, "{*}") == 0)
		return SEG_REST;
	if (*pattern == '{')
		return *segment ? SEG_ARG : SEG_NO;
	return strcmp(pattern, segment) == 0 ? SEG_LITERAL : SEG_NO;
}

static bool
match(const struct http_route *rt, const struct http_request *r)
{
	for (size_t i = 0; i < rt->n_segments; i++) {
		int m = i < r->n_segments
				? match_segment(rt->segments[i], r->segments[i])
				: SEG_NO;
		if (m == SEG_NO || m == SEG_REST)
			return m == SEG_REST;
	}
	return rt->n_segments == r->n_segments;
}

/* Both match r: is a the more exact one, at the first segment where they differ? */
static bool
is_better(const struct http_route *a, const struct http_route *b,
	const struct http_request *r)
{
	for (size_t i = 0; i < r->n_segments; i++) {
		int ma = i < a->n_segments
				 ? match_segment(a->segments[i], r->segments[i])
				 : SEG_NO;
		int mb = i < b->n_segments
				 ? match_segment(b->segments[i], r->segments[i])
				 : SEG_NO;
		if (ma != mb)
			return ma > mb;
		if (ma == SEG_REST || ma == SEG_NO)
			break;
	}
	return false;
}

/* The most exact route of that method; `any` is set to the most exact of any method. */
static const struct http_route *
find_route(const struct http_server *s, const struct http_request *r,
	const char *method, const struct http_route **any_r)
{
	const struct http_route *best = NULL;

	*any_r = NULL;
	for (size_t i = 0; i < s->n_routes; i++) {
		const struct http_route *rt = s->routes[i];
		if (!match(rt, r))
			continue;
		if (!*any_r || is_better(rt, *any_r, r))
			*any_r = rt;
		if (strcmp(rt->method, method) == 0 &&
			(!best || is_better(rt, best, r)))
			best = rt;
	}
	/* "GET /a/{}" does not answer for "/a/b" when "POST /a/b" is a resource of its
	 * own. */
	if (best && is_better(*any_r, best, r))
		best = NULL;
	return best;
}

const struct http_route *
http_route_find(
	const struct http_server *s, const struct http_request *r, const char *method)
{
	const struct http_route *any;

	return find_route(s, r, method, &any);
}

static void
bind_args(struct http_request *r, const struct http_route *rt)
{
	const char *rest = r->path;

	r->pattern = xstrdup(rt->pattern);
	r->fn = rt->fn;
	r->fn_arg = rt->arg;
	for (size_t i = 0; i < rt->n_segments && r->n_args < HTTP_MAX_ARGS; i++) {
		rest++; /* the slash before this segment */
		if (strcmp(rt->segments[i], "{*}") == 0)
			r->args[r->n_args++] = rest;
		else if (*rt->segments[i] == '{')
			r->args[r->n_args++] = r->segments[i];
		rest += strlen(r->segments[i]);
	}
}

/* "GET, HEAD, OPTIONS, POST": the methods of the resource that `any` is a route of. */
static void
list_methods(const struct http_server *s, const struct http_request *r,
	const struct http_route *any, struct buf *out)
{
	buf_adds(out, "OPTIONS");
	for (size_t i = 0; i < s->n_routes; i++) {
		const struct http_route *rt = s->routes[i];
		if (!match(rt, r) || is_better(any, rt, r) ||
			strcmp(rt->method, "OPTIONS") == 0)
			continue;
		buf_printf(out, ", %s", rt->method);
		if (strcmp(rt->method, "GET") == 0)
			buf_adds(out, ", HEAD");
	}
}

/* OPTIONS on a resource, with or without a browser's preflight question. */
static void
answer_options(struct http_request *r, const char *methods)
{
	const char *origin = http_header(r, "Origin");
	bool preflight = origin && http_header(r, "Access-Control-Request-Method");

	http_add_header(r, "Allow", methods);
	if (preflight && !http_server_allows_origin(r->server, origin)) {
		http_problem(r, 403, NULL, "this origin is not among [http] origins");
		return;
	}
	if (preflight) {
		http_add_header(r, "Access-Control-Allow-Methods", methods);
		http_add_header(r, "Access-Control-Allow-Headers",
			"Authorization, Content-Type, Idempotency-Key, "
			"Interactd-Tenant, "
			"Last-Event-ID");
		http_add_header(r, "Access-Control-Max-Age", "600");
	}
	http_answer(r, 204, NULL, NULL, 0);
}

/* No handler: 404, or the path's other methods. */
static void
answer_unrouted(struct http_request *r, const struct http_route *any)
{
	struct buf methods = BUF_INIT;
	bool is_options = strcmp(http_method(r), "OPTIONS") == 0;

	if (!any && strcmp(r->path, "*") != 0) {
		http_problem(r, 404, NULL, "there is nothing at this path");
		return;
	}
	if (any)
		list_methods(r->server, r, any, &methods);
	else
		buf_adds(&methods, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
	if (is_options) {
		answer_options(r, methods.data);
	} else {
		http_add_header(r, "Allow", methods.data);
		http_problem(r, 405, NULL, "this path takes %s", methods.data);
	}
	buf_fini(&methods);
}

void
http_dispatch(struct http_request *r)
{
	struct http_server *s = r->server;
	const struct http_route *rt, *any;
	const char *why = http_request_decode(r);

	if (why) {
		s->counters.bad_requests++;
		http_problem(r, 400, NULL, "%s", why);
		return;
	}
	rt = find_route(s, r, http_method(r), &any);
	if (!rt && strcmp(http_method(r), "HEAD") == 0)
		rt = find_route(s, r, "GET", &any);
	if (!rt) {
		answer_unrouted(r, any);
		return;
	}
	bind_args(r, rt);
	if (!s->before || s->before(r, s->before_arg))
		r->fn(r, r->fn_arg);
}

void
http_continue(struct http_request *r)
{
	/* Nobody is left to hear it, or (server gone) the handler's own room may be
	 * gone. */
	if (!r->conn || !r->server)
		http_request_end(r, 499); /* as proxies log it */
	else
		r->fn(r, r->fn_arg);
}
