"""The stock `wg` shows and changes the peers of a server that has a UAPI socket. tool_test.py SMARTVPN"""
import json
import os
import re
import stat
import subprocess
import sys
import unittest

from wireguard_world import INSIDE, PORT, Case, Peer, endpoint, in_a_world, run, wait_until

Case.smartvpn = sys.argv.pop(1)
NAME = "svuapi"
SOCKET = f"/var/run/wireguard/{NAME}.sock"


def column(what):
    return dict(line.split("\t") for line in run(["wg", "show", NAME, what]).splitlines())


def allowed(key):
    return set(column("allowed-ips")[key].split())


def refused(*words):
    """What `wg` says of it."""
    done = subprocess.run(["wg", *words], capture_output=True, text=True, timeout=60)
    assert done.returncode != 0, words
    return done.stderr.strip()


class Tool(Case):
    def server(self, world, **options):
        return world.server(wireguard={"uapi_socket": NAME}, **options)

    @in_a_world
    def test_the_stock_wg_shows_and_changes_peers(self, world):
        server = self.server(world)
        peer = world.join(server)
        peer.reaches()
        other = Peer(world, "bob", 9)

        self.assertEqual(stat.S_IMODE(os.stat(SOCKET).st_mode), 0o600)
        self.assertIn(NAME, run(["wg", "show", "interfaces"]).split())
        self.assertEqual(run(["wg", "show", NAME, "listen-port"]).strip(), str(PORT))
        self.assertEqual(run(["wg", "show", NAME, "private-key"]).strip(), "(none)", "it stays with the server")
        self.assertTrue(column("endpoints")[peer.public_key].startswith("198.51.100.7:"))
        self.assertEqual(allowed(peer.public_key), {"10.8.0.2/32", "fd00:8::2/128"})
        self.assertGreater(int(column("latest-handshakes")[peer.public_key]), 0)
        first, *peers = [line.split("\t") for line in run(["wg", "show", NAME, "dump"]).splitlines()]
        self.assertEqual(first, ["(none)", "(none)", str(PORT), "off"])
        self.assertEqual([len(line) for line in peers], [8])
        self.assertGreater(int(peers[0][5]), 0, "bytes received")
        self.assertGreater(int(peers[0][6]), 0, "bytes sent")

        run(["wg", "set", NAME, "peer", other.public_key, "allowed-ips", "10.8.0.9/32,fd00:8::9/128"])
        peer.stop()
        other.join(server)
        other.reaches()
        self.say(run(["wg", "show", NAME]).replace("\n", "; "))
        run(["wg", "set", NAME, "peer", other.public_key, "remove"])
        wait_until(lambda: other.heard() == 0, "removed", 10)
        self.assertNotIn(other.public_key, column("endpoints"))
        server.stop()
        self.assertFalse(os.path.exists(SOCKET))

    @in_a_world
    def test_a_preshared_key_and_a_keepalive_set_by_wg_are_used(self, world):
        server = self.server(world)
        peer = world.join(server)
        peer.reaches()
        psk = run(["wg", "genpsk"]).strip()
        run(["wg", "set", NAME, "peer", peer.public_key, "persistent-keepalive", "7", "preshared-key",
             world.write("tool.psk", psk)])
        self.assertEqual(column("preshared-keys")[peer.public_key], psk)
        self.assertEqual(column("persistent-keepalive")[peer.public_key], "7")
        self.assertEqual(allowed(peer.public_key), {"10.8.0.2/32", "fd00:8::2/128"}, "nothing was said of them")
        peer.forget()
        peer.trust(endpoint=endpoint("198.51.100.1"))
        self.assertEqual(peer.heard(count=5), 0, "without the key")
        peer.forget()
        peer.trust(psk=psk, endpoint=endpoint("198.51.100.1"))
        peer.reaches()

    @in_a_world
    def test_an_endpoint_set_by_wg_is_where_the_server_calls(self, world):
        server = self.server(world)
        peer = Peer(world)
        server.add(peer.id, peer.public_key, peer.number)
        server.start()
        peer.set("listen-port", 4321)
        peer.server_key = server.public_key
        peer.trust()
        peer.up(peer.number, 1420)
        run(["ip", "-n", peer.namespace, "route", "replace", INSIDE[0], "dev", peer.name])
        self.assertEqual(column("endpoints")[peer.public_key], "(none)")
        run(["wg", "set", NAME, "peer", peer.public_key, "endpoint", "198.51.100.7:4321"])
        self.assertEqual(column("endpoints")[peer.public_key], "198.51.100.7:4321")
        wait_until(lambda: peer.is_reached(), "the server reaches the peer, which knows no endpoint", 20)

    @in_a_world
    def test_what_showconf_prints_is_what_setconf_and_syncconf_take(self, world):
        server = self.server(world)
        peer = world.join(server, psk=run(["wg", "genpsk"]).strip())
        peer.reaches()
        run(["wg", "set", NAME, "peer", world.keygen()["public_key"], "allowed-ips", "10.8.0.8/32,192.168.50.0/24"])
        conf = run(["wg", "showconf", NAME])
        self.assertNotIn("PrivateKey", conf)
        before = self.registry(server)
        self.assertEqual(before[-1]["subnets"], ["192.168.50.0/24"])
        for command in ("setconf", "syncconf", "addconf"):
            run(["wg", command, NAME, world.write("tool.conf", conf)])
            self.assertEqual(self.registry(server), before, command)
        self.assertTrue(peer.ping(), "its session has not ended")
        # The other one alone is left.
        sections = conf.split("[Peer]")
        kept = [s for s in sections[1:] if peer.public_key not in s]
        run(["wg", "syncconf", NAME, world.write("tool.conf", sections[0] + "[Peer]" + kept[0])])
        self.assertEqual([c["id"] for c in self.registry(server)], [c["id"] for c in before if c["id"] != "alice"])

    def registry(self, server):
        ids = [c["id"] for c in json.loads(server.command("clients", "list", "--json"))]
        return [{k: v for k, v in json.loads(server.command("clients", "show", i, "--json")).items()
                 if k in ("id", "addresses", "subnets", "wireguard_public_key", "wireguard_preshared_key", "revision")}
                for i in sorted(ids)]

    @in_a_world
    def test_wg_is_told_why_something_cannot_be(self, world):
        server = self.server(world)
        server.add("alice", Peer(world).public_key, 2)
        server.start()
        key = world.keygen()["public_key"]
        peer = ("set", NAME, "peer", key, "allowed-ips")
        for words, said in ((("set", NAME, "listen-port", "1"), "Operation not permitted"),
                            (("set", NAME, "fwmark", "0x1"), "Operation not supported"),
                            (("set", NAME, "private-key", world.write("x.key", run(["wg", "genkey"]))),
                             "Operation not permitted"),
                            ((*peer, "10.8.0.2/32"), "Address already in use"),
                            ((*peer, "0.0.0.0/0"), "Invalid argument"),
                            ((*peer, "10.8.0.0/25"), "Invalid argument"),
                            (("set", NAME, "peer", key, "endpoint", "10.8.0.2:1"), "Invalid argument"),
                            ((*peer, "10.8.0.7/32,10.8.0.8/32"), "Invalid argument")):
            self.assertIn(said, refused(*words), words)
        self.assertEqual(len(run(["wg", "show", NAME, "peers"]).split()), 1)
        own = re.sub(r"\s", "", server.config["keys"]["wireguard_private_key"])
        run(["wg", "set", NAME, "listen-port", str(PORT), "private-key", world.write("own.key", own)])

    @in_a_world
    def test_forty_peers_of_fifty_two_allowed_ips_in_one_request(self, world):
        server = self.server(world)
        server.start()
        conf = ""
        keys = []
        for a in range(1, 41):
            keys.append(world.keygen()["public_key"])
            conf += f"[Peer]\nPublicKey = {keys[-1]}\nAllowedIPs = " + \
                ", ".join(f"172.16.{a}.{b}/32" for b in range(1, 53)) + "\n"
        run(["wg", "setconf", NAME, world.write("large.conf", conf)])
        self.assertEqual(set(run(["wg", "show", NAME, "peers"]).split()), set(keys))
        told = column("allowed-ips")
        for a, key in enumerate(keys, 1):
            self.assertEqual({ip for ip in told[key].split() if ip.startswith("172.")},
                             {f"172.16.{a}.{b}/32" for b in range(1, 53)})


if __name__ == "__main__":
    unittest.main(verbosity=2)
