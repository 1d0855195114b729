/* gate_case.c - see gate_case.h. */
#include <lib/gate_case.h>

#include <clock.h>
#include <lib/test.h>
#include <mem.h>
#include <str.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define US INT64_C(1000000)

static const struct {
	const char *name, *kind, *value;
	enum gate_trust trust;
	const char *country;
} people[] = {
	{"mobile", "phone", "+886912345678", GATE_NETWORK, "TW"},
	{"work", "phone", "+886223456789", GATE_NETWORK, "TW"},
	{"abroad", "phone", "+12125550100", GATE_NETWORK, "US"},
	{"mail", "email", "lin@example.com", GATE_RECORDED, NULL},
	{"mail2", "email", "lin@example.org", GATE_RECORDED, NULL},
	{"web", "visitor", "v-1", GATE_VERIFIED, NULL},
	{"fax", "phone", "+886223456780", GATE_RECORDED, "TW"},
	{"post", "letter", "Taipei, 1 Road", GATE_RECORDED, NULL},
	{"line", "line", "U42", GATE_NETWORK, NULL},
	{"card", "external", "crm:42", GATE_RECORDED, NULL},
};

static void
wrong(const char *what)
{
	test_fail(__FILE__, __LINE__, "this case cannot be read: %s", what);
}

/* ---- Pieces ---- */

/* Calls fn for each piece of text between separators. */
typedef void piece_fn(struct gate_scene *, const struct zones *, char *piece);

static void
each_piece(struct gate_scene *s, const struct zones *zones, const char *text,
	const char *separators, piece_fn *fn)
{
	char copy[600], *save;

	if (str_copy(copy, sizeof(copy), text ? text : "") >= sizeof(copy))
		wrong(text);
	for (char *p = strtok_r(copy, separators, &save); p;
		p = strtok_r(NULL, separators, &save))
		fn(s, zones, p);
}

/* The words of a piece; words[n] = NULL. */
#define WORDS_MAX 16
static size_t
split(char *piece, char *words[WORDS_MAX + 1])
{
	char *save;
	size_t n = 0;

	for (char *w = strtok_r(piece, " ", &save); w && n < WORDS_MAX;
		w = strtok_r(NULL, " ", &save))
		words[n++] = w;
	for (size_t i = n; i <= WORDS_MAX; i++)
		words[i] = NULL;
	return n;
}

/* "-2h", "+7d", "30m", "5s", in us. */
static int64_t
span_us(const char *text)
{
	char *end;
	int64_t n = strtoll(text, &end, 10);

	switch (*end) {
	case 's': return n * US;
	case 'm': return n * 60 * US;
	case 'h': return n * 3600 * US;
	case 'd': return n * 86400 * US;
	default: wrong(text); return 0;
	}
}

static int
kind_of(const struct gate_scene *s, const char *word)
{
	int kind = str_eq(word, "any") || str_eq(word, "auto")
			   ? GATE_ANY
			   : gate_kind_find(&s->rules, word);

	if (kind < 0 && kind != GATE_ANY)
		wrong(word);
	if (kind < 0 && !str_eq(word, "any") && !str_eq(word, "auto"))
		wrong(word);
	return kind;
}

static int
purpose_of(const char *word)
{
	int purpose = str_eq(word, "any") ? GATE_ANY : gate_purpose_parse(word);

	if (purpose < 0 && !str_eq(word, "any"))
		wrong(word);
	return purpose;
}

static int
address_of(const struct gate_scene *s, const char *name)
{
	for (size_t i = 0; i < s->contact.n_addresses; i++)
		if (str_eq(s->names[i], name))
			return (int)i;
	wrong(name);
	return GATE_ANY;
}

/* "survey,marketing", or kinds. */
static uint32_t
mask_of(const struct gate_scene *s, const char *words, bool kinds)
{
	char copy[100], *save;
	uint32_t mask = 0;

	str_copy(copy, sizeof(copy), words);
	for (char *w = strtok_r(copy, ",", &save); w; w = strtok_r(NULL, ",", &save)) {
		int bit = kinds ? kind_of(s, w) : purpose_of(w);
		mask |= bit < 0 ? GATE_ALL : 1u << bit;
	}
	return mask;
}

static void
read_quiet(struct quiet_rule *r, const char *days, char *hours)
{
	char *dash = hours ? strchr(hours, '-') : NULL;

	if (!dash) {
		wrong("quiet");
		return;
	}
	*dash = '\0';
	if (!quiet_days_parse(days, &r->days) ||
		!quiet_time_parse(hours, false, &r->from) ||
		!quiet_time_parse(dash + 1, true, &r->to))
		wrong(days);
}

/* ---- Who ---- */

static void
read_flag(struct gate_scene *s, struct gate_address *a, const char *flag)
{
	static const char *const trusts[] = {
		"claimed", "recorded", "network", "verified"};

	for (int i = 0; i < 4; i++)
		if (str_eq(flag, trusts[i])) {
			a->trust = (enum gate_trust)i;
			return;
		}
	if (str_eq(flag, "shared"))
		a->shared = true;
	else if (str_eq(flag, "others"))
		a->denied_by_others = GATE_ALL;
	else if (str_starts(flag, "others:"))
		a->denied_by_others |= 1u << purpose_of(flag + 7);
	else if (str_eq(flag, "new")) /* no yes of the contact's covers it */
		memset(a->uncovered, 0xff, sizeof(a->uncovered));
	else if (str_eq(flag, "bad"))
		a->suppressed = GATE_ALL;
	else if (str_starts(flag, "bad:"))
		a->suppressed |= 1u << kind_of(s, flag + 4);
	else if (str_starts(flag, "wrote:"))
		a->wrote_us = s->question.now_us + span_us(flag + 6);
	else
		wrong(flag);
}

static void
read_address(
	struct gate_scene *s, const struct zones *zones, const char *name, char *flags)
{
	struct gate_address *a = &s->contact.addresses[s->contact.n_addresses];
	char *save;
	size_t i = 0;

	while (i < ARRAY_LEN(people) && !str_eq(people[i].name, name))
		i++;
	if (i == ARRAY_LEN(people)) {
		wrong(name);
		return;
	}
	s->names[s->contact.n_addresses++] = people[i].name;
	a->kind = people[i].kind;
	a->value = people[i].value;
	a->kinds = gate_kinds_of(&s->rules, a->kind);
	a->trust = people[i].trust;
	if (people[i].country)
		a->zones = zones_country(zones, people[i].country);
	for (char *f = flags ? strtok_r(flags, ",)", &save) : NULL; f;
		f = strtok_r(NULL, ",)", &save))
		read_flag(s, a, f);
}

static void
read_who(struct gate_scene *s, const struct zones *zones, char *word)
{
	if (str_eq(word, "dnc")) {
		s->contact.do_not_contact = true;
	} else if (str_starts(word, "zone=")) {
		s->contact.zone = zones_find(zones, word + 5);
	} else if (str_starts(word, "country=")) {
		str_copy(s->contact.country, sizeof(s->contact.country), word + 8);
	} else {
		char *flags = strchr(word, '(');
		if (flags)
			*flags++ = '\0';
		read_address(s, zones, word, flags);
	}
}

/* ---- Wishes, rules, what was sent ---- */

/* no|yes KIND PURPOSE [@ADDRESS] [since -3d] */
static void
read_yes_or_no(struct gate_scene *s, char *const *w, size_t n)
{
	struct gate_contact *c = &s->contact;
	bool yes = str_eq(w[0], "yes");
	int kind = kind_of(s, w[1]), purpose = purpose_of(w[2]);
	struct gate_address *a = NULL;
	int64_t since_us = 0;

	for (size_t i = 3; i < n; i++)
		if (*w[i] == '@')
			a = &c->addresses[address_of(s, w[i] + 1)];
		else if (str_eq(w[i], "since") && w[i + 1])
			since_us = s->question.now_us + span_us(w[++i]);
		else
			wrong(w[i]);
	if (!yes && !str_eq(w[0], "no"))
		wrong(w[0]);
	uint32_t *masks =
		yes ? (a ? a->allowed : c->allowed) : (a ? a->denied : c->denied);
	for (int p = 0; p < GATE_PURPOSES; p++)
		if (purpose == GATE_ANY || purpose == p)
			masks[p] |= kind == GATE_ANY ? GATE_ALL : 1u << kind;
	if (!yes)
		c->denied_us = since_us;
}

static void
read_wish(struct gate_scene *s, const struct zones *zones, char *piece)
{
	struct gate_contact *c = &s->contact;
	char *w[WORDS_MAX + 1];
	size_t n = split(piece, w);

	(void)zones;
	if (n < 2) {
		wrong(piece);
	} else if (str_eq(w[0], "prefer")) {
		for (size_t i = 1; i < n; i++)
			c->preferred[c->n_preferred++] = (uint8_t)kind_of(s, w[i]);
	} else if (str_eq(w[0], "quiet")) {
		read_quiet(&c->quiet[c->n_quiet++], w[1], w[2]);
	} else if (n >= 3) {
		read_yes_or_no(s, w, n);
	} else {
		wrong(piece);
	}
}

static void
read_cap(struct gate_scene *s, char *const *w)
{
	struct gate_cap *cap = &s->rules.caps[s->rules.n_caps++];
	char *slash = w[2] ? strchr(w[2], '/') : NULL;

	if (!slash) {
		wrong("cap");
		return;
	}
	cap->purposes = mask_of(s, w[1], false);
	cap->kinds = w[3] ? mask_of(s, w[3], true) : GATE_ALL;
	cap->most = (unsigned)atoi(w[2]);
	cap->window_us = span_us(slash + 1);
}

static void
read_holidays(struct gate_scene *s, const char *region)
{
	struct err err = {0};
	size_t n = s->rules.n_holidays;

	s->holidays[n] = holidays_load("conf/holidays", region, &err);
	if (!s->holidays[n])
		wrong(err.text);
	else
		s->rules.holidays[s->rules.n_holidays++] = s->holidays[n];
}

static void
read_rule(struct gate_scene *s, const struct zones *zones, char *piece)
{
	char *w[WORDS_MAX + 1];
	size_t n = split(piece, w);
	const char *what = n ? w[0] : "";

	if (str_eq(what, "cap")) {
		read_cap(s, w);
	} else if (str_eq(what, "consent")) {
		s->rules.needs_consent = w[1] ? mask_of(s, w[1], false) : 0;
	} else if (str_eq(what, "quiet")) {
		read_quiet(&s->rules.quiet[s->rules.n_quiet++], w[1], w[2]);
	} else if (str_eq(what, "quiet-for")) {
		s->rules.quiet_purposes = mask_of(s, w[1], false);
	} else if (str_eq(what, "holidays")) {
		for (size_t i = 1; i < n; i++)
			read_holidays(s, w[i]);
	} else if (str_eq(what, "zone")) {
		s->rules.zone = zones_find(zones, w[1]);
	} else if (str_eq(what, "down")) {
		int kind = kind_of(s, w[1]);
		s->health.up &= ~(1u << kind);
		s->health.back_us[kind] = w[2] ? s->question.now_us + span_us(w[2]) : 0;
	} else if (str_eq(what, "answers")) {
		s->rules.answer_us = span_us(w[1]);
	} else if (str_eq(what, "kind")) {
		if (!gate_rules_add_kind(&s->rules, w[1], w[2], false))
			wrong(w[1]);
	} else {
		wrong(what);
	}
}

static void
read_sent(struct gate_scene *s, const struct zones *zones, char *piece)
{
	char *w[WORDS_MAX + 1];

	(void)zones;
	if (split(piece, w) != 3) {
		wrong(piece);
		return;
	}
	s->contact.sent[s->contact.n_sent++] =
		(struct gate_sent){s->question.now_us + span_us(w[2]),
			(uint8_t)kind_of(s, w[0]), (uint8_t)purpose_of(w[1])};
}

/* ---- The question ---- */

static void
read_ask(struct gate_scene *s, const char *ask)
{
	struct gate_question *q = &s->question;
	char copy[200], *w[WORDS_MAX + 1];

	str_copy(copy, sizeof(copy), ask);
	size_t n = split(copy, w);
	if (n < 2) {
		wrong(ask);
		return;
	}
	char *at = strchr(w[1], '@');
	if (at)
		*at++ = '\0';
	q->purpose = (enum gate_purpose)purpose_of(w[0]);
	q->kind = kind_of(s, w[1]);
	q->address = at ? address_of(s, at) : GATE_ANY;
	for (size_t i = 2; i < n; i++)
		if (str_eq(w[i], "requested"))
			q->requested = true;
		else if (str_eq(w[i], "answer"))
			q->answer = true;
		else if (str_eq(w[i], "expires") && w[i + 1])
			q->expires_us = q->now_us + span_us(w[++i]);
		else
			wrong(w[i]);
}

void
gate_scene_init(
	struct gate_scene *s, const struct zones *zones, const struct gate_case *c)
{
	memset(s, 0, sizeof(*s));
	gate_rules_init(&s->rules);
	s->rules.zone = zones_find(zones, "Asia/Taipei");
	s->health.up = GATE_ALL;
	if (!clock_parse(
		    c->at ? c->at : "2026-11-30T10:00:00+08:00", &s->question.now_us))
		wrong(c->at);
	each_piece(s, zones, c->rules, ";", read_rule);
	each_piece(s, zones, c->who, " ", read_who);
	each_piece(s, zones, c->wishes, ";", read_wish);
	each_piece(s, zones, c->sent, ";", read_sent);
	read_ask(s, c->ask);
}

void
gate_scene_fini(struct gate_scene *s)
{
	for (size_t i = 0; i < s->rules.n_holidays; i++)
		holidays_free(&s->holidays[i]);
}

void
gate_scene_decide(const struct gate_scene *s, struct gate_decision *out)
{
	gate_decide(&s->rules, &s->health, &s->contact, &s->question, out);
}

/* ---- The answer ---- */

static void
print_way(const struct gate_scene *s, int kind, int address, enum gate_reason reason,
	int64_t until_us, struct buf *out)
{
	char time[CLOCK_RFC3339_LEN];

	buf_printf(out, "%s", kind >= 0 ? s->rules.kinds[kind].name : "-");
	if (address >= 0)
		buf_printf(out, "/%s", s->names[address]);
	buf_printf(out, " %s", gate_reason_text(reason));
	if (!until_us)
		return;
	clock_format(time, until_us);
	bool whole = until_us % (60 * US) == 0;
	buf_printf(out, " %.*s%s", whole ? 16 : 23, time, "Z");
}

void
gate_scene_print(
	const struct gate_scene *s, const struct gate_decision *d, struct buf *out)
{
	static const char *const verdicts[] = {"go", "wait", "no"};

	buf_printf(out, "%s ", verdicts[d->verdict]);
	print_way(s, d->kind, d->address, d->reason, d->until_us, out);
	for (size_t i = 0; i < d->n_considered; i++) {
		const struct gate_considered *w = &d->considered[i];
		buf_adds(out, i ? ", " : " | ");
		print_way(s, w->kind, w->address, w->reason, w->until_us, out);
	}
}
