/* ami_members.c - what Asterisk says of queue members and phones.
 *
 * QueueMemberPause is a change somebody made. QueueMemberStatus comes with every ring of
 * a member's phone and repeats how it is, as do the items of QueueStatus (QueueMember).
 * A phone's state is told by DeviceStateChange, live or (with an ActionID) as an item of
 * DeviceStateList; what PeerStatus and ContactStatus tell always comes so too.
 *
 * A Local channel as member has its phone in StateInterface. LastPause stays when a
 * pause ends, and is 0 for a member made anew, so after a restart of Asterisk (recorded
 * with 16 and 22). Next: asterisk_pause.c. */
#include "ami_members.h"

#include <mem.h>
#include <str.h>

#include <string.h>

/* AST_DEVICE_… of Asterisk's devicestate.h, by number (a member's Status) and word. */
static const struct {
	const char *word;
	enum device_state device;
} devices[] = {
	{"UNKNOWN", DEVICE_UNKNOWN},
	{"NOT_INUSE", DEVICE_IDLE},
	{"INUSE", DEVICE_IN_USE},
	{"BUSY", DEVICE_BUSY},
	{"INVALID", DEVICE_INVALID},
	{"UNAVAILABLE", DEVICE_UNAVAILABLE},
	{"RINGING", DEVICE_RINGING},
	{"RINGINUSE", DEVICE_IN_USE},
	{"ONHOLD", DEVICE_ON_HOLD},
};

/* Seconds since 1970, 0 if there are none. */
static int64_t
seconds_us(const char *s)
{
	int64_t seconds;

	return str_int(s, 0, INT32_MAX * INT64_C(8), &seconds) ? seconds * 1000000 : 0;
}

static char *
next_control(const char *s)
{
	while (*s && (unsigned char)*s >= 0x20 && *s != 0x7f)
		s++;
	return *s ? (char *)(uintptr_t)s : NULL;
}

/* Without control characters: a value may hold a bare line feed, and what is said here is
 * passed on to phone systems (channel_pause). */
static const char *
line(struct ami_fields *e, const char *value)
{
	const char *clean = ami_clean(e, value);
	char *copy, *at;

	if (!clean || !next_control(clean))
		return clean;
	copy = (char *)(uintptr_t)ami_keep(e, clean, strlen(clean));
	for (at = copy; at && (at = next_control(at)); at++)
		*at = ' ';
	return copy;
}

static bool
fill_member(struct ami_fields *e, const struct ami_message *m, struct member_event *ev)
{
	const char *name = ami_get_known(m, "Interface"),
		   *status = ami_get(m, "Status");
	const char *phone = ami_get_known(m, "StateInterface");
	int64_t number;

	if (!name)
		name = ami_get_known(m, "Location"); /* so called in lists */
	ev->queue = line(e, ami_get_known(m, "Queue"));
	if (!name || !ev->queue)
		return false;
	ev->interface = line(e, phone ? phone : name);
	if (!str_eq(name, phone))
		ev->member = phone ? line(e, name) : NULL;
	ev->reason = line(e, ami_get_known(m, "PausedReason"));
	ev->last_pause_us = seconds_us(ami_get(m, "LastPause"));
	if (str_int(status, 0, ARRAY_LEN(devices) - 1, &number)) {
		ev->device_said = true;
		ev->device = devices[number].device;
	}
	return ev->interface != NULL;
}

static void
fill_paused(const struct ami_message *m, struct member_event *ev)
{
	const char *paused = ami_get(m, "Paused");

	if (paused)
		ev->paused = str_eq(paused, "1");
}

static bool
on_pause(struct ami_fields *e, const struct ami_message *m, struct member_event *ev)
{
	fill_paused(m, ev);
	return ev->paused >= 0 && fill_member(e, m, ev);
}

static bool
on_added(struct ami_fields *e, const struct ami_message *m, struct member_event *ev)
{
	fill_paused(m, ev);
	return fill_member(e, m, ev);
}

static bool
on_removed(struct ami_fields *e, const struct ami_message *m, struct member_event *ev)
{
	ev->removed = true;
	return fill_member(e, m, ev);
}

static bool
on_status(struct ami_fields *e, const struct ami_message *m, struct member_event *ev)
{
	ev->snapshot = true;
	fill_paused(m, ev);
	return fill_member(e, m, ev);
}

static bool
on_item(struct ami_fields *e, const struct ami_message *m, struct member_event *ev)
{
	return ami_get(m, "ActionID") && on_status(e, m, ev);
}

/* Phones are TECHNOLOGY/name; park:701@lot, Queue:sales_avail and the like are not. */
static bool
on_device(struct ami_fields *e, const struct ami_message *m, struct member_event *ev)
{
	const char *device = ami_get_known(m, "Device"), *state = ami_get(m, "State");
	size_t i = 0;

	if (!device || !state || device[strcspn(device, "/:")] != '/')
		return false;
	while (i < ARRAY_LEN(devices) && !str_eq(devices[i].word, state))
		i++;
	if (i == ARRAY_LEN(devices))
		return false;
	ev->interface = line(e, device);
	ev->device = devices[i].device;
	ev->device_said = true;
	ev->snapshot = ami_get(m, "ActionID") != NULL;
	return ev->interface != NULL;
}

static const struct {
	const char *event;
	bool (*translate)(
		struct ami_fields *, const struct ami_message *, struct member_event *);
} kinds[] = {
	{"DeviceStateChange", on_device},
	{"QueueMember", on_item},
	{"QueueMemberAdded", on_added},
	{"QueueMemberPause", on_pause},
	{"QueueMemberRemoved", on_removed},
	{"QueueMemberStatus", on_status},
};

bool
ami_members_translate(struct ami_fields *e, const struct ami_message *m, int64_t at_us,
	ami_member_event_fn *fn, void *arg)
{
	struct member_event ev = {.paused = -1};
	const char *event =
		m->n && str_ieq(m->lines[0].key, "Event") ? m->lines[0].value : "";
	size_t i = 0;

	if (*event != 'Q' && *event != 'D')
		return false;
	while (i < ARRAY_LEN(kinds) && strcmp(kinds[i].event, event) != 0)
		i++;
	if (i == ARRAY_LEN(kinds) || !kinds[i].translate(e, m, &ev))
		return false;
	ev.at_us = ami_timestamp_us(m, at_us);
	fn(arg, &ev);
	return true;
}
