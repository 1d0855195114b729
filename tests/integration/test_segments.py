"""Segments: whom a filter finds, that merged contacts are one, that nothing of a filter is
run as SQL, and what keeps a bad one from hurting others."""

import datetime

import psycopg2
import pytest

NOW = datetime.datetime.now(datetime.timezone.utc)


def ago(**delta):
    return (NOW - datetime.timedelta(**delta)).strftime("%Y-%m-%dT%H:%M:%SZ")


def find(api, filter, **query):
    answer = api.request("POST", "/v1/segments/preview", {"filter": filter},
                         query={"limit": 200, **query})
    assert answer.status == 200, answer
    items = answer.json["items"]
    names = sorted(str(c["name"]) for c in items)
    if not query:
        counted = api.post("/v1/segments/count", {"filter": filter})
        assert counted.json == {"count": len(names)}, (filter, counted, names)
    return names


def visit(api, contact, kind="call", direction="in", at=None):
    api.create("/v1/interactions", {"contact": contact["id"], "kind": kind,
                                    "direction": direction, "at": at or ago(hours=1)})


@pytest.fixture
def people(api):
    """Ann, Bo, Cy and the firm that Bo works for."""
    firm = api.contact("Firm", roles=["supplier"])
    ann = api.contact("Ann 王小明", "0912000001", roles=["customer", "lead"], language="zh-TW",
                      timezone="Asia/Taipei", vip=True, attributes={"tier": "gold", "n": 7})
    bo = api.contact("Bo", "0912000002", roles=["partner"], language="en",
                     organisation=firm["id"], attributes={"tier": "silver", "n": "12"})
    cy = api.contact("Cy", attributes={"ok": True})
    visit(api, ann, "visit", "in", ago(days=2))
    visit(api, ann, "visit", "in", ago(days=40))
    visit(api, ann, "letter", "out", ago(days=3))
    visit(api, bo, "visit", "in", ago(days=200))
    return {"firm": firm, "ann": ann, "bo": bo, "cy": cy}


ANN, ALL = "Ann 王小明", ["Ann 王小明", "Bo", "Cy", "Firm"]


@pytest.mark.parametrize("filter, names", [
    ({}, ALL),
    ({"all": []}, ALL),
    ({"any": []}, []),
    ({"role": "customer"}, [ANN]),
    ({"role": ["lead", "partner"]}, [ANN, "Bo"]),
    ({"language": "zh"}, [ANN]),
    ({"language": ["ZH-tw", "en-GB"]}, [ANN]),
    ({"timezone": "Asia/Taipei"}, [ANN]),
    ({"not": {"timezone": "Asia/Taipei"}}, ["Bo", "Cy", "Firm"]),
    ({"vip": True}, [ANN]),
    ({"name": {"contains": "小明"}}, [ANN]),
    ({"name": {"begins": "b"}}, ["Bo"]),
    ({"name": {"equals": "bo"}}, []),
    ({"name": {"exists": False}}, []),
    ({"attribute": {"name": "tier", "equals": "gold"}}, [ANN]),
    ({"not": {"attribute": {"name": "tier", "equals": "gold"}}}, ["Bo", "Cy", "Firm"]),
    ({"attribute": {"name": "tier", "contains": "L"}}, [ANN, "Bo"]),
    ({"attribute": {"name": "tier", "exists": True}}, [ANN, "Bo"]),
    ({"attribute": {"name": "n", "gt": 7}}, ["Bo"]),
    ({"attribute": {"name": "n", "gte": 7, "lt": 12.5}}, [ANN, "Bo"]),
    ({"attribute": {"name": "n", "equals": 12}}, ["Bo"]),
    ({"attribute": {"name": "ok", "equals": True}}, ["Cy"]),
    ({"attribute": {"name": "tier", "gt": 1}}, []),
    ({"organisation": {"exists": True}}, ["Bo"]),
    ({"identity": {"kind": "phone"}}, [ANN, "Bo"]),
    ({"identity": {"kind": "phone", "trust": "network"}}, []),
    ({"identity": {"kind": "phone", "begins": "+8869120000"}}, [ANN, "Bo"]),
    ({"not": {"identity": {}}}, ["Cy", "Firm"]),
    ({"created": {"after": "1h"}}, ALL),
    ({"updated": {"before": "1h"}}, []),
    ({"interaction": {}}, [ANN, "Bo"]),
    ({"interaction": {"kind": "visit", "after": "90d"}}, [ANN]),
    ({"interaction": {"kind": "visit", "at_least": 2}}, [ANN]),
    ({"interaction": {"direction": "in", "at_most": 1}}, ["Bo", "Cy", "Firm"]),
    ({"interaction": {"direction": "in", "at_least": 1, "at_most": 1}}, ["Bo"]),
    ({"interaction": {"kind": "call"}}, []),
    ({"last_interaction": {"kind": "visit", "before": "90d"}}, ["Bo"]),
    ({"last_interaction": {"kind": "visit", "after": "90d"}}, [ANN]),
    ({"last_interaction": {"after": "1y", "before": "1d"}}, [ANN, "Bo"]),
    ({"not": {"interaction": {"after": "90d"}}}, ["Bo", "Cy", "Firm"]),
    ({"any": [{"all": [{"role": "customer"}, {"interaction": {"kind": "letter"}}]},
              {"name": {"equals": "Cy"}}]}, [ANN, "Cy"]),
])
def test_whom_a_filter_finds(people, api, filter, names):
    assert find(api, filter) == names


def test_members_of_an_organisation(people, api):
    assert find(api, {"organisation": people["firm"]["id"]}) == ["Bo"]
    assert find(api, {"organisation": people["ann"]["id"]}) == []


def test_what_an_absorbed_contact_did_is_its_roots(people, api):
    unnamed = api.create("/v1/contacts", {"identities": [{"kind": "email",
                                                          "value": "x@example.com"}]})
    visit(api, unnamed, "fax")
    visit(api, unnamed, "visit")
    had = find(api, {"interaction": {"kind": "fax"}})
    assert had == ["None"]
    api.request("PATCH", f"/v1/contacts/{people['cy']['id']}",
                {"identities": [{"kind": "email", "value": "x@example.com"}]})
    assert find(api, {"interaction": {"kind": "fax"}}) == ["Cy"]
    assert find(api, {"identity": {"kind": "email"}}) == ["Cy"]
    assert find(api, {"interaction": {"kind": "visit", "at_least": 1}}) == [ANN, "Bo", "Cy"]
    assert find(api, {"name": {"exists": False}}) == []


def test_another_tenants_contacts_are_not_there(people, api, shared_daemon):
    other = shared_daemon.api(tenant=next(shared_daemon.tenants))
    assert find(other, {}) == []


def test_values_are_values(people, api):
    for evil in ("'; drop table contact; --", "$1", "\\", "%", "a' or 'a'='a", "\"", "{}"):
        for filter in ({"name": {"equals": evil}}, {"name": {"contains": evil}},
                       {"attribute": {"name": evil, "equals": evil}}, {"role": [evil]},
                       {"language": evil}, {"identity": {"kind": evil[:20], "begins": evil}},
                       {"interaction": {"kind": evil, "channel": evil, "agent": evil}}):
            assert find(api, filter) == [], filter
    assert find(api, {}) == ALL


def test_pages_end_and_miss_nobody(api, shared_daemon, tenant):
    lines = "".join(f"external,name\n" if n < 0 else f"t:{n},N{n:04d}\n" for n in range(-1, 700))
    api.request("POST", "/v1/contacts/import", lines.encode(), {"Content-Type": "text/csv"})
    seen, after = [], None
    while True:
        page = api.request("POST", "/v1/segments/preview",
                           {"filter": {"name": {"contains": "1"}}},
                           query={"limit": 50, **({"after": after} if after else {})}).json
        seen += [c["name"] for c in page["items"]]
        after = page["next"]
        if not after:
            break
        assert len(page["items"]) <= 50
    assert sorted(seen) == sorted(n for n in (f"N{i:04d}" for i in range(700)) if "1" in n)
    rare = api.request("POST", "/v1/segments/preview",
                       {"filter": {"name": {"equals": "N0699"}}}).json
    assert [c["name"] for c in rare["items"]] == ["N0699"] and rare["next"] is None


# ---- kept


def test_a_segment_is_kept_changed_and_deleted(people, api):
    made = api.create("/v1/segments", {"name": "VIPs", "filter": {"vip": True}})
    assert made["filter"] == {"vip": True} and made["description"] == ""
    path = f"/v1/segments/{made['id']}"
    assert api.ok(path) == made
    assert api.ok(path + "/count") == {"count": 1}
    page = api.ok(path + "/preview", limit=1)
    assert [c["name"] for c in page["items"]] == [ANN]
    changed = api.patch(path, {"name": "Leads", "filter": {"role": "lead"}}).json
    assert changed["name"] == "Leads" and changed["filter"] == {"role": "lead"}
    other = api.create("/v1/segments", {"name": "All", "filter": {}})
    assert [s["name"] for s in api.ok("/v1/segments")["items"]] == ["All", "Leads"]
    assert api.patch(path, {"name": "All"}).status == 409
    assert api.post("/v1/segments", {"name": "All", "filter": {}}).status == 409
    assert api.delete(path).status == 204
    assert api.get(path).status == 404 and api.get(path + "/count").status == 404
    assert api.delete(path).status == 404
    audit = api.ok("/v1/audit", object=f"segment:{made['id']}")["items"]
    assert [a["action"] for a in audit] == ["segment.deleted", "segment.updated",
                                            "segment.created"]
    assert api.ok(f"/v1/segments/{other['id']}/count") == {"count": 4}


def test_a_repeated_create_is_answered_once(api):
    body = {"name": "Twice", "filter": {}}
    first = api.post("/v1/segments", body, idempotency="one")
    again = api.post("/v1/segments", body, idempotency="one")
    assert (first.status, again.status) == (201, 201) and first.json == again.json


@pytest.mark.parametrize("body, word", [
    ({"name": "x"}, "filter: is required"),
    ({"filter": {}}, "name: is required"),
    ({"name": "", "filter": {}}, "name"),
    ({"name": "x", "filter": {"tier": 1}}, "a condition is one of"),
    ({"name": "x", "filter": {"all": [{"vip": "yes"}]}}, "vip: true or false"),
    ({"name": "x", "filter": {"name": {"contains": "a" * 20000}}}, "at most"),
    ({"name": "x", "filter": [], "more": 1}, "filter"),
])
def test_what_is_no_segment_is_said(api, body, word):
    answer = api.post("/v1/segments", body)
    assert answer.status == 422 and answer.is_problem and word in answer.json["detail"], answer


def test_another_tenants_segment_is_not_there(api, shared_daemon):
    made = api.create("/v1/segments", {"name": "Mine", "filter": {}})
    other = shared_daemon.api(tenant=next(shared_daemon.tenants))
    for path in ("", "/count", "/preview"):
        assert other.get(f"/v1/segments/{made['id']}{path}").status == 404
    assert other.patch(f"/v1/segments/{made['id']}", {"name": "x"}).status == 404
    assert other.delete(f"/v1/segments/{made['id']}").status == 404


def test_who_may(api, keys):
    made = api.create("/v1/segments", {"name": "S", "filter": {}})
    path = f"/v1/segments/{made['id']}"
    for role, may_look, may_change in (("admin", 1, 1), ("supervisor", 1, 1),
                                       ("integration", 1, 1), ("readonly", 1, 0),
                                       ("agent", 0, 0)):
        key = keys(role)
        assert key.get(path + "/count").status == (200 if may_look else 403), role
        assert key.post("/v1/segments/preview", {"filter": {}}).status == \
            (200 if may_look else 403), role
        assert key.patch(path, {"description": role}).status == \
            (200 if may_change else 403), role


def test_a_slow_count_is_stopped_and_others_go_on(make_daemon, database):
    """Somebody holds the table: the count waits, look-ups do not."""
    daemon = make_daemon()
    daemon.start()
    api = daemon.api()
    api.contact("A", "+886912000001")
    holder = psycopg2.connect(database.conninfo)
    try:
        import threading
        with holder.cursor() as cursor:
            cursor.execute("lock table timeline in access exclusive mode")
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(
            daemon.api().post("/v1/segments/preview", {"filter": {"interaction": {}}})))
            for _ in range(6)]
        for thread in threads:
            thread.start()
        for _ in range(20):
            assert api.find("phone:+886912000001")
        holder.rollback()
        for thread in threads:
            thread.join()
        assert [a.status for a in answers] == [200] * 6
    finally:
        holder.close()


# ---- interactctl


def test_segments_on_the_command_line(people, shared_daemon, tenant, tmp_path):
    def run(*args, code=0):
        done = shared_daemon.ctl("--tenant", tenant, *args)
        assert done.returncode == code, (args, done.stdout, done.stderr)
        return done.stdout

    (tmp_path / "f.json").write_text('{"role": "lead"}')
    made = run("segments", "create", "Leads", "--filter", f"@{tmp_path}/f.json").strip()
    assert "Leads" in run("segments", "list") and '"role": "lead"' in run(
        "segments", "show", "Leads")
    assert run("segments", "count", made) == run("segments", "count", "Leads") == "1\n"
    assert ANN in run("segments", "preview", "Leads", "--limit", "1")
    assert run("segments", "count", "--filter", "{}") == "4\n"
    assert "Bo" in run("segments", "preview", "--filter", '{"role":"partner"}')
    run("segments", "set", "Leads", "--filter", '{"any":[]}', "--name", "None")
    assert run("segments", "count", "None") == "0\n"
    run("segments", "set", "None", code=2)
    run("segments", "set", "None", "--filter", "{", code=2)
    run("segments", "create", "x", "--filter", '{"a":1}', code=1)
    run("segments", "count", code=2)
    run("segments", "show", "Nobody", code=4)
    run("segments", "delete", "None")
    run("segments", "delete", made, code=4)


# ---- wishes


def says(api, contact, decision, kind="sms", purpose="marketing", **more):
    api.create(f"/v1/contacts/{contact['id']}/consents", {
        "decision": decision, "kind": kind, "purpose": purpose, **more})


def consent(is_, kind="sms", purpose="marketing"):
    return {"consent": {"kind": kind, "purpose": purpose, "is": is_}}


def test_consent_is_one_of_three(api, people):
    says(api, people["ann"], "allowed")
    says(api, people["bo"], "denied")
    says(api, people["cy"], "allowed", purpose="survey")
    assert find(api, consent("allowed")) == [ANN]
    assert find(api, consent("denied")) == ["Bo"]
    assert find(api, consent("none")) == ["Cy", "Firm"]
    assert find(api, {"not": consent("denied")}) == [ANN, "Cy", "Firm"]
    assert find(api, consent("allowed", purpose="survey")) == ["Cy"]
    says(api, people["ann"], "denied")
    assert find(api, consent("allowed")) == [] and find(api, consent("denied")) == [ANN, "Bo"]


def test_a_denial_of_one_address_or_of_everything_is_one(api, people):
    for who in ("ann", "bo"):
        says(api, people[who], "allowed")
    says(api, people["ann"], "denied",
         identity={"kind": "phone", "value": "0912000001"})
    api.create(f"/v1/contacts/{people['bo']['id']}/consents",
               {"decision": "denied", "do_not_contact": True})
    assert find(api, consent("allowed")) == []
    assert find(api, consent("denied")) == [ANN, "Bo"]
    assert find(api, {"do_not_contact": True}) == ["Bo"]
    assert find(api, {"do_not_contact": False}) == [ANN, "Cy", "Firm"]
    api.create(f"/v1/contacts/{people['bo']['id']}/consents",
               {"decision": "allowed", "do_not_contact": True})
    assert find(api, {"do_not_contact": True}) == []
    # that silence is over allows nothing by itself
    assert find(api, consent("none", kind="email")) == ALL


def test_merged_contacts_wish_what_the_strictest_wishes(api, people):
    ann, cy = people["ann"], people["cy"]
    says(api, ann, "allowed")
    says(api, cy, "denied")
    assert api.put(f"/v1/contacts/{cy['id']}/preferences",
                   {"preferred": ["email"]}).status == 200
    assert find(api, {"preferred": "email"}) == ["Cy"]
    assert api.post(f"/v1/contacts/{ann['id']}/merge", {"from": cy["id"]}).status == 200
    assert find(api, consent("denied")) == [ANN] and find(api, consent("allowed")) == []
    assert find(api, {"preferred": ["sms", "email"]}) == [ANN]
    # what was allowed while merged counts while merged
    says(api, ann, "allowed")
    assert find(api, consent("allowed")) == [ANN]
    api.post(f"/v1/contacts/{ann['id']}/unmerge", {"contact": cy["id"]})
    for contact, is_ in ((ann, "allowed"), (cy, "denied")):
        told = api.ok(f"/v1/contacts/{contact['id']}/preferences")[is_]
        assert told == [{"kind": "sms", "purpose": "marketing"}], told
        assert find(api, consent(is_)) == [contact["name"]]


def test_suppressed_by_hand_by_list_and_by_what_was_merged(api, people):
    assert find(api, {"suppressed": {}}) == []
    api.create("/v1/suppressions", {"kind": "phone", "value": "0912000001",
                                    "reason": "manual"})
    answer = api.request("POST", "/v1/suppressions/import", "0912000002\n",
                         {"Content-Type": "text/plain"}, query={"list": "dnc"})
    assert answer.status == 200, answer
    assert find(api, {"suppressed": {"kind": "phone"}}) == [ANN, "Bo"]
    assert find(api, {"suppressed": {"kind": "email"}}) == []
    assert find(api, {"not": {"suppressed": {}}}) == ["Cy", "Firm"]
    api.post(f"/v1/contacts/{people['cy']['id']}/merge", {"from": people["ann"]["id"]})
    assert find(api, {"suppressed": {"kind": "phone"}}) == ["Bo", "Cy"]
