"""JSON events: declared and scored, inferred, evolving, malformed - and each accounted for."""

import datetime
import json

import duckdb
import pytest
import yaml

import support

UTC = datetime.timezone.utc


def json_lake(make_lake, backend, kafka, topic, settings=None, **more):
    lake = make_lake(backend, kafka.address, topic, **more)
    documents = lake.documents

    def with_json(**changes):
        catalog, stream = documents(**changes)
        stream["spec"]["format"] = "json"
        if settings:
            stream["spec"]["json"] = settings
        return [catalog, stream]

    lake.documents = with_json
    lake.manifest = lake.write()
    return lake


def send(producer, topic, *events, partition=0):
    """One message a dict (or text or bytes); flushed."""
    for event in events:
        producer.raw(topic, json.dumps(event) if isinstance(event, dict) else event, partition=partition)
    producer.flush()


def types_of(lake):
    return {name: type_ for name, type_, *_ in lake.read("DESCRIBE lake.events")}


@pytest.mark.parametrize("backend", support.BACKENDS)
def test_inferred(kafka, make_lake, backend):
    topic = kafka.topic()
    producer = kafka.producer()
    lake = json_lake(make_lake, backend, kafka, topic)
    send(producer, topic, {"id": 1, "name": "ä", "ok": True, "at": None}, b'{"id": 2, "nested": {"a": [1, 2.50]}, "x": 1}',
         b'{"id": 3, "x": 2}\n{"id": 4, "x": 2.5}\n')
    lake.once()
    assert types_of(lake) == {"id": "BIGINT", "name": "VARCHAR", "ok": "BOOLEAN", "nested": "JSON", "x": "DOUBLE"}
    assert sorted(lake.read("SELECT id, name, ok, nested, x FROM lake.events")) == [
        (1, "ä", True, None, None), (2, None, None, '{"a":[1,2.50]}', 1.0), (3, None, None, None, 2.0), (4, None, None, None, 2.5)]
    # The next process knows the table: `at` is new, `x` is DOUBLE already, and a text for `id` is refused.
    send(producer, topic, {"id": "five", "x": 5}, {"id": 6, "x": 6, "at": "2026-01-31"})
    lake.once()
    assert types_of(lake)["at"] == "VARCHAR"
    assert lake.read("SELECT id, x, \"at\" FROM lake.events WHERE id > 4") == [(6, 6.0, "2026-01-31")]
    assert [(q["offset"], q["reason"]) for q in lake.quarantine()] == [
        (3, "line 1, byte 0: id is a text ('five'), not a whole number of 64 bits")]
    answer = lake.verify(topic=True)
    assert answer["passed"] and answer["table_rows"] == 5
    assert [(lane["messages"], lane["quarantined"]) for lane in answer["lanes"]] == [(4, 1)]


BIG = 2**53
DECLARE = "declare the columns and their types in spec.json.columns"


@pytest.mark.parametrize("backend", support.BACKENDS)
def test_no_id_is_rounded(kafka, make_lake, backend):
    """One event with 1.5 where ids stand beyond 2^53 does not make them DOUBLE; nor does a DOUBLE column take such an id."""
    topic = kafka.topic()
    producer = kafka.producer()
    lake = json_lake(make_lake, backend, kafka, topic)
    send(producer, topic, {"id": BIG + 1, "x": 1}, {"id": BIG + 2, "x": -BIG}, {"id": 0.5}, {"id": BIG + 3})
    lake.once()
    send(producer, topic, {"id": 1.5, "x": 5}, {"id": 7}, {"x": 2.5}, {"x": BIG + 1}, {"x": -BIG - 2}, {"id": BIG + 4, "x": 3})
    lake.once()
    assert types_of(lake) == {"id": "BIGINT", "x": "DOUBLE"}
    assert sorted(lake.read("SELECT id, x FROM lake.events"), key=repr) == sorted(
        [(BIG + 1, 1.0), (BIG + 2, float(-BIG)), (BIG + 3, None), (7, None), (None, 2.5), (None, float(-BIG - 2)), (BIG + 4, 3.0)],
        key=repr)
    large = f"the column has whole numbers beyond 2^53, which DOUBLE would round: {DECLARE}"
    assert [(q["offset"], q["reason"]) for q in lake.quarantine()] == [
        (2, f"line 1, byte 0: id is a number (0.5), and {large}"), (4, f"line 1, byte 0: id is a number (1.5), and {large}"),
        (7, f"line 1, byte 0: x is a number ({BIG + 1}), and the column is DOUBLE, which would round it: {DECLARE}")]
    assert replayed(lake, support.NO) == (0, 3)
    answer = lake.verify(topic=True)
    assert answer["passed"] and answer["table_rows"] == 7


@pytest.mark.parametrize("backend", ["sqlite", "postgres"])
def test_a_time_before_the_first_timestamp(kafka, make_lake, backend):
    """No 64 bits of milliseconds too few: where files are published rather than inserted it would stop the stream."""
    topic = kafka.topic()
    producer = kafka.producer()
    lake = json_lake(make_lake, backend, kafka, topic, {"columns": [{"name": "at", "type": "epoch_ms"}, {"name": "s", "type": "epoch_s"}]})
    send(producer, topic, {"at": -9223372022400000}, {"at": -9223372022400001}, {"at": -9223372036854775}, {"s": -9223372022401}, {"s": 1})
    lake.once()
    assert lake.read("SELECT count(\"at\"), count(s) FROM lake.events") == [(1, 1)]
    assert [q["offset"] for q in lake.quarantine()] == [1, 2, 3]
    assert lake.verify(topic=True)["passed"]


def replayed(lake, expect=support.DONE):
    done = support.tarn("quarantine", "replay", str(lake.manifest), "--all", "--format", "json", environment=lake.environment,
                        folder=lake.folder)
    assert done.returncode == expect, done.stderr
    answer = json.loads(done.stdout)
    return answer["replayed"], answer["left"]


@pytest.mark.parametrize("backend", support.BACKENDS)
def test_a_replay_makes_a_column_double(kafka, make_lake, backend):
    """As a stream does, where what it was refused for is gone."""
    topic = kafka.topic()
    producer = kafka.producer()
    lake = json_lake(make_lake, backend, kafka, topic)
    lake.write_sql("CREATE TABLE lake.events (id BIGINT, u VARCHAR)")
    send(producer, topic, {"id": BIG, "u": "a"}, {"id": 0.5, "u": 1}, {"id": 2})
    lake.once()
    assert types_of(lake) == {"id": "BIGINT", "u": "VARCHAR"} and [q["offset"] for q in lake.quarantine()] == [1]
    lake.write_sql("ALTER TABLE lake.events DROP COLUMN u")
    assert replayed(lake) == (1, 0)
    assert types_of(lake) == {"id": "DOUBLE", "u": "BIGINT"}
    assert sorted(lake.read("SELECT id, u FROM lake.events")) == [(0.5, 1), (2.0, None), (float(BIG), None)]
    assert lake.verify(topic=True)["passed"]


def test_the_ids_of_a_commit_before(kafka, make_lake):
    """The reader met 1.5 when the large ids were not in the table yet, and gathered it with good events: these are stored."""
    topic = kafka.topic()
    producer = kafka.producer()
    lake = json_lake(make_lake, "sqlite", kafka, topic)
    pad = "x" * 20000
    send(producer, topic, *[{"id": BIG + 1 + i, "pad": pad} for i in range(10)], *[{"pad": pad}] * 60,
         {"id": 1.5}, {"id": 5}, {"id": BIG + 11})
    lake.once()
    assert types_of(lake) == {"id": "BIGINT", "pad": "VARCHAR"}
    assert sorted(lake.read("SELECT id FROM lake.events WHERE id IS NOT NULL")) == [(5,)] + [(BIG + i,) for i in range(1, 12)]
    assert [q["offset"] for q in lake.quarantine()] == [70]
    answer = lake.verify(topic=True)
    assert answer["passed"] and answer["table_rows"] == 72


def test_what_one_message_brings_is_in_no_other(kafka, make_lake):
    """Read one by one, for another made the table meanwhile and it refuses one of them: 1.5, of which only the lake can tell
    that it must not be stored, takes no message behind it to quarantine."""
    topic = kafka.topic()
    producer = kafka.producer()
    lake = json_lake(make_lake, "sqlite", kafka, topic)
    process = lake.start()
    process.wait_event("lane_assigned")
    lake.write_sql("CREATE TABLE lake.events (id BIGINT, k VARCHAR)")
    send(producer, topic, {"k": 1}, {"id": BIG + 1}, {"id": 1.5}, {"id": 5}, {"id": BIG + 2})
    all_in(process, 5)
    assert sorted(lake.read("SELECT id FROM lake.events")) == [(5,), (BIG + 1,), (BIG + 2,)]
    assert [q["offset"] for q in lake.quarantine()] == [0, 2]
    assert lake.verify(topic=True)["passed"]


def all_in(process, messages):
    support.eventually("all is in", lambda: sum(r["messages"] + r["quarantined"] for r in process.events("commit")) == messages)
    process.send(support.signal.SIGTERM)
    assert process.wait() == support.DONE, process.tail()


@pytest.mark.parametrize("more", [{}, {"new": 1}], ids=["known", "new"])
@pytest.mark.parametrize("backend", ["sqlite", "postgres"])
def test_another_makes_the_column_double(kafka, make_lake, backend, more):
    """Between two commits of a process that knows it as BIGINT: what it reads next, with the columns that it prepared the
    table for or with another one, is not rounded into the new column."""
    topic = kafka.topic()
    producer = kafka.producer()
    lake = json_lake(make_lake, backend, kafka, topic)
    process = lake.start()
    send(producer, topic, {"id": 1})
    support.eventually("the table is there", lambda: process.events("commit"))
    lake.write_sql("ALTER TABLE lake.events ALTER COLUMN id TYPE DOUBLE")
    send(producer, topic, {"id": BIG + 1} | more, {"id": 8}, {"id": 0.5})
    all_in(process, 4)
    assert sorted(lake.read("SELECT id FROM lake.events")) == [(0.5,), (1.0,), (8.0,)]
    assert [(q["offset"], q["reason"]) for q in lake.quarantine()] == [
        (1, f"line 1, byte 0: id is a number ({BIG + 1}), and the column is DOUBLE, which would round it: {DECLARE}")]
    assert lake.verify(topic=True)["passed"]


@pytest.mark.parametrize("guarded", [False, True])
def test_the_trap_of_an_alter_beside_an_insert(make_lake, guarded):
    """What DuckLake does, with tarn left out: the ALTER does not see the rows that came since its transaction began, unless its
    COMMIT may be tried once only."""
    lake = make_lake("postgres", "nobody:9092", "none")
    lake.write_sql("CREATE TABLE lake.events (id BIGINT)")
    con = support.attach(lake.target)
    if guarded:
        con.execute("SET SESSION ducklake_max_retry_count = 0")
    con.execute("BEGIN")
    assert con.execute(f"SELECT count(*) FROM lake.events WHERE id > {BIG}").fetchall() == [(0,)]
    con.execute("ALTER TABLE lake.events ALTER COLUMN id TYPE DOUBLE")
    lake.write_sql(f"INSERT INTO lake.events VALUES ({BIG + 1})")
    if guarded:
        with pytest.raises(duckdb.Error, match="maximum retry count"):
            con.execute("COMMIT")
    else:
        con.execute("COMMIT")
    con.close()
    assert lake.read("SELECT id, typeof(id) FROM lake.events") == [(BIG + 1, "BIGINT") if guarded else (float(BIG), "DOUBLE")]


def test_another_stores_a_large_id_meanwhile(kafka, make_lake):
    """Between the look at the table and the COMMIT that makes its column DOUBLE: DuckLake itself would let both be."""
    topic = kafka.topic()
    producer = kafka.producer()
    lake = json_lake(make_lake, "postgres", kafka, topic)
    send(producer, topic, {"id": 1})
    lake.once()
    send(producer, topic, {"id": 1.5}, {"id": 2})
    process = lake.start("--once", faults=f"commit.before:{support.rows_turn('commit.before')}:stop", manifest=lake.write("once.yaml", group=support.unique("group")))
    support.eventually("it stands before the COMMIT", lambda: support.stopped(process.pid))
    lake.write_sql(f"INSERT INTO lake.events (id) VALUES ({BIG + 1})")
    process.send(support.signal.SIGCONT)
    assert process.wait() == support.DONE, process.tail()
    assert types_of(lake) == {"id": "BIGINT"}
    assert sorted(lake.read("SELECT id FROM lake.events")) == [(1,), (2,), (BIG + 1,)]
    assert [q["offset"] for q in lake.quarantine()] == [1]


SETTINGS = {
    "columns": [
        {"name": "id", "required": True},
        {"name": "kind", "pointer": "/type", "enum": ["BSS", "OSS"]},
        {"name": "bill", "pointer": "/payload/bill", "type": "decimal(10,2)", "minimum": 0},
        {"name": "at", "type": "timestamptz", "weight": 2},
        {"name": "n", "type": "integer", "enum": ["1", 7]},
    ],
    "keep": {"raw": "raw", "score": "score", "reasons": "why", "ingestedAt": "ingested_at"},
    "points": {"missing": 30, "wrongType": 10, "outOfRange": 5},
}


@pytest.mark.parametrize("backend", support.BACKENDS)
def test_declared_and_scored(kafka, make_lake, backend):
    topic = kafka.topic()
    producer = kafka.producer()
    lake = json_lake(make_lake, backend, kafka, topic, SETTINGS)
    send(producer, topic,
         {"id": "a", "type": "BSS", "payload": {"bill": 12.3}, "at": "2026-01-31T12:00:00+02:00", "n": 7, "more": 1},
         {"type": "IOT", "payload": {"bill": -1}, "at": "yesterday", "n": 1 << 40},
         {"id": "c", "type": "OSS", "payload": {"bill": "0.50"}, "n": 3})
    lake.once()
    assert types_of(lake) == {"id": "VARCHAR", "kind": "VARCHAR", "bill": "DECIMAL(10,2)", "at": "TIMESTAMP WITH TIME ZONE",
                              "n": "INTEGER", "raw": "JSON", "score": "DOUBLE", "why": "VARCHAR[]",
                              "ingested_at": "TIMESTAMP WITH TIME ZONE"}
    rows = lake.read("SELECT id, kind, bill::VARCHAR, epoch_ms(\"at\"), n, raw->>'$.type', score, why, "
                     "abs(epoch(ingested_at) - epoch(now())) < 3600 FROM lake.events ORDER BY score DESC")
    assert rows == [
        ("a", "BSS", "12.30", 1769853600000, 7, "BSS", 100.0, [], True),
        ("c", "OSS", "0.50", None, 3, "OSS", 95.0, ["n is none of its values (3)"], True),
        (None, "IOT", "-1.00", None, None, "IOT", 30.0,
         ["id is missing", "kind is none of its values ('IOT')", "bill is out of range (-1): at least 0",
          "at is a text ('yesterday'), not a time such as 2026-01-31T12:30:00Z (ISO 8601)",
          "n is a number (1099511627776), not a whole number of 32 bits"], True)]
    assert lake.verify(topic=True)["passed"] and lake.quarantine() == []


def test_declared_without_a_score(kafka, make_lake):
    topic = kafka.topic()
    producer = kafka.producer()
    lake = json_lake(make_lake, "sqlite", kafka, topic, {"columns": SETTINGS["columns"]})
    send(producer, topic, {"id": "a"}, {"n": 1}, {"id": "b", "n": 1})
    lake.once()
    assert sorted(lake.read("SELECT id, n FROM lake.events")) == [("a", None), ("b", 1)]
    assert [(q["offset"], q["reason"], bytes(q["payload"])) for q in lake.quarantine()] == [
        (1, "line 1, byte 0: id is missing", b'{"n": 1}')]
    assert lake.verify(topic=True)["passed"]


MALFORMED = [
    (b"", "the message is empty"),
    (None, "a tombstone: the message has a key and no payload"),
    (b"{", "line 1, byte 1: "),
    (b'{"id": 1}\n{"id": 2}\n{"id": ', "line 3, byte 26: "),
    (b'{"id": 1} x', "line 1, byte 10: "),
    (b'{"id": "\xff"}', "line 1, byte 8: "),
    (b'{"id": "\\ud800"}', "line 1, byte "),
    (b'{"id": 1, "id": 2}', "line 1, byte 0: the key 'id' stands there twice"),
    (b'[{"id": 1}]', "line 1, byte 0: the document is an array, not an object"),
    (b'{"a":' + b"[" * 100000, "line 1, byte 100005: "),
    (b'{"id": 01}', "line 1, byte "),
    (b'{"id": NaN}', "line 1, byte "),
    (b'{"typo": 1, "id": "x"}', "line 1, byte 0: id is a text ('x'), not a whole number"),
    (b'{"id": 0.5}\n{"id": true}', "line 2, byte 12: id is "),
    (json.dumps({f"k{i}": i for i in range(1001)}).encode(), "line 1, byte 0: more than 1000 columns"),
]


def test_malformed_messages_are_quarantined(kafka, make_lake):
    """Between good ones, and none of them is lost or doubled; of those that are refused the table has no column, either."""
    topic = kafka.topic()
    producer = kafka.producer()
    lake = json_lake(make_lake, "sqlite", kafka, topic)
    for i, (payload, _) in enumerate(MALFORMED):
        producer.raw(topic, json.dumps({"id": i}))
        producer.raw(topic, payload, key=b"k")
    producer.raw(topic, json.dumps({"id": len(MALFORMED)}))
    producer.flush()
    lake.once()
    assert lake.read("SELECT id FROM lake.events ORDER BY id") == [(i,) for i in range(len(MALFORMED) + 1)]
    found = lake.quarantine()
    assert [q["offset"] for q in found] == [2 * i + 1 for i in range(len(MALFORMED))]
    assert types_of(lake) == {"id": "BIGINT"}
    for row, (payload, reason) in zip(found, MALFORMED):
        assert row["reason"].startswith(reason), (row["reason"], payload[:40] if payload else payload)
        assert row["payload"] == payload
    answer = lake.verify(topic=True)
    assert answer["passed"] and answer["table_rows"] == len(MALFORMED) + 1


def test_gathered_messages_that_the_table_refuses(kafka, make_lake):
    """The table is the owner's: one value of a thousand does not fit its column, and that one message goes to quarantine."""
    topic = kafka.topic()
    producer = kafka.producer()
    lake = json_lake(make_lake, "sqlite", kafka, topic)
    lake.write_sql("CREATE TABLE lake.events (id BIGINT, u UUID, small SMALLINT)")
    good = "00000000-0000-0000-0000-0000000000"
    for i in range(1000):
        producer.raw(topic, json.dumps({"id": i, "u": "no uuid" if i == 500 else f"{good}{i % 90 + 10}", "small": 70000 if i == 700 else i}))
    producer.flush()
    lake.once()
    assert lake.read("SELECT count(*), count(DISTINCT id), sum(id) FROM lake.events") == [(998, 998, 999 * 500 - 1200)]
    assert [q["offset"] for q in lake.quarantine()] == [500, 700]
    assert lake.verify(topic=True)["passed"]


def test_a_table_of_other_types_refuses_every_message(kafka, make_lake):
    """Declared as text, and the table's owner keeps numbers there: each message is quarantined, none is lost or doubled."""
    topic = kafka.topic(2)
    producer = kafka.producer()
    lake = json_lake(make_lake, "sqlite", kafka, topic, {"columns": [{"name": "id"}, {"name": "n", "type": "varchar"}]})
    lake.write_sql("CREATE TABLE lake.events (id VARCHAR, n BIGINT)")
    for i in range(3000):
        producer.raw(topic, json.dumps({"id": str(i), "n": str(i)}), partition=i % 2)
    producer.flush()
    lake.once()
    found = lake.quarantine()
    assert len(found) == 3000 and {q["reason"] for q in found} == {
        "column 'n' is VARCHAR in the message and BIGINT in the table, and no type holds both"}
    assert {json.loads(bytes(q["payload"]))["id"] for q in found} == {str(i) for i in range(3000)}
    assert lake.verify(topic=True)["passed"]


def test_a_cast_to_the_owners_types_changes_nothing(kafka, make_lake):
    """Values that DuckDB's cast would round, or move in time, are quarantined; those beside them are stored as they are."""
    topic = kafka.topic()
    producer = kafka.producer()
    lake = json_lake(make_lake, "sqlite", kafka, topic)
    lake.write_sql('CREATE TABLE lake.events (id BIGINT, n INTEGER[], s STRUCT("the price" DECIMAL(20,2), t TIMESTAMP[]), seen TIMESTAMP_S)')
    send(producer, topic, {"id": 1, "n": [1, 2.0], "s": {"the price": 1.25, "t": ["2026-01-01T00:00:00Z"]}, "seen": "2026-01-01T00:00:00+01:00"},
         {"id": 2, "n": [1.7]}, {"id": 3, "s": {"the price": 1.777}}, {"id": 4, "s": {"t": ["2026-01-01T00:00:00+02:00"]}},
         {"id": 5, "seen": "2026-01-01T00:00:00.9Z"}, {"id": 6, "s": {"the price": "12345678901234567.01", "t": None}})
    lake.once()
    assert lake.read("SELECT id, n, s.\"the price\"::VARCHAR, s.t::VARCHAR, seen::VARCHAR FROM lake.events ORDER BY id") == [
        (1, [1, 2], "1.25", "['2026-01-01 00:00:00']", "2025-12-31 23:00:00"), (6, None, "12345678901234567.01", None, None)]
    assert [(q["offset"], q["reason"].partition(", which ")[2].partition(" would change")[0]) for q in lake.quarantine()] == [
        (1, "INTEGER"), (2, "DECIMAL(20,2)"), (3, "TIMESTAMP"), (4, "TIMESTAMP_S")]
    assert lake.verify(topic=True)["passed"]


@pytest.mark.heavy
@pytest.mark.parametrize("backend", support.places("postgres", all=support.BACKENDS))
def test_killed_at_every_step(kafka, make_lake, backend):
    topic = kafka.topic(2)
    producer = kafka.producer()
    lake = json_lake(make_lake, backend, kafka, topic)
    sent = 0
    for point in ["begin.after", "insert.before", "insert.after", "offset.after", "commit.before", "commit.after", "hint.before"]:
        for i in range(200):
            producer.raw(topic, json.dumps({"id": sent, "text": "x" * (sent % 50), f"new_{point.replace('.', '_')}": i}), partition=sent % 2)
            sent += 1
        producer.flush()
        lake.once(faults=f"{point}:{support.rows_turn(point)}:kill", expect=None)
        if sent > 200:
            lake.assert_consistent()
        lake.once()
        assert lake.read("SELECT count(*), count(DISTINCT id), max(id) FROM lake.events") == [(sent, sent, sent - 1)]
        assert lake.verify(topic=True)["passed"]


@pytest.mark.heavy
def test_two_processes_infer_one_table(kafka, make_lake):
    topic = kafka.topic(4)
    producer = kafka.producer()
    lake = json_lake(make_lake, "postgres", kafka, topic)
    first, second = lake.start(), lake.start()
    support.eventually("both have lanes", lambda: first.events("lane_assigned") and second.events("lane_assigned"))
    sent = 0
    for step in range(8 if support.LONG else 4):
        for _ in range(400):
            producer.raw(topic, json.dumps({"id": sent, "v": sent if (sent + step) % 3 else sent + 0.5, f"c{sent % 4}_{step}": "x"}),
                         partition=sent % 4)
            sent += 1
        producer.flush()
        support.eventually("this step is in the lake", lambda: lake.verify()["table_rows"] == sent, timeout_s=60)
    for process in (first, second):
        process.send(support.signal.SIGTERM)
        assert process.wait() == support.DONE, process.tail()
    assert lake.read("SELECT count(*), count(DISTINCT id) FROM lake.events") == [(sent, sent)]
    assert types_of(lake)["v"] == "DOUBLE"
    assert lake.verify(topic=True)["passed"] and lake.quarantine() == []
