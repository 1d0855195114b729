/* dial_phone.c - which phone of an agent a call is placed from.
 *
 * An agent's phones are their interfaces, the one that a channel's pattern has found, and
 * (of an agent nobody has heard of yet) the one that the pattern says there would be. Of
 * those on channels that are up the best is taken: one named with its channel, then one
 * that was seen there, then one that the channel's pattern knows, then any.
 *
 * Interfaces are what somebody typed: one that is itself an address outside (a trunk,
 * Local/<number>@context, PJSIP/<number>@trunk) would be a call that dial_allow never
 * saw, so it is no phone to place calls from. */
#include <calls/dial_phone.h>

#include <calls/phone_priv.h>

#include <mem.h>
#include <str.h>

#include <regex.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define EXTENSION_MAX 6

enum rank { RANK_NONE, RANK_ANY, RANK_WOULD_BE, RANK_KNOWN, RANK_SEEN, RANK_NAMED };

struct search {
	const struct dialler_opts *opts;
	const char *tenant, *agent, *wanted;
	struct channel *channel; /* being looked at */
	enum rank rank;		 /* of the best phone on it */
	char endpoint[DIAL_ENDPOINT_MAX];
	/* of all channels */
	struct dial_phone *best;
	enum rank best_rank;
	bool any_phone, channel_there, outside;
	char down[ERR_TEXT_MAX]; /* why the channel of a phone is not up */
};

/* ---- The pattern, backwards -------------------------------------------------------- */

/* The agent's id that the channel's pattern gives for an endpoint is `agent`. */
static bool
pattern_says(const struct phone_conf *conf, const char *endpoint, const char *agent)
{
	const char *prefix = conf->agent_prefix ? conf->agent_prefix : "";
	size_t n = strlen(prefix);
	regmatch_t m[2];

	if (!conf->agents.text || regexec(&conf->agents.re, endpoint, 2, m, 0) != 0 ||
		m[1].rm_so < 0 || !str_starts(agent, prefix))
		return false;
	return strlen(agent + n) == (size_t)(m[1].rm_eo - m[1].rm_so) &&
	       strncmp(agent + n, endpoint + m[1].rm_so, strlen(agent + n)) == 0;
}

/* Copies the part of a pattern that is meant literally, without its anchor and escapes.
 */
static void
add_literal(struct buf *out, const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (s[i] != '\\' && s[i] != '^' && s[i] != '$')
			buf_addc(out, s[i]);
}

/* "^PJSIP/(100[0-9])$" and 1001 give PJSIP/1001; what it gives is tried on the pattern,
 * so a pattern that is not so simple gives nothing. */
static bool
endpoint_of_pattern(const struct phone_conf *conf, const char *agent, struct buf *out)
{
	const char *text = conf->agents.text ? conf->agents.text : "";
	const char *open = strchr(text, '('), *shut = strrchr(text, ')');
	const char *prefix = conf->agent_prefix ? conf->agent_prefix : "";

	buf_clear(out);
	if (!open || !shut || shut < open || !str_starts(agent, prefix))
		return false;
	add_literal(out, text, (size_t)(open - text));
	buf_adds(out, agent + strlen(prefix));
	add_literal(out, shut + 1, strlen(shut + 1));
	return pattern_says(conf, buf_str(out), agent);
}

/* ---- Phones that are none ------------------------------------------------------------ */

static const struct phone_conf *
conf_of(const struct channel *ch)
{
	return channel_conf(ch); /* begins with it: channel.h */
}

/* An extension is short and no emergency service; anything longer must be a number that
 * may be dialled, also if digits for an outside line stand before it. */
static bool
number_may_ring(const struct phone_conf *conf, const char *region, const char *text)
{
	struct dial_number number;
	char digits[DIAL_NUMBER_MAX];
	struct err err;
	enum dial_refusal no;

	if (!dial_number_read(text, digits, &err))
		return true;
	no = dial_number_check(conf, region, digits, &number, &err);
	if (digits[0] != '+' && strlen(digits) <= EXTENSION_MAX)
		return no != DIAL_EMERGENCY;
	return no == DIAL_NONE || no == DIAL_OWN_NUMBER;
}

/* What a technology is given to ring, or where: "1004", "agents", "trunk". */
static bool
part_may_ring(const struct phone *ph, const char *tech, const char *part)
{
	char *endpoint = xasprintf("%s/%s", tech, part);
	bool ok = !phone_conf_is_trunk(ph->conf, endpoint) &&
		  number_may_ring(ph->conf, phone_region(ph), part);

	xfree(&endpoint);
	return ok;
}

static bool
leads_outside(const struct phone *ph, const char *endpoint)
{
	char *tech = xstrdup(endpoint), *part = strchr(tech, '/'), *save = NULL;
	bool outside = phone_conf_is_trunk(ph->conf, endpoint), name;

	if (part)
		*part++ = '\0';
	/* TECH/name alone is a phone's name, whatever digits it is made of. */
	name = !part || (strcasecmp(tech, "Local") && !strpbrk(part, "@/:"));
	if (!name)
		for (part = strtok_r(part, "@/:", &save); part && !outside;
			part = strtok_r(NULL, "@/:", &save))
			outside = !part_may_ring(ph, tech, part);
	xfree(&tech);
	return outside;
}

/* ---- Looking ------------------------------------------------------------------------ */

static void
consider(struct search *s, enum rank rank, const char *endpoint)
{
	if (rank <= s->rank || strlen(endpoint) >= sizeof(s->endpoint))
		return;
	if (leads_outside(s->opts->phone_of(s->channel), endpoint)) {
		s->outside = true;
		return;
	}
	s->rank = rank;
	str_copy(s->endpoint, sizeof(s->endpoint), endpoint);
}

static void
on_agent_phone(void *arg, const char *channel, const char *endpoint, bool learnt)
{
	struct search *s = arg;

	if (channel && !str_eq(channel, channel_name(s->channel)))
		return;
	if (learnt)
		consider(s, RANK_SEEN, endpoint);
	else if (channel)
		consider(s, RANK_NAMED, endpoint);
	else if (pattern_says(conf_of(s->channel), endpoint, s->agent))
		consider(s, RANK_KNOWN, endpoint);
	else
		consider(s, RANK_ANY, endpoint);
}

/* The directory decides whose such a phone is: the id may be bound to another channel. */
static void
try_pattern(struct search *s)
{
	struct buf endpoint = BUF_INIT;

	if (endpoint_of_pattern(conf_of(s->channel), s->agent, &endpoint) &&
		str_eq(agents_of_endpoint(s->opts->agents, s->tenant,
			       channel_name(s->channel), buf_str(&endpoint), s->agent),
			s->agent))
		consider(s, RANK_WOULD_BE, buf_str(&endpoint));
	buf_fini(&endpoint);
}

static bool
is_phone_system(const struct search *s, const struct channel *ch)
{
	const struct channel_ops *ops = channel_core_ops(ch);

	return ops->caps & CHANNEL_PHONE && ops->dial && s->opts->phone_of(ch) &&
	       str_eq(channel_tenant(ch), s->tenant) &&
	       (!s->wanted || str_eq(channel_name(ch), s->wanted));
}

static void
note_down(struct search *s, const struct channel *ch)
{
	const char *why = channel_core_why(ch);

	if (!s->down[0])
		snprintf(s->down, sizeof(s->down), "channel %s is %s%s%.300s",
			channel_name(ch), channel_state_text(channel_core_state(ch)),
			why ? ": " : "", why ? why : "");
}

static void
look_at(void *arg, struct channel *ch)
{
	struct search *s = arg;

	if (!is_phone_system(s, ch))
		return;
	s->channel_there = true;
	s->channel = ch;
	s->rank = RANK_NONE;
	agents_phones(s->opts->agents, s->tenant, s->agent, on_agent_phone, s);
	if (s->rank == RANK_NONE)
		try_pattern(s);
	if (s->rank == RANK_NONE)
		return;
	s->any_phone = true;
	if (channel_core_state(ch) != CHANNEL_UP) {
		note_down(s, ch);
		return;
	}
	if (s->rank <= s->best_rank)
		return;
	s->best_rank = s->rank;
	s->best->channel = ch;
	str_copy(s->best->endpoint, sizeof(s->best->endpoint), s->endpoint);
}

enum dial_refusal
dial_phone_find(const struct dialler_opts *opts, const char *tenant, const char *agent,
	const char *channel, struct dial_phone *out_r, struct err *err)
{
	struct search s = {.opts = opts,
		.tenant = tenant,
		.agent = agent,
		.wanted = channel,
		.best = out_r};

	channel_core_each(opts->channels, look_at, &s);
	if (s.best_rank != RANK_NONE)
		return DIAL_NONE;
	if (s.any_phone) {
		err_set(err, "agent %s has a phone, but %s", agent, s.down);
		return DIAL_CHANNEL_DOWN;
	}
	if (!s.channel_there) {
		err_set(err, "there is no phone system%s%s that can place calls",
			channel ? " " : "", channel ? channel : "");
		return DIAL_NO_PHONE;
	}
	if (!agents_exists(opts->agents, tenant, agent)) {
		err_set(err, "there is no agent %s", agent);
		return DIAL_NO_AGENT;
	}
	err_set(err, "agent %s has no phone%s%s: %s", agent,
		channel ? " on channel " : "", channel ? channel : "",
		s.outside ? "an interface that leads outside is none"
			  : "give the agent interfaces");
	return DIAL_NO_PHONE;
}
