"""Packets that do not fit: the internet's MTU is larger than the tunnel's, and the session's smaller than the server's
device, so that both the kernel and we have to answer, fragment and clamp. Both directions, both families."""
import contextlib
import os
import sys
import unittest

from netns import World, client_config, run, server_config

SMARTVPN = sys.argv.pop(1)
LISTEN = [{"transport": "websocket", "address": "::", "port": 8443}]
ENDS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "mtu_ends.py")
INTERNET = {4: "203.0.113.9", 6: "2001:db8:203::9"}
SESSION, DEVICE, WAN = 1300, 1400, 1500
TCP_HEADERS = {4: 40, 6: 60}


class Mtu(unittest.TestCase):
    @contextlib.contextmanager
    def world(self, **case):
        with self.subTest(**case), World(SMARTVPN) as world:
            world.add_internet(mtu=WAN)
            config, *keys = server_config(world, LISTEN, tun={"name": "svserver", "masquerade": True})
            config["network"].update({"routes": ["0.0.0.0/0", "::/0"], "mtu": DEVICE})
            world.serve(config)
            tunnel = world.connect(client_config("ws://198.51.100.1:8443/tunnel", *keys, mtu=SESSION))
            self.assertEqual(tunnel.wait_event("session_up")["mtu"], SESSION)
            yield world

    def end(self, world, namespace, *words):
        return world.start(["/usr/bin/python3", ENDS, *map(str, words)], namespace, f"end{len(world.programs)}")

    def answerer(self, world, version, how):
        program = self.end(world, world.internet, "answer", version, how)
        program.wait_event("ready")
        return program

    def test_a_host_beyond_learns_both_mtus_when_it_may_not_fragment(self):
        for version in (4, 6):
            with self.world(version=version) as world:
                answerer = self.answerer(world, version, "df")
                # The server's kernel answers for its device, then we for the session.
                for size, mtu in ((WAN, DEVICE), (DEVICE - 50, SESSION)):
                    asker = self.end(world, world.client, "ask", version, INTERNET[version], size)
                    answerer.wait_event("refused", size=size, mtu=mtu)
                    asker.stop()
                asker = self.end(world, world.client, "ask", version, INTERNET[version], SESSION)
                self.assertEqual(asker.wait_event("got")["got"], SESSION)

    def test_a_client_learns_of_a_narrow_place_behind_the_server(self):
        for version in (4, 6):
            with self.world(version=version) as world:
                run(["ip", "-n", world.edge, "link", "set", "wan0", "mtu", "1280"])
                self.answerer(world, version, "df")
                refused = self.end(world, world.client, "send", version, INTERNET[version], SESSION, "df").wait_event("refused")
                self.assertEqual(refused["mtu"], 1280)
                self.end(world, world.client, "send", version, INTERNET[version], 1280, "df").wait_event("answered")

    def test_a_client_is_refused_by_its_own_device_above_the_sessions_mtu(self):
        for version in (4, 6):
            with self.world(version=version) as world:
                refused = self.end(world, world.client, "send", version, INTERNET[version], SESSION + 1, "df").wait_event("refused")
                self.assertEqual(refused["mtu"], SESSION)

    def test_what_may_be_fragmented_arrives_both_ways(self):
        for version in (4, 6):
            with self.world(version=version) as world:
                self.answerer(world, version, "fragment")
                sizes = [SESSION, 1350, WAN, 4000]
                asker = self.end(world, world.client, "ask", version, INTERNET[version], *sizes)
                for size in sizes:
                    self.assertEqual(asker.wait_event("got", size=size)["got"], size)
                for size in sizes:
                    self.end(world, world.client, "send", version, INTERNET[version], size, "fragment").wait_event("answered")

    def test_tcp_is_told_a_segment_size_that_fits_both_ways(self):
        for version in (4, 6):
            with self.world(version=version) as world:
                # A client that offers more than its device takes; the internet's host offers 1460 by itself.
                route = run(["ip", "-n", world.client, f"-{version}", "route", "show", "dev", "svtun"]).splitlines()
                for half in (r.split()[0] for r in route if "/1 " in r):
                    run(["ip", "-n", world.client, f"-{version}", "route", "change", half, "dev", "svtun", "proto", "static", "advmss", "1460"])
                outside = self.end(world, world.internet, "mss", version, "wan0", 7777)
                inside = self.end(world, world.client, "mss", version, "svtun", 7777)
                for program in (outside, inside):
                    program.wait_event("ready")
                listener = world.start(["/usr/bin/python3", "-c", "import socket\ns = socket.create_server(('::', 7777), family=socket.AF_INET6, dualstack_ipv6=True)\nprint('{\"type\": \"ready\"}', flush=True)\ns.accept()"], world.internet, "listener")
                listener.wait_event("ready")
                world.in_client(["/usr/bin/python3", "-c", f"import socket; socket.create_connection(('{INTERNET[version]}', 7777), 10)"])
                fits = SESSION - TCP_HEADERS[version]
                at_client, at_host = inside.wait_event("mss"), outside.wait_event("mss")
                self.assertEqual((at_client["syn"], at_host["syn_ack"]), (1460, WAN - TCP_HEADERS[version]))
                self.assertEqual((at_host["syn"], at_client["syn_ack"]), (fits, fits))


if __name__ == "__main__":
    unittest.main(verbosity=2)
