"""The interpreter ends with everything still open: exit status 0 and nothing on stderr."""

from __future__ import annotations

import pytest

from support import expect_clean, run_python

COMMON = """
import asyncio, sys, threading
import smartvpn
from support import make_server, make_tunnel
"""


@pytest.mark.parametrize(
    "left",
    [
        "server = make_server(); server.start()",
        "server = make_server(); server.start(); events = server.events(); stats = server.stats",
        "server = make_server(); server.start(); server.cycle = server",
        "server = make_server('host'); server.start(); tunnel = make_tunnel(server); tunnel.connect(20)",
        "server = make_server('host'); server.start(); packets = server.packets(); view = packets._view[:3]",
        "server = make_server(); server.start(); sys.modules['keeps'] = server.events()",
        "server = make_server(); server.start(); sys.exit(0)",
        "server = make_server(security=smartvpn.Security(authorize='required'));"
        "server.authorize(lambda request: True); server.start()",
        "server = make_server(); server.start(); changes = server.clients.transaction(); changes.create('a')",
        "server = make_server(); server.start(); events = server.events('log');"
        "threading.Thread(target=lambda: list(events), daemon=True).start()",
    ],
)
def test_exit_with_everything_open(left: str) -> None:
    expect_clean(COMMON + left)


def test_exit_by_an_exception_has_its_own_status_alone() -> None:
    done = run_python(COMMON + "server = make_server(); server.start(); raise SystemExit(7)")
    assert (done.returncode, done.stderr) == (7, "")


def test_an_async_iterator_that_is_left_open() -> None:
    expect_clean(
        COMMON
        + """
async def main():
    server = make_server()
    await server.astart()
    events = server.events()
    server.clients.create("alice")
    async for event in events:
        break
    globals().update(server=server, events=events)
asyncio.run(main())
"""
    )


def test_exit_while_a_decision_is_being_made() -> None:
    expect_clean(
        COMMON
        + """
asked = threading.Event()
server = make_server("host", security=smartvpn.Security(authorize="required"))
@server.authorize
def decide(request):
    asked.set()
    threading.Event().wait()
server.start()
tunnel = make_tunnel(server)
tunnel.start()
assert asked.wait(20)
"""
    )
