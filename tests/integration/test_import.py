"""Contacts from files: who is meant by a line, what stays when something breaks, and that
a long file needs no memory."""

import http.client
import json
import subprocess
import threading
import time

import psycopg2
import pytest
from support.api import UnixConnection
from support.daemon import BUILD, SLOW

CSV = {"Content-Type": "text/csv"}
NDJSON = {"Content-Type": "application/x-ndjson"}


def send(api, body, kind=CSV, **query):
    if isinstance(body, str):
        body = body.encode()
    answer = api.request("POST", "/v1/contacts/import", body, kind, query or None)
    assert answer.status == 200, answer
    return answer.json


def counts(result):
    return tuple(result[k] for k in ("created", "updated", "unchanged", "rejected"))


def names(api, identity):
    return sorted(str(c["name"]) for c in api.find(identity))


# ---- who is meant


def test_csv_makes_contacts_and_a_repeat_changes_nothing(api):
    file = ("name,phone,phone2,email,external,roles,language,timezone,vip,attributes.tier\n"
            "王小明,0912 345 678,+86 138 0013 8000,ming@EXAMPLE.com,crm:1,\"customer, lead\","
            "zh-TW,Asia/Taipei,yes,gold\n"
            "Müller GmbH,,,info@mueller.example,crm:2,supplier,de,,no,\n"
            "\n"
            "Nur Telefon,0287654321,,,,,,,,\n")
    assert counts(send(api, file)) == (3, 0, 0, 0)
    one, = api.find("phone:+886912345678")
    assert one["name"] == "王小明" and one["roles"] == ["customer", "lead"]
    assert one["vip"] is True and one["attributes"] == {"tier": "gold"}
    assert one["language"] == "zh-TW" and one["timezone"] == "Asia/Taipei"
    assert {(i["kind"], i["value"], i["trust"]) for i in one["identities"]} == {
        ("phone", "+886912345678", "recorded"), ("phone", "+8613800138000", "recorded"),
        ("email", "ming@example.com", "recorded"), ("external", "crm:1", "recorded")}
    assert api.find("external:crm:1")[0]["id"] == one["id"]
    assert counts(send(api, file)) == (0, 0, 3, 0)
    audit = [a for a in api.ok("/v1/audit")["items"] if a["action"] == "contacts.imported"]
    assert len(audit) == 2 and "attributes.tier" in audit[0]["fields"]


def test_an_external_id_finds_its_contact_whatever_its_number(api):
    send(api, "external,name,phone\ncrm:1,A,0912000001\n")
    assert counts(send(api, "external,name,phone\ncrm:1,B,0912000002\n")) == (0, 1, 0, 0)
    one, = api.find("external:crm:1")
    assert one["name"] == "B"
    assert {i["value"] for i in one["identities"]} >= {"+886912000001", "+886912000002"}


def test_empty_cells_leave_what_is_there_and_attributes_are_added(api):
    send(api, "external,name,language,attributes.a\ncrm:1,A,en,1\n")
    send(api, "external,name,language,attributes.b\ncrm:1,,,2\n")
    one, = api.find("external:crm:1")
    assert one["name"] == "A" and one["language"] == "en"
    assert one["attributes"] == {"a": "1", "b": "2"}


def test_an_unnamed_caller_gets_its_name(api, shared_daemon, tenant):
    made = api.create("/v1/contacts", {"identities": [{"kind": "phone",
                                                       "value": "0912000001"}]})
    assert counts(send(api, "name,phone\nWang,0912000001\n")) == (0, 1, 0, 0)
    one, = api.find("phone:0912000001")
    assert one["id"] == made["id"] and one["name"] == "Wang"


def test_a_number_of_two_customers_is_shared(api):
    file = "external,name,phone\ncrm:1,Reception A,0912000001\ncrm:2,Reception B,0912000001\n"
    assert counts(send(api, file)) == (2, 0, 0, 0)
    assert names(api, "phone:0912000001") == ["Reception A", "Reception B"]
    assert counts(send(api, file)) == (0, 0, 2, 0)


def test_lines_of_one_contact_in_one_file_are_one_contact(api):
    result = send(api, "name,phone,email\nA,0912000001,\nA,0912 000 001,a@example.com\n"
                       "A,,a@example.com\n")
    assert counts(result) == (1, 1, 1, 0)
    assert len(api.find("email:a@example.com")) == 1


def test_a_line_that_means_several_is_refused(api):
    send(api, "name,phone,email\nA,0912000001,\nB,,b@example.com\n")
    result = send(api, "name,phone,email\nC,0912000001,b@example.com\n")
    assert counts(result) == (0, 0, 0, 1)
    assert "several contacts" in result["rejected_lines"][0]["reason"]


def test_organisations_are_found_by_external_id(api):
    result = send(api, "external,name,organisation\ncrm:7,ACME,\ncrm:8,Li,crm:7\n"
                       "crm:9,X,crm:99\ncrm:10,Y,what\n")
    assert counts(result) == (2, 0, 0, 2)
    acme, = api.find("external:crm:7")
    assert api.find("external:crm:8")[0]["organisation"] == acme["id"]
    assert [r["line"] for r in result["rejected_lines"]] == [4, 5]


def test_what_is_wrong_with_a_line_is_said_and_stops_no_other(api):
    lines = ["name,phone,external,vip,timezone,language",
             "A,0912000001,,,,",
             ",12,,,,",
             "B,anonymous,,,,",
             "C,0912000003,crm 1,,,",
             "D,0912000004,,perhaps,,",
             "E,0912000005,,,Mars/Base,",
             "F,0912000006,,,,not a tag",
             "G,0912000007,,,,,too,many",
             "H,0912000008,,,,",
             "\"I,\nJ\",0912000009,,,,",
             "\"K\"x,0912000010,,,,",
             "L,0912000011,,,,"]
    result = send(api, "\r\n".join(lines))
    assert counts(result) == (4, 0, 0, 8)
    told = {r["line"]: r["reason"] for r in result["rejected_lines"]}
    assert list(told) == [3, 4, 5, 6, 7, 8, 9, 13]
    for line, word in ((3, "no external id"), (4, "nobody"), (5, "namespace:id"),
                       (6, "vip"), (7, "zone"), (8, "language"), (9, "more fields"),
                       (13, "closing quote")):
        assert word in told[line], told
    assert names(api, "phone:0912000009") == ["I,\nJ"]


@pytest.mark.parametrize("charset, query", [
    ("utf-8", {}), ("utf-8-sig", {}), ("gb18030", {}), ("utf-16", {}),
    ("big5", {"charset": "big5"})])
def test_chinese_names_in_every_encoding(api, charset, query):
    body = "name;phone\n王小明;0912000001\n李四;0912000002\n".encode(charset)
    assert counts(send(api, body, **query)) == (2, 0, 0, 0)
    assert names(api, "phone:0912000001") == ["王小明"]
    assert api.ok("/v1/contacts", q="李四")["items"]


def test_ndjson_takes_what_a_post_takes(api):
    lines = [{"name": "A", "identities": [{"kind": "phone", "value": "0912000001"}],
              "attributes": {"n": {"x": [1, None]}}, "roles": ["partner"]},
             {"name": "B", "phone": "0912000002", "external": "crm:2"},
             {"name": "C", "phnoe": "0912000003"},
             ["no object"],
             {"name": "D", "email": "d@example.com", "language": None}]
    body = "\n".join(json.dumps(x) for x in lines) + "\n{broken\n\n"
    result = send(api, body, NDJSON)
    assert counts(result) == (3, 0, 0, 3)
    assert [r["line"] for r in result["rejected_lines"]] == [3, 4, 6]
    assert api.find("phone:0912000001")[0]["attributes"] == {"n": {"x": [1, None]}}
    assert counts(send(api, json.dumps({"external": "crm:2", "name": None}), NDJSON)) == (
        0, 1, 0, 0)
    assert api.find("external:crm:2")[0]["name"] is None


def test_a_dry_run_stores_nothing(api):
    result = send(api, "name,phone\nA,0912000001\nB,x\n", dry_run="true")
    assert counts(result) == (1, 0, 0, 1) and result["dry_run"] is True
    assert api.find("phone:0912000001") == []
    assert not [a for a in api.ok("/v1/audit")["items"]
                if a["action"] == "contacts.imported"]


@pytest.mark.parametrize("body, kind, query, status, word", [
    (b"name,phnoe\n", CSV, {}, 422, "phnoe"),
    (b"", CSV, {}, 422, "empty"),
    (b"name,name\nA,B\n", CSV, {}, 422, "twice"),
    (b"name,phone\n", {"Content-Type": "application/json"}, {}, 415, "text/csv"),
    (b"name,phone\n", CSV, {"charset": "klingon"}, 400, "charset"),
    (b"name,phone\n", CSV, {"dry_run": "maybe"}, 400, "dry_run"),
    (b"name,phone\n", CSV, {"dyr_run": "1"}, 400, "dyr_run")])
def test_files_that_are_none(api, body, kind, query, status, word):
    answer = api.request("POST", "/v1/contacts/import", body, kind, query or None)
    assert answer.status == status and answer.is_problem and word in answer.json["detail"]


def test_who_may(keys):
    for role, status in (("agent", 403), ("readonly", 403), ("integration", 200),
                         ("supervisor", 200)):
        answer = keys(role).request("POST", "/v1/contacts/import",
                                    b"name,phone\nA,0912000001\n", CSV)
        assert answer.status == status, (role, answer)


# ---- long ones, and what breaks


ROWS = 4000


def many(first, n, pad=0):
    return "".join(f"crm:{i},Customer {i} {'x' * pad},09{i % 10**8:08d}\n"
                   for i in range(first, first + n))


def chunks(size, piece=100_000):
    """A CSV of about `size` bytes, as an iterator."""
    yield b"external,name,attributes.note\n"
    sent, line = 0, 0
    while sent < size:
        text = "".join(f"crm:{line + i},王小明,{'备注' * 400}\n" for i in range(200)).encode()
        line += 200
        sent += len(text)
        yield text


def test_a_long_file_needs_no_memory(make_daemon):
    daemon = make_daemon(**{"tenant default": {"region": "TW"}, "http": {"max_body": "64k"}})
    daemon.start()
    send(daemon.api(), "external,name,phone\n" + many(0, 500))
    before, most, done = daemon.memory(), [0], threading.Event()

    def watch():
        while not done.is_set():
            most[0] = max(most[0], daemon.memory())
            time.sleep(0.05)  # a sample, nothing waits for it

    watcher = threading.Thread(target=watch)
    watcher.start()
    connection = UnixConnection(daemon.socket, 120 * SLOW)
    size = 20_000_000 // SLOW
    try:
        connection.request("POST", "/v1/contacts/import?events=false", chunks(size), CSV,
                           encode_chunked=True)
        result = json.loads(connection.getresponse().read())
    finally:
        done.set()
        watcher.join()
        connection.close()
    assert counts(result)[0] > size // 3000 and result["rejected"] == 0, result
    if SLOW == 1:  # a sanitizer keeps what is freed
        assert most[0] - before < 16_000_000, (before, most[0])


def test_a_file_cut_off_in_the_middle_is_sent_again(make_daemon, database, eventually):
    daemon = make_daemon(**{"tenant default": {"region": "TW"}})
    daemon.start()
    whole = "external,name,phone\n" + many(0, 3000, 100)
    connection = UnixConnection(daemon.socket, 30)
    connection.connect()
    connection.sock.sendall(
        b"POST /v1/contacts/import HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\n"
        b"Content-Length: 10000000\r\n\r\n" + whole[:300_000].encode())
    stored = eventually(lambda: database.one("select count(*) from contact"))
    connection.close()
    eventually(lambda: "broken off" in daemon.log())
    stored = database.one("select count(*) from contact")
    assert 0 < stored < 3000
    result = send(daemon.api(), whole)
    assert result["rejected"] == 0 and sum(counts(result)) == 3000
    assert 0 < result["created"] <= 3000 - stored
    assert database.one("select count(*) from contact") == 3000


def test_postgresql_restarting_in_the_middle_costs_nothing(
        make_daemon, database, postgres, eventually):
    daemon = make_daemon(**{"tenant default": {"region": "TW"}})
    daemon.start()
    daemon.expect("PostgreSQL", "postgresql", "pg ")
    got = {}

    def run():
        got["result"] = send(daemon.api(), "external,name,phone\n" + many(0, ROWS))

    def stored():
        try:
            return database.one("select count(*) from contact")
        except psycopg2.Error:
            return 0

    thread = threading.Thread(target=run)
    thread.start()
    eventually(stored)
    postgres.stop("immediate")
    postgres.start()
    thread.join(90 * SLOW)
    assert sum(counts(got["result"])) == ROWS and got["result"]["rejected"] == 0
    assert database.one("select count(*) from contact") == ROWS


def test_events_tell_of_each_contact(pbx, subscriber, eventually):
    daemon, _ = pbx
    send(daemon.api(), "external,name,phone\n" + many(0, 40))
    eventually(lambda: len(subscriber.events(type="contact.created")) == 40)
    send(daemon.api(), "external,name\ncrm:1,New name\n")
    told = subscriber.wait_event("contact.updated")
    assert told["object"]["name"] == "New name"
    send(daemon.api(), "external,name\ncrm:2,Silent\n", events="false")
    send(daemon.api(), "external,name\ncrm:3,Told\n")
    eventually(lambda: len(subscriber.events(type="contact.updated")) == 2)


def test_a_tenants_imports_keep_no_other_waiting(make_daemon):
    daemon = make_daemon(**{"tenant a": {}, "tenant b": {}}).start()
    begun = []
    for _ in range(4):
        connection = UnixConnection(daemon.socket, 30)
        connection.connect()
        connection.sock.sendall(
            b"POST /v1/contacts/import HTTP/1.1\r\nHost: x\r\nInteractd-Tenant: a\r\n"
            b"Content-Type: text/csv\r\nTransfer-Encoding: chunked\r\n"
            b"Expect: 100-continue\r\n\r\n")
        assert connection.sock.recv(100).startswith(b"HTTP/1.1 100")
        begun.append(connection)
    file = "name,external\nX,crm:1\n"
    answer = daemon.api("a").request("POST", "/v1/contacts/import", file.encode(), CSV)
    assert answer.status == 503 and answer.headers["Retry-After"], answer
    assert counts(send(daemon.api("b"), file)) == (1, 0, 0, 0)
    begun.pop().close()
    daemon.api("a").ok("/v1/contacts", q="X")  # the end of the connection was read before
    assert counts(send(daemon.api("a"), file)) == (1, 0, 0, 0)


def test_the_daemon_ends_during_an_import(make_daemon, database, eventually):
    daemon = make_daemon(**{"tenant default": {"region": "TW"}})
    daemon.start()
    connection = UnixConnection(daemon.socket, 30)
    connection.connect()
    connection.sock.sendall(
        b"POST /v1/contacts/import HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\n"
        b"Content-Length: 10000000\r\n\r\nexternal,name,phone\n"
        + many(0, 3000).encode())
    eventually(lambda: database.one("select count(*) from contact"))
    daemon.stop()
    connection.close()


# ---- interactctl


def test_interactctl_imports(shared_daemon, tenant, api, tmp_path):
    file, rejected = tmp_path / "a.csv", tmp_path / "bad.csv"
    file.write_text("name,phone\nA,0912000001\nB,x\n\"C\nD\",y\nE,0912000002\n")
    ctl = ["--tenant", tenant, "import", str(file)]
    dry = shared_daemon.ctl(*ctl, "--dry-run")
    assert dry.returncode == 1 and "2" in dry.stdout and not api.find("phone:0912000001")
    real = shared_daemon.ctl(*ctl, "--rejected", str(rejected))
    assert real.returncode == 1, real
    assert "line 3" in real.stderr and "line 4" in real.stderr
    assert rejected.read_text() == "name,phone\nB,x\n\"C\nD\",y\n"
    assert names(api, "phone:0912000001") == ["A"]
    again = shared_daemon.ctl("--tenant", tenant, "--json", "import", "-",
                              "--format", "csv", input="name,phone\nA,0912000001\n")
    assert again.returncode == 0 and json.loads(again.stdout)["unchanged"] == 1
    lines = tmp_path / "a.ndjson"
    lines.write_text('{"name":"N","phone":"0912000003"}\n')
    assert shared_daemon.ctl("--tenant", tenant, "import", str(lines)).returncode == 0
    for bad, code in ((["import", str(tmp_path / "no.csv")], 2), (["import", "-"], 2),
                      (["import", str(rejected), "--charset", "klingon"], 1)):
        assert shared_daemon.ctl(*bad).returncode == code, bad


# ---- going on with one that was interrupted


IMPORT = "019aa000-0000-7000-8000-00000000000a"


def test_an_import_says_how_far_it_is(api):
    result = send(api, "name,phone\nA,0912000001\nB,nobody\n\"C\n\",0912000003\n", id=IMPORT)
    assert result["id"] == IMPORT
    run = api.ok(f"/v1/contacts/import/{IMPORT}")
    assert run["state"] == "done" and run["line"] == 5 and run["format"] == "csv"
    assert counts(run) == counts(result) == (2, 0, 0, 1)
    rejected = api.ok(f"/v1/contacts/import/{IMPORT}/rejected")
    assert [r["line"] for r in rejected["items"]] == [3] and rejected["next"] is None
    # from the beginning again: counted anew
    assert counts(send(api, "name,phone\nA,0912000001\n", id=IMPORT)) == (0, 0, 1, 0)
    assert counts(api.ok(f"/v1/contacts/import/{IMPORT}")) == (0, 0, 1, 0)
    assert send(api, "name,phone\nA,0912000001\n", dry_run="true")["id"] is None


def test_all_rejected_lines_are_told(api):
    file = "name,phone\n" + "".join(
        f"N{n},{'x' if n % 2 else f'09{n:08d}'}\n" for n in range(5000))
    result = send(api, file, id=IMPORT)
    assert counts(result)[3] >= 2500 and len(result["rejected_lines"]) == 1000
    seen, after = [], 0
    while after is not None:
        page = api.ok(f"/v1/contacts/import/{IMPORT}/rejected", after=after, limit=700)
        seen += [r["line"] for r in page["items"]]
        after = page["next"]
    assert len(seen) == result["rejected"] == len(set(seen)) and seen == sorted(seen)
    assert set(range(3, 5002, 2)) <= set(seen)


def test_only_rejected_lines(api):
    result = send(api, "name,phone\n" + "A,x\n" * 2000, id=IMPORT)
    assert counts(result) == (0, 0, 0, 2000)
    assert api.ok(f"/v1/contacts/import/{IMPORT}")["line"] == 2001
    assert api.ok(f"/v1/contacts/import/{IMPORT}")["rejected"] == 2000


@pytest.mark.parametrize("kind", [CSV, NDJSON])
def test_a_broken_import_goes_on(shared_daemon, api, eventually, kind):
    """The client goes in the middle; the rest is sent later, and nothing twice."""
    is_csv = kind is CSV
    lines = [f"t:{n},N{n}\n" if is_csv else
             json.dumps({"external": f"t:{n}", "name": f"N{n}"}) + "\n" for n in range(30000)]
    lines[20000] = "tx,bad\n" if is_csv else "{bad\n"
    head = ["external,name\n"] if is_csv else []
    connection = UnixConnection(shared_daemon.socket, 30)
    connection.putrequest("POST", f"/v1/contacts/import?id={IMPORT}&events=false")
    connection.putheader("Interactd-Tenant", api.tenant)
    connection.putheader("Content-Type", kind["Content-Type"])
    connection.putheader("Content-Length", str(10 ** 9))
    connection.endheaders("".join(head + lines[:12000]).encode())
    path = f"/v1/contacts/import/{IMPORT}"
    eventually(lambda: api.get(path).status == 200 and api.ok(path)["line"] > 2000)
    assert api.ok(path)["state"] == "running"
    again = api.request("POST", "/v1/contacts/import", b"", kind, {"id": IMPORT})
    assert again.status == 409
    connection.close()
    eventually(lambda: api.ok(path)["state"] == "interrupted")
    run = api.ok(path)
    done = run["line"]
    assert counts(run) == (done - len(head), 0, 0, 0)
    result = send(api, "".join(head + (head + lines)[done:]), kind, id=IMPORT, after=done,
                  events="false")
    assert counts(result) == (29999 + len(head) - done, 0, 0, 1)
    assert result["rejected_lines"][0]["line"] == 20001 + len(head)
    run = api.ok(path)
    assert run["state"] == "done" and counts(run) == (29999, 0, 0, 1)
    assert run["line"] == 30000 + len(head)


def test_what_is_no_import_is_said(api, shared_daemon):
    path = f"/v1/contacts/import/{IMPORT}"
    assert api.get(path).status == 404
    send(api, "name,phone\nA,0912000001\n", id=IMPORT)
    other = shared_daemon.api(tenant=next(shared_daemon.tenants))
    assert other.get(path).status == 404
    assert other.get(path + "/rejected").status == 404
    for query in ({"id": "x"}, {"after": 3}, {"id": IMPORT, "after": "x"}):
        assert api.request("POST", "/v1/contacts/import", b"", CSV, query).status == 400


@pytest.mark.parametrize("kind", ["csv", "ndjson"])
def test_interactctl_goes_on(shared_daemon, api, tenant, tmp_path, eventually, kind):
    """It is killed in the middle; --resume sends the rest, and --rejected has all of it."""
    path, bad = tmp_path / f"many.{kind}", tmp_path / f"bad.{kind}"
    with path.open("w", newline="") as out:
        if kind == "csv":
            out.write("external,name\r\n")
        for n in range(60000):
            wrong = n in (7, 59000)
            out.write((f"{'t' if wrong else f't:{n}'},N{n}\r\n") if kind == "csv" else
                      json.dumps({"external": "t" if wrong else f"t:{n}",
                                  "name": f"N{n}"}) + "\n")
    command = [BUILD / "interactctl", "--socket", shared_daemon.socket, "--tenant", tenant,
               "import", "--no-events",
               str(path)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    count = lambda: api.post("/v1/segments/count", {"filter": {}}).json["count"]  # noqa: E731
    eventually(lambda: count() > 3000)
    process.kill()
    process.communicate()
    done = subprocess.run([*command, "--resume", "--rejected", str(bad)],
                          capture_output=True, text=True, timeout=60 * SLOW, check=False)
    assert done.returncode == 1 and "lines are stored already" in done.stderr, done
    assert count() == 59998
    assert "0 updated, 0 unchanged, 1 rejected" in done.stdout, done
    assert bad.read_text().count("\n") == (3 if kind == "csv" else 2)
    again = subprocess.run([*command, "--resume"], capture_output=True, text=True,
                           timeout=60 * SLOW, check=False)
    assert again.returncode == 0 and "imported whole" in again.stderr
