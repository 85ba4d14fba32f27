"""What gives one thing after another: events, authorize requests, batches of packets. Each can be asked with
a timeout, iterated, and iterated asynchronously; subclasses say how to take what is there without waiting."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from typing import Deque, Generic, Optional, Sequence, TypeVar

from ._handle import Handle, NotCopied, deadline_of
from ._wait import Readable
from .errors import ClosedError, TimedOutError

T = TypeVar("T")
LONGEST_TURN = 0.005  # seconds that tasks take what is there before others have a turn


class Source(NotCopied, Generic[T]):
    """Threads may share a source: one takes at a time. So may the tasks of one event loop, but not both at
    once."""

    def __init__(self, handle: Handle, readable: Readable) -> None:
        self._handle = handle
        self._readable = readable
        self._ready: Deque[T] = deque()
        self._turn = threading.RLock()
        # Since when tasks have found something at once, on the loop's clock.
        self._busy_since: Optional[float] = None

    def _fetch(self) -> Sequence[T]:
        """What is there now, maybe nothing. ClosedError when nothing will come any more."""
        raise NotImplementedError

    def _try(self) -> Optional[T]:
        if not self._ready:
            self._ready.extend(self._fetch())
        return self._ready.popleft() if self._ready else None

    def _get(self, timeout: Optional[float]) -> T:
        self._handle.check()  # before any wait for a turn, since after a fork nobody would give it
        deadline, turn = deadline_of(timeout), self._turn
        try:
            left = -1 if deadline is None else max(0.0, deadline - time.monotonic())
            if not turn.acquire(timeout=left):
                raise TimedOutError()
            in_time = True
            while True:
                thing = self._try()
                if thing is not None:
                    return thing
                if not in_time:
                    raise TimedOutError()
                in_time = self._readable.wait(deadline)
        finally:
            # The first thing done here, and not asked before whether it is held: a handler may raise between.
            try:
                turn.release()
            except RuntimeError:
                pass  # it never was this thread's

    async def _get_async(self, timeout: Optional[float]) -> T:
        deadline = deadline_of(timeout)
        in_time = True
        loop = asyncio.get_running_loop()
        if self._busy_since is None:
            self._busy_since = loop.time()
        elif loop.time() - self._busy_since > LONGEST_TURN:
            # Who always finds something would else never let other tasks, or a cancellation, come in.
            self._busy_since = None
            await asyncio.sleep(0)
        while True:
            thing = self._try()
            if thing is not None:
                if self._ready:
                    self._readable.wake_tasks()
                return thing
            if not in_time:
                raise TimedOutError()
            in_time = await self._readable.wait_async(deadline)
            self._busy_since = None

    def __next__(self) -> T:
        try:
            return self._get(None)
        except ClosedError:
            raise StopIteration from None

    async def __anext__(self) -> T:
        try:
            return await self._get_async(None)
        except ClosedError:
            raise StopAsyncIteration from None
