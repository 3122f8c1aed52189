#!/usr/bin/env bash
# A client in another language, made from the .proto files alone. Exit 77 (skipped) where Node 20 or its packages are not.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
weft=$1
scratch=$2
major=$(node --version 2>/dev/null | sed 's/^v\([0-9]*\).*/\1/' || true)
[ "${major:-0}" -ge 20 ] || { echo "skipped: no Node 20 or newer"; exit 77; }
mkdir -p "$scratch"
cp "$here"/*.mjs "$here/package.json" "$scratch/"
cd "$scratch"
[ -d node_modules/@grpc/grpc-js ] || timeout 120 npm install --no-audit --no-fund --no-package-lock --silent ||
  { echo "skipped: the packages of package.json cannot be installed here"; exit 77; }
node client.mjs "$weft" "$here/../../proto"
node million.mjs "$weft" "$here/../../proto"
