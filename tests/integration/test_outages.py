"""What else the daemon needs goes away and comes back: PostgreSQL, Redis, the disk, the
phone system. Phones ring meanwhile: nothing is lost, and it is said what is wrong."""

from servers import wait_until
from support.daemon import SLOW, asterisk_channel
from support.pops import check_pops
from support.steps import Steps

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
    ended = call(asterisk, "0911000001").whole("1001", subscriber)
    assert ended["degraded"] and ended["contact"] is None
    live = call(asterisk, "0911000002").ring("1001")
    postgres.start()
    daemon.wait_ready()
    # What was shown without data is completed, what ended is written, nothing twice.
    done = subscriber.wait_pop(agent="1001", type="pop.update", degraded=False,
                               timeout=10 * SLOW)
    assert done["contact"]["id"] and done["pop"] != ended["pop"]
    live.answer("1001").rest()
    wait_rows(database, "+886911000001", "+886911000002")
    check_pops(subscriber, "default", ["1001"])
    wait_until(lambda: "postgresql works again" in daemon.log(), 5 * SLOW)


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
