"""Files stay large: small ones become larger ones between commits, and nothing else changes."""

import base64
import os
import signal

import pyarrow as pa
import pytest

import support

PLACES = ["sqlite", "duckdb", "postgres", "sqlite+s3", "postgres+s3"]


def files(lake, table="events"):
    return [size for size, in lake.read(f"SELECT data_file_size_bytes FROM ducklake_list_files('lake', '{table}')")]


def trickle(kafka, lake, process, producer, commits, start=0):
    """One commit after the other, of a few rows each."""
    for i in range(start, start + commits):
        producer.events(lake.topic, 2, rows=3, partitions=2)
        process.wait_event("commit", count=i + 1, timeout_s=30)


@pytest.mark.parametrize("place", support.places("sqlite", "postgres+s3", all=PLACES))
def test_a_trickle(kafka, make_lake, place):
    topic = kafka.topic(2)
    producer = kafka.producer()
    lake = make_lake(place, kafka.address, topic, freshness="100ms")
    process = lake.start()
    trickle(kafka, lake, process, producer, 20)
    process.wait_event("merge", count=2, timeout_s=30)
    process.drain()
    assert len(files(lake)) < 8 + 2
    snapshots = [s for s, in lake.read("SELECT snapshot_id FROM ducklake_snapshots('lake') ORDER BY 1")]
    counts = [lake.read(f"SELECT count(*) FROM lake.events AT (VERSION => {s})")[0][0]
              for s in snapshots[-12:]]
    assert counts == sorted(counts) and counts[-1] == producer.next_seq
    # What each snapshot added is still told one by one.
    added = lake.read(f"SELECT count(*), count(DISTINCT snapshot_id) FROM ducklake_table_changes('lake', 'main', 'events', 0, "
                      f"{snapshots[-1]})")[0]
    assert added[0] == producer.next_seq and added[1] >= 20, added
    lake.assert_exactly_once(range(producer.next_seq))


@pytest.mark.heavy
def test_what_comes_after_a_merge_is_one_file(kafka, make_lake):
    """A merge has a size for its own files, which must not cut those of later commits."""
    topic = kafka.topic(2, max_message_bytes=16777216)
    producer = kafka.producer()
    lake = make_lake("sqlite", kafka.address, topic, freshness="200ms")
    process = lake.start()
    trickle(kafka, lake, process, producer, 9)
    process.wait_event("merge", timeout_s=30)
    seqs = range(producer.next_seq, producer.next_seq + 40 * 10_000)
    process.send(signal.SIGSTOP)
    for first in seqs[::10_000]:
        rows = range(first, first + 10_000)
        notes = pa.array([base64.b64encode(os.urandom(48)).decode() for _ in rows])
        message = pa.ipc.open_stream(support.events(first, len(rows))).read_all().set_column(4, support.SCHEMA.field(4), notes)
        producer.raw(topic, support.ipc(message.combine_chunks().to_batches()[0]))
    producer.flush()
    process.send(signal.SIGCONT)
    support.eventually("all is in", lambda: lake.verify(topic=True)["table_rows"] == seqs.stop, 60, 0.5)
    process.drain()
    assert max(files(lake)) > 12 << 20, sorted(files(lake))[-5:]


@pytest.mark.parametrize("place", support.places("postgres", all=PLACES))
def test_killed_while_merging(kafka, make_lake, place):
    topic = kafka.topic(2)
    producer = kafka.producer()
    lake = make_lake(place, kafka.address, topic, freshness="100ms")
    process = lake.start(faults="merge.after:1:kill")
    for _ in range(40):
        producer.events(topic, 2, rows=3, partitions=2)
        if not process.alive() or process.process.poll() is not None:
            break
        support.time.sleep(0.4)
    assert process.wait(30) == -signal.SIGKILL
    lake.assert_consistent()
    process = lake.start(faults="merge.after:1:error", manifest=lake.write("again.yaml", group=support.unique("group")))
    trickle(kafka, lake, process, producer, 18)
    process.wait_event("lake", timeout_s=30, where=lambda r: "not merged" in r["message"])
    process.wait_event("merge", timeout_s=30)
    process.drain()
    lake.assert_exactly_once(range(producer.next_seq))


def test_not_wanted(kafka, make_lake):
    topic = kafka.topic(2)
    producer = kafka.producer()
    lake = make_lake("sqlite", kafka.address, topic, freshness="100ms")
    documents = lake.documents

    def without(**changes):
        catalog, stream = documents(**changes)
        stream["spec"]["mergeFiles"] = False
        return [catalog, stream]

    lake.documents = without
    process = lake.start(manifest=lake.write("kept.yaml"))
    trickle(kafka, lake, process, producer, 18)
    process.drain()
    assert len(files(lake)) >= 18 and not process.events("merge")


def test_a_stream_of_refused_messages_has_no_table(kafka, make_lake):
    topic = kafka.topic(2)
    producer = kafka.producer()
    lake = make_lake("sqlite", kafka.address, topic, freshness="100ms")
    process = lake.start()
    for i in range(20):
        producer.raw(topic, b"no Arrow")
        producer.flush()
        process.wait_event("commit", count=i + 1)
    process.drain()
    assert not [record for record in process.events("lake") if "not merged" in record["message"]]
