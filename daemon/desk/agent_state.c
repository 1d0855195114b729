/* agent_state.c - the one state of an agent, decided from what was said and when.
 *
 * Every fact is a register that only a later time overwrites (at equal times the higher
 * source, then mode, then reason), so the order in which facts arrive does not matter.
 * `cleared_us` is one too: it remembers a choice that ended wrap-ups though a later
 * choice has replaced it. Next: agent_states.h. */
#include <desk/agent_state.h>

#include <mem.h>
#include <str.h>

#include <string.h>

#define SECOND_US   INT64_C(1000000)
#define MARK_WRAPUP "wrapup"
#define MARK_OFF    "offline"

static const char *const mode_texts[] = {
#define M(name, text, help) [AGENT_##name] = text,
	AGENT_MODES(M)
#undef M
};

static const char *const source_texts[] = {
#define S(name, text, help) [AGENT_BY_##name] = text,
	AGENT_SOURCES(S)
#undef S
};

const char *
agent_mode_text(enum agent_mode mode)
{
	return mode_texts[mode];
}

const char *
agent_source_text(enum agent_source source)
{
	return source_texts[source];
}

static int
parse(const char *text, const char *const *texts, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(text, texts[i]))
			return (int)i;
	return -1;
}

int
agent_mode_parse(const char *text)
{
	return parse(text, mode_texts, ARRAY_LEN(mode_texts));
}

int
agent_source_parse(const char *text)
{
	return parse(text, source_texts, ARRAY_LEN(source_texts));
}

/* ---- What is said ---- */

static int
compare(int64_t a, int64_t b)
{
	return a < b ? -1 : a > b;
}

static bool
choice_is_later(const struct agent_choice *a, const struct agent_choice *b)
{
	int order = compare(a->at_us, b->at_us);

	if (!order)
		order = compare(a->source, b->source);
	if (!order)
		order = compare(a->mode, b->mode);
	if (!order)
		order = strcmp(a->reason, b->reason);
	return order > 0;
}

static bool
ends_wrapup(const struct agent_choice *c)
{
	return c->mode == AGENT_AVAILABLE || c->mode == AGENT_OFFLINE;
}

static bool
clear_wrapups(struct agent_facts *f, int64_t at_us)
{
	if (at_us <= f->cleared_us)
		return false;
	f->cleared_us = at_us;
	return true;
}

bool
agent_facts_choose(struct agent_facts *f, const struct agent_choice *c)
{
	bool changed = ends_wrapup(c) && clear_wrapups(f, c->at_us);

	if (!choice_is_later(c, &f->choice))
		return changed;
	f->choice = *c;
	return true;
}

static bool
wrapup_is_later(const struct agent_wrapup *a, const struct agent_wrapup *b)
{
	int order = compare(a->at_us, b->at_us);

	if (!order)
		order = compare(a->until_us, b->until_us);
	return order > 0;
}

bool
agent_facts_wrapup(struct agent_facts *f, const struct agent_wrapup *w)
{
	if (!wrapup_is_later(w, &f->wrapup))
		return false;
	f->wrapup = *w;
	return true;
}

bool
agent_facts_reach(struct agent_facts *f, bool reachable, int64_t at_us)
{
	if (f->unreachable == !reachable)
		return false;
	f->unreachable = !reachable;
	f->reach_us = at_us;
	return true;
}

bool
agent_facts_see(struct agent_facts *f, int64_t at_us)
{
	if (f->seen_us)
		return false;
	f->seen_us = at_us;
	return true;
}

bool
agent_facts_merge(struct agent_facts *f, const struct agent_facts *other)
{
	bool changed = other->choice.at_us && agent_facts_choose(f, &other->choice);

	changed = agent_facts_wrapup(f, &other->wrapup) || changed;
	return clear_wrapups(f, other->cleared_us) || changed;
}

/* ---- What follows ---- */

/* Not ended by a choice. */
static bool
wrapup_counts(const struct agent_facts *f)
{
	return f->wrapup.at_us && f->wrapup.at_us >= f->cleared_us;
}

bool
agent_is_wrapping_up(const struct agent_facts *f, int64_t now_us)
{
	return wrapup_counts(f) && !f->wrapup.over && f->wrapup.until_us > now_us;
}

/* What was chosen, or, as long as nobody has, what can be seen. */
static void
chosen_state(const struct agent_facts *f, struct agent_state *s)
{
	const struct agent_choice *c = &f->choice;

	*s = (struct agent_state){c->mode, c->at_us, 0, c->source, c->reason, c->by};
	if (c->at_us)
		return;
	s->mode = f->seen_us ? AGENT_AVAILABLE : AGENT_OFFLINE;
	s->since_us = f->seen_us;
	s->source = f->seen_us ? AGENT_BY_PHONE : AGENT_BY_NONE;
}

static void
since(struct agent_state *s, int64_t at_us, enum agent_source source)
{
	if (at_us <= s->since_us)
		return;
	s->since_us = at_us;
	if (s->mode != AGENT_AVAILABLE)
		return;
	s->source = source;
	s->by = "";
}

void
agent_state_of(const struct agent_facts *f, int64_t now_us, struct agent_state *s)
{
	chosen_state(f, s);
	if (s->mode == AGENT_OFFLINE)
		return;
	if (f->unreachable) {
		*s = (struct agent_state){
			AGENT_OFFLINE, f->reach_us, 0, AGENT_BY_PHONE, "", ""};
	} else if (agent_is_wrapping_up(f, now_us)) {
		const struct agent_wrapup *w = &f->wrapup;
		*s = (struct agent_state){
			AGENT_WRAPUP, w->at_us, w->until_us, w->source, "", w->by};
	} else {
		if (wrapup_counts(f))
			since(s, f->wrapup.until_us, AGENT_BY_TIMER);
		since(s, f->reach_us, AGENT_BY_PHONE);
	}
}

int
agent_wants_pause(const struct agent_facts *f, int64_t now_us, const char **reason_r)
{
	const struct agent_choice *c = &f->choice;

	*reason_r = "";
	if (c->at_us && c->mode == AGENT_OFFLINE) {
		*reason_r = MARK_OFF;
		return 1;
	}
	if (agent_is_wrapping_up(f, now_us)) {
		*reason_r = MARK_WRAPUP;
		return 1;
	}
	if (!c->at_us)
		return f->wrapup.at_us ? 0 : -1;
	if (c->mode != AGENT_PAUSED)
		return 0;
	*reason_r = c->reason;
	return 1;
}

bool
agent_reason_is_mark(const char *reason)
{
	return str_eq(reason, MARK_WRAPUP) || str_eq(reason, MARK_OFF);
}

/* A second is all we are told of the pause's time: one that began in the second of our
 * choice is no later than it when it says something else, but is our own echo when it
 * says the same. */
int
agent_item_tells(const struct agent_facts *f, int64_t now_us, bool paused,
	const char *reason, int64_t last_pause_us, bool agreed)
{
	const struct agent_choice *c = &f->choice;
	const char *wanted;
	int want = agent_wants_pause(f, now_us, &wanted);

	if (paused) {
		if (agent_reason_is_mark(reason))
			return -1;
		if (c->mode == AGENT_PAUSED && c->at_us &&
			str_eq(reason ? reason : "", c->reason))
			return -1;
		return !c->at_us || last_pause_us > c->at_us ? 1 : -1;
	}
	if (want != 1 || !c->at_us || c->mode == AGENT_AVAILABLE)
		return -1;
	return agreed && last_pause_us && last_pause_us + SECOND_US > c->at_us ? 0 : -1;
}
