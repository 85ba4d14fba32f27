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
from typing import Any, Callable, Dict, NoReturn, Optional

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
        # Who polls, by thread, and who in which event loop. No lock guards them: a signal handler that raises,
        # at whatever moment, would leave it locked. Each step is one operation of a dictionary or list.
        self.waiting: Dict[object, int] = {}
        self.tasks: Dict[object, asyncio.AbstractEventLoop] = {}
        self._closers: Dict[object, bool] = {}
        self._closing = False
        self._unfreed = [raw]  # whoever takes it frees it
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
        return not self._unfreed

    def why_not(self) -> Error:
        if self.forked and not self._closing:
            return ForkedError(f"the {self._what} belongs to the parent process; make a new one in this one")
        return ClosedError(f"the {self._what} is closed")

    def enter(self, token: object) -> Any:
        """Counts a thread's wait under the token; it leaves by `waiting.pop(token, None)` and
        `free_if_last()`, whatever happens here."""
        if self.forked:
            raise self.why_not()
        # First noted, then asked whether it is closed: close() does it in the other order.
        self.waiting[token] = threading.get_ident()
        return self.raw

    def enter_task(self, token: object) -> Any:
        """Counts a wait in the running loop, whose end needs the loop and so never waits for close()."""
        if self.forked:
            raise self.why_not()
        self.tasks[token] = asyncio.get_running_loop()
        return self.raw

    def close(self, patience: float = PATIENCE) -> None:
        """Ends it: for good when it returns, unless a task or this very thread waits in it, which then does
        the rest."""
        if self.forked:
            if not self._closing:
                self._closing = True
                self._free(self._unfreed.pop())  # only forgets it
            return
        if self._closing:
            return
        token = object()
        try:
            self._closers[token] = True  # so that nobody who leaves meanwhile frees what is to be woken
            self._closing = True
            self._wake(self._raw)
            self._wait_for_others(patience)
        finally:
            self._closers.pop(token, None)
            self.free_if_last()

    def _wait_for_others(self, patience: float) -> None:
        deadline, me, pause = time.monotonic() + patience, threading.get_ident(), 0.0002
        while any(thread != me for thread in list(self.waiting.values())) and time.monotonic() < deadline:
            time.sleep(pause)
            pause = min(2 * pause, 0.01)

    def free_if_last(self) -> None:
        if not self._closing or self.waiting or self.tasks or self._closers or self.forked:
            return
        with contextlib.suppress(IndexError):  # somebody else was the last
            self._free(self._unfreed.pop())

    async def left_by(self, loop: asyncio.AbstractEventLoop) -> None:
        """After close, in the loop: returns when none of its tasks waits here any more."""
        while any(other is loop for other in list(self.tasks.values())):
            await asyncio.sleep(0.001)


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
    """The moment on the monotonic clock; None for ever, which 292 years are too."""
    return None if timeout is None or timeout >= threading.TIMEOUT_MAX else time.monotonic() + timeout


def slice_ms(deadline: Optional[float], longest: int = 100) -> int:
    """Milliseconds for one native call that waits: short, since Ctrl-C is only seen between two."""
    if deadline is None:
        return longest
    return max(0, min(longest, int((deadline - time.monotonic()) * 1000) + 1))


def _end_all() -> None:
    for handle in list(_to_end):
        handle.close(patience=1.0)


atexit.register(_end_all)
