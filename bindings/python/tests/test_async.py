"""Event loops, asyncio's and uvloop's: streams, cancellation, several at once, and ends."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from typing import Any, Callable, List

import pytest

import smartvpn
from smartvpn import EventType
from smartvpn._source import Source
from support import PATIENCE, anext_of, expect_clean, make_server, make_tunnel, udp_packet

Run = Callable[[Any], Any]


def test_a_whole_server_in_a_loop(run: Run) -> None:
    async def main() -> List[str]:
        seen = []
        async with make_server("host") as server:
            events = server.events()
            async with make_tunnel(server):
                async for event in events:
                    seen.append(str(event.type))
                    if event.type is EventType.SESSION_UP:
                        break
            assert server.state == "running"
        assert server._handle.freed
        return seen + [str(event.type) async for event in events]

    assert run(main()) == ["client_changed", "connection_accepted", "session_up", "session_down"]


def test_several_streams_of_several_servers_side_by_side(run: Run) -> None:
    async def count(events: smartvpn.EventStream) -> int:
        return len([event async for event in events])

    async def main() -> List[int]:
        servers = [make_server() for _ in range(3)]
        for server in servers:
            await server.astart()
        tasks = [
            asyncio.ensure_future(count(server.events("client_changed")))
            for server in servers
            for _ in range(3)
        ]
        await asyncio.sleep(0)
        for at, server in enumerate(servers):
            for number in range(100 * (at + 1)):
                server.clients.create(f"c{number}")
        for server in servers:
            await server.aclose()
        return [await task for task in tasks]

    assert run(main()) == [100] * 3 + [200] * 3 + [300] * 3


def test_tasks_share_a_stream_and_each_event_comes_once(run: Run) -> None:
    async def take(events: smartvpn.EventStream, seen: List[Any]) -> None:
        async for event in events:
            seen.append(event.client_id)
            await asyncio.sleep(0)

    async def main() -> List[Any]:
        seen: List[Any] = []
        async with make_server() as server:
            events = server.events("client_changed")
            tasks = [asyncio.ensure_future(take(events, seen)) for _ in range(5)]
            await asyncio.sleep(0)
            with server.clients.transaction() as changes:
                for number in range(300):
                    changes.create(f"c{number:03}")
        await asyncio.gather(*tasks)
        return seen

    assert sorted(run(main())) == [f"c{number:03}" for number in range(300)]


def test_one_slow_task_does_not_keep_the_batch_from_another(run: Run) -> None:
    async def main() -> None:
        async with make_server() as server:
            events = server.events("client_changed")
            waiting = asyncio.ensure_future(events.anext())
            await asyncio.sleep(0)
            for name in ("first", "second"):
                server.clients.create(name)
            # Takes both out of the library before the loop has looked at the descriptor.
            assert (await events.anext(PATIENCE)).client_id == "first"
            assert (await asyncio.wait_for(waiting, PATIENCE)).client_id == "second"

    run(main())


def test_cancelling_loses_no_event(run: Run) -> None:
    async def main() -> None:
        async with make_server() as server:
            events = server.events("client_changed")
            for number in range(200):
                waiting = asyncio.ensure_future(events.anext())
                await asyncio.sleep(0)
                server.clients.create(f"c{number}")
                waiting.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await waiting
                assert (await events.anext(0)).client_id == f"c{number}"
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(events.anext(), 0.01)
            assert not events._readable._waiting
            assert not asyncio.get_running_loop().remove_reader(events.fileno())  # there is none left

    run(main())


def test_timeouts_in_a_loop(run: Run) -> None:
    async def main() -> None:
        async with make_server("host") as server:
            for wait in (server.events("log").anext, server.packets().aread):
                for timeout in (0, 0.02):
                    with pytest.raises(smartvpn.TimedOutError):
                        await wait(timeout)

    run(main())


def test_packets_in_a_loop(run: Run) -> None:
    async def main() -> None:
        async with make_server("host") as server, make_tunnel(server) as tunnel:
            inside = tunnel.info.addresses[0]
            up, down = udp_packet(inside, "192.0.2.9", b"up"), udp_packet("192.0.2.9", inside, b"down")

            async def serve() -> None:
                packets = server.packets()
                async for batch in packets:
                    assert [bytes(packet) for packet in batch] == [up]
                    assert packets.write([down]) == 1

            serving = asyncio.ensure_future(serve())
            there = tunnel.packets()
            for _ in range(3):
                there.write([up])
                assert bytes((await there.aread(PATIENCE))[0]) == down
            await tunnel.aclose()
            await server.aclose()
            await serving  # its iteration has ended

    run(main())


@pytest.mark.parametrize("close", ["here", "in a thread"])
def test_close_ends_every_task_that_waits(run: Run, close: str) -> None:
    async def ended(waiting: Any) -> str:
        with pytest.raises(smartvpn.ClosedError):
            await waiting
        return "ended"

    async def main() -> List[str]:
        server = make_server("host", security=smartvpn.Security(authorize="required"))
        await server.astart()
        events = server.events("log")
        waits = [
            events.anext(),
            server.packets().aread(),
            server.packets().aread(),
            server.requests().anext(),
        ]
        tasks = [asyncio.ensure_future(ended(waiting)) for waiting in waits]
        await asyncio.sleep(0)
        if close == "here":
            events.close()
            server.close()
        else:
            for end in (events.close, server.close):
                thread = threading.Thread(target=end)
                thread.start()
                await asyncio.get_running_loop().run_in_executor(None, thread.join)
        out = await asyncio.wait_for(asyncio.gather(*tasks), PATIENCE)
        assert server._handle.freed
        return out

    assert run(main()) == ["ended"] * 4


def test_connect_in_a_loop(run: Run) -> None:
    async def main() -> None:
        async with make_server("host") as server:
            events = server.events()
            refused = make_tunnel(server, "bob")
            server.clients.disable("bob")
            with pytest.raises(smartvpn.RefusedError):
                await refused.aconnect(PATIENCE)
            await refused.aclose()
            async with make_tunnel(server) as tunnel:
                await tunnel.aconnect(PATIENCE)
                assert (await anext_of(events, EventType.SESSION_UP)).client_id == "alice"
                await server.astop(timeout=PATIENCE)

    run(main())


def test_a_loop_that_ends_in_the_middle_leaves_nothing_behind(run: Run) -> None:
    """The task that waits is never resumed: closing works all the same, and collecting the task frees the
    rest."""
    server = make_server()
    server.start()
    loop = asyncio.new_event_loop()

    async def wait() -> None:
        async for _ in server.events("log"):
            pass

    async def main() -> None:
        asyncio.ensure_future(wait())
        await asyncio.sleep(0.01)

    asyncio.set_event_loop(loop)
    loop.set_exception_handler(lambda *_: None)  # "Task was destroyed but it is pending"
    loop.run_until_complete(main())
    loop.close()
    asyncio.set_event_loop(None)
    server.close()
    assert server._handle.freed
    gc.collect()


def test_asyncio_run_may_leave_streams_open() -> None:
    expect_clean("""
        import asyncio, smartvpn
        async def listen(server):
            async for event in server.events():
                pass
        async def main():
            server = smartvpn.Server(listen=[smartvpn.WebSocket(0, "127.0.0.1")], forwarding="testing")
            await server.astart()
            task = asyncio.ensure_future(listen(server))
            await asyncio.sleep(0)
            server.clients.create("alice")
            await asyncio.sleep(0)
            return server
        server = asyncio.run(main())
        assert server.state == "running"
    """)


def test_a_flood_leaves_the_loop_to_others_and_can_be_cancelled(run: Run) -> None:
    class Flood(Source[int]):
        def _fetch(self) -> List[int]:
            return [1] * 10

    async def main() -> int:
        ticks = 0

        async def eat(flood: Flood) -> None:
            until = time.monotonic() + PATIENCE
            while time.monotonic() < until:
                await flood.__anext__()

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.001)
                ticks += 1

        async with make_server() as server:
            ticker = asyncio.ensure_future(tick())
            flood = Flood(server._handle, server._packets_readable)
            begun = time.monotonic()
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(eat(flood), 0.5)
            assert time.monotonic() - begun < PATIENCE / 2
            ticker.cancel()
        return ticks

    assert run(main()) > 10


def test_aclose_does_not_wait_for_the_tasks_of_another_loop(run: Run) -> None:
    server = make_server("host")
    server.start()
    other = asyncio.new_event_loop()
    waiting = other.create_task(server.packets().aread())
    other.run_until_complete(asyncio.sleep(0.01))  # it waits, and its loop does not run

    async def main() -> None:
        await asyncio.wait_for(server.aclose(), PATIENCE)

    run(main())
    assert not server._handle.freed
    with pytest.raises(smartvpn.ClosedError):
        other.run_until_complete(waiting)
    other.close()
    assert server._handle.freed
