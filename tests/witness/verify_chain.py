#!/usr/bin/env python3
"""An independent witness for capsules: written from docs/capsule-format.md and docs/sealed-format.md, with
Python's standard library alone. It shares no code with the program that wrote the capsule.

    verify_chain.py CAPSULE [--public-key HEX] [--checkpoint NUMBER:DIGEST] [--run RUN]
    verify_chain.py --sealed PATH [PATH ...] [--public-key HEX] [--checkpoint NUMBER:DIGEST] [--run RUN]

CAPSULE is a journal.db, the folder it lies in, or a .speckit folder; its sealed files are looked at too, where
they lie beside it. PATH is a sealed file or a folder of them: then nothing else is read. Exit 0: it holds; 1: it
does not, and the first thing that does not is named; 2: it could not be looked at.
"""

import argparse
import hashlib
import json
import pathlib
import shutil
import sqlite3
import struct
import sys
import tempfile

ZEROS = "0" * 64


class Flaw(Exception):
    """Where, and what."""

    def __init__(self, uri, message):
        super().__init__(f"{uri}: {message}")


def must(holds, uri, message):
    if not holds:
        raise Flaw(uri, message)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


# --- canonical JSON (RFC 8785, integers only) -------------------------------------------------------------

SHORT = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}


def canonical(value):
    if value is None or value is True or value is False:
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        if abs(value) > 2**53 - 1:
            raise ValueError("integer too large")
        return str(value)
    if isinstance(value, str):
        return '"' + "".join(SHORT.get(c) or (f"\\u{ord(c):04x}" if c < " " else c) for c in value) + '"'
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
        return "{" + ",".join(canonical(key) + ":" + canonical(value[key]) for key in keys) + "}"
    raise ValueError(f"no canonical form: {type(value).__name__}")


def parse_canonical(text, uri):
    """Parses a stored text, which must be the canonical text of what it says."""
    try:
        value = json.loads(text)
        same = canonical(value) == text
    except (ValueError, RecursionError):
        same = False
    must(same, uri, "the payload is not canonical JSON")
    return value


# --- Ed25519 (RFC 8032, section 6, verification only) -----------------------------------------------------

P = 2**255 - 19
Q = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
SQRT_MINUS_ONE = pow(2, (P - 1) // 4, P)


def add(a, b):
    e = (a[1] - a[0]) * (b[1] - b[0]) % P
    f = (a[1] + a[0]) * (b[1] + b[0]) % P
    g = 2 * a[3] * b[3] * D % P
    h = 2 * a[2] * b[2] % P
    e, f, g, h = f - e, h - g, h + g, f + e
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def multiply(scalar, point):
    total = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            total = add(total, point)
        point = add(point, point)
        scalar >>= 1
    return total


def equal(a, b):
    return (a[0] * b[2] - b[0] * a[2]) % P == 0 and (a[1] * b[2] - b[1] * a[2]) % P == 0


def decompress(data):
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * SQRT_MINUS_ONE % P
    if (x * x - square) % P or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = P - x
    return (x, y, 1, x * y % P)


BASE = decompress((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))
NEUTRAL = (0, 1, 1, 0)


def signature_holds(key, message, signature):
    """Strict: neither the key nor R has a small order, and S is reduced."""
    a, r = decompress(key), decompress(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if a is None or r is None or s >= Q or len(signature) != 64:
        return False
    if equal(multiply(8, a), NEUTRAL) or equal(multiply(8, r), NEUTRAL):
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % Q
    return equal(multiply(s, BASE), add(r, multiply(h, a)))


# --- Merkle root (RFC 6962, section 2.1) ------------------------------------------------------------------


def merkle_root(lines):
    level = [hashlib.sha256(b"\0" + line.encode()).digest() for line in lines]
    if not level:
        return sha256(b"")
    while len(level) > 1:
        # Joining neighbours and carrying an odd last one up gives the tree that splits at powers of two.
        joined = [hashlib.sha256(b"\1" + a + b).digest() for a, b in zip(level[::2], level[1::2])]
        level = joined + ([level[-1]] if len(level) % 2 else [])
    return level[0].hex()


# --- sealed files (docs/sealed-format.md) -------------------------------------------------------------------

PIECE_BYTES_MAX = 4177920


class Sealed:
    """One file: its manifest, and the frames with their bodies."""

    def __init__(self, path):
        self.name = path.name
        data = path.read_bytes()
        self.sha256 = sha256(data)
        must(data[:8] == b"MV2\0\x01\x02\x02\x01" and data[-56:-48] == b"MV2FOOT!", path, "not a whole `.mv2`")
        tables, region_at, region_bytes = struct.unpack_from("<QQQ", data, 8)
        ends = tables + struct.unpack_from("<Q", data, len(data) - 48)[0] + 56
        must(ends == len(data) and region_at == 4096, path, "its header and its end do not belong together")
        at = region_at + region_bytes
        line_end = data.index(b"\n", at)
        form, size, stated = data[at + 1 : line_end].decode().split(" ")
        at = line_end + 1 + int(size)
        text = data[line_end + 1 : at]
        must(form == "sluicegate-seal-1" and sha256(text) == stated, path, "its manifest does not hold")
        self.manifest = json.loads(text)
        self.frames = []
        for frame in self.manifest["frames"]:
            size, body = frame.get("size", 0), b""
            while not body or len(body) < size:
                piece = min(size - len(body), PIECE_BYTES_MAX)
                must(data[at : at + 1] == b"\xff", frame["uri"], f"not as it was sealed in {self.name}")
                body, at = body + data[at + 1 : at + 1 + piece], at + 1 + piece
                if size == 0:
                    break
            if "size" in frame:
                must(sha256(body) == frame["sha256"], frame["uri"], f"not as it was sealed in {self.name}")
            self.frames.append((frame, body))
        self.lines = [
            " ".join([frame["sha256"], frame["uri"]] + ([frame["media_type"]] if "media_type" in frame else []))
            for frame, _ in self.frames
        ]
        must(merkle_root(self.lines) == self.manifest["root"], path, "its frames do not have its root")
        must(self.manifest["last"] - self.manifest["first"] + 1 == len(self.lines), path, "it holds other positions")
        self.statement = json.loads(self.manifest["statement"])
        must(canonical(self.statement) == self.manifest["statement"], path, "its statement is not canonical")
        key, signature = bytes.fromhex(self.manifest["public_key"]), bytes.fromhex(self.manifest["signature"])
        message = self.manifest["statement"].encode()
        must(self.statement["public_key"] == self.manifest["public_key"], path, "it is signed with another key")
        must(signature_holds(key, message, signature), path, "its signature does not hold")
        within = self.statement["first"] <= self.manifest["first"] <= self.manifest["last"] <= self.statement["last"]
        must(within, path, "it holds what its checkpoint does not cover")


TABLES = """
CREATE TABLE meta(key, value); CREATE TABLE blobs(position, digest, bytes);
CREATE TABLE names(position, uri, digest, media_type); CREATE TABLE heads(run, seq, hash);
CREATE TABLE checkpoints(number, position, manifest);
CREATE TABLE events(position, run, seq, uri, type, at, branch, spec, stage, role, policy_id, policy_hash,
    policy_bytes, prev, hash, payload);
PRAGMA application_id = 0x736C6365; PRAGMA user_version = 1;
"""


def insert_event(db, position, event, digest):
    policy = event["policy"]
    row = (position, event["run_id"], event["seq"], event["uri"], event["type"], event["at"], event["branch"])
    row += (event["spec_id"], event["stage"], event["role"], policy["id"], bytes.fromhex(policy["hash"]))
    row += (bytes.fromhex(policy["bytes"]), bytes.fromhex(event["prev"]), digest, canonical(event["payload"]))
    db.execute(f"INSERT INTO events VALUES ({','.join('?' * 16)})", row)


def unseal(files):
    """The journal that sealed files were made from, up to the last checkpoint in them."""
    db = sqlite3.connect(":memory:")
    db.executescript(TABLES)
    files.sort(key=lambda file: file.manifest["first"])
    workspace, key = files[0].manifest["workspace"], files[0].manifest["public_key"]
    db.executemany("INSERT INTO meta VALUES (?, ?)", [("workspace", workspace), ("public_key", key)])
    end, manifests = 0, {}
    for file in files:
        manifest = file.manifest
        must((manifest["workspace"], manifest["public_key"]) == (workspace, key), file.name, "of another capsule")
        must(manifest["first"] == end + 1, file.name, f"no file holds positions {end + 1} to {manifest['first'] - 1}")
        for position, (frame, body) in enumerate(file.frames, manifest["first"]):
            digest = bytes.fromhex(frame["sha256"])
            if "media_type" in frame:
                db.execute("INSERT INTO names VALUES (?,?,?,?)", (position, frame["uri"], digest, frame["media_type"]))
            elif frame["uri"] == f"mv2://{workspace}/blob/sha256/{frame['sha256']}":
                db.execute("INSERT INTO blobs VALUES (?,?,?)", (position, digest, body))
            else:
                insert_event(db, position, json.loads(body), digest)
        end = manifest["last"]
        lines = manifests.setdefault(file.statement["number"], (file, []))[1]
        lines.extend(file.lines)
    must(files[-1].statement["last"] == end, files[-1].name, "the rest of its checkpoint is missing")
    for number, (file, lines) in sorted(manifests.items()):
        statement = file.statement
        place = (statement["run_id"], statement["seq"] + 1)
        found = db.execute("SELECT position FROM events WHERE run = ? AND seq = ?", place).fetchone()
        if found is None:
            # The last checkpoint's own event is in no file: it follows from the statement.
            event = {
                "at": statement["at"],
                "branch": f"run/{place[0]}",
                "payload": {"signature": file.manifest["signature"], "statement": statement},
                "policy": statement["policy"],
                "prev": statement["head"],
                "role": None,
                "run_id": place[0],
                "seq": place[1],
                "spec_id": None,
                "stage": None,
                "type": "Checkpoint",
                "uri": f"mv2://{workspace}/event/{place[0]}/{place[1]}",
            }
            (last,) = db.execute("SELECT max(p) FROM (SELECT max(position) p FROM events UNION SELECT ?)", (end,)).fetchone()
            found = (last + 1,)
            insert_event(db, last + 1, event, bytes.fromhex(sha256(canonical(event).encode())))
        db.execute("INSERT INTO checkpoints VALUES (?,?,?)", (number, found[0], "".join(f"{line}\n" for line in lines)))
    db.execute("INSERT INTO heads SELECT run, max(seq), hash FROM events GROUP BY run")
    return db


def sealed_beside(capsule, folder):
    """Every recorded sealed file: what it is recorded to be, and what the journal holds at its positions."""
    end = 0
    rows = capsule.db.execute("SELECT first, last, root, path, file FROM seals ORDER BY first").fetchall()
    for first, last, root, path, digest in rows:
        must((folder / path).is_file(), path, "the sealed file is missing")
        file = Sealed(folder / path)
        manifest = file.manifest
        must((manifest["first"], manifest["last"]) == (first, last) and first == end + 1, path, "it holds other positions")
        must(manifest["root"] == root.hex(), path, "it has another root than the one recorded")
        must(file.sha256 == digest.hex(), path, "its bytes are not those recorded")
        for position, line in enumerate(file.lines, first):
            must(capsule.lines.get(position) == line, path, f"at position {position} it holds what the journal does not")
        stored = capsule.hashes.get(capsule.uri(f"event/{file.statement['run_id']}/{file.statement['seq'] + 1}"))
        signed = [payload["statement"] for _, _, payload in capsule.checkpoints]
        must(stored and file.statement in signed, path, "its checkpoint is not one of the journal")
        end = last
    return len(rows)


# --- the record -------------------------------------------------------------------------------------------


class Capsule:
    def __init__(self, db):
        self.db = db
        self.meta = dict(db.execute("SELECT key, value FROM meta"))
        self.workspace = self.meta["workspace"]
        self.lines = {}  # position -> line
        self.names = {}  # uri -> digest
        self.hashes = {}  # event uri -> hash
        self.checkpoints = []  # (position, row, payload)

    def uri(self, path):
        return f"mv2://{self.workspace}/{path}"

    def frame(self, position, uri, line):
        must(isinstance(position, int) and position not in self.lines, uri, f"a second frame at position {position}")
        self.lines[position] = line

    def bytes_and_names(self):
        digests = set()
        for position, digest, data in self.db.execute("SELECT position, digest, bytes FROM blobs ORDER BY position"):
            uri = self.uri(f"blob/sha256/{digest.hex()}")
            must(sha256(data) == digest.hex(), uri, "the bytes do not match their digest")
            self.frame(position, uri, f"{digest.hex()} {uri}")
            digests.add(digest.hex())
        for position, uri, digest, media in self.db.execute(
            "SELECT position, uri, digest, media_type FROM names ORDER BY position"
        ):
            digest = digest.hex()
            must(digest in digests, uri, "the bytes that this name stands for are missing")
            plugin = self.uri("plugin/sha256/")
            must(not uri.startswith(plugin) or uri == plugin + digest, uri, "its name stands for other bytes")
            self.frame(position, uri, f"{digest} {uri} {media}")
            self.names[uri] = digest

    def event(self, row):
        """Checks one event by itself; its payload."""
        uri = self.uri(f"event/{row['run']}/{row['seq']}")
        must(row["uri"] == uri, uri, f"its uri says {row['uri']!r}")
        payload = parse_canonical(row["payload"], uri)
        policy_uri = self.uri(f"policy/{row['policy_id']}")
        document = {
            "at": row["at"],
            "branch": row["branch"],
            "payload": payload,
            "policy": {
                "bytes": row["policy_bytes"].hex(),
                "hash": row["policy_hash"].hex(),
                "id": row["policy_id"],
                "uri": policy_uri,
            },
            "prev": row["prev"].hex(),
            "role": row["role"],
            "run_id": row["run"],
            "seq": row["seq"],
            "spec_id": row["spec"],
            "stage": row["stage"],
            "type": row["type"],
            "uri": uri,
        }
        found = sha256(canonical(document).encode())
        must(found == row["hash"].hex(), uri, "the event's content does not match its hash")
        stored = self.names.get(policy_uri)
        must(stored == row["policy_bytes"].hex(), uri, "it was made under other policy bytes than are stored")
        if row["type"] == "PolicySnapshotRef" and isinstance(payload, dict):
            for plugin in payload.get("plugins") or []:
                name = self.uri(f"plugin/sha256/{plugin['digest']}")
                must(name in self.names, uri, f"the plugin {name} is not stored")
        self.frame(row["position"], uri, f"{found} {uri}")
        self.hashes[uri] = found
        if row["type"] == "Checkpoint":
            self.checkpoints.append((row["position"], dict(row), payload))

    def events(self):
        heads = {}
        self.db.row_factory = sqlite3.Row
        for row in self.db.execute("SELECT * FROM events ORDER BY run, seq"):
            seq, prev = heads.get(row["run"], (0, ZEROS))
            uri = self.uri(f"event/{row['run']}/{seq + 1}")
            must(row["seq"] == seq + 1, uri, f"the event is missing: {row['seq']} follows {seq}")
            self.event(row)
            must(row["prev"].hex() == prev, uri, "the event does not follow the one before it")
            heads[row["run"]] = (row["seq"], row["hash"].hex())
        stored = {row["run"]: (row["seq"], row["hash"].hex()) for row in self.db.execute("SELECT * FROM heads")}
        for run in sorted(heads.keys() | stored.keys()):
            seq = max(heads.get(run, (0,))[0], stored.get(run, (0,))[0])
            must(heads.get(run) == stored.get(run), self.uri(f"event/{run}/{seq}"), "the run's head is another event")
        return heads

    def signed(self, key, mark):
        """Checks the checkpoints; the last position that they cover."""
        last, previous, marks = 0, ZEROS, set()
        tables = {row["number"]: row for row in self.db.execute("SELECT * FROM checkpoints")}
        for number, (position, row, payload) in enumerate(sorted(self.checkpoints, key=lambda one: one[0]), 1):
            uri = row["uri"]
            must(isinstance(payload, dict) and set(payload) == {"signature", "statement"}, uri, "not a checkpoint")
            statement = payload["statement"]
            message = canonical(statement).encode()
            signature = bytes.fromhex(payload["signature"])
            must(signature_holds(bytes.fromhex(key), message, signature), uri, "its signature does not hold")
            wanted = {
                "format": "sluicegate-checkpoint-1",
                "workspace": self.workspace,
                "checkpoint": f"cp-{number}",
                "number": number,
                "first": last + 1,
                "previous": previous,
                "public_key": key,
            }
            for name, value in wanted.items():
                found = statement[name]
                must(found == value, self.uri(f"checkpoint/cp-{number}"), f"`{name}` is {found}, not {value}")
            must(statement["first"] <= statement["last"] < position, uri, "it covers nothing, or itself")
            must(number in tables and tables[number]["position"] == position, uri, "the table says otherwise")
            self.covered(statement, tables[number]["manifest"])
            policy = statement["policy"]
            envelope = (row["run"], row["seq"], row["prev"].hex(), row["at"], row["policy_id"])
            envelope += (row["policy_hash"].hex(), row["policy_bytes"].hex(), row["branch"])
            signed = (statement["run_id"], statement["seq"] + 1, statement["head"], statement["at"], policy["id"])
            signed += (policy["hash"], policy["bytes"], f"run/{statement['run_id']}")
            must(envelope == signed, uri, "the event says something else than its signed statement")
            must(row["spec"] is row["stage"] is row["role"] is None, uri, "the event says more than its statement")
            last, previous = statement["last"], sha256(message)
            marks.add(f"{number}:{previous}")
        lost = self.uri(f"checkpoint/cp-{len(self.checkpoints) + 1}")
        must(len(tables) == len(self.checkpoints), lost, "the checkpoint is missing")
        must(mark is None or mark in marks, mark, "the expected checkpoint is not here")
        return last

    def covered(self, statement, manifest):
        name = statement["checkpoint"]
        lines = manifest.split("\n")[:-1]
        whole = manifest.endswith("\n") and len(lines) == statement["last"] + 1 - statement["first"]
        must(whole and merkle_root(lines) == statement["root"], self.uri(f"checkpoint/{name}"), "its manifest is not what was signed")
        for position, line in enumerate(lines, statement["first"]):
            uri = line.split(" ")[1]
            must(position in self.lines, uri, f"it is missing: {name} signed it")
            must(self.lines[position] == line, uri, f"it is not what {name} signed: it was altered or replaced")


def verify(db, public_key, mark, run, folder=None):
    capsule = Capsule(db)
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    must(application == 0x736C6365 and version == 1, "journal.db", "not a capsule journal of version 1")
    claimed = capsule.meta["public_key"]
    must(public_key in (None, claimed), capsule.uri(""), "the journal names another public key than the expected one")
    capsule.bytes_and_names()
    heads = capsule.events()
    signed = capsule.signed(claimed, mark)
    end = max(capsule.lines, default=0)
    for position in range(1, end + 1):
        must(position in capsule.lines, f"frames/{position}", "nothing is recorded at this position")
    must(run is None or run in heads, run, "no such run")
    files = sealed_beside(capsule, folder) if folder else 0
    believed = "expected" if public_key else "unconfirmed"
    print(
        f"holds: {len(heads)} runs, {len(capsule.hashes)} events, {len(capsule.names)} names, "
        f"{len(capsule.checkpoints)} checkpoints; {signed} of {end} frames signed by {claimed} ({believed})"
    )
    if run:
        print(f"{run}: {heads[run][0]} events, head {heads[run][1]}")
    if files:
        print(f"{files} sealed files hold what the journal holds")


def find(path):
    for candidate in (path, path / "journal.db", path / "capsule" / "journal.db"):
        if candidate.is_file():
            return candidate
    sys.exit(f"no journal.db in {path}")


def sealed_files(paths):
    found = []
    for path in paths:
        inside = [name for name in sorted(path.glob("*.mv2")) if not name.name.startswith((".", "damaged-"))]
        found.extend(inside if path.is_dir() else [path])
    if not found:
        sys.exit("no sealed file there")
    return found


def look(arguments, folder):
    expected = (arguments.public_key, arguments.checkpoint, arguments.run)
    if arguments.sealed:
        files = [Sealed(path) for path in sealed_files(arguments.sealed)]
        verify(unseal(files), *expected)
        print(f"read from {len(files)} sealed files alone, the last of {files[-1].statement['checkpoint']}")
        return
    journal = find(arguments.capsule)
    # A copy: looking at a capsule must not change a byte of it, not even its write-ahead log.
    for ending in ("", "-wal"):
        source = pathlib.Path(str(journal) + ending)
        if source.exists():
            shutil.copy(source, pathlib.Path(folder) / ("journal.db" + ending))
    verify(sqlite3.connect(pathlib.Path(folder) / "journal.db"), *expected, journal.parent)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("capsule", type=pathlib.Path, nargs="?")
    parser.add_argument("--sealed", type=pathlib.Path, nargs="+", help="sealed files, or folders of them")
    parser.add_argument("--public-key", help="64 hex digits, known from elsewhere")
    parser.add_argument("--checkpoint", help="NUMBER:DIGEST of a checkpoint that must be there")
    parser.add_argument("--run", help="print this run's head")
    arguments = parser.parse_args()
    if (arguments.capsule is None) == (arguments.sealed is None):
        parser.error("want CAPSULE or --sealed PATH")
    with tempfile.TemporaryDirectory() as folder:
        try:
            look(arguments, folder)
        except Flaw as flaw:
            print(f"does not hold: {flaw}")
            return 1
        except (sqlite3.DatabaseError, KeyError, TypeError, ValueError, AttributeError, struct.error) as error:
            print(f"does not hold: {type(error).__name__}: {error}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
