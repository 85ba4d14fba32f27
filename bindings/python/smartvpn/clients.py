"""The registry of a server: `server.clients`, a mapping from ids to clients, with everything that changes
them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Iterator, List, Mapping, Optional, Union

from . import _native
from ._handle import Handle, NotCopied
from ._model import Model, part, to_json
from .config import Client
from .credentials import Credentials, take_credentials
from .errors import SecretNotKeptError
from .traffic import Traffic
from .transactions import Transaction, description, patch

EXPORTS = {"native": _native.EXPORT_NATIVE, "wireguard": _native.EXPORT_WIREGUARD}


@dataclass
class Rotation(Model):
    """A change of keys that overlaps: the old ones are taken until `until` (milliseconds since 1970)."""

    previous_noise_public_key: str = ""
    previous_wireguard_public_key: Optional[str] = None
    until: int = 0
    seen: bool = False


@dataclass
class RegisteredClient(Client):
    """A client as the registry has it: every key but secrets, its revision, and a rotation while one
    overlaps."""

    revision: int = 0
    rotation: Optional[Rotation] = part(Rotation.from_dict)


@dataclass(frozen=True)
class ClientPage:
    """A page of clients. `next` is what to ask `after` for the next one; None on the last."""

    clients: List[RegisteredClient]
    next: Optional[str]
    matches: int
    revision: int


@dataclass
class ClientStats(Traffic):
    """A client's traffic since the server started, over all its sessions. Times are milliseconds since
    1970."""

    client_id: str = ""
    sessions_now: int = 0
    sessions_total: int = 0
    last_seen: Optional[int] = None
    rtt_us: Optional[int] = None
    rtt_min_us: Optional[int] = None
    jitter_us: Optional[int] = None
    loss_ppm: Optional[int] = None
    health: Optional[str] = None


class Clients(NotCopied, Mapping[str, RegisteredClient]):
    """A mapping of the registry: `clients["alice"]`, `"alice" in clients`, `len(clients)`, `del
    clients["alice"]`.

    Each look asks the server, so two of them may see different states. BadStateError unless the server runs.
    """

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    def __getitem__(self, client_id: str) -> RegisteredClient:
        return RegisteredClient.from_dict(json.loads(_native.client_get(self._handle.raw, client_id)))

    def __iter__(self) -> Iterator[str]:
        return iter([client["id"] for client in json.loads(_native.client_list(self._handle.raw))])

    def __len__(self) -> int:
        return self.query(limit=1).matches

    def __delitem__(self, client_id: str) -> None:
        self.remove(client_id)

    @property
    def revision(self) -> int:
        """The registry's revision: it grows by one with every change."""
        return int(_native.registry_revision(self._handle.raw))

    def list(self) -> List[RegisteredClient]:
        """All clients, in order of id, of one moment."""
        return [
            RegisteredClient.from_dict(client) for client in json.loads(_native.client_list(self._handle.raw))
        ]

    def create(self, client: Union[str, Client], **keys: Any) -> Credentials:
        """Creates a client, of its id and keys (`tags=["staff"]`) or of a Client, and gives what the other
        end needs. Without `noise_public_key` a key pair is made; now is the only time its private half is to
        be had. ExistsError, InvalidError with a path in the client's keys."""
        return take_credentials(_native.client_create(self._handle.raw, description(client, keys)))

    def update(
        self,
        client_id: str,
        changes: Optional[Mapping[str, Any]] = None,
        *,
        expected_revision: int = 0,
        **keys: Any,
    ) -> None:
        """Changes these keys and no others; None brings a key's default back, lists are replaced whole.
        ConflictError if the client's revision is not the expected one (0: whatever it is)."""
        _native.client_update(self._handle.raw, client_id, patch(changes, keys), expected_revision)

    def enable(self, client_id: str) -> None:
        _native.client_enable(self._handle.raw, client_id)

    def disable(self, client_id: str) -> None:
        """Its sessions end with reason "client_disabled"."""
        _native.client_disable(self._handle.raw, client_id)

    def remove(self, client_id: str) -> None:
        """Its sessions end with reason "client_removed"."""
        _native.client_remove(self._handle.raw, client_id)

    def rotate(
        self,
        client_id: str,
        *,
        overlap_seconds: Optional[int] = None,
        noise_public_key: Optional[str] = None,
        wireguard_public_key: Optional[str] = None,
    ) -> Credentials:
        """Gives a client new keys; the old ones are taken too for the overlap (a day, unless said)."""
        options = {
            "overlap_seconds": overlap_seconds,
            "noise_public_key": noise_public_key,
            "wireguard_public_key": wireguard_public_key,
        }
        text = to_json({key: value for key, value in options.items() if value is not None})
        return take_credentials(_native.client_rotate(self._handle.raw, client_id, text))

    def rotate_commit(self, client_id: str) -> None:
        """Ends the overlap now: the old keys are gone."""
        _native.client_rotate_commit(self._handle.raw, client_id)

    def rotate_roll_back(self, client_id: str) -> None:
        """Back to the old keys: the new ones are gone."""
        _native.client_rotate_roll_back(self._handle.raw, client_id)

    def export(self, client_id: str, format: str = "native", *, need_secret: bool = True) -> str:
        """The client's configuration once more, "native" (JSON) or "wireguard". SecretNotKeptError unless
        `registry.keep_private_keys` is set; with need_secret=False the text then comes with an empty private
        key."""
        if format not in EXPORTS:
            raise ValueError(f"format is one of {', '.join(EXPORTS)}, not {format!r}")
        text, kept = _native.client_export(self._handle.raw, client_id, EXPORTS[format])
        if need_secret and not kept:
            raise SecretNotKeptError("the registry does not keep private keys (registry.keep_private_keys)")
        return str(text)

    def query(
        self,
        *,
        after: Optional[str] = None,
        limit: Optional[int] = None,
        id_prefix: Optional[str] = None,
        tag: Optional[str] = None,
        enabled: Optional[bool] = None,
        online: Optional[bool] = None,
        text: Optional[str] = None,
    ) -> ClientPage:
        """A page of clients that fit, in order of id. `text` looks into id, description and tags."""
        keys = {
            "after": after,
            "limit": limit,
            "id_prefix": id_prefix,
            "tag": tag,
            "enabled": enabled,
            "online": online,
            "text": text,
        }
        asked = to_json({key: value for key, value in keys.items() if value is not None})
        page = json.loads(_native.client_query(self._handle.raw, asked))
        clients = [RegisteredClient.from_dict(client) for client in page["clients"]]
        return ClientPage(clients, page.get("next"), page["matches"], page["revision"])

    def pages(self, **keys: Any) -> Iterator[ClientPage]:
        """Every page of a query, one after another."""
        next_keys = keys
        while True:
            page = self.query(**next_keys)
            yield page
            if page.next is None:
                return
            next_keys = {**keys, "after": page.next}

    def stats(self, client_id: str) -> ClientStats:
        return ClientStats.from_dict(json.loads(_native.client_stats(self._handle.raw, client_id)))

    def transaction(self, *, expected_revision: int = 0) -> Transaction:
        """Several changes as one: `with server.clients.transaction() as changes: changes.create("alice")`
        commits when the block ends well and does nothing when it raises. ConflictError if the registry's
        revision is not the expected one (0: whatever it is)."""
        return Transaction(_native.transaction_begin(self._handle.raw), expected_revision)

    def __repr__(self) -> str:
        return "<smartvpn clients>"
