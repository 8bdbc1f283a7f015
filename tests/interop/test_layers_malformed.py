"""Ten thousand malformed events of every kind through the telecom example's stream and layers: nothing fails, each is accounted for
once, and the reason is the right one. What is right is told by Python (json, its numbers and times) and by DuckDB from PyPI."""

import collections
import json
import random
import re
import shutil

import pytest
import support
import yaml
from support import DONE

EVENTS = 10_000
HUGE = "123456789012345678901234567890"
NUMBERS = ['"abc"', '""', '" 12 "', '"1e3"', '"0x10"', '"1_000"', '"１２"', '"inf"', '"-Infinity"', '"NaN"', "1e308", "-1e308", HUGE,
           f'"{HUGE}"', f"-{HUGE}.5", "true", "false", "null", "[]", "[1, 2]", "{}", '{"a": 1}', "0.1e-400", "-0.0", '"12,5"', '"١٢"',
           "2147483648", "-2147483649", '"2147483647"', "99999999999.99", '"1e10"', '"\\u0000"', '"12\\u0000"', '"🙂"', '"1;2"']
TIMES = ['"2026-02-30T00:00:00Z"', '"0000-00-00"', '"9999999-01-01T00:00:00Z"', '"infinity"', '"-infinity"', '"epoch"', '"2026-01-01 25:00:00"',
         '"2026-01-01T00:00:00+99:00"', '"2026-13-01T00:00:00Z"', '"yesterday"', '""', "null", "1767225600", "1e18", "true", "[]", "{}",
         '"2026-01-01"', '"2026-01-01T00:00:00"', '"2026-01-01T00:00:00.123456789Z"', '"-290400-01-01"', '"294247-01-10"', '"294248-01-10"',
         '"2026-06-30T23:59:60Z"', '"1 January 2026"', '"01/02/2026"', f'"{HUGE}-01-01"']
TEXTS = ['""', "null", "12", "true", "[]", '"\\ud83d\\ude42"', '"\\u0000"', '"ＺＭ-1"', '"ß"', '"ŉ"', '"\\u202Ezm"', '"é"', '"e\\u0301"', f'"{"x" * 5000}"',
         '"a\\"b"', "\"it's\"", '"; DROP TABLE silver_clean_events; --"', '"\\\\"', '"ZM-0000001 "']
PAYLOADS = {"BSS": ["plan", "data_used_mb", "bill_zmw", "days_overdue", "payment_status"], "OSS": ["signal_dbm", "latency_ms", "packet_loss_pct"],
            "IoT": ["battery_pct"]}
GOOD = {"plan": '"gold"', "data_used_mb": "120.5", "bill_zmw": "99.95", "days_overdue": "3", "payment_status": '"paid"', "signal_dbm": "-71.5",
        "latency_ms": "20", "packet_loss_pct": "0.1", "battery_pct": "77", "device_id": '"d-1"'}
# What no JSON is: what stays of the line, as bytes.
BROKEN = [lambda e: e[: len(e) // 2], lambda e: e.replace(b"{", b"", 1), lambda e: e + b"}", lambda e: e.replace(b":", b"=", 1),
          lambda e: e.replace(b"}", b", }", 1), lambda e: b"\xff\xfe" + e.decode().encode("utf-16-le").replace(b"\n", b" "),
          lambda e: e.replace(b"ZM", b"\xc3\x28", 1), lambda e: e.replace(b"ZM", b"\xed\xa0\x80", 1), lambda e: e.replace(b"120.5", b"NaN").replace(b"-71.5", b"Infinity").replace(b"77", b"-Infinity"),
          lambda e: b"[" + e + b"]", lambda e: b"12", lambda e: b'"text"', lambda e: b"null", lambda e: e.replace(b'"ZM', b'"\x01ZM', 1),
          lambda e: b"\x00" + e, lambda e: e.replace(b"event_id", b"event_\\u12id", 1), lambda e: b"{" * 3000, lambda e: e.replace(b'"', b"'"),
          lambda e: e + e, lambda e: e.replace(b"3", b"03").replace(b"71", b"071").replace(b"77", b"077"), lambda e: b"\xf0\x9f\x99" + e]


def make_event(number, chance):
    """A line, and whether it is JSON at all. Each has one or two things wrong with it; one in twenty has nothing."""
    domain = chance.choice(list(PAYLOADS))
    fields = {"event_id": f'"e{number}"', "event_type": f'"{domain}"', "source_system": '"billing"', "subscriber_id": f'"ZM-{number % 500:07}"',
              "event_timestamp": f'"2026-01-{1 + number % 28:02}T12:00:00Z"'}
    payload = {name: GOOD[name] for name in PAYLOADS[domain] + (["device_id"] if domain == "IoT" else [])}
    text = None
    for _ in range(chance.choice([1, 1, 1, 2])):
        kind = number % 20 if _ == 0 else chance.randrange(20)
        if kind < 7:
            payload[chance.choice(list(payload))] = chance.choice(NUMBERS)
        elif kind < 11:
            fields["event_timestamp"] = chance.choice(TIMES)
        elif kind < 13:
            fields[chance.choice(["subscriber_id", "event_id", "source_system", "event_type"])] = chance.choice(TEXTS)
        elif kind == 13:
            fields.pop(chance.choice(list(fields)), None)
        elif kind == 14:
            payload.pop(chance.choice(list(payload)))
            payload = payload or {"none": "1"}
        elif kind == 15:
            text = chance.choice(["null", "[]", "12", '"text"', "{}", '{"plan": {"plan": {"plan": ' * 50 + "1" + "}}}" * 50])
        elif kind == 16:
            fields["event_id "] = '"x"'
            payload["__proto__"] = payload["data_used_mb "] = "{}"
        elif kind < 19:
            body = "{" + ", ".join(f'"{k}": {v}' for k, v in fields.items()) + ', "payload": {' + ", ".join(f'"{k}": {v}' for k, v in payload.items()) + "}}"
            return chance.choice(BROKEN)(body.encode()).replace(b"\n", b" "), False
    body = "{" + ", ".join(f'"{k}": {v}' for k, v in fields.items()) + ', "payload": ' + (
        text or "{" + ", ".join(f'"{k}": {v}' for k, v in payload.items()) + "}") + "}"
    return body.encode(), True


@pytest.fixture(scope="module", params=["sqlite", "file"])
def example(request, session_folder):
    folder = session_folder / support.unique("malformed")
    shutil.copytree(support.ROOT / "examples" / "telecom", folder, ignore=shutil.ignore_patterns("lake"))
    manifest = folder / ("tarn.yaml" if request.param == "sqlite" else "file.yaml")
    documents = list(yaml.safe_load_all(manifest.read_text()))
    del documents[1]["spec"]["kafka"]
    documents[1]["spec"]["source"] = {"files": "in/*.json", "settle": "0s"}
    documents[2]["spec"]["refresh"] = {"on": "commit"}  # which YAML 1.1 reads as {true: commit}
    manifest.write_text(yaml.safe_dump_all(documents))
    chance = random.Random(1)
    events = [make_event(i, chance) for i in range(EVENTS)]
    (folder / "in").mkdir()
    for part in range(4):
        (folder / "in" / f"{part}.json").write_bytes(b"".join(line + b"\n" for line, _ in events[part::4]))
    done = support.tarn("run", str(manifest), "--once", timeout_s=110)
    assert done.returncode == DONE, done.stderr[-700:]
    target = f"ducklake:sqlite:{folder}/lake/catalog.sqlite" if request.param == "sqlite" else f"{folder}/lake/telecom.duckdb"
    con = support.attach(target, "(READ_ONLY)", threads="1")
    con.execute("USE lake")
    yield folder, manifest, con, events
    con.close()


def parses(line):
    """By Python: is it one JSON object? Python's json takes NaN, and lone surrogates, which JSON is not."""
    def refuse(constant):
        raise ValueError(constant)

    try:
        return isinstance(json.loads(line.decode("utf-8"), parse_constant=refuse), dict)
    except (ValueError, RecursionError):
        return False


def test_each_event_is_a_row_or_in_quarantine(example):
    folder, manifest, con, events = example
    refused = {(q[0]) for q in con.execute("SELECT payload FROM tarn.quarantine").fetchall()}
    lines = {line for line, _ in events}
    bronze = con.execute("SELECT count(*) FROM bronze_raw_events").fetchone()[0]
    quarantined = con.execute("SELECT count(*) FROM tarn.quarantine").fetchone()[0]
    assert bronze + quarantined == EVENTS and quarantined > 500
    assert {bytes(r) for r in refused} <= lines
    wrong = [line for line in refused if parses(bytes(line))] + [line for line, _ in events if not parses(line) and line not in {bytes(r) for r in refused}]
    assert not wrong, f"{len(wrong)} of them, as {wrong[:5]}"
    answer = support.tarn("verify", str(manifest), "--format", "json")
    assert answer.returncode == DONE, answer.stdout
    silver = next(m for m in json.loads(answer.stdout)[1]["models"] if m["model"] == "silver_clean_events")
    assert silver["rows_in"] == bronze == silver["rows_out"] + silver["quarantined"] + silver["filtered"]
    assert silver["quarantined"] > 200 and silver["filtered"] > 500 and silver["rows_out"] > 3000


COLUMNS = {"bss_data_used_mb": ("BSS", "data_used_mb", "DOUBLE"), "bss_bill_zmw": ("BSS", "bill_zmw", "DECIMAL(12,2)"),
           "bss_days_overdue": ("BSS", "days_overdue", "INTEGER"), "oss_signal_dbm": ("OSS", "signal_dbm", "DOUBLE"),
           "oss_latency_ms": ("OSS", "latency_ms", "DOUBLE"), "oss_packet_loss_pct": ("OSS", "packet_loss_pct", "DOUBLE"),
           "iot_battery_pct": ("IoT", "battery_pct", "DOUBLE")}


def is_number(text):
    try:
        return abs(float(text)) < float("inf") and text.isascii() and "_" not in text
    except ValueError:
        return False


def test_each_row_is_in_silver_or_refused_or_filtered_for_the_right_reason(example):
    _, _, con, _ = example
    kept = "quality_score >= 45 AND subscriber_id IS NOT NULL AND event_timestamp IS NOT NULL"
    # What a CAST refuses, by DuckDB from PyPI: the first in the order of the columns, or any of them.
    fails = ["CASE WHEN TRY_CAST(event_timestamp AS TIMESTAMP) IS NULL THEN ['event_timestamp' || chr(10) || event_timestamp] ELSE [] END"]
    for column, (domain, name, type_) in COLUMNS.items():
        value = f"(raw_payload->>'{name}')"
        fails.append(f"CASE WHEN event_type = '{domain}' AND {value} IS NOT NULL AND TRY_CAST({value} AS {type_}) IS NULL "
                     f"THEN ['{column}' || chr(10) || ({value})] ELSE [] END")
    expected = {row[0]: row[1] for row in con.execute(
        f"SELECT row_number() OVER () AS n, {' || '.join(fails)} AS failed, * FROM bronze_raw_events WHERE {kept}").fetchall()}
    failing = [f for f in expected.values() if f]
    refused = con.execute("SELECT \"column\", \"text\", reason, source_row FROM tarn.quarantined_rows WHERE model = 'silver_clean_events'").fetchall()
    assert len(refused) == len(failing)
    possible = collections.Counter(tuple(sorted(f)) for f in failing)
    for column, text, reason, source in refused:
        assert any(f"{column}\n{text}" in f for f in possible), (column, text)
        assert json.loads(source)["event_id"] is None or "event_timestamp" in json.loads(source)
        if column == "event_timestamp":
            assert reason in ("is not of type TIMESTAMP", "is a time that there is not, or that TIMESTAMP does not hold")
            assert ("a time" in reason) == bool(re.match(r"\s*[+-]?\d+-\d+-\d+", text, re.ASCII)), (text, reason)
        else:
            held = "is a number that" in reason
            assert held == is_number(text.strip(" \t\n\r\v\f")) or not text.isascii() or "\0" in text, (column, text, reason)
    assert con.execute("SELECT count(*) FROM silver_clean_events").fetchone()[0] == len(expected) - len(failing)
    model = con.execute("SELECT filtered, conditions FROM tarn.models WHERE model = 'silver_clean_events'").fetchone()
    by_condition = dict(zip(json.loads(model[1]), (int(n) for n in model[0].split(","))))
    assert sum(by_condition.values()) == con.execute(f"SELECT count(*) FROM bronze_raw_events WHERE ({kept}) IS NOT TRUE").fetchone()[0]
    assert by_condition["quality_score >= 45"] == con.execute(
        "SELECT count(*) FROM bronze_raw_events WHERE (quality_score >= 45) IS NOT TRUE").fetchone()[0]
