"""Owns one native handle: who may still use it, who waits on its descriptor, and when it is given back.

Waits are in poll() on the library's descriptor, where Ctrl-C works and no lock of Python's is held. A
descriptor must not be closed under a poll(), since its number would soon be somebody else's. So whoever waits
is counted: close() first makes every descriptor readable (by ending what it reports), and the native handle
is freed once the last has left. Commands need no counting, because a freed handle is told apart by the
library."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import threading
import time
import weakref
from typing import Any, Callable, List, NoReturn, Optional

from .errors import ClosedError, Error, ForkedError

PATIENCE = 10.0  # seconds that close() waits for other threads to leave their waits
_to_end: "weakref.WeakSet[Handle]" = weakref.WeakSet()


class Handle:
    """`free(raw)` gives it back; `wake(raw)` makes every descriptor of it readable for good; `what` names
    it."""

    def __init__(
        self,
        raw: Any,
        free: Callable[[Any], None],
        wake: Callable[[Any], None],
        what: str,
        ends_at_exit: bool = False,
    ) -> None:
        self._raw = raw
        self._free, self._wake, self._what = free, wake, what
        self._pid = os.getpid()
        self._changed = threading.Condition(
            threading.RLock()
        )  # a signal handler may close what its thread waits in
        self._threads: List[int] = []  # who polls, by thread
        self._tasks = 0  # who polls in an event loop
        self._closing = False
        self._freed = False
        self._on_freed: List[Callable[[], None]] = []
        if ends_at_exit:
            _to_end.add(self)

    def check(self) -> None:
        """ClosedError, ForkedError."""
        if self._closing or os.getpid() != self._pid:
            raise self.why_not()

    @property
    def raw(self) -> Any:
        """The native handle, for a call that does not wait. ClosedError, ForkedError."""
        self.check()
        return self._raw

    @property
    def forked(self) -> bool:
        return os.getpid() != self._pid

    @property
    def closed(self) -> bool:
        return self._closing

    @property
    def freed(self) -> bool:
        return self._freed

    def why_not(self) -> Error:
        if self.forked and not self._closing:
            return ForkedError(f"the {self._what} belongs to the parent process; make a new one in this one")
        return ClosedError(f"the {self._what} is closed")

    def __enter__(self) -> Any:
        """Counts a thread that waits."""
        if self.forked:
            raise self.why_not()
        with self._changed:
            raw = self.raw
            self._threads.append(threading.get_ident())
            return raw

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._threads.remove(threading.get_ident())
            self._changed.notify_all()
        self._free_if_last()

    def enter_task(self) -> Any:
        """Counts a wait in an event loop, whose end needs the loop and so never waits for close()."""
        if self.forked:
            raise self.why_not()
        with self._changed:
            raw = self.raw
            self._tasks += 1
            return raw

    def leave_task(self) -> None:
        if self.forked:
            return
        with self._changed:
            self._tasks -= 1
        self._free_if_last()

    def close(self, patience: float = PATIENCE) -> None:
        """Ends it: for good when it returns, unless a task or this very thread waits in it, which then does
        the rest."""
        if self.forked:
            if not self._closing:
                self._closing = self._freed = True
                self._free(self._raw)  # only forgets it
            return
        with self._changed:
            if self._closing:
                return
            self._closing = True
        try:
            self._wake(self._raw)
            self._wait_for_others(patience)
        finally:
            self._free_if_last()

    def _wait_for_others(self, patience: float) -> None:
        deadline, me = time.monotonic() + patience, threading.get_ident()
        with self._changed:
            while any(thread != me for thread in self._threads):
                left = deadline - time.monotonic()
                if left <= 0:
                    return
                self._changed.wait(left)

    def _free_if_last(self) -> None:
        with self._changed:
            if not self._closing or self._freed or self._threads or self._tasks:
                return
            self._freed = True
        self._free(self._raw)
        for told in self._on_freed:
            told()

    async def freed_in(self, loop: asyncio.AbstractEventLoop) -> None:
        """After close: waits until the last task has left and the handle is freed."""
        done: "asyncio.Future[None]" = loop.create_future()
        with self._changed:
            if self._freed:
                return
            self._on_freed.append(lambda: _tell(loop, done))
        await done


def _tell(loop: asyncio.AbstractEventLoop, done: "asyncio.Future[None]") -> None:
    """Whoever waited may have been cancelled, and the loop may have ended."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(lambda: None if done.done() else done.set_result(None))


class NotCopied:
    """Base of what stands for something in this process, and can be neither copied nor pickled."""

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"a {type(self).__name__} can be neither copied nor pickled")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        self.__reduce__()


class Owner(NotCopied):
    """Base of what needs no closing: its handle goes when it does."""

    _handle: Handle

    def __del__(self) -> None:
        handle = getattr(self, "_handle", None)
        if handle is not None:
            handle.close()


def deadline_of(timeout: Optional[float]) -> Optional[float]:
    """The moment on the monotonic clock; None for ever."""
    return None if timeout is None else time.monotonic() + timeout


def slice_ms(deadline: Optional[float], longest: int = 100) -> int:
    """Milliseconds for one native call that waits: short, since Ctrl-C is only seen between two."""
    if deadline is None:
        return longest
    return max(0, min(longest, int((deadline - time.monotonic()) * 1000) + 1))


def _end_all() -> None:
    for handle in list(_to_end):
        handle.close(patience=1.0)


atexit.register(_end_all)
