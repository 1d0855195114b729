/* publish.c - see publish.h. */
#include <api/publish.h>

#include <mem.h>

#include <jansson.h>

#include <stdlib.h>
#include <string.h>

/* Contacts that the change made part of this one, and addresses that came to it; as
 * contact_events of conf/sql/030-merge.sql counts them. */
static void
publish_gains(struct app *app, const struct tenant *tenant,
	const struct event_stamp *stamp, unsigned nth, const char *object)
{
	size_t i;
	json_t *id, *contact = json_loads(object, 0, NULL);
	json_t *linked = json_object_get(contact, "linked");
	json_array_foreach(json_object_get(contact, "absorbed"), i, id)
	{
		char *changes =
			xasprintf("{\"absorbed\":\"%s\"}", json_string_value(id));
		events_told(app->events, tenant, stamp, nth + 1, "contact.merged",
			object, changes);
		xfree(&changes);
		nth++;
	}
	if (linked) {
		/* with jsonb's blanks, as in the row for webhooks */
		char *list = json_dumps(linked, 0);
		char *changes = xasprintf("{\"linked\":%s}", list);
		events_told(app->events, tenant, stamp, nth + 1, "contact.linked",
			object, changes);
		xfree(&changes);
		free(list);
	}
	json_decref(contact);
}

void
publish_object(struct app *app, const struct tenant *tenant,
	const struct event_stamp *stamp, unsigned nth, const char *type,
	const char *object, const char *changes)
{
	if (type)
		events_told(app->events, tenant, stamp, nth, type, object, changes);
	if (strstr(object, "\"absorbed\"") || strstr(object, "\"linked\""))
		publish_gains(app, tenant, stamp, nth, object);
}
