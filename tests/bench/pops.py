"""AMI byte to Redis subscriber: the same calls played to the floor and to interactd."""

import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import calls
from machine import Helper, cpu_ms as machine_cpu_ms, resident_kb, start_daemon

AGENTS = 1000
# A rate is sustained if every pop comes, none degraded, and so soon.
SUSTAINED_P99_US = 100_000


class Load:
    """Calls, and who listens for their pops."""

    def __init__(self, store, script):
        self.store = store
        self.player = Helper("ami_load", script, store.contacts, AGENTS)
        self.port = int(self.player.hear().split()[1])
        self.ears = Helper("pop_listen", store.redis.path)

    def wait_client(self):
        while self.player.hear() != "client":
            pass

    def done(self, timeout):
        """Waits until all calls are played; by how many ms the player was late."""
        while True:
            word, *rest = self.player.hear(timeout).split()
            if word == "done":
                return int(rest[0])

    def heard(self):
        self.ears.say("")
        out = {}
        while True:
            key, value = self.ears.hear().split()
            if key == "end":
                return out
            out[key] = float(value)

    def play(self, rate, count, hold_ms=0):
        """Plays them all, and waits for the last pop, 5 s at most. What was heard."""
        self.heard()
        self.player.say(f"play {rate} {count} {hold_ms}")
        late = self.done(count / rate + hold_ms / 1000 + 120)
        total, end = None, time.monotonic() + 5
        while True:
            part = self.heard()
            total = merge(total, part)
            if total["opens"] >= count or time.monotonic() > end:
                break
            time.sleep(0.1)
        total["late_ms"] = late
        total["missing"] = count - total["opens"]
        return total

    def cpu_ms(self):
        """Processor time so far of all that works for pops, but not of who plays the
        calls and who listens."""
        return machine_cpu_ms([self.pid, self.store.redis.process.pid,
                               *self.store.postgres.processes()])

    def close(self):
        self.player.close()
        self.ears.close()


def merge(total, part):
    """Counts are added; percentiles are the larger part's (the rest is its tail)."""
    if total is None:
        return part
    out = {k: total[k] + part[k] for k in ("opens", "updates", "closes", "degraded", "n")}
    larger = total if total["n"] >= part["n"] else part
    out.update({k: larger[k] for k in ("p50_us", "p99_us", "pop_bytes")})
    out["max_us"] = max(total["max_us"], part["max_us"])
    return out


@contextmanager
def floor(store, script, *more):
    load = Load(store, script)
    target = Helper("floor_pop", load.port, store.floor, store.redis.path, *more)
    load.pid = target.process.pid
    try:
        load.wait_client()
        yield load
    finally:
        load.close()
        target.close()


@contextmanager
def duties(store, script):
    """The floor with what the contract asks for beside the pop, in the least way."""
    store.empty_redis()
    with tempfile.TemporaryDirectory() as directory:
        with floor(store, script, Path(directory) / "spool") as load:
            yield load


@contextmanager
def ours(store, script):
    store.empty_redis()
    load = Load(store, script)
    with tempfile.TemporaryDirectory() as directory:
        daemon = start_daemon(Path(directory) / "d", store.conninfo, store.redis,
                              load.port)
        load.daemon = daemon
        load.pid = daemon.process.pid
        try:
            yield load
        finally:
            daemon.finish()
            load.close()


def script(directory, dialplan=False):
    path = Path(directory) / ("dialplan.call" if dialplan else "call")
    count, size = calls.write_script(path, dialplan)
    return path, count, size


def is_sustained(result):
    return (result["missing"] == 0 and result["degraded"] == 0
            and result["p99_us"] <= SUSTAINED_P99_US
            and result["late_ms"] <= SUSTAINED_P99_US / 1000)


def highest_rate(load, first, seconds, steps):
    """Up by half until it is too much, then `steps` halvings of what lies between; a
    rate that fails has a second chance, for the machine's sake."""
    def holds(rate):
        for _ in range(2):
            if is_sustained(load.play(rate, int(rate * seconds))):
                return True
            time.sleep(2)  # what waits is written
        return False

    good, bad = 0, None
    rate = first
    while bad is None or steps > 0:
        if bad is not None:
            steps -= 1
        if holds(rate):
            good = rate
        else:
            bad = rate
        rate = good * 1.5 if bad is None else (good + bad) / 2
        if good == 0 and bad < 50:
            break
    return good


def memory_with_calls(store, script, count):
    """Resident kB with nothing up, and with `count` calls talking."""
    with ours(store, script) as load:
        idle = resident_kb(load.daemon)
        load.heard()
        load.player.say(f"play 500 {count} 8000")
        end = time.monotonic() + 30
        updates = 0
        while updates < count and time.monotonic() < end:
            time.sleep(0.2)
            updates += load.heard()["updates"]
        up = resident_kb(load.daemon)
        load.done(60)
        return idle, up
