/* writer_rate.c - how many calls a second the writer commits, durably.
 *
 *	DURABLE=1 tests/lib/with-servers build/release/tests/bench/writer_rate [CALLS]
 *
 * Each call is one saving with its ending and two legs: a row in interaction, timeline and
 * external_id and two in interaction_leg, plus address, contact and identity for a
 * stranger. First all callers are strangers, then all are known. */
#include <timeline/writer.h>

#include <base/embedded.h>
#include <clock.h>
#include <io/loop.h>
#include <io/migrate.h>
#include <log.h>
#include <people/tenant.h>
#include <str.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IN_QUEUE 1000 /* savings given and not committed */

static struct store store;
static struct tenant tenant = {.name = "default"};
static long done, given, total;
static int64_t latest_us;

static void
on_saved(void *arg, const struct write_result *r)
{
	(void)arg;
	done++;
	latest_us = r->took_us;
}

static void
give_one(struct writer *w, const char *run)
{
	int64_t now = clock_wall_us();
	struct interaction_leg legs[2] = {{.type = "queue", .queue = "support"},
		{.type = "ring", .agent = "1001", .interface = "PJSIP/1001"}};
	char number[32], external[48];
	struct interaction in = {.tenant = &tenant,
		.id = uuid_new(now),
		.kind = "call",
		.direction = "in",
		.channel = "pbx",
		.external_id = external,
		.state = "ended",
		.agent = "1001",
		.queue = "support",
		.remote_kind = "phone",
		.remote_value = number,
		.remote_normal = true,
		.trust = TRUST_NETWORK,
		.local = "4008001234",
		.at_us = now,
		.answered_us = now + 1,
		.ended_us = now + 2,
		.summary = "answered by 1001, queue support, waited 0:05, talked 2:31",
		.variables = "{\"CUSTOMER_ID\":\"42\",\"LANG\":\"zh\",\"menu\":\"3\"}",
		.disposition = "answered",
		.wait_ms = 5000,
		.talk_ms = 151000,
		.legs = legs,
		.n_legs = 2,
		.new_contact = uuid_new(now)};

	snprintf(number, sizeof(number), "+86138%08ld", given);
	snprintf(external, sizeof(external), "%s.%ld", run, given++);
	for (int i = 0; i < 2; i++) {
		legs[i].id = uuid_new(now);
		legs[i].at_us = now;
	}
	writer_save(w, &in, NULL, on_saved, NULL);
}

static void
measure(struct writer *w, const char *run, int rows)
{
	int64_t began = clock_mono_us();

	given = done = 0;
	while (done < total) {
		while (given < total && given - done < IN_QUEUE)
			give_one(w, run);
		loop_run_once(store.loop, 1000);
	}
	double s = (double)(clock_mono_us() - began) / 1e6;
	printf("%-10s %8.0f calls/s %9.0f rows/s  (last took %.1f ms)\n", run,
		(double)total / s, (double)total * rows / s, (double)latest_us / 1e3);
}

static int
prepare(const char *conninfo, struct err *err)
{
	struct pg_sync *pg = pg_sync_open(conninfo, err);
	int rc = pg ? migrate_apply(pg, NULL, NULL, err) : -1;

	if (rc == 0)
		rc = tenant_load(pg, &tenant, 1, err);
	pg_sync_close(&pg);
	return rc;
}

int
main(int argc, char **argv)
{
	const char *conninfo = getenv("TEST_CONNINFO");
	struct writer_opts opts = {0};
	struct err err;

	if (!conninfo || prepare(conninfo, &err) < 0) {
		fprintf(stderr, "writer_rate: %s\n",
			conninfo ? err.text : "run it under tests/lib/with-servers");
		return 1;
	}
	log_init(LOG_LVL_WARNING);
	total = argc > 1 ? atol(argv[1]) : 50000;
	store.loop = loop_new();
	struct pg_opts pool = {.conninfo = conninfo,
		.connections = 1,
		.queue_max = 100,
		.connect_timeout_ms = 5000,
		.application_name = "writer_rate"};
	store.writes = pg_open(store.loop, &pool);
	for (const struct embedded *f = embedded_files; f->name; f++)
		if (str_starts(f->name, "daemon/") && strstr(f->name, ".sql"))
			pg_add_statements(store.writes, f->data);
	struct writer *w = writer_new(&store, &opts);
	measure(w, "strangers", 8);
	measure(w, "known", 5);
	writer_close(&w, 1000);
	pg_close(&store.writes);
	loop_run_once(store.loop, 0);
	loop_free(&store.loop);
	return 0;
}
