/* start.h - from nothing to running: intake, the database prepared, the lease. */
#ifndef INTERACTD_API_START_H
#define INTERACTD_API_START_H

#include <api/app.h>

/* Begins: with PostgreSQL there, channels once the lease is held; without it at once. */
void start_begin(struct app *);
/* Its timers and thread end; the lease and the pools may still tell it something. Good
 * for an app that never began. */
void start_end(struct app *);
/* When those are closed too. */
void start_free(struct app *);

#endif
