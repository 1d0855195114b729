/* http_page.c - the first page of a timeline as a client gets it: HTTP over TCP, one
 * connection kept alive, one request at a time.
 *
 *	http_page PORT KEY IDS SECONDS
 *
 * IDS: a file with a contact's id per line; they are asked in turn. */
#include "bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

static struct buf answer;
static char (*ids)[40];
static size_t n_ids;

static void
ids_read(const char *path)
{
	FILE *f = fopen(path, "r");
	char line[64];

	if (!f)
		die(path, strerror(errno));
	while (fgets(line, sizeof(line), f)) {
		ids = xrealloc(ids, (n_ids + 1) * sizeof(*ids));
		snprintf(ids[n_ids++], sizeof(*ids), "%.36s", line);
	}
	fclose(f);
	if (!n_ids)
		die(path, "is empty");
}

static int
connect_to(int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	if (connect(fd, (void *)&a, sizeof(a)) < 0)
		die("connect", strerror(errno));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

/* True once the answer is whole. */
static bool
is_whole(void)
{
	const char *end = strstr(answer.data, "\r\n\r\n"), *length;

	if (!end)
		return false;
	if (strncmp(answer.data, "HTTP/1.1 200", 12) != 0)
		die("refused", answer.data);
	length = strcasestr(answer.data, "\r\nContent-Length:");
	if (!length || length > end)
		die("no Content-Length", answer.data);
	return answer.len >=
	       (size_t)(end + 4 - answer.data) + strtoull(length + 17, NULL, 10);
}

static void
get(int fd, const char *key, const char *id)
{
	char request[512];
	int n = snprintf(request, sizeof(request),
		"GET /v1/contacts/%s/timeline HTTP/1.1\r\nHost: bench\r\n"
		"Authorization: Bearer %s\r\n\r\n",
		id, key);

	if (write(fd, request, (size_t)n) != n)
		die("write", strerror(errno));
	buf_clear(&answer);
	do {
		buf_reserve(&answer, 65536);
		ssize_t got = read(fd, answer.data + answer.len, 65536);
		if (got <= 0)
			die("read", "the connection was closed");
		answer.len += (size_t)got;
		answer.data[answer.len] = '\0';
	} while (!is_whole());
}

int
main(int argc, char **argv)
{
	struct samples took = {0};
	size_t at = 0;

	if (argc != 5)
		die("usage", "http_page PORT KEY IDS SECONDS");
	ids_read(argv[3]);
	int fd = connect_to(atoi(argv[1]));
	for (int i = 0; i < 200; i++)
		get(fd, argv[2], ids[at++ % n_ids]);
	int64_t end = now_ns() + atoll(argv[4]) * 1000000000;
	for (int64_t t = now_ns(), done; t < end; t = done) {
		get(fd, argv[2], ids[at++ % n_ids]);
		done = now_ns();
		samples_add(&took, (done - t) / 1000);
	}
	samples_print(&took);
	close(fd);
	return 0;
}
