"""attacks.txt and honest.txt, which the guard's own test (tests/unit/test_query_guard.c) reads, too."""

import re
from pathlib import Path

HERE = Path(__file__).parent


def unfold(text):
    """{{TEXT*N}}: TEXT N times."""
    return re.sub(r"\{\{(.*?)\*(\d+)\}\}", lambda m: m[1] * int(m[2]), text, flags=re.S)


def blocks(name):
    head, lines = None, []
    for line in (HERE / name).read_text().splitlines():
        if line.startswith("#"):
            continue
        if line.startswith("= "):
            if head is not None:
                yield head, unfold("\n".join(lines).strip("\n"))
            head, lines = line[2:], []
        elif head is not None:
            lines.append(line)
    yield head, unfold("\n".join(lines).strip("\n"))


def attacks():
    for head, sql in blocks("attacks.txt"):
        kind, name, verdict = head.split(":")[0].split()
        yield kind, name, verdict, sql


def honest():
    for head, sql in blocks("honest.txt"):
        name, _, tables = head.partition(":")
        yield name.split()[0], "only" in tables.split(), sql
