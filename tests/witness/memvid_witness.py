"""Two independent readings of a sealed file: see memvid_witness.sh.

`plain` needs nothing but Python and docs/sealed-format.md; `sdk` needs the package memvid-sdk.
"""

import hashlib
import json
import struct
import sys

PIECE_BYTES_MAX = (4 << 20) - (16 << 10)


class Mismatch(Exception):
    pass


def expect(what, got, want):
    if got != want:
        raise Mismatch(f"{what}: found {got}, want {want}")


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def root(leaves):
    """RFC 6962, section 2.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\x01" + root(leaves[:split]) + root(leaves[split:])).digest()


def take(data, at, size):
    """A body out of its pieces, each behind one 0xFF byte; returns it and where the next one begins."""
    body = b""
    while True:
        expect(f"wrapper byte at {at}", data[at : at + 1], b"\xff")
        piece = min(size - len(body), PIECE_BYTES_MAX)
        body += data[at + 1 : at + 1 + piece]
        at += 1 + piece
        if len(body) >= size:
            return body, at


def plain(path, frames, uri, digest):
    with open(path, "rb") as file:
        data = file.read()
    expect("magic and version", data[:8], b"MV2\0\x01\x02\x02\x01")
    tables, region_at, region_bytes = struct.unpack_from("<QQQ", data, 8)
    expect("footer", data[-56:-48], b"MV2FOOT!")
    expect("length", tables + struct.unpack_from("<Q", data, len(data) - 48)[0] + 56, len(data))
    at = region_at + region_bytes
    expect("wrapper byte of the manifest", data[at : at + 1], b"\xff")
    line_end = data.index(b"\n", at)
    form, size, stated = data[at + 1 : line_end].decode().split(" ")
    expect("format", form, "sluicegate-seal-1")
    at = line_end + 1 + int(size)
    text = data[line_end + 1 : at]
    expect("digest of the manifest", sha256(text), stated)
    manifest = json.loads(text)

    leaves, count, found = [], 1, None
    for frame in manifest["frames"]:
        body, at = take(data, at, frame.get("size", 0))
        count += max(1, -(-len(body) // PIECE_BYTES_MAX))
        if "size" in frame:
            expect(f"content of {frame['uri']}", sha256(body), frame["sha256"])
        if frame["uri"] == uri:
            found = sha256(body)
        words = [frame["sha256"], frame["uri"]] + ([frame["media_type"]] if "media_type" in frame else [])
        leaves.append(" ".join(words).encode())
    expect("end of the frames within the tables", at <= tables, True)
    expect("positions", manifest["last"] - manifest["first"] + 1, len(leaves))
    expect("Merkle root", root(leaves).hex(), manifest["root"])
    expect("Memvid frames", count, frames)
    expect(f"content of {uri}", found, digest)
    return f"{len(leaves)} frames and the manifest, root {manifest['root'][:12]}"


def sdk(path, frames, uri, digest):
    import memvid_sdk

    with open(path, "rb") as file:
        before = sha256(file.read())
    memory = memvid_sdk.use("basic", path, mode="open", read_only=True)
    expect("frame count", memory.stats()["frame_count"], frames)
    blobs = []
    try:
        blobs.append(bytes(memory.blob(uri)))
    except Exception:
        # A body in pieces: `<uri>#1`, `<uri>#2` …
        blobs.append(bytes(memory.blob(f"{uri}#1")))
        while True:
            try:
                blobs.append(bytes(memory.blob(f"{uri}#{len(blobs) + 1}")))
            except Exception:
                break
    for blob in blobs:
        expect("wrapper byte", blob[:1], b"\xff")
    expect(f"content of {uri}", sha256(b"".join(blob[1:] for blob in blobs)), digest)
    memory.close()
    with open(path, "rb") as file:
        expect("the file afterwards", sha256(file.read()), before)
    return f"{frames} frames, `{uri}` byte for byte"


def main():
    mode, path, frames, uri, digest = sys.argv[1:]
    try:
        print(f"{mode}: {dict(plain=plain, sdk=sdk)[mode](path, int(frames), uri, digest)}")
    except Mismatch as problem:
        sys.exit(f"{mode}: MISMATCH: {problem}")
    except Exception as problem:
        sys.exit(f"{mode}: cannot read the file: {type(problem).__name__}: {problem}")


main()
