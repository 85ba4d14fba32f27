#!/bin/sh
# forget_dev_packages.sh: takes from this root (it has to be one of its own, see own_root.sh) all that programs are built
# with and that the library's dependencies brought: headers, links to libraries, archives, pkg-config and CMake files. The
# libraries themselves stay, as on a machine where only programs are installed.
set -eu
[ -d /inside ] && [ -d /changed ] # else this is somebody's machine
for package in libuv1-dev libsodium-dev libssl-dev libsqlite3-dev libqrencode-dev libpng-dev nlohmann-json3-dev libfmt-dev \
    libcli11-dev node-llhttp; do
  [ "$(dpkg-query -W -f='${db:Status-Status}' $package 2> /dev/null)" = installed ] || continue
  dpkg -L $package | while read -r file; do
    if [ -L "$file" ] || [ -f "$file" ]; then rm -f "$file"; fi
  done
done
for header in uv.h sodium.h openssl/ssl.h; do [ ! -e /usr/include/$header ]; done
if pkg-config --exists libuv; then exit 1; fi
