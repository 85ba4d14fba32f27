"""The low-level module in use: texts of every length, the registry, events, statistics, and no growth."""
import json
import threading
from typing import Any, Iterator

import pytest

import smartvpn._native as native
from native_support import (
    WAIT_MS, Failure, connected_tunnel, new_server, next_event, running_server, server_config)


@pytest.fixture(autouse=True)
def factory() -> Iterator[None]:
    before = native.set_error_factory(Failure)
    yield
    native.set_error_factory(before)


def test_keys_and_qr_codes() -> None:
    key = native.key_generate()
    assert len(key) == len(native.key_public(key)) == 44
    with pytest.raises(Failure) as failed:
        native.key_public("no key")
    assert failed.value.status == native.INVALID
    if native.has("qr") == 1:
        picture = native.qr_encode("hello", native.QR_PNG)
        assert isinstance(picture, bytes)
        assert picture.startswith(b"\x89PNG") and picture.endswith(b"IEND\xaeB`\x82")
        drawing = native.qr_encode("x" * 2000, native.QR_SVG)
        assert isinstance(drawing, str) and drawing.rstrip().endswith("</svg>")
        assert native.qr_encode("a\0b", native.QR_MATRIX) != native.qr_encode("a", native.QR_MATRIX)


def test_short_and_long_texts_come_whole() -> None:
    """Whatever side of the wrapper's first try a text's length is on."""
    config = native.config_new(native.CONFIG_TUNNEL)
    lengths = set()
    for length in range(1, 254):
        native.config_set(config, "/tls/server_name", json.dumps("n" * length))
        native.config_set(config, "/tls/ca", json.dumps("c" * 850))
        text = native.config_to_json(config, 1)
        assert json.loads(text) == {"tls": {"ca": "c" * 850, "server_name": "n" * length}}
        lengths.add(len(text))
    assert lengths > set(range(1020, 1030))
    native.config_set(config, "/tls/ca", json.dumps("ä" * 30_000))
    assert json.loads(native.config_to_json(config, 1))["tls"]["ca"] == "ä" * 30_000
    native.config_free(config)


def test_secrets_only_when_asked_for() -> None:
    config = native.config_from_json(native.CONFIG_SERVER, server_config())
    key = json.loads(native.config_to_json(config, 1))["keys"]["noise_private_key"]
    assert key not in native.config_to_json(config, 0)
    native.config_free(config)


def test_registry_round() -> None:
    with running_server() as server:
        made = native.client_create(server, '{"id": "alice", "tags": ["ä"]}')
        assert json.loads(native.credentials_client(made) or "")["id"] == "alice"
        text, kept = native.client_export(server, "alice", native.EXPORT_NATIVE)
        assert kept is False and json.loads(text)["keys"]["noise_private_key"] == ""
        native.client_update(server, "alice", '{"description": "d"}', 1)
        with pytest.raises(Failure) as failed:
            native.client_update(server, "alice", "{}", 1)
        assert failed.value.status == native.CONFLICT
        assert json.loads(native.client_get(server, "alice"))["tags"] == ["ä"]
        assert json.loads(native.client_query(server, None)) == json.loads(native.client_query(server, b"{}"))
        assert native.registry_revision(server) == 2
        native.client_disable(server, "alice")
        native.client_enable(server, "alice")
        rotated = native.client_rotate(server, "alice", None)
        assert native.credentials_private_key(rotated) != native.credentials_private_key(made)
        native.client_rotate_roll_back(server, "alice")
        assert json.loads(native.client_stats(server, "alice"))["client_id"] == "alice"
        native.client_remove(server, "alice")
        assert native.client_list(server) == "[]"


def test_kept_private_keys_are_exported() -> None:
    with running_server(registry={"keep_private_keys": True}) as server:
        made = native.client_create(server, '{"id": "alice"}')
        text, kept = native.client_export(server, "alice", native.EXPORT_NATIVE)
        assert kept is True
        assert json.loads(text)["keys"]["noise_private_key"] == native.credentials_private_key(made)


def test_transaction() -> None:
    with running_server() as server:
        change = native.transaction_begin(server)
        native.transaction_create(change, '{"id": "alice"}')
        native.transaction_create(change, '{"id": "bob"}')
        native.transaction_update(change, "bob", '{"priority": 7}')
        native.transaction_remove(change, "alice")
        assert native.transaction_commit(change, 0) == native.registry_revision(server)
        assert native.credentials_private_key(native.transaction_credentials(change, 1))
        with pytest.raises(Failure) as failed:
            native.transaction_credentials(change, 1)
        assert failed.value.status == native.NOT_FOUND
        native.transaction_free(change)
        assert [client["id"] for client in json.loads(native.client_list(server))] == ["bob"]


def test_events_one_by_one_and_by_the_batch() -> None:
    server = new_server()
    events = native.events_open(server, native.EVENTS_ALL, 1024)
    assert native.events_take(events, 8) == []
    native.server_start(server)
    first = native.events_next(events, WAIT_MS)
    assert native.event_type(first) == native.EVENT_LISTENING
    assert native.event_text(first, "transport") == "websocket"
    assert native.event_text(first, "time") is None
    assert native.event_u64(first, "time") > 1_600_000_000_000
    with pytest.raises(Failure) as failed:
        native.event_u64(first, "transport")
    assert failed.value.status == native.NOT_FOUND
    assert json.loads(native.event_json(first) or "")["type"] == "listening"
    native.event_free(first)
    for number in range(100):
        native.client_create(server, json.dumps({"id": f"c{number}"}))
    assert native.events_take(events, 0) == []
    taken = native.events_take(events, 33) + native.events_take(events, 1000)
    assert [json.loads(line)["client_id"] for _, line in taken] == [f"c{number}" for number in range(100)]
    assert {kind for kind, _ in taken} == {native.EVENT_CLIENT_CHANGED}
    # What is queued can be read after the server is gone; then it is said that no more will come.
    native.client_remove(server, "c0")
    native.server_free(server)
    assert len(native.events_take(events, 1000)) == 1
    with pytest.raises(Failure) as closed:
        native.events_take(events, 1000)
    assert closed.value.status == native.CLOSED
    native.events_free(events)


def test_interrupt_is_told_once_and_loses_no_event() -> None:
    with running_server() as server:
        events = native.events_open(server, native.EVENTS_ALL, 16)
        native.client_create(server, '{"id": "alice"}')
        native.events_interrupt(events)
        told = 0
        taken: list[tuple[int, str]] = []
        for _ in range(3):
            try:
                taken += native.events_take(events, 16)
            except Failure as failure:
                assert failure.status == native.INTERRUPTED
                told += 1
        assert (len(taken), told) == (1, 1)
        native.events_free(events)


def test_waiting_lets_other_threads_run_and_free_wakes_it() -> None:
    with running_server() as server:
        events = native.events_open(server, native.EVENTS_ALL, 16)
        statuses: list[int] = []

        def wait() -> None:
            with pytest.raises(Failure) as woken:
                native.events_next(events, WAIT_MS)
            statuses.append(woken.value.status)

        waiting = threading.Thread(target=wait)
        waiting.start()
        native.events_free(events)
        waiting.join(WAIT_MS / 1000)
        assert statuses in ([native.CLOSED], [native.BAD_HANDLE])  # the latter when it came too late to wait


def test_session_numbers_statistics_and_reconfigure() -> None:
    with running_server() as server:
        events = native.events_open(server, native.EVENTS_ALL, 1024)
        with connected_tunnel(server, "alice") as tunnel:
            session = next_event(events, native.EVENT_SESSION_UP)["session_id"]
            info = native.session_get_info(server, session)
            assert info["id"] == session
            assert info["transport"] == native.TRANSPORT_WEBSOCKET
            assert info["since_ms"] > 1_600_000_000_000
            assert json.loads(native.session_get(server, session))["client_id"] == "alice"
            assert [found["id"] for found in json.loads(native.session_list(server))] == [session]
            assert native.tunnel_state(tunnel) == native.TUNNEL_CONNECTED
            assert json.loads(native.tunnel_info(tunnel))["state"] == "connected"
            statistics = native.server_stats(server)
            assert native.stats_u64(statistics, "sessions_now") == 1
            assert json.loads(native.stats_json(statistics))["total"]["sessions_now"] == 1
            assert "sessions" in native.stats_prometheus(statistics)
            native.stats_free(statistics)
            native.stats_free(native.tunnel_stats(tunnel))
            native.session_disconnect(server, session)
            assert next_event(events, native.EVENT_SESSION_DOWN)["reason"] == "disconnected"
            with pytest.raises(Failure) as failed:
                native.session_get_info(server, session)
            assert failed.value.status == native.NOT_FOUND
        wanted = json.loads(server_config())
        wanted["listen"][0]["path"] = "/other"
        config = native.config_from_json(native.CONFIG_SERVER, json.dumps(wanted))
        changes = native.server_reconfigure(server, config, native.RECONFIGURE_DRY_RUN)
        paths = {change["path"] for change in json.loads(native.changes_json(changes) or "")}
        assert "/listen/0/path" in paths
        native.changes_free(changes)
        assert native.server_stop(server, 0, WAIT_MS) == native.OK
        assert native.server_state(server) == native.SERVER_STOPPED


def test_requests_are_taken_and_answered() -> None:
    with running_server(security={"authorize": "required"}) as server:
        with pytest.raises(Failure) as nothing:
            native.authorize_next(server, 0)
        assert nothing.value.status == native.AGAIN
        assert native.requests_take(server, 8) == []
        made = native.client_create(server, '{"id": "alice"}')
        config = json.loads(native.credentials_config(made) or "")
        config["forwarding"] = {"mode": "host"}
        tunnel = native.tunnel_create(native.config_from_json(native.CONFIG_TUNNEL, json.dumps(config)))
        native.tunnel_start(tunnel)
        request = native.authorize_next(server, WAIT_MS)
        token = native.request_token(request)
        assert json.loads(native.request_json(request) or "")["client_id"] == "alice"
        native.request_free(request)
        assert native.request_token(request) == 0
        native.authorize_answer(server, token, '{"allow": true}')
        native.tunnel_wait_connected(tunnel, WAIT_MS)
        with pytest.raises(Failure) as late:
            native.authorize_answer(server, token, '{"allow": true}')
        assert late.value.status == native.NOT_FOUND
        native.tunnel_stop(tunnel, WAIT_MS)
        native.tunnel_free(tunnel)


def resident_kib() -> int:
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * 4


def test_ten_thousand_configurations_servers_and_failures_leave_nothing() -> None:
    text = server_config()
    long = native.config_from_json(native.CONFIG_TUNNEL, json.dumps({"tls": {"ca": "c" * 3000}}))

    def once() -> None:
        config = native.config_from_json(native.CONFIG_SERVER, text)
        server = native.server_create(config)
        events = native.events_open(server, native.EVENTS_ALL, 16)
        with pytest.raises(Failure):
            native.config_set(config, "/nothing", "1")
        native.config_to_json(config, 1)
        native.config_to_json(long, 1)  # longer than the first try has room for
        native.events_free(events)
        native.server_free(server)
        native.config_free(config)

    for _ in range(1000):
        once()
    before = resident_kib()
    for _ in range(10_000):
        once()
    assert resident_kib() - before < 512  # 50 bytes a round: less than any error or handle takes


def test_a_relay_round() -> None:
    text = {"listen": [{"address": "127.0.0.1", "port": 0}],
            "routes": [{"action": {"targets": [{"host": "127.0.0.1", "port": 9}]}}]}
    config = native.config_from_json(native.CONFIG_RELAY, json.dumps(text))
    relay = native.relay_create(config)
    assert native.relay_state(relay) == native.RELAY_CREATED
    events = native.relay_events_open(relay, native.EVENTS_ALL, 16)
    native.relay_start(relay)
    assert native.relay_state(relay) == native.RELAY_RUNNING
    address = next_event(events, native.EVENT_LISTENING)["address"]
    assert json.loads(native.relay_endpoints(relay)) == [
        {"listener": 0, "transport": "tcp", "address": address}]
    assert native.relay_connections(relay) == "[]"
    stats = native.relay_stats(relay)
    assert native.stats_u64(stats, "connections_total") == 0
    native.stats_free(stats)
    native.config_set(config, "/routes/0/name", '"web"')
    changes = native.relay_reconfigure(relay, config, 0)
    assert [change["result"] for change in json.loads(native.changes_json(changes) or "")] == ["applied"]
    native.changes_free(changes)
    with pytest.raises(Failure) as failed:
        native.relay_disconnect(relay, 1)
    assert failed.value.status == native.NOT_FOUND
    assert native.relay_stop(relay, 0, WAIT_MS) is None  # type: ignore[func-returns-value]
    assert native.relay_state(relay) == native.RELAY_STOPPED
    native.relay_free(relay)
    with pytest.raises(Failure) as failed:
        native.relay_free(relay)
    assert failed.value.status == native.BAD_HANDLE
    native.relay_free(None)
    native.config_free(config)
    native.events_free(events)


def test_many_ports_and_their_endpoints_come_whole() -> None:
    """More text than the wrapper's first try has room for."""
    text = {"listen": [{"address": f"127.0.0.{last}", "port": 0} for last in range(1, 41)],
            "routes": [{"action": {"targets": [{"host": "127.0.0.1", "port": 9}]}}]}
    config = native.config_from_json(native.CONFIG_RELAY, json.dumps(text))
    relay = native.relay_create(config)
    native.config_free(config)
    native.relay_start(relay)
    endpoints = json.loads(native.relay_endpoints(relay))
    native.relay_free(relay)
    assert [endpoint["listener"] for endpoint in endpoints] == list(range(40))
