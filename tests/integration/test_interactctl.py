"""interactctl: every command against a real daemon, and without one."""

import http.server
import json
import os
import pty
import re
import select
import subprocess
import threading
import time

import pytest
import redis as redis_client
from servers import wait_until
from support.daemon import BUILD, SLOW
from support.pops import check_each_pop, validate
from support.steps import Steps

PHONE = "+886912345678"
NOBODY = "01890000-0000-7000-8000-000000000000"
CTL = BUILD / "interactctl"
ENV = {k: v for k, v in os.environ.items() if not k.startswith("INTERACTD_")}
ENV["TZ"] = "Asia/Taipei"


def ctl(*args, env=None, **kwargs):
    return subprocess.run([CTL, *args], capture_output=True, text=True, check=False,
                          timeout=30 * SLOW, env={**ENV, **(env or {})}, **kwargs)


@pytest.fixture
def daemon(make_daemon):
    return make_daemon(**{"tenant default": {"region": "TW"}, "tenant other": {}}).start()


@pytest.fixture
def run(daemon):
    """run(*args, code=0): what it printed on stdout, checked for its exit code."""
    def go(*args, code=0, **kwargs):
        done = ctl("--socket", daemon.socket, *args, **kwargs)
        assert done.returncode == code, (args, done.returncode, done.stdout, done.stderr)
        if code:
            assert done.stderr.startswith("interactctl") or not done.stderr
        return done.stdout
    return go


class Watch:
    """`interactctl pops` in the background."""

    def __init__(self, daemon, *args):
        self.process = subprocess.Popen(
            [CTL, "--socket", daemon.socket, "pops", *args], stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env=ENV)
        self.bytes = {"stdout": b"", "stderr": b""}
        self.wait("Watching screen pops", "stderr")

    def read(self):
        pipes = {self.process.stdout: "stdout", self.process.stderr: "stderr"}
        while ready := select.select(list(pipes), [], [], 0)[0]:
            for pipe in ready:
                data = os.read(pipe.fileno(), 65536)
                self.bytes[pipes[pipe]] += data
                if not data:
                    del pipes[pipe]
            if not pipes:
                break

    def text(self, stream="stdout"):
        self.read()
        return self.bytes[stream].decode()

    def lines(self):
        return [line for line in self.text().split("\n")[:-1]]

    def wait(self, part, stream="stdout", timeout=20):
        try:
            wait_until(lambda: part in self.text(stream), timeout * SLOW, part)
        except TimeoutError:
            raise AssertionError(f"no {part!r} in {self.bytes}") from None

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()


@pytest.fixture
def watch():
    made = []

    def start(daemon, *args):
        made.append(Watch(daemon, *args))
        return made[-1]
    yield start
    for w in made:
        w.close()


def on_terminal(*args, columns=80, env=None):
    """Its output on a terminal of that width."""
    master, slave = pty.openpty()
    process = subprocess.Popen([CTL, *args], stdout=slave, stderr=slave,
                               stdin=subprocess.DEVNULL,
                               env={**ENV, "TERM": "xterm", "COLUMNS": str(columns),
                                    **(env or {})})
    os.close(slave)
    out = b""
    end = time.monotonic() + 30 * SLOW
    while time.monotonic() < end and select.select([master], [], [], 30 * SLOW)[0]:
        try:
            data = os.read(master, 65536)
        except OSError:  # the other side is closed
            break
        out += data
    process.wait(30 * SLOW)
    os.close(master)
    return out.decode().replace("\r\n", "\n")


def width(text):
    """Columns of a line of the texts used here."""
    return sum(2 if ord(c) >= 0x2e80 else 1 for c in re.sub("\033\\[[0-9]*m", "", text))


# ---- without a daemon

COMMANDS = ["status", "channels", "calls", "pops", "contact find", "contact show",
            "contact add", "contact set", "contact people", "timeline", "interaction show",
            "agent list", "agent show", "agent add", "agent set", "agent token",
            "agent tokens", "agent revoke", "apikey create", "apikey set", "apikey list",
            "apikey revoke", "audit", "db migrate", "db status", "channel resync",
            "spool status", "quarantine list", "quarantine retry", "webhook add",
            "webhook list", "webhook show", "webhook set", "webhook remove", "webhook test",
            "webhook deliveries", "webhook replay"]


def test_the_overview_and_every_page_of_help():
    overview = ctl("help")
    assert overview.returncode == 0 and not overview.stderr
    assert ctl("--help").stdout == overview.stdout == ctl("-h").stdout
    for name in COMMANDS:
        assert re.search(f"^  {name} ", overview.stdout, re.M), name
        page = ctl("help", *name.split())
        assert page.returncode == 0 and page.stdout.startswith(f"interactctl {name}")
        assert ctl(*name.split(), "--help").stdout == page.stdout
    assert ctl("help", "contact").stdout.count("interactctl contact") > 4
    assert all(len(line) <= 125 for line in overview.stdout.splitlines())


WRONG = [
    ([], "give a command"),
    (["statsu"], "did you mean `status`"),
    (["contact"], "find, show, people"),
    (["contact", "fnd"], "find, show, people"),
    (["contact", "find"], "usage:"),
    (["status", "now"], "one word too many"),
    (["pops", "--agnt", "1"], "no option --agnt"),
    (["calls", "-x"], "no option -x"),
    (["pops", "--agent"], "give a value"),
    (["--json=yes", "status"], "takes no value"),
    (["pops", "--count", "0"], "--count"),
    (["--url", "ftp://x", "status"], "http://"),
    (["apikey", "create", "crm"], "--role"),
    (["agent", "token", "1", "--ttl", "soon"], "--ttl"),
    (["agent", "set", "1"], "say what"),
    (["contact", "add"], "say what"),
    (["contact", "add", "--vip", "perhaps"], "yes or no"),
    (["contact", "add", "--identity", "x"], "KIND:VALUE"),
    (["contact", "add", "--attribute", "x"], "NAME=TEXT"),
    (["contact", "add", "--attribute", "x:=[1"], "NAME=TEXT"),
    (["-c", "/nonexistent/x.conf", "status"], "/nonexistent/x.conf"),
    (["--key-file", "/nonexistent/key", "status"], "/nonexistent/key"),
    (["--tenant", "a\r\nX: y", "status"], "control characters"),
    (["help", "nothing"], "no command"),
]


@pytest.mark.parametrize("args,says", WRONG, ids=lambda v: str(v)[:40])
def test_wrong_usage_is_2_and_says_what_is_wrong(args, says):
    done = ctl(*args)
    assert done.returncode == 2, done
    assert says in done.stderr and not done.stdout
    assert done.stderr.startswith("interactctl")


def test_unreachable_is_3_and_says_what_was_tried(tmp_path):
    path = str(tmp_path / "no.sock")
    for args in (["status"], ["pops"], ["calls", "--json"], ["spool", "status"]):
        done = ctl("--socket", path, *args)
        assert done.returncode == 3 and not done.stdout
        assert path in done.stderr and "No such file" in done.stderr
    done = ctl("--url", "http://127.0.0.1:1", "--key", "x", "status")
    assert done.returncode == 3 and "http://127.0.0.1:1" in done.stderr
    done = ctl("status", env={"INTERACTD_URL": "http://127.0.0.1:1"})
    assert done.returncode == 3 and "http://127.0.0.1:1" in done.stderr
    # what is given on the command line is meant, whatever the environment says
    done = ctl("--socket", path, "status", env={"INTERACTD_URL": "http://127.0.0.1:1"})
    assert path in done.stderr


def test_an_answer_that_is_not_interactd_is_3():
    class Other(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"hello")

        def log_message(self, *args):
            pass
    server = http.server.HTTPServer(("127.0.0.1", 0), Other)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        done = ctl("--url", f"http://127.0.0.1:{server.server_port}", "status")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert done.returncode == 3 and "like interactd" in done.stderr


def test_version():
    assert re.fullmatch(r"interactctl \d+\.\d+\.\d+\n", ctl("--version").stdout)


def test_output_that_cannot_be_written_is_no_success():
    with open("/dev/full", "w", encoding="ascii") as full:
        done = subprocess.run([CTL, "help"], stdout=full, stderr=subprocess.PIPE, text=True,
                              check=False, env=ENV)
    assert done.returncode == 1 and "cannot write" in done.stderr


# ---- the database, while the daemon is down


def test_db_commands_work_while_the_daemon_is_down(session_postgres, make_daemon):
    from conftest import sql
    daemon = make_daemon()
    sql(session_postgres, "create database empty_one")
    try:
        daemon.configure(postgresql={"conninfo": session_postgres.conninfo("empty_one")})
        conf = str(daemon.path)
        before = json.loads(ctl("-c", conf, "db", "status", "--json").stdout)
        assert before["applied"] == 0 and before["pending"] == before["known"] > 0
        done = ctl("-c", conf, "db", "migrate")
        assert done.returncode == 0 and done.stdout.count("applying ") == before["known"]
        after = json.loads(ctl("db", "status", "--json", "-c", conf).stdout)
        assert after["pending"] == 0 and after["applied"] == before["known"]
        assert json.loads(ctl("-c", conf, "--json", "db", "migrate").stdout) == {"applied": []}
        assert "up to date" in ctl("-c", conf, "db", "migrate").stdout
    finally:
        sql(session_postgres, "drop database empty_one with (force)")
    done = ctl("-c", conf, "db", "status")
    assert done.returncode == 3 and "empty_one" in done.stderr and conf in done.stderr


def test_a_migration_of_other_text_is_refused(database, make_daemon):
    conf = str(make_daemon().path)
    make = ctl("-c", conf, "db", "migrate")
    assert make.returncode == 0
    database("update schema_migration set hash = 'x' where name like '002%%'")
    done = ctl("-c", conf, "db", "migrate")
    assert done.returncode == 1 and "002-people" in done.stderr


# ---- people


def test_contacts_are_added_found_shown_and_changed(run, daemon):
    run("contact", "add", "--name", "示例客户", "--phone", "0912-345-678", "--role",
        "customer", "--vip", "yes", "--language", "zh-TW", "--attribute", "segment=gold",
        "--attribute", "score:=7", "--identity", "external:crm:42")
    contact = daemon.api().find("phone:" + PHONE)[0]
    assert contact["name"] == "示例客户" and contact["vip"] is True
    assert contact["attributes"] == {"segment": "gold", "score": 7}
    assert {i["kind"] for i in contact["identities"]} == {"phone", "external"}
    for words in (PHONE, "0912 345 678", "０９１２３４５６７８", "phone:" + PHONE, "示例",
                  "external:crm:42"):
        assert contact["id"] in run("contact", "find", words), words
        assert "示例客户  [VIP]" in run("contact", "show", words), words
    assert json.loads(run("--json", "contact", "show", contact["id"])) == contact
    run("contact", "set", PHONE, "--email", "Li@Example.TW", "--attribute", "score:=null",
        "--language", "")
    changed = daemon.api().find("email:Li@example.tw")[0]
    assert changed["id"] == contact["id"] and changed["language"] is None
    assert changed["attributes"] == {"segment": "gold"}
    run("contact", "set", PHONE, "--remove", "email:Li@example.tw")
    run("contact", "find", "email:Li@example.tw", code=4)


def test_what_is_not_found_is_4(run):
    assert run("contact", "find", "nobody", code=4) == "Nobody found.\n"
    assert json.loads(run("contact", "find", PHONE, "--json", code=4))["items"] == []
    for args in (["contact", "show", PHONE], ["contact", "show", NOBODY],
                 ["timeline", "0999999999"], ["timeline", NOBODY],
                 ["interaction", "show", NOBODY], ["agent", "show", "9"],
                 ["apikey", "revoke", NOBODY], ["agent", "revoke", "1", NOBODY],
                 ["webhook", "show", NOBODY], ["webhook", "test", NOBODY],
                 ["channels", "nope"], ["channel", "resync", "nope"]):
        run(*args, code=4)


def test_what_the_daemon_refuses_is_1_with_its_reason(run, daemon):
    run("contact", "add", "--name", "A", "--phone", PHONE)
    holder = daemon.api().find("phone:" + PHONE)[0]["id"]
    done = daemon.ctl("contact", "add", "--name", "B", "--phone", PHONE)
    assert done.returncode == 1 and f"interactctl contact show {holder}" in done.stderr
    run("contact", "add", "--name", "B", "--phone", PHONE, "--shared")
    done = daemon.ctl("contact", "show", PHONE)
    assert done.returncode == 1 and "several contacts" in done.stderr
    assert holder in done.stderr
    run("contact", "add", "--role", "emperor", "--name", "x", code=1)
    run("timeline", holder, "--limit", "500", code=1)


def test_a_timeline_reads_like_the_day(run, daemon):
    run("contact", "add", "--name", "A", "--phone", PHONE)
    contact = daemon.api().find("phone:" + PHONE)[0]["id"]
    for n, kind in enumerate(("visit", "letter", "note")):
        daemon.api().create("/v1/interactions", {
            "contact": contact, "kind": kind, "direction": "in", "summary": f"來訪 {n}",
            "at": f"2026-01-02T03:0{n}:00Z"})
    out = run("timeline", PHONE).splitlines()
    assert [line.split()[2] for line in out[1:]] == ["note", "letter", "visit"]
    assert out[1].startswith("2026-01-02 11:02:00")  # Taipei
    assert [line.split()[2] for line in run("timeline", "A", "--kind", "letter")
            .splitlines()[1:]] == ["letter"]
    page = daemon.ctl("timeline", PHONE, "--limit", "2")
    cursor = re.search(r"--before (\S+)", page.stderr)[1]
    assert "來訪 0" in run("timeline", PHONE, "--before", cursor)
    item = json.loads(run("timeline", PHONE, "--json"))["items"][0]
    shown = run("interaction", "show", item["id"])
    assert "來訪 2" in shown and "interaction.created" in shown


NASTY = "Evil\x1b]0;title\x07\x1b[2J\u202egnp.exe\u009b31m\u200bx\ttab\nline"


def test_nothing_a_stranger_wrote_moves_the_cursor(run, daemon):
    daemon.api().create("/v1/contacts", {
        "name": NASTY, "identities": [{"kind": "phone", "value": PHONE}]})
    contact = daemon.api().find("phone:" + PHONE)[0]["id"]
    daemon.api().create("/v1/interactions", {
        "contact": contact, "kind": "note", "direction": "in", "summary": NASTY})
    for args in (["contact", "find", PHONE], ["contact", "show", PHONE],
                 ["timeline", PHONE]):
        out = run(*args)
        assert "Evil" in out
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b\u202e]", out), repr(out)
    assert "\\u{202e}" in run("contact", "show", PHONE)


# ---- agents, keys, audit


def test_agents_and_their_tokens(run, daemon):
    run("agent", "add", "1001", "--name", "Li Wei", "--interface", "PJSIP/1001", "--queue",
        "support")
    run("agent", "set", "1001", "--queue", "sales", "--queue", "support")
    agent = daemon.api().ok("/v1/agents/1001")
    assert agent["queues"] == ["sales", "support"] and agent["name"] == "Li Wei"
    run("agent", "set", "1001", "--queue", "")
    assert daemon.api().ok("/v1/agents/1001")["queues"] == []
    assert "Li Wei" in run("agent", "list") and "PJSIP/1001" in run("agent", "show", "1001")
    run("agent", "add", "1001", code=1)
    token = run("agent", "token", "1001", "--ttl", "30m")
    assert re.fullmatch(r"ia_\S+\n", token)
    assert daemon.api(key=token.strip()).get("/v1/agents/1001/pops").status == 200
    row = run("agent", "tokens", "1001").splitlines()[1]
    run("agent", "revoke", "1001", row.split()[0])
    assert "No token" in run("agent", "tokens", "1001")
    run("agent", "token", "1001", "--ttl", "1s", code=1)


def test_keys_over_the_network(run, daemon, tmp_path):
    made = daemon.ctl("apikey", "create", "crm", "--role", "readonly")
    key = made.stdout.strip()
    assert key.startswith("ik_") and "not shown again" in made.stderr
    url = f"http://127.0.0.1:{daemon.port}/"
    assert ctl("--url", url, "--key", key, "status").returncode == 0
    file = tmp_path / "key"
    file.write_text(key + "\n")
    assert ctl("--url", url, "--key-file", str(file), "agent", "list").returncode == 0
    env = {"INTERACTD_URL": url, "INTERACTD_KEY": key}
    assert ctl("agent", "list", env=env).returncode == 0
    refused = ctl("apikey", "list", env=env)
    assert refused.returncode == 1 and "readonly" in refused.stderr
    without = ctl("--url", url, "status")
    assert without.returncode == 1 and "--key" in without.stderr
    row = [r for r in run("apikey", "list").splitlines() if " crm " in r][0]
    assert "readonly" in row
    run("apikey", "revoke", row.split()[0])
    assert ctl("--url", url, "--key", key, "status").returncode == 1
    assert "No keys." in run("apikey", "list")


def test_the_audit_names_who_and_what(run):
    run("agent", "add", "1001")
    run("contact", "add", "--name", "A")
    out = run("audit").splitlines()
    assert "contact.created" in out[1] and "agent.created" in out[2]
    assert f"uid:{os.getuid()}" in out[1]
    only = json.loads(run("audit", "--object", "agent:1001", "--json"))["items"]
    assert [c["action"] for c in only] == ["agent.created"]


def test_the_tenant_is_chosen(run, daemon):
    run("--tenant", "other", "contact", "add", "--name", "Elsewhere")
    run("contact", "find", "Elsewhere", code=4)
    assert "Elsewhere" in run("contact", "find", "Elsewhere", "--tenant", "other")
    run("--tenant", "nowhere", "agent", "list", code=4)


# ---- keeping it running


def test_status_tells_what_is_down(run, daemon, redis_server, eventually):
    assert "running" in run("status") and "redis       ok" in run("status")
    redis_server.stop()
    eventually(lambda: "redis       down" in run("status"))
    assert json.loads(run("status", "--json"))["redis"]["ok"] is False


def test_the_quarantine_is_listed_and_retried(run, database, daemon):
    database("insert into quarantine (tenant_id, id, interaction_id, channel, kind, sqlstate,"
             " error, payload) values (%s, %s, %s, 'pbx-main', 'call', '22P02', %s, '{}')",
             database.tenant_id("default"), NOBODY, NOBODY, "wrong\x1b[31m text")
    out = run("quarantine", "list")
    assert NOBODY in out and "22P02" in out and "wrong\\x1b[31m text" in out
    run("quarantine", "retry", "01890000-0000-7000-8000-00000000ffff", code=4)


def test_channels_spool_and_resync(pbx, subscriber):
    daemon, fake = pbx
    rows = daemon.ctl("channels").stdout.splitlines()
    assert rows[1].split()[:4] == ["pbx-main", "asterisk", "default", "up"]
    assert "counters." in daemon.ctl("channels", "pbx-main").stdout
    one = json.loads(daemon.ctl("channels", "pbx-main", "--json").stdout)
    assert one["name"] == "pbx-main"
    assert daemon.ctl("channel", "resync", "pbx-main").returncode == 0
    Steps(fake, "22/direct-answered").whole("1001", subscriber)
    live = json.loads(daemon.ctl("spool", "status", "--json").stdout)["items"]
    assert live[0]["channel"] == "pbx-main" and live[0]["spool"]["last"] > 0
    assert "pbx-main" in daemon.ctl("spool", "status").stdout
    last = live[0]["spool"]["last"]
    daemon.stop()
    directory = daemon.directory / "state" / "spool"
    for path in (directory, directory / "pbx-main"):
        done = ctl("spool", "status", "--dir", str(path), "--json")
        found = json.loads(done.stdout)["items"]
        assert [f["channel"] for f in found] == ["pbx-main"]
        assert found[0]["last"] >= last and found[0]["missing"] == 0
    assert "pbx-main" in ctl("spool", "status", "--dir", str(directory)).stdout
    assert ctl("spool", "status", "--dir", str(directory / "nope")).returncode == 4


# ---- calls and pops


def test_calls_are_listed_while_they_are_up(pbx, subscriber):
    daemon, fake = pbx
    assert daemon.ctl("calls").stdout == "Nobody is on the phone.\n"
    steps = Steps(fake, "22/direct-answered").to("DialBegin")
    subscriber.wait_pop(type="pop.open")
    out = daemon.ctl("calls").stdout.splitlines()
    assert len(out) == 2 and PHONE in out[1] and " ringing " in out[1]
    assert len(json.loads(daemon.ctl("calls", "--json").stdout)["items"]) == 1
    steps.rest()


def test_pops_are_shown_as_they_happen(pbx, subscriber, watch):
    daemon, fake = pbx
    daemon.api().contact("示例客户", PHONE)
    people, machine = watch(daemon), watch(daemon, "--json")
    steps = Steps(fake, "22/queue-ringall-second").to(
        "DialBegin").to("DialBegin").to("DialBegin")
    for agent in ("1001", "1002", "1003"):
        subscriber.wait_pop(agent=agent, type="pop.open")
    steps.answer("1002")
    subscriber.wait_pop(agent="1002", type="pop.update", state="talking")
    steps.rest()
    subscriber.wait_pop(agent="1002", type="pop.close", reason="completed")
    people.wait("1002    \x20\x20closed")
    machine.wait('"reason":"completed"')
    lines = people.lines()
    first = [line for line in lines if "  1001  " in line][0]
    assert re.match(rf"\d\d:\d\d:\d\d  1001      ringing   {re.escape(PHONE)} 示例客户 "
                    r"\(network\)  queue support(, waited 0:\d\d)?   seq \d+$", first), first
    assert any("queue support" in line[:26] and "waiting" in line for line in lines)
    assert any("  1002  " in line and " talking " in line for line in lines)
    closed = [line for line in lines if " closed " in line]
    assert sum("answered_elsewhere" in line for line in closed) == 2
    pops = [json.loads(line) for line in machine.lines()]
    for pop in pops:
        validate("pop", pop)
    check_each_pop({p: [m for m in pops if m["pop"] == p] for p in {m["pop"] for m in pops}})
    heard = subscriber.all_pops() + subscriber.all_pops(queue="support")
    assert sorted(p["pop"] + str(p["seq"]) for p in pops) == \
        sorted(p["pop"] + str(p["seq"]) for p in heard)
    assert len(lines) == len(pops)


def publish(server, channel, **pop):
    text = json.dumps({"v": 1, "type": "pop.open", "epoch": "e", "seq": 1,
                       "at": "2026-11-21T07:04:05.000Z", "state": "ringing",
                       "remote": {"kind": "phone", "value": PHONE, "withheld": False,
                                  "trust": "network"}, "contact": None, **pop})
    redis_client.Redis(unix_socket_path=server.path).publish(channel, text)


def test_pops_of_other_instances_are_shown_and_of_other_tenants_not(
        daemon, redis_server, watch):
    every, agent = watch(daemon, "--count", "4"), watch(daemon, "--agent", "a1")
    queue, both = watch(daemon, "--queue", "q1"), watch(daemon, "--agent", "a1", "--queue",
                                                        "q1")
    publish(redis_server, "interactd:other:agent:a1", agent="stranger")
    publish(redis_server, "interactd:default:agent:a1", agent="a1")
    publish(redis_server, "interactd:default:agent:a2", agent="a2", remote={
        "kind": "phone", "value": None, "withheld": True, "trust": "network"})
    publish(redis_server, "interactd:default:queue:q1", agent=None, queue="q1",
            state="waiting", waited_ms=65000)
    publish(redis_server, "interactd:default:agent:a1", agent="a1", type="pop.close",
            state="ended", reason="no_answer", contact={"name": NASTY})
    assert every.process.wait(20 * SLOW) == 0
    assert every.lines()[0] == \
        f"15:04:05  a1        ringing   {PHONE} (network)   seq 1"
    assert every.lines()[1] == "15:04:05  a2        ringing   withheld   seq 1"
    assert every.lines()[2] == \
        f"15:04:05  queue q1  waiting   {PHONE} (network)  waited 1:05   seq 1"
    assert "closed" in every.lines()[3] and "no_answer" in every.lines()[3]
    assert "\x1b" not in every.text() and len(every.lines()) == 4
    agent.wait("no_answer")
    both.wait("no_answer")
    queue.wait("waiting")
    assert len(agent.lines()) == 2 and len(queue.lines()) == 1 and len(both.lines()) == 3


def test_pops_go_on_after_the_daemon_and_redis_were_restarted(
        daemon, redis_server, watch):
    w = watch(daemon)
    publish(redis_server, "interactd:default:agent:a1", agent="before")
    w.wait("before")
    daemon.stop()
    w.wait("Lost the daemon", "stderr")
    daemon.start()
    w.wait("Connected again.", "stderr")
    wait_until(lambda: w.text("stderr").count("Watching") == 2, 20 * SLOW, "to watch again")
    publish(redis_server, "interactd:default:agent:a1", agent="between")
    w.wait("between")
    redis_server.stop()
    redis_server.start()
    w.wait("lost its connection to Redis", "stderr")
    publish(redis_server, "interactd:default:agent:a1", agent="after")
    w.wait("after")
    assert w.process.poll() is None


def test_a_reader_that_has_seen_enough_ends_the_watch(daemon, redis_server, watch):
    w = watch(daemon)
    w.process.stdout.close()
    w.process.stdout = open(os.devnull, "rb")
    publish(redis_server, "interactd:default:agent:a1", agent="a1")
    assert w.process.wait(20 * SLOW) == 0
    assert "cannot" not in w.text("stderr")


def test_who_may_watch(daemon, run):
    url = f"http://127.0.0.1:{daemon.port}"
    token = run("agent", "token", "1001").strip()
    done = ctl("--url", url, "--key", token, "pops")
    assert done.returncode == 1 and "agent" in done.stderr
    done = ctl("--url", url, "--key", "ik_wrong", "pops")
    assert done.returncode == 1 and "--key" in done.stderr
    run("pops", "--agent", "no such id", code=1)


def test_a_terminal_gets_colours_and_rows_that_fit(daemon, run):
    run("contact", "add", "--name", "一個名字很長很長的客戶股份有限公司臺北分公司", "--phone",
        PHONE, "--email", "somebody.with.a.long.name@example.com")
    run("contact", "add", "--name", "Ada", "--email", "ada@example.com")
    args = ["--socket", daemon.socket, "contact", "find", PHONE]
    out = on_terminal(*args, columns=90)
    assert "\033[1m" in out and "…" in out
    assert all(width(line) <= 90 for line in out.splitlines()), out
    head, row = out.splitlines()
    # double width is known: what follows a name stands under its heading
    assert width(head[:head.index("ROLES")]) == width(row[:row.rindex("  -  ") + 2])
    for plain in (["--no-color"], []):
        env = {} if plain else {"NO_COLOR": "1"}
        assert "\033" not in on_terminal(*args, *plain, env=env)
    assert "…" not in run(*args[2:]) and "\033" not in run(*args[2:])


def test_contacts_are_merged_and_taken_apart(run, daemon):
    api = daemon.api()
    one, two = (api.contact(n, f"091200000{n}")["id"] for n in "12")
    run("contact", "merge", "0912000001", "0912000002")
    shown = run("contact", "show", two)
    assert "+886912000002" in shown and one in shown
    run("contact", "unmerge", "0912000001", two)
    run("contact", "unmerge", one, one, code=1)
    for name, trust in (("Boss", "recorded"), ("Other", "claimed")):
        api.create("/v1/contacts", {"name": name, "shared": True, "identities": [
            {"kind": "email", "value": "boss@example.com", "trust": trust}]})
    listed = run("suggestions", "list")
    assert "claimed_address" in listed and "boss@example.com" in listed
    (found,) = json.loads(run("--json", "suggestions", "list"))["items"]
    run("suggestions", "reject", found["id"])
    assert "No suggestions." in run("suggestions", "list")
    run("suggestions", "accept", found["id"], "--survivor", "Other", code=1)
    (found,) = json.loads(run("--json", "suggestions", "list", "--state", "rejected"))["items"]
    assert found["decided_by"]
