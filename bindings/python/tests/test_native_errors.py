"""Misuse gives Python's ordinary errors, a failure the factory's, and the process lives on."""
import json
import os
import socket
from typing import Any, Callable, Iterator

import pytest

import smartvpn._native as native
from native_support import Failure, new_server, running_server, server_config


@pytest.fixture(autouse=True)
def factory() -> Iterator[None]:
    before = native.set_error_factory(Failure)
    yield
    native.set_error_factory(before)


@pytest.fixture
def config() -> Iterator[Any]:
    made = native.config_from_json(native.CONFIG_SERVER, server_config())
    yield made
    native.config_free(made)


def test_failure_has_status_path_and_text(config: Any) -> None:
    with pytest.raises(Failure) as failed:
        native.config_set(config, "/listen/0/prot", "1")
    assert failed.value.status == native.INVALID
    assert failed.value.path == "/listen/0/prot"
    assert "port" in failed.value.text
    assert failed.value.system_errno == 0


def test_system_failure_has_its_errno() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        server = new_server(listen=[{"transport": "websocket", "address": "127.0.0.1", "port": port}])
        with pytest.raises(Failure) as failed:
            native.server_start(server)
        native.server_free(server)
    assert failed.value.status == native.SYSTEM
    assert os.strerror(failed.value.system_errno) == "Address already in use"


def test_failure_without_an_error_object_has_the_statuss_text(config: Any) -> None:
    copy = native.config_new(native.CONFIG_SERVER)
    native.config_free(copy)
    with pytest.raises(Failure) as failed:
        native.config_free(copy)
    assert (failed.value.status, failed.value.path) == (native.BAD_HANDLE, "")
    assert failed.value.text == native.status_text(native.BAD_HANDLE)


def test_without_a_factory_it_is_a_runtime_error(config: Any) -> None:
    native.set_error_factory(None)
    with pytest.raises(RuntimeError, match="unknown key"):
        native.config_set(config, "/lisen", "1")


def test_factory_that_raises_or_makes_no_exception(config: Any) -> None:
    def broken(*_: Any) -> BaseException:
        raise LookupError("broken")

    native.set_error_factory(broken)
    with pytest.raises(LookupError, match="broken"):
        native.config_set(config, "/lisen", "1")
    native.set_error_factory(lambda *_: 7)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="cannot be raised"):
        native.config_set(config, "/lisen", "1")
    with pytest.raises(TypeError):
        native.set_error_factory("no function")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="cannot be raised"):  # the one before is still there
        native.config_set(config, "/lisen", "1")


def test_handle_of_another_kind_none_or_anything_else_is_a_type_error(config: Any) -> None:
    server = native.server_create(config)
    for wrong in (config, None, 7, "server", object()):
        with pytest.raises(TypeError):
            native.server_start(wrong)
        with pytest.raises(TypeError):
            native.server_state(wrong)
    with pytest.raises(TypeError):
        native.server_create(server)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        native.config_free(server)  # type: ignore[arg-type]
    assert native.server_state(server) == native.SERVER_CREATED
    native.server_free(server)


def test_freeing_none_is_fine() -> None:
    for kind in ("config", "server", "events", "event", "credentials", "transaction", "changes", "request",
                 "stats", "tunnel"):
        assert getattr(native, f"{kind}_free")(None) is None


def test_freed_handle_is_a_bad_handle(config: Any) -> None:
    server = native.server_create(config)
    events = native.events_open(server, native.EVENTS_ALL, 16)
    native.server_free(server)
    native.events_free(events)
    uses: list[Callable[[], Any]] = [
        lambda: native.server_start(server), lambda: native.server_state(server),
        lambda: native.packets_fd(server), lambda: native.client_list(server),
        lambda: native.server_free(server), lambda: native.requests_take(server, 1),
        lambda: native.packets_read(server, bytearray(65535), bytearray(native.PACKET_SIZE), 1),
        lambda: native.events_take(events, 1), lambda: native.events_next(events, 0),
        lambda: native.events_fd(events),
    ]
    for use in uses:
        with pytest.raises(Failure) as failed:
            use()
        assert failed.value.status == native.BAD_HANDLE


def test_borrowed_text_of_a_freed_handle_is_none() -> None:
    with running_server() as server:
        made = native.client_create(server, '{"id": "alice"}')
        assert len(native.credentials_private_key(made) or "") == 44
        native.credentials_free(made)
        assert native.credentials_private_key(made) is None
        assert native.credentials_config(made) is None


def test_embedded_nul_is_a_value_error(config: Any) -> None:
    uses: list[Callable[[], Any]] = [
        lambda: native.config_set(config, "/listen\0", "1"), lambda: native.key_public("a\0b"),
        lambda: native.config_from_json(native.CONFIG_SERVER, "{}\0"), lambda: native.has("tls\0"),
        lambda: native.config_from_json(native.CONFIG_SERVER, b"{}\0"),
    ]
    for use in uses:
        with pytest.raises(ValueError, match="null character"):
            use()
    with pytest.raises(UnicodeEncodeError):
        native.config_set(config, "/\ud800", "1")


def test_wrong_types_and_numbers_out_of_range(config: Any) -> None:
    any_native: Any = native
    server = native.server_create(config)
    mistyped: list[Callable[[], Any]] = [
        lambda: any_native.config_new("server"), lambda: any_native.config_new(None),
        lambda: any_native.config_set(config, b"/listen", "1"),
        lambda: any_native.config_set(config, None, "1"),
        lambda: any_native.config_set(config, "/listen", 1),
        lambda: any_native.config_set(config, "/listen", None),
        lambda: any_native.has(1), lambda: any_native.events_open(server, "all", 16),
        lambda: any_native.events_open(server, native.EVENTS_ALL), lambda: any_native.version(1),
    ]
    for use in mistyped:
        with pytest.raises(TypeError):
            use()
    too_large: list[Callable[[], Any]] = [
        lambda: native.config_new(2**31), lambda: native.config_new(-(2**31) - 1),
        lambda: native.events_open(server, 2**64, 16), lambda: native.events_open(server, -1, 16),
        lambda: native.events_open(server, 1, -1), lambda: native.server_stop(server, 2**40, 0),
        lambda: native.server_endpoint(server, -1), lambda: native.server_reconfigure(server, config, 2**32),
    ]
    for use in too_large:
        with pytest.raises(OverflowError):
            use()
    native.server_free(server)


def test_json_is_text_or_bytes(config: Any) -> None:
    native.config_set(config, "/network/mtu", b"1380")
    assert json.loads(native.config_to_json(config, 0))["network"]["mtu"] == 1380


def test_forked_child_is_told_so() -> None:
    with running_server() as server:
        events = native.events_open(server, native.EVENTS_ALL, 16)
        child = os.fork()
        if child == 0:
            told = []
            uses: list[Callable[[], Any]] = [
                lambda: native.server_state(server), lambda: native.events_take(events, 1),
                lambda: native.client_list(server),
            ]
            for use in uses:
                try:
                    use()
                except Failure as failure:
                    told.append(failure.status)
            native.server_free(server)  # only forgets it
            fresh = new_server()  # and a new one may be made
            native.server_start(fresh)
            native.server_free(fresh)
            os._exit(0 if told == [native.FORKED] * 3 else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert native.server_state(server) == native.SERVER_RUNNING
