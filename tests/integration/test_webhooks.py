"""Webhooks: what is told, in which order, however the receiver and the daemon fare."""

import collections
import json
import random

import pytest
import redis
from conftest import new_database
from support.daemon import SLOW, Daemon, free_port
from support.receiver import Receiver, verify
from support.steps import Steps

QUICK = {"allow_private": "yes", "retry_first_s": "50ms", "retry_max_s": "200ms",
         "timeout_s": "2s"}


@pytest.fixture
def make_receiver():
    made = []

    def make(*args, **kwargs):
        made.append(Receiver(*args, **kwargs))
        return made[-1]
    yield make
    for receiver in made:
        receiver.close()


@pytest.fixture
def receiver(make_receiver):
    return make_receiver()


@pytest.fixture
def start(make_daemon):
    """start(give_up_s="1s"): a running daemon with these keys of [webhooks]."""
    def make(**keys):
        return make_daemon(webhooks={**QUICK, **keys},
                           **{"tenant default": {"region": "TW"}}).start()
    return make


@pytest.fixture(scope="module")
def shared_daemon(session_postgres, session_redis, template, directory):
    """One daemon with QUICK webhooks for the tests that need no other; see conftest."""
    name = new_database(session_postgres, template)
    daemon = Daemon(directory / name, session_postgres.conninfo(name), session_redis.address)
    daemon.configure(webhooks=QUICK, **{f"tenant t{n}": {} for n in range(40)})
    daemon.start()
    daemon.tenants = (f"t{n}" for n in range(40))
    yield daemon
    daemon.finish()


def api_of(it):
    return it.api() if isinstance(it, Daemon) else it


def add(where, url, events=("*",), **more):
    return api_of(where).create("/v1/webhooks", {"url": url, "events": list(events), **more})


def show(where, hook):
    return api_of(where).ok(f"/v1/webhooks/{hook['id']}")


def deliveries(where, hook, **query):
    return api_of(where).ok(f"/v1/webhooks/{hook['id']}/deliveries", **query)["items"]


# ---- what is told


def test_the_body_is_the_event_as_on_redis(start, receiver, redis_server, eventually):
    daemon = start()
    ear = redis.Redis(unix_socket_path=redis_server.path).pubsub()
    ear.subscribe("interactd:default:events")
    hook = add(daemon, receiver.url + "/a")
    api = daemon.api()
    # Merges unnamed holders of the addresses: several events of one change.
    a = api.contact("甲 \"quoted\" \\ and ☎", "0912345601")
    unnamed = [api.create("/v1/contacts", {"identities": [
        {"kind": "phone", "value": f"091234560{n}"}]})["id"] for n in (2, 3)]
    assert api.patch(f"/v1/contacts/{a['id']}", {"vip": True, "identities": [
        {"kind": "phone", "value": f"091234560{n}"} for n in (2, 3)]}).status == 200
    api.create("/v1/interactions", {"contact": a["id"], "kind": "note", "direction": "in",
                                    "summary": "x"})
    eventually(lambda: len(receiver.deliveries()) >= 8)
    told = []
    while len(told) < 8:
        message = ear.get_message(timeout=5)
        assert message, told
        if message["type"] == "message":
            told.append(message["data"])
    assert sorted(d.body for d in receiver.deliveries()) == sorted(told)
    merged = [d.event for d in receiver.deliveries() if d.event["type"] == "contact.merged"]
    assert [e["changes"]["absorbed"] for e in merged] == unnamed
    assert len({d.event["id"] for d in receiver.deliveries()}) == 8
    for d in receiver.deliveries():
        assert verify(hook["secret"], d.headers["Interactd-Signature"], d.body)
        assert not verify(hook["secret"] + "x", d.headers["Interactd-Signature"], d.body)
        assert d.headers["Interactd-Event"] == d.event["type"]
        assert d.headers["Content-Type"] == "application/json"
    eventually(lambda: all(i["state"] == "delivered" for i in deliveries(daemon, hook)))
    one = deliveries(daemon, hook)[0]
    whole = api.ok(f"/v1/webhooks/{hook['id']}/deliveries/{one['id']}")
    assert whole["body"] == json.loads(told[-1]) and whole["status"] == 204


def test_an_import_is_told_as_on_redis(api, tenant, receiver, session_redis, eventually):
    unnamed = api.create("/v1/contacts", {"identities": [
        {"kind": "phone", "value": "+886912345602"}]})["id"]
    ear = redis.Redis(unix_socket_path=session_redis.path).pubsub()
    ear.subscribe(f"interactd:{tenant}:events")
    add(api, receiver.url)
    rows = [{"name": f"N{n}", "identities": [
        {"kind": "phone", "value": f"+88691234560{n}"},
        {"kind": "external", "value": f"crm:{n}"}]} for n in range(6)]
    answer = api.request("POST", "/v1/contacts/import",
                         "".join(json.dumps(r) + "\n" for r in rows).encode(),
                         {"Content-Type": "application/x-ndjson"})
    assert answer.status == 200, answer
    assert answer.json["created"] + answer.json["updated"] == 6
    eventually(lambda: len(receiver.deliveries()) >= 6)
    told = []
    while len(told) < len(receiver.deliveries()):
        message = ear.get_message(timeout=5)
        assert message, told
        if message["type"] == "message":
            told.append(message["data"])
    assert sorted(d.body for d in receiver.deliveries()) == sorted(told)
    assert unnamed in {d.event["object"]["id"] for d in receiver.deliveries()}


def test_a_call_is_told_as_on_redis(pbx, receiver, subscriber, eventually):
    daemon, fake = pbx
    daemon.stop()
    daemon.configure(webhooks=QUICK).start()
    daemon.wait_channels()
    hook = add(daemon, receiver.url, ["interaction.*", "contact.*"])
    Steps(fake, "22/direct-answered").whole("1001", subscriber)
    ended = subscriber.wait_event("interaction.ended")
    eventually(lambda: "interaction.ended" in receiver.types())
    heard = {e["id"]: {k: v for k, v in e.items() if k != "_bytes"}
             for kind in ("contact.created", "interaction.created", "interaction.updated",
                          "interaction.ended") for e in subscriber.events("default", kind)}
    got = {d.event["id"]: d.event for d in receiver.deliveries()}
    assert got == heard
    assert receiver.types()[:2] == ["contact.created", "interaction.created"]
    contact = receiver.deliveries()[0].event["object"]["id"]
    assert ended["object"]["contact"] == contact
    assert len({d.event["id"] for d in receiver.deliveries()}) == len(receiver.deliveries())
    assert show(daemon, hook)["state"] == "ok"


def test_only_what_is_wanted_is_kept(start, receiver, database, eventually):
    daemon = start()
    daemon.api().contact("before anybody asked")
    assert database.one("select count(*) from webhook_delivery") == 0
    add(daemon, receiver.url + "/ended", ["interaction.ended"])
    off = add(daemon, receiver.url + "/off", ["*"], enabled=False)
    add(daemon, receiver.url + "/made", ["contact.created"])
    contact = daemon.api().contact("A")
    daemon.api().patch(f"/v1/contacts/{contact['id']}", {"vip": True})
    eventually(lambda: receiver.types("/made") == ["contact.created"])
    assert database.one("select count(*) from webhook_delivery") == 1
    daemon.api().patch(f"/v1/webhooks/{off['id']}", {"enabled": True})
    daemon.api().patch(f"/v1/contacts/{contact['id']}", {"vip": False})
    eventually(lambda: receiver.types("/off") == ["contact.updated"])
    assert daemon.api().delete(f"/v1/webhooks/{off['id']}").status == 204
    assert daemon.api().delete(f"/v1/webhooks/{off['id']}").status == 404
    daemon.api().patch(f"/v1/contacts/{contact['id']}", {"vip": True})
    assert receiver.types("/off") == ["contact.updated"]


def test_an_agents_state_is_told_in_order(api, receiver, eventually):
    add(api, receiver.url, ["agent.*"])
    api.create("/v1/agents", {"id": "1001", "interfaces": ["PJSIP/1001"]})
    states = ["available", "paused"] * 10
    for state in states:
        assert api.put("/v1/agents/1001/state", {"state": state}).status == 200
    eventually(lambda: len(receiver.deliveries()) == len(states))
    assert [d.event["object"]["state"]["state"] for d in receiver.deliveries()] == states


# ---- order, and who waits for whom


def test_order_per_contact_holds_under_failures(api, make_receiver, eventually):
    dice = random.Random(7)
    receiver = make_receiver(lambda d: dice.choice([204, 204, 204, 500]))
    add(api, receiver.url, ["contact.updated"])
    contacts = [api.contact(f"C{n}")["id"] for n in range(6)]
    want = collections.defaultdict(list)
    for n in range(60):
        one = contacts[dice.randrange(len(contacts))]
        api.patch(f"/v1/contacts/{one}", {"attributes": {"n": n}})
        want[one].append(n)
    eventually(lambda: len(receiver.deliveries(ok=True)) == 60, 15)
    got, ids = collections.defaultdict(list), {}
    for d in receiver.deliveries():
        n = d.event["object"]["attributes"]["n"]
        assert ids.setdefault(n, d.id) == d.id, "a retry keeps the delivery's id"
        contact = got[d.event["object"]["id"]]
        if contact and contact[-1] == n:
            continue
        contact.append(n)
    assert got == want


def test_a_slow_receiver_delays_nobody_else(api, make_receiver, eventually):
    slow = make_receiver(lambda d: None)
    fast = make_receiver()
    hooks = [add(api, slow.url), add(api, fast.url)]
    for n in range(50):
        api.contact(f"C{n}")
    eventually(lambda: len(fast.deliveries()) == 50, 5)
    assert max(d.at for d in fast.deliveries()) - min(d.at for d in fast.deliveries()) < 5
    eventually(lambda: deliveries(api, hooks[0])[0] and len(slow.deliveries()) >= 4)
    eventually(lambda: show(api, hooks[0])["last_error"] == "no answer in 2000 ms")
    assert show(api, hooks[1])["waiting"] == 0


def test_ten_thousand_events(start, receiver, database, eventually):
    daemon = start(concurrency="8")
    hook = add(daemon, receiver.url)
    database("""select events_keep(array_agg(1), array_agg(gen_random_uuid()),
        array_agg('contact.updated'::text), array_agg(1795277508000000),
        array_agg('{"id":"' || n % 400 || '","n":' || n || '}' order by n),
        array_agg('{}'::text)) from generate_series(1, 10000) n""")
    eventually(lambda: len(receiver.deliveries()) >= 10000, 60)
    eventually(lambda: show(daemon, hook)["waiting"] == 0)
    last = collections.defaultdict(int)
    for d in receiver.deliveries():
        o = d.event["object"]
        assert o["n"] > last[o["id"]]
        last[o["id"]] = o["n"]
    assert len(receiver.deliveries()) == 10000
    metrics = daemon.api().get("/metrics").body.decode()
    assert 'interactd_webhook_deliveries_total{result="delivered"} 10000' in metrics
    spent = receiver.deliveries()[-1].at - receiver.deliveries()[0].at
    print(f"{10000 / spent:.0f} deliveries/s")


# ---- the daemon dies


def test_killed_between_commit_and_delivery(start, make_receiver, eventually):
    port = free_port()  # nobody listens yet
    daemon = start()
    hook = add(daemon, f"http://127.0.0.1:{port}")
    made = [daemon.api().contact(f"C{n}")["id"] for n in range(20)]
    daemon.kill()
    receiver = make_receiver(port=port)
    daemon.start()
    eventually(lambda: len(receiver.deliveries()) == 20)
    assert {d.event["object"]["id"] for d in receiver.deliveries()} == set(made)
    eventually(lambda: show(daemon, hook)["waiting"] == 0)


def test_killed_while_the_receiver_thinks(start, make_receiver, eventually):
    receiver = make_receiver(lambda d: None)
    daemon = start(timeout_s="30s")
    add(daemon, receiver.url)
    daemon.api().contact("A")
    eventually(lambda: receiver.deliveries())
    daemon.kill()
    receiver.answer = lambda d: 200
    daemon.start()
    eventually(lambda: len(receiver.deliveries()) == 2)
    first, again = receiver.deliveries()
    assert first.id == again.id and first.body == again.body


def test_a_call_that_ended_in_an_outage_is_told_once(pbx, receiver, postgres, subscriber,
                                                      eventually):
    daemon, fake = pbx
    daemon.stop()
    daemon.configure(webhooks=QUICK).start()
    daemon.wait_channels()
    add(daemon, receiver.url, ["interaction.*"])
    steps = Steps(fake, "22/direct-answered").ring("1001")
    eventually(lambda: receiver.types() == ["interaction.created"])
    postgres.pause()
    steps.answer("1001").rest()
    subscriber.wait_pop(agent="1001", type="pop.close")
    daemon.kill()
    postgres.resume()
    daemon.start()
    daemon.wait_channels()
    eventually(lambda: "interaction.ended" in receiver.types())
    daemon.stop()
    daemon.start()
    daemon.wait_channels()
    told = {d.event["id"]: d.event["type"] for d in receiver.deliveries()}
    assert sorted(told.values()) == ["interaction.created", "interaction.ended"]
    # What was delivered right before the kill may come again, as the same delivery.
    assert len({d.id for d in receiver.deliveries()}) == 2


def test_stopping_loses_and_doubles_nothing(start, receiver, database, eventually):
    daemon = start()
    hook = add(daemon, receiver.url)
    for n in range(60):
        daemon.api().contact(f"C{n}")
    daemon.stop()
    daemon.start()
    eventually(lambda: show(daemon, hook)["waiting"] == 0)
    assert len({d.id for d in receiver.deliveries()}) == 60
    assert len(receiver.deliveries()) == 60
    assert database.one("select count(*) from webhook_queue") == 0


# ---- receivers that refuse


def test_dead_letters_and_replay(start, make_receiver, eventually):
    receiver = make_receiver(lambda d: 500)
    daemon = start(give_up_s="1s")
    hook = add(daemon, receiver.url)
    contact = daemon.api().contact("A")
    daemon.api().patch(f"/v1/contacts/{contact['id']}", {"vip": True})
    eventually(lambda: len(deliveries(daemon, hook, state="dead")) == 2)
    dead = daemon.api().ok("/v1/webhooks/dead-letters")["items"]
    assert [d["type"] for d in dead] == ["contact.updated", "contact.created"]
    assert dead[1]["status"] == 500 and dead[1]["tries"] > 3
    assert dead[1]["error"] == "the answer was 500"
    receiver.answer = lambda d: 200
    base = f"/v1/webhooks/{hook['id']}"
    answer = daemon.api().post(f"{base}/deliveries/{dead[0]['id']}/replay")
    assert answer.json == {"replayed": 1, "more": False}
    eventually(lambda: len(receiver.deliveries(ok=True)) == 1)
    assert receiver.deliveries(ok=True)[0].id == dead[0]["id"]
    answer = daemon.api().post(f"{base}/replay", {"from": "2026-01-01T00:00:00Z"})
    assert answer.json["replayed"] == 1
    eventually(lambda: len(receiver.deliveries(ok=True)) == 2)
    eventually(lambda: show(daemon, hook)["waiting"] == 0)
    answer = daemon.api().post(f"{base}/replay", {"from": "2026-01-01T00:00:00Z",
                                                  "state": "all"})
    assert answer.json["replayed"] == 2
    eventually(lambda: len(receiver.deliveries(ok=True)) == 4)
    types = [d.event["type"] for d in receiver.deliveries(ok=True)[2:]]
    assert types == ["contact.created", "contact.updated"]
    assert daemon.api().post(f"{base}/deliveries/{hook['id']}/replay").status == 404
    assert daemon.api().post(f"{base}/replay", {"state": "dead"}).status == 422


def test_gone_disables(api, make_receiver, eventually):
    receiver = make_receiver(lambda d: 410)
    hook = add(api, receiver.url)
    api.contact("A")
    eventually(lambda: show(api, hook)["state"] == "gone")
    assert len(receiver.deliveries()) == 3 and not show(api, hook)["enabled"]
    receiver.answer = lambda d: 200
    shown = api.patch(f"/v1/webhooks/{hook['id']}", {"enabled": True}).json
    assert shown["state"] == "ok"
    eventually(lambda: receiver.deliveries(ok=True))


def test_retry_after_is_honoured_by_the_whole_webhook(start, make_receiver, eventually):
    answers = iter([(429, {"Retry-After": "2"})])
    receiver = make_receiver(lambda d: next(answers, 204))
    daemon = start(concurrency="1")
    add(daemon, receiver.url)
    for n in range(5):
        daemon.api().contact(f"C{n}")
    eventually(lambda: len(receiver.deliveries(ok=True)) == 5)
    first, second = receiver.deliveries()[:2]
    assert 1.9 < second.at - first.at < 4 * SLOW


def test_a_failing_webhook_is_probed_and_comes_back(start, make_receiver, eventually):
    receiver = make_receiver(lambda d: 500)
    daemon = start(failing_after_s="200ms", retry_first_s="50ms", retry_max_s="30s")
    hook = add(daemon, receiver.url + "/s3cret?t=s3cret")
    for n in range(30):
        daemon.api().contact(f"C{n}")
    eventually(lambda: show(daemon, hook)["state"] == "failing")
    assert hook["id"] in daemon.log() and receiver.url.split("/")[2] in daemon.log()
    assert "s3cret" not in daemon.log()  # many receivers' URLs hold one
    assert "probed from now on" in daemon.log()
    daemon.stop()  # it stays so
    daemon.start()
    assert show(daemon, hook)["state"] == "failing"
    tried = len(receiver.deliveries())
    eventually(lambda: len(receiver.deliveries()) > tried + 2)
    receiver.answer = lambda d: 204
    eventually(lambda: len(receiver.deliveries(ok=True)) == 30, 15)
    eventually(lambda: show(daemon, hook)["state"] == "ok")
    assert show(daemon, hook)["failing_since"] is None


def test_interactctl(start, make_receiver, eventually):
    receiver = make_receiver(lambda d: 500)
    daemon = start(give_up_s="1s")

    def run(*args, code=0):
        done = daemon.ctl("webhook", *args)
        assert done.returncode == code, (args, done)
        return done.stdout
    secret = run("add", receiver.url, "--event", "contact.*", "--description", "CRM").strip()
    hook = daemon.api().ok("/v1/webhooks")["items"][0]
    assert hook["events"] == ["contact.*"] and hook["description"] == "CRM"
    assert receiver.url in run("list") and "contact.*" in run("show", hook["id"])
    assert "answered 500" in run("test", hook["id"], code=1)
    daemon.api().contact("A")
    eventually(lambda: "dead" in run("deliveries"))
    delivery = run("deliveries", hook["id"], "--state", "dead").splitlines()[1].split()[0]
    receiver.answer = lambda d: 200
    assert "1 wait again" in run("replay", hook["id"], delivery)
    eventually(lambda: receiver.deliveries(ok=True))
    d = receiver.deliveries(ok=True)[0]
    assert d.id == delivery and verify(secret, d.headers["Interactd-Signature"], d.body)
    eventually(lambda: "delivered" in run("deliveries", hook["id"]))
    assert "1 wait again" in run("replay", hook["id"], "--from", "2026-01-01T00:00:00Z",
                                 "--state", "delivered")
    assert run("set", hook["id"], "--new-secret").startswith("whsec_")
    run("set", hook["id"], "--disable")
    assert "disabled" in run("list")
    run("set", hook["id"], code=2)
    run("replay", hook["id"], code=2)
    assert "Removed" in run("remove", hook["id"])
    assert "No webhooks" in run("list")


# ---- secrets, and what may be asked for


def test_the_secret_is_shown_once_and_rotates(api, receiver, eventually):
    hook = add(api, receiver.url)
    one = f"/v1/webhooks/{hook['id']}"
    old = hook["secret"]
    assert "secret" not in show(api, hook)
    assert "secret" not in api.ok("/v1/webhooks")["items"][0]
    patched = api.patch(one, {"secret": None}).json
    new = patched["secret"]
    assert new != old and patched["old_secret_until"]
    api.contact("A")
    eventually(lambda: len(receiver.deliveries()) == 1)
    d = receiver.deliveries()[0]
    for secret in (old, new):
        assert verify(secret, d.headers["Interactd-Signature"], d.body)
    assert api.patch(one, {"old_secret_until": None}).json["old_secret_until"] is None
    api.contact("B")
    eventually(lambda: len(receiver.deliveries()) == 2)
    d = receiver.deliveries()[1]
    assert verify(new, d.headers["Interactd-Signature"], d.body)
    assert not verify(old, d.headers["Interactd-Signature"], d.body)
    mine = "a-secret-of-my-own"
    assert "secret" not in api.patch(one, {"secret": mine}).json
    api.contact("C")
    eventually(lambda: len(receiver.deliveries()) == 3)
    d = receiver.deliveries()[2]
    assert verify(mine, d.headers["Interactd-Signature"], d.body)


def test_a_webhook_can_be_tried_out(api, receiver):
    hook = add(api, receiver.url)
    one = f"/v1/webhooks/{hook['id']}"
    tested = api.post(f"{one}/test").json
    assert tested["delivered"] and tested["status"] == 204 and tested["error"] is None
    d = receiver.deliveries()[0]
    assert d.event["type"] == "webhook.test" and d.event["object"] == {"id": hook["id"]}
    assert verify(hook["secret"], d.headers["Interactd-Signature"], d.body)
    api.patch(one, {"url": f"http://127.0.0.1:{free_port()}/"})
    tested = api.post(f"{one}/test").json
    assert not tested["delivered"] and tested["status"] is None and tested["error"]
    assert deliveries(api, hook) == []


def test_where_a_webhook_may_lead(make_daemon):
    daemon = make_daemon().start()
    api = daemon.api()
    for url in ("http://example.com/", "https://127.0.0.1/", "https://[::1]/",
                "https://10.0.0.1/", "https://169.254.169.254/latest", "https://2130706433/",
                "https://u:p@example.com/", "ftp://example.com/", "https://exa mple.com/",
                "https://[fd00:ec2::254]/", "https://100.100.100.200/", ""):
        answer = api.post("/v1/webhooks", {"url": url, "events": ["*"]})
        assert answer.status == 422 and "url" in answer.json["detail"], (url, answer)
    # By its name it is judged when it is resolved.
    hook = add(daemon, "https://localhost/")
    tested = api.post(f"/v1/webhooks/{hook['id']}/test").json
    assert not tested["delivered"] and "not allowed" in tested["error"]


@pytest.mark.parametrize("body, named", [
    ({"url": "https://a.example/"}, "events"),
    ({"url": "https://a.example/", "events": []}, "events"),
    ({"url": "https://a.example/", "events": ["contact"]}, "events"),
    ({"url": "https://a.example/", "events": ["contact.*.x"]}, "events"),
    ({"url": "https://a.invalid/", "events": ["*"], "secret": "short"}, "secret"),
    ({"url": "https://a.invalid/", "events": ["*"], "colour": "red"}, "colour"),
    ({"events": ["*"]}, "url"),
])
def test_bodies_that_are_wrong(api, body, named):
    answer = api.post("/v1/webhooks", body)
    assert answer.status == 422 and named in answer.json["detail"]


def test_only_admins_and_only_their_tenant(api, keys, shared_daemon):
    hook = api.create("/v1/webhooks", {"url": "https://a.invalid/", "events": ["*"]})
    one = f"/v1/webhooks/{hook['id']}"
    for role in ("supervisor", "agent", "integration", "readonly"):
        for method, path in (("GET", "/v1/webhooks"), ("GET", one), ("DELETE", one),
                             ("POST", one + "/test"), ("GET", "/v1/webhooks/dead-letters")):
            assert keys(role).request(method, path).status == 403
    other = shared_daemon.api(tenant=next(shared_daemon.tenants))
    for method, path in (("GET", one), ("DELETE", one), ("POST", one + "/test"),
                         ("GET", one + "/deliveries")):
        assert other.request(method, path).status == 404
    assert other.patch(one, {"enabled": False}).status == 404
    assert api.ok("/v1/webhooks")["items"][0]["id"] == hook["id"]


def test_idempotency(api):
    body = {"url": "https://a.invalid/", "events": ["*"]}
    first = api.post("/v1/webhooks", body, idempotency="k")
    again = api.post("/v1/webhooks", body, idempotency="k")
    assert first.status == again.status == 201 and first.json["id"] == again.json["id"]
    assert "secret" in first.json and "secret" not in again.json
    assert len(api.ok("/v1/webhooks")["items"]) == 1


def test_retention(start, receiver, database, eventually):
    daemon = start(retention_s="1s", dead_retention_s="1s", give_up_s="1s")
    hook = add(daemon, receiver.url)
    daemon.api().contact("A")
    eventually(lambda: receiver.deliveries())
    eventually(lambda: database.one("select count(*) from webhook_delivery") == 0, 15)
    daemon.api().delete(f"/v1/webhooks/{hook['id']}")
    eventually(lambda: database.one("select count(*) from webhook") == 0, 15)


# ---- events that no transaction writes


def refuse(database, code, text):
    """From now on a delivery whose body holds text is refused with this SQLSTATE."""
    database("create sequence refused")
    database(f"""create function refuse() returns trigger language plpgsql as $$ begin
        perform nextval('refused'); raise exception 'no' using errcode = '{code}'; end $$""")
    database("create trigger refuse before insert on webhook_delivery for each row "
             f"when (strpos(new.body, '{text}') > 0) execute function refuse()")


def states_told(receiver):
    return [d.event["object"]["id"] for d in receiver.deliveries()
            if d.event["type"] == "agent.state_changed"]


def test_a_full_disk_of_the_database_loses_no_event(start, receiver, database, eventually):
    daemon = start()
    add(daemon, receiver.url, ["agent.*"])
    refuse(database, "53100", '"paused"')
    agents = [daemon.api().create("/v1/agents", {"id": f"a{n}"})["id"] for n in range(3)]
    for agent in agents:
        assert daemon.api().put(f"/v1/agents/{agent}/state", {"state": "paused"}).status == 200
    eventually(lambda: database.one("select is_called from refused"))
    database("drop trigger refuse on webhook_delivery")
    eventually(lambda: sorted(states_told(receiver)) == agents)


def test_an_event_that_is_refused_takes_no_other_with_it(
        start, receiver, database, eventually):
    daemon = start()
    add(daemon, receiver.url, ["agent.*"])
    refuse(database, "22000", '"id":"a4"')
    agents = [daemon.api().create("/v1/agents", {"id": f"a{n}"})["id"] for n in range(9)]
    database.server.pause()
    for agent in agents:
        assert daemon.api().put(f"/v1/agents/{agent}/state", {"state": "paused"}).status == 200
    database.server.resume()
    agents.remove("a4")
    eventually(lambda: sorted(states_told(receiver)) == agents)
    daemon.expect("could not be kept")
