/* ami_events.h - AMI events as call events. Pure: one message in, at most a few out. */
#ifndef INTERACTD_ASTERISK_AMI_EVENTS_H
#define INTERACTD_ASTERISK_AMI_EVENTS_H

#include <channel.h>
#include "ami.h"

typedef void ami_call_event_fn(void *arg, const struct call_event *);

/* Room for one connection's translations. */
struct ami_events;
struct ami_events *ami_events_new(void);
void ami_events_free(struct ami_events **);
/* After a restart of the phone system: whatever was kept between messages is forgotten. */
void ami_events_reset(struct ami_events *);

/* Translates one event message (a message with an "Event" line). at_us: when it was
 * received; its own Timestamp wins. Returns whether it was one that matters to calls.
 * List items (CoreShowChannel, Status, QueueEntry, ParkedCall with an ActionID) become
 * SNAPSHOT_… events; the caller brackets them with SNAPSHOT_BEGIN and _END. */
bool ami_events_translate(struct ami_events *, const struct ami_message *,
	int64_t at_us, ami_call_event_fn *, void *arg);

/* The same room for what is no event of a call (ami_members.h), emptied. */
struct ami_fields;
struct ami_fields *ami_events_fields(struct ami_events *);

#endif
