/* event.h - the identity of an event, made before the change it tells of is written.
 *
 * A change is stamped first. Where webhooks want to be told, the transaction that makes
 * the change also writes the event's row under that stamp (conf/sql/022-webhooks.sql);
 * what is published on Redis after the commit carries the same id and time. One change
 * may have several events: its n-th has the stamp's id with n in the last two bytes. */
#ifndef INTERACTD_PEOPLE_EVENT_H
#define INTERACTD_PEOPLE_EVENT_H

#include <io/pg.h>
#include <stdbool.h>
#include <stdint.h>
#include <uuid.h>

struct tenant;

struct event_stamp {
	struct uuid id; /* the last two bytes are 0 */
	int64_t at_us;	/* whole milliseconds */
	bool kept;	/* somebody wants its row written */
};

struct event_stamp event_stamp_new(bool kept);
/* Where a room asks for one: events_stamp of desk/events.h, from above. */
typedef struct event_stamp event_stamp_fn(void *arg, const struct tenant *);
/* The first event of the n-th of several contacts changed at once, n from 1 (see
 * contacts_events in 022-webhooks.sql). */
#define EVENT_OF_NTH(n) ((unsigned)(n)*256)
struct uuid event_nth(const struct event_stamp *, unsigned n);
/* Two parameters: the id (NULL if stamp is NULL or not kept) and the time. */
void event_param(struct pg_unit *, const struct event_stamp *);

#endif
