"""What the tests of the relay share: relays, HAProxy and nginx on loopback, and clients with addresses of their own.

How cases are run and reported is the command's driver. Every wait is bounded. Ports are free ones below those that the
kernel gives to outgoing connections, because HAProxy and nginx cannot be asked which one they got; relays can.
"""
import json
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../cli"))
from cli_driver import WAIT_S, Program, main, same  # noqa: E402,F401

TRUSTED = ["127.0.0.0/8", "::1"]
NO_LIMITS = {"connections_per_ip": 0, "new_connections_per_ip_per_minute": 0}
SKIPPED = 77
SANITIZED = "--sanitized" in sys.argv
if SANITIZED:
    sys.argv.remove("--sanitized")
LISTENING, ESTABLISHED = "0A", "01"


def need(*programs):
    """Ends the test as skipped where one of the programs is not installed."""
    paths = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"  # where Debian has daemons
    os.environ["PATH"] = paths
    for program in programs:
        if not shutil.which(program):
            print(f"skipped: there is no {program}")
            sys.exit(SKIPPED)


def wait_until(condition, what, timeout=WAIT_S):
    """What `condition` gives, once that is true."""
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {timeout} s: {what() if callable(what) else what}"
        time.sleep(0.02)
    return value


def sockets(port, state=LISTENING):
    """How many TCP sockets of this machine are bound to the port in this state."""
    count = 0
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with open(table) as lines:
            for line in lines:
                _, local, _, is_in = line.split()[:4]
                count += local.endswith(f":{port:04X}") and is_in == state
    return count


def on_loopback(port, family=4):
    return f"[::1]:{port}" if family == 6 else f"127.0.0.1:{port}"


def listener(accept="off", **more):
    """Both families on one port."""
    proxies = {} if accept == "off" else {"trusted_proxies": TRUSTED}
    return {"address": "::", "port": 0, "accept_proxy_protocol": accept, **proxies, **more}


def route(port, send="off", host="127.0.0.1", match=None, name=None, **action):
    action = {"targets": [{"host": host, "port": port}], "send_proxy_protocol": send, **action}
    return {**({"name": name} if name else {}), "match": match or {}, "action": action}


def relay_config(listen, routes, **more):
    return {"listen": listen, "routes": routes, "limits": NO_LIMITS, **more}


def check_memory(grown, bound):
    """A sanitizer's allocator gives nothing back, so what it takes says nothing."""
    assert SANITIZED or grown <= bound, f"{grown} bytes more memory, of {bound}"


class Relay:
    """A running relay that prints events; `ports` has one for each entry of `listen`, in order."""

    def __init__(self, bench, name, config, *arguments, **options):
        self.path = bench.file(name + ".json", config)
        self.metrics = None
        if options.pop("metrics", False):
            self.metrics = bench.free_port()
            arguments = (*arguments, "--metrics", str(self.metrics))
        self.program = bench.start("relay", "-c", self.path, "--events", *arguments, **options)
        self.pid = self.program.process.pid
        told = [self.event("listening") for _ in config["listen"]]
        self.ports = [int(one["address"].rsplit(":", 1)[1]) for one in sorted(told, key=lambda one: one["listener"])]

    @property
    def port(self):
        return self.ports[0]

    def event(self, kind, **fields):
        return self.program.event(kind, **fields)

    def figures(self):
        """Series and their values, as Prometheus would get them."""
        text = run(["curl", "-sS", "-m", "10", f"http://127.0.0.1:{self.metrics}/metrics"])
        pairs = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
        return {name.removeprefix("smartvpn_relay_"): float(value) for name, value in pairs}

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def memory(self):
        """Resident, in bytes."""
        with open(f"/proc/{self.pid}/status") as status:
            return int(re.search(r"VmRSS:\s+(\d+) kB", status.read()).group(1)) * 1024

    def cpu_seconds(self):
        with open(f"/proc/{self.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Bench:
    """Starts programs in a folder of one case, and ends them."""

    def __init__(self, command, folder):
        self.command, self.folder, self.programs, self.given = command, folder, [], set()

    def path(self, name):
        return os.path.join(self.folder, name)

    def file(self, name, content):
        with open(self.path(name), "w", encoding="utf-8") as out:
            out.write(content if isinstance(content, str) else json.dumps(content))
        return self.path(name)

    def text(self, name):
        with open(self.path(name), errors="replace") as file:
            return file.read()

    def free_port(self):
        while True:
            port = random.SystemRandom().randrange(10000, 32000)
            if port not in self.given and can_bind("127.0.0.1", port) and can_bind("::1", port):
                self.given.add(port)
                return port

    def start(self, *arguments, **options):
        return self._started([self.command, *arguments], **options)

    def _started(self, command, **options):
        program = Program(command, **options)
        self.programs.append(program)
        return program

    def relay(self, config, *arguments, name=None, **options):
        return Relay(self, name or f"relay{len(self.programs)}", config, *arguments, **options)

    def daemon(self, command, port, log):
        """A program of somebody else's, once it listens."""
        with open(self.path(log), "ab") as out:
            program = self._started(command, stdout=out, stderr=out)
        wait_until(lambda: sockets(port) or program.process.poll() is not None, f"{command[0]} listens")
        assert program.process.poll() is None, self.text(log)
        return program

    def end(self):
        for program in self.programs:
            program.end()


def can_bind(address, port):
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True


def run(command, timeout=WAIT_S, **options):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, **options)
    assert done.returncode == 0, f"{' '.join(command)} gave {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout


def refused(url, *arguments):
    """Nothing is answered to a client."""
    done = subprocess.run(["curl", "-sS", "-m", str(WAIT_S), *arguments, url], capture_output=True, timeout=2 * WAIT_S)
    return done.returncode != 0


def curl(url, source, *arguments):
    """What is answered to a client with that source address, and the client's own `address port`."""
    own = ["--interface", source, "-w", "|%{local_ip} %{local_port}"]
    return tuple(run(["curl", "-sS", "-m", str(WAIT_S), *own, *arguments, url]).rsplit("|", 1))
