#!/usr/bin/env python3
"""Kills `sluice run --loopback` with SIGKILL at random moments, and sees that nothing is lost.

After each kill the capsule has to verify, the run has to go on to its end with `--resume`, everything that stood in it
before has to stand there unchanged, no stage may have ended twice, and the whole has to replay. Prints what happened
where; ends with 1 on any failure.

    tests/kills.py [N] [--seed S] [--sluice PATH] [--keep]      N kills, 10 unless said otherwise
"""

import argparse
import collections
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
SPEC = REPOSITORY / "docs/examples/link-shortener.md"


class Failed(Exception):
    """What a kill broke, in a sentence."""


class Workspace:
    def __init__(self, sluice, root):
        self.sluice, self.root = sluice, root

    def command(self, *words):
        environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(self.root)}
        line = [str(self.sluice), "-C", str(self.root), "--json", *words]
        return {"args": line, "env": environment, "stdin": subprocess.DEVNULL}

    def ask(self, *words):
        done = subprocess.run(**self.command(*words), capture_output=True, text=True)
        try:
            document = json.loads(done.stdout)
        except ValueError:
            raise Failed(f"{' '.join(words)}: exit {done.returncode}, no document: {done.stderr[-400:]}") from None
        return done.returncode, document

    def must(self, *words):
        code, document = self.ask(*words)
        if code != 0:
            raise Failed(f"{' '.join(words)}: exit {code}: {json.dumps(document)[:600]}")
        return document

    def events(self):
        return self.must("capsule", "events", "--limit", "100000")["events"]

    def run(self, *more):
        return ("run", str(SPEC), "--loopback", "--out", str(self.root / "out"), *more)


def prepare(sluice, folder):
    """A workspace whose policy is compiled and whose plugins are: what is left is the run's own."""
    folder.mkdir()
    policy = (REPOSITORY / "model_policy.toml").read_text()
    (folder / "model_policy.toml").write_text(policy.replace('mode = "prompts-only"', 'mode = "full-io"'))
    workspace = Workspace(sluice, folder)
    # The first run pays for what is compiled once: the second is the measure of where a kill can land.
    workspace.must(*workspace.run())
    started = time.monotonic()
    child = start(workspace)
    begun(child)
    since = time.monotonic()
    if child.wait() != 0:
        raise Failed("a run without a kill does not come to its end")
    return time.monotonic() - started, time.monotonic() - since


def fresh(sluice, prepared, folder, bare):
    """A copy with the cache and the policy, or, now and then, one with nothing but the authored policy."""
    folder.mkdir()
    shutil.copy(prepared / "model_policy.toml", folder)
    if not bare:
        subprocess.run(["cp", "-a", str(prepared / ".speckit"), str(folder)], check=True)
    return Workspace(sluice, folder)


def start(workspace):
    """A run on its way, and what it says."""
    command = workspace.command(*workspace.run())
    return subprocess.Popen(**command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def begun(child):
    """Waits until the run says its id; from then on there is something to resume."""
    for line in child.stderr:
        if line.startswith("run: "):
            return


def kill(workspace, delay, inside):
    """Starts a run and kills it. Whether it had come to its end before."""
    child = start(workspace)
    if inside:
        begun(child)
    try:
        child.wait(delay)
        return False
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
        return True


def stands(events):
    """Where a run stands, in a word."""
    transitions = [event for event in events if event["type"] == "StageTransition"]
    if any(event["type"] == "RunFinished" for event in events):
        return "finished"
    if any(event["type"] == "BranchMerged" for event in events):
        return "merged"
    if not transitions:
        return "begun"
    last = transitions[-1]
    step = next(iter(last["payload"]["step"]))
    return f"in {last['stage']}" if step == "begin" else f"after {last['stage']}"


def one(sluice, prepared, folder, delay, inside, bare, resumes):
    workspace = fresh(sluice, prepared, folder, bare)
    known = {event["run_id"] for event in workspace.events()} if not bare else set()
    killed = kill(workspace, delay, inside)
    if not (folder / ".speckit/capsule/journal.db").exists():
        # Nothing was made yet, or its making was cut off: the next run makes it.
        workspace.must(*workspace.run())
        return "nothing made"
    workspace.must("capsule", "verify")
    before = workspace.events()
    mine = [event for event in before if event["run_id"] not in known]
    if not mine:
        workspace.must(*workspace.run())
        return "nothing begun"
    run = mine[0]["run_id"]
    where = stands(mine)
    if where == "finished":
        workspace.must("replay", run)
        return "finished" if killed else "not killed"
    asked = calls(mine)
    started = time.monotonic()
    document = workspace.must(*workspace.run("--resume", run))
    if where in ("after unlock", "merged"):
        resumes.append(time.monotonic() - started)
    if not (document["unlocked"] and document["run_id"] == run):
        raise Failed(f"resumed {run}: {json.dumps(document)[:400]}")
    after = workspace.events()
    if after[: len(before)] != before:
        raise Failed("what was acknowledged before the kill is not there as it was")
    whole = [event for event in after if event["run_id"] == run]
    ends = [event["stage"] for event in whole if "end" in event["payload"].get("step", {})]
    if ends != ["plan", "tasks", "implement", "validate", "audit", "unlock"]:
        raise Failed(f"stages ended {ends}")
    # An answer that was acknowledged is kept here, so its call is made once: of calls without an answer there is at
    # most the one that the kill cut off.
    again = calls(whole) - 6
    if again > (1 if asked["unanswered"] else 0):
        raise Failed(f"{again} calls were made again")
    for name in ("plan.md", "tasks.md", "patch-01.diff", "validation.md", "audit.md", "unlock.md"):
        if not (folder / "out" / name).is_file():
            raise Failed(f"`{name}` was not handed over")
    workspace.must("capsule", "verify")
    report = workspace.must("replay", run)
    if report["mismatched"] or report["signed_up_to"] != report["events"]:
        raise Failed(f"replay: {json.dumps(report)[:400]}")
    return where


class Calls(dict):
    def __sub__(self, number):
        return self["made"] - number


def calls(events):
    made = {event["payload"]["call"] for event in events if event["type"] == "RoutingDecision"}
    answered = {event["payload"]["call"] for event in events if event["type"] == "ModelCallEnvelope"}
    return Calls(made=len(made), unanswered=len(made - answered))


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("kills", nargs="?", type=int, default=10)
    options.add_argument("--seed", type=int, default=None)
    options.add_argument("--sluice", type=pathlib.Path, default=None)
    options.add_argument("--keep", action="store_true", help="keep the folder of a failure")
    chosen = options.parse_args()
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
    sluice = chosen.sluice or target / "debug/sluice"
    if not sluice.is_file():
        sys.exit(f"no program at {sluice}: build it with `cargo build`, or name it with --sluice")
    seed = chosen.seed if chosen.seed is not None else random.randrange(1 << 32)
    dice = random.Random(seed)
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="sluice-kills-"))
    counts, failures, resumes = collections.Counter(), [], []
    try:
        took, took_inside = prepare(sluice, scratch / "prepared")
        load = os.getloadavg()[0]
        print(f"{chosen.kills} kills, seed {seed}; a run takes {took * 1000:.0f} ms (load {load:.1f})", flush=True)
        at, missed = 0, 0
        while at < chosen.kills:
            folder = scratch / f"kill-{at}"
            # One in ten from nothing: the making of capsule, key and policy is killed as well.
            bare = at % 10 == 9
            # Every other kill lands after the run has begun, the rest anywhere in the life of the process.
            inside = at % 2 == 0
            delay = dice.uniform(0, took_inside if inside else took * (1.5 if bare else 1))
            try:
                where = one(sluice, scratch / "prepared", folder, delay, inside, bare, resumes)
                if where == "not killed":
                    # It was over before: no kill, and the next ones come sooner.
                    missed += 1
                    took, took_inside = took * 0.97, took_inside * 0.97
                    shutil.rmtree(folder, ignore_errors=True)
                    continue
                counts[where] += 1
            except Failed as failure:
                failures.append(f"kill {at} after {delay * 1000:.1f} ms: {failure}")
                print(f"FAILED {failures[-1]}", flush=True)
            at += 1
            if not (chosen.keep and failures):
                shutil.rmtree(folder, ignore_errors=True)
        for where, count in sorted(counts.items()):
            print(f"{count:5} {where}")
        if resumes:
            middle = sorted(resumes)[len(resumes) // 2] * 1000
            print(f"going on where nothing is left to ask takes {middle:.0f} ms (median of {len(resumes)})")
        print(f"{sum(counts.values())} killed, verified, resumed and replayed; {missed} came too late; {len(failures)} failed")
    finally:
        if not (chosen.keep and failures):
            shutil.rmtree(scratch, ignore_errors=True)
        else:
            print(f"kept: {scratch}")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
