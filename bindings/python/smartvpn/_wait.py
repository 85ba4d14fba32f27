"""Waiting until a descriptor of the library's is readable: in a thread by poll(), in an event loop by
add_reader()."""

from __future__ import annotations

import asyncio
import math
import select
import time
from typing import Any, Callable, Dict, List, Optional

from ._handle import Handle

LONGEST_MS = 3_600_000


class Readable:
    """One descriptor of a handle. `fd_of(raw)` gives it. Shared by all who wait on it, in any number of
    loops."""

    def __init__(self, handle: Handle, fd_of: Callable[[Any], int]) -> None:
        self._handle = handle
        self._fd_of = fd_of
        self._waiting: Dict[asyncio.AbstractEventLoop, List["asyncio.Future[None]"]] = {}

    def fileno(self) -> int:
        return self._fd_of(self._handle.raw)

    def wait(self, deadline: Optional[float]) -> bool:
        """Whether there may be something, before the deadline. ClosedError when it is closed, before or
        meanwhile."""
        waiting, token = self._handle.waiting, object()
        try:
            raw = self._handle.enter(token)
            poller = select.poll()
            poller.register(self._fd_of(raw), select.POLLIN)
            if deadline is None:
                while not poller.poll(LONGEST_MS):
                    pass
                return True
            left = max(0.0, deadline - time.monotonic())
            return bool(poller.poll(min(LONGEST_MS, math.ceil(left * 1000)))) or deadline > time.monotonic()
        finally:
            waiting.pop(token, None)
            self._handle.free_if_last()

    async def wait_async(self, deadline: Optional[float]) -> bool:
        """As wait, in the running loop. Cancelling it takes nothing away."""
        loop = asyncio.get_running_loop()
        token = object()
        try:
            raw = self._handle.enter_task(token)
            future: "asyncio.Future[None]" = loop.create_future()
            fd = self._fd_of(raw)
            if loop not in self._waiting:
                loop.add_reader(fd, self._wake, loop)
                self._waiting[loop] = []
            self._waiting[loop].append(future)
            timer = None
            if deadline is not None:
                timer = loop.call_later(max(0.0, deadline - time.monotonic()), _finish, future)
            try:
                await future
            finally:
                if timer is not None:
                    timer.cancel()
                self._leave(loop, future, fd)
            return deadline is None or deadline > time.monotonic()
        finally:
            self._handle.tasks.pop(token, None)
            self._handle.free_if_last()

    def wake_tasks(self) -> None:
        """Lets every task of the running loop look again, as something is there that the descriptor does not
        say."""
        if self._waiting:
            self._wake(asyncio.get_running_loop())

    def _wake(self, loop: asyncio.AbstractEventLoop) -> None:
        for future in list(self._waiting.get(loop, ())):
            _finish(future)

    def _leave(self, loop: asyncio.AbstractEventLoop, future: "asyncio.Future[None]", fd: int) -> None:
        others = self._waiting[loop]
        others.remove(future)
        if not others:
            del self._waiting[loop]
            if not loop.is_closed():
                loop.remove_reader(fd)


def _finish(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)
