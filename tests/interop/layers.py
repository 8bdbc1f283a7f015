"""A pipeline over a lake that another program fills: its manifest, its models, refreshes by `tarn transform`, and what a
reader that knows nothing of tarn sees of them."""

import json
import shutil
from contextlib import contextmanager

import support
import yaml

API = "ducklake.featherman.dev/v1alpha1"
PLACES = {"sqlite": "catalog.sqlite", "duckdb": "catalog.ducklake", "file": "lake.duckdb"}


class Pipeline:
    def __init__(self, folder, backend="sqlite"):
        self.folder, self.backend = folder / support.unique("pipeline"), backend
        self.lake, self.models = self.folder / "lake", self.folder / "models"
        for made in (self.lake, self.models):
            made.mkdir(parents=True)
        self.manifest = self.folder / "tarn.yaml"
        catalog = {"backend": {"type": backend, "path": f"lake/{PLACES[backend]}"}}
        if backend != "file":
            catalog["dataPath"] = "lake/data"
        documents = [("DuckLakeCatalog", "main", catalog), ("DuckLakePipeline", "p", {"models": "models", "refresh": {"on": "manual"}})]
        self.manifest.write_text(yaml.safe_dump_all(
            {"apiVersion": API, "kind": kind, "metadata": {"name": name}, "spec": spec} for kind, name, spec in documents))

    # ---- the models

    def model(self, name, sql, layer="silver", options="materialized: incremental"):
        """sql: a text, or the file's bytes as they are."""
        path = self.models / layer / f"{name}.sql"
        path.parent.mkdir(exist_ok=True)
        if isinstance(sql, bytes):
            path.write_bytes(sql)
        else:
            path.write_text("".join(f"-- {line}\n" for line in options.splitlines()) + sql)
        return path

    # ---- the lake, as another program has it

    @contextmanager
    def connection(self, read_only=False):
        where = f"{self.lake}/{PLACES[self.backend]}"
        options = []
        if self.backend != "file":
            where = f"ducklake:{'sqlite:' if self.backend == 'sqlite' else ''}{where}"
            options = [f"DATA_PATH '{self.lake}/data'", "DATA_INLINING_ROW_LIMIT 0"]
        if self.backend == "sqlite" and not read_only:
            options.append("META_JOURNAL_MODE 'WAL'")
        if read_only:
            options.append("READ_ONLY")
        con = support.attach(where, f"({', '.join(options)})" if options else "", threads="1")
        try:
            con.execute("USE lake")
            yield con
        finally:
            con.close()

    def write(self, *statements):
        with self.connection() as con:
            for statement in statements:
                con.execute(statement)

    def read(self, sql, *parameters):
        with self.connection(read_only=True) as con:
            return con.execute(sql, parameters).fetchall()

    def snapshots(self):
        """How many there are. Backend file has none."""
        return self.read("SELECT count(*) FROM lake.snapshots()")[0][0] if self.backend != "file" else 0

    @contextmanager
    def aside(self):
        """What happens to the lake within is undone: its files' paths are in its catalog, so a copy must lie where it lies."""
        saved = self.folder / "saved"
        shutil.copytree(self.lake, saved)
        try:
            yield
        finally:
            shutil.rmtree(self.lake)
            saved.rename(self.lake)

    # ---- refreshes

    def transform(self, *arguments, faults=None, environment=None):
        return support.tarn("transform", str(self.manifest), *arguments, folder=self.folder, environment=environment or {})

    def refresh(self, *arguments):
        """What each model's report says, by its name."""
        done = self.transform("--format", "json", *arguments)
        assert done.returncode == support.DONE, f"transform ended with {done.returncode}: {done.stderr}"
        self.report = json.loads(done.stdout)[0]
        return {model["model"]: model for model in self.report["models"]}

    def refused(self, *arguments, expect=support.INPUT):
        """The message of a refresh that fails, and changes nothing."""
        before = self.snapshots()
        done = self.transform(*arguments)
        assert done.returncode == expect, f"transform ended with {done.returncode}: {done.stderr or done.stdout}"
        assert self.snapshots() == before, "a refresh that failed made a snapshot"
        return done.stderr
