"""A PostgreSQL and a Redis of the bench's own, and what is in them.

The servers live in a directory ($BENCH_DIR) on Unix sockets, PostgreSQL with fsync on.
The store takes minutes to make, so it stays there between runs, one database per size;
`make bench` makes it anew when the schema or these scripts have changed. The system's
servers are not touched, and both servers are stopped when the bench ends.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE.parent / "lib"), str(HERE.parent / "integration")]

from servers import Postgres, Redis  # noqa: E402

SETTINGS = """
shared_buffers = '{shared}MB'
effective_cache_size = '{cache}MB'
max_wal_size = 8GB
checkpoint_timeout = 15min
wal_compression = lz4
random_page_cost = 1.1
maintenance_work_mem = 512MB
fsync = on
full_page_writes = on
"""


def default_directory():
    """PostgreSQL does not run as root, and its user cannot enter /root."""
    if os.environ.get("BENCH_DIR"):
        return Path(os.environ["BENCH_DIR"])
    if os.geteuid() == 0:
        return Path(os.environ.get("TMPDIR", "/var/tmp")) / "interactd-bench"
    return Path.home() / ".cache" / "interactd-bench"


def memory_mb():
    with open("/proc/meminfo", encoding="ascii") as f:
        return int(f.readline().split()[1]) // 1024


class Store:
    """contacts and interactions: how large. conninfo: interactd's database; floor: the
    floor's."""

    def __init__(self, directory, contacts, interactions):
        self.directory = Path(directory).resolve()
        self.contacts, self.interactions = contacts, interactions
        self.postgres = Postgres(str(self.directory))
        self.redis = Redis(str(self.directory))
        size = f"{contacts}_{interactions}"
        self.name, self.floor_name = f"bench_{size}", f"floor_{size}"

    @property
    def conninfo(self):
        return self.postgres.conninfo(self.name)

    @property
    def floor(self):
        return self.postgres.conninfo(self.floor_name)

    def open(self, migrate, say):
        """migrate(conninfo) gives an empty database interactd's schema."""
        self.directory.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:
            self.directory.chmod(0o711)
        self._start_postgres()
        self.redis.start()
        self._make(self.name, "store.sql", [*ROOT.glob("conf/sql/*.sql")], migrate, say)
        self._make(self.floor_name, "floor.sql", [], None, say)
        for conninfo in (self.conninfo, self.floor):
            self._warm(conninfo)

    def close(self):
        self.redis.close()
        self.postgres.resume()
        if self.postgres.pid:
            self.postgres.stop()

    def empty_redis(self):
        subprocess.run(["redis-cli", "-s", self.redis.path, "flushall"], check=True,
                       stdout=subprocess.DEVNULL)

    def sql(self, conninfo, *statements):
        command = ["psql", "-qXAt", "-v", "ON_ERROR_STOP=1", conninfo]
        for s in statements:
            command += ["-c", s]
        return subprocess.run(command, check=True, capture_output=True,
                              text=True).stdout.strip()

    # ---- making

    def _start_postgres(self):
        if not (Path(self.postgres.data) / "PG_VERSION").exists():
            shutil.rmtree(self.postgres.directory, ignore_errors=True)
            self.postgres.create()
            shared = max(128, min(4096, memory_mb() // 5))
            with open(f"{self.postgres.data}/postgresql.conf", "a", encoding="ascii") as f:
                f.write(SETTINGS.format(shared=shared, cache=memory_mb() // 2))
            self.postgres.stop()
        if not self.postgres.pid:
            self.postgres.start()

    def _digest(self, script, others):
        h = hashlib.sha256()
        for path in [HERE / script, *sorted(others)]:
            h.update(path.read_bytes())
        return h.hexdigest()[:16]

    def _make(self, database, script, others, prepare, say):
        digest = self._digest(script, others)
        admin = self.postgres.conninfo()
        comment = self.sql(admin, "select shobj_description(oid, 'pg_database') "
                                  f"from pg_database where datname = '{database}'")
        if comment == digest:
            return
        began = time.monotonic()
        say(f"making {self.contacts:,} contacts and {self.interactions:,} interactions "
            f"({script}) …")
        self.sql(admin, f"drop database if exists {database} with (force)")
        self.sql(admin, f"create database {database}")
        conninfo = self.postgres.conninfo(database)
        if prepare:
            prepare(conninfo)
        subprocess.run(["psql", "-qX", "-o", "/dev/null", "-v",
                        f"contacts={self.contacts}", "-v",
                        f"interactions={self.interactions}", "-f", HERE / script,
                        conninfo], check=True)
        self.sql(conninfo, "create extension if not exists pg_prewarm", "checkpoint",
                 f"comment on database {database} is '{digest}'")
        say(f"… made in {time.monotonic() - began:.0f} s")

    def _warm(self, conninfo):
        """What is measured is the work, not this machine's disk."""
        self.sql(conninfo, "select pg_prewarm(c.oid) from pg_class c "
                 "join pg_namespace n on n.oid = c.relnamespace "
                 "where n.nspname = 'public' and (c.relkind = 'i' or "
                 "c.relkind = 'r' and c.relname in ('contact', 'identity', 'address'))")
