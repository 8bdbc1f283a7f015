"""`tarn serve` as its clients see it: statuses, forms, streams, rights, and what happens when somebody misbehaves."""

import contextlib
import csv
import gzip
import http.client
import io
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import support
from serving import API, CATALOG, ROWS, STREAM, Service, Tokens, at, make_lake, pool, read_all, trusting

SLOW = "SELECT count(*) FROM range(100000) a, range(100000) b WHERE a.range * b.range % 7 = 3"  # minutes
MANY = "SELECT i::INTEGER AS i FROM range(%d) t(i)"
OPEN = f"""---
apiVersion: {API}
kind: DuckLakeEndpoint
metadata: {{name: open}}
spec: {{path: /open, sql: SELECT count(*) AS n FROM things, access: anyone}}
"""
# fails far behind the first block of its answer
FAILS_LATE = "SELECT (CASE WHEN i = 1900000 THEN 'x' ELSE '1' END)::INTEGER AS n FROM range(2000000) t(i)"


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    folder = tmp_path_factory.mktemp("serve")
    make_lake(folder)
    return folder


@pytest.fixture
def start(lake, folder):
    """A server of its own over the lake, or over what `text` says."""
    services = []

    def begin(*options, pools=pool(), text=None, **more):
        (folder / "serve.yaml").write_text(text or at(lake) + pools)
        services.append(Service(folder, *options, **more))
        return services[-1]

    yield begin
    for service in services:
        service.process.end()


@pytest.fixture(scope="module")
def service(lake):
    """The server of the tests that leave it as it was."""
    (lake / "serve.yaml").write_text(CATALOG + pool(least=2, most=2, queue=20, wait="20s"))
    tokens = Tokens(lake / "tokens.yaml")
    tokens.add("all")
    tokens.add("gold", tables=["gold_*"])
    tokens.add("endpoints", query=False)
    tokens.add("few", maxRows=10)
    tokens.add("short", maxDuration="300ms")
    tokens.add("elsewhere", catalogs=["other"])
    tokens.add("seldom", rate={"requests": 2, "per": "1h"})
    tokens.add("twice", rate={"requests": 2, "per": "1h"})
    service = Service(lake, "--tokens", "tokens.yaml", "--audit", "audit.jsonl")
    service.tokens, service.token = tokens.texts, tokens.texts["all"]
    yield service.until_ready()
    service.process.end()


# ---- statuses


def test_probes(service):
    assert service.request("GET", "/healthz", token=None).body == b"ok\n"
    answer = service.request("GET", "/metrics", token=None)
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    done = subprocess.run(["promtool", "check", "metrics"], input=answer.body, capture_output=True, timeout=30)
    assert done.returncode == 0, done.stdout + done.stderr
    head = service.request("HEAD", "/healthz", token=None)
    assert (head.status, head.body, head.headers["Content-Length"]) == (200, b"", "3")


@pytest.mark.parametrize("sql,members,status,name", [
    ("SELECT", {}, 400, "syntax"),
    ("SELECT 1; SELECT 2", {}, 400, "syntax"),
    ("DROP TABLE things", {}, 403, "forbidden"),
    ("SELECT 1", {"formt": "csv"}, 400, "bad_request"),
    ("SELECT 1", {"snapshot": -1}, 400, "bad_request"),
    ("SELECT * FROM read_csv('/etc/passwd')", {}, 403, "forbidden"),
    ("SELECT * FROM tarn.offsets", {}, 403, "forbidden"),
    ("SELECT * FROM things", {"snapshot": 100000}, 404, "not_found"),
    ("SELECT 1", {"catalog": "nowhere"}, 404, "no_catalog"),
    ("SELECT nothing FROM things", {}, 422, "invalid"),
    ("SELECT 'x'::INTEGER", {}, 422, "invalid"),
    ("SELECT $1 + $2", {"params": [1]}, 422, "parameters"),
])
def test_refusals(service, sql, members, status, name):
    answer = service.query(sql, **members)
    problem = answer.problem()
    assert (answer.status, problem["type"]) == (status, f"urn:tarn:problem:{name}"), problem
    assert str(service.folder) not in answer.body.decode()


def test_who_may(service):
    answer = service.query("SELECT 1", token=None)
    assert answer.status == 401 and answer.headers["WWW-Authenticate"] == 'Bearer realm="tarn"' and answer.problem()
    answer = service.query("SELECT 1", token="x" * 43)
    assert answer.status == 401 and 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
    assert service.query("SELECT 1", token=service.tokens["endpoints"]).problem()["type"].endswith(":not_allowed")
    for path in ("overview", "pool", "lineage.svg"):  # whoever may ask no SQL is told nothing of the lake
        assert service.request("GET", f"/console/{path}", token=service.tokens["endpoints"]).problem()["type"].endswith(":not_allowed"), path
    me = json.loads(service.request("GET", "/console/me", token=service.tokens["endpoints"]).body)
    assert (me["query"], me["lineage"]) == (False, False)
    assert service.query("SELECT 1", token=service.tokens["elsewhere"]).problem()["type"].endswith(":catalog")
    # a table that may not be read and one that is not there are told apart by nobody
    hidden, missing = (service.query(f"SELECT * FROM {t}", token=service.tokens["gold"]).problem() for t in ("things", "thongs"))
    assert hidden["status"] == missing["status"] and hidden["detail"].replace("things", "thongs") == missing["detail"]
    assert service.query("SELECT 1 FROM things LIMIT 11", token=service.tokens["few"]).problem()["type"].endswith(":rows")
    assert service.query("SELECT 1 FROM things LIMIT 10", token=service.tokens["few"]).status == 200


def test_time_and_rate(service):
    began = time.monotonic()
    answer = service.query(SLOW, token=service.tokens["short"])
    assert answer.status == 408 and answer.problem()["type"].endswith(":time") and time.monotonic() - began < 5
    assert service.process.metric("ducklake_pool_query_timeout_total") >= 1
    assert [service.query("SELECT 1", token=service.tokens["seldom"]).status for _ in range(3)] == [200, 200, 429]
    answer = service.query("SELECT 1", token=service.tokens["seldom"])
    assert 0 < int(answer.headers["Retry-After"]) <= 3600


def test_requests_that_are_none(service):
    json_type = {"Content-Type": "application/json"}
    cases = [
        ("GET", "/query?sql=SELECT+1", None, {}, 405),
        ("DELETE", "/query", None, {}, 405),
        ("GET", "/nowhere", None, {}, 404),
        ("POST", "/metrics", b"", {}, 405),
        ("POST", "/query", b"{}", {"Content-Type": "text/plain"}, 415),
        ("POST", "/query", b"{}", {"Content-Type": "application/json; charset=latin1"}, 415),
        ("POST", "/query", b"{}", json_type | {"Content-Encoding": "gzip"}, 415),
        ("POST", "/query", b"", json_type, 400),
        ("POST", "/query", b'{"sql":"\xff"}', json_type, 400),
        ("POST", "/query", b"[" * 100000, json_type, 400),
        ("POST", "/query?x=1", b'{"sql":"SELECT 1"}', json_type, 400),
        ("POST", "/query", b'{"sql":"SELECT 1"}', json_type | {"Accept": "text/html"}, 406),
        ("POST", "/query", b"x" * (8 << 20 | 1), json_type, 413),
        ("GET", "/" + "a" * 20000, None, {}, 414),
        ("GET", "/a%2Fb", None, {}, 400),
        ("GET", "/../metrics", None, {}, 400),
        ("GET", "/metrics", None, {"X-Long": "a" * 40000}, 431),
    ]
    for method, path, body, headers, status in cases:
        answer = service.request(method, path, body, headers)
        assert answer.status == status, (method, path[:50], headers, answer.status, answer.body[:300])
        assert answer.problem()
        assert status != 405 or answer.headers["Allow"]
    answer = service.request("OPTIONS", "/query")
    assert answer.status == 204 and answer.headers["Allow"] == "POST, OPTIONS"
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_bodies_are_taken_from_whom_they_may_come(service):
    """The answer is there though no byte of the body is, and the connection ends."""
    def ask(method, path, token=None, length="Content-Length: 1000000", more=""):
        who = f"Authorization: Bearer {token}\r\n" if token else ""
        began = time.monotonic()
        got = service.raw(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{who}{more}{length}\r\n\r\n".encode())
        assert time.monotonic() - began < 10 and b"Connection: close" in got, got
        return int(got.split()[1])

    for more in ("", "Expect: 100-continue\r\n"):
        assert ask("POST", "/query", more=more) == ask("POST", "/sql", more=more) == 401
    assert ask("POST", "/query", length="Transfer-Encoding: chunked") == 401
    assert ask("POST", "/query", "x" * 43) == 401
    assert ask("POST", "/query", service.tokens["endpoints"]) == 403
    assert ask("POST", "/nowhere") == 404 and ask("POST", "/metrics") == ask("PUT", "/query") == 405
    assert ask("GET", "/healthz") == 200 and ask("GET", "/console/me") == 401
    # a body that is taken takes one of the token's rate, one that is refused none
    twice = service.tokens["twice"]
    assert [service.query("SELECT 1", token=twice).status for _ in range(2)] == [200, 200]
    assert [ask("POST", "/query", twice) for _ in range(2)] == [429, 429]


def test_bodies_have_a_bound_together(service):
    with contextlib.ExitStack() as stack:
        def hold():
            client = stack.enter_context(socket.create_connection((service.host, service.port), timeout=20))
            client.sendall(f"POST /query HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {service.token}\r\n"
                           f"Expect: 100-continue\r\nContent-Length: {8 << 20}\r\n\r\n".encode())
            assert client.recv(1000).startswith(b"HTTP/1.1 100 ")
        for _ in range(8):
            hold()
        answer = service.query("SELECT 1")
        assert answer.status == 503 and answer.headers["Retry-After"] == "1" and answer.problem()["type"].endswith(":unavailable")
        assert service.request("GET", "/healthz").status == 200 and service.query("SELECT 1", token=None).status == 401
    support.eventually(lambda: "room for a body", lambda: service.query("SELECT 1").status == 200)


# ---- forms


SQL = "SELECT i, name, x FROM things WHERE i < 9 ORDER BY i"
EXPECTED = [(n, f"thing {n}", n / 4 if n % 7 else None) for n in range(9)]


def test_forms(service):
    answer = service.at_once(SQL)
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8; header=present"
    assert list(csv.reader(io.StringIO(answer.body.decode()))) == [["i", "name", "x"]] + [
        [str(i), name, "" if x is None else str(x)] for i, name, x in EXPECTED]
    assert answer.headers["Tarn-Rows"] == "9" and float(answer.headers["Tarn-Duration-Ms"]) > 0
    assert int(answer.headers["Tarn-Snapshot"]) > 0 and answer.headers["Tarn-Worker"] and answer.headers["Tarn-Queue-Ms"]
    objects = [dict(zip(("i", "name", "x"), row, strict=True)) for row in EXPECTED]
    assert json.loads(service.query(SQL, format="json").body) == objects
    assert [json.loads(line) for line in service.query(SQL, format="ndjson").body.splitlines()] == objects
    assert pa.ipc.open_stream(service.query(SQL, format="arrow").body).read_all().to_pylist() == objects
    assert pq.read_table(io.BytesIO(service.query(SQL, format="parquet").body)).to_pylist() == objects


def test_accept(service):
    def kind(accept, **members):
        return service.query("SELECT 1", headers={"Accept": accept}, **members).headers["Content-Type"].split(";")[0]

    assert kind("*/*") == "text/csv"
    assert kind("application/json") == "application/json"
    assert kind("application/vnd.apache.arrow.stream;q=0.9, application/x-ndjson;q=0.8") == "application/vnd.apache.arrow.stream"
    assert kind("text/html", format="json") == "application/json"


def test_codings(service):
    sql = "SELECT name FROM things ORDER BY i"
    plain = service.query(sql)
    assert plain.headers["Vary"] == "Accept-Encoding" and "Content-Encoding" not in plain.headers
    packed = service.query(sql, headers={"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip" and gzip.decompress(packed.body) == plain.body
    packed = service.query(sql, headers={"Accept-Encoding": "gzip, zstd"})
    assert packed.headers["Content-Encoding"] == "zstd" and len(packed.body) < len(plain.body) / 2
    assert pa.CompressedInputStream(pa.BufferReader(packed.body), "zstd").read() == plain.body
    assert "Content-Encoding" not in service.at_once("SELECT 1", headers={"Accept-Encoding": "gzip"}).headers


def test_parameters_snapshots_and_limits(service):
    assert service.rows("SELECT $1::INTEGER + 1 AS a, $2 AS b", params=[41, "x'; DROP"]) == [{"a": 42, "b": "x'; DROP"}]
    assert service.rows("SELECT i FROM things WHERE i = $wanted", params={"wanted": 5}) == [{"i": 5}]
    answer = service.request("POST", "/query", """{"sql": "SELECT $1::HUGEINT AS a, $1::UBIGINT AS b, $2::DECIMAL(38,2) AS c, $3 AS d, typeof($3) AS e, $4 AS f, $1 AS g",
        "format": "json", "params": [18446744073709551615, 12345678901234567890.12, 1.5, 1e2]}""", {"Content-Type": "application/json"})
    assert answer.body == (b'[{"a": 18446744073709551615, "b": 18446744073709551615, "c": 12345678901234567890.12, "d": 1.5, "e": "DOUBLE", '
                           b'"f": 100.0, "g": 18446744073709551615}]\n'), answer.body
    answer = service.request("POST", "/query", '{"sql": "SELECT $1", "params": [1e999]}', {"Content-Type": "application/json"})
    assert (answer.status, answer.problem()["detail"]) == (422, "parameter 1 is not a text, a finite number, true, false or null"), answer.body
    assert service.rows("SELECT count(*) AS n FROM things") == [{"n": ROWS}]
    newest = int(service.query("SELECT 1 FROM things").headers["Tarn-Snapshot"])
    counts = set()
    for snapshot in range(1, newest + 1):
        answer = service.query("SELECT count(*) FROM things", snapshot=snapshot)
        if answer.status == 200:
            assert answer.headers["Tarn-Snapshot"] == str(snapshot)
            counts.add(int(answer.body.split()[1]))
    assert counts >= {ROWS // 2, ROWS}
    assert len(service.rows("SELECT i FROM things -- a comment", limit=3)) == 3
    assert service.query("SELECT 1 AS a, 2 AS a", limit=1).body == b"a,a_1\n1,2\n"  # docs/http.md
    answer = service.request("POST", "/query?format=json&limit=2", b"SELECT i FROM things ORDER BY i DESC", {"Content-Type": "application/sql"})
    assert json.loads(answer.body) == [{"i": ROWS - 1}, {"i": ROWS - 2}]


def test_a_parameter_that_json_escapes(service):
    """It is six times as long on its way to a worker: what a frame holds is taken, what is more is told, and no worker ends for it."""
    lost = service.process.metric("tarn_pool_workers_lost_total")
    assert service.rows("SELECT length($1) AS n", params=["\t" * 1_450_000]) == [{"n": 1_450_000}]
    answer = service.query("SELECT length($1)", params=["\t" * 2_600_000])
    assert answer.status == 413 and answer.problem()["detail"] == "The statement and its parameters are too large.", answer.body[:300]
    assert service.process.metric("tarn_pool_workers_lost_total") == lost


# ---- streams


def test_a_large_answer_in_flat_memory(service):
    """10 million rows; the server's memory, and that of its workers, stays where it was."""
    count = 10_000_000 if support.LONG else 3_000_000
    family = psutil.Process(service.process.pid)
    before = {p.pid: p.memory_info().rss for p in [family, *family.children()]}
    connection, most, began = service.connect(), 0, time.monotonic()
    connection.request("POST", "/query", json.dumps({"sql": MANY % count, "format": "arrow"}),
                       {"Content-Type": "application/json", "Authorization": f"Bearer {service.token}"})
    response = connection.getresponse()
    first = time.monotonic() - began
    rows = 0
    for batch in pa.ipc.open_stream(response):
        rows += batch.num_rows
        if rows % 100 == 0 or rows > count * 0.9:
            most = max(most, family.memory_info().rss - before[family.pid])
    took = time.monotonic() - began
    assert rows == count
    assert most < 16 << 20, f"the server grew by {most >> 20} MB"
    for worker in family.children():
        if worker.pid in before:
            assert worker.memory_info().rss < 512 << 20
    assert first < took / 2 or took < 0.5
    connection.close()


def test_trailers(service):
    client = service.open_query(MANY % 300000, more="Connection: close\r\n")
    text = read_all(client)
    head, _, body = text.partition(b"\r\n\r\n")
    assert b"Transfer-Encoding: chunked" in head and b"Trailer: Tarn-Rows" in head
    assert b"\r\n0\r\nTarn-Rows: 300000\r\nTarn-Duration-Ms: " in body[-200:] and body.endswith(b"\r\n\r\n")


@pytest.mark.parametrize("format", ["csv", "json", "ndjson", "arrow"])
def test_an_answer_that_breaks_is_not_taken_for_whole(service, format):
    connection = service.connect()
    with contextlib.closing(connection):
        connection.request("POST", "/query", json.dumps({"sql": FAILS_LATE, "format": format}),
                           {"Content-Type": "application/json", "Authorization": f"Bearer {service.token}"})
        response = connection.getresponse()
        if response.status != 200:  # it failed before the first block went out
            assert response.status == 422
            pytest.fail(f"the error was seen before the first block: {response.read()}")
        with pytest.raises(http.client.IncompleteRead):
            response.read()
    text = read_all(service.open_query(FAILS_LATE, format, more="TE: trailers\r\n"))
    assert b"\r\n0\r\nTarn-Error: invalid\r\nTarn-Duration-Ms: " in text[-200:] and not text.endswith(b"\r\n\r\n")
    if format == "arrow":
        assert not text.endswith(b"\xff\xff\xff\xff\0\0\0\0")


# ---- clients that misbehave


def test_who_goes_away_frees_the_worker(start):
    service = start("--anyone", pools=pool(least=1, most=1)).until_ready()
    for sql in (SLOW, MANY % 2_000_000_000):  # before the first row, and in the middle
        client = service.open_query(sql)
        support.eventually(lambda: "a busy worker", lambda: service.busy() == 1)
        time.sleep(0.3)
        client.close()
        began = time.monotonic()
        support.eventually(lambda: f"an idle worker\n{service.process.tail()}", lambda: service.process.metric("ducklake_pool_pods_idle") == 1, 10)
        assert time.monotonic() - began < 1
        assert service.rows("SELECT 1 AS a") == [{"a": 1}]
    ends = [r["outcome"] for r in service.process.events("query_end")]
    assert ends.count("cancelled") == 2, ends


def test_a_slow_reader_holds_only_its_own(service):
    client = service.open_query(MANY % 2_000_000_000)
    client.recv(100)
    before = psutil.Process(service.process.pid).memory_info().rss
    for _ in range(10):
        assert service.rows("SELECT 1 AS a") == [{"a": 1}]
        time.sleep(0.05)
    assert psutil.Process(service.process.pid).memory_info().rss - before < 8 << 20
    client.close()


def test_a_full_queue(start):
    service = start("--anyone", pools=pool(least=1, most=1, queue=1, wait="500ms")).until_ready()
    holder = service.open_query(SLOW)
    support.eventually(lambda: "a busy worker", lambda: service.busy() == 1)
    statuses, lock = [], threading.Lock()

    def ask():
        answer = service.query("SELECT 1")
        with lock:
            statuses.append((answer.problem()["type"].rsplit(":", 1)[1], int(answer.headers["Retry-After"]) > 0, answer.status))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [("queue_full", True, 503)] * 2 + [("queue_waited", True, 503)]
    holder.close()


def test_an_overview_that_another_tokens_bounds_refuse(start, folder):
    """Both wait for the one worker, the hasty token before the other: its bound of time is not the other one's."""
    tokens = Tokens(folder / "tokens.yaml")
    hasty, other = tokens.add("hasty", maxDuration="1ms"), tokens.add("other")
    service = start("--tokens", "tokens.yaml", pools=pool(least=1, most=1, queue=5)).until_ready()
    service.token = other
    holder = service.open_query(SLOW)
    support.eventually(lambda: "a busy worker", lambda: service.busy() == 1)
    answers = {}
    threads = {token: threading.Thread(target=lambda token=token: answers.update({token: service.request("GET", "/console/overview", token=token)}))
               for token in (hasty, other)}
    threads[hasty].start()
    support.eventually(lambda: "one waits", lambda: service.process.metric("ducklake_pool_queue_length") == 1)
    threads[other].start()
    time.sleep(1)
    holder.close()
    for thread in threads.values():
        thread.join()
    assert answers[hasty].problem()["type"].endswith(":time") and answers[other].status == 200, answers[other].body


SECONDS = "SELECT count(*) AS n FROM range(10000) a, range(10000) b WHERE a.range * b.range % 7 = 3"


@pytest.mark.parametrize("kills,status", [(1, 200), (2, 503)])
def test_a_worker_that_is_killed(start, kills, status):
    """Before it had said anything: another one is asked, and the client sees nothing of it; a second time it is told."""
    service = start("--anyone", pools=pool(least=1, most=1)).until_ready()
    answers = []
    thread = threading.Thread(target=lambda: answers.append(service.query(SECONDS)))
    thread.start()
    for lost in range(kills):
        support.eventually(lambda: f"a busy worker\n{service.process.tail()}",
                           lambda: service.process.metric("tarn_pool_workers_lost_total") == lost and service.busy() == 1)
        for worker in psutil.Process(service.process.pid).children():
            worker.kill()
    thread.join(60)
    assert answers[0].status == status, answers[0].body
    assert answers[0].body == b"n\n12243674\n" if status == 200 else answers[0].problem()["type"].endswith(":lost")
    assert service.rows("SELECT 1 AS a") == [{"a": 1}]
    assert service.process.metric("tarn_pool_workers_lost_total") == kills
    assert service.process.metric("ducklake_pool_retry_total") == 1
    outcomes = [r["outcome"] for r in service.process.events("query_end")]
    assert outcomes == ["ok" if status == 200 else "lost", "ok"]  # one line a query, however many workers had it


def test_trickling_requests_are_cut(service):
    """Of 40 connections whose request never comes nobody else notices anything."""
    clients = [socket.create_connection((service.host, service.port)) for _ in range(40)]
    for client in clients:
        client.sendall(b"POST /query HTTP/1.1\r\nHost: h\r\nContent-Le")
    assert service.rows("SELECT 1 AS a") == [{"a": 1}]
    for client in clients:
        client.close()


# ---- rights, certificates, the audit log


def test_tokens_are_read_again(start, folder):
    tokens = Tokens(folder / "tokens.yaml")
    first = tokens.add("first")
    service = start("--tokens", "tokens.yaml")
    assert service.query("SELECT 1", token="y" * 43).status == 401
    second = tokens.add("second")
    support.eventually(lambda: "the second token is known", lambda: service.query("SELECT 1", token=second).status == 200)
    del tokens.documents["first"]
    tokens.write()
    support.eventually(lambda: "the first token is gone", lambda: service.query("SELECT 1", token=first).status == 401)
    tokens.path.write_text("no: token\n")

    def told():
        service.query("SELECT 1", token=first)
        return service.process.events("tokens_wrong")

    support.eventually(lambda: "the mistake is told", told)
    assert service.query("SELECT 1", token=second).status == 200
    for text in (first, second):
        assert text not in service.process.text()


def make_certificate(folder, name):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", f"/CN={name}", "-keyout", folder / "draft.key", "-out", folder / "draft.crt"], check=True, capture_output=True)
    shutil.copy(folder / "draft.crt", folder / f"{name}.crt")
    (folder / "draft.key").rename(folder / "key.pem")
    (folder / "draft.crt").rename(folder / "cert.pem")
    return trusting(folder / f"{name}.crt")


def test_certificates_are_read_again(start, folder):
    old = make_certificate(folder, "old")
    service = start("--anyone", "--tls-cert", "cert.pem", "--tls-key", "key.pem")
    body, headers = json.dumps({"sql": "SELECT 1 AS a"}), {"Content-Type": "application/json"}
    assert service.request("POST", "/query", body, headers, context=old).body == b"a\n1\n"
    kept = http.client.HTTPSConnection(service.host, service.port, context=old)
    kept.request("GET", "/healthz")
    assert kept.getresponse().read() == b"ok\n"
    (folder / "cert.pem").write_text("nonsense")
    service.process.wait_event("certificate_wrong")
    assert service.request("GET", "/healthz", context=old).status == 200
    new = make_certificate(folder, "new")
    support.eventually(lambda: f"the new certificate\n{service.process.tail()}", lambda: service.process.events("certificate"))
    assert service.request("GET", "/healthz", context=new).status == 200
    with pytest.raises(ssl.SSLCertVerificationError):
        service.request("GET", "/healthz", context=old)
    kept.request("GET", "/healthz")  # the connection from before goes on
    assert kept.getresponse().read() == b"ok\n"
    # plain HTTP to TLS: no answer, and nothing breaks
    assert not service.raw(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n", 3).startswith(b"HTTP/1.1 2")


def test_the_audit_log(service):
    service.query("SELECT 'audited'")
    service.query("SELECT $1 AS p", params=["a secret value"])
    service.query("SELECT nothing FROM things")
    lines = [json.loads(line) for line in (service.folder / "audit.jsonl").read_text().splitlines()]
    starts = {r["id"]: r for r in lines if r["event"] == "QueryStart"}
    ends = {r["id"]: r for r in lines if r["event"] == "QueryEnd"}
    assert len(starts) + len(ends) == len(lines) and starts.keys() == ends.keys()
    last = list(starts)[-3:]
    assert starts[last[0]]["sql"] == "SELECT 'audited'" and starts[last[0]]["token"] == "all" and starts[last[0]]["client"] == "127.0.0.1"
    assert [ends[i]["outcome"] for i in last] == ["ok", "ok", "invalid"] and ends[last[0]]["rows"] == 1
    text = (service.folder / "audit.jsonl").read_text() + service.process.text()
    assert "a secret value" not in text and not any(token in text for token in service.tokens.values())
    assert os.stat(service.folder / "audit.jsonl").st_mode & 0o777 == 0o600


# ---- how it begins and ends


def test_the_first_token(start, folder):
    service = start(environment={"XDG_RUNTIME_DIR": ""})
    path = service.process.wait_event("first_token")[0]["file"]
    assert os.path.dirname(path) == str(folder) and os.stat(path).st_mode & 0o777 == 0o600
    token = open(path).read().strip()
    assert service.query("SELECT 1", token=token).status == 200 and service.query("SELECT 1", token=None).status == 401
    assert token not in service.process.text()
    service.process.drain()
    assert not os.path.exists(path) and token not in service.process.text()


def test_anyone_is_of_this_machine_alone(start, lake, folder):
    service = start("--anyone", text=at(lake) + pool() + OPEN).until_ready()
    body = b'{"sql":"SELECT 1"}'
    for host, status in (("127.0.0.1", 200), ("localhost:80", 200), ("[::1]:80", 200), ("evil.example", 421), ("127.0.0.1.evil.example", 421)):
        answer = service.request("POST", "/query", body, {"Content-Type": "application/json", "Host": host})
        assert answer.status == status, (host, answer.body)
    # Whatever it is, somebody's page must not read it; how the process is may be asked by any name.
    for path, status in (("/open", 421), ("/metrics", 421), ("/", 421), ("/docs", 421), ("/openapi.json", 421), ("/nowhere", 421),
                         ("/healthz", 200), ("/readyz", 200)):
        assert service.request("GET", path, headers={"Host": "evil.example"}).status == status, path
        assert service.request("GET", path).status == (404 if path == "/nowhere" else 200), path
    done = support.tarn("serve", "serve.yaml", "--anyone", "--listen", "0.0.0.0:0", folder=folder)
    assert done.returncode == support.INPUT and "127.0.0.1" in done.stderr


def test_token_command(start, folder):
    done = support.tarn("token", "dash", "--table", "things", "--max-rows", "5", "--rate", "100", "--token-file", "dash.token", folder=folder)
    assert done.returncode == support.DONE, done.stderr
    text = (folder / "dash.token").read_text().strip()
    assert os.stat(folder / "dash.token").st_mode & 0o777 == 0o600 and text not in done.stdout + done.stderr
    (folder / "tokens.yaml").write_text(done.stdout)
    service = start("--tokens", "tokens.yaml")
    assert service.query("SELECT i FROM things LIMIT 5", token=text).status == 200
    assert service.query("SELECT i FROM things", token=text).status == 422
    # it overwrites nothing, and shows a token on a terminal alone
    assert support.tarn("token", "dash", "--token-file", "dash.token", folder=folder).returncode == support.INPUT
    done = support.tarn("token", "dash", folder=folder)
    assert done.returncode == support.INPUT and not done.stdout


def test_a_graceful_end(start):
    service = start("--anyone", pools=pool(least=1, most=1)).until_ready()
    client = service.open_query(MANY % 3_000_000)
    first = client.recv(1000)
    service.process.send(signal.SIGTERM)
    support.eventually(lambda: "the end begins", lambda: service.process.events("stop"))
    time.sleep(0.2)
    with pytest.raises(OSError):
        socket.create_connection((service.host, service.port), timeout=5)
    text = first + read_all(client)
    assert b"\r\n0\r\nTarn-Rows: 3000000\r\n" in text[-200:]
    assert service.process.wait(20) == support.DONE
    assert len(service.process.events("query_start")) == len(service.process.events("query_end"))


def test_an_end_does_not_wait_for_ever(start):
    service = start("--anyone", pools=pool(least=1, most=1)).until_ready()
    client = service.open_query(SLOW)
    support.eventually(lambda: "a busy worker", lambda: service.busy() == 1)
    children = psutil.Process(service.process.pid).children()
    service.process.send(signal.SIGTERM)
    time.sleep(0.5)
    service.process.send(signal.SIGTERM)
    service.process.wait(5)
    client.close()
    _, alive = psutil.wait_procs(children, timeout=5)
    assert not alive


# ---- beside a writer


def put(folder, first, rows):
    """Another file for the stream of things."""
    (folder / "in").mkdir(exist_ok=True)
    pq.write_table(pa.table({"i": list(range(first, first + rows)), "name": ["new"] * rows}), folder / "new.parquet")
    (folder / "new.parquet").rename(folder / "in" / f"{first}.parquet")


def test_run_serves_what_it_writes(start, folder):
    put(folder, 0, 10)
    service = start("--anyone", text=CATALOG + STREAM + pool(), command="run")

    def count():
        answer = service.query("SELECT count(*) FROM things")
        return int(answer.body.split()[1]) if answer.status == 200 else None

    support.eventually(lambda: f"10 rows\n{service.process.tail()}", lambda: count() == 10, 60)
    put(folder, 10, 5)
    support.eventually(lambda: f"15 rows\n{service.process.tail()}", lambda: count() == 15, 60)
    service.process.drain()


def test_run_without_anything_to_serve(start, folder):
    put(folder, 0, 10)
    service = start(text=CATALOG + STREAM, command="run")
    assert service.request("GET", "/healthz", token=None).status == 200
    assert service.query("SELECT 1", token=None).problem()["type"].endswith(":no_such_path")
    assert not psutil.Process(service.process.pid).children()
    service.process.drain()


def test_a_catalog_that_its_writer_holds(start, folder):
    (folder / "in").mkdir()
    text = CATALOG.replace("{type: sqlite, path: lake/catalog.sqlite}", "{type: duckdb, path: lake2/catalog.duckdb}").replace("lake/data", "lake2/data")
    service = start("--anyone", text=text + STREAM, command="run")
    assert service.process.wait_event("not_served")[0]["catalog"] == "main"
    answer = service.query("SELECT 1")
    assert answer.status == 503 and answer.problem()["type"].endswith(":not_served") and answer.headers["Retry-After"]
    for path in ("/console/overview", "/console/pool"):
        told = service.request("GET", path)
        assert told.status == 503 and told.problem()["detail"] == answer.problem()["detail"] and told.headers["Retry-After"], path
    service.process.drain()
