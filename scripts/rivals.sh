#!/usr/bin/env bash
# Gets the WireGuard implementations that benchmarks and tests are held against, unchanged and of named versions, into
# build/rivals, and writes what they are into build/rivals/versions.txt. By hand; CI has Debian's wireguard-go alone.
# A rival that cannot be had is named there and on standard error, and nothing takes its place.
#   scripts/rivals.sh                                       all of them
#   scripts/rivals.sh upstream|debian|boringtun ...         these; versions.txt then speaks of these alone
set -euo pipefail
cd "$(dirname "$0")/.."

wireguard_go=v0.0.0-20260522210424-ecfc5a8d5446  # golang.zx2c4.com/wireguard, as Go's module proxy names its commits
boringtun=0.7.1                                  # boringtun-cli on crates.io

folder=$PWD/build/rivals
mkdir -p "$folder"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
facts=()
missing() {
  facts+=("$1: NOT MEASURED, $2")
  echo "rivals: $1 is left out: $2" >&2
  [ ! -s "$log" ] || tail -n 5 "$log" >&2
}

upstream() {
  local name="wireguard-go of upstream" program=$folder/wireguard-go
  if ! command -v go >/dev/null; then missing "$name" "there is no Go"; return; fi
  : >"$log"
  if ! grep -qs "^$wireguard_go\$" "$program.version"; then
    # Not with GOTOOLCHAIN=auto: a toolchain that is fetched for the rival alone would not be this machine's.
    GOPATH=$folder/go GOFLAGS=-modcacherw GOTOOLCHAIN=local GOBIN=$folder \
      timeout 300 go install "golang.zx2c4.com/wireguard@$wireguard_go" >"$log" 2>&1 ||
      { missing "$name" "$wireguard_go was not built"; return; }
    mv "$folder/wireguard" "$program"
    echo "$wireguard_go" >"$program.version"
  fi
  facts+=("wireguard-go of upstream: golang.zx2c4.com/wireguard $wireguard_go (commit ${wireguard_go##*-}), no patches, $(go version "$program" | sed 's/.*: //')")
}

debian() {
  local program=/usr/bin/wireguard-go
  if [ ! -x "$program" ]; then missing "wireguard-go of Debian" "the package wireguard-go is not installed"; return; fi
  facts+=("wireguard-go of Debian: package $(dpkg-query -Wf '${Version}' wireguard-go), Debian's build, $(go version "$program" 2>/dev/null | sed 's/.*: //' || echo 'Go unknown')")
}

boringtun() {
  local name=boringtun-cli program=$folder/bin/boringtun-cli
  if ! command -v cargo >/dev/null; then missing "$name" "there is no cargo"; return; fi
  : >"$log"
  if ! grep -qs "^$boringtun\$" "$program.version"; then
    timeout 900 cargo install --quiet --locked --root "$folder" --version "$boringtun" boringtun-cli >"$log" 2>&1 ||
      { missing "$name" "$boringtun was not built"; return; }
    echo "$boringtun" >"$program.version"
  fi
  facts+=("boringtun-cli: $boringtun of crates.io, no patches, its own lock file, $(rustc --version)")
}

for rival in "${@:-all}"; do
  case "$rival" in
    all) upstream; debian; boringtun ;;
    upstream | debian | boringtun) "$rival" ;;
    *) echo "usage: scripts/rivals.sh [upstream|debian|boringtun ...]" >&2; exit 2 ;;
  esac
done
printf '%s\n' "${facts[@]}" | tee "$folder/versions.txt"
