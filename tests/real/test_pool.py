"""A pool of real workers: what ends one touches nobody else; queues, turns, scaling, draining. Driven without a server around
it, by tests/pool/pool_driver.c."""

import json
import os
import queue
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest
import support
import yaml

DRIVER = Path(support.TARN).parent / "tests" / "pool_driver"
API = {"apiVersion": "ducklake.featherman.dev/v1alpha1"}
TURNS = 400 if support.LONG else 100
SLOW = "SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE (a.range + b.range) % 7 = 1"


def is_dead(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def is_gone(pid):
    """Its socket is closed by the last of its threads."""
    try:
        return is_dead(pid) and len(os.listdir(f"/proc/{pid}/task")) <= 1
    except (FileNotFoundError, ProcessLookupError):
        return True


class Pool:
    """pool_driver: a line of JSON each way."""

    def __init__(self, manifest, folder, environment=None):
        self.log_path = folder / f"{support.unique('pool')}.log"
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen([str(DRIVER), str(manifest)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                                            text=True, cwd=folder, env=os.environ | (environment or {}))
        self.answers, self.told, self.next = {}, queue.Queue(), 0
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        for line in self.process.stdout:
            answer = json.loads(line)
            if "id" in answer:
                self.answers[answer["id"]] = answer
            else:
                self.told.put(answer)

    def say(self, **command):
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()

    def ask(self, sql, holder="a", command=None, **members):
        """Its number; the answer comes when it comes."""
        self.next += 1
        self.say(id=self.next, holder=holder, request={"op": "query", "sql": sql, **members}, **(command or {}))
        return self.next

    def answer(self, number, timeout_s=60):
        return support.eventually(lambda: f"an answer to {number}: {self.log()}", lambda: self.answers.get(number), timeout_s, 0.01)

    def one(self, sql, **members):
        return self.answer(self.ask(sql, **members))

    def facts(self):
        self.say(facts=True)
        return self.told.get(timeout=30)

    def version(self, table):
        self.say(version=table)
        return self.told.get(timeout=30)

    def bench(self, count, sql, threads=1, **members):
        self.say(bench={"count": count, "threads": threads, "request": {"op": "query", "sql": sql, **members}})
        return self.told.get(timeout=110)

    def until(self, what, check, timeout_s=60):
        return support.eventually(lambda: f"{what}: {self.facts()}\n{self.log()}", lambda: (f := self.facts()) and check(f) and f, timeout_s)

    def warm(self, count=1):
        return self.until(f"{count} idle workers", lambda f: f["idle"] >= count)

    def pids(self):
        """Its workers that live."""
        children = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return sorted({int(pid) for path in children for pid in path.read_text().split() if not is_dead(pid)})

    def busy_pid(self):
        """Of the worker that runs: the processor's time tells."""
        def times():
            return {pid: sum(map(int, Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13])) for pid in self.pids()}

        def busiest():
            now = times()
            return max((now[pid] - before[pid], pid) for pid in now if pid in before)

        before = times()
        return support.eventually("one works", lambda: (found := busiest())[0] >= 20 and found)[1]

    def log(self):
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-15:])

    def end(self):
        if self.process.poll() is None:
            self.process.stdin.close()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
        return self.process.wait(10)


@pytest.fixture(scope="module")
def lake(session_folder):
    folder = session_folder / support.unique("pool")
    folder.mkdir()
    con = support.attach(f"ducklake:sqlite:{folder}/catalog.sqlite", f"(DATA_PATH '{folder}/data', META_JOURNAL_MODE 'WAL', DATA_INLINING_ROW_LIMIT 0)")
    con.execute("CREATE TABLE lake.gold AS SELECT i AS id, i % 7 AS k, 'name' || i AS name FROM range(50000) t(i)")
    con.execute("CREATE TABLE lake.events AS SELECT i AS id FROM range(10) t(i)")
    con.close()
    return folder


@pytest.fixture
def pools(lake):
    started = []

    def start(environment=None, catalog=None, **spec):
        lifecycle = spec.pop("lifecycle", {})
        waiting = spec.pop("waiting", {})
        scaling = {"scaleInterval": "100ms", "scaleUpRate": 10, "stabilizationWindow": "0s"} | spec.pop("scaling", {})
        memory = spec.pop("memory", "256Mi")
        manifest = lake / f"{support.unique('pool')}.yaml"
        manifest.write_text(yaml.safe_dump_all([
            API | {"kind": "DuckLakeCatalog", "metadata": {"name": "main"},
                   "spec": catalog or {"backend": {"type": "sqlite", "path": "catalog.sqlite"}, "dataPath": "data"}},
            API | {"kind": "DuckLakePool", "metadata": {"name": "main"},
                   "spec": {"catalogRef": {"name": "main"}, "minSize": 1, "maxSize": 2, "targetUtilization": "1", "lifecyclePolicies": lifecycle, "queue": waiting,
                            "scalingBehavior": scaling, "template": {"resources": {"limits": {"memory": memory, "cpu": "1"}}}} | spec}]))
        started.append(Pool(manifest, lake, environment))
        return started[-1]

    yield start
    for pool in started:
        pool.end()


def good(answer, rows=None):
    assert (answer["answer"], answer["event"]) == ("given", "end"), answer
    assert "error" not in answer["end"], answer
    return rows is None or answer["data"].splitlines()[1:] == rows


def test_killed_in_the_middle(pools):
    """kill -9: that query is answered with an error, those beside it are not touched, and another worker takes its place."""
    pool = pools(minSize=2)
    pool.warm(2)
    slow = pool.ask(SLOW, max_ms=60000)
    beside = [pool.ask("SELECT count(*) AS n FROM events") for _ in range(5)]
    pool.until("one is busy", lambda f: f["busy"] == 1 and all(b in pool.answers for b in beside))
    os.kill(pool.busy_pid(), signal.SIGKILL)
    lost = pool.answer(slow, 10)
    assert lost["event"] == "lost" and "start" not in lost
    for each in beside:
        assert good(pool.answer(each), ["10"])
    facts = pool.until("a new one is warm", lambda f: f["idle"] == 2)
    assert (facts["lost"], facts["replaced"], facts["created"]) == (1, 1, 3)


def test_killed_while_idle(pools):
    """Nobody notices: a dead worker is not handed out."""
    pool = pools()
    pool.warm()
    for _ in range(3):
        pids = pool.pids()
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        support.eventually("they are gone", lambda: all(map(is_gone, pids)), every_s=0)
        assert good(pool.one("SELECT count(*) AS n FROM events"), ["10"])
    assert pool.facts()["lost"] == 0


def test_many_start_at_once(pools):
    """They open one SQLite catalog together, whose WAL may be nobody's yet."""
    for _ in range(4 if support.LONG else 2):
        pool = pools(minSize=10, maxSize=10, memory="128Mi")
        facts = pool.warm(10)
        assert (facts["created"], facts["replaced"], facts["deleted"]) == (10, 0, 0), pool.log()
        assert pool.end() == 0


def test_hangs(pools):
    """A worker that does not answer is given up when its query's time is over, and is replaced."""
    pool = pools()
    pool.warm()
    slow = pool.ask(SLOW, command={"max_ms": 1500})
    pool.until("it runs", lambda f: f["busy"] == 1)
    os.kill(pool.busy_pid(), signal.SIGSTOP)
    late = pool.answer(slow, 10)
    assert late["event"] == "late" and 1500 <= late["us"] / 1000 < 5000
    facts = pool.until("another one is warm", lambda f: f["idle"] == 1 and f["deleted"] == 1, 20)
    assert (facts["late"], facts["replaced"]) == (1, 1)
    assert good(pool.one("SELECT count(*) AS n FROM events"), ["10"])


def test_hears_an_interrupt_late_or_never(pools):
    """DuckLake takes long for thousands of values behind IN, and does not hear meanwhile that nobody wants the answer: the worker is
    killed when its grace is over, or goes on where it was done by then. Either way the next answer is the next one's."""
    pool = pools()
    pool.warm()
    late = pool.answer(pool.ask(f"SELECT * FROM gold WHERE id IN ({','.join(['0'] * 20000)})", command={"max_ms": 500}), 30)
    assert late["event"] == "late", late
    pool.until("one is warm", lambda f: f["idle"] == 1 and f["busy"] == 0, 40)
    assert good(pool.one("SELECT count(*) AS n FROM events"), ["10"])


def test_takes_too_long_and_says_so(pools):
    pool = pools()
    pool.warm()
    answer = pool.one(SLOW, max_ms=300)
    assert answer["end"]["error"] == "time"
    assert pool.facts()["deleted"] == 0  # it is as good as new


def test_grows_too_large(pools):
    """A worker that keeps more memory than it may is replaced when its query is over; a query that wants too much fails alone."""
    pool = pools(memory="192Mi")
    pool.warm()
    answer = pool.one("SELECT max(len(x)) FROM (SELECT string_agg(range || repeat('x', 100)) AS x FROM range(10000000))", max_ms=20000)
    assert answer["event"] == "lost" or answer["end"]["error"] in ("memory", "time"), answer
    assert good(pool.one("SELECT count(*) AS n FROM events"), ["10"])
    assert pool.facts()["lost"] == (answer["event"] == "lost")  # nobody was sent to the worker that it left
    small = pool.one("SELECT max(len(x)) FROM (SELECT string_agg(range || repeat('x', 100)) AS x FROM range(300000))",
                     max_ms=20000, memory_bytes=4 << 20)
    assert small["end"]["error"] == "memory", small


def test_client_goes_away(pools):
    """While it waits, and while its query runs: within moments nothing of it is left."""
    pool = pools(maxSize=1)
    pool.warm()
    runs = pool.ask(SLOW, command={"client": True, "gone_after_ms": 500})
    pool.until("it runs", lambda f: f["busy"] == 1)
    waits = pool.ask("SELECT 1", command={"client": True, "gone_after_ms": 100})
    assert pool.answer(waits)["answer"] == "client_gone"
    gone = pool.answer(runs, 10)
    assert gone["event"] == "client_gone" and gone["us"] < 1.5e6
    pool.until("the worker is free", lambda f: f["busy"] == 0, 1)
    facts = pool.warm()
    assert (facts["waiting"], facts["deleted"]) == (0, 0)


def test_an_interrupted_overview_leaves_no_transaction(pools):
    """What ends its transaction is not interrupted, so that the worker's next query is answered."""
    pool = pools(maxSize=1)
    pool.warm()
    for turn in range(TURNS):
        pool.one("", op="overview", max_ms=1 + turn % 20)
        assert good(pool.one("SELECT 1 AS a"), ["1"]), (turn, pool.log())
    assert pool.facts()["deleted"] == 0


def test_an_overview_where_a_hot_table_went(pools, lake):
    """Its transaction reads alone: the copy is dropped outside of it."""
    con = support.attach(f"ducklake:sqlite:{lake}/catalog.sqlite", f"(DATA_PATH '{lake}/data', META_JOURNAL_MODE 'WAL')")
    con.execute("CREATE TABLE lake.hot_once AS SELECT 1 AS n")
    pool = pools(hotTables=["hot_once"], maxSize=1)
    pool.warm()
    for op in ("overview", "describe"):
        con.execute("CREATE TABLE IF NOT EXISTS lake.hot_once AS SELECT 1 AS n")
        assert good(pool.one("SELECT n FROM hot_once"), ["1"])
        time.sleep(0.6)  # idle time, in which the copy is made
        con.execute("DROP TABLE lake.hot_once")
        assert good(pool.one("", op=op)), pool.log()
    con.close()


def test_client_of_a_deaf_query_goes_away(pools):
    """DuckLake hears no interrupt while it looks at thousands of values: its worker is killed rather than waited for."""
    pool = pools(maxSize=1)
    pool.warm()
    deaf = pool.ask(f"SELECT * FROM gold WHERE id IN ({','.join(['0'] * 20000)})", command={"client": True, "gone_after_ms": 500})
    assert pool.answer(deaf, 10)["event"] == "client_gone"
    pool.until("no worker is busy", lambda f: f["busy"] == 0, 1)
    assert good(pool.one("SELECT count(*) AS n FROM events"), ["10"])


def test_answer_is_not_read(pools):
    """Somebody stops reading in the middle; what is left of the answer is nobody else's."""
    pool = pools(maxSize=1)
    pool.warm()
    left = pool.answer(pool.ask("SELECT range AS left_over FROM range(20000000)", command={"abandon_after": 1000}), 20)
    assert left["event"] == "data"
    assert good(pool.one("SELECT count(*) AS n FROM events"), ["10"])
    assert pool.facts()["deleted"] == 0


def test_memory_is_flat_while_rows_stream(pools):
    pool = pools(maxSize=1)
    pool.warm()
    answer = pool.ask("SELECT range AS a, repeat('x', 100) AS b FROM range(4000000)")
    most = 0
    while answer not in pool.answers:
        most = max([most, *(w["memory"] for w in pool.facts()["workers"])])
        time.sleep(0.05)
    assert good(pool.answer(answer)) and pool.answer(answer)["end"]["rows"] == 4000000
    assert most < 100 << 20


def test_turns(pools):
    """One holder's many requests do not keep another one's few waiting for all of them."""
    pool = pools(maxSize=1, waiting={"maxLength": 50})
    pool.warm()
    first = pool.ask("SELECT count(*) FROM range(30000000)", command={"hold_ms": 1000})
    pool.until("it is held", lambda f: f["idle"] == 0)
    greedy = [pool.ask("SELECT 1", holder="greedy", command={"hold_ms": 20}) for _ in range(20)]
    pool.until("they wait", lambda f: f["waiting"] == 20)
    modest = [pool.ask("SELECT 1", holder="modest") for _ in range(2)]
    waits = [pool.answer(n)["waited_us"] for n in modest]
    later = sorted(pool.answer(n)["waited_us"] for n in greedy)
    assert good(pool.answer(first))
    assert max(waits) < later[5], (waits, later)


def test_queue(pools):
    pool = pools(maxSize=1, waiting={"maxLength": 3, "maxWaitTime": "700ms"})
    pool.warm()
    slow = pool.ask(SLOW, max_ms=2500)
    pool.until("it runs", lambda f: f["busy"] == 1)
    waiting = [pool.ask("SELECT 1") for _ in range(3)]
    pool.until("the queue is full", lambda f: f["waiting"] == 3)
    full = pool.one("SELECT 1")
    assert full["answer"] == "full" and full["retry_after_s"] >= 1
    for number in waiting:
        assert pool.answer(number)["answer"] == "waited"
    assert pool.answer(slow)["end"]["error"] == "time"
    facts = pool.facts()
    assert (facts["full"], facts["waited"]) == (1, 3)


def test_grows_and_shrinks(pools):
    pool = pools(minSize=0, maxSize=3, targetUtilization="0.8", lifecycle={"maxIdleTime": "1s"})
    assert pool.facts()["size"] == 0
    many = [pool.ask("SELECT count(*) FROM range(20000000)") for _ in range(12)]
    for number in many:
        assert good(pool.answer(number, 120))
    facts = pool.until("nobody is left", lambda f: f["size"] == 0)
    assert facts["created"] >= 3 and facts["full"] + facts["waited"] + facts["lost"] == 0


def test_recycles(pools):
    pool = pools(lifecycle={"maxQueries": 3})
    pool.warm()
    facts = pool.until("two were replaced", lambda f: good(pool.one("SELECT 1")) and f["replaced"] >= 2)
    assert facts["lost"] == 0


def test_nothing_starts(pools, lake, folder):
    """No worker gets warm: the circuit opens, and the query is tried in a worker of its own, which says what is wrong."""
    pool = pools(catalog={"backend": {"type": "sqlite", "path": str(folder / "none.sqlite")}, "dataPath": str(folder / "data")})
    facts = pool.until("the circuit opens", lambda f: f["circuit_open"])
    assert facts["created"] >= 3
    answer = pool.one("SELECT 1")
    assert answer["answer"] == "given" and answer["one_shot"] and answer["event"] == "lost"
    assert "there is no lake at" in pool.log()
    facts = pool.facts()
    assert facts["one_shots"] >= 1 and facts["created"] < 20


def test_one_shots_answer(pools, lake):
    """Warm workers cannot be had for a while, and nothing is refused for that."""
    hidden = lake / "hidden.sqlite"
    pool = pools(catalog={"backend": {"type": "sqlite", "path": str(hidden)}, "dataPath": str(lake / "data")})
    pool.until("the circuit opens", lambda f: f["circuit_open"])
    hidden.symlink_to(lake / "catalog.sqlite")
    answer = pool.one("SELECT count(*) AS n FROM events")
    assert good(answer, ["10"])
    pool.until("a warm one is there again", lambda f: f["idle"] >= 1 and not f["circuit_open"])
    assert good(pool.one("SELECT count(*) AS n FROM events"), ["10"])


def test_drains(pools):
    """The server ends: what runs may end, who waits is told, and no process is left."""
    pool = pools(maxSize=1)
    pool.warm()
    runs = pool.ask("SELECT count(*) FROM range(3000000000)", max_ms=60000)
    pool.until("it runs", lambda f: f["busy"] == 1)
    waits = pool.ask("SELECT 1")
    pool.until("one waits", lambda f: f["waiting"] == 1)
    children = pool.pids()
    pool.say(stop=60000)
    assert pool.answer(waits)["answer"] == "stopped"
    assert good(pool.answer(runs))
    assert pool.one("SELECT 1")["answer"] == "stopped"
    assert pool.end() == 0
    assert all(map(is_dead, children))


def test_server_dies(pools):
    """kill -9 of the server: its workers end with it."""
    pool = pools(minSize=2)
    pool.warm(2)
    pool.ask(SLOW)
    pool.until("one is busy", lambda f: f["busy"] == 1)
    children = pool.pids()
    pool.process.kill()
    support.eventually("the workers end", lambda: all(map(is_dead, children)), 10)


def test_what_a_worker_is_told(pools, lake):
    """No secret in its arguments; what its environment held is forgotten."""
    pool = pools(environment={"TARN_SOME_SECRET": "CANARY-41", "SSH_AUTH_SOCK": "/x"})
    pool.warm()
    (pid,) = pool.pids()
    process = Path(f"/proc/{pid}")
    assert process.joinpath("cmdline").read_bytes().split(b"\0")[:2] == [b"tarn", b"worker"]
    assert b"CANARY" not in process.joinpath("environ").read_bytes()
    assert b"SSH_AUTH_SOCK" not in process.joinpath("environ").read_bytes()
    status = process.joinpath("status").read_text()
    assert "NoNewPrivs:\t1" in status and "Seccomp:\t2" in status
    for task in process.joinpath("task").iterdir():
        assert "Seccomp:\t2" in task.joinpath("status").read_text()
    limits = process.joinpath("limits").read_text()
    assert [line.split()[4] for line in limits.splitlines() if line.startswith("Max core file size")] == ["0"]


def test_hot_tables_are_fresh(pools, lake):
    """While somebody writes, a query reads its table at one snapshot, and never an older one than the newest at its start."""
    pool = pools(hotTables=["hot_events"], hotIndexes=["hot_events.n"])
    con = support.attach(f"ducklake:sqlite:{lake}/catalog.sqlite", f"(DATA_PATH '{lake}/data', META_JOURNAL_MODE 'WAL')")
    con.execute("CREATE TABLE lake.hot_events AS SELECT 0 AS n")
    con.execute("CREATE TABLE lake.cold_events AS SELECT 0 AS n")
    pool.warm()
    for n in range(1, 12):
        con.execute("BEGIN")
        con.execute(f"INSERT INTO lake.hot_events VALUES ({n})")
        con.execute(f"INSERT INTO lake.cold_events VALUES ({n})")
        con.execute("COMMIT")
        if n % 3 == 0:
            con.execute("INSERT INTO lake.events VALUES (1)")  # another table: the copy stays
        snapshot = con.execute("SELECT id FROM lake.current_snapshot()").fetchone()[0]
        answer = pool.one("SELECT (SELECT max(n) FROM hot_events) AS hot, (SELECT max(n) FROM cold_events) AS cold")
        assert good(answer, [f"{n},{n}"]) and answer["start"]["snapshot"] == snapshot
        by_key = "SELECT count(*) AS n FROM hot_events WHERE n = ?"
        assert good(pool.one(by_key.replace("?", str(n))), ["1"]) and good(pool.one(by_key.replace("?", str(n + 1))), ["0"])
        before = pool.one("SELECT max(n) AS n FROM hot_events", snapshot=snapshot - 1 - (n % 3 == 0))
        assert good(before, [str(n - 1)])
    # Expired snapshots may have had changes: the copy is made anew.
    con.execute("INSERT INTO lake.hot_events VALUES (100)")
    con.execute("INSERT INTO lake.events VALUES (2)")
    con.execute("CALL ducklake_expire_snapshots('lake', older_than => now())")
    assert good(pool.one("SELECT max(n) AS n FROM hot_events"), ["100"])
    gone = pool.one("SELECT max(n) AS n FROM hot_events", snapshot=2)
    assert gone["end"]["error"] == "not_found"
    never = pool.one("SELECT max(n) AS n FROM hot_events", snapshot=99999)
    assert never["end"]["error"] == "not_found"
    assert good(pool.one("SELECT max(n) AS n FROM hot_events"), ["100"])
    con.execute("DROP TABLE lake.hot_events")
    assert pool.one("SELECT max(n) AS n FROM hot_events")["end"]["error"] == "invalid"
    con.execute("CREATE TABLE lake.hot_events AS SELECT 7 AS n")
    assert good(pool.one("SELECT max(n) AS n FROM hot_events"), ["7"])
    con.close()


@pytest.mark.sample(2)
@pytest.mark.parametrize("column", ["n", "gone"])
def test_hot_indexes(pools, lake, column):
    """What an index cannot be made of is told, and the copy is read without it; each new copy has its own."""
    con = support.attach(f"ducklake:sqlite:{lake}/catalog.sqlite", f"(DATA_PATH '{lake}/data', META_JOURNAL_MODE 'WAL')")
    table = f"keyed_{column}"
    con.execute(f"CREATE TABLE lake.{table} AS SELECT i AS n, 'name ' || i AS name FROM range(20000) t(i)")
    pool = pools(hotTables=[f"main.{table}"], hotIndexes=[f"main.{table}.{column}"], maxSize=1)
    pool.warm()
    for turn in range(3):
        for n in (0, 7777, 19999):
            assert good(pool.one(f"SELECT name FROM {table} WHERE n = {n}"), [f"name {n}" if turn == 0 or n else f"turn {turn}"])
        con.execute(f"UPDATE lake.{table} SET name = 'turn {turn + 1}' WHERE n = 0")
        time.sleep(0.5)  # idle time, in which the copy is made
    told = [line for line in pool.log_path.read_text().splitlines() if "has no index" in line]
    assert bool(told) == (column == "gone"), pool.log()
    con.close()


def test_inlined_rows_hide_no_tables(pools, lake):
    """DuckLake takes the schema of inlined rows for another one, and keeps it (src/pool/schemas.h); also where they came later."""
    con = support.attach(f"ducklake:sqlite:{lake}/catalog.sqlite", f"(DATA_PATH '{lake}/data', META_JOURNAL_MODE 'WAL')")
    pool = pools(maxSize=1)
    pool.warm()
    for turn in ("first", "second"):
        con.execute(f"CREATE TABLE lake.inlined_{turn} (n INTEGER)")
        con.execute(f"CREATE TABLE lake.beside_{turn} AS SELECT 5 AS n")
        con.execute(f"INSERT INTO lake.inlined_{turn} VALUES (1), (2)")
        snapshot = con.execute("SELECT id FROM lake.current_snapshot()").fetchone()[0]
        assert good(pool.one(f"SELECT sum(n) AS n FROM inlined_{turn}"), ["3"])
        assert good(pool.one(f"SELECT sum(n) AS n FROM beside_{turn}"), ["5"])
        con.execute(f"INSERT INTO lake.inlined_{turn} VALUES (0)")
        assert good(pool.one(f"SELECT sum(n) AS n FROM beside_{turn}", snapshot=snapshot), ["5"])
    con.close()
    late = pools(maxSize=1)
    late.warm()
    assert good(late.one("SELECT (SELECT sum(n) FROM inlined_first) + (SELECT sum(n) FROM inlined_second) AS n"), ["6"])
    for table in ("inlined_first", "beside_first", "inlined_second", "beside_second"):
        assert good(late.one(f"SELECT count(*) > 0 AS n FROM {table}", snapshot=snapshot), ["true"])


# ---- other places


@pytest.mark.parametrize("place", ["postgres", "sqlite+s3", "postgres+s3"])
def test_places(place, folder, request):
    """A worker reads its lake from behind its sandbox, wherever that is; also after the server went away and returned."""
    backend, _, store = place.partition("+")
    server = request.getfixturevalue("own_postgres") if backend == "postgres" else None
    s3 = request.getfixturevalue("s3") if store else None
    environment, catalog = {}, {"backend": {"type": "sqlite", "path": "catalog.sqlite"}, "dataPath": "data"}
    target, options = f"ducklake:sqlite:{folder}/catalog.sqlite", f"DATA_PATH '{folder}/data', META_JOURNAL_MODE 'WAL'"
    if server:
        database = server.database()
        environment["TARN_TEST_CONNECTION"] = server.connection(database)
        catalog["backend"] = {"type": "postgres", "connection": "${TARN_TEST_CONNECTION}"}
        target, options = f"ducklake:postgres:{server.connection(database)}", f"DATA_PATH '{folder}/data'"
    if s3:
        bucket = s3.bucket()
        del catalog["dataPath"]
        catalog["objectStore"] = {"endpoint": s3.address, "bucket": bucket, "prefix": "lake", "credentials": {
            "accessKeyId": "${TARN_TEST_S3_KEY}", "secretAccessKey": "${TARN_TEST_S3_SECRET}"}}
        environment |= {"TARN_TEST_S3_KEY": s3.key, "TARN_TEST_S3_SECRET": s3.secret}
        options = options.replace(f"DATA_PATH '{folder}/data'", f"DATA_PATH 's3://{bucket}/lake/'")
    con = support.attach(target, f"({options}, DATA_INLINING_ROW_LIMIT 0)", s3)
    con.execute("CREATE TABLE lake.gold AS SELECT i AS id FROM range(1000) t(i)")
    manifest = folder / "tarn.yaml"
    manifest.write_text(yaml.safe_dump_all([
        API | {"kind": "DuckLakeCatalog", "metadata": {"name": "main"}, "spec": catalog},
        API | {"kind": "DuckLakePool", "metadata": {"name": "main"},
               "spec": {"catalogRef": {"name": "main"}, "maxSize": 1, "hotTables": ["hot"]}}]))
    pool = Pool(manifest, folder, environment)
    try:
        pool.warm()
        assert good(pool.one("SELECT count(*) AS n, sum(id) AS s FROM gold"), ["1000,499500"])
        for n in range(3):
            con.execute(f"INSERT INTO lake.gold VALUES ({n})")
            assert good(pool.one("SELECT count(*) AS n FROM gold"), [str(1001 + n)])
            snapshot = con.execute("SELECT id FROM lake.current_snapshot()").fetchone()[0]
            assert (pool.version("gold")["version"], pool.version("gold")["changed"]) == (snapshot, snapshot)
        con.execute("CREATE TABLE lake.hot AS SELECT 5 AS n")
        told = pool.version("gold")
        assert (told["version"], told["changed"]) == (snapshot + 1, snapshot) and pool.version("hot")["changed"] == snapshot + 1
        assert good(pool.one("SELECT sum(n) AS n, (SELECT count(*) FROM gold) AS m FROM hot"), ["5,1003"])
        assert pool.one("FROM nope")["end"]["error"] == "invalid"
        con.close()
        if server:
            server.stop()
            away = pool.one("SELECT count(*) AS n FROM gold", max_ms=20000)
            assert away["event"] == "lost" or away["end"]["error"] in ("later", "internal", "time"), away
            assert "password" not in json.dumps(away) and database not in json.dumps(away)
            told = pool.version("gold")
            assert told["version"] == -1 and told["us"] < 4e6 and "cannot be asked" in told["error"], told
            server.restart()
            support.eventually("it tells its version again", lambda: pool.version("gold")["version"] == snapshot + 1, 20)
            support.eventually("it is answered again", lambda: (a := pool.one("SELECT count(*) AS n FROM gold")) and a.get("end", {}).get("rows") == 1, 60, 0.2)
    finally:
        pool.end()


@pytest.mark.parametrize("backend", ["duckdb", "file"])
def test_lake_of_one_process(backend, folder):
    """Several workers read it while nobody writes; beside a writer they say what to do."""
    catalog = {"duckdb": {"backend": {"type": "duckdb", "path": "lake.ducklake"}, "dataPath": "data"},
               "file": {"backend": {"type": "file", "path": "lake.duckdb"}}}[backend]
    target = f"ducklake:{folder}/lake.ducklake" if backend == "duckdb" else f"{folder}/lake.duckdb"
    options = f"(DATA_PATH '{folder}/data')" if backend == "duckdb" else ""
    con = support.attach(target, options)
    con.execute("CREATE TABLE lake.gold AS SELECT i AS id FROM range(1000) t(i)")
    con.close()
    manifest = folder / "tarn.yaml"
    manifest.write_text(yaml.safe_dump_all([
        API | {"kind": "DuckLakeCatalog", "metadata": {"name": "main"}, "spec": catalog},
        API | {"kind": "DuckLakePool", "metadata": {"name": "main"},
               "spec": {"catalogRef": {"name": "main"}, "minSize": 2, "maxSize": 2, "hotTables": ["gold"]}}]))
    pool = Pool(manifest, folder)
    try:
        pool.warm(2)
        answers = [pool.ask("SELECT count(*) AS n FROM gold", command={"hold_ms": 200}) for _ in range(2)]
        assert all(good(pool.answer(n), ["1000"]) for n in answers)
        assert {pool.answer(n)["worker"] for n in answers} == {1, 2}
        never = pool.one("SELECT count(*) AS n FROM gold", snapshot=99)
        assert never["end"]["error"] == "not_found"
    finally:
        pool.end()
    con = support.attach(target, options)
    con.execute("BEGIN")
    con.execute("INSERT INTO lake.gold VALUES (1)")
    pool = Pool(manifest, folder)
    try:
        pool.until("the circuit opens", lambda f: f["circuit_open"])
        assert "sqlite or postgres" in pool.log_path.read_text()
    finally:
        pool.end()
        con.close()
