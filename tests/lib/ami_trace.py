"""Recorded AMI streams: NAME.ami (the bytes as received) and NAME.ami.idx (when).

A Trace is the stream as messages with their times, without what only the recording's own
client was told: the banner, its responses, the items of the lists it asked for. Those
items are kept apart (`listed`): they are the calls that were up when it connected.

Rewrite makes a trace playable at another time, many times, side by side: unique ids,
channel names, bridge ids and numbers are replaced consistently within one play.
"""

import bisect
import re
from dataclasses import dataclass, field
from pathlib import Path

# Events that carry the ActionID of a request and still are events, not list items.
ANSWERING_EVENTS = {b"OriginateResponse"}
# Told to the recording's client only; the server says its own.
NOT_PLAYED = {b"FullyBooted", b"SuccessfulAuth", b"ChallengeSent", b"RequestBadFormat"}


def parse(raw):
    """A message's lines as [(key, value)], both bytes; a line without a colon is left out."""
    pairs = []
    for line in raw.split(b"\r\n"):
        key, colon, value = line.partition(b":")
        if colon:
            pairs.append((key, value[1:] if value[:1] == b" " else value))
    return pairs


def first(pairs, key, default=b""):
    for k, v in pairs:
        if k == key:
            return v
    return default


@dataclass
class Message:
    at: float  # seconds since the recording's connect
    raw: bytes  # without the blank line
    pairs: list = field(repr=False)

    @property
    def event(self):
        return first(self.pairs, b"Event").decode()


class Trace:
    def __init__(self, path):
        self.path = Path(path)
        self.name = self.path.stem
        data = self.path.read_bytes()
        self._read_index()
        self.messages, self.listed = [], []
        pos = data.find(b"\r\n") + 2
        self.banner = data[: pos - 2].decode()
        while pos < len(data):
            end = data.find(b"\r\n\r\n", pos)
            if end < 0:
                break  # the recording was cut inside a message
            self._add(self._time_of(end + 3), data[pos:end].lstrip(b"\r\n"))
            pos = end + 4

    def _read_index(self):
        self.wall, self._offsets, self._times = 0.0, [], []
        for line in Path(f"{self.path}.idx").read_text().splitlines():
            if line.startswith("#"):
                self.wall = float(line.split()[1])
                continue
            seconds, offset, _ = line.split()
            self._offsets.append(int(offset))
            self._times.append(float(seconds))

    def _time_of(self, offset):
        return self._times[max(0, bisect.bisect_right(self._offsets, offset) - 1)]

    def _add(self, at, raw):
        pairs = parse(raw)
        event = first(pairs, b"Event")
        if not event or event in NOT_PLAYED:
            return
        if first(pairs, b"ActionID") and event not in ANSWERING_EVENTS:
            self.listed.append(Message(at, raw, pairs))
        else:
            self.messages.append(Message(at, raw, pairs))

    @property
    def duration(self):
        return self.messages[-1].at if self.messages else 0.0

    @property
    def version(self):
        """The Asterisk it was recorded from, by its banner."""
        return {"11": "22.10.1", "5": "16.28.0"}.get(
            self.banner.rpartition("/")[2].partition(".")[0], "18.0.0"
        )


UNIQUEID = re.compile(rb"(?<![\d.])(1\d{9})\.(\d{1,7})(?![\d.])")
CHANNEL = re.compile(rb"((?:PJSIP|SIP|Local|DAHDI|IAX2)/[^\s,;:&]*?)-([0-9a-f]{8})(?![0-9a-f])")
BRIDGE = re.compile(rb"(?<![0-9a-f])([0-9a-f]{8})((?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")
SECONDS = re.compile(rb"^(LastCall|LastPause|LoginTime): (1\d{9})$", re.M)


class Rewrite:
    """One play's replacements.

    shift: seconds added to what times are in the stream (unique ids begin with one);
    instance: a number per play, so that two plays share no id;
    words: {old: new}, whole words (numbers, names) replaced everywhere.
    """

    def __init__(self, shift=0, instance=0, words=None):
        self.shift, self.instance = int(shift), instance
        self.words = {k.encode(): v.encode() for k, v in (words or {}).items()}
        self._words_re = self.words and re.compile(
            rb"(?<![0-9A-Za-z])("
            + b"|".join(re.escape(w) for w in sorted(self.words, key=len, reverse=True))
            + rb")(?![0-9A-Za-z])"
        )

    def _uniqueid(self, m):
        return b"%d.%d" % (int(m[1]) + self.shift, int(m[2]) + self.instance * 10000)

    def _channel(self, m):
        number = (int(m[2], 16) + (self.instance << 16)) & 0xFFFFFFFF
        return b"%s-%08x" % (m[1], number)

    def _bridge(self, m):
        return b"%08x%s" % ((int(m[1], 16) + self.instance) & 0xFFFFFFFF, m[2])

    def __call__(self, raw):
        if self.shift or self.instance:
            raw = UNIQUEID.sub(self._uniqueid, raw)
            raw = CHANNEL.sub(self._channel, raw)
            raw = BRIDGE.sub(self._bridge, raw)
            raw = SECONDS.sub(lambda m: b"%s: %d" % (m[1], int(m[2]) + self.shift), raw)
        if self.words:
            raw = self._words_re.sub(lambda m: self.words[m[1]], raw)
        return raw


def with_timestamp(raw, seconds):
    """What timestampevents=yes in manager.conf adds, where it adds it."""
    lines = raw.split(b"\r\n")
    if any(line.startswith(b"Timestamp:") for line in lines):
        return raw
    at = 2 if len(lines) > 1 and lines[1].startswith(b"Privilege:") else 1
    lines.insert(at, b"Timestamp: %.6f" % seconds)
    return b"\r\n".join(lines)
