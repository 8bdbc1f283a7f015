"""`tarn quarantine --model`: the rows that a model refused, looked at, replayed through the model when it is mended, and discarded
for good; read by DuckDB from PyPI."""

import json

import pytest
import support
from layered import SILVER, LayeredLake
from layers import Pipeline
from support import DONE, INPUT, NO, USAGE

BACKENDS = ["sqlite", "duckdb", "file"] if support.LONG else ["sqlite", "file"]
MENDED = SILVER.replace("CAST(amount AS INTEGER)", "CAST(nullif(amount, 'n/a') AS INTEGER)")
OF_SILVER = ("--model", "silver_events")


@pytest.fixture(params=BACKENDS)
def lake(request, refreshed):
    return refreshed(request.param)


def quarantine(lake, verb, *arguments, expect=DONE, json_=True):
    form = ["--format", "json"] if json_ else []
    done = support.tarn("quarantine", verb, "tarn.yaml", *OF_SILVER, *form, *arguments, folder=lake.folder)
    assert done.returncode == expect, f"quarantine {verb} ended with {done.returncode}: {done.stdout}\n{done.stderr}"
    return json.loads(done.stdout) if json_ and done.returncode in (DONE, NO) else done.stdout + done.stderr


def rows(lake, condition="true"):
    with lake.connect() as con:
        return con.execute(f"SELECT source_row, \"column\", \"text\", reason, because FROM lake.tarn.quarantined_rows WHERE {condition} "
                           "ORDER BY source_row").fetchall()


def silver(lake):
    with lake.connect() as con:
        return con.execute("SELECT id, amount FROM lake.silver_events ORDER BY id").fetchall()


def counts(lake):
    """As `tarn verify` has them, which must pass."""
    model = next(m for m in lake.json("verify")[1]["models"] if m["model"] == "silver_events")
    return tuple(model[name] for name in ("rows_in", "rows_out", "quarantined", "filtered", "in_quarantine"))


def test_list(lake):
    listed = quarantine(lake, "list")
    assert len(listed) == 10 and {r["column"] for r in listed} == {"amount"} and {r["text"] for r in listed} == {"n/a"}
    assert {(r["pipeline"], r["model"], r["source_table"], r["reason"]) for r in listed} == {
        ("people", "silver_events", "main.bronze_events", "is not of type INTEGER")}
    assert sorted(r["source_row"]["id"] for r in listed) == list(range(1, 200, 20))
    assert len(quarantine(lake, "list", "--limit", "3")) == 3
    assert quarantine(lake, "list", "--reason", "no such reason") == [] and len(quarantine(lake, "list", "--reason", "amount: n/a")) == 10
    assert len(quarantine(lake, "list", "--since", "1h")) == 10
    text = quarantine(lake, "list", json_=False)
    assert "In all, by column and reason:" in text and "is not of type INTEGER" in text


def test_messages_mention_rows_of_models(sqlite):
    done = support.tarn("quarantine", "list", "tarn.yaml", folder=sqlite.folder)
    assert done.returncode == DONE and "Models have 10 rows in quarantine" in done.stdout


def test_replay_of_a_model_that_is_as_it_was(lake):
    answer = quarantine(lake, "replay", expect=NO)
    assert answer == {"model": "silver_events", "replayed": 0, "left": 10, "snapshot": None, "dry_run": False}
    assert (f"nothing left: 10 rows stay in quarantine; mend {lake.folder}/models/silver/silver_events.sql, then replay"
            in quarantine(lake, "replay", expect=NO, json_=False))
    assert len(rows(lake)) == 10 and counts(lake) == (200, 160, 10, 30, 10)


def test_replay_of_a_model_that_was_mended(lake):
    before = silver(lake)
    lake.write_model("silver/silver_events", MENDED)
    assert quarantine(lake, "replay", "--dry-run") == {"model": "silver_events", "replayed": 10, "left": 0, "snapshot": None, "dry_run": True}
    assert silver(lake) == before and len(rows(lake)) == 10, "a rehearsal changed the lake"
    answer = quarantine(lake, "replay")
    assert (answer["replayed"], answer["left"]) == (10, 0) and (answer["snapshot"] is None) == (lake.backend == "file")
    assert silver(lake) == sorted(before + [(i, None) for i in range(1, 200, 20)])
    assert rows(lake) == [] and counts(lake) == (200, 170, 0, 30, 0)
    if lake.backend != "file":
        with lake.connect() as con:
            at = con.execute(f"SELECT (SELECT count(*) FROM lake.silver_events AT (VERSION => {answer['snapshot'] - 1})), "
                             f"(SELECT count(*) FROM lake.tarn.quarantined_rows AT (VERSION => {answer['snapshot'] - 1}))").fetchone()
        assert at == (160, 10), "promotion and removal are one commit"


def test_replay_that_mends_some(lake):
    lake.write_model("silver/silver_events", MENDED.replace("'n/a')", "CASE WHEN id < 100 THEN 'n/a' END)"))
    answer = quarantine(lake, "replay", expect=NO)
    assert (answer["replayed"], answer["left"]) == (5, 5)
    assert [json.loads(r[0])["id"] for r in rows(lake)] == [101, 121, 141, 161, 181] and counts(lake) == (200, 165, 5, 30, 5)


def test_discard(lake):
    assert quarantine(lake, "discard", "--dry-run") == {"discarded": 10, "dry_run": True}
    assert quarantine(lake, "discard", "--because", "a test", "--reason", "nothing like it") == {"discarded": 0, "dry_run": False}
    assert rows(lake, "because IS NOT NULL") == []
    before = silver(lake)
    assert quarantine(lake, "discard", "--because", "it's a test") == {"discarded": 10, "dry_run": False}
    assert quarantine(lake, "list") == [] and quarantine(lake, "discard", "--because", "again") == {"discarded": 0, "dry_run": False}
    assert {r[4] for r in rows(lake)} == {"it's a test"} and silver(lake) == before and counts(lake) == (200, 160, 10, 30, 10)
    # More events: those that are refused now are not discarded. Nor are those that were before, when all is made anew.
    lake.take()
    lake.transform()
    assert len(quarantine(lake, "list")) == 10 and counts(lake) == (400, 320, 20, 60, 20)
    lake.transform("--full")
    assert sorted(r["source_row"]["id"] for r in quarantine(lake, "list")) == list(range(201, 400, 20))
    assert len(rows(lake, "because = 'it''s a test'")) == 10 and counts(lake) == (400, 320, 20, 60, 20)
    # A model that takes them has them: what was discarded is the refusal.
    lake.write_model("silver/silver_events", MENDED)
    answer = quarantine(lake, "replay")
    assert (answer["replayed"], answer["left"]) == (20, 0) and rows(lake) == [] and counts(lake) == (400, 340, 0, 60, 0)


def test_equal_rows_are_discarded_as_often_as_it_was_said(sqlite):
    """Rows that differ in nothing that the source has."""
    twins = SILVER.replace("FROM bronze_events", "FROM twins")
    sqlite.write_sql("CREATE TABLE lake.twins AS SELECT 1::BIGINT AS id, 'p' AS who, 'buy' AS kind, 'n/a' AS amount, 90 AS quality, "
                     "'{}'::JSON AS raw FROM range(3)")
    sqlite.write_model("silver/silver_events", twins)
    sqlite.transform()
    assert quarantine(sqlite, "discard", "--because", "all three") == {"discarded": 3, "dry_run": False}
    sqlite.write_sql("INSERT INTO lake.twins SELECT * FROM lake.twins LIMIT 2")
    sqlite.transform()
    for more in ([], ["--full"]):
        sqlite.transform(*more)
        assert len(quarantine(sqlite, "list")) == 2 and len(rows(sqlite)) == 5
    sqlite.write_sql("DELETE FROM lake.twins")
    sqlite.transform()
    assert rows(sqlite) == [] and counts(sqlite) == (0, 0, 0, 0, 0)


@pytest.mark.parametrize("point", ["refresh.commit:1", "refresh.model:1", "commit.before:1", "commit.after:1", "begin.after:1"][: None if support.LONG else 1])
@pytest.mark.parametrize("verb", ["replay", "discard"])
def test_killed(sqlite, verb, point):
    sqlite.write_model("silver/silver_events", MENDED)
    arguments = ["--because", "a test"] if verb == "discard" else []
    before = silver(sqlite), rows(sqlite)
    support.tarn("quarantine", verb, "tarn.yaml", *OF_SILVER, *arguments, folder=sqlite.folder, environment={"TARN_FAULT": f"{point}:kill"})
    after = silver(sqlite), rows(sqlite)
    assert after == before or (len(after[0]) == 170 and not after[1] if verb == "replay" else len(rows(sqlite, "because = 'a test'")) == 10)
    quarantine(sqlite, verb, *arguments)
    quarantine(sqlite, "replay")
    assert rows(sqlite) == [] and counts(sqlite) == (200, 170, 0, 30, 0)


@pytest.mark.sample(3)
@pytest.mark.parametrize("arguments, expect, told", [
    (["list", "tarn.yaml", "--model", "m", "--stream", "events"], USAGE, "--model is of rows"),
    (["list", "tarn.yaml", "test/1", "--model", "m"], USAGE, "--model is of rows"),
    (["show", "tarn.yaml", "test/1:2", "--model", "m"], USAGE, "quarantine show has no option --model"),
    (["replay", "tarn.yaml", "--model", "m", "--reason", "x"], USAGE, "leave out --reason and --since"),
    (["discard", "tarn.yaml", "--model", "m"], USAGE, "say why"),
    (["replay", "tarn.yaml", "--model", "nothing"], INPUT, "has a model nothing"),
    (["discard", "tarn.yaml", "--model", "nothing", "--because", "x"], INPUT, "has a model nothing"),
])
def test_mistakes(sqlite, arguments, expect, told):
    done = support.tarn("quarantine", *arguments, folder=sqlite.folder)
    assert (done.returncode, told in done.stderr) == (expect, True), done.stderr


def test_nothing_was_refreshed(session_folder):
    lake = LayeredLake("sqlite", session_folder)
    lake.take()
    assert "no pipeline was refreshed yet" in quarantine(lake, "list", expect=INPUT)


def test_a_where_that_means_an_alias(session_folder):
    """Where a source has no column n, `WHERE n` means the SELECT's own n: a row that its CAST refuses must not pass for filtered."""
    p = Pipeline(session_folder)
    p.write("CREATE TABLE bronze AS FROM (VALUES (1, '7'), (2, 'abc'), (3, NULL)) t(id, num)")
    p.model("s", "SELECT id, CAST(num AS INTEGER) AS n FROM bronze WHERE CAST(num AS INTEGER) IS NOT NULL")
    done = p.refresh()["s"]
    assert (done["rows_out"], done["quarantined"], done["filtered"]) == (1, 1, 1)
    p.model("s", "SELECT id, CAST(num AS INTEGER) AS n FROM bronze WHERE n IS NOT NULL")
    assert "Could not convert string 'abc'" in p.refused()
    # A column comes before an alias.
    p.model("s", "SELECT id, CAST(num AS INTEGER) AS num FROM bronze WHERE num IS NOT NULL")
    done = p.refresh()["s"]
    assert (done["rows_out"], done["quarantined"], done["filtered"]) == (1, 1, 1)
