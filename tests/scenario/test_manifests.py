"""What the commands say of manifests that are wrong: where, what, and what would be right; and they do nothing."""

import os

import pytest
import support
from support import tarn

GOOD = """apiVersion: ducklake.featherman.dev/v1alpha1
kind: DuckLakeCatalog
metadata: {name: main}
spec:
  backend: {type: sqlite, path: c.sqlite}
  dataPath: data
---
apiVersion: ducklake.featherman.dev/v1alpha1
kind: DuckLakeStream
metadata: {name: events}
spec:
  table: events
  kafka: {brokers: embedded, topic: t}
"""

# what is replaced, by what -> where and what
MISTAKES = [
    ("type: sqlite", "type: sqlit", "5:19: spec.backend.type: 'sqlit' is not known"),
    ("  dataPath: data\n", "", "spec.dataPath"),
    ("  table: events", "  tabel: events", "12:3: spec.tabel"),
    ("topic: t}", "topic: 'a b'}", "13:37: spec.kafka.topic"),
    ("name: events", "name: Events", "10:18: metadata.name"),
    ("kind: DuckLakeStream", "kind: Stream", "9:7: kind"),
    ("v1alpha1\nkind: DuckLakeCatalog", "v2\nkind: DuckLakeCatalog", "1:13: apiVersion"),
    ("  table: events", "  table: events\n  table: other", "13:3: "),
    ("  table: events", "  table: ${TARN_TEST_NOT_SET}", "12:10: spec.table"),
    ("  table: events", "  table: events\n  catalogRef: none", "13:15: spec.catalogRef"),
    ("  table: events", "  table: events\n  memory: lots", "13:11: spec.memory"),
    ("  table: events", "  table: events\n  commit: {freshness: 1}", "13:23: spec.commit.freshness"),
    ("spec:\n  table", "spec: [\n  table", "13:8: YAML: did not find expected"),
    (GOOD, "", "tarn.yaml"),
]

COMMANDS = [("run", "--once"), ("verify",), ("status",), ("demo",), ("query", "SELECT 1")]


@pytest.mark.parametrize("mistake", MISTAKES, ids=[m[2] for m in MISTAKES])
def test_a_mistake_is_told_with_its_place(folder, mistake):
    old, new, told = mistake
    assert old in GOOD
    (folder / "tarn.yaml").write_text(GOOD.replace(old, new, 1))
    for name, *rest in COMMANDS:
        done = tarn(name, "tarn.yaml", *rest, folder=folder)
        assert done.returncode == support.INPUT, (name, done)
        assert done.stderr.startswith("tarn: tarn.yaml") and told in done.stderr, f"{name}: {done.stderr}"
        assert done.stdout in ("", "[]\n"), (name, done.stdout)
    assert os.listdir(folder) == ["tarn.yaml"], "something was made all the same"


def test_a_file_that_is_not_there(folder):
    for name, *rest in COMMANDS:
        done = tarn(name, "none.yaml", *rest, folder=folder)
        assert done.returncode == support.INPUT and "none.yaml: cannot be read: No such file or directory" in done.stderr, (name, done)


@pytest.mark.parametrize("arguments,told", [
    (("nonsense",), "there is no command 'nonsense'"),
    (("query",), "query needs two arguments"),
    (("run", "a", "b"), "run"),
    (("run", "a", "--onc"), "--onc"),
    (("query", "a", "b", "--format", "xml"), "xml"),
    (("query", "a", "b", "--at", "x"), "--at"),
    (("demo", "--count", "-1"), "--count"),
    (("produce", "--topic", "t"), "--brokers"),
    ((), "help"),
])
def test_a_wrong_command_line(folder, arguments, told):
    done = tarn(*arguments, folder=folder)
    assert done.returncode == support.USAGE and told in done.stderr, done
    assert os.listdir(folder) == []


def test_a_broker_that_does_not_answer(folder):
    (folder / "tarn.yaml").write_text(GOOD.replace("embedded", '"127.0.0.1:1"'))
    done = tarn("run", "tarn.yaml", "--once", folder=folder, timeout_s=60)
    assert done.returncode == support.LATER, done
    assert "127.0.0.1:1" in done.stderr
