"""Ctrl-C ends every wait with KeyboardInterrupt, and the process lives on with all of it in working order."""

from __future__ import annotations

import signal

import pytest

from support import PATIENCE, expect_clean, start_python

PROGRAM = """
import signal, sys
import smartvpn
from support import make_server, make_tunnel
signal.signal(signal.SIGINT, signal.default_int_handler)  # a program in the background ignores it
server = make_server("host", security=smartvpn.Security(authorize="required", authorize_timeout_ms=60000))
server.start()
events = server.events("health_changed")
tunnel = make_tunnel(server)
waits = {
    "events": lambda: events.next(),
    "events with a timeout": lambda: events.next(600),
    "iteration": lambda: list(events),
    "packets": lambda: server.packets().read(),
    "requests": lambda: server.requests().next(),
    "connect": lambda: tunnel.connect(),
    "tunnel packets": lambda: tunnel.packets().read(),
    "stop": lambda: server.stop(drain=3600),
}
name = sys.argv[1]
if name in ("tunnel packets", "stop"):
    tunnel.start()
    server.answer(server.requests().next(20), True)
    tunnel.connect(20)
try:
    print("waiting", flush=True)
    waits[name]()
    sys.exit("it came back")
except KeyboardInterrupt:
    pass
if name != "stop":
    assert server.state == "running"
    if name.startswith(("events", "iteration")):
        assert "bob" not in server.clients
        server.clients.create("bob")
tunnel.close()
events.close()
server.close()
assert server._handle.freed and tunnel._handle.freed and events._handle.freed
print("lives on")
"""


@pytest.mark.parametrize(
    "wait",
    [
        "events",
        "events with a timeout",
        "iteration",
        "packets",
        "requests",
        "connect",
        "tunnel packets",
        "stop",
    ],
)
def test_ctrl_c_ends_a_wait_and_the_process_lives_on(wait: str) -> None:
    process = start_python(PROGRAM, wait)
    try:
        assert process.stdout is not None and process.stdout.readline() == "waiting\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=3 * PATIENCE)
    finally:
        process.kill()
    assert (process.returncode, out, err) == (0, "lives on\n", "")


def test_a_signal_handler_may_close_what_its_thread_waits_in() -> None:
    process = start_python("""
        import os, signal, threading
        from support import make_server
        server = make_server("host")
        server.start()
        packets = server.packets()
        def handler(*_):
            server.close()
        signal.signal(signal.SIGUSR1, handler)
        print("waiting", flush=True)
        assert list(packets) == []
        assert server._handle.freed
        print("ended")
    """)
    try:
        assert process.stdout is not None and process.stdout.readline() == "waiting\n"
        process.send_signal(signal.SIGUSR1)
        out, err = process.communicate(timeout=3 * PATIENCE)
    finally:
        process.kill()
    assert (process.returncode, out, err) == (0, "ended\n", "")


def test_what_a_handler_raises_anywhere_leaves_no_lock_or_count_behind() -> None:
    out = expect_clean(
        """
        import signal, threading, time
        import smartvpn
        from support import make_server
        class Raised(Exception):
            pass
        armed, raised = False, 0
        def handler(*_):
            global armed, raised
            if armed:
                armed = False
                raised += 1
                raise Raised
        server = make_server()
        server.start()
        events = server.events("client_changed")
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.0003, 0.00031)
        end, turns = time.monotonic() + 4, 0
        while time.monotonic() < end:
            turns += 1
            try:
                armed = True
                if turns % 3 == 0:
                    while True:
                        events.next()
                while True:
                    try:
                        events.next(0)
                    except smartvpn.TimedOutError:
                        pass
            except Raised:
                pass
        signal.setitimer(signal.ITIMER_REAL, 0)
        assert raised > 1000, raised
        server.clients.create("bob")
        answers = []
        other = threading.Thread(target=lambda: answers.append(events.next(10).client_id), daemon=True)
        other.start()
        other.join(15)
        assert answers == ["bob"], answers
        begun = time.monotonic()
        closer = threading.Thread(target=events.close, daemon=True)
        closer.start()
        closer.join(15)
        assert time.monotonic() - begun < 5 and events._handle.freed
        server.close()
        print("lives on")
        """,
        malloc="default",
    )
    assert out == "lives on\n"
