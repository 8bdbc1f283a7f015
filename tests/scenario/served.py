"""A small lake and `tarn serve` before it, for the tests that ask over HTTP."""

import hashlib
import http.client
import json
import secrets

import support
import yaml

API = "ducklake.featherman.dev/v1alpha1"


def document(kind, name, spec):
    return {"apiVersion": API, "kind": kind, "metadata": {"name": name}, "spec": spec}


class Answer:
    def __init__(self, response):
        self.status, self.headers, self.body = response.status, response.headers, response.read()

    def json(self):
        return json.loads(self.body)

    @property
    def detail(self):
        """Of a refusal, which is a problem."""
        assert self.headers["Content-Type"] == "application/problem+json", (self.status, self.body)
        problem = self.json()
        assert problem["status"] == self.status and problem["type"].startswith("urn:tarn:problem:"), problem
        return problem["detail"]

    @property
    def cache(self):
        return self.headers["Cache-Status"].removeprefix("tarn; ")


def ask(address, path, method="GET", body=None, **headers):
    """Header names with _ for -."""
    con = http.client.HTTPConnection(address, timeout=60)
    try:
        con.request(method, path, body=body, headers={name.replace("_", "-"): value for name, value in headers.items()})
        return Answer(con.getresponse())
    finally:
        con.close()


class Served:
    """A lake of `tables` (name: SELECT), endpoints and tokens of it, and its server."""

    def __init__(self, folder, tables, endpoints, tokens=None, pool=None, more=()):
        self.folder, self.process, self.writer, self.reader = folder, None, None, None
        self.target = f"ducklake:sqlite:{folder}/lake/catalog.sqlite"
        (folder / "lake").mkdir()
        for name, sql in tables.items():
            self.write(f"CREATE TABLE lake.{name} AS {sql}")
        self.tokens = {name: secrets.token_urlsafe(32) for name in tokens or {}}
        documents = [document("DuckLakeCatalog", "main", {"backend": {"type": "sqlite", "path": "lake/catalog.sqlite"}, "dataPath": "lake/data"}),
                     document("DuckLakePool", "readers", {"catalogRef": {"name": "main"}, "minSize": 1, "maxSize": 2, **(pool or {})}),
                     *[document("DuckLakeEndpoint", name, spec) for name, spec in endpoints.items()],
                     *[document("DuckLakeToken", name, {"sha256": hashlib.sha256(self.tokens[name].encode()).hexdigest(), **spec})
                       for name, spec in (tokens or {}).items()], *more]
        (folder / "tarn.yaml").write_text(yaml.safe_dump_all(documents, sort_keys=False))

    def connect(self, read_only=False):
        """DuckDB from PyPI, which knows nothing of Tarn."""
        options = "READ_ONLY" if read_only else f"DATA_PATH '{self.folder}/lake/data/', META_JOURNAL_MODE 'WAL'"
        con = support.attach(self.target, f"({options})")
        con.execute("USE lake")
        return con

    def write(self, *statements):
        self.writer = self.writer or self.connect()  # one, for each loads its extensions for half a second
        for sql in statements:
            self.writer.execute(sql)

    def read(self, sql, parameters=None):
        """Rows as dictionaries."""
        self.reader = self.reader or self.connect(read_only=True)
        found = self.reader.execute(sql, parameters) if parameters else self.reader.execute(sql)
        names = [column[0] for column in found.description]
        return [dict(zip(names, row)) for row in found.fetchall()]

    def snapshot(self):
        return self.read("SELECT max(snapshot_id) AS id FROM lake.snapshots()")[0]["id"]

    def start(self, *arguments):
        arguments = arguments or (() if self.tokens else ("--anyone",))
        self.process = support.Process(["serve", "tarn.yaml", "--listen", "127.0.0.1:0", "--audit", "audit.jsonl", *arguments], self.folder)
        self.address = self.process.address()
        return self

    def ask(self, path, token=None, **more):
        if token:
            more["Authorization"] = f"Bearer {self.tokens.get(token, token)}"
        return ask(self.address, path, **more)

    def get(self, path, **more):
        answer = self.ask(path, **more)
        assert answer.status == 200, (path, answer.status, answer.body)
        return answer.json()

    def asked(self):
        """Lines of the audit log."""
        return [json.loads(line) for line in (self.folder / "audit.jsonl").read_text().splitlines()]

    def end(self):
        for con in (self.writer, self.reader):
            if con:
                con.close()
        if self.process:
            self.process.end()
