/* pop_listen.c - the agents' screens: hears every pop and takes the time.
 *
 *	pop_listen REDIS_SOCKET
 *
 * A pop.open says in remote.display when it was due (ami_load.c). On a line on stdin it
 * prints what it has heard since the last one. One reader for all agents: what Redis
 * spends on writing is the same as with many. */
#include "bench.h"

#include <hiredis/hiredis.h>
#include <poll.h>
#include <unistd.h>

static struct samples latency;
static unsigned long opens, updates, closes, degraded;
static uint64_t bytes;

static void
on_pop(const char *json, size_t len)
{
	static const char mark[] = "\"display\":\"T";
	int64_t now = now_ns();
	const char *type = strstr(json, "\"type\":\"pop.");
	const char *at = strstr(json, mark);

	if (!type || type[12] != 'o') {
		updates += type && type[12] == 'u';
		closes += type && type[12] == 'c';
		return;
	}
	opens++;
	bytes += len;
	degraded += strstr(json, "\"degraded\":true") != NULL;
	if (at)
		samples_add(&latency,
			(now - strtoll(at + sizeof(mark) - 1, NULL, 10)) / 1000);
}

static void
take_replies(redisContext *c)
{
	redisReply *r;

	for (;;) {
		void *reply = NULL;
		if (redisGetReplyFromReader(c, &reply) != REDIS_OK)
			die("redis", c->errstr);
		r = reply;
		if (!r)
			return;
		if (r->type == REDIS_REPLY_ARRAY && r->elements == 4)
			on_pop(r->element[3]->str, r->element[3]->len);
		freeReplyObject(r);
	}
}

static void
report(void)
{
	printf("opens %lu\nupdates %lu\ncloses %lu\ndegraded %lu\npop_bytes %.0f\n",
		opens, updates, closes, degraded,
		opens ? (double)bytes / (double)opens : 0);
	samples_print(&latency);
	printf("end 0\n");
	fflush(stdout);
	opens = updates = closes = degraded = 0;
	bytes = 0;
}

int
main(int argc, char **argv)
{
	redisContext *c = argc == 2 ? redisConnectUnix(argv[1]) : NULL;
	char line[64];

	if (!c || c->err)
		die("redis", c ? c->errstr : "usage: pop_listen REDIS_SOCKET");
	redisAppendCommand(c, "PSUBSCRIBE interactd:default:agent:*");
	for (int written = 0; !written;)
		redisBufferWrite(c, &written);
	struct pollfd p[2] = {
		{.fd = 0, .events = POLLIN}, {.fd = c->fd, .events = POLLIN}};
	setvbuf(stdin, NULL, _IONBF, 0);
	while (poll(p, 2, -1) >= 0) {
		if (p[1].revents) {
			if (redisBufferRead(c) != REDIS_OK)
				die("redis", c->errstr);
			take_replies(c);
		} else if (p[0].revents) {
			if (!fgets(line, sizeof(line), stdin))
				break;
			report();
		}
	}
	redisFree(c);
	return 0;
}
