"""What the suites written in Python share: one line a test ("ok NAME", "not ok NAME: why", "skip NAME: reason"), and the
servers and folders they use. Servers start when the first test asks for one, and belong to one session: two sessions may
run at once."""

import os
import random
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
sys.path.insert(0, str(TESTS / "real"))

import support  # noqa: E402

DEFAULT_TIMEOUT_S = 120


# ---- the lines


def pytest_report_teststatus(report):
    """No dots: the lines below say it."""
    if report.passed and report.when == "call":
        return "passed", "", ""
    if report.skipped:
        return "skipped", "", ""
    if report.failed:
        return "failed" if report.when == "call" else "error", "", ""
    return None


def reason_of(report):
    if report.skipped:
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    crash = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash else str(report.longrepr)
    lines = [line.strip() for line in text.strip().splitlines()]
    if len(lines) > 12:
        lines = [lines[0], "...", *lines[-10:]]
    return " | ".join(lines)[:3000] or "failed"


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    config.pluginmanager.register(Lines(config), "tarn-lines")
    config.addinivalue_line("markers", "long: only with TARN_TEST_LONG=1")
    config.addinivalue_line("markers", "sample(N): N cases of each parametrized test, drawn by the seed; all with TARN_TEST_LONG=1")
    config.addinivalue_line("markers", "heavy: takes long; a third of these, drawn by the seed; all with TARN_TEST_LONG=1")


class Lines:
    def __init__(self, config):
        self.config = config

    def line(self, text):
        terminal = self.config.pluginmanager.get_plugin("terminalreporter")
        if terminal is None:  # a worker of several: its reports are told by the one that started it
            return
        terminal.ensure_newline()
        terminal.write_line(text)

    def pytest_runtest_logreport(self, report):
        name = report.nodeid.removeprefix("tests/").split("@")[0]
        if report.skipped:
            self.line(f"skip {name}: {reason_of(report)}")
        elif report.failed:
            for title, text in report.sections:
                self.line(f"---- {title}\n{text[-6000:]}")
            self.line(f"not ok {name}: {reason_of(report)}")
        elif report.when == "call":
            figures = [f"{k}={v}" for k, v in report.user_properties]
            self.line(f"ok {name} ({report.duration:.1f} s{''.join(', ' + f for f in figures)})")


def pytest_report_header():
    return f"seed {support.SEED}{', long' if support.LONG else ''}, tarn is {support.TARN}"


def draw(items):
    """Of each test marked sample(N) N cases, which the seed and the test's name choose; and all of the others.
    Where processes and servers are started for each case a test that says nothing has one."""
    if support.LONG:
        return items, []
    cases = {}
    for item in items:
        if not item.get_closest_marker("sample") and item.nodeid.startswith(("tests/real/", "tests/interop/test_layers_")):
            item.add_marker(pytest.mark.sample(1))
        if item.get_closest_marker("sample"):
            cases.setdefault(item.nodeid.split("[")[0], []).append(item)
    left = set()
    for name, found in cases.items():
        count = found[0].get_closest_marker("sample").args[0]
        left.update(random.Random(f"{support.SEED}:{name}").sample(found, max(0, len(found) - count)))
    heavy = [item for item in items if item.get_closest_marker("heavy") and item not in left]
    left.update(random.Random(f"{support.SEED}:heavy").sample(heavy, len(heavy) * 2 // 3))
    return [item for item in items if item not in left], left


def pytest_collection_modifyitems(config, items):
    items[:], left = draw(items)
    if left:
        config.hook.pytest_deselected(items=sorted(left, key=lambda item: item.nodeid))
    for item in items:
        if not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(DEFAULT_TIMEOUT_S * (20 if support.LONG else 1)))
        if item.get_closest_marker("long") and not support.LONG:
            item.add_marker(pytest.mark.skip(reason="only with TARN_TEST_LONG=1"))


# ---- folders and servers


@pytest.fixture(scope="session")
def session_folder():
    # Not below the user's home: PostgreSQL's own user must be able to reach it.
    folder = Path(tempfile.mkdtemp(prefix="tarn-test-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def folder(session_folder):
    folder = Path(tempfile.mkdtemp(dir=session_folder))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def rng(request):
    """Seeded by TARN_TEST_SEED and the test's name: a test draws the same whatever ran before it."""
    return random.Random(f"{support.SEED}:{request.node.name}")


@pytest.fixture(scope="session")
def kafka(session_folder):
    server = support.KafkaServer(session_folder / "kafka")
    yield server
    server.stop()


@pytest.fixture
def own_kafka(session_folder):
    """A broker that the test may stop."""
    folder = Path(tempfile.mkdtemp(dir=session_folder))
    server = support.KafkaServer(folder / "kafka")
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres(session_folder):
    server = support.PostgresServer(session_folder / "postgres")
    yield server
    server.stop()


@pytest.fixture
def own_postgres(session_folder):
    """A server that the test may stop."""
    folder = Path(tempfile.mkdtemp(dir=session_folder))
    folder.chmod(0o755)
    server = support.PostgresServer(folder / "p")
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def s3(session_folder):
    server = support.S3Server(session_folder / "s3")
    yield server
    server.stop()


@pytest.fixture
def own_s3(session_folder):
    """A server that the test may stop."""
    folder = Path(tempfile.mkdtemp(dir=session_folder))
    server = support.S3Server(folder / "s3")
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def processes():
    """Processes that end with the test, whatever happens."""
    started = []
    yield started
    for process in started:
        process.end()


@pytest.fixture
def make_lake(folder, processes, request):
    """make_lake(place, topic, ...) -> support.Lake; the Postgres and S3 servers start only where they are asked for."""

    def make(place, brokers, topic, **options):
        server = options.pop("server", None)
        backend, _, store = place.partition("+")
        if store and not options.get("store"):
            options["store"] = request.getfixturevalue("s3")
        if backend == "postgres" and server is None:
            server = request.getfixturevalue("postgres")
        return support.Lake(backend, folder, brokers, topic, processes, server, **options)

    return make


def pytest_sessionfinish():
    os.environ.pop("TARN_FAULT", None)
