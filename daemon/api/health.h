/* health.h - what does not work now, since when, why, and what to do about it.
 *
 * Looked at every second and when somebody asks (/readyz). A trouble's beginning and end
 * are logged, the end with how long it took and what had waited. Texts come from servers
 * and the kernel; none of them holds a secret of the configuration. */
#ifndef INTERACTD_API_HEALTH_H
#define INTERACTD_API_HEALTH_H

#include <json.h>

struct app;
struct health;

struct health *health_new(struct app *);
void health_free(struct health **);
/* "failing": [{"what", "since", "why", "do"}], oldest first. */
void health_put(struct health *, struct json_out *);

#endif
