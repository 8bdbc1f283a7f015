"""What others do to a lake between refreshes: DuckLake's change feed is not right after all of it, and each model must be what
its SELECT gives all the same."""

import pytest
import support
from layers import Pipeline

MODELS = {"s": "SELECT id, num FROM bronze WHERE id > 1", "g": "SELECT id % 3 AS k, count(*) AS n, max(id) AS most FROM bronze GROUP BY id % 3"}
INLINED = 1000


@pytest.fixture
def p(session_folder):
    p = Pipeline(session_folder)
    p.write("CREATE TABLE bronze AS SELECT range AS id, CAST(range AS VARCHAR) AS num FROM range(20)")
    return p


def inlining(p, *statements):
    """By a client with DuckLake's own default: few rows lie in the catalog."""
    with p.connection() as con:
        con.execute("CALL lake.set_option('data_inlining_row_limit', ?)", [INLINED])
        for statement in statements:
            con.execute(statement)
        con.execute("CALL lake.set_option('data_inlining_row_limit', 0)")


def models(p, **more):
    for name, sql in (MODELS | more).items():
        p.model(name, sql)
    p.refresh()


def same(p, report, **how):
    """Each model is what its SELECT gives; and how it was made, with what words of why."""
    for name, model in report.items():
        sql = (p.models / "silver" / f"{name}.sql").read_text()
        assert p.read(f"SELECT * FROM {name} ORDER BY ALL") == p.read(f"SELECT * FROM ({sql}) ORDER BY ALL"), (name, model)
    for name, (made, why) in how.items():
        assert report[name]["how"] == made and why in (report[name].get("why") or ""), report[name]


def snapshot(p):
    return p.read("SELECT max(snapshot_id) FROM lake.snapshots()")[0][0]


# ---- Tarn's own tables in files

@pytest.mark.parametrize("upkeep", ["CHECKPOINT lake", "CALL ducklake_flush_inlined_data('lake')"])
def test_tarn_s_own_rows_are_flushed(p, upkeep):
    p.model("s", MODELS["s"], options="materialized: incremental\ntests:\n  - {check: not_null, columns: [num], severity: warn}")
    p.model("bad", "SELECT CAST(num AS INTEGER) AS n FROM bronze")
    # Rows that an UPDATE has ended are flushed, too.
    for i in range(3):
        p.write(f"INSERT INTO bronze VALUES ({100 + i}, {'NULL' if i == 1 else repr('x')})", *[upkeep] * (i == 2))
        done = p.refresh()
        assert [done[m]["how"] for m in ("s", "bad")] == ["incremental" if i else "anew"] * 2
    p.refresh("--full")
    p.write(upkeep)
    discarded = support.tarn("quarantine", "discard", str(p.manifest), "--model", "bad", "--because", "so", folder=p.folder)
    assert discarded.returncode == support.DONE, discarded.stderr
    p.write(upkeep, "INSERT INTO bronze VALUES (200, '7')")
    p.refresh()
    assert p.read("SELECT discarded FROM tarn.models WHERE model = 'bad'") == [(2,)]
    assert p.read("SELECT count(*) FROM tarn.pipelines") == [(1,)]


def test_a_discard_knows_its_snapshot(p):
    p.model("bad", "SELECT CAST(num AS INTEGER) AS n FROM bronze")
    p.write("INSERT INTO bronze VALUES (100, 'x')")
    p.refresh()
    before = snapshot(p)
    assert support.tarn("quarantine", "discard", str(p.manifest), "--model", "bad", "--because", "so", folder=p.folder).returncode == support.DONE
    assert p.read("SELECT turn, snapshot FROM tarn.pipelines") == [(2, before)]


# ---- the feed

def test_tables_that_change_their_names(p):
    p.write("CREATE TABLE bronze_new AS SELECT range + 50 AS id, 'n' AS num FROM range(3)")
    models(p)
    p.write("ALTER TABLE bronze RENAME TO bronze_old", "ALTER TABLE bronze_new RENAME TO bronze")
    same(p, p.refresh(), s=("anew", "it was another table then"), g=("anew", "it was another table then"))
    p.write("INSERT INTO bronze VALUES (99, 'n')")
    same(p, p.refresh(), s=("incremental", ""), g=("incremental", ""))


def test_a_snapshot_in_between_expires(p):
    models(p)
    p.write("DELETE FROM bronze WHERE id = 5")
    deleted = snapshot(p)
    p.write("INSERT INTO bronze VALUES (100, 'a')", "INSERT INTO bronze VALUES (101, 'b')",
            f"CALL ducklake_expire_snapshots('lake', versions => [{deleted}])")
    same(p, p.refresh(), s=("anew", "snapshots since then have expired"), g=("anew", "expired"))


@pytest.mark.parametrize("upkeep, why", [
    ("CALL ducklake_rewrite_data_files('lake', 'bronze', delete_threshold => 0)", "its files were rewritten without rows that were deleted"),
    ("CALL ducklake_flush_inlined_data('lake', table_name => 'bronze')", "deleted rows of it were flushed")])
def test_deleted_rows_that_the_feed_names_twice(p, upkeep, why):
    models(p)
    # An inlined row of bronze's own: then the flush names both, and the feed is not always right after that.
    inlining(p, "INSERT INTO bronze VALUES (30, 'i')", "DELETE FROM bronze WHERE id = 15")
    same(p, p.refresh(), s=("incremental", ""), g=("incremental", ""))
    p.write(upkeep)
    same(p, p.refresh(), s=("anew", why), g=("anew", why))
    p.write("DELETE FROM bronze WHERE id = 16", "INSERT INTO bronze VALUES (100, 'a')")
    same(p, p.refresh(), s=("incremental", ""), g=("incremental", ""))


def test_rows_that_are_not_as_many_as_the_feed_says(p):
    """Whatever it is that the feed does not say: here nobody is told of a file that came."""
    models(p)
    p.write("INSERT INTO bronze SELECT range + 30, 'a' FROM range(5)")
    lost = snapshot(p)
    p.write("INSERT INTO bronze VALUES (100, 'b')")
    with p.connection() as con:
        con.execute("UPDATE __ducklake_metadata_lake.ducklake_data_file SET begin_snapshot = 1 WHERE begin_snapshot = ?", [lost])
    same(p, p.refresh(), s=("anew", "of 20 rows 0 less and 1 more, and it has 26"), g=("anew", "change feed"))


@pytest.mark.parametrize("seed", range(8 if support.LONG else 2))
def test_any_upkeep_in_any_order(p, rng, seed):
    models(p)
    known = 100
    for _ in range(12 if support.LONG else 5):
        for _ in range(rng.randint(1, 3)):
            known += 5
            chosen = rng.choice([
                f"INSERT INTO bronze SELECT range + {known}, 'a' FROM range({rng.randint(1, 5)})",
                f"DELETE FROM bronze WHERE id % 17 = {rng.randint(0, 16)}", f"UPDATE bronze SET num = 'u' WHERE id % 17 = {rng.randint(0, 16)}",
                "CALL ducklake_flush_inlined_data('lake')", "CALL ducklake_merge_adjacent_files('lake')",
                "CALL ducklake_rewrite_data_files('lake', 'bronze', delete_threshold => 0)", "CHECKPOINT lake"])
            inlining(p, chosen) if rng.random() < 0.6 else p.write(chosen)
        same(p, p.refresh())


# ---- rows that came and went

def test_a_row_that_is_refused_and_goes_again(p):
    p.model("s", "SELECT CAST(num AS INTEGER) AS n FROM bronze", options="materialized: incremental\nquarantine: fail")
    p.model("t", "SELECT strptime(lpad(num, 2, '0'), '%S') AS at FROM bronze")
    p.model("g", "SELECT n % 2 AS k, count(*) AS c FROM s GROUP BY n % 2")
    p.refresh()
    p.write("INSERT INTO bronze VALUES (100, 'x')")
    assert "quarantine: fail" in p.refused()
    p.write("DELETE FROM bronze WHERE id = 100", "INSERT INTO bronze VALUES (101, '33')")
    came = "a row that came and went fails in it"
    same(p, p.refresh(), s=("anew", came), t=("anew", came), g=("anew", "s, which it reads, was made anew"))
    p.write("INSERT INTO bronze VALUES (102, '34')")
    same(p, p.refresh(), s=("incremental", ""), t=("incremental", ""), g=("incremental", ""))
    # One that stays is told, also where others went.
    p.write("INSERT INTO bronze VALUES (103, 'y')", "DELETE FROM bronze WHERE id = 101")
    assert "quarantine: fail" in p.refused() and "'y'" in p.refused()


def test_counts_that_do_not_add_up(p):
    """Something that was not followed: what is gone is not what came."""
    p.write("CREATE TABLE dim AS SELECT 7 AS x", "CREATE MACRO lake.main.f(a) AS (SELECT a * max(x) FROM lake.main.dim)")
    p.model("s", "SELECT id, f(id) AS y FROM bronze")
    p.refresh()
    p.write("UPDATE dim SET x = 8", "DELETE FROM bronze WHERE id = 3")
    done = p.refresh()
    assert done["s"]["how"] == "anew"
    same(p, done)


# ---- names

def test_columns_that_are_called_as_aliases(session_folder):
    p = Pipeline(session_folder, backend="file")
    p.write("CREATE TABLE bronze AS SELECT 1 AS id, 2 AS t, 'a' AS v, 5 AS e")
    p.model("s", "SELECT id, t, v, e FROM bronze", options="tests:\n  - {check: accepted_values, columns: [v], values: [a], severity: warn}")
    p.refresh()
    p.write("UPDATE bronze SET v = 'changed'")
    assert p.refresh()["s"]["how"] == "anew"
    assert p.read("SELECT * FROM s") == [(1, 2, "changed", 5)]
    assert p.read("SELECT example FROM tarn.expectations") == [('[{"v":"changed","id":1,"t":2,"e":5}]',)]
