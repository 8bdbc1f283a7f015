"""The table of Arrow types: for each the values that are sent, the DuckDB type that they become, and what
`tarn query --format arrow` gives back. test_types.py sends and compares them; docs/types.md is made from the same rows:

    .deps/venv/bin/python tests/interop/arrow_types.py > docs/types.md
"""

import decimal
import struct
import sys
import uuid
from dataclasses import dataclass
from typing import Callable

import pyarrow as pa
import pyarrow.compute as pc

D = decimal.Decimal
WIRE_INTERVAL = 11  # in Arrow's Schema.fbs
DAY_S = 86400
UTC = pa.timestamp("us", "UTC")
INTERVAL = pa.month_day_nano_interval()


@dataclass
class Case:
    """A type that is taken. Values are without nulls, and sent over and over; of times and dates they are plain numbers."""

    name: str  # of the column
    arrow: str  # as docs/types.md has it
    type: pa.DataType  # as pyarrow writes it
    values: list
    duck: str
    back: pa.DataType | None = None  # of the answer; None: the type that was sent
    given: Callable = lambda value: value  # what a value is in the answer
    make: Callable | None = None  # an array of values, with None in them
    wire_type: int | None = None  # pyarrow has no name for the type: this is written over the one that `type` has
    ducklake: str = ""  # DuckLake refuses it so; a plain DuckDB file takes it
    note: str = ""

    def array(self, values):
        return self.make(values) if self.make else pa.array(values, self.type)

    def answer(self, values):
        if self.back is None:
            return self.array(values)
        return pa.array([None if v is None else self.given(v) for v in values], self.back)


@dataclass
class Refused:
    name: str
    arrow: str
    array: Callable
    reason: str  # what the quarantine's reason ends with
    note: str = ""  # what to send instead


# ---- messages


def retype(stream, wire_types):
    """An IPC stream whose top columns have other members of the union Type, by position."""
    out = bytearray(stream)

    def follow(at):
        return at + struct.unpack_from("<I", out, at)[0]

    def slot(table, i):
        vtable = table - struct.unpack_from("<i", out, table)[0]
        return table + struct.unpack_from("<H", out, vtable + 4 + 2 * i)[0]

    columns = follow(slot(follow(slot(follow(8), 2)), 1))
    for i, wire_type in wire_types.items():
        out[slot(follow(columns + 4 + 4 * i), 2)] = wire_type
    return bytes(out)


def message(batches, schema=None, wire_types=None, **options):
    """One Kafka message: an IPC stream of these batches."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema or batches[0].schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return retype(sink.getvalue().to_pybytes(), wire_types or {})


# ---- the rows


def integers():
    for bits in (8, 16, 32, 64):
        top = 2 ** (bits - 1)
        duck = {8: "TINYINT", 16: "SMALLINT", 32: "INTEGER", 64: "BIGINT"}[bits]
        yield Case(f"int{bits}", f"int{bits}", getattr(pa, f"int{bits}")(), [0, 1, -1, top - 1, -top], duck)
        yield Case(f"uint{bits}", f"uint{bits}", getattr(pa, f"uint{bits}")(), [0, 1, top, 2 * top - 1], "U" + duck)


def numbers():
    inf, nan = float("inf"), float("nan")
    halves = [0.0, 1.5, -2.25, 65504.0, 2.0**-14, 2.0**-24, -(2.0**-24), inf, -inf, nan]
    yield Case("half", "float16", pa.float16(), halves, "FLOAT", pa.float32(), note="widened, exactly: DuckDB has no such type")
    yield Case("float", "float32", pa.float32(), [0.0, 1.5, 2.0**-149, 2.0**127, inf, -inf, nan], "FLOAT")
    yield Case("double", "float64", pa.float64(), [0.0, 0.1, 5e-324, 1.7976931348623157e308, inf, -inf, nan], "DOUBLE")
    yield Case("bool", "bool", pa.bool_(), [True, False, False], "BOOLEAN")
    bool8 = lambda values: pa.ExtensionArray.from_storage(pa.bool8(), pa.array(values, pa.int8()))
    yield Case("bool8", "arrow.bool8", pa.bool8(), [0, 1, -128], "BOOLEAN", pa.bool_(), bool, bool8)
    yield Case("nulls", "null", pa.null(), [None], "INTEGER", pa.int32(), note="every row is NULL")
    for make, width, precisions in ((pa.decimal32, 32, (1, 7, 9)), (pa.decimal64, 64, (10, 18)), (pa.decimal128, 128, (4, 9, 18, 19, 38))):
        for precision in precisions:
            scale = precision // 3
            values = [D((sign, digits, -scale)) for digits in ((1,), (9,) * precision) for sign in (0, 1)]
            name = f"decimal{width}_{precision}"
            yield Case(name, f"decimal{width}({precision}, {scale})", make(precision, scale), values,
                       f"DECIMAL({precision},{scale})", pa.decimal128(precision, scale))


def nanos_to_us(value):
    return -(-value // 1000) if value < 0 else value // 1000


def times():
    yield Case("date32", "date32", pa.date32(), [0, -1, 20778, 2932896, -719162, 2**31 - 2, 2 - 2**31], "DATE")
    yield Case("date64", "date64", pa.date64(), [0, -DAY_S * 1000, 20778 * DAY_S * 1000], "DATE", pa.date32(), lambda v: v // (DAY_S * 1000))
    for kind, unit, per_us in ((pa.time32, "s", 10**6), (pa.time32, "ms", 10**3), (pa.time64, "us", 1)):
        top = DAY_S * 10**6 // per_us
        yield Case(f"time_{unit}", f"{kind.__name__}[{unit}]", kind(unit), [0, 1, top - 1], "TIME", pa.time64("us"),
                   lambda v, k=per_us: v * k)
    yield Case("time_ns", "time64[ns]", pa.time64("ns"), [0, 1, DAY_S * 10**9 - 1], "TIME_NS",
               ducklake="a time of nanoseconds, which Parquet files do not hold: send time64[us]")
    for unit, per_s, duck in (("s", 1, "TIMESTAMP_S"), ("ms", 10**3, "TIMESTAMP_MS"), ("us", 10**6, "TIMESTAMP"), ("ns", 10**9, "TIMESTAMP_NS")):
        first, last = {"s": (-9_223_372_022_400, 9_223_372_036_854), "ms": (-9_223_372_022_400_000, 9_223_372_036_854_775),
                       "us": (-9_223_372_022_400_000_000, 2**63 - 2), "ns": (-9_223_286_400_000_000_000, 2**63 - 2)}[unit]
        values = [0, 1, -1, 1_795_255_200 * per_s + 7, -2_208_988_800 * per_s, first, last]
        yield Case(f"timestamp_{unit}", f"timestamp[{unit}]", pa.timestamp(unit), values, duck)
        to_us = (lambda v, k=10**6 // per_s: v * k) if per_s <= 10**6 else nanos_to_us
        for zone in ("UTC", "Europe/Berlin"):
            name = f"zoned_{unit}" if zone == "UTC" else f"zoned_{unit}_berlin"
            yield Case(name, f"timestamp[{unit}, {zone}]", pa.timestamp(unit, zone), values, "TIMESTAMP WITH TIME ZONE", UTC, to_us,
                       note="the instant is kept, the name of the zone is not" + ("; nanoseconds are cut off" if unit == "ns" else ""))


def intervals():
    ducklake = "an interval, which Parquet files do not hold whole: send int64"

    def of_us(k):
        return lambda v: pa.MonthDayNano([0, 0, (v * k if k else nanos_to_us(v)) * 1000])

    for unit, per_us in (("s", 10**6), ("ms", 1000), ("us", 1), ("ns", 0)):
        yield Case(f"duration_{unit}", f"duration[{unit}]", pa.duration(unit), [0, 1, -1, 86_400, 123_456_789], "INTERVAL", INTERVAL, of_us(per_us),
                   ducklake=ducklake)
    yield Case("months", "interval[months]", pa.date32(), [0, 1, -1, 14], "INTERVAL", INTERVAL, lambda v: pa.MonthDayNano([v, 0, 0]),
               wire_type=WIRE_INTERVAL, ducklake=ducklake)

    def day_time(values):
        packed = [None if v is None else v[0] & 0xFFFFFFFF | (v[1] << 32) for v in values]
        return pa.array(packed, pa.timestamp("ms"))

    yield Case("day_time", "interval[day, time]", pa.timestamp("ms"), [(0, 0), (1, 2), (-1, 500), (3, -7)], "INTERVAL", INTERVAL,
               lambda v: pa.MonthDayNano([0, v[0], v[1] * 10**6]), day_time, WIRE_INTERVAL, ducklake)
    yield Case("month_day_nano", "interval[month, day, nano]", INTERVAL, [pa.MonthDayNano(v) for v in ([0, 0, 0], [1, 2, 3000], [-1, 40, -5_000_000])], "INTERVAL",
               ducklake=ducklake, note="nanoseconds are cut off")


def texts():
    words = ["", "a", "twelve bytes", "thirteen byte", "größer", "日本語のテキスト 🐬", "nul \0 inside", "x" * 300]
    blobs = [b"", b"\0", b"\xff\xfe\0", bytes(range(13)), b"\x80" * 300]
    for type_, name in ((pa.string(), "utf8"), (pa.large_string(), "large_utf8"), (pa.string_view(), "utf8_view")):
        yield Case(name, name, type_, words, "VARCHAR", pa.string())
    for type_, name in ((pa.binary(), "binary"), (pa.large_binary(), "large_binary"), (pa.binary_view(), "binary_view")):
        yield Case(name, name, type_, blobs, "BLOB", pa.binary())
    yield Case("fixed_binary", "fixed_size_binary(5)", pa.binary(5), [b"\0" * 5, b"12345", b"\xff" * 5], "BLOB", pa.binary())
    ids = [uuid.UUID(int=i) for i in (0, 1, 2**127, 2**128 - 1, 0x0123456789ABCDEF0123456789ABCDEF)]
    make = lambda values: pa.ExtensionArray.from_storage(pa.uuid(), pa.array([None if v is None else v.bytes for v in values], pa.binary(16)))
    yield Case("uuid", "arrow.uuid", pa.uuid(), ids, "UUID", pa.string(), str, make)
    docs = ['{"a": 1}', "[]", '"é"', "null"]
    make = lambda values: pa.ExtensionArray.from_storage(pa.json_(), pa.array(values, pa.string()))
    yield Case("json", "arrow.json", pa.json_(), docs, "JSON", pa.string(), make=make, note="the text as it is")


def nested():
    lists = [[], [1], [None], [1, None, 3], list(range(40))]
    for make, name in ((pa.list_, "list"), (pa.large_list, "large_list"), (pa.list_view, "list_view"), (pa.large_list_view, "large_list_view")):
        note = "in the order of the rows, without overlap" if "view" in name else ""
        yield Case(name, f"{name}<int32>", make(pa.int32()), lists, "INTEGER[]", pa.list_(pa.int32()), note=note)
    words = ["", "ä", None, "a text longer than twelve bytes"]
    yield Case("lists", "list<list<utf8>>", pa.list_(pa.list_(pa.string())), [[], [[]], [None, words], [words, [], words]], "VARCHAR[][]")
    inner = pa.struct([("flag", pa.bool_()), ("words", pa.list_(pa.string()))])
    outer = pa.struct([("x", pa.int32()), ("name", pa.string()), ("inner", inner)])
    things = [{"x": 1, "name": "ä", "inner": {"flag": True, "words": words}}, {"x": None, "name": None, "inner": None},
              {"x": -1, "name": "", "inner": {"flag": None, "words": None}}, {"x": 2, "name": "b", "inner": {"flag": False, "words": []}}]
    duck = "STRUCT(x INTEGER, \"name\" VARCHAR, \"inner\" STRUCT(flag BOOLEAN, words VARCHAR[]))"
    yield Case("struct", "struct", outer, things, duck)
    yield Case("structs", "list<struct>", pa.list_(outer), [[], things, [None], things[:2]], duck + "[]")
    blob = pa.struct([("id", pa.binary(4)), ("when", pa.timestamp("ms"))])
    yield Case("struct_fixed", "struct<fixed_size_binary, timestamp>", blob, [{"id": b"abcd", "when": 5}, {"id": None, "when": None}],
               'STRUCT(id BLOB, "when" TIMESTAMP_MS)', pa.struct([("id", pa.binary()), ("when", pa.timestamp("ms"))]))
    yield Case("map", "map<utf8, int64>", pa.map_(pa.string(), pa.int64()), [[], [("k", 1)], [("a", None), ("b", -2), ("ö" * 20, 3)]], "MAP(VARCHAR, BIGINT)")
    yield Case("maps", "map<int16, list<utf8>>", pa.map_(pa.int16(), pa.list_(pa.string())), [[], [(1, words), (2, None)], [(-3, [])]], "MAP(SMALLINT, VARCHAR[])")
    refuses = "unsupported type "
    yield Case("fixed_list", "fixed_size_list<int32>(3)", pa.list_(pa.int32(), 3), [[1, 2, 3], [None, 5, None]], "INTEGER[3]",
               ducklake=refuses + "INTEGER[3]")
    yield Case("fixed_lists", "fixed_size_list<list<utf8>>(2)", pa.list_(pa.list_(pa.string()), 2), [[["a"], None], [[], words]], "VARCHAR[][2]",
               ducklake=refuses + "VARCHAR[][2]")
    union = pa.sparse_union([pa.field("n", pa.int64()), pa.field("t", pa.string())])
    yield Case("union", "sparse_union<int64, utf8>", union, [1, "a", -5, "a text longer than twelve bytes"], "UNION(n BIGINT, t VARCHAR)", make=sparse([0, 1]),
               ducklake=refuses + "UNION(n BIGINT, t VARCHAR)", note="a null is the first member's")
    renumbered = pa.sparse_union([pa.field("n", pa.int64()), pa.field("t", pa.string())], [5, 7])
    case = Case("union_ids", "sparse_union with other type ids", renumbered, [1, "a", -5], "UNION(n BIGINT, t VARCHAR)", union, make=sparse([5, 7]),
                ducklake=refuses + "UNION(n BIGINT, t VARCHAR)")
    case.answer = sparse([0, 1])
    yield case


def sparse(ids):
    """A union of int64 and utf8; a null is a null number."""

    def make(values):
        texts = [isinstance(v, str) for v in values]
        types = pa.array([ids[t] for t in texts], pa.int8())
        numbers = pa.array([None if t else v for t, v in zip(texts, values)], pa.int64())
        words = pa.array([v if t else None for t, v in zip(texts, values)], pa.string())
        return pa.UnionArray.from_sparse(types, [numbers, words], ["n", "t"], ids)

    return make


def encoded():
    words = ["red", "", "größer", "longer than twelve bytes"]
    kinds = [("text", "utf8", pa.string(), words, "VARCHAR", pa.string()), ("large", "large_utf8", pa.large_string(), words, "VARCHAR", pa.string()),
             ("bytes", "binary", pa.binary(), [b"", b"\xff\0", b"\x01" * 20], "BLOB", pa.binary()), ("double", "float64", pa.float64(), [1.5, -0.25], "DOUBLE", pa.float64()),
             ("long", "int64", pa.int64(), [2**62, -1], "BIGINT", pa.int64()), ("flag", "bool", pa.bool_(), [True, False], "BOOLEAN", pa.bool_()),
             ("decimal", "decimal128(20, 2)", pa.decimal128(20, 2), [D("1.25"), D("-3.00")], "DECIMAL(20,2)", pa.decimal128(20, 2)),
             ("date", "date32", pa.date32(), [0, 20778], "DATE", pa.date32()), ("time", "timestamp[us]", pa.timestamp("us"), [0, 10**15], "TIMESTAMP", pa.timestamp("us")),
             ("fixed", "fixed_size_binary(3)", pa.binary(3), [b"abc", b"\0\0\0"], "BLOB", pa.binary())]
    for name, arrow, type_, values, duck, back in kinds:
        for index in ((pa.int8(), pa.uint16(), pa.int64(), pa.uint64()) if name == "text" else (pa.int32(),)):
            suffix = f"_{index}" if name == "text" else ""
            yield Case(f"dictionary_{name}{suffix}", f"dictionary<{index}, {arrow}>", pa.dictionary(index, type_), values, duck, back,
                       make=lambda v, i=index, t=type_: pa.array(v, t).dictionary_encode().cast(pa.dictionary(i, t)))
        for ends in ((pa.int16(), pa.int32(), pa.int64()) if name == "text" else (pa.int32(),)):
            suffix = f"_{ends}" if name == "text" else ""
            yield Case(f"runs_{name}{suffix}", f"run_end_encoded<{ends}, {arrow}>", pa.run_end_encoded(ends, type_), values, duck, back,
                       make=lambda v, e=ends, t=type_: pc.run_end_encode(pa.array(v, t), e))
    colour = pa.dictionary(pa.int8(), pa.string())
    yield Case("dictionary_in_list", "list<dictionary>", pa.list_(colour), [[], ["red", None, "blue"], ["red"] * 30], "VARCHAR[]", pa.list_(pa.string()))
    yield Case("dictionary_in_struct", "struct<dictionary>", pa.struct([("c", colour), ("n", pa.int8())]), [{"c": "red", "n": 1}, {"c": None, "n": 2}],
               "STRUCT(c VARCHAR, n TINYINT)", pa.struct([("c", pa.string()), ("n", pa.int8())]))


def refused():
    decimals = lambda: pa.array([D(1)], pa.decimal256(50, 2))
    yield Refused("decimal256", "decimal256", decimals, "decimal256(50, 2) cannot be stored: at most 38 digits in 128 bits can", "decimal128")
    dense = lambda: pa.UnionArray.from_dense(pa.array([0], pa.int8()), pa.array([0], pa.int32()), [pa.array([1])])
    yield Refused("dense_union", "dense_union", dense, "a dense union cannot be stored: send a sparse union", "a sparse union")
    yield Refused("empty_struct", "struct without fields", lambda: pa.array([{}], pa.struct([])), "a struct with 0 children", "a bool")
    lists = lambda: pa.DictionaryArray.from_arrays(pa.array([0, 0]), pa.array([[1], [2]]))
    yield Refused("dictionary_list", "dictionary of lists, structs, maps or unions", lists, "a dictionary of list cannot be stored: send the column plain", "the column plain")
    runs = lambda: pa.RunEndEncodedArray.from_arrays(pa.array([2], pa.int32()), pa.array([[1]]))
    yield Refused("runs_list", "run_end_encoded of lists, structs, maps, unions or dictionaries", runs, "run-end encoded list cannot be stored: send the column plain", "the column plain")
    views = lambda: pa.ListViewArray.from_arrays(pa.array([1, 0], pa.int32()), pa.array([1, 1], pa.int32()), pa.array([1, 2]))
    yield Refused("list_view_order", "list_view out of order", views, "the list at row 1 does not follow the one before: send a list", "a list")
    yield Refused("empty_list", "fixed_size_list(0)", lambda: pa.array([[]], pa.list_(pa.int8(), 0)), "a fixed size list of 0 elements: 1 to 100000 can be stored", "a list")
    yield Refused("empty_binary", "fixed_size_binary(0)", lambda: pa.array([b""], pa.binary(0)), "a fixed size binary of 0 bytes", "a binary")


CASES = [*integers(), *numbers(), *times(), *intervals(), *texts(), *nested(), *encoded()]
REFUSED = [*refused()]


# ---- docs/types.md

HEAD = """# Types

<!-- Made by tests/interop/arrow_types.py from the cases that tests/interop sends: do not edit. -->

What each Arrow type of a message becomes in a table, and what `tarn query --format arrow` gives back. Every row is tested:
written by pyarrow, sent through a broker, read by DuckDB and pyarrow; with nulls, in batches of 0 to 5,000 rows, plain and
compressed (LZ4, ZSTD), sliced, and nested where Arrow nests.

- A message is one Arrow IPC *stream*: a schema, dictionaries, record batches. Its columns are the table's by name, in any case
  and order; one that it does not have becomes NULL, one that the table does not have is added, and where the types differ the
  table's widens if every value stays the same (int32 to int64, float32 to float64, date32 to timestamp). int64 and uint64 do not
  go together: a type that holds both is rounded in Parquet files.
- What cannot be stored goes to quarantine (`tarn.quarantine`) with the reason, and the rest goes on.
- Where "DuckLake" says no, the backends `sqlite`, `postgres` and `duckdb`, whose data are Parquet files, refuse the type; the
  backend `file` takes it.

| Arrow type | DuckDB type | Arrow type of the answer | DuckLake | Notes |
|---|---|---|---|---|
"""

TAIL = """
## Refused

| Arrow type | Reason in quarantine | Send instead |
|---|---|---|
"""

REMARKS = """
## Values

- Text must be UTF-8, offsets and indices in their bounds, decimals within their digits, dates, times and timestamps within
  what DuckDB stores: one wrong value sends its message to quarantine. What lies under a null does not matter.
- NaN and the infinities stay what they are; -0.0 may come back as 0.0.
- Zoned timestamps are instants: the answer's zone is the session's, in microseconds.
- A dictionary's or run's values may be of any type that the table above has without children.
- Names are compared without case: two columns or fields `a` and `A` are refused, and so is an empty name.

## Answers: every type in every format

`tarn query --format` and the service give the same bytes; tests/interop/test_query_formats.py compares each with pyarrow,
DuckDB, pandas, polars and Python's csv and json. The rules hold wherever in a type another one stands (an ENUM in a list, a BIT
in a struct).

| DuckDB type | Arrow | Parquet | CSV | JSON, NDJSON |
|---|---|---|---|---|
| whole numbers up to 64 bits, FLOAT, DOUBLE, BOOLEAN, VARCHAR, BLOB, DATE, TIME, TIMESTAMP in its forms, TIME_NS, UUID, LIST, STRUCT, MAP | the table above | DuckDB's own | its text | number, boolean, text, list, object |
| DECIMAL | decimal128 | decimal | its text; DECIMAL(3,3) is `.123` | number; `0.123` |
| HUGEINT | decimal128(38, 0), also of 39 digits | decimal(38, 0); 39 digits are an error | its text | number |
| UHUGEINT | utf8 | utf8 | its text | number |
| ENUM | utf8 | utf8 | its text | text |
| BIT, BIGNUM, TIME WITH TIME ZONE | utf8, as DuckDB writes them | utf8 | its text | text |
| VARIANT | utf8, as DuckDB writes its value | utf8 | its text | text |
| INTERVAL | interval[month, day, nano], which polars has not | utf8 | its text | text |
| UNION | sparse_union, which pandas and polars have not | utf8 | its text | object of its member: `{"t":"x"}` |
| ARRAY | fixed_size_list | list | its text | list |
| JSON | utf8 | utf8 | its text | as it is, on one line; what is no JSON is a text |
| GEOMETRY | binary (WKB, geoarrow.wkb) | binary (WKB) | its text (WKT) | text |

- Texts are DuckDB's casts to VARCHAR, but for three doubles, 2^81, 2^91 and 2^807, which DuckDB 1.5.5 writes as other numbers:
  a DOUBLE column has them right. Inside lists and structs they are as DuckDB writes them.
- CSV (RFC 4180) has a header line and LF; NULL is empty, an empty text is `""`. NaN and the infinities are `nan`, `inf`, `-inf`.
- JSON has neither NaN nor Infinity: they are null, or what an endpoint's `nullAs` says, as NULL is. Two columns `a` become `a`
  and `a_2`. Numbers are written with all of their digits: a reader that makes doubles of them may lose some.
- An arrow.json value is stored as it comes, and DuckDB's cast to JSON takes more than RFC 8259 does (`[1,]`): in JSON and NDJSON
  what is none is a text, so that it can pass for nothing else.
- Zoned timestamps are Arrow instants in microseconds; as text they are in the session's zone.
- An answer that ends in an error has no end: no `]`, no end-of-stream marker of Arrow, no footer of Parquet.
"""


def arrow_name(type_):
    """As this page calls it."""
    if pa.types.is_map(type_):
        return f"map<{arrow_name(type_.key_type)}, {arrow_name(type_.item_type)}>"
    if pa.types.is_fixed_size_list(type_):
        return f"fixed_size_list<{arrow_name(type_.value_type)}>({type_.list_size})"
    if pa.types.is_list(type_):
        return f"list<{arrow_name(type_.value_type)}>"
    if pa.types.is_struct(type_):
        return "struct"
    if pa.types.is_union(type_):
        return f"sparse_union<{', '.join(arrow_name(type_.field(i).type) for i in range(type_.num_fields))}>"
    text = {"string": "utf8", "float": "float32", "double": "float64", "halffloat": "float16", "month_day_nano_interval": "interval[month, day, nano]",
            "date32[day]": "date32"}.get(str(type_), str(type_))
    return text.replace("tz=", "")


def page():
    lines, seen = [], set()
    for case in CASES:
        answer = case.back or case.type
        line = f"| {case.arrow} | `{case.duck}` | {arrow_name(answer)} | {'no' if case.ducklake else 'yes'} | {case.note} |"
        if line not in seen:
            lines.append(line)
        seen.add(line)
    return HEAD + "\n".join(lines) + "\n" + TAIL + "\n".join(f"| {r.arrow} | {r.reason} | {r.note} |" for r in REFUSED) + "\n" + REMARKS


if __name__ == "__main__":
    sys.stdout.write(page())
