"""`tarn lineage`: text, JSON, a picture that an XML parser takes, and the columns; with and without a lake."""

import json
import os
import re
import stat
import xml.etree.ElementTree as ElementTree

import pytest
import support
from layered import MODELS, TRAINED, LayeredLake

SVG = "{http://www.w3.org/2000/svg}"
BACKENDS = ["sqlite", "duckdb", "file"]


@pytest.fixture
def files(folder):
    """Only the files: nothing has run yet."""
    return LayeredLake("sqlite", folder, trained=TRAINED)


def by_name(answer):
    return {(n["kind"], n["name"]): n for n in answer["nodes"]}


def edges(answer):
    names = {n["id"]: n["name"] for n in answer["nodes"]}
    return {(names[e["from"]], e["kind"], names[e["to"]]) for e in answer["edges"]}


def test_text_without_a_lake(files):
    done = support.tarn("lineage", "tarn.yaml", folder=files.folder, environment={"LC_ALL": "C"})
    assert done.stdout.splitlines() == [
        "events: files in/*.json",
        "`- bronze_events: table",
        "   `- silver_events: silver, incremental",
        "      |- gold_kinds: gold, made anew",
        "      `- gold_people: gold, incremental",
        "         |- gold_big: gold, view",
        "         |- big: model, label big",
        "         |  `- gold_big_scores: scores, of big; also reads gold_people",
        "         `- gold_big_scores, as above"]
    assert "there is no lake at" in done.stderr
    lines = support.tarn("lineage", "tarn.yaml", folder=files.folder, environment={"LC_ALL": "C.UTF-8"}).stdout.splitlines()
    assert lines[1] == "└─ bronze_events: table"
    assert not list(files.folder.glob("catalog*")) and not (files.folder / "data").exists()


def test_json_without_a_lake(files):
    answer = files.json("lineage")
    nodes = by_name(answer)
    assert {kind for kind, _ in nodes} == {"stream", "table", "model", "trained_model", "scores"}
    assert edges(answer) == {
        ("events", "writes", "bronze_events"), ("bronze_events", "reads", "silver_events"), ("silver_events", "reads", "gold_people"),
        ("silver_events", "reads", "gold_kinds"), ("gold_people", "reads", "gold_big"), ("gold_people", "trains", "big"),
        ("big", "predicts", "gold_big_scores"), ("gold_people", "is_scored", "gold_big_scores")}
    silver, kinds = nodes["model", "silver_events"], nodes["model", "gold_kinds"]
    assert (silver["layer"], silver["materialized"], silver["incremental"], silver["why_not"]) == ("silver", "incremental", True, None)
    assert silver["description"] == "One row an event, typed." and silver["file"].endswith("models/silver/silver_events.sql")
    assert (kinds["incremental"], kinds["why_not"]) == (False, "materialized: table")
    assert (silver["there"], silver["rows"], silver["last_how"], silver["refreshed_at"]) == (False, None, None, None)
    assert nodes["stream", "events"]["files"].endswith("/in/*.json") and nodes["trained_model", "big"]["label"] == "big"
    assert len({n["id"] for n in answer["nodes"]}) == len(answer["nodes"])


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_lake_adds_rows_and_the_last_refresh(folder, backend):
    lake = LayeredLake(backend, folder)
    lake.take()
    report = lake.transform()
    answer = lake.json("lineage")
    nodes = by_name(answer)
    for model in report["models"]:
        node = nodes["model", model["model"]]
        assert node["there"] and node["rows"] == (None if model["how"] == "view" else model["rows_out"])
        assert (node["last_how"], node["last_why"]) == (model["how"], model["why"] or None)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", node["refreshed_at"])
    assert nodes["table", "bronze_events"]["rows"] == 200
    for node in lake.json("lineage", "--columns")["nodes"]:
        if "columns" in node:
            there = [row[0] for row in lake.read(f"SELECT column_name FROM (DESCRIBE lake.main.{node['name']})")]
            assert [c["name"] for c in node["columns"]] == there
    assert nodes["model", "silver_events"]["incremental"] == (backend != "file")
    assert ("bronze_events: table, 200 rows" in lake.ask("lineage").stdout) and "lineage_without_lake" not in lake.ask("lineage").stderr


def columns_of(answer, name):
    node = next(n for n in answer["nodes"] if n["name"] == name and "columns" in n)
    sources = lambda items: sorted(f"{s['table']}.{s['column']}" + (f"->{s['part']}" if s["part"] else "") for s in items)  # noqa: E731
    return {c["name"]: (sources(c["made_of"]), sources(c["filters_by"]), sources(c["comes_from"])) for c in node["columns"]}, node


def test_columns(files):
    answer = files.json("lineage", "--columns")
    silver, node = columns_of(answer, "silver_events")
    assert silver == {
        "id": (["bronze_events.id"], [], ["bronze_events.id"]),
        "who": (["bronze_events.who"], [], ["bronze_events.who"]),
        "kind": (["bronze_events.kind"], [], ["bronze_events.kind"]),
        "amount": (["bronze_events.amount"], [], ["bronze_events.amount"]),
        "ratio": (["bronze_events.raw->ratio"], ["bronze_events.kind"], ["bronze_events.kind", "bronze_events.raw->ratio"])}
    assert sorted(s["column"] for s in node["rows_filter_by"]) == ["quality", "who"]
    gold, node = columns_of(answer, "gold_people")
    assert gold["events"] == ([], [], [])
    assert gold["bought"] == ([], ["silver_events.kind"], ["bronze_events.kind"])
    assert gold["ratio"] == (["silver_events.ratio"], [], ["bronze_events.kind", "bronze_events.raw->ratio"])
    assert gold["big"] == ([], ["silver_events.amount"], ["bronze_events.amount"])
    view, _ = columns_of(answer, "gold_big")
    assert view["most"] == (["gold_people.most"], [], ["bronze_events.amount"])
    conditions = {s["column"]: s["conditions"] for c in node["columns"] if c["name"] == "ratio" for s in c["comes_from"]}
    assert conditions == {"kind": 1, "raw": 0}
    assert all(c["unknown"] is None for n in answer["nodes"] for c in n.get("columns", []))


def test_the_label_is_made_of_what_a_feature_is_made_of(files):
    _, node = columns_of(files.json("lineage", "--columns"), "big")
    assert [(leak["feature"], leak["table"], leak["column"]) for leak in node["leaks"]] == [("most", "silver_events", "amount")]
    text = files.ask("lineage", "--columns").stdout
    assert "its label big is made of the same columns as these features" in text and "  most: silver_events.amount" in text


def test_no_leak_where_the_label_is_of_other_columns(folder):
    label = "SELECT who, count(*) AS events, max(amount) AS most, CASE WHEN max(later) > 3 THEN 1 ELSE 0 END AS big FROM bronze_events GROUP BY who"
    lake = LayeredLake("sqlite", folder, models={"gold/gold_people": label}, trained=TRAINED)
    assert columns_of(lake.json("lineage", "--columns"), "big")[1]["leaks"] == []


def test_columns_of_tables_that_nobody_knows(folder):
    lake = LayeredLake("sqlite", folder, columns=None, models={
        "bronze/bronze_all": "SELECT * FROM bronze_events", "silver/silver_one": "SELECT a + b AS c FROM bronze_all WHERE d > 1",
        "silver/silver_two": "SELECT x.a, y FROM bronze_all x JOIN other z USING (k)"})
    answer = lake.json("lineage", "--columns")
    assert columns_of(answer, "bronze_all")[1]["columns_unknown"] == "the columns of bronze_events are not known"
    assert columns_of(answer, "silver_one")[0] == {"c": (["bronze_all.a", "bronze_all.b"], [], ["bronze_events.a", "bronze_events.b"])}
    two, node = columns_of(answer, "silver_two")
    assert two["a"] == (["bronze_all.a"], [], ["bronze_events.a"])
    unknown = {c["name"]: c["unknown"] for c in node["columns"]}
    assert unknown == {"a": None, "y": "y may be a column of x or z, which are not known"}
    assert "? y may be a column of x or z" in lake.ask("lineage", "--columns").stdout
    # The lake knows the columns: the star is all of them.
    lake.take()
    all_of_it, node = columns_of(lake.json("lineage", "--columns"), "bronze_all")
    assert node["columns_unknown"] is None and set(all_of_it) == {"id", "who", "kind", "amount", "ratio", "quality"}


def picture(lake, *arguments):
    text = lake.ask("lineage", "--format", "svg", *arguments).stdout
    return text, ElementTree.fromstring(text)


def boxes(svg):
    found = {}
    for group in svg.findall(f"{SVG}g"):
        rect = group.find(f"{SVG}rect")
        texts = [t.text for t in group.findall(f"{SVG}text")]
        found[texts[0]] = tuple(float(rect.get(k)) for k in ("x", "y", "width", "height")) + (rect.get("class"), texts[1:])
    return found


def test_a_picture(files):
    text, svg = picture(files)
    found = boxes(svg)
    assert set(found) == {"events", "bronze_events", "silver_events", "gold_people", "gold_kinds", "gold_big", "big", "gold_big_scores"}
    order = ["events", "bronze_events", "silver_events", "gold_people", "gold_big", "big", "gold_big_scores"]
    assert all(found[a][0] + found[a][2] < found[b][0] for a, b in zip(order, order[1:]))
    names = list(found)
    for i, a in enumerate(names):
        for b in names[:i]:
            (ax, ay, aw, ah, *_), (bx, by, bw, bh, *_) = found[a], found[b]
            assert ax + aw <= bx or bx + bw <= ax or ay + ah <= by or by + bh <= ay, f"{a} lies on {b}"
    width, height = float(svg.get("width")), float(svg.get("height"))
    assert all(x >= 0 and y >= 0 and x + w <= width and y + h <= height for x, y, w, h, *_ in found.values())
    assert len(svg.findall(f"{SVG}path")) == 8 and found["silver_events"][4:] == ("box silver", ["silver · incremental"])
    assert "prefers-color-scheme:dark" in text
    assert not re.search(r"<script|href|src=|@import|https?://(?!www\.w3\.org/2000/svg)|\bon\w+=", text)


def test_a_picture_with_rows_and_columns(folder):
    lake = LayeredLake("sqlite", folder)
    lake.take()
    lake.transform()
    _, svg = picture(lake, "--columns")
    assert boxes(svg)["bronze_events"][5] == ["table", "200 rows"]
    tooltips = [t.text for t in svg.iter(f"{SVG}title")]
    assert any("\nratio: bronze_events.raw->ratio if bronze_events.kind" in t for t in tooltips)


def test_hostile_names_are_escaped(folder):
    evil = """SELECT 1 AS "</title><script>alert('&')</script>", ']]>' AS "a\nb", chr(1) AS "\x7f\x01é" FROM bronze_events"""
    description = "-- materialized: incremental\n-- description: \"<b> & 'c' ]]> <!-- \"\n"
    lake = LayeredLake("sqlite", folder, models={"silver/silver_evil": description + evil})
    documents = lake.documents()
    documents[1]["spec"]["source"]["files"] = 'in/<x> & "y" \'z\' ]]>*.json'
    lake.manifest.write_text(support.yaml.safe_dump_all(documents))
    text, svg = picture(lake, "--columns")
    assert "<script" not in text
    tooltips = "".join(t.text for t in svg.iter(f"{SVG}title"))
    assert "</title><script>alert('&')</script>" in tooltips and "<b> & 'c' ]]> <!--" in tooltips
    assert any('in/<x> & "y"' in (t.text or "") for t in svg.iter(f"{SVG}text"))
    json.loads(lake.ask("lineage", "--columns", "--format", "json").stdout)
    assert "\x01" not in lake.ask("lineage", "--columns").stdout


def test_many_models(folder, rng):
    models = {}
    for i in range(60):
        layer = ["bronze", "silver", "gold"][i // 20]
        reads = rng.sample([f"m{k}" for k in range(i)], min(i, rng.randrange(4))) or ["bronze_events"]
        joins = " ".join(f"JOIN {r} t{n} USING (id)" for n, r in enumerate(reads[1:]))
        models[f"{layer}/m{i}"] = f"SELECT t.id, {i} AS n{i} FROM {reads[0]} t {joins}"
    lake = LayeredLake("sqlite", folder, models=models)
    _, svg = picture(lake)
    found = boxes(svg)
    assert len(found) == 62
    for i, (a, (ax, ay, aw, ah, *_)) in enumerate(found.items()):
        for b, (bx, by, bw, bh, *_) in list(found.items())[:i]:
            assert ax + aw <= bx or bx + bw <= ax or ay + ah <= by or by + bh <= ay, f"{a} lies on {b}"
    again = lake.ask("lineage", "--format", "svg").stdout
    assert again == lake.ask("lineage", "--format", "svg").stdout, "the same files are the same picture"


def test_to_a_file(files):
    files.ask("lineage", "--format", "svg", "--output", "lineage.svg")
    ElementTree.parse(files.folder / "lineage.svg")
    assert [p.name for p in files.folder.iterdir() if "part" in p.name] == []
    done = files.ask("lineage", "--output", "no/such/folder/x", expect=support.INPUT)
    assert "cannot write no/such/folder/x" in done.stderr


@pytest.mark.parametrize("backend", BACKENDS)
def test_it_needs_no_write_access(folder, backend):
    """Where there are no permissions to take away (root), at least nothing has changed afterwards."""
    lake = LayeredLake(backend, folder)
    lake.take()
    lake.transform()
    paths = [p for p in [lake.folder, *lake.folder.rglob("*")]]
    before = {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in paths if p.is_file() and "-wal" not in p.name and "-shm" not in p.name}
    modes = {p: stat.S_IMODE(p.stat().st_mode) for p in paths}
    for path in paths:
        os.chmod(path, modes[path] & ~0o222)
    try:
        assert lake.json("lineage", "--columns")["nodes"]
    finally:
        for path in paths:
            if path.exists():
                os.chmod(path, modes[path])
    assert {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in before} == before


def test_mistakes(folder):
    lake = LayeredLake("sqlite", folder, models={"silver/silver_bad": "SELECT a\nFROM WHERE"})
    done = lake.ask("lineage", expect=support.INPUT)
    assert "silver_bad.sql:2: syntax error" in done.stderr and done.stdout == ""
    lake = LayeredLake("sqlite", folder, trained={**TRAINED, "training": "SELECT FROM"}, models=MODELS)
    assert "spec.model.training" in lake.ask("lineage", expect=support.INPUT).stderr
    (lake.folder / "tarn.yaml").write_text(support.yaml.safe_dump_all(lake.documents()[:1]))
    assert "declares neither a DuckLakeStream nor a DuckLakePipeline" in lake.ask("lineage", expect=support.INPUT).stderr
