"""The HTTP API: every route, who may use it, and what it says to requests that are wrong."""

import json
import os
import pwd
import socket
import subprocess
import sys
import threading
import time
import uuid

import pytest
from support.api import raw_exchange, split_answers
from support.daemon import SLOW, free_port
from support.pops import TIME, UUID, validate

NOBODY = str(uuid.UUID("01890000-0000-7000-8000-000000000000"))
ROLES = ["admin", "supervisor", "agent", "integration", "readonly"]
WRITE = {"admin", "supervisor", "agent", "integration"}
LEAD = {"admin", "supervisor"}
ALL = set(ROLES)
# (method, path, body, roles that may, status when they do)
ROUTES = [
    ("GET", "/v1/status", None, ALL - {"agent"}, 200),
    ("POST", "/v1/contacts", {"name": "A"}, WRITE, 201),
    ("GET", "/v1/contacts?q=A", None, ALL, 200),
    ("GET", f"/v1/contacts/{NOBODY}", None, ALL, 404),
    ("PATCH", f"/v1/contacts/{NOBODY}", {"name": "B"}, WRITE, 404),
    ("GET", f"/v1/contacts/{NOBODY}/timeline", None, ALL, 404),
    ("GET", f"/v1/contacts/{NOBODY}/people", None, ALL, 404),
    ("POST", f"/v1/contacts/{NOBODY}/decide", {"purpose": "service"}, ALL, 404),
    ("DELETE", f"/v1/contacts/{NOBODY}", None, {"admin"}, 404),
    ("GET", f"/v1/contacts/{NOBODY}/privacy", None, {"admin"}, 404),
    ("POST", f"/v1/contacts/{NOBODY}/page", {}, WRITE, 404),
    ("DELETE", f"/v1/contacts/{NOBODY}/page", None, WRITE, 404),
    ("GET", "/v1/erasure-requests", None, LEAD, 200),
    ("GET", "/v1/privacy/retention", None, LEAD, 200),
    ("POST", "/v1/interactions", {"contact": NOBODY, "kind": "note", "direction": "in",
                                  "summary": "x"}, WRITE, None),
    ("GET", f"/v1/interactions/{NOBODY}", None, ALL, 404),
    ("GET", "/v1/calls", None, ALL - {"agent"}, 200),
    ("POST", "/v1/calls", {"agent": "nobody-yet", "to": "0912345678"}, WRITE, 409),
    ("POST", "/v1/contacts/import?dry_run=1", None, LEAD | {"integration"}, 415),
    ("POST", f"/v1/contacts/{NOBODY}/merge", {"from": NOBODY}, WRITE, 404),
    ("POST", f"/v1/contacts/{NOBODY}/unmerge", {"contact": NOBODY}, WRITE, 404),
    ("GET", "/v1/merge-suggestions", None, ALL, 200),
    ("POST", f"/v1/merge-suggestions/{NOBODY}/accept", None, WRITE, 404),
    ("POST", f"/v1/merge-suggestions/{NOBODY}/reject", None, WRITE, 404),
    ("GET", f"/v1/contacts/{NOBODY}/preferences", None, ALL, 404),
    ("PUT", f"/v1/contacts/{NOBODY}/preferences", {"preferred": ["sms"]}, WRITE, 404),
    ("GET", f"/v1/contacts/{NOBODY}/consents", None, ALL, 404),
    ("POST", f"/v1/contacts/{NOBODY}/consents", {
        "decision": "denied", "kind": "sms", "purpose": "marketing"}, WRITE, 404),
    ("POST", f"/v1/contacts/{NOBODY}/consents/{NOBODY}/confirm", {"token": "1.a"}, WRITE, 404),
    ("GET", "/v1/suppressions", None, ALL, 200),
    ("POST", "/v1/suppressions", {"kind": "phone", "value": "0912345678",
                                  "reason": "manual"}, WRITE, None),
    ("DELETE", "/v1/suppressions?identity=phone:0912345679", None, LEAD | {"integration"},
     None),
    ("GET", "/v1/suppressions/lists", None, ALL, 200),
    ("POST", "/v1/suppressions/import?list=x", None, LEAD | {"integration"}, 415),
    ("GET", f"/v1/contacts/import/{NOBODY}", None, LEAD | {"integration"}, 404),
    ("GET", f"/v1/contacts/import/{NOBODY}/rejected", None, LEAD | {"integration"}, 404),
    ("GET", "/v1/contacts/export", None, LEAD | {"integration"}, 200),
    ("GET", f"/v1/contacts/{NOBODY}/export", None, LEAD | {"integration"}, 404),
    ("POST", "/v1/segments", {"name": "A", "filter": {}}, LEAD | {"integration"}, None),
    ("GET", "/v1/segments", None, ALL - {"agent"}, 200),
    ("POST", "/v1/segments/count", {"filter": {}}, ALL - {"agent"}, 200),
    ("POST", "/v1/segments/preview", {"filter": {}}, ALL - {"agent"}, 200),
    ("GET", f"/v1/segments/{NOBODY}", None, ALL - {"agent"}, 404),
    ("PATCH", f"/v1/segments/{NOBODY}", {"description": "B"}, LEAD | {"integration"}, 404),
    ("DELETE", f"/v1/segments/{NOBODY}", None, LEAD | {"integration"}, 404),
    ("GET", f"/v1/segments/{NOBODY}/count", None, ALL - {"agent"}, 404),
    ("GET", f"/v1/segments/{NOBODY}/preview", None, ALL - {"agent"}, 404),
    ("GET", f"/v1/segments/{NOBODY}/export", None, LEAD | {"integration"}, 404),
    ("POST", "/v1/lookup", {"number": "0912345678"}, {"admin"}, 404),
    ("GET", "/v1/agents", None, ALL, 200),
    ("POST", "/v1/agents", {"id": "a1", "name": "A"}, LEAD, None),
    ("GET", "/v1/agents/nobody-yet", None, ALL, 404),
    ("PATCH", "/v1/agents/nobody-yet", {"name": "B"}, LEAD, 404),
    ("GET", "/v1/agents/nobody-yet/state", None, ALL, 404),
    ("PUT", "/v1/agents/nobody-yet/state", {"state": "paused"}, WRITE, 404),
    ("GET", "/v1/agents/1001/pops", None, ALL, 200),
    ("GET", "/v1/agents/1001/stream", None, ALL, 426),
    ("GET", "/v1/pops/stream", None, ALL - {"agent"}, 406),
    ("POST", "/v1/agents/1001/tokens", {}, LEAD | {"integration"}, None),
    ("GET", "/v1/agents/1001/tokens", None, LEAD | {"integration"}, 200),
    ("DELETE", f"/v1/agents/1001/tokens/{NOBODY}", None, LEAD | {"integration"}, 404),
    ("POST", "/v1/agents/1001/tickets", None, WRITE, None),
    ("POST", "/v1/api-keys", {"name": "k", "role": "readonly"}, {"admin"}, 201),
    ("GET", "/v1/api-keys", None, {"admin"}, 200),
    ("PATCH", f"/v1/api-keys/{NOBODY}", {"name": "k"}, {"admin"}, 404),
    ("DELETE", f"/v1/api-keys/{NOBODY}", None, {"admin"}, 404),
    ("GET", "/v1/audit", None, LEAD, 200),
    ("GET", "/v1/quarantine", None, {"admin"}, 200),
    ("POST", "/v1/quarantine/retry", None, {"admin"}, 200),
    ("POST", "/v1/channels/none/resync", None, LEAD, 404),
    ("GET", "/v1/channels/none/gaps", None, ALL - {"agent"}, 404),
    ("POST", "/v1/webhooks", {"url": "http://127.0.0.1/", "events": ["*"]}, {"admin"}, 422),
    ("GET", "/v1/webhooks", None, {"admin"}, 200),
    ("GET", "/v1/webhooks/dead-letters", None, {"admin"}, 200),
    ("GET", f"/v1/webhooks/{NOBODY}", None, {"admin"}, 404),
    ("PATCH", f"/v1/webhooks/{NOBODY}", {"enabled": False}, {"admin"}, 404),
    ("DELETE", f"/v1/webhooks/{NOBODY}", None, {"admin"}, 404),
    ("POST", f"/v1/webhooks/{NOBODY}/test", None, {"admin"}, 404),
    ("POST", f"/v1/webhooks/{NOBODY}/replay", {"from": "2026-11-21T00:00:00Z"}, {"admin"}, 404),
    ("GET", f"/v1/webhooks/{NOBODY}/deliveries", None, {"admin"}, 404),
    ("GET", f"/v1/webhooks/{NOBODY}/deliveries/{NOBODY}", None, {"admin"}, 404),
    ("POST", f"/v1/webhooks/{NOBODY}/deliveries/{NOBODY}/replay", None, {"admin"}, 404),
]


# ---- who may


@pytest.mark.parametrize("method,path,body,roles,status", ROUTES,
                         ids=[f"{r[0]} {r[1].replace(NOBODY, 'ID')}" for r in ROUTES])
def test_roles(shared_daemon, keys, method, path, body, roles, status):
    for role in ROLES:
        answer = keys(role).request(method, path, body)
        if role not in roles:
            assert answer.status == 403 and answer.is_problem, (role, answer)
        elif status:
            assert answer.status == status, (role, answer)
        else:
            assert answer.status not in (401, 403), (role, answer)
    for key in ("", "ik_wrong", "ia_wrong"):
        answer = shared_daemon.api(key=key).request(method, path, body)
        assert answer.status == 401 and answer.is_problem, answer
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_every_route_is_described_and_tested(shared_daemon):
    paths = shared_daemon.api(key="").ok("/v1/openapi.json")["paths"]
    described = {f"{method.upper()} {path}" for path, item in paths.items()
                 for method in item if method in ("get", "post", "patch", "put", "delete")}
    assert {"GET /v1/status", "POST /v1/contacts", "GET /v1/agents/{id}/stream"} <= described
    count = {d for d in described if d.split()[1].startswith("/v1/")
             and not d.endswith("openapi.json")}
    assert len(count) == len(ROUTES), sorted(count)


def test_open_routes_need_no_key(shared_daemon):
    api = shared_daemon.api(key="")
    assert api.get("/healthz").status == 200
    assert api.get("/readyz").status == 200
    metrics = api.get("/metrics")
    assert metrics.status == 200 and metrics.headers["Content-Type"].startswith("text/plain")
    for line in metrics.body.decode().splitlines():
        assert line.startswith("#") or len(line.rsplit(" ", 1)) == 2, line


def test_another_tenants_object_is_not_there(shared_daemon, api, keys):
    contact = api.contact("Here", "0912000111")
    note = api.create("/v1/interactions", {
        "contact": contact["id"], "kind": "note", "direction": "in", "summary": "s"})
    other = shared_daemon.api(tenant=next(shared_daemon.tenants))
    for path in (f"/v1/contacts/{contact['id']}", f"/v1/interactions/{note['id']}",
                 f"/v1/contacts/{contact['id']}/timeline"):
        assert keys("readonly").get(path).status == 200
        answer = other.get(path)
        assert answer.status == 404 and answer.is_problem
    assert other.patch(f"/v1/contacts/{contact['id']}", {"name": "Mine"}).status == 404
    assert other.find("phone:+886912000111") == []
    assert other.ok("/v1/contacts", q="Here")["items"] == []
    assert other.post("/v1/interactions", {
        "contact": contact["id"], "kind": "note", "direction": "in",
        "summary": "s"}).status in (404, 422)


def test_the_tenant_header_is_for_operators_only(shared_daemon, keys, tenant):
    contact = shared_daemon.api(tenant=tenant).contact("Here")
    other = next(shared_daemon.tenants)
    answer = keys("admin").request("GET", f"/v1/contacts/{contact['id']}",
                                   headers={"Interactd-Tenant": other})
    assert answer.status in (200, 400, 403)
    if answer.status == 200:
        assert answer.json["id"] == contact["id"]
    assert shared_daemon.api(tenant="no-such").get("/v1/agents").status == 404


def test_the_operators_socket_knows_its_user(shared_daemon):
    """Root and the daemon's own user need no key there; others do."""
    assert shared_daemon.api().get("/v1/status").status == 200
    if os.geteuid() != 0:
        pytest.skip("another user is needed, and this is not root")
    script = ("import http.client, socket, sys\n"
              "s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])\n"
              "s.sendall(b'GET /v1/status HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n')\n"
              "print(s.recv(100).split()[1].decode())")
    nobody = pwd.getpwnam("nobody")
    os.chmod(shared_daemon.directory, 0o711)
    before = os.stat(shared_daemon.socket).st_mode
    os.chmod(shared_daemon.socket, 0o666)
    done = subprocess.run([sys.executable, "-c", script, shared_daemon.socket], cwd="/",
                          user=nobody.pw_uid, group=nobody.pw_gid, extra_groups=[],
                          capture_output=True, text=True, check=False)
    os.chmod(shared_daemon.socket, before)
    assert done.stdout.strip() == "401", done


# ---- keys


def test_a_key_is_shown_once_and_ends_when_revoked(shared_daemon, api):
    made = api.create("/v1/api-keys", {"name": "crm", "role": "integration"})
    assert len(made["key"]) > 40 and made["role"] == "integration"
    listed = api.ok("/v1/api-keys")["items"]
    assert [k["id"] for k in listed] == [made["id"]]
    assert made["key"] not in json.dumps(listed)
    user = shared_daemon.api(key=made["key"])
    assert user.get("/v1/agents").status == 200
    answer = api.delete(f"/v1/api-keys/{made['id']}")
    assert answer.status == 204 and answer.body == b""
    assert user.get("/v1/agents").status == 401
    assert api.delete(f"/v1/api-keys/{made['id']}").status == 404
    assert api.ok("/v1/api-keys")["items"] == []


def test_the_database_does_not_know_the_key(shared_daemon, api):
    made = api.create("/v1/api-keys", {"name": "crm", "role": "admin"})
    rows = shared_daemon.database("select k::text from api_key k")
    assert all(made["key"] not in row[0] for row in rows)
    assert all(made["key"] not in row[0] for row in
               shared_daemon.database("select i::text from idempotency i"))


BAD_KEYS = [{}, {"name": "x"}, {"name": "x", "role": "boss"}, {"name": "", "role": "admin"},
            {"name": "x" * 300, "role": "admin"}, {"name": 7, "role": "admin"},
            {"name": "x", "role": "admin", "more": 1},
            # the name is shown in the audit, in logs and on terminals
            {"name": "crm\x1b[2J", "role": "admin"}, {"name": "a\nb", "role": "admin"}]


@pytest.mark.parametrize("body", BAD_KEYS, ids=str)
def test_bad_keys_are_refused(api, body):
    answer = api.post("/v1/api-keys", body)
    assert answer.status == 422 and answer.is_problem, answer


# ---- contacts


def test_a_contact_is_made_read_and_changed(api):
    made = api.create("/v1/contacts", {
        "name": "示例客户", "roles": ["customer", "partner"], "language": "zh-CN",
        "timezone": "Asia/Taipei", "vip": True, "attributes": {"tier": "gold", "n": 3},
        "identities": [{"kind": "phone", "value": "0912-345-678"},
                       {"kind": "email", "value": "Ann@EXAMPLE.com"},
                       {"kind": "external", "value": "crm:42"}]})
    import re
    assert re.match(UUID, made["id"]) and re.match(TIME, made["created_at"])
    values = {(i["kind"], i["value"]) for i in made["identities"]}
    assert values == {("phone", "+886912345678"), ("email", "Ann@example.com"),
                      ("external", "crm:42")}
    read = api.ok(f"/v1/contacts/{made['id']}")
    assert read == made
    changed = api.patch(f"/v1/contacts/{made['id']}", {"vip": False, "name": "客户"})
    assert changed.status == 200, changed
    read = api.ok(f"/v1/contacts/{made['id']}")
    assert read["vip"] is False and read["name"] == "客户"
    assert read["attributes"] == {"tier": "gold", "n": 3}
    assert read["identities"] == made["identities"]


def test_an_organisation_is_a_contact(api):
    firm = api.contact("Firm")
    person = api.contact("Person", organisation=firm["id"])
    assert person["organisation"] == firm["id"]
    answer = api.post("/v1/contacts", {"name": "X", "organisation": NOBODY})
    assert answer.status in (404, 422) and answer.is_problem


def test_created_says_where(api):
    answer = api.post("/v1/contacts", {"name": "A"})
    assert answer.status == 201
    assert answer.headers["Location"] == f"/v1/contacts/{answer.json['id']}"


BAD_CONTACTS = [
    {"nmae": "typo"}, {"name": 5}, {"name": "x" * 201}, {"roles": ["king"]},
    {"roles": "customer"}, {"vip": "yes"}, {"attributes": []}, {"organisation": "x"},
    {"identities": "0912"}, {"identities": [{"kind": "phone"}]},
    {"identities": [{"value": "0912"}]}, {"identities": [{"kind": "phone", "value": ""}]},
    {"identities": [{"kind": "Phone!", "value": "0912345678"}]},
    {"identities": [{"kind": "phone", "value": "0912345678", "trust": "absolute"}]},
    {"identities": [{"kind": "phone", "value": "0912345678", "colour": "red"}]},
    {"identities": [{"kind": "email", "value": "x" * 300 + "@example.com"}]},
    {"timezone": "Mars/Olympus"}, {"language": "x" * 100}, {"id": NOBODY}]


@pytest.mark.parametrize("body", BAD_CONTACTS, ids=lambda b: str(b)[:60])
def test_bad_contacts_are_refused_by_name_of_the_field(shared_daemon, api, body):
    answer = api.post("/v1/contacts", body)
    assert answer.status == 422 and answer.is_problem, answer
    made = api.contact("Good")
    answer = api.patch(f"/v1/contacts/{made['id']}", body)
    assert answer.status == 422 and answer.is_problem, answer
    assert api.ok(f"/v1/contacts/{made['id']}") == made


def test_a_key_sets_recorded_at_most(keys, api):
    body = {"name": "A", "identities": [{"kind": "phone", "value": "0912345678",
                                         "trust": "verified"}]}
    answer = keys("integration").post("/v1/contacts", body)
    assert answer.status == 422 and answer.is_problem, answer
    body["identities"][0]["trust"] = "recorded"
    assert keys("integration").post("/v1/contacts", body).status == 201


SPELLINGS = ["phone:+886912345678", "phone:0912345678", "phone:0912-345-678",
             "phone:0912 345 678", "phone:(0912) 345/678", "phone:０９１２３４５６７８",
             "phone: 886912345678", "phone:00886912345678", "phone:＋８８６９１２３４５６７８",
             "phone:+886 912 345 678"]


def test_a_number_is_found_however_it_is_written(api):
    made = api.contact("A", "0912 345 678")
    for spelling in SPELLINGS:
        assert [c["id"] for c in api.find(spelling)] == [made["id"]], spelling
    # A query's undecoded plus is a blank.
    raw = api.request("GET", "/v1/contacts?identity=phone:+886912345678")
    assert [c["id"] for c in raw.json["items"]] == [made["id"]]
    assert api.find("phone:0912345679") == []


def test_emails_are_found_by_domain_in_any_case(api):
    made = api.create("/v1/contacts", {"name": "A", "identities": [
        {"kind": "email", "value": "ann@bücher.example"}]})
    for spelling in ("email:ann@bücher.example", "email:ann@BÜCHER.example",
                     "email:ann@xn--bcher-kva.example"):
        assert [c["id"] for c in api.find(spelling)] == [made["id"]], spelling


def test_names_are_found_by_their_beginnings_and_in_chinese(api):
    ids = {n: api.contact(n)["id"] for n in ("Wang Da-Ming", "王小明", "王大明", "Müller")}
    found = lambda q: {c["id"] for c in api.ok("/v1/contacts", q=q)["items"]}
    assert found("wang") == {ids["Wang Da-Ming"]}
    assert found("da min") == {ids["Wang Da-Ming"]}
    assert found("王") == {ids["王小明"], ids["王大明"]}
    assert found("小明") == {ids["王小明"]}
    assert found("MÜLL") == {ids["Müller"]}
    assert found("nobody") == set()
    assert found("%' or 1=1 --") == set()


def test_lists_have_pages(api):
    ids = {api.contact(f"Anna {n}")["id"] for n in range(7)}
    seen, cursor = [], None
    while True:
        more = {"cursor": cursor} if cursor else {}
        page = api.ok("/v1/contacts", q="Anna", limit=3, **more)
        seen += [c["id"] for c in page["items"]]
        assert len(page["items"]) <= 3
        cursor = page["next"]
        if not cursor:
            break
    assert sorted(seen) == sorted(ids)


@pytest.mark.parametrize("query", [
    {}, {"identity": "0912345678"}, {"identity": ""}, {"q": ""}, {"q": "a", "limit": "0"},
    {"q": "a", "limit": "many"}, {"q": "a", "cursor": "rubbish"}, {"q": "a", "page": "2"},
    {"q": "a", "identity": "phone:0912345678"}], ids=str)
def test_bad_questions_are_400(api, query):
    answer = api.get("/v1/contacts", **query)
    assert answer.status in (400, 422) and answer.is_problem, answer


def test_an_address_somebody_has_is_a_conflict_that_says_whose(api):
    one = api.contact("One", "0912345678")
    body = {"name": "Two", "identities": [{"kind": "phone", "value": "+886912345678"}]}
    answer = api.post("/v1/contacts", body)
    assert answer.status == 409 and answer.is_problem
    assert answer.json["contact"] == one["id"]
    two = api.contact("Two")
    answer = api.patch(f"/v1/contacts/{two['id']}", {"identities": body["identities"]})
    assert answer.status == 409 and answer.json["contact"] == one["id"]
    shared = api.create("/v1/contacts", {**body, "shared": True})
    assert {c["id"] for c in api.find("phone:0912345678")} == {one["id"], shared["id"]}


def test_two_that_take_one_address_at_once(api):
    """Only one of many gets it; the others are told whose it is."""
    answers = []
    def take(n):
        answers.append(api.post("/v1/contacts", {
            "name": f"N{n}", "identities": [{"kind": "phone", "value": "0912345678"}]}))
    threads = [threading.Thread(target=take, args=(n,)) for n in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    made = [a.json["id"] for a in answers if a.status == 201]
    assert len(made) == 1, answers
    assert all(a.status == 409 and a.json["contact"] == made[0]
               for a in answers if a.status != 201)


def test_after_a_call_the_unnamed_contact_is_absorbed(pbx, subscriber, eventually):
    """Staff write the caller down: the history is theirs at once, and stays with them."""
    from support.steps import Steps
    daemon, fake = pbx
    Steps(fake, "22/direct-answered").ring("1001").rest()
    ended = subscriber.wait_event("interaction.ended")["object"]
    api = daemon.api()
    unnamed = eventually(lambda: api.find("phone:+886912345678"))[0]
    assert unnamed["name"] is None and ended["contact"] == unnamed["id"]
    named = api.contact("Chen", "0912-345-678")
    assert named["absorbed"] == [unnamed["id"]]
    assert [i["id"] for i in api.ok(f"/v1/contacts/{named['id']}/timeline")["items"]] == \
        [ended["id"]]
    merged = api.ok(f"/v1/contacts/{unnamed['id']}")
    assert merged["id"] == named["id"] and merged["merged_from"] == unnamed["id"]
    assert api.ok(f"/v1/interactions/{ended['id']}")["contact"] == named["id"]
    assert [c["id"] for c in api.find("phone:0912345678")] == [named["id"]]
    # The next call is the named one's.
    pop = Steps(fake, "22/direct-answered").whole("1001", subscriber)
    assert pop["contact"]["name"] == "Chen" and pop["contact"]["id"] == named["id"]


# ---- interactions and the timeline


def log_note(api, contact, at, kind="note", **more):
    return api.create("/v1/interactions", {
        "contact": contact, "kind": kind, "direction": "in", "at": at,
        "summary": f"{kind} of {at}", **more})


def test_a_visit_is_logged_by_hand(api):
    contact = api.contact("A")["id"]
    made = api.create("/v1/interactions", {
        "contact": contact, "kind": "visit", "direction": "in", "summary": "came by",
        "at": "2026-03-01T10:00:00+08:00", "agent": "1001"})
    assert made["at"] == "2026-03-01T02:00:00.000Z" and made["kind"] == "visit"
    assert made["contact"] == contact and made["agent"] == "1001"
    validate("timeline", made)
    assert api.ok(f"/v1/interactions/{made['id']}") == made
    items = api.ok(f"/v1/contacts/{contact}/timeline")["items"]
    assert [i["id"] for i in items] == [made["id"]]
    assert "legs" not in items[0] and "body" not in items[0]
    validate("timeline", items[0])


def test_back_dated_entries_take_their_place(api):
    contact = api.contact("A")["id"]
    years = [2019, 2024, 2021, 2026, 2020]
    for y in years:
        log_note(api, contact, f"{y}-05-05T05:05:05Z")
    items = api.ok(f"/v1/contacts/{contact}/timeline")["items"]
    assert [int(i["at"][:4]) for i in items] == sorted(years, reverse=True)


def test_a_timeline_has_pages_and_kinds(api):
    contact = api.contact("A")["id"]
    made = [log_note(api, contact, f"2026-04-{d:02}T08:00:00Z",
                     kind="visit" if d % 3 else "letter")["id"] for d in range(1, 24)]
    seen, before = [], None
    while True:
        more = {"before": before} if before else {}
        page = api.ok(f"/v1/contacts/{contact}/timeline", limit=5, **more)
        seen += [i["id"] for i in page["items"]]
        before = page["next"]
        if not before:
            break
    assert seen == made[::-1]
    letters = api.ok(f"/v1/contacts/{contact}/timeline", kind="letter", limit=200)["items"]
    assert [i["id"] for i in letters] == [m for d, m in enumerate(made, 1) if d % 3 == 0][::-1]
    for bad in ({"before": "rubbish"}, {"limit": "-1"}, {"colour": "red"}):
        answer = api.get(f"/v1/contacts/{contact}/timeline", **bad)
        assert answer.status in (400, 422) and answer.is_problem, (bad, answer)


BAD_NOTES = [{}, {"kind": "note"}, {"kind": "No Kind!"},
             {"direction": "up"}, {"at": "yesterday"}, {"at": "2026-02-30T00:00:00Z"},
             {"at": 12}, {"at": "9999-12-31T00:00:00Z"}, {"at": "0001-01-01T00:00:00Z"},
             {"summary": 5}, {"summary": "x" * 100000}, {"agent": "a b"}, {"contact": None},
             {"contact": "x"}, {"contact": NOBODY}, {"colour": "red"}]


@pytest.mark.parametrize("change", BAD_NOTES, ids=lambda b: str(b)[:50])
def test_bad_interactions_are_refused(api, change):
    good = {"contact": api.contact("A")["id"], "kind": "note", "direction": "in",
            "at": "2026-03-01T10:00:00Z", "summary": "s"}
    body = {**good, **change} if change and change != {"kind": "note"} else change
    answer = api.post("/v1/interactions", body)
    assert answer.status in (404, 422) and answer.is_problem, answer
    assert api.ok(f"/v1/contacts/{good['contact']}/timeline")["items"] == []


# ---- idempotency


def test_the_same_key_and_body_give_the_stored_answer(shared_daemon, api, tenant):
    body = {"name": "Once"}
    one = api.post("/v1/contacts", body, idempotency="k-1")
    two = api.post("/v1/contacts", body, idempotency="k-1")
    assert one.status == two.status == 201 and one.json == two.json
    assert two.headers["Idempotency-Replayed"] == "true"
    assert len(api.ok("/v1/contacts", q="Once")["items"]) == 1
    other = api.post("/v1/contacts", {"name": "Twice"}, idempotency="k-1")
    assert other.status == 422 and other.is_problem
    elsewhere = shared_daemon.api(tenant=next(shared_daemon.tenants))
    assert elsewhere.post("/v1/contacts", {"name": "Twice"}, idempotency="k-1").status == 201


@pytest.mark.parametrize("names", [("one", "two"), ("crm", "crm")], ids=str)
def test_one_key_is_one_callers(keys, api, names):
    one, two = (keys("integration", name) for name in names)
    a = one.post("/v1/contacts", {"name": "A"}, idempotency="k")
    b = two.post("/v1/contacts", {"name": "A"}, idempotency="k")
    assert a.status == b.status == 201 and a.json["id"] != b.json["id"]


@pytest.mark.parametrize("path,body", [
    ("/v1/interactions", {"kind": "note", "direction": "in", "summary": "s"}),
    ("/v1/agents", {"id": "idem", "name": "A"}),
    ("/v1/api-keys", {"name": "k", "role": "agent"}),
    ("/v1/agents/1001/tokens", {})])
def test_everything_that_is_created_is_idempotent(api, path, body):
    if path == "/v1/interactions":
        body = {**body, "contact": api.contact("A")["id"], "at": "2026-03-01T10:00:00Z"}
    one = api.post(path, body, idempotency="k")
    two = api.post(path, body, idempotency="k")
    assert one.status == two.status == 201, (one, two)
    assert one.json.get("id") == two.json.get("id")
    assert two.headers["Idempotency-Replayed"] == "true"


def test_the_same_key_at_once_has_one_effect(api):
    answers = []
    def post():
        answers.append(api.post("/v1/contacts", {"name": "Racer"}, idempotency="race"))
    threads = [threading.Thread(target=post) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert {a.status for a in answers} <= {201, 409}
    assert len({a.json["id"] for a in answers if a.status == 201}) == 1
    for a in answers:
        if a.status == 409:
            assert a.is_problem and a.headers["Retry-After"]
    assert len(api.ok("/v1/contacts", q="Racer")["items"]) == 1


@pytest.mark.parametrize("key", ["", " ", "x" * 300, "a b", "sn\xf6"])
def test_bad_idempotency_keys(api, key):
    answer = api.request("POST", "/v1/contacts", {"name": "A"},
                         {"Idempotency-Key": key.encode("latin-1")})
    assert answer.status == 400 and answer.is_problem


# ---- agents


def test_agents_are_made_read_and_changed(api):
    made = api.create("/v1/agents", {
        "id": "anna", "name": "Anna", "interfaces": ["PJSIP/1001", "pbx:PJSIP/1002"],
        "queues": ["support"], "capacity": {"call": 1, "chat": 3}})
    assert api.ok("/v1/agents/anna") == made
    assert [a["id"] for a in api.ok("/v1/agents")["items"]] == ["anna"]
    changed = api.patch("/v1/agents/anna", {"name": "Anna B", "queues": []})
    assert changed.status == 200, changed
    assert api.ok("/v1/agents/anna")["name"] == "Anna B"
    assert api.ok("/v1/agents/anna")["interfaces"] == ["PJSIP/1001", "pbx:PJSIP/1002"]
    again = api.post("/v1/agents", {"id": "anna", "name": "Other"})
    assert again.status == 409 and again.is_problem
    taken = api.post("/v1/agents", {"id": "bob", "interfaces": ["PJSIP/1001"]})
    assert taken.status in (201, 409)


@pytest.mark.parametrize("body", [
    {}, {"id": "a b"}, {"id": ""}, {"id": "x" * 65}, {"id": 5}, {"id": "a", "name": 5},
    {"id": "a", "interfaces": "PJSIP/1"}, {"id": "a", "interfaces": [5]},
    {"id": "a", "queues": ["a b"]}, {"id": "a", "capacity": "many"},
    {"id": "a", "capacity": {"call": -1}}, {"id": "a", "colour": "red"}], ids=str)
def test_bad_agents_are_refused(api, body):
    answer = api.post("/v1/agents", body)
    assert answer.status == 422 and answer.is_problem, answer
    assert api.ok("/v1/agents")["items"] == []


def test_an_agents_token_reaches_that_agent_only(shared_daemon, api):
    made = api.create("/v1/agents/1001/tokens", {"ttl_s": 600})
    assert made["agent"] == "1001" and made["expires_at"]
    own = shared_daemon.api(key=made["token"])
    assert own.get("/v1/agents/1001/pops").status == 200
    assert own.get("/v1/agents/1002/pops").status == 403
    assert own.post("/v1/agents/1001/tokens", {}).status == 403
    assert own.get("/v1/api-keys").status == 403
    for bad in ({"ttl_s": 1}, {"ttl_s": "long"}, {"ttl_s": 10**9}, {"more": 1}):
        answer = api.post("/v1/agents/1001/tokens", bad)
        assert answer.status == 422 and answer.is_problem, (bad, answer)


# ---- the audit


def test_the_audit_names_fields_and_never_values(shared_daemon, api, keys):
    made = keys("supervisor", "desk").post("/v1/contacts", {
        "name": "Geheim", "identities": [{"kind": "phone", "value": "0912345678"}]}).json
    api.patch(f"/v1/contacts/{made['id']}", {"vip": True})
    items = api.ok("/v1/audit")["items"]
    text = json.dumps(items, ensure_ascii=False)
    assert "Geheim" not in text and "912345678" not in text
    own = [i for i in items if i.get("object_id") == made["id"]
           or made["id"] in json.dumps(i)]
    assert [i["action"] for i in own] == ["contact.updated", "contact.created"]
    assert own[1]["actor"] == "key:desk" and own[1]["role"] == "supervisor"
    assert "name" in own[1]["fields"] and "vip" in own[0]["fields"]
    first = api.ok("/v1/audit", limit=1)
    rest = api.ok("/v1/audit", before=first["next"])["items"]
    assert first["items"] + rest == items
    with pytest.raises(Exception, match="only be added"):
        shared_daemon.database("delete from audit")


# ---- requests that are wrong


def get_line(path="/healthz"):
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n".encode()


MALFORMED = {
    "no request": b"hello\r\n\r\n",
    "no version": b"GET /healthz\r\n\r\n",
    "wrong version": b"GET /healthz HTTP/3.0\r\nHost: x\r\n\r\n",
    "no host": b"GET /healthz HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "no colon": get_line() + b"Rubbish\r\n\r\n",
    "blank before colon": get_line() + b"A : b\r\n\r\n",
    "folded": get_line() + b"A: b\r\n c\r\n\r\n",
    "NUL": get_line() + b"A: b\0c\r\n\r\n",
    "bare CR": get_line() + b"A: b\rc\r\n\r\n",
    "control character in the path": b"GET /heal\x01thz HTTP/1.1\r\nHost: x\r\n\r\n",
    "bad escape": get_line("/v1/agents/%zz"),
    "NUL in the path": get_line("/v1/agents/%00"),
    "no UTF-8 in the path": get_line("/v1/agents/%ff%fe"),
    "long line": b"GET /" + b"x" * 70000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "long header": get_line() + b"A: " + b"x" * 70000 + b"\r\n\r\n",
    "many headers": get_line() + b"A: b\r\n" * 5000 + b"\r\n",
    "bad length": b"POST /v1/contacts HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
    "negative length": b"POST /v1/contacts HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "two lengths": b"POST /v1/contacts HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n"
                   b"Content-Length: 2\r\n\r\nab",
    "length and chunks": b"POST /v1/contacts HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
                         b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "unknown coding": b"POST /v1/contacts HTTP/1.1\r\nHost: x\r\n"
                      b"Transfer-Encoding: gzip\r\n\r\n",
    "bad chunk": b"POST /v1/contacts HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
                 b"\r\nzz\r\n\r\n",
    "huge length": b"POST /v1/contacts HTTP/1.1\r\nHost: x\r\n"
                   b"Content-Length: 99999999999999999999\r\n\r\n",
    "body too long": b"POST /v1/contacts HTTP/1.1\r\nHost: x\r\n"
                     b"Content-Length: 999999999\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 100 + b"\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}


@pytest.mark.parametrize("name", list(MALFORMED))
def test_malformed_requests_get_a_4xx_problem(shared_daemon, name):
    data = MALFORMED[name]
    if not data.endswith((b"\r\n\r\n", b"ab")):
        data += b"\r\n"
    got = raw_exchange(("127.0.0.1", shared_daemon.port), data, timeout=5 * SLOW, shut=True)
    answers = split_answers(got)
    assert answers, got[:200]
    status, body = answers[0]
    # 501 and 505 are what RFC 9112 asks for: well formed, but not spoken here.
    assert 400 <= status < 500 or status in (501, 505), got[:400]
    assert b"application/problem+json" in got.split(b"\r\n\r\n")[0], got[:400]
    assert json.loads(body)["status"] == status
    assert shared_daemon.api().get("/healthz").status == 200


def test_a_request_smuggled_behind_a_refused_one_is_not_run(shared_daemon):
    got = raw_exchange(("127.0.0.1", shared_daemon.port), MALFORMED["length and chunks"]
                       + get_line() + b"\r\n", timeout=3 * SLOW, shut=True)
    assert len(split_answers(got)) == 1


@pytest.mark.parametrize("body,kind,status", [
    (b"{", "application/json", 400), (b"", "application/json", 400),
    (b"[]", "application/json", 400), (b'"x"', "application/json", 400),
    (b'{"name": "a", "name": "b"}', "application/json", 400),
    (b'{"name": "\xff"}', "application/json", 400),
    (b'{"name": "a\\u0000b"}', "application/json", (400, 422)),
    (b"[" * 100000, "application/json", 400),
    (b'{"name": 1e999}', "application/json", (400, 422)),
    (b"name=a", "application/x-www-form-urlencoded", 415)], ids=range(10))
def test_bodies_that_are_no_json_object(api, body, kind, status):
    answer = api.request("POST", "/v1/contacts", body, {"Content-Type": kind})
    assert answer.is_problem, answer
    assert answer.status in (status if isinstance(status, tuple) else (status,)), answer


def test_unknown_paths_and_methods(api):
    for method, path, status in [
            ("GET", "/", 404), ("GET", "/v1", 404), ("GET", "/v1/nothing", 404),
            ("DELETE", "/v1/contacts", 405), ("PUT", "/v1/agents/1001", 405),
            ("GET", f"/v1/contacts/{NOBODY}/", 404), ("GET", "/v1/contacts/not-an-id", 404),
            ("GET", "/v1/interactions/..%2f..", 404), ("BREW", "/v1/contacts", (405, 501))]:
        answer = api.request(method, path)
        assert answer.is_problem, (method, path, answer)
        assert answer.status in (status if isinstance(status, tuple) else (status,)), \
            (method, path, answer)
        if answer.status == 405:
            assert answer.headers["Allow"]


def test_head_has_no_body_and_options_allows(shared_daemon):
    head = shared_daemon.api().request("HEAD", "/healthz")
    assert head.status == 200 and head.body == b""


def test_keep_alive_and_pipelining(shared_daemon):
    got = raw_exchange(("127.0.0.1", shared_daemon.port),
                       (get_line() + b"\r\n") * 5
                       + get_line()[:-2] + b"\r\nConnection: close\r\n\r\n", timeout=10 * SLOW)
    assert [status for status, _ in split_answers(got)] == [200] * 6


# ---- limits


@pytest.fixture
def limited(make_daemon):
    daemon = make_daemon(http={
        "max_header": "2k", "max_body": "4k", "max_connections": "20",
        "max_connections_per_peer": "10", "header_timeout_s": "1",
        "body_timeout_s": "1", "idle_timeout_s": "1"})
    return daemon.start()


def hold(address, data=b""):
    s = socket.create_connection(address, timeout=10 * SLOW)
    s.sendall(data)
    return s


def seconds_until_closed(s):
    began = time.monotonic()
    try:
        while s.recv(4096):
            pass
    except ConnectionResetError:
        pass
    return time.monotonic() - began


def test_headers_and_bodies_have_a_size(limited):
    api = limited.api()
    answer = api.request("GET", "/healthz", headers={"A": "x" * 3000})
    assert answer.status == 431 and answer.is_problem
    answer = api.post("/v1/contacts", {"name": "x", "attributes": {"a": "x" * 5000}})
    assert answer.status == 413 and answer.is_problem


def test_a_slow_drip_does_not_hold_a_connection(limited):
    address = ("127.0.0.1", limited.port)
    s = hold(address, b"GET /healthz HT")
    began = time.monotonic()
    try:
        while time.monotonic() - began < 10 * SLOW:
            s.sendall(b"T")
            s.settimeout(0.2)
            try:
                if not s.recv(4096):
                    break
            except TimeoutError:
                continue
    except OSError:
        pass
    assert time.monotonic() - began < 5 * SLOW
    body = hold(address, b"POST /v1/contacts HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n"
                         b"\r\n{")
    assert seconds_until_closed(body) < 5 * SLOW


def test_an_idle_connection_ends(limited):
    s = hold(("127.0.0.1", limited.port))
    assert seconds_until_closed(s) < 5 * SLOW
    s = hold(("127.0.0.1", limited.port), get_line() + b"\r\n")
    assert s.recv(4096).startswith(b"HTTP/1.1 200")
    assert seconds_until_closed(s) < 5 * SLOW


def test_one_peer_cannot_take_all_connections(limited, eventually):
    held = [hold(("127.0.0.1", limited.port)) for _ in range(15)]
    assert limited.api().get("/healthz").status == 200
    for s in held:
        s.close()
    eventually(lambda: limited.api(key="").get("/healthz").status == 200)


def test_a_client_that_does_not_read_its_answers(limited):
    s = hold(("127.0.0.1", limited.port))
    request = b"GET /v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"
    s.settimeout(1)
    try:
        for _ in range(2000):
            s.sendall(request)
    except OSError:
        pass
    assert limited.api().get("/healthz").status == 200
    assert limited.memory() < (100 if SLOW == 1 else 800) * 1024 * 1024
    s.close()


def test_origins_of_browsers(make_daemon):
    daemon = make_daemon(http={"origins": "https://crm.example.com"}).start()
    api = daemon.api(key="")
    good = api.request("OPTIONS", "/v1/contacts", headers={
        "Origin": "https://crm.example.com", "Access-Control-Request-Method": "GET"})
    assert good.headers["Access-Control-Allow-Origin"] == "https://crm.example.com"
    bad = api.request("OPTIONS", "/v1/contacts", headers={
        "Origin": "https://evil.example", "Access-Control-Request-Method": "GET"})
    assert bad.headers.get("Access-Control-Allow-Origin") is None


def test_tls(make_daemon, tmp_path):
    import http.client
    import ssl
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
                    "-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem"],
                   check=True, capture_output=True)
    daemon = make_daemon(http={"tls_cert": tmp_path / "cert.pem",
                               "tls_key": tmp_path / "key.pem"}).start()
    context = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
    connection = http.client.HTTPSConnection("127.0.0.1", daemon.port, context=context,
                                             timeout=10 * SLOW)
    connection.request("GET", "/healthz")
    assert connection.getresponse().status == 200
    connection.close()
    got = raw_exchange(("127.0.0.1", daemon.port), get_line() + b"\r\n", timeout=5 * SLOW)
    assert b"200 OK" not in got


def test_the_database_away_is_503_with_retry_after(make_daemon, postgres):
    daemon = make_daemon().expect("PostgreSQL|database|connection").start()
    postgres.stop()
    for method, path, body in [("GET", "/v1/contacts?q=a", None), ("GET", "/v1/audit", None),
                               ("POST", "/v1/contacts", {"name": "A"})]:
        answer = daemon.api().request(method, path, body)
        assert answer.status == 503 and answer.is_problem, (path, answer)
        assert answer.headers["Retry-After"]
    assert daemon.api().get("/healthz").status == 200
    ready = daemon.api().get("/readyz")
    assert ready.status == 503 and ready.json["postgresql"]["ok"] is False
    postgres.start()
    daemon.wait_ready()
    assert daemon.api().post("/v1/contacts", {"name": "A"}).status == 201


def test_the_port_may_be_taken(make_daemon):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        daemon = make_daemon(http={"listen": f"127.0.0.1:{s.getsockname()[1]}"})
        daemon.expect("listen|address|in use").start(ready=False)
        assert daemon.wait_end() == 1
    assert free_port()
