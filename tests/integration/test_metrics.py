"""/metrics as Prometheus reads it, and the dashboard that is drawn from it."""
import json
import re
from pathlib import Path

import pytest
from support.steps import Steps

ROOT = Path(__file__).resolve().parents[2]
DASHBOARD = ROOT / "conf" / "grafana-dashboard.json"
SAMPLE = re.compile(r'([a-z_]+)(?:\{((?:[a-z_]+="[^"\\\n]*",?)*)\})? ([0-9.e+-]+|\+Inf)$')


def scrape(daemon):
    """{family: (type, [(name, labels, value)])}; fails on whatever the format forbids."""
    families, family = {}, None
    for line in daemon.api().get("/metrics").body.decode().splitlines():
        if line.startswith("# HELP "):
            family = line.split()[2]
            assert family not in families, f"{family} twice"
            continue
        if line.startswith("# TYPE "):
            assert line.split()[2] == family
            families[family] = (line.split()[3], [])
            continue
        name, labels, value = SAMPLE.match(line).groups()
        kind, samples = families[family]
        suffixes = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
        assert name in [family + s for s in suffixes], f"{name} stands under {family}"
        labels = dict(re.findall(r'([a-z_]+)="([^"]*)"', labels or ""))
        assert (name, labels) not in [(n, l) for n, l, _ in samples], line
        samples.append((name, labels, float(value)))
    return families


def value(families, name, **labels):
    family = re.sub("_(bucket|sum|count)$", "", name)
    found = [v for n, l, v in families.get(family, families.get(name))[1]
             if n == name and labels.items() <= l.items()]
    assert len(found) == 1, (name, labels, found)
    return found[0]


def check_histogram(samples, family):
    rows = {}
    for name, labels, v in samples:
        key = tuple(sorted((k, x) for k, x in labels.items() if k != "le"))
        rows.setdefault(key, []).append((name, labels.get("le"), v))
    for key, row in rows.items():
        buckets = [(float(le), v) for name, le, v in row if name.endswith("_bucket")]
        counts = [v for _, v in buckets]
        assert buckets == sorted(buckets) and counts == sorted(counts), (family, key)
        assert buckets[-1][0] == float("inf")
        assert [v for n, _, v in row if n.endswith("_count")] == [counts[-1]], (family, key)
        assert len([n for n, _, _ in row if n.endswith("_sum")]) == 1


@pytest.fixture
def after_a_call(pbx, subscriber):
    daemon, fake = pbx
    steps = Steps(fake, "22/direct-answered").answer("1001")
    subscriber.wait_pop(agent="1001", state="talking")
    steps.rest()
    subscriber.wait_pop(agent="1001", type="pop.close")
    subscriber.wait_event("interaction.ended")
    return daemon


def test_every_stage_of_a_call_is_timed(after_a_call):
    families = scrape(after_a_call)
    for family, (kind, samples) in families.items():
        if kind == "histogram":
            check_histogram(samples, family)
    assert value(families, "interactd_pop_seconds_count") == 1
    assert value(families, "interactd_card_seconds_count") >= 1
    assert value(families, "interactd_commit_seconds_count") >= 1
    assert value(families, "interactd_event_seconds_count", channel="pbx-main") > 10
    assert value(families, "interactd_spool_sync_seconds_count", channel="pbx-main") >= 1
    assert 0 < value(families, "interactd_pop_seconds_sum") < 10


def test_the_dashboard_draws_what_there_is(after_a_call):
    families = scrape(after_a_call)
    board = json.loads(DASHBOARD.read_text())
    asked = [t["expr"] for p in board["panels"] for t in p.get("targets", [])]
    assert len(asked) > 15
    for expr in asked:
        for name in re.findall(r"interactd_[a-z_]+", expr):
            family = re.sub("_(bucket|sum|count)$", "", name)
            assert name in families or families.get(family, ("",))[0] == "histogram", expr
    ids = [p["id"] for p in board["panels"]]
    assert len(ids) == len(set(ids))
