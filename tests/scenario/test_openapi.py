"""/openapi.json as another program takes it: schemathesis asks what the document allows, and what it does not, and looks at each
answer by it - status, type, schema, and that nothing is a fault of the server's."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import support
from served import Served

TABLES = {"people": "SELECT i AS id, 'p' || i AS name, (i % 5)::INTEGER AS plan, i / 3.0 AS score, i % 2 = 0 AS business, DATE '2024-01-01' + i::INTEGER AS joined, "
          "[i] AS list, CASE WHEN i % 3 = 0 THEN i END AS gap FROM range(30) AS r(i)"}
SIZE = {"name": "limit", "type": "integer", "default": "5", "minimum": "1", "maximum": "100"}
ENDPOINTS = {
    "all": {"path": "/api/people", "sql": "SELECT * FROM people ORDER BY id", "description": "Everybody."},
    "one": {"path": "/api/people/{id}", "sql": "SELECT * FROM people WHERE id = $id", "result": "object", "parameters": [{"name": "id", "type": "integer"}]},
    "named": {"path": "/api/named/{name}/{plan}", "sql": "SELECT id FROM people WHERE name = $name AND plan = $plan", "access": "anyone",
              "parameters": [{"name": "name", "maxLength": 20}, {"name": "plan", "type": "integer"}]},
    "found": {"path": "/api/found", "sql": "SELECT id, gap FROM people WHERE score >= $score AND business = $business AND joined >= $day AND joined < $at "
              "AND ($risk = 'high' OR plan > 1) AND name <> $text", "nullAs": {"gap": "-1"}, "parameters": [
                  {"name": "score", "type": "double", "default": "0.5", "minimum": "0", "maximum": "100"}, {"name": "business", "type": "boolean", "required": True},
                  {"name": "day", "type": "date", "default": "2024-01-03"}, {"name": "at", "type": "timestamp", "default": "2024-03-01T00:00:00Z"},
                  {"name": "risk", "enum": ["high", "low"], "default": "low"}, {"name": "text", "default": "x", "maxLength": 10}]},
    "pages": {"path": "/api/pages", "sql": "SELECT id, name FROM people", "parameters": [SIZE], "page": {"key": ["id"], "size": "limit"}},
}
# A text that is no cursor, a statement that is no SQL and a snapshot that is not there follow the schema, and are refused.
CONFIG = """
[[operations]]
include-path = "/api/pages"
checks.positive_data_acceptance.expected-statuses = [200, 400, 401]
[[operations]]
include-path = "/query"
checks.positive_data_acceptance.expected-statuses = [200, 400, 401, 403, 404, 422]
"""


@pytest.fixture(scope="module")
def served(session_folder):
    folder = session_folder / "openapi"
    folder.mkdir()
    served = Served(folder, TABLES, ENDPOINTS, tokens={"all": {}}).start()
    yield served
    served.end()


def schemathesis(served, schema, *more):
    (served.folder / "schemathesis.toml").write_text(CONFIG)
    command = [str(Path(sys.executable).parent / "schemathesis"), "--config-file", "schemathesis.toml", "run", schema, "--url", f"http://{served.address}",
               "--checks", "all", "--seed", support.SEED, "--no-color", "--max-examples", "300" if support.LONG else "20",
               "-H", f"Authorization: Bearer {served.tokens['all']}", *more]
    return subprocess.run(command, cwd=served.folder, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=1000)


def test_the_server_does_what_openapi_says(served, record_property):
    served.ask("/openapi.json", token="all")  # the columns are described
    done = schemathesis(served, f"http://{served.address}/openapi.json")
    assert done.returncode == 0, done.stdout[-6000:]
    cases, operations = re.search(r"(\d+) generated", done.stdout), re.search(r"Tested: (\d+)", done.stdout)
    record_property("cases", cases[1])
    # /query, /metrics, /healthz and /readyz; it leaves the document itself alone.
    assert int(operations[1]) == len(ENDPOINTS) + 4 and int(cases[1]) > 200, done.stdout[-3000:]
    assert served.ask("/readyz").status == 200 and not [r for r in served.process.records() if r["level"] == "error"]


def test_a_wrong_document_is_found(served):
    """Of what schemathesis looks at: one column's type and one bound are told wrongly."""
    text = served.ask("/openapi.json", token="all").body.decode()
    (served.folder / "wrong.json").write_text(text.replace('"name":{"type":["string","null"]}', '"name":{"type":"integer"}').replace('"maximum":100', '"maximum":1000'))
    done = schemathesis(served, "wrong.json", "--include-path", "/api/people", "--include-path", "/api/found", "--phases", "coverage,fuzzing")
    assert done.returncode == 1 and "Response violates schema" in done.stdout and "Schema-valid request rejected" in done.stdout, done.stdout[-3000:]
