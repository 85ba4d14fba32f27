#!/usr/bin/env bash
# All tests: the suite built plainly, then under ASan+UBSan, then under TSan.
#   scripts/test.sh                everything
#   scripts/test.sh dev|asan|tsan  one of the three
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh

jobs=$(nproc)
export CTEST_OUTPUT_ON_FAILURE=1
# On CI's shared processors a real program may once start too slowly; the log keeps the first failure.
repeat=(); [ -z "${CI:-}" ] || repeat=(--repeat until-pass:2)
run_preset() {
  echo "== $1"
  cmake --preset "$1" >"build-$1.log" 2>&1 || { cat "build-$1.log"; exit 1; }
  cmake --build --preset "$1" -j "$jobs" >"build-$1.log" 2>&1 || { tail -n 60 "build-$1.log"; exit 1; }
  rm -f "build-$1.log"
  ctest --test-dir "build/$1" -j "$jobs" --no-tests=error "${repeat[@]}"
}
for preset in ${1:-dev asan tsan}; do run_preset "$preset"; done
