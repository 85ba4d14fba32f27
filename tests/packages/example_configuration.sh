#!/bin/sh
# example_configuration.sh COMMAND EXAMPLE_FOLDER CONFIGURATION.md WORK: the daemon's example is accepted once a key is in
# it, refused as it is, and the page beside it explains every key that it has.
set -eu
smartvpn=$1 example=$2 reference=$3 work=$4
mkdir -p "$work"
if "$smartvpn" check --config "$example/server.json.example" 2> "$work/refused"; then exit 1; fi
grep -q /keys/noise_private_key "$work/refused"
key=$("$smartvpn" keygen | sed -n 's/^private key: *//p')
sed "s|replace this with[^\"]*|$key|" "$example/server.json.example" > "$work/server.json"
"$smartvpn" check --config "$work/server.json"
for name in $(grep -o '^  "[a-z_]*"' "$example/server.json.example" | tr -d ' "'); do
  grep -q "^| \`$name[.\`\[]" "$example/README.md" || { echo "README.md does not explain $name"; exit 1; }
  grep -q "^| \`/$name" "$reference"
done
