"""Real WireGuard peers against the server, as the kernel's netns.sh does it: streams over all families, sizes, preshared
keys, new keys under traffic, roaming, an expiring NAT, sticky source addresses. peers_test.py SMARTVPN; who the
peers are: wireguard_world.py."""
import re
import sys
import time
import unittest

from wireguard_world import (CLIENT, EDGE, FAR, PORT, SERVER, Case, Peer, WireguardWorld, can, endpoint, in_a_world,
                             inner, run, wait_until)

SMARTVPN = Case.smartvpn = sys.argv.pop(1)
PIECE = 16 << 20  # bytes of a stream; what iperf3 counts at its end may be a window less


class Peers(Case):
    @in_a_world
    def test_streams_both_ways_of_both_families_inside_both_families_outside(self, world):
        peer = world.join(world.server())
        world.start_iperf()
        for outer, address in EDGE.items():
            peer.forget()
            peer.trust(endpoint=endpoint(address))
            for inner, target in FAR.items():
                peer.reaches(target)
                self.assertTrue(peer.ping(target, count=10))
                self.assertTrue(peer.is_reached(inner, count=10))
                for name, options in (("TCP up", ()), ("TCP down", ("-R",)), ("4 TCP up", ("-P", "4"))):
                    end = world.iperf(target, "-C", "cubic", "-n", str(PIECE), *options)
                    self.say(f"IPv{inner} in IPv{outer}, {name}: {end['sum_received']['bytes']} bytes")
                    self.assertGreaterEqual(end["sum_received"]["bytes"], PIECE / 4)
                for direction in ((), ("-R",)):
                    end = world.iperf(target, "-u", "-b", "20M", "-l", "1200", "-n", "500K", *direction)["sum"]
                    self.assertLess(end["lost_packets"], end["packets"] * 0.5)  # of a busy machine's
            self.assertIn(address, peer.server_endpoint())
            if can("tell the time of a handshake"):
                self.assertLess(abs(time.time() - peer.handshake()), 30)

    def test_full_packets_pass_and_their_padding_never_outgrows_the_mtu(self):
        for mtu, sizes in ((1420, (0, 1, 15, 16, 1272, 1391, 1392)), (1300, (1257, 1269, 1271, 1272))):
            with WireguardWorld(SMARTVPN) as world:
                peer = world.join(world.server(mtu=mtu), mtu=mtu)
                peer.reaches()
                for size in sizes:
                    self.assertTrue(peer.ping(FAR[4], "-M", "do", "-s", str(size), count=3), f"{size} at {mtu}")
                    self.assertTrue(peer.is_reached(4, 3, ("-M", "do", "-s", str(size))), f"{size} at {mtu}, back")
                    self.assertTrue(peer.ping(FAR[6], "-s", str(max(size - 20, 0)), count=3), f"{size} at {mtu}, IPv6")
                self.assertEqual(peer.heard(FAR[4], "-M", "do", "-s", str(sizes[-1] + 1)), 0)
                self.say(f"at {mtu}: {sizes} bytes of ping passed both ways")

    def test_an_inner_packet_larger_than_the_wire_is_carried_in_fragments(self):
        if not can("carry packets larger than the wire"):
            return
        for address in EDGE.values():
            with WireguardWorld(SMARTVPN) as world:
                peer = world.join(world.server(mtu=9000), address=address, mtu=9000)
                peer.reaches()
                self.assertTrue(peer.ping(FAR[4], "-M", "do", "-s", "8972", count=3))
                self.assertTrue(peer.is_reached(4, 3, ("-M", "do", "-s", "8972")))
                world.start_iperf()
                for direction in ((), ("-R",)):
                    end = world.iperf(FAR[4], "-n", str(PIECE), *direction)
                    self.assertGreaterEqual(end["sum_received"]["bytes"], PIECE / 4)
                self.say(f"packets of 9,000 bytes passed over 1,500 to {address}")

    @in_a_world
    def test_a_preshared_key_must_be_right_on_both_sides(self, world):
        right, wrong = (world.keygen()["private_key"] for _ in range(2))
        peer = world.join(world.server(), psk=right)
        peer.reaches()
        for psk in (wrong, None):
            peer.forget()
            peer.trust(endpoint=endpoint(EDGE[4]), psk=psk)
            self.assertEqual(peer.heard(count=50), 0)
            self.assertEqual(peer.handshake(), 0)
        peer.forget()
        peer.trust(endpoint=endpoint(EDGE[4]), psk=right)
        peer.reaches()
        self.say("the right key passes; a wrong one and none do not")

    @in_a_world
    def test_new_keys_under_traffic_and_after_a_restart_of_the_peer(self, world):
        server = world.server()
        peer = world.join(server)
        peer.reaches()
        traffic = world.start(["ping", "-q", "-i", "0.01", "-c", "10000", FAR[6]], peer.namespace, "traffic")
        for _ in range(5):
            peer.forget()
            self.assertEqual(peer.handshake(), 0)
            peer.trust(endpoint=endpoint(EDGE[4]))
            wait_until(lambda: peer.handshake() > 0, "a new handshake", 20)
            self.assertTrue(peer.ping(count=5))
        traffic.process.send_signal(2)
        wait_until(lambda: traffic.process.poll() is not None, "ping has ended")
        sent, heard = map(int, re.search(rb"(\d+) packets transmitted, (\d+) received", b"".join(traffic.lines())).groups())
        self.say(f"5 new handshakes under traffic: {heard} of {sent} pings answered")
        # Between two keys nothing passes, for as long as `wg` and the peer take; with each new key traffic went on.
        self.assertGreater(heard, 5 * 5)
        peer.program.stop(sig=9)
        again = type(peer)(world, "again", peer.number)
        again.set("private-key", world.write("same.key", peer.keys["private_key"]))
        again.join(server)
        again.reaches()
        self.say("a killed peer came back with the same key")

    @in_a_world
    def test_packets_follow_a_peer_that_changes_port_address_and_family(self, world):
        peer = world.join(world.server())
        peer.reaches()
        link = ["ip", "-n", world.client, "addr"]

        def moved(what):
            peer.reaches()
            self.assertTrue(peer.is_reached(count=5), what)
            self.say(f"packets follow to {what}")

        peer.set("listen-port", "40001")
        moved("another port")
        run([*link, "flush", "dev", "veth0", "to", "198.51.100.0/24"])
        run([*link, "add", "198.51.100.66/24", "dev", "veth0"])
        moved("another address")
        peer.change(endpoint=endpoint(EDGE[6]))
        peer.reaches()
        run([*link, "flush", "dev", "veth0", "to", "198.51.100.0/24"])
        moved("IPv6")
        run([*link, "add", "198.51.100.9/24", "dev", "veth0"])
        peer.change(endpoint=endpoint(EDGE[4]))
        moved("IPv4 again")

    @in_a_world
    def test_keepalives_hold_open_a_nat_that_forgets_after_two_seconds(self, world):
        phone = world.add_namespace("phone", world.client, "192.168.77.2/24", "192.168.77.1/24")
        world.in_client(["sysctl", "-qw", "net.ipv4.ip_forward=1", "net.netfilter.nf_conntrack_udp_timeout=2",
                         "net.netfilter.nf_conntrack_udp_timeout_stream=2"])
        world.in_client(["nft", "add table ip nat; add chain ip nat out { type nat hook postrouting priority 100; }; "
                                "add rule ip nat out oifname veth0 masquerade fully-random; "
                                # Nothing reaches the phone that it has not asked for.
                                "add chain ip nat through { type filter hook forward priority 0; }; "
                                "add rule ip nat through iifname veth0 ct state new drop"])
        server = world.server()
        peer = Peer(world, namespace=phone)
        server.add(peer.id, peer.public_key, peer.number)
        server.start()
        peer.join(server, keepalive=1)
        peer.reaches()
        for _ in range(3):
            time.sleep(1.5)
            self.assertTrue(peer.is_reached(), "the entry is held open")
        self.say("with keepalives every second the NAT's entry lives")
        peer.change(**{"persistent-keepalive": 0})
        time.sleep(3.5)
        self.assertEqual(peer.heard(inner(2)[0], namespace=world.edge), 0, "so that this case proves something")
        peer.reaches()
        self.assertTrue(peer.is_reached(), "the entry is new, and so is the port")

    @in_a_world
    def test_answers_come_from_the_address_that_was_asked(self, world):
        second = {4: "198.51.100.2", 6: "2001:db8:100::2"}
        for family, address in second.items():
            world.in_edge(["ip", "addr", "add", address + ("/24" if family == 4 else "/64"), "dev", "veth0"] +
                          (["nodad"] if family == 6 else []))
        peer = world.join(world.server(), address=second[4])
        for address in second.values():
            peer.change(endpoint=endpoint(address))
            peer.reaches()
            self.assertTrue(peer.is_reached(count=5))
            if can("keep the source address it has answered from", [SERVER]):
                self.assertEqual(peer.server_endpoint(), endpoint(address))
            self.say(f"asked at {address}, answered from {peer.server_endpoint()}")
            world.in_edge(["ip", "addr", "del", address + ("/64" if ":" in address else "/24"), "dev", "veth0"])
            wait_until(lambda: peer.is_reached(), "another address takes over", 40)
            self.assertTrue(peer.ping(count=5))
            self.assertEqual(peer.server_endpoint(), endpoint(EDGE[6 if ":" in address else 4]))
            self.say(f"{address} went, {peer.server_endpoint()} took over")


if __name__ == "__main__":
    print(f"server: {SERVER or 'smartvpn'}; client: {CLIENT}; port {PORT}", flush=True)
    unittest.main(verbosity=2)
