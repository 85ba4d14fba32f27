"""What is hard on waits: signal handlers that raise at any moment, floods, closing from elsewhere, other loops."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

import smartvpn
from support import PATIENCE, expect_clean, make_server, make_tunnel, udp_packet


def test_signal_handlers_that_raise_leave_nothing_locked() -> None:
    expect_clean(
        """
import signal, threading, time
import smartvpn
from support import make_server

class Stop(Exception):
    pass

def handler(*_):
    raise Stop

with make_server() as server:
    events = server.events("client_changed")
    signal.signal(signal.SIGALRM, handler)
    for timeout in (0, 0.0005):
        seen = 0
        while seen < 1500:
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.0003, 0)
                while True:
                    try:
                        events.next(timeout)
                    except smartvpn.TimedOutError:
                        pass
            except Stop:
                seen += 1
    signal.setitimer(signal.ITIMER_REAL, 0)
    server.clients.create("bob")
    assert events.next(20).client_id == "bob"
    assert not events._handle.waiting
    closer = threading.Thread(target=events.close)
    began = time.monotonic()
    closer.start()
    closer.join(20)
    assert not closer.is_alive() and time.monotonic() - began < 5 and events._handle.freed
"""
    )


def test_a_flood_leaves_the_loop_to_others() -> None:
    async def main() -> None:
        async with make_server("host") as server, make_tunnel(server) as tunnel:
            up = [udp_packet(tunnel.info.addresses[0], "192.0.2.9", b"x" * 1000)] * 64
            over = threading.Event()

            def flood() -> None:
                there = tunnel.packets()
                while not over.is_set():
                    there.write(up)

            sender = threading.Thread(target=flood)
            sender.start()
            packets, read = server.packets(), 0

            async def eat() -> None:
                nonlocal read
                until = time.monotonic() + PATIENCE
                while time.monotonic() < until:
                    read += len(await packets.aread())
                    time.sleep(0.003)  # slower than what comes in

            try:
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(eat(), 0.5)
            finally:
                over.set()
                await asyncio.get_running_loop().run_in_executor(None, sender.join)
            assert read > 0

    asyncio.run(asyncio.wait_for(main(), 3 * PATIENCE))


def test_closing_in_another_loop_than_the_one_that_decides() -> None:
    async def start() -> smartvpn.Server:
        server = make_server(security=smartvpn.Security(authorize="required"))

        @server.authorize
        async def decide(request: smartvpn.Request) -> bool:
            return True

        await server.astart()
        return server

    server = asyncio.run(start())
    asyncio.run(asyncio.wait_for(server.aclose(), PATIENCE))
    assert server.state == "stopped"


def test_what_ends_a_decision_denies_and_the_next_is_asked() -> None:
    asked = []
    server = make_server(security=smartvpn.Security(authorize="required", authorize_timeout_ms=60000))

    @server.authorize
    def decide(request: smartvpn.Request) -> bool:
        asked.append(request.client_id)
        raise SystemExit(3)

    with server:
        for name in ("bob", "carol"):
            credentials = server.clients.create(name)
            once = smartvpn.Reconnect(enabled=False)
            tunnel = smartvpn.Tunnel(credentials, forwarding="host", reconnect=once)
            with pytest.raises(smartvpn.RefusedError, match="authorize_denied"):
                tunnel.connect(PATIENCE)
            tunnel.close()
    assert asked == ["bob", "carol"]


def test_a_packet_that_is_none_is_an_invalid_error() -> None:
    with make_server("host") as server, make_tunnel(server) as tunnel:
        packets = tunnel.packets()
        with pytest.raises(smartvpn.InvalidError):
            packets.write([b""])
        with pytest.raises(smartvpn.InvalidError):
            packets.write([b"x" * 20], [-1])


def test_times_without_end_and_numbers_without_session() -> None:
    with make_server() as server:
        server.clients.create("bob")
        assert server.events("client_changed", capacity=16) is not None
        assert -1 not in server.sessions and server.sessions.get(2**64) is None
        events = server.events("client_changed")
        server.clients.remove("bob")
        assert events.next(float("inf")).change == "removed"


def test_the_configuration_that_a_server_tells_is_a_copy() -> None:
    with make_server() as server:
        key = server.public_key
        assert server.config.keys is not None
        server.config.keys.noise_private_key = smartvpn.generate_key()
        assert server.public_key == key
