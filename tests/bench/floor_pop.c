/* floor_pop.c - the least a screen pop can cost: AMI text off a socket, the messages
 * framed, DialBegin picked out, one look-up of the caller and ten recent entries, one
 * PUBLISH. No state, no call, no queue, no spool, no numbering; a line lost stays lost.
 *
 *	floor_pop PORT CONNINFO REDIS_SOCKET [SPOOL]
 *
 * With SPOOL, a file, it also does the least that the contract asks for beside (see
 * floor_duties.h): then it is what a program without states, queues, legs, redelivery
 * and outages would cost.
 *
 * One libevent loop, one pipelined libpq connection, one hiredis connection, as the
 * product has them. The answers of a pipeline come in order, so a queue of callers is
 * all the state there is. Prints its own CPU time at the end. */
#include "bench.h"

#include <json.h>
#include <str.h>

#include <arpa/inet.h>
#include <endian.h>
#include <event2/event.h>
#include <hiredis/adapters/libevent.h>
#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <libpq-fe.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <unistd.h>

#include "floor_duties.h"

#define WAITING_MAX (1u << 18)

static const char LOOK_UP[] =
	"select c.id, c.name, c.company, c.vip, c.attributes::text, t.id, t.channel, "
	"t.direction, (extract(epoch from t.at) * 1000)::int8, t.subject, t.agent "
	"from address a join contact c on c.id = a.contact_id left join lateral "
	"(select * from timeline where contact_id = a.contact_id "
	"order by at desc, id desc limit 10) t on true where a.value = $1";

static struct caller *waiting; /* a ring: what the pipeline will answer, in order */
static unsigned asked, answered;
static struct event_base *base;
static struct event *pg_read, *pg_write, *ami_read, *flush_soon;
static PGconn *pg;
static redisAsyncContext *redis;
static struct buf input, pop;
static size_t input_at;
static bool flush_armed;
static unsigned long events;

/* ---- Publishing ------------------------------------------------------------ */

static int64_t
int8_of(const PGresult *r, int row, int column)
{
	uint64_t v;

	memcpy(&v, PQgetvalue(r, row, column), sizeof(v));
	return (int64_t)be64toh(v);
}

static int
int2_of(const PGresult *r, int row, int column)
{
	uint16_t v;

	memcpy(&v, PQgetvalue(r, row, column), sizeof(v));
	return be16toh(v);
}

static void
put_text(const char *key, const PGresult *r, int row, int column)
{
	buf_adds(&pop, key);
	json_quote(
		&pop, PQgetvalue(r, row, column), (size_t)PQgetlength(r, row, column));
}

static void
put_contact(const PGresult *r)
{
	buf_printf(&pop, "{\"id\":%lld", (long long)int8_of(r, 0, 0));
	put_text(",\"name\":", r, 0, 1);
	put_text(",\"company\":", r, 0, 2);
	buf_printf(&pop,
		",\"vip\":%s,\"attributes\":", *PQgetvalue(r, 0, 3) ? "true" : "false");
	buf_add(&pop, PQgetvalue(r, 0, 4), (size_t)PQgetlength(r, 0, 4));
	buf_adds(&pop, "},\"recent\":[");
	for (int i = 0; i < PQntuples(r) && !PQgetisnull(r, i, 5); i++) {
		buf_printf(&pop,
			"%s{\"id\":%lld,\"channel\":%d,\"direction\":%d,\"at\":%lld",
			i ? "," : "", (long long)int8_of(r, i, 5), int2_of(r, i, 6),
			int2_of(r, i, 7), (long long)int8_of(r, i, 8));
		put_text(",\"summary\":", r, i, 9);
		put_text(",\"agent\":", r, i, 10);
		buf_addc(&pop, '}');
	}
	buf_addc(&pop, ']');
}

static void
publish(const struct caller *c, const PGresult *r)
{
	buf_clear(&pop);
	if (!duties.on)
		buf_adds(&pop, "{\"v\":1,\"type\":\"pop.open\"");
	buf_printf(&pop,
		",\"agent\":\"%s\",\"call_id\":\"%s\","
		"\"remote\":{\"value\":\"%s\",\"display\":\"%s\"},\"contact\":",
		c->agent, c->uid, c->number, c->name);
	if (PQntuples(r))
		put_contact(r);
	else
		buf_adds(&pop, "null,\"recent\":[]");
	buf_addc(&pop, '}');
	if (duties.on) {
		duties_open(c, PQntuples(r) ? int8_of(r, 0, 0) : 0, &pop);
		return;
	}
	redisAsyncCommand(redis, NULL, NULL, "PUBLISH interactd:default:agent:%s %b",
		c->agent, pop.data, pop.len);
}

/* ---- Looking up ------------------------------------------------------------ */

static void
pg_flush(void)
{
	if (PQflush(pg) == 1)
		event_add(pg_write, NULL);
	else
		event_del(pg_write);
}

/* Once per turn of the loop: what came together is sent together. */
static void
on_flush(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
	flush_armed = false;
	pg_flush();
}

static void
look_up(const struct caller *c)
{
	const char *params[] = {c->number};

	if (asked - answered == WAITING_MAX)
		die("too many callers wait", NULL);
	waiting[asked++ % WAITING_MAX] = *c;
	if (!PQsendQueryPrepared(pg, "look_up", 1, params, NULL, NULL, 1))
		die("look-up", PQerrorMessage(pg));
	PQsendFlushRequest(pg);
	if (!flush_armed)
		event_active(flush_soon, EV_TIMEOUT, 1);
	flush_armed = true;
}

static void
on_pg(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)arg;
	if (what & EV_WRITE)
		pg_flush();
	if (!(what & EV_READ))
		return;
	if (!PQconsumeInput(pg))
		die("postgresql", PQerrorMessage(pg));
	while (asked != answered && !PQisBusy(pg)) {
		PGresult *r = PQgetResult(pg);
		if (!r)
			continue;
		if (PQresultStatus(r) != PGRES_TUPLES_OK)
			die("look-up", PQresultErrorMessage(r));
		publish(&waiting[answered++ % WAITING_MAX], r);
		PQclear(r);
	}
}

/* ---- AMI ------------------------------------------------------------------- */

/* The value of a line of a message, as far as there is room. */
static void
field(const char *message, size_t len, const char *key, char *out, size_t cap)
{
	const char *at = memmem(message, len, key, strlen(key)), *end;

	*out = '\0';
	if (!at)
		return;
	at += strlen(key);
	end = memchr(at, '\r', (size_t)(message + len - at));
	if (end && (size_t)(end - at) < cap) {
		memcpy(out, at, (size_t)(end - at));
		out[end - at] = '\0';
	}
}

static void
on_dial_begin(const char *message, size_t len)
{
	struct caller c;
	char channel[64], *dash, *slash;

	field(message, len, "\r\nCallerIDNum: ", c.number + 3, sizeof(c.number) - 3);
	memcpy(c.number, "+86", 3);
	field(message, len, "\r\nCallerIDName: ", c.name, sizeof(c.name));
	field(message, len, "\r\nLinkedid: ", c.uid, sizeof(c.uid));
	field(message, len, "\r\nDestUniqueid: ", c.leg, sizeof(c.leg));
	field(message, len, "\r\nDestChannel: ", channel, sizeof(channel));
	dash = strrchr(channel, '-');
	slash = strchr(channel, '/');
	if (!dash || !slash)
		return;
	*dash = '\0';
	str_copy(c.agent, sizeof(c.agent), slash + 1);
	look_up(&c);
}

static void
on_message(const char *message, size_t len)
{
	static const char dial[] = "Event: DialBegin\r\n", end[] = "Event: DialEnd\r\n",
			  hangup[] = "Event: Hangup\r\n";
	char leg[48];

	events++;
	if (len > sizeof(dial) && !memcmp(message, dial, sizeof(dial) - 1)) {
		on_dial_begin(message, len);
	} else if (duties.on && !memcmp(message, end, sizeof(end) - 1)) {
		field(message, len, "\r\nDestUniqueid: ", leg, sizeof(leg));
		duties_answer(leg);
	} else if (duties.on && !memcmp(message, hangup, sizeof(hangup) - 1)) {
		field(message, len, "\r\nUniqueid: ", leg, sizeof(leg));
		duties_end(leg);
	}
}

static void
on_ami(evutil_socket_t fd, short what, void *arg)
{
	char *at, *end;
	ssize_t n;

	(void)what, (void)arg;
	buf_drop_front(&input, input_at);
	input_at = 0;
	buf_reserve(&input, 65536);
	n = read(fd, input.data + input.len, 65536);
	if (n <= 0) {
		event_base_loopbreak(base);
		return;
	}
	duties_spool(input.data + input.len, (size_t)n);
	input.len += (size_t)n;
	for (;;) {
		at = input.data + input_at;
		end = memmem(at, input.len - input_at, "\r\n\r\n", 4);
		if (!end)
			return;
		end += 4;
		on_message(at, (size_t)(end - at));
		input_at = (size_t)(end - input.data);
	}
}

/* ---- Connections ----------------------------------------------------------- */

static void
connect_ami(int port)
{
	static const char login[] = "Action: Login\r\nActionID: 1\r\n\r\n";
	struct sockaddr_in a = {.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	if (connect(fd, (void *)&a, sizeof(a)) < 0 ||
		write(fd, login, sizeof(login) - 1) < 0)
		die("connect", "to the manager");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	evutil_make_socket_nonblocking(fd);
	ami_read = event_new(base, fd, EV_READ | EV_PERSIST, on_ami, NULL);
	event_add(ami_read, NULL);
}

static void
pg_must(PGresult *r, ExecStatusType status)
{
	if (PQresultStatus(r) != status)
		die("postgresql", PQerrorMessage(pg));
	PQclear(r);
}

static void
connect_pg(const char *conninfo)
{
	pg = PQconnectdb(conninfo);
	pg_must(PQexec(pg, "set plan_cache_mode = force_generic_plan"),
		PGRES_COMMAND_OK);
	pg_must(PQprepare(pg, "look_up", LOOK_UP, 0, NULL), PGRES_COMMAND_OK);
	for (int i = 0; i < 200; i++) { /* its caches of the catalogue */
		char number[32];
		const char *params[] = {number};
		snprintf(number, sizeof(number), "+86138%08d", i + 1);
		pg_must(PQexecPrepared(pg, "look_up", 1, params, NULL, NULL, 1),
			PGRES_TUPLES_OK);
	}
	PQsetnonblocking(pg, 1);
	PQenterPipelineMode(pg);
	pg_read = event_new(base, PQsocket(pg), EV_READ | EV_PERSIST, on_pg, NULL);
	pg_write = event_new(base, PQsocket(pg), EV_WRITE, on_pg, NULL);
	flush_soon = event_new(base, -1, 0, on_flush, NULL);
	event_add(pg_read, NULL);
}

int
main(int argc, char **argv)
{
	struct rusage used;

	if (argc != 4 && argc != 5)
		die("usage", "floor_pop PORT CONNINFO REDIS_SOCKET [SPOOL]");
	base = event_base_new();
	waiting = xcalloc(WAITING_MAX, sizeof(*waiting));
	connect_pg(argv[2]);
	redis = redisAsyncConnectUnix(argv[3]);
	if (redis->err)
		die("redis", redis->errstr);
	redisLibeventAttach(redis, base);
	if (argc == 5)
		duties_begin(base, redis, argv[2], argv[3], argv[4]);
	connect_ami(atoi(argv[1]));
	event_base_dispatch(base);
	getrusage(RUSAGE_SELF, &used);
	printf("events %lu\ncpu_ms %ld\n", events,
		(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000 +
			(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1000);
	return 0;
}
