"""interactctl channel check: what it says of phone systems that are, or are not, as they
should be."""

import json
import socket
import subprocess
import threading
import time

import pytest
from support.daemon import BUILD, SLOW, asterisk_channel, free_port

OK, WARNINGS, PROBLEMS = 0, 1, 2


@pytest.fixture
def check(tmp_path, asterisk):
    """check(**keys): the exit code and the answer, as JSON."""
    def run(*args, **keys):
        asterisk.users["interactd"] = "hush-hush"
        keys = asterisk_channel(asterisk, **{"own_numbers": "0285550100",
                                             "secret": "hush-hush", **keys})
        path = tmp_path / "interactd.conf"
        path.write_text("[postgresql]\nconninfo = dbname=x\n[channel pbx-main]\n" + "".join(
            f"{k} = {v}\n" for k, v in keys.items() if v is not None))
        done = subprocess.run(
            [BUILD / "interactctl", "-c", path, "channel", "check", "pbx-main",
             "--listen", "1", *args], capture_output=True, text=True, timeout=60 * SLOW)
        assert "hush" not in done.stdout + done.stderr
        if "--json" in args:
            return done.returncode, json.loads(done.stdout)
        return done.returncode, done.stdout
    return run


def says(answer, level, *words):
    """There is a finding of that level with these words."""
    for f in answer["findings"]:
        if f["level"] == level and all(w in f["what"] + (f["do"] or "") for w in words):
            return True
    raise AssertionError(f"no {level} with {words}: {json.dumps(answer, indent=1)}")


def timed_event(asterisk):
    """An event with its time, as soon as somebody asks for the list of commands."""
    def send():
        if asterisk.wait_until(lambda: asterisk.seen("PJSIPShowEndpoints"), 30):
            for kind in ("call", "agent", "user", "dialplan", "dtmf"):
                asterisk.send_event("Test", f"{kind},all", Timestamp=f"{time.time():.6f}")
    thread = threading.Thread(target=send)
    thread.start()
    return thread


def test_all_is_well(check, asterisk):
    thread = timed_event(asterisk)
    code, answer = check("--json", dial_allow="^\\+886")
    thread.join()
    assert (code, answer["level"], answer["write"]) == (OK, "ok", None), answer
    says(answer, "ok", "Asterisk 22.10.1", "interactd")
    says(answer, "ok", "1 trunk", "PJSIP/trunk")
    says(answer, "ok", "3 phones of agents", "PJSIP/1001")
    says(answer, "ok", "every class")
    says(answer, "ok", "timestampevents")
    says(answer, "ok", "from-internal")
    assert not asterisk.seen("Originate") and not asterisk.seen("Command")
    assert not asterisk.seen("Setvar") and not asterisk.seen("QueuePause")


def test_a_user_who_may_too_little(check, asterisk):
    asterisk.write_classes = {"call"}
    asterisk.booted = False
    code, answer = check("--json", dial_allow="^09")
    assert code == PROBLEMS
    says(answer, "problem", "which calls there are", "write = reporting")
    says(answer, "problem", "calls cannot be placed", "originate")
    says(answer, "warning", "FullyBooted", "system")
    says(answer, "warning", "phones and trunks", "write = system")
    for line in ("[interactd]", "secret = ********", "permit = 127.0.0.1",
                 "read = call,agent,system,user,dialplan,dtmf",
                 "write = reporting,system,call,agent,originate", "writetimeout"):
        assert line in answer["write"], line


def test_a_user_who_may_too_much(check, asterisk):
    asterisk.write_classes = {"command", "system", "reporting", "call", "agent"}
    code, answer = check("--json")
    assert code == WARNINGS
    says(answer, "warning", "console commands")
    says(answer, "note", "nobody may place calls")


@pytest.mark.parametrize("keys,level,words", [
    ({"trunks": "^SIP/trunk$"}, "problem", ["no endpoint matches trunks", "^SIP/trunk$"]),
    ({"agents": "^SIP/(.*)$"}, "warning", ["no endpoint matches agents"]),
    ({"agents": None}, "warning", ["no endpoint matches agents", "interfaces"]),
    ({"agents": "^PJSIP/(.*)$"}, "warning", ["match both trunks and agents"]),
    ({"agents": "^PJSIP/(1001)$"}, "note", ["2 internal", "PJSIP/1002"]),
    ({"own_numbers": None}, "warning", ["own_numbers is empty"]),
    ({"dial_allow": "x", "dial_context": "nowhere"}, "problem", ["no context nowhere"]),
])
def test_patterns_that_do_not_fit(check, asterisk, keys, level, words):
    code, answer = check("--json", **keys)
    says(answer, level, *words)
    assert code == (PROBLEMS if level == "problem" else code)


def test_an_old_one(check, asterisk):
    asterisk.version = "13.38.3"
    code, answer = check("--json")
    assert code == PROBLEMS
    says(answer, "problem", "13.38.3", "too old")


def test_one_that_cannot_say_what_is_allowed(check, asterisk):
    asterisk.denied = {"ListCommands": "Permission denied",
                       "PJSIPShowEndpoints": "Permission denied"}
    code, answer = check("--json")
    assert code == WARNINGS
    says(answer, "warning", "ListCommands")


def test_a_wrong_secret(check, asterisk):
    asterisk.refuse_delay = 0
    code, answer = check("--json", secret="wrong")
    assert code == PROBLEMS
    says(answer, "problem", "refuses the login", "manager.conf")
    assert "secret = ********" in answer["write"] and "wrong" not in answer["write"]


def test_nobody_there(check):
    code, answer = check("--json", address=f"127.0.0.1:{free_port()}")
    assert code == PROBLEMS
    says(answer, "problem", "refused", "is Asterisk running")


class Listener(threading.Thread):
    """Says one thing to whoever connects."""

    def __init__(self, says, close=False):
        super().__init__(daemon=True)
        self.says, self.close_at_once = says, close
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.socket.getsockname()[1]
        self.kept = []
        self.start()

    def run(self):
        try:
            while True:
                client, _ = self.socket.accept()
                client.sendall(self.says)
                if self.close_at_once:
                    client.close()
                self.kept.append(client)
        except OSError:
            pass


@pytest.mark.parametrize("banner,close,words", [
    (b"SSH-2.0-OpenSSH_9.2\r\n", False, ["SSH-2.0", "no Asterisk manager"]),
    (b"HTTP/1.1 400 Bad Request\r\n\r\n", False, ["HTTP/1.1", "no Asterisk manager"]),
    (b"", False, ["says nothing", "TLS"]),
    (b"", True, ["before its first line", "allowed"])])
def test_something_else_answers(check, banner, close, words):
    listener = Listener(banner, close)
    code, answer = check("--json", address=listener.address, answer_timeout_s="1")
    listener.socket.close()
    assert code == PROBLEMS
    says(answer, "problem", *words)


def test_tls_on_one_side_only(check, asterisk):
    code, answer = check("--json", tls="yes", answer_timeout_s="1")
    assert code == PROBLEMS
    says(answer, "problem", "tlsenable")


def test_for_people(check, asterisk, tmp_path):
    asterisk.write_classes = {"reporting"}
    code, text = check()
    assert code == WARNINGS
    assert "ok       logged in to Asterisk 22.10.1" in text
    assert "         -> write = system" in text and "[interactd]\nsecret = ****" in text
    path = tmp_path / "interactd.conf"
    done = subprocess.run([BUILD / "interactctl", "-c", path, "channel", "check", "nope"],
                          capture_output=True, text=True)
    assert done.returncode == 4 and "no [channel nope]" in done.stderr
