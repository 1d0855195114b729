/* store_ask.h - for the rooms' own files: an operation that somebody waits for. */
#ifndef INTERACTD_PEOPLE_STORE_ASK_H
#define INTERACTD_PEOPLE_STORE_ASK_H

#include <people/store.h>

#define STORE_DEADLINE_MS 5000

struct store_ask {
	struct store *store;
	store_answer_fn *cb;
	void *arg;
};

/* Returns, store_ask_done frees (it must be called exactly once, from a callback). */
struct store_ask *store_ask_new(struct store *, store_answer_fn *, void *arg);
void store_ask_done(struct store_ask *, enum store_status, const char *json, size_t len,
	const char *detail);
/* The first column of row 0 of statement i is the object or list. */
void store_ask_done_row(struct store_ask *, enum store_status, const struct pg_answer *,
	size_t i, int col);
/* The object as a limited caller may see it in column col; the whole in the other. */
void store_ask_done_seen(struct store_ask *, enum store_status,
	const struct pg_answer *, int col, int whole);
/* The object of row 0 of statement 0, or STORE_NOT_FOUND: "there is no WHAT with this id". */
void
store_ask_done_object(struct store_ask *, const struct pg_answer *, const char *what);
/* The database did not do it: unavailable, or invalid if it could not read a value. */
void store_ask_failed(struct store_ask *, const struct pg_answer *);
/* Refuses later, without asking the database. Frees. */
void store_refuse(struct store *, store_answer_fn *, void *arg, enum store_status,
	const char *detail_fmt, ...) __attribute__((format(printf, 5, 6)));

/* A page: rows of (cursor, object) as {"items":[…],"next":…}; with more than `limit` rows
 * the last is left out and the one before is the cursor. */
void store_ask_done_page(
	struct store_ask *, const struct pg_answer *, size_t i, size_t limit);
/* The five parameters of an idempotency key (NULLs without one). */
void store_param_idempotency(struct pg_unit *, const struct idempotency *);
/* A JSON parameter; NULL = {}. And the names of a request's fields, for the audit. */
void store_param_json(struct pg_unit *, const json_t *value);
void store_param_fields(struct pg_unit *, const json_t *body);
/* Answers what idempotency_begin may say instead of 'new'; false if state is none of it.
 * Columns of row 0: state, status, json. */
bool store_ask_done_idempotent(struct store_ask *, const struct pg_answer *, size_t i);

#endif
