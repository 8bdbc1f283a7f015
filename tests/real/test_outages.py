"""Servers that go away and come back in the middle of ingest: Tarn recovers by itself, nothing is lost or doubled."""

import re
import signal
import time

import pytest

import support
from support import DONE, INPUT, LATER, LONG, Stream

OUTAGE_S = 20 if LONG else 4


@pytest.mark.heavy
@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_broker_outage(own_kafka, make_lake, protocol):
    topic = own_kafka.topic(3)
    lake = make_lake("sqlite", own_kafka.address, topic,
                     properties={"group.protocol": "consumer"} if protocol == "consumer" else None)
    process = lake.start("--listen", "127.0.0.1:0")
    stream = Stream(own_kafka.producer(), topic, 3, per_second=60)
    process.wait_event("commit", timeout_s=60)
    own_kafka.stop()
    time.sleep(OUTAGE_S)
    assert process.get("/healthz")[0] == 200
    own_kafka.restart()
    before = len(process.events("commit"))
    process.wait_event("commit", count=before + 1, timeout_s=90)
    support.settle(lake, stream, process)


@pytest.mark.heavy
def test_once_outlives_an_outage(own_kafka, make_lake):
    topic = own_kafka.topic(3)
    producer = own_kafka.producer()
    lake = make_lake("sqlite", own_kafka.address, topic, memory="32Mi")
    seqs = producer.events(topic, 300, rows=10, partitions=3, note_bytes=5000)
    # Slow enough to be in the middle when the broker goes.
    process = lake.start("--once", faults="insert.chunk:3:sleep=3000")
    process.wait_event("lane_assigned", count=3, timeout_s=60)
    own_kafka.stop()
    time.sleep(OUTAGE_S)
    own_kafka.restart()
    assert process.wait(120) == DONE, process.tail()
    lake.assert_exactly_once(seqs)


@pytest.mark.heavy
def test_once_does_not_wait_for_ever(own_kafka, make_lake):
    """A broker that does not come back ends it, with what is left; the next run goes on. In the long form after the five
    minutes that an installation would wait."""
    topic = own_kafka.topic(3)
    producer = own_kafka.producer()
    lake = make_lake("sqlite", own_kafka.address, topic, memory="32Mi")
    seqs = producer.events(topic, 300, rows=10, partitions=3, note_bytes=5000)
    process = lake.start("--once", faults="insert.chunk:3:sleep=3000" + ("" if LONG else ",once.silent:1:error"))
    process.wait_event("lane_assigned", count=3, timeout_s=60)
    own_kafka.stop()
    assert process.wait(400 if LONG else 60) == LATER, process.tail()
    told = re.search(r"no word from the broker for (\d+) s, and (\d+) offsets are left: the next run goes on", process.text())
    assert told and int(told[1]) >= (300 if LONG else 5), process.tail()
    answer = lake.assert_consistent()
    assert 0 < int(told[2]) == 300 - answer["table_rows"] // 10, (told[0], answer)
    own_kafka.restart()
    lake.once()
    lake.assert_exactly_once(seqs)


@pytest.mark.heavy
def test_postgres_outage(kafka, own_postgres, make_lake):
    topic = kafka.topic(3)
    lake = make_lake("postgres", kafka.address, topic, server=own_postgres)
    process = lake.start("--listen", "127.0.0.1:0")
    stream = Stream(kafka.producer(), topic, 3, per_second=60)
    process.wait_event("commit", timeout_s=60)
    own_postgres.stop()
    process.wait_event("commit_retry", timeout_s=60)
    support.eventually("not ready", lambda: process.get("/readyz")[0] == 503)
    time.sleep(OUTAGE_S)
    own_postgres.restart()
    before = len(process.events("commit"))
    process.wait_event("commit", count=before + 1, timeout_s=90)
    support.eventually("ready again", lambda: process.get("/readyz")[0] == 200)
    support.settle(lake, stream, process)
    assert "password" not in process.text()


@pytest.mark.heavy
def test_no_broker_and_no_topic(kafka, make_lake):
    """--once gives a missing topic, and a broker that does not answer, some seconds; without --once a topic is waited for, and
    may come."""
    nowhere = make_lake("sqlite", "127.0.0.1:1", "nowhere").start("--once")
    lake = make_lake("sqlite", kafka.address, support.unique("missing"))
    once = lake.start("--once")
    waiting = make_lake("sqlite", kafka.address, support.unique("later"))
    process = waiting.start()
    time.sleep(3)
    assert process.alive(), process.tail()
    kafka.topic(2, name=waiting.topic)
    seqs = kafka.producer().events(waiting.topic, 6, rows=5, partitions=2)
    process.wait_event("commit", timeout_s=60)
    support.eventually("all is in", lambda: waiting.verify(topic=True)["table_rows"] == len(seqs), 60, 0.5)
    process.drain()
    waiting.assert_exactly_once(seqs)
    assert once.wait(60) == LATER
    assert "does not exist" in once.text()
    assert nowhere.wait(60) == LATER
    assert "nowhere" in nowhere.text() and "127.0.0.1:1" in nowhere.text()


@pytest.mark.heavy
def test_topic_made_anew(kafka, make_lake):
    """Its offsets mean other messages now: refused, with what to do, and nothing is read again."""
    topic = kafka.topic(2)
    lake = make_lake("sqlite", kafka.address, topic)
    seqs = kafka.producer().events(topic, 20, rows=5, partitions=2)
    lake.once()
    kafka.delete_topic(topic)
    kafka.topic(2, name=topic)
    kafka.producer().events(topic, 40, rows=5, partitions=2)
    process = lake.once(expect=INPUT)
    assert "deleted and made anew" in process.text() and "another name" in process.text()
    lake.assert_exactly_once(seqs, topic=False)


@pytest.mark.heavy
@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_topic_made_anew_while_running(kafka, make_lake, protocol):
    """Refilled beyond the lake's offsets before the process looks again: it ends as a start would, and nothing of the new topic
    comes in."""
    topic = kafka.topic(2)
    lake = make_lake("sqlite", kafka.address, topic, properties={"group.protocol": protocol})
    producer = kafka.producer()
    seqs = producer.events(topic, 20, rows=5, partitions=2)
    process = lake.start()
    support.eventually("all is in", lambda: process.events("commit") and lake.verify()["table_rows"] == len(seqs), 60, 0.3)
    process.send(signal.SIGSTOP)
    kafka.delete_topic(topic)
    kafka.topic(2, name=topic)
    producer.events(topic, 80, rows=5, partitions=2)
    process.send(signal.SIGCONT)
    assert process.wait(90) == INPUT, process.tail()
    assert "deleted and made anew" in process.text() and "another table" in process.text(), process.tail()
    lake.assert_exactly_once(seqs, topic=False)


@pytest.mark.heavy
def test_retention_overtook(kafka, make_lake):
    """What the topic lost before it was read is a gap: in the log, in a metric, and in verify, which says no."""
    topic = kafka.topic(2)
    producer = kafka.producer()
    lake = make_lake("sqlite", kafka.address, topic)
    producer.events(topic, 20, rows=5, partitions=2)
    lake.once()
    producer.events(topic, 20, rows=5, partitions=2)
    kafka.delete_records(topic, 1, 15)  # of partition 1, offsets 10..14 were never read
    process = lake.start("--listen", "127.0.0.1:0")
    process.wait_event("commit", timeout_s=60)
    gap = process.wait_event("gap")[0]
    assert (gap["partition"], gap["from"], gap["to"]) == (1, 10, 15)
    support.eventually("metric", lambda: process.metric("tarn_offsets_lost_total") == 5)
    support.eventually("all is in", lambda: lake.verify()["table_rows"] == 175, 30, 0.3)
    process.drain()
    answer = lake.verify(topic=True)
    assert (answer["passed"], answer["code"], answer["gaps"]) == (False, support.NO, 5)
    assert answer["duplicates"] == 0


@pytest.mark.heavy
def test_compaction_overtook(session_folder, make_lake):
    """What a compacted topic holds no more when it is read are offsets skipped, not lost; within a batch, too, and at the offset
    where the lake is. Nothing else is missing."""
    server = support.KafkaServer(session_folder / support.unique("compacting"), settings="""
log.cleaner.enable=true
log.cleaner.backoff.ms=200
log.cleaner.dedupe.buffer.size=4194304
""")
    try:
        topic = server.topic()
        producer = server.producer(linger_ms=50)
        lake = make_lake("sqlite", server.address, topic)

        def batch(keys):
            for key in keys:
                producer.raw(topic, support.events(producer.next_seq, 1), key=str(key))
                producer.next_seq += 1
            producer.flush()

        for _ in range(5):
            batch([1, 2, 3, 4])
        lake.once()
        lake.assert_exactly_once(range(20))
        for _ in range(5):
            batch([1, 2, 3, 4, 1, 5, 5, 2])
        last = producer.next_seq - 1
        kept = [last - 5, last - 4, last - 3, last - 1, last]
        server.configure_topic(topic, cleanup_policy="compact", segment_ms=100, min_cleanable_dirty_ratio=0.01)
        # A segment is compacted once another message has begun the next one.
        support.eventually("only the last of each key is kept",
                           lambda: batch(["open"]) or [o for o in server.offsets(topic) if o < 60] == kept, 60, 0.5)
        lake.once()
        answer = lake.verify(topic=True)
        high = producer.next_seq
        assert answer["passed"] and (answer["gaps"], answer["duplicates"]) == (0, 0), answer
        lane = answer["lanes"][0]
        found = [r[0] for r in lake.read("SELECT seq FROM lake.events ORDER BY seq")]
        assert found[:25] == [*range(20), *kept] and found[-1] == high - 1, found
        assert lane["skipped"] == high - len(found) > 30, (lane, len(found))
    finally:
        server.stop()


@pytest.mark.heavy
def test_partitions_added(kafka, make_lake):
    topic = kafka.topic(1)
    producer = kafka.producer()
    lake = make_lake("sqlite", kafka.address, topic,
                     properties=support.FAST_GROUP | {"topic.metadata.refresh.interval.ms": "500"})
    first = producer.events(topic, 10, rows=5)
    process = lake.start()
    process.wait_event("commit", timeout_s=60)
    kafka.grow_topic(topic, 4)
    producer = kafka.producer()
    producer.next_seq = len(first)
    producer.events(topic, 20, rows=5, partitions=4)
    seqs = range(producer.next_seq)
    support.eventually("all is in", lambda: lake.verify(topic=True)["table_rows"] == len(seqs), 60, 0.5)
    process.drain()
    answer = lake.assert_exactly_once(seqs)
    assert len(answer["lanes"]) == 4


@pytest.mark.heavy
def test_stopped_while_the_lake_is_gone(kafka, own_postgres, make_lake):
    """SIGTERM waits for the lake, but not for ever; the next run goes on."""
    topic = kafka.topic(2)
    producer = kafka.producer()
    lake = make_lake("postgres", kafka.address, topic, server=own_postgres)
    seqs = list(producer.events(topic, 6, rows=5, partitions=2))
    process = lake.start()
    process.wait_event("commit", timeout_s=60)
    own_postgres.stop()
    seqs += producer.events(topic, 6, rows=5, partitions=2)
    process.wait_event("commit_retry", timeout_s=60)
    process.send(signal.SIGTERM)
    assert process.wait(60) == LATER, process.tail()
    assert "the next run goes on" in process.text()
    own_postgres.restart()
    lake.once()
    lake.assert_exactly_once(seqs)
