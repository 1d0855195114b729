"""What must be true after everything was broken: of each call of a PhoneSystem, of the
timeline in the database and of the pops that were told."""

from collections import Counter

from phone_system import overlaps, within
from support import truth
from support.pops import validate


def expected(call):
    return next(c for c in truth.ground_truth()[call.name]["calls"]
                if c.get("interactions", 1))


def ours(call, agent):
    return call.agents.get(agent, agent)


class Losses:
    """How many calls were seen whole, in part, and not at all: the report."""

    def __init__(self):
        self.counts = Counter()

    def __str__(self):
        return ", ".join(f"{n} {what}" for what, n in sorted(self.counts.items()))


def check_all(phones, rows, recorder, outages, losses):
    """rows: full interactions of the API, all there are. outages: stretches in which Redis
    was away or forgot. Every call has its row, and every row its call."""
    unheard = phones.not_heard()
    by_id = {}
    for row in rows:
        validate("interaction", row)
        assert row["external_id"] not in by_id, f"doubled: {row['external_id']}"
        by_id[row["external_id"]] = row
    pops = recorder.by_interaction()
    wrong = []
    for call in phones.calls:
        if not call.steps:
            continue  # killed before it began
        row = by_id.pop(call.linked, None)
        try:
            check_call(call, row, unheard, phones.lists(), losses)
            if row:
                told = pops.pop(row["id"], {})
                check_pops_of(call, row, told, unheard, outages)
                check_shown(call, row, told, phones)
        except AssertionError as e:
            wrong.append(str(e))
    assert not wrong, f"{len(wrong)} of {len(phones.calls)} calls:\n" + "\n".join(wrong[:5])
    assert not by_id, f"interactions of no call: {list(by_id.values())[:3]}"
    assert not pops, f"pops of no interaction: {list(pops.items())[:3]}"
    check_contacts(rows)


def describe(call, unheard):
    start = call.stretch[0]

    def rel(times):
        return [round(t - start, 2) if isinstance(t, float) else t for t in times]
    return (f"{call.name} {call.linked} ({start:.2f}) killed {call.killed} talks "
            f"{[rel(t) for t in call.talks]} unheard "
            f"{[rel(u) for u in unheard if overlaps(call.stretch, [u])]} steps "
            f"{[rel(s) for s in call.steps]}")


def check_call(call, row, unheard, lists, losses):
    missed = call.is_missed_in(unheard)
    if row is None:
        losses.counts["calls that nobody could hear"] += 1
        assert not call.must_be_known(unheard), f"lost: {describe(call, unheard)}"
        return
    what = f"{describe(call, unheard)}: {row}"
    assert row["state"] == "ended" and row["ended_at"], what
    assert row["remote"]["value"] == "+886" + call.number[1:], what
    assert row["contact"], what
    for leg in row["legs"]:
        assert leg["ended_at"], what
    wanted = expected(call)
    if not missed and not call.killed:
        losses.counts["calls heard whole"] += 1
        assert row["disposition"] == truth.disposition(wanted), what
        answerers = truth.answerers(wanted)
        if answerers and row["disposition"] == "answered":
            assert row["agent"] == ours(call, answerers[-1]), what
        assert all(leg["result"] != "interrupted" for leg in row["legs"]), what
        return
    losses.counts["calls killed with the phone system" if call.killed
                  else "calls heard in part"] += 1
    if row["disposition"] == "interrupted":
        losses.counts["interrupted"] += 1
    if call.known_talks(unheard, lists):
        assert row["disposition"] == "answered", what
        assert row["agent"] in call.agents.values(), what
        return
    allowed = {truth.disposition(wanted), "interrupted"}
    if call.talks:
        allowed.add("answered")  # not knowable, but its end may tell
    if "voicemail" in allowed:
        allowed.add("ivr_only")  # the message was left while nobody listened
    assert row["disposition"] in allowed, what


def check_pops_of(call, row, pops, unheard, outages):
    """pops: {id: messages}. Exactly those of the truth, where nothing was missed."""
    what = describe(call, unheard) + ": " + str([
        [(m["type"], m["state"], m["reason"], m["agent"], m["seq"], m["at"]) for m in p]
        for p in pops.values()])
    agents = set(call.agents.values())
    reasons = []
    for messages in pops.values():
        assert {m["agent"] for m in messages} <= agents, what
        assert {m["remote"]["value"] for m in messages} == {row["remote"]["value"]}, what
        if messages[-1]["type"] == "pop.close":
            reasons.append((messages[-1]["agent"], messages[-1]["reason"]))
    if call.killed or call.is_missed_in(unheard):
        return
    assert not [r for r in reasons if r[1] == "interrupted"], what
    if overlaps((call.stretch[0] - 1, call.stretch[1] + 2), outages):
        return
    # What is over within milliseconds need not be told.
    wanted = [{**p, "optional": p["optional"] or call.name.endswith("-busy")}
              for p in truth.ground_truth()[call.name]["pops"]]
    must = Counter((ours(call, p["agent"]), p["close"]) for p in wanted
                   if not p["optional"])
    may = Counter(ours(call, p["agent"]) for p in wanted)
    assert not must - Counter(reasons), what
    assert not Counter(agent for agent, _ in reasons) - may, what


def check_shown(call, row, pops, phones):
    """A pop shows the contact that the timeline has. It does not wait for the commit that
    decides between two first calls of one stranger, and such a call may be over before."""
    rivals = [c for c in phones.calls if c is not call and c.number == call.number
              and c.stretch[0] - 10 < call.stretch[0] < c.stretch[1] + 10]
    for messages in pops.values() if not rivals else ():
        for m in messages:
            assert not m["contact"] or m["contact"]["id"] == row["contact"], (row, m)


def check_contacts(rows):
    """One contact per number."""
    contacts = {}
    for row in rows:
        value = row["remote"]["value"]
        assert contacts.setdefault(value, row["contact"]) == row["contact"], \
            f"{value} has two contacts"
    assert len(set(contacts.values())) == len(contacts)
