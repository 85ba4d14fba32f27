"""A layer-4 relay inside this process, which never loses the client's address."""

from __future__ import annotations

import asyncio
import copy
import json
from typing import Any, Iterable, List, Mapping, Optional, Sequence, Union

from . import _check, _native
from ._handle import Handle
from ._running import Running, stop_in_slices
from .errors import NotFoundError
from .events import EventStream, EventType, mask_of
from .relay_config import RelayConfig, RelayLimits, RelayListener, RelayRoute, RelaySecurity, RelayTimeouts
from .relay_parts import STATES, RelayConnection, RelayEndpoint, RelayState
from .server import Server
from .server_parts import Change
from .stats import RelayStats


def _stop(raw: Any, drain: float, timeout: Optional[float]) -> None:
    stop_in_slices(lambda wait_ms: _native.relay_stop(raw, round(drain * 1000), wait_ms), timeout)


class Relay(Running):
    """A relay, of a RelayConfig, a mapping or JSON text, or of the keywords, which are RelayConfig's fields.

    `with Relay(...) as relay:` starts it and closes it at the end; so does `async with`. It goes created ->
    running -> draining -> stopped, once. Methods may be called from any thread."""

    def __init__(
        self,
        config: Union[RelayConfig, Mapping[str, Any], str, None] = None,
        *,
        listen: Optional[Sequence[RelayListener]] = None,
        routes: Optional[Sequence[RelayRoute]] = None,
        timeouts: Optional[RelayTimeouts] = None,
        limits: Optional[RelayLimits] = None,
        security: Optional[RelaySecurity] = None,
    ) -> None:
        said = RelayConfig(listen, routes, timeouts, limits, security)
        if config is None:
            config = said
        elif said != RelayConfig():
            raise TypeError("a Relay is made of a configuration or of keywords, not of both")
        with _check.native_config(_check.RELAY, config) as native:
            raw = _native.relay_create(native)
            self._config = _as_config(config)
        self._handle = Handle(
            raw, _native.relay_free, lambda ending: _stop(ending, 0, None), "relay", ends_at_exit=True
        )

    @property
    def config(self) -> RelayConfig:
        """What it was made of, or last reconfigured to. Changing it changes nothing."""
        return copy.deepcopy(self._config)

    @property
    def state(self) -> RelayState:
        if self._handle.closed:
            return RelayState.STOPPED
        return STATES[_native.relay_state(self._handle.raw)]

    @property
    def endpoints(self) -> List[RelayEndpoint]:
        """Empty before start."""
        whole = json.loads(_native.relay_endpoints(self._handle.raw))
        return [RelayEndpoint.from_dict(entry) for entry in whole]

    @property
    def stats(self) -> RelayStats:
        """A snapshot of all counters, taken now. BadStateError unless it runs."""
        return RelayStats(_native.relay_stats(self._handle.raw))

    def start(self) -> None:
        """Binds; when it returns clients can connect. BadStateError unless created, SystemCallError (an
        OSError) for what the system refuses."""
        _native.relay_start(self._handle.raw)

    async def astart(self) -> None:
        """As start, without holding the loop up."""
        await asyncio.get_running_loop().run_in_executor(None, self.start)

    def stop(self, drain: float = 0.0, timeout: Optional[float] = None) -> None:
        """No new connections; those that are there may go on for `drain` seconds; everything ends.
        TimedOutError after `timeout` seconds: it then goes on in the background. Stopping twice is fine."""
        _stop(self._handle.raw, drain, timeout)

    async def astop(self, drain: float = 0.0, timeout: Optional[float] = None) -> None:
        await asyncio.get_running_loop().run_in_executor(None, self.stop, drain, timeout)

    def set_server(self, server: Optional[Server]) -> None:
        """Where routes of type "vpn" lead: into this server, at its first WebSocket listener, with the real
        address that the relay knows. None: nowhere, as at first; such a connection is then refused, as it is
        once the server has stopped."""
        if server is not None and not isinstance(server, Server):
            raise TypeError(f"a Server or None is needed, not {type(server).__name__}")
        _native.relay_set_server(self._handle.raw, None if server is None else server._handle.raw)

    def reload_certificates(self) -> None:
        """Reads certificate and key files again. On failure the old ones stay in use. BadStateError unless it
        runs."""
        _native.relay_reload_certificates(self._handle.raw)

    def events(
        self, types: Optional[Iterable[Union[EventType, str]]] = None, capacity: int = 4096
    ) -> EventStream:
        """A new subscription, of some types or all, which holds up to `capacity` events a lane; a relay has
        listening, connection_accepted, connection_rejected, connection_closed, target_changed, reconfigured
        and lost. Take it before start to miss nothing."""
        return EventStream(_native.relay_events_open(self._handle.raw, mask_of(types), capacity))

    def connections(self) -> List[RelayConnection]:
        """All open connections, in order of id. BadStateError unless it runs."""
        whole = json.loads(_native.relay_connections(self._handle.raw))
        return [RelayConnection.from_dict(connection) for connection in whole]

    def disconnect(self, connection: Union[RelayConnection, int]) -> None:
        """Ends a connection, or that with this id, with reason "disconnected". NotFoundError, a KeyError, for
        one that has ended."""
        number = connection.id if isinstance(connection, RelayConnection) else connection
        try:
            _native.relay_disconnect(self._handle.raw, number)
        except OverflowError:
            raise NotFoundError(f"no connection has the number {number}") from None

    def reconfigure(
        self, config: Union[RelayConfig, Mapping[str, Any], str], *, dry_run: bool = False
    ) -> List[Change]:
        """Applies every changed key that can be, and says what became of each; with dry_run only says so. All
        or nothing, and connections that are there go on as they began. `dataclasses.replace(relay.config,
        routes=[...])` makes a configuration that differs in one part."""
        flags = _native.RECONFIGURE_DRY_RUN if dry_run else 0
        with _check.native_config(_check.RELAY, config) as native:
            raw = _native.relay_reconfigure(self._handle.raw, native, flags)
            try:
                changes = json.loads(_native.changes_json(raw) or "[]")
            finally:
                _native.changes_free(raw)
        if not dry_run:
            self._config = _as_config(config)
        return [Change.from_dict(change) for change in changes]

    def close(self) -> None:
        """Stops at once if that is still to be done, ends every wait, and gives everything back. Closing
        twice is fine, and so is closing what belongs to the parent process, which only forgets it."""
        self._handle.close()

    def _enter(self) -> None:
        self.start()

    async def _aenter(self) -> None:
        await self.astart()

    def _runs(self) -> bool:
        return self.state in (RelayState.RUNNING, RelayState.DRAINING)


def _as_config(config: Union[RelayConfig, Mapping[str, Any], str]) -> RelayConfig:
    if isinstance(config, RelayConfig):
        return copy.deepcopy(config)
    return RelayConfig.from_json(_check.text_of(config))
