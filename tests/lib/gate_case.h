/* gate_case.h - a question to the gate, and all that bears on it, as short texts that
 * read like a table; and the answer as one.
 *
 *	ask     PURPOSE KIND[@ADDRESS] [requested] [answer] [expires +2h]
 *	who     NAME[(FLAG,…)] … [zone=Asia/Taipei] [country=TW] [dnc]
 *		names: mobile work (Taiwan), abroad (US), mail mail2, web, fax, card, post
 *		flags: claimed recorded network verified shared others others:PURPOSE
 *		       bad bad:KIND wrote:-2h new (no yes but its own counts)
 *	wishes  prefer KIND …; no KIND PURPOSE [@ADDRESS] [since -3d]; yes …;
 *		quiet DAYS FROM-TO          (KIND and PURPOSE may be "any")
 *	rules   cap PURPOSE,… N/7d [KIND,…]; consent PURPOSE,…; quiet DAYS FROM-TO;
 *		quiet-for PURPOSE,…; holidays REGION …; zone ZONE; down KIND [+2h];
 *		answers 24h; kind NAME ADDRESSKIND
 *	sent    KIND PURPOSE -2h; …         newest first
 *	at      RFC 3339; NULL: Monday, 2026-11-30 10:00 in Taipei
 *
 *	answer  go|wait|no KIND/ADDRESS REASON [UNTIL] | KIND/ADDRESS REASON [UNTIL], … */
#ifndef INTERACTD_TESTS_GATE_CASE_H
#define INTERACTD_TESTS_GATE_CASE_H

#include <buf.h>
#include <outreach/gate.h>

struct gate_case {
	const char *ask, *who, *wishes, *want;
	const char *rules, *sent, *at;
};

/* What a case says, ready for gate_decide. */
struct gate_scene {
	struct gate_rules rules;
	struct gate_health health;
	struct gate_contact contact;
	struct gate_question question;
	struct holidays *holidays[GATE_CALENDARS_MAX]; /* owned */
	const char *names[GATE_ADDRESSES_MAX];
};

/* Fills a scene; what cannot be read fails the test. Run from the top of the tree. */
void
gate_scene_init(struct gate_scene *, const struct zones *, const struct gate_case *);
void gate_scene_fini(struct gate_scene *);
void gate_scene_decide(const struct gate_scene *, struct gate_decision *out_r);
/* Appends the answer. */
void
gate_scene_print(const struct gate_scene *, const struct gate_decision *, struct buf *);

#endif
