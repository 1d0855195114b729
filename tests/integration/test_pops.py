"""What an agent's screen is told, and what it is told when something breaks."""

import signal
import time

import pytest
from support.daemon import SLOW, asterisk_channel
from support.pops import check_each_pop, check_pops, validate
from support.steps import Steps
from support.streams import EventStream, Refused, WebSocket
from fake_asterisk import FakeAsterisk

CUSTOMER = "+886912345678"


@pytest.fixture
def daemon(pbx):
    return pbx[0]


@pytest.fixture
def fake(pbx):
    return pbx[1]


def wait_committed(daemon, eventually):
    def idle():
        backlog = daemon.status()["backlog"]
        return backlog["waiting"] == backlog["in_batch"] == 0
    eventually(idle)


# ---- who is shown


def test_ring_all_opens_three_and_closes_two_as_answered_elsewhere(
        daemon, fake, subscriber, eventually):
    steps = Steps(fake, "22/queue-ringall-second").to(
        "DialBegin").to("DialBegin").to("DialBegin")
    for agent in ("1001", "1002", "1003"):
        pop = subscriber.wait_pop(agent=agent, type="pop.open", state="ringing")
        assert pop["queue"] == "support" and pop["direction"] == "in"
        assert [p["pop"] for p in daemon.api().pops(agent)] == [pop["pop"]]
    waiting = subscriber.wait_pop(queue="support", type="pop.open", state="waiting")
    assert waiting["agent"] is None
    steps.answer("1002")
    subscriber.wait_pop(agent="1002", type="pop.update", state="talking")
    for agent in ("1001", "1003"):
        subscriber.wait_pop(agent=agent, type="pop.close", reason="answered_elsewhere")
        assert daemon.api().pops(agent) == []
    subscriber.wait_pop(queue="support", type="pop.close", reason="answered")
    steps.rest()
    subscriber.wait_pop(agent="1002", type="pop.close", reason="completed")
    check_pops(subscriber, "default", ["1001", "1002", "1003"])
    assert len({m["interaction"] for m in subscriber.all_pops()}) == 1


def test_a_transfer_shows_the_customer_to_the_second_agent(daemon, fake, subscriber):
    contact = daemon.api().contact("示例客户", "0912345678", language="zh-TW", vip=True)
    steps = Steps(fake, "22/transfer-blind-refer").answer("1001")
    one = subscriber.wait_pop(agent="1001", state="talking")
    steps.ring("1002")
    two = subscriber.wait_pop(agent="1002", type="pop.open", state="ringing")
    assert two["interaction"] == one["interaction"] and two["pop"] != one["pop"]
    assert two["remote"]["value"] == CUSTOMER
    assert two["contact"]["id"] == contact["id"]
    assert two["contact"]["name"] == "示例客户" and two["contact"]["vip"] is True
    subscriber.wait_pop(agent="1001", type="pop.close", reason="transferred")
    steps.rest()
    subscriber.wait_pop(agent="1002", type="pop.close", reason="completed")
    check_pops(subscriber, "default", ["1001", "1002"])


def test_a_withheld_caller_is_nobody(daemon, fake, subscriber, database, eventually):
    for _ in range(2):
        Steps(fake, "22/cid-anonymous").whole("1001", subscriber)
    eventually(lambda: len(subscriber.events(type="interaction.ended")) == 2)
    pops = subscriber.all_pops(agent="1001")
    assert pops
    for pop in pops:
        assert pop["contact"] is None and pop["candidates"] == []
        assert pop["remote"]["value"] is None and pop["remote"]["withheld"] is True
    assert database.one("select count(*) from contact") == 0


def test_a_shared_number_gives_candidates_and_no_guess(daemon, fake, subscriber):
    api = daemon.api()
    one = api.contact("Reception", "0912345678")
    two = api.create("/v1/contacts", {
        "name": "Workshop", "shared": True,
        "identities": [{"kind": "phone", "value": "0912345678"}]})
    pop = Steps(fake, "22/direct-answered").whole("1001", subscriber)
    assert pop["contact"] is None
    assert {c["id"] for c in pop["candidates"]} == {one["id"], two["id"]}
    assert {c["name"] for c in pop["candidates"]} == {"Reception", "Workshop"}


def test_an_unknown_caller_has_a_contact_from_the_first_pop_on(
        daemon, fake, subscriber, eventually):
    steps = Steps(fake, "22/direct-answered").ring("1001")
    pop = subscriber.wait_pop(agent="1001", type="pop.open")
    assert pop["contact"]["name"] is None
    assert pop["contact"]["identities"][0]["value"] == CUSTOMER
    assert pop["contact"]["identities"][0]["trust"] == "network"
    assert pop["degraded"] is False
    found = eventually(lambda: daemon.api().find(f"phone:{CUSTOMER}"))
    assert [c["id"] for c in found] == [pop["contact"]["id"]]
    steps.rest()
    subscriber.wait_event("interaction.ended")
    # The next call is the same person's, with the first one as recent.
    again = Steps(fake, "22/direct-answered").whole("1001", subscriber)
    assert again["interaction"] != pop["interaction"]
    assert again["contact"]["id"] == pop["contact"]["id"]
    assert [r["id"] for r in again["recent"]] == [pop["interaction"]]


def test_two_strangers_first_calls_at_once_make_one_contact(daemon, fake, subscriber,
                                                            database, eventually):
    calls = [Steps(fake, "22/direct-answered") for _ in range(4)]
    for call in calls:
        call.ring("1001")
    for call in calls:
        call.rest()
    eventually(lambda: len(subscriber.events(type="interaction.ended")) == 4)
    assert database.one("select count(*) from contact") == 1
    check_pops(subscriber, "default", ["1001"])


def test_own_numbers_are_never_a_contact(make_daemon, asterisk, subscriber, database):
    daemon = make_daemon(**{
        "tenant default": {"region": "TW"},
        "channel pbx": asterisk_channel(asterisk, own_numbers="0285550100, 0912345678")})
    daemon.start()
    daemon.wait_channels()
    Steps(asterisk, "22/direct-answered").whole("1001", subscriber)
    subscriber.wait_event("interaction.ended")
    assert database.one("select count(*) from contact") == 0
    assert all(p["contact"] is None for p in subscriber.all_pops(agent="1001"))


def test_variables_of_the_dialplan_are_on_pop_and_interaction(daemon, fake, subscriber):
    pop = Steps(fake, "22/queue-answered").whole("1004", subscriber)
    ended = subscriber.wait_event("interaction.ended")["object"]
    assert pop["variables"]["CUSTOMER_ID"] == "C-0912345678"
    assert ended["variables"]["CUSTOMER_ID"] == "C-0912345678"


def test_what_is_learnt_during_the_call_is_told(daemon, fake, subscriber, eventually):
    """A colleague names the caller while the phone rings."""
    steps = Steps(fake, "22/direct-answered").ring("1001")
    pop = subscriber.wait_pop(agent="1001", type="pop.open")
    eventually(lambda: daemon.api().find(f"phone:{CUSTOMER}"))
    answer = daemon.api().patch(f"/v1/contacts/{pop['contact']['id']}", {"name": "Lin"})
    assert answer.status == 200, answer
    steps.answer("1001").rest()
    subscriber.wait_pop(agent="1001", type="pop.close")
    assert daemon.api().find(f"phone:{CUSTOMER}")[0]["name"] == "Lin"


def test_wrapup_is_an_update_and_the_close_comes_after_it(make_daemon, asterisk, subscriber):
    daemon = make_daemon(daemon={"wrapup_s": "1"}, **{
        "tenant default": {"region": "TW"}, "channel pbx": asterisk_channel(asterisk)})
    daemon.start()
    daemon.wait_channels()
    steps = Steps(asterisk, "22/direct-answered").answer("1001")
    subscriber.wait_pop(agent="1001", state="talking")
    steps.rest()
    subscriber.wait_pop(agent="1001", type="pop.update", state="wrapup")
    assert len(daemon.api().pops("1001")) == 1
    subscriber.wait_pop(agent="1001", type="pop.close", reason="completed")
    check_pops(subscriber, "default", ["1001"])


# ---- agents


def test_an_agents_interfaces_beat_the_pattern(daemon, fake, subscriber):
    daemon.api().create("/v1/agents", {"id": "anna", "name": "Anna",
                                       "interfaces": ["pbx-main:PJSIP/1001"]})
    Steps(fake, "22/direct-answered").whole("1001", subscriber, shown_to="anna")
    assert not subscriber.all_pops(agent="1001")


def test_an_agent_id_belongs_to_the_channel_it_was_found_on(
        make_daemon, asterisk, subscriber, eventually):
    with FakeAsterisk() as other:
        daemon = make_daemon(**{
            "tenant default": {"region": "TW"},
            "channel one": asterisk_channel(asterisk),
            "channel two": asterisk_channel(other),
            "channel three": asterisk_channel(other, agent_prefix="b-")})
        daemon.expect("1001")
        daemon.start()
        daemon.wait_channels()
        Steps(asterisk, "22/direct-answered").whole("1001", subscriber)
        subscriber.wait_event("interaction.ended")
        Steps(other, "22/direct-answered").whole("1001", subscriber, shown_to="b-1001")
        eventually(lambda: len(subscriber.events(type="interaction.ended")) == 3)
        assert {p["channel"] for p in subscriber.all_pops(agent="1001")} == {"one"}
        assert {p["channel"] for p in subscriber.all_pops(agent="b-1001")} == {"three"}


# ---- PostgreSQL away


OUTAGE = (r"PostgreSQL|database|postgres|connection", )


@pytest.mark.parametrize("how", ["pause", "stop"])
def test_without_the_database_a_pop_is_degraded_and_completed_later(
        daemon, fake, subscriber, postgres, eventually, how):
    daemon.expect(*OUTAGE)
    daemon.api().contact("Chen", "0912345678")
    getattr(postgres, how)()
    began = time.monotonic()
    steps = Steps(fake, "22/direct-answered").ring("1001")
    pop = subscriber.wait_pop(agent="1001", type="pop.open", timeout=5)
    assert time.monotonic() - began < 1.0 * SLOW
    assert pop["degraded"] is True and pop["contact"] is None
    assert pop["remote"]["value"] == CUSTOMER
    steps.answer("1001")
    subscriber.wait_pop(agent="1001", state="talking")
    (postgres.resume if how == "pause" else postgres.start)()
    full = subscriber.wait_pop(agent="1001", type="pop.update", degraded=False,
                               timeout=30 * SLOW)
    assert full["contact"]["name"] == "Chen" and full["pop"] == pop["pop"]
    steps.rest()
    subscriber.wait_pop(agent="1001", type="pop.close")
    ended = subscriber.wait_event("interaction.ended", timeout=30 * SLOW)
    assert ended["object"]["contact"] == full["contact"]["id"]
    check_pops(subscriber, "default", ["1001"])


def test_calls_while_the_database_is_away_are_written_when_it_returns(
        daemon, fake, subscriber, postgres, database, eventually):
    daemon.expect(*OUTAGE)
    postgres.kill()
    for n in range(5):
        Steps(fake, "22/direct-answered", {"0912345678": f"091234500{n}"}).ring(
            "1001").rest()
    postgres.start()
    eventually(lambda: len(subscriber.events(type="interaction.ended")) == 5, 30)
    assert len(database.interactions()) == 5
    assert database.one("select count(*) from contact") == 5


def test_the_database_killed_while_calls_run_doubles_nothing(
        daemon, fake, subscriber, postgres, database, eventually):
    daemon.expect(*OUTAGE)
    for n in range(6):
        steps = Steps(fake, "22/direct-answered", {"0912345678": f"091234500{n}"})
        steps.ring("1001")
        if n % 2:
            postgres.kill()
            steps.rest()
            postgres.start()
        steps.rest()
    eventually(lambda: len(database.interactions()) == 6, 30)
    wait_committed(daemon, eventually)
    eventually(lambda: database.one(
        "select count(*) from interaction where state = 'ended'") == 6, 30)
    assert database.one("select count(*) from contact") == 6


# ---- Redis away


def test_redis_restarted_empty_gets_what_is_still_true(
        daemon, fake, subscriber, redis_server, eventually):
    daemon.expect("[Rr]edis")
    still = Steps(fake, "22/direct-answered").answer("1001")
    gone = Steps(fake, "22/local-dial").ring("1002")
    old = subscriber.wait_pop(agent="1001", state="talking")
    ended = subscriber.wait_pop(agent="1002", type="pop.open")
    redis_server.kill()
    gone.rest()
    redis_server.start()
    subscriber.resume()
    again = eventually(lambda: subscriber.open_hash("default", "1001"))[old["pop"]]
    assert again["epoch"] != old["epoch"]
    assert again["type"] == "pop.open" and again["state"] == "talking" and again["seq"] == 1
    assert again["interaction"] == old["interaction"]
    assert [p["pop"] for p in daemon.api().pops("1001")] == [old["pop"]]
    still.rest()
    subscriber.wait_pop(agent="1001", type="pop.close", epoch=again["epoch"])
    assert [e for e, _ in subscriber.stream("default", "1001")] == ["1-0", "2-0"]
    # What was shown before is closed once, in whatever epoch; it is never opened again.
    assert [(p["type"], p["pop"]) for _, p in subscriber.stream("default", "1002")] in (
        [], [("pop.close", ended["pop"])])
    assert subscriber.open_hash("default", "1002") == {}


def test_redis_frozen_while_a_call_ends_closes_it_once(
        daemon, fake, subscriber, redis_server, eventually):
    daemon.expect("[Rr]edis")
    steps = Steps(fake, "22/direct-answered").ring("1001")
    subscriber.wait_pop(agent="1001", type="pop.open")
    redis_server.pause()
    steps.rest()
    redis_server.resume()
    subscriber.wait_pop(agent="1001", type="pop.close", timeout=20 * SLOW)
    eventually(lambda: daemon.status()["pops"]["pending"] == 0)
    check_pops(subscriber, "default", ["1001"])


def test_a_call_that_began_and_ended_without_redis_is_not_told_later(
        daemon, fake, subscriber, redis_server, eventually):
    daemon.expect("[Rr]edis")
    redis_server.stop()

    def calls():
        return daemon.status()["channels"][0]["phone"]["calls"]
    steps = Steps(fake, "22/direct-answered").ring("1001")
    eventually(lambda: calls() == 1)
    steps.rest()
    eventually(lambda: calls() == 0)
    redis_server.start()
    subscriber.resume()
    Steps(fake, "22/local-dial").whole("1002", subscriber)
    assert subscriber.stream("default", "1001") == []
    assert daemon.status()["pops"]["open"] == 0


# ---- interactd away


def finish_in_order(daemon, subscriber, agents=("1001",)):
    check_pops(subscriber, "default", agents)
    for pops in subscriber.by_pop().values():
        assert sum(m["type"] == "pop.open" for m in pops) == 1


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_restart_in_mid_call_changes_nothing_for_the_agent(
        daemon, fake, subscriber, database, eventually, how):
    steps = Steps(fake, "22/direct-answered").answer("1001")
    pop = subscriber.wait_pop(agent="1001", state="talking")
    heard = len(subscriber.all_pops())
    if how == signal.SIGKILL:
        daemon.kill()
    else:
        daemon.stop()
    daemon.start()
    daemon.wait_channels()
    eventually(lambda: len(daemon.api().ok("/v1/calls")["items"]) == 1)
    assert [p["pop"] for p in daemon.api().pops("1001")] == [pop["pop"]]
    # The comparison with the phone system's list has been made by then.
    eventually(lambda: daemon.status()["uptime_s"] >= 3)
    assert len(subscriber.all_pops()) == heard
    steps.rest()
    closed = subscriber.wait_pop(agent="1001", type="pop.close", reason="completed")
    assert closed["pop"] == pop["pop"] and closed["seq"] == pop["seq"] + 1
    subscriber.wait_event("interaction.ended")
    finish_in_order(daemon, subscriber)
    assert database.interactions() == [pop["interaction"]]
    legs = daemon.api().ok(f"/v1/interactions/{pop['interaction']}")["legs"]
    assert len({(leg["type"], leg["agent"], leg["at"]) for leg in legs}) == len(legs)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_call_that_ends_while_we_are_away_is_closed_once(
        daemon, fake, subscriber, database, eventually, how):
    steps = Steps(fake, "22/direct-answered").answer("1001")
    pop = subscriber.wait_pop(agent="1001", state="talking")
    if how == signal.SIGKILL:
        daemon.kill()
    else:
        daemon.stop()
    steps.rest()
    daemon.start()
    closed = subscriber.wait_pop(agent="1001", type="pop.close", timeout=20 * SLOW)
    assert closed["pop"] == pop["pop"]
    assert closed["reason"] in ("interrupted", "completed")
    ended = subscriber.wait_event("interaction.ended", timeout=20 * SLOW)["object"]
    assert ended["disposition"] == "answered"
    finish_in_order(daemon, subscriber)
    assert database.interactions() == [pop["interaction"]]


def test_a_crash_between_the_calls_replays_nothing(daemon, fake, subscriber, database,
                                                   eventually):
    for n in range(3):
        Steps(fake, "22/direct-answered", {"0912345678": f"091234500{n}"}).whole(
            "1001", subscriber)
    eventually(lambda: len(subscriber.events(type="interaction.ended")) == 3)
    heard = subscriber.all_pops()
    for _ in range(3):
        daemon.kill()
        daemon.start()
        daemon.wait_channels()
    eventually(lambda: daemon.status()["uptime_s"] >= 3)
    assert subscriber.all_pops() == heard
    assert len(database.interactions()) == 3
    assert len(subscriber.events(type="interaction.ended")) == 3


def test_a_crash_while_postgresql_is_away_loses_no_call(
        daemon, fake, subscriber, postgres, database, eventually):
    daemon.expect(*OUTAGE)
    postgres.stop()
    Steps(fake, "22/direct-answered").whole("1001", subscriber)
    eventually(lambda: daemon.status()["channels"][0]["phone"]["calls"] == 0)
    daemon.kill()
    daemon.start(ready=False)
    postgres.start()
    daemon.wait_ready(30)
    eventually(lambda: database.one(
        "select count(*) from interaction where state = 'ended' "
        "and disposition = 'answered'") == 1, 30)
    # Its pop was opened and closed before: a replay opens nothing.
    for pops in subscriber.by_pop().values():
        assert sum(m["type"] == "pop.open" for m in pops) == 1
    check_each_pop(subscriber.by_pop())


def test_the_phone_system_restarts_in_mid_call(daemon, fake, subscriber, eventually):
    Steps(fake, "22/direct-answered").answer("1001")
    subscriber.wait_pop(agent="1001", state="talking")
    fake.restart()
    subscriber.wait_pop(agent="1001", type="pop.close", reason="interrupted",
                        timeout=20 * SLOW)
    ended = subscriber.wait_event("interaction.ended")["object"]
    assert ended["disposition"] == "answered"
    check_pops(subscriber, "default", ["1001"])


# ---- streams over HTTP


@pytest.fixture
def token(daemon):
    return daemon.api().create("/v1/agents/1001/tokens", {})["token"]


def test_a_websocket_gets_the_same_objects_as_redis(daemon, fake, subscriber, token):
    ws = WebSocket(daemon.port, "/v1/agents/1001/stream",
                   ["interactd.v1", f"bearer.{token}"])
    assert ws.protocol == "interactd.v1"
    Steps(fake, "22/direct-answered").whole("1001", subscriber)
    heard = subscriber.all_pops(agent="1001")
    for pop, frame in zip(heard, ws.wait(len(heard))):
        pop.pop("_bytes")
        validate("pop", frame)
        assert pop == frame
    ws.close()


def test_an_event_stream_resumes_after_a_seq(daemon, fake, subscriber, token):
    api = daemon.api(key=token)
    first = EventStream(api, "/v1/agents/1001/stream")
    assert first.type.startswith("text/event-stream")
    steps = Steps(fake, "22/direct-answered").ring("1001")
    opened = first.wait(1)[0]
    assert first.ids[0] == str(opened["seq"])
    first.close()
    steps.answer("1001").rest()
    subscriber.wait_pop(agent="1001", type="pop.close")
    missed = [p["seq"] for p in subscriber.all_pops(agent="1001") if p["seq"] > opened["seq"]]
    assert missed
    again = EventStream(api, f"/v1/agents/1001/stream?after={opened['seq']}")
    assert [p["seq"] for p in again.wait(len(missed))] == missed
    again.close()
    by_header = EventStream(api, "/v1/agents/1001/stream",
                            {"Last-Event-ID": str(opened["seq"])})
    assert [p["seq"] for p in by_header.wait(len(missed))] == missed
    by_header.close()


def test_a_new_stream_begins_with_the_open_pops(daemon, fake, subscriber, token):
    steps = Steps(fake, "22/direct-answered").ring("1001")
    opened = subscriber.wait_pop(agent="1001", type="pop.open")
    stream = EventStream(daemon.api(key=token), "/v1/agents/1001/stream")
    assert stream.wait(1)[0]["pop"] == opened["pop"]
    steps.rest()
    stream.wait(2)
    assert stream.messages[-1]["type"] in ("pop.update", "pop.close")
    stream.close()


def test_a_ticket_opens_one_stream(daemon, token):
    api = daemon.api(key=token)
    ticket = api.create("/v1/agents/1001/tickets", {})["ticket"] \
        if (answer := api.post("/v1/agents/1001/tickets")).status == 201 \
        else answer.json["ticket"]
    open_api = daemon.api(key="")
    stream = EventStream(open_api, f"/v1/agents/1001/stream?ticket={ticket}")
    stream.close()
    with pytest.raises(Refused) as refused:
        EventStream(open_api, f"/v1/agents/1001/stream?ticket={ticket}")
    assert refused.value.status == 401


def test_streams_are_refused_rightly(daemon, token):
    refusals = [
        ("/v1/agents/1001/stream", ["interactd.v1"], 401),
        ("/v1/agents/1001/stream", ["interactd.v1", "bearer.ia_wrong"], 401),
        ("/v1/agents/1002/stream", ["interactd.v1", f"bearer.{token}"], 403),
        ("/v1/agents/1001/stream?after=x", ["interactd.v1", f"bearer.{token}"], 400),
        ("/v1/agents/a%20b/stream", ["interactd.v1", f"bearer.{token}"], 404),
    ]
    for path, protocols, status in refusals:
        with pytest.raises(Refused) as refused:
            WebSocket(daemon.port, path, protocols)
        assert refused.value.status == status, path
    plain = daemon.api(key=token).get("/v1/agents/1001/stream")
    assert plain.status == 426 and plain.is_problem


def test_a_revoked_token_is_refused(daemon, token, eventually):
    api = daemon.api()
    assert daemon.api(key=token).get("/v1/agents/1001/pops").status == 200
    listed = api.ok("/v1/agents/1001/tokens")["items"]
    assert len(listed) == 1 and "token" not in listed[0]
    assert api.delete(f"/v1/agents/1001/tokens/{listed[0]['id']}").status in (200, 204)
    eventually(lambda: daemon.api(key=token).get("/v1/agents/1001/pops").status == 401)


def test_the_streams_survive_a_redis_restart(daemon, fake, subscriber, redis_server, token,
                                             eventually):
    daemon.expect("[Rr]edis")
    ws = WebSocket(daemon.port, "/v1/agents/1001/stream",
                   ["interactd.v1", f"bearer.{token}"])
    steps = Steps(fake, "22/direct-answered").answer("1001")
    old = subscriber.wait_pop(agent="1001", state="talking")
    eventually(lambda: ws.messages)
    redis_server.kill()
    redis_server.start()
    eventually(lambda: any(m["epoch"] != old["epoch"] for m in ws.messages), 20)
    steps.rest()
    eventually(lambda: ws.messages[-1]["type"] == "pop.close")
    assert ws.messages[-1]["pop"] == old["pop"]
    ws.close()


def test_a_daemon_that_ends_says_goodbye_to_its_streams(daemon, token, eventually):
    ws = WebSocket(daemon.port, "/v1/agents/1001/stream",
                   ["interactd.v1", f"bearer.{token}"])
    sse = EventStream(daemon.api(key=token), "/v1/agents/1001/stream")
    daemon.stop()
    eventually(lambda: ws.code == 1001 and sse.ended)
