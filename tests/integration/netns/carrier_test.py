"""The dialling end on a machine of its own: default routes that do not swallow the carrier, coming back through them,
name servers switched and switched back, and what is left when it dies."""
import os
import shutil
import signal
import subprocess
import sys
import time
import unittest

from netns import World, client_config, run, server_config, wait_until

SMARTVPN = sys.argv.pop(1)
LISTEN = [{"transport": "websocket", "address": "::", "port": 8443}]
SERVER = {4: "203.0.113.1", 6: "2001:db8:203::1"}
INTERNET = {4: "203.0.113.9", 6: "2001:db8:203::9"}
GATEWAY = {4: "198.51.100.1", 6: "2001:db8:100::1"}
DNS = ["10.8.0.1", "fd00:8::1"]
RESOLV_CONF = "# the host's\nnameserver 192.0.2.53\nnameserver 2001:db8::53\nsearch example.org\noptions edns0"
RECORD = "#!/bin/sh\necho \"$(basename $0) $*\" >> {log}\ncase \"$*\" in -a*) cat >> {log};; esac\n"
FLOOD = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(20000): s.sendto(bytes(1300), ("10.8.0.1", 9))
"""


def url(version, host=None):
    host = host or SERVER[version]
    return f"ws://[{host}]:8443/tunnel" if ":" in host else f"ws://{host}:8443/tunnel"


class Carrier(unittest.TestCase):
    """A client whose way to the server leads over a gateway."""

    def setUp(self):
        self.world = World(SMARTVPN)
        self.world.__enter__()
        self.addCleanup(self.world.__exit__, None, None, None)
        self.world.add_internet()
        for version, gateway in GATEWAY.items():
            run(["ip", "-n", self.world.client, f"-{version}", "route", "add", "default", "via", gateway])
        self.etc = f"/etc/netns/{self.world.client}"  # `ip netns exec` mounts what lies here over /etc
        self.addCleanup(shutil.rmtree, self.etc, True)
        self.config, *self.keys = server_config(self.world, LISTEN, tun={"name": "svserver", "masquerade": True})
        self.config["network"].update({"routes": ["0.0.0.0/0", "::/0"], "dns": DNS})

    def give(self, name, text):
        os.makedirs(self.etc, exist_ok=True)
        with open(os.path.join(self.etc, name), "w") as file:
            file.write(text)

    def resolv_conf(self, folder=None):
        with open(os.path.join(folder or self.etc, "resolv.conf")) as file:
            return file.read()

    def routes(self):
        return sorted(line for version in "46" for line in
                      self.world.in_client(["ip", f"-{version}", "route", "show"]).splitlines())

    def connect(self, *options, to=url(4), **config):
        tunnel = self.world.connect(client_config(to, *self.keys, **config), options=options)
        tunnel.wait_event("session_up")
        return tunnel

    def check_internet(self):
        for version, host in INTERNET.items():
            self.world.in_client(["ping", f"-{version}", "-c", "2", "-i", "0.2", "-W", "5", host])
            self.assertIn("dev svtun", self.world.in_client(["ip", "route", "get", host]))

    def test_default_routes_leave_the_carrier_outside_and_are_undone(self):
        self.world.serve(self.config)
        before = self.routes()
        for version in (4, 6):
            with self.subTest(carrier=version):
                tunnel = self.connect(to=url(version))
                self.check_internet()
                way = self.world.in_client(["ip", "route", "get", SERVER[version]])
                self.assertIn(f"via {GATEWAY[version]} dev veth0", way)
                self.assertEqual(tunnel.stop(), 0)
                self.assertEqual(self.routes(), before)

    def test_a_kill_leaves_a_host_route_that_harms_nobody_and_goes_with_the_next_run(self):
        self.world.serve(self.config)
        before = self.routes()
        tunnel = self.connect()
        tunnel.stop(signal.SIGKILL)
        left = [line for line in self.routes() if line not in before]
        self.assertEqual(len(left), 1, left)
        self.assertRegex(left[0], r"^203\.0\.113\.1 via 198\.51\.100\.1 dev veth0 proto 83")
        self.world.in_client(["ping", "-c", "1", "-W", "5", "203.0.113.1"])
        tunnel = self.connect()
        self.check_internet()
        tunnel.stop()
        self.assertEqual(self.routes(), before)

    def test_a_host_route_of_the_hosts_own_is_used_and_stays(self):
        run(["ip", "-n", self.world.client, "route", "add", "203.0.113.1", "via", "198.51.100.1"])
        self.world.serve(self.config)
        before = self.routes()
        tunnel = self.connect()
        self.check_internet()
        tunnel.stop()
        self.assertEqual(self.routes(), before)

    def test_it_comes_back_through_its_own_routes_without_any_name_server(self):
        self.give("hosts", "203.0.113.1 vpn.test\n")
        self.give("resolv.conf", "nameserver 10.8.0.1\noptions timeout:1 attempts:1\n")
        server = self.world.serve(self.config)
        tunnel = self.connect(to=url(4, "vpn.test"), reconnect={"initial_ms": 50, "max_ms": 500})
        self.check_internet()
        self.give("hosts", "")  # from now on the only name server is behind the tunnel
        tunnel.events.clear()
        server.stop(signal.SIGKILL)
        tunnel.wait_event("session_down")
        tunnel.wait_event("log", reason="transport_error")
        self.world.serve(self.config)
        tunnel.wait_event("session_up", timeout=60)
        self.check_internet()

    def test_it_finds_its_way_again_when_the_gateway_has_changed(self):
        self.world.serve(self.config)
        before = self.routes()
        tunnel = self.connect(reconnect={"initial_ms": 50, "max_ms": 500}, keepalive_interval_ms=1000)
        self.check_internet()
        run(["ip", "-n", self.world.edge, "addr", "add", "198.51.100.2/24", "dev", "veth0"])
        run(["ip", "-n", self.world.client, "route", "replace", "default", "via", "198.51.100.2"])
        run(["ip", "-n", self.world.edge, "addr", "del", "198.51.100.1/24", "dev", "veth0"])
        run(["ip", "-n", self.world.edge, "addr", "replace", "198.51.100.2/24", "dev", "veth0"])
        run(["ip", "-n", self.world.client, "neigh", "flush", "dev", "veth0"])
        tunnel.wait_event("session_down", timeout=60)
        tunnel.events.clear()
        tunnel.wait_event("session_up", timeout=60)
        self.assertIn("via 198.51.100.2 dev veth0", self.world.in_client(["ip", "route", "get", SERVER[4]]))
        self.check_internet()
        tunnel.stop()
        self.assertEqual(self.routes(), sorted(line.replace("default via 198.51.100.1", "default via 198.51.100.2") for line in before))

    def test_routes_on_request(self):
        self.world.serve(self.config)
        before = self.routes()
        tunnel = self.connect("--routes", "none")
        self.assertEqual([line for line in self.routes() if line not in before and "svtun" not in line], [])
        self.assertIn("dev veth0", self.world.in_client(["ip", "route", "get", INTERNET[4]]))
        tunnel.stop()
        tunnel = self.connect("--routes", "from-server", tun={"routes": False})
        self.check_internet()
        tunnel.stop()
        self.assertEqual(self.routes(), before)

    def check_switched(self, folder=None):
        wait_until(lambda: all(f"\nnameserver {ip}\n" in self.resolv_conf(folder) for ip in DNS), "the name servers are switched")
        active = [line for line in self.resolv_conf(folder).splitlines() if not line.startswith("#")]
        self.assertEqual(active, [f"nameserver {ip}" for ip in DNS] + ["search example.org", "options edns0"])

    def test_name_servers_are_switched_and_switched_back_also_after_a_kill(self):
        self.give("resolv.conf", RESOLV_CONF)  # a mount point, to which nothing can be renamed
        self.world.serve(self.config)
        for end in (signal.SIGTERM, signal.SIGKILL, signal.SIGTERM):
            tunnel = self.connect("--dns")
            self.check_switched()
            tunnel.stop(end)
            if end == signal.SIGTERM:
                self.assertEqual(self.resolv_conf(), RESOLV_CONF)
        self.connect()
        self.assertEqual(self.resolv_conf(), RESOLV_CONF)

    def test_what_a_kill_has_left_is_put_back_before_the_server_is_looked_up(self):
        self.give("resolv.conf", RESOLV_CONF)
        server = self.world.serve(self.config)
        tunnel = self.connect("--dns")
        self.check_switched()
        tunnel.stop(signal.SIGKILL)
        server.stop()
        tunnel = self.world.connect(client_config(url(4), *self.keys), options=["--dns"])
        wait_until(lambda: self.resolv_conf() == RESOLV_CONF, "the file is as it was")
        tunnel.stop()

    def test_a_third_signal_ends_it_at_once_and_the_name_servers_are_put_back(self):
        self.give("resolv.conf", RESOLV_CONF)
        server = self.world.serve(self.config)
        for _ in range(5):
            tunnel = self.connect("--dns")
            self.check_switched()
            # Who takes no bytes delays the goodbye; it may be over before the third signal all the same.
            server.process.send_signal(signal.SIGSTOP)
            self.world.in_client(["/usr/bin/python3", "-c", FLOOD])
            for _ in range(3):
                tunnel.process.send_signal(signal.SIGINT)
                time.sleep(0.1)
            code = tunnel.process.wait(10)
            server.process.send_signal(signal.SIGCONT)
            self.assertEqual(self.resolv_conf(), RESOLV_CONF)
            if code == 1:
                return
            self.assertEqual(code, 0)
        self.fail("five tunnels said goodbye before the third signal")

    def test_a_full_disk_never_costs_the_name_servers_that_were_there(self):
        os.makedirs(self.etc)
        run(["mount", "-t", "tmpfs", "-o", "size=8k,nr_inodes=8", "none", self.etc])
        self.addCleanup(run, ["umount", "-l", self.etc])
        self.world.serve(self.config)
        long = RESOLV_CONF + "\n# " + "x" * (4090 - len(RESOLV_CONF)) + "\n"  # with our lines it does not fit its block
        for text in (long, RESOLV_CONF):
            self.give("resolv.conf", text)
            with open(os.path.join(self.etc, "rest"), "wb") as rest:
                rest.write(bytes(4096))
            with open(os.path.join(self.etc, "rest"), "ab", buffering=0) as rest, self.assertRaises(OSError):
                rest.write(b"!")
            tunnel = self.connect("--dns")
            if text is long:
                wait_until(lambda: "No space left" in self.said("client"), "it says that it could not")
                self.assertEqual(self.resolv_conf(), text)
            else:
                self.check_switched()
            self.check_internet()
            self.assertEqual(tunnel.stop(), 0)
            self.assertEqual(self.resolv_conf(), text)

    def said(self, name):
        with open(self.world.path(name + ".log")) as file:
            return file.read()

    def test_a_second_one_in_the_same_place_is_refused(self):
        self.give("resolv.conf", RESOLV_CONF)
        self.world.serve(self.config)
        self.connect("--dns")
        self.check_switched()
        path = self.world.write("second.json", client_config(url(4), *self.keys))
        second = subprocess.run(["ip", "netns", "exec", self.world.client, SMARTVPN, "connect", "--config", path, "--dns"],
                                capture_output=True, text=True, timeout=30)
        self.assertEqual(second.returncode, 1)
        self.assertIn("another smartvpn connect", second.stderr)
        self.check_switched()

    def in_own_etc(self, prepare):
        """A copy of /etc for the client alone, changed by a shell command, and a program that starts within."""
        etc = self.world.path("etc")
        shutil.copytree("/etc", etc, symlinks=True, ignore=shutil.ignore_patterns("netns", "ssl", "alternatives"))
        os.remove(os.path.join(etc, "resolv.conf"))
        wrapper = self.world.write("wrapped", f"#!/bin/sh\nmount --bind {etc} /etc && {{ {prepare}; }} && exec {SMARTVPN} \"$@\"\n")
        os.chmod(wrapper, 0o755)
        self.world.smartvpn = wrapper
        return etc

    def serve_plainly(self):
        wrapped, self.world.smartvpn = self.world.smartvpn, SMARTVPN
        self.world.serve(self.config)
        self.world.smartvpn = wrapped

    def test_a_plain_file_is_replaced_whole_and_a_link_stays_one(self):
        etc = self.in_own_etc("true")
        os.mkdir(os.path.join(etc, "managed"))
        target = os.path.join(etc, "managed", "resolv.conf")
        with open(target, "w") as file:
            file.write(RESOLV_CONF)
        os.chmod(target, 0o640)
        os.symlink("managed/resolv.conf", os.path.join(etc, "resolv.conf"))
        self.serve_plainly()
        inode = os.stat(target).st_ino
        tunnel = self.connect("--dns")
        self.check_switched(etc)
        self.assertNotEqual(os.stat(target).st_ino, inode)
        tunnel.stop()
        self.assertEqual(self.resolv_conf(etc), RESOLV_CONF)
        self.assertTrue(os.path.islink(os.path.join(etc, "resolv.conf")))
        self.assertEqual(os.stat(target).st_mode & 0o777, 0o640)
        self.assertEqual(os.listdir(os.path.join(etc, "managed")), ["resolv.conf"])

    def with_recorder(self, name):
        """A program of this name first in the path that writes down how it was called."""
        folder = self.world.path("bin")
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, name), "w") as file:
            file.write(RECORD.format(log=self.world.path("calls")))
        os.chmod(os.path.join(folder, name), 0o755)
        return f"export PATH={folder}:$PATH"

    def calls(self):
        return run(["sh", "-c", f"cat {self.world.path('calls')} 2>/dev/null || true"]).splitlines()

    def test_resolvconf_is_preferred_to_the_file(self):
        path = self.with_recorder("resolvconf")
        etc = self.in_own_etc(path)
        shutil.copy(self.world.write("before", RESOLV_CONF), os.path.join(etc, "resolv.conf"))
        self.serve_plainly()
        removed = ["resolvconf -d tun.smartvpn"]  # also at the start: one that was killed may have left it
        once = removed + ["resolvconf -a tun.smartvpn -m 0 -x"] + [f"nameserver {ip}" for ip in DNS]
        tunnel = self.connect("--dns")
        wait_until(lambda: self.calls() == once, "resolvconf was called")
        tunnel.stop(signal.SIGKILL)
        tunnel = self.connect("--dns")
        wait_until(lambda: self.calls() == once + once, "resolvconf was called again")
        tunnel.stop()
        self.assertEqual(self.calls(), once + once + removed)
        self.assertEqual(self.resolv_conf(etc), RESOLV_CONF)

    def test_resolvectl_is_preferred_where_resolved_serves_the_machine(self):
        path = self.with_recorder("resolvectl")
        self.with_recorder("resolvconf")
        etc = self.in_own_etc(f"{path}; mount -t tmpfs none /run && mkdir -p /run/systemd/resolve")
        stub = "nameserver 127.0.0.53\n"
        shutil.copy(self.world.write("before", stub), os.path.join(etc, "resolv.conf"))
        self.serve_plainly()
        tunnel = self.connect("--dns")
        wanted = [f"resolvectl dns svtun {' '.join(DNS)}", "resolvectl domain svtun ~.", "resolvectl default-route svtun yes"]
        wait_until(lambda: self.calls() == wanted, "resolvectl was called")
        tunnel.stop()
        self.assertEqual(self.calls(), wanted + ["resolvectl revert svtun"])
        self.assertEqual(self.resolv_conf(etc), stub)


if __name__ == "__main__":
    unittest.main(verbosity=2)
