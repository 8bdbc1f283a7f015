"""What a commit reads does not grow with the commits before it: old versions of the lanes' rows are removed."""

import signal
import time

import pytest

import support

LANES = 64
COMMITS = 20  # more versions than LANE_VERSIONS (src/lake/lane.h)
GRACE_S = 10  # LANE_GRACE_MS


def versions(lake):
    """Rows of the offsets tables in the catalog, whatever they are; of the fullest table."""
    con = lake.connect()
    try:
        tables = con.execute("SELECT i.table_name FROM __ducklake_metadata_lake.ducklake_inlined_data_tables i JOIN "
                             "__ducklake_metadata_lake.ducklake_table t ON t.table_id = i.table_id "
                             "WHERE t.table_name LIKE 'offsets%'").fetchall()
        return max(con.execute(f"SELECT count(*) FROM __ducklake_metadata_lake.{t}").fetchone()[0] for t, in tables)
    finally:
        con.close()


def commits(lake, process, producer, count):
    """One after the other, each of a message in every lane."""
    for _ in range(count):
        before = len(process.events("commit"))
        producer.events(lake.topic, LANES, rows=1, partitions=LANES)
        process.wait_event("commit", count=before + 1, timeout_s=30)


@pytest.mark.heavy
def test_they_are_bounded_while_it_runs(kafka, make_lake):
    topic = kafka.topic(LANES)
    producer = kafka.producer()
    lake = make_lake("sqlite", kafka.address, topic, freshness="100ms")
    process = lake.start()
    commits(lake, process, producer, COMMITS)
    time.sleep(GRACE_S)
    commits(lake, process, producer, COMMITS)
    assert versions(lake) <= (COMMITS + 1) * LANES  # what ended before the pause is gone
    process.drain()
    lake.assert_exactly_once(range(producer.next_seq))
    # What a lane's offset once was stays known, and the lake as it was can be read.
    first, last = lake.read("SELECT min(snapshot_id), max(snapshot_id) FROM lake.tarn.ledger")[0]
    done = [lake.read(f"SELECT count(*) FROM lake.events AT (VERSION => {s})")[0][0] for s in (first, last)]
    assert 0 < done[0] < done[1] == producer.next_seq
    done = support.tarn("query", str(lake.manifest), "SELECT count(*) AS n FROM events", "--format", "csv", "--at-offset",
                        f"{topic}/3:0", environment=lake.environment)
    assert done.returncode == support.DONE and int(done.stdout.split()[1]) >= 1, done.stderr


@pytest.mark.heavy
@pytest.mark.parametrize("backend", support.places("postgres", all=["sqlite", "postgres", "duckdb"]))
def test_a_run_begins_with_what_was_left(kafka, make_lake, backend):
    """Runs too short to count to the bound."""
    topic = kafka.topic()
    producer = kafka.producer()
    lake = make_lake(backend, kafka.address, topic)
    for _ in range(2):
        producer.events(topic, 1, rows=1)
        lake.once()
    left = versions(lake)
    assert left >= 4  # a claim and a commit each
    time.sleep(GRACE_S)
    producer.events(topic, 1, rows=1)
    process = lake.once(faults="prune.after:1:kill", expect=None)
    assert process.process.returncode == -signal.SIGKILL
    lake.assert_consistent()
    kept = versions(lake)
    assert kept - left == 2  # the claim, and the commit before the kill
    producer.events(topic, 1, rows=1)
    process = lake.once(faults="prune.after:1:error")
    assert [e for e in process.events("lake") if "old versions" in e["message"]]
    assert versions(lake) == kept + 2  # what fails is left for later
    time.sleep(GRACE_S)
    producer.events(topic, 1, rows=1)
    lake.once()
    assert versions(lake) == 3  # the one that holds, and those of this run
    lake.assert_exactly_once(range(producer.next_seq))
