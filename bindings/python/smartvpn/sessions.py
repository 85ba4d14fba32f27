"""Live sessions: `server.sessions`, a mapping from session ids to what is known of each."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Dict, Iterator, List, Mapping, Optional

from . import _native
from ._handle import Handle, NotCopied
from ._model import Model
from .errors import NotFoundError


@dataclass
class Session(Model):
    """A live session, as it was when it was asked for. "In" is from the client to the server.

    remote_addr   the client's real address and port; None if unknown
    peer_addr     the socket's, which may be a proxy
    since, last_seen   milliseconds since 1970-01-01 UTC
    rtt_us        smoothed, microseconds; 0 before the first sample, as rtt_min_us and jitter_us
    loss_ppm      None where the carrier cannot lose
    drops         packets dropped, by reason
    """

    id: int = 0
    client_id: str = ""
    listener: int = 0
    transport: str = ""
    remote_addr: Optional[str] = None
    peer_addr: str = ""
    addresses: List[str] = field(default_factory=list)
    since: int = 0
    last_seen: int = 0
    inner_packets_in: int = 0
    inner_bytes_in: int = 0
    inner_packets_out: int = 0
    inner_bytes_out: int = 0
    outer_messages_in: int = 0
    outer_bytes_in: int = 0
    outer_messages_out: int = 0
    outer_bytes_out: int = 0
    drops: Dict[str, int] = field(default_factory=dict)
    rtt_us: int = 0
    rtt_min_us: int = 0
    jitter_us: int = 0
    loss_ppm: Optional[int] = None
    health: str = ""


class Sessions(NotCopied, Mapping[int, Session]):
    """A mapping of the sessions that live now. Each look asks the server; NotFoundError, which is a KeyError,
    for the id of one that has ended. BadStateError unless the server runs."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    def __getitem__(self, session_id: int) -> Session:
        try:
            return Session.from_dict(json.loads(_native.session_get(self._handle.raw, session_id)))
        except OverflowError:
            raise NotFoundError(f"no session has the number {session_id}") from None

    def __iter__(self) -> Iterator[int]:
        return iter([session.id for session in self.list()])

    def __len__(self) -> int:
        return len(json.loads(_native.session_list(self._handle.raw)))

    def list(self) -> List[Session]:
        """All of them, in order of id, of one moment."""
        return [Session.from_dict(session) for session in json.loads(_native.session_list(self._handle.raw))]

    def of_client(self, client_id: str) -> List[Session]:
        return [session for session in self.list() if session.client_id == client_id]

    def disconnect(self, session_id: int) -> None:
        """Ends it with reason "disconnected"; the client may come back."""
        _native.session_disconnect(self._handle.raw, session_id)

    def __repr__(self) -> str:
        return "<smartvpn sessions>"
