/* reads.h - who has read what of whom, for the audit: off the way of those who read.
 *
 * Noted in memory, written together once a second; at most 20,000 wait while the database
 * is away, then further ones are counted as dropped. A crash loses up to a second of them.
 * Ids only, as in all of the audit. */
#ifndef INTERACTD_TIMELINE_READS_H
#define INTERACTD_TIMELINE_READS_H

#include <people/store.h>

struct reads;

struct reads *reads_new(struct store *);
/* Tries to write what waits for deadline_ms, running the loop. */
void reads_stop(struct reads *, unsigned deadline_ms);
/* After the pools are closed: no answer is under way then. */
void reads_free(struct reads **);
/* Copies. action: "contact.read"; kind, id: of what was read; how: "timeline". */
void reads_note(struct reads *, const struct actor *, const char *action,
	const char *kind, const char *id, const char *how);

struct reads_stats {
	size_t waiting;
	unsigned long long written, dropped;
};
void reads_get_stats(const struct reads *, struct reads_stats *);

#endif
