"""A small lake behind `tarn serve`, and clients that can misbehave."""

import contextlib
import hashlib
import http.client
import json
import secrets
import socket
import ssl

import pyarrow as pa
import pyarrow.parquet as pq
import support

ROWS = 2000
API = "ducklake.featherman.dev/v1alpha1"
CATALOG = f"""apiVersion: {API}
kind: DuckLakeCatalog
metadata: {{name: main}}
spec:
  backend: {{type: sqlite, path: lake/catalog.sqlite}}
  dataPath: lake/data
"""
STREAM = f"""---
apiVersion: {API}
kind: DuckLakeStream
metadata: {{name: things}}
spec:
  table: things
  format: parquet
  source: {{files: "in/*.parquet", settle: 0s, poll: 300ms}}
  commit: {{freshness: 300ms}}
"""
POOL = """---
apiVersion: %s
kind: DuckLakePool
metadata: {name: readers, namespace: tests}
spec:
  catalogRef: {name: main}
  minSize: %d
  maxSize: %d
  template: {resources: {limits: {memory: 512Mi}}}
  lifecyclePolicies: {maxQueryDuration: 20s}
  queue: {maxLength: %d, maxWaitTime: %s}
  scalingBehavior: {scaleInterval: 200ms}
"""


def pool(least=1, most=2, queue=10, wait="30s"):
    return POOL % (API, least, most, queue, wait)


def at(folder):
    """CATALOG of the lake in that folder, for a manifest that lies elsewhere."""
    return CATALOG.replace("lake/", f"{folder}/lake/")


def make_lake(folder):
    """Two snapshots of table things: ROWS / 2 rows, then ROWS."""
    (folder / "in").mkdir()
    (folder / "load.yaml").write_text(CATALOG + STREAM)
    for half in range(2):
        first = half * ROWS // 2
        numbers = list(range(first, first + ROWS // 2))
        pq.write_table(pa.table({"i": numbers, "name": [f"thing {n}" for n in numbers],
                                 "x": [n / 4 if n % 7 else None for n in numbers]}), folder / "in" / f"{half}.parquet")
        done = support.tarn("run", "load.yaml", "--once", folder=folder)
        assert done.returncode == support.DONE, done.stderr


class Tokens:
    """The file of tokens; texts of tokens by their names."""

    def __init__(self, path):
        self.path, self.documents, self.texts = path, {}, {}

    def add(self, name, **spec):
        text = self.texts.setdefault(name, secrets.token_urlsafe(32))
        self.documents[name] = {"apiVersion": API, "kind": "DuckLakeToken", "metadata": {"name": name},
                                "spec": {"sha256": hashlib.sha256(text.encode()).hexdigest(), **spec}}
        self.write()
        return text

    def write(self):
        """JSON is YAML."""
        new = self.path.with_suffix(".new")
        new.write_text("".join(f"---\n{json.dumps(document)}\n" for document in self.documents.values()))
        new.rename(self.path)


class Answer:
    def __init__(self, response):
        self.status, self.headers = response.status, response.headers
        self.body = response.read()

    def problem(self):
        assert self.headers["Content-Type"] == "application/problem+json", (self.status, self.headers.items(), self.body[:200])
        found = json.loads(self.body)
        assert found["status"] == self.status and found["type"].startswith("urn:tarn:problem:") and found["title"] and found["detail"]
        return found


class Service:
    def __init__(self, folder, *options, manifest="serve.yaml", environment=None, command="serve"):
        self.folder = folder
        self.process = support.Process([command, manifest, "--listen", "127.0.0.1:0", *options], folder, environment=environment)
        self.host, port = self.process.address().rsplit(":", 1)
        self.port = int(port)
        self.token = None

    def until_ready(self):
        support.eventually(lambda: f"/readyz: {self.process.get('/readyz')}\n{self.process.tail()}",
                           lambda: self.process.get("/readyz")[0] == 200, 60)
        return self

    def connect(self, timeout_s=60):
        return http.client.HTTPConnection(self.host, self.port, timeout=timeout_s)

    def request(self, method, path, body=None, headers=None, token=True, context=None):
        headers = dict(headers or {})
        if token is True:
            token = self.token
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if context:
            connection = http.client.HTTPSConnection(self.host, self.port, timeout=60, context=context)
        else:
            connection = self.connect()
        with contextlib.closing(connection):
            connection.request(method, path, body, headers)
            return Answer(connection.getresponse())

    def query(self, sql, token=True, headers=None, **members):
        return self.request("POST", "/query", json.dumps({"sql": sql, **members}),
                            {"Content-Type": "application/json", **(headers or {})}, token)

    def at_once(self, sql, **members):
        """The answer with a length: where the machine is busy its end may come behind its rows, and they are sent before it."""
        return support.eventually(lambda: f"{sql}: an answer with a length", lambda: next(
            (answer for answer in [self.query(sql, **members)] if "Content-Length" in answer.headers), None))

    def rows(self, sql, **members):
        answer = self.query(sql, format="json", **members)
        assert answer.status == 200, (answer.status, answer.body[:500], self.process.tail(5))
        return json.loads(answer.body)

    def raw(self, text, timeout_s=20):
        """What comes for these bytes until the other closes."""
        with socket.create_connection((self.host, self.port), timeout=timeout_s) as client:
            client.sendall(text)
            return read_all(client)

    def open_query(self, sql, format="csv", more=""):
        """A socket on which the query was asked, and nothing read."""
        body = json.dumps({"sql": sql, "format": format}).encode()
        client = socket.create_connection((self.host, self.port), timeout=60)
        client.sendall(f"POST /query HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {self.token}\r\n{more}"
                       f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        return client

    def busy(self):
        return self.process.metric("ducklake_pool_pods_busy")


def read_all(client):
    parts = []
    with contextlib.suppress(TimeoutError, ConnectionResetError):
        while part := client.recv(1 << 20):
            parts.append(part)
    return b"".join(parts)


def trusting(certificate):
    context = ssl.create_default_context(cafile=certificate)
    context.check_hostname = False
    return context
