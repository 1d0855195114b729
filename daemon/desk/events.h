/* events.h - what changed, told on interactd:<tenant>:events and to webhooks.
 *
 * A change that is written to the database is stamped before (events_stamp), its event's
 * row for webhooks is written in its own transaction, and events_told publishes it after
 * the commit. What is written nowhere is published by events_publish; its row, if anybody
 * wants one, is written right after. */
#ifndef INTERACTD_DESK_EVENTS_H
#define INTERACTD_DESK_EVENTS_H

#include <io/redis.h>
#include <people/event.h>
#include <people/store.h>

struct events;

struct events *events_new(struct loop *, struct redis *);
void events_free(struct events **);

/* A stamp for a change that is about to be written. kept only if some webhook of the
 * tenant is told of anything. */
struct event_stamp events_stamp(const struct events *, const struct tenant *);
/* Adds the statement that writes the event's row, if the stamp is kept, to the unit that
 * makes the change. type, object, changes: as events_publish. */
void events_keep(struct pg_unit *, const struct tenant *, const struct event_stamp *,
	unsigned nth, const char *type, const char *object, const char *changes);
/* The change is committed: its nth event is published under its stamp. */
void events_told(struct events *, const struct tenant *, const struct event_stamp *,
	unsigned nth, const char *type, const char *object, const char *changes);

/* type: "interaction.created"; object: JSON object text (never NULL); changes: JSON object
 * text or NULL (= {}). Published at once if Redis is up; while it is away at most 1000
 * wait, the oldest go first, counted. */
void events_publish(struct events *, const struct tenant *, const char *type,
	const char *object, const char *changes);
unsigned long long events_dropped(const struct events *);

/* Told, here and at once, of every event that is published of a contact; object as there.
 * NULL: nobody. */
typedef void events_contact_fn(
	void *arg, const struct tenant *, const char *type, const char *object);
void events_on_contact(struct events *, events_contact_fn *, void *arg);

/* Who keeps events for webhooks (desk/webhook.h). */
struct events_keeper {
	/* Some webhook of the tenant is told of type; NULL: of anything. */
	bool (*wants)(void *arg, const struct tenant *, const char *type);
	/* Writes the row of an event that no transaction wrote. */
	void (*keep)(void *arg, const struct tenant *, const struct event_stamp *,
		const char *type, const char *object, const char *changes);
	/* The row of such an event is committed. */
	void (*kept)(void *arg, const struct tenant *, const char *type);
};
/* NULL: nobody. Borrowed. */
void events_set_keeper(struct events *, const struct events_keeper *, void *arg);

#endif
