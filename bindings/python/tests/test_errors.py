"""Exceptions: which class, what it says, and what else it is."""

from __future__ import annotations

import copy
import errno
import pickle
import socket

import pytest

import smartvpn
from smartvpn import _native
from smartvpn.errors import make_error
from support import make_server

STATUSES = {
    name: getattr(_native, name)
    for name in (
        "INVALID UNSUPPORTED BAD_HANDLE BAD_STATE NOT_FOUND EXISTS CONFLICT TIMEOUT AGAIN CLOSED INTERRUPTED "
        "FORKED "
        "NO_MEMORY LIMIT BUFFER_TOO_SMALL SECRET_NOT_KEPT SYSTEM REFUSED INTERNAL"
    ).split()
}


@pytest.mark.parametrize("name", sorted(STATUSES))
def test_every_status_has_a_class_of_its_own(name: str) -> None:
    error = make_error(STATUSES[name], "/a/b", 0, "said so")
    assert type(error) is not smartvpn.Error and isinstance(error, smartvpn.Error)
    assert (
        (error.status, error.name)
        == (STATUSES[name], name)
        == (STATUSES[name], _native.status_name(error.status))
    )
    assert str(error) == "/a/b: said so"
    assert getattr(smartvpn, type(error).__name__) is type(error)
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(twin) is type(error) and twin.path == "/a/b" and twin.text == "said so"


def test_a_status_of_a_later_version_is_a_plain_error() -> None:
    error = make_error(-77, "", 0, "new")
    assert type(error) is smartvpn.Error and error.status == -77 and str(error) == "new"


def test_errors_are_what_python_calls_the_same_thing() -> None:
    assert issubclass(smartvpn.InvalidError, ValueError)
    assert issubclass(smartvpn.NotFoundError, KeyError)
    assert issubclass(smartvpn.TimedOutError, TimeoutError)
    assert issubclass(smartvpn.NothingThereError, smartvpn.TimedOutError)
    assert issubclass(smartvpn.SystemCallError, OSError)
    assert issubclass(smartvpn.NoMemoryError, MemoryError)


def test_a_misspelt_key_is_told_with_its_path_and_the_nearest_one() -> None:
    with pytest.raises(smartvpn.InvalidError) as caught:
        smartvpn.Server({"listen": [{"transport": "websocket", "prot": 1}]})
    assert caught.value.path == "/listen/0/prot"
    assert '"port"' in caught.value.text and "/listen/0/prot" in str(caught.value)


def test_what_the_system_refuses_is_an_oserror_with_errno_and_path() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        server = make_server(listener=smartvpn.WebSocket(port=taken.getsockname()[1], address="127.0.0.1"))
        with pytest.raises(OSError) as caught:
            server.start()
        server.close()
    assert isinstance(caught.value, smartvpn.SystemCallError)
    assert caught.value.errno == caught.value.system_errno == errno.EADDRINUSE
    assert caught.value.path.startswith("/listen/0")


def test_absent_features_are_unsupported_and_broken_text_is_invalid() -> None:
    with pytest.raises(smartvpn.UnsupportedError) as unsupported:
        smartvpn.Server(listen=[smartvpn.Quic(port=0)])
    assert unsupported.value.path == "/listen/0/transport"
    with pytest.raises(smartvpn.InvalidError):
        smartvpn.Server('{"listen": [')
