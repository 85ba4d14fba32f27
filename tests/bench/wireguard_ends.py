"""The ends of WireGuard tunnels that are measured: rivals' programs, our server, and our machines as a peer. An end
serves in the edge's namespace (`serve`) or dials from the client's (`dial`), and answers its process's id; `host` is the
number by which a tunnel's addresses and ports differ from another's, `keys` the server's and the client's.
"""
import os

from roads import EDGE, hex_key, run, uapi, wait_until


def port_of(host):
    return 51800 + host


class Stock:
    """A program that makes a device of the name it is given, and is configured over the UAPI."""

    def __init__(self, *command):
        self.command = command

    def with_options(self, *options):
        return Stock(*self.command, *options)

    def start(self, world, namespace, name, device, order):
        environment = ["env", "WG_I_PREFER_BUGGY_USERSPACE_TO_POLISHED_KMOD=1", "LOG_LEVEL=error", "WG_LOG_LEVEL=error"]
        program = world.start_nice([*environment, *self.command, device], namespace, name)
        control = f"/var/run/wireguard/{device}.sock"
        wait_until(lambda: os.path.exists(control) or program.process.poll() is not None, f"{control} is there")
        uapi(control, order)
        return program.process.pid

    def end(self, world, name, host, side, keys, order):
        namespace = (world.edge, world.client)[side]
        device = f"wg{host}{'sc'[side]}{os.getpid()}"[:15]
        order = f"private_key={hex_key(keys[side]['private_key'])}\n" + order
        pid = self.start(world, namespace, f"{name}-{side}", device, order)
        run(["ip", "-n", namespace, "addr", "add", f"10.8.{host}.{side + 1}/24", "dev", device])
        run(["ip", "-n", namespace, "link", "set", device, "mtu", "1420", "up"])
        return pid, device

    def serve(self, world, name, host, keys):
        order = f"listen_port={port_of(host)}\npublic_key={hex_key(keys[1]['public_key'])}\nallowed_ip=10.8.{host}.2/32\n"
        return self.end(world, name, host, 0, keys, order)[0]

    def dial(self, world, name, host, keys):
        order = f"public_key={hex_key(keys[0]['public_key'])}\nendpoint={EDGE}:{port_of(host)}\n"
        order += f"persistent_keepalive_interval=10\nallowed_ip=10.99.{host}.0/24\nallowed_ip=10.8.{host}.1/32\n"
        pid, device = self.end(world, name, host, 1, keys, order)
        run(["ip", "-n", world.client, "route", "add", f"10.99.{host}.0/24", "dev", device])
        return pid


class Ours:
    """The command's server, and the same machines dialling (tests/bench/wireguard_peer). `aead` is a value of
    performance.aead, or None for what the server chooses."""

    def __init__(self, peer_program=None, aead=None):
        self.peer_program, self.aead = peer_program, aead

    def serve(self, world, name, host, keys):
        listen = {"transport": "wireguard", "address": EDGE, "port": port_of(host)}
        client = {"noise_public_key": world.keygen()["public_key"], "wireguard_public_key": keys[1]["public_key"]}
        extra = {"performance": {"aead": self.aead}} if self.aead not in (None, "automatic") else {}
        return world.serve_for_bench(name, host, listen, client, extra=extra,
                                     noise_private_key=world.keygen()["private_key"],
                                     wireguard_private_key=keys[0]["private_key"])

    def dial(self, world, name, host, keys):
        device = f"peer{host}"
        command = [self.peer_program, "--private-key", keys[1]["private_key"], "--peer-key", keys[0]["public_key"],
                   "--endpoint", f"{EDGE}:{port_of(host)}", "--address", f"10.8.{host}.2/24", "--tun", device]
        program = world.start_nice(command + (["--aead", self.aead] if self.aead else []), world.client, f"{name}-client")
        wait_until(lambda: os.path.exists(f"/proc/{program.process.pid}") and device in
                   world.in_client(["ip", "-o", "link"]), f"{device} is there")
        run(["ip", "-n", world.client, "route", "add", f"10.99.{host}.0/24", "dev", device])
        return program.process.pid
