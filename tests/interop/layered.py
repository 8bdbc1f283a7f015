"""A lake with layers for the tests here: files become a bronze table, models make silver and gold of it. No server is needed."""

import json
import shutil

import support
from support import DONE, Lake, tarn

SILVER = """-- materialized: incremental
-- description: One row an event, typed.
SELECT id, upper(who) AS who, kind, CAST(amount AS INTEGER) AS amount,
       CASE WHEN kind = 'buy' THEN CAST(raw->>'ratio' AS DOUBLE) END AS ratio
FROM bronze_events
WHERE quality >= 45 AND who IS NOT NULL
"""
GOLD = """-- materialized: incremental
SELECT who, count(*) AS events, count(*) FILTER (WHERE kind = 'buy') AS bought, max(amount) AS most, avg(ratio) AS ratio,
       CASE WHEN max(amount) > 50 THEN 1 ELSE 0 END AS big
FROM silver_events GROUP BY who HAVING count(*) >= 2
"""
KINDS = """SELECT kind, count(*) AS n FROM silver_events GROUP BY kind"""
VIEW = """-- materialized: view
SELECT who, most FROM gold_people WHERE big = 1
"""
MODELS = {"silver/silver_events": SILVER, "gold/gold_people": GOLD, "gold/gold_kinds": KINDS, "gold/gold_big": VIEW}
COLUMNS = [{"name": "id", "type": "bigint"}, {"name": "who"}, {"name": "kind"}, {"name": "amount"}, {"name": "quality", "type": "integer"}]
TRAINED = {"name": "big", "file": "big.json", "training": "SELECT * FROM gold_people", "key": ["who"], "label": "big",
           "scores": "gold_big_scores"}


class LayeredLake(Lake):
    def __init__(self, backend, folder, processes=None, models=None, trained=None, columns=COLUMNS):
        self.models, self.trained, self.columns, self.files, self.ids = models or MODELS, trained, columns, 0, 0
        super().__init__(backend, folder, "none", "none", [] if processes is None else processes)
        for name, text in self.models.items():
            self.write_model(name, text)
        (self.folder / "in").mkdir()

    def documents(self, group=None, properties=None):
        catalog, stream = super().documents(group, properties)
        stream["spec"] = {"table": "bronze_events", "format": "json", "memory": "64Mi", "commit": {"freshness": "200ms"},
                          "source": {"files": "in/*.json", "settle": "0s", "poll": "200ms"}}
        if self.columns:
            stream["spec"]["json"] = {"columns": self.columns, "keep": {"raw": "raw"}}
        spec = {"models": "models", "refresh": {"on": "manual"}, "memory": "128Mi"}
        if self.trained:
            spec["model"] = self.trained
        return [catalog, stream, {"apiVersion": stream["apiVersion"], "kind": "DuckLakePipeline", "metadata": {"name": "people"},
                                  "spec": spec}]

    def write_model(self, name, text):
        path = self.folder / "models" / f"{name}.sql"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def put(self, rows=200):
        """One more file. Of each 20 rows one has no subscriber, one a bad amount, two a low quality."""
        lines = []
        for _ in range(rows):
            i = self.ids = self.ids + 1
            lines.append(json.dumps({"id": i, "who": None if i % 20 == 0 else f"p{i % 7}", "kind": ["buy", "see"][i % 2],
                                     "amount": "n/a" if i % 20 == 1 else str(i % 90), "ratio": i / 8, "quality": 30 if i % 20 in (2, 3) else 90}))
        self.files += 1
        path = self.folder / "in" / f"{self.files:04}.json"
        path.with_suffix(".tmp").write_text("\n".join(lines) + "\n")
        path.with_suffix(".tmp").rename(path)

    def ask(self, command, *arguments, expect=DONE):
        done = tarn(command, "tarn.yaml", *arguments, folder=self.folder)
        assert done.returncode == expect, f"{command} ended with {done.returncode}: {done.stdout}\n{done.stderr}"
        return done

    def take(self, rows=200):
        """Of bronze alone: `run` would refresh the layers as well."""
        documents = self.documents()
        self.put(rows)
        (self.folder / "bronze.yaml").write_text(support.yaml.safe_dump_all(documents[:2]))
        done = tarn("run", "bronze.yaml", "--once", folder=self.folder)
        assert done.returncode == DONE, done.stderr

    def transform(self, *arguments):
        return json.loads(self.ask("transform", "--format", "json", *arguments).stdout)[0]

    def json(self, command, *arguments, expect=DONE):
        return json.loads(self.ask(command, "--format", "json", *arguments, expect=expect).stdout)

    def keep(self):
        """As it is now; restore() brings it back at the same place, for a catalog knows where its data are."""
        self.kept = self.files, self.ids, self.folder.with_suffix(".kept")
        shutil.copytree(self.folder, self.kept[2])

    def restore(self):
        self.files, self.ids, kept = self.kept
        shutil.rmtree(self.folder)
        shutil.copytree(kept, self.folder)
