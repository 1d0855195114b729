"""Click-to-dial: POST /v1/calls, from the request to the wire and back."""

import pytest
from support.daemon import SLOW, asterisk_channel
from support.dialled import NUMBER, Call
from support.pops import check_pops

E164 = "+886912345678"
ALLOW = r"^\+(886|86|1|44)[0-9]+$"


@pytest.fixture
def start(make_daemon, asterisk):
    def run(**keys):
        keys = {"dial_allow": ALLOW, "dial_context": "outgoing", **keys}
        daemon = make_daemon(**{"tenant default": {"region": "TW"},
                                "channel pbx-main": asterisk_channel(asterisk, **keys)})
        daemon.start()
        daemon.wait_channels()
        return daemon
    return run


def originates(fake, n=1):
    assert fake.wait_until(lambda: len(fake.seen("Originate")) >= n, 10 * SLOW)
    return fake.seen("Originate")


def dial(daemon, to=NUMBER, agent="1001", **more):
    return daemon.api().post("/v1/calls", {"agent": agent, "to": to, **more})


def test_the_id_is_the_interactions(start, asterisk, subscriber, eventually):
    daemon = start(dial_prefix="9", dial_caller_id="0285550100", own_numbers="0285550100")
    answer = dial(daemon, "0912-345 678")
    assert answer.status == 202, answer
    placed = answer.json
    assert placed == {"id": placed["id"], "agent": "1001", "to": E164,
                      "channel": "pbx-main", "interface": "PJSIP/1001",
                      "state": "dialling"}
    assert answer.headers["Location"] == f"/v1/interactions/{placed['id']}"
    action = originates(asterisk)[0]
    assert {k: action[k] for k in ("channel", "context", "exten", "priority", "timeout",
                                   "callerid", "async")} == {
        "channel": "PJSIP/1001", "context": "outgoing", "exten": "9" + NUMBER,
        "priority": "1", "timeout": "30000",
        "callerid": f'"{E164}" <0285550100>', "async": "true"}
    path = f"/v1/interactions/{placed['id']}"
    eventually(lambda: daemon.api().get(path).status == 200)
    call = Call(asterisk, action)
    call.agent_rings()
    call.agent_answers()
    opened = subscriber.wait_pop(agent="1001", type="pop.open")
    assert opened["interaction"] == placed["id"] and opened["state"] == "ringing"
    assert opened["remote"]["value"] == E164 and opened["direction"] == "out"
    call.customer_rings()
    call.customer_answers()
    subscriber.wait_pop(agent="1001", state="talking")
    call.ends()
    assert subscriber.wait_pop(agent="1001", type="pop.close")["reason"] == "completed"
    ended = subscriber.wait_event("interaction.ended")["object"]
    assert ended["id"] == placed["id"] and ended["disposition"] == "answered"
    assert ended["agent"] == "1001" and ended["remote"]["value"] == E164
    check_pops(subscriber, "default", ["1001"])
    entry = daemon.api().ok("/v1/audit")["items"][0]
    assert (entry["action"], entry["object"]["id"]) == ("call.dialled", placed["id"])


def fails(call, how):
    """The agent's phone does not take the call."""
    if how == "unreachable":  # Asterisk never made a channel
        call.response("0")
        return
    call.agent_rings()
    if how == "busy":
        call.event("DialEnd", call.dest(call.agent), DialStatus="BUSY")
        call.response("5")
        call.hangup(call.agent, "17")
    elif how == "no_answer":
        call.response("3")
        call.hangup(call.agent, "19")
    else:
        call.response("1")
        call.hangup(call.agent, "21")


@pytest.mark.parametrize("how", ["busy", "no_answer", "rejected", "unreachable"])
def test_the_agents_phone_does_not_take_it(start, asterisk, subscriber, database, how):
    daemon = start()
    placed = dial(daemon).json
    fails(Call(asterisk, originates(asterisk)[0]), how)
    ended = subscriber.wait_event("interaction.ended")["object"]
    assert (ended["id"], ended["disposition"]) == (placed["id"], how)
    got = daemon.api().ok(f"/v1/interactions/{placed['id']}")
    assert [(leg["agent"], leg["interface"], leg["result"]) for leg in got["legs"]] == [
        ("1001", "PJSIP/1001", how)]
    check_pops(subscriber, "default", ["1001"])
    assert database.interactions() == [placed["id"]]


@pytest.mark.parametrize("message,words", [
    ("Permission denied", "originate"),
    ("Extension does not exist.", "dial_context"),
    ("Channel not specified", "Channel not specified")])
def test_the_phone_system_refuses(start, asterisk, subscriber, message, words):
    daemon = start()
    asterisk.denied["Originate"] = message
    body = {"agent": "1001", "to": NUMBER}
    answer = daemon.api().post("/v1/calls", body, idempotency="k1")
    assert answer.status == 502 and answer.is_problem, answer
    assert answer.json["reason"] == "refused" and words in answer.json["detail"]
    ended = subscriber.wait_event("interaction.ended")["object"]
    assert ended["disposition"] == "failed"
    del asterisk.denied["Originate"]  # a 502 is not stored: the same request may come again
    assert daemon.api().post("/v1/calls", body, idempotency="k1").status == 202


def test_a_request_sent_again_calls_once(start, asterisk):
    daemon = start(dial_rate="2")
    body = {"agent": "1001", "to": NUMBER}
    first = daemon.api().post("/v1/calls", body, idempotency="k1")
    asterisk.drop_clients()  # and what would be a refusal now is an answer all the same
    for _ in range(3):
        again = daemon.api().post("/v1/calls", body, idempotency="k1")
        assert (again.status, again.json) == (202, first.json)
        assert again.headers["Idempotency-Replayed"] == "true"
    other = daemon.api().post("/v1/calls", {**body, "to": "0922345678"}, idempotency="k1")
    assert other.status == 422
    assert len(asterisk.seen("Originate")) == 1


REFUSED = [  # to, reason
    ("110", "emergency"), ("119", "emergency"), ("112", "emergency"), ("1 1 9", "emergency"),
    ("+886 2 8555 0100", "own_number"), ("02-8555-0100", "own_number"),
    ("0204123456", "premium"), ("+8613800138000", None), ("+33 1 42 68 53 00", "not_allowed"),
    ("12", "not_a_number"), ("", "not_a_number"), ("+", "not_a_number"),
    ("１１９", "emergency"), ("０９１２－３４５－６７８", None),
    ("(09) 12.345/678", None), ("*21*0912345678#", "not_a_number"),
    ("0800FLOWERS", "not_a_number"), ("0912345678;ext=5", "not_a_number"),
    ("0912345678\r\nAction: Command", "not_a_number"), ("0912345678\n", "not_a_number"),
    ("0912345678\x00", "not_a_number"), ("0912\t345678", "not_a_number"),
    ("${SHELL(id)}", "not_a_number"), ("0912345678,1", "not_a_number"),
    ("0912345678&PJSIP/1002", "not_a_number"), ("0912345678|1", "not_a_number"),
    ("0912345678@evil", "not_a_number"), ("0912345678\u2028", "not_a_number"),
    ("09" * 40, "not_a_number"), ("٠٩١٢٣٤٥٦٧٨", "not_a_number")]


def test_what_may_not_be_called(start, asterisk):
    daemon = start(own_numbers="02-8555-0100", dial_rate="1000")
    n = 0
    for to, reason in REFUSED:
        answer = dial(daemon, to)
        if reason:
            assert answer.status in (400, 422) and answer.is_problem, (to, answer)
            assert answer.status == 400 or answer.json["reason"] == reason, (to, answer)
        else:
            assert answer.status == 202, (to, answer)
            n += 1
    assert len(originates(asterisk, n)) == n
    for action in asterisk.seen("Originate"):
        assert action["exten"].lstrip("+").isdigit() and action["channel"] == "PJSIP/1001"
    assert "Command" not in {name for name, _ in asterisk.actions}


def test_nobody_dials_without_dial_allow(start, asterisk):
    daemon = start(dial_allow=None)
    answer = dial(daemon)
    assert (answer.status, answer.json["reason"]) == (422, "not_allowed")
    assert "dial_allow" in answer.json["detail"]
    daemon.stop()


@pytest.mark.parametrize("keys,to,exten", [
    ({"dial_format": "e164"}, NUMBER, E164),
    ({"dial_format": "digits"}, NUMBER, E164[1:]),
    ({}, "+8613800138000", "+8613800138000"),  # Taiwan has several prefixes for abroad
    ({"region": "CN"}, E164, "00886912345678"),
    ({"dial_premium": "yes"}, "0204123456", "0204123456"),
    ({"region": "CN"}, "13800138000", "13800138000")])
def test_how_the_dialplan_gets_it(start, asterisk, keys, to, exten):
    daemon = start(**keys)
    answer = dial(daemon, to)
    assert answer.status == 202, answer
    assert originates(asterisk)[0]["exten"] == exten


def test_the_rate_is_an_agents_own(start, asterisk):
    daemon = start(dial_rate="2")
    assert [dial(daemon).status for _ in range(3)] == [202, 202, 429]
    answer = dial(daemon)
    assert answer.json["reason"] == "rate" and 1 <= int(answer.headers["Retry-After"]) <= 61
    assert dial(daemon, agent="1002").status == 202


@pytest.mark.parametrize("interface", [
    "PJSIP/trunk", "PJSIP/+886900123456@trunk", "PJSIP/anybody@trunk",
    "PJSIP/trunk/sip:900@example.com", "Local/119@from-internal",
    "Local/+33142685300@from-internal/n", "Local/90033142685300@from-internal",
    "pbx-main:Local/+33142685300@from-internal"])
def test_an_interface_is_no_way_around_dial_allow(start, asterisk, interface):
    daemon = start(dial_prefix="9")
    daemon.api().create("/v1/agents", {"id": "lin", "interfaces": [interface]})
    answer = dial(daemon, agent="lin")
    assert answer.status == 409 and answer.json["reason"] == "no_phone", answer
    assert "outside" in answer.json["detail"]
    assert not asterisk.seen("Originate")


@pytest.mark.parametrize("interface", ["Local/1004@from-queue/n", "PJSIP/119",
                                       "Local/0912345678@from-internal"])
def test_an_interface_that_is_a_phone(start, asterisk, interface):
    daemon = start()
    daemon.api().create("/v1/agents", {"id": "lin", "interfaces": [interface]})
    assert dial(daemon, agent="lin").json["interface"] == interface


def test_an_agents_phone(start, asterisk, eventually):
    daemon = start(agent_prefix="tpe-")
    api = daemon.api()
    for agent, status, reason in (("tpe-1001", 202, None), ("nobody", 404, "no_agent"),
                                  ("1001", 404, "no_agent")):
        answer = dial(daemon, agent=agent)
        assert answer.status == status and answer.json.get("reason") == reason, answer
    api.create("/v1/agents", {"id": "lin"})
    assert dial(daemon, agent="lin").json["reason"] == "no_phone"
    api.patch("/v1/agents/lin", {"interfaces": ["PJSIP/7001", "pbx-main:Local/7@agents/n"]})
    assert dial(daemon, agent="lin").json["interface"] == "Local/7@agents/n"
    assert dial(daemon, agent="lin", channel="nope").json["reason"] == "no_phone"
    api.patch("/v1/agents/lin", {"interfaces": ["PJSIP/1,2${X}"]})
    answer = dial(daemon, agent="lin")
    assert answer.status == 502 and "no phone" in answer.json["detail"]
    asterisk.mute = True
    asterisk.drop_clients()
    eventually(lambda: daemon.status()["channels"][0]["state"] == "down")
    answer = dial(daemon, agent="tpe-1001")
    assert answer.status == 409 and answer.json["reason"] == "channel_down"
    assert "pbx-main" in answer.json["detail"]


def test_a_contact_or_an_identity(start, asterisk):
    daemon = start()
    api = daemon.api()
    contact = api.create("/v1/contacts", {"name": "x", "identities": [
        {"kind": "email", "value": "a@example.com"},
        {"kind": "phone", "value": NUMBER, "trust": "recorded"}]})
    bare = api.create("/v1/contacts", {"name": "y"})
    assert dial(daemon, {"contact": contact["id"]}).json["to"] == E164
    assert dial(daemon, {"identity": {"kind": "phone", "value": NUMBER}}).json["to"] == E164
    assert dial(daemon, {"contact": bare["id"]}).status == 422
    assert dial(daemon, {"contact": "01890000-0000-7000-8000-000000000000"}).status == 404
    for to in ({}, [], 5, None, {"contact": "x"}, {"contact": contact["id"], "x": 1},
               {"identity": {"kind": "email", "value": "a@example.com"}},
               {"identity": {"kind": "phone", "value": NUMBER, "x": 1}}):
        answer = dial(daemon, to)
        assert answer.status == 422 and answer.is_problem, (to, answer)
    for body in ({"to": NUMBER}, {"agent": "a b", "to": NUMBER},
                 {"agent": "1001", "to": NUMBER, "context": "x"}):
        assert api.post("/v1/calls", body).status == 422, body


def test_who_may_dial(start, asterisk):
    daemon = start()
    api = daemon.api()
    token = api.create("/v1/agents/1001/tokens", {})["token"]
    mine = daemon.api(key=token)
    assert mine.post("/v1/calls", {"to": NUMBER}).json["agent"] == "1001"
    assert mine.post("/v1/calls", {"agent": "1001", "to": NUMBER}).status == 202
    assert mine.post("/v1/calls", {"agent": "1002", "to": NUMBER}).status == 403
    for role, status in (("integration", 202), ("supervisor", 202), ("readonly", 403)):
        key = api.create("/v1/api-keys", {"name": role, "role": role})["key"]
        answer = daemon.api(key=key).post("/v1/calls", {"agent": "1002", "to": NUMBER})
        assert answer.status == status, (role, answer)


def test_a_crash_between_the_asking_and_the_ringing(start, asterisk, subscriber):
    daemon = start()
    placed = dial(daemon).json
    call = Call(asterisk, originates(asterisk)[0])
    daemon.kill()
    daemon.start()
    daemon.wait_channels()
    # The list does not name it: it may have rung and ended unheard.
    ended = subscriber.wait_event("interaction.ended", timeout=20 * SLOW)["object"]
    assert (ended["id"], ended["disposition"]) == (placed["id"], "interrupted")
    call.agent_rings()
    check_pops(subscriber, "default", ["1001"])


def test_from_the_command_line(start, asterisk):
    daemon = start()
    done = daemon.ctl("call", "dial", "1001", "0912 345 678")
    assert done.returncode == 0 and E164 in done.stdout, done
    refused = daemon.ctl("call", "dial", "1001", "119")
    assert refused.returncode == 1 and "emergency" in refused.stderr, refused
    nobody = daemon.ctl("call", "dial", "nobody", NUMBER)
    assert nobody.returncode == 4, nobody
