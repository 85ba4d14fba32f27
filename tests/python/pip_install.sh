#!/bin/sh
# pip_install.sh SOURCE PYTHON WORK BUILD: `pip install ./bindings/python` in a fresh virtual environment, a server that
# starts and stops with what is installed, and the word that there is no source distribution. BUILD may hold what
# was compiled before.
set -eu
source=$1 python=$2 work=$3 build=$4
rm -rf "$work"
mkdir -p "$work"
cd "$work"
"$python" -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check --config-settings=build-dir="$build" "$source/bindings/python"
venv/bin/python - <<'PROGRAM'
import importlib.metadata
import json
import pathlib

import smartvpn._native as native

assert importlib.metadata.version("smartvpn") == native.version()
folder = pathlib.Path(native.__file__).parent
assert pathlib.Path(native.__file__).name == "_native.abi3.so"
assert (folder / "_native.pyi").is_file()
server = native.server_create(native.config_from_json(native.CONFIG_SERVER, json.dumps({
    "listen": [{"transport": "websocket", "address": "127.0.0.1", "port": 0}],
    "keys": {"noise_private_key": native.key_generate()},
    "network": {"subnets": ["10.8.0.0/24"]},
    "forwarding": {"mode": "testing"},
})))
native.server_start(server)
print(native.server_endpoints(server))
native.server_free(server)
PROGRAM

# Nothing of the sources is missing in an archive that looks complete.
cat >hook.py <<'PROGRAM'
import os
import sys

import scikit_build_core.build as backend

os.chdir(sys.argv[1])
backend.build_sdist(sys.argv[2])
PROGRAM
venv/bin/pip install --quiet --disable-pip-version-check scikit-build-core
if venv/bin/python hook.py "$source/bindings/python" "$work" >sdist.log 2>&1; then
  echo "a source distribution was made, without the core"
  exit 1
fi
grep -q "There is no source distribution of the Python package" sdist.log || { cat sdist.log; exit 1; }
