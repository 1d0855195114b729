/* regimes.h - what each tenant lays down for the gate, from the configuration: purposes
 * that need consent, quiet hours, public holidays, frequency caps; and the time zones.
 *
 * Words of a [tenant] section are lists; a few kinds or purposes, then what holds for
 * them: "quiet_hours = mon-fri 21:00-08:00, sat sun 20:00-10:00",
 * "frequency_caps = marketing 2/7d, sms marketing survey 1/1d". */
#ifndef INTERACTD_OUTREACH_REGIMES_H
#define INTERACTD_OUTREACH_REGIMES_H

#include <base/conf.h>
#include <outreach/gate.h>

struct regimes;

/* Reads the time zones of this machine; every tenant has gate_rules_init's rules.
 * NULL and err: there are none. Returns, caller frees. */
struct regimes *regimes_new(struct err *);
void regimes_free(struct regimes **);
/* Takes the rules of every [tenant] section, and their holidays from [outreach]
 * holidays_dir; conf is not kept. -1 and err ("file:line: …"): all is as before. Pointers
 * that were got before are not valid afterwards. */
int regimes_set(struct regimes *, const struct conf *, struct err *) MUST_CHECK;
/* Whether regimes_set would take it, for --check-config. */
int regimes_check(const struct conf *, struct err *) MUST_CHECK;

/* Borrowed until the next regimes_set; never NULL. */
const struct gate_rules *regimes_rules(const struct regimes *, const char *tenant);
const struct zones *regimes_zones(const struct regimes *);

#endif
