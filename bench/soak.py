"""soak.py [SECONDS]: ten minutes (600) at full rate on a real broker: does memory grow, do files pile up?

A producer of PostHog events, as fast as the stream takes them (--pace), beside `tarn run` into a SQLite-catalogued lake; all of
it in a temporary folder, which is removed. Each five seconds the process's resident memory and the table's files are noted.
Prints a line of JSON: the slope of memory over the last four fifths of the time, the most files at any moment, and what
`tarn verify` says of it all at the end.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

import duckdb
from confluent_kafka.admin import AdminClient, NewTopic

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
TARN = os.environ.get("TARN", os.path.join(TOP, "build", "tarn"))
KAFKA = os.path.join(TOP, "tests", "servers", "kafka.sh")
EXTENSIONS = os.path.join(TOP, ".deps", "extensions")
PARTITIONS = 8
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
  commit: {freshness: 1s}
"""


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


def soak(folder, seconds):
    broker = subprocess.run([KAFKA, "start", f"{folder}/kafka"], check=True, capture_output=True, text=True).stdout.strip()
    limits = {"retention.bytes": str(512 << 20), "segment.bytes": str(128 << 20), "max.message.bytes": str(16 << 20)}
    admin = AdminClient({"bootstrap.servers": broker})
    admin.create_topics([NewTopic("soak", PARTITIONS, 1, config=limits)])["soak"].result(30)
    with open(f"{folder}/tarn.yaml", "w") as manifest:
        manifest.write(MANIFEST % broker)
    log = open(f"{folder}/tarn.log", "w")
    run = subprocess.Popen([TARN, "run", f"{folder}/tarn.yaml", "--log-level", "warn"], stderr=log)
    produce = subprocess.Popen([TARN, "produce", "--brokers", broker, "--topic", "soak", "--partitions", str(PARTITIONS), "--pace", "soak",
                                "--log-level", "error"], stdout=subprocess.DEVNULL)
    started, memory, files = time.monotonic(), [], []
    while time.monotonic() - started < seconds:
        time.sleep(5)
        memory.append((time.monotonic() - started, resident(run.pid)))
        if os.path.exists(f"{folder}/lake/catalog.sqlite"):
            try:
                files.append(list_files(folder))
            except duckdb.Error:
                pass  # it is being made
    produce.send_signal(signal.SIGINT)
    produce.wait(120)
    time.sleep(5)
    run.send_signal(signal.SIGTERM)
    run.wait(120)
    verified = json.loads(subprocess.run([TARN, "verify", f"{folder}/tarn.yaml", "--format", "json"], capture_output=True, text=True).stdout)[0]
    settled = [s for s in memory if s[0] > seconds / 5]
    return {
        "seconds": seconds,
        "rows": verified["table_rows"],
        "rows_per_second": round(verified["table_rows"] / seconds),
        "verified": verified["passed"],
        "memory_first_mb": round(settled[0][1] / 1e6),
        "memory_last_mb": round(settled[-1][1] / 1e6),
        "memory_peak_mb": round(max(v for _, v in memory) / 1e6),
        "memory_slope_mb_per_minute": round(slope(settled) / 1e6, 2),
        "files_last": files[-1][0],
        "files_below_8_mib_most": max(f[1] for f in files),
        "warnings": sum(1 for _ in open(f"{folder}/tarn.log")),
    }


if __name__ == "__main__":
    work = tempfile.mkdtemp(prefix="tarn-soak.", dir="/tmp")
    try:
        print(json.dumps(soak(work, int(sys.argv[1]) if len(sys.argv) > 1 else 600)))
    finally:
        subprocess.run([KAFKA, "stop", f"{work}/kafka"])
        shutil.rmtree(work, ignore_errors=True)
