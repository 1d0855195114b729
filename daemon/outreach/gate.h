/* gate.h - may we contact this person now, how, and if not: why, and when then?
 *
 * gate_decide is one pure function of its arguments: no I/O, no clock, no allocation, no
 * state, so that what it said can be explained, tested and repeated. Everything it needs
 * is in plain structs of bounded arrays that a store fills beforehand:
 *
 *	struct gate_rules    what the tenant lays down; made once per configuration
 *	struct gate_health   which kinds of channels work at the moment
 *	struct gate_contact  one person: addresses, wishes, quiet hours, what was sent
 *	struct gate_question the purpose, the kind, the time
 *
 * Each way (a kind of channel and an address) goes through the same steps, and the first
 * that stops it is its reason:
 *
 *  1. do_not_contact    nothing goes
 *  2. suppressed        the address bounced, complained, is on a do-not-call list
 *     unverified        a stranger typed it; only what was written from it is answered
 *  3. opted_out         the contact said no to this kind, purpose or address
 *     no_consent        the purpose needs a yes (`allowed`), and there is none
 *     shared            several contacts have it: marketing and surveys need a yes for
 *                       this very address, and nobody else's no
 *  4. quiet_hours       theirs in their own time zone; the tenant's, and public holidays,
 *                       for what they are laid down for
 *  5. frequency_cap     enough was sent, over all channels and campaigns
 *  6. channel_down      no channel of the kind works
 *
 * Of the ways that are left the first is taken, in the contact's order of preference and
 * then the tenant's. If there is none, the decision waits for the way that is open first.
 *
 * Where the rules meet:
 *  - A no is stronger than a yes: a denial of a kind holds for all its addresses, also
 *    for one with a yes of its own. (A denial ends by a yes to the same kind, purpose and
 *    address; who keeps the wishes has seen to that.) An unknown zone is all zones that
 *    the number's country has, and quiet in one of them is quiet.
 *  - `requested`: transactional, and the customer asked for it just now (a code to log
 *    in). It alone ignores do_not_contact and suppression; and quiet hours and caps, as
 *    the customer is there. Not a denial of the very kind: there are other kinds, and
 *    customers have the last word on channels. Never a merely claimed address.
 *  - Whoever wrote from an address may be answered at it under `service`: within
 *    rules.answer_us of its last message, if that came after the denial it would
 *    break; claimed addresses too. `answer` in the question says that it is one, in a
 *    conversation: then quiet hours and caps do not hold it up either.
 *  - What would be open again only at or after `expires` is refused for good. */
#ifndef INTERACTD_OUTREACH_GATE_H
#define INTERACTD_OUTREACH_GATE_H

#include <outreach/quiet.h>
#include <outreach/zones.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GATE_KINDS_MAX	    16
#define GATE_KIND_MAX	    32 /* bytes of a name */
#define GATE_ADDRESSES_MAX  100
#define GATE_SENT_MAX	    256
#define GATE_CAPS_MAX	    16
#define GATE_CALENDARS_MAX  8
#define GATE_CONSIDERED_MAX 32
#define GATE_ANY	    (-1) /* every kind, purpose or address; in a question: auto */
#define GATE_NONE	    (-2)	/* of a decision: no kind, no address */
#define GATE_ALL	    0xffffffffu /* a mask of every kind or purpose */

enum gate_purpose {
	GATE_TRANSACTIONAL, /* about what they have bought or ordered */
	GATE_SERVICE,	    /* about what they have asked, or must know */
	GATE_SURVEY,	    /* what they think of us */
	GATE_MARKETING,	    /* what we would like to sell */
	GATE_PURPOSES
};
const char *gate_purpose_text(enum gate_purpose);
int gate_purpose_parse(const char *); /* -1 if none */

/* One list: enum, JSON's word, and a sentence for a person. */
#define GATE_REASONS(R)                                                                \
	R(PREFERRED, "preferred", "the contact prefers this kind")                     \
	R(FALLBACK, "fallback", "nothing speaks against this kind")                    \
	R(REQUESTED, "requested", "the customer asked for it")                         \
	R(OPTED_OUT, "opted_out", "the contact does not want it")                      \
	R(NO_CONSENT, "no_consent", "the purpose needs the contact's consent")         \
	R(SUPPRESSED, "suppressed",                                                    \
		"the address bounced, complained or is on a do-not-contact list")      \
	R(QUIET_HOURS, "quiet_hours", "it is a quiet time where the contact is")       \
	R(FREQUENCY_CAP, "frequency_cap", "enough was sent to the contact lately")     \
	R(NO_IDENTITY, "no_identity", "there is no address that it could go to")       \
	R(DO_NOT_CONTACT, "do_not_contact",                                            \
		"the contact wants to hear nothing at all")                            \
	R(CHANNEL_DOWN, "channel_down", "no channel of this kind works now")           \
	/* Only of ways that were considered, never of a whole decision: */            \
	R(NEEDS_AGENT, "needs_agent", "carries no message: an agent has to do it")     \
	R(UNVERIFIED, "unverified", "nobody vouches that the address is theirs")       \
	R(SHARED, "shared", "others have this address too")

enum gate_reason {
#define R(name, word, sentence) GATE_##name,
	GATE_REASONS(R)
#undef R
		GATE_REASON_COUNT
};
const char *gate_reason_text(enum gate_reason);	    /* "quiet_hours" */
const char *gate_reason_sentence(enum gate_reason); /* for a person */

/* ---- What the tenant lays down ---- */

/* A kind of channel and what it needs: sms goes to addresses of kind "phone". */
struct gate_kind {
	char name[GATE_KIND_MAX + 1];
	char address[GATE_KIND_MAX + 1]; /* kind of identity; "": none (a visit) */
	bool needs_agent;		 /* auto skips it */
	bool if_preferred; /* auto takes it only if the contact does (a fax) */
};
/* At most `most` in any `window_us`, of these purposes and kinds together. */
struct gate_cap {
	uint32_t purposes, kinds; /* masks, bit = enum or index */
	unsigned most;
	int64_t window_us;
};
struct gate_rules {
	struct gate_kind kinds[GATE_KINDS_MAX]; /* in the order auto tries them */
	size_t n_kinds;
	uint32_t needs_consent; /* mask of purposes; 0: an opt-out regime */
	struct gate_cap caps[GATE_CAPS_MAX];
	size_t n_caps;
	/* Beside the contact's own; these and holidays hold for quiet_purposes only. */
	struct quiet_rule quiet[QUIET_RULES_MAX];
	size_t n_quiet;
	uint32_t quiet_purposes;
	const struct holidays *holidays[GATE_CALENDARS_MAX]; /* borrowed */
	size_t n_holidays;
	const struct zone
		*zone;	   /* of contacts of whom nothing tells theirs; never NULL */
	int64_t answer_us; /* how long a message may be answered; 0: for ever */
};
/* The usual kinds (email, sms, chat, fax, letter, phone, visit), consent for marketing,
 * quiet_purposes marketing and surveys, answers within 30 days, UTC; nothing else. */
void gate_rules_init(struct gate_rules *);
/* A kind that a driver adds. false: no room, or it is there already. */
bool gate_rules_add_kind(
	struct gate_rules *, const char *name, const char *address, bool needs_agent);
int gate_kind_find(const struct gate_rules *, const char *name); /* -1 if none */
/* Mask of the kinds that can use an address of this kind of identity. */
uint32_t gate_kinds_of(const struct gate_rules *, const char *address_kind);

struct gate_health {
	uint32_t up;			 /* mask of kinds */
	int64_t back_us[GATE_KINDS_MAX]; /* of those down: when again; 0: unknown */
};

/* ---- One person ---- */

/* The order is that of people/address.h's enum trust. */
enum gate_trust { GATE_CLAIMED, GATE_RECORDED, GATE_NETWORK, GATE_VERIFIED };

struct gate_address {
	const char *kind,
		*value; /* for whoever reads the decision; borrowed, may be NULL */
	uint32_t
		kinds; /* gate_kinds_of, without what it cannot take (sms at a landline) */
	uint32_t suppressed; /* mask of kinds; GATE_ALL: for whatever it is used */
	enum gate_trust trust;
	bool shared; /* held at recorded or better by other contacts too */
	/* Shared: mask of purposes that another holder denies for it, or GATE_ALL where
	 * one wants no contact. */
	uint32_t denied_by_others;
	int64_t wrote_us; /* the last message that came from it; 0: none */
	/* Masks of kinds, by purpose: a no and a yes to this very address, and what the
	 * contact's own yes does not cover here (said before a merge brought it). */
	uint32_t denied[GATE_PURPOSES], allowed[GATE_PURPOSES];
	uint32_t uncovered[GATE_PURPOSES];
	/* Where a number of its country may be (zones_country); NULL: not known. */
	const struct zone_list *zones;
};
struct gate_sent {
	int64_t at_us;
	uint8_t kind, purpose;
};
struct gate_contact {
	bool do_not_contact;
	const struct zone
		*zone;	 /* their own; NULL: not known, or not in the tz database */
	char country[3]; /* whose holidays count; "": not known */
	uint8_t preferred[GATE_KINDS_MAX]; /* indexes of kinds, the best first */
	size_t n_preferred;
	/* Masks of kinds, by purpose: a no and a yes to any address. */
	uint32_t denied[GATE_PURPOSES], allowed[GATE_PURPOSES];
	/* When the last no was said, to any address or one; 0: not known, so after all
	 * that they wrote. */
	int64_t denied_us;
	struct quiet_rule quiet[QUIET_RULES_MAX];
	size_t n_quiet;
	struct gate_address addresses[GATE_ADDRESSES_MAX];
	size_t n_addresses;
	/* What was sent and what is about to be, newest first; of the purposes that caps
	 * are about, as far back as the longest window. If there was more, the newest. */
	struct gate_sent sent[GATE_SENT_MAX];
	size_t n_sent;
};

/* ---- Question and answer ---- */

struct gate_question {
	enum gate_purpose purpose;
	int kind;	/* index, or GATE_ANY: auto */
	int address;	/* index: to this one only; or GATE_ANY */
	bool requested; /* the customer asked for it; transactional only */
	bool answer;	/* in a conversation with them; service only */
	int64_t now_us;
	int64_t expires_us; /* 0: never */
};

enum gate_verdict {
	GATE_GO,   /* now */
	GATE_WAIT, /* ask again at `until` (0: not known when) */
	GATE_NO,
};
struct gate_considered {
	int8_t kind, address; /* address may be GATE_NONE */
	enum gate_reason reason;
	int64_t until_us; /* of quiet_hours, frequency_cap, channel_down; 0: not known */
};
struct gate_decision {
	enum gate_verdict verdict;
	enum gate_reason reason;
	int kind, address; /* GATE_NONE: none in particular */
	/* When the same question may go: later than now_us; 0: no such time is known. By
	 * then neither quiet hours nor caps stand in the way, if nothing is sent. */
	int64_t until_us;
	struct gate_considered considered[GATE_CONSIDERED_MAX]; /* in order; the taken
								   one is the last */
	size_t n_considered;
};

/* Counts are within their maxima, indexes within their arrays (asserted); now_us is from
 * 1970 on. Takes well below a microsecond for most people; at worst (a country of many
 * zones, quiet hours of many rules, dozens of addresses) some hundred. */
void gate_decide(const struct gate_rules *, const struct gate_health *,
	const struct gate_contact *, const struct gate_question *,
	struct gate_decision *out_r);

#endif
