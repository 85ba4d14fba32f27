"""What the tests of relays share: targets, clients, PROXY v2 headers taken apart and put together by hand."""

from __future__ import annotations

import contextlib
import queue
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, Iterator, Optional

import smartvpn
from support import PATIENCE

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
AUTHORITY, UNIQUE_ID = 0x02, 0x05  # TLVs


@dataclass
class Header:
    """What a v2 header of a TCP connection over IPv4 says."""

    source: str
    destination: str
    tlvs: Dict[int, bytes] = field(default_factory=dict)


def receive(peer: socket.socket, size: int) -> bytes:
    """Exactly so many bytes; fewer only at the end of the stream."""
    out = b""
    while len(out) < size:
        some = peer.recv(size - len(out))
        if not some:
            break
        out += some
    return out


def read_header(peer: socket.socket) -> Header:
    start = receive(peer, 16)
    assert start[:12] == SIGNATURE and start[12:14] == b"\x21\x11", start  # v2, PROXY; TCP over IPv4
    body = receive(peer, int.from_bytes(start[14:16], "big"))
    source, target, source_port, target_port = struct.unpack("!4s4sHH", body[:12])
    header = Header(
        f"{socket.inet_ntoa(source)}:{source_port}", f"{socket.inet_ntoa(target)}:{target_port}"
    )
    rest = body[12:]
    while rest:
        kind, length = struct.unpack("!BH", rest[:3])
        assert 3 + length <= len(rest)
        header.tlvs[kind] = rest[3 : 3 + length]
        rest = rest[3 + length :]
    return header


def write_header(source: str, destination: str) -> bytes:
    ends = [address.split(":") for address in (source, destination)]
    body = b"".join(socket.inet_aton(ip) for ip, _ in ends)
    body += struct.pack("!HH", *(int(port) for _, port in ends))
    return SIGNATURE + b"\x21\x11" + len(body).to_bytes(2, "big") + body


class Target:
    """A server on loopback that sends everything back behind its name. With `headers` it takes a PROXY header
    from each connection first and keeps it."""

    def __init__(self, name: bytes = b"", headers: bool = False) -> None:
        self._name, self._takes_headers = name, headers
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._headers: "queue.Queue[Header]" = queue.Queue()
        self._serving: Dict[socket.socket, threading.Thread] = {}
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def header(self) -> Header:
        """The next connection's."""
        return self._headers.get(timeout=PATIENCE)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                peer = self._listener.accept()[0]
                self._serving[peer] = threading.Thread(target=self._serve, args=(peer,), daemon=True)
                self._serving[peer].start()

    def _serve(self, peer: socket.socket) -> None:
        with peer, contextlib.suppress(OSError):
            if self._takes_headers:
                self._headers.put(read_header(peer))
            peer.sendall(self._name)
            while True:
                some = peer.recv(65536)
                if not some:
                    break
                peer.sendall(some)
        self._serving.pop(peer, None)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join(PATIENCE)
        for peer, thread in list(self._serving.items()):
            with contextlib.suppress(OSError):
                peer.shutdown(socket.SHUT_RDWR)
            thread.join(PATIENCE)

    def __enter__(self) -> Target:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def listener(port: int = 0, **keys: Any) -> smartvpn.RelayListener:
    return smartvpn.RelayListener(port, "127.0.0.1", **keys)


def route(
    port: int,
    name: Optional[str] = None,
    *,
    send: Optional[str] = None,
    match: Optional[smartvpn.RelayMatch] = None,
) -> smartvpn.RelayRoute:
    """To this port on loopback."""
    action = smartvpn.RelayAction([smartvpn.RelayTarget("127.0.0.1", port)], send)
    return smartvpn.RelayRoute(action, match, name)


def make_relay(port: int, *, send: Optional[str] = None, **keys: Any) -> smartvpn.Relay:
    """One on loopback, all of whose connections go to this port; not started."""
    return smartvpn.Relay(listen=[listener(**keys)], routes=[route(port, send=send)])


@contextlib.contextmanager
def client(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as made:
        yield made


@contextlib.contextmanager
def unwanted(port: int) -> Iterator[socket.socket]:
    """A client that may be turned away before it knows that it is connected."""
    with socket.socket() as made:
        made.settimeout(PATIENCE)
        made.bind(("127.0.0.1", 0))
        with contextlib.suppress(ConnectionResetError):
            made.connect(("127.0.0.1", port))
        yield made


def asks(peer: socket.socket, question: bytes) -> bytes:
    """What comes back, as much as was sent."""
    peer.sendall(question)
    return receive(peer, len(question))


def name_of(peer: socket.socket) -> str:
    return "%s:%d" % peer.getsockname()


def ended(peer: socket.socket) -> bool:
    """Waits for the end of a connection, regular or not; False if something comes instead."""
    try:
        return peer.recv(1) == b""
    except ConnectionResetError:
        return True


def eventually(holds: Callable[[], bool]) -> bool:
    """Whether it holds in time; for what nothing announces."""
    end = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.002)
    return True
