"""What people may try with a statement, through a real worker: as it is; with its guard off, so that the sandbox and DuckDB's
lock alone hold; and with its sandbox off, so that the guard alone holds for all but resources. docs/statements.md says
what is held by which."""

import hashlib
import re
import shutil
import socket
import tempfile
import threading
from pathlib import Path

import pytest
import statements
import support
import yaml
from worker import REQUEST, Gone, Worker

TABLES = ["silver.*", "gold.*", "events"]
ATTACKS = list(statements.attacks())
REFUSALS = {"forbidden": "forbidden", "syntax": "syntax"}
SECRET = "CANARY-7f3a"  # stands in files that nobody may read
OTHERS = "4242"  # in tables that the token may not read
LIMIT_BYTES = 256 << 20
BOUNDS = {"max_ms": 700, "max_rows": 1000, "tables": TABLES}

LAKE = [
    "CREATE SCHEMA lake.gold", "CREATE SCHEMA lake.silver", "CREATE SCHEMA lake.bronze", "CREATE SCHEMA lake.tarn",
    "CREATE TABLE lake.gold.health (id INTEGER, risk VARCHAR, score DOUBLE, updated TIMESTAMP, tags VARCHAR[], detail JSON)",
    "INSERT INTO lake.gold.health VALUES (1, 'high', 0.9, '2026-01-01', ['a', 'b'], '{\"a\": 1}'), "
    "(2, 'low', 0.1, '2026-01-02', [], NULL), (3, 'high', NULL, NULL, NULL, '{}')",
    "CREATE TABLE lake.gold.usage (day DATE, subscriber_id INTEGER, minutes DOUBLE, megabytes BIGINT)",
    "INSERT INTO lake.gold.usage SELECT DATE '2026-01-01' + (i % 5)::INTEGER, i % 7, i * 1.5, i FROM range(50) t(i)",
    "CREATE TABLE lake.silver.events (id INTEGER, subscriber_id INTEGER, name VARCHAR, moment TIMESTAMP, properties JSON, "
    "attributes STRUCT(plan VARCHAR, age INTEGER), prices DOUBLE[])",
    "INSERT INTO lake.silver.events SELECT i, i % 7, 'e' || i, TIMESTAMP '2026-01-01' + to_minutes(i), '{\"a\": 1}', "
    "{'plan': 'p' || i % 2, 'age': i}, [i, i / 2] FROM range(20) t(i)",
    "CREATE TABLE lake.events (id INTEGER, moment TIMESTAMP, payload VARCHAR)",
    "INSERT INTO lake.events SELECT i, TIMESTAMP '2026-01-01' + to_seconds(i), '{\"k\": ' || i || '}' FROM range(20) t(i)",
    f"CREATE TABLE lake.subscribers AS SELECT {OTHERS} AS x, {OTHERS} AS id",
    f"CREATE TABLE lake.bronze.events AS SELECT {OTHERS} AS id",
    f"CREATE TABLE lake.tarn.quarantine AS SELECT {OTHERS} AS raw",
    f"CREATE TABLE lake.tarn.offsets AS SELECT {OTHERS} AS raw",
]


@pytest.fixture(scope="module")
def lake(session_folder):
    folder = Path(tempfile.mkdtemp(dir=session_folder))
    con = support.attach(f"ducklake:sqlite:{folder}/catalog.sqlite",
                         f"(DATA_PATH '{folder}/data', META_JOURNAL_MODE 'WAL', DATA_INLINING_ROW_LIMIT 0, ENCRYPTED)")
    con.execute("SET force_mbedtls_unsafe = 'true'")
    for sql in LAKE:
        con.execute(sql)
    keys = [row[0] for row in con.execute("SELECT encryption_key FROM __ducklake_metadata_lake.ducklake_data_file").fetchall()]
    assert keys and all(keys)
    con.close()
    (folder / "secret.csv").write_text(f"a\n{SECRET}\n")
    (folder / "data" / "secret.csv").write_text(f"a\n{SECRET}\n")
    api = {"apiVersion": "ducklake.featherman.dev/v1alpha1"}
    (folder / "tarn.yaml").write_text(yaml.safe_dump_all([
        api | {"kind": "DuckLakeCatalog", "metadata": {"name": "main"},
               "spec": {"backend": {"type": "sqlite", "path": "catalog.sqlite"}, "dataPath": "data"}},
        api | {"kind": "DuckLakePool", "metadata": {"name": "main"},
               "spec": {"catalogRef": {"name": "main"}, "template": {"resources": {"limits": {"memory": LIMIT_BYTES, "cpu": "2"}}}}}]))
    yield folder, keys
    shutil.rmtree(folder, ignore_errors=True)


class Workers:
    """One worker after the other: what ends one is asked of the next, and as its server would, one that has become larger than
    its limit makes room for another."""

    def __init__(self, folder, *options):
        self.folder, self.options, self.lost, self.worker, self.told = folder, options, 0, None, None

    def get(self):
        if self.worker is None or not self.worker.alive() or self.worker.memory() > LIMIT_BYTES:
            if self.worker:
                self.worker.kill()
            self.worker = Worker(self.folder / "tarn.yaml", self.folder, *self.options, environment={"TARN_UNSAFE": "1"}, patience_s=30).wait_ready()
            # What the kernel lets it map (RLIMIT_DATA, sandbox.c), and the libraries' pages that only the linker wrote to.
            self.bound = self.worker.mapped() + LIMIT_BYTES + (8 << 20)
        return self.worker

    def ask(self, sql, **members):
        """The answer; None: the worker ended or hangs, and is another one the next time."""
        worker = self.get()
        try:
            answer = worker.ask(sql, **members)
            assert worker.memory() < self.bound, f"{sql[:200]}: {worker.memory()} of {self.bound} bytes"
            if answer.last:
                self.anew()
            return answer
        except Gone as gone:
            worker.kill()
            self.lost += 1
            self.worker, self.told = None, f"{type(gone).__name__}: {gone}"
            return None

    def anew(self):
        """As its server does where a worker said that it can take no other."""
        self.end()
        self.worker = None

    def end(self):
        if self.worker:
            self.worker.kill()


@pytest.fixture
def workers(lake):
    made = []

    def make(*options):
        made.append(Workers(lake[0], *options))
        return made[-1]

    yield make
    for each in made:
        each.end()


def allowed(kind, verdict):
    """To parse what is nested too deeply may take more time and memory than there is."""
    return [REFUSALS[verdict]] + (["memory", "time"] if kind == "resource" else [])


def tree(*folders):
    """Every file and what is in it, but SQLite's index of its log, which readers write."""
    found = {}
    for folder in folders:
        for path in sorted(Path(folder).rglob("*")):
            if path.is_file() and not path.name.endswith("-shm") and path.suffix != ".log":
                found[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def outside():
    """What is there of the places outside of the lake that the statements name."""
    named = {place for sql in [a[3] for a in ATTACKS] + own_attacks(Path("/"), 1) for place in re.findall(r"'(/(?:tmp|dev/shm)/[^'*]+)'", sql)}
    return {place: Path(place).stat().st_mtime_ns for place in named if Path(place).exists()}


def assert_tells_nothing(answer, keys, sql, others=True):
    """Neither what must not be read, nor where anything lies."""
    told = answer.text + answer.message
    for secret in [SECRET, "root:x:0", *keys, *([OTHERS] if others else [])]:
        assert secret not in told
    for place in ["/tmp/tarn-test", "catalog.sqlite", ".parquet", "/work/", "__ducklake_metadata"]:
        assert place not in answer.message or place in sql


@pytest.mark.parametrize("options", [(), ("--without-sandbox",)], ids=["as it is", "guard alone"])
def test_guarded(lake, workers, options):
    folder, keys = lake
    asked = workers(*options)
    asked.get()  # who opens a SQLite catalog makes its empty log, before the sandbox
    before, beside = tree(folder), outside()
    wrong = []
    for kind, name, verdict, sql in ATTACKS:
        if verdict == "passes":
            continue  # below
        answer = asked.ask(sql, **BOUNDS)
        if answer is None or answer.error not in allowed(kind, verdict) or answer.start or answer.data:
            wrong.append(f"{kind} {name}: {answer and (answer.error, answer.message, answer.text[:100])}\n{asked.worker.log()[-1500:] if asked.worker else asked.told}")
            continue
        assert_tells_nothing(answer, keys, sql)
    assert not wrong, "\n".join(wrong)
    assert not asked.lost, asked.told
    assert asked.ask("SELECT count(*) AS n FROM gold.health", **BOUNDS).rows() == [["3"]]
    assert tree(folder) == before
    assert outside() == beside


def test_rights_of_everybody(lake, workers):
    """Who may read all tables may do no more than read them."""
    folder, keys = lake
    asked = workers()
    members = {k: v for k, v in BOUNDS.items() if k != "tables"}
    for kind, name, verdict, sql in ATTACKS:
        if verdict == "passes" or kind == "rights":
            continue
        answer = asked.ask(sql, **members)
        assert answer and answer.error in allowed(kind, verdict), f"{kind} {name}: {answer.end if answer else asked.told}"
        assert_tells_nothing(answer, keys, sql, others=False)
    for table in ["tarn.quarantine", "tarn.offsets"]:
        assert asked.ask(f"FROM {table}", **members).error == "forbidden"


RESOURCES = [(name, sql) for _, name, verdict, sql in ATTACKS if verdict == "passes"]


def test_a_request_that_is_none(lake, workers):
    """It is the server's mistake: it is told, and the worker goes on."""
    worker = workers().get()
    for payload in (b"", b"{", b"[]", b'{"op":"query","sql":7}', b'{"op":"query","sql":"SELECT 1","unheard":1}', b"\xff" * 100):
        worker.send(REQUEST, payload)
        answer = worker.answer()
        assert answer.error == "internal" and not answer.start and not answer.last, answer.end
    assert worker.ask("SELECT count(*) AS n FROM gold.health", **BOUNDS).rows() == [["3"]]


@pytest.mark.timeout(240)
def test_resources(lake, workers):
    """They end within their bounds, at the worst with their worker, and the next query is answered."""
    asked = workers()
    for name, sql in RESOURCES:
        answer = asked.ask(sql, **BOUNDS)
        assert answer is None or answer.error in ("time", "memory", "rows", "invalid", "internal"), f"{name}: {answer.end}"
        honest = asked.ask("SELECT count(*) AS n FROM gold.health", **BOUNDS)
        assert honest and honest.rows() == [["3"]], f"after {name}: {honest.end if honest else asked.told}"


class Listener:
    """A port of this machine that nobody may reach."""

    def __init__(self):
        self.socket, self.seen = socket.create_server(("127.0.0.1", 0)), []
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.seen.append(connection.getpeername())
            connection.close()


def own_attacks(folder, port):
    """Places of this test's, for which the list has no words."""
    return [
        f"FROM read_csv('{folder}/secret.csv')", f"FROM '{folder}/secret.csv'", f"SELECT content FROM read_text('{folder}/secret.csv')",
        f"SELECT content FROM read_blob('{folder}/catalog.sqlite')", f"FROM glob('{folder}/*')", f"FROM read_csv('{folder}/data/../secret.csv')",
        f"COPY (SELECT 1) TO '{folder}/data/new.csv'", f"COPY (SELECT 1) TO '{folder}/new.csv'", f"COPY (SELECT 1) TO '{folder}/tarn.yaml'",
        f"COPY (SELECT 1) TO '{folder}/data/new.parquet' (FORMAT parquet)", f"EXPORT DATABASE '{folder}/data/export'",
        f"ATTACH '{folder}/new.duckdb' AS new", f"ATTACH '{folder}/data/new.duckdb' AS new", f"ATTACH '{folder}/catalog.sqlite' AS s (TYPE sqlite)",
        f"FROM sqlite_scan('{folder}/catalog.sqlite', 'ducklake_metadata')", f"ATTACH 'ducklake:sqlite:{folder}/catalog.sqlite' AS again",
        f"FROM read_csv('http://127.0.0.1:{port}/a.csv')", f"FROM 'http://127.0.0.1:{port}/a.parquet'",
        f"ATTACH 'host=127.0.0.1 port={port} dbname=x' AS p (TYPE postgres)", f"ATTACH 'ducklake:http://127.0.0.1:{port}/x' AS h",
        "FROM read_text('/proc/self/environ')", "FROM read_text('/proc/self/maps')", "FROM read_blob('/proc/self/mem')",
        "FROM read_text('/proc/1/environ')", "FROM read_blob('/dev/mem')", "COPY (SELECT 1) TO '/dev/shm/new.csv'",
        "COPY (SELECT 1) TO '/tmp/new-of-a-worker.csv'", "COPY (SELECT 1) TO '/proc/self/mem'", "COPY (SELECT 1) TO '/dev/fd/0'",
        "COPY (SELECT 1) TO '/dev/stdout'", "SET enable_external_access = true", "SET lock_configuration = false", "RESET allowed_directories",
        "SET temp_directory = '/tmp/new-of-a-worker'", "LOAD httpfs", "INSTALL httpfs", "LOAD '/tmp/x.duckdb_extension'",
        "CREATE SECRET s (TYPE s3, KEY_ID 'a', SECRET 'b')", "CREATE PERSISTENT SECRET s (TYPE s3, KEY_ID 'a', SECRET 'b')",
        "INSERT INTO lake.gold.health (id) VALUES (9)", "DELETE FROM lake.gold.health", "DROP TABLE lake.gold.health",
        "CREATE TABLE lake.gold.new AS SELECT 1", "CALL lake.set_option('parquet_compression', 'zstd')",
        "UPDATE __ducklake_metadata_lake.ducklake_snapshot SET snapshot_id = 0", "DELETE FROM __ducklake_metadata_lake.ducklake_data_file",
        "CALL ducklake_expire_snapshots('lake', older_than => now())", "CALL ducklake_cleanup_old_files('lake', cleanup_all => true)",
        "CALL ducklake_delete_orphaned_files('lake', cleanup_all => true)", "CALL ducklake_merge_adjacent_files('lake')",
    ]


def test_sandbox_alone(lake, workers):
    """Without the guard: nothing is written, no other file is read, nobody is reached; whatever DuckDB says to it."""
    folder, _ = lake
    asked, before, beside, listener = workers("--without-guard"), tree(folder), outside(), Listener()
    members = {k: v for k, v in BOUNDS.items() if k != "tables"}
    told = []
    for kind, name, _, sql in ATTACKS:
        if kind == "resource":
            continue
        answer = asked.ask(sql, **members)
        if answer is not None and (SECRET in answer.text or "root:x:0" in answer.text):
            told.append(f"{kind} {name}")
    for sql in own_attacks(folder, listener.port):
        answer = asked.ask(sql, **members)
        if answer is not None and SECRET in answer.text + answer.message:
            told.append(sql)
    assert not told, "\n".join(told)
    assert not listener.seen
    assert tree(folder) == before
    assert outside() == beside
    # The lake is what it was, and another worker reads it.
    assert workers().ask("SELECT count(*) AS n FROM gold.health", **BOUNDS).rows() == [["3"]]


def test_sandbox_alone_resources(lake, workers):
    asked = workers("--without-guard")
    members = {k: v for k, v in BOUNDS.items() if k != "tables"}
    for _, sql in RESOURCES:
        asked.ask(sql, **members)
    assert workers().ask("SELECT count(*) AS n FROM gold.health", **BOUNDS).rows() == [["3"]]


def test_honest_statements(lake, workers):
    """A statement that is pinned to a snapshot gives what the same one gives as it was written."""
    guarded, plain = workers(), workers("--without-guard", "--without-sandbox")
    plain.ask("USE lake")
    bare = re.compile(r'\blake\.| AT \(VERSION => \d+\)|"')  # in the names of columns that are subqueries
    compared, wrong, ended = 0, [], []
    for name, only, sql in statements.honest():
        if name == "long_in_list":
            continue  # DuckLake takes minutes for it and hears no interrupt: tests/real/test_pool.py has what comes of that
        members = {"max_ms": 5000}
        answers = [each.ask(sql, **members) for each in (guarded, plain, plain)]
        if any(a is None for a in answers):
            ended.append(name)
            plain.ask("USE lake")
            continue
        if answers[0].error in ("forbidden", "syntax"):
            wrong.append(f"{name}: {answers[0].end}")
            continue
        if only or answers[1].error or sorted(answers[1].text.splitlines()) != sorted(answers[2].text.splitlines()):
            continue  # it needs what this lake has not, or gives another answer each time
        compared += 1
        given, expected = (sorted(bare.sub("", a.text).splitlines()) for a in answers[:2])
        if given != expected:
            wrong.append(f"{name}: {answers[0].end} {answers[0].text[:200]!r}, not {answers[1].text[:200]!r}")
    assert not wrong, "\n".join(wrong)
    assert compared > 50, compared
    assert not ended


def test_unsafe_needs_to_be_meant(lake):
    folder, _ = lake
    for option in ["--without-guard", "--without-sandbox"]:
        worker = Worker(folder / "tarn.yaml", folder, option, environment={"TARN_UNSAFE": ""})
        with pytest.raises(Gone):
            worker.wait_ready()
        worker.kill()
        assert "TARN_UNSAFE" in worker.log()
