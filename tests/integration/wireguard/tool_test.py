"""The stock `wg` shows and changes the peers of a server that has a UAPI socket. tool_test.py SMARTVPN"""
import sys
import unittest

from wireguard_world import PORT, Case, Peer, in_a_world, run, wait_until

Case.smartvpn = sys.argv.pop(1)


class Tool(Case):
    @in_a_world
    def test_the_stock_wg_shows_and_changes_peers(self, world):
        server = world.server(wireguard={"uapi_socket": "svuapi"})
        peer = world.join(server)
        peer.reaches()
        other = Peer(world, "bob", 9)

        def column(what):
            return dict(line.split("\t") for line in run(["wg", "show", "svuapi", what]).splitlines())

        self.assertEqual(run(["wg", "show", "svuapi", "public-key"]).strip(), server.public_key)
        self.assertEqual(run(["wg", "show", "svuapi", "listen-port"]).strip(), str(PORT))
        self.assertTrue(column("endpoints")[peer.public_key].startswith("198.51.100.7:"))
        self.assertEqual(set(column("allowed-ips")[peer.public_key].split()), {"10.8.0.2/32", "fd00:8::2/128"})
        self.assertGreater(int(column("latest-handshakes")[peer.public_key]), 0)
        run(["wg", "set", "svuapi", "peer", other.public_key, "allowed-ips", "10.8.0.9/32,fd00:8::9/128"])
        peer.stop()
        other.join(server)
        other.reaches()
        self.say(run(["wg", "show", "svuapi"]).replace("\n", "; "))
        run(["wg", "set", "svuapi", "peer", other.public_key, "remove"])
        wait_until(lambda: other.heard() == 0, "removed", 10)
        self.assertNotIn(other.public_key, column("endpoints"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
