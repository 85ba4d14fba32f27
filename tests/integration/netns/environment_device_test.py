"""What an administrator, or a program of his, may do to the device under a serving server and a connected tunnel:
delete it, set it down, flush it, change its MTU. Sessions stay, the log tells, and what can be brought back is."""
import json
import os
import signal
import sys
import time
import unittest

from netns import World, client_config, run, server_config, wait_until

SMARTVPN = sys.argv.pop(1)
LISTEN = [{"transport": "websocket", "address": "::", "port": 8443}]
BEHIND = "192.168.77.0/24"  # routed to the client


def processor_seconds(program):
    with open(f"/proc/{program.process.pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Device(unittest.TestCase):
    def setUp(self):
        self.world = World(SMARTVPN)
        self.world.__enter__()
        self.addCleanup(self.world.__exit__, None, None, None)
        self.ends = {"server": (self.world.edge, "svserver"), "client": (self.world.client, "svtun")}

    def up(self, **tun):
        config, *keys = server_config(self.world, LISTEN, tun={"name": "svserver", "masquerade": True, **tun})
        config["clients"][0]["subnets"] = [BEHIND]
        self.control = self.world.path("control.sock")
        path = self.world.write("server.json", config)
        self.server = self.world.start([SMARTVPN, "serve", "--config", path, "--events", "--control", self.control],
                                       self.world.edge, "server")
        self.server.wait_event("listening")
        self.tunnel = self.world.connect(client_config("ws://198.51.100.1:8443/tunnel", *keys))
        self.tunnel.wait_event("session_up")
        self.check()
        self.logs = {"server": self.server, "client": self.tunnel}

    def ip(self, namespace, *words):
        return run(["ip", "-n", namespace, *words])

    def answers(self, namespace, address):
        try:
            run(["ip", "netns", "exec", namespace, "ping", "-c", "1", "-W", "0.3", address])
            return True
        except AssertionError:
            return False

    def check(self):
        """Both ways and in both families, within the time that it takes to put things back."""
        for namespace, address in ((self.world.client, "10.8.0.1"), (self.world.client, "fd00:8::1"),
                                   (self.world.edge, "10.8.0.2"), (self.world.edge, "fd00:8::2")):
            wait_until(lambda: self.answers(namespace, address), f"{address} answers", 15)
        self.assertIn("dev svserver", self.ip(self.world.edge, "route", "show", BEHIND))
        self.assertIn("smartvpn_svserver", self.world.in_edge(["nft", "list", "tables"]))

    def check_session_stayed(self):
        for program in (self.server, self.tunnel):
            program.pump()
            self.assertFalse([e for e in program.events if e["type"] == "session_down"])
            self.assertEqual(len([e for e in program.events if e["type"] == "session_up"]), 1)

    def told(self, program, text, timeout=15):
        def seen():
            program.pump()
            return [e for e in program.events if e["type"] == "log" and text in e["message"]]
        wait_until(seen, f"the log says: {text}", timeout)

    def dropped(self, name):
        stats = json.loads(self.world.in_edge([SMARTVPN, "stats", "--json", "--control", self.control]))
        return stats["total"]["drops"].get(name, 0)

    def test_a_deleted_device_is_made_anew_with_all_it_had_at_either_end(self):
        self.up()
        for end, (namespace, device) in self.ends.items():
            with self.subTest(end=end):
                self.ip(namespace, "link", "del", device)
                self.told(self.logs[end], "forwarding has failed")
                self.told(self.logs[end], f"forwarding works again: device {device} was made anew")
                self.check()
        self.check_session_stayed()
        self.assertEqual((self.tunnel.stop(), self.server.stop()), (0, 0))
        for namespace, device in self.ends.values():
            self.assertNotIn(device, self.ip(namespace, "-br", "link"))

    def test_a_name_that_somebody_else_has_taken_is_waited_for_without_spinning(self):
        self.up()
        self.server.process.send_signal(signal.SIGSTOP)
        self.ip(self.world.edge, "link", "del", "svserver")
        self.ip(self.world.edge, "link", "add", "svserver", "type", "veth", "peer", "name", "svother")
        self.server.process.send_signal(signal.SIGCONT)
        self.told(self.server, "cannot be made again")
        before, began = processor_seconds(self.server), time.monotonic()
        drops = self.dropped("engine_failed")
        self.world.in_client(["sh", "-c", "ping -c 10 -i 0.1 -W 1 10.8.0.1 >/dev/null; true"])
        self.assertGreaterEqual(self.dropped("engine_failed") - drops, 10)
        share = (processor_seconds(self.server) - before) / (time.monotonic() - began)
        self.assertLess(share, 0.3)
        self.ip(self.world.edge, "link", "del", "svserver")
        self.told(self.server, "forwarding works again", 40)
        self.check()
        self.check_session_stayed()
        said = [e for e in self.server.events if e["type"] == "log" and "cannot be made again" in e["message"]]
        self.assertEqual(len(said), 1, said)

    def test_a_device_that_is_set_down_rests_and_has_everything_again_when_it_is_up(self):
        self.up()
        for end, (namespace, device) in self.ends.items():
            with self.subTest(end=end):
                self.ip(namespace, "link", "set", device, "down")
                self.told(self.logs[end], f"device {device} was set down")
                if end == "server":
                    self.world.in_client(["sh", "-c", "ping -c 3 -i 0.1 -W 1 10.8.0.1 >/dev/null; true"])
                    self.assertGreaterEqual(self.dropped("engine_failed"), 3)
                self.ip(namespace, "link", "set", device, "up")
                self.told(self.logs[end], f"device {device} is up again")
                self.check()
        self.check_session_stayed()

    def test_addresses_and_routes_that_somebody_removes_are_set_again(self):
        self.up()
        for words in (("addr", "flush"), ("route", "flush"), ("-6", "addr", "flush"), ("-6", "route", "flush")):
            with self.subTest(flushed=words):
                for namespace, device in self.ends.values():
                    self.ip(namespace, *words, "dev", device)
                self.check()
        for end, (_, device) in self.ends.items():
            self.told(self.logs[end], f"device {device} was changed by somebody")
        self.check_session_stayed()

    def test_another_mtu_stays_and_does_no_harm(self):
        self.up()
        for mtu in (1280, 576, 9000):  # below 1280 the kernel takes IPv6 off the device
            for namespace, device in self.ends.values():
                self.ip(namespace, "link", "set", device, "mtu", str(mtu))
            wait_until(lambda: self.answers(self.world.client, "10.8.0.1"), "IPv4 works")
            self.world.in_client(["ping", "-c", "1", "-W", "5", "-s", "500", "10.8.0.1"])
            if mtu >= 1280:
                self.check()
            for namespace, device in self.ends.values():
                self.assertIn(f"mtu {mtu} ", self.ip(namespace, "link", "show", "dev", device))
        self.check_session_stayed()

    def state_of(self, device):
        addresses = self.ip(self.world.edge, "addr", "show", "dev", device).splitlines()
        kept = [line.strip() for line in addresses if "inet" in line or "mtu" in line]
        flags = kept[0].replace("LOWER_UP", "").replace("NO-CARRIER", "").split(" qdisc")[0]
        routes = [line for version in "46" for line in
                  self.ip(self.world.edge, f"-{version}", "route", "show", "dev", device).splitlines() if "fe80" not in line]
        return [flags.replace(",,", ",").replace("<,", "<").replace(",>", ">").split(": ")[2],
                sorted(line.split()[1] for line in kept[1:] if "fe80" not in line), sorted(r.replace(" linkdown", "") for r in routes)]

    def test_a_persistent_device_keeps_what_it_had_and_nothing_of_ours(self):
        for started_up in (True, False):
            with self.subTest(up=started_up):
                self.ip(self.world.edge, "tuntap", "add", "dev", "svkeep", "mode", "tun")
                self.ip(self.world.edge, "link", "set", "svkeep", "mtu", "1400", "addrgenmode", "none")
                self.ip(self.world.edge, "addr", "add", "192.0.2.5/32", "dev", "svkeep")
                if started_up:
                    self.ip(self.world.edge, "link", "set", "svkeep", "up")
                    self.ip(self.world.edge, "route", "add", "192.0.2.64/26", "dev", "svkeep")
                before = self.state_of("svkeep")
                config, *keys = server_config(self.world, LISTEN, tun={"name": "svkeep"})
                config["clients"][0]["subnets"] = [BEHIND]
                server = self.world.serve(config)
                self.assertIn(BEHIND, self.ip(self.world.edge, "route"))
                self.assertEqual(server.stop(), 0)
                self.assertEqual(self.state_of("svkeep"), before)
                # What a killed one has left is no obstacle.
                self.world.serve(config).stop(signal.SIGKILL)
                server = self.world.serve(config)
                tunnel = self.world.connect(client_config("ws://198.51.100.1:8443/tunnel", *keys))
                tunnel.wait_event("session_up")
                self.world.in_client(["ping", "-c", "1", "-W", "5", "10.8.0.1"])
                tunnel.stop()
                self.assertEqual(server.stop(), 0)
                self.ip(self.world.edge, "tuntap", "del", "dev", "svkeep", "mode", "tun")


if __name__ == "__main__":
    unittest.main(verbosity=2)
