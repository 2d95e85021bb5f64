#!/usr/bin/env python3
"""The table of docs/redaction.md, measured again.

    run.py FOLDER [--ours COMMAND] [--only NAME,NAME] [--skip-speed]

FOLDER holds the scorer and the labelled set: score.py, dev-cases.jsonl, dev-llm.jsonl, benign.jsonl. They are no part
of this repository: their texts look like secrets. COMMAND is our redactor behind the same interface (README.md). Prints
one Markdown table; says for each scanner that is not there why it is left out."""

import argparse
import json
import pathlib
import resource
import shlex
import subprocess
import sys
import tempfile

ADAPTER = pathlib.Path(__file__).resolve().with_name("adapter.py")

# Name, and which part of the ordinary text it gets: every text, or for the slow ones every eighth or fortieth.
PEERS = [("betterleaks", 1), ("gitleaks", 1), ("kingfisher", 1), ("ripsecrets", 1), ("secretlint", 8),
         ("detect-secrets", 40)]


def score(folder, mode, command, every=1):
    """What the scorer wrote down."""
    with tempfile.NamedTemporaryFile(suffix=".json") as report:
        call = [sys.executable, str(folder / "score.py"), mode, "--cmd", command, "--json", report.name]
        if mode == "benign":
            call += ["--every", str(every)]
        done = subprocess.run(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if done.returncode:
            raise RuntimeError(f"score.py {mode}: {(done.stdout + done.stderr)[-400:]}")
        return json.load(open(report.name, encoding="utf-8"))


def speed(folder, command, every):
    """Megabytes in a second of processor time, of the whole command: its start, and for the peers the adapter and the
    scratch files. Processor time, because wall time says more about the other programs of a shared machine."""
    with open(folder / "benign.jsonl", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines][::every]
    with tempfile.TemporaryFile("w+", encoding="utf-8") as texts:
        for row in rows:
            texts.write(json.dumps({"id": row["id"], "text": row["text"]}, ensure_ascii=False) + "\n")
        texts.seek(0)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(["bash", "-c", command], stdin=texts, stdout=subprocess.DEVNULL, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return sum(len(row["text"].encode()) for row in rows) / 1e6 / seconds


def shown(rate):
    """Two digits that count."""
    return f"{rate:.0f}" if rate >= 10 else f"{rate:.1f}" if rate >= 1 else f"{rate:.2f}"


def flagged(report, kind):
    total, hit = report["negatives"][kind]
    return f"{hit} of {total}"


def column(folder, command, every, with_speed):
    detect = score(folder, "detect", command)
    llm = score(folder, "llm", command)
    benign = score(folder, "benign", command, every)
    figures = {
        "strong cover": f"{100 * detect['sources']['ALL-strong']['cover']:.1f} %",
        "cover, all": f"{100 * detect['sources']['ALL']['cover']:.1f} %",
        "cover, LLM traffic": f"{100 * llm['sources']['ALL']['cover']:.1f} %",
        "benign texts flagged": flagged(detect, "benign"),
        "benign LLM texts flagged": flagged(llm, "benign"),
        "malformed tokens flagged": flagged(detect, "near_miss"),
        "findings in a MB of ordinary text": f"{benign['ALL']:.2f}" + ("" if every == 1 else f" (1 in {every})"),
    }
    if with_speed:
        figures["MB in a second of processor time"] = shown(speed(folder, command, every))
    return figures


def main():
    wanted = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    wanted.add_argument("folder", type=pathlib.Path)
    wanted.add_argument("--ours")
    wanted.add_argument("--only")
    wanted.add_argument("--skip-speed", action="store_true")
    wanted = wanted.parse_args()
    only = wanted.only.split(",") if wanted.only else None
    for name in ("score.py", "dev-cases.jsonl", "dev-llm.jsonl", "benign.jsonl"):
        if not (wanted.folder / name).is_file():
            sys.exit(f"{wanted.folder} has no {name}")
    commands = [("ours", wanted.ours, 1)] if wanted.ours else []
    for name, every in PEERS:
        if only and name not in only:
            continue
        check = [sys.executable, str(ADAPTER), "--check", name]
        found = subprocess.run(check, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if found.returncode:
            print(f"SKIPPED: {name}: {found.stderr.strip()}", file=sys.stderr)
        else:
            commands.append((name, shlex.join([sys.executable, str(ADAPTER), name]), every))
    columns = {}
    for name, command, every in commands:
        print(f"{name} …", file=sys.stderr, flush=True)
        try:
            columns[name] = column(wanted.folder, command, every, not wanted.skip_speed)
        except RuntimeError as why:
            print(f"SKIPPED: {name}: {why}", file=sys.stderr)
    if not columns:
        sys.exit("nothing to compare")
    print("| | " + " | ".join(columns) + " |")
    print("|---|" + "---:|" * len(columns))
    for row in next(iter(columns.values())):
        print(f"| {row} | " + " | ".join(figures[row] for figures in columns.values()) + " |")


if __name__ == "__main__":
    main()
