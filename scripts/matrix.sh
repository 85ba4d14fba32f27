#!/usr/bin/env bash
# Every build switch off alone, alone on, and all off; and a build that is not hardened. Each configuration is built
# with warnings as errors and tested, and ends as a row of a table with the size of its libsmartvpn.so, at -O2 as
# distributions build it, stripped. One tree serves all of them, so that a configuration compiles only what reads its
# switches; the first compiles everything, and so does the last. What takes minutes, or looks at the repository, is left
# to scripts/test.sh.
#   scripts/matrix.sh             all; a minute or two each on two processors, and twice what building everything takes
#   scripts/matrix.sh NAME...     some: full no_tls ... no_cli only_tls ... only_cli nothing not_hardened
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh

switches=(TLS WEBSOCKET WIREGUARD TUNNEL RELAY TUN SQLITE QR VECTOR_AEAD CLI)
all=(full)
for switch in "${switches[@]}"; do all+=("no_${switch,,}"); done
for switch in "${switches[@]}"; do all+=("only_${switch,,}"); done
all+=(nothing not_hardened)

# The definitions of a configuration, one a line.
definitions() {
  local switch
  for switch in "${switches[@]}"; do
    case "$1" in
      full | not_hardened) echo "-DSMARTVPN_WITH_$switch=ON" ;;
      nothing) echo "-DSMARTVPN_WITH_$switch=OFF" ;;
      "no_${switch,,}") echo "-DSMARTVPN_WITH_$switch=OFF" ;;
      "only_${switch,,}") echo "-DSMARTVPN_WITH_$switch=ON" ;;
      no_*) echo "-DSMARTVPN_WITH_$switch=ON" ;;
      only_*) echo "-DSMARTVPN_WITH_$switch=OFF" ;;
    esac
  done
  [ "$1" = not_hardened ] && echo "-DSMARTVPN_HARDENED=OFF" || echo "-DSMARTVPN_HARDENED=ON"
}

wanted=("${@:-${all[@]}}")
for name in "${wanted[@]}"; do
  [[ " ${all[*]} " == *" $name "* ]] || { echo "no configuration $name; there are: ${all[*]}" >&2; exit 2; }
done

left_out='^(netns|siege|bench|tools|guest|metrics|store|switches)\.|^abi\.valgrind|^out_of_memory'
tree=build/matrix
logs=build/matrix-logs
mkdir -p "$logs"
rows=() failed=0
build() { cmake --preset dev -B "$tree" "$@" && cmake --build "$tree" -j "$(nproc)"; }
run() { # CONFIGURATION
  local name=$1 options started=$SECONDS log=$logs/$1.log size tests result=passed
  mapfile -t options < <(definitions "$name")
  echo "== $name"
  if ! build "${options[@]}" >"$log" 2>&1; then
    tail -n 40 "$log" >&2
    result="does not build"
  elif ! ctest --test-dir "$tree" -j $((2 * $(nproc))) -E "$left_out" --no-tests=error --output-on-failure \
    >>"$log" 2>&1; then
    sed -n '/The following tests FAILED/,$p' "$log" >&2
    result="has failures"
  fi
  [ "$result" = passed ] || failed=1
  strip -o "$logs/$name.so" "$tree/src/libsmartvpn.so" && size=$(stat -c %s "$logs/$name.so") || size=0
  tests=$(sed -n 's/.* tests passed, .* tests failed out of \([0-9]*\)$/\1/p' "$log" | tail -n 1)
  rows+=("$(printf '| %-13s | %11s | %5s | %7s | %s |' "$name" "$((size / 1024)) KiB" "${tests:--}" \
    "$((SECONDS - started))" "$result")")
  echo "${rows[-1]}"
}
for name in "${wanted[@]}"; do run "$name"; done

printf '\n| %-13s | %11s | %5s | %7s | %s |\n| --- | --- | --- | --- | --- |\n' configuration "size" tests seconds result
printf '%s\n' "${rows[@]}"
exit $failed
