"""The program decides on every session: by a function, a coroutine function, or by hand."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from typing import Any, Callable, List

import pytest

import smartvpn
from smartvpn import Decision, EventType
from support import PATIENCE, anext_of, make_server, make_tunnel, next_of

Run = Callable[[Any], Any]
ASKING = smartvpn.Security(authorize="required", authorize_timeout_ms=60000)


def test_requests_are_taken_and_answered_by_hand() -> None:
    with make_server("host", security=ASKING) as server:
        requests, tunnel = server.requests(), make_tunnel(server)
        with pytest.raises(smartvpn.TimedOutError):
            requests.next(0)
        tunnel.start()
        request = requests.next(PATIENCE)
        assert request.client_id == "alice" and request.transport == "websocket" and request.tlvs == {}
        assert request.remote_addr == request.peer_addr and request.raw["token"] == request.token
        assert request.deadline / 1000 > time.time()
        with pytest.raises(smartvpn.InvalidError) as caught:
            server.answer(request, Decision(True, session_seconds=0))
        assert caught.value.path == "/session_seconds"
        wrong: Any = "yes"
        with pytest.raises(TypeError, match="not str"):
            server.answer(request, wrong)
        server.answer(
            request,
            Decision(
                True,
                valid=1.5,
                session_seconds=60,
                rate_limit=smartvpn.RateLimit(to_client_bytes_per_second=1000000),
            ),
        )
        tunnel.connect(PATIENCE)
        with pytest.raises(smartvpn.NotFoundError):
            server.answer(request.token, False)
        tunnel.close()
    assert list(requests) == []


def test_where_nobody_is_asked_it_is_a_bad_state(server: smartvpn.Server) -> None:
    with pytest.raises(smartvpn.BadStateError):
        server.requests().next(0)
    with pytest.raises(smartvpn.BadStateError):
        server.authorize(lambda request: True)
    with pytest.raises(smartvpn.BadStateError):
        server.answer(1, True)


def test_a_function_decides_on_a_thread_that_ends_with_the_server() -> None:
    asked: List[str] = []
    with make_server("host", security=ASKING) as server:
        events = server.events(["connection_rejected"])

        @server.authorize
        def decide(request: smartvpn.Request) -> Decision:
            asked.append(threading.current_thread().name)
            server.clients.update(request.client_id, description="asked")  # commands work in here
            return Decision(
                request.client_id == "alice", detail=None if request.client_id == "alice" else "unpaid"
            )

        with pytest.raises(smartvpn.BadStateError, match="already"):
            server.authorize(decide)
        with make_tunnel(server, "alice"):
            assert len(server.sessions) == 1
            bob = make_tunnel(server, "bob")
            bob.start()
            rejected = next_of(events, EventType.CONNECTION_REJECTED)
            assert (rejected.reason, rejected.detail) == ("authorize_denied", "unpaid")
            bob.close()
        assert server.clients["alice"].description == "asked"
    assert set(asked) == {"smartvpn-authorize"}
    assert "smartvpn-authorize" not in [thread.name for thread in threading.enumerate()]


def test_a_function_registered_before_start_is_asked() -> None:
    server = make_server("host", security=ASKING)
    server.authorize(lambda request: True)
    with server, make_tunnel(server):
        assert len(server.sessions) == 1


@pytest.mark.parametrize("answer", ["raise", "None", "wrong"])
def test_what_goes_wrong_in_a_function_is_logged_and_denies(
    answer: str, caplog: pytest.LogCaptureFixture
) -> None:
    def decide(request: smartvpn.Request) -> Any:
        if answer == "raise":
            raise RuntimeError("mine")
        return None if answer == "None" else Decision(True, session_seconds=-1)

    with caplog.at_level(logging.ERROR, "smartvpn"), make_server("host", security=ASKING) as server:
        server.authorize(decide)
        events = server.events(["connection_rejected"])
        tunnel = make_tunnel(server)
        tunnel.start()
        rejected = next_of(events, EventType.CONNECTION_REJECTED)
        assert (rejected.reason, rejected.detail) == ("authorize_denied", "authorize failed")
        tunnel.close()
    (record,) = [record for record in caplog.records if record.name == "smartvpn"]
    assert "alice" in record.getMessage() and record.exc_info is not None
    wanted = {"raise": RuntimeError, "None": TypeError, "wrong": smartvpn.InvalidError}
    assert record.exc_info[0] is wanted[answer]


def test_a_function_may_close_its_own_server() -> None:
    closed = threading.Event()
    server = make_server("host", security=ASKING)

    @server.authorize
    def decide(request: smartvpn.Request) -> bool:
        server.close()
        closed.set()
        return True

    server.start()
    tunnel = make_tunnel(server)
    tunnel.start()
    assert closed.wait(PATIENCE)
    tunnel.close()
    assert server.state == "stopped"


def test_nobody_who_answers_is_a_deny_by_the_library() -> None:
    with make_server(
        "host", security=smartvpn.Security(authorize="required", authorize_timeout_ms=100)
    ) as server:
        events = server.events(["connection_rejected"])
        tunnel = make_tunnel(server)
        tunnel.start()
        assert next_of(events, EventType.CONNECTION_REJECTED).reason == "authorize_timeout"
        tunnel.close()


def test_a_coroutine_function_decides_on_all_at_once(run: Run) -> None:
    async def main() -> int:
        open_now, most, enough = 0, 0, asyncio.Event()
        async with make_server("host", security=ASKING) as server:

            @server.authorize
            async def decide(request: smartvpn.Request) -> bool:
                nonlocal open_now, most
                open_now += 1
                most = max(most, open_now)
                if open_now == 5:
                    enough.set()
                await enough.wait()
                return True

            tunnels = [make_tunnel(server, f"client-{number}") for number in range(5)]
            await asyncio.gather(*(tunnel.aconnect(PATIENCE) for tunnel in tunnels))
            assert len(server.sessions) == 5
            for tunnel in tunnels:
                await tunnel.aclose()
        return most

    assert run(main()) == 5


def test_a_coroutine_function_that_raises_is_logged_and_denies(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        server = make_server("host", security=ASKING)

        @server.authorize
        async def decide(request: smartvpn.Request) -> bool:
            raise RuntimeError("mine")

        async with server:
            events = server.events(["connection_rejected"])
            tunnel = make_tunnel(server)
            tunnel.start()
            rejected = await anext_of(events, EventType.CONNECTION_REJECTED)
            assert (rejected.reason, rejected.detail) == ("authorize_denied", "authorize failed")
            await tunnel.aclose()

    with caplog.at_level(logging.ERROR, "smartvpn"):
        run(main())
    assert [
        record.exc_info[0] for record in caplog.records if record.name == "smartvpn" and record.exc_info
    ] == [RuntimeError]


def test_closing_cancels_decisions_that_are_being_made(run: Run) -> None:
    async def main() -> str:
        begun, end = asyncio.Event(), "none"
        async with make_server("host", security=ASKING) as server:

            @server.authorize
            async def decide(request: smartvpn.Request) -> bool:
                nonlocal end
                begun.set()
                try:
                    await asyncio.sleep(3600)
                except asyncio.CancelledError:
                    end = "cancelled"
                    raise
                return True

            tunnel = make_tunnel(server)
            tunnel.start()
            await asyncio.wait_for(begun.wait(), PATIENCE)
        tunnel.close()
        return end

    assert run(main()) == "cancelled"


def test_requests_in_a_loop_by_hand(run: Run) -> None:
    async def main() -> None:
        async with make_server("host", security=ASKING) as server:
            tunnel = make_tunnel(server)
            tunnel.start()
            async for request in server.requests():
                server.answer(request, True)
                break
            await tunnel.aconnect(PATIENCE)
            await tunnel.aclose()

    run(main())


def test_a_coroutine_function_needs_a_loop() -> None:
    async def decide(request: smartvpn.Request) -> bool:
        return True

    server = make_server("host", security=ASKING)
    server.authorize(decide)
    with pytest.raises(RuntimeError, match="event loop"):
        server.start()
    assert server.state == "created"
    server.close()


def test_a_coroutine_function_may_close_its_own_server(run: Run) -> None:
    async def main() -> None:
        server = make_server("host", security=ASKING)
        ended: "asyncio.Future[None]" = asyncio.get_running_loop().create_future()

        @server.authorize
        async def decide(request: smartvpn.Request) -> bool:
            try:
                await server.aclose()
            except BaseException as failure:
                ended.set_exception(RuntimeError(repr(failure)))
                raise
            ended.set_result(None)
            return True

        await server.astart()
        tunnel = make_tunnel(server)
        tunnel.start()
        await asyncio.wait_for(ended, PATIENCE)
        await tunnel.aclose()
        assert server._handle.freed

    run(main())


def test_aclose_in_another_loop_than_the_one_that_decides(run: Run) -> None:
    server = make_server("host", security=ASKING)
    deciding = asyncio.new_event_loop()

    async def begin() -> None:
        server.authorize(decide)
        await server.astart()

    async def decide(request: smartvpn.Request) -> bool:
        return True

    deciding.run_until_complete(begin())
    run(server.aclose())
    deciding.run_until_complete(asyncio.gather(*asyncio.all_tasks(deciding)))
    deciding.close()
    assert server._handle.freed
