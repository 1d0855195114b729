/* wishes_ask.h - for preference.c and consent.c only: an operation whose answer has
 * events beside it. */
#ifndef INTERACTD_PEOPLE_WISHES_ASK_H
#define INTERACTD_PEOPLE_WISHES_ASK_H

#include <people/preference.h>
#include <people/store_ask.h>

struct wishes_ask {
	struct store_ask *ask;
	wishes_answer_fn *cb;
	void *arg;
	json_t *events;
};

/* Returns; wishes_done_* or wishes_refuse frees, each exactly once. */
struct wishes_ask *wishes_ask_new(struct store *, wishes_answer_fn *, void *arg);
/* Column `events` of row 0 is told too. */
void wishes_done_row(struct wishes_ask *, enum store_status, const struct pg_answer *,
	int json, int events);
void wishes_done(struct wishes_ask *, enum store_status, const char *detail);
/* What several statements may say besides success. */
void wishes_done_otherwise(struct wishes_ask *, const char *state, const char *json);
void wishes_done_failed(struct wishes_ask *, const struct pg_answer *);
void wishes_refuse(struct store *, wishes_answer_fn *, void *arg, const char *detail);

#endif
