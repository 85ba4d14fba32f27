"""What the tests of smartvpn._native share: configurations, servers, tunnels, waiting."""
import contextlib
import json
import select
from typing import Any, Iterator

import smartvpn._native as native

WAIT_MS = 20000


class Failure(Exception):
    """What the error factory of these tests makes."""

    def __init__(self, status: int, path: str, system_errno: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.path = path
        self.system_errno = system_errno
        self.text = text


def server_config(**changes: Any) -> str:
    config: dict[str, Any] = {
        "listen": [{"transport": "websocket", "address": "127.0.0.1", "port": 0}],
        "keys": {"noise_private_key": native.key_generate()},
        "network": {"subnets": ["10.8.0.0/24"]},
        "forwarding": {"mode": "host"},
    }
    config.update(changes)
    return json.dumps(config)


def new_server(**changes: Any) -> Any:
    config = native.config_from_json(native.CONFIG_SERVER, server_config(**changes))
    try:
        return native.server_create(config)
    finally:
        native.config_free(config)


@contextlib.contextmanager
def running_server(**changes: Any) -> Iterator[Any]:
    server = new_server(**changes)
    try:
        native.server_start(server)
        yield server
    finally:
        with contextlib.suppress(Failure, RuntimeError):  # freed by the test
            native.server_free(server)


def new_tunnel(server: Any, client: str) -> Any:
    """A tunnel for a new client of the server, started."""
    made = native.client_create(server, json.dumps({"id": client}))
    config = json.loads(native.credentials_config(made) or "")
    native.credentials_free(made)
    config["forwarding"] = {"mode": "host"}
    parsed = native.config_from_json(native.CONFIG_TUNNEL, json.dumps(config))
    tunnel = native.tunnel_create(parsed)
    native.config_free(parsed)
    native.tunnel_start(tunnel)
    return tunnel


@contextlib.contextmanager
def connected_tunnel(server: Any, client: str) -> Iterator[Any]:
    tunnel = new_tunnel(server, client)
    try:
        native.tunnel_wait_connected(tunnel, WAIT_MS)
        yield tunnel
    finally:
        native.tunnel_free(tunnel)


def wait_readable(descriptor: int) -> None:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    assert poll.poll(WAIT_MS), "the descriptor never became readable"


def next_event(events: Any, wanted: int) -> dict[str, Any]:
    """The next event of a type, as an object; others before it are dropped."""
    while True:
        taken = native.events_take(events, 1)
        if not taken:
            wait_readable(native.events_fd(events))
        elif taken[0][0] == wanted:
            found: dict[str, Any] = json.loads(taken[0][1])
            return found


def udp_packet(source: str, destination: str, payload: bytes) -> bytes:
    """An IPv4 packet with a UDP datagram in it, whose checksum IPv4 lets us leave out."""
    length = 28 + len(payload)
    addresses = bytes(int(part) for address in (source, destination) for part in address.split("."))
    header = bytearray(b"\x45\0" + length.to_bytes(2, "big") + b"\0\1\0\0\x40\x11\0\0" + addresses)
    total = sum(int.from_bytes(header[at : at + 2], "big") for at in range(0, 20, 2))
    total = (total & 0xFFFF) + (total >> 16)
    header[10:12] = (~((total & 0xFFFF) + (total >> 16)) & 0xFFFF).to_bytes(2, "big")
    return bytes(header) + b"\x0f\xa0\x0f\xa1" + (length - 20).to_bytes(2, "big") + b"\0\0" + payload
