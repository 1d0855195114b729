"""What the shell and man(1) are given: made from tables and headers, never behind."""
import re
import subprocess
from pathlib import Path

import pytest
from support.daemon import BUILD

ROOT = Path(__file__).resolve().parents[2]
CTL = Path(BUILD) / "interactctl"


def ctl(*words):
    return subprocess.run([CTL, *words], capture_output=True, text=True, check=True).stdout


def commands():
    names = re.search(r"local commands='([^']*)'", ctl("completion", "bash"))
    return [n for n in names[1].splitlines() if n != "help"]


def complete(line, extra=""):
    """What bash offers after `line` (the last word is what has been typed of it)."""
    script = f"""{ctl("completion", "bash")}
{extra}
COMP_WORDS=({line.replace('|', "''")}) COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_interactctl
printf '%s\\n' "${{COMPREPLY[@]}}" """
    out = subprocess.run(["bash", "-u", "-c", script], capture_output=True, text=True, check=True)
    assert out.stderr == ""
    return [w for w in out.stdout.splitlines() if w]


@pytest.mark.parametrize("line, offered, not_offered", [
    ("interactctl sta", ["status"], ["calls"]),
    ("interactctl agent |", ["add", "list", "token"], ["find", "agent"]),
    ("interactctl --json agent l", ["list"], ["add"]),
    ("interactctl --tenant x agent l", ["list"], ["add"]),
    ("interactctl agent add --in", ["--interface"], ["--ttl"]),
    ("interactctl --te", ["--tenant"], ["--ttl"]),
    ("interactctl agent token 1001 --t", ["--ttl", "--tenant"], ["--name"]),
    ("interactctl --url |", [], ["status"]),
    ("interactctl -c /etc/host", ["/etc/hostname"], []),
])
def test_bash_completes(line, offered, not_offered):
    got = complete(line)
    assert set(offered) <= set(got)
    assert not set(not_offered) & set(got)


def test_bash_completes_the_names_that_the_daemon_has():
    fake = """interactctl() { echo '{"items":[{"id":"1001","name":"$(touch /tmp/x)"},{"id":"anna"}]}'; }"""
    assert complete("interactctl agent show |", fake) == ["1001", "anna"]
    assert complete("interactctl agent show an", fake) == ["anna"]


def test_manual_has_every_command_and_option():
    page = ctl("manual").replace("\\-", "-")
    assert len(commands()) > 20
    for name in commands():
        assert f"\n.It {name}" in page
    for option in set(re.findall(r" (--[a-z-]+)", ctl("completion", "bash"))):
        assert f".It Fl {option[1:]}" in page, option


def test_driver_manual_names_the_whole_interface():
    header = (ROOT / "include/channel.h").read_text()
    page = (ROOT / "conf/interactd-driver.7").read_text()
    ops = header[header.index("struct channel_ops {"):header.index("/* Every driver linked in")]
    members = re.findall(r"\(\*([a-z_]+)\)\(|\b([a-z_]+);", re.sub(r"/\*.*?\*/", "", ops, flags=re.S))
    functions = re.findall(r"^(?:[a-z].*[ *])?((?:channel|phone_conf)_[a-z_]+)\(", header, flags=re.M)
    assert len(functions) > 10
    for name in [a or b for a, b in members] + [f for f in functions if f != "channel_done_fn"]:
        assert re.search(rf"\b{name}\b", page), name
