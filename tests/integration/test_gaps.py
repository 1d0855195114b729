"""What was missed is noticed: on a live connection, while it was lost, while the daemon was
down; and it is told, recorded, and marked on the interactions it touches."""

import re

import pytest
from servers import wait_until
from support.daemon import SLOW, asterisk_channel
from support.steps import Steps

NOTHING = {"begin": 0, "end": 0, "leg": 0, "answer": 0, "bridge": 0, "queue": 0, "park": 0}


@pytest.fixture
def compared(pbx, eventually):
    """The daemon and the phone system, once the comparison of the start is over."""
    eventually(lambda: pbx[0].status()["channels"][0]["phone"]["compared_at"])
    return pbx


@pytest.fixture
def gaps(compared):
    pbx = compared

    def ask(**members):
        items = pbx[0].api().ok("/v1/channels/pbx-main/gaps")["items"]
        return [g for g in items if all(g[k] == v for k, v in members.items())]
    return ask


def resync(daemon):
    answer = daemon.api().request("POST", "/v1/channels/pbx-main/resync?wait=true", None)
    assert answer.status == 200, answer
    return answer.json


def metric(daemon, name):
    text = daemon.api().get("/metrics").body.decode()
    return int(re.search(rf"^interactd_{re.escape(name)} (\d+)$", text, re.M)[1])


def test_nothing_missed_is_no_gap(compared, gaps, subscriber):
    daemon, fake = compared
    Steps(fake, "22/direct-answered").ring("1001")
    subscriber.wait_pop(agent="1001", type="pop.open")
    found = resync(daemon)
    assert found["live"] and found["missed"] == NOTHING and found["gap"] is None, found
    assert gaps() == []  # the first start of this channel
    assert not subscriber.events(type="channel.gap_found")


def test_events_lost_on_a_live_connection(compared, gaps, subscriber, eventually):
    """The hangups are dropped, as past a manager's queue: only a comparison can tell."""
    daemon, fake = compared
    steps = Steps(fake, "22/direct-answered").answer("1001")
    subscriber.wait_pop(agent="1001", state="talking")
    fake.losing = True
    steps.rest()
    fake.losing = False
    text = daemon.ctl("channel", "resync", "pbx-main").stdout
    assert "Missed" in text and "2 ends" in text and "at least 2 events" in text, text
    subscriber.wait_pop(agent="1001", type="pop.close")
    event = subscriber.wait_event("channel.gap_found", timeout=10 * SLOW)["object"]
    gap, = gaps()
    assert gap == event | {"interactions": 1, "contacts": 1}
    assert gap["cause"] == "events_lost" and gap["calls"] == 1
    assert gap["missed"] == NOTHING | {"end": 2}
    call = subscriber.wait_event("interaction.ended")["object"]
    assert call["source"] == "events" and call["gap"]
    full = daemon.api().ok(f"/v1/interactions/{call['id']}")
    assert full["gap"] and full["source"] == "events"
    assert [(g["id"], g["missed"]) for g in full["gaps"]] == [(gap["id"], ["end", "leg"])]
    assert metric(daemon, 'gaps_total{channel="pbx-main",cause="events_lost"}') == 1
    assert metric(daemon, 'missed_calls_total{channel="pbx-main"}') == 1
    table = daemon.ctl("channel", "gaps", "pbx-main").stdout
    assert "events_lost" in table and "2 ends" in table


def test_a_gap_and_its_event_for_webhooks_are_one_transaction(compared, database, subscriber):
    """So that no crash between the two leaves a gap that nobody was told of."""
    daemon, fake = compared
    daemon.api().create("/v1/webhooks", {"url": "https://localhost:9/",
                                         "events": ["channel.gap_found"]})
    steps = Steps(fake, "22/direct-answered").answer("1001")
    subscriber.wait_pop(agent="1001", state="talking")
    fake.losing = True
    steps.rest()
    fake.losing = False
    resync(daemon)
    event = subscriber.wait_event("channel.gap_found", timeout=10 * SLOW)
    # both stand there with the time at which their transaction began
    assert database("select d.event_id::text, d.body::json #>> '{object,id}' = g.id::text "
                         "from webhook_delivery d join gap g on g.found_at = d.queued_at"
                         ) == [(event["id"], True)]


def test_a_call_that_began_unheard(compared, gaps, subscriber):
    daemon, fake = compared
    fake.losing = True
    steps = Steps(fake, "22/direct-answered").answer("1001").to("BridgeEnter")
    fake.losing = False
    found = resync(daemon)
    assert found["missed"]["begin"] == 2 and found["gap"], found
    assert subscriber.wait_pop(agent="1001", state="talking")["remote"]["value"]
    steps.rest()
    call = subscriber.wait_event("interaction.ended")["object"]
    assert call["gap"], call
    full = daemon.api().ok(f"/v1/interactions/{call['id']}")
    assert full["gaps"][0]["missed"] == ["begin", "leg"]


def test_a_lost_connection_is_a_gap(compared, gaps, subscriber, eventually):
    """A call that was up all the time is touched by it, though nothing of it is missing."""
    daemon, fake = compared
    steps = Steps(fake, "22/direct-answered").answer("1001")
    subscriber.wait_pop(agent="1001", state="talking")
    fake.drop_clients()
    eventually(lambda: gaps(cause="disconnected", interactions=1))
    gap, = gaps()
    assert gap["missed"] == NOTHING and gap["calls"] == 0
    assert gap["began_at"] < gap["ended_at"]
    assert not subscriber.events(type="channel.gap_found")
    steps.rest()
    call = subscriber.wait_event("interaction.ended")["object"]
    full = daemon.api().ok(f"/v1/interactions/{call['id']}")
    assert full["gap"] and full["gaps"][0]["missed"] == []


def test_the_time_that_the_daemon_was_down_is_a_gap(compared, gaps, subscriber, eventually):
    daemon, fake = compared
    steps = Steps(fake, "22/direct-answered").answer("1001")
    subscriber.wait_pop(agent="1001", state="talking")
    eventually(lambda: daemon.status()["backlog"]["committed"] > 0)
    daemon.kill()
    steps.rest()
    daemon.start()
    eventually(lambda: gaps(cause="daemon_down"))
    gap, = gaps()
    assert gap["missed"]["end"] == 2 and gap["calls"] == 1, gap
    call = subscriber.wait_event("interaction.ended")["object"]
    assert gap["began_at"] <= call["ended_at"] <= gap["ended_at"]
    assert daemon.api().ok(f"/v1/interactions/{call['id']}")["gaps"][0]["id"] == gap["id"]


def test_a_slow_phone_system_is_left_alone(make_daemon, asterisk):
    keys = asterisk_channel(asterisk, keepalive_s="100ms", answer_timeout_s="10")
    daemon = make_daemon(**{"channel pbx-main": keys})
    daemon.start()
    daemon.wait_channels()
    asterisk.mute = True

    def refused():
        answer = daemon.api().request("POST", "/v1/channels/pbx-main/resync", None)
        return answer if answer.status == 409 and b"slow to answer" in answer.body else None
    wait_until(refused, 10 * SLOW)
    asterisk.mute = False
