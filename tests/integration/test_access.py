"""Who may see what: people and their organisations, callers limited to some contacts, and
accounts that outlive whoever looked after them. Every route x caller: test_access_matrix."""

import json
import re
import shlex
from pathlib import Path

import pytest
from support.pops import check_pops, validate
from support.steps import Steps
from support.streams import EventStream, WebSocket
from test_interactctl import watch  # noqa: F401 a fixture

CUSTOMER = "+886912345678"
TERMS = {"terms": "30 days", "margin": "secret-margin"}


@pytest.fixture
def daemon(pbx):
    return pbx[0]


@pytest.fixture
def fake(pbx):
    return pbx[1]


@pytest.fixture
def limited(daemon):
    """Agent 1002 sees suppliers' terms only; 1001 and 1003 see everything."""
    daemon.api().create("/v1/agents", {
        "id": "1002", "contact_roles": ["supplier"], "attributes": ["terms"]})


def ring_all(fake):
    return Steps(fake, "22/queue-ringall-second").to(
        "DialBegin").to("DialBegin").to("DialBegin")


def shown_to(subscriber, agent):
    """The first pop of an agent that says all there is to say: the database may be slow."""
    return subscriber.wait_pop(agent=agent, degraded=False)


def supplier(api, **more):
    """Bolts & Co, and Lin who works there and calls."""
    firm = api.contact("Bolts & Co", "02-2312-3456", roles=["supplier"],
                       type="organisation", **more)
    lin = api.contact("Lin", CUSTOMER, roles=["supplier", "customer"],
                      organisation=firm["id"], attributes=TERMS)
    return firm, lin


# ---- people and organisations


def test_a_suppliers_employee_pops_both(daemon, fake, subscriber, watch):
    api = daemon.api()
    firm, lin = supplier(api)
    shown = watch(daemon, "--agent", "1001")
    steps = ring_all(fake)
    pop = shown_to(subscriber, "1001")
    assert pop["contact"]["id"] == lin["id"]
    assert pop["contact"]["organisation"] == {
        "id": firm["id"], "name": "Bolts & Co", "roles": ["supplier"]}
    assert pop["contact"]["attributes"] == TERMS
    shown.wait("Lin, Bolts & Co (network)")
    # in the one look-up: no pop had the one without the other
    steps.rest()
    for agent in ("1001", "1002", "1003"):
        subscriber.wait_pop(agent=agent, type="pop.close")
    assert {(m["contact"] or {}).get("organisation", {}).get("id")
            for m in subscriber.all_pops() if not m["degraded"]} == {firm["id"]}
    check_pops(subscriber, "default", ["1001", "1002", "1003"])


def test_an_organisations_own_number_pops_the_organisation(daemon, fake, subscriber):
    api = daemon.api()
    firm = api.contact("Bolts & Co", CUSTOMER, roles=["supplier"])
    api.contact("Lin", organisation=firm["id"])
    ring_all(fake)
    contact = shown_to(subscriber, "1001")["contact"]
    assert contact["id"] == firm["id"] and contact["organisation"] is None
    assert api.ok(f"/v1/contacts/{firm['id']}")["type"] == "organisation"


def test_people_are_paged_and_their_timeline_is_the_organisations(api):
    firm = api.contact("Firm")
    people = [api.contact(f"P{n}", organisation=firm["id"])["id"] for n in range(5)]
    where = f"/v1/contacts/{firm['id']}"
    first = api.ok(f"{where}/people", limit=3)
    rest = api.ok(f"{where}/people", limit=3, cursor=first["next"])
    assert [c["id"] for c in first["items"] + rest["items"]] == people[::-1]
    assert rest["next"] is None
    for n, who in enumerate([firm["id"], *people]):
        api.create("/v1/interactions", {"contact": who, "kind": "visit", "direction": "in",
                                        "summary": f"visit {n}"})
    summaries = lambda **q: [i["summary"] for i in api.ok(f"{where}/timeline", **q)["items"]]
    assert summaries() == ["visit 0"]
    assert summaries(people="true") == [f"visit {n}" for n in range(5, -1, -1)]
    assert summaries(people="true", limit=2) == ["visit 5", "visit 4"]
    assert summaries(people="false") == ["visit 0"]
    assert api.get(f"{where}/timeline", people="maybe").status == 400


def test_circles_are_refused(api):
    a = api.contact("A")
    b = api.contact("B", organisation=a["id"])
    c = api.contact("C", organisation=b["id"])
    for organisation in (c["id"], b["id"], a["id"]):
        answer = api.patch(f"/v1/contacts/{a['id']}", {"organisation": organisation})
        assert answer.status == 422 and "organisation" in answer.json["detail"], answer
    assert api.ok(f"/v1/contacts/{a['id']}")["organisation"] is None


def test_an_import_says_what_is_an_organisation(api):
    body = "\n".join(json.dumps(row) for row in (
        {"name": "Firm", "type": "organisation", "external": "erp:1"},
        {"name": "Lin", "external": "erp:2", "organisation": "erp:1"}))
    answer = api.request("POST", "/v1/contacts/import", body,
                         {"Content-Type": "application/x-ndjson"})
    assert answer.status == 200 and answer.json["created"] == 2, answer
    firm, lin = api.find("external:erp:1")[0], api.find("external:erp:2")[0]
    assert (firm["type"], lin["type"]) == ("organisation", "person")
    assert lin["organisation"] == firm["id"]


# ---- limited agents: their pops


def test_a_limited_agent_is_shown_only_the_number_of_others(daemon, fake, subscriber, limited):
    api = daemon.api()
    contact = api.contact("Secret Wang", CUSTOMER, roles=["customer"], attributes=TERMS)
    api.create("/v1/interactions", {"contact": contact["id"], "kind": "note",
                                    "direction": "in", "summary": "secret note"})
    token = api.create("/v1/agents/1002/tokens", {})["token"]
    screen = EventStream(daemon.api(key=token), "/v1/agents/1002/stream")
    socket = WebSocket(daemon.port, "/v1/agents/1002/stream",
                       ["interactd.v1", f"bearer.{token}"])
    steps = ring_all(fake)
    whole = shown_to(subscriber, "1001")
    assert whole["contact"]["id"] == contact["id"] and whole["recent"]
    pop = shown_to(subscriber, "1002")
    validate("pop", {k: v for k, v in pop.items() if k != "_bytes"})
    assert pop["contact"] is None and pop["candidates"] == [] and pop["recent"] == []
    assert pop["remote"]["value"] == CUSTOMER and pop["remote"]["display"] is None
    assert pop["variables"] == {} and pop["state"] == "ringing"
    open_now = daemon.api(key=token).pops("1002")
    steps.answer("1002").rest()
    subscriber.wait_pop(agent="1002", type="pop.close")
    everywhere = json.dumps([subscriber.all_pops(agent="1002"), open_now,
                             subscriber.stream("default", "1002"),
                             screen.wait(3), socket.wait(3)])
    assert "ecret" not in everywhere and contact["id"] not in everywhere
    queue = subscriber.all_pops(queue="support")
    assert queue and queue[0]["contact"]["id"] == contact["id"]  # the tenant's
    check_pops(subscriber, "default", ["1001", "1002", "1003"])
    screen.close()
    socket.close()


def test_a_stranger_looks_no_different_to_them(daemon, fake, subscriber, limited):
    ring_all(fake)
    assert shown_to(subscriber, "1001")["contact"]["name"] is None
    pop = shown_to(subscriber, "1002")
    assert pop["contact"] is None and pop["remote"]["display"] is None


def test_a_limited_agent_sees_theirs_without_the_rest(daemon, fake, subscriber, limited):
    api = daemon.api()
    firm, lin = supplier(api)
    steps = ring_all(fake)
    pop = shown_to(subscriber, "1002")
    assert pop["contact"]["id"] == lin["id"] and pop["contact"]["roles"] == ["supplier"]
    assert pop["contact"]["attributes"] == {"terms": "30 days"}
    assert pop["contact"]["organisation"]["id"] == firm["id"]
    steps.rest()


def test_an_organisation_out_of_sight_is_none(daemon, fake, subscriber, limited):
    api = daemon.api()
    firm, _ = supplier(api)
    api.patch(f"/v1/contacts/{firm['id']}", {"roles": ["competitor"]})
    ring_all(fake)
    assert shown_to(subscriber, "1001")["contact"]["organisation"]
    pop = shown_to(subscriber, "1002")
    assert pop["contact"]["name"] == "Lin" and pop["contact"]["organisation"] is None


def test_candidates_are_those_in_sight(daemon, fake, subscriber, limited):
    api = daemon.api()
    seen = api.contact("Seen", CUSTOMER, roles=["supplier"])
    api.contact("Unseen", CUSTOMER, roles=["customer"], shared=True)
    ring_all(fake)
    pop = shown_to(subscriber, "1001")
    assert pop["contact"] is None and len(pop["candidates"]) == 2
    pop = shown_to(subscriber, "1002")
    assert [c["id"] for c in pop["candidates"]] == [seen["id"]]


def test_a_limit_holds_for_the_pops_that_are_open(daemon, fake, subscriber, eventually):
    api = daemon.api()
    api.contact("Secret Wang", CUSTOMER, roles=["customer"])
    api.create("/v1/agents", {"id": "1002"})
    steps = ring_all(fake)
    assert shown_to(subscriber, "1002")["contact"]
    assert api.patch("/v1/agents/1002", {"contact_roles": ["supplier"]}).status == 200
    pop = subscriber.wait_pop(agent="1002", type="pop.update", contact=None)
    assert pop["remote"]["value"] == CUSTOMER and pop["state"] == "ringing"
    # what the stream holds from before is not read by their token either
    token = api.create("/v1/agents/1002/tokens", {})["token"]
    screen = EventStream(daemon.api(key=token), "/v1/agents/1002/stream?after=0",
                         {"Last-Event-ID": "0"})
    assert "Secret" not in json.dumps(screen.wait(1))
    assert api.patch("/v1/agents/1002", {"contact_roles": None}).status == 200
    eventually(lambda: api.pops("1002")[0]["contact"])
    steps.rest()
    screen.close()
    check_pops(subscriber, "default", ["1002"], closed=False)


def test_a_limited_key_watches_without_seeing(daemon, fake, subscriber):
    api = daemon.api()
    contact = api.contact("Secret Wang", CUSTOMER, roles=["customer"], attributes=TERMS)
    key = api.create("/v1/api-keys", {"name": "wall", "role": "readonly",
                                      "contact_roles": ["supplier"]})["key"]
    wall = daemon.api(key=key)
    stream = EventStream(wall, "/v1/pops/stream")
    stream.wait(1)
    screen = EventStream(wall, "/v1/agents/1001/stream")
    steps = ring_all(fake)
    assert shown_to(subscriber, "1001")["contact"]
    seen = json.dumps([screen.wait(1), stream.wait(4), wall.pops("1001")])
    assert CUSTOMER in seen and "ecret" not in seen and contact["id"] not in seen
    steps.rest()
    screen.close()
    stream.close()


def test_a_limited_caller_dials_who_is_in_sight(daemon, limited):
    api = daemon.api()
    token = api.create("/v1/agents/1002/tokens", {})["token"]
    hidden = api.contact("H", "0912000001", roles=["customer"])
    seen = api.contact("S", "0912000002", roles=["supplier"])
    dial = lambda c: daemon.api(key=token).post("/v1/calls", {"to": {"contact": c["id"]}})
    assert dial(hidden).status == 404
    assert dial(seen).status not in (403, 404)


# ---- limited keys


def test_an_admin_sees_everything(api):
    for limit in ({"contact_roles": ["supplier"]}, {"attributes": []}):
        body = {"name": "a", "role": "admin", **limit}
        assert api.post("/v1/api-keys", body).status == 422
        made = api.create("/v1/api-keys", {"name": "a", "role": "admin"})
        assert api.patch(f"/v1/api-keys/{made['id']}", limit).status == 422
    for bad in ({"contact_roles": ["king"]}, {"contact_roles": "supplier"},
                {"attributes": [1]}, {"attributes": [""]}, {"attributes": {"a": 1}}):
        assert api.post("/v1/api-keys", {"name": "a", "role": "agent", **bad}).status == 422
        assert api.post("/v1/agents", {"id": "x", **bad}).status == 422


def test_a_keys_limit_is_changed(shared_daemon, api):
    contact = api.contact("C", roles=["customer"])
    made = api.create("/v1/api-keys", {"name": "k", "role": "agent"})
    assert made["contact_roles"] is None and made["attributes"] is None
    key = shared_daemon.api(key=made["key"])
    where = f"/v1/contacts/{contact['id']}"
    assert key.get(where).status == 200
    changed = api.patch(f"/v1/api-keys/{made['id']}", {"contact_roles": ["supplier"]})
    assert changed.status == 200 and changed.json["contact_roles"] == ["supplier"]
    assert "key" not in changed.json
    assert key.get(where).status == 404
    listed = api.ok("/v1/api-keys")["items"]
    assert listed[0]["contact_roles"] == ["supplier"]
    assert api.patch(f"/v1/api-keys/{made['id']}", {"contact_roles": None}).status == 200
    assert key.get(where).status == 200
    fields = [c["fields"] for c in api.ok("/v1/audit", object=f"api_key:{made['id']}")["items"]]
    assert ["contact_roles"] in fields
    assert api.patch(f"/v1/api-keys/{made['id']}", {"role": "admin"}).status == 422


def test_a_stream_ends_when_its_key_is_limited(daemon, eventually):
    api = daemon.api()
    made = api.create("/v1/api-keys", {"name": "wall", "role": "readonly"})
    stream = EventStream(daemon.api(key=made["key"]), "/v1/pops/stream")
    stream.wait(1)
    api.patch(f"/v1/api-keys/{made['id']}", {"contact_roles": ["supplier"]})
    eventually(lambda: stream.ended, 25)
    stream.close()


def test_what_a_limited_key_writes_is_told_whole(daemon, subscriber):
    """Events are the tenant's; the answer, also the stored one, is the caller's."""
    api = daemon.api()
    _, lin = supplier(api)
    key = daemon.api(key=api.create("/v1/api-keys", {
        "name": "b", "role": "integration", "contact_roles": ["supplier"],
        "attributes": ["terms"]})["key"])
    answer = key.patch(f"/v1/contacts/{lin['id']}", {"attributes": {"terms": "60 days"}})
    assert answer.json["attributes"] == {"terms": "60 days"}
    assert answer.json["roles"] == ["supplier"]
    event = subscriber.wait_event("contact.updated")
    assert event["object"]["attributes"] == {"terms": "60 days", "margin": "secret-margin"}
    assert event["object"]["roles"] == ["supplier", "customer"]
    body = {"name": "New", "attributes": {"terms": "x"}}
    first = key.post("/v1/contacts", body, idempotency="once")
    again = key.post("/v1/contacts", body, idempotency="once")
    assert first.status == again.status == 201 and first.json == again.json
    assert again.headers["Idempotency-Replayed"] == "true"


def test_an_agents_token_speaks_for_that_agent(daemon):
    api = daemon.api()
    contact = api.contact("C")
    token = api.create("/v1/agents/1001/tokens", {})["token"]
    note = {"contact": contact["id"], "kind": "note", "direction": "in", "summary": "s"}
    mine = daemon.api(key=token)
    assert mine.post("/v1/interactions", {**note, "agent": "1001"}).status == 201
    assert mine.post("/v1/interactions", {**note, "agent": "1002"}).status == 403


# ---- nothing belongs to an agent


def test_an_account_keeps_its_history_whoever_looks_after_it(daemon, fake, subscriber,
                                                             database, eventually):
    api = daemon.api()
    api.create("/v1/agents", {"id": "1001", "name": "Ann", "interfaces": ["PJSIP/1001"]})
    contact = api.contact("Account", CUSTOMER)
    Steps(fake, "22/direct-answered").whole("1001", subscriber)
    where = f"/v1/contacts/{contact['id']}/timeline"
    eventually(lambda: [i for i in api.ok(where)["items"] if i["state"] == "ended"])
    api.create("/v1/interactions", {"contact": contact["id"], "kind": "note", "agent": "1001",
                                    "direction": "out", "summary": "promised a discount"})
    before = api.ok(where)["items"]
    assert len(before) == 2 and {i["agent"] for i in before} == {"1001"}
    api.patch("/v1/agents/1001", {"name": "Bob", "interfaces": []})
    database("delete from agent where id = '1001'")
    assert api.ok(where)["items"] == before
    for one in before:
        assert api.ok(f"/v1/interactions/{one['id']}")["agent"] == "1001"
    ring_all(fake)
    pop = shown_to(subscriber, "1002")
    assert [r["id"] for r in pop["recent"]] == [i["id"] for i in before]


# ---- interactctl


def test_interactctl_limits_and_lists_people(daemon, eventually):
    api = daemon.api()
    made = daemon.ctl("apikey", "create", "buying", "--role", "agent", "--contact-role",
                      "supplier", "--contact-role", "agency", "--attribute", "terms")
    assert made.returncode == 0 and made.stdout.startswith("ik_"), made
    key = api.ok("/v1/api-keys")["items"][0]
    assert key["contact_roles"] == ["supplier", "agency"] and key["attributes"] == ["terms"]
    listed = daemon.ctl("apikey", "list").stdout
    assert "supplier, agency" in listed and "terms" in listed
    assert daemon.ctl("apikey", "set", key["id"], "--contact-role", "all").returncode == 0
    assert api.ok("/v1/api-keys")["items"][0]["contact_roles"] is None
    assert daemon.ctl("apikey", "set", key["id"]).returncode == 2
    assert daemon.ctl("agent", "add", "1007", "--contact-role", "supplier").returncode == 0
    agent = api.ok("/v1/agents/1007")
    assert agent["contact_roles"] == ["supplier"] and agent["attributes"] is None
    assert daemon.ctl("agent", "set", "1007", "--contact-role", "all",
                      "--attribute", "").returncode == 0
    agent = api.ok("/v1/agents/1007")
    assert agent["contact_roles"] is None and agent["attributes"] == []
    assert daemon.ctl("contact", "add", "--name", "Bolts & Co", "--type", "organisation",
                      "--role", "supplier").returncode == 0
    firm = api.ok("/v1/contacts", q="Bolts")["items"][0]
    assert firm["type"] == "organisation"
    assert "Nobody" in daemon.ctl("contact", "people", "Bolts & Co").stdout
    lin = api.contact("Lin", organisation=firm["id"])
    assert lin["id"] in daemon.ctl("contact", "people", "Bolts & Co").stdout
    api.create("/v1/interactions", {"contact": lin["id"], "kind": "note", "direction": "in",
                                    "summary": "Lin's"})
    assert "Lin's" in daemon.ctl("timeline", firm["id"], "--people").stdout
    assert "Lin's" not in daemon.ctl("timeline", firm["id"]).stdout


def test_the_readmes_example(daemon):
    text = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
    block = re.search(r"^## Partners.*?^```sh\n(.*?)^```", text, re.M | re.S)[1]
    firm = ""
    for line in block.splitlines():
        words = shlex.split(line.partition(" >")[0].replace("$FIRM", firm), comments=True)
        done = daemon.ctl(*words[1:])
        assert done.returncode == 0, (line, done)
        firm = firm or daemon.api().ok("/v1/contacts", q="Bolts")["items"][0]["id"]
        if "people" in words:
            assert "Lin" in done.stdout
