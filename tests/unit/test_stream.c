/* Client connections against servers of our own in the same loop: plain, Unix, TLS.
 *
 * The server side is a non-blocking socket which wait_for() serves between turns of the
 * loop: it accepts, finishes the TLS handshake, and reads what comes. */
#include <clock.h>
#include <lib/test.h>
#include <mem.h>
#include <stream.h>

#include "io/loop.h"

#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct peer {
	struct loop *loop;
	/* client */
	struct stream *stream;
	int ups, downs, datas;
	char got[1 << 16]; /* consumed by on_data */
	size_t n_got, biggest;
	char why[300];
	bool by_line, free_in_up, free_in_data, free_in_down, pause_in_data,
		eat_nothing;
	const char *write_in_up;
	/* server */
	int listen_fd, fd;
	char address[128], path[108];
	SSL_CTX *tls;
	SSL *ssl;
	bool accept_held, read_held;
	size_t server_read;
	char server_got[4096];
};

static void
on_up(void *arg)
{
	struct peer *p = arg;
	p->ups++;
	if (p->write_in_up)
		stream_write(p->stream, p->write_in_up, strlen(p->write_in_up));
	if (p->free_in_up)
		stream_free(&p->stream);
}

static size_t
on_data(void *arg, const char *data, size_t len)
{
	struct peer *p = arg;
	size_t n = len;

	p->datas++;
	if (len > p->biggest)
		p->biggest = len;
	if (p->pause_in_data)
		stream_pause(p->stream, true);
	if (p->free_in_data)
		stream_free(&p->stream);
	if (p->eat_nothing)
		return 0;
	if (p->by_line) {
		const char *nl = memchr(data, '\n', len);
		n = nl ? (size_t)(nl - data) + 1 : 0;
	}
	if (p->n_got + n < sizeof(p->got)) {
		memcpy(p->got + p->n_got, data, n);
		p->n_got += n;
		p->got[p->n_got] = '\0';
	}
	return n;
}

static void
on_down(void *arg, const char *why)
{
	struct peer *p = arg;
	p->downs++;
	snprintf(p->why, sizeof(p->why), "%s", why);
	if (p->free_in_down)
		stream_free(&p->stream);
}

static const struct stream_callbacks callbacks = {on_up, on_data, on_down};

static void
peer_listen(struct peer *p, struct sockaddr *sa, socklen_t len)
{
	p->loop = loop_new();
	p->fd = -1;
	p->listen_fd = socket(sa->sa_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (bind(p->listen_fd, sa, len) < 0 || listen(p->listen_fd, 8) < 0)
		test_fail(__FILE__, __LINE__, "cannot listen");
}

static void
peer_init(struct peer *p, const char *host)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	socklen_t len = sizeof(in);

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	peer_listen(p, (struct sockaddr *)&in, sizeof(in));
	getsockname(p->listen_fd, (struct sockaddr *)&in, &len);
	snprintf(p->address, sizeof(p->address), "%s:%d", host, ntohs(in.sin_port));
}

static void
peer_init_unix(struct peer *p)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};

	snprintf(p->path, sizeof(p->path), "/tmp/test_stream.%d", (int)getpid());
	snprintf(un.sun_path, sizeof(un.sun_path), "%s", p->path);
	unlink(p->path);
	peer_listen(p, (struct sockaddr *)&un, sizeof(un));
	snprintf(p->address, sizeof(p->address), "unix:%s", p->path);
}

static void
peer_hang_up(struct peer *p)
{
	if (p->ssl && SSL_is_init_finished(p->ssl))
		SSL_shutdown(p->ssl);
	SSL_free(p->ssl);
	p->ssl = NULL;
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
}

static void
peer_fini(struct peer *p)
{
	stream_free(&p->stream);
	peer_hang_up(p);
	close(p->listen_fd);
	SSL_CTX_free(p->tls);
	if (p->path[0])
		unlink(p->path);
	loop_free(&p->loop);
}

static void
peer_connect(struct peer *p, struct stream_opts o)
{
	o.address = o.address ? o.address : p->address;
	o.connect_timeout_ms = o.connect_timeout_ms ? o.connect_timeout_ms : 10000;
	p->stream = stream_connect(p->loop, &o, &callbacks, p);
	CHECK(p->ups == 0 && p->downs == 0);
}

static void
peer_serve(struct peer *p)
{
	char buf[sizeof(p->server_got)];

	if (p->fd < 0 && !p->accept_held) {
		p->fd = accept4(p->listen_fd, NULL, NULL, SOCK_NONBLOCK);
		if (p->fd >= 0 && p->tls) {
			p->ssl = SSL_new(p->tls);
			SSL_set_fd(p->ssl, p->fd);
		}
	}
	if (p->fd < 0 || p->read_held)
		return;
	ssize_t n = p->ssl ? (SSL_accept(p->ssl), SSL_read(p->ssl, buf, sizeof(buf)))
			   : read(p->fd, buf, sizeof(buf));
	if (n <= 0)
		return;
	p->server_read += (size_t)n;
	size_t used = strlen(p->server_got);
	if (used + (size_t)n < sizeof(p->server_got))
		memcpy(p->server_got + used, buf, (size_t)n);
}

static void
peer_send(struct peer *p, const char *data, size_t len)
{
	ssize_t n =
		p->ssl ? SSL_write(p->ssl, data, (int)len) : write(p->fd, data, len);
	CHECK_INT(n, (int64_t)len);
}

#define WAIT(p, cond)                                                                  \
	do {                                                                           \
		int64_t end = clock_mono_us() + 10000000;                              \
		while (!(cond) && clock_mono_us() < end) {                             \
			peer_serve(p);                                                 \
			loop_run_once((p)->loop, 2);                                   \
		}                                                                      \
		CHECK(cond);                                                           \
	} while (0)

static void
turns(struct peer *p, int n)
{
	while (n-- > 0) {
		peer_serve(p);
		loop_run_once(p->loop, 1);
	}
}

static void
check_echo(struct peer *p)
{
	WAIT(p, p->ups == 1 && p->fd >= 0 && (!p->ssl || SSL_is_init_finished(p->ssl)));
	stream_write(p->stream, "hello", 5);
	WAIT(p, p->server_read == 5);
	CHECK_STR(p->server_got, "hello");
	peer_send(p, "world", 5);
	WAIT(p, p->n_got == 5);
	CHECK_STR(p->got, "world");
	peer_hang_up(p);
	WAIT(p, p->downs == 1);
	turns(p, 5);
	CHECK_INT(p->ups, 1);
	CHECK_INT(p->downs, 1);
}

static void
test_tcp_by_number_by_name_and_unix(void)
{
	static const char *const hosts[] = {"127.0.0.1", "localhost", NULL};

	for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
		struct peer p = {0};
		if (hosts[i])
			peer_init(&p, hosts[i]);
		else
			peer_init_unix(&p);
		peer_connect(&p, (struct stream_opts){0});
		check_echo(&p);
		CHECK(strstr(p.why, "the peer closed the connection"));
		peer_fini(&p);
	}
}

static void
test_bad_addresses_come_as_on_down(void)
{
	static const struct {
		const char *address, *why;
	} cases[] = {
		{"", "is no address"},
		{"pbx", "is no address"},
		{"pbx:99999", "is no address"},
		{"unix:", "1 to 107 bytes"},
		{"unix:/nonexistent/socket", "No such file or directory"},
		{"127.0.0.1:1", "Connection refused"},
		{"[::1]:1", "cannot connect to [::1]:1 (::1)"},
		{"no-such-host.invalid:5038", "cannot resolve"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct peer p = {0};
		peer_init(&p, "127.0.0.1");
		peer_connect(&p, (struct stream_opts){.address = cases[i].address});
		WAIT(&p, p.downs == 1);
		CHECK_INT(p.ups, 0);
		if (!strstr(p.why, cases[i].why))
			CHECK_STR(p.why, cases[i].why);
		stream_write(p.stream, "x", 1);
		turns(&p, 3);
		CHECK_INT(p.downs, 1);
		peer_fini(&p);
	}
}

static void
test_data_and_eof_together_give_data_first(void)
{
	struct peer p = {.by_line = true};

	peer_init(&p, "127.0.0.1");
	peer_connect(&p, (struct stream_opts){0});
	WAIT(&p, p.ups == 1 && p.fd >= 0);
	peer_send(&p, "one\ntwo\nthr", 11);
	peer_hang_up(&p);
	WAIT(&p, p.downs == 1);
	CHECK_STR(p.got, "one\n");
	peer_fini(&p);

	p = (struct peer){0};
	peer_init(&p, "127.0.0.1");
	peer_connect(&p, (struct stream_opts){0});
	WAIT(&p, p.ups == 1 && p.fd >= 0);
	peer_send(&p, "last words", 10);
	peer_hang_up(&p);
	WAIT(&p, p.downs == 1);
	CHECK_STR(p.got, "last words");
	peer_fini(&p);
}

static void
test_pause_holds_data_and_end(void)
{
	struct peer p = {0};

	peer_init(&p, "127.0.0.1");
	peer_connect(&p, (struct stream_opts){0});
	WAIT(&p, p.ups == 1 && p.fd >= 0);
	stream_pause(p.stream, true);
	peer_send(&p, "held", 4);
	peer_hang_up(&p);
	turns(&p, 20);
	CHECK_INT(p.datas, 0);
	CHECK_INT(p.downs, 0);
	stream_pause(p.stream, false);
	CHECK_INT(p.datas, 0);
	WAIT(&p, p.downs == 1);
	CHECK_STR(p.got, "held");
	peer_fini(&p);
}

static void
test_pause_inside_on_data_gives_the_rest_again(void)
{
	struct peer p = {.by_line = true, .pause_in_data = true};

	peer_init(&p, "127.0.0.1");
	peer_connect(&p, (struct stream_opts){0});
	WAIT(&p, p.ups == 1 && p.fd >= 0);
	peer_send(&p, "one\ntwo\n", 8);
	WAIT(&p, p.datas == 1);
	turns(&p, 10);
	CHECK_STR(p.got, "one\n");
	stream_pause(p.stream, false);
	WAIT(&p, p.datas == 2);
	CHECK_STR(p.got, "one\ntwo\n");
	peer_fini(&p);
}

static void
test_freed_inside_each_callback(void)
{
	for (int where = 0; where < 3; where++) {
		struct peer p = {.free_in_up = where == 0,
			.free_in_data = where == 1,
			.free_in_down = where == 2};
		peer_init(&p, "127.0.0.1");
		peer_connect(&p, (struct stream_opts){0});
		WAIT(&p, p.ups == 1 && p.fd >= 0);
		if (where > 0)
			peer_send(&p, "data", 4);
		if (where == 2)
			peer_hang_up(&p);
		WAIT(&p, !p.stream);
		turns(&p, 5);
		CHECK_INT(p.downs, where == 2);
		peer_fini(&p);
	}
}

static void
test_freed_at_every_turn_of_connecting(void)
{
	for (int n = 0; n < 6; n++) {
		struct peer p = {0};
		peer_init(&p, n % 2 ? "127.0.0.1" : "localhost");
		peer_connect(
			&p, (struct stream_opts){.tls = n > 2, .tls_ca = "/dev/null"});
		for (int i = 0; i < n; i++)
			loop_run_once(p.loop, 1);
		stream_free(&p.stream);
		int downs = p.downs, ups = p.ups;
		turns(&p, 5);
		CHECK_INT(p.downs, downs);
		CHECK_INT(p.ups, ups);
		peer_fini(&p);
	}
}

static void
test_peer_that_does_not_read_is_cut(void)
{
	static char block[64 * 1024];
	struct peer p = {.read_held = true};
	size_t written = 0;

	peer_init(&p, "127.0.0.1");
	peer_connect(&p, (struct stream_opts){.max_output = 200 * 1024});
	WAIT(&p, p.ups == 1 && p.fd >= 0);
	while (p.downs == 0 && written < (64u << 20)) {
		stream_write(p.stream, block, sizeof(block));
		written += sizeof(block);
		turns(&p, 1);
	}
	CHECK_INT(p.downs, 1);
	CHECK(strstr(p.why, "the peer does not read"));
	peer_fini(&p);
}

static void
test_an_endless_message_is_cut_at_a_mebibyte(void)
{
	static char block[32 * 1024];
	struct peer p = {.eat_nothing = true};

	peer_init(&p, "127.0.0.1");
	peer_connect(&p, (struct stream_opts){0});
	WAIT(&p, p.ups == 1 && p.fd >= 0);
	for (int64_t end = clock_mono_us() + 20000000;
		p.downs == 0 && clock_mono_us() < end;) {
		ssize_t n = write(p.fd, block, sizeof(block));
		(void)n;
		loop_run_once(p.loop, 1);
	}
	CHECK_INT(p.downs, 1);
	CHECK_INT(p.biggest, 1 << 20);
	CHECK(strstr(p.why, "make no message"));
	peer_fini(&p);
}

static void
test_written_before_up_and_before_free_arrives(void)
{
	struct peer p = {.write_in_up = "c"};

	peer_init(&p, "127.0.0.1");
	peer_connect(&p, (struct stream_opts){0});
	stream_write(p.stream, "ab", 2);
	WAIT(&p, p.server_read == 3);
	stream_write(p.stream, "bye", 3);
	stream_free(&p.stream);
	WAIT(&p, p.server_read == 6);
	CHECK_STR(p.server_got, "abcbye");
	peer_fini(&p);
}

static void
test_connect_timeout_covers_the_handshake(void)
{
	struct peer p = {.read_held = true};

	peer_init(&p, "127.0.0.1");
	test_expect_log("without checking the certificate");
	peer_connect(&p, (struct stream_opts){.tls = true,
				 .tls_ca = "/dev/null",
				 .tls_no_verify = true,
				 .connect_timeout_ms = 50});
	WAIT(&p, p.downs == 1);
	CHECK(strstr(p.why, "no TLS handshake within 50 ms"));
	peer_fini(&p);
}

static void
cert_add(X509 *cert, int nid, const char *value)
{
	X509_EXTENSION *x = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
	X509_add_ext(cert, x, -1);
	X509_EXTENSION_free(x);
}

/* A server's context with a self-signed certificate, which also goes to a file. */
static SSL_CTX *
tls_server(const char *names, const char *ca_path)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	FILE *f = fopen(ca_path, "w");

	X509_set_version(cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
	X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
	X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
	X509_set_pubkey(cert, key);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
		(const unsigned char *)"test", -1, -1, 0);
	X509_set_issuer_name(cert, X509_get_subject_name(cert));
	cert_add(cert, NID_basic_constraints, "critical,CA:TRUE");
	cert_add(cert, NID_subject_alt_name, names);
	X509_sign(cert, key, EVP_sha256());
	PEM_write_X509(f, cert);
	fclose(f);
	SSL_CTX_use_certificate(ctx, cert);
	SSL_CTX_use_PrivateKey(ctx, key);
	X509_free(cert);
	EVP_PKEY_free(key);
	return ctx;
}

static void
test_tls(void)
{
	static const struct {
		const char *host, *names;
		bool trusted, no_verify;
		int max_version;
		const char *why; /* NULL = works */
	} cases[] = {
		{"127.0.0.1", "IP:127.0.0.1", true, false, 0, NULL},
		{"localhost", "DNS:localhost", true, false, 0, NULL},
		{"localhost", "DNS:localhost", true, false, TLS1_2_VERSION, NULL},
		{"localhost", "DNS:pbx.example", true, false, 0, "ostname mismatch"},
		{"127.0.0.1", "DNS:localhost", true, false, 0, "IP address mismatch"},
		{"localhost", "DNS:localhost", false, false, 0, "refused"},
		{"localhost", "DNS:pbx.example", false, true, 0, NULL},
		{"localhost", "DNS:localhost", true, false, TLS1_1_VERSION, "TLS"},
	};
	char ca[64], other[64];

	snprintf(ca, sizeof(ca), "/tmp/test_stream_ca.%d", (int)getpid());
	snprintf(other, sizeof(other), "/tmp/test_stream_other.%d", (int)getpid());
	SSL_CTX_free(tls_server("DNS:other", other));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct peer p = {.tls = tls_server(cases[i].names, ca)};
		if (cases[i].max_version) {
			SSL_CTX_set_security_level(p.tls, 0);
			SSL_CTX_set_max_proto_version(p.tls, cases[i].max_version);
		}
		peer_init(&p, cases[i].host);
		if (cases[i].no_verify)
			test_expect_log("without checking the certificate");
		peer_connect(&p, (struct stream_opts){.tls = true,
					 .tls_ca = cases[i].trusted ? ca : other,
					 .tls_no_verify = cases[i].no_verify});
		if (!cases[i].why) {
			check_echo(&p);
		} else {
			WAIT(&p, p.downs == 1);
			CHECK_INT(p.ups, 0);
			if (!strstr(p.why, cases[i].why))
				CHECK_STR(p.why, cases[i].why);
		}
		peer_fini(&p);
	}
	unlink(ca);
	unlink(other);
}

static void
test_tls_pause_and_much_data(void)
{
	static char block[16 * 1024];
	char ca[64];
	struct peer p = {0};

	snprintf(ca, sizeof(ca), "/tmp/test_stream_ca.%d", (int)getpid());
	p.tls = tls_server("IP:127.0.0.1", ca);
	peer_init(&p, "127.0.0.1");
	peer_connect(&p, (struct stream_opts){.tls = true, .tls_ca = ca});
	WAIT(&p, p.ups == 1 && p.ssl && SSL_is_init_finished(p.ssl));
	memset(block, 'x', sizeof(block));
	stream_pause(p.stream, true);
	peer_send(&p, block, sizeof(block));
	turns(&p, 10);
	CHECK_INT(p.datas, 0);
	stream_pause(p.stream, false);
	WAIT(&p, p.n_got == sizeof(block));
	stream_write(p.stream, "bye", 3);
	stream_free(&p.stream);
	WAIT(&p, p.server_read == 3);
	turns(&p, 3);
	CHECK(SSL_get_shutdown(p.ssl) & SSL_RECEIVED_SHUTDOWN);
	peer_fini(&p);
	unlink(ca);
}

static void
test_missing_ca_file_says_so(void)
{
	struct peer p = {0};

	peer_init(&p, "127.0.0.1");
	peer_connect(
		&p, (struct stream_opts){.tls = true, .tls_ca = "/nonexistent/ca.pem"});
	WAIT(&p, p.downs == 1);
	CHECK(strstr(p.why, "cannot read certificates from /nonexistent/ca.pem"));
	peer_fini(&p);
}

int
main(void)
{
	TEST(test_tcp_by_number_by_name_and_unix);
	TEST(test_bad_addresses_come_as_on_down);
	TEST(test_data_and_eof_together_give_data_first);
	TEST(test_pause_holds_data_and_end);
	TEST(test_pause_inside_on_data_gives_the_rest_again);
	TEST(test_freed_inside_each_callback);
	TEST(test_freed_at_every_turn_of_connecting);
	TEST(test_peer_that_does_not_read_is_cut);
	TEST(test_an_endless_message_is_cut_at_a_mebibyte);
	TEST(test_written_before_up_and_before_free_arrives);
	TEST(test_connect_timeout_covers_the_handshake);
	TEST(test_tls);
	TEST(test_tls_pause_and_much_data);
	TEST(test_missing_ca_file_says_so);
	return test_done();
}
