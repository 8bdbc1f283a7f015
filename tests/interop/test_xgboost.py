"""Models are files of XGBoost's own: Python's xgboost reads what `tarn model train` wrote and predicts the same, and Tarn
reads what Python wrote."""

import json
import subprocess

import numpy as np
import pyarrow as pa
import pytest
import support
import xgboost as xgb

NAMES = ["tenure", "calls", "business"]
CLOSE = 1e-6

MANIFEST = """apiVersion: ducklake.featherman.dev/v1alpha1
kind: DuckLakeCatalog
metadata: {name: main}
spec:
  backend: {type: file, path: lake.duckdb}
---
apiVersion: ducklake.featherman.dev/v1alpha1
kind: DuckLakePipeline
metadata: {name: churn}
spec:
  models: models
  model: {name: churn, file: churn.json, training: FROM people, key: [id], label: churned, rounds: 40}
"""


def make_rows(count=1500):
    """Rows with missing values, and labels that follow two of the features."""
    rng = np.random.default_rng(5)
    values = np.column_stack([rng.integers(0, 40, count), rng.uniform(0, 6, count), rng.integers(0, 2, count)]).astype("float32")
    labels = (rng.uniform(0, 1, count) < 1 / (1 + np.exp(values[:, 0] / 6 - values[:, 1] - 1))).astype(int)
    values[::7, 0] = np.nan
    values[3::11, 1] = np.nan
    return values, labels


def matrix(values, labels=None, **options):
    return xgb.DMatrix(values, label=labels, feature_names=NAMES, **options)


class Place:
    """A folder with a lake of those rows, and a manifest with a model."""

    def __init__(self, folder):
        self.folder, self.file = folder, folder / "churn.json"
        self.values, self.labels = make_rows()
        (folder / "tarn.yaml").write_text(MANIFEST)
        (folder / "models").mkdir()
        con = support.attach(str(folder / "lake.duckdb"))
        columns = [pa.array(range(len(self.labels))), *(pa.array(column, from_pandas=True) for column in self.values.T), pa.array(self.labels)]
        con.register("made", pa.table(columns, names=["id", *NAMES, "churned"]))
        con.execute("""CREATE TABLE lake.people AS SELECT id, tenure::INTEGER AS tenure, calls, business::BOOLEAN AS business,
                       churned::BOOLEAN AS churned FROM made""")
        con.close()

    def model(self, *arguments):
        return support.tarn("model", *arguments, folder=self.folder)

    def ask(self, what="predict('churn', p)"):
        done = subprocess.run([support.TARN, "query", "tarn.yaml", f"SELECT {what} AS answer FROM people p ORDER BY id", "-f", "json"],
                              capture_output=True, text=True, cwd=self.folder, timeout=60)
        assert done.returncode == support.DONE, done.stderr
        return [row["answer"] for row in json.loads(done.stdout)]

    def same_as(self, booster, data):
        """The largest differences of a probability, and of a contribution."""
        predicted = np.abs(np.array(self.ask()) - booster.predict(data)).max()
        theirs = booster.predict(data, pred_contribs=True)
        ours = [{part["feature"]: part["contribution"] for part in parts} for parts in self.ask("explain('churn', p)")]
        ours = np.array([[parts[name] for name in [*NAMES, "(base)"]] for parts in ours])
        return predicted, np.abs(ours - theirs).max()


@pytest.fixture
def place(folder):
    return Place(folder)


def test_python_reads_what_tarn_wrote(place, record_property):
    done = place.model("train", "tarn.yaml")
    assert done.returncode == support.DONE, done.stderr
    booster = xgb.Booster()
    booster.load_model(place.file)
    assert booster.feature_names == NAMES
    assert booster.feature_types == ["int", "float", "i"]
    assert booster.num_boosted_rounds() == 40
    predicted, contributed = place.same_as(booster, matrix(place.values, feature_types=booster.feature_types))
    record_property("predicted", f"{predicted:.1e}")
    assert predicted <= CLOSE and contributed <= 1e-5


def test_python_goes_on_with_what_tarn_wrote(place):
    assert place.model("train", "tarn.yaml").returncode == support.DONE
    data = matrix(place.values, place.labels, feature_types=["int", "float", "i"])
    booster = xgb.train({"objective": "binary:logistic", "max_depth": 3}, data, 5, xgb_model=str(place.file))
    booster.save_model(place.file)
    assert booster.num_boosted_rounds() == 45
    assert max(place.same_as(booster, data)) <= 1e-5


@pytest.mark.parametrize("parameters", [
    {"max_depth": 6},
    {"max_depth": 0, "grow_policy": "lossguide", "max_leaves": 40, "tree_method": "hist"},
    {"tree_method": "exact", "max_depth": 4, "subsample": 0.7, "gamma": 1.0},
    {"num_parallel_tree": 3, "subsample": 0.5, "learning_rate": 1},
    {"base_score": 0.125, "scale_pos_weight": 3, "max_depth": 2},
], ids=["deep", "lossguide", "pruned", "forest", "base_score"])
def test_tarn_reads_what_python_wrote(place, parameters):
    data = matrix(place.values, place.labels)
    booster = xgb.train({"objective": "binary:logistic", "seed": 3, **parameters}, data, 25)
    booster.set_attr(best_iteration="3", note='a "quoted" note')
    booster.save_model(place.file)
    predicted, contributed = place.same_as(booster, data)
    assert predicted <= CLOSE and contributed <= 1e-5
    done = place.model("evaluate", "tarn.yaml", "-f", "json")
    assert done.returncode == support.DONE, done.stderr
    assert json.loads(done.stdout)["features"] == NAMES


def test_features_are_found_by_name(place):
    """Python's columns in another order, and fewer of them."""
    order = [1, 0]
    data = xgb.DMatrix(place.values[:, order], label=place.labels, feature_names=["CALLS", "tenure"])
    booster = xgb.train({"objective": "binary:logistic"}, data, 10)
    booster.save_model(place.file)
    assert np.abs(np.array(place.ask()) - booster.predict(data)).max() <= CLOSE


@pytest.mark.parametrize("parameters,names,said", [
    ({"objective": "reg:squarederror"}, NAMES, "has the objective reg:squarederror: binary:logistic would be right"),
    ({"objective": "multi:softprob", "num_class": 3}, NAMES, "has the objective multi:softprob"),
    ({"objective": "binary:logistic", "booster": "dart"}, NAMES, "has the booster dart: gbtree would be right"),
    ({"objective": "binary:logistic", "booster": "gblinear"}, NAMES, "has the booster gblinear"),
    ({"objective": "binary:logistic"}, None, "has no names of features"),
    ({"objective": "binary:logistic"}, ["a", "b", "c"], "the row has no field a, which the model was trained on"),
], ids=["squarederror", "softprob", "dart", "gblinear", "unnamed", "other names"])
def test_models_that_tarn_does_not_take(place, parameters, names, said):
    data = xgb.DMatrix(place.values, label=place.labels, feature_names=names)
    xgb.train(parameters, data, 3).save_model(place.file)
    done = place.model("predict", "tarn.yaml")
    assert done.returncode == support.INPUT and said in done.stderr, done
    assert names == ["a", "b", "c"] or str(place.file) in done.stderr


def test_splits_by_category(place):
    data = matrix(np.nan_to_num(place.values), place.labels, feature_types=["c", "q", "q"], enable_categorical=True)
    parameters = {"objective": "binary:logistic", "tree_method": "hist", "max_cat_to_onehot": 1}
    xgb.train(parameters, data, 3).save_model(place.file)
    done = place.model("predict", "tarn.yaml")
    assert done.returncode == support.INPUT and "splits by categories" in done.stderr, done


def test_xgboosts_other_formats(place):
    booster = xgb.train({"objective": "binary:logistic"}, matrix(place.values, place.labels), 3)
    place.file.write_bytes(bytes(booster.save_raw("ubj")))
    done = place.model("predict", "tarn.yaml")
    assert done.returncode == support.INPUT and "is not JSON" in done.stderr and "save it in Python as .json" in done.stderr, done
