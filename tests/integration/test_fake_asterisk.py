"""The fake Asterisk itself: what it tells a client has to be what a real one would, or the
tests that stand on it prove nothing."""

import hashlib
import socket
import time

import pytest
from ami_model import Model
from ami_trace import Rewrite, Trace, first, parse
from fake_asterisk import TRACES, FakeAsterisk

ALL = sorted(TRACES.glob("*/*.ami"))
NAMES = [f"{p.parent.name}/{p.stem}" for p in ALL]


class Client:
    """A manager client of the plainest kind."""

    def __init__(self, fake, login=True):
        self.socket = socket.create_connection((fake.host, fake.port), 10)
        self.file = self.socket.makefile("rb")
        self.banner = self.file.readline()
        self.seen = []
        if login:
            assert self.ask("Login", Username="interactd", Secret="secret") == "Success"

    def send(self, action, **fields):
        pairs = [("Action", action), ("ActionID", action), *fields.items()]
        text = "".join(f"{k}: {v}\r\n" for k, v in pairs) + "\r\n"
        self.socket.sendall(text.encode())

    def read(self):
        """The next message's pairs; None at the end."""
        lines = []
        while True:
            line = self.file.readline()
            if not line:
                return None
            if line == b"\r\n":
                self.seen.append(parse(b"".join(lines).removesuffix(b"\r\n")))
                return self.seen[-1]
            lines.append(line)

    def until(self, key, value):
        while (message := self.read()) is not None:
            if first(message, key.encode()).decode() == value:
                return message
        raise AssertionError(f"the connection ended before {key}: {value}")

    def ask(self, action, **fields):
        self.send(action, **fields)
        message = self.until("ActionID", action)
        self.answer = message
        return first(message, b"Response").decode()

    def lists(self):
        """Asks for all three; the items of each, without key and ActionID."""
        found = []
        for action, item in (("CoreShowChannels", "CoreShowChannel"),
                             ("QueueStatus", "QueueEntry"), ("ParkedCalls", "ParkedCall")):
            assert self.ask(action) == "Success"
            start = len(self.seen)
            end = self.until("Event", f"{action}Complete")
            items = [m for m in self.seen[start:] if first(m, b"Event").decode() == item]
            assert action == "QueueStatus" or len(items) == int(first(end, b"ListItems"))
            found.append(items)
        return found

    def events(self, name):
        return [m for m in self.seen if first(m, b"Event").decode() == name]

    def close(self):
        self.file.close()
        self.socket.close()


@pytest.fixture
def fake():
    with FakeAsterisk(refuse_delay=0.2) as fake:
        yield fake


def test_logins(fake):
    plain = Client(fake)
    assert plain.banner == b"Asterisk Call Manager/11.0.0\r\n"
    assert first(plain.read(), b"Event") == b"FullyBooted"
    md5 = Client(fake, login=False)
    assert md5.ask("Challenge", AuthType="MD5") == "Success"
    challenge = first(md5.answer, b"Challenge")
    key = hashlib.md5(challenge + b"secret").hexdigest()
    assert md5.ask("Login", AuthType="MD5", Username="interactd", Key=key) == "Success"
    wrong = Client(fake, login=False)
    since = time.monotonic()
    assert wrong.ask("Login", Username="interactd", Secret="wrong") == "Error"
    assert time.monotonic() - since >= 0.2
    assert wrong.read() is None
    stranger = Client(fake, login=False)
    assert stranger.ask("CoreShowChannels") == "Error"
    for client in (plain, md5, wrong, stranger):
        client.close()


def test_actions(fake):
    client = Client(fake)
    assert client.ask("Ping") == "Success"
    assert client.ask("NoSuchAction") == "Error"
    assert client.ask("CoreSettings") == "Success"
    assert first(client.answer, b"AsteriskVersion") == b"22.10.1"
    assert client.ask("Originate") == "Error"
    fake.denied["CoreShowChannels"] = "Permission denied"
    assert client.ask("CoreShowChannels") == "Error"
    assert client.ask("Logoff") == "Goodbye"
    assert client.read() is None
    client.close()


def test_masks_and_filters_leave_events_out(fake):
    client = Client(fake)
    assert client.ask("Events", EventMask="call,agent") == "Success"
    assert client.ask("Filter", Operation="Add", Filter="!Event: Hold") == "Success"
    fake.send_event("VarSet", "dialplan,all")
    fake.send_event("Hold", "call,all")
    fake.send_event("Unhold", "call,all")
    client.until("Event", "Unhold")
    assert not client.events("VarSet") and not client.events("Hold")
    client.close()


@pytest.mark.parametrize("options", [
    {}, {"pieces": 1}, {"pieces": "random"}, {"twice": True},
    {"disconnect_at": [1, 17, 60]}, {"disconnect_at": [30], "lost": 10},
], ids=str)
def test_a_play_tells_all_that_happened(options):
    trace = Trace(TRACES / "22" / "queue-answered.ami")
    options = dict(options)
    connections = 1 + len(options.get("disconnect_at", ()))
    heard = []
    with FakeAsterisk(pieces=options.pop("pieces", None)) as fake:
        play = fake.play(trace, speed=0, when="recorded", **options)
        for n in range(connections):
            client = Client(fake)
            client.lists()
            if n < connections - 1:
                while client.read():
                    pass
            else:
                assert play.wait(10)
                fake.send_event("TheEnd")
                client.until("Event", "TheEnd")
            heard += [m for m in client.seen if first(m, b"Privilege")]
            client.close()
    heard = [m for m in heard if first(m, b"Event") not in (b"FullyBooted", b"TheEnd")]
    told = [m.pairs for m in trace.messages for _ in range(2 if options.get("twice") else 1)]
    if "lost" in options:
        at = options["disconnect_at"][0]
        told[at:at + options["lost"]] = []
    assert heard == told


def test_timestamps_keep_the_recordings_distances(fake):
    trace = Trace(TRACES / "22" / "direct-answered.ami")
    client = Client(fake)
    client.lists()
    fake.play(trace, speed=0, when="past", timestamps=True)
    client.until("Event", "DialEnd")
    begin = float(first(client.events("DialBegin")[0], b"Timestamp"))
    end = float(first(client.events("DialEnd")[0], b"Timestamp"))
    recorded = {m.event: m.at for m in trace.messages if m.event in ("DialBegin", "DialEnd")}
    assert end - begin == pytest.approx(recorded["DialEnd"] - recorded["DialBegin"], abs=1e-4)
    assert abs(time.time() - end) < 60
    client.close()


def test_two_plays_of_one_trace_share_no_id(fake):
    trace = TRACES / "22" / "transfer-attended-ami.ami"
    client = Client(fake)
    client.lists()
    plays = [fake.play(trace, speed=0, words={"0912345678": f"091234567{n}"})
             for n in range(2)]
    assert all(play.wait(10) for play in plays)
    fake.send_event("TheEnd")
    client.until("Event", "TheEnd")
    new = client.events("Newchannel")
    for key in (b"Uniqueid", b"Channel"):
        assert len({first(m, key) for m in new}) == len(new)
    bridges = {first(m, b"BridgeUniqueid") for m in client.events("BridgeCreate")}
    assert len(bridges) == len(client.events("BridgeCreate"))
    numbers = {first(m, b"CallerIDNum") for m in new}
    assert {b"0912345670", b"0912345671"} <= numbers and b"0912345678" not in numbers
    client.close()


@pytest.mark.parametrize("path", ALL, ids=NAMES)
def test_at_the_end_of_a_recording_nothing_is_listed(path):
    trace, model = Trace(path), Model()
    for m in trace.listed:
        if m.event in ("CoreShowChannel", "QueueEntry", "ParkedCall"):
            model.apply(m.pairs)
    for m in trace.messages:
        model.apply(m.pairs)
    assert not model.channels() and not model.waiting() and not model.parked()


def test_calls_up_at_the_recordings_start_are_listed_as_they_were(fake):
    trace = Trace(TRACES / "22" / "resync-live.ami")
    fake.lists = {"Ping"}  # hold the play back until the lists were compared
    fake.play(trace, speed=0, when="recorded")
    client = Client(fake)
    channels, waiting, parked = client.lists()

    def of(items, *leave_out):
        leave = {b"ActionID", *leave_out}
        return [[p for p in m if p[0] not in leave] for m in items]

    recorded = {}
    for m in trace.listed:
        recorded.setdefault(m.event, []).append(m.pairs)
    assert of(channels) == of(recorded["CoreShowChannel"])
    assert of(waiting, b"Wait") == of(recorded["QueueEntry"][:1], b"Wait")
    assert [sorted(m) for m in of(parked)] == [sorted(m) for m in of(recorded["ParkedCall"])]
    client.close()


def test_shutdown_is_a_restart(fake):
    client = Client(fake)
    client.lists()
    started = fake.started
    fake.play(TRACES / "22" / "restart-graceful.ami", speed=0)
    client.until("Event", "Shutdown")
    assert client.read() is None
    assert fake.started > started
    client.close()


def test_rewriting_changes_ids_and_nothing_else():
    raw = (b"Event: BridgeEnter\r\nChannel: Local/1002@agents-0000000a;1\r\n"
           b"BridgeUniqueid: 326583c7-226a-44e6-a785-bf931a9ba5af\r\n"
           b"Uniqueid: 1795278207.289\r\nAppData: PJSIP/1001,30\r\nVersion: 1.2.3")
    got = Rewrite(shift=100, instance=2, words={"1001": "2001"})(raw)
    assert got == (b"Event: BridgeEnter\r\nChannel: Local/1002@agents-0002000a;1\r\n"
                   b"BridgeUniqueid: 326583c9-226a-44e6-a785-bf931a9ba5af\r\n"
                   b"Uniqueid: 1795278307.20289\r\nAppData: PJSIP/2001,30\r\nVersion: 1.2.3")
    assert Rewrite()(raw) == raw
