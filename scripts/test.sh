#!/usr/bin/env bash
# All tests: the suite built plainly, then under ASan+UBSan with clang-tidy, then under TSan.
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
  # In large pieces where everything is compiled anyway; a build folder that is there stays as it is.
  local unity=()
  [ -f "build/$1/CMakeCache.txt" ] || unity=(-DCMAKE_UNITY_BUILD=ON)
  cmake --preset "$1" "${unity[@]}" >"build-$1.log" 2>&1 || { cat "build-$1.log"; exit 1; }
  cmake --build --preset "$1" -j "$jobs" >"build-$1.log" 2>&1 || { tail -n 60 "build-$1.log"; exit 1; }
  rm -f "build-$1.log"
  # Most tests wait for a timer or for a program they started: twice as many as there are processors.
  ctest --test-dir "build/$1" -j $((2 * jobs)) --no-tests=error "${repeat[@]}"
}
for preset in ${1:-dev asan tsan}; do
  run_preset "$preset"
  [ "$preset" != asan ] || scripts/tidy.sh build/asan
done
