"""The bindings' benchmark in Python, with the package as its manual says: the jobs of host.c, done in the same way."""
import gc
import struct
import sys
import time
from typing import Callable, Dict, List, Tuple

import smartvpn

ARENA = 1 << 20
POLL = 0.05
ADDRESSES = struct.Struct("4s4s")
Result = Tuple[int, float, float, int]


class Host:
    def __init__(self, config: str, tunnels: int) -> None:
        with open(config, encoding="ascii") as file:
            self.server = smartvpn.Server(smartvpn.ServerConfig.from_json(file.read()))
        self.server.start()
        self.tunnels = tunnels
        self.round = 0

    def figure(self, name: str) -> int:
        return self.server.stats[name]

    def measured(self, work: Callable[[], Tuple[int, int]], clock: Callable[[], float] = time.process_time) -> Result:
        gc.collect()
        seconds, cpu = time.monotonic(), clock()
        count, total = work()
        return count, time.monotonic() - seconds, clock() - cpu, total

    def packets(self, batch: int) -> smartvpn.Packets:
        return self.server.packets(batch=batch, arena_bytes=ARENA)

    def read(self, batch: int, milliseconds: int) -> Result:
        packets = self.packets(batch)

        def work() -> Tuple[int, int]:
            count = total = 0
            end = time.monotonic() + milliseconds / 1e3
            while time.monotonic() < end:
                try:
                    some = packets.read(POLL)
                except smartvpn.TimedOutError:
                    continue
                for packet in some:
                    total += len(packet) + packet[0]
                count += len(some)
            return count, total

        return self.measured(work)

    def echo(self, batch: int, milliseconds: int) -> Result:
        packets = self.packets(batch)

        def work() -> Tuple[int, int]:
            count = total = 0
            end = time.monotonic() + milliseconds / 1e3
            while time.monotonic() < end:
                try:
                    some = packets.read(POLL)
                except smartvpn.TimedOutError:
                    continue
                for packet in some:
                    total += len(packet) + packet[0]
                    source, destination = ADDRESSES.unpack_from(packet, 12)
                    ADDRESSES.pack_into(packet, 12, destination, source)
                packets.write(some)
                count += len(some)
            return count, total

        return self.measured(work)

    def write_for(self, size: int, batch: int, seconds: float, at_most: float, clock: Callable[[], float]) -> Result:
        packets, made = self.packets(batch), build(batch, size, self.tunnels)
        packets.write(made)  # what grows with use has grown

        def work() -> Tuple[int, int]:
            count = 0
            end = time.monotonic() + seconds
            while count < at_most and time.monotonic() < end:
                taken = packets.write(made)
                if not taken:
                    time.sleep(50e-6)
                count += taken
            return count, count * size

        return self.measured(work, clock)

    def write(self, size: int, batch: int, milliseconds: int) -> Result:
        return self.write_for(size, batch, milliseconds / 1e3, float("inf"), time.process_time)

    def burst(self, size: int, batch: int, count: int) -> Result:
        return self.write_for(size, batch, 60, count, time.thread_time)

    def drain(self, batch: int, wanted: int) -> Result:
        packets = self.packets(batch)

        def work() -> Tuple[int, int]:
            count = total = 0
            while count < wanted:
                some = packets.read(0)
                for packet in some:
                    total += len(packet) + packet[0]
                count += len(some)
            return count, total

        return self.measured(work, time.thread_time)

    def events(self, wanted: int) -> Result:
        with self.server.events([smartvpn.EventType.CLIENT_CHANGED], capacity=32768) as stream:
            self.change(wanted, create=False)

            def work() -> Tuple[int, int]:
                count = total = 0
                while count < wanted:
                    event = stream.next(0)
                    if event.type == smartvpn.EventType.CLIENT_CHANGED:
                        total += len(event.client_id or "")
                    count += 1
                return count, total

            return self.measured(work)

    def sessions(self, wanted: int) -> Result:
        while self.figure("sessions_now") < wanted:
            time.sleep(0.02)
        return self.measured(lambda: (len(self.server.sessions.list()), 0))

    def change(self, count: int, create: bool) -> None:
        self.round += 1
        with self.server.clients.transaction() as changes:
            for i in range(count):
                if create:
                    changes.create(f"client-{i}", noise_public_key=f"{i + 1:042d}A=")
                else:
                    changes.update(f"client-{i}", description=f"round {self.round}")

    def fill(self, count: int) -> str:
        goal = self.figure("inner_packets_in") + count
        while self.figure("inner_packets_in") < goal:
            time.sleep(0.002)
        return "full"

    def clear(self) -> str:
        packets = self.packets(256)
        while True:
            try:
                packets.read(POLL)
            except smartvpn.TimedOutError:
                return "clear"

    def clients(self, count: int) -> str:
        self.change(count, create=True)
        return "created"


def build(count: int, size: int, tunnels: int) -> List[bytes]:
    """IPv4 UDP packets to the clients."""
    made = []
    for i in range(count):
        packet = bytearray(size)
        packet[0:20] = bytes((0x45, 0, size >> 8, size & 255, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 9, 10, 8, 1,
                              i % tunnels + 1))
        total = sum(packet[k] << 8 | packet[k + 1] for k in range(0, 20, 2))
        total = ~((total & 0xffff) + (total >> 16)) & 0xffff
        packet[10:12] = total.to_bytes(2, "big")
        packet[24:26] = (size - 20).to_bytes(2, "big")
        made.append(bytes(packet))
    return made


def main() -> None:
    host = Host(sys.argv[1], int(sys.argv[2]))
    jobs: Dict[str, Callable[..., object]] = {
        name: getattr(host, name)
        for name in ("read", "echo", "write", "burst", "drain", "events", "sessions", "fill", "clear", "clients")}
    print("ready", host.server.endpoints[0].address, flush=True)
    for line in sys.stdin:
        name, *numbers = line.split()
        answer = jobs[name](*map(int, numbers))
        print(answer if isinstance(answer, str) else "%d %.9f %.9f %d" % answer, flush=True)
    host.server.close()


if __name__ == "__main__":
    main()
