#!/usr/bin/env bash
# Runs the simulation on programs with one known defect each, until a promise is broken; then on the program itself.
# usage: control.sh SIMULATION SEEDS_MAX FOLDER_OF_MUTANTS MUTANT_PROGRAM…
set -uo pipefail
simulation=$1 seeds_max=$2 mutants=$3
shift 3
faults=0
printf '%-22s %6s  %-44s %s\n' mutant seed 'promise that was broken' 'what is wrong with it'
for program in "$@"; do
  name=$(basename "$program")
  name=${name#mutant_}
  title=$(sed -n 3p "$mutants/$name.mutant")
  said=$(timeout 100 "$program" --catch "$seeds_max" 2>&1 >/dev/null)
  code=$?
  line=$(grep -m1 '^seed [0-9]*: ' <<<"$said")
  if [ "$code" -ne 1 ] || [ -z "$line" ]; then
    printf '%-22s %6s  %-44s %s\n' "$name" - "NOT CAUGHT (exit $code, $seeds_max seeds)" "$title"
    faults=$((faults + 1))
    continue
  fi
  seed=${line#seed }
  seed=${seed%%:*}
  promise=${line#seed "$seed": }
  printf '%-22s %6s  %-44s %s\n' "$name" "$seed" "${promise%%:*}" "$title"
done
if said=$("$simulation" --catch 200 2>&1); then
  printf '%-22s %6s  %-44s %s\n' none - 'none, in 200 seeds' 'the program as it is'
else
  printf 'the program as it is: %s\n' "$said"
  faults=$((faults + 1))
fi
exit "$((faults > 0))"
