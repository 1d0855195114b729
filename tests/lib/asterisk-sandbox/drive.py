#!/usr/bin/env python3
"""Drives a sandbox Asterisk with sipp phones: 51 scenarios a call center knows.

    drive.py [--asterisk 22|16] [--work DIR] [--keep] [SCENARIO ...]
    drive.py --list

Each scenario makes calls and says what happened in them (the ground truth); its own
manager connection is recorded at the same time, as three files in DIR/traces/VERSION:
NAME.ami       the bytes exactly as received,
NAME.ami.idx   one line per recv(): seconds offset length
NAME.ami.sent  one line per action sent: seconds <tab> JSON
and NAME.truth.json, the ground truth beside Asterisk's own CDRs and queue log.

As a module: sandbox.configure("22", work), sandbox.start_asterisk(), sandbox.register(),
then drive.run(name) gives the truth as a dictionary; sandbox.stop_asterisk() at the end.
"""

import argparse
import json
import os
import sys
import time
from collections import Counter

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import sandbox  # noqa: E402
from sandbox import Ami  # noqa: E402
from scenarios import SC, resync_cleanup, resync_prepare  # noqa: E402


def size_of(path):
    return os.path.getsize(path) if os.path.exists(path) else 0


def lines_after(path, offset):
    """What was written to a log since its size was `offset`."""
    if not os.path.exists(path):
        return []
    with open(path, errors="replace") as f:
        return f.read()[offset:].splitlines()


def manager_for(name):
    if name == "login-refused":
        return Ami(name, login=False)
    if name == "narrow-user":
        return Ami(name, user="narrow", secret="narrowpass")
    return Ami(name)


def clean_up_after(name, ami):
    if name == "resync-live":
        ami.close()
        resync_cleanup()
    else:
        ami.close(logoff=name != "restart-graceful")
    sandbox.stop_sipp()
    if name == "restart-graceful":
        sandbox.start_asterisk()
        sandbox.register()
    if name == "narrow-user":
        c = Ami(None)
        c.action("QueueRemove", Queue="sales", Interface="PJSIP/1004")
        c.close()


def truth_of(name, description, ami, calls, cdr, queue_log):
    names = Counter(e.get("Event") or "(response)" for e in ami.events)
    return {
        "scenario": name,
        "version": sandbox.V,
        "description": description,
        "file": f"{sandbox.V}/{name}.ami",
        "seconds": round(ami.events[-1]["_t"], 3) if ami.events else 0,
        "bytes": ami.off,
        "messages": len(ami.events),
        "wall_start": ami.wall0,
        "events": dict(names.most_common()),
        "calls": calls,
        "interactions": sum(c.get("interactions", 1) for c in calls or []),
        "linkedids": sorted({e["Linkedid"] for e in ami.events if e.get("Linkedid")}),
        "cdr": cdr,
        "queue_log": queue_log,
    }


def run(name):
    """Runs one scenario, records it, and returns its truth."""
    scenario, description = SC[name]
    print(f"== {sandbox.V} {name}", flush=True)
    sandbox.stop_sipp()
    sandbox.quiet()
    if name == "resync-live":
        resync_prepare()
    cdrs = f"{sandbox.ROOT}/log/cdr-custom/Full.csv"
    queue_log = f"{sandbox.ROOT}/log/queue_log"
    cdrs_before, queue_before = size_of(cdrs), size_of(queue_log)
    ami = manager_for(name)
    try:
        calls = scenario(ami)
        time.sleep(1.2)  # stragglers have no end that could be waited for
    finally:
        clean_up_after(name, ami)
    sandbox.quiet()
    time.sleep(0.2)  # the CDRs are written behind the hangup
    truth = truth_of(name, description, ami, calls, lines_after(cdrs, cdrs_before),
                     lines_after(queue_log, queue_before))
    with open(f"{sandbox.OUT}/{name}.truth.json", "w") as f:
        json.dump(truth, f, indent=1, ensure_ascii=False)
    return truth


def run_all(names):
    """Every one, also after one failed; the number that failed."""
    failed = 0
    if "agents-register" not in names:
        sandbox.register()
    for name in names:
        try:
            run(name)
        except Exception as e:
            failed += 1
            print(f"!! {name}: {e!r}", flush=True)
            sandbox.stop_sipp()
            sandbox.cli("channel request hangup all")
    return failed


def arguments():
    p = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    p.add_argument("--asterisk", choices=("22", "16"), default="22")
    p.add_argument("--work", metavar="DIR",
                   help="holds root-22 or root-16; default ~/.cache/asterisk-sandbox")
    p.add_argument("--keep", action="store_true", help="leave Asterisk running at the end")
    p.add_argument("--list", action="store_true", help="the scenarios, and what happens")
    p.add_argument("scenario", nargs="*", help="none: all of them, about ten minutes")
    args = p.parse_args()
    unknown = [n for n in args.scenario if n not in SC]
    if unknown:
        p.error(f"no scenario {', '.join(unknown)}; see --list")
    return args


def main():
    args = arguments()
    if args.list:
        for name, (_, description) in SC.items():
            print(f"{name:32} {description}")
        return 0
    sandbox.configure(args.asterisk, args.work)
    sandbox.start_asterisk()
    try:
        return 1 if run_all(args.scenario or list(SC)) else 0
    finally:
        sandbox.stop_sipp()
        if not args.keep:
            sandbox.stop_asterisk()


if __name__ == "__main__":
    sys.exit(main())
