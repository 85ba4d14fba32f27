"""A server and real WireGuard peers in network namespaces. Who they are is told by the environment, so that the same
cases hold everybody to the same:

  WIREGUARD_SERVER   a stock program as the server, in place of the smartvpn command
  WIREGUARD_CLIENT   a stock program as the clients; wireguard-go of Debian unless told

Inside, the server is 10.8.0.1 and fd00:8::1, and client N is 10.8.0.N and fd00:8::N; behind the server are 192.0.2.1 and
2001:db8:fa::1.
"""
import functools
import json
import os
import re
import socket
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "netns"))
from netns import World, run, wait_until  # noqa: E402

PORT = 51820
EDGE = {4: "198.51.100.1", 6: "2001:db8:100::1"}
FAR = {4: "192.0.2.1", 6: "2001:db8:fa::1"}
INSIDE = ["10.8.0.0/24", "fd00:8::/64", "192.0.2.0/24", "2001:db8:fa::/64"]
SERVER = os.environ.get("WIREGUARD_SERVER", "")
CLIENT = os.environ.get("WIREGUARD_CLIENT", "wireguard-go")
INITIATOR = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "support", "wireguard_initiator.py")


def cannot(program):
    """What a stock program does not do itself, so that no server is blamed for it. Debian's does all of it."""
    if "boringtun" in program:
        return {"carry packets larger than the wire", "tell the time of a handshake"}
    if program.endswith("/wireguard-go"):  # current: its UDP segments cannot be cut again, and it loses its source
        return {"carry packets larger than the wire", "keep the source address it has answered from"}
    return set()


def can(what, programs=(CLIENT, SERVER)):
    """Whether these can; says so if not."""
    unable = [program for program in programs if what in cannot(program)]
    if unable:
        print(f"  left out: {unable[0]} does not {what}", flush=True)
    return not unable


def inner(number):
    return [f"10.8.0.{number}", f"fd00:8::{number:x}"]


def endpoint(address, port=PORT):
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def initiator(*arguments):
    return [sys.executable, "-B", INITIATOR, *map(str, arguments)]


class Device:
    """A stock implementation's interface, as `wg` and `ip` know it."""

    def __init__(self, world, namespace, name, program):
        self.world, self.namespace, self.name = world, namespace, name
        self.keys = world.keygen()
        self.public_key = self.keys["public_key"]
        # Not connected to one address: it could not follow when its own goes.
        boringtun = ["--foreground", "--disable-drop-privileges", "--disable-connected-udp"]
        options = boringtun if "boringtun" in program else ["-f"]
        self.program = world.start(["env", "WG_I_PREFER_BUGGY_USERSPACE_TO_POLISHED_KMOD=1", "LOG_LEVEL=error",
                                    "WG_LOG_LEVEL=error", program, *options, name], namespace, name)
        self.control = f"/run/wireguard/{name}.sock"
        wait_until(lambda: self.answers() or self.program.process.poll() is not None, f"{program} has made {name}")
        self.set("private-key", world.write(f"{name}.key", self.keys["private_key"]))

    def answers(self):
        with socket.socket(socket.AF_UNIX) as control:
            return control.connect_ex(self.control) == 0

    def set(self, *settings):
        run(["wg", "set", self.name, *map(str, settings)])

    def show(self, what, key):
        """That column of `wg show` for this peer, or None."""
        lines = [line.split("\t") for line in run(["wg", "show", self.name, what]).splitlines()]
        return next((line[1] for line in lines if line[0] == key), None)

    def up(self, number, mtu):
        for address in inner(number):
            prefix = ["128" if ":" in address else "32"]
            run(["ip", "-n", self.namespace, "addr", "add", f"{address}/{prefix[0]}", "dev", self.name])
        run(["ip", "-n", self.namespace, "link", "set", self.name, "mtu", str(mtu), "up"])

    def stop(self):
        self.program.stop()
        wait_until(lambda: self.name not in run(["ip", "-n", self.namespace, "-o", "link"]), f"{self.name} is gone")


class Peer(Device):
    """A stock client, with the number that its addresses end in."""

    def __init__(self, world, name="alice", number=2, namespace=None, program=CLIENT):
        super().__init__(world, namespace or world.client, f"wg{name}"[:15], program)
        self.id, self.number = name, number

    def join(self, server, address=EDGE[4], mtu=1420, **settings):
        self.server_key = server.public_key
        self.trust(endpoint=endpoint(address), **settings)
        self.up(self.number, mtu)
        for prefix in INSIDE:
            run(["ip", "-n", self.namespace, "route", "replace", prefix, "dev", self.name])

    def trust(self, psk=None, keepalive=0, **settings):
        """What it believes of the server; the first of `settings` is usually the endpoint."""
        words = ["persistent-keepalive", keepalive, "allowed-ips", ",".join(INSIDE)]  # 0: off
        for key, value in settings.items():
            words += [key.replace("_", "-"), value]
        if psk:
            words += ["preshared-key", self.world.write(f"{self.name}.psk", psk)]
        self.set("peer", self.server_key, *words)

    def change(self, **settings):
        """Of what `trust` has told it, and the session stays where the program knows how."""
        if "boringtun" in CLIENT:
            self.forget()
            self.trust(**{"endpoint": endpoint(EDGE[4]), **settings})
        else:
            self.set("peer", self.server_key, *(word for pair in settings.items() for word in pair))

    def forget(self):
        """All keys and timers; what follows `trust` begins with a handshake."""
        self.set("peer", self.server_key, "remove")

    def handshake(self):
        return int(self.show("latest-handshakes", self.server_key) or 0)

    def server_endpoint(self):
        return self.show("endpoints", self.server_key)

    def heard(self, target=FAR[4], *options, count=1, namespace=None):
        """How many of `count` pings were answered."""
        done = subprocess.run(["ip", "netns", "exec", namespace or self.namespace, "ping", "-q", "-i", "0.02", "-c", str(count),
                               "-W", "1", *options, target], capture_output=True, text=True, timeout=60)
        told = re.search(r"(\d+) received", done.stdout)
        return int(told[1]) if told else 0  # none was sent: too large, or no way

    def ping(self, target=FAR[4], *options, count=1, namespace=None):
        """Whether all of `count` were answered, at once or when tried again: one may be lost on a busy machine."""
        return any(self.heard(target, *options, count=count, namespace=namespace) == count for _ in range(3))

    def reaches(self, target=FAR[4], timeout=40):
        wait_until(lambda: self.heard(target), f"{self.name} reaches {target}", timeout)

    def is_reached(self, family=4, count=1, options=()):
        """The other way: whether the server's host reaches it."""
        return self.ping(inner(self.number)[family == 6], *options, count=count, namespace=self.world.edge)

    def is_cut_off(self):
        """Whether nothing passes in either direction."""
        return self.heard(count=20) == 0 and self.heard(inner(self.number)[0], count=5, namespace=self.world.edge) == 0


class StockServer:
    def __init__(self, world, program, mtu=1420):
        self.world, self.mtu = world, mtu
        self.device = Device(world, world.edge, "wgserver", program)
        self.public_key = self.device.public_key

    def add(self, name, public_key, number, psk=None):
        words = ["allowed-ips", ",".join(inner(number))]
        if psk:
            words += ["preshared-key", self.world.write(f"server-{name}.psk", psk)]
        self.device.set("peer", public_key, *words)

    def start(self):
        self.device.set("listen-port", PORT)
        self.device.up(1, self.mtu)
        for prefix in INSIDE[:2]:
            run(["ip", "-n", self.world.edge, "route", "replace", prefix, "dev", self.device.name])


class OurServer:
    def __init__(self, world, mtu=1420, **config):
        self.world = world
        self.noise, keys = world.keygen(), world.keygen()
        self.public_key = keys["public_key"]
        self.control = world.path("control.sock")
        self.config = {
            "listen": [{"transport": "wireguard", "address": "::", "port": PORT}],
            "keys": {"noise_private_key": self.noise["private_key"], "wireguard_private_key": keys["private_key"]},
            "network": {"subnets": INSIDE[:2], "routes": INSIDE, "mtu": mtu, "wireguard_endpoint": endpoint(EDGE[4])},
            "forwarding": {"mode": "tun"},
            "tun": {"name": "svserver"},
            "clients": [],
        }
        for key, value in config.items():
            known = self.config.get(key)
            self.config[key] = {**known, **value} if isinstance(known, dict) else value

    def add(self, name, public_key, number=None, psk=None, **settings):
        entry = {"id": name, "noise_public_key": self.world.keygen()["public_key"], "wireguard_public_key": public_key,
                 **settings}
        entry.update({"addresses": inner(number)} if number else {})
        entry.update({"wireguard_preshared_key": psk} if psk else {})
        self.config["clients"].append(entry)

    def start(self):
        path = self.world.write("server.json", self.config)
        self.program = self.world.start([self.world.smartvpn, "serve", "--config", path, "--control", self.control,
                                         "--drain", "0", "--events"], self.world.edge, "server")
        self.program.wait_event("listening")
        wait_until(lambda: os.path.exists(self.control), "the control socket is there")

    def stop(self):
        assert self.program.stop() == 0

    def command(self, *words):
        return run([self.world.smartvpn, *words, "--control", self.control])

    def sessions(self):
        return json.loads(self.command("sessions", "--json"))


class WireguardWorld(World):
    def _make(self):
        super()._make()
        for address in FAR.values():
            run(["ip", "-n", self.edge, "addr", "add", address, "dev", "lo"])

    def server(self, **options):
        """Not started: it is told its clients first."""
        return StockServer(self, SERVER, **options) if SERVER else OurServer(self, **options)

    def join(self, server, psk=None, **settings):
        """The server's first client, and it is up."""
        peer = Peer(self)
        server.add(peer.id, peer.public_key, peer.number, psk)
        server.start()
        peer.join(server, psk=psk, **settings)
        return peer

    def add_namespace(self, name, link_to, address, gateway):
        """One more, with a link of its own to `link_to`; both ends' device is called after it."""
        namespace = f"sv{name}{os.getpid()}"
        run(["ip", "netns", "add", namespace])
        self.namespaces.append(namespace)
        run(["ip", "link", "add", name, "netns", namespace, "type", "veth", "peer", "name", name, "netns", link_to])
        for end, its_address in ((namespace, address), (link_to, gateway)):
            run(["ip", "-n", end, "addr", "add", its_address, "dev", name])
            run(["ip", "-n", end, "link", "set", name, "up"])
        run(["ip", "-n", namespace, "link", "set", "lo", "up"])
        run(["ip", "-n", namespace, "route", "add", "default", "via", gateway.split("/")[0]])
        return namespace

    def start_iperf(self):
        for address in FAR.values():
            self.start(["iperf3", "-s", "-B", address], self.edge, "iperf3")
        wait_until(lambda: self.in_edge(["ss", "-Hltn"]).count(":5201 ") == 2, "iperf3 listens")

    def iperf(self, target, *options):
        """How it ended. The server takes one at a time, and may still have to do with the one before."""
        for _ in range(5):
            report = json.loads(self.in_client(["iperf3", "-J", "-c", target, *options], timeout=60))
            if "error" not in report:
                return report["end"]
            print(f"  iperf3 {' '.join(options)}: {report['error']}", flush=True)
            time.sleep(0.2)
        raise AssertionError(report["error"])


class Case(unittest.TestCase):
    smartvpn = None  # the command, told by the program

    def setUp(self):
        self.began = time.monotonic()

    def say(self, text):
        print(f"  {time.monotonic() - self.began:5.1f} s: {text}", flush=True)


def in_a_world(case):
    """A world of its own for this case, as its last argument."""
    @functools.wraps(case)
    def in_it(self):
        with WireguardWorld(self.smartvpn) as world:
            case(self, world)
    return in_it
