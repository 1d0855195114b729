/* event_codec.c - call events as bytes.
 *
 *	record = version, then fields; field = number, value
 *	number = varint; its lowest bit says what the value is:
 *		0: varint (signed ones zigzag)	1: length (varint), bytes, NUL
 *
 * A field is written only if it is not zero or NULL, and unknown numbers are skipped,
 * so records pass between older and newer daemons. The numbers of the text fields
 * follow their order in CALL_EVENT_TEXTS, which only ever grows at its end. The NUL
 * after each text lets decoded events point into the record. */
#include <calls/event_codec.h>

#include <str.h>

#include <string.h>

#define CODEC_VERSION 1

enum field {
	FIELD_TYPE = 1,
	FIELD_STATE,
	FIELD_OTHER_STATE,
	FIELD_RESULT,
	FIELD_FLAGS,
	FIELD_CAUSE,
	FIELD_POSITION,
	FIELD_AGE,
	FIELD_AT,
	FIELD_VAR_NAME, /* one per variable, followed by its value */
	FIELD_VAR_VALUE,
	FIELD_TEXTS = 32, /* + index in CALL_EVENT_TEXTS */
};

enum text_index {
#define T(name, help) TEXT_##name,
	CALL_EVENT_TEXTS(T)
#undef T
		TEXT_COUNT
};

static const size_t text_offsets[TEXT_COUNT] = {
#define T(name, help) offsetof(struct call_event, name),
	CALL_EVENT_TEXTS(T)
#undef T
};

static void
put_varint(struct buf *out, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		buf_addc(out, (char)(v | 0x80));
	buf_addc(out, (char)v);
}

static void
put_number(struct buf *out, unsigned field, int64_t v)
{
	if (v == 0)
		return;
	put_varint(out, field << 1);
	put_varint(out, ((uint64_t)v << 1) ^ (uint64_t)(v < 0 ? -1 : 0));
}

static void
put_text(struct buf *out, unsigned field, const char *s)
{
	size_t len;

	if (!s)
		return;
	len = strlen(s);
	put_varint(out, field << 1 | 1);
	put_varint(out, len);
	buf_add(out, s, len + 1);
}

void
call_event_encode(struct buf *out, const struct call_event *ev)
{
	size_t n_vars = ev->n_vars < CALL_VARS_MAX ? ev->n_vars : CALL_VARS_MAX;

	buf_addc(out, CODEC_VERSION);
	put_number(out, FIELD_TYPE, ev->type);
	put_number(out, FIELD_STATE, ev->state);
	put_number(out, FIELD_OTHER_STATE, ev->other_state);
	put_number(out, FIELD_RESULT, ev->result);
	put_number(out, FIELD_FLAGS, ev->flags);
	put_number(out, FIELD_CAUSE,
		ev->cause < 0 || ev->cause > INT16_MAX ? 0 : ev->cause);
	put_number(out, FIELD_POSITION, ev->position < 0 ? 0 : ev->position);
	put_number(out, FIELD_AGE, ev->age_ms);
	put_number(out, FIELD_AT, ev->at_us);
	for (unsigned i = 0; i < TEXT_COUNT; i++) {
		const char *s;
		memcpy(&s, (const char *)ev + text_offsets[i], sizeof(s));
		put_text(out, FIELD_TEXTS + i, s);
	}
	for (size_t i = 0; i < n_vars; i++) {
		put_text(out, FIELD_VAR_NAME, ev->vars[i].name);
		put_text(out, FIELD_VAR_VALUE, ev->vars[i].value);
	}
}

/* Reading: a cursor whose error sticks. */
struct cursor {
	const char *at, *end;
	bool bad;
};

static uint64_t
get_varint(struct cursor *c)
{
	uint64_t v = 0;

	for (unsigned shift = 0; c->at < c->end && shift < 64; shift += 7) {
		unsigned char b = (unsigned char)*c->at++;
		v |= (uint64_t)(b & 0x7f) << shift;
		if (b < 0x80)
			return v;
	}
	c->bad = true;
	return 0;
}

static int64_t
get_number(struct cursor *c)
{
	uint64_t v = get_varint(c);

	return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

static const char *
get_text(struct cursor *c)
{
	uint64_t len = get_varint(c);
	const char *s = c->at;

	if (c->bad || len >= (uint64_t)(c->end - c->at) || s[len] != '\0' ||
		strlen(s) != len) {
		c->bad = true;
		return NULL;
	}
	c->at += len + 1;
	return s;
}

/* v as an int in [0, max]. */
static int
bounded(struct cursor *c, int64_t v, int max)
{
	if (v < 0 || v > max) {
		c->bad = true;
		return 0;
	}
	return (int)v;
}

static void
set_number(struct cursor *c, struct call_event *ev, uint64_t field, int64_t v)
{
	switch (field) {
	case FIELD_TYPE:
		/* A type of a newer daemon is one that means nothing to us. */
		if (v < 0 || v >= CALL_EVENT_TYPES)
			c->bad = true;
		else
			ev->type = (enum call_event_type)v;
		break;
	case FIELD_STATE:
		ev->state = (enum call_channel_state)bounded(c, v, CALL_STATE_BUSY);
		break;
	case FIELD_OTHER_STATE:
		ev->other_state =
			(enum call_channel_state)bounded(c, v, CALL_STATE_BUSY);
		break;
	case FIELD_RESULT:
		ev->result = (enum call_result)bounded(c, v, CALL_RESULT_INVALID);
		break;
	case FIELD_FLAGS: ev->flags = (unsigned)v; break;
	case FIELD_CAUSE: ev->cause = bounded(c, v, INT16_MAX); break;
	case FIELD_POSITION: ev->position = bounded(c, v, INT32_MAX); break;
	case FIELD_AGE: ev->age_ms = v; break;
	case FIELD_AT: ev->at_us = v; break;
	}
}

static void
set_text(struct cursor *c, struct call_event *ev, struct call_var *vars, uint64_t field,
	const char *s)
{
	if (field >= FIELD_TEXTS && field < FIELD_TEXTS + TEXT_COUNT) {
		memcpy((char *)ev + text_offsets[field - FIELD_TEXTS], &s, sizeof(s));
	} else if (field == FIELD_VAR_NAME) {
		if (ev->n_vars == CALL_VARS_MAX) {
			c->bad = true;
			return;
		}
		vars[ev->n_vars++] = (struct call_var){s, ""};
	} else if (field == FIELD_VAR_VALUE) {
		if (ev->n_vars == 0)
			c->bad = true;
		else
			vars[ev->n_vars - 1].value = s;
	}
}

int
call_event_decode(
	const void *data, size_t len, struct call_event *ev, struct call_var *vars_r)
{
	struct cursor c = {data, (const char *)data + len, false};

	memset(ev, 0, sizeof(*ev));
	ev->vars = vars_r;
	if (len < 1 || *c.at++ != CODEC_VERSION)
		return -1;
	while (c.at < c.end && !c.bad) {
		uint64_t number = get_varint(&c);
		if (c.bad)
			break;
		if (number & 1) {
			const char *s = get_text(&c);
			if (s)
				set_text(&c, ev, vars_r, number >> 1, s);
		} else {
			set_number(&c, ev, number >> 1, get_number(&c));
		}
	}
	return c.bad ? -1 : 0;
}
