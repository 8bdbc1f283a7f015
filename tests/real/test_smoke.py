"""The plain way, on every backend: what all the other tests build upon."""

import json

import pytest
import yaml

import support


@pytest.mark.sample(3)
@pytest.mark.parametrize("backend", support.PLACES)
def test_once(kafka, make_lake, backend):
    topic = kafka.topic(3)
    producer = kafka.producer()
    lake = make_lake(backend, kafka.address, topic)
    seqs = producer.events(topic, 30, rows=10, partitions=3)
    lake.once()
    lake.assert_exactly_once(seqs)
    more = producer.events(topic, 7, rows=3, partitions=3)
    lake.once()
    answer = lake.assert_exactly_once([*seqs, *more])
    assert [lane["next"] for lane in answer["lanes"]] == [13, 12, 12]
    if backend != "file":  # all in the lake's own place, which may move as a whole
        assert lake.read("SELECT count(*) FROM __ducklake_metadata_lake.ducklake_data_file WHERE NOT path_is_relative") == [(0,)]
    # Nothing new: nothing happens, and it ends.
    lake.once()
    lake.assert_exactly_once([*seqs, *more])
    assert lake.quarantine() == []


def test_another_program_may_write(kafka, make_lake):
    """The lake is DuckLake's, not Tarn's: another DuckDB with its own defaults adds and deletes rows of Tarn's table."""
    topic = kafka.topic()
    lake = make_lake("sqlite", kafka.address, topic)
    seqs = kafka.producer().events(topic, 5, rows=10)
    lake.once()
    con = support.attach(lake.target)
    con.execute("INSERT INTO lake.events SELECT * REPLACE (seq + 1000 AS seq) FROM lake.events")
    con.execute("UPDATE lake.events SET note = 'mine' WHERE seq >= 1000")
    assert con.execute("SELECT count(*) FROM lake.events WHERE note = 'mine'").fetchone() == (50,)
    con.execute("DELETE FROM lake.events WHERE seq >= 1000")
    options = dict(con.execute("SELECT scope_entry, value FROM ducklake_options('lake') WHERE option_name = 'parquet_row_group_size' "
                               "AND scope = 'TABLE'").fetchall())
    con.close()
    assert options.pop("tarn.quarantine") == "2048"  # whole messages: few in a group
    assert list(options) == ["main.events"] and int(options["main.events"]) % 2048 == 0
    lake.once()
    lake.assert_exactly_once(seqs)


def test_two_streams(kafka, make_lake):
    """`events` and `events-1` in one lake: in one process, and each is accounted for by itself."""
    topic = kafka.topic(2)
    producer = kafka.producer()
    lake = make_lake("sqlite", kafka.address, topic)
    seqs = producer.events(topic, 4, rows=5, partitions=2)
    documents = lake.documents()
    other = json.loads(json.dumps(documents[1]))
    other["metadata"]["name"] = "events-1"
    other["spec"]["table"] = "others"
    other["spec"]["kafka"] |= {"group": support.unique("group"), "topic": kafka.topic(1)}
    producer.events(other["spec"]["kafka"]["topic"], 3, rows=2)
    lake.manifest.write_text(yaml.safe_dump_all([*documents, other]))
    process = lake.start("--once")
    assert process.wait(60) == support.DONE, process.tail()
    done = support.tarn("verify", str(lake.manifest), "--format", "json")
    assert done.returncode == support.DONE, done.stdout
    assert [(a["stream"], a["table_rows"], len(a["lanes"])) for a in json.loads(done.stdout)] == [
        ("events", len(seqs), 2), ("events-1", 6, 1)]
