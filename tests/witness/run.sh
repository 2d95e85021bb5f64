#!/usr/bin/env bash
# Verifiers in another language, written from the documents alone: the policy's hash, the journal's chain with its
# signatures, the same of sealed files; and the official SDK of the container that sealed files lie in. Each is shown a
# sound record and a spoilt one: a witness that cannot say no is none.
set -euo pipefail
cd "$(dirname "$0")/../.."

if ! command -v python3 >/dev/null; then
  echo "SKIPPED: no python3 on this machine"
  exit 0
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
demo="$scratch/demo"
cargo run --quiet -- demo --dir "$demo" --json >"$scratch/demo.json"
snapshot=$(find "$demo/.speckit/policies" -name 'snapshot-*.json' | head -n 1)

must_refuse() {
  if "$@" >"$scratch/out" 2>&1; then
    echo "FAILED: the spoilt copy was accepted: $*"
    exit 1
  fi
}

python3 tests/witness/policy_hash.py "$snapshot"
sed 's/"egress":"redact"/"egress":"off"/; s/"egress": "redact"/"egress": "off"/' "$snapshot" >"$scratch/edited.json"
cmp -s "$snapshot" "$scratch/edited.json" && { echo "FAILED: nothing was spoilt"; exit 1; }
must_refuse python3 tests/witness/policy_hash.py "$scratch/edited.json"
echo "policy hash: the sound snapshot agrees, the edited one is refused"

python3 tests/witness/verify_chain.py "$demo/.speckit"
cp -r "$demo/.speckit" "$scratch/spoilt"
python3 - "$scratch/spoilt/capsule/journal.db" <<'PY'
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
n = db.execute("UPDATE events SET payload = replace(payload, 'policy-order', 'policy-odder') WHERE type = 'RoutingDecision'").rowcount
assert n > 0, "nothing was spoilt"
db.commit()
PY
must_refuse python3 tests/witness/verify_chain.py "$scratch/spoilt"
echo "chain: the sound journal verifies, the altered one is refused"

# Sealed files: beside the journal, and alone.
cargo run --quiet -- -C "$demo" capsule seal --json >"$scratch/sealed.json"
python3 tests/witness/verify_chain.py "$demo/.speckit"
mkdir "$scratch/alone"
cp "$demo"/.speckit/capsule/sealed/*.mv2 "$scratch/alone/"
key=$(cargo run --quiet -- -C "$demo" capsule stats --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["public_key"])')
python3 tests/witness/verify_chain.py --sealed "$scratch/alone" --public-key "$key"

# Out of the journal: the last sealed file, its Memvid frames (the manifest's and one a frame, or one a piece), an event
# of it, and the event's hash. In a copy the event's content is altered by one bit.
read -r name frames uri digest < <(python3 - "$demo/.speckit/capsule" "$scratch/alone" "$scratch/one-bit.mv2" <<'PY'
import pathlib, sqlite3, sys
capsule, alone, spoilt = map(pathlib.Path, sys.argv[1:])
db = sqlite3.connect(capsule / "journal.db")
first, last, path = db.execute("SELECT first, last, path FROM seals ORDER BY first DESC").fetchone()
here = "position BETWEEN ? AND ?"
sizes = [n for (n,) in db.execute(f"SELECT length(bytes) FROM blobs WHERE {here}", (first, last))]
frames = 1 + (last - first + 1 - len(sizes)) + sum(max(1, -(-n // 4177920)) for n in sizes)
query = f"SELECT uri, hash, payload FROM events WHERE type = 'RoutingDecision' AND {here}"
uri, digest, payload = db.execute(query, (first, last)).fetchone()
name = pathlib.Path(path).name
data = bytearray((alone / name).read_bytes())
at = data.rindex(payload.encode()) + len(payload) // 2
data[at] ^= 1
spoilt.write_bytes(data)
print(name, frames, uri, digest.hex())
PY
)
tests/witness/memvid_witness.sh "$scratch/alone/$name" "$frames" "$uri" "$digest"
must_refuse python3 tests/witness/memvid_witness.py plain "$scratch/one-bit.mv2" "$frames" "$uri" "$digest"
must_refuse python3 tests/witness/verify_chain.py --sealed "$scratch/one-bit.mv2"
if tests/witness/memvid_witness.sh --sdk-only "$scratch/one-bit.mv2" "$frames" "$uri" "$digest" >"$scratch/out" 2>&1; then
  # Where the SDK cannot be had it says so, and only then may it pass.
  grep SKIPPED "$scratch/out" || { echo "FAILED: the SDK's reading of the spoilt file was accepted"; exit 1; }
else
  # For what was spoilt, and for nothing else.
  grep -q "sdk: MISMATCH: content of $uri" "$scratch/out" || { cat "$scratch/out"; exit 1; }
fi
echo "sealed files: the sound ones hold beside the journal and alone, one altered bit is refused by each reader"
