/* test_fetch.c - HTTP requests to servers of our own in the same loop: one that keeps to
 * the rules (http.c, plain and TLS), and one that says what a test wants it to. */
#include "lib/test.h"

#include <buf.h>
#include <clock.h>
#include <fetch.h>
#include <io/http.h>
#include <io/loop.h>
#include <io/reach.h>
#include <mem.h>
#include <str.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PEERS	 16
#define HELD_MAX 16

struct got {
	int n, status;
	bool sent, cut;
	char error[300], type[64], body[256];
	size_t len;
	int64_t retry_after_s, took_us;
	void (*then)(struct got *);
	unsigned order; /* which answer of all it was */
};

static struct {
	struct loop *loop;
	struct http_server *server;
	struct fetch *fetch;
	char cert[64], key[64];
	/* the rude server */
	int listen_fd, fds[PEERS];
	unsigned accepted;
	char heard[4096];
	const char *script; /* said to whoever has sent something; NULL = silence */
	bool reset;	    /* instead of an orderly end after the script */
	struct fetch_job *victim;
	struct http_request *holding[HELD_MAX];
	unsigned answers, held;
	struct fetch *closing;
	struct got again;
} t;

static void
write_cert(void)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	FILE *c = fopen(t.cert, "w"), *k = fopen(t.key, "w");
	X509_EXTENSION *san = X509V3_EXT_conf_nid(
		NULL, NULL, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1");

	X509_set_version(cert, 2);
	X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
	X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
	X509_set_pubkey(cert, key);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
		(const unsigned char *)"test", -1, -1, 0);
	X509_set_issuer_name(cert, X509_get_subject_name(cert));
	X509_add_ext(cert, san, -1);
	X509_sign(cert, key, EVP_sha256());
	PEM_write_X509(c, cert);
	PEM_write_PrivateKey(k, key, NULL, NULL, 0, NULL, NULL);
	fclose(c);
	fclose(k);
	X509_EXTENSION_free(san);
	X509_free(cert);
	EVP_PKEY_free(key);
}

static void
on_echo(struct http_request *r, void *arg)
{
	struct buf b = BUF_INIT;
	size_t len;
	const char *body = http_body(r, &len);
	const char *auth = http_header(r, "Authorization"),
		   *x = http_header(r, "X-Word");

	(void)arg;
	buf_printf(&b, "%s %s %s %s", http_method(r), body, auth ? auth : "-",
		x ? x : "-");
	http_answer(r, 200, "text/plain", b.data, b.len);
	buf_fini(&b);
}

static void
on_big(struct http_request *r, void *arg)
{
	char *big = xcalloc(1, 300000);

	(void)arg;
	memset(big, 'x', 300000);
	http_answer(r, 200, "text/plain", big, 300000);
	mem_free(big);
}

static void
on_busy(struct http_request *r, void *arg)
{
	(void)arg;
	http_add_header(r, "Retry-After", "120");
	http_answer(r, 503, "text/plain", "busy", 4);
}

static void
on_moved(struct http_request *r, void *arg)
{
	(void)arg;
	http_add_header(r, "Location", "http://127.0.0.1:1/");
	http_answer(r, 302, "text/plain", "", 0);
}

/* Answered when the test ends. */
static void
on_hold(struct http_request *r, void *arg)
{
	(void)arg;
	t.holding[t.held++ % HELD_MAX] = r;
}

static void
rude_listen(void)
{
	struct sockaddr_in in = {.sin_family = AF_INET};

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	t.listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (bind(t.listen_fd, (struct sockaddr *)&in, sizeof(in)) < 0 ||
		listen(t.listen_fd, 64) < 0)
		test_fail(__FILE__, __LINE__, "cannot listen");
	for (int i = 0; i < PEERS; i++)
		t.fds[i] = -1;
}

static int
rude_port(void)
{
	struct sockaddr_in in;
	socklen_t len = sizeof(in);

	getsockname(t.listen_fd, (struct sockaddr *)&in, &len);
	return ntohs(in.sin_port);
}

static void
rude_hang_up(int *fd)
{
	struct linger now = {.l_onoff = 1, .l_linger = 0};

	if (t.reset)
		setsockopt(*fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(*fd);
	*fd = -1;
}

static void
rude_serve(void)
{
	int fd = accept4(t.listen_fd, NULL, NULL, SOCK_NONBLOCK);

	for (int i = 0; fd >= 0 && i < PEERS; i++)
		if (t.fds[i] < 0) {
			t.fds[i] = fd;
			t.accepted++;
			fd = -1;
		}
	for (int i = 0; i < PEERS; i++) {
		char buf[4096];
		ssize_t n = t.fds[i] < 0 ? -1 : read(t.fds[i], buf, sizeof(buf) - 1);
		if (n <= 0)
			continue;
		buf[n] = '\0';
		str_copy(t.heard, sizeof(t.heard), buf);
		if (!t.script)
			continue;
		if (write(t.fds[i], t.script, strlen(t.script)) < 0)
			test_fail(__FILE__, __LINE__, "cannot write");
		rude_hang_up(&t.fds[i]);
	}
}

static void
setup_with(const struct fetch_opts *o)
{
	static char a[] = "127.0.0.1:0";
	static char *listen[] = {a};
	static const struct conf_list l = {listen, 1};
	struct http_opts plain = {.listen = &l,
		.max_header_bytes = 16384,
		.max_body_bytes = 1 << 20,
		.header_timeout_ms = 10000,
		.body_timeout_ms = 10000,
		.idle_timeout_ms = 10000};
	struct err e = {0};

	memset(&t, 0, sizeof(t));
	t.loop = loop_new();
	t.server = http_open(t.loop, &plain, &e);
	CHECK_STR(e.text, "");
	http_route(t.server, "GET /echo", on_echo, NULL);
	http_route(t.server, "POST /echo", on_echo, NULL);
	http_route(t.server, "PUT /echo", on_echo, NULL);
	http_route(t.server, "GET /big", on_big, NULL);
	http_route(t.server, "GET /busy", on_busy, NULL);
	http_route(t.server, "GET /moved", on_moved, NULL);
	http_route(t.server, "GET /hold", on_hold, NULL);
	rude_listen();
	t.fetch = fetch_open(t.loop, o);
}

static void
setup(void)
{
	setup_with(&(struct fetch_opts){0});
}

static void
teardown(void)
{
	fetch_close(&t.fetch);
	for (unsigned i = 0; i < HELD_MAX; i++)
		if (t.holding[i])
			http_answer(t.holding[i], 200, "text/plain", "", 0);
	http_close(&t.server);
	for (int i = 0; i < PEERS; i++)
		if (t.fds[i] >= 0)
			close(t.fds[i]);
	close(t.listen_fd);
	loop_free(&t.loop);
}

static void
on_answer(void *arg, const struct fetch_answer *a)
{
	struct got *g = arg;

	g->n++;
	g->order = ++t.answers;
	g->status = a->status;
	g->sent = a->sent;
	g->cut = a->cut;
	str_copy(g->error, sizeof(g->error), a->error ? a->error : "");
	str_copy(g->type, sizeof(g->type), a->type);
	str_copy(g->body, sizeof(g->body), a->body);
	g->len = a->len;
	g->retry_after_s = a->retry_after_s;
	g->took_us = a->took_us;
	CHECK(a->body[a->len] == '\0');
	CHECK((a->status == 0) == (a->error != NULL));
	if (g->then)
		g->then(g);
}

static void
turn(void)
{
	rude_serve();
	loop_run_once(t.loop, 2);
}

static void
wait_for(const struct got *g, int n)
{
	int64_t end = clock_mono_us() + 10000000;

	while (g->n < n && clock_mono_us() < end)
		turn();
	CHECK_INT(g->n, n);
}

static struct fetch_job *
ask(struct got *g, int port, const char *path, struct fetch_request r)
{
	char url[200];

	memset(g, 0, offsetof(struct got, then));
	snprintf(url, sizeof(url), "http://127.0.0.1:%d%s", port, path);
	if (!r.url)
		r.url = url;
	struct fetch_job *j = fetch_start(t.fetch, &r, on_answer, g);
	CHECK_INT(g->n, 0);
	return j;
}

static void
get(struct got *g, int port, const char *path, struct fetch_request r)
{
	ask(g, port, path, r);
	wait_for(g, 1);
}

#define OURS http_port(t.server, 0)

static void
test_methods_bodies_headers(void)
{
	static const char *const headers[] = {"X-Word: hello", NULL};
	struct got g = {0};

	setup();
	get(&g, OURS, "/echo", (struct fetch_request){0});
	CHECK_STR(g.body, "GET  - -");
	CHECK_INT(g.status, 200);
	CHECK_STR(g.type, "text/plain");
	CHECK(g.sent && g.took_us > 0 && g.retry_after_s == -1);
	get(&g, OURS, "/echo",
		(struct fetch_request){
			.body = "abc", .body_len = 3, .headers = headers});
	CHECK_STR(g.body, "POST abc - hello");
	get(&g, OURS, "/echo",
		(struct fetch_request){.method = "PUT",
			.body = "x",
			.body_len = 1,
			.username = "u",
			.password = "p:q"});
	CHECK_STR(g.body, "PUT x Basic dTpwOnE= -");
	get(&g, OURS, "/echo", (struct fetch_request){.method = "POST"});
	CHECK_STR(g.body, "POST  - -");
	get(&g, OURS, "/echo", (struct fetch_request){.method = "HEAD"});
	CHECK(g.status == 200 && g.len == 0);
	get(&g, OURS, "/nowhere", (struct fetch_request){0});
	CHECK_INT(g.status, 404);
	teardown();
}

static void
test_answers_that_are_special(void)
{
	struct got g = {0};

	setup();
	get(&g, OURS, "/busy", (struct fetch_request){0});
	CHECK(g.status == 503 && g.retry_after_s == 120);
	get(&g, OURS, "/moved", (struct fetch_request){0});
	CHECK_INT(g.status, 302);
	get(&g, OURS, "/big", (struct fetch_request){0});
	CHECK(g.status == 200 && g.len == 65536 && g.cut);
	get(&g, OURS, "/big", (struct fetch_request){.max_answer = 300000});
	CHECK(g.status == 200 && g.len == 300000 && !g.cut);
	t.script = "HTTP/1.1 429 Slow\r\nRetry-After: Fri, 31 Dec 2100 23:59:59 "
		   "GMT\r\nContent-Length: 0\r\n\r\n";
	get(&g, rude_port(), "/", (struct fetch_request){0});
	CHECK(g.status == 429 && g.retry_after_s == 30 * 86400);
	t.script = "HTTP/1.1 503 Slow\r\nRetry-After: soon\r\n\r\n";
	get(&g, rude_port(), "/", (struct fetch_request){0});
	CHECK(g.status == 503 && g.retry_after_s == -1);
	t.script = "HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 201 Made\r\n\r\n";
	get(&g, rude_port(), "/", (struct fetch_request){0});
	CHECK_INT(g.status, 201);
	teardown();
}

static void
test_servers_that_break(void)
{
	static const char *const scripts[] = {"", "HTTP/1.1 200 OK\r\nContent-Le",
		"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf", "no HTTP\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"};
	struct got g = {0};
	struct buf long_header = BUF_INIT;

	setup();
	for (size_t i = 0; i < 2 * ARRAY_LEN(scripts); i++) {
		t.script = scripts[i / 2];
		t.reset = i % 2;
		get(&g, rude_port(), "/", (struct fetch_request){.method = "POST"});
		if (g.status != 0 || !g.sent || !g.error[0])
			test_fail(
				__FILE__, __LINE__, "%zu: %d %s", i, g.status, g.error);
	}
	buf_adds(&long_header, "HTTP/1.1 200 OK\r\n");
	for (int i = 0; i < 1000; i++)
		buf_printf(&long_header, "X-%d: %0100d\r\n", i, i);
	t.script = buf_str(&long_header);
	t.reset = false;
	get(&g, rude_port(), "/", (struct fetch_request){0});
	CHECK_STR(g.error, "the answer's header is too long");
	buf_fini(&long_header);
	get(&g, 1, "/", (struct fetch_request){0});
	CHECK(g.status == 0 && !g.sent && strstr(g.error, "onnect"));
	teardown();
}

static void
test_what_goes_out(void)
{
	struct got g = {0};

	setup();
	setenv("http_proxy", "http://127.0.0.1:1", 1);
	t.script = "HTTP/1.1 204 OK\r\n\r\n";
	get(&g, rude_port(), "/a?b=c#d",
		(struct fetch_request){.body = "0123456789", .body_len = 10});
	unsetenv("http_proxy");
	CHECK_INT(g.status, 204);
	CHECK(str_starts(t.heard, "POST /a?b=c HTTP/1.1\r\nHost: 127.0.0.1:"));
	CHECK(strstr(t.heard, "\r\nUser-Agent: interactd/"));
	CHECK(strstr(t.heard, "\r\nContent-Length: 10\r\n"));
	CHECK(!strstr(t.heard, "Expect") && !strstr(t.heard, "Content-Type"));
	teardown();
}

/* A kept connection that the server has closed meanwhile: nobody gets a POST twice. */
static void
test_posts_use_no_kept_connection(void)
{
	struct got g = {0};

	setup();
	for (int i = 0; i < 3; i++)
		get(&g, OURS, "/echo", (struct fetch_request){0});
	struct http_counters c;
	http_get_counters(t.server, &c);
	CHECK_INT((int64_t)c.accepted, 1);
	get(&g, OURS, "/echo", (struct fetch_request){.method = "POST"});
	http_get_counters(t.server, &c);
	CHECK_INT((int64_t)c.accepted, 2);
	get(&g, OURS, "/echo",
		(struct fetch_request){.method = "POST", .repeatable = true});
	http_get_counters(t.server, &c);
	CHECK_INT((int64_t)c.accepted, 2);
	teardown();
}

static void
test_deadlines(void)
{
	struct got g = {0}, h = {0};

	setup_with(&(struct fetch_opts){.max_per_host = 1});
	ask(&g, OURS, "/hold", (struct fetch_request){.timeout_ms = 150});
	ask(&h, OURS, "/hold", (struct fetch_request){.timeout_ms = 100});
	wait_for(&g, 1);
	CHECK_STR(g.error, "no answer in 150 ms");
	CHECK(g.sent && g.took_us >= 150000 && g.took_us < 2000000);
	CHECK_STR(h.error, "no answer in 100 ms: its turn never came");
	CHECK(h.n == 1 && !h.sent);
	/* The place is free again. */
	get(&g, OURS, "/echo", (struct fetch_request){0});
	CHECK_INT(g.status, 200);
	teardown();
}

static void
test_hosts_take_turns(void)
{
	struct got slow[20] = {0}, fast = {0}, over[4] = {0};
	struct fetch_stats s = {0};

	setup_with(&(struct fetch_opts){
		.max_running = 4, .max_per_host = 3, .max_waiting = 20});
	for (int i = 0; i < 20; i++)
		ask(&slow[i], rude_port(), "/", (struct fetch_request){0});
	for (int i = 0; i < 1000 && s.running < 3; i++) {
		turn();
		fetch_get_stats(t.fetch, &s);
	}
	CHECK_INT((int64_t)s.waiting, 17);
	get(&fast, OURS, "/echo", (struct fetch_request){0});
	CHECK_INT(fast.status, 200);
	ask(&fast, OURS, "/hold", (struct fetch_request){0});
	for (int i = 0; i < 4; i++)
		ask(&over[i], OURS, "/echo", (struct fetch_request){0});
	wait_for(&over[3], 1);
	CHECK_STR(over[3].error, "too many requests wait already");
	CHECK(!over[3].sent && over[2].n == 0);
	t.script = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
	for (int i = 0; i < PEERS; i++)
		if (t.fds[i] >= 0)
			rude_hang_up(&t.fds[i]);
	for (int i = 0; i < 20; i++)
		wait_for(&slow[i], 1);
	for (int i = 3; i < 20; i++)
		CHECK_INT(slow[i].status, 200);
	for (int i = 0; i < 3; i++)
		wait_for(&over[i], 1);
	teardown();
}

static void
cancel_victim(struct got *g)
{
	(void)g;
	fetch_cancel(&t.victim);
}

static void
close_all(struct got *g)
{
	(void)g;
	fetch_close(&t.fetch);
}

static void
test_cancel_anywhere(void)
{
	struct got a = {0}, b = {0};

	setup_with(&(struct fetch_opts){.max_per_host = 1});
	/* at once, waiting, running, and done but not told */
	struct fetch_job *j = ask(&a, OURS, "/echo", (struct fetch_request){0});
	fetch_cancel(&j);
	fetch_cancel(&j);
	j = ask(&a, OURS, "/hold", (struct fetch_request){0});
	t.victim = ask(&b, OURS, "/echo", (struct fetch_request){0});
	while (t.held < 1)
		turn();
	fetch_cancel(&t.victim);
	fetch_cancel(&j);
	j = ask(&a, 1, "/", (struct fetch_request){.url = "nonsense"});
	fetch_cancel(&j);
	for (int i = 0; i < 5; i++)
		turn();
	CHECK(a.n == 0 && b.n == 0);
	/* inside another's callback */
	a.then = cancel_victim;
	ask(&a, OURS, "/echo", (struct fetch_request){0});
	t.victim = ask(&b, OURS, "/echo", (struct fetch_request){0});
	wait_for(&a, 1);
	for (int i = 0; i < 5; i++)
		turn();
	CHECK_INT(b.n, 0);
	teardown();
}

static void
ask_again(struct got *g)
{
	g->then = NULL;
	fetch_start(t.closing, &(struct fetch_request){.url = "http://127.0.0.1/"},
		on_answer, &t.again);
}

static void
test_close_with_jobs(void)
{
	struct got g[12] = {{0}};

	setup_with(&(struct fetch_opts){.max_per_host = 4});
	for (int i = 0; i < 10; i++)
		ask(&g[i], OURS, "/hold", (struct fetch_request){0});
	while (t.held < 4)
		turn();
	fetch_cancel(&(struct fetch_job *){
		ask(&g[10], OURS, "/echo", (struct fetch_request){0})});
	ask(&g[11], 1, "/", (struct fetch_request){.url = "ftp://127.0.0.1/"});
	g[3].then = ask_again;
	t.closing = t.fetch;
	fetch_close(&t.fetch);
	for (int i = 0; i < 10; i++) {
		CHECK_INT(g[i].n, 1);
		CHECK_STR(g[i].error, "the daemon ends");
		CHECK(g[i].sent == (i < 4));
	}
	CHECK(g[10].n == 0 && g[11].n == 1);
	CHECK_STR(t.again.error, "the daemon ends");
	teardown();
}

static void
test_close_in_a_callback(void)
{
	struct got a = {0}, b = {0};

	setup();
	a.then = close_all;
	ask(&b, OURS, "/hold", (struct fetch_request){0});
	ask(&a, OURS, "/echo", (struct fetch_request){0});
	wait_for(&a, 1);
	CHECK_STR(b.error, "the daemon ends");
	CHECK(!t.fetch);
	teardown();
}

static void
test_tls(void)
{
	static char a[] = "127.0.0.1:0";
	static char *listen[] = {a};
	static const struct conf_list l = {listen, 1};
	struct http_opts o = {.listen = &l,
		.max_header_bytes = 16384,
		.max_body_bytes = 1 << 20,
		.header_timeout_ms = 10000,
		.body_timeout_ms = 10000,
		.idle_timeout_ms = 10000,
		.tls_cert = t.cert,
		.tls_key = t.key};
	struct err e = {0};
	struct got g = {0};
	char url[100];

	setup();
	snprintf(t.cert, sizeof(t.cert), "/tmp/test_fetch.%d.crt", (int)getpid());
	snprintf(t.key, sizeof(t.key), "/tmp/test_fetch.%d.key", (int)getpid());
	write_cert();
	struct http_server *s = http_open(t.loop, &o, &e);
	CHECK_STR(e.text, "");
	http_route(s, "GET /echo", on_echo, NULL);
	snprintf(url, sizeof(url), "https://localhost:%d/echo", http_port(s, 0));
	get(&g, 0, "", (struct fetch_request){.url = url, .ca_file = t.cert});
	CHECK_STR(g.error, "");
	CHECK_STR(g.body, "GET  - -");
	get(&g, 0, "", (struct fetch_request){.url = url});
	CHECK(g.status == 0 && !g.sent && strstr(g.error, "certificate"));
	get(&g, 0, "", (struct fetch_request){.url = url, .ca_file = "/nowhere.pem"});
	CHECK(g.status == 0 && !g.sent);
	/* A certificate for another name. */
	snprintf(url, sizeof(url), "https://127.0.0.2:%d/echo", http_port(s, 0));
	get(&g, 0, "", (struct fetch_request){.url = url, .ca_file = t.cert});
	CHECK(g.status == 0 && !g.sent);
	http_close(&s);
	unlink(t.cert);
	unlink(t.key);
	teardown();
}

static void
test_names(void)
{
	struct got g = {0};
	char url[100];

	setup();
	snprintf(url, sizeof(url), "http://LOCALHOST.:%d/echo", OURS);
	get(&g, 0, "", (struct fetch_request){.url = url});
	CHECK_STR(g.error, "");
	CHECK_INT(g.status, 200);
	get(&g, 0, "",
		(struct fetch_request){
			.url = "http://no-such-host.invalid/", .timeout_ms = 8000});
	CHECK(g.status == 0 && !g.sent && strstr(g.error, "resolve"));
	teardown();
}

static void
test_where_it_may_go(void)
{
	static const struct {
		const char *url;
		unsigned to;
	} refused[] = {
		{"https://localhost/", FETCH_TO_PUBLIC},
		{"https://127.0.0.1/", FETCH_TO_PUBLIC},
		{"https://2130706433/", FETCH_TO_PUBLIC},
		{"https://0x7f.1/", FETCH_TO_PUBLIC},
		{"https://[::ffff:127.0.0.1]/", FETCH_TO_PUBLIC},
		{"http://example.com/", FETCH_TO_PUBLIC},
		{"http://192.0.1.1/", FETCH_TO_PUBLIC | FETCH_TO_PRIVATE},
		{"http://169.254.169.254/", FETCH_TO_PUBLIC | FETCH_TO_PRIVATE},
		{"https://[fe80::1]/", FETCH_TO_PUBLIC | FETCH_TO_PRIVATE},
		{"https://[fd00:ec2::254]/", FETCH_TO_PUBLIC | FETCH_TO_PRIVATE},
	};
	struct got g = {0};

	setup();
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		get(&g, 0, "",
			(struct fetch_request){
				.url = refused[i].url, .to = refused[i].to});
		CHECK(g.status == 0 && !g.sent && g.error[0]);
		if (!strstr(g.error, "not allowed") && !strstr(g.error, "https"))
			test_fail(
				__FILE__, __LINE__, "%s: %s", refused[i].url, g.error);
	}
	get(&g, OURS, "/echo",
		(struct fetch_request){.to = FETCH_TO_PUBLIC | FETCH_TO_PRIVATE});
	CHECK_INT(g.status, 200);
	teardown();
}

static void
test_urls(void)
{
	static const char *const good[] = {"http://a/", "https://a.example:8443/x?y=z",
		"http://[::1]:8080/", "https://b\xc3\xbc\x63her.example/",
		"http://1.2.3.4"};
	static const char *const bad[] = {"", "a.example", "ftp://a/",
		"file:///etc/passwd", "http://", "http:///x", "http://u@a/",
		"http://u:p@a/", "http://a b/", "http://a/\r\nX: y", "http://a:0/",
		"http://a:70000/", "javascript:1", "http://[fe80::1%25eth0]/",
		"http://a..b/", "//a/", "http://a%00b/", "gopher://a/",
		"http://169592./", "http://1.2.3./", "http://a.0x7f/", "http://-/\t"};
	struct err e;

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		e.text[0] = '\0';
		CHECK_INT(fetch_check_url(good[i], &e), 0);
		CHECK_STR(e.text, "");
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (fetch_check_url(bad[i], &e) == 0)
			test_fail(__FILE__, __LINE__, "accepted: %s", bad[i]);
	char longer[2100];
	memset(longer, 'a', sizeof(longer));
	memcpy(longer, "http://a/", 9);
	longer[sizeof(longer) - 1] = '\0';
	CHECK_INT(fetch_check_url(longer, &e), -1);
}

static void
test_bad_headers(void)
{
	static const char *const bad[] = {
		"X: a\r\nY: b", ": a", "X", "X\n: a", "X : a"};
	struct got g = {0};

	setup();
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		const char *const headers[] = {"Fine: yes", bad[i], NULL};
		get(&g, OURS, "/echo", (struct fetch_request){.headers = headers});
		CHECK_STR(g.error, "a header of the request is malformed");
	}
	teardown();
}

static void
test_reach(void)
{
	static const struct {
		const char *address;
		enum reach want;
	} cases[] = {
		{"8.8.8.8", REACH_PUBLIC},
		{"172.15.255.255", REACH_PUBLIC},
		{"172.16.0.1", REACH_PRIVATE},
		{"172.31.255.255", REACH_PRIVATE},
		{"172.32.0.0", REACH_PUBLIC},
		{"100.64.0.1", REACH_PRIVATE},
		{"100.100.100.200", REACH_NEVER},
		{"127.8.9.1", REACH_PRIVATE},
		{"0.0.0.0", REACH_NEVER},
		{"169.254.169.254", REACH_NEVER},
		{"224.0.0.1", REACH_NEVER},
		{"255.255.255.255", REACH_NEVER},
		{"192.168.1.1", REACH_PRIVATE},
		{"::1", REACH_PRIVATE},
		{"::", REACH_NEVER},
		{"::ffff:10.0.0.1", REACH_PRIVATE},
		{"::ffff:169.254.169.254", REACH_NEVER},
		{"64:ff9b::127.0.0.1", REACH_PRIVATE},
		{"2002:a9fe:a9fe::1", REACH_NEVER},
		{"2002:0808:0808::1", REACH_PUBLIC},
		{"fe80::1", REACH_NEVER},
		{"ff02::1", REACH_NEVER},
		{"fd12::1", REACH_PRIVATE},
		{"fd00:ec2::254", REACH_NEVER},
		{"2001:db8::1", REACH_NEVER},
		{"2400:cb00::1", REACH_PUBLIC},
		{"2001:4860:4860::8888", REACH_PUBLIC},
	};
	enum reach got;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (!reach_of_text(cases[i].address, &got) || got != cases[i].want)
			test_fail(__FILE__, __LINE__, "%s", cases[i].address);
	CHECK(!reach_of_text("localhost", &got) && !reach_of_text("", &got));
}

int
main(void)
{
	TEST(test_reach);
	TEST(test_urls);
	TEST(test_methods_bodies_headers);
	TEST(test_answers_that_are_special);
	TEST(test_servers_that_break);
	TEST(test_what_goes_out);
	TEST(test_posts_use_no_kept_connection);
	TEST(test_bad_headers);
	TEST(test_deadlines);
	TEST(test_hosts_take_turns);
	TEST(test_cancel_anywhere);
	TEST(test_close_with_jobs);
	TEST(test_close_in_a_callback);
	TEST(test_names);
	TEST(test_where_it_may_go);
	TEST(test_tls);
	return test_done();
}
