"""processes.py [ROWS]: one, two and three `tarn run --once` in one group, on one Postgres catalog, on one topic of PostHog events.

Each from the same topic (2,000,000 rows unless said otherwise, 12 partitions) into a lake of its own; prints a line of JSON each:
rows a second in all, CPU seconds of the processes, how busy the machine was, and how often a commit was tried again.
"""

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
TARN = os.environ.get("TARN", os.path.join(TOP, "build", "tarn"))
SERVERS = os.path.join(TOP, "tests", "servers")
MANIFEST = """apiVersion: ducklake.featherman.dev/v1alpha1
kind: DuckLakeCatalog
metadata: {name: main}
spec:
  backend: {type: postgres, connection: "%s"}
  dataPath: %s
---
apiVersion: ducklake.featherman.dev/v1alpha1
kind: DuckLakeStream
metadata: {name: events}
spec:
  table: events
  kafka: {brokers: "%s", topic: events, group: %s}
"""


def server(name, verb, folder):
    done = subprocess.run([os.path.join(SERVERS, name), verb, folder], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return done.stdout.strip()


def machine():
    with open("/proc/stat") as stat:
        jiffies = [int(word) for word in stat.readline().split()[1:9]]
    return sum(jiffies) - jiffies[3] - jiffies[4], sum(jiffies)


def measure(work, brokers, postgres, count):
    database = f"lake{count}"
    subprocess.run(["/usr/lib/postgresql/15/bin/psql", "-q", "-d", postgres, "-c", f"CREATE DATABASE {database}"], check=True)
    manifest = f"{work}/{database}.yaml"
    with open(manifest, "w") as file:
        file.write(MANIFEST % (postgres.replace("dbname=tarn", f"dbname={database}"), f"{work}/{database}", brokers, database))
    before, cpu = machine(), resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.monotonic()
    logs = [open(f"{work}/{database}.{i}.log", "w") for i in range(count)]
    running = [subprocess.Popen([TARN, "run", manifest, "--once"], stderr=log) for log in logs]
    codes = [process.wait() for process in running]
    seconds, after = time.monotonic() - started, machine()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    verified = json.loads(subprocess.run([TARN, "verify", manifest, "--format", "json"], capture_output=True, text=True).stdout)[0]
    retries = sum(open(log.name).read().count('"event":"commit_retry"') for log in logs)
    return {"processes": count, "codes": codes, "rows": verified["table_rows"], "verified": verified["passed"],
            "seconds": round(seconds, 2), "rows_per_second": round(verified["table_rows"] / seconds),
            "cpu_seconds": round(used.ru_utime + used.ru_stime - cpu.ru_utime - cpu.ru_stime, 1),
            "machine_busy": round((after[0] - before[0]) / max(1, after[1] - before[1]), 2), "retries": retries}


def main(rows):
    work = tempfile.mkdtemp(prefix="tarn-processes.", dir="/tmp")
    os.chmod(work, 0o755)
    try:
        brokers, postgres = server("kafka.sh", "start", f"{work}/kafka"), server("postgres.sh", "start", f"{work}/pg")
        subprocess.run([TARN, "produce", "--brokers", brokers, "--topic", "events", "--partitions", "12", "--count", str(rows),
                        "--log-level", "error"], check=True, stdout=subprocess.DEVNULL)
        for count in (1, 2, 3):
            print(json.dumps(measure(work, brokers, postgres, count)), flush=True)
    finally:
        server("kafka.sh", "stop", f"{work}/kafka")
        server("postgres.sh", "stop", f"{work}/pg")
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2_000_000)
