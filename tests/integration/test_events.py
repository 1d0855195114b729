"""What changed, told on interactd:<tenant>:events: changes by the API, in the contract's
words; a call's own events are seen in test_pops and test_traces."""

from support.pops import validate


def test_a_contact_made_and_changed_is_told(api, tenant, subscriber):
    made = api.create("/v1/contacts", {"name": "王小明"})
    event = subscriber.wait_event("contact.created", tenant=tenant)
    validate("event", {k: v for k, v in event.items() if k != "_bytes"})
    assert event["tenant"] == tenant and event["object"]["id"] == made["id"]

    assert api.request("PATCH", f"/v1/contacts/{made['id']}", {"vip": True}).status == 200
    event = subscriber.wait_event("contact.updated", tenant=tenant)
    assert event["object"]["vip"] is True and event["changes"] == {"vip": True}


def test_a_replayed_answer_tells_nothing_again(api, tenant, subscriber):
    for _ in range(2):
        assert api.request("POST", "/v1/contacts", {"name": "Once"},
                           headers={"Idempotency-Key": "k1"}).status == 201
    api.create("/v1/contacts", {"name": "Last"})
    subscriber.wait_event("contact.created", tenant=tenant, name="Last")
    names = [e["object"]["name"] for e in subscriber.events(tenant, "contact.created")]
    assert names == ["Once", "Last"]


def test_what_was_logged_by_hand_is_told(api, tenant, subscriber):
    contact = api.create("/v1/contacts", {"name": "B"})
    entry = api.create("/v1/interactions", {"contact": contact["id"], "kind": "visit",
                                            "direction": "in", "summary": "came by"})
    event = subscriber.wait_event("interaction.created", tenant=tenant)
    assert event["object"]["id"] == entry["id"] and event["object"]["kind"] == "visit"


def test_a_change_that_is_refused_tells_nothing(api, tenant, subscriber):
    assert api.request("POST", "/v1/contacts", {"nome": "x"}).status == 422
    api.create("/v1/contacts", {"name": "Last"})
    subscriber.wait_event("contact.created", tenant=tenant, name="Last")
    assert len(subscriber.events(tenant, "contact.created")) == 1
