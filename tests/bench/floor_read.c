/* floor_read.c - the least a reading can cost: one prepared statement, binary, one at a
 * time, on a covering index.
 *
 *	floor_read page|card CONNINFO CONTACTS SECONDS
 *
 * page: a contact's 50 newest entries; card: who has this number, with ten entries. */
#include "bench.h"

#include <endian.h>
#include <libpq-fe.h>

static const char PAGE[] = "select id, at, channel, direction, subject, agent "
			   "from timeline where contact_id = $1::int8 "
			   "order by at desc, id desc limit 50";
static const char CARD[] =
	"select c.id, c.name, c.company, c.vip, c.attributes::text, t.id, t.channel, "
	"t.direction, t.at, t.subject, t.agent "
	"from address a join contact c on c.id = a.contact_id left join lateral "
	"(select * from timeline where contact_id = a.contact_id "
	"order by at desc, id desc limit 10) t on true where a.value = $1";

static void
check(PGconn *pg, PGresult *r, ExecStatusType status)
{
	if (PQresultStatus(r) != status)
		die("postgresql", PQerrorMessage(pg));
	PQclear(r);
}

static void
read_one(PGconn *pg, bool page, uint64_t contact)
{
	char number[32];
	uint64_t id = htobe64(contact);
	const char *params[] = {page ? (char *)&id : number};
	int lengths[] = {sizeof(id)}, binary[] = {page};

	snprintf(number, sizeof(number), "+86138%08llu", (unsigned long long)contact);
	check(pg, PQexecPrepared(pg, "read", 1, params, lengths, binary, 1),
		PGRES_TUPLES_OK);
}

int
main(int argc, char **argv)
{
	struct samples took = {0};
	uint64_t seed = 88172645463325252u, contacts;

	if (argc != 5)
		die("usage", "floor_read page|card CONNINFO CONTACTS SECONDS");
	bool page = strcmp(argv[1], "page") == 0;
	PGconn *pg = PQconnectdb(argv[2]);
	contacts = strtoull(argv[3], NULL, 10);
	check(pg, PQexec(pg, "set plan_cache_mode = force_generic_plan"),
		PGRES_COMMAND_OK);
	check(pg, PQprepare(pg, "read", page ? PAGE : CARD, 0, NULL), PGRES_COMMAND_OK);
	for (int i = 0; i < 200; i++)
		read_one(pg, page, 1 + next_random(&seed) % contacts);
	int64_t end = now_ns() + atoll(argv[4]) * 1000000000;
	for (int64_t t = now_ns(), done; t < end; t = done) {
		read_one(pg, page, 1 + next_random(&seed) % contacts);
		done = now_ns();
		samples_add(&took, (done - t) / 1000);
	}
	samples_print(&took);
	PQfinish(pg);
	return 0;
}
