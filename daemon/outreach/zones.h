/* zones.h - every time zone of this machine, read once at start, and which of them a
 * country's people may live in.
 *
 * Names are looked up in what was read, never on disk, so that none can lead anywhere.
 * Immutable after zones_load; any thread may ask. */
#ifndef INTERACTD_OUTREACH_ZONES_H
#define INTERACTD_OUTREACH_ZONES_H

#include <outreach/zone.h>

#define ZONES_DIR	  "/usr/share/zoneinfo" /* Debian's package tzdata */
#define ZONES_COUNTRY_MAX 32			/* that differ, of one country */

/* Those of a country that have differed since 2020: 8 of the 29 of the US. */
struct zone_list {
	size_t n;
	const struct zone *zones[ZONES_COUNTRY_MAX];
};

struct zones;

/* dir: ZONES_DIR; tests have others. Blocks for some 30 ms. NULL and err: the directory
 * or its zone1970.tab (or zone.tab) cannot be read. Files in it that are no zones are
 * left out. Returns, caller frees. */
struct zones *zones_load(const char *dir, struct err *);
void zones_free(struct zones **);
/* dir has a zone of that name: for a look before all are read. */
bool zones_has(const char *dir, const char *name);
/* Any name of the tz database, old ones too ("Asia/Taipei", "ROC"); NULL: unknown. */
const struct zone *zones_find(const struct zones *, const char *name);
/* country: ISO 3166 in capitals. NULL: no such country, or nobody lives there. */
const struct zone_list *zones_country(const struct zones *, const char *country);
size_t zones_count(const struct zones *);

#endif
