"""May we, how, and if not: why, and when then? Asked over HTTP and by interactctl; nothing
is sent, and nothing changes by asking."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from support.daemon import BUILD, SLOW

ROOT = Path(__file__).resolve().parents[2]
PHONE, MAIL = "+886912345678", "lin@example.com"
BOTH = [{"kind": "phone", "value": PHONE}, {"kind": "email", "value": MAIL}]
SMS_ADS = {"kind": "sms", "purpose": "marketing"}
MAIL_ADS = {"kind": "email", "purpose": "marketing"}
ENV = {**os.environ, "NO_COLOR": "1", "TZ": "UTC"}


@pytest.fixture
def person(api):
    return api.create("/v1/contacts", {"name": "林小姐", "identities": BOTH})


def ask(api, person, purpose, **more):
    return api.post(f"/v1/contacts/{person['id']}/decide", {"purpose": purpose, **more})


def decide(api, person, purpose, **more):
    answer = ask(api, person, purpose, **more)
    assert answer.status == 200, answer
    return answer.json


def put(api, person, **wishes):
    answer = api.put(f"/v1/contacts/{person['id']}/preferences", wishes)
    assert answer.status == 200, answer


def chain(decision):
    return [(way["kind"], way["reason"]) for way in decision["considered"]]


def short(decision):
    return decision["allowed"], decision["kind"], decision["reason"]


# ---- what they want


def test_a_decision_says_why(api, person):
    assert decide(api, person, "service") == {
        "allowed": True, "kind": "email", "identity": {"kind": "email", "value": MAIL},
        "reason": "fallback", "text": "nothing speaks against this kind", "until": None,
        "considered": [{"kind": "email", "identity": {"kind": "email", "value": MAIL},
                        "reason": "fallback", "text": "nothing speaks against this kind"}]}
    ads = decide(api, person, "marketing")
    assert short(ads) == (False, None, "no_consent") and ads["until"] is None
    assert chain(ads) == [("email", "no_consent"), ("sms", "no_consent"),
                          ("phone", "needs_agent")]
    assert short(decide(api, person, "service", kind="phone")) == (True, "phone", "fallback")


def test_their_order_consent_and_denials(api, person):
    put(api, person, preferred=["phone", "sms"], allowed=[SMS_ADS], denied=[
        {"kind": "sms", "purpose": "service"}])
    ads = decide(api, person, "marketing")
    assert short(ads) == (True, "sms", "preferred")
    assert chain(ads) == [("phone", "needs_agent"), ("sms", "preferred")]
    service = decide(api, person, "service")
    assert short(service) == (True, "email", "fallback")
    assert chain(service)[1] == ("sms", "opted_out")
    assert short(decide(api, person, "service", kind="sms")) == (False, "sms", "opted_out")
    only = decide(api, person, "marketing", identity={"kind": "phone", "value": "0912 345 678"})
    assert only["identity"] == {"kind": "phone", "value": PHONE} and only["allowed"]
    only = decide(api, person, "marketing", identity={"kind": "email", "value": MAIL})
    assert only["reason"] == "no_consent"


def test_do_not_contact_yields_to_the_customers_own_request(api, person):
    put(api, person, do_not_contact=True)
    for purpose in ("transactional", "service", "survey", "marketing"):
        no = decide(api, person, purpose)
        assert short(no) == (False, None, "do_not_contact") and no["considered"] == []
    code = decide(api, person, "transactional", requested=True)
    assert short(code) == (True, "email", "requested")
    put(api, person, denied=[{"kind": "email", "purpose": "transactional"}])
    assert short(decide(api, person, "transactional", requested=True))[:2] == (True, "sms")
    assert ask(api, person, "service", requested=True).status == 422


@pytest.mark.parametrize("at,until", [
    ("2026-03-07T06:30:00Z", "2026-03-07T13:00:00.000Z"),  # 01:30 to 08:00, winter
    ("2026-03-08T06:30:00Z", "2026-03-08T12:00:00.000Z"),  # the hour 2 to 3 is not there
    ("2026-11-01T04:30:00Z", "2026-11-01T13:00:00.000Z"),  # the hour 1 to 2 is there twice
    ("2026-11-01T00:30:00-04:00", "2026-11-01T13:00:00.000Z"),
    ("2026-03-08T12:00:00Z", None)])
def test_quiet_hours_are_those_of_the_contacts_clock(api, person, at, until):
    assert api.patch(f"/v1/contacts/{person['id']}",
                     {"timezone": "America/New_York"}).status == 200
    put(api, person, preferred=["sms"], quiet_hours=[
        {"days": "mon-sun", "from": "21:00", "to": "08:00"}])
    d = decide(api, person, "service", at=at)
    if not until:
        assert short(d) == (True, "sms", "preferred")
        return
    assert short(d) == (False, "sms", "quiet_hours") and d["until"] == until
    assert d["considered"][0]["until"] == until
    too_late = decide(api, person, "service", at=at, expires=until)
    assert too_late["reason"] == "quiet_hours" and too_late["until"] is None


# ---- addresses


def test_suppressed_addresses(api, person):
    api.create("/v1/suppressions", {**BOTH[0], "reason": "bounced"})
    assert short(decide(api, person, "service", kind="sms")) == (False, "sms", "suppressed")
    assert decide(api, person, "service")["kind"] == "email"
    assert short(decide(api, person, "transactional", kind="sms", requested=True)) == (
        True, "sms", "requested")


def test_who_was_erased_with_do_not_contact_stays_silent(api, person):
    path = f"/v1/contacts/{person['id']}?do_not_contact=true"
    assert api.delete(path).status == 200
    again = api.create("/v1/contacts", {"name": "L", "identities": BOTH})
    d = decide(api, again, "service")
    assert chain(d)[:2] == [("email", "suppressed"), ("sms", "suppressed")]
    assert not d["allowed"] and ask(api, person, "service").status == 404


def test_claimed_addresses(api):
    stranger = api.create("/v1/contacts", {"name": "S", "identities": [
        {**BOTH[1], "trust": "claimed"}]})
    d = decide(api, stranger, "service")
    assert short(d) == (False, None, "no_identity") and chain(d) == [("email", "unverified")]


def test_shared_addresses(api, person):
    other = api.create("/v1/contacts", {"name": "O", "identities": [BOTH[0]], "shared": True})
    put(api, person, allowed=[SMS_ADS])
    assert chain(decide(api, person, "marketing", kind="sms")) == [("sms", "shared")]
    put(api, person, allowed=[{**SMS_ADS, "identity": BOTH[0]}])
    assert decide(api, person, "marketing", kind="sms")["allowed"]
    put(api, other, denied=[SMS_ADS])
    assert chain(decide(api, person, "marketing", kind="sms")) == [("sms", "shared")]


def test_of_merged_contacts_the_strictest_counts(api, person):
    other = api.create("/v1/contacts", {"name": "林", "identities": [
        {"kind": "phone", "value": "+886987654321"}]})
    put(api, person, allowed=[SMS_ADS])
    merged = api.post(f"/v1/contacts/{other['id']}/merge", {"from": person["id"]})
    assert merged.status == 200, merged
    for one in (person, other):
        ads = decide(api, one, "marketing", kind="sms")
        # said for the one number; the merge opens no other
        assert ads["allowed"] and ads["identity"]["value"] == PHONE
        assert decide(api, one, "marketing", identity={
            "kind": "phone", "value": "+886987654321"})["reason"] == "no_consent"
    put(api, other, denied=[SMS_ADS])
    assert decide(api, person, "marketing", kind="sms")["reason"] == "opted_out"


# ---- what the tenant lays down


@pytest.fixture
def strict(make_daemon):
    daemon = make_daemon(
        outreach={"holidays_dir": str(ROOT / "conf/holidays")},
        **{"tenant default": {"region": "TW", "timezone": "Asia/Taipei", "holidays": "TW",
                              "quiet_hours": "daily 21:00-08:00",
                              "frequency_caps": "sms marketing 2/7d"}}).start()
    return daemon.api()


def test_holidays_and_caps(strict):
    api = strict
    lin = api.create("/v1/contacts", {"name": "林", "identities": [BOTH[0]]})
    put(api, lin, allowed=[SMS_ADS])
    noon, night = "2026-10-08T04:00:00Z", "2026-10-08T14:00:00Z"
    assert decide(api, lin, "marketing", at=noon)["allowed"]
    late = decide(api, lin, "marketing", at=night)
    # Friday the 9th and Saturday the 10th are holidays: it waits for Sunday
    assert late["reason"] == "quiet_hours" and late["until"] == "2026-10-11T00:00:00.000Z"
    assert decide(api, lin, "service", at=night)["allowed"]
    for at, variables in (("2026-10-05T04:00:00Z", {"purpose": "marketing"}),
                          ("2026-10-06T04:00:00Z", {"purpose": "marketing"}),
                          ("2026-10-07T04:00:00Z", {})):  # nobody says what for: service
        api.create("/v1/interactions", {
            "contact": lin["id"], "kind": "sms", "direction": "out", "at": at,
            "summary": "x", "variables": variables})
    full = decide(api, lin, "marketing", at=noon)
    assert short(full) == (False, "sms", "frequency_cap")
    assert full["until"] == "2026-10-12T04:00:00.000Z"
    # what came after is not known then
    assert decide(api, lin, "marketing", at="2026-10-06T03:00:00Z")["allowed"]
    assert decide(api, lin, "marketing", at="2026-10-12T05:00:00Z")["allowed"]


# ---- asking


def counts(db):
    tables = [row[0] for row in db(
        "select relname from pg_class where relkind in ('r', 'p') and not relispartition "
        "and relnamespace = 'public'::regnamespace order by 1")]
    return {t: db.one(f"select count(*) from {t}") for t in tables if t != "audit"}


def test_nothing_is_written_but_that_somebody_asked(
        api, person, keys, tenant, shared_daemon, eventually):
    reader, machine = keys("readonly", "eyes"), keys("integration", "crm")
    db = shared_daemon.database
    put(api, person, allowed=[SMS_ADS])
    eventually(lambda: not db("select from consent_unsealed"))
    before = counts(db)
    actions = "select count(*) from audit where tenant_id = %s and action <> 'contact.read'"
    changes = db.one(actions, db.tenant_id(tenant))
    assert decide(machine, person, "marketing")["allowed"]
    assert decide(reader, person, "marketing")["allowed"]

    def read():
        return db("select actor, fields from audit where tenant_id = %s and action = "
                  "'contact.read' and 'decide' = any (fields)", db.tenant_id(tenant))
    assert eventually(read) == [("key:eyes", ["decide"])]
    assert counts(db) == before
    assert db.one(actions, db.tenant_id(tenant)) == changes


def test_another_tenants_contact_is_nobody(person, shared_daemon):
    other = shared_daemon.api(tenant=next(shared_daemon.tenants))
    assert ask(other, person, "service").status == 404


@pytest.mark.parametrize("body,word", [
    ({}, "purpose"), ({"purpose": "spam"}, "purpose"), ({"purpose": 1}, "purpose"),
    ({"purpose": "service", "kind": "pigeon"}, "known are auto, email"),
    ({"purpose": "service", "kind": ""}, "kind"),
    ({"purpose": "service", "at": "tomorrow"}, "at"),
    ({"purpose": "service", "at": "1969-12-31T00:00:00Z"}, "1970"),
    ({"purpose": "service", "at": "9999-12-31T00:00:00Z"}, "ten years"),
    ({"purpose": "service", "expires": "2020-01-01T00:00:00Z"}, "expires"),
    ({"purpose": "service", "requested": True}, "requested"),
    ({"purpose": "service", "identity": "phone"}, "identity"),
    ({"purpose": "service", "identity": {"kind": "email"}}, "identity"),
    ({"purpose": "service", "identity": {"kind": "email", "value": "b@example.com"}},
     "does not have the address email:b@example.com"),
    ({"purpose": "service", "text": "hello"}, "text")])
def test_bad_questions_are_explained(api, person, body, word):
    answer = api.post(f"/v1/contacts/{person['id']}/decide", body)
    assert answer.status == 422 and answer.is_problem, answer
    assert word in answer.json["detail"], answer


def test_interactctl_explains_it(api, person, shared_daemon, tenant):
    def run(*args):
        return subprocess.run(
            [BUILD / "interactctl", "-c", str(shared_daemon.path), "--tenant", tenant,
             "decide", *args], text=True, capture_output=True, timeout=60 * SLOW,
            check=False, env=ENV)
    put(api, person, preferred=["phone", "sms"], quiet_hours=[
        {"days": "mon-sun", "from": "21:00", "to": "08:00"}], denied=[
        {"kind": "email", "purpose": "service"}])
    asked = (PHONE, "--purpose", "service", "--at")
    done = run(*asked, "2026-11-30T22:00:00+08:00")
    assert done.returncode == 1 and not done.stderr, done
    lines = done.stdout.splitlines()
    assert lines[0] == (f"not now, by sms to phone:{PHONE}: it is a quiet time where the "
                        "contact is; from 2026-12-01 00:00:00 on")
    table = [line.split() for line in lines[2:]]
    assert table[0] == ["WAY", "TO", "REASON", "WHY", "UNTIL"]
    assert [row[0] for row in table[1:]] == ["phone", "sms", "email"]
    assert "needs_agent" in table[1] and "opted_out" in table[3]
    assert table[2][1:3] == [f"phone:{PHONE}", "quiet_hours"]
    assert table[2][-2:] == ["2026-12-01", "00:00:00"]
    done = run(*asked, "2026-11-30T12:00:00+08:00", "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["kind"] == "sms"
    done = run(*asked, "2026-11-30T12:00:00+08:00", "--identity", f"email:{MAIL}")
    assert done.returncode == 1 and done.stdout.startswith("no")
    assert "the contact does not want it" in done.stdout
    assert run(PHONE).returncode == 2
    assert run("+886900000001", "--purpose", "service").returncode == 4
    done = run(PHONE, "--purpose", "transactional", "--requested", "--kind", "sms")
    assert done.returncode == 0 and done.stdout.startswith(f"yes, by sms to phone:{PHONE}: ")
