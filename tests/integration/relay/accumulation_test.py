"""What comes and goes leaves nothing behind: after thousands of connections through two relays that ended in every way
there is, no connection is counted, no descriptor is open and no memory is taken that was not before. Their number is
3,000, and 50,000 under SMARTVPN_SIEGE=1."""
import asyncio
import collections
import contextlib
import os
import socket
import struct
import sys
import time

from crowd import NAME, Crowd, Servers
from ends import Target, client
from relay_bench import Bench, check_memory, main, need, relay_config, same, wait_until

SIEGE = os.environ.get("SMARTVPN_SIEGE") == "1"
CONNECTIONS, WARM_UP = (50000, 4000) if SIEGE else (3000, 1000)
MAY_GROW = 2 << 20
POOLED_PIPES = 2 * 64  # descriptors that a relay keeps for bulk data
# Of a port: the manners that go to it, and what its route says.
PORTS = {"talker": {}, "patient": {"half_open": True}, "named": {}, "closer": {}, "slammer": {}, "refuser": {}}


def figure(name, value):
    print(f"figure: {name}: {value}", flush=True)


def chained(bench, targets, half_open=False):
    """Two relays before a port of each name; the ports of the first."""
    relays, ports = [], targets
    for place, accept in ((1, "v2"), (0, "off")):
        listen, routes, own = [], [], {}
        for name, action in PORTS.items():
            own[name] = bench.free_port()
            match = {"ports": own[name], "domains": [NAME] if name == "named" and place == 0 else []}
            proxies = {"trusted_proxies": ["127.0.0.0/8"]} if place else {}
            listen.append({"address": "127.0.0.1", "port": own[name], "accept_proxy_protocol": accept, **proxies})
            to = {"host": "127.0.0.1", "port": ports.get(name, ports["talker"])}
            send = "off" if place else "v2"
            action = {"targets": [to], "send_proxy_protocol": send, **action}
            routes.append({"name": name, "match": match, "action": action})
        relays.insert(0, bench.relay(relay_config(listen, routes), name=f"relay{place}", metrics=True))
        ports = own
    return relays, ports


class Books:
    """What a relay has, when nobody is connected."""

    def __init__(self, relay):
        wait_until(lambda: self._nobody(relay), lambda: f"nobody is connected: {relay.figures()}")
        self.figures = relay.figures()
        self.kinds = self._kinds(relay)
        for _ in range(5):  # who asked for the figures goes only now
            time.sleep(0.02)
            self.kinds &= self._kinds(relay)
        self.memory = relay.memory()

    @staticmethod
    def _nobody(relay):
        return not any(value for name, value in relay.figures().items() if "connections_open" in name)

    @staticmethod
    def _kinds(relay):
        folder, kinds = f"/proc/{relay.pid}/fd", collections.Counter()
        for number in os.listdir(folder):
            with contextlib.suppress(FileNotFoundError):
                kinds[os.readlink(f"{folder}/{number}").split(":")[0]] += 1
        return kinds


def check(relay, start, before):
    """Nothing is left of what came since then."""
    may_have = start.kinds + collections.Counter(pipe=POOLED_PIPES)
    books = wait_until(lambda: None if (now := Books(relay)).kinds - may_have else now,
                       lambda: f"descriptors: {start.kinds} at first, {Books(relay).kinds} now")
    grown = books.memory - before.memory
    figure(f"{relay.path.rsplit('/', 1)[1]} memory", f"{books.memory >> 10} KiB, {grown >> 10} more than before")
    check_memory(grown, MAY_GROW)
    return books


async def everybody(bench):
    apart = asyncio.to_thread  # the servers must be able to go on meanwhile
    async with Servers() as servers:
        relays, ports = chained(bench, servers.ports)
        starts = [Books(relay) for relay in relays]
        crowd = Crowd(ports, seed=1)
        await crowd.come(WARM_UP)
        same(crowd.broken, [])
        before = [await apart(Books, relay) for relay in relays]
        begun = time.monotonic()
        await crowd.come(CONNECTIONS)
        figure("connections a second, both ends of them included", round(CONNECTIONS / (time.monotonic() - begun)))
        same(crowd.broken, [])
        for relay, start, warm in zip(relays, starts, before):
            books = await apart(check, relay, start, warm)
            reasons = {name for name, value in books.figures.items() if "{reason=" in name and value}
            assert len(reasons) >= 5, f"not much of a crowd: {reasons}"
        came = relays[0].figures()["connections_total"]
        same((came, sum(crowd.done.values())), (WARM_UP + CONNECTIONS,) * 2)


def test_thousands_of_connections_that_end_in_every_way_leave_nothing_behind(bench):
    asyncio.run(everybody(bench))


def says(target):
    """What the next connection in the backlog brings first."""
    with contextlib.suppress(ConnectionResetError):
        return target.accept().stream.recv(100)


def test_two_thousand_who_come_and_go_in_a_row_leave_nothing_behind(bench):
    target = Target(backlog=4096)
    relays, ports = chained(bench, {"talker": target.port})
    starts = [Books(relay) for relay in relays]
    for turn in range(2000):
        with socket.create_connection(("127.0.0.1", ports["talker"])) as stream:
            if turn % 3 == 1:
                stream.sendall(b"x")
            elif turn % 3 == 2:
                stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    for relay, start in zip(relays, starts):
        check(relay, start, start)
    same(relays[0].figures()["connections_total"], 2000)
    near = client(ports["talker"], data=b"stays")
    assert any(says(target) == b"stays" for _ in range(2001)), "one who stays is not served"
    near.close()


if __name__ == "__main__":
    need("curl")
    main("relay_accumulation", sys.modules[__name__], Bench)
