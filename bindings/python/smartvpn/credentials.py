"""What a new or rotated client needs on its side."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Dict

from . import _native
from .tunnel_config import TunnelConfig


@dataclass(frozen=True)
class Credentials:
    """Private keys are shown here once and kept nowhere; repr() leaves them out.

    client                  the client as the registry has it
    private_key             base64; "" if you brought the public key
    config                  JSON text of a tunnel's configuration with which the client reaches this server
    wireguard_private_key   base64; "" if there is none or you brought the public key
    wireguard_config        for wg-quick and every WireGuard app; "" if the client has no WireGuard key
    """

    client: Dict[str, Any]
    private_key: str = field(repr=False)
    config: str = field(repr=False)
    wireguard_private_key: str = field(repr=False)
    wireguard_config: str = field(repr=False)

    @property
    def id(self) -> str:
        return str(self.client["id"])

    def tunnel_config(self) -> TunnelConfig:
        """`config` as dataclasses, to be changed before Tunnel(...) takes it."""
        return TunnelConfig.from_dict(json.loads(self.config))


def take_credentials(raw: Any) -> Credentials:
    """Reads the library's object and frees it."""
    try:
        return Credentials(
            client=json.loads(_native.credentials_client(raw) or "{}"),
            private_key=_native.credentials_private_key(raw) or "",
            config=_native.credentials_config(raw) or "",
            wireguard_private_key=_native.credentials_wireguard_private_key(raw) or "",
            wireguard_config=_native.credentials_wireguard_config(raw) or "",
        )
    finally:
        _native.credentials_free(raw)
