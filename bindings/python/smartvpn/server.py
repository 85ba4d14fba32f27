"""A VPN server inside this process."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import inspect
import json
from typing import Any, Callable, Iterable, List, Mapping, Optional, Sequence, TypeVar, Union

from . import _check, _native
from ._handle import Handle
from ._running import Running, stop_in_slices
from ._wait import Readable
from .authorize import DecidingTask, DecidingThread, Request, RequestStream, Verdict, answer
from .clients import Clients
from .config import (
    Client,
    Forwarding,
    Keys,
    Limits,
    Listener,
    Network,
    Performance,
    Registry,
    Security,
    ServerConfig,
    SessionDefaults,
    Telemetry,
    Tun,
    WireGuard,
    WireGuardSessions,
)
from .errors import BadStateError
from .events import EventStream, EventType, mask_of
from .keys import generate_key, public_key
from .packets import Packets
from .server_parts import STATES, Change, Endpoint, ServerState
from .sessions import Sessions
from .stats import Stats

F = TypeVar("F", bound=Callable[[Request], Any])


def _stop(raw: Any, drain: float, timeout: Optional[float]) -> None:
    stop_in_slices(lambda wait_ms: _native.server_stop(raw, round(drain * 1000), wait_ms), timeout)


class Server(Running):
    """A server, of a ServerConfig, a mapping or JSON text, or of the keywords, which are ServerConfig's
    fields.

    `with Server(...) as server:` starts it and closes it at the end; so does `async with`. It goes created ->
    running -> draining -> stopped, once. Methods may be called from any thread. Without `keys` a key is made,
    which is for tests: clients know a server by its key, so keep `server.config.keys` and bring it the next
    time. JSON text and mappings are taken literally and need theirs."""

    def __init__(
        self,
        config: Union[ServerConfig, Mapping[str, Any], str, None] = None,
        *,
        listen: Optional[Sequence[Listener]] = None,
        keys: Optional[Keys] = None,
        network: Optional[Network] = None,
        forwarding: Union[None, str, Forwarding] = None,
        tun: Optional[Tun] = None,
        security: Optional[Security] = None,
        session: Optional[SessionDefaults] = None,
        wireguard: Optional[WireGuardSessions] = None,
        performance: Optional[Performance] = None,
        registry: Optional[Registry] = None,
        limits: Optional[Limits] = None,
        telemetry: Optional[Telemetry] = None,
        clients: Optional[Sequence[Client]] = None,
    ) -> None:
        said = dict(
            listen=listen,
            keys=keys,
            network=network,
            forwarding=forwarding,
            tun=tun,
            security=security,
            session=session,
            wireguard=wireguard,
            performance=performance,
            registry=registry,
            limits=limits,
            telemetry=telemetry,
            clients=clients,
        )
        said = {name: value for name, value in said.items() if value is not None}
        if config is None:
            config = ServerConfig(**said)  # type: ignore[arg-type]
        elif said:
            raise TypeError("a Server is made of a configuration or of keywords, not of both")
        if isinstance(config, ServerConfig) and config.keys is None:
            made = Keys(noise_private_key=generate_key())
            if any(isinstance(listener, WireGuard) for listener in config.listen or ()):
                made.wireguard_private_key = generate_key()
            config = dataclasses.replace(config, keys=made)
        with _check.native_config(_check.SERVER, config) as native:
            raw = _native.server_create(native)
            self._config = _as_config(config)
        self._handle = Handle(
            raw, _native.server_free, lambda ending: _stop(ending, 0, None), "server", ends_at_exit=True
        )
        self._packets_readable = Readable(self._handle, _native.packets_fd)
        self._requests_readable = Readable(self._handle, _native.authorize_fd)
        self._decide: Optional[Callable[[Request], Any]] = None
        self._decider: Union[None, DecidingThread, DecidingTask] = None
        self.clients = Clients(self._handle)
        self.sessions = Sessions(self._handle)

    @property
    def config(self) -> ServerConfig:
        """What it was made of, or last reconfigured to, with the key that was made. Changing it changes
        nothing."""
        return copy.deepcopy(self._config)

    @property
    def public_key(self) -> str:
        """By what clients know this server, base64."""
        keys = self._config.keys
        if keys is None or keys.noise_private_key is None:
            raise BadStateError("the configuration has no noise_private_key")
        return public_key(keys.noise_private_key)

    @property
    def state(self) -> ServerState:
        if self._handle.closed:
            return ServerState.STOPPED
        return STATES[_native.server_state(self._handle.raw)]

    @property
    def endpoints(self) -> List[Endpoint]:
        """Empty unless running or draining."""
        return [Endpoint.from_dict(entry) for entry in json.loads(_native.server_endpoints(self._handle.raw))]

    @property
    def stats(self) -> Stats:
        """A snapshot of all counters, taken now. BadStateError unless it runs."""
        return Stats(_native.server_stats(self._handle.raw))

    def start(self) -> None:
        """Opens the device and binds; when it returns clients can connect. BadStateError unless created,
        SystemCallError (an OSError) for what the system refuses."""
        raw = self._handle.raw
        if _is_async(self._decide):
            asyncio.get_running_loop()  # there must be one; RuntimeError
        _native.server_start(raw)
        self._start_deciding()

    async def astart(self) -> None:
        """As start, without holding the loop up; an async authorize function is asked in this loop."""
        await asyncio.get_running_loop().run_in_executor(None, _native.server_start, self._handle.raw)
        self._start_deciding()

    def stop(self, drain: float = 0.0, timeout: Optional[float] = None) -> None:
        """No new clients; live sessions may go on for `drain` seconds; everything ends. TimedOutError after
        `timeout` seconds: it then goes on in the background. Stopping twice is fine."""
        _stop(self._handle.raw, drain, timeout)

    async def astop(self, drain: float = 0.0, timeout: Optional[float] = None) -> None:
        await asyncio.get_running_loop().run_in_executor(None, self.stop, drain, timeout)

    def close(self) -> None:
        """Stops at once if that is still to be done, ends every wait, and gives everything back; a plain
        authorize function that is deciding gets ten seconds to end. Closing twice is fine, and so is closing
        what belongs to the parent process, which only forgets it."""
        self._handle.close()
        if self._decider is not None and not self._handle.forked:
            self._decider.finish()

    async def aclose(self) -> None:
        """As close; returns when the tasks of this loop have left their waits, too."""
        if isinstance(self._decider, DecidingTask):
            self._decider.spare(asyncio.current_task())
        await super().aclose()
        if isinstance(self._decider, DecidingTask):
            await self._decider.finish_async()

    def reload_certificates(self) -> None:
        """Reads certificate and key files again. On failure the old ones stay in use."""
        _native.server_reload_certificates(self._handle.raw)

    def reconfigure(
        self, config: Union[ServerConfig, Mapping[str, Any], str], *, dry_run: bool = False
    ) -> List[Change]:
        """Applies every changed key that can be, and says what became of each; with dry_run only says so. All
        or nothing. `dataclasses.replace(server.config, network=...)` makes a configuration that differs in
        one part."""
        if isinstance(config, ServerConfig) and config.keys is None:
            config = dataclasses.replace(config, keys=self._config.keys)
        flags = _native.RECONFIGURE_DRY_RUN if dry_run else 0
        with _check.native_config(_check.SERVER, config) as native:
            raw = _native.server_reconfigure(self._handle.raw, native, flags)
            try:
                changes = json.loads(_native.changes_json(raw) or "[]")
            finally:
                _native.changes_free(raw)
        if not dry_run:
            self._config = _as_config(config)
        return [Change.from_dict(change) for change in changes]

    def events(
        self, types: Optional[Iterable[Union[EventType, str]]] = None, capacity: int = 4096
    ) -> EventStream:
        """A new subscription, of some types or all, which holds up to `capacity` events a lane. Take it
        before start to miss nothing."""
        return EventStream(_native.events_open(self._handle.raw, mask_of(types), capacity))

    def packets(self, batch: int = 64, arena_bytes: int = 1 << 18) -> Packets:
        """The packets of clients, with forwarding "host"; BadStateError at first use with any other."""
        return Packets(
            self._handle,
            self._packets_readable,
            _native.packets_read,
            _native.packets_write,
            batch,
            arena_bytes,
        )

    def requests(self) -> RequestStream:
        """Authorize requests, to be taken and answered by hand. BadStateError unless security.authorize is
        "required"."""
        return RequestStream(self._handle, self._requests_readable)

    def answer(self, request: Union[Request, int], verdict: Verdict) -> None:
        """Answers a request, or its token. The first answer wins: NotFoundError for any other."""
        answer(self._handle, request.token if isinstance(request, Request) else request, verdict)

    def authorize(self, decide: F) -> F:
        """Decorator: this function decides on every session, by giving True, False or a Decision. A plain
        function is asked on a thread of its own, one request after another; a coroutine function in the event
        loop, all at once. An exception is logged ("smartvpn") and denies. BadStateError unless
        security.authorize is "required"."""
        _native.authorize_fd(self._handle.raw)  # says so
        if self._decide is not None:
            raise BadStateError("there is an authorize function already")
        if _is_async(decide) and self.state is not ServerState.CREATED:
            asyncio.get_running_loop()  # there must be one; RuntimeError
        self._decide = decide
        if self.state is ServerState.RUNNING:
            self._start_deciding()
        return decide

    def _start_deciding(self) -> None:
        if self._decide is None or self._decider is not None:
            return
        kind = DecidingTask if _is_async(self._decide) else DecidingThread
        self._decider = kind(self.requests(), self._handle, self._decide)

    def _enter(self) -> None:
        self.start()

    async def _aenter(self) -> None:
        await self.astart()

    def _runs(self) -> bool:
        return self.state in (ServerState.RUNNING, ServerState.DRAINING)


def _is_async(decide: Optional[Callable[[Request], Any]]) -> bool:
    """Also for an object with an async __call__."""
    return inspect.iscoroutinefunction(decide) or inspect.iscoroutinefunction(
        getattr(decide, "__call__", None)
    )


def _as_config(config: Union[ServerConfig, Mapping[str, Any], str]) -> ServerConfig:
    if isinstance(config, ServerConfig):
        return copy.deepcopy(config)
    return ServerConfig.from_json(_check.text_of(config))
