"""A PostgreSQL and a Redis of our own, on Unix sockets in a directory: for the tests and
the demo. The system's servers are not touched, and nothing is left when they are closed.

    with tempfile.TemporaryDirectory() as directory:
        postgres = Postgres(directory); postgres.create()
        redis = Redis(directory); redis.start()

PostgreSQL refuses to run as root; then it runs as the user `postgres`, which must be able
to enter `directory` (mode 711 is enough). Only Python's standard library is used.
"""

import glob
import os
import shutil
import signal
import socket
import subprocess
import time


def wait_until(condition, timeout=10.0, what="", interval=0.01):
    """Asks until condition() is true, and returns what it said."""
    end = time.monotonic() + timeout
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise TimeoutError(f"not within {timeout} s: {what or condition}")
        time.sleep(interval)


def postgres_directory():
    """Where PostgreSQL's programs are: $PG_BIN, or Debian's newest."""
    if os.environ.get("PG_BIN"):
        return os.environ["PG_BIN"]
    found = glob.glob("/usr/lib/postgresql/*/bin/initdb")
    if not found:
        raise FileNotFoundError("no PostgreSQL found (package postgresql-15, or PG_BIN)")
    return os.path.dirname(max(found, key=lambda p: float(p.split("/")[4])))


def alive(pid):
    """Whether a process runs (one that has ended but was not waited for does not)."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as f:
            return f.read().rpartition(b")")[2].split()[0] != b"Z"
    except OSError:
        return False


class Postgres:
    """One cluster: create() once, then stop(), start(), kill(), pause(), resume()."""

    def __init__(self, directory):
        self.directory = os.path.join(directory, "pg")
        self.data = os.path.join(self.directory, "data")
        self.log = os.path.join(self.directory, "log")
        self.bin = postgres_directory()
        self.frozen = []

    def _run(self, program, *args):
        command = [os.path.join(self.bin, program), *args]
        if os.geteuid() == 0:
            command = ["runuser", "-u", "postgres", "--", *command]
        done = subprocess.run(command, cwd="/", capture_output=True, text=True,
                              stdin=subprocess.DEVNULL)
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stdout}{done.stderr}")

    def create(self):
        os.mkdir(self.directory)
        if os.geteuid() == 0:
            shutil.chown(self.directory, "postgres")
        self._run("initdb", "-D", self.data, "-U", "interactd", "-A", "trust", "-E", "UTF8",
                  "--locale=C", "--no-sync")
        with open(os.path.join(self.data, "postgresql.conf"), "a", encoding="ascii") as f:
            f.write(f"listen_addresses = ''\nunix_socket_directories = '{self.directory}'\n"
                    "fsync = off\nfull_page_writes = off\nmax_connections = 60\n"
                    "shared_buffers = 64MB\nlog_min_messages = warning\n"
                    "timezone = 'Asia/Taipei'\n")
        self.start()

    def conninfo(self, database="postgres"):
        return f"host={self.directory} user=interactd dbname={database}"

    def start(self):
        # pg_ctl's own output goes to the log: the server would keep a pipe open.
        self._run("pg_ctl", "-s", "-w", "-t", "60", "-D", self.data, "-l", self.log, "start")

    def stop(self, mode="fast"):
        self.resume()
        self._run("pg_ctl", "-s", "-w", "-t", "60", "-D", self.data, "-m", mode, "stop")

    def kill(self):
        """As if the machine had lost it: nobody is told."""
        self.stop("immediate")

    @property
    def pid(self):
        try:
            with open(os.path.join(self.data, "postmaster.pid"), encoding="ascii") as f:
                return int(f.readline())
        except (OSError, ValueError):
            return None

    def processes(self):
        """The server and its children."""
        pid = self.pid
        if not pid:
            return []
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
            return [pid] + [int(p) for p in f.read().split()]

    def pause(self):
        """Connections stay, nothing is answered any more."""
        self.frozen = self.processes()
        for pid in self.frozen:
            os.kill(pid, signal.SIGSTOP)

    def resume(self):
        for pid in self.frozen:
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                pass
        self.frozen = []

    def close(self):
        self.resume()
        pid = self.pid
        if pid and alive(pid):
            self.stop("immediate")


class Redis:
    """One redis-server; what it holds is lost when it stops, unless keep is set."""

    def __init__(self, directory, program=None, keep=False):
        self.directory, self.keep = directory, keep
        self.path = os.path.join(directory, "redis.sock")
        self.program = program or os.environ.get("REDIS_SERVER", "redis-server")
        self.process = None

    @property
    def address(self):
        return f"unix:{self.path}"

    def start(self):
        with open(os.path.join(self.directory, "redis.log"), "ab") as log:
            self.process = subprocess.Popen(
                [self.program, "--port", "0", "--unixsocket", self.path, "--save", "",
                 "--appendonly", "yes" if self.keep else "no", "--dir", self.directory],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        wait_until(self.answers, 20, "redis-server to answer")

    def answers(self):
        try:
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(1)
                s.connect(self.path)
                s.sendall(b"PING\r\n")
                return s.recv(16).startswith(b"+PONG")
        except OSError:
            return False

    def stop(self, number=signal.SIGTERM):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(number)
            self.process.wait(20)
        self.process = None

    def kill(self):
        self.stop(signal.SIGKILL)

    def wipe(self):
        """What it kept is lost too; it must be stopped."""
        shutil.rmtree(os.path.join(self.directory, "appendonlydir"), ignore_errors=True)

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    close = kill
