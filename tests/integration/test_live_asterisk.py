"""A real Asterisk, with sipp as its phones and its carrier: the scenarios of the
recordings, run now, must give the same.

Asterisk comes from Debian's packages into $SANDBOX_WORK (~/.cache/asterisk-sandbox), about
20 seconds the first time; INTERACTD_ASTERISK=16 takes the oldest one instead of 22. Run by
`make check-asterisk`."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from servers import wait_until
from support import truth
from support.daemon import BUILD, SLOW, asterisk_channel
from support.pops import check_pops

pytestmark = pytest.mark.asterisk

SANDBOX = Path(__file__).resolve().parents[1] / "lib" / "asterisk-sandbox"
VERSION = os.environ.get("INTERACTD_ASTERISK", "22")
SUITE = {"22": "sid", "16": "bullseye"}[VERSION]
WORK = os.environ.get("SANDBOX_WORK") or os.path.expanduser("~/.cache/asterisk-sandbox")
AGENTS = [str(n) for n in range(1001, 1007)]
SCENARIOS = [
    "direct-answered", "direct-agent-hangup", "direct-cancel", "direct-busy",
    "queue-answered", "queue-ringall-second", "queue-rna-then-second", "queue-abandon",
    "queue-two-waiting", "hold-unhold", "transfer-blind-refer", "transfer-attended-ami",
    "park-retrieve", "originate-answered", "originate-busy", "internal-call",
    "local-optimised", "cid-anonymous", "cid-utf8", "recorded-call", "voicemail",
    "restart-graceful"]


@pytest.fixture(scope="module")
def drive():
    """The scenarios' driver, with an Asterisk that runs and phones that are registered."""
    if not shutil.which("sipp"):
        pytest.fail("sipp is needed (Debian: sip-tester)")
    subprocess.run([SANDBOX / "asterisk-sandbox", "install", f"{WORK}/root-{VERSION}",
                    "--suite", SUITE], check=True)
    sys.path.insert(0, str(SANDBOX))
    import drive
    import sandbox
    sandbox.configure(VERSION, WORK)
    sandbox.start_asterisk()
    try:
        sandbox.register()
        yield drive
    finally:
        sandbox.stop_asterisk()
        sys.path.remove(str(SANDBOX))


@pytest.fixture
def daemon(make_daemon, drive):
    port = drive.sandbox.AMI
    keys = asterisk_channel(type("Live", (), {"address": f"127.0.0.1:{port}"}),
                            username="ctl", secret="ctlpass")
    daemon = make_daemon(**{"tenant default": {"region": "TW"}, "channel pbx-main": keys})
    daemon.start()
    daemon.wait_channels()
    return daemon


def interactions(daemon, database):
    return [daemon.api().ok(f"/v1/interactions/{i}") for i in database.interactions()]


@pytest.mark.parametrize("name", SCENARIOS)
def test_live(drive, daemon, database, subscriber, name):
    calls = drive.run(name)["calls"] or []
    truth.add(name, calls, f"{drive.sandbox.OUT}/{name}.ami")
    case = f"live/{name}"
    expected = truth.ground_truth()[case]["interactions"]

    def settled():
        status = daemon.status()
        return (status["channels"][0]["phone"]["calls"] == 0
                and status["backlog"]["waiting"] == status["backlog"]["in_batch"] == 0
                and status["pops"]["open"] == status["pops"]["pending"] == 0
                and len(subscriber.events(type="interaction.ended")) == expected)

    try:
        wait_until(settled, 20 * SLOW)
    except TimeoutError:
        pass  # what is missing is told better below
    got = interactions(daemon, database)
    # Receipt times, on a machine that runs the phones and Asterisk too.
    in_order = truth.check_interactions(case, got, late=0.05 * SLOW)
    truth.check_pops_of(case, subscriber, "default", in_order)
    truth.check_queue_pops(case, subscriber, "default", in_order)
    check_pops(subscriber, "default", AGENTS)


def test_calls_that_were_up_before_we_came(drive, make_daemon, database, subscriber,
                                           eventually):
    """The daemon starts in the middle of a call, and is killed and started again."""
    sandbox = drive.sandbox
    sandbox.quiet()
    sandbox.phone(1001, ring=300)
    sandbox.caller("0912345678", "5001", talk=60000)
    wait_until(lambda: "2 active channels" in sandbox.cli("core show channels count"), 20)
    keys = asterisk_channel(type("Live", (), {"address": f"127.0.0.1:{sandbox.AMI}"}),
                            username="ctl", secret="ctlpass")
    daemon = make_daemon(**{"tenant default": {"region": "TW"}, "channel pbx-main": keys})
    daemon.start()
    pop = subscriber.wait_pop(agent="1001", state="talking", timeout=10 * SLOW)
    assert pop["remote"]["value"] == "+886912345678"
    daemon.kill()
    daemon.start()
    daemon.wait_channels()
    assert [p["pop"] for p in daemon.api().pops("1001")] == [pop["pop"]]
    sandbox.stop_sipp()
    sandbox.cli("channel request hangup all")
    subscriber.wait_pop(agent="1001", type="pop.close", timeout=20 * SLOW)
    eventually(lambda: len(subscriber.events(type="interaction.ended")) == 1)
    check_pops(subscriber, "default", ["1001"])
    assert len(database.interactions()) == 1


@pytest.mark.parametrize("interface", ["PJSIP/1001", "Local/1001@agents/n"])
def test_click_to_dial(drive, make_daemon, subscriber, eventually, interface):
    """The id that POST /v1/calls gives is the interaction's, through phones that ring."""
    sandbox = drive.sandbox
    sandbox.quiet()
    keys = asterisk_channel(type("Live", (), {"address": f"127.0.0.1:{sandbox.AMI}"}),
                            username="ctl", secret="ctlpass", dial_allow="^09",
                            dial_context="click-to-call", dial_timeout_s="3")
    daemon = make_daemon(**{"tenant default": {"region": "TW"}, "channel pbx-main": keys})
    daemon.start()
    daemon.wait_channels()
    api = daemon.api()
    api.create("/v1/agents", {"id": "1001", "interfaces": [interface]})

    def dial():
        answer = api.post("/v1/calls", {"agent": "1001", "to": "0911-222-333"})
        assert answer.status == 202, answer
        ended = subscriber.wait_event("interaction.ended", timeout=20 * SLOW,
                                      id=answer.json["id"])["object"]
        assert (ended["remote"]["value"], ended["agent"]) == ("+886911222333", "1001")
        return ended

    sandbox.phone(1001, ring=500)
    sandbox.customer_phone("0911222333", ring=1000, talk=2000)
    ended = dial()
    assert ended["disposition"] == "answered" and 1500 < ended["talk_ms"] < 4000, ended
    pop = subscriber.wait_pop(agent="1001", type="pop.close")
    assert pop["reason"] == "completed" and pop["interaction"] == ended["id"]
    states = subscriber.states(subscriber.by_pop(agent="1001")[pop["pop"]])
    assert states == ["ringing", "talking"]
    for do, disposition in (("busy", "busy"), ("noanswer", "no_answer")):
        sandbox.stop_sipp()
        sandbox.phone(1001, do=do)
        assert dial()["disposition"] == disposition
    sandbox.stop_sipp()
    sandbox.register([1001], expires=0)
    assert dial()["disposition"] == "unreachable"
    sandbox.register([1001])
    eventually(lambda: daemon.status()["pops"]["open"] == 0)
    check_pops(subscriber, "default", ["1001"])


@pytest.mark.parametrize("user,code", [("ctl", 1), ("narrow", 1)])
def test_channel_check(drive, tmp_path, user, code):
    """A user who may do everything, and one who may do little: a warning for each."""
    path = tmp_path / "interactd.conf"
    keys = asterisk_channel(
        type("Live", (), {"address": f"127.0.0.1:{drive.sandbox.AMI}"}), username=user,
        secret=f"{user}pass", own_numbers="0285550100", agents="^PJSIP/(100[1-6])$",
        dial_context="click-to-call")
    path.write_text("[postgresql]\nconninfo = dbname=x\n[channel pbx-main]\n" + "".join(
        f"{k} = {v}\n" for k, v in keys.items()))
    done = subprocess.run([BUILD / "interactctl", "-c", path, "channel", "check", "pbx-main",
                           "--json"], capture_output=True, text=True, timeout=60)
    found = json.loads(done.stdout)
    assert done.returncode == code, done
    said = " | ".join(f["what"] for f in found["findings"])
    if user == "ctl":
        assert "1 trunk (trunks): PJSIP/trunk" in said and "6 phones of agents" in said, said
        assert "console commands" in said, said
    else:
        assert "FullyBooted was not heard" in said, said
        assert "which phones and trunks there are cannot be seen" in said, said
        assert "read = call,agent,system" in found["write"]


def test_one_state_here_and_in_its_queues(drive, daemon, database, eventually):
    """A member paused at the phone system is seen, one paused here is paused there, and a
    restart of Asterisk, which forgets its pauses, gets them again."""
    sandbox = drive.sandbox
    api = daemon.api()

    def becomes(**members):
        def so():
            got = api.ok("/v1/agents/1001/state")
            return all(got[k] == v for k, v in members.items())
        eventually(so, what=f"{members}, not {api.ok('/v1/agents/1001/state')}")

    def pauses():
        """Of PJSIP/1001, by queue, as Asterisk shows them."""
        shown = {}
        for queue in ("support", "linear"):
            lines = [line for line in sandbox.cli(f"queue show {queue}").splitlines()
                     if "PJSIP/1001" in line]
            shown[queue] = "paused" in lines[0]
        return shown

    becomes(state="available", phone="ok")
    agent = api.ok("/v1/agents/1001")
    assert {"support", "linear"} <= set(agent["phone_queues"])
    assert agent["phones"][0]["device"] == "idle"

    sandbox.cli("queue pause member PJSIP/1001 queue linear reason tea")
    sandbox.cli("queue pause member PJSIP/1001 queue support reason tea")
    becomes(state="paused", reason="tea", source="phone")
    sandbox.cli("queue unpause member PJSIP/1001")
    becomes(state="available", source="phone")

    for _ in range(3):
        assert api.put("/v1/agents/1001/state",
                       {"state": "paused", "reason": "lunch 午餐"}).status == 200
        assert api.put("/v1/agents/1001/state", {"state": "available"}).status == 200
    api.put("/v1/agents/1001/state", {"state": "paused", "reason": "lunch 午餐"})
    becomes(state="paused", source="api", phone="ok")
    assert pauses() == {"support": True, "linear": True}
    becomes(state="paused", source="api", reason="lunch 午餐", phone="ok")

    sandbox.stop_asterisk()
    sandbox.start_asterisk()
    sandbox.register()
    eventually(lambda: pauses() == {"support": True, "linear": True}, timeout=30)
    becomes(state="paused", source="api", reason="lunch 午餐", phone="ok")
    # Taken back at the phone system, it is over here too.
    sandbox.cli("queue unpause member PJSIP/1001")
    becomes(state="available", source="phone", phone="ok")


@pytest.mark.parametrize("name, kind", [("cel-custom", "cel"), ("cdr-csv", "cdr")])
def test_calls_while_the_daemon_was_stopped_are_filled_in(
        drive, make_daemon, database, subscriber, eventually, name, kind):
    """From the file that this Asterisk itself writes."""
    sandbox = drive.sandbox
    sandbox.quiet()
    keys = asterisk_channel(type("Live", (), {"address": f"127.0.0.1:{sandbox.AMI}"}),
                            username="ctl", secret="ctlpass", history_format=kind,
                            history=f"{sandbox.ROOT}/log/{name}/Master.csv")
    daemon = make_daemon(**{"tenant default": {"region": "TW"}, "channel pbx-main": keys})
    daemon.start()
    daemon.wait_channels()
    eventually(lambda: daemon.status()["channels"][0]["phone"]["compared_at"])
    daemon.stop()
    assert not database.interactions()
    call = drive.run("queue-answered")["calls"][0]
    daemon.start()
    gap = subscriber.wait_event("channel.gap_filled", timeout=20 * SLOW)["object"]
    assert gap["cause"] == "daemon_down" and gap["history"]["written"] == 1
    got, = interactions(daemon, database)
    assert got["source"] == kind and got["gap"] and got["disposition"] == "answered"
    assert got["remote"]["value"] == "+886912345678" and got["contact"]
    assert got["agent"] == call["answered_by"] and got["queue"] == call["queue"]
    if kind == "cel":
        assert abs(got["talk_ms"] - call["talk_s"] * 1000) < 1000
    assert not subscriber.all_pops() and not subscriber.events(type="interaction.ended")
