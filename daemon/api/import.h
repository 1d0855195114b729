/* import.h - the imports that run now: made and ended by the API. */
#ifndef INTERACTD_API_IMPORT_H
#define INTERACTD_API_IMPORT_H

#include <api/app.h>

struct imports;

struct imports *imports_new(struct app *);
/* Those that still run end here; what they stored stays. */
void imports_free(struct imports **);

#endif
