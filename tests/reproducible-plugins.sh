#!/bin/sh
# Builds the bundled plugins twice through the ordinary build, from two folders and under two CARGO_HOMEs, and compares
# them byte for byte, with each other and with plugins.lock. Needs no network: the second home gets a copy of the first
# one's downloads. Usage: tests/reproducible-plugins.sh [SCRATCH]
set -eu

repository=$(cd "$(dirname "$0")/.." && pwd)
scratch=${1:-$(mktemp -d)}
home=${CARGO_HOME:-$HOME/.cargo}
# Other lengths on purpose: a path that leaks would also shift what stands behind it.
first=$scratch/one
second=$scratch/another/folder-with-a-longer-name
second_home=$scratch/homes/second

copy() {
    mkdir -p "$1"
    (cd "$repository" && tar cf - --exclude=target --exclude=.git .) | (cd "$1" && tar xf -)
}

build() {
    # The build script gives the bytes; what of the host depends on them does not have to be built.
    (cd "$1" && CARGO_HOME=$2 CARGO_TARGET_DIR=$1/target cargo build --locked -p sluice-bundled)
}

# Paths after `sort`: one folder per OUT_DIR, one file per plugin.
digests() {
    (cd "$1/target/debug/build" && find . -path '*/out/*.wasm' -exec sha256sum {} + | sed 's|\./.*/||' | sort -k 2)
}

copy "$first"
copy "$second"
# The downloads; cargo unpacks from them what it needs.
mkdir -p "$second_home/registry"
cp -R "$home/registry/index" "$home/registry/cache" "$second_home/registry/"

build "$first" "$home"
build "$second" "$second_home"

digests "$first" >"$scratch/first.sha256"
digests "$second" >"$scratch/second.sha256"
test -s "$scratch/first.sha256" || { echo "no plugins were built" >&2; exit 2; }

if ! diff "$scratch/first.sha256" "$scratch/second.sha256"; then
    echo "the plugins' bytes depend on where they are built" >&2
    exit 1
fi
while read -r digest _; do
    if ! grep -q "$digest" "$repository/plugins.lock"; then
        echo "not in plugins.lock: $digest" >&2
        exit 1
    fi
done <"$scratch/first.sha256"
echo "the same bytes from two folders and two CARGO_HOMEs, and those of plugins.lock:"
cat "$scratch/first.sha256"
