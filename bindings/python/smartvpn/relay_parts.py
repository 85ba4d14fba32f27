"""What a relay says of itself: its state, where it listens, and its open connections."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Dict, Optional

from . import _native
from ._model import Model


class RelayState(str, enum.Enum):
    CREATED = "created"
    RUNNING = "running"
    DRAINING = "draining"
    STOPPED = "stopped"

    def __str__(self) -> str:
        return str(self.value)


STATES = {getattr(_native, f"RELAY_{state.name}"): state for state in RelayState}


@dataclass
class RelayEndpoint(Model):
    """Where the relay listens: the index in `listen`, "tcp" or "udp", and "address:port" with the kernel's port."""

    listener: int = 0
    transport: str = "tcp"
    address: str = ""

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])


@dataclass
class RelayConnection(Model):
    """An open connection, or a client's datagrams, as it was when it was asked for. "In" is from the client.

    remote_addr   the client's real address and port; None if unknown
    vouched       whether a trusted proxy has said it
    peer_addr     the socket's, which may be a proxy
    transport     "tcp" or "udp"
    client_id     the VPN client it is of, if that is known
    stage         "header", "hello", "handshake", "connecting" or "relaying"
    host          the name the client asked for, if it is known
    since         milliseconds since 1970-01-01 UTC
    """

    id: int = 0
    listener: int = 0
    transport: str = "tcp"
    peer_addr: str = ""
    remote_addr: Optional[str] = None
    vouched: bool = False
    client_id: Optional[str] = None
    tlvs: Dict[str, str] = field(default_factory=dict)
    host: Optional[str] = None
    route: Optional[str] = None
    stage: str = ""
    target: Optional[str] = None
    bytes_in: int = 0
    bytes_out: int = 0
    since: int = 0
