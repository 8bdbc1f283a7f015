"""report.py FILE: the tables of docs/benchmarks.md from what `tarn bench --format json` and peer.py wrote, in any order.

A line of FILE is one sample (peer.py) or FILE holds whole documents with "samples" (tarn bench). Samples of one stage in
their order are rounds; a ratio is taken within a round, and what is told is the median, the least and the most.
"""

import json
import statistics
import sys


def read(path):
    decoder, stages = json.JSONDecoder(), {}
    text = open(path).read().lstrip()
    while text:
        document, end = decoder.raw_decode(text)
        for sample in document.get("samples", [document]):
            stages.setdefault(sample["stage"], []).append(sample)
        text = text[end:].lstrip()
    return stages


def figure(values, digits):
    values = list(values)
    return f"{statistics.median(values):,.{digits}f} ({min(values):,.{digits}f}-{max(values):,.{digits}f})"


def rate(sample, key):
    return sample[key] / sample["seconds"]


def cpu_per_gb(sample):
    return sample["cpu_seconds"] / sample["bytes"] * 1e9


def stage_lines(stages):
    yield "| stage | rows/s | MB/s | CPU s/GB | machine busy % | peak MB |"
    yield "|---|---|---|---|---|---|"
    for name, samples in stages.items():
        cells = [
            figure((rate(s, "rows") for s in samples), 0) if samples[0]["rows"] else "",
            figure((rate(s, "bytes") / 1e6 for s in samples), 0),
            figure(map(cpu_per_gb, samples), 2),
            figure((s["machine_busy"] * 100 for s in samples), 0),
            figure(((s["peak_rss_bytes"] - s["held_bytes"]) / 1e6 for s in samples), 0),
        ]
        yield f"| {name} | " + " | ".join(cells) + " |"


def ratio_lines(stages):
    rounds = [dict(zip(stages, samples)) for samples in zip(*stages.values())]
    ratios = {
        "CPU s/GB: whole / (read + insert)": lambda r: cpu_per_gb(r["whole"])
        / (cpu_per_gb(r["read"]) + cpu_per_gb(r["insert"])),
        "speed: whole / insert": lambda r: rate(r["whole"], "bytes") / rate(r["insert"], "bytes"),
        "speed: whole / read": lambda r: rate(r["whole"], "bytes") / rate(r["read"], "bytes"),
        "bytes copied by Tarn, a byte of payload": lambda r: r["whole"]["copied_bytes"] / r["whole"]["bytes"],
    }
    for name in stages:
        if name.startswith("peer"):
            ratios[f"rows/s: whole / {name}"] = lambda r, name=name: rate(r["whole"], "rows") / rate(r[name], "rows")
    yield "| ratio | median (least-most) |"
    yield "|---|---|"
    for name, of in ratios.items():
        yield f"| {name} | {figure(map(of, rounds), 4 if 'copied' in name else 2)} |"


if __name__ == "__main__":
    stages = read(sys.argv[1])
    print(f"{min(map(len, stages.values()))} rounds, {stages['whole'][0]['rows']:,} rows, "
          f"{stages['whole'][0]['bytes'] / 1e6:,.0f} MB of payload\n")
    print("\n".join(stage_lines(stages)), end="\n\n")
    print("\n".join(ratio_lines(stages)))
