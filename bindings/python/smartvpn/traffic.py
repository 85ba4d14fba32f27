"""What is counted of a session, a tunnel and a client alike."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, Optional

from ._model import Model


@dataclass
class Traffic(Model):
    """Inner: the packets inside the tunnel; outer: what the carrier took. In and out as the server, or the
    tunnel's end, sees it. `drops` are packets, by reason."""

    inner_packets_in: int = 0
    inner_bytes_in: int = 0
    inner_packets_out: int = 0
    inner_bytes_out: int = 0
    outer_messages_in: int = 0
    outer_bytes_in: int = 0
    outer_messages_out: int = 0
    outer_bytes_out: int = 0
    drops: Dict[str, int] = field(default_factory=dict)


@dataclass
class Connection(Traffic):
    """A live connection's traffic and health. Round-trip times and jitter are microseconds, 0 before the
    first sample; loss_ppm is None where the carrier cannot lose."""

    rtt_us: int = 0
    rtt_min_us: int = 0
    jitter_us: int = 0
    loss_ppm: Optional[int] = None
    health: str = ""
