/* gate_read.c - lists of wishes become masks: what a list says twice is said once, and
 * no list is too long. */
#include <outreach/gate_read.h>

#include <clock.h>
#include <people/address.h>
#include <people/phone.h>
#include <str.h>

#include <string.h>

/* ---- One entry ---- */

/* What an entry is about: masks, and an address (GATE_ANY: all; GATE_NONE: none of c's).
 */
struct entry {
	uint32_t kinds, purposes;
	int address;
	int64_t at_us; /* 0: not said */
};

/* A kind that is not ours is none of them. */
static bool
read_kinds(const struct gate_rules *rules, const json_t *wish, uint32_t *kinds_r)
{
	const json_t *v = json_object_get(wish, "kind");

	*kinds_r = GATE_ALL;
	if (!v || json_is_null(v))
		return true;
	int kind = gate_kind_find(rules, json_string_value(v));
	*kinds_r = kind < 0 ? 0 : 1u << kind;
	return json_is_string(v);
}

static bool
read_purposes(const json_t *wish, uint32_t *purposes_r)
{
	const json_t *v = json_object_get(wish, "purpose");

	*purposes_r = GATE_ALL;
	if (!v || json_is_null(v))
		return true;
	int purpose = gate_purpose_parse(json_string_value(v));
	*purposes_r = purpose < 0 ? 0 : 1u << purpose;
	return purpose >= 0;
}

static bool
is_named(const struct gate_address *a, const char *kind, const char *value)
{
	size_t n = strlen(a->kind);

	if (kind)
		return str_eq(a->kind, kind) && str_eq(a->value, value);
	if (str_eq(a->value, value))
		return true;
	return strncmp(value, a->kind, n) == 0 && value[n] == ':' &&
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
read_entry(const struct gate_rules *rules, const struct gate_contact *c,
	const json_t *wish, struct entry *e)
{
	const char *at = json_string_value(json_object_get(wish, "at"));

	if (!json_is_object(wish) || !read_kinds(rules, wish, &e->kinds) ||
		!read_purposes(wish, &e->purposes) ||
		!read_identity(c, wish, &e->address))
		return false;
	if (!at || !clock_parse(at, &e->at_us))
		e->at_us = 0;
	return true;
}

static void
add_to(uint32_t masks[GATE_PURPOSES], const struct entry *e)
{
	for (int p = 0; p < GATE_PURPOSES; p++)
		if (e->purposes >> p & 1)
			masks[p] |= e->kinds;
}

/* ---- Preferences ---- */

/* A list that is not there is an empty one. */
static bool
is_list(const json_t *v)
{
	return !v || json_is_null(v) || json_is_array(v);
}

static bool
read_denied(const struct gate_rules *rules, const json_t *list, struct gate_contact *c)
{
	bool undated = false;
	const json_t *wish;
	struct entry e;
	size_t i;

	if (!is_list(list))
		return false;
	json_array_foreach(list, i, wish)
	{
		if (!read_entry(rules, c, wish, &e))
			return false;
		if (e.address != GATE_NONE)
			add_to(e.address >= 0 ? c->addresses[e.address].denied
					      : c->denied,
				&e);
		undated |= e.at_us == 0;
		if (e.at_us > c->denied_us)
			c->denied_us = e.at_us;
	}
	if (undated)
		c->denied_us = 0;
	return true;
}

static bool
read_allowed(const struct gate_rules *rules, const json_t *list, struct gate_contact *c)
{
	const json_t *wish;
	struct entry e;
	size_t i;

	json_array_foreach(list, i, wish)
	{
		if (read_entry(rules, c, wish, &e) && e.address != GATE_NONE)
			add_to(e.address >= 0 ? c->addresses[e.address].allowed
					      : c->allowed,
				&e);
	}
	return is_list(list);
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
		int kind = gate_kind_find(rules, json_string_value(v));
		if (kind >= 0 && c->n_preferred < GATE_KINDS_MAX)
			c->preferred[c->n_preferred++] = (uint8_t)kind;
	}
}

static void
forget_wishes(struct gate_contact *c)
{
	memset(c->denied, 0, sizeof(c->denied));
	memset(c->allowed, 0, sizeof(c->allowed));
	c->denied_us = 0;
	c->n_quiet = c->n_preferred = 0;
	for (size_t i = 0; i < c->n_addresses; i++) {
		memset(c->addresses[i].denied, 0, sizeof(c->addresses[i].denied));
		memset(c->addresses[i].allowed, 0, sizeof(c->addresses[i].allowed));
	}
}

bool
gate_wishes_read(const struct gate_rules *rules, const json_t *preferences,
	struct gate_contact *c)
{
	const json_t *stop = json_object_get(preferences, "do_not_contact");
	bool ok = json_is_object(preferences) &&
		  (!stop || json_is_null(stop) || json_is_boolean(stop));

	forget_wishes(c);
	read_preferred(rules, json_object_get(preferences, "preferred"), c);
	ok = ok && read_denied(rules, json_object_get(preferences, "denied"), c) &&
	     read_allowed(rules, json_object_get(preferences, "allowed"), c) &&
	     read_quiet(json_object_get(preferences, "quiet_hours"), c);
	c->do_not_contact = !ok || json_is_true(stop);
	return ok;
}

/* ---- A contact ---- */

/* The last time they wrote from it, by whatever kind. */
static int64_t
read_wrote(json_t *times)
{
	int64_t last = 0, at;
	const char *kind;
	json_t *v;

	json_object_foreach(times, kind, v)
	{
		const char *text = json_string_value(v);
		if (text && clock_parse(text, &at) && at > last)
			last = at;
	}
	return last;
}

/* The purposes that others deny for an address by any of the kinds it is used for; what
 * cannot be read is all of them, and so is their do_not_contact ("*"). */
static uint32_t
read_others(const struct gate_rules *rules, const json_t *wishes, uint32_t kinds)
{
	uint32_t mask = 0;
	const json_t *v;
	size_t i;

	json_array_foreach(wishes, i, v)
	{
		const char *kind = json_string_value(json_object_get(v, "kind"));
		int k = gate_kind_find(rules, kind);
		int purpose = gate_purpose_parse(
			json_string_value(json_object_get(v, "purpose")));
		bool all = !kind || str_eq(kind, "*") || str_empty(kind);
		if (all || (k >= 0 && kinds >> k & 1))
			mask |= purpose < 0 ? GATE_ALL : 1u << purpose;
	}
	return mask;
}

static void
read_address(const struct gate_rules *rules, const struct zones *zones, const json_t *v,
	struct gate_contact *c)
{
	struct gate_address *a = &c->addresses[c->n_addresses];
	const char *kind = json_string_value(json_object_get(v, "kind"));
	const char *value = json_string_value(json_object_get(v, "value"));
	int trust = trust_parse(json_string_value(json_object_get(v, "trust")));
	char country[3];

	if (!kind || !value || c->n_addresses == GATE_ADDRESSES_MAX)
		return;
	c->n_addresses++;
	a->kind = kind;
	a->value = value;
	a->kinds = gate_kinds_of(rules, kind);
	a->trust = trust < 0 ? GATE_CLAIMED : (enum gate_trust)trust;
	a->suppressed =
		json_array_size(json_object_get(v, "suppressed")) ? GATE_ALL : 0;
	a->shared = json_is_true(json_object_get(v, "shared"));
	a->denied_by_others =
		read_others(rules, json_object_get(v, "others_denied"), a->kinds);
	a->wrote_us = read_wrote(json_object_get(v, "wrote"));
	if (str_eq(kind, "phone") && phone_country(value, country))
		a->zones = zones_country(zones, country);
}

/* What the store has worked out for an address: its denials, and what of the contact's
 * own yes counts for it. */
static void
read_rulings(const struct gate_rules *rules, const json_t *v, struct gate_contact *c,
	struct gate_address *a)
{
	const json_t *allowed = json_object_get(v, "allowed"), *wish;
	uint32_t may[GATE_PURPOSES] = {0};
	struct entry e;
	size_t i;

	json_array_foreach(json_object_get(v, "denied"), i, wish)
	{
		if (read_entry(rules, c, wish, &e))
			add_to(a->denied, &e);
	}
	if (!json_is_array(allowed))
		return;
	json_array_foreach(allowed, i, wish)
	{
		if (read_entry(rules, c, wish, &e))
			add_to(may, &e);
	}
	for (int p = 0; p < GATE_PURPOSES; p++)
		a->uncovered[p] = ~may[p];
}

/* Theirs, if all their numbers are of one. */
static void
find_country(struct gate_contact *c)
{
	char country[3];

	for (size_t i = 0; i < c->n_addresses; i++) {
		const struct gate_address *a = &c->addresses[i];
		if (!str_eq(a->kind, "phone") || !phone_country(a->value, country))
			continue;
		if (*c->country && !str_eq(c->country, country)) {
			*c->country = '\0';
			return;
		}
		str_copy(c->country, sizeof(c->country), country);
	}
}

bool
gate_contact_read(const struct gate_rules *rules, const struct zones *zones,
	const json_t *object, struct gate_contact *c)
{
	const json_t *addresses = json_object_get(object, "addresses"), *v;
	const char *zone = json_string_value(json_object_get(object, "timezone"));
	size_t i, n = 0;

	memset(c, 0, sizeof(*c));
	json_array_foreach(addresses, i, v)
	{
		read_address(rules, zones, v, c);
	}
	c->zone = zone ? zones_find(zones, zone) : NULL;
	find_country(c);
	bool ok = gate_wishes_read(rules, json_object_get(object, "wishes"), c);
	json_array_foreach(addresses, i, v)
	{
		const char *value = json_string_value(json_object_get(v, "value"));
		if (n < c->n_addresses && value == c->addresses[n].value)
			read_rulings(rules, v, c, &c->addresses[n++]);
	}
	return ok;
}

void
gate_sent_read(
	const struct gate_rules *rules, const json_t *list, struct gate_contact *c)
{
	const json_t *v;
	size_t i;

	c->n_sent = 0;
	json_array_foreach(list, i, v)
	{
		int kind =
			gate_kind_find(rules, json_string_value(json_array_get(v, 0)));
		int purpose =
			gate_purpose_parse(json_string_value(json_array_get(v, 1)));
		if (kind < 0 || purpose < 0 || c->n_sent == GATE_SENT_MAX)
			continue;
		c->sent[c->n_sent++] =
			(struct gate_sent){json_integer_value(json_array_get(v, 2)),
				(uint8_t)kind, (uint8_t)purpose};
	}
}

int64_t
gate_history_us(const struct gate_rules *rules)
{
	int64_t longest = 0;

	for (size_t i = 0; i < rules->n_caps; i++)
		if (rules->caps[i].window_us > longest)
			longest = rules->caps[i].window_us;
	return longest;
}
