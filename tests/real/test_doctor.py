"""tarn doctor: what is well, missing, unreachable, locked or set badly, in words that say what to do."""

import json
import shutil
import socket

import pytest

import support
from support import DONE, NO


def doctor(lake=None, environment=None, manifest=None):
    files = [str(manifest or lake.manifest)] if lake else []
    done = support.tarn("doctor", *files, "--format", "json", environment=(lake.environment if lake else {}) | (environment or {}))
    assert done.returncode in (DONE, NO), done.stderr
    found = json.loads(done.stdout)
    assert (done.returncode == NO) == any(f["state"] == "fail" for f in found)
    return found


def says(found, state, subject, text):
    return [f for f in found if f["state"] == state and f["subject"] == subject and text in f["detail"]]


def test_all_is_well(kafka, make_lake):
    topic = kafka.topic(2)
    lake = make_lake("sqlite", kafka.address, topic)
    seqs = kafka.producer().events(topic, 6, partitions=2)
    before = doctor(lake)
    assert says(before, "note", "catalog main", "not there yet") and says(before, "ok", "stream events", "6 messages to come")
    lake.once()
    after = doctor(lake)
    assert {f["state"] for f in after} == {"ok"}, after
    assert says(after, "ok", "stream events", f"2 lanes, {len(seqs)} rows in the lake, 0 messages to come")
    text = support.tarn("doctor", str(lake.manifest))
    assert text.stdout.endswith("0 failures, 0 warnings\n") and "\033" not in text.stdout


def test_a_writer_and_quarantine(kafka, make_lake):
    topic = kafka.topic(1)
    producer = kafka.producer()
    lake = make_lake("sqlite", kafka.address, topic)
    producer.events(topic, 2)
    producer.raw(topic, b"no arrow")
    producer.flush()
    process = lake.start()
    process.wait_event("commit")
    found = doctor(lake)
    assert says(found, "note", "catalog main", f"process {process.pid} is writing it")
    assert says(found, "note", "stream events", "1 messages are in quarantine")
    process.drain()
    assert not says(doctor(lake), "note", "catalog main", "is writing it")


@pytest.mark.parametrize("backend", ["duckdb", "file"])
def test_a_writer_of_a_file_that_nobody_else_opens(kafka, make_lake, backend):
    topic = kafka.topic(1)
    lake = make_lake(backend, kafka.address, topic)
    kafka.producer().events(topic, 2)
    process = lake.start()
    process.wait_event("commit")
    found = doctor(lake)
    assert says(found, "note", "stream events", "its topic can be read; what of it is in the lake cannot be told"), found
    assert not [f for f in found if "rows in the lake" in f["detail"]]
    process.drain()
    assert says(doctor(lake), "ok", "stream events", "10 rows in the lake")


def test_verify_prints_json_also_where_it_fails(kafka, make_lake):
    topic = kafka.topic(1)
    lake = make_lake("sqlite", kafka.address, topic)
    kafka.producer().events(topic, 2)
    lake.once()
    text = lake.manifest.read_text()
    second = text.replace("name: main", "name: other").replace("name: events", "name: more").replace(
        "catalog.sqlite", "none.sqlite").replace("dataPath: data", "dataPath: other").replace("group: ", "group: more-")
    both = lake.folder / "both.yaml"
    both.write_text(text.replace("  table:", "  catalogRef: main\n  table:") + "---\n"
                    + second.replace("  table:", "  catalogRef: other\n  table:"))
    done = support.tarn("verify", str(both), "--format", "json", environment=lake.environment)
    assert done.returncode not in (DONE, NO) and "catalog other" in done.stderr, done.stderr
    assert [stream["passed"] for stream in json.loads(done.stdout)] == [True]


@pytest.mark.heavy
def test_what_is_missing(make_lake, folder):
    lake = make_lake("sqlite", "127.0.0.1:1", "nowhere")
    found = doctor(lake)
    assert says(found, "fail", "stream events", "127.0.0.1:1") and all(f["fix"] for f in found if f["state"] == "fail")
    assert says(doctor(lake, {"TARN_EXTENSIONS": str(folder)}), "fail", "DuckDB", str(folder))
    others = folder / "others"
    shutil.copytree(support.EXTENSIONS, others)
    with open(next(others.glob("*/*/ducklake.duckdb_extension")), "r+b") as extension:
        extension.seek(5000)
        extension.write(b"x")
    assert says(doctor(lake, {"TARN_EXTENSIONS": str(others)}), "fail", "DuckDB", "ducklake.duckdb_extension is another file than the one")
    broken = lake.folder / "broken.yaml"
    broken.write_text("kind: DuckLakeStrem\n")
    assert says(doctor(lake, manifest=broken), "fail", "manifest", "broken.yaml:1")
    assert says(doctor(), "ok", "DuckDB", "with its extensions")


@pytest.mark.heavy
@pytest.mark.parametrize("address", ["host=127.0.0.1 port={} dbname=lake", "postgresql://tarn@127.0.0.1:{}/lake"], ids=["words", "uri"])
def test_a_server_that_takes_connections_and_is_silent(make_lake, address):
    """It is not waited for without end, by doctor or by any other command."""
    lake = make_lake("sqlite", "127.0.0.1:1", "nowhere")
    with socket.create_server(("127.0.0.1", 0)) as server:
        lake.backend, lake.database = "postgres", "lake"
        manifest = lake.write("silent.yaml")
        environment = {"TARN_TEST_CONNECTION": address.format(server.getsockname()[1])}
        assert says(doctor(lake, environment, manifest), "fail", "catalog main", "timeout expired")
        done = support.tarn("status", str(manifest), environment=environment, timeout_s=60)
        assert done.returncode == support.LATER and "timeout expired" in done.stderr, done.stderr


def test_servers(kafka, own_postgres, s3, make_lake):
    topic = kafka.topic(1)
    lake = make_lake("postgres", kafka.address, topic, server=own_postgres, store=s3)
    kafka.producer().events(topic, 2)
    lake.once()
    found = doctor(lake)
    assert says(found, "ok", "catalog main", "PostgreSQL 15") and not says(found, "warn", "catalog main", "idle")
    own_postgres.psql(f"ALTER DATABASE {lake.database} SET idle_in_transaction_session_timeout = 0")
    assert says(doctor(lake), "warn", "catalog main", "idle_in_transaction_session_timeout")
    wrong = doctor(lake, {"TARN_TEST_S3_SECRET": "not-the-secret-at-all"})
    assert says(wrong, "fail", "catalog main", "403") and "not-the-secret-at-all" not in str(wrong)
    password = own_postgres.address.split("password=")[1].split()[0]
    manifest = lake.write("nobase.yaml")
    nobase = doctor(lake, {"TARN_TEST_CONNECTION": own_postgres.connection("nobase")}, manifest)
    assert says(nobase, "fail", "catalog main", 'database "nobase" does not exist'), nobase
    own_postgres.stop()
    gone = doctor(lake)
    assert says(gone, "fail", "catalog main", "") and password not in str(gone)
    own_postgres.restart()
