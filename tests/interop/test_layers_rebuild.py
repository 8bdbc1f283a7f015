"""A large table that is made anew: dropped and created, for DuckLake notes each row that a DELETE takes; but not where somebody
arranged it. Readers of older snapshots have it as it was."""

import pytest
import support
from layers import Pipeline

ROWS = 1_000_100
ARRANGED = [None, "ALTER TABLE s SET PARTITIONED BY (k)", "COMMENT ON TABLE s IS 'ours'", "ALTER TABLE s ALTER id SET NOT NULL",
            "CALL lake.set_option('target_file_size', '64MB', table_name => 's')"]


@pytest.mark.parametrize("arranged", ARRANGED if support.LONG else ARRANGED[:2])
def test_a_large_table_made_anew(session_folder, arranged):
    p = Pipeline(session_folder)
    p.write(f"CREATE TABLE bronze AS SELECT range AS id, range % 3 AS k FROM range({ROWS})")
    p.model("s", "SELECT id, k, CAST(id AS VARCHAR) AS t FROM bronze")
    p.model("g", "SELECT k, count(*) AS n FROM s GROUP BY k", layer="gold")
    p.refresh()
    if arranged:
        p.write(arranged)
    table = "SELECT table_id FROM __ducklake_metadata_lake.ducklake_table WHERE table_name = 's' AND end_snapshot IS NULL"
    before, snapshot = p.read(table), p.snapshots() - 1
    done = p.refresh("--full")["s"]
    assert (done["inserted"], done["deleted"]) == (ROWS, ROWS)
    assert (p.read(table) == before) == (arranged is not None)
    assert p.read("SELECT count(*), sum(id) FROM s") == p.read(f"SELECT count(*), sum(id) FROM s AT (VERSION => {snapshot})") == [(ROWS, ROWS * (ROWS - 1) // 2)]
    # The next changes are followed as ever.
    p.write("INSERT INTO bronze VALUES (-1, 0)", "DELETE FROM bronze WHERE id = 7")
    done = p.refresh()
    assert [done[m]["how"] for m in ("s", "g")] == ["incremental", "incremental"]
    assert p.read("SELECT count(*), min(id) FROM s") == [(ROWS, -1)] and p.read("SELECT sum(n) FROM g") == [(ROWS,)]


def test_rows_that_chance_chooses(session_folder):
    """Computed once, whatever their number: a second time others would be chosen."""
    p = Pipeline(session_folder)
    p.write("CREATE TABLE bronze AS SELECT range AS id, CASE WHEN range % 1000 = 0 THEN 'x' ELSE '1' END AS t FROM range(210000)")
    p.model("s", "SELECT id FROM bronze WHERE random() < 0.1", options="materialized: table")
    p.model("c", "SELECT id, CAST(t AS INTEGER) AS n FROM bronze WHERE random() < 0.5", options="materialized: table")
    done = p.refresh()
    for model in ("s", "c"):
        assert done[model]["rows_in"] == 210000 == done[model]["rows_out"] + done[model]["filtered"] + done[model]["quarantined"]
        assert p.read(f"SELECT count(*) FROM {model}") == [(done[model]["rows_out"],)]
    assert p.read("SELECT count(*) FROM tarn.quarantined_rows") == [(done["c"]["quarantined"],)]
    p.model("g", "SELECT id, count(*) AS n FROM bronze GROUP BY id HAVING random() < 0.5", options="materialized: table")
    assert "silver/g.sql: which rows it keeps changes each time that it is computed" in p.refused()
