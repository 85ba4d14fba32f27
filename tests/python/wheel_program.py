"""The release wheel at work beside ssl and uvloop: a server and a tunnel over TLS, and a packet through both.

  wheel_program.py CERTIFICATE KEY

Run where the system's libuv, libsodium and others cannot be loaded: what is mapped has to be the wheel's own.
"""
import asyncio
import ctypes
import json
import pathlib
import ssl
import struct
import sys

import uvloop

import smartvpn._native as native

WAIT = 20.0
BUNDLED = {"libuv": "1", "libsodium": "23", "libsqlite3": "0", "libqrencode": "4", "libpng16": "16"}
ELSEWHERE = "192.0.2.1"  # behind the host


def ipv4_packet(source: str, destination: str, payload: bytes) -> bytes:
    """A UDP packet without a UDP checksum, which IPv4 allows."""
    udp = struct.pack("!HHHH", 4000, 4001, 8 + len(payload), 0) + payload
    addresses = bytes(int(part) for address in (source, destination) for part in address.split("."))
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0) + addresses
    total = sum(struct.unpack("!10H", header))
    total = (total & 0xFFFF) + (total >> 16)
    checksum = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    return header[:10] + struct.pack("!H", checksum) + header[12:] + udp


async def readable(descriptor: int) -> None:
    """Until a descriptor of the library's is readable, on uvloop's own libuv."""
    loop = asyncio.get_running_loop()
    came = loop.create_future()
    loop.add_reader(descriptor, lambda: came.done() or came.set_result(None))
    try:
        await asyncio.wait_for(came, WAIT)
    finally:
        loop.remove_reader(descriptor)


async def event(events: object, wanted: int) -> dict[str, object]:
    while True:
        for kind, line in native.events_take(events, 16):
            if kind == wanted:
                return json.loads(line)
        await readable(native.events_fd(events))


async def serve(certificate: str, key: str) -> None:
    private = native.key_generate()
    server = native.server_create(native.config_from_json(native.CONFIG_SERVER, json.dumps({
        "listen": [{"transport": "websocket", "address": "127.0.0.1", "port": 0,
                    "tls": {"certificate": certificate, "key": key}}],
        "keys": {"noise_private_key": private},
        "network": {"subnets": ["10.8.0.0/24"]},
        "forwarding": {"mode": "host"},
    })))
    events = native.events_open(server, native.EVENTS_ALL, 256)
    native.server_start(server)
    port = json.loads(native.server_endpoints(server))[0]["address"].rpartition(":")[2]
    made = native.client_create(server, json.dumps({"id": "alice"}))
    config = json.loads(native.credentials_config(made))
    config["server"] = f"wss://127.0.0.1:{port}/tunnel"
    config["tls"] = {"ca": certificate, "server_name": "localhost"}
    config["forwarding"] = {"mode": "host"}
    tunnel = native.tunnel_create(native.config_from_json(native.CONFIG_TUNNEL, json.dumps(config)))
    native.tunnel_start(tunnel)
    up = await event(events, native.EVENT_SESSION_UP)
    await asyncio.to_thread(native.tunnel_wait_connected, tunnel, int(WAIT * 1000))

    arena, meta = bytearray(65536), bytearray(native.PACKET_SIZE)
    packet = ipv4_packet(up["addresses"][0].partition("/")[0], ELSEWHERE, b"through the wheel")
    assert native.packets_pack([packet], arena, meta) == 1
    assert native.tunnel_packets_write(tunnel, arena, meta, 1) == 1
    while not native.packets_read(server, arena, meta, 1):
        await readable(native.packets_fd(server))
    (came,) = native.packets_slice(memoryview(arena), meta, 1)
    assert bytes(came[28:]) == b"through the wheel", bytes(came)

    # Python's own TLS, on its own OpenSSL, against the server's.
    context = ssl.create_default_context(cafile=certificate)
    reader, writer = await asyncio.open_connection("127.0.0.1", int(port), ssl=context,
                                                   server_hostname="localhost")
    writer.write(b"GET /tunnel HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert (await asyncio.wait_for(reader.read(64), WAIT)).startswith(b"HTTP/1.1 4")
    writer.close()
    native.tunnel_free(tunnel)
    native.server_free(server)


def mapped() -> set[str]:
    lines = pathlib.Path("/proc/self/maps").read_text().splitlines()
    return {line.split()[-1] for line in lines if ".so" in line}


def main() -> None:
    for name, version in BUNDLED.items():
        try:
            ctypes.CDLL(f"{name}.so.{version}")
        except OSError:
            continue
        raise SystemExit(f"the system's {name} can be loaded: nothing would be shown")
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    loop.run_until_complete(serve(*sys.argv[1:3]))
    loop.close()
    assert native.qr_encode("smartvpn", native.QR_PNG).startswith(b"\x89PNG")
    files = mapped()
    for name in (*BUNDLED, "libssl", "libcrypto"):
        ours = [file for file in files if f"/smartvpn.libs/{name}-" in file]
        theirs = [file for file in files if f"/{name}.so" in file]
        assert len(ours) == 1, (name, ours)
        assert bool(theirs) == (name in ("libssl", "libcrypto")), (name, theirs)
        print(name, *ours, *theirs)


main()
