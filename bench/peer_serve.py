"""The service of bench/serve.py as a Python programmer writes it: FastAPI and DuckDB, a cursor a request, over the same lake.

    LAKE=catalog.sqlite EXTENSIONS=folder THREADS=1 uvicorn peer_serve:app
"""

import os

import duckdb
import orjson
import pyarrow as pa
from fastapi import Body, FastAPI, HTTPException, Query, Response
from fastapi.responses import StreamingResponse

ROWS = """SELECT subscriber_id, total_events, avg_signal_dbm, avg_latency_ms, avg_bill_zmw, churn_label FROM gold_subscriber_features
WHERE $risk IS NULL OR churn_label = CASE $risk WHEN 'high' THEN 1 ELSE 0 END ORDER BY subscriber_id LIMIT $limit"""
ONE = "SELECT * FROM gold_subscriber_features WHERE subscriber_id = $id"
SUMMARY = """SELECT COUNT(*) AS subscribers, SUM(total_events)::BIGINT AS total_events, COUNT(*) FILTER (WHERE churn_label = 1) AS high_risk,
ROUND(AVG(avg_signal_dbm), 2) AS avg_signal_dbm, ROUND(AVG(avg_latency_ms), 2) AS avg_latency_ms, ROUND(AVG(avg_bill_zmw), 2) AS avg_bill_zmw,
ROUND(AVG(avg_data_used_mb), 1) AS avg_data_used_mb, MAX(max_days_overdue) AS max_days_overdue FROM gold_subscriber_features"""

con = duckdb.connect(config={"extension_directory": os.environ["EXTENSIONS"], "threads": os.environ.get("THREADS", "2")})
con.execute("LOAD ducklake; LOAD sqlite_scanner")
con.execute(f"ATTACH 'ducklake:sqlite:{os.environ['LAKE']}' AS lake (READ_ONLY)")
con.execute("USE lake")
app = FastAPI()


def rows(sql, **parameters):
    cursor = con.cursor()
    cursor.execute("USE lake")
    cursor.execute(sql, parameters) if parameters else cursor.execute(sql)
    names = [column[0] for column in cursor.description]
    return [{name: 0 if value is None or value != value else value for name, value in zip(names, row)} for row in cursor.fetchall()]


def json(value):
    return Response(orjson.dumps(value), media_type="application/json")


@app.get("/api/v1/subscribers")
def subscribers(limit: int = Query(20, ge=1, le=1000), risk: str | None = Query(None, pattern="^(high|low)$")):
    return json(rows(ROWS, limit=limit, risk=risk))


@app.get("/api/v1/subscribers/{id}")
def subscriber(id: str):
    found = rows(ONE, id=id)
    if not found:
        raise HTTPException(404)
    return json(found[0])


@app.get("/api/v1/analytics/summary")
def summary():
    return json(rows(SUMMARY)[0])


class Chunks:
    """What an IPC writer writes, to be given on."""

    closed = False

    def __init__(self):
        self.parts = []

    def write(self, part):
        self.parts.append(bytes(part))
        return len(part)

    def flush(self):
        pass

    def take(self):
        taken, self.parts = b"".join(self.parts), []
        return taken


def stream(sql):
    cursor = con.cursor()
    cursor.execute("USE lake")
    reader, chunks = cursor.execute(sql).to_arrow_reader(100_000), Chunks()
    with pa.ipc.new_stream(chunks, reader.schema) as writer:
        for batch in reader:
            writer.write_batch(batch)
            yield chunks.take()
    yield chunks.take()


@app.post("/query")
def query(body: dict = Body()):
    if body.get("format") == "arrow":
        return StreamingResponse(stream(body["sql"]), media_type="application/vnd.apache.arrow.stream")
    return json(rows(body["sql"]))
