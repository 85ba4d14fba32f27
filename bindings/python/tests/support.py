"""What the tests share: servers and tunnels on loopback, inner packets, and Python programs of their own."""

from __future__ import annotations

import ipaddress
import os
import struct
import subprocess
import sys
import textwrap
from typing import Any, List, Optional

import smartvpn

PATIENCE = 20.0  # seconds that nothing which works takes


def make_server(
    forwarding: str = "testing", *, listener: Optional[smartvpn.WebSocket] = None, **parts: Any
) -> smartvpn.Server:
    listen = [listener or smartvpn.WebSocket(port=0, address="127.0.0.1")]
    return smartvpn.Server(listen=listen, forwarding=forwarding, **parts)


def make_tunnel(server: smartvpn.Server, client_id: str = "alice", **parts: Any) -> smartvpn.Tunnel:
    """A tunnel of a new client, in mode "host" unless said, not started."""
    parts = {"forwarding": "host", "connect_timeout": PATIENCE, **parts}
    return smartvpn.Tunnel(server.clients.create(client_id), **parts)


def next_of(events: smartvpn.EventStream, kind: smartvpn.EventType) -> smartvpn.Event:
    """The next event of a type; others are skipped."""
    while True:
        event = events.next(PATIENCE)
        if event.type == kind:
            return event


async def anext_of(events: smartvpn.EventStream, kind: smartvpn.EventType) -> smartvpn.Event:
    while True:
        event = await events.anext(PATIENCE)
        if event.type == kind:
            return event


def checksum(data: bytes) -> int:
    total: int = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def udp_packet(source: str, destination: str, payload: bytes) -> bytes:
    """An inner packet of either family, with right checksums."""
    src, dst = ipaddress.ip_address(source).packed, ipaddress.ip_address(destination).packed
    length = 8 + len(payload)
    udp = struct.pack("!HHHH", 1000, 2000, length, 0) + payload
    if len(src) == 4:
        pseudo = src + dst + struct.pack("!BBH", 0, 17, length)
        header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + length, 0, 0, 64, 17, 0, src, dst)
        header = header[:10] + struct.pack("!H", checksum(header)) + header[12:]
    else:
        pseudo = src + dst + struct.pack("!IHBB", length, 0, 0, 17)
        header = struct.pack("!IHBB16s16s", 6 << 28, length, 17, 64, src, dst)
    return header + udp[:6] + struct.pack("!H", checksum(pseudo + udp) or 0xFFFF) + payload


def start_python(code: str, *arguments: str, malloc: str = "debug") -> "subprocess.Popen[str]":
    """Runs a program of these lines, which can import this module too. `malloc` as in PYTHONMALLOC."""
    here = os.path.dirname(os.path.abspath(__file__))
    package = os.path.dirname(os.path.dirname(os.path.abspath(smartvpn.__file__)))
    # What was not closed is told, and memory is checked. Not -X dev, whose event loops complain of a busy machine.
    path = os.pathsep.join([package, here])
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONMALLOC": malloc}
    return subprocess.Popen(
        [sys.executable, "-W", "always::ResourceWarning", "-c", textwrap.dedent(code), *arguments],
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
    )


def run_python(
    code: str, *arguments: str, patience: float = 3 * PATIENCE, malloc: str = "debug"
) -> "subprocess.CompletedProcess[str]":
    process = start_python(code, *arguments, malloc=malloc)
    try:
        out, err = process.communicate(timeout=patience)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"the program hangs:\n{out}\n{err}") from None
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def expect_clean(code: str, *arguments: str, patience: float = 3 * PATIENCE, malloc: str = "debug") -> str:
    """Runs a program that must end with 0 and say nothing on stderr; gives what it printed."""
    done = run_python(code, *arguments, patience=patience, malloc=malloc)
    assert (done.returncode, done.stderr) == (0, ""), f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def open_descriptors() -> List[str]:
    """What the process has open, the listing itself left out."""
    found = []
    for entry in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{entry}"))
        except OSError:
            continue
    return [target for target in found if not target.startswith("/proc/")]


def native_threads() -> List[str]:
    names = []
    for task in os.listdir("/proc/self/task"):
        try:
            with open(f"/proc/self/task/{task}/comm", encoding="utf-8") as name:
                names.append(name.read().strip())
        except OSError:
            continue
    return names
