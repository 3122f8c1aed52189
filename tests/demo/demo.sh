#!/usr/bin/env bash
# ./dev demo: a server, a model, a real workflow over gRPC on this project's own files, followed live, and its trace.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
weft="$PWD/build/weft"
scratch=$(mktemp -d)
pids=()
cleanup() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
  rm -rf "$scratch"
}
trap cleanup EXIT INT TERM
export XDG_STATE_HOME="$scratch/state"  # Its store is gone with it, so it is on no list of the user's.
say() { printf '\033[1m==> %s\033[0m\n' "$*"; }

# Waits until FILE holds a line that begins with TEXT, and prints the line.
await() {
  local i
  for i in $(seq 1 200); do
    grep -m1 "^$2" "$1" 2>/dev/null && return 0
    sleep 0.05
  done
  printf 'error: no "%s" within 10 s; it said:\n' "$2" >&2
  cat "$1" "$1.err" >&2
  return 1
}

if [ -n "${WEFT_MODEL_URL:-}" ]; then
  say "model: the server at WEFT_MODEL_URL ($WEFT_MODEL_URL)"
elif [ -n "${DEEPSEEK_API_KEY:-}" ]; then
  say "model: deepseek-flash at DeepSeek's API (DEEPSEEK_API_KEY is set; this costs a fraction of a cent)"
else
  "$weft" sim workflows/examples/repo-review.sim.yaml --listen 127.0.0.1:0 >"$scratch/sim" 2>"$scratch/sim.err" &
  pids+=($!)
  line=$(await "$scratch/sim" "weft sim: ready")
  say "model: the simulated provider, a process of its own over real HTTP (scripted by what the tools return; cache units are ready at once)"
  line="${line##* url=}"
  export WEFT_SIM_URL="${line%% *}"
fi

serve=("$weft" serve --store "$scratch/weft.db" --root "$PWD")
"${serve[@]}" >"$scratch/serve" 2>"$scratch/serve.err" &
pids+=($!)
say "server: $(await "$scratch/serve" "weft: ready")"
export WEFT_SERVER="unix:$scratch/weft.sock"

say "submit: workflows/examples/repo-review.yaml over gRPC, on this project's own files"
run=$("$weft" submit workflows/examples/repo-review.yaml --input path=. --input question="Which limits have names, and where do they stand?")
say "follow: run $run"
"$weft" trace "$run" --follow
say "output"
"$weft" output "$run"
say "trace"
"$weft" trace "$run"
