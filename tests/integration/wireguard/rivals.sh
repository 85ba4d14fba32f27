#!/usr/bin/env bash
# By hand: the cases of peers_test.py and crowd_test.py with every client that scripts/rivals.sh has built, and Debian's,
# against the smartvpn command, or against the stock program named by WIREGUARD_SERVER. Needs root.
#   tests/integration/wireguard/rivals.sh SMARTVPN          some four minutes
#   tests/integration/wireguard/rivals.sh SMARTVPN --long   also five minutes of each through two rekeys
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
rivals=$(cd "$here/../../.." && pwd)/build/rivals
smartvpn=$(realpath "${1:?usage: rivals.sh SMARTVPN [--long]}")
cases=(peers_test.py crowd_test.py)
[ "${2:-}" != --long ] || cases+=(long_rekey.py)

failed=0
for client in wireguard-go "$rivals/wireguard-go" "$rivals/bin/boringtun-cli"; do
  if ! command -v "$client" >/dev/null; then
    echo "== $client is not there and was not tried"
    continue
  fi
  for case in "${cases[@]}"; do
    echo "== $case with $client"
    WIREGUARD_CLIENT=$client /usr/bin/python3 -B "$here/$case" "$smartvpn" || failed=1
  done
done
exit $failed
