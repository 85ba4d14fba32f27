"""embed.py - a VPN server inside this program, behind a proxy that speaks PROXY v2: prints who really connects.

pip install ./bindings/python && python3 examples/python/embed.py
"""

import contextlib
import sys

import smartvpn

port = int(sys.argv[1]) if len(sys.argv) > 1 else 8443
proxies = sys.argv[2:] or ["127.0.0.1", "::1"]
listener = smartvpn.WebSocket(port=port, proxy_protocol="v2", trusted_proxies=proxies)

with smartvpn.Server(listen=[listener], forwarding="testing") as server:
    events = server.events(["session_up", "session_down", "connection_rejected"])
    alice = server.clients.create("alice-laptop")
    print(f"listening on {server.endpoints[0].address}; the other end is `smartvpn connect --config` of this:")
    print(alice.config, flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        for event in events:
            print(event.type, event.client_id, event.remote_addr, event.reason or "", flush=True)
