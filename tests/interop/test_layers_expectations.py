"""Expectations of a pipeline: what passes and what breaks each check, what a broken one does to the refresh, and that a look
at what changed gives the results that a look at everything would. DuckDB from PyPI fills the lake and reads what is said."""

import datetime
import json
import random
import re
import time

import pytest
import support
import yaml

pytestmark = pytest.mark.timeout(300)

API = "ducklake.featherman.dev/v1alpha1"
PLACES = {"sqlite": "catalog.sqlite", "duckdb": "catalog.ducklake", "file": "lake.duckdb"}
HOUR_AGO = "TIMESTAMP '{:%Y-%m-%d %H:%M:%S}'"


def utc(hours_ago=0.0):
    return HOUR_AGO.format(datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=hours_ago))


class Pipeline:
    """A lake that another program fills, and models over it."""

    def __init__(self, folder, backend):
        self.folder, self.backend = folder / support.unique("pipeline"), backend
        self.lake, self.models = self.folder / "lake", self.folder / "models"
        for made in (self.lake, self.models):
            made.mkdir(parents=True)
        self.manifest = self.folder / "tarn.yaml"
        self.expect([])

    def expect(self, expectations, *further, on="manual"):
        """The manifest, with these expectations: a list, or the YAML of one."""
        catalog = {"backend": {"type": self.backend, "path": f"lake/{PLACES[self.backend]}"}}
        if self.backend != "file":
            catalog["dataPath"] = "lake/data"
        documents = [("DuckLakeCatalog", "main", catalog), *further]
        text = yaml.safe_dump_all({"apiVersion": API, "kind": kind, "metadata": {"name": name}, "spec": spec} for kind, name, spec in documents)
        text += f"---\napiVersion: {API}\nkind: DuckLakePipeline\nmetadata: {{name: p}}\nspec:\n  models: models\n  refresh: {{on: {on}}}\n"
        if isinstance(expectations, str):
            text += "  expectations:\n" + expectations
        elif expectations:
            text += "  expectations:\n" + "".join(f"  - {json.dumps(expectation)}\n" for expectation in expectations)
        self.manifest.write_text(text)

    def model(self, name, sql, options="materialized: incremental", layer="silver", tests=()):
        """tests: mappings, a line each in the file, which follow the lines of options."""
        lines = options.splitlines() + (["tests:"] if tests else []) + [f"- {json.dumps(test)}" for test in tests]
        path = self.models / layer / f"{name}.sql"
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(f"-- {line}\n" for line in lines) + sql)
        return path

    def connect(self, read_only=False):
        where, options = f"{self.lake}/{PLACES[self.backend]}", []
        if self.backend != "file":
            where = f"ducklake:{'sqlite:' if self.backend == 'sqlite' else ''}{where}"
            options = [f"DATA_PATH '{self.lake}/data'", "DATA_INLINING_ROW_LIMIT 0"]
        if self.backend == "sqlite" and not read_only:
            options.append("META_JOURNAL_MODE 'WAL'")
        if read_only:
            options.append("READ_ONLY")
        con = support.attach(where, f"({', '.join(options)})" if options else "", threads="1")
        con.execute("USE lake")
        return con

    def write(self, *statements):
        con = self.connect()
        try:
            for statement in statements:
                con.execute(statement)
        finally:
            con.close()

    def read(self, sql):
        con = self.connect(read_only=True)
        try:
            return con.execute(sql).fetchall()
        finally:
            con.close()

    def snapshots(self):
        return self.read("SELECT count(*) FROM lake.snapshots()")[0][0] if self.backend != "file" else 0

    def transform(self, *arguments):
        return support.tarn("transform", str(self.manifest), *arguments, folder=self.folder, timeout_s=200)

    def refresh(self, *arguments):
        """What the refresh says of each expectation, by table and name."""
        done = self.transform("--format", "json", *arguments)
        assert done.returncode == support.DONE, f"transform ended with {done.returncode}: {done.stderr}"
        self.report = json.loads(done.stdout)[0]
        return {(e["table"], e["name"]): e for e in self.report["expectations"]}

    def held_back(self, *arguments):
        """The message of a refresh that an expectation holds back."""
        done = self.transform(*arguments)
        assert done.returncode == support.INPUT, f"transform ended with {done.returncode}: {done.stdout}{done.stderr}"
        assert "held back" in done.stderr, done.stderr
        return done.stderr

    def noted(self, columns="passed, failed_rows"):
        """tarn.expectations, by table and name."""
        return {(row[0], row[1]): row[2:] if len(row) > 3 else row[2]
                for row in self.read(f"SELECT coalesce(table_name, ''), name, {columns} FROM lake.tarn.expectations")}

    def history(self):
        return self.read("SELECT name, passed, failed_rows, held_back FROM lake.tarn.expectation_history ORDER BY checked_at, name")


@pytest.fixture
def make(folder):
    """Backend file, which is quick, where nothing hangs on snapshots."""
    return lambda backend="file": Pipeline(folder, backend)


EVENTS = ("CREATE TABLE lake.main.bronze_events (id BIGINT, kind VARCHAR, amount VARCHAR, parent BIGINT, happened TIMESTAMP)",
          "CREATE TABLE lake.main.parents (id BIGINT, name VARCHAR)", "INSERT INTO lake.main.parents VALUES (1, 'one'), (2, 'two')")
SILVER = "SELECT id, kind, CAST(amount AS DECIMAL(12, 2)) AS amount, parent, happened FROM bronze_events\n"


def events(*rows, hours_ago=0.0):
    """Rows of id, kind, amount, parent."""
    values = ", ".join("(" + ", ".join("NULL" if v is None else repr(v) for v in row) + f", {utc(hours_ago)})" for row in rows)
    return f"INSERT INTO lake.main.bronze_events VALUES {values}"


def checks(severity="warn"):
    """One of each check, for a table with the columns of silver_events."""
    return [{"check": "not_null", "columns": ["id", "kind"]}, {"check": "unique", "columns": ["id"]},
            {"check": "accepted_values", "columns": ["kind"], "values": ["a", "b"]},
            {"check": "range", "columns": ["amount"], "minimum": 0, "maximum": 99.5},
            {"check": "relationship", "columns": ["parent"], "to": "parents", "field": "id"},
            {"check": "freshness", "columns": ["happened"], "within": "1h"},
            {"check": "row_count_change", "minimum": 50, "maximum": 300}] if severity is None else [
                check | {"severity": severity} for check in checks(None)]


NAMES = ["not_null(id, kind)", "unique(id)", "accepted_values(kind)", "range(amount)", "relationship(parent)", "freshness(happened)", "row_count_change"]
NO_PAIRS = {"check": "sql", "name": "no pairs", "severity": "warn", "sql": "SELECT amount, count(*) AS n\nFROM silver_events\nGROUP BY amount\nHAVING n > 1"}


# ---- each check


@pytest.mark.parametrize("backend", ["sqlite", "duckdb", "file"])
def test_each_check_passes_and_breaks(make, backend):
    p = make(backend)
    p.write(*EVENTS, events((1, "a", "1", 1), (2, "b", "99.5", 2), (3, "a", "0", None)))
    p.model("silver_events", SILVER, tests=[*checks(), NO_PAIRS])
    p.expect([c | {"table": "silver_events", "name": f"manifest's {c['check']}"} for c in checks()] +
             [{"check": "not_null", "table": "bronze_events", "columns": ["id"], "severity": "warn"},
              {"check": "sql", "name": "manifest's", "sql": "SELECT * FROM lake.silver_events WHERE amount > 1000", "severity": "warn"}])
    said = p.refresh()
    assert [key for key, e in said.items() if not e["passed"] or e["failed_rows"] or e["example"]] == []
    assert {key for key in said if key[0] == "silver_events"} == {("silver_events", name) for name in [*NAMES, "no pairs"]} | {
        ("silver_events", f"manifest's {name.split('(')[0]}") for name in NAMES}
    assert {key for key in said if key[0] != "silver_events"} == {("bronze_events", "not_null(id)"), ("", "manifest's")}
    assert p.noted() == {key: (True, 0) for key in said}
    assert p.history() == []

    # Nothing is new enough after the deletion, and there are more than three times as many rows as before.
    p.write("DELETE FROM lake.main.bronze_events", events((None, "a", "3", 1), (5, None, "4", 1), (6, "b", "5", 1), (6, "b", "6", 1), (7, "c", "7", 1),
            (8, "d", "8", 1), (9, "a", "-1", 1), (10, "a", "100", 1), (11, "a", "1", 3), (12, "a", "1", 4), (13, "a", "2001", None), hours_ago=2))
    said = p.refresh()
    broken = dict(zip(NAMES, [2, 2, 2, 3, 2, 1, 1])) | {"no pairs": 1}
    for name, rows in broken.items():
        for key in (("silver_events", name), ("silver_events", f"manifest's {name.split('(')[0]}")) if name != "no pairs" else (("silver_events", name),):
            assert (said[key]["passed"], said[key]["failed_rows"]) == (False, rows), f"{key}: {said[key]}"
            assert 1 <= len(said[key]["example"]) <= min(rows, 3)
    assert said["silver_events", "unique(id)"]["example"] == [{"id": 6, "rows": 2}]
    assert said["silver_events", "range(amount)"]["example"][0].keys() == {"id", "kind", "amount", "parent", "happened"}
    assert list(said["silver_events", "range(amount)"]["example"][0])[0] == "amount", "what was looked at comes first"
    assert said["silver_events", "row_count_change"]["example"] == [{"rows": 11, "rows_before": 3, "percent": 366.67}]
    stale = said["silver_events", "freshness(happened)"]["example"][0]
    old = datetime.datetime.now(datetime.timezone.utc) - datetime.datetime.fromisoformat(stale["newest"].replace("Z", "+00:00"))
    assert 7200 <= old.total_seconds() < 7400 and stale["seconds_allowed"] == 3600
    assert said["silver_events", "no pairs"]["example"] == [{"amount": 1.0, "n": 2}]
    assert said["bronze_events", "not_null(id)"]["failed_rows"] == 1 and said["", "manifest's"]["failed_rows"] == 1
    assert p.noted() == {key: (e["passed"], e["failed_rows"]) for key, e in said.items()}
    assert {json.dumps(json.loads(e)) for (e,) in p.read("SELECT example FROM lake.tarn.expectations WHERE name = 'unique(id)'")} == {'[{"id": 6, "rows": 2}]'}
    assert len(p.history()) == len(said) and all(not row[1] for row in p.history())

    # An empty table has no newest row, and nothing else to find fault with; of no rows none can be lost.
    p.write("DELETE FROM lake.main.bronze_events")
    said = p.refresh()
    assert {name for (_, name), e in said.items() if not e["passed"]} == {"freshness(happened)", "manifest's freshness", "row_count_change", "manifest's row_count_change"}
    assert said["silver_events", "freshness(happened)"]["example"] == [{"newest": None, "seconds_allowed": 3600}]
    p.write(events((1, "a", "1", 1)))
    assert all(e["passed"] for e in p.refresh().values())


def test_types(make):
    """Values are compared as what they are: numbers as numbers, other things as texts; times without a zone are UTC."""
    p = make()
    day = datetime.datetime.now(datetime.timezone.utc)
    p.write("CREATE TABLE lake.main.t AS SELECT 1::TINYINT AS small, 2.50::DECIMAL(5, 2) AS price, 'nan'::DOUBLE AS ratio, true AS yes, DATE '2026-01-02' AS day, "
            f"'2' AS word, {utc()} AS naive, TIMESTAMPTZ '{day:%Y-%m-%d %H:%M:%S}+00' AS zoned, DATE '{day:%Y-%m-%d}' AS today, {utc()}::TIMESTAMP_S AS seconds, "
            "TIMESTAMP 'infinity' AS never, 'A' AS \"rows\"",
            "CREATE TABLE lake.main.other AS SELECT 2.5::DOUBLE AS number, 1::BIGINT AS whole, 2 AS two, '2026-01-02' AS day")
    p.model("m", "SELECT * FROM t")
    right = [{"check": "accepted_values", "columns": ["small"], "values": ["1"]}, {"check": "accepted_values", "columns": ["price"], "values": ["2.50"]},
             {"check": "accepted_values", "columns": ["yes"], "values": ["true", "false"]}, {"check": "accepted_values", "columns": ["day"], "values": ["2026-01-02"]},
             {"check": "range", "columns": ["small", "price"], "minimum": 1, "maximum": "2.50"}, {"check": "range", "columns": ["price"], "minimum": "2.5e0"},
             {"check": "relationship", "columns": ["price"], "to": "other", "field": "number"}, {"check": "relationship", "columns": ["small"], "to": "main.other", "field": "whole"},
             {"check": "relationship", "columns": ["word"], "to": "other", "field": "two"}, {"check": "relationship", "columns": ["day"], "to": "other", "field": "day"},
             {"check": "freshness", "columns": ["zoned"], "within": "1m"}, {"check": "freshness", "columns": ["naive"], "within": "1m"},
             {"check": "freshness", "columns": ["seconds", "never"], "within": "1m"}, {"check": "freshness", "columns": ["today"], "within": "25h"},
             {"check": "unique", "columns": ["rows", "Small"]}]
    wrong = [{"check": "accepted_values", "columns": ["price"], "values": ["2.5"]}, {"check": "accepted_values", "columns": ["yes"], "values": []},
             {"check": "range", "columns": ["ratio"], "maximum": 1}, {"check": "range", "columns": ["price"], "minimum": "2.51"},
             {"check": "relationship", "columns": ["word"], "to": "other", "field": "number"}, {"check": "freshness", "columns": ["never"], "within": "1m"},
             {"check": "freshness", "columns": ["day"], "within": "24h"}]
    p.expect([e | {"table": table, "severity": "warn", "name": f"{right_one} {i}"} for table in ("m", "MAIN.T")
              for right_one, those in (("right", right), ("wrong", wrong)) for i, e in enumerate(those)])
    said = p.refresh()
    assert {key for key, e in said.items() if e["passed"]} == {(table, f"right {i}") for table in ("m", "T") for i in range(len(right))}
    assert all(e["failed_rows"] == 1 for key, e in said.items() if not e["passed"])
    nan = said["m", "wrong 2"]["example"]
    assert isinstance(nan[0], str) and "nan" in nan[0], "JSON has no NaN: the row is a text"


def test_key_has_two(make):
    p = make()
    p.write(*EVENTS, events((1, "a", "1", 1), (1, "b", "1", 1)))
    path = p.model("silver_events", SILVER, "materialized: incremental\nkey: [id, kind]")
    assert set(p.refresh()) == {("silver_events", "key")}
    assert p.read("SELECT \"check\", severity, passed FROM lake.tarn.expectations ORDER BY ALL") == [("not_null", "error", True), ("unique", "error", True)]
    p.write(events((1, "b", "2", 1)))
    said = p.held_back()
    assert f"{path}:2: expectation key (unique): 2 rows break it: the refresh is held back" in said and '{"id":1,"kind":"b","rows":2}' in said
    p.write("DELETE FROM lake.main.bronze_events WHERE amount = '2'", events((2, None, "1", 1)))
    said = p.held_back()
    assert f"{path}:2: expectation key (not_null): 1 row breaks it:" in said and '{"id":2,"kind":null,"amount":1.0' in said


# ---- what a broken one does


@pytest.mark.parametrize("backend", ["sqlite", "duckdb", "file"])
def test_a_broken_error_holds_back_the_refresh(make, backend):
    p = make(backend)
    p.write(*EVENTS, events((1, "a", "1", 1)))
    path = p.model("silver_events", SILVER, tests=[{"check": "not_null", "columns": ["kind"]}, {"check": "unique", "columns": ["id"], "severity": "warn"}])
    p.model("gold_kinds", "SELECT kind, count(*) AS n FROM silver_events GROUP BY kind", layer="gold")
    p.expect([{"check": "sql", "name": "gold is small", "sql": "FROM gold_kinds WHERE n > 2"}])
    p.refresh()
    content = "SELECT (SELECT list(s ORDER BY id) FROM lake.silver_events s), (SELECT list(g ORDER BY kind) FROM lake.gold_kinds g), (SELECT list(m ORDER BY model) FROM lake.tarn.models m)"
    before, snapshots = p.read(content), p.snapshots()

    p.write(events((2, "a", "1", 1), (2, "a", "1", 1), (3, None, "x", 1), (4, None, "2", 1)))
    said = p.held_back("--format", "json")
    assert f"tarn: {path}:3: expectation not_null(kind): 1 row breaks it, and 1 other is broken: the refresh is held back, and tarn.expectations says why: " in said
    assert '{"kind":null,"id":4,"amount":2.0' in said
    assert p.read(content) == before, "nothing of the refresh was committed"
    assert p.noted("passed, failed_rows, held_back") == {("silver_events", "not_null(kind)"): (False, 1, True), ("silver_events", "unique(id)"): (False, 2, True),
                                                         ("", "gold is small"): (False, 1, True)}
    assert p.read("SELECT count(*) FROM lake.tarn.quarantined_rows") == [(0,)]
    assert p.history() == [("gold is small", False, 1, True), ("not_null(kind)", False, 1, True), ("unique(id)", False, 2, True)]
    if backend != "file":
        assert p.snapshots() == snapshots + 2, "one of the rows of bronze, one of tarn.expectations"
        notes = p.read("SELECT commit_extra_info FROM lake.snapshots() ORDER BY snapshot_id DESC LIMIT 1")
        assert json.loads(notes[0][0]) == {"pipeline": "p", "turn": 2, "held_back": True}

    again = p.snapshots()
    assert p.held_back() == said
    assert p.snapshots() == again, "it says the same: nothing is written"

    p.write("DELETE FROM lake.main.bronze_events WHERE id > 1", events((2, "a", "1", 1), (3, "b", "x", 1)))
    assert all(e["passed"] and e["evaluated"] for e in p.refresh().values())
    assert p.noted("passed, held_back, turn") == {key: (True, False, 2) for key in p.noted()}
    assert p.read("SELECT kind, n FROM lake.gold_kinds") == [("a", 2)]
    assert [row[:2] for row in p.history()[3:]] == [("gold is small", True), ("not_null(kind)", True), ("unique(id)", True)]
    again = p.snapshots()
    assert not any(e["evaluated"] for e in p.refresh().values()) and p.snapshots() == again


def test_the_first_refresh_can_be_held_back(make):
    p = make()
    p.write(*EVENTS, events((1, "a", "1", 3)))
    p.model("silver_events", SILVER, tests=[{"check": "relationship", "columns": ["parent"], "to": "parents", "field": "id"}])
    assert "relationship(parent): 1 row breaks it" in p.held_back()
    assert p.read("SELECT count(*) FROM information_schema.tables WHERE table_name = 'silver_events'") == [(0,)]
    assert p.noted("passed, held_back, holds_snapshot IS NULL") == {("silver_events", "relationship(parent)"): (False, True, True)}
    p.write("INSERT INTO lake.main.parents VALUES (3, 'three')")
    assert p.refresh()["silver_events", "relationship(parent)"]["passed"]


def test_a_reverted_file_is_as_it_was(make):
    """What was held back is not in the lake: its results do not stay when it is gone, though nothing else has changed."""
    p = make()
    p.write(*EVENTS, events((1, "a", "1", 1), (2, "b", "2", 1)))
    tests = [{"check": "range", "columns": ["amount"], "maximum": 5}, {"check": "accepted_values", "columns": ["kind"], "values": ["a"], "severity": "warn"}]
    path = p.model("silver_events", SILVER, tests=tests)
    p.refresh()
    text = path.read_text()
    path.write_text(text.replace("SELECT id, kind,", "SELECT id, 'z' AS kind,").replace("CAST(amount", "10 * CAST(amount"))
    p.held_back()
    assert p.noted() == {("silver_events", "range(amount)"): (False, 2), ("silver_events", "accepted_values(kind)"): (False, 2)}
    path.write_text(text)
    said = p.refresh()
    assert p.noted() == {("silver_events", "range(amount)"): (True, 0), ("silver_events", "accepted_values(kind)"): (False, 1)}
    assert p.report["models"][0]["how"] == "nothing" and all(e["evaluated"] for e in said.values())
    assert not any(e["evaluated"] for e in p.refresh().values())


def test_warnings_are_told(make):
    p = make()
    p.write(*EVENTS, events((1, "a", "1", 1), (1, "a", "1", 9)))
    path = p.model("silver_events", SILVER, "materialized: incremental\nkey: [happened]", tests=[{"check": "not_null", "columns": ["id"]}])
    path.write_text(path.read_text().replace("-- key: [happened]\n", "-- description: One.\n"))
    p.expect("  - check: unique\n    table: silver_events\n    columns: [id]\n    severity: warn\n"
             "  - {check: relationship, table: silver_events, columns: [parent], to: parents, field: id, severity: warn}\n")
    for _ in range(2):
        done = p.transform()
        assert done.returncode == support.DONE, done.stderr
        line = p.manifest.read_text().splitlines().index("  - check: unique") + 1
        said = done.stdout.splitlines()[-2:]
        assert said[0] == f'warning: {p.manifest}:{line}: expectation unique(id) of silver_events: 2 rows break it: [{{"id":1,"rows":2}}]'
        assert said[1].startswith(f"warning: {p.manifest}:{line + 4}: expectation relationship(parent) of silver_events: 1 row breaks it: [{{\"parent\":9,")


def test_what_is_expected_changes(make):
    """An expectation that is new, or says something else, is looked at though no table has changed; one that is gone leaves."""
    p = make("duckdb")
    p.write(*EVENTS, events((1, "a", "1", 1), (2, "b", "50", 1)))
    p.model("silver_events", SILVER)
    bound = {"check": "range", "table": "silver_events", "columns": ["amount"], "maximum": 60, "severity": "warn"}
    p.expect([bound])
    assert p.refresh()["silver_events", "range(amount)"]["passed"]
    p.expect([bound, {"check": "unique", "table": "silver_events", "columns": ["kind"]}])
    said = p.refresh()
    assert [e["evaluated"] for e in said.values()] == [False, True] and p.report["committed"]
    p.expect([bound | {"maximum": 40}])
    said = p.refresh()
    assert said["silver_events", "range(amount)"] | {"example": 0} == {"table": "silver_events", "name": "range(amount)", "check": "range", "severity": "warn",
                                                                        "passed": False, "evaluated": True, "failed_rows": 1, "example": 0}
    assert set(p.noted()) == {("silver_events", "range(amount)")}
    snapshots = p.snapshots()
    p.expect([bound | {"maximum": 40, "severity": "error"}])
    assert "range(amount) of silver_events: 1 row breaks it: the refresh is held back" in p.held_back()
    assert p.noted("severity, held_back") == {("silver_events", "range(amount)"): ("error", False)} and p.snapshots() == snapshots + 1
    p.expect([])
    p.refresh()
    assert p.noted() == {}


def test_names(make):
    """Two of one name are told apart by number; names that are given must differ."""
    p = make()
    p.write(*EVENTS, events((1, "a", "1", 1)))
    low, high = {"check": "range", "columns": ["amount"], "minimum": 0}, {"check": "range", "columns": ["amount"], "maximum": 0, "severity": "warn"}
    path = p.model("silver_events", SILVER, tests=[low, high])
    assert {name: e["passed"] for (_, name), e in p.refresh().items()} == {"range(amount)": True, "range(amount) 2": False}
    p.model("silver_events", SILVER, tests=[low | {"name": "x"}, {"check": "not_null", "columns": ["id"], "name": "x"}, high | {"name": "x"}])
    done = p.transform()
    assert done.returncode == support.INPUT
    assert f"{path}:5: expectation x (range): has the name of the one at {path}:3; would have another one" in done.stderr


# ---- the clock


@pytest.mark.timeout(240)
def test_a_source_falls_silent(make):
    """Freshness is looked at where nothing has changed, and makes a snapshot when it breaks and when it is met again."""
    pipelines = {"warn": make("sqlite"), "error": make("duckdb")}
    patience_s = 40  # for the first refreshes
    end = time.monotonic() + patience_s + 1
    for severity, p in pipelines.items():
        p.write(*EVENTS, events((1, "a", "1", 1), hours_ago=1 - (end - 1 - time.monotonic()) / 3600))
        p.model("silver_events", SILVER)
        p.expect([{"check": "freshness", "table": "bronze_events", "columns": ["happened"], "within": "1h", "severity": severity, "name": "alive"},
                  {"check": "sql", "name": "by now", "sql": "FROM silver_events WHERE happened < current_timestamp::TIMESTAMP - INTERVAL 1 HOUR", "severity": "warn"}])
        assert all(e["passed"] for e in p.refresh().values()), "within the time that they were given"
    before = {severity: p.snapshots() for severity, p in pipelines.items()}
    time.sleep(max(0.0, end - time.monotonic()))
    for severity, p in pipelines.items():
        for _ in range(2):
            if severity == "warn":
                assert not p.refresh()["bronze_events", "alive"]["passed"]
            else:
                assert "expectation alive (freshness) of bronze_events: 1 row breaks it" in p.held_back()
            assert p.snapshots() == before[severity] + 1, "one when it breaks, and no more"
        assert p.noted() == {("bronze_events", "alive"): (False, 1), ("", "by now"): (False, 1)}
        p.write(events((2, "a", "1", 1), hours_ago=-1))
        assert p.refresh()["bronze_events", "alive"]["passed"]
        assert [(row[0], row[1]) for row in p.history()] == [("alive", False), ("by now", False), ("alive", True)]


def test_a_run_tells(make, processes):
    """Without new rows a run looks at the clock, and its metrics and log say what is broken, also of a refresh that is held back."""
    p = make("sqlite")
    columns = [{"name": "id", "type": "bigint"}, {"name": "kind"}, {"name": "happened", "type": "timestamp"}]
    stream = ("DuckLakeStream", "raw", {"table": "bronze_events", "format": "json", "json": {"columns": columns}, "commit": {"freshness": "200ms"},
                                        "source": {"files": "in/*.json", "settle": "0s", "poll": "200ms"}})
    (p.folder / "in").mkdir()

    def put(name, **row):
        path = p.folder / "in" / f"{name}.json"
        path.with_suffix(".tmp").write_text(json.dumps(row | {"happened": utc()[11:-1]}) + "\n")
        path.with_suffix(".tmp").rename(path)

    p.model("silver_events", "SELECT * FROM bronze_events\n", tests=[{"check": "not_null", "columns": ["kind"], "name": "kinds"}])
    p.expect([{"check": "freshness", "table": "bronze_events", "columns": ["happened"], "within": "30s", "severity": "warn"}], stream, on="commit")
    put("1", id=1, kind="a")
    process = support.Process(["run", str(p.manifest), "--listen", "127.0.0.1:0"], p.folder)
    processes.append(process)
    alive, kinds = 'pipeline="p",table="bronze_events",expectation="freshness(happened)"', 'pipeline="p",table="silver_events",expectation="kinds (not_null)"'

    def broken():
        found = process.metrics()["tarn_expectation_broken"] if "tarn_expectation_broken" in process.metrics() else {}
        return found.get(alive), found.get(kinds)

    support.eventually("all is met", lambda: broken() == (0, 0), 60)
    support.eventually("the source is silent", lambda: broken() == (1, 0), 60)
    event = process.wait_event("expectation")[0]
    assert (event["table"], event["expectation"], event["check"], event["failed_rows"]) == ("bronze_events", "freshness(happened)", "freshness", 1)
    put("2", id=2, kind="a")
    support.eventually("it is heard again", lambda: broken() == (0, 0), 60)
    put("3", id=3, kind=None)
    support.eventually("the refresh is held back", lambda: broken()[1] == 1, 60)
    assert process.metrics()["tarn_expectation_failed_rows"][kinds] == 1
    assert ["expectation kinds (not_null): 1 row breaks it" in e["message"] for e in process.events("refresh_failed")] == [True]
    assert len([e for e in process.events("expectation") if e["expectation"] == "kinds"]) == 0, "the failure tells it"
    process.end()
    assert p.read("SELECT count(*) FROM lake.silver_events") == [(2,)]


def test_row_counts_are_those_of_the_refresh_before(make):
    """Of a table that no model reads, too; and one that broke it waits until somebody lets it through."""
    p = make()
    p.write("CREATE TABLE lake.main.t AS SELECT range AS x FROM range(10)")
    p.model("a", "SELECT 1 AS id")
    check = {"check": "row_count_change", "table": "t", "maximum": 150, "severity": "error"}
    p.expect([check])
    assert p.refresh()["t", "row_count_change"]["passed"]
    for rows in (13, 16, 20, 30):
        p.write(f"INSERT INTO lake.main.t SELECT range FROM range({rows} - (SELECT count(*) FROM lake.main.t))")
        assert p.refresh()["t", "row_count_change"]["passed"]
        assert p.noted("row_count") == {("t", "row_count_change"): rows}
    p.write("INSERT INTO lake.main.t FROM range(70)")
    for _ in range(2):
        assert '"rows":100,"rows_before":30' in p.held_back()
    p.expect([check | {"severity": "warn"}])
    assert not p.refresh()["t", "row_count_change"]["passed"]
    p.expect([check])
    assert p.refresh()["t", "row_count_change"]["passed"] and p.noted("row_count") == {("t", "row_count_change"): 100}


def test_times_of_different_types_are_related(make):
    """As they are in UTC; a value that the other type does not have is not there, and no error."""
    p = make()
    types = {"day": "DATE", "t": "TIMESTAMP", "s": "TIMESTAMP_S", "ms": "TIMESTAMP_MS", "ns": "TIMESTAMP_NS", "tz": "TIMESTAMP WITH TIME ZONE"}
    row = ", ".join(f"CAST('2024-01-01' AS {type}) AS {name}" for name, type in types.items())
    beyond = {"day": "5000000-01-01", "ns": "2024-01-01 00:00:00.000000001", "tz": "290000-01-01 00:00:00+00"}
    other = ", ".join(f"CAST('{beyond.get(name, '290000-01-01')}' AS {type})" for name, type in types.items())
    p.write("SET TimeZone = 'UTC'", f"CREATE TABLE lake.main.few AS SELECT {row}", f"CREATE TABLE lake.main.more AS FROM lake.main.few UNION ALL SELECT {other}")
    p.model("a", "SELECT 1 AS id")
    p.expect([{"check": "relationship", "name": f"{own} in {field}", "table": table, "columns": [own], "to": to, "field": field, "severity": "warn"}
              for table, to in (("few", "more"), ("more", "few")) for own in types for field in types])
    said = p.refresh()
    assert {key: e["failed_rows"] for key, e in said.items()} == {
        (table, f"{own} in {field}"): rows for table, rows in (("few", 0), ("more", 1)) for own in types for field in types}


# ---- cost follows change


def test_only_what_is_touched_is_looked_at(make):
    p = make("duckdb")
    p.write(*EVENTS, events((1, "a", "1", 1)), "CREATE TABLE lake.main.lonely AS SELECT 1 AS x", "CREATE SCHEMA lake.raw", "CREATE TABLE lake.raw.t AS SELECT 1 AS x")
    p.model("silver_events", SILVER)
    p.model("silver_parents", "SELECT id FROM parents")
    p.model("gold_view", "SELECT kind, count(*) AS n FROM silver_events GROUP BY kind", "materialized: view", "gold")
    p.expect([{"check": "not_null", "table": "silver_events", "columns": ["id"]}, {"check": "not_null", "table": "silver_parents", "columns": ["id"]},
              {"check": "unique", "table": "gold_view", "columns": ["kind"]}, {"check": "unique", "table": "lonely", "columns": ["x"], "severity": "warn"},
              {"check": "relationship", "table": "silver_events", "columns": ["parent"], "to": "silver_parents", "field": "id"},
              {"check": "sql", "name": "two", "sql": "SELECT 1 FROM lonely l JOIN raw.t t ON l.x = t.x + 10"},
              {"check": "row_count_change", "table": "raw.t", "maximum": 200, "severity": "warn"}])
    all_of_them = set(p.refresh())

    def touched(*statements):
        if statements:
            p.write(*statements)
        return {table or name for (table, name), e in p.refresh().items() if e["evaluated"]}

    assert len(all_of_them) == 7 and touched() == set()
    assert touched(events((2, "b", "2", 1))) == {"silver_events", "gold_view", "raw.t"}
    assert touched("INSERT INTO lake.main.parents VALUES (7, 'x')") == {"silver_parents", "silver_events", "raw.t"}
    snapshots = p.snapshots()
    assert touched("INSERT INTO lake.main.lonely VALUES (2)") == {"lonely", "two"}
    assert p.snapshots() == snapshots + 1, "nothing turned, no model changed: no snapshot"
    assert touched("INSERT INTO lake.main.lonely VALUES (2)") == {"lonely", "two"}
    assert p.snapshots() == snapshots + 3 and p.noted()["lonely", "unique(x)"] == (False, 2)
    assert touched("INSERT INTO lake.raw.t VALUES (2)") == {"raw.t", "two"} and p.noted()["raw.t", "row_count_change"] == (True, 0)
    assert touched("INSERT INTO lake.raw.t VALUES (3)") == {"raw.t", "two"} and p.noted()["raw.t", "row_count_change"] == (True, 0)
    assert touched("INSERT INTO lake.raw.t FROM range(4, 8)") == {"raw.t", "two"} and p.noted()["raw.t", "row_count_change"] == (False, 1)
    assert touched("INSERT INTO lake.main.parents VALUES (8, 'x')") >= {"raw.t"} and p.noted()["raw.t", "row_count_change"] == (True, 0)
    assert {table or name for (table, name), e in p.refresh("--full").items() if e["evaluated"]} == {t or n for t, n in all_of_them}


def test_new_rows_alone_are_looked_at(make):
    """A row that is not of the pipeline's making shows what a refresh looks at: what it adds; with --full, everything."""
    p = make("duckdb")
    p.write(*EVENTS, events((1, "a", "1", 1), (2, "b", "1", 1)))
    p.model("silver_events", SILVER, tests=[{"check": "range", "columns": ["amount"], "maximum": 5}, {"check": "unique", "columns": ["id"], "severity": "warn"}])
    p.refresh()
    p.write("INSERT INTO lake.main.silver_events VALUES (2, 'x', 1000, NULL, NULL)", events((3, "c", "2", 1)))
    assert all(e["passed"] and e["evaluated"] for e in p.refresh().values())
    p.write(events((4, "c", "7", 1)))
    assert "range(amount): 2 rows break it" in p.held_back(), "a new row that breaks it leads to the whole table"
    p.write("DELETE FROM lake.main.bronze_events WHERE id = 4")
    assert p.refresh("--full")["silver_events", "range(amount)"]["passed"]


SAME = {
    "not_null(amount)": "SELECT count(*) FROM silver WHERE amount IS NULL",
    "accepted_values(kind)": "SELECT count(*) FROM silver WHERE kind NOT IN ('a', 'b', 'c')",
    "range(amount)": "SELECT count(*) FROM silver WHERE amount NOT BETWEEN 0 AND 90",
    "unique(id)": "SELECT coalesce(sum(n), 0) FROM (SELECT count(*) AS n FROM silver WHERE id IS NOT NULL GROUP BY id HAVING n > 1)",
    "relationship(parent)": "SELECT count(*) FROM silver WHERE parent IS NOT NULL AND parent NOT IN (SELECT id FROM silver_parents WHERE id IS NOT NULL)",
    "to a table": "SELECT count(*) FROM silver WHERE parent IS NOT NULL AND parent NOT IN (SELECT id FROM lake.main.parents WHERE id IS NOT NULL)",
    "of gold": "SELECT count(*) FROM gold WHERE n > 12",
    "gold's kinds": "SELECT count(*) FROM gold WHERE parent IS NOT NULL AND parent NOT IN (SELECT id FROM silver_parents WHERE id IS NOT NULL)",
    "of bronze": "SELECT count(*) FROM lake.main.bronze_events WHERE kind IS NULL",
    "bronze is unique": "SELECT coalesce(sum(n), 0) FROM (SELECT count(*) AS n FROM lake.main.bronze_events WHERE id IS NOT NULL AND kind IS NOT NULL GROUP BY id, kind HAVING n > 1)",
    "bronze's parents": "SELECT count(*) FROM lake.main.bronze_events WHERE parent IS NOT NULL AND parent NOT IN (SELECT id FROM lake.main.parents WHERE id IS NOT NULL)",
}


def change(rng, known):
    """A statement at random: rows come, good or bad, go, change, come and go; so do parents."""
    def row():
        kind = rng.choice(["a", "b", "c"] * 6 + ["d", None])
        amount = rng.choice([str(rng.randrange(90))] * 12 + ["95", "-1", None, "x"])
        parent = rng.choice([1, 2, 3] * 4 + [4, None])
        known[0] += 1
        return (known[0] if rng.random() < 0.93 else rng.choice([None, rng.randrange(1, known[0] + 1)]), kind, amount, parent)

    what = rng.random()
    some = f"hash(id, {rng.randrange(1000)}) % {rng.choice([3, 5, 10])} = 0"
    if what < 0.45:
        return [events(*[row() for _ in range(rng.randrange(1, 6))])]
    if what < 0.6:
        bad = (known[0] + 1, None, "-5", 77)
        known[0] += 1
        return [events(bad, bad), f"DELETE FROM lake.main.bronze_events WHERE id = {bad[0]}"]
    if what < 0.75:
        return [f"DELETE FROM lake.main.bronze_events WHERE kind IS NULL OR kind = 'd' OR parent = 4 OR amount IN ('95', '-1') OR amount IS NULL OR {some}"]
    if what < 0.85:
        return [f"UPDATE lake.main.bronze_events SET amount = '{rng.randrange(96)}' WHERE {some}"]
    if what < 0.92:
        return [f"DELETE FROM lake.main.parents WHERE id = {rng.randrange(1, 4)}"]
    return [f"INSERT INTO lake.main.parents VALUES ({rng.randrange(1, 5)}, 'again')"]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("history", range(12 if support.LONG else 2))
def test_changes_give_the_results_of_everything(make, folder, rng, history):
    """Random histories: after each refresh, held back or not, the results are those of the tables that plain SQL makes."""
    p = make(["duckdb", "sqlite"][history % 2])
    p.write(*EVENTS, "INSERT INTO lake.main.parents VALUES (3, 'three')", events(*[(-i, "a", "5", 1) for i in range(1, 9)]))
    holding = rng.choice(["error", "warn"])
    relationship = {"check": "relationship", "columns": ["parent"], "field": "id", "severity": "warn"}
    p.model("silver_events", SILVER + "WHERE kind IS DISTINCT FROM 'c' OR parent <> 2\n", tests=[
        {"check": "not_null", "columns": ["amount"], "severity": "warn"}, {"check": "accepted_values", "columns": ["kind"], "values": ["a", "b", "c"], "severity": holding},
        {"check": "range", "columns": ["amount"], "minimum": 0, "maximum": 90, "severity": "warn"}, {"check": "unique", "columns": ["id"], "severity": holding},
        relationship | {"to": "silver_parents"}, relationship | {"to": "parents", "name": "to a table"}])
    p.model("silver_parents", "SELECT id, name FROM parents")
    p.model("gold_parents", "SELECT parent, count(*) AS n FROM silver_events GROUP BY parent", layer="gold", tests=[
        {"check": "range", "columns": ["n"], "maximum": 12, "severity": "warn", "name": "of gold"}, relationship | {"to": "silver_parents", "name": "gold's kinds"}])
    p.expect([{"check": "not_null", "table": "bronze_events", "columns": ["kind"], "severity": "warn", "name": "of bronze"},
              {"check": "unique", "table": "bronze_events", "columns": ["id", "kind"], "severity": "warn", "name": "bronze is unique"},
              relationship | {"table": "bronze_events", "to": "parents", "name": "bronze's parents"}])
    known, seen = [0], {"held back": 0, "passed": 0, "broken": 0}
    for step in range(40 if support.LONG else 12):
        statements = [s for _ in range(rng.randrange(0, 4)) for s in change(rng, known)] if step else []
        if statements:
            p.write(*statements)
        done = p.transform("--format", "json", *rng.choice([[]] * 9 + [["--full"]]))
        seen["held back"] += done.returncode == support.INPUT and "held back" in done.stderr
        assert done.returncode == support.DONE or "held back" in done.stderr, done.stderr
        con = p.connect(read_only=True)
        con.execute("CREATE TEMP VIEW silver AS SELECT id, kind, TRY_CAST(amount AS DECIMAL(12, 2)) AS amount, parent, happened FROM lake.main.bronze_events "
                    "WHERE (amount IS NULL OR TRY_CAST(amount AS DECIMAL(12, 2)) IS NOT NULL) AND (kind IS DISTINCT FROM 'c' OR parent <> 2)")
        con.execute("CREATE TEMP VIEW silver_parents AS SELECT id FROM lake.main.parents")
        con.execute("CREATE TEMP VIEW gold AS SELECT parent, count(*) AS n FROM silver GROUP BY parent")
        right = {name: int(con.execute(sql).fetchone()[0]) for name, sql in SAME.items()}
        con.close()
        noted = {name: row for (_, name), row in p.noted().items()}
        assert noted == {name: (rows == 0, rows) for name, rows in right.items()}, f"step {step}: {statements}"
        seen["broken"] += sum(rows > 0 for rows in right.values())
        seen["passed"] += sum(rows == 0 for rows in right.values())
    assert seen["passed"] > 20, seen


# ---- what cannot be evaluated


BAD = [
    ({"check": "not_null", "columns": ["nope"]}, "expectation not_null(nope)", "there is no column nope in silver_events; would be one of id, kind, amount, parent, happened"),
    ({"check": "unique", "columns": []}, "expectation unique", "has no columns"),
    ({"check": "range", "columns": ["amount"]}, "expectation range(amount)", "has no bound; would have minimum, maximum or both"),
    ({"check": "range", "columns": ["amount"], "minimum": 5, "maximum": 4}, "expectation range(amount)", "minimum 5 is above maximum 4"),
    ({"check": "range", "columns": ["kind"], "minimum": 5}, "expectation range(kind)", "column kind is of type VARCHAR; would be a number"),
    ({"check": "freshness", "columns": ["id"], "within": "1h"}, "expectation freshness(id)", "column id is of type BIGINT; would be a timestamp or a date"),
    ({"check": "relationship", "columns": ["parent"], "to": "nobody", "field": "id"}, "expectation relationship(parent)", "there is no table nobody; would be a model"),
    ({"check": "relationship", "columns": ["parent"], "to": "raw.nobody", "field": "id"}, "expectation relationship(parent)", "there is no table raw.nobody"),
    ({"check": "relationship", "columns": ["parent"], "to": "parents", "field": "nope"}, "expectation relationship(parent)", "there is no column nope in parents; would be one of id, name"),
    ({"check": "relationship", "columns": ["parent"], "to": "gold_kinds", "field": "id"}, "expectation relationship(parent)", "there is no column id in gold_kinds; would be one of kind, n"),
    ({"check": "sql", "sql": "SELECT nope FROM silver_events"}, "expectation sql", 'Referenced column "nope" not found'),
    ({"check": "sql", "sql": "SELECT n FROM gold_kinds JOIN nobody USING (n)"}, "expectation sql", "there is no table nobody"),
    ({"check": "sql", "sql": "SELEC 1"}, "expectation sql", 'syntax error at or near "SELEC"'),
    ({"check": "sql", "sql": "SELECT 1; SELECT 2"}, "expectation sql", "has several statements; would be one SELECT"),
    ({"check": "sql", "sql": "DELETE FROM silver_events"}, "expectation sql", "is not a SELECT; would be one SELECT"),
    ({"check": "sql", "sql": "CREATE TABLE lake.t AS SELECT 1"}, "expectation sql", "is not a SELECT"),
    ({"check": "sql", "sql": "DESCRIBE silver_events"}, "expectation sql", "is not a SELECT"),
    ({"check": "sql", "sql": "SELECT 1; -- one"}, "expectation sql", "leave out the ';'"),
    ({"check": "sql", "sql": "FROM ducklake_expire_snapshots('lake', older_than => now())"}, "expectation sql", "calls ducklake_expire_snapshots(), which is not known to write nothing"),
    ({"check": "sql", "sql": "SELECT nextval('s')"}, "expectation sql", "calls nextval(), which writes"),
    ({"check": "sql", "sql": "SELECT tarn_exact_sum(1.0)"}, "expectation sql", "calls tarn_exact_sum(), which is Tarn's own"),
    ({"check": "sql", "sql": "SELECT $1"}, "expectation sql", "has a parameter"),
]


def test_bad_expectations_are_told_before_anything_is_done(make):
    """With file and line, of a model's file as of the manifest, also where the models are still to be made."""
    p = make()
    p.write(*EVENTS, events((1, "a", "1", 1)))
    path = p.model("silver_events", SILVER)
    p.model("gold_kinds", "SELECT kind, count(*) AS n FROM silver_events GROUP BY kind;\n", layer="gold")
    p.refresh("--dry-run")
    for i, (bad, name, why) in enumerate(BAD):
        in_model = i % 2 == 0
        p.model("silver_events", SILVER, tests=[{"check": "not_null", "columns": ["id"]}, bad] if in_model else [])
        p.expect([] if in_model else "  - {check: unique, table: silver_events, columns: [id]}\n" +
                 f"  - {json.dumps(bad if bad['check'] == 'sql' else bad | {'table': 'silver_events'})}\n")
        done = p.transform(*["--dry-run"][: i % 3 == 0])
        line = 4 if in_model else next(n for n, text in enumerate(p.manifest.read_text().splitlines(), 1) if text.startswith("  - {check: unique")) + 1
        file = path if in_model else p.manifest
        assert done.returncode == support.INPUT, f"{bad}: {done.stdout}{done.stderr}"
        assert f"{file}:{line}: {name}" in done.stderr and why in done.stderr, f"{bad}: {done.stderr}"
    assert p.read("SELECT table_name FROM information_schema.tables WHERE table_schema = 'main' ORDER BY ALL") == [("bronze_events",), ("parents",)]
    p.model("silver_events", SILVER)
    for table, why in (("nobody", "expectation unique(id) of nobody: there is no table nobody; would be a model of this pipeline, a table of a stream, or one that the lake has"),
                       ("parents", "expectation unique(id) of parents: there is no column id in parents")):
        p.write("ALTER TABLE lake.main.parents RENAME COLUMN id TO number") if table == "parents" else None
        p.expect(f"  - {{check: unique, columns: [id], table: {table}}}\n")
        done = p.transform()
        assert done.returncode == support.INPUT and re.search(rf"{p.manifest}:\d+: " + re.escape(why), done.stderr), done.stderr


def test_lines_of_sql(make):
    """A mistake is told with its line of the file, in SQL of several lines, and where DuckDB finds it only with the tables."""
    p = make()
    p.write(*EVENTS, events((1, "a", "1", 1)))
    path = p.model("silver_events", SILVER)
    model = "-- materialized: incremental\n-- tests:\n-- - check: sql\n--   sql: |\n--     SELECT id,\n--       {}\n--     FROM {}\n" + SILVER
    for column, table, line, why in (("nope", "silver_events", 6, '"nope"'), ("nope", "main.silver_events", 6, '"nope"'), ("rowid AS r, nope", "silver_events", 6, '"nope"'),
                                     ("id id2", "nobody", 7, "nobody"), ("id id2 id3", "silver_events", 6, "syntax error")):
        path.write_text(model.format(column, table))
        done = p.transform()
        assert done.returncode == support.INPUT and f"tarn: {path}:{line}: expectation sql" in done.stderr and why in done.stderr, done.stderr
    # With the table there, its columns to be count, and not those that it has.
    path.write_text(SILVER)
    p.refresh()
    path.write_text(model.format("more", "silver_events").replace("SELECT id, kind,", "SELECT id, 1 AS more, kind,"))
    assert not p.transform().returncode == support.DONE, "one row: it does not return none"
    path.write_text(model.format("kind", "silver_events WHERE happened IS NULL").replace("parent, happened FROM", "parent FROM"))
    done = p.transform()
    assert f"tarn: {path}:7: expectation sql" in done.stderr and '"happened"' in done.stderr, done.stderr
    # A conversion that fails in the midst of the rows is no result.
    path.write_text(model.format("CAST(kind AS INTEGER)", "silver_events"))
    done = p.transform()
    assert done.returncode == support.INPUT and f"tarn: {path}:3: expectation sql: Conversion Error" in done.stderr, done.stderr
    assert p.noted() == {("silver_events", "sql"): (False, 1)}, "of the one that was held back"


def test_a_stream_s_table_is_waited_for(make):
    p = make()
    p.write(*EVENTS, events((1, "a", "1", 1)))
    p.model("silver_events", SILVER)
    stream = ("DuckLakeStream", "raw", {"table": "raw.t", "format": "json", "source": {"files": "in/*.json"}})
    for expectation in ({"check": "not_null", "table": "raw.t", "columns": ["x"]}, {"check": "relationship", "table": "silver_events", "columns": ["id"], "to": "raw.t", "field": "x"},
                        {"check": "sql", "sql": "FROM raw.t"}):
        p.expect([expectation], stream)
        p.refresh()
        assert p.report["waits_for"] == "raw.t" and not p.report["committed"]
    p.write("CREATE SCHEMA lake.raw", "CREATE TABLE lake.raw.t AS SELECT 1 AS y WHERE false")
    assert p.refresh()["", "sql"]["passed"]


# ---- the rest of a refresh


def test_with_only_and_dry_run(make):
    p = make()
    p.write(*EVENTS, events((1, "a", "1", 1)))
    p.model("silver_events", SILVER, tests=[{"check": "unique", "columns": ["id"]}])
    p.model("silver_parents", "SELECT id FROM parents", tests=[{"check": "unique", "columns": ["id"], "severity": "warn"}])
    assert p.refresh("--dry-run") == {}
    assert set(p.refresh("--only", "silver_events")) == {("silver_events", "unique(id)")}
    p.write("INSERT INTO lake.main.parents VALUES (1, 'one again')")
    assert set(p.refresh("--only", "silver_events")) == {("silver_events", "unique(id)")}
    assert not p.refresh()["silver_parents", "unique(id)"]["passed"]
    p.write("DELETE FROM lake.main.parents WHERE name = 'one again'", events((2, "a", "1", 1)))
    assert not p.refresh("--only", "silver_events")["silver_parents", "unique(id)"]["passed"], "it was left out"
    assert p.refresh()["silver_parents", "unique(id)"]["passed"]


def test_rows_in_quarantine_can_be_expected(make):
    """Tarn's own tables are read as they are in the refresh."""
    p = make("duckdb")
    p.write(*EVENTS, events((1, "a", "1", 1)))
    p.model("silver_events", SILVER)
    p.expect([{"check": "sql", "name": "few are refused", "sql": "SELECT count(*) AS n FROM tarn.quarantined_rows HAVING n > 1"}])
    assert p.refresh()["", "few are refused"]["passed"]
    p.write(events((2, "a", "x", 1)))
    assert p.refresh()["", "few are refused"]["passed"]
    p.write(events((3, "a", "y", 1)))
    assert 'few are refused (sql): 1 row breaks it: the refresh is held back, and tarn.expectations says why: {"n":2}' in p.held_back()


def test_long_rows_are_cut(make):
    p = make()
    p.write("CREATE TABLE lake.main.t AS SELECT i AS id, repeat('ü\"', 5000) AS payload FROM range(4) s(i)")
    p.model("m", "SELECT * FROM t", tests=[{"check": "range", "columns": ["id"], "minimum": 10}])
    said = p.held_back()
    assert "4 rows break it" in said and said.count('{"id":') + said.count('{\\"id\\":') == 3 and len(said) < 600
    (example,), = p.read("SELECT example FROM lake.tarn.expectations")
    assert [len(row) for row in json.loads(example)] == [4096] * 3
