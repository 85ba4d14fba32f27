"""Fixtures of all tests of the package."""

from __future__ import annotations

import asyncio
from typing import Any, Callable, Coroutine, Iterator, TypeVar

import pytest
import uvloop

import smartvpn
from support import make_server

R = TypeVar("R")
Run = Callable[[Coroutine[Any, Any, R]], R]


@pytest.fixture
def server() -> Iterator[smartvpn.Server]:
    """One that runs, forwarding "testing"."""
    with make_server() as running:
        yield running


@pytest.fixture
def host() -> Iterator[smartvpn.Server]:
    """One that runs, forwarding "host"."""
    with make_server("host") as running:
        yield running


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Iterator[Run[Any]]:
    """Runs a coroutine in a new event loop of each kind."""
    loop = asyncio.new_event_loop() if request.param == "asyncio" else uvloop.new_event_loop()

    def until_complete(main: Coroutine[Any, Any, Any]) -> Any:
        return loop.run_until_complete(asyncio.wait_for(main, 60))

    yield until_complete
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
