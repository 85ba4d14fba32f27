"""The configuration of a server as dataclasses. Fields are the keys of docs/CONFIGURATION.md, which has their
meaning, ranges and defaults; what is None is left to the library. The library judges values, not these
classes."""

from __future__ import annotations

import dataclasses
import datetime
from dataclasses import dataclass
from typing import Any, ClassVar, Dict, Mapping, Optional, Sequence, Tuple, Type, Union

from . import _check
from ._model import Model, part, parts, secret


@dataclass
class Tls(Model):
    """Certificate chain and private key, each the path of a PEM file or PEM text."""

    certificate: Optional[str] = None
    key: Optional[str] = secret()


@dataclass
class ProxyProtocol(Model):
    """The PROXY protocol in front of a listener's connections; `mode` is "off", "v1", "v2" or "any"."""

    mode: Optional[str] = None
    trusted_proxies: Optional[Sequence[str]] = None
    header_timeout_ms: Optional[int] = None
    local: Optional[str] = None
    addressless: Optional[str] = None
    max_header_bytes: Optional[int] = None


@dataclass
class Listener(Model):
    """What every listener has. Use WebSocket, Quic or WireGuard.

    `proxy_protocol` may be the mode alone: WebSocket(port=8443, proxy_protocol="v2",
    trusted_proxies=["10.0.0.0/8"])."""

    port: Optional[int] = None
    address: Optional[str] = None
    fd: Optional[int] = None
    path: Optional[str] = None
    public_url: Optional[str] = None
    tls: Optional[Tls] = part(Tls.from_dict)
    proxy_protocol: Union[None, str, ProxyProtocol] = part(ProxyProtocol.from_dict)
    real_ip_header: Optional[str] = None
    real_ip_trusted_proxies: Optional[Sequence[str]] = None
    trusted_proxies: dataclasses.InitVar[Optional[Sequence[str]]] = None

    transport: ClassVar[str] = ""

    def __post_init__(self, trusted_proxies: Optional[Sequence[str]]) -> None:
        if isinstance(self.proxy_protocol, str):
            self.proxy_protocol = ProxyProtocol(self.proxy_protocol, trusted_proxies)
        elif trusted_proxies is not None:
            raise TypeError('trusted_proxies goes with proxy_protocol="v2", or into ProxyProtocol(...)')

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.fixed = {"transport": cls.transport}


@dataclass
class WebSocket(Listener):
    """A WebSocket listener."""

    transport: ClassVar[str] = "websocket"


@dataclass
class Quic(Listener):
    """A QUIC listener."""

    transport: ClassVar[str] = "quic"


@dataclass
class WireGuard(Listener):
    """A WireGuard listener."""

    transport: ClassVar[str] = "wireguard"


def listener_of(data: Mapping[str, Any]) -> Listener:
    """The listener of its JSON."""
    kinds: Tuple[Type[Listener], ...] = (WebSocket, Quic, WireGuard)
    for kind in kinds:
        if kind.transport == data.get("transport"):
            return kind.from_dict(data)
    raise ValueError(f"no listener has the transport {data.get('transport')!r}")


@dataclass
class Keys(Model):
    """The server's private keys, base64."""

    noise_private_key: Optional[str] = secret()
    noise_next_private_key: Optional[str] = secret()
    wireguard_private_key: Optional[str] = secret()


@dataclass
class Network(Model):
    """The network inside the tunnels."""

    subnets: Optional[Sequence[str]] = None
    mtu: Optional[int] = None
    dns: Optional[Sequence[str]] = None
    routes: Optional[Sequence[str]] = None
    client_to_client: Optional[bool] = None
    host_services: Optional[Sequence[str]] = None
    multicast: Optional[bool] = None
    wireguard_endpoint: Optional[str] = None


@dataclass
class WireGuardSessions(Model):
    """Sessions of WireGuard clients, and the configurations that they get."""

    session_timeout_s: Optional[int] = None
    persistent_keepalive_s: Optional[int] = None
    uapi_socket: Optional[str] = None


@dataclass
class Performance(Model):
    """How the work is done; `aead` is "automatic", "openssl", "sodium", "avx2" or "avx512"."""

    aead: Optional[str] = None


@dataclass
class Forwarding(Model):
    """What stands behind the tunnels: "tun", "host" or "testing". A plain text stands for
    Forwarding(text)."""

    mode: Optional[str] = None


@dataclass
class Tun(Model):
    """The kernel device of forwarding mode "tun"."""

    name: Optional[str] = None
    fd: Optional[int] = None
    masquerade: Optional[bool] = None
    masquerade_interface: Optional[str] = None


@dataclass
class Security(Model):
    """Who may connect, and how often."""

    connection_ip_block_list: Optional[Sequence[str]] = None
    max_connections_per_ip: Optional[int] = None
    new_connections_per_ip_per_minute: Optional[int] = None
    max_handshakes_in_progress: Optional[int] = None
    upgrade_timeout_ms: Optional[int] = None
    authorize: Optional[str] = None
    authorize_timeout_ms: Optional[int] = None


@dataclass
class SessionDefaults(Model):
    """The configuration's `session`."""

    keepalive_interval_ms: Optional[int] = None


@dataclass
class Registry(Model):
    """Where registered clients are kept: `store` is "memory" or "sqlite"."""

    store: Optional[str] = None
    path: Optional[str] = None
    keep_private_keys: Optional[bool] = None


@dataclass
class Limits(Model):
    """What the server may take; 0 is no limit."""

    threads: Optional[int] = None
    memory_bytes: Optional[int] = None
    sessions: Optional[int] = None
    event_queue: Optional[int] = None


@dataclass
class Telemetry(Model):
    """What is told about clients."""

    client_label: Optional[bool] = None


@dataclass
class RateLimit(Model):
    """Bytes of inner packets a second; 0 is no limit."""

    from_client_bytes_per_second: Optional[int] = None
    from_client_burst_bytes: Optional[int] = None
    to_client_bytes_per_second: Optional[int] = None
    to_client_burst_bytes: Optional[int] = None


@dataclass
class ClientSecurity(Model):
    """From where a client may connect, what it may reach, and how fast."""

    ip_allow_list: Optional[Sequence[str]] = None
    ip_block_list: Optional[Sequence[str]] = None
    destination_allow_list: Optional[Sequence[str]] = None
    destination_block_list: Optional[Sequence[str]] = None
    rate_limit: Optional[RateLimit] = part(RateLimit.from_dict)


@dataclass
class Client(Model):
    """A client, as a configuration describes it and as the registry is told to create it."""

    id: Optional[str] = None
    noise_public_key: Optional[str] = None
    enabled: Optional[bool] = None
    expires_at: Union[None, int, str, datetime.datetime] = None
    addresses: Optional[Sequence[str]] = None
    max_sessions: Optional[int] = None
    description: Optional[str] = None
    tags: Optional[Sequence[str]] = None
    security: Optional[ClientSecurity] = part(ClientSecurity.from_dict)
    wireguard_public_key: Optional[str] = None
    wireguard_preshared_key: Optional[str] = secret()
    subnets: Optional[Sequence[str]] = None
    allow_overlap: Optional[bool] = None
    transports: Optional[Sequence[str]] = None
    session_policy: Optional[str] = None
    priority: Optional[int] = None


@dataclass
class ServerConfig(Model):
    """A whole configuration of a server. `Server(listen=[...], ...)` makes one of its keywords."""

    listen: Optional[Sequence[Listener]] = parts(listener_of)
    keys: Optional[Keys] = part(Keys.from_dict)
    network: Optional[Network] = part(Network.from_dict)
    forwarding: Union[None, str, Forwarding] = part(Forwarding.from_dict)
    tun: Optional[Tun] = part(Tun.from_dict)
    security: Optional[Security] = part(Security.from_dict)
    session: Optional[SessionDefaults] = part(SessionDefaults.from_dict)
    wireguard: Optional[WireGuardSessions] = part(WireGuardSessions.from_dict)
    performance: Optional[Performance] = part(Performance.from_dict)
    registry: Optional[Registry] = part(Registry.from_dict)
    limits: Optional[Limits] = part(Limits.from_dict)
    telemetry: Optional[Telemetry] = part(Telemetry.from_dict)
    clients: Optional[Sequence[Client]] = parts(Client.from_dict)

    def __post_init__(self) -> None:
        if isinstance(self.forwarding, str):
            self.forwarding = Forwarding(self.forwarding)

    @classmethod
    def from_json(cls, text: str) -> ServerConfig:
        """Of JSON text. What is wrong with it in itself is an InvalidError or UnsupportedError with its
        path."""
        return cls.from_dict(_check.checked_dict(_check.SERVER, text))

    def validate(self) -> None:
        """Raises what Server(...) would, but for what that has to compile or to read; touches nothing
        outside."""
        _check.validate(_check.SERVER, self.to_dict())

    def without_secrets(self) -> Dict[str, Any]:
        """As a dictionary, with the private keys left out."""
        return _check.without_secrets(_check.SERVER, self.to_dict())
