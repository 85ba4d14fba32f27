"""The configuration of a tunnel, the dialling end, as dataclasses: fields are the keys of
docs/CONFIGURATION.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Optional, Sequence, Union

from . import _check
from ._model import Model, part, secret
from .config import Forwarding


@dataclass
class TunnelKeys(Model):
    """Who we are and whom we expect, base64."""

    noise_private_key: Optional[str] = secret()
    server_public_key: Optional[str] = None


@dataclass
class TunnelTls(Model):
    """How the server's certificate is checked; `wss` only."""

    ca: Optional[str] = None
    pinned_sha256: Optional[str] = None
    server_name: Optional[str] = None
    verify: Optional[bool] = None


@dataclass
class TunnelProxyProtocol(Model):
    """A PROXY header to send first; `send` is "off", "v1" or "v2". A plain text stands for
    TunnelProxyProtocol(text)."""

    send: Optional[str] = None
    source: Optional[str] = None
    destination: Optional[str] = None


@dataclass
class Reconnect(Model):
    """What happens when the connection is lost."""

    enabled: Optional[bool] = None
    initial_ms: Optional[int] = None
    max_ms: Optional[int] = None


@dataclass
class TunnelTun(Model):
    """The kernel device of forwarding mode "tun"; `routes` is True, False or a list of prefixes."""

    name: Optional[str] = None
    routes: Union[None, bool, Sequence[str]] = None


@dataclass
class TunnelConfig(Model):
    """A whole configuration of a tunnel, such as the one that new credentials come with."""

    server: Optional[str] = None
    keys: Optional[TunnelKeys] = part(TunnelKeys.from_dict)
    tls: Optional[TunnelTls] = part(TunnelTls.from_dict)
    proxy_protocol: Union[None, str, TunnelProxyProtocol] = part(TunnelProxyProtocol.from_dict)
    reconnect: Optional[Reconnect] = part(Reconnect.from_dict)
    keepalive_interval_ms: Optional[int] = None
    mtu: Optional[int] = None
    tun: Optional[TunnelTun] = part(TunnelTun.from_dict)
    forwarding: Union[None, str, Forwarding] = part(Forwarding.from_dict)

    def __post_init__(self) -> None:
        if isinstance(self.forwarding, str):
            self.forwarding = Forwarding(self.forwarding)
        if isinstance(self.proxy_protocol, str):
            self.proxy_protocol = TunnelProxyProtocol(self.proxy_protocol)

    @classmethod
    def from_json(cls, text: str) -> TunnelConfig:
        """Of JSON text. What is wrong with it in itself is an InvalidError or UnsupportedError with its
        path."""
        return cls.from_dict(_check.checked_dict(_check.TUNNEL, text))

    def validate(self) -> None:
        """Raises what Tunnel(...) would; touches nothing outside."""
        _check.validate(_check.TUNNEL, self.to_dict())

    def without_secrets(self) -> Dict[str, Any]:
        """As a dictionary, with the private key left out."""
        return _check.without_secrets(_check.TUNNEL, self.to_dict())
