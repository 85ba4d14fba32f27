#!/usr/bin/env bash
# Runs the libFuzzer targets, one after the other.
#   scripts/fuzz.sh [MINUTES] [TARGET...]   a minute each if not said; targets as in tests/fuzz/fuzz_<TARGET>.cpp
# What they learn stays in build/fuzz/corpus/<target>; an input that fails is written there too and named.
set -euo pipefail
cd "$(dirname "$0")/.."

minutes=1
if [[ ${1:-} =~ ^[0-9]+$ ]]; then minutes=$1; shift; fi
targets=("$@")
if [ ${#targets[@]} = 0 ]; then
  for source in tests/fuzz/fuzz_*.cpp; do
    name=$(basename "$source" .cpp)
    targets+=("${name#fuzz_}")
  done
fi

cmake --preset fuzz >/dev/null
cmake --build --preset fuzz --target "${targets[@]/#/fuzz_}"

failed=()
for target in "${targets[@]}"; do
  corpus=build/fuzz/corpus/$target
  mkdir -p "$corpus"
  echo "== $target, $minutes min"
  "build/fuzz/tests/fuzz/fuzz_$target" -max_total_time=$((minutes * 60)) -timeout=10 -rss_limit_mb=2048 -max_len=70000 \
    -print_final_stats=1 -verbosity=0 -artifact_prefix="$corpus/FAILED-" "$corpus" "tests/fuzz/seeds/$target" ||
    failed+=("$target")
done
if [ ${#failed[@]} -gt 0 ]; then
  echo "failed: ${failed[*]}; the inputs:" >&2
  ls build/fuzz/corpus/*/FAILED-* >&2
  exit 1
fi
echo "no target failed"
