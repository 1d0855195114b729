/* consent_verify.c - see consent_verify.h.
 *
 *	commitment = sha256(salt || payload)
 *	leaf       = sha256(seq || id || at || commitment)
 *	hash       = sha256(hash of the seal before || number || sealed_at || leaves)
 *
 * Numbers and times (microseconds since 1970) are 8 bytes, big-endian. Seals are read a
 * page at a time with their entries in order; of the whole ledger only the numbers of its
 * entries are kept, 8 bytes each. */
#include <people/consent_verify.h>

#include <mem.h>
#include <str.h>
#include <uuid.h>

#include <clock.h>
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HASH	     crypto_hash_sha256_BYTES
#define LATE_US	     INT64_C(60000000) /* no transaction of ours takes so long */
#define FINDINGS_MAX 1000	       /* told; the others are only counted */

/* Numbers of entries. */
struct numbers {
	int64_t *v;
	size_t n, cap;
};

struct verify {
	struct pg_sync *pg;
	char tenant[16];
	consent_finding_fn *fn;
	void *arg;
	struct consent_verified *out;
	const struct consent_head *known;

	struct numbers sealed, gone /* without details */, erased /* by an entry */;
	/* the seal being read */
	int64_t number, at_us, before_us;
	char claimed[CONSENT_HASH_LEN];
	crypto_hash_sha256_state hash;
	unsigned char last[HASH]; /* what the seal before has */
	bool any, known_seen;
	int64_t next_seq; /* of the pages of all entries */
	size_t rows;
};

static void
numbers_add(struct numbers *l, int64_t v)
{
	if (l->n == l->cap) {
		l->cap = l->cap ? l->cap * 2 : 256;
		l->v = xrealloc(l->v, l->cap * sizeof(*l->v));
	}
	l->v[l->n++] = v;
}

static int
by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

static void
numbers_sort(struct numbers *l)
{
	if (l->n)
		qsort(l->v, l->n, sizeof(*l->v), by_value);
}

static bool
numbers_have(const struct numbers *l, int64_t v)
{
	return l->n && bsearch(&v, l->v, l->n, sizeof(v), by_value);
}

static void
say(struct verify *v, const char *where, const char *what)
{
	if (v->out->findings++ < FINDINGS_MAX)
		v->fn(v->arg, where, what);
}

static void
say_entry(struct verify *v, const char *seq, const char *id, const char *what)
{
	char where[100];

	snprintf(where, sizeof(where), "entry %s%s%s%s", seq, id ? " (" : "",
		id ? id : "", id ? ")" : "");
	say(v, where, what);
}

static void
say_seal(struct verify *v, int64_t number, const char *what)
{
	char where[40];

	snprintf(where, sizeof(where), "seal %lld", (long long)number);
	say(v, where, what);
}

static void
put_int(unsigned char dst[8], int64_t value)
{
	for (int i = 0; i < 8; i++)
		dst[i] = (unsigned char)((uint64_t)value >> (56 - 8 * i));
}

/* Hex of whatever a column holds; false if it is no hash. */
static bool
read_hash(const char *hex, unsigned char dst[HASH])
{
	size_t len;

	return hex &&
	       sodium_hex2bin(dst, HASH, hex, strlen(hex), NULL, &len, NULL) == 0 &&
	       len == HASH;
}

/* ---- One entry -------------------------------------------------------------------- */

enum {
	COL_SEAL,
	COL_SEALED_AT,
	COL_HASH,
	COL_SEQ,
	COL_LEAF,
	COL_ID,
	COL_AT,
	COL_COMMIT,
	COL_SALT,
	COL_PAYLOAD,
	COL_CONTACT,
	COL_ACT
};

static bool
commitment_holds(const char *salt_hex, const char *payload, const char *commitment)
{
	unsigned char salt[64], got[HASH], want[HASH];
	size_t n;
	crypto_hash_sha256_state h;

	if (!read_hash(commitment, want) ||
		sodium_hex2bin(salt, sizeof(salt), salt_hex, strlen(salt_hex), NULL, &n,
			NULL) != 0)
		return false;
	crypto_hash_sha256_init(&h);
	crypto_hash_sha256_update(&h, salt, n);
	crypto_hash_sha256_update(&h, (const unsigned char *)payload, strlen(payload));
	crypto_hash_sha256_final(&h, got);
	return sodium_memcmp(got, want, HASH) == 0;
}

static bool
leaf_holds(char *const *c, const unsigned char leaf[HASH])
{
	unsigned char text[8 + 16 + 8 + HASH], got[HASH];
	struct uuid id;

	if (!uuid_parse(c[COL_ID], &id) || !read_hash(c[COL_COMMIT], text + 32))
		return false;
	put_int(text, strtoll(c[COL_SEQ], NULL, 10));
	memcpy(text + 8, id.b, 16);
	put_int(text + 24, strtoll(c[COL_AT], NULL, 10));
	crypto_hash_sha256(got, text, sizeof(text));
	return sodium_memcmp(got, leaf, HASH) == 0;
}

/* What is filed beside an entry must be what it says itself. */
static void
check_members(struct verify *v, char *const *c)
{
	json_t *p = json_loads(c[COL_PAYLOAD], 0, NULL);
	const char *contact = json_string_value(json_object_get(p, "contact"));
	const char *act = json_string_value(json_object_get(p, "act"));
	const char *id = json_string_value(json_object_get(p, "entry"));
	const json_t *erased = json_object_get(p, "erased");

	if (!str_eq(id, c[COL_ID]) || !str_eq(act, c[COL_ACT]) ||
		(contact || c[COL_CONTACT] ? !str_eq(contact, c[COL_CONTACT]) : false))
		say_entry(v, c[COL_SEQ], c[COL_ID],
			"its details are filed under another contact or entry");
	for (size_t i = 0; i < json_array_size(erased); i++)
		numbers_add(&v->erased, json_integer_value(json_array_get(erased, i)));
	json_decref(p);
}

static void
check_details(struct verify *v, char *const *c)
{
	if (!c[COL_PAYLOAD]) {
		numbers_add(&v->gone, strtoll(c[COL_SEQ], NULL, 10));
	} else if (!commitment_holds(c[COL_SALT], c[COL_PAYLOAD], c[COL_COMMIT])) {
		say_entry(v, c[COL_SEQ], c[COL_ID],
			"what it says was changed: its commitment is of other words");
	} else {
		check_members(v, c);
	}
}

static void
check_entry(struct verify *v, char *const *c)
{
	unsigned char leaf[HASH];
	int64_t at_us = c[COL_AT] ? strtoll(c[COL_AT], NULL, 10) : 0;

	numbers_add(&v->sealed, strtoll(c[COL_SEQ], NULL, 10));
	v->out->entries++;
	if (!read_hash(c[COL_LEAF], leaf)) {
		say_entry(v, c[COL_SEQ], c[COL_ID], "its seal has no hash of it");
		return;
	}
	crypto_hash_sha256_update(&v->hash, leaf, HASH);
	if (!c[COL_ID]) {
		say_entry(v, c[COL_SEQ], NULL, "was sealed and is not there any more");
		return;
	}
	if (!leaf_holds(c, leaf))
		say_entry(v, c[COL_SEQ], c[COL_ID],
			"is not what was sealed: it, its time or its place was changed");
	if (at_us > v->at_us + LATE_US ||
		(v->before_us && at_us < v->before_us - LATE_US))
		say_entry(v, c[COL_SEQ], c[COL_ID],
			"claims a time at which it was not there: put in later");
	check_details(v, c);
}

/* ---- Seals ------------------------------------------------------------------------ */

static void
end_seal(struct verify *v)
{
	unsigned char got[HASH], want[HASH];

	if (!v->any)
		return;
	crypto_hash_sha256_final(&v->hash, got);
	if (!read_hash(v->claimed, want) || sodium_memcmp(got, want, HASH) != 0)
		say_seal(v, v->number,
			"its hash is of something else: it, its entries' order or the "
			"seal before it was changed");
	if (v->known && v->known->number == v->number) {
		v->known_seen = true;
		if (!str_eq(v->known->hash, v->claimed))
			say_seal(v, v->number, "is not the one whose hash was noted");
	}
	/* the next is judged by what this one claims, so that one fault is told once */
	memcpy(v->last, want, HASH);
	v->before_us = v->at_us;
	v->out->head.number = v->number;
	str_copy(v->out->head.hash, sizeof(v->out->head.hash), v->claimed);
}

static void
begin_seal(struct verify *v, char *const *c)
{
	unsigned char text[8];
	int64_t number = strtoll(c[COL_SEAL], NULL, 10);

	end_seal(v);
	if (number != v->number + 1)
		say_seal(v, v->number + 1, "is not there any more");
	v->number = number;
	v->at_us = strtoll(c[COL_SEALED_AT], NULL, 10);
	str_copy(v->claimed, sizeof(v->claimed), c[COL_HASH]);
	v->out->seals++;
	crypto_hash_sha256_init(&v->hash);
	if (v->any)
		crypto_hash_sha256_update(&v->hash, v->last, HASH);
	v->any = true;
	put_int(text, v->number);
	crypto_hash_sha256_update(&v->hash, text, 8);
	put_int(text, v->at_us);
	crypto_hash_sha256_update(&v->hash, text, 8);
}

static void
on_sealed(void *arg, int n, char *const *c)
{
	struct verify *v = arg;

	(void)n;
	v->rows++;
	if (!v->any || strtoll(c[COL_SEAL], NULL, 10) != v->number)
		begin_seal(v, c);
	if (c[COL_SEQ])
		check_entry(v, c);
}

#define ENTRY_COLUMNS                                                                   \
	"c.id, (extract(epoch from c.at) * 1000000)::bigint, "                          \
	"encode(c.commitment, 'hex'), encode(d.salt, 'hex'), d.payload, d.contact_id, " \
	"d.act "

static int
check_seals(struct verify *v, struct err *err)
{
	char after[24];
	const char *params[] = {v->tenant, after};

	do {
		v->rows = 0;
		snprintf(after, sizeof(after), "%lld", (long long)v->number);
		if (pg_sync_query(v->pg,
			    "SELECT s.number, "
			    "(extract(epoch from s.sealed_at) * 1000000)::bigint, "
			    "encode(s.hash, 'hex'), u.seq, encode(u.leaf, 'hex'), " ENTRY_COLUMNS
			    "FROM (SELECT * FROM consent_seal WHERE tenant_id = $1::int "
			    "AND number > $2::bigint ORDER BY number LIMIT 50) s "
			    "LEFT JOIN LATERAL unnest(s.entries, s.leaves) "
			    "WITH ORDINALITY u(seq, leaf, n) ON true "
			    "LEFT JOIN consent c ON c.tenant_id = $1::int AND c.seq = u.seq "
			    "LEFT JOIN consent_detail d ON d.tenant_id = $1::int "
			    "AND d.seq = u.seq ORDER BY s.number, u.n",
			    2, params, on_sealed, v, err) < 0)
			return -1;
	} while (v->rows);
	end_seal(v);
	if (v->known && v->known->number && !v->known_seen)
		say_seal(v, v->known->number,
			"was noted and is not there any more, nor what came after");
	return 0;
}

/* ---- What no seal names ----------------------------------------------------------- */

static void
on_any(void *arg, int n, char *const *c)
{
	struct verify *v = arg;
	int64_t seq = strtoll(c[COL_SEQ], NULL, 10);

	(void)n;
	v->rows++;
	v->next_seq = seq;
	if (numbers_have(&v->sealed, seq))
		return;
	v->out->entries++;
	v->out->unsealed++;
	if (!c[COL_LEAF])
		say_entry(v, c[COL_SEQ], c[COL_ID],
			"is in no seal and waits for none: put in past the daemon, or its "
			"seal was removed");
	else if (strtoll(c[COL_SEALED_AT], NULL, 10) > LATE_US)
		say_entry(v, c[COL_SEQ], c[COL_ID],
			"is in no seal though it is old: no daemon is running, or its "
			"time is false");
	check_details(v, c);
}

/* COL_SEALED_AT is its age here, COL_LEAF whether it is to be sealed. */
static int
check_unsealed(struct verify *v, struct err *err)
{
	char after[24];
	const char *params[] = {v->tenant, after};

	v->next_seq = INT64_MIN;
	do {
		v->rows = 0;
		snprintf(after, sizeof(after), "%lld", (long long)v->next_seq);
		if (pg_sync_query(v->pg,
			    "SELECT NULL, (extract(epoch from clock_timestamp() - c.at) "
			    "* 1000000)::bigint, NULL, c.seq, u.seq, " ENTRY_COLUMNS
			    "FROM consent c LEFT JOIN consent_detail d "
			    "ON d.tenant_id = c.tenant_id AND d.seq = c.seq "
			    "LEFT JOIN consent_unsealed u "
			    "ON u.tenant_id = c.tenant_id AND u.seq = c.seq "
			    "WHERE c.tenant_id = $1::int AND c.seq > $2::bigint "
			    "ORDER BY c.seq LIMIT 10000",
			    2, params, on_any, v, err) < 0)
			return -1;
	} while (v->rows);
	return 0;
}

static void
check_twice(struct verify *v)
{
	for (size_t i = 1; i < v->sealed.n; i++)
		if (v->sealed.v[i] == v->sealed.v[i - 1]) {
			char seq[24];
			snprintf(seq, sizeof(seq), "%lld", (long long)v->sealed.v[i]);
			say_entry(v, seq, NULL, "is in two seals");
		}
}

static void
check_gone(struct verify *v)
{
	numbers_sort(&v->erased);
	for (size_t i = 0; i < v->gone.n; i++) {
		char seq[24];
		if (numbers_have(&v->erased, v->gone.v[i])) {
			v->out->erased++;
			continue;
		}
		snprintf(seq, sizeof(seq), "%lld", (long long)v->gone.v[i]);
		say_entry(v, seq, NULL, "what it says was removed, and by no erasure");
	}
}

/* ---- How wishes stand ------------------------------------------------------------- */

static void
on_wish(void *arg, int n, char *const *c)
{
	struct verify *v = arg;
	char where[200];

	(void)n;
	snprintf(where, sizeof(where), "contact %s, %s %s", c[0], c[1], c[2]);
	say(v, where, "the wish that stands is not what its entry in the ledger says");
}

/* Each wish in force is what the entry that it names says. */
static int
check_wishes(struct verify *v, struct err *err)
{
	const char *params[] = {v->tenant};

	return pg_sync_query(v->pg,
		"SELECT w.contact_id, w.kind, w.purpose FROM wish w "
		"LEFT JOIN consent_detail d ON d.tenant_id = w.tenant_id "
		"AND d.seq = w.own_seq "
		"WHERE w.tenant_id = $1::int AND w.own IS NOT NULL AND (d.seq IS NULL "
		"OR d.contact_id <> w.contact_id "
		"OR d.payload::jsonb->>'decision' <> w.own "
		"OR coalesce(d.payload::jsonb->>'kind', '*') <> w.kind "
		"OR coalesce(d.payload::jsonb->>'purpose', '*') <> w.purpose "
		"OR coalesce(d.payload::jsonb->'identity'->>'value', '') <> w.address_value) "
		"ORDER BY 1, 2, 3 LIMIT 1000",
		1, params, on_wish, v, err);
}

int
consent_verify(struct pg_sync *pg, int tenant_id, const struct consent_head *known,
	consent_finding_fn *fn, void *arg, struct consent_verified *out,
	struct err *err)
{
	struct verify v = {.pg = pg, .fn = fn, .arg = arg, .out = out, .known = known};

	memset(out, 0, sizeof(*out));
	snprintf(v.tenant, sizeof(v.tenant), "%d", tenant_id);
	/* one picture of it all */
	if (pg_sync_exec(pg, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", err) <
		0)
		return -1;
	int rc = check_seals(&v, err);
	if (rc == 0) {
		numbers_sort(&v.sealed);
		check_twice(&v);
		rc = check_unsealed(&v, err);
	}
	if (rc == 0) {
		check_gone(&v);
		rc = check_wishes(&v, err);
	}
	if (rc == 0)
		rc = pg_sync_exec(pg, "COMMIT", err);
	xfree(&v.sealed.v);
	xfree(&v.gone.v);
	xfree(&v.erased.v);
	return rc;
}
