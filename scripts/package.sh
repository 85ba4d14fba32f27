#!/usr/bin/env bash
# Makes the Debian packages and has lintian look at them; an error or a warning of lintian's is a failure.
#   scripts/package.sh                  a release build of its own (build/package), packed into build/packages
#   scripts/package.sh BUILD INTO       packs what stands in the folder BUILD, and compiles nothing
# Install them with: sudo apt install ./build/packages/*.deb
set -euo pipefail
cd "$(dirname "$0")/.."

if [ $# = 2 ]; then
  build=$1 into=$2
elif [ $# = 0 ]; then
  build=build/package into=build/packages
  scripts/setup.sh package
  cmake --preset release -B $build -DCMAKE_UNITY_BUILD=ON -DSMARTVPN_BUILD_PYTHON=ON
  cmake --build $build
else
  sed -n '2,5s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi

rm -rf "$into"
mkdir -p "$into"
log=$into/cpack.log
cpack -G DEB --config "$build/CPackConfig.cmake" -B "$into" > "$log" 2>&1 || { cat "$log" >&2; exit 1; }
rm -rf "$into/_CPack_Packages" "$log"
ls -lh "$into"/*.deb
if [ $# = 0 ]; then ls "$into"/python3-smartvpn_*.deb > /dev/null; fi # left out for any Python but /usr/bin/python3

# Not asked: that the changelog's only entry closes a bug of Debian's, where the packages are none.
lintian --allow-root --fail-on error,warning --suppress-tags initial-upload-closes-no-bugs "$into"/*.deb
echo "lintian has nothing to say"
