"""A WireGuard server among many: a flood of initiations, a thousand peers, messages that were recorded.
crowd_test.py SMARTVPN; who the peers are: wireguard_world.py."""
import ipaddress
import json
import sys
import time
import unittest

from wireguard_world import CLIENT, EDGE, PORT, SERVER, Case, Peer, in_a_world, initiator, run, wait_until

Case.smartvpn = sys.argv.pop(1)
PEERS, SEED = 1000, "crowd"
FLOOD_S = 9
ALL_AT_ONCE = {"max_connections_per_ip": 100000, "new_connections_per_ip_per_minute": 100000}


def answer_of(program):
    wait_until(lambda: program.process.poll() is not None, "the initiator has ended", 60)
    return json.loads(b"\n".join(program.lines()))


class Crowd(Case):
    @in_a_world
    def test_under_a_flood_a_stock_client_comes_in_by_its_cookie(self, world):
        server = world.server()
        peer = Peer(world)
        server.add(peer.id, peer.public_key, peer.number)
        server.start()
        attack = initiator("flood", EDGE[4], PORT, server.public_key, FLOOD_S, "198.51.100.66")
        flood = world.start(attack, world.client, "flood")
        time.sleep(1)  # so that the first initiation comes under load
        peer.join(server)
        peer.reaches()
        self.say(f"the client was in {'while the flood went on' if flood.process.poll() is None else 'too late'}")
        self.assertIsNone(flood.process.poll())
        self.assertTrue(peer.ping(count=20))
        told = answer_of(flood)
        self.say(f"the flood: {told}")
        self.assertGreater(told["cookies"], 100)
        self.assertEqual(told["cookies"], told["replies"])
        self.assertTrue(peer.ping(count=20))

    @in_a_world
    def test_a_thousand_peers_shake_hands_and_a_stock_one_works_among_them(self, world):
        server = world.server() if SERVER else world.server(security=ALL_AT_ONCE, network={
            "subnets": ["10.8.0.0/16", "fd00:8::/64"]})
        peer = Peer(world)
        server.add(peer.id, peer.public_key, peer.number)
        keys = run(initiator("keys", SEED, PEERS - 1)).split()
        if SERVER:
            # Addresses of their own: what many had in common would be the last one's.
            world.write("crowd.conf", "".join(f"[Peer]\nPublicKey = {key}\nAllowedIPs = 10.9.{i // 256}.{i % 256}/32\n"
                                              for i, key in enumerate(keys)))
            run(["wg", "addconf", server.device.name, world.path("crowd.conf")])
        else:
            for i, key in enumerate(keys):
                server.add(f"client-{i}", key)
        server.start()
        peer.join(server)
        peer.reaches()
        swarm = initiator("swarm", EDGE[4], PORT, server.public_key, SEED, PEERS - 1)
        told = json.loads(world.in_client(swarm, timeout=120))
        self.say(f"the crowd: {told}")
        self.assertEqual(self.live(server), PEERS)
        self.assertTrue(peer.ping(count=20))
        self.assertTrue(peer.is_reached(count=20))
        self.say(f"{PEERS} live, and the stock one among them works")

    def live(self, server):
        if SERVER:
            lines = run(["wg", "show", server.device.name, "latest-handshakes"]).splitlines()
            return sum(line.split("\t")[1] != "0" for line in lines)
        # The keepalives that confirm the last few may still be on their way.
        wait_until(lambda: len(server.sessions()) == PEERS, f"{PEERS} sessions")
        return PEERS

    @in_a_world
    def test_a_recorded_initiation_is_answered_once(self, world):
        server = world.server()
        key = world.keygen()
        server.add("recorded", key["public_key"], 7)
        server.start()
        capture = initiator("capture", EDGE[4], PORT, server.public_key, key["private_key"])
        told = json.loads(world.in_client(capture))
        again = json.loads(world.in_client(initiator("replay", EDGE[4], PORT, told["initiation"])))
        self.say(f"sent again: {again}")
        self.assertEqual(again["answers"], [])
        world.in_client(capture)

    @in_a_world
    def test_a_peer_of_many_networks_is_configured_in_one_go(self, world):
        # As many as the configuration allows (docs/CONFIGURATION.md), or for a stock server as netns.sh has them.
        server = world.server()
        peer = Peer(world)
        if SERVER:
            networks = [f"{a}.{b}.0.{c}/32" for a in range(1, 31) for b in range(256) for c in (1, 2)]
            allowed = ", ".join(["10.8.0.2/32", "fd00:8::2/128", *networks])
            world.write("networks.conf", f"[Peer]\nPublicKey = {peer.public_key}\nAllowedIPs = {allowed}\n")
            run(["wg", "addconf", server.device.name, world.path("networks.conf")])
        else:
            networks = [f"172.16.{i}.0/24" for i in range(256)]
            server.add(peer.id, peer.public_key, peer.number, subnets=networks)
        server.start()
        peer.join(server)
        peer.reaches()
        for network in networks[0], networks[-1]:
            network = ipaddress.ip_network(network)
            address = str(network[network.num_addresses // 2])
            self.say(f"{len(networks)} networks, {address} among them")
            world.in_edge(["ip", "route", "replace", str(network), "dev", server.device.name if SERVER else "svserver"])
            world.in_client(["ip", "addr", "add", f"{address}/32", "dev", "lo"])
            self.assertTrue(peer.ping(address, count=3, namespace=world.edge))


if __name__ == "__main__":
    print(f"server: {SERVER or 'smartvpn'}; client: {CLIENT}", flush=True)
    unittest.main(verbosity=2)
