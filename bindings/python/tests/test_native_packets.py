"""Packets by the batch, in buffers of Python's."""
import array
import mmap
import struct
from typing import Any, Iterator

import pytest

import smartvpn._native as native
from native_support import (Failure, connected_tunnel, next_event, running_server, udp_packet, wait_readable)

ROOM = 65536


@pytest.fixture(autouse=True)
def factory() -> Iterator[None]:
    before = native.set_error_factory(Failure)
    yield
    native.set_error_factory(before)


def buffers(count: int) -> tuple[bytearray, bytearray]:
    return bytearray(ROOM), bytearray(count * native.PACKET_SIZE)


def test_record_has_the_format_that_is_told() -> None:
    assert struct.calcsize(native.PACKET_FORMAT) == native.PACKET_SIZE
    arena, meta = buffers(4)
    assert native.packets_pack([b"one", bytearray(b"three"), memoryview(b"x")], arena, meta) == 3
    assert arena[:9] == b"onethreex"
    records = list(struct.iter_unpack(native.PACKET_FORMAT, meta))
    assert [(record[1], record[3]) for record in records] == [(0, 3), (3, 5), (8, 1), (0, 0)]
    assert {record[2] for record in records} == {record[4] for record in records} == {0}


def test_pack_lets_go_of_any_buffer_it_copies() -> None:
    class Own(bytearray):
        pass

    arena, meta = buffers(4)
    parts: list[Any] = [Own(b"own"), array.array("B", b"array"), mmap.mmap(-1, 2)]
    assert native.packets_pack(parts, arena, meta) == 3
    assert arena[:10] == b"ownarray\0\0"
    parts[0].clear()  # BufferError while somebody holds it
    assert native.packets_pack(parts[1:], bytearray(1), meta) == 0
    parts[1].append(1)
    parts[2].close()


def test_pack_takes_what_fits() -> None:
    arena, meta = bytearray(10), bytearray(2 * native.PACKET_SIZE)
    assert native.packets_pack([b"12345678", b"abc", b"d"], arena, meta) == 1
    assert native.packets_pack([b"a", b"b", b"c"], arena, meta) == 2
    assert native.packets_pack([b"x" * 11], arena, meta) == 0
    assert native.packets_pack([], arena, meta) == 0
    assert native.packets_pack([b"a"], arena, bytearray(native.PACKET_SIZE - 1)) == 0


def test_pack_refuses_what_is_no_packet() -> None:
    arena, meta = bytearray(200_000), bytearray(2 * native.PACKET_SIZE)
    any_native: Any = native
    for wrong in ([b""], [b"x" * 65536]):
        with pytest.raises(ValueError, match="1 to 65535"):
            native.packets_pack(wrong, arena, meta)
    for wrong_type in ([1], ["text"], [None], 7, None):
        with pytest.raises(TypeError):
            any_native.packets_pack(wrong_type, arena, meta)


def test_slices_stay_inside_the_arena() -> None:
    arena, meta = buffers(2)
    native.packets_pack([b"one", b"two"], arena, meta)
    slices = native.packets_slice(memoryview(arena), meta, 2)
    assert [bytes(part) for part in slices] == [b"one", b"two"]
    assert all(isinstance(part, memoryview) for part in slices)
    arena[0] = ord("O")
    assert bytes(slices[0]) == b"One"  # no copies
    with pytest.raises(ValueError, match="fewer"):
        native.packets_slice(memoryview(arena), meta, 3)
    for offset, length in ((ROOM + 1, 0), (ROOM, 1), (2**63, 1), (2**64 - 1, 2), (0, ROOM + 1)):
        struct.pack_into(native.PACKET_FORMAT, meta, 0, native.PACKET_SIZE, offset, 0, length, 0, 0)
        with pytest.raises(ValueError, match="outside"):
            native.packets_slice(memoryview(arena), meta, 1)


def test_buffers_have_to_be_buffers_that_can_be_written() -> None:
    any_native: Any = native
    arena, meta = buffers(1)
    with running_server() as server:
        for wrong in (bytes(ROOM), memoryview(bytes(ROOM)), memoryview(arena)[::2], 7, None, "text"):
            with pytest.raises(TypeError):
                any_native.packets_read(server, wrong, meta, 1)
            with pytest.raises(TypeError):
                any_native.packets_read(server, arena, wrong, 1)
        with pytest.raises(Failure) as failed:
            native.packets_read(server, arena, meta, 2)
        assert failed.value.status == native.INVALID
        with pytest.raises(Failure) as failed:
            native.packets_write(server, arena, meta, 2)
        assert failed.value.status == native.INVALID
        with pytest.raises(OverflowError):
            native.packets_read(server, arena, meta, -1)
        # Every path lets go of the buffers again, or these could not be resized.
        arena.clear()
        meta.clear()


def test_reading_nothing_is_zero_and_another_mode_a_bad_state() -> None:
    arena, meta = buffers(1)
    with running_server() as server:
        assert native.packets_read(server, arena, meta, 1) == 0
    with running_server(forwarding={"mode": "testing"}) as server:
        with pytest.raises(Failure) as failed:
            native.packets_read(server, arena, meta, 1)
        assert failed.value.status == native.BAD_STATE
        with pytest.raises(Failure):
            native.packets_fd(server)


def test_packets_go_through_a_tunnel_and_back() -> None:
    arena, meta = buffers(64)
    with running_server() as server:
        events = native.events_open(server, 1 << native.EVENT_SESSION_UP, 16)
        with connected_tunnel(server, "alice") as tunnel:
            up = next_event(events, native.EVENT_SESSION_UP)
            own = up["addresses"][0]
            sent = [udp_packet(own, "192.0.2.1", b"packet %d" % number) for number in range(50)]
            assert native.packets_pack(sent, arena, meta) == 50
            assert native.tunnel_packets_write(tunnel, arena, meta, 50) == 50
            came: list[bytes] = []
            while len(came) < 50:
                count = native.packets_read(server, arena, meta, 64)
                if not count:
                    wait_readable(native.packets_fd(server))
                came += [bytes(part) for part in native.packets_slice(memoryview(arena), meta, count)]
                records = struct.iter_unpack(native.PACKET_FORMAT, meta[: count * native.PACKET_SIZE])
                assert {record[2] for record in records} <= {up["session_id"]}
            assert came == sent

            answer = udp_packet("192.0.2.1", own, b"answer")
            # Anything with contiguous bytes serves for what is only read.
            native.packets_pack([answer], arena, meta)
            assert native.packets_write(server, bytes(arena), bytes(meta), 1) == 1
            while not native.tunnel_packets_read(tunnel, arena, meta, 64):
                wait_readable(native.tunnel_packets_fd(tunnel))
            assert bytes(native.packets_slice(memoryview(arena), meta, 1)[0]) == answer

            struct.pack_into(native.PACKET_FORMAT, meta, 0, 0, ROOM, 0, 1, 0, 0)
            with pytest.raises(Failure) as failed:
                native.packets_write(server, arena, meta, 1)
            assert failed.value.status == native.INVALID
