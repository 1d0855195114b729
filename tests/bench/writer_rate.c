/* writer_rate.c - how many calls a second the writer commits, durably.
 *
 *	writer_rate CONNINFO CONTACTS CALLS
 *
 * Each call is one saving, ended, with one leg: rows in interaction, interaction_leg,
 * timeline and external_id, its identity found and its contact locked. First the callers
 * are strangers (address, contact and identity are made, too), then known ones, those
 * of store.sql. Prints strangers_per_s and known_per_s. */
#include <timeline/writer.h>

#include <clock.h>

#include "store_of.h"

#include <unistd.h>

#define IN_QUEUE 1000 /* savings given and not committed */

static struct store store;
static struct tenant tenant = {.name = "default"};
static long done, given, total;
static uint64_t contacts, seed = 88172645463325252u;

static void
on_saved(void *arg, const struct write_result *r)
{
	(void)arg;
	if (r->status != WRITE_DONE)
		die("writer", "did not save");
	done++;
}

static void
give_one(struct writer *w, bool known)
{
	int64_t now = clock_wall_us();
	struct interaction_leg leg = {.id = uuid_new(now),
		.type = "ring",
		.agent = "1001",
		.interface = "PJSIP/1001",
		.result = "completed",
		.at_us = now,
		.answered_us = now + 1,
		.ended_us = now + 2};
	char number[32], external[64];
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
		.legs = &leg,
		.n_legs = 1,
		.new_contact = uuid_new(now)};

	if (known)
		snprintf(number, sizeof(number), "+86138%08llu",
			(unsigned long long)(1 + next_random(&seed) % contacts));
	else
		snprintf(number, sizeof(number), "+86139%08lld",
			(long long)(now % 100000000));
	snprintf(external, sizeof(external), "%lld.%ld", (long long)now, given++);
	writer_save(w, &in, NULL, on_saved, NULL);
}

static double
measure(struct writer *w, bool known)
{
	int64_t began = now_ns();

	given = done = 0;
	while (done < total) {
		while (given < total && given - done < IN_QUEUE)
			give_one(w, known);
		loop_run_once(store.loop, 1000);
	}
	return (double)total * 1e9 / (double)(now_ns() - began);
}

int
main(int argc, char **argv)
{
	struct writer_opts opts = {0};

	if (argc != 4)
		die("usage", "writer_rate CONNINFO CONTACTS CALLS");
	contacts = strtoull(argv[2], NULL, 10);
	total = atol(argv[3]);
	store_of_open(&store, &tenant, argv[1]);
	struct writer *w = writer_new(&store, &opts);
	printf("strangers_per_s %.0f\n", measure(w, false));
	printf("known_per_s %.0f\n", measure(w, true));
	writer_close(&w, 1000);
	store_of_close(&store);
	return 0;
}
