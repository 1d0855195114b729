"""Fixtures of the integration tests.

`postgres` and `redis` are private servers of the session; `database` is a fresh, migrated
one per test; `make_daemon` starts interactd and, when the test ends, stops it by SIGTERM
and fails the test if it did not end well, logged an unexpected error, or left something
behind. Binaries come from $INTERACTD_BUILD (build/release)."""

import itertools
import os
import signal
import sys
import tempfile
import threading
from pathlib import Path

import psycopg2
import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "lib")]

from fake_asterisk import FakeAsterisk  # noqa: E402
from servers import Postgres, Redis, wait_until  # noqa: E402
from support.daemon import BUILD, SLOW, Daemon  # noqa: E402
from support.pops import Subscriber  # noqa: E402

counter = itertools.count(1)


def pytest_configure(config):
    config.addinivalue_line("markers", "asterisk: needs a real Asterisk and sipp")
    config.addinivalue_line("markers", "browser: needs chromium and playwright-core")
    # Ended from outside (timeout, CI), the fixtures still stop what they started. A worker
    # of xdist may run its tests beside its main thread, which alone may say so.
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)


def pytest_collection_modifyitems(config, items):
    if not (BUILD / "interactd").exists():
        raise pytest.UsageError(f"{BUILD}/interactd is not there: run make first")


# ---- servers


@pytest.fixture(scope="session")
def directory():
    with tempfile.TemporaryDirectory(prefix="interactd-it.") as name:
        os.chmod(name, 0o711)
        yield Path(name)


@pytest.fixture(scope="session")
def session_postgres(directory):
    server = Postgres(str(directory))
    try:
        server.create()
        yield server
    finally:
        server.close()


@pytest.fixture(scope="session")
def session_redis(directory):
    server = Redis(str(directory))
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture
def postgres(session_postgres):
    """The server; a test may stop, kill or pause it: it is brought back afterwards."""
    yield session_postgres
    session_postgres.resume()
    if not session_postgres.pid:
        session_postgres.start()


@pytest.fixture
def redis_server(session_redis):
    """Redis, empty. Brought back after the test, whatever it did."""
    flush(session_redis)
    yield session_redis
    if session_redis.process:
        session_redis.resume()
    else:
        session_redis.start()


def flush(server):
    import redis
    redis.Redis(unix_socket_path=server.path).flushall()


def sql(server, statement, *args, database="postgres"):
    """One statement, by itself; its rows, if it has any."""
    connection = psycopg2.connect(server.conninfo(database))
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement, args or None)
            return cursor.fetchall() if cursor.description else None
    finally:
        connection.close()


@pytest.fixture(scope="session")
def template(session_postgres, session_redis, directory):
    """A database with the schema, as interactd itself makes it at its first start."""
    sql(session_postgres, "create database migrated")
    daemon = Daemon(directory / "template", session_postgres.conninfo("migrated"),
                    session_redis.address)
    daemon.start()
    daemon.finish()
    return "migrated"


def new_database(server, template):
    name = f"test_{next(counter)}"
    sql(server, f"create database {name} template {template}")
    return name


class Database:
    """conninfo, and questions to it: db("select …", args)."""

    def __init__(self, server, name):
        self.server, self.name = server, name
        self.conninfo = server.conninfo(name)

    def __call__(self, statement, *args):
        return sql(self.server, statement, *args, database=self.name)

    def one(self, statement, *args):
        return self(statement, *args)[0][0]

    def tenant_id(self, tenant):
        return self.one("select id from tenant where name = %s", tenant)

    def interactions(self, tenant="default"):
        """Ids, oldest first."""
        return [str(row[0]) for row in self(
            "select i.id from interaction i join tenant t on t.id = i.tenant_id "
            "where t.name = %s order by i.id", tenant)]


@pytest.fixture
def database(session_postgres, template):
    name = new_database(session_postgres, template)
    yield Database(session_postgres, name)
    session_postgres.resume()
    if session_postgres.pid:
        sql(session_postgres, f"drop database {name} with (force)")


# ---- interactd


@pytest.fixture
def make_daemon(database, redis_server, tmp_path, postgres):
    """make_daemon(**sections): a Daemon with these sections, not started."""
    made = []

    def make(**sections):
        daemon = Daemon(tmp_path / f"d{len(made)}", database.conninfo, redis_server.address)
        made.append(daemon)
        return daemon.configure(**sections)

    yield make
    failed = None
    for daemon in made:
        try:
            daemon.finish()
        except AssertionError as e:
            failed = failed or e
    if failed:
        raise failed


@pytest.fixture
def asterisk():
    with FakeAsterisk() as fake:
        yield fake


@pytest.fixture
def subscriber(redis_server):
    ear = Subscriber(redis_server.path)
    yield ear
    ear.close()


@pytest.fixture
def pbx(make_daemon, asterisk):
    """(daemon, fake): one running daemon with one phone system, in region TW."""
    from support.daemon import asterisk_channel
    daemon = make_daemon(**{"tenant default": {"region": "TW", "timezone": "Asia/Taipei"},
                            "channel pbx-main": asterisk_channel(
                                asterisk, dial_allow=r"^\+886")})
    daemon.start()
    daemon.wait_channels()
    return daemon, asterisk


# ---- one daemon for many tests, a tenant for each


@pytest.fixture(scope="module")
def shared_daemon(session_postgres, session_redis, template, directory):
    """A daemon with many tenants and no phone system: for the API's tests."""
    flush(session_redis)
    name = new_database(session_postgres, template)
    daemon = Daemon(directory / name, session_postgres.conninfo(name),
                    session_redis.address)
    daemon.configure(outreach={"page_url": "https://my.example.com"})
    daemon.configure(**{f"tenant t{n}": {"region": "TW"} for n in range(400)})
    daemon.start()
    daemon.database = Database(session_postgres, name)
    daemon.tenants = (f"t{n}" for n in range(400))
    yield daemon
    daemon.finish()
    sql(session_postgres, f"drop database {name} with (force)")


@pytest.fixture
def tenant(shared_daemon):
    """A tenant nobody has used."""
    return next(shared_daemon.tenants)


@pytest.fixture
def api(shared_daemon, tenant):
    """The operator's API in a tenant of this test's own."""
    return shared_daemon.api(tenant=tenant)


@pytest.fixture
def keys(shared_daemon, api):
    """keys("agent"): the API over TCP as a key of that role, in this test's tenant."""
    def make(role, name=None):
        made = api.create("/v1/api-keys", {"name": name or role, "role": role})
        return shared_daemon.api(key=made["key"])
    return make


@pytest.fixture
def eventually():
    """wait_until, longer with a sanitized binary."""
    return lambda condition, timeout=10, what="": wait_until(condition, timeout * SLOW, what)
