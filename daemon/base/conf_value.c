/* conf_value.c - one text to one typed field, and what is allowed instead.
 *
 * conf_value_parse() only sets a field when the whole text is good, so a half-built
 * section can be freed by its rows at any time. What a person reads after a mistake
 * comes from the same row that was violated: limits in the unit the key is written in.
 */
#include "conf_priv.h"

#include <mem.h>
#include <str.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define REGEX_MAX	4096 /* bytes */
#define REGEX_DEPTH_MAX 32
#define REGEX_COST_MAX	2000 /* atoms after {n,m} is written out, as regcomp does */

struct unit {
	const char *suffix; /* of a key's name, or of a number */
	int64_t factor;
	const char *name;
};

/* The unit of a bare number is the one the key's name ends in. */
static const struct unit key_units[] = {
	{"_ms", 1, "milliseconds"},
	{"_s", 1000, "seconds"},
	{"_min", 60000, "minutes"},
	{"_h", 3600000, "hours"},
	{"_d", 86400000, "days"},
	{"_days", 86400000, "days"},
};
/* Largest last: the biggest that divides a limit is how the limit is shown. */
static const struct unit time_units[] = {
	{"ms", 1, NULL},
	{"s", 1000, NULL},
	{"m", 60000, NULL},
	{"min", 60000, NULL},
	{"h", 3600000, NULL},
	{"d", 86400000, NULL},
};
static const struct unit size_units[] = {
	{"", 1, NULL},
	{"k", INT64_C(1) << 10, NULL},
	{"M", INT64_C(1) << 20, NULL},
	{"G", INT64_C(1) << 30, NULL},
};

static void *
field_of(const struct conf_key *key, void *values)
{
	return (char *)values + key->offset;
}

static const void *
const_field_of(const struct conf_key *key, const void *values)
{
	return (const char *)values + key->offset;
}

/* Rows with both limits 0 have none. */
static bool
has_limits(const struct conf_key *key)
{
	return key->min || key->max;
}

/* They take any value from 0 up. */
static int64_t
max_of(const struct conf_key *key)
{
	return has_limits(key) ? key->max : INT64_MAX;
}

static const struct unit *
unit_of_key(const struct conf_key *key)
{
	size_t len = strlen(key->name);

	for (size_t i = 0; i < ARRAY_LEN(key_units); i++) {
		size_t n = strlen(key_units[i].suffix);
		if (len > n && str_eq(key->name + len - n, key_units[i].suffix))
			return &key_units[i];
	}
	return NULL;
}

static bool
number_with_unit(const char *text, const struct unit *units, size_t n_units,
	const struct unit *bare, int64_t *value_r)
{
	char digits[24];
	size_t n = strspn(text, "0123456789");
	const struct unit *unit = text[n] ? NULL : bare;

	if (n == 0 || n >= sizeof(digits))
		return false;
	for (size_t i = 0; text[n] && i < n_units; i++)
		if (str_ieq(text + n, units[i].suffix))
			unit = &units[i];
	if (!unit)
		return false;
	memcpy(digits, text, n);
	digits[n] = '\0';
	return str_int(digits, 0, INT64_MAX, value_r) &&
	       !__builtin_mul_overflow(*value_r, unit->factor, value_r);
}

static void
add_with_unit(struct buf *out, int64_t value, const struct unit *units, size_t n_units)
{
	const struct unit *best = &units[0];

	for (size_t i = 0; value && i < n_units; i++)
		if (value % units[i].factor == 0 && units[i].factor > best->factor)
			best = &units[i];
	buf_printf(out, "%" PRId64 "%s", value / best->factor, best->suffix);
}

static void
add_limit(struct buf *out, const struct conf_key *key, int64_t limit)
{
	const struct unit *bare = unit_of_key(key);

	if (key->type == CONF_SIZE)
		add_with_unit(out, limit, size_units, ARRAY_LEN(size_units));
	else if (key->type == CONF_DURATION && (!bare || limit % bare->factor))
		add_with_unit(out, limit, time_units, ARRAY_LEN(time_units));
	else if (key->type == CONF_DURATION)
		buf_printf(out, "%" PRId64, limit / bare->factor);
	else
		buf_printf(out, "%" PRId64, limit);
}

static void
add_range(struct buf *out, const struct conf_key *key)
{
	if (max_of(key) == INT64_MAX) {
		buf_adds(out, "at least ");
		add_limit(out, key, key->min);
		return;
	}
	buf_adds(out, "between ");
	add_limit(out, key, key->min);
	buf_adds(out, " and ");
	add_limit(out, key, key->max);
}

static void
add_choices(struct buf *out, const char *const *choices)
{
	buf_adds(out, "one of ");
	for (size_t i = 0; choices[i]; i++)
		buf_printf(out, "%s%s", i ? ", " : "", choices[i]);
}

/* "2 ", "at most 16 " or "1 to 4000 ", before what is counted. */
static void
add_count(struct buf *out, const struct conf_key *key)
{
	if (key->min == key->max)
		buf_printf(out, "%" PRId64 " ", key->min);
	else if (key->min == 0)
		buf_printf(out, "at most %" PRId64 " ", key->max);
	else
		buf_printf(out, "%" PRId64 " to %" PRId64 " ", key->min, key->max);
}

static void
add_text_or_list(struct buf *out, const struct conf_key *key)
{
	bool list = key->type == CONF_LIST;

	buf_adds(out, list ? "" : has_limits(key) ? "text of " : "text");
	if (has_limits(key))
		add_count(out, key);
	if (list)
		buf_adds(out, "words separated by commas or blanks");
	else if (has_limits(key))
		buf_adds(out, "bytes");
}

void
conf_value_allowed(struct buf *out, const struct conf_key *key)
{
	const struct unit *bare;

	switch (key->type) {
	case CONF_STRING:
	case CONF_LIST: add_text_or_list(out, key); break;
	case CONF_REGEX: buf_adds(out, "a POSIX extended regular expression"); break;
	case CONF_BOOL:
		buf_adds(out, "yes or no (or true, false, on, off, 1, 0)");
		break;
	case CONF_CHOICE: add_choices(out, key->choices); break;
	case CONF_INT:
		buf_adds(out, "a whole number ");
		add_range(out, key);
		break;
	case CONF_SIZE:
		add_range(out, key);
		buf_adds(out, " (bytes, or with k, M or G)");
		break;
	case CONF_DURATION:
		add_range(out, key);
		bare = unit_of_key(key);
		buf_printf(out, " (%s)", bare ? bare->name : "with ms, s, m, h or d");
		break;
	}
}

static int
must_be(const struct conf_key *key, struct err *why)
{
	struct buf text = BUF_INIT;

	conf_value_allowed(&text, key);
	err_set(why, "must be %s", buf_str(&text));
	buf_fini(&text);
	return -1;
}

static int
parse_number(
	const struct conf_key *key, const char *text, int64_t *field, struct err *why)
{
	int64_t value = 0;
	bool good;

	if (key->type == CONF_INT)
		good = str_int(text, INT64_MIN, INT64_MAX, &value);
	else if (key->type == CONF_SIZE)
		good = number_with_unit(text, size_units, ARRAY_LEN(size_units),
			&size_units[0], &value);
	else
		good = number_with_unit(text, time_units, ARRAY_LEN(time_units),
			unit_of_key(key), &value);
	if (!good || value < key->min || value > max_of(key))
		return must_be(key, why);
	*field = value;
	return 0;
}

static int
parse_bool(const struct conf_key *key, const char *text, bool *field, struct err *why)
{
	static const char *const words[] = {
		"no", "yes", "false", "true", "off", "on", "0", "1"};

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (str_ieq(text, words[i])) {
			*field = i & 1;
			return 0;
		}
	}
	return must_be(key, why);
}

static int
parse_choice(const struct conf_key *key, const char *text, int *field, struct err *why)
{
	struct conf_words words = {NULL, 0};
	struct buf message = BUF_INIT;

	for (int i = 0; key->choices[i]; i++) {
		if (str_ieq(text, key->choices[i])) {
			*field = i;
			conf_words_fini(&words);
			return 0;
		}
		conf_words_add(&words, key->choices[i]);
	}
	buf_adds(&message, "no such choice");
	conf_words_explain(&message, &words, text);
	err_set(why, "%s", buf_str(&message));
	buf_fini(&message);
	conf_words_fini(&words);
	return -1;
}

static bool
count_is_allowed(const struct conf_key *key, size_t n)
{
	return !has_limits(key) || ((int64_t)n >= key->min && (int64_t)n <= key->max);
}

static int
parse_string(
	const struct conf_key *key, const char *text, char **field, struct err *why)
{
	if (!count_is_allowed(key, strlen(text)))
		return must_be(key, why);
	*field = xstrdup(text);
	return 0;
}

/* The next word at *text_r, which is set behind it; returns its length, 0 at the end.
 */
static size_t
next_word(const char **text_r, const char **word_r)
{
	static const char separators[] = ", \t\r\n";

	*word_r = *text_r + strspn(*text_r, separators);
	size_t len = strcspn(*word_r, separators);
	*text_r = *word_r + len;
	return len;
}

static int
parse_list(const struct conf_key *key, const char *text, struct conf_list *field,
	struct err *why)
{
	const char *at = text, *word;
	size_t n = 0, len;

	while (next_word(&at, &word))
		n++;
	if (!count_is_allowed(key, n))
		return must_be(key, why);
	field->items = n ? xcalloc(n, sizeof(*field->items)) : NULL;
	for (at = text; (len = next_word(&at, &word));)
		field->items[field->n++] = xstrndup(word, len);
	return 0;
}

/* Behind the "*", "+", "?" or "{n,m}" at s; *atom_r is multiplied by how often the atom
 * is written out at most, and ends above REGEX_COST_MAX if that is out of all reason.
 */
static const char *
regex_skip_bound(const char *s, int64_t *atom_r)
{
	int64_t largest = 1, value = 0;

	if (*s != '{') {
		*atom_r *= *s == '+' ? 2 : 1; /* "a+" is written out as "aa*" */
		return s + 1;
	}
	for (s++; *s && *s != '}' && largest <= REGEX_COST_MAX; s++) {
		value = *s >= '0' && *s <= '9' ? value * 10 + (*s - '0') : 0;
		largest = value > largest ? value : largest;
	}
	*atom_r *= largest + 1; /* "a{3,}" as "aaaa*" */
	return *s == '}' ? s + 1 : s;
}

/* After a bracket expression "[^]a-z]"; s is behind its "[". */
static const char *
regex_skip_bracket(const char *s)
{
	s += *s == '^';
	s += *s == ']';
	while (*s && *s != ']') {
		if (*s == '[' && s[1] && strchr(".:=", s[1])) {
			char kind = s[1];
			for (s += 2; *s && !(*s == kind && s[1] == ']');)
				s++;
			s += *s ? 1 : 0;
		}
		s += *s ? 1 : 0;
	}
	return *s ? s + 1 : s;
}

/* regcomp() writes repetitions out and recurses into groups: "((a{255}){255}){255}"
 * takes gigabytes, a thousand "(" the stack. Counts what would come out before it does.
 */
static bool
regex_is_bounded(const char *s)
{
	int64_t cost[REGEX_DEPTH_MAX + 1] = {0}, atom;
	int depth = 0;

	while (*s) {
		char c = *s++;
		if (c == '(') {
			if (++depth > REGEX_DEPTH_MAX)
				return false;
			cost[depth] = 0;
			continue;
		}
		atom = c == ')' && depth > 0 ? cost[depth--] + 1 : 1;
		if (c == '[')
			s = regex_skip_bracket(s);
		else if (c == '\\' && *s)
			s++;
		while (*s && strchr("{*+?", *s)) {
			s = regex_skip_bound(s, &atom);
			if (atom > REGEX_COST_MAX)
				return false;
		}
		cost[depth] += atom;
		if (cost[depth] > REGEX_COST_MAX)
			return false;
	}
	return true;
}

static int
parse_regex(const struct conf_key *key, const char *text, struct conf_regex *field,
	struct err *why)
{
	char cause[128];

	if (!*text)
		return err_set(
			why, "is empty: give a regular expression, or remove the line");
	if (strlen(text) > REGEX_MAX || !regex_is_bounded(text))
		return err_set(why, "is too large a regular expression");
	int rc = regcomp(&field->re, text, REG_EXTENDED);
	if (rc) {
		regerror(rc, &field->re, cause, sizeof(cause));
		memset(&field->re, 0, sizeof(field->re));
		return err_set(
			why, "must be a POSIX extended regular expression (%s)", cause);
	}
	if ((int64_t)field->re.re_nsub < key->min) {
		regfree(&field->re);
		memset(&field->re, 0, sizeof(field->re));
		return err_set(why, "needs a group in parentheses: what it matches is "
				    "taken");
	}
	field->text = xstrdup(text);
	return 0;
}

int
conf_value_parse(
	const struct conf_key *key, const char *text, void *values, struct err *why)
{
	void *field = field_of(key, values);

	switch (key->type) {
	case CONF_STRING: return parse_string(key, text, field, why);
	case CONF_LIST: return parse_list(key, text, field, why);
	case CONF_INT:
	case CONF_DURATION:
	case CONF_SIZE: return parse_number(key, text, field, why);
	case CONF_BOOL: return parse_bool(key, text, field, why);
	case CONF_REGEX: return parse_regex(key, text, field, why);
	case CONF_CHOICE: return parse_choice(key, text, field, why);
	}
	return -1;
}

void
conf_value_free(const struct conf_key *key, void *values)
{
	void *field = field_of(key, values);

	if (key->type == CONF_STRING) {
		xfree((char **)field);
	} else if (key->type == CONF_LIST) {
		struct conf_list *list = field;
		for (size_t i = 0; i < list->n; i++)
			xfree(&list->items[i]);
		xfree(&list->items);
		list->n = 0;
	} else if (key->type == CONF_REGEX) {
		struct conf_regex *regex = field;
		if (regex->text)
			regfree(&regex->re);
		xfree(&regex->text);
	}
}

static bool
lists_equal(const struct conf_list *a, const struct conf_list *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!str_eq(a->items[i], b->items[i]))
			return false;
	return true;
}

bool
conf_value_equal(const struct conf_key *key, const void *a, const void *b)
{
	const void *fa = const_field_of(key, a), *fb = const_field_of(key, b);

	switch (key->type) {
	case CONF_STRING: return str_eq(*(char *const *)fa, *(char *const *)fb);
	case CONF_LIST: return lists_equal(fa, fb);
	case CONF_INT:
	case CONF_DURATION:
	case CONF_SIZE: return *(const int64_t *)fa == *(const int64_t *)fb;
	case CONF_BOOL: return *(const bool *)fa == *(const bool *)fb;
	case CONF_CHOICE: return *(const int *)fa == *(const int *)fb;
	case CONF_REGEX:
		return str_eq(((const struct conf_regex *)fa)->text,
			((const struct conf_regex *)fb)->text);
	}
	return false;
}
