#!/usr/bin/env bash
# Runs the simulation on programs with one known defect each, until a promise is broken; then on the program itself.
# As many at a time as there are processors; their lines come in order.
# usage: control.sh SIMULATION SEEDS_MAX FOLDER_OF_MUTANTS MUTANT_PROGRAM…
set -uo pipefail
export simulation=$1 seeds_max=$2 mutants=$3
shift 3
lines=$(mktemp -d)
trap 'rm -rf "$lines"' EXIT
export lines

# Writes the program's line; fails where the defect was not caught.
run_mutant() {
  local name title said code line seed promise
  name=$(basename "$1")
  name=${name#mutant_}
  title=$(sed -n 3p "$mutants/$name.mutant")
  said=$(timeout 200 "$1" --catch "$seeds_max" 2>&1 >/dev/null)
  code=$?
  line=$(grep -m1 '^seed [0-9]*: ' <<<"$said")
  if [ "$code" -ne 1 ] || [ -z "$line" ]; then
    printf '%-22s %6s  %-44s %s\n' "$name" - "NOT CAUGHT (exit $code, $seeds_max seeds)" "$title" >"$lines/$name"
    return 1
  fi
  seed=${line#seed }
  seed=${seed%%:*}
  promise=${line#seed "$seed": }
  printf '%-22s %6s  %-44s %s\n' "$name" "$seed" "${promise%%:*}" "$title" >"$lines/$name"
}

# The program as it is keeps every promise.
run_sound() {
  local said
  if said=$("$simulation" --catch 200 2>&1); then
    printf '%-22s %6s  %-44s %s\n' none - 'none, in 200 seeds' 'the program as it is' >"$lines/~none"
  else
    printf 'the program as it is: %s\n' "$said" >"$lines/~none"
    return 1
  fi
}

run() { if [ "$1" = none ]; then run_sound; else run_mutant "$1"; fi; }
export -f run run_mutant run_sound

printf '%s\0' none "$@" | xargs -0 -P "$(nproc)" -I '{}' bash -c 'run "$1" || exit 1' _ '{}'
code=$?
printf '%-22s %6s  %-44s %s\n' mutant seed 'promise that was broken' 'what is wrong with it'
LC_ALL=C cat "$lines"/*
exit "$((code > 0))"
