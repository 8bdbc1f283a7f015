"""Ten thousand messages, most of them out to harm: each is a row or in quarantine with the right reason, none is lost, and the
bound of memory holds."""

import json
import random
import re
import subprocess

import pyarrow as pa
import pytest
from test_json import json_lake

import support

COUNT = 10_000 if support.LONG else 600
RUN = 25  # messages of one schema in a row: a new one ends a window, so each its own would be a commit a message
MEMORY = "256Mi"
BOUND_BYTES = 418_000_000  # what bench/memory.sh holds a process of this memory to

COLUMNS = {"columns": [{"name": "id", "type": "bigint", "required": True}, {"name": "name"}, {"name": "amount", "type": "double"},
                       {"name": "at", "type": "timestamptz"}, {"name": "nested", "type": "json"}]}


def event(i, **changes):
    return json.dumps({"id": i, "name": "ä" * (i % 5), "amount": i / 4, "nested": {"a": [i]}} | changes).encode()


def deep(i, depth):
    return b'{"id": %d, "nested": ' % i + b"[" * depth + b"]" * depth + b"}"


# name -> (message of i, the reason it is refused for; None: it is a row)
JSON = {
    "good": (event, None),
    "deep_objects": (lambda i: b'{"id": %d, "nested": ' % i + b'{"a":' * 2000 + b"1" + b"}" * 2000 + b"}", None),
    "deep_arrays": (lambda i: deep(i, 50_000), None),
    "deep_cut": (lambda i: b'{"id": %d, "nested": ' % i + b"[" * 50_000, "unexpected end|unexpected character"),
    "huge_in_nested": (lambda i: b'{"id": %d, "nested": {"n": 1e999999, "m": %s}}' % (i, b"9" * 3000), None),
    "huge_integer": (lambda i: event(10**30 + i), "id is a number .*, not a whole number of 64 bits"),
    "huge_double": (lambda i: b'{"id": %d, "amount": 1e999}' % i, "amount is a number .*, not a number"),
    "not_a_number": (lambda i: b'{"id": %d, "amount": NaN}' % i, "unexpected character"),
    "invalid_utf8": (lambda i: b'{"id": %d, "name": "\xff\xfe"}' % i, "invalid UTF-8"),
    "overlong_utf8": (lambda i: b'{"id": %d, "name": "\xc0\xaf"}' % i, "invalid UTF-8"),
    "surrogate": (lambda i: b'{"id": %d, "name": "\\ud800"}' % i, "surrogate|invalid escaped"),
    "zero": (lambda i: b'{"id": %d, "name": "a\\u0000b"}' % i, None),
    "raw_zero": (lambda i: b'{"id": %d, "name": "a\0b"}' % i, "unexpected control character"),
    "twice": (lambda i: b'{"id": %d, "id": %d}' % (i, i), "the key 'id' stands there twice"),
    "cut": (lambda i: event(i)[: 5 + i % 30], "unexpected|invalid"),
    "nothing": (lambda i: b" \n\t", "the message is empty"),
    "scalar": (lambda i: b"%d" % i, "the document is a number, not an object"),
    "array": (lambda i: b"[%d]" % i, "the document is an array, not an object"),
    "missing": (lambda i: b'{"name": "x"}', "id is missing"),
    "wrong_type": (lambda i: event(i, id=str(i)), "id is a text .*, not a whole number of 64 bits"),
    "wrong_time": (lambda i: event(i, at="yesterday"), "at is a text .*, not a time"),
    "trailing": (lambda i: event(i) + b"}", "unexpected"),
    "two_on_a_line": (lambda i: event(i) + event(i), "unexpected"),
    "binary": (lambda i: random.Random(i).randbytes(200 + i % 800) or b"\0", "."),
    "no_payload": (lambda i: None, "a tombstone"),
    "many_keys": (lambda i: json.dumps({"id": i} | {f"k{k}": k for k in range(3000)}).encode(), None),
}


def assert_accounted(lake, expected, rows, process):
    """expected: offset -> reason. rows: how many the others make."""
    found = {q["offset"]: q["reason"] for q in lake.quarantine()}
    wrong = [(o, r, found.get(o)) for o, r in expected.items() if o not in found or not re.search(r, found[o])]
    assert not wrong, f"{len(wrong)} of {len(expected)} have another reason or none, such as {wrong[:5]}"
    extra = [(o, r) for o, r in found.items() if o not in expected]
    assert not extra, f"{len(extra)} are in quarantine that should be rows, such as {extra[:5]}"
    answer = lake.verify(topic=True)
    assert answer["passed"] and answer["code"] == support.DONE and (answer["gaps"], answer["duplicates"]) == (0, 0), answer
    assert answer["table_rows"] == rows, answer
    assert process.peak_rss < BOUND_BYTES, f"{process.peak_rss} bytes at its peak"


def watch(lake):
    process = lake.start()
    process.wait_event("commit", timeout_s=60)
    while process.alive():
        process.rss()
        if sum(lane["lag"] for lane in lake.verify(topic=True)["lanes"]) == 0:
            break
        support.time.sleep(0.5)
    process.rss()
    process.drain()
    return process


@pytest.mark.heavy
def test_json(kafka, make_lake, rng, record_property):
    topic = kafka.topic(max_message_bytes=16777216)
    producer = kafka.producer()
    lake = json_lake(make_lake, "sqlite", kafka, topic, COLUMNS, memory=MEMORY)
    expected, rows, names = {}, 0, list(JSON)
    large = {COUNT // 3: None, COUNT // 2: "."}
    for i in range(COUNT):
        make, reason = JSON[names[i] if i < len(names) else rng.choice(names)]
        if i in large:  # 16 MiB less what Kafka adds: a text, and values that stand too dense to take apart
            reason = large[i]
            payload = b'{"id": %d, "name": "%s"}' % (i, b"x" * 16_700_000) if not reason else b'{"id": 1, "nested": [' + b"1," * 8_300_000 + b"1]"
        else:
            payload = make(i)
        producer.raw(topic, payload)
        if reason:
            expected[i] = reason
        else:
            rows += 1
    producer.flush()
    process = watch(lake)
    assert_accounted(lake, expected, rows, process)
    record_property("quarantined", len(expected))
    record_property("rss_mb", process.peak_rss // 1_000_000)


def ipc(compression=None, **columns):
    batch = pa.record_batch(list(columns.values()), names=list(columns))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
        writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


def ints(i, type_=pa.int64(), rows=3):
    return pa.array([i % 100] * rows, type_)


def bomb(i, rows, compression):
    """Zeros: what is a thousandth of its size on the wire."""
    return ipc(compression, id=pa.array([0] * rows, pa.int64()), text=pa.array(["\0" * 4000] * rows))


ARROW = {
    "good": (lambda i: ipc(id=ints(i), text=pa.array(["a", None, "ä"])), 3),
    "narrower": (lambda i: ipc(id=ints(i, pa.int16())), 3),
    "new_column": (lambda i: ipc(id=ints(i), **{f"c{i % 7}": pa.array([1, 2, 3], pa.int32())}), 3),
    "wider": (lambda i: ipc(id=ints(i), **{f"c{i % 7}": pa.array([1, 2, 3], pa.int64())}), 3),
    "other_type": (lambda i: ipc(id=pa.array(["x"])), "column 'id' is VARCHAR in the message and BIGINT in the table"),
    "list_for_text": (lambda i: ipc(id=ints(i, rows=1), text=pa.array([[1]])), "column 'text' is"),
    "struct_for_number": (lambda i: ipc(id=pa.array([{"a": 1}])), "column 'id' is"),
    "untyped": (lambda i: ipc(id=ints(i), nothing=pa.nulls(3)), 3),
    "same_names": (lambda i: ipc(id=ints(i), ID=ints(i)), "the same without case"),
    "no_rows": (lambda i: ipc(id=pa.array([], pa.int64())), 0),
    "bomb_zstd": (lambda i: bomb(i, 50, "zstd"), 50),
    "bomb_lz4": (lambda i: bomb(i, 50, "lz4"), 50),
    # Below 128: a stream that ends right behind its schema is whole, and has no rows.
    "cut": (lambda i: ipc(id=ints(i))[: 40 + i % 80], "."),
    "json": (event, "no Arrow IPC message begins here"),
    "binary": (lambda i: random.Random(i).randbytes(100 + i % 400), "."),
    "interval": (lambda i: ipc(id=ints(i, rows=1), iv=pa.array([pa.MonthDayNano([1, 2, 3])])), "an interval"),
}


@pytest.mark.heavy
def test_arrow(kafka, make_lake, rng, record_property):
    topic = kafka.topic(max_message_bytes=16777216)
    producer = kafka.producer()
    lake = make_lake("sqlite", kafka.address, topic, memory=MEMORY)
    expected, rows, names = {}, 0, list(ARROW)
    for i in range(COUNT):
        if i % RUN == 0:
            name = rng.choice(names)
        make, answer = ARROW[names[i] if i < len(names) else name]
        payload = make(i)
        if i in (COUNT // 3, COUNT // 2):  # 1.2 GB of zeros in a message of a hundredth
            payload, answer = bomb(i, 300_000, "zstd"), "."
        producer.raw(topic, payload)
        if isinstance(answer, str):
            expected[i] = answer
        else:
            rows += answer
    producer.flush()
    process = watch(lake)
    assert_accounted(lake, expected, rows, process)
    record_property("quarantined", len(expected))
    record_property("rss_mb", process.peak_rss // 1_000_000)


@pytest.mark.heavy
@pytest.mark.parametrize("share", ["0.05", "1"] if support.LONG else ["0.05"])
def test_bad_ones_among_many_small(kafka, make_lake, record_property, share):
    """What waits to go to quarantine does not keep the fetched answers that it came in, nor more of itself than is counted."""
    topic = kafka.topic(4)
    subprocess.run([support.TARN, "produce", "--brokers", kafka.address, "--topic", topic, "--shape", "telecom", "--format", "json",
                    "--count", "1200000", "--bad", share, "--property", "compression.type=lz4"], check=True, capture_output=True)
    lake = json_lake(make_lake, "sqlite", kafka, topic, {}, memory=MEMORY, freshness="1s")
    process = watch(lake)
    answer = lake.verify(topic=True)
    bad = sum(lane["quarantined"] for lane in answer["lanes"])
    assert answer["passed"] and bad > 0 and answer["table_rows"] + bad == 1_200_000, answer
    assert process.peak_rss < BOUND_BYTES, f"{process.peak_rss} bytes at its peak"
    record_property("rss_mb", process.peak_rss // 1_000_000)
