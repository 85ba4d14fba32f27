"""What tunnels carry between two network namespaces, beside each other in one run: plain veth, smartvpn over ws and
wss, Debian's wireguard-go and, where one is named, a newer one. All of them are up all the time and take turns, so
that what else the machine does falls on all alike. Needs root.

    tunnel_bench.py tunnel|counts SMARTVPN [--upstream WIREGUARD_GO] [--count-library SO] [--seconds S] [--rounds N]

Prints lines "name<TAB>value<TAB>unit", each the median of the rounds, for report.py.
"""
import argparse
import base64
import json
import os
import socket
import statistics
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration", "netns"))
from netns import World, client_config, run, self_signed, wait_until  # noqa: E402

PRIORITY = os.environ.get("BENCH_PRIORITY", "nice -n -10").split()  # on a busy machine: "chrt -r 1"
TICK = os.sysconf("SC_CLK_TCK")


def emit(name, value, unit):
    print(f"{name}\t{value:.6g}\t{unit}", flush=True)


class Road:
    """One way from the client's namespace to the edge's: an address to talk to, and the processes that carry it."""

    def __init__(self, name, target, pids=()):
        self.name, self.target, self.pids = name, target, list(pids)

    def cpu_seconds(self):
        total = 0
        for pid in self.pids:
            with open(f"/proc/{pid}/stat") as stat:
                fields = stat.read().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
        return total / TICK


class Bench(World):
    def start_nice(self, command, namespace, name):
        return self.start(PRIORITY + command, namespace, name)

    def add_target(self, host):
        """An address at the edge that is reached through a tunnel alone."""
        address = f"10.99.{host}.1"
        self.in_edge(["ip", "addr", "add", f"{address}/32", "dev", "lo"])
        return address

    def add_smartvpn(self, name, host, tls=False, before=()):
        target = self.add_target(host)
        server, client = self.keygen(), self.keygen()
        listen = {"transport": "websocket", "address": "198.51.100.1", "port": 8000 + host}
        if tls:
            self_signed(self)
            listen["tls"] = {"certificate": self.path("cert.pem"), "key": self.path("key.pem")}
        config = {
            "listen": [listen],
            "keys": {"noise_private_key": server["private_key"]},
            "network": {"subnets": [f"10.8.{host}.0/24"], "routes": [f"10.99.{host}.0/24"]},
            "forwarding": {"mode": "tun"},
            "tun": {"name": f"vpn{host}"},
            "clients": [{"id": "alice", "noise_public_key": client["public_key"]}],
        }
        path = self.write(f"{name}-server.json", config)
        ends = [self.start_nice([*before, self.smartvpn, "serve", "--config", path, "--events"], self.edge,
                                f"{name}-server")]
        ends[0].wait_event("listening")
        url = f"{'wss' if tls else 'ws'}://198.51.100.1:{8000 + host}/tunnel"
        extra = {"tls": {"ca": self.path("cert.pem"), "server_name": "edge.test"}} if tls else {}
        path = self.write(f"{name}-client.json", client_config(url, server, client, **extra))
        ends.append(self.start_nice([self.smartvpn, "connect", "--config", path, "--tun", f"tun{host}", "--events"],
                                    self.client, f"{name}-client"))
        ends[1].wait_event("session_up")
        return Road(name, target, [end.process.pid for end in ends])

    def add_wireguard(self, name, host, program):
        target = self.add_target(host)
        keys = [self.keygen(), self.keygen()]
        environment = ["env", "WG_I_PREFER_BUGGY_USERSPACE_TO_POLISHED_KMOD=1", "LOG_LEVEL=error"]
        pids = []
        for end, namespace in enumerate((self.edge, self.client)):
            device = f"wg{host}{'sc'[end]}{os.getpid()}"[:15]
            pids.append(self.start_nice([*environment, program, "-f", device], namespace, f"{name}-{end}").process.pid)
            control = f"/var/run/wireguard/{device}.sock"
            wait_until(lambda: os.path.exists(control), f"{control} is there")
            peer = hex_key(keys[1 - end]["public_key"])
            allowed = f"10.8.{host}.2/32" if end == 0 else f"10.99.{host}.0/24"
            order = f"set=1\nprivate_key={hex_key(keys[end]['private_key'])}\n"
            order += f"listen_port={51800 + host}\n" if end == 0 else ""
            order += f"public_key={peer}\nallowed_ip={allowed}\n"
            order += f"endpoint=198.51.100.1:{51800 + host}\npersistent_keepalive_interval=10\n" if end == 1 else ""
            uapi(control, order + "\n")
            run(["ip", "-n", namespace, "addr", "add", f"10.8.{host}.{end + 1}/24", "dev", device])
            run(["ip", "-n", namespace, "link", "set", device, "mtu", "1420", "up"])
        run(["ip", "-n", self.client, "route", "add", f"10.99.{host}.0/24", "dev", device])
        return Road(name, target, pids)

    def await_ways(self, roads):
        for road in roads:
            wait_until(lambda: subprocess.run(["ip", "netns", "exec", self.client, "ping", "-c", "1", "-W", "1",
                                               road.target], capture_output=True).returncode == 0, road.name)
        for road in roads:
            self.start_nice(["iperf3", "-s", "-B", road.target], self.edge, f"iperf-{road.name}")
            wait_until(lambda: f"{road.target}:5201" in self.in_edge(["ss", "-Hltn"]), f"iperf3 at {road.target}")

    def iperf(self, road, seconds, streams, down):
        """Gbit/s that arrived, and processor seconds of the tunnel's two ends for a gigabyte of it."""
        command = PRIORITY + ["iperf3", "-J", "-C", "cubic", "-t", str(seconds), "-P", str(streams), "-c", road.target]
        before = road.cpu_seconds()
        report = json.loads(self.in_client(command + (["-R"] if down else []), timeout=seconds + 30))
        end = report["end"]["sum_received"]
        cpu = road.cpu_seconds() - before
        return end["bits_per_second"] / 1e9, cpu / (end["bytes"] / 1e9)

    def ping_ms(self, road):
        out = self.in_client(PRIORITY + ["ping", "-q", "-i", "0.01", "-c", "100", road.target])
        return float(out.rsplit("=", 1)[1].split("/")[1])


def hex_key(key):
    return base64.b64decode(key).hex()


def uapi(path, text):
    with socket.socket(socket.AF_UNIX) as control:
        control.settimeout(10)
        control.connect(path)
        control.sendall(text.encode())
        if b"errno=0" not in control.recv(4096):
            raise AssertionError(f"{path} did not take its configuration")


def measure(world, roads, modes, options, prefix):
    """Rounds, and within each every road in every mode; then the median of each."""
    rates, costs = {}, {}
    for _ in range(options.rounds):
        for mode, (streams, down) in modes.items():
            for road in roads:
                rate, cost = world.iperf(road, options.seconds, streams, down)
                rates.setdefault((road.name, mode), []).append(rate)
                costs.setdefault(road.name, []).append(cost)
    for (name, mode), values in rates.items():
        emit(f"{prefix}/{name}/{mode}", statistics.median(values), "Gbit/s")
    for road in roads:
        if road.pids:
            emit(f"{prefix}_cpu/{road.name}", statistics.median(costs[road.name]), "s/GB")
    # A ratio is one of figures that were taken one after the other; its median is not the medians' ratio.
    for name, mode in rates:
        if name != "wireguard_go_debian" and ("wireguard_go_debian", mode) in rates:
            ratios = [a / b for a, b in zip(rates[name, mode], rates["wireguard_go_debian", mode])]
            emit(f"{prefix}_ratio/{name}/{mode}", statistics.median(ratios), "times wireguard-go of Debian")


MODES = {"1_up": (1, False), "1_down": (1, True), "4_up": (4, False), "4_down": (4, True)}


def tunnels(options):
    with Bench(options.smartvpn) as world:
        veth = Road("veth", "198.51.100.1")
        roads = [veth, world.add_smartvpn("smartvpn_ws", 1), world.add_smartvpn("smartvpn_wss", 2, tls=True),
                 world.add_wireguard("wireguard_go_debian", 3, "wireguard-go")]
        if options.upstream:
            roads.append(world.add_wireguard("wireguard_go_upstream", 4, options.upstream))
        world.await_ways(roads)
        for road in roads:  # not counted: caches, windows, frequency
            world.iperf(road, 1, 1, False)
        pings = {road.name: [] for road in roads}
        for _ in range(options.rounds):
            for road in roads:
                pings[road.name].append(world.ping_ms(road))
        for name, values in pings.items():
            emit(f"rtt/{name}", statistics.median(values) * 1000, "us")
        measure(world, roads, MODES, options, "throughput")
        # Over veth a large segment is never cut, as a real network's card would cut it before the wire.
        for name in (world.client, world.edge):
            run(["ip", "netns", "exec", name, "ethtool", "-K", "veth0", "tso", "off", "gso", "off",
                 "tx-udp-segmentation", "off"])
        measure(world, roads, {mode: MODES[mode] for mode in ("1_up", "1_down")}, options, "cut")


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
