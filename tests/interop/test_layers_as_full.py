"""What a refresh of the changes leaves is what DuckDB makes of everything, in the cases that no random history meets: each
model here is compared with its own SELECT, run by another DuckDB over the lake as it then is."""

import duckdb
import pytest
import support
from layered import TRAINED, LayeredLake
from layers import Pipeline

BRONZE = "CREATE TABLE bronze AS SELECT * FROM (VALUES (1, 'a', '7', TIMESTAMP '2026-01-01'), (2, 'b', '8', NULL), (3, 'A', '9', TIMESTAMP '2026-01-02')) t(id, k, num, ts)"


@pytest.fixture
def p(session_folder):
    p = Pipeline(session_folder)
    p.write(BRONZE)
    return p


def same(p, **models):
    with p.connection(read_only=True) as con:
        for name, sql in models.items():
            assert sorted(con.execute(f"FROM {name}").fetchall(), key=repr) == sorted(con.execute(sql).fetchall(), key=repr), name


def follow(p, *changes, **models):
    """Refreshed after each change, and at first without one."""
    for change in (None, *changes):
        if change:
            p.write(change)
        p.refresh()
        same(p, **models)


def how(p, *arguments):
    return {name: (report["how"], report["why"]) for name, report in p.refresh(*arguments).items()}


@pytest.mark.parametrize("sql", [
    "WITH c(k, raw) AS (SELECT upper(k), k FROM bronze) SELECT k, count(*) AS n FROM c GROUP BY k",
    "WITH t(id, qty) AS (SELECT num, id FROM bronze) SELECT id, qty FROM t",
    "WITH t(id) AS MATERIALIZED (SELECT num, id AS qty FROM bronze) SELECT id, qty FROM t",
    "SELECT id, qty FROM (SELECT num, id FROM bronze) AS t(id, qty)"])
def test_a_with_that_names_its_columns(p, sql):
    p.model("m", sql)
    follow(p, "INSERT INTO bronze VALUES (4, 'b', '1', NULL)", "DELETE FROM bronze WHERE id = 1", m=sql)


@pytest.mark.parametrize(("sql", "function"), [
    ("SELECT id, ts FROM bronze WHERE ts >= ago(INTERVAL 7 DAYS)", "ago"),
    ("SELECT id, date_part('year', age(ts)) AS years FROM bronze", "age"),
    ("SELECT id, ts < current_localtimestamp() AS over FROM bronze", "current_localtimestamp"),
    ("SELECT id, date_part('year', age(ts, TIMESTAMP '2020-01-01')) AS years FROM bronze", None)])
def test_what_asks_the_clock_is_made_anew(p, sql, function):
    p.model("m", sql)
    p.refresh()
    p.write("DELETE FROM bronze WHERE id = 1")
    found = how(p)["m"]
    assert found == (("anew", f"it calls {function}, whose result changes by itself") if function else ("incremental", ""))
    same(p, m=sql)


def test_what_a_refresh_itself_puts_into_quarantine_counts_once(p):
    p.write("INSERT INTO bronze VALUES (4, 'c', 'x', NULL), (5, 'c', 'y', NULL)")
    p.model("s", "SELECT id, CAST(num AS INTEGER) AS num FROM bronze")
    sql = "SELECT model, reason, count(*) AS n FROM tarn.quarantined_rows GROUP BY ALL"
    p.model("g", sql, layer="gold")
    follow(p, None, "INSERT INTO bronze VALUES (6, 'c', 'z', NULL)", None, g=sql)
    assert p.read("SELECT n FROM g") == [(3,)]


@pytest.mark.parametrize("sql", ["SELECT id, to_json(b) AS j FROM bronze b", "SELECT id, CAST(bronze AS VARCHAR) AS j FROM bronze",
                                 "WITH c AS (SELECT * FROM bronze) SELECT id, hash(c) AS j FROM c",
                                 "WITH c AS (SELECT id, k FROM bronze) SELECT to_json(c) AS j FROM c",
                                 "SELECT lower(k) AS mail, md5(mail) AS h, id FROM bronze"])
def test_a_column_that_comes_later_may_matter(p, sql):
    p.model("m", sql)
    p.refresh()
    p.write("ALTER TABLE bronze ADD COLUMN mail VARCHAR", "INSERT INTO bronze VALUES (4, 'D', '1', NULL, 'd@example.org')")
    assert how(p)["m"][0] == "anew"
    same(p, m=sql)
    p.write("DELETE FROM bronze WHERE id = 1")
    p.refresh()
    same(p, m=sql)


def test_a_column_that_comes_later_and_does_not_matter(p):
    sql = "WITH typed AS (SELECT id, CAST(num AS INTEGER) AS n FROM bronze) SELECT id, n FROM typed"
    p.model("m", sql)
    p.refresh()
    p.write("ALTER TABLE bronze ADD COLUMN mail VARCHAR", "INSERT INTO bronze VALUES (4, 'D', '1', NULL, 'd@example.org')", "DELETE FROM bronze WHERE id = 1")
    assert how(p)["m"] == ("incremental", "")
    same(p, m=sql)


def test_a_column_that_is_another_one_of_the_same_name(p):
    sql = "SELECT id, ts FROM bronze"
    p.model("m", sql)
    p.refresh()
    p.write("ALTER TABLE bronze DROP COLUMN ts", "ALTER TABLE bronze ADD COLUMN ts TIMESTAMP")
    assert how(p)["m"][0] == "anew"
    same(p, m=sql)
    assert p.read("SELECT count(ts) FROM m") == [(0,)]


def test_a_file_that_is_called_otherwise(p):
    sql = "SELECT id, CAST(num AS INTEGER) AS n FROM bronze"
    p.write("INSERT INTO bronze VALUES (4, 'c', 'x', NULL)")
    file = p.model("orders", sql)
    p.refresh()
    file.rename(file.with_name("Orders.sql"))
    for i in (5, 6, 7):
        p.write(f"INSERT INTO bronze VALUES ({i}, 'c', '{i}', NULL), ({i}, 'c', 'y', NULL)", f"DELETE FROM bronze WHERE id = {i - 4}")
        p.refresh()
        same(p, orders=sql.replace("CAST", "TRY_CAST") + " WHERE TRY_CAST(num AS INTEGER) IS NOT NULL")
        assert p.read("SELECT model, quarantined FROM tarn.models") == p.read("SELECT any_value(model), count(*) FROM tarn.quarantined_rows")


def test_a_model_that_is_one_no_more(p):
    file = p.model("x", "SELECT id, k FROM bronze")
    sql = "SELECT k, count(*) AS n FROM x GROUP BY k"
    p.model("y", sql, layer="gold")
    p.refresh()
    p.write("INSERT INTO bronze VALUES (4, 'a', '1', NULL)")
    p.refresh()
    file.unlink()
    follow(p, "INSERT INTO x VALUES (5, 'a')", "DELETE FROM x WHERE id = 1", y=sql)


@pytest.mark.parametrize("sql", [
    "SELECT k, round(CAST(max(num) AS DOUBLE), 1) AS top FROM bronze GROUP BY k HAVING top > 5",
    "SELECT k, CAST(max(num) AS DOUBLE) * 1 AS top, top + 1 AS more FROM bronze GROUP BY k HAVING more > 5",
    "SELECT id, CAST(num AS INTEGER) * 1 AS n, n + 1 AS m FROM bronze WHERE m > 5"])
def test_a_cast_behind_an_alias_is_not_taken_for_a_condition(p, sql):
    """DuckDB refuses the whole model, and so does Tarn: the row is not counted as one that the condition held back."""
    p.model("m", sql)
    p.refresh()
    same(p, m=sql)
    p.write("INSERT INTO bronze VALUES (4, 'd', 'abc', NULL)")
    assert "Could not convert string 'abc'" in p.refused()


@pytest.mark.parametrize("sql", [
    "SELECT CAST(num AS INTEGER) AS n, count(*) AS c FROM bronze GROUP BY n HAVING n > 7",
    "SELECT CAST(num AS INTEGER) AS n, count(*) AS c FROM bronze GROUP BY CAST(num AS INTEGER) HAVING n > 7",
    "SELECT k, sum(CAST(num AS INTEGER)) AS total, total + 1 AS more FROM bronze GROUP BY k HAVING total > 7 AND more > 8",
    "SELECT id, CAST(num AS INTEGER) AS num, num || 'x' AS t FROM bronze WHERE id > 0"])
def test_a_cast_that_was_checked_for_each_row_is_followed(p, sql):
    """Keys and aggregates are columns to HAVING, also by their aliases: what was refused before is in quarantine."""
    p.model("m", sql)
    p.refresh()
    p.write("INSERT INTO bronze VALUES (4, 'd', '9', NULL), (5, 'd', 'abc', NULL)")
    assert how(p)["m"] == ("incremental", "")
    same(p, m=sql.replace("CAST(", "TRY_CAST(").replace(" FROM bronze", " FROM (FROM bronze WHERE TRY_CAST(num AS INTEGER) IS NOT NULL) bronze"))
    assert p.read("SELECT \"text\" FROM tarn.quarantined_rows") == [("abc",)]


def test_no_group_has_new_rows(p):
    """Groups that do not merge, and a condition that takes none of what is new."""
    sql = "SELECT k, median(id) AS m FROM bronze WHERE id < 100 GROUP BY k"
    p.model("m", sql)
    p.refresh()
    follow(p, "INSERT INTO bronze VALUES (200, 'a', '1', NULL)", "DELETE FROM bronze WHERE id = 200", "INSERT INTO bronze VALUES (5, 'a', '1', NULL)",
           "DELETE FROM bronze", m=sql)


@pytest.mark.parametrize("choice", [
    "NULL AND CAST(num AS INTEGER) > 0", "(id = 99 OR NULL) AND CAST(num AS INTEGER) > 0", "id BETWEEN 100 AND CAST(num AS INTEGER)",
    "NULL BETWEEN 0 AND CAST(num AS INTEGER)", "id = 99 OR (id BETWEEN 50 AND CAST(num AS INTEGER) AND CAST(num AS INTEGER) > 1)",
    "id BETWEEN CAST(num AS INTEGER) AND 100", "id BETWEEN 0 AND CAST(num AS INTEGER)", "NOT (id BETWEEN 100 AND CAST(num AS INTEGER))", "NULL OR CAST(num AS INTEGER) > 1",
    "CAST(num AS INTEGER) BETWEEN 100 AND CAST(k AS INTEGER)", "id + random() BETWEEN 100 AND CAST(num AS INTEGER)"])
@pytest.mark.parametrize("sql", ["SELECT id, CASE WHEN {} THEN 1 END AS a FROM bronze", "SELECT id FROM bronze WHERE {}"])
def test_what_a_choice_does_not_reach_is_not_refused(p, sql, choice):
    """As DuckDB, row by row and without its optimizer: AND stops where it is not true, OR where it is, and BETWEEN is x >= a AND x <= b."""
    sql = sql.format(choice)
    p.write("INSERT INTO bronze VALUES (5, 'd', 'abc', NULL), (6, 'x', '7', NULL)")
    p.model("m", sql)
    p.refresh()
    con = duckdb.connect()
    con.execute("PRAGMA disable_optimizer")
    refused = []
    for row in p.read("SELECT id, k, num FROM bronze"):
        con.execute("CREATE OR REPLACE TABLE bronze (id INTEGER, k VARCHAR, num VARCHAR)")
        con.execute("INSERT INTO bronze VALUES (?, ?, ?)", row)
        try:
            con.execute(sql).fetchall()
        except duckdb.ConversionException:
            refused.append(row[0])
    assert sorted(p.read("SELECT CAST(json_extract(source_row, '$.id') AS INTEGER) FROM tarn.quarantined_rows")) == sorted((i,) for i in refused)


def test_a_subquery_in_group_by_is_made_anew(p):
    sql = "SELECT k IN (SELECT k FROM vip) AS v, count(*) AS n FROM bronze GROUP BY k IN (SELECT k FROM vip)"
    p.write("CREATE TABLE vip AS SELECT 'a' AS k")
    p.model("m", sql)
    p.refresh()
    p.write("INSERT INTO vip VALUES ('b')", "INSERT INTO bronze VALUES (4, 'd', '9', NULL)")
    assert how(p)["m"] == ("anew", "it has a subquery")
    same(p, m=sql)


def test_a_model_is_the_same_on_every_machine(p):
    p.model("m", "SELECT id, CAST(CAST(ts AS DATE) AS TIMESTAMP WITH TIME ZONE) AS day, CAST(CAST(ts AS TIMESTAMP WITH TIME ZONE) AS VARCHAR) AS t FROM bronze")
    done = p.transform(environment={"TZ": "Africa/Lusaka"})
    assert done.returncode == support.DONE, done.stderr
    assert p.read("SELECT epoch_ms(day), t FROM m WHERE id = 1") == [(1767225600000, "2026-01-01 00:00:00+00")]


# ---- values and types are DuckDB's


NUMBERS = ("CREATE TABLE numbers AS SELECT * FROM (VALUES (1, 'a', 5, 'abc', '5'), (2, 'a', 1, 'c', '1'), (3, 'b', 0, 'x', '0'), (4, 'b', 13, 'cc', '13'), (5, 'c', 0, 'C', '0'), "
           "(6, 'd', NULL, NULL, NULL)) t(id, k, n, s, num)")
MORE = "INSERT INTO numbers VALUES (7, 'c', 4, 'Abc', '4'), (8, 'e', 7, 'cab', '7'), (9, 'e', 0, 'B', '0'), (10, 'a', 0, 'ABC', '0')"
LESS = "DELETE FROM numbers WHERE id IN (1, 8)"
FOLLOWED = ("incremental", "")


def followed(p, models):
    """[(sql, how it follows changes)]: after each change as plain DuckDB has it, and then made anew."""
    names = {f"m{i}": sql for i, (sql, _) in enumerate(models)}
    p.write(NUMBERS)
    for name, sql in names.items():
        p.model(name, sql)
    p.refresh()
    same(p, **names)
    for change in (MORE, LESS):
        p.write(change)
        found = how(p)
        assert {sql: found[name] for name, sql in names.items()} == dict(models)
        same(p, **names)
    p.refresh("--full")
    same(p, **names)


def test_a_condition_is_of_any_type(p):
    followed(p, [(sql, FOLLOWED) for sql in (
        "SELECT id, n FROM numbers WHERE n",
        "SELECT id, s FROM numbers WHERE strpos(s, 'c')",
        "SELECT id FROM numbers WHERE length(s) AND n & 4",
        "SELECT id FROM numbers WHERE n OR s = 'x'",
        "SELECT id, CAST(num AS INTEGER) AS i FROM numbers WHERE n & 5",
        "SELECT id FROM (SELECT * FROM numbers WHERE id) WHERE n",
        "SELECT id FROM numbers WHERE CAST(num AS INTEGER)",
        "SELECT id FROM numbers WHERE n OR CAST(num AS INTEGER)",
        "SELECT k, count(*) AS c FROM numbers WHERE n GROUP BY k",
        "SELECT k, count(*) AS c FROM numbers GROUP BY k HAVING sum(n)",
        "SELECT k, count(*) AS c FROM numbers GROUP BY k HAVING max(CAST(num AS INTEGER)) OR k = 'd'")])


def test_a_cast_behind_what_decides_is_not_reached(p):
    """A number that is not 0 decides as true does, and 0 as false."""
    p.write("CREATE TABLE texts AS SELECT * FROM (VALUES (1, 5, 'x'), (2, 0, '0'), (3, 0, '7'), (4, 0, 'y')) t(id, n, s)")
    p.model("either", "SELECT id FROM texts WHERE n OR CAST(s AS INTEGER)")
    p.model("neither", "SELECT id FROM texts WHERE NOT id OR (n AND CAST(s AS INTEGER))")
    p.refresh()
    assert p.read("SELECT id FROM either ORDER BY id") == [(1,), (3,)]
    assert p.read("SELECT id FROM neither") == []
    assert sorted(p.read("SELECT model, \"text\" FROM tarn.quarantined_rows")) == [("either", "y"), ("neither", "x")]


def test_what_another_version_of_tarn_made_is_made_anew(p):
    p.model("m", "SELECT id FROM bronze")
    p.refresh()
    assert how(p)["m"] == ("nothing", "")
    p.write("UPDATE tarn.models SET hash = hash[:64]", "DELETE FROM m WHERE id = 1")
    done = support.tarn("verify", str(p.manifest), folder=p.folder)
    assert "stale: Tarn changed how it makes models since it was made" in done.stdout
    assert how(p)["m"] == ("anew", "Tarn changed how it makes models")
    same(p, m="SELECT id FROM bronze")


def test_a_group_s_values_have_their_own_types(p):
    """A lake keeps a sum as DECIMAL(38,0): what is computed of it has a HUGEINT, as in DuckDB."""
    followed(p, [(sql, FOLLOWED) for sql in (
        "SELECT k, sum(n) // 2 AS h, sum(n) & 1 AS odd, format('{}', sum(n)) AS t, hex(sum(n)) AS x, bit_count(sum(n)) AS b, typeof(sum(n)) AS type FROM numbers GROUP BY k",
        "SELECT k, sum(n) AS s, sum(n) << 1 AS twice, gcd(sum(n), 4) AS g, xor(sum(n), 1) AS x FROM numbers GROUP BY k",
        "SELECT k, sum(n) // 2 AS h FROM numbers GROUP BY k HAVING sum(n) & 5",
        "SELECT h // 2 AS half, count(*) AS c FROM (SELECT CAST(n AS HUGEINT) AS h FROM numbers) GROUP BY h",
        "SELECT pair[1] // 2 AS half, count(*) AS c FROM (SELECT [CAST(n AS HUGEINT)] AS pair FROM numbers) GROUP BY pair",
        "SELECT k, max(CAST(n AS HUGEINT)) // 2 AS half, min(CAST(n AS UHUGEINT)) & 5 AS b FROM numbers GROUP BY k HAVING sum(n) // 2 <> 3")])
    assert "HUGEINT" not in str(p.read("SELECT table_name, data_type FROM duckdb_columns() WHERE database_name = 'lake'"))


def test_a_column_by_its_number_is_made_anew(p):
    followed(p, [("SELECT id, k FROM numbers ORDER BY #2", FOLLOWED)] + [(sql, ("anew", "it names a column by its number")) for sql in (
        "SELECT k, sum(#3) AS s FROM numbers GROUP BY k",
        "SELECT #2 AS k, count(*) AS c FROM numbers GROUP BY #2",
        "SELECT id, #3 + 1 AS more FROM numbers",
        "SELECT id FROM numbers WHERE #3 > 1",
        "SELECT k, count(*) AS c FROM (SELECT #2 AS k FROM numbers) GROUP BY k")])


def test_a_number_that_is_too_large_is_infinite(p):
    followed(p, [(sql, FOLLOWED) for sql in (
        "SELECT id, 1e999 AS top, -1e999 AS bottom FROM numbers WHERE n < 1e999",
        "SELECT k, coalesce(max(CAST(num AS DOUBLE)), -1e999) AS top FROM numbers GROUP BY k HAVING count(*) <= 1e999")])


def test_types_that_a_lake_has_not_within_groups(p):
    letters = "CAST(k AS ENUM('a', 'b', 'c', 'd', 'e'))"
    followed(p, [
        (f"SELECT k, CAST(max({letters}) AS VARCHAR) AS top FROM numbers GROUP BY k", ("anew", "a lake keeps no values of type ENUM('a', 'b', 'c', 'd', 'e')")),
        (f"SELECT CAST({letters} AS VARCHAR) AS key, count(*) AS c FROM numbers GROUP BY {letters}", ("anew", "a lake keeps no values of type ENUM('a', 'b', 'c', 'd', 'e')")),
        ("SELECT k, CAST(bit_or(CAST(n AS BIT)) AS VARCHAR) AS b FROM numbers GROUP BY k", ("anew", "a lake keeps no values of type BIT")),
        ("SELECT k, CAST(max(CAST([n, id] AS INTEGER[2])) AS VARCHAR) AS a FROM numbers GROUP BY k", ("anew", "a lake keeps no values of type INTEGER[2]")),
        ("SELECT k, CAST(min(upper(s) COLLATE NOCASE) = 'c' AS INTEGER) AS c FROM numbers GROUP BY k", ("anew", "a lake keeps no collations")),
        ("SELECT lower(s COLLATE NOCASE) AS l, count(*) AS c FROM numbers GROUP BY s COLLATE NOCASE", ("anew", "a lake keeps no collations")),
        ("SELECT lower(c) AS l, sum(n) AS n FROM (SELECT s COLLATE NOCASE AS c, n FROM numbers) GROUP BY c", ("anew", "a lake keeps no collations")),
        ("SELECT k, s COLLATE NOCASE AS s FROM numbers", ("anew", "a lake keeps no collations")),
        ("SELECT k, count(*) AS c FROM numbers WHERE s COLLATE NOCASE = 'C' GROUP BY k", FOLLOWED)])


# ---- views and macros of the lake


@pytest.mark.timeout(300)
def test_what_a_view_of_the_lake_reads_is_read(p):
    """It is made anew when that changes, or the view is another; and else nothing is made."""
    p.write("CREATE TABLE dim AS SELECT 1 AS id, 10 AS x", "CREATE SCHEMA raw", "CREATE TABLE raw.more AS SELECT 2 AS id, 20 AS x",
            "CREATE VIEW raw.below AS SELECT * FROM raw.more", "CREATE VIEW v AS SELECT * FROM dim UNION ALL SELECT * FROM lake.raw.below")
    sql = "SELECT id, x FROM v WHERE x > 0"
    p.model("m", sql)
    p.model("j", joined := "SELECT b.id, v.x FROM bronze b JOIN v USING (id)")
    p.model("mv", "SELECT * FROM v", options="materialized: view")
    p.model("of_mv", of_view := "SELECT id FROM mv")
    p.refresh()
    snapshots = p.snapshots()
    assert {m: h for m, (h, _) in how(p).items()} == dict.fromkeys(("m", "j", "mv", "of_mv"), "nothing") and p.snapshots() == snapshots
    for change in ("INSERT INTO dim VALUES (3, 30)", "DELETE FROM raw.more"):
        p.write(change)
        assert how(p)["m"] == ("anew", "it reads the view v of the lake"), change
        same(p, m=sql, j=joined, of_mv=of_view)
    p.write("CREATE OR REPLACE VIEW raw.below AS SELECT 1 AS id, 5 AS x FROM dim")
    assert how(p)["m"] == ("anew", "what it reads has other columns, or is made otherwise")
    same(p, m=sql, j=joined, of_mv=of_view)
    p.write("INSERT INTO bronze VALUES (1, 'z', '7', NULL)")
    assert {m: h for m, (h, _) in how(p).items()} == {"m": "nothing", "j": "anew", "mv": "nothing", "of_mv": "nothing"}
    same(p, m=sql, j=joined, of_mv=of_view)


def test_a_view_of_what_the_models_make(p):
    p.model("a", "SELECT id, k FROM bronze")
    p.refresh()
    p.write("CREATE VIEW v AS SELECT id FROM a")
    p.model("b", sql := "SELECT id FROM v", layer="gold")
    p.model("before", sql, layer="bronze")
    follow(p, "INSERT INTO bronze VALUES (9, 'z', '7', NULL)", b=sql)
    p.refresh()
    same(p, before=sql)
    snapshots = p.snapshots()
    assert {m: h for m, (h, _) in how(p).items()} == dict.fromkeys(("a", "b", "before"), "nothing") and p.snapshots() == snapshots


@pytest.mark.timeout(300)
def test_what_a_macro_of_the_lake_reads_is_read(p):
    p.write("CREATE TABLE dim AS SELECT 1 AS id, 10 AS x", "CREATE MACRO most(a) AS (SELECT max(x) FROM dim WHERE dim.id = a)",
            "CREATE MACRO twice(a) AS 2 * most(a)", "CREATE MACRO all_of() AS TABLE SELECT * FROM dim")
    sql, of_table = "SELECT id, twice(id) AS x FROM bronze", "SELECT * FROM all_of()"
    p.model("m", sql)
    p.model("t", of_table)
    p.refresh()
    snapshots = p.snapshots()
    assert {m: h for m, (h, _) in how(p).items()} == {"m": "nothing", "t": "nothing"} and p.snapshots() == snapshots
    for change in ("INSERT INTO dim VALUES (1, 11), (2, 20)", "DELETE FROM dim WHERE x = 11"):
        p.write(change)
        assert {m: h for m, (h, _) in how(p).items()} == {"m": "anew", "t": "anew"}, change
        same(p, m=sql, t=of_table)
    p.write("DELETE FROM bronze WHERE id = 1")
    assert how(p) == {"m": ("anew", "it calls the macro twice of the lake"), "t": ("nothing", "")}
    same(p, m=sql, t=of_table)
    p.write("CREATE OR REPLACE MACRO most(a) AS (SELECT min(x) + 1 FROM dim WHERE dim.id = a)")
    assert how(p) == {"m": ("anew", "what it reads has other columns, or is made otherwise"), "t": ("nothing", "")}
    same(p, m=sql, t=of_table)


def test_a_macro_on_backend_file(session_folder):
    p = Pipeline(session_folder, "file")
    p.write(BRONZE, "CREATE TABLE dim AS SELECT 1 AS id, 10 AS x", "CREATE MACRO most(a) AS (SELECT max(x) FROM dim WHERE dim.id = a)")
    p.model("m", sql := "SELECT id, most(id) AS x FROM bronze")
    follow(p, "INSERT INTO dim VALUES (1, 11)", "CREATE OR REPLACE MACRO most(a) AS (SELECT -max(x) FROM dim WHERE dim.id = a)", m=sql)
    assert how(p)["m"] == ("nothing", "")


# ---- scores


def scored(folder, **trained):
    training = "SELECT * REPLACE (ascii(right(who, 1)) % 2 AS big) FROM gold_people"
    lake = LayeredLake("sqlite", folder, trained={**TRAINED, "training": training, **trained})
    lake.take(400)
    lake.transform()
    done = support.tarn("model", "train", "tarn.yaml", folder=lake.folder)
    assert done.returncode == support.DONE, done.stderr
    return lake


def change(lake, **spec):
    """Of the pipeline."""
    documents = list(support.yaml.safe_load_all((lake.folder / "tarn.yaml").read_text()))
    documents[-1]["spec"].update(spec)
    (lake.folder / "tarn.yaml").write_text(support.yaml.safe_dump_all(documents))


def test_scores_are_expected_as_the_refresh_makes_them(folder):
    """Not as the one before did: what would break it is not published."""
    lake = scored(folder)
    lake.transform()
    rows = len(lake.read("FROM lake.gold_big_scores"))
    change(lake, expectations=[{"check": "sql", "name": "few", "severity": "error", "sql": f"SELECT count(*) AS n FROM gold_big_scores HAVING n > {rows}"}])
    lake.transform()
    lake.write_model("gold/gold_people", (lake.folder / "models/gold/gold_people.sql").read_text().replace("GROUP BY who", "GROUP BY ALL").replace(
        "SELECT who,", "SELECT who || id % 2 AS who,"))
    done = support.tarn("transform", "tarn.yaml", folder=lake.folder)
    assert done.returncode == support.INPUT and "held back" in done.stderr, done.stderr
    assert len(lake.read("FROM lake.gold_big_scores")) == rows


def test_scores_follow_what_is_no_model(folder, processes):
    lake = scored(folder, scoring="SELECT * FROM people_now")
    lake.write_sql("CREATE TABLE lake.people_now AS FROM lake.gold_people")
    change(lake, refresh={"on": "commit"})
    process = support.Process(["run", "tarn.yaml"], lake.folder, None, lake.environment)
    processes.append(process)

    def scores():
        return lake.read("SELECT count(*) FROM duckdb_tables() WHERE table_name = 'gold_big_scores'") == [(1,)] and len(lake.read("FROM lake.gold_big_scores"))

    before = support.eventually("there are scores", scores, 60)
    lake.write_sql("INSERT INTO lake.people_now SELECT * REPLACE ('x' || who AS who) FROM lake.gold_people")
    support.eventually("there are more", lambda: scores() == 2 * before, 60)
    process.drain()
