"""Every recorded scenario, from the manager's bytes to rows, pops, stream and open hash,
against its ground truth; again with the stream cut into pieces, with every message
twice, and with connections lost.

All scenarios of both Asterisks play at once and at natural speed into one daemon, each to
a channel of a tenant of its own, so that a mode takes as long as its longest scenario. A
sanitized binary, for which that is more than it can do, gets them in waves."""

import os
import random
import time

import pytest
from conftest import SLOW, Database, flush, new_database
from support import truth
from support.daemon import Daemon, asterisk_channel
from support.farm import Farm
from support.pops import Subscriber, check_pops, validate
from servers import wait_until

NAMES = sorted(truth.ground_truth()) if (truth.TRACES / "ground-truth.json").exists() else []
AGENTS = [str(n) for n in range(1001, 1007)]
SEED = 20261121


def tenant_of(name):
    return name.replace("/", "-")


def disconnects(name):
    """A random place in the stream; the same one in every run. The play halts there until
    the daemon is back and has seen what there is: a moment that a phone system can be
    seen in, not one between the events of a single change."""
    messages = truth.load(name).messages
    places = [n for n in range(1, len(messages))
              if messages[n].at - messages[n - 1].at > 0.02]
    return [random.Random(f"{SEED}{name}").choice(places)] if places else []


MODES = {
    # The times are those of receipt, as with most Asterisks.
    "natural": dict(play={}, spread=0.05),
    "random-pieces": dict(fake={"pieces": "random", "seed": SEED}, play={"timestamps": True}),
    "single-bytes": dict(fake={"pieces": 1}, play={"timestamps": True}, wave=35),
    "twice": dict(play={"timestamps": True, "twice": True}),
    "disconnect": dict(play={"timestamps": True}, disconnect=True),
}


class Run:
    """One mode: the daemon, what was played, and what came of it."""

    def __init__(self, mode, daemon, database, subscriber):
        self.mode, self.daemon = mode, daemon
        self.database, self.subscriber = database, subscriber
        self.plays = {}

    def interactions(self, name):
        api = self.daemon.api(tenant=tenant_of(name))
        return [api.ok(f"/v1/interactions/{i}")
                for i in self.database.interactions(tenant_of(name))]

    def late(self, name):
        """On a busy machine we are late with what we play, and maybe the daemon too: a
        sanitized one as much as it is slower."""
        if MODES[self.mode]["play"].get("timestamps") or name not in self.plays:
            return 0.0
        return 2 * self.plays[name].late + (SLOW - 1) * truth.TOLERANCE_MS / 1000

    def away(self, name):
        return self.plays[name].away if name in self.plays else 0.0

    def is_settled(self):
        """All that was played is applied, committed and told."""
        status = self.daemon.status()
        return (sum(c["phone"]["calls"] for c in status["channels"]) == 0
                and status["backlog"]["waiting"] == status["backlog"]["in_batch"] == 0
                and status["pops"]["open"] == status["pops"]["pending"] == 0)


def in_single_bytes(name):
    """Every byte costs a system call here and one there: a quarter of the scenarios, of
    one Asterisk or the other, is sent so (all of them are in the parser's own tests), the
    rest in pieces of eleven. EVERY_BYTE=1 sends all of them so."""
    if os.environ.get("EVERY_BYTE"):
        return True
    scenarios = sorted({n.split("/")[1] for n in NAMES})
    version, scenario = name.split("/")
    n = scenarios.index(scenario)
    # Not the one whose snapshot and events must be of one moment.
    return scenario not in ("burst-50", "resync-live") and n % 2 == 0 and version == ("16", "22")[n // 2 % 2]


def make_fake(farm, name, mode):
    trace = truth.load(name)
    options = dict(MODES[mode].get("fake", {}))
    if options.get("pieces") == 1 and not in_single_bytes(name):
        options["pieces"] = 11
    if name.endswith("login-refused"):
        options["users"] = {}
    return farm.add(version=trace.version, banner=trace.banner, **options)


def play_one(run, name, fake):
    more = dict(MODES[run.mode]["play"])
    if name.endswith("resync-live"):
        # The list we are given at first has no times: those of the events must agree.
        more.pop("timestamps", None)
    if MODES[run.mode].get("disconnect"):
        more["disconnect_at"] = disconnects(name)
    run.plays[name] = fake.play(truth.load(name), **more)


def play_all(run, fakes):
    begin = time.monotonic()
    spread = MODES[run.mode].get("spread", 0)
    wave = MODES[run.mode].get("wave", 1000) if SLOW == 1 else 25
    for name, fake in fakes.items():
        if name.endswith("login-refused") or name in run.plays:
            continue
        play_one(run, name, fake)
        if spread and name.endswith("burst-50"):
            # Half of all bytes: alone, where the times are ours.
            assert run.plays[name].wait(60 * SLOW)
            begin = time.monotonic()
        due = begin + spread * len(run.plays)
        wait_until(lambda due=due: time.monotonic() >= due, 60)
        if len(run.plays) % wave == 0:
            wait_for(run.plays)
    wait_for(run.plays)


def wait_for(plays):
    for name, play in plays.items():
        assert play.wait(120 * SLOW), f"{name}: {play.sent} of {len(play.trace.messages)}"


@pytest.fixture(scope="module", params=list(MODES))
def run(request, session_postgres, session_redis, template, directory):
    mode = request.param
    flush(session_redis)
    database = Database(session_postgres, new_database(session_postgres, template))
    subscriber = Subscriber(session_redis.path)
    daemon = Daemon(directory / database.name, database.conninfo, session_redis.address)
    daemon.expect(r"login-refused.*(refuse|Authentication)")
    # The burst first: it plays alone.
    names = sorted(NAMES, key=lambda n: not n.endswith("burst-50"))
    farm = Farm()
    try:
        fakes = {name: make_fake(farm, name, mode) for name in names}
        for name, fake in fakes.items():
            daemon.configure(**{
                f"tenant {tenant_of(name)}": {"region": "TW"},
                f"channel {tenant_of(name)}": asterisk_channel(
                    fake, tenant=tenant_of(name))})
        run = Run(mode, daemon, database, subscriber)
        for name in names:
            if name.endswith("resync-live"):
                # Its calls are up before we come.
                play_one(run, name, fakes[name])
        daemon.start()
        play_all(run, fakes)
        wait_until(run.is_settled, 20 * SLOW, "the daemon to settle")
        yield run
    finally:
        farm.close()
        subscriber.close()
        daemon.finish()


@pytest.mark.parametrize("name", NAMES)
def test_scenario(run, name):
    tenant = tenant_of(name)
    got = run.interactions(name)
    late = run.late(name)
    in_order = truth.check_interactions(name, got, late, away=run.away(name))
    if name.endswith("/burst-50"):
        truth.check_burst(name, got, late)
    truth.check_pops_of(name, run.subscriber, tenant, in_order)
    truth.check_queue_pops(name, run.subscriber, tenant, in_order)
    check_pops(run.subscriber, tenant, AGENTS)
    check_stream(run, tenant)
    check_events(run, tenant, in_order)
    check_timelines(run, tenant, in_order)


def check_stream(run, tenant):
    """What a client that reconnects would read is what was published."""
    for agent in AGENTS:
        heard = [m for m in run.subscriber.all_pops(tenant, agent)]
        stored = run.subscriber.stream(tenant, agent)
        assert [i for i, _ in stored] == [f"{m['seq']}-0" for m in heard][-len(stored):]
        assert len(stored) == len(heard)
        for (_, pop), m in zip(stored, heard):
            m.pop("_bytes", None)
            assert pop == m


def check_events(run, tenant, interactions):
    """Each interaction is created once and ended once."""
    for i in interactions:
        for kind in ("interaction.created", "interaction.ended"):
            events = [e for e in run.subscriber.events(tenant, kind)
                      if e["object"]["id"] == i["id"]]
            assert len(events) == 1, (kind, i["id"], len(events))
            validate("event", events[0])
        assert events[0]["object"]["disposition"] == i["disposition"]


def check_timelines(run, tenant, interactions):
    """Each call is on its contact's timeline, once."""
    api = run.daemon.api(tenant=tenant)
    for i in interactions:
        if not i["contact"]:
            continue
        items = api.ok(f"/v1/contacts/{i['contact']}/timeline")["items"]
        for item in items:
            validate("timeline", item)
        assert [x["id"] for x in items].count(i["id"]) == 1


def test_nothing_else_was_heard(run):
    """No call of a scenario leaks into another tenant, and all interactions are told."""
    wanted = {f"interactd:{tenant_of(n)}:" for n in NAMES}
    for channel, _ in run.subscriber.snapshot():
        assert any(channel.startswith(w) for w in wanted), channel
    assert run.daemon.status()["backlog"]["quarantined"] == 0


# ---- what is lost for good


@pytest.fixture(scope="module")
def lossy(session_postgres, session_redis, template, directory):
    """Three disconnects per scenario; after each, messages happen that nobody hears."""
    flush(session_redis)
    database = Database(session_postgres, new_database(session_postgres, template))
    subscriber = Subscriber(session_redis.path)
    daemon = Daemon(directory / database.name, database.conninfo, session_redis.address)
    names = [n for n in NAMES if n.startswith("22/")
             and not n.endswith(("burst-50", "login-refused"))]
    farm = Farm()
    try:
        fakes = {}
        for name in names:
            trace = truth.load(name)
            fakes[name] = farm.add(version=trace.version, banner=trace.banner)
            daemon.configure(**{
                f"tenant {tenant_of(name)}": {"region": "TW"},
                f"channel {tenant_of(name)}": asterisk_channel(
                    fakes[name], tenant=tenant_of(name))})
        daemon.start()
        daemon.wait_channels()
        plays = []
        for name, fake in fakes.items():
            n = len(truth.load(name).messages)
            chosen = random.Random(f"{SEED}lossy{name}")
            places = sorted(chosen.randrange(n) for _ in range(3)) if n else []
            plays.append(fake.play(truth.load(name), timestamps=True, disconnect_at=places,
                                   lost=chosen.randrange(1, 20)))
        for play in plays:
            assert play.wait(60 * SLOW)
        # What the last snapshot does not list any more is over, soon after.
        for fake in fakes.values():
            fake.drop_clients()
        run = Run("lossy", daemon, database, subscriber)
        wait_until(run.is_settled, 30 * SLOW, "the daemon to settle")
        yield run
    finally:
        farm.close()
        subscriber.close()
        daemon.finish()


@pytest.mark.parametrize("name", [n for n in NAMES if n.startswith("22/")
                                  and not n.endswith(("burst-50", "login-refused"))])
def test_lost_messages_leave_nothing_open_and_nothing_doubled(lossy, name):
    tenant = tenant_of(name)
    check_pops(lossy.subscriber, tenant, AGENTS)
    interactions = lossy.interactions(name)
    assert len(interactions) <= truth.ground_truth()[name]["interactions"]
    for i in interactions:
        validate("interaction", i)
        assert i["state"] == "ended"
    assert len({i["external_id"] for i in interactions}) == len(interactions)


# ---- the same recording again


def test_a_second_play_of_a_recording_is_new_calls(make_daemon, asterisk, subscriber,
                                                   database, eventually):
    daemon = make_daemon(**{"tenant default": {"region": "TW"},
                            "channel pbx": asterisk_channel(asterisk)})
    daemon.start()
    trace = truth.load("22/direct-answered")
    plays = [asterisk.play(trace, words={"0912345678": f"091234500{n}"}) for n in (1, 2)]
    for play in plays:
        assert play.wait(30)
    eventually(lambda: len(subscriber.events(type="interaction.ended")) == 2)
    assert len(database.interactions()) == 2
    check_pops(subscriber, "default", ["1001"])


def test_a_call_is_shown_within_milliseconds(make_daemon, asterisk, subscriber):
    """From the event on the wire to the pop at a subscriber, with contact data."""
    daemon = make_daemon(**{"tenant default": {"region": "TW"},
                            "channel pbx": asterisk_channel(asterisk)})
    daemon.start()
    daemon.api().contact("王小明", "0912345678")
    daemon.wait_channels()
    asterisk.play(truth.load("22/direct-answered"), timestamps=True)
    pop = subscriber.wait_pop(agent="1001", type="pop.open")
    seen = time.time()
    assert pop["contact"]["name"] == "王小明" and not pop["degraded"]
    at = time.mktime(time.strptime(pop["at"][:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone
    at += int(pop["at"][20:23]) / 1000
    assert seen - at < 0.5 * SLOW
