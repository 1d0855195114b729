"""What each recorded scenario must give: from the ground truth that was written down when
it was recorded, and from the recording's own times."""

import json
from functools import lru_cache
from pathlib import Path

from ami_trace import Trace, first
from support.daemon import SLOW
from support.pops import validate

TRACES = Path(__file__).resolve().parents[3] / "build" / "traces"
TOLERANCE_MS = 150
DISPOSITION = {
    "ivr-only": "ivr_only", "queue-timeout": "queue_timeout", "no-answer": "no_answer",
    "agent-no-answer": "no_answer", "lost": "answered",
    "answered-then-lost-in-transfer": "answered"}
# resync-live: the calls' state when we came, and what became of them: the operator hung
# all of them up (which is neither's giving up).
RESYNC = {"up": (("answered",), ["talking"]), "held": (("answered",), ["talking"]),
          "ringing": (("no_answer", "abandoned"), ["ringing"]),
          "waiting": (("no_answer", "abandoned"), None), "parked": (("answered",), None)}
# Of a menu that was unheard for 0.3 s or more nobody can say that it was all there was
# (BRIEF_US in tracker_priv.h); the daemon's time without us is a little longer than ours.
BRIEF_S = 0.1
# What a normaliser makes of the callers, in region TW.
NORMAL = {"0912345678": "+886912345678", "0911222333": "+886911222333",
          "anonymous": None, "+886912345678": "+886912345678"}
QUEUE_CLOSE = {"answered": "answered", "abandoned": "caller_hangup",
               "queue_timeout": "no_answer", "rejected": None}


@lru_cache
def ground_truth():
    """{"22/direct-answered": {...}}"""
    with open(TRACES / "ground-truth.json", encoding="utf-8") as f:
        return {f"{t['version']}/{t['scenario']}": t for t in json.load(f)["traces"]}


@lru_cache
def load(name):
    return Trace(TRACES / f"{name}.ami")


def add(name, calls, path):
    """A scenario that was run just now: its own truth and recording, and the pops that
    the same scenario gave when it was recorded."""
    recorded = ground_truth()[f"22/{name}"]
    for call, before in zip(calls, recorded["calls"]):
        # Set right there: the time with the customer bridged and not on hold.
        call["talk_s"] = before["talk_s"]
    if name == "originate-busy":
        # 60 ms from the offer to the refusal: a pop may be over before it is shown.
        recorded["pops"][0]["optional"] = True
    ground_truth()[f"live/{name}"] = {
        **recorded, "calls": calls,
        "interactions": sum(c.get("interactions", 1) for c in calls)}
    lives[f"live/{name}"] = Trace(path)


lives = {}


def normal(customer):
    if customer in NORMAL:
        return NORMAL[customer]
    if customer.startswith("0911") and len(customer) == 10:
        return "+886" + customer[1:]
    return customer  # no valid number: kept as given


def disposition(call):
    return DISPOSITION.get(call["disposition"], call["disposition"])


def check_disposition(call, got, away):
    if call["disposition"] is None:
        assert got["disposition"] in RESYNC[call["state"]][0], got
    elif disposition(call) == "ivr_only" and away > BRIEF_S:
        assert got["disposition"] in ("ivr_only", "interrupted"), got
    else:
        assert got["disposition"] == disposition(call), got


def outside_calls(truth):
    return [c for c in truth["calls"] if c.get("interactions", 1)]


# ---- the recording's own clock


def call_times(trace, call):
    """(arrival, first agent's answer or None, end) in seconds of the recording, by the
    trunk channel that carries the customer in; None if it was not seen to arrive."""
    arrived = answered = ended = uid = None
    for m in trace.messages:
        number = first(m.pairs, b"CallerIDNum").decode("utf-8", "replace")
        channel = first(m.pairs, b"Channel")
        if uid is None:
            if m.event == "Newchannel" and channel.startswith(b"PJSIP/trunk-") and \
                    number == call["customer"]:
                uid, arrived = first(m.pairs, b"Uniqueid"), m.at
        elif m.event == "DialEnd" and first(m.pairs, b"DestLinkedid") == uid and \
                first(m.pairs, b"DialStatus") == b"ANSWER" and answered is None and \
                first(m.pairs, b"DestChannel").startswith(b"PJSIP/100"):
            answered = m.at
        elif m.event == "Hangup" and first(m.pairs, b"Uniqueid") == uid:
            ended = m.at
    return arrived, answered, ended


def customer_ring_ms(trace):
    """Outgoing: from the offer to the trunk to what became of it."""
    began = None
    for m in trace.messages:
        if not first(m.pairs, b"DestChannel").startswith(b"PJSIP/trunk-"):
            continue
        if m.event == "DialBegin":
            began = m.at
        elif m.event == "DialEnd":
            return (m.at - began) * 1000
    return None


def expected_wait_ms(trace, call):
    if call["direction"] == "outbound":
        return customer_ring_ms(trace) if call["disposition"] != "agent-no-answer" else None
    arrived, answered, ended = call_times(trace, call)
    if arrived is None:
        return None
    until = answered if answered is not None else ended
    return None if until is None else (until - arrived) * 1000


def close_to(ms, expected, what, late=0.0):
    assert ms is not None and abs(ms - expected) <= TOLERANCE_MS + late * 1000, \
        f"{what}: {ms} ms, not {expected:.0f} (the recording was played {late:.3f} s late)"


# ---- interactions


def check_interactions(name, interactions, late=0.0, prefix="", away=0.0):
    """interactions: full objects of the API. late: seconds that events may have come
    behind their time, if they did not tell it. prefix: before agents' ids. away: seconds
    that nobody listened at a time. Returns them in the order of the truth's calls."""
    truth = ground_truth()[name]
    calls = outside_calls(truth)
    for i in interactions:
        validate("interaction", i)
        assert i["kind"] == "call" and i["state"] == "ended", i
    assert len(interactions) == len(calls) == truth["interactions"], \
        f"{len(interactions)} interactions, not {len(calls)}: {interactions}"
    found = []
    for call in calls:
        value = normal(call["customer"])
        own = [i for i in interactions if i["remote"]["value"] == value]
        assert len(own) == 1, f"{value}: {[i['remote'] for i in interactions]}"
        check_interaction(name, call, own[0], late, prefix, away)
        found.append(own[0])
    return found


def check_interaction(name, call, got, late, prefix, away):
    check_disposition(call, got, away)
    assert got["direction"] == {"inbound": "in", "outbound": "out"}[call["direction"]]
    assert got["queue"] == call["queue"]
    if call["direction"] == "inbound" and not call.get("state"):
        assert got["local"] == call["did"]
    if call.get("number_withheld"):
        assert got["remote"]["withheld"] and got["contact"] is None
    else:
        assert got["contact"], got
    check_agent(call, got, prefix)
    check_legs(name, call, got, prefix)
    if call.get("recorded"):
        assert len(got["details"]["recordings"]) == 1
    if disposition(call) == "voicemail":
        assert got["details"]["voicemail"]
    check_times(name, call, got, late)


def answerers(call):
    """Agents who had the customer, in order."""
    who = [call["answered_by"]] if call["answered_by"] else []
    if call["direction"] == "outbound":
        who = [call["agent"]]
    if (call.get("transferred_to") or "").isdigit():
        who.append(call["transferred_to"])
    if call.get("retrieved_by"):
        who.append(call["retrieved_by"])
    return who


def check_agent(call, got, prefix):
    who = answerers(call)
    if call.get("state") == "parked":
        return  # who had parked it is in no list
    if call["answered_by"] == "1004 or 1005":
        assert got["agent"] in (f"{prefix}1004", f"{prefix}1005")
    elif who and got["disposition"] == "answered":
        assert got["agent"] == prefix + who[-1], (got["agent"], who)


def check_legs(name, call, got, prefix):
    """Every phone that rang is a leg, with how it ended; nobody rings twice."""
    legs = [leg for leg in got["legs"] if leg["type"] == "ring"]
    rang = [leg["agent"] for leg in legs]
    for agent in call["rang"]:
        if call["direction"] == "outbound" or call.get("transfer") == "attended":
            continue  # a consulted agent's ring is theirs, not the customer's
        assert rang.count(prefix + agent) == 1, (agent, got["legs"])
    allowed = set(call["rang"]) | set(call.get("tried", [])) | set(answerers(call))
    if call["answered_by"] == "1004 or 1005":
        allowed |= {"1004", "1005"}
    assert set(rang) <= {prefix + a for a in allowed}, (rang, allowed)
    for leg in got["legs"]:
        assert leg["ended_at"], leg
        assert leg["at"] <= leg["ended_at"]
        assert (leg["answered_at"] or leg["at"]) >= leg["at"]
    queues = [leg for leg in got["legs"] if leg["type"] == "queue"]
    expects_queue = call["queue"] and call["disposition"] != "rejected"
    assert len(queues) == (1 if expects_queue else 0), got["legs"]
    check_results(name, call, legs, prefix)


def check_results(name, call, legs, prefix):
    pops = ground_truth()[name]["pops"]
    if not isinstance(pops, list):
        return
    calls = outside_calls(ground_truth()[name])
    results = {p["agent"]: p["close"] for p in pops if not p["optional"]
               and calls[p["call"]] is call and p["states"][0] == "ringing"}
    for leg in legs:
        wanted = results.get(leg["agent"][len(prefix):])
        assert wanted in (None, leg["result"]), (leg, wanted)


def check_times(name, call, got, late):
    trace = lives.get(name) or load(name)
    wait = expected_wait_ms(trace, call)
    if wait is not None:
        close_to(got["wait_ms"], wait, f"{name}: wait_ms", late)
    if call["talk_s"] is not None and name.split("/")[1] != "burst-50":
        close_to(got["talk_ms"], call["talk_s"] * 1000, f"{name}: talk_ms", late)
    if call.get("hold_s") is not None:
        close_to(got["hold_ms"], call["hold_s"] * 1000, f"{name}: hold_ms", late)
    elif disposition(call) == "answered" and call.get("transfer") != "attended" \
            and not call.get("state") and not call.get("parked_s"):
        close_to(got["hold_ms"], 0, f"{name}: hold_ms", late)


def check_burst(name, interactions, late=0.0):
    """The customer's timer ran from the IVR's answer on; the agents' bridges are exact."""
    wanted = sorted(s * 1000 for s in ground_truth()[name]["observed"]["up_s"].values())
    for ms, expected in zip(sorted(i["talk_ms"] for i in interactions), wanted):
        close_to(ms, expected, f"{name}: talk_ms", late)


# ---- pops


def expected_pops(name, interactions):
    """[(agent, states, close reason, interaction id or None = any, optional)]"""
    truth = ground_truth()[name]
    if name.endswith("/burst-50"):
        return None
    if name.endswith("/resync-live"):
        pops = []
        for call, i in zip(outside_calls(truth), interactions):
            states = RESYNC[call["state"]][1]
            agent = call["answered_by"] or (call["rang"] or [None])[0]
            if states and agent:
                pops.append((agent, states, None, i["id"], False))
        return pops
    pops = []
    # Its phone refuses after 60 ms: for a sanitized binary the call may be over before
    # its contact is known, and then there is nothing to show.
    soon_over = SLOW > 1 and name.endswith("/originate-busy")
    for p in truth["pops"] or []:
        pops.append((p["agent"], p["states"], p["close"], interactions[p["call"]]["id"],
                     p["optional"] or soon_over))
    return pops


def check_pops_of(name, subscriber, tenant, interactions, prefix=""):
    """The agents' pops, one by one, against the truth; nothing else may have opened."""
    by_pop = subscriber.by_pop(tenant)
    agents_pops = {k: v for k, v in by_pop.items() if v[0]["agent"]}
    remotes = {i["id"]: i["remote"]["value"] for i in interactions}
    for messages in agents_pops.values():
        assert messages[0]["interaction"] in remotes, messages[0]
        assert all(m["remote"]["value"] == remotes[m["interaction"]] for m in messages)
    expected = expected_pops(name, interactions)
    if expected is None:
        check_burst_pops(subscriber, agents_pops, prefix)
        return
    left = dict(agents_pops)
    for agent, states, close, interaction, optional in expected:
        # A phone that refused or never rang may be shown to have done either.
        reasons = {close, "no_answer", "rejected"} if optional else {close}
        hits = [k for k, v in left.items() if v[0]["agent"] == prefix + agent
                and v[0]["interaction"] == interaction
                and subscriber.states(v) == states
                and (close is None or v[-1]["reason"] in reasons)]
        if optional and not hits:
            continue
        assert hits, (f"no pop of {agent} {states} -> {close} among "
                      + str([(v[0]["agent"], subscriber.states(v), v[-1]["reason"])
                             for v in left.values()]))
        del left[hits[0]]
    assert not left, [(v[0]["agent"], subscriber.states(v), v[-1]["reason"])
                      for v in left.values()]


def check_burst_pops(subscriber, pops, prefix):
    assert len(pops) == 50
    for messages in pops.values():
        assert messages[0]["agent"] in (f"{prefix}1004", f"{prefix}1005")
        assert subscriber.states(messages) == ["ringing", "talking"]
        assert messages[-1]["reason"] == "completed"


def check_queue_pops(name, subscriber, tenant, interactions):
    """One per call that waited in a queue."""
    for call, got in zip(outside_calls(ground_truth()[name]), interactions):
        if not call["queue"] or call.get("state"):
            continue
        pops = [v for v in subscriber.by_pop(tenant, queue=call["queue"]).values()
                if v[0]["interaction"] == got["id"]]
        close = QUEUE_CLOSE[disposition(call)]
        assert len(pops) == (1 if close else 0), pops
        for messages in pops:
            assert subscriber.states(messages) == ["waiting"]
            assert messages[-1]["type"] == "pop.close"
            assert messages[-1]["reason"] == close
