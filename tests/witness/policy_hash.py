#!/usr/bin/env python3
"""policy_hash.py SNAPSHOT.json: recomputes a policy snapshot's hash without any code of Sluicegate.

SHA-256 over the RFC 8785 canonical JSON of the snapshot without `hash`, `policy_id` and `created_at`.
Prints the hash; exits 1 if it is not the one in the file."""
import hashlib, json, sys

def canonical(value):  # objects by UTF-16 code units of their keys; integers only, so no number formatting
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
        return "{" + ",".join(canonical(key) + ":" + canonical(value[key]) for key in keys) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    if isinstance(value, float) or (isinstance(value, int) and abs(value) > 2**53 - 1):
        sys.exit(f"no canonical form: {value}")
    return json.dumps(value, ensure_ascii=False)

with open(sys.argv[1], encoding="utf-8") as file:
    snapshot = json.load(file)
outside = {"hash", "policy_id", "created_at"}
content = {key: value for key, value in snapshot.items() if key not in outside}
computed = hashlib.sha256(canonical(content).encode("utf-8")).hexdigest()
print(computed)
sys.exit(computed != snapshot.get("hash"))
