"""ipc_corpus.py FOLDER: writes the seed corpus of the Arrow IPC decoder with pyarrow, the same bytes each time.

Every type of a few rows, with nulls, nested, compressed, in several batches, with dictionaries (delta and replaced), and
broken samples. Names beginning with "ok_" must decode; names beginning with "bad_" must be refused.
"""

import datetime
import decimal
import struct
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.ipc as ipc

ROWS = 11


def stream(batches, schema=None, **options):
    sink = pa.BufferOutputStream()
    with ipc.new_stream(sink, schema or batches[0].schema, options=ipc.IpcWriteOptions(**options)) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


def batch(**columns):
    return pa.record_batch(list(columns.values()), names=list(columns))


def with_nulls(make, type_):
    return pa.array([None if i % 4 == 2 else make(i) for i in range(ROWS)], type_)


def scalars():
    day = datetime.date(2026, 11, 21)
    at = datetime.datetime(2026, 11, 21, 10, 0, 0)
    text = ["", "a", "zwölf Zeichen", "日本語のテキスト", "longer than the twelve bytes of a view"]
    integers = [pa.int8(), pa.uint8(), pa.int16(), pa.uint16(), pa.int32(), pa.uint32(), pa.int64(), pa.uint64()]
    columns = {str(t): with_nulls(lambda i: i * 9, t) for t in integers}
    columns |= {str(t): with_nulls(lambda i: i / 4 - 1, t) for t in (pa.float16(), pa.float32(), pa.float64())}
    columns["bool"] = with_nulls(lambda i: i % 3 == 0, pa.bool_())
    columns["null"] = pa.nulls(ROWS)
    for t in (pa.decimal32(7, 2), pa.decimal64(15, 3), pa.decimal128(4, 1), pa.decimal128(30, 5), pa.decimal128(38, 0)):
        columns[str(t)] = with_nulls(lambda i: decimal.Decimal(i * 7 - 20), t)
    for t in (pa.date32(), pa.date64()):
        columns[str(t)] = with_nulls(lambda i: day + datetime.timedelta(i), t)
    for t in (pa.time32("s"), pa.time32("ms"), pa.time64("us"), pa.time64("ns")):
        columns[str(t)] = with_nulls(lambda i: datetime.time(i, 1, 2), t)
    for unit in ("s", "ms", "us", "ns"):
        columns["timestamp " + unit] = with_nulls(lambda i: at + datetime.timedelta(i), pa.timestamp(unit))
        columns["zoned " + unit] = with_nulls(lambda i: at + datetime.timedelta(i), pa.timestamp(unit, "Europe/Berlin"))
        columns["duration " + unit] = with_nulls(lambda i: datetime.timedelta(seconds=i), pa.duration(unit))
    columns["interval"] = with_nulls(lambda i: pa.MonthDayNano([i, i + 1, i * 1000]), pa.month_day_nano_interval())
    for t in (pa.string(), pa.large_string(), pa.string_view()):
        columns[str(t)] = with_nulls(lambda i: text[i % 5], t)
    for t in (pa.binary(), pa.large_binary(), pa.binary_view()):
        columns[str(t)] = with_nulls(lambda i: bytes([i, 255, 0]) * i, t)
    columns["fixed"] = with_nulls(lambda i: bytes([i] * 5), pa.binary(5))
    return columns


def nested():
    point = pa.struct([("x", pa.int32()), ("name", pa.string()), ("inner", pa.struct([("b", pa.bool_())]))])
    value = {"x": 1, "name": "ä", "inner": {"b": True}}
    columns = {
        "list": with_nulls(lambda i: list(range(i)), pa.list_(pa.int16())),
        "large_list": with_nulls(lambda i: ["é"] * i, pa.large_list(pa.string())),
        "fixed_list": with_nulls(lambda i: [i, None, i + 2], pa.list_(pa.float32(), 3)),
        "list_view": with_nulls(lambda i: list(range(i)), pa.list_view(pa.int32())),
        "struct": with_nulls(lambda i: value | {"x": i}, point),
        "structs": with_nulls(lambda i: [value] * (i % 3), pa.list_(point)),
        "map": with_nulls(lambda i: [(f"k{j}", j) for j in range(i % 4)], pa.map_(pa.string(), pa.int64())),
        "lists": with_nulls(lambda i: [[str(j)] * j for j in range(i % 4)], pa.list_(pa.list_(pa.string()))),
    }
    types = pa.array([0, 1] * 5 + [0], pa.int8())
    members = [pa.array(range(ROWS)), pa.array([str(i) for i in range(ROWS)])]
    columns["union"] = pa.UnionArray.from_sparse(types, members, ["n", "t"])
    ids = pa.array([5, 7] * 5 + [5], pa.int8())
    columns["union_ids"] = pa.UnionArray.from_sparse(ids, members, ["n", "t"], [5, 7])
    return columns


def encoded():
    indices = pa.array([None if i % 4 == 2 else i % 3 for i in range(ROWS)], pa.int8())
    values = {
        "text": pa.array(["red", "longer than twelve bytes", "größer"]),
        "view": pa.array(["red", "longer than twelve bytes", None], pa.string_view()),
        "number": pa.array([1.5, None, 3.5]),
        "flag": pa.array([True, False, None]),
        "fixed": pa.array([b"abc", b"def", b"ghi"], pa.binary(3)),
        "date": pa.array([1, 2, 3], pa.date32()),
    }
    columns = {"dictionary_" + name: pa.DictionaryArray.from_arrays(indices, v) for name, v in values.items()}
    columns["in_list"] = pa.ListArray.from_arrays(pa.array(range(ROWS), pa.int32()), columns["dictionary_text"])
    columns["in_list"] = pa.concat_arrays([columns["in_list"], columns["in_list"][:1]])
    for name in ("text", "number", "flag"):
        for width in (pa.int16(), pa.int32(), pa.int64()):
            runs = pa.RunEndEncodedArray.from_arrays(pa.array([3, 4, ROWS], width), values[name])
            columns[f"runs_{name}_{width}"] = runs
    return columns


def dictionaries():
    type_ = pa.dictionary(pa.int32(), pa.string())

    def one(words):
        return batch(word=pa.array(words, pa.string()).dictionary_encode().cast(type_))

    grown = [pa.DictionaryArray.from_arrays(pa.array(range(n), pa.int32()), pa.array([f"a word, number {i}" for i in range(n)])) for n in (2, 5, 9)]
    yield "ok_dictionary_replaced", stream([one(["a", "b"]), one(["c", None, "another, longer word"])])
    yield "ok_dictionary_delta", stream([batch(word=d) for d in grown], emit_dictionary_deltas=True)
    yield "ok_dictionary_delta_zstd", stream([batch(word=d) for d in grown], emit_dictionary_deltas=True, compression="zstd")
    under_null = pa.array([{"c": "red"}, None], pa.struct([("c", pa.dictionary(pa.int8(), pa.string()))]))
    yield "ok_dictionary_under_null", stream([batch(s=pa.array([None, None], under_null.type)), batch(s=under_null)])
    yield "bad_dictionary_list", stream([batch(d=pa.DictionaryArray.from_arrays(pa.array([0, 0]), pa.array([[1], [2]])))])


def extensions():
    schema = pa.schema([
        pa.field("id", pa.binary(16), metadata={"ARROW:extension:name": "arrow.uuid"}),
        pa.field("doc", pa.string(), metadata={"ARROW:extension:name": "arrow.json", "other": "x"}),
        pa.field("wrong", pa.string(), metadata={"ARROW:extension:name": "arrow.uuid"}),
    ])
    yield "ok_extensions", stream([pa.record_batch([pa.array([b"0123456789abcdef"], pa.binary(16)), ["{}"], ["x"]], schema=schema)])


def first_columns():
    """Columns that DuckDB would let go of too early, were they the first as they are."""
    text = pa.array([f"a text that is long enough, number {i}" for i in range(ROWS)])
    flags = pa.schema([pa.field("c", pa.int8(), metadata={"ARROW:extension:name": "arrow.bool8"}), ("t", pa.string())])
    yield "ok_first_null", stream([batch(c=pa.nulls(ROWS), t=text)])
    yield "ok_first_bool8", stream([pa.record_batch([pa.array([i % 3 for i in range(ROWS)], pa.int8()), text], schema=flags)])


def refused():
    yield "bad_file_format", file_format(batch(a=[1]))
    yield "bad_decimal256", stream([batch(a=pa.array([decimal.Decimal(1)], pa.decimal256(50, 2)))])
    yield "bad_dense_union", stream([batch(a=pa.UnionArray.from_dense(pa.array([0], pa.int8()), pa.array([0], pa.int32()), [pa.array([1])]))])
    yield "bad_empty_struct", stream([batch(a=pa.array([{}], pa.struct([])))])
    yield "bad_same_names", stream([pa.record_batch([[1], [2]], names=["Name", "name"])])
    yield "bad_empty_name", stream([pa.record_batch([[1]], names=[""])])
    yield "bad_list_view_order", stream([batch(a=pa.ListViewArray.from_arrays(pa.array([1, 0], pa.int32()), pa.array([1, 1], pa.int32()), pa.array([1, 2])))])
    for name, bad in (("start", [b"\xffabc", b"a"]), ("middle", [b"a", b"\xc3(", b"b"]), ("end", [b"a", b"abc\xe2\x82"]), ("cut", [b"\xc3", b"\xa4"])):
        for type_ in (pa.string(), pa.large_string(), pa.string_view()):
            storage = {pa.string(): pa.binary(), pa.large_string(): pa.large_binary(), pa.string_view(): pa.binary_view()}[type_]
            yield f"bad_utf8_{name}_{type_}", stream([batch(t=pa.array(bad, storage).view(type_))])
    dictionary = pa.DictionaryArray.from_arrays(pa.array([0, 5], pa.int8()), pa.array(["a"]), safe=False)
    yield "bad_dictionary_index", stream([batch(d=dictionary)])


def under_null():
    text = pa.StringArray.from_buffers(3, pa.py_buffer(bytes([0, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0])), pa.py_buffer(b"a\xff\xfeb"), pa.py_buffer(b"\x05"), 1)
    return stream([batch(t=text)])


def shared_children(depth):
    """A schema of maps whose keys and values are the same table: few bytes, 2**depth fields for who walks them all."""
    out = bytearray(4)

    def pad(size):
        out.extend(bytes(-len(out) % size))

    def table(fields, size):
        entries = max(fields) + 1
        while (len(out) + 4 + 2 * entries) % 8:
            out.append(0)
        vtable = len(out)
        out.extend(struct.pack("<HH", 4 + 2 * entries, size))
        for i in range(entries):
            out.extend(struct.pack("<H", fields.get(i, 0)))
        out.extend(struct.pack("<i", len(out) - vtable) + bytes(size - 4))
        return len(out) - size

    def refer(slots, to):
        for slot in slots:
            struct.pack_into("<I", out, slot, to - slot)

    def vector(count):
        pad(4)
        out.extend(struct.pack("<I", count) + bytes(4 * count))
        return len(out) - 4 - 4 * count

    def field(slots, type_type, children):
        at = table({0: 4, 2: 8, 3: 12, 5: 16}, 20)
        refer(slots, at)
        out[at + 8] = type_type
        refer([at + 4], vector(1))
        out[-4:] = b"f\0\0\0"
        refer([at + 12], table({0: 4, 1: 8}, 12))
        if type_type == 2:
            out[len(out) - 8] = 32
        below = vector(children)
        refer([at + 16], below)
        return [below + 4 + 4 * i for i in range(children)]

    message = table({0: 4, 1: 6, 2: 8, 3: 16}, 24)
    refer([0], message)
    out[message + 4], out[message + 6] = 4, 1
    schema = table({1: 4}, 8)
    refer([message + 8], schema)
    columns = vector(1)
    refer([schema + 4], columns)
    slots = [columns + 4]
    for _ in range(depth):
        slots = field(field(slots, 17, 1), 13, 2)
    field(slots, 2, 0)
    pad(8)
    return struct.pack("<Ii", 0xFFFFFFFF, len(out)) + bytes(out)


def bomb():
    """One compressed buffer that says it holds a terabyte."""
    data = stream([batch(a=pa.array([0] * 500, pa.int64()))], compression="zstd")
    at = data.index(struct.pack("<q", 4000))
    return data[:at] + struct.pack("<q", 1 << 40) + data[at + 8 :]


def file_format(one):
    sink = pa.BufferOutputStream()
    with ipc.new_file(sink, one.schema) as writer:
        writer.write_batch(one)
    return sink.getvalue().to_pybytes()


def samples():
    groups = {"scalars": scalars(), "nested": nested(), "encoded": encoded()}
    for name, columns in groups.items():
        whole = batch(**columns)
        yield f"ok_{name}", stream([whole])
        yield f"ok_{name}_batches", stream([whole, whole.slice(3, 5), whole.slice(0, 0)])
        for compression in ("lz4", "zstd"):
            yield f"ok_{name}_{compression}", stream([whole], compression=compression)
        yield f"ok_{name}_empty", stream([whole.slice(0, 0)])
        for column, values in columns.items():
            yield f"ok_{name}_{column.replace(' ', '_').replace('[', '_').replace(']', '').replace(', ', '_').replace('(', '_').replace(')', '')}", stream([batch(c=values)])
        data = stream([whole])
        for part in range(1, 8):
            yield f"bad_{name}_cut_{part}", data[: len(data) * part // 8 - 1]
        for part in range(1, 12):
            at = len(data) * part // 12
            yield f"flip_{name}_{part}", data[:at] + bytes([data[at] ^ (1 << part % 8)]) + data[at + 1 :]
    yield from dictionaries()
    yield from extensions()
    yield from first_columns()
    yield from refused()
    yield "ok_utf8_under_null", under_null()
    yield "ok_no_batches", stream([], schema=pa.schema([("a", pa.int32())]))
    yield "bad_trailing", stream([batch(a=[1])]) + b"\0" * 8
    yield "bad_two_streams", stream([batch(a=[1])])[:-8] + stream([batch(a=[1])])
    yield "bad_shared_children", shared_children(20)
    yield "bad_bomb", bomb()
    yield "bad_empty", b""
    yield "bad_json", b'{"a": 1, "b": "text"}'


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    total = 0
    for name, data in samples():
        (folder / name).write_bytes(data)
        total += len(data)
    print(f"{len(list(folder.iterdir()))} files, {total} bytes")


main()
