#!/usr/bin/env bash
# A real model server as the local endpoint: llama-server with a tiny model, the built-in stand-in as cloud. The example
# specification goes through all six stages; Implement is answered by the real server, over its own HTTP, grammar and
# tokenizer. Cached and rerunnable. What cannot be had on this machine or network is said, and ends with 0.
#
#   tests/real/run.sh            cache in $SLUICE_REAL_CACHE, or ~/.cache/sluice-real
set -euo pipefail
cd "$(dirname "$0")/../.."

cache="${SLUICE_REAL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sluice-real}"
sluice="${SLUICE:-${CARGO_TARGET_DIR:-target}/debug/sluice}"
model=qwen2.5-coder-7b-instruct
skip() { echo "SKIPPED: $*"; exit 0; }

[ "$(uname -sm)" = "Linux x86_64" ] || skip "the server's packages are for Linux on x86_64, this is $(uname -sm)"
for tool in apt-get apt-cache dpkg curl python3; do
  command -v "$tool" >/dev/null || skip "no $tool on this machine"
done
[ -x "$sluice" ] || { echo "no program at $sluice: build it first"; exit 2; }
mkdir -p "$cache"

# The server, out of Debian's unstable packages, in folders of our own: nothing is installed.
fetch_server() {
  local keyring=/usr/share/keyrings/debian-archive-keyring.gpg apt="$cache/apt"
  [ -r "$keyring" ] || skip "no Debian keyring to check packages with: $keyring"
  mkdir -p "$apt/lists/partial" "$cache/debs/partial" "$apt/etc"
  : >"$apt/status"
  echo "deb [signed-by=$keyring] http://deb.debian.org/debian sid main" >"$apt/sources.list"
  local own=(-o Dir::Etc::SourceList="$apt/sources.list" -o Dir::Etc::SourceParts=- -o Dir::State::Lists="$apt/lists"
    -o Dir::State::status="$apt/status" -o Dir::Cache="$apt" -o Dir::Cache::archives="$cache/debs"
    -o APT::Architecture=amd64 -o Debug::NoLocking=1 -o APT::Sandbox::User=root -o APT::Install-Recommends=0)
  apt-get "${own[@]}" -qq update >"$cache/apt.log" 2>&1 || skip "Debian's package lists cannot be had: see $cache/apt.log"
  apt-get "${own[@]}" -qq -y --download-only install llama.cpp-tools >>"$cache/apt.log" 2>&1 ||
    skip "llama.cpp-tools cannot be had from Debian: see $cache/apt.log"
  rm -rf "$cache/sidroot.new"
  for deb in "$cache"/debs/*.deb; do dpkg -x "$deb" "$cache/sidroot.new"; done
  mv "$cache/sidroot.new" "$cache/sidroot"
  rm -rf "$apt/lists"
}
[ -x "$cache/sidroot/usr/bin/llama-server" ] || { rm -rf "$cache/sidroot"; fetch_server; }

# The model: built here, in a second.
if ! [ -s "$cache/tiny.gguf" ] || [ tests/real/tiny_model.py -nt "$cache/tiny.gguf" ]; then
  if ! [ -x "$cache/venv/bin/python" ]; then
    python3 -m venv "$cache/venv" || skip "python3 makes no virtual environment"
    "$cache/venv/bin/pip" install -q gguf numpy >"$cache/pip.log" 2>&1 || {
      rm -rf "$cache/venv"
      skip "gguf and numpy cannot be had from PyPI: see $cache/pip.log"
    }
  fi
  "$cache/venv/bin/python" tests/real/tiny_model.py "$cache/tiny.gguf.new"
  mv "$cache/tiny.gguf.new" "$cache/tiny.gguf"
fi

scratch=$(mktemp -d)
server=
finish() {
  [ -z "$server" ] || kill "$server" 2>/dev/null || true
  rm -rf "$scratch"
}
trap finish EXIT
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
libs="$cache/sidroot/usr/lib/x86_64-linux-gnu"
backend=$(find "$libs/ggml" -name 'libggml-cpu-x64.so' -o -name 'libggml-cpu-sse42.so' -o -name 'libggml-cpu-haswell.so' | sort | head -n 1)
if grep -q avx2 /proc/cpuinfo; then backend=$(find "$libs/ggml" -name 'libggml-cpu-haswell.so' | head -n 1); fi
[ -n "$backend" ] || skip "the packages hold no backend for this processor"
export GGML_BACKEND_PATH="$backend"
llama=("$libs/ld-linux-x86-64.so.2" --library-path "$libs:$libs/llama:$libs/ggml" "$cache/sidroot/usr/bin/llama-server")
"${llama[@]}" --version >"$cache/server.log" 2>&1 || skip "the server does not run here: see $cache/server.log"
"${llama[@]}" -m "$cache/tiny.gguf" -a "$model" --host 127.0.0.1 --port "$port" \
  -c 32768 -np 1 -t 2 --no-ui >"$cache/server.log" 2>&1 &
server=$!
for _ in $(seq 100); do
  curl -sf "http://127.0.0.1:$port/health" >/dev/null && break
  kill -0 "$server" 2>/dev/null || { server=; echo "FAILED: the server ended: see $cache/server.log"; exit 1; }
  sleep 0.1
done
curl -sf "http://127.0.0.1:$port/health" >/dev/null || { echo "FAILED: the server is not ready after 10 s: see $cache/server.log"; exit 1; }

# The repository's policy, with the local endpoint on. Its bakeoff is invented here: this run measures plumbing.
python3 - model_policy.toml "$scratch/model_policy.toml" "$port" <<'PY'
import sys
text = open(sys.argv[1]).read()
def put(old, new):
    global text
    assert text.count(old) == 1, old
    text = text.replace(old, new)
put("enabled = false\nmodel", "enabled = true\nmodel")
put("http://127.0.0.1:3009/v1", f"http://127.0.0.1:{sys.argv[3]}/v1")
put('mode = "prompts-only"\nartifacts', 'mode = "full-io"\nartifacts')
put("timeout_ms = 10_000", "timeout_ms = 60_000")
put("schema_permille_min = 1000\n\n# ----", """schema_permille_min = 1000

[routing.reflex.bakeoff]
source = "invented for a test of the plumbing: no bakeoff was run"
samples = 50
p95_ms = 900
parity_permille = 900
schema_permille = 1000

# ----""")
open(sys.argv[2], "w").write(text)
PY
"$sluice" -C "$scratch" --json run docs/examples/link-shortener.md --loopback=cloud --out "$scratch/out" >"$scratch/run.json" || {
  cat "$scratch/run.json"
  exit 1
}
run=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["run_id"])' "$scratch/run.json")
"$sluice" -C "$scratch" --json replay "$run" >"$scratch/replay.json"
"$sluice" -C "$scratch" --json capsule verify >/dev/null
python3 - "$scratch" "$model" <<'PY'
import json, pathlib, sys
scratch, model = pathlib.Path(sys.argv[1]), sys.argv[2]
run, replay = (json.loads((scratch / name).read_text()) for name in ("run.json", "replay.json"))
implement = next(stage for stage in run["stages"] if stage["stage"] == "implement")
assert implement["model"] == f"local/{model}" and not implement["loopback"], implement
assert implement["attempts"] == 1, implement
assert all(stage["loopback"] for stage in run["stages"] if stage["stage"] != "implement"), run["stages"]
assert "Written by a tiny model" in (scratch / "out/patch-01.diff").read_text()
assert replay["mismatched"] == 0 and len(replay["stages"]) == 6, replay
print(f"six stages, Implement by a real server ({implement['tokens']} tokens), {replay['matched']} things replayed")
PY
