"""What an operator meets: signals, a second process, the bound of memory, transactions, the metrics page."""

import json
import signal
import subprocess
import time

import pytest

import support
from support import DONE, INTERRUPTED, NO, OWNED, Stream


def test_sigterm_drains(kafka, make_lake):
    """Far from its freshness, what was read commits at the signal."""
    topic = kafka.topic(2)
    lake = make_lake("sqlite", kafka.address, topic, freshness="60s")
    seqs = kafka.producer().events(topic, 20, rows=5, partitions=2)
    process = lake.start("--listen", "127.0.0.1:0")
    support.eventually("read", lambda: process.events("listen") and process.metric("tarn_messages_received_total") == 20)
    assert not process.events("commit")
    at = time.monotonic()
    process.drain(30)
    assert time.monotonic() - at < 20
    lake.assert_exactly_once(seqs)
    assert not kafka.members(lake.group)
    assert kafka.committed(lake.group, topic, 0) == 10  # Kafka's own offset, for lag monitors


def test_second_signal_stops_at_once(kafka, make_lake):
    topic = kafka.topic(2)
    lake = make_lake("sqlite", kafka.address, topic)
    seqs = kafka.producer().events(topic, 20, rows=5, partitions=2)
    process = lake.start(faults="insert.after:1:sleep=20000")
    process.wait_event("lane_assigned", count=2)
    time.sleep(1)
    process.send(signal.SIGTERM)
    time.sleep(0.05)
    process.send(signal.SIGTERM)  # as timeout(1) does: still the first
    time.sleep(0.5)
    assert process.alive(), process.tail()
    at = time.monotonic()
    process.send(signal.SIGTERM)
    assert process.wait(30) == INTERRUPTED, process.tail()
    assert time.monotonic() - at < 5
    lake.once()
    lake.assert_exactly_once(seqs)


@pytest.mark.parametrize("backend", ["sqlite", "duckdb", "file"])
def test_second_process(kafka, make_lake, backend):
    """One process at a time writes these catalogs; the second hears who and what to do. Another program, too."""
    topic = kafka.topic()
    lake = make_lake(backend, kafka.address, topic)
    seqs = kafka.producer().events(topic, 5, rows=5)
    first = lake.start()
    first.wait_event("commit", timeout_s=60)
    second = lake.start("--once")
    assert second.wait(30) == OWNED, second.tail()
    assert f"process {first.pid}" in second.text() and "postgres" in second.text()
    first.drain(30)
    lake.assert_exactly_once(seqs)


def test_bound_of_memory(kafka, make_lake, record_property):
    """A lake that is slower than the broker: reading pauses, what is in flight keeps within the bound, all arrives."""
    topic = kafka.topic(4)
    producer = kafka.producer()
    seqs = producer.events(topic, 600, rows=10, partitions=4, note_bytes=10000)  # 60 MB
    lake = make_lake("sqlite", kafka.address, topic, memory="64Mi", freshness="3s", max_bytes="8Mi")
    process = lake.start("--listen", "127.0.0.1:0", faults="insert.after:1:sleep=8000")
    process.wait_event("lane_paused", timeout_s=60)
    peak = 0
    while not process.events("lane_resumed"):
        peak = max(peak, process.metric("tarn_in_flight_bytes"))
        assert len(kafka.members(lake.group)) == 1  # it goes on polling: the group does not put it out
        time.sleep(0.2)
    support.eventually("all is in", lambda: lake.verify(topic=True)["table_rows"] == len(seqs), 90, 0.5)
    rss = process.rss()
    process.drain()
    lake.assert_exactly_once(seqs)
    assert 0 < peak <= 64 << 20
    record_property("in_flight_peak_mib", peak >> 20 if isinstance(peak, int) else round(peak / (1 << 20), 1))
    record_property("rss_mib", rss >> 20)


def test_maxbytes_sizes_commits(kafka, make_lake):
    topic = kafka.topic(2)
    lake = make_lake("sqlite", kafka.address, topic, freshness="60s", max_bytes="1Mi")
    seqs = kafka.producer().events(topic, 80, rows=10, partitions=2, note_bytes=10000)  # 8 MB
    process = lake.once()
    commits = process.events("commit")
    assert 6 <= len(commits) <= 16, [c["messages"] for c in commits]
    lake.assert_exactly_once(seqs)


def test_transactions(kafka, make_lake):
    """read_committed: an aborted transaction's messages and the control records are offsets skipped, not gaps."""
    topic = kafka.topic(1)
    producer = kafka.producer(transactional_id=support.unique("tx"))
    producer.producer.init_transactions(30)
    producer.producer.begin_transaction()
    committed = list(producer.events(topic, 4, rows=5))
    producer.producer.commit_transaction(30)
    producer.producer.begin_transaction()
    aborted = producer.events(topic, 4, rows=5)
    producer.producer.abort_transaction(30)
    producer.producer.begin_transaction()
    committed += producer.events(topic, 4, rows=5)
    producer.producer.commit_transaction(30)
    lake = make_lake("sqlite", kafka.address, topic)
    lake.once()
    answer = lake.assert_exactly_once(committed)
    assert answer["lanes"][0]["messages"] == 8
    assert answer["lanes"][0]["skipped"] == 4 + 3  # the aborted messages, and a control record a transaction
    assert len(aborted) == 20


def test_a_row_that_the_table_refuses(kafka, make_lake):
    """The table's owner made it, with a rule: the message that breaks it goes to quarantine, alone, with DuckDB's reason."""
    topic = kafka.topic(2)
    lake = make_lake("sqlite", kafka.address, topic)
    lake.write_sql("CREATE TABLE lake.events (seq BIGINT, id VARCHAR, happened TIMESTAMP, amount DOUBLE NOT NULL, note VARCHAR, "
                   "tags VARCHAR[])")
    producer = kafka.producer()
    producer.events(topic, 8, rows=1, partitions=2)  # seq 0 has no amount
    lake.once()
    answer = lake.verify(topic=True)
    assert answer["passed"] and answer["table_rows"] == 7, answer
    quarantined = lake.quarantine()
    assert [(q["partition"], q["offset"]) for q in quarantined] == [(0, 0)]
    assert "NULL" in quarantined[0]["reason"]
    assert lake.read("SELECT seq FROM lake.events ORDER BY seq") == [(s,) for s in range(1, 8)]


UNPACKED = 2_000_000  # receive.message.max.bytes, which what a batch becomes must not exceed


def bomb(producer, topic, messages, partition=0):
    """One batch that becomes more than that: a few hundred bytes, for the broker nothing special."""
    for _ in range(messages):
        producer.raw(topic, bytes(2 * UNPACKED // messages), partition=partition)
    producer.flush()


@pytest.mark.heavy
@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_a_batch_that_cannot_be_decompressed(kafka, make_lake, protocol):
    """Each of its offsets goes to quarantine, and the stream goes on: batches of many messages and of one, one behind another, at
    the log's beginning and end, and one whose beginning is gone."""
    topic = kafka.topic(2)
    producer = kafka.producer()
    packed = kafka.producer(compression_type="zstd", linger_ms=5000, batch_size=16777216)
    seqs, bad = [], {}

    def good(messages, partition=0):
        for _ in range(messages):
            producer.raw(topic, support.events(producer.next_seq, 5), partition=partition)
            seqs.extend(range(producer.next_seq, producer.next_seq + 5))
            producer.next_seq += 5
        producer.flush()

    def broken(messages, partition=0):
        bomb(packed, topic, messages, partition)
        end = max(packed.offsets[partition]) + 1
        first = max(end - messages, 5 if partition else 0)
        bad.update({(partition, offset): f"the batch of offsets {end - messages}..{end - 1} cannot be decompressed"
                    for offset in range(first, end)})

    broken(12, partition=1)
    kafka.delete_records(topic, 1, 5)
    good(3, partition=1)
    good(10)
    broken(40)
    good(7)
    broken(1)
    broken(1)
    broken(5000)
    good(1)
    lake = make_lake("sqlite", kafka.address, topic, properties={"receive.message.max.bytes": str(UNPACKED), "group.protocol": protocol})
    process = lake.start()
    support.eventually(lambda: f"all is in\n{process.tail()}", lambda: process.events("commit") and lake.verify()["table_rows"] == len(seqs),
                       60, 0.3)
    broken(33)
    support.eventually(lambda: f"the last is, too\n{process.tail()}", lambda: len(lake.quarantine()) == len(bad), 60, 0.3)
    good(4)
    support.eventually(lambda: f"what came behind it is\n{process.tail()}", lambda: lake.verify()["table_rows"] == len(seqs), 60, 0.3)
    process.drain()
    answer = lake.assert_exactly_once(seqs)
    told = lake.quarantine()
    assert [(r["partition"], r["offset"]) for r in told] == sorted(bad)
    assert all(r["reason"].startswith(bad[r["partition"], r["offset"]]) and r["payload"] is None for r in told), told[:3]
    assert sum(lane["quarantined"] for lane in answer["lanes"]) == len(bad)
    assert sum(lane["skipped"] + lane["lost"] for lane in answer["lanes"]) == 0
    left = support.tarn("quarantine", "replay", str(lake.manifest), f"{topic}/1:7")
    assert left.returncode == NO and bad[1, 7] in left.stdout + left.stderr, left


def test_watched(kafka, make_lake):
    """promtool accepts /metrics; /readyz and /healthz; the log is JSON lines, each with time, level, event, message."""
    topic = kafka.topic(2)
    lake = make_lake("sqlite", kafka.address, topic)
    stream = Stream(kafka.producer(), topic, 2, per_second=40)
    process = lake.start("--listen", "127.0.0.1:0")
    process.wait_event("commit", timeout_s=60)
    assert process.get("/healthz") == (200, "ok\n")
    support.eventually("ready", lambda: process.get("/readyz")[0] == 200)
    assert process.get("/nothing")[0] == 404
    status, text = process.get("/metrics")
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=30)
    assert status == 200 and done.returncode == 0, done.stdout + done.stderr
    seqs = stream.finish()
    support.eventually("rows", lambda: process.metric("tarn_rows_committed_total") == len(seqs))
    support.eventually("no lag", lambda: process.metric("tarn_lane_lag_messages") == 0)
    metrics = process.metrics()
    assert sum(metrics["tarn_messages_received_total"].values()) * 5 == len(seqs)
    assert metrics["tarn_copied_bytes_total"] and metrics["tarn_resident_memory_bytes"]
    assert all(value == 1 for value in metrics["tarn_lane_owned"].values()) and len(metrics["tarn_lane_owned"]) == 2
    process.drain(30)
    for record in (json.loads(line) for line in process.text().splitlines()):
        assert {"ts", "level", "event", "message"} <= record.keys(), record
    lake.assert_exactly_once(seqs)


def test_many_bad_messages_and_few_lines(kafka, make_lake):
    """A topic full of them must not fill the log: the first of each kind of reason, and how many more. None is lost."""
    topic = kafka.topic()
    producer = kafka.producer()
    lake = make_lake("sqlite", kafka.address, topic)
    for _ in range(300):
        producer.raw(topic, b"no arrow")
    for _ in range(3):
        producer.raw(topic, None)
    producer.flush()
    process = lake.once()
    told, more = process.events("quarantine"), process.events("quarantine_more")
    assert len(told) == 8 and [r["offset"] for r in told] == [0, 1, 2, 3, 4, 300, 301, 302], told
    assert [r["messages"] for r in more] == [295] and more[0]["stream"] == "events", more
    assert len(lake.quarantine()) == 303
