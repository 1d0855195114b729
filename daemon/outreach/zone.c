/* zone.c - TZif to a table of transitions, and what it tells.
 *
 * Only offsets matter here: transitions that change a name or a flag but no offset are
 * left out. Invariant: `at` rises strictly, offset[i] holds from at[i] to at[i + 1],
 * `before` until at[0]; from the last one on the footer's rule holds, if there is one. */
#include <outreach/zone.h>

#include <base/calendar.h>
#include <mem.h>
#include <outreach/zone_rule.h>
#include <str.h>

#include <assert.h>
#include <string.h>

#define HEADER_LEN     44
#define TRANSITION_MAX 4096 /* in a file; real ones have some 240 */
#define TYPE_MAX       256
#define YEAR_S	       INT64_C(31556952) /* of the calendar's average year */
/* Nothing that is asked about lies further away, in seconds. */
#define TIME_MAX INT64_C(10000000000000)
/* Nor does any zone change then: so that what is added to it is still a time. */
#define CHANGE_MAX (TIME_MAX - 100 * YEAR_S)
#define RULE_CUTS  6 /* beginnings and ends of three years */

struct zone {
	char name[ZONE_NAME_MAX + 1];
	size_t n;
	int32_t before;
	bool has_rule;
	struct zone_rule rule;
	int64_t *at;
	int32_t *offset;
};

/* ---- Parsing ---- */

struct counts {
	uint32_t isut, isstd, leap, time, type, chars;
};

static uint32_t
be32(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int64_t
be64(const unsigned char *p)
{
	return (int64_t)((uint64_t)be32(p) << 32 | be32(p + 4));
}

/* The rest of the bytes; a step past the end sets `bad` and gives none. */
struct bytes {
	const unsigned char *at;
	size_t left;
	bool bad;
};

static const unsigned char *
take(struct bytes *in, size_t n)
{
	const unsigned char *p = in->at;

	if (in->bad || n > in->left) {
		in->bad = true;
		return NULL;
	}
	in->at += n;
	in->left -= n;
	return p;
}

static int
read_header(struct bytes *in, struct counts *c, struct err *err)
{
	const unsigned char *p = take(in, HEADER_LEN);

	if (!p || memcmp(p, "TZif", 4) != 0)
		return err_set(err, "no TZif file");
	if (p[4] < '2')
		return err_set(err, "TZif version 1, without times after 2037");
	*c = (struct counts){be32(p + 20), be32(p + 24), be32(p + 28), be32(p + 32),
		be32(p + 36), be32(p + 40)};
	if (c->time > TRANSITION_MAX || c->type > TYPE_MAX || c->leap > 1000 ||
		c->chars > 4096 || c->isut > TYPE_MAX || c->isstd > TYPE_MAX)
		return err_set(err, "damaged: counts that are too large");
	return 0;
}

static size_t
block_len(const struct counts *c, size_t time_size)
{
	return c->time * time_size + c->time + c->type * 6 + c->chars +
	       c->leap * (time_size + 4) + c->isstd + c->isut;
}

/* Offsets of the types; they are used in the order of the file. */
static int
read_types(const unsigned char *p, uint32_t n, int32_t *offsets, struct err *err)
{
	for (uint32_t i = 0; i < n; i++) {
		offsets[i] = (int32_t)be32(p + 6 * i);
		if (offsets[i] >= ZONE_OFFSET_MAX || offsets[i] <= -ZONE_OFFSET_MAX)
			return err_set(err, "damaged: an offset of more than 26 h");
	}
	return 0;
}

static int
add_transition(struct zone *z, int64_t at, int32_t offset, struct err *err)
{
	if (at > CHANGE_MAX)
		return err_set(err, "damaged: a transition in 300,000 years");
	if (z->n && at <= z->at[z->n - 1])
		return err_set(err, "damaged: transitions out of order");
	if (offset == (z->n ? z->offset[z->n - 1] : z->before))
		return 0;
	z->at[z->n] = at;
	z->offset[z->n++] = offset;
	return 0;
}

static int
read_block(struct zone *z, struct bytes *in, const struct counts *c, struct err *err)
{
	int32_t types[TYPE_MAX];
	const unsigned char *times = take(in, c->time * 8), *which = take(in, c->time);
	const unsigned char *type = take(in, c->type * 6);

	take(in, block_len(c, 8) - c->time * 9 - c->type * 6);
	if (in->bad || c->type == 0)
		return err_set(err, "damaged: too short");
	if (read_types(type, c->type, types, err) < 0)
		return -1;
	z->before = types[0];
	z->at = xcalloc(c->time + 1, sizeof(*z->at));
	z->offset = xcalloc(c->time + 1, sizeof(*z->offset));
	for (uint32_t i = 0; i < c->time; i++)
		if (which[i] >= c->type)
			return err_set(err, "damaged: a type that is not there");
		else if (add_transition(z, be64(times + 8 * i), types[which[i]], err) <
			 0)
			return -1;
	return 0;
}

/* "\nRULE\n", or "\n\n" without one. */
static int
read_footer(struct zone *z, struct bytes *in, struct err *err)
{
	const char *text = (const char *)take(in, 1);
	const char *end = text ? memchr(text + 1, '\n', in->left) : NULL;

	if (!text || *text != '\n' || !end)
		return err_set(err, "damaged: no footer");
	text++;
	z->has_rule = end > text;
	if (z->has_rule && !zone_rule_parse(text, (size_t)(end - text), &z->rule))
		return err_set(err, "damaged: a footer that is no rule");
	return 0;
}

static int
read_zone(struct zone *z, struct bytes *in, struct err *err)
{
	struct counts c;

	if (read_header(in, &c, err) < 0)
		return -1;
	take(in, block_len(&c, 4)); /* the 32-bit times are all in the next block too */
	if (read_header(in, &c, err) < 0)
		return -1;
	if (c.leap)
		return err_set(err, "counts leap seconds, as no other clock does");
	if (read_block(z, in, &c, err) < 0)
		return -1;
	return read_footer(z, in, err);
}

struct zone *
zone_parse(const char *name, const void *data, size_t len, struct err *err)
{
	struct zone *z = xcalloc(1, sizeof(*z));
	struct bytes in = {data, len, false};

	str_copy(z->name, sizeof(z->name), name);
	if (len > ZONE_FILE_MAX) {
		err_set(err, "too large");
		zone_free(&z);
	} else if (read_zone(z, &in, err) < 0) {
		zone_free(&z);
	}
	return z;
}

void
zone_free(struct zone **zp)
{
	if (!*zp)
		return;
	xfree(&(*zp)->at);
	xfree(&(*zp)->offset);
	xfree(zp);
}

const char *
zone_name(const struct zone *z)
{
	return z->name;
}

const struct zone *
zone_utc(void)
{
	static const struct zone utc = {.name = "UTC"};

	return &utc;
}

/* ---- Asking ---- */

struct cut {
	int64_t at;
	int32_t offset; /* from then on */
};

/* Sorted by time. At the same time the end of one year's daylight saving comes before
 * the beginning of the next one's: a zone that is always on it never leaves it. */
static void
insert_cut(struct cut *cuts, size_t n, struct cut c, bool is_start)
{
	while (n > 0 &&
		(cuts[n - 1].at > c.at || (cuts[n - 1].at == c.at && !is_start))) {
		cuts[n] = cuts[n - 1];
		n--;
	}
	cuts[n] = c;
}

static struct zone_span
rule_span(const struct zone_rule *rule, int64_t t)
{
	struct zone_span s = {ZONE_FIRST, ZONE_LAST, rule->std};
	struct cut cuts[RULE_CUTS];
	int year, month, day;
	size_t n = 0;

	if (!rule->has_dst)
		return s;
	calendar_date(calendar_floor_div(t, 86400), &year, &month, &day);
	for (int y = year - 1; y <= year + 1; y++) {
		insert_cut(cuts, n++, (struct cut){zone_rule_start(rule, y), rule->dst},
			true);
		insert_cut(cuts, n++, (struct cut){zone_rule_end(rule, y), rule->std},
			false);
	}
	s.offset = cuts[0].offset == rule->dst ? rule->std : rule->dst;
	for (size_t i = 0; i < n; i++) {
		if (cuts[i].at > t) {
			s.until = cuts[i].at;
			break;
		}
		s.since = cuts[i].at;
		s.offset = cuts[i].offset;
	}
	return s;
}

/* How many transitions are at or before t. */
static size_t
transitions_until(const struct zone *z, int64_t t)
{
	size_t low = 0, high = z->n;

	while (low < high) {
		size_t mid = (low + high) / 2;
		if (z->at[mid] <= t)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

struct zone_span
zone_span(const struct zone *z, int64_t t)
{
	size_t n = transitions_until(z, t);
	int64_t since = n ? z->at[n - 1] : ZONE_FIRST;

	assert(t >= -TIME_MAX && t <= TIME_MAX);
	if (n == z->n && z->has_rule) {
		struct zone_span s = rule_span(&z->rule, t);
		s.since = s.since < since ? since : s.since;
		return s;
	}
	return (struct zone_span){since, n < z->n ? z->at[n] : ZONE_LAST,
		n ? z->offset[n - 1] : z->before};
}

int64_t
zone_instant(const struct zone *z, int64_t local, enum zone_fold fold)
{
	struct zone_span s = zone_span(z, local - ZONE_OFFSET_MAX);
	int64_t found = ZONE_LAST;

	for (;;) {
		int64_t t = local - s.offset;
		if (t < s.since && found == ZONE_LAST)
			found = s.since; /* clocks were put forward past it */
		else if (t >= s.since && t < s.until)
			found = t;
		if (found != ZONE_LAST && fold == ZONE_FIRST_TIME)
			return found;
		if (s.until > local + ZONE_OFFSET_MAX)
			return found;
		s = zone_span(z, s.until);
	}
}

bool
zone_same_since(const struct zone *a, const struct zone *b, int64_t t)
{
	/* Past all transitions in the files a rule repeats itself within 400 years; that
	 * rules which agree for a few years differ later is not known of any. */
	int64_t last = t;

	if (a->n && a->at[a->n - 1] > last)
		last = a->at[a->n - 1];
	if (b->n && b->at[b->n - 1] > last)
		last = b->at[b->n - 1];
	for (last += 8 * YEAR_S;;) {
		struct zone_span x = zone_span(a, t), y = zone_span(b, t);
		if (x.offset != y.offset)
			return false;
		t = x.until < y.until ? x.until : y.until;
		if (t > last)
			return true;
	}
}
