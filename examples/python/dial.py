"""dial.py - the other end, without privilege: dials with a client's configuration and pings the server inside the tunnel.

  python3 examples/python/dial.py embed.log --real 198.51.100.7:4711

`--real` plays the proxy in front of the server: it sends a PROXY v2 header with this as the client's address. The file
may hold other text before and after the JSON, as what embed.py prints.
"""

from __future__ import annotations

import argparse
import ipaddress
import json
import struct
import time

import smartvpn


def ping(source: str, target: str) -> bytes:
    """An IPv4 packet with an ICMP echo request without data."""
    ends = ipaddress.IPv4Address(source).packed + ipaddress.IPv4Address(target).packed
    header = bytearray(struct.pack("!BBHHHBBH", 0x45, 0, 28, 0, 0, 64, 1, 0) + ends)
    header[10:12] = struct.pack("!H", 0xFFFF - sum(struct.unpack("!10H", header)) % 0xFFFF)
    return bytes(header) + b"\x08\0\xf7\xff\0\0\0\0"


def main(options: argparse.Namespace) -> None:
    with open(options.file, encoding="utf-8") as file:
        text = file.read()
    config, _ = json.JSONDecoder().raw_decode(text, text.index("{"))
    config["forwarding"] = {"mode": "host"}  # the packets are ours: no kernel device, no root
    if options.real:
        config["proxy_protocol"] = {"send": "v2", "source": options.real, "destination": options.proxy}
    with smartvpn.Tunnel(config, connect_timeout=10) as tunnel:
        inner = tunnel.info.addresses[0]
        server = str(next(ipaddress.IPv4Network(tunnel.info.routes[0]).hosts()))
        print(f"connected to {tunnel.info.server_addr}, inner address {inner}", flush=True)
        packets = tunnel.packets()
        for _ in range(options.count):
            sent = time.monotonic()
            packets.write([ping(inner, server)])
            reply = packets.read(timeout=10)[0]
            print(f"{len(reply)} bytes from {server} in {(time.monotonic() - sent) * 1000:.2f} ms", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Dials a server and pings it through the tunnel.")
    parser.add_argument("file", help="a client's configuration")
    parser.add_argument("--real", help="play a proxy: the client's address to tell, such as 198.51.100.7:4711")
    parser.add_argument("--proxy", default="192.0.2.1:443", help="and the address it came in by")
    parser.add_argument("--count", type=int, default=3, help="pings to send")
    main(parser.parse_args())
