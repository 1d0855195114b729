/* publish.c - see publish.h. */
#include <api/publish.h>

#include <mem.h>

#include <jansson.h>

#include <string.h>

/* Unnamed contacts that the change made part of this one. */
static void
publish_absorbed(struct app *app, const struct tenant *tenant,
	const struct event_stamp *stamp, unsigned nth, const char *object)
{
	size_t i;
	json_t *id, *contact = json_loads(object, 0, NULL);
	json_array_foreach(json_object_get(contact, "absorbed"), i, id)
	{
		char *changes =
			xasprintf("{\"absorbed\":\"%s\"}", json_string_value(id));
		events_told(app->events, tenant, stamp, nth + (unsigned)i + 1,
			"contact.merged", object, changes);
		xfree(&changes);
	}
	json_decref(contact);
}

void
publish_object(struct app *app, const struct tenant *tenant,
	const struct event_stamp *stamp, unsigned nth, const char *type,
	const char *object, const char *changes)
{
	events_told(app->events, tenant, stamp, nth, type, object, changes);
	if (strstr(object, "\"absorbed\""))
		publish_absorbed(app, tenant, stamp, nth, object);
}
