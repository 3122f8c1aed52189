#!/usr/bin/env bash
# Measures weft, the bare-SQLite floor and LangGraph.js in turn in one call, and prints medians and ratios as tables.
# Called by `./dev bench`. usage: bench/run.sh BUILD_FOLDER [--reps N] [--quick] [--only reach] [--no-foreign | --all-foreign]
#   --reps N       repetitions; the table shows their median (5)
#   --quick        fewer runs and one repetition: whether it works, not how fast
#   --only reach   nothing but how far it reaches: W3, W4, W5 and the rest of bench_reach, beside the foreign
#   --no-foreign   without LangGraph.js
#   --all-foreign  W3, W4 and W5 also with Restate (its binary comes with npm, 440 MB) and with DBOS (on a PostgreSQL 15 of
#                  its own, from Debian's package; as root)
# WEFT_BENCH_SCRATCH: where stores are made, on the disk to be measured (the system's folder for temporary files).
# WEFT_BENCH_PEERS: a copy of bench/peers whose packages are installed already; otherwise one is made and removed.
# WEFT_BENCH_HISTORY: how many ended runs the last rows of W5 have (1000000: about six minutes to make).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build=$(cd "${1:?the build folder is missing}" && pwd)
shift
reps=5 scale=1 foreign=yes only=
while [ $# -gt 0 ]; do
  case $1 in
    --reps) reps=$2 && shift 2 ;;
    --quick) reps=1 scale=10 && shift ;;
    --no-foreign) foreign=no && shift ;;
    --all-foreign) foreign=all && shift ;;
    --only) only=$2 && shift 2 ;;
    *) printf 'error: bench/run.sh knows no %s\n' "$1" >&2 && exit 2 ;;
  esac
done

scratch=$(mktemp -d "${WEFT_BENCH_SCRATCH:-${TMPDIR:-/tmp}}/weft-bench-XXXXXX")
model=
cleanup() {
  [ -z "$model" ] || kill "$model" 2>/dev/null || true
  [ "${dbos:-no}" = no ] || "$peers/dbos/pg.sh" stop || true
  rm -rf "$scratch"
}
trap cleanup EXIT
trap 'exit 130' INT TERM
say() { printf '\033[1m==> %s\033[0m\n' "$*" >&2; }

peers=$scratch/peers
mkdir -p "$peers"
cp -r "$here/peers/." "$peers/"
mkdir -p "$peers/results" "$peers/data"
w1=$peers/results/w1.jsonl w2=$peers/results/w2.jsonl streams=$peers/results/streams.jsonl layout=$peers/results/layout.jsonl
w3=$peers/results/w3.jsonl w4=$peers/results/w4.jsonl w5=$peers/results/w5.jsonl reached=$peers/results/reach.jsonl
touch "$w1" "$w2" "$w3" "$w4" "$w5" "$streams" "$layout" "$reached"

node=no
command -v node >/dev/null && [ "$(node -p 'parseInt(process.versions.node) >= 20')" = true ] && node=yes
[ $node = yes ] || say "Node 20 is not here: nothing foreign is measured"
[ $node = yes ] || foreign=no
# Whether a peer's packages are here, or could be installed.
installed() {
  [ ! -d "${WEFT_BENCH_PEERS:-/none}/$1/node_modules" ] || { ln -s "$WEFT_BENCH_PEERS/$1/node_modules" "$peers/$1/node_modules" && return; }
  say "foreign: npm install for $1, in a scratch folder (LangGraph.js: about two minutes, better-sqlite3 is compiled)"
  (cd "$peers/$1" && npm install --no-audit --no-fund >"$scratch/npm" 2>&1) && return
  say "foreign: $1 cannot be installed here, so it is not measured"
  tail -n 3 "$scratch/npm" >&2
  return 1
}
restate=no dbos=no
[ $foreign != all ] || ! installed restate || restate=yes
[ $foreign != all ] || ! installed dbos || ! "$peers/dbos/pg.sh" start || dbos=yes
[ $foreign = no ] || installed langgraph || foreign=no
# The foreign loops' model; weft's and the floor's start one of their own, the same program.
"$build/bench_agent_model" >"$scratch/model" &
model=$!
for _ in $(seq 100); do grep -q 'agent_model: port' "$scratch/model" && break; sleep 0.05; done
FAKE_LLM_PORT=$(sed -n 's/agent_model: port //p' "$scratch/model")
export FAKE_LLM_PORT LANGSMITH_TRACING=false

# A peer that fails or takes too long is a row that is missing, said on stderr.
peer() { (cd "$peers/$1" && shift && timeout "${patience:-120}" node --expose-gc "$@" >/dev/null) || say "foreign: $* failed"; }
at() { case $1 in 1) echo "$2" ;; 16) echo "$3" ;; *) echo "$4" ;; esac; }
weft=(--server "$build/bench_server" --scratch "$scratch")

measure_all() {
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
  say "the same with every sync 2 ms longer, once"
  LD_PRELOAD="$build/bench_slow_sync.so" "$build/bench_floor" --scratch "$scratch" --sync FULL --in-flight 256 --runs 300 --results "$w1" >/dev/null
  for form in gate pure; do
    "$build/bench_w1" "${weft[@]}" --form $form --in-flight 256 --runs $((5000 / scale)) --preload "$build/bench_slow_sync.so" --results "$w1" >/dev/null
  done
  say "what a store's layout costs, once"
  "$build/bench_store_layout" --scratch "$scratch" --seconds $((5 / scale + 1)) --results "$layout" >/dev/null
  LD_PRELOAD="$build/bench_slow_sync.so" "$build/bench_store_layout" --scratch "$scratch" --seconds $((5 / scale + 1)) --results "$layout" >/dev/null
}

measure_reach() {
  local reach=("$build/bench_reach" "${weft[@]}") patience=600 many=$((10000 / scale)) chains=$((160 / scale)) rep n
  say "how far it reaches, once"
  for n in submit step own-step; do
    "${reach[@]}" --results "$reached" --what $n --n $((20000 / scale / $([ $n = own-step ] && echo 20 || echo 1))) >/dev/null
  done
  "${reach[@]}" --results "$reached" --what fan-out --n $((100000 / scale)) >/dev/null
  "${reach[@]}" --results "$reached" --what recovery --n $many >/dev/null
  "${reach[@]}" --results "$reached" --what shares --n $((60 / scale)) >/dev/null
  for rep in $(seq $((reps < 3 ? reps : 3))); do
    say "W3, W4 and W5, repetition $rep"
    "${reach[@]}" --results "$w3" --what fan-out --n 1000 >/dev/null
    "${reach[@]}" --results "$w4" --what effects --n 5000 >/dev/null
    for n in 0 $many; do "${reach[@]}" --results "$w5" --what history --n "$n" >/dev/null; done
    if [ $foreign != no ]; then
      peer langgraph w1.mjs W3 sqlite-full sync 1 3
      peer langgraph ../common/recovery.mjs langgraph sqlite-full/sync 5000 \
        node w1.mjs W4 sqlite-full sync 1 1000 -- node w1.mjs W4R sqlite-full sync 1 1000
      for n in 0 $many; do peer langgraph w1.mjs W5 sqlite-full sync 16 $chains $n; done
    fi
    [ $restate = no ] || { peer restate w.mjs W3 3 && peer restate w.mjs W4 5000; }
    if [ $dbos = yes ]; then
      peer dbos w.mjs W3 20 1 3
      peer dbos ../common/recovery.mjs dbos "PostgreSQL, synced" 5000 node w.mjs W4 20 1 1000 -- node w.mjs W4R 20 1 1000
      for n in 0 $many; do peer dbos w.mjs W5 20 16 $chains $n; done
    fi
  done
  [ $scale = 1 ] || return 0
  say "W5 with many ended runs"
  "${reach[@]}" --results "$w5" --what history --n "${WEFT_BENCH_HISTORY:-1000000}" >/dev/null
}

[ "$only" = reach ] || measure_all
measure_reach

printf '%s, %s, %s cores, load %s\n' "$(date -u +%F)" "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)" "$(nproc)" "$(cut -d' ' -f1-3 /proc/loadavg)"
if [ "$only" != reach ]; then
  printf '\n## W1, durable chain of ten steps\n\n'
  "$build/bench_table" steps_s p50 p99 cpu_per_1000_steps rss_mb disk_b_per_step written_b_per_step fsync_s <"$w1"
  printf '\n## W2, agent loop: p50 and p99 in ms without the two waits of the model\n\n'
  "$build/bench_table" p50 p99 p50_per_call p99_per_call turn_p50 turn_p99 model_late_ms runs_s cpu_per_1000_runs rss_mb <"$w2"
  printf '\n## Open model streams\n\n'
  "$build/bench_table" above_idle_mb idle_mb open_mb kb_per_stream open_s open_cpu_s <"$streams"
  printf '\n## What a layout of the store costs: transactions of so many batches, ms\n\n'
  "$build/bench_table" rows_s p50 p99 max b_per_row wal_mb read_us_per_row <"$layout"
fi
printf '\n## W3, a fan-out of 1,000 elements, each a step with a recorded result: ms\n\n'
"$build/bench_table" p50 cpu_s rss_mb fsync_s <"$w3"
printf '\n## W4, kill -9 after 5,000 of 10,000 effects: seconds from the start of the next process\n\n'
"$build/bench_table" all_s first_s effects twice again fsync_s <"$w4"
printf '\n## W5, W1 at 16 in flight with ended runs in the store: ms\n\n'
"$build/bench_table" p50 empty_p50 times steps_s store_mb rss_mb fsync_s <"$w5"
printf '\n## How far it reaches: seconds where a name ends in _s, else ms\n\n'
"$build/bench_table" per_s p50 p95 p99 first_ms ready_s share_lesser share_greater low_s low_bound_s overtaken rss_mb fsync_s <"$reached"
