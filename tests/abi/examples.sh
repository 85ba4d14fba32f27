#!/bin/sh
# examples.sh SOURCE WORK: the C examples build by the line at their top, without a warning, and run.
set -eu
source=$1 work=$2
mkdir -p "$work"
cd "$work"
for name in minimal embed own_loop packet_engine; do
  $CC -Wall -Wextra -Wpedantic -Werror "$source/$name.c" $(pkg-config --cflags --libs smartvpn) -o $name
done
# It serves until it is stopped.
timeout 3 ./minimal > minimal.out || true
grep -q '"noise_private_key"' minimal.out
grep -q '"type":"listening"' minimal.out
./embed 1 > embed.out
grep -q '"noise_private_key"' embed.out
grep -q '"type":"client_changed"' embed.out
cat > config.json <<'JSON'
{"listen": [{"transport": "websocket", "address": "127.0.0.1", "port": 0}],
 "keys": {"noise_private_key": "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo="},
 "network": {"subnets": ["10.8.0.0/24"]}}
JSON
./own_loop config.json 1 | grep -q '"type":"listening"'
if ./own_loop nothing.json 1 2> /dev/null; then echo "a missing configuration must be an error"; exit 1; fi
# It counts until a signal ends it, and then ends well.
./packet_engine config.json 1 > packet_engine.out & engine=$!
until grep -q '"transport":"websocket"' packet_engine.out; do kill -0 $engine; done
kill -INT $engine
wait $engine
if ./packet_engine nothing.json 2> /dev/null; then echo "a missing configuration must be an error"; exit 1; fi
