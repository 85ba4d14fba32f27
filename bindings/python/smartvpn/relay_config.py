"""The configuration of a relay as dataclasses: fields are the keys of docs/CONFIGURATION.md, which has their
meaning, ranges and defaults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Sequence, Union

from . import _check
from ._model import Model, part, parts
from .config import Tls


@dataclass
class PortRange(Model):
    """The ports from `first` to `last`, both in it; JSON calls them "from" and "to"."""

    first: Optional[int] = None
    last: Optional[int] = None

    def to_dict(self) -> Dict[str, Any]:
        ends = {"from": self.first, "to": self.last}
        return {name: port for name, port in ends.items() if port is not None}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> PortRange:
        return cls(data.get("from"), data.get("to"))


Ports = Union[int, Sequence[Union[int, PortRange]]]


def _ports_of(data: Any) -> Any:
    """Ports of their JSON."""
    if not isinstance(data, (list, tuple)):
        return data
    out: List[Any] = [PortRange.from_dict(entry) if isinstance(entry, Mapping) else entry for entry in data]
    return out


@dataclass
class RelayListener(Model):
    """Where the relay listens, on one port or several.

    Who is in front and tells clients' addresses: RelayListener(443, accept_proxy_protocol="v2",
    trusted_proxies=["10.0.0.0/8"])."""

    port: Optional[int] = None
    address: Optional[str] = None
    ports: Optional[Ports] = None
    protocol: Optional[str] = None
    accept_proxy_protocol: Optional[str] = None
    trusted_proxies: Optional[Sequence[str]] = None
    may_assert_identity: Optional[Sequence[str]] = None
    untrusted: Optional[str] = None
    addressless: Optional[str] = None
    max_header_bytes: Optional[int] = None

    def __post_init__(self) -> None:
        self.ports = _ports_of(self.ports)


@dataclass
class RelayMatch(Model):
    """Which connections a route takes; what is left out matches all."""

    ports: Optional[Ports] = None
    domains: Optional[Sequence[str]] = None
    client_ip: Optional[Sequence[str]] = None
    tls_versions: Optional[Sequence[str]] = None
    protocol: Optional[str] = None

    def __post_init__(self) -> None:
        self.ports = _ports_of(self.ports)


@dataclass
class RelayTarget(Model):
    """Where to connect; the port "preserve" is the one the client came to."""

    host: Optional[str] = None
    port: Union[None, int, str] = None


@dataclass
class RelayTargetTls(Model):
    """How a target's certificate is checked, where the relay speaks TLS to it."""

    ca: Optional[str] = None
    server_name: Optional[str] = None
    verify: Optional[bool] = None


@dataclass
class RelayTls(Model):
    """What happens to TLS: `mode` is "passthrough", "terminate" or "terminate-and-reencrypt"."""

    mode: Optional[str] = None
    certificates: Optional[Sequence[Tls]] = parts(Tls.from_dict)
    alpn: Optional[Sequence[str]] = None
    target: Optional[RelayTargetTls] = part(RelayTargetTls.from_dict)


@dataclass
class RelayTlvs(Model):
    """What else a v2 header says to the target."""

    authority: Optional[bool] = None
    alpn: Optional[bool] = None
    ssl: Optional[bool] = None
    unique_id: Optional[bool] = None
    identity: Optional[bool] = None
    crc32c: Optional[bool] = None
    unknown: Optional[bool] = None


@dataclass
class RelayAction(Model):
    """Where a route's connections go; `send_proxy_protocol` is "off", "v1" or "v2". RelayAction(type="vpn")
    leads into the server that `Relay.set_server` names."""

    targets: Optional[Sequence[RelayTarget]] = parts(RelayTarget.from_dict)
    send_proxy_protocol: Optional[str] = None
    balance: Optional[str] = None
    proxy_tlvs: Optional[RelayTlvs] = part(RelayTlvs.from_dict)
    half_open: Optional[bool] = None
    tls: Optional[RelayTls] = part(RelayTls.from_dict)
    type: Optional[str] = None


@dataclass
class RelayRoute(Model):
    """What happens to the connections that match."""

    action: Optional[RelayAction] = part(RelayAction.from_dict)
    match: Optional[RelayMatch] = part(RelayMatch.from_dict)
    name: Optional[str] = None
    enabled: Optional[bool] = None
    priority: Optional[int] = None
    max_connections: Optional[int] = None


@dataclass
class RelayTimeouts(Model):
    """How long a connection may take, in milliseconds."""

    proxy_header_ms: Optional[int] = None
    first_bytes_ms: Optional[int] = None
    connect_ms: Optional[int] = None
    idle_ms: Optional[int] = None
    lifetime_ms: Optional[int] = None
    half_open_ms: Optional[int] = None
    udp_idle_ms: Optional[int] = None


@dataclass
class RelayLimits(Model):
    """What the relay may take."""

    threads: Optional[int] = None
    connections: Optional[int] = None
    connections_per_ip: Optional[int] = None
    new_connections_per_ip_per_minute: Optional[int] = None
    addresses: Optional[int] = None
    event_queue: Optional[int] = None


@dataclass
class RelaySecurity(Model):
    """Who may come, by real address."""

    ip_block_list: Optional[Sequence[str]] = None
    ip_allow_list: Optional[Sequence[str]] = None


@dataclass
class RelayConfig(Model):
    """A whole configuration of a relay. `Relay(listen=[...], routes=[...])` makes one of its keywords."""

    listen: Optional[Sequence[RelayListener]] = parts(RelayListener.from_dict)
    routes: Optional[Sequence[RelayRoute]] = parts(RelayRoute.from_dict)
    timeouts: Optional[RelayTimeouts] = part(RelayTimeouts.from_dict)
    limits: Optional[RelayLimits] = part(RelayLimits.from_dict)
    security: Optional[RelaySecurity] = part(RelaySecurity.from_dict)

    @classmethod
    def from_json(cls, text: str) -> RelayConfig:
        """Of JSON text. What is wrong with it in itself is an InvalidError or UnsupportedError with its
        path."""
        return cls.from_dict(_check.checked_dict(_check.RELAY, text))

    def validate(self) -> None:
        """Raises what Relay(...) would, but for what that has to compile or to read: domains, address lists
        and certificate files; touches nothing outside."""
        _check.validate(_check.RELAY, self.to_dict())

    def without_secrets(self) -> Dict[str, Any]:
        """As a dictionary, with the private keys left out."""
        return _check.without_secrets(_check.RELAY, self.to_dict())
