/* embedded.c - looking up a file that travels inside the binary.
 *
 * The table itself is made by the Makefile with tests/lib/embed.py. It has a few dozen
 * entries and is asked at start only, so a plain walk does. */
#include <base/embedded.h>

#include <string.h>

const struct embedded *
embedded_find(const char *name)
{
	for (const struct embedded *e = embedded_files; e->name; e++)
		if (!strcmp(e->name, name))
			return e;
	return NULL;
}
