/* export.h - the exports that run now: made and ended by the API. */
#ifndef INTERACTD_API_EXPORT_H
#define INTERACTD_API_EXPORT_H

#include <api/app.h>

struct exports;

struct exports *exports_new(struct app *);
/* Those that still run are cut off here. */
void exports_free(struct exports **);

#endif
