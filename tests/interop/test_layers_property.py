"""Random histories of a bronze table, random models over it. After each refresh the tables are, row for row, what `--full`
gives and what plain DuckDB gives for the models' own SQL; each row is accounted for; a refresh of nothing does nothing.

Plain DuckDB runs with its optimizer off: then conditions are evaluated as they are written, and a row of its own raises or
does not raise a conversion error for what the SQL says, and not for what the statistics of one row say."""

import json
import math
import re
from collections import Counter

import duckdb
import layers
import pytest
import support

COLUMNS = {
    "id": "INTEGER", "k": "VARCHAR", "flag": "BOOLEAN", "qty": "INTEGER", "price": "FLOAT", "x": "DOUBLE",
    "amount": "DECIMAL(12,3)", "big": "HUGEINT", "ts": "VARCHAR", "num": "VARCHAR", "payload": "JSON", "u": "UUID", "d": "DATE", "t": "TIMESTAMP",
}
RETYPED = {"qty": "BIGINT", "price": "DOUBLE"}
KEYS = ["'a'", "'b'", "'C'", "'ü'", "''", "NULL"]
# `deep` divides by such, for which a zero has one sign; plain DuckDB adds them in some order, for which none takes another away.
FLOATS = ["0.0", "'nan'", "'inf'", "'-inf'", "0.1", "1e300", "2e300", "3.25", "1e-300", "NULL", "7"]
TIMES = ["'2024-02-29 12:30:00'", "'2023-02-29 12:30:00'", "'yesterday'", "''", "NULL", "'2024-01-01'", "'1700000000'", "'infinity'"]
NUMBERS = ["'12'", "'-7'", "' 5 '", "'1e3'", "'abc'", "''", "'99999999999'", "'1.5'", "'NaN'", "NULL", "'0x1F'", "'300'"]
PAYLOADS = ["'{\"q\": 1, \"s\": \"2024-01-01\", \"l\": [1, 2]}'", "'{\"q\": \"x\", \"l\": [\"x\"]}'", "'{\"q\": null}'", "'{}'", "'null'", "NULL",
            "'{\"q\": 2.5, \"s\": \"no\"}'", "'[1, 2]'", "'{\"q\": 400}'"]


# ---- models: each reads bronze, or another model, which must be there then. `exact`: its floats do not depend on an order.


class Model:
    """plain: the SQL for plain DuckDB, where the model's own leaves something to chance."""

    def __init__(self, name, sql, reads="bronze", options="materialized: incremental", kind="rows", oracle=True, plain=None):
        self.name, self.sql, self.reads, self.options, self.kind, self.oracle, self.plain = name, sql, reads, options, kind, oracle, plain or sql


TYPED = """SELECT id, upper(k) AS k, CAST(num AS INTEGER) AS num, CASE WHEN flag THEN CAST(ts AS TIMESTAMP) END AS ts,
  COALESCE(TRY_CAST(payload->>'q' AS INTEGER), CAST(num AS SMALLINT), 0) AS q, x, price, amount, big, u, d, payload
FROM bronze WHERE id IS NOT NULL AND (flag OR CAST(x AS INTEGER) < 5 OR k IS NULL)"""

AGAIN = """SELECT flag, id % 3 AS m, count(DISTINCT k) AS ks, median(qty) AS med, list(num ORDER BY t DESC{ties[0]}) AS l, string_agg(k, ',' ORDER BY id{ties[1]}) AS s,
  min(x) AS mi, max(price) AS ma, sum(big) AS big, max(qty, 2) AS top FROM bronze GROUP BY ALL"""

MODELS = [
    Model("typed", TYPED),
    Model("star", "SELECT * EXCLUDE (payload, u) REPLACE (CAST(num AS BIGINT) AS num, lower(k) AS k) FROM bronze"),
    Model("chain", "WITH a AS (SELECT id, num, ts, k FROM bronze WHERE k <> 'b'), b AS (SELECT *, CAST(num AS DOUBLE) AS n FROM a WHERE CAST(num AS DOUBLE) IS NOT NULL OR id > 3) "
                   "SELECT b.id, b.n, CAST(b.ts AS DATE) AS d, k FROM b WHERE length(k) < 9"),
    Model("sub", "SELECT s.id, s.c + 1 AS c FROM (SELECT id, CAST(payload->>'$.q' AS DECIMAL(5,1)) AS c, flag FROM bronze) s WHERE s.flag IS DISTINCT FROM false"),
    Model("nested", "SELECT id, CAST(payload->'l' AS INTEGER[]) AS l, CAST(u AS VARCHAR) AS u, (CAST(num AS INTEGER) > 3 AND flag) AS f FROM bronze"),
    Model("logic", "SELECT id, CASE WHEN num IS NULL OR num = '' THEN -1 WHEN CAST(num AS DOUBLE) > 10 AND CAST(ts AS TIMESTAMP) > TIMESTAMP '2020-01-01' THEN 1 "
                   "ELSE CAST(num AS TINYINT) END AS c, CAST(flag AS INTEGER) IN (1, CAST(num AS INTEGER)) AS i FROM bronze WHERE k IS NOT NULL"),
    Model("grouped", "SELECT k, count(*) AS n, sum(qty) AS qty, sum(x) AS x, avg(price) AS price, min(d) AS d, max(t) AS t, bool_or(flag) AS o, bool_and(flag) AS a, "
                     "count(*) FILTER (WHERE qty > 3) AS big, sum(amount) AS amount, avg(amount) AS amount_avg, avg(qty) AS qty_avg FROM bronze GROUP BY k", kind="groups"),
    Model("again", AGAIN.format(ties=["", ""]), kind="groups", plain=AGAIN.format(ties=[", num DESC", ", k"])),
    Model("cast_keys", "SELECT CAST(ts AS DATE) AS day, count(*) AS n, sum(CAST(num AS DOUBLE)) AS num, max(CAST(payload->>'q' AS INTEGER)) FILTER (WHERE flag) AS q "
                       "FROM bronze WHERE k IS NOT NULL GROUP BY day HAVING count(*) > 1", kind="groups"),
    Model("by_x", "SELECT x, price AS p, count(*) AS n FROM bronze GROUP BY 1, price HAVING bool_or(flag) OR count(*) >= 2", kind="groups"),
    Model("group_cast", "SELECT K, CAST(max(num) AS INTEGER) AS top, sum(qty) AS q FROM bronze AS b GROUP BY b.k", kind="groups", oracle=False),
    Model("on_typed", "SELECT k, sum(num) AS num, avg(x) AS x, count(ts) AS ts, max(q) AS q FROM typed GROUP BY k HAVING sum(num) IS NULL OR sum(num) > -100", reads="typed", kind="groups"),
    Model("on_on_typed", "SELECT k || '!' AS k, CAST(num AS VARCHAR) AS num, CAST(CAST(q AS VARCHAR) AS UTINYINT) AS q, 1 / x AS r FROM on_typed WHERE q <> 2", reads="on_typed"),
    Model("deep", "SELECT q, count(*) AS n, sum(r) AS r FROM on_on_typed GROUP BY q", reads="on_on_typed", kind="groups"),
    Model("seen", "SELECT id, k, num FROM typed WHERE num > 0", reads="typed", options="materialized: view", kind="view"),
    Model("on_view", "SELECT k, CAST(num AS UTINYINT) AS num FROM seen", reads="seen"),
    Model("ranked", "SELECT id, k, row_number() OVER (PARTITION BY k ORDER BY id, num, x) AS r FROM typed", reads="typed", kind="whole"),
    Model("on_ranked", "SELECT r, count(*) AS n FROM ranked GROUP BY r", reads="ranked", kind="groups"),
    Model("plain", "SELECT DISTINCT k, flag FROM bronze", options="materialized: table", kind="whole"),
]
BY_NAME = {model.name: model for model in MODELS}


def needed(names):
    """With what they read, in order."""
    wanted = set(names)
    for model in reversed(MODELS):
        if model.name in wanted and model.reads != "bronze":
            wanted.add(model.reads)
    return [model for model in MODELS if model.name in wanted]


class Expressions:
    """Random expressions over bronze: CASTs that fail within what decides whether they are computed."""

    def __init__(self, rng):
        self.rng = rng

    def cast(self, depth):
        return self.rng.choice([
            lambda: "CAST(num AS INTEGER)", lambda: "num::DECIMAL(6,2)::INTEGER", lambda: "CAST(payload->>'q' AS SMALLINT)",
            lambda: "CAST(x AS INTEGER)", lambda: "CAST(price AS TINYINT)", lambda: "CAST(qty AS UTINYINT)", lambda: "CAST(payload->'q' AS INTEGER)",
            lambda: "CAST(big AS BIGINT)", lambda: "CAST(amount AS TINYINT)", lambda: "year(CAST(ts AS TIMESTAMP))", lambda: "length(CAST(CAST(ts AS DATE) AS VARCHAR))",
            lambda: f"CAST(CAST({self.number(depth - 1)} AS VARCHAR) AS TINYINT)"])()

    def number(self, depth):
        if depth <= 0:
            return self.rng.choice(["qty", "id", "7", "NULL", "TRY_CAST(num AS INTEGER)", "CAST(num AS INTEGER)"])
        return self.rng.choice([
            lambda: self.cast(depth), lambda: self.cast(depth), lambda: f"CASE WHEN {self.truth(depth - 1)} THEN {self.number(depth - 1)} ELSE {self.number(depth - 1)} END",
            lambda: f"COALESCE({self.number(depth - 1)}, {self.number(depth - 1)}, 3)", lambda: f"CASE WHEN {self.truth(depth - 1)} THEN {self.number(depth - 1)} END",
            lambda: f"greatest({self.number(depth - 1)}, {self.number(depth - 1)})", lambda: f"NULLIF({self.number(depth - 1)}, 7)", lambda: f"IF({self.truth(depth - 1)}, {self.number(depth - 1)}, 0)"])()

    def truth(self, depth):
        if depth <= 0:
            return self.rng.choice(["flag", "k = 'a'", "num IS NULL", "qty > 2", "CAST(flag AS BOOLEAN)"])
        return self.rng.choice([
            lambda: f"({self.number(depth - 1)} > 2)", lambda: f"({self.truth(depth - 1)} AND {self.truth(depth - 1)})", lambda: f"({self.truth(depth - 1)} OR {self.truth(depth - 1)})",
            lambda: f"(NOT {self.truth(depth - 1)})", lambda: f"({self.number(depth - 1)} IS NULL)", lambda: f"({self.number(depth - 1)} IN (1, {self.number(depth - 1)}))",
            lambda: f"({self.number(depth - 1)} BETWEEN 0 AND {self.number(depth - 1)})"])()

    def model(self, name):
        outputs = ", ".join(f"{self.number(3)} AS n{i}" for i in range(self.rng.randint(1, 3)))
        where = f" WHERE {self.truth(2)} AND {self.truth(1)}" if self.rng.random() < 0.6 else ""
        if self.rng.random() < 0.6:
            return Model(name, f"SELECT id, {outputs}, {self.truth(2)} AS b FROM bronze{where}")
        return Model(name, f"SELECT {self.truth(1)} AS key, count(*) AS n, max({self.number(2)}) AS m, sum({self.number(1)}) FILTER (WHERE {self.truth(1)}) AS s FROM bronze{where} GROUP BY 1", kind="groups")


# ---- the history of bronze


class History:
    def __init__(self, rng, con):
        self.rng, self.next, self.columns = rng, 1, dict(COLUMNS)
        con.execute("CREATE TABLE bronze (" + ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items()) + ")")

    def row(self):
        r = self.rng
        self.next += r.random() < 0.9
        values = {
            "id": str(self.next) if r.random() < 0.97 else "NULL", "k": r.choice(KEYS), "flag": r.choice(["true", "false", "NULL"]), "qty": r.choice(["1", "2", "5", "300", "-1", "NULL"]),
            "price": r.choice(["0.0", "'-0.0'", "'nan'", "'inf'", "'-inf'", "0.1", "3.25", "NULL", "7"]), "x": r.choice(FLOATS), "amount": r.choice(["0.001", "-12.5", "123456789.999", "NULL", "200"]),
            "big": r.choice(["1", "-170141183460469231731687303715884105", "9223372036854775808", "NULL"]), "ts": r.choice(TIMES), "num": r.choice(NUMBERS if r.random() < 0.6 else NUMBERS[:3]),
            "payload": r.choice(PAYLOADS), "u": r.choice(["'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", "NULL"]), "d": r.choice(["'2024-01-31'", "'1969-12-31'", "NULL"]),
            "t": r.choice(["'2024-01-31 00:00:01'", "'2024-01-31 00:00:02'", "NULL"])}
        values |= {name: r.choice(["NULL", "9"]) for name in self.columns if name not in values}
        return "(" + ", ".join(f"{values[name]}::{kind}" for name, kind in self.columns.items()) + ")"

    def some(self, share):
        return f"hash(id, num, k) % 100 < {int(100 * share * self.rng.random())}"

    def insert(self):
        return [f"INSERT INTO bronze VALUES {', '.join(self.row() for _ in range(self.rng.randint(1, 12)))}"]

    def duplicate(self):
        return [f"INSERT INTO bronze SELECT * FROM bronze WHERE {self.some(0.3)}"]

    def delete(self):
        return [f"DELETE FROM bronze WHERE {self.some(0.3)}"]

    def update(self):
        change = self.rng.choice(["x = -x", "num = '12'", "num = 'bad'", "k = 'b'", "qty = qty + 1", "ts = NULL", "flag = NOT flag", "payload = '{\"q\": \"y\"}'", "price = NULL", "num = num"])
        return [f"UPDATE bronze SET {change} WHERE {self.some(0.4)}"]

    def come_and_go(self):
        row = self.row()
        return [f"INSERT INTO bronze VALUES {row}, {row}", f"DELETE FROM bronze WHERE id = {self.next} AND {self.some(1)}"]

    def go_and_come(self):
        return ["CREATE OR REPLACE TEMP TABLE kept AS SELECT * FROM bronze WHERE id % 2 = 0", "DELETE FROM bronze WHERE id % 2 = 0", "INSERT INTO bronze SELECT * FROM kept"]

    def retype(self):
        name = self.rng.choice(list(RETYPED))
        if self.columns[name] == RETYPED[name]:
            return self.insert()
        self.columns[name] = RETYPED[name]
        return [f"ALTER TABLE bronze ALTER {name} TYPE {RETYPED[name]}"]

    def widen(self):
        if len(self.columns) > len(COLUMNS) + 1:
            return self.insert()
        name = f"further{len(self.columns)}"
        self.columns[name] = "INTEGER"
        return [f"ALTER TABLE bronze ADD COLUMN {name} INTEGER{self.rng.choice(['', ' DEFAULT 4'])}"]

    def merge(self):
        return ["CALL ducklake_merge_adjacent_files('lake')"]

    def rolled_back(self):
        return ["BEGIN", *self.insert(), "ROLLBACK"]

    def step(self, backend):
        """One transaction a statement, or one for all."""
        moves = [(self.insert, 8), (self.duplicate, 2), (self.delete, 4), (self.update, 4), (self.come_and_go, 2), (self.go_and_come, 1), (self.retype, 0.6), (self.widen, 0.6),
                 (self.merge, 0 if backend == "file" else 1.5), (self.rolled_back, 0.5)]
        statements = self.rng.choices([m for m, _ in moves], [w for _, w in moves])[0]()
        if len(statements) > 1 and statements[0] != "BEGIN" and self.rng.random() < 0.3:
            statements = ["BEGIN", *statements, "COMMIT"]
        return statements


# ---- what a lake holds, and what plain DuckDB makes of it

# In Parquet's dictionaries DuckDB keeps the first of 0.0 and -0.0 for both: which one a table has depends on what else its file
# holds, also of bronze once its files are merged. Of equal NaNs, which may have a sign, any may be the least.
ZERO = r"regexp_replace({}, '-(0\.0|nan)([^0-9e]|$)', '\1\2', 'gi')"
TEXT = ZERO.format("CAST(a_row AS VARCHAR)")
EXACT = f"SELECT count(*) FROM (SELECT a_row, {TEXT} FROM {{0}} a_row EXCEPT ALL SELECT a_row, {TEXT} FROM {{1}} a_row)"
STATE = "SELECT model, rows_in, rows_out, grouped, groups, quarantined, filtered, conditions FROM lake.tarn.models"
REFUSED = f"""SELECT model, source_table, {ZERO.format("source_row")} AS source_row, "column", "text", reason FROM lake.tarn.quarantined_rows"""


class Seen:
    """Copies of a lake's tables in a DuckDB of our own: schema `inc` has what a refresh made, `anew` what --full made."""

    def __init__(self, models):
        self.con = duckdb.connect(config={"threads": 1})
        self.con.execute("PRAGMA disable_optimizer")
        self.models = models

    def take(self, pipeline, schema):
        with pipeline.connection(read_only=True) as con:
            self.con.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
            self.con.execute(f"CREATE SCHEMA {schema}")
            for name, sql in {"bronze": "FROM lake.main.bronze", "tarn_state": STATE, "tarn_refused": REFUSED} .items():
                self.copy(con, schema, name, sql)
            for model in self.models:
                self.copy(con, schema, model.name, f"FROM lake.main.{model.name}")

    def copy(self, con, schema, name, sql):
        kinds = {row[0]: row[1] for row in con.execute(f"DESCRIBE {sql}").fetchall()}
        arrow = con.execute("SELECT " + ", ".join(f'CAST("{c}" AS VARCHAR) AS "{c}"' if k in ("UUID", "JSON", "HUGEINT") else f'"{c}"' for c, k in kinds.items()) + f" FROM ({sql})").to_arrow_table()
        self.con.register("arriving", arrow)
        self.con.execute(f"CREATE TABLE {schema}.{name} AS SELECT " + ", ".join(f'CAST("{c}" AS {k}) AS "{c}"' for c, k in kinds.items()) + " FROM arriving")
        self.con.unregister("arriving")

    def rows(self, sql):
        return self.con.execute(sql).fetchall()

    def difference(self, a, b):
        return [(side, self.rows(f"SELECT {TEXT} FROM {x} a_row EXCEPT ALL SELECT {TEXT} FROM {y} a_row LIMIT 5")) for side, x, y in (("only " + a, a, b), ("only " + b, b, a))]

    def assert_equal(self, a, b, what):
        counts = [self.rows(EXACT.format(*pair))[0][0] for pair in ((a, b), (b, a))]
        assert counts == [0, 0], f"{what}: {self.difference(a, b)}"


def approximately(a, b):
    if isinstance(a, float) and isinstance(b, float):
        return a == b or (math.isnan(a) and math.isnan(b)) or math.isclose(a, b, rel_tol=1e-12)
    return a == b


def sortable(row):
    return [f"{v + 0.0:.6e}" if isinstance(v, float) else repr(v) for v in row]


def assert_same_rows(got, expected, what):
    got, expected = sorted(got, key=sortable), sorted(expected, key=sortable)
    assert len(got) == len(expected), f"{what}: {len(got)} rows, and not {len(expected)}"
    for a, b in zip(got, expected):
        assert all(map(approximately, a, b)), f"{what}: {a}, and not {b}"


class Plain:
    """The model's own SQL in plain DuckDB, over the rows that it takes one by one."""

    def __init__(self, seen, model):
        self.con, self.model = seen.con, model
        self.con.execute("DROP SCHEMA IF EXISTS one CASCADE")
        self.con.execute("CREATE SCHEMA one")
        self.con.execute("DROP TABLE IF EXISTS memory.main.numbered")
        self.con.execute(f"CREATE TABLE memory.main.numbered AS SELECT row_number() OVER () AS \"tarn number\", * FROM inc.{model.reads}")
        self.count = self.con.execute("SELECT count(*) FROM memory.main.numbered").fetchone()[0]

    def run(self, sql, where):
        self.con.execute(f"CREATE OR REPLACE TABLE one.{self.model.reads} AS SELECT * EXCLUDE (\"tarn number\") FROM memory.main.numbered WHERE {where}")
        self.con.execute("SET search_path = 'memory.one'")
        try:
            return self.con.execute(sql).fetchall()
        finally:
            self.con.execute("SET search_path = 'memory.main'")

    def refuses(self, sql, number):
        try:
            self.run(sql, f'"tarn number" = {number}')
            return False
        except duckdb.ConversionException:
            return True

    def decision(self, conditions, number):
        """Of the first condition that is not true: "out", or "refused" where it fails; None: all of them are."""
        for condition in conditions:
            try:
                if self.run(f"SELECT CASE WHEN {condition} THEN 1 END FROM {self.model.reads}", f'"tarn number" = {number}') != [(1,)]:
                    return "out"
            except duckdb.ConversionException:
                return "refused"
        return None

    def bad_rows(self, conditions):
        """Those that plain DuckDB refuses, and those that the model does: what counts is the order in which conditions are written. DuckDB
        may compute a CAST of one although an earlier one leaves the row out, or the second half of a BETWEEN behind all others."""
        numbers = range(1, self.count + 1)
        raising = {n for n in numbers if self.refuses(self.model.sql, n)}
        decisions = {n: self.decision(conditions, n) for n in numbers}
        return raising, [n for n in numbers if decisions[n] == "refused" or (n in raising and decisions[n] != "out")]

    def source_row(self, number):
        return self.con.execute(f'SELECT {ZERO.format("CAST(to_json(a_row) AS VARCHAR)")} FROM (SELECT * EXCLUDE ("tarn number") FROM memory.main.numbered WHERE "tarn number" = {number}) a_row').fetchone()[0]

    def results(self, bad):
        return self.run(self.model.plain, f'"tarn number" NOT IN ({", ".join(map(str, bad)) or "0"})')


def assert_reason(con, text, reason):
    """DuckDB refuses the text for that type, and the reason tells a number out of range from what is none."""
    kind = re.fullmatch(r"is (?:not of type|a (?:number|time) that(?: there is not, or that)?) (.*?)(?: does not hold)?", reason).group(1)
    with pytest.raises(duckdb.ConversionException):
        con.execute(f"SELECT CAST(CAST(? AS VARCHAR) AS {kind})", [text])
    if "is a number" in reason:
        assert math.isfinite(float(text.strip().strip('"'))), (text, reason)


def assert_plain(seen, model):
    plain = Plain(seen, model)
    if model.kind in ("view", "whole"):
        assert_same_rows(seen.rows(f"FROM inc.{model.name}"), plain.results([]), f"{model.name} is not what plain DuckDB gives")
        return
    several = model.sql.count("FROM") > 1 or (model.kind != "rows" and not model.name.startswith("random"))
    conditions = [] if several else json.loads(seen.rows(f"SELECT conditions FROM inc.tarn_state WHERE model = '{model.name}'")[0][0])
    raising, bad = plain.bad_rows(conditions)
    refused = seen.rows(f"SELECT source_table, source_row, \"column\", \"text\", reason FROM inc.tarn_refused WHERE model = '{model.name}'")
    by_row = Counter(row for _, row, *_ in refused)
    expected = Counter(plain.source_row(n) for n in bad)
    assert by_row == expected, f"{model.name} refused {by_row - expected} and not {expected - by_row}: {model.sql}"
    for table, row, column, text, reason in refused:
        assert table == f"main.{model.reads}"
        assert_reason(seen.con, text, reason)
    assert_same_rows(seen.rows(f"FROM inc.{model.name}"), plain.results(raising), f"{model.name} is not what plain DuckDB gives: {model.sql}")
    assert_columns(seen, model, plain, bad, refused)


def assert_columns(seen, model, plain, bad, refused):
    """Of a row's outputs the column that is named refuses it, and none before it does; or it is a condition."""
    if model.kind != "rows":
        return
    names = [row[0] for row in seen.rows(f"DESCRIBE inc.{model.name}")]
    for number in bad:
        columns = {column for _, row, column, *_ in refused if row == plain.source_row(number)} & set(names)
        for column in columns:
            assert plain.refuses(f'SELECT "{column}" FROM ({model.sql})', number) or model.name == "chain", (model.name, column, number)


def assert_counted(seen, model):
    rows_in, rows_out, grouped, groups, quarantined, filtered, conditions = seen.rows(f"SELECT * EXCLUDE model FROM inc.tarn_state WHERE model = '{model.name}'")[0]
    filtered = [int(part) for part in filtered.split(",") if part]
    held = len(seen.rows(f"FROM inc.tarn_refused WHERE model = '{model.name}'"))
    assert len(filtered) == len(json.loads(conditions)) and quarantined == held, model.name
    if model.kind == "view":
        return
    assert rows_out == len(seen.rows(f"FROM inc.{model.name}")), model.name
    if model.kind == "whole":
        return
    assert rows_in == len(seen.rows(f"FROM inc.{model.reads}")), model.name
    if model.kind == "rows":
        assert rows_in == rows_out + quarantined + sum(filtered), model.name
    else:
        having = model.sql.count("HAVING") and (filtered[-1] if filtered else 0)
        assert rows_in + groups == grouped + rows_out + quarantined + sum(filtered), (model.name, having)


def check(pipeline, models):
    seen = Seen(models)
    seen.take(pipeline, "inc")
    before = pipeline.snapshots()
    pipeline.refresh()
    assert not pipeline.report["committed"] and pipeline.snapshots() == before, f"nothing changed, and {pipeline.report} did something"
    with pipeline.aside():
        pipeline.refresh("--full")
        seen.take(pipeline, "anew")
    for table in ["tarn_refused", "tarn_state", *(m.name for m in models)]:
        seen.assert_equal(f"inc.{table}", f"anew.{table}", f"{table} is not what --full gives")
    for model in models:
        assert_counted(seen, model)
        if model.oracle:
            assert_plain(seen, model)
    seen.con.close()


def run_history(folder, rng, backend, refreshes, picks):
    pipeline = layers.Pipeline(folder, backend)
    models = needed(rng.sample([m.name for m in MODELS], picks)) + [Expressions(rng).model(f"random{i}") for i in range(3)]
    for model in models:
        pipeline.model(model.name, model.sql, options=model.options)
    how = Counter()
    with pipeline.connection() as con:
        history = History(rng, con)
        con.execute(history.insert()[0])
    for number in range(refreshes):
        steps = []
        for _ in range(rng.choice([1, 1, 2, 3]) if number else 0):
            steps.append(history.step(backend))
            with pipeline.connection() as con:
                for statement in steps[-1]:
                    con.execute(statement)
        try:
            how.update(f"{m['how']}" for m in pipeline.refresh().values())
            check(pipeline, models)
        except BaseException:
            print(f"refresh {number} after {steps}\nmodels {[(m.name, m.sql) for m in models]}")
            raise
    return how


HISTORIES = 40 if support.LONG else 1
pytestmark = pytest.mark.timeout(3600 if support.LONG else 600)


@pytest.mark.parametrize("number", range(HISTORIES))
def test_a_refresh_by_changes_gives_what_a_full_one_and_plain_duckdb_give(folder, rng, number, record_property):
    how = run_history(folder, rng, "sqlite", 12 if support.LONG else 4, 5)
    record_property("models", dict(how))
    assert how["incremental"] > 0


@pytest.mark.parametrize("backend", ["duckdb", "file"])
def test_other_backends_give_the_same(folder, rng, backend, record_property):
    how = run_history(folder, rng, backend, 10 if support.LONG else 3, 4)
    record_property("models", dict(how))
    assert (how["incremental"] > 0) == (backend != "file")
