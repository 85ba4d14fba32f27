"""What a server, a tunnel and a relay have in common as objects: they begin with a `with` and end with it."""

from __future__ import annotations

import asyncio
import warnings
from typing import Callable, Optional, TypeVar

from ._handle import Handle, NotCopied, deadline_of, slice_ms
from .errors import TimedOutError

R = TypeVar("R", bound="Running")


class Running(NotCopied):
    """`with` begins it and closes it at the end, `async with` too. One that is collected while it runs is
    closed with a ResourceWarning."""

    _handle: Handle

    def _enter(self) -> None:
        raise NotImplementedError

    async def _aenter(self) -> None:
        raise NotImplementedError

    def _runs(self) -> bool:
        """Whether there is something to end."""
        raise NotImplementedError

    @property
    def state(self) -> object:
        raise NotImplementedError

    def close(self) -> None:
        """Ends every wait, and gives everything back. Closing twice is fine."""
        self._handle.close()

    async def aclose(self) -> None:
        """As close; returns when the tasks of this loop have left their waits, too."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, self.close)
        await self._handle.left_by(loop)

    def __enter__(self: R) -> R:
        try:
            self._enter()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self: R) -> R:
        try:
            await self._aenter()
        except BaseException:
            self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        where = "of the parent process" if self._handle.forked else self.state
        return f"<smartvpn.{type(self).__name__} {where}>"

    def __del__(self) -> None:
        handle = getattr(self, "_handle", None)
        if handle is None or handle.closed:
            return
        if not handle.forked and self._runs():
            warnings.warn(f"unclosed {self!r}", ResourceWarning, source=self)
        handle.close()


def stop_in_slices(stop: Callable[[int], object], timeout: Optional[float]) -> None:
    """Calls `stop(milliseconds)` until it has stopped, or the time is up: Ctrl-C is only seen between two
    calls."""
    deadline = deadline_of(timeout)
    while True:
        wait_ms = slice_ms(deadline)
        try:
            stop(wait_ms)
            return
        except TimedOutError:
            if deadline is not None and slice_ms(deadline) == 0:
                raise
