"""Files as a source: each is taken once, whole, and accounted for - whatever dies, changes, or is still being written."""

import json
import os
import re
import resource
import signal
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

import support
from instance import refusal
from proxy import Proxy
from support import BACKENDS, DONE, INPUT, LATER, LONG

POINTS = re.findall(r'^FAULT_POINT\(\w+, "([^"]+)"', (support.ROOT / "src/base/fault.def").read_text(), re.MULTILINE)
POINTS = [p for p in POINTS if not p.startswith(("resolve.", "once."))]  # those are of `tarn quarantine`, and of a broker
ENDINGS = {"json": "json", "arrow": "arrow", "parquet": "parquet"}


class Files:
    """A folder of files, and a lake that a stream of them fills."""

    def __init__(self, lake, format="json", settle="0s", poll="100ms", pattern=None, json_settings=None):
        self.lake, self.format = lake, format
        self.folder = lake.folder / "in"
        self.folder.mkdir(exist_ok=True)
        self.next_seq = 0
        documents = lake.documents
        source = {"files": pattern(lake) if callable(pattern) else pattern or f"in/*.{ENDINGS[format]}", "settle": settle, "poll": poll}

        def of_files(**changes):
            catalog, stream = documents(**changes)
            del stream["spec"]["kafka"]
            stream["spec"]["source"] = source
            stream["spec"]["format"] = format
            if json_settings:
                stream["spec"]["json"] = json_settings
            return [catalog, stream]

        lake.documents = of_files
        lake.manifest = lake.write()

    def path(self, name):
        return self.folder / name

    def batches(self, rows, batch_rows):
        for first in range(self.next_seq, self.next_seq + rows, batch_rows):
            count = min(batch_rows, self.next_seq + rows - first)
            yield pa.ipc.open_stream(support.events(first, count)).read_next_batch()

    def write(self, name, rows, batch_rows=5, **options):
        """A file of events (support.events), in the stream's format, in one rename; their sequence numbers."""
        temporary = self.path(f".{name}")
        first = self.next_seq
        batches = list(self.batches(rows, batch_rows))
        if self.format == "json":
            lines = [json.dumps(row, default=str) for batch in batches for row in batch.to_pylist()]
            temporary.write_text("".join(line + "\n" for line in lines))
        elif self.format == "parquet":
            pq.write_table(pa.Table.from_batches(batches, support.SCHEMA), temporary, row_group_size=options.get("row_group", 1000))
        else:
            opened = pa.ipc.new_file if options.get("file") else pa.ipc.new_stream
            with opened(str(temporary), support.SCHEMA, options=options.get("ipc")) as writer:
                for batch in batches:
                    writer.write_batch(batch)
        temporary.rename(self.path(name))
        self.next_seq += rows
        return list(range(first, self.next_seq))

    def register(self):
        """name -> (size, first offset, next offset), as another reader finds it."""
        rows = self.lake.read("SELECT name, size, first_offset, max(next_offset) FROM lake.tarn.files GROUP BY ALL ORDER BY 3")
        assert len({r[0] for r in rows}) == len(rows)
        return {Path(r[0]).name: r[1:] for r in rows}

    def assert_seqs(self, seqs, lag=0):
        """Each of them is one row, and nothing else is there; every byte of the way is accounted for."""
        answer = self.lake.verify(topic=True)
        assert answer["passed"] and answer["code"] == DONE, answer
        assert (answer["gaps"], answer["duplicates"]) == (0, 0)
        assert sum(lane["lag"] for lane in answer["lanes"]) == lag, answer
        found = [r[0] for r in self.lake.read("SELECT seq FROM lake.events ORDER BY seq")]
        assert found == sorted(seqs)
        return answer


@pytest.fixture
def make_files(make_lake):
    def make(backend="sqlite", format="json", **options):
        settings = {k: options.pop(k) for k in ["settle", "poll", "pattern", "json_settings"] if k in options}
        return Files(make_lake(backend, "", "", **options), format, **settings)

    return make


# ---- what is taken


@pytest.mark.parametrize("backend", BACKENDS)
def test_lines(make_files, backend):
    files = make_files(backend)
    seqs = files.write("b.json", 20) + files.write("a.json", 7)
    files.path("empty.json").write_text("")
    files.path("last-line-open.json").write_text('\r\n{"seq": 100}\r\n\n  \n{"seq": 101}')
    files.path("c.json.tmp").write_text('{"seq": 200}\n')
    files.path("_d.json").write_text('{"seq": 201}\n')
    files.path("folder.json").mkdir()
    files.path("none.txt").write_text("no\n")
    files.lake.once()
    files.assert_seqs(seqs + [100, 101])
    register = files.register()
    assert list(register) == ["a.json", "b.json", "empty.json", "last-line-open.json"], "in order of name"
    assert [r[1:] for r in register.values()] == [(0, 8), (8, 29), (29, 30), (30, 33)]
    # A second run takes nothing, and then only what is new.
    files.lake.once()
    assert len(files.register()) == 4
    seqs += files.write("z.json", 3)
    files.lake.once()
    files.assert_seqs(seqs + [100, 101])


def test_malformed_lines_name_their_place(make_files):
    files = make_files()
    files.path("a.json").write_text('{"seq": 1}\nno json\n\n{"seq": 2}\n[]\n')
    files.path("b.json").write_bytes(b'{"seq": "\xff"}\n{"seq": 3}\n')
    files.lake.once()
    files.assert_seqs([1, 2, 3])
    found = files.lake.quarantine()
    assert [(q["message_key"], json.loads(q["headers"]), q["payload"]) for q in found] == [
        (b"in/a.json", [["file", "in/a.json"], ["line", "2"]], b"no json"),
        (b"in/a.json", [["file", "in/a.json"], ["line", "5"]], b"[]"),
        (b"in/b.json", [["file", "in/b.json"], ["line", "1"]], b'{"seq": "\xff"}')]
    assert [q["offset"] for q in found] == [1, 3, 5]
    assert all(abs(q["message_time"].timestamp() - time.time()) < 86400 * 2 for q in found)


def test_columns_that_are_not_stored(make_files):
    """They are checked and scored, and the table is without them; an older table that has such a column keeps it, with nulls."""
    plan = {"name": "plan", "pointer": "/payload/plan", "enum": ["gold", "silver"]}
    bill = {"name": "bill", "pointer": "/payload/bill", "type": "decimal(10,2)", "required": True, "minimum": 0, "stored": False}
    columns = [{"name": "seq", "type": "bigint"}, {"name": "raw_payload", "pointer": "/payload", "type": "json"}, plan, bill]
    settings = {"columns": columns, "keep": {"score": "score", "reasons": "why"}}
    files = make_files(json_settings=settings)
    files.path("1.json").write_text('{"seq": 1, "payload": {"plan": "gold", "bill": 1.50}}\n{"seq": 2, "payload": {"bill": "n/a"}}\n')
    files.lake.once()
    assert [c[0] for c in files.lake.read("DESCRIBE lake.events")] == ["seq", "raw_payload", "plan", "score", "why"]
    plan["stored"] = False
    files.lake.manifest = files.lake.write()
    files.path("2.json").write_text('{"seq": 3, "payload": {"plan": "tin", "bill": -1}}\n')
    files.lake.once()
    assert files.lake.read("SELECT seq, raw_payload, plan, score, why FROM lake.events ORDER BY seq") == [
        (1, '{"plan": "gold", "bill": 1.50}', "gold", 100, []),
        (2, '{"bill": "n/a"}', None, 80, ["bill is a text ('n/a'), not a number with as many digits as its decimal holds"]),
        (3, '{"plan": "tin", "bill": -1}', None, 60, ["plan is none of its values ('tin')", "bill is out of range (-1): at least 0"])]
    # Without a score or reasons what breaks a rule goes to quarantine, whether its value would have been stored or not.
    del settings["keep"]
    files.lake.manifest = files.lake.write()
    files.path("3.json").write_text('{"seq": 4, "payload": {"plan": "gold"}}\n{"seq": 5, "payload": {"bill": 2}}\n')
    files.lake.once()
    assert [(q["reason"], q["payload"]) for q in files.lake.quarantine()] == [
        ("line 1, byte 0: bill is missing", b'{"seq": 4, "payload": {"plan": "gold"}}')]
    files.assert_seqs([1, 2, 3, 5])


def test_columns_evolve_across_files(make_files):
    files = make_files()
    files.path("1.json").write_text('{"seq": 1}\n')
    files.path("2.json").write_text('{"seq": 2, "name": "ä"}\n')
    files.lake.once()
    files.path("3.json").write_text('{"seq": 3, "name": 5}\n{"seq": 4, "more": [1]}\n')
    files.lake.once()
    assert files.lake.read("SELECT seq, name, more FROM lake.events ORDER BY seq") == [
        (1, None, None), (2, "ä", None), (4, None, "[1]")]
    assert [json.loads(q["headers"])[1] for q in files.lake.quarantine()] == [["line", "1"]]
    files.assert_seqs([1, 2, 4])


def test_a_row_that_the_table_refuses(make_files):
    """One line of a thousand, found by halving windows: the same offsets mean the same lines each time."""
    files = make_files()
    files.lake.write_sql("CREATE TABLE lake.main.events (seq BIGINT, day DATE)")
    lines = [json.dumps({"seq": i, "day": "2026-01-01"}) for i in range(1000)]
    lines[371] = json.dumps({"seq": 371, "day": "2026-99-99"})
    files.path("a.json").write_text("\n".join(lines[:500]) + "\n")
    files.path("b.json").write_text("\n".join(lines[500:]) + "\n")
    files.lake.once()
    files.assert_seqs([i for i in range(1000) if i != 371])
    (found,) = files.lake.quarantine()
    assert (json.loads(found["headers"]), found["payload"]) == ([["file", "in/a.json"], ["line", "372"]], lines[371].encode())


def test_a_thousand_small_files(make_files):
    files = make_files()
    seqs = []
    for i in range(1000):
        files.path(f"{i:04}.json").write_text(f'{{"seq": {2 * i}}}\n{{"seq": {2 * i + 1}}}\n')
        seqs += [2 * i, 2 * i + 1]
    process = files.lake.once()
    assert len(process.events("commit")) <= 10
    files.assert_seqs(seqs)
    assert len(files.register()) == 1000


def test_lines_longer_than_blocks(make_files):
    files = make_files()
    rows = [{"seq": i, "text": "x" * size} for i, size in enumerate([1, 3 << 20, 5, (1 << 20) - 25, 1 << 20, 0])]
    files.path("a.json").write_text("\n".join(map(json.dumps, rows)))
    files.lake.once()
    files.assert_seqs(range(6))
    assert files.lake.read("SELECT seq, len(text) FROM lake.events ORDER BY 1") == [(r["seq"], len(r["text"])) for r in rows]


# ---- when it is taken


def test_files_that_appear(make_files):
    files = make_files()
    process = files.lake.start("--listen", "127.0.0.1:0")
    process.wait_event("file_none")
    seqs = files.write("a.json", 3)
    process.wait_event("commit")
    seqs += files.write("b.json", 4)
    process.wait_event("commit", count=2)
    assert process.metric("tarn_files_committed_total") == 2 and process.metric("tarn_files_waiting") == 0
    assert process.metric("tarn_file_bytes_committed_total") == sum(p.stat().st_size for p in files.folder.glob("*.json"))
    assert process.get("/readyz")[0] == 200
    process.drain()
    files.assert_seqs(seqs)


def test_half_written(make_files):
    """Written slowly under its own name: taken once, whole, after it has settled."""
    files = make_files(settle="1s")
    process = files.lake.start()
    with open(files.path("slow.json"), "w") as out:
        for i in range(25):
            out.write(f'{{"seq": {i}, "te')
            out.flush()
            time.sleep(0.1)
            out.write('xt": 1}\n')
            out.flush()
        assert not process.events("file_taken")
    process.wait_event("commit")
    process.drain()
    files.assert_seqs(range(25))
    assert len(process.events("file_taken")) == 1 and not files.lake.quarantine()


def test_once_waits_for_a_writer(make_files):
    files = make_files(settle="500ms")
    path = files.path("a.json")
    path.write_text('{"seq": 0}\n')
    process = files.lake.start("--once")
    for i in range(1, 8):
        time.sleep(0.2)
        with open(path, "a") as out:
            out.write(f'{{"seq": {i}}}\n')
    assert process.wait() == DONE
    files.assert_seqs(range(8))


def test_other_content_under_a_name(make_files):
    files = make_files()
    path = files.path("a.json")
    path.write_text('{"seq": 1}\n')
    files.path("b.json").write_text('{"seq": 5}\n')
    files.lake.once()
    path.write_text('{"seq": 1}\n{"seq": 2}\n')
    files.path("b.json").write_text('{"seq": 6}\n')
    process = files.lake.start()
    assert {e["file"] for e in process.wait_event("file_changed", count=2)} == {"in/a.json", "in/b.json"}
    time.sleep(0.5)
    files.path("c.json").write_text('{"seq": 3}\n')
    process.wait_event("commit")
    process.drain()
    assert len(process.events("file_changed")) == 2, "said once"
    assert files.lake.read("SELECT seq FROM lake.events ORDER BY 1") == [(1,), (3,), (5,)]
    answer = files.lake.verify(topic=True)
    assert not answer["passed"] and "in/a.json has 22 bytes, and 11 when it was taken" in answer["lanes"][0]["problem"]
    assert files.lake.verify()["lanes"][0]["problem"] == answer["lanes"][0]["problem"]
    # The same content, written anew, is the same file; a copy under another name is another one.
    path.write_text('{"seq": 1}\n')
    files.path("b.json").write_text('{"seq": 5}\n')
    files.path("d.json").write_text('{"seq": 5}\n')
    process = files.lake.once()
    assert not process.events("file_changed")
    files.assert_seqs([1, 3, 5, 5])


@pytest.mark.parametrize("format", ENDINGS if LONG else ["json"])
def test_a_file_that_grew(make_files, format):
    """After it was taken, and no stream runs: verify says so, from the lake and a look at the file, and what to do."""
    files = make_files("sqlite", format)
    seqs = files.write(f"a.{format}", 3) + files.write(f"b.{format}", 3) + files.write(f"c.{format}", 3)
    files.lake.once()
    paths = [files.path(f"{name}.{format}") for name in "abc"]
    before = [path.read_bytes() for path in paths]
    size = len(before[0])
    paths[2].unlink()  # cleared away by whoever wrote it
    assert files.lake.verify()["passed"]
    with open(paths[0], "ab") as out:
        out.write(b'{"seq": 100}\n')
    answer = files.lake.verify()
    assert answer["code"] == support.NO and not answer["passed"]
    grown = f"in/a.{format} has {size + 13} bytes, and {size} when it was taken: what was added behind those is not read. Move it to a file "
    assert answer["lanes"][0]["problem"].startswith(grown)
    assert support.tarn("status", str(files.lake.manifest)).stdout.count("see tarn verify") == 1
    paths[1].write_bytes(b"short")
    answer = files.lake.verify()
    assert answer["lanes"][0]["problem"].startswith(grown) and "; 2 files have another size" in answer["lanes"][0]["problem"]
    paths[0].write_bytes(before[0])
    problem = files.lake.verify()["lanes"][0]["problem"]
    assert problem.startswith(f"in/b.{format} has 5 bytes, and ") and "what it holds now is not read" in problem
    paths[1].write_bytes(before[1])
    files.assert_seqs(seqs)


@pytest.mark.heavy
def test_an_unfinished_line_waits(make_files):
    """A writer that pauses in the middle of a line: nothing of the file is taken before the line has its end."""
    files = make_files()
    seqs = files.write("a.json", 3)
    half = files.path("b.json")
    half.write_text('{"seq": 100}\n{"seq": 101, "te')
    files.path("c.json").write_text('{"seq": 200}\nthe end')
    said = {"in/b.json": "its last line has no newline and is no complete JSON value: its writer has not ended it",
            "in/c.json": "its last line has no newline and is no complete JSON value: its writer has not ended it, or it lacks a newline"}
    process = files.lake.once()
    assert {e["file"]: e["reason"] for e in process.events("file_waiting")} == said
    files.assert_seqs(seqs, lag=2)
    assert "1 of 3" in support.tarn("status", str(files.lake.manifest)).stdout
    process = files.lake.start("--listen", "127.0.0.1:0")
    seqs += files.write("d.json", 3)
    process.wait_event("file_taken")
    support.eventually("two wait", lambda: process.metric("tarn_files_waiting") == 2)
    with open(half, "a") as out:
        out.write('xt": "later"}')
    support.eventually("it is whole", lambda: half.name in files.register() and files.register()[half.name][-1])
    files.assert_seqs(seqs + [100, 101], lag=1)
    with open(files.path("c.json"), "a") as out:
        out.write("\n")
    process.wait_event("file_taken", count=3)
    process.drain()
    files.assert_seqs(seqs + [100, 101, 200])
    assert [(q["payload"], json.loads(q["headers"])) for q in files.lake.quarantine()] == [
        (b"the end", [["file", "in/c.json"], ["line", "2"]])]


@pytest.mark.heavy
def test_a_line_that_is_too_long(make_files, record_property):
    """It is quarantined alone, with its beginning, and the lines behind it are read; also after a kill between them."""
    files = make_files(max_bytes="1Mi")
    rows = [json.dumps({"seq": i, "text": "x" * 1000}).encode() + b"\n" for i in range(4000)]
    with open(files.path("a.json"), "wb") as out:
        out.writelines(rows[:10])
        for _ in range(200):
            out.write(b"y" * (1 << 20))
        out.write(b"\n")
        out.writelines(rows[10:])
    files.lake.once(faults="commit.after:6:kill", expect=-signal.SIGKILL)
    files.lake.assert_consistent()
    process = files.lake.start("--once")
    support.eventually("it ends", lambda: process.rss() and not process.alive(), 60)
    record_property("rss_mb", process.peak_rss >> 20)
    assert process.wait() == DONE, process.tail()
    files.assert_seqs(range(4000))
    (found,) = files.lake.quarantine()
    assert json.loads(found["headers"]) == [["file", "in/a.json"], ["line", "11"]] and found["offset"] == 10
    assert found["reason"] == f"line 11 is longer than 64 MiB (the first 4194304 of {200 << 20} bytes are kept here)"
    assert found["payload"] == b"y" * (4 << 20)
    assert process.peak_rss < 300 << 20


def test_nothing_matches(make_files):
    files = make_files(pattern="nowhere/*.json")
    process = files.lake.once()
    assert len(process.events("file_none")) == 1
    files.lake.manifest = files.lake.write()
    assert files.lake.verify(topic=True)["table_rows"] == -1


def test_a_file_that_cannot_be_read(make_files):
    """The others are committed, and then the run says which one is missing."""
    files = make_files()
    seqs = files.write("a.json", 3)
    os.symlink("nowhere", files.path("b.json"))
    seqs += files.write("c.json", 3)
    (Path(os.fsdecode(os.fsencode(files.folder) + b"/\xff.json"))).write_text('{"seq": 77}\n')
    process = files.lake.once(expect=INPUT)
    assert {e["reason"] for e in process.events("file_waiting")} == {"it cannot be looked at", "its name is not UTF-8"}
    assert "in/b.json was not read" in process.text()
    files.assert_seqs(seqs, lag=2)
    os.unlink(os.fsencode(files.folder) + b"/\xff.json")
    files.path("b.json").unlink()
    seqs += files.write("b.json", 2)
    files.lake.once()
    files.assert_seqs(seqs)


def test_folder_moves_and_patterns_change(make_files):
    """A file is its name below the manifest's folder: neither a move of it all nor a wider pattern takes it again."""
    files = make_files("file", pattern="in/[ab].json")
    seqs = files.write("a.json", 3)
    files.lake.once()
    stream = files.lake.documents()[1]["spec"]["source"]
    stream["files"] = "in/*.json"
    moved = files.lake.folder.with_name("moved [x]*")
    files.lake.folder.rename(moved)
    files.lake.folder, files.folder = moved, moved / "in"
    files.lake.manifest = files.lake.write()
    seqs += files.write("c.json", 3)
    files.lake.once()
    files.assert_seqs(seqs)


# ---- what dies


@pytest.mark.heavy
def test_gone_or_changed_in_the_middle(make_files):
    """What the lake has a part of must be what it was: else nothing is read, and the run says why."""
    files = make_files(max_bytes="1Mi")
    rows = [json.dumps({"seq": i, "text": "x" * 1000}) for i in range(4000)]
    path = files.path("a.json")
    path.write_text("\n".join(rows))
    before = path.stat()
    process = files.lake.once(faults="commit.after:6:kill", expect=-signal.SIGKILL)
    files.lake.assert_consistent()
    taken = files.lake.read("SELECT count(*) FROM lake.events")[0][0]
    assert 0 < taken < 4000 and files.register()["a.json"][1:] == (0, None)
    content = path.read_text()
    path.write_text(content.replace("xxx", "yyy", 1))
    process = files.lake.once(expect=INPUT)
    assert "was changed after it was taken in part" in process.text()
    path.unlink()
    process = files.lake.once(expect=INPUT)
    assert "in/a.json cannot be opened" in process.text()
    assert files.lake.read("SELECT count(*) FROM lake.events")[0][0] == taken
    path.write_text(content)
    assert path.stat().st_mtime != before.st_mtime
    files.lake.once()
    files.assert_seqs(range(4000))
    assert files.register()["a.json"][1:] == (0, 4001)


def dies(lake, faults):
    process = lake.once(faults=faults, expect=None)
    code = process.process.returncode
    assert code in (-signal.SIGKILL, 0), f"{faults}: ended with {code}:\n{process.tail()}"
    return code != 0


@pytest.mark.heavy
@pytest.mark.parametrize("format", ["json", "arrow", "parquet"] if LONG else ["json"])
@pytest.mark.parametrize("backend", support.places("postgres", all=BACKENDS))
def test_kill_at_every_point(make_files, record_property, backend, format):
    files = make_files(backend, format)
    seqs, bad, kills, missed = [], 0, 0, []
    for nth in range(1, 6):
        for point in [p for p in POINTS if nth in support.turns(p)]:
            seqs += files.write(f"{len(seqs):05}.{ENDINGS[format]}", 8)
            seqs += files.write(f"{len(seqs):05}.{ENDINGS[format]}", 2)
            files.path(f"{len(seqs):05}-bad.{ENDINGS[format]}").write_text("no events\n" * 20)
            bad += 20 if format == "json" else 1
            if dies(files.lake, f"{point}:{nth}:kill"):
                kills += 1
            else:
                missed.append(f"{point}:{nth}")
            done = support.tarn("verify", str(files.lake.manifest), "--format", "json", environment=files.lake.environment)
            assert done.returncode in (DONE, INPUT), f"after {point}:{nth}: {done.stdout} {done.stderr}"
    files.lake.once()
    files.assert_seqs(seqs)
    assert len(files.lake.quarantine()) == bad
    assert kills >= len(POINTS), f"only {kills} kills; not passed: {missed}"
    record_property("kills", kills)


@pytest.mark.parametrize("backend", support.places("sqlite", all=BACKENDS))
def test_errors_at_every_point(make_files, backend):
    files = make_files(backend)
    seqs = files.write("first.json", 4)
    files.lake.once()
    points = [p for p in POINTS if p != "decode"]
    for i, group in enumerate([points[i::4] for i in range(4)] + [points]):
        seqs += files.write(f"{i}-a.json", 4) + files.write(f"{i}-b.json", 4)
        files.path(f"{i}-bad.json").write_text("no\n")
        files.lake.once(faults=",".join(f"{p}:{1 + (i + n) % 2}:error" for n, p in enumerate(group)))
    files.assert_seqs(seqs)
    assert len(files.lake.quarantine()) == 5


@pytest.mark.parametrize("load", [2, 3])
def test_the_lake_does_not_answer_on_the_way_back(make_files, load):
    """A commit fails in the middle of a file, and so does the question where to go on: no other file is read meanwhile."""
    files = make_files(max_bytes="1Mi", freshness="100ms")
    rows = [json.dumps({"seq": i, "text": "x" * 500}) for i in range(30000)]
    for name, part in (("a", rows[:29000]), ("b", rows[29000:29005]), ("c", rows[29005:])):
        files.path(f"{name}.json").write_text("\n".join(part) + "\n")
    files.lake.once(faults=f"commit.before:2:error,files.load:{load}:error")
    files.assert_seqs(range(30000))


@pytest.mark.heavy
@pytest.mark.parametrize("backend", support.places("sqlite", all=BACKENDS))
def test_kill_at_random_times(make_files, rng, backend):
    """A backfill of large files, killed again and again."""
    files = make_files(backend, freshness="100ms", max_bytes="1Mi")
    seqs = []
    for i in range(4):
        rows = [json.dumps({"seq": i * 20000 + k, "text": "x" * 200}) for k in range(20000)]
        files.path(f"{i}.json").write_text("\n".join(rows) + "\n")
        seqs += range(i * 20000, (i + 1) * 20000)
    for _ in range(20 if LONG else 3):
        process = files.lake.start()
        time.sleep(rng.uniform(0.3, 2.0))
        process.kill()
        done = support.tarn("verify", str(files.lake.manifest), environment=files.lake.environment)
        assert done.returncode in (DONE, INPUT), done.stdout
    files.lake.once(timeout_s=110)
    files.assert_seqs(seqs)


@pytest.mark.heavy
def test_a_signal_drains(make_files):
    files = make_files(max_bytes="1Mi")
    rows = [json.dumps({"seq": i, "text": "x" * 500}) for i in range(100000)]
    files.path("a.json").write_text("\n".join(rows))
    process = files.lake.start()
    process.wait_event("commit")
    process.drain()
    files.lake.assert_consistent()
    files.lake.once()
    files.assert_seqs(range(100000))


@pytest.mark.heavy
@pytest.mark.parametrize("turns", [3])
def test_two_processes(make_files, turns):
    """Both run the same stream on Postgres: each commit is one owner's, the other drops what it read and stands by."""
    files = make_files("postgres")
    first = files.lake.start()
    first.wait_event("lane_assigned")
    second = files.lake.start()
    second.wait_event("lane_assigned")
    seqs = []
    for turn in range(turns):
        for i in range(10):
            seqs += files.write(f"{turn}-{i}.json", 5)
        support.eventually("all are in the lake", lambda: files.lake.verify()["table_rows"] == len(seqs))
    assert len(first.events("conflict")) + len(second.events("conflict")) <= 2
    # Its owner dies, and the other one takes over.
    second.kill()
    seqs += files.write("last.json", 5)
    support.eventually("the other took over", lambda: files.lake.verify()["table_rows"] == len(seqs), timeout_s=60)
    first.drain()
    files.assert_seqs(seqs)


# ---- Arrow and Parquet


WORDS = ["alpha", "beta", "gamma", "delta ä"]


def arrow_file(path, opened, first, batches, rows, dictionaries=True, **options):
    """Batches of rows with a dictionary that grows; returns the sequence numbers."""
    schema = pa.schema([("seq", pa.int64()), ("word", pa.dictionary(pa.int16(), pa.string()) if dictionaries else pa.string())])
    temporary = path.with_name("." + path.name)
    with opened(str(temporary), schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        for b in range(batches):
            seqs = range(first + b * rows, first + (b + 1) * rows)
            words = WORDS[: 1 + b % len(WORDS)] if b < len(WORDS) else WORDS
            index = pa.array([s % len(words) for s in seqs], pa.int16())
            values = pa.DictionaryArray.from_arrays(index, pa.array(words))
            writer.write_batch(pa.record_batch([pa.array(seqs), values if dictionaries else values.dictionary_decode()], schema=schema))
    temporary.rename(path)
    return [(s, WORDS[s % min(1 + (s - first) // rows, len(WORDS))]) for s in range(first, first + batches * rows)]


@pytest.mark.parametrize("backend", BACKENDS)
def test_arrow(make_files, backend):
    files = make_files(backend, "arrow")
    rows = arrow_file(files.path("a.arrow"), pa.ipc.new_stream, 0, 6, 3000, emit_dictionary_deltas=True)
    rows += arrow_file(files.path("b.arrow"), pa.ipc.new_stream, 50000, 5, 10, compression="zstd")
    rows += arrow_file(files.path("c.arrow"), pa.ipc.new_file, 100000, 6, 2500, emit_dictionary_deltas=True, compression="zstd")
    rows += arrow_file(files.path("d.arrow"), pa.ipc.new_file, 200000, 3, 10, dictionaries=False, compression="lz4")
    with pa.ipc.new_file(str(files.path("e.arrow")), pa.schema([("seq", pa.int64())])):
        pass
    files.lake.once()
    files.assert_seqs([r[0] for r in rows])
    assert sorted(files.lake.read("SELECT seq, word FROM lake.events")) == sorted(rows)
    assert [r[1:] for r in files.register().values()] == [(0, 7), (7, 13), (13, 20), (20, 24), (24, 25)]
    assert files.lake.quarantine() == []


@pytest.mark.parametrize("backend", BACKENDS)
def test_parquet(make_files, backend):
    files = make_files(backend, "parquet")
    seqs = files.write("a.parquet", 40000, batch_rows=5000, row_group=7000) + files.write("b.parquet", 10)
    pq.write_table(pa.table({"seq": pa.array([], pa.int64())}), files.path("empty.parquet"))
    files.lake.once(timeout_s=90)
    files.assert_seqs(seqs)
    files.lake.assert_exactly_once(seqs)
    register = files.register()
    assert list(register) == ["a.parquet", "b.parquet", "empty.parquet"]
    assert register["a.parquet"][1:] == (0, 4), "three messages and an end"
    assert files.lake.quarantine() == []


@pytest.mark.heavy
def test_unfinished_arrow_and_parquet_wait(make_files, make_lake):
    """Settled, but without their ends: left until they have them, and nothing goes to quarantine."""
    for format in ["arrow", "parquet"]:
        files = make_files("sqlite", format)
        seqs = files.write(f"whole.{format}", 50, file=True)
        more = files.write(f"half.{format}", 50, file=True)
        content = files.path(f"half.{format}").read_bytes()
        files.path(f"half.{format}").write_bytes(content[:-9])
        third = []
        if format == "arrow":
            third = files.write("stream.arrow", 50)
            stream = files.path("stream.arrow").read_bytes()
            files.path("stream.arrow").write_bytes(stream[:-100])
        files.path(f"none.{format}").write_bytes(b"")
        process = files.lake.once()
        said = {e["file"]: e["reason"] for e in process.events("file_waiting")}
        assert said[f"in/half.{format}"] == "its footer is missing: its writer has not ended it"
        assert len(said) == (3 if format == "arrow" else 2)
        files.assert_seqs(seqs, lag=len(said))
        files.path(f"half.{format}").write_bytes(content)
        if format == "arrow":
            files.path("stream.arrow").write_bytes(stream)
        files.path(f"none.{format}").unlink()
        files.lake.once()
        files.assert_seqs(seqs + more + third)
        assert files.lake.quarantine() == []


def test_broken_parts(make_files):
    """A bad batch of a file with a footer is quarantined alone; of a stream, with what follows it."""
    files = make_files("sqlite", "arrow")
    schema = pa.schema([("seq", pa.int64()), ("text", pa.string())])

    def write(name, opened, first):
        with opened(str(files.path(name)), schema) as writer:
            for b in range(4):
                seqs = range(first + 10 * b, first + 10 * b + 10)
                writer.write_batch(pa.record_batch([pa.array(seqs), pa.array([f"text {s}" for s in seqs])], schema=schema))
        return bytearray(files.path(name).read_bytes())

    data = write("a-framing.arrow", pa.ipc.new_file, 0)
    starts = [m.start() for m in re.finditer(b"\xff\xff\xff\xff[^\0]\0\0\0", bytes(data))]
    data[starts[2]] = 0  # the head of the second batch
    files.path("a-framing.arrow").write_bytes(data)
    data = write("b-text.arrow", pa.ipc.new_stream, 100)
    at = bytes(data).index(b"text 115")
    data[at] = 0xFF  # no UTF-8, in the second batch
    files.path("b-text.arrow").write_bytes(data)
    data = write("c-stream.arrow", pa.ipc.new_stream, 200)
    starts = [m.start() for m in re.finditer(b"\xff\xff\xff\xff[^\0]\0\0\0", bytes(data))]
    data[starts[2]] = 0
    files.path("c-stream.arrow").write_bytes(data)
    files.path("d-none.arrow").write_text("this is no Arrow file, and it never will be")
    seqs = files.write("e.arrow", 0)
    files.lake.once()
    kept = [s for s in range(40) if s // 10 != 1] + [s for s in range(100, 140) if s // 10 != 11] + list(range(200, 210))
    files.assert_seqs(kept + seqs)
    found = [(json.loads(q["headers"]), q["reason"], len(q["payload"])) for q in files.lake.quarantine()]
    assert [f[0] for f in found] == [[["file", f"in/{name}.arrow"], ["batch", batch]] for name, batch in
                                     [("a-framing", "2"), ("b-text", "2"), ("c-stream", "2"), ("d-none", "1")]]
    assert "at byte" in found[0][1] and "0xFFFFFFFF is missing" in found[0][1]
    assert "text" in found[1][1] and found[2][2] == len(data) - starts[2] and found[3][2] == 43


def test_broken_parquet(make_files):
    files = make_files("sqlite", "parquet")
    seqs = files.write("a.parquet", 10)
    files.write("b.parquet", 20000)
    data = bytearray(files.path("b.parquet").read_bytes())
    data[4000:5000] = b"\0" * 1000
    files.path("b.parquet").write_bytes(data)
    files.path("c.parquet").write_text("this is no Parquet file, and it never will be")
    files.path("d.parquet").write_bytes(b"PAR1" + b"x" * 100 + b"PAR1")
    files.next_seq = 1000
    seqs += files.write("e.parquet", 10)
    files.lake.once()
    answer = files.lake.verify(topic=True)
    assert answer["passed"] and answer["lanes"][0]["lag"] == 0
    found = {json.loads(q["headers"])[0][1]: q for q in files.lake.quarantine()}
    assert set(found) == {"in/b.parquet", "in/c.parquet", "in/d.parquet"}
    assert found["in/c.parquet"]["payload"] == b"this is no Parquet file, and it never will be"
    assert set(seqs) <= {r[0] for r in files.lake.read("SELECT seq FROM lake.events")}


def test_parquet_that_cannot_be_opened_now(make_files):
    """No descriptor is left when DuckDB opens the file, which is hashed and registered: it is read later, not broken."""
    files = make_files("sqlite", "parquet")
    seqs = files.write("a.parquet", 10) + files.write("b.parquet", 40000, batch_rows=5000)
    process = files.lake.start(faults="file.taken:2:sleep=1500")
    process.wait_event("file_taken", count=2)
    taken = {int(name) for name in os.listdir(f"/proc/{process.pid}/fd")}
    limits = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (min(set(range(len(taken) + 1)) - taken), limits[1]))
    process.wait_event("files", where=lambda e: "Too many open files" in e["message"])
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, limits)
    support.eventually("the file is read", lambda: files.register().get("b.parquet", [None])[-1])
    process.drain()
    files.assert_seqs(seqs)
    assert files.lake.quarantine() == []


@pytest.mark.heavy
def test_evolution_of_arrow_and_parquet(make_files):
    for format in ["arrow", "parquet"]:
        files = make_files("sqlite", format)
        for i, columns in enumerate([{"seq": [1]}, {"seq": [2], "more": ["x"]}, {"seq": [3]}]):
            table = pa.table(columns)
            if format == "parquet":
                pq.write_table(table, files.path(f"{i}.parquet"))
            else:
                with pa.ipc.new_file(str(files.path(f"{i}.arrow")), table.schema) as writer:
                    writer.write_table(table)
        files.lake.once()
        assert files.lake.read("SELECT seq, more FROM lake.events ORDER BY 1") == [(1, None), (2, "x"), (3, None)]
        files.assert_seqs([1, 2, 3])


@pytest.mark.heavy
@pytest.mark.parametrize("backend", support.places("postgres", all=["sqlite", "postgres"]))
@pytest.mark.parametrize("format", ["arrow", "parquet"])
def test_killed_in_the_middle_of_columns(make_files, rng, backend, format):
    """Large files, killed at commits and at random: what was taken of a file is not taken again."""
    files = make_files(backend, format, freshness="100ms", max_bytes="1Mi")
    seqs = []
    for i in range(3):
        seqs += files.write(f"{i}.{format}", 60000, batch_rows=2000, file=i % 2 == 0, row_group=10000)
    for nth in [6, 2, 3]:
        files.lake.once(faults=f"commit.after:{nth}:kill", expect=-signal.SIGKILL, timeout_s=90)
        files.lake.assert_consistent()
    process = files.lake.start()
    time.sleep(rng.uniform(0.3, 1.5))
    process.kill()
    files.lake.once(timeout_s=110)
    files.lake.assert_exactly_once(seqs)


# ---- files elsewhere


def upload(s3, files, name):
    """Whole, as stores do it: an object is there when its upload is complete."""
    s3.put(files.lake.bucket, f"in/{name}", files.path(name).read_bytes())


@pytest.mark.heavy
@pytest.mark.parametrize("format", ["json", "arrow", "parquet"])
def test_object_store(s3, make_files, format):
    files = make_files("sqlite+s3", format, pattern=lambda lake: f"s3://{lake.bucket}/in/*.{format}", max_bytes="1Mi")
    names = [f"a.{format}", f"b ä.{format}"]
    seqs = files.write(names[0], {"json": 5000, "arrow": 20000, "parquet": 30000}[format], file=True) + files.write(names[1], 7)
    for name in names:
        upload(s3, files, name)
    files.lake.once(faults="commit.after:6:kill", expect=-signal.SIGKILL)
    files.lake.assert_consistent()
    files.lake.once()
    files.assert_seqs(seqs)
    assert [r[0] for r in files.lake.read("SELECT name FROM lake.tarn.files WHERE next_offset IS NOT NULL ORDER BY number")] == [
        f"s3://{files.lake.bucket}/in/{name}" for name in names]
    seqs += files.write(f"c.{format}", 3)
    upload(s3, files, f"c.{format}")
    files.lake.once()
    files.assert_seqs(seqs)


def test_no_object_store(s3, make_files):
    """It goes away: a run that was to end says so, and does."""
    files = make_files("sqlite+s3", pattern=lambda lake: f"s3://{lake.bucket}/in/*.json")
    files.lake.endpoint = "http://127.0.0.1:1"
    files.lake.manifest = files.lake.write()
    process = files.lake.once(expect=support.LATER, timeout_s=100)
    assert "127.0.0.1:1" in process.text()


class Keeper(Proxy):
    """In front of a store: whoever asks for that object is refused, so often, and need not try the same again."""

    def __init__(self, target, path, times):
        self.path, self.times = path, times
        super().__init__(target)

    def refuses(self, piece):
        return refusal(b"400 Bad Request") if self.path in piece.split(b"\r\n")[0] and self.refused < self.times else None


@pytest.mark.heavy
@pytest.mark.parametrize("times", [8, 10000])
def test_an_object_that_is_refused(s3, make_files, record_property, times):
    """For a while, and for good: a run that was to end reads it, or says that it did not; the others are committed."""
    files = make_files("sqlite+s3", pattern=lambda lake: f"s3://{lake.bucket}/in/*.json", poll="60s")
    seqs = [files.write(name, 5) for name in ["a.json", "b.json", "c.json"]]
    for name in ["a.json", "b.json", "c.json"]:
        upload(s3, files, name)
    keeper = Keeper(s3.host, b"/in/b.json", times)
    files.lake.endpoint = f"http://{keeper.address}"
    process = files.lake.once(expect=DONE if times < 100 else LATER)
    keeper.close()
    record_property("refused", keeper.refused)
    assert "fetching s3://" in process.text() and "/in/b.json" in process.text()
    # Without b, the end of c is not known to be the end of all: it is behind the last row, and not committed.
    files.assert_seqs(sum(seqs, []) if times < 100 else seqs[0] + seqs[2], lag=0 if times < 100 else 2)


def large_lines(seqs, text):
    return b"".join(b'{"seq": %d, "text": "%s"}\n' % (seq, text * 100000) for seq in seqs)


@pytest.mark.heavy
def test_an_object_larger_than_memory(s3, make_files, record_property):
    """It is copied in pieces: neither the stream's memory nor DuckDB's must hold it."""
    files = make_files("sqlite+s3", pattern=lambda lake: f"s3://{lake.bucket}/in/*.json", max_bytes="16Mi", memory="64Mi")
    s3.put(files.lake.bucket, "in/a.json", large_lines(range(3000), b"x"))
    s3.put(files.lake.bucket, "in/b.json", large_lines([3000], b"x"))
    process = files.lake.start("--once")
    support.eventually("it ends", lambda: process.rss() and not process.alive(), 90)
    record_property("rss_mb", process.peak_rss >> 20)
    assert process.wait() == DONE, process.tail()
    files.assert_seqs(range(3001))
    assert process.peak_rss < 300 << 20


class Meddler(Keeper):
    """Of that object the second piece, when it is asked for: refused so often, or something is done first."""

    def __init__(self, target, path, times=0, first=lambda: None):
        self.first = first
        super().__init__(target, path, times)

    def refuses(self, piece):
        if self.path not in piece.split(b"\r\n")[0] or b"bytes=8388608-" not in piece:
            return None
        self.first()
        return super().refuses(piece)


@pytest.mark.heavy
@pytest.mark.parametrize("times", [2, 10000])
def test_half_of_an_object_is_refused(s3, make_files, times):
    """For a while, and for good: as an object that is refused, and nothing is left of the half."""
    files = make_files("sqlite+s3", pattern=lambda lake: f"s3://{lake.bucket}/in/*.json", poll="60s")
    for i, name in enumerate("abc"):
        s3.put(files.lake.bucket, f"in/{name}.json", large_lines(range(120 * i, 120 * i + 120), b"x"))
    meddler = Meddler(s3.host, b"/in/b.json", times)
    files.lake.endpoint = f"http://{meddler.address}"
    process = files.lake.start("--once", manifest=files.lake.write("once.yaml"), environment={"TMPDIR": str(files.folder)})
    assert process.wait() == (DONE if times < 100 else LATER), process.tail()
    meddler.close()
    assert meddler.refused >= min(times, 3) and "/in/b.json" in process.text()
    files.assert_seqs(range(360) if times < 100 else [*range(120), *range(240, 360)], lag=0 if times < 100 else 2)
    assert not list(files.folder.glob("*"))


@pytest.mark.heavy
def test_an_object_that_is_replaced_while_it_is_copied(s3, make_files):
    """By one of the same size: what is taken is one of them, whole."""
    files = make_files("sqlite+s3", pattern=lambda lake: f"s3://{lake.bucket}/in/*.json", poll="100ms")
    s3.put(files.lake.bucket, "in/a.json", large_lines(range(250), b"x"))
    replaced = []

    def replace():
        if not replaced:
            s3.put(files.lake.bucket, "in/a.json", large_lines(range(250), b"y"))
            replaced.append(True)

    meddler = Meddler(s3.host, b"/in/a.json", first=replace)
    files.lake.endpoint = f"http://{meddler.address}"
    process = files.lake.once()
    meddler.close()
    assert replaced and "fetching s3://" in process.text()
    files.assert_seqs(range(250))
    assert files.lake.read("SELECT DISTINCT left(text, 1), right(text, 1) FROM lake.events") == [("y", "y")]
