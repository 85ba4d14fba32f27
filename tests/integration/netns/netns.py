"""Network namespaces, programs in them, and the smartvpn command, for integration tests.

A `World` makes two namespaces joined by a veth pair: `client` (198.51.100.7, .8, .66; 2001:db8:100::7) and
`edge` (198.51.100.1; 2001:db8:100::1), where the server and what stands in front of it run. Everything it
started is ended by pid, and everything it made is removed, whatever happens. Also when the test itself is killed:
it runs as the first process of a process namespace, and names its network namespaces in a mount namespace of its own,
so that the kernel ends and removes both with it.
"""
import base64
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

WAIT_S = 30
# Where `ip netns` keeps names, and files for them; where `wg` looks for the sockets of devices.
NAMED_HERE = ("/run/netns", "/etc/netns", "/run/wireguard")


def stand_apart():
    """Begins the test program again where nothing of it can stay behind."""
    if os.environ.get("SMARTVPN_TEST_STANDS_APART") != "1":
        os.environ["SMARTVPN_TEST_STANDS_APART"] = "1"
        os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child",
                              "--mount-proc", sys.executable, *sys.orig_argv[1:]])
    for folder in NAMED_HERE:
        os.makedirs(folder, exist_ok=True)
        if os.getpid() == 1:  # and not in a program of the test's
            subprocess.run(["mount", "-t", "tmpfs", "none", folder], check=True)


stand_apart()


class Program:
    """A process in a namespace whose standard output is read line by line."""

    def __init__(self, command, namespace=None, log=None):
        if namespace:
            command = ["ip", "netns", "exec", namespace] + command
        self.command = command
        self.log = open(log, "ab") if log else subprocess.DEVNULL
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.log)
        os.set_blocking(self.process.stdout.fileno(), False)
        self.buffer = b""
        self.events = []

    def lines(self):
        chunk = self.process.stdout.read()
        if chunk:
            self.buffer += chunk
        *whole, self.buffer = self.buffer.split(b"\n")
        return whole

    def pump(self):
        for line in self.lines():
            self.events.append(json.loads(line))

    def wait_event(self, kind, timeout=WAIT_S, **fields):
        """The first event, past or to come, of this type with these fields."""
        deadline = time.monotonic() + timeout
        seen = 0
        while True:
            self.pump()
            for event in self.events[seen:]:
                if event["type"] == kind and all(event.get(k) == v for k, v in fields.items()):
                    return event
            seen = len(self.events)
            if self.process.poll() is not None and not self.lines():
                raise AssertionError(f"{self.command} ended with {self.process.returncode} before {kind} {fields}: {self.events}")
            if time.monotonic() > deadline:
                raise AssertionError(f"no {kind} {fields} within {timeout} s; events: {self.events}")
            time.sleep(0.02)

    def stop(self, sig=signal.SIGTERM, timeout=WAIT_S):
        if self.process.poll() is None:
            self.process.send_signal(sig)
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.pump_quietly()
        return self.process.returncode

    def pump_quietly(self):
        try:
            self.pump()
        except ValueError:
            pass

    def close(self):
        self.stop(timeout=5)
        self.process.stdout.close()
        if self.log is not subprocess.DEVNULL:
            self.log.close()


class World:
    def __init__(self, smartvpn):
        self.smartvpn = smartvpn
        self.folder = tempfile.mkdtemp(prefix="smartvpn-test-")
        self.client = f"svc{os.getpid()}"
        self.edge = f"sve{os.getpid()}"
        self.programs = []
        self.namespaces = []

    def __enter__(self):
        try:
            self._make()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def _make(self):
        for name in (self.client, self.edge):
            run(["ip", "netns", "add", name])
            self.namespaces.append(name)
            run(["ip", "-n", name, "link", "set", "lo", "up"])
        run(["ip", "link", "add", "veth0", "netns", self.client, "type", "veth", "peer", "name", "veth0", "netns", self.edge])
        for name, addresses in ((self.client, ["198.51.100.7/24", "198.51.100.66/24", "2001:db8:100::7/64"]),
                                (self.edge, ["198.51.100.1/24", "2001:db8:100::1/64"])):
            for address in addresses:
                run(["ip", "-n", name, "addr", "add", address, "dev", "veth0"] + (["nodad"] if ":" in address else []))
            run(["ip", "-n", name, "link", "set", "veth0", "up"])

    def add_internet(self, mtu=1500, forward=True):
        """A third namespace behind the edge's device wan0, which knows no way to any inner network: edge
        203.0.113.1 and 2001:db8:203::1, internet 203.0.113.9 and 2001:db8:203::9."""
        self.internet = f"svi{os.getpid()}"
        run(["ip", "netns", "add", self.internet])
        self.namespaces.append(self.internet)
        run(["ip", "link", "add", "wan0", "netns", self.edge, "type", "veth", "peer", "name", "wan0", "netns", self.internet])
        run(["ip", "-n", self.internet, "link", "set", "lo", "up"])
        for name, host in ((self.edge, 1), (self.internet, 9)):
            run(["ip", "-n", name, "addr", "add", f"203.0.113.{host}/24", "dev", "wan0"])
            run(["ip", "-n", name, "addr", "add", f"2001:db8:203::{host}/64", "dev", "wan0", "nodad"])
            run(["ip", "-n", name, "link", "set", "wan0", "mtu", str(mtu), "up"])
        if forward:
            self.in_edge(["sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"])

    def in_internet(self, command, **options):
        return run(["ip", "netns", "exec", self.internet] + command, **options)

    def __exit__(self, kind, value, trace):
        for program in reversed(self.programs):
            program.close()
        for name in self.namespaces:
            subprocess.run(["ip", "netns", "del", name], check=False)
        if kind is not None:
            for name in sorted(os.listdir(self.folder)):
                if name.endswith(".log"):
                    with open(os.path.join(self.folder, name), errors="replace") as log:
                        print(f"--- {name}\n{log.read()[-4000:]}")
        shutil.rmtree(self.folder, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, content):
        with open(self.path(name), "w") as file:
            file.write(content if isinstance(content, str) else json.dumps(content))
        return self.path(name)

    def start(self, command, namespace, name):
        program = Program(command, namespace, self.path(name + ".log"))
        self.programs.append(program)
        return program

    def keygen(self):
        return json.loads(run([self.smartvpn, "keygen", "--json"]))

    def serve(self, config):
        path = self.write("server.json", config)
        program = self.start([self.smartvpn, "serve", "--config", path, "--events"], self.edge, "server")
        program.wait_event("listening")
        return program

    def connect(self, config, name="client", tun="svtun", options=(), namespace=None):
        path = self.write(f"{name}.json", config)
        return self.start([self.smartvpn, "connect", "--config", path, "--tun", tun, "--events", *options],
                          namespace or self.client, name)

    def in_client(self, command, **options):
        return run(["ip", "netns", "exec", self.client] + command, **options)

    def in_edge(self, command, **options):
        return run(["ip", "netns", "exec", self.edge] + command, **options)


def run(command, timeout=WAIT_S):
    result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout)
    if result.returncode != 0:
        raise AssertionError(f"{' '.join(command)} gave {result.returncode}: {result.stdout}{result.stderr}")
    return result.stdout


def wait_until(condition, what, timeout=WAIT_S):
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout} s: {what}")
        time.sleep(0.05)


def listening(world, port):
    return lambda: f":{port} " in world.in_edge(["ss", "-Hltn"])


def server_config(world, listen, mode="tun", **extra):
    """A server with one client, and that client's keys."""
    server, client = world.keygen(), world.keygen()
    config = {
        "listen": listen,
        "keys": {"noise_private_key": server["private_key"]},
        "network": {"subnets": ["10.8.0.0/24", "fd00:8::/64"]},
        "forwarding": {"mode": mode},
        "clients": [{"id": "alice", "noise_public_key": client["public_key"]}],
        **extra,
    }
    return config, server, client


def client_config(url, server, client, **extra):
    return {"server": url, "keys": {"noise_private_key": client["private_key"], "server_public_key": server["public_key"]}, **extra}


def self_signed(world, name="edge.test"):
    """Certificate and key files, one combined for HAProxy, and the certificate's SHA-256 in hex."""
    run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", "-keyout", world.path("key.pem"),
         "-out", world.path("cert.pem")])
    with open(world.path("both.pem"), "w") as both:
        for part in ("cert.pem", "key.pem"):
            with open(world.path(part)) as file:
                both.write(file.read())
    with open(world.path("cert.pem")) as file:
        text = file.read()
    der = base64.b64decode("".join(line for line in text.splitlines() if "-----" not in line))
    return hashlib.sha256(der).hexdigest()
