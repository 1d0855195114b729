"""What contacts want, over HTTP and by interactctl: preferences, consents and their chain,
suppressed addresses, and what a screen pop shows of it."""

import json
import os
import subprocess

import pytest
from support.daemon import BUILD, SLOW
from support.steps import Steps

PHONE = "+886912345678"
MAIL = {"kind": "email", "purpose": "marketing"}
SMS = {"kind": "sms", "purpose": "marketing"}
ENV = {**os.environ, "NO_COLOR": "1"}


def ctl(daemon, tenant, *args, stdin=None):
    return subprocess.run([BUILD / "interactctl", "-c", str(daemon.path), "--tenant", tenant,
                           *args], text=True, capture_output=True, timeout=60 * SLOW,
                          check=False, env=ENV, input=stdin)


@pytest.fixture
def person(api):
    return api.contact("示例客户", PHONE)


@pytest.fixture
def run(shared_daemon, tenant):
    return lambda *args, **more: ctl(shared_daemon, tenant, *args, **more)


def path(person, rest="preferences"):
    return f"/v1/contacts/{person['id']}/{rest}"


def put(api, person, **body):
    answer = api.put(path(person), body)
    assert answer.status == 200, answer
    return answer.json


# ---- preferences


def test_preferences_are_put_and_read(api, person, keys):
    key = keys("integration", "crm")
    now = put(key, person, preferred=["sms", "phone"], denied=[MAIL], allowed=[SMS],
              quiet_hours=[{"days": "mon-fri", "from": "21:00", "to": "08:00"}])
    assert now["preferred"] == ["sms", "phone"] and now["denied"] == [MAIL]
    assert now["allowed"] == [SMS] and now["do_not_contact"] is False
    assert now["quiet_hours"] == [{"days": "mon-fri", "from": "21:00", "to": "08:00"}]
    assert now["source"] == "key:crm"
    assert api.ok(path(person)) == now
    assert keys("readonly").put(path(person), {}).status == 403
    assert api.put(path(person), {"denied": [{"kind": "sms"}]}).status == 422
    now = put(api, person, preferred=["phone"])
    assert (now["preferred"], now["quiet_hours"]) == (["phone"], [])
    assert now["denied"] == [MAIL]
    assert put(api, person, allowed=[MAIL])["denied"] == []
    entries = api.ok(path(person, "consents"))["items"]
    assert [(e["decision"], e["kind"]) for e in entries] == [
        ("allowed", "email"), ("allowed", "sms"), ("denied", "email")]
    assert entries[1]["source"] == "key:crm" and entries[1]["actor"] == "key:crm"


def test_changes_are_told(api, person, tenant, subscriber, redis_server):
    put(api, person, denied=[MAIL])
    event = subscriber.wait_event("consent.recorded", tenant=tenant)
    assert event["object"]["contact"] == person["id"]
    assert (event["object"]["decision"], event["object"]["kind"]) == ("denied", "email")
    updated = subscriber.wait_event("contact.updated", tenant=tenant)
    assert updated["object"]["id"] == person["id"]
    assert updated["changes"]["preferences"]["denied"] == [MAIL]


def test_events_are_kept_for_webhooks_with_the_change(api, person, shared_daemon, eventually):
    hook = api.create("/v1/webhooks", {"url": "https://a.invalid/", "events": ["consent.*"]})
    put(api, person, denied=[MAIL, SMS])
    items = eventually(lambda: api.ok(f"/v1/webhooks/{hook['id']}/deliveries")["items"])
    assert [d["type"] for d in items] == ["consent.recorded"] * 2
    body = api.ok(f"/v1/webhooks/{hook['id']}/deliveries/{items[0]['id']}")["body"]
    told = json.loads(body) if isinstance(body, str) else body
    assert told["object"]["contact"] == person["id"]
    assert api.request("DELETE", f"/v1/webhooks/{hook['id']}").status in (200, 204)


def test_another_tenants_contact_is_nobody(api, person, shared_daemon):
    other = shared_daemon.api(tenant=next(shared_daemon.tenants))
    for method, rest, body in (("GET", "preferences", None), ("PUT", "preferences", {}),
                               ("GET", "consents", None),
                               ("POST", "consents", {"decision": "denied", **SMS})):
        assert other.request(method, path(person, rest), body).status == 404, rest


# ---- consents


def test_double_opt_in(api, person):
    body = {"decision": "allowed", "double_opt_in": True, "source": "web", **SMS}
    made = api.post(path(person, "consents"), body, idempotency="k1")
    assert made.status == 201 and made.json["state"] == "pending"
    again = api.post(path(person, "consents"), body, idempotency="k1")
    assert again.json["id"] == made.json["id"]
    assert api.ok(path(person))["allowed"] == []
    confirm = path(person, f"consents/{made.json['id']}/confirm")
    assert api.post(confirm, {"token": "1." + "0" * 64}).status == 422
    done = api.post(confirm, {"token": made.json["token"], "who": "the customer"})
    assert done.status == 200 and done.json["confirms"] == made.json["id"]
    assert api.ok(path(person))["allowed"] == [SMS]
    assert api.post(confirm, {"token": made.json["token"]}).status == 409


def test_the_chain_is_sealed_and_checked(api, person, run, shared_daemon, tenant, eventually):
    put(api, person, denied=[MAIL], allowed=[SMS], do_not_contact=True)
    eventually(lambda: all(e["sealed"] for e in api.ok(path(person, "consents"))["items"]))
    done = run("consent", "verify", "--json")
    assert done.returncode == 0, done
    told = json.loads(done.stdout)
    assert told["ok"] and told["entries"] == 3 and told["unsealed"] == 0
    head = f"{told['head_number']}:{told['head_hash']}"
    assert run("consent", "verify", "--head", head).returncode == 0
    assert run("consent", "verify", "--head", "1:" + "0" * 64).returncode == 1
    assert run("consent", "verify", "--head", "x").returncode == 2
    db = shared_daemon.database
    number = db.tenant_id(tenant)
    with pytest.raises(Exception, match="can only be added to"):
        db("delete from consent where tenant_id = %s", number)
    db("set session_replication_role = replica; update consent_detail set payload = "
       "replace(payload, 'denied', 'allowed') where tenant_id = %s", number)
    done = run("consent", "verify")
    assert done.returncode == 1
    assert "what it says was changed" in done.stdout and "2 found" not in done.stdout


# ---- the screen pop


def test_a_screen_pop_shows_what_they_want(pbx, subscriber):
    daemon, fake = pbx
    api = daemon.api()
    contact = api.contact("示例客户", PHONE)
    put(api, contact, preferred=["phone"], denied=[MAIL])
    Steps(fake, "22/direct-answered").whole("1001", subscriber)
    pops = [p for p in subscriber.all_pops() if p["contact"]]
    assert pops
    for pop in pops:
        assert pop["contact"]["id"] == contact["id"]
        assert pop["contact"]["preferences"] == {"preferred": ["phone"], "denied": [MAIL]}


# ---- suppression


def send(api, body, kind="text/csv", **query):
    answer = api.request("POST", "/v1/suppressions/import", body.encode(),
                         {"Content-Type": kind}, {"list": "dnc", **query})
    return answer


def test_addresses_are_suppressed_and_freed(api, keys):
    made = api.create("/v1/suppressions", {"kind": "phone", "value": "0912-345-678",
                                           "reason": "complained"})
    assert made["identity"] == {"kind": "phone", "value": PHONE}
    items = api.ok("/v1/suppressions?identity=phone:0912345678")["items"]
    assert [i["reason"] for i in items] == ["complained"]
    assert api.get("/v1/suppressions", reason="tired").status == 400
    assert keys("agent").request(
        "DELETE", "/v1/suppressions?identity=phone:0912345678").status == 403
    assert api.request("DELETE", "/v1/suppressions").status == 400
    assert api.request("DELETE", "/v1/suppressions?identity=phone:0912345678").status == 204
    assert api.request("DELETE", "/v1/suppressions?identity=phone:0912345678").status == 404


def test_a_list_is_imported_and_replaced(api, run, tmp_path):
    done = send(api, "number\n0912345678\n0912345679\n12\n", mode="add")
    assert done.status == 200, done
    assert done.json == {"list": "dnc", "valid": 2, "added": 2, "rejected": 1,
                         "rejected_lines": [{"line": 4, "reason":
                                             "is no valid number in this region"}]}
    assert api.ok("/v1/suppressions?identity=phone:0912345678")["items"][0]["list"] == "dnc"
    file = tmp_path / "dnc.csv"
    file.write_text("0912345679\n0912345680\n")
    told = run("suppression", "import", str(file), "--list", "dnc")
    assert told.returncode == 0 and "2 addresses" in told.stdout, told
    assert api.ok("/v1/suppressions?identity=phone:0912345678")["items"] == []
    lists = api.ok("/v1/suppressions/lists")["items"]
    assert [(i["name"], i["rows"]) for i in lists] == [("dnc", 2)]
    assert send(api, "x\ny\n").status == 422
    assert send(api, "0912345678\n", list="a b").status == 400
    assert send(api, "0912345678\n", "application/json").status == 415
    assert send(api, "0912345678\n", mode="swap").status == 400
    assert len(api.ok("/v1/suppressions?list=dnc")["items"]) == 2
    assert api.request("DELETE", "/v1/suppressions?list=dnc").status == 204
    assert api.ok("/v1/suppressions")["items"] == []


def test_a_transfer_that_breaks_replaces_nothing(api, shared_daemon, eventually):
    assert send(api, "0912345678\n").status == 200
    connection = api.connection()
    connection.putrequest("POST", "/v1/suppressions/import?list=dnc")
    for header, value in (("Content-Type", "text/csv"), ("Content-Length", "1000000"),
                          ("Interactd-Tenant", api.tenant)):
        connection.putheader(header, value)
    connection.endheaders()
    connection.send(b"0912345679\n" * 1000)
    eventually(lambda: api.ok("/v1/suppressions/lists")["items"][0]["importing"])
    connection.close()
    eventually(lambda: not api.ok("/v1/suppressions/lists")["items"][0]["importing"])
    assert [i["identity"]["value"] for i in api.ok("/v1/suppressions")["items"]] == [PHONE]


def test_a_long_list_needs_no_memory(api, shared_daemon, eventually):
    def resident():
        with open(f"/proc/{shared_daemon.process.pid}/status", encoding="ascii") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))
    send(api, "0912345678\n")
    before = resident()
    rows = 50_000
    more = "," + "x" * 400  # 20 MB
    lines = "".join(f"09{n:08d}{more}\n" for n in range(10_000_000, 10_000_000 + rows))
    api.timeout = 120 * SLOW
    done = send(api, lines)
    assert done.status == 200 and done.json["added"] == rows
    # a sanitizer's quarantine is no memory of ours
    assert SLOW > 1 or resident() - before < 10_000
    assert api.ok("/v1/suppressions/lists")["items"][0]["rows"] == rows


# ---- interactctl


def test_preferences_by_hand(api, person, run):
    done = run("preferences", PHONE, "set", "--preferred", "sms", "--deny",
               "email:marketing", "--quiet", "mon-fri 21:00-08:00", "--source", "call")
    assert done.returncode == 0, done
    assert "email:marketing" in done.stdout and "mon-fri 21:00-08:00" in done.stdout
    done = run("preferences", PHONE, "set", "--allow", f"sms:marketing:phone:{PHONE}")
    assert done.returncode == 0, done
    now = api.ok(path(person))
    assert now["preferred"] == ["sms"] and now["denied"] == [MAIL]
    assert now["allowed"] == [{**SMS, "identity": {"kind": "phone", "value": PHONE}}]
    assert run("preferences", PHONE, "set", "--quiet", "", "--do-not-contact",
               "yes").returncode == 0
    shown = run("preferences", PHONE)
    assert "Do not contact" in shown.stdout and "21:00" not in shown.stdout
    for wrong in (("set",), ("set", "--deny", "sms"), ("get",), ("--deny", "sms:survey"),
                  ("set", "--quiet", "monday"), ("set", "--do-not-contact", "maybe")):
        assert run("preferences", PHONE, *wrong).returncode == 2, wrong


def test_consents_by_hand(api, person, run):
    done = run("consent", "record", PHONE, "--allow", "sms:marketing", "--source", "form",
               "--form-version", "3", "--double-opt-in")
    assert done.returncode == 0 and done.stdout.count(".") == 1, done
    assert run("consent", "record", PHONE, "--deny", "sms:survey").returncode == 0
    assert run("consent", "record", PHONE, "--do-not-contact").returncode == 0
    shown = run("consent", "list", PHONE).stdout
    assert "pending" in shown and "sms:survey" in shown and "do not contact" in shown
    for wrong in ((), ("--allow", "sms"), ("--allow", "sms:survey", "--do-not-contact")):
        assert run("consent", "record", PHONE, *wrong).returncode == 2, wrong


def test_suppressions_by_hand(run, tmp_path):
    assert run("suppression", "add", PHONE, "--reason", "bounced").returncode == 0
    assert run("suppression", "add", "a@example.com").returncode == 0
    shown = run("suppression", "list").stdout
    assert f"phone:{PHONE}" in shown and "email:a@example.com" in shown
    assert "bounced" in run("suppression", "list", "0912345678").stdout
    assert run("suppression", "remove", PHONE).returncode == 0
    assert run("suppression", "remove", PHONE).returncode == 4
    assert run("suppression", "remove").returncode == 2
    assert run("suppression", "import", "-", "--list", "l", stdin="0912345678\nx\n" +
               "".join(f"09123456{n}\n" for n in range(10, 30))).returncode == 1
    assert "21" in run("suppression", "list", "--lists").stdout
    assert run("suppression", "import", str(tmp_path / "no"), "--list", "l").returncode == 2
    assert run("suppression", "remove", "--list", "l").returncode == 0
