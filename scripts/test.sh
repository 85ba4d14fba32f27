#!/usr/bin/env bash
# All tests: the suite built plainly, then under ASan+UBSan, then under TSan.
#   scripts/test.sh                everything
#   scripts/test.sh dev|asan|tsan  one of the three
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh

jobs=$(nproc)
export CTEST_OUTPUT_ON_FAILURE=1
run_preset() {
  echo "== $1"
  cmake --preset "$1" >"build-$1.log" 2>&1 || { cat "build-$1.log"; exit 1; }
  cmake --build --preset "$1" -j "$jobs" >"build-$1.log" 2>&1 || { tail -n 60 "build-$1.log"; exit 1; }
  rm -f "build-$1.log"
  ctest --test-dir "build/$1" -j "$jobs" --no-tests=error
}
for preset in ${1:-dev asan tsan}; do run_preset "$preset"; done
