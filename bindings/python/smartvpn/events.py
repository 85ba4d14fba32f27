"""Events: what happens in a server, a tunnel or a relay, through a subscription of one's own."""

from __future__ import annotations

import datetime
import enum
import json
from typing import (
    Any,
    Dict,
    Generic,
    Iterable,
    Iterator,
    List,
    Mapping,
    Optional,
    Sequence,
    Tuple,
    TypeVar,
    Union,
    overload,
)

from . import _native
from ._handle import Handle, Owner
from ._source import Source
from ._wait import Readable

V = TypeVar("V")
BATCH = 64


class EventType(str, enum.Enum):
    """The types of this version. One that a later library knows is an EventType too, with that library's
    text."""

    LISTENING = "listening"
    CONNECTION_ACCEPTED = "connection_accepted"
    CONNECTION_REJECTED = "connection_rejected"
    SESSION_UP = "session_up"
    SESSION_DOWN = "session_down"
    HEALTH_CHANGED = "health_changed"
    CLIENT_CHANGED = "client_changed"
    LOG = "log"
    LOST = "lost"
    RECONFIGURED = "reconfigured"
    SESSION_ROAMED = "session_roamed"
    CONNECTION_CLOSED = "connection_closed"
    TARGET_CHANGED = "target_changed"

    def __str__(self) -> str:
        return str(self.value)

    def __format__(self, spec: str) -> str:
        return format(str(self.value), spec)

    @classmethod
    def _missing_(cls, value: object) -> Optional[EventType]:
        if not isinstance(value, str) or not _from_library:
            return None
        later = str.__new__(cls, value)
        later._name_, later._value_ = value.upper(), value
        return later


_from_library: List[bool] = []  # not empty while a type that the library told is looked up
_BITS: Dict[EventType, int] = {kind: getattr(_native, f"EVENT_{kind.name}") for kind in EventType}


def type_of(text: str) -> EventType:
    """The type with this name; made up if the library is newer than this file."""
    try:
        return EventType(text)
    except ValueError:
        _from_library.append(True)
        try:
            return EventType(text)
        finally:
            _from_library.pop()


class Key(Generic[V]):
    """A key that events of some types have, as an attribute that is None for the others."""

    def __init__(self, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, event: None, owner: object = None) -> Key[V]: ...

    @overload
    def __get__(self, event: Event, owner: object = None) -> Optional[V]: ...

    def __get__(self, event: Optional[Event], owner: object = None) -> Union[Key[V], Optional[V]]:
        return self if event is None else event.raw.get(self._name)


class Event(Mapping[str, Any]):
    """One event: `event.type`, `event.client_id`, or `event["client_id"]` for any key, those of later
    versions too."""

    __slots__ = ("_line", "_raw")

    listener = Key[int]("listener")
    transport = Key[str]("transport")
    address = Key[str]("address")
    peer_addr = Key[str]("peer_addr")
    remote_addr = Key[str]("remote_addr")
    tlvs = Key[Dict[str, str]]("tlvs")
    reason = Key[str]("reason")
    detail = Key[str]("detail")
    count = Key[int]("count")
    connection_id = Key[int]("connection_id")
    host = Key[str]("host")
    route = Key[str]("route")
    target = Key[str]("target")
    session_id = Key[int]("session_id")
    client_id = Key[str]("client_id")
    addresses = Key[List[str]]("addresses")
    duration_ms = Key[int]("duration_ms")
    bytes_in = Key[int]("bytes_in")
    bytes_out = Key[int]("bytes_out")
    health = Key[str]("health")
    rtt_us = Key[int]("rtt_us")
    change = Key[str]("change")
    revision = Key[int]("revision")
    changes = Key[Dict[str, str]]("changes")
    level = Key[str]("level")
    message = Key[str]("message")
    lane = Key[str]("lane")

    def __init__(self, line: str) -> None:
        self._line = line
        self._raw: Optional[Dict[str, Any]] = None

    @property
    def raw(self) -> Dict[str, Any]:
        """All keys."""
        if self._raw is None:
            self._raw = json.loads(self._line)
        return self._raw

    @property
    def type(self) -> EventType:
        return type_of(self.raw["type"])

    @property
    def time_ms(self) -> int:
        """Milliseconds since 1970-01-01 UTC."""
        return int(self.raw["time"])

    @property
    def time(self) -> datetime.datetime:
        """The same, with the time zone UTC."""
        return datetime.datetime.fromtimestamp(self.time_ms / 1000, datetime.timezone.utc)

    def json(self) -> str:
        """The line of JSON that the library gave."""
        return self._line

    def __getitem__(self, key: str) -> Any:
        return self.raw[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.raw)

    def __len__(self) -> int:
        return len(self.raw)

    def __hash__(self) -> int:
        return hash(self._line)

    def __repr__(self) -> str:
        return f"Event({self._line})"


def mask_of(types: Optional[Iterable[Union[EventType, str]]]) -> int:
    """The bits of these types; all, also those of later versions, for None."""
    if types is None:
        return int(_native.EVENTS_ALL)
    mask = 0
    for kind in [types] if isinstance(types, str) else types:
        mask |= 1 << _BITS[EventType(kind)]
    return mask


class EventStream(Owner, Source[Event]):
    """A subscription: a bounded queue of events. Iterate it, plainly or with `async for`, or ask with `next`.

    It outlives its server: what was queued when the server stopped can still be read, then iteration ends.
    When the reader is too slow, events are counted instead of queued, and one of type "lost" says how many.
    """

    def __init__(self, raw: Any) -> None:
        handle = Handle(raw, _native.events_free, _native.events_close, "event stream")
        super().__init__(handle, Readable(handle, _native.events_fd))

    def _fetch(self) -> Sequence[Event]:
        taken: List[Tuple[int, str]] = _native.events_take(self._handle.raw, BATCH)
        return [Event(line) for _, line in taken]

    def next(self, timeout: Optional[float] = None) -> Event:
        """The oldest event. TimedOutError after `timeout` seconds, ClosedError when none will come any
        more."""
        return self._get(timeout)

    async def anext(self, timeout: Optional[float] = None) -> Event:
        """As next, in an event loop. When it is cancelled no event is lost."""
        return await self._get_async(timeout)

    def fileno(self) -> int:
        """A descriptor for a loop of your own. When it is readable, take until next(0) raises
        TimedOutError."""
        return self._readable.fileno()

    def close(self) -> None:
        """Ends the subscription and every wait in it. Closing twice is fine."""
        self._handle.close()
        self._ready.clear()

    def __iter__(self) -> Iterator[Event]:
        return self

    def __aiter__(self) -> EventStream:
        return self

    def __enter__(self) -> EventStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> EventStream:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()
