/* segment_filter.h - a filter over contacts and their history, compiled to SQL.
 *
 *	{"all":[F,…]}  {"any":[F,…]}  {"not":F}  and conditions, one per object:
 *	{"role":"customer"}  {"language":"zh"}  {"timezone":"Asia/Taipei"}  (or a list: any)
 *	{"vip":true}
 *	{"name":{"equals"|"begins"|"contains":"…"}}  or {"exists":true}
 *	{"attribute":{"name":"tier", as name, or "gt","gte","lt","lte":number}}
 *	{"organisation":"<id>"}  {"organisation":{"exists":false}}
 *	{"identity":{"kind","trust" (at least),"begins"}}
 *	{"created":{"after","before"}}  {"updated":{…}}
 *	{"interaction":{"kind","direction","channel","agent","disposition","after","before",
 *		"at_least":1,"at_most"}}                       how many there were
 *	{"last_interaction":{"kind","direction",…,"after","before"}}   when the last one was
 *	{"consent":{"kind":"sms","purpose":"marketing","is":"allowed"}}   or denied, none
 *	{"do_not_contact":true}  {"preferred":"sms"} (or a list: any)
 *	{"suppressed":{"kind":"phone"}}        an address of that kind, or {}: of any, is
 *
 * A time is RFC 3339, a date, or how long ago ("12h", "90d", "8w", "1y"). Of merged
 * contacts the root is found, with what is recorded for its members. Consent is as strict
 * as it can be read: a denial for one address, or of everything, is one.
 *
 * A limited caller (people/sight.h) finds whom they see, is shown of them what they see,
 * and may not ask for the rest: the number of those found would tell it.
 *
 * The SQL is made of constant pieces and $n alone; whatever stands in the filter becomes a
 * value. $1 tenant, $2 and $3 the range of ids asked for ($2, $3], $4 the limit. Pure: no
 * loop, no database. */
#ifndef INTERACTD_TIMELINE_SEGMENT_FILTER_H
#define INTERACTD_TIMELINE_SEGMENT_FILTER_H

#include <buf.h>
#include <jansson.h>
#include <people/sight.h>
#include <stdbool.h>
#include <stdint.h>

#define SEGMENT_BYTES_MAX      16384 /* of a filter's text */
#define SEGMENT_DEPTH_MAX      8
#define SEGMENT_CONDITIONS_MAX 50
#define SEGMENT_JOINS_MAX      10  /* conditions on history and identities */
#define SEGMENT_VALUES_MAX     200 /* all of them */
#define SEGMENT_FIRST_VALUE    5   /* $5 */

struct segment_filter {
	struct buf joins, where;
	struct buf values; /* texts, each ended by NUL */
	size_t offsets[SEGMENT_VALUES_MAX];
	unsigned n_values, n_joins, n_conditions;
	bool is_limited;
	unsigned roles, attributes; /* $n of what the caller sees; 0 = all */
	char why[256];		    /* what is wrong with it; "" = nothing */
};

/* filter NULL or {} = everybody. sight: the caller's, NULL = everything. now_us: what "90d"
 * counts from. Pairs with fini, also when false. */
bool segment_filter_init(struct segment_filter *, const json_t *filter,
	const struct sight *, int64_t now_us);
void segment_filter_fini(struct segment_filter *);
/* The statements: rows (id, object) by id; one row, the number. wishes: the objects of
 * contacts that have any wishes have `preferences` too. */
void
segment_filter_page_sql(const struct segment_filter *, bool wishes, struct buf *sql);
void segment_filter_count_sql(const struct segment_filter *, struct buf *sql);

#endif
