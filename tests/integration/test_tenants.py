"""Tenants see nothing of one another: by how the schema is made, by every statement, for
reporting logins, and over streams, Redis, tokens, cursors, webhooks and look-ups."""

import itertools
import json
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg2
import pytest
import redis
import sql_tenant
from fake_asterisk import FakeAsterisk
from servers import wait_until
from support.daemon import BUILD, SLOW, asterisk_channel
from support.steps import Steps
from support.streams import EventStream, Refused, WebSocket

# Tables without a tenant, and why.
NOBODYS = {
    "tenant": "the list of them",
    "schema_migration": "the schema is everybody's",
    "partition_month": "partitions are everybody's",
    "privacy_place": "which tables hold what is the same for all",
}
# Tables that no reporting login may read, whoseever: they hold secrets, or bodies of answers.
SECRETS = {"api_key", "agent_token", "webhook", "webhook_delivery", "webhook_queue",
           "idempotency", "quarantine", "lease", "tenant_secret", "customer_page"}
logins = (f"report_{n}" for n in itertools.count(1))


# ---- how the schema is made

TABLES = ("select c.oid, c.relname from pg_class c where c.relnamespace = "
          "'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition")


def columns(database, oid, numbers):
    return [database.one("select attname from pg_attribute where attrelid = %s and attnum = %s",
                         oid, n) for n in numbers]


def test_every_key_begins_with_the_tenant(database):
    for oid, table in database(TABLES):
        if table in NOBODYS:
            continue
        key = database("select conkey from pg_constraint where conrelid = %s and contype = 'p'",
                       oid)
        assert key, f"{table} has no primary key"
        assert columns(database, oid, key[0][0])[0] == "tenant_id", (
            f"{table}: tenant_id must be the first column of its primary key (or, if it is "
            "nobody's in particular, say so in NOBODYS here)")


def test_every_unique_index_has_the_tenant(database):
    for oid, table in database(TABLES):
        if table in NOBODYS:
            continue
        for name, keys in database(
                "select i.indexrelid::regclass::text, string_to_array(i.indkey::text, ' ')"
                "::int[] from pg_index i where i.indrelid = %s and i.indisunique", oid):
            assert "tenant_id" in columns(database, oid, [k for k in keys if k]), (
                f"{name}: a unique index without tenant_id makes tenants see one another's "
                "values as conflicts")


def test_no_row_can_refer_to_another_tenants(database):
    names = dict(database(TABLES))
    checked = 0
    for name, table, target, own, theirs in database(
            "select conname, conrelid, confrelid, conkey, confkey from pg_constraint "
            "where contype = 'f' and conrelid in (select oid from pg_class where relnamespace "
            "= 'public'::regnamespace and not relispartition)"):
        pairs = list(zip(columns(database, table, own), columns(database, target, theirs)))
        wanted = ("tenant_id", "id") if names[target] == "tenant" else ("tenant_id",) * 2
        assert wanted in pairs, (f"{name} of {names[table]}: a foreign key must go by "
                                 f"tenant_id too, not by {pairs} alone")
        checked += 1
    assert checked > 8


def test_exceptions_are_still_there(database):
    tables = {t for _, t in database(TABLES)}
    assert set(NOBODYS) <= tables


# ---- every statement

MIGRATION = {"m.sql": """
create table thing (
	tenant_id integer not null,
	id uuid not null,
	primary key (tenant_id, id)
);
create table part (
	tenant_id integer not null,
	thing uuid not null,
	n integer
);
create table month (month date primary key);
"""}

GOOD = [
    "select id from thing where tenant_id = $1",
    "select t.id from thing t join part p on p.tenant_id = t.tenant_id and p.thing = t.id "
    "where t.tenant_id = $1",
    "insert into thing (tenant_id, id) select $1, $2",
    "insert into thing as t (tenant_id, id) values ($1, $2) on conflict (tenant_id, id) do "
    "update set id = excluded.id",
    "update thing t set id = $2 from part p where t.tenant_id = $1 and p.tenant_id = $1",
    "delete from thing using part p where thing.tenant_id = $1 and p.tenant_id = $1",
    "select (select count(*) from part p where p.tenant_id = t.tenant_id) from thing t "
    "where t.tenant_id = $1",
    "with a as (select id from thing where tenant_id = $1) select * from a",
    "select thing, n from unnest($1::int[], $2::text[]) u(thing, part)",
    "select month from month",
    "select 'from thing', thing is distinct from part from month",
    "select id from thing where tenant_id = $1 union select thing from part where "
    "tenant_id = $1",
    "-- tenant: sums over all\nselect count(*) from thing",
    "select x.n from m cross join lateral (select n from part where tenant_id = $1 "
    "and thing = m.id) x",
]
BAD = [
    "select id from thing where id = $1",
    "select tenant_id, id from thing",
    "select id from thing where id in (select thing from part where tenant_id = $1)",
    "select t.id from thing t join part p on p.thing = t.id where t.tenant_id = $1",
    "select t.id from thing t, part p where p.tenant_id = $1 and p.thing = t.id",
    "insert into thing (id) values ($1)",
    "update thing set id = $1 where id = $2",
    "update thing t set id = $2 from part p where t.tenant_id = $1 and p.thing = t.id",
    "delete from thing where id = $1",
    "delete from part using thing where thing.tenant_id = $1",
    "with a as (delete from thing returning id) select * from a",
    "select id from thing where tenant_id = $1 union select thing from part",
    "select 1 where exists (select from part where n = 1)",
    "select count(*) from thing -- tenant_id in a comment",
    "select count(*) from thing where id = 'tenant_id'",
]


@pytest.mark.parametrize("statement", GOOD)
def test_the_lint_lets_good_statements_be(statement):
    assert list(sql_tenant.lint(MIGRATION, {"f.sql": f"-- name: it\n{statement}\n"})) == []
    body = f"create function f() returns void language sql as $$\n{statement}\n$$;"
    assert list(sql_tenant.lint({**MIGRATION, "n.sql": body}, {})) == []


@pytest.mark.parametrize("statement", BAD)
def test_the_lint_finds_bad_statements(statement):
    found = list(sql_tenant.lint(MIGRATION, {"f.sql": f"-- name: it\n{statement}\n"}))
    assert found and found[0].startswith("f.sql: it: "), found
    body = f"create function f(p integer) returns void as $$ begin\n{statement};\nend $$;"
    found = list(sql_tenant.lint({**MIGRATION, "n.sql": body}, {}))
    assert found and found[0].startswith("n.sql: f: "), found
    # What a later migration makes of it counts.
    better = "create or replace function f(p integer) returns void as $$ begin end $$;"
    assert list(sql_tenant.lint({**MIGRATION, "n.sql": body, "o.sql": better}, {})) == []


def test_the_statements_of_the_daemon_name_their_tenant():
    root = sql_tenant.ROOT
    found = list(sql_tenant.lint(sql_tenant.read(sorted(root.glob("conf/sql/*.sql"))),
                                 sql_tenant.read(sorted(root.glob("daemon/*/*.sql")))))
    assert not found, "\n".join(found)


# ---- reporting logins

@pytest.fixture
def two_tenants(make_daemon, database):
    """A daemon whose tenants a and b have the same things; b's are to be found by 'bbb'."""
    daemon = make_daemon(**{"tenant a": {"region": "TW"}, "tenant b": {"region": "TW"}}).start()
    for name in ("a", "b"):
        api = daemon.api(tenant=name)
        contact = api.contact(name * 3, f"091200{ord(name)}11")
        api.create("/v1/interactions", {"contact": contact["id"], "kind": "note",
                                        "direction": "in", "summary": name * 3})
        api.create("/v1/agents", {"id": "1001", "name": name * 3})
        api.create("/v1/agents/1001/tokens", {})
        api.create("/v1/api-keys", {"name": name * 3, "role": "admin"})
        api.create("/v1/webhooks", {"url": "https://a.invalid/", "events": ["contact.*"]})
    return daemon


@pytest.fixture
def reporter(two_tenants, database):
    """A connection as a login that reads tenant a."""
    login = next(logins)
    done = subprocess.run(
        [BUILD / "interactctl", "-c", two_tenants.path, "tenant", "report-role", "a", login],
        capture_output=True, text=True, timeout=60 * SLOW, check=False)
    assert done.returncode == 0, done.stderr
    connection = psycopg2.connect(
        database.conninfo.replace("user=interactd", f"user={login}"))
    connection.autocommit = True

    def ask(statement, *args):
        with connection.cursor() as cursor:
            cursor.execute(statement, args or None)
            return cursor.fetchall() if cursor.description else None
    ask.login = login
    yield ask
    connection.close()
    database(f"drop owned by {login}; drop role {login}")


def test_every_table_is_protected(database):
    for oid, table in database(TABLES):
        if table == "schema_migration":
            continue
        on = database.one("select relrowsecurity from pg_class where oid = %s", oid)
        policies = database.one("select count(*) from pg_policies where tablename = %s", table)
        assert on, (f"{table}: row-level security is off. The migration that makes a table ends "
                    "with: select report_protect();")
        expected = 0 if table in SECRETS or (table in NOBODYS and table != "tenant") else 1
        assert policies == expected, (table, policies)
    assert database.one("select count(*) from pg_class where relispartition and relkind = 'r' "
                        "and not relrowsecurity") == 0


def test_a_reporting_login_sees_its_tenant_alone(reporter, database):
    tenants = {"a": database.tenant_id("a"), "b": database.tenant_id("b")}
    assert reporter("select name from tenant") == [("a",)]
    assert reporter("select name from contact") == [("aaa",)]
    assert reporter("select summary from interaction") == [("aaa",)]
    readable = [t for (t,) in reporter(
        "select c.relname from pg_class c where relnamespace = 'public'::regnamespace and "
        "relkind in ('r', 'p') and has_table_privilege(c.oid, 'select')")]
    assert len(readable) > 10 and not SECRETS & set(readable)
    for table in readable:
        if table in NOBODYS:
            continue
        seen = {t for (t,) in reporter(f"select distinct tenant_id from {table}")}
        assert seen <= {tenants["a"]}, (table, seen)
    # Both have rows where one sees only one's own.
    assert {t for (t,) in database("select distinct tenant_id from audit")} >= set(
        tenants.values())


def test_a_reporting_login_cannot_be_more(reporter, database):
    partition = database.one("select relname from pg_class where relispartition and relname "
                             "like 'interaction_2%' limit 1")
    refused = [
        "insert into contact (tenant_id, id) values (1, gen_random_uuid())",
        "update contact set name = 'x'", "delete from contact", "truncate contact",
        "create table mine (x int)", "select * from api_key", "select * from agent_token",
        "select * from webhook", "select * from tenant_secret", "select * from idempotency",
        "select * from webhook_delivery", "set role interactd",
        "set session authorization interactd", "alter table contact disable row level security",
        "insert into report_login (tenant_id, login) values (2, session_user)",
        "select contact_erase(c.tenant_id, 'x', 'admin', c.id, false) from contact c",
        "select report_role('b', session_user)",
        f"select * from {partition}",
    ]
    for statement in refused:
        # also for who has switched "read only" off
        reporter("set default_transaction_read_only = off")
        with pytest.raises(psycopg2.Error):
            reporter(statement)
    # What the policies ask cannot be put something else in place of.
    reporter("create temp table report_login (tenant_id int, login name)")
    reporter("insert into pg_temp.report_login values (%s, session_user)",
             database.tenant_id("b"))
    reporter("set search_path = pg_temp, public")
    reporter("set interactd.tenant = 'b'")
    assert reporter("select name from public.contact") == [("aaa",)]


def test_a_login_is_of_one_tenant(reporter, two_tenants):
    done = subprocess.run(
        [BUILD / "interactctl", "-c", two_tenants.path, "tenant", "report-role", "b",
         reporter.login], capture_output=True, text=True, timeout=60 * SLOW, check=False)
    assert done.returncode == 1 and "another tenant" in done.stderr, done
    for tenant, login, words in (("nobody", "x1", "no tenant"),
                                 ("a", "interactd", "may see everything")):
        done = subprocess.run(
            [BUILD / "interactctl", "-c", two_tenants.path, "tenant", "report-role", tenant,
             login], capture_output=True, text=True, timeout=60 * SLOW, check=False)
        assert done.returncode == 1 and words in done.stderr, done
    # Again is nothing new.
    done = subprocess.run(
        [BUILD / "interactctl", "-c", two_tenants.path, "--json", "tenant", "report-role", "a",
         reporter.login], capture_output=True, text=True, timeout=60 * SLOW, check=False)
    assert json.loads(done.stdout) == {"tenant": "a", "login": reporter.login}


def test_a_login_nobody_has_registered_sees_nothing(two_tenants, database):
    login = next(logins)
    database(f"create role {login} login")
    try:
        database("select report_grant(%s)", login)
        with psycopg2.connect(
                database.conninfo.replace("user=interactd", f"user={login}")) as c:
            with c.cursor() as cursor:
                cursor.execute("select count(*) from contact")
                assert cursor.fetchone() == (0,)
        c.close()
    finally:
        database(f"drop owned by {login}; drop role {login}")


def test_the_daemon_is_not_slowed_by_policies(two_tenants, database):
    for statement in ("select * from contact where tenant_id = 1 and id = "
                      "'01890000-0000-7000-8000-000000000000'",
                      "select id from timeline where tenant_id = 1 and contact_id = "
                      "'01890000-0000-7000-8000-000000000000' order by id desc limit 10"):
        plan = "\n".join(r for (r,) in database("explain (costs off) " + statement))
        assert "report_login" not in plan and "Filter" not in plan, plan


# ---- streams, Redis, tokens, cursors, webhooks, look-ups

@pytest.fixture
def two_phones(make_daemon):
    """Tenants a and b, each with a phone system of its own and an agent 1001 on it."""
    with FakeAsterisk() as one, FakeAsterisk() as two:
        daemon = make_daemon(**{
            "tenant a": {"region": "TW"}, "tenant b": {"region": "TW"},
            "channel pbx-a": asterisk_channel(one, tenant="a"),
            "channel pbx-b": asterisk_channel(two, tenant="b")})
        daemon.start()
        daemon.wait_channels()
        yield daemon, one, two


def key_of(daemon, tenant, role="admin"):
    return daemon.api(tenant=tenant).create("/v1/api-keys", {"name": role, "role": role})["key"]


def test_streams_are_of_ones_own_tenant(two_phones, subscriber):
    daemon, one, two = two_phones
    token = daemon.api(tenant="b").create("/v1/agents/1001/tokens", {})["token"]
    streams = [
        EventStream(daemon.api(key=key_of(daemon, "b")), "/v1/agents/1001/stream"),
        EventStream(daemon.api(key=token), "/v1/agents/1001/stream"),
        EventStream(daemon.api(key=key_of(daemon, "b")), "/v1/pops/stream"),
        WebSocket(daemon.port, "/v1/agents/1001/stream",
                  ["interactd.v1", f"bearer.{token}"]),
    ]
    mine = EventStream(daemon.api(key=key_of(daemon, "a")), "/v1/agents/1001/stream")
    Steps(one, "22/direct-answered", {"0912345678": "0912000901"}).whole(
        "1001", subscriber, tenant="a")
    mine.wait(3, 20 * SLOW)
    assert daemon.api(tenant="b").pops("1001") == []
    # b's own call comes, and it is the first that b's streams tell of.
    Steps(two, "22/direct-answered", {"0912345678": "0912000902"}).whole(
        "1001", subscriber, tenant="b")
    for stream in streams:
        pops = [m for m in stream.wait(3, 20 * SLOW) if str(m.get("type")).startswith("pop.")]
        assert pops and all(p["tenant"] == "b" for p in pops), pops
        assert all("0912000901"[1:] not in json.dumps(m) for m in stream.messages)
        stream.close()
    mine.close()


def test_redis_names_carry_the_tenant(two_phones, subscriber, redis_server):
    daemon, one, two = two_phones
    for tenant, fake, number in (("a", one, "0912000901"), ("b", two, "0912000902")):
        Steps(fake, "22/queue-ringall-second", {"0912345678": number}).rest()
        subscriber.wait_event("interaction.ended", tenant=tenant, timeout=20 * SLOW)
    client = redis.Redis(unix_socket_path=redis_server.path, decode_responses=True)
    for key in client.keys("*"):
        owner = key.split(":")[1]
        assert key.startswith(f"interactd:{owner}:") and owner in ("a", "b", "default"), key
        value = str(client.xrange(key) if client.type(key) == "stream" else
                    client.hgetall(key) if client.type(key) == "hash" else "")
        assert ("912000901" in value) <= (owner == "a"), key
        assert ("912000902" in value) <= (owner == "b"), key
    for channel, message in subscriber.snapshot():
        owner = channel.split(":")[1]
        other = {"a": "912000902", "b": "912000901"}[owner]
        assert message["tenant"] == owner and other not in json.dumps(message)


def test_tokens_and_tickets_end_at_the_tenant(two_phones):
    daemon, _, _ = two_phones
    a, b = daemon.api(tenant="a"), daemon.api(tenant="b")
    made = a.create("/v1/agents/1001/tokens", {})
    as_agent = daemon.api(key=made["token"])
    contact = b.contact("Bbb", "0912000902")
    assert as_agent.get(f"/v1/contacts/{contact['id']}").status == 404
    assert as_agent.find("phone:+886912000902") == []
    # Another tenant's token cannot be listed or revoked.
    assert b.ok("/v1/agents/1001/tokens")["items"] == []
    assert b.delete(f"/v1/agents/1001/tokens/{made['id']}").status == 404
    assert as_agent.get("/v1/agents/1001/pops").status == 200
    # A ticket of a opens a's stream, whatever the header says, and once.
    ticket = as_agent.create("/v1/agents/1001/tickets", None)["ticket"]
    nobody = daemon.api(key="")
    stream = EventStream(nobody, f"/v1/agents/1001/stream?ticket={ticket}",
                         {"Interactd-Tenant": "b"})
    stream.close()
    with pytest.raises(Refused) as refused:
        EventStream(nobody, f"/v1/agents/1001/stream?ticket={ticket}")
    assert refused.value.status == 401
    key = a.create("/v1/api-keys", {"name": "k", "role": "admin"})
    assert b.delete(f"/v1/api-keys/{key['id']}").status == 404
    assert [k["name"] for k in b.ok("/v1/api-keys")["items"]] == []


def test_calls_and_channels_end_at_the_tenant(two_phones, subscriber):
    daemon, one, _ = two_phones
    a, b = daemon.api(tenant="a"), daemon.api(tenant="b")
    call = Steps(one, "22/direct-answered", {"0912345678": "0912000901"}).answer("1001")
    wait_until(lambda: a.ok("/v1/calls")["items"], 20 * SLOW, "the call")
    assert b.ok("/v1/calls")["items"] == []
    call.rest()
    subscriber.wait_event("interaction.ended", tenant="a", timeout=20 * SLOW)
    assert a.get("/v1/channels/pbx-a/gaps").status == 200
    assert b.get("/v1/channels/pbx-a/gaps").status == 404
    assert b.post("/v1/channels/pbx-a/resync").status == 404
    assert b.ok("/v1/audit")["items"] == [] or all(
        i["object"]["id"] != "pbx-a" for i in b.ok("/v1/audit")["items"])
    assert b.ok("/v1/quarantine")["items"] == []


def test_an_idempotency_key_is_one_tenants(shared_daemon):
    a, b = (shared_daemon.api(tenant=next(shared_daemon.tenants)) for _ in range(2))
    body = {"name": "Same"}
    first = a.post("/v1/contacts", body, idempotency="one-key")
    again = a.post("/v1/contacts", body, idempotency="one-key")
    other = b.post("/v1/contacts", body, idempotency="one-key")
    assert first.json["id"] == again.json["id"] != other.json["id"]
    assert "Idempotency-Replayed" in again.headers
    assert "Idempotency-Replayed" not in other.headers


def test_cursors_lead_nowhere_in_another_tenant(shared_daemon):
    a, b = (shared_daemon.api(tenant=next(shared_daemon.tenants)) for _ in range(2))
    for n in range(3):
        contact = a.contact(f"Paging {n}", f"091200091{n}")
        for _ in range(2):
            a.create("/v1/interactions", {"contact": contact["id"], "kind": "note",
                                          "direction": "in", "summary": "aaa"})
    for path, query, cursor in (("/v1/contacts", {"q": "Paging"}, "cursor"),
                                (f"/v1/contacts/{contact['id']}/timeline", {}, "before"),
                                ("/v1/audit", {}, "before")):
        page = a.ok(path, limit=1, **query)
        assert page["next"]
        answer = b.get(path, limit=50, **query, **{cursor: page["next"]})
        if answer.status == 200:
            assert answer.json["items"] == [], (path, answer)
        else:
            assert answer.status == 404 and answer.is_problem, (path, answer)


def test_webhooks_hear_their_tenant_alone(two_tenants):
    a, b = two_tenants.api(tenant="a"), two_tenants.api(tenant="b")
    hook = a.ok("/v1/webhooks")["items"][0]["id"]
    a.contact("Told", "0912000903")
    delivery = wait_until(lambda: a.ok(f"/v1/webhooks/{hook}/deliveries")["items"], 20 * SLOW,
                          "a delivery")[0]
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/test"), ("GET", "/deliveries"),
                         ("GET", f"/deliveries/{delivery['id']}"),
                         ("POST", f"/deliveries/{delivery['id']}/replay")):
        answer = b.request(method, f"/v1/webhooks/{hook}{path}")
        assert answer.status == 404 and answer.is_problem, (method, path, answer)
    assert b.patch(f"/v1/webhooks/{hook}", {"enabled": False}).status == 404
    own = b.ok("/v1/webhooks")["items"][0]["id"]
    assert b.ok(f"/v1/webhooks/{own}/deliveries")["items"] == []
    answer = b.get(f"/v1/webhooks/{own}/deliveries/{delivery['id']}")
    assert answer.status == 404


def test_what_a_crm_said_is_remembered_for_its_tenant(make_daemon, subscriber):
    asked = []

    class Crm(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            body = json.dumps({"name": f"Answer {len(asked)}"}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Crm)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}/who?number={{e164}}"
    tenant = {"region": "TW", "lookup_url": url, "lookup_timeout_ms": "2s"}
    with FakeAsterisk() as one, FakeAsterisk() as two:
        daemon = make_daemon(**{
            "tenant a": tenant, "tenant b": tenant,
            "channel pbx-a": asterisk_channel(one, tenant="a"),
            "channel pbx-b": asterisk_channel(two, tenant="b")}).start()
        daemon.wait_channels()
        names = {}
        for name, fake in (("a", one), ("b", two)):
            Steps(fake, "22/direct-answered", {"0912345678": "0912000904"}).whole(
                "1001", subscriber, tenant=name)
            names[name] = wait_until(lambda: [
                c["name"] for c in daemon.api(tenant=name).find("phone:+886912000904")
                if c["name"]], 20 * SLOW, f"{name}'s name")
    server.shutdown()
    assert len(asked) == 2 and asked[0] == asked[1], asked
    assert names == {"a": ["Answer 1"], "b": ["Answer 2"]}
