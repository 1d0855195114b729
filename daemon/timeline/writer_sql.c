/* writer_sql.c - units as the arrays that conf/sql/003-timeline.sql unnests.
 *
 * One table per struct says which field goes where; its order is the order of the
 * function's parameters. A test saves and reads back every field. */
#include <timeline/writer_priv.h>

#include <mem.h>
#include <str.h>

#include <assert.h>
#include <stdalign.h>
#include <string.h>

#define F(name, type, member)                                                          \
	{                                                                              \
		name, type, offsetof(struct interaction, member)                       \
	}
const struct field interaction_fields[] = {
	F("tenant", FIELD_TENANT, tenant),
	F("id", FIELD_UUID, id),
	F("absorbed_by", FIELD_UUID, absorbed_by),
	F("kind", FIELD_TEXT, kind),
	F("direction", FIELD_TEXT, direction),
	F("channel", FIELD_TEXT, channel),
	F("external_id", FIELD_TEXT, external_id),
	F("state", FIELD_TEXT, state),
	F("agent", FIELD_TEXT, agent),
	F("queue", FIELD_TEXT, queue),
	F("remote_kind", FIELD_TEXT, remote_kind),
	F("remote_value", FIELD_TEXT, remote_value),
	F("remote_normal", FIELD_BOOL, remote_normal),
	F("remote_display", FIELD_TEXT, remote_display),
	F("withheld", FIELD_BOOL, withheld),
	F("trust", FIELD_TRUST, trust),
	F("local", FIELD_TEXT, local),
	F("at", FIELD_TIME, at_us),
	F("answered_at", FIELD_TIME, answered_us),
	F("ended_at", FIELD_TIME, ended_us),
	F("summary", FIELD_TEXT, summary),
	F("variables", FIELD_TEXT, variables),
	F("details", FIELD_TEXT, details),
	F("disposition", FIELD_TEXT, disposition),
	F("wait_ms", FIELD_MS, wait_ms),
	F("talk_ms", FIELD_MS, talk_ms),
	F("hold_ms", FIELD_MS, hold_ms),
	F("contact", FIELD_UUID, contact),
	F("no_contact", FIELD_BOOL, no_contact),
	F("new_contact", FIELD_UUID, new_contact),
};
const size_t interaction_n_fields = ARRAY_LEN(interaction_fields);
#undef F

#define F(name, type, member)                                                          \
	{                                                                              \
		name, type, offsetof(struct interaction_leg, member)                   \
	}
const struct field leg_fields[] = {
	F("id", FIELD_UUID, id),
	F("type", FIELD_TEXT, type),
	F("agent", FIELD_TEXT, agent),
	F("interface", FIELD_TEXT, interface),
	F("queue", FIELD_TEXT, queue),
	F("result", FIELD_TEXT, result),
	F("at", FIELD_TIME, at_us),
	F("answered_at", FIELD_TIME, answered_us),
	F("ended_at", FIELD_TIME, ended_us),
};
const size_t leg_n_fields = ARRAY_LEN(leg_fields);
#undef F

/* --- copying --- */

static const char **
text_of(void *object, const struct field *f)
{
	return (const char **)(void *)((char *)object + f->offset);
}

/* Room for a copy of s made valid: a bad byte becomes three. */
static size_t
text_room(const char *s)
{
	size_t len = s ? strlen(s) : 0;

	return s ? (utf8_valid(s, len) ? len : 3 * len) + 1 : 0;
}

static size_t
texts_room(const void *object, const struct field *fields, size_t n)
{
	size_t room = 0;

	for (size_t i = 0; i < n; i++)
		if (fields[i].type == FIELD_TEXT)
			room += text_room(*(const char *const *)(const void
					*)((const char *)object + fields[i].offset));
	return room;
}

static char *
text_copy(char *at, const char **text)
{
	size_t len = strlen(*text);
	struct buf clean = BUF_INIT;

	if (utf8_valid(*text, len)) {
		memcpy(at, *text, len + 1);
	} else {
		utf8_clean(&clean, *text, len);
		len = clean.len;
		memcpy(at, buf_str(&clean), len + 1);
		buf_fini(&clean);
	}
	*text = at;
	return at + len + 1;
}

/* Points the object's texts to copies at `at`; returns where the next may go. */
static char *
texts_copy(char *at, void *object, const struct field *fields, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char **text;

		if (fields[i].type != FIELD_TEXT)
			continue;
		text = text_of(object, &fields[i]);
		if (*text)
			at = text_copy(at, text);
	}
	return at;
}

static char *
interaction_copy(struct writer_unit *u, const struct interaction *in)
{
	struct interaction_leg *legs = (struct interaction_leg *)(void *)u->memory;
	char *at = u->memory + in->n_legs * sizeof(*legs);

	u->in = *in;
	u->has_interaction = true;
	at = texts_copy(at, &u->in, interaction_fields, interaction_n_fields);
	for (size_t i = 0; i < in->n_legs; i++) {
		legs[i] = in->legs[i];
		at = texts_copy(at, &legs[i], leg_fields, leg_n_fields);
	}
	u->in.legs = legs;
	if (in->event) {
		u->event = *in->event;
		u->event.object = u->event_object = xstrdup(in->event->object);
		u->event.new_contact = u->event_contact =
			xstrdup(in->event->new_contact);
		u->in.event = &u->event;
	}
	return at;
}

static size_t
interaction_room(const struct interaction *in)
{
	size_t room = in->n_legs * sizeof(struct interaction_leg);

	room += texts_room(in, interaction_fields, interaction_n_fields);
	for (size_t i = 0; i < in->n_legs; i++)
		room += texts_room(&in->legs[i], leg_fields, leg_n_fields);
	return room;
}

struct writer_unit *
writer_unit_new(const struct tenant *tenant, const struct interaction *in,
	const struct checkpoint *checkpoint)
{
	static_assert(offsetof(struct writer_unit, memory) %
				      alignof(struct interaction_leg) ==
			      0,
		"legs stand at the beginning of memory");
	const char *channel = checkpoint ? checkpoint->channel : NULL;
	size_t room = (in ? interaction_room(in) : 0) + text_room(channel);
	struct writer_unit *u = xcalloc(1, sizeof(*u) + room);
	char *at = u->memory;

	list_init(&u->older);
	u->tenant = tenant;
	if (in)
		at = interaction_copy(u, in);
	if (channel) {
		u->checkpoint = *checkpoint;
		text_copy(at, &u->checkpoint.channel);
	}
	return u;
}

void
writer_unit_free(struct writer_unit *u)
{
	list_for_each_safe (&u->older, it)
		writer_unit_free(LIST_ENTRY(it, struct writer_unit, link));
	xfree(&u->event_object);
	xfree(&u->event_contact);
	xfree(&u);
}

/* --- arrays --- */

static void
add_number(struct pg_unit *q, bool null, int64_t v)
{
	if (null)
		pg_array_add(q, NULL);
	else
		pg_array_add_int(q, v);
}

static void
add_field(struct pg_unit *q, const void *object, const struct field *f)
{
	const void *p = (const char *)object + f->offset;

	switch (f->type) {
	case FIELD_TEXT: pg_array_add(q, *(const char *const *)p); break;
	case FIELD_UUID: pg_array_add_uuid(q, p); break;
	case FIELD_BOOL: pg_array_add_bool(q, *(const bool *)p); break;
	case FIELD_TIME:
		add_number(q, *(const int64_t *)p == 0, *(const int64_t *)p);
		break;
	case FIELD_MS:
		add_number(q, *(const int64_t *)p < 0, *(const int64_t *)p);
		break;
	case FIELD_TRUST: pg_array_add_int(q, *(const enum trust *)p); break;
	case FIELD_TENANT:
		pg_array_add_int(q, (*(const struct tenant *const *)p)->id);
		break;
	}
}

#define for_each_unit(units, u)                                                        \
	list_for_each (units, it_)                                                     \
		for (const struct writer_unit *u =                                     \
				LIST_ENTRY(it_, struct writer_unit, link);             \
			u; u = NULL)

static void
add_interactions(struct pg_unit *q, const struct list *units)
{
	for (size_t i = 0; i < interaction_n_fields; i++) {
		pg_array_begin(q);
		for_each_unit(units, u) if (u->has_interaction)
			add_field(q, &u->in, &interaction_fields[i]);
		pg_array_end(q);
	}
}

/* To which unit, counted from 1, each leg belongs. */
static void
add_leg_owners(struct pg_unit *q, const struct list *units)
{
	int64_t n = 0;

	pg_array_begin(q);
	for_each_unit(units, u)
	{
		if (!u->has_interaction)
			continue;
		n++;
		for (size_t i = 0; i < u->in.n_legs; i++)
			pg_array_add_int(q, n);
	}
	pg_array_end(q);
}

static void
add_legs(struct pg_unit *q, const struct list *units)
{
	add_leg_owners(q, units);
	for (size_t f = 0; f < leg_n_fields; f++) {
		pg_array_begin(q);
		for_each_unit(units,
			u) for (size_t i = 0; u->has_interaction && i < u->in.n_legs;
				i++) add_field(q, &u->in.legs[i], &leg_fields[f]);
		pg_array_end(q);
	}
}

/* column: 0 = tenant, 1 = channel, 2 = sequence. */
static void
add_checkpoint(struct pg_unit *q, const struct writer_unit *u, int column)
{
	if (u->checkpoint.channel) {
		if (column == 0)
			pg_array_add_int(q, u->tenant->id);
		else if (column == 1)
			pg_array_add(q, u->checkpoint.channel);
		else
			pg_array_add_int(q, (int64_t)u->checkpoint.seq);
	}
	for_each_unit(&u->older, old) add_checkpoint(q, old, column);
}

/* --- events --- */

/* The parameters e_* of interactions_save_told. */
enum event_column {
	EVENT_UNIT,
	EVENT_FIRST,
	EVENT_ID,
	EVENT_AT,
	EVENT_ENDED,
	EVENT_QUIET,
	EVENT_OBJECT,
	EVENT_CONTACT,
	EVENT_COLUMNS,
};

static void
add_event(struct pg_unit *q, const struct interaction_event *e, int64_t unit,
	bool first, enum event_column column)
{
	if (!e)
		return;
	switch (column) {
	case EVENT_UNIT: pg_array_add_int(q, unit); break;
	case EVENT_FIRST: pg_array_add_bool(q, first); break;
	case EVENT_ID: pg_array_add_uuid(q, &e->stamp.id); break;
	case EVENT_AT: pg_array_add_int(q, e->stamp.at_us); break;
	case EVENT_ENDED: pg_array_add_bool(q, e->ended); break;
	case EVENT_QUIET: pg_array_add_bool(q, e->quiet); break;
	case EVENT_OBJECT: pg_array_add(q, e->object); break;
	case EVENT_CONTACT: pg_array_add(q, e->new_contact); break;
	case EVENT_COLUMNS: break;
	}
}

/* In the order the savings were given, as their callbacks come. */
static void
add_unit_events(struct pg_unit *q, const struct writer_unit *u, int64_t n,
	enum event_column column)
{
	for_each_unit(&u->older, old)
		add_event(q, old->in.event, n, &old->link == u->older.next, column);
	add_event(q, u->in.event, n, list_is_empty(&u->older), column);
}

static void
add_events(struct pg_unit *q, const struct list *units, enum event_column column)
{
	int64_t n = 0;

	pg_array_begin(q);
	for_each_unit(units, u) if (u->has_interaction)
		add_unit_events(q, u, ++n, column);
	pg_array_end(q);
}

static bool
has_events(const struct list *units)
{
	for_each_unit(units, u) if (u->in.event || has_events(&u->older)) return true;
	return false;
}

void
writer_sql_save(struct pg_unit *q, const struct list *units)
{
	bool told = has_events(units);

	pg_add(q, told ? "interactions_save_told" : "interactions_save");
	add_interactions(q, units);
	add_legs(q, units);
	for (int column = 0; column < 3; column++) {
		pg_array_begin(q);
		for_each_unit(units, u) add_checkpoint(q, u, column);
		pg_array_end(q);
	}
	for (int column = 0; told && column < EVENT_COLUMNS; column++)
		add_events(q, units, (enum event_column)column);
}

void
writer_sql_checkpoints(struct pg_unit *q, const struct writer_unit *u)
{
	pg_add(q, "checkpoints_save");
	for (int column = 0; column < 3; column++) {
		pg_array_begin(q);
		add_checkpoint(q, u, column);
		pg_array_end(q);
	}
}
