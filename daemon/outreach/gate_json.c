/* gate_json.c - see gate_json.h. */
#include <outreach/gate_json.h>

#include <clock.h>
#include <str.h>

#include <string.h>

/* ---- Writing ---- */

static void
put_identity(struct json_out *j, const struct gate_address *a)
{
	json_put_object(j, "identity");
	json_put_string(j, "kind", a->kind);
	json_put_string(j, "value", a->value);
	json_put_object_end(j);
}

static const struct gate_address *
address_of(const struct gate_contact *c, int address)
{
	return address >= 0 && c->addresses[address].value ? &c->addresses[address]
							   : NULL;
}

static void
put_considered(struct json_out *j, const struct gate_considered *w,
	const struct gate_rules *rules, const struct gate_contact *c)
{
	const struct gate_address *a = address_of(c, w->address);

	json_put_object(j, NULL);
	json_put_string(j, "kind", rules->kinds[w->kind].name);
	if (a)
		put_identity(j, a);
	json_put_string(j, "reason", gate_reason_text(w->reason));
	json_put_string(j, "text", gate_reason_sentence(w->reason));
	if (w->until_us)
		json_put_time(j, "until", w->until_us);
	json_put_object_end(j);
}

void
gate_decision_put(struct json_out *j, const char *key, const struct gate_decision *d,
	const struct gate_rules *rules, const struct gate_contact *c)
{
	const struct gate_address *a = address_of(c, d->address);

	json_put_object(j, key);
	json_put_bool(j, "allowed", d->verdict == GATE_GO);
	json_put_string(j, "kind", d->kind >= 0 ? rules->kinds[d->kind].name : NULL);
	if (a)
		put_identity(j, a);
	else
		json_put_null(j, "identity");
	json_put_string(j, "reason", gate_reason_text(d->reason));
	json_put_string(j, "text", gate_reason_sentence(d->reason));
	json_put_time(j, "until", d->until_us);
	json_put_array(j, "considered");
	for (size_t i = 0; i < d->n_considered; i++)
		put_considered(j, &d->considered[i], rules, c);
	json_put_array_end(j);
	json_put_object_end(j);
}

/* ---- Reading ---- */

/* A word of a wish: its index, GATE_ANY if it is not there or null, GATE_NONE if it is
 * not one of ours; false: no string. */
static bool
read_kind(const struct gate_rules *rules, const json_t *wish, int *kind_r)
{
	const json_t *v = json_object_get(wish, "kind");

	*kind_r = GATE_ANY;
	if (!v || json_is_null(v))
		return true;
	*kind_r = json_is_string(v) ? gate_kind_find(rules, json_string_value(v)) : -1;
	if (*kind_r < 0)
		*kind_r = GATE_NONE;
	return json_is_string(v);
}

static bool
read_purpose(const json_t *wish, int *purpose_r)
{
	const json_t *v = json_object_get(wish, "purpose");

	*purpose_r = GATE_ANY;
	if (!v || json_is_null(v))
		return true;
	*purpose_r = json_is_string(v) ? gate_purpose_parse(json_string_value(v)) : -1;
	return *purpose_r >= 0;
}

static bool
is_named(const struct gate_address *a, const char *kind, const char *value)
{
	size_t n = a->kind ? strlen(a->kind) : 0;

	if (!a->value)
		return false;
	if (kind)
		return str_eq(a->kind, kind) && str_eq(a->value, value);
	if (str_eq(a->value, value))
		return true;
	return n && strncmp(value, a->kind, n) == 0 && value[n] == ':' &&
	       str_eq(value + n + 1, a->value);
}

static bool
read_identity(const struct gate_contact *c, const json_t *wish, int *address_r)
{
	const json_t *v = json_object_get(wish, "identity");
	const char *kind = NULL, *value = json_string_value(v);

	*address_r = GATE_ANY;
	if (!v || json_is_null(v))
		return true;
	if (json_is_object(v)) {
		kind = json_string_value(json_object_get(v, "kind"));
		value = json_string_value(json_object_get(v, "value"));
	}
	*address_r = GATE_NONE;
	for (size_t i = 0; value && i < c->n_addresses; i++)
		if (is_named(&c->addresses[i], kind, value))
			*address_r = (int)i;
	return value && (kind || json_is_string(v));
}

static bool
read_wish(const struct gate_rules *rules, const json_t *wish, bool allow,
	struct gate_contact *c)
{
	const char *at = json_string_value(json_object_get(wish, "at"));
	int kind, purpose, address;
	int64_t at_us = 0;

	if (!json_is_object(wish) || !read_kind(rules, wish, &kind) ||
		!read_purpose(wish, &purpose) || !read_identity(c, wish, &address))
		return false;
	if (kind == GATE_NONE || address == GATE_NONE)
		return true;
	if (at && !clock_parse(at, &at_us))
		at_us = 0;
	if (c->n_wishes == GATE_WISHES_MAX)
		return false;
	c->wishes[c->n_wishes++] = (struct gate_wish){
		(int8_t)kind, (int8_t)purpose, (int8_t)address, allow, at_us};
	return true;
}

/* A list that is not there is an empty one. */
static bool
is_list(const json_t *v)
{
	return !v || json_is_null(v) || json_is_array(v);
}

static bool
read_wishes(const struct gate_rules *rules, const json_t *list, bool allow,
	struct gate_contact *c)
{
	const json_t *wish;
	size_t i;

	if (!is_list(list))
		return false;
	json_array_foreach(list, i, wish)
	{
		if (!read_wish(rules, wish, allow, c) && !allow)
			return false;
	}
	return true;
}

static bool
read_quiet(const json_t *list, struct gate_contact *c)
{
	const json_t *v;
	size_t i;

	if (!is_list(list) || json_array_size(list) > QUIET_RULES_MAX)
		return false;
	json_array_foreach(list, i, v)
	{
		const char *days = json_string_value(json_object_get(v, "days"));
		const char *from = json_string_value(json_object_get(v, "from"));
		const char *to = json_string_value(json_object_get(v, "to"));
		struct quiet_rule *r = &c->quiet[c->n_quiet];
		r->days = QUIET_EVERY_DAY;
		if ((days && !quiet_days_parse(days, &r->days)) || !from || !to ||
			!quiet_time_parse(from, false, &r->from) ||
			!quiet_time_parse(to, true, &r->to))
			return false;
		c->n_quiet++;
	}
	return true;
}

static void
read_preferred(
	const struct gate_rules *rules, const json_t *list, struct gate_contact *c)
{
	const json_t *v;
	size_t i;

	json_array_foreach(list, i, v)
	{
		int kind = json_is_string(v)
				   ? gate_kind_find(rules, json_string_value(v))
				   : -1;
		if (kind >= 0 && c->n_preferred < GATE_KINDS_MAX)
			c->preferred[c->n_preferred++] = (uint8_t)kind;
	}
}

bool
gate_wishes_read(const struct gate_rules *rules, const json_t *preferences,
	struct gate_contact *c)
{
	const json_t *stop = json_object_get(preferences, "do_not_contact");
	bool ok = json_is_object(preferences) &&
		  (!stop || json_is_null(stop) || json_is_boolean(stop));

	c->n_wishes = c->n_quiet = c->n_preferred = 0;
	read_preferred(rules, json_object_get(preferences, "preferred"), c);
	ok = ok &&
	     read_wishes(rules, json_object_get(preferences, "denied"), false, c) &&
	     read_quiet(json_object_get(preferences, "quiet_hours"), c) &&
	     read_wishes(rules, json_object_get(preferences, "allowed"), true, c);
	c->do_not_contact = !ok || json_is_true(stop);
	return ok;
}
