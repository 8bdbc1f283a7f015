"""`tarn demo` and the commands that look at what it made; everything on the embedded broker, with no server."""

import json
import os
import re
import shutil
import signal
import time

import pytest
import support
from example import BATCH, EVENTS, EXAMPLE, PARTITIONS
from support import tarn


def test_report(demo):
    _, done = demo
    lanes = re.findall(r"│ +(\d+) │ +(\d+) │ +(\d+) │ +(\d+) │ +(\d+) │ +(\d+) │ +(\d+) │ +(\d+) │", done.stdout)
    assert [int(lane[0]) for lane in lanes] == list(range(PARTITIONS))
    assert sum(int(lane[3]) for lane in lanes) == EVENTS // BATCH and sum(int(lane[4]) for lane in lanes) == EVENTS
    assert {lane[5:] for lane in lanes} == {("0", "0", "0")}, "lag, gaps, duplicates"
    assert re.search(r"^rows +5,000 in [0-9.]+ s, ", done.stdout, re.M)
    assert re.search(r"^verify +passed: every offset is in the lake exactly once$", done.stdout, re.M)
    assert re.search(r"^commits +\d+, 0 messages in quarantine$", done.stdout, re.M)
    assert "What happens most?" in done.stdout and "$pageview" in done.stdout


def test_another_program_reads_the_lake(demo):
    folder, _ = demo
    con = support.attach(f"ducklake:sqlite:{folder}/lake/catalog.sqlite", "(READ_ONLY)")
    assert con.execute("SELECT count(*), count(DISTINCT uuid) FROM lake.events_arrow").fetchone() == (EVENTS, EVENTS)
    con.close()


def test_the_same_seed_makes_the_same_events(demo, folder):
    first, _ = demo
    shutil.copy(EXAMPLE, folder)
    digest = "SELECT count(*) AS n, bit_xor(hash(e)) AS h FROM events_arrow e"
    asked = [json.loads(tarn("query", "tarn.yaml", digest, "--format", "json", folder=first).stdout)]
    for seed in ("1", "2"):
        done = tarn("demo", "tarn.yaml", "--count", str(EVENTS), "--batch", str(BATCH), "--partitions", "2", "--seed", seed, folder=folder)
        assert done.returncode == support.DONE, done.stderr
        asked.append(json.loads(tarn("query", "tarn.yaml", digest, "--format", "json", folder=folder).stdout))
    assert asked[0] == asked[1] != asked[2]
    assert asked[0][0]["n"] == EVENTS


def test_the_built_in_manifest_leaves_nothing_unless_kept(folder):
    environment = {"TMPDIR": str(folder)}
    done = tarn("demo", "--count", "1000", "--batch", "100", folder=folder, environment=environment)
    assert done.returncode == support.DONE, done.stderr
    assert os.listdir(folder) == []
    done = tarn("demo", "--count", "1000", "--batch", "100", "--keep", folder=folder, environment=environment)
    assert done.returncode == support.DONE, done.stderr
    kept = [p for p in folder.rglob("catalog.sqlite")]
    assert len(kept) == 1 and str(kept[0].parent.parent) in done.stdout + done.stderr


def test_a_lake_that_no_demo_made_is_left_alone(folder):
    shutil.copy(EXAMPLE, folder)
    (folder / "lake").mkdir()
    (folder / "lake" / "catalog.sqlite").write_bytes(b"somebody's")
    done = tarn("demo", "tarn.yaml", "--count", "1000", folder=folder)
    assert done.returncode == support.INPUT, done
    assert "catalog.sqlite" in done.stderr or "lake" in done.stderr
    assert (folder / "lake" / "catalog.sqlite").read_bytes() == b"somebody's"


def test_an_interrupt_ends_it(folder, processes):
    shutil.copy(EXAMPLE, folder)
    process = support.Process(["demo", "tarn.yaml", "--count", "50000000"], folder)
    processes.append(process)
    process.wait_event("commit", 30)
    process.send(signal.SIGINT)
    assert process.wait(30) == support.INTERRUPTED


def test_status_as_json(demo):
    folder, _ = demo
    done = tarn("status", "tarn.yaml", "--format", "json", folder=folder)
    assert done.returncode == support.DONE, done.stderr
    (status,) = json.loads(done.stdout)
    assert (status["stream"], status["table"], status["rows"], status["quarantined"], status["lanes"]) == ("events", "main.events_arrow", EVENTS, 0, PARTITIONS)
    assert status["files"] >= 1 and status["bytes"] > 0 and status["snapshot"] > 0
    table = tarn("status", "tarn.yaml", folder=folder)
    assert table.returncode == support.DONE and "events_arrow" in table.stdout


def test_verify_as_json(demo):
    folder, _ = demo
    done = tarn("verify", "tarn.yaml", "--format", "json", folder=folder)
    assert done.returncode == support.DONE, done.stderr
    (answer,) = json.loads(done.stdout)
    assert answer["passed"] and answer["rows"] == answer["table_rows"] == EVENTS
    assert [lane["partition"] for lane in answer["lanes"]] == list(range(PARTITIONS))
    assert all(lane["lag"] is None for lane in answer["lanes"])


def test_verify_against_an_embedded_topic_says_that_it_is_gone(demo):
    folder, _ = demo
    done = tarn("verify", "tarn.yaml", "--topic", "--format", "json", folder=folder)
    assert done.returncode == support.INPUT and json.loads(done.stdout) == []
    assert "verify without --topic" in done.stderr


def test_verify_finds_rows_that_went_away(folder):
    shutil.copy(EXAMPLE, folder)
    assert tarn("demo", "tarn.yaml", "--count", "1000", "--batch", "100", folder=folder).returncode == support.DONE
    con = support.attach(f"ducklake:sqlite:{folder}/lake/catalog.sqlite")
    con.execute("DELETE FROM lake.events_arrow WHERE uuid = (SELECT min(uuid) FROM lake.events_arrow)")
    con.close()
    done = tarn("verify", "tarn.yaml", "--format", "json", folder=folder)
    assert done.returncode == support.NO
    (answer,) = json.loads(done.stdout)
    assert not answer["passed"] and (answer["rows"], answer["table_rows"]) == (1000, 999) and answer["problem"]


def test_run_once_on_an_empty_embedded_topic_ends(folder):
    shutil.copy(EXAMPLE, folder)
    started = time.monotonic()
    done = tarn("run", "tarn.yaml", "--once", folder=folder, timeout_s=30)
    assert done.returncode == support.DONE, done.stderr
    assert time.monotonic() - started < 25
    assert tarn("verify", "tarn.yaml", folder=folder).returncode == support.DONE


def test_run_serves_and_drains(folder, processes):
    shutil.copy(EXAMPLE, folder)
    process = support.Process(["run", "tarn.yaml", "--listen", "127.0.0.1:0"], folder)
    processes.append(process)
    support.eventually("ready", lambda: process.get("/readyz")[0] == 200)
    broker = process.wait_event("embedded_broker")[0]["address"]
    done = tarn("produce", "--brokers", broker, "--topic", "test-events-arrow", "--count", "2000", "--batch", "100", "--partitions", "8", "--report", "json", folder=folder)
    assert done.returncode == support.DONE, done.stderr
    report = json.loads(done.stdout)
    assert 2000 in report.values(), report
    support.eventually("all is committed", lambda: process.metric("tarn_rows_committed_total") == 2000)
    process.drain(30)
    rows = json.loads(tarn("query", "tarn.yaml", "SELECT count(*) AS n FROM events_arrow", "--format", "json", folder=folder).stdout)
    assert rows == [{"n": 2000}]
    assert tarn("verify", "tarn.yaml", folder=folder).returncode == support.DONE
