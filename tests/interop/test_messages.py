"""What a message may be beside its types: dictionaries that grow or are replaced, batches, metadata versions, columns in
another order; and what `tarn query --format arrow` makes of types that no message brings."""

import subprocess

import pyarrow as pa
import pytest
import support
from arrow_types import message

V4 = pa.ipc.MetadataVersion.V4
WORDS = [f"a word that is long enough, number {i}" for i in range(9)]


def batch(seqs, notes, swap=False, **more):
    columns = {"seq": pa.array(seqs, pa.int64()), "note": notes if isinstance(notes, pa.Array) else pa.array(notes, pa.string())} | more
    return pa.record_batch(dict(reversed(columns.items())) if swap else columns)


def grown(sizes):
    return [batch(range(n), pa.DictionaryArray.from_arrays(pa.array(range(n), pa.int32()), pa.array(WORDS[:n]))) for n in sizes]


def rows(seqs, notes):
    return list(zip(seqs, notes))


GROWN = [pair for n in (2, 5, 9) for pair in rows(range(n), WORDS)]
REPLACED = [batch([1, 2], pa.array(["a", "b"]).dictionary_encode()), batch([3, 4, 5], pa.array(["c", None, WORDS[0]]).dictionary_encode())]
MANY = [batch([i], [str(i)]) for i in range(500)]

# name -> the message and its rows
MESSAGES = {
    "plain": (message([batch([1], ["first"])]), [(1, "first")]),
    "dictionary_delta": (message(grown((2, 5, 9)), emit_dictionary_deltas=True), GROWN),
    "dictionary_delta_zstd": (message(grown((2, 5, 9)), emit_dictionary_deltas=True, compression="zstd"), GROWN),
    "dictionary_replaced": (message(REPLACED), [(1, "a"), (2, "b"), (3, "c"), (4, None), (5, WORDS[0])]),
    "dictionary_with_null": (message([batch([1, 2], pa.DictionaryArray.from_arrays(pa.array([1, 0]), pa.array(["x", None])))]), [(1, None), (2, "x")]),
    "no_end": (message([batch([1], ["open"])])[:-8], [(1, "open")]),
    "only_a_schema": (message([], batch([], []).schema), []),
    "only_empty_batches": (message([batch([], [])] * 3), []),
    "many_batches": (message(MANY), [(i, str(i)) for i in range(500)]),
    "metadata_v4": (message([batch([1, 2], ["v", None])], metadata_version=V4), [(1, "v"), (2, None)]),
    "other_order": (message([batch([7], ["swapped"], swap=True)]), [(7, "swapped")]),
    "fewer_columns": (message([pa.record_batch({"note": pa.array(["alone"])})]), [(None, "alone")]),
    "other_case": (message([pa.record_batch({"SEQ": pa.array([8]), "Note": pa.array(["case"])})]), [(8, "case")]),
    "large": (message([batch(range(100_000), ["x" * 80] * 100_000)]), [(i, "x" * 80) for i in range(100_000)]),
    "nulls": (message([batch([1, None, 3], ["a", "b", None])]), [(1, "a"), (None, "b"), (3, None)]),
}


@pytest.fixture(scope="module")
def lake(kafka, session_folder):
    processes = []
    folder = session_folder / support.unique("messages")
    folder.mkdir()
    lake = support.Lake("sqlite", folder, kafka.address, kafka.topic(len(MESSAGES)), processes, max_bytes="1Mi")
    producer = kafka.producer()
    producer.raw(lake.topic, MESSAGES["plain"][0], partition=0)
    producer.flush()
    lake.once()
    for partition, (name, (payload, _)) in enumerate(MESSAGES.items()):
        if name != "plain":
            producer.raw(lake.topic, payload, partition=partition)
    producer.flush()
    lake.once()
    yield lake
    for process in processes:
        process.end()


def in_order(found):
    return sorted(found, key=lambda row: (row[0] is None, row[0] or 0, row[1] or ""))


def test_all_rows_and_no_others(lake):
    assert lake.quarantine() == []
    answer = lake.verify(topic=True)
    assert answer["passed"], answer
    sent = [row for _, expected in MESSAGES.values() for row in expected]
    assert in_order(lake.read("SELECT seq, note FROM lake.events")) == in_order(sent)


@pytest.mark.parametrize("name", MESSAGES)
def test_rows_of_a_lane(lake, name):
    counted = lake.read('SELECT sum(messages), sum("rows") FROM lake.tarn.ledger WHERE "partition" = ?', list(MESSAGES).index(name))[0]
    assert counted == (1, len(MESSAGES[name][1]))


def ask(lake, sql):
    return subprocess.run([support.TARN, "query", str(lake.manifest), sql, "--format", "arrow"], capture_output=True, timeout=60)


ANSWERS = [
    ("'a'::ENUM('a', 'b')", pa.string(), "a"),
    ("1::HUGEINT", pa.decimal128(38, 0), 1),
    ("'101'::BIT", pa.string(), "101"),
    ("'10:00:00+02'::TIMETZ", pa.string(), "10:00:00+02"),
    ("123456789012345678901234567890::BIGNUM", pa.string(), "123456789012345678901234567890"),
    ("1::VARIANT", pa.string(), "1"),
    ("NULL", pa.int32(), None),
    ("INTERVAL '-3 months 2 days'", pa.month_day_nano_interval(), pa.MonthDayNano([-3, 2, 0])),
    ("MAP {'k': [1, NULL]}", pa.map_(pa.string(), pa.list_(pa.field("l", pa.int32()))), [("k", [1, None])]),
    ("[1, 2]::INTEGER[2]", pa.list_(pa.field("", pa.int32()), 2), [1, 2]),
]


@pytest.mark.parametrize("expression,type_,value", ANSWERS, ids=[a[0] for a in ANSWERS])
def test_answers_of_other_types(lake, expression, type_, value):
    done = ask(lake, f'SELECT {expression} AS "a column", 5 AS n UNION ALL SELECT NULL, 6')
    assert done.returncode == support.DONE, done.stderr
    answer = pa.ipc.open_stream(done.stdout).read_all()
    assert answer.schema.names == ["a column", "n"]
    assert answer.column(0).type == type_
    assert answer.column(0).to_pylist() == [value, None] and answer.column(1).to_pylist() == [5, 6]


def test_an_enum_inside_another_type_is_text(lake):
    answer = pa.ipc.open_stream(ask(lake, "SELECT ['a'::ENUM('a', 'b')] AS c").stdout).read_all()
    answer.validate(full=True)
    assert answer.column("c").type == pa.list_(pa.string()) and answer.column("c").to_pylist() == [["a"]]


def test_answers_of_any_length(lake):
    for count in (0, 1, 2048, 2049, 100_000):
        answer = pa.ipc.open_stream(ask(lake, f"SELECT i, 'row ' || i AS t FROM range({count}) q(i) ORDER BY i").stdout).read_all()
        answer.validate(full=True)
        assert answer.column("i").to_pylist() == list(range(count)) and answer.column("t").to_pylist()[-1:] == ([f"row {count - 1}"] if count else [])
