"""The authorisation matrix, whole: every route x every caller x whose object it is about.

What may be is said in one place, the table of routes (daemon/api/api.c), which
openapi.json repeats (`x-interactd-roles`, `x-interactd-sight`; tests/unit/test_openapi.c
compares them). From that document come all combinations; a request for each route comes
from test_api.ROUTES. A new route is tried as soon as it is described; one without such a
request, or about objects that nobody here knows how to make, fails."""

import json
import re
from pathlib import Path

import pytest
from test_api import NOBODY, ROLES, ROUTES

DOCUMENT = json.loads((Path(__file__).resolve().parents[2] / "daemon/api/openapi.json")
                      .read_text(encoding="utf-8"))
OPERATIONS = {f"{method.upper()} {path}": operation
              for path, item in DOCUMENT["paths"].items()
              for method, operation in item.items()
              if method in ("get", "put", "post", "patch", "delete")}
LIMIT = {"contact_roles": ["supplier"], "attributes": ["grade"]}


def pattern(path):
    return re.sub(r"\{[^}]*\}", "[^/]+", path) + "$"


def sample(operation):
    """(path, body, roles, status when they may) of test_api's request for it, or None."""
    method, path = operation.split()
    for how, where, body, roles, status in ROUTES:
        if how == method and re.match(pattern(path), where.partition("?")[0]):
            # a path that another route names word for word is that one's
            exact = f"{how} {where.partition('?')[0]}"
            if exact == operation or exact not in OPERATIONS:
                return where, body, roles, status
    return None


# ---- the world: two tenants, in one of them what limited callers see and what not


def grade(mark):
    return {"grade": "A", "margin": f"margin-{mark}"}


class Tenant:
    def __init__(self, daemon, mark):
        self.daemon, self.name, self.mark = daemon, next(daemon.tenants), mark
        self.api = daemon.api(tenant=self.name)
        self.count = 0
        for agent in ("1001", f"agent-{mark}"):
            self.api.create("/v1/agents", {"id": agent})
        self.api.create("/v1/agents", {"id": "1007", **LIMIT})
        # so that lists have something to leave out
        for seen in (True, False):
            self.interaction(seen)

    # How an object is made whose id a path may have; seen: by limited callers.

    def contact(self, seen=True):
        self.count += 1
        what = "seen" if seen else "unseen"
        number = f"+8869{'0' if seen else '1'}{ord(self.mark[0]) % 10}{self.count:06d}"
        return self.api.contact(f"A {what}-{self.mark} {self.count}", number,
                                roles=["supplier" if seen else "customer"],
                                attributes=grade(self.mark))["id"]

    def interaction(self, seen=True):
        return self.api.create("/v1/interactions", {
            "contact": self.contact(seen), "kind": "note", "direction": "in",
            "summary": f"note-{'seen' if seen else 'unseen'}-{self.mark}"})["id"]

    def page(self, seen=True):
        url = self.api.create(f"/v1/contacts/{self.contact(seen)}/page", {})["url"]
        return url.rpartition("/")[2]

    def key(self, seen=True):
        return self.api.create("/v1/api-keys", {"name": f"k-{self.mark}",
                                                "role": "readonly"})["id"]

    def token(self, seen=True):
        return self.api.create("/v1/agents/1001/tokens", {})["id"]

    def webhook(self, seen=True):
        for old in self.api.ok("/v1/webhooks")["items"]:
            self.api.delete(f"/v1/webhooks/{old['id']}")
        return self.api.create("/v1/webhooks", {
            "url": f"https://{self.mark}.invalid/", "events": ["campaign.*"]})["id"]

    def import_run(self, seen=True):
        return self.api.request("POST", "/v1/contacts/import", "{}\n", {
            "Content-Type": "application/x-ndjson"}).json["id"]

    def suggestion(self, seen=True):
        """Somebody claims an address that another one has."""
        self.count += 1
        mail = {"kind": "email", "value": f"{self.mark}{self.count}@example.com"}
        for more in ({}, {"trust": "claimed"}):
            last = self.api.create("/v1/contacts", {
                "name": f"A seen-{self.mark}", "shared": True, "roles": ["supplier"],
                "identities": [{**mail, **more}]})["id"]
        return self.api.ok("/v1/merge-suggestions", contact=last)["items"][0]["id"]

    def other(self, collection):
        """Of a resource that is made by POSTing to its collection; None if it is not."""
        request = sample(f"POST {collection}")
        if not request or f"POST {collection}" not in OPERATIONS:
            return None
        self.count += 1
        body = json.loads(json.dumps(request[1]).replace('"A"', f'"A {self.count}"'))
        answer = self.api.post(collection, body)
        return answer.json["id"] if answer.status == 201 else None


# Kinds of objects by the beginning of a path; other resources are made by POST.
KINDS = {"/v1/contacts/{id}": "contact", "/v1/interactions/{id}": "interaction",
         "/v1/agents/{id}": "agent", "/v1/api-keys/{id}": "key",
         "/v1/contacts/import/{id}": "import_run",
         "/v1/merge-suggestions/{id}": "suggestion",
         "/v1/webhooks/{id}": "webhook", "/v1/channels/{name}": "channel",
         "/p/{token}": "page"}


def kind_of(path):
    """Of the first id in a path: None if it has none."""
    if "{" not in path:
        return None
    begin = path[:path.index("}") + 1]
    return KINDS.get(begin, begin[:begin.index("{") - 1])


class World:
    def __init__(self, daemon):
        self.daemon = daemon
        self.here, self.there = Tenant(daemon, "here"), Tenant(daemon, "there")
        self.callers = {"nobody": None, "wrong key": "ik_wrong"}
        for role in ROLES:
            self.callers[role] = self.make_key(role)
            if role != "admin":
                self.callers[f"{role}, limited"] = self.make_key(role, **LIMIT)
        for agent in ("1001", "1007"):
            self.callers[f"agent's token {agent}"] = self.here.api.create(
                f"/v1/agents/{agent}/tokens", {})["token"]

    def make_key(self, role, **more):
        return self.here.api.create("/v1/api-keys", {
            "name": role, "role": role, **more})["key"]

    def make(self, kind, whose):
        """The id of an object: whose is "seen", "unseen" (both ours), "theirs" or "none"."""
        if whose == "none":
            return NOBODY
        tenant = self.there if whose == "theirs" else self.here
        if kind == "channel":
            return "none"
        if kind == "agent":
            return f"agent-{tenant.mark}"
        if kind.startswith("/"):
            return tenant.other(kind)
        return getattr(tenant, kind)(whose != "unseen")


@pytest.fixture(scope="module")
def world(shared_daemon):
    return World(shared_daemon)


class Caller:
    def __init__(self, name):
        self.name = name
        self.known = name not in ("nobody", "wrong key")
        self.agent = name.split()[-1] if "token" in name else None
        self.role = "agent" if self.agent else name.partition(",")[0]
        self.limited = "limited" in name or self.agent == "1007"


# ---- what the table says


GONE, REFUSED, FREE = {404}, {404, 422}, None


def expected(caller, name, whose, mentions):
    """The statuses that may come; FREE: none of those that refuse the caller or object.
    mentions: the object stands in the body, not in the path."""
    operation = OPERATIONS[name]
    roles, sight = operation["x-interactd-roles"], operation.get("x-interactd-sight")
    kind = kind_of(name.split()[1])
    if not roles:
        return FREE
    if not caller.known:
        return {401}
    if caller.role not in roles:
        return {403}
    if caller.limited and (not sight or sight == "self" and not caller.agent):
        return {403}
    if kind == "agent" and caller.agent and whose != "own":
        return {403}
    names_agent = (sample(name)[1] or {}).get("agent")
    if caller.agent and names_agent and names_agent != caller.agent:
        return {403}
    if whose in ("theirs", "none") and kind not in ("agent", "channel"):
        return REFUSED if mentions else GONE
    if whose == "unseen" and caller.limited:
        return REFUSED if mentions else GONE
    return FREE


def requests_of(name):
    """Whose objects a route is tried with, and whether its body names them."""
    path = name.split()[1]
    kind = kind_of(path)
    body = sample(name)[1] if sample(name) else None
    if kind in ("contact", "interaction"):
        return ["seen", "unseen", "theirs", "none"], False
    if kind == "agent":
        return ["seen", "theirs", "own"], False
    if kind == "channel":
        return ["seen"], False
    if kind:
        return ["seen", "theirs", "none"], False
    if NOBODY in json.dumps(body):
        return ["seen", "unseen", "theirs", "none"], True
    return [""], False


def fill(world, name, where, whose, caller):
    """The request's path with real ids."""
    template = name.split()[1]
    kind = kind_of(template)
    names = re.findall(r"\{([^}]*)\}", template)
    if not names:
        return where
    first = caller.agent if whose == "own" and caller.agent else world.make(kind, whose)
    ids = [first]
    for more in names[1:]:
        tenant = world.there if whose == "theirs" else world.here
        ids.append(NOBODY if whose == "none" or not hasattr(tenant, more)
                   else getattr(tenant, more)())
    if len(ids) > 1 and kind == "agent":
        ids[0] = "1001"  # whose tokens those are
    query = where.partition("?")[2]
    path = re.sub(r"\{[^}]*\}", lambda _: ids.pop(0), template)
    return f"{path}?{query}" if query else path


@pytest.mark.parametrize("name", OPERATIONS)
def test_matrix(world, name):
    request = sample(name)
    if not OPERATIONS[name]["x-interactd-roles"]:
        assert world.daemon.api(key="").request(*name.split()).status not in (401, 403)
        return
    assert request, f"{name}: no request in test_api.ROUTES"
    where, body, _, _ = request
    method = name.split()[0]
    whose_all, mentions = requests_of(name)
    for whose in whose_all:
        for which, key in world.callers.items():
            caller = Caller(which)
            path = fill(world, name, where, whose, caller)
            sent = body
            if NOBODY in json.dumps(body):
                sent = json.loads(json.dumps(body).replace(
                    NOBODY, world.make("contact", whose if mentions else "seen")))
            answer = world.daemon.api(key=key or "").request(method, path, sent)
            case = (name, which, whose or "no object", path, answer)
            want = expected(caller, name, whose, mentions)
            check_status(name, answer, want, whose, request, case)
            check_leaks(answer, caller, case)


def check_status(name, answer, want, whose, request, case):
    assert answer.status < 500, case
    if want is not None:
        # one with two ids, of which the second is not there
        two = name.count("{") > 1 and 404 in want
        assert answer.status in (want | {404} if two else want), (sorted(want), case)
        return
    assert answer.status not in (401, 403), case
    kind = kind_of(name.split()[1])
    if whose and kind != "channel" and not (kind == "agent" and whose == "theirs") \
            and name.count("{") == 1:
        assert answer.status != 404, case
    elif not whose and request[3]:
        assert answer.status in (request[3], 409, 422), case


def check_leaks(answer, caller, case):
    """Nothing of another tenant, nor of what the caller may not see."""
    text = answer.body.decode("utf-8", "replace")
    hidden = ["seen-there", "margin-there", "note-seen-there", "note-unseen-there"]
    if caller.limited or not caller.known:
        hidden += ["unseen-here", "margin-here", "note-unseen-here"]
    for word in hidden:
        assert word not in text, (word, case)


def test_every_route_has_its_row_and_both_tables_agree():
    """test_api.ROUTES says by itself who may: what is described is no accident."""
    for name, operation in OPERATIONS.items():
        if operation["x-interactd-roles"]:
            request = sample(name)
            assert request, f"{name}: no request in test_api.ROUTES"
            assert request[2] == set(operation["x-interactd-roles"]), name


def test_every_kind_of_object_can_be_made(world):
    for name in OPERATIONS:
        kind = kind_of(name.split()[1])
        if kind:
            assert world.make(kind, "seen") and world.make(kind, "theirs"), \
                f"{name}: say in KINDS and class Tenant how an object of it is made"


def test_what_is_left_out_is_there_for_others(world):
    """The leaks above are looked for in what would show them."""
    reader = world.daemon.api(key=world.callers["readonly"])
    limited = world.daemon.api(key=world.callers["readonly, limited"])
    whole = json.dumps(reader.ok("/v1/contacts", q="A", limit=200))
    assert "unseen-here" in whole and "margin-here" in whole
    seen = json.dumps(limited.ok("/v1/contacts", q="A", limit=200))
    assert "A seen-here" in seen and "unseen-here" not in seen
    assert '"grade"' in seen and "margin" not in seen
    for kind, there in (("seen", 1), ("unseen", 0)):
        contact = reader.ok(f"/v1/contacts/{world.here.contact(kind == 'seen')}")
        number = "phone:" + contact["identities"][0]["value"]
        assert len(reader.find(number)) == 1 and len(limited.find(number)) == there


def test_what_is_out_of_sight_is_not_counted(world):
    """Neither whom a limited caller does not see, nor by what they do not."""
    reader = world.daemon.api(key=world.callers["readonly"])
    limited = world.daemon.api(key=world.callers["readonly, limited"])
    world.here.contact(False)

    def count(api, filter):
        return api.post("/v1/segments/count", {"filter": filter})

    seen = {"role": "supplier"}
    assert count(limited, {}).json == count(limited, seen).json == count(reader, seen).json
    assert count(reader, {}).json["count"] > count(limited, {}).json["count"] > 0
    asked = {"attribute": {"name": "grade", "equals": "A"}}
    assert count(limited, asked).json["count"] > 0
    for filter in ({"attribute": {"name": "margin", "equals": "margin-here"}},
                   {"not": {"role": "customer"}}):
        assert count(reader, filter).status == 200
        answer = count(limited, filter)
        assert answer.status == 422 and "may not see" in answer.json["detail"], answer
        kept = world.here.api.create("/v1/segments", {
            "name": f"kept {list(filter)}", "filter": filter})["id"]
        for what in ("count", "preview"):
            assert reader.get(f"/v1/segments/{kept}/{what}").status == 200
            assert limited.get(f"/v1/segments/{kept}/{what}").status == 422


def test_an_organisation_out_of_sight_is_not_found_by(world):
    api = world.here.api
    limited = world.daemon.api(key=world.callers["readonly, limited"])
    firms = [world.here.contact(seen) for seen in (True, False)]
    for firm in firms:
        api.patch(f"/v1/contacts/{world.here.contact()}", {"organisation": firm})
    for firm, n in zip(firms, (1, 0)):
        for caller, there in ((api, 1), (limited, n)):
            assert caller.post("/v1/segments/count", {"filter": {"organisation": firm}}) \
                .json == {"count": there}
    exists = {"filter": {"all": [{"role": "supplier"}, {"organisation": {"exists": True}}]}}
    there = api.post("/v1/segments/count", exists).json["count"]
    assert limited.post("/v1/segments/count", exists).json["count"] == there - 1


def test_an_export_is_of_what_is_in_sight(world):
    api, name = world.here.api, "integration, limited"
    limited = world.daemon.api(key=world.callers[name])
    contact, other = world.here.contact(), world.here.contact(False)
    api.patch(f"/v1/contacts/{contact}", {"roles": ["supplier", "customer"],
                                          "organisation": other})
    api.post(f"/v1/contacts/{contact}/merge", {"from": other})
    api.post(f"/v1/contacts/{contact}/unmerge", {"contact": other})
    whole = api.ok(f"/v1/contacts/{contact}/export")
    seen = limited.ok(f"/v1/contacts/{contact}/export")
    assert whole["audit"] and "audit" not in seen and seen["complete"] is True
    assert len(whole["merges"]) == 1 and seen["merges"] == []
    for object in (seen["contact"], seen["members"][0]):
        assert object["roles"] == ["supplier"] and object["organisation"] is None
        assert object["attributes"] == {"grade": "A"}
    assert other not in json.dumps(seen)
    assert limited.get(f"/v1/contacts/{other}/export").status == 404
    lines = limited.get("/v1/contacts/export").body.decode().splitlines()
    assert contact in {json.loads(line)["id"] for line in lines}
    assert all(json.loads(line)["roles"] == ["supplier"] for line in lines)
    head = limited.get("/v1/contacts/export", format="csv").body.decode("utf-8-sig") \
        .splitlines()[0]
    assert "attributes.grade" in head and "margin" not in head


def test_a_key_is_for_its_own_tenant_only(world):
    contact = world.there.contact()
    for which, key in world.callers.items():
        if Caller(which).known:
            answer = world.daemon.api(key=key).request(
                "GET", f"/v1/contacts/{contact}", headers={
                    "Interactd-Tenant": world.there.name})
            assert answer.status == 404, (which, answer)
