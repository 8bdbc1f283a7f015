"""kill -9 and errors at every fault point, on every backend; and kill -9 at random times.

The points come from fault.def: a new one is tested by being there."""

import re
import signal
import time

import pytest

import support
from support import LONG, Stream, places, unique

POINTS = re.findall(r'^FAULT_POINT\(\w+, "([^"]+)"', (support.ROOT / "src/base/fault.def").read_text(), re.MULTILINE)
# Those are of another source (test_files.py), of merges (test_merge.py), of `tarn quarantine` (test_quarantine.py), of layers
# (test_layers.py), and of
# a broker that is gone (test_outages.py).
POINTS = [p for p in POINTS if not p.startswith(("file", "resolve.", "once.", "refresh.")) and p != "merge.after"]
PARTITIONS = 2


def dies(lake, faults):
    """Runs until the fault kills it. False: it ended, for the point was not passed so often."""
    process = lake.once(faults=faults, expect=None)
    code = process.process.returncode
    assert code in (-signal.SIGKILL, 0), f"{faults}: ended with {code}:\n{process.tail()}"
    return code != 0


@pytest.mark.parametrize("backend", places("sqlite", "file", "postgres+s3"))
def test_kill_at_every_point(kafka, make_lake, record_property, backend):
    """After each kill the lake is consistent as it stands; the next run goes on. Each run has a bad message too, so that
    quarantine is passed."""
    topic = kafka.topic(PARTITIONS)
    producer = kafka.producer()
    lake = make_lake(backend, kafka.address, topic)
    seqs, bad, kills, missed = [], 0, 0, []
    # A new lake is made anew under the first kills; from then on each kill meets a lake with rows.
    for nth in range(1, 6):
        for point in [p for p in POINTS if nth in support.turns(p)]:
            seqs += producer.events(topic, 3, rows=4, partitions=PARTITIONS)
            producer.raw(topic, b"no arrow", partition=0)
            producer.flush()
            bad += 1
            if dies(lake, f"{point}:{nth}:kill"):
                kills += 1
            else:
                missed.append(f"{point}:{nth}")
            if (lake.folder / "catalog.sqlite").exists() or lake.backend != "sqlite":
                check_after_kill(lake, f"{point}:{nth}")
    lake.once()
    lake.assert_exactly_once(seqs)
    assert len(lake.quarantine()) == bad
    assert kills >= len(POINTS) - 1, f"only {kills} kills; not passed: {missed}"  # publish.written is postgres' alone
    record_property("kills", kills)


def check_after_kill(lake, fault):
    done = support.tarn("verify", str(lake.manifest), "--format", "json", environment=lake.environment)
    # Before the first commit there may be no lake yet (3); a lake that is there must be right.
    assert done.returncode in (support.DONE, support.INPUT), f"after {fault}: {done.stdout} {done.stderr}"


@pytest.mark.heavy
@pytest.mark.parametrize("backend", places("duckdb", "postgres"))
def test_errors_at_every_point(kafka, make_lake, record_property, backend):
    """An error at a point is got over by the same process, which ends well; nothing doubles. One run meets all points once,
    at different occurrences."""
    topic = kafka.topic(PARTITIONS)
    producer = kafka.producer()
    lake = make_lake(backend, kafka.address, topic)
    seqs = list(producer.events(topic, 2, rows=4, partitions=PARTITIONS))
    lake.once()
    points = [p for p in POINTS if p != "decode"]
    groups = [[p] for p in points] if LONG else [points[i::4] for i in range(4)] + [points]
    quiet, bad = [], 0
    for i, group in enumerate(groups):
        # Alone in its run a point is tried at one occurrence after the other, until it is one of a commit of rows. Of BEGIN that is
        # the fourth, or a later one: the lanes' claim may need another transaction, and --once asks the lake each second, while
        # the group forms, whether other processes are done.
        for turn in [1, 2, 3, 4, 5, 6, 7, 8] + 3 * [4, 5, 6, 7] if LONG else [None]:
            seqs += producer.events(topic, 4, rows=4, partitions=PARTITIONS)
            producer.raw(topic, b"no arrow", partition=1)
            producer.flush()
            bad += 1
            process = lake.once(faults=",".join(f"{p}:{turn or 1 + (i + n) % 2}:error" for n, p in enumerate(group)))
            if process.events("commit_retry"):
                break
        else:
            quiet.append(group)
    lake.assert_exactly_once(seqs)
    assert len(lake.quarantine()) == bad
    # What no commit of rows passes, or passes when it is done.
    expected = {"claim.after", "hint.before", "prune.after", "commit.after"} | ({"publish.written"} if "postgres" not in backend else set())
    missed = [g for g in quiet if not set(g) <= expected]
    assert len(missed) <= (0 if LONG else 1), f"no commit met {missed}"


@pytest.mark.heavy
@pytest.mark.parametrize("backend", ["sqlite", "postgres"])
@pytest.mark.parametrize("point", ["insert.chunk", "commit.before", "commit.after"])
def test_errors_that_last(kafka, make_lake, backend, point):
    """The point fails every time: nothing is committed but what the point comes after, and the next run brings it all."""
    topic = kafka.topic()
    producer = kafka.producer()
    lake = make_lake(backend, kafka.address, topic)
    seqs = list(producer.events(topic, 3, rows=4))
    lake.once()
    seqs += producer.events(topic, 5, rows=4)
    process = lake.start(faults=f"{point}:{support.rows_turn(point)}:errors",
                         manifest=lake.write("other.yaml", group=unique("group")))
    process.wait_event("commit_retry" if point != "commit.after" else "commit", timeout_s=60)
    process.kill()
    lake.assert_consistent()
    lake.once()
    lake.assert_exactly_once(seqs)


def test_decode_fault_goes_to_quarantine(kafka, make_lake):
    topic = kafka.topic()
    producer = kafka.producer()
    lake = make_lake("sqlite", kafka.address, topic)
    seqs = producer.events(topic, 5, rows=4)
    lake.once(faults="decode:3:error")
    answer = lake.verify(topic=True)
    assert answer["passed"] and answer["table_rows"] == 16
    quarantined = lake.quarantine()
    assert [q["offset"] for q in quarantined] == [2]
    assert quarantined[0]["payload"] == support.events(8, 4)
    assert lake.read("SELECT count(*) FROM lake.events WHERE seq BETWEEN 8 AND 11") == [(0,)]
    assert len(seqs) == 20


KILLS = 50 if LONG else 3  # a backend


@pytest.mark.parametrize("backend", places("sqlite", "postgres+s3"))
def test_kill_at_random_times(kafka, make_lake, rng, record_property, backend):
    """Ingest without end, in one group as an installation has it, killed at any time, again and again."""
    topic = kafka.topic(PARTITIONS)
    producer = kafka.producer()
    lake = make_lake(backend, kafka.address, topic, freshness="100ms")
    stream = Stream(producer, topic, PARTITIONS, per_second=200)
    times = []
    for _ in range(KILLS):
        process = lake.start()
        times.append(round(rng.uniform(0.2, 2.5), 3))
        time.sleep(times[-1])
        process.kill()
        check_after_kill(lake, f"kill after {times} s")
    seqs = stream.finish()
    lake.once()
    lake.assert_exactly_once(seqs)
    commits = lake.read("SELECT count(DISTINCT committed_at) FROM lake.tarn.ledger")[0][0]
    record_property("kills", KILLS)
    record_property("commits", commits)
