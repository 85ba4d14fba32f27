"""Subscriptions, by threads and plain loops."""

from __future__ import annotations

import datetime
import gc
import select
import threading
import time
import warnings
from typing import List

import pytest

import smartvpn
from smartvpn import EventType
from smartvpn.events import type_of
from support import PATIENCE, make_server, make_tunnel, next_of


def test_every_subscription_gets_every_event() -> None:
    server = make_server()
    first, second = server.events(), server.events()
    server.start()
    for stream in (first, second):
        event = stream.next(PATIENCE)
        assert event.type is EventType.LISTENING
        assert event.address == server.endpoints[0].address
    server.close()


def test_event_tells_its_keys_as_attributes_and_items(host: smartvpn.Server) -> None:
    events = host.events()
    before = time.time()
    with make_tunnel(host) as tunnel:
        event = next_of(events, EventType.SESSION_UP)
        assert event.client_id == event["client_id"] == "alice"
        assert event.session_id in host.sessions
        assert event.addresses == tunnel.info.addresses and event.transport == "websocket"
        assert event.remote_addr is not None and event.remote_addr.startswith("127.0.0.1:")
    assert event.reason is None and event.get("reason") is None and "reason" not in event
    with pytest.raises(KeyError):
        event["reason"]
    assert event.time.tzinfo is datetime.timezone.utc
    assert before - 5 < event.time.timestamp() < before + 60
    assert dict(event) == event.raw and event.json().startswith("{") and len(event) == len(event.raw)
    assert f"{event.type} {event.type!s}" == "session_up session_up" and event.type == "session_up"


def test_types_of_later_versions_are_types_too() -> None:
    later = type_of("moon_phase")
    assert isinstance(later, EventType) and later == "moon_phase" and str(later) == "moon_phase"
    with pytest.raises(ValueError):
        EventType("moon_phase")
    assert type_of("log") is EventType.LOG


def test_mask_leaves_out_what_is_not_asked_for() -> None:
    server = make_server()
    with server.events(["client_changed", EventType.LOG]) as events:
        server.start()
        server.clients.create("alice")
        event = events.next(PATIENCE)
        assert event.type == "client_changed" and event.change == "created"
        assert event.revision == server.clients.revision
    with pytest.raises(ValueError):
        server.events(["no_such_type"])
    server.close()


def test_descriptor_is_readable_while_there_is_something(server: smartvpn.Server) -> None:
    events = server.events("client_changed")
    poller = select.poll()
    poller.register(events, select.POLLIN)
    assert not poller.poll(0)
    server.clients.create("alice")
    assert poller.poll(PATIENCE * 1000)
    assert events.next(0).client_id == "alice"
    with pytest.raises(smartvpn.TimedOutError):
        events.next(0)
    assert not poller.poll(0)


def test_waiting_is_bounded_by_its_timeout(server: smartvpn.Server) -> None:
    events = server.events("log")
    before = time.monotonic()
    with pytest.raises(TimeoutError):
        events.next(0.05)
    assert 0.04 < time.monotonic() - before < PATIENCE


def test_after_stop_comes_the_rest_and_then_the_end(server: smartvpn.Server) -> None:
    events = server.events("client_changed")
    for number in range(100):
        server.clients.create(f"client-{number}")
    server.close()
    assert [event.client_id for event in events] == [f"client-{number}" for number in range(100)]
    with pytest.raises(smartvpn.ClosedError):
        events.next()


def test_closed_stream_ends_and_says_so(server: smartvpn.Server) -> None:
    with server.events() as events:
        server.clients.create("alice")
    assert list(events) == []
    with pytest.raises(smartvpn.ClosedError, match="the event stream is closed"):
        events.next(0)
    with pytest.raises(smartvpn.ClosedError):
        events.fileno()
    events.close()


def test_full_queue_says_how_much_was_lost(server: smartvpn.Server) -> None:
    events = server.events("client_changed", capacity=2)
    for number in range(10):
        server.clients.create(f"client-{number}")
    server.close()
    told = list(events)
    lost = sum(event.count or 0 for event in told if event.type is EventType.LOST)
    assert lost > 0 and lost + sum(event.type == "client_changed" for event in told) == 10


def test_close_wakes_who_waits(server: smartvpn.Server) -> None:
    events, ended = server.events("log"), threading.Event()

    def wait() -> None:
        assert list(events) == []
        ended.set()

    thread = threading.Thread(target=wait)
    thread.start()
    events.close()
    assert ended.wait(PATIENCE)
    thread.join()


def test_threads_share_a_stream_and_each_event_comes_once(server: smartvpn.Server) -> None:
    events, seen = server.events("client_changed"), []
    lock = threading.Lock()

    def take() -> None:
        for event in events:
            with lock:
                seen.append(event.client_id)

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    wanted: List[str] = [f"client-{number}" for number in range(500)]
    with server.clients.transaction() as changes:
        for name in wanted:
            changes.create(name)
    server.close()
    for thread in threads:
        thread.join(PATIENCE)
    assert sorted(seen, key=str) == sorted(wanted)


def test_a_dropped_stream_is_freed_silently(server: smartvpn.Server) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        descriptor = server.events().fileno()
        gc.collect()
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    assert poller.poll(0) and poller.poll(0)[0][1] == select.POLLNVAL
