"""A complete VPN server, its dialling end, or a layer-4 relay, inside your own process.

    with smartvpn.Server(listen=[smartvpn.WebSocket(port=8443)], forwarding="testing") as server:
        alice = server.clients.create("alice-laptop")
        for event in server.events():
            print(event.type, event.remote_addr)

docs/PYTHON.md is the way through it, docs/CONFIGURATION.md lists every key.
"""

from __future__ import annotations

import logging

from . import _native, errors
from .authorize import Decision, Request, RequestStream
from .clients import Clients, ClientPage, ClientStats, RegisteredClient, Rotation
from .config import (
    Client,
    ClientSecurity,
    Forwarding,
    Keys,
    Limits,
    Listener,
    Network,
    Performance,
    ProxyProtocol,
    Quic,
    RateLimit,
    Registry,
    Security,
    ServerConfig,
    SessionDefaults,
    Telemetry,
    Tls,
    Tun,
    WebSocket,
    WireGuard,
    WireGuardSessions,
)
from .credentials import Credentials
from .errors import (
    BadHandleError,
    BadStateError,
    BufferTooSmallError,
    ClosedError,
    ConflictError,
    Error,
    ExistsError,
    ForkedError,
    InternalError,
    InvalidError,
    LimitError,
    NoMemoryError,
    NotFoundError,
    NothingThereError,
    RefusedError,
    SecretNotKeptError,
    SystemCallError,
    TimedOutError,
    UnsupportedError,
    WokenError,
)
from .events import Event, EventStream, EventType
from .keys import abi_version, generate_key, has, public_key, qr, version
from .packets import PacketBatch, Packets
from .relay import Relay
from .relay_config import (
    PortRange,
    RelayAction,
    RelayConfig,
    RelayLimits,
    RelayListener,
    RelayMatch,
    RelayRoute,
    RelaySecurity,
    RelayTarget,
    RelayTargetTls,
    RelayTimeouts,
    RelayTls,
    RelayTlvs,
)
from .relay_parts import RelayConnection, RelayEndpoint, RelayState
from .server import Server
from .server_parts import Change, Endpoint, ServerState
from .sessions import Session, Sessions
from .stats import RelayStats, Snapshot, Stats
from .transactions import Transaction
from .tunnel import Tunnel, TunnelInfo, TunnelState
from .tunnel_config import Reconnect, TunnelConfig, TunnelKeys, TunnelProxyProtocol, TunnelTls, TunnelTun

_native.set_error_factory(errors.make_error)
logging.getLogger("smartvpn").addHandler(logging.NullHandler())

__version__ = version()
__all__ = [
    "BadHandleError",
    "BadStateError",
    "BufferTooSmallError",
    "Change",
    "Client",
    "ClientPage",
    "ClientSecurity",
    "ClientStats",
    "Clients",
    "ClosedError",
    "ConflictError",
    "Credentials",
    "Decision",
    "Endpoint",
    "Error",
    "Event",
    "EventStream",
    "EventType",
    "ExistsError",
    "ForkedError",
    "Forwarding",
    "InternalError",
    "InvalidError",
    "Keys",
    "LimitError",
    "Limits",
    "Listener",
    "Network",
    "NoMemoryError",
    "NotFoundError",
    "NothingThereError",
    "PacketBatch",
    "Packets",
    "Performance",
    "PortRange",
    "ProxyProtocol",
    "Quic",
    "RateLimit",
    "Reconnect",
    "RefusedError",
    "RegisteredClient",
    "Registry",
    "Relay",
    "RelayAction",
    "RelayConfig",
    "RelayConnection",
    "RelayEndpoint",
    "RelayLimits",
    "RelayListener",
    "RelayMatch",
    "RelayRoute",
    "RelaySecurity",
    "RelayState",
    "RelayStats",
    "RelayTarget",
    "RelayTargetTls",
    "RelayTimeouts",
    "RelayTls",
    "RelayTlvs",
    "Request",
    "RequestStream",
    "Rotation",
    "SecretNotKeptError",
    "Security",
    "Server",
    "ServerConfig",
    "ServerState",
    "Session",
    "SessionDefaults",
    "Sessions",
    "Snapshot",
    "Stats",
    "SystemCallError",
    "Telemetry",
    "TimedOutError",
    "Tls",
    "Transaction",
    "Tun",
    "Tunnel",
    "TunnelConfig",
    "TunnelInfo",
    "TunnelKeys",
    "TunnelProxyProtocol",
    "TunnelState",
    "TunnelTls",
    "TunnelTun",
    "UnsupportedError",
    "WebSocket",
    "WireGuard",
    "WireGuardSessions",
    "WokenError",
    "abi_version",
    "generate_key",
    "has",
    "public_key",
    "qr",
    "version",
]
