"""`tarn query` in every format, and what it says when it cannot answer."""

import csv
import io
import json
import subprocess

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import support
from example import EVENTS
from support import tarn

ROWS = [(1, "a", None, 1.5), (2, 'quote " comma, ', True, None), (3, "zwölf\nlines", False, float("nan"))]
SQL = """SELECT * FROM (VALUES (1, 'a', NULL::BOOLEAN, 1.5::DOUBLE), (2, 'quote " comma, ', true, NULL), (3, 'zwölf' || chr(10) || 'lines', false, 'nan')) t(i, t, b, d) ORDER BY i"""


def ask(demo, *arguments, **options):
    return subprocess.run([support.TARN, "query", "tarn.yaml", *arguments], capture_output=True, cwd=demo[0], timeout=60, **options)


def test_csv(demo):
    done = ask(demo, SQL, "--format", "csv")
    assert done.returncode == support.DONE, done.stderr
    assert list(csv.reader(io.StringIO(done.stdout.decode(), newline=""))) == [
        ["i", "t", "b", "d"], ["1", "a", "", "1.5"], ["2", 'quote " comma, ', "true", ""], ["3", "zwölf\nlines", "false", "nan"]]


def test_json(demo):
    done = ask(demo, SQL, "--format", "json")
    assert done.returncode == support.DONE, done.stderr
    assert json.loads(done.stdout) == [{"i": i, "t": t, "b": b, "d": None if d != d else d} for i, t, b, d in ROWS]


def test_json_of_nested_values(demo):
    done = ask(demo, "SELECT {'a': [1, NULL], 'n': 'nan'::DOUBLE} AS s, MAP {'k': 1} AS m, '{\"x\": [1]}'::JSON AS j, 1 AS s", "--format", "json")
    assert done.returncode == support.DONE, done.stderr
    assert json.loads(done.stdout) == [{"s": {"a": [1, None], "n": None}, "m": {"k": 1}, "j": {"x": [1]}, "s_2": 1}]


def test_arrow(demo):
    done = ask(demo, SQL, "--format", "arrow")
    assert done.returncode == support.DONE, done.stderr
    answer = pa.ipc.open_stream(done.stdout).read_all()
    answer.validate(full=True)
    assert repr([tuple(row.values()) for row in answer.to_pylist()]) == repr(ROWS)


def test_parquet_to_a_file_and_to_a_pipe(demo, folder):
    done = ask(demo, SQL, "--format", "parquet", "--output", str(folder / "rows.parquet"))
    assert done.returncode == support.DONE, done.stderr
    piped = ask(demo, SQL, "--format", "parquet")
    assert piped.returncode == support.DONE, piped.stderr
    for source in (folder / "rows.parquet", io.BytesIO(piped.stdout)):
        assert repr([tuple(row.values()) for row in pq.read_table(source).to_pylist()]) == repr(ROWS)
    assert [p.name for p in folder.iterdir()] == ["rows.parquet"]


def test_table(demo):
    done = ask(demo, SQL)
    assert done.returncode == support.DONE, done.stderr
    lines = done.stdout.decode().splitlines()
    assert lines[0].startswith("┌") and "│ i │" in lines[1] and lines[-1] == "3 rows"


@pytest.mark.parametrize("form", ["csv", "json", "arrow", "parquet"])
def test_all_rows_of_the_lake(demo, form):
    done = ask(demo, "SELECT uuid, event FROM events_arrow", "--format", form)
    assert done.returncode == support.DONE, done.stderr
    read = {"csv": lambda b: list(csv.DictReader(io.StringIO(b.decode(), newline=""))), "json": json.loads,
            "arrow": lambda b: pa.ipc.open_stream(b).read_all().to_pylist(), "parquet": lambda b: pq.read_table(io.BytesIO(b)).to_pylist()}[form]
    rows = read(done.stdout)
    assert len(rows) == EVENTS and len({row["uuid"] for row in rows}) == EVENTS


def test_sql_from_standard_input(demo):
    done = ask(demo, "-", "--format", "csv", input=b"SELECT 41 + 1 AS answer; -- the end\n")
    assert (done.returncode, done.stdout) == (support.DONE, b"answer\n42\n"), done.stderr


def snapshots(demo):
    return json.loads(ask(demo, "SELECT snapshot_id AS id, schema_version FROM lake.snapshots() ORDER BY 1", "--format", "json").stdout)


def test_at_a_snapshot(demo):
    last = snapshots(demo)[-1]["id"]
    counts = [ask(demo, "SELECT count(*) AS n FROM events_arrow", "--format", "csv", "--at", str(i)) for i in range(last + 1)]
    assert counts[last].stdout == f"n\n{EVENTS}\n".encode()
    # Before the first commit there is a table without rows, before that none.
    assert b"n\n0\n" in [done.stdout for done in counts]


def test_at_a_snapshot_before_the_table(demo):
    done = ask(demo, "FROM events_arrow", "--at", "0")
    assert done.returncode == support.INPUT and done.stdout == b""
    assert done.stderr.decode() == "tarn: as of snapshot 0: Catalog Error: Table with name events_arrow does not exist!\n"


def test_at_a_snapshot_that_is_not_there(demo):
    done = ask(demo, "FROM events_arrow", "--at", "999")
    assert done.returncode == support.INPUT and done.stdout == b""
    assert "snapshot 999" in done.stderr.decode()


def test_a_name_that_is_nearly_right(demo):
    done = ask(demo, "FROM event_arrow")
    assert done.returncode == support.INPUT
    assert 'Did you mean "events_arrow"?' in done.stderr.decode()


@pytest.mark.parametrize("sql,reason", [
    ("SELEC 1", "syntax error"),
    ("SELECT 1; SELECT 2", "one statement would be right, these are 2"),
    ("", "there is no statement"),
    ("SELECT ?", "the statement has parameters"),
    ("SELECT nothing FROM events_arrow", "nothing"),
    ("SELECT error('boom')", "boom"),
])
@pytest.mark.parametrize("form", ["table", "arrow", "parquet"])
def test_refusals(demo, sql, reason, form):
    done = ask(demo, sql, "--format", form)
    assert done.returncode == support.INPUT, (done.returncode, done.stdout, done.stderr)
    text = done.stderr.decode()
    assert text.startswith("tarn: ") and reason in text and text.count("\n") == 1, text


@pytest.mark.parametrize("sql", ["DELETE FROM events_arrow", "CREATE TABLE t (i INTEGER)", "DROP TABLE events_arrow"])
def test_a_lake_is_only_read(demo, sql):
    for form in ("table", "csv", "json", "arrow"):
        done = ask(demo, sql, "--format", form)
        assert done.returncode == support.INPUT and b"read-only" in done.stderr, (form, done)
    assert ask(demo, sql, "--format", "parquet").returncode == support.INPUT
    assert ask(demo, "SELECT count(*) AS n FROM events_arrow", "--format", "csv").stdout == f"n\n{EVENTS}\n".encode()


def test_a_file_that_fails_half_way_is_not_there(demo, folder):
    for form in ("csv", "json", "arrow", "parquet"):
        done = ask(demo, "SELECT CASE WHEN i < 90000 THEN i ELSE error('boom') END FROM range(100000) r(i)", "--format", form, "--output", str(folder / "out"))
        assert done.returncode == support.INPUT and list(folder.iterdir()) == [], form
