"""The program behind a server and the program behind a tunnel talk to each other."""

from __future__ import annotations

import gc
from typing import Any, List

import pytest

import smartvpn
from support import PATIENCE, make_server, make_tunnel, udp_packet

OUTSIDE = {4: "192.0.2.9", 6: "2001:db8::9"}


def read_all(packets: smartvpn.Packets, count: int) -> List[bytes]:
    out: List[bytes] = []
    while len(out) < count:
        batch = packets.read(PATIENCE)
        assert 1 <= len(batch) == len(batch.session_ids) == len(batch.segment_sizes)
        out += [bytes(packet) for packet in batch]
    return out


@pytest.mark.parametrize("family", [4, 6])
def test_packets_go_both_ways_in_both_families(host: smartvpn.Server, family: int) -> None:
    with make_tunnel(host) as tunnel:
        inside = next(a for a in tunnel.info.addresses if (":" in a) == (family == 6))
        there, back = tunnel.packets(), host.packets(batch=8)
        up = [udp_packet(inside, OUTSIDE[family], b"up %d" % number) for number in range(100)]
        assert there.write(up) == 100
        assert read_all(back, 100) == up
        down = [udp_packet(OUTSIDE[family], inside, b"down %d" % number) for number in range(100)]
        assert back.write([bytearray(packet) for packet in down]) == 100
        assert read_all(there, 100) == down
        assert host.stats.inner_packets_in == tunnel.stats.inner_packets_out == 100


def test_a_batch_says_which_session_it_came_from(host: smartvpn.Server) -> None:
    with make_tunnel(host) as tunnel:
        tunnel.packets().write([udp_packet(tunnel.info.addresses[0], OUTSIDE[4], b"x")])
        batch = host.packets().read(PATIENCE)
        assert batch.session_ids == list(host.sessions) and batch.segment_sizes == [0]
        assert isinstance(batch[0], memoryview) and batch[:1] == [batch[0]] and not batch[0].readonly


def test_packets_are_answered_in_place(host: smartvpn.Server) -> None:
    """Views may be written to and handed back: here addresses are swapped, which leaves all checksums
    right."""
    with make_tunnel(host) as tunnel:
        there, back = tunnel.packets(), host.packets()
        inside = tunnel.info.addresses[0]
        there.write([udp_packet(inside, OUTSIDE[4], b"ping")])
        batch = back.read(PATIENCE)
        for packet in batch:
            packet[12:16], packet[16:20] = bytes(packet[16:20]), bytes(packet[12:16])
        assert back.write(batch, batch.segment_sizes) == 1
        assert bytes(there.read(PATIENCE)[0]) == udp_packet(OUTSIDE[4], inside, b"ping")


def test_views_that_outlive_their_batch_stay_memory(host: smartvpn.Server) -> None:
    with make_tunnel(host) as tunnel:
        packets = host.packets()
        for mark in (b"first", b"again"):
            tunnel.packets().write([udp_packet(tunnel.info.addresses[0], OUTSIDE[4], mark)])
            view = packets.read(PATIENCE)[0]
            if mark == b"first":
                kept = view
        assert bytes(kept) == bytes(view)  # the next read has overwritten it, as is said
    host.close()
    del packets, view
    gc.collect()
    assert bytes(kept).endswith(b"again")


def test_nothing_waiting_is_a_timeout_and_after_stop_it_is_closed(host: smartvpn.Server) -> None:
    packets = host.packets()
    for timeout in (0, 0.02):
        with pytest.raises(TimeoutError):
            packets.read(timeout)
    host.stop()
    with pytest.raises(smartvpn.ClosedError):
        packets.read()
    assert list(packets) == []
    host.close()
    with pytest.raises(smartvpn.ClosedError, match="the server is closed"):
        packets.write([b"x"])


def test_senseless_packets_are_refused(host: smartvpn.Server) -> None:
    packets = host.packets(batch=2)
    for wrong in (b"", bytes(65536)):
        with pytest.raises(ValueError):
            packets.write([udp_packet(OUTSIDE[4], "10.8.0.2", b"x"), wrong])
    text: Any = ["text"]
    with pytest.raises(TypeError):
        packets.write(text)
    assert packets.write([]) == 0
    assert packets.write([bytes(65535)] * 5) == 5  # taken, and dropped by what they are
    with pytest.raises(ValueError, match="batch"):
        host.packets(batch=0)
    with pytest.raises(ValueError, match="arena_bytes"):
        host.packets(arena_bytes=1000)


def test_other_engines_have_no_packets() -> None:
    with make_server("testing") as server:
        with pytest.raises(smartvpn.BadStateError):
            server.packets().read(0)
        with pytest.raises(smartvpn.BadStateError):
            server.packets().fileno()
        with pytest.raises(smartvpn.BadStateError):
            server.packets().write([udp_packet(OUTSIDE[4], "10.8.0.2", b"x")])
