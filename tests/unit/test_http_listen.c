/* test_http_listen.c - listeners: caps of connections, the operator's socket, bad
 * options.
 */
#include "lib/test.h"

#include "lib/http_client.h"

#include <io/http.h>
#include <io/loop.h>
#include <mem.h>
#include <str.h>

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static const char request[] = "GET /uid HTTP/1.1\r\nHost: x\r\n\r\n";

static struct {
	struct loop *loop;
	struct http_server *server;
} t;

static void
on_uid(struct http_request *r, void *arg)
{
	unsigned uid = 0;
	char text[64];

	(void)arg;
	bool has = http_peer_uid(r, &uid);
	snprintf(text, sizeof(text), "%s %d %u", http_peer(r), has, uid);
	http_answer(r, 200, "text/plain", text, strlen(text));
}

static struct http_opts
default_opts(void)
{
	static char v4[] = "127.0.0.1:0", v6[] = "[::1]:0",
		    desk[] = "https://desk.example";
	static char *listen[] = {v4, v6}, *origins[] = {desk};
	static const struct conf_list l = {listen, 2}, o = {origins, 1};

	return (struct http_opts){.listen = &l,
		.origins = &o,
		.max_header_bytes = 8192,
		.max_body_bytes = 65536,
		.max_connections = 100,
		.max_connections_per_peer = 50,
		.header_timeout_ms = 2000,
		.body_timeout_ms = 2000,
		.idle_timeout_ms = 2000,
		.max_output_bytes = 1 << 20};
}

static void
setup_with(const struct http_opts *o)
{
	struct err e = {0};

	t.loop = loop_new();
	t.server = http_open(t.loop, o, &e);
	CHECK_STR(e.text, "");
	http_route(t.server, "GET /uid", on_uid, NULL);
}

static void
teardown(void)
{
	http_close(&t.server);
	loop_free(&t.loop);
}

static struct client *
open_client(void)
{
	return client_open(t.loop, http_port(t.server, 0));
}

static void
test_connection_caps(void)
{
	struct http_opts o = default_opts();
	struct http_counters n;
	struct client *c[5];

	o.max_connections = 4;
	o.max_connections_per_peer = 3;
	setup_with(&o);
	for (int i = 0; i < 4; i++) {
		c[i] = open_client();
		client_run(c[i], 20);
	}
	CHECK(client_wait(c[3], "too many connections from one address\"}"));
	CHECK(client_wait_end(c[3]));
	http_get_counters(t.server, &n);
	CHECK_INT(n.connections, 3);
	CHECK_INT((int64_t)n.refused_connections, 1);
	client_free(&c[3]);
	/* Another peer fills the total; the next one waits until somebody leaves. */
	c[3] = client_open6(t.loop, http_port(t.server, 1));
	client_run(c[3], 20);
	c[4] = client_open6(t.loop, http_port(t.server, 1));
	client_send(c[4], request, strlen(request));
	client_run(c[4], 50);
	CHECK_STR(client_text(c[4]), "");
	http_get_counters(t.server, &n);
	CHECK_INT(n.connections, 4);
	client_free(&c[0]);
	CHECK(client_wait(c[4], "::1 0 0"));
	for (int i = 1; i < 5; i++)
		client_free(&c[i]);
	teardown();
}

/* Five connects in one go: the listener must stop in the middle of its accepting. */
static void
test_cap_holds_within_one_turn(void)
{
	struct http_opts o = default_opts();
	struct http_counters n;
	struct client *c[5];

	o.max_connections = 2;
	setup_with(&o);
	for (int i = 0; i < 5; i++)
		c[i] = open_client();
	client_run(c[0], 30);
	http_get_counters(t.server, &n);
	CHECK_INT(n.connections, 2);
	for (int i = 0; i < 5; i++)
		client_free(&c[i]);
	teardown();
}

static void
test_unix_socket(void)
{
	char dir[] = "/tmp/test_http.XXXXXX", path[64], want[64];
	struct http_opts o = default_opts();
	struct err e;
	struct stat st;

	CHECK(mkdtemp(dir) != NULL);
	snprintf(path, sizeof(path), "%s/s", dir);
	o.socket = path;
	o.max_connections = 1;
	setup_with(&o);
	CHECK(stat(path, &st) == 0 && (st.st_mode & 0777) == 0660);
	struct client *c = client_open_unix(t.loop, path);
	client_send(c, request, strlen(request));
	snprintf(want, sizeof(want), "unix 1 %u", (unsigned)getuid());
	CHECK(client_wait(c, want));
	/* The public has taken all there is; the operator still gets in. */
	struct client *d = client_open_unix(t.loop, path);
	client_send(d, request, strlen(request));
	CHECK(client_wait(d, want));
	client_free(&d);
	client_free(&c);
	CHECK(http_open(t.loop, &o, &e) == NULL);
	CHECK(strstr(e.text, "another process listens there already"));
	teardown();
	CHECK(access(path, F_OK) != 0);
	rmdir(dir);
}

static void
test_stale_socket_is_replaced(void)
{
	char dir[] = "/tmp/test_http.XXXXXX", path[64];
	struct http_opts o = default_opts();
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	struct err e;

	CHECK(mkdtemp(dir) != NULL);
	snprintf(path, sizeof(path), "%s/s", dir);
	str_copy(sun.sun_path, sizeof(sun.sun_path), path);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK(bind(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0);
	close(fd);
	o.socket = path;
	setup_with(&o);
	teardown();
	FILE *f = fopen(path, "w");
	fclose(f);
	t.loop = loop_new();
	CHECK(http_open(t.loop, &o, &e) == NULL);
	CHECK(strstr(e.text, "it is there and no socket"));
	loop_free(&t.loop);
	unlink(path);
	rmdir(dir);
}

static void
test_bad_options(void)
{
	static const struct {
		const char *listen, *part;
	} bad[] = {{"localhost:80", "IP address and a port"},
		{"127.0.0.1", "and a port"}, {"::1", "and a port"},
		{"[::1]", "and a port"},
		{"192.0.2.1:1", "cannot listen on 192.0.2.1:1: "}};
	struct loop *loop = loop_new();

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct http_opts o = default_opts();
		char *item = xstrdup(bad[i].listen);
		struct conf_list l = {&item, 1};
		struct err e = {0};
		o.listen = &l;
		CHECK(http_open(loop, &o, &e) == NULL);
		if (!strstr(e.text, bad[i].part))
			test_fail(__FILE__, __LINE__, "%s: %s", item, e.text);
		mem_free(item);
	}
	struct http_opts o = default_opts();
	struct err e = {0};
	o.tls_cert = "/nonexistent.pem";
	CHECK(http_open(loop, &o, &e) == NULL);
	CHECK_STR(e.text, "tls_cert and tls_key go together");
	o.tls_key = "/nonexistent.pem";
	CHECK(http_open(loop, &o, &e) == NULL);
	CHECK(strstr(e.text, "/nonexistent.pem"));
	loop_free(&loop);
}

/* Without descriptors accepting pauses and does not spin; then it goes on by itself. */
static void
test_out_of_descriptors(void)
{
	struct http_opts o = default_opts();
	struct http_counters n;
	struct rlimit old, low;

	setup_with(&o);
	struct client *c = open_client();
	client_send(c, request, strlen(request));
	int next = dup(0);
	close(next);
	getrlimit(RLIMIT_NOFILE, &old);
	low = old;
	low.rlim_cur = (rlim_t)next;
	setrlimit(RLIMIT_NOFILE, &low);
	client_run(c, 30);
	http_get_counters(t.server, &n);
	CHECK_INT((int64_t)n.accepted, 0);
	setrlimit(RLIMIT_NOFILE, &old);
	CHECK(client_wait(c, "127.0.0.1 0 0"));
	client_free(&c);
	teardown();
}

static int
bound_socket(const struct sockaddr *sa, socklen_t len)
{
	int fd = socket(sa->sa_family, SOCK_STREAM, 0);

	CHECK(fd >= 0 && bind(fd, sa, len) == 0 && listen(fd, 5) == 0);
	return fd;
}

static int
bound_loopback(char address_r[32])
{
	struct sockaddr_in sin = {.sin_family = AF_INET};
	socklen_t len = sizeof(sin);

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int fd = bound_socket((struct sockaddr *)&sin, sizeof(sin));
	CHECK(getsockname(fd, (struct sockaddr *)&sin, &len) == 0);
	snprintf(address_r, 32, "127.0.0.1:%u", ntohs(sin.sin_port));
	return fd;
}

/* Who connects while the daemon restarts waits in the service manager's sockets, so
 * ours are those, and the socket's file stays when we end. */
static void
test_inherited_sockets(void)
{
	char dir[] = "/tmp/test_http.XXXXXX", address[32], *item = address;
	struct http_opts o = default_opts();
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	struct conf_list l = {&item, 1};
	int fds[2];

	CHECK(mkdtemp(dir) != NULL);
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/s", dir);
	fds[0] = bound_socket((struct sockaddr *)&sun, sizeof(sun));
	fds[1] = bound_loopback(address);
	o.listen = &l;
	o.socket = sun.sun_path;
	o.inherited = fds;
	o.n_inherited = 2;
	setup_with(&o);
	struct client *c = client_open_unix(t.loop, sun.sun_path);
	client_send(c, request, strlen(request));
	CHECK(client_wait(c, "unix 1 "));
	client_free(&c);
	c = open_client();
	client_send(c, request, strlen(request));
	CHECK(client_wait(c, "127.0.0.1 0 0"));
	client_free(&c);
	teardown();
	CHECK(access(sun.sun_path, F_OK) == 0);
	unlink(sun.sun_path);
	rmdir(dir);
}

static void
test_inherited_socket_nobody_names(void)
{
	struct http_opts o = default_opts();
	struct err e = {0};
	char address[32];
	int fd = bound_loopback(address);

	o.inherited = &fd;
	o.n_inherited = 1;
	t.loop = loop_new();
	CHECK(http_open(t.loop, &o, &e) == NULL);
	CHECK(strstr(e.text, "write the same addresses in both"));
	loop_free(&t.loop);
	close(fd);
}

int
main(void)
{
	TEST(test_connection_caps);
	TEST(test_cap_holds_within_one_turn);
	TEST(test_out_of_descriptors);
	TEST(test_unix_socket);
	TEST(test_stale_socket_is_replaced);
	TEST(test_bad_options);
	TEST(test_inherited_sockets);
	TEST(test_inherited_socket_nobody_names);
	return test_done();
}
