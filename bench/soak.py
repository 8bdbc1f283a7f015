"""soak.py [SECONDS [json|arrow|trickle]]: ten minutes (600) at full rate on a real broker: does memory grow, do files pile up?

A producer beside `tarn run` into a SQLite-catalogued lake, all of it in a temporary folder, which is removed: telecom events as
JSON, a message each, or PostHog events as Arrow; or a trickle of the former, for as many commits as can be. The producer is
stopped while the stream is far behind and goes on when it has caught up, so that it is never idle and the topic's retention
never overtakes it. Each half second the process's resident memory is noted, each five the table's files. Prints a line of JSON: the
median of memory in each fifth of the time and its slope over the last four, for how long it was above the bound (418 MB) and
what the log says around the highest, the most small files at any moment, and what `tarn verify` says of it all at the end. Ten
minutes take up to 40 GB of disk. KEEP_LOG: where the log is copied to.
"""

import datetime
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

import duckdb
from confluent_kafka.admin import AdminClient, NewTopic

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
TARN = os.environ.get("TARN", os.path.join(TOP, "build", "tarn"))
KAFKA = os.path.join(TOP, "tests", "servers", "kafka.sh")
EXTENSIONS = os.path.join(TOP, ".deps", "extensions")
PARTITIONS = 8
BOUND_BYTES = (256 << 20) + 150 * 10**6  # spec.memory, and what README allows beside it
MANIFEST = """apiVersion: ducklake.featherman.dev/v1alpha1
kind: DuckLakeCatalog
metadata: {name: main}
spec: {backend: {path: lake/catalog.sqlite}, dataPath: lake/data}
---
apiVersion: ducklake.featherman.dev/v1alpha1
kind: DuckLakeStream
metadata: {name: events}
spec:
  table: events
  kafka: {brokers: "%s", topic: soak, group: soak}
  commit: {freshness: %s}
%s"""
SHAPES = {
    "arrow": ["--shape", "posthog", "--format", "arrow"],
    "json": ["--shape", "telecom", "--format", "json", "-X", "compression.type=lz4"],
    "trickle": ["--shape", "telecom", "--format", "json", "--rate", "2000"],
}
BEHIND = {"arrow": 2_000, "json": 2_000_000, "trickle": 2_000_000}  # messages, at which the producer is stopped; it goes on at a quarter


def fields(shape):
    """Of JSON, the columns of the example."""
    if shape == "arrow":
        return ""
    with open(os.path.join(TOP, "examples", "telecom", "tarn.yaml")) as example:
        lines = example.read().split("---")[1].splitlines(keepends=True)
    first = next(i for i, line in enumerate(lines) if line.startswith("  format:"))
    last = next(i for i, line in enumerate(lines) if line.startswith("  kafka:"))
    return "".join(line for line in lines[first:last] if "raw:" not in line)


def resident(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS"))


def list_files(folder):
    con = duckdb.connect(config={"extension_directory": EXTENSIONS, "autoinstall_known_extensions": "false"})
    try:
        con.execute("LOAD ducklake; LOAD sqlite_scanner")
        con.execute(f"ATTACH 'ducklake:sqlite:{folder}/lake/catalog.sqlite' AS lake (READ_ONLY)")
        return con.execute("SELECT count(*), count(*) FILTER (data_file_size_bytes < 8388608) FROM ducklake_list_files('lake', 'events')").fetchone()
    finally:
        con.close()


def slope(samples):
    """Least squares, in bytes a minute."""
    n = len(samples)
    mean_t, mean_v = sum(t for t, _ in samples) / n, sum(v for _, v in samples) / n
    return 60 * sum((t - mean_t) * (v - mean_v) for t, v in samples) / sum((t - mean_t) ** 2 for t, _ in samples)


def fifth(samples, n):
    """The median of one fifth of the time."""
    return statistics.median(v for _, v in samples[n * len(samples) // 5 : (n + 1) * len(samples) // 5])


class Memory(threading.Thread):
    """Notes (seconds, bytes, wall clock) each EVERY_S."""

    EVERY_S = 0.5

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.ended, self.samples = pid, False, []

    def run(self):
        started = time.monotonic()
        while not self.ended:
            self.samples.append((time.monotonic() - started, resident(self.pid), time.time()))
            time.sleep(self.EVERY_S)


def around(log, moment, seconds=5):
    """What the log tells of these seconds before and after, but for commits: {event: how often}."""
    found = {}
    for line in log:
        said = json.loads(line)
        ts = datetime.datetime.fromisoformat(said["ts"].replace("Z", "+00:00")).timestamp()
        if said["event"] != "commit" and abs(ts - moment) < seconds:
            found[said["event"]] = found.get(said["event"], 0) + 1
    return found


class Throttle(threading.Thread):
    """Stops the producer while the stream is far behind."""

    def __init__(self, produce, run_log, most):
        super().__init__(daemon=True)
        self.produce, self.run_log, self.most, self.ended, self.stopped, self.idle_s = produce, run_log, most, False, False, 0.0

    def lag(self):
        with open(self.run_log) as log:
            address = next(json.loads(line)["address"] for line in log if '"listen"' in line)
        text = urllib.request.urlopen(f"http://{address}/metrics", timeout=5).read().decode()
        return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith("tarn_lane_lag_messages{"))

    def run(self):
        while not self.ended:
            time.sleep(0.1)
            lag = self.lag()
            if self.stopped and lag < self.most / 4:
                self.produce.send_signal(signal.SIGCONT)
            elif not self.stopped and lag > self.most:
                self.produce.send_signal(signal.SIGSTOP)
            self.stopped = lag > self.most or (self.stopped and lag >= self.most / 4)
            self.idle_s += 0.1 if lag == 0 else 0
        self.produce.send_signal(signal.SIGCONT)


def soak(folder, seconds, shape):
    broker = subprocess.run([KAFKA, "start", f"{folder}/kafka"], check=True, capture_output=True, text=True).stdout.strip()
    limits = {"retention.bytes": str(1 << 30), "segment.bytes": str(128 << 20), "max.message.bytes": str(16 << 20)}
    admin = AdminClient({"bootstrap.servers": broker})
    admin.create_topics([NewTopic("soak", PARTITIONS, 1, config=limits)])["soak"].result(30)
    with open(f"{folder}/tarn.yaml", "w") as manifest:
        manifest.write(MANIFEST % (broker, "100ms" if shape == "trickle" else "1s", fields(shape)))
    log = open(f"{folder}/tarn.log", "w")
    run = subprocess.Popen([TARN, "run", f"{folder}/tarn.yaml", "--listen", "127.0.0.1:0"], stderr=log)
    produce = subprocess.Popen([TARN, "produce", "--brokers", broker, "--topic", "soak", "--partitions", str(PARTITIONS),
                                "--count", "2000000000", *SHAPES[shape], "--log-level", "error"], stdout=subprocess.DEVNULL)
    time.sleep(5)
    throttle = Throttle(produce, f"{folder}/tarn.log", BEHIND[shape])
    throttle.start()
    started, files, noting = time.monotonic(), [], Memory(run.pid)
    noting.start()
    while time.monotonic() - started < seconds:
        time.sleep(5)
        if os.path.exists(f"{folder}/lake/catalog.sqlite"):
            try:
                files.append(list_files(folder))
            except duckdb.Error:
                pass  # it is being made
    throttle.ended = noting.ended = True
    throttle.join()
    noting.join()
    memory = [(t, value) for t, value, _ in noting.samples]
    highest = max(noting.samples, key=lambda sample: sample[1])
    produce.send_signal(signal.SIGINT)
    produce.wait(120)
    while throttle.lag():
        time.sleep(0.5)
    run.send_signal(signal.SIGTERM)
    run.wait(120)
    verified = json.loads(subprocess.run([TARN, "verify", f"{folder}/tarn.yaml", "--format", "json"], capture_output=True, text=True).stdout)[0]
    settled = [s for s in memory if s[0] > seconds / 5]
    return {
        "shape": shape,
        "seconds": seconds,
        "seconds_idle": round(throttle.idle_s, 1),
        "commits": sum('"event":"commit"' in line for line in open(f"{folder}/tarn.log")),
        "rows": verified["table_rows"],
        "rows_per_second": round(verified["table_rows"] / seconds),
        "verified": verified["passed"],
        "memory_fifths_mb": [round(fifth(memory, n) / 1e6) for n in range(5)],
        "memory_peak_mb": round(highest[1] / 1e6),
        "memory_peak_at_s": round(highest[0]),
        "memory_peak_events": around(open(f"{folder}/tarn.log"), highest[2]),
        "seconds_above_bound": sum(v > BOUND_BYTES for _, v in memory) * Memory.EVERY_S,
        "memory_slope_mb_per_minute": round(slope(settled) / 1e6, 2),
        "files_last": files[-1][0],
        "files_below_8_mib_most": max(f[1] for f in files),
        "warnings": sum('"level":"info"' not in line for line in open(f"{folder}/tarn.log")),
    }


if __name__ == "__main__":
    work = tempfile.mkdtemp(prefix="tarn-soak.", dir="/tmp")
    try:
        arguments = sys.argv[1:] + ["600", "json"][len(sys.argv) - 1:]
        print(json.dumps(soak(work, int(arguments[0]), arguments[1])))
    finally:
        if os.environ.get("KEEP_LOG"):
            shutil.copy(f"{work}/tarn.log", os.environ["KEEP_LOG"])
        subprocess.run([KAFKA, "stop", f"{work}/kafka"])
        shutil.rmtree(work, ignore_errors=True)
