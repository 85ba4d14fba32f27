"""Nothing is left behind: memory, descriptors, threads, after many of everything. Each in a process of its
own."""

from __future__ import annotations

from support import expect_clean

LONG = 150.0  # seconds, on a busy machine
MEASURE = """
import gc, resource, sys, time
import smartvpn
from support import make_server, make_tunnel, native_threads, next_of, open_descriptors

def resident():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()

def held():
    return len(open_descriptors()), len(native_threads())

def check(once, warm_up, rounds, allowed):
    for _ in range(warm_up):
        once()
    gc.collect()
    time.sleep(0.2)  # a thread that was joined may be seen in /proc for another moment
    before = resident(), held(), len(gc.get_objects())
    for _ in range(rounds):
        once()
    gc.collect()
    grown = resident() - before[0]
    assert grown < allowed, f"{grown} bytes more after {rounds} rounds"
    patience = time.monotonic() + 20
    while held() != before[1] and time.monotonic() < patience:
        time.sleep(0.05)
    assert held() == before[1], (before[1], open_descriptors(), native_threads())
    assert len(gc.get_objects()) - before[2] < 300
"""


def test_ten_thousand_servers_made_and_dropped() -> None:
    expect_clean(
        MEASURE
        + """
config = smartvpn.ServerConfig(listen=[smartvpn.WebSocket(0, "127.0.0.1")], forwarding="host",
                               keys=smartvpn.Keys(noise_private_key=smartvpn.generate_key()))
numbers = iter(range(100000))
def once():
    server = smartvpn.Server(config)
    events = server.events(capacity=16)
    if next(numbers) % 2:
        events.close()
        server.close()
check(once, 500, 10000, 1 << 20)
""",
        patience=LONG,
        malloc="pymalloc",
    )


def test_ten_thousand_tunnels_made_and_dropped() -> None:
    expect_clean(
        MEASURE
        + """
with make_server() as server:
    credentials = server.clients.create("alice")
    check(lambda: smartvpn.Tunnel(credentials, forwarding="host"), 500, 10000, 1 << 20)
""",
        patience=LONG,
        malloc="pymalloc",
    )


def test_two_hundred_servers_started_and_stopped() -> None:
    expect_clean(
        MEASURE
        + """
numbers = iter(range(1000))
def once():
    with make_server("host", security=smartvpn.Security(authorize="required")) as server:
        server.authorize(lambda request: True)
        events = server.events()
        if next(numbers) % 8 == 0:
            with make_tunnel(server) as tunnel:
                assert len(server.sessions) == 1
                tunnel.packets()
        server.clients.create("bob")
        events.next(20)
check(once, 30, 200, 2 << 20)
""",
        patience=LONG,
        malloc="pymalloc",
    )


def test_events_snapshots_sessions_transactions_and_errors() -> None:
    expect_clean(
        MEASURE
        + """
with make_server("host") as server, make_tunnel(server):
    events = server.events("client_changed")
    def once():
        with server.clients.transaction() as changes:
            changes.create("bob")
        server.clients.remove("bob")
        assert events.next(20).change == "created" and events.next(20).change == "removed"
        server.sessions.list()
        server.sessions[server.sessions.list()[0].id]
        server.stats.json()
        server.stats.prometheus()
        server.events(capacity=16)
        try:
            server.clients.create("x", nonsense=1)
        except smartvpn.InvalidError:
            pass
        server.reconfigure(server.config)
    check(once, 300, 1500, 1 << 20)
""",
        patience=LONG,
        malloc="pymalloc",
    )


def test_packets_and_async_waits() -> None:
    expect_clean(
        MEASURE
        + """
import asyncio
from support import udp_packet
async def main():
    async with make_server("host") as server, make_tunnel(server) as tunnel:
        up = [udp_packet(tunnel.info.addresses[0], "192.0.2.9", b"x" * 1000)] * 8
        there, back = tunnel.packets(), server.packets()
        async def once():
            there.write(up)
            seen = 0
            while seen < len(up):
                seen += len(await back.aread(20))
            task = asyncio.ensure_future(back.aread())
            await asyncio.sleep(0)
            task.cancel()
            try:
                await task
            except asyncio.CancelledError:
                pass
        for rounds in (1000, 2000):
            for _ in range(rounds):
                await once()
            gc.collect()
            now = resident(), len(open_descriptors()), len(gc.get_objects())
            if rounds == 1000:
                before = now
        assert now[0] - before[0] < 1 << 20, (before, now)
        assert now[1] == before[1] and now[2] - before[2] < 300, (before, now)
asyncio.run(main())
""",
        patience=LONG,
        malloc="pymalloc",
    )


def test_relays_connections_and_reconfigurations() -> None:
    expect_clean(
        MEASURE
        + """
from relay_support import Target, asks, client, make_relay, route
import dataclasses
with Target() as target:
    def once():
        with make_relay(target.port, send="v1") as relay:
            events = relay.events()
            with client(relay.endpoints[0].port) as peer:
                asks(peer, b"hello")
                relay.disconnect(relay.connections()[0])
            next_of(events, smartvpn.EventType.CONNECTION_CLOSED)
            relay.stats.json()
            relay.reconfigure(dataclasses.replace(relay.config, routes=[route(target.port, "other")]))
            try:
                relay.reconfigure({"rutes": 1})
            except smartvpn.InvalidError:
                pass
        smartvpn.Relay(relay.config)
    check(once, 600, 1500, 1 << 20)
""",
        patience=LONG,
        malloc="pymalloc",
    )
