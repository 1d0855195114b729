"""A phone system with calls of its own: they go on whether or not anybody listens.

A FakeAsterisk plays recordings and waits for its client; this one waits for nobody. Each
call is a recorded scenario under ids, a customer and agents of its own. What happened is
the truth, kept here with the time of every step, beside the stretches in which nobody
heard us; from both follows what a client must know, may know and cannot know.

    phones = PhoneSystem(fake, names=["22/queue-answered", ...], seed=1)
    phones.keep_up(50)              # calls at once, from now on
    phones.cut(); phones.restart()  # the wire, or the phone system itself
    phones.stop_calling(); phones.wait_quiet(60)
"""

import asyncio
import collections
import random
import time

from ami_trace import Rewrite, Trace, first, parse, with_timestamp
from fake_asterisk import TRACES

# The people of the recordings; each call gets others in their place.
RECORDED_AGENTS = ("1001", "1002", "1003", "1004", "1005", "1006")
RECORDED_CUSTOMERS = ("0912345678", "0911222333")
# What a client had not yet read when it was killed is lost with it, though we had sent it.
UNREAD_S = 1.0


def overlaps(stretch, others):
    return any(a < stretch[1] and stretch[0] < b for a, b in others)


def within(stretch, others):
    return any(a <= stretch[0] and stretch[1] <= b for a, b in others)


class Call:
    """One call and its truth. Times are time.time()."""

    def __init__(self, name, trace, number, agents, instance, speed):
        self.name, self.trace, self.number, self.speed = name, trace, number, speed
        self.agents = agents  # the recording's agent -> ours
        words = {**{old: number for old in RECORDED_CUSTOMERS}, **agents}
        self.rewrite = Rewrite(time.time() - trace.wall, instance, words)
        self.linked = None  # of its first channel
        self.steps = []  # (time, event) of everything that tells something of the call
        self.outside = [None, None]  # from, to: when the customer's channel was there
        self.bridged = {}  # channel -> its bridge
        self.talks = []  # [agent, from, to]: agent and customer connected
        self.killed = None  # when the phone system died under it
        self.ended = None

    def took_place(self, message, pairs, at):
        channel = first(pairs, b"Channel").decode("utf-8", "replace")
        other = first(pairs, b"DestChannel").decode("utf-8", "replace")
        if not channel and not other:
            return
        if message.event in ("VarSet", "TestEvent", "Cdr", "Newexten", "MusicOnHoldStart",
                             "MusicOnHoldStop", "NewConnectedLine"):
            return
        if self.linked is None and message.event == "Newchannel":
            self.linked = first(pairs, b"Linkedid").decode()
        self.steps.append((at, message.event))
        if channel.startswith("PJSIP/trunk-") or other.startswith("PJSIP/trunk-"):
            self.outside[0] = self.outside[0] or at
            self.outside[1] = at
        if message.event in ("BridgeEnter", "BridgeLeave", "Hangup"):
            self._talk(message.event, channel, first(pairs, b"BridgeUniqueid"), at)

    def _connected(self):
        """Who is in the customer's bridge, or in one joined to it by a Local channel."""
        bridges = [b for c, b in self.bridged.items() if c.startswith("PJSIP/trunk-")]
        for bridge in bridges:
            for channel in [c for c, b in self.bridged.items() if b == bridge]:
                half = channel[:-1] + ("2" if channel[-1] == "1" else "1")
                other = self.bridged.get(half) if ";" in channel else None
                if other and other not in bridges:
                    bridges.append(other)
        return {c for c, b in self.bridged.items() if b in bridges}

    def _talk(self, event, channel, bridge, at):
        if event == "BridgeEnter":
            self.bridged[channel] = bridge
        elif event == "Hangup" or self.bridged.get(channel) == bridge:
            self.bridged.pop(channel, None)
        there = {c.removeprefix("PJSIP/").partition("-")[0] for c in self._connected()}
        talking = there & set(self.agents.values())
        for talk in self.talks:
            if talk[2] is None and talk[0] not in talking:
                talk[2] = at
        for agent in talking - {t[0] for t in self.talks if t[2] is None}:
            self.talks.append([agent, at, None])

    def over(self, at, killed):
        self.ended = at
        self.killed = at if killed else None
        for talk in self.talks:
            talk[2] = talk[2] or at
        if self.killed and self.outside[0]:
            self.outside[1] = at

    @property
    def stretch(self):
        return (self.steps[0][0], self.ended) if self.steps else (self.ended, self.ended)

    def is_missed_in(self, unheard):
        """Whether a client cannot know all of it."""
        return any(overlaps((at, at + 1e-6), unheard) for at, _ in self.steps)

    def must_be_known(self, unheard):
        """The customer's channel was there while somebody heard us, or asked."""
        return self.outside[0] is not None and not within(self.outside, unheard)

    def known_talks(self, unheard, lists):
        """Those that were heard to begin, or that a list told of while they lasted. Of one
        that began and lasted in silence its end alone does not tell what it was."""
        def heard(at):
            return not overlaps((at, at + 1e-6), unheard)
        return [agent for agent, begin, end in self.talks if heard(begin)
                or any(begin <= at <= end and heard(at) for at in lists)]


class PhoneSystem:
    def __init__(self, fake, *, names, seed=0, agents=24, speed=(1.5, 4.0), slow=1):
        self.fake, self.slow = fake, slow
        self.random = random.Random(seed)
        self.traces = {n: Trace(TRACES / f"{n}.ami") for n in names}
        self.names = list(names)
        self.agents = [str(1101 + n) for n in range(agents)]
        self.speed = speed
        self.calls = []
        self.unheard = []  # finished stretches in which nobody listened
        self.silent_since = time.time()
        self.deaf = None  # since when the client is dead, until we notice
        self.sent = collections.deque(maxlen=20000)  # (time, bytes), the latest last
        self.listed = []  # when somebody asked which channels there are
        self.wanted = 0
        self.running = {}  # Call -> task
        self._on_fake(self._watch)
        asyncio.run_coroutine_threadsafe(self._keep(), fake.loop)

    def _on_fake(self, fn):
        async def run():
            return fn()
        return asyncio.run_coroutine_threadsafe(run(), self.fake.loop).result(30)

    # ---- who hears us

    def _watch(self):
        told = self.fake.changed

        def changed():
            self._note_listeners()
            told()
        self.fake.changed = changed
        noted = self.fake.note

        def note(name, action):
            if name == "CoreShowChannels":
                self.listed.append(time.time())
            noted(name, action)
        self.fake.note = note

    def _note_listeners(self):
        now = time.time()
        if any(s.listening for s in self.fake.sessions):
            if self.silent_since is not None:
                self.unheard.append((self.silent_since, now))
                self.silent_since = None
        elif self.silent_since is None:
            self.silent_since = min(self.deaf or now, now) - UNREAD_S * self.slow
            self.deaf = None

    def kill_client(self, kill):
        """kill() ends the client, from this moment on and before what it has not read."""
        unread, now = self.not_read(), time.time()
        for at, size in reversed(self.sent):
            if unread <= 0:
                break
            unread, now = unread - size, at
        self.deaf = now
        kill()
        self._on_fake(self._note_listeners)

    def not_read(self):
        """Bytes that clients have not taken yet: with us, and in the kernel."""
        written = self._on_fake(lambda: sum(s.writer.transport.get_write_buffer_size()
                                            for s in self.fake.sessions))
        with open("/proc/net/tcp", encoding="ascii") as f:
            for line in f.readlines()[1:]:
                _, local, remote, _, queues = line.split()[:5]
                if f"{self.fake.port:04X}" in (local[-4:], remote[-4:]):
                    written += sum(int(q, 16) for q in queues.split(":"))
        return written

    def not_heard(self):
        """All stretches in which nobody heard us, up to now."""
        def read():
            self._note_listeners()
            more = [(self.silent_since, time.time())] if self.silent_since else []
            return self.unheard + more
        merged = []
        for a, b in sorted(self._on_fake(read)):
            if merged and a <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(b, merged[-1][1]))
            else:
                merged.append((a, b))
        return merged

    def lists(self):
        return list(self.listed)

    def is_heard(self):
        return self._on_fake(lambda: any(s.listening for s in self.fake.sessions))

    # ---- calls

    async def _keep(self):
        """As many calls as are wanted; they begin a few at a time."""
        while True:
            for _ in range(min(3, self.wanted - len(self.running))):
                self._begin()
            await asyncio.sleep(0.05)

    def _begin(self):
        name = self.random.choice(self.names)
        # Most callers are new; some call again.
        known = [c.number for c in self.calls[-200:]]
        again = known and self.random.random() < 0.1
        number = self.random.choice(known) if again else f"0912{len(self.calls):06d}"
        agents = dict(zip(RECORDED_AGENTS, self.random.sample(self.agents, 6)))
        call = Call(name, self.traces[name], number, agents, len(self.calls) + 1,
                    self.random.uniform(*self.speed) / self.slow)
        self.calls.append(call)
        task = self.running[call] = self.fake._task(self._run(call))

        def over(task):
            # Also of one that was killed before it began.
            call.over(time.time(), task.cancelled())
            self.running.pop(call, None)
        task.add_done_callback(over)

    async def _run(self, call):
        start = time.monotonic()
        for message in call.trace.messages:
            await asyncio.sleep(start + message.at / call.speed - time.monotonic())
            at = time.time()
            raw = with_timestamp(call.rewrite(message.raw), at)
            call.took_place(message, parse(raw), at)
            self._note_listeners()
            self.sent.append((at, len(raw) + 4))
            await self.fake.deliver(raw)

    def keep_up(self, n):
        self.wanted = n

    def stop_calling(self):
        self.wanted = 0

    def alive(self):
        return len(self.running)

    # ---- what befalls it

    def cut(self):
        """The wire: everybody is cut off, calls go on."""
        self.fake.drop_clients()

    def die(self):
        """The phone system is gone, and every call with it; nobody is told."""
        def die():
            for task in list(self.running.values()):
                task.cancel()
            self.wanted_before, self.wanted = self.wanted, 0
        self._on_fake(die)
        self.fake.restart()
        self.fake.stop_listening()

    def come_back(self):
        self.fake.start_listening()
        self.wanted = self.wanted_before

