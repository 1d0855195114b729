"""One recorded call as a script for ami_load: who called, who answered and which call it
was become marks (see ami_load.c), and the stream is cut into four phases:

    arrival     up to and with DialBegin: what brings the pop, all due at once
    ringing     to DialEnd
    answered    to the hang-up
    ended       the rest
"""

import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "lib")]

from ami_trace import BRIDGE, Trace, first  # noqa: E402

TRACE = HERE.parent.parent / "build" / "traces" / "22" / "direct-answered.ami"
# Of no class that README's manager.conf asks for.
NOT_ASKED_FOR = {"TestEvent", "Cdr"}
# The class "dialplan": more than half of the stream.
DIALPLAN = {"VarSet", "Newexten"}
OFFSETS_MS = (0, 50, 300, 1000)


def phases(messages):
    out = ([], [], [], [])
    at = 0
    for m in messages:
        if at == 1 and m.event == "DialEnd":
            at = 2
        elif at == 2 and m.event in ("HangupRequest", "Hangup"):
            at = 3
        out[at].append(m.raw)
        if at == 0 and m.event == "DialBegin":
            at = 1
    return [b"".join(raw + b"\r\n\r\n" for raw in phase) for phase in out]


def marked(text, caller, callee):
    """caller, callee: the Newchannel messages."""
    def field(pairs, key):
        return re.escape(first(pairs, key))

    channel = first(callee, b"Channel")
    agent = re.escape(re.match(rb"PJSIP/(\w+)-", channel)[1])
    number = field(caller, b"CallerIDNum")
    name = field(caller, b"CallerIDName")
    for pattern, letter in (
            (field(caller, b"Uniqueid") + rb"(?!\d)", b"U"),
            (field(callee, b"Uniqueid") + rb"(?!\d)", b"V"),
            (rb"(?<=PJSIP/trunk-)[0-9a-f]{8}", b"C"),
            (rb"(?<=PJSIP/" + agent + rb"-)[0-9a-f]{8}", b"D"),
            (BRIDGE.pattern, b"B"),
            (rb"(?<=Name: )" + name + rb"(?=\r)", b"T"),
            (rb"(?<![\w.])" + number + rb"(?![\w.])", b"N"),
            (rb"(?<![\w.])" + agent + rb"(?!\w)", b"A")):
        # what a pattern groups last stays
        text = re.sub(pattern, lambda m, mark=b"\1" + letter:
                      mark + (m[m.lastindex] if m.lastindex else b""), text)
    return text


def write_script(path, dialplan=True):
    """Returns how many messages and bytes a call has."""
    trace = Trace(TRACE)
    wanted = [m for m in trace.messages if m.event not in NOT_ASKED_FOR
              and (dialplan or m.event not in DIALPLAN)]
    channels = [m.pairs for m in wanted if m.event == "Newchannel"]
    parts = [marked(p, *channels) for p in phases(wanted)]
    with open(path, "wb") as f:
        for offset, part in zip(OFFSETS_MS, parts):
            f.write(b"phase %d %d\n%s\n" % (offset, len(part), part))
    return len(wanted), sum(map(len, parts))


if __name__ == "__main__":
    print(write_script(sys.argv[1], dialplan="--dialplan" in sys.argv))
