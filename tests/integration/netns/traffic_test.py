"""What a client may use of the path: rate limits in both directions as iperf3 measures them, and the delay that a
bulk transfer causes on a path of 10 Mbit/s."""
import json
import re
import sys
import unittest

from netns import World, client_config, run, server_config, wait_until

SMARTVPN = sys.argv.pop(1)
LISTEN = [{"transport": "websocket", "address": "::", "port": 8443}]
FAR = "192.0.2.1"  # a host behind the server
SECONDS = 10


class Traffic(unittest.TestCase):
    def connect(self, world, **security):
        config, *keys = server_config(world, LISTEN, tun={"name": "svserver"})
        config["network"]["routes"] = ["10.8.0.0/24", "192.0.2.0/24"]
        config["clients"][0]["security"] = security
        server = world.serve(config)
        world.in_edge(["sysctl", "-qw", "net.ipv4.ip_forward=1"])
        run(["ip", "-n", world.edge, "addr", "add", FAR + "/24", "dev", "lo"])
        tunnel = world.connect(client_config("ws://198.51.100.1:8443/tunnel", *keys))
        tunnel.wait_event("session_up")
        return server

    def iperf(self, world, *options):
        """Bytes a second that arrived."""
        server = world.start(["iperf3", "-s", "-1", "-B", FAR, "-p", "5201"], world.edge, "iperf3")
        wait_until(lambda: ":5201 " in world.in_edge(["ss", "-Hltn"]), "iperf3 listens")
        report = json.loads(world.in_client(["iperf3", "-c", FAR, "-p", "5201", "-J", *options], timeout=90))
        server.process.wait(30)
        received = report["end"]["sum_received"]
        return received["bytes"] / received["seconds"]

    def test_a_rate_limit_holds_within_five_percent_both_ways_for_tcp_and_udp(self):
        for rate in (1_250_000, 12_500_000):
            with World(SMARTVPN) as world:
                self.connect(world, rate_limit={"from_client_bytes_per_second": rate, "to_client_bytes_per_second": rate})
                udp = ["-u", "-b", str(int(rate * 8 * 1.5)), "-l", "1300"]
                for name, direction in (("up", []), ("down", ["-R"])):
                    for kind, options, headers in (("tcp", [], 1420 / 1368), ("udp", udp, 1328 / 1300)):
                        self.check_rate(world, rate, headers, f"{kind} {name}", *direction, *options)

    def check_rate(self, world, rate, headers, what, *options):
        """The limit counts inner packets, a super-packet's headers once; iperf3 counts what is in them. The first second
        has the burst. A limit never lets more pass; less may come of a machine that has no time, so that is tried again."""
        for _ in range(3):
            goodput = self.iperf(world, "-t", str(SECONDS), "-O", "1", *options)
            print(f"limit {rate * 8 / 1e6:.0f} Mbit/s, {what}: {goodput * 8 / 1e6:.2f} Mbit/s "
                  f"({goodput / rate * 100 - 100:+.1f} %)", flush=True)
            self.assertLess(goodput, rate * 1.05)
            if goodput * headers > rate * 0.95:
                return
        self.fail(f"{what}: never within 5 % of {rate} bytes a second")

    def test_a_ping_beside_a_bulk_transfer_waits_less_than_150_ms_on_a_narrow_path(self):
        with World(SMARTVPN) as world:
            for namespace in (world.client, world.edge):
                run(["tc", "-n", namespace, "qdisc", "add", "dev", "veth0", "root", "tbf", "rate", "10mbit",
                     "burst", "4kb", "latency", "20ms"])
            self.connect(world)
            idle = self.ping(world, 10)
            for name, direction in (("up", []), ("down", ["-R"])):
                server = world.start(["iperf3", "-s", "-1", "-B", FAR, "-p", "5201"], world.edge, "iperf3")
                wait_until(lambda: ":5201 " in world.in_edge(["ss", "-Hltn"]), "iperf3 listens")
                bulk = world.start(["iperf3", "-c", FAR, "-p", "5201", "-t", "8", "-J", *direction], world.client, "bulk")
                busy = self.ping(world, 25)
                bulk.process.wait(60)
                server.process.wait(30)
                report = json.loads(bulk.buffer + bulk.process.stdout.read())
                rate = report["end"]["sum_received"]["bits_per_second"]
                print(f"bulk {name} at {rate / 1e6:.2f} Mbit/s: ping {busy} ms, without it {idle} ms", flush=True)
                self.assertGreater(rate, 6e6)
                self.assertLess(busy["avg"] - idle["avg"], 150)

    def ping(self, world, count):
        out = world.in_client(["ping", "-c", str(count), "-i", "0.2", "-W", "5", FAR], timeout=60)
        low, avg, high = re.search(r"= ([\d.]+)/([\d.]+)/([\d.]+)/", out).groups()
        return {"min": float(low), "avg": float(avg), "max": float(high)}


if __name__ == "__main__":
    unittest.main(verbosity=2)
