"""The device at both ends: transfers both ways and in both families with real TCP, large packets, and nothing
left behind after the end."""
import json
import signal
import sys
import unittest

from netns import World, client_config, run, server_config, wait_until

SMARTVPN = sys.argv.pop(1)
LISTEN = [{"transport": "websocket", "address": "::", "port": 8443}]


class Device(unittest.TestCase):
    def iperf(self, world, address, *options):
        server = world.start(["iperf3", "-s", "-1", "-B", address, "-p", "5201"], world.edge, "iperf3")
        wait_until(lambda: ":5201 " in world.in_edge(["ss", "-Hltn"]), "iperf3 listens")
        report = json.loads(world.in_client(["iperf3", "-c", address, "-p", "5201", "-n", "24M", "-J", *options], timeout=90))
        server.process.wait(30)
        self.assertGreaterEqual(report["end"]["sum_received"]["bytes"], 20_000_000)
        return report["end"]["sum_received"]["bits_per_second"]

    def connect(self, world, url="ws://198.51.100.1:8443/tunnel", network=None):
        config, *keys = server_config(world, LISTEN, tun={"name": "svserver"})
        config["network"]["host_services"] = ["dns", "icmp_echo"]
        config["network"].update(network or {})
        server = world.serve(config)
        tunnel = world.connect(client_config(url, *keys))
        tunnel.wait_event("session_up")
        return server, tunnel

    def test_ping_and_transfers_both_ways_in_both_families(self):
        with World(SMARTVPN) as world:
            # The transfer's other end stands behind the server, as a host that the engine forwards to.
            server, tunnel = self.connect(world, network={"routes": ["10.8.0.0/24", "fd00:8::/64", "192.0.2.0/24", "2001:db8:2::/64"]})
            world.in_edge(["sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"])
            for address in ("192.0.2.1/24", "2001:db8:2::1/64"):
                run(["ip", "-n", world.edge, "addr", "add", address, "dev", "lo"])
            world.in_client(["ping", "-c", "3", "-i", "0.2", "-W", "5", "10.8.0.1"])
            world.in_client(["ping", "-6", "-c", "3", "-i", "0.2", "-W", "5", "fd00:8::1"])
            world.in_client(["ping", "-c", "2", "-i", "0.2", "-W", "5", "-s", "1392", "-M", "do", "192.0.2.1"])
            world.in_client(["ping", "-6", "-c", "2", "-i", "0.2", "-W", "5", "-s", "1372", "2001:db8:2::1"])
            for address in ("192.0.2.1", "2001:db8:2::1"):
                for direction in ([], ["-R"]):
                    rate = self.iperf(world, address, *direction)
                    print(f"{address} {'down' if direction else 'up'}: {rate / 1e9:.2f} Gbit/s")
            self.assertEqual(server.stop(signal.SIGTERM), 0)

    def connect_to_second_thread(self, world):
        config, *keys = server_config(world, LISTEN, tun={"name": "svserver"}, limits={"threads": 2})
        config["network"]["routes"] = ["10.8.0.0/24", "192.0.2.0/24"]
        server = world.serve(config)
        world.in_edge(["sysctl", "-qw", "net.ipv4.ip_forward=1"])
        run(["ip", "-n", world.edge, "addr", "add", "192.0.2.1/24", "dev", "lo"])

        def sessions(kind):
            server.pump()
            return [event["session_id"] for event in server.events if event["type"] == kind]

        for number in range(1, 100):
            tunnel = world.connect(client_config("ws://198.51.100.1:8443/tunnel", *keys))
            wait_until(lambda: len(sessions("session_up")) == number, "the client is in")
            if sessions("session_up")[-1] % 2 == 1:
                tunnel.wait_event("session_up")
                return server, tunnel  # the kernel has chosen the second thread
            tunnel.stop(signal.SIGINT)
            wait_until(lambda: len(sessions("session_down")) == number, "the client has gone")
        self.fail("all connections went to the first thread")

    def transfer_both_ways(self, world, what):
        world.in_client(["ping", "-c", "2", "-i", "0.2", "-W", "5", "-s", "1392", "-M", "do", "192.0.2.1"])
        for direction in ([], ["-R"]):
            rate = self.iperf(world, "192.0.2.1", *direction)
            print(f"{what}, {'down' if direction else 'up'}: {rate / 1e9:.2f} Gbit/s")

    def sent_by_queue(self, world):
        """Packets that the kernel has sent into each queue of the server's device."""
        shown = json.loads(world.in_edge(["tc", "-s", "-j", "qdisc", "show", "dev", "svserver"]))
        return [queue["packets"] for queue in shown if "parent" in queue]

    def test_each_thread_has_a_queue_of_the_device_and_gets_its_clients_packets_there(self):
        with World(SMARTVPN) as world:
            server, tunnel = self.connect_to_second_thread(world)
            self.transfer_both_ways(world, "two threads")
            for made_anew in (False, True):
                if made_anew:
                    run(["ip", "-n", world.edge, "link", "delete", "svserver"])
                    wait_until(lambda: "forwarding works again" in str(server.events) or server.pump(), "the device is back")
                address = tunnel.wait_event("session_up")["addresses"][0]
                run(["ip", "netns", "exec", world.edge, "ping", "-c", "1", "-W", "5", address])
                wait_until(lambda: len(self.sent_by_queue(world)) == 2, "there are two queues")
                before = self.sent_by_queue(world)
                # From many ports and without an answer: by flows alone they would be spread over both queues.
                world.in_edge([sys.executable, "-c", "import socket, sys\nfor _ in range(32):\n"
                               " socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x' * 64, (sys.argv[1], 9))", address])
                after = self.sent_by_queue(world)
                moved = sorted(now - then for now, then in zip(after, before))
                self.assertGreaterEqual(moved[1], 32)
                self.assertLess(moved[0], 4, "the first thread has to hand over nothing")
            self.transfer_both_ways(world, "two threads, device made anew")
            self.assertEqual(server.stop(signal.SIGTERM), 0)
            self.assertNotIn("svserver", world.in_edge(["ip", "-br", "link"]))

    def test_transfers_through_a_thread_that_has_not_the_device(self):
        with World(SMARTVPN) as world:
            # Made beforehand with one queue.
            world.in_edge(["ip", "tuntap", "add", "mode", "tun", "name", "svserver"])
            server, _ = self.connect_to_second_thread(world)
            self.assertLess(len(self.sent_by_queue(world)), 2)
            self.transfer_both_ways(world, "two threads, one queue")
            self.assertEqual(server.stop(signal.SIGTERM), 0)

    def test_gateway_services_are_open_and_the_rest_of_the_host_is_closed(self):
        with World(SMARTVPN) as world:
            server, tunnel = self.connect(world)
            world.in_client(["ping", "-c", "1", "-W", "5", "10.8.0.1"])
            listener = world.start(["iperf3", "-s", "-1", "-B", "10.8.0.1", "-p", "5202"], world.edge, "iperf3-closed")
            wait_until(lambda: ":5202 " in world.in_edge(["ss", "-Hltn"]), "iperf3 listens")
            with self.assertRaises(AssertionError):
                world.in_client(["curl", "-s", "-m", "2", "http://10.8.0.1:5202/"])
            listener.stop()

    def test_nothing_is_left_after_the_end(self):
        with World(SMARTVPN) as world:
            server, tunnel = self.connect(world)
            self.assertIn("svserver", world.in_edge(["ip", "-br", "link"]))
            self.assertIn("svtun", world.in_client(["ip", "-br", "link"]))
            self.assertIn("10.8.0.0/24", world.in_client(["ip", "route"]))
            self.assertEqual(tunnel.stop(signal.SIGINT), 0)
            self.assertEqual(server.wait_event("session_down")["reason"], "peer_closed")
            self.assertEqual(server.stop(signal.SIGINT), 0)
            self.assertNotIn("svserver", world.in_edge(["ip", "-br", "link"]))
            self.assertNotIn("svtun", world.in_client(["ip", "-br", "link"]))
            self.assertNotIn("10.8.0.0/24", world.in_client(["ip", "route"]))

    def test_the_tunnel_comes_back_with_its_address_when_the_server_does(self):
        with World(SMARTVPN) as world:
            config, *keys = server_config(world, LISTEN)
            server = world.serve(config)
            tunnel = world.connect(client_config("ws://198.51.100.1:8443/tunnel", *keys, reconnect={"initial_ms": 50, "max_ms": 500}))
            first = tunnel.wait_event("session_up")
            server.stop()
            tunnel.wait_event("session_down")
            tunnel.events.clear()
            world.serve(config)
            again = tunnel.wait_event("session_up")
            self.assertEqual(first["addresses"], again["addresses"])
            world.in_client(["ping", "-c", "1", "-W", "5", "10.8.0.1"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
