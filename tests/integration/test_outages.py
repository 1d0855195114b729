"""What else the daemon needs goes away and comes back: PostgreSQL, Redis, the disk, the
phone system. Phones ring meanwhile: nothing is lost, and it is said what is wrong."""

import os
import subprocess
import time

import pytest
from conftest import sql
from pg_proxy import PgProxy
from servers import wait_until
from support.daemon import SLOW, asterisk_channel
from support.pops import check_pops
from support.steps import Steps
from support.truth import load

TW = {"tenant default": {"region": "TW", "timezone": "Asia/Taipei"}}


def backlog(daemon):
    told = daemon.status()["backlog"]
    return told["waiting"] + told["in_batch"]


def phone(daemon, n=0):
    return daemon.status()["channels"][n]["phone"]


def rows(database):
    """{remote number: state}, each number once."""
    found = database("select remote_value, state from interaction")
    assert len(found) == len(dict(found)), found
    return dict(found)


def wait_rows(database, *numbers):
    """Until these calls, and no others, are written and ended."""
    wanted = {n: "ended" for n in numbers}
    try:
        wait_until(lambda: rows(database) == wanted, 15 * SLOW)
    except TimeoutError:
        assert rows(database) == wanted


def answers(daemon):
    try:
        return daemon.api().get("/healthz").status == 200
    except OSError:
        return False


def begin(daemon):
    """Starts it, until it hears its phone systems."""
    daemon.start(ready=False)
    wait_until(lambda: answers(daemon), 20 * SLOW, "the operator's socket")
    daemon.wait_channels()
    return daemon


def begin_without(make_daemon, asterisk, **sections):
    """A daemon that hears its phone system though something else is away."""
    daemon = make_daemon(**TW, **{"channel pbx-main": asterisk_channel(asterisk)}, **sections)
    daemon.expect("waiting for PostgreSQL", "[Rr]edis", "pg")
    return begin(daemon)


def call(fake, number, scenario="22/direct-answered"):
    return Steps(fake, scenario, {"0912345678": number})


# ---- what is said


def failing(daemon):
    """{what: the trouble} as /readyz tells it."""
    answer = daemon.api().get("/readyz")
    assert daemon.api().get("/healthz").status == 200
    found = {f["what"]: f for f in answer.json["failing"]}
    assert all(f["since"] and f["why"] and f["do"] for f in found.values()), found
    assert bool(answer.json["ready"]) == (answer.status == 200)
    return found


def wait_failing(daemon, what, *words, timeout=15):
    """Until this trouble is told with all these words."""
    def told():
        trouble = failing(daemon).get(what)
        text = trouble and f"{trouble['why']} {trouble['do']}"
        return trouble if trouble and all(w in text for w in words) else None
    return wait_until(told, timeout * SLOW, f"{what} to fail with {words}")


def wait_well(daemon, timeout=15):
    wait_until(lambda: not failing(daemon), timeout * SLOW, "all to be well")


# ---- away at the start


def test_phones_are_heard_before_postgresql_is_there(
        make_daemon, postgres, asterisk, subscriber, database):
    postgres.stop()
    daemon = begin_without(make_daemon, asterisk)
    assert daemon.status()["state"] == "starting"
    assert "start PostgreSQL" in wait_failing(daemon, "postgresql")["do"]
    assert "start PostgreSQL" in daemon.ctl("status").stdout
    ended = call(asterisk, "0911000001").whole("1001", subscriber)
    assert ended["degraded"] and ended["contact"] is None
    live = call(asterisk, "0911000002").ring("1001")
    wait_until(lambda: "postgresql does not work" in daemon.log(), 5 * SLOW)
    postgres.start()
    daemon.wait_ready()
    wait_until(lambda: "postgresql works again" in daemon.log(), 5 * SLOW)
    # What was shown without data is completed, what ended is written, nothing twice.
    done = subscriber.wait_pop(agent="1001", type="pop.update", degraded=False,
                               timeout=10 * SLOW)
    assert done["contact"]["id"] and done["pop"] != ended["pop"]
    live.answer("1001").rest()
    wait_rows(database, "+886911000001", "+886911000002")
    check_pops(subscriber, "default", ["1001"])


def test_both_away_at_the_start(make_daemon, postgres, redis_server, asterisk, subscriber,
                                database):
    """Redis comes first: pops of calls that live then, and of none that had ended."""
    subscriber.close()
    redis_server.stop()
    postgres.stop()
    daemon = begin_without(make_daemon, asterisk)
    call(asterisk, "0911000001").rest()
    live = call(asterisk, "0911000002").ring("1001")
    wait_until(lambda: set(failing(daemon)) == {"postgresql", "redis"}, 10 * SLOW)
    redis_server.start()
    wait_until(lambda: subscriber.open_hash("default", "1001"), 10 * SLOW, "the live pop")
    subscriber.resume()
    postgres.start()
    daemon.wait_ready()
    live.answer("1001").rest()
    wait_rows(database, "+886911000001", "+886911000002")
    wait_until(lambda: not subscriber.open_hash("default", "1001"), 10 * SLOW)
    assert len({p["pop"] for _, p in subscriber.stream("default", "1001")}) == 1


def test_an_agent_whom_only_the_database_knows_is_shown_when_it_is_there(
        make_daemon, postgres, asterisk, subscriber, database):
    database("insert into agent (tenant_id, id, name, interfaces) "
             "values (%s, 'anna', '', '{PJSIP/1001}')", database.tenant_id("default"))
    postgres.stop()
    daemon = make_daemon(**TW, **{"channel pbx-main": asterisk_channel(asterisk, agents=None)})
    begin(daemon.expect("waiting for PostgreSQL", "pg"))
    live = call(asterisk, "0911000001").ring("1001")
    wait_until(lambda: phone(daemon)["calls"] == 1, 10 * SLOW)
    assert not subscriber.all_pops()
    postgres.start()
    subscriber.wait_pop(agent="anna", type="pop.open", state="ringing", timeout=20 * SLOW)
    live.answer("1001").rest()
    wait_rows(database, "+886911000001")
    check_pops(subscriber, "default", ["anna"])


def test_a_daemon_that_finds_another_when_postgresql_returns_writes_nothing(
        make_daemon, postgres, asterisk, database, subscriber):
    one = make_daemon(**TW).start()
    one.expect("pg")
    # As after a long outage: its lease has run out, and it is alive.
    database("update lease set renewed_at = now() - interval '1 hour'")
    postgres.stop()
    two = begin_without(make_daemon, asterisk)
    two.expect("another interactd")
    call(asterisk, "0911000001").whole("1001", subscriber)
    postgres.start()
    assert two.wait_end(30) == 1
    assert "another interactd" in two.log()
    one.wait_ready()
    assert rows(database) == {}
    # Its events are kept: the next one that may writes them.
    one.stop()
    two.start()
    wait_rows(database, "+886911000001")


def test_a_lost_spool_and_no_database_to_ask_loses_no_number(
        make_daemon, postgres, asterisk, database, subscriber):
    """The numbers of the new spool are above all that the database knows."""
    database("insert into spool_checkpoint (tenant_id, channel, seq) values (%s, %s, %s)",
             database.tenant_id("default"), "pbx-main", 5000)
    postgres.stop()
    daemon = begin_without(make_daemon, asterisk)
    call(asterisk, "0911000001").whole("1001", subscriber)
    live = call(asterisk, "0911000002").ring("1001")
    wait_until(lambda: phone(daemon)["calls"] == 1, 10 * SLOW)
    daemon.kill()
    postgres.start()
    daemon.start()
    daemon.wait_channels()
    live.rest()
    wait_rows(database, "+886911000001", "+886911000002")
    assert "are missing from the spool" not in daemon.log()


def test_an_old_spool_put_back_and_no_database_to_ask(
        make_daemon, postgres, asterisk, database):
    """Its new records would count as done: the checkpoint goes back to before them."""
    daemon = make_daemon(**TW, **{"channel pbx-main": asterisk_channel(asterisk)}).start()
    daemon.wait_channels()
    call(asterisk, "0911000001").rest()
    wait_rows(database, "+886911000001")
    daemon.expect("waiting for PostgreSQL", "pg").stop()
    database("update spool_checkpoint set seq = seq + 10000")
    postgres.stop()
    begin(daemon)
    live = call(asterisk, "0911000002").ring("1001")
    wait_until(lambda: phone(daemon)["calls"] == 1, 10 * SLOW)
    postgres.start()
    daemon.wait_ready()
    assert database.one("select seq from spool_checkpoint") < 10000
    daemon.kill()
    daemon.start()
    live.rest()
    wait_rows(database, "+886911000001", "+886911000002")


# ---- a bad line to PostgreSQL


@pytest.fixture
def proxy(postgres, directory, tmp_path):
    with PgProxy(tmp_path / "line", postgres.directory) as line:
        yield line


def over(proxy, database):
    return {"postgresql": {"conninfo": f"host={proxy.directory} user=interactd "
                                       f"dbname={database.name}", "connections": "2"}}


def test_a_slow_database_delays_no_pop(proxy, make_daemon, asterisk, subscriber, database):
    daemon = make_daemon(**TW, **{"channel pbx-main": asterisk_channel(asterisk)},
                         **over(proxy, database)).start()
    daemon.wait_channels()
    daemon.expect("pg").api().contact("Slow", "0911000001")
    proxy.delay = 0.8
    began = time.monotonic()
    live = call(asterisk, "0911000001").ring("1001")
    pop = subscriber.wait_pop(agent="1001", type="pop.open", timeout=10 * SLOW)
    took = time.monotonic() - began
    assert pop["degraded"] and took < 0.6 * SLOW, took
    done = subscriber.wait_pop(agent="1001", type="pop.update", degraded=False,
                               timeout=10 * SLOW)
    assert done["contact"]["name"] == "Slow"
    proxy.delay = 0
    live.answer("1001").rest()
    wait_rows(database, "+886911000001")
    check_pops(subscriber, "default", ["1001"])


def test_a_database_that_accepts_and_says_nothing(proxy, make_daemon, asterisk, subscriber,
                                                  database):
    """At the start; the daemon can be ended meanwhile."""
    daemon = make_daemon(**over(proxy, database)).expect("PostgreSQL")
    proxy.silent = True
    daemon.start(ready=False)
    wait_until(lambda: answers(daemon), 20 * SLOW)
    wait_failing(daemon, "postgresql", "does not answer", "locks")
    began = time.monotonic()
    daemon.stop()
    assert time.monotonic() - began < 3 * SLOW
    daemon.configure(**TW, **{"channel pbx-main": asterisk_channel(asterisk)})
    begin(daemon)
    call(asterisk, "0911000001").whole("1001", subscriber)
    proxy.silent = False
    wait_rows(database, "+886911000001")
    daemon.wait_ready()


def test_each_trouble_of_the_database_is_told_and_ends(
        make_daemon, postgres, asterisk, database, tmp_path):
    """A role of its own, so that it can be kept out."""
    conf = os.path.join(postgres.data, "pg_hba.conf")
    with open(conf, encoding="ascii") as f:
        before = f.read()
    name = database.name
    database(f"create role {name} login password 'first-secret'; "
             f"grant interactd to {name}")
    with open(conf, "w", encoding="ascii") as f:
        f.write(f"local all {name} scram-sha-256\n{before}")
    def out():
        sql(postgres, "select pg_reload_conf(), pg_terminate_backend(pid) from pg_stat_activity "
                 "where usename = %s", name)
    try:
        out()
        daemon = make_daemon(**TW, **{"channel pbx-main": asterisk_channel(asterisk)},
                             postgresql={"conninfo": f"host={postgres.directory} user={name} "
                                         f"dbname={name} password=first-secret"})
        daemon.expect("pg").start()
        troubles = [
            (f"alter role {name} password 'second'", f"alter role {name} password "
             "'first-secret'", ["password authentication failed", "conninfo"]),
            (f"alter role {name} connection limit 0", f"alter role {name} connection limit -1",
             ["too many connections", "limit"]),
            (f"alter database {name} set default_transaction_read_only = on",
             f"alter database {name} reset default_transaction_read_only",
             ["read-only", "primary"]),
        ]
        for begins, ends, words in troubles:
            sql(postgres, begins)
            out()
            told = wait_failing(daemon, "postgresql", *words)
            assert "secret" not in str(told)
            sql(postgres, ends)
            out()
            wait_well(daemon)
        full = ("create function no_room() returns trigger language plpgsql as $$ begin raise "
                "'could not extend file: No space left on device' using errcode = '53100'; "
                "end $$; create trigger no_room before insert on interaction for each row "
                "execute function no_room()")
        daemon.wait_channels()
        database(full)
        call(asterisk, "0911000001").rest()
        wait_failing(daemon, "postgresql", "No space left", "make room")
        database("drop trigger no_room on interaction")
        wait_rows(database, "+886911000001")
        wait_well(daemon)
        daemon.stop()
        assert "secret" not in daemon.log()
    finally:
        with open(conf, "w", encoding="ascii") as f:
            f.write(before)
        out()
        database(f"drop owned by {name}; drop role {name}")


# ---- under fire


def test_connections_cut_all_the_time_under_load(pbx, subscriber, database):
    """Nothing is lost, nothing doubled; the lease stays, and comes back when its row goes."""
    daemon, fake = pbx
    daemon.expect("pg", "PostgreSQL")
    plays = {}
    for n in range(50):
        number = f"09{40000000 + n:08d}"
        plays["+886" + number[1:]] = fake.play(load("22/direct-answered"), speed=12 / SLOW,
                                               timestamps=True, words={"0912345678": number})
        if n % 10 == 5:
            database("delete from lease")
        database("select pg_terminate_backend(pid) from pg_stat_activity "
                 "where application_name like 'interactd%%' and random() < 0.6")
        time.sleep(0.02)
    for play in plays.values():
        assert play.wait(60 * SLOW)
    wait_rows(database, *plays)
    assert database.one("select count(*) from contact where tenant_id = %s",
                        database.tenant_id("default")) == 50
    wait_until(lambda: backlog(daemon) == 0, 10 * SLOW)
    wait_until(lambda: database("select 1 from lease"), 10 * SLOW)
    wait_well(daemon)
    wait_until(lambda: not subscriber.open_hash("default", "1001"), 10 * SLOW)
    check_pops(subscriber, "default", ["1001"])


# ---- the disk


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 2 MiB; call it with a size to change that."""
    path = tmp_path / "disk"
    path.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", path], check=False,
                          capture_output=True)
    if done.returncode:
        pytest.skip("may not mount a tmpfs here")
    def change(options):
        subprocess.run(["mount", "-o", f"remount,{options}", path], check=True)
    change.path = path
    yield change
    subprocess.run(["umount", "-l", path], check=True)


def fill(fake, bytes_):
    for n in range(bytes_ // 3000):
        fake.send_raw(f"Event: VarSet\r\nPrivilege: dialplan,all\r\nUniqueid: 99.1\r\n"
                      f"Linkedid: 99.1\r\nChannel: PJSIP/trunk-0000aaaa\r\n"
                      f"Variable: V{n}\r\nValue: {'x' * 3000}\r\n\r\n".encode())


def test_a_full_disk_stops_no_call(make_daemon, asterisk, subscriber, database, small_disk):
    daemon = make_daemon(daemon={"state_dir": str(small_disk.path / "state")}, **TW,
                         **{"channel pbx-main": asterisk_channel(asterisk)})
    daemon.expect("spool pbx-main", "calls pbx-main").start()
    daemon.wait_channels()
    before = call(asterisk, "0911000001").ring("1001")
    fill(asterisk, 3 << 20)
    wait_failing(daemon, "spool pbx-main", "No space left", "make room")
    wait_until(lambda: "spool pbx-main does not work" in daemon.log(), 5 * SLOW)
    assert daemon.api().get("/readyz").status == 200
    second = call(asterisk, "0911000002").ring("1001")
    wait_until(lambda: len(subscriber.by_pop(agent="1001")) == 2, 10 * SLOW)
    second.answer("1001").rest()
    subscriber.wait_pop(agent="1001", type="pop.close", timeout=10 * SLOW)
    wait_until(lambda: phone(daemon)["spool"]["not_spooled"] > 0, 10 * SLOW)
    metrics = daemon.api().get("/metrics").body.decode()
    assert 'interactd_spool_failed_total{channel="pbx-main"} 0' not in metrics
    small_disk("size=64m")
    before.answer("1001")
    wait_well(daemon)
    wait_until(lambda: "spool pbx-main works again" in daemon.log(), 5 * SLOW)
    # What was torn is no damage, and what came since is there after a crash.
    daemon.kill()
    daemon.start()
    daemon.wait_channels()
    before.rest()
    wait_rows(database, "+886911000001", "+886911000002")
    assert phone(daemon)["spool"]["damaged"] == 0


@pytest.mark.parametrize("what", ["a file", "not there"])
def test_a_state_dir_that_cannot_be_used_is_a_sentence(make_daemon, tmp_path, what):
    path = tmp_path / "state"
    if what == "a file":
        path.write_text("")
    else:
        path = path / "deep" / "er"
    daemon = make_daemon(daemon={"state_dir": str(path)}).expect("state_dir")
    daemon.start(ready=False)
    assert daemon.wait_end() == 1
    assert f"[daemon] state_dir = {path}, which must be a directory" in daemon.log()
