"""`tarn model`: train, evaluate, predict and explain, and the functions in `tarn query`."""

import csv
import io
import json
import os

import pytest
import support
from support import tarn

MANIFEST = """apiVersion: ducklake.featherman.dev/v1alpha1
kind: DuckLakeCatalog
metadata: {name: main}
spec:
  backend: {type: sqlite, path: lake/catalog.sqlite}
  dataPath: lake/data
---
apiVersion: ducklake.featherman.dev/v1alpha1
kind: DuckLakePipeline
metadata: {name: churn}
spec:
  models: layers
  model:
    name: churn
    file: models/churn.json
    training: SELECT id, tenure, calls, business, churned FROM people
    scoring: SELECT * FROM people WHERE id < 100
    key: [id]
    label: churned
    rounds: 30
"""
NO_MODEL = MANIFEST.partition("  model:")[0]
PEOPLE = """CREATE TABLE lake.people AS SELECT id, tenure, calls, business,
    (hash(id, 'luck') % 1000) / 1000.0 < 1 / (1 + exp(tenure / 6.0 - calls - 1)) AS churned, 'p' || id AS "name"
    FROM (SELECT range AS id, hash(range, 't') % 40 AS tenure, hash(range, 'c') % 6 AS calls, hash(range, 'b') % 3 = 0 AS business
          FROM range(3000))"""


@pytest.fixture
def place(folder):
    (folder / "tarn.yaml").write_text(MANIFEST)
    (folder / "layers").mkdir()
    (folder / "lake").mkdir()
    con = support.attach(f"ducklake:sqlite:{folder}/lake/catalog.sqlite", f"(DATA_PATH '{folder}/lake/data/', META_JOURNAL_MODE 'WAL')")
    con.execute(PEOPLE)
    con.close()
    return folder


@pytest.fixture
def trained(place):
    done = tarn("model", "train", "tarn.yaml", folder=place)
    assert done.returncode == support.DONE, done.stderr
    return place


def test_train_tells_figures_and_writes_the_file(place):
    done = tarn("model", "train", "tarn.yaml", "--format", "json", folder=place)
    assert done.returncode == support.DONE, done.stderr
    report = json.loads(done.stdout)
    assert report["model"] == "churn" and report["features"] == ["tenure", "calls", "business"] and report["trees"] == 30
    assert report["train"]["rows"] + report["test"]["rows"] == 3000
    assert report["test"]["auc"] > report["baselines"]["single"]["auc"] > report["baselines"]["constant"]["auc"] == 0.5
    assert sum(b["rows"] for b in report["test"]["calibration"]) == report["test"]["rows"]
    assert report["leak"] == {"found": "none", "features": [], "words": None}
    assert os.listdir(place / "models") == ["churn.json"]
    again = tarn("model", "evaluate", "tarn.yaml", "-f", "json", folder=place)
    assert json.loads(again.stdout) == report
    text = tarn("model", "evaluate", "tarn.yaml", folder=place).stdout
    assert "the model" in text and report["model_hash"] in text and "drawn by their keys" in text


def test_a_file_is_replaced_by_a_whole_one_only(trained):
    before = (trained / "models" / "churn.json").read_bytes()
    (trained / "tarn.yaml").write_text(MANIFEST.replace("churned FROM", "true AS churned FROM", 1))
    done = tarn("model", "train", "tarn.yaml", folder=trained)
    assert done.returncode == support.INPUT and "all 3000 rows have the label 1" in done.stderr, done
    assert (trained / "models" / "churn.json").read_bytes() == before
    (trained / "tarn.yaml").write_text(MANIFEST)
    assert tarn("model", "train", "tarn.yaml", folder=trained).returncode == support.DONE
    assert (trained / "models" / "churn.json").read_bytes() == before, "the same rows made another file"


def test_a_label_that_features_tell(place):
    (place / "tarn.yaml").write_text(MANIFEST.replace("churned FROM", "calls >= 4 OR tenure < 3 AS churned FROM", 1))
    done = tarn("model", "train", "tarn.yaml", folder=place)
    assert done.returncode == support.DONE, done.stderr
    assert "WARNING: A rule tells the label without a model: it is 1 where" in done.stdout
    assert "calls >= 3.5" in done.stdout and "tenure < 2.5" in done.stdout
    leak = json.loads(tarn("model", "evaluate", "tarn.yaml", "-f", "json", folder=place).stdout)["leak"]
    assert leak["found"] == "rule" and leak["features"] == ["tenure", "calls"]
    assert {(s["feature"], s["threshold"]) for s in leak["splits"]} == {("calls", 3.5), ("tenure", 2.5)}
    assert leak["positives"] == leak["positives_right"] > 0 and leak["negatives"] == leak["negatives_right"] > 0


def test_predict_in_each_form(trained):
    table = tarn("model", "predict", "tarn.yaml", folder=trained)
    assert "score" in table.stdout and "100 rows" in table.stdout
    rows = list(csv.DictReader(io.StringIO(tarn("model", "predict", "tarn.yaml", "-f", "csv", folder=trained).stdout)))
    objects = json.loads(tarn("model", "predict", "tarn.yaml", "-f", "json", folder=trained).stdout)
    assert len(rows) == len(objects) == 100
    assert [(int(r["id"]), float(r["score"])) for r in rows] == [(o["id"], o["score"]) for o in objects]
    asked = tarn("query", "tarn.yaml", "SELECT id, predict('churn', p) AS score FROM people p WHERE id < 100", "-f", "json", folder=trained)
    assert sorted(map(str, json.loads(asked.stdout))) == sorted(map(str, objects))


def test_explain_all_and_one(trained):
    features = json.loads(tarn("model", "explain", "tarn.yaml", "-f", "json", folder=trained).stdout)
    assert {f["feature"] for f in features} == {"tenure", "calls", "business"}
    assert [f["mean_contribution"] for f in features] == sorted((f["mean_contribution"] for f in features), reverse=True)
    one = json.loads(tarn("model", "explain", "tarn.yaml", "17", "-f", "json", folder=trained).stdout)
    assert len(one) == 1 and one[0]["id"] == 17 and [p["feature"] for p in one[0]["contributions"]][-1] == "(base)"
    text = tarn("model", "explain", "tarn.yaml", "17", folder=trained).stdout
    assert text.startswith(f"id = 17: score {one[0]['score']:.4f}\n") and "contribution" in text
    assert tarn("model", "explain", "tarn.yaml", "17", "-f", "csv", folder=trained).stdout.startswith("feature,value,contribution\n")
    done = tarn("model", "explain", "tarn.yaml", "100", folder=trained)
    assert done.returncode == support.INPUT and "no row of those that are scored has id = 100" in done.stderr
    done = tarn("model", "explain", "tarn.yaml", "it's", folder=trained)
    assert done.returncode == support.INPUT and "has id = it's" in done.stderr


def test_before_it_is_trained(place):
    for verb in ("evaluate", "predict", "explain"):
        done = tarn("model", verb, "tarn.yaml", folder=place)
        assert done.returncode == support.INPUT and "models/churn.json" in done.stderr and "tarn model train" in done.stderr, done
    done = tarn("query", "tarn.yaml", "SELECT predict('churn', p) FROM people p", folder=place)
    assert done.returncode == support.INPUT and "train it first: tarn model train tarn.yaml" in done.stderr, done
    done = tarn("query", "tarn.yaml", "SELECT predict('chrun', p) FROM people p", folder=place)
    assert done.returncode == support.INPUT and "there is no model chrun: churn would be right" in done.stderr, done


def test_as_of_an_earlier_snapshot(trained):
    """The functions are DuckDB's, whatever snapshot is attached."""
    done = tarn("query", "tarn.yaml", "SELECT count(predict('churn', p)) AS n FROM people p", "--at", "1", "-f", "csv", folder=trained)
    assert done.stdout == "n\n3000\n", done


@pytest.mark.parametrize("arguments,status,told", [
    (("model", "teach", "tarn.yaml"), support.USAGE, "train, evaluate, predict or explain would be right"),
    (("model", "train"), support.USAGE, "model needs"),
    (("model", "train", "tarn.yaml", "17"), support.USAGE, "model train takes no key"),
    (("model", "train", "tarn.yaml", "-f", "csv"), support.USAGE, "model train has no --format csv"),
    (("model", "explain", "tarn.yaml", "1", "2"), support.INPUT, "the key of model churn has 1 columns, and 2 values are given"),
    (("model", "train", "tarn.yaml", "--pipeline", "none"), support.INPUT, "no pipeline none has a model: churn would be right"),
    (("model", "train", "none.yaml"), support.INPUT, "none.yaml: cannot be read"),
    (("model", "train", "plain.yaml"), support.INPUT, "no pipeline of plain.yaml has a model"),
    (("query", "plain.yaml", "SELECT predict('x', {'a': 1})"), support.INPUT, "there is no model x, nor any other"),
    (("model", "train", "two.yaml"), support.INPUT, "several pipelines have a model, churn, other: --pipeline NAME chooses one"),
    (("query", "two.yaml", "SELECT 1"), support.INPUT, "two models are called churn"),
])
def test_what_is_refused(place, arguments, status, told):
    (place / "plain.yaml").write_text(NO_MODEL)
    (place / "two.yaml").write_text(MANIFEST + "---\n" + MANIFEST.partition("---\n")[2].replace("metadata: {name: churn}", "metadata: {name: other}"))
    done = tarn(*arguments, folder=place)
    assert done.returncode == status and told in done.stderr, done
    assert not (place / "models").exists()
