"""Two contacts that are one person: merged, taken apart, suggested; and what the outside
sees of it."""

import pytest
from support.daemon import SLOW
from support.pops import check_pops
from support.steps import Steps

CUSTOMER = "+886912345678"
NOBODY = "01890000-0000-7000-8000-000000000000"


def merge(api, into, gone, **more):
    return api.post(f"/v1/contacts/{into}/merge", {"from": gone, **more})


def unmerge(api, of, member):
    return api.post(f"/v1/contacts/{of}/unmerge", {"contact": member})


def note(api, contact, summary):
    return api.create("/v1/interactions", {"contact": contact, "kind": "note",
                                           "direction": "in", "summary": summary})["id"]


def timeline(api, contact):
    return {i["id"] for i in api.ok(f"/v1/contacts/{contact}/timeline")["items"]}


def addresses(contact):
    return {i["value"] for i in contact["identities"]}


@pytest.fixture
def pair(api):
    """Two contacts with a number and a note each: their ids, and the notes'."""
    one = api.contact("Li Wei", "0912000001")["id"]
    two = api.contact("李伟", "0912000002")["id"]
    return one, two, note(api, one, "of one"), note(api, two, "of two")


def test_a_merge_answers_with_the_survivor_everywhere(api, pair):
    one, two, note1, note2 = pair
    answer = merge(api, one, two)
    assert answer.status == 200 and answer.json["id"] == one, answer
    assert answer.json["absorbed"] == [two]
    assert addresses(answer.json) == {"+886912000001", "+886912000002"}
    got = api.ok(f"/v1/contacts/{two}")
    assert got["id"] == one and got["merged_from"] == two
    assert [c["id"] for c in api.find("phone:0912-000-002")] == [one]
    assert timeline(api, one) == timeline(api, two) == {note1, note2}
    assert api.ok(f"/v1/interactions/{note2}")["contact"] == one
    # Found by either name, and shown once.
    for name in ("李伟", "Li Wei"):
        assert [c["id"] for c in api.ok("/v1/contacts", q=name)["items"]] == [one], name
    assert api.patch(f"/v1/contacts/{two}", {"vip": True}).json["merged_from"] == two
    assert api.ok(f"/v1/contacts/{one}")["vip"] is True


def test_unmerge_gives_back_what_was(api, pair):
    one, two, note1, note2 = pair
    before = [api.ok(f"/v1/contacts/{c}") for c in (one, two)]
    merge(api, one, two)
    later = note(api, two, "named two while merged")
    of_one = note(api, one, "named one while merged")
    answer = unmerge(api, one, two)
    assert answer.status == 200 and answer.json["released"] == [two], answer
    after = [api.ok(f"/v1/contacts/{c}") for c in (one, two)]
    for was, now in zip(before, after):
        assert {**was, "updated_at": None} == {**now, "updated_at": None}
    assert timeline(api, one) == {note1, of_one}
    assert timeline(api, two) == {note2, later}


def test_an_address_that_came_while_merged_stays_with_whom_it_was_given(api, pair):
    one, two, *_ = pair
    merge(api, one, two)
    for contact, mail in ((one, "one@example.com"), (two, "two@example.com")):
        assert api.patch(f"/v1/contacts/{contact}", {"identities": [
            {"kind": "email", "value": mail}]}).json["linked"] == [
                {"kind": "email", "value": mail, "trust": "recorded"}]
    unmerge(api, two, two)
    assert "one@example.com" in addresses(api.ok(f"/v1/contacts/{one}"))
    assert addresses(api.ok(f"/v1/contacts/{two}")) == {"+886912000002", "two@example.com"}


def test_chains_come_apart_in_any_order(api):
    for order in ("ab", "ba"):
        a, b, c = (api.contact(f"{order} {n}")["id"] for n in "abc")
        assert merge(api, a, b).status == merge(api, c, a).status == 200
        assert api.ok(f"/v1/contacts/{b}")["id"] == c
        for member in ({"a": a, "b": b}[x] for x in order):
            assert unmerge(api, c if member == a or order == "ba" else a, member).status == 200
            if member == a and order == "ab":
                assert api.ok(f"/v1/contacts/{b}")["id"] == a, "b is a's part, as it was"
        for contact in (a, b, c):
            assert api.ok(f"/v1/contacts/{contact}")["id"] == contact


def test_again_and_wrong_requests_are_answered_clearly(api, pair):
    one, two, *_ = pair
    three = api.contact("Three")["id"]
    assert merge(api, one, two).status == 200
    again = merge(api, one, two)
    assert again.status == 200 and "absorbed" not in again.json
    reverse = merge(api, two, one)
    assert reverse.status == 409 and reverse.json["contact"] == one
    assert merge(api, one, one).status == 422
    assert merge(api, one, NOBODY).status == 404 == merge(api, NOBODY, one).status
    assert unmerge(api, one, one).status == 409
    assert unmerge(api, one, three).status == 409
    assert unmerge(api, three, two).json["contact"] == one
    assert unmerge(api, one, NOBODY).status == 404 == unmerge(api, NOBODY, one).status
    assert unmerge(api, one, two).status == 200
    again = unmerge(api, one, two)
    assert again.status == 200 and "released" not in again.json
    for body in ({}, {"from": "x"}, {"from": two, "into": one}, {"from": two, "force": 1}):
        assert api.post(f"/v1/contacts/{one}/merge", body).status == 422, body
    audit = [(e["action"], e["object"]["id"], e["fields"]) for e in api.ok("/v1/audit")["items"]]
    assert audit.count(("contact.merged", one, [two])) == 1
    assert audit.count(("contact.unmerged", one, [two])) == 1


def test_other_tenants_and_readers_may_not(shared_daemon, api, keys, pair):
    one, two, *_ = pair
    other = shared_daemon.api(tenant=next(shared_daemon.tenants))
    theirs = other.contact("Theirs")["id"]
    assert merge(api, one, theirs).status == 404 == merge(other, theirs, one).status
    assert unmerge(other, theirs, one).status == 404
    reader, agent = keys("readonly"), keys("agent")
    assert merge(reader, one, two).status == 403 == unmerge(reader, one, two).status
    assert reader.get("/v1/merge-suggestions").status == 200
    assert merge(agent, one, two).status == 200 == unmerge(agent, one, two).status


def test_different_external_ids_need_force(api):
    one, two = (api.create("/v1/contacts", {"name": n, "identities": [
        {"kind": "external", "value": f"crm:{n}"}]})["id"] for n in ("42", "43"))
    refused = merge(api, one, two)
    assert refused.status == 409 and "force" in refused.json["detail"]
    assert merge(api, one, two, force=True).status == 200


def test_an_unnamed_survivor_goes_by_the_name_of_who_was_merged(api):
    unnamed = api.create("/v1/contacts", {"identities": [
        {"kind": "phone", "value": "0912000009"}]})["id"]
    named = api.contact("Wang")["id"]
    assert merge(api, unnamed, named).json["name"] == "Wang"
    unmerge(api, unnamed, named)
    assert api.ok(f"/v1/contacts/{unnamed}")["name"] is None


def test_merges_are_told(api, tenant, subscriber, pair):
    one, two, *_ = pair
    merge(api, one, two)
    event = subscriber.wait_event("contact.merged", tenant=tenant)
    assert event["object"]["id"] == one and event["changes"] == {"absorbed": two}
    api.patch(f"/v1/contacts/{one}", {"identities": [{"kind": "email", "value": "x@a.example"}]})
    event = subscriber.wait_event("contact.linked", tenant=tenant)
    assert event["changes"] == {"linked": [
        {"kind": "email", "value": "x@a.example", "trust": "recorded"}]}
    unmerge(api, one, two)
    event = subscriber.wait_event("contact.unmerged", tenant=tenant)
    assert event["object"]["id"] == one and event["changes"] == {"released": two}
    assert "+886912000002" not in addresses(event["object"])


def test_an_attribute_named_as_an_answers_member_hides_no_event(api, tenant, subscriber, pair):
    one, two, _, _ = pair
    api.patch(f"/v1/contacts/{one}", {"attributes": {"released": 1, "absorbed": 2}})
    assert merge(api, one, two).status == 200
    event = subscriber.wait_event("contact.merged", tenant=tenant)
    assert event["object"]["id"] == one and event["changes"] == {"absorbed": two}


def test_merges_are_kept_for_webhooks(make_daemon, database):
    daemon = make_daemon(webhooks={"allow_private": "yes"}).start()
    api = daemon.api()
    daemon.expect("webhook")
    api.create("/v1/webhooks", {"url": "http://127.0.0.1:9/", "events": ["contact.*"]})
    one, two = (api.contact(n)["id"] for n in "12")
    merge(api, one, two)
    unmerge(api, one, two)
    told = database("select type, body::json->'changes', body::json->>'id' "
                    "from webhook_delivery order by seq")
    assert [t[:2] for t in told[2:]] == [("contact.merged", {"absorbed": two}),
                                         ("contact.unmerged", {"released": two})]
    assert len({t[2] for t in told}) == 4


# ---- suggestions


def suggestions(api, **query):
    return api.ok("/v1/merge-suggestions", **query)["items"]


def claimed(api, name, mail):
    return api.create("/v1/contacts", {"name": name, "shared": True, "identities": [
        {"kind": "email", "value": mail, "trust": "claimed"}]})["id"]


@pytest.fixture
def suggested(api):
    one = api.create("/v1/contacts", {"name": "Boss", "identities": [
        {"kind": "email", "value": "boss@example.com"}]})["id"]
    two = claimed(api, "Somebody", "boss@example.com")
    (found,) = suggestions(api)
    return one, two, found


def test_a_claim_is_suggested_and_never_merged(api, suggested):
    one, two, found = suggested
    assert found["reason"] == "claimed_address" and found["state"] == "open"
    assert [c["id"] for c in found["contacts"]] == sorted([one, two])
    (evidence,) = found["evidence"]
    trust = dict(zip((c["id"] for c in found["contacts"]), evidence["trust"]))
    assert trust == {one: "recorded", two: "claimed"}
    assert found["survivor"] == one
    assert api.ok(f"/v1/contacts/{two}")["id"] == two
    assert suggestions(api, contact=one) and not suggestions(api, contact=NOBODY)


def test_accepting_merges_and_rejecting_is_for_good(api, suggested):
    one, two, found = suggested
    answer = api.post(f"/v1/merge-suggestions/{found['id']}/accept", {"survivor": two})
    assert answer.status == 200 and answer.json["id"] == two, answer
    assert answer.json["absorbed"] == [one] and suggestions(api) == []
    assert api.post(f"/v1/merge-suggestions/{found['id']}/accept").status == 200
    assert api.post(f"/v1/merge-suggestions/{found['id']}/reject").status == 409
    assert unmerge(api, two, one).status == 200
    for n in range(2):
        three = claimed(api, "Third", "boss@example.com")
        mine = [s for s in suggestions(api) if three in (c["id"] for c in s["contacts"])]
        assert len(mine) == 1, "with the one that recorded it, not the other claim"
        rejected = api.post(f"/v1/merge-suggestions/{mine[0]['id']}/reject")
        assert rejected.status == 200 and rejected.json["state"] == "rejected"
        assert api.post(f"/v1/merge-suggestions/{mine[0]['id']}/accept").status == 409
        api.patch(f"/v1/contacts/{three}", {"name": "Boss"})
        assert not [s for s in suggestions(api) if three in (c["id"] for c in s["contacts"])]
    assert api.post(f"/v1/merge-suggestions/{NOBODY}/accept").status == 404


def test_a_suggestion_is_gone_while_one_side_is_merged(api, suggested):
    one, two, found = suggested
    three = api.contact("Third")["id"]
    merge(api, three, two)
    assert suggestions(api) == []
    assert api.post(f"/v1/merge-suggestions/{found['id']}/accept").status == 409
    unmerge(api, three, two)
    assert [s["id"] for s in suggestions(api)] == [found["id"]]
    merge(api, one, two)
    assert suggestions(api) == []


def test_the_same_name_on_one_number_is_suggested(api):
    one = api.contact("王 小明", "0912000003")["id"]
    other = api.create("/v1/contacts", {"name": "Other", "shared": True, "identities": [
        {"kind": "phone", "value": "0912000003"}]})["id"]
    assert suggestions(api) == []
    api.patch(f"/v1/contacts/{other}", {"name": "王小明"})
    (found,) = suggestions(api)
    assert found["reason"] == "same_name"
    assert {c["id"] for c in found["contacts"]} == {one, other}


def test_suggestions_are_pages(api):
    for n in range(5):
        api.create("/v1/contacts", {"name": f"R{n}", "identities": [
            {"kind": "email", "value": f"{n}@example.com"}]})
        claimed(api, f"C{n}", f"{n}@example.com")
    seen, cursor = [], {}
    while True:
        page = api.ok("/v1/merge-suggestions", limit=2, **cursor)
        seen += [s["id"] for s in page["items"]]
        if not page["next"]:
            break
        cursor = {"cursor": page["next"]}
    assert len(seen) == len(set(seen)) == 5 and seen == sorted(seen, reverse=True)
    assert api.get("/v1/merge-suggestions", state="x").status == 422
    assert api.get("/v1/merge-suggestions", contact="x").status == 400


def test_answers_about_merges_are_as_described(shared_daemon, api, suggested):
    import copy

    import jsonschema
    from test_openapi import close
    _, _, found = suggested
    document = api.ok("/v1/openapi.json")
    schemas = {"components": close(copy.deepcopy(document["components"]))}
    def agree(name, value):
        jsonschema.validate(value, {**schemas["components"]["schemas"][name], **schemas},
                            cls=jsonschema.Draft202012Validator)
    agree("MergeSuggestionList", api.ok("/v1/merge-suggestions"))
    path = f"/v1/merge-suggestions/{found['id']}"
    one, two = (c["id"] for c in found["contacts"])
    merged = api.post(path + "/accept").json
    agree("Contact", merged)
    agree("Contact", unmerge(api, merged["id"], merged["absorbed"][0]).json)
    agree("MergeSuggestion", api.post(path + "/reject").json)


# ---- live calls


def test_naming_the_caller_is_a_pop_update_at_once(pbx, subscriber, eventually):
    daemon, fake = pbx
    steps = Steps(fake, "22/direct-answered").ring("1001")
    pop = subscriber.wait_pop(agent="1001", type="pop.open")
    eventually(lambda: daemon.api().find(f"phone:{CUSTOMER}"))
    daemon.api().patch(f"/v1/contacts/{pop['contact']['id']}", {"name": "Lin"})
    def named():
        return [p for p in subscriber.all_pops(agent="1001") if p["type"] == "pop.update"
                and p["contact"]["name"] == "Lin" and p["state"] == "ringing"]
    eventually(named)
    steps.answer("1001").rest()
    subscriber.wait_pop(agent="1001", type="pop.close")
    check_pops(subscriber, "default", ["1001"])


def test_live_calls_and_pops_follow_merges_at_once(pbx, subscriber, eventually):
    daemon, fake = pbx
    api = daemon.api()
    steps = Steps(fake, "22/direct-answered").ring("1001")
    pop = subscriber.wait_pop(agent="1001", type="pop.open")
    stranger = pop["contact"]["id"]
    eventually(lambda: api.find(f"phone:{CUSTOMER}"))
    known = api.contact("Known", "0912000099")["id"]
    visit = note(api, known, "was here")

    def shown():
        (now,) = api.pops("1001")
        return now["contact"]["id"], {r["id"] for r in now["recent"]}
    assert merge(api, known, stranger).status == 200
    eventually(lambda: shown() == (known, {visit}))
    assert subscriber.all_pops(agent="1001")[-1]["type"] == "pop.update"
    assert [c["contact"] for c in api.ok("/v1/calls")["items"]] == [known]
    assert unmerge(api, known, stranger).status == 200
    eventually(lambda: shown() == (stranger, set()))
    # A contact made with the caller's number takes the caller in.
    made = api.contact("New", "0912345678")
    assert made["absorbed"] == [stranger]
    eventually(lambda: shown()[0] == made["id"])
    steps.answer("1001").rest()
    subscriber.wait_pop(agent="1001", type="pop.close", timeout=10 * SLOW)
    ended = subscriber.wait_event("interaction.ended")
    assert ended["object"]["contact"] == made["id"]
    check_pops(subscriber, "default", ["1001"])


# ---- numbers age


def test_a_number_that_was_silent_for_long_names_nobody_by_itself(
        pbx, subscriber, database, eventually):
    daemon, fake = pbx
    api = daemon.api()
    first = Steps(fake, "22/direct-answered").whole("1001", subscriber)
    old = first["contact"]["id"]
    subscriber.wait_event("interaction.ended")
    api.patch(f"/v1/contacts/{old}", {"name": "Of Old"})
    database("update identity set last_seen = now() - interval '366 days', "
             "first_seen = now() - interval '900 days'")
    assert api.find(f"phone:{CUSTOMER}")[0]["identities"][0]["trust"] == "claimed"
    second = Steps(fake, "22/direct-answered").whole("1001", subscriber)
    assert second["contact"]["id"] != old and second["contact"]["name"] is None
    assert [c["id"] for c in second["candidates"]] == [old] and second["recent"] == []
    eventually(lambda: len(subscriber.events(type="interaction.ended")) == 2)
    (found,) = suggestions(api)
    assert found["reason"] == "earlier_holder" and found["survivor"] == old
    third = Steps(fake, "22/direct-answered").whole("1001", subscriber)
    assert third["contact"]["id"] == second["contact"]["id"]
    assert [c["id"] for c in third["candidates"]] == [old]
    api.post(f"/v1/merge-suggestions/{found['id']}/accept")
    fourth = Steps(fake, "22/direct-answered").whole("1001", subscriber)
    assert fourth["contact"]["id"] == old and fourth["candidates"] == []
    assert len(fourth["recent"]) == 3


def test_a_number_that_somebody_recorded_does_not_age(pbx, subscriber, database):
    daemon, fake = pbx
    api = daemon.api()
    known = api.contact("Recorded", "0912345678")["id"]
    Steps(fake, "22/direct-answered").whole("1001", subscriber)
    subscriber.wait_event("interaction.ended")
    assert api.ok(f"/v1/contacts/{known}")["identities"][0]["trust"] == "network"
    database("update identity set last_seen = now() - interval '900 days'")
    assert api.ok(f"/v1/contacts/{known}")["identities"][0]["trust"] == "recorded"
    pop = Steps(fake, "22/direct-answered").whole("1001", subscriber)
    assert pop["contact"]["id"] == known and pop["candidates"] == []


def test_numbers_are_for_ever_where_that_is_configured(make_daemon, asterisk, subscriber,
                                                       database):
    from support.daemon import asterisk_channel
    daemon = make_daemon(**{"tenant default": {"region": "TW", "identity_age_days": "0"},
                            "channel pbx": asterisk_channel(asterisk)}).start()
    daemon.wait_channels()
    one = Steps(asterisk, "22/direct-answered").whole("1001", subscriber)
    subscriber.wait_event("interaction.ended")
    database("update identity set last_seen = now() - interval '9000 days'")
    two = Steps(asterisk, "22/direct-answered").whole("1001", subscriber)
    assert two["contact"]["id"] == one["contact"]["id"]


# ---- strangers at once


def test_sixteen_clients_that_hear_the_same_strangers_make_one_contact_each(database):
    import random
    import threading
    import time
    import uuid
    from pathlib import Path

    import psycopg2
    script = Path(__file__).resolve().parents[1] / "data/ingest.sql"
    database(script.read_text())
    numbers = [f"+8869130000{n:02d}" for n in range(20)]
    start, failed = threading.Barrier(16), []

    def client(seed):
        try:
            connection = psycopg2.connect(database.conninfo)
            connection.autocommit = True
            order = random.Random(seed).sample(numbers, len(numbers))
            start.wait(30)
            with connection.cursor() as cursor:
                for number in order:
                    ms = int(time.time() * 1000)
                    ids = [uuid.UUID(int=ms << 80 | 7 << 76 | random.getrandbits(12) << 64
                                     | 2 << 62 | random.getrandbits(62)) for _ in range(2)]
                    cursor.execute("select test_ingest(1, %s, 'phone', %s, 2, %s, %s)",
                                   (str(ids[0]), number, ms * 1000, str(ids[1])))
            connection.close()
        except Exception as e:  # told by the test below
            failed.append(e)

    threads = [threading.Thread(target=client, args=(n,)) for n in range(16)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60 * SLOW)
    assert not failed
    assert database.one("select count(*) from interaction") == 16 * 20
    assert database.one("select count(*) from timeline") == 16 * 20
    assert database("select count(*), count(distinct contact_id), count(distinct value) "
                    "from identity") == [(20, 20, 20)]
    assert database.one("select count(*) from contact") == 20
