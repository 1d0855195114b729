"""The customer's own page: links, languages, what is saved and told, and what it must not
show or do."""

import html
import re
from urllib.parse import urlencode

import pytest

PHONE, MAIL = "+8613800138000", "zhang@example.com"
SMS = {"kind": "phone", "value": PHONE}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def person(api):
    made = api.contact("示例客户", PHONE)
    return api.patch(f"/v1/contacts/{made['id']}", {"identities": [
        SMS, {"kind": "email", "value": MAIL}]}).json


class Visitor:
    """A browser without a key, on a daemon's TCP port."""

    def __init__(self, daemon, url, peer="192.0.2.1"):
        self.api, self.peer = daemon.api(key=""), peer
        self.path = url[url.index("/p/"):]

    def get(self, query="", **headers):
        return self.api.request("GET", self.path + query, headers={
            "X-Forwarded-For": self.peer, **headers})

    def post(self, query="", headers=None, **fields):
        return self.api.request("POST", self.path + query, urlencode(fields), {
            "X-Forwarded-For": self.peer, **FORM, **(headers or {})})

    def form(self, what="save", **changed):
        """The fields of one of the page's forms, some of them changed."""
        page = self.get("?lang=en").body.decode()
        for form in re.findall(r"<form.*?</form>", page, re.S):
            fields = {m[0]: html.unescape(m[1]) for m in re.findall(
                r'<input type="(?:hidden|time)" name="([^"]*)" value="([^"]*)"', form)}
            fields |= {m[0]: m[1] for m in re.findall(
                r'type="radio" name="([^"]*)" value="([^"]*)" checked', form)}
            for name, options in re.findall(r'<select name="([^"]*)".*?>(.*?)</select>', form,
                                            re.S):
                fields[name] = re.search(r'value="([^"]*)" selected', options)[1]
            if fields["do"] == what:
                return fields | changed
        raise AssertionError(f"no form {what} in {page}")

    def do(self, what="save", **changed):
        answer = self.post("?lang=en", **self.form(what, **changed))
        assert answer.status == 303, answer
        return answer


def link(api, person, **body):
    return api.create(f"/v1/contacts/{person['id']}/page", body)


@pytest.fixture
def visit(shared_daemon, api, person):
    return lambda **body: Visitor(shared_daemon, link(api, person, **body)["url"])


def wishes(api, person):
    return api.ok(f"/v1/contacts/{person['id']}/preferences")


# ---- links


def test_a_link_is_short_and_lasts_until_it_is_revoked(api, person, shared_daemon):
    made = link(api, person, identity=SMS)
    base = "https://my.example.com"
    assert made["url"].startswith(base + "/p/") and len(made["url"]) - len(base) < 60
    assert made["identity"] == SMS and made["expires_at"]
    visitor = Visitor(shared_daemon, made["url"])
    assert visitor.get().status == 200
    ended = api.delete(f"/v1/contacts/{person['id']}/page")
    assert ended.json == {"revoked": 1}
    gone = visitor.get()
    assert gone.status == 410 and b"138" not in gone.body
    assert visitor.post().status == 410
    actions = [a["action"] for a in api.ok("/v1/audit")["items"]]
    assert "page.created" in actions and "page.revoked" in actions


def test_a_link_expires(api, person, shared_daemon):
    made = link(api, person, ttl_s=60)
    visitor = Visitor(shared_daemon, made["url"])
    assert visitor.get().status == 200
    shared_daemon.database("update customer_page set expires_at = now() where id = %s "
                           "returning id", made["id"])
    assert visitor.get().status == 410
    path = f"/v1/contacts/{person['id']}/page"
    assert api.post(path, {"ttl_s": 1}).status == 422
    assert api.post(path, {"identity": {"kind": "phone", "value": "+886911111111"}}).status == 422


def test_what_is_no_link_shows_nothing_and_is_counted(api, person, shared_daemon):
    good = Visitor(shared_daemon, link(api, person)["url"], "192.0.2.77")
    for path in ("/p/x", "/p/" + "A" * 22, "/p/" + "a" * 300, "/p/%3Cscript%3E"):
        wrong = Visitor(shared_daemon, path, "192.0.2.77")
        answer = wrong.get()
        assert answer.status == 404 and b"script" not in answer.body, answer
    for _ in range(26):
        assert wrong.get().status == 404
    blocked = wrong.get()
    assert blocked.status == 429 and blocked.headers["Retry-After"]
    assert good.get().status == 429
    good.peer = "192.0.2.78"
    assert good.get().status == 200


# ---- the page


def test_headers_keep_the_token_to_itself(visit):
    answer = visit().get()
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
    assert "script" not in policy and "unsafe" not in policy
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "noindex" in answer.headers["X-Robots-Tag"]
    assert "<script" not in answer.body.decode() and "http" not in answer.body.decode()


def test_languages(visit):
    page = visit()
    for query, header, lang, word in (
            ("", "zh-TW,zh;q=0.9,en;q=0.8", "zh-CN", "免打扰时段"),
            ("", "de, en-GB;q=0.7, zh;q=0.3", "en", "Quiet hours"),
            ("?lang=zh-CN", "en", "zh-CN", "停止一切联系"),
            ("?lang=xx", "", "en", "Stop everything")):
        answer = page.get(query, **{"Accept-Language": header})
        assert f'<html lang="{lang}">' in answer.body.decode()
        assert word in answer.body.decode() and answer.headers["Content-Language"] == lang


def test_what_is_held_is_shortened_and_escaped(api, shared_daemon, person):
    api.patch(f"/v1/contacts/{person['id']}", {"name": "<script>alert(1)</script>"})
    api.create("/v1/interactions", {"contact": person["id"], "kind": "letter",
                                    "direction": "in", "summary": "<b>secret</b>"})
    text = Visitor(shared_daemon, link(api, person, identity=SMS)["url"]).get().body.decode()
    assert "+86 138****8000" in text and "z***@example.com" in text
    assert "&lt;**" in text and "<script" not in text and "secret" not in text
    assert PHONE not in text and "0013800" not in text and MAIL not in text
    assert re.search(r"Letter</span><span>1 ", text)


def test_get_changes_nothing(api, person, visit):
    page, before = visit(), wishes(api, person)
    fields = urlencode(page.form("stop"))
    for query in ("?do=stop", f"?{fields}", "?done=stopped"):
        assert page.get(query).status == 200
    assert wishes(api, person) == before


# ---- what is saved


def test_saving_is_kept_with_its_evidence_and_told(api, person, visit, tenant, subscriber):
    page = visit(identity=SMS)
    done = page.do(**{"sms.marketing": "yes", "email.survey": "no", "preferred": "sms",
                      "q0d": "mon-fri", "q0f": "21:00", "q0t": "08:00"})
    assert done.headers["Location"] == "?done=saved&lang=en"
    now = wishes(api, person)
    assert now["allowed"] == [{"kind": "sms", "purpose": "marketing", "identity": SMS}]
    assert now["denied"] == [{"kind": "email", "purpose": "survey"}]
    assert now["preferred"] == ["sms"] and now["source"] == "page"
    assert now["quiet_hours"] == [{"days": "mon-fri", "from": "21:00", "to": "08:00"}]
    entry = api.ok(f"/v1/contacts/{person['id']}/consents")["items"][0]
    assert entry["source"] == "page" and entry["evidence"]["form_version"] == "page-1"
    assert entry["evidence"]["language"] == "en" and entry["evidence"]["page"]
    event = subscriber.wait_event("consent.recorded", tenant=tenant)
    assert event["object"]["contact"] == person["id"]
    # the same again says nothing new; what was said elsewhere meanwhile is not taken back
    old = page.form()
    count = len(api.ok(f"/v1/contacts/{person['id']}/consents")["items"])
    api.put(f"/v1/contacts/{person['id']}/preferences", {
        "denied": [{"kind": "sms", "purpose": "marketing"}]})
    assert page.post(**old).status == 303
    assert {"kind": "sms", "purpose": "marketing"} in wishes(api, person)["denied"]
    assert len(api.ok(f"/v1/contacts/{person['id']}/consents")["items"]) == count + 1
    # a yes on the page ends that no
    page.do(**{"sms.marketing": "yes"})
    assert wishes(api, person)["denied"] == [{"kind": "email", "purpose": "survey"}]


def test_everything_stops_and_may_begin_again(api, person, visit):
    page = visit()
    page.do("stop")
    assert wishes(api, person)["do_not_contact"] is True
    assert "we do not contact you" in page.get("?lang=en").body.decode()
    page.do("resume")
    assert wishes(api, person)["do_not_contact"] is False


def test_erasure_is_asked_for_and_nothing_erased(api, person, visit, tenant, subscriber):
    page = visit()
    assert page.post(**page.form("erase")).status == 422
    page.do("erase", agree="yes")
    event = subscriber.wait_event("contact.erasure_requested", tenant=tenant)
    assert event["object"]["id"] == person["id"]
    asked = api.ok("/v1/erasure-requests")["items"]
    assert [a["contact"] for a in asked] == [person["id"]]
    timeline = api.ok(f"/v1/contacts/{person['id']}/timeline")["items"]
    assert [i["id"] for i in timeline] == [asked[0]["interaction"]]
    assert "You asked for erasure" in page.get("?lang=en").body.decode()
    assert api.get(f"/v1/contacts/{person['id']}").status == 200
    assert api.delete(f"/v1/contacts/{person['id']}").status in (200, 204)
    assert api.ok("/v1/erasure-requests")["items"] == []
    assert page.get().status in (404, 410)


def test_forms_that_are_not_ours_do_nothing(api, person, visit):
    page, other = visit(), visit()
    good, before = page.form("stop"), wishes(api, person)
    for answer in (page.post(**{**good, "form": ""}),
                   page.post(**{**good, "form": other.form("stop")["form"]}),
                   page.post(**{**good, "do": "erase all"}),
                   page.post(headers={"Sec-Fetch-Site": "cross-site"}, **good),
                   page.post(headers={"Content-Type": "application/json"}, **good),
                   page.post(**good, more="x" * 20000)):
        assert answer.status == 400, answer
    assert page.post(**page.form(q0d="mon", q0f="", q0t="08:00")).status == 422
    assert page.post(**page.form(q0d="<i>", q0f="07:00", q0t="08:00")).status == 422
    assert wishes(api, person) == before


def test_a_link_follows_its_address_through_merges(api, person, shared_daemon):
    number = "+8613900139000"
    second = api.contact("另一个", number)
    own = {"kind": "phone", "value": number}
    api.create(f"/v1/contacts/{person['id']}/consents", {
        "decision": "denied", "kind": "email", "purpose": "marketing"})
    merged = api.post(f"/v1/contacts/{person['id']}/merge", {"from": second["id"]})
    assert merged.status == 200, merged
    page = Visitor(shared_daemon, link(api, person, identity=own)["url"])
    text = page.get("?lang=en").body.decode()
    assert "+86 138****8000" in text and "+86 139****9000" in text
    page.do(**{"sms.marketing": "yes", "phone.survey": "no"})
    api.post(f"/v1/contacts/{person['id']}/unmerge", {"contact": second["id"]})
    text = page.get("?lang=en").body.decode()
    assert "138****8000" not in text and "+86 139****9000" in text
    sms = {"kind": "sms", "purpose": "marketing", "identity": own}
    assert sms in wishes(api, second)["allowed"]
    assert sms not in wishes(api, person)["allowed"]
    for one in (person, second):
        assert {"kind": "phone", "purpose": "survey"} in wishes(api, one)["denied"]


def test_a_link_is_of_its_tenant(person, api, shared_daemon):
    there = shared_daemon.api(tenant=next(shared_daemon.tenants))
    other = there.contact("B", PHONE)
    Visitor(shared_daemon, link(api, person)["url"]).do("stop")
    assert there.ok(f"/v1/contacts/{other['id']}/preferences")["do_not_contact"] is False
    assert there.post(f"/v1/contacts/{person['id']}/page", {}).status == 404
