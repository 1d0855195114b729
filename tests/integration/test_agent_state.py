"""One state per agent: said here or at the phone system, and after a restart of either."""

import time

import pytest
from support.daemon import asterisk_channel
from support.steps import Steps
from support.streams import WebSocket

PHONE = "PJSIP/1001"


@pytest.fixture
def members(asterisk):
    """Agent 1001 is in two queues."""
    asterisk.queues.devices = {PHONE: "NOT_INUSE", "PJSIP/trunk": "NOT_INUSE",
                               "Queue:support": "INUSE"}
    for queue in ("support", "sales"):
        asterisk.add_member(queue, PHONE)
    return asterisk


@pytest.fixture
def desk(members, make_daemon):
    """(daemon, fake) with wrap-up off."""
    daemon = make_daemon(**{"tenant default": {"region": "TW"},
                            "channel pbx-main": asterisk_channel(members)})
    daemon.start()
    daemon.wait_channels()
    return daemon, members


def state_of(daemon, agent="1001"):
    return daemon.api().ok(f"/v1/agents/{agent}/state")


def say(daemon, state, agent="1001", **more):
    answer = daemon.api().put(f"/v1/agents/{agent}/state", {"state": state, **more})
    assert answer.status == 200, answer
    return answer.json


@pytest.fixture
def becomes(eventually):
    """becomes(daemon, state="paused", …): until the agent's state has these members."""
    def wait(daemon, agent="1001", **members):
        def so():
            got = daemon.api().get(f"/v1/agents/{agent}/state")
            if got.status == 404:  # nobody has told of this agent yet
                return None
            assert got.status == 200, got
            return got.json if all(got.json[k] == v for k, v in members.items()) else None
        try:
            return eventually(so)
        except TimeoutError:
            raise AssertionError(f"{members} never; it is {state_of(daemon, agent)}\n"
                                 f"{daemon.log()[-3000:]}") from None
    return wait


def both(reason):
    return {"support": reason, "sales": reason}


def test_who_is_in_a_queue_is_there_from_the_first_on(desk, becomes):
    daemon, _ = desk
    becomes(daemon, state="available", source="phone", on_call=False, phone="ok")
    agent = daemon.api().ok("/v1/agents/1001")
    assert agent["learnt"] and agent["state"]["state"] == "available"
    assert sorted(agent["phone_queues"]) == ["sales", "support"]
    assert agent["phones"] == [{
        "channel": "pbx-main", "interface": PHONE, "device": "idle",
        "queues": [{"queue": "support", "paused": False, "reason": None},
                   {"queue": "sales", "paused": False, "reason": None}]}] or \
        len(agent["phones"][0]["queues"]) == 2
    assert [a["id"] for a in daemon.api().ok("/v1/agents")["items"]] == ["1001"]


def test_a_pause_here_is_passed_on_and_its_echo_is_no_change(desk, becomes, subscriber,
                                                            eventually):
    daemon, fake = desk
    becomes(daemon, state="available")
    said = say(daemon, "paused", reason="lunch 午餐")
    assert said["state"] == "paused" and said["reason"] == "lunch 午餐"
    assert said["source"] == "api" and said["by"] == "uid:0" and said["id"] == "1001"
    got = becomes(daemon, phone="ok")
    assert fake.paused(PHONE) == both("lunch 午餐")
    assert got["since"] == said["since"] and got["source"] == "api"
    event = subscriber.wait_event("agent.state_changed")
    while event["object"]["state"]["state"] != "paused":
        event = [e for e in subscriber.events(type="agent.state_changed")][-1]
    assert event["object"]["id"] == "1001"
    assert event["changes"] == {"state": {"from": "available", "to": "paused"},
                                "reason": {"from": None, "to": "lunch 午餐"}}
    say(daemon, "available")
    becomes(daemon, state="available", phone="ok")
    eventually(lambda: fake.paused(PHONE) == both(None))
    assert state_of(daemon)["source"] == "api"
    assert len(fake.seen("QueuePause")) == 2


def test_one_order_and_the_next_at_once_end_where_the_last_said(desk, becomes, eventually):
    daemon, fake = desk
    becomes(daemon, state="available")
    for n in range(10):
        say(daemon, "paused", reason=f"r{n}")
        say(daemon, "available")
    say(daemon, "paused", reason="last")
    becomes(daemon, state="paused", reason="last", phone="ok", source="api")
    eventually(lambda: fake.paused(PHONE) == both("last"))
    fake.pause_member(PHONE, False)
    becomes(daemon, state="available", source="phone")


def test_a_pause_there_is_seen_when_it_is_of_all_queues(desk, becomes):
    daemon, fake = desk
    becomes(daemon, state="available")
    fake.pause_member(PHONE, True, "tea", queue="sales")
    # Still open to the other queue; nothing of it is taken back there.
    fake.pause_member(PHONE, True, "tea", queue="support")
    becomes(daemon, state="paused", reason="tea", source="phone", phone="ok", by=None)
    fake.pause_member(PHONE, False, queue="sales")
    becomes(daemon, state="available", source="phone", phone="ok")
    assert fake.paused(PHONE) == {"sales": None, "support": "tea"}
    assert not fake.seen("QueuePause")


@pytest.mark.parametrize("skew", [-7200, 7200])
def test_a_phone_systems_clock_may_be_wrong(desk, becomes, skew):
    daemon, fake = desk
    fake.skew = skew
    becomes(daemon, state="available")
    say(daemon, "paused", reason="lunch")
    becomes(daemon, phone="ok")
    fake.pause_member(PHONE, False)
    becomes(daemon, state="available", source="phone")
    say(daemon, "paused", reason="again")
    becomes(daemon, state="paused", reason="again", phone="ok")


def test_what_the_phone_system_refuses_is_said(desk, becomes):
    daemon, fake = desk
    becomes(daemon, state="available")
    fake.denied["QueuePause"] = "Permission denied"
    say(daemon, "paused", reason="lunch")
    got = becomes(daemon, state="paused", phone="refused")
    assert "write = agent" in got["phone_why"]
    assert fake.paused(PHONE) == both(None)
    assert len(fake.seen("QueuePause")) == 1
    # It stands, and is passed on again when the list is taken the next time.
    del fake.denied["QueuePause"]
    assert daemon.api().post("/v1/channels/pbx-main/resync").status in (200, 202, 204)
    becomes(daemon, state="paused", phone="ok", phone_why=None)
    assert fake.paused(PHONE) == both("lunch")


def test_a_new_membership_gets_the_pause_that_stands(desk, becomes, eventually):
    daemon, fake = desk
    say(daemon, "paused", reason="lunch")
    becomes(daemon, phone="ok")
    fake.add_member("vip", PHONE)
    eventually(lambda: fake.paused(PHONE) == {**both("lunch"), "vip": "lunch"})
    becomes(daemon, state="paused", phone="ok")
    fake.remove_member("vip", PHONE)
    eventually(lambda: sorted(daemon.api().ok("/v1/agents/1001")["phone_queues"]) ==
               ["sales", "support"])


def test_a_local_channel_as_member_is_its_phones_agent(members, make_daemon, becomes,
                                                       eventually):
    members.add_member("local", "Local/1002@agents/n", phone="PJSIP/1002")
    members.queues.devices["PJSIP/1002"] = "NOT_INUSE"
    daemon = make_daemon(**{"channel pbx-main": asterisk_channel(members)})
    daemon.start()
    becomes(daemon, "1002", state="available")
    say(daemon, "paused", "1002", reason="lunch")
    eventually(lambda: members.paused("Local/1002@agents/n") == {"local": "lunch"})
    members.pause_member("Local/1002@agents/n", False)
    becomes(daemon, "1002", state="available", source="phone")


# ---- restarts


def test_our_restart_keeps_what_was_said(desk, becomes, database, eventually):
    daemon, fake = desk
    becomes(daemon, state="available")
    said = say(daemon, "paused", reason="lunch")
    becomes(daemon, phone="ok")
    daemon.stop()
    daemon.start()
    daemon.wait_channels()
    got = becomes(daemon, state="paused", reason="lunch", source="api", by="uid:0",
                  phone="ok")
    assert got["since"] == said["since"]
    assert len(fake.seen("QueuePause")) == 1
    # Killed, it keeps what it had written.
    say(daemon, "offline", reason="home")
    eventually(lambda: fake.paused(PHONE) == both("offline"))
    eventually(lambda: database("select chosen, reason from agent_state")
               == [("offline", "home")])
    daemon.kill()
    daemon.start()
    daemon.wait_channels()
    becomes(daemon, state="offline", reason="home", phone="ok")


def test_who_was_learnt_before_a_restart_is_known_after_it(desk, becomes):
    daemon, fake = desk
    say(daemon, "paused", reason="lunch")
    becomes(daemon, phone="ok")
    fake.mute = True
    daemon.stop()
    daemon.start()
    got = state_of(daemon)
    assert got["state"] == "paused" and got["reason"] == "lunch" and got["phone"] == "none"


def test_what_was_done_there_while_we_were_away_is_taken(desk, becomes):
    daemon, fake = desk
    say(daemon, "paused", reason="lunch")
    becomes(daemon, phone="ok")
    daemon.stop()
    fake.pause_member(PHONE, False)
    daemon.start()
    daemon.wait_channels()
    becomes(daemon, state="available", source="phone", phone="ok")
    assert fake.paused(PHONE) == both(None)
    daemon.stop()
    # What is told is in whole seconds: a pause in the second of our choice is no later.
    last = int(time.time())
    while int(time.time()) == last:
        time.sleep(0.05)
    fake.pause_member(PHONE, True, "tea")
    daemon.start()
    daemon.wait_channels()
    becomes(daemon, state="paused", reason="tea", source="phone", phone="ok")


@pytest.mark.parametrize("keep", [False, True])
def test_asterisks_restart_gets_our_pause_again(desk, becomes, eventually, keep):
    daemon, fake = desk
    say(daemon, "paused", reason="lunch")
    becomes(daemon, phone="ok")
    fake.restart(keep_pauses=keep)
    eventually(lambda: fake.logins == 2)
    becomes(daemon, state="paused", reason="lunch", source="api", phone="ok")
    eventually(lambda: fake.paused(PHONE) == both("lunch"))


def test_a_pause_kept_by_asterisk_that_we_took_back_is_taken_back_there(desk, becomes,
                                                                        eventually):
    daemon, fake = desk
    say(daemon, "paused", reason="lunch")
    becomes(daemon, phone="ok")
    fake.mute = True
    fake.drop_clients()
    becomes(daemon, phone="ok", state="paused")
    say(daemon, "available")
    got = state_of(daemon)
    assert got["state"] == "available" and got["phone"] == "pending"
    fake.mute = False
    fake.restart(keep_pauses=True)
    becomes(daemon, state="available", phone="ok")
    eventually(lambda: fake.paused(PHONE) == both(None))


def test_a_pause_there_that_says_no_time_counts_if_it_is_new(desk, becomes, eventually):
    daemon, fake = desk
    say(daemon, "available")
    becomes(daemon, state="available", phone="ok")
    fake.mute = True
    fake.drop_clients()
    eventually(lambda: daemon.status()["channels"][0]["state"] == "down")
    fake.queues.pause(PHONE, True, "tea")
    fake.mute = False
    fake.restart(keep_pauses=True)  # LastPause is 0 then
    becomes(daemon, state="paused", reason="tea", source="phone", phone="ok")


def test_postgresql_and_redis_may_be_away(desk, becomes, postgres, redis_server, database,
                                          eventually):
    daemon, fake = desk
    daemon.expect("waiting for PostgreSQL", "PostgreSQL", "Redis", "redis", "pg ")
    becomes(daemon, state="available")
    postgres.kill()
    redis_server.kill()
    say(daemon, "paused", reason="lunch")
    eventually(lambda: fake.paused(PHONE) == both("lunch"))
    becomes(daemon, state="paused", phone="ok")
    postgres.start()
    redis_server.start()
    eventually(lambda: database("select chosen, reason from agent_state") ==
               [("paused", "lunch")], timeout=20)
    daemon.stop()
    daemon.start()
    becomes(daemon, state="paused", reason="lunch")


# ---- phones out of reach, sessions


def test_phones_out_of_reach_are_offline_and_come_back_as_they_were(desk, becomes):
    daemon, fake = desk
    say(daemon, "paused", reason="lunch")
    fake.set_device(PHONE, "UNAVAILABLE")
    becomes(daemon, state="offline", source="phone")
    fake.set_device(PHONE, "NOT_INUSE")
    becomes(daemon, state="paused", reason="lunch")
    say(daemon, "available")
    fake.set_device(PHONE, "UNAVAILABLE")
    becomes(daemon, state="offline", source="phone")
    fake.restart()  # and the phone registers again while nobody listens
    fake.queues.devices[PHONE] = "NOT_INUSE"
    becomes(daemon, state="available")


def test_a_web_session_keeps_an_agent_there(desk, becomes):
    daemon, fake = desk
    say(daemon, "available")
    token = daemon.api().create("/v1/agents/1001/tokens", {})["token"]
    stream = WebSocket(daemon.port, "/v1/agents/1001/stream",
                       ["interactd.v1", f"bearer.{token}"])
    fake.set_device(PHONE, "UNAVAILABLE")
    fake.set_device("PJSIP/1002", "UNAVAILABLE")
    becomes(daemon, "1002", state="offline")
    becomes(daemon, state="available")
    stream.close()
    becomes(daemon, state="offline", source="phone")


# ---- calls and wrap-up


@pytest.fixture
def wrapping(members, make_daemon):
    daemon = make_daemon(**{"daemon": {"wrapup_s": "2s"}, "tenant default": {"region": "TW"},
                            "channel pbx-main": asterisk_channel(members)})
    daemon.start()
    daemon.wait_channels()
    return daemon, members


def test_a_call_is_shown_and_wrapup_follows_and_ends(wrapping, becomes, subscriber,
                                                     eventually):
    daemon, fake = wrapping
    becomes(daemon, state="available", on_call=False)
    steps = Steps(fake, "22/direct-answered").answer("1001")
    becomes(daemon, state="available", on_call=True, calls=1)
    steps.rest()
    got = becomes(daemon, state="wrapup", source="call", on_call=False)
    assert got["until"] > got["since"]
    eventually(lambda: fake.paused(PHONE) == both("wrapup"))
    becomes(daemon, state="available", source="timer", until=None, phone="ok")
    eventually(lambda: fake.paused(PHONE) == both(None))
    modes = [e["object"]["state"]["state"]
             for e in subscriber.events(type="agent.state_changed")
             if e["object"]["id"] == "1001"]
    assert modes[-2:] == ["wrapup", "available"]


def test_who_ends_a_wrapup_has_no_pop_left(wrapping, becomes, subscriber):
    daemon, fake = wrapping
    daemon.stop()
    daemon.configure(daemon={"wrapup_s": "1h"}).start()
    daemon.wait_channels()
    steps = Steps(fake, "22/direct-answered").answer("1001")
    subscriber.wait_pop(agent="1001", state="talking")
    steps.rest()
    becomes(daemon, state="wrapup")
    subscriber.wait_pop(agent="1001", state="wrapup")
    assert say(daemon, "available")["state"] == "available"
    subscriber.wait_pop(agent="1001", type="pop.close", reason="completed")
    becomes(daemon, state="available", phone="ok")


def test_a_wrapup_that_ended_while_we_were_away_leaves_nobody_paused(wrapping, becomes,
                                                                     eventually):
    daemon, fake = wrapping
    becomes(daemon, state="available")
    Steps(fake, "22/direct-answered").answer("1001").rest()
    becomes(daemon, state="wrapup", phone="ok")
    assert fake.paused(PHONE) == both("wrapup")
    until = time.time() + 2.1
    daemon.kill()
    while time.time() < until:
        time.sleep(0.05)
    daemon.start()
    becomes(daemon, state="available")
    eventually(lambda: fake.paused(PHONE) == both(None))
    becomes(daemon, state="available", phone="ok")


def test_wrapup_by_hand(desk, becomes):
    daemon, _ = desk
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
    said = say(daemon, "wrapup", until=until)
    assert said["state"] == "wrapup" and said["until"] == until.replace("Z", ".000Z")
    # A pause asked for meanwhile waits; available does not.
    assert say(daemon, "paused", reason="lunch")["state"] == "wrapup"
    assert say(daemon, "available")["state"] == "available"
    assert say(daemon, "wrapup")["until"] > said["since"]
    say(daemon, "available")
    becomes(daemon, state="available", phone="ok")


# ---- who may, and what is wrong


def test_an_agents_token_is_for_its_own_state(desk):
    daemon, _ = desk
    api = daemon.api()
    mine = api.create("/v1/agents/2001/tokens", {})["token"]
    own = daemon.api(key=mine)
    # Nobody has heard of 2001 but through its token.
    assert own.ok("/v1/agents/2001/state")["state"] == "offline"
    answer = own.put("/v1/agents/2001/state", {"state": "available"})
    assert answer.status == 200 and answer.json["by"] == "agent:2001"
    assert own.get("/v1/agents/1001/state").status == 403
    assert own.put("/v1/agents/1001/state", {"state": "paused"}).status == 403
    key = api.create("/v1/api-keys", {"name": "wall", "role": "readonly"})["key"]
    assert daemon.api(key=key).ok("/v1/agents/1001/state")["state"] == "available"
    assert daemon.api(key=key).put("/v1/agents/1001/state",
                                   {"state": "paused"}).status == 403


@pytest.mark.parametrize("body,part", [
    ({}, "state: missing"),
    ({"state": "busy"}, "state:"),
    ({"state": 7}, "state:"),
    ({"state": "paused", "why": "x"}, "only state"),
    ({"state": "paused", "reason": "a\r\nAction: Originate"}, "reason:"),
    ({"state": "paused", "reason": "x" * 80}, "reason:"),
    ({"state": "paused", "reason": "wrapup"}, "reason:"),
    ({"state": "available", "reason": "x"}, "reason:"),
    ({"state": "paused", "until": "2030-01-01T00:00:00Z"}, "until:"),
    ({"state": "wrapup", "until": "soon"}, "until:"),
    ({"state": "wrapup", "until": "2020-01-01T00:00:00Z"}, "until:"),
    ({"state": "wrapup", "until": "2090-01-01T00:00:00Z"}, "until:"),
], ids=str)
def test_wrong_bodies_are_named(shared_daemon, api, body, part):
    api.create("/v1/agents", {"id": "1001"})
    answer = api.put("/v1/agents/1001/state", body)
    assert answer.status == 422 and answer.json["detail"].startswith(part), answer
    assert api.get("/v1/agents/nobody/state").status == 404
    assert api.put("/v1/agents/a%20b/state", {"state": "paused"}).status in (400, 404)


def test_operators_see_and_say_it(desk, becomes):
    daemon, _ = desk
    becomes(daemon, state="available")
    out = daemon.ctl("agent", "state", "1001", "paused", "--reason", "lunch")
    assert out.returncode == 0 and "lunch" in out.stdout, out
    assert "paused (lunch)" in daemon.ctl("agent", "list").stdout
    out = daemon.ctl("agent", "state", "1001", "wrapup", "--for", "5m")
    assert out.returncode == 0 and "wrapup" in out.stdout, out
    assert daemon.ctl("agent", "state", "1001", "asleep").returncode != 0
    assert daemon.ctl("agent", "state", "1001", "--for", "5m").returncode == 2
    assert "wrapup" in daemon.ctl("agent", "state", "1001").stdout
    metrics = daemon.api().get("/metrics").body.decode()
    assert 'interactd_agents{state="wrapup"} 1' in metrics
