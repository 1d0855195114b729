"""A person is erased: nothing of theirs is left anywhere, somebody else's is; what is
reported is where it was; retention; reads in the audit."""

import hashlib
import hmac
import json
import os
import subprocess
from pathlib import Path

import psycopg2
import pytest
import redis
from servers import wait_until
from support.daemon import BUILD, SLOW
from support.steps import Steps

GONE = {"phone": "0912000111", "e164": "+886912000111", "mail": "zhang.erased@example.com",
        "name": "Erasmus Zhang", "attribute": "attr-erased-4711", "variable": "var-erased-1",
        "note": "summary-erased-99"}
STAYS = {"phone": "0912000222", "e164": "+886912000222", "mail": "wang.stays@example.com",
         "name": "Stella Wang", "attribute": "attr-stays-4712", "variable": "var-stays-2",
         "note": "summary-stays-98"}
NOBODY = "01890000-0000-7000-8000-000000000000"


def words(person):
    return [v for k, v in person.items() if k != "phone"] + [person["phone"][1:]]


def dump(database):
    server = database.server
    done = subprocess.run(
        [os.path.join(server.bin, "pg_dump"), "-h", server.directory, "-U", "interactd",
         "--inserts", database.name], capture_output=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode(errors="replace")


def redis_dump(server):
    r = redis.Redis(unix_socket_path=server.path, decode_responses=True)
    out = []
    for key in r.keys("*"):
        kind = r.type(key)
        value = (r.xrange(key) if kind == "stream" else r.hgetall(key) if kind == "hash"
                 else r.get(key) if kind == "string" else r.smembers(key) if kind == "set"
                 else r.zrange(key, 0, -1, withscores=True))
        out.append(f"{key} {json.dumps(value, ensure_ascii=False, default=list)}")
    return "\n".join(out)


def files_dump(daemon):
    state = Path(daemon.sections["daemon"]["state_dir"])
    return "\n".join(p.read_bytes().decode(errors="replace")
                     for p in sorted(state.rglob("*")) if p.is_file())


def everywhere(daemon, database, server):
    return {"database": dump(database), "redis": redis_dump(server),
            "files": files_dump(daemon)}


def places_of(texts, person):
    return {(place, word) for place, text in texts.items() for word in words(person)
            if word in text}


def make_person(api, person):
    contact = api.create("/v1/contacts", {
        "name": person["name"], "attributes": {"x": person["attribute"]},
        "identities": [{"kind": "phone", "value": person["phone"]},
                       {"kind": "email", "value": person["mail"]}]})
    answer = api.post("/v1/interactions", {
        "contact": contact["id"], "kind": "note", "direction": "in",
        "summary": person["note"], "variables": {"v": person["variable"]}},
        idempotency=f"key-{person['variable']}")
    assert answer.status == 201, answer
    return contact


def make_wishes(api, person, contact):
    """What they want, said while they were merged with a visitor, who keeps what was said for
    both; their number bounced."""
    number = {"kind": "phone", "value": person["e164"]}
    other = api.contact("Visitor")
    answer = api.post(f"/v1/contacts/{contact['id']}/merge", {"from": other["id"]})
    assert answer.status == 200, answer
    for body in ({"decision": "denied", "kind": "sms", "who": person["attribute"],
                  "identity": number},
                 {"decision": "allowed", "kind": "email",
                  "identity": {"kind": "email", "value": person["mail"]}},
                 {"decision": "allowed", "kind": "sms", "double_opt_in": True,
                  "identity": number}):
        answer = api.post(f"/v1/contacts/{contact['id']}/consents",
                          {"purpose": "marketing", "source": "web", **body})
        assert answer.status == 201, answer
    answer = api.put(f"/v1/contacts/{contact['id']}/preferences", {"preferred": ["sms"]})
    assert answer.status == 200, answer
    api.create("/v1/suppressions", {**number, "reason": "bounced"})
    answer = api.post(f"/v1/contacts/{contact['id']}/unmerge", {"contact": other["id"]})
    assert answer.status == 200, answer
    return other


def make_trouble(database, api, person, contact):
    """Somebody claims their number for a while; a line of an import told of them."""
    tenant = database.one("select tenant_id from contact where id = %s::uuid", contact["id"])
    claims = api.contact("Claims")
    database("insert into identity (tenant_id, kind, value, contact_id, trust) "
             "values (%s, 'phone', %s, %s::uuid, 0)", tenant, person["e164"], claims["id"])
    database("select contact_suggest(%s, %s::uuid)", tenant, contact["id"])
    assert database.one("select count(*) from merge_suggestion where evidence::text like %s",
                        f"%{person['e164']}%") == 1
    database("delete from identity where contact_id = %s::uuid", claims["id"])
    run = contact["id"]
    database("select import_run_begin(%s, %s::uuid, 'csv', 'key:t', 0), "
             "import_run_reject(%s, %s::uuid, 2, '{1}', '{1}', array[%s])", tenant, run, tenant,
             run, f"{person['e164']} is {contact['id']}'s")


def call_of(fake, subscriber, person, agent="1001"):
    Steps(fake, "22/direct-answered", {"0912345678": person["phone"]}).whole(
        agent, subscriber)


def complete(api, contact):
    """The receipt, once Redis and the disk are clean too."""
    def receipt():
        answer = api.delete(f"/v1/contacts/{contact}")
        assert answer.status == 200, answer
        return answer.json if answer.json["complete"] else None
    return wait_until(receipt, 30 * SLOW, "the erasure to be complete")


def counts(receipt):
    total = {}
    for p in receipt["places"]:
        total[p["place"]] = total.get(p["place"], 0) + (p["count"] or 0)
    return total


def test_an_erased_person_is_nowhere(pbx, database, subscriber, redis_server):
    daemon, fake = pbx
    api = daemon.api()
    gone, stays = make_person(api, GONE), make_person(api, STAYS)
    visitors = [make_wishes(api, p, c) for p, c in ((GONE, gone), (STAYS, stays))]
    make_trouble(database, api, GONE, gone)
    for person in (GONE, STAYS):
        call_of(fake, subscriber, person)
    wait_until(lambda: database.one(
        "select count(*) from interaction where kind = 'call' and state = 'ended' and "
        "contact_id is not null") == 2, 20 * SLOW, "both calls to be written")
    before = everywhere(daemon, database, redis_server)
    for person in (GONE, STAYS):
        found = places_of(before, person)
        assert {p for p, _ in found} == {"database", "redis", "files"}, found

    report = api.ok(f"/v1/contacts/{gone['id']}/privacy")
    there = counts(report)
    assert there["interactions"] == 2 and there["identities"] == 2, there
    assert there["past pops"] > 0 and there["spool"] > 0, there
    assert there["idempotency answers"] >= 1, there
    assert there["consent evidence"] == 4 and there["consents to be confirmed"] == 1, there
    assert there["wishes"] == 4 and there["suppressed addresses"] == 1, there
    assert there["merges"] == there["merge suggestions"] == there["rejected lines"] == 1, there

    receipt = api.delete(f"/v1/contacts/{gone['id']}").json
    assert receipt["contact"] == gone["id"] and receipt["members"] == [gone["id"]]
    event = subscriber.wait_event("contact.erased")
    assert event["object"] == {"id": gone["id"]} and event["changes"] == {}
    receipt = complete(api, gone["id"])
    done = counts(receipt)
    assert done["interactions"] == 2 and done["contact"] == 1, done
    assert done["identities"] == done["addresses"] == 2 and done["past pops"] > 0, done

    # The last segment goes when its records are applied; its own thread unlinks it.
    wait_until(lambda: not places_of({"files": files_dump(daemon)}, GONE), 20 * SLOW,
               "the spool to be rid of them")
    after = everywhere(daemon, database, redis_server)
    assert places_of(after, GONE) == set()
    assert {p for p, _ in places_of(after, STAYS)} >= {"database"}

    # What was said stays with whom it was said for, but for the address; the chain holds.
    told = subprocess.run([BUILD / "interactctl", "-c", daemon.path, "--json", "consent",
                           "verify"], capture_output=True, text=True, timeout=60 * SLOW,
                          check=False)
    assert told.returncode == 0, told
    assert json.loads(told.stdout)["erased"] == 4 and json.loads(told.stdout)["ok"]
    assert api.ok(f"/v1/contacts/{visitors[0]['id']}/preferences")["denied"] == []
    assert len(api.ok(f"/v1/contacts/{visitors[1]['id']}/preferences")["denied"]) == 1
    # It bounced, and still may not be written to.
    assert [i["reason"] for i in api.ok("/v1/suppressions", identity=f"phone:{GONE['e164']}")[
        "items"]] == ["erased"]

    # What happened stays, without a person.
    rows = database("select kind, state, talk_ms, agent, contact_id, remote_value, "
                    "summary, variables from interaction order by kind, contact_id")
    assert len(rows) == 4 and sum(r[4] is None for r in rows) == 2
    anonymous = [r for r in rows if r[4] is None and r[0] == "call"]
    assert anonymous[0][1] == "ended" and anonymous[0][2] > 0
    assert anonymous[0][3] == "1001" and anonymous[0][5:] == (None, None, {})
    assert api.get(f"/v1/contacts/{gone['id']}").status == 404
    left = counts(api.ok(f"/v1/contacts/{gone['id']}/privacy"))
    assert {k for k, n in left.items() if n} <= {"audit", "erasures",
                                                 "webhook deliveries"}, left
    assert api.ok(f"/v1/contacts/{stays['id']}")["name"] == STAYS["name"]
    audit = api.ok("/v1/audit", object=f"contact:{gone['id']}")["items"]
    assert audit[0]["action"] == "contact.erased"
    assert "interactions: 2" in audit[0]["fields"]


def test_webhook_deliveries_of_the_person_go_too(pbx, database):
    daemon, _ = pbx
    api = daemon.api()
    hook = api.create("/v1/webhooks", {"url": "https://a.invalid/", "events": ["*"]})
    gone, stays = make_person(api, GONE), make_person(api, STAYS)
    n = database.one("select count(*) from webhook_delivery")
    assert n == 4
    assert api.delete(f"/v1/contacts/{gone['id']}").status == 200
    bodies = [json.loads(b) for (b,) in database(
        "select body from webhook_delivery order by seq")]
    assert [b["type"] for b in bodies] == ["contact.created", "interaction.created",
                                           "contact.erased"]
    assert bodies[0]["object"]["id"] == stays["id"]
    assert bodies[2]["object"] == {"id": gone["id"]}
    # The queues still know what waits.
    waiting = api.ok(f"/v1/webhooks/{hook['id']}")["waiting"]
    assert waiting == database.one(
        "select count(*) from webhook_delivery where state = 'waiting'") == 3


def test_a_merged_id_erases_the_whole_person(daemon_of_many, api, database_of):
    first = api.contact("Anna One", "0912000333")
    database_of("select contact_absorb(%s, %s::uuid, %s::uuid, %s::jsonb, 'test', 'admin')",
                first["id"], api.contact("Anna Two", "0912000334")["id"],
                '{"addresses": [{"kind": "phone", "value": "+886912000334"}]}')
    second = database_of("select id::text from contact where merged_into is not null")[0][0]
    receipt = api.delete(f"/v1/contacts/{second}").json
    assert receipt["contact"] == first["id"]
    assert receipt["members"] == sorted([first["id"], second])
    for one in (first["id"], second):
        assert api.get(f"/v1/contacts/{one}").status == 404
        assert api.delete(f"/v1/contacts/{one}").json["contact"] == first["id"]
    assert database_of("select count(*) from contact_merge where tenant_id = %s")[0][0] == 0


@pytest.fixture
def daemon_of_many(shared_daemon):
    return shared_daemon


@pytest.fixture
def database_of(shared_daemon, tenant):
    """Asks with this test's tenant as the first parameter, if the statement wants one."""
    db = shared_daemon.database

    def ask(statement, *args):
        if "%s" in statement:
            args = (db.tenant_id(tenant), *args)
        elif "merged_into" in statement:
            statement += f" and tenant_id = {db.tenant_id(tenant)}"
        return db(statement, *args)
    return ask


def test_who_may_erase(keys, api):
    contact = api.contact("Bo", "0912000335")
    for role in ("supervisor", "agent", "integration", "readonly"):
        assert keys(role).delete(f"/v1/contacts/{contact['id']}").status == 403
        assert keys(role).get(f"/v1/contacts/{contact['id']}/privacy").status == 403
    assert keys("admin").get(f"/v1/contacts/{contact['id']}/privacy").status == 200
    assert keys("admin").delete(f"/v1/contacts/{contact['id']}").status == 200
    assert api.delete(f"/v1/contacts/{NOBODY}").status == 404
    assert api.get(f"/v1/contacts/{NOBODY}/privacy").status == 404
    assert api.delete("/v1/contacts/nonsense").status == 404
    assert api.delete(f"/v1/contacts/{contact['id']}?do_not_contact=maybe").status == 400
    assert api.delete(f"/v1/contacts/{contact['id']}?keep=1").status == 400


def test_a_number_that_two_have_stays_the_others(api, shared_daemon):
    a = api.contact("A", "0912000336")
    b = api.create("/v1/contacts", {"name": "B", "shared": True, "identities": [
        {"kind": "phone", "value": "0912000336"}]})
    receipt = api.delete(f"/v1/contacts/{a['id']}?do_not_contact=true").json
    assert counts(receipt)["addresses"] == 0 and receipt["do_not_contact"]
    assert [c["id"] for c in api.find("phone:+886912000336")] == [b["id"]]
    # The other's own wishes count for it.
    assert shared_daemon.database.one("select count(*) from suppression where tenant_id = "
                                      "(select id from tenant where name = %s)",
                                      api.tenant) == 0


def test_do_not_contact_outlives_the_person(shared_daemon, api):
    contact = api.contact("C", "0912000337")
    assert api.delete(f"/v1/contacts/{contact['id']}?do_not_contact=true").status == 200
    database = shared_daemon.database
    tenant = database.tenant_id(api.tenant)
    key = bytes.fromhex((Path(shared_daemon.sections["daemon"]["state_dir"]) / "erasure.key")
                        .read_text().strip())
    expected = hmac.new(key, f"{tenant}/phone/+886912000337".encode(), hashlib.sha256)
    assert database("select kind, value, reason from suppression where tenant_id = %s",
                    tenant) == [("phone", "#" + expected.hexdigest(), "erased")]
    found = api.ok("/v1/suppressions", identity="phone:0912000337")["items"]
    assert [(i["reason"], i["identity"], i["hash"]) for i in found] == [
        ("erased", None, expected.hexdigest())]
    assert api.ok("/v1/suppressions", identity="phone:0912000338")["items"] == []
    # Without the key nobody is told that there is nothing against an address.
    with pytest.raises(psycopg2.Error, match="no key"):
        database("select suppression_reasons(%s, 'phone', '+886912000337')", tenant)
    # By hand it is taken back, if that is said.
    assert api.delete("/v1/suppressions?identity=phone:0912000337").status == 404
    assert api.delete("/v1/suppressions?identity=phone:0912000337&reason=erased").status < 300
    assert api.ok("/v1/suppressions", identity="phone:0912000337")["items"] == []


def pads_of(daemon):
    """The key as the daemon gives it to its sessions."""
    key = bytes.fromhex((Path(daemon.sections["daemon"]["state_dir"]) / "erasure.key")
                        .read_text().strip())
    return ".".join(bytes(b ^ pad for b in key.ljust(64, b"\0")).hex() for pad in (0x36, 0x5c))


def test_a_call_under_way_goes_on_as_nobodys(pbx, database, subscriber, redis_server):
    daemon, fake = pbx
    api = daemon.api()
    gone = make_person(api, GONE)
    call = Steps(fake, "22/direct-answered", {"0912345678": GONE["phone"]}).answer("1001")
    pop = subscriber.wait_pop(agent="1001", state="talking")
    wait_until(lambda: database.one("select count(*) from interaction where kind = 'call' "
                                    "and contact_id = %s::uuid", gone["id"]) == 1,
               20 * SLOW, "the call to be written")
    assert api.delete(f"/v1/contacts/{gone['id']}").status == 200
    told = wait_until(lambda: [p for p in subscriber.all_pops(agent="1001")
                               if p["seq"] > pop["seq"]], 10 * SLOW, "an update")[0]
    assert told["type"] == "pop.update" and told["state"] == "talking", told
    assert told["contact"] is None and told["remote"]["value"] is None, told
    assert api.pops("1001")[0]["contact"] is None
    assert api.ok("/v1/calls")["items"][0]["remote"]["value"] is None
    call.rest()
    subscriber.wait_pop(agent="1001", type="pop.close")
    wait_until(lambda: database.one("select count(*) from interaction where kind = 'call' "
                                    "and state = 'ended' and contact_id is null and "
                                    "remote_value is null and talk_ms > 0") == 1,
               20 * SLOW, "the end to be written")
    assert database.one("select count(*) from contact") == 0
    complete(api, gone["id"])
    wait_until(lambda: not places_of({"files": files_dump(daemon)}, GONE), 20 * SLOW, "files")
    assert places_of(everywhere(daemon, database, redis_server), GONE) == set()


def test_who_calls_again_is_a_stranger(pbx, database, subscriber):
    daemon, fake = pbx
    api = daemon.api()
    gone = make_person(api, GONE)
    api.delete(f"/v1/contacts/{gone['id']}?do_not_contact=true")
    complete(api, gone["id"])
    call_of(fake, subscriber, GONE)
    found = wait_until(lambda: api.find(f"phone:{GONE['e164']}"), 20 * SLOW, "a stranger")
    assert len(found) == 1 and found[0]["name"] is None and found[0]["id"] != gone["id"]
    # The gate is told that there is no writing to them.
    told = database("select set_config('interactd.erasure_key', %s, false), "
                    "gate_contact(tenant_id, id) from contact where id = %s::uuid",
                    pads_of(daemon), found[0]["id"])[0][1]
    assert [(a["value"], a["suppressed"]) for a in told["addresses"]] == [
        (GONE["e164"], ["erased"])]


def test_an_erasure_is_completed_after_redis_was_away(pbx, database, subscriber, redis_server):
    daemon, fake = pbx
    api = daemon.api()
    gone = make_person(api, GONE)
    call_of(fake, subscriber, GONE)
    redis_server.pause()
    try:
        receipt = api.delete(f"/v1/contacts/{gone['id']}").json
        assert not receipt["complete"]
        assert api.get(f"/v1/contacts/{gone['id']}").status == 404
    finally:
        redis_server.resume()
    complete(api, gone["id"])
    assert places_of({"redis": redis_dump(redis_server)}, GONE) == set()
    assert database.one("select count(*) from erasure where pending is not null") == 0


# ---- by construction


def test_every_table_is_in_the_list_of_places(database):
    tables = {t for (t,) in database(
        "select c.relname from pg_class c where c.relnamespace = 'public'::regnamespace "
        "and c.relkind in ('r', 'p') and not c.relispartition")}
    listed = {t for (t,) in database("select relation from privacy_place")}
    missing = tables - listed
    assert not missing, (
        f"{sorted(missing)}: a table must say what it holds of people. Add a row to "
        "privacy_place in the migration that makes it (conf/sql/034-privacy.sql tells the "
        "columns): how it is found and erased, or in `kept` why nothing of a person is there.")
    assert not listed - tables, f"no such tables: {sorted(listed - tables)}"


def test_a_table_with_a_contact_is_not_called_impersonal(database):
    suspects = database(
        "select distinct a.attrelid::regclass::text from pg_attribute a join pg_class c on "
        "c.oid = a.attrelid where c.relnamespace = 'public'::regnamespace and c.relkind in "
        "('r', 'p') and not c.relispartition and a.attnum > 0 and not a.attisdropped and "
        "a.attname in ('contact_id', 'contact', 'survivor', 'absorbed', 'remote_value', "
        "'payload', 'body', 'summary', 'variables', 'attributes', 'address', 'phone', "
        "'email', 'recipient')")
    personal = {t for (t,) in database(
        "select relation from privacy_place where mine is not null")}
    # which attributes a key or an agent may see
    wrong = {t for (t,) in suspects} - personal - {"agent", "api_key"}
    assert not wrong, (f"{sorted(wrong)} have columns of people: privacy_place must say in "
                       "`mine` and `how` how their rows are found and erased")


# ---- how long it is kept


def back_date(database, tenant, kind, days, n=1, contact=None):
    """Interactions of so long ago, each with a leg, a place in the timeline and, if it came
    by a channel, an external id."""
    database("select ensure_partitions(now() - %s * interval '1 day', now())", days)
    database("""
        with made as (
            insert into interaction (tenant_id, id, kind, direction, at, state, contact_id,
                channel, external_id)
            select %s, (left(uuid_floor(now() - %s * interval '1 day')::text, 24)
                    || right(gen_random_uuid()::text, 12))::uuid, %s, 'in',
                now() - %s * interval '1 day', 'ended', coalesce(%s::uuid,
                gen_random_uuid()), 'mail', gen_random_uuid()::text
            from generate_series(1, %s) returning *),
        legs as (insert into interaction_leg (tenant_id, interaction_id, id, type, at)
            select tenant_id, id, gen_random_uuid(), 'ring', at from made),
        shown as (insert into timeline (tenant_id, contact_id, id, kind, direction)
            select tenant_id, contact_id, id, kind, direction from made)
        insert into external_id (tenant_id, channel, external_id, interaction_id)
        select tenant_id, channel, external_id, id from made""",
             database.tenant_id(tenant), days, kind, days, contact, n)


def kept(database):
    return sorted((t, k, n) for t, k, n in database(
        "select t.name, i.kind, count(*) from interaction i join tenant t on "
        "t.id = i.tenant_id group by 1, 2"))


def children(database):
    return [database.one(f"select count(*) from {t}")
            for t in ("interaction_leg", "timeline", "external_id")]


def partitions(database):
    return {p for (p,) in database("select relname from pg_class where relispartition and "
                                   "relkind = 'r' and relname ~ '^interaction_[0-9]'")}


def ran(daemon):
    """When retention went through all last."""
    for line in daemon.api(key="").get("/metrics").body.decode().splitlines():
        if line.startswith("interactd_retention_run_timestamp_seconds "):
            return float(line.split()[1])
    raise AssertionError("no such metric")


def test_what_has_served_its_time_goes(make_daemon, database):
    daemon = make_daemon(**{
        "tenant a": {"retention_call_days": "30", "retention_sms_days": "10"},
        "tenant b": {"retention_call_days": "60"}}).start()
    daemon.stop()
    for tenant in ("a", "b", "default"):
        back_date(database, tenant, "call", 40, 3)
        back_date(database, tenant, "call", 5, 2)
        back_date(database, tenant, "sms", 20, 2)
    back_date(database, "a", "note", 100)
    daemon.start()
    wait_until(lambda: ran(daemon), 30 * SLOW, "a run of retention")
    assert kept(database) == [("a", "call", 2), ("a", "note", 1), ("b", "call", 5),
                              ("b", "sms", 2), ("default", "call", 5), ("default", "sms", 2)]
    assert children(database) == [17, 17, 17]
    assert "retention: 5 interactions and" in daemon.log()
    due = {i["kind"]: i for i in
           daemon.api(tenant="b").ok("/v1/privacy/retention")["items"]}
    assert due["call"]["days"] == 60 and due["call"]["due"] == 0 and due["call"]["looked_at"]
    assert due["note"]["days"] == 0 and due["note"]["before"] is None


def test_months_that_have_expired_for_everybody_are_dropped(make_daemon, database):
    daemon = make_daemon(**{
        "tenant a": {"retention_call_days": "30"},
        "tenant b": {"retention_call_days": "60", "retention_note_days": "90"}}).start()
    daemon.stop()
    back_date(database, "a", "call", 200, 3)
    back_date(database, "b", "call", 200, 3)
    back_date(database, "b", "note", 200, 3)
    back_date(database, "a", "call", 400, 3)
    back_date(database, "default", "call", 400, 1)   # never expires: the month stays
    back_date(database, "a", "call", 1000, 5)
    before = partitions(database)
    daemon.start()
    wait_until(lambda: ran(daemon), 30 * SLOW, "a run of retention")
    assert kept(database) == [("default", "call", 1)]
    assert children(database) == [1, 1, 1]
    gone = before - partitions(database)
    month = "'interaction_' || to_char(now() at time zone 'UTC' - interval '%s days', 'YYYYMM')"
    stays = database.one(f"select {month % 400}")
    assert gone >= {database.one(f"select {month % 200}"), database.one(f"select {month % 1000}")}
    assert stays not in gone
    # Whole years of the timeline go with their last month.
    assert database.one("select count(*) from pg_class where relname = 'timeline_' || "
                        "to_char(now() - interval '1000 days', 'YYYY')") == 0
    # What comes with an old date later has its place again, and goes at the next day's run.
    back_date(database, "a", "call", 200, 1)
    assert daemon.api(tenant="a").ok("/v1/privacy/retention")["items"][0]["due"] == 1
    assert json.loads(daemon.ctl("--tenant", "a", "--json", "privacy", "retention").stdout)[
        "items"][0]["due"] == 1


# ---- who has read it


def reads(api, **query):
    return [(i["actor"], i["action"], i["object"]["id"], i["fields"])
            for i in api.ok("/v1/audit", action="*.read", **query)["items"]]


def test_reads_by_people_are_audited(shared_daemon, api, keys, eventually):
    contact = api.contact("Read Me", "0912000555")
    note = api.create("/v1/interactions", {"contact": contact["id"], "kind": "note",
                                           "direction": "in", "summary": "s"})
    token = api.create("/v1/agents/1001/tokens", {})["token"]
    agent, machine = shared_daemon.api(key=token), keys("integration")
    for who in (agent, machine):
        who.ok(f"/v1/contacts/{contact['id']}")
        who.find("phone:+886912000555")
        who.ok("/v1/contacts", q="read")
        who.ok(f"/v1/contacts/{contact['id']}/timeline")
        who.ok(f"/v1/interactions/{note['id']}")
        assert who.get(f"/v1/contacts/{NOBODY}").status == 404
    keys("supervisor").ok(f"/v1/contacts/{contact['id']}")
    eventually(lambda: len(reads(api)) >= 7)
    mine = reads(api, actor="agent:1001")
    assert sorted(mine) == sorted([
        ("agent:1001", "contact.read", contact["id"], [how])
        for how in ("get", "find", "search", "timeline", "interaction")
    ] + [("agent:1001", "interaction.read", note["id"], ["get"])])
    assert reads(api, actor="key:integration") == []
    assert [r[0] for r in reads(api, object=f"contact:{contact['id']}")].count(
        "key:supervisor") == 1
    assert "Read Me" not in json.dumps(reads(api)) and "912000555" not in json.dumps(reads(api))


def test_the_audit_is_asked_for_a_span_of_time(api):
    contact = api.contact("Spanned")
    made = api.ok("/v1/audit", object=contact["id"], action="contact.created")["items"][0]
    span = {"from": made["at"], "object": contact["id"], "action": "contact.*"}
    assert api.ok("/v1/audit", **span)["items"]
    assert api.ok("/v1/audit", **{**span, "from": "2099-01-01T00:00:00Z"})["items"] == []
    assert api.ok("/v1/audit", to="2000-01-01T00:00:00Z")["items"] == []
    assert api.get("/v1/audit", **{"from": "yesterday"}).status == 400
    assert api.get("/v1/audit", who="me").status == 400


def test_reads_wait_for_the_database_and_are_bounded(make_daemon, postgres, database):
    daemon = make_daemon().start()
    contact = daemon.api().contact("Late")
    daemon.api().ok(f"/v1/contacts/{contact['id']}")
    daemon.stop()   # what was read a moment before is written at the end
    assert database.one("select count(*) from audit where action = 'contact.read'") == 1


# ---- interactctl


def test_interactctl_reports_and_erases(shared_daemon, api):
    contact = api.contact("By Hand", "0912000556")
    ctl = ["--tenant", api.tenant, "privacy"]
    shown = shared_daemon.ctl(*ctl, "report", "0912000556")
    assert shown.returncode == 0 and "identities" in shown.stdout, shown
    assert "state_dir/spool" in shown.stdout
    refused = shared_daemon.ctl(*ctl, "erase", "0912000556")
    assert refused.returncode == 2 and "--yes" in refused.stderr
    assert api.get(f"/v1/contacts/{contact['id']}").status == 200
    done = shared_daemon.ctl(*ctl, "erase", "0912000556", "--yes")
    assert done.returncode == 0 and "is erased" in done.stdout, done
    assert api.get(f"/v1/contacts/{contact['id']}").status == 404
    left = shared_daemon.ctl(*ctl, "report", contact["id"])
    assert left.returncode == 0 and "They were erased" in left.stdout, left
    shown = shared_daemon.ctl(*ctl, "retention")
    assert shown.returncode == 0 and "for ever" in shown.stdout


def test_a_restored_backup_does_not_bring_them_back(make_daemon, database, session_postgres):
    daemon = make_daemon(**{"tenant default": {"region": "TW"}}).start()
    api = daemon.api()
    gone, stays = make_person(api, GONE), make_person(api, STAYS)
    rows = {t: database(f"select row_to_json(t)::text from {t} t")
            for t in ("address", "contact", "identity")}
    api.delete(f"/v1/contacts/{gone['id']}?do_not_contact=true")
    complete(api, gone["id"])
    daemon.stop()
    # As a dump of before would: the person is back, and the erasure is not known.
    database("delete from erasure")
    for table, old in rows.items():
        for (row,) in old:
            names = [n for n in json.loads(row) if n != "search"]
            database(f"insert into {table} ({', '.join(names)}) select {', '.join(names)} from "
                     f"json_populate_record(null::{table}, %s) on conflict do nothing", row)
    assert database.one("select count(*) from contact") == 2
    daemon.start()
    wait_until(lambda: database.one("select count(*) from contact") == 1, 30 * SLOW,
               "the person to be erased again")
    assert daemon.api().get(f"/v1/contacts/{gone['id']}").status == 404
    assert daemon.api().ok(f"/v1/contacts/{stays['id']}")["name"] == STAYS["name"]
    receipt = complete(daemon.api(), gone["id"])
    assert receipt["do_not_contact"]
    assert places_of({"database": dump(database)}, GONE) == set()
    assert "was erased before this database was restored" in daemon.log()
