#!/usr/bin/env bash
# From nothing to a running VPN behind HAProxy, on one machine: installs what is missing, builds the
# library and the command, lays out a small internet in network namespaces and shows, from the running
# system, that the server knows its client's real address, carries traffic, and refuses whom it should.
#   scripts/demo.sh              everything
#   scripts/demo.sh --no-build   with what build/release holds already
# Ends with 0 only if every step happened. Leaves nothing behind but build/release.
#
#   client    198.51.100.10 --+
#                             +-- edge: 198.51.100.1, HAProxy on 203.0.113.5:443 --- server: 192.0.2.2
#   stranger  198.51.100.66 --+         192.0.2.1, sends PROXY v2                    10.99.0.1 behind it
set -euo pipefail
cd "$(dirname "$0")/.."

case "${1:-}" in
  "") build=1 ;;
  --no-build) build=0 ;;
  *) echo "usage: scripts/demo.sh [--no-build]" >&2; exit 2 ;;
esac

say() { printf '\n== %s\n' "$*"; }
show() { printf '   %s\n' "$*"; }
fail() { printf '\ndemo failed: %s\n' "$*" >&2; exit 1; }

if [ $build = 1 ]; then
  say "Installing and building (library and command only)"
  started=$SECONDS
  scripts/setup.sh demo
  log=$(mktemp)
  if ! { cmake --preset release -DSMARTVPN_BUILD_EXAMPLES=OFF &&
         cmake --build --preset release -j "$(nproc)" --target smartvpn smartvpn_cli; } >"$log" 2>&1; then
    tail -n 40 "$log" >&2
    rm -f "$log"
    fail "the build"
  fi
  rm -f "$log"
  show "done in $((SECONDS - started)) s"
fi
[ "$(id -u)" = 0 ] || exec sudo -- "$0" --no-build

smartvpn=$PWD/build/release/apps/smartvpn/smartvpn
[ -x "$smartvpn" ] || fail "$smartvpn is not there; run without --no-build"

# ---- what is started here ends here: the shell's own children, and namespaces by their name ------------
work=$(mktemp -d /tmp/smartvpn-demo.XXXXXX)
name=svpn$$
client=$name-client stranger=$name-stranger edge=$name-edge server=$name-server
# Of the programs that were started; never a number that may be somebody else's by now.
running() { jobs -pr; }
is_running() { local all; all=$(running); [[ $'\n'$all$'\n' == *$'\n'$1$'\n'* ]]; }
cleanup() {
  trap - EXIT INT TERM HUP
  for pid in $(running); do kill "$pid" || true; done
  for _ in $(seq 30); do [ -n "$(running)" ] && sleep 0.1; done
  for pid in $(running); do kill -9 "$pid" || true; done
  wait || true
  for ns in $client $stranger $edge $server; do ip netns del "$ns" || true; done
  rm -rf "$work"
}
trap 'cleanup 2>/dev/null' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# start NAME NAMESPACE COMMAND...: in the background, output to $work/NAME.{out,err}; sets $started_pid
start() {
  local label=$1 ns=$2
  shift 2
  ip netns exec "$ns" "$@" >"$work/$label.out" 2>"$work/$label.err" &
  started_pid=$!
}
# await SECONDS WHAT COMMAND...: until the command succeeds
await() {
  local deadline=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $deadline ] || { tail -n 5 "$work"/*.err >&2 || true; fail "$what did not happen in time"; }
    sleep 0.1
  done
}
# event FILE FILTER: the first event that the jq filter takes, as JSON; fails if there is none
event() { jq -cenR "first(inputs | fromjson? | select($2))" "$work/$1.out"; }
# stop WHAT PID: SIGTERM, and it must end with 0
stop() {
  local code=0
  is_running "$2" || fail "$1 had ended before it was told to"
  kill -TERM "$2"
  for _ in $(seq 100); do is_running "$2" || break; sleep 0.1; done
  ! is_running "$2" || fail "$1 did not stop on SIGTERM"
  wait "$2" || code=$?
  [ $code = 0 ] || fail "$1 ended with $code"
}

# ---- the network -------------------------------------------------------------------------------------
say "A network of four namespaces: client, stranger, edge (HAProxy), server"
[ -e /dev/net/tun ] || modprobe tun 2>/dev/null || true
[ -e /dev/net/tun ] || fail "/dev/net/tun is missing: the kernel has no tun devices here"
for ns in $client $stranger $edge $server; do
  ip netns add "$ns" || fail "network namespaces are not allowed here"
  ip -n "$ns" link set lo up
done
# link NS ADDRESS PEER_NS PEER_DEVICE PEER_ADDRESS: a veth pair; it is "wan" at the first end
link() {
  ip link add wan netns "$1" type veth peer name "$4" netns "$3"
  ip -n "$1" addr add "$2" dev wan
  ip -n "$3" addr add "$5" dev "$4"
  ip -n "$1" link set wan up
  ip -n "$3" link set "$4" up
}
link $client 198.51.100.10/24 $edge client 198.51.100.1/32
link $stranger 198.51.100.66/24 $edge stranger 198.51.100.1/32
link $server 192.0.2.2/30 $edge server 192.0.2.1/30
ip -n $edge route add 198.51.100.10/32 dev client
ip -n $edge route add 198.51.100.66/32 dev stranger
ip -n $edge addr add 203.0.113.5/32 dev lo
for ns in $client $stranger; do ip -n "$ns" route add default via 198.51.100.1; done
# What the clients want to reach: a network behind the server.
ip -n $server addr add 10.99.0.1/32 dev lo
ip -n $server addr add fd00:99::1/128 dev lo nodad
await 10 "the way from the client to the edge" ip netns exec $client ping -c 1 -W 1 203.0.113.5
await 10 "the way from the edge to the server" ip netns exec $edge ping -c 1 -W 1 192.0.2.2
show "client 198.51.100.10 and stranger 198.51.100.66 reach the edge at 203.0.113.5"
show "only the edge (192.0.2.1) reaches the server (192.0.2.2)"

# ---- configurations ----------------------------------------------------------------------------------
umask 077
for who in server alice mallory; do "$smartvpn" keygen --json >"$work/$who.key"; done
private() { jq -r .private_key "$work/$1.key"; }
public() { jq -r .public_key "$work/$1.key"; }

cat >"$work/server.json" <<JSON
{
  "listen": [{"transport": "websocket", "address": "192.0.2.2", "port": 8000,
              "public_url": "ws://203.0.113.5:443/tunnel",
              "proxy_protocol": {"mode": "v2", "trusted_proxies": ["192.0.2.1"], "local": "health"}}],
  "keys": {"noise_private_key": "$(private server)"},
  "network": {"subnets": ["10.8.0.0/24", "fd00:8::/64"],
              "routes": ["10.8.0.0/24", "fd00:8::/64", "10.99.0.0/24", "fd00:99::/64"]},
  "forwarding": {"mode": "tun"},
  "tun": {"name": "vpn0"},
  "security": {"connection_ip_block_list": ["198.51.100.66"]},
  "clients": [{"id": "alice-laptop", "noise_public_key": "$(public alice)"},
              {"id": "mallory", "noise_public_key": "$(public mallory)"}]
}
JSON
for who in alice mallory; do
  cat >"$work/$who.json" <<JSON
{
  "server": "ws://203.0.113.5:443/tunnel",
  "keys": {"noise_private_key": "$(private $who)", "server_public_key": "$(public server)"}
}
JSON
done
cat >"$work/haproxy.cfg" <<'CFG'
global
    maxconn 200
defaults
    mode tcp
    timeout connect 5s
    timeout client 1h
    timeout server 1h
frontend vpn
    bind 203.0.113.5:443
    unique-id-format %{+X}o%ci%cp%Ts%rt
    default_backend smartvpn
backend smartvpn
    option httpchk GET /healthz
    server vpn1 192.0.2.2:8000 check send-proxy-v2 proxy-v2-options crc32c,unique-id
CFG
for config in server alice; do "$smartvpn" check --config "$work/$config.json" >/dev/null; done

# ---- the programs ------------------------------------------------------------------------------------
say "smartvpn serve, stock HAProxy in front of it, smartvpn connect"
start server $server "$smartvpn" serve --events --config "$work/server.json"
server_pid=$started_pid
await 10 "listening" event server '.type == "listening"'
start haproxy $edge haproxy -db -f "$work/haproxy.cfg"
haproxy_pid=$started_pid
await 10 "HAProxy" ip netns exec $edge bash -c 'exec 3<>/dev/tcp/203.0.113.5/443'
start alice $client "$smartvpn" connect --events --tun tun0 --config "$work/alice.json"
client_pid=$started_pid
listening=$(event server '.type == "listening"' | jq -r .address)
show "server listens on $listening and takes PROXY headers from 192.0.2.1 only"
show "$(haproxy -v | sed -n '1s/^\([^ ]* [^ ]* [^ ]*\).*/\1/p') forwards 203.0.113.5:443 to it with send-proxy-v2"

say "The session: its real address, not the proxy's"
await 20 "session_up at the server" event server '.type == "session_up"'
await 20 "session_up at the client" event alice '.type == "session_up"'
up=$(event server '.type == "session_up" and .client_id == "alice-laptop"')
show "$up"
remote=$(jq -r .remote_addr <<<"$up") peer=$(jq -r .peer_addr <<<"$up")
inner=$(jq -r '.addresses | join(" ")' <<<"$up")
[[ $remote == 198.51.100.10:* ]] || fail "the real address is $remote, not 198.51.100.10"
[[ $peer == 192.0.2.1:* ]] || fail "the proxy's address is $peer, not 192.0.2.1"
[[ $inner == "10.8.0."*" fd00:8::"* ]] || fail "the inner addresses are $inner"
at_client=$(event alice '.type == "session_up"' | jq -r '.addresses | join(" ")')
[ "$at_client" = "$inner" ] || fail "the client believes to have $at_client"
show "client's real address   $remote   (from the PROXY v2 header)"
show "came through the proxy  $peer"
show "inner addresses         $inner"

# ---- traffic -----------------------------------------------------------------------------------------
say "Ping through the tunnel, both families"
for target in 10.8.0.1 10.99.0.1 fd00:8::1 fd00:99::1; do
  result=$(ip netns exec $client ping -n -c 5 -i 0.2 -W 2 -I tun0 "$target") || fail "no answer from $target"
  show "$(printf '%-11s' "$target") $(grep -o '[0-9]* received' <<<"$result"), $(tail -n 1 <<<"$result")"
done

say "Throughput with iperf3, 4 s each way, one TCP connection"
start iperf-edge $edge iperf3 -s -B 203.0.113.5
start iperf-server $server iperf3 -s -B 10.99.0.1
# rate TARGET [OPTION]: Mbit/s that arrived
rate() {
  local target=$1
  shift
  timeout 30 ip netns exec $client iperf3 -J --connect-timeout 5000 -t 4 -c "$target" "$@" 2>>"$work/iperf.err" |
    jq -er '.end.sum_received.bits_per_second / 1e6 | round | select(. > 0)'
}
listens() { ip netns exec "$1" ss -Hltn "sport = :5201" | grep -q .; }
await 10 "iperf3 at the edge" listens $edge
await 10 "iperf3 at the server" listens $server
plain_up=$(rate 203.0.113.5) || fail "iperf3 over the plain veth"
plain_down=$(rate 203.0.113.5 -R) || fail "iperf3 over the plain veth, downwards"
tunnel_up=$(rate 10.99.0.1) || fail "iperf3 through the tunnel"
tunnel_down=$(rate 10.99.0.1 -R) || fail "iperf3 through the tunnel, downwards"
show "$(printf '%-34s %10s %12s' "Mbit/s" "to server" "from server")"
show "$(printf '%-34s %10s %12s' "plain veth, client to edge" "$plain_up" "$plain_down")"
show "$(printf '%-34s %10s %12s' "tunnel through HAProxy to server" "$tunnel_up" "$tunnel_down")"

# ---- the relay in HAProxy's place ---------------------------------------------------------------------
say "smartvpn relay in HAProxy's place: ten lines, and the server sees the same real address"
cat >"$work/relay.json" <<'JSON'
{
  "listen": [{"address": "203.0.113.5", "port": 443}],
  "routes": [{
    "name": "vpn",
    "action": {
      "targets": [{"host": "192.0.2.2", "port": 8000}],
      "send_proxy_protocol": "v2"
    }
  }]
}
JSON
"$smartvpn" check --config "$work/relay.json" >/dev/null
kill -TERM "$haproxy_pid"
for _ in $(seq 100); do is_running "$haproxy_pid" || break; sleep 0.1; done
! is_running "$haproxy_pid" || fail "HAProxy did not stop on SIGTERM"
start relay $edge "$smartvpn" relay --events --config "$work/relay.json"
relay_pid=$started_pid
await 10 "the relay" event relay '.type == "listening"'
second='.type == "session_up" and .client_id == "alice-laptop" and .session_id != '$(jq -r .session_id <<<"$up")
await 30 "the client's next session" event server "$second"
again=$(event server "$second")
show "$again"
again_addr=$(jq -r .remote_addr <<<"$again")
[[ $again_addr == 198.51.100.10:* ]] || fail "through the relay the real address is another"
[[ $(jq -r .peer_addr <<<"$again") == 192.0.2.1:* ]] || fail "it did not come through the relay"
ip netns exec $client ping -n -c 3 -i 0.2 -W 2 -I tun0 10.99.0.1 >/dev/null || fail "no answer through the relay"
relay_up=$(rate 10.99.0.1) || fail "iperf3 through the relay"
relay_down=$(rate 10.99.0.1 -R) || fail "iperf3 through the relay, downwards"
show "$(printf '%-34s %10s %12s' "tunnel through the relay to server" "$relay_up" "$relay_down")"

# ---- whom it refuses ---------------------------------------------------------------------------------
say "A registered client from a blocked address (198.51.100.66)"
start mallory $stranger "$smartvpn" connect --events --tun tun0 --config "$work/mallory.json"
mallory_pid=$started_pid
await 20 "connection_rejected" event server '.type == "connection_rejected" and .reason == "ip_block_list"'
no=$(event server '.type == "connection_rejected" and .reason == "ip_block_list"')
show "$no"
[[ $(jq -r .remote_addr <<<"$no") == 198.51.100.66:* ]] || fail "somebody else was refused"
await 10 "the stranger's failure" event mallory '.type == "log" and .message == "no connection"'
! event mallory '.type == "session_up"' >/dev/null || fail "the stranger got a session"
! event server '.type == "session_up" and .client_id == "mallory"' >/dev/null || fail "the stranger got a session"
stop "the stranger's smartvpn connect" "$mallory_pid"
show "refused by its real address, before it said a word of its own; the proxy's address is not blocked"

# ---- the end -----------------------------------------------------------------------------------------
say "SIGTERM to the client, then to the server"
stop "smartvpn connect" "$client_pid"
ended='.type == "session_down" and .session_id == '$(jq -r .session_id <<<"$again")
await 10 "session_down" event server "$ended"
down=$(event server "$ended")
show "$down"
stop "smartvpn relay" "$relay_pid"
jq -e '.bytes_in > 1000000 and .bytes_out > 1000000' <<<"$down" >/dev/null || fail "too few bytes were counted"
stop "smartvpn serve" "$server_pid"
[ ! -s "$work/server.err" ] || fail "the server complained: $(head -n 1 "$work/server.err")"

say "Summary"
show "real address through HAProxy   ${remote%:*} (proxy ${peer%:*})"
show "inner addresses                $inner"
show "real address through our relay ${again_addr%:*}"
show "throughput up / down           $tunnel_up / $tunnel_down Mbit/s (veth $plain_up / $plain_down)"
show "blocked address                198.51.100.66, ip_block_list"
show "every step happened; $SECONDS s in all"
