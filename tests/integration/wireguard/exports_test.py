"""What the registry exports is what wg-quick takes, as it is. exports_test.py SMARTVPN"""
import re
import shutil
import subprocess
import sys
import unittest

from wireguard_world import EDGE, FAR, Case, endpoint, in_a_world, wait_until

Case.smartvpn = sys.argv.pop(1)


class Exports(Case):
    def quick(self, world, what):
        """wg-quick's exit status and what it said. Its daemon keeps the output, so that is a file and no pipe."""
        with open(world.path("wg-quick.log"), "w+") as log:
            done = subprocess.run(["ip", "netns", "exec", world.client, "env", "LOG_LEVEL=silent",
                                   "WG_QUICK_USERSPACE_IMPLEMENTATION=wireguard-go",
                                   "WG_I_PREFER_BUGGY_USERSPACE_TO_POLISHED_KMOD=1", "wg-quick", what,
                                   world.path("bob.conf")], stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=60)
            log.seek(0)
            return done.returncode, log.read()

    def export(self, world, **network):
        server = world.server(network=network)
        server.start()
        server.command("clients", "add", "bob", "--wireguard", "--out", world.path("bob.conf"))
        with open(world.path("bob.conf")) as file:
            self.say(re.sub(r"(Key = ).*", r"\1…", file.read()).replace("\n", "; "))
        return server

    def check_export(self, world, **network):
        server = self.export(world, **network)
        status, said = self.quick(world, "up")
        self.assertEqual(status, 0, said)
        for target in FAR.values():
            wait_until(lambda: answers(world, target), f"{target} answers")
        self.assertEqual([s["client_id"] for s in server.sessions()], ["bob"])
        status, said = self.quick(world, "down")
        self.assertEqual(status, 0, said)
        self.assertFalse(answers(world, FAR[4]))

    @in_a_world
    def test_wg_quick_takes_an_exported_configuration_as_it_is(self, world):
        self.check_export(world)

    @in_a_world
    def test_wg_quick_takes_an_exported_configuration_that_sends_everything(self, world):
        self.check_export(world, routes=["0.0.0.0/0", "::/0"])

    @in_a_world
    def test_wg_quick_takes_an_exported_configuration_over_ipv6(self, world):
        self.check_export(world, wireguard_endpoint=endpoint(EDGE[6]))

    @in_a_world
    def test_a_name_server_in_an_export_needs_resolvconf_where_wg_quick_runs(self, world):
        self.export(world, dns=["10.8.0.1"])
        status, said = self.quick(world, "up")
        if shutil.which("resolvconf"):
            self.assertEqual(status, 0, said)
            self.quick(world, "down")
        else:
            self.assertIn("resolvconf: command not found", said)
        self.say(f"resolvconf is {shutil.which('resolvconf') or 'not there'}: wg-quick ended with {status}")


def answers(world, target):
    return subprocess.run(["ip", "netns", "exec", world.client, "ping", "-c", "1", "-W", "1", target],
                          capture_output=True, timeout=30).returncode == 0


if __name__ == "__main__":
    unittest.main(verbosity=2)
