#!/bin/sh
# wheel.sh WHEEL_DIR PYTHON WORK: the release wheel in a fresh virtual environment, beside uvloop, where none of the
# libraries that it brings along can be had from the system: an empty file is mounted over each.
set -eu
wheels=$1 python=$2 work=$3 here=$(cd "$(dirname "$0")" && pwd)

if unshare -m true 2>/dev/null; then unshare="unshare -m"
elif unshare -rm true 2>/dev/null; then unshare="unshare -rm"
else
  echo "skipped: no mount namespace can be made here"
  exit 77
fi
rm -rf "$work"
mkdir -p "$work"
"$python" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check uvloop "$wheels"/smartvpn-*.whl
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
  -addext subjectAltName=DNS:localhost -keyout "$work/key.pem" -out "$work/cert.pem" 2>/dev/null
for library in libssl3 libuv1 libsodium23 libsqlite3-0 libqrencode4 libpng16-16 \
    nlohmann-json3-dev libfmt-dev node-llhttp; do
  test -s "$work"/venv/lib/python3*/site-packages/smartvpn-*.dist-info/licenses/$library.txt ||
    { echo "no licence of $library in the wheel"; exit 1; }
done
# shellcheck disable=SC2086,SC2016
exec $unshare sh -c '
  for file in /usr/lib/*/libuv.so* /usr/lib/*/libsodium.so* /usr/lib/*/libsqlite3.so* /usr/lib/*/libqrencode.so* \
      /usr/lib/*/libpng16.so*; do
    [ ! -f "$file" ] || [ -L "$file" ] || mount --bind /dev/null "$file"
  done
  exec timeout 120 "$@"' sh "$work/venv/bin/python" "$here/wheel_program.py" "$work/cert.pem" "$work/key.pem"
