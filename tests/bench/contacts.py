"""Contacts in and out: rows a second of an import and of exports, in a database of their
own; how long a segment's count takes over the store."""

import subprocess
import time
from pathlib import Path

import machine


def ctl(daemon, *words):
    began = time.monotonic()
    subprocess.run([machine.BUILD / "interactctl", "--socket", daemon.socket, *words],
                   check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - began


def in_and_out(store, directory, rows):
    """{what: rows/s}"""
    admin, name = store.postgres.conninfo(), "bench_contacts"
    store.sql(admin, f"drop database if exists {name} with (force)")
    store.sql(admin, f"create database {name}")
    file, out = Path(directory) / "contacts.csv", Path(directory) / "out"
    with file.open("w", encoding="utf-8") as f:
        f.write("external,name,phone,roles,language,attributes.tier\n")
        for n in range(rows):
            f.write(f"crm:{n},Contact Number {n},+86138{n:08d},customer,zh-CN,{n % 3}\n")
    daemon = machine.start_daemon(Path(directory) / "contacts", store.postgres.conninfo(name),
                                  store.redis)
    try:
        took = {"imported, new": ctl(daemon, "import", "--no-events", str(file)),
                "imported again, unchanged": ctl(daemon, "import", "--no-events", str(file))}
        for kind in ("ndjson", "csv"):
            took[f"exported, {kind}"] = ctl(daemon, "export", "--format", kind, "--output",
                                            str(out))
    finally:
        daemon.finish()
        store.sql(admin, f"drop database if exists {name} with (force)")
    return {what: rows / s for what, s in took.items()}


FILTERS = {
    "role": {"role": "customer"},
    "two calls in 90 days": {"interaction": {"kind": "call", "after": "90d", "at_least": 2}},
    "attribute, last e-mail before 180 days": {"all": [
        {"attribute": {"name": "tier", "gte": 1}},
        {"last_interaction": {"kind": "email", "before": "180d"}}]},
}


def counts(store, directory):
    """{filter: ms}"""
    daemon = machine.start_daemon(Path(directory) / "segments", store.conninfo, store.redis)
    took = {}
    try:
        for name, f in FILTERS.items():
            began = time.monotonic()
            answer = daemon.api().post("/v1/segments/count", {"filter": f})
            assert answer.status == 200, answer
            took[name] = (time.monotonic() - began) * 1000
    finally:
        daemon.finish()
    return took
