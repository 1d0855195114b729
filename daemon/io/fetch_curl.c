/* fetch_curl.c - libcurl's multi interface on the loop.
 *
 * curl tells which sockets and which timer it wants (on_socket, on_timer); libevent tells
 * curl when they are due (on_sock_event, on_curl_timer); after each such step the
 * finished transfers are collected. Nothing of curl's is called from inside its own
 * callbacks, but curl_multi_assign, which is made for that.
 *
 * curl never resolves a name: its resolver can hold up the loop for as long as
 * getaddrinfo takes. Each handle is given the addresses that fetch.c got. Only HTTP/1.1
 * is spoken, so a request is a connection, and max_per_host means what it says. */
#include "io/fetch_priv.h"

#include <clock.h>
#include <log.h>
#include <mem.h>
#include <str.h>

#include "io/loop.h"

#include <event2/event.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define HEADERS_MAX	 65536
#define CA_CACHE_S	 300L
#define RETRY_AFTER_MAX	 (30 * 86400)
#define USER_AGENT_WORDS "interactd/" INTERACTD_VERSION

struct sock {
	struct list link;
	struct event *ev;
};

/* An option that cannot be set is a curl other than the one this was built for. */
#define SET(easy, option, value)                                                       \
	do {                                                                           \
		CURLcode set_rc = curl_easy_setopt(easy, option, value);               \
		if (set_rc != CURLE_OK)                                                \
			option_failed(#option, set_rc);                                \
	} while (0)

static _Noreturn void
option_failed(const char *option, CURLcode rc)
{
	log_errorx("fetch", "libcurl refuses %s: %s", option, curl_easy_strerror(rc));
	abort();
}

/* ---- The loop's side --------------------------------------------------------------- */

static void
job_take_result(struct fetch_job *j, CURLcode rc)
{
	struct fetch_answer *a = &j->answer;
	struct curl_header *h;
	const char *type = NULL;
	long status = 0;

	curl_easy_getinfo(j->easy, CURLINFO_RESPONSE_CODE, &status);
	if (rc == CURLE_OK && !j->header_whole) {
		str_copy(j->error, sizeof(j->error), "the answer ends in its header");
	} else if (rc == CURLE_OK || a->cut) {
		a->status = (int)status;
		curl_easy_getinfo(j->easy, CURLINFO_CONTENT_TYPE, &type);
		str_copy(j->type, sizeof(j->type), type ? type : "");
		if (curl_easy_header(j->easy, "Retry-After", 0, CURLH_HEADER, -1, &h) ==
			CURLHE_OK) {
			int64_t s = 0;
			time_t at = curl_getdate(h->value, NULL);
			if (str_int(h->value, 0, INT64_MAX, &s))
				a->retry_after_s = s;
			else if (at != -1)
				a->retry_after_s = at - clock_wall_us() / 1000000;
			if (at != -1 && a->retry_after_s < 0)
				a->retry_after_s = 0;
			if (a->retry_after_s > RETRY_AFTER_MAX)
				a->retry_after_s = RETRY_AFTER_MAX;
		}
	} else if (!j->error[0]) {
		/* The buffer holds what went wrong first, which may be an earlier
		 * address that did not answer. */
		snprintf(j->error, sizeof(j->error), "%s%s%s", curl_easy_strerror(rc),
			j->curl_error[0] ? ": " : "", j->curl_error);
	}
}

static void
collect(struct fetch *f)
{
	struct fetch_job *j;
	int left;

	for (CURLMsg *m; (m = curl_multi_info_read(f->multi, &left));) {
		if (m->msg != CURLMSG_DONE)
			continue;
		CURL *easy = m->easy_handle;
		CURLcode rc = m->data.result; /* m dies with the handle's removal */
		curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&j);
		job_take_result(j, rc);
		fetch_curl_stop(j);
		fetch_job_finish(j);
	}
}

static void
step(struct fetch *f, curl_socket_t fd, int bits)
{
	int running;

	curl_multi_socket_action(f->multi, fd, bits, &running);
	collect(f);
}

static void
on_sock_event(evutil_socket_t fd, short what, void *arg)
{
	step(arg, fd,
		(what & EV_READ ? CURL_CSELECT_IN : 0) |
			(what & EV_WRITE ? CURL_CSELECT_OUT : 0));
}

static void
on_curl_timer(void *arg)
{
	step(arg, CURL_SOCKET_TIMEOUT, 0);
}

static int
on_timer(CURLM *multi, long ms, void *arg)
{
	struct fetch *f = arg;

	(void)multi;
	if (ms < 0)
		loop_timer_stop(f->curl_timer);
	else
		loop_timer_start(f->curl_timer, ms);
	return 0;
}

static void
sock_free(struct sock *s)
{
	if (s->ev)
		event_free(s->ev);
	list_remove(&s->link);
	mem_free(s);
}

static int
on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *sock)
{
	struct fetch *f = arg;
	struct sock *s = sock;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (s)
			sock_free(s);
		return 0;
	}
	if (!s) {
		s = xcalloc(1, sizeof(*s));
		list_append(&f->socks, &s->link);
		curl_multi_assign(f->multi, fd, s);
	}
	if (s->ev)
		event_free(s->ev);
	s->ev = event_new(loop_base(f->loop), fd,
		(short)(EV_PERSIST | (what & CURL_POLL_IN ? EV_READ : 0) |
			(what & CURL_POLL_OUT ? EV_WRITE : 0)),
		on_sock_event, f);
	if (!s->ev || event_add(s->ev, NULL) < 0) {
		log_errorx("fetch", "cannot watch a socket");
		abort();
	}
	return 0;
}

void
fetch_curl_open(struct fetch *f)
{
	list_init(&f->socks);
	f->curl_timer = loop_timer_new(f->loop, on_curl_timer, f);
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK ||
		!(f->multi = curl_multi_init())) {
		log_errorx("fetch", "cannot start libcurl");
		abort();
	}
	curl_multi_setopt(f->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(f->multi, CURLMOPT_SOCKETDATA, f);
	curl_multi_setopt(f->multi, CURLMOPT_TIMERFUNCTION, on_timer);
	curl_multi_setopt(f->multi, CURLMOPT_TIMERDATA, f);
	curl_multi_setopt(f->multi, CURLMOPT_MAXCONNECTS, (long)f->opts.max_running);
}

void
fetch_curl_close(struct fetch *f)
{
	curl_multi_cleanup(f->multi); /* calls on_socket for what it closes */
	f->multi = NULL;
	while (!list_is_empty(&f->socks))
		sock_free(LIST_ENTRY(f->socks.next, struct sock, link));
	loop_timer_free(&f->curl_timer);
	curl_global_cleanup();
}

/* ---- One transfer ------------------------------------------------------------------ */

static size_t
on_body(char *data, size_t size, size_t n, void *arg)
{
	struct fetch_job *j = arg;
	size_t len = size * n, room = j->max_answer - j->body.len;

	buf_add(&j->body, data, len < room ? len : room);
	j->answer.cut = len > room;
	return j->answer.cut ? 0 : len;
}

static size_t
on_header(char *data, size_t size, size_t n, void *arg)
{
	struct fetch_job *j = arg;

	/* The empty line ends it; a header cut off before is no answer. */
	j->header_whole = data[0] == '\r' || data[0] == '\n';
	j->header_bytes += size * n;
	if (j->header_bytes <= HEADERS_MAX)
		return size * n;
	str_copy(j->error, sizeof(j->error), "the answer's header is too long");
	return 0;
}

/* The last word on where we go: the address of the connection itself. */
static curl_socket_t
on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *a)
{
	struct fetch_job *j = arg;

	(void)purpose;
	if (!fetch_may_go(j->to, &a->addr)) {
		str_copy(j->error, sizeof(j->error), "its address is not allowed");
		return CURL_SOCKET_BAD;
	}
	return socket(
		a->family, a->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->protocol);
}

static void
add_header(struct fetch_job *j, const char *line)
{
	struct curl_slist *longer = curl_slist_append(j->headers, line);

	if (!longer)
		abort();
	j->headers = longer;
}

static void
set_body(CURL *easy, const struct fetch_request *r, const char *method)
{
	bool has_body = r->body_len > 0 || str_eq(method, "POST");

	if (str_eq(method, "HEAD"))
		SET(easy, CURLOPT_NOBODY, 1L);
	if (has_body) {
		SET(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body_len);
		SET(easy, CURLOPT_COPYPOSTFIELDS, r->body_len ? r->body : "");
	}
	if (!str_eq(method, has_body ? "POST" : "GET") && !str_eq(method, "HEAD"))
		SET(easy, CURLOPT_CUSTOMREQUEST, method);
}

static void
set_headers(struct fetch_job *j, const struct fetch_request *r)
{
	bool has_type = false;

	for (const char *const *h = r->headers; h && *h; h++) {
		has_type |= strncasecmp(*h, "Content-Type:", 13) == 0;
		add_header(j, *h);
	}
	add_header(j, "Expect:");
	if (!has_type)
		add_header(j, "Content-Type:");
	SET(j->easy, CURLOPT_HTTPHEADER, j->headers);
	SET(j->easy, CURLOPT_USERAGENT,
		j->fetch->user_agent ? j->fetch->user_agent : USER_AGENT_WORDS);
	if (r->username) {
		SET(j->easy, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
		SET(j->easy, CURLOPT_USERNAME, r->username);
		SET(j->easy, CURLOPT_PASSWORD, r->password ? r->password : "");
	}
}

/* The system's certificates are looked up one by one in their directory: reading the
 * bundle takes tens of milliseconds, and the loop has none. A file of the caller's is
 * read once and kept a while. */
static void
set_tls(CURL *easy, const char *ca_file)
{
	const char *path = curl_version_info(CURLVERSION_NOW)->capath;

	SET(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	SET(easy, CURLOPT_SSL_VERIFYHOST, 2L);
	if (ca_file) {
		SET(easy, CURLOPT_CAINFO, ca_file);
		SET(easy, CURLOPT_CAPATH, NULL);
		SET(easy, CURLOPT_CA_CACHE_TIMEOUT, CA_CACHE_S);
	} else if (path) {
		SET(easy, CURLOPT_CAINFO, NULL);
		SET(easy, CURLOPT_CAPATH, path);
	}
}

static bool
is_repeatable(const struct fetch_request *r, const char *method)
{
	static const char *const safe[] = {"GET", "HEAD", "PUT", "DELETE", "OPTIONS"};

	for (size_t i = 0; i < ARRAY_LEN(safe); i++)
		if (str_eq(method, safe[i]))
			return true;
	return r->repeatable;
}

void
fetch_curl_prepare(struct fetch_job *j, const struct fetch_request *r)
{
	const char *method = r->method ? r->method : r->body_len ? "POST" : "GET";
	CURL *easy = j->easy = curl_easy_init();

	if (!easy)
		abort();
	SET(easy, CURLOPT_CURLU, j->url);
	SET(easy, CURLOPT_PRIVATE, j);
	SET(easy, CURLOPT_ERRORBUFFER, j->curl_error);
	SET(easy, CURLOPT_NOSIGNAL, 1L);
	SET(easy, CURLOPT_QUICK_EXIT, 1L);
	SET(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	SET(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(easy, CURLOPT_FOLLOWLOCATION, 0L);
	SET(easy, CURLOPT_PROXY, "");
	SET(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	SET(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	SET(easy, CURLOPT_CONNECTTIMEOUT_MS,
		(long)(r->connect_timeout_ms ? r->connect_timeout_ms : 5000));
	SET(easy, CURLOPT_FRESH_CONNECT, is_repeatable(r, method) ? 0L : 1L);
	SET(easy, CURLOPT_WRITEFUNCTION, on_body);
	SET(easy, CURLOPT_WRITEDATA, j);
	SET(easy, CURLOPT_HEADERFUNCTION, on_header);
	SET(easy, CURLOPT_HEADERDATA, j);
	SET(easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
	SET(easy, CURLOPT_OPENSOCKETDATA, j);
	set_body(easy, r, method);
	set_headers(j, r);
	set_tls(easy, r->ca_file);
}

/* "+host:port:address,address": '+' lets curl forget it again. */
static void
give_addresses(struct fetch_job *j)
{
	struct buf line = BUF_INIT;
	char text[RESOLVE_TEXT_LEN];

	buf_printf(&line, "+%s:%u:", j->host->name, j->host->port);
	for (size_t i = 0, n = 0; i < j->host->n_addrs; i++) {
		const struct resolve_addr *a = &j->host->addrs[i];
		bool v6 = a->sa.ss_family == AF_INET6;
		if (!fetch_may_go(j->to, (const struct sockaddr *)&a->sa))
			continue;
		buf_printf(&line, "%s%s%s%s", n++ ? "," : "", v6 ? "[" : "",
			resolve_text(text, a), v6 ? "]" : "");
	}
	j->resolved = curl_slist_append(NULL, buf_str(&line));
	buf_fini(&line);
	if (!j->resolved)
		abort();
	SET(j->easy, CURLOPT_RESOLVE, j->resolved);
}

void
fetch_curl_start(struct fetch_job *j)
{
	if (!strchr(j->host->name,
		    ':')) /* not an IPv6 address: curl asks nobody then */
		give_addresses(j);
	CURLMcode rc = curl_multi_add_handle(j->fetch->multi, j->easy);
	if (rc != CURLM_OK) {
		log_errorx("fetch", "libcurl: %s", curl_multi_strerror(rc));
		abort();
	}
}

void
fetch_curl_stop(struct fetch_job *j)
{
	long sent = 0;

	curl_easy_getinfo(j->easy, CURLINFO_REQUEST_SIZE, &sent);
	j->answer.sent = sent > 0;
	curl_multi_remove_handle(j->fetch->multi, j->easy);
}

void
fetch_curl_free(struct fetch_job *j)
{
	curl_easy_cleanup(j->easy); /* NULL-safe */
	curl_url_cleanup(j->url);
	curl_slist_free_all(j->headers);
	curl_slist_free_all(j->resolved);
	j->easy = NULL;
	j->url = NULL;
	j->headers = j->resolved = NULL;
}
