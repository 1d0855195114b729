"""A sandbox Asterisk with its manager connection and its sipp phones.

configure() says which one (the settings are this module's globals, V to GEN), then
start_asterisk(), register(), phone(), caller() and the like; stop_asterisk() at the end.
Ami is a manager client that keeps every message, and records the stream if it has a name.
"""
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SANDBOX = f"{HERE}/asterisk-sandbox"


def configure(version="22", work=None):
    """Says which Asterisk: work/root-VERSION, made by `asterisk-sandbox install`."""
    global V, WORK, ROOT, AMI, SIP, HTTP, TRUNK, PHONE0, OUT, GEN, _mp
    V = version
    WORK = work or os.path.expanduser("~/.cache/asterisk-sandbox")
    ROOT = f"{WORK}/root-{V}"
    AMI, SIP, HTTP = {"22": (15038, 15060, 18088), "16": (16038, 16060, 16088)}[V]
    TRUNK = {"22": 5080, "16": 16080}[V]
    PHONE0 = {"22": 15100, "16": 16100}[V]  # 1001 -> +1 ...
    _mp = [30000 if V == "22" else 40000]
    OUT = f"{WORK}/traces/{V}"
    GEN = f"{WORK}/generated/{V}"
    os.makedirs(OUT, exist_ok=True)
    os.makedirs(GEN, exist_ok=True)


def cli(cmd):
    return subprocess.run([SANDBOX, "cli", ROOT, cmd], capture_output=True, text=True).stdout


# ------------------------------------------------------------------ AMI side
class Ami:
    def __init__(self, name=None, user="ctl", secret="ctlpass", login=True):
        self.name, self.buf, self.events, self.lock = name, b"", [], threading.Condition()
        self.t0 = time.monotonic()
        self.wall0 = time.time()
        self.sock = socket.create_connection(("127.0.0.1", AMI))
        self.n = 0
        self.off = 0
        self.closed = False
        self.nbytes = 0
        if name:
            self.f = open(f"{OUT}/{name}.ami", "wb")
            self.fi = open(f"{OUT}/{name}.ami.idx", "w")
            self.fs = open(f"{OUT}/{name}.ami.sent", "w")
            self.fi.write(f"# {self.wall0:.6f} wall clock at connect; then: seconds offset length\n")
        self.thr = threading.Thread(target=self.reader, daemon=True)
        self.thr.start()
        if login:
            r = self.action("Login", Username=user, Secret=secret, Events="on")
            assert r.get("Response") == "Success", r

    def reader(self):
        first = True
        while True:
            try:
                d = self.sock.recv(65536)
            except OSError:
                d = b""
            t = time.monotonic() - self.t0
            if not d:
                break
            if self.name:
                self.fi.write(f"{t:.6f} {self.off} {len(d)}\n")
                self.f.write(d)
            self.off += len(d)
            self.buf += d
            if first and b"\r\n" in self.buf:
                self.banner, self.buf = self.buf.split(b"\r\n", 1)
                first = False
            while b"\r\n\r\n" in self.buf:
                m, self.buf = self.buf.split(b"\r\n\r\n", 1)
                kv = []
                for line in m.split(b"\r\n"):
                    k, _, v = line.decode("utf-8", "replace").partition(":")
                    kv.append((k, v.strip()))
                e = {}
                for k, v in kv:
                    e.setdefault(k, v)
                e["_kv"] = kv
                e["_t"] = t
                with self.lock:
                    self.events.append(e)
                    self.lock.notify_all()
        with self.lock:
            self.closed = True
            self.lock.notify_all()
        if self.name:
            self.f.flush()
            self.fi.write(f"{time.monotonic()-self.t0:.6f} {self.off} 0\n")
            self.fi.flush()

    def send(self, action, _vars=(), **kw):
        self.n += 1
        aid = f"{self.name or 'x'}-{self.n}"
        lines = [("Action", action), ("ActionID", aid)] + [
            (k.replace("_", "-"), str(v)) for k, v in kw.items()
        ]
        lines += [("Variable", v) for v in _vars]
        raw = "".join(f"{k}: {v}\r\n" for k, v in lines) + "\r\n"
        if self.name:
            self.fs.write(f"{time.monotonic()-self.t0:.6f}\t{json.dumps(lines, ensure_ascii=False)}\n")
            self.fs.flush()
        self.sock.sendall(raw.encode())
        return aid

    def action(self, action, _vars=(), timeout=10, **kw):
        aid = self.send(action, _vars, **kw)
        return (
            self.wait(
                lambda e: "Response" in e and e.get("ActionID") == aid, timeout, "response to " + action, 0
            )
            or {}
        )

    def wait(self, pred, timeout=10, what="", start=None):
        """first message since `start` (index; default: all) matching pred"""
        end = time.monotonic() + timeout
        i = start or 0
        with self.lock:
            while True:
                while i < len(self.events):
                    if pred(self.events[i]):
                        return self.events[i]
                    i += 1
                left = end - time.monotonic()
                if left <= 0 or self.closed:
                    print(f"    !! {self.name}: no {what} in {timeout}s")
                    return None
                self.lock.wait(left)

    def ev(self, name, timeout=15, **kw):
        return self.wait(
            lambda e: e.get("Event") == name and all(re.fullmatch(v, e.get(k, "")) for k, v in kw.items()),
            timeout,
            f"{name} {kw}",
        )

    def close(self, logoff=True):
        if logoff and not self.closed:
            try:
                self.action("Logoff", timeout=2)
            except OSError:
                pass
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.thr.join(3)
        self.sock.close()
        if self.name:
            for f in (self.f, self.fi, self.fs):
                f.close()


# ----------------------------------------------------------------- sipp side
procs = []
BIG = 600000


def gen(template, tag, **kw):
    s = open(f"{HERE}/sipp/{template}").read()
    for k, v in kw.items():
        s = s.replace(f"@{k}@", str(v))
    p = f"{GEN}/{tag}.xml"
    open(p, "w").write(s)
    return p


def sipp(xml, ip, port, *args, n=1, wait=False):
    base = os.path.basename(xml)[:-4]
    cmd = [
        "sipp",
        f"127.0.0.1:{SIP}",
        "-sf",
        xml,
        "-i",
        ip,
        "-p",
        str(port),
        "-m",
        str(n),
        "-aa",
        "-nostdin",
        "-ci",
        "127.0.0.1",
        "-trace_err",
        "-error_file",
        f"{GEN}/{base}.err",
        "-timeout",
        "120s",
        "-mp",
        str(next_media()),
        *args,
    ]
    p = subprocess.Popen(
        cmd, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=GEN
    )
    p.tag = base
    procs.append(p)
    if wait:
        p.wait(60)
    return p


def next_media():
    _mp[0] += 4
    return _mp[0]


SEQ = [0]


def dialog_req(method, cseq, extra="", body="", side="uas"):
    frm, to = (
        ("From:[$to];tag=[pid]T[call_number]", "To:[$from]")
        if side == "uas"
        else ("From: [from];tag=[pid]C[call_number]", "To:[$to]")
    )
    return f"""<send retrans="500"><![CDATA[
{method} [$rc] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
{frm}
{to}
Call-ID: [call_id]
CSeq: {cseq} {method}
Contact: <sip:x@[local_ip]:[local_port]>
Max-Forwards: 70
{extra}Content-Length: [len]

{body}]]></send>
"""


def sdp(direction):
    return f"""v=0
o=u 1 2 IN IP4 [local_ip]
s=-
c=IN IP4 [local_ip]
t=0 0
m=audio [media_port] RTP/AVP 0
a=rtpmap:0 PCMU/8000
a={direction}
"""


def reinvite(cseq, direction, side="uas"):
    inv = dialog_req("INVITE", cseq, "Content-Type: application/sdp\n", sdp(direction), side)
    ack = dialog_req("ACK", cseq, "", "", side).replace(' retrans="500"', "")
    return inv + '<recv response="100" optional="true"/>\n<recv response="200"/>\n' + ack


def pause(ms):
    return f'<pause milliseconds="{ms}"/>\n'


def hold(before, held, side="uas"):
    return pause(before) + reinvite(11, "sendonly", side) + pause(held) + reinvite(12, "sendrecv", side)


def refer(before, target, side="uas"):
    return (
        pause(before)
        + dialog_req(
            "REFER",
            11,
            f"Refer-To: <sip:{target}@127.0.0.1:{SIP}>\nReferred-By: <sip:x@127.0.0.1>\n",
            "",
            side,
        )
        + '<recv response="202"/>\n'
    )


def info_dtmf(before, digits, side="uac"):
    s = pause(before)
    for i, d in enumerate(digits):
        s += (
            dialog_req(
                "INFO", 20 + i, "Content-Type: application/dtmf-relay\n", f"Signal={d}\nDuration=120\n", side
            )
            + '<recv response="200"/>\n'
            + pause(300)
        )
    return s


def phone(ext, ring=1000, do="answer", talk=BIG, mid="", n=20, port=None, ip="127.0.0.1", extra=()):
    """do: answer | busy | decline | noanswer | redirect:EXT | silent"""
    SEQ[0] += 1
    first, final, afterack = "", "200 OK", ""
    if do == "noanswer":
        ring = BIG
    if do in ("busy", "decline") or do.startswith("redirect"):
        code = {"busy": "486 Busy Here", "decline": "603 Decline"}.get(do) or "302 Moved Temporarily"
        contact = (
            f"<sip:{do[9:]}@127.0.0.1:{SIP}>"
            if do.startswith("redirect")
            else "<sip:x@[local_ip]:[local_port]>"
        )
        first = f"""<pause milliseconds="{ring if do=='decline' else 50}"/><send retrans="500"><![CDATA[
SIP/2.0 {code}
[last_Via:]
[last_From:]
[last_To:];tag=[pid]T[call_number]
[last_Call-ID:]
[last_CSeq:]
Contact: {contact}
Content-Length: 0

]]></send>
<recv request="ACK" next="end"/>
"""
    xml = gen(
        "uas.xml",
        f"uas-{ext}-{SEQ[0]}",
        FIRST=first,
        RING=ring,
        MID=mid,
        DUR=talk,
        FINAL=final,
        EXT=ext,
        AFTERACK=afterack,
    )
    return sipp(xml, ip, port or PHONE0 + int(ext) - 1000, *extra, n=n)


def customer_phone(num, **kw):  # the far end of the trunk
    return phone(num, ip="127.0.0.2", port=TRUNK, **kw)


_cp = [0]


def caller(num, did, talk=3000, giveup=60000, name=None, mid="", ip="127.0.0.2", frm=None, extra=()):
    SEQ[0] += 1
    _cp[0] += 1
    port = (31000 if V == "22" else 41000) + _cp[0] % 900
    if frm is None:
        frm = (f'"{name}" ' if name is not None else "") + f"<sip:{num}@{ip}>"
    xml = gen("uac.xml", f"uac-{SEQ[0]}", DUR=talk, GIVEUP=giveup, MID=mid)
    return sipp(xml, ip, port, "-key", "from", frm, "-key", "to", did, *extra)


def agent_dials(ext, number, **kw):
    return caller(ext, number, ip="127.0.0.1", **kw)


def register(exts=range(1001, 1007), expires=3600):
    csv = f"{GEN}/agents.csv"
    open(csv, "w").write("SEQUENTIAL\n" + "".join(f"{e};{PHONE0 + e - 1000};{expires}\n" for e in exts))
    p = sipp(
        f"{HERE}/sipp/register.xml",
        "127.0.0.1",
        PHONE0 + 50,
        "-inf",
        csv,
        "-r",
        "50",
        n=len(list(exts)),
        wait=True,
    )
    return p.returncode


def stop_sipp():
    for p in procs:
        if p.poll() is None:
            p.send_signal(signal.SIGKILL)
    for p in procs:
        p.wait()
    procs.clear()


def quiet():
    """all channels gone?"""
    for i in range(40):
        if i == 20:
            cli("channel request hangup all")
        if "0 active channels" in cli("core show channels count"):
            return True
        time.sleep(0.25)
    cli("channel request hangup all")
    time.sleep(0.5)
    return False


# ----------------------------------------------------------------- Asterisk
def start_asterisk(*sets):
    low, high = (20000, 21999) if V == "22" else (22000, 23999)
    args = [SANDBOX, "start", ROOT, "--ami-port", str(AMI), "--sip-port", str(SIP)]
    args += ["--http-port", str(HTTP)]
    for s in (f"TRUNK_PORT={TRUNK}", f"RTP_START={low}", f"RTP_END={high}", *sets):
        args += ["--set", s]
    subprocess.run(args, check=True)


def stop_asterisk():
    stop_sipp()
    subprocess.run([SANDBOX, "stop", ROOT], check=True)
