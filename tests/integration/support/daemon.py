"""interactd under test: its configuration, its life, its log."""

import http.client
import itertools
import os
import re
import resource
import signal
import socket
import subprocess
import time
from pathlib import Path

from servers import wait_until
from support.api import Api

BUILD = Path(os.environ.get("INTERACTD_BUILD", "build/release")).resolve()
# A sanitized binary is several times slower.
SLOW = 4 if BUILD.name in ("san", "cov") else 1
REPORT = re.compile(r"(AddressSanitizer|LeakSanitizer|runtime error:|Assertion)")


# Below the kernel's own range, so that no connection takes one meanwhile; each worker of
# pytest-xdist has some thousands of its own.
ports = itertools.count(
    11000 + 3000 * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) + os.getpid() % 1000)


def free_port():
    while True:
        port = next(ports)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def asterisk_channel(fake, **more):
    """The keys of a [channel] that speaks to a FakeAsterisk."""
    keys = {"driver": "asterisk", "address": fake.address, "username": "interactd",
            "secret": "secret", "trunks": "^PJSIP/trunk$", "agents": "^PJSIP/(100[0-9])$",
            "reconnect_min_ms": "20", "reconnect_max_ms": "200ms", "boot_wait_s": "1"}
    keys.update(more)
    return keys


class Daemon:
    def __init__(self, directory, conninfo, redis_address):
        self.directory = Path(directory)
        self.directory.mkdir(exist_ok=True)
        self.path = self.directory / "interactd.conf"
        self.socket = str(self.directory / "http.sock")
        self.port = free_port()
        self.process = None
        self.expected = []  # patterns of "error" lines that the test provokes
        self.starts = 0
        self.sections = {
            "daemon": {"state_dir": str(self.directory / "state"), "log_level": "info"},
            "postgresql": {"conninfo": conninfo},
            "redis": {"address": redis_address},
            "http": {"listen": f"127.0.0.1:{self.port}", "socket": self.socket},
        }

    # ---- configuration

    def configure(self, **sections):
        """Sections to add to or change: configure(http={"max_body": "4k"}, **{"channel
        pbx": {...}}); a value of None takes a key away, a section of None the section."""
        for name, keys in sections.items():
            if keys is None:
                self.sections.pop(name, None)
                continue
            section = self.sections.setdefault(name, {})
            section.update(keys)
            for key in [k for k, v in section.items() if v is None]:
                del section[key]
        self.write()
        return self

    def write(self):
        text = "".join(
            f"[{name}]\n" + "".join(f"{k} = {v}\n" for k, v in keys.items()) + "\n"
            for name, keys in self.sections.items())
        self.path.write_text(text, encoding="utf-8")

    # ---- life

    @property
    def log_path(self):
        return self.directory / "interactd.log"

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def expect(self, *patterns):
        """Lines of level error that this test provokes."""
        self.expected += patterns
        return self

    def start(self, ready=True):
        self.write()
        self.starts += 1
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [BUILD / "interactd", "-c", self.path], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, cwd="/")
        if ready:
            self.wait_ready()
        return self

    def is_ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f"interactd ended with {self.process.returncode}:\n"
                                 f"{self.log()[-4000:]}")
        try:
            return self.api().get("/readyz").status == 200
        except (OSError, http.client.HTTPException):
            return False

    def wait_ready(self, timeout=20):
        try:
            wait_until(self.is_ready, timeout * SLOW, "interactd to be ready")
        except TimeoutError:
            raise AssertionError(f"interactd is not ready:\n{self.log()[-4000:]}") from None

    def wait_channels(self, *names, timeout=20):
        """Until these channels (all, if none is named) are up and synced."""
        # Those of the configuration: a daemon that has just begun has none yet.
        wanted = names or [s.split()[1] for s in self.sections if s.startswith("channel ")]

        def up():
            channels = self.api().get("/v1/status").json["channels"]
            # each has "phone" beside its own members
            state = {c["name"]: c for c in channels}
            return all(n in state and state[n]["state"] == "up"
                       and state[n]["phone"]["synced"] for n in wanted)
        wait_until(up, timeout * SLOW, f"channels {names or 'all'} to be up")

    def status(self):
        return self.api().get("/v1/status").json

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    def kill(self):
        """As in a crash."""
        self.process.kill()
        self.process.wait()
        self.process = None

    def wait_end(self, timeout=20):
        code = self.process.wait(timeout * SLOW)
        self.process = None
        return code

    def stop(self):
        """Ends it, and says what is wrong with how it ended."""
        if not self.process:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.wait_end()
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)
            self.process.wait()
            self.process = None
            raise AssertionError(f"SIGTERM did not end it:\n{self.log()[-4000:]}") from None
        assert code == 0, f"ended with {code}:\n{self.log()[-6000:]}"
        assert not Path(self.socket).exists(), "its socket was left behind"

    def check_log(self):
        """No sanitizer report, no error that nobody expected."""
        text = self.log()
        found = REPORT.search(text)
        assert not found, text[max(0, found.start() - 500):found.start() + 6000]
        errors = [line for line in text.splitlines() if re.match(r"\S+ error ", line)
                  and not any(re.search(p, line) for p in self.expected)]
        assert not errors, "errors in the log:\n" + "\n".join(errors[:20])

    def finish(self):
        try:
            self.stop()
        finally:
            if self.process:
                self.process.kill()
                self.process.wait()
                self.process = None
        self.check_log()

    # ---- what it uses

    def memory(self):
        """Resident bytes."""
        with open(f"/proc/{self.process.pid}/statm", encoding="ascii") as f:
            return int(f.read().split()[1]) * resource.getpagesize()

    def cpu(self):
        """Seconds of processor time so far."""
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as f:
            fields = f.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def api(self, tenant=None, key=None):
        """The operator's socket; with a key, the TCP port as that key's owner."""
        if key is not None:
            return Api(("127.0.0.1", self.port), key=key)
        return Api(self.socket, tenant=tenant)

    def run(self, *args, **kwargs):
        """Runs interactd with these arguments, to its end."""
        return subprocess.run([BUILD / "interactd", *args], capture_output=True, text=True,
                              timeout=30 * SLOW, check=False, **kwargs)

    def ctl(self, *args, **kwargs):
        return subprocess.run([BUILD / "interactctl", "--socket", self.socket, *args],
                              capture_output=True, text=True, timeout=30 * SLOW, check=False,
                              **kwargs)


def deadline(seconds):
    """A moment `seconds` from now, longer with a sanitized binary: for loops."""
    return time.monotonic() + seconds * SLOW
