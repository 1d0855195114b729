"""What else the daemon needs goes away and comes back: PostgreSQL, Redis, the disk, the
phone system. Phones ring meanwhile: nothing is lost, and it is said what is wrong."""

import os

import pytest
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


def begin_without(make_daemon, asterisk, **sections):
    """A daemon that hears its phone system though something else is away."""
    daemon = make_daemon(**TW, **{"channel pbx-main": asterisk_channel(asterisk)}, **sections)
    daemon.expect("waiting for PostgreSQL", "[Rr]edis", "pg")
    daemon.start(ready=False)
    wait_until(lambda: os.path.exists(daemon.socket), 20 * SLOW)
    daemon.wait_channels()
    return daemon


def call(fake, number, scenario="22/direct-answered"):
    return Steps(fake, scenario, {"0912345678": number})


# ---- away at the start


def test_phones_are_heard_before_postgresql_is_there(
        make_daemon, postgres, asterisk, subscriber, database):
    postgres.stop()
    daemon = begin_without(make_daemon, asterisk)
    assert daemon.status()["state"] == "starting"
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
    wait_until(lambda: rows(database) == {"+886911000001": "ended", "+886911000002": "ended"},
               10 * SLOW, "both calls to be written")
    check_pops(subscriber, "default", ["1001"])
