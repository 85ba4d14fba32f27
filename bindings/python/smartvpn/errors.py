"""Exceptions: one class for each status of the library.

Every one is an `Error`. Where Python has a word for the same thing the class is that too, so that `except
ValueError` or a mapping's `get` work as they do with Python's own types: InvalidError is a ValueError,
NotFoundError a KeyError (the registry and the sessions are mappings), TimedOutError a TimeoutError,
SystemCallError an OSError with its errno."""

from __future__ import annotations

from typing import Any, ClassVar, Dict, Tuple, Type


class Error(Exception):
    """What the library refused, and why.

    status         the library's number, negative
    name           its name, such as "INVALID"
    path           JSON Pointer of the configuration key at fault, such as "/listen/0/port"; "" if it is about
    none
    system_errno   errno of the system call that was refused; 0 if it is about none
    text           one sentence; never a secret
    """

    status: int = -19
    name: str = "INTERNAL"
    by_status: ClassVar[Dict[int, Type[Error]]] = {}

    def __init__(self, text: str = "", *, path: str = "", system_errno: int = 0) -> None:
        Exception.__init__(self, text)
        self.text = text
        self.path = path
        self.system_errno = system_errno

    def __str__(self) -> str:
        return f"{self.path}: {self.text}" if self.path else self.text

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def __reduce__(self) -> Tuple[Any, ...]:
        return make_error, (self.status, self.path, self.system_errno, self.text)

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "status" in cls.__dict__:
            Error.by_status[cls.status] = cls


class InvalidError(Error, ValueError):
    """An argument or a configuration is wrong; `path` says where, the text names the nearest key for a
    misspelt one."""

    status, name = -1, "INVALID"


class UnsupportedError(Error):
    """It exists, but not in this build or version: see `has()`."""

    status, name = -2, "UNSUPPORTED"


class ClosedError(Error):
    """The object was closed, or what is waited for has ended: nothing will come any more."""

    status, name = -10, "CLOSED"


class BadHandleError(ClosedError):
    """The object was closed by another thread while it was used."""

    status, name = -3, "BAD_HANDLE"


class BadStateError(Error):
    """Not now, such as a command to a server that does not run."""

    status, name = -4, "BAD_STATE"


class NotFoundError(Error, KeyError):
    """There is no such client, session, key or index."""

    status, name = -5, "NOT_FOUND"


class ExistsError(Error):
    """An id, a key or an address is taken."""

    status, name = -6, "EXISTS"


class ConflictError(Error):
    """Somebody else changed it meanwhile: the expected revision is not the present one."""

    status, name = -7, "CONFLICT"


class TimedOutError(Error, TimeoutError):
    """The time was up; nothing was done."""

    status, name = -8, "TIMEOUT"

    def __init__(self, text: str = "the time was up", *, path: str = "", system_errno: int = 0) -> None:
        super().__init__(text, path=path, system_errno=system_errno)


class NothingThereError(TimedOutError):
    """Nothing is there now: what a timeout of 0 gives."""

    status, name = -9, "AGAIN"


class WokenError(Error):
    """Somebody interrupted the wait."""

    status, name = -11, "INTERRUPTED"


class ForkedError(Error):
    """The object belongs to the parent process; make a new one in this one."""

    status, name = -12, "FORKED"


class NoMemoryError(Error, MemoryError):
    """Memory is out."""

    status, name = -13, "NO_MEMORY"


class LimitError(Error):
    """A limit is reached."""

    status, name = -14, "LIMIT"


class BufferTooSmallError(Error):
    """The next packet does not fit the arena."""

    status, name = -15, "BUFFER_TOO_SMALL"


class SecretNotKeptError(Error):
    """The registry does not keep private keys."""

    status, name = -16, "SECRET_NOT_KEPT"


class SystemCallError(Error, OSError):
    """The operating system refused; `errno` says with what, as for any OSError."""

    status, name = -17, "SYSTEM"

    def __init__(self, text: str = "", *, path: str = "", system_errno: int = 0) -> None:
        super().__init__(text, path=path, system_errno=system_errno)
        self.errno = system_errno
        self.strerror = text


class RefusedError(Error):
    """The other side refused; the text has its reason."""

    status, name = -18, "REFUSED"


class InternalError(Error):
    """The library's fault; please report it."""

    status, name = -19, "INTERNAL"


def make_error(status: int, path: str, system_errno: int, text: str) -> Error:
    """The exception for a status. One of a later version, which has no class here, is a plain Error."""
    kind = Error.by_status.get(status)
    if kind is not None:
        return kind(text, path=path, system_errno=system_errno)
    error = Error(text, path=path, system_errno=system_errno)
    error.status, error.name = status, "UNKNOWN"
    return error
