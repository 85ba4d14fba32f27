"""Live sessions: `server.sessions`, a mapping from session ids to what is known of each."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Iterator, List, Mapping, Optional

from . import _native
from ._handle import Handle, NotCopied
from .errors import NotFoundError
from .traffic import Connection


@dataclass
class Session(Connection):
    """A live session, as it was when it was asked for. "In" is from the client to the server.

    remote_addr   the client's real address and port; None if unknown
    peer_addr     the socket's, which may be a proxy
    since, last_seen   milliseconds since 1970-01-01 UTC
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
