"""A table's name is one name, however it is written: DuckDB and DuckLake compare names without case."""

import json

import pytest
import support
import yaml
from support import places

API = {"apiVersion": "ducklake.featherman.dev/v1alpha1"}


@pytest.mark.parametrize("backend", places("sqlite", "postgres", "file", all=support.BACKENDS))
def test_a_table_that_is_there_by_another_case(folder, request, backend):
    target, settings = f"ducklake:{'sqlite:' if backend == 'sqlite' else ''}{folder}/catalog", {"type": backend, "path": "catalog"}
    if backend == "postgres":
        postgres = request.getfixturevalue("postgres")
        connection = postgres.connection(postgres.database())
        target, settings = f"ducklake:postgres:{connection}", {"type": backend, "connection": connection}
    if backend == "file":
        target = f"{folder}/catalog"
    con = support.attach(target, "" if backend == "file" else f"(DATA_PATH '{folder}/data')")
    con.execute("CREATE TABLE lake.\"Events\" (n BIGINT)")
    con.close()
    (folder / "in").mkdir()
    for n in (1, 2):
        (folder / "in" / f"{n}.json").write_text(json.dumps({"n": n, f"more{n}": "x"}) + "\n")
        catalog = {"backend": settings} | ({} if backend == "file" else {"dataPath": "data"})
        stream = {"catalogRef": "main", "table": ["events", "EVENTS"][n - 1], "format": "json",
                  "source": {"files": "in/*.json", "settle": "0s"}}
        (folder / "tarn.yaml").write_text(yaml.safe_dump_all([
            API | {"kind": "DuckLakeCatalog", "metadata": {"name": "main"}, "spec": catalog},
            API | {"kind": "DuckLakeStream", "metadata": {"name": "s"}, "spec": stream}]))
        done = support.tarn("run", "tarn.yaml", "--once", folder=folder, timeout_s=40)
        assert done.returncode == support.DONE, done.stderr
        assert support.tarn("verify", "tarn.yaml", folder=folder).returncode == support.DONE
    con = support.attach(target, "(READ_ONLY)")
    assert con.execute("SELECT n, more1, more2 FROM lake.events ORDER BY n").fetchall() == [(1, "x", None), (2, None, "x")]
    con.close()


@pytest.mark.parametrize("backend", places("postgres", all=["sqlite", "postgres", "duckdb"]))
def test_a_folder_that_is_named_as_a_column_is(folder, request, backend):
    """DuckLake would take env of .../env=prod/... for the column, whatever the file has."""
    settings = {"type": backend, "path": "catalog"}
    if backend == "postgres":
        postgres = request.getfixturevalue("postgres")
        settings = {"type": backend, "connection": postgres.connection(postgres.database())}
    (folder / "in").mkdir()
    (folder / "in" / "1.json").write_text('{"id": 1, "env": "dev"}\n{"id": 2, "env": "test"}\n{"id": 3}\n')
    (folder / "tarn.yaml").write_text(yaml.safe_dump_all([
        API | {"kind": "DuckLakeCatalog", "metadata": {"name": "main"}, "spec": {"backend": settings, "dataPath": "data/env=prod/id=x"}},
        API | {"kind": "DuckLakeStream", "metadata": {"name": "s"}, "spec": {
            "table": "events", "format": "json", "source": {"files": "in/*.json", "settle": "0s"}}}]))
    done = support.tarn("run", "tarn.yaml", "--once", folder=folder, timeout_s=40)
    assert done.returncode == support.DONE, done.stderr
    found = support.tarn("query", "tarn.yaml", "--format", "csv", "SELECT id, env FROM events ORDER BY id", folder=folder)
    assert found.stdout.split() == ["id,env", "1,dev", "2,test", "3,"], found
