"""`tarn serve` under a mixed load for long (600 s in the long form, 15 in the short): clients that vanish, heavy queries, an ingest that
commits all the while, and workers that are killed at random. No answer is wrong, no worker is stuck, nothing leaks."""

import collections
import contextlib
import http.client
import json
import os
import random
import signal
import socket
import statistics
import sys
import threading
import time

import psutil
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import support
import yaml

sys.path.append(str(support.ROOT / "tests" / "scenario"))

from served import Served  # noqa: E402

SECONDS = float(os.environ.get("SOAK_SECONDS") or (600 if support.LONG else 15))
ROWS = 50_000
CLIENTS = 6
MANY = 300_000  # rows of a stream
HEAVY = "SELECT count(*) AS n FROM range(8000) a, range(8000) b WHERE (a.range * b.range) % 7 = 3"
OF_SEVEN = collections.Counter(i % 7 for i in range(8000))
HEAVY_ANSWER = sum(OF_SEVEN[a] * OF_SEVEN[b] for a in range(7) for b in range(7) if a * b % 7 == 3)
GOLD = f"SELECT i AS id, 'name ' || i AS name, (i % 4 = 0)::INTEGER AS label, i / 8 AS amount FROM range({ROWS}) t(i)"

pytestmark = pytest.mark.timeout(SECONDS + 120)


def gold(i):
    return {"id": i, "name": f"name {i}", "label": int(i % 4 == 0), "amount": i / 8}


class Wrong(AssertionError):
    pass


def check(right, *what):
    if not right:
        raise Wrong(what)


class Load:
    """Clients, each asking for one thing after the other, drawn by its own seed. What it may be answered is what is true, or that
    its worker was lost (503) where one is killed, or that the queue was full."""

    def __init__(self, served, seed):
        self.served, self.seed, self.ending = served, seed, threading.Event()
        self.lock, self.times, self.counts, self.wrong = threading.Lock(), {}, {}, []
        self.kinds = {"point": 40, "page": 10, "summary": 10, "csv": 10, "journal": 10, "arrow": 3, "refused": 4, "heavy": 5, "vanish": 4, "vanish_late": 4}
        self.threads = [threading.Thread(target=self.run, args=(n,)) for n in range(CLIENTS)]

    def run(self, number):
        rng = random.Random(f"{self.seed}:{number}")
        while not self.ending.is_set():
            kind = rng.choices(list(self.kinds), self.kinds.values())[0]
            began = time.monotonic()
            try:
                outcome = getattr(self, kind)(rng) or "ok"
            except Exception as error:  # noqa: BLE001 - whatever it is, it is told
                self.wrong.append((kind, repr(error)[:1000]))
                return
            with self.lock:
                self.counts[kind, outcome] = self.counts.get((kind, outcome), 0) + 1
                if outcome == "ok":
                    self.times.setdefault(kind, []).append(time.monotonic() - began)

    def end(self):
        self.ending.set()
        for thread in self.threads:
            thread.join(60)
        assert not any(thread.is_alive() for thread in self.threads), "a client waits for ever"

    # ---- one request

    def ask(self, path, body=None):
        """The whole answer, or None where it may not be had."""
        con = http.client.HTTPConnection(self.served.address, timeout=60)
        with contextlib.closing(con):
            con.request("POST" if body else "GET", path, body and json.dumps(body), {"Content-Type": "application/json"} if body else {})
            answer = con.getresponse()
            try:
                text = answer.read()
            except http.client.IncompleteRead:  # its worker was killed in the middle
                return None
        if answer.status == 503:
            name = json.loads(text)["type"].rsplit(":", 1)[1]
            check(name in ("lost", "queue_full", "queue_waited"), name)
            return None
        return answer.status, answer.headers, text

    def rows(self, path, body=None):
        answer = self.ask(path, body)
        check(not answer or answer[0] == 200, answer)
        return answer and json.loads(answer[2])

    # ---- kinds

    def point(self, rng):
        i = rng.randrange(ROWS)
        row = self.rows(f"/point/{i}")
        check(row is None or row == gold(i), row)
        return row is None and "lost"

    def page(self, rng):
        i = rng.randrange(ROWS - 20)
        rows = self.rows(f"/page?after={i}&limit=20")
        check(rows is None or rows["rows"] == [gold(k) for k in range(i, i + 20)], rows)
        return rows is None and "lost"

    def summary(self, rng):
        row = self.rows("/summary")
        check(row is None or row == {"n": ROWS, "labels": ROWS // 4, "amount": (ROWS - 1) / 16}, row)
        return row is None and "lost"

    def csv(self, rng):
        i = rng.randrange(ROWS)
        answer = self.ask("/query", {"sql": "SELECT id, name FROM gold WHERE id BETWEEN $1 AND $1 + 2 ORDER BY id", "params": [i]})
        wanted = "id,name\n" + "".join(f"{k},name {k}\n" for k in range(i, min(i + 3, ROWS)))
        check(not answer or (answer[0] == 200 and answer[2].decode() == wanted), answer)
        return not answer and "lost"

    def journal(self, rng):
        """Of the ingest's commits, each of which adds rows that are 0 together."""
        rows = self.rows("/query", {"sql": "SELECT sum(n)::BIGINT AS n, count(*) % 10 AS left_over, count(DISTINCT turn) * 10 = count(*) AS whole FROM journal", "format": "json"})
        check(rows is None or rows == [{"n": 0, "left_over": 0, "whole": True}], rows)
        return rows is None and "lost"

    def arrow(self, rng):
        answer = self.ask("/query", {"sql": f"SELECT i::INTEGER AS i, 'x' || i AS x FROM range({MANY}) t(i)", "format": "arrow"})
        if not answer:
            return "lost"
        table = pa.ipc.open_stream(answer[2]).read_all()
        check(table.num_rows == MANY and pc.sum(table["i"]).as_py() == MANY * (MANY - 1) // 2 and table["x"][-1].as_py() == f"x{MANY - 1}", table)
        return "ok"

    def refused(self, rng):
        sql, status = rng.choice([("SELECT", 400), ("FROM read_csv('/etc/passwd')", 403), ("SELECT nothing FROM gold", 422), ("SELECT 'x'::INTEGER", 422)])
        answer = self.ask("/query", {"sql": sql})
        check(not answer or answer[0] == status, sql, answer)
        return not answer and "lost"

    def heavy(self, rng):
        rows = self.rows("/query", {"sql": HEAVY, "format": "json"})
        check(rows is None or rows == [{"n": HEAVY_ANSWER}], rows)
        return rows is None and "lost"

    def open(self, sql):
        body = json.dumps({"sql": sql}).encode()
        host, port = self.served.address.rsplit(":", 1)
        client = socket.create_connection((host, int(port)), timeout=60)
        client.sendall(b"POST /query HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        return client

    def vanish(self, rng):
        """Before the first byte."""
        with contextlib.closing(self.open("SELECT count(*) FROM range(100000) a, range(100000) b WHERE a.range * b.range % 7 = 3")):
            time.sleep(rng.random() * 0.3)

    def vanish_late(self, rng):
        """In the middle."""
        with contextlib.closing(self.open("SELECT i FROM range(2000000000) t(i)")) as client:
            client.recv(rng.randrange(1, 200_000))


class Ingest(threading.Thread):
    """Commits all the while; each commit is whole or not there."""

    def __init__(self, served):
        super().__init__()
        self.served, self.ending, self.commits = served, threading.Event(), 0

    def run(self):
        while not self.ending.wait(0.25):
            self.commits += 1
            self.served.write(f"INSERT INTO lake.journal SELECT {self.commits}, CASE WHEN i < 5 THEN 7 ELSE -7 END FROM range(10) t(i)")

    def end(self):
        self.ending.set()
        self.join(60)


class Killer(threading.Thread):
    def __init__(self, server, seed):
        super().__init__()
        self.server, self.rng, self.ending, self.kills = server, random.Random(f"{seed}:killer"), threading.Event(), 0

    def run(self):
        while not self.ending.wait(self.rng.uniform(0.5, 2.5)):
            workers = self.server.children()
            if workers:
                with contextlib.suppress(psutil.NoSuchProcess):
                    self.rng.choice(workers).send_signal(signal.SIGKILL)
                    self.kills += 1

    def end(self):
        self.ending.set()
        self.join(60)


class Watch(threading.Thread):
    """What the server holds, over time."""

    def __init__(self, server):
        super().__init__()
        self.server, self.ending, self.rss, self.fds, self.threads = server, threading.Event(), [], [], []

    def run(self):
        while not self.ending.wait(0.2):
            self.rss.append(self.server.memory_info().rss)
            self.fds.append(self.server.num_fds())
            self.threads.append(self.server.num_threads())

    def end(self):
        self.ending.set()
        self.join(10)

    def growth(self, values):
        """From the second quarter to the last one: the first is getting warm."""
        quarter = len(values) // 4
        return statistics.median(values[-quarter:]) - statistics.median(values[quarter:2 * quarter])


@pytest.fixture
def served(folder):
    endpoints = {
        "point": {"path": "/point/{id}", "sql": "SELECT * FROM gold WHERE id = $id", "result": "object", "parameters": [{"name": "id", "type": "integer"}]},
        "page": {"path": "/page", "sql": "SELECT * FROM gold WHERE id >= $after", "page": {"key": ["id"], "size": "limit"},
                 "parameters": [{"name": "after", "type": "integer", "default": "0"}, {"name": "limit", "type": "integer", "default": "20", "minimum": 1, "maximum": 100}]},
        "summary": {"path": "/summary", "sql": "SELECT count(*) AS n, sum(label)::BIGINT AS labels, avg(amount) AS amount FROM gold", "result": "object"},
    }
    served = Served(folder, {"gold": GOLD, "journal": "SELECT 0 AS turn, 0 AS n FROM range(10)"}, endpoints,
                    pool={"minSize": 2, "maxSize": 3, "hotTables": ["gold"], "queue": {"maxLength": 100, "maxWaitTime": "30s"},
                          "lifecyclePolicies": {"maxQueryDuration": "30s", "maxIdleTime": "1s"}, "scalingBehavior": {"scaleInterval": "200ms", "stabilizationWindow": "1s"},
                          "template": {"resources": {"limits": {"memory": "512Mi", "cpu": "1"}}}})
    served.start()
    yield served
    served.end()


def settled(served):
    """Nothing runs, nothing waits, and the pool is as large as it is when nobody asks."""
    served.metrics = {name: sum(values.values()) for name, values in served.process.metrics().items()}
    return all(served.metrics[f"ducklake_pool_{name}"] == wanted for name, wanted in
               {"pods_busy": 0, "queue_length": 0, "size_current": 2, "pods_idle": 2}.items())


def test_soak(served, record_property):
    server = psutil.Process(served.process.pid)
    support.eventually(lambda: served.process.tail(), lambda: settled(served))
    load, ingest, killer, watch = Load(served, support.SEED), Ingest(served), Killer(server, support.SEED), Watch(server)
    served.get("/summary")  # it opens the catalog
    fds = server.num_fds()
    parts = [watch, ingest, killer, *load.threads]
    for part in parts:
        part.start()
    end = time.monotonic() + SECONDS
    while time.monotonic() < end and not load.wrong and served.process.alive():
        time.sleep(0.2)
    for part in (killer, load, ingest, watch):
        part.end()
    print(yaml.safe_dump({f"{kind} {outcome}": count for (kind, outcome), count in sorted(load.counts.items())}))
    assert served.process.alive(), served.process.tail()
    assert not load.wrong, f"{load.wrong}\n{served.process.tail()}"

    # No worker is stuck, and nothing of those that are gone is left.
    support.eventually(lambda: f"the pool at its idle size: {served.metrics}", lambda: settled(served), 40)
    support.eventually(lambda: f"its fds: {server.num_fds()}, {fds} before", lambda: server.num_fds() <= fds + 2, 40)
    support.eventually(lambda: f"its workers alone: {server.children()}", lambda: len(server.children()) == 2)
    assert served.metrics["ducklake_pool_pod_acquisitions_total"] == served.metrics["ducklake_pool_pod_releases_total"]

    # Nothing grows: a slope of the server's memory would be seen in the long form, and in the short one a leak of each request's.
    growth = watch.growth(watch.rss)
    assert growth < (16 << 20), f"the server grew by {growth / 1e6:.1f} MB from {watch.rss[len(watch.rss) // 4]}"
    assert watch.growth(watch.threads) < 8

    # What was asked and what was lost: of what had not begun to be answered clients see nothing.
    counts = {outcome: sum(count for (_, each), count in load.counts.items() if each == outcome) for outcome in ("ok", "lost")}
    assert killer.kills >= SECONDS / 4 and ingest.commits >= SECONDS and counts["ok"] > 4 * SECONDS
    assert counts["lost"] <= killer.kills, (counts, killer.kills)
    for kind, times in sorted(load.times.items()):
        times.sort()
        record_property(f"{kind}_p50_p99_ms", f"{times[len(times) // 2] * 1000:.1f} {times[int(len(times) * 0.99)] * 1000:.1f}")
    record_property("ok", counts["ok"])
    record_property("lost", counts["lost"])
    record_property("kills", killer.kills)
    record_property("retries", int(served.metrics["ducklake_pool_retry_total"]))
    record_property("rss_mb", round(watch.rss[-1] / 1e6))
    record_property("growth_mb", round(growth / 1e6, 1))
