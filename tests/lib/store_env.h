/* store_env.h - a migrated database of its own for a test program, with a store on it.
 * Needs TEST_CONNINFO (tests/lib/with-servers). */
#ifndef INTERACTD_TESTS_STORE_ENV_H
#define INTERACTD_TESTS_STORE_ENV_H

#include <people/store.h>

struct store_env {
	struct loop *loop;
	struct store store;
	struct tenant tenants[2]; /* default (TW), other (CN) */
	struct pg_sync *sync;
	char conninfo[512];
	char value[65536]; /* of store_env_value */
};

bool store_env_available(void); /* says SKIP if not */
/* Makes the database `name` anew. Ends the program if it cannot. */
void store_env_start(struct store_env *, const char *name);
void store_env_stop(struct store_env *);
/* The first column of the first row, "" if none, "(null)" for null. */
const char *store_env_value(struct store_env *, const char *sql);
void store_env_exec(struct store_env *, const char *sql);
/* Runs the loop until *n >= want, at most 20 s; false if that was not enough. */
bool store_env_wait(struct store_env *, const int *n, int want);

/* An answer that was waited for. */
struct store_got {
	int n;
	enum store_status status;
	int http_status;
	char json[65536], detail[512];
};
store_answer_fn store_got_answer; /* arg: struct store_got */
/* Waits for the one answer and forgets the count. */
enum store_status store_env_answer(struct store_env *, struct store_got *);

#endif
