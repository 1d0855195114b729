#!/usr/bin/env python3
"""An Asterisk's manager port (AMI) for tests and the demo: no telephony behind it.

It logs clients in, answers the usual actions and lists, and plays recorded streams
(NAME.ami with NAME.ami.idx) to them, at their own speed or any other, cut into pieces,
doubled, interrupted. Only Python's standard library is used.

    with FakeAsterisk() as fake:                    # its own thread and event loop
        ... connect a client to fake.address, user "interactd", secret "secret"
        fake.play("direct-answered.ami", speed=0).wait(10)

From the shell:

    fake_asterisk.py play TRACE... [--port N] [--speed S] [--loop]
"""

import argparse
import asyncio
import hashlib
import random
import re
import secrets
import signal
import ssl
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from ami_model import Model  # noqa: E402
from ami_queues import Member, Queues  # noqa: E402
from ami_trace import Rewrite, Trace, parse, with_timestamp  # noqa: E402

# Where `make` unpacks the recordings.
TRACES = Path(__file__).resolve().parent.parent.parent / "build" / "traces"
LISTS = {"CoreShowChannels", "QueueStatus", "ParkedCalls"}
# Some of an Asterisk 22's actions, and who may use them.
COMMANDS = {
    "Command": "command", "CoreSettings": "system,reporting",
    "CoreShowChannels": "system,reporting", "CoreStatus": "system,reporting",
    "DeviceStateList": "call,reporting", "Filter": "system", "ListCommands": "<none>",
    "Originate": "originate", "PJSIPShowEndpoints": "system", "ParkedCalls": "call",
    "Ping": "<none>", "QueuePause": "agent", "QueueStatus": "<none>",
    "ShowDialPlan": "config,reporting"}


def encode(pairs):
    text = "".join(f"{k}: {v}\r\n" for k, v in pairs) + "\r\n"
    return text.encode("utf-8", "surrogateescape")


class Session:
    """One connection."""

    def __init__(self, server, reader, writer):
        self.server, self.reader, self.writer = server, reader, writer
        self.logged_in = False
        self.challenge = None
        self.mask = None  # None = everything, else a set of classes
        self.excluded = []
        self.lists_to_come = set(server.lists)  # not asked for yet

    @property
    def listening(self):
        """Logged in, and has got its lists: what comes now is live."""
        return self.logged_in and not self.lists_to_come

    # ---- writing

    def write(self, data):
        """All bytes leave in the pieces the server was told to cut."""
        if self.writer.is_closing():
            return
        for piece in self.server.cut(data):
            self.writer.write(piece)

    def respond(self, action, kind, *pairs):
        out = [("Response", kind)]
        if action.get("actionid"):
            out.append(("ActionID", action["actionid"]))
        self.write(encode(out + list(pairs)))

    def send_list(self, action, message, items, complete, *more):
        aid = [("ActionID", action["actionid"])] if action.get("actionid") else []
        self.respond(action, "Success", ("EventList", "start"), ("Message", message))
        for event, pairs in items:
            self.write(encode([("Event", event)] + aid + pairs))
        self.write(encode([("Event", complete)] + aid + [("EventList", "Complete"),
                   ("ListItems", str(len(items)))] + list(more)))

    def wants(self, raw):
        if not self.logged_in:
            return False
        if self.mask is not None:
            match = re.search(rb"^Privilege: (.*?)\r?$", raw, re.M)
            classes = set(match[1].decode().split(",")) - {"all"} if match else set()
            if not classes <= self.mask:
                return False
        return not any(pattern.search(raw) for pattern in self.excluded)

    # ---- reading

    async def run(self):
        server = self.server
        if server.banner is not None:
            self.write(server.banner.encode() + b"\r\n")
        lines = []
        while server.reading.is_set() or await server.reading.wait():
            line = await self.reader.readline()
            if not line:
                return
            line = line.rstrip(b"\r\n").decode("utf-8", "replace")
            if line:
                lines.append(line)
                continue
            if lines and not server.mute:
                await self.act(lines)
            lines = []

    async def act(self, lines):
        action, variables = {}, []
        for line in lines:
            key, _, value = line.partition(":")
            value = value.strip()
            if key.lower() == "variable":
                variables.append(value)
            action.setdefault(key.lower(), value)
        action["variables"] = variables
        name = action.get("action", "")
        self.server.note(name, action)
        denied = self.server.denied.get(name)
        handler = getattr(self, "on_" + name.lower(), None)
        if denied is not None:
            self.respond(action, "Error", ("Message", denied))
        elif not name:
            self.respond(action, "Error", ("Message", "Missing action in request"))
        elif not self.logged_in and name not in ("Login", "Challenge", "Logoff"):
            self.respond(action, "Error", ("Message", "Permission denied"))
        elif handler:
            result = handler(action)
            if asyncio.iscoroutine(result):
                await result
        else:
            self.respond(action, "Error", ("Message", f"Invalid/unknown command: {name}. "
                         "Use Action: ListCommands to show available commands."))
        self.lists_to_come.discard(name)
        self.server.changed()

    # ---- actions, by name

    def on_challenge(self, action):
        if action.get("authtype", "").upper() != "MD5":
            self.respond(action, "Error", ("Message", "Must specify AuthType"))
            return
        self.challenge = str(secrets.randbelow(10**9))
        self.respond(action, "Success", ("Challenge", self.challenge))

    def authentic(self, action):
        secret = self.server.users.get(action.get("username"))
        if secret is None:
            return False
        if action.get("authtype", "").upper() == "MD5":
            if self.challenge is None:
                return False
            right = hashlib.md5((self.challenge + secret).encode()).hexdigest()
            return action.get("key", "").lower() == right
        return action.get("secret") == secret

    async def on_login(self, action):
        server = self.server
        if not self.authentic(action):
            await asyncio.sleep(server.refuse_delay)
            self.respond(action, "Error", ("Message", "Authentication failed"))
            self.writer.close()
            return
        self.set_mask(action.get("events", "on"))
        self.respond(action, "Success", ("Message", "Authentication accepted"))
        self.logged_in = True
        server.logins += 1
        if server.booted:
            self.fully_booted()

    def fully_booted(self):
        uptime = str(int(time.time() - self.server.started))
        raw = encode([("Event", "FullyBooted"), ("Privilege", "system,all"),
                      ("Uptime", uptime), ("LastReload", uptime),
                      ("Status", "Fully Booted")])
        if self.wants(raw):
            self.write(raw)

    def set_mask(self, mask):
        if mask.lower() in ("on", "all", "true", "yes"):
            self.mask = None
        elif mask.lower() in ("off", "false", "no"):
            self.mask = set()
        else:
            self.mask = {m.strip() for m in mask.split(",")}

    def on_events(self, action):
        self.set_mask(action.get("eventmask", "on"))
        self.respond(action, "Success", ("Events", "Off" if self.mask == set() else "On"))

    def on_filter(self, action):
        if action.get("operation") != "Add" or not action.get("filter"):
            self.respond(action, "Error", ("Message", "Filter unspecified or unknown"))
            return
        if action["filter"].startswith("!"):
            self.excluded.append(re.compile(action["filter"][1:].encode(), re.S))
        self.respond(action, "Success", ("Message", "Success"))

    def on_ping(self, action):
        self.respond(action, "Success", ("Ping", "Pong"), ("Timestamp", f"{time.time():.6f}"))

    def on_logoff(self, action):
        self.respond(action, "Goodbye", ("Message", "Thanks for all the fish."))
        self.writer.close()

    def on_coresettings(self, action):
        server = self.server
        self.respond(action, "Success", ("AMIversion", (server.banner or "").rpartition("/")[2]),
                     ("AsteriskVersion", server.version), ("SystemName", ""))

    def on_corestatus(self, action):
        at = time.gmtime(self.server.started)
        self.respond(action, "Success", ("CoreStartupDate", time.strftime("%Y-%m-%d", at)),
                     ("CoreStartupTime", time.strftime("%H:%M:%S", at)),
                     ("CoreCurrentCalls", str(len(self.server.model.live))))

    def on_coreshowchannels(self, action):
        items = [("CoreShowChannel", i) for i in self.server.model.channels()]
        self.send_list(action, "Channels will follow", items, "CoreShowChannelsComplete")

    def on_queuestatus(self, action):
        items = self.server.queues.items()
        for entry in self.server.model.waiting():
            items.append(("QueueParams", [entry[0], ("Max", "0"), ("Calls", "1")]))
            items.append(("QueueEntry", entry))
        self.send_list(action, "Queue status will follow", items, "QueueStatusComplete")

    def on_parkedcalls(self, action):
        items = [("ParkedCall", i) for i in self.server.model.parked()]
        self.send_list(action, "Parked calls will follow", items, "ParkedCallsComplete",
                       ("Total", str(len(items))))

    def on_devicestatelist(self, action):
        self.send_list(action, "Device State Changes will follow",
                       self.server.queues.device_items(), "DeviceStateListComplete")

    async def on_queuepause(self, action):
        paused = action.get("paused", "").lower() in ("true", "yes", "1", "on")
        events = self.server.queues.pause(action.get("interface", ""), paused,
                                          action.get("reason", ""), action.get("queue"))
        if not events:
            self.respond(action, "Error", ("Message", "Interface not found"))
            return
        self.respond(action, "Success", (
            "Message", f"Interface {'paused' if paused else 'unpaused'} successfully"))
        await self.server.tell(events)

    def on_setvar(self, action):
        name, channel = action.get("variable"), action.get("channel", "")
        if not name:
            self.respond(action, "Error", ("Message", "No variable specified"))
        elif channel and not self.server.model.channel_named(channel):
            self.respond(action, "Error", ("Message", "No such channel"))
        else:
            self.server.model.variables[channel, name] = action.get("value", "")
            self.respond(action, "Success", ("Message", "Variable Set"))

    def on_getvar(self, action):
        name, channel = action.get("variable", ""), action.get("channel", "")
        if channel and not self.server.model.channel_named(channel):
            self.respond(action, "Error", ("Message", "No such channel"))
            return
        value = self.server.model.variables.get((channel, name), "")
        self.respond(action, "Success", ("Variable", name), ("Value", value))

    def on_listcommands(self, action):
        self.respond(action, "Success", *[(c, f"…  (Priv: {p},all)") for c, p in
                     self.server.commands.items() if self.server.may(p)])

    def on_pjsipshowendpoints(self, action):
        items = [("EndpointList", [("ObjectType", "endpoint"), ("ObjectName", name)])
                 for name in self.server.endpoints]
        self.send_list(action, "A listing of Endpoints follows, presented as EndpointList "
                       "events", items, "EndpointListComplete")

    def on_showdialplan(self, action):
        if action.get("context") not in self.server.contexts:
            self.respond(action, "Error", ("Message", "Did not find context "
                         f"{action.get('context')}"))
            return
        self.send_list(action, "DialPlan list will follow",
                       [("ListDialplan", [("Context", action["context"])])],
                       "ShowDialPlanComplete")

    def on_originate(self, action):
        if not action.get("channel"):
            self.respond(action, "Error", ("Message", "Channel not specified"))
            return
        self.respond(action, "Success", ("Message", "Originate successfully queued"))


class Play:
    """One recorded stream on its way to the clients. Made by FakeAsterisk.play."""

    def __init__(self, server, trace, speed, when, timestamps, twice, disconnect_at, lost,
                 instance, words, lossy):
        self.server, self.trace, self.speed = server, trace, speed
        self.when, self.timestamps, self.twice = when, timestamps, twice
        self.disconnect_at, self.lost, self.lossy = set(disconnect_at), lost, lossy
        self.instance, self.words = instance, words
        self.sent = 0
        self.late = 0.0  # seconds: how much behind its time the latest message left
        self.away = 0.0  # seconds: the longest time that nobody listened
        self.done = threading.Event()

    def wait(self, timeout=None):
        """True once the last message was written to the clients' sockets."""
        return self.done.wait(timeout)

    def _start_wall(self):
        """Wall time that the recording's connect is moved to."""
        if self.when == "recorded":
            return self.trace.wall
        if self.when == "past":  # so that it ends now
            return time.time() - self.trace.duration
        return time.time()

    async def run(self):
        try:
            await self._run()
        finally:
            self.done.set()

    async def _run(self):
        server = self.server
        start_wall = self._start_wall()
        rewrite = Rewrite(start_wall - self.trace.wall, self.instance, self.words)
        for message in self.trace.listed:
            if message.event in ("CoreShowChannel", "QueueEntry", "ParkedCall"):
                server.model.apply(parse(rewrite(message.raw)))
        if not self.lossy:
            await server.client_listening()
        start = time.monotonic()
        skip = 0
        for i, message in enumerate(self.trace.messages):
            if self.speed:
                due = start + message.at / self.speed
                await asyncio.sleep(due - time.monotonic())
                self.late = max(self.late, time.monotonic() - due)
            if i in self.disconnect_at:
                server.drop_clients()
                skip = self.lost
            raw = rewrite(message.raw)
            if self.timestamps:
                raw = with_timestamp(raw, start_wall + message.at)
            unheard, skip = skip > 0, max(0, skip - 1)
            if not unheard and not self.lossy:
                halted = time.monotonic()
                await server.client_listening()
                self.away = max(self.away, time.monotonic() - halted)
            await server.deliver(raw, 0 if unheard else 2 if self.twice else 1)
            self.sent += 1
            if message.event == "Shutdown":
                server.restart()


class FakeAsterisk:
    """The server. Every public method but the `async` ones may be called from any thread
    while it is used as a context manager; or run it in a loop of your own: await serve(),
    then await close()."""

    def __init__(self, *, host="127.0.0.1", port=0, path=None, tls=None,
                 users=None, version="22.10.1", banner="Asterisk Call Manager/11.0.0",
                 refuse_delay=1.0, pieces=None, seed=0):
        """tls: (certificate file, key file). pieces: None = whole messages, an int = that
        many bytes at most, "random" = 1 to 700. banner=None: none is sent."""
        self.host, self.port, self.path, self.tls = host, port, path, tls
        self.users = {"interactd": "secret"} if users is None else users
        self.version, self.banner, self.refuse_delay = version, banner, refuse_delay
        self.pieces, self.random = pieces, random.Random(seed)
        self.model = Model()
        self.queues = Queues()
        self.started = time.time() - 3600
        self.skew = None  # seconds: with it member events say their time, so far ahead
        self.booted = True
        self.mute = False  # reads and says nothing
        self.losing = False  # events happen and nobody is told, as past a full queue
        self.lists = set(LISTS)  # what a client asks for before a play begins
        self.denied = {}  # {"CoreShowChannels": "Permission denied"}: answered so
        self.commands = dict(COMMANDS)  # what there is: name -> privilege
        self.write_classes = None  # of the user; None = all but command
        self.endpoints = ["trunk", "1001", "1002", "1003"]  # PJSIP's
        self.contexts = {"from-internal"}
        self.actions = []  # [(name, {key: value})] as they came; keys in lower case
        self.logins = 0
        self.sessions = []
        self.plays = 0

    # ---- life

    @property
    def address(self):
        return f"unix:{self.path}" if self.path else f"{self.host}:{self.port}"

    async def serve(self):
        self.loop = asyncio.get_running_loop()
        self._changed = asyncio.Condition()
        self.reading = asyncio.Event()
        self.reading.set()
        self._tasks = set()
        await self._listen()

    async def _listen(self):
        context = None
        if self.tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self.tls)
        if self.path:
            self._server = await asyncio.start_unix_server(self._client, self.path, ssl=context)
        else:
            self._server = await asyncio.start_server(
                self._client, self.host, self.port, ssl=context)
            self.port = self._server.sockets[0].getsockname()[1]

    async def close(self):
        self._server.close()
        self.drop_clients()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def __enter__(self):
        up, failed = threading.Event(), []

        async def main():
            self._stop = asyncio.Event()
            try:
                await self.serve()
            except OSError as e:
                failed.append(e)
                return
            finally:
                up.set()
            await self._stop.wait()
            await self.close()

        self._thread = threading.Thread(target=lambda: asyncio.run(main()), daemon=True)
        self._thread.start()
        up.wait(10)
        if failed:
            raise failed[0]
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def _task(self, coroutine):
        task = self.loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _client(self, reader, writer):
        session = Session(self, reader, writer)
        self.sessions.append(session)
        task = asyncio.current_task()
        self._tasks.add(task)
        try:
            await session.run()
        except (ConnectionError, asyncio.IncompleteReadError, ValueError,
                asyncio.CancelledError):
            pass  # gone, or a line without end; cancelled by close()
        finally:
            self._tasks.discard(task)
            if session in self.sessions:
                self.sessions.remove(session)
            writer.close()
            self.changed()

    # ---- inside the loop

    def cut(self, data):
        if self.pieces is None:
            yield data
            return
        pos = 0
        while pos < len(data):
            n = self.random.randint(1, 700) if self.pieces == "random" else self.pieces
            yield data[pos:pos + n]
            pos += n

    def may(self, privileges):
        wanted = set(privileges.split(","))
        if self.write_classes is None:
            return "command" not in wanted
        return wanted == {"<none>"} or bool(wanted & self.write_classes)

    def changed(self):
        async def notify():
            async with self._changed:
                self._changed.notify_all()
        self._task(notify())

    def note(self, name, action):
        self.actions.append((name, action))

    async def client_listening(self):
        """Waits until some client is logged in and has its lists."""
        async with self._changed:
            await self._changed.wait_for(lambda: any(s.listening for s in self.sessions))

    async def deliver(self, raw, times=1):
        """To every client that wants it, and into the model."""
        self.model.apply(parse(raw))
        for session in list(self.sessions):
            if not times or self.losing or not session.wants(raw):
                continue
            session.write((raw + b"\r\n\r\n") * times)
            try:
                await session.writer.drain()
            except ConnectionError:
                pass

    # ---- from any thread

    def _call(self, fn, *args):
        if threading.current_thread() is getattr(self, "_thread", None) or \
                not hasattr(self, "_thread"):
            return fn(*args)

        async def call():
            return fn(*args)
        return asyncio.run_coroutine_threadsafe(call(), self.loop).result(10)

    def play(self, trace, *, speed=1.0, when="now", timestamps=False, twice=False,
             disconnect_at=(), lost=0, words=None, lossy=False, instance=None):
        """Starts playing a Trace or its path, and returns a Play to wait for.

        speed: 1 natural, 0 as fast as the client reads. when: "now" (it starts now),
        "past" (it ends now), "recorded" (nothing is shifted). timestamps: each event says
        its time, as with timestampevents=yes. twice: every message comes twice.
        disconnect_at: message numbers (from 0) before which all clients are cut off; the
        next `lost` messages then happen unheard. The play begins, and goes on after a
        disconnect, once a client has logged in and got its lists; with lossy=True it
        never waits. words: {"0912345678": "0955000111"}, replaced everywhere."""
        if not isinstance(trace, Trace):
            trace = Trace(trace)
        if instance is None:
            instance = self.plays if when != "recorded" else 0
        self.plays += 1
        play = Play(self, trace, speed, when, timestamps, twice, disconnect_at, lost,
                    instance, words, lossy)
        def start():
            play.task = self._task(play.run())
        self._call(start)
        return play

    def drop_clients(self):
        """Cuts off everybody, without a word; what was written before still arrives."""
        def drop():
            for session in self.sessions:
                session.writer.close()
            self.sessions.clear()
        self._call(drop)

    def restart(self, keep_pauses=False):
        """As after `core restart now`: everybody is cut off, no call is left, and no
        member's pause unless it is kept."""
        def drop():
            self.queues.restart(keep_pauses)
            for session in self.sessions:
                session.writer.close()
            self.sessions.clear()
            self.model.clear()
            self.started = max(time.time(), self.started + 1)
        self._call(drop)

    def stop_listening(self):
        """Nobody can connect any more; who is connected stays."""
        self._call(self._server.close)

    def start_listening(self):
        """At the same address again."""
        asyncio.run_coroutine_threadsafe(self._listen(), self.loop).result(10)

    def boot(self):
        """Says FullyBooted to all (with `booted = False` before, it was held back)."""
        def say():
            self.booted = True
            for session in self.sessions:
                session.fully_booted()
        self._call(say)

    def send_raw(self, data):
        """Bytes as they are, to every client, in no pieces."""
        def write():
            for session in self.sessions:
                session.writer.write(data)
        self._call(write)

    def send_event(self, event, privilege="call,all", **fields):
        """One event; a field's key may need dict syntax: **{"Cause-txt": "…"}."""
        raw = encode([("Event", event), ("Privilege", privilege)] + list(fields.items()))[:-4]

        async def deliver():
            await self.deliver(raw)
        asyncio.run_coroutine_threadsafe(deliver(), self.loop).result(10)

    async def tell(self, events, privilege="agent,all"):
        for event, fields in events:
            stamp = [("Timestamp", f"{time.time() + self.skew:.6f}")] \
                if self.skew is not None else []
            await self.deliver(encode([("Event", event), ("Privilege", privilege)] + stamp
                                      + fields)[:-4])

    def _tell(self, make, privilege="agent,all"):
        async def run():
            await self.tell(make(), privilege)
        asyncio.run_coroutine_threadsafe(run(), self.loop).result(10)

    def add_member(self, queue, interface, phone=None, paused=False, reason=""):
        """A queue member, as by AddQueueMember; phone: its StateInterface."""
        def add():
            m = Member(queue, interface, phone or interface, paused, reason)
            self.queues.members.append(m)
            return [("QueueMemberAdded", m.fields(self.queues.status(m)))]
        self._tell(add)

    def remove_member(self, queue, interface):
        def remove():
            gone = self.queues.find(interface, queue)
            self.queues.members = [m for m in self.queues.members if m not in gone]
            return [("QueueMemberRemoved", m.fields(self.queues.status(m))) for m in gone]
        self._tell(remove)

    def pause_member(self, interface, paused, reason="", queue=None):
        """Somebody pauses a member at the phone system, or takes it back."""
        self._tell(lambda: self.queues.pause(interface, paused, reason, queue))

    def set_device(self, device, state):
        """A phone's state: NOT_INUSE, UNAVAILABLE, …"""
        def change():
            self.queues.devices[device] = state
            fields = [("Device", device), ("State", state)]
            return [("DeviceStateChange", fields)] + [
                ("QueueMemberStatus", m.fields(self.queues.status(m)))
                for m in self.queues.members if m.phone == device]
        self._tell(change, "call,all")

    def paused(self, interface):
        """{queue: reason of its pause, or None}"""
        return {m.queue: m.reason if m.paused else None
                for m in self.queues.find(interface)}

    def stop_reading(self, stopped=True):
        self._call(self.reading.clear if stopped else self.reading.set)

    def seen(self, name):
        """The actions of that name so far."""
        return [action for n, action in list(self.actions) if n == name]

    def wait_until(self, condition, timeout=10):
        """Waits, without polling, until condition() is true after something a client did;
        False if the time runs out."""
        async def wait():
            async with self._changed:
                await self._changed.wait_for(condition)
        future = asyncio.run_coroutine_threadsafe(wait(), self.loop)
        try:
            future.result(timeout)
            return True
        except TimeoutError:
            future.cancel()
            return False


# ---- the command line


def find_trace(name):
    """A path, or a recording's name: direct-answered, or 16/direct-answered."""
    path = Path(name)
    if path.exists():
        return path
    suffix = "" if name.endswith(".ami") else ".ami"
    found = sorted(TRACES.rglob(f"{name}{suffix}"), reverse=True)  # newest Asterisk first
    if not found:
        sys.exit(f"fake_asterisk: no trace {name}, here or under {TRACES}")
    return found[0]


def words_of(args, round_number):
    """--number OLD=NEW; in NEW, {n} is the number of the play, so callers can differ."""
    words = {}
    for pair in args.number:
        old, _, new = pair.partition("=")
        words[old] = new.replace("{n}", f"{round_number:04}")
    return words


async def play_all(fake, traces, args):
    round_number = 0
    while True:
        running = []
        for trace in traces:
            play = fake.play(
                trace, speed=args.speed, when=args.when, timestamps=args.timestamps,
                twice=args.twice, words=words_of(args, round_number),
                disconnect_at=args.disconnect_at, lost=args.lost)
            round_number += 1
            running.append(play)
            if args.parallel:
                await asyncio.sleep(args.gap)
                continue
            await play.task
            print(f"played {trace.name}: {play.sent} messages", flush=True)
            await asyncio.sleep(args.gap)
        for play in running:
            await play.task
        if not args.loop:
            return


async def run(args):
    traces = [Trace(find_trace(name)) for name in args.trace]
    fake = FakeAsterisk(
        port=args.port, path=args.unix, users={args.user: args.secret}, pieces=args.pieces,
        tls=(args.tls_cert, args.tls_key) if args.tls_cert else None,
        version=traces[0].version if traces else "22.10.1",
        banner=traces[0].banner if traces else "Asterisk Call Manager/11.0.0")
    await fake.serve()
    print(f"listening on {fake.address}", flush=True)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        fake.loop.add_signal_handler(number, stop.set)
    player = asyncio.create_task(play_all(fake, traces, args) if traces else stop.wait())
    stopper = asyncio.create_task(stop.wait())
    await asyncio.wait({player, stopper}, return_when=asyncio.FIRST_COMPLETED)
    if player.done() and not stop.is_set():
        player.result()
        print("all played", flush=True)
        if not args.exit:
            await stop.wait()
    player.cancel()
    stopper.cancel()
    await fake.close()


def pieces(text):
    return text if text == "random" else int(text)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    p = commands.add_parser("play", help="serve, and play recorded streams to who logs in")
    p.add_argument("trace", nargs="*", help="FILE.ami, or a name under build/traces; none: "
                   "only answers")
    p.add_argument("--port", type=int, default=0, help="0 (default): any, it is printed")
    p.add_argument("--unix", metavar="PATH", help="a Unix socket instead of 127.0.0.1")
    p.add_argument("--tls-cert", metavar="PEM")
    p.add_argument("--tls-key", metavar="PEM")
    p.add_argument("--user", default="interactd")
    p.add_argument("--secret", default="secret")
    p.add_argument("--speed", type=float, default=1.0, help="0: as fast as possible")
    p.add_argument("--loop", action="store_true", help="again and again")
    p.add_argument("--parallel", action="store_true", help="all traces at once")
    p.add_argument("--gap", type=float, default=0.5, metavar="S", help="between traces")
    p.add_argument("--exit", action="store_true", help="end when all is played")
    p.add_argument("--when", choices=("now", "past", "recorded"), default="now")
    p.add_argument("--timestamps", action="store_true", help="as timestampevents=yes")
    p.add_argument("--twice", action="store_true", help="every message comes twice")
    p.add_argument("--pieces", type=pieces, metavar="N|random")
    p.add_argument("--number", action="append", default=[], metavar="OLD=NEW",
                   help="replaces a word everywhere; {n} in NEW counts the plays")
    p.add_argument("--disconnect-at", type=int, action="append", default=[], metavar="N")
    p.add_argument("--lost", type=int, default=0, metavar="N",
                   help="messages that happen unheard after each disconnect")
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(run(arguments()))
