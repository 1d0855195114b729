"""Exports: that what is exported is what is there, reads back unchanged, is whole or looks
cut off, and needs no memory."""

import csv
import http.client
import io
import json
import threading

import pytest
from servers import wait_until
from support.api import UnixConnection

NDJSON = {"Content-Type": "application/x-ndjson"}
CSV = {"Content-Type": "text/csv"}


def load(api, body, kind):
    answer = api.request("POST", "/v1/contacts/import", body, kind)
    assert answer.status == 200, answer
    return tuple(answer.json[k] for k in ("created", "updated", "unchanged", "rejected"))


def lines(api, path="/v1/contacts/export", **query):
    answer = api.get(path, **query)
    assert answer.status == 200, answer
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    return [json.loads(line) for line in answer.body.splitlines()]


def rows(api, path="/v1/contacts/export", **query):
    answer = api.get(path, format="csv", **query)
    assert answer.status == 200 and answer.headers["Content-Type"].startswith("text/csv")
    assert answer.body.startswith(b"\xef\xbb\xbf") or query.get("after")
    return list(csv.reader(io.StringIO(answer.body.decode("utf-8-sig"), newline="")))


@pytest.fixture
def people(api):
    firm = api.contact("ACME", roles=["supplier"],
                       identities=[{"kind": "external", "value": "crm:7"}])
    api.contact("王小明", "0912000001", roles=["customer", "lead"], language="zh-TW",
                timezone="Asia/Taipei", vip=True, organisation=firm["id"],
                attributes={"tier": "gold", "n": 7, "deep": {"a": [1, None, "x"]}})
    api.contact("=cmd|' /C calc'!A0", attributes={"note": "-1+2", "quoted": "'=1",
                                                  "plain": "a,\"b\"\nc", "wide": "＝1"})
    api.create("/v1/contacts", {"identities": [
        {"kind": "email", "value": "who@example.com", "trust": "claimed"}]})
    api.contact("Nobody's", attributes={"apostrophe": "'tis"})
    return api


def test_ndjson_is_the_contacts_as_they_are(people):
    got = lines(people)
    assert len(got) == 5 and [c["id"] for c in got] == sorted(c["id"] for c in got)
    for contact in got:
        assert contact == people.ok(f"/v1/contacts/{contact['id']}")


def test_ndjson_reads_back_unchanged(people):
    before = people.get("/v1/contacts/export").body
    assert load(people, before, NDJSON) == (0, 0, 5, 0)
    assert people.get("/v1/contacts/export").body == before


def test_ndjson_reads_into_another_system(people, shared_daemon):
    other = shared_daemon.api(tenant=next(shared_daemon.tenants))
    file = "".join(json.dumps({**c, "organisation": None}) + "\n" for c in lines(people))
    made = load(other, file.encode(), NDJSON)
    assert made == (3, 0, 0, 2)  # two have nothing by which they could be found again
    one, = other.find("phone:0912000001")
    assert one["attributes"] == {"tier": "gold", "n": 7, "deep": {"a": [1, None, "x"]}}


def test_csv_is_no_program_and_reads_back(people):
    head, *got = rows(people)
    names = [r[head.index("name")] for r in got]
    assert names[2] == "'=cmd|' /C calc'!A0"
    by = dict(zip(head, got[2]))
    assert by["attributes.note"] == "'-1+2" and by["attributes.wide"] == "'＝1"
    assert by["attributes.quoted"] == "''=1" and by["attributes.plain"] == "a,\"b\"\nc"
    assert dict(zip(head, got[4]))["attributes.apostrophe"] == "'tis"
    assert dict(zip(head, got[1]))["phone"] == "'+886912000001"
    for record in got:
        for cell in record:
            assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "＝")), cell
    before = lines(people)
    # numbers and objects of attributes become text, nothing else changes
    assert load(people, people.get("/v1/contacts/export", format="csv").body, CSV) \
        == (0, 1, 4, 0)
    for old, new in zip(before, lines(people)):
        if old["name"] != "王小明":
            assert old == new
    assert lines(people)[1]["attributes"]["n"] == "7"


def test_a_claimed_address_is_in_no_csv(people):
    assert b"who@example.com" not in people.get("/v1/contacts/export", format="csv").body
    assert b"who@example.com" in people.get("/v1/contacts/export").body


def test_a_segment_is_exported(people, eventually):
    made = people.create("/v1/segments", {"name": "S", "filter": {"role": "lead"}})
    path = f"/v1/segments/{made['id']}/export"
    assert [c["name"] for c in lines(people, path)] == ["王小明"]
    assert len(rows(people, path)) == 2
    people.patch(f"/v1/segments/{made['id']}", {"filter": {"any": []}})
    assert lines(people, path) == []
    ended = lambda: [a for a in people.ok("/v1/audit")["items"]  # noqa: E731
                     if a["action"] == "contacts.export_ended" and "0 rows" in a["fields"]]
    eventually(ended)
    assert made["id"] in ended()[0]["fields"]
    begun = [a for a in people.ok("/v1/audit")["items"] if a["action"] == "contacts.exported"]
    assert made["id"] in begun[0]["fields"]


def test_it_goes_on_after_what_was_seen(people):
    everybody = lines(people)
    assert lines(people, after=everybody[1]["id"]) == everybody[2:]
    assert len(rows(people, after=everybody[1]["id"])) == 3  # without the header


def test_merged_contacts_are_one_line(people):
    a, = people.find("phone:0912000001")
    unnamed, = people.find("email:who@example.com")
    # the survivor has no name of its own, and lends the other's
    assert people.post(f"/v1/contacts/{unnamed['id']}/merge", {"from": a["id"]}).status == 200
    got = lines(people)
    assert len(got) == 4 and "王小明" in [c["name"] for c in got]
    assert got == [people.ok(f"/v1/contacts/{c['id']}") for c in got]


def test_an_export_has_the_wishes_and_an_import_widens_none(people, shared_daemon):
    a, = people.find("phone:0912000001")
    wishes = {"preferred": ["sms"], "denied": [{"kind": "email", "purpose": "marketing"}],
              "allowed": [{"kind": "sms", "purpose": "marketing"}]}
    assert people.put(f"/v1/contacts/{a['id']}/preferences", wishes).status == 200
    got = {c["id"]: c for c in lines(people)}
    told = got[a["id"]]["preferences"]
    assert {k: told[k] for k in wishes} == wishes and told["do_not_contact"] is False
    assert [c["id"] for c in got.values() if "preferences" in c] == [a["id"]]
    file = json.dumps({**got[a["id"]], "organisation": None}).encode() + b"\n"
    other = shared_daemon.api(tenant=next(shared_daemon.tenants))
    assert load(other, file, NDJSON) == (1, 0, 0, 0)
    b, = other.find("phone:0912000001")
    assert other.ok(f"/v1/contacts/{b['id']}/preferences")["allowed"] == []
    assert load(people, file, NDJSON)[3] == 0
    assert people.ok(f"/v1/contacts/{a['id']}/preferences")["allowed"] == wishes["allowed"]


def test_wishes_and_suggestions_of_one_contact(people):
    a, = people.find("phone:0912000001")
    where = f"/v1/contacts/{a['id']}"
    entry = people.create(f"{where}/consents", {
        "decision": "denied", "kind": "sms", "purpose": "marketing", "source": "call",
        "evidence": {"call": "7"}})
    people.create("/v1/suppressions", {
        "kind": "phone", "value": "0912000001", "reason": "bounced"})
    claimed = people.create("/v1/contacts", {"name": "Who", "shared": True, "identities": [
        {"kind": "phone", "value": "0912000001", "trust": "claimed"}]})
    document = people.ok(f"{where}/export")
    preferences = people.ok(f"{where}/preferences")
    assert document["preferences"] == preferences
    assert preferences["denied"] == [{"kind": "sms", "purpose": "marketing"}]
    one, = document["consents"]
    assert one["id"] == entry["id"] and one["evidence"] == {"call": "7"}
    assert one["state"] == "confirmed" and "sealed" in one and one["member"] == a["id"]
    gone, = document["suppressions"]
    assert gone["reason"] == "bounced" and gone["identity"]["value"] == "+886912000001"
    suggestion, = document["merge_suggestions"]
    assert suggestion["contacts"] == sorted([a["id"], claimed["id"]])
    assert suggestion["state"] == "open"


def test_everything_about_one_contact(people):
    a, = people.find("phone:0912000001")
    unnamed, = people.find("email:who@example.com")
    for n in range(3):
        people.create("/v1/interactions", {"contact": unnamed["id"], "kind": "fax",
                                           "direction": "in", "summary": f"fax {n}"})
    people.create("/v1/interactions", {"contact": a["id"], "kind": "visit",
                                       "direction": "in", "summary": "visit"})
    answer = people.post(f"/v1/contacts/{a['id']}/merge", {"from": unnamed["id"]})
    assert answer.status == 200, answer
    by_root = people.ok(f"/v1/contacts/{a['id']}/export")
    document = people.ok(f"/v1/contacts/{unnamed['id']}/export")
    assert document["complete"] is True
    assert document["contact"] == people.ok(f"/v1/contacts/{a['id']}")
    assert document["contact"] == by_root["contact"]
    assert [m["id"] for m in document["members"]] == sorted([a["id"], unnamed["id"]])
    assert [(m["survivor"], m["absorbed"]) for m in document["merges"]] \
        == [(a["id"], unnamed["id"])]
    assert {(i["value"], i["contact"]) for i in document["identities"]} >= {
        ("+886912000001", a["id"]), ("who@example.com", unnamed["id"])}
    assert [i["summary"] for i in document["interactions"]] == [
        "fax 0", "fax 1", "fax 2", "visit"]
    for i in document["interactions"]:
        assert i == people.ok(f"/v1/interactions/{i['id']}")
    assert "contact.merged" in [e["action"] for e in document["audit"]]
    assert "contact.exported" in [e["action"] for e in by_root["audit"]]


def test_a_long_timeline_is_whole(people):
    a, = people.find("phone:0912000001")
    for n in range(450):
        people.create("/v1/interactions", {"contact": a["id"], "kind": "note",
                                           "direction": "in", "summary": f"{n}"})
    document = people.ok(f"/v1/contacts/{a['id']}/export")
    assert sorted(int(i["summary"]) for i in document["interactions"]) == list(range(450))


def test_what_is_not_there_is_said(people, shared_daemon):
    nobody = "019aa000-0000-7000-8000-000000000000"
    other = shared_daemon.api(tenant=next(shared_daemon.tenants))
    a, = people.find("phone:0912000001")
    assert other.get(f"/v1/contacts/{a['id']}/export").status == 404
    assert people.get(f"/v1/contacts/{nobody}/export").status == 404
    assert people.get(f"/v1/segments/{nobody}/export").status == 404
    assert people.get("/v1/contacts/export", format="xlsx").status == 400
    assert people.get("/v1/contacts/export", after="x").status == 400
    assert lines(other) == [] and len(rows(other)) == 1


def test_who_may(people, keys):
    for role, status in (("admin", 200), ("supervisor", 200), ("integration", 200),
                         ("readonly", 403), ("agent", 403)):
        assert keys(role).get("/v1/contacts/export").status == status, role


def many(api, n):
    body = "external,name,phone,attributes.tier\n" + "".join(
        f"t:{i},Name {i},+88691{i:07d},{i % 3}\n" for i in range(n))
    assert load(api, body.encode(), CSV) == (n, 0, 0, 0)


def resident_kb(daemon):
    with open(f"/proc/{daemon.process.pid}/status", encoding="ascii") as f:
        return int(next(line for line in f if line.startswith("VmRSS:")).split()[1])


def test_a_client_that_does_not_read_costs_no_memory(make_daemon, eventually):
    """It reads the head and waits; the daemon makes no more than fits the socket. Then it
    goes, which is noticed."""
    daemon = make_daemon()
    daemon.start()
    api = daemon.api()
    many(api, 20000)
    before = resident_kb(daemon)
    connection = UnixConnection(daemon.socket, 30)
    connection.request("GET", "/v1/contacts/export")
    response = connection.getresponse()
    response.read(100)
    for _ in range(20):  # time for it to make more than it should
        api.post("/v1/segments/count", {"filter": {}})
    assert resident_kb(daemon) - before < 30000
    connection.sock.close()
    response.close()
    connection.close()
    eventually(lambda: any("the client went away" in a["fields"]
                           for a in api.ok("/v1/audit")["items"]))


def test_a_database_that_goes_is_waited_for(make_daemon, postgres):
    daemon = make_daemon()
    daemon.expected = [".*"]
    daemon.start()
    api = daemon.api()
    many(api, 5000)
    got = []
    connection = UnixConnection(daemon.socket, 60)
    connection.request("GET", "/v1/contacts/export")
    response = connection.getresponse()
    got.append(response.read(1000))
    postgres.stop()
    threading.Timer(0.5, postgres.start).start()
    got.append(response.read())
    wait_until(lambda: postgres.pid, 10)
    connection.close()
    assert len(b"".join(got).splitlines()) == 5000


def test_the_daemons_end_looks_cut_off(make_daemon):
    daemon = make_daemon()
    daemon.start()
    many(daemon.api(), 20000)
    connection = UnixConnection(daemon.socket, 30)
    connection.request("GET", "/v1/contacts/export")
    response = connection.getresponse()
    response.read(1000)
    daemon.finish()
    with pytest.raises(http.client.IncompleteRead):
        response.read()
    connection.close()


# ---- interactctl


def test_export_on_the_command_line(people, shared_daemon, tenant, tmp_path):
    def run(*args, code=0):
        done = shared_daemon.ctl("--tenant", tenant, "export", *args)
        assert done.returncode == code, (args, done.stdout, done.stderr)
        return done.stdout

    whole = people.get("/v1/contacts/export").body
    assert run().encode() == whole
    made = people.create("/v1/segments", {"name": "Leads", "filter": {"role": "lead"}})
    assert json.loads(run("--segment", "Leads"))["name"] == "王小明"
    assert run("--segment", made["id"], "--format", "csv").count("\n") == 2
    assert json.loads(run("--contact", "0912000001"))["complete"] is True
    for kind in ("ndjson", "csv"):
        path = tmp_path / kind
        run("--format", kind, "--output", str(path))
        got = path.read_bytes()
        assert got == people.get("/v1/contacts/export", format=kind).body
        # cut off anywhere, it goes on
        for cut in list(range(0, len(got), max(1, len(got) // 40))) + [len(got)]:
            path.write_bytes(got[:cut])
            run("--format", kind, "--output", str(path), "--resume")
            assert path.read_bytes() == got, (kind, cut)
    run("--format", "xml", code=2)
    run("--resume", code=2)
    run("--contact", "x", "--segment", "y", code=2)
    run("--segment", "nobody", code=4)
