"""Small messages that are large once they are decoded: what spec.memory bounds, and what a message may take of it."""

import json
import re

import pyarrow as pa
import pytest
from test_json import json_lake

import support

MIB = 1 << 20
MEMORY = "64Mi"
# docs/benchmarks.md, Memory: spec.memory, the program, one message, and what DuckDB has more than its share.
PEAK = 64 * MIB + 150_000_000 + 64 * MIB + (96 - 24) * MIB


def ipc(compression, **columns):
    batch = pa.record_batch(list(columns.values()), names=list(columns))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
        writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


def large(i, rows, text):
    """`rows` times the text and 8 bytes, a thousandth of it on the wire."""
    return ipc("zstd", seq=pa.array(range(i, i + rows), pa.int64()), note=pa.repeat(text, rows))


def watch(process, timeout_s=90):
    """Its end, and the most memory that it took."""
    while process.alive():
        try:
            process.rss()
        except OSError:  # it is gone
            break
        support.time.sleep(0.02)
    assert process.wait(timeout_s) == support.DONE, process.tail()
    assert process.peak_rss < PEAK, f"{process.peak_rss} bytes at its peak, {PEAK} is the bound"
    return process.peak_rss


def finish(lake):
    peak = watch(lake.start("--once"))
    answer = lake.verify(topic=True)
    assert answer["passed"] and answer["code"] == support.DONE and (answer["gaps"], answer["duplicates"]) == (0, 0), answer
    assert sum(lane["lag"] for lane in answer["lanes"]) == 0, answer
    return answer, peak


def assert_refused(lake, reasons):
    """Those offsets and no others, each with its reason."""
    found = {q["offset"]: q["reason"] for q in lake.quarantine()}
    assert found.keys() == reasons.keys() and all(re.search(reasons[o], r) for o, r in found.items()), found


@pytest.mark.heavy
def test_arrow(kafka, make_lake, record_property):
    topic = kafka.topic(max_message_bytes=16777216)
    producer = kafka.producer()
    lake = make_lake("sqlite", kafka.address, topic, memory=MEMORY)
    rows, refused = 0, {}
    for i in range(60):
        if i % 10 == 7:
            producer.raw(topic, large(0, 20_000, "x" * 4000))
            refused[i] = r"column 'note': the buffer at byte \d+ says it has 80000000 bytes uncompressed, at most 67108864 do: send smaller batches, or raise spec.memory$"
        elif i % 10 == 8:
            producer.raw(topic, ipc("zstd", **{f"c{c}": pa.repeat("y" * 4000, 4000) for c in range(5)}))
            refused[i] = "column 'c4': the message would take more than 64 MiB of memory: send smaller batches, or raise spec.memory$"
        else:
            producer.raw(topic, large(rows, 10_000, "x" * 4000))
            rows += 10_000
    producer.flush()
    answer, peak = finish(lake)
    record_property("rss_mb", peak // 1_000_000)
    assert answer["table_rows"] == rows
    assert lake.read("SELECT count(DISTINCT seq), min(length(note)), max(length(note)) FROM lake.events")[0] == (rows, 4000, 4000)
    assert_refused(lake, refused)


@pytest.mark.heavy
def test_json(kafka, make_lake, record_property):
    """Lines of `{}`: a row of nulls each."""
    topic = kafka.topic(max_message_bytes=16777216)
    producer = kafka.producer()
    columns = {"columns": [{"name": f"c{c}", "type": "bigint"} for c in range(20)]}
    lake = json_lake(make_lake, "sqlite", kafka, topic, columns, memory=MEMORY)
    rows, refused = 0, {}
    for i in range(16):
        if i % 4 == 2:
            producer.raw(topic, b"{}\n" * 1_400_000)
            refused[i] = r"^line \d+, byte \d+: the rows so far take more than 64 MiB of memory: send fewer lines a message, or raise spec.memory$"
        else:
            producer.raw(topic, b"{}\n" * 150_000)
            rows += 150_000
    producer.raw(topic, json.dumps({"c0": 1}).encode())
    producer.flush()
    answer, peak = finish(lake)
    record_property("rss_mb", peak // 1_000_000)
    assert answer["table_rows"] == rows + 1
    assert_refused(lake, refused)


@pytest.mark.heavy
def test_replay(kafka, make_lake, record_property):
    """Of messages that are large as rows not all that are read at once are decoded at once."""
    topic = kafka.topic(max_message_bytes=16777216)
    producer = kafka.producer()
    columns = {"columns": [{"name": f"c{c}", "type": "bigint", "required": c == 19} for c in range(20)]}
    lake = json_lake(make_lake, "sqlite", kafka, topic, columns, memory=MEMORY)
    for _ in range(16):
        producer.raw(topic, b"{}\n" * 150_000)
    producer.flush()
    answer, _ = finish(lake)
    assert sum(lane["quarantined"] for lane in answer["lanes"]) == 16
    columns["columns"][19]["required"] = False
    lake.write()
    process = support.Process(["quarantine", "replay", str(lake.manifest), "--all"], lake.folder, environment=lake.environment)
    lake.processes.append(process)
    peak = watch(process)
    record_property("rss_mb", peak // 1_000_000)
    assert lake.verify()["table_rows"] == 16 * 150_000 and not lake.quarantine()
