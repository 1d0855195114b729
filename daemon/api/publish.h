/* publish.h - what changed here, told to everybody: an object's event, and one for each
 * contact that it took in. */
#ifndef INTERACTD_API_PUBLISH_H
#define INTERACTD_API_PUBLISH_H

#include <api/app.h>

/* As events_told, the object's as the nth event of the stamp; for each id in the object's
 * "absorbed" a contact.merged follows, as the next ones. */
void publish_object(struct app *, const struct tenant *, const struct event_stamp *,
	unsigned nth, const char *type, const char *object, const char *changes);

#endif
