"""Calls made while nobody listened are filled in from what Asterisk keeps: records of a
real one (tests/data/history, with what happened in them), moved to now."""

import csv
import datetime
import io
import json
import re
import time
from pathlib import Path

import pytest
from ami_trace import first, parse
from conftest import sql
from support.daemon import SLOW, asterisk_channel
from support.steps import Steps
from support.truth import disposition, normal, outside_calls

DATA = Path(__file__).resolve().parents[1] / "data" / "history"
BASE = 1795299314  # the first record's second
RECORDED = json.loads((DATA / "truth.json").read_text(encoding="utf-8"))
CALLS = [c for scenario in RECORDED for c in outside_calls(scenario)]


def moved(name, zone_h=0):
    """The file's text with its times moved: it begins five minutes ago. Local times are
    those of a zone zone_h hours east."""
    shift = int(time.time()) - 300 - BASE

    def local(m):
        at = datetime.datetime.fromisoformat(m[0])
        return str(at + datetime.timedelta(seconds=shift, hours=zone_h))
    text = (DATA / name).read_text(encoding="utf-8")
    text = re.sub(r"\b1795299\d{3}(?=\.)", lambda m: str(int(m[0]) + shift), text)
    return re.sub(r"\b2026-\d\d-\d\d \d\d:\d\d:\d\d\b", local, text)


@pytest.fixture
def begin(make_daemon, asterisk, database):
    """begin(seconds, keys): a daemon that was not there for so long, and has a history."""
    def make(away_s, **keys):
        tenant = database.tenant_id("default")
        database("insert into channel_heard values (%s, 'pbx-main', "
                 "now() - %s * interval '1 s')", tenant, away_s)
        daemon = make_daemon(**{
            "tenant default": {"region": "TW"},
            "channel pbx-main": asterisk_channel(asterisk, **keys)})
        return daemon.start()
    return make


@pytest.fixture
def filled(eventually):
    def wait(daemon, n=1):
        def read():
            gaps = daemon.api().ok("/v1/channels/pbx-main/gaps")["items"]
            done = [g for g in gaps if g["history"] and g["history"]["state"] != "waiting"]
            return done if len(done) >= n else None
        return eventually(read, 20)
    return wait


def interactions(daemon, database):
    return [daemon.api().ok(f"/v1/interactions/{i}") for i in database.interactions()]


def check_all(daemon, database, subscriber, gap, source):
    got = interactions(daemon, database)
    assert len(got) == len(CALLS)
    assert gap["history"] == {"state": "read", "error": None, "written": len(CALLS),
                              "completed": 0}
    assert gap["calls"] == gap["interactions"] == len(CALLS) and gap["backfilled_at"]
    for call, i in zip(CALLS, got):
        assert i["source"] == source and i["gap"] and i["state"] == "ended", i
        assert i["gaps"][0]["id"] == gap["id"]
        assert i["remote"]["value"] == normal(call["customer"]), (call, i)
        assert i["direction"] == {"inbound": "in", "outbound": "out"}[call["direction"]]
        assert gap["began_at"] < i["at"] < gap["ended_at"]
    assert not subscriber.all_pops()
    kinds = {e["type"] for e in subscriber.events()}
    assert kinds == {"interaction.created", "contact.created", "channel.gap_filled"}
    assert len(subscriber.events(type="interaction.created")) == len(CALLS)
    return got


def check_detail(got):
    """CEL tells as much as events do."""
    for call, i in zip(CALLS, got):
        assert i["disposition"] == disposition(call), (call, i)
        rang = [leg["agent"] for leg in i["legs"] if leg["type"] == "ring"]
        if call["direction"] == "inbound" and call.get("transfer") != "attended":
            assert sorted(rang) == sorted(call["rang"]) or not call["rang"], (call, i)
            if call["disposition"] != "rejected":
                assert i["queue"] == call["queue"]
            assert i["local"] == call["did"]
        if call["talk_s"] and not call.get("queue"):
            assert abs(i["talk_ms"] - call["talk_s"] * 1000) < 200, (call, i)


def test_cel_file(begin, filled, database, subscriber, tmp_path, eventually):
    path = tmp_path / "Master.csv"
    path.write_text(moved("cel.csv"), encoding="utf-8")
    daemon = begin(600, history=str(path))
    gap, = filled(daemon)
    assert gap["cause"] == "daemon_down"
    check_detail(check_all(daemon, database, subscriber, gap, "cel"))
    metrics = daemon.api().get("/metrics").body.decode()
    assert f'interactd_history_written_total{{channel="pbx-main"}} {len(CALLS)}' in metrics
    # Once more, for the same time: nothing is doubled, nothing is written again.
    saves = database("select id, saves from interaction order by id")
    daemon.stop()
    database("update channel_heard set at = now() - interval '600 s'")
    database("delete from spool_checkpoint")
    import shutil
    shutil.rmtree(daemon.directory / "state")
    daemon.expect("spool").start()
    filled(daemon, 2)
    assert database("select id, saves from interaction order by id") == saves


def test_cdr_file_in_another_zone(begin, filled, database, subscriber, tmp_path):
    """cdr_csv writes local times, and does not say of which zone."""
    path = tmp_path / "Master.csv"
    path.write_text(moved("cdr.csv", zone_h=8), encoding="utf-8")
    daemon = begin(600, history=str(path), history_format="cdr")
    gap, = filled(daemon)
    got = check_all(daemon, database, subscriber, gap, "cdr")
    for call, i in zip(CALLS, got):
        if call["answered_by"]:
            assert i["disposition"] == "answered", (call, i)
        elif disposition(call) in ("busy", "voicemail"):
            assert i["disposition"] == disposition(call), (call, i)


def test_cel_table(begin, filled, database, subscriber, session_postgres):
    """The table of cel_pgsql, in the zone that its server has."""
    columns = ["eventtype", "eventtime", "cid_name", "cid_num", "cid_ani", "cid_rdnis",
               "cid_dnid", "exten", "context", "channame", "appname", "appdata", "amaflags",
               "accountcode", "uniqueid", "linkedid", "peer", "userfield", "userdeftype",
               "extra"]
    database("create table cel (id serial, " + ", ".join(
        f"{c} {'timestamp' if c == 'eventtime' else 'text'}" for c in columns) + ")")
    for row in csv.reader(io.StringIO(moved("cel.csv"))):
        at = datetime.datetime.fromtimestamp(float(row[1]) - 5 * 3600, datetime.timezone.utc)
        row[1] = at.replace(tzinfo=None).isoformat(" ")
        database(f"insert into cel ({', '.join(columns)}) values "
                 f"({', '.join(['%s'] * len(columns))})", *row)
    daemon = begin(600, history_conninfo=database.conninfo, history_table="cel")
    gap, = filled(daemon)
    check_detail(check_all(daemon, database, subscriber, gap, "cel"))


def cel_of(steps):
    """What CEL would have written of a recorded direct call."""
    def row(kind, at, uid, linked, name, exten="", app="", data="", **extra):
        return [kind, f"{at:.6f}", "", "0912345678" if "trunk" in name else "1001", "", "",
                "", exten, "from-trunk", name, app, data, "3", "", uid, linked, "", "", "",
                json.dumps(extra) if extra else ""]
    new = [parse(steps.rewrite(m.raw)) for m in steps.trace.messages
           if m.event == "Newchannel"]

    def text(pairs, key):
        return first(pairs, key.encode()).decode()
    (trunk, linked, tname), (phone, _, pname) = [
        (text(p, "Uniqueid"), text(p, "Linkedid"), text(p, "Channel")) for p in new[:2]]
    at = time.time()
    rows = [row("CHAN_START", at - 9, trunk, linked, tname, "5001"),
            row("APP_START", at - 8.9, trunk, linked, tname, "5001", "Dial", "PJSIP/1001,30"),
            row("CHAN_START", at - 8.8, phone, linked, pname),
            row("ANSWER", at - 7, phone, linked, pname),
            row("ANSWER", at - 7, trunk, linked, tname, "5001", "Dial"),
            row("BRIDGE_ENTER", at - 7, phone, linked, pname, bridge_id="b"),
            row("BRIDGE_ENTER", at - 7, trunk, linked, tname, bridge_id="b"),
            row("BRIDGE_EXIT", at - 1, phone, linked, pname, bridge_id="b"),
            row("BRIDGE_EXIT", at - 1, trunk, linked, tname, bridge_id="b"),
            row("HANGUP", at - 1, phone, linked, pname, hangupcause=16, hangupsource=tname),
            row("HANGUP", at - 1, trunk, linked, tname, hangupcause=16, hangupsource=tname)]
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(rows)
    return out.getvalue()


def test_a_call_whose_end_was_missed_is_completed(begin, filled, asterisk, database,
                                                  subscriber, tmp_path, eventually):
    path = tmp_path / "Master.csv"
    path.touch()
    daemon = begin(1, history=str(path))
    eventually(lambda: daemon.status()["channels"][0]["phone"]["compared_at"])
    steps = Steps(asterisk, "22/direct-answered").answer("1001").to("BridgeEnter")
    subscriber.wait_pop(agent="1001", state="talking")
    call = subscriber.wait_event("interaction.created")["object"]["id"]
    eventually(lambda: daemon.api().request("GET", f"/v1/interactions/{call}").status == 200)
    daemon.kill()
    steps.rest()
    path.write_text(cel_of(steps), encoding="utf-8")
    daemon.start()
    subscriber.wait_event("channel.gap_filled", timeout=20 * SLOW)
    got, = interactions(daemon, database)
    assert got["id"] == call and got["source"] == "cel" and got["gap"]
    assert got["disposition"] == "answered" and got["talk_ms"] == 6000
    assert [g["missed"] for g in got["gaps"]] == [["end", "leg"]]
    histories = [g["history"] for g in filled(daemon, 2)]
    assert sum(h["completed"] for h in histories) == 1
    assert sum(h["written"] for h in histories) == 0
    assert [leg["result"] for leg in got["legs"]] == ["completed"]


def test_a_file_that_cannot_be_read_is_told(begin, filled, tmp_path, eventually):
    daemon = begin(600, history=str(tmp_path / "nowhere.csv"))
    gap, = filled(daemon)
    assert gap["history"]["state"] == "failed"
    assert "nowhere.csv" in gap["history"]["error"], gap
    assert "nowhere.csv" in daemon.ctl("channel", "gaps", "pbx-main").stdout


def test_mistakes_in_the_keys_stop_the_start(make_daemon, asterisk):
    for keys, said in (({"history_table": "cel"}, "history_conninfo and history_table"),
                       ({"history": "/x", "history_format": "xml"}, "history_format = xml"),
                       ({"history": "/x", "history_columns": "a, b"}, "history_columns"),
                       ({"resync_s": "5"}, "resync_s")):
        daemon = make_daemon(**{"channel p": asterisk_channel(asterisk, **keys)})
        daemon.write()
        done = daemon.run("-c", daemon.path, "--check-config")
        assert done.returncode == 1 and said in done.stderr, (keys, done.stderr)
