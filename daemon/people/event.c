/* event.c - stamps; what is done with them in the database is in 022-webhooks.sql, and
 * what is published is made in desk/events.c. */
#include <people/event.h>

#include <clock.h>

struct event_stamp
event_stamp_new(bool kept)
{
	int64_t now = clock_wall_us();
	struct event_stamp s = {.at_us = now - now % 1000, .kept = kept};

	s.id = uuid_new(s.at_us);
	s.id.b[14] = s.id.b[15] = 0;
	return s;
}

struct uuid
event_nth(const struct event_stamp *s, unsigned n)
{
	struct uuid id = s->id;

	id.b[14] = (unsigned char)(n >> 8);
	id.b[15] = (unsigned char)n;
	return id;
}

void
event_param(struct pg_unit *u, const struct event_stamp *s)
{
	pg_param_uuid(u, s && s->kept ? &s->id : NULL);
	pg_param_int(u, s ? s->at_us : 0);
}
