"""Kafka, Postgres and S3 that stop, crawl, cut connections, lose answers and answer with errors, in the middle of ingest:
Tarn recovers by itself, nothing is lost or doubled, and every row can be read afterwards."""

import time

import pytest

import support
from proxy import SLOW_DOWN, Proxy
from support import LATER, LONG, Stream

OUTAGE_S = 20 if LONG else 4
SETTLE_S = 110


@pytest.fixture
def proxies():
    started = []

    def start(target):
        started.append(Proxy(target, support.SEED))
        return started[-1]

    yield start
    for proxy in started:
        proxy.close()


def commits_go_on(process, more=2, timeout_s=90):
    process.wait_event("commit", count=len(process.events("commit")) + more, timeout_s=timeout_s)


def live_through(process, proxy, days, seconds):
    """Each day's settings of the proxy for a while; after each, commits go on."""
    for settings in days:
        for name, value in settings.items():
            setattr(proxy, name, value)
        time.sleep(seconds)
        proxy.fine()
        commits_go_on(process, 1)


@pytest.mark.heavy
@pytest.mark.parametrize("backend", support.places("postgres", all=["sqlite", "postgres"]))
def test_s3_stops(kafka, own_s3, make_lake, backend):
    topic = kafka.topic(3)
    lake = make_lake(backend, kafka.address, topic, store=own_s3)
    process = lake.start("--listen", "127.0.0.1:0")
    stream = Stream(kafka.producer(), topic, 3, per_second=60)
    process.wait_event("commit", timeout_s=60)
    own_s3.stop()
    process.wait_event("commit_retry", timeout_s=60)
    support.eventually("not ready", lambda: process.get("/readyz")[0] == 503)
    time.sleep(OUTAGE_S)
    own_s3.restart()
    commits_go_on(process)
    support.eventually("ready again", lambda: process.get("/readyz")[0] == 200)
    support.settle(lake, stream, process, SETTLE_S)
    assert own_s3.secret not in process.text()


STORE_DAYS = {
    "slow": {"rate": 200_000, "delay_s": 0.02},
    "errors": {"refuse": 0.3, "refusal": SLOW_DOWN},
    "closed": {"refuse": 0.3, "refusal": b""},
    "cut": {"cut": 0.1},
    "lost_answers": {"answer_cut": 0.2},
}


@pytest.mark.heavy
@pytest.mark.parametrize("backend", support.places("postgres", all=["sqlite", "postgres"]))
def test_s3_has_bad_days(kafka, s3, make_lake, proxies, record_property, backend):
    topic = kafka.topic(3)
    proxy = proxies(s3.host)
    lake = make_lake(backend, kafka.address, topic, store=s3)
    lake.endpoint = f"http://{proxy.address}"
    lake.manifest = lake.write()
    process = lake.start()
    stream = Stream(kafka.producer(), topic, 3, rows=20, per_second=60)
    process.wait_event("commit", timeout_s=60)
    live_through(process, proxy, STORE_DAYS.values(), 12 if LONG else 3)
    support.settle(lake, stream, process, SETTLE_S)
    record_property("cuts", proxy.cuts)
    record_property("refused", proxy.refused)
    record_property("retries", len(process.events("commit_retry")))
    assert proxy.cuts and proxy.refused


@pytest.fixture
def behind_proxy(kafka, postgres, make_lake, proxies):
    """A lake whose Postgres is reached through a proxy, running, with a stream of events."""
    topic = kafka.topic(3)
    lake = make_lake("postgres", kafka.address, topic)
    direct = postgres.connection(lake.database)
    host, port = (part.split("=")[1] for part in direct.split()[:2])
    proxy = proxies(f"{host}:{port}")
    through = direct.replace(f"port={port}", f"port={proxy.address.split(':')[1]}")
    process = lake.start("--listen", "127.0.0.1:0", environment={"TARN_TEST_CONNECTION": through})
    stream = Stream(kafka.producer(), topic, 3, per_second=60)
    process.wait_event("commit", timeout_s=60)
    return lake, proxy, process, stream


@pytest.mark.heavy
def test_postgres_has_bad_days(behind_proxy, record_property):
    """Lost answers above all: the server has committed, and its client is never told."""
    lake, proxy, process, stream = behind_proxy
    days = {"delay_s": 0.02, "rate": 500_000}, {"answer_cut": 0.02}, {"cut": 0.02}, {"refuse": 0.5}
    live_through(process, proxy, days, 15 if LONG else 3)
    support.settle(lake, stream, process, SETTLE_S)
    record_property("cuts", proxy.cuts)
    record_property("retries", len(process.events("commit_retry")))
    record_property("anew", len(process.events("lake_anew")))
    assert proxy.cuts


DISK_FULL = """CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$;
    CREATE TRIGGER full_disk BEFORE INSERT ON ducklake_snapshot EXECUTE FUNCTION full_disk()"""
TERMINATE = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


@pytest.mark.heavy
def test_postgres_answers_with_errors(kafka, postgres, make_lake):
    """A server whose disk is full, and one that takes no writes for a while: it is told, and it goes on by itself."""
    topic = kafka.topic(3)
    lake = make_lake("postgres", kafka.address, topic)
    process = lake.start("--listen", "127.0.0.1:0")
    stream = Stream(kafka.producer(), topic, 3, per_second=60)
    process.wait_event("commit", timeout_s=60)
    days = [(DISK_FULL, "DROP FUNCTION full_disk CASCADE", "No space left on device"),
            (f"ALTER DATABASE {lake.database} SET default_transaction_read_only = on",
             f"SET transaction_read_only = off; ALTER DATABASE {lake.database} RESET default_transaction_read_only", "read-only transaction")]
    for begin, end, word in days:
        postgres.psql(begin, lake.database)
        postgres.psql(TERMINATE, lake.database)
        support.eventually(lambda: f"it says {word}: {process.tail()}", lambda: word in process.text(), 20)
        support.eventually("not ready", lambda: process.get("/readyz")[0] == 503)
        postgres.psql(end, lake.database)
        postgres.psql(TERMINATE, lake.database)
        commits_go_on(process)
    support.eventually("ready again", lambda: process.get("/readyz")[0] == 200)
    support.settle(lake, stream, process, SETTLE_S)


def test_an_answer_that_breaks_duckdb(behind_proxy):
    """DuckLake looks at the answer to a read of inlined rows without asking whether there is one: an internal error, and
    DuckDB refuses everything from then on."""
    lake, proxy, process, stream = behind_proxy
    for i in range(6 if LONG else 2):
        proxy.trap = [b'"next_offset"']
        process.wait_event("lake_anew", count=i + 1, timeout_s=20)
        commits_go_on(process)
    support.eventually("ready again", lambda: process.get("/readyz")[0] == 200)
    support.settle(lake, stream, process, SETTLE_S)


@pytest.mark.heavy
def test_kafka_has_bad_days(folder, proxies, make_lake, record_property):
    """A broker whose only address leads through the proxy."""
    proxy = proxies("127.0.0.1:1")
    kafka = support.KafkaServer(folder / "kafka", f"advertised.listeners=CLIENT://{proxy.address}\n")
    try:
        proxy.target = ("127.0.0.1", int(kafka.address.split(":")[1]))
        topic = kafka.topic(3)
        lake = make_lake("sqlite", proxy.address, topic)
        process = lake.start()
        stream = Stream(kafka.producer(), topic, 3, per_second=60)
        process.wait_event("commit", timeout_s=60)
        days = {"delay_s": 0.05, "rate": 200_000}, {"answer_cut": 0.05}, {"cut": 0.05}, {"refuse": 0.5}
        live_through(process, proxy, days, 15 if LONG else 3)
        support.settle(lake, stream, process, SETTLE_S)
        record_property("cuts", proxy.cuts)
        assert proxy.cuts
    finally:
        kafka.stop()


def test_store_that_says_no(kafka, s3, make_lake):
    """A wrong key, a bucket that is not there, a store that does not answer: each ends at the start, with what to do."""
    topic = kafka.topic()
    lake = make_lake("sqlite", kafka.address, topic, store=s3)
    process = lake.start("--once", environment={"TARN_TEST_S3_SECRET": "not-the-secret-at-all"})
    assert process.wait(60) == support.INPUT, process.tail()
    assert "403" in process.text() and "not-the-secret-at-all" not in process.text() and lake.bucket in process.text()
    lake.bucket = "no-such-bucket"
    process = lake.start("--once", manifest=lake.write("bucket.yaml"))
    assert process.wait(60) == support.INPUT, process.tail()
    assert "no-such-bucket" in process.text()
    lake.bucket, lake.endpoint = "bucket-403", "http://127.0.0.1:1"
    process = lake.start("--once", manifest=lake.write("endpoint.yaml"))
    assert process.wait(90) == LATER, process.tail()
    assert "127.0.0.1:1" in process.text()


def test_a_key_that_may_only_read(kafka, s3, make_lake):
    """Writing is refused: nothing is committed, nothing is quarantined for it, and it says why."""
    topic = kafka.topic()
    producer = kafka.producer()
    lake = make_lake("sqlite", kafka.address, topic, store=s3)
    seqs = producer.events(topic, 10)
    process = lake.start("--listen", "127.0.0.1:0", environment={"TARN_TEST_S3_KEY": "reader"})
    process.wait_event("commit_retry", timeout_s=60)
    support.eventually("not ready", lambda: process.get("/readyz")[0] == 503)
    process.end()
    assert "403" in process.text() or "denied" in process.text().lower(), process.tail()
    lake.once()
    lake.assert_exactly_once(seqs)
    assert lake.quarantine() == []
    # Whole objects, and no upload that was left half-way.
    assert all(size for size in s3.objects(lake.bucket).values())
