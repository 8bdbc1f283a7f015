"""Columns that come, go and widen while messages flow: on every backend, with two processes, and killed in the middle."""

import datetime

import pyarrow as pa
import pytest

import support


def send(producer, topic, partition=0, **columns):
    """One message of two rows: name=(type, value, value)."""
    fields = [pa.field(name, type_) for name, (type_, *_) in columns.items()]
    arrays = [pa.array(values, type_) for type_, *values in columns.values()]
    producer.raw(topic, support.ipc(pa.record_batch(arrays, schema=pa.schema(fields))), partition=partition)


def columns_of(lake):
    return {name: type_ for name, type_, *_ in lake.read("DESCRIBE lake.events")}


@pytest.mark.parametrize("backend", support.BACKENDS)
def test_columns_come_go_and_widen(kafka, make_lake, backend):
    topic = kafka.topic()
    producer = kafka.producer()
    lake = make_lake(backend, kafka.address, topic)
    day = datetime.date(2026, 1, 31)
    send(producer, topic, n=(pa.int32(), 1, 2), f=(pa.float32(), 0.5, None), d=(pa.date32(), day, None))
    send(producer, topic, n=(pa.int64(), 1 << 40, None), s=(pa.string(), "new", None))
    send(producer, topic, f=(pa.float64(), 0.1, 0.2), d=(pa.timestamp("us"), datetime.datetime(2026, 2, 1, 12), None))
    send(producer, topic, n=(pa.int16(), 7, 8), x=(pa.null(), None, None))
    producer.flush()
    lake.once()
    assert columns_of(lake) == {"n": "BIGINT", "f": "DOUBLE", "d": "TIMESTAMP", "s": "VARCHAR"}
    midnight, noon = datetime.datetime(2026, 1, 31), datetime.datetime(2026, 2, 1, 12)
    assert sorted(lake.read("SELECT n, f, d, s FROM lake.events"), key=repr) == sorted(
        [(1, 0.5, midnight, None), (2, None, None, None), (1 << 40, None, None, "new"), (None, None, None, None),
         (None, 0.1, noon, None), (None, 0.2, None, None), (7, None, None, None), (8, None, None, None)], key=repr)
    answer = lake.verify(topic=True)
    assert answer["passed"] and answer["table_rows"] == 8 and lake.quarantine() == []


@pytest.mark.parametrize("backend", support.BACKENDS)
def test_nested_columns_widen_inside(kafka, make_lake, backend):
    topic = kafka.topic()
    producer = kafka.producer()
    lake = make_lake(backend, kafka.address, topic)
    send(producer, topic, p=(pa.struct([("a", pa.int32()), ("l", pa.list_(pa.int32()))]), {"a": 1, "l": [2]}, None))
    send(producer, topic, p=(pa.struct([("l", pa.list_(pa.int64())), ("b", pa.string())]), {"l": [1 << 40], "b": "x"}, None))
    producer.flush()
    lake.once()
    assert columns_of(lake) == {"p": "STRUCT(a INTEGER, l BIGINT[], b VARCHAR)"}
    assert sorted(lake.read("SELECT p FROM lake.events WHERE p IS NOT NULL"), key=repr) == [
        ({"a": 1, "l": [2], "b": None},), ({"a": None, "l": [1 << 40], "b": "x"},)]
    assert lake.verify()["passed"] and lake.quarantine() == []


@pytest.mark.parametrize("backend", support.BACKENDS)
def test_what_does_not_widen_is_quarantined(kafka, make_lake, backend):
    topic = kafka.topic()
    producer = kafka.producer()
    lake = make_lake(backend, kafka.address, topic)
    send(producer, topic, n=(pa.int32(), 1, 2))
    send(producer, topic, n=(pa.string(), "one", "two"))
    send(producer, topic, n=(pa.float64(), 0.5, 1.5))
    send(producer, topic, n=(pa.int32(), 3, 4), more=(pa.int32(), 5, 6))
    producer.flush()
    lake.once()
    assert sorted(lake.read("SELECT n FROM lake.events")) == [(0.5,), (1.0,), (1.5,), (2.0,), (3.0,), (4.0,)]
    found = lake.quarantine()
    assert [(row["offset"], row["reason"]) for row in found] == [
        (1, "column 'n' is VARCHAR in the message and INTEGER in the table, and no type holds both")]
    answer = lake.verify(topic=True)
    assert answer["passed"] and answer["table_rows"] == 6


@pytest.mark.parametrize("backend", support.BACKENDS)
def test_dates_that_no_timestamp_holds(kafka, make_lake, backend):
    """A DATE of the year 295495 stays readable: the column, or the one inside, does not become a TIMESTAMP."""
    topic = kafka.topic()
    producer = kafka.producer()
    lake = make_lake(backend, kafka.address, topic)
    inside, far = pa.struct([("d", pa.date32())]), pa.scalar(107208000, pa.int32()).cast(pa.date32())
    send(producer, topic, d=(pa.date32(), far, None), e=(pa.date32(), 1, 2), p=(inside, {"d": 1}, {"d": far}))
    noon = datetime.datetime(2026, 2, 1, 12)
    send(producer, topic, d=(pa.timestamp("us"), noon, None))
    send(producer, topic, p=(pa.struct([("d", pa.timestamp("us"))]), {"d": noon}, None))
    send(producer, topic, e=(pa.timestamp("us"), noon, None))
    producer.flush()
    lake.once()
    assert columns_of(lake) == {"d": "DATE", "e": "TIMESTAMP", "p": "STRUCT(d DATE)"}
    assert lake.read("SELECT count(d), count(e), max(d - DATE '1970-01-01'), max(p.d - DATE '1970-01-01') FROM lake.events") == [
        (1, 3, 107208000, 107208000)]
    found = [(row["offset"], row["reason"]) for row in lake.quarantine()]
    assert [offset for offset, _ in found] == [1, 2]
    if backend == "file":  # whose ALTER changes the values themselves, and says so
        assert all(reason.startswith("Conversion Error: ") for _, reason in found), found
    else:
        assert found == [(offset, f"column '{name}' has timestamps in the message, and the table has dates there that no timestamp "
                                  "holds, beyond the years 290309 BC to 294247") for offset, name in [(1, "d"), (2, "p")]]
    assert lake.verify(topic=True)["passed"]


@pytest.mark.parametrize("cut", range(3))
def test_a_long_name_of_wide_characters_in_a_reason(kafka, make_lake, cut):
    """Wherever it is cut, the reason and those beside it can be read."""
    topic = kafka.topic()
    producer = kafka.producer()
    lake = make_lake("sqlite", kafka.address, topic)
    name = "a" * cut + "漢" * 200
    bad = pa.StringArray.from_buffers(1, pa.py_buffer(b"\x00\0\0\0\x01\0\0\0"), pa.py_buffer(b"\xff"))
    producer.raw(topic, support.ipc(pa.RecordBatch.from_arrays([bad], [name])))
    producer.raw(topic, b"no Arrow")
    producer.flush()
    lake.once()
    reasons = [row["reason"] for row in lake.quarantine()]
    assert len(reasons) == 2 and "漢" * 40 in reasons[0], reasons


@pytest.mark.parametrize("first, second", [("uint64", "int64"), ("int64", "uint64")])
@pytest.mark.parametrize("backend", support.BACKENDS)
def test_signed_and_unsigned_numbers_stay_exact(kafka, make_lake, backend, first, second):
    """No column of 64 bits holds both, and a wider one would be DOUBLE in Parquet: the second producer's are refused."""
    topic = kafka.topic()
    producer = kafka.producer()
    lake = make_lake(backend, kafka.address, topic)
    types = {"int64": (pa.int64(), -(2**63), 2**53 + 1), "uint64": (pa.uint64(), 2**64 - 1, 2**53 + 1)}
    for name in (first, second, first):
        send(producer, topic, n=types[name])
    small = pa.uint32() if first == "uint64" else pa.int32()
    send(producer, topic, n=(small, 1, 2))
    producer.flush()
    lake.once()
    stored = {"int64": "BIGINT", "uint64": "UBIGINT"}
    assert columns_of(lake) == {"n": stored[first]}
    assert sorted(n for n, in lake.read("SELECT n FROM lake.events")) == sorted(2 * list(types[first][1:]) + [1, 2])
    assert [(row["offset"], row["reason"]) for row in lake.quarantine()] == [
        (1, f"column 'n' is {stored[second]} in the message and {stored[first]} in the table, and no type holds both")]
    answer = lake.verify(topic=True)
    assert answer["passed"] and answer["table_rows"] == 6


@pytest.mark.heavy
@pytest.mark.parametrize("point", ["insert.before", "insert.after", "commit.before", "commit.after"])
@pytest.mark.parametrize("backend", support.places("postgres", all=support.BACKENDS))
def test_killed_while_the_table_changes(kafka, make_lake, backend, point):
    """The column and the rows that need it are there, or neither is."""
    topic = kafka.topic()
    producer = kafka.producer()
    lake = make_lake(backend, kafka.address, topic)
    send(producer, topic, n=(pa.int32(), 1, 2))
    producer.flush()
    lake.once()
    send(producer, topic, n=(pa.int64(), 1 << 40, 4), more=(pa.string(), "a", "b"))
    producer.flush()
    nth = support.rows_turn(point)
    lake.once(faults=f"{point}:{nth}:kill", expect=None)
    lake.assert_consistent()
    rows, changed = lake.read("SELECT count(*) FROM lake.events")[0][0], columns_of(lake)
    assert (rows, changed) in [(2, {"n": "INTEGER"}), (4, {"n": "BIGINT", "more": "VARCHAR"})]
    assert rows == (4 if point == "commit.after" else 2)
    lake.once()
    assert columns_of(lake) == {"n": "BIGINT", "more": "VARCHAR"}
    answer = lake.verify(topic=True)
    assert answer["passed"] and answer["table_rows"] == 4


@pytest.mark.heavy
def test_two_processes_change_one_table(kafka, make_lake):
    """Each has lanes of its own, and meets columns and types in another order than the other."""
    topic = kafka.topic(4)
    producer = kafka.producer()
    lake = make_lake("postgres", kafka.address, topic)
    first, second = lake.start(), lake.start()
    support.eventually("both have lanes", lambda: first.events("lane_assigned") and second.events("lane_assigned"))
    messages = 0
    for step in range(8 if support.LONG else 4):
        for partition in range(4):
            type_, value = [(pa.int16(), 5), (pa.int32(), 1 << 20), (pa.int64(), 1 << 40), (pa.float32(), 0.5)][(step + partition) % 4]
            name = "n" if type_ != pa.float32() else "f"
            send(producer, topic, partition, **{name: (type_, value, None), f"c{partition}_{step}": (pa.string(), "x", None)})
            messages += 1
        producer.flush()
        support.eventually("all of this step is in the lake",
                           lambda: lake.verify()["table_rows"] == 2 * messages, timeout_s=60)
    for process in (first, second):
        process.send(support.signal.SIGTERM)
        assert process.wait() == support.DONE, process.tail()
    found = columns_of(lake)
    assert found["n"] == "BIGINT" and found["f"] == "FLOAT" and len(found) == 2 + messages
    answer = lake.verify(topic=True)
    assert answer["passed"] and answer["table_rows"] == 2 * messages and lake.quarantine() == []
    assert lake.read("SELECT count(*) FROM lake.events WHERE c3_0 = 'x'") == [(1,)]


def versions(kafka, lake, count):
    """Three versions of a producer, message about message: a type is narrower, a column is missing, a column is new."""
    producer = kafka.producer()
    for i in range(count):
        columns = {"seq": pa.array([2 * i, 2 * i + 1], pa.int32() if i % 3 == 0 else pa.int64())}
        if i % 3 != 1:
            columns["note"] = pa.array([f"note {i}", None])
        if i % 3 == 2:
            columns["more"] = pa.array([i, i])
        producer.raw(lake.topic, support.ipc(pa.record_batch(list(columns.values()), names=list(columns))), partition=i % 2)
    producer.flush()


def assert_versions(lake, count):
    assert lake.verify(topic=True)["passed"]
    rows = sorted(lake.read("SELECT seq, note, more FROM lake.events"))
    assert [r[0] for r in rows] == list(range(2 * count))
    assert all(note == (f"note {seq // 2}" if seq // 2 % 3 != 1 and seq % 2 == 0 else None) for seq, note, _ in rows)
    assert all(more == (seq // 2 if seq // 2 % 3 == 2 else None) for seq, _, more in rows)


@pytest.mark.parametrize("backend", support.BACKENDS)
def test_versions_by_turns(kafka, make_lake, backend):
    """Messages of several schemas share commits, once the table knows them."""
    lake = make_lake(backend, kafka.address, kafka.topic(2))
    versions(kafka, lake, 300)
    process = lake.once()
    assert_versions(lake, 300)
    assert len(process.events("commit")) < 30, "a commit a message"
    assert lake.quarantine() == []


@pytest.mark.heavy
@pytest.mark.parametrize("point", ["insert.chunk:5", "insert.after:4", "insert.after:6", "commit.before:8"] if support.LONG else ["insert.after:4", "insert.after:6"])
@pytest.mark.parametrize("backend", support.places("sqlite", "postgres", all=support.BACKENDS))
def test_killed_between_versions(kafka, make_lake, backend, point):
    lake = make_lake(backend, kafka.address, kafka.topic(2))
    versions(kafka, lake, 60)
    lake.once(faults=f"{point}:kill", expect=None)
    if (lake.folder / "catalog.sqlite").exists() or backend != "sqlite":
        lake.assert_consistent()
    lake.once()
    assert_versions(lake, 60)
