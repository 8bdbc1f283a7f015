"""What tests against real servers are made of: the servers, events that can be counted one by one, lakes on every backend,
tarn processes, and the proof that each event is in a lake exactly once - by `tarn verify`, and by a reader that knows
nothing of tarn."""

import itertools
import json
import os
import re
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from pathlib import Path

import confluent_kafka
import duckdb
import pyarrow as pa
import yaml
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic, OffsetSpec

ROOT = Path(__file__).resolve().parents[2]
TARN = os.environ.get("TARN_BIN") or str(ROOT / "build" / "tarn")
LONG = bool(os.environ.get("TARN_TEST_LONG"))
SEED = os.environ.get("TARN_TEST_SEED") or "1"
EXTENSIONS = os.environ.get("TARN_EXTENSIONS") or str(ROOT / ".deps" / "extensions")
BACKENDS = ["sqlite", "postgres", "duckdb", "file"]
PLACES = BACKENDS + ["sqlite+s3", "postgres+s3"]  # a backend, and where its data lie when that is no folder
SERVERS = ROOT / "tests" / "servers"


def places(*sample, all=PLACES):
    """Where a long test runs: everywhere in the long form, on these otherwise."""
    return list(all) if LONG else list(sample)


# Exit codes (src/cli/exits.def).
DONE, NO, USAGE, INPUT, OWNED, LATER, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130

# A member that was killed is forgotten within a second, where the default is 45 s.
FAST_GROUP = {"session.timeout.ms": "1000", "heartbeat.interval.ms": "200"}
BROKER_CONFIG = """
group.min.session.timeout.ms=500
group.consumer.min.session.timeout.ms=500
group.consumer.session.timeout.ms=1500
group.consumer.min.heartbeat.interval.ms=100
group.consumer.heartbeat.interval.ms=300
log.retention.check.interval.ms=1000
log.initial.task.delay.ms=500
delete.topic.enable=true
"""

_names = itertools.count()


def unique(prefix):
    return f"{prefix}-{os.getpid()}-{next(_names)}"


def eventually(what, check, timeout_s=30, every_s=0.05):
    """The first true answer of check(); fails with `what`, a text or what makes one, after timeout_s."""
    end = time.monotonic() + timeout_s
    while True:
        answer = check()
        if answer:
            return answer
        assert time.monotonic() < end, f"not within {timeout_s} s: {what() if callable(what) else what}"
        time.sleep(every_s)


# ---- servers


class Server:
    def __init__(self, script, folder, environment):
        self.script, self.folder, self.environment = script, folder, environment
        self.address = self.call("start")

    def call(self, verb):
        done = subprocess.run([str(SERVERS / self.script), verb, str(self.folder)], capture_output=True, text=True,
                              env=os.environ | self.environment, timeout=150)
        assert done.returncode == 0, f"{self.script} {verb}: {done.stderr}"
        return done.stdout.strip()

    def stop(self):
        self.call("stop")

    def restart(self):
        """On the same port, with its data. Stops it first where it runs."""
        self.call("restart")


class KafkaServer(Server):
    def __init__(self, folder, settings="", protocol="PLAINTEXT", **client):
        """settings: further lines of the broker's. client: what a client must say to be let in."""
        folder.mkdir(parents=True)
        self.client = {k.replace("_", "."): v for k, v in client.items()}
        config = folder.parent / f"{folder.name}.properties"
        config.write_text(BROKER_CONFIG + settings)
        super().__init__("kafka.sh", folder, {"KAFKA_TEST_CONFIG": str(config), "KAFKA_TEST_HEAP": "320m", "KAFKA_TEST_PROTOCOL": protocol})
        self.admin = AdminClient({"bootstrap.servers": self.address, "log_level": 2} | self.client)

    def topic(self, partitions=1, name=None, **config):
        name = name or unique("t")
        new = NewTopic(name, num_partitions=partitions, replication_factor=1,
                       config={k.replace("_", "."): str(v) for k, v in config.items()})
        self.admin.create_topics([new])[name].result(30)
        self.wait_topic(name, partitions)
        return name

    def wait_topic(self, name, partitions):
        """Until each partition's leader answers: of a producer's very first message to one that did not yet, librdkafka said that
        it was delivered, and it was not (its next ones were)."""
        def there():
            topics = self.admin.list_topics(name, timeout=5).topics
            if topics[name].error or len(topics[name].partitions) != partitions:
                return False
            ends = self.admin.list_offsets({confluent_kafka.TopicPartition(name, i): OffsetSpec.latest() for i in range(partitions)}, request_timeout=5)
            return not any(end.exception() for end in ends.values())

        eventually(f"topic {name} has {partitions} partitions", there)

    def configure_topic(self, name, **config):
        entries = [ConfigEntry(k.replace("_", "."), str(v), incremental_operation=AlterConfigOpType.SET) for k, v in config.items()]
        resource = ConfigResource(ConfigResource.Type.TOPIC, name, incremental_configs=entries)
        self.admin.incremental_alter_configs([resource])[resource].result(30)

    def offsets(self, topic, partition=0):
        """Of the messages that the partition holds now."""
        consumer = confluent_kafka.Consumer({"bootstrap.servers": self.address, "group.id": unique("offsets"), "enable.partition.eof": True,
                                             "log_level": 2} | self.client)
        consumer.assign([confluent_kafka.TopicPartition(topic, partition, confluent_kafka.OFFSET_BEGINNING)])
        found = []
        while not (message := eventually("a message, or the end", lambda: consumer.poll(5))).error():
            found.append(message.offset())
        assert message.error().code() == confluent_kafka.KafkaError._PARTITION_EOF, message.error()
        consumer.close()
        return found

    def end(self, topic, committed, partition=0):
        """The end offset; committed: of what no open transaction holds back."""
        level = confluent_kafka.IsolationLevel.READ_COMMITTED if committed else confluent_kafka.IsolationLevel.READ_UNCOMMITTED
        where = confluent_kafka.TopicPartition(topic, partition)
        return self.admin.list_offsets({where: OffsetSpec.latest()}, isolation_level=level)[where].result(30).offset

    def delete_topic(self, name):
        self.admin.delete_topics([name])[name].result(30)
        eventually(f"topic {name} is gone", lambda: name not in self.admin.list_topics(timeout=5).topics)

    def grow_topic(self, name, partitions):
        self.admin.create_partitions([NewPartitions(name, partitions)])[name].result(30)
        self.wait_topic(name, partitions)

    def delete_records(self, topic, partition, before):
        """Removes every offset below `before`, as retention does."""
        where = confluent_kafka.TopicPartition(topic, partition, before)
        list(self.admin.delete_records([where]).values())[0].result(30)

    def producer(self, **config):
        return Producer(self.address, **self.client, **config)

    def members(self, group):
        found = self.admin.describe_consumer_groups([group])[group].result(30)
        return [m for m in found.members]

    def committed(self, group, topic, partition=0):
        request = confluent_kafka.ConsumerGroupTopicPartitions(group, [confluent_kafka.TopicPartition(topic, partition)])
        return self.admin.list_consumer_group_offsets([request])[group].result(30).topic_partitions[0].offset


class PostgresServer(Server):
    def __init__(self, folder):
        super().__init__("postgres.sh", folder, {})
        self.connections = itertools.count()

    def database(self):
        name = unique("lake").replace("-", "_")
        self.psql(f"CREATE DATABASE {name}")
        return name

    def connection(self, database):
        return re.sub(r"dbname=\S+", f"dbname={database}", self.address)

    def psql(self, sql, database="tarn"):
        done = subprocess.run(["/usr/lib/postgresql/15/bin/psql", "-qAtX", "-v", "ON_ERROR_STOP=1", "-d",
                               self.connection(database), "-c", sql], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


class S3Server(Server):
    def __init__(self, folder):
        folder.mkdir(parents=True)
        super().__init__("s3.sh", folder, {})
        self.address, self.key, self.secret = self.address.split()

    @property
    def host(self):
        return self.address.removeprefix("http://")

    def put(self, bucket, key, content):
        self.filer(urllib.parse.quote(f"{bucket}/{key}"), "PUT", content)

    def filer(self, path, method="GET", content=None):
        """The server's own door beside S3: a bucket is a folder there."""
        name, port = self.host.split(":")
        request = urllib.request.Request(f"http://{name}:{int(port) + 5}/buckets/{path}", method=method, data=content,
                                         headers={"Accept": "application/json"} | ({"Content-Type": "application/octet-stream"} if content else {}))
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read()

    def bucket(self):
        name = unique("bucket")
        self.filer(f"{name}/", "POST")
        return name

    def objects(self, bucket, path=""):
        """The keys and sizes of all complete objects."""
        try:
            listed = json.loads(self.filer(f"{bucket}/{path}?limit=100000"))
        except urllib.error.HTTPError as error:
            assert error.code == 404, error
            return {}
        found = {}
        for entry in listed.get("Entries") or []:
            name = entry["FullPath"].split(f"/buckets/{bucket}/", 1)[1]
            if entry["Mode"] & (1 << 31):
                found |= self.objects(bucket, f"{name}/") if not name.startswith(".uploads") else {}
            else:
                found[name] = entry["FileSize"]
        return found


# ---- events

SCHEMA = pa.schema([("seq", pa.int64()), ("id", pa.string()), ("happened", pa.timestamp("us")), ("amount", pa.float64()),
                    ("note", pa.string()), ("tags", pa.list_(pa.string()))])


def ipc(batch, schema=None):
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema or batch.schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


def event_id(seq):
    return str(uuid.UUID(int=(seq * 0x9E3779B97F4A7C15F39CC0605CEDC835) % (1 << 128)))


def events(first, rows, note_bytes=20):
    """One message: rows whose every field follows from its sequence number, so that a reader can check each."""
    seqs = range(first, first + rows)
    return ipc(pa.record_batch([
        pa.array(seqs, pa.int64()),
        pa.array([event_id(s) for s in seqs]),
        pa.array([1_700_000_000_000_000 + s * 1_000_003 for s in seqs], pa.timestamp("us")),
        pa.array([None if s % 11 == 0 else s / 8 for s in seqs], pa.float64()),
        pa.array([None if s % 7 == 0 else f"{s}ä" + "x" * note_bytes for s in seqs], pa.string()),
        pa.array([[str(s), "tag"][: s % 3] for s in seqs], pa.list_(pa.string())),
    ], schema=SCHEMA))


class Producer:
    """Writes events, each once even where a broker stops between a write and its answer; remembers what was acknowledged."""

    def __init__(self, brokers, **config):
        self.producer = confluent_kafka.Producer({"bootstrap.servers": brokers, "linger.ms": 1, "log_level": 2, "message.max.bytes": 16777216,
                                                  "enable.idempotence": True,
                                                  **{k.replace("_", "."): v for k, v in config.items()}})
        self.next_seq = 0
        self.sent = self.acknowledged = 0
        self.failed = []
        self.offsets = {}

    def report(self, error, message):
        if error:
            self.failed.append(str(error))
        else:
            self.acknowledged += 1
            self.offsets.setdefault(message.partition(), []).append(message.offset())

    def raw(self, topic, value, partition=0, key=None, headers=None, timestamp=0):
        while True:
            try:
                self.producer.produce(topic, value=value, key=key, partition=partition, headers=headers, timestamp=timestamp,
                                      on_delivery=self.report)
                self.sent += 1
                return
            except BufferError:
                self.producer.poll(0.1)

    def events(self, topic, messages, rows=5, partitions=1, flush=True, note_bytes=20):
        """`messages` messages in turn over the partitions; returns the new rows' sequence numbers."""
        first = self.next_seq
        for i in range(messages):
            self.raw(topic, events(self.next_seq, rows, note_bytes), partition=i % partitions)
            self.next_seq += rows
        if flush:
            self.flush()
        return range(first, self.next_seq)

    def flush(self, timeout_s=60):
        left = self.producer.flush(timeout_s)
        assert not left and not self.failed, f"{left} messages not delivered, {self.failed[:3]}"
        assert self.acknowledged == self.sent, f"{self.sent} messages sent, {self.acknowledged} acknowledged"


class Stream(threading.Thread):
    """Produces at a rate until it is stopped."""

    def __init__(self, producer, topic, partitions, rows=5, per_second=100):
        super().__init__(daemon=True)
        self.producer, self.topic, self.partitions, self.rows, self.per_second = producer, topic, partitions, rows, per_second
        self.stopping = threading.Event()
        self.start()

    def run(self):
        while not self.stopping.wait(self.partitions / self.per_second):
            self.producer.events(self.topic, self.partitions, self.rows, self.partitions, flush=False)
            self.producer.producer.poll(0)

    def finish(self):
        self.stopping.set()
        self.join()
        self.producer.flush()
        return range(self.producer.next_seq)


def settle(lake, stream, process, timeout_s=90):
    """The stream ends; within the time all it produced is in the lake, each event once."""
    seqs = stream.finish()
    seen = {}

    def all_in():
        seen.update(lake.verify(topic=True))
        return seen["table_rows"] == len(seqs)

    def told():
        offsets = {p: (min(o), max(o), len(o)) for p, o in stream.producer.offsets.items()}
        return f"{len(seqs)} rows in the lake: {seen}\nacknowledged offsets (first, last, count): {offsets}\n{process.tail()}"

    eventually(told, all_in, timeout_s, 0.5)
    process.drain()
    lake.assert_exactly_once(seqs)


# ---- tarn processes


class Process:
    """tarn ARGUMENTS with its standard error in a file."""

    def __init__(self, arguments, folder, faults=None, environment=None):
        self.log_path = Path(folder) / f"{unique('log')}.jsonl"
        self.out_path = self.log_path.with_suffix(".out")
        self.environment = {k: v for k, v in os.environ.items() if k != "TARN_FAULT"} | (environment or {})
        if faults:
            self.environment["TARN_FAULT"] = faults
        self.arguments = [TARN, *arguments]
        with open(self.log_path, "wb") as err, open(self.out_path, "wb") as out:
            self.process = subprocess.Popen(self.arguments, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                            env=self.environment, cwd=folder)
        self.pid = self.process.pid
        self.peak_rss = 0

    def send(self, number):
        self.process.send_signal(number)

    def alive(self):
        return self.process.poll() is None

    def wait(self, timeout_s=60):
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{' '.join(self.arguments[1:])} did not end within {timeout_s} s:\n{self.tail()}") from None
        return self.process.returncode

    def drain(self, timeout_s=60):
        """The signal that a service manager sends, and a good end."""
        self.send(signal.SIGTERM)
        assert self.wait(timeout_s) == DONE, self.tail()

    def end(self):
        if self.alive():
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait(30)

    def kill(self):
        self.process.kill()
        self.process.wait(30)

    def text(self):
        return self.log_path.read_text(errors="replace")

    def tail(self, lines=25):
        """The end of the log; of a sanitizer's report its beginning, which says what and where."""
        text = self.text().splitlines()
        report = next((i for i, line in enumerate(text) if "Sanitizer: " in line or "runtime error: " in line), len(text))
        return "\n".join(text[report:report + 80] or text[-lines:])

    def records(self):
        """The log's JSON lines; a last line that is still being written is left out."""
        found = []
        for line in self.text().splitlines(keepends=True):
            if line.startswith("{") and line.endswith("\n"):
                found.append(json.loads(line))
        return found

    def events(self, name):
        return [r for r in self.records() if r["event"] == name]

    def wait_event(self, name, timeout_s=30, count=1, where=lambda record: True):
        def found():
            matching = [r for r in self.events(name) if where(r)]
            if len(matching) >= count:
                return matching
            assert self.alive(), f"tarn ended with {self.process.returncode} before its event {name}:\n{self.tail()}"
            return None

        return eventually(lambda: f"{count} x event {name} in the log:\n{self.tail()}", found, timeout_s)

    def rss(self):
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                self.peak_rss = int(line.split()[1]) * 1024
        return self.peak_rss

    # /metrics

    def address(self):
        return self.wait_event("listen")[0]["address"]

    def get(self, path):
        try:
            with urllib.request.urlopen(f"http://{self.address()}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as answer:
            return answer.code, answer.read().decode()

    def metrics(self):
        """name -> {labels -> value}"""
        status, text = self.get("/metrics")
        assert status == 200
        found = {}
        for line in text.splitlines():
            if line and not line.startswith("#"):
                series, value = line.rsplit(" ", 1)
                name, _, labels = series.partition("{")
                found.setdefault(name, {})[labels.rstrip("}")] = float(value)
        return found

    def metric(self, name):
        return sum(self.metrics().get(name, {}).values())


def stopped(pid):
    """It stands at a fault point, or was sent SIGSTOP."""
    with open(f"/proc/{pid}/status") as status:
        return any(line.startswith("State:\tT") for line in status)


def tarn(*arguments, folder=None, timeout_s=60, environment=None):
    return subprocess.run([TARN, *arguments], capture_output=True, text=True, timeout=timeout_s, cwd=folder,
                          stdin=subprocess.DEVNULL,
                          env={k: v for k, v in os.environ.items() if k != "TARN_FAULT"} | (environment or {}))


# ---- lakes


def rows_turn(point):
    """How often a run passes the fault point until it is of rows: BEGIN and COMMIT come twice before, for the lanes' claim
    (tables, epochs), in a lake that is there."""
    return 3 if point.startswith(("begin", "commit")) else 1


def turns(point):
    """Which occurrences of a point a test of kills tries: in the sample up to that of the rows."""
    return [1, 2, 3, 5] if LONG else range(1, rows_turn(point) + 1)


def attach(target, options="", store=None, **config):
    """Another program than tarn: DuckDB from PyPI, with what ATTACH finds at `target` as lake."""
    con = duckdb.connect(config={"extension_directory": EXTENSIONS, "autoinstall_known_extensions": "false",
                                 "autoload_known_extensions": "false"} | config)
    for prefix, extensions in {"ducklake:": "ducklake", "ducklake:sqlite:": "sqlite_scanner",
                               "ducklake:postgres:": "postgres_scanner"}.items():
        if target.startswith(prefix):
            con.execute(f"LOAD {extensions}")
    if store:
        con.execute("LOAD httpfs")
        con.execute(f"CREATE SECRET (TYPE s3, KEY_ID '{store.key}', SECRET '{store.secret}', ENDPOINT '{store.host}', "
                    f"URL_STYLE 'path', USE_SSL false)")
    for patience in reversed(range(10)):
        try:
            con.execute(f"ATTACH '{target}' AS lake {options}")
            return con
        except duckdb.Error as error:  # SQLite refuses a new file's journal mode at once where it is locked
            if not patience or 'PRAGMA journal_mode=WAL": database is locked' not in str(error):
                raise
            time.sleep(0.1)


class Lake:
    """A catalog on one of the backends and one stream into it, as a manifest, its processes and its readers."""

    def __init__(self, backend, folder, brokers, topic, processes, server=None, freshness="300ms", memory="64Mi", max_bytes=None,
                 properties=None, group=None, table="events", store=None):
        self.store, self.endpoint, self.bucket = store, store and store.address, store and store.bucket()
        self.backend, self.brokers, self.topic, self.processes, self.server = backend, brokers, topic, processes, server
        self.folder = folder / unique(backend)
        self.folder.mkdir()
        self.freshness, self.memory, self.max_bytes, self.table = freshness, memory, max_bytes, table
        self.properties = dict(FAST_GROUP if properties is None else properties)
        self.group = group or unique("group")
        self.database = server.database() if backend == "postgres" else None
        self.manifest = self.write()

    def documents(self, group=None, properties=None):
        api = "ducklake.featherman.dev/v1alpha1"
        where = {"sqlite": {"path": "catalog.sqlite"}, "duckdb": {"path": "catalog.ducklake"}, "file": {"path": "lake.duckdb"},
                 "postgres": {"connection": "${TARN_TEST_CONNECTION}"}}[self.backend]
        catalog = {"backend": {"type": self.backend, **where}}
        if self.store:
            catalog["objectStore"] = {"endpoint": self.endpoint, "bucket": self.bucket, "prefix": "a/lake", "credentials": {
                "accessKeyId": "${TARN_TEST_S3_KEY}", "secretAccessKey": "${TARN_TEST_S3_SECRET}"}}
        elif self.backend != "file":
            catalog["dataPath"] = "data"
        commit = {"freshness": self.freshness} | ({"maxBytes": self.max_bytes} if self.max_bytes else {})
        kafka = {"brokers": self.brokers, "topic": self.topic, "group": group or self.group}
        properties = self.properties if properties is None else properties
        if properties:
            kafka["properties"] = properties
        stream = {"table": self.table, "kafka": kafka, "commit": commit, "memory": self.memory}
        return [{"apiVersion": api, "kind": "DuckLakeCatalog", "metadata": {"name": "main"}, "spec": catalog},
                {"apiVersion": api, "kind": "DuckLakeStream", "metadata": {"name": "events"}, "spec": stream}]

    def set_store(self, **fields):
        """These fields of objectStore, whatever else the manifest says from here on."""
        written = self.documents

        def documents(**changes):
            found = written(**changes)
            found[0]["spec"]["objectStore"] |= fields
            return found

        self.documents = documents
        self.manifest = self.write()
        return self

    def write(self, name="tarn.yaml", **changes):
        path = self.folder / name
        path.write_text(yaml.safe_dump_all(self.documents(**changes)))
        return path

    @property
    def environment(self):
        catalog = {"TARN_TEST_CONNECTION": self.server.connection(self.database)} if self.server else {}
        return catalog | ({"TARN_TEST_S3_KEY": self.store.key, "TARN_TEST_S3_SECRET": self.store.secret} if self.store else {})

    def start(self, *arguments, faults=None, manifest=None, environment=None):
        process = Process(["run", str(manifest or self.manifest), "--log-level", "debug", *arguments], self.folder, faults,
                          self.environment | (environment or {}))
        self.processes.append(process)
        return process

    def once(self, faults=None, timeout_s=60, new_group=True, expect=DONE):
        """`run --once` to its end. In a new group: nobody waits for a member that was killed."""
        manifest = self.write("once.yaml", group=unique("group")) if new_group else self.manifest
        process = self.start("--once", faults=faults, manifest=manifest)
        code = process.wait(timeout_s)
        if expect is not None:
            assert code == expect, f"run --once ended with {code}:\n{process.tail()}"
        return process

    def verify(self, topic=False):
        done = tarn("verify", str(self.manifest), "--format", "json", *(["--topic"] if topic else []),
                    environment=self.environment, folder=self.folder)
        assert done.returncode in (DONE, NO), f"verify ended with {done.returncode}: {done.stderr}"
        answer = json.loads(done.stdout)[0]
        answer["code"] = done.returncode
        return answer

    @property
    def target(self):
        return {"sqlite": f"ducklake:sqlite:{self.folder}/catalog.sqlite", "duckdb": f"ducklake:{self.folder}/catalog.ducklake",
                "postgres": f"ducklake:postgres:{self.server.connection(self.database) if self.server else ''}",
                "file": f"{self.folder}/lake.duckdb"}[self.backend]

    def connect(self):
        """Another program than tarn, reading only."""
        return attach(self.target, "(READ_ONLY)", self.store, threads="1")

    def read(self, sql, *parameters):
        con = self.connect()
        try:
            return con.execute(sql, parameters).fetchall()
        finally:
            con.close()

    def write_sql(self, *statements):
        """Statements of the lake's owner, before tarn runs: a table made by hand."""
        con = attach(self.target, "" if self.backend == "file" else f"(DATA_PATH '{self.folder}/data')")
        for statement in statements:
            con.execute(statement)
        con.close()

    def quarantine(self):
        con = self.connect()
        try:
            return con.execute('SELECT * FROM lake.tarn.quarantine ORDER BY "partition", "offset"').to_arrow_table().to_pylist()
        finally:
            con.close()

    def assert_consistent(self):
        """After a crash, before anything recovers: nothing doubled, nothing missing in between."""
        answer = self.verify()
        assert answer["passed"] and answer["code"] == DONE, f"verify: {answer}"
        return answer

    def assert_exactly_once(self, seqs, topic=True, lag=0):
        """Each of the sequence numbers is one row, with the fields that were sent; and nothing else is there."""
        answer = self.verify(topic)
        assert answer["passed"] and answer["code"] == DONE, f"verify: {answer}"
        assert (answer["gaps"], answer["duplicates"]) == (0, 0), answer
        assert answer["table_rows"] == len(seqs), f"{answer['table_rows']} rows, {len(seqs)} were sent: {answer}"
        if topic:
            assert sum(lane["lag"] for lane in answer["lanes"]) == lag, answer
        rows = self.read(f"SELECT count(*), count(DISTINCT seq), count(DISTINCT id), min(seq), max(seq), "
                         f"count(*) FILTER (happened <> make_timestamp(1700000000000000 + seq * 1000003)), "
                         f"count(*) FILTER (amount IS DISTINCT FROM CASE WHEN seq % 11 = 0 THEN NULL ELSE seq / 8 END), "
                         f"count(*) FILTER ((note IS NULL) <> (seq % 7 = 0) OR NOT starts_with(note, seq || 'ä')), "
                         f"count(*) FILTER (len(tags) <> seq % 3), hash(list(id ORDER BY seq)) FROM lake.{self.table}")[0]
        assert rows[:3] == (len(seqs),) * 3, f"rows, distinct sequence numbers, distinct ids: {rows}; {len(seqs)} were sent"
        if len(seqs):
            assert rows[5:9] == (0, 0, 0, 0), f"fields that differ from what was sent: {rows}"
            found = [r[0] for r in self.read(f"SELECT seq FROM lake.{self.table} ORDER BY seq")]
            assert found == sorted(seqs), "other events than those that were sent"
            ids = self.read(f"SELECT seq, id FROM lake.{self.table} ORDER BY hash(seq) LIMIT 50")
            assert all(event_id(s) == i for s, i in ids)
        return answer
