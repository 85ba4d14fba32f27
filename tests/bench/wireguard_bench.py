"""WireGuard tunnels beside each other in one run: plain veth, the rivals that scripts/rivals.sh has built, and ours
against a rival's client and against our own machines; streams, single UDP packets, idle round trips and processor time,
with and without `tx-udp-segmentation` on the veth pair. Needs root.

    wireguard_bench.py SMARTVPN [--rivals FOLDER] [--peer WIREGUARD_PEER] [--aead NAME]... [--seconds S] [--rounds N]
                       [--only KIND,KIND...] [--quick]

Prints lines "name<TAB>value<TAB>unit", each the median of the rounds, for report.py. What is not there is left out.
"""
import argparse
import os
import shutil
import statistics

from roads import MODES, Bench, Road, emit, emit_ratios, measure
from wireguard_ends import Ours, Stock

REFERENCES = {"wireguard_go_upstream": ("ratio", "times wireguard-go of upstream"),
              "wireguard_go_debian": ("to_debian", "times wireguard-go of Debian")}
UDP_SIZES = (172, 1372)
TWO_WAYS = {mode: MODES[mode] for mode in ("1_up", "1_down")}
# How large segments leave the pair: whole, as over veth; or cut before the receiver, as by a card without that offload.
SETTINGS = {"wireguard": ("tx-udp-segmentation", "on"), "wireguard_cut": ("tx-udp-segmentation", "off")}


def rivals(folder):
    """Those that are there, by name."""
    upstream, boringtun = (os.path.join(folder, name) for name in ("wireguard-go", "bin/boringtun-cli"))
    commands = {"wireguard_go_upstream": (upstream, "-f"), "wireguard_go_debian": ("wireguard-go", "-f"),
                "boringtun": (boringtun, "--foreground", "--disable-drop-privileges")}
    return {name: Stock(*command) for name, command in commands.items() if shutil.which(command[0])}


def kinds(options):
    """Who is measured: a pair of ends by name, server first. Without a second, both ends are of the first kind."""
    found = {name: (end,) for name, end in rivals(options.rivals).items()}
    if "wireguard_go_upstream" in found:
        found["smartvpn_serves_upstream"] = Ours(), *found["wireguard_go_upstream"]
    if options.peer:
        for aead in options.aead or [None]:
            found["smartvpn" + (f"_{aead}" if aead else "")] = (Ours(options.peer, aead),)
    if options.only:
        found = {name: ends for name, ends in found.items() if name in options.only.split(",")}
    return found


def measure_udp(world, roads, options, prefix):
    arrived = {}
    for _ in range(options.rounds):
        for size in UDP_SIZES:
            for road in roads:
                arrived.setdefault((road.name, f"udp_{size}"), []).append(world.iperf_udp(road, options.seconds, size))
    for (name, mode), values in arrived.items():
        emit(f"{prefix}/{name}/{mode}", statistics.median(values), "kpps")
    emit_ratios(prefix, arrived, REFERENCES)


def measure_idle(world, roads, options):
    times = {}
    for _ in range(options.rounds):
        for road in roads:
            times.setdefault((road.name, "rtt"), []).append(world.ping_ms(road, "0.005", "300") * 1000)
    for (name, mode), values in times.items():
        emit(f"wireguard/{name}/{mode}", statistics.median(values), "us")
    emit_ratios("wireguard", times, REFERENCES)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("smartvpn", help="the command; also makes the keys")
    parser.add_argument("--rivals", default="build/rivals")
    parser.add_argument("--peer", help="tests/bench/wireguard_peer: our machines, dialling")
    parser.add_argument("--aead", action="append", help="measure ours with this performance.aead")
    parser.add_argument("--only", help="kinds, separated by commas; veth is always there")
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one round of one stream and a ping, in one setting")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds = 1, 1
    with Bench(options.smartvpn) as world:
        roads = [Road("veth", "198.51.100.1")]
        roads += [world.add_wireguard(name, 10 + i, *ends) for i, (name, ends) in enumerate(kinds(options).items())]
        world.await_ways(roads)
        for road in roads:  # not counted: caches, windows, frequency
            world.iperf(road, 1, 1, False)
        measure_idle(world, roads, options)
        for prefix, setting in SETTINGS.items():
            world.set_offload(*setting)
            measure(world, roads, TWO_WAYS if options.quick else MODES, options, prefix, REFERENCES)
            if options.quick:
                return
            measure_udp(world, roads[1:], options, prefix)


if __name__ == "__main__":
    main()
