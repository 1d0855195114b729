"""The two READMEs say the same, and name only what exists: headings, code, commands,
options, configuration keys, routes, metrics, files and make's targets."""
import json
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from support.daemon import BUILD

ROOT = Path(__file__).resolve().parents[2]
ENGLISH, CHINESE = "README.md", "README.zh-CN.md"
BOTH = pytest.mark.parametrize("name", (ENGLISH, CHINESE))
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
COMMENT = {"sh": "#", "python": "#", "ini": ";", "js": "//"}
SPAN = re.compile(r"`([^`]+)`")
# Words of others with an underscore: Asterisk's, PostgreSQL's.
FOREIGN = {"cel_custom", "cel_pgsql", "cdr_csv", "cdr_pgsql", "cdr_adaptive_odbc", "pg_dump",
           "pg_restore", "pg_basebackup", "pg_createcluster"}


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(text):
    """[(language, content)] of what stands between fences."""
    return FENCE.findall(text)


def prose(text):
    return FENCE.sub("", text)


def without_comments(language, content):
    mark = COMMENT.get(language)
    if not mark:
        return content
    return re.sub(rf"(^|\s+){mark} .*$", "", content, flags=re.M)


def headings(text):
    return re.findall(r"^(#+) (.*)$", prose(text), re.M)


def sections(text):
    """Prose from one heading to the next, in order."""
    return re.split(r"^#+ .*$", prose(text), flags=re.M)


def code_words(text):
    """What is set as code, outside the blocks; a wrapped line is one."""
    return [" ".join(span.split()) for span in SPAN.findall(prose(text))]


def everything(text):
    """All code: words in the prose and lines of the blocks, continued ones joined."""
    words = code_words(text)
    for language, content in blocks(text):
        content = without_comments(language, content).replace("\\\n", " ")
        words += [line.removeprefix("$ ") for line in content.splitlines()]
    return words


# ---- One document in two languages


def test_headings_are_the_same():
    levels = [[mark for mark, _ in headings(read(n))] for n in (ENGLISH, CHINESE)]
    assert levels[0] == levels[1]


def test_code_blocks_are_the_same_but_for_comments():
    english, chinese = ([(lang, without_comments(lang, c)) for lang, c in blocks(read(n))]
                        for n in (ENGLISH, CHINESE))
    assert len(english) == len(chinese) > 15
    for one, other in zip(english, chinese):
        assert one == other


def test_every_section_names_the_same_things():
    titles = ["(top)"] + [title for _, title in headings(read(ENGLISH))]
    for title, one, other in zip(titles, sections(read(ENGLISH)), sections(read(CHINESE))):
        a, b = (Counter(" ".join(w.split()) for w in SPAN.findall(s)) for s in (one, other))
        assert set(a) == set(b), f"{title}: only English {set(a) - set(b)}, " \
                                 f"only Chinese {set(b) - set(a)}"


@pytest.mark.parametrize("count", [
    lambda s: len(re.findall(r"^\|", s, re.M)),
    lambda s: len(re.findall(r"^- ", s, re.M)),
], ids=["rows", "items"])
def test_tables_and_lists_are_as_long(count):
    titles = ["(top)"] + [title for _, title in headings(read(ENGLISH))]
    english, chinese = (list(map(count, sections(read(n)))) for n in (ENGLISH, CHINESE))
    assert dict(zip(titles, english)) == dict(zip(titles, chinese))


# ---- What is named exists


def anchor(title):
    """As GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


@BOTH
def test_links_lead_somewhere(name):
    text = prose(read(name))
    anchors = {anchor(title) for _, title in headings(read(name))}
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if target.startswith("#"):
            assert target[1:] in anchors, target
        elif not target.startswith("http"):
            assert (ROOT / target).exists(), target


def test_every_section_is_in_the_contents():
    for name in (ENGLISH, CHINESE):
        listed = set(re.findall(r"\]\(#([^)]+)\)", read(name)))
        titles = [title for mark, title in headings(read(name)) if mark == "##"]
        assert {anchor(t) for t in titles[1:]} <= listed


def ctl(*words):
    return subprocess.run([BUILD / "interactctl", *words], capture_output=True, text=True,
                          check=True).stdout


@pytest.fixture(scope="module")
def commands():
    names = re.search(r"local commands='([^']*)'", ctl("completion", "bash"))[1]
    return {n: ctl("help", *n.split()) if n != "help" else "" for n in names.splitlines()}


@BOTH
def test_commands_and_their_options_exist(name, commands):
    found = 0
    of_all = ctl("help")
    for line in everything(read(name)):
        for call in re.findall(r"\binteractctl ([a-z][^|;&`]*|--[^|;&`]*)", line):
            words = call.rstrip(")").split()
            if words[0] == "--tenant":
                continue
            known = [n for n in (" ".join(words[:2]), words[0]) if n in commands]
            assert known, f"interactctl {call}"
            for option in re.findall(r"(?<!\S)(--[a-z-]+)", call):
                assert option in commands[known[0]] + of_all, f"interactctl {call}"
            found += 1
    assert found > 20


def openapi():
    return json.loads((ROOT / "daemon/api/openapi.json").read_text(encoding="utf-8"))


def route_of(path):
    """The described path that a real one is of; None if there is none."""
    path = re.sub(r"\?.*", "", path)
    for pattern in sorted(openapi()["paths"], key=lambda p: p.count("{")):
        if re.fullmatch(re.sub(r"\{[^}]*\}", "[^/]+", pattern), path):
            return pattern
    return None


@BOTH
def test_routes_exist(name):
    found = 0
    for line in everything(read(name)):
        for method, path in re.findall(
                r"(?:\b(GET|POST|PUT|PATCH|DELETE) )?(?:wss?:|https?:)?(?://[a-z0-9.:]+)?"
                r"(/(?:v1/[^\s`\"',)]*|healthz|readyz|metrics)(?![\w/]))", line):
            route = route_of(path)
            assert route, line
            if method:
                assert method.lower() in openapi()["paths"][route], line
            found += 1
    assert found > 20


@BOTH
def test_metrics_exist(name, shared_daemon):
    text = shared_daemon.api().get("/metrics").body.decode()
    families = set(re.findall(r"^# TYPE (\S+) ", text, re.M))
    named = {w for w in code_words(read(name)) if re.fullmatch(r"interactd_[a-z_]+", w)}
    assert len(named) > 10
    assert named <= families


def conf_keys():
    """{kind of section: keys} of conf/interactd.conf, the commented ones too."""
    keys, section = {}, None
    for line in read("conf/interactd.conf").splitlines():
        if m := re.match(r"#?\[(\w+).*\]$", line):
            section = keys.setdefault(m[1], set())
        elif m := re.match(r"#?(\w+) =", line):
            section.add(m[1])
    return keys


@BOTH
def test_configuration_keys_exist(name):
    keys = conf_keys()
    keys["channel"].add("driver")
    for language, content in blocks(read(name)):
        section = None
        for line in content.splitlines() if language == "ini" else ():
            if m := re.match(r"\[(\w+).*\]$", line):
                section = keys.get(m[1])  # None: a section of manager.conf
            elif (m := re.match(r"(\w+) =", line)) and section:
                assert m[1] in section or m[1].removesuffix("_file") in section, line
    for word in code_words(read(name)):
        if m := re.match(r"\[(\w+)[^\]]*\] (\w+)", word):
            assert m[2] in keys[m[1]], word


@BOTH
def test_words_with_an_underscore_are_somebodys(name):
    known = read("conf/interactd.conf") + read("daemon/api/openapi.json") + \
        read("daemon/api/metrics.c")
    for word in code_words(read(name)):
        if m := re.match(r"([a-z]+_[a-z0-9_]+)\b(?! ?[\[(])", word):
            bare = m[1].removesuffix("_file").removeprefix("interactd_")
            assert bare in FOREIGN or m[1].startswith("interactd_") or \
                re.search(rf"\b{bare}\b", known), word


@BOTH
def test_files_and_targets_exist(name):
    targets = re.search(r"^\.PHONY: (.*?)[^\\]\n", read("Makefile"), re.M | re.S)[0]
    for word in everything(read(name)):
        if re.fullmatch(r"(daemon|conf|channels|include|tests|\.ci)/[\w./-]+", word):
            assert (ROOT / word).exists(), word
        for target in re.findall(
                r"(?:^|[A-Z]\S+ |&& |sudo )make ([a-z][a-z-]*)", word):
            assert re.search(rf"\s{target}\s", targets), word


@BOTH
def test_examples_are_sound(name):
    for language, content in blocks(read(name)):
        if language == "python":
            compile(content, name, "exec")
        elif language == "json":
            json.loads(content)


PAGES = sorted(p.name for p in (ROOT / "conf").glob("*.[0-9]")) + ["interactctl.1"]


@pytest.mark.skipif(not shutil.which("mandoc"), reason="there is no mandoc")
@pytest.mark.parametrize("page", PAGES)
def test_manual_pages_are_well_formed(page):
    path = ROOT / "conf" / page
    text = path.read_text(encoding="utf-8") if path.exists() else ctl("manual")
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning"], input=text, text=True,
                          capture_output=True, check=False)
    assert (done.stdout, done.returncode) == ("", 0)


def defaults():
    """{key: default} as interactd.conf(5) says them, where a key has one meaning."""
    items = [(item.split()[0], re.search(r"^Default: (\S+)\.$", item, re.M)) for item in
             re.split(r"^\.It Cm ", read("conf/interactd.conf.5"), flags=re.M)[1:]]
    names = Counter(key for key, _ in items)
    return {key: default[1] for key, default in items if default and names[key] == 1}


def test_sample_and_manual_agree_on_defaults():
    """What is commented out in the sample shows the default."""
    sample = dict(re.findall(r"^#(\w+) = *(.*)$", read("conf/interactd.conf"), re.M))
    shown = {key: value for key, value in defaults().items() if key in sample}
    assert len(shown) > 30
    assert shown == {key: sample[key] for key in shown}


def test_drivers_defaults_are_those_of_the_manual():
    out = subprocess.run([BUILD / "interactd", "--drivers"], capture_output=True, text=True,
                         check=True).stdout
    real = dict(re.findall(r"^#(\w+) = (\S.*)$", out, re.M))
    told = {key: value for key, value in defaults().items() if key in real}
    assert len(told) > 12
    assert told == {key: real[key] for key in told}
