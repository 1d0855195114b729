"""Trouble of the kind that comes at three in the morning, and callers who mean harm."""

import resource
import ssl
import subprocess
import time

import pytest
import redis
from servers import wait_until
from support.daemon import SLOW
from support.pops import check_pops
from support.steps import Steps
from support.streams import EventStream, WebSocket
from support.truth import load


@pytest.fixture
def daemon(pbx):
    return pbx[0]


@pytest.fixture
def fake(pbx):
    return pbx[1]


def short_calls(numbers):
    """The bytes of calls that come in and hang up at once."""
    out = []
    for n in numbers:
        ids = (f"Privilege: call,all\r\nChannel: PJSIP/trunk-{n:08x}\r\n"
               f"Uniqueid: 1795277508.{n}\r\nLinkedid: 1795277508.{n}\r\n")
        out.append(f"Event: Newchannel\r\n{ids}ChannelState: 4\r\nChannelStateDesc: Ring\r\n"
                   f"CallerIDNum: 0912{n:06d}\r\nExten: 6000\r\nContext: from-trunk\r\n\r\n"
                   f"Event: Hangup\r\n{ids}Cause: 16\r\n\r\n")
    return "".join(out).encode()


def backlog(daemon):
    told = daemon.status()["backlog"]
    return told["waiting"] + told["in_batch"]


@pytest.mark.skipif(SLOW > 1, reason="50,000 savings take a sanitizer minutes")
def test_calls_that_found_the_queue_full_are_written_when_there_is_room(
        daemon, fake, postgres, database):
    """Their checkpoint must not pass them by: only the spool has them."""
    n = 27000
    daemon.expect("pbx-main", "PostgreSQL", "too many calls wait")
    postgres.pause()
    for first in range(0, n, 500):
        fake.send_raw(short_calls(range(first, first + 500)))
    wait_until(lambda: "too many calls wait" in daemon.log(), 60 * SLOW, "a full queue")
    def all_heard():
        phone = daemon.status()["channels"][0]["phone"]
        return phone["events"]["seen"] >= 2 * n
    wait_until(all_heard, 60 * SLOW, "all events to be heard")
    assert "too many calls waited" in spool(daemon)["error"]
    assert 'interactd_spool_frozen{channel="pbx-main"} 1' in \
        daemon.api().get("/metrics").body.decode()
    postgres.resume()
    # One more, with room in the queue: its checkpoint lies behind those refused.
    fake.send_raw(short_calls([n]))
    wait_until(lambda: database.one("select count(*) from interaction") == n + 1, 120 * SLOW,
               "the calls the queue had no room for")
    wait_until(lambda: spool(daemon)["error"] is None, 20 * SLOW, "the spool to be well")


def test_a_database_that_stalls_is_told(daemon, postgres):
    """Its connections stay up, and nothing comes back."""
    daemon.expect("PostgreSQL|pg")
    def ready():
        answer = daemon.api().get("/readyz")
        return answer.status == 200, answer.json["postgresql"]
    assert ready()[0]
    postgres.pause()
    wait_until(lambda: not ready()[0], 15 * SLOW, "the stall to be told")
    told = ready()[1]
    assert told["reason"] and told["since"]
    metrics = daemon.api().get("/metrics").body.decode()
    assert "interactd_postgresql_up 0" in metrics
    postgres.resume()
    wait_until(lambda: ready()[0], 15 * SLOW, "it to be ready again")


def make_certificate(directory, name):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                    "-subj", f"/CN={name}", "-keyout", directory / "key.pem",
                    "-out", directory / "cert.pem"], check=True, capture_output=True)
    return (directory / "cert.pem").read_text()


def test_a_renewed_certificate_is_taken_by_a_reload(make_daemon, tmp_path):
    old = make_certificate(tmp_path, "old")
    daemon = make_daemon(http={"tls_cert": tmp_path / "cert.pem",
                               "tls_key": tmp_path / "key.pem"}).start()
    def served():
        return ssl.get_server_certificate(("127.0.0.1", daemon.port))
    assert served() == old
    new = make_certificate(tmp_path, "new")
    daemon.reload()
    wait_until(lambda: served() == new, 10 * SLOW, "the new certificate")
    (tmp_path / "cert.pem").write_text("rubbish")
    daemon.expect("certificate").reload()
    wait_until(lambda: "the certificate in use stays" in daemon.log(), 10 * SLOW, "a refusal")
    assert served() == new


def test_origins_are_reloaded(make_daemon):
    daemon = make_daemon(http={"origins": "https://a.example"}).start()
    def allowed(origin):
        answer = daemon.api().request("GET", "/healthz", headers={"Origin": origin})
        return answer.headers.get("Access-Control-Allow-Origin") == origin
    assert allowed("https://a.example") and not allowed("https://b.example")
    daemon.configure(http={"origins": "https://b.example"}).reload()
    wait_until(lambda: allowed("https://b.example"), 10 * SLOW, "the new origin")
    assert not allowed("https://a.example") and "need a restart" not in daemon.log()


def spool(daemon):
    return daemon.status()["channels"][0]["phone"]["spool"]


def test_a_call_that_could_not_be_spooled_moves_no_checkpoint(daemon, fake, subscriber):
    """It has no place in the spool; the calls before it keep theirs."""
    daemon.expect("spool|calls pbx-main|http")
    before = Steps(fake, "22/direct-answered").ring("1001")
    subscriber.wait_pop(agent="1001", state="ringing", timeout=10 * SLOW)
    needed = spool(daemon)["checkpoint"]
    pid = daemon.process.pid
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, hard))  # no new segment any more
    try:
        value = "x" * 3000
        for n in range(7000):
            fake.send_raw(f"Event: VarSet\r\nPrivilege: dialplan,all\r\nUniqueid: 99.1\r\n"
                          f"Linkedid: 99.1\r\nChannel: PJSIP/trunk-0000aaaa\r\n"
                          f"Variable: V{n}\r\nValue: {value}\r\n\r\n".encode())
        wait_until(lambda: "could not be kept on disk" in daemon.log(), 30 * SLOW, "no disk")
        Steps(fake, "22/direct-answered", {"0912345678": "0955000111"}).ring("1001")
        wait_until(lambda: len(subscriber.by_pop(agent="1001")) == 2, 10 * SLOW, "its pop")
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
    wait_until(lambda: backlog(daemon) == 0, 10 * SLOW, "it to be saved")
    told = spool(daemon)
    assert told["not_spooled"] > 0 and 0 <= told["checkpoint"] <= needed, told
    before.rest()


def test_a_revoked_token_ends_the_streams_it_opened(daemon):
    """Also those opened by a ticket that it was exchanged for."""
    api = daemon.api()
    kept = daemon.api(key=api.create("/v1/agents/1001/tokens", {})["token"])
    lost = daemon.api(key=api.create("/v1/agents/1001/tokens", {})["token"])
    path = "/v1/agents/1001/stream"
    ticket = lost.post("/v1/agents/1001/tickets").json["ticket"]
    streams = [WebSocket(daemon.port, path, ["interactd.v1", f"bearer.{lost.key}"]),
               EventStream(lost, path),
               EventStream(daemon.api(key=""), f"{path}?ticket={ticket}")]
    other, own = EventStream(kept, path), EventStream(api, path)
    listed = sorted(api.ok("/v1/agents/1001/tokens")["items"], key=lambda t: t["id"])
    assert api.delete(f"/v1/agents/1001/tokens/{listed[-1]['id']}").status in (200, 204)
    wait_until(lambda: streams[0].code and all(s.ended for s in streams[1:]), 20 * SLOW,
               "the streams to end")
    assert streams[0].code == 1008
    assert not other.ended and not own.ended
    other.close()
    own.close()


def test_a_revoked_key_ends_the_streams_it_opened(daemon):
    api = daemon.api()
    made = api.create("/v1/api-keys", {"name": "wallboard", "role": "readonly"})
    stream = EventStream(daemon.api(key=made["key"]), "/v1/pops/stream")
    assert api.delete(f"/v1/api-keys/{made['id']}").status == 204
    wait_until(lambda: stream.ended, 20 * SLOW, "the stream to end")


def test_a_ticket_opens_a_stream_and_nothing_else(daemon):
    api = daemon.api()
    ticket = api.post("/v1/agents/1001/tickets").json["ticket"]
    nobody = daemon.api(key="")
    for path in ("/v1/agents", "/v1/contacts?q=a", "/v1/agents/1001/pops"):
        sign = "&" if "?" in path else "?"
        assert nobody.get(f"{path}{sign}ticket={ticket}").status == 401, path
    EventStream(nobody, f"/v1/agents/1001/stream?ticket={ticket}").close()


def test_a_redis_that_refuses_pops_is_told(daemon, fake, redis_server, subscriber):
    """Full, it answers every question and stores nothing."""
    daemon.expect("pops of")
    client = redis.Redis(unix_socket_path=redis_server.path)
    client.config_set("maxmemory", "1")
    try:
        call = Steps(fake, "22/direct-answered").ring("1001")
        def told():
            answer = daemon.api().get("/readyz")
            return answer.status == 503 and "OOM" in answer.json["redis"]["reason"]
        wait_until(told, 10 * SLOW, "the refusal to be told")
    finally:
        client.config_set("maxmemory", "0")
    wait_until(lambda: daemon.api().get("/readyz").status == 200, 10 * SLOW, "recovery")
    subscriber.wait_pop(agent="1001", type="pop.open")
    call.rest()


def test_killed_again_and_again_under_load_nothing_is_lost_or_doubled(
        daemon, fake, subscriber, database):
    """What was on the wire at that moment may be missing: a call is then interrupted, or
    its reason another; but it is there, once, and so is each of its pops."""
    names = ["22/direct-answered", "22/queue-answered", "22/transfer-blind-refer",
             "22/queue-abandon"]
    plays = {}
    for _ in range(3):
        for n in range(len(plays), len(plays) + 25):
            number = f"09{30000000 + n:08d}"
            plays["+886" + number[1:]] = fake.play(
                load(names[n % len(names)]), speed=20 / SLOW, timestamps=True,
                words={"0912345678": number})
            time.sleep(0.03)  # as callers come
        daemon.kill()
        daemon.start()
    for play in plays.values():
        assert play.wait(60 * SLOW)
    wait_until(lambda: daemon.status()["channels"][0]["phone"]["calls"] == 0
               and backlog(daemon) == 0, 30 * SLOW, "all calls to end")
    rows = database("select remote_value, state from interaction")
    assert sorted(row[0] for row in rows) == sorted(plays)
    assert {row[1] for row in rows} == {"ended"}
    agents = ["1001", "1002", "1003", "1004"]
    wait_until(lambda: not any(subscriber.open_hash("default", a) for a in agents),
               20 * SLOW, "all pops to be closed")
    check_pops(subscriber, "default", agents)
