"""The daemon as its operator knows it: configuration, start and end, phone systems that
misbehave."""

import os
import signal
import socket
import threading
import time

import pytest
from fake_asterisk import FakeAsterisk
from servers import wait_until
from support.daemon import SLOW, asterisk_channel, free_port
from support.pops import check_pops
from support.steps import Steps

MB = 1024 * 1024


# ---- configuration


def check(daemon, text):
    daemon.path.write_text(text)
    return daemon.run("-c", daemon.path, "--check-config")


GOOD = "[postgresql]\nconninfo = dbname=x\n"
PBX = "[channel pbx]\ndriver = asterisk\naddress = a:5038\nusername = u\nsecret = s\n"
# (text, line of the mistake, words that must be in the message)
MISTAKES = [
    ("", 1, ["postgresql", "conninfo", "required"]),
    ("[postgresql]\n", 1, ["conninfo", "required"]),
    (GOOD + "[htpt]\n", 3, ["htpt", "no such section"]),
    (GOOD + "[http]\nlisen = x\n", 4, ["lisen", "no such key"]),
    (GOOD + "[http]\nmax_body = lots\n", 4, ["max_body", "lots"]),
    (GOOD + "[http]\nmax_body = 1\n", 4, ["max_body", "1k"]),
    (GOOD + "[daemon]\npop_timeout_ms = 0\n", 4, ["pop_timeout_ms", "10"]),
    (GOOD + "[daemon]\nlog_level = loud\n", 4, ["log_level", "debug"]),
    (GOOD + "[daemon]\nlog_level = info\nlog_level = debug\n", 5, ["log_level"]),
    (GOOD + "[channel]\ndriver = asterisk\n", 3, ["needs a name"]),
    (GOOD + "[daemon x]\n", 3, ["takes no name"]),
    (GOOD + "[channel a b]\ndriver = asterisk\n", 3, []),
    (GOOD + "[channel pbx]\ndriver = skype\n", 4, ["skype", "asterisk"]),
    (GOOD + PBX, 3, ["trunks", "required"]),
    (GOOD + PBX + "trunks = (\n", 8, ["trunks"]),
    (GOOD + PBX + "trunks = x\nlisten = y\n", 9, ["listen", "no such key"]),
    (GOOD + PBX + "trunks = x\ntenant = nobody\n", 3, ["nobody"]),
    (GOOD + "no equals sign\n", 3, []),
    (GOOD + "[postgresql]\nconninfo = twice\n", 3, []),
    (GOOD + "[http]\ntls_cert = x\n", None, ["tls_key"]),
    (GOOD + "[http]\nlisten = localhost:8080\n", 3, ["listen", "IP address"]),
    (GOOD + "[redis]\naddress = unix:relative\n", 3, ["address", "unix:/PATH"]),
    (GOOD + "[tenant a]\nregion = UK\n", 3, ["region", "UK", "GB"]),
    (GOOD + PBX + "trunks = x\nregion = tw\n", 3, ["region", "tw"]),
    ("[postgresql]\nconninfo = hsot=x\n", 1, ["conninfo", "hsot"]),
    (GOOD + "[redis]\npassword_file = /no/such/file\n", 4, ["/no/such/file"]),
    ("\xff\xfe".encode("latin-1").decode("latin-1") + "\0", 1, []),
]


@pytest.mark.parametrize("text,line,words", MISTAKES, ids=range(len(MISTAKES)))
def test_a_mistake_is_told_with_file_line_and_what_is_allowed(make_daemon, text, line, words):
    daemon = make_daemon()
    done = check(daemon, text)
    assert done.returncode == 1, done
    message = done.stderr.strip()
    assert message.startswith(f"{daemon.path}:{line}: " if line else f"{daemon.path}: "), \
        message
    assert "\n" not in message
    for word in words:
        assert word in message, message
    # The start says the same, and does not happen.
    started = daemon.run("-c", daemon.path)
    assert started.returncode == 1 and message in started.stderr


def test_a_good_configuration_is_all_right(make_daemon, tmp_path):
    daemon = make_daemon()
    (tmp_path / "secret").write_text("s\n")
    done = check(daemon, GOOD + "[tenant a]\nregion = TW\n" + PBX.replace(
        "secret = s", f"secret_file = {tmp_path}/secret") + "trunks = ^PJSIP/trunk$\n"
        "tenant = a\n; a comment\n# another\n")
    assert done.returncode == 0 and done.stderr == "", done


def test_secrets_are_never_shown(make_daemon):
    daemon = make_daemon()
    done = check(daemon, GOOD + PBX.replace("= s\n", "= hunter2 \x01\n") + "trunks = (\n")
    assert done.returncode == 1 and "hunter2" not in done.stderr + done.stdout


def test_the_commented_sample_is_a_good_configuration(make_daemon):
    sample = os.path.join(os.path.dirname(__file__), "../../conf/interactd.conf")
    daemon = make_daemon()
    with open(sample, encoding="utf-8") as f:
        text = f.read()
    done = check(daemon, text)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("args,code", [
    (["--version"], 0), (["--help"], 0), (["--drivers"], 0), ([], 2), (["--rubbish"], 2),
    (["-c"], 2), (["-c", "/no/such/file"], 1), (["-c", "/"], 1)])
def test_arguments(make_daemon, args, code):
    done = make_daemon().run(*args)
    assert done.returncode == code, done
    assert (done.stdout if code == 0 else done.stderr).strip()


def test_sighup_reloads_and_a_bad_file_changes_nothing(make_daemon, eventually):
    daemon = make_daemon().start()
    daemon.configure(daemon={"log_level": "debug"}).reload()
    eventually(lambda: "configuration reloaded" in daemon.log())
    good = daemon.path.read_text()
    daemon.expect("not reloaded")
    daemon.path.write_text(good + "\n[nonsense]\n")
    daemon.reload()
    eventually(lambda: "not reloaded" in daemon.log())
    assert "no such section" in daemon.log()
    assert daemon.api().get("/readyz").status == 200
    daemon.path.write_text(good.replace(str(daemon.port), str(free_port())))
    daemon.reload()
    eventually(lambda: "need a restart" in daemon.log())
    assert daemon.api(key="").get("/healthz").status == 200


# ---- start and end


def test_it_starts_without_postgresql_and_goes_on_when_that_comes(
        make_daemon, postgres, eventually):
    daemon = make_daemon().expect("waiting for PostgreSQL")
    postgres.stop()
    daemon.start(ready=False)
    eventually(lambda: os.path.exists(daemon.socket))
    eventually(lambda: "waiting for PostgreSQL" in daemon.log())
    ready = daemon.api().get("/readyz")
    assert ready.status == 503 and ready.json["postgresql"]["reason"]
    assert daemon.api().get("/healthz").status == 200
    answer = daemon.api().get("/v1/contacts", q="a")
    assert answer.status == 503 and answer.headers["Retry-After"]
    # Said once, not once a second.
    time_before = daemon.log().count("waiting for PostgreSQL")
    eventually(lambda: daemon.status()["uptime_s"] >= 3)
    assert daemon.log().count("waiting for PostgreSQL") == time_before
    postgres.start()
    daemon.wait_ready()


def test_it_starts_without_redis(make_daemon, redis_server, asterisk, eventually):
    redis_server.stop()
    daemon = make_daemon(**{"channel pbx": asterisk_channel(asterisk)}).expect("[Rr]edis")
    daemon.start(ready=False)
    eventually(lambda: os.path.exists(daemon.socket))
    eventually(lambda: daemon.status()["state"] == "running")
    assert daemon.api().get("/readyz").json["redis"]["ok"] is False
    redis_server.start()
    daemon.wait_ready()


def test_it_can_be_ended_while_it_waits(make_daemon, postgres, eventually):
    daemon = make_daemon().expect("waiting for PostgreSQL")
    postgres.stop()
    daemon.start(ready=False)
    eventually(lambda: "waiting for PostgreSQL" in daemon.log())
    daemon.stop()


def test_a_second_daemon_on_the_same_database_refuses(make_daemon, asterisk, eventually):
    one = make_daemon(**{"channel pbx": asterisk_channel(asterisk)}).start()
    one.wait_channels()
    two = make_daemon(**{"channel pbx": asterisk_channel(asterisk)})
    two.expect("another interactd").start(ready=False)
    assert two.wait_end(30) == 1
    assert "another interactd" in two.log()
    assert one.api().get("/readyz").status == 200
    assert asterisk.logins == 1


def test_it_takes_over_at_once_from_one_that_ended(make_daemon):
    one = make_daemon().start()
    one.stop()
    began = time.monotonic()
    make_daemon().start()
    assert time.monotonic() - began < 3 * SLOW


def test_its_files_are_private_and_it_leaves_none(make_daemon, asterisk):
    daemon = make_daemon(**{"channel pbx": asterisk_channel(asterisk)}).start()
    state = daemon.directory / "state"
    assert os.stat(state).st_mode & 0o077 == 0
    daemon.wait_channels()
    Steps(asterisk, "22/direct-answered").rest()
    daemon.stop()
    assert not os.path.exists(daemon.socket)
    for path, _, files in os.walk(state):
        for f in files:
            assert os.stat(os.path.join(path, f)).st_mode & 0o077 == 0


def test_a_state_dir_that_cannot_be_made_stops_the_start(make_daemon):
    daemon = make_daemon(daemon={"state_dir": "/proc/interactd"}).expect("state_dir")
    daemon.start(ready=False)
    assert daemon.wait_end() == 1


def test_two_signals_end_it_once(make_daemon):
    daemon = make_daemon().start()
    daemon.process.send_signal(signal.SIGTERM)
    daemon.process.send_signal(signal.SIGINT)
    assert daemon.wait_end() == 0


# ---- phone systems side by side


def test_two_asterisks_and_two_tenants(make_daemon, subscriber, eventually):
    with FakeAsterisk() as a, FakeAsterisk(version="16.28.0",
                                           banner="Asterisk Call Manager/5.0.4") as b, \
            FakeAsterisk() as c:
        daemon = make_daemon(**{
            "tenant default": {"region": "TW"}, "tenant other": {"region": "CN"},
            "channel a": asterisk_channel(a),
            "channel b": asterisk_channel(b, agent_prefix="b"),
            "channel c": asterisk_channel(c, tenant="other")})
        daemon.start()
        daemon.wait_channels()
        daemon.api().contact("Here", "0912345678")
        there = daemon.api(tenant="other").contact("There", "+886912345678")
        calls = [Steps(a, "22/direct-answered"), Steps(b, "16/direct-answered"),
                 Steps(c, "22/direct-answered", {"0912345678": "+886912345678"})]
        for call in calls:
            call.ring("1001")
        assert subscriber.wait_pop(agent="1001")["channel"] == "a"
        assert subscriber.wait_pop(agent="b1001")["channel"] == "b"
        pop = subscriber.wait_pop(tenant="other", agent="1001")
        assert pop["channel"] == "c" and pop["contact"]["id"] == there["id"]
        # One phone system goes; the others do not notice.
        b.drop_clients()
        for call in calls:
            call.answer("1001").rest()
        eventually(lambda: len(subscriber.events(type="interaction.ended")) == 2)
        eventually(lambda: len(subscriber.events("other", "interaction.ended")) == 1)
        check_pops(subscriber, "default", ["1001", "b1001"])
        check_pops(subscriber, "other", ["1001"])
        assert daemon.api().ok("/v1/status")["channels"]


# ---- a phone system that misbehaves


@pytest.fixture
def daemon(pbx):
    return pbx[0]


@pytest.fixture
def fake(pbx):
    return pbx[1]


def channel_status(daemon, name="pbx-main"):
    return next(c for c in daemon.status()["channels"] if c["name"] == name)


def still_works(daemon, fake, subscriber):
    """The proof after each abuse: a call is shown and written."""
    wait_until(lambda: any(s.listening for s in fake.sessions), 20 * SLOW, "a reconnect")
    before = len(subscriber.events(type="interaction.ended"))
    Steps(fake, "22/direct-answered").whole("1001", subscriber)
    wait_until(lambda: len(subscriber.events(type="interaction.ended")) > before,
               20 * SLOW, "a call to end")
    check_pops(subscriber, "default", ["1001"])


EVENT = b"Event: Newchannel\r\nPrivilege: call,all\r\n"
GARBAGE = {
    "lines without a colon": b"rubbish\r\nmore rubbish\r\n\r\n" * 1000,
    "a megabyte line": b"Event: " + b"x" * MB + b"\r\n\r\n",
    "a megabyte value": EVENT + b"Channel: " + b"y" * MB + b"\r\n\r\n",
    "a message without end": EVENT + b"A: b\r\n" * 200000,
    "NUL": EVENT + b"Channel: PJSIP/1001-\0\0\0\r\nUniqueid: \0\r\n\r\n",
    "only NULs": b"\0" * 100000 + b"\r\n\r\n",
    "invalid UTF-8": EVENT + b"Channel: PJSIP/\xff\xfe-00000001\r\nCallerIDName: \xc3\x28"
                     b"\r\nUniqueid: 1795277508.99\r\nLinkedid: 1795277508.99\r\n\r\n"
                     b"Event: Hangup\r\nUniqueid: 1795277508.99\r\n\r\n",
    "empty messages": b"\r\n" * 10000,
    "no values": EVENT + b"Channel:\r\nUniqueid:\r\nLinkedid:\r\n\r\n",
    "a key of a megabyte": b"Event: Hangup\r\n" + b"k" * MB + b": v\r\n\r\n",
    "answers nobody asked for": b"Response: Success\r\nActionID: 4711\r\n\r\n" * 1000,
    "numbers that are none": EVENT + b"ChannelState: many\r\nUniqueid: -1\r\n"
                             b"Position: 99999999999999999999\r\n\r\n",
    "another Goodbye": b"Response: Goodbye\r\n\r\n",
    "random bytes": bytes((i * 7919 + i // 251) % 256 for i in range(300000)) + b"\r\n\r\n",
}


@pytest.mark.parametrize("name", list(GARBAGE))
def test_garbage_from_the_phone_system(daemon, fake, subscriber, name):
    daemon.expect("pbx-main")
    fake.send_raw(GARBAGE[name])
    fake.send_raw(b"\r\n\r\n")
    still_works(daemon, fake, subscriber)
    lines = [line for line in daemon.log().splitlines() if "pbx-main" in line]
    assert len(lines) < 40, "logged once per line instead of once per cause"
    assert all(len(line) < 5000 for line in lines)


def test_events_of_unknown_channels_are_nothing(daemon, fake, subscriber, database):
    for n, event in enumerate(("Hangup", "Newstate", "DialEnd", "BridgeEnter", "BridgeLeave",
                               "Hold", "Unhold", "QueueCallerLeave", "AgentComplete",
                               "BlindTransfer", "AttendedTransfer", "ParkedCall")):
        fake.send_raw((f"Event: {event}\r\nPrivilege: call,all\r\nUniqueid: 99.{n}\r\n"
                       f"DestUniqueid: 98.{n}\r\nLinkedid: 99.{n}\r\nQueue: q\r\n"
                       f"BridgeUniqueid: b{n}\r\nTransfererUniqueid: 97.{n}\r\n\r\n").encode())
    still_works(daemon, fake, subscriber)
    assert len(database.interactions()) == 1


def test_half_a_message_then_silence(make_daemon, asterisk, subscriber, eventually):
    """The keepalive finds out, and the connection is made anew."""
    daemon = make_daemon(**{"tenant default": {"region": "TW"},
                            "channel pbx-main": asterisk_channel(
                                asterisk, keepalive_s="1", answer_timeout_s="1")})
    daemon.expect("pbx-main").start()
    daemon.wait_channels()
    asterisk.mute = True
    asterisk.send_raw(b"Event: Newchannel\r\nChan")
    eventually(lambda: channel_status(daemon)["state"] != "up")
    asterisk.mute = False
    still_works(daemon, asterisk, subscriber)
    assert asterisk.logins >= 2


@pytest.mark.parametrize("banner", [
    "SSH-2.0-OpenSSH_9.2", "HTTP/1.1 400 Bad Request", "", "x" * 100000, None,
    "220 mail.example ESMTP"], ids=["ssh", "http", "empty", "long", "none", "smtp"])
def test_something_else_answers_at_the_address(make_daemon, banner, eventually):
    with FakeAsterisk(banner=banner, users={}) as fake:
        daemon = make_daemon(**{"channel pbx-main": asterisk_channel(
            fake, answer_timeout_s="1", reconnect_max_ms="500ms")})
        daemon.expect("pbx-main").start()
        eventually(lambda: "pbx-main" in daemon.log())
        eventually(lambda: channel_status(daemon)["state"] != "up")
        assert daemon.api().get("/readyz").status == 200
        assert daemon.log().count("pbx-main") < 20


def test_a_refused_login_is_told_and_tried_slowly(make_daemon, eventually):
    with FakeAsterisk(users={"interactd": "other"}, refuse_delay=0.05) as fake:
        daemon = make_daemon(**{"channel pbx-main": asterisk_channel(
            fake, reconnect_min_ms="50", reconnect_max_ms="5s")})
        daemon.expect("pbx-main").start()
        eventually(lambda: len(fake.seen("Login")) >= 2)
        why = channel_status(daemon)
        assert why["state"] != "up"
        assert "'secret'" not in daemon.log() and "= secret" not in daemon.log()
        eventually(lambda: daemon.status()["uptime_s"] >= 3)
        assert len(fake.seen("Login")) < 12
        # Put right, it comes by itself.
        fake.users["interactd"] = "secret"
        eventually(lambda: channel_status(daemon)["state"] == "up", 20)


def test_nobody_listens_then_somebody_does(make_daemon, eventually):
    port = free_port()
    fake = FakeAsterisk(port=port)
    daemon = make_daemon(**{"channel pbx-main": {
        **asterisk_channel(fake), "address": f"127.0.0.1:{port}"}})
    daemon.expect("pbx-main").start()
    eventually(lambda: "refused" in daemon.log())
    with fake:
        daemon.wait_channels()


def test_a_phone_system_that_stops_reading(daemon, fake, subscriber, eventually):
    """Our actions pile up nowhere, and its events are still heard."""
    fake.stop_reading()
    for _ in range(200):
        daemon.api().post("/v1/channels/pbx-main/resync")
    before = daemon.memory()
    Steps(fake, "22/direct-answered").whole("1001", subscriber)
    assert daemon.memory() - before < 20 * MB
    subscriber.wait_event("interaction.ended")
    fake.stop_reading(False)
    daemon.expect("pbx-main")
    still_works(daemon, fake, subscriber)


def flood(fake, seconds, make):
    """Writes to all clients as fast as they read; returns how many bytes."""
    import asyncio
    async def run():
        n = sent = 0
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for session in list(fake.sessions):
                data = make(n)
                session.writer.write(data)
                sent += len(data)
                n += 1
                await session.writer.drain()
        return sent
    return asyncio.run_coroutine_threadsafe(run(), fake.loop).result(seconds + 60 * SLOW)


def test_memory_does_not_grow_under_a_flood_of_garbage(daemon, fake, subscriber):
    daemon.expect("pbx-main")
    kinds = [b"no colon here at all\r\n\r\n" * 100, b"Event: Nonsense\r\nA: b\r\n\r\n" * 100,
             b"Event: Hangup\r\nUniqueid: 9.%d\r\n\r\n" * 50,
             b"Event: VarSet\r\nUniqueid: 1.%d\r\nVariable: v\r\nValue: " + b"z" * 3000
             + b"\r\n\r\n", EVENT + b"Channel: " + b"q" * 70000 + b"\r\n\r\n"]
    def make(n):
        data = kinds[n % len(kinds)]
        return data.replace(b"%d", b"%d" % n)
    flood(fake, 2, make)
    before = daemon.memory()
    sent = flood(fake, 4, make)
    assert sent > 5 * MB
    # A sanitizer keeps what is freed for a while.
    assert daemon.memory() - before < (30 if SLOW == 1 else 400) * MB
    still_works(daemon, fake, subscriber)


def test_a_flood_of_calls_that_never_end_is_bounded(daemon, fake, subscriber, database):
    """Channels that are announced and never heard of again."""
    daemon.expect("pbx-main|calls")
    def make(n):
        return (f"Event: Newchannel\r\nPrivilege: call,all\r\nChannel: PJSIP/1001-{n:08x}\r\n"
                f"ChannelState: 0\r\nChannelStateDesc: Down\r\nCallerIDNum: 1001\r\n"
                f"Exten: s\r\nUniqueid: 1795277508.{n}\r\nLinkedid: 1795277508.{n}\r\n\r\n"
                ).encode()
    flood(fake, 3, make)
    assert daemon.memory() < (150 if SLOW == 1 else 1500) * MB
    # The next snapshot knows none of them.
    fake.drop_clients()
    wait_until(lambda: any(s.listening for s in fake.sessions), 20 * SLOW)
    wait_until(lambda: channel_status(daemon)["phone"]["phone_channels"] == 0, 30 * SLOW,
               "dead channels to be forgotten")
    still_works(daemon, fake, subscriber)


def test_a_connection_that_flaps(daemon, fake, subscriber):
    daemon.expect("pbx-main")
    for n in range(10):
        wait_until(lambda: any(s.listening for s in fake.sessions), 20 * SLOW)
        if n == 5:
            call = Steps(fake, "22/direct-answered").answer("1001")
            subscriber.wait_pop(agent="1001", state="talking")
        fake.drop_clients()
    wait_until(lambda: any(s.listening for s in fake.sessions), 20 * SLOW)
    call.rest()
    closed = subscriber.wait_pop(agent="1001", type="pop.close")
    assert closed["reason"] == "completed"
    still_works(daemon, fake, subscriber)


@pytest.mark.parametrize("skew", [-7, 7])
def test_a_phone_system_whose_clock_is_wrong(daemon, fake, subscriber, skew):
    """Closing reasons wait for what explains them by its clock, not by ours: also after a
    snapshot, which has no time but ours."""
    def heard(agent, n, **members):
        wait_until(lambda: sum(all(p[k] == v for k, v in members.items())
                               for p in subscriber.all_pops(agent=agent)) >= n,
                   20 * SLOW, f"{n} times {members} of {agent}")

    for n in (1, 2):
        steps = Steps(fake, "22/queue-ringall-second")
        steps.skew = skew
        steps.to("DialBegin").to("DialBegin").to("DialBegin")
        for agent in ("1001", "1002", "1003"):
            heard(agent, n, type="pop.open")
        steps.answer("1002")
        heard("1002", n, state="talking")
        steps.rest()
        heard("1002", n, type="pop.close")
        fake.drop_clients()
        wait_until(lambda: any(s.listening for s in fake.sessions), 20 * SLOW)
    wait_until(lambda: len(subscriber.events(type="interaction.ended")) == 2, 20 * SLOW)
    for agent, states, reason in (("1001", ["ringing"], "answered_elsewhere"),
                                  ("1002", ["ringing", "talking"], "completed"),
                                  ("1003", ["ringing"], "answered_elsewhere")):
        for pop in subscriber.by_pop(agent=agent).values():
            assert subscriber.states(pop) == states and pop[-1]["reason"] == reason
    check_pops(subscriber, "default", ["1001", "1002", "1003"])


def test_tls_to_the_phone_system(make_daemon, tmp_path, subscriber):
    import subprocess
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                    "-subj", "/CN=pbx", "-addext", "subjectAltName=IP:127.0.0.1",
                    "-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem"],
                   check=True, capture_output=True)
    with FakeAsterisk(tls=(tmp_path / "cert.pem", tmp_path / "key.pem")) as fake:
        daemon = make_daemon(**{
            "tenant default": {"region": "TW"},
            "channel pbx-main": asterisk_channel(fake, tls="yes",
                                                 tls_ca=tmp_path / "cert.pem"),
            "channel wary": asterisk_channel(fake, tls="yes", agent_prefix="w")})
        daemon.expect("wary").start()
        daemon.wait_channels("pbx-main")
        still_works(daemon, fake, subscriber)
        assert channel_status(daemon, "wary")["state"] != "up"


def test_the_log_shows_nothing_of_customers(make_daemon, asterisk, subscriber):
    daemon = make_daemon(**{"tenant default": {"region": "TW"},
                            "channel pbx-main": asterisk_channel(asterisk)}).start()
    daemon.wait_channels()
    daemon.api().contact("Geheimrat", "0912345678")
    Steps(asterisk, "22/cid-utf8").rest()
    Steps(asterisk, "22/direct-answered").ring("1001").rest()
    subscriber.wait_event("interaction.ended")
    daemon.stop()
    for word in ("912345678", "Geheimrat", "王小明", "secret"):
        assert word not in daemon.log()


def test_quiet_is_cheap(pbx, eventually):
    """Nothing happens, nothing is done: no busy waiting."""
    daemon, _ = pbx
    eventually(lambda: daemon.status()["uptime_s"] >= 2)
    before, began = daemon.cpu(), time.monotonic()
    eventually(lambda: time.monotonic() - began >= 2)
    assert daemon.cpu() - before < 0.1 * (time.monotonic() - began) * SLOW


def test_many_connections_at_once(pbx, eventually):
    daemon, _ = pbx
    sockets = []
    for _ in range(300):
        sockets.append(socket.create_connection(("127.0.0.1", daemon.port), timeout=10))
    statuses = []
    def ask():
        for _ in range(20):
            statuses.append(daemon.api().get("/healthz").status)
    threads = [threading.Thread(target=ask) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert statuses == [200] * 160
    for s in sockets:
        s.close()


def test_a_schema_from_the_future_is_refused(make_daemon, database):
    database("insert into schema_migration (name, hash, compatible) "
             "values ('999-future', 'x', false)")
    daemon = make_daemon().expect("newer version")
    daemon.start(ready=False)
    assert daemon.wait_end() == 1


def test_a_schema_that_somebody_edited_is_refused(make_daemon, database):
    database("update schema_migration set hash = 'x' where name like '002%'")
    daemon = make_daemon().expect("another text")
    daemon.start(ready=False)
    assert daemon.wait_end() == 1
