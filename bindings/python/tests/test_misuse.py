"""Use after close, wrong types, wrong values: the language's ordinary errors, and the process lives on."""

from __future__ import annotations

import threading
from typing import Any, Callable, List, Tuple

import pytest

import smartvpn
from smartvpn import _native
from support import PATIENCE, make_server, make_tunnel


def test_everything_of_a_closed_server_says_so(host: smartvpn.Server) -> None:
    clients, sessions, packets, requests = host.clients, host.sessions, host.packets(), host.requests()
    host.close()
    host.close()
    uses: List[Tuple[str, Callable[[], Any]]] = [
        ("start", host.start),
        ("stop", host.stop),
        ("endpoints", lambda: host.endpoints),
        ("stats", lambda: host.stats),
        ("events", host.events),
        ("reload", host.reload_certificates),
        ("reconfigure", lambda: host.reconfigure(host.config)),
        ("answer", lambda: host.answer(1, True)),
        ("authorize", lambda: host.authorize(lambda request: True)),
        ("list", clients.list),
        ("create", lambda: clients.create("a")),
        ("get", lambda: clients["a"]),
        ("in", lambda: "a" in clients),
        ("len", lambda: len(clients)),
        ("transaction", clients.transaction),
        ("sessions", sessions.list),
        ("disconnect", lambda: sessions.disconnect(1)),
        ("read", packets.read),
        ("write", lambda: packets.write([b"x"])),
        ("fileno", packets.fileno),
        ("requests", requests.next),
    ]
    for name, use in uses:
        with pytest.raises(smartvpn.ClosedError, match="^the server is closed$"):
            use()
        assert name


def test_everything_of_a_closed_tunnel_says_so(host: smartvpn.Server) -> None:
    tunnel = make_tunnel(host)
    packets = tunnel.packets()
    tunnel.close()
    uses: List[Callable[[], Any]] = [
        tunnel.start,
        tunnel.connect,
        tunnel.stop,
        lambda: tunnel.info,
        lambda: tunnel.stats,
        tunnel.events,
        packets.read,
    ]
    for use in uses:
        with pytest.raises(smartvpn.ClosedError, match="^the tunnel is closed$"):
            use()


def test_wrong_types_are_type_errors_and_harm_nothing(server: smartvpn.Server) -> None:
    events: Any = server.events()
    anything: Any = object()
    unfit: List[Callable[[], Any]] = [
        lambda: server.clients[anything],
        lambda: server.clients.update("a", anything),
        lambda: server.clients.update("a", {"description": anything}),
        lambda: server.sessions[anything],
        lambda: server.stats[anything],
        lambda: server.events(capacity=anything),
        lambda: events.next("soon"),
        lambda: server.stop(drain=anything),
        lambda: smartvpn.public_key(anything),
        lambda: smartvpn.Server(anything),
        lambda: smartvpn.Tunnel(anything),
        lambda: smartvpn.has(anything),
        lambda: server.events(anything),
        lambda: _native.server_state(events._handle.raw),
        lambda: _native.server_state(anything),
        lambda: server.reconfigure(anything),
    ]
    for use in unfit:
        with pytest.raises(TypeError):
            use()
    assert server.state == "running" and list(server.clients) == []


def test_numbers_out_of_range_are_ordinary_errors(server: smartvpn.Server) -> None:
    unfit: List[Callable[[], Any]] = [
        lambda: server.sessions[-1],
        lambda: server.sessions[2**70],
        lambda: server.events(capacity=-1),
        lambda: server.stop(drain=1e30),
        lambda: server.clients.update("a", {}, expected_revision=-1),
        lambda: server.answer(2**80, True),
        lambda: server.clients.query(limit=10**30),
    ]
    for use in unfit:
        with pytest.raises((smartvpn.Error, OverflowError, ValueError, TypeError)):
            use()
    assert server.state == "running"


def test_texts_with_nul_and_lone_surrogates_are_refused(server: smartvpn.Server) -> None:
    for text in ("a\0b", "\ud800"):
        uses: List[Callable[[], Any]] = [
            lambda: server.clients.create(text),
            lambda: server.clients.remove(text),
            lambda: smartvpn.public_key(text),
        ]
        for use in uses:
            with pytest.raises((smartvpn.Error, ValueError, UnicodeError)):
                use()
    assert list(server.clients) == []


def test_a_failed_create_leaves_an_object_that_goes_silently() -> None:
    for _ in range(10):
        with pytest.raises(smartvpn.InvalidError):
            smartvpn.Server(forwarding="testing")
        with pytest.raises(smartvpn.InvalidError):
            smartvpn.Tunnel({})


def test_close_races_with_commands_of_other_threads() -> None:
    for _ in range(20):
        server = make_server()
        server.start()
        said: List[BaseException] = []

        def ask() -> None:
            try:
                while True:
                    server.clients.list()
                    server.stats.json()
                    server.events().close()
            except BaseException as error:
                said.append(error)

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        server.close()
        for thread in threads:
            thread.join(PATIENCE)
        # Before it is closed it has stopped, for a moment.
        assert all(isinstance(error, (smartvpn.ClosedError, smartvpn.BadStateError)) for error in said), said
        assert len(said) == 3
