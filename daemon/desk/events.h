/* events.h - what changed, told on interactd:<tenant>:events (and later to webhooks). */
#ifndef INTERACTD_DESK_EVENTS_H
#define INTERACTD_DESK_EVENTS_H

#include <io/redis.h>
#include <people/store.h>

struct events;

struct events *events_new(struct loop *, struct redis *);
void events_free(struct events **);
/* type: "interaction.created"; object: JSON object text (never NULL); changes: JSON object
 * text or NULL (= {}). Published at once if Redis is up; while it is away at most 1000
 * wait, the oldest go first, counted. */
void events_publish(struct events *, const struct tenant *, const char *type,
	const char *object, const char *changes);
unsigned long long events_dropped(const struct events *);

#endif
