/* pop_sight.c - pops for those who may not see every contact (people/sight.h).
 *
 * The call is theirs to take, so it pops all the same; but unless the contact, or one of
 * the candidates, is in sight, all that is left of who it is is the number: such a pop
 * looks like one of a stranger, and one of a stranger looks like that, so that neither
 * tells anything. */
#include <desk/pop_priv.h>

#include <clock.h>
#include <str.h>

#include <jansson.h>

#include <stdlib.h>
#include <string.h>

#define COMPACT (JSON_COMPACT | JSON_PRESERVE_ORDER)

/* What channels and the company's own system say of the person. */
static void
hide_person(json_t *pop)
{
	json_object_set_new(pop, "contact", json_null());
	json_object_set_new(pop, "recent", json_array());
	json_object_set_new(pop, "variables", json_object());
	json_object_set_new(json_object_get(pop, "remote"), "display", json_null());
	json_object_del(pop, "lookup");
}

static void
filter_candidates(const struct sight *s, json_t *all)
{
	for (size_t i = json_array_size(all); i > 0; i--)
		if (!sight_filter(s, json_array_get(all, i - 1)))
			json_array_remove(all, i - 1);
}

static void
filter_pop(const struct sight *s, json_t *pop)
{
	json_t *contact = json_object_get(pop, "contact");
	json_t *found = json_object_get(pop, "lookup");
	filter_candidates(s, json_object_get(pop, "candidates"));
	if (found && !sight_filter(s, found))
		json_object_del(pop, "lookup");
	/* Nobody yet, or nobody at all: seen only by who sees contacts without a role. */
	bool seen = json_is_object(contact) ? sight_filter(s, contact)
		    : found		    ? json_object_get(pop, "lookup") != NULL
					    : sight_has(s, NULL);
	if (!seen)
		hide_person(pop);
}

bool
pop_json_seen(struct buf *out, const char *json, size_t len, const struct sight *s)
{
	json_t *pop = json_loadb(json, len, 0, NULL);
	if (json_is_object(pop))
		filter_pop(s, pop);
	char *text = json_is_object(pop) ? json_dumps(pop, COMPACT) : NULL;
	json_decref(pop);
	if (text)
		buf_adds(out, text);
	free(text);
	return text != NULL;
}

const struct sight *
pop_sight(const struct pop *p)
{
	const struct agents *agents = p->subject->pops->opts.agents;
	if (!agents || p->list->is_queue)
		return NULL;
	return agents_sight(agents, p->list->tenant->tenant->name, p->list->id);
}

/* Given again; what says the same word for word is not told again (pop.lua). */
void
pops_on_sight(struct pops *ps, const char *tenant, const char *agent)
{
	list_for_each (&ps->subjects, it) {
		struct subject *s = LIST_ENTRY(it, struct subject, link);
		if (tenant && !str_eq(s->tenant->tenant->name, tenant))
			continue;
		list_for_each (&s->shown_pops, at) {
			struct pop *p = LIST_ENTRY(at, struct pop, link);
			if (pop_is_live(p) && !p->list->is_queue &&
				(!agent || str_eq(p->list->id, agent)))
				pop_touch(p, 0);
		}
	}
}
