"""A relay between plain sockets: who the client is, where its connection goes, what is told and counted."""

from __future__ import annotations

import socket
import struct
from typing import Any, Dict, List

import pytest

import smartvpn
from relay_support import (
    AUTHORITY,
    UNIQUE_ID,
    Target,
    asks,
    client,
    ended,
    eventually,
    listener,
    make_relay,
    name_of,
    receive,
    route,
    unwanted,
    write_header,
)
from smartvpn import EventType
from support import PATIENCE, make_server, next_of

REAL = "203.0.113.7:4711"


def test_bytes_go_both_ways_and_everything_is_told_and_counted() -> None:
    with Target() as target:
        relay = make_relay(target.port)
        events = relay.events()
        with relay:
            assert next_of(events, EventType.LISTENING).address == relay.endpoints[0].address
            with client(relay.endpoints[0].port) as peer:
                sent = bytes(range(256)) * 4096
                peer.settimeout(PATIENCE)
                for at in range(0, len(sent), 65536):
                    assert asks(peer, sent[at : at + 65536]) == sent[at : at + 65536]
                (connection,) = relay.connections()
                assert connection.remote_addr == connection.peer_addr == name_of(peer)
                assert (connection.stage, connection.route) == ("relaying", "route-0")
                assert connection.target == f"127.0.0.1:{target.port}" and not connection.vouched
                assert connection.listener == 0 and connection.since > 1_600_000_000_000
                accepted = next_of(events, EventType.CONNECTION_ACCEPTED)
                assert accepted.connection_id == connection.id and accepted.remote_addr == name_of(peer)
            closed = next_of(events, EventType.CONNECTION_CLOSED)
            assert closed.connection_id == connection.id and closed.reason == "closed_by_client"
            assert closed.target == connection.target and closed.route == "route-0"
            assert closed.bytes_in == closed.bytes_out == len(sent) and closed.duration_ms is not None
            assert relay.connections() == []
            stats = relay.stats
            assert (stats.connections_total, stats.connections_open, stats.connections_relayed) == (1, 0, 1)
            assert stats.bytes_in == stats.bytes_out == len(sent) and stats["ended.closed_by_client"] == 1
            assert stats.rejections == stats.target_failures == stats.events_lost == 0
        assert [str(event.type) for event in events] == []
        with pytest.raises(KeyError):
            stats["sessions_now"]


def test_a_snapshot_has_routes_and_addresses_and_outlives_its_relay() -> None:
    with Target() as target, make_relay(target.port) as relay:
        with client(relay.endpoints[0].port) as peer:
            assert asks(peer, b"hello") == b"hello"
            assert eventually(lambda: relay.stats.bytes_out == 5)
            stats = relay.stats
        relay.close()
        whole = stats.to_dict()
        assert whole["connections_open"] == 1 and set(whole["rates"]) == {"1", "10", "60"}
        assert [found["route"] for found in whole["routes"]] == ["route-0"]
        assert whole["routes"][0]["bytes_in"] == 5
        assert [found["address"] for found in whole["addresses"]] == ["127.0.0.1"]
        assert 'smartvpn_relay_route_bytes_in_total{route="route-0"} 5\n' in stats.prometheus()


def test_the_target_learns_the_clients_address_from_a_v2_header() -> None:
    with Target(headers=True) as target, make_relay(target.port, send="v2") as relay:
        with client(relay.endpoints[0].port) as peer:
            assert asks(peer, b"hello") == b"hello"
            header = target.header()
            assert header.source == name_of(peer)
            assert header.destination == relay.endpoints[0].address
            assert header.tlvs[UNIQUE_ID]


def test_a_chain_keeps_the_first_address() -> None:
    with Target(headers=True) as target:
        trusting: Dict[str, Any] = {"accept_proxy_protocol": "v2", "trusted_proxies": ["127.0.0.1"]}
        with make_relay(target.port, send="v2", **trusting) as last:
            with make_relay(last.endpoints[0].port, send="v2", **trusting) as first:
                with client(first.endpoints[0].port) as peer:
                    peer.sendall(write_header(REAL, "192.0.2.1:443"))
                    assert asks(peer, b"hello") == b"hello"
                    header = target.header()
                    assert (header.source, header.destination) == (REAL, "192.0.2.1:443")
                    (one,), (two,) = first.connections(), last.connections()
                    assert one.vouched and two.vouched and one.remote_addr == two.remote_addr == REAL
                    assert one.peer_addr == name_of(peer) and two.peer_addr != one.peer_addr
                    assert one.tlvs == {} and list(two.tlvs) == ["unique_id"]


def test_a_header_of_a_stranger_is_refused() -> None:
    with Target(headers=True) as target:
        trusting: Dict[str, Any] = {"accept_proxy_protocol": "v2", "trusted_proxies": ["192.0.2.0/24"]}
        with make_relay(target.port, **trusting) as relay:
            events = relay.events(["connection_rejected"])
            with unwanted(relay.endpoints[0].port) as peer:
                name = name_of(peer)
                assert ended(peer)
            rejected = events.next(PATIENCE)
            assert rejected.reason == "untrusted_proxy" and rejected.peer_addr == name
            assert rejected.remote_addr is None and relay.stats["rejections.untrusted_proxy"] == 1


def client_hello(name: bytes) -> bytes:
    """The least that asks for this name, in one record (RFC 8446, 4.1.2; RFC 6066, 3)."""
    server_name = struct.pack("!HHHBH", 0, len(name) + 5, len(name) + 3, 0, len(name)) + name
    extensions = struct.pack("!H", len(server_name)) + server_name
    body = b"\3\3" + bytes(32) + b"\0" + b"\0\2\x13\1" + b"\1\0" + extensions
    shaken = b"\1" + len(body).to_bytes(3, "big") + body
    return b"\x16\3\1" + len(shaken).to_bytes(2, "big") + shaken


def test_names_lead_to_targets() -> None:
    def named(*domains: str) -> smartvpn.RelayMatch:
        return smartvpn.RelayMatch(domains=domains)

    with Target(b"A", headers=True) as a, Target(b"B") as b, Target(b"C") as c:
        routes = [
            route(a.port, "a", send="v2", match=named("a.example")),
            route(b.port, "b", match=named("*.b.example")),
            route(c.port, "rest"),
        ]
        timeouts = smartvpn.RelayTimeouts(first_bytes_ms=100)
        with smartvpn.Relay(listen=[listener()], routes=routes, timeouts=timeouts) as relay:
            for question, answer, host, name in (
                (b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n", b"A", "a.example", "a"),
                (client_hello(b"a.example"), b"A", "a.example", "a"),
                (client_hello(b"x.b.example"), b"B", "x.b.example", "b"),
                (client_hello(b"else.example"), b"C", "else.example", "rest"),
                (b"", b"C", None, "rest"),  # who says nothing
            ):
                with client(relay.endpoints[0].port) as peer:
                    peer.sendall(question)
                    assert receive(peer, 1 + len(question)) == answer + question  # not touched
                    (connection,) = relay.connections()
                    assert (connection.host, connection.route) == (host, name)
                    if answer == b"A":
                        assert a.header().tlvs[AUTHORITY] == b"a.example"
                assert eventually(lambda: not relay.connections())


def test_a_target_that_is_not_there_is_told_and_the_next_one_tried() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        nobody = smartvpn.RelayTarget("127.0.0.1", closed.getsockname()[1])
    with Target() as target:
        action = smartvpn.RelayAction([nobody, smartvpn.RelayTarget("127.0.0.1", target.port)])
        with smartvpn.Relay(listen=[listener()], routes=[smartvpn.RelayRoute(action, name="web")]) as relay:
            events = relay.events(["target_changed", "connection_rejected"])
            with client(relay.endpoints[0].port) as peer:
                assert asks(peer, b"hello") == b"hello"
            changed = events.next(PATIENCE)
            assert (changed.type, changed.route, changed.health) == (EventType.TARGET_CHANGED, "web", "down")
            assert changed.target == f"127.0.0.1:{nobody.port}" and changed.detail
            assert relay.stats.target_failures == 1
            action.targets = [nobody]
            relay.reconfigure({"listen": relay.config.to_dict()["listen"], "routes": [{"action": action}]})
            with unwanted(relay.endpoints[0].port) as peer:
                assert ended(peer)
            assert next_of(events, EventType.CONNECTION_REJECTED).reason == "target_unreachable"


def test_disconnect_ends_one_connection_and_no_other() -> None:
    with Target() as target, make_relay(target.port) as relay:
        events = relay.events(["connection_closed"])
        with client(relay.endpoints[0].port) as one, client(relay.endpoints[0].port) as other:
            assert asks(one, b"1") + asks(other, b"2") == b"12"
            by_peer = {connection.peer_addr: connection for connection in relay.connections()}
            relay.disconnect(by_peer[name_of(one)])
            with pytest.raises(ConnectionResetError):
                one.recv(1)
            assert events.next(PATIENCE).reason == "disconnected"
            assert asks(other, b"3") == b"3"
            gone: List[object] = [by_peer[name_of(one)], by_peer[name_of(one)].id, 4711, 2**70]
            for unknown in gone:
                with pytest.raises(smartvpn.NotFoundError):
                    relay.disconnect(unknown)  # type: ignore[arg-type]
            relay.disconnect(by_peer[name_of(other)].id)
            assert ended(other)


def test_who_is_on_the_block_list_is_refused_by_real_address() -> None:
    trusting: Dict[str, Any] = {"accept_proxy_protocol": "any", "trusted_proxies": ["127.0.0.1"]}
    with Target() as target:
        relay = smartvpn.Relay(
            listen=[listener(**trusting)],
            routes=[route(target.port)],
            security=smartvpn.RelaySecurity(ip_block_list=["203.0.113.0/24"]),
        )
        with relay:
            events = relay.events(["connection_rejected"])
            with client(relay.endpoints[0].port) as peer:
                peer.sendall(b"PROXY TCP4 203.0.113.7 192.0.2.1 4711 443\r\n")
                assert ended(peer)
            rejected = events.next(PATIENCE)
            assert (rejected.reason, rejected.remote_addr) == ("ip_block_list", REAL)
            with client(relay.endpoints[0].port) as peer:
                peer.sendall(b"PROXY TCP4 198.51.100.7 192.0.2.1 4711 443\r\n")
                assert asks(peer, b"hello") == b"hello"


def test_a_route_leads_into_the_server_of_this_process() -> None:
    trusting: Dict[str, Any] = {"accept_proxy_protocol": "v2", "trusted_proxies": ["127.0.0.1"]}
    leading = smartvpn.RelayRoute(smartvpn.RelayAction(type="vpn"), name="vpn")
    with make_server("host") as server:
        with smartvpn.Relay(listen=[listener(**trusting)], routes=[leading]) as relay:
            events = relay.events(["connection_closed", "connection_rejected"])
            tunnel = smartvpn.Tunnel(
                server.clients.create("alice"),
                server=f"ws://{relay.endpoints[0].address}/tunnel",
                proxy_protocol=smartvpn.TunnelProxyProtocol("v2", REAL, "192.0.2.1:443"),
                forwarding="host",
                reconnect=smartvpn.Reconnect(initial_ms=10, max_ms=10),
            )
            tunnel.start()
            assert next_of(events, EventType.CONNECTION_REJECTED).reason == "target_unreachable"
            relay.set_server(server)
            tunnel.connect(PATIENCE)
            assert server.sessions.list()[0].remote_addr == REAL
            assert next_of(events, EventType.CONNECTION_CLOSED).reason == "handed_to_vpn"
        assert tunnel.state == "connected"  # it needs no relay any more
        tunnel.close()


def test_a_server_may_go_before_the_relay_that_leads_into_it() -> None:
    routes = [smartvpn.RelayRoute(smartvpn.RelayAction(type="vpn"))]
    with smartvpn.Relay(listen=[listener()], routes=routes) as relay:
        with make_server() as server:
            relay.set_server(server)
        with unwanted(relay.endpoints[0].port) as peer:
            assert ended(peer)
        assert relay.stats["rejections.target_unreachable"] == 1
        with pytest.raises(smartvpn.ClosedError, match="the server is closed"):
            relay.set_server(server)
        relay.set_server(None)
