"""How long a merge takes, and whether anybody waits for it."""

import contextlib
import threading
import time
import uuid
from pathlib import Path

import psycopg2

INGEST = Path(__file__).resolve().parent.parent / "data/ingest.sql"
NUMBERS = ("+886900000001", "+886900000002")

MAKE = """
insert into contact (tenant_id, id, name) values (1, %(id)s, 'Merge Bench');
insert into address values (1, 'phone', %(number)s) on conflict do nothing;
insert into identity (tenant_id, kind, value, contact_id, trust, source)
values (1, 'phone', %(number)s, %(id)s, 2, 'pbx');
create temporary table made as
select (lpad(to_hex(ms), 12, '0') || '7' || left(r, 3) || '8' || substr(r, 4, 15))::uuid as id,
	to_timestamp(ms / 1000.0) as at
from (select (extract(epoch from now()) * 1000)::bigint - g * 100000 as ms, md5(random()::text) as r
	from generate_series(1, %(n)s) g) x;
select ensure_partitions(min(at), max(at)) from made;
insert into interaction (tenant_id, id, kind, direction, channel, state, contact_id,
	remote_kind, remote_value, trust, at)
select 1, id, 'call', 'in', 'pbx', 'ended', %(id)s, 'phone', %(number)s, 2, at from made;
insert into timeline (tenant_id, contact_id, id, kind, channel, direction, state)
select 1, %(id)s, id, 'call', 'pbx', 'in', 'ended' from made;
drop table made;
"""

DROP = """
delete from timeline where tenant_id = 1 and contact_id = any (%(ids)s::uuid[]);
delete from interaction where tenant_id = 1 and contact_id = any (%(ids)s::uuid[]);
delete from contact_merge where tenant_id = 1 and survivor = any (%(ids)s::uuid[]);
delete from identity where tenant_id = 1 and contact_id = any (%(ids)s::uuid[]);
delete from contact where tenant_id = 1 and id = any (%(ids)s::uuid[]);
drop function test_ingest;
"""


def new_id(ms=None):
    bits = uuid.uuid4().int
    ms = ms or int(time.time() * 1000)
    return str(uuid.UUID(int=ms << 80 | 7 << 76 | (bits >> 64 & 0xfff) << 64
                         | 2 << 62 | bits & (1 << 62) - 1))


def connect(store):
    connection = psycopg2.connect(store.conninfo)
    connection.autocommit = True
    return connection


@contextlib.contextmanager
def pair(store, n):
    """Two contacts with n entries each; gone afterwards."""
    ids = [new_id(), new_id()]
    connection = connect(store)
    with connection.cursor() as cursor:
        cursor.execute(INGEST.read_text().replace("create function",
                                                  "create or replace function"))
        for contact, number in zip(ids, NUMBERS):
            cursor.execute(MAKE, {"id": contact, "number": number, "n": n})
        try:
            yield ids
        finally:
            cursor.execute(DROP, {"ids": ids})
            connection.close()


def spread(times):
    times = sorted(times)
    return {"p50": times[len(times) // 2] * 1000, "p99": times[len(times) * 99 // 100] * 1000,
            "max": times[-1] * 1000}


def stop_watch(call):
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def post(api, path, body):
    answer = api.post(path, body)
    assert answer.status == 200, answer


def timed(api, one, two, rounds):
    """{"merge", "unmerge"}: their times in ms, over HTTP."""
    merge, unmerge = [], []
    for _ in range(rounds + 1):  # the first makes the plans
        merge.append(stop_watch(lambda: post(api, f"/v1/contacts/{one}/merge", {"from": two})))
        unmerge.append(stop_watch(
            lambda: post(api, f"/v1/contacts/{one}/unmerge", {"contact": two})))
    return {"merge": spread(merge[1:]), "unmerge": spread(unmerge[1:])}


def commits(store, rounds):
    """What one row and its commit take here."""
    connection = connect(store)
    with connection.cursor() as cursor:
        times = [stop_watch(lambda: cursor.execute(
            "update tenant set name = name where id = 1")) for _ in range(rounds)]
    connection.close()
    return spread(times)


def savings(store, seconds):
    """p99 in ms of savings of calls from the two numbers."""
    connection, times, until = connect(store), [], time.monotonic() + seconds
    with connection.cursor() as cursor:
        while time.monotonic() < until:
            at = int(time.time() * 1000)
            times.append(stop_watch(lambda: cursor.execute(
                "select test_ingest(1, %s, 'phone', %s, 2, %s, %s)",
                (new_id(at), NUMBERS[len(times) % 2], at * 1000, new_id(at)))))
    connection.close()
    return spread(times)["p99"]


def stalls(store, api, one, two, seconds):
    """Savings of the pair's calls, alone and while they are merged all the time."""
    alone, over = savings(store, seconds), threading.Event()

    def go_on():
        while not over.is_set():
            timed(api, one, two, 1)

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        merging = savings(store, seconds)
    finally:
        over.set()
        thread.join()
    return {"alone": alone, "merging": merging}
