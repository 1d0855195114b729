"""Fifty calls at once, and in the middle of them something dies: interactd, PostgreSQL,
Redis, the phone system, the wire to it; one by one, and all together at random.

The phone system (tests/lib/phone_system.py) keeps the truth of each call and of when
nobody could hear it. Afterwards: every call that could be known is in the timeline once,
with its contact, agent and outcome; `interrupted` only where sight was lost; each pop was
opened and closed once, with numbers without a gap or a new epoch; nothing stays open.

`make chaos` runs all of it, and the last test for ten minutes (CHAOS_SECONDS, CHAOS_SEED);
`make check` a part, and a sanitized binary the last test only."""

import os
import random
import tempfile
import threading
import time

import pytest
from fake_asterisk import FakeAsterisk
from phone_system import PhoneSystem
from servers import Redis, wait_until
from support.chaos import Losses, check_all
from support.daemon import SLOW, Daemon, asterisk_channel
from support.recorder import Recorder

CALLS = 50
SECONDS = float(os.environ.get("CHAOS_SECONDS", "30" if SLOW == 1 else "20"))
ALL = bool(os.environ.get("CHAOS_ALL"))
SEED = int(os.environ.get("CHAOS_SEED", "20261121"))
NAMES = [f"{version}/{name}" for version in (16, 22) for name in (
    "direct-answered", "direct-agent-hangup", "direct-busy", "direct-cancel", "hold-unhold",
    "local-dial", "queue-answered", "queue-abandon", "queue-ringall-second",
    "queue-rna-then-second", "queue-reject-then-second", "transfer-blind-refer",
    "transfer-attended-ami", "park-retrieve", "originate-answered", "originate-busy",
    "recorded-call", "voicemail")]
extra_only = pytest.mark.skipif(not ALL, reason="CHAOS_ALL is not set")
# Where every test takes four times as long, the one that has all of it is enough.
brief = pytest.mark.skipif(SLOW > 1 and not ALL, reason="sanitized, and no CHAOS_ALL")


def extra(value):
    return pytest.param(value, marks=extra_only)


# Lines of level error that an outage brings.
OUTAGE = ("PostgreSQL|database|postgres|connection|[Rr]edis|pbx-main",)


class Ward:
    """All that can be broken, and the ways to do it. What is broken for a while is told in
    `outages` where it takes something from what must be told."""

    def __init__(self, directory, postgres, database, seed):
        self.directory, self.postgres, self.database = directory, postgres, database
        self.redis = Redis(directory, keep=True)
        self.redis.start()
        self.recorder = Recorder(self.redis.path)
        self.fake = FakeAsterisk(refuse_delay=0.05)
        self.fake.__enter__()
        self.random = random.Random(seed)
        self.redis_outages = []
        self.done = []  # (what, for how long)
        self.daemon = Daemon(directory + "/d", database.conninfo, self.redis.address)
        self.daemon.expect(*OUTAGE)
        self.daemon.configure(**{
            "tenant default": {"region": "TW", "timezone": "Asia/Taipei"},
            "channel pbx-main": asterisk_channel(
                self.fake, agents="^PJSIP/(11[0-9][0-9])$", reconnect_max_ms="100ms")})
        self.daemon.start()
        self.daemon.wait_channels()
        self.phones = PhoneSystem(self.fake, names=NAMES, seed=seed, slow=SLOW)

    def close(self):
        try:
            self.daemon.finish()
        finally:
            self.fake.__exit__()
            self.recorder.close()
            self.redis.close()

    # ---- time

    def for_a_while(self, low, high):
        """That time passes is what is to happen here; nothing else could be awaited."""
        seconds = self.random.uniform(low, high) * SLOW
        threading.Event().wait(seconds)
        return seconds

    def busy(self):
        """All calls are up, and somebody hears of them."""
        self.phones.keep_up(CALLS)
        wait_until(lambda: self.phones.alive() >= CALLS - 5 and self.phones.is_heard(),
                   60 * SLOW, f"{CALLS} calls to be up")

    # ---- breaking

    def kill_daemon(self, low=0.0, high=1.5):
        self.phones.kill_client(self.daemon.kill)
        self.for_a_while(low, high)
        self.daemon.start(ready=False)

    def stop_postgres(self, mode, low=0.2, high=2.0):
        if mode == "pause":
            self.postgres.pause()
        else:
            self.postgres.stop(mode)
        self.for_a_while(low, high)
        if mode == "pause":
            self.postgres.resume()
        else:
            self.postgres.start()

    def stop_redis(self, how, low=0.1, high=1.5):
        began = time.time()
        if how == "flush":
            import redis
            redis.Redis(unix_socket_path=self.redis.path, socket_timeout=10).flushall()
        elif how == "pause":
            self.redis.pause()
            self.for_a_while(low, high)
            self.redis.resume()
        else:
            self.redis.kill()
            if how == "lose":
                self.redis.wipe()
            self.for_a_while(low, high)
            self.redis.start()
        # Until it is noticed (every 2 s at the latest) what was open is not told again.
        self.redis_outages.append((began, time.time() + 3 * SLOW))

    def kill_asterisk(self, low=0.1, high=1.0):
        self.phones.die()
        self.for_a_while(low, high)
        self.phones.come_back()

    def cut_wire(self):
        self.phones.cut()

    def anything(self):
        """One mishap, chosen at random, in the middle of what others have left."""
        what = self.random.choice(MISHAPS)
        self.done.append(what)
        name, args = what[0], what[1:]
        getattr(self, name)(*args)

    # ---- afterwards

    def settled(self):
        if not self.daemon.is_ready():
            return False
        status = self.daemon.status()
        return (sum(c["phone"]["calls"] for c in status["channels"]) == 0
                and all(c["phone"]["synced"] for c in status["channels"])
                and status["backlog"]["waiting"] == status["backlog"]["in_batch"] == 0
                and status["pops"]["open"] == status["pops"]["pending"] == 0)

    def rows(self):
        api = self.daemon.api()
        return [api.ok(f"/v1/interactions/{i}") for i in self.database.interactions()]

    def check(self):
        """Lets all calls come to their end, and compares."""
        self.phones.stop_calling()
        self.wait_for(lambda: self.phones.alive() == 0, "the calls to end")
        self.wait_for(self.settled, "the daemon to settle")
        self.recorder.read_streams()
        losses = Losses()
        check_all(self.phones, self.rows(), self.recorder, self.redis_outages, losses)
        self.recorder.check()
        assert self.recorder.left_open() == []
        status = self.daemon.status()
        assert status["backlog"]["quarantined"] == 0, status["backlog"]
        print(f"\n{len(self.phones.calls)} calls ({losses}); {len(self.done)} mishaps "
              f"({', '.join(f'{n} {w}' for w, n in self.tally())}); "
              f"{self.daemon.starts} starts, {len(self.recorder.pops)} pop messages in "
              f"{len(self.recorder.epochs)} epochs")

    def wait_for(self, condition, what):
        try:
            wait_until(condition, 60 * SLOW, interval=0.1)
        except TimeoutError:
            raise AssertionError(
                f"{what}: not so. Last {self.done[-10:]}; {self.phones.alive()} calls, to "
                f"be written {self.phones.not_read()}; {self.daemon.status()}\n"
                f"{self.daemon.log()[-3000:]}") from None

    def tally(self):
        names = [" ".join(w) for w in self.done]
        return sorted((n, names.count(n)) for n in set(names))


MISHAPS = [
    ("kill_daemon",), ("kill_daemon",), ("kill_daemon",),
    ("stop_postgres", "fast"), ("stop_postgres", "immediate"), ("stop_postgres", "pause"),
    ("stop_redis", "keep"), ("stop_redis", "lose"), ("stop_redis", "flush"),
    ("stop_redis", "pause"), ("kill_asterisk",), ("cut_wire",), ("cut_wire",)]


@pytest.fixture
def ward(postgres, database, directory):
    with tempfile.TemporaryDirectory(dir=directory, prefix="chaos.") as name:
        os.chmod(name, 0o711)
        ward = Ward(name, postgres, database, SEED)
        try:
            yield ward
        finally:
            postgres.resume()
            if not postgres.pid:
                postgres.start()
            ward.close()


def several(ward, name, *args, times=1):
    """In the middle of fifty calls, and again once they are up again."""
    for _ in range(times * (2 if ALL else 1)):
        ward.busy()
        ward.for_a_while(0.3, 1.0)
        ward.done.append((name, *args))
        getattr(ward, name)(*args)
    ward.busy()
    ward.check()


@brief
def test_interactd_is_killed(ward):
    several(ward, "kill_daemon", times=2)


@brief
@pytest.mark.parametrize("mode", ["immediate", extra("fast"), extra("pause")])
def test_postgresql_stops_and_starts(ward, mode):
    several(ward, "stop_postgres", mode)


@brief
@pytest.mark.parametrize("how", ["lose", extra("keep"), extra("flush"), extra("pause")])
def test_redis_stops_and_starts(ward, how):
    several(ward, "stop_redis", how)


@brief
def test_asterisk_is_killed(ward):
    several(ward, "kill_asterisk")


@extra_only
def test_the_wire_is_cut(ward):
    several(ward, "cut_wire", times=2)


def test_everything_at_random(ward):
    """Several at once: a mishap does not wait for the one before to be over."""
    print(f"\nseed {SEED}, {SECONDS:.0f} s (CHAOS_SEED, CHAOS_SECONDS)")
    ward.busy()
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        ward.anything()
        ward.for_a_while(0.0, 1.5)
    ward.check()
