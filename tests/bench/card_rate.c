/* card_rate.c - what a screen pop waits for: contact, addresses and ten recent entries of
 * a known number, through the store, one at a time.
 *
 *	card_rate CONNINFO CONTACTS SECONDS */
#include <timeline/card.h>

#include "store_of.h"

static struct store store;
static struct tenant tenant = {.name = "default"};
static struct samples took;
static uint64_t contacts, seed = 88172645463325252u;
static int64_t asked_ns, end_ns;

static void ask(void);

static void
on_card(void *arg, enum card_status status, struct card *card)
{
	(void)arg;
	if (status != CARD_READY || !card->found)
		die("card", "not found");
	card_free(&card);
	samples_add(&took, (now_ns() - asked_ns) / 1000);
	if (now_ns() < end_ns)
		ask();
	else
		loop_stop(store.loop);
}

static void
ask(void)
{
	struct address addr = {.normal = true};
	uint64_t who = 1 + next_random(&seed) % contacts;

	str_copy(addr.kind, sizeof(addr.kind), "phone");
	snprintf(addr.value, sizeof(addr.value), "+86138%08llu",
		(unsigned long long)who);
	asked_ns = now_ns();
	card_fetch(&store, &tenant, &addr, TRUST_NETWORK, NULL, on_card, NULL);
}

int
main(int argc, char **argv)
{
	if (argc != 4)
		die("usage", "card_rate CONNINFO CONTACTS SECONDS");
	contacts = strtoull(argv[2], NULL, 10);
	store_of_open(&store, &tenant, argv[1]);
	end_ns = now_ns() + 300000000;
	ask();
	loop_run(store.loop);
	took.n = 0; /* the first ones connected, and made plans */
	end_ns = now_ns() + atoll(argv[3]) * 1000000000;
	ask();
	loop_run(store.loop);
	samples_print(&took);
	store_of_close(&store);
	return 0;
}
