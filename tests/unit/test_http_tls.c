/* test_http_tls.c - the server's TLS listeners, with stream.h as the client. */
#include "lib/test.h"

#include "lib/http_client.h"

#include <buf.h>
#include <io/http.h>
#include <io/loop.h>
#include <mem.h>
#include <stream.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BIG 3000000

static struct {
	struct loop *loop;
	struct http_server *server;
	struct http_stream *ws;
	char cert[64], key[64];
	struct stream *client;
	bool up, down;
	struct buf in;
} t;

/* A new self-signed certificate and its key, as files. */
static void
write_cert(void)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	FILE *c = fopen(t.cert, "w"), *k = fopen(t.key, "w");

	X509_set_version(cert, 2);
	X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
	X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
	X509_set_pubkey(cert, key);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
		(const unsigned char *)"test", -1, -1, 0);
	X509_set_issuer_name(cert, X509_get_subject_name(cert));
	X509_sign(cert, key, EVP_sha256());
	PEM_write_X509(c, cert);
	PEM_write_PrivateKey(k, key, NULL, NULL, 0, NULL, NULL);
	fclose(c);
	fclose(k);
	X509_free(cert);
	EVP_PKEY_free(key);
}

static void
on_big(struct http_request *r, void *arg)
{
	char *big = xcalloc(1, BIG);

	(void)arg;
	http_answer(r, 200, "text/plain", big, BIG);
	mem_free(big);
}

static void
on_gone(void *arg)
{
	(void)arg;
	t.ws = NULL;
}

static void
on_ws(struct http_request *r, void *arg)
{
	static const struct http_stream_callbacks callbacks = {NULL, on_gone};

	(void)arg;
	t.ws = http_websocket(r, NULL, &callbacks, NULL);
}

static void
on_up(void *arg)
{
	(void)arg;
	t.up = true;
}

static size_t
on_data(void *arg, const char *data, size_t len)
{
	(void)arg;
	buf_add(&t.in, data, len);
	return len;
}

static void
on_down(void *arg, const char *why)
{
	(void)arg;
	(void)why;
	t.down = true;
}

static void
client_start(const char *request)
{
	static const struct stream_callbacks callbacks = {on_up, on_data, on_down};
	char address[32];
	struct stream_opts o = {.address = address,
		.tls = true,
		.tls_no_verify = true,
		.connect_timeout_ms = 3000,
		.max_output = 1 << 20};

	snprintf(address, sizeof(address), "127.0.0.1:%d", http_port(t.server, 0));
	test_expect_log("without checking the certificate");
	t.up = t.down = false;
	buf_clear(&t.in);
	t.client = stream_connect(t.loop, &o, &callbacks, NULL);
	for (int i = 0; i < 500 && !t.up && !t.down; i++)
		loop_run_once(t.loop, 10);
	CHECK(t.up);
	if (t.up)
		stream_write(t.client, request, strlen(request));
}

/* Until part has come and at least `len` bytes. */
static bool
client_got(const char *part, size_t len)
{
	for (int i = 0; i < 500; i++) {
		if (t.in.len >= len &&
			memmem(buf_str(&t.in), t.in.len, part, strlen(part)))
			return true;
		if (t.down)
			return false;
		loop_run_once(t.loop, 10);
	}
	return false;
}

static void
setup(void)
{
	static char v4[] = "127.0.0.1:0";
	static char *listen[] = {v4};
	static const struct conf_list l = {listen, 1};
	struct err e = {0};

	memset(&t, 0, sizeof(t));
	snprintf(t.cert, sizeof(t.cert), "/tmp/test_http_cert.%d", (int)getpid());
	snprintf(t.key, sizeof(t.key), "/tmp/test_http_key.%d", (int)getpid());
	write_cert();
	struct http_opts o = {.listen = &l,
		.tls_cert = t.cert,
		.tls_key = t.key,
		.max_header_bytes = 8192,
		.max_body_bytes = 65536,
		.header_timeout_ms = 300,
		.body_timeout_ms = 3000,
		.idle_timeout_ms = 3000,
		.max_output_bytes = 1 << 20};
	t.loop = loop_new();
	t.server = http_open(t.loop, &o, &e);
	CHECK_STR(e.text, "");
	http_route(t.server, "GET /big", on_big, NULL);
	http_route(t.server, "GET /ws", on_ws, NULL);
}

static void
teardown(void)
{
	stream_free(&t.client);
	http_close(&t.server);
	loop_free(&t.loop);
	buf_fini(&t.in);
	unlink(t.cert);
	unlink(t.key);
}

static void
test_big_answer(void)
{
	setup();
	client_start("GET /big HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	CHECK(client_got("HTTP/1.1 200 OK\r\n", BIG));
	for (int i = 0; i < 500 && !t.down; i++)
		loop_run_once(t.loop, 10);
	CHECK(t.down);
	teardown();
}

static void
test_websocket_and_1001(void)
{
	setup();
	client_start("GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
		     "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
		     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
	CHECK(client_got("HTTP/1.1 101 ", 0) && t.ws);
	http_stream_send(t.ws, NULL, "pop", 3);
	CHECK(client_got("\x81\x03pop", 0));
	http_close(&t.server);
	CHECK(t.ws == NULL);
	CHECK(client_got("\x88\x11\x03\xe9the server ends", 0));
	teardown();
}

/* Plain HTTP on a TLS port, and a handshake that never comes: closed, in time. */
static void
test_no_tls_spoken(void)
{
	setup();
	struct client *c = client_open(t.loop, http_port(t.server, 0));
	client_send(c, "GET / HTTP/1.1\r\n\r\n", 18);
	CHECK(client_wait_end(c));
	client_free(&c);
	c = client_open(t.loop, http_port(t.server, 0));
	CHECK(client_wait_end(c));
	client_free(&c);
	teardown();
}

static void
test_reload(void)
{
	struct err e = {0};

	setup();
	char other[] = "/nonexistent/key.pem";
	CHECK_INT(http_reload_tls(t.server, t.cert, other, &e), -1);
	CHECK(strstr(e.text, other) != NULL);
	write_cert();
	CHECK_INT(http_reload_tls(t.server, t.cert, t.key, &e), 0);
	client_start("GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n");
	CHECK(client_got("HTTP/1.1 404 ", 0));
	teardown();
}

int
main(void)
{
	TEST(test_big_answer);
	TEST(test_websocket_and_1001);
	TEST(test_no_tls_spoken);
	TEST(test_reload);
	return test_done();
}
