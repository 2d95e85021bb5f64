#!/usr/bin/env bash
# Verifiers in another language, written from the documents alone: the policy's hash, and the journal's chain with its
# signatures. Each is shown a sound record and a spoilt one: a witness that cannot say no is none.
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
