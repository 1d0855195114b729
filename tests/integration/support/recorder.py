"""Everything that Redis was ever told of pops, whatever happened to Redis meanwhile: heard
by pub/sub, and read from the streams after each interruption. One object per number:
(kind, list, epoch, seq)."""

import json
import threading
from collections import defaultdict

import redis


class Recorder:
    def __init__(self, path, tenant="default"):
        self.path, self.tenant = path, tenant
        self.pops = {}  # ("agent" or "queue", id, epoch, seq) -> object
        self.epochs = []  # in the order they were first heard of
        self.events = []
        self.wrong = []  # what must never be: one number, two objects
        self.lock = threading.Lock()
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    # ---- listening

    def _run(self):
        while not self.ended.is_set():
            try:
                self._listen()
            except (redis.RedisError, OSError):
                self.ended.wait(0.02)  # Redis is away

    def _listen(self):
        client = redis.Redis(unix_socket_path=self.path)
        pubsub = client.pubsub()
        pubsub.psubscribe(f"interactd:{self.tenant}:*")
        pubsub.get_message(timeout=5)
        self.read_streams()
        while not self.ended.is_set():
            message = pubsub.get_message(timeout=0.1)
            if message and message["type"] == "pmessage":
                self._heard(message["channel"].decode().split(":", 3)[2:],
                            json.loads(message["data"]))
        pubsub.close()

    def read_streams(self):
        client = redis.Redis(unix_socket_path=self.path, socket_timeout=20)
        prefix = f"interactd:{self.tenant}:"
        for key in client.scan_iter(f"{prefix}*pops:*", count=1000):
            kind, _, name = key.decode().removeprefix(prefix).partition(":")
            for _, fields in client.xrange(key):
                self._heard(["queue" if kind == "queue-pops" else "agent", name],
                            json.loads(next(iter(fields.values()))))
        client.close()

    def _heard(self, place, message):
        with self.lock:
            if place[0] == "events":
                self.events.append(message)
                return
            if message["epoch"] not in self.epochs:
                self.epochs.append(message["epoch"])
            key = (*place, message["epoch"], message["seq"])
            if self.pops.setdefault(key, message) != message:
                self.wrong.append((key, self.pops[key], message))

    def close(self):
        self.ended.set()
        self.thread.join(30)

    # ---- what was heard

    def lists(self):
        """{(kind, id): {epoch: [objects by seq]}}, epochs in their order."""
        found = defaultdict(lambda: defaultdict(list))
        with self.lock:
            items = sorted(self.pops.items(),
                           key=lambda i: (self.epochs.index(i[0][2]), i[0][3]))
        for (kind, name, epoch, _), message in items:
            found[kind, name][epoch].append(message)
        return found

    def by_interaction(self):
        """{interaction: {pop: [objects]}} of agents, in their order."""
        found = defaultdict(lambda: defaultdict(list))
        for (kind, _), epochs in self.lists().items():
            for messages in epochs.values():
                for m in messages if kind == "agent" else ():
                    found[m["interaction"]][m["pop"]].append(m)
        return found

    # ---- what must hold of all of it

    def check(self):
        assert not self.wrong, f"one number, two objects: {self.wrong[:3]}"
        for place, epochs in self.lists().items():
            for epoch, messages in epochs.items():
                seqs = [m["seq"] for m in messages]
                assert seqs == list(range(1, len(seqs) + 1)), \
                    f"{place}: the numbers of epoch {epoch} have a gap: {seqs}"
                check_list(place, messages, last=epoch == self.epochs[-1])

    def left_open(self):
        """What Redis holds as open now."""
        client = redis.Redis(unix_socket_path=self.path)
        prefix = f"interactd:{self.tenant}:"
        return [json.loads(v) for pattern in ("open:*", "queue-open:*")
                for key in client.scan_iter(prefix + pattern, count=1000)
                for v in client.hvals(key)]


def check_list(place, messages, last):
    """In one epoch each pop is opened at most once, before all else, and closed once,
    after all else; only what an epoch's loss cut short is left without its end."""
    state = {}
    for m in messages:
        before, what = state.get(m["pop"]), m["type"]
        if what == "pop.open":
            assert before is None, f"{place}: opened again ({before}): {m}"
        elif what == "pop.update":
            assert before in ("pop.open", "pop.update"), f"{place}: {before}, then {m}"
        else:
            # Issued under an earlier epoch, it may be closed under this one.
            assert before != "pop.close", f"{place}: closed twice: {m}"
            assert m["reason"], m
        state[m["pop"]] = what
    open_still = [p for p, what in state.items() if what != "pop.close"]
    assert not (last and open_still), f"{place}: never closed: {open_still}"
