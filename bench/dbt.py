"""dbt.py [ROWS [ROUNDS]]: dbt-duckdb beside `tarn transform`: the models of examples/telecom, on the same bronze rows.

1,000,000 rows and three rounds unless said otherwise. Starts a broker of its own, produces telecom events without bad ones and
brings them into bronze once a backend; each round begins with a copy of that. dbt's models (bench/dbt) are the same SELECTs,
incremental as a dbt user writes it: silver appends what has a later ingested_at, gold makes the subscribers with new events anew
(delete+insert), and has a column for it that says how far it is. Both programs keep their tables in the same lake, dbt in a
schema of its own, and take turns in going first. Steps of a round:

    full         `tarn transform --full`, `dbt build --full-refresh`, into no tables
    more         one event in a hundred more (`tarn run --once`; the broker is stopped otherwise), then both
    nothing new  both once more
    again        both in full once more, over the tables that are there

After full and after more the rows of silver and of gold are compared, EXCEPT ALL both ways; and after again each program's tables
with its own from before: is what came by increments what a full refresh makes? Averages of doubles depend on the order in which
threads add, so of gold it is told, too, in how many rows another value than an average or the label differs, or an average by
more than one in its last digit (`beyond`: 0 is as it should be), and in how many the label (`labels`). Last, 5 % bad events in a
lake of their own, at most 100,000: what Tarn quarantines, and what dbt says.

BACKENDS: `sqlite`, a DuckLake with a SQLite catalog, attached by both with the same options; `file`, one plain DuckDB file,
where Tarn keeps no changes and makes its tables anew. Both have all cores; dbt has DuckDB's own limit of memory, which is most of
the machine's, and Tarn its spec.memory of 256Mi. dbt's project is parsed before (as in its second run), its usage statistics are
off, and `dbt build` runs the tests that Tarn's models have.

Seconds, CPU and peak memory are of the whole process; models_seconds is what either says of its models alone, without start,
parsing and dbt's tests. Prints a line of JSON a run and at the end a table. dbt comes from deps/python-bench-dbt.txt, on first
use, into ~/.cache/tarn-bench. TARN (build/tarn), STRATEGY (delete+insert; or merge), BACKENDS ("sqlite file").
"""

import hashlib
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

TOP = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
TARN = os.environ.get("TARN", os.path.join(TOP, "build", "tarn"))
SERVER = os.path.join(TOP, "tests", "servers", "kafka.sh")
EXTENSIONS = os.path.join(TOP, ".deps", "extensions")
EXAMPLE = os.path.join(TOP, "examples", "telecom")
MANIFESTS = {"sqlite": "tarn.yaml", "file": "file.yaml"}
PIPELINE = """apiVersion: ducklake.featherman.dev/v1alpha1
kind: DuckLakePipeline
metadata: {name: telecom}
spec: {models: models}
"""
TARGETS = {"sqlite": "lake", "file": "file"}  # of bench/dbt/profiles.yml
BACKENDS = os.environ.get("BACKENDS", "sqlite file").split()
STRATEGY = os.environ.get("STRATEGY", "delete+insert")
TABLES = ("silver_clean_events", "gold_subscriber_features")
AVERAGES = {"avg_signal_dbm": 1, "avg_latency_ms": 1, "avg_packet_loss_pct": 2, "avg_bill_zmw": 2, "avg_data_used_mb": 0,
            "avg_battery_pct": 1, "avg_quality_score": 1}  # of gold, and to how many digits
STEPS = ("full", "more", "nothing new", "again")
MORE_SHARE = 100
BAD_ROWS = 100_000


def fetch():
    """The folder with dbt, made on first use. It is made where it stays, for its scripts hold its path; the mark tells a whole one."""
    lists = [os.path.join(TOP, "deps", name) for name in ("python-pip.txt", "python-bench-dbt.txt")]
    version = hashlib.sha256(b"".join(open(name, "rb").read() for name in lists)).hexdigest()[:12]
    folder = os.path.join(os.path.expanduser(os.environ.get("XDG_CACHE_HOME", "~/.cache")), "tarn-bench", f"dbt-{version}")
    if not os.path.exists(f"{folder}/.complete"):
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(os.path.dirname(folder), exist_ok=True)
        subprocess.run(["/usr/bin/python3", "-m", "venv", folder], check=True)  # Debian's own, as in scripts/setup.sh
        for name in lists:
            subprocess.run([f"{folder}/bin/python", "-m", "pip", "install", "-q", "--no-input", "--disable-pip-version-check",
                            "--no-deps", "--only-binary", ":all:", "--require-hashes", "-r", name], check=True, stdout=sys.stderr)
        open(f"{folder}/.complete", "w").close()
    return folder


# ---- one process ----


def machine():
    with open("/proc/stat") as stat:
        jiffies = [int(word) for word in stat.readline().split()[1:9]]
    return sum(jiffies) - jiffies[3] - jiffies[4], sum(jiffies)


def measure(command, environment, output):
    """This program loads no engine itself: a child's peak memory begins with its parent's."""
    with open(output, "w") as out, open(f"{output}.err", "w") as err:
        before, started = machine(), time.monotonic()
        child = subprocess.Popen(command, env=environment, stdout=out, stderr=err, stdin=subprocess.DEVNULL)
        _, status, usage = os.wait4(child.pid, 0)
        seconds, after = time.monotonic() - started, machine()
    child.returncode = os.waitstatus_to_exitcode(status)
    return child.returncode, {
        "seconds": round(seconds, 2),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 2),
        "peak_mb": round(usage.ru_maxrss * 1024 / 1e6),
        "machine_busy": round((after[0] - before[0]) / max(1, after[1] - before[1]), 2),
    }


def text(path):
    with open(path, errors="replace") as file:
        return file.read()


class Tarn:
    name = "tarn"

    def __init__(self, folder, backend):
        self.folder = folder

    def transform(self, full):
        code, run = measure([TARN, "transform", f"{self.folder}/refresh.yaml", "--format", "json", *(["--full"] if full else [])],
                            os.environ, f"{self.folder}/tarn.out")
        if code:
            raise SystemExit(f"tarn: ended with {code}: {text(f'{self.folder}/tarn.out.err')}")
        self.models = json.loads(text(f"{self.folder}/tarn.out"))[0]["models"]
        return run | {"models_seconds": round(sum(model["time"] for model in self.models) / 1000, 2),
                      "how": [model["how"] for model in self.models]}


class Dbt:
    name = "dbt"

    def __init__(self, folder, backend, venv):
        self.folder = folder
        self.program = f"{venv}/bin/dbt"
        self.options = ["--no-use-colors", "--target-path", f"{folder}/target", "--log-path", f"{folder}/logs",
                        "--project-dir", f"{TOP}/bench/dbt", "--profiles-dir", f"{TOP}/bench/dbt", "--target", TARGETS[backend],
                        "--vars", json.dumps({"strategy": STRATEGY})]
        self.environment = os.environ | {"BENCH_FOLDER": folder, "BENCH_EXTENSIONS": EXTENSIONS,
                                         "BENCH_THREADS": str(os.cpu_count()), "DO_NOT_TRACK": "1"}

    def run(self, verb, *more):
        return measure([self.program, verb, *self.options, *more], self.environment, f"{self.folder}/dbt.out")

    def parse(self):
        if self.run("parse")[0]:
            self.give_up("parse")

    def give_up(self, verb):
        raise SystemExit(f"dbt {verb}: " + text(f"{self.folder}/dbt.out") + text(f"{self.folder}/dbt.out.err"))

    def results(self):
        return json.loads(text(f"{self.folder}/target/run_results.json"))["results"]

    def transform(self, full):
        code, run = self.run("build", *(["--full-refresh"] if full else []))
        if code:
            self.give_up("build")
        seconds = {"model": 0, "test": 0}
        for result in self.results():
            seconds[result["unique_id"].split(".")[0]] += result["execution_time"]
        return run | {"models_seconds": round(seconds["model"], 2), "tests_seconds": round(seconds["test"], 2)}


# ---- the lake ----


def ask(*arguments):
    return subprocess.run([TARN, *arguments, "--log-level", "error"], check=True, stdout=subprocess.PIPE, text=True).stdout


def server(verb, work):
    return subprocess.run([SERVER, verb, f"{work}/kafka"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def produce(brokers, topic, rows, *more):
    ask("produce", "--brokers", brokers, "--topic", topic, "--shape", "telecom", "--format", "json", "--count", str(rows),
        "--partitions", "4", "--property", "compression.type=lz4", *more)


def select_of(path):
    sql = text(path)
    return sql[sql.index("SELECT"):].rstrip()


def models():
    """The files of the example's that dbt has too; the SELECTs must be the same but for jinja and the one column more."""
    for path in ("silver/silver_clean_events.sql", "gold/gold_subscriber_features.sql"):
        theirs = re.sub(r"{% if is_incremental\(\) %}.*?{% endif %}\n?", "", select_of(f"{TOP}/bench/dbt/models/{path}"), flags=re.DOTALL)
        theirs = re.sub(r"{{ \w+\((?:'\w+', )?'(\w+)'\) }}", r"\1", theirs).replace(",\n    MAX(ingested_at) AS last_ingested_at", "")
        if theirs.rstrip() != select_of(f"{EXAMPLE}/models/{path}"):
            raise SystemExit(f"bench/dbt/models/{path} is not the SELECT of examples/telecom/models/{path}: bring it up to date")
        yield path


def write_manifests(folder, backend, brokers, topic):
    """The example's catalog and stream, to bring the events; and a pipeline of nothing but the two models."""
    catalog, stream = text(f"{EXAMPLE}/{MANIFESTS[backend]}").split("---\n")[:2]
    stream = stream.replace("127.0.0.1:9092", brokers).replace("topic: telecom-events", f"topic: {topic}")
    for path in models():
        os.makedirs(os.path.dirname(f"{folder}/models/{path}"))
        shutil.copy(f"{EXAMPLE}/models/{path}", f"{folder}/models/{path}")
    for name, document in (("bring", stream), ("refresh", PIPELINE)):
        with open(f"{folder}/{name}.yaml", "w") as file:
            file.write(f"{catalog}---\n{document}")


def bring(folder):
    ask("run", f"{folder}/bring.yaml", "--once")


def restore(folder):
    """A catalog holds the path of its data, so the copy that is worked on is always at the same place."""
    shutil.rmtree(f"{folder}/lake", ignore_errors=True)
    if os.path.exists(f"{folder}/kept.duckdb"):
        os.unlink(f"{folder}/kept.duckdb")
    shutil.copytree(f"{folder}/saved", f"{folder}/lake")


def look(verb, folder, backend):
    """compare or keep, in a process of its own, for memory's sake (measure)."""
    said = subprocess.run([sys.executable, os.path.abspath(__file__), verb, folder, backend], check=True, stdout=subprocess.PIPE)
    return json.loads(said.stdout)


def open_lake(folder, backend):
    import duckdb

    con = duckdb.connect(f"{folder}/kept.duckdb", config={"extension_directory": EXTENSIONS, "autoinstall_known_extensions": "false"})
    if backend == "file":
        con.execute(f"ATTACH '{folder}/lake/telecom.duckdb' AS lake (READ_ONLY)")
    else:
        con.execute("LOAD ducklake; LOAD sqlite_scanner")
        con.execute(f"ATTACH 'ducklake:sqlite:{folder}/lake/catalog.sqlite' AS lake (READ_ONLY)")
    return con


def differences(con, table, one, other):
    def count(sql):
        return con.execute(f"SELECT count(*) FROM ({sql})").fetchone()[0]

    one, other = (f"SELECT * EXCLUDE (last_ingested_at) FROM {name}" if name.startswith(("lake.dbt.gold", "dbt_gold"))
                  else f"SELECT * FROM {name}" for name in (one, other))
    found = {"rows": [count(one), count(other)], "only": [count(f"{one} EXCEPT ALL {other}"), count(f"{other} EXCEPT ALL {one}")]}
    if table.startswith("gold"):
        far = " OR ".join(f"abs(a.{name} - b.{name}) > 1.01 / 10 ** {digits}" for name, digits in AVERAGES.items())
        apart = f"EXCLUDE ({', '.join(AVERAGES)}, churn_label)"
        both = f"({one}) AS a JOIN ({other}) AS b USING (subscriber_id)"
        found["beyond"] = count(f"SELECT * {apart} FROM ({one}) EXCEPT ALL SELECT * {apart} FROM ({other})") + count(f"FROM {both} WHERE {far}")
        found["labels"] = count(f"FROM {both} WHERE a.churn_label <> b.churn_label")
    return found


def compare(con):
    """Tarn's tables with dbt's."""
    return {table: differences(con, table, f"lake.main.{table}", f"lake.dbt.{table}") for table in TABLES}


def keep(con):
    """Each program's tables with what was kept of them, which they then take the place of."""
    found = {}
    for program, schema in (("tarn", "main"), ("dbt", "dbt")):
        for table in TABLES:
            kept, now = f"{program}_{table}", f"lake.{schema}.{table}"
            if con.execute("SELECT count(*) FROM duckdb_tables() WHERE table_name = ?", [kept]).fetchone()[0]:
                found.setdefault(program, {})[table] = differences(con, table, kept, now)
            con.execute(f"CREATE OR REPLACE TABLE {kept} AS FROM {now}")
    return found


# ---- all of it ----


def say(line):
    print(json.dumps(line), flush=True)


def round_of(number, backend, folder, work, programs):
    runs = []
    restore(folder)
    for step in STEPS:
        if step == "more":
            server("restart", work)
            bring(folder)
            server("stop", work)
        for program in programs if number % 2 else programs[::-1]:
            load = os.getloadavg()[0]
            run = program.transform(step in ("full", "again"))
            runs.append({"round": number, "backend": backend, "step": step, "program": program.name, "load_before": round(load, 1)} | run)
            say(runs[-1])
        if step in ("full", "more"):
            say({"round": number, "backend": backend, "after": step, "tarn and dbt": look("compare", folder, backend)})
        if step in ("more", "again"):
            kept = look("keep", folder, backend)
            if step == "again":
                say({"round": number, "backend": backend, "after": step, "each and itself": kept})
    return runs


def show_bad(folder, venv):
    tarn, dbt = Tarn(folder, "sqlite"), Dbt(folder, "sqlite", venv)
    tarn.transform(True)
    code, _ = dbt.run("build", "--full-refresh")
    errors = [result["message"] for result in dbt.results() if result["status"] == "error"]
    made = [result["unique_id"].split(".")[2] for result in dbt.results() if result["status"] == "success"]
    say({"bad": "5 %", "tarn": [{key: model[key] for key in ("model", "rows_in", "rows_out", "quarantined", "filtered")}
                                for model in tarn.models],
         "dbt": {"exit": code, "models_made": made, "error": " ".join(" ".join(errors).split())[:400]}})


REPORTED = ("seconds", "cpu_seconds", "peak_mb", "models_seconds")


def spread(values):
    return f"{statistics.median(values):,.2f} ({min(values):,.2f}-{max(values):,.2f})".replace(".00", "")


def report(runs):
    print("| | " + " | ".join(REPORTED) + " |\n|" + "---|" * (len(REPORTED) + 1))
    for backend, step in dict.fromkeys((run["backend"], run["step"]) for run in runs):
        of = {name: [run for run in sorted(runs, key=lambda run: run["round"])
                     if (run["backend"], run["step"], run["program"]) == (backend, step, name)] for name in ("tarn", "dbt")}
        for name, mine in of.items():
            print(f"| {backend}, {step}: {name} | " + " | ".join(spread([run[field] for run in mine]) for field in REPORTED) + " |")
        ratios = [[b[field] / a[field] for a, b in zip(of["tarn"], of["dbt"]) if a[field]] for field in REPORTED]
        print(f"| {backend}, {step}: dbt / tarn | " + " | ".join(spread(ratio) if ratio else "" for ratio in ratios) + " |")


def main(rows, rounds):
    venv, runs = fetch(), []
    work = tempfile.mkdtemp(prefix="tarn-dbt.", dir="/tmp")
    folders = {backend: f"{work}/{backend}" for backend in BACKENDS}
    try:
        brokers = server("start", work)
        produce(brokers, "telecom", rows, "--bad", "0")
        produce(brokers, "telecom-bad", min(rows, BAD_ROWS), "--bad", "0.05")
        for backend, folder in [*folders.items(), ("sqlite", f"{work}/bad")]:
            write_manifests(folder, backend, brokers, "telecom-bad" if folder.endswith("bad") else "telecom")
            bring(folder)
            shutil.copytree(f"{folder}/lake", f"{folder}/saved")
        produce(brokers, "telecom", rows // MORE_SHARE, "--bad", "0", "--seed", "2")
        server("stop", work)
        for backend, folder in folders.items():
            programs = [Tarn(folder, backend), Dbt(folder, backend, venv)]
            programs[1].parse()
            for number in range(1, rounds + 1):
                runs += round_of(number, backend, folder, work, programs)
        show_bad(f"{work}/bad", venv)
        report(runs)
    finally:
        subprocess.run([SERVER, "stop", f"{work}/kafka"])
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    if sys.argv[1:2] in (["compare"], ["keep"]):
        say({"compare": compare, "keep": keep}[sys.argv[1]](open_lake(*sys.argv[2:])))
    else:
        main(*(int(word) for word in (sys.argv[1:] + ["1000000", "3"][len(sys.argv) - 1:])[:2]))
