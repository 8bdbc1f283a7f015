"""The stack for people with Docker, as far as a machine without it can tell: its files fit each other, the image holds every
library that the program loads, and its manifest works against the same servers, at other addresses."""

import os
import re
import subprocess

import yaml

import support

DEPLOY = support.ROOT / "deploy"


def compose():
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())


def environment():
    return dict(line.split("=", 1) for line in (DEPLOY / "example.env").read_text().splitlines() if line and line[0] != "#")


def test_files_fit_each_other():
    stack = compose()
    services = stack["services"]
    for name, service in services.items():
        for other in service.get("depends_on", {}):
            assert other in services, f"{name} waits for {other}, which is not there"
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert (DEPLOY / source).exists() if source.startswith(".") else source in stack["volumes"], volume
        assert ("build" in service) or re.fullmatch(r"[a-z/]+:[0-9.]+", service["image"]), f"{name}: pin its image"
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), f"{name}: {port} would listen to everybody"
    used = set(re.findall(r"\$\{([A-Z0-9_]+)", (DEPLOY / "compose.yaml").read_text()))
    assert used == set(environment())
    manifest = (DEPLOY / "tarn.yaml").read_text()
    assert set(re.findall(r"\$\{([A-Z0-9_]+)\}", manifest)) <= set(services["tarn"]["environment"])
    for host in re.findall(r"(?:host=|//|brokers: \")([a-z0-9]+)", manifest):
        assert host in services, f"no service is called {host}"
    dockerfile = (DEPLOY / "Dockerfile").read_text()
    assert services["tarn"]["build"]["dockerfile"] == "deploy/Dockerfile" and "make build" in dockerfile


def test_the_image_holds_every_library():
    dockerfile = (DEPLOY / "Dockerfile").read_text()
    installed = set(re.search(r"--no-install-recommends (ca-certificates lib.*?) \\", dockerfile).group(1).split())
    # What is there before anything is installed, and what the named packages bring themselves.
    needs = subprocess.run(["apt-cache", "depends", "--recurse", "--no-recommends", "--no-suggests", "--no-conflicts", "--no-breaks",
                            "--no-replaces", "--no-enhances", *installed], capture_output=True, text=True, check=True).stdout
    brought = installed | {line for line in needs.splitlines() if not line.startswith(" ")}
    linked = subprocess.run(["ldd", support.TARN], capture_output=True, text=True, check=True).stdout
    paths = [os.path.realpath(path) for path in re.findall(r"(/\S+) \(0x", linked) if "libduckdb" not in path]
    assert len(paths) > 20
    # dpkg knows some of them by their names before /lib became a link to /usr/lib.
    known = subprocess.run(["dpkg", "-S", *paths, *(path.removeprefix("/usr") for path in paths)], capture_output=True, text=True).stdout
    owners = {line.split(": ")[1].removeprefix("/usr"): line.split(":")[0] for line in known.splitlines()}
    for path in paths:
        assert owners[path.removeprefix("/usr")] in brought, path


def test_its_manifest_works(kafka, postgres, s3, make_lake):
    topic = kafka.topic(4)
    lake = make_lake("postgres", kafka.address, topic, store=s3)
    values = environment() | {"S3_ACCESS_KEY": s3.key, "S3_SECRET_KEY": s3.secret}
    text = (DEPLOY / "tarn.yaml").read_text()
    text = text.replace("host=postgres dbname=lake user=tarn password=${POSTGRES_PASSWORD}", "${TARN_TEST_CONNECTION}")
    text = text.replace("http://s3:8333", s3.address).replace("bucket: lake", f"bucket: {lake.bucket}\n    prefix: a/lake")
    text = text.replace("kafka:9092", kafka.address).replace("topic: events", f"topic: {topic}")
    manifest = lake.folder / "deploy.yaml"
    manifest.write_text(text)
    seqs = kafka.producer().events(topic, 20, partitions=4)
    process = lake.start("--once", manifest=manifest, environment=values)
    assert process.wait(60) == support.DONE, process.tail()
    lake.assert_exactly_once(seqs)
    assert sum(key.endswith(".parquet") for key in s3.objects(lake.bucket)) >= 1
