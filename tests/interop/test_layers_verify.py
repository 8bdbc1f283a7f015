"""`tarn verify` and `tarn status` of pipelines: what they say of a lake that is as it should be, that is behind, and that somebody
else changed - DuckDB from PyPI, behind Tarn's back."""

import time

import pytest
import support
from layered import GOLD, KINDS, MODELS, SILVER, VIEW, LayeredLake
from support import DONE, INPUT, NO

BACKENDS = ["sqlite", "duckdb", "file"] if support.LONG else ["sqlite", "file"]


@pytest.fixture(params=BACKENDS)
def lake(request, refreshed):
    return refreshed(request.param)


def verify(lake, expect=DONE):
    """The pipeline's part, its models by name; and that text and JSON agree."""
    answer = lake.json("verify", expect=expect)
    assert [("stream" in a, "pipeline" in a) for a in answer] == [(True, False), (False, True)]
    pipeline = answer[1]
    assert pipeline["passed"] == (not any(m["problem"] for m in pipeline["models"]))
    assert (expect == DONE) == all(a["passed"] for a in answer)
    text = lake.ask("verify", expect=expect).stdout
    assert f"pipeline people: {'verified' if pipeline['passed'] else 'NOT verified'} - " in text
    for model in pipeline["models"]:
        assert not model["problem"] or f"pipeline people: {model['model']}: {model['problem']}" in text
    return pipeline | {"models": {m["model"]: m for m in pipeline["models"]}}


def status(lake):
    stream, pipeline = lake.json("status")
    return stream, pipeline | {"models": {m["model"]: m for m in pipeline["models"]}}


def figures(model, *names):
    return tuple(model[name] for name in names)


# ---- as it should be


def test_a_lake_that_is_right(lake):
    answer = verify(lake)
    silver, gold, kinds, big = (answer["models"][m] for m in ("silver_events", "gold_people", "gold_kinds", "gold_big"))
    # Of each 20 rows one has no subscriber, one is refused by a CAST, two have a low quality.
    assert figures(silver, "rows_in", "rows_out", "quarantined", "filtered", "grouped", "groups") == (200, 160, 10, 30, None, None)
    assert figures(silver, "in_source", "in_table", "in_quarantine", "behind_snapshots") == (200, 160, 10, 0)
    assert figures(gold, "rows_in", "grouped", "groups", "rows_out", "in_source", "in_table") == (160, 160, 7, 7, 160, 7)
    assert figures(kinds, "rows_in", "groups", "rows_out", "in_source", "in_table") == (160, 2, 2, 160, 2)
    assert figures(big, "rows_in", "rows_out", "in_table", "problem", "behind_snapshots") == (None, None, None, "", 0)
    assert (answer["turn"], answer["behind_snapshots"]) == (1, 0)
    assert answer["snapshot"] > 0 or lake.backend == "file"
    assert "verified - 4 of 4 models made\n" in lake.ask("verify").stdout


def test_status_of_a_lake_that_is_right(lake):
    before = time.time()
    stream, pipeline = status(lake)
    assert stream["stream"] == "events" and stream["rows"] == 200 and stream["state"] == "ok"
    assert figures(pipeline, "pipeline", "state", "turn", "behind_snapshots", "behind_seconds") == ("people", "ok", 1, 0, 0)
    silver, gold, big = (pipeline["models"][m] for m in ("silver_events", "gold_people", "gold_big"))
    assert figures(silver, "rows_in", "rows_out", "quarantined", "filtered", "how", "why", "state") == (200, 160, 10, 30, "anew", "it is new", "ok")
    assert silver["filtered_by"] == [{"condition": "quality >= 45", "rows": 20}, {"condition": "who IS NOT NULL", "rows": 10}]
    assert gold["filtered_by"] == [{"condition": "count_star() >= 2", "groups": 0}] and gold["filtered"] == 0
    assert figures(big, "how", "rows_in", "layer", "behind_snapshots") == ("view", None, "gold", 0)
    assert silver["ms"] > 0 and time.mktime(time.strptime(silver["refreshed_at"][:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone < before + 60
    text = lake.ask("status").stdout
    assert "silver_events" in text and "quality >= 45" in text and "who IS NOT NULL" in text


def test_before_the_first_refresh(lake, folder):
    fresh = LayeredLake(lake.backend, folder)
    assert "there is no lake at" in fresh.ask("verify", expect=INPUT).stderr
    fresh.take(40)
    answer = verify(fresh)
    assert answer["passed"] and answer["turn"] == 0
    assert {m["note"] for m in answer["models"].values()} == {"it is new: no refresh has made it yet"}
    _, pipeline = status(fresh)
    assert figures(pipeline, "state", "turn", "refreshed_at", "behind_snapshots") == ("not started", 0, None, 1)
    model = pipeline["models"]["silver_events"]
    assert figures(model, "state", "how", "rows_in", "filtered_by", "behind_snapshots") == ("not made yet", None, None, [], 1)
    assert 0 < model["behind_seconds"] < 600


def test_behind_is_told_and_no_fault(lake):
    lake.take(40)
    time.sleep(0.3)
    lake.take(40)
    answer = verify(lake)
    assert answer["behind_snapshots"] == 2 and answer["models"]["gold_people"]["behind_snapshots"] == 2
    assert answer["models"]["gold_big"]["behind_snapshots"] == 0, "a view is never behind"
    assert figures(answer["models"]["silver_events"], "rows_in", "in_source") == (200, 200), "what it read is as it was then"
    _, pipeline = status(lake)
    assert figures(pipeline, "state", "behind_snapshots") == ("behind", 2)
    first = pipeline["models"]["silver_events"]["behind_seconds"]
    assert 0.3 < first < 600
    assert status(lake)[1]["models"]["silver_events"]["behind_seconds"] > first
    lake.transform()
    assert verify(lake)["behind_snapshots"] == 0
    _, pipeline = status(lake)
    assert figures(pipeline, "state", "behind_snapshots", "behind_seconds", "turn") == ("ok", 0, 0, 2)
    how = "anew" if lake.backend == "file" else "incremental"
    assert figures(pipeline["models"]["silver_events"], "rows_in", "how") == (280, how)


def test_merged_files_and_other_tables_are_no_changes(sqlite):
    sqlite.take(40)
    sqlite.transform()
    sqlite.write_sql("CALL ducklake_merge_adjacent_files('lake')", "CREATE TABLE lake.main.other AS SELECT 1 AS a", "INSERT INTO lake.main.other VALUES (2)")
    assert verify(sqlite)["behind_snapshots"] == 0
    assert status(sqlite)[1]["behind_snapshots"] == 0


def test_a_history_of_refreshes_verifies_after_each(folder, rng):
    lake = LayeredLake("sqlite", folder)
    for _ in range(6):
        lake.take(rng.randrange(1, 60))
        if rng.random() < 0.4:
            who = rng.choice(["p1", "p2", "p3"])
            lake.write_sql(f"DELETE FROM lake.main.bronze_events WHERE who = '{who}' AND id % 3 = 0")
        lake.transform(*rng.choice([[], [], ["--full"], ["--only", "gold_people"], ["--only", "gold_kinds"]]))
        # The stream's part tells of the rows that were deleted.
        done = support.tarn("verify", "tarn.yaml", "--format", "json", folder=lake.folder)
        pipeline = support.json.loads(done.stdout)[1]
        assert pipeline["passed"], pipeline


def test_a_model_that_was_left_out(sqlite):
    """Of two that read silver, one is refreshed with it: the other one is compared with silver as it was."""
    sqlite.take(40)
    sqlite.transform("--only", "gold_kinds")
    answer = verify(sqlite)
    people = answer["models"]["gold_people"]
    assert figures(people, "rows_in", "in_source", "note") == (160, 160, "silver_events was refreshed without it")
    assert (people["behind_snapshots"], answer["models"]["gold_kinds"]["behind_snapshots"]) == (1, 0)
    sqlite.write_sql("UPDATE lake.tarn.models SET rows_in = rows_in + 1, grouped = grouped + 1 WHERE model = 'gold_people'")
    assert verify(sqlite, NO)["models"]["gold_people"]["problem"] == "rows in are 161, and what it read had 160"


# ---- changed behind Tarn's back


def broken(lake, model, *statements):
    """The one problem that these statements make."""
    lake.write_sql(*statements)
    models = verify(lake, NO)["models"]
    assert [name for name, m in models.items() if m["problem"]] == [model]
    return models[model]["problem"]


def test_a_silver_row_is_deleted(lake):
    assert broken(lake, "silver_events", "DELETE FROM lake.main.silver_events WHERE id = 5") == "rows out are 160, and its table has 159"


def test_a_gold_row_is_added(lake):
    assert broken(lake, "gold_people", "INSERT INTO lake.main.gold_people (who) VALUES ('nobody')") == "rows out are 7, and its table has 8"


def test_a_quarantined_row_is_deleted(lake):
    found = broken(lake, "silver_events", "DELETE FROM lake.tarn.quarantined_rows WHERE source_row LIKE '%\"id\":21,%'")
    assert found == "10 rows were quarantined, and tarn.quarantined_rows has 9"


def test_a_quarantined_row_is_added(lake):
    found = broken(lake, "gold_kinds", "INSERT INTO lake.tarn.quarantined_rows (pipeline, model) VALUES ('people', 'gold_kinds'), ('other', 'gold_kinds')")
    assert found == "0 rows were quarantined, and tarn.quarantined_rows has 1"


COUNTS = {
    "rows_in": ("silver_events", "rows_in = rows_in + 1",
                "201 rows in are not 160 out + 10 quarantined + 30 filtered; rows in are 201, and what it read had 200"),
    "rows_in and filtered": ("silver_events", "rows_in = 203, filtered = '23,10'", "rows in are 203, and what it read had 200"),
    "rows_out": ("silver_events", "rows_out = rows_out - 1", None),
    "filtered": ("silver_events", "filtered = '19,10'", "200 rows in are not 160 out + 10 quarantined + 29 filtered"),
    "quarantined": ("silver_events", "quarantined = 11, filtered = '19,10'", "11 rows were quarantined, and tarn.quarantined_rows has 10"),
    "groups": ("gold_people", "groups = groups - 1", "6 groups are not 7 rows out + 0 that HAVING left out"),
    "having": ("gold_people", "filtered = '1'", "7 groups are not 7 rows out + 1 that HAVING left out"),
    "grouped": ("gold_people", "grouped = grouped - 1", "160 rows in are not 159 grouped + 0 quarantined + 0 filtered"),
    "all of gold": ("gold_people", "rows_in = 161, grouped = 161", "rows in are 161, and what it read had 160"),
    "turn": ("gold_kinds", "turn = 9", "it is of refresh 9, and the pipeline's last one is 1"),
    "hash": ("gold_kinds", "hash = 'other'", "stale: its file changed since it was made; `tarn transform` makes it anew"),
}


@pytest.mark.sample(4)
@pytest.mark.parametrize("name", COUNTS)
def test_a_count_is_changed(refreshed, name):
    lake = refreshed("file")
    model, change, problem = COUNTS[name]
    lake.write_sql(f"UPDATE lake.tarn.models SET {change} WHERE model = '{model}'")
    models = verify(lake, NO)["models"]
    if problem:
        assert models[model]["problem"] == problem and not any(m["problem"] for n, m in models.items() if n != model)
    else:
        assert models[model]["problem"] == "200 rows in are not 159 out + 10 quarantined + 30 filtered; rows out are 159, and its table has 160"
        assert all("what it read had 159" in models[m]["problem"] for m in ("gold_people", "gold_kinds"))


def test_a_row_of_models_is_there_twice(sqlite):
    assert broken(sqlite, "gold_kinds", "INSERT INTO lake.tarn.models SELECT * FROM lake.tarn.models WHERE model = 'gold_kinds'") \
        == "tarn.models has several rows of it"


def test_a_table_is_dropped(lake):
    assert broken(lake, "gold_people", "DROP VIEW lake.main.gold_big", "DROP TABLE lake.main.gold_people",
                  "CREATE VIEW lake.main.gold_big AS SELECT 1 AS a") == "its table is not there; `tarn transform --full` makes it anew"


def test_a_view_is_dropped(lake):
    assert broken(lake, "gold_big", "DROP VIEW lake.main.gold_big") == "its view is not there; `tarn transform --full` makes it anew"


def test_bronze_is_changed(lake):
    """That is the stream's to prove; to the layers it is a change to follow."""
    lake.write_sql("DELETE FROM lake.main.bronze_events WHERE id = 7")
    models = verify(lake, NO)["models"]
    assert not any(m["problem"] for m in models.values())
    if lake.backend == "file":
        assert models["silver_events"]["note"] == "bronze_events has 199 rows now"
    else:
        assert models["silver_events"]["behind_snapshots"] == 1


# ---- files


def test_a_file_that_changed(lake):
    lake.write_model("gold/gold_kinds", KINDS + " HAVING count(*) > 1")
    models = verify(lake, NO)["models"]
    assert models["gold_kinds"]["problem"] == "stale: its file changed since it was made; `tarn transform` makes it anew"
    assert not any(m["problem"] for n, m in models.items() if n != "gold_kinds")
    _, pipeline = status(lake)
    assert (pipeline["state"], pipeline["models"]["gold_kinds"]["state"]) == ("outdated", "outdated")
    lake.transform()
    assert verify(lake)["passed"]


def test_a_file_that_is_new_and_one_that_is_gone(lake):
    (lake.folder / "models/gold/gold_kinds.sql").rename(lake.folder / "models/gold/gold_sorts.sql")
    models = verify(lake)["models"]
    assert figures(models["gold_sorts"], "rows_in", "note") == (None, "it is new: no refresh has made it yet")
    assert figures(models["gold_kinds"], "rows_in", "rows_out", "in_table", "in_source", "behind_snapshots") == (160, 2, 2, None, None)
    assert models["gold_kinds"]["note"] == "its file is gone: nothing refreshes its table any more"
    _, pipeline = status(lake)
    assert {n: m["state"] for n, m in pipeline["models"].items()} == {
        "silver_events": "ok", "gold_people": "ok", "gold_big": "ok", "gold_sorts": "not made yet", "gold_kinds": "file gone"}
    assert broken(lake, "gold_kinds", "DELETE FROM lake.main.gold_kinds WHERE kind = 'buy'") == "rows out are 2, and its table has 1"


def test_models_that_are_mistaken(lake):
    lake.write_model("gold/gold_kinds", "SELECT FROM")
    for command in ("verify", "status"):
        done = lake.ask(command, expect=INPUT)
        assert "pipeline people: " in done.stderr and "gold_kinds.sql:1: " in done.stderr
        assert "bronze_events" in done.stdout or "stream events" in done.stdout, "what can be told of the streams is"


def test_a_snapshot_that_expired(sqlite):
    sqlite.take(40)
    sqlite.write_sql("CALL ducklake_expire_snapshots('lake', older_than => now())")
    models = verify(sqlite)["models"]
    assert models["silver_events"]["in_source"] is None and "has expired" in models["silver_events"]["note"]
    assert broken(sqlite, "silver_events", "DELETE FROM lake.main.silver_events WHERE id = 5") == "rows out are 160, and its table has 159"


# ---- other shapes of models and manifests


def test_joins_views_and_what_runs_as_it_is(folder):
    lake = LayeredLake("sqlite", folder, models=MODELS | {
        "bronze/bronze_view": "-- materialized: view\nSELECT * FROM bronze_events",
        "silver/silver_of_view": "SELECT id, who FROM bronze_view WHERE who IS NOT NULL",
        "silver/silver_pairs": "SELECT a.id, b.id AS other FROM bronze_events a JOIN bronze_events b ON a.id = b.id + 1 WHERE a.id > 3",
        "gold/gold_top": "SELECT who, sum(amount) AS s FROM silver_events GROUP BY who ORDER BY s DESC LIMIT 3",
        "gold/gold_all": "SELECT count(*) AS n FROM silver_events"})
    lake.take()
    lake.transform()
    models = verify(lake)["models"]
    assert figures(models["silver_of_view"], "rows_in", "in_source", "in_table", "filtered") == (200, None, 190, 10)
    assert figures(models["silver_pairs"], "rows_in", "in_source", "in_table") == (199, None, 197)
    assert figures(models["gold_top"], "rows_in", "rows_out", "in_table") == (3, 3, 3)
    assert models["gold_all"]["in_table"] == 1
    lake.take(40)
    assert status(lake)[1]["models"]["silver_of_view"]["behind_snapshots"] == 1, "through the view"


@pytest.mark.timeout(300)
def test_what_runs_as_it_is_though_it_reads_one_table(folder):
    """Its rows in are those that came out: they are compared with nothing."""
    models = {"silver/silver_alias": "SELECT CAST(id AS INTEGER) AS n, n + 1 AS m FROM bronze_events WHERE id > 5",
              "silver/silver_parts": "SELECT id, unnest(['a', who]) AS part FROM bronze_events WHERE who IS NOT NULL",
              "gold/gold_kinds": "SELECT upper(kind) AS kind, count(*) AS n FROM bronze_events GROUP BY kind",
              "gold/gold_often": "SELECT upper(kind) AS kind, count(*) AS n FROM bronze_events GROUP BY kind HAVING count(*) > 1",
              "gold/gold_apart": "SELECT kind, count(*) AS n FROM bronze_events GROUP BY kind"}
    lake = LayeredLake("sqlite", folder, models={name: "-- materialized: incremental\n" + sql for name, sql in models.items()})
    for taken in (200, 240):
        lake.take(200 if taken == 200 else 40)
        lake.transform()
        models = verify(lake)["models"]
        assert {n: figures(m, "rows_in", "rows_out", "in_source", "in_table") for n, m in models.items()} == {
            "silver_alias": (taken - 5, taken - 5, None, taken - 5), "silver_parts": (taken * 19 // 10, taken * 19 // 10, None, taken * 19 // 10),
            "gold_kinds": (2, 2, None, 2), "gold_often": (2, 2, None, 2), "gold_apart": (taken, 2, taken, 2)}
    assert broken(lake, "gold_kinds", "DELETE FROM lake.main.gold_kinds WHERE kind = 'BUY'") == "rows out are 2, and its table has 1"


def test_manifests_without_streams_and_with_two_pipelines(sqlite):
    documents = sqlite.documents()
    second = support.yaml.safe_load(support.yaml.safe_dump(documents[2]))
    second["metadata"]["name"], second["spec"]["models"] = "second", "second"
    folder = sqlite.folder / "second" / "gold"
    folder.mkdir(parents=True)
    (folder / "second_kinds.sql").write_text("SELECT kind, count(*) AS n FROM silver_events GROUP BY kind")
    sqlite.manifest.write_text(support.yaml.safe_dump_all([documents[0], documents[2], second]))
    answer = sqlite.json("verify")
    assert [(a["pipeline"], a["passed"]) for a in answer] == [("people", True), ("second", True)]
    assert [a["pipeline"] for a in sqlite.json("status")] == ["people", "second"]
    assert sqlite.json("status")[1]["models"][0]["behind_snapshots"] == 1, "silver's snapshot: of another pipeline it is a source"
    sqlite.ask("transform")
    assert all(a["passed"] and a["behind_snapshots"] == 0 for a in sqlite.json("verify"))
    sqlite.manifest.write_text(support.yaml.safe_dump_all(documents[:2]))
    assert [set(a) & {"stream", "pipeline"} for a in sqlite.json("verify") + sqlite.json("status")] == [{"stream"}, {"stream"}]


def test_names_are_whatever_they_are(folder):
    lake = LayeredLake("sqlite", folder, models={"silver/Silver_Events": SILVER, "gold/gold_people": GOLD.replace("silver_events", "SILVER_events"),
                                                 "gold/gold_big": VIEW})
    lake.take()
    lake.transform()
    answer = verify(lake)
    assert figures(answer["models"]["Silver_Events"], "in_source", "in_table") == (200, 160)
    assert figures(answer["models"]["gold_people"], "in_source", "in_table") == (160, 7)
