"""Live sessions, statistics, and changes of a running server's configuration."""

from __future__ import annotations

import dataclasses
import json

import pytest

import smartvpn
from support import PATIENCE, make_tunnel, next_of, udp_packet


def test_session_is_listed_and_described(host: smartvpn.Server) -> None:
    with make_tunnel(host) as tunnel:
        (session,) = host.sessions.list()
        assert session.client_id == "alice" and session.addresses == tunnel.info.addresses
        assert session.transport == "websocket" and session.health == "good"
        assert session.remote_addr == session.peer_addr and session.since > 0
        assert list(host.sessions) == [session.id] and len(host.sessions) == 1
        assert host.sessions[session.id].client_id == "alice" and session.id in host.sessions
        assert host.sessions.of_client("alice")[0].id == session.id and host.sessions.of_client("bob") == []
        assert host.clients.query(online=True).matches == 1


def test_disconnected_session_ends_and_its_id_stays_dead(host: smartvpn.Server) -> None:
    events = host.events(["session_down"])
    with make_tunnel(host, reconnect=smartvpn.Reconnect(enabled=False)):
        (session_id,) = host.sessions
        host.sessions.disconnect(session_id)
        assert next_of(events, smartvpn.EventType.SESSION_DOWN).reason == "disconnected"
        with pytest.raises(KeyError):
            host.sessions[session_id]
        with pytest.raises(smartvpn.NotFoundError):
            host.sessions.disconnect(session_id)
        assert host.sessions.get(session_id) is None


def test_snapshot_counts_and_does_not_change(host: smartvpn.Server) -> None:
    before = host.stats
    with make_tunnel(host):
        now = host.stats
        assert (before.sessions_now, now.sessions_now, now.sessions_total) == (0, 1, 1)
        assert now["sessions_now"] == 1 and now["drops.spoofed_source"] == 0 and now.drops == 0
        assert now.to_dict()["total"]["sessions_now"] == 1
        assert json.loads(now.json())["listeners"][0]["transport"] == "websocket"
        assert "# TYPE smartvpn_sessions gauge\n" in now.prometheus()
        with pytest.raises(KeyError):
            now["no_such_number"]
    host.close()
    assert now.sessions_now == 1


def test_spoofed_packets_are_counted_by_reason(host: smartvpn.Server) -> None:
    with make_tunnel(host) as tunnel:
        good = udp_packet(tunnel.info.addresses[0], "192.0.2.9", b"good")
        packets = host.packets()
        assert tunnel.packets().write([udp_packet("203.0.113.1", "192.0.2.9", b"bad"), good]) == 2
        assert bytes(packets.read(PATIENCE)[0]) == good
        dropped = sum(tunnel.info.drops.values()) + host.stats["drops.spoofed_source"]
        assert dropped == 1


def test_counters_of_a_client_outlive_its_sessions(host: smartvpn.Server) -> None:
    events = host.events(["session_down"])
    with make_tunnel(host) as tunnel:
        tunnel.packets().write([udp_packet(tunnel.info.addresses[0], "192.0.2.9", b"x")])
        host.packets().read(PATIENCE)
        assert host.clients.stats("alice").sessions_now == 1
    next_of(events, smartvpn.EventType.SESSION_DOWN)
    stats = host.clients.stats("alice")
    assert (stats.sessions_now, stats.sessions_total, stats.inner_packets_in) == (0, 1, 1)
    with pytest.raises(smartvpn.NotFoundError):
        host.clients.stats("nobody")


def test_every_changed_key_gets_its_answer(server: smartvpn.Server) -> None:
    assert server.reconfigure(server.config) == []
    listener = smartvpn.WebSocket(port=0, address="::1")
    changed = dataclasses.replace(
        server.config, listen=[listener], network=smartvpn.Network(dns=["10.8.0.1"], mtu=1380)
    )
    wanted = [
        smartvpn.Change("/listen/0/address", "needs_listener_restart"),
        smartvpn.Change("/network/dns", "applied"),
        smartvpn.Change("/network/mtu", "needs_server_restart"),
    ]
    assert server.reconfigure(changed, dry_run=True) == wanted
    assert server.config != changed
    assert (
        server.reconfigure(dataclasses.replace(changed, keys=None), dry_run=True) == wanted
    )  # it keeps its key
    events = server.events(["reconfigured"])
    assert server.reconfigure(changed) == wanted
    assert server.config == changed
    assert (events.next(PATIENCE).changes or {})["/network/dns"] == "applied"
    assert [change.path for change in server.reconfigure(changed.to_json())] == [
        "/listen/0/address",
        "/network/mtu",
    ]


def test_a_refused_configuration_changes_nothing(server: smartvpn.Server) -> None:
    before = server.config
    wrong = smartvpn.Security(connection_ip_block_list=["10.0.0.9-10.0.0.1"])
    with pytest.raises(smartvpn.InvalidError) as caught:
        server.reconfigure(dataclasses.replace(before, security=wrong))
    assert caught.value.path == "/security/connection_ip_block_list/0"
    assert server.config == before and server.reconfigure(before) == []
    server.reload_certificates()
    server.stop()
    with pytest.raises(smartvpn.BadStateError):
        server.reconfigure(before)
