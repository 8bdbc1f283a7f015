"""Where the keys of an object store come from, what requests are signed for, and how often one is asked again."""

import re

import pytest

import support
from proxy import SLOW_DOWN, Proxy
from support import LATER


class Watched(Proxy):
    """Remembers the head of each request; answers all with `says` where that is given."""

    says = None

    def __init__(self, target):
        self.heads = []
        super().__init__(target)
        self.url = f"http://{self.address}"

    def refuses(self, piece):
        if re.match(rb"(GET|HEAD|PUT|POST|DELETE) ", piece):
            self.heads.append(piece.split(b"\r\n\r\n")[0].decode("latin-1"))
            return self.says
        return None

    def asked(self, method):
        return [head.split()[1] for head in self.heads if head.startswith(f"{method} ")]


@pytest.fixture
def watched(s3):
    proxy = Watched(s3.host)
    yield proxy
    proxy.close()


@pytest.mark.parametrize("source", ["environment", "files"])
def test_keys_and_region(kafka, s3, make_lake, watched, monkeypatch, source):
    topic = kafka.topic(1)
    seqs = kafka.producer().events(topic, 10)
    lake = make_lake("sqlite", kafka.address, topic, store=s3)
    (lake.folder / "key.txt").write_text(s3.key + "\n")
    (lake.folder / "secret.txt").write_text(s3.secret + "\n")
    credentials = {"environment": {"type": "environment"},
                   "files": {"accessKeyId": "file:key.txt", "secretAccessKey": "file:secret.txt"}}[source]
    lake.set_store(endpoint=watched.url, credentials=credentials, region="eu-somewhere-1")
    if source == "environment":
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3.key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3.secret)
    process = lake.start("--once")
    assert process.wait(60) == support.DONE, process.tail()
    lake.assert_exactly_once(seqs)
    assert s3.secret not in process.text()
    signed = [re.search(r"Credential=([^,]*)", head)[1].split("/") for head in watched.heads]
    assert watched.asked("PUT") + watched.asked("POST")
    assert {(key, region, service) for key, _, region, service, _ in signed} == {(s3.key, "eu-somewhere-1", "s3")}


def test_keys_that_the_environment_lacks(kafka, s3, make_lake, watched):
    lake = make_lake("sqlite", kafka.address, kafka.topic(1), store=s3)
    lake.set_store(endpoint=watched.url, credentials={"type": "environment"})
    process = lake.start("--once", environment={"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""})
    assert process.wait(60) == support.INPUT, process.tail()
    assert "AWS_ACCESS_KEY_ID or AWS_SECRET_ACCESS_KEY is not set" in process.text() and not watched.heads


def test_a_request_is_made_six_times_at_most(kafka, s3, make_lake, watched):
    """A store that answers each with 503: the first request ends it, after its retries and no more."""
    lake = make_lake("sqlite", kafka.address, kafka.topic(1), store=s3).set_store(endpoint=watched.url)
    watched.says = SLOW_DOWN
    process = lake.start("--once")
    assert process.wait(90) == LATER, process.tail()
    asked = [" ".join(head.split()[:2]) for head in watched.heads]
    assert asked and all(2 <= asked.count(one) <= 6 for one in set(asked)), asked
    assert "503" in process.text(), process.tail()
