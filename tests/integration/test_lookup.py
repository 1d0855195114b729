"""The company's own system is asked who a stranger is: what it says opens the pop, and
nothing it does keeps a pop waiting."""

import itertools
import json
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from support.daemon import SLOW, asterisk_channel
from support.pops import check_pops
from support.steps import Steps

CUSTOMER = "+886912345678"
LI = {"name": "李四", "language": "zh-TW", "timezone": "Asia/Taipei", "vip": True,
      "roles": ["customer"], "attributes": {"tier": "gold"}, "external": "crm:42",
      "unknown": [1, 2]}


class Crm:
    """An HTTP server that answers as it is told: (status, body), or a function of the
    path that gives it, or that waits."""

    def __init__(self):
        crm = self
        self.asked, self.headers = [], []
        self.answer = (404, b"")
        self.go = threading.Event()
        self.lock = threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                with crm.lock:
                    crm.asked.append(self.path)
                    crm.headers.append(dict(self.headers))
                answer = crm.answer
                status, body = answer(self.path) if callable(answer) else answer
                if not isinstance(body, bytes):
                    body = json.dumps(body).encode()
                try:
                    self.send_response(status)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                except OSError:
                    pass

            def log_message(self, *args):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request, client_address):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def hang(self, path):
        self.go.wait(60)
        return self.late

    late = (404, b"")

    def close(self):
        self.go.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def crm():
    server = Crm()
    yield server
    server.close()


@pytest.fixture
def make(make_daemon, asterisk, crm):
    """make(**keys of the tenant): a running daemon that asks the CRM."""
    def start(pop_timeout=None, **keys):
        tenant = {"region": "TW", "lookup_url": crm.url + "/who?n={e164}&q={queue}",
                  "lookup_timeout_ms": 1000 * SLOW, **keys}
        daemon = make_daemon(**{
            "daemon": {"pop_timeout_ms": pop_timeout or 500 * SLOW},
            "tenant default": tenant, "channel pbx-main": asterisk_channel(asterisk)})
        daemon.start()
        daemon.wait_channels()
        return daemon
    return start


def metric(daemon, result):
    text = daemon.api().get("/metrics").body.decode()
    found = re.search(rf'interactd_lookups_total\{{tenant="default",result="{result}"\}} '
                      r"(\d+)", text)
    return int(found[1])


def ring(fake, subscriber, agent="1001"):
    steps = Steps(fake, "22/direct-answered").ring(agent)
    return steps, subscriber.wait_pop(agent=agent, type="pop.open", state="ringing")


def test_a_stranger_that_the_crm_knows_opens_with_a_name(
        make, crm, asterisk, subscriber, eventually, database):
    crm.answer = (200, LI)
    daemon = make(lookup_bearer="s3cret", lookup_header="X-Team: a")
    steps, pop = ring(asterisk, subscriber)
    shown = pop["contact"]
    assert shown["name"] == "李四" and shown["vip"] is True
    assert shown["language"] == "zh-TW" and shown["roles"] == ["customer"]
    assert shown["attributes"] == {"tier": "gold"} and pop["degraded"] is False
    assert {"kind": "external", "value": "crm:42", "trust": "recorded"} in shown["identities"]
    assert crm.asked == ["/who?n=%2B886912345678&q="]
    assert crm.headers[0]["Authorization"] == "Bearer s3cret"
    assert crm.headers[0]["X-Team"] == "a"

    stored = eventually(lambda: [c for c in daemon.api().find(f"phone:{CUSTOMER}")
                                 if c["name"]])
    assert [c["id"] for c in stored] == [shown["id"]]
    assert {i["source"] for i in stored[0]["identities"] if i["kind"] == "external"} == {
        "lookup"}
    steps.rest()
    subscriber.wait_event("interaction.ended")
    # Known from now on: nobody is asked again, and it is one contact.
    again = Steps(asterisk, "22/direct-answered").whole("1001", subscriber)
    assert again["contact"]["id"] == shown["id"] and again["contact"]["name"] == "李四"
    assert len(crm.asked) == 1
    assert database.one("select count(*) from contact") == 1
    # The call's own writer may have made it a moment before.
    eventually(lambda: [e for kind in ("contact.created", "contact.updated")
                        for e in subscriber.events(type=kind)
                        if e["object"]["name"] == "李四"])
    check_pops(subscriber, "default", ["1001"])


def test_a_number_that_a_named_contact_has_is_not_asked_for(make, crm, asterisk, subscriber):
    daemon = make()
    daemon.api().contact("Wang", "0912345678")
    _, pop = ring(asterisk, subscriber)
    assert pop["contact"]["name"] == "Wang" and crm.asked == []


def test_not_known_there_is_remembered(make, crm, asterisk, subscriber):
    daemon = make()
    for _ in range(2):
        pop = Steps(asterisk, "22/direct-answered").whole("1001", subscriber)
        assert pop["contact"]["name"] is None
    assert len(crm.asked) == 1
    assert (metric(daemon, "unknown"), metric(daemon, "remembered")) == (1, 1)


def test_the_crms_own_contact_calls_from_a_new_number(
        make, crm, asterisk, subscriber, eventually, database):
    daemon = make()
    known = daemon.api().create("/v1/contacts", {
        "name": "Li of old", "attributes": {"tier": "silver"},
        "identities": [{"kind": "external", "value": "crm:42"}]})
    crm.answer = (200, LI)
    steps, _ = ring(asterisk, subscriber)
    eventually(lambda: [p for p in subscriber.all_pops(agent="1001")
                        if p["contact"] and p["contact"]["id"] == known["id"]])
    pop = subscriber.all_pops(agent="1001")[-1]
    # Nothing of what staff entered is overridden.
    assert pop["contact"]["name"] == "Li of old"
    assert pop["contact"]["attributes"]["tier"] == "silver"
    steps.rest()
    subscriber.wait_event("interaction.ended")
    found, = daemon.api().find(f"phone:{CUSTOMER}")
    assert found["id"] == known["id"]


def test_an_answer_too_late_for_the_pop_is_an_update(
        make, crm, asterisk, subscriber, eventually):
    crm.answer, crm.late = crm.hang, (200, LI)
    make(pop_timeout=100, lookup_timeout_ms=20000)
    steps, pop = ring(asterisk, subscriber)
    assert pop["contact"]["name"] is None and pop["degraded"] is False
    crm.go.set()
    eventually(lambda: [p for p in subscriber.all_pops(agent="1001")
                        if p["type"] == "pop.update" and p["contact"]["name"] == "李四"])
    steps.rest()
    subscriber.wait_pop(agent="1001", type="pop.close")
    check_pops(subscriber, "default", ["1001"])


@pytest.mark.parametrize("answer", [
    (200, b"<html>welcome</html>"), (200, b"{" + b'"a":' * 3000), (200, b"[]"),
    (200, b'{"name":"' + b"x" * 1_000_000 + b'"}'), (500, b"oops"), (302, b""), (200, b"")],
    ids=["html", "deep", "array", "1MB", "500", "302", "empty"])
def test_garbage_changes_nothing(make, crm, asterisk, subscriber, answer):
    crm.answer = answer
    daemon = make()
    pop = Steps(asterisk, "22/direct-answered").whole("1001", subscriber)
    assert pop["contact"]["name"] is None and pop["degraded"] is False
    assert metric(daemon, "failed") == 1


def test_members_that_are_no_good_are_left_out(make, crm):
    daemon = make()
    crm.answer = (200, {"name": " A\r\nB\u0007 ", "language": "not a tag", "vip": "yes",
                        "roles": ["king"], "timezone": "Asia/Taipei", "external": "42",
                        "attributes": {"x": "\"},{\"name\":\"evil"}})
    result = json.loads(daemon.ctl("--json", "lookup", "0912345678").stdout)
    assert result["found"] == {"name": "A  B", "timezone": "Asia/Taipei",
                               "attributes": {"x": "\"},{\"name\":\"evil"}}
    assert len(result["ignored"]) == 4 and result["status"] == 200


def test_fifty_calls_while_the_crm_hangs_pop_on_time(make, crm, asterisk, subscriber,
                                                     eventually):
    crm.answer = crm.hang
    daemon = make(pop_timeout=300, lookup_timeout_ms=20000)
    began = time.monotonic()
    calls = [Steps(asterisk, "22/direct-answered") for _ in range(50)]
    for call in calls:
        call.ring("1001")
    eventually(lambda: len([p for p in subscriber.all_pops(agent="1001")
                            if p["type"] == "pop.open"]) == 50)
    assert time.monotonic() - began < 8 * SLOW
    assert len(crm.asked) == 1  # one number: one question
    assert metric(daemon, "shared") == 49
    crm.go.set()
    for call in calls:
        call.rest()
    eventually(lambda: len(subscriber.events(type="interaction.ended")) == 50, 30)
    check_pops(subscriber, "default", ["1001"])


def test_a_system_that_fails_is_left_alone_and_tried_again(
        make, crm, asterisk, subscriber, eventually):
    crm.answer = (503, b"")
    daemon = make(lookup_failures=3, lookup_pause_s=1, lookup_unknown_s=0)
    for _ in range(5):
        Steps(asterisk, "22/direct-answered").whole("1001", subscriber)
    assert len(crm.asked) == 3 and metric(daemon, "refused") == 2
    assert "not asked for 1 s" in daemon.log()
    assert b'interactd_lookup_breaker_open{tenant="default"} 1' in (
        daemon.api().get("/metrics").body)
    crm.answer = (404, b"")

    def answers():
        Steps(asterisk, "22/direct-answered").whole("1001", subscriber)
        return "answers again" in daemon.log()
    eventually(answers, 20)
    assert b'interactd_lookup_breaker_open{tenant="default"} 0' in (
        daemon.api().get("/metrics").body)


def test_a_system_that_is_down_costs_no_pop_its_time(make, crm, asterisk, subscriber):
    daemon = make(pop_timeout=5000)
    crm.close()
    began = time.monotonic()
    _, pop = ring(asterisk, subscriber)
    assert time.monotonic() - began < 3 * SLOW
    assert pop["contact"]["name"] is None and metric(daemon, "failed") == 1


def test_a_flapping_system_leaves_pops_whole(make, crm, asterisk, subscriber, eventually):
    turn = itertools.count()

    def answer(path):
        return [(500, b""), (404, b""), (200, b"{"), (404, b"")][next(turn) % 4]
    crm.answer = answer
    make(lookup_unknown_s=0, lookup_failures=2, lookup_pause_s=1)
    for _ in range(12):
        pop = Steps(asterisk, "22/direct-answered").whole("1001", subscriber)
        assert pop["contact"]["name"] is None and pop["degraded"] is False
    check_pops(subscriber, "default", ["1001"])


def test_what_the_crm_says_is_shown_while_postgresql_is_away(
        make, crm, asterisk, subscriber, postgres, eventually):
    crm.answer = (200, LI)
    daemon = make()
    daemon.expect("PostgreSQL", "pg ", "writer")
    postgres.stop("immediate")
    eventually(lambda: "not connected" in daemon.log())
    steps, _ = ring(asterisk, subscriber)

    def shown(test):
        return eventually(lambda: [p for p in subscriber.all_pops(agent="1001") if test(p)])
    pop = shown(lambda p: p.get("lookup"))[0]
    assert pop["contact"] is None and pop["degraded"] is True
    assert pop["lookup"]["name"] == "李四" and pop["lookup"]["external"] == "crm:42"
    postgres.start()
    daemon.wait_ready()
    whole = shown(lambda p: p["contact"])[0]
    assert whole["contact"]["name"] == "李四" and not whole["degraded"]
    assert "lookup" not in whole
    steps.rest()
    eventually(lambda: [c for c in daemon.api().find(f"phone:{CUSTOMER}")
                        if c["name"] == "李四"])
    check_pops(subscriber, "default", ["1001"])


def test_interactctl_lookup_tells_what_happened(make, crm):
    daemon = make()
    crm.answer = (200, LI)
    tried = daemon.ctl("lookup", "0912345678", "--queue", "sales & more")
    assert tried.returncode == 0 and "李四" in tried.stdout and "found" in tried.stdout
    assert re.search(r"^took_ms +\d+(\.\d)?$", tried.stdout, re.M), tried.stdout
    assert crm.asked[-1] == "/who?n=%2B886912345678&q=sales%20%26%20more"
    crm.answer = (404, b"")
    assert daemon.ctl("lookup", "0912345678").returncode == 4
    crm.answer = (500, b"")
    failed = daemon.ctl("lookup", "0912345678")
    assert failed.returncode == 1 and "500" in failed.stdout
    assert daemon.ctl("lookup", "12").returncode == 1
    key = daemon.api().create("/v1/api-keys", {"name": "s", "role": "supervisor"})["key"]
    assert daemon.api(key=key).post("/v1/lookup", {"number": "0912345678"}).status == 403


@pytest.mark.parametrize("keys, word", [
    ({"lookup_url": "ftp://x/{e164}"}, "http"), ({"lookup_url": "http://x/"}, "must be in"),
    ({"lookup_url": "http://x/{nmuber}"}, "placeholders"),
    ({"lookup_url": "http://{number}/"}, "after the host"),
    ({"lookup_header": "no colon"}, "Name: value")])
def test_mistakes_in_the_configuration_are_told(make_daemon, keys, word):
    daemon = make_daemon(**{"tenant default": keys})
    checked = daemon.run("-c", str(daemon.path), "--check-config")
    assert checked.returncode == 1 and word in checked.stderr, checked


def test_a_reload_changes_whom_to_ask(make, crm, eventually):
    daemon = make()
    daemon.configure(**{"tenant default": {"lookup_url": crm.url + "/new/{national}"}})
    daemon.reload()
    eventually(lambda: "configuration reloaded" in daemon.log())
    assert daemon.ctl("lookup", CUSTOMER).returncode == 4
    assert crm.asked == ["/new/0912345678"]
