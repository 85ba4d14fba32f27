"""Follows docs/TEN_MINUTES.md word for word: its blocks run in namespaces that stand for the server and the two clients.
Only folders are replaced, because every test has its own."""
import os
import pathlib
import pty
import re
import select
import signal
import subprocess
import sys
import time
import unittest

from netns import World, listening, run, wait_until

SMARTVPN = sys.argv.pop(1)
ROOT = pathlib.Path(sys.argv.pop(1))
PAGE = (ROOT / "docs/TEN_MINUTES.md").read_text()
BLOCK = re.compile(r"<!-- (run: (\w+) ?(\w*)|nginx) -->\n```\w+\n(.*?)\n```", re.DOTALL)


class TenMinutes(unittest.TestCase):
    def setUp(self):
        self.world = World(SMARTVPN)
        self.world.__enter__()
        self.passed = False
        self.addCleanup(lambda: self.world.__exit__(*((None, None, None) if self.passed else (Exception, None, None))))
        self.bob = self.world.client + "b"
        run(["ip", "netns", "add", self.bob])
        self.world.namespaces.append(self.bob)
        run(["ip", "link", "add", "veth0", "netns", self.bob, "type", "veth", "peer", "name", "veth1", "netns", self.world.edge])
        for namespace, device, address in ((self.bob, "veth0", "198.51.101.8/24"), (self.world.edge, "veth1", "198.51.101.1/24")):
            run(["ip", "-n", namespace, "addr", "add", address, "dev", device])
            run(["ip", "-n", namespace, "link", "set", device, "up"])
            run(["ip", "-n", namespace, "link", "set", "lo", "up"])
        run(["ip", "-n", self.bob, "route", "add", "198.51.100.1/32", "via", "198.51.101.1"])
        self.namespaces = {"server": self.world.edge, "alice": self.world.client, "bob": self.bob}
        programs = self.world.path("bin")
        os.mkdir(programs)
        os.symlink(SMARTVPN, os.path.join(programs, "smartvpn"))
        self.environment = {**os.environ, "PATH": programs + ":" + os.environ["PATH"]}

    def script(self, text):
        for folder in ("/etc/smartvpn", "/var/lib/smartvpn", "/run/smartvpn"):
            text = text.replace(folder, self.world.folder + folder)
        # The default place of the control socket, which the page relies on.
        socket = f"{self.world.folder}/run/smartvpn/control.sock"
        text = re.sub(r"(?m)^(smartvpn (?:clients|sessions|reload|stats)\b.*)$", rf"\1 --control {socket}", text)
        return text

    def command(self, who, text, before=""):
        return ["ip", "netns", "exec", self.namespaces[who], "bash", "-euc", before + self.script(text)]

    def step(self, who, how, text):
        folder = self.world.folder + "/etc/smartvpn"
        os.makedirs(folder, exist_ok=True)
        if how == "background":
            with open(self.world.path(f"{who}.log"), "ab") as log:
                started = subprocess.Popen(self.command(who, text, "exec "), cwd=folder, env=self.environment,
                                           stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            self.addCleanup(self.end, started)
            return ""
        if how == "watch":
            return self.watch(who, text, folder)
        done = subprocess.run(self.command(who, text), cwd=folder, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=60)
        self.assertEqual(done.returncode, 0, f"{text}\n{done.stdout}{done.stderr}")
        return done.stdout

    @staticmethod
    def end(process):
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def watch(self, who, text, folder):
        """What a person sees in three seconds, who then presses q."""
        master, slave = pty.openpty()
        process = subprocess.Popen(self.command(who, text, "stty cols 160 rows 40; exec "), cwd=folder, env={**self.environment, "TERM": "xterm"},
                                   stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
        os.close(slave)
        self.addCleanup(self.end, process)
        seen, until = b"", time.monotonic() + 3.5
        while time.monotonic() < until:
            if select.select([master], [], [], 0.1)[0]:
                seen += os.read(master, 65536)
        os.write(master, b"q")
        self.assertEqual(process.wait(10), 0)
        os.close(master)
        return seen.decode(errors="replace")

    def nginx(self, text):
        config = (f"load_module /usr/lib/nginx/modules/ngx_stream_module.so; daemon off; pid {self.world.folder}/nginx.pid; "
                  f"error_log {self.world.folder}/nginx-error.log; worker_processes 1; events {{}}\n{text}\n")
        path = self.world.write("nginx.conf", config)
        self.world.start(["nginx", "-c", path, "-p", self.world.folder, "-e", self.world.path("nginx-error.log")], self.world.edge, "nginx")
        wait_until(listening(self.world, 80), "nginx listens")

    def wait_sessions(self, count):
        query = self.command("server", "smartvpn sessions --json")
        def there():
            done = subprocess.run(query, env=self.environment, capture_output=True, text=True, timeout=20)
            return done.returncode == 0 and done.stdout.count('"client_id"') == count
        wait_until(there, f"{count} sessions")

    def test_the_page_works(self):
        outputs, started = [], 0
        for match in BLOCK.finditer(PAGE):
            what, who, how, text = match.groups()
            if what == "nginx":
                self.nginx(text)
                continue
            if who == "alice" and how == "":
                self.wait_sessions(2)
            outputs.append(self.step(who, how, text))
            if how == "background":
                started += 1
                if who == "server":
                    wait_until(listening(self.world, 8443), "the server listens")
                else:
                    self.wait_sessions(started - 1)
        check, serve, add, alice, bob, ping, watched, metrics, changed = outputs
        self.assertEqual(ping.count(" 0% packet loss"), 2, ping)
        for text in ("alice", "bob", "198.51.100.7", "198.51.101.8", "10.8.0.2", "10.8.0.3", "ms"):
            self.assertIn(text, watched)
        self.assertIn("smartvpn_sessions", metrics)
        self.assertIn("bob", changed.splitlines()[-1])
        self.assertNotIn("alice", changed.splitlines()[-1])
        self.passed = True


if __name__ == "__main__":
    unittest.main(verbosity=2)
