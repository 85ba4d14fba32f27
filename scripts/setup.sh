#!/usr/bin/env bash
# Installs the Debian packages that are missing, and nothing when none is. Other scripts call it.
#   scripts/setup.sh          what building, testing and the demo need
#   scripts/setup.sh build    only what building the library and the command needs
#   scripts/setup.sh python   that, and what `pip install ./bindings/python` needs; `go`: what the Go module needs
#   scripts/setup.sh package  that, and what making Debian packages needs
#   scripts/setup.sh cross    that, and what scripts/cross.sh needs
set -euo pipefail

build=(build-essential cmake ninja-build pkg-config ccache
       libuv1-dev libsodium-dev libssl-dev nlohmann-json3-dev libfmt-dev libcli11-dev node-llhttp
       libsqlite3-dev libqrencode-dev libpng-dev)
python=(python3-dev python3-venv python3-pip)
go=(golang-go)
packaging=(dpkg-dev lintian file gzip xz-utils swig python3-dev)
demo=(haproxy iproute2 iputils-ping iperf3 jq procps python3 nftables)
test=(libgtest-dev libgmock-dev libcmocka-dev swig clang clang-format clang-tidy libclang-rt-14-dev valgrind
      python3-pytest mypy python3-uvloop lua5.4 liblua5.4-dev
      python3-websockets python3-dissononce nodejs
      nginx-light libnginx-mod-stream openssl curl binutils ethtool abigail-tools
      sqlite3 prometheus zbar-tools wireguard-tools bash-completion zsh fish groff-base systemd util-linux
      libbenchmark-dev wireguard-go golang-github-pires-go-proxyproto-dev strace
      tcpdump python3-cryptography)
cross=(qemu-user gcc-aarch64-linux-gnu g++-aarch64-linux-gnu gcc-arm-linux-gnueabihf g++-arm-linux-gnueabihf)

case "${1:-all}" in
  build) wanted=("${build[@]}") ;;
  package) wanted=("${build[@]}" "${packaging[@]}") ;;
  demo) wanted=("${build[@]}" "${demo[@]}") ;;
  cross) wanted=("${build[@]}" "${cross[@]}") ;;
  python) wanted=("${build[@]}" "${python[@]}") ;;
  go) wanted=("${build[@]}" "${go[@]}") ;;
  all) wanted=("${build[@]}" "${packaging[@]}" "${python[@]}" "${go[@]}" "${demo[@]}" "${test[@]}") ;;
  *) echo "usage: scripts/setup.sh [build|python|go|package|cross|demo|all]" >&2; exit 2 ;;
esac

installed() { [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }
# A toolchain that is already there under another name or from another source counts.
satisfied() {
  case "$1" in
    golang-go) command -v go >/dev/null ;;
    nodejs) command -v node >/dev/null && command -v npm >/dev/null ;;
    *) false ;;
  esac || installed "$1"
}

missing=()
for package in "${wanted[@]}"; do satisfied "$package" || missing+=("$package"); done
if [ ${#missing[@]} -gt 0 ]; then
  case " ${missing[*]} " in *" nodejs "*) missing+=(npm) ;; esac
  echo "installing: ${missing[*]}"
  run=(); [ "$(id -u)" = 0 ] || run=(sudo)
  log=$(mktemp)
  trap 'rm -f "$log"' EXIT
  if ! { "${run[@]}" apt-get update -q &&
         "${run[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
    tail -n 30 "$log" >&2
    echo "setup failed: install by hand: ${missing[*]}" >&2
    exit 1
  fi
fi
# Debian starts haproxy and nginx on installation where an init runs; the tests start their own.
exit 0
