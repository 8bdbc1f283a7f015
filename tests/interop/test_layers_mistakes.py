"""Bad pipelines: each is told with the file, the line where there is one, and what would be right; and changes nothing."""

import os

import pytest
import yaml
from layers import API, Pipeline

INCREMENTAL = "materialized: incremental"  # line 1 of each file, so the SQL begins in line 2
CASES = {
    "cycle": ([("a", "SELECT * FROM b"), ("b", "SELECT *\nFROM a")], "reads itself in a circle: "),
    "reads_itself": ([("a", "SELECT * FROM a")], "silver/a.sql:2: reads itself in a circle: a reads a"),
    "cycle_through_a_view": ([("a", "SELECT * FROM v"), ("v", "SELECT * FROM a", "materialized: view")], "reads itself in a circle"),
    "unknown_table": ([("a", "SELECT id\nFROM nothing")], "silver/a.sql:3: there is no table nothing; would be a model of this pipeline"),
    "unknown_schema": ([("a", "SELECT * FROM other.bronze")], "silver/a.sql:2: there is no table other.bronze"),
    "unknown_column": ([("a", "SELECT id,\n nope FROM bronze")], 'silver/a.sql:3: Binder Error: Referenced column "nope" not found'),
    "unknown_function": ([("a", "SELECT id,\n nope(id) AS x FROM bronze")], "silver/a.sql:3: Catalog Error: Scalar Function with name nope"),
    "types_that_do_not_go_together": ([("a", "SELECT id,\n\n k + DATE '2026-01-01' + [1] AS x FROM bronze")], "silver/a.sql:4: Binder Error"),
    "syntax": ([("a", "SELECT id,\nFROM FROM bronze")], 'silver/a.sql:3: syntax error at or near "FROM"'),
    "two_of_one_name": ([("a", "SELECT id FROM bronze"), ("A", "SELECT id FROM bronze", INCREMENTAL, "gold")],
                        "gold/A.sql:1: makes the table A, which"),
    "the_name_of_another_table": ([("bronze", "SELECT 1 AS id")], "silver/bronze.sql: there is a table bronze already"),
    "no_name_of_a_table": ([("1 a", "SELECT 1 AS id")], "silver/1 a.sql:1: its name is no name of a table"),
    "insert": ([("a", "INSERT INTO bronze SELECT * FROM bronze")], "silver/a.sql:1: is not a SELECT"),
    "create": ([("a", "CREATE TABLE x AS SELECT 1")], "silver/a.sql:1: is not a SELECT"),
    "copy": ([("a", "COPY bronze TO '/tmp/x.csv'")], "silver/a.sql:1: is not a SELECT"),
    "attach": ([("a", "ATTACH 'x.db'")], "silver/a.sql:1: is not a SELECT"),
    "drop_behind_a_select": ([("a", "SELECT 1 AS id; DROP TABLE bronze")], "silver/a.sql:1: is not a SELECT"),
    "two_selects": ([("a", "SELECT 1 AS id;\nSELECT 2 AS id")], "silver/a.sql:1: has several statements"),
    "nothing": ([("a", "")], "silver/a.sql:1: has no statement"),
    "no_utf8": ([("a", b"SELECT '\xff' AS id")], "silver/a.sql:1: the statement is not UTF-8"),
    "a_zero_byte": ([("a", b"SELECT 1\x00 AS id")], "silver/a.sql: has a byte 0 in it"),
    "hidden_table": ([("a", "SELECT * FROM query_table('bronze')")], "silver/a.sql: calls query_table(), which hides what the model reads; write the table's name"),
    "parameter": ([("a", "SELECT $1 AS id")], "silver/a.sql: Binder Error"),
    "unknown_option": ([("a", "SELECT 1 AS id", "materialised: table")], "silver/a.sql:1:4: materialised: is not a field of Model; did you mean 'materialized'?"),
    "bad_option": ([("a", "SELECT 1 AS id", "materialized: sometimes")], "silver/a.sql:1:18: materialized: 'sometimes' is not known"),
    "bad_yaml": ([("a", "SELECT 1 AS id", "materialized: [table")], "silver/a.sql:2:1: YAML: "),
    "a_test_of_no_column": ([("a", "SELECT 1 AS id", "tests:\n  - {check: not_null, columns: [nope]}")],
                            "silver/a.sql:2: expectation not_null(nope): there is no column nope in a; would be one of id"),
    "a_test_that_cannot_run": ([("a", "SELECT 1 AS id", "tests:\n  - {check: sql, sql: SELECT * FROM nowhere}")], "silver/a.sql:2: expectation sql: "),
    "a_test_that_writes": ([("a", "SELECT 1 AS id", "tests:\n  - {check: sql, sql: DELETE FROM bronze}")], "silver/a.sql:2: expectation sql: "),
    "a_range_of_texts": ([("a", "SELECT 'x' AS k", "tests:\n  - {check: range, columns: [k], minimum: 1}")], "silver/a.sql:2: expectation range(k)"),
    "a_key_that_is_no_column": ([("a", "SELECT 1 AS id", "key: [nope]")], "silver/a.sql:1: expectation key (not_null): there is no column nope in a"),
    "a_row_that_fails": ([("a", "SELECT id,\n error('boom') AS x\nFROM bronze")], "boom"),
}


@pytest.fixture(scope="module")
def pipeline(session_folder):
    p = Pipeline(session_folder)
    p.write("CREATE TABLE bronze AS SELECT 1 AS id, 'a' AS k, '7' AS num")
    # Tarn's own tables are there from the first refresh on.
    p.model("good", "SELECT id FROM bronze")
    p.refresh()
    return p


@pytest.mark.sample(6)
@pytest.mark.parametrize("name", CASES)
def test_mistake(pipeline, name):
    p, (models, told) = pipeline, CASES[name]
    files = [p.model(model, sql, **dict(zip(("options", "layer"), more))) for model, sql, *more in models]
    try:
        message = p.refused()
    finally:
        for file in files:
            file.unlink()
    assert told in message and str(p.models) in message, message
    assert p.read("SELECT count(*) FROM bronze") == [(1,)] and p.read("SELECT * FROM good") == [(1,)]


def test_a_folder_that_is_not_there(session_folder):
    p = Pipeline(session_folder)
    p.write("CREATE TABLE bronze AS SELECT 1 AS id")
    p.models.rmdir()
    assert "models" in p.refused()


# ---- the table of scores


def scoring(p, scores, *streams):
    """The pipeline's manifest, with a model whose scores are to be that table, and streams behind it."""
    documents = [d for d in yaml.safe_load_all(p.manifest.read_text()) if d["kind"] != "DuckLakeStream"]
    documents[-1]["spec"]["model"] = {"name": "m", "file": "m.json", "training": "SELECT id, k FROM bronze", "key": ["id"], "label": "k", "scores": scores}
    documents += [{"apiVersion": API, "kind": "DuckLakeStream", "metadata": {"name": table.lower().replace(".", "-")},
                   "spec": {"table": table, "format": "json", "source": {"files": "in/*.json"}}} for table in streams]
    p.manifest.write_text(yaml.safe_dump_all(documents))
    line = next(i for i, text in enumerate(p.manifest.read_text().splitlines(), 1) if "scores:" in text)
    return f"tarn.yaml:{line}:"


@pytest.mark.parametrize("scores, streams, told", [
    ("tarn.models", [], "is in a schema that Tarn keeps for itself"), ("TARN_layers.x", [], "is in a schema that Tarn keeps for itself"),
    ("events", ["other", "Events"], "is the table of stream 'events' at line"), ("raw.events", ["raw.events"], "is the table of stream 'raw-events' at line"),
    ("main.events", ["events"], "is the table of stream 'events' at line")])
def test_scores_in_the_place_of_another_table(session_folder, scores, streams, told):
    p = Pipeline(session_folder)
    p.write("CREATE TABLE bronze AS SELECT 1 AS id, 1 AS k")
    p.model("good", "SELECT id FROM bronze")
    place = scoring(p, scores, *streams)
    message = p.refused()
    assert place in message and "spec.model.scores: " + told in message, message


@pytest.mark.parametrize("scores", ["good", "main.GOOD"])
def test_scores_in_the_place_of_a_model(session_folder, scores):
    p = Pipeline(session_folder)
    p.write("CREATE TABLE bronze AS SELECT 1 AS id, 1 AS k")
    p.model("good", "SELECT id FROM bronze")
    scoring(p, scores)
    message = p.refused()
    assert "silver/good.sql:1: makes the table good, which spec.model.scores of pipeline p names as well" in message, message
    scoring(p, "gold.good")
    assert p.refresh()["good"]["rows_out"] == 1


# ---- files that are none, or begin with something else


def test_a_pipe_among_the_models(session_folder):
    p = Pipeline(session_folder)
    p.write("CREATE TABLE bronze AS SELECT 1 AS id")
    p.model("good", "SELECT id FROM bronze")
    p.refresh()
    os.mkfifo(p.models / "silver" / "pipe.sql")
    assert "silver/pipe.sql: cannot be read: it is no file" in p.refused()
    (p.models / "silver" / "pipe.sql").unlink()
    (p.models / "silver" / "pipe.sql").mkdir()
    assert "silver/pipe.sql: cannot be read: it is no file" in p.refused()


BEGINNINGS = {"byte_order_mark": "\ufeff", "comment": "/* (c) 2026\n   -- key: [nope]\n*/\n\n", "comment_in_a_comment": "/* a /* b */ -- materialized: view\n é */\n",
              "comments": "-- people's\n/* one */ /* two */  \n/**/\n", "all": "\ufeff  /* one */\r\n"}


@pytest.mark.parametrize("name", BEGINNINGS)
def test_options_behind_what_is_not_of_them(session_folder, name):
    """They count, and their mistakes are told with their line."""
    p = Pipeline(session_folder)
    p.write("CREATE TABLE bronze AS SELECT 1 AS id, 'a' AS k")
    before = BEGINNINGS[name]
    for model, sql in (("rows", "SELECT id FROM bronze"), ("whole", "SELECT DISTINCT id FROM bronze")):
        p.model(model, (before + "-- materialized: table\n-- key: [id]\n" + sql).encode())
    p.refresh()
    assert p.read('SELECT table_name, "check" FROM tarn.expectations ORDER BY ALL') == [
        (model, check) for model in ("rows", "whole") for check in ("not_null", "unique")]
    p.model("rows", (before + "-- materialized: table\n-- key: [nope]\nSELECT id FROM bronze").encode())
    assert f"silver/rows.sql:{before.count(chr(10)) + 2}: expectation key (not_null): there is no column nope" in p.refused()
    p.model("rows", (before + "-- materialised: table\nSELECT id FROM bronze").encode())
    assert f"silver/rows.sql:{before.count(chr(10)) + 1}:4: materialised: is not a field of Model" in p.refused()


def test_options_behind_a_comment_on_their_line(session_folder):
    p = Pipeline(session_folder)
    p.write("CREATE TABLE bronze AS SELECT 1 AS id")
    p.model("a", "SELECT 2 AS id")
    p.refresh()
    p.model("a", b"/* one */ -- key: [nope]\nSELECT id FROM bronze")
    assert "silver/a.sql:1: expectation key (not_null)" in p.refused()
    p.model("a", b"-- materialized: view\rSELECT id FROM bronze")
    assert p.refresh()["a"]["how"] == "view"
    p.model("a", b"/* one\nSELECT id FROM bronze")
    assert "silver/a.sql:" in p.refused() and "unterminated /* comment" in p.refused()
    p.model("a", b"SELECT id FROM bronze /* one */\n-- materialized: view\n")
    assert p.refresh()["a"]["how"] == "anew"
