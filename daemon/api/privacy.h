/* privacy.h - people who are to be forgotten: made and ended by the API. */
#ifndef INTERACTD_API_PRIVACY_H
#define INTERACTD_API_PRIVACY_H

#include <api/app.h>

struct eraser;

/* Sees to it that erasures which a crash or an outage of Redis left incomplete are
 * completed: looked for every 5 s while the daemon runs. */
struct eraser *eraser_new(struct app *);
/* What is under way is answered 503; the next daemon goes on with it. */
void eraser_free(struct eraser **);

#endif
