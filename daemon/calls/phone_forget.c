/* phone_forget.c - somebody is to be forgotten while their call lives, or its events are on
 * disk still.
 *
 * The call goes on as one of nobody's: what is saved of it from now on has no number, name
 * or variables, and asks for no contact. (The tracker knows them until it ends.) Its events
 * leave the disk with the segment that is ended here, and with the one that is ended after
 * the call, as soon as no living call needs them. */
#include <calls/phone_priv.h>

#include <mem.h>
#include <str.h>

#include <string.h>

void
phone_hide(const struct phone_call *pc, struct call_record *r)
{
	if (!pc->call->forgotten)
		return;
	r->in.remote_value = r->in.remote_display = NULL;
	r->in.no_contact = true;
	r->in.variables = r->in.details = "{}";
	memset(&r->in.new_contact, 0, sizeof(r->in.new_contact));
	memset(&r->remote, 0, sizeof(r->remote));
	for (size_t i = 0; i < r->in.n_legs; i++)
		if (!r->legs[i].agent)
			r->legs[i].interface = NULL;
}

static bool
is_theirs(const struct phone_call *pc, const struct privacy_subject *who)
{
	struct call_record r;
	if (privacy_has_id(who, &pc->contact))
		return true;
	call_record_init(
		&r, pc->call, pc->phone->tenant, phone_region(pc->phone), NULL);
	bool theirs = r.in.remote_value &&
		      privacy_has_address(who, r.in.remote_kind, r.in.remote_value);
	call_record_fini(&r);
	return theirs;
}

unsigned
phone_forget(struct phone *ph, const struct privacy_subject *who)
{
	unsigned n = 0;
	if (ph->tenant != who->tenant)
		return 0;
	list_for_each (&ph->calls, it) {
		struct phone_call *pc = LIST_ENTRY(it, struct phone_call, link);
		if (pc->call->forgotten || !is_theirs(pc, who))
			continue;
		pc->call->forgotten = true;
		memset(&pc->contact, 0, sizeof(pc->contact));
		if (!pc->dirty_link.next)
			list_append(&ph->dirty, &pc->dirty_link);
		n++;
	}
	spool_turn(ph->spool);
	phone_flush(ph);
	return n;
}
