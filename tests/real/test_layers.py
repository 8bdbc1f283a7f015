"""A pipeline on every backend: killed and failing at each point of a refresh, refreshed by two at once, and beside a stream.

The stream reads files, so that what is in bronze is known; the layers are compared with what another DuckDB makes of bronze."""

import json
import re
import signal
import subprocess

import pytest

import support
from support import DONE, Lake, places

POINTS = [p for p in re.findall(r'^FAULT_POINT\(\w+, "([^"]+)"', (support.ROOT / "src/base/fault.def").read_text(), re.MULTILINE)
          if p.startswith(("refresh.", "begin.", "commit."))]

SILVER = """-- materialized: incremental
SELECT id, upper(who) AS who, CAST(amount AS DECIMAL(12, 2)) AS amount, CAST(ratio AS DOUBLE) AS ratio
FROM bronze_events
WHERE quality >= 45 AND who IS NOT NULL
"""
GOLD = """-- materialized: incremental
-- key: [who]
SELECT who, count(*) AS events, sum(amount) AS amount, avg(ratio) AS ratio, max(amount) AS most
FROM silver_events GROUP BY who HAVING count(*) >= 2
"""
COLUMNS = [{"name": "id", "type": "bigint"}, {"name": "who"}, {"name": "amount"}, {"name": "ratio"},
           {"name": "quality", "type": "integer"}]


class LayeredLake(Lake):
    """Files -> bronze_events -> silver_events -> gold_people."""

    def documents(self, group=None, properties=None):
        catalog, stream = super().documents(group, properties)
        stream["spec"] = {"table": "bronze_events", "format": "json", "json": {"columns": COLUMNS}, "memory": "64Mi",
                          "source": {"files": "in/*.json", "settle": "0s", "poll": "200ms"}, "commit": {"freshness": "200ms"}}
        documents = [catalog, stream]
        if self.pipeline:
            documents.append({"apiVersion": stream["apiVersion"], "kind": "DuckLakePipeline", "metadata": {"name": "people"},
                              "spec": {"models": "models", "refresh": {"on": self.pipeline}, "memory": "128Mi"}})
        return documents

    def __init__(self, backend, folder, processes, server=None, store=None):
        self.pipeline, self.files, self.ids = None, 0, 0
        super().__init__(backend, folder, "none", "none", processes, server, store=store)
        self.bronze_manifest = self.write("bronze.yaml")
        self.pipeline = "commit"
        self.manifest = self.write()
        self.pipeline = "manual"
        self.by_hand = self.write("by-hand.yaml")
        for layer, name, text in (("silver", "silver_events", SILVER), ("gold", "gold_people", GOLD)):
            (self.folder / "models" / layer).mkdir(parents=True)
            (self.folder / "models" / layer / f"{name}.sql").write_text(text)
        (self.folder / "in").mkdir()

    def put_file(self, rng, rows, people=("a", "B", "c", "D", "e")):
        lines = []
        for _ in range(rows):
            self.ids += 1
            lines.append(json.dumps({"id": self.ids, "who": rng.choice([*people, None]),
                                     "amount": rng.choice(["1.25", "77", "n/a", "-3.10", None]),
                                     "ratio": rng.choice(["0.1", "0.2", "1e300", "-1e300", "x", "nan"]), "quality": rng.randrange(30, 100)}))
        self.files += 1
        path = self.folder / "in" / f"{self.files:04}.json"
        path.with_suffix(".tmp").write_text("\n".join(lines) + "\n")
        path.with_suffix(".tmp").rename(path)

    def take_files(self):
        process = support.Process(["run", str(self.bronze_manifest), "--once"], self.folder, None, self.environment)
        self.processes.append(process)
        assert process.wait(60) == DONE, process.tail()

    def transform(self, *arguments, faults=None, timeout_s=60):
        environment = {k: v for k, v in support.os.environ.items() if k != "TARN_FAULT"} | self.environment
        return subprocess.run([support.TARN, "transform", str(self.by_hand), "--format", "json", *arguments], capture_output=True, text=True,
                              timeout=timeout_s, cwd=self.folder, env=environment | ({"TARN_FAULT": faults} if faults else {}))

    def layers(self):
        """What is in silver and gold, as one value; None where they are not there."""
        tables = [r[0] for r in self.read("SELECT table_name FROM information_schema.tables WHERE table_catalog = 'lake' AND table_schema = 'main'")]
        if "gold_people" not in tables or "silver_events" not in tables:
            assert "gold_people" not in tables and "silver_events" not in tables, f"one layer without the other: {tables}"
            return None
        return self.read("SELECT (SELECT list(s ORDER BY id) FROM lake.silver_events s), (SELECT list(g ORDER BY who) FROM lake.gold_people g)")[0]

    def assert_right(self):
        """The layers are what plain SQL makes of bronze, but for the rows that a CAST refuses, which are in quarantine."""
        con = self.connect()
        con.execute("CREATE TEMP VIEW good AS SELECT id, upper(who) AS who, TRY_CAST(amount AS DECIMAL(12, 2)) AS amount, "
                    "TRY_CAST(ratio AS DOUBLE) AS ratio FROM lake.bronze_events WHERE quality >= 45 AND who IS NOT NULL "
                    "AND (amount IS NULL OR TRY_CAST(amount AS DECIMAL(12, 2)) IS NOT NULL) "
                    "AND (ratio IS NULL OR TRY_CAST(ratio AS DOUBLE) IS NOT NULL)")
        differ = con.execute("SELECT (SELECT count(*) FROM (FROM good EXCEPT ALL FROM lake.silver_events)), "
                             "(SELECT count(*) FROM (FROM lake.silver_events EXCEPT ALL FROM good))").fetchone()
        assert differ == (0, 0), f"silver: rows that are missing, that are too many: {differ}"
        differ = con.execute(
            "WITH plain AS (SELECT who, count(*) AS events, sum(amount) AS amount, max(amount) AS most FROM lake.silver_events "
            "GROUP BY who HAVING count(*) >= 2), gold AS (SELECT who, events, amount, most FROM lake.gold_people) "
            "SELECT (SELECT count(*) FROM (FROM plain EXCEPT ALL FROM gold)), (SELECT count(*) FROM (FROM gold EXCEPT ALL FROM plain))").fetchone()
        assert differ == (0, 0), f"gold: rows that are missing, that are too many: {differ}"
        bronze, silver, refused = con.execute(
            "SELECT (SELECT count(*) FROM lake.bronze_events WHERE quality >= 45 AND who IS NOT NULL), (SELECT count(*) FROM lake.silver_events), "
            "(SELECT count(*) FROM lake.tarn.quarantined_rows)").fetchone()
        con.close()
        assert bronze == silver + refused, f"{bronze} rows, {silver} in silver and {refused} in quarantine"


@pytest.fixture
def make_layers(folder, processes, request):
    def make(place):
        backend, _, store = place.partition("+")
        return LayeredLake(backend, folder, processes, request.getfixturevalue("postgres") if backend == "postgres" else None,
                           request.getfixturevalue("s3") if store else None)

    return make


def check_models(lake):
    """A refresh that changes nothing makes no snapshot, and one that makes all anew finds the same."""
    before = lake.layers()
    done = lake.transform()
    assert done.returncode == DONE, done.stderr
    assert not json.loads(done.stdout)[0]["committed"], done.stdout
    done = lake.transform("--full")
    assert done.returncode == DONE, done.stderr
    assert repr(lake.layers()) == repr(before), "made anew, the layers are others"


@pytest.mark.timeout(2400 if support.LONG else 300)
@pytest.mark.parametrize("backend", places("sqlite", "duckdb", "file", "postgres") if support.LONG else ["sqlite", "postgres"])
def test_a_refresh_that_is_killed_leaves_old_layers_or_new_ones(make_layers, rng, record_property, backend):
    lake, kills = make_layers(backend), 0
    # The first ones meet a lake without layers, whose own tables come first; then each point with layers that are there.
    faults = [f"commit.after:{n}" for n in (1, 2, 3)] + [f"{p}:1" for p in POINTS] + ["refresh.model:2"]
    if support.LONG:
        faults += [f"{p}:{n}" for p in POINTS for n in (1, 2, 3)]
    for fault in faults:
        lake.put_file(rng, 40)
        lake.take_files()
        before = lake.layers()
        done = lake.transform(faults=f"{fault}:kill")
        if done.returncode == DONE:
            continue
        kills += 1
        assert done.returncode == -signal.SIGKILL, f"{fault}: {done.returncode} {done.stderr}"
        after = lake.layers()
        done = lake.transform()
        assert done.returncode == DONE, f"after {fault}: {done.stderr}"
        assert repr(after) in (repr(before), repr(lake.layers())), f"{fault} left a mixture"
    lake.assert_right()
    assert kills >= len(POINTS), f"only {kills} kills"
    record_property("kills", kills)
    check_models(lake)


@pytest.mark.heavy
@pytest.mark.parametrize("backend", places("sqlite", "postgres") if support.LONG else ["sqlite"])
def test_a_refresh_that_fails_changes_nothing_and_the_next_one_does(make_layers, rng, backend):
    lake = make_layers(backend)
    for point in POINTS:
        lake.put_file(rng, 40)
        lake.take_files()
        before = lake.layers()
        done = lake.transform(faults=f"{point}:{support.rows_turn(point)}:error")
        if done.returncode != DONE:
            assert repr(lake.layers()) == repr(before), f"{point}: {done.stderr}"
        assert lake.transform().returncode == DONE
        lake.assert_right()
    check_models(lake)


@pytest.mark.heavy
@pytest.mark.timeout(300)
def test_two_that_refresh_at_once(make_layers, rng):
    """On Postgres two processes may: each refresh is one's alone, and the other sees it."""
    lake = make_layers("postgres")
    for _ in range(6):
        lake.put_file(rng, 100)
        lake.take_files()
        command = [support.TARN, "transform", str(lake.by_hand), "--format", "json"]
        environment = support.os.environ | lake.environment
        both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=lake.folder, env=environment) for _ in range(2)]
        ends = [(p.communicate(timeout=60), p.returncode) for p in both]
        assert all(code == DONE for _, code in ends), ends
        lake.assert_right()
    check_models(lake)


def test_what_others_commit_during_a_refresh_is_seen(make_layers, rng):
    """Nothing else is committed afterwards that would wake the pipeline."""
    lake = make_layers("postgres")
    lake.put_file(rng, 100)
    lake.take_files()
    slow = lake.folder / "models" / "silver" / "silver_slow.sql"
    slow.write_text("SELECT count(*) + (SELECT count(*) FROM range(600000000) t(i) WHERE i % 7 = 3) - 85714286 AS n FROM bronze_events")
    pipeline = lake.folder / "pipeline.yaml"
    documents = lake.documents()
    documents[-1]["spec"]["refresh"] = {"on": "commit"}
    pipeline.write_text(support.yaml.safe_dump_all([documents[0], documents[-1]]))
    process = support.Process(["run", str(pipeline)], lake.folder, None, lake.environment)
    lake.processes.append(process)
    process.wait_event("refresh", count=3)
    insert = "INSERT INTO lake.bronze_events (id, who, amount, ratio, quality) VALUES ({}, 'z', '1', '1', 90)"
    lake.write_sql(insert.format(1001))
    support.eventually("a refresh has begun", lambda: lake.server.psql(
        "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction' AND datname = current_database() AND now() - state_change > INTERVAL '0.2 s'", lake.database) != "0")
    lake.write_sql(insert.format(1002))
    found = "SELECT (SELECT count(*) FROM lake.silver_events WHERE who = 'Z'), (FROM lake.silver_slow)"
    support.eventually(lambda: f"{lake.read(found)}, {process.tail()}", lambda: lake.read(found) == [(2, 102)], 90)
    process.drain()


@pytest.mark.parametrize("backend", places("sqlite", "file", "postgres"))
def test_run_refreshes_beside_its_stream(make_layers, rng, backend):
    lake = make_layers(backend)
    lake.put_file(rng, 200)
    process = lake.start("--listen", "127.0.0.1:0")
    for _ in range(5):
        lake.put_file(rng, 50)
        support.eventually("what was taken is in the layers", lambda: process.metric("tarn_model_rows_in") >= 0 and
                           process.metrics().get("tarn_model_rows_in", {}).get('pipeline="people",model="silver_events"', 0) == lake.ids, 60)
    assert process.get("/readyz")[0] == 200
    process.drain()
    lake.assert_right()
    check_models(lake)


def test_once_ends_with_layers_that_hold_all(make_layers, rng):
    lake = make_layers("sqlite")
    lake.put_file(rng, 300)
    process = lake.start("--once")
    assert process.wait(60) == DONE, process.tail()
    assert lake.read("SELECT count(*) FROM lake.bronze_events")[0][0] == 300
    lake.assert_right()
    check_models(lake)


def test_a_model_that_changes_while_it_runs(make_layers, rng):
    lake = make_layers("sqlite")
    lake.put_file(rng, 100)
    process = lake.start()
    process.wait_event("refresh", count=2)
    silver = lake.folder / "models" / "silver" / "silver_events.sql"
    silver.write_text("SELECT CAST( FROM bronze_events")
    process.wait_event("refresh_failed", where=lambda e: "silver_events.sql:1" in e["message"])
    silver.write_text(SILVER.replace("quality >= 45", "quality >= 90"))
    process.wait_event("refresh", count=4)
    process.drain()
    assert lake.read("SELECT count(*) FROM lake.silver_events")[0][0] < lake.read("SELECT count(*) FROM lake.bronze_events WHERE quality >= 45")[0][0]
    check_models(lake)


@pytest.mark.heavy
@pytest.mark.parametrize("backend", places("sqlite", all=[place for place in support.PLACES if place != "file"]))
def test_files_of_layers_stay_few(make_layers, rng, backend):
    """Each refresh adds files and deletes rows in others: between refreshes they become fewer."""
    lake = make_layers(backend)
    process = lake.start("--listen", "127.0.0.1:0")
    for _ in range(36 if support.LONG else 18):
        lake.put_file(rng, 30, [f"p{n}" for n in range(100)])
        support.eventually("what was taken is in the layers",
                           lambda: process.metrics().get("tarn_model_rows_in", {}).get('pipeline="people",model="silver_events"', 0) == lake.ids, 60)
    process.drain()
    merges = [e["table"] for e in process.events("merge") if "pipeline" in e]
    assert {"silver_events", "gold_people"} <= set(merges), merges
    for table in ("silver_events", "gold_people"):
        files, holed = lake.read(f"SELECT count(*), count(delete_file) FROM ducklake_list_files('lake', '{table}')")[0]
        assert files <= 3 * 8 and holed <= 8 + 8, f"{table}: {files} files, {holed} with deleted rows"
    lake.assert_right()
    check_models(lake)
