"""The dialling end of a tunnel inside this process."""

from __future__ import annotations

import asyncio
import enum
import json
from dataclasses import dataclass, field
from typing import Any, Iterable, List, Mapping, Optional, Union

from . import _check, _native
from ._handle import Handle, deadline_of, slice_ms
from ._model import plain
from ._running import Running, stop_in_slices
from ._wait import Readable
from .config import Forwarding
from .credentials import Credentials
from .errors import TimedOutError
from .events import EventStream, EventType, mask_of
from .packets import Packets
from .stats import Stats
from .traffic import Connection
from .tunnel_config import Reconnect, TunnelConfig, TunnelProxyProtocol, TunnelTls, TunnelTun

LOOK_AGAIN = 0.02  # seconds between two looks of aconnect


class TunnelState(str, enum.Enum):
    CREATED = "created"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    WAITING = "waiting"
    STOPPED = "stopped"

    def __str__(self) -> str:
        return str(self.value)


STATES = {getattr(_native, f"TUNNEL_{state.name}"): state for state in TunnelState}


@dataclass
class TunnelInfo(Connection):
    """What a tunnel has and knows; addresses, dns and routes once connected. Times are milliseconds since
    1970. `next_server_public_key` is there once the server has announced one: write it into your
    configuration."""

    state: str = ""
    server: str = ""
    server_addr: Optional[str] = None
    addresses: List[str] = field(default_factory=list)
    dns: List[str] = field(default_factory=list)
    routes: List[str] = field(default_factory=list)
    mtu: int = 0
    device: str = ""
    next_server_public_key: Optional[str] = None
    since: int = 0
    attempts: int = 0
    last_reason: str = ""
    last_detail: Optional[str] = None


def _stop(raw: Any, timeout: Optional[float]) -> None:
    stop_in_slices(lambda wait_ms: _native.tunnel_stop(raw, wait_ms), timeout)


class Tunnel(Running):
    """A tunnel, of the Credentials that `server.clients.create` gave, a TunnelConfig, a mapping or JSON text.
    The keywords replace parts of it: Tunnel(credentials, forwarding="host").

    `with Tunnel(...) as tunnel:` connects, waiting up to `connect_timeout` seconds (None: for ever), and
    closes it at the end; so does `async with`. It connects again whenever the connection is lost, until it is
    stopped."""

    def __init__(
        self,
        config: Union[Credentials, TunnelConfig, Mapping[str, Any], str],
        *,
        forwarding: Union[None, str, Forwarding] = None,
        proxy_protocol: Union[None, str, TunnelProxyProtocol] = None,
        tls: Optional[TunnelTls] = None,
        reconnect: Optional[Reconnect] = None,
        tun: Optional[TunnelTun] = None,
        server: Optional[str] = None,
        connect_timeout: Optional[float] = 30.0,
    ) -> None:
        if isinstance(config, Credentials):
            config = config.config
        parts = TunnelConfig(
            server=server,
            tls=tls,
            proxy_protocol=proxy_protocol,
            reconnect=reconnect,
            tun=tun,
            forwarding=forwarding,
        ).to_dict()
        with _check.native_config(_check.TUNNEL, config) as native:
            for name, value in parts.items():
                _native.config_set(native, f"/{name}", json.dumps(plain(value)))
            raw = _native.tunnel_create(native)
            self._config = TunnelConfig.from_dict(json.loads(_native.config_to_json(native, 1)))
        self._handle = Handle(
            raw, _native.tunnel_free, lambda ending: _stop(ending, None), "tunnel", ends_at_exit=True
        )
        self._packets_readable = Readable(self._handle, _native.tunnel_packets_fd)
        self._connect_timeout = connect_timeout

    @property
    def config(self) -> TunnelConfig:
        """What it was made of. Changing it changes nothing."""
        return self._config

    @property
    def state(self) -> TunnelState:
        if self._handle.closed:
            return TunnelState.STOPPED
        return STATES[_native.tunnel_state(self._handle.raw)]

    @property
    def info(self) -> TunnelInfo:
        return TunnelInfo.from_dict(json.loads(_native.tunnel_info(self._handle.raw)))

    @property
    def stats(self) -> Stats:
        """A snapshot of all counters, taken now. "In" is from the server."""
        return Stats(_native.tunnel_stats(self._handle.raw))

    def start(self) -> None:
        """Starts connecting, without waiting for the other side. BadStateError unless created."""
        _native.tunnel_start(self._handle.raw)

    def connect(self, timeout: Optional[float] = None) -> None:
        """Starts if that is still to be done, and waits until connected. RefusedError with the reason when
        the server has refused for good, TimedOutError after `timeout` seconds (it goes on trying),
        ClosedError once stopped."""
        deadline = self._begin(timeout)
        while not self._connected(slice_ms(deadline)):
            if slice_ms(deadline) == 0:
                raise TimedOutError(f"not connected in {timeout} s")

    async def aconnect(self, timeout: Optional[float] = None) -> None:
        """As connect, in an event loop."""
        deadline = self._begin(timeout)
        while not self._connected(0):
            if slice_ms(deadline) == 0:
                raise TimedOutError(f"not connected in {timeout} s")
            await asyncio.sleep(LOOK_AGAIN)

    def _begin(self, timeout: Optional[float]) -> Optional[float]:
        if self.state is TunnelState.CREATED:
            self.start()
        return deadline_of(timeout)

    def _connected(self, wait_ms: int) -> bool:
        try:
            _native.tunnel_wait_connected(self._handle.raw, wait_ms)
            return True
        except TimedOutError:
            return False

    def events(
        self, types: Optional[Iterable[Union[EventType, str]]] = None, capacity: int = 4096
    ) -> EventStream:
        """A new subscription; a tunnel has session_up, session_down, health_changed, log and lost."""
        return EventStream(_native.tunnel_events_open(self._handle.raw, mask_of(types), capacity))

    def packets(self, batch: int = 64, arena_bytes: int = 1 << 18) -> Packets:
        """The packets that the server sends, with forwarding "host"; BadStateError at first use with any
        other."""
        return Packets(
            self._handle,
            self._packets_readable,
            _native.tunnel_packets_read,
            _native.tunnel_packets_write,
            batch,
            arena_bytes,
        )

    def stop(self, timeout: Optional[float] = None) -> None:
        """Tells the server, undoes addresses and routes, ends. TimedOutError after `timeout` seconds: it then
        goes on in the background."""
        _stop(self._handle.raw, timeout)

    def close(self) -> None:
        """Stops if that is still to be done, ends every wait, and gives everything back. Closing twice is
        fine."""
        self._handle.close()

    def _enter(self) -> None:
        self.connect(self._connect_timeout)

    async def _aenter(self) -> None:
        await self.aconnect(self._connect_timeout)

    def _runs(self) -> bool:
        return self.state not in (TunnelState.CREATED, TunnelState.STOPPED)
