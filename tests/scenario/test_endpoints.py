"""DuckLakeEndpoints: values, rights, forms, pages, kept answers - beside what DuckDB from PyPI reads of the same lake."""

import csv
import io
import json
import math
import shutil
import socket
import threading
import urllib.parse

import pyarrow
import pyarrow.ipc
import pyarrow.parquet
import pytest
import support
from served import Served
from serving import read_all

TABLES = {
    "people": """SELECT i AS id, 'p' || i AS name, (i % 5)::INTEGER AS plan, i / 4.0 AS score, i % 2 = 0 AS business,
        DATE '2024-02-28' + i::INTEGER AS joined, TIMESTAMP '2024-02-28 23:00:00' + to_hours(i) AS seen FROM range(50) AS r(i)""",
    "odd": """SELECT * FROM (VALUES (1, 'nan'::DOUBLE, 1.5::DOUBLE, NULL::VARCHAR), (2, 'inf'::DOUBLE, NULL, 'x'),
        (3, '-inf'::DOUBLE, 0.1, '')) AS t(id, a, b, c)""",
    "gaps": "SELECT unnest([3, NULL, 1, NULL, 2]) AS a, unnest(['x', 'b', NULL, 'a', 'y']) AS b",
    "many": "SELECT i AS id, md5(i::VARCHAR) AS text FROM range(20000) AS r(i)",
}
COLUMNS = "id, name, plan, score, business, joined, seen"
WHERE = {"integer": "id >= $x", "double": "score < $x", "boolean": "business = $x", "date": "joined = $x", "timestamp": "seen > $x",
         "varchar": "name = $x"}
SIZE = {"name": "limit", "type": "integer", "default": "20", "minimum": "1", "maximum": "1000"}
ENDPOINTS = {
    **{kind: {"path": f"/by/{kind}", "sql": f"SELECT {COLUMNS} FROM people WHERE {where} ORDER BY id",
              "parameters": [{"name": "x", "type": kind, "required": True}]} for kind, where in WHERE.items()},
    "bounds": {"path": "/bounds", "sql": "SELECT $n AS n, $w AS w, $s AS s, $free AS free", "result": "object", "parameters": [
        {"name": "n", "type": "integer", "default": "7", "minimum": "1", "maximum": "9"}, {"name": "w", "enum": ["high", "low"], "default": "low"},
        {"name": "s", "maxLength": 3, "default": "abc"}, {"name": "free"}]},
    "one": {"path": "/people/{id}", "sql": "SELECT id, name FROM people WHERE id = $id;", "result": "object",
            "parameters": [{"name": "id", "type": "integer"}]},
    "top": {"path": "/people/top", "sql": "SELECT max(id) AS id FROM people", "result": "object"},
    "odd": {"path": "/odd", "sql": "SELECT * FROM odd ORDER BY id", "nullAs": {"*": "0", "c": '"-"'}},
    "bare": {"path": "/bare", "sql": "SELECT * FROM odd ORDER BY id"},
    "pages": {"path": "/pages", "sql": "SELECT id, name FROM people WHERE $plan IS NULL OR plan = $plan", "parameters": [
        SIZE, {"name": "plan", "type": "integer"}], "page": {"key": ["id"], "size": "limit"}},
    "wide": {"path": "/wide", "sql": "SELECT i || repeat('k', 1500) AS k FROM range(3) AS r(i) WHERE $name <> ''", "parameters": [
        SIZE, {"name": "name"}], "page": {"key": ["k"], "size": "limit"}},
    "gaps": {"path": "/gaps", "sql": "SELECT * FROM gaps -- all", "parameters": [SIZE], "page": {"key": ["a", "b"], "size": "limit"}},
    "twins": {"path": "/twins", "sql": "SELECT plan FROM people", "parameters": [SIZE], "page": {"key": ["plan"], "size": "limit"}},
    "many": {"path": "/many", "sql": "SELECT * FROM many ORDER BY id", "cache": {"maxBytes": "64Ki"}},
    "breaks": {"path": "/breaks", "sql": "SELECT i, md5(i::VARCHAR) AS text, (CASE WHEN i = 1900000 THEN 'x' ELSE '1' END)::INTEGER AS n "
               "FROM range(2000000) AS r(i)"},
    "secret": {"path": "/secret", "sql": "SELECT CAST(name AS INTEGER) AS n, $x AS x FROM people", "access": "anyone",
               "parameters": [{"name": "x", "type": "integer", "maximum": "9"}]},
    "lacking": {"path": "/lacking", "sql": "SELECT salary FROM people", "access": "anyone"},
    "count": {"path": "/count", "sql": "SELECT count(*) AS n FROM people", "result": "object", "cache": {"maxAge": "30s"}},
    "clock": {"path": "/clock", "sql": "SELECT now() AS t, count(*) AS n FROM people", "result": "object"},
    "dice": {"path": "/dice", "sql": "SELECT current_date AS d, random() AS x", "result": "object"},
    "seen": {"path": "/seen", "sql": "SELECT count(*) AS n FROM a_view", "result": "object"},
    "slow": {"path": "/slow", "sql": "SELECT count(*) AS n FROM range(60000000) AS r(i), people WHERE people.id = 1 AND hash(r.i, $salt) % 7 = 3",
             "result": "object", "parameters": [{"name": "salt", "type": "integer", "default": "1"}]},
    "stored": {"path": "/stored", "sql": "SELECT n, j FROM stored ORDER BY n"},
    "later": {"path": "/later", "sql": "SELECT * FROM not_yet", "result": "object"},
    "open": {"path": "/open", "sql": "SELECT count(*) AS n FROM people", "access": "anyone", "format": "csv"},
}
TOKENS = {"all": {}, "narrow": {"endpoints": ["co*", "people*"], "tables": ["nothing"], "query": False}, "few": {"maxRows": 10}}


@pytest.fixture(scope="module")
def served(session_folder):
    folder = session_folder / "endpoints"
    folder.mkdir()
    served = Served(folder, TABLES, ENDPOINTS)
    served.write("CREATE VIEW lake.a_view AS SELECT * FROM lake.people")
    yield served.start()
    served.end()


@pytest.fixture(scope="module")
def guarded(session_folder):
    folder = session_folder / "guarded"
    folder.mkdir()
    served = Served(folder, TABLES, ENDPOINTS, tokens=TOKENS)
    yield served.start()
    served.end()


def texts(rows):
    """As JSON has them: dates and times are texts."""
    return [{name: value if isinstance(value, (int, float, str, bool, type(None))) else str(value) for name, value in row.items()} for row in rows]


# ---- values


@pytest.mark.parametrize("kind, value, bound", [
    ("integer", "47", 47), ("integer", "0048", 48), ("integer", "-3", -3), ("double", "1.25", 1.25), ("double", "1e0", 1.0),
    ("boolean", "true", True), ("date", "2024-02-29", "2024-02-29"), ("timestamp", "2024-03-01T22:00:00Z", "2024-03-01 22:00:00"),
    ("timestamp", "2024-03-02T01:00:00+03:00", "2024-03-01 22:00:00"), ("timestamp", "2024-03-01 22:00:00", "2024-03-01 22:00:00"),
    ("varchar", "p7", "p7"), ("varchar", "p7' OR '1'='1", "p7' OR '1'='1"), ("varchar", "$x; DROP TABLE people --", "$x; DROP TABLE people --"),
    ("varchar", "ä\"\\\n\t", "ä\"\\\n\t"), ("varchar", "", ""),
])
def test_values_are_bound(served, kind, value, bound):
    cast = {"date": "CAST($x AS DATE)", "timestamp": "CAST($x AS TIMESTAMP)"}.get(kind, "$x")
    wanted = texts(served.read(f"SELECT {COLUMNS} FROM people WHERE {WHERE[kind].replace('$x', cast)} ORDER BY id", {"x": bound}))
    assert served.get(f"/by/{kind}?x={urllib.parse.quote(value)}") == wanted
    assert len(wanted) == {"47": 3, "0048": 2, "-3": 50}.get(value, len(wanted))


@pytest.mark.parametrize("path, told", [
    ("/by/integer", "The parameter x is missing; it is of type integer."),
    ("/by/integer?x=", "The parameter x, '': is not a whole number; would be a whole number of 64 bits."),
    ("/by/integer?x=1.0", "The parameter x, '1.0': is not a whole number"), ("/by/integer?x=9223372036854775808", "is too large"),
    ("/by/integer?x=1%20OR%201=1", "is not a whole number"), ("/by/double?x=nan", "is not a number"), ("/by/double?x=1e999", "is too large"),
    ("/by/boolean?x=1", "is not a boolean; would be true or false"), ("/by/date?x=2023-02-29", "is not a date; would be a date such as 2026-01-31"),
    ("/by/timestamp?x=2024-03-01T25:00:00Z", "is not a date and time"), ("/by/integer?x=1&x=2", "The parameter x stands there twice."),
    ("/by/integer?x=1&y=2", "There is no parameter 'y' here; there are x."), ("/by/integer?X=1", "There is no parameter 'X' here; there are x."),
    ("/bounds?n=0", "The parameter n, '0': is below 1."), ("/bounds?n=10", "The parameter n, '10': is above 9."),
    ("/bounds?w=High", "The parameter w, 'High': is not one of high, low."), ("/bounds?s=abcd", "The parameter s, 'abcd': has more than 3 characters."),
    ("/people/x", "The parameter id, 'x': is not a whole number"), ("/people/1?id=1", "There is no parameter 'id' here; there is none."),
    ("/pages?limit=0", "is below 1"), ("/pages?limit=1001", "is above 1000"), ("/pages?cursor=abc", "The cursor is not one that a page of this request"),
    ("/count?cursor=abc", "There is no parameter 'cursor' here; there is none."),
])
def test_wrong_values_are_told(served, path, told):
    answer = served.ask(path)
    assert answer.status == 400 and told in answer.detail, answer.body


def test_what_is_not_given_is_its_default_or_null(served):
    assert served.get("/bounds") == {"n": 7, "w": "low", "s": "abc", "free": None}
    assert served.get("/bounds?n=9&w=high&s=%C3%A4%C3%B6%C3%BC&free=") == {"n": 9, "w": "high", "s": "äöü", "free": ""}


# ---- paths, methods, forms


def test_paths(served):
    assert served.get("/people/7") == {"id": 7, "name": "p7"} and served.get("/people/top") == {"id": 49}
    assert served.ask("/people/50").detail == "there is no such row" and served.ask("/people/50").status == 404
    for path in ("/people", "/people/", "/people/7/", "/People/7", "/people/7/8", "//people/7", "/nothing"):
        assert served.ask(path).status in (400, 404), path


def test_methods(served):
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        answer = served.ask("/count", method=method)
        assert answer.status == 405 and answer.headers["Allow"] == "GET, HEAD, OPTIONS"
    answer = served.ask("/count", method="OPTIONS")
    assert answer.status == 204 and answer.headers["Allow"] == "GET, HEAD, OPTIONS"
    head, get = served.ask("/count", method="HEAD"), served.ask("/count")
    assert head.status == 200 and head.body == b"" and head.headers["ETag"] == get.headers["ETag"]
    assert head.headers["Content-Length"] == get.headers["Content-Length"]


def test_forms(served):
    rows = texts(served.read(f"SELECT {COLUMNS} FROM people WHERE id >= 45 ORDER BY id"))
    path = "/by/integer?x=45"
    answer = served.ask(path, Accept="text/csv")
    assert answer.headers["Content-Type"].startswith("text/csv")
    read = list(csv.DictReader(io.StringIO(answer.body.decode())))
    assert [row["name"] for row in read] == [row["name"] for row in rows] and list(read[0]) == COLUMNS.split(", ")
    lines = served.ask(path, Accept="application/x-ndjson").body.decode().splitlines()
    assert [json.loads(line) for line in lines] == rows
    table = pyarrow.ipc.open_stream(served.ask(path, Accept="application/vnd.apache.arrow.stream").body).read_all()
    assert table.column("score").to_pylist() == [row["score"] for row in rows]
    table = pyarrow.parquet.read_table(io.BytesIO(served.ask(path, Accept="application/vnd.apache.parquet").body))
    assert table.column("id").to_pylist() == [row["id"] for row in rows]
    assert served.ask(path, Accept="text/html, application/xml;q=0.9, */*;q=0.1").headers["Content-Type"] == "application/json"
    assert served.ask(path, Accept="application/json;q=0.1, text/csv;q=0.2").headers["Content-Type"].startswith("text/csv")
    for path, accept in ((path, "text/html"), ("/count", "text/csv"), ("/pages", "application/vnd.apache.parquet"), (path, "application/json;q=0")):
        answer = served.ask(path, Accept=accept)
        assert answer.status == 406 and "Accept takes none of the forms" in answer.detail
    assert served.ask("/open").headers["Content-Type"].startswith("text/csv")


def test_null_nan_and_infinity(served):
    assert served.get("/odd") == [{"id": 1, "a": 0, "b": 1.5, "c": "-"}, {"id": 2, "a": 0, "b": 0, "c": "x"}, {"id": 3, "a": 0, "b": 0.1, "c": ""}]
    assert served.get("/bare") == [{"id": 1, "a": None, "b": 1.5, "c": None}, {"id": 2, "a": None, "b": None, "c": "x"},
                                   {"id": 3, "a": None, "b": 0.1, "c": ""}]


def test_a_stored_document_makes_no_rows(served):
    """An arrow.json value is what its producer says: one of several lines is one row, and what is no JSON is a text."""
    documents = ['{"id": 1,\n "amount": 1.10}', '1}, {"id": 7, "amount": 0', "1}\n{2", "NaN", "", None]
    stored = pyarrow.ExtensionArray.from_storage(pyarrow.json_(), pyarrow.array(documents))
    served.write("DROP TABLE IF EXISTS lake.stored")
    served.writer.register("documents", pyarrow.table({"n": range(len(documents)), "j": stored}))
    served.write("CREATE TABLE lake.stored AS FROM documents")
    told = [{"id": 1, "amount": 1.1}, *documents[1:3], None, *documents[4:]]
    rows = [{"n": n, "j": value} for n, value in enumerate(told)]
    assert served.get("/stored") == rows
    assert [json.loads(line) for line in served.ask("/stored", Accept="application/x-ndjson").body.decode().splitlines()] == rows


def test_an_answer_that_is_too_large_to_be_kept_streams(served):
    rows = served.get("/many")
    assert len(rows) == 20000 and [row["id"] for row in rows] == list(range(20000))
    answer = served.ask("/many")
    assert answer.cache == "fwd=bypass" and answer.json() == rows and "Content-Length" not in answer.headers
    assert answer.headers["Trailer"] == "Tarn-Rows, Tarn-Duration-Ms, Tarn-Error" and "Tarn-Rows" not in answer.headers
    text = whole_text(served, "/many")
    assert b"\r\n0\r\nTarn-Rows: 20000\r\nTarn-Duration-Ms: " in text[-200:] and text.endswith(b"\r\n\r\n")
    text = whole_text(served, "/breaks", "TE: trailers\r\n")
    assert b" 200 OK" in text[:20] and b"\r\n0\r\nTarn-Error: invalid\r\nTarn-Duration-Ms: " in text[-200:] and not text.endswith(b"\r\n\r\n")


def whole_text(served, path, more=""):
    """All that comes on a connection, with the framing."""
    host, port = served.address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=60) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{more}\r\n".encode())
        return read_all(client)


# ---- who may


def test_rights(guarded):
    for path in ("/count", "/people/7", "/bounds?n=0"):
        answer = guarded.ask(path)
        assert answer.status == 401 and answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert guarded.ask(path, token="x" * 43).status == 401
    answer = guarded.ask("/bounds", token="narrow")
    assert answer.status == 403 and answer.detail == "The token has no right to this endpoint."
    # The endpoint's SELECT is the manifest's: it reads what the token alone could not.
    assert guarded.ask("/count", token="narrow").json() == {"n": 50}
    assert guarded.ask("/query", token="narrow", method="POST", body='{"sql": "SELECT 1"}', Content_Type="application/json").status == 403
    assert guarded.ask("/open").body.decode() == "n\n50\n"


def test_a_tokens_bound_of_rows_holds_of_kept_answers_too(guarded):
    path = "/by/integer?x=30"
    assert guarded.ask(path, token="few").status == 422
    assert len(guarded.ask(path, token="all").json()) == 20 and guarded.ask(path, token="all").cache == "hit"
    answer = guarded.ask(path, token="few")
    assert answer.status == 422 and "more rows" in answer.detail
    assert len(guarded.ask("/by/integer?x=41", token="few").json()) == 9


@pytest.mark.parametrize("path, hidden", [("/secret", "p0"), ("/lacking", "salary")])
def test_why_a_select_fails_is_for_the_log(guarded, path, hidden):
    """Who asks may read neither the table nor the SELECT: its values and columns, in DuckDB's words, are not for them."""
    answer = guarded.ask(path)
    assert answer.status == 422 and answer.json()["type"] == "urn:tarn:problem:invalid"
    assert answer.detail.endswith("the server's log says why.")
    assert not any(word in answer.body.decode() for word in (hidden, "business", "people", "INT32"))
    told = guarded.process.wait_event("endpoint_failed", where=lambda record: record["endpoint"] == path[1:])
    assert hidden in told[-1]["message"]
    assert guarded.ask("/secret?x=10").detail == "The parameter x, '10': is above 9."


# ---- kept answers


def test_a_repeat_is_kept_and_a_commit_of_another_table_changes_nothing(served):
    first = served.ask("/count")
    assert first.status == 200 and first.headers["Cache-Control"] == "private, max-age=30"
    before = len(served.asked())
    again = served.ask("/count")
    assert again.cache == "hit" and again.body == first.body and again.headers["ETag"] == first.headers["ETag"]
    answer = served.ask("/count", If_None_Match=first.headers["ETag"])
    assert answer.status == 304 and answer.body == b"" and answer.headers["ETag"] == first.headers["ETag"]
    served.write("CREATE TABLE IF NOT EXISTS lake.elsewhere AS SELECT 1 AS a", "INSERT INTO lake.elsewhere VALUES (2)")
    later = served.ask("/count")
    assert later.cache == "hit" and int(later.headers["Tarn-Snapshot"]) == served.snapshot() > int(first.headers["Tarn-Snapshot"])
    assert served.ask("/count", If_None_Match=f'"x", {first.headers["ETag"]}').status == 304
    assert served.ask("/count", If_None_Match="*").status == 304
    assert len(served.asked()) == before, "a worker was asked"


def test_a_commit_of_its_table_is_seen_at_once(served):
    tags = set()
    for turn in range(5):
        served.write(f"INSERT INTO lake.people SELECT {1000 + turn}, 'n', 0, 0, false, DATE '2000-01-01', TIMESTAMP '2000-01-01'")
        answer = served.ask("/count")
        assert answer.json() == {"n": 51 + turn} and answer.cache == "fwd=miss"
        tags.add(answer.headers["ETag"])
        assert served.ask("/count").cache == "hit"
    assert len(tags) == 5
    for tag in tags - {answer.headers["ETag"]}:
        assert served.ask("/count", If_None_Match=tag).status == 200
    served.write("DELETE FROM lake.people WHERE id >= 1000")
    assert served.get("/count") == {"n": 50}


def test_each_value_and_form_has_its_answer(served):
    one, other = served.ask("/by/integer?x=48"), served.ask("/by/integer?x=49")
    form = served.ask("/by/integer?x=48", Accept="text/csv")
    assert len({one.headers["ETag"], other.headers["ETag"], form.headers["ETag"]}) == 3
    assert served.ask("/by/integer?x=0048").cache == "hit" and served.ask("/by/integer?x=0048").headers["ETag"] == one.headers["ETag"]
    assert served.ask("/by/integer?x=49", If_None_Match=one.headers["ETag"]).status == 200
    assert served.ask("/by/integer?x=48", If_None_Match=form.headers["ETag"]).status == 200


def test_what_may_differ_is_not_kept(served):
    for path in ("/clock", "/dice", "/seen"):
        one, other = served.ask(path), served.ask(path)
        assert one.status == 200 and "ETag" not in one.headers and one.headers["Cache-Control"] == "no-store"
        assert other.cache == "fwd=miss" and (path == "/seen" or one.body != other.body)


def test_metrics_tell_what_was_kept(served):
    def figures():
        found = {}
        for line in served.ask("/metrics").body.decode().splitlines():
            if line.startswith("tarn_endpoint_cache") and 'endpoint="top"' in line:
                found[line.partition("{")[0]] = float(line.rpartition(" ")[2])
        return found

    tag = served.ask("/people/top").headers["ETag"]
    before = figures()
    assert served.ask("/people/top").cache == "hit" and served.ask("/people/top", If_None_Match=tag).status == 304
    after = figures()
    assert after["tarn_endpoint_cache_hits_total"] == before["tarn_endpoint_cache_hits_total"] + 2
    assert after["tarn_endpoint_cache_misses_total"] == before["tarn_endpoint_cache_misses_total"] >= 1 and after["tarn_endpoint_cache_bytes"] > 0


def test_failures_are_not_kept(served):
    answer = served.ask("/later")
    assert answer.status == 503 and answer.detail == "The answer is made of the table not_yet, which is not there yet."
    assert int(answer.headers["Retry-After"]) > 0
    served.write("CREATE TABLE lake.not_yet AS SELECT 1 AS a")
    assert served.get("/later") == {"a": 1}
    served.write("DROP TABLE lake.not_yet")
    assert served.ask("/later").status == 503


def test_equal_questions_at_once_are_asked_once(served):
    before = len([line for line in served.asked() if line["event"] == "QueryStart" and line["route"] == "slow"])
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(served.ask("/slow?salt=5"))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status for answer in answers] == [200] * 6 and len({answer.body for answer in answers}) == 1
    assert len({answer.headers["ETag"] for answer in answers}) == 1
    asked = len([line for line in served.asked() if line["event"] == "QueryStart" and line["route"] == "slow"])
    assert asked == before + 1


# ---- pages


def pages(served, path, **headers):
    """All rows, page by page, as the Link header leads."""
    found = []
    while True:
        answer = served.ask(path, **headers)
        assert answer.status == 200, answer.body
        body = answer.json()
        found.append(body["rows"])
        if body["next"] is None:
            assert "Link" not in answer.headers
            return found
        target, rel = answer.headers["Link"].split("; ")
        assert rel == 'rel="next"' and target.startswith("<?") and target.endswith(">")
        assert urllib.parse.parse_qs(target[2:-1])["cursor"] == [body["next"]]
        path = path.split("?")[0] + target[1:-1]


def test_pages_have_each_row_once(served):
    for limit in (7, 25, 50, 1000):
        found = pages(served, f"/pages?limit={limit}")
        assert [row for page in found for row in page] == served.read("SELECT id, name FROM people ORDER BY id")
        assert [len(page) for page in found] == [limit] * (50 // limit) + ([50 % limit] if 50 % limit else [])
    found = pages(served, "/pages?limit=3&plan=2")
    assert [row["id"] for page in found for row in page] == list(range(2, 50, 5)) and [len(page) for page in found] == [3, 3, 3, 1]
    assert served.get("/pages?plan=9") == {"rows": [], "next": None}
    assert [row for page in pages(served, "/gaps?limit=1") for row in page] == served.read("SELECT * FROM gaps ORDER BY a NULLS LAST, b NULLS LAST")


def test_pages_are_of_one_snapshot(served):
    first = served.get("/pages?limit=10")
    snapshot = served.snapshot()
    served.write("UPDATE lake.people SET name = 'changed'", "DELETE FROM lake.people WHERE id = 30")
    answer = served.ask(f"/pages?limit=40&cursor={first['next']}")
    assert int(answer.headers["Tarn-Snapshot"]) == snapshot
    rows = answer.json()["rows"]
    assert [row["id"] for row in rows] == list(range(10, 50)) and rows[20] == {"id": 30, "name": "p30"}
    assert served.get("/pages?limit=1")["rows"] == [{"id": 0, "name": "changed"}]
    # It expired: its pages are gone.
    served.write(f"CALL ducklake_expire_snapshots('lake', versions => [{snapshot}])", "CALL ducklake_cleanup_old_files('lake', cleanup_all => true)")
    answer = served.ask(f"/pages?limit=39&cursor={first['next']}")
    assert answer.status == 410 and "begin again without a cursor" in answer.detail, (answer.status, answer.body)
    served.write("DELETE FROM lake.people", f"INSERT INTO lake.people {TABLES['people']}")


def test_snapshots_may_expire_where_nothing_changed(served):
    first = served.get("/pages?limit=10")
    snapshot = served.snapshot()
    served.write("CREATE OR REPLACE TABLE lake.elsewhere AS SELECT 3 AS a")
    served.write(f"CALL ducklake_expire_snapshots('lake', versions => [{snapshot}])")
    assert [row["id"] for row in served.get(f"/pages?limit=40&cursor={first['next']}")["rows"]] == list(range(10, 50))


def test_a_cursor_is_of_its_request(served):
    cursor = served.get("/pages?limit=3&plan=2")["next"]
    assert served.ask(f"/pages?limit=5&plan=2&cursor={cursor}").status == 200
    wrong = [f"/pages?limit=3&plan=3&cursor={cursor}", f"/pages?limit=3&cursor={cursor}", f"/gaps?limit=3&cursor={cursor}",
             f"/pages?limit=3&plan=2&cursor={cursor[:-2]}", f"/pages?limit=3&plan=2&cursor={cursor}A", f"/pages?plan=2&cursor={cursor}&cursor={cursor}",
             "/pages?plan=2&cursor=" + "A" * 12000, "/pages?plan=2&cursor=%00", "/pages?plan=2&cursor="]
    for path in wrong:
        answer = served.ask(path)
        assert answer.status == 400, (path, answer.status)


def test_pages_in_other_forms(served):
    answer = served.ask("/pages?limit=2", Accept="text/csv")
    assert answer.body.decode() == "id,name\n0,p0\n1,p1\n" and 'rel="next"' in answer.headers["Link"]
    answer = served.ask("/pages" + answer.headers["Link"].split(">")[0][1:], Accept="application/x-ndjson")
    assert [json.loads(line)["id"] for line in answer.body.decode().splitlines()] == [2, 3]


def test_a_long_link_is_whole(served):
    """Of a long value and a long key: CSV has nothing else that leads on."""
    path, found = "/wide?limit=1&name=" + urllib.parse.quote("€" * 256), []
    while path:
        answer = served.ask(path, Accept="text/csv")
        found += answer.body.decode().splitlines()[1:]
        target, _, rel = answer.headers.get("Link", "").partition("; ")
        assert answer.status == 200 and rel == ('rel="next"' if target else ""), answer.headers.items()
        path = target and "/wide" + target.strip("<>")
    assert found == [f"{i}{'k' * 1500}" for i in range(3)]


def test_rows_of_one_key_on_both_sides_of_a_pages_end_are_told(served):
    answer = served.ask("/twins?limit=3")
    assert answer.status == 422 and "two rows have one key" in answer.detail
    # Ten rows have each plan: here no page's end is between two of them.
    assert [len(page) for page in pages(served, "/twins?limit=10")] == [10] * 5


# ---- another lake


def test_another_lake_in_its_place(folder, request):
    """Made anew, with the same snapshots' numbers, and brought back from a copy: nothing of the old one is answered, and its workers go."""
    served = Served(folder, {"t": "SELECT 1 AS v", "many": "SELECT * FROM range(9) r(i)"},
                    {"v": {"path": "/v", "sql": "SELECT v FROM t", "result": "object"},
                     "many": {"path": "/many", "sql": "SELECT i FROM many", "parameters": [SIZE], "page": {"key": ["i"], "size": "limit"}}}, pool={"hotTables": ["t"]})
    request.addfinalizer(served.end)
    served.start()

    def ask_sql(sql):
        answer = served.ask("/query?format=json", method="POST", body=sql, Content_Type="application/sql")
        assert answer.status == 200, (answer.status, answer.body, served.process.tail(5))
        return answer.json()

    def close():
        served.writer.close()
        served.writer = None

    def expect(value, cache):
        answer = served.ask("/v")
        assert (answer.status, answer.json(), answer.cache) == (200, {"v": value}, cache), (answer.status, answer.body, answer.headers.items())
        assert ask_sql("SELECT v FROM t") == [{"v": value}]
        return answer.headers["ETag"], answer.headers["Tarn-Snapshot"]

    def second_page(cursor, status):
        answer = served.ask(f"/many?limit=2&cursor={cursor}")
        assert answer.status == status, (answer.status, answer.body)
        assert answer.json()["rows"] == [{"i": 2}, {"i": 3}] if status == 200 else "lake of these pages is not there" in answer.detail

    tag, snapshot = expect(1, "fwd=miss")
    cursor = served.get("/many?limit=2")["next"]
    second_page(cursor, 200)
    assert expect(1, "hit") == (tag, snapshot)
    assert served.ask("/v", If_None_Match=tag).status == 304
    close()
    (folder / "lake").rename(folder / "old")
    (folder / "lake").mkdir()
    served.write("CREATE TABLE lake.t AS SELECT 2 AS v", "CREATE TABLE lake.many AS SELECT * FROM range(9) r(i)")
    other, number = expect(2, "fwd=miss")
    second_page(cursor, 410)
    second_page(served.get("/many?limit=2")["next"], 200)
    assert number == snapshot and other != tag
    assert served.ask("/v", If_None_Match=tag).status == 200 and served.ask("/v", If_None_Match=other).status == 304
    assert expect(2, "hit") == (other, number)

    close()
    shutil.copytree(folder / "lake", folder / "copy")
    served.write("UPDATE lake.t SET v = 3")
    third = expect(3, "fwd=miss")
    served.write("CREATE OR REPLACE TABLE lake.many AS SELECT * FROM range(9) r(i)")
    cursor = served.get("/many?limit=2")["next"]
    close()
    shutil.rmtree(folder / "lake")
    (folder / "copy").rename(folder / "lake")
    served.write("UPDATE lake.t SET v = 4")
    fourth = expect(4, "fwd=miss")
    assert fourth[1] == third[1] and fourth[0] != third[0]
    second_page(cursor, 410)  # of a snapshot that is not there yet
    served.write("CREATE OR REPLACE TABLE lake.many AS SELECT * FROM range(9) r(i)")
    second_page(cursor, 410)  # of one that has another time

    served.process.end()
    served.start()
    for old in tag, third[0]:
        assert served.ask("/v", If_None_Match=old).status == 200
    expect(4, "hit")


# ---- before the server answers


@pytest.mark.parametrize("sql, told", [
    ("SELECT * FROM read_csv('/etc/passwd')", "read_csv"), ("SELECT * FROM tarn.offsets", "tarn.offsets"), ("DROP TABLE people", "SELECT"),
    ("SELECT 1; SELECT 2", "one"), ("SELEC 1", "syntax error"), ("SELECT * FROM duckdb_settings()", "duckdb_settings"),
])
def test_a_select_that_may_not_run_ends_the_start(folder, sql, told):
    served = Served(folder, {}, {"bad": {"path": "/bad", "sql": sql}})
    done = support.tarn("serve", "tarn.yaml", "--listen", "127.0.0.1:0", "--anyone", folder=folder)
    assert done.returncode == support.INPUT and "DuckLakeEndpoint bad: spec.sql: " in done.stderr and told in done.stderr, done.stderr


# ---- what there is


def test_openapi_tells_of_what_the_token_may_ask(guarded):
    every = guarded.ask("/openapi.json", token="all").json()
    assert every["openapi"] == "3.1.0" and {spec["path"] for spec in ENDPOINTS.values()} < set(every["paths"])
    assert {"/query", "/metrics", "/healthz", "/readyz", "/openapi.json"} < set(every["paths"])
    narrow = guarded.ask("/openapi.json", token="narrow").json()
    assert "/count" in narrow["paths"] and "/bounds" not in narrow["paths"]
    nobody = guarded.ask("/openapi.json").json()
    assert "/open" in nobody["paths"] and "/count" not in nobody["paths"] and nobody["paths"]["/open"]["get"]["security"] == []
    assert guarded.ask("/openapi.json", token="x" * 43).status == 401
    assert not any(spec["sql"] in guarded.ask("/openapi.json", token="all").body.decode() for spec in ENDPOINTS.values())
    get = every["paths"]["/bounds"]["get"]
    assert get["parameters"][0] == {"name": "n", "in": "query", "required": False,
                                    "schema": {"type": "integer", "minimum": 1, "maximum": 9, "default": 7}}
    assert get["parameters"][1]["schema"] == {"type": "string", "enum": ["high", "low"], "default": "low"}
    assert every["paths"]["/people/{id}"]["get"]["parameters"][0]["in"] == "path"
    row = every["paths"]["/by/integer"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]["items"]
    assert row["properties"]["score"] == {"type": ["number", "null"]} and row["properties"]["business"] == {"type": ["boolean", "null"]}
    odd = every["paths"]["/odd"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]["items"]["properties"]
    assert odd["a"] == {"type": "number"} and odd["c"] == {"type": "string"}
    known = guarded.ask("/openapi.json", token="all")
    assert guarded.ask("/openapi.json", token="all", If_None_Match=known.headers["ETag"]).status == 304


def test_docs_are_a_page_of_our_own(served):
    page = served.ask("/docs")
    assert page.headers["Content-Type"] == "text/html; charset=utf-8" and "default-src 'none'" in page.headers["Content-Security-Policy"]
    text = page.body.decode()
    assert "http://" not in text and "https://" not in text and "/docs/docs.js" in text
    for path, kind in (("/docs/docs.css", "text/css"), ("/docs/docs.js", "text/javascript")):
        answer = served.ask(path)
        assert answer.status == 200 and answer.headers["Content-Type"].startswith(kind) and b"://" not in answer.body
    assert served.ask("/docs/x").status == 404 and served.ask("/docs", method="POST").status == 405
    known = served.ask("/docs", If_None_Match=page.headers["ETag"])
    assert known.status == 304 and known.headers["ETag"] == page.headers["ETag"]


def test_nothing_of_an_answer_is_nan(served):
    for spec in ENDPOINTS.values():
        if "{" in spec["path"] or any(p.get("required") for p in spec.get("parameters", [])) or spec["path"] in ("/slow", "/twins", "/later", "/open", "/breaks"):
            continue
        json.loads(served.ask(spec["path"]).body, parse_constant=lambda name: pytest.fail(f"{spec['path']}: {name}"))
    assert math.isnan(served.read("SELECT a FROM odd ORDER BY id")[0]["a"])
