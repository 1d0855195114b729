/* pg_unit.c - a unit of work: its statements and parameters, and reading its answer.
 *
 * Parameters are kept as NUL-terminated text in one buffer, addressed by offset (the
 * buffer moves while it grows). They stay until the callback has run, because a unit
 * may have to be sent again. Next: pg.c for a unit's way, pg_conn.c for its sending. */
#include "io/pg_priv.h"

#include <mem.h>
#include <str.h>

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pg_unit *
pg_unit_new(struct pg *pg)
{
	struct pg_unit *u = xcalloc(1, sizeof(*u));

	u->pg = pg;
	return u;
}

void
pg_unit_free(struct pg_unit *u)
{
	assert(!u->slot);
	list_remove(&u->link);
	pg_unit_forget_results(u);
	loop_timer_free(&u->deadline);
	buf_fini(&u->data);
	for (size_t i = 0; i < u->n_calls; i++)
		xfree(&u->calls[i].sql);
	xfree(&u->calls);
	xfree(&u->params);
	xfree(&u->message);
	xfree(&u->constraint);
	xfree(&u);
}

void
pg_unit_drop(struct pg_unit **up)
{
	if (*up)
		pg_unit_free(*up);
	*up = NULL;
}

void
pg_unit_forget_results(struct pg_unit *u)
{
	for (size_t i = 0; i < u->n_calls; i++) {
		PQclear(u->calls[i].result);
		u->calls[i].result = NULL;
	}
	u->failed = false;
	u->sqlstate[0] = '\0';
	xfree(&u->message);
	xfree(&u->constraint);
}

/* Keeps the first error of a unit: what follows it is only its echo. */
void
pg_unit_set_error(struct pg_unit *u, size_t at, const PGresult *r)
{
	const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
	const char *text = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
	char line[512];

	if (u->failed)
		return;
	u->failed = true;
	u->failed_at = at;
	str_copy(u->sqlstate, sizeof(u->sqlstate), state ? state : "");
	u->message = xstrdup(
		text ? text : pg_one_line(line, sizeof(line), PQresultErrorMessage(r)));
	u->constraint = xstrdup(PQresultErrorField(r, PG_DIAG_CONSTRAINT_NAME));
}

/* --- parameters --- */

static struct pg_call *
call_add(struct pg_unit *u)
{
	assert(!u->in_array);
	if (u->n_calls == u->cap_calls) {
		u->cap_calls = u->cap_calls ? u->cap_calls * 2 : 4;
		u->calls = xrealloc(u->calls, u->cap_calls * sizeof(*u->calls));
	}
	u->calls[u->n_calls] = (struct pg_call){.first = u->n_params};
	return &u->calls[u->n_calls++];
}

void
pg_add(struct pg_unit *u, const char *statement)
{
	struct pg_statement *st = map_find(&u->pg->by_name, statement);

	if (!st)
		log_errorx("pg", "there is no statement \"%s\"", statement);
	assert(st);
	call_add(u)->statement = st;
}

void
pg_add_sql(struct pg_unit *u, const char *sql)
{
	call_add(u)->sql = xstrdup(sql);
}

/* Adds a parameter that starts at `offset` of data. */
static void
param_add(struct pg_unit *u, size_t offset)
{
	assert(u->n_calls && !u->in_array);
	if (u->n_params == u->cap_params) {
		u->cap_params = u->cap_params ? u->cap_params * 2 : 16;
		u->params = xrealloc(u->params, u->cap_params * sizeof(*u->params));
	}
	u->params[u->n_params++] = offset;
	u->calls[u->n_calls - 1].n++;
}

const char *
pg_unit_param(const struct pg_unit *u, size_t i)
{
	return u->params[i] == SIZE_MAX ? NULL : u->data.data + u->params[i];
}

void
pg_param_null(struct pg_unit *u)
{
	param_add(u, SIZE_MAX);
}

void
pg_param_text_len(struct pg_unit *u, const char *s, size_t len)
{
	if (!s) {
		pg_param_null(u);
		return;
	}
	param_add(u, u->data.len);
	for (const char *nul; (nul = memchr(s, '\0', len));) {
		buf_add(&u->data, s, (size_t)(nul - s));
		len -= (size_t)(nul - s) + 1;
		s = nul + 1;
	}
	buf_add(&u->data, s, len);
	buf_addc(&u->data, '\0');
}

void
pg_param_text(struct pg_unit *u, const char *s)
{
	pg_param_text_len(u, s, s ? strlen(s) : 0);
}

void
pg_param_int(struct pg_unit *u, int64_t v)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRId64, v);
	pg_param_text(u, text);
}

void
pg_param_bool(struct pg_unit *u, bool v)
{
	pg_param_text(u, v ? "t" : "f");
}

void
pg_param_uuid(struct pg_unit *u, const struct uuid *id)
{
	char text[UUID_TEXT_LEN];

	if (!id || uuid_is_nil(id))
		pg_param_null(u);
	else
		pg_param_text(u, uuid_format(text, id));
}

/* --- array parameters: {"a","b\"c",NULL} --- */

void
pg_array_begin(struct pg_unit *u)
{
	param_add(u, u->data.len);
	u->in_array = true;
	u->array_len = 0;
	buf_addc(&u->data, '{');
}

static void
array_next(struct pg_unit *u)
{
	assert(u->in_array);
	if (u->array_len++)
		buf_addc(&u->data, ',');
}

void
pg_array_add_len(struct pg_unit *u, const char *s, size_t len)
{
	array_next(u);
	if (!s) {
		buf_adds(&u->data, "NULL");
		return;
	}
	buf_addc(&u->data, '"');
	for (size_t i = 0; i < len; i++) {
		if (s[i] == '"' || s[i] == '\\')
			buf_addc(&u->data, '\\');
		if (s[i] != '\0')
			buf_addc(&u->data, s[i]);
	}
	buf_addc(&u->data, '"');
}

void
pg_array_add(struct pg_unit *u, const char *s)
{
	pg_array_add_len(u, s, s ? strlen(s) : 0);
}

void
pg_array_add_int(struct pg_unit *u, int64_t v)
{
	array_next(u);
	buf_add_int(&u->data, v);
}

void
pg_array_add_bool(struct pg_unit *u, bool v)
{
	array_next(u);
	buf_addc(&u->data, v ? 't' : 'f');
}

void
pg_array_add_uuid(struct pg_unit *u, const struct uuid *id)
{
	char text[UUID_TEXT_LEN];

	array_next(u);
	buf_adds(&u->data, !id || uuid_is_nil(id) ? "NULL" : uuid_format(text, id));
}

void
pg_array_end(struct pg_unit *u)
{
	assert(u->in_array);
	u->in_array = false;
	buf_addc(&u->data, '}');
	buf_addc(&u->data, '\0');
}

/* --- the answer --- */

static const PGresult *
answer_result(const struct pg_answer *a, size_t i)
{
	const struct pg_unit *u = a->priv;

	assert(i < u->n_calls);
	return u->calls[i].result;
}

size_t
pg_rows(const struct pg_answer *a, size_t i)
{
	return (size_t)PQntuples(answer_result(a, i));
}

size_t
pg_affected(const struct pg_answer *a, size_t i)
{
	const PGresult *r = answer_result(a, i);

	/* libpq's prototype lacks the const; the function only reads. */
	return r ? strtoul(PQcmdTuples((PGresult *)(uintptr_t)r), NULL, 10) : 0;
}

const char *
pg_text(const struct pg_answer *a, size_t i, size_t row, int col)
{
	const PGresult *r = answer_result(a, i);

	assert(r && (int)row < PQntuples(r) && col < PQnfields(r));
	return PQgetisnull(r, (int)row, col) ? NULL : PQgetvalue(r, (int)row, col);
}

size_t
pg_text_len(const struct pg_answer *a, size_t i, size_t row, int col)
{
	return (size_t)PQgetlength(answer_result(a, i), (int)row, col);
}

int64_t
pg_int(const struct pg_answer *a, size_t i, size_t row, int col)
{
	const char *s = pg_text(a, i, row, col);

	return s ? strtoll(s, NULL, 10) : 0;
}

bool
pg_bool(const struct pg_answer *a, size_t i, size_t row, int col)
{
	const char *s = pg_text(a, i, row, col);

	return s && *s == 't';
}

struct uuid
pg_uuid(const struct pg_answer *a, size_t i, size_t row, int col)
{
	const char *s = pg_text(a, i, row, col);
	struct uuid id;

	if (!s || !uuid_parse(s, &id))
		memset(&id, 0, sizeof(id));
	return id;
}
