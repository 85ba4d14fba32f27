"""What the tests of the smartvpn command share: running it, its events, configurations, the report.

A test is a function whose name begins with `test_` and says the behaviour. Each gets a `Bench`, which
makes files in a folder of its own and ends every program that it started.
"""

import argparse
import base64
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from xml.sax.saxutils import quoteattr

WAIT_S = 30  # for what should take milliseconds, on a machine that is busy


class Program:
    """The command in the background; its lines are collected as they come."""

    def __init__(self, command, **options):
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, **options)
        self.lines = {}
        for name in ("stdout", "stderr"):
            if stream := getattr(self.process, name):
                self.lines[name] = queue.Queue()
                threading.Thread(target=self._collect, args=(stream, self.lines[name]), daemon=True).start()

    @staticmethod
    def _collect(stream, lines):
        for line in stream:
            lines.put(line.decode().rstrip("\n"))
        lines.put(None)

    def line(self, name, accept):
        """The next line that `accept` takes; what it gives is given back."""
        deadline, seen = time.monotonic() + WAIT_S, []
        while True:
            try:
                line = self.lines[name].get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"not on {name} in time; seen: {seen}") from None
            if line is None:
                raise AssertionError(f"{name} ended; seen: {seen}")
            seen.append(line)
            if taken := accept(line):
                return taken

    def rest(self, name):
        """The lines that were not asked for, of a program that has ended."""
        lines = []
        while (line := self.lines[name].get(timeout=WAIT_S)) is not None:
            lines.append(line)
        return lines

    def event(self, kind, **fields):
        def accept(line):
            event = json.loads(line)
            return event if event["type"] == kind and fields.items() <= event.items() else None

        return self.line("stdout", accept)

    def error_line(self, text):
        return self.line("stderr", lambda line: line if text in line else None)

    def signal(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    def exit_code(self, timeout=WAIT_S):
        return self.process.wait(timeout)

    def stop(self):
        self.signal()
        return self.exit_code()

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Bench:
    def __init__(self, command, folder):
        self.command, self.folder, self.programs = command, folder, []
        self.server_key, self.client_key = self.keys(), self.keys()

    def run(self, *arguments, text=""):
        return subprocess.run([self.command, *arguments], input=text, capture_output=True, text=True, timeout=WAIT_S)

    def start(self, *arguments, **options):
        return self._started(Program([self.command, *arguments], **options))

    def start_shell(self, text, **options):
        return self._started(Program(["sh", "-c", text], **options))

    def _started(self, program):
        self.programs.append(program)
        return program

    def keys(self):
        return json.loads(self.run("keygen", "--json").stdout)

    def file(self, name, content):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as out:
            out.write(content if isinstance(content, str) else json.dumps(content))
        return path

    def server_config(self, **changes):
        config = {
            "listen": [{"transport": "websocket", "address": "127.0.0.1", "port": 0}],
            "keys": {"noise_private_key": self.server_key["private_key"]},
            "network": {"subnets": ["10.8.0.0/24", "fd00:8::/64"]},
            "forwarding": {"mode": "testing"},
            "clients": [{"id": "alice", "noise_public_key": self.client_key["public_key"]}],
        }
        return {**config, **changes}

    def tunnel_config(self, address, **changes):
        config = {
            "server": f"ws://{address}/tunnel",
            "keys": {
                "noise_private_key": self.client_key["private_key"],
                "server_public_key": self.server_key["public_key"],
            },
            "forwarding": {"mode": "testing"},
            "reconnect": {"initial_ms": 10, "max_ms": 200},
        }
        return {**config, **changes}

    def serve(self, config=None, *arguments, **options):
        """A server that prints events, and where it listens."""
        path = self.file("server.json", config or self.server_config())
        server = self.start("serve", "--config", path, "--events", *arguments, **options)
        return server, server.event("listening")["address"]

    def connect(self, address, *arguments, **changes):
        path = self.file("tunnel.json", self.tunnel_config(address, **changes))
        return self.start("connect", "--config", path, *arguments)

    def end(self):
        for program in self.programs:
            program.end()


def is_key(text):
    return len(text) == 44 and len(base64.b64decode(text, validate=True)) == 32


def same(got, wanted):
    assert got == wanted, f"{got!r} is not {wanted!r}"


def main(suite, module, make_bench=Bench):
    parser = argparse.ArgumentParser()
    parser.add_argument("--command", required=True, help="the smartvpn program")
    parser.add_argument("--results", help="where to write the results as XML")
    parser.add_argument("--only", default="", help="run only cases whose name contains this")
    options = parser.parse_args()
    cases = []
    for name, test in list(vars(module).items()):
        if not name.startswith("test_") or options.only not in name:
            continue
        failure = None
        with tempfile.TemporaryDirectory() as folder:
            bench = None
            try:
                bench = make_bench(options.command, folder)
                test(bench)
            except Exception as error:  # a case that fails must not stop the others
                failure = str(error) if isinstance(error, AssertionError) and str(error) else traceback.format_exc()
                print(f"FAILED {name}: {failure}", flush=True)
            finally:
                if bench:
                    bench.end()
        cases.append((name.removeprefix("test_"), failure))
    failed = sum(failure is not None for _, failure in cases)
    print(f"{suite}: {len(cases)} cases, {failed} failed")
    if options.results:
        write_xml(options.results, suite, cases, failed)
    sys.exit(1 if failed or not cases else 0)


def write_xml(path, suite, cases, failed):
    with open(path, "w", encoding="utf-8") as out:
        out.write('<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n')
        out.write(f'<testsuite name={quoteattr(suite)} tests="{len(cases)}" failures="{failed}">\n')
        for name, failure in cases:
            out.write(f'<testcase classname={quoteattr(suite)} name={quoteattr(name)} status="run"')
            text = None if failure is None else quoteattr("".join(c for c in failure if c >= " " or c == "\n"))
            out.write("/>\n" if text is None else f"><failure message={text}/></testcase>\n")
        out.write("</testsuite>\n</testsuites>\n")
