"""examples/telecom as it is served: each endpoint of its manifest beside what DuckDB from PyPI reads of the same lake."""

import json
import math
import os
import sys

import pytest
import support
from support import DONE
from test_telecom import Example

sys.path.append(str(support.ROOT / "tests" / "scenario"))

from served import ask  # noqa: E402

EVENTS = 100_000 if support.LONG else 20_000
GOLD = "gold_subscriber_features"


class ServedExample(Example):
    def start(self):
        self.process = support.Process(["serve", self.manifest.name, "--listen", "127.0.0.1:0", "--anyone"], self.folder)
        self.address = self.process.address()
        return self

    def get(self, path, status=200, **headers):
        answer = ask(self.address, path, **headers)
        assert answer.status == status, (path, answer.status, answer.body)
        return answer

    def rows(self, sql):
        """Dictionaries, with 0 for NULL, as the endpoints say."""
        con = support.attach(self.target, "(READ_ONLY)")
        try:
            con.execute("USE lake")
            found = con.execute(sql)
            names = [column[0] for column in found.description]
            return [{name: 0 if value is None else value for name, value in zip(names, row)} for row in found.fetchall()]
        finally:
            con.close()


@pytest.fixture(scope="module")
def example(kafka, session_folder):
    topic = support.unique("telecom")
    done = support.tarn("produce", "--brokers", kafka.address, "--topic", topic, "--shape", "telecom", "--format", "json",
                        "--count", str(EVENTS), "--partitions", "2", timeout_s=110)
    assert done.returncode == DONE, done.stderr
    folder = session_folder / topic
    folder.mkdir()
    example = ServedExample(folder, kafka, "tarn.yaml", topic)
    example.run()
    example.start()
    name = example.rows(f"SELECT subscriber_id FROM {GOLD} LIMIT 1")[0]["subscriber_id"]
    example.untrained = [example.get(path, 503) for path in (f"/api/v1/subscribers/{name}", "/api/v1/analytics/churn")]
    yield example
    example.process.end()


@pytest.fixture(scope="module")
def trained(example):
    """The example with its model. The tests ask for what they need: which of them runs first, and in which of two processes, is open."""
    for words in (["model", "train"], ["transform"]):
        done = support.tarn(*words, str(example.manifest), timeout_s=110)
        assert done.returncode == DONE, done.stderr
    return example


def close(one, other):
    """The order in which threads add says the last digits of a mean of doubles."""
    return one == other or (isinstance(one, (int, float)) and math.isclose(one, other, rel_tol=1e-9, abs_tol=0.011))


def test_health(example):
    body = example.get("/api/v1/health").json()
    assert body["status"] == "ok" and body["time"].startswith("20")


def test_before_the_model_is_trained(example):
    one, all_scores = example.untrained
    assert one.detail == "The answer asks a model, which is not trained yet."
    assert all_scores.detail == "The answer is made of the table gold_churn_scores, which is not there yet."
    assert int(one.headers["Retry-After"]) > 0 and int(all_scores.headers["Retry-After"]) > 0


def test_subscribers(example):
    wanted = example.rows(f"SELECT * EXCLUDE (churn_label), CASE churn_label WHEN 1 THEN 'high' ELSE 'low' END AS risk FROM {GOLD} ORDER BY subscriber_id")
    body = example.get("/api/v1/subscribers").json()
    assert body["rows"] == wanted[:20] and body["next"]
    found, cursor = [], ""
    while cursor is not None:
        page = example.get(f"/api/v1/subscribers?limit=1000{cursor and f'&cursor={cursor}'}").json()
        found += page["rows"]
        cursor = page["next"]
    assert found == wanted
    for risk in ("high", "low"):
        rows = example.get(f"/api/v1/subscribers?limit=50&risk={risk}").json()["rows"]
        assert rows == [row for row in wanted if row["risk"] == risk][:50] and rows
    assert "is not one of high, low" in example.get("/api/v1/subscribers?risk=middle", 400).detail
    assert "is above 1000" in example.get("/api/v1/subscribers?limit=1001", 400).detail


def test_summary(example):
    body = example.get("/api/v1/analytics/summary").json()
    wanted = example.rows(f"""SELECT count(*) AS subscribers, sum(total_events)::BIGINT AS total_events, sum(bss_events)::BIGINT AS bss_events,
        sum(oss_events)::BIGINT AS oss_events, count(*) FILTER (churn_label = 1) AS high_risk, count(*) FILTER (churn_label = 0) AS low_risk,
        round(avg(churn_label), 4) AS churn_rate, round(avg(avg_signal_dbm), 2) AS avg_signal_dbm, round(avg(avg_latency_ms), 2) AS avg_latency_ms,
        round(avg(avg_packet_loss_pct), 3) AS avg_packet_loss_pct, round(avg(avg_bill_zmw), 2) AS avg_bill_zmw,
        round(avg(avg_data_used_mb), 1) AS avg_data_used_mb, round(avg(avg_battery_pct), 2) AS avg_battery_pct,
        round(avg(avg_quality_score), 2) AS avg_quality_score, max(max_days_overdue) AS max_days_overdue, sum(overdue_count)::BIGINT AS overdue_bills
        FROM {GOLD}""")[0]
    assert body.keys() == wanted.keys() and all(close(body[name], wanted[name]) for name in wanted), (body, wanted)
    assert body["subscribers"] > EVENTS // 100 and body["high_risk"] + body["low_risk"] == body["subscribers"]


def test_with_a_model(trained):
    example = trained
    body = example.get("/api/v1/analytics/churn").json()
    wanted = example.rows("""SELECT count(*) AS scored, count(*) FILTER (score >= 0.5) AS high_risk, round(avg(score), 4) AS mean_score, min(score) AS min_score,
        max(score) AS max_score, any_value(model_hash) AS model_hash FROM gold_churn_scores""")[0]
    assert all(close(body[name], wanted[name]) for name in wanted) and body["scored"] == example.get("/api/v1/analytics/summary").json()["subscribers"]
    scores = example.rows(f"""SELECT g.*, s.score FROM {GOLD} AS g JOIN gold_churn_scores AS s USING (subscriber_id) ORDER BY hash(subscriber_id) LIMIT 5""")
    for row in scores:
        score = row.pop("score")
        body = example.get(f"/api/v1/subscribers/{row['subscriber_id']}").json()
        assert {name: body[name] for name in row} == row
        assert body["churn_score"] == pytest.approx(score, abs=1e-12) and body["churn_risk"] == ("high" if score >= 0.5 else "low")
        # What the features add, in log odds, is the score.
        parts = body["explanation"]
        odds = sum(part["contribution"] for part in parts)
        assert 1 / (1 + math.exp(-odds)) == pytest.approx(score, abs=1e-5) and parts[-1]["feature"] == "(base)"
        assert {part["feature"] for part in parts[:-1]} == {name for name in row if name in {part["feature"] for part in parts}} and len(parts) == 8
    assert example.get("/api/v1/subscribers/nobody", 404).detail == "there is no such row"
    # A model that was written anew is asked anew, though the lake is as it was.
    path = f"/api/v1/subscribers/{scores[0]['subscriber_id']}"
    kept = example.get(path)
    assert kept.cache == "hit"
    os.utime(example.folder / "churn.json")
    again = example.get(path)
    assert again.cache == "fwd=miss" and again.body == kept.body and again.headers["ETag"] != kept.headers["ETag"]


def test_answers_are_json_and_kept(trained):
    example = trained
    for path in ("/api/v1/subscribers?limit=1000", "/api/v1/analytics/summary", "/api/v1/analytics/churn"):
        first, again = example.get(path), example.get(path)
        assert again.cache == "hit" and again.body == first.body
        json.loads(first.body, parse_constant=lambda name: pytest.fail(f"{path}: {name}"))
        assert example.get(path, 304, If_None_Match=first.headers["ETag"]).body == b""


def test_new_events_are_seen(example):
    before = example.get("/api/v1/analytics/summary")
    example.run()  # in another group: the lake's own offsets say that there is nothing new
    assert example.get("/api/v1/analytics/summary").cache == "hit"
    con = support.attach(example.target, f"(DATA_PATH '{example.folder}/lake/data/')")
    con.execute(f"DELETE FROM lake.{GOLD} WHERE subscriber_id = (SELECT min(subscriber_id) FROM lake.{GOLD})")
    con.close()
    after = example.get("/api/v1/analytics/summary")
    assert after.json()["subscribers"] == before.json()["subscribers"] - 1 and after.headers["ETag"] != before.headers["ETag"]
