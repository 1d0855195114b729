/* embedded.h - files that travel inside the binary: migrations, statements, scripts.
 *
 * The Makefile makes the array from conf/sql, daemon/X/X.sql, daemon/api/openapi.json
 * daemon/desk/X.lua and daemon/web; names are paths from the top of the source tree. */
#ifndef INTERACTD_BASE_EMBEDDED_H
#define INTERACTD_BASE_EMBEDDED_H

#include <stddef.h>

struct embedded {
	const char *name;
	const char *data; /* ends with NUL */
	size_t len;
};
extern const struct embedded embedded_files[]; /* sorted by name, ends with NULL name */

/* NULL if there is no such file. */
const struct embedded *embedded_find(const char *name);

#endif
