"""What the server and its registry say about WireGuard clients holds at once, for stock peers: changes while they are
connected, restarts, other clients, the congestion bits. registry_test.py SMARTVPN"""
import json
import os
import pathlib
import re
import sys
import unittest

from wireguard_world import EDGE, FAR, PORT, Case, Peer, endpoint, in_a_world, initiator, inner, run, wait_until

Case.smartvpn = sys.argv.pop(1)


def joined(world, **config):
    server = world.server(**config)
    peer = world.join(server)
    peer.reaches()
    return server, peer


class Changes(Case):
    def stays_out(self, peer, why):
        wait_until(lambda: peer.heard() == 0, f"out once it is {why}", 10)
        self.assertTrue(peer.is_cut_off(), why)

    @in_a_world
    def test_a_client_that_is_disabled_stays_out_until_it_is_enabled(self, world):
        server, peer = joined(world)
        self.assertEqual([s["transport"] for s in server.sessions()], ["wireguard"])
        server.command("clients", "disable", "alice")
        self.stays_out(peer, "disabled")
        self.assertEqual(server.sessions(), [])
        server.command("clients", "enable", "alice")
        peer.reaches()
        self.say("out while it was disabled, in again")

    @in_a_world
    def test_a_client_that_is_removed_stays_out_and_comes_back_when_it_is_registered_again(self, world):
        server, peer = joined(world)
        server.command("clients", "remove", "alice")
        self.stays_out(peer, "removed")
        server.command("clients", "add", "alice2", "--wireguard-public-key", peer.public_key, "--address", inner(2)[0],
                       "--address", inner(2)[1])
        peer.reaches()
        self.say("out when it was removed, in when it was registered again")

    @in_a_world
    def test_a_rotated_key_is_taken_beside_the_old_one_until_the_overlap_ends(self, world):
        server, peer = joined(world)
        old, new = peer.keys, world.keygen()
        server.command("clients", "rotate", "alice", "--wireguard-public-key", new["public_key"])
        self.assertTrue(peer.ping(count=10))
        for keys in (new, old, new):
            peer.set("private-key", world.write("changed.key", keys["private_key"]))
            peer.reaches()
        server.command("clients", "rotate", "alice", "--commit")
        self.assertTrue(peer.ping(count=10))
        peer.set("private-key", world.write("changed.key", old["private_key"]))
        self.stays_out(peer, "rotated away")
        self.say("both keys while they overlapped, then the new one alone")

    @in_a_world
    def test_an_allow_list_that_is_narrowed_ends_whom_it_leaves_out(self, world):
        server, peer = joined(world)
        server.command("clients", "update", "alice", "--allow-from", "192.0.2.0/24")
        self.stays_out(peer, "not on the list")
        server.command("clients", "update", "alice", "--allow-from", "198.51.100.0/24")
        peer.reaches()
        self.say("out when the list did not have it, in again")

    @in_a_world
    def test_a_peer_cannot_roam_to_where_it_may_not_come_from(self, world):
        server = world.server()
        peer = Peer(world)
        server.add(peer.id, peer.public_key, peer.number, security={"ip_allow_list": ["198.51.100.7"]})
        server.start()
        peer.join(server)
        peer.reaches()
        link = ["ip", "-n", world.client, "addr"]
        run([*link, "flush", "dev", "veth0", "to", "198.51.100.0/24"])
        run([*link, "add", "198.51.100.66/24", "dev", "veth0"])
        self.assertEqual(peer.heard(count=50), 0)
        run([*link, "flush", "dev", "veth0", "to", "198.51.100.0/24"])
        run([*link, "add", "198.51.100.7/24", "dev", "veth0"])
        peer.reaches()
        self.say("dropped from elsewhere, taken from where it may be")

    @in_a_world
    def test_nobody_comes_through_another_clients_tunnel(self, world):
        """Its endpoint would be an inner address: what is sent there could go round for ever."""
        server = world.server()
        nested = Peer(world, "nested", 9)
        server.add(nested.id, nested.public_key, nested.number)
        alice = world.join(server)
        alice.reaches()
        nested.server_key = server.public_key
        nested.trust(endpoint=endpoint(FAR[4]), keepalive=1)
        nested.up(nested.number, 1280)
        wait_until(lambda: json.loads(server.command("stats", "--json"))["wireguard"]["blocked_source"] > 0, "it is blocked")
        self.assertEqual([s["client_id"] for s in server.sessions()], ["alice"])
        nested.set("peer", nested.server_key, "endpoint", endpoint(EDGE[4]))
        wait_until(lambda: len(server.sessions()) == 2, "and let in from outside")

    @in_a_world
    def test_nobody_comes_from_a_network_behind_a_client(self, world):
        """The kernel's routes to it lead into a tunnel, which may be the very one that is asked for."""
        server = world.server()
        site = Peer(world, "site")
        server.add(site.id, site.public_key, site.number, subnets=["192.168.7.0/24"])
        server.start()
        site.join(server)
        site.reaches()
        run(["ip", "-n", world.client, "addr", "add", "192.168.7.9/32", "dev", "lo"])
        before = json.loads(server.command("stats", "--json"))["wireguard"]["blocked_source"]
        run(["ip", "netns", "exec", world.client, sys.executable, "-c",
             "import socket, sys; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('192.168.7.9', 0)); "
             "[s.sendto(bytes([1]) + bytes(147), (sys.argv[1], int(sys.argv[2]))) for _ in range(5)]", FAR[4], str(PORT)])
        wait_until(lambda: json.loads(server.command("stats", "--json"))["wireguard"]["blocked_source"] >= before + 5,
                   "what comes from there is blocked before it is looked at")
        site.reaches()

    @in_a_world
    def test_a_source_address_that_is_another_clients_is_dropped(self, world):
        server = world.server()
        peer = Peer(world)
        server.add(peer.id, peer.public_key, peer.number)
        server.add("bob", world.keygen()["public_key"], 3)
        server.start()
        peer.join(server)
        peer.reaches()
        run(["ip", "-n", world.client, "addr", "add", "10.8.0.3/32", "dev", peer.name])
        world.in_edge(["nft", "add table ip seen; add chain ip seen in { type filter hook prerouting priority -300; }; "
                              "add rule ip seen in iifname svserver ip saddr 10.8.0.3 counter; "
                              "add rule ip seen in iifname svserver ip saddr 10.8.0.2 counter"])
        for source in ("10.8.0.3", "10.8.0.2"):
            peer.heard(FAR[4], "-I", source, count=10)
        counted = re.findall(r"packets (\d+)", world.in_edge(["nft", "list", "table", "ip", "seen"]))
        self.say(f"as another: {counted[0]} of 10 came through, as itself: {counted[1]}")
        self.assertEqual(counted[0], "0")
        self.assertGreaterEqual(int(counted[1]), 9)


class Restarts(Case):
    @in_a_world
    def test_a_restarted_server_refuses_an_initiation_that_the_one_before_has_taken(self, world):
        server = world.server(registry={"store": "sqlite", "path": world.path("clients.db")})
        key = world.keygen()
        server.add("recorded", key["public_key"], 7)
        server.start()
        capture = initiator("capture", EDGE[4], PORT, server.public_key, key["private_key"])
        told = json.loads(world.in_client(capture))
        wait_until(lambda: len(server.sessions()) == 1, "a session")
        server.stop()
        server.start()
        again = json.loads(world.in_client(initiator("replay", EDGE[4], PORT, told["initiation"])))
        self.assertEqual(again["answers"], [])
        self.assertEqual(server.sessions(), [])
        world.in_client(capture)
        self.say("an old initiation is not answered, a new one is")

    @in_a_world
    def test_a_stock_peer_comes_back_to_a_restarted_server(self, world):
        server, peer = joined(world)
        server.stop()
        server.start()
        peer.reaches()


class Others(Case):
    def two(self, world, client_to_client):
        """Two stock peers, each in its own namespace."""
        other = world.add_namespace("other", world.client, "192.168.78.2/24", "192.168.78.1/24")
        world.in_client(["sysctl", "-qw", "net.ipv4.ip_forward=1"])
        world.in_edge(["ip", "route", "add", "192.168.78.0/24", "via", "198.51.100.7"])
        server = world.server(network={"client_to_client": client_to_client})
        peers = [Peer(world, "alice", 2), Peer(world, "bob", 3, namespace=other)]
        for peer in peers:
            server.add(peer.id, peer.public_key, peer.number)
        server.start()
        for peer in peers:
            peer.join(server)
            peer.reaches()
        return peers

    @in_a_world
    def test_clients_reach_each_other_where_they_may(self, world):
        alice, bob = self.two(world, True)
        for target in inner(3):
            self.assertTrue(alice.ping(target, count=10), target)
        for target in inner(2):
            self.assertTrue(bob.ping(target, count=10), target)

    @in_a_world
    def test_clients_do_not_reach_each_other_where_they_may_not(self, world):
        alice, bob = self.two(world, False)
        for peer, target in ((alice, inner(3)[0]), (bob, inner(2)[1])):
            self.assertEqual(peer.heard(target, count=10), 0, target)
            self.assertTrue(peer.ping(count=3))

    @in_a_world
    def test_a_wireguard_and_a_websocket_client_ping_each_other(self, world):
        server = world.server(network={"client_to_client": True})
        server.config["listen"].append({"transport": "websocket", "address": "::", "port": 8443})
        native = world.keygen()
        server.config["clients"].append({"id": "carol", "noise_public_key": native["public_key"],
                                         "addresses": inner(4)})
        other = world.add_namespace("other", world.edge, "192.168.78.2/24", "192.168.78.1/24")
        peer = world.join(server)
        tunnel = world.connect({"server": "ws://192.168.78.1:8443/tunnel", "keys": {
            "noise_private_key": native["private_key"], "server_public_key": server.noise["public_key"]}}, namespace=other)
        tunnel.wait_event("session_up")
        peer.reaches()
        for target in inner(4):
            self.assertTrue(peer.ping(target, count=10), target)
        for target in inner(2):
            self.assertTrue(peer.ping(target, count=10, namespace=other), target)
        transports = sorted(session["transport"] for session in server.sessions())
        self.assertEqual(transports, ["websocket", "wireguard"])
        self.say("pings both ways, IPv4 and IPv6, across two transports")


class Congestion(Case):
    def heard(self, world, namespace, device, expression, act):
        """The first packet of this kind that tcpdump sees while `act` runs."""
        capture = world.start(["timeout", "20", "tcpdump", "-lnv", "-c", "1", "-i", device, expression], namespace,
                              "tcpdump")
        wait_until(lambda: b"listening on" in pathlib.Path(world.path("tcpdump.log")).read_bytes(), "tcpdump listens")
        act()
        wait_until(lambda: capture.process.poll() is not None, f"{expression} on {device}")
        return b"\n".join(capture.lines()).decode()

    @in_a_world
    def test_congestion_bits_go_out_with_the_packet_and_marks_come_in(self, world):
        _, peer = joined(world)
        # The server's answer inherits the request's bits, and its datagram the answer's.
        seen = self.heard(world, world.client, "veth0", f"udp src port {PORT} and ip[1] & 3 = 2",
                          lambda: peer.ping(FAR[4], "-Q", "2", count=5))
        self.assertIn("tos 0x2,ECT(0)", seen)
        world.in_edge(["nft", "add table ip marks; add chain ip marks in { type filter hook prerouting priority -300; }; "
                              f"add rule ip marks in udp dport {PORT} ip ecn set ce"])
        os.remove(world.path("tcpdump.log"))
        seen = self.heard(world, world.edge, "svserver", "icmp[icmptype] = icmp-echo",
                          lambda: peer.ping(FAR[4], "-Q", "2", count=5))
        self.assertIn("tos 0x3,CE", seen)
        self.assertEqual(peer.heard(FAR[4], count=5), 0, "what cannot bear a mark is lost, as RFC 6040 has it")
        world.in_edge(["nft", "delete", "table", "ip", "marks"])
        self.assertTrue(peer.ping(FAR[4], count=5))


if __name__ == "__main__":
    unittest.main(verbosity=2)
