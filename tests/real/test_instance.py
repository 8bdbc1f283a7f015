"""Keys of an object store that nobody wrote down: the instance or the container has them, and they expire."""

import pytest

import support
from instance import Gate, Instance, refusal
from support import INPUT, Stream

WAYS = ["metadata", "container"]
# AWS's answer, and that of others. DuckDB itself asks for new keys at the second one alone.
REFUSALS = {"400": b"400 Bad Request", "403": b"403 Forbidden"}


@pytest.fixture
def instance(s3, monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    server = Instance([(s3.key + more, s3.secret) for more in ("", "-2", "-3")])
    yield server
    server.shutdown()


def instance_lake(make_lake, backend, kafka, topic, s3, endpoint=None):
    lake = make_lake(backend, kafka.address, topic, store=s3)
    return lake.set_store(credentials={"type": "instance"}, **({"endpoint": endpoint} if endpoint else {}))


@pytest.mark.parametrize("way", WAYS)
def test_keys_of_the_instance(kafka, s3, make_lake, instance, monkeypatch, way):
    for name, value in instance.environment(way).items():
        monkeypatch.setenv(name, value)
    topic = kafka.topic(2)
    lake = instance_lake(make_lake, "sqlite", kafka, topic, s3)
    seqs = kafka.producer().events(topic, 20, partitions=2)
    process = lake.once()
    lake.assert_exactly_once(seqs)
    assert [key for key in s3.objects(lake.bucket) if key.endswith(".parquet")]
    assert instance.asked and s3.secret not in process.text()
    doctor = support.tarn("doctor", str(lake.manifest))
    assert doctor.returncode == support.DONE and s3.secret not in doctor.stdout + doctor.stderr, doctor.stdout


@pytest.mark.heavy
@pytest.mark.parametrize("backend, status", support.places(("postgres", "400"), ("sqlite", "403"), all=[("sqlite", "400"), ("postgres", "400"), ("sqlite", "403")]))
def test_keys_that_expire(kafka, s3, make_lake, instance, monkeypatch, record_property, backend, status):
    """From one moment to the next, while it runs: what it wrote with the old ones is refused, and it goes on with new ones."""
    for name, value in instance.environment("container").items():
        monkeypatch.setenv(name, value)
    gate = Gate(s3.host, instance, refusal(REFUSALS[status]))
    topic = kafka.topic(2)
    lake = instance_lake(make_lake, backend, kafka, topic, s3, f"http://{gate.address}")
    process = lake.start()
    stream = Stream(kafka.producer(), topic, 2, per_second=60)
    process.wait_event("commit", timeout_s=60)
    for _ in range(2):
        instance.rotate()
        process.wait_event("commit", count=len(process.events("commit")) + 3, timeout_s=60)
    support.settle(lake, stream, process)
    record_property("refused", gate.refused)
    record_property("retries", len(process.events("commit_retry")))
    assert gate.refused and s3.secret not in process.text()
    assert lake.quarantine() == []
    gate.close()


def test_an_instance_that_gives_none(kafka, s3, make_lake, instance, monkeypatch):
    for name, value in instance.environment("metadata").items():
        monkeypatch.setenv(name, value)
    instance.silent = True
    lake = instance_lake(make_lake, "sqlite", kafka, kafka.topic(), s3)
    process = lake.start("--once")
    assert process.wait(60) == INPUT, process.tail()
    assert "give this machine or pod a role" in process.text(), process.tail()


@pytest.mark.long
def test_keys_that_are_renewed_in_time(kafka, s3, make_lake, instance, monkeypatch):
    """New ones are taken before the old ones end: nothing is refused. An instance that is silent for a while is told of."""
    for name, value in instance.environment("container").items():
        monkeypatch.setenv(name, value)
    topic = kafka.topic(2)
    lake = instance_lake(make_lake, "sqlite", kafka, topic, s3)
    process = lake.start()
    stream = Stream(kafka.producer(), topic, 2, per_second=20)
    process.wait_event("commit", timeout_s=60)
    asked = len(instance.asked)
    instance.silent = True
    process.wait_event("lake", timeout_s=200, where=lambda record: "the old ones stay" in record["message"])
    instance.silent = False
    process.wait_event("commit", count=len(process.events("commit")) + 60, timeout_s=240)
    assert len(instance.asked) > asked + 1
    support.settle(lake, stream, process)
    assert not process.events("commit_retry")
