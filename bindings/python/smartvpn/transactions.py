"""Several changes of the registry as one, and how changes are written."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Dict, List, Mapping, Optional, Type, Union

from . import _native
from ._handle import Handle, Owner
from ._model import plain, to_json
from .config import Client
from .credentials import Credentials, take_credentials


def description(client: Union[str, Client], keys: Mapping[str, Any]) -> str:
    """A new client as JSON, of an id or a Client and further keys."""
    if isinstance(client, Client):
        return to_json({**client.to_dict(), **plain(keys)})
    if not isinstance(client, str):
        raise TypeError(f"a client is an id or a Client, not {type(client).__name__}")
    return to_json({"id": client, **keys})


def patch(changes: Optional[Mapping[str, Any]], keys: Mapping[str, Any]) -> str:
    """A merge patch as JSON."""
    return to_json({**(changes or {}), **keys})


class Transaction(Owner):
    """Changes that happen all at one moment, or not at all. Made by `server.clients.transaction()`.

    Nothing happens before commit. Each method notes a change and gives its index, by which the path of a
    commit's error begins ("/2/addresses/0") and by which `credentials` tells what a create has made."""

    def __init__(self, raw: Any, expected_revision: int) -> None:
        self._handle = Handle(raw, _native.transaction_free, lambda _: None, "transaction")
        self._expected_revision = expected_revision
        self._creates: List[bool] = []
        self._made: Dict[int, Credentials] = {}
        self.revision: Optional[int] = None  # the registry's, once committed

    def create(self, client: Union[str, Client], **keys: Any) -> int:
        _native.transaction_create(self._handle.raw, description(client, keys))
        return self._noted(creates=True)

    def update(self, client_id: str, changes: Optional[Mapping[str, Any]] = None, **keys: Any) -> int:
        _native.transaction_update(self._handle.raw, client_id, patch(changes, keys))
        return self._noted(creates=False)

    def remove(self, client_id: str) -> int:
        _native.transaction_remove(self._handle.raw, client_id)
        return self._noted(creates=False)

    def _noted(self, creates: bool) -> int:
        self._creates.append(creates)
        return len(self._creates) - 1

    def commit(self) -> int:
        """Makes the changes and gives the registry's new revision. After a failure it may be tried again."""
        self.revision = int(_native.transaction_commit(self._handle.raw, self._expected_revision))
        for index, creates in enumerate(self._creates):
            if creates:
                self._made[index] = take_credentials(_native.transaction_credentials(self._handle.raw, index))
        return self.revision

    def credentials(self, index: int) -> Credentials:
        """What the create with this index has made; KeyError before commit and for other changes."""
        return self._made[index]

    @property
    def made(self) -> List[Credentials]:
        """The credentials of all creates, in their order; empty before commit."""
        return list(self._made.values())

    def close(self) -> None:
        """Without commit nothing happens. What was made stays here."""
        self._handle.close()

    def __enter__(self) -> Transaction:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        try:
            if kind is None and self.revision is None:
                self.commit()
        finally:
            self.close()
