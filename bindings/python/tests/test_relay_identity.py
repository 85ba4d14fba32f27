"""Which VPN client a connection is of, and whether it is one of TCP or a client's datagrams."""

from __future__ import annotations

import socket
import struct
from typing import Any, Dict, List

import pytest

from relay_support import Target, asks, client, make_relay, name_of, write_header
from smartvpn import EventType
from support import PATIENCE, next_of

REAL = "203.0.113.7:4711"
IDENTITY = 0xE7  # TLV


def tlv(kind: int, value: bytes) -> bytes:
    """Of a header, and a part within the identity's."""
    return struct.pack("!BH", kind, len(value)) + value


def header_with(*tlvs: bytes) -> bytes:
    plain, more = write_header(REAL, "192.0.2.1:443"), b"".join(tlvs)
    return plain[:14] + (len(plain) - 16 + len(more)).to_bytes(2, "big") + plain[16:] + more


@pytest.mark.parametrize("who, may_assert", [("alice", ["127.0.0.1"]), (None, [])])
def test_which_client_it_is_is_said_by_those_who_may(who: "str | None", may_assert: List[str]) -> None:
    trusting: Dict[str, Any] = {"accept_proxy_protocol": "v2", "trusted_proxies": ["127.0.0.1"]}
    if may_assert:
        trusting["may_assert_identity"] = may_assert
    parts = tlv(1, b"alice") + tlv(2, bytes([10, 8, 0, 2])) + tlv(3, struct.pack("!Q", 7))
    told = b"\1" + parts
    with Target(headers=True) as target, make_relay(target.port, send="v2", **trusting) as relay:
        events = relay.events(["connection_accepted"])
        with client(relay.endpoints[0].port) as peer:
            peer.sendall(header_with(tlv(IDENTITY, told)))
            assert asks(peer, b"hello") == b"hello"
            (connection,) = relay.connections()
            assert (connection.client_id, connection.transport) == (who, "tcp")
            assert connection.remote_addr == REAL and connection.vouched
            assert next_of(events, EventType.CONNECTION_ACCEPTED).client_id == who
            assert target.header().tlvs.get(IDENTITY) == (told if who else None)


def test_a_clients_datagrams_are_a_flow_in_the_list() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as server, socket.socket(type=socket.SOCK_DGRAM) as peer:
        server.bind(("127.0.0.1", 0))
        for end in (server, peer):
            end.settimeout(PATIENCE)
        with make_relay(server.getsockname()[1], protocol="udp") as relay:
            assert relay.endpoints[0].transport == "udp"
            peer.connect(("127.0.0.1", relay.endpoints[0].port))
            peer.send(b"hello")
            said, seat = server.recvfrom(100)
            server.sendto(said + b" back", seat)
            assert peer.recv(100) == b"hello back"
            (connection,) = relay.connections()
            assert (connection.transport, connection.client_id) == ("udp", None)
            assert connection.peer_addr == name_of(peer)
            stats = relay.stats
            assert (stats.udp_flows_total, stats.udp_flows_open) == (1, 1)
            assert (stats.udp_datagrams_in, stats.udp_datagrams_out) == (1, 1)
            assert "\nsmartvpn_relay_udp_flows_open 1\n" in stats.prometheus()
