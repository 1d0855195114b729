/* export_priv.h - for export*.c only: the kinds of export behind one face. */
#ifndef INTERACTD_TIMELINE_EXPORT_PRIV_H
#define INTERACTD_TIMELINE_EXPORT_PRIV_H

#include <timeline/export.h>

struct export_ops {
	void (*next)(struct export *);
	void (*free)(struct export *);
};

struct export
{
	const struct export_ops *ops;
	struct store *store;
	export_piece_fn *fn;
	void *arg;
};

/* What could not be had, told. */
void export_failed(struct export *, int status, const char *why);

#endif
