"""peer.py BROKERS TOPIC ROWS FOLDER SETTINGS: the consumer that Tarn is compared with, as a Python programmer writes it.

pyarrow reads each payload's IPC stream without copying, batches are gathered to 100 MB and inserted into DuckLake (SQLite
catalog in WAL mode) by one INSERT ... SELECT from the Arrow table; after the lake's COMMIT the offsets are committed to
Kafka. It promises less than Tarn does: after a crash between the two commits rows come twice, and a message that it cannot
read ends it.

SETTINGS: `defaults`, as one writes it first: the defaults of every library, a message a poll; `snappy`, the client tuned
(it reads in batches and has room to fetch ahead), and DuckLake's and DuckDB's own defaults; `zstd`, the same with
parquet_compression zstd, so that the files are as small as Tarn's; `tarn`, the client tuned and everything that Tarn sets,
found by measuring: zstd level 1, row groups of 6,144 rows, no order between rows kept. `json` and `json-tuned` read JSON
events instead, a message each, by orjson, the first with every library's defaults and the second with the client tuned
and zstd; nested values become JSON texts, as Tarn keeps them.

Prints one line of JSON. Wall time is from the first message to the last commit, as for Tarn.
"""

import json
import os
import resource
import sys
import time

import duckdb
import orjson
import pyarrow as pa
from confluent_kafka import Consumer, KafkaError, TopicPartition

COMMIT_BYTES = 100 << 20
SETTINGS = {
    "defaults": {},
    "json": {},
    "json-tuned": {"parquet_compression": "zstd"},
    "snappy": {},
    "zstd": {"parquet_compression": "zstd"},
    "tarn": {"parquet_compression": "zstd", "parquet_compression_level": "1", "parquet_row_group_size": "6144"},
}
EXTENSIONS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".deps", "extensions")


def open_lake(folder, settings):
    lake = duckdb.connect(
        config={
            "extension_directory": EXTENSIONS,
            "autoinstall_known_extensions": "false",
            "threads": str(os.cpu_count()),
            "preserve_insertion_order": "false" if settings == "tarn" else "true",
        }
    )
    lake.execute("LOAD ducklake; LOAD sqlite_scanner")
    lake.execute(
        f"ATTACH 'ducklake:sqlite:{folder}/catalog.sqlite' AS lake (DATA_PATH '{folder}/data', META_JOURNAL_MODE 'WAL')"
    )
    for name, value in SETTINGS[settings].items():
        lake.execute(f"CALL lake.set_option('{name}', '{value}')")
    return lake


TUNED = {
    "enable.auto.offset.store": False,
    "queued.max.messages.kbytes": 65536,
    "fetch.message.max.bytes": 16 << 20,
    "fetch.queue.backoff.ms": 10,
}


def open_consumer(brokers, topic, settings):
    consumer = Consumer(
        {
            "bootstrap.servers": brokers,
            "group.id": f"peer-{os.getpid()}",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
        | (TUNED if settings not in ("defaults", "json") else {})
    )
    consumer.subscribe([topic])
    return consumer


def receive(consumer, settings):
    if settings not in ("defaults", "json"):
        return consumer.consume(64, timeout=0.5)
    message = consumer.poll(0.5)
    return [message] if message else []


class Batches:
    """What was read and is not in the lake yet."""

    def __init__(self):
        self.tables, self.offsets, self.bytes = [], {}, 0

    def add(self, message):
        payload = message.value()
        self.tables.append(pa.ipc.open_stream(pa.py_buffer(payload)).read_all())
        self.offsets[message.partition()] = message.offset() + 1
        self.bytes += len(payload)


class Events(Batches):
    """The same of JSON events: dicts until they are flushed."""

    def add(self, message):
        payload = message.value()
        event = orjson.loads(payload)
        for name, value in event.items():
            if isinstance(value, (dict, list)):
                event[name] = orjson.dumps(value).decode()
        self.tables.append(event)
        self.offsets[message.partition()] = message.offset() + 1
        self.bytes += len(payload)


def flush(batches, lake, consumer, topic):
    rows = pa.Table.from_pylist(batches.tables) if isinstance(batches, Events) else pa.concat_tables(batches.tables)
    lake.execute("BEGIN")
    lake.execute("CREATE TABLE IF NOT EXISTS lake.events AS FROM rows LIMIT 0")
    lake.execute("INSERT INTO lake.events FROM rows")
    lake.execute("COMMIT")
    consumer.commit(
        offsets=[TopicPartition(topic, partition, offset) for partition, offset in batches.offsets.items()],
        asynchronous=False,
    )
    return rows.num_rows


def machine():
    with open("/proc/stat") as stat:
        jiffies = [int(word) for word in stat.readline().split()[1:9]]
    return sum(jiffies) - jiffies[3] - jiffies[4], sum(jiffies)


def run(brokers, topic, wanted, folder, settings):
    lake = open_lake(folder, settings)
    consumer = open_consumer(brokers, topic, settings)
    collect = Events if settings.startswith("json") else Batches
    batches, rows, held, size, started = collect(), 0, 0, 0, None
    while rows < wanted:
        for message in receive(consumer, settings):
            if message.error():
                if message.error().code() != KafkaError._PARTITION_EOF:
                    raise SystemExit(f"peer: {message.error()}")
                continue
            if started is None:
                started, before = time.monotonic(), machine()
            batches.add(message)
            held += 1 if collect is Events else batches.tables[-1].num_rows
            if batches.bytes >= COMMIT_BYTES:
                size += batches.bytes
                rows += flush(batches, lake, consumer, topic)
                batches = collect()
        if batches.tables and held >= wanted:
            size += batches.bytes
            rows += flush(batches, lake, consumer, topic)
            batches = collect()
    seconds, after = time.monotonic() - started, machine()
    consumer.close()
    stored = lake.execute("SELECT count(*) FROM lake.events").fetchone()[0]
    assert stored == rows, (stored, rows)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "stage": f"peer {settings}",
        "rows": rows,
        "bytes": size,
        "seconds": round(seconds, 3),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 3),
        "peak_rss_bytes": usage.ru_maxrss * 1024,
        "held_bytes": 0,
        "machine_busy": round((after[0] - before[0]) / max(1, after[1] - before[1]), 3),
    }


if __name__ == "__main__":
    print(json.dumps(run(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4], sys.argv[5])))
