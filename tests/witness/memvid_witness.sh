#!/bin/sh
# A sealed file read by others than us: by the official Memvid SDK, and by a script that knows only
# docs/sealed-format.md.
#
#   memvid_witness.sh [--sdk-only] FILE FRAMES URI SHA256
#
# With --sdk-only the script is not asked: so that each can be shown a spoilt file. FRAMES is the number of Memvid frames, the manifest's included; SHA256 is that of the content of URI.
# Exit 0: both agree, or the SDK is SKIPPED and the script agrees. 1: a mismatch. 2: wrong usage.
set -eu

PACKAGE=memvid-sdk
VERSION=2.0.160

script=yes
if [ "${1:-}" = --sdk-only ]; then
    script=no
    shift
fi
if [ $# -ne 4 ]; then
    echo "usage: memvid_witness.sh [--sdk-only] FILE FRAMES URI SHA256" >&2
    exit 2
fi
here=$(cd "$(dirname "$0")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/sluice-witness
venv=$cache/$PACKAGE-$VERSION
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
# The SDK reports home unless told not to, and takes keys from the environment.
export MEMVID_TELEMETRY=0
unset MEMVID_API_KEY MEMVID_DASHBOARD_URL

skipped() {
    echo "SKIPPED: $PACKAGE $VERSION: $1"
    exit 0
}

python=$(command -v python3) || skipped "no python3"
[ $script = no ] || "$python" "$here/memvid_witness.py" plain "$@"

if [ ! -e "$venv/complete" ]; then
    mkdir -p "$cache"
    rm -rf "$venv"
    "$python" -m venv "$venv" >"$scratch/log" 2>&1 || skipped "no virtual environment: $(tail -n 1 "$scratch/log")"
    "$venv/bin/pip" install --quiet --disable-pip-version-check "$PACKAGE==$VERSION" >"$scratch/log" 2>&1 ||
        skipped "cannot be installed: $(tail -n 1 "$scratch/log")"
    : >"$venv/complete"
fi

# A copy, because the SDK opens nothing that it may not write, and writes what it opens unless told not to.
cp "$1" "$scratch/copy.mv2"
chmod 600 "$scratch/copy.mv2"
shift
# Where the system lets us, without a network.
if unshare -rn true 2>/dev/null; then
    unshare -rn "$venv/bin/python" "$here/memvid_witness.py" sdk "$scratch/copy.mv2" "$@"
else
    "$venv/bin/python" "$here/memvid_witness.py" sdk "$scratch/copy.mv2" "$@"
fi
