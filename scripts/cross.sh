#!/usr/bin/env bash
# The library, the command and their tests for another processor, built here and run under qemu-user.
#   scripts/cross.sh arm64|armhf
# Needs no root beyond installing the compiler and qemu: the other processor's packages are only unpacked, into
# build/sysroot-<arch>, and the system's own stay what they are.
set -euo pipefail
cd "$(dirname "$0")/.."

arch=${1:-}
case "$arch" in
  arm64) compiler=aarch64-linux-gnu ;;
  armhf) compiler=arm-linux-gnueabihf ;;
  *) echo "usage: scripts/cross.sh arm64|armhf" >&2; exit 2 ;;
esac
scripts/setup.sh cross
sysroot=$PWD/build/sysroot-$arch

packages=(libc6 libc6-dev linux-libc-dev libgcc-s1 libstdc++6 libatomic1
          libuv1 libuv1-dev libsodium23 libsodium-dev libssl3 libssl-dev libsqlite3-0 libsqlite3-dev
          libqrencode4 libqrencode-dev libpng16-16 libpng-dev zlib1g zlib1g-dev
          libfmt9 libfmt-dev nlohmann-json3-dev libcli11-dev libgtest-dev libgmock-dev libcmocka0 libcmocka-dev)

# apt with lists and a cache of its own, as if on a machine of that kind with nothing installed.
apt_there() {
  apt-get -qq -o Dir::State="$sysroot.apt/state" -o Dir::Cache="$sysroot.apt/cache" \
    -o Dir::State::status="$sysroot.apt/status" -o APT::Architecture="$arch" -o APT::Architectures::="$arch" \
    -o APT::Sandbox::User= "$@"
}
make_sysroot() {
  mkdir -p "$sysroot.apt/state/lists/partial" "$sysroot.apt/cache/archives/partial" "$sysroot.apt/debs" "$sysroot.new"
  : >"$sysroot.apt/status"
  apt_there update || echo "some package lists could not be had; going on with the others" >&2
  (cd "$sysroot.apt/debs" && apt_there download "${packages[@]}")
  for package in "$sysroot.apt"/debs/*.deb; do dpkg-deb -x "$package" "$sysroot.new"; done
  # A link to /lib/... means the sysroot's.
  find "$sysroot.new" -type l -lname '/*' | while read -r link; do
    ln -sfn "$(realpath -m --relative-to="$(dirname "$link")" "$sysroot.new$(readlink "$link")")" "$link"
  done
  mv "$sysroot.new" "$sysroot"
  rm -rf "$sysroot.apt"
}
if [ ! -d "$sysroot" ]; then
  echo "== unpacking ${#packages[@]} packages of $arch into build/sysroot-$arch"
  rm -rf "$sysroot.apt" "$sysroot.new"
  make_sysroot
fi

# What cannot work here, though it does on the processor itself:
#   a program that starts itself again, which only qemu can start         PrivateLibContext.ReadsNoConfigurationFile
#   TCP_INFO, of which qemu copies an int                                  Tcp.CarriesBytesBothWaysAndKnowsItsEnds
#   netlink to netfilter, which qemu does not know                         Masquerade.*, masquerading_without_privilege...
#   every byte of every message damaged: minutes of arithmetic that is the same everywhere               DamagedMessage.*
#   a fork with other threads running, which qemu does not survive         abi.*.fork
cases=PrivateLibContext.ReadsNoConfigurationFile:'*/Tcp.CarriesBytesBothWaysAndKnowsItsEnds/*':'Masquerade.*'
cases+=:'DamagedMessage.*':descriptors.masquerading_without_privilege_fails_with_its_path
tests='^abi\.(cmocka\.descriptors|(cmocka|gtest)\.fork)$'

echo "== building for $arch"
log=build/cross-$arch.log
if ! { cmake --preset "$arch" && cmake --build --preset "$arch" -j "$(nproc)"; } >"$log" 2>&1; then
  tail -n 60 "$log" >&2
  exit 1
fi
file -b "build/$arch/src/libsmartvpn.so.1."* | cut -d, -f1-2
echo "== running under qemu"
GTEST_FILTER=-$cases ctest --test-dir "build/$arch" -j "$(nproc)" -E "$tests" --no-tests=error --output-on-failure
