/* ami_members.h - what AMI says of queue members and phones, as member events. Pure. */
#ifndef INTERACTD_ASTERISK_AMI_MEMBERS_H
#define INTERACTD_ASTERISK_AMI_MEMBERS_H

#include <channel.h>
#include "ami_fields.h"

typedef void ami_member_event_fn(void *arg, const struct member_event *);

/* Translates one event message; at_us: when it was received; its own Timestamp wins.
 * Calls fn at most once, and returns whether it was such an event. */
bool ami_members_translate(struct ami_fields *, const struct ami_message *,
	int64_t at_us, ami_member_event_fn *, void *arg);

#endif
