"""Internet access through the server: clients come out with its address, nothing of our ruleset outlives it, however
it ends, and nobody else's is touched."""
import json
import signal
import sys
import unittest

from netns import World, client_config, run, server_config, wait_until

SMARTVPN = sys.argv.pop(1)
LISTEN = [{"transport": "websocket", "address": "::", "port": 8443}]
URL = "ws://198.51.100.1:8443/tunnel"
HOSTS = (("203.0.113.9", "203.0.113.1"), ("2001:db8:203::9", "2001:db8:203::1"))
TELL_PEER = """
import socket, sys
s = socket.socket(socket.AF_INET6); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("::", 8080)); s.listen(8); print('{"type": "ready"}', flush=True)
while True:
    c, peer = s.accept(); c.sendall(peer[0].removeprefix("::ffff:").encode()); c.close()
"""
ASK = "import socket, sys; print(socket.create_connection((sys.argv[1], 8080), float(sys.argv[2])).recv(100).decode())"
HEAR = """
import json, socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("0.0.0.0", 9000)); print('{"type": "ready"}', flush=True)
while True: print(json.dumps({"type": "heard", "peer": s.recvfrom(100)[1][0]}), flush=True)
"""
SHOUT = "import socket, sys\nfor i in range(3): socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'!', (sys.argv[1], 9000))"
# What the host itself has; it must come out untouched.
HOSTS_OWN = "table inet mine {\n\tchain c {\n\t\ttype filter hook forward priority filter; policy accept;\n\t}\n}\n"


class Internet(unittest.TestCase):
    def config(self, world, **tun):
        config, *keys = server_config(world, LISTEN, tun={"name": "svserver", "masquerade": True, **tun})
        config["network"]["routes"] = ["0.0.0.0/0", "::/0"]
        return config, keys

    def up(self, world, config, keys):
        server = world.serve(config)
        tunnel = world.connect(client_config(URL, *keys))
        tunnel.wait_event("session_up")
        return server, tunnel

    def ruleset(self, world):
        return world.in_edge(["nft", "list", "ruleset"])

    def tell_peer(self, world, namespace):
        program = world.start(["/usr/bin/python3", "-c", TELL_PEER], namespace, "tell_peer")
        program.wait_event("ready")
        return program

    def seen_as(self, run_in, address, patience=10):
        return run_in(["/usr/bin/python3", "-c", ASK, address, str(patience)]).strip()

    def test_clients_reach_the_internet_by_the_servers_address_in_both_families(self):
        with World(SMARTVPN) as world:
            world.add_internet()
            config, keys = self.config(world)
            self.up(world, config, keys)
            self.tell_peer(world, world.internet)
            for host, server_address in HOSTS:
                world.in_client(["ping", "-c", "3", "-i", "0.2", "-W", "5", host])
                self.assertEqual(self.seen_as(world.in_client, host), server_address)
                server = world.start(["iperf3", "-s", "-1", "-B", host, "-p", "5201"], world.internet, "iperf3")
                wait_until(lambda: ":5201 " in world.in_internet(["ss", "-Hltn"]), "iperf3 listens")
                report = json.loads(world.in_client(["iperf3", "-c", host, "-p", "5201", "-n", "24M", "-J"], timeout=90))
                self.assertGreaterEqual(report["end"]["sum_received"]["bytes"], 20_000_000)
                print(f"{host}: {report['end']['sum_received']['bits_per_second'] / 1e9:.2f} Gbit/s")
                server.process.wait(30)

    def test_the_ruleset_is_as_before_after_a_stop_and_after_a_kill(self):
        with World(SMARTVPN) as world:
            world.add_internet()
            world.in_edge(["nft", "-f", world.write("own.nft", HOSTS_OWN)])
            before = self.ruleset(world)
            self.assertEqual(before, HOSTS_OWN)
            config, keys = self.config(world)
            for end in (signal.SIGTERM, signal.SIGKILL, signal.SIGTERM):
                server, tunnel = self.up(world, config, keys)
                self.assertIn("table inet smartvpn_svserver", self.ruleset(world))
                world.in_client(["ping", "-c", "1", "-W", "5", "203.0.113.9"])
                tunnel.stop()
                server.stop(end)
                self.assertEqual(self.ruleset(world), before)

    def test_a_firewall_that_is_loaded_anew_leaves_the_table_alone(self):
        with World(SMARTVPN) as world:
            world.add_internet()
            config, keys = self.config(world)
            self.up(world, config, keys)
            world.in_edge(["nft", "flush", "ruleset"])
            world.in_edge(["nft", "add", "table", "inet", "mine"])
            self.assertIn("table inet smartvpn_svserver", self.ruleset(world))
            world.in_client(["ping", "-c", "1", "-W", "5", "203.0.113.9"])

    def test_what_a_dead_server_on_an_older_kernel_has_left_is_replaced(self):
        with World(SMARTVPN) as world:
            world.add_internet()
            world.in_edge(["nft", "add table inet smartvpn_svserver; add chain inet smartvpn_svserver old"])
            config, keys = self.config(world)
            server, tunnel = self.up(world, config, keys)
            self.assertNotIn("chain old", self.ruleset(world))
            self.assertEqual(self.ruleset(world).count("masquerade"), 2)
            world.in_client(["ping", "-c", "1", "-W", "5", "203.0.113.9"])
            server.stop()
            self.assertEqual(self.ruleset(world), "")

    def test_only_the_chosen_interface_masquerades(self):
        with World(SMARTVPN) as world:
            world.add_internet()
            config, keys = self.config(world, masquerade_interface="elsewhere0")
            self.up(world, config, keys)
            self.assertIn('oifname "elsewhere0"', self.ruleset(world))
            with self.assertRaises(AssertionError):  # comes with its inner address, to which there is no way back
                world.in_client(["ping", "-c", "1", "-W", "1", "203.0.113.9"])
            run(["ip", "-n", world.internet, "route", "add", "10.8.0.0/24", "via", "203.0.113.1"])
            self.tell_peer(world, world.internet)
            self.assertEqual(self.seen_as(world.in_client, "203.0.113.9"), "10.8.0.2")

    def test_a_hairpin_between_clients_is_not_hidden_by_the_servers_address(self):
        for open_door in (False, True):
            with self.subTest(client_to_client=open_door), World(SMARTVPN) as world:
                world.add_internet()
                config, keys = self.config(world)
                bob = world.keygen()
                config["clients"][0]["addresses"] = ["10.8.0.2"]
                config["clients"].append({"id": "bob", "noise_public_key": bob["public_key"], "addresses": ["10.8.0.3"]})
                config["network"]["client_to_client"] = open_door
                self.up(world, config, keys)
                other = world.connect(client_config("ws://203.0.113.1:8443/tunnel", keys[0], bob), name="bob",
                                      options=["--routes", "none"], namespace=world.internet)
                other.wait_event("session_up")
                run(["ip", "-n", world.internet, "route", "add", "10.8.0.0/24", "dev", "svtun"])
                # A forwarded port, as operators have: 192.0.2.80 is the other client.
                world.in_edge(["nft", "add table ip doors; add chain ip doors c { type nat hook prerouting priority dstnat; };"
                               " add rule ip doors c ip daddr 192.0.2.80 dnat to 10.8.0.3"])
                heard = world.start(["/usr/bin/python3", "-c", HEAR], world.internet, "hear")
                heard.wait_event("ready")
                world.in_client(["/usr/bin/python3", "-c", SHOUT, "192.0.2.80"])
                if open_door:
                    self.assertEqual(heard.wait_event("heard")["peer"], "10.8.0.2")
                    continue
                # What comes after them by another way shows that they are not only late.
                world.in_edge(["/usr/bin/python3", "-c", SHOUT, "203.0.113.9"])
                self.assertEqual(heard.wait_event("heard")["peer"], "203.0.113.1")

    def test_a_kernel_that_forwards_nothing_is_warned_of_before_and_at_start(self):
        with World(SMARTVPN) as world:
            world.add_internet(forward=False)
            world.in_edge(["sysctl", "-qw", "net.ipv4.ip_forward=0", "net.ipv6.conf.all.forwarding=1"])
            config, keys = self.config(world)
            path = world.write("server.json", config)
            said = world.in_edge(["sh", "-c", f"{SMARTVPN} check --config {path} 2>&1"])
            self.assertIn("warning: net.ipv4.ip_forward is 0", said)
            self.assertNotIn("ipv6", said)
            self.assertIn("ok: a server", said)
            server = world.serve(config)
            logged = server.wait_event("log", level="warning")
            self.assertIn("net.ipv4.ip_forward", logged["message"])
            server.stop()
            self.assertEqual([e for e in server.events if "ipv6" in e.get("message", "")], [])
            world.in_edge(["sysctl", "-qw", "net.ipv4.ip_forward=1"])
            self.assertNotIn("warning", world.in_edge(["sh", "-c", f"{SMARTVPN} check --config {path} 2>&1"]))


if __name__ == "__main__":
    unittest.main(verbosity=2)
