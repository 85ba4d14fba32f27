"""Many peers of one WireGuard server: what a handshake costs its processor, and what a configured and a live peer cost
in resident memory. Ours and the rivals that scripts/rivals.sh has built, one after the other; the peers are
tests/support/wireguard_initiator.py, over a veth pair. Needs root.

    wireguard_crowd.py SMARTVPN [--rivals FOLDER] [--peers N] [--only KIND,KIND...]

Prints lines "name<TAB>value<TAB>unit" for report.py. What is not there is left out.
"""
import argparse
import json
import os
import sys

from roads import EDGE, Bench, cpu_seconds, emit, hex_key, run, uapi, wait_until
from wireguard_bench import rivals

INITIATOR = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support", "wireguard_initiator.py")
PORT, SEED = 51820, "crowd"
PIECE = 500  # peers in one order over the UAPI
# A whole crowd comes from one port here, where a socket that is connected to one peer would take the others' datagrams.
CROWD_OPTIONS = {"boringtun": ("--disable-connected-udp",)}


def resident(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS"))


def inner_address(number):
    return f"10.{9 + number // 65536}.{number // 256 % 256}.{number % 256}"


def initiator(*arguments):
    return [sys.executable, "-B", INITIATOR, *map(str, arguments)]


class StockCrowd:
    def __init__(self, world, stock, keys):
        self.world, device = world, f"crowd{os.getpid()}"
        self.control = f"/var/run/wireguard/{device}.sock"
        order = f"private_key={hex_key(keys['private_key'])}\nlisten_port={PORT}\n"
        self.pid = stock.start(world, world.edge, "crowd", device, order)
        run(["ip", "-n", world.edge, "link", "set", device, "up"])

    def configure(self, public_keys):
        lines = [f"public_key={hex_key(key)}\nallowed_ip={inner_address(i)}/32\n" for i, key in enumerate(public_keys)]
        for start in range(0, len(lines), PIECE):
            uapi(self.control, "".join(lines[start:start + PIECE]))
        return self.pid


class OurCrowd:
    """A server's registry is its configuration, so each step is a server of its own: with clients that have no
    WireGuard key first, so that what that key adds can be told."""

    def __init__(self, world, keys):
        self.world, self.keys = world, keys
        self.pid = self.serve("empty", [])

    def serve(self, name, clients):
        end = self.world.start_nice([self.world.smartvpn, "serve", "--config", self.world.write(f"{name}.json", {
            "listen": [{"transport": "wireguard", "address": EDGE, "port": PORT}],
            "keys": {"noise_private_key": self.keys["private_key"], "wireguard_private_key": self.keys["private_key"]},
            "network": {"subnets": ["10.8.0.0/15"]},
            "forwarding": {"mode": "tun"},
            "security": {"max_connections_per_ip": 1000000, "new_connections_per_ip_per_minute": 1000000,
                         "max_handshakes_in_progress": 1000000},
            "clients": clients,
        })], self.world.edge, name)  # no events: what a server tells is not what is measured
        wait_until(lambda: f":{PORT} " in self.world.in_edge(["ss", "-Hlun"]), "the server listens", 120)
        self.end = end
        return end.process.pid

    def configure(self, public_keys):
        registered = [{"id": f"client-{i}", "noise_public_key": key} for i, key in enumerate(public_keys)]
        sizes = []
        for name, with_key in (("registered", False), ("configured", True)):
            self.end.stop()
            self.pid = self.serve(name, [{**client, "wireguard_public_key": client["noise_public_key"]} if with_key
                                         else client for client in registered])
            sizes.append(resident(self.pid))
        emit("crowd/smartvpn/wireguard_key", (sizes[1] - sizes[0]) / len(public_keys), "bytes a peer")
        return self.pid


def measure(name, world, make, count):
    keys = world.keygen()
    public_keys = run(initiator("keys", SEED, count)).split()
    crowd = make(world, keys)
    empty = resident(crowd.pid)
    pid = crowd.configure(public_keys)
    configured = resident(pid)
    emit(f"crowd/{name}/configured", (configured - empty) / count, "bytes a peer")
    before = cpu_seconds([pid])
    done = json.loads(world.in_client(initiator("swarm", EDGE, PORT, keys["public_key"], SEED, count), timeout=300))
    cpu = cpu_seconds([pid]) - before
    emit(f"crowd/{name}/handshakes", count / cpu, "a second and core")
    live = resident(pid)
    emit(f"crowd/{name}/cookies", done["cookies"], "replies")
    emit(f"crowd/{name}/live", (live - empty) / count, "bytes a peer")
    emit(f"crowd/{name}/session", (live - configured) / count, "bytes a peer")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("smartvpn", help="the command; also makes the keys")
    parser.add_argument("--rivals", default="build/rivals")
    parser.add_argument("--peers", type=int, default=10000)
    parser.add_argument("--only", help="kinds, separated by commas")
    options = parser.parse_args()
    makers = {name: lambda world, keys, stock=stock.with_options(*CROWD_OPTIONS.get(name, ())):
              StockCrowd(world, stock, keys) for name, stock in rivals(options.rivals).items()}
    makers["smartvpn"] = OurCrowd
    for name, make in makers.items():
        if not options.only or name in options.only.split(","):
            with Bench(options.smartvpn) as world:
                measure(name, world, make, options.peers)


if __name__ == "__main__":
    main()
