"""Roads between two network namespaces: what carries packets from the client's to the edge's, and how it is measured.
All roads of a run are up all the time and take turns, so that what else the machine does falls on all alike.
"""
import base64
import json
import os
import socket
import statistics
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration", "netns"))
from netns import World, client_config, run, self_signed, wait_until  # noqa: E402

PRIORITY = os.environ.get("BENCH_PRIORITY", "nice -n -10").split()  # on a busy machine: "chrt -r 1"
TICK = os.sysconf("SC_CLK_TCK")
EDGE = "198.51.100.1"


def emit(name, value, unit):
    print(f"{name}\t{value:.6g}\t{unit}", flush=True)


def cpu_seconds(pids):
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICK


class Road:
    """One way from the client's namespace to the edge's: an address to talk to, and the processes that carry it."""

    def __init__(self, name, target, pids=()):
        self.name, self.target, self.pids = name, target, list(pids)

    def cpu_seconds(self):
        return cpu_seconds(self.pids)


class Bench(World):
    def start_nice(self, command, namespace, name):
        return self.start(PRIORITY + command, namespace, name)

    def add_target(self, host):
        """An address at the edge that is reached through a tunnel alone."""
        address = f"10.99.{host}.1"
        self.in_edge(["ip", "addr", "add", f"{address}/32", "dev", "lo"])
        return address

    def serve_for_bench(self, name, host, listen, client, before=(), extra=None, **keys):
        """Our server; its pid. Only `client`, a registry entry, may connect."""
        config = {
            "listen": [listen],
            "keys": keys,
            "network": {"subnets": [f"10.8.{host}.0/24"], "routes": [f"10.99.{host}.0/24"]},
            "forwarding": {"mode": "tun"},
            "tun": {"name": f"vpn{host}"},
            "clients": [{"id": "alice", "addresses": [f"10.8.{host}.2"], **client}],
            **(extra or {}),
        }
        path = self.write(f"{name}-server.json", config)
        end = self.start_nice([*before, self.smartvpn, "serve", "--config", path, "--events"], self.edge,
                              f"{name}-server")
        end.wait_event("listening")
        return end.process.pid

    def add_smartvpn(self, name, host, tls=False, before=()):
        target = self.add_target(host)
        server, client = self.keygen(), self.keygen()
        listen = {"transport": "websocket", "address": EDGE, "port": 8000 + host}
        if tls:
            self_signed(self)
            listen["tls"] = {"certificate": self.path("cert.pem"), "key": self.path("key.pem")}
        pid = self.serve_for_bench(name, host, listen, {"noise_public_key": client["public_key"]}, before,
                                   noise_private_key=server["private_key"])
        url = f"{'wss' if tls else 'ws'}://{EDGE}:{8000 + host}/tunnel"
        extra = {"tls": {"ca": self.path("cert.pem"), "server_name": "edge.test"}} if tls else {}
        path = self.write(f"{name}-client.json", client_config(url, server, client, **extra))
        end = self.start_nice([self.smartvpn, "connect", "--config", path, "--tun", f"tun{host}", "--events"],
                              self.client, f"{name}-client")
        end.wait_event("session_up")
        return Road(name, target, [pid, end.process.pid])

    def add_wireguard(self, name, host, server, client=None):
        """`server` and `client` are ends of wireguard_ends.py; both the same unless a client is given."""
        target, keys = self.add_target(host), [self.keygen(), self.keygen()]
        pids = [server.serve(self, name, host, keys), (client or server).dial(self, name, host, keys)]
        return Road(name, target, pids)

    def await_ways(self, roads):
        for road in roads:
            wait_until(lambda: self.is_open(road), road.name)
        for road in roads:
            self.start_iperf_at(road)

    def start_iperf_at(self, road):
        road.iperf = self.start_nice(["iperf3", "-s", "-B", road.target], self.edge, f"iperf-{road.name}")
        wait_until(lambda: f"{road.target}:5201" in self.in_edge(["ss", "-Hltn"]), f"iperf3 at {road.target}")

    def iperf_report(self, road, seconds, *options, priority=PRIORITY):
        """What iperf3 tells at its end, and the processor seconds that the tunnel's two ends took meanwhile."""
        before = road.cpu_seconds()
        command = ["iperf3", "-J", "-t", str(seconds), "-c", road.target, *options]
        try:
            output = self.in_client([*priority, *command], timeout=seconds + 15)
        except subprocess.TimeoutExpired:
            # Said, and measured again once with another iperf3: it hangs now and then, whosever tunnel it is.
            print(f"{road.name}: {' '.join(command)} did not end; the way is "
                  f"{'open' if self.is_open(road) else 'closed'}", file=sys.stderr, flush=True)
            road.iperf.stop()
            self.start_iperf_at(road)
            before = road.cpu_seconds()
            output = self.in_client([*priority, *command], timeout=seconds + 15)
        return json.loads(output)["end"], road.cpu_seconds() - before

    def is_open(self, road):
        ping = ["ip", "netns", "exec", self.client, "ping", "-c", "1", "-W", "1", road.target]
        return subprocess.run(ping, capture_output=True).returncode == 0

    def iperf(self, road, seconds, streams, down):
        """Gbit/s that arrived, and processor seconds of the tunnel's two ends for a gigabyte of it."""
        end, cpu = self.iperf_report(road, seconds, "-C", "cubic", "-P", str(streams), *(["-R"] if down else []))
        end = end["sum_received"]
        return end["bits_per_second"] / 1e9, cpu / (end["bytes"] / 1e9)

    def iperf_udp(self, road, seconds, size):
        """Thousands of packets a second that arrived, of as many as a sender can make that has no priority: most are
        dropped before the tunnel, and a sender that went first would leave nobody a processor to carry the rest."""
        end, _ = self.iperf_report(road, seconds, "-u", "-b", "0", "-l", str(size), priority=())
        return end["sum_received"]["bytes"] / size / end["sum_received"]["seconds"] / 1000

    def ping_ms(self, road, interval="0.01", count="100"):
        out = self.in_client(PRIORITY + ["ping", "-q", "-i", interval, "-c", count, road.target])
        return float(out.rsplit("=", 1)[1].split("/")[1])

    def set_offload(self, *settings):
        for name in (self.client, self.edge):
            run(["ip", "netns", "exec", name, "ethtool", "-K", "veth0", *settings])


def hex_key(key):
    return base64.b64decode(key).hex()


def uapi(path, text):
    """Gives a device settings over its socket, as `wg set` would."""
    with socket.socket(socket.AF_UNIX) as control:
        control.settimeout(60)
        control.connect(path)
        control.sendall(f"set=1\n{text}\n".encode())
        if b"errno=0" not in control.recv(4096):
            raise AssertionError(f"{path} did not take its configuration")


def emit_ratios(prefix, values, references):
    """A ratio is one of figures that were taken one after the other; its median is not the medians' ratio.
    `values` by (road, mode); `references`: what the ratio's name begins with, by the road that is divided by."""
    for reference, (kind, unit) in references.items():
        for name, mode in values:
            if name != reference and (reference, mode) in values:
                ratios = [a / b for a, b in zip(values[name, mode], values[reference, mode]) if b > 0]
                if ratios:
                    emit(f"{prefix}_{kind}/{name}/{mode}", statistics.median(ratios), unit)


def measure(world, roads, modes, options, prefix, references):
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
    emit_ratios(prefix, rates, references)


MODES = {"1_up": (1, False), "1_down": (1, True), "4_up": (4, False), "4_down": (4, True)}
