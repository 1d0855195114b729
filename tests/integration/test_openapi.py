"""What the daemon answers is what openapi.json says, member by member."""

import copy

import jsonschema
import pytest
from support.steps import Steps

PHONE = "+886912345678"


def close(schema):
    """Members that are not described are errors, unless that is what it says."""
    if isinstance(schema, list):
        return [close(s) for s in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {k: close(v) for k, v in schema.items()}
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        closed.setdefault("additionalProperties", False)
    return closed


@pytest.fixture
def agrees(pbx):
    """agrees(method, path, route, body): its answer's JSON, compared."""
    api = pbx[0].api()
    document = api.ok("/v1/openapi.json")
    components = {"components": close(copy.deepcopy(document["components"]))}

    def ask(method, path, route=None, body=None):
        answer = api.request(method, path, body)
        operation = document["paths"][route or path.partition("?")[0]][method.lower()]
        described = operation["responses"].get(str(answer.status))
        assert described, (method, path, answer)
        if "$ref" in described:
            described = document["components"]["responses"][described["$ref"].split("/")[-1]]
        if answer.status == 204:
            return None
        kind = answer.headers["Content-Type"].partition(";")[0]
        schema = {**close(described["content"][kind]["schema"]), **components}
        jsonschema.validate(answer.json, schema, cls=jsonschema.Draft202012Validator)
        return answer.json
    return ask


def test_answers_are_as_described(pbx, agrees, subscriber, eventually):
    daemon, fake = pbx
    contact = agrees("POST", "/v1/contacts", body={
        "name": "示例客户", "roles": ["customer"], "vip": True, "attributes": {"a": [1]},
        "identities": [{"kind": "phone", "value": PHONE}]})
    mine = f"/v1/contacts/{contact['id']}"
    agrees("PATCH", mine, "/v1/contacts/{id}", {"language": "zh-TW", "identities": [
        {"kind": "email", "value": "a@example.com"}]})
    agrees("POST", "/v1/agents", body={"id": "1001", "interfaces": ["PJSIP/1001"]})
    agrees("PATCH", "/v1/agents/1001", "/v1/agents/{id}", {"name": "Li", "capacity": 2})
    agrees("GET", "/v1/agents/1001/state", "/v1/agents/{id}/state")
    agrees("PUT", "/v1/agents/1001/state", "/v1/agents/{id}/state",
           {"state": "paused", "reason": "lunch"})
    agrees("PUT", "/v1/agents/1001/state", "/v1/agents/{id}/state", {"state": "asleep"})
    agrees("PUT", "/v1/agents/1001/state", "/v1/agents/{id}/state", {"state": "available"})
    token = agrees("POST", "/v1/agents/1001/tokens", "/v1/agents/{id}/tokens", {"ttl_s": 60})
    agrees("GET", "/v1/agents/1001/tokens", "/v1/agents/{id}/tokens")
    agrees("POST", "/v1/agents/1001/tickets", "/v1/agents/{id}/tickets")
    key = agrees("POST", "/v1/api-keys", body={"name": "crm", "role": "readonly"})
    note = agrees("POST", "/v1/interactions", body={
        "contact": contact["id"], "kind": "note", "direction": "in", "summary": "x"})

    steps = Steps(fake, "22/queue-ringall-second").to(
        "DialBegin").to("DialBegin").to("DialBegin")
    for agent in ("1001", "1002", "1003"):
        subscriber.wait_pop(agent=agent, type="pop.open")
    assert agrees("GET", "/v1/calls")["items"]
    assert agrees("GET", "/v1/agents/1002/pops", "/v1/agents/{id}/pops")["items"]
    steps.answer("1002").rest()
    subscriber.wait_pop(agent="1002", type="pop.close", reason="completed")
    call = subscriber.wait_event("interaction.ended")["object"]["id"]

    for path in ("/readyz", "/v1/status", "/v1/contacts?q=%E7%A4%BA",
                 "/v1/contacts?identity=phone:%2B886912345678", "/v1/agents",
                 "/v1/api-keys", "/v1/audit", "/v1/quarantine", "/v1/calls"):
        agrees("GET", path)
    agrees("GET", mine, "/v1/contacts/{id}")
    assert len(agrees("GET", mine + "/timeline", "/v1/contacts/{id}/timeline")["items"]) == 2
    for one in (note["id"], call):
        agrees("GET", f"/v1/interactions/{one}", "/v1/interactions/{id}")
    agrees("GET", "/v1/agents/1002", "/v1/agents/{id}")
    agrees("POST", "/v1/quarantine/retry")
    agrees("POST", "/v1/calls", body={"agent": "1001", "to": PHONE})
    agrees("POST", "/v1/channels/pbx-main/resync?wait=true", "/v1/channels/{name}/resync")
    fake.drop_clients()
    eventually(lambda: agrees("GET", "/v1/channels/pbx-main/gaps",
                              "/v1/channels/{name}/gaps")["items"])
    agrees("GET", "/v1/privacy/retention")
    agrees("GET", mine + "/privacy", "/v1/contacts/{id}/privacy")
    agrees("DELETE", mine + "?do_not_contact=true", "/v1/contacts/{id}")
    agrees("GET", mine + "/privacy", "/v1/contacts/{id}/privacy")
    agrees("GET", "/v1/audit?action=contact.*&from=2026-01-01T00:00:00Z")
    agrees("DELETE", f"/v1/agents/1001/tokens/{token['id']}",
           "/v1/agents/{id}/tokens/{token}")
    agrees("DELETE", f"/v1/api-keys/{key['id']}", "/v1/api-keys/{id}")


def test_refusals_are_as_described(agrees):
    nobody = "01890000-0000-7000-8000-000000000000"
    for method, path, route, body in (
            ("GET", "/v1/contacts", None, None),
            ("POST", "/v1/contacts", None, {"nmae": "x"}),
            ("GET", f"/v1/contacts/{nobody}", "/v1/contacts/{id}", None),
            ("GET", f"/v1/contacts/{nobody}/timeline?limit=0", "/v1/contacts/{id}/timeline",
             None),
            ("POST", "/v1/interactions", None, {"kind": "note", "contact": nobody,
                                                "direction": "in"}),
            ("GET", "/v1/agents/no/stream", "/v1/agents/{id}/stream", None),
            ("GET", "/v1/pops/stream", None, None),
            ("GET", "/v1/pops/stream?agent=a%20b", "/v1/pops/stream", None),
            ("POST", "/v1/calls", None, {"agent": "1001", "to": "119"}),
            ("POST", "/v1/calls", None, {"agent": "nobody", "to": PHONE}),
            ("POST", "/v1/calls", None, {"agent": "1001"}),
            ("POST", "/v1/channels/nope/resync", "/v1/channels/{name}/resync", None)):
        problem = agrees(method, path, route, body)
        assert problem["status"] >= 400 and problem["detail"], (path, problem)


def test_every_pop_is_as_described(pbx, subscriber):
    daemon, fake = pbx
    document = daemon.api().ok("/v1/openapi.json")
    schema = {**close(document["components"]["schemas"]["Pop"]),
              "components": close(document["components"])}
    Steps(fake, "22/direct-answered").whole("1001", subscriber)
    pops = subscriber.all_pops()
    assert len(pops) >= 3
    for pop in pops:
        told = {k: v for k, v in pop.items() if k != "_bytes"}  # the ear's own note
        jsonschema.validate(told, schema, cls=jsonschema.Draft202012Validator)


def test_webhooks_are_as_described(pbx, agrees, eventually):
    daemon, _ = pbx
    hook = agrees("POST", "/v1/webhooks", body={"url": "https://a.invalid/", "events": ["*"]})
    one, described = f"/v1/webhooks/{hook['id']}", "/v1/webhooks/{id}"
    daemon.api().contact("A")
    eventually(lambda: daemon.api().ok(f"{one}/deliveries")["items"][0]["error"], 20)
    delivery = agrees("GET", f"{one}/deliveries?state=waiting",
                      described + "/deliveries")["items"][0]
    agrees("GET", f"{one}/deliveries/{delivery['id']}", described + "/deliveries/{delivery}")
    agrees("POST", f"{one}/deliveries/{delivery['id']}/replay",
           described + "/deliveries/{delivery}/replay")
    agrees("POST", f"{one}/replay", described + "/replay", {"from": "2026-01-01T00:00:00Z"})
    agrees("POST", f"{one}/test", described + "/test")
    agrees("PATCH", one, described, {"secret": None, "description": "d"})
    agrees("GET", one, described)
    agrees("GET", "/v1/webhooks")
    agrees("GET", "/v1/webhooks/dead-letters")
    for method, path, route, body in (
            ("POST", "/v1/webhooks", None, {"url": "http://a.example/"}),
            ("PATCH", one, described, {"state": "ok"}),
            ("GET", f"{one}/deliveries?state=lost", described + "/deliveries", None),
            ("GET", f"{one}/deliveries/{hook['id']}", described + "/deliveries/{delivery}",
             None)):
        assert agrees(method, path, route, body)["status"] >= 400
    agrees("DELETE", one, described)
    agrees("DELETE", one, described)


def test_wishes_are_as_described(pbx, agrees):
    contact = pbx[0].api().contact("A", PHONE)
    mine, described = f"/v1/contacts/{contact['id']}", "/v1/contacts/{id}"
    sms = {"kind": "sms", "purpose": "marketing", "identity": {"kind": "phone",
                                                               "value": PHONE}}
    agrees("GET", f"{mine}/preferences", f"{described}/preferences")
    for body in ({"preferred": ["sms"], "denied": [{"kind": "email", "purpose": "survey"}],
                  "allowed": [sms], "do_not_contact": True, "quiet_hours": [
                      {"days": "sat,sun", "from": "00:00", "to": "24:00"}]},
                 {"preferred": 7}):
        agrees("PUT", f"{mine}/preferences", f"{described}/preferences", body)
    for body in ({"purpose": "service"}, {"purpose": "marketing", "kind": "sms"},
                 {"purpose": "transactional", "requested": True}, {"purpose": "x"}):
        agrees("POST", f"{mine}/decide", f"{described}/decide", body)
    made = agrees("POST", f"{mine}/consents", f"{described}/consents", {
        "decision": "allowed", "double_opt_in": True, "form_version": "3", **sms})
    confirm = f"{described}/consents/{{entry}}/confirm"
    agrees("POST", f"{mine}/consents/{made['id']}/confirm", confirm, {"token": "x"})
    # denied before it was asked for: that does not stand against it
    agrees("POST", f"{mine}/consents/{made['id']}/confirm", confirm,
           {"token": made["token"]})
    agrees("POST", f"{mine}/consents/{made['id']}/confirm", confirm,
           {"token": made["token"]})
    agrees("POST", f"{mine}/consents", f"{described}/consents", {"decision": "maybe"})
    assert len(agrees("GET", f"{mine}/consents", f"{described}/consents")["items"]) == 5
    agrees("POST", "/v1/suppressions", body={"kind": "phone", "value": PHONE})
    agrees("POST", "/v1/suppressions", body={"kind": "phone", "value": PHONE})
    agrees("POST", "/v1/suppressions", body={"kind": "phone"})
    answer = pbx[0].api().request("POST", "/v1/suppressions/import", b"0912345679\nx",
                                  {"Content-Type": "text/csv"}, {"list": "l", "mode": "add"})
    assert answer.status == 200, answer
    assert agrees("GET", "/v1/suppressions")["items"]
    assert agrees("GET", "/v1/suppressions/lists")["items"]
    agrees("DELETE", "/v1/suppressions?list=l")
    agrees("DELETE", "/v1/suppressions?list=l")
