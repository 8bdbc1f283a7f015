"""`tarn produce --format json` through a broker into a lake: what was produced is counted by a reader of the topic that
applies the manifest's rules itself, and the lake must say the same of every event."""

import collections
import datetime
import json

import confluent_kafka
import pytest
import support
import yaml

EXAMPLE = support.ROOT / "bench" / "telecom.yaml"


def produce(kafka, topic, *arguments):
    done = support.tarn("produce", "--brokers", kafka.address, "--topic", topic, "--report", "json", *arguments)
    assert done.returncode == support.DONE, done.stderr
    return json.loads(done.stdout)


def with_stream(lake, **changes):
    """The lake, with these fields of its stream."""
    documents = lake.documents

    def changed(**more):
        catalog, stream = documents(**more)
        stream["spec"].update(changes)
        return [catalog, stream]

    lake.documents = changed
    lake.manifest = lake.write()
    return lake


def messages(kafka, topic, count):
    """Every message's payload."""
    consumer = confluent_kafka.Consumer({"bootstrap.servers": kafka.address, "group.id": support.unique("reader")})
    partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    consumer.assign([confluent_kafka.TopicPartition(topic, p, 0) for p in partitions])
    found = []
    while len(found) < count:
        got = consumer.consume(count - len(found), timeout=10)
        assert got and not any(m.error() for m in got), f"{len(found)} of {count} messages"
        found += [m.value() for m in got]
    consumer.close()
    return found


def is_of(type_, value):
    if type_ == "timestamptz":
        return isinstance(value, str) and datetime.datetime.fromisoformat(value.replace("Z", "+00:00"))
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return {"varchar": isinstance(value, str), "double": number, "integer": number and value == int(value)}.get(type_, number)


def broken_rules(columns, event):
    """(rule, weight) of each rule that the event breaks."""
    for column in columns:
        value = event
        for key in column.get("pointer", "/" + column["name"]).split("/")[1:]:
            value = value.get(key) if isinstance(value, dict) else None
        weight = column.get("weight", 1)
        if value is None:
            if column.get("required"):
                yield "missing", weight
        elif not is_of(column.get("type", "varchar"), value):
            yield "wrongType", weight
        elif not column.get("minimum", float("-inf")) <= (0 if isinstance(value, str) else value) <= column.get("maximum", float("inf")):
            yield "outOfRange", weight
        elif "enum" in column and value not in column["enum"]:
            yield "outOfRange", weight


@pytest.mark.parametrize("backend", support.BACKENDS if support.LONG else ["sqlite"])
def test_telecom(kafka, make_lake, backend):
    count = 20000
    topic = support.unique("telecom")
    report = produce(kafka, topic, "--shape", "telecom", "--format", "json", "--count", str(count), "--partitions", "4", "--bad", "0.1")
    assert (report["rows"], report["messages"]) == (count, count) and 200 <= report["bytes"] / count <= 300
    stream = list(yaml.safe_load_all(EXAMPLE.read_text()))[1]["spec"]
    points = {"missing": 30, "wrongType": 20, "outOfRange": 20}
    expected, no_json, subscribers, types = {}, [], set(), collections.Counter()
    for payload in messages(kafka, topic, count):
        try:
            event = json.loads(payload)
        except ValueError:
            no_json.append(payload)
            continue
        broken = list(broken_rules(stream["json"]["columns"], event))
        expected[event["event_id"]] = (100 - sum(points[rule] * weight for rule, weight in broken), len(broken))
        subscribers.add(event.get("subscriber_id"))
        types[event.get("event_type")] += 1
    assert len(expected) + len(no_json) == count, "an event_id that stands there twice"
    assert {"BSS", "OSS", "IoT"} < set(types) and None in types and None in subscribers and len(subscribers) > 15000
    assert any(s and s.islower() for s in subscribers)
    scores = collections.Counter(score for score, _ in expected.values())
    assert set(scores) == {100, 80, 40, 30, 20, 10}
    assert 0.88 < scores[100] / count < 0.94 and 0.003 < len(no_json) / count < 0.01
    unusable = sum(n for score, n in scores.items() if score < 45) + len(no_json)
    assert 0.07 < unusable / count < 0.09 and 0 < scores[80] / count < 0.01

    lake = with_stream(make_lake(backend, kafka.address, topic), **{k: stream[k] for k in ("table", "format", "json")})
    lake.once()
    # DuckDB from PyPI
    rows = lake.read("SELECT event_id, quality_score, len(quality_reasons) FROM lake.bronze_raw_events")
    assert len(rows) == len(expected) and {e: (s, r) for e, s, r in rows} == expected
    found = lake.quarantine()
    assert sorted(bytes(q["payload"]) for q in found) == sorted(no_json)
    assert len(rows) + len(found) == count
    answer = lake.verify(topic=True)
    assert answer["passed"] and answer["table_rows"] == len(rows)
    assert sum(lane["quarantined"] for lane in answer["lanes"]) == len(no_json)
    # Typed values, and the event as it came beside them.
    wrong = lake.read("""SELECT count(*) FROM lake.bronze_raw_events WHERE quality_score = 100 AND (
        epoch_ms(event_timestamp) <> epoch_ms((raw_payload->>'$.event_timestamp')::TIMESTAMPTZ) OR
        bill_zmw IS DISTINCT FROM (raw_payload->>'$.payload.bill_zmw')::DECIMAL(12,2) OR
        packet_loss_pct IS DISTINCT FROM (raw_payload->>'$.payload.packet_loss_pct')::DOUBLE OR
        (event_type = 'IoT') <> (battery_pct IS NOT NULL) OR ingested_at IS NULL)""")
    assert wrong == [(0,)]


def test_telecom_in_arrow_holds_the_same(kafka, make_lake):
    """The same seed in both formats: the same events, but for the bad ones that only JSON can be."""
    counts = ["--shape", "telecom", "--count", "5000", "--seed", "7"]
    lakes = {}
    for form in ("arrow", "json"):
        topic = support.unique(form)
        produce(kafka, topic, "--format", form, *counts)
        lakes[form] = with_stream(make_lake("sqlite", kafka.address, topic), format=form)
        lakes[form].once()
        assert lakes[form].verify(topic=True)["passed"]
    columns = "event_id, event_type, source_system, subscriber_id, event_timestamp, payload"
    rows = {form: {r[0]: r for r in lake.read(f"SELECT {columns} FROM lake.events")} for form, lake in lakes.items()}
    assert len(rows["arrow"]) == 5000
    assert len(rows["json"]) == 5000 - len(lakes["json"].quarantine()) > 4900
    assert all(rows["arrow"][key] == row for key, row in rows["json"].items())


def test_posthog_in_json_holds_the_same(kafka, make_lake):
    """... and lines of several events a message."""
    counts = ["--count", "3000", "--seed", "7", "--partitions", "2"]
    lakes = {}
    for form, more in {"arrow": [], "json": [], "lines": ["--batch", "70"]}.items():
        topic = support.unique(form)
        report = produce(kafka, topic, "--format", "arrow" if form == "arrow" else "json", *counts, *more)
        assert report["messages"] == {"arrow": 3, "json": 3000, "lines": 43}[form]
        lakes[form] = with_stream(make_lake("sqlite", kafka.address, topic), format="arrow" if form == "arrow" else "json")
        lakes[form].once()
        assert lakes[form].verify(topic=True)["passed"] and lakes[form].quarantine() == []
    columns = "uuid, event, distinct_id, timestamp, team_id, project_id, elements_chain"
    rows = {form: sorted(lake.read(f"SELECT {columns}, properties::VARCHAR FROM lake.events")) for form, lake in lakes.items()}
    assert len(rows["arrow"]) == 3000 and any(r[6] for r in rows["arrow"])
    assert rows["json"] == rows["lines"]
    for one, other in zip(rows["arrow"], rows["json"]):
        assert one[:-1] == other[:-1] and json.loads(one[-1]) == json.loads(other[-1])


MISTAKES = [
    (["--bad", "0.1"], "events of the shape posthog are never bad: leave the share of bad ones out, or take the shape telecom"),
    (["--shape", "telecom", "--bad", "1.5"], "--bad: '1.5' is out of range: 0 to 1 would be right"),
    (["--shape", "telecom", "--bad", "some"], "--bad: 'some' is not a number: 0 to 1 would be right"),
    (["--shape", "telco"], "--shape: 'telco' is not a choice: posthog|telecom would be right"),
    (["--format", "csv"], "--format: 'csv' is not a choice: arrow|json would be right"),
    (["--format", "json", "--batch", "14000", "--count", "14000"], "fewer events a message would be right"),
]


@pytest.mark.parametrize("arguments, told", MISTAKES, ids=[" ".join(m[0]) for m in MISTAKES])
def test_mistakes_say_what_is_right(kafka, arguments, told):
    done = support.tarn("produce", "--brokers", kafka.address, "--topic", support.unique("wrong"), *arguments)
    assert done.returncode in (support.USAGE, support.INPUT) and told in done.stderr, done
