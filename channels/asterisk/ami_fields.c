/* ami_fields.c - the lines of an AMI message as fields of a call event.
 *
 * Every channel in a message is described by the same lines, with a prefix for all but
 * the event's own: "Uniqueid", "DestUniqueid", "ParkeeUniqueid" and so on.
 *
 * Asterisk escapes names (C escapes) but not numbers, and PJSIP leaves the quoted-pairs
 * of SIP display names in place: a name is unescaped once for each. */
#include "ami_fields.h"
#include "ami_variables.h"

#include <str.h>

#include <stdlib.h>
#include <string.h>

/* ---- Text ------------------------------------------------------------------ */

const char *
ami_keep(struct ami_fields *e, const char *s, size_t len)
{
	char *at = e->arena + e->used;

	if (len >= AMI_ARENA_SIZE - e->used)
		return NULL;
	memcpy(at, s, len);
	at[len] = '\0';
	e->used += len + 1;
	return at;
}

const char *
ami_clean(struct ami_fields *e, const char *s)
{
	size_t len;

	if (!s)
		return NULL;
	len = strlen(s);
	if (utf8_valid(s, len) && !strpbrk(s, "\r\n\t"))
		return s;
	buf_clear(&e->scratch);
	utf8_clean(&e->scratch, s, len);
	return ami_keep(e, buf_str(&e->scratch), e->scratch.len);
}

const char *
ami_unescaped(struct ami_fields *e, const char *s)
{
	if (!s || !strchr(s, '\\'))
		return ami_clean(e, s);
	buf_clear(&e->scratch2);
	ami_unescape(&e->scratch2, s);
	buf_clear(&e->scratch);
	utf8_clean(&e->scratch, buf_str(&e->scratch2), e->scratch2.len);
	return ami_keep(e, buf_str(&e->scratch), e->scratch.len);
}

/* A display name: AMI's escapes, then SIP's quoted-pairs (RFC 3261 §25.1), undone. */
static const char *
display_name(struct ami_fields *e, const char *s)
{
	const char *once = ami_unescaped(e, s);
	char *out, *from;

	if (!once || !strchr(once, '\\'))
		return once;
	from = out = (char *)(uintptr_t)ami_keep(e, once, strlen(once));
	once = out;
	for (; from && *from; from++) {
		if (*from == '\\' && from[1])
			from++;
		*out++ = *from;
	}
	if (out)
		*out = '\0';
	return once;
}

static const char *
known(const char *v)
{
	if (!v || !*v || strcmp(v, "<unknown>") == 0 || strcmp(v, "<none>") == 0)
		return NULL;
	return v;
}

const char *
ami_endpoint(struct ami_fields *e, const char *name)
{
	const char *dash = strrchr(name, '-');

	if (strchr(name, '<') || !dash)
		return NULL;
	return ami_keep(e, name, (size_t)(dash - name));
}

static bool
is_local_name(const char *name)
{
	size_t len = strlen(name);

	return len > 2 && name[len - 2] == ';' && str_starts(name, "Local/");
}

int
ami_int(const char *s)
{
	int64_t v;
	size_t len = s ? strspn(s, "0123456789") : 0;
	char digits[10];

	if (len == 0 || len >= sizeof(digits))
		return 0;
	str_copy(digits, len + 1, s);
	return str_int(digits, 0, INT32_MAX, &v) ? (int)v : 0;
}

/* `timestampevents = yes` puts "Timestamp: seconds.microseconds" into every event. */
int64_t
ami_timestamp_us(const struct ami_message *m, int64_t otherwise_us)
{
	const char *s = ami_get(m, "Timestamp");
	char *end;
	double seconds;

	if (!s || *s < '0' || *s > '9')
		return otherwise_us;
	seconds = strtod(s, &end);
	if (*end || seconds < 1e8 || seconds > 1e11)
		return otherwise_us;
	return (int64_t)(seconds * 1e6 + 0.5);
}

/* ---- Channels in a message ------------------------------------------------- */

/* The lines that describe one channel; each event repeats them, with a prefix for all
 * channels but the first. */
struct party {
	const char *name, *uid, *linked, *number, *caller_name, *connected_number,
		*connected_name, *exten, *context, *language;
	enum call_channel_state state;
};

/* AST_STATE_… of Asterisk's channelstate.h. */
static enum call_channel_state
state_of(const char *number)
{
	switch (number[0]) {
	case '0':
	case '1': return CALL_STATE_DOWN;
	case '2':
	case '3':
	case '4': return CALL_STATE_RING;
	case '5': return CALL_STATE_RINGING;
	case '6': return CALL_STATE_UP;
	case '7': return CALL_STATE_BUSY;
	default: return CALL_STATE_UNKNOWN;
	}
}

static bool
is_key(const char *key, const char *what)
{
	return strcmp(key, what) == 0;
}

/* One line, its prefix cut off. */
static void
party_line(struct party *p, const char *key, size_t len, const char *value)
{
	switch (len) {
	case 5:
		if (is_key(key, "Exten"))
			p->exten = known(value);
		break;
	case 7:
		if (is_key(key, "Channel"))
			p->name = known(value);
		else if (is_key(key, "Context"))
			p->context = known(value);
		break;
	case 8:
		if (is_key(key, "Uniqueid"))
			p->uid = known(value);
		else if (is_key(key, "Linkedid"))
			p->linked = known(value);
		else if (is_key(key, "Language"))
			p->language = known(value);
		break;
	case 11:
		if (is_key(key, "CallerIDNum"))
			p->number = known(value);
		break;
	case 12:
		if (is_key(key, "ChannelState"))
			p->state = state_of(value);
		else if (is_key(key, "CallerIDName"))
			p->caller_name = known(value);
		break;
	case 16:
		if (is_key(key, "ConnectedLineNum"))
			p->connected_number = known(value);
		break;
	case 17:
		if (is_key(key, "ConnectedLineName"))
			p->connected_name = known(value);
		break;
	}
}

static bool
party_read(struct party *p, const struct ami_message *m, const char *prefix)
{
	size_t prefix_len = strlen(prefix);

	memset(p, 0, sizeof(*p));
	for (size_t i = 0; i < m->n; i++) {
		const struct ami_line *l = &m->lines[i];
		if (l->key_len > prefix_len && memcmp(l->key, prefix, prefix_len) == 0)
			party_line(p, l->key + prefix_len, l->key_len - prefix_len,
				l->value);
	}
	return p->uid != NULL;
}

/* "CHANNEL(language)=zh" and the like, one line per variable of `channelvars`. */
static void
read_variables(struct ami_fields *e, const struct ami_message *m, const char *key,
	struct call_event *ev)
{
	size_t key_len = strlen(key);

	ev->vars = e->vars;
	for (size_t i = 0; i < m->n && ev->n_vars < CALL_VARS_MAX; i++) {
		const struct ami_line *l = &m->lines[i];
		const char *eq, *name;
		if (l->key_len != key_len || memcmp(l->key, key, key_len) != 0)
			continue;
		eq = strchr(l->value, '=');
		if (!eq || !eq[1] || eq == l->value)
			continue;
		if (str_starts(l->value, "CHANNEL(language)=")) {
			ev->language = eq + 1;
			continue;
		}
		name = ami_keep(e, l->value, (size_t)(eq - l->value));
		if (!name)
			continue;
		e->vars[ev->n_vars++] = (struct call_var){
			ami_variable_plain(name), ami_unescaped(e, eq + 1)};
	}
}

bool
ami_fill_channel(
	struct ami_fields *e, const struct ami_message *m, struct call_event *ev)
{
	struct party p;

	if (!party_read(&p, m, ""))
		return false;
	ev->uid = p.uid;
	ev->linked = p.linked;
	ev->state = p.state;
	ev->name = ami_clean(e, p.name);
	if (p.name) {
		ev->endpoint = ami_clean(e, ami_endpoint(e, p.name));
		if (is_local_name(p.name))
			ev->flags |= CALL_LOCAL;
	}
	ev->caller_number = ami_clean(e, p.number);
	ev->caller_name = display_name(e, p.caller_name);
	ev->connected_number = ami_clean(e, p.connected_number);
	ev->connected_name = display_name(e, p.connected_name);
	ev->exten = ami_clean(e, p.exten);
	ev->context = ami_clean(e, p.context);
	ev->language = ami_clean(e, p.language);
	read_variables(e, m, "ChanVariable", ev);
	return true;
}

bool
ami_fill_first(struct ami_fields *e, const struct ami_message *m, const char *prefix,
	struct call_event *ev)
{
	struct party p;

	if (!party_read(&p, m, prefix))
		return false;
	ev->uid = p.uid;
	ev->linked = p.linked;
	ev->name = ami_clean(e, p.name);
	if (p.name) {
		ev->endpoint = ami_clean(e, ami_endpoint(e, p.name));
		if (is_local_name(p.name))
			ev->flags |= CALL_LOCAL;
	}
	ev->caller_number = ami_clean(e, p.number);
	return true;
}

bool
ami_fill_other(struct ami_fields *e, const struct ami_message *m, const char *prefix,
	struct call_event *ev)
{
	struct party p;

	if (!party_read(&p, m, prefix))
		return false;
	ev->other_uid = p.uid;
	ev->other_linked = p.linked;
	ev->other_state = p.state;
	ev->other_name = ami_clean(e, p.name);
	if (p.name) {
		ev->other_endpoint = ami_clean(e, ami_endpoint(e, p.name));
		if (is_local_name(p.name))
			ev->flags |= CALL_OTHER_LOCAL;
	}
	ev->other_caller_number = ami_clean(e, p.number);
	return true;
}
