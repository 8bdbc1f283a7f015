"""tarn query --at-offset: the snapshot that came to hold a message, by the ledger."""

import json
import time

import pytest

import support
from support import DONE, INPUT, USAGE, attach

BACKENDS = ["sqlite", "postgres", "duckdb"]


def ask(lake, place, sql="SELECT count(*) AS n FROM events", expect=DONE, manifest=None):
    done = support.tarn("query", str(manifest or lake.manifest), sql, "--format", "json", "--at-offset", place,
                        environment=lake.environment, folder=lake.folder)
    assert done.returncode == expect, f"{place}: ended with {done.returncode}: {done.stdout} {done.stderr}"
    return json.loads(done.stdout)[0]["n"] if expect == DONE else done.stderr


def boundaries(lake):
    """Each commit's ranges, and how many rows the table had after it: by the ledger's order."""
    rows = lake.read('SELECT "partition", from_offset, next_offset, sum("rows") OVER (ORDER BY snapshot_id), snapshot_id '
                     'FROM lake.tarn.ledger ORDER BY snapshot_id, "partition"')
    # Rows of one commit have the same sum: the window's peers.
    return rows


def check_boundaries(lake, wanted):
    found = boundaries(lake)
    assert len(found) == wanted
    for partition, first, after, rows, _ in found:
        for offset in {first, after - 1}:
            assert ask(lake, f"{lake.topic}/{partition}:{offset}") == rows, (partition, offset, rows)


def in_commits(lake, producer, commits, partitions=2):
    for i in range(commits):
        producer.events(lake.topic, 2 + i, rows=3, partitions=partitions if i % 2 else 1)
        lake.once()


def maintain(lake, *calls):
    con = attach(lake.target, f"(DATA_PATH '{lake.folder}/data')")
    for call in calls:
        con.execute(call)
    con.close()


@pytest.mark.heavy
@pytest.mark.parametrize("backend", support.places("sqlite", all=BACKENDS))
def test_each_commit_boundary(kafka, make_lake, backend):
    """Also after maintenance moved the ledger from the catalog to files, and merged these."""
    topic = kafka.topic(2)
    producer = kafka.producer()
    lake = make_lake(backend, kafka.address, topic)
    in_commits(lake, producer, 4)
    check_boundaries(lake, 6)
    maintain(lake, "CALL ducklake_flush_inlined_data('lake')")
    in_commits(lake, producer, 2)
    maintain(lake, "CALL ducklake_flush_inlined_data('lake')", "CALL ducklake_merge_adjacent_files('lake')")
    in_commits(lake, producer, 1)
    check_boundaries(lake, 10)
    assert ask(lake, f"{topic}/0:0", "SELECT count(*) AS n FROM lake.tarn.ledger") == 1


@pytest.mark.heavy
@pytest.mark.parametrize("backend", support.places("sqlite", all=BACKENDS))
def test_what_cannot_be_found_is_told(kafka, make_lake, backend):
    topic = kafka.topic(3)
    producer = kafka.producer()
    lake = make_lake(backend, kafka.address, topic)
    producer.events(topic, 10, rows=1, partitions=1)
    producer.events(topic, 4, rows=1, partitions=2)
    kafka.delete_records(topic, 0, 5)
    lake.once()
    producer.events(topic, 3, rows=1, partitions=1)
    lake.once()
    for place, told in [
        (f"{topic}/0:15", "is not committed yet: of this partition the lake has the offsets from 5 on, and the next one is 15"),
        (f"{topic}/0:4", "was never read: of this partition the lake has the offsets from 5 on, and the next one is 15"),
        (f"{topic}/1:2", "is not committed yet: of this partition the lake has the offsets from 0 on, and the next one is 2"),
        (f"{topic}/2:0", f"nothing of partition 2 of topic {topic} is committed; there are partitions 0, 1"),
        ("other/0:0", f"nothing of a topic other is committed in catalog main; there are {topic}"),
        (topic, "--at-offset: "), (f"{topic}/0", "TOPIC/PARTITION:OFFSET, as events/3:1207, would be right"),
        (f"{topic}/0:x", "is no place of a message"), (f"{topic}/-1:0", "is no place"), (f"{topic}/0:1 ", "is no place"),
        (f"{topic}/99999999999:1", "is no place"), ("a b/0:1", "is no place"),
    ]:
        assert told in ask(lake, place, expect=INPUT), place
    done = support.tarn("query", str(lake.manifest), "SELECT 1", "--at", "1", "--at-offset", f"{topic}/0:5", environment=lake.environment)
    assert done.returncode == USAGE and "--at and --at-offset each choose a snapshot" in done.stderr
    # A snapshot that expired: the next one that is there is named, and can be read.
    snapshot = lake.read("SELECT min(snapshot_id) FROM lake.tarn.ledger")[0][0]
    maintain(lake, f"CALL ducklake_expire_snapshots('lake', versions => [{snapshot}])")
    told = ask(lake, f"{topic}/0:5", expect=INPUT)
    assert f"came with snapshot {snapshot}, which has expired; the first one after it that is still there is" in told
    assert ask(lake, f"{topic}/0:14") == 12


def emptied(kafka, make_lake):
    """A topic that retention has emptied, and a lake that has four of its eight messages."""
    topic = kafka.topic()
    producer = kafka.producer()
    lake = make_lake("sqlite", kafka.address, topic)
    producer.events(topic, 4, rows=1)
    lake.once()
    producer.events(topic, 4, rows=1)
    kafka.delete_records(topic, 0, 8)
    return topic, lake


def test_offsets_that_hold_no_message(kafka, make_lake):
    """Lost to retention while the stream was away; and a transaction's control records."""
    topic, lake = emptied(kafka, make_lake)
    lake.once()
    told = ask(lake, f"{topic}/0:5", expect=INPUT)
    assert f"{topic}/0:5 holds no message: the topic's retention removed it before it was read" in told and "go from 0 to 7" in told
    assert ask(lake, f"{topic}/0:3") == 4
    transactions = support.confluent_kafka.Producer({"bootstrap.servers": kafka.address, "transactional.id": support.unique("tx"), "log_level": 2})
    transactions.init_transactions(30)
    transactions.begin_transaction()
    transactions.produce(topic, value=support.events(100, 1), partition=0)
    transactions.flush(30)
    transactions.abort_transaction(30)
    support.eventually("the marker of its end is written", lambda: kafka.end(topic, True) == kafka.end(topic, False))
    lake.once()
    told = ask(lake, f"{topic}/0:8", expect=INPUT)
    assert "holds no message: it was skipped" in told, told


def test_once_looks_at_an_emptied_partition(kafka, make_lake):
    """Also where somebody else has it at first: what retention took before it was read is a gap, and is noted."""
    topic, lake = emptied(kafka, make_lake)
    group = support.unique("group")
    other = support.confluent_kafka.Consumer({"bootstrap.servers": kafka.address, "group.id": group, "auto.offset.reset": "latest",
                                              "partition.assignment.strategy": "cooperative-sticky", "log_level": 2})
    other.subscribe([topic])
    support.eventually("it has the partition", lambda: other.poll(0.1) or other.assignment(), 30)
    process = lake.start("--once", manifest=lake.write("once.yaml", group=group))
    process.wait_event("start")
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and process.alive():
        other.poll(0.1)
    assert process.alive(), f"it ended without the partition:\n{process.tail()}"
    other.close()
    assert process.wait(60) == DONE, process.tail()
    assert [(e["from"], e["to"]) for e in process.events("gap")] == [(4, 8)]
    assert lake.verify(topic=True)["lanes"][0]["lag"] == 0


def test_several_streams_and_a_backend_without_snapshots(kafka, make_lake):
    """Two streams of one topic: the first snapshot that holds the offset for both."""
    topic = kafka.topic()
    producer = kafka.producer()
    lake = make_lake("sqlite", kafka.address, topic)
    producer.events(topic, 4, rows=1)
    lake.once()
    documents = lake.documents
    def two(**changes):
        catalog, stream = documents(**changes)
        other = json.loads(json.dumps(stream)) | {"metadata": {"name": "second"}}
        other["spec"] |= {"table": "others"}
        other["spec"]["kafka"]["group"] += "-second"
        return [catalog, stream, other]
    lake.documents = two
    lake.once()
    done = support.tarn("query", str(lake.manifest), "SELECT (SELECT count(*) FROM events) AS n, (SELECT count(*) FROM others) AS o", "--format",
                        "json", "--at-offset", f"{topic}/0:3")
    assert done.returncode == DONE and json.loads(done.stdout) == [{"n": 4, "o": 4}], done.stderr
    told = json.loads(done.stderr.splitlines()[-1])
    assert told["event"] == "at_offset" and told["stream"] == "second" and "for each stream that has it" in told["message"], told
    file = make_lake("file", kafka.address, topic)
    file.once()
    assert "backend file, which keeps no snapshots: --at-offset needs sqlite, postgres or duckdb" in ask(file, f"{topic}/0:3", expect=INPUT)
