"""The example page and interactd.js in a real browser."""

import pytest
from servers import wait_until
from support.browser import Browser
from support.daemon import SLOW
from support.dialled import Call
from support.steps import Steps

pytestmark = pytest.mark.browser
CALLER = "0912345678"


@pytest.fixture(scope="module")
def chromium():
    browser = Browser()
    yield browser
    browser.close()


class Page:
    """The example page, signed in."""

    def __init__(self, chromium, daemon, query=""):
        self.chromium, self.daemon = chromium, daemon
        self.token = daemon.ctl("agent", "token", "1001").stdout.strip()
        chromium.new_page()
        self.run("await page.goto(args.url)", url=f"http://127.0.0.1:{daemon.port}/example/{query}")

    def run(self, code, **args):
        return self.chromium.run(code, **args)

    def sign_in(self, token=None):
        self.run("""await page.fill("[name=agent]", "1001");
            await page.fill("[name=token]", args.token);
            await page.click("#sign-in button")""", token=token or self.token)
        return self

    def wait_connection(self, which):
        self.run('await page.waitForSelector(`#connection[data-is="${args.is}"]`)', **{"is": which})
        return self

    def wait_pop(self, state, who):
        """Until one call is shown, as it is now."""
        self.run("""await page.waitForFunction((want) => {
            const shown = [...document.querySelectorAll("#pops article")];
            return shown.length === 1 && shown[0].dataset.state === want.state
                && shown[0].querySelector(".who").textContent === want.who;
        }, args)""", state=state, who=who)

    def wait_idle(self):
        self.run("""await page.waitForSelector("#idle:not([hidden])");
            await page.waitForFunction(() => !document.querySelector("#pops article"))""")

    def text(self, selector):
        return self.run("return await page.textContent(args.selector)", selector=selector)

    def complaints(self):
        """What the browser found wrong, but for the network that tests cut."""
        return [c for c in self.run("return page.complaints")
                if "ERR_CONNECTION" not in c and "WebSocket connection to" not in c
                and "Failed to load resource" not in c]


@pytest.fixture
def phones(make_daemon, asterisk):
    from support.daemon import asterisk_channel
    daemon = make_daemon(**{
        "tenant default": {"region": "TW", "timezone": "Asia/Taipei"},
        "channel pbx-main": asterisk_channel(asterisk, dial_allow=r"^\+886", dial_context="outgoing")})
    daemon.start()
    daemon.wait_channels()
    daemon.api().contact("王小明", CALLER)
    return daemon, asterisk


@pytest.fixture(params=["websocket", "events"])
def page(request, chromium, phones):
    page = Page(chromium, phones[0], "?sse" if request.param == "events" else "")
    yield page.sign_in().wait_connection("online")
    assert page.complaints() == []


@pytest.fixture
def websocket_page(chromium, phones):
    page = Page(chromium, phones[0])
    yield page.sign_in().wait_connection("online")
    assert page.complaints() == []


def ringing(fake):
    return Steps(fake, "22/direct-answered").ring("1001")


def test_a_live_call_is_shown_from_ring_to_hangup(page, phones):
    page.wait_idle()
    steps = ringing(phones[1])
    page.wait_pop("ringing", "王小明")
    assert "calls us" in page.text("#pops .facts")
    steps.answer("1001")
    page.wait_pop("talking", "王小明")
    steps.rest()
    page.wait_idle()


def test_a_reload_shows_what_is_open(websocket_page, phones):
    steps = ringing(phones[1])
    websocket_page.wait_pop("ringing", "王小明")
    websocket_page.run("await page.reload()")
    websocket_page.sign_in()
    websocket_page.wait_pop("ringing", "王小明")
    steps.rest()
    websocket_page.wait_idle()


def test_it_survives_the_daemons_death(page, phones):
    """The call ends while nobody listens: the page must not show it for ever."""
    daemon, fake = phones
    steps = ringing(fake)
    page.wait_pop("ringing", "王小明")
    daemon.kill()
    page.wait_connection("offline")
    steps.rest()
    daemon.start()
    page.wait_connection("online")
    page.wait_idle()
    again = ringing(fake)
    page.wait_pop("ringing", "王小明")
    again.rest()
    page.wait_idle()


def test_it_survives_the_loss_of_redis(page, phones, redis_server):
    daemon, fake = phones
    steps = ringing(fake)
    page.wait_pop("ringing", "王小明")
    redis_server.kill()
    redis_server.start()
    steps.answer("1001")
    page.wait_pop("talking", "王小明")
    steps.rest()
    page.wait_idle()


def test_it_dials(websocket_page, phones):
    daemon, fake = phones
    websocket_page.run("""await page.fill("[name=number]", "0912-345-678");
        await page.click("#dial button")""")
    assert fake.wait_until(lambda: fake.seen("Originate"), 10 * SLOW)
    call = Call(fake, fake.seen("Originate")[0])
    call.agent_rings()
    call.agent_answers()
    call.customer_rings()
    websocket_page.wait_pop("ringing", "王小明")
    assert "called by us" in websocket_page.text("#pops .facts")
    call.customer_answers()
    websocket_page.wait_pop("talking", "王小明")
    call.ends()
    websocket_page.wait_idle()
    assert websocket_page.text("#message") == ""


def test_it_says_why_a_number_is_not_called(websocket_page, phones):
    websocket_page.run("""await page.fill("[name=number]", "+1 202 555 0100");
        await page.click("#dial button");
        await page.waitForFunction(() => document.querySelector("#message").textContent)""")
    assert "dial_allow" in websocket_page.text("#message")


def test_the_state_goes_both_ways(websocket_page, phones):
    daemon, _ = phones
    websocket_page.run('await page.selectOption("#state", "paused")')
    def is_paused():
        answer = daemon.api().get("/v1/agents/1001/state")  # 404: nobody has heard of them
        return answer.status == 200 and answer.json["state"] == "paused"
    wait_until(is_paused, 10 * SLOW, "the agent to be paused")
    daemon.api().request("PUT", "/v1/agents/1001/state", {"state": "available"})
    websocket_page.run("""await page.waitForFunction(() =>
        document.querySelector("#state").value === "available")""")


def test_a_callers_name_is_text(websocket_page, phones):
    daemon, fake = phones
    evil = "<img src=x onerror=\"document.title='owned'\">"
    daemon.api().contact(evil, "0911222333")
    steps = Steps(fake, "22/direct-answered", words={CALLER: "0911222333"}).ring("1001")
    websocket_page.wait_pop("ringing", evil)
    assert websocket_page.run("return await page.title()") != "owned"
    steps.rest()
    websocket_page.wait_idle()


def test_a_wrong_token_is_said(chromium, phones):
    page = Page(chromium, phones[0]).sign_in("ia_wrong").wait_connection("refused")
    assert "not accepted" in page.text("#connection")


def test_a_page_of_another_origin(chromium, phones):
    """A CRM's page imports the module; what it may do is decided by [http] origins."""
    daemon, fake = phones
    page = Page(chromium, daemon)
    origin = f"http://localhost:{daemon.port}"  # the same server, for the browser another origin
    page.run("await page.goto(args.url)", url=f"{origin}/healthz")
    script = """const { connect } = await import(args.module);
        const agent = connect({ agent: "1001", token: args.token });
        return await new Promise((done) => agent.onConnection((c, why) => done(c)));"""
    code = "return await page.evaluate((args) => (async () => {" + script + "})(), args)"
    module = f"http://127.0.0.1:{daemon.port}/interactd.js"
    assert page.run(code, module=module, token=page.token) == "offline"
    daemon.configure(http={"origins": origin})
    daemon.reload()
    wait_until(lambda: "configuration reloaded" in daemon.log(), 10 * SLOW)
    assert page.run(code, module=module, token=page.token) == "online"
