"""The dialling end, against a server in the same process."""

from __future__ import annotations

import json
import threading
from typing import Any, List

import pytest

import smartvpn
from support import PATIENCE, make_server, make_tunnel, next_of


def test_tunnel_goes_through_its_states_and_knows_what_it_got(host: smartvpn.Server) -> None:
    tunnel = make_tunnel(host)
    assert tunnel.state == "created"
    tunnel.connect(PATIENCE)
    assert tunnel.state == "connected"
    info = tunnel.info
    assert len(info.addresses) == 2 and info.mtu == 1420 and info.attempts == 1
    assert info.server_addr == host.endpoints[0].address
    assert info.routes == ["10.8.0.0/24", "fd00:8::/64"]
    with pytest.raises(smartvpn.BadStateError):
        tunnel.start()
    tunnel.stop(PATIENCE)
    assert tunnel.state == "stopped"
    with pytest.raises(smartvpn.ClosedError):
        tunnel.connect(PATIENCE)
    tunnel.close()
    tunnel.close()
    assert repr(tunnel) == "<smartvpn.Tunnel stopped>"


def test_tunnel_is_made_of_any_form(host: smartvpn.Server) -> None:
    alice = host.clients.create("alice")
    config = alice.tunnel_config()
    config.forwarding = smartvpn.Forwarding("host")
    forms: List[Any] = [config, config.to_dict(), config.to_json()]
    for form in forms:
        with smartvpn.Tunnel(form, connect_timeout=PATIENCE) as tunnel:
            assert tunnel.config.forwarding == smartvpn.Forwarding("host")
            assert tunnel.config.keys == config.keys
    with pytest.raises(smartvpn.InvalidError) as caught:
        smartvpn.Tunnel(json.dumps({**config.to_dict(), "mut": 1400}))
    assert caught.value.path == "/mut"
    with pytest.raises(smartvpn.InvalidError) as wrong:
        smartvpn.Tunnel(alice, proxy_protocol="v9")
    assert wrong.value.path == "/proxy_protocol/send"


def test_proxy_header_shows_the_real_address() -> None:
    listener = smartvpn.WebSocket(
        port=0, address="127.0.0.1", proxy_protocol="v2", trusted_proxies=["127.0.0.1"]
    )
    with make_server("host", listener=listener) as server:
        events = server.events(["session_up"])
        header = smartvpn.TunnelProxyProtocol("v2", source="203.0.113.7:4711", destination="192.0.2.1:443")
        with make_tunnel(server, proxy_protocol=header):
            event = next_of(events, smartvpn.EventType.SESSION_UP)
            assert event.remote_addr == "203.0.113.7:4711"
            assert event.peer_addr is not None and event.peer_addr.startswith("127.0.0.1:")
            assert server.sessions.list()[0].remote_addr == "203.0.113.7:4711"


def test_proxy_header_from_a_stranger_is_refused_before_it_is_read() -> None:
    listener = smartvpn.WebSocket(
        port=0, address="127.0.0.1", proxy_protocol="v2", trusted_proxies=["192.0.2.0/24"]
    )
    with make_server("host", listener=listener) as server:
        events = server.events(["connection_rejected"])
        with pytest.raises(smartvpn.TimedOutError):
            make_tunnel(server, proxy_protocol="v2", connect_timeout=0.3).__enter__()
        rejected = next_of(events, smartvpn.EventType.CONNECTION_REJECTED)
        assert rejected.reason == "untrusted_proxy" and rejected.remote_addr is None


def test_a_refused_client_is_told_why(host: smartvpn.Server) -> None:
    tunnel = make_tunnel(host)
    host.clients.disable("alice")
    with pytest.raises(smartvpn.RefusedError, match="client_disabled"):
        tunnel.connect(PATIENCE)
    tunnel.close()


def test_nobody_there_is_a_timeout_and_the_tunnel_goes_on_trying(host: smartvpn.Server) -> None:
    alice = host.clients.create("alice")
    host.close()
    tunnel = smartvpn.Tunnel(alice, forwarding="host", reconnect=smartvpn.Reconnect(initial_ms=10, max_ms=10))
    for timeout in (0, 0.1):
        with pytest.raises(smartvpn.TimedOutError, match="not connected"):
            tunnel.connect(timeout)
    assert tunnel.state in ("connecting", "waiting")
    tunnel.close()


def test_tunnel_comes_back_after_a_disconnect(host: smartvpn.Server) -> None:
    with make_tunnel(host, reconnect=smartvpn.Reconnect(initial_ms=10)) as tunnel:
        events, addresses = tunnel.events(["session_up", "session_down"]), tunnel.info.addresses
        host.sessions.disconnect(host.sessions.list()[0].id)
        assert next_of(events, smartvpn.EventType.SESSION_DOWN).reason == "disconnected"
        next_of(events, smartvpn.EventType.SESSION_UP)
        tunnel.connect(PATIENCE)
        assert tunnel.info.addresses == addresses and tunnel.stats.sessions_now == 1


def test_close_in_another_thread_ends_connect(host: smartvpn.Server) -> None:
    alice = host.clients.create("alice")
    host.close()
    tunnel, said = smartvpn.Tunnel(alice, forwarding="host"), []

    def connect() -> None:
        try:
            tunnel.connect()
        except smartvpn.ClosedError as error:
            said.append(type(error))

    thread = threading.Thread(target=connect)
    thread.start()
    tunnel.close()
    thread.join(PATIENCE)
    assert len(said) == 1


def test_events_of_a_tunnel_end_with_it(host: smartvpn.Server) -> None:
    tunnel = make_tunnel(host)
    events = tunnel.events()
    with tunnel:
        pass
    kinds: List[str] = [str(event.type) for event in events]
    assert kinds[0] == "session_up" and kinds[-1] == "session_down"
