"""Every Arrow type, written by pyarrow, through a broker and `tarn run --once`, into a table with a column for each; read
by DuckDB from PyPI and, from `tarn query --format arrow`, by pyarrow."""

import os
import subprocess
from pathlib import Path

import arrow_types
import pyarrow as pa
import pytest
import support
from arrow_types import CASES, REFUSED, message

BACKENDS = ["sqlite", "file"]


def cycle(values, rows, null_every=0):
    return [None if null_every and i % null_every == null_every - 1 else values[i % len(values)] for i in range(rows)]


# How the rows come: the values of each record batch of one message, and how it is written.
VARIANTS = {
    "full": (lambda v: [cycle(v, 20)], {}),
    "some_null": (lambda v: [cycle(v, 23, 3)], {}),
    "all_null": (lambda v: [[None] * 9], {}),
    "null_first": (lambda v: [[None, *cycle(v, 7), None]], {}),
    "no_rows": (lambda v: [[]], {}),
    "long": (lambda v: [cycle(v, 5000, 7)], {}),
    "batches": (lambda v: [cycle(v, 5, 2), [], cycle(v[1:] + v[:1], 2100, 11), cycle(v, 1)], {}),
    "lz4": (lambda v: [cycle(v, 300, 5)], {"compression": "lz4"}),
    "zstd": (lambda v: [cycle(v, 2050, 5)], {"compression": "zstd"}),
    "zstd_batches": (lambda v: [cycle(v, 30, 4), cycle(v, 40)], {"compression": "zstd"}),
}
SLICED = ("sliced", 13, 2500)  # rows 13 to 2512 of a longer array
ALONE = "alone"  # the type's column is the message's first


def values_of(case):
    """variant -> the values that were sent, all batches."""
    found = {name: sum(batches(case.values), []) for name, (batches, _) in VARIANTS.items()}
    found[SLICED[0]] = cycle(case.values, 3000, 9)[SLICED[1] : SLICED[1] + SLICED[2]]
    found[ALONE + case.name] = cycle(case.values, 11, 4)
    return found


def batch_of(variant, first_row, arrays, cases):
    rows = len(arrays[0])
    columns = [pa.array([variant] * rows, pa.string()), pa.array(range(first_row, first_row + rows), pa.int32()), *arrays]
    fields = [pa.field("variant", pa.string()), pa.field("row", pa.int32()), *(pa.field(c.name, c.type) for c in cases)]
    return pa.record_batch(columns, schema=pa.schema(fields))


def wide_messages(cases):
    wire_types = {i + 2: case.wire_type for i, case in enumerate(cases) if case.wire_type}
    for variant, (batches, options) in VARIANTS.items():
        parts, first = [], 0
        for values in zip(*(batches(case.values) for case in cases)):
            parts.append(batch_of(variant, first, [case.array(v) for case, v in zip(cases, values)], cases))
            first += len(values[0])
        yield message(parts, wire_types=wire_types, **options)
    name, start, rows = SLICED
    whole = batch_of(name, -start, [case.array(cycle(case.values, 3000, 9)) for case in cases], cases)
    yield message([whole.slice(start, rows)], wire_types=wire_types)


def message_alone(case):
    values = cycle(case.values, 11, 4)
    batch = batch_of(ALONE + case.name, 0, [case.array(values)], [case]).select([case.name, "variant", "row"])
    return message([batch], wire_types={0: case.wire_type} if case.wire_type else None)


class Types:
    """One lake into which every message went, and what two readers see of it."""

    def __init__(self, lake, producer):
        self.lake = lake
        is_lake = lake.backend != "file"
        self.cases = [c for c in CASES if not (is_lake and c.ducklake)]
        self.not_here = [c for c in CASES if is_lake and c.ducklake]
        # What DuckLake refuses comes first, while there is no table that could refuse it for a lack of the column.
        messages = [(c.name, message_alone(c)) for c in self.not_here]
        messages += [(r.name, message([pa.record_batch([r.array()], names=[r.name])])) for r in REFUSED]
        self.refused = [name for name, _ in messages]
        messages += [(None, m) for m in wide_messages(self.cases)]
        messages += [(None, message_alone(c)) for c in self.cases]
        for key, value in messages:
            producer.raw(lake.topic, value, key=key)
        producer.flush()
        lake.once(timeout_s=100)
        self.reasons = {row["message_key"].decode() if row["message_key"] else None: row["reason"] for row in lake.quarantine()}
        names = ", ".join(f'"{c.name}"' for c in self.cases)
        self.sql = f'SELECT variant, "row", {names} FROM %s ORDER BY variant, "row"'
        con = lake.connect()
        con.execute("SET TimeZone = 'UTC'")
        self.types = dict(con.execute("SELECT column_name, data_type FROM duckdb_columns() WHERE database_name = 'lake' AND table_name = 'events'").fetchall())
        self.by_duckdb = con.execute(self.sql % "lake.events").to_arrow_table() if self.types else None
        con.close()
        asked = subprocess.run([support.TARN, "query", str(lake.manifest), self.sql % "events", "--format", "arrow"], capture_output=True, timeout=60,
                               env=os.environ | {"TZ": "UTC"})
        self.query_error = asked.stderr.decode()
        self.by_tarn = pa.ipc.open_stream(asked.stdout).read_all() if asked.returncode == 0 else None


@pytest.fixture(scope="module", params=BACKENDS)
def types(request, kafka, session_folder):
    processes = []
    folder = session_folder / support.unique("types")
    folder.mkdir()
    lake = support.Lake(request.param, folder, kafka.address, kafka.topic(1), processes, memory="1Gi")
    try:
        yield Types(lake, kafka.producer())
    finally:
        for process in processes:
            process.end()


def assert_same(found, expected, what):
    """NaN is NaN; a time zone's name does not matter, nor what a list's elements are called."""
    found = pa.concat_arrays([chunk.cast(expected.type) if chunk.type != expected.type else chunk for chunk in found.chunks]) if found.num_chunks else None
    assert found is not None and len(found) == len(expected), f"{what}: {0 if found is None else len(found)} rows of {len(expected)}"
    if found.equals(expected):
        return
    is_number = pa.types.is_temporal(expected.type) and not pa.types.is_interval(expected.type)
    for i in range(len(expected)):
        a, b = found[i : i + 1], expected[i : i + 1]
        if is_number:
            a, b = (x.view(f"int{expected.type.bit_width}") for x in (a, b))
        assert repr(a.to_pylist()) == repr(b.to_pylist()), f"{what}, row {i}: {a.to_pylist()} instead of {b.to_pylist()}"


def expected_column(case, variants):
    """In the order of the answer: one run of rows for each variant; the columns of other types' own messages are null."""
    sent = values_of(case)
    values = []
    for variant, rows in variants:
        values += sent.get(variant) or [None] * rows
    return values


def variants_of(table):
    names, counts = [], {}
    for name in table["variant"].to_pylist():
        if name not in counts:
            names.append(name)
        counts[name] = counts.get(name, 0) + 1
    return [(name, counts[name]) for name in names]


def test_every_message_is_a_row_or_a_reason(types):
    assert set(types.reasons) == set(types.refused), {k: v for k, v in types.reasons.items() if k not in types.refused}
    answer = types.lake.verify(topic=True)
    assert answer["passed"] and answer["code"] == support.DONE, answer
    expected = sum(len(v) for v in values_of(types.cases[0]).values()) + 11 * (len(types.cases) - 1)
    assert answer["table_rows"] == expected
    assert types.by_tarn is not None, types.query_error
    assert [name for name, _ in variants_of(types.by_duckdb)] == sorted([*(v for v in VARIANTS if v != "no_rows"), SLICED[0], *(ALONE + c.name for c in types.cases)])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_type(types, case):
    if case in types.not_here:
        assert case.ducklake in types.reasons.get(case.name, "taken")
        return
    assert types.types[case.name] == case.duck
    expected = case.answer(expected_column(case, variants_of(types.by_duckdb)))
    assert_same(types.by_duckdb[case.name], expected, "read by duckdb")
    back = types.by_tarn.schema.field(case.name).type
    assert arrow_types.arrow_name(back).replace("Etc/", "") == arrow_types.arrow_name(expected.type), f"the answer has {back}"
    assert_same(types.by_tarn[case.name], expected, "read by pyarrow")


@pytest.mark.parametrize("refused", REFUSED, ids=lambda refused: refused.name)
def test_refused(types, refused):
    reason = types.reasons.get(refused.name, "it was taken")
    assert reason.endswith(refused.reason) and f"column '{refused.name}'" in reason, reason


def test_the_page_is_made_from_these_cases():
    made = Path(arrow_types.__file__).parents[2] / "docs" / "types.md"
    assert made.read_text() == arrow_types.page(), "docs/types.md: .deps/venv/bin/python tests/interop/arrow_types.py > docs/types.md"
