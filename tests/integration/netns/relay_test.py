"""Flows of VPN clients, through their tunnels' devices, to a relay in the server's process: each target behind it is told
which client it is, in both families, and nobody else can say so."""
import os
import socket
import struct
import sys
import unittest

COMMAND, PYTHON, PACKAGE = sys.argv[1:4]
sys.argv[1:] = sys.argv[4:]
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "wireguard"))
from netns import World, client_config, run, server_config, wait_until  # noqa: E402
from wireguard_world import PORT, Peer  # noqa: E402

INNER = {"alice": ("10.8.0.2", "fd00:8::2"), "bob": ("10.8.0.3", "fd00:8::3")}
# Where the relay is reached: an address of the server's host that `network.routes` leads to.
BEHIND = ("192.0.2.1", "2001:db8:fa::1")
OUTSIDE = ("198.51.100.1", "2001:db8:100::1")
TARGET, ASSERTING, OTHER = 9000, 7100, 7101
DIRECT, BY_ASSERTING, BY_OTHER = 7000, 7001, 7002
IDENTITY = "0xe7"
# Says some bytes and prints all that is answered; "reset" if that is how it ends.
CLIENT = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), 20) as stream:
    try:
        stream.sendall(bytes.fromhex(sys.argv[3]))
        got = b""
        while chunk := stream.recv(4096):
            got += chunk
        print(got.decode())
    except ConnectionResetError:
        print("reset")
"""


def parts_of(identity):
    """{part: value} of the TLV, docs/RELAY.md."""
    value = bytes.fromhex(identity)
    assert value[0] == 1, value
    value, found = value[1:], {}
    while value:
        part, size = struct.unpack("!BH", value[:3])
        found[part] = value[3:3 + size]
        value = value[3 + size:]
    return found


def packed(address):
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


class Tied(World):
    """The server with its relay on the edge, two relays behind it, and the target."""

    def _make(self):
        super()._make()
        for address in BEHIND:
            run(["ip", "-n", self.edge, "addr", "add", address, "dev", "lo"])
        self.target = self.start([PYTHON, "-B", f"{HERE}/proxy_target.py", str(TARGET)], self.edge, "target")
        self.target.wait_event("listening")
        self._second_relay()
        config, self.server_keys, self.alice_keys = server_config(
            self, [{"transport": "websocket", "address": "::", "port": 8443},
                   {"transport": "wireguard", "address": "::", "port": PORT}], tun={"name": "svserver"})
        self.bob = Peer(self, "bob", 3, program="wireguard-go")
        keys = self.keygen()
        self.public_key = keys["public_key"]
        config["keys"]["wireguard_private_key"] = keys["private_key"]
        config["network"]["routes"] = ["10.8.0.0/24", "fd00:8::/64", "192.0.2.0/24", "2001:db8:fa::/64"]
        config["clients"][0]["addresses"] = INNER["alice"]
        config["clients"].append({"id": "bob", "noise_public_key": self.keygen()["public_key"],
                                  "wireguard_public_key": self.bob.public_key, "addresses": INNER["bob"]})
        routes = [self._route(port, to) for port, to in ((DIRECT, TARGET), (BY_ASSERTING, ASSERTING), (BY_OTHER, OTHER))]
        relay = {"listen": [{"address": "::", "ports": [DIRECT, BY_ASSERTING, BY_OTHER]}], "routes": routes}
        path = self.write("host.json", {"server": config, "relay": relay})
        package = f"PYTHONPATH={PACKAGE}"
        self.host = self.start(["env", package, PYTHON, "-B", f"{HERE}/relay_host.py", path], self.edge, "host")
        self.host.wait_event("listening", transport="websocket")
        self.host.wait_event("listening", transport="tcp")

    @staticmethod
    def _route(port, to):
        return {"name": f"to-{port}", "match": {"ports": port},
                "action": {"targets": [{"host": "127.0.0.1", "port": to}], "send_proxy_protocol": "v2"}}

    def _second_relay(self):
        trusted = {"accept_proxy_protocol": "v2", "trusted_proxies": ["127.0.0.1"], "address": "127.0.0.1"}
        config = {"listen": [{**trusted, "port": ASSERTING, "may_assert_identity": ["127.0.0.1"]},
                             {**trusted, "port": OTHER}],
                  "routes": [self._route(port, TARGET) for port in (ASSERTING, OTHER)]}
        path = self.write("second.json", config)
        self.second = self.start([self.smartvpn, "relay", "--config", path, "--events"], self.edge, "second")
        self.second.wait_event("listening")

    def alice_comes(self):
        config = client_config("ws://198.51.100.1:8443/tunnel", self.server_keys, self.alice_keys)
        self.connect(config).wait_event("session_up")
        return self.host.wait_event("session_up", client_id="alice")["session_id"]

    def bob_comes(self):
        self.bob.join(self)
        self.in_client(["ping", "-c", "1", "-W", "10", "10.8.0.1"])  # no handshake without a packet
        return self.host.wait_event("session_up", client_id="bob")["session_id"]

    def dial(self, address, port, first=b"x"):
        """What a client is answered, and what the target was told of it."""
        self.target.pump()
        before = len(self.target.events)
        answer = self.in_client([PYTHON, "-c", CLIENT, address, str(port), first.hex()]).strip()
        self.target.pump()
        return answer, self.target.events[before:]


class ClientsOfTheTunnel(unittest.TestCase):
    def check_told(self, world, name, session, port):
        for address, inner in zip(BEHIND, INNER[name]):
            with self.subTest(name, port=port, address=address):
                answer, told = world.dial(address, port)
                self.assertEqual((answer, len(told)), ("hello", 1))
                self.assertEqual((told[0]["command"], told[0]["source"]), ("21", inner))
                self.assertEqual(parts_of(told[0]["tlvs"][IDENTITY]),
                                 {1: name.encode(), 2: packed(inner), 3: struct.pack("!Q", session)})

    def check_not_told(self, world, addresses, sources, port):
        for address, source in zip(addresses, sources):
            with self.subTest(address, port=port):
                answer, told = world.dial(address, port)
                self.assertEqual((answer, [one["source"] for one in told]), ("hello", [source]))
                self.assertNotIn(IDENTITY, told[0]["tlvs"])

    def check_all(self, world, name, session):
        self.check_told(world, name, session, DIRECT)
        accepted = world.host.wait_event("connection_accepted", client_id=name)
        self.assertTrue(accepted["remote_addr"].startswith(INNER[name][0] + ":"), accepted)
        # Along a chain: only from who may say so, and the address stays in any case.
        self.check_told(world, name, session, BY_ASSERTING)
        self.check_not_told(world, BEHIND, INNER[name], BY_OTHER)

    def test_of_a_client_of_our_own(self):
        with Tied(COMMAND) as world:
            self.check_all(world, "alice", world.alice_comes())
            forged = b"\r\n\r\n\0\r\nQUIT\n" + b"\x21\x11\x00\x0c" + bytes(12)
            for address in BEHIND:
                answer, told = world.dial(address, DIRECT, forged)
                # The target may have heard who comes, or nothing; of the one before, if that was late.
                said = {one["source"] for one in told if "source" in one}
                self.assertEqual((answer, said - set(INNER["alice"])), ("reset", set()))
            wait_until(lambda: len(self.sent_away(world)) == 2, "the relay says so")

    def sent_away(self, world):
        """Before or after the target was there, so one of two kinds."""
        world.host.pump()
        return [event for event in world.host.events if event.get("reason") == "unexpected_proxy_header"
                and event.get("client_id") == "alice"]

    def test_of_a_stock_wireguard_peer(self):
        with Tied(COMMAND) as world:
            self.check_all(world, "bob", world.bob_comes())

    def test_who_comes_by_another_way_is_no_client(self):
        with Tied(COMMAND) as world:
            world.alice_comes()
            for port in (DIRECT, BY_ASSERTING):
                self.check_not_told(world, OUTSIDE, ("198.51.100.7", "2001:db8:100::7"), port)


if __name__ == "__main__":
    unittest.main()
