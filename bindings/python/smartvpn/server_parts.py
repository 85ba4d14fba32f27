"""What a server says of itself: its state, what it listens on, and what became of a changed key."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from . import _native
from ._model import Model


class ServerState(str, enum.Enum):
    CREATED = "created"
    RUNNING = "running"
    DRAINING = "draining"
    STOPPED = "stopped"

    def __str__(self) -> str:
        return str(self.value)


STATES = {getattr(_native, f"SERVER_{state.name}"): state for state in ServerState}


@dataclass
class Endpoint(Model):
    """What the server listens on: the index in `listen`, the carrier, and "address:port" with the kernel's
    port."""

    listener: int = 0
    transport: str = ""
    address: str = ""

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])


@dataclass
class Change(Model):
    """What became of a changed key: "applied", "needs_listener_restart" or "needs_server_restart"."""

    path: str = ""
    result: str = ""
