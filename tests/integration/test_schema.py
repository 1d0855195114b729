"""The schema and who may work on it: drift told by `interactctl db check`, versions side
by side, and a backup that is older than the spool."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from conftest import sql
from servers import wait_until
from support.daemon import BUILD, SLOW, asterisk_channel
from support.steps import Steps

ROOT = Path(__file__).resolve().parents[2]

ENV = {**os.environ, "NO_COLOR": "1"}


def ctl(daemon, *args):
    return subprocess.run([BUILD / "interactctl", "-c", str(daemon.path), *args], text=True,
                          capture_output=True, timeout=60 * SLOW, check=False, env=ENV)


def check(daemon):
    done = ctl(daemon, "db", "check", "--json")
    assert done.stdout, done.stderr
    result = json.loads(done.stdout)
    assert done.returncode == (0 if result["ok"] else 1)
    return result


@pytest.fixture
def daemon(make_daemon):
    return make_daemon().configure(**{"tenant default": {"region": "TW"}})


# ---- drift


def test_a_database_as_it_was_made_is_all_right(daemon, database):
    result = check(daemon)
    assert result["ok"] and result["findings"] == result["notes"] == [], result
    assert result["compared"] > 200
    # Nothing of the comparison is left behind.
    assert database("select nspname from pg_namespace where nspname like 'interactd%%'") == []
    shown = ctl(daemon, "db", "check")
    assert shown.returncode == 0 and "All is as it should be" in shown.stdout


# (what somebody did, kind, object, words of what is said)
DRIFT = [
    ("drop table api_key cascade", "table", "api_key", "is missing"),
    ("alter table agent drop column interfaces cascade", "column", "agent.interfaces",
     "is missing"),
    ("alter table agent alter column name drop not null", "column", "agent.name",
     "differs"),
    ("alter table agent add column shoe_size int", "column", "agent.shoe_size",
     "not of interactd"),
    ("alter table interaction alter column queue type varchar(20)", "column",
     "interaction.queue", "differs"),
    ("create or replace function store_maintain() returns integer language sql as "
     "'select 0'", "function", "store_maintain()", "differs"),
    ("drop function create_month(date)", "function", "create_month(p_month date)",
     "is missing"),
    ("drop trigger audit_is_append_only on audit", "trigger", "audit.audit_is_append_only",
     "is missing"),
    ("alter table interaction disable trigger interaction_history", "trigger",
     "interaction.interaction_history", "differs"),
    ("alter table partition_month drop constraint partition_month_pkey", "constraint",
     "partition_month.partition_month_pkey", "is missing"),
    ("update pg_index set indisvalid = false where indexrelid = 'audit_pkey'::regclass",
     "index", "audit_pkey", "not valid"),
]


def test_drift_is_told_with_what_to_do(daemon, database):
    for done, *_ in DRIFT:
        database(done)
    result = check(daemon)
    shown = ctl(daemon, "db", "check").stdout
    assert not result["ok"]
    for _, kind, name, words in DRIFT:
        found = [f for f in result["findings"] if (f["kind"], f["object"]) == (kind, name)]
        assert len(found) == 1 and words in found[0]["what"], (name, result["findings"])
        assert f"{kind} {name}" in shown and found[0]["todo"] in shown


# (what somebody did, which migration, words of what is said)
MIGRATIONS = [
    ("delete from schema_migration where name = (select max(name) from schema_migration)",
     None, "is not applied"),
    ("delete from schema_migration where name = '002-people'", "002-people",
     "one after it is"),
    ("update schema_migration set hash = 'x' where name = '001-base'", "001-base",
     "another text"),
    ("insert into schema_migration values ('999-future', 'x', false)", "999-future",
     "refuses to start"),
]


def test_migrations_that_are_not_ours_or_not_there_are_told(daemon, database):
    database("create table kept as table schema_migration")
    for done, name, words in MIGRATIONS:
        database(done)
        findings = check(daemon)["findings"]
        found = [f for f in findings if f["kind"] == "migration"
                 and name in (None, f["object"])]
        assert found and words in found[0]["what"] and found[0]["todo"], findings
        database("delete from schema_migration; insert into schema_migration table kept")
    assert check(daemon)["ok"]


def test_a_partition_that_will_be_needed_is_missed(daemon, database):
    child = database.one("select 'interaction_' || to_char(now() + interval '1 month', "
                         "'YYYYMM')")
    database(f"drop table {child}")
    result = check(daemon)
    assert [f["object"] for f in result["findings"]] == [child], result
    assert "ensure_partitions" in result["findings"][0]["todo"]


def test_an_index_more_is_no_fault(daemon, database):
    database("create index by_shoe on contact (updated_at)")
    result = check(daemon)
    assert result["ok"] and result["notes"][0]["object"] == "contact.by_shoe", result


def test_an_empty_database_has_everything_pending(daemon, session_postgres):
    sql(session_postgres, "create database empty_two")
    try:
        daemon.configure(postgresql={"conninfo": session_postgres.conninfo("empty_two")})
        result = check(daemon)
        assert {f["what"] for f in result["findings"]} == {"is not applied"}
        assert ctl(daemon, "db", "migrate").returncode == 0
        assert check(daemon)["ok"]
    finally:
        sql(session_postgres, "drop database empty_two with (force)")


def test_who_may_not_make_a_schema_is_told(daemon, database, session_postgres):
    database("create role reader login")
    try:
        database("grant pg_read_all_data to reader")
        daemon.configure(postgresql={
            "conninfo": database.conninfo.replace("user=interactd", "user=reader")})
        done = ctl(daemon, "db", "check")
        assert done.returncode == 1 and "permission denied" in done.stderr, done
    finally:
        database("drop owned by reader; drop role reader")


def test_it_is_checked_under_a_running_daemon(daemon, database):
    daemon.start()
    assert check(daemon)["ok"]


# ---- versions side by side

# What a newer version might do so that this one copes.
COMPATIBLE = """
alter table agent add column badge text;
alter table contact add column shoe_size integer not null default 0;
alter table interaction add column mood text;
create table novelty (tenant_id integer not null, id uuid not null, primary key (tenant_id, id));
insert into schema_migration values ('998-novelty', 'x', true);
"""


def calls_and_contacts_work(daemon, fake, database, number):
    Steps(fake, "22/direct-answered", {"0912345678": number}).ring("1001").rest()
    value = "+886" + number[1:]
    wait_until(lambda: database("select 1 from interaction where remote_value = %s and "
                                "state = 'ended' and disposition = 'answered'", value),
               20 * SLOW, "the call to be written")
    assert daemon.api().find(f"phone:{value}")
    daemon.api().contact("Anybody", number.replace("0912", "0955"))
    assert daemon.api().create("/v1/agents", {"id": f"a{number}", "name": "A"})


def test_a_running_daemon_goes_on_under_a_compatible_migration(daemon, database, asterisk):
    daemon.configure(**{"channel pbx-main": asterisk_channel(asterisk)}).start()
    daemon.wait_channels()
    calls_and_contacts_work(daemon, asterisk, database, "0912000001")
    database(COMPATIBLE)
    calls_and_contacts_work(daemon, asterisk, database, "0912000002")
    assert daemon.status()["backlog"]["quarantined"] == 0
    # And it starts beside the newer schema.
    daemon.stop()
    daemon.start()
    daemon.wait_channels()
    calls_and_contacts_work(daemon, asterisk, database, "0912000003")
    result = check(daemon)
    assert result["ok"] and result["notes"][0]["object"] == "998-novelty"


def test_an_older_program_refuses_a_schema_that_is_not_for_it(daemon, database):
    database("insert into schema_migration values ('999-future', 'x', false)")
    daemon.expect("newer version").start(ready=False)
    assert daemon.wait_end() == 1
    assert "999-future" in daemon.log() and "restore a backup" in daemon.log()
    done = ctl(daemon, "db", "migrate")
    assert done.returncode == 1 and "999-future" in done.stderr


def test_nothing_is_migrated_under_a_running_daemon(daemon, database):
    """As if the last migrations were new, from one on that running daemons cannot bear:
    the one that runs does not know them."""
    daemon.start()
    last = max(f.stem for f in (ROOT / "conf/sql").glob("*.sql")
               if not f.read_text().startswith("-- compatible: yes"))
    database("delete from schema_migration where name >= %s", last)
    done = ctl(daemon, "db", "migrate")
    assert done.returncode == 1 and "stop it first" in done.stderr, done
    # It fails on what is there already: it was tried.
    done = ctl(daemon, "db", "migrate", "--while-running")
    assert done.returncode == 1 and last in done.stderr, done


# ---- a backup is restored


def tool(server, name, *args, **kwargs):
    command = [os.path.join(server.bin, name), "-h", server.directory, "-U", "interactd",
               *args]
    done = subprocess.run(command, capture_output=True, check=False, timeout=120, **kwargs)
    assert done.returncode == 0, done.stderr
    return done.stdout


def interactions(database):
    return {row[0]: row[1:] for row in database(
        "select id::text, remote_value, state, disposition, agent from interaction")}


def test_a_restored_backup_is_brought_up_from_the_spool(
        make_daemon, asterisk, subscriber, database, session_postgres, template, tmp_path):
    """A dump is taken while a call is up; calls go on; the database is lost. What came after
    the dump's checkpoint is in the spool still: it is written again, with the same ids."""
    daemon = make_daemon(**{"tenant default": {"region": "TW"},
                            "channel pbx-main": asterisk_channel(asterisk)}).start()
    daemon.wait_channels()
    Steps(asterisk, "22/direct-answered", {"0912345678": "0912000001"}).whole(
        "1001", subscriber)
    up = Steps(asterisk, "22/local-dial", {"0912345678": "0912000002"}).answer("1002")
    wait_until(lambda: len(interactions(database)) == 2, 20 * SLOW, "two rows")
    dump = tool(session_postgres, "pg_dump", "-Fc", database.name)
    up.rest()
    for n in (3, 4):
        Steps(asterisk, "22/direct-answered", {"0912345678": f"091200000{n}"}).whole(
            "1001", subscriber)
    wait_until(lambda: [r[1] for r in interactions(database).values()] == ["ended"] * 4,
               20 * SLOW, "four calls written")
    before, heard = interactions(database), len(subscriber.all_pops())
    daemon.stop()

    sql(session_postgres, f"drop database {database.name} with (force)")
    sql(session_postgres, f"create database {database.name}")
    tool(session_postgres, "pg_restore", "-d", database.name, input=dump)
    assert len(interactions(database)) == 2
    daemon.start()
    daemon.wait_channels()
    wait_until(lambda: interactions(database) == before, 20 * SLOW,
               f"{before}, not {interactions(database)}")
    assert len(subscriber.all_pops()) == heard, "a replay opened pops"
    assert database.one("select count(*) from contact") == 4
    assert check(daemon)["ok"]
    # And life goes on.
    Steps(asterisk, "22/direct-answered", {"0912345678": "0912000005"}).whole(
        "1001", subscriber)
    wait_until(lambda: len(interactions(database)) == 5, 20 * SLOW, "a fifth")
    for contact, numbers in database(
            "select remote_value, count(distinct contact_id) from interaction group by 1"):
        assert numbers == 1, contact
