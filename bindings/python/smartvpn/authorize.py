"""Authorize: the program has the last word on every session. Requests are taken here and answered by token;
what is not answered within `security.authorize_timeout_ms` is denied by the library, whatever happens in
Python."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from dataclasses import dataclass, field
from typing import Any, Awaitable, Callable, Dict, Iterator, Optional, Set, Union

from . import _native
from ._handle import PATIENCE, Handle
from ._model import to_json
from ._source import Source
from ._wait import Readable
from .config import RateLimit
from .errors import ClosedError, Error, NotFoundError

log = logging.getLogger("smartvpn")


@dataclass(frozen=True)
class Request:
    """Who asks. `remote_addr` is the client's real address, None if unknown; `peer_addr` the socket's, which
    may be a proxy; `tlvs` what that told; `deadline` the end of its patience, milliseconds since 1970-01-01
    UTC."""

    token: int
    client_id: str
    listener: int
    transport: str
    remote_addr: Optional[str]
    peer_addr: str
    tlvs: Dict[str, str]
    deadline: int
    raw: Dict[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True)
class Decision:
    """An answer. With an allow: `valid` seconds for which the same client, address and transport need no
    further question, `session_seconds` after which the session ends, and a rate limit for it. With a deny: a
    text for events. What does not go with the answer is an InvalidError."""

    allow: bool
    valid: Optional[float] = None
    session_seconds: Optional[int] = None
    rate_limit: Optional[RateLimit] = None
    detail: Optional[str] = None

    def to_json(self) -> str:
        keys: Dict[str, Any] = {
            "allow": self.allow,
            "valid_ms": None if self.valid is None else round(self.valid * 1000),
            "session_seconds": self.session_seconds,
            "rate_limit": self.rate_limit,
            "detail": self.detail,
        }
        return to_json({key: value for key, value in keys.items() if value is not None})


Verdict = Union[bool, Decision]
Decide = Callable[[Request], Union[Verdict, Awaitable[Verdict]]]


def request_of(line: str) -> Request:
    raw = json.loads(line)
    return Request(
        raw["token"],
        raw["client_id"],
        raw["listener"],
        raw["transport"],
        raw.get("remote_addr"),
        raw["peer_addr"],
        raw.get("tlvs", {}),
        raw["deadline"],
        raw,
    )


def decision_of(verdict: object) -> Decision:
    if isinstance(verdict, Decision):
        return verdict
    if isinstance(verdict, bool):
        return Decision(verdict)
    raise TypeError(f"an authorize function gives a bool or a Decision, not {type(verdict).__name__}")


def answer(handle: Handle, token: int, verdict: Verdict) -> None:
    """NotFoundError for a request that was answered or is over."""
    _native.authorize_answer(handle.raw, token, decision_of(verdict).to_json())


class RequestStream(Source[Request]):
    """Requests, each handed out once: iterate it, plainly or with `async for`, or ask with `next`. It ends
    when the server stops."""

    def __init__(self, handle: Handle, readable: Readable) -> None:
        super().__init__(handle, readable)

    def _fetch(self) -> Any:
        return [request_of(line) for _, line in _native.requests_take(self._handle.raw, 1)]

    def next(self, timeout: Optional[float] = None) -> Request:
        """The oldest request that nobody has taken. TimedOutError after `timeout` seconds."""
        return self._get(timeout)

    async def anext(self, timeout: Optional[float] = None) -> Request:
        """As next, in an event loop."""
        return await self._get_async(timeout)

    def __iter__(self) -> Iterator[Request]:
        return self

    def __aiter__(self) -> RequestStream:
        return self


def settle(handle: Handle, request: Request, judge: Callable[[], Verdict]) -> None:
    """Answers what `judge` says; denies at once what it, or its answer, cannot be."""
    try:
        answer(handle, request.token, judge())
        return
    except NotFoundError:
        log.warning("the answer for %s came too late", request.client_id)
        return
    except ClosedError:
        return
    except BaseException:  # also what would end a thread without a word, such as sys.exit()
        log.exception("authorize failed for %s, which is denied", request.client_id)
    try:
        answer(handle, request.token, Decision(False, detail="authorize failed"))
    except Error:
        log.debug("the request of %s was over already", request.client_id)


class DecidingThread:
    """Asks a plain function, one request after another, on a thread that ends with the server."""

    def __init__(self, stream: RequestStream, handle: Handle, decide: Callable[[Request], Verdict]) -> None:
        self._thread = threading.Thread(
            target=_decide_all, args=(stream, handle, decide), daemon=True, name="smartvpn-authorize"
        )
        self._thread.start()

    def finish(self) -> None:
        """After the server has ended: waits a while for a decision that is being made."""
        if threading.current_thread() is not self._thread:
            self._thread.join(PATIENCE)


def _decide_all(stream: RequestStream, handle: Handle, decide: Callable[[Request], Verdict]) -> None:
    for request in stream:
        settle(handle, request, lambda asked=request: decide(asked))  # type: ignore[misc]


class DecidingTask:
    """Asks a coroutine function, for all requests at once, in a task of the running loop."""

    def __init__(
        self, stream: RequestStream, handle: Handle, decide: Callable[[Request], Awaitable[Verdict]]
    ) -> None:
        self._stream, self._handle, self._decide = stream, handle, decide
        self._open: Set["asyncio.Task[None]"] = set()
        self._over = False
        self._closer: Optional["asyncio.Task[Any]"] = None  # a decision that closes the server, which goes on
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        try:
            async for request in self._stream:
                one = asyncio.get_running_loop().create_task(self._one(request))
                self._open.add(one)
                one.add_done_callback(self._open.discard)
        finally:
            self._over = True
            for one in list(self._open):
                if one is not self._closer:
                    one.cancel()

    async def _one(self, request: Request) -> None:
        try:
            verdict = await self._decide(request)
        except asyncio.CancelledError as failure:  # by us at the end, or by somebody whom it waited for
            if not self._over:
                settle(self._handle, request, _raising(failure))
            raise
        except Exception as failure:
            settle(self._handle, request, _raising(failure))
        else:
            settle(self._handle, request, lambda: verdict)

    def finish(self) -> None:
        """Its task ends by itself, in its loop."""

    def spare(self, closer: Optional["asyncio.Task[Any]"]) -> None:
        """Does not cancel the task that closes the server, if it is one of its own."""
        self._closer = closer

    async def finish_async(self) -> None:
        """Waits for what still decides in the running loop; other loops are their owners' to run."""
        loop, me = asyncio.get_running_loop(), asyncio.current_task()
        mine = [task for task in (self._task, *self._open) if task.get_loop() is loop and task is not me]
        await asyncio.gather(*(task for task in mine if not task.done()), return_exceptions=True)


def _raising(failure: BaseException) -> Callable[[], Verdict]:
    def judge() -> Verdict:
        raise failure

    return judge
