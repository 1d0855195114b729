/* publish.h - what changed here, told to everybody: an object's event, one for each
 * contact that it took in, and one for the addresses that came to it. */
#ifndef INTERACTD_API_PUBLISH_H
#define INTERACTD_API_PUBLISH_H

#include <api/app.h>

/* As events_told, the object's as the nth event of the stamp (type NULL: none); for each
 * id in the object's "absorbed" a contact.merged follows, and for its "linked" a
 * contact.linked, as the next ones. */
void publish_object(struct app *, const struct tenant *, const struct event_stamp *,
	unsigned nth, const char *type, const char *object, const char *changes);

#endif
