"""The plain way, on every backend: what all the other tests build upon."""

import pytest

import support


@pytest.mark.parametrize("backend", support.BACKENDS)
def test_once(kafka, make_lake, backend):
    topic = kafka.topic(3)
    producer = kafka.producer()
    lake = make_lake(backend, kafka.address, topic)
    seqs = producer.events(topic, 30, rows=10, partitions=3)
    lake.once()
    lake.assert_exactly_once(seqs)
    more = producer.events(topic, 7, rows=3, partitions=3)
    lake.once()
    answer = lake.assert_exactly_once([*seqs, *more])
    assert [lane["next"] for lane in answer["lanes"]] == [13, 12, 12]
    # Nothing new: nothing happens, and it ends.
    lake.once()
    lake.assert_exactly_once([*seqs, *more])
    assert lake.quarantine() == []
