"""`tarn run --listen`: the service beside a stream that goes on writing, wherever the lake is."""

import json
import sys

import pytest
import support

sys.path.append(str(support.ROOT / "tests" / "scenario"))

from served import ask, document  # noqa: E402

POOL = document("DuckLakePool", "readers", {"catalogRef": {"name": "main"}, "minSize": 1, "maxSize": 2})
TOTALS = document("DuckLakeEndpoint", "totals", {
    "path": "/api/totals", "result": "object", "sql": "SELECT count(*) AS n, max(seq) AS last FROM events WHERE seq >= $first",
    "parameters": [{"name": "first", "type": "integer", "default": 0}], "nullAs": {"*": -1}})
PLACES = ["sqlite", "postgres", "sqlite+s3", "postgres+s3"]  # a DuckDB file has one process (test_pool.py)


@pytest.mark.parametrize("place", support.places("postgres+s3", all=PLACES))
def test_it_answers_what_was_committed(kafka, make_lake, place):
    topic = kafka.topic(2)
    producer = kafka.producer()
    lake = make_lake(place, kafka.address, topic)
    documents = lake.documents
    lake.documents = lambda **changes: [*documents(**changes), POOL, TOTALS]
    process = lake.start("--listen", "127.0.0.1:0", "--anyone", manifest=lake.write("served.yaml"))
    address = process.address()
    tags = set()
    for turn in range(3):
        seqs = producer.events(topic, 10, partitions=2)

        def arrived():
            answer = ask(address, "/api/totals")
            return answer if answer.status == 200 and answer.json() == {"n": seqs.stop, "last": seqs.stop - 1} else None

        answer = support.eventually("the endpoint tells all events", arrived, 60, 0.2)
        assert ask(address, "/api/totals", If_None_Match=answer.headers["ETag"]).status == 304
        assert ask(address, f"/api/totals?first={seqs.start}").json()["n"] == len(seqs)
        assert answer.headers["ETag"] not in tags
        tags.add(answer.headers["ETag"])
        asked = ask(address, "/query", "POST", json.dumps({"sql": "SELECT seq, note FROM events WHERE seq >= ? ORDER BY seq",
                                                            "params": [seqs.start]}), Content_Type="application/json")
        lines = asked.body.decode().splitlines()
        assert asked.status == 200 and [line.split(",")[0] for line in lines] == ["seq", *map(str, seqs)], lines[:3]
    support.eventually("the console's overview tells all rows", lambda: rows_of(address) == seqs.stop, 60, 0.2)
    process.drain()
    lake.assert_exactly_once(range(seqs.stop))


def rows_of(address):
    """Of the table, as the console shows it."""
    answer = ask(address, "/console/overview")
    assert answer.status == 200, answer.body
    return next((table["rows"] for table in answer.json()["tables"] if table["name"] == "events"), None)
