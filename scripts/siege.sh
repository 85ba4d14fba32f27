#!/usr/bin/env bash
# The long tests, one after the other with nothing beside them: floods, crowds, churn and everything else that is labelled
# "siege", each at its full length, and the fuzzers. Each has a bound of its own, a failure stops nothing that follows,
# and at the end there is a table; the exit code is 0 when all of it went well. Needs root for network namespaces.
#   scripts/siege.sh [--quick] [--fuzz MINUTES]
# --quick: lengths of the suite, and no fuzzing. MINUTES: of each fuzzer, 15 if not said; 0: none.
# What each has said stays in build/siege/.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

quick=; minutes=15
while [ $# -gt 0 ]; do
  case $1 in
    --quick) quick=1; minutes=0 ;;
    --fuzz) minutes=${2:?minutes}; shift ;;
    *) sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
  esac
  shift
done
bound=1800; [ -z "$quick" ] || bound=600
logs=build/siege
rm -rf "$logs"; mkdir -p "$logs"
names=() results=() times=() failed=

# NAME SECONDS COMMAND...: runs it within its bound and notes how it went.
step() {
  local name=$1 limit=$2 begun=$SECONDS code
  shift 2
  printf '== %s\n' "$name"
  timeout --kill-after=30 "$limit" "$@" >"$logs/$name.log" 2>&1
  code=$?
  names+=("$name"); times+=($((SECONDS - begun)))
  case $code in
    0) results+=(passed) ;;
    124|137) results+=("not within $limit s"); failed=1 ;;
    *) results+=(FAILED); failed=1; tail -n 30 "$logs/$name.log" ;;
  esac
  sed -n 's/^.*figure: /   /p' "$logs/$name.log"
  return $code
}

build() {
  scripts/setup.sh && cmake --preset dev && cmake --build --preset dev -j "$(nproc)"
}
export -f build
if step build 3600 bash -c build; then
  [ -n "$quick" ] || export SMARTVPN_SIEGE=1
  mapfile -t tests < <(ctest --test-dir build/dev -N -L '^siege$' | sed -n 's/^ *Test *#[0-9]*: //p')
  [ ${#tests[@]} -gt 0 ] || { echo "no test is labelled siege" >&2; failed=1; }
  for test in "${tests[@]}"; do
    step "$test" $((bound + 30)) ctest --test-dir build/dev -V --no-tests=error --timeout "$bound" -R "^${test//./\\.}\$"
  done
fi
if [ "$minutes" -gt 0 ]; then
  for source in tests/fuzz/fuzz_*.cpp; do
    target=$(basename "$source" .cpp); target=${target#fuzz_}
    step "fuzz.$target" $((minutes * 60 + 1800)) scripts/fuzz.sh "$minutes" "$target"
  done
fi

printf '\n%-40s %-22s %8s\n' what result seconds
for i in "${!names[@]}"; do
  printf '%-40s %-22s %8d\n' "${names[$i]}" "${results[$i]}" "${times[$i]}"
done
printf '\nfigures\n'
for name in "${names[@]}"; do
  sed -n "s/^.*figure: /$name: /p" "$logs/$name.log"
done
[ -z "$failed" ]
