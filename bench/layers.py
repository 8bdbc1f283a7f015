"""layers.py [ROWS [ROUNDS]]: what `tarn transform` costs on the telecom example's two layers (examples/telecom/models).

Bronze is made once, through a broker, and kept aside; each round then has the layers made in full over ROWS events (1,000,000),
refreshed after 1 % more, and made in full again, which must give the same rows. Wall and CPU seconds and peak memory of each, of
the whole process, start and end included; refresh_s is the refresh alone. At the end `tarn run` gets 1 % more, and refreshes after
it: `running`, the refresh alone. With `small` instead of ROWS: 100,000 events in a control group of 0.1 CPU and 256 MiB
(cgroup v1 or v2, root). Prints a line of JSON.
"""

import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

import duckdb

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
TARN = os.environ.get("TARN", os.path.join(TOP, "build", "tarn"))
KAFKA = os.path.join(TOP, "tests", "servers", "kafka.sh")
EXTENSIONS = os.path.join(TOP, ".deps", "extensions")
TABLES = ("silver_clean_events", "gold_subscriber_features")
MEMORY = os.environ.get("MEMORY", "512Mi")  # spec.memory of the pipeline: the declared bound of DuckDB's memory
SMALL_ROWS, SMALL_MEMORY, SMALL_CPU, SMALL_BYTES = 100_000, "96Mi", 0.1, 256 << 20


class Bench:
    def __init__(self, folder, memory):
        self.folder, self.lake = folder, f"{folder}/telecom/lake"
        shutil.copytree(f"{TOP}/examples/telecom", f"{folder}/telecom", ignore=shutil.ignore_patterns("lake"))
        self.broker = subprocess.run([KAFKA, "start", f"{folder}/kafka"], capture_output=True, text=True, check=True).stdout.split()[-1]
        with open(f"{folder}/telecom/tarn.yaml") as example:
            documents = example.read().replace("127.0.0.1:9092", self.broker).split("---\n")
        documents[2] = re.sub(r"refresh: .*", f'refresh: {{"on": manual}}\n  memory: {memory}', documents[2])
        self.bronze, self.manifest = f"{folder}/telecom/bronze.yaml", f"{folder}/telecom/all.yaml"
        with open(self.bronze, "w") as out:
            out.write("---\n".join(documents[:2]))
        with open(self.manifest, "w") as out:
            out.write("---\n".join(documents))

    def close(self):
        subprocess.run([KAFKA, "stop", f"{self.folder}/kafka"], capture_output=True)

    def bring(self, rows, seed):
        """So many more events in bronze."""
        subprocess.run([TARN, "produce", "--brokers", self.broker, "--topic", "telecom-events", "--shape", "telecom", "--format", "json",
                        "--count", str(rows), "--seed", str(seed), "--partitions", "4", "-X", "compression.type=lz4", "--log-level", "error"],
                       stdout=subprocess.DEVNULL, check=True)
        subprocess.run([TARN, "run", self.bronze, "--once", "--log-level", "error"], check=True)

    def keep(self, name):
        shutil.rmtree(f"{self.folder}/{name}", ignore_errors=True)
        shutil.copytree(self.lake, f"{self.folder}/{name}")

    def restore(self, name):
        shutil.rmtree(self.lake)
        shutil.copytree(f"{self.folder}/{name}", self.lake)
        subprocess.run(["sync"])

    def transform(self, *arguments, group=None):
        """One process: how, seconds, CPU seconds, peak bytes, and each model's milliseconds."""
        started = time.monotonic()
        out = open(f"{self.folder}/report.json", "w+")
        pid = os.fork()
        if pid == 0:
            if group:
                group.enter()
            os.dup2(out.fileno(), 1)
            os.execv(TARN, [TARN, "transform", self.manifest, "--format", "json", "--log-level", "error", *arguments])
        _, status, used = os.wait4(pid, 0)
        seconds = time.monotonic() - started
        assert status == 0, f"transform ended with {status}"
        out.seek(0)
        report = json.load(out)[0]
        return {"how": [m["how"] for m in report["models"]], "s": round(seconds, 2), "cpu_s": round(used.ru_utime + used.ru_stime, 2),
                "refresh_s": report["ms"] / 1000, "peak_mb": round(used.ru_maxrss * 1024 / 1e6), "model_ms": [m["time"] for m in report["models"]],
                "rows_in": report["models"][0]["rows_in"], "rows_out": [m["rows_out"] for m in report["models"]]}

    def running(self, rows):
        """A refresh of so many more events by `tarn run`, which refreshes each 20 s: seconds, and CPU seconds of the process."""
        with open(self.manifest) as manifest, open(f"{self.folder}/telecom/running.yaml", "w") as out:
            out.write(manifest.read().replace('refresh: {"on": manual}', "refresh: {every: 20s}"))
        listen = f"127.0.0.1:{free_port()}"
        process = subprocess.Popen([TARN, "run", f"{self.folder}/telecom/running.yaml", "--listen", listen, "--log-level", "error"])
        try:
            watch = Watch(process.pid, listen)
            watch.until(lambda now: now["refreshes"] >= 1)
            idle = watch.idle(4)
            subprocess.run([TARN, "produce", "--brokers", self.broker, "--topic", "telecom-events", "--shape", "telecom", "--format", "json",
                            "--count", str(rows), "--seed", "3", "--partitions", "4", "-X", "compression.type=lz4", "--log-level", "error"],
                           stdout=subprocess.DEVNULL, check=True)
            before = watch.until(lambda now: now["refreshes"] >= 2)
            return watch.last_refresh(before, idle)
        finally:
            process.terminate()
            process.wait()

    def content(self):
        con = duckdb.connect(config={"extension_directory": EXTENSIONS, "autoinstall_known_extensions": "false"})
        try:
            con.execute("LOAD ducklake; LOAD sqlite_scanner")
            con.execute(f"ATTACH 'ducklake:sqlite:{self.lake}/catalog.sqlite' AS lake (READ_ONLY)")
            return [con.execute(f"SELECT count(*), sum(CAST(hash(t) AS HUGEINT)) FROM lake.{t} t").fetchone() for t in TABLES]
        finally:
            con.close()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Watch:
    """What a `tarn run` says of its refreshes, and what it spends, each 0.1 s."""

    def __init__(self, pid, listen):
        self.pid, self.listen, self.seen = pid, listen, []

    def look(self):
        with open(f"/proc/{self.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        now = {"at": time.monotonic(), "cpu": (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), "refreshes": 0, "spent": 0.0}
        try:
            text = urllib.request.urlopen(f"http://{self.listen}/metrics", timeout=5).read().decode()
        except OSError:
            text = ""
        for name, key in (("tarn_refreshes_total", "refreshes"), ("tarn_refresh_duration_seconds_total", "spent")):
            found = re.search(rf"^{name}{{[^}}]*}} (\S+)", text, re.MULTILINE)
            if found:
                now[key] = float(found.group(1))
        self.seen.append(now)
        return now

    def until(self, what, seconds=120):
        """The last that was seen before it was so."""
        end = time.monotonic() + seconds
        while not what(self.look()):
            assert time.monotonic() < end, "tarn run did not refresh"
            time.sleep(0.1)
        return self.seen[-2]

    def idle(self, seconds):
        """CPU seconds a second."""
        first = self.look()
        time.sleep(seconds)
        last = self.look()
        return (last["cpu"] - first["cpu"]) / (last["at"] - first["at"])

    def last_refresh(self, before, idle):
        last = self.seen[-1]
        spent = last["spent"] - before["spent"]
        start = max((s for s in self.seen if s["at"] <= before["at"] - spent), key=lambda s: s["at"])
        return {"s": round(spent, 2), "cpu_s": round(last["cpu"] - start["cpu"] - idle * (last["at"] - start["at"]), 2)}


class Group:
    """A control group that the kernel bounds, of either version."""

    def __init__(self):
        top, name = "/sys/fs/cgroup", f"tarn-bench-{os.getpid()}"
        self.v1 = os.path.isdir(f"{top}/cpu")
        self.paths = [f"{top}/cpu/{name}", f"{top}/memory/{name}"] if self.v1 else [f"{top}/{name}"]
        for path in self.paths:
            os.mkdir(path)
        files = ([("cpu.cfs_quota_us", int(100_000 * SMALL_CPU)), ("memory.limit_in_bytes", SMALL_BYTES)] if self.v1
                 else [("cpu.max", f"{int(100_000 * SMALL_CPU)} 100000"), ("memory.max", SMALL_BYTES)])
        for i, (file, value) in enumerate(files):
            with open(f"{self.paths[i if self.v1 else 0]}/{file}", "w") as out:
                out.write(str(value))

    def enter(self):
        for path in self.paths:
            with open(f"{path}/cgroup.procs", "w") as procs:
                procs.write(str(os.getpid()))

    def close(self):
        for path in self.paths:
            os.rmdir(path)


def spread(values):
    return [round(statistics.median(values), 3), round(min(values), 3), round(max(values), 3)]


def summary(runs):
    return {key: spread([run[key] for run in runs]) for key in ("s", "cpu_s", "refresh_s", "peak_mb")} | {
        "how": runs[0]["how"], "rows_in": runs[0]["rows_in"], "rows_out": runs[0]["rows_out"], "model_ms": runs[-1]["model_ms"]}


def large(bench, rows, rounds):
    bench.bring(rows, 1)
    bench.keep("bronze")
    full, change, again = [], [], []
    bench.transform()
    bench.bring(rows // 100, 2)
    bench.keep("behind")  # layers of the first events, and 1 % more in bronze
    for _ in range(rounds):
        bench.restore("behind")
        change.append(bench.transform())
        content = bench.content()
        again.append(bench.transform("--full"))
        assert bench.content() == content, "in full the layers have other rows"
        bench.restore("bronze")
        full.append(bench.transform())
    ratio = {key: spread([c[key] / a[key] for c, a in zip(change, again)]) for key in ("s", "cpu_s", "refresh_s")}
    bench.restore("behind")
    running = bench.running(rows // 100)
    return {"rows": rows, "memory": MEMORY, "full": summary(full), "one_percent": summary(change), "full_again": summary(again),
            "one_percent_of_full": ratio, "running": running, "equal": True}


def small(bench, rounds):
    bench.bring(SMALL_ROWS, 1)
    bench.keep("bronze")
    group, runs = Group(), []
    try:
        for _ in range(rounds):
            bench.restore("bronze")
            runs.append(bench.transform(group=group))
    finally:
        group.close()
    return {"rows": SMALL_ROWS, "cpus": SMALL_CPU, "bytes": SMALL_BYTES, "memory": SMALL_MEMORY, "full": summary(runs)}


if __name__ == "__main__":
    arguments = sys.argv[1:] + ["1000000", "3"][len(sys.argv) - 1:]
    is_small = arguments[0] == "small"
    work = tempfile.mkdtemp(prefix="tarn-layers.", dir="/tmp")
    bench = Bench(work, SMALL_MEMORY if is_small else MEMORY)
    try:
        print(json.dumps(small(bench, int(arguments[1])) if is_small else large(bench, int(arguments[0]), int(arguments[1]))))
    finally:
        bench.close()
        shutil.rmtree(work)
