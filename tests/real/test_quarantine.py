"""tarn quarantine: messages that were refused, listed, shown, replayed and discarded - each of them resolved once, and
`verify` adds up before and after."""

import base64
import itertools
import json
import signal
import threading
import time

import pyarrow as pa
import pytest

import support
from support import BACKENDS, DONE, INPUT, LONG, NO, OWNED, USAGE, attach
from test_json import json_lake, send

REPLAY_POINTS = ["begin.before", "begin.after", "resolve.removed", "resolve.noted", "insert.before", "insert.chunk", "insert.after",
                 "commit.before", "commit.after"]
DISCARD_POINTS = ["begin.after", "resolve.noted", "resolve.removed", "commit.before", "commit.after"]


def quarantine(lake, verb, *arguments, expect=DONE, manifest=None, **more):
    done = support.tarn("quarantine", verb, str(manifest or lake.manifest), *arguments, environment=lake.environment,
                        folder=lake.folder, **more)
    assert done.returncode == expect, f"quarantine {verb} {arguments} ended with {done.returncode}: {done.stdout} {done.stderr}"
    return done


def replay(lake, *arguments, expect=DONE, manifest=None):
    return json.loads(quarantine(lake, "replay", *arguments, "--format", "json", expect=expect, manifest=manifest).stdout)


def listed(lake, *arguments):
    return json.loads(quarantine(lake, "list", *arguments, "--format", "json").stdout)


def resolutions(lake, columns='"partition", "offset", "action", "rows"'):
    return lake.read(f'SELECT {columns} FROM lake.tarn.resolutions ORDER BY "partition", "offset"')


def adds_up(lake, rows, waiting, replayed=0, discarded=0, topic=True):
    """verify passes, and every figure is what it should be."""
    answer = lake.verify(topic=topic)
    assert answer["passed"] and answer["code"] == DONE, answer
    assert max(answer["table_rows"], 0) == rows, answer  # -1: nothing has made the table yet
    lanes = answer["lanes"]
    assert (sum(lane["replayed"] for lane in lanes), sum(lane["discarded"] for lane in lanes)) == (replayed, discarded), answer
    assert sum(lane["quarantined"] for lane in lanes) == waiting + replayed + discarded, answer
    status = json.loads(support.tarn("status", str(lake.manifest), "--format", "json", environment=lake.environment).stdout)[0]
    assert (status["quarantined"], status["in_quarantine"], status["state"]) == (waiting + replayed + discarded, waiting, "ok"), status
    assert lake.read("SELECT count(*), count(DISTINCT (topic_id, \"partition\", \"offset\")) FROM lake.tarn.quarantine") == [(waiting, waiting)]
    return answer


STRICT = {"columns": [{"name": "id", "type": "bigint", "required": True}, {"name": "n", "type": "integer"}]}
LENIENT = {"columns": [{"name": "id", "type": "bigint"}, {"name": "n", "type": "bigint"}]}


def mended(lake, settings, name="mended.yaml", **changes):
    """The manifest after its owner changed the columns; lake.manifest is that one from now on."""
    documents = lake.documents(**changes)
    documents[1]["spec"]["json"] = settings
    path = lake.folder / name
    path.write_text(support.yaml.safe_dump_all(documents))
    lake.documents = lambda **more: documents
    lake.manifest = path
    return path


def two_sorts(kafka, make_lake, backend, good=3, missing=4, wrong=2):
    """A lake with good messages, some without an id (which the mended manifest takes), and some that are no JSON."""
    topic = kafka.topic(2)
    producer = kafka.producer()
    lake = json_lake(make_lake, backend, kafka, topic, STRICT)
    for i in range(good):
        send(producer, topic, {"id": i, "n": i}, partition=i % 2)
    for i in range(missing):
        producer.raw(topic, json.dumps({"n": 100 + i}), partition=i % 2, key=b"k\xff", headers=[("h", b"v")])
    for i in range(wrong):
        producer.raw(topic, b'{"id": \xff', partition=i % 2, timestamp=1_700_000_000_123)
    producer.flush()
    lake.once()
    return lake


@pytest.mark.parametrize("backend", support.places("duckdb", "postgres", all=BACKENDS))
def test_a_life_in_quarantine(kafka, make_lake, backend):
    """Listed, shown, replayed after the manifest was mended; what is still refused stays, until it is discarded."""
    lake = two_sorts(kafka, make_lake, backend)
    adds_up(lake, 3, 6)
    found = listed(lake)
    assert len(found) == 6
    assert [q["quarantined_at"] for q in found] == sorted((q["quarantined_at"] for q in found), reverse=True)
    assert len(listed(lake, "--reason", "id is missing")) == 4 and len(listed(lake, "--reason", "line N, byte N: id")) == 4
    assert len(listed(lake, f"{lake.topic}/1")) == 3 and len(listed(lake, lake.topic, "--limit", "2")) == 2
    assert len(listed(lake, "--since", "1h")) == 6 and listed(lake, "--stream", "other") == []
    totals = listed(lake, "--summary")
    assert [t["messages"] for t in totals] == [4, 2] and totals[0]["reason"] == "line N, byte N: id is missing"
    # Nothing was mended: nothing changes.
    assert replay(lake, "--all", expect=NO)["left"] == 6
    adds_up(lake, 3, 6)
    mended(lake, LENIENT)
    tried = replay(lake, "--all", "--dry-run", expect=NO)
    assert (tried["replayed"], tried["rows"], tried["left"], tried["dry_run"]) == (4, 4, 2, True), tried
    adds_up(lake, 3, 6)
    done = replay(lake, "--all", expect=NO)
    assert (done["messages"], done["replayed"], done["rows"], done["left"], done["gone"]) == (6, 4, 4, 2, 0), done
    assert [m["reason"].startswith("line 1, byte 7") for m in done["messages_left"]] == [True, True], done
    assert sorted(lake.read("SELECT id, n FROM lake.events WHERE id IS NULL ORDER BY n")) == [(None, 100 + i) for i in range(4)]
    adds_up(lake, 7, 2, replayed=4)
    assert replay(lake, "--reason", "id is missing")["messages"] == 0
    assert replay(lake, "--all", expect=NO)["messages"] == 2
    # Discarded for good, with the reason.
    assert json.loads(quarantine(lake, "discard", "--all", "--dry-run", "--format", "json").stdout) == {"discarded": 2, "dry_run": True}
    adds_up(lake, 7, 2, replayed=4)
    assert "2 messages were discarded" in quarantine(lake, "discard", "--all", "--because", "it's no JSON").stdout
    adds_up(lake, 7, 0, replayed=4, discarded=2)
    assert resolutions(lake, '"action", "rows", reason, because, table_name').count(
        ("replayed", 1, "line 1, byte 0: id is missing", None, "main.events")) == 4
    assert {r[0] for r in lake.read("SELECT because FROM lake.tarn.resolutions WHERE \"action\" = 'discarded'")} == {"it's no JSON"}
    assert "nothing in quarantine matches" in quarantine(lake, "discard", "--all", "--because", "x").stdout
    assert "nothing in quarantine matches" in quarantine(lake, "replay", "--all").stdout
    assert listed(lake) == []


# ---- the command line


def test_without_a_choice_nothing_is_done(kafka, make_lake):
    lake = two_sorts(kafka, make_lake, "sqlite")
    for verb, arguments, told, code in [
        ("replay", [], "say which messages: places (TOPIC/P:OFFSET), --stream, --reason or --since would be right, or --all", USAGE),
        ("discard", ["--because", "x"], "say which messages", USAGE),
        ("discard", ["--all"], "say why these messages are discarded", USAGE),
        ("replay", ["--all", "--stream", "events"], "--all is every message, and there is a choice beside it", USAGE),
        ("replay", ["t/x:1"], "'t/x:1' is no place of a message: TOPIC, TOPIC/PARTITION or TOPIC/PARTITION:OFFSET", USAGE),
        ("replay", ["t/0:-1"], "'t/0:-1' is no place", USAGE),
        ("replay", ["t/0:9223372036854775808"], "is no place", USAGE),
        ("show", [], "say which message: tarn quarantine show FILE TOPIC/P:OFFSET", USAGE),
        ("show", ["t/0"], "'t/0' is no place of a message: TOPIC/PARTITION:OFFSET", USAGE),
        ("show", ["t/0:1", "--all"], "quarantine show has no option --all", USAGE),
        ("list", ["--because", "x"], "quarantine list has no option --because", USAGE),
        ("replay", ["--all", "--format", "csv"], "quarantine replay has no --format csv", USAGE),
        ("lsit", [], "'lsit' is nothing to do: list, show, replay or discard would be right", USAGE),
        ("show", [f"{lake.topic}/0:0"], f"{lake.topic}/0:0 is not in quarantine", INPUT),
        ("list", ["--catalog", "other"], "it has no catalog 'other'", INPUT),
    ]:
        done = quarantine(lake, verb, *arguments, expect=code)
        assert told in done.stderr and not done.stdout, (verb, arguments, done.stdout, done.stderr)
    adds_up(lake, 3, 6)
    # A lake that is not there is not made by who only wants to replay.
    nowhere = lake.documents()
    nowhere[0]["spec"]["backend"]["path"] = "nowhere.sqlite"
    (lake.folder / "nowhere.yaml").write_text(support.yaml.safe_dump_all(nowhere))
    done = quarantine(lake, "replay", "--all", manifest=lake.folder / "nowhere.yaml", expect=INPUT)
    assert "there is no lake at" in done.stderr and not (lake.folder / "nowhere.sqlite").exists()


def test_show_prints_all_that_is_known(kafka, make_lake):
    topic = kafka.topic()
    producer = kafka.producer()
    lake = json_lake(make_lake, "sqlite", kafka, topic, STRICT)
    binary = bytes(range(256)) * 40
    producer.raw(topic, b'{"n": 1,\n "s": "\x7f[31m\xc3\xa4"}', key=b"k\xff", headers=[("h", b"v"), ("b", b"\xff")], timestamp=1_700_000_000_123)
    producer.raw(topic, binary, key="ä")
    producer.raw(topic, None, key="gone")
    producer.flush()
    lake.once()
    text = quarantine(lake, "show", f"{topic}/0:0").stdout
    for part in [f"message       {topic}/0:0\n", "stream        events\n", "for table     main.events\n", "message time  2023-11-14T22:13:20.123Z\n",
                 "key           6bff (hexadecimal)\n", 'headers       [["h","v"],["b","base64:/w=="]]\n', "payload       25 bytes\n\n",
                 '{"n": 1,\n "s": "\\x7f[31mä"}\n']:
        assert part.lower() in text.lower(), (part, text)
    assert "\x7f" not in text
    text = quarantine(lake, "show", f"{topic}/0:1").stdout
    assert "key           ä\n" in text and "10,240 bytes, not UTF-8 text\n" in text, text
    assert "00000010  10 11 12 13 14 15 16 17  18 19 1a 1b 1c 1d 1e 1f  |................|\n" in text
    assert "... 6,144 more bytes: --payload writes all of them" in text
    assert "payload       none: the message is a tombstone\n" in quarantine(lake, "show", f"{topic}/0:2").stdout
    raw = support.subprocess.run([support.TARN, "quarantine", "show", str(lake.manifest), f"{topic}/0:1", "--payload"], capture_output=True)
    assert raw.returncode == DONE and raw.stdout == binary
    assert "it is a tombstone" in quarantine(lake, "show", f"{topic}/0:2", "--payload", expect=INPUT).stderr
    found = json.loads(quarantine(lake, "show", f"{topic}/0:0", f"{topic}/0:1", "--format", "json").stdout)
    assert [f["offset"] for f in found] == [0, 1] and base64.b64decode(found[1]["payload_base64"]) == binary and found[1]["payload"] is None
    assert found[0]["headers"] == [["h", "v"], ["b", "base64:/w=="]] and found[0]["key"] is None and found[1]["key"] == "ä"
    assert "2 messages" in quarantine(lake, "show", f"{topic}/0:0", f"{topic}/0:1", "--payload", expect=INPUT).stderr
    # What became of one that is gone.
    mended(lake, LENIENT)
    replay(lake, f"{topic}/0:0")
    quarantine(lake, "discard", f"{topic}/0:2", "--because", "a test")
    assert f"{topic}/0:0 is not in quarantine: it was replayed into main.events (1 row) at 20" in quarantine(lake, "show", f"{topic}/0:0", expect=INPUT).stderr
    assert "it was discarded (a test) at 20" in quarantine(lake, "show", f"{topic}/0:2", expect=INPUT).stderr
    adds_up(lake, 1, 1, replayed=1, discarded=1)
    text = quarantine(lake, "list").stdout
    assert f"{topic}/0:1" in text and "In all, by reason" in text, text
    assert quarantine(lake, "list", "--format", "csv").stdout.splitlines()[0].startswith("stream,topic,topic_id,partition,offset,table_name,")


# ---- Arrow


def message(**columns):
    return support.ipc(pa.record_batch(list(columns.values()), names=list(columns)))


@pytest.mark.parametrize("backend", support.places("postgres", all=BACKENDS))
def test_arrow_messages_of_many_schemas(kafka, make_lake, backend):
    """Columns that the table could not take until its owner changed it; columns that are new; rows that DuckDB refuses, alone."""
    topic = kafka.topic(2)
    producer = kafka.producer()
    lake = make_lake(backend, kafka.address, topic)
    lake.write_sql("CREATE TABLE lake.events (seq BIGINT, u VARCHAR NOT NULL)")
    for i in range(40):
        # Every second one has text where the table has numbers, of two schemas; one of them has a null where none may be.
        u = pa.array([str(i), None if i == 21 else "u"])
        seq = pa.array([str(2 * i), str(2 * i + 1)])
        if i % 4 == 1:
            producer.raw(topic, message(seq=seq, u=u), partition=i % 2)
        elif i % 4 == 3:
            producer.raw(topic, message(seq=seq, u=u, more=pa.array([i, None], pa.int32())), partition=i % 2)
        else:
            producer.raw(topic, message(seq=pa.array([2 * i, 2 * i + 1]), u=u), partition=i % 2)
    producer.raw(topic, b"no arrow", partition=0)
    producer.flush()
    lake.once()
    adds_up(lake, 40, 21)
    before = replay(lake, "--all", expect=NO)
    assert before["left"] == 21 and before["replayed"] == 0, before
    # DuckLake makes no text of a number: a table with text takes the other's place.
    lake.write_sql("CREATE TABLE lake.other (seq VARCHAR, u VARCHAR NOT NULL)", "INSERT INTO lake.other FROM lake.events",
                   "DROP TABLE lake.events", "ALTER TABLE lake.other RENAME TO events")
    done = replay(lake, "--all", expect=NO)
    assert (done["replayed"], done["rows"], done["left"]) == (19, 38, 2), done
    reasons = {m["offset"]: m["reason"] for m in done["messages_left"] if m["partition"] == 1}
    assert len(reasons) == 1 and "NOT NULL" in reasons[10], done
    adds_up(lake, 78, 2, replayed=19)
    assert lake.read("SELECT count(DISTINCT seq), count(more), sum(more) FROM lake.events") == [(78, 10, sum(range(3, 40, 4)))]
    assert replay(lake, f"{topic}/1:10", expect=NO)["left"] == 1
    quarantine(lake, "discard", topic, "--because", "done")
    adds_up(lake, 78, 0, replayed=19, discarded=2)


@pytest.mark.parametrize("backend", support.places("sqlite", all=["sqlite", "postgres"]))
def test_inferred_columns_that_the_table_refuses(kafka, make_lake, backend):
    """What DuckDB refuses of many is found by halves; columns that the table has not are added with the rows."""
    topic = kafka.topic()
    producer = kafka.producer()
    lake = json_lake(make_lake, backend, kafka, topic)
    lake.write_sql("CREATE TABLE lake.events (id BIGINT NOT NULL, u UUID)")
    bad = {30, 31, 39}
    for i in range(40):
        producer.raw(topic, json.dumps(({} if i in bad else {"id": i}) | {"u": "no uuid", f"new{i % 3}": i}))
    producer.raw(topic, json.dumps({"id": 40, "u": "00000000-0000-0000-0000-000000000000"}))
    producer.flush()
    lake.once()
    adds_up(lake, 1, 40)
    assert replay(lake, "--all", expect=NO)["left"] == 40
    lake.write_sql("CREATE TABLE lake.other (id BIGINT NOT NULL, u VARCHAR)", "INSERT INTO lake.other SELECT id, u FROM lake.events",
                   "DROP TABLE lake.events", "ALTER TABLE lake.other RENAME TO events")
    done = replay(lake, "--all", expect=NO)
    assert (done["replayed"], done["rows"], sorted(m["offset"] for m in done["messages_left"])) == (37, 37, sorted(bad)), done
    adds_up(lake, 38, 3, replayed=37)
    assert lake.read("SELECT count(DISTINCT id), count(new0), count(new1), count(new2) FROM lake.events") == [(38, 12, 12, 13)]


# ---- many


def many(kafka, make_lake, backend, count, partitions=4, **more):
    topic = kafka.topic(partitions)
    producer = kafka.producer()
    lake = json_lake(make_lake, backend, kafka, topic, STRICT, **more)
    for i in range(count):
        producer.raw(topic, json.dumps({"n": i, "text": "x" * 200}), partition=i % partitions)
    producer.flush()
    lake.once()
    adds_up(lake, 0, count)
    return lake


@pytest.mark.parametrize("backend", support.places("sqlite", all=BACKENDS))
def test_five_thousand_messages(kafka, make_lake, record_property, backend):
    lake = many(kafka, make_lake, backend, 5000)
    mended(lake, LENIENT)
    started = time.monotonic()
    done = replay(lake, "--all")
    took = time.monotonic() - started
    assert (done["messages"], done["replayed"], done["rows"], done["left"], done["commits"]) == (5000, 5000, 5000, 0, 5), done
    assert took < 30, took
    record_property("seconds", round(took, 1))
    assert lake.read("SELECT count(*), count(DISTINCT n), sum(n) FROM lake.events") == [(5000, 5000, 5000 * 4999 // 2)]
    adds_up(lake, 5000, 0, replayed=5000)
    assert replay(lake, "--all")["messages"] == 0


# ---- faults


def bad_messages(lake, producer, number):
    first = next(number)
    for i in range(6):
        producer.raw(lake.topic, json.dumps({"n": first * 10 + i}), partition=i % 2)
    producer.flush()
    lake.once()


@pytest.mark.parametrize("backend", support.places("postgres", all=BACKENDS))
def test_killed_at_every_point(kafka, make_lake, record_property, backend):
    """All of a portion or nothing: after each kill verify adds up, and the next replay does what is left."""
    topic = kafka.topic(2)
    producer = kafka.producer()
    lake = json_lake(make_lake, backend, kafka, topic, STRICT)
    lenient = mended(lake, LENIENT, "lenient.yaml")
    mended(lake, STRICT, "strict.yaml")
    strict, number, messages, kills = lake.manifest, itertools.count(), 0, 0
    for point in REPLAY_POINTS:
        for nth in [1, 2, 3] if LONG else [1]:
            bad_messages(lake, producer, number)
            messages += 6
            lake.manifest = lenient
            process = support.Process(["quarantine", "replay", str(lenient), "--all"], lake.folder, f"{point}:{nth}:kill", lake.environment)
            code = process.wait()
            assert code in (-signal.SIGKILL, DONE), process.tail()
            kills += code != DONE
            lake.assert_consistent()
            replay(lake, "--all")
            lake.manifest = strict
            assert lake.read("SELECT count(*), count(DISTINCT n) FROM lake.events") == [(messages, messages)], f"{point}:{nth}"
            adds_up(lake, messages, 0, replayed=messages)
    record_property("kills", kills)
    assert kills >= len(REPLAY_POINTS)


@pytest.mark.parametrize("backend", support.places("postgres", all=["sqlite", "postgres"]))
@pytest.mark.parametrize("action", ["kill", "error"])
def test_discard_fails_at_every_point(kafka, make_lake, backend, action):
    topic = kafka.topic(2)
    producer = kafka.producer()
    lake = json_lake(make_lake, backend, kafka, topic, STRICT)
    number, messages = itertools.count(), 0
    for point in DISCARD_POINTS:
        bad_messages(lake, producer, number)
        messages += 6
        process = support.Process(["quarantine", "discard", str(lake.manifest), "--all", "--because", point], lake.folder,
                                  f"{point}:{2 if messages == 6 and point[0] in 'bc' else 1}:{action}", lake.environment)
        assert process.wait() == (-signal.SIGKILL if action == "kill" else DONE), process.tail()
        lake.assert_consistent()
        quarantine(lake, "discard", "--all", "--because", "again")
        answer = lake.verify()
        assert answer["passed"] and sum(lane["discarded"] for lane in answer["lanes"]) == messages, (point, answer)
    assert lake.read("SELECT count(*), count(DISTINCT (\"partition\", \"offset\")) FROM lake.tarn.resolutions") == [(messages, messages)]


@pytest.mark.parametrize("backend", support.places("file", all=BACKENDS))
def test_errors_are_tried_again(kafka, make_lake, backend):
    """One error at each point, also behind a COMMIT that succeeded: the lake is asked, and each row comes once."""
    lake = many(kafka, make_lake, backend, 300)
    mended(lake, LENIENT)
    done = 0
    for i, point in enumerate(REPLAY_POINTS[2:]):
        faults = f"{point}:{2 if i == 0 and point[0] in 'bc' else 1}:error"
        process = support.Process(["quarantine", "replay", str(lake.manifest), "--format", "json", *(f"{lake.topic}/{p}:{i}" for p in range(4))],
                                  lake.folder, faults, lake.environment)
        assert process.wait() == DONE, process.tail()
        answer = json.loads(process.out_path.read_text())
        assert (answer["replayed"], answer["rows"], answer["left"], answer["gone"]) == (4, 4, 0, 0), (point, answer)
        done += 4
        adds_up(lake, done, 300 - done, replayed=done)
    assert lake.read("SELECT count(*), count(DISTINCT n) FROM lake.events") == [(done, done)]


def wait_stopped(process):
    """SIGSTOP by a fault point."""
    support.eventually("it stops", lambda: open(f"/proc/{process.pid}/stat").read().rsplit(")", 1)[1].split()[0] == "T")


def test_interrupted(kafka, make_lake):
    """The transaction that runs is finished, and told; the rest stays for the next time."""
    lake = many(kafka, make_lake, "file", 2500)
    mended(lake, LENIENT)
    process = support.Process(["quarantine", "replay", str(lake.manifest), "--all", "--format", "json"], lake.folder, "insert.before:1:stop")
    wait_stopped(process)
    process.send(signal.SIGINT)
    process.send(signal.SIGCONT)
    assert process.wait() == support.INTERRUPTED, process.tail()
    answer = json.loads(process.out_path.read_text())
    assert (answer["messages"], answer["replayed"], answer["left"]) == (2500, 1000, 0), answer
    adds_up(lake, 1000, 1500, replayed=1000)
    assert replay(lake, "--all")["replayed"] == 1500
    adds_up(lake, 2500, 0, replayed=2500)


# ---- beside others


def test_the_trap_of_two_deletes(kafka, make_lake):
    """Why the turn is raised (lake/resolve.h): two transactions that delete the same rows of a file that has deletions
    already both commit. Should this ever fail, DuckLake sees it, and the turn is one guard more than needed."""
    lake = many(kafka, make_lake, "postgres", 40)
    delete = 'DELETE FROM lake.tarn.quarantine WHERE "partition" = {} AND "offset" = {}'
    one, two = (attach(lake.target, f"(DATA_PATH '{lake.folder}/data')") for _ in range(2))
    one.execute(delete.format(1, 0))  # of the same commit, and so of the same file, as the one below
    for con in one, two:
        con.execute("BEGIN")
        assert con.execute(delete.format(1, 1)).fetchall() == [(1,)]
    for con in one, two:
        con.execute("COMMIT")
        con.close()


def test_a_running_stream_keeps_its_catalog(kafka, make_lake):
    lake = two_sorts(kafka, make_lake, "sqlite")
    mended(lake, LENIENT)
    process = lake.start()
    process.wait_event("lane_assigned")
    for verb, arguments in [("replay", ["--all"]), ("discard", ["--all", "--because", "x"])]:
        done = quarantine(lake, verb, *arguments, expect=OWNED)
        assert f"is already written by another tarn (process {process.pid})" in done.stderr, done.stderr
    # Looking is free.
    assert len(listed(lake)) == 6 and replay(lake, "--all", "--dry-run", expect=NO)["replayed"] == 4
    process.drain()
    assert replay(lake, "--all", expect=NO)["replayed"] == 4
    adds_up(lake, 7, 2, replayed=4)


@pytest.mark.parametrize("point", support.places("commit.before", all=["resolve.removed", "insert.after", "commit.before"]))
def test_one_of_two_replays_that_meet_loses(kafka, make_lake, point):
    """A replay that stops before its COMMIT while another replays the same: it finds them gone."""
    lake = many(kafka, make_lake, "postgres", 40)
    mended(lake, LENIENT)
    # Twice, with files that have deletions before: DuckLake itself does not see that two delete from such a file.
    replay(lake, f"{lake.topic}/0:0")
    replay(lake, f"{lake.topic}/1:0")
    paused = support.Process(["quarantine", "replay", str(lake.manifest), f"{lake.topic}/0", f"{lake.topic}/1", "--format", "json"],
                             lake.folder, f"{point}:1:stop", lake.environment)
    wait_stopped(paused)
    other = replay(lake, f"{lake.topic}/0", f"{lake.topic}/2")
    assert other["replayed"] == 19, other
    paused.send(signal.SIGCONT)
    assert paused.wait() == DONE, paused.tail()
    answer = json.loads(paused.out_path.read_text())
    assert (answer["replayed"], answer["gone"], answer["left"]) == (9, 9, 0), answer
    adds_up(lake, 30, 10, replayed=30)
    assert replay(lake, "--all")["replayed"] == 10
    assert lake.read("SELECT count(*), count(DISTINCT n) FROM lake.events") == [(40, 40)]


def test_two_replays_at_once(kafka, make_lake):
    lake = many(kafka, make_lake, "postgres", 3000)
    mended(lake, LENIENT)
    both = [support.Process(["quarantine", "replay", str(lake.manifest), "--all", "--format", "json"], lake.folder, None, lake.environment)
            for _ in range(2)]
    answers = []
    for process in both:
        assert process.wait(90) == DONE, process.tail()
        answers.append(json.loads(process.out_path.read_text()))
    assert sum(a["replayed"] for a in answers) == 3000 and all(a["left"] == 0 for a in answers), answers
    assert lake.read("SELECT count(*), count(DISTINCT n) FROM lake.events") == [(3000, 3000)]
    adds_up(lake, 3000, 0, replayed=3000)


def test_beside_a_running_stream(kafka, make_lake, record_property):
    """The stream quarantines more all the time; both go on, and each message is in one place."""
    lake = many(kafka, make_lake, "postgres", 1000, freshness="200ms")
    running = lake.start(manifest=lake.write("running.yaml"))
    lenient = mended(lake, LENIENT)
    stopping = threading.Event()
    sent = itertools.count(1000)

    def produce():
        producer = kafka.producer()
        while not stopping.wait(0.02):
            n = next(sent)
            producer.raw(lake.topic, json.dumps({"n": n} | ({"id": n} if n % 5 else {})), partition=n % 4)
            producer.producer.poll(0)
        producer.flush()

    thread = threading.Thread(target=produce)
    thread.start()
    replayed = gone = 0
    try:
        end = time.monotonic() + (60 if LONG else 8)
        while time.monotonic() < end:
            done = replay(lake, "--all", manifest=lenient)
            assert done["left"] == 0, done
            replayed, gone = replayed + done["replayed"], gone + done["gone"]
    finally:
        stopping.set()
        thread.join()
    assert gone == 0
    count = next(sent)
    support.eventually("the stream is at the end", lambda: all(lane["lag"] == 0 for lane in lake.verify(topic=True)["lanes"]))
    conflicts = len(running.events("conflict")) + len(running.events("commit_retry"))
    running.drain()
    replayed += replay(lake, "--all", manifest=lenient)["replayed"]
    assert lake.read("SELECT count(*), count(DISTINCT n), max(n) FROM lake.events") == [(count, count, count - 1)]
    adds_up(lake, count, 0, replayed=replayed)
    record_property("replayed", replayed)
    record_property("conflicts_of_the_stream", conflicts)
