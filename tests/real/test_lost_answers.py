"""tarn quarantine replay and discard where Postgres does a COMMIT and its answer is lost: DuckLake then deletes what it
wrote, among it the list of the rows that left quarantine. It must not, for the catalog names that list."""

import json

import pytest

import support
from proxy import Proxy
from support import DONE
from test_quarantine import LENIENT, adds_up, many, mended, quarantine, replay, resolutions

# The change that a transaction notes when it deletes rows, and what follows it.
COMMIT_OF_DELETES = [b"deleted_from_table:", b"COMMIT"]


@pytest.fixture
def proxied(kafka, make_lake):
    """place -> a lake with 40 messages in quarantine, some of whose files have deletions before, and a proxy to Postgres."""
    started = []

    def make(place):
        lake = many(kafka, make_lake, place, 40)
        mended(lake, LENIENT)
        replay(lake, f"{lake.topic}/0:0")
        direct = lake.environment["TARN_TEST_CONNECTION"]
        host, port = (part.split("=")[1] for part in direct.split()[:2])
        proxy = Proxy(f"{host}:{port}", support.SEED)
        started.append(proxy)
        through = direct.replace(f"port={port}", f"port={proxy.address.split(':')[1]}")
        return lake, proxy, {"TARN_TEST_CONNECTION": through}

    yield make
    for proxy in started:
        proxy.close()


def run(lake, environment, verb, *arguments):
    process = support.Process(["quarantine", verb, str(lake.manifest), *arguments, "--format", "json"], lake.folder, None,
                              lake.environment | environment)
    assert process.wait(90) == DONE, process.tail()
    return json.loads(process.out_path.read_text())


@pytest.mark.heavy
@pytest.mark.parametrize("place", ["postgres", "postgres+s3"])
def test_the_answer_to_a_replay_is_lost(proxied, place):
    lake, proxy, through = proxied(place)
    proxy.trap = list(COMMIT_OF_DELETES)
    done = run(lake, through, "replay", f"{lake.topic}/0", f"{lake.topic}/1")
    assert proxy.cuts == 1 and not proxy.trap
    assert (done["replayed"], done["rows"], done["left"], done["gone"]) == (19, 19, 0, 0), done
    adds_up(lake, 20, 20, replayed=20)
    assert replay(lake, "--all")["replayed"] == 20
    adds_up(lake, 40, 0, replayed=40)
    assert lake.read("SELECT count(*), count(DISTINCT n) FROM lake.events") == [(40, 40)]
    assert len(set(resolutions(lake))) == 40


@pytest.mark.heavy
@pytest.mark.parametrize("place", ["postgres", "postgres+s3"])
def test_the_answer_to_a_discard_is_lost(proxied, place):
    lake, proxy, through = proxied(place)
    proxy.trap = list(COMMIT_OF_DELETES)
    done = run(lake, through, "discard", f"{lake.topic}/0", f"{lake.topic}/1", "--because", "test data")
    assert proxy.cuts == 1 and done["discarded"] == 19, done
    adds_up(lake, 1, 20, replayed=1, discarded=19)
    quarantine(lake, "discard", "--all", "--because", "the rest")
    adds_up(lake, 1, 0, replayed=1, discarded=39)
    assert len(set(resolutions(lake))) == 40


@pytest.mark.heavy
@pytest.mark.parametrize("place", ["postgres", "postgres+s3"])
def test_a_commit_that_never_came(proxied, place):
    """The connection is gone before the COMMIT is: nothing was done, and the same process tries again."""
    lake, proxy, through = proxied(place)
    proxy.trap = COMMIT_OF_DELETES[:1]
    done = run(lake, through, "replay", "--all")
    assert proxy.cuts == 1 and (done["replayed"], done["left"], done["gone"]) == (39, 0, 0), done
    adds_up(lake, 40, 0, replayed=40)
