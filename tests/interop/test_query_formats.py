"""Each type of DuckDB in each format of `tarn query`, read by others: Arrow by pyarrow, DuckDB, pandas and polars; Parquet by
pyarrow and DuckDB; CSV and JSON by Python's own modules and by DuckDB. docs/types.md has the rules that are tested here."""

import csv
import datetime
import io
import json
import math
import subprocess
from decimal import Decimal

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import support

MANIFEST = """apiVersion: ducklake.featherman.dev/v1alpha1
kind: DuckLakeCatalog
metadata: {name: main}
spec:
  backend: {type: file, path: lake.duckdb}
"""

# column, type, values (SQL) beside NULL; the Arrow type; what each value is to Python, through Arrow
UTC = datetime.timezone.utc
CASES = [
    ("b", "BOOLEAN", "true, false", pa.bool_(), [True, False]),
    ("i1", "TINYINT", "-128, 127", pa.int8(), [-128, 127]),
    ("i2", "SMALLINT", "-32768, 32767", pa.int16(), [-32768, 32767]),
    ("i4", "INTEGER", "-2147483648, 2147483647", pa.int32(), [-2147483648, 2147483647]),
    ("i8", "BIGINT", "-9223372036854775808, 9223372036854775807", pa.int64(), [-(2**63), 2**63 - 1]),
    ("u1", "UTINYINT", "0, 255", pa.uint8(), [0, 255]),
    ("u2", "USMALLINT", "0, 65535", pa.uint16(), [0, 65535]),
    ("u4", "UINTEGER", "0, 4294967295", pa.uint32(), [0, 2**32 - 1]),
    ("u8", "UBIGINT", "0, 18446744073709551615", pa.uint64(), [0, 2**64 - 1]),
    ("h", "HUGEINT", "'-99999999999999999999999999999999999999', '18446744073709551616'", pa.decimal128(38, 0),
     [Decimal("-99999999999999999999999999999999999999"), Decimal(2**64)]),
    ("uh", "UHUGEINT", "'0', '340282366920938463463374607431768211455'", pa.string(), ["0", str(2**128 - 1)]),
    ("f4", "FLOAT", "0.5, 3.4028235e38", pa.float32(), [0.5, 3.4028234663852886e38]),
    ("f8", "DOUBLE", "1e-300, 1.7976931348623157e308", pa.float64(), [1e-300, 1.7976931348623157e308]),
    ("d", "DECIMAL(9,3)", "-999999.999, 0.001", pa.decimal128(9, 3), [Decimal("-999999.999"), Decimal("0.001")]),
    ("dw", "DECIMAL(38,10)", "'-1234567890123456789012345678.0123456789', '0'", pa.decimal128(38, 10),
     [Decimal("-1234567890123456789012345678.0123456789"), Decimal("0E-10")]),
    ("dz", "DECIMAL(3,3)", "0.125, -0.5", pa.decimal128(3, 3), [Decimal("0.125"), Decimal("-0.500")]),
    ("date", "DATE", "'0001-01-01', '9999-12-31'", pa.date32(), [datetime.date(1, 1, 1), datetime.date(9999, 12, 31)]),
    ("time", "TIME", "'00:00:00', '23:59:59.999999'", pa.time64("us"), [datetime.time(0), datetime.time(23, 59, 59, 999999)]),
    ("timens", "TIME_NS", "'00:00:00', '10:00:00.000001'", pa.time64("ns"), [datetime.time(0), datetime.time(10, 0, 0, 1)]),
    ("timetz", "TIMETZ", "'00:00:00+00', '12:30:00+05:30'", pa.string(), ["00:00:00+00", "12:30:00+05:30"]),
    ("ts", "TIMESTAMP", "'1969-12-31 23:59:59.999999', '2024-02-29 12:00:00'", pa.timestamp("us"),
     [datetime.datetime(1969, 12, 31, 23, 59, 59, 999999), datetime.datetime(2024, 2, 29, 12)]),
    ("ts_s", "TIMESTAMP_S", "'1969-12-31 23:59:59', '2024-02-29 12:00:00'", pa.timestamp("s"),
     [datetime.datetime(1969, 12, 31, 23, 59, 59), datetime.datetime(2024, 2, 29, 12)]),
    ("ts_ms", "TIMESTAMP_MS", "'1969-12-31 23:59:59.999', '2024-02-29 12:00:00'", pa.timestamp("ms"),
     [datetime.datetime(1969, 12, 31, 23, 59, 59, 999000), datetime.datetime(2024, 2, 29, 12)]),
    ("ts_ns", "TIMESTAMP_NS", "'1969-12-31 23:59:59.999999', '2024-02-29 12:00:00'", pa.timestamp("ns"),
     [datetime.datetime(1969, 12, 31, 23, 59, 59, 999999), datetime.datetime(2024, 2, 29, 12)]),
    ("tstz", "TIMESTAMPTZ", "'2024-02-29 12:00:00+02', '1970-01-01 00:00:00+00'", pa.timestamp("us", "UTC"),
     [datetime.datetime(2024, 2, 29, 10, tzinfo=UTC), datetime.datetime(1970, 1, 1, tzinfo=UTC)]),
    ("iv", "INTERVAL", "INTERVAL '14 months 3 days', INTERVAL '-1.5 seconds'", pa.month_day_nano_interval(),
     [pa.MonthDayNano([14, 3, 0]), pa.MonthDayNano([0, 0, -1_500_000_000])]),
    ("t", "VARCHAR", "'', 'a,\"b\"' || chr(10) || 'ü🦆'", pa.string(), ["", 'a,"b"\nü🦆']),
    ("x", "BLOB", "'\\x00\\xFF', ''", pa.binary(), [b"\x00\xff", b""]),
    ("bit", "BIT", "'101', '0'", pa.string(), ["101", "0"]),
    ("uuid", "UUID", "'00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff'", pa.string(),
     ["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"]),
    ("e", "ENUM('low', 'high')", "'low', 'high'", pa.string(), ["low", "high"]),
    ("big", "BIGNUM", "'-123456789012345678901234567890123456789012345678901234567890', '7'", pa.string(),
     ["-123456789012345678901234567890123456789012345678901234567890", "7"]),
    ("js", "JSON", "'{\"k\": [1, null]}', '3'", pa.string(), ['{"k": [1, null]}', "3"]),
    ("v", "VARIANT", "1::VARIANT, 'x'::VARIANT", pa.string(), ["1", "x"]),
    ("l", "INTEGER[]", "[1, NULL, 3], []", pa.list_(pa.int32()), [[1, None, 3], []]),
    ("le", "ENUM('low', 'high')[]", "['low', NULL], []", pa.list_(pa.string()), [["low", None], []]),
    ("a", "INTEGER[2]", "[1, NULL], [3, 4]", pa.list_(pa.int32(), 2), [[1, None], [3, 4]]),
    ("s", "STRUCT(a INTEGER, b VARCHAR)", "{'a': 1, 'b': 'x'}, {'a': NULL, 'b': NULL}", pa.struct([("a", pa.int32()), ("b", pa.string())]),
     [{"a": 1, "b": "x"}, {"a": None, "b": None}]),
    ("sb", "STRUCT(a BIT, b STRUCT(c UHUGEINT[]))", "{'a': '11', 'b': {'c': [7]}}, {'a': NULL, 'b': {'c': []}}",
     pa.struct([("a", pa.string()), ("b", pa.struct([("c", pa.list_(pa.string()))]))]), [{"a": "11", "b": {"c": ["7"]}}, {"a": None, "b": {"c": []}}]),
    ("m", "MAP(VARCHAR, INTEGER)", "MAP {'k': 1, 'n': NULL}, MAP {}", pa.map_(pa.string(), pa.int32()), [[("k", 1), ("n", None)], []]),
    ("un", "UNION(n INTEGER, t VARCHAR)", "1::UNION(n INTEGER, t VARCHAR), 'x'::UNION(n INTEGER, t VARCHAR)",
     pa.sparse_union([pa.field("n", pa.int32()), pa.field("t", pa.string())]), [1, "x"]),
    ("g", "GEOMETRY", "'POINT(1 2)', 'POINT(3 4)'", pa.binary(), None),
    ("n", "INTEGER", "NULL, NULL", pa.int32(), [None, None]),
]
NAMES = [case[0] for case in CASES]
NOT_IN_POLARS = {"iv", "un"}  # Arrow types that polars has not
NOT_IN_PANDAS = {"un"}  # nor pandas
BY_NAME = {case[0]: case for case in CASES}


def select(names):
    """Three rows: the two values, and NULL."""
    columns = [f"[{values}, NULL]::{type_}[] AS {name}" for name, type_, values, _, _ in (BY_NAME[n] for n in names)]
    return f"SELECT {', '.join(f'unnest({n}) AS {n}' for n in names)} FROM (SELECT {', '.join(columns)})"


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    folder = tmp_path_factory.mktemp("formats")
    (folder / "tarn.yaml").write_text(MANIFEST)
    duckdb.connect(str(folder / "lake.duckdb")).close()
    return folder


def ask(lake, sql, form):
    done = subprocess.run([support.TARN, "query", "tarn.yaml", sql, "--format", form], capture_output=True, cwd=lake, timeout=60)
    assert done.returncode == support.DONE, done.stderr.decode()
    return done.stdout


def same(a, b):
    return repr(a) == repr(b) if not isinstance(a, float) else a == b or (math.isnan(a) and math.isnan(b))


# ---- Arrow


@pytest.fixture(scope="module")
def arrow(lake):
    return ask(lake, select(NAMES), "arrow")


@pytest.mark.parametrize("name", NAMES)
def test_arrow_type_and_values(arrow, name):
    table = pa.ipc.open_stream(arrow).read_all()
    table.validate(full=True)
    _, _, _, type_, values = BY_NAME[name]
    field = table.schema.field(name)
    if pa.types.is_list(type_) or pa.types.is_fixed_size_list(type_):
        assert field.type.value_type == type_.value_type and pa.types.is_fixed_size_list(field.type) == pa.types.is_fixed_size_list(type_)
    elif pa.types.is_timestamp(type_) and type_.tz:
        assert field.type.unit == "us" and field.type.tz
    elif not pa.types.is_nested(type_):
        assert field.type == type_, field
    if values is None:
        return
    if name == "timens":  # to Python only through pandas
        got = [None if v.as_py() is None else v.as_py() for v in table.column(name).cast(pa.time64("us"))]
    else:
        got = table.column(name).to_pylist()
    assert len(got) == 3 and all(same(x, y) or x == y for x, y in zip(got, [*values, None])), got


def test_arrow_in_duckdb_is_what_it_was(arrow):
    """Back in DuckDB each column casts to its own type, and is the value that it was."""
    answered = pa.ipc.open_stream(arrow).read_all()  # noqa: F841 (DuckDB reads it by name)
    skip = {"g"}  # well-known bytes, which DuckDB does not cast back without its spatial extension
    names = [n for n in NAMES if n not in skip]
    connection = duckdb.connect()
    back = connection.sql(f"SELECT {', '.join(f'CAST({n} AS {BY_NAME[n][1]})::VARCHAR AS {n}' for n in names)} FROM answered").fetchall()
    first = connection.sql(f"SELECT {', '.join(f'{n}::VARCHAR' for n in names)} FROM ({select(names)})").fetchall()
    for i, name in enumerate(names):
        assert [row[i] for row in back] == [row[i] for row in first], name


def test_arrow_in_pandas(arrow):
    table = pa.ipc.open_stream(arrow).read_all()
    frame = table.drop_columns(["timens", "date"]).to_pandas(types_mapper=pd.ArrowDtype)
    assert len(frame) == 3
    for name in ("i8", "u8", "t", "ts", "d"):
        assert [None if v is pd.NA else v for v in frame[name]][2] is None
        assert frame[name][1] == BY_NAME[name][4][1]
    names = [n for n in NAMES if n not in NOT_IN_PANDAS]
    plain = table.select(names).to_pandas()
    assert list(plain.columns) == names and plain["e"].tolist()[:2] == ["low", "high"]


def test_arrow_in_polars(lake):
    names = [n for n in NAMES if n not in NOT_IN_POLARS]
    frame = pl.read_ipc_stream(io.BytesIO(ask(lake, select(names), "arrow")))
    assert frame.columns == names and frame.height == 3
    for name in ("b", "i1", "i8", "u8", "f8", "d", "t", "x", "uh", "bit", "e", "uuid", "ts", "ts_ms", "l", "le", "s", "sb"):
        values = BY_NAME[name][4]
        assert [v for v in frame[name].to_list()] == [*values, None], name


def test_arrow_of_no_rows(lake):
    table = pa.ipc.open_stream(ask(lake, select(NAMES) + " LIMIT 0", "arrow")).read_all()
    assert table.num_rows == 0 and table.schema.names == NAMES


@pytest.mark.parametrize("rows", [1, 2048, 2049, 100_000])
def test_arrow_of_many_rows(lake, rows):
    sql = f"SELECT range AS i, CASE WHEN range % 3 > 0 THEN 'row ' || range END AS t, range % 2 = 0 AS b, [range, NULL] AS l FROM range({rows})"
    table = pa.ipc.open_stream(ask(lake, sql, "arrow")).read_all()
    table.validate(full=True)
    assert table.column("i").to_pylist() == list(range(rows))
    assert table.column("t").to_pylist() == [f"row {i}" if i % 3 else None for i in range(rows)]
    assert table.column("b").to_pylist() == [i % 2 == 0 for i in range(rows)]
    assert table.column("l").to_pylist() == [[i, None] for i in range(rows)]


# ---- Parquet


# As others than DuckDB have them in Parquet.
IN_PARQUET = {"h": [Decimal("-99999999999999999999999999999999999999"), Decimal(2**64)], "iv": ["1 year 2 months 3 days", "-00:00:01.5"], "un": ["1", "x"]}


def test_parquet(lake, tmp_path):
    answer = ask(lake, select(NAMES), "parquet")
    table = pq.read_table(io.BytesIO(answer))
    assert table.num_rows == 3 and table.schema.names == NAMES
    for name in ("b", "i8", "u8", "h", "uh", "f8", "d", "dw", "date", "timetz", "ts", "iv", "t", "x", "bit", "big", "v", "l", "s", "sb", "un"):
        assert table.column(name).to_pylist() == [*IN_PARQUET.get(name, BY_NAME[name][4]), None], name
    (tmp_path / "answer.parquet").write_bytes(answer)
    connection = duckdb.connect()
    names = [n for n in NAMES if n not in {"g", "un"}]
    back = connection.sql(f"SELECT {', '.join(f'CAST({n} AS {BY_NAME[n][1]})::VARCHAR' for n in names)} FROM '{tmp_path}/answer.parquet'").fetchall()
    first = connection.sql(f"SELECT {', '.join(f'{n}::VARCHAR' for n in names)} FROM ({select(names)})").fetchall()
    for i, name in enumerate(names):
        assert [row[i] for row in back] == [row[i] for row in first], name


# ---- CSV and JSON


def test_csv_is_duckdbs_text(lake):
    rows = list(csv.reader(io.StringIO(ask(lake, select(NAMES), "csv").decode(), newline="")))
    assert rows[0] == NAMES and len(rows) == 4
    texts = duckdb.connect().sql(f"SELECT {', '.join(f'{n}::VARCHAR' for n in NAMES)} FROM ({select(NAMES)})").fetchall()
    for got, expected in zip(rows[1:], texts):
        for name, a, b in zip(NAMES, got, expected):
            assert a == (b or ""), name


def test_csv_tells_null_from_nothing(lake):
    assert ask(lake, "SELECT '' AS a, NULL AS b, 'x' AS c", "csv") == b'a,b,c\n"",,x\n'


def test_csv_in_duckdb(lake, tmp_path):
    names = ["i8", "u8", "f8", "d", "dw", "date", "ts", "t", "b", "uuid"]
    (tmp_path / "answer.csv").write_bytes(ask(lake, select(names), "csv"))
    types = ", ".join(f"'{n}': '{BY_NAME[n][1]}'" for n in names)
    connection = duckdb.connect()
    back = connection.sql(f"FROM read_csv('{tmp_path}/answer.csv', header => true, columns => {{{types}}}, allow_quoted_nulls => false)").fetchall()
    assert back == connection.sql(select(names)).fetchall()


def test_json(lake):
    rows = json.loads(ask(lake, select(NAMES), "json"), parse_float=Decimal)
    assert len(rows) == 3 and list(rows[0]) == NAMES
    for name in ("b", "i1", "i8", "u8", "h", "d", "dw", "dz", "t", "l", "a", "s", "e"):
        for row, value in zip(rows, [*BY_NAME[name][4], None]):
            assert row[name] == value, (name, row[name])
    assert rows[0]["m"] == {"k": 1, "n": None} and rows[0]["js"] == {"k": [1, None]} and rows[0]["date"] == "0001-01-01"
    assert rows[2] == dict.fromkeys(NAMES)


def test_numbers_are_exact(lake):
    """Each double is read back as what it was, also those that DuckDB's own text is wrong about."""
    sql = "SELECT v FROM (SELECT unnest([2::DOUBLE ** 81, 2::DOUBLE ** 91, 2::DOUBLE ** 807, 0.1, 1e23, 5e-324, 1.7976931348623157e308, 123456789.125, -0.0]) AS v)"
    expected = [2.0**81, 2.0**91, 2.0**807, 0.1, 1e23, 5e-324, 1.7976931348623157e308, 123456789.125, -0.0]
    assert [row["v"] for row in json.loads(ask(lake, sql, "json"))] == expected
    assert [float(row[0]) for row in list(csv.reader(io.StringIO(ask(lake, sql, "csv").decode())))[1:]] == expected


def test_json_has_no_nan(lake):
    text = ask(lake, "SELECT 'nan'::DOUBLE AS a, 'inf'::FLOAT AS b, ['-inf'::DOUBLE] AS c, {'NaN': 'NaN'} AS d", "json")
    assert json.loads(text, parse_constant=lambda c: pytest.fail(c)) == [{"a": None, "b": None, "c": [None], "d": {"NaN": "NaN"}}]
