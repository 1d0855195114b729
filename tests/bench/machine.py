"""What ran where: programs of the bench, the daemon that is measured, the machine."""

import os
import select
import subprocess
import time
from pathlib import Path

from store import ROOT, sys  # noqa: F401  (sets the path of what follows)
from support.daemon import Daemon  # noqa: E402

BUILD = Path(os.environ.get("INTERACTD_BUILD", ROOT / "build/release")).resolve()


def program(name, *args):
    """Runs a program of the bench to its end: its figures by name."""
    done = subprocess.run([BUILD / "tests/bench" / name, *map(str, args)], check=True,
                          capture_output=True, text=True)
    return figures(done.stdout.splitlines())


def figures(lines):
    return {k: float(v) for k, v in (line.split() for line in lines)}


class Helper:
    """A program of the bench that runs along, and is spoken with in lines."""

    def __init__(self, name, *args):
        self.name = name
        self.process = subprocess.Popen(
            [BUILD / "tests/bench" / name, *map(str, args)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, bufsize=0)
        self.rest = b""

    def say(self, line):
        self.process.stdin.write(line.encode() + b"\n")

    def hear(self, timeout=60):
        end = time.monotonic() + timeout
        while b"\n" not in self.rest:
            left = end - time.monotonic()
            if left < 0 or not select.select([self.process.stdout], [], [], left)[0]:
                raise TimeoutError(f"{self.name} says nothing")
            block = os.read(self.process.stdout.fileno(), 65536)
            if not block:
                raise RuntimeError(f"{self.name} ended")
            self.rest += block
        line, _, self.rest = self.rest.partition(b"\n")
        return line.decode()

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


def start_daemon(directory, conninfo, redis, ami_port=None):
    """interactd as an operator would run it, with one phone system if there is a port."""
    daemon = Daemon(directory, conninfo, redis.address)
    sections = {"tenant default": {"region": "CN"}, "daemon": {"log_level": "warning"}}
    if ami_port:
        sections["channel pbx"] = {
            "driver": "asterisk", "address": f"127.0.0.1:{ami_port}",
            "username": "interactd", "secret": "secret", "trunks": "^PJSIP/trunk$",
            "agents": "^PJSIP/([0-9]+)$", "reconnect_min_ms": "20"}
    daemon.configure(**sections)
    daemon.start()
    if ami_port:
        daemon.wait_channels()
    return daemon


def cpu_ms(pids):
    """User and system time of these processes; one that has ended counts nothing."""
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii") as f:
                fields = f.read().rpartition(")")[2].split()
        except OSError:
            continue
        total += int(fields[11]) + int(fields[12])
    return total * 1000 / os.sysconf("SC_CLK_TCK")


def resident_kb(daemon):
    with open(f"/proc/{daemon.process.pid}/status", encoding="ascii") as f:
        for line in f:
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
    return 0


def description():
    model = "?"
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        for line in f:
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    with open("/proc/meminfo", encoding="ascii") as f:
        memory = int(f.readline().split()[1]) / 1048576
    return (f"{os.cpu_count()} cores of {model}, {memory:.0f} GB, "
            f"Linux {os.uname().release.split('-')[0]}")


def load():
    with open("/proc/loadavg", encoding="ascii") as f:
        return " ".join(f.read().split()[:3])
