"""examples/telecom as its reader runs it: events of a topic, through the layers, on both of its manifests."""

import json
import re
import shutil

import pytest

import support
from support import DONE

EVENTS = 100_000 if support.LONG else 20_000
CONTENT = {
    "bronze_raw_events": "SELECT count(*), CAST(sum(CAST(hash(b) AS HUGEINT)) AS VARCHAR) FROM (SELECT * EXCLUDE (ingested_at) FROM lake.bronze_raw_events) b",
    "silver_clean_events": "SELECT count(*), CAST(sum(CAST(hash(s) AS HUGEINT)) AS VARCHAR) FROM (SELECT * EXCLUDE (ingested_at) FROM lake.silver_clean_events) s",
    "gold_subscriber_features": "SELECT count(*), CAST(sum(CAST(hash(g) AS HUGEINT)) AS VARCHAR) FROM lake.gold_subscriber_features g",
}


class Example:
    def __init__(self, folder, kafka, manifest, topic):
        self.folder = folder / "telecom"
        shutil.copytree(support.ROOT / "examples" / "telecom", self.folder)
        shutil.rmtree(self.folder / "lake", ignore_errors=True)
        self.manifest = self.folder / manifest
        text = self.manifest.read_text().replace("127.0.0.1:9092", kafka.address).replace("topic: telecom-events", f"topic: {topic}")
        self.manifest.write_text(text.replace("group: telecom", f"group: {support.unique('group')}"))
        self.target = f"ducklake:sqlite:{self.folder}/lake/catalog.sqlite" if manifest == "tarn.yaml" else f"{self.folder}/lake/telecom.duckdb"

    def run(self):
        text = re.sub(r"group: \S+", f"group: {support.unique('group')}", self.manifest.read_text())
        self.manifest.write_text(text)
        done = support.tarn("run", str(self.manifest), "--once", timeout_s=110)
        assert done.returncode == DONE, done.stderr[-3000:]

    def read(self, sql):
        con = support.attach(self.target, "(READ_ONLY)")
        try:
            return con.execute(sql).fetchall()
        finally:
            con.close()

    def content(self):
        return {table: self.read(sql)[0] for table, sql in CONTENT.items()}


@pytest.fixture(scope="module")
def topic(kafka):
    name = support.unique("telecom")
    done = support.tarn("produce", "--brokers", kafka.address, "--topic", name, "--shape", "telecom", "--format", "json",
                        "--count", str(EVENTS), "--partitions", "2", timeout_s=110)
    assert done.returncode == DONE, done.stderr
    return name


@pytest.mark.parametrize("manifest", ["tarn.yaml", "file.yaml"])
def test_the_example_is_what_its_sql_says(kafka, topic, folder, record_property, manifest):
    example = Example(folder, kafka, manifest, topic)
    example.run()
    content = example.content()
    bronze, silver, gold = (content[t][0] for t in CONTENT)
    record_property("rows", f"{bronze}/{silver}/{gold}")
    assert 0.985 * EVENTS <= bronze <= EVENTS and 0.93 * EVENTS <= silver <= 0.975 * EVENTS
    if EVENTS == 100_000:  # each subscriber has two events in so many
        assert 46_000 <= gold <= 50_000
    # Silver and gold, from bronze by another DuckDB: the model's own SQL, with TRY_CAST for CAST.
    sql = (example.folder / "models/silver/silver_clean_events.sql").read_text().replace("CAST(", "TRY_CAST(")
    refused = example.read("SELECT count(*) FROM lake.tarn.quarantined_rows")[0][0]
    con = support.attach(example.target, "(READ_ONLY)")
    con.execute("USE lake")
    assert con.execute(f"SELECT count(*) FROM (FROM silver_clean_events EXCEPT ALL ({sql}))").fetchone()[0] == 0
    assert con.execute(f"SELECT count(*) FROM ({sql})").fetchone()[0] == silver + refused
    gold_sql = (example.folder / "models/gold/gold_subscriber_features.sql").read_text()
    differ = con.execute(f"SELECT count(*) FROM (FROM gold_subscriber_features EXCEPT ALL ({gold_sql}))").fetchone()[0]
    # Plain sums of doubles depend on the order of rows: a mean may round the other way.
    assert differ <= gold // 1000 and con.execute(f"SELECT count(*) FROM ({gold_sql})").fetchone()[0] == gold
    con.close()
    # Again: nothing changes. Anew, from the topic: the same.
    turn = example.read("SELECT turn FROM lake.tarn.pipelines")
    example.run()
    assert example.content() == content and example.read("SELECT turn FROM lake.tarn.pipelines") == turn
    shutil.rmtree(example.folder / "lake")
    example.run()
    assert example.content() == content
    done = support.tarn("verify", str(example.manifest), "--topic", "--format", "json")
    assert done.returncode == DONE and json.loads(done.stdout)[0]["passed"], done.stdout
