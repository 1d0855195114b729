/* suppressions.h - imports of do-not-call lists under way, for api.c. */
#ifndef INTERACTD_API_SUPPRESSIONS_H
#define INTERACTD_API_SUPPRESSIONS_H

#include <api/app.h>

struct suppression_imports;

struct suppression_imports *suppression_imports_new(void);
/* Answers 503 to those that run; NULL-safe. */
void suppression_imports_free(struct suppression_imports **);

#endif
