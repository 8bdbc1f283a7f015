"""connect.py [ROUNDS [SHAPE=ROWS...]]: Kafka Connect with Apache Iceberg's sink beside Tarn, on the same topics.

Three rounds of posthog=600000 and telecom=1000000 unless said otherwise. Starts a broker of its own, produces JSON events, a
message each, over 4 partitions, and each round brings each topic into a new Iceberg table (connect-standalone in one JVM, 4
tasks, a commit each 5 s, Parquet with zstd, a JDBC catalog in a SQLite file, a local folder) and into a new lake by `tarn run
--once`. All of it is in a temporary folder, which is removed.

SETTINGS of the peer ("auto declared"): `auto`, the sink makes the table from the first event and adds columns as it meets
them; `declared`, the table is there before, with the columns that Tarn's has (of PostHog events `properties` is a text in
both; of telecom events the payload is a struct).

Seconds are from the assignment of the partitions to the commit that holds the last row, of both; what the start took, JVM,
group and all, is told apart. `best` is the peer's rate between the two commits where it was highest: too high where a commit
came late. CPU of the peer is what the JVM took from the assignment on, and before it `start_cpu_seconds`; of Tarn it is the
whole process's. Peak memory is the process's. Afterwards rows and distinct keys are counted: in the table's Parquet files, and
in the lake, which is verified. Telecom events have no bad ones here: with 5 % of them the sink's tasks end.

Of PostHog events the Python consumers of bench/peer.py take their turn in each round too (`python json`, `python json-tuned`),
so that one table has all three; their seconds are from the first message, and their CPU is the whole process's.

Prints a line of JSON a run and at the end a table. Needs Java 17 or later and Maven on the PATH, and .deps/venv/bin/python;
Maven fetches what is pinned below by its name, on first use, into ~/.cache/tarn-bench. TARN (build/tarn), HEAP (1g).
"""

import datetime
import glob
import hashlib
import itertools
import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import uuid

import duckdb
import yaml
from confluent_kafka.admin import AdminClient, NewTopic

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
TARN = os.environ.get("TARN", os.path.join(TOP, "build", "tarn"))
SERVER = os.path.join(TOP, "tests", "servers", "kafka.sh")
HEAP = os.environ.get("HEAP", "1g")
PATIENCE_SECONDS = 300  # for the start, and again for the rows
PARTITIONS = 4
COMMIT_MS = 5000

# What the peer is made of: group, name, version. Each part has a folder, for Connect loads its plugins apart from itself.
COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
PARTS = {
    "worker": [
        ("org.apache.kafka", "connect-runtime", "4.3.1"),
        ("org.apache.kafka", "connect-json", "4.3.1"),
        ("org.apache.logging.log4j", "log4j-slf4j-impl", "2.25.5"),
    ],
    "plugins/iceberg": [
        ("org.apache.iceberg", "iceberg-kafka-connect", "1.11.0"),
        ("org.apache.iceberg", "iceberg-parquet", "1.11.0"),
        ("org.apache.iceberg", "iceberg-orc", "1.11.0"),  # never used, but its class is looked for
        ("org.apache.hadoop", "hadoop-client-api", "3.4.2"),
        ("org.apache.hadoop", "hadoop-client-runtime", "3.4.2"),
        ("org.xerial", "sqlite-jdbc", "3.50.3.0"),
    ],
}

LOGGING = """rootLogger.level=INFO
rootLogger.appenderRef.c.ref=C
appender.c.type=Console
appender.c.name=C
appender.c.layout.type=PatternLayout
appender.c.layout.pattern=%d{UNIX_MILLIS} %p %c: %m%n
"""
WORKER = """bootstrap.servers={brokers}
key.converter=org.apache.kafka.connect.storage.StringConverter
value.converter=org.apache.kafka.connect.json.JsonConverter
value.converter.schemas.enable=false
offset.storage.file.filename={folder}/offsets
offset.flush.interval.ms=1000
plugin.path={jars}/plugins
plugin.discovery=service_load
listeners=http://127.0.0.1:0
"""
# offset.flush.interval.ms: as long may an idle task wait before it answers a commit, a minute by default
SINK = """name={name}
connector.class=org.apache.iceberg.connect.IcebergSinkConnector
tasks.max={tasks}
topics={topic}
iceberg.tables=lake.{topic}
iceberg.tables.auto-create-enabled={auto}
iceberg.tables.evolve-schema-enabled={auto}
iceberg.control.topic={name}
iceberg.control.commit.interval-ms={commit_ms}
iceberg.catalog.type=jdbc
iceberg.catalog.uri=jdbc:sqlite:{folder}/catalog.sqlite?busy_timeout=30000&journal_mode=WAL
iceberg.catalog.warehouse=file://{folder}/warehouse
"""
CATALOG = """
CREATE TABLE iceberg_tables (catalog_name VARCHAR(255) NOT NULL, table_namespace VARCHAR(255) NOT NULL,
  table_name VARCHAR(255) NOT NULL, metadata_location VARCHAR(1000), previous_metadata_location VARCHAR(1000),
  iceberg_type VARCHAR(5), PRIMARY KEY (catalog_name, table_namespace, table_name));
CREATE TABLE iceberg_namespace_properties (catalog_name VARCHAR(255) NOT NULL, namespace VARCHAR(255) NOT NULL,
  property_key VARCHAR(255), property_value VARCHAR(1000), PRIMARY KEY (catalog_name, namespace, property_key));
INSERT INTO iceberg_namespace_properties VALUES ('iceberg', 'lake', 'exists', 'true');
"""
COLUMNS = {
    "posthog": {"uuid": "string", "event": "string", "distinct_id": "string", "properties": "string", "timestamp": "string",
                "team_id": "long", "project_id": "long", "elements_chain": "string"},
    "telecom": {"event_id": "string", "event_type": "string", "source_system": "string", "subscriber_id": "string",
                "event_timestamp": "timestamptz",
                "payload": {"plan": "string", "data_used_mb": "double", "bill_zmw": "decimal(12, 2)", "days_overdue": "int",
                            "payment_status": "string", "signal_dbm": "double", "latency_ms": "double",
                            "packet_loss_pct": "double", "device_id": "string", "battery_pct": "double"}},
}
KEYS = {"posthog": "uuid", "telecom": "event_id"}
COMPRESSION = {"posthog": "zstd", "telecom": "lz4"}
CONNECT = [f"connect {settings}" for settings in os.environ.get("SETTINGS", "auto declared").split()]
STAGES = {"posthog": [*CONNECT, "python json", "python json-tuned", "tarn"], "telecom": [*CONNECT, "tarn"]}


def fetch():
    """The folder of jars, made on first use."""
    version = hashlib.sha256(json.dumps([COPY, PARTS]).encode()).hexdigest()[:12]
    jars = os.path.join(os.path.expanduser(os.environ.get("XDG_CACHE_HOME", "~/.cache")), "tarn-bench", f"connect-{version}")
    if os.path.exists(jars):
        return jars
    os.makedirs(os.path.dirname(jars), exist_ok=True)
    making = tempfile.mkdtemp(dir=os.path.dirname(jars))
    for part, pins in PARTS.items():
        pin = "<groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version>"
        wanted = "".join(f"<dependency>{pin.format(*one)}</dependency>" for one in pins)
        with open(f"{making}/pom.xml", "w") as pom:
            pom.write(f"<project><modelVersion>4.0.0</modelVersion>{pin.format('tarn', 'bench', 1)}<dependencies>{wanted}</dependencies>")
            pom.write("</project>")
        subprocess.run(["mvn", "-q", "-B", COPY, "-DincludeScope=runtime", f"-DoutputDirectory={making}/{part}"], cwd=making,
                       check=True, stdout=sys.stderr)
    os.rename(making, jars)
    return jars


def machine():
    with open("/proc/stat") as stat:
        jiffies = [int(word) for word in stat.readline().split()[1:9]]
    return sum(jiffies) - jiffies[3] - jiffies[4], sum(jiffies)


def busy(before):
    after = machine()
    return round((after[0] - before[0]) / max(1, after[1] - before[1]), 2)


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_bytes(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))


# ---- the peer ----


def number_fields(columns, ids):
    """Iceberg's fields of these columns, ids in order."""
    fields = []
    for name, kind in columns.items():
        field = {"id": next(ids), "name": name, "required": False, "type": kind}
        if isinstance(kind, dict):
            field["type"] = {"type": "struct", "fields": number_fields(kind, ids)}
        fields.append(field)
    return fields


def make_catalog(folder, topic, declared):
    """The namespace is made here, for of four tasks that make it at once three end; the table only if it is declared."""
    catalog = sqlite3.connect(f"{folder}/catalog.sqlite")
    catalog.executescript(CATALOG)
    if declared:
        location, ids = f"{folder}/warehouse/lake/{topic}", iter(range(1, 1000))
        schema = {"type": "struct", "schema-id": 0, "fields": number_fields(COLUMNS[topic], ids)}
        metadata = {
            "format-version": 2, "table-uuid": str(uuid.uuid4()), "location": f"file://{location}", "last-sequence-number": 0,
            "last-updated-ms": int(time.time() * 1000), "last-column-id": next(ids) - 1, "current-schema-id": 0, "schemas": [schema],
            "default-spec-id": 0, "partition-specs": [{"spec-id": 0, "fields": []}], "last-partition-id": 999,
            "default-sort-order-id": 0, "sort-orders": [{"order-id": 0, "fields": []}],
            "properties": {"write.parquet.compression-codec": "zstd"}, "snapshots": [],
        }
        os.makedirs(f"{location}/metadata")
        path = f"{location}/metadata/00000-{uuid.uuid4()}.metadata.json"
        with open(path, "w") as file:
            json.dump(metadata, file)
        catalog.execute("INSERT INTO iceberg_tables VALUES ('iceberg', 'lake', ?, ?, NULL, 'TABLE')", (topic, f"file://{path}"))
    catalog.commit()
    catalog.close()


def snapshots(folder):
    """(milliseconds, rows in all) of each commit of the one table."""
    catalog = sqlite3.connect(f"{folder}/catalog.sqlite", timeout=30)
    found = catalog.execute("SELECT metadata_location FROM iceberg_tables").fetchone()
    catalog.close()
    if not found:
        return []
    with open("/" + found[0].removeprefix("file:").lstrip("/")) as file:
        return [(s["timestamp-ms"], int(s["summary"]["total-records"])) for s in json.load(file)["snapshots"]]


def wait_for(found, what, worker, log):
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        value = found()
        if value:
            return value
        if worker.poll() is not None:
            raise SystemExit(f"connect: ended with {worker.returncode} before {what}")
        with open(log, errors="replace") as lines:
            killed = next((line for line in lines if "Task is being killed" in line), None)
        if killed:
            raise SystemExit(f"connect: {killed}")
        time.sleep(0.2)
    raise SystemExit(f"connect: waited {PATIENCE_SECONDS} s for {what}")


def assigned(log, topic):
    with open(log, errors="replace") as lines:
        return next((int(line.split()[0]) for line in lines if f"Resetting offset for partition {topic}-" in line), None)


def configure(folder, brokers, topic, settings, jars):
    name = f"peer-{uuid.uuid4().hex[:8]}"
    admin = AdminClient({"bootstrap.servers": brokers})
    admin.create_topics([NewTopic(name, 1, 1)])[name].result(30)  # the connector's control topic
    values = {"brokers": brokers, "folder": folder, "jars": jars, "name": name, "topic": topic, "tasks": PARTITIONS,
              "auto": str(settings == "auto").lower(), "commit_ms": COMMIT_MS}
    for file, text in (("worker", WORKER.format(**values)), ("sink", SINK.format(**values)), ("log4j2", LOGGING)):
        with open(f"{folder}/{file}.properties", "w") as out:
            out.write(text)


def stop(worker):
    worker.terminate()
    try:
        worker.wait(60)
    except subprocess.TimeoutExpired:
        worker.kill()
        worker.wait()


def connect(folder, brokers, topic, rows, settings, jars):
    make_catalog(folder, topic, settings == "declared")
    configure(folder, brokers, topic, settings, jars)
    log = f"{folder}/connect.log"
    command = ["java", f"-Xmx{HEAP}", f"-Dlog4j2.configurationFile={folder}/log4j2.properties", "-cp", f"{jars}/worker/*",
               "org.apache.kafka.connect.cli.ConnectStandalone", f"{folder}/worker.properties", f"{folder}/sink.properties"]

    def whole():
        found = snapshots(folder)
        return found if found and found[-1][1] >= rows else None

    spawned = time.time()
    worker = subprocess.Popen(command, stdout=open(log, "w"), stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    try:
        started = wait_for(lambda: assigned(log, topic), "the partitions' assignment", worker, log)
        start_cpu, before = cpu_seconds(worker.pid), machine()
        commits = wait_for(whole, "the last row's commit", worker, log)
        cpu, share = cpu_seconds(worker.pid) - start_cpu, busy(before)
        time.sleep(2 * COMMIT_MS / 1000)  # does anything come twice?
        peak = peak_bytes(worker.pid)
    finally:
        stop(worker)
    files = glob.glob(f"{folder}/warehouse/lake/{topic}/data/*.parquet")
    stored, distinct = duckdb.execute(
        f"SELECT count(*), count(DISTINCT {KEYS[topic]}) FROM read_parquet(?, union_by_name = true)", [files]).fetchone()
    steps = zip([(started, 0), *commits], commits)
    return {
        "rows": snapshots(folder)[-1][1], "rows_stored": stored, "distinct": distinct,
        "seconds": round((commits[-1][0] - started) / 1000, 2),
        "rows_per_second": round(1000 * rows / (commits[-1][0] - started)),
        "best_rows_per_second": round(max(1000 * (b[1] - a[1]) / (b[0] - a[0]) for a, b in steps)),
        "cpu_seconds": round(cpu, 1), "start_cpu_seconds": round(start_cpu, 1), "start_seconds": round(started / 1000 - spawned, 1),
        "peak_mb": round(peak / 1e6), "machine_busy": share, "commits": len(commits), "files": len(files),
        "file_mb": round(sum(map(os.path.getsize, files)) / 1e6),
    }


# ---- Tarn ----


TABLE = "bronze_raw_events"  # as the example has it


def ask(*arguments):
    return subprocess.run([TARN, *arguments, "--log-level", "error"], check=True, stdout=subprocess.PIPE, text=True).stdout


def write_manifest(folder, brokers, topic):
    """The telecom example's, without the raw event beside the columns; of PostHog events each key becomes a column."""
    with open(os.path.join(TOP, "examples", "telecom", "tarn.yaml")) as file:
        catalog, stream, *_ = yaml.safe_load_all(file)
    stream["spec"]["kafka"] = {"brokers": brokers, "topic": topic, "group": f"tarn-{uuid.uuid4().hex[:8]}"}
    if topic == "telecom":
        stream["spec"]["json"]["keep"].pop("raw", None)
    else:
        del stream["spec"]["json"]
    with open(f"{folder}/tarn.yaml", "w") as file:
        yaml.safe_dump_all([catalog, stream], file)
    return f"{folder}/tarn.yaml"


def seconds_of(line):
    return datetime.datetime.fromisoformat(line["ts"].replace("Z", "+00:00")).timestamp()


def tarn(folder, brokers, topic, rows):
    manifest = write_manifest(folder, brokers, topic)
    spawned, before = time.time(), machine()
    with open(f"{folder}/tarn.log", "w") as log:
        run = subprocess.Popen([TARN, "run", manifest, "--once", "--log-format", "json"], stderr=log)
        _, status, usage = os.wait4(run.pid, 0)
    share = busy(before)
    with open(f"{folder}/tarn.log") as log:
        lines = [json.loads(line) for line in log]
    if status:
        raise SystemExit(f"tarn: ended with {status}: {lines[-1]}")
    started = min(seconds_of(line) for line in lines if line["event"] == "lane_assigned")
    commits = [seconds_of(line) for line in lines if line["event"] == "commit"]
    verified = json.loads(ask("verify", manifest, "--topic", "--format", "json"))[0]
    sql = f"SELECT count(*) AS stored, count(DISTINCT {KEYS[topic]}) AS keys FROM {TABLE}"
    stored, distinct = ask("query", manifest, "--format", "csv", sql).split()[-1].split(",")
    files = glob.glob(f"{folder}/lake/data/**/*.parquet", recursive=True)
    return {
        "rows": verified["table_rows"], "rows_stored": int(stored), "distinct": int(distinct), "verified": verified["passed"],
        "seconds": round(commits[-1] - started, 2), "rows_per_second": round(rows / (commits[-1] - started)),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1), "start_seconds": round(started - spawned, 1),
        "peak_mb": round(usage.ru_maxrss * 1024 / 1e6), "machine_busy": share, "commits": len(commits), "files": len(files),
        "file_mb": round(sum(map(os.path.getsize, files)) / 1e6),
    }


# ---- the Python consumers ----


def python(folder, brokers, topic, rows, settings):
    command = [sys.executable, os.path.join(TOP, "bench", "peer.py"), brokers, topic, str(rows), folder, settings]
    spawned = time.time()
    said = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    files = glob.glob(f"{folder}/data/**/*.parquet", recursive=True)
    stored, distinct = duckdb.execute(f"SELECT count(*), count(DISTINCT {KEYS[topic]}) FROM read_parquet(?)", [files]).fetchone()
    return {
        "rows": said["rows"], "rows_stored": stored, "distinct": distinct, "seconds": round(said["seconds"], 2),
        "rows_per_second": round(said["rows"] / said["seconds"]), "cpu_seconds": round(said["cpu_seconds"], 1),
        "start_seconds": round(time.time() - spawned - said["seconds"], 1), "peak_mb": round(said["peak_rss_bytes"] / 1e6),
        "machine_busy": said["machine_busy"], "files": len(files), "file_mb": round(sum(map(os.path.getsize, files)) / 1e6),
    }


# ---- all of it ----

REPORTED = ("rows_per_second", "best_rows_per_second", "cpu_seconds", "peak_mb", "start_seconds", "start_cpu_seconds", "file_mb")


def spread(runs, field):
    values = [run[field] for run in runs if field in run]
    return f"{round(statistics.median(values), 1):,} ({min(values):,}-{max(values):,})" if values else ""


def report(runs):
    print("| | " + " | ".join(REPORTED) + " |\n|" + "---|" * (len(REPORTED) + 1))
    for shape, stage in dict.fromkeys((run["shape"], run["stage"]) for run in runs):
        mine = [run for run in runs if (run["shape"], run["stage"]) == (shape, stage)]
        print(f"| {shape}: {stage} | " + " | ".join(spread(mine, field) for field in REPORTED) + " |")


def start_broker(work):
    with open(f"{work}/kafka.properties", "w") as extra:
        extra.write("group.initial.rebalance.delay.ms=3000\n")  # Kafka's own default: the four tasks join together
    said = subprocess.run([SERVER, "start", f"{work}/kafka"], env=os.environ | {"KAFKA_TEST_CONFIG": f"{work}/kafka.properties"},
                          check=True, capture_output=True, text=True)
    return said.stdout.strip()


def produce(brokers, shape, rows):
    ask("produce", "--brokers", brokers, "--topic", shape, "--shape", shape, "--format", "json", "--count", str(rows), "--partitions",
        str(PARTITIONS), "--property", f"compression.type={COMPRESSION[shape]}", *(["--bad", "0"] if shape == "telecom" else []))


def main(rounds, shapes):
    jars, runs = fetch(), []
    work = tempfile.mkdtemp(prefix="tarn-connect.", dir="/tmp")
    try:
        brokers = start_broker(work)
        for shape, rows in shapes.items():
            produce(brokers, shape, rows)
        for number, (shape, rows) in itertools.product(range(1, rounds + 1), shapes.items()):
            for stage in STAGES[shape]:
                system, _, settings = stage.partition(" ")
                folder, load = tempfile.mkdtemp(dir=work), os.getloadavg()[0]
                run = {
                    "connect": lambda: connect(folder, brokers, shape, rows, settings, jars),
                    "python": lambda: python(folder, brokers, shape, rows, settings),
                    "tarn": lambda: tarn(folder, brokers, shape, rows),
                }[system]()
                runs.append({"round": number, "shape": shape, "stage": stage, "load_before": round(load, 1)} | run)
                print(json.dumps(runs[-1]), flush=True)
                shutil.rmtree(folder)
        report(runs)
    finally:
        subprocess.run([SERVER, "stop", f"{work}/kafka"])
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    wanted = dict(argument.split("=") for argument in sys.argv[2:]) or {"posthog": 600_000, "telecom": 1_000_000}
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3, {shape: int(rows) for shape, rows in wanted.items()})
