"""The options of a lake's Parquet files: said by whoever makes it, and its owner's choice afterwards."""

import contextlib
import json
import sqlite3
import subprocess
import time

import pytest
import yaml

import support

API = {"apiVersion": "ducklake.featherman.dev/v1alpha1"}
# Of two that say it at once each may have said it: it is there twice, to the same effect.
OPTIONS = "SELECT DISTINCT option_name, value FROM ducklake_options('lake') WHERE option_name LIKE 'parquet_compression%' AND scope = 'GLOBAL' ORDER BY 1"
OURS = [("parquet_compression", "zstd"), ("parquet_compression_level", "1")]


def manifest(folder, backend, name):
    """A stream of files into a table of its own."""
    (folder / name).mkdir()
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump_all([
        API | {"kind": "DuckLakeCatalog", "metadata": {"name": "main"}, "spec": {"backend": backend, "dataPath": "data"}},
        API | {"kind": "DuckLakeStream", "metadata": {"name": name},
               "spec": {"catalogRef": "main", "table": name, "format": "json", "source": {"files": f"{name}/*.json", "settle": "0s"}}}]))
    return path


def put(folder, name, n):
    (folder / name / f"{n}.json").write_text(json.dumps({"n": n}) + "\n")


def codecs(con, folder, table):
    return {row[0] for row in con.execute(f"SELECT compression FROM parquet_metadata('{folder}/data/main/{table}/*.parquet')").fetchall()}


def test_the_owner_chooses(folder):
    backend = {"type": "sqlite", "path": "catalog.sqlite"}
    path = manifest(folder, backend, "events")

    def run(n):
        put(folder, "events", n)
        return support.tarn("run", str(path), "--once", folder=folder, timeout_s=60)

    def change(*statements):
        con = support.attach(f"ducklake:sqlite:{folder}/catalog.sqlite", f"(DATA_PATH '{folder}/data', META_JOURNAL_MODE 'WAL')")
        for statement in statements:
            con.execute(statement)
        found = con.execute(OPTIONS).fetchall(), con.execute("SELECT n FROM lake.events ORDER BY n").fetchall(), codecs(con, folder, "events")
        con.close()
        return found

    def is_done(n):
        done = run(n)
        assert done.returncode == 0, done.stderr

    is_done(1)
    assert change() == (OURS, [(1,)], {"ZSTD"})
    # DuckDB then writes nothing, whoever asks.
    change("CALL lake.set_option('parquet_compression', 'snappy')")
    done = run(2)
    assert done.returncode != 0 and "parquet_compression_level is set, which DuckDB takes for zstd alone" in done.stderr, done.stderr
    change("DELETE FROM __ducklake_metadata_lake.ducklake_metadata WHERE key = 'parquet_compression_level'")
    is_done(2)
    assert change() == ([("parquet_compression", "snappy")], [(1,), (2,)], {"ZSTD", "SNAPPY"})
    change("CALL lake.set_option('parquet_compression', 'zstd')",
           "CALL lake.set_option('parquet_compression', 'gzip', schema => 'main', table_name => 'events')")
    is_done(3)
    assert change() == ([("parquet_compression", "zstd")], [(1,), (2,), (3,)], {"ZSTD", "SNAPPY", "GZIP"})


@pytest.mark.parametrize("rounds", [12 if support.LONG else 3])
def test_several_make_a_catalog(folder, postgres, rounds):
    """Each finds what the others have said of it, whenever it looks."""
    for turn in range(rounds):
        place = folder / str(turn)
        place.mkdir()
        database = postgres.database()
        names = [f"events{i}" for i in range(4)]
        paths = [manifest(place, {"type": "postgres", "connection": postgres.connection(database)}, name) for name in names]
        for name in names:
            put(place, name, 1)
        started = [subprocess.Popen([support.TARN, "run", str(path), "--once"], cwd=place, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
                   for path in paths]
        told = [process.communicate(timeout=100)[1] for process in started]
        assert [process.returncode for process in started] == [0] * len(names), "\n".join(told)[-4000:]
        con = support.attach(f"ducklake:postgres:{postgres.connection(database)}", f"(DATA_PATH '{place}/data')")
        assert con.execute(OPTIONS).fetchall() == OURS
        assert [codecs(con, place, name) for name in names] == [{"ZSTD"}] * len(names)
        con.close()


def test_another_program_makes_the_catalog(folder):
    """SQLite refuses at once to make a file WAL that somebody is about to write to."""
    path = manifest(folder, {"type": "sqlite", "path": "catalog.sqlite"}, "events")
    put(folder, "events", 1)
    with contextlib.closing(sqlite3.connect(folder / "catalog.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        process = support.Process(["run", str(path), "--once"], folder)
        try:
            time.sleep(1)
            assert process.alive(), process.tail()
            other.execute("ROLLBACK")
            assert process.wait() == support.DONE, process.tail()
        finally:
            process.end()
    with contextlib.closing(support.attach(f"ducklake:sqlite:{folder}/catalog.sqlite", "(READ_ONLY)")) as con:
        assert con.execute("SELECT n FROM lake.events").fetchall() == [(1,)]
