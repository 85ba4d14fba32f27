"""What tunnels carry between two network namespaces, beside each other in one run: plain veth, smartvpn over ws and
wss, Debian's wireguard-go and, where one is named, a newer one. All of them are up all the time and take turns, so
that what else the machine does falls on all alike. Needs root.

    tunnel_bench.py tunnel|counts SMARTVPN [--upstream WIREGUARD_GO] [--count-library SO] [--seconds S] [--rounds N]

Prints lines "name<TAB>value<TAB>unit", each the median of the rounds, for report.py.
"""
import argparse
import json
import statistics
import struct
import subprocess
import time

from roads import MODES, Bench, Road, emit, measure
from wireguard_ends import Stock

DEBIAN = {"wireguard_go_debian": ("ratio", "times wireguard-go of Debian")}


def tunnels(options):
    with Bench(options.smartvpn) as world:
        veth = Road("veth", "198.51.100.1")
        roads = [veth, world.add_smartvpn("smartvpn_ws", 1), world.add_smartvpn("smartvpn_wss", 2, tls=True),
                 world.add_wireguard("wireguard_go_debian", 3, Stock("wireguard-go", "-f"))]
        if options.upstream:
            roads.append(world.add_wireguard("wireguard_go_upstream", 4, Stock(options.upstream, "-f")))
        world.await_ways(roads)
        for road in roads:  # not counted: caches, windows, frequency
            world.iperf(road, 1, 1, False)
        pings = {road.name: [] for road in roads}
        for _ in range(options.rounds):
            for road in roads:
                pings[road.name].append(world.ping_ms(road))
        for name, values in pings.items():
            emit(f"rtt/{name}", statistics.median(values) * 1000, "us")
        measure(world, roads, MODES, options, "throughput", DEBIAN)
        # Over veth a large segment is never cut, as a real network's card would cut it before the wire.
        world.set_offload("tso", "off", "gso", "off", "tx-udp-segmentation", "off")
        measure(world, roads, {mode: MODES[mode] for mode in ("1_up", "1_down")}, options, "cut", DEBIAN)


COUNTERS = ("allocations", "allocated_bytes", "locks", "copies", "copied_bytes")


def counts(options):
    """What the server does for a packet of a steady stream; the count library stands in front of its libc."""
    with Bench(options.smartvpn) as world:
        file = world.path("counts")
        before = ["env", f"LD_PRELOAD={options.count_library}", f"BENCH_COUNTS={file}"]
        road = world.add_smartvpn("counted", 1, before=before)
        world.await_ways([road])
        world.iperf(road, 1, 1, False)
        for mode, down in (("from_client", False), ("to_client", True)):
            results = []
            if read_counters(file)[0] == 0:
                raise AssertionError("nothing is counted")
            for _ in range(options.rounds):
                start, packets = read_counters(file), tun_packets(world, down)
                rate, _ = world.iperf(road, options.seconds, 1, down)
                segments = rate * 1e9 * options.seconds / 8 / 1368
                delta = [b - a for a, b in zip(start, read_counters(file))]
                results.append([d / segments for d in delta] + [(tun_packets(world, down) - packets) / segments])
            for i, name in enumerate(COUNTERS + ("super_packets",)):
                emit(f"counts/{mode}/{name}", statistics.median(r[i] for r in results), "per packet of 1420 bytes")
            emit(f"counts/{mode}/futex_calls", futexes(world, road, down, options), "in a second of traffic")


def read_counters(file):
    with open(file, "rb") as counters:
        return struct.unpack("=5Q", counters.read(40))


def tun_packets(world, down):
    link = json.loads(world.in_edge(["ip", "-j", "-s", "link", "show", "dev", "vpn1"]))[0]["stats64"]
    return link["tx" if down else "rx"]["packets"]


def futexes(world, road, down, options):
    """Futex calls of the server while a stream runs: a lock that was ever contended, a thread that was woken."""
    log = world.path("strace")
    command = ["strace", "-f", "-qq", "-c", "-e", "trace=futex", "-o", log, "-p", str(road.pids[0])]
    tracer = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(0.5)
        world.iperf(road, options.seconds, 1, down)
    finally:
        tracer.terminate()
        tracer.wait(10)
    with open(log) as text:
        lines = [line.split() for line in text if line.rstrip().endswith(" futex")]
    return int(lines[0][3]) / options.seconds if lines else 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("tunnel", "counts"))
    parser.add_argument("smartvpn")
    parser.add_argument("--upstream", help="another wireguard-go to compare with")
    parser.add_argument("--count-library", help="libbench_count.so; with counts")
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    tunnels(options) if options.what == "tunnel" else counts(options)


if __name__ == "__main__":
    main()
