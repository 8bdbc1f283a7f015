"""The page at /, in a real browser: signing in, what it shows against what DuckDB from PyPI reads, SQL, charts, snapshots, questions,
the rights of tokens, and that nothing from a table ever becomes markup."""

import hashlib
import json
import time
import urllib.error
import urllib.request
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
import support
from browser import WebDriverError
from conftest import EVIL, EVIL_COLUMN, problems, sign_in

SOURCES = support.ROOT / "src" / "serve" / "console"
SHOTS = support.ROOT / "build" / "web-shots"
SLOW = "SELECT count(*) FROM silver_events a, silver_events b, silver_events c, silver_events d WHERE a.ratio + b.ratio + c.ratio + d.ratio < -1"
TABLES = ["bronze_events", "silver_events", "gold_people", "gold_evil"]


def get(served, path, token=None, **headers):
    if token:
        headers["Authorization"] = f"Bearer {served.tokens[token]}"
    request = urllib.request.Request(served.url.rstrip("/") + path, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, response.headers, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read()


def run_sql(page, sql):
    if not page.shown("#sql"):
        page.click("[data-view=query]")
    page.type("#sql", sql)
    page.press("Control", "Enter")
    page.wait(lambda: page.run("return !document.getElementById('run').disabled"))


def cells(page, box="#sql-answer"):
    return page.run("return [...document.querySelectorAll(arguments[0] + ' tbody tr')].map(r => [...r.children].map(c => c.textContent))", box)


def heads(page, box="#sql-answer"):
    return page.run("return [...document.querySelectorAll(arguments[0] + ' thead th button')].map(b => b.firstChild.textContent)", box)


# ---- the page's own bytes


def test_the_page_is_what_the_sources_are(served):
    status, headers, body = get(served, "/")
    assert status == 200 and headers["Content-Type"].startswith("text/html") and headers["Cache-Control"] == "no-cache"
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy and "require-trusted-types-for 'script'" in policy
    assert (headers["X-Content-Type-Options"], headers["Referrer-Policy"]) == ("nosniff", "no-referrer")
    page = body.decode()
    for kind, source in (("css", (SOURCES / "console.css").read_text()),
                         ("js", "'use strict';\n(() => {\n" + "".join(f.read_text() + "\n" for f in sorted(SOURCES.glob("*.js"))) + "})();\n")):
        name = hashlib.sha256(source.encode()).hexdigest()[:16]
        assert f"/console/{name}.{kind}" in page, f"{kind} of the page is not of the sources: build first"
        status, headers, body = get(served, f"/console/{name}.{kind}")
        assert status == 200 and body.decode() == source and "immutable" in headers["Cache-Control"] and headers["X-Content-Type-Options"] == "nosniff"
        again = get(served, f"/console/{name}.{kind}", **{"If-None-Match": headers["ETag"]})
        assert again[0] == 304 and again[1]["ETag"] == headers["ETag"]
    assert get(served, "/console/0000000000000000.js")[0] == 404


def test_no_source_makes_markup_of_a_text():
    for source in SOURCES.glob("*.js"):
        for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "DOMParser", "localStorage", "document.cookie"):
            assert word not in source.read_text(), f"{source.name}: {word}"


@pytest.mark.parametrize("path", ["me", "overview", "pool", "lineage.svg"])
def test_everything_but_the_page_needs_a_token(served, path):
    status, headers, body = get(served, f"/console/{path}")
    assert status == 401 and headers["Content-Type"] == "application/problem+json" and json.loads(body)["status"] == 401
    assert get(served, f"/console/{path}", Authorization="Bearer " + "x" * 43)[0] == 401
    assert get(served, f"/console/{path}", "whole")[0] == 200


# ---- signing in


def test_sign_in_wrong_then_right_then_out(page, served):
    page.type("#token", "wrong")
    page.press("Enter")
    page.wait_text("#token-error", "not one that is known")
    assert not page.shown("#console")
    page.type("#token", "käse")
    page.press("Enter")
    page.wait_text("#token-error", "cannot be a token")
    sign_in(page, served)
    assert page.text("#whose") == "whole" and not page.shown("#sign-in")
    assert page.run("return [sessionStorage.getItem('tarn.token'), localStorage.length, document.cookie]") == [served.tokens["whole"], 0, ""]
    page.open(served.url)
    page.wait_for("#stats dd")
    run_sql(page, "SELECT 1 AS one")
    page.click("#sign-out")
    page.wait_for("#sign-in")
    assert page.run("return [sessionStorage.length, document.getElementById('sql').value, document.querySelectorAll('#sql-answer td').length]") == [0, "", 0]
    assert problems(page.log()) == []


def test_the_fragment_signs_in_and_is_gone(page, served):
    page.open("about:blank")
    page.open(f"{served.url}#token={served.tokens['whole']}")
    page.wait_for("#stats dd")
    assert page.url() == served.url
    assert served.tokens["whole"] not in page.run("return document.documentElement.outerHTML + JSON.stringify(performance.getEntriesByType('resource')) + JSON.stringify(history.state)")
    assert problems(page.log()) == []


# ---- the overview


def test_the_overview_is_what_duckdb_reads(page, served):
    sign_in(page, served)
    page.wait_for("#tables [data-key=bronze_events]")
    for table in TABLES:
        rows = served.read(f"SELECT count(*) FROM lake.{table}")[0][0]
        shown = page.run("return document.querySelector(`#tables [data-key=${arguments[0]}]`).closest('tr').children[1].textContent", table)
        assert shown == f"{rows:,}", table
        page.click(f"#tables [data-key={table}]")
        columns = served.read(f"SELECT column_name, data_type FROM (DESCRIBE lake.{table})".replace("column_name, data_type", "column_name, column_type"))
        assert page.run("return [...document.querySelectorAll('#tables .fields li')].map(li => [li.children[0].textContent, li.children[1].textContent])") == [list(c) for c in columns]
        page.click(f"#tables [data-key={table}]")
    newest = served.read("SELECT max(snapshot_id) FROM lake.snapshots()")[0][0]
    assert page.text("[data-stat=Snapshot]") == f"{newest:,}"
    layers = page.run("return [...document.querySelectorAll('#tables tr.layer th')].map(th => th.textContent)")
    assert layers == ["Bronze", "Silver", "Gold"]
    held = served.read("SELECT (SELECT count(*) FROM lake.tarn.quarantine) + (SELECT count(*) FROM lake.tarn.quarantined_rows WHERE discarded_at IS NULL)")[0][0]
    assert held > 0 and page.text("[data-stat=Quarantine]") == f"{held:,}"
    models = dict(served.read("SELECT model, rows_out FROM lake.tarn.models"))
    shown = page.run("return [...document.querySelectorAll('#models tbody tr')].map(r => [r.children[0].textContent, r.children[2].textContent])")
    assert {name: rows for name, rows in shown} == {name: f"{rows:,}" for name, rows in models.items()}
    offsets = served.read("SELECT sum(next_offset) FROM (SELECT max(next_offset) AS next_offset FROM lake.tarn.ledger GROUP BY stream, topic, \"partition\")")[0][0]
    assert page.run("return [...document.querySelectorAll('#lanes tbody tr')].map(r => r.children[1].textContent)") == [f"{offsets:,}"]
    assert page.shown("#pool .workers span") and "readers" in page.text("#pool-note")
    assert problems(page.log()) == []


def test_what_changes_is_shown_without_asking(page, served):
    sign_in(page, served)
    before = page.text("[data-stat=Snapshot]")
    served.lake.take(20)
    rows = served.read("SELECT count(*) FROM lake.bronze_events")[0][0]
    page.wait(lambda: page.run("return document.querySelector('#tables [data-key=bronze_events]').closest('tr').children[1].textContent") == f"{rows:,}")
    assert page.text("[data-stat=Snapshot]") != before


def test_ten_pages_cost_what_one_does(served):
    asked = audit(served, "GET /console/overview")
    for _ in range(20):
        assert get(served, "/console/overview", "whole")[0] == 200
    assert len(audit(served, "GET /console/overview")) - len(asked) <= 1
    status, headers, body = get(served, "/console/overview", "whole")
    again = get(served, "/console/overview", "whole", **{"If-None-Match": headers["ETag"]})
    assert json.loads(body)["catalog"] == "main" and again[0] == 304 and again[1]["ETag"] == headers["ETag"]


def audit(served, route):
    path = Path(served.lake.folder, "audit.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return [line for line in lines if line["event"] == "QueryStart" and line["route"] == route]


# ---- the SQL box


def test_sql_table_and_chart(page, served):
    sign_in(page, served)
    sql = "SELECT kind, count(*) AS n, 9007199254740993 AS big, NULL AS nothing, 2 AS \"2\", 1 AS \"1\" FROM silver_events GROUP BY kind ORDER BY kind"
    run_sql(page, sql)
    page.wait_for("#sql-answer .sheet")
    expected = served.read("SELECT kind, count(*) FROM lake.silver_events GROUP BY kind ORDER BY kind")
    assert heads(page) == ["kind", "n", "big", "nothing", "2", "1"]
    assert cells(page) == [[kind, str(n), "9007199254740993", "NULL", "2", "1"] for kind, n in expected]
    newest = served.read("SELECT max(snapshot_id) FROM lake.snapshots()")[0][0]
    assert f"{len(expected)} rows" in page.text("#sql-status") and f"snapshot {newest:,}" in page.text("#sql-status")
    page.click("#sql-answer .toggle button:nth-child(2)")
    page.wait_for("#sql-answer svg.plot .column")
    titles = page.run("return [...document.querySelectorAll('#sql-answer svg.plot .column title')].map(t => t.textContent)")
    assert titles == [f"{kind}: {n}" for kind, n in expected]
    assert page.run("return document.querySelector('#sql-answer svg.plot').getAttribute('aria-label')") == "Chart: n by kind"
    # The history has it, in this tab.
    assert json.loads(page.run("return sessionStorage.getItem('tarn.history')"))[0] == sql
    assert problems(page.log()) == []


def test_a_time_makes_a_line(page, served):
    sign_in(page, served)
    run_sql(page, "SELECT TIMESTAMP '2026-11-01 00:00:00' + to_days(id::INTEGER) AS day, id * id AS n FROM bronze_events WHERE id <= 30 AND id > 0 ORDER BY id")
    page.click("#sql-answer .toggle button:nth-child(2)")
    page.wait_for("#sql-answer svg.plot .line")
    assert page.run("return document.querySelectorAll('#sql-answer svg.plot .point').length") == 30
    assert "2026-11-05" in page.run("return document.querySelector('#sql-answer svg.plot').textContent")


def test_sorting_is_by_value(page, served):
    sign_in(page, served)
    run_sql(page, "SELECT * FROM (VALUES (9007199254740993), (NULL), (9007199254740992), (10), (9)) t(n)")
    page.wait_for("#sql-answer .sheet")
    page.click("#sql-answer thead button")
    assert [row[0] for row in cells(page)] == ["9", "10", "9007199254740992", "9007199254740993", "NULL"]
    page.click("#sql-answer thead button")
    assert [row[0] for row in cells(page)] == ["9007199254740993", "9007199254740992", "10", "9", "NULL"]
    assert page.run("return document.querySelector('#sql-answer thead th').getAttribute('aria-sort')") == "descending"


def test_a_long_answer_is_cut_at_1000_rows(page, served):
    sign_in(page, served)
    run_sql(page, "SELECT a.id, b.id AS other FROM bronze_events a, bronze_events b")
    page.wait_text("#sql-status", "the first 1,000 rows; there are more")
    assert len(cells(page)) == 1000
    page.wait(lambda: all_idle(served))


@pytest.mark.parametrize("sql, status", [("SELECT nothing FROM silver_events", 422), ("SELEC 1", 400), ("DROP TABLE silver_events", 403), ("SELECT * FROM read_csv('/etc/passwd')", 403)])
def test_a_refusal_is_told(page, served, sql, status):
    sign_in(page, served)
    run_sql(page, sql)
    page.wait_for("#sql-problem .problem")
    body = json.dumps({"sql": sql}).encode()
    request = urllib.request.Request(f"{served.url}query", body, {"Authorization": f"Bearer {served.tokens['whole']}", "Content-Type": "application/json"})
    with pytest.raises(urllib.error.HTTPError) as refused, urllib.request.urlopen(request, timeout=30):
        pass
    told = json.load(refused.value)
    assert told["status"] == status and page.text("#sql-problem b") == f"{told['title']} ({status})" and page.text("#sql-problem span") == told["detail"]
    assert cells(page) == [] and page.run("return document.querySelector('#sql-problem .problem').getAttribute('role')") == "alert"


def all_idle(served):
    pool = json.loads(get(served, "/console/pool", "whole")[2])
    return pool["counts"]["busy"] == 0 and pool["counts"]["idle"] > 0


def test_cancel_really_cancels(page, served):
    sign_in(page, served)
    page.click("[data-view=query]")
    for cancel in (lambda: page.click("#cancel"), lambda: page.press("Escape")):
        page.type("#sql", SLOW)
        page.press("Control", "Enter")
        page.wait(lambda: not all_idle(served))
        page.wait_text("#sql-status", "Running")
        cancel()
        page.wait_text("#sql-status", "Cancelled after")
        page.wait(lambda: all_idle(served))
    run_sql(page, "SELECT 42 AS answer")
    page.wait_for("#sql-answer .sheet")
    assert cells(page) == [["42"]] and page.text("#sql-problem") == ""


@pytest.mark.parametrize("form", ["csv", "arrow", "parquet"])
def test_download(page, served, form):
    sign_in(page, served)
    page.click("[data-view=query]")
    page.type("#sql", "SELECT id, who FROM silver_events ORDER BY id")
    page.click(f"[data-format={form}]")
    path = page.downloads / f"query.{form}"
    page.wait(path.exists)
    page.wait_text("#sql-status", f"as {form}")
    read = {"csv": pyarrow.csv.read_csv, "arrow": lambda p: pa.ipc.open_stream(p.read_bytes()).read_all(), "parquet": pyarrow.parquet.read_table}[form]
    rows = [(row["id"], row["who"]) for row in read(path).to_pylist()]
    path.unlink()
    assert rows == served.read("SELECT id, who FROM lake.silver_events ORDER BY id")


def test_history_by_keys(page, served):
    sign_in(page, served)
    for n in (1, 2, 3):
        run_sql(page, f"SELECT {n} AS n")
    page.press("Alt", "Up")
    page.press("Alt", "Up")
    assert page.run("return document.getElementById('sql').value") == "SELECT 2 AS n"
    page.press("Alt", "Down")
    assert page.run("return document.getElementById('sql').value") == "SELECT 3 AS n"


# ---- snapshots


def test_a_snapshot_is_chosen_and_read(page, served):
    sign_in(page, served)
    first = served.read("""SELECT snapshot_id FROM lake.snapshots() WHERE changes::VARCHAR LIKE '%inserted%' ORDER BY 1""")[0][0]
    # By one that read no inlined rows before: DuckLake forgets tables of old snapshots then (pool/schemas.h).
    then = served.lake.read(f"SELECT count(*) FROM lake.bronze_events AT (VERSION => {first})")[0][0]
    page.wait_for(f"#timeline [data-id='{first}']")
    page.run("document.querySelector(`#timeline [data-id='${arguments[0]}']`).dispatchEvent(new MouseEvent('click', {bubbles: true}))", first)
    page.wait_text("#snapshot", "bronze_events")
    assert f"Snapshot {first:,}" in page.text("#snapshot") and f"{then:,} rows" in page.text("#snapshot")
    page.click("#snapshot button")
    assert f"at snapshot {first:,}" in page.text("#at")
    run_sql(page, "SELECT count(*) AS n FROM bronze_events")
    page.wait_for("#sql-answer .sheet")
    assert cells(page) == [[str(then)]] and f"snapshot {first:,}" in page.text("#sql-status")
    page.click("#at button")
    run_sql(page, "SELECT count(*) AS n FROM bronze_events")
    now = served.read("SELECT count(*) FROM lake.bronze_events")[0][0]
    page.wait(lambda: cells(page) == [[str(now)]])
    assert then < now and problems(page.log()) == []


def test_snapshots_by_keys(page, served):
    sign_in(page, served)
    page.wait_for("#timeline [role=option]")
    page.run("document.querySelector('#timeline [tabindex=\"0\"]').focus()")
    ids = page.run("return [...document.querySelectorAll('#timeline [role=option]')].map(g => Number(g.dataset.id))")
    page.press("Left")
    page.press("Enter")
    page.wait_text("#snapshot", f"Snapshot {ids[-2]:,}")
    assert page.run("return document.activeElement.dataset.id") == str(ids[-2])
    page.press("Enter")
    page.wait(lambda: page.text("#snapshot") == "")


# ---- what must stay text


def test_nothing_from_a_table_becomes_markup(page, served):
    sign_in(page, served)
    page.click("#tables [data-key=gold_evil]")
    page.wait_text("#tables .fields", EVIL_COLUMN)
    run_sql(page, "SELECT * FROM gold_evil ORDER BY who")
    page.wait_for("#sql-answer .sheet")
    assert heads(page) == ["who", "evil", EVIL_COLUMN] and cells(page)[0][1] == EVIL
    page.click("#sql-answer .toggle button:nth-child(2)")
    page.wait_for("#sql-answer svg.plot .column")
    page.run("const s = document.querySelectorAll('#sql-answer select')[1]; s.value = '1'; s.dispatchEvent(new Event('change'))")
    page.wait(lambda: EVIL in page.run("return document.querySelector('#sql-answer svg.plot title').textContent"))
    run_sql(page, f'SELECT "{EVIL_COLUMN}x" FROM gold_evil')
    page.wait_for("#sql-problem .problem")
    assert page.run("return [window.pwned === undefined, document.querySelectorAll('main img, main script').length]") == [True, 0]
    assert problems(page.log()) == []


def test_the_policy_holds_by_itself(page, served):
    """Were there a hole in the page: a script that is put into it does not run, and text cannot become markup at all."""
    sign_in(page, served)
    with pytest.raises(WebDriverError, match="TrustedHTML"):
        page.run("document.body.innerHTML = '<b>x</b>'")
    with pytest.raises(WebDriverError, match="TrustedScript"):
        page.run("document.createElement('img').setAttribute('onerror', 'window.pwned = 1')")
    page.run("const s = document.createElement('script'); s.append('window.pwned = 1'); document.body.append(s)")
    page.run("const i = document.createElement('img'); i.src = 'http://127.0.0.1:1/x'; document.body.append(i)")
    page.wait(lambda: sum("Content Security Policy" in message for _, message in page.log()) >= 1)
    assert page.run("return window.pwned === undefined")
    assert page.run("return fetch('http://127.0.0.1:1/').then(() => 'went', () => 'refused')") == "refused"
    page.run("performance.clearResourceTimings()")  # of what was tried here


# ---- rights


def test_a_narrow_token_is_offered_what_it_may_do(page, served):
    sign_in(page, served, "narrow")
    assert page.texts("#views button") == ["Overview", "Query", "Questions"]
    page.wait_for("#tables [data-key=gold_people]")
    assert page.run("return [...document.querySelectorAll('#tables .open')].map(b => b.textContent)") == ["gold_people"]
    page.click("#tables [data-key=gold_people]")
    assert "/api/v1/people" in page.text("#endpoints")
    status, _, body = get(served, "/console/overview", "narrow")
    for hidden in ("silver_events", "bronze_events", "gold_evil", EVIL_COLUMN):
        assert status == 200 and hidden not in body.decode()
    overview = json.loads(body)
    assert overview["lanes"] == [] and overview["quarantine"] == [] and overview["ingest"] == [] and [p["model"] for p in overview["pipelines"]] == ["gold_people"]
    assert get(served, "/console/lineage.svg", "narrow")[0] == 403
    assert problems(page.log()) == []


def test_a_token_for_endpoints_alone_is_shown_nothing_of_the_lake(page, served):
    page.type("#token", served.tokens["caller"])
    page.press("Enter")
    page.wait_text("#problem-overview", "endpoints alone")
    assert page.texts("#views button") == ["Overview"] and "/api/v1/people" in page.text("#endpoints")
    assert not any(page.shown(part) for part in ("#stats", "#tables-panel", "#snapshots-panel", "#quarantine-panel", "#pool-panel", "#banner"))
    me = json.loads(get(served, "/console/me", "caller")[2])
    assert (me["query"], me["lineage"]) == (False, False)
    for path in ("overview", "pool", "lineage.svg"):
        status, _, body = get(served, f"/console/{path}", "caller")
        assert status == 403 and json.loads(body)["type"] == "urn:tarn:problem:not_allowed", path
    log = page.log()
    assert problems(log) == [] and not any("403" in message for _, message in log)  # the page asks nothing that is refused


def test_a_token_of_gold_may_ask_gold(page, served):
    sign_in(page, served, "golden")
    assert page.texts("#views button") == ["Overview", "Query", "Questions"]
    run_sql(page, "SELECT count(*) AS n FROM silver_events")
    page.wait_for("#sql-problem .problem")
    assert "(403)" in page.text("#sql-problem b") or "(422)" in page.text("#sql-problem b")
    run_sql(page, "SELECT who FROM gold_people ORDER BY who LIMIT 3")
    page.wait_for("#sql-answer .sheet")
    assert cells(page) == [[who] for who, in served.read("SELECT who FROM lake.gold_people ORDER BY who LIMIT 3")]


# ---- questions and lineage


def test_a_question(page, served, model):
    sign_in(page, served)
    model.say("SELECT kind, count(*) AS n FROM silver_events GROUP BY kind ORDER BY kind")
    page.click("[data-view=questions]")
    page.type("#question", "How many events of each kind are there?")
    page.click("#ask")
    page.wait_for("#ask-answer .sheet")
    assert cells(page, "#ask-answer") == [[kind, str(n)] for kind, n in served.read("SELECT kind, count(*) FROM lake.silver_events GROUP BY kind ORDER BY kind")]
    assert "GROUP BY kind" in page.text("#ask-sql pre") and "silver_events" in page.text("#ask-sql .tools")
    page.click("#ask-sql button")
    assert "GROUP BY kind" in page.run("return document.getElementById('sql').value")
    model.say("DROP TABLE silver_events")
    page.click("[data-view=questions]")
    page.click("#ask")
    page.wait_text("#ask-problem", "(422)")
    assert problems(page.log()) == []


def test_the_lineage_is_a_picture(page, served):
    sign_in(page, served)
    page.click("[data-view=lineage]")
    page.wait(lambda: page.run("const i = document.querySelector('#lineage img'); return i !== null && i.complete && i.naturalWidth > 100"))
    done = support.tarn("lineage", "serve.yaml", "--format", "svg", folder=served.lake.folder)
    assert get(served, "/console/lineage.svg", "whole")[2].decode().count("<rect") == done.stdout.count("<rect") > 5
    assert problems(page.log()) == []


# ---- looks


def luminance(colour):
    parts = [float(part) / 255 for part in colour[colour.index("(") + 1:-1].split(",")[:3]]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


COLOURS = """const of = (css, name) => getComputedStyle(document.querySelector(css))[name];
return {panel: of('.panel', 'backgroundColor'), ground: of('body', 'backgroundColor'), ink: of('#tables .open', 'color'),
        soft: of('.panel .note', 'color'), link: of('nav button[aria-current]', 'color')}"""


@pytest.mark.parametrize("width, height", [(1440, 900), (375, 740)])
def test_both_widths_and_both_schemes(page, served, width, height):
    SHOTS.mkdir(parents=True, exist_ok=True)
    grounds = {}
    for scheme in ("light", "dark"):
        page.look_like(width, height, scheme)
        page.open("about:blank")
        page.open(f"{served.url}#token={served.tokens['whole']}")
        page.wait_for("#tables .open")
        colours = page.run(COLOURS)
        grounds[scheme] = luminance(colours["ground"])
        for name in ("ink", "soft", "link"):
            assert contrast(colours[name], colours["panel"]) >= 4.5, (scheme, name, colours)
        for view in page.run("return [...document.querySelectorAll('#views button')].map(b => b.dataset.view)"):
            page.click(f"[data-view={view}]")
            if view == "query":
                run_sql(page, "SELECT who, kind, amount, ratio FROM silver_events ORDER BY id LIMIT 40")
                page.wait_for("#sql-answer .sheet")
            time.sleep(0.2)
            assert page.run("return document.documentElement.scrollWidth") <= width, (view, scheme)
            page.screenshot(SHOTS / f"{view}-{width}-{scheme}.png")
            assert page.run("return [...document.querySelectorAll('button, a, input, select, textarea, summary')].filter(e => e.checkVisibility() && e.getBoundingClientRect().height < 14).length") == 0
        nodes = page.cdp("Accessibility.getFullAXTree")["nodes"]
        nameless = [n["role"]["value"] for n in nodes if n.get("role", {}).get("value") in ("button", "textbox", "combobox", "img", "image", "region", "table", "listbox", "option")
                    and not n.get("ignored") and not n.get("name", {}).get("value")]
        assert nameless == []
    assert grounds["light"] > 0.8 and grounds["dark"] < 0.05
    assert problems(page.log()) == []


def test_a_server_that_is_gone_is_told(page, served):
    sign_in(page, served)
    address = served.process.address()
    served.process.end()
    page.wait_text("#banner", "does not answer")
    served.start(address)
    page.wait(lambda: not page.shown("#banner"), 30)
    assert page.shown("#tables .open")
