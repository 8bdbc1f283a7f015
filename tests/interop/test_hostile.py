"""Broken messages among good ones, through the whole program: each is a row or a reason, whatever its bytes are, and the
lane goes on."""

import json
import re
import struct

import pyarrow as pa
import pytest
import support
from arrow_types import message

GOOD_ROWS = 3
TIMESTAMP_MS = 1_700_000_000_123


def good(first):
    return message([pa.record_batch([pa.array(range(first, first + GOOD_ROWS), pa.int64()), pa.array([f"text {i}" for i in range(GOOD_ROWS)])],
                                    names=["seq", "note"])])


def small(compression=None):
    """What gets broken: a dictionary, texts, nulls and a list in few bytes, with the columns of the table."""
    batch = pa.record_batch([pa.array([1, None], pa.int64()), pa.array(["a", "größer"]).dictionary_encode()], names=["seq", "note"])
    return message([batch], compression=compression)


def with_text(raw):
    text = pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(struct.pack("<ii", 0, len(raw))), pa.py_buffer(raw)])
    return message([pa.record_batch([pa.array([1], pa.int64()), text], names=["seq", "note"])])


def with_index(index):
    words = pa.DictionaryArray.from_arrays(pa.array([0, index], pa.int32()), pa.array(["a", "b"]), safe=False)
    return message([pa.record_batch([pa.array([1, 2], pa.int64()), words], names=["seq", "note"])])


def patched(at, value):
    data = bytearray(good(0))
    data[at : at + len(value)] = value
    return bytes(data)


def other_dictionary():
    """The stream's dictionary has an id that no column uses."""
    one = message([pa.record_batch([pa.array([1], pa.int64()), pa.array(["a"]).dictionary_encode()], names=["seq", "note"])])
    plain = good(0)
    schema_size = lambda data: 8 + struct.unpack_from("<i", data, 4)[0]
    return plain[: schema_size(plain)] + one[schema_size(one) :]


def encode_file():
    sink = pa.BufferOutputStream()
    batch = pa.record_batch([[1]], names=["seq"])
    with pa.ipc.new_file(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


def named(**columns):
    return message([pa.record_batch(list(columns.values()), names=list(columns))])


# name -> the message, and the end of the reason (a regular expression)
HOSTILE = {
    "tombstone": (None, "a tombstone: the message has a key and no payload"),
    "empty": (b"", "the message holds no schema"),
    "few_bytes": (b"\xff\xff\xff", "3 bytes are left, a message begins with 8"),
    "json": (b'{"seq": 1, "note": "text"}', "no Arrow IPC message begins here [(]0xFFFFFFFF is missing[)]"),
    "file_format": (encode_file(), "this is the Arrow IPC file format: send the stream format [(]pyarrow: ipc.new_stream[)]"),
    "trailing": (good(0) + b"\0" * 8, "8 bytes follow the end of the stream"),
    "two_streams": (good(0)[:-8] + good(0), "a second schema: a message holds one stream"),
    "long_metadata": (patched(4, struct.pack("<i", 0x7FFFFFF0)), r"metadata of 2147483632 bytes where \d+ are left"),
    "negative_metadata": (patched(4, struct.pack("<i", -8)), r"metadata of -8 bytes where \d+ are left"),
    "dictionary_index": (with_index(2), "column 'note': index 2 at row 1 is outside its dictionary of 2 values"),
    "negative_index": (with_index(-1), "column 'note': index -1 at row 1 is outside its dictionary of 2 values"),
    "dictionary_id": (other_dictionary(), "no column of the schema uses it"),
    "utf8_start": (with_text(b"\xffabc"), "column 'note': the text at row 0 is not UTF-8"),
    "utf8_cut": (with_text(b"abc\xe2\x82"), "column 'note': the text at row 0 is not UTF-8"),
    "utf8_surrogate": (with_text(b"\xed\xa0\x80"), "column 'note': the text at row 0 is not UTF-8"),
    "utf8_overlong": (with_text(b"\xc0\xaf"), "column 'note': the text at row 0 is not UTF-8"),
    "other_type": (named(seq=pa.array(["1"]), note=pa.array(["x"])), "column 'seq' is VARCHAR in the message and BIGINT in the table, and no type holds both"),
    "nulls_without_end": (named(**{f"c{i}": pa.nulls(1 << 24) for i in range(1000)}), "the message would take more than 64 MiB of memory: send smaller batches, or raise spec.memory"),
    "same_names": (message([pa.record_batch([[1], [2]], names=["seq", "SEQ"])]), "the names 'seq' and 'SEQ' are the same without case: rename one"),
}


@pytest.fixture
def lake(kafka, make_lake):
    return make_lake("sqlite", kafka.address, kafka.topic(2), memory="64Mi")


def test_each_is_quarantined_with_all_that_is_known(kafka, lake):
    producer = kafka.producer()
    sent, seqs = [], []
    headers = [("source", b"test"), ("source", b"again"), ("binary", b"\xff\x00"), ("none", None)]
    for name, (payload, reason) in HOSTILE.items():
        producer.raw(lake.topic, good(len(seqs)), partition=1)
        seqs += range(len(seqs), len(seqs) + GOOD_ROWS)
        sent.append((2 * len(sent) + 1, name, payload, reason))
        producer.raw(lake.topic, payload, partition=1, key=name.encode() + b"\xff\0", headers=headers, timestamp=TIMESTAMP_MS + len(sent))
    producer.raw(lake.topic, good(len(seqs)), partition=1)
    seqs += range(len(seqs), len(seqs) + GOOD_ROWS)
    producer.flush()
    lake.once()
    rows = lake.quarantine()
    assert [row["offset"] for row in rows] == [offset for offset, *_ in sent]
    for i, (row, (offset, name, payload, reason)) in enumerate(zip(rows, sent)):
        assert re.search(f"(^|: ){reason}$", row["reason"]), f"{name}: {row['reason']}"
        assert (row["stream"], row["topic"], row["partition"], row["table_name"]) == ("events", lake.topic, 1, "main.events"), name
        assert row["message_key"] == name.encode() + b"\xff\0", name
        assert row["payload"] == payload, name
        assert json.loads(row["headers"]) == [["source", "test"], ["source", "again"], ["binary", "base64:/wA="], ["none", None]]
        assert row["topic_id"] and row["quarantined_at"], name
    told = dict(zip(HOSTILE, rows))
    times = lake.read("SELECT epoch_ms(message_time) FROM lake.tarn.quarantine ORDER BY \"offset\"")
    assert [t for t, in times] == [TIMESTAMP_MS + i + 1 for i in range(len(sent))]
    # The fingerprint says which schema a message had, where it had one that could be read.
    assert re.fullmatch("[0-9a-f]{32}", told["utf8_cut"]["schema_fingerprint"])
    assert told["utf8_cut"]["schema_fingerprint"] == told["utf8_start"]["schema_fingerprint"] != told["dictionary_index"]["schema_fingerprint"]
    assert re.fullmatch("[0-9a-f]{32}", told["other_type"]["schema_fingerprint"])
    assert not told["json"]["schema_fingerprint"] and not told["tombstone"]["schema_fingerprint"]
    answer = lake.verify(topic=True)
    assert answer["passed"] and (answer["gaps"], answer["duplicates"]) == (0, 0), answer
    assert [r for r, in lake.read("SELECT seq FROM lake.events ORDER BY seq")] == seqs


def broken_messages(whole):
    """Every truncation, and a bit of every byte the other way round."""
    for size in range(len(whole)):
        yield whole[:size]
    for at in range(len(whole)):
        yield whole[:at] + bytes([whole[at] ^ (1 << at % 8)]) + whole[at + 1 :]


@pytest.mark.sample(1)
@pytest.mark.parametrize("compression", [None, "zstd"])
def test_every_truncation_and_a_flip_of_every_byte(kafka, lake, compression):
    messages = list(broken_messages(small(compression)))
    producer = kafka.producer()
    # The table first; then the broken ones; after every hundredth and at the end a good one.
    sent = [good(0)]
    for i, broken in enumerate(messages):
        sent.append(broken)
        if i % 100 == 99 or i == len(messages) - 1:
            sent.append(good(1_000_000 + i))
    goods = {i for i, m in enumerate(sent) if m not in set(messages)}
    for i, payload in enumerate(sent):
        producer.raw(lake.topic, payload, partition=0, key=str(i))
    producer.flush()
    lake.once(timeout_s=100)
    quarantined = lake.quarantine()
    assert not {row["offset"] for row in quarantined} & goods, "a good message is in quarantine"
    for row in quarantined:
        assert row["payload"] == sent[row["offset"]] and row["message_key"] == str(row["offset"]).encode()
        assert len(row["reason"]) > 10, row
    # A flip may leave a message that is right, with other rows in it; a cut never does, but where a whole frame ends.
    taken = set(range(len(sent))) - {row["offset"] for row in quarantined}
    cuts_taken = [i for i in taken - goods if len(sent[i]) < len(small(compression))]
    assert 1 <= len(cuts_taken) <= 4, cuts_taken
    answer = lake.verify(topic=True)
    assert answer["passed"] and answer["code"] == support.DONE and (answer["gaps"], answer["duplicates"]) == (0, 0), answer
    totals = lake.read('SELECT sum(messages), sum("rows"), sum(quarantined), sum(skipped), sum(lost), min(from_offset), max(next_offset) FROM lake.tarn.ledger')[0]
    assert totals[0] + totals[2] == len(sent) and totals[2] == len(quarantined), totals
    assert totals[3:] == (0, 0, 0, len(sent)), totals
    rows = lake.read("SELECT count(*), count(note) FROM lake.events")[0]
    assert rows[0] == totals[1] == answer["table_rows"]
    seqs = {r for r, in lake.read("SELECT seq FROM lake.events")}
    assert set(range(GOOD_ROWS)) <= seqs and {1_000_000 + len(messages) - 1 + i for i in range(GOOD_ROWS)} <= seqs
