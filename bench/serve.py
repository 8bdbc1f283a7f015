"""serve.py [ROWS [ROUNDS]]: `tarn serve` beside a Python service (FastAPI, uvicorn, DuckDB), the same endpoints over the same lake.

50,000 rows of gold and five rounds unless said otherwise; the lake is a DuckLake with a SQLite catalog. In each round each server is
started anew, the one that goes first in turn, and asked, one kind of request after the other:

    select 1    POST /query
    point       one subscriber of all, drawn by chance: few repeats are kept
    top 20      a list with a filter, always the same
    summary     counts and averages over all rows, always the same

at a rate (open loop, RATE requests a second, 500, whose latency counts from when each was due) and as fast as answers come (closed
loop) with 1, 8 and 64 connections, SECONDS (3) each, by bench/load.c. What is always the same Tarn answers from memory as long as its
tables are as they were; so, twenty times: a commit into another table and one into this one, and how long the next summary takes and
the one after that. Last, three times, a table of EXPORT_ROWS (10,000,000; 0: not) as an Arrow stream, also by DuckDB alone in a process
that keeps nothing of it, and by how much the server's processes grew meanwhile. Of Tarn also how long a request waited for its worker.

Tarn has a pool of two workers with gold in memory (hotTables), each with one thread; the Python service two processes (PEER_WORKERS),
uvloop, httptools, orjson, and DuckDB with one thread each. Tarn asks for no token (--anyone), the Python service has none.

Prints a line of JSON a measurement, then a table of medians and spreads. The Python service comes from deps/python-bench-serve.txt on
first use, into ~/.cache/tarn-bench. TARN (build/tarn), SERVERS ("tarn python"), SECONDS, RATE, CLIENTS ("1 8 64"), KINDS, PREFIX (a
command before each measurement: taskset, a lock).
"""

import ast
import contextlib
import hashlib
import http.client
import itertools
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

TOP = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
TARN = os.environ.get("TARN", os.path.join(TOP, "build", "tarn"))
EXTENSIONS = os.path.join(TOP, ".deps", "extensions")
SERVERS = os.environ.get("SERVERS", "tarn python").split()
SECONDS = os.environ.get("SECONDS", "3")
RATE = os.environ.get("RATE", "500")
CLIENTS = os.environ.get("CLIENTS", "1 8 64").split()
KINDS = os.environ.get("KINDS", "select_1 point top_20 summary").split()
PREFIX = os.environ.get("PREFIX", "").split()
PEER_WORKERS = os.environ.get("PEER_WORKERS", "2")
COMMITS = 20
EXPORT_ROWS = int(os.environ.get("EXPORT_ROWS", "10000000"))
EXPORT = "SELECT * FROM export"

MANIFEST = """apiVersion: ducklake.featherman.dev/v1alpha1
kind: DuckLakeCatalog
metadata: {name: main}
spec: {backend: {type: sqlite, path: lake/catalog.sqlite}, dataPath: lake/data}
---
apiVersion: ducklake.featherman.dev/v1alpha1
kind: DuckLakePool
metadata: {name: readers}
spec:
  catalogRef: {name: main}
  minSize: 2
  maxSize: 2
  hotTables: [gold_subscriber_features]
  hotIndexes: [gold_subscriber_features.subscriber_id]
  template: {resources: {limits: {cpu: "1", memory: 512Mi}}}
---
apiVersion: ducklake.featherman.dev/v1alpha1
kind: DuckLakeEndpoint
metadata: {name: subscribers}
spec:
  path: /api/v1/subscribers
  sql: |
    SUBSCRIBERS
  parameters: [{name: limit, type: integer, default: 20, minimum: 1, maximum: 1000}, {name: risk, enum: [high, low]}]
  nullAs: {"*": 0}
---
apiVersion: ducklake.featherman.dev/v1alpha1
kind: DuckLakeEndpoint
metadata: {name: subscriber}
spec:
  path: /api/v1/subscribers/{id}
  result: object
  sql: |
    SUBSCRIBER
  parameters: [{name: id}]
  nullAs: {"*": 0}
---
apiVersion: ducklake.featherman.dev/v1alpha1
kind: DuckLakeEndpoint
metadata: {name: summary}
spec:
  path: /api/v1/analytics/summary
  result: object
  sql: |
    SUMMARY
  nullAs: {"*": 0}
"""
GOLD = """CREATE TABLE lake.gold_subscriber_features AS SELECT 'sub-' || lpad(i::VARCHAR, 6, '0') AS subscriber_id,
    (2 + i % 7)::BIGINT AS total_events, (i % 3)::BIGINT AS bss_events, (i % 4)::BIGINT AS oss_events,
    CASE WHEN i % 11 = 0 THEN NULL ELSE round(-60 - (hash(i) % 400) / 10.0, 1) END AS avg_signal_dbm, round((hash(i, 1) % 2000) / 10.0, 1) AS avg_latency_ms,
    round((hash(i, 2) % 500) / 100.0, 2) AS avg_packet_loss_pct, round((hash(i, 3) % 50000) / 100.0, 2) AS avg_bill_zmw,
    round((hash(i, 4) % 50000) / 1.0, 0) AS avg_data_used_mb, round((hash(i, 5) % 1000) / 10.0, 1) AS avg_battery_pct, 100.0::DOUBLE AS avg_quality_score,
    (hash(i, 6) % 60)::INTEGER AS max_days_overdue, (i % 2)::BIGINT AS overdue_count, (hash(i, 7) % 4 = 0)::INTEGER AS churn_label FROM range({rows}) AS r(i)"""


def cache(*parts):
    return os.path.join(os.path.expanduser(os.environ.get("XDG_CACHE_HOME", "~/.cache")), "tarn-bench", *parts)


def fetch():
    """The folder with the Python service's packages, made on first use. It is made where it stays; the mark tells a whole one."""
    lists = [os.path.join(TOP, "deps", name) for name in ("python-pip.txt", "python-bench-serve.txt")]
    version = hashlib.sha256(b"".join(open(name, "rb").read() for name in lists)).hexdigest()[:12]
    folder = cache(f"serve-{version}")
    if not os.path.exists(f"{folder}/.complete"):
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(os.path.dirname(folder), exist_ok=True)
        subprocess.run(["/usr/bin/python3", "-m", "venv", folder], check=True)
        for name in lists:
            subprocess.run([f"{folder}/bin/python", "-m", "pip", "install", "-q", "--no-input", "--disable-pip-version-check", "--no-deps",
                            "--only-binary", ":all:", "--require-hashes", "-r", name], check=True, stdout=sys.stderr)
        open(f"{folder}/.complete", "w").close()
    return folder


def statements():
    """The Python service's own SELECTs, so that both are asked the same."""
    with open(os.path.join(TOP, "bench", "peer_serve.py")) as file:
        tree = ast.parse(file.read())
    return {node.targets[0].id: node.value.value for node in tree.body
            if isinstance(node, ast.Assign) and node.targets[0].id in ("ROWS", "ONE", "SUMMARY")}


class Writer:
    """A process of its own, for the lake's DuckDB must not be this program's: it commits when it is told a line."""

    def __init__(self, python, folder, rows):
        program = f"""
import duckdb, sys
con = duckdb.connect(config={{"extension_directory": {EXTENSIONS!r}}})
con.execute("SET enable_progress_bar = false")  # it is printed
con.execute("LOAD ducklake; LOAD sqlite_scanner")
con.execute("ATTACH 'ducklake:sqlite:{folder}/lake/catalog.sqlite' AS lake (DATA_PATH '{folder}/lake/data/', META_JOURNAL_MODE 'WAL')")
con.execute({GOLD.format(rows=rows)!r})
con.execute("CREATE TABLE lake.elsewhere (n INTEGER)")
con.execute("CREATE TABLE lake.export AS SELECT i AS id, (hash(i) % 100000)::INTEGER AS n, (hash(i, 1) % 1000000) / 8 AS amount, "
            "'name ' || hash(i, 2) % 1000 AS name FROM range({EXPORT_ROWS}) AS r(i)")
print("ready", flush=True)
for line in sys.stdin:
    con.execute("INSERT INTO lake.elsewhere VALUES (1)" if line.strip() == "elsewhere" else
                "UPDATE lake.gold_subscriber_features SET total_events = total_events + 1 WHERE subscriber_id = 'sub-000007'")
    print("done", flush=True)
"""
        os.makedirs(f"{folder}/lake")
        self.process = subprocess.Popen([python, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n"

    def commit(self, where):
        self.process.stdin.write(f"{where}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n"

    def end(self):
        self.process.stdin.close()
        self.process.wait()


# ---- servers


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def tree(pid):
    """The process and what it started; threads and children may end while one looks."""
    found, children = [pid], ""
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{task}/children") as file:
                children += file.read()
    for child in children.split():
        found += tree(int(child))
    return found


def memory_mb(pid):
    """Proportional: what processes share is counted once."""
    total = 0
    for each in tree(pid):
        with open(f"/proc/{each}/smaps_rollup") as file:
            total += next(int(line.split()[1]) for line in file if line.startswith("Pss:"))
    return round(total / 1000)


def resident_mb(pid):
    """Without what is shared, which is the program's files."""
    total = 0
    for each in tree(pid):
        try:
            with open(f"/proc/{each}/statm") as file:
                pages = file.read().split()
        except OSError:
            continue
        total += int(pages[1]) - int(pages[2])
    return total * os.sysconf("SC_PAGESIZE") / 1e6


class Server:
    def __init__(self, name, folder, venv):
        self.name, self.port = name, free_port()
        if name == "tarn":
            command = [TARN, "serve", "tarn.yaml", "--listen", f"127.0.0.1:{self.port}", "--anyone", "--audit", "audit.jsonl"]
        else:
            command = [f"{venv}/bin/uvicorn", "peer_serve:app", "--app-dir", os.path.join(TOP, "bench"), "--host", "127.0.0.1", "--port", str(self.port),
                       "--workers", PEER_WORKERS, "--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"]
        environment = os.environ | {"LAKE": f"{folder}/lake/catalog.sqlite", "EXTENSIONS": EXTENSIONS, "THREADS": "1"}
        self.log = open(f"{folder}/{name}.log", "w")
        self.process = subprocess.Popen(command, cwd=folder, env=environment, stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL,
                                        start_new_session=True)
        end = time.monotonic() + 60
        while True:
            try:
                self.get("/api/v1/analytics/summary")
                break
            except (OSError, AssertionError, http.client.HTTPException):
                if time.monotonic() > end or self.process.poll() is not None:
                    raise SystemExit(f"{name} does not answer: see {self.log.name}") from None
                time.sleep(0.1)
        for _ in range(50):  # warm, both workers
            self.get("/api/v1/analytics/summary")
            self.get("/api/v1/subscribers/sub-000001")

    def get(self, path):
        con = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        con.request("GET", path)
        answer = con.getresponse()
        body = answer.read()
        con.close()
        assert answer.status == 200, (answer.status, body)
        return json.loads(body)

    def end(self):
        os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.log.close()


def requests(kind, rows):
    host = "Host: 127.0.0.1\r\n"
    if kind in ("select_1", "export"):
        body = json.dumps({"sql": "SELECT 1"} if kind == "select_1" else {"sql": EXPORT, "format": "arrow"})
        return [f"POST /query HTTP/1.1\r\n{host}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"]
    paths = {"top_20": ["/api/v1/subscribers?limit=20&risk=high"], "summary": ["/api/v1/analytics/summary"],
             "point": [f"/api/v1/subscribers/sub-{(i * 7919) % rows:06}" for i in range(min(rows, 20000))]}[kind]
    return [f"GET {path} HTTP/1.1\r\n{host}\r\n" for path in paths]


# ---- measurements


def load(server, folder, kind, clients, rate, seconds=SECONDS):
    command = [*PREFIX, f"{folder}/load", "127.0.0.1", str(server.port), str(clients), str(seconds), str(rate), f"{folder}/{kind}.requests"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{server.name}, {kind}: {done.stderr}{done.stdout}")
    return json.loads(done.stdout.splitlines()[-1])


def freshness(server, writer):
    """Milliseconds of the summary behind a commit: into another table, into this one, and repeated. One connection, as a client has."""
    con = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)

    def ask():
        began = time.perf_counter()
        con.request("GET", "/api/v1/analytics/summary")
        body = con.getresponse().read()
        return (time.perf_counter() - began) * 1000, json.loads(body)["total_events"]

    figures = {"elsewhere": [], "first": [], "repeated": [], "first later": []}
    _, before = ask()
    for _ in range(COMMITS):
        writer.commit("elsewhere")
        figures["elsewhere"].append(ask()[0])
        writer.commit("here")
        took, now = ask()
        assert now == before + 1, "a commit was not seen"
        before = now
        figures["first"].append(took)
        figures["repeated"].append(ask()[0])
        writer.commit("here")
        time.sleep(1)  # Tarn's workers have had idle time, in which they renew their copies
        took, before = ask()
        figures["first later"].append(took)
    con.close()
    return {name: round(statistics.median(values), 3) for name, values in figures.items()}


def export(server, folder):
    """One client, one export at a time: the first one reads files that DuckDB has not seen."""
    took, peaks, before = [], [], resident_mb(server.process.pid)
    ending = threading.Event()

    def look():
        while not ending.wait(0.05):
            peaks.append(resident_mb(server.process.pid))

    thread = threading.Thread(target=look)
    thread.start()
    for _ in range(4):
        took.append(load(server, folder, "export", 1, 0, 0.01)["max"])
    ending.set()
    thread.join()
    return {"rows_s": round(EXPORT_ROWS / statistics.median(took[1:]) * 1000), "grew_mb": round(max(peaks) - before)}


def export_alone(python, folder):
    program = f"""
import duckdb, time
con = duckdb.connect(config={{"extension_directory": {EXTENSIONS!r}, "threads": "1"}})
con.execute("SET enable_progress_bar = false")
con.execute("LOAD ducklake; LOAD sqlite_scanner")
con.execute("ATTACH 'ducklake:sqlite:{folder}/lake/catalog.sqlite' AS lake (READ_ONLY)")
con.execute("USE lake")
took = []
for _ in range(4):
    began = time.perf_counter()
    for batch in con.execute({EXPORT!r}).to_arrow_reader(2048):
        pass
    took.append(time.perf_counter() - began)
print(sorted(took[1:])[1])
"""
    done = subprocess.run([*PREFIX, python, "-c", program], capture_output=True, text=True, check=True)
    return {"rows_s": round(EXPORT_ROWS / float(done.stdout))}


def waits(server):
    """The hand-outs of workers so far, by the upper bound of their waits in seconds."""
    con = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    con.request("GET", "/metrics")
    text = con.getresponse().read().decode()
    con.close()
    return [(line.split('le="')[1].split('"')[0], int(line.rsplit(" ", 1)[1])) for line in text.splitlines()
            if line.startswith("ducklake_pool_wait_duration_seconds_bucket")]


def handed(before, after):
    """Milliseconds within which 99 in 100 hand-outs were."""
    counts = [(float(bound), now - then) for (bound, now), (_, then) in zip(after, before)]
    return {"p99_below": next(bound for bound, count in counts if count >= 0.99 * counts[-1][1]) * 1000}


def measure(server, folder, writer, turn):
    found = []

    def tell(kind, step, figures):
        found.append({"server": server.name, "round": turn, "kind": kind, "step": step, **figures})
        print(json.dumps(found[-1]), flush=True)

    for kind in KINDS:
        before = waits(server) if server.name == "tarn" else None
        tell(kind, f"{RATE}/s", load(server, folder, kind, 16, RATE))
        if before and kind in ("select_1", "point"):
            tell(kind, f"hand-out at {RATE}/s", handed(before, waits(server)))
        for clients in CLIENTS:
            tell(kind, f"{clients} clients", load(server, folder, kind, clients, 0))
    tell("summary", "behind commits", freshness(server, writer))
    tell("all", "memory", {"mb": memory_mb(server.process.pid)})
    if EXPORT_ROWS:
        tell("export", "arrow", export(server, folder))
    return found


# ---- the table


def spread(values):
    def short(value):
        return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"

    return f"{short(statistics.median(values))} ({short(min(values))}-{short(max(values))})"


def table(found):
    keys = list(dict.fromkeys((run["kind"], run["step"]) for run in found))
    names = list(dict.fromkeys(run["server"] for run in found))
    print(f"\n{'':38} " + "".join(f"{name:>34} " for name in names))
    for kind, step in keys:
        columns = {"memory": ["mb"], "behind commits": ["elsewhere", "first", "repeated", "first later"], "arrow": ["rows_s", "grew_mb"], f"hand-out at {RATE}/s": ["p99_below"]}.get(
            step, ["p50", "p99"] if step.endswith("/s") else ["rate", "p50", "p99"])
        for column in columns:
            cells = []
            for name in names:
                values = [run[column] for run in found if (run["kind"], run["step"], run["server"]) == (kind, step, name) and column in run]
                cells.append(f"{spread(values):>34} " if values else f"{'-':>34} ")
            unit = {"rate": "requests/s", "mb": "MB", "rows_s": "rows/s", "grew_mb": "grew by MB"}.get(column, f"{column} ms")
            print(f"{kind + ', ' + step + ', ' + unit:<38} " + "".join(cells))


def main():
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    venv = fetch()
    folder = tempfile.mkdtemp(prefix="tarn-serve-")
    found, writer = [], None
    try:
        subprocess.run(["gcc", "-std=gnu17", "-D_GNU_SOURCE", "-O2", "-o", f"{folder}/load", os.path.join(TOP, "bench", "load.c")], check=True)
        sql = statements()
        text = MANIFEST.replace("SUBSCRIBERS", sql["ROWS"].replace("\n", "\n    ")).replace("SUBSCRIBER\n", f"{sql['ONE']}\n")
        with open(f"{folder}/tarn.yaml", "w") as file:
            file.write(text.replace("SUMMARY\n", sql["SUMMARY"].replace("\n", "\n    ") + "\n"))
        for kind in [*KINDS, "export"]:
            with open(f"{folder}/{kind}.requests", "w") as file:
                file.write("\0".join(requests(kind, rows)) + "\0")
        writer = Writer(f"{venv}/bin/python", folder, rows)
        order = itertools.cycle([SERVERS, SERVERS[::-1]])
        for turn in range(rounds):
            for name in next(order):
                server = Server(name, folder, venv)
                try:
                    found += measure(server, folder, writer, turn)
                finally:
                    server.end()
            if EXPORT_ROWS:
                found.append({"server": "duckdb alone", "round": turn, "kind": "export", "step": "arrow", **export_alone(f"{venv}/bin/python", folder)})
                print(json.dumps(found[-1]), flush=True)
        table(found)
    finally:
        if writer:
            writer.end()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
