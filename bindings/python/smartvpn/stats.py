"""Counters of a server, a tunnel or a relay, all of one moment."""

from __future__ import annotations

import json
from typing import Any, Dict, Optional, Union, overload

from . import _native
from ._handle import Handle, Owner


class Total:
    """One number of the totals as an attribute."""

    def __init__(self, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, stats: None, owner: object = None) -> Total: ...

    @overload
    def __get__(self, stats: Snapshot, owner: object = None) -> int: ...

    def __get__(self, stats: Optional[Snapshot], owner: object = None) -> Union[Total, int]:
        return self if stats is None else stats[self._name]


class Snapshot(Owner):
    """What every snapshot has. It outlives what it was taken of."""

    def __init__(self, raw: Any) -> None:
        self._handle = Handle(raw, _native.stats_free, lambda _: None, "snapshot")

    def __getitem__(self, name: str) -> int:
        """One number; 0 for a reason that never happened. NotFoundError, a KeyError, for a name that is
        none."""
        return int(_native.stats_u64(self._handle.raw, name))

    def json(self) -> str:
        """All of it, by listener and transport, or by route and address, too."""
        return str(_native.stats_json(self._handle.raw))

    def to_dict(self) -> Dict[str, Any]:
        """The same as a dictionary."""
        whole: Dict[str, Any] = json.loads(self.json())
        return whole

    def prometheus(self) -> str:
        """The same in the Prometheus text format 0.0.4, to be served under your own /metrics."""
        return str(_native.stats_prometheus(self._handle.raw))


class Stats(Snapshot):
    """The snapshot of a server or a tunnel. Numbers are attributes, or items by the library's name:
    `stats.sessions_now`, `stats["drops.spoofed_source"]`, `stats["rejections"]`."""

    connections_total = Total("connections_total")
    connections_open = Total("connections_open")
    handshakes_total = Total("handshakes_total")
    handshakes_completed = Total("handshakes_completed")
    handshakes_in_progress = Total("handshakes_in_progress")
    rekeys_total = Total("rekeys_total")
    sessions_total = Total("sessions_total")
    sessions_now = Total("sessions_now")
    inner_packets_in = Total("inner_packets_in")
    inner_bytes_in = Total("inner_bytes_in")
    inner_packets_out = Total("inner_packets_out")
    inner_bytes_out = Total("inner_bytes_out")
    outer_messages_in = Total("outer_messages_in")
    outer_bytes_in = Total("outer_bytes_in")
    outer_messages_out = Total("outer_messages_out")
    outer_bytes_out = Total("outer_bytes_out")
    drops = Total("drops")
    rejections = Total("rejections")


class RelayStats(Snapshot):
    """The snapshot of a relay. "In" is from clients. Numbers are attributes, or items by the library's name:
    `stats.connections_open`, `stats["rejections.no_route"]`, `stats["ended.closed_by_client"]`; by route and
    by real address, and with rates, in `to_dict()`."""

    connections_total = Total("connections_total")
    connections_open = Total("connections_open")
    connections_relayed = Total("connections_relayed")
    target_failures = Total("target_failures")
    bytes_in = Total("bytes_in")
    bytes_out = Total("bytes_out")
    udp_flows_total = Total("udp_flows_total")
    udp_flows_open = Total("udp_flows_open")
    udp_datagrams_in = Total("udp_datagrams_in")
    udp_datagrams_out = Total("udp_datagrams_out")
    rejections = Total("rejections")
    events_lost = Total("events_lost")
