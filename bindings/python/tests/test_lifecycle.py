"""A server is created, runs, drains, stops, once; and is given back."""

from __future__ import annotations

import copy
import gc
import pickle
import socket
import threading
import time
import warnings
import weakref
from typing import Any, Callable, List

import pytest

import smartvpn
from support import PATIENCE, make_server, make_tunnel, native_threads, next_of


def connects(server: smartvpn.Server) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", server.endpoints[0].port)) == 0


def test_server_goes_through_its_states_once() -> None:
    server = make_server()
    assert server.state == "created" and server.endpoints == []
    server.start()
    assert server.state == "running" and connects(server)
    with pytest.raises(smartvpn.BadStateError):
        server.start()
    server.stop()
    server.stop()
    assert server.state == "stopped" and server.endpoints == []
    with pytest.raises(smartvpn.BadStateError):
        server.start()
    server.close()
    assert server.state == "stopped"


def test_with_starts_and_closes_also_when_the_block_raises() -> None:
    with pytest.raises(RuntimeError, match="mine"):
        with make_server() as server:
            assert server.state == "running"
            raise RuntimeError("mine")
    assert repr(server) == "<smartvpn.Server stopped>"
    server.close()


def test_a_start_that_fails_in_with_leaves_nothing() -> None:
    with make_server() as first:
        second = make_server(listener=smartvpn.WebSocket(port=first.endpoints[0].port, address="127.0.0.1"))
        with pytest.raises(OSError):
            second.__enter__()
        assert second.state == "stopped"
        assert sum(name.startswith("svpn-") for name in native_threads()) <= 2


def test_several_servers_live_in_one_process() -> None:
    with make_server() as first, make_server() as second:
        assert first.endpoints[0].port != second.endpoints[0].port
        assert connects(first) and connects(second)


def test_commands_before_and_after_running_are_bad_state() -> None:
    server = make_server()
    for _ in range(2):
        with pytest.raises(smartvpn.BadStateError):
            server.clients.create("alice")
        with pytest.raises(smartvpn.BadStateError):
            server.sessions.list()
        server.stop()
    server.close()


def test_stop_that_times_out_goes_on_in_the_background(host: smartvpn.Server) -> None:
    with make_tunnel(host) as tunnel:
        with pytest.raises(smartvpn.TimedOutError):
            host.stop(drain=60.0, timeout=0.05)
        assert host.state == "draining"
        assert tunnel.state == "connected"
        host.stop(drain=0.0, timeout=PATIENCE)
        assert host.state == "stopped"


def test_all_who_stop_wait_for_the_same_end(server: smartvpn.Server) -> None:
    states: List[smartvpn.ServerState] = []

    def stop() -> None:
        server.stop()
        states.append(server.state)

    threads = [threading.Thread(target=stop) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert states == [smartvpn.ServerState.STOPPED] * 4


def test_an_abandoned_running_server_is_freed_with_a_warning() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        server = make_server()
        server.start()
        port = server.endpoints[0].port
        del server
        gc.collect()
    assert [warning.category for warning in caught] == [ResourceWarning]
    assert "unclosed <smartvpn.Server running>" in str(caught[0].message)
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_a_server_that_never_ran_goes_silently() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make_server()
        gc.collect()


def test_cycles_through_a_server_are_collected() -> None:
    gc.collect()
    server = make_server(security=smartvpn.Security(authorize="required"))

    @server.authorize
    def decide(request: smartvpn.Request) -> bool:
        return server.state == "running"

    server.__dict__["self_made_cycle"] = [server, server.clients, server.events()]
    gone = weakref.ref(server)
    server.close()
    del server, decide
    gc.collect()
    assert gone() is None


def test_parts_do_not_keep_their_server_alive() -> None:
    server = make_server()
    clients, sessions, packets, gone = server.clients, server.sessions, server.packets(), weakref.ref(server)
    del server
    gc.collect()
    assert gone() is None
    uses: List[Callable[[], Any]] = [lambda: clients["a"], sessions.list, packets.read]
    for use in uses:
        with pytest.raises(smartvpn.ClosedError, match="the server is closed"):
            use()


def test_close_from_another_thread_ends_every_wait() -> None:
    server = make_server("host", security=smartvpn.Security(authorize="required"))
    events, packets, requests = server.events(), server.packets(), server.requests()
    server.start()
    ended: List[str] = []

    def wait(name: str, call: Any) -> None:
        try:
            while True:
                call()
        except smartvpn.ClosedError:
            ended.append(name)

    waits = {"events": events.next, "packets": packets.read, "requests": requests.next}
    threads = [threading.Thread(target=wait, args=item) for item in waits.items()]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + PATIENCE
    while len(server._handle.waiting) < 2 and time.monotonic() < deadline:
        time.sleep(0.001)
    server.close()
    for thread in threads:
        thread.join(PATIENCE)
    assert sorted(ended) == ["events", "packets", "requests"]
    assert server._handle.freed


def test_nothing_of_it_can_be_copied_or_pickled(server: smartvpn.Server) -> None:
    transaction = server.clients.transaction()
    things: List[Any] = [
        server,
        server.clients,
        server.sessions,
        server.events(),
        server.stats,
        transaction,
        server.packets(),
        server.requests(),
        make_tunnel(server),
    ]
    for thing in things:
        copiers: List[Callable[[Any], Any]] = [pickle.dumps, copy.copy, copy.deepcopy]
        for copier in copiers:
            with pytest.raises(TypeError, match="neither copied nor pickled"):
                copier(thing)
    transaction.close()


def test_sessions_of_a_closing_server_are_told() -> None:
    with make_server("host") as server:
        tunnel = make_tunnel(server)
        events = tunnel.events(["session_down"])
        with tunnel:
            server.close()
            assert next_of(events, smartvpn.EventType.SESSION_DOWN).reason == "server_stopping"
