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


def test_a_cut_connection_to_the_catalog_is_made_anew(kafka, make_lake, postgres, processes):
    """Each connection of the lake's database is cut while nobody asks. The next request finds that out, and is answered by another one."""
    topic = kafka.topic(1)
    seqs = kafka.producer().events(topic, 10, partitions=1)
    lake = make_lake("postgres", kafka.address, topic)
    lake.once()
    documents = lake.documents
    lake.documents = lambda **changes: [*documents(**changes), POOL, TOTALS]
    server = support.Process(["serve", str(lake.write("served.yaml")), "--listen", "127.0.0.1:0", "--anyone"], lake.folder,
                             environment=lake.environment)
    processes.append(server)
    address = server.address()
    want = {"n": len(seqs), "last": seqs.stop - 1}
    for _ in range(2):
        support.eventually("the endpoint tells all events", lambda: ask(address, "/api/totals").status == 200, 60, 0.2)
        cut = postgres.psql(f"SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity WHERE datname = '{lake.database}'")
        assert int(cut) >= 1
        # kept, and asked of no worker: the catalog alone has to tell that nothing has changed
        answer = ask(address, "/api/totals")
        assert (answer.status, answer.json(), answer.headers["Cache-Status"]) == (200, want, "tarn; hit")
    server.drain()


def test_another_lake_in_a_server(postgres, folder):
    """Made anew in the same database, with the same snapshots' numbers: nothing of the old one is answered, and its workers go."""
    database = postgres.database()

    def make(value):
        con = support.attach(f"ducklake:postgres:{postgres.connection(database)}", f"(DATA_PATH '{folder}/data/')")
        con.execute(f"CREATE TABLE lake.t AS SELECT {value} AS v")
        con.close()

    make(1)
    catalog = document("DuckLakeCatalog", "main", {"backend": {"type": "postgres", "connection": "${TARN_TEST_CONNECTION}"}, "dataPath": "data"})
    endpoint = document("DuckLakeEndpoint", "v", {"path": "/v", "sql": "SELECT v FROM t", "result": "object"})
    (folder / "serve.yaml").write_text("---\n".join(json.dumps(one) + "\n" for one in [catalog, POOL, endpoint]))
    process = support.Process(["serve", "serve.yaml", "--listen", "127.0.0.1:0", "--anyone"], folder,
                              environment={"TARN_TEST_CONNECTION": postgres.connection(database)})
    address = process.address()
    first = ask(address, "/v")
    assert (first.status, first.json()) == (200, {"v": 1}), first.body
    assert ask(address, "/v").cache == "hit"
    postgres.psql("ALTER SCHEMA public RENAME TO old; CREATE SCHEMA public", database)  # a DROP would wait for the worker
    make(2)
    second = ask(address, "/v", If_None_Match=first.headers["ETag"])
    assert (second.status, second.json()) == (200, {"v": 2}), (second.status, second.body, process.tail(5))
    assert second.headers["ETag"] != first.headers["ETag"] and len(process.events("another_lake")) == 1
    assert ask(address, "/v").cache == "hit"
    process.end()


def rows_of(address):
    """Of the table, as the console shows it."""
    answer = ask(address, "/console/overview")
    assert answer.status == 200, answer.body
    return next((table["rows"] for table in answer.json()["tables"] if table["name"] == "events"), None)
