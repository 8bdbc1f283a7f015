"""One browser, one lake with layers, and one server in front of it, for all tests here."""

import hashlib
import secrets
import sys
from pathlib import Path

import pytest
import support
import yaml

sys.path[:0] = [str(Path(__file__).parent.parent / name) for name in ("interop", "scenario")]

from browser import Browser  # noqa: E402
from layered import GOLD, SILVER, LayeredLake  # noqa: E402

API = "ducklake.featherman.dev/v1alpha1"
EVIL = "<img src=x onerror=\"window.pwned=1\">"
EVIL_COLUMN = "<script>window.pwned=1</script>"
# What a browser would run, were it ever made into markup: as a value, as a column's name and in a table's place.
MODELS = {"silver/silver_events": SILVER, "gold/gold_people": GOLD,
          "gold/gold_evil": f"""-- materialized: table
SELECT who, '{EVIL}' AS evil, count(*) AS "{EVIL_COLUMN.replace('"', '""')}" FROM silver_events GROUP BY who"""}
TOKENS = {"whole": {}, "narrow": {"tables": ["gold_people"], "rate": {"requests": 50, "per": "1s"}},
          "caller": {"query": False},
          "golden": {"tables": ["gold_*"], "maxRows": 5}}
ENDPOINTS = {"people": {"path": "/api/v1/people", "sql": "SELECT who, events FROM gold_people ORDER BY who"}}


class Served:
    """A lake and `tarn serve` in front of it, with a token of each kind."""

    def __init__(self, folder, processes, model_url):
        self.lake = LayeredLake("sqlite", folder, processes, models=MODELS)
        self.tokens = {name: secrets.token_urlsafe(32) for name in TOKENS}
        self.lake.take(200)
        self.lake.transform()
        self.lake.take(100)
        (self.lake.folder / "in" / f"bad{EVIL[:4]}.json").write_text('{"id": 1, "who": "<b>x</b>"\n')
        self.lake.take(60)
        self.lake.transform()
        self.write(model_url)
        self.process = self.reader = None
        self.processes = processes

    def write(self, model_url):
        documents = self.lake.documents()
        more = [("DuckLakePool", "readers", {"catalogRef": {"name": documents[0]["metadata"]["name"]}, "minSize": 1, "maxSize": 2}),
                ("DuckLakeAssistant", "questions", {"provider": "openai", "baseUrl": model_url, "model": "m"}),
                *[("DuckLakeEndpoint", name, spec) for name, spec in ENDPOINTS.items()]]
        tokens = [("DuckLakeToken", name, {"sha256": hashlib.sha256(self.tokens[name].encode()).hexdigest(), **spec}) for name, spec in TOKENS.items()]
        for path, made in (("serve.yaml", documents + [of(*m) for m in more]), ("tokens.yaml", [of(*t) for t in tokens])):
            (self.lake.folder / path).write_text(yaml.safe_dump_all(made))

    def start(self, address="127.0.0.1:0"):
        self.process = support.Process(["serve", "serve.yaml", "--listen", address, "--tokens", "tokens.yaml", "--audit", "audit.jsonl"], self.lake.folder)
        self.processes.append(self.process)
        self.url = f"http://{self.process.address()}/"
        return self

    def read(self, sql):
        """By DuckDB from PyPI, which knows nothing of Tarn."""
        if self.reader is None:
            self.reader = self.lake.connect()
        return self.reader.execute(sql).fetchall()


def of(kind, name, spec):
    return {"apiVersion": API, "kind": kind, "metadata": {"name": name}, "spec": spec}


@pytest.fixture(scope="session")
def model():
    from model_server import ModelServer

    server = ModelServer()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def served(session_folder, model):
    processes = []
    served = Served(session_folder, processes, model.url).start()
    yield served
    if served.reader:
        served.reader.close()
    for process in processes:
        process.end()


@pytest.fixture(scope="session")
def chromium():
    browser = Browser()
    yield browser
    browser.end()


@pytest.fixture
def page(chromium, served):
    """Nobody is signed in, nothing is remembered, and nothing stands in the log. At the end nothing must stand there that the test
    did not ask about (page.log()), and nothing may have been fetched from elsewhere."""
    if not chromium.url().startswith(served.url):
        chromium.open(served.url)
    chromium.run("sessionStorage.clear(); localStorage.clear()")
    chromium.open("about:blank")
    chromium.look_like(1440, 900, "light")
    chromium.log()
    chromium.open(served.url)
    chromium.wait_for("#sign-in")
    yield chromium
    origin = served.url.rstrip("/")
    elsewhere = chromium.run("return performance.getEntriesByType('resource').map(e => e.name).filter(n => !n.startsWith(arguments[0]) && !n.startsWith('blob:' + arguments[0]))", origin)
    assert elsewhere == []
    assert chromium.run("return window.pwned === undefined")


def sign_in(page, served, who="whole"):
    page.type("#token", served.tokens[who])
    page.press("Enter")
    page.wait_for("#stats dd")


def problems(log):
    """What of the browser's log is no refusal that the server was asked for."""
    return [message for level, message in log if level in ("SEVERE", "WARNING") and "Failed to load resource: the server responded with a status of" not in message]
