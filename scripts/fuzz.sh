#!/usr/bin/env bash
# Runs the libFuzzer targets, as many side by side as there are processors, and prints what became of each.
#   scripts/fuzz.sh [MINUTES] [TARGET...]     a minute each if not said; targets as in tests/fuzz/fuzz_<TARGET>.cpp
#   scripts/fuzz.sh --seeds [TARGET...]       puts what they learnt into tests/fuzz/seeds, a few small files each
# What they learn stays in build/fuzz/corpus/<target>; an input that fails is written there too and named. Exit status 1
# if a target failed. FUZZ_CORPUS and FUZZ_BIN name other places for corpora and programs (then nothing is built).
set -euo pipefail
cd "$(dirname "$0")/.."

mode=run minutes=1
if [ "${1:-}" = --seeds ]; then mode=seeds; shift; elif [[ ${1:-} =~ ^[1-9][0-9]*$ ]]; then minutes=$1; shift; fi
targets=("$@")
if [ ${#targets[@]} = 0 ]; then
  for source in tests/fuzz/fuzz_*.cpp; do
    name=$(basename "$source" .cpp)
    targets+=("${name#fuzz_}")
  done
fi

corpora=${FUZZ_CORPUS:-build/fuzz/corpus} programs=${FUZZ_BIN:-build/fuzz/tests/fuzz}
mkdir -p "$corpora"
if [ -z "${FUZZ_BIN:-}" ]; then
  cmake --preset fuzz >/dev/null
  cmake --build --preset fuzz --target "${targets[@]/#/fuzz_}"
fi

# The words of JSON with every key and every choice of the configuration.
json_words() {
  cat tests/fuzz/dicts/json.dict
  grep -oh '\.path = "[^"]*"' src/config/*_keys.cpp | grep -o '[a-z0-9_]*"$' | tr -d '"' | sort -u | sed '/^$/d; s/.*/"\\"&\\""/'
  grep -oh '\.values = "[^"]*"' src/config/*_keys.cpp | sed 's/.*= "//; s/"$//' | tr '|' '\n' | sort -u | sed 's/.*/"\\"&\\""/'
}
json_words > "$corpora/json.dict"

# The longest input worth trying, and the dictionary.
max_len() {
  case $1 in
    abi) echo 512 ;;
    tls | client | store_row | control_stream | control_request | forwarded | acl | noise_responder | wireguard_messages) echo 4096 ;;
    config | http_request | ws_upgrade | coalesce) echo 16384 ;;
    http_host) echo 20000 ;;
    *) echo 70000 ;;
  esac
}
dictionary() {
  case $1 in
    config | client | control_request | control_stream) echo "$corpora/json.dict" ;;
    ws_upgrade | http_request | http_host | forwarded) echo tests/fuzz/dicts/http.dict ;;
    proxyproto) echo tests/fuzz/dicts/proxy.dict ;;
    uapi) echo tests/fuzz/dicts/uapi.dict ;;
  esac
}

run_target() {
  local target=$1 corpus=$corpora/$1 words status=0
  words=$(dictionary "$target")
  mkdir -p "$corpus"
  find "$corpus" -type f -name '[0-9a-f]*' | wc -l > "$corpus.before"
  "$programs/fuzz_$target" -max_total_time=$((minutes * 60)) -timeout=25 -rss_limit_mb=2048 \
    -max_len="$(max_len "$target")" ${words:+-dict="$words"} -print_final_stats=1 \
    -artifact_prefix="$corpora/FAILED-$target-" "$corpus" "tests/fuzz/seeds/$target" > "$corpora/$target.log" 2>&1 || status=$?
  echo "$status" > "$corpus.status"
}

# One line of a target's log, and of its corpus how many files are new.
summary() {
  local target=$1 log=$corpora/$1.log last new verdict=ok
  last=$(grep -aE '^#[0-9]+.*cov: ' "$log" | tail -1) || true  # one that did not start has none
  new=$(($(find "$corpora/$target" -type f -name '[0-9a-f]*' | wc -l) - $(cat "$corpora/$target.before")))
  [ "$(cat "$corpora/$target.status")" = 0 ] || verdict=FAILED
  printf '%-16s %11s %7s %8s %6s  %s\n' "$target" "$(sed -nE 's/^#([0-9]+).*/\1/p' <<< "$last")" \
    "$(sed -nE 's/.*cov: ([0-9]+).*/\1/p' <<< "$last")" "$(sed -nE 's/.*ft: ([0-9]+).*/\1/p' <<< "$last")" "$new" "$verdict"
}

if [ $mode = seeds ]; then
  for target in "${targets[@]}"; do
    rm -rf "$corpora/$target.merged" "$corpora/$target.control"
    mkdir -p "$corpora/$target" "$corpora/$target.merged"
    "$programs/fuzz_$target" -merge=1 -max_len="$(max_len "$target")" -merge_control_file="$corpora/$target.control" \
      "$corpora/$target.merged" "tests/fuzz/seeds/$target" "$corpora/$target" > "$corpora/$target.merge.log" 2>&1
    python3 tests/fuzz/pick_seeds.py "$corpora/$target.control" "tests/fuzz/seeds/$target"
  done
  exit 0
fi

rm -f "$corpora"/FAILED-*
running=0
for target in "${targets[@]}"; do
  if [ "$running" -ge "$(nproc)" ]; then wait -n; running=$((running - 1)); fi
  run_target "$target" &
  running=$((running + 1))
done
wait

printf '%-16s %11s %7s %8s %6s\n' target inputs edges features new
for target in "${targets[@]}"; do summary "$target"; done
if compgen -G "$corpora/FAILED-*" >/dev/null; then
  echo "these inputs fail; $corpora/<target>.log says how:" >&2
  ls "$corpora"/FAILED-* >&2
fi
for target in "${targets[@]}"; do [ "$(cat "$corpora/$target.status")" = 0 ] || exit 1; done
