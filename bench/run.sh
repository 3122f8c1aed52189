#!/usr/bin/env bash
# Measures weft, the bare-SQLite floor and LangGraph.js in turn in one call, and prints medians and ratios as tables.
# Called by `./dev bench`. usage: bench/run.sh BUILD_FOLDER [--reps N] [--quick] [--no-foreign]
#   --reps N       repetitions; the table shows their median (5)
#   --quick        fewer runs and one repetition: whether it works, not how fast
#   --no-foreign   without LangGraph.js
# WEFT_BENCH_SCRATCH: where stores are made, on the disk to be measured (the system's folder for temporary files).
# WEFT_BENCH_PEERS: a copy of bench/peers whose packages are installed already; otherwise one is made and removed.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build=$(cd "${1:?the build folder is missing}" && pwd)
shift
reps=5 scale=1 foreign=yes
while [ $# -gt 0 ]; do
  case $1 in
    --reps) reps=$2 && shift 2 ;;
    --quick) reps=1 scale=10 && shift ;;
    --no-foreign) foreign=no && shift ;;
    *) printf 'error: bench/run.sh knows no %s\n' "$1" >&2 && exit 2 ;;
  esac
done

scratch=$(mktemp -d "${WEFT_BENCH_SCRATCH:-${TMPDIR:-/tmp}}/weft-bench-XXXXXX")
model=
cleanup() {
  [ -z "$model" ] || kill "$model" 2>/dev/null || true
  rm -rf "$scratch"
}
trap cleanup EXIT
trap 'exit 130' INT TERM
say() { printf '\033[1m==> %s\033[0m\n' "$*" >&2; }

peers=$scratch/peers
mkdir -p "$peers"
[ -n "${WEFT_BENCH_PEERS:-}" ] && ln -s "$WEFT_BENCH_PEERS"/langgraph/node_modules "$scratch/node_modules"
cp -r "$here/peers/." "$peers/"
mkdir -p "$peers/results" "$peers/data"
w1=$peers/results/w1.jsonl w2=$peers/results/w2.jsonl streams=$peers/results/streams.jsonl layout=$peers/results/layout.jsonl
touch "$w1" "$w2" "$streams"

node=no
command -v node >/dev/null && [ "$(node -p 'parseInt(process.versions.node) >= 20')" = true ] && node=yes
[ $node = yes ] || say "Node 20 is not here: nothing foreign is measured"
if [ $node = no ]; then
  foreign=no
elif [ $foreign = yes ] && [ -e "$scratch/node_modules" ]; then
  mv "$scratch/node_modules" "$peers/langgraph/node_modules"
elif [ $foreign = yes ]; then
  say "foreign: npm install for LangGraph.js, in a scratch folder (about two minutes: better-sqlite3 is compiled)"
  (cd "$peers/langgraph" && npm install --no-audit --no-fund >"$scratch/npm" 2>&1) ||
    { say "foreign: LangGraph.js cannot be installed here, so it is not measured" && tail -n 3 "$scratch/npm" >&2; foreign=no; }
fi
# The foreign loops' model; weft's and the floor's start one of their own, the same program.
"$build/bench_agent_model" >"$scratch/model" &
model=$!
for _ in $(seq 100); do grep -q 'agent_model: port' "$scratch/model" && break; sleep 0.05; done
FAKE_LLM_PORT=$(sed -n 's/agent_model: port //p' "$scratch/model")
export FAKE_LLM_PORT LANGSMITH_TRACING=false

# A peer that fails or takes too long is a row that is missing, said on stderr.
peer() { (cd "$peers/$1" && shift && timeout 120 node --expose-gc "$@" >/dev/null) || say "foreign: $* failed"; }
at() { case $1 in 1) echo "$2" ;; 16) echo "$3" ;; *) echo "$4" ;; esac; }
weft=(--server "$build/bench_server" --scratch "$scratch")

for rep in $(seq "$reps"); do
  say "repetition $rep of $reps"
  for c in 1 16 256; do
    for sync in FULL NORMAL; do
      "$build/bench_floor" --scratch "$scratch" --sync $sync --in-flight $c --runs $((3000 / scale)) --results "$w1" >/dev/null
    done
    for form in gate pure; do
      "$build/bench_w1" "${weft[@]}" --form $form --in-flight $c --runs $(($(at $c 500 3000 10000) / scale)) --results "$w1" >/dev/null
    done
    for sync in FULL NORMAL; do
      [ $foreign = no ] || peer baseline w1.mjs W1 $sync $c $((2000 / scale))
    done
    [ $foreign = no ] || peer langgraph w1.mjs W1 sqlite-full sync $c $(($(at $c 60 160 400) / scale))
    [ $foreign = no ] || peer langgraph w1.mjs W1 sqlite sync $c $(($(at $c 60 160 400) / scale))
  done
  for latency in 0 50; do
    for c in 1 64 512; do
      w2_load=(--model "$build/bench_agent_model" --latency $latency --in-flight $c
        --runs $(($(at $c 100 3000 3000) / scale)) --results "$w2")
      "$build/bench_loop_floor" --scratch "$scratch" "${w2_load[@]}" >/dev/null
      "$build/bench_w2" "${weft[@]}" "${w2_load[@]}" >/dev/null
      [ $c$latency != 6450 ] || "$build/bench_w2" "${weft[@]}" "${w2_load[@]}" --begin at-once >/dev/null
      n=$(($(at $c 40 1000 1000) / scale))
      [ $node = no ] || peer baseline w2.mjs $latency $c "$n"
      [ $foreign = no ] || peer langgraph w2.mjs sqlite $latency $c "$n"
    done
  done
  for n in 1000 10000; do
    "$build/bench_streams" --server "$build/bench_server" --source "$build/bench_sse_source" --scratch "$scratch" \
      --streams $((n / scale)) --results "$streams" >/dev/null
  done
done
say "how far it reaches, once"
reach=("$build/bench_reach" "${weft[@]}" --results "$peers/results/reach.jsonl" --what)
"${reach[@]}" submit --n $((20000 / scale)) >/dev/null
"${reach[@]}" step --n $((20000 / scale)) >/dev/null
for n in 1000 $((100000 / scale)); do "${reach[@]}" fan-out --n $n >/dev/null; done
"${reach[@]}" recovery --n $((10000 / scale)) >/dev/null
"${reach[@]}" effects --n 5000 >/dev/null
for n in 0 $((10000 / scale)) $([ $scale -gt 1 ] || echo "${WEFT_BENCH_HISTORY:-1000000}"); do "${reach[@]}" history --n "$n" >/dev/null; done
say "the same with every sync 2 ms longer, once"
LD_PRELOAD="$build/bench_slow_sync.so" "$build/bench_floor" --scratch "$scratch" --sync FULL --in-flight 256 --runs 300 --results "$w1" >/dev/null
for form in gate pure; do
  "$build/bench_w1" "${weft[@]}" --form $form --in-flight 256 --runs $((5000 / scale)) --preload "$build/bench_slow_sync.so" --results "$w1" >/dev/null
done
say "what a store's layout costs, once"
"$build/bench_store_layout" --scratch "$scratch" --seconds $((5 / scale + 1)) --results "$layout" >/dev/null
LD_PRELOAD="$build/bench_slow_sync.so" "$build/bench_store_layout" --scratch "$scratch" --seconds $((5 / scale + 1)) --results "$layout" >/dev/null

printf '%s, %s, %s cores, load %s\n' "$(date -u +%F)" "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)" "$(nproc)" "$(cut -d' ' -f1-3 /proc/loadavg)"
printf '\n## W1, durable chain of ten steps\n\n'
"$build/bench_table" steps_s p50 p99 cpu_per_1000_steps rss_mb disk_b_per_step written_b_per_step fsync_s <"$w1"
printf '\n## W2, agent loop: p50 and p99 in ms without the two waits of the model\n\n'
"$build/bench_table" p50 p99 p50_per_call p99_per_call turn_p50 turn_p99 model_late_ms runs_s cpu_per_1000_runs rss_mb <"$w2"
printf '\n## Open model streams\n\n'
"$build/bench_table" above_idle_mb idle_mb open_mb kb_per_stream open_s open_cpu_s <"$streams"
printf '\n## How far it reaches: seconds where a name ends in _s, else ms\n\n'
"$build/bench_table" per_s p50 p95 p99 ms first_ms ready_s first_s all_s effects twice steps_s store_mb rss_mb fsync_s <"$peers/results/reach.jsonl"
printf '\n## What a layout of the store costs: transactions of so many batches, ms\n\n'
"$build/bench_table" rows_s p50 p99 max b_per_row wal_mb read_us_per_row <"$layout"
