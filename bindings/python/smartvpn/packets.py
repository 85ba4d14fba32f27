"""Inner packets in batches, for a program that is itself what stands behind a server or a tunnel (forwarding
"host")."""

from __future__ import annotations

import struct
from typing import Callable, Iterator, List, Optional, Sequence, Union, overload

from . import _native
from ._handle import Handle
from ._source import Source
from ._wait import Readable
from .errors import InvalidError, NothingThereError

Buffer = Union[bytes, bytearray, memoryview]
LARGEST = 65535
RECORD = struct.Struct(_native.PACKET_FORMAT)
# Of the record's fields: struct_size, offset, session_id, length, segment_size, flags.
SESSION_ID, SEGMENT_SIZE = 2, 4
SEGMENT_SIZE_AT = struct.calcsize(_native.PACKET_FORMAT[: _native.PACKET_FORMAT.index("I") + 1])


class PacketBatch(Sequence[memoryview]):
    """Packets as views of one arena: nothing is copied, and the next read overwrites them. Keep
    `bytes(packet)` for longer. The views stay memory that is safe to touch, also after close."""

    def __init__(self, views: List[memoryview], meta: bytes) -> None:
        self._views = views
        self._meta = meta

    @property
    def session_ids(self) -> List[int]:
        """The session that each came from; 0 in a tunnel."""
        return [record[SESSION_ID] for record in RECORD.iter_unpack(self._meta)]

    @property
    def segment_sizes(self) -> List[int]:
        """0 for one packet; else it is a TCP or UDP super-packet, to be cut into so many payload bytes."""
        return [record[SEGMENT_SIZE] for record in RECORD.iter_unpack(self._meta)]

    def __len__(self) -> int:
        return len(self._views)

    @overload
    def __getitem__(self, index: int) -> memoryview: ...

    @overload
    def __getitem__(self, index: slice) -> List[memoryview]: ...

    def __getitem__(self, index: Union[int, slice]) -> Union[memoryview, List[memoryview]]:
        return self._views[index]

    def __iter__(self) -> Iterator[memoryview]:
        return iter(self._views)  # much faster than Sequence's own

    def __repr__(self) -> str:
        return f"<{len(self)} packets>"


class Packets(Source[PacketBatch]):
    """Reads and writes up to `batch` packets a call. For one thread, or the tasks of one loop; others take
    their own."""

    def __init__(
        self,
        handle: Handle,
        readable: Readable,
        read: Callable[..., int],
        write: Callable[..., int],
        batch: int,
        arena_bytes: int,
    ) -> None:
        if batch < 1:
            raise ValueError("batch is at least 1")
        if arena_bytes < LARGEST:
            raise ValueError(f"arena_bytes is at least {LARGEST}, the largest packet")
        super().__init__(handle, readable)
        self._native_read, self._native_write = read, write
        self._batch = batch
        self._arena = bytearray(arena_bytes)  # never resized or replaced, so views of it stay good
        self._view = memoryview(self._arena)
        self._meta = bytearray(batch * _native.PACKET_SIZE)
        self._out_arena = bytearray(arena_bytes)
        self._out_meta = bytearray(batch * _native.PACKET_SIZE)

    def _fetch(self) -> Sequence[PacketBatch]:
        count = self._native_read(self._handle.raw, self._arena, self._meta, self._batch)
        if not count:
            return ()
        views = _native.packets_slice(self._view, self._meta, count)
        return (PacketBatch(views, bytes(self._meta[: count * _native.PACKET_SIZE])),)

    def read(self, timeout: Optional[float] = None) -> PacketBatch:
        """Waits for the first packet and gives all that are there, up to `batch`, valid until the next read.
        TimedOutError after `timeout` seconds, ClosedError when it has stopped and all is read."""
        return self._get(timeout)

    async def aread(self, timeout: Optional[float] = None) -> PacketBatch:
        """As read, in an event loop."""
        return await self._get_async(timeout)

    def write(self, packets: Sequence[Buffer], segment_sizes: Optional[Sequence[int]] = None) -> int:
        """Hands packets over and gives how many, from the first on, found room; the rest is lost or yours to
        repeat. The destination address decides where each goes. InvalidError for one that is empty or over
        65535 bytes."""
        raw, done = self._handle.raw, 0
        while done < len(packets):
            try:
                packed = self._pack(packets[done : done + self._batch])
                if segment_sizes is not None:
                    for at, size in enumerate(segment_sizes[done : done + packed]):
                        place = at * _native.PACKET_SIZE + SEGMENT_SIZE_AT
                        struct.pack_into("=I", self._out_meta, place, size)
            except (ValueError, struct.error) as failure:
                raise InvalidError(f"after {done} packets: {failure}") from None
            try:
                taken = self._native_write(raw, self._out_arena, self._out_meta, packed)
            except NothingThereError:
                taken = 0
            done += taken
            if taken < packed:
                break
        return done

    def _pack(self, packets: Sequence[Buffer]) -> int:
        return _native.packets_pack(packets, self._out_arena, self._out_meta)

    def fileno(self) -> int:
        """A descriptor for a loop of your own. When it is readable, take until read(0) raises
        TimedOutError."""
        return self._readable.fileno()

    def __iter__(self) -> Packets:
        return self

    def __aiter__(self) -> Packets:
        return self
