"""clang.py FOLDER: clang, whose warnings are not gcc's, takes every source of the program and of its fuzz targets.

FOLDER is built with the preset `fuzz`; nothing is compiled to a file. Prints "ok" or "not ok" and what clang says.
"""

import concurrent.futures
import json
import os
import subprocess
import sys


def refusal(entry):
    done = subprocess.run(entry["command"] + " -fsyntax-only", shell=True, cwd=entry["directory"], capture_output=True, text=True)
    return done.stderr if done.returncode else ""


def main(folder):
    with open(os.path.join(folder, "compile_commands.json")) as file:
        entries = [e for e in json.load(file) if "/src/" in e["file"] or "/tests/fuzz/fuzz_" in e["file"]]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        refusals = [told for told in pool.map(refusal, entries) if told]
    print(*refusals, sep="\n")
    taken = f"clang takes the {len(entries)} sources of the program and its fuzz targets"
    print(f"not ok {taken}: not {len(refusals)}, see above" if refusals or not entries else f"ok {taken}")
    return 1 if refusals or not entries else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
