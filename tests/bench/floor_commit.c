/* floor_commit.c - the least a durable entry of a timeline can cost: one row of 400 bytes
 * into a table with its key and one index, in batches of 64 by unnest, each batch a
 * transaction with fsync, two in flight on one connection. No contact is looked for, no
 * redelivery caught, no leg written.
 *
 *	floor_commit CONNINFO CONTACTS SECONDS
 *
 * Prints rows_per_s. */
#include "bench.h"

#include <endian.h>
#include <libpq-fe.h>
#include <poll.h>

#define BATCH	  64
#define IN_FLIGHT 2
#define COLUMNS	  5

static const char INSERT[] =
	"insert into entry (contact_id, channel, direction, at, payload) "
	"select * from unnest($1::int8[], $2::int2[], $3::int2[], $4::timestamptz[], "
	"$5::jsonb[])";

static struct buf columns[COLUMNS];
static uint64_t contacts, seed = 88172645463325252u;
static unsigned long rows, batches;
static int in_flight;
static PGconn *pg;

static void
put32(struct buf *b, uint32_t v)
{
	v = htobe32(v);
	buf_add(b, &v, sizeof(v));
}

static void
put16(struct buf *b, uint16_t v)
{
	put32(b, 2);
	v = htobe16(v);
	buf_add(b, &v, sizeof(v));
}

static void
put64(struct buf *b, uint64_t v)
{
	put32(b, 8);
	v = htobe64(v);
	buf_add(b, &v, sizeof(v));
}

/* The binary form of an array of one dimension (array_recv). */
static void
array_begin(struct buf *b, uint32_t oid)
{
	buf_clear(b);
	put32(b, 1);
	put32(b, 0);
	put32(b, oid);
	put32(b, BATCH);
	put32(b, 1);
}

static void
put_payload(struct buf *b)
{
	char text[600];
	int n = snprintf(text, sizeof(text),
		"%c{\"uid\":\"bench.%lu\",\"summary\":\"answered by 1001, waited "
		"0:05, talked 2:31\",\"agent\":\"1001\",\"text\":\"%0*d\"}",
		1 /* version of jsonb_recv */, rows, 280, 7);

	put32(b, (uint32_t)n);
	buf_add(b, text, (size_t)n);
}

static void
fill(void)
{
	static const uint32_t oids[COLUMNS] = {20, 21, 21, 1184, 3802};
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	/* PostgreSQL's microseconds begin with the year 2000. */
	uint64_t at = ((uint64_t)t.tv_sec - 946684800u) * 1000000u +
		      (uint64_t)t.tv_nsec / 1000;
	for (int c = 0; c < COLUMNS; c++)
		array_begin(&columns[c], oids[c]);
	for (int i = 0; i < BATCH; i++, rows++) {
		put64(&columns[0], 1 + next_random(&seed) % contacts);
		put16(&columns[1], 1);
		put16(&columns[2], 0);
		put64(&columns[3], at);
		put_payload(&columns[4]);
	}
}

static void
submit(void)
{
	const char *values[COLUMNS];
	int lengths[COLUMNS], binary[COLUMNS];

	fill();
	for (int c = 0; c < COLUMNS; c++) {
		values[c] = columns[c].data;
		lengths[c] = (int)columns[c].len;
		binary[c] = 1;
	}
	if (!PQsendQueryPrepared(pg, "insert", COLUMNS, values, lengths, binary, 1) ||
		!PQpipelineSync(pg))
		die("insert", PQerrorMessage(pg));
	in_flight++;
}

static void
take_answers(void)
{
	if (!PQconsumeInput(pg))
		die("postgresql", PQerrorMessage(pg));
	for (int nothing = 0; nothing < 2 && !PQisBusy(pg);) {
		PGresult *r = PQgetResult(pg);
		if (!r) {
			nothing++;
			continue;
		}
		nothing = 0;
		if (PQresultStatus(r) == PGRES_PIPELINE_SYNC) {
			in_flight--;
			batches++;
		} else if (PQresultStatus(r) != PGRES_COMMAND_OK) {
			die("insert", PQresultErrorMessage(r));
		}
		PQclear(r);
	}
}

int
main(int argc, char **argv)
{
	if (argc != 4)
		die("usage", "floor_commit CONNINFO CONTACTS SECONDS");
	contacts = strtoull(argv[2], NULL, 10);
	pg = PQconnectdb(argv[1]);
	PGresult *r = PQprepare(pg, "insert", INSERT, 0, NULL);
	if (PQresultStatus(r) != PGRES_COMMAND_OK)
		die("postgresql", PQerrorMessage(pg));
	PQclear(r);
	PQsetnonblocking(pg, 1);
	PQenterPipelineMode(pg);
	struct pollfd p = {.fd = PQsocket(pg)};
	int64_t begin = now_ns(), end = begin + atoll(argv[3]) * 1000000000;
	while (in_flight || now_ns() < end) {
		while (in_flight < IN_FLIGHT && now_ns() < end)
			submit();
		p.events = (short)(POLLIN | (PQflush(pg) == 1 ? POLLOUT : 0));
		poll(&p, 1, -1);
		if (p.revents & POLLIN)
			take_answers();
	}
	printf("rows_per_s %.0f\n",
		(double)batches * BATCH * 1e9 / (double)(now_ns() - begin));
	PQfinish(pg);
	return 0;
}
