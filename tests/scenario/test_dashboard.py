"""deploy/grafana-dashboard.json beside a live /metrics: every query names metrics and labels that are there."""

import json
import re
import subprocess

import pytest
import support
import yaml
from serving import CATALOG, STREAM, Service, pool

DASHBOARD = json.loads((support.ROOT / "deploy" / "grafana-dashboard.json").read_text())
OURS = re.compile(r"\b(?:tarn|ducklake)_\w+")
FILLED_IN = {"$__rate_interval": "5m", "$pool": ".*"}


def queries():
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["name"], variable["query"]


@pytest.fixture(scope="module")
def metrics(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dashboard")
    (folder / "serve.yaml").write_text(CATALOG + STREAM + pool(least=1, most=1))
    service = Service(folder, "--anyone", command="run")
    assert service.query("SELECT 1").status == 200
    text = service.process.get("/metrics")[1]
    service.process.drain()
    return text


def test_every_metric_is_there(metrics):
    types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", metrics, re.M))
    names = set(types)
    for name, kind in types.items():
        if kind == "histogram":
            names -= {name}
            names |= {name + end for end in ("_bucket", "_sum", "_count")}
    seen = set()
    for title, query in queries():
        used = set(OURS.findall(query))
        assert used and used <= names, (title, used - names)
        seen |= used
    assert {n for n in names if n.startswith("ducklake_pool_") and not n.endswith(("_sum", "_count"))} <= seen


def test_every_label_is_there(metrics):
    """Of the metrics that have a sample; of all others their help is in docs/cli.md."""
    reference = (support.ROOT / "docs" / "cli.md").read_text()
    labels = {name: set(text.split(", ")) | {"le"} for name, text in re.findall(r"^\| `(\w+)` \| \w+ \| ([\w, ]+) \|", reference, re.M)}
    for title, query in queries():
        used = {re.sub("_(bucket|sum|count)$", "", name) for name in OURS.findall(query)}
        wanted = set(re.findall(r"(\w+)=~?\"", query))
        for group in re.findall(r"\bby \(([^)]*)\)", query):
            wanted |= {name.strip() for name in group.split(",")}
        for name in used:
            assert wanted <= labels[name], (title, name, wanted - labels[name])


def test_every_query_parses(folder):
    rules = []
    for number, (_, query) in enumerate(queries()):
        for name, value in FILLED_IN.items():
            query = query.replace(name, value)
        if not query.startswith("label_values("):
            rules.append({"record": f"panel:{number}", "expr": query})
    (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    done = subprocess.run(["promtool", "check", "rules", folder / "rules.yaml"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stdout + done.stderr
