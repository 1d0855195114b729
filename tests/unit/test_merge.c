/* Merges against a real PostgreSQL (tests/lib/with-servers): what a proof of an address
 * does, and random sequences beside a model.
 *
 * The model is what decisions.md says, in plain arrays: who holds which address with what
 * trust, into whom each was merged, whose each entry is. Every sequence is a transaction
 * that is rolled back. SEQUENCES=10000 runs so many (200); SEED=n repeats others. Wishes are
 * not in the model: what erasing somebody makes of everybody else's is nothing at all. */
#include <people/merge.h>

#include <base/embedded.h>
#include <buf.h>
#include <clock.h>
#include <lib/store_env.h>
#include <lib/test.h>
#include <mem.h>
#include <str.h>

#include <jansson.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N_ADDRESSES 8
#define N_INGESTED  6 /* the first ones */
#define MAX_PEOPLE  40
#define MAX_ENTRIES 60
#define OPERATIONS  24
#define NOBODY	    (-1)

static const char *const kinds[N_ADDRESSES] = {
	"phone", "phone", "phone", "phone", "email", "visitor", "external", "external"};
static const char *const values[N_ADDRESSES] = {"+886912000001", "+886912000002",
	"+886912000003", "+886912000004", "a@example.com", "v1", "crm:1", "crm:2"};

struct person {
	char id[UUID_TEXT_LEN];
	int parent; /* the survivor it was merged into, or NOBODY */
	char name;  /* 0 = unnamed */
	int64_t created;
	int trust[N_ADDRESSES]; /* NOBODY = does not have it */
	int64_t first_seen[N_ADDRESSES];
	bool gone; /* erased */
};

struct entry {
	char id[UUID_TEXT_LEN];
	int person; /* or NOBODY */
};

static struct {
	struct person people[MAX_PEOPLE];
	struct entry entries[MAX_ENTRIES];
	bool apart[MAX_PEOPLE][MAX_PEOPLE]; /* a merge of these was undone */
	int n_people, n_entries;
	struct buf log; /* what was done, for a failure */
} m;

static struct store_env env;
static uint64_t dice;
static int64_t base_us;

static unsigned
roll(unsigned n)
{
	dice ^= dice << 13;
	dice ^= dice >> 7;
	dice ^= dice << 17;
	return (unsigned)(dice >> 16) % n;
}

static void
make_id(char id[UUID_TEXT_LEN], int64_t at_us)
{
	struct uuid u = uuid_new(at_us);

	uuid_format(id, &u);
}

/* ---- The model -------------------------------------------------------------------- */

static int
root_of(int p)
{
	while (m.people[p].parent != NOBODY)
		p = m.people[p].parent;
	return p;
}

static int
tree_trust(int root, int address)
{
	int best = NOBODY;

	for (int p = 0; p < m.n_people; p++)
		if (root_of(p) == root && m.people[p].trust[address] > best)
			best = m.people[p].trust[address];
	return best;
}

/* The root's own, or the eldest member's; 0 = none. */
static char
tree_name(int root)
{
	int eldest = NOBODY;

	if (m.people[root].name)
		return m.people[root].name;
	for (int p = 0; p < m.n_people; p++)
		if (root_of(p) == root && m.people[p].name &&
			(eldest == NOBODY ||
				strcmp(m.people[p].id, m.people[eldest].id) < 0))
			eldest = p;
	return eldest == NOBODY ? 0 : m.people[eldest].name;
}

/* added: an address that `one` is about to get, or NOBODY. */
static bool
trees_clash(int one, int other, int added)
{
	for (int x = N_INGESTED; x < N_ADDRESSES; x++)
		for (int y = N_INGESTED; y < N_ADDRESSES; y++)
			if (x != y && (x == added || tree_trust(one, x) >= 0) &&
				tree_trust(other, y) >= 0)
				return true;
	return false;
}

static bool
trees_apart(int one, int other)
{
	for (int p = 0; p < m.n_people; p++)
		for (int q = 0; q < m.n_people; q++)
			if (root_of(p) == one && root_of(q) == other &&
				(m.apart[p][q] || m.apart[q][p]))
				return true;
	return false;
}

static void
hold(int p, int address, int trust, int64_t at)
{
	if (m.people[p].trust[address] == NOBODY)
		m.people[p].first_seen[address] = at;
	m.people[p].trust[address] = trust;
}

struct holders {
	int strong, total, strong_root, root; /* roots: any of them */
};

static struct holders
holders_of(int address)
{
	struct holders h = {.strong_root = NOBODY, .root = NOBODY};

	for (int r = 0; r < m.n_people; r++) {
		int trust = root_of(r) == r ? tree_trust(r, address) : NOBODY;
		h.total += trust >= 0;
		h.strong += trust >= 1;
		if (trust >= 1)
			h.strong_root = r;
		if (trust >= 0)
			h.root = r;
	}
	return h;
}

/* True: p is to be preferred to q (NOBODY: always). */
static bool
holds_better(int p, int q, int address, bool by_trust)
{
	if (q == NOBODY)
		return true;
	const struct person *a = &m.people[p], *b = &m.people[q];
	if (by_trust && a->trust[address] != b->trust[address])
		return a->trust[address] > b->trust[address];
	if (a->first_seen[address] != b->first_seen[address])
		return a->first_seen[address] < b->first_seen[address];
	return strcmp(a->id, b->id) < 0;
}

/* Whose an event from this address is; NOBODY and fresh: somebody new's. */
static int
whose(int address, bool *fresh_r)
{
	struct holders h = holders_of(address);
	int best = NOBODY, unnamed = NOBODY;

	for (int p = 0; p < m.n_people; p++) {
		if (m.people[p].trust[address] == NOBODY)
			continue;
		if (holds_better(p, best, address, true))
			best = p;
		char name = m.people[root_of(p)].name;
		if (!(name ? name : m.people[p].name) &&
			holds_better(p, unnamed, address, false))
			unnamed = p;
	}
	int found = h.strong > 1		    ? NOBODY
		    : h.strong == 1 || h.total == 1 ? best
						    : unnamed;
	*fresh_r = found == NOBODY && h.strong < 2;
	return found;
}

static int
person_new(int64_t created)
{
	struct person *p = &m.people[m.n_people];

	memset(p, 0, sizeof(*p));
	p->parent = NOBODY;
	p->created = created;
	for (int a = 0; a < N_ADDRESSES; a++)
		p->trust[a] = NOBODY;
	make_id(p->id, base_us + roll(1000000));
	return m.n_people++;
}

/* ---- Operations: each in the database, then in the model --------------------------- */

static const char *
ask(const char *fmt, ...)
{
	char sql[2000];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(sql, sizeof(sql), fmt, ap);
	va_end(ap);
	buf_printf(&m.log, "%s;\n", sql);
	return store_env_value(&env, sql);
}

static void
do_ingest(int address, int trust, int64_t at)
{
	struct entry *e = &m.entries[m.n_entries++];
	bool fresh;
	int p = whose(address, &fresh);
	char made[UUID_TEXT_LEN];

	make_id(e->id, base_us + at);
	make_id(made, base_us + at);
	if (fresh) {
		p = person_new(at);
		str_copy(m.people[p].id, sizeof(m.people[p].id), made);
	}
	e->person = p;
	const char *got = ask("SELECT test_ingest(1, '%s', '%s', '%s', %d, %lld, '%s')",
		e->id, kinds[address], values[address], trust,
		(long long)(base_us + at), made);
	CHECK_STR(got, p == NOBODY ? "(null)" : m.people[root_of(p)].id);
	if (p != NOBODY && trust > m.people[p].trust[address])
		hold(p, address, trust, at);
}

/* What adding an address does; false: somebody else has it, nothing is done. */
static bool
model_add(int p, int address, int trust, bool shared)
{
	int root = root_of(p), absorbed[MAX_PEOPLE], n = 0;

	for (int r = 0; r < m.n_people; r++) {
		int theirs = root_of(r) == r ? tree_trust(r, address) : NOBODY;
		if (r == root || theirs == NOBODY)
			continue;
		bool other = tree_name(r) || trees_clash(root, r, address);
		if (other && !shared)
			return false;
		if (!other && trust > 0 && theirs > 0)
			absorbed[n++] = r;
	}
	while (n)
		m.people[absorbed[--n]].parent = root;
	if (tree_trust(root, address) < trust)
		hold(p, address, trust, 0);
	return true;
}

static void
do_create(int address, int trust, bool shared, char name)
{
	int p = person_new(0);
	char set[40] = "{}";

	if (name)
		snprintf(set, sizeof(set), "{\"name\": \"%c\"}", name);
	m.people[p].name = name;
	const char *state = ask(
		"SELECT state FROM contact_create(1, 'key:t', 'admin', '%s', "
		"'%s', '[{\"kind\":\"%s\",\"value\":\"%s\",\"normal\":true,"
		"\"trust\":%d}]', %d::bool, '{}', '', '', '', null, null)",
		m.people[p].id, set, kinds[address], values[address], trust, shared);
	bool done = model_add(p, address, trust, shared);
	CHECK_STR(state, done ? "created" : "conflict");
	if (!done)
		m.n_people--;
}

static void
do_patch(int p, int address, int trust, bool shared)
{
	const char *state =
		ask("SELECT state FROM contact_patch(1, 'key:t', 'admin', '%s', "
		    "'{}', '[{\"kind\":\"%s\",\"value\":\"%s\",\"normal\":true,"
		    "\"trust\":%d}]', '[]', %d::bool, '{}')",
			m.people[p].id, kinds[address], values[address], trust, shared);

	CHECK_STR(state, model_add(p, address, trust, shared) ? "ok" : "conflict");
}

/* The one that stays when nobody chooses. */
static bool
is_senior(int p, int q)
{
	const struct person *a = &m.people[p], *b = &m.people[q];

	if (!tree_name(p) != !tree_name(q))
		return tree_name(p);
	return a->created != b->created ? a->created < b->created
					: strcmp(a->id, b->id) < 0;
}

static void
do_link(int p, int address, int trust)
{
	int root = root_of(p), had = tree_trust(root, address);
	const char *want = had < trust ? "linked" : "known";
	const char *state =
		ask("SELECT state FROM contact_link(1, 'chat', '', '%s', '%s', '%s', "
		    "true, %d, '{}')",
			m.people[p].id, kinds[address], values[address], trust);

	if (had < trust)
		hold(p, address, trust, 0);
	struct holders h = holders_of(address);
	bool mine = tree_trust(root, address) >= 1;
	int other = NOBODY;
	for (int r = 0; r < m.n_people; r++)
		if (r != root && root_of(r) == r && tree_trust(r, address) >= 1)
			other = r;
	if (trust >= 2 && h.strong - mine == 1 && !trees_clash(root, other, NOBODY) &&
		!trees_apart(root, other) &&
		(trust == 3 || !tree_name(root) || !tree_name(other) ||
			tree_name(root) == tree_name(other))) {
		bool stays = is_senior(root, other);
		m.people[stays ? other : root].parent = stays ? root : other;
		want = "merged";
	}
	CHECK_STR(state, want);
}

static void
do_merge(int p, int q, bool force)
{
	int into = root_of(p), from = root_of(q);
	const char *want = p == q ? "itself"
			   : into != from && !force && trees_clash(into, from, NOBODY)
				   ? "clash"
			   : into != from ? "merged"
			   : q == into	  ? "reversed"
					  : "already";

	CHECK_STR(ask("SELECT state FROM contact_merge_make(1, 'key:t', 'admin', '%s', "
		      "'%s', %d::bool, '{}')",
			  m.people[p].id, m.people[q].id, force),
		want);
	if (str_eq(want, "merged"))
		m.people[from].parent = into;
}

static void
do_unmerge(int p, int q)
{
	bool out = root_of(p) == root_of(q) && m.people[q].parent != NOBODY;
	const char *state = ask("SELECT state FROM contact_merge_undo(1, 'key:t', "
				"'admin', '%s', '%s')",
		m.people[p].id, m.people[q].id);

	CHECK(str_eq(state, "released") == out);
	if (!out)
		return;
	m.apart[m.people[q].parent][q] = true;
	m.people[q].parent = NOBODY;
}

static void
do_wish(int p, const char *decision)
{
	static const char *const kind[] = {"sms", "email"};

	CHECK_STR(ask("SELECT state FROM consent_record(1, 'key:t', 'admin', '%s', "
		      "'{\"decision\": \"%s\", \"kind\": \"%s\", \"purpose\": "
		      "\"marketing\", \"source\": \"t\", \"evidence\": {}}', "
		      "null, null, null, null, null, null, 0)",
			  m.people[p].id, decision, kind[roll(2)]),
		"created");
}

/* What everybody but this one wants. */
static char *
wishes_but(int root)
{
	return xstrdup(ask(
		"SELECT coalesce(string_agg(c.id || ' ' || w.kind || ' ' || w.says, E'\\n' "
		"ORDER BY c.id, w.kind), '') FROM contact c, "
		"wishes_of(1, array(SELECT contact_members(1, c.id))) w "
		"WHERE c.tenant_id = 1 AND c.merged_into IS NULL AND c.id <> '%s'",
		m.people[root].id));
}

/* The whole of p; nobody else loses or gains anything. */
static void
do_erase(int p)
{
	int root = root_of(p);
	char *before = wishes_but(root);
	bool theirs[MAX_PEOPLE];

	CHECK_STR(ask("SELECT root FROM contact_erase(1, 'key:t', 'admin', '%s', "
		      "%d::bool)",
			  m.people[p].id, roll(2)),
		m.people[root].id);
	for (int i = 0; i < m.n_people; i++)
		theirs[i] = root_of(i) == root;
	for (int e = 0; e < m.n_entries; e++)
		if (m.entries[e].person != NOBODY && theirs[m.entries[e].person])
			m.entries[e].person = NOBODY;
	for (int i = 0; i < m.n_people; i++) {
		if (!theirs[i])
			continue;
		m.people[i].gone = true;
		m.people[i].parent = NOBODY;
		m.people[i].name = 0;
		for (int a = 0; a < N_ADDRESSES; a++)
			m.people[i].trust[a] = NOBODY;
	}
	char *after = wishes_but(root);
	CHECK_STR(after, before);
	xfree(&before);
	xfree(&after);
}

/* Somebody who is there, or NOBODY. */
static int
roll_person(void)
{
	for (int i = 0; i < 16 && m.n_people; i++) {
		int p = (int)roll((unsigned)m.n_people);
		if (!m.people[p].gone)
			return p;
	}
	return NOBODY;
}

static void
do_something(int64_t at)
{
	int address = (int)roll(N_ADDRESSES), ingested = (int)roll(N_INGESTED);
	int p = roll_person(), q = roll_person(), other;

	if (p == NOBODY || q == NOBODY || roll(100) < 30)
		do_ingest(ingested, roll(3) ? 2 : 0, at);
	else
		switch (roll(10)) {
		case 0:
			do_create(address, (int)roll(2), roll(2),
				roll(3) ? (char)('A' + roll(3)) : 0);
			break;
		case 1: do_patch(p, address, (int)roll(2), roll(2)); break;
		case 2: do_link(p, address, roll(3) ? 2 + (int)roll(2) : 0); break;
		case 3:
		case 4: do_merge(p, q, roll(2)); break;
		case 5: do_wish(p, "denied"); break;
		case 6: do_wish(p, "allowed"); break;
		case 7: do_erase(p); break;
		default:
			/* one that was merged, if there is one */
			for (int i = 0; i < 8 && m.people[q].parent == NOBODY; i++)
				if ((other = roll_person()) != NOBODY)
					q = other;
			do_unmerge(roll(4) ? root_of(q) : p, q);
		}
}

/* ---- Comparing -------------------------------------------------------------------- */

static int
by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The lines, sorted, as one text. */
static void
join_sorted(struct buf *out, char **lines, size_t n)
{
	qsort(lines, n, sizeof(*lines), by_text);
	for (size_t i = 0; i < n; i++) {
		buf_printf(out, "%s%s", out->len ? "\n" : "", lines[i]);
		xfree(&lines[i]);
	}
}

static void
model_state(struct buf *out)
{
	char *lines[MAX_PEOPLE * (N_ADDRESSES + 1) + MAX_ENTRIES];
	size_t n = 0;

	for (int p = 0; p < m.n_people; p++) {
		const struct person *a = &m.people[p];
		if (a->gone)
			continue;
		lines[n++] = xasprintf("contact %s in %s", a->id,
			a->parent == NOBODY ? "-" : m.people[root_of(p)].id);
		for (int i = 0; i < N_ADDRESSES; i++)
			if (a->trust[i] != NOBODY)
				lines[n++] = xasprintf(
					"has %s %s %d", a->id, values[i], a->trust[i]);
	}
	for (int e = 0; e < m.n_entries; e++) {
		int p = m.entries[e].person;
		lines[n++] = xasprintf("entry %s of %s %d", m.entries[e].id,
			p == NOBODY ? "-" : m.people[p].id, p != NOBODY);
	}
	join_sorted(out, lines, n);
}

static void
check_state(void)
{
	struct buf want = BUF_INIT;

	model_state(&want);
	CHECK_STR(
		store_env_value(&env,
			"SELECT string_agg(l, E'\\n' ORDER BY l COLLATE \"C\") FROM ("
			"SELECT 'contact ' || id || ' in ' || coalesce(merged_into::text, '-') "
			"FROM contact WHERE tenant_id = 1 UNION ALL "
			"SELECT 'has ' || contact_id || ' ' || value || ' ' || trust "
			"FROM identity WHERE tenant_id = 1 UNION ALL "
			"SELECT 'entry ' || i.id || ' of ' || coalesce(contact_id::text, '-') "
			"|| ' ' || (SELECT count(*) FROM timeline t WHERE t.tenant_id = 1 "
			"AND t.id = i.id AND t.contact_id = i.contact_id) "
			"FROM interaction i WHERE tenant_id = 1) x(l)"),
		buf_str(&want));
	buf_fini(&want);
}

/* ---- The same answer from every reader -------------------------------------------- */

struct rows {
	char tags[64];
	char ids[64][UUID_TEXT_LEN];
	int n;
};

static void
on_row(void *arg, int n, char *const *cols)
{
	struct rows *r = arg;

	if (r->n == 64 || !n)
		return;
	r->tags[r->n] = cols[0][0];
	str_copy(r->ids[r->n++], UUID_TEXT_LEN,
		strlen(cols[0]) == 36 ? cols[0]
		: cols[1]	      ? cols[1]
				      : "");
}

static void
run(struct rows *r, const char *sql)
{
	struct err err;

	r->n = 0;
	if (pg_sync_query(env.sync, sql, 0, NULL, on_row, r, &err) < 0)
		test_fail(__FILE__, __LINE__, "%s: %s", sql, err.text);
}

static int
count_tag(const struct rows *r, char tag)
{
	int n = 0;

	for (int i = 0; i < r->n; i++)
		n += r->tags[i] == tag;
	return n;
}

static void
check_pop_shows(int address, int root)
{
	struct rows r;
	char sql[300];
	int at = 0;

	snprintf(sql, sizeof(sql), "EXECUTE card(1, '%s', '%s', null)", kinds[address],
		values[address]);
	run(&r, sql);
	if (count_tag(&r, 'm') || count_tag(&r, 'c') > 1) {
		snprintf(sql, sizeof(sql),
			"EXECUTE card_shared(1, '%s', '%s', null, 2)", kinds[address],
			values[address]);
		run(&r, sql);
	}
	while (at < r.n && r.tags[at] != 'c')
		at++;
	CHECK_STR(count_tag(&r, 'i') ? r.ids[at] : "nobody",
		root == NOBODY ? "nobody" : m.people[root].id);
}

static void
check_lookup_finds(int address, int total)
{
	struct rows r;
	char sql[300];

	snprintf(sql, sizeof(sql), "EXECUTE contact_find(1, '%s', '%s', null, null)",
		kinds[address], values[address]);
	run(&r, sql);
	CHECK_INT(r.n, total);
	for (int i = 0; i < r.n; i++)
		for (int p = 0; p < m.n_people; p++)
			if (str_eq(m.people[p].id, r.ids[i])) {
				CHECK_INT(root_of(p), p);
				CHECK(tree_trust(p, address) >= 0);
			}
}

static void
check_timeline_of(int p)
{
	char *lines[MAX_ENTRIES];
	struct buf want = BUF_INIT, got = BUF_INIT;
	struct rows r;
	char sql[300];
	size_t n = 0;

	for (int e = 0; e < m.n_entries; e++)
		if (m.entries[e].person != NOBODY &&
			root_of(m.entries[e].person) == root_of(p))
			lines[n++] = xstrdup(m.entries[e].id);
	join_sorted(&want, lines, n);
	snprintf(sql, sizeof(sql),
		"EXECUTE timeline_page(1, '%s', 'ffffffff-ffff-ffff-ffff-ffffffffffff', "
		"null, 64)",
		m.people[p].id);
	run(&r, sql);
	for (int i = r.n - 1; i >= 0; i--)
		buf_printf(&got, "%s%s", got.len ? "\n" : "", r.ids[i]);
	CHECK_STR(buf_str(&got), buf_str(&want));
	buf_fini(&want);
	buf_fini(&got);
}

static void
check_readers(void)
{
	for (int a = 0; a < N_ADDRESSES; a++) {
		struct holders h = holders_of(a);
		check_lookup_finds(a, h.total);
		check_pop_shows(a, h.strong == 1  ? h.strong_root
				   : h.strong > 1 ? NOBODY
				   : h.total == 1 ? h.root
						  : NOBODY);
	}
	for (int i = 0; i < 4; i++) {
		int p = roll_person();
		if (p != NOBODY)
			check_timeline_of(p);
	}
}

/* A statement of the daemon, prepared here too, to be asked inside the transaction. */
static void
prepare(const char *file, const char *name, const char *types)
{
	const char *text = embedded_find(file)->data;
	char *mark = xasprintf("-- name: %s\n", name);
	const char *from = strstr(text, mark), *end;
	struct buf sql = BUF_INIT;

	from += strlen(mark);
	end = strstr(from, "-- name: ");
	buf_printf(&sql, "PREPARE %s(%s) AS ", name, types);
	buf_add(&sql, from, end ? (size_t)(end - from) : strlen(from));
	store_env_exec(&env, buf_str(&sql));
	buf_fini(&sql);
	xfree(&mark);
}

static unsigned
number_of(const char *name, unsigned def)
{
	const char *text = getenv(name);

	return text ? (unsigned)strtoul(text, NULL, 10) : def;
}

static void
one_sequence(void)
{
	m.n_people = m.n_entries = 0;
	memset(m.apart, 0, sizeof(m.apart));
	buf_clear(&m.log);
	store_env_exec(&env, "BEGIN");
	base_us = clock_wall_us() + 1000000;
	for (int i = 1; i <= OPERATIONS; i++)
		do_something(i * INT64_C(1000));
	check_state();
	check_readers();
	store_env_exec(&env, "ROLLBACK");
}

static char *
file_text(const char *path)
{
	struct buf b = BUF_INIT;
	FILE *f = fopen(path, "r");
	char piece[4096];
	size_t n;

	while (f && (n = fread(piece, 1, sizeof(piece), f)) > 0)
		buf_add(&b, piece, n);
	if (f)
		fclose(f);
	CHECK(b.len > 0);
	return buf_steal(&b);
}

static void
test_random_sequences_are_as_the_model_says(void)
{
	unsigned n = number_of("SEQUENCES", 200), seed = number_of("SEED", 1);
	char *ingest = file_text("tests/data/ingest.sql");

	store_env_exec(&env, ingest);
	store_env_exec(&env, "SET synchronous_commit = off");
	xfree(&ingest);
	prepare("daemon/timeline/timeline.sql", "card", "int, text, text, uuid");
	prepare("daemon/timeline/timeline.sql", "card_shared",
		"int, text, text, uuid, int");
	prepare("daemon/timeline/timeline.sql", "timeline_page",
		"int, uuid, uuid, text, int");
	prepare("daemon/people/people.sql", "contact_find",
		"int, text, text, text[], text[]");
	for (unsigned i = 0; i < n && !test_failing(); i++) {
		dice = (seed + i) * UINT64_C(0x9e3779b97f4a7c15) + 1;
		one_sequence();
		if (test_failing())
			fprintf(stderr, "SEED=%u SEQUENCES=1 repeats it:\n%s", seed + i,
				buf_str(&m.log));
		if (i % 200 == 199)
			store_env_exec(&env,
				"VACUUM contact, identity, address, contact_merge, "
				"merge_suggestion, interaction, timeline, audit, "
				"wish, preference, consent_detail, erasure");
	}
	buf_fini(&m.log);
}

/* ---- Through the functions that channels and the API call -------------------------- */

static struct store_got got;

static struct uuid
make(const char *sql_id, const char *name, const char *kind, const char *value,
	int trust)
{
	char sql[1000];
	struct uuid id;

	snprintf(sql, sizeof(sql),
		"INSERT INTO contact (tenant_id, id, name) VALUES (1, '%s', nullif('%s', ''));"
		"INSERT INTO address VALUES (1, '%s', '%s') ON CONFLICT DO NOTHING;"
		"INSERT INTO identity (tenant_id, kind, value, contact_id, trust) "
		"VALUES (1, '%s', '%s', '%s', %d)",
		sql_id, name, kind, value, kind, value, sql_id, trust);
	store_env_exec(&env, sql);
	uuid_parse(sql_id, &id);
	return id;
}

static const char *
link_to(const struct uuid *contact, const char *kind, const char *value,
	enum trust trust)
{
	static char merged[UUID_TEXT_LEN];
	struct actor actor = {.tenant = &env.tenants[0], .name = "chat", .role = ""};
	struct address a;
	json_t *evidence = json_pack("{s:s}", "rule", "token");
	struct contact_proof proof = {contact, &a, trust, evidence};

	CHECK(address_make(kind, value, "TW", &a));
	contact_link(&env.store, &actor, &proof, store_got_answer, &got);
	json_decref(evidence);
	CHECK_INT(store_env_answer(&env, &got), STORE_OK);
	json_t *o = json_loads(got.json, 0, NULL);
	const char *id =
		json_string_value(json_array_get(json_object_get(o, "absorbed"), 0));
	str_copy(merged, sizeof(merged), id ? id : "");
	json_decref(o);
	return merged;
}

static const char *
suggested(void)
{
	return store_env_value(&env,
		"SELECT string_agg(reason || ' ' || state, ',') FROM merge_suggestion");
}

#define ONE   "01900000-0000-7000-8000-000000000001"
#define TWO   "01900000-0000-7000-8000-000000000002"
#define THREE "01900000-0000-7000-8000-000000000003"
#define FOUR  "01900000-0000-7000-8000-000000000004"

static void
test_a_verified_address_makes_a_visitor_one_with_whom_we_know(void)
{
	struct uuid visitor = make(TWO, "", "visitor", "v9", 2);

	make(ONE, "Ada", "email", "ada@example.com", 1);
	CHECK_STR(link_to(&visitor, "email", "ada@example.com", TRUST_CLAIMED), "");
	CHECK_STR(suggested(), "claimed_address open");
	CHECK_STR(link_to(&visitor, "email", "ada@example.com", TRUST_VERIFIED), TWO);
	CHECK(strstr(got.json, "\"linked\""));
	CHECK_STR(link_to(&visitor, "email", "ada@example.com", TRUST_VERIFIED), "");
	CHECK(strstr(got.json, "\"linked\"") == NULL);
	CHECK_STR(store_env_value(&env, "SELECT survivor || ' ' || (evidence->>'rule') "
					"FROM contact_merge"),
		ONE " token");
}

static void
test_what_the_network_says_of_two_named_ones_is_asked_about(void)
{
	struct uuid third = make(THREE, "Grace", "visitor", "v10", 2);

	CHECK_STR(link_to(&third, "email", "ada@example.com", TRUST_NETWORK), "");
	make(FOUR, "grace", "phone", "+886912000088", 1);
	CHECK_STR(link_to(&third, "phone", "0912000088", TRUST_NETWORK), FOUR);
}

static void
test_whoever_was_taken_apart_is_not_joined_again(void)
{
	struct uuid third, fourth;

	uuid_parse(THREE, &third);
	uuid_parse(FOUR, &fourth);
	struct actor actor = {
		.tenant = &env.tenants[0], .name = "key:t", .role = "admin"};
	json_t *body = json_pack("{s:s}", "contact", FOUR);
	contact_unmerge(&env.store, &actor, &third, body, store_got_answer, &got);
	json_decref(body);
	CHECK_INT(store_env_answer(&env, &got), STORE_OK);
	CHECK_STR(link_to(&third, "phone", "0912000088", TRUST_VERIFIED), "");
	CHECK_STR(link_to(&fourth, "phone", "0912000088", TRUST_VERIFIED), "");
}

int
main(void)
{
	if (!store_env_available())
		return 77;
	store_env_start(&env, "test_merge");
	TEST(test_random_sequences_are_as_the_model_says);
	TEST(test_a_verified_address_makes_a_visitor_one_with_whom_we_know);
	TEST(test_what_the_network_says_of_two_named_ones_is_asked_about);
	TEST(test_whoever_was_taken_apart_is_not_joined_again);
	store_env_stop(&env);
	return test_done();
}
